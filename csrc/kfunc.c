// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the prototype of a kernel function, as BTF has it, and what the probe kfunc is set to by it.
 * Which functions there are is not known here.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "kfunc.h"
#include "skel/kfunc.skel.h"

#define CALLS_BYTES (8u << 20) /* calls under way at once, as many as fit in it */
#define CALLS_LEAST 1024
#define CALLS_MOST 16384
#define WORD 8

_Static_assert(EBTOP_CALL_DATA_BYTES ==
		       EBTOP_CALL_STACK_BYTES + EBTOP_CALL_ARGS * EBTOP_CALL_TEXT_ROOM,
	       "a call has room for its stack and all its texts");
_Static_assert(EBTOP_CALL_STACK_BYTES == EBTOP_CALL_FRAMES * sizeof(__u64), "whole frames");

/* ---- the prototype ---- */

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

/* ---- the probe ---- */

int kfunc_needs(const char *program, const struct ebtop_settings *settings)
{
	if (strstr(program, "fexit") || strstr(program, "kretprobe"))
		return !!(settings->hook.flags & EBTOP_HOOK_RETURNS);
	return 1;
}

static __u32 record_bytes(const struct ebtop_hook *hook)
{
	__u32 bytes = offsetof(struct ebtop_kfunc, data);

	bytes += hook->flags & EBTOP_HOOK_STACK ? EBTOP_CALL_STACK_BYTES : 0;
	for (int i = 0; i < EBTOP_CALL_ARGS; i++)
		bytes += hook->texts >> i & 1 ? EBTOP_CALL_TEXT_ROOM : 0;
	return bytes;
}

static void size_maps(struct bpf_object *object, __u32 bytes, int returns)
{
	struct bpf_map *calls = bpf_object__find_map_by_name(object, "kfunc_calls");
	struct bpf_map *blank = bpf_object__find_map_by_name(object, "kfunc_blank");
	__u32 count = CALLS_BYTES / bytes;

	if (!calls || !blank)
		return;
	count = count > CALLS_MOST ? CALLS_MOST : count < CALLS_LEAST ? CALLS_LEAST : count;
	bpf_map__set_value_size(calls, bytes);
	bpf_map__set_value_size(blank, bytes);
	bpf_map__set_max_entries(calls, returns ? count : 1);
}

void kfunc_prepare(struct bpf_object *object, const struct maps *maps,
		   const struct ebtop_settings *settings)
{
	const struct ebtop_hook *hook = &settings->hook;
	size_t size = 0;
	struct kfunc_bpf__rodata *constants = object_constants(object, &size);

	(void)maps;
	if (!constants || size < sizeof(*constants))
		return;
	constants->cfg_args = hook->args;
	constants->cfg_texts = hook->texts;
	constants->cfg_slot = hook->slot;
	constants->cfg_stack = !!(hook->flags & EBTOP_HOOK_STACK);
	constants->cfg_returns = !!(hook->flags & EBTOP_HOOK_RETURNS);
	constants->cfg_bytes = record_bytes(hook);
	size_maps(object, constants->cfg_bytes, (int)constants->cfg_returns);
}

static __u64 missed_by_link(const struct bpf_link *link)
{
	struct bpf_link_info info = {};
	__u32 size = sizeof(info);

	/* since Linux 6.7; older kernels leave it 0 */
	if (!link || bpf_obj_get_info_by_fd(bpf_link__fd(link), &info, &size) ||
	    info.type != BPF_LINK_TYPE_PERF_EVENT)
		return 0;
	return info.perf_event.kprobe.missed;
}

/* Frames that were taken again tell of returns that were missed on kernels that do not. */
static __u64 missed_by_frame(const struct probe *probe)
{
	struct bpf_map *map;
	size_t size = 0;

	bpf_object__for_each_map(map, probe->object)
	{
		const struct kfunc_bpf__bss *counts;

		if (!strstr(bpf_map__name(map), ".bss"))
			continue;
		counts = bpf_map__initial_value(map, &size);
		return counts && size >= sizeof(*counts) ? counts->overwritten : 0;
	}
	return 0;
}

__u64 kfunc_missed(const struct probe *probe)
{
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);
	int last = probe->programs - 1;
	__u64 told, seen = missed_by_frame(probe);

	if (last < 0 || bpf_obj_get_info_by_fd(probe->program_fds[last], &info, &size))
		return seen;
	told = info.recursion_misses + missed_by_link(probe->links[last]);
	return told > seen ? told : seen;
}
