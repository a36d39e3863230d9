/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * The few of the kernel's types that one object needs.
 */
#ifndef EBTOP_BTF_SUBSET_H
#define EBTOP_BTF_SUBSET_H

struct btf;

/* Of what kernelbtf_next() finds, which are types of `from`: what `local` names. NULL without memory. */
struct btf *btf_subset_make(const struct btf *from, const struct btf *local);

#endif
