/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the machine's system calls: the shards that BPF counts in, summed over CPUs, in three
 * windows, as rows with percentiles. It also maps the counters of threads, which account_syscalls.c
 * adds up.
 */
#ifndef EBTOP_SYSCALLS_H
#define EBTOP_SYSCALLS_H

#include "shared/slot_array.h"
#include "util/buffer.h"
#include "shared/config.h"

struct syscall_sums;

#define SYSCALL_SLICES 12 /* of a second or more: the window of ten seconds */

struct syscalls {
	int on;
	struct slot_array slots;
	struct ebtop_syscall_shard *shards_memory; /* by shard, then by number */
	size_t shards_bytes;
	__u32 shards;
	char kinds[EBTOP_SYSCALL_NUMBERS];                /* as given to the probe */
	struct syscall_sums *sums[EBTOP_SYSCALL_ENTRIES]; /* of those that were ever called */
	int odd_fd; /* of the map of numbers that are in no table */
	__u64 slice_began_ns[SYSCALL_SLICES], slice_ended_ns[SYSCALL_SLICES];
	__u32 slice;       /* the one that is being filled */
	int sliced;        /* somebody looked at the window of ten seconds */
	__u64 boot_ns;     /* since when calls are counted, boot-time clock */
	__u64 reset_ns;    /* where the window since the reset began */
	__u64 interval_ns; /* where the last interval began */
	__u64 calls;       /* of the interval, all system calls */
	__u64 window_ns;   /* what `rows` cover */
	struct buffer rows;
};

int syscalls_open(struct syscalls *syscalls, const struct maps *maps, const char *kinds,
		  __u64 now_ns);
void syscalls_close(struct syscalls *syscalls);
/* Copies the counters of the thread in that slot. 0, or -EAGAIN when they kept changing. */
int syscalls_read(struct syscalls *syscalls, __u32 index, struct ebtop_syscall_slot *ret);
/* Sums the interval that ends now, and fills `rows` for `window`. */
void syscalls_refresh(struct syscalls *syscalls, struct config *config, __u64 now_ns,
		      enum ebtop_window window);
/* enum ebtop_syscall_category */
__u32 syscalls_category(const struct syscalls *syscalls, __u32 number);
/* An interrupted call whose thread has ended, so that it will not be restarted. */
void syscalls_add_interrupted(struct syscalls *syscalls, __u32 number, __u64 ns);
/* A failed call of unknown duration. */
void syscalls_add_untimed(struct syscalls *syscalls, __u32 number);
void syscalls_reset(struct syscalls *syscalls, __u64 now_ns);

#endif
