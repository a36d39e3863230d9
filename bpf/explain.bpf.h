/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns finding the reason of a wait in the kernel: the evidence noted when the thread leaves its
 * CPU, the decision whether that is enough when the thread comes back, and otherwise its stack. The
 * array lies beside the slots, so the rules of slots hold.
 */
#ifndef EBTOP_EXPLAIN_BPF_H
#define EBTOP_EXPLAIN_BPF_H

#include "slow.bpf.h"
#include "stack.bpf.h"
#include "wait.bpf.h"

/* A stack costs about half a microsecond: it is taken where that is a hundredth of the wait. */
#define STACK_FROM_NS 50000
#define PENDING_MAX_NS (~0ull >> EBTOP_NOTED_PENDING_SHIFT)

/* beside the slots, same index; size is set before loading */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ebtop_wait_slot);
} wait_slots SEC(".maps");

/* stack -> what threads of the process that is looked at have waited in it; size is set by who makes it */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct ebtop_stack_count);
} stack_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ebtop_stack_cost);
} stack_cost SEC(".maps");

static __always_inline struct ebtop_wait_slot *wait_at(__u32 index)
{
	return bpf_map_lookup_elem(&wait_slots, &index);
}

static __always_inline void wait_begin(__u32 index)
{
	struct ebtop_wait_slot *wait = wait_at(index);

	if (!wait)
		return;
	__builtin_memset(wait, 0, sizeof(*wait));
	wait->noted = UNSURE(OTHER);
}

static __always_inline __u32 noted_evidence(const struct ebtop_wait_slot *wait)
{
	return wait->noted & EBTOP_NOTED_EVIDENCE;
}

static __always_inline void wait_note(__u32 index, __u32 evidence)
{
	struct ebtop_wait_slot *wait = wait_at(index);

	if (wait)
		wait->noted = (wait->noted & ~(__u64)EBTOP_NOTED_EVIDENCE) | evidence;
}

static __always_inline void wait_add(struct ebtop_wait_slot *wait, __u32 reason, __u64 ns)
{
	if (reason < EBTOP_WAIT_OTHER)
		wait->ns[reason] += ns;
}

static __always_inline bool wants_stack(const struct ebtop_slot *slot, __u32 evidence)
{
	const struct ebtop_config *now = config_for(EBTOP_COLLECT_STACKS);

	if (!now)
		return false;
	return evidence & EBTOP_WAIT_UNSURE ? is_watched(now, slot->pid, slot) :
					      is_inspected(now, slot->pid, slot);
}

/* As far as the slot tells; the rest is asked when it is back. */
static __always_inline bool may_be_slow(const struct ebtop_slot *slot, __u64 waited)
{
	const struct ebtop_config *now = config_for(EBTOP_COLLECT_SLOW_WAITS);

	return now && waited >= now->slow_ns && is_watched(now, slot->pid, slot);
}

static __always_inline void wait_end(const struct ebtop_slot *slot, __u32 index, __u64 waited)
{
	struct ebtop_wait_slot *wait = wait_at(index);

	if (!wait)
		return;
	if (waited >= STACK_FROM_NS && waited <= PENDING_MAX_NS &&
	    (wants_stack(slot, noted_evidence(wait)) || may_be_slow(slot, waited)))
		wait->noted = (wait->noted & ((1ull << EBTOP_NOTED_PENDING_SHIFT) - 1)) |
			      waited << EBTOP_NOTED_PENDING_SHIFT;
	else
		wait_add(wait, noted_evidence(wait) & 7, waited);
}

static __always_inline void count_stack(const struct taken_stack *taken, __u32 evidence, __u64 ns)
{
	struct ebtop_stack_count *count = bpf_map_lookup_elem(&stack_counts, &taken->id);
	struct ebtop_stack_count first = { ns, 1, evidence, 0 };

	if (!count) {
		bpf_map_update_elem(&stack_counts, &taken->id, &first, BPF_NOEXIST);
		return;
	}
	__sync_fetch_and_add(&count->ns, ns);
	__sync_fetch_and_add(&count->count, 1);
	count->evidence = evidence;
}

/* User space will add it to the thread's waits when it knows what the stack means. */
static __always_inline bool defer_wait(const struct ebtop_slot *slot, __u64 stack, __u32 evidence,
				       __u64 ns)
{
	struct ebtop_wait_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event)
		return false;
	__builtin_memset(event, 0, sizeof(*event));
	event->head.type = EBTOP_EVENT_WAIT;
	event->head.size = sizeof(*event);
	event->head.pid = slot->pid;
	event->head.tid = slot->tid;
	event->start_ns = slot->tid == slot->pid ? slot->leader_start_ns : slot->start_ns;
	event->stack = stack;
	event->ns = ns;
	event->evidence = evidence;
	submit(event);
	return true;
}

/* The program's own statistics do not tell this part from the rest. */
static __always_inline struct taken_stack take_stack_timed(struct task_struct *task)
{
	__u64 began = bpf_ktime_get_ns();
	struct taken_stack taken = take_stack(task);
	__u32 key = 0;
	struct ebtop_stack_cost *cost = bpf_map_lookup_elem(&stack_cost, &key);

	if (cost) {
		cost->runs++;
		cost->run_ns += bpf_ktime_get_ns() - began;
	}
	return taken;
}

/* A wait that was long, of a thread that is about to run again. */
static __noinline int emit_slow_wait(struct task_struct *task, __u64 ns, __u64 stack,
				     __u32 evidence, bool with_reads)
{
	const struct ebtop_config *now = config_for(EBTOP_COLLECT_SLOW_WAITS);
	struct waiting_call call = { -1, 0 };
	struct ebtop_slow *event;

	if (!(task->flags & (PF_KTHREAD | PF_IO_WORKER)))
		call = waiting_call(task, cfg_thread_size, with_reads);
	if (!now || !wants_call(now, call.number))
		return 0;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		count_loss(EBTOP_LOST_RING_BUFFER);
		return 0;
	}
	__builtin_memset(event, 0, sizeof(*event));
	fill_head(&event->head, task, EBTOP_EVENT_SLOW, sizeof(*event));
	event->data.kind = EBTOP_SLOW_WAIT;
	event->data.duration_ns = ns;
	event->data.stack = stack;
	event->data.evidence = evidence;
	if (call.number >= 0 && call.number < EBTOP_SYSCALL_NUMBERS) {
		event->data.call = call.number + 1;
		if (with_reads && object_of(call.number) == EBTOP_OBJECT_DESCRIPTOR)
			about_descriptor(&event->data, task, call.first);
	}
	submit(event);
	return 0;
}

/* Kernel threads without work are no news. */
static __always_inline bool is_slow(const struct task_struct *task, const struct ebtop_slot *slot,
				    __u64 ns, __u32 evidence)
{
	const struct ebtop_config *now = config_for(EBTOP_COLLECT_SLOW_WAITS);

	if (task->flags & PF_KTHREAD && evidence == EBTOP_WAIT_SLEEP)
		return false;
	return now && may_be_slow(slot, ns) && !is_excluded(now, slot->pid) &&
	       (now->uid == EBTOP_ANY_UID || now->uid == task->real_cred->euid.val);
}

/* The thread is about to run again, and its stack still is that of its wait. */
static __always_inline void wait_explain(struct task_struct *task, const struct ebtop_slot *slot,
					 __u32 index, bool with_reads)
{
	const struct ebtop_config *now = config_for(EBTOP_COLLECT_STACKS);
	struct ebtop_wait_slot *wait = wait_at(index);
	struct taken_stack taken;
	__u32 evidence, reason;
	__u64 ns;

	if (!wait || !(wait->noted >> EBTOP_NOTED_PENDING_SHIFT))
		return;
	ns = wait->noted >> EBTOP_NOTED_PENDING_SHIFT;
	evidence = noted_evidence(wait);
	reason = evidence & 7;
	wait->noted &= (1ull << EBTOP_NOTED_PENDING_SHIFT) - 1;
	taken = (struct taken_stack){ 0, EBTOP_STACK_UNRESOLVED };
	if (wants_stack(slot, evidence))
		taken = take_stack_timed(task);
	if (is_slow(task, slot, ns, evidence))
		emit_slow_wait(task, ns, taken.id, evidence, with_reads);
	if (taken.id && now && is_inspected(now, slot->pid, slot) &&
	    bpf_ktime_get_ns() - ns >= now->inspected_ns)
		count_stack(&taken, evidence, ns);
	if (taken.id && evidence & EBTOP_WAIT_UNSURE) {
		if (taken.reason == EBTOP_STACK_UNRESOLVED &&
		    defer_wait(slot, taken.id, evidence, ns))
			return;
		if (taken.reason < EBTOP_WAITS)
			reason = taken.reason;
		wait->noted = evidence | evidence << EBTOP_NOTED_EXPLAINED_SHIFT |
			      reason << EBTOP_NOTED_EXPLAINED_AS_SHIFT;
	}
	wait_add(wait, reason, ns);
}

#endif
