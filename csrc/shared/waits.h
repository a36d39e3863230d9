/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns waits as BPF records them: the array beside the slots, the reason of each stack seen so far,
 * and the waits of the inspected process by stack. account_waits.c divides the time of a thread.
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
/* Copies the waits of the thread in that slot. 0 or -EAGAIN. */
int waits_read(struct waits *waits, __u32 index, struct ebtop_wait_slot *ret);
/* Records a new stack. */
void waits_stack(struct waits *waits, const struct ebtop_stack_event *event);
/* The enum ebtop_wait of this evidence; EBTOP_STACK_UNRESOLVED: the stack is not known yet. */
__u32 waits_reason(const struct waits *waits, __u64 stack, __u32 evidence);
/* The innermost address of a stack; 0: the stack is not known yet. */
__u64 waits_innermost(const struct waits *waits, __u64 stack);
/* Forgets the waits counted for the inspected process. */
void waits_forget(struct waits *waits);
/* Fills `rows` with the waits counted since. */
void waits_list(struct waits *waits);

#endif
