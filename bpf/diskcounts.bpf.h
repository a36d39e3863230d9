/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the running totals of disk requests, by process and by disk, and adds completed requests to
 * them.
 */
#ifndef EBTOP_DISKCOUNTS_BPF_H
#define EBTOP_DISKCOUNTS_BPF_H

#include "bios.bpf.h"
#include "config.bpf.h"
#include "latency.bpf.h"

#define NOTE_DONE 1
#define NOTE_PARTIAL 2 /* a part of it is completed */
#define NOTE_SEQUENTIAL 4
#define NOTE_DIRECT 8
#define NOTE_FAILED 16
#define NOTE_TIMED 32
#define NOTE_BEGUN 64 /* it was not issued yet */

#define MERGED_MAX 256 /* bios of a request that are looked at; the others count as the first */
#define SHARES_MAX 4   /* of others in one request */

/* Copies of a disk's counts, a power of two; with fewer than CPUs, they are shared. */
const volatile __u32 cfg_shards = 1;
const volatile __u32 cfg_shared = 1;

__u32 epoch = 0; /* user space begins another one with each refresh: which extremes are of it */

struct block_note {
	__u64 began_ns;
	__u64 issued_ns; /* 0: it was not */
	struct bringer by;
	__u32 left; /* bytes to be completed */
	__u32 flags;
	__u32 group;      /* enum ebtop_disk_group */
	__u32 shares;     /* of others than who brought its first bio */
	__u64 latency_ns; /* with NOTE_TIMED */
	__u64 request;    /* its address */
	__u64 bio;        /* of it, that is looked at */
	__u64 bio_bytes;
};

struct block_share {
	struct bringer by;
	__u64 bytes; /* not completed yet */
};

struct block_shares {
	struct block_share of[SHARES_MAX];
};

/* A hash: the keys are addresses of struct request, of those few that several processes share. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct block_shares);
} block_shares SEC(".maps");

/* A hash: few of all processes do I/O, and a request may end after its process. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct ebtop_disk_owner);
	__type(value, struct ebtop_disk_counts);
} block_owners SEC(".maps");

/* A hash: device numbers and shards */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct ebtop_disk_shard);
} block_shards SEC(".maps");

/* zeros, which new entries of the above begin as */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ebtop_disk_shard);
} block_zero SEC(".maps");

/* A disk without a device number (one path of a multipath device) goes by its name. */
static __always_inline __u64 number_of(const struct gendisk *disk)
{
	__u64 number = (__u64)(__u32)disk->major << 20 | (__u32)disk->first_minor;
	const __u64 *name = (const __u64 *)&disk->disk_name[0];

	return number ? number : name[0] ^ name[1] << 32;
}

/* What a completion adds. Whether it does is in the note's flags, for the verifier walks both ways of
 * every condition, and forgets what it knew only of what is in a map. */
struct tally {
	__u64 bytes, now_ns, bucket, whole_bucket;
	__u32 group;
};

static __always_inline void add64(__u64 *sum, __u64 amount, bool shared)
{
	if (shared)
		__sync_fetch_and_add(sum, amount);
	else
		*sum += amount;
}

static __always_inline void add_bucket(__u32 *buckets, __u64 bucket, bool shared)
{
	barrier_var(bucket); /* or the compiler drops the bound that the verifier wants to see */
	if (bucket >= EBTOP_FINE_BUCKETS)
		return;
	if (shared)
		__sync_fetch_and_add(&buckets[bucket], 1);
	else
		buckets[bucket]++;
}

/* Two CPUs may race for an extreme: one of two close ones is kept. */
static __always_inline void widen(struct ebtop_disk_counts *counts, __u64 ns)
{
	__u32 now = epoch, which = now & 1;

	if (counts->epochs[which] != now) {
		counts->min_ns[which] = counts->max_ns[which] = 0;
		counts->epochs[which] = now;
	}
	if (!counts->min_ns[which] || ns + 1 < counts->min_ns[which])
		counts->min_ns[which] = ns + 1;
	if (ns > counts->max_ns[which])
		counts->max_ns[which] = ns;
}

static __always_inline void count(struct ebtop_disk_counts *counts, const struct tally *tally,
				  const struct block_note *note, bool shared)
{
	__u32 group = tally->group & 3;

	add64(&counts->bytes[group], tally->bytes, shared);
	counts->last_ns = tally->now_ns;
	if (note->flags & NOTE_DIRECT)
		add64(&counts->direct_bytes, tally->bytes, shared);
	if (!(note->flags & NOTE_DONE))
		return;
	add64(&counts->requests[group], 1, shared);
	if (note->flags & NOTE_FAILED)
		add64(&counts->errors, 1, shared);
	if (note->flags & NOTE_SEQUENTIAL)
		add64(&counts->sequential, 1, shared);
	if (!(note->flags & NOTE_TIMED))
		return;
	/* from the map: of a constant 0 the compiler makes an operation that Linux 5.10 does not have */
	add64(&counts->latency_ns, note->latency_ns, shared);
	add_bucket(counts->buckets, tally->bucket, shared);
	widen(counts, note->latency_ns);
}

static __always_inline struct ebtop_disk_counts *counts_of(const struct ebtop_disk_owner *owner)
{
	struct ebtop_disk_counts *counts = bpf_map_lookup_elem(&block_owners, owner);
	__u32 zero = 0;
	void *zeros;

	if (counts)
		return counts;
	zeros = bpf_map_lookup_elem(&block_zero, &zero);
	if (zeros)
		bpf_map_update_elem(&block_owners, owner, zeros, BPF_NOEXIST);
	counts = bpf_map_lookup_elem(&block_owners, owner);
	if (!counts)
		count_loss(EBTOP_LOST_DISK_REQUESTS);
	return counts;
}

/* Nobody is charged with what is written back. */
static __always_inline struct ebtop_disk_owner owner_of(const struct bringer *by)
{
	struct ebtop_disk_owner owner = {};

	if (by->flags & BRINGER_WRITE_BACK)
		return owner;
	owner.start_ns = by->start_ns;
	owner.pid = by->pid;
	return owner;
}

static __always_inline void count_written_back(const struct bringer *by, const struct tally *tally)
{
	struct ebtop_disk_owner owner = { by->start_ns, by->pid, 0 };
	struct ebtop_disk_counts *counts;

	if (!(by->flags & BRINGER_WRITE_BACK) || tally->group != EBTOP_GROUP_WRITES)
		return;
	counts = counts_of(&owner);
	if (!counts)
		return;
	add64(&counts->written_back_bytes, tally->bytes, true);
	counts->last_ns = tally->now_ns;
}

static __always_inline void count_for_owner(const struct block_note *note,
					    const struct tally *tally)
{
	struct ebtop_disk_owner owner = owner_of(&note->by);
	struct ebtop_disk_counts *counts = counts_of(&owner);

	if (counts)
		count(counts, tally, note, true);
	count_written_back(&note->by, tally);
}

/* Bytes that were merged into another's request, which is that one's. */
static __always_inline void count_bytes(const struct bringer *by, const struct tally *tally,
					bool direct)
{
	struct ebtop_disk_owner owner = owner_of(by);
	struct ebtop_disk_counts *counts = counts_of(&owner);

	count_written_back(by, tally);
	if (!counts)
		return;
	add64(&counts->bytes[tally->group & 3], tally->bytes, true);
	if (direct)
		add64(&counts->direct_bytes, tally->bytes, true);
	counts->last_ns = tally->now_ns;
}

/* What others have brought of the bytes that are completed: theirs are said to be the first. */
static __always_inline __u64 count_shares(const struct block_note *note, __u64 request,
					  const struct tally *tally)
{
	struct block_shares *shares = bpf_map_lookup_elem(&block_shares, &request);
	struct tally part = { .now_ns = tally->now_ns, .group = tally->group };
	__u64 left = tally->bytes;

	for (int i = 0; shares && i < SHARES_MAX; i++) {
		struct block_share *share = &shares->of[i];

		if (i >= note->shares)
			break;
		part.bytes = share->bytes < left ? share->bytes : left;
		share->bytes -= part.bytes;
		left -= part.bytes;
		count_bytes(&share->by, &part, note->flags & NOTE_DIRECT);
	}
	if (shares && note->flags & NOTE_DONE)
		bpf_map_delete_elem(&block_shares, &request);
	return tally->bytes - left;
}

static __always_inline struct ebtop_disk_shard *make_shard(__u64 key, const struct gendisk *disk)
{
	struct ebtop_disk_shard *counts;
	__u32 zero = 0;
	void *zeros = bpf_map_lookup_elem(&block_zero, &zero);

	if (zeros)
		bpf_map_update_elem(&block_shards, &key, zeros, BPF_NOEXIST);
	counts = bpf_map_lookup_elem(&block_shards, &key);
	if (!counts)
		return NULL;
	for (int i = 0; i < EBTOP_DISK_NAME_BYTES / 8; i++)
		((__u64 *)counts->name)[i] = *((const __u64 *)&disk->disk_name[0] + i);
	return counts;
}

static __always_inline void count_for_disk(const struct gendisk *disk,
					   const struct block_note *note, const struct tally *tally)
{
	__u64 key = number_of(disk) << 8 | (bpf_get_smp_processor_id() & (cfg_shards - 1));
	struct ebtop_disk_shard *counts = bpf_map_lookup_elem(&block_shards, &key);
	bool shared = cfg_shared;

	if (!counts)
		counts = make_shard(key, disk);
	if (!counts) {
		count_loss(EBTOP_LOST_DISK_REQUESTS);
		return;
	}
	count(&counts->counts, tally, note, shared);
	if (note->flags & NOTE_TIMED)
		add_bucket(counts->whole, tally->whole_bucket, shared);
}

#endif
