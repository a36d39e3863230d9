/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns what every BPF file of ebtop begins with: libbpf's helpers, the kernel types, and the
 * counters of what was lost. Maps of one concern are in the file of that concern.
 */
#ifndef EBTOP_BPF_H
#define EBTOP_BPF_H

#include <linux/types.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "abi.h"
#include "kernel.bpf.h"
#include "compat.bpf.h"

/* enum ebtop_loss -> how many; shared by all probes */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EBTOP_LOSSES);
	__type(key, __u32);
	__type(value, __u64);
} losses SEC(".maps");

static __always_inline void count_loss(enum ebtop_loss cause)
{
	__u32 key = cause;
	__u64 *count = bpf_map_lookup_elem(&losses, &key);

	if (count)
		(*count)++;
}

/* comm is eight-byte aligned in neither struct nor kernel contract; both ends are 16 bytes. */
static __always_inline void copy_comm(char *to, const struct task_struct *task)
{
	((__u64 *)to)[0] = *(const __u64 *)&task->comm[0];
	((__u64 *)to)[1] = *((const __u64 *)&task->comm[0] + 1);
}

/* As wait(2) will give it (wait_task_zombie() in kernel/exit.c): the group's, else the leader's. */
static __always_inline int exit_code_in(const struct signal_struct *signal,
					const struct task_struct *leader)
{
	return signal->flags & SIGNAL_GROUP_EXIT ? signal->group_exit_code : leader->exit_code;
}

#endif
