/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the kernel's types, read once for all objects that are loaded together, by any thread.
 */
#ifndef EBTOP_KERNELBTF_H
#define EBTOP_KERNELBTF_H

#include <stddef.h>

#include <linux/types.h>

struct bpf_object;
struct btf;
struct btf_type;

/* From here on libbpf shares the kernel's types between objects. Pair it with kernelbtf_drop(). */
void kernelbtf_share(void);
/* Begins to read them, in a thread of its own. */
void kernelbtf_read(void);
/* Keeps the subset that an object needs to load, whichever of its programs are chosen. */
void kernelbtf_keep_types(const struct bpf_object *object);
/* Frees the whole, whose megabytes the maps need more. A later search reads it again. */
void kernelbtf_release_rest(void);
/* Frees them; no object may be using any. */
void kernelbtf_drop(void);
/* bpf_object__load() for an object that names no type of a module. */
int kernelbtf_load(struct bpf_object *object);

#endif
