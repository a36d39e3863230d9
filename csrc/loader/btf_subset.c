// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns building a subset of the kernel's types: the types that an object names and the types inside
 * those, but nothing behind their pointers. That is all that relocation by name needs. Types in a
 * subset have other ids than in the kernel.
 */
#include <stdlib.h>

#include <bpf/btf.h>

#include "util/buffer.h"
#include "loader/btf_index.h"
#include "loader/btf_subset.h"

struct btf_subset {
	const struct btf_index *from;
	struct btf *btf;
	__u32 *ids;          /* by id of the kernel's types: that in the subset, 0: not in it */
	struct buffer added; /* __u32: ids of the kernel's, in the order of the subset's */
	int failed;
};

static __u32 add_type(struct btf_subset *subset, __u32 id)
{
	__u32 *place;

	if (!id || subset->ids[id])
		return subset->ids[id];
	place = buffer_add(&subset->added);
	if (!place) {
		subset->failed = 1;
		return 0;
	}
	*place = id;
	subset->ids[id] = (__u32)subset->added.count;
	return subset->ids[id];
}

static void add_members(struct btf_subset *subset, struct btf_type *type)
{
	struct btf_member *member = btf_members(type);

	for (__u32 i = 0; i < btf_vlen(type); i++)
		member[i].type = add_type(subset, member[i].type);
}

/* No relocation asks what a pointer or a function refers to. */
static void cut_function(struct btf_type *type)
{
	struct btf_param *param = btf_params(type);

	for (__u32 i = 0; i < btf_vlen(type); i++)
		param[i].type = 0;
	type->type = 0;
}

static void add_inside(struct btf_subset *subset, struct btf_type *type)
{
	switch (btf_kind(type)) {
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		add_members(subset, type);
		break;
	case BTF_KIND_ARRAY:
		btf_array(type)->type = add_type(subset, btf_array(type)->type);
		btf_array(type)->index_type = add_type(subset, btf_array(type)->index_type);
		break;
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_CONST:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPE_TAG:
		type->type = add_type(subset, type->type);
		break;
	case BTF_KIND_PTR:
		type->type = 0;
		break;
	case BTF_KIND_FUNC_PROTO:
		cut_function(type);
		break;
	default: /* numbers, enums and forward declarations contain no types */
		break;
	}
}

static void add_named(struct btf_subset *subset, const struct btf *local)
{
	for (__u32 id = 1; id < btf__type_cnt(local); id++) {
		struct btf_name name = btf_index_name_of(local, btf__type_by_id(local, id));
		__u32 found;

		while ((found = btf_index_next(subset->from, &name)) != 0)
			add_type(subset, found);
	}
}

static void copy_added(struct btf_subset *subset)
{
	for (size_t i = 0; i < subset->added.count && !subset->failed; i++) {
		__u32 id = *(__u32 *)buffer_at(&subset->added, i);
		int own = btf__add_type(subset->btf, subset->from->btf,
					btf__type_by_id(subset->from->btf, id));

		if (own == (int)i + 1)
			add_inside(subset,
				   (struct btf_type *)btf__type_by_id(subset->btf, (__u32)own));
		else
			subset->failed = 1;
	}
}

struct btf *btf_subset_make(const struct btf_index *from, const struct btf *local)
{
	struct btf_subset subset = { .from = from, .added = BUFFER_OF(__u32) };

	subset.ids = calloc(btf__type_cnt(from->btf), sizeof(*subset.ids));
	subset.btf = btf__new_empty();
	if (subset.ids && subset.btf) {
		add_named(&subset, local);
		copy_added(&subset);
	} else {
		subset.failed = 1;
	}
	free(subset.ids);
	buffer_free(&subset.added);
	if (!subset.failed)
		return subset.btf;
	btf__free(subset.btf);
	return NULL;
}
