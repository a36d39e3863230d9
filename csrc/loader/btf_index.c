// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the index of types by name: a hash of the name without its flavor (name___flavor).
 */
#include <stdlib.h>
#include <string.h>

#include <bpf/btf.h>

#include "loader/btf_index.h"

static int is_indexed(const struct btf_type *type)
{
	switch (btf_kind(type)) {
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
	case BTF_KIND_TYPEDEF:
		return type->name_off != 0;
	default:
		return 0;
	}
}

/* Of name___flavor what is before the three underscores. */
static size_t essential_length(const char *name)
{
	size_t length = strlen(name);

	for (size_t i = length; i-- > 1;)
		if (!strncmp(name + i, "___", 3) && name[i - 1] != '_' && name[i + 3] != '_')
			return i;
	return length;
}

static __u32 hash_of(const char *name, size_t length)
{
	__u32 hash = 2166136261u;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)name[i]) * 16777619u;
	return hash ^ hash >> 15;
}

const char *btf_index_text(const struct btf *btf, const struct btf_type *type)
{
	const char *text = btf__name_by_offset(btf, type->name_off);

	return text ? text : "";
}

struct btf_name btf_index_name(const char *text)
{
	size_t length = essential_length(text);

	return (struct btf_name){ text, length, hash_of(text, length) };
}

struct btf_name btf_index_name_of(const struct btf *btf, const struct btf_type *type)
{
	return btf_index_name(is_indexed(type) ? btf_index_text(btf, type) : "");
}

/* In order of ids, so that of several with one name the first is found first. */
void btf_index_make(struct btf_index *index, const struct btf *btf)
{
	__u32 types = btf__type_cnt(btf), named = 0, size = 1024;

	for (__u32 id = 1; id < types; id++)
		named += (__u32)is_indexed(btf__type_by_id(btf, id));
	while (size < named * 2)
		size *= 2;
	*index = (struct btf_index){ btf, calloc(size, sizeof(*index->ids)), size };
	if (!index->ids) {
		index->size = 0;
		return;
	}
	for (__u32 id = 1; id < types; id++) {
		__u32 at = btf_index_name_of(btf, btf__type_by_id(btf, id)).at;

		if (!is_indexed(btf__type_by_id(btf, id)))
			continue;
		while (index->ids[at & (size - 1)])
			at++;
		index->ids[at & (size - 1)] = id;
	}
}

void btf_index_free(struct btf_index *index)
{
	free(index->ids);
	*index = (struct btf_index){ 0 };
}

__u32 btf_index_next(const struct btf_index *index, struct btf_name *name)
{
	for (__u32 id; name->length && (id = index->ids[name->at & (index->size - 1)]) != 0;) {
		const char *own = btf_index_text(index->btf, btf__type_by_id(index->btf, id));

		name->at++;
		if (essential_length(own) == name->length && !memcmp(own, name->text, name->length))
			return id;
	}
	return 0;
}
