/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the maps that several probes share: made once, and handed to each BPF object before it
 * loads.
 */
#ifndef EBTOP_MAPS_H
#define EBTOP_MAPS_H

#include "ebtop.h"

struct bpf_object;

enum shared_map {
	MAP_SLOTS,
	MAP_PID_PAGES,
	MAP_FREE_SLOTS,
	MAP_EVENTS,
	MAP_LOSSES,
	MAP_CONFIG,
	MAP_WAIT_SLOTS,
	MAP_WAIT_STACKS,
	MAP_STACK_COUNTS,
	MAP_STACK_COST,
	MAP_RUNQ_SHARDS,
	MAPS_AT_ONCE, /* the maps above are made when the session opens, the others when a probe needs them */
	MAP_SYSCALL_SLOTS = MAPS_AT_ONCE,
	MAP_SYSCALL_SHARDS,
	MAP_ODD_NUMBERS,
	MAP_OPEN_CALLS,
	MAP_FILE_SLOTS,
	MAP_FILE_COUNTS,
	MAP_TCP_SLOTS,
	MAP_CONNECTIONS,
	MAP_CONNECTION_COUNTS,
	MAP_MEM_SLOTS,
	SHARED_MAPS
};

struct maps {
	int fd[SHARED_MAPS];
	__u32 cpus;       /* possible ones */
	__u32 slot_count; /* idle slots and slot 0 included */
	__u32 shards;     /* copies of the counts of system calls: a power of two */
	__u32 events_bytes;
	__u32 connections; /* room for so many */
	int little_memory; /* tables are small */
};

int maps_open(struct maps *maps, const struct ebtop_settings *settings, struct ebtop_error *err);
void maps_close(struct maps *maps);
/* Makes the map unless it exists. 0 or -errno. */
int maps_add(struct maps *maps, enum shared_map which, struct ebtop_error *err);
void maps_drop(struct maps *maps, enum shared_map which);
/* The number of entries that the map has or would be made with. */
__u32 maps_room(const struct maps *maps, enum shared_map which);
/* Makes `object` use the shared maps. 0 or -errno. */
int maps_share(const struct maps *maps, struct bpf_object *object);
/* Whether a loaded object has the current ones of all maps that it shares. */
int maps_are_shared(const struct maps *maps, struct bpf_object *object);
/* Losses since the start by cause, over all possible CPUs. 0 or -errno. */
int maps_losses(const struct maps *maps, __u64 losses[EBTOP_LOSSES]);
/* The cost of taking stacks since the start, over all CPUs. 0 or -errno. */
int maps_stack_cost(const struct maps *maps, struct ebtop_stack_cost *ret);

#endif
