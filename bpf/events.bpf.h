/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the ring buffer: its map, the head of every record, and the decision when to wake the
 * reader. The probes own the events.
 */
#ifndef EBTOP_EVENTS_BPF_H
#define EBTOP_EVENTS_BPF_H

#include "ebtop.bpf.h"

/* Size is set before loading. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

/*
 * The reader is woken each time that so much more is waiting; until then it reads at its own pace. A
 * wakeup costs an interrupt, 5 us in a virtual machine, so not every event that comes while it reads
 * causes one. The window is wider than the longest record, or one could leap over it.
 */
#define WAKEUP_BYTES 65536
#define WAKEUP_WINDOW 8192

static __always_inline void fill_head(struct ebtop_event *head, struct task_struct *task,
				      __u32 type, __u32 size)
{
	head->time_ns = bpf_ktime_get_ns();
	head->type = type;
	head->size = size;
	head->cpu = bpf_get_smp_processor_id();
	head->pid = task->tgid;
	head->tid = task->pid;
	head->uid = task->real_cred->euid.val;
	copy_comm(head->comm, task->group_leader);
	copy_comm(head->thread_comm, task);
}

/* Before 5.11 the leader of the current process is to be had by helper alone: else its thread's name. */
static __always_inline void copy_current_names(char *process, char *thread, bool with_reads)
{
	struct task_struct *task;

	bpf_get_current_comm(thread, EBTOP_COMM_BYTES);
	if (has_current_task()) {
		copy_comm(process, bpf_get_current_task_btf()->group_leader);
		return;
	}
	bpf_get_current_comm(process, EBTOP_COMM_BYTES);
	if (!with_reads)
		return;
	task = (void *)bpf_get_current_task();
	BPF_CORE_READ_INTO((char(*)[EBTOP_COMM_BYTES])process, task, group_leader, comm);
}

/* The same of the current thread, where the hook does not give its task. */
static __always_inline void fill_head_of_current(struct ebtop_event *head, __u32 type,
						 bool with_reads)
{
	__u64 ids = bpf_get_current_pid_tgid();

	head->time_ns = bpf_ktime_get_ns();
	head->type = type;
	head->cpu = bpf_get_smp_processor_id();
	head->pid = ids >> 32;
	head->tid = ids;
	head->uid = current_euid(with_reads);
	copy_current_names(head->comm, head->thread_comm, with_reads);
}

static __always_inline __u64 wakeup_flag(void)
{
	__u64 waiting = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA);

	return waiting >= WAKEUP_BYTES && waiting % WAKEUP_BYTES < WAKEUP_WINDOW ?
		       BPF_RB_FORCE_WAKEUP :
		       BPF_RB_NO_WAKEUP;
}

static __always_inline void submit(void *event)
{
	bpf_ringbuf_submit(event, wakeup_flag());
}

/* For a record of a length that is not known beforehand. */
static __always_inline void output(void *event, __u64 size)
{
	if (bpf_ringbuf_output(&events, event, size, wakeup_flag()))
		count_loss(EBTOP_LOST_RING_BUFFER);
}

/* Wakes the reader, who has something to do that is not in the ring buffer. */
static __always_inline void nudge_reader(void)
{
	struct ebtop_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event)
		return; /* full: the reader has been woken already */
	__builtin_memset(event, 0, sizeof(*event));
	event->type = EBTOP_EVENT_NUDGE;
	event->size = sizeof(*event);
	bpf_ringbuf_submit(event, BPF_RB_FORCE_WAKEUP);
}

#endif
