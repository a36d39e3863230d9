/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the hash table of identities. An identity is an id that the kernel reuses (pid, tid), made
 * unique by a start time. A node lives inside the entry that it indexes; the table frees nothing.
 */
#ifndef EBTOP_HASH_H
#define EBTOP_HASH_H

#include <stddef.h>

#include "ebtop.h"

struct hash_node {
	struct hash_node *next;
	__u64 start_ns;
	__u32 id;
	__u32 pad;
};

struct hash {
	struct hash_node **buckets;
	size_t bucket_count; /* a power of two */
	size_t count;
};

int hash_open(struct hash *hash);
void hash_close(struct hash *hash);
struct hash_node *hash_find(const struct hash *hash, __u32 id, __u64 start_ns);
void hash_insert(struct hash *hash, struct hash_node *node);
void hash_remove(struct hash *hash, struct hash_node *node);

#endif
