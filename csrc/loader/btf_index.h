/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns finding types by name in a BTF. libbpf compares each name with all types, and the kernel has
 * more than a hundred thousand; one object needs about 180 such searches.
 */
#ifndef EBTOP_BTF_INDEX_H
#define EBTOP_BTF_INDEX_H

#include <stddef.h>

#include <linux/types.h>

struct btf;
struct btf_type;

struct btf_index {
	const struct btf *btf;
	__u32 *ids; /* of types that have a name to be found by; open addressing, 0: none */
	__u32 size; /* a power of two; 0: there is no index */
};

/* A name to be found, without its flavor, and how far the search for it has come. */
struct btf_name {
	const char *text;
	size_t length; /* 0: it has none, or nobody asks for such types by name */
	__u32 at;
};

/* Without memory there is no index. */
void btf_index_make(struct btf_index *index, const struct btf *btf);
void btf_index_free(struct btf_index *index);
struct btf_name btf_index_name(const char *text);
struct btf_name btf_index_name_of(const struct btf *btf, const struct btf_type *type);
/* The next type with this name, in order of ids; 0: no more. */
__u32 btf_index_next(const struct btf_index *index, struct btf_name *name);
const char *btf_index_text(const struct btf *btf, const struct btf_type *type);

#endif
