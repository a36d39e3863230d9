// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the hash table of identities.
 */
#include <errno.h>
#include <stdlib.h>

#include "util/hash.h"

/* Ids are handed out one after the other, so their low bits are as good as any hash. */
static struct hash_node **bucket_of(const struct hash *hash, __u32 id)
{
	return &hash->buckets[id & (hash->bucket_count - 1)];
}

int hash_open(struct hash *hash)
{
	hash->bucket_count = 1024;
	hash->count = 0;
	hash->buckets = calloc(hash->bucket_count, sizeof(*hash->buckets));
	return hash->buckets ? 0 : -ENOMEM;
}

void hash_close(struct hash *hash)
{
	free(hash->buckets);
	hash->buckets = NULL;
}

struct hash_node *hash_find(const struct hash *hash, __u32 id, __u64 start_ns)
{
	struct hash_node *node = *bucket_of(hash, id);

	while (node && (node->id != id || node->start_ns != start_ns))
		node = node->next;
	return node;
}

/* Without memory the chains just grow longer. */
static void grow(struct hash *hash)
{
	struct hash bigger = { .bucket_count = hash->bucket_count * 2 };

	bigger.buckets = calloc(bigger.bucket_count, sizeof(*bigger.buckets));
	if (!bigger.buckets)
		return;
	for (size_t i = 0; i < hash->bucket_count; i++) {
		struct hash_node *node = hash->buckets[i], *next;

		for (; node; node = next) {
			next = node->next;
			hash_insert(&bigger, node);
		}
	}
	free(hash->buckets);
	*hash = bigger;
}

void hash_insert(struct hash *hash, struct hash_node *node)
{
	struct hash_node **bucket;

	if (hash->count >= hash->bucket_count)
		grow(hash);
	bucket = bucket_of(hash, node->id);
	node->next = *bucket;
	*bucket = node;
	hash->count++;
}

void hash_remove(struct hash *hash, struct hash_node *node)
{
	struct hash_node **link = bucket_of(hash, node->id);

	while (*link && *link != node)
		link = &(*link)->next;
	if (!*link)
		return;
	*link = node->next;
	hash->count--;
}
