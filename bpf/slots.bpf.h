/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the way from a task to its slot. The index is a plain array over pids rather than task
 * storage or a hash: the lookup is inlined by the JIT, needs no allocation under the run-queue
 * lock, and is the same on every kernel (docs/decisions.md has the numbers). It does not
 * decide what is counted.
 *
 * Every caller runs with the run-queue lock of the CPU that owns the thread at that moment, so
 * slots need no atomics, and a CPU's free list is touched by one program at a time.
 */
#ifndef EBTOP_SLOTS_BPF_H
#define EBTOP_SLOTS_BPF_H

#include "events.bpf.h"

/* Sizes are set before loading: pid_max / 16, and CPUs + threads. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ebtop_pid_page);
} pid_pages SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ebtop_slot);
} slots SEC(".maps");

/* one entry a possible CPU */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ebtop_free_slots);
} free_slots SEC(".maps");

static __always_inline __u32 *slot_index(__u32 tid)
{
	__u32 page = tid / EBTOP_PIDS_PER_PAGE;
	struct ebtop_pid_page *pids = bpf_map_lookup_elem(&pid_pages, &page);

	return pids ? &pids->slot[tid % EBTOP_PIDS_PER_PAGE] : NULL;
}

static __always_inline struct ebtop_slot *slot_at(__u32 index)
{
	return bpf_map_lookup_elem(&slots, &index);
}

static __always_inline struct ebtop_slot *known_slot(const struct task_struct *task,
						     const __u32 *index)
{
	struct ebtop_slot *slot = *index ? slot_at(*index) : NULL;

	return slot && slot->owner == (__u64)task ? slot : NULL;
}

/* An entry is zeroed when taken: a stale read of `given` (arm64) then looks like an empty list. */
static __always_inline __u32 free_slot_take(void)
{
	__u32 cpu = bpf_get_smp_processor_id(), index;
	struct ebtop_free_slots *list = bpf_map_lookup_elem(&free_slots, &cpu);

	if (!list || list->taken == list->given)
		return 0;
	index = list->slot[list->taken % EBTOP_FREE_SLOTS];
	if (!index)
		return 0;
	list->slot[list->taken % EBTOP_FREE_SLOTS] = 0;
	list->taken++;
	/* threads come faster than the reader looks: what is left is for the time until it does */
	if (list->given - list->taken == list->low)
		nudge_reader();
	return index;
}

/* What the kernel counts exactly itself. */
static __always_inline void copy_kernel_counts(struct ebtop_slot *slot, struct task_struct *task)
{
	slot->oncpu_ns = task->se.sum_exec_runtime;
	slot->voluntary_switches = task->nvcsw;
	slot->involuntary_switches = task->nivcsw;
	slot->user_ticks_ns = task->utime;
	slot->kernel_ticks_ns = task->stime;
	slot->migrations = task->se.nr_migrations;
}

static __always_inline struct ebtop_slot *slot_create(struct task_struct *task, __u32 *index,
						      __u32 state, __u64 now, __u32 flags)
{
	__u32 taken = free_slot_take();
	struct ebtop_slot *slot;

	if (!taken) {
		/* once for each thread, however often it asks */
		if (*index != EBTOP_SLOT_LOST)
			count_loss(EBTOP_LOST_THREAD_SLOTS);
		*index = EBTOP_SLOT_LOST;
		return NULL;
	}
	*index = taken;
	slot = slot_at(taken);
	if (!slot)
		return NULL;
	slot->since_ns = now;
	slot->offcpu_ns = 0;
	slot->runq_wait_ns = 0;
	slot->charged_wait_ns = 0;
	copy_kernel_counts(slot, task);
	slot->owner = (__u64)task;
	slot->start_ns = task->start_boottime;
	slot->leader_start_ns = task->group_leader->start_boottime;
	slot->tid = task->pid;
	slot->pid = task->tgid;
	slot->task_state = TASK_RUNNING;
	slot->flags = task->flags & PF_KTHREAD ? flags | EBTOP_SLOT_KERNEL : flags;
	slot->cpu = bpf_get_smp_processor_id();
	copy_comm(slot->comm, task);
	slot->state = state;
	return slot;
}

/* The slot a task owned is final: user space will read it once more and give it back. */
static __always_inline void slot_end(struct ebtop_slot *slot, __u32 *index, __u64 now, __u32 flags)
{
	slot->since_ns = now;
	slot->flags |= flags;
	slot->state = EBTOP_SLOT_DEAD;
	*index = 0;
}

#endif
