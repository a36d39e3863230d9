/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns what BPF tells of waits: the memory beside the slots, the stacks that were met and what each
 * means, and the waits of one process by stack. What they are for a thread is in account_waits.c.
 */
#ifndef EBTOP_WAITS_H
#define EBTOP_WAITS_H

#include "shared/config.h"
#include "shared/symbols.h"
#include "util/hash.h"

struct waits {
	struct ebtop_wait_slot **chunks; /* mapped as far as threads have switched */
	__u32 chunk_count, slot_total;
	int slots_fd, stacks_fd, counts_fd;
	struct symbols symbols;
	struct hash stacks; /* struct stack */
	struct buffer rows; /* struct ebtop_wait_row */
};

int waits_open(struct waits *waits, const struct maps *maps, const char *functions);
void waits_close(struct waits *waits);
/* A copy of what the thread of that slot has; 0 or -EAGAIN. */
int waits_read(struct waits *waits, __u32 index, struct ebtop_wait_slot *ret);
/* A stack that was met for the first time. */
void waits_stack(struct waits *waits, const struct ebtop_stack_event *event);
/* enum ebtop_wait of a wait with that evidence, or EBTOP_STACK_UNRESOLVED when that stack has not been
 * heard of. */
__u32 waits_reason(const struct waits *waits, __u64 stack, __u32 evidence);
/* The address that a stack begins with; 0 when it has not been heard of. */
__u64 waits_innermost(const struct waits *waits, __u64 stack);
/* What was counted by stack of the process that was looked at. */
void waits_forget(struct waits *waits);
/* Fills `rows` with what has been counted since. */
void waits_list(struct waits *waits);

#endif
