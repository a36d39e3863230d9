// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns mapping an array beside the slots, in chunks: the array has room for all threads that there
 * can be, and most of it is never used.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "shared/slot_array.h"

#define CHUNK_SLOTS 1024
#define READ_TRIES 4

int slot_array_open(struct slot_array *array, int fd, __u32 slot_count, size_t bytes)
{
	array->fd = fd;
	array->slot_count = slot_count;
	array->bytes = bytes;
	array->chunk_count = (slot_count + CHUNK_SLOTS - 1) / CHUNK_SLOTS;
	array->chunks = calloc(array->chunk_count, sizeof(*array->chunks));
	return array->chunks ? 0 : -ENOMEM;
}

/* The last chunk ends with the array. */
static size_t chunk_bytes(const struct slot_array *array, __u32 chunk)
{
	const size_t whole = CHUNK_SLOTS * array->bytes, offset = chunk * whole;
	size_t left = ((array->slot_count * array->bytes + 4095) & ~4095ul) - offset;

	return left < whole ? left : whole;
}

void slot_array_close(struct slot_array *array)
{
	for (__u32 i = 0; array->chunks && i < array->chunk_count; i++)
		if (array->chunks[i])
			munmap(array->chunks[i], chunk_bytes(array, i));
	free(array->chunks);
	memset(array, 0, sizeof(*array));
}

static const char *entry(struct slot_array *array, __u32 index)
{
	const __u32 chunk = index / CHUNK_SLOTS;
	void *memory;

	if (!array->chunks[chunk]) {
		memory = mmap(NULL, chunk_bytes(array, chunk), PROT_READ, MAP_SHARED, array->fd,
			      (off_t)(chunk * CHUNK_SLOTS * array->bytes));
		array->chunks[chunk] = memory == MAP_FAILED ? NULL : memory;
	}
	return array->chunks[chunk] ? array->chunks[chunk] + index % CHUNK_SLOTS * array->bytes :
				      NULL;
}

/* Its thread writes it in some 20 ns, at most every 50 or so: two equal copies are one state. */
int slot_array_read(struct slot_array *array, __u32 index, void *ret)
{
	const char *now = entry(array, index);
	char again[SLOT_ARRAY_BYTES_MAX];

	for (int i = 0; now && i < READ_TRIES; i++) {
		memcpy(ret, now, array->bytes);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		memcpy(again, now, array->bytes);
		if (!memcmp(ret, again, array->bytes))
			return 0;
	}
	return -EAGAIN;
}
