/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns what is read from /proc of a thread that no program sees. `folder` is /proc/PID or
 * /proc/PID/task/TID. Each returns 0 or a negative errno: what could not be read is not 0.
 */
#ifndef EBTOP_HIDDEN_PROC_H
#define EBTOP_HIDDEN_PROC_H

#include "ebtop.h"

struct hidden_time { /* as the scheduler has it */
	__u64 oncpu_ns;
	__u64 runq_wait_ns; /* of waits that have ended */
	int knows_waits;    /* 0: this kernel does not count them */
};

__u64 hidden_tick_ns(void);
/* Name, state, memory, faults, ticks; the start in ticks. -EPROTO: not what the kernel writes. */
int hidden_read_stat(const char *folder, struct ebtop_task *record, __u64 *start_ticks);
/* Owner, parts of memory, switches. */
int hidden_read_status(const char *folder, struct ebtop_task *record);
int hidden_read_time(const char *folder, struct hidden_time *ret);
/* How often the thread has moved to another CPU; only kernels made with SCHED_DEBUG tell. */
int hidden_read_migrations(const char *folder, __u64 *ret);
/* The number of its cgroup in the hierarchy of cgroup2. */
int hidden_read_cgroup(const char *folder, __u64 *ret);

#endif
