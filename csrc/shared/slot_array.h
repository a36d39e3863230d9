/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the user side of arrays that lie beside the slots of threads and have the same index. BPF
 * writes them; here they are mapped as far as they are used. The caller knows what an entry holds.
 */
#ifndef EBTOP_SLOT_ARRAY_H
#define EBTOP_SLOT_ARRAY_H

#include <stddef.h>

#include <linux/types.h>

#define SLOT_ARRAY_BYTES_MAX 256 /* of an entry */

struct slot_array {
	int fd;
	__u32 slot_count, chunk_count;
	size_t bytes; /* of an entry: a power of two */
	char **chunks;
};

/* 0 or -ENOMEM. */
int slot_array_open(struct slot_array *array, int fd, __u32 slot_count, size_t bytes);
void slot_array_close(struct slot_array *array);
/* Copies an entry. 0, or -EAGAIN when it kept changing. */
int slot_array_read(struct slot_array *array, __u32 index, void *ret);

#endif
