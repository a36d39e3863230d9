// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the user side of the slots. Free slots reach each CPU through a ring in shared memory,
 * filled here and emptied by BPF. That takes no system call, no lock, and no atomic operation that
 * BPF lacks before 5.12.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "util/error.h"
#include "shared/slots.h"

#define CHUNK_SLOTS 1024 /* 128 KiB; mapped pages of a BPF array count as resident at once */
#define READ_TRIES 8

static void *map_array(int fd, size_t bytes, size_t offset)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);

	return memory == MAP_FAILED ? NULL : memory;
}

/* The last chunk ends with the array. */
static size_t chunk_bytes(const struct slots *slots, __u32 chunk)
{
	size_t all = ((size_t)slots->total * sizeof(struct ebtop_slot) + 4095) & ~4095ul;
	size_t bytes = CHUNK_SLOTS * sizeof(struct ebtop_slot), left = all - chunk * bytes;

	return left < bytes ? left : bytes;
}

static int map_chunk(struct slots *slots, __u32 chunk)
{
	size_t offset = chunk * CHUNK_SLOTS * sizeof(struct ebtop_slot);

	if (slots->chunks[chunk])
		return 0;
	slots->chunks[chunk] = map_array(slots->fd, chunk_bytes(slots, chunk), offset);
	return slots->chunks[chunk] ? 0 : -errno;
}

int slots_open(struct slots *slots, const struct maps *maps, struct ebtop_error *err)
{
	slots->fd = maps->fd[MAP_SLOTS];
	slots->cpus = maps->cpus;
	slots->total = maps->slot_count;
	slots->first = 1 + maps->cpus;
	slots->used_end = slots->first;
	slots->chunk_count = (slots->total + CHUNK_SLOTS - 1) / CHUNK_SLOTS;
	slots->chunks = calloc(slots->chunk_count, sizeof(*slots->chunks));
	slots->spare = calloc(slots->total, sizeof(*slots->spare));
	slots->seen_since = calloc(slots->total, sizeof(*slots->seen_since));
	slots->free_lists_bytes = (maps->cpus * sizeof(struct ebtop_free_slots) + 4095) & ~4095ul;
	slots->free_lists = map_array(maps->fd[MAP_FREE_SLOTS], slots->free_lists_bytes, 0);
	if (!slots->chunks || !slots->spare || !slots->seen_since || !slots->free_lists)
		return error_set(err, -ENOMEM, "slots", "no memory for %u thread slots",
				 slots->total);
	if (map_chunk(slots, 0))
		return error_set(err, -errno, "slots", "cannot map the thread slots: %s",
				 strerror(errno));
	slots_provide(slots);
	return 0;
}

void slots_close(struct slots *slots)
{
	for (__u32 i = 0; slots->chunks && i < slots->chunk_count; i++)
		if (slots->chunks[i])
			munmap(slots->chunks[i], chunk_bytes(slots, i));
	if (slots->free_lists)
		munmap(slots->free_lists, slots->free_lists_bytes);
	free(slots->chunks);
	free(slots->spare);
	free(slots->seen_since);
	memset(slots, 0, sizeof(*slots));
}

struct ebtop_slot *slots_at(const struct slots *slots, __u32 index)
{
	struct ebtop_slot *chunk = slots->chunks[index / CHUNK_SLOTS];

	return chunk ? chunk + index % CHUNK_SLOTS : NULL;
}

/* 0 when there is none left: threads born then are counted as lost by BPF. */
static __u32 take_spare(struct slots *slots)
{
	if (slots->spare_count)
		return slots->spare[--slots->spare_count];
	if (slots->used_end >= slots->total || map_chunk(slots, slots->used_end / CHUNK_SLOTS))
		return 0;
	return slots->used_end++;
}

void slots_provide(struct slots *slots)
{
	__u32 share = (slots->total - slots->first) / slots->cpus / 2;

	if (share > EBTOP_FREE_SLOTS)
		share = EBTOP_FREE_SLOTS;
	if (share < 16)
		share = 16;
	for (__u32 cpu = 0; cpu < slots->cpus; cpu++) {
		struct ebtop_free_slots *list = &slots->free_lists[cpu];
		__u32 taken = __atomic_load_n(&list->taken, __ATOMIC_ACQUIRE);

		list->low = share / 2;
		while (list->given - taken < share) {
			__u32 index = take_spare(slots);

			if (!index)
				return;
			list->slot[list->given % EBTOP_FREE_SLOTS] = index;
			__atomic_store_n(&list->given, list->given + 1, __ATOMIC_RELEASE);
		}
	}
}

void slots_recycle(struct slots *slots, __u32 index)
{
	struct ebtop_slot *slot = slots_at(slots, index);

	/* a tid may still lead to this slot, which then belongs to no thread */
	slot->tid = 0;
	slot->owner = 0;
	__atomic_store_n(&slot->state, EBTOP_SLOT_FREE, __ATOMIC_RELEASE);
	slots->seen_since[index] = 0;
	slots->spare[slots->spare_count++] = index;
}

/*
 * A CPU writes a slot within some 20 ns of a switch, so two equal readings of what every event
 * changes enclose a consistent copy on x86-64; on arm64 the window is that of its store buffer.
 */
int slots_read(const struct ebtop_slot *slot, struct ebtop_slot *ret)
{
	for (int i = 0; i < READ_TRIES; i++) {
		__u64 since = __atomic_load_n(&slot->since_ns, __ATOMIC_ACQUIRE);
		__u32 state = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);

		memcpy(ret, (const void *)slot, sizeof(*ret));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (since == __atomic_load_n(&slot->since_ns, __ATOMIC_ACQUIRE) &&
		    state == __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) &&
		    since == ret->since_ns && state == ret->state)
			return 0;
	}
	return -EAGAIN;
}
