/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * The kernel's own types, read once for all objects that are loaded together, in any thread.
 */
#ifndef EBTOP_KERNELBTF_H
#define EBTOP_KERNELBTF_H

#include <stddef.h>

#include <linux/types.h>

struct bpf_object;
struct btf;
struct btf_type;

/* From here on whoever asks libbpf for the kernel's types shares them. To be paired. */
void kernelbtf_share(void);
/* Begins to read them, in a thread of its own, for those who will ask. */
void kernelbtf_read(void);
/* Keeps what an object will need when it is loaded, whichever of its programs that is for. */
void kernelbtf_keep_types(const struct bpf_object *object);
/* The rest is let go: megabytes that maps need more. Who asks for more reads all of it again. */
void kernelbtf_release_rest(void);
/* They are let go; nobody may hold any then. */
void kernelbtf_drop(void);
/* bpf_object__load() of an object that names nothing which is in a module only. */
int kernelbtf_load(struct bpf_object *object);

#endif
