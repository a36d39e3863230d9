// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the mapping of arrays beside the slots, in chunks: an array has room for all threads that
 * there can be, and most of it is never touched.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "shared/slot_array.h"

#define CHUNK_SLOTS 1024
#define READ_TRIES 4

int beside_open(struct beside *beside, int fd, __u32 slot_count, size_t bytes)
{
	beside->fd = fd;
	beside->slot_count = slot_count;
	beside->bytes = bytes;
	beside->chunk_count = (slot_count + CHUNK_SLOTS - 1) / CHUNK_SLOTS;
	beside->chunks = calloc(beside->chunk_count, sizeof(*beside->chunks));
	return beside->chunks ? 0 : -ENOMEM;
}

/* The last chunk ends with the array. */
static size_t chunk_bytes(const struct beside *beside, __u32 chunk)
{
	const size_t whole = CHUNK_SLOTS * beside->bytes, offset = chunk * whole;
	size_t left = ((beside->slot_count * beside->bytes + 4095) & ~4095ul) - offset;

	return left < whole ? left : whole;
}

void beside_close(struct beside *beside)
{
	for (__u32 i = 0; beside->chunks && i < beside->chunk_count; i++)
		if (beside->chunks[i])
			munmap(beside->chunks[i], chunk_bytes(beside, i));
	free(beside->chunks);
	memset(beside, 0, sizeof(*beside));
}

static const char *entry(struct beside *beside, __u32 index)
{
	const __u32 chunk = index / CHUNK_SLOTS;
	void *memory;

	if (!beside->chunks[chunk]) {
		memory = mmap(NULL, chunk_bytes(beside, chunk), PROT_READ, MAP_SHARED, beside->fd,
			      (off_t)(chunk * CHUNK_SLOTS * beside->bytes));
		beside->chunks[chunk] = memory == MAP_FAILED ? NULL : memory;
	}
	return beside->chunks[chunk] ? beside->chunks[chunk] + index % CHUNK_SLOTS * beside->bytes :
				       NULL;
}

/* Its thread writes it in some 20 ns, at most every 50 or so: two equal copies are one state. */
int beside_read(struct beside *beside, __u32 index, void *ret)
{
	const char *now = entry(beside, index);
	char again[BESIDE_BYTES_MAX];

	for (int i = 0; now && i < READ_TRIES; i++) {
		memcpy(ret, now, beside->bytes);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		memcpy(again, now, beside->bytes);
		if (!memcmp(ret, again, beside->bytes))
			return 0;
	}
	return -EAGAIN;
}
