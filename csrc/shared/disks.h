/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns disk requests: running totals counted by BPF, read once a refresh, as one row for each disk
 * and as latencies of processes. account_disks.c decides which process is charged.
 */
#ifndef EBTOP_DISKS_H
#define EBTOP_DISKS_H

#include "util/buffer.h"
#include "util/hash.h"
#include "util/histogram.h"

struct bpf_object;

struct disk_latencies {
	struct histogram interval, total; /* total: since the start or the last reset */
};

/* A process that requests are charged to, as BPF identifies it. */
struct disk_owner {
	struct hash_node node; /* pid and start; first, so that a node can be cast to its owner */
	struct ebtop_disk_counts last;
	struct disk_latencies latencies;
	__u64 usual_ns; /* how long its requests took lately; 0: not known */
	__u32 slow;     /* in the last interval they took far longer */
	__u32 pad;
};

struct disk_rest { /* requests that no process is charged with */
	__u64 interval[EBTOP_COUNTERS], total[EBTOP_COUNTERS];
	struct disk_latencies latencies;
};

struct disks {
	int on;
	int tells_dirtiers; /* the processes whose pages kernel threads write back are known */
	int owners_fd, shards_fd;
	__u32 owners_max, shards_max;
	__u32 *epoch;                        /* shared with BPF */
	__u32 ended;                         /* the epoch that the present refresh reads */
	struct ebtop_disk_owner *owner_keys; /* as last read, with their counts */
	struct ebtop_disk_counts *owner_counts;
	__u32 owner_count;
	__u64 *shard_keys;
	struct ebtop_disk_shard *shard_values;
	struct hash owners; /* struct disk_owner */
	struct buffer all;  /* struct disk * */
	struct disk_rest rest;
	struct buffer rows; /* struct ebtop_disk_row */
};

/* 0 or -ENOMEM. */
int disks_open(struct disks *disks, struct bpf_object *object);
void disks_close(struct disks *disks);
/* Begins another epoch, and reads the totals of owners. */
void disks_read_owners(struct disks *disks);
/* Forgets an owner, here and in BPF. */
void disks_forget(struct disks *disks, struct disk_owner *owner);
/* Fills `rows` with the interval that ends, or with the totals since the reset. */
void disks_refresh(struct disks *disks, int cumulative);
void disks_reset(struct disks *disks);
/* Adds the latencies between `last` and `now`, in the epoch that ended. */
void disks_add_latencies(const struct disks *disks, struct histogram *interval,
			 const struct ebtop_disk_counts *now, const struct ebtop_disk_counts *last);
/* Packs the latencies of one process. 0: it had no request. */
int disks_pack_owner(const struct disks *disks, __u32 pid, __u64 start_ns, int cumulative,
		     struct ebtop_row *row);
/* Packs the row that is charged with the requests of no process. 0: there are none. */
int disks_pack_rest(const struct disks *disks, int cumulative, struct ebtop_row *row);

#endif
