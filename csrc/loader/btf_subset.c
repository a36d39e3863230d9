// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the making of an excerpt of the kernel's types: those that an object names, whatever lies inside
 * them, and nothing behind their pointers. It is what relocations by name need; its ids are its own.
 */
#include <stdlib.h>

#include <bpf/btf.h>

#include "util/buffer.h"
#include "loader/btf_subset.h"
#include "loader/kernelbtf.h"

struct excerpt {
	const struct btf *from;
	struct btf *btf;
	__u32 *ids;          /* by id of the kernel's types: that in the excerpt, 0: not in it */
	struct buffer taken; /* __u32: ids of the kernel's, in the order of the excerpt's */
	int failed;
};

static __u32 take(struct excerpt *excerpt, __u32 id)
{
	__u32 *place;

	if (!id || excerpt->ids[id])
		return excerpt->ids[id];
	place = buffer_add(&excerpt->taken);
	if (!place) {
		excerpt->failed = 1;
		return 0;
	}
	*place = id;
	excerpt->ids[id] = (__u32)excerpt->taken.count;
	return excerpt->ids[id];
}

static void take_members(struct excerpt *excerpt, struct btf_type *type)
{
	struct btf_member *member = btf_members(type);

	for (__u32 i = 0; i < btf_vlen(type); i++)
		member[i].type = take(excerpt, member[i].type);
}

/* What a relocation asks of a pointer or a function is never what is behind it. */
static void cut_function(struct btf_type *type)
{
	struct btf_param *param = btf_params(type);

	for (__u32 i = 0; i < btf_vlen(type); i++)
		param[i].type = 0;
	type->type = 0;
}

static void take_inside(struct excerpt *excerpt, struct btf_type *type)
{
	switch (btf_kind(type)) {
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		take_members(excerpt, type);
		break;
	case BTF_KIND_ARRAY:
		btf_array(type)->type = take(excerpt, btf_array(type)->type);
		btf_array(type)->index_type = take(excerpt, btf_array(type)->index_type);
		break;
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_CONST:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPE_TAG:
		type->type = take(excerpt, type->type);
		break;
	case BTF_KIND_PTR:
		type->type = 0;
		break;
	case BTF_KIND_FUNC_PROTO:
		cut_function(type);
		break;
	default: /* numbers, enums, names of what is elsewhere: nothing is inside */
		break;
	}
}

static void take_named(struct excerpt *excerpt, const struct btf *local)
{
	for (__u32 id = 1; id < btf__type_cnt(local); id++) {
		struct named named = kernelbtf_named(local, btf__type_by_id(local, id));
		__u32 found;

		while ((found = kernelbtf_next(&named)) != 0)
			take(excerpt, found);
	}
}

static void copy_taken(struct excerpt *excerpt)
{
	for (size_t i = 0; i < excerpt->taken.count && !excerpt->failed; i++) {
		__u32 id = *(__u32 *)buffer_at(&excerpt->taken, i);
		int own = btf__add_type(excerpt->btf, excerpt->from,
					btf__type_by_id(excerpt->from, id));

		if (own == (int)i + 1)
			take_inside(excerpt,
				    (struct btf_type *)btf__type_by_id(excerpt->btf, (__u32)own));
		else
			excerpt->failed = 1;
	}
}

struct btf *excerpt_make(const struct btf *from, const struct btf *local)
{
	struct excerpt excerpt = { .from = from, .taken = BUFFER_OF(__u32) };

	excerpt.ids = calloc(btf__type_cnt(from), sizeof(*excerpt.ids));
	excerpt.btf = btf__new_empty();
	if (excerpt.ids && excerpt.btf) {
		take_named(&excerpt, local);
		copy_taken(&excerpt);
	} else {
		excerpt.failed = 1;
	}
	free(excerpt.ids);
	buffer_free(&excerpt.taken);
	if (!excerpt.failed)
		return excerpt.btf;
	btf__free(excerpt.btf);
	return NULL;
}
