// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the memory of the shards and the sums over them. Counts only grow, so an interval is a
 * difference; minima and maxima cannot be subtracted and are kept by epoch.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <bpf/bpf.h>

#include "util/histogram.h"
#include "shared/syscalls.h"

#define SLICE_NS 1000000000ull
#define TEN_SECONDS_NS 10000000000ull

struct syscall_sums {
	struct histogram interval, total;
	struct histogram *slices; /* SYSCALL_SLICES, once the window of ten seconds is asked for */
	struct ebtop_syscall_shard last[]; /* one a shard */
};

static size_t whole_pages(size_t bytes)
{
	return (bytes + 4095) & ~4095ul;
}

static void *map_array(int fd, size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

int syscalls_open(struct syscalls *syscalls, const struct maps *maps, const char *kinds,
		  __u64 now_ns)
{
	size_t entries = (size_t)maps->shards * EBTOP_SYSCALL_ENTRIES;

	memset(syscalls, 0, sizeof(*syscalls));
	syscalls->rows = BUFFER_OF(struct ebtop_syscall_row);
	syscalls->shards = maps->shards;
	syscalls->odd_fd = maps->fd[MAP_ODD_NUMBERS];
	memcpy(syscalls->kinds, kinds, sizeof(syscalls->kinds));
	syscalls->shards_bytes = whole_pages(entries * sizeof(struct ebtop_syscall_shard));
	syscalls->shards_memory = map_array(maps->fd[MAP_SYSCALL_SHARDS], syscalls->shards_bytes);
	syscalls->interval_ns = syscalls->reset_ns = syscalls->slice_began_ns[0] = now_ns;
	if (slot_array_open(&syscalls->slots, maps->fd[MAP_SYSCALL_SLOTS], maps->slot_count,
			    sizeof(struct ebtop_syscall_slot)) ||
	    !syscalls->shards_memory) {
		syscalls_close(syscalls);
		return -ENOMEM;
	}
	syscalls->on = 1;
	return 0;
}

static void free_sums(struct syscall_sums *sums)
{
	if (sums)
		free(sums->slices);
	free(sums);
}

void syscalls_close(struct syscalls *syscalls)
{
	slot_array_close(&syscalls->slots);
	if (syscalls->shards_memory)
		munmap(syscalls->shards_memory, syscalls->shards_bytes);
	for (int number = 0; number < EBTOP_SYSCALL_ENTRIES; number++)
		free_sums(syscalls->sums[number]);
	buffer_free(&syscalls->rows);
	memset(syscalls, 0, sizeof(*syscalls));
}

int syscalls_read(struct syscalls *syscalls, __u32 index, struct ebtop_syscall_slot *ret)
{
	return slot_array_read(&syscalls->slots, index, ret);
}

/* ---- shards ---- */

static struct syscall_sums *sums_of(struct syscalls *syscalls, __u32 number)
{
	struct syscall_sums **sums = &syscalls->sums[number];

	if (!*sums)
		*sums = calloc(1, sizeof(**sums) + syscalls->shards * sizeof((*sums)->last[0]));
	return *sums;
}

static void add_shard(struct histogram *interval, struct ebtop_syscall_shard *counts,
		      struct ebtop_syscall_shard *last, __u32 epoch)
{
	struct ebtop_syscall_shard now;

	memcpy(&now, counts, sizeof(now));
	interval->calls += now.calls - last->calls;
	interval->errors += now.errors - last->errors;
	interval->total_ns += now.total_ns - last->total_ns;
	interval->untimed += now.untimed - last->untimed;
	for (int i = 0; i < EBTOP_FINE_BUCKETS; i++)
		interval->buckets[i] += now.buckets[i] - last->buckets[i];
	if (now.min_ns[epoch])
		histogram_widen(interval, now.min_ns[epoch] - 1, now.max_ns[epoch]);
	*last = now;
	counts->min_ns[epoch] = counts->max_ns[epoch] = 0;
}

/* Most numbers are never called: their shards cost a look at one word each. */
static void sum_shards(struct syscalls *syscalls, __u32 number, __u32 epoch)
{
	struct syscall_sums *sums = syscalls->sums[number];

	if (sums)
		histogram_clear(&sums->interval);
	for (__u32 shard = 0; shard < syscalls->shards; shard++) {
		struct ebtop_syscall_shard *counts =
			&syscalls->shards_memory[shard * EBTOP_SYSCALL_ENTRIES + number];

		if (!counts->calls)
			continue;
		sums = sums_of(syscalls, number);
		if (!sums)
			return;
		if (counts->calls != sums->last[shard].calls)
			add_shard(&sums->interval, counts, &sums->last[shard], epoch);
	}
}

/* The interval goes into the slice that is open; after a second, the next one is opened. */
static void turn_slice(struct syscalls *syscalls, __u64 now_ns)
{
	if (!syscalls->sliced)
		return;
	syscalls->slice_ended_ns[syscalls->slice] = now_ns;
	if (now_ns - syscalls->slice_began_ns[syscalls->slice] < SLICE_NS)
		return;
	syscalls->slice = (syscalls->slice + 1) % SYSCALL_SLICES;
	syscalls->slice_began_ns[syscalls->slice] = now_ns;
	syscalls->slice_ended_ns[syscalls->slice] = 0;
	for (int number = 0; number < EBTOP_SYSCALL_ENTRIES; number++)
		if (syscalls->sums[number] && syscalls->sums[number]->slices)
			histogram_clear(&syscalls->sums[number]->slices[syscalls->slice]);
}

/* Slices cost memory, so they are kept only once they have been looked at. */
static void keep_slice(struct syscalls *syscalls, struct syscall_sums *sums)
{
	if (!sums->slices && syscalls->sliced)
		sums->slices = calloc(SYSCALL_SLICES, sizeof(*sums->slices));
	if (sums->slices)
		histogram_add(&sums->slices[syscalls->slice], &sums->interval);
}

static void begin_slices(struct syscalls *syscalls)
{
	if (syscalls->sliced)
		return;
	syscalls->sliced = 1;
	syscalls->slice_began_ns[syscalls->slice] = syscalls->interval_ns;
}

/* A slice belongs to the last ten seconds when its middle does. */
static int in_ten_seconds(const struct syscalls *syscalls, int slice, __u64 now_ns)
{
	__u64 middle = (syscalls->slice_began_ns[slice] + syscalls->slice_ended_ns[slice]) / 2;

	return syscalls->slice_ended_ns[slice] && now_ns - middle < TEN_SECONDS_NS;
}

static void name_row(const struct syscalls *syscalls, __u32 entry, struct ebtop_syscall_row *row)
{
	__u32 cell = entry - EBTOP_SYSCALL_NUMBERS;
	__u64 odd;

	if (entry < EBTOP_SYSCALL_NUMBERS) {
		row->number = (__s32)(entry % EBTOP_SYSCALL_COMPAT);
		row->compat = entry >= EBTOP_SYSCALL_COMPAT;
	} else if (cell < EBTOP_SYSCALL_ODD &&
		   !bpf_map_lookup_elem(syscalls->odd_fd, &cell, &odd)) {
		row->number = (__s32)odd;
		row->compat = odd >> 32 != 0;
	} else {
		row->many = 1;
	}
}

static void pack(struct syscalls *syscalls, __u32 number, const struct histogram *histogram)
{
	struct ebtop_syscall_row *row;

	if (!histogram->calls)
		return;
	row = buffer_add(&syscalls->rows);
	if (!row)
		return;
	histogram_pack(histogram, row);
	name_row(syscalls, number, row);
}

static void pack_ten_seconds(struct syscalls *syscalls, __u32 number, __u64 now_ns)
{
	static struct histogram sum;

	histogram_clear(&sum);
	for (int slice = 0; syscalls->sums[number]->slices && slice < SYSCALL_SLICES; slice++)
		if (in_ten_seconds(syscalls, slice, now_ns))
			histogram_add(&sum, &syscalls->sums[number]->slices[slice]);
	pack(syscalls, number, &sum);
}

static __u64 window_ns(const struct syscalls *syscalls, enum ebtop_window window, __u64 now_ns)
{
	__u64 began = syscalls->interval_ns;

	if (window == EBTOP_WINDOW_RESET)
		began = syscalls->reset_ns;
	for (int slice = 0; window == EBTOP_WINDOW_TEN_SECONDS && slice < SYSCALL_SLICES; slice++)
		if (in_ten_seconds(syscalls, slice, now_ns) &&
		    syscalls->slice_began_ns[slice] < began)
			began = syscalls->slice_began_ns[slice];
	return now_ns - began;
}

void syscalls_refresh(struct syscalls *syscalls, struct config *config, __u64 now_ns,
		      enum ebtop_window window)
{
	__u32 epoch = config_next_epoch(config);

	syscalls->rows.count = 0;
	syscalls->calls = 0;
	if (window == EBTOP_WINDOW_TEN_SECONDS)
		begin_slices(syscalls);
	syscalls->slice_ended_ns[syscalls->slice] = now_ns;
	for (__u32 number = 0; number < EBTOP_SYSCALL_ENTRIES; number++) {
		struct syscall_sums *sums;

		sum_shards(syscalls, number, epoch);
		sums = syscalls->sums[number];
		if (!sums)
			continue;
		syscalls->calls += sums->interval.calls;
		histogram_add(&sums->total, &sums->interval);
		keep_slice(syscalls, sums);
		if (window == EBTOP_WINDOW_TEN_SECONDS)
			pack_ten_seconds(syscalls, number, now_ns);
		else
			pack(syscalls, number,
			     window == EBTOP_WINDOW_RESET ? &sums->total : &sums->interval);
	}
	syscalls->window_ns = window_ns(syscalls, window, now_ns);
	syscalls->interval_ns = now_ns;
	turn_slice(syscalls, now_ns);
}

__u32 syscalls_category(const struct syscalls *syscalls, __u32 number)
{
	if (number >= EBTOP_SYSCALL_NUMBERS)
		return EBTOP_CATEGORY_OTHER;
	return (__u32)syscalls->kinds[number] & 7;
}

void syscalls_add_interrupted(struct syscalls *syscalls, __u32 number, __u64 ns)
{
	struct ebtop_syscall_shard *counts =
		&syscalls->shards_memory[number % EBTOP_SYSCALL_ENTRIES];

	__atomic_fetch_add(&counts->calls, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&counts->errors, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&counts->total_ns, ns, __ATOMIC_RELAXED);
	__atomic_fetch_add(&counts->buckets[histogram_bucket(ns)], 1, __ATOMIC_RELAXED);
}

void syscalls_add_untimed(struct syscalls *syscalls, __u32 number)
{
	struct ebtop_syscall_shard *counts =
		&syscalls->shards_memory[number % EBTOP_SYSCALL_ENTRIES];

	__atomic_fetch_add(&counts->calls, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&counts->errors, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&counts->untimed, 1, __ATOMIC_RELAXED);
}

void syscalls_reset(struct syscalls *syscalls, __u64 now_ns)
{
	syscalls->reset_ns = now_ns;
	for (int number = 0; number < EBTOP_SYSCALL_ENTRIES; number++)
		if (syscalls->sums[number])
			histogram_clear(&syscalls->sums[number]->total);
}
