// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the prototype of a kernel function, read from BTF. It does not know which functions exist.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "ebtop.h"

#define WORD 8

static const struct btf_type *plain(const struct btf *btf, __u32 id)
{
	const struct btf_type *type = btf__type_by_id(btf, id);

	while (type && (btf_is_mod(type) || btf_is_typedef(type)))
		type = btf__type_by_id(btf, type->type);
	return type;
}

static int is_text(const struct btf *btf, const struct btf_type *pointer)
{
	const struct btf_type *to = plain(btf, pointer->type);
	const char *name = to ? btf__name_by_offset(btf, to->name_off) : NULL;

	return to && btf_is_int(to) && to->size == 1 && name && !strcmp(name, "char");
}

/* 0 when it is nothing that a register holds. */
static int describe(const struct btf *btf, __u32 id, struct ebtop_param *ret)
{
	const struct btf_type *type = plain(btf, id);

	if (!id || !type)
		return 0;
	if (btf_is_ptr(type)) {
		ret->bytes = WORD;
		ret->flags = EBTOP_PARAM_POINTER | (is_text(btf, type) ? EBTOP_PARAM_TEXT : 0);
		return 1;
	}
	if (!btf_is_int(type) && !btf_is_any_enum(type))
		return 0;
	if (type->size > WORD)
		return 0;
	ret->bytes = type->size;
	if (btf_is_int(type) ? btf_int_encoding(type) & BTF_INT_SIGNED :
			       btf_is_enum(type) || btf_kflag(type))
		ret->flags = EBTOP_PARAM_SIGNED;
	return 1;
}

static int read_prototype(const struct btf *btf, const char *name, struct ebtop_prototype *ret)
{
	int id = btf__find_by_name_kind(btf, name, BTF_KIND_FUNC), in_order = 1;
	const struct btf_type *func = id > 0 ? btf__type_by_id(btf, (__u32)id) : NULL;
	const struct btf_type *proto = func ? btf__type_by_id(btf, func->type) : NULL;
	const struct btf_param *param;

	if (!proto)
		return -ENOENT;
	describe(btf, proto->type, &ret->result);
	param = btf_params(proto);
	for (int i = 0; i < btf_vlen(proto); i++, param++) {
		long bytes = param->type ? btf__resolve_size(btf, param->type) : WORD;
		const char *own = btf__name_by_offset(btf, param->name_off);
		struct ebtop_param one = {};

		in_order =
			in_order && ret->args < EBTOP_CALL_ARGS && describe(btf, param->type, &one);
		ret->slots += bytes > WORD ? (__u32)(bytes + WORD - 1) / WORD : 1;
		if (!in_order)
			continue;
		snprintf(one.name, sizeof(one.name), "%s", own ? own : "");
		ret->param[ret->args++] = one;
	}
	return 0;
}

int ebtop_function(const char *name, const char *module, struct ebtop_prototype *ret)
{
	struct btf *kernel = btf__load_vmlinux_btf(), *btf = kernel;
	int result;

	memset(ret, 0, sizeof(*ret));
	if (!kernel)
		return -errno;
	if (module)
		btf = btf__load_module_btf(module, kernel);
	result = btf ? read_prototype(btf, name, ret) : -ENOENT;
	if (btf != kernel)
		btf__free(btf);
	btf__free(kernel);
	return result;
}
