// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns reading BPF's counts of disk requests, and their sums by disk. Counts only grow, so an
 * interval is a difference; minima and maxima cannot be subtracted and are kept by epoch.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "shared/disks.h"
#include "skel/block.skel.h"

#define BATCH_MARGIN 64 /* more than fit, so that a batch never ends early */

struct disk_values {
	__u64 bytes[EBTOP_GROUPS], requests[EBTOP_GROUPS];
	__u64 errors, sequential;
};

struct disk {
	__u64 key; /* of the shard that was found first: its number, without the shard */
	char name[EBTOP_DISK_NAME_BYTES];
	struct disk_values interval, total;
	struct disk_latencies latencies, whole;
	struct ebtop_disk_shard last[]; /* one a shard */
};

#define SHARD_BITS 8

/* ---- open and close ---- */

static int find_map(struct bpf_object *object, const char *name, __u32 *entries)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, name);

	*entries = map ? bpf_map__max_entries(map) : 0;
	return map ? bpf_map__fd(map) : -1;
}

/* Globals of the programs are in memory that they share with us. */
static __u32 *find_epoch(struct bpf_object *object)
{
	struct bpf_map *map;
	size_t size = 0;

	bpf_object__for_each_map(map, object)
	{
		struct block_bpf__bss *globals;

		if (!strstr(bpf_map__name(map), ".bss"))
			continue;
		globals = bpf_map__initial_value(map, &size);
		return globals && size >= sizeof(*globals) ? &globals->epoch : NULL;
	}
	return NULL;
}

int disks_open(struct disks *disks, struct bpf_object *object)
{
	__u32 owners, shards;

	memset(disks, 0, sizeof(*disks));
	disks->rows = BUFFER_OF(struct ebtop_disk_row);
	disks->all = BUFFER_OF(struct disk *);
	disks->owners_fd = find_map(object, "block_owners", &disks->owners_max);
	disks->shards_fd = find_map(object, "block_shards", &disks->shards_max);
	disks->epoch = find_epoch(object);
	disks->on = 1;
	owners = disks->owners_max + BATCH_MARGIN;
	shards = disks->shards_max + BATCH_MARGIN;
	/* memory that is never touched costs nothing */
	disks->owner_keys = malloc(owners * sizeof(*disks->owner_keys));
	disks->owner_counts = malloc(owners * sizeof(*disks->owner_counts));
	disks->shard_keys = malloc(shards * sizeof(*disks->shard_keys));
	disks->shard_values = malloc(shards * sizeof(*disks->shard_values));
	if (!disks->epoch || !disks->owner_keys || !disks->owner_counts || !disks->shard_keys ||
	    !disks->shard_values || hash_open(&disks->owners)) {
		disks_close(disks);
		return -ENOMEM;
	}
	return 0;
}

static void free_owners(struct disks *disks)
{
	for (size_t bucket = 0; bucket < disks->owners.bucket_count; bucket++) {
		struct hash_node *node = disks->owners.buckets[bucket], *next;

		for (; node; node = next) {
			next = node->next;
			free(node);
		}
	}
	hash_close(&disks->owners);
}

void disks_close(struct disks *disks)
{
	if (!disks->on)
		return;
	free_owners(disks);
	for (size_t i = 0; i < disks->all.count; i++)
		free(*(struct disk **)buffer_at(&disks->all, i));
	buffer_free(&disks->all);
	buffer_free(&disks->rows);
	free(disks->owner_keys);
	free(disks->owner_counts);
	free(disks->shard_keys);
	free(disks->shard_values);
	memset(disks, 0, sizeof(*disks));
}

/* All of a hash map in one call; how many entries it has. */
static __u32 read_batch(int fd, void *keys, void *values, __u32 room)
{
	__u32 count = room, at = 0;
	int ret = bpf_map_lookup_batch(fd, NULL, &at, keys, values, &count, NULL);

	return !ret || ret == -ENOENT ? count : 0;
}

void disks_read_owners(struct disks *disks)
{
	disks->ended = *disks->epoch;
	__atomic_store_n(disks->epoch, disks->ended + 1, __ATOMIC_SEQ_CST);
	disks->owner_count = read_batch(disks->owners_fd, disks->owner_keys, disks->owner_counts,
					disks->owners_max + BATCH_MARGIN);
}

void disks_forget(struct disks *disks, struct disk_owner *owner)
{
	struct ebtop_disk_owner key = { owner->node.start_ns, owner->node.id, 0 };

	bpf_map_delete_elem(disks->owners_fd, &key);
	hash_remove(&disks->owners, &owner->node);
	free(owner);
}

/* ---- growth ---- */

static void add_buckets(struct histogram *histogram, const __u32 *now, const __u32 *last)
{
	for (int i = 0; i < EBTOP_FINE_BUCKETS; i++) {
		histogram->buckets[i] += now[i] - last[i];
		histogram->calls += now[i] - last[i];
	}
}

void disks_add_latencies(const struct disks *disks, struct histogram *interval,
			 const struct ebtop_disk_counts *now, const struct ebtop_disk_counts *last)
{
	__u32 which = disks->ended & 1;

	interval->total_ns += now->latency_ns - last->latency_ns;
	add_buckets(interval, now->buckets, last->buckets);
	if (now->epochs[which] == disks->ended && now->min_ns[which])
		histogram_widen(interval, now->min_ns[which] - 1, now->max_ns[which]);
}

static struct disk *disk_of(struct disks *disks, __u64 key, const char *name)
{
	const size_t shards = disks->shards_max / EBTOP_DISKS_MAX;
	struct disk *disk, **place;

	for (size_t i = 0; i < disks->all.count; i++) {
		disk = *(struct disk **)buffer_at(&disks->all, i);
		if (disk->key == key)
			return disk;
	}
	disk = calloc(1, sizeof(*disk) + shards * sizeof(disk->last[0]));
	place = disk ? buffer_add(&disks->all) : NULL;
	if (!place) {
		free(disk);
		return NULL;
	}
	disk->key = key;
	memcpy(disk->name, name, sizeof(disk->name));
	return *place = disk;
}

static void add_shard(const struct disks *disks, struct disk *disk,
		      const struct ebtop_disk_shard *now, struct ebtop_disk_shard *last)
{
	struct disk_values *interval = &disk->interval;

	for (int group = 0; group < EBTOP_GROUPS; group++) {
		interval->bytes[group] += now->counts.bytes[group] - last->counts.bytes[group];
		interval->requests[group] +=
			now->counts.requests[group] - last->counts.requests[group];
	}
	interval->errors += now->counts.errors - last->counts.errors;
	interval->sequential += now->counts.sequential - last->counts.sequential;
	disks_add_latencies(disks, &disk->latencies.interval, &now->counts, &last->counts);
	add_buckets(&disk->whole.interval, now->whole, last->whole);
	*last = *now;
}

static void begin_interval(struct disk *disk)
{
	memset(&disk->interval, 0, sizeof(disk->interval));
	histogram_clear(&disk->latencies.interval);
	histogram_clear(&disk->whole.interval);
}

static void add_to_total(struct disk *disk)
{
	__u64 *total = (__u64 *)&disk->total;
	const __u64 *interval = (const __u64 *)&disk->interval;

	for (size_t i = 0; i < sizeof(disk->total) / sizeof(*total); i++)
		total[i] += interval[i];
	histogram_add(&disk->latencies.total, &disk->latencies.interval);
	histogram_add(&disk->whole.total, &disk->whole.interval);
}

/* ---- rows ---- */

static void pack(struct disks *disks, const struct disk *disk, int cumulative)
{
	const struct disk_values *values = cumulative ? &disk->total : &disk->interval;
	const struct histogram *latencies =
		cumulative ? &disk->latencies.total : &disk->latencies.interval;
	const struct histogram *whole = cumulative ? &disk->whole.total : &disk->whole.interval;
	struct ebtop_disk_row *row = buffer_add(&disks->rows);

	if (!row)
		return;
	*row = (struct ebtop_disk_row){
		.known = 1u << EBTOP_DISK_FACT_REQUESTS | 1u << EBTOP_DISK_FACT_LATENCY,
		.read_bytes = values->bytes[EBTOP_GROUP_READS],
		.write_bytes = values->bytes[EBTOP_GROUP_WRITES],
		.discard_bytes = values->bytes[EBTOP_GROUP_DISCARDS],
		.reads = values->requests[EBTOP_GROUP_READS],
		.writes = values->requests[EBTOP_GROUP_WRITES],
		.discards = values->requests[EBTOP_GROUP_DISCARDS],
		.errors = values->errors,
		.sequential = values->sequential,
		.latency_ns = latencies->total_ns,
		.timed = latencies->calls,
	};
	memcpy(row->name, disk->name, sizeof(row->name));
	if (!latencies->calls)
		return;
	row->latency_min_ns = latencies->min_ns;
	row->latency_max_ns = latencies->max_ns;
	row->latency_p50_ns = histogram_percentile(latencies, 50);
	row->latency_p99_ns = histogram_percentile(latencies, 99);
	row->queued_p50_ns = histogram_percentile(whole, 50);
	row->queued_p99_ns = histogram_percentile(whole, 99);
}

void disks_refresh(struct disks *disks, int cumulative)
{
	const __u32 shards = disks->shards_max / EBTOP_DISKS_MAX;
	__u32 count = read_batch(disks->shards_fd, disks->shard_keys, disks->shard_values,
				 disks->shards_max + BATCH_MARGIN);

	for (size_t i = 0; i < disks->all.count; i++)
		begin_interval(*(struct disk **)buffer_at(&disks->all, i));
	for (__u32 i = 0; i < count; i++) {
		const struct ebtop_disk_shard *counts = &disks->shard_values[i];
		__u32 shard = disks->shard_keys[i] & ((1u << SHARD_BITS) - 1);
		struct disk *disk =
			disk_of(disks, disks->shard_keys[i] >> SHARD_BITS, counts->name);

		if (disk && shard < shards)
			add_shard(disks, disk, counts, &disk->last[shard]);
	}
	disks->rows.count = 0;
	for (size_t i = 0; i < disks->all.count; i++) {
		struct disk *disk = *(struct disk **)buffer_at(&disks->all, i);

		add_to_total(disk);
		pack(disks, disk, cumulative);
	}
}

static void reset_latencies(struct disk_latencies *latencies)
{
	histogram_clear(&latencies->total);
}

void disks_reset(struct disks *disks)
{
	for (size_t i = 0; i < disks->all.count; i++) {
		struct disk *disk = *(struct disk **)buffer_at(&disks->all, i);

		memset(&disk->total, 0, sizeof(disk->total));
		reset_latencies(&disk->latencies);
		reset_latencies(&disk->whole);
	}
	for (size_t bucket = 0; bucket < disks->owners.bucket_count; bucket++)
		for (struct hash_node *node = disks->owners.buckets[bucket]; node;
		     node = node->next)
			reset_latencies(&((struct disk_owner *)node)->latencies);
	memset(disks->rest.total, 0, sizeof(disks->rest.total));
	reset_latencies(&disks->rest.latencies);
}

static void pack_latencies(const struct disk_latencies *latencies, int cumulative,
			   struct ebtop_row *row)
{
	const struct histogram *histogram = cumulative ? &latencies->total : &latencies->interval;

	row->disk_timed = histogram->calls;
	if (!histogram->calls)
		return;
	row->disk_latency_min_ns = histogram->min_ns;
	row->disk_latency_max_ns = histogram->max_ns;
	row->disk_latency_p99_ns = histogram_percentile(histogram, 99);
}

int disks_pack_owner(const struct disks *disks, __u32 pid, __u64 start_ns, int cumulative,
		     struct ebtop_row *row)
{
	const struct disk_owner *owner = (void *)hash_find(&disks->owners, pid, start_ns);

	if (!owner)
		return 0;
	pack_latencies(&owner->latencies, cumulative, row);
	if (owner->slow)
		row->flags |= EBTOP_ROW_DISK_SLOW;
	return 1;
}

int disks_pack_rest(const struct disks *disks, int cumulative, struct ebtop_row *row)
{
	const __u64 *counters = cumulative ? disks->rest.total : disks->rest.interval;

	if (!counters[EBTOP_DISK_READS] && !counters[EBTOP_DISK_WRITES] &&
	    !counters[EBTOP_DISK_READ_BYTES] && !counters[EBTOP_DISK_WRITE_BYTES])
		return 0;
	memcpy(row->counters, counters, sizeof(row->counters));
	pack_latencies(&disks->rest.latencies, cumulative, row);
	return 1;
}
