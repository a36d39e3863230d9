/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the user side of the slots: mapping the shared array, keeping track of free slots, and
 * reading a slot while a CPU may be writing it. accounts/ turns slots into threads.
 */
#ifndef EBTOP_SLOTS_H
#define EBTOP_SLOTS_H

#include <stddef.h>

#include "ebtop.h"
#include "shared/maps.h"

struct slots {
	struct ebtop_slot **chunks; /* mapped as far as slots have been handed out */
	__u32 chunk_count;
	struct ebtop_free_slots *free_lists;
	size_t free_lists_bytes;
	__u32 *spare; /* free slots that are not in any CPU's ring */
	__u32 spare_count;
	__u32 used_end;    /* slots from here on were never handed out */
	__u64 *seen_since; /* since_ns of a sleeping slot when last read */
	__u32 first;       /* the first slot that is not an idle thread's */
	__u32 total;
	__u32 cpus;
	int fd;
};

int slots_open(struct slots *slots, const struct maps *maps, struct ebtop_error *err);
void slots_close(struct slots *slots);
/* Hands free slots to the CPUs, enough for the threads that each may start. */
void slots_provide(struct slots *slots);
/* Takes back a slot whose thread has been accounted for the last time. */
void slots_recycle(struct slots *slots, __u32 index);
/* Slot `index`; NULL: never handed out. */
struct ebtop_slot *slots_at(const struct slots *slots, __u32 index);
/* A consistent copy. 0, or -EAGAIN when the slot kept changing. */
int slots_read(const struct ebtop_slot *slot, struct ebtop_slot *ret);

#endif
