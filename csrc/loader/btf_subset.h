/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the subset of the kernel's types that one BPF object needs.
 */
#ifndef EBTOP_BTF_SUBSET_H
#define EBTOP_BTF_SUBSET_H

struct btf;
struct btf_index;

/* Those types of `from` that `local` names, and what lies inside them. NULL without memory. */
struct btf *btf_subset_make(const struct btf_index *from, const struct btf *local);

#endif
