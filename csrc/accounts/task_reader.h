/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the choice of tasks that a refresh reads: all of them, or those of processes that ran.
 */
#ifndef EBTOP_TASK_READER_H
#define EBTOP_TASK_READER_H

#include "accounts/accounts.h"
#include "accounts/tasks.h"

struct task_reader {
	struct accounts *accounts;
	struct tasks *tasks;
	struct hidden *hidden;
	__u32 inspected_pid;   /* its tasks are read whether it ran or not; 0: none */
	struct buffer watched; /* struct watch_entry: what accounts->watch was */
	__u64 last_pass_ns, pass_took_ns;
};

void task_reader_read(struct task_reader *reader);

#endif
