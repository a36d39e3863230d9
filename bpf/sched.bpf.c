// SPDX-License-Identifier: GPL-2.0

/*
 * Owns sched_switch, sched_wakeup and sched_wakeup_new. For each thread: on-CPU time, off-CPU time,
 * run-queue wait, kinds of switches, and migrations. Values that the kernel counts exactly
 * (execution time, switches, migrations) are copied when the thread leaves its CPU. Waits are
 * measured here, and their reason is noted when the thread leaves. Idle threads have slots too, one
 * for each CPU, which give the idle time.
 *
 * Time is partitioned: a wait begins where the kernel stops charging the thread, so on-CPU, off-CPU
 * and run-queue time of a thread add up to its life by construction.
 */
#include "explain.bpf.h"
#include "hidden.bpf.h"
#include "latency.bpf.h"

/* one entry a possible CPU */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ebtop_runq_shard);
} runq_shards SEC(".maps");

/* idle threads share pid 0, so their slots are 1 .. CPUs */
static __always_inline struct ebtop_slot *idle_slot(void)
{
	return slot_at(bpf_get_smp_processor_id() + 1);
}

/*
 * Exec by a thread that is not the leader: it takes the leader's tid and gives it its own, some time
 * before the event that tells. Until life.bpf.c has moved its slot it has none where its tid leads.
 */
static __always_inline bool takes_tid(const struct task_struct *task)
{
	return task->pid == task->tgid && BPF_CORE_READ_BITFIELD(task, in_execve);
}

/* The leader that it was taken from: its last switch may come later. */
static __always_inline bool gave_tid(const struct task_struct *task)
{
	return task->pid != task->tgid &&
	       task->start_boottime == task->group_leader->start_boottime;
}

/* The slot of a task met for the first time, or after its tid had another owner. */
static __always_inline struct ebtop_slot *new_slot(struct task_struct *task, __u32 *index,
						   __u32 state, __u64 now, __u32 flags)
{
	struct ebtop_slot *old = *index ? slot_at(*index) : NULL;

	/* a slot that user space took back may serve another thread by now: then leave it alone */
	if (old && old->tid == (__u32)task->pid)
		slot_end(old, index, now, 0);
	old = slot_create(task, index, state, now, flags);
	if (old)
		wait_begin(*index);
	return old;
}

/*
 * The slice that began at since_ns ends where the kernel stopped charging for it. When that is later
 * than now, it began to charge before the switch: from the wakeup on, for a CPU that was idle
 * (RQCF_REQ_SKIP). That time is in the run-queue wait too; the next wait is shorter by it.
 */
static __always_inline void stop_charging(struct ebtop_slot *slot, struct task_struct *task,
					  __u64 now)
{
	__u64 left = slot->since_ns + (task->se.sum_exec_runtime - slot->oncpu_ns);

	if (left > now) {
		slot->charged_wait_ns += left - now;
		left = now;
	}
	slot->since_ns = left;
	copy_kernel_counts(slot, task);
}

/* A dead leader whose tid was taken: its slot still is where that tid leads. */
static __always_inline void leave_for_good(struct task_struct *task, __u32 state, __u64 now)
{
	__u32 *index = slot_index(task->tgid);
	struct ebtop_slot *slot = index ? known_slot(task, index) : NULL;

	if (!slot || !(state & TASK_DEAD))
		return;
	stop_charging(slot, task, now);
	slot->task_state = state | task->exit_state;
	copy_comm(slot->comm, task);
	slot_end(slot, index, now, 0);
}

/* By seccomp, for one: then no program was told of the call that it died in. */
static __always_inline void note_killed(struct ebtop_slot *slot, struct task_struct *task,
					bool with_reads)
{
	struct waiting_call call;

	if ((task->exit_code & 0x7f) != SIGSYS)
		return;
	call = waiting_call(task, cfg_thread_size, with_reads);
	if (call.number < 0 || call.number >= EBTOP_SYSCALL_NUMBERS)
		return;
	slot->charged_wait_ns = call.number;
	slot->flags |= EBTOP_SLOT_KILLED_IN;
}

/*
 * Its switch in was not seen: it came when the time that it was charged since had to begin. Its stack
 * is no longer that of the wait, so what was noted of that has to do.
 */
static __always_inline void enter_unseen(struct ebtop_slot *slot, __u32 index, __u64 oncpu_ns,
					 __u64 now)
{
	__u64 ran = oncpu_ns - slot->oncpu_ns, waited = now - slot->since_ns;
	struct ebtop_wait_slot *wait;

	if ((__s64)waited < 0) {
		count_loss(EBTOP_LOST_CLOCK_ORDER);
		return;
	}
	waited = waited > ran ? waited - ran : 0;
	if (slot->state == EBTOP_SLOT_RUNNABLE) {
		__u64 charged = slot->charged_wait_ns < waited ? slot->charged_wait_ns : waited;

		slot->runq_wait_ns += waited - charged;
		slot->charged_wait_ns -= charged;
	} else {
		slot->offcpu_ns += waited;
		wait = wait_at(index);
		if (wait)
			wait_add(wait, noted_evidence(wait) & 7, waited);
	}
	slot->since_ns += waited;
}

/* Of its process no thread is left: neither one that is ending yet, nor its leader. */
static __always_inline bool is_last(const struct task_struct *task)
{
	return !task->signal->live.counter && task->signal->nr_threads <= 1 &&
	       task->group_leader->exit_state;
}

static __always_inline void leave_cpu(struct task_struct *task, bool preempted, __u64 now,
				      bool with_reads)
{
	__u32 *index = slot_index(task->pid), state = task_state(task);
	struct ebtop_slot *slot;

	if (!index) {
		count_loss(EBTOP_LOST_PID_RANGE);
		return;
	}
	if (state & TASK_DEAD && is_last(task))
		end_filter_of(task->tgid);
	slot = known_slot(task, index);
	if (!slot) {
		if (takes_tid(task))
			return;
		if (gave_tid(task)) {
			leave_for_good(task, state, now);
			return;
		}
		slot = new_slot(task, index, EBTOP_SLOT_RUNNING, now, 0);
		if (!slot) {
			if (state & TASK_DEAD)
				*index = 0;
			return;
		}
	}
	if (slot->state != EBTOP_SLOT_RUNNING)
		enter_unseen(slot, *index, task->se.sum_exec_runtime, now);
	stop_charging(slot, task, now);
	slot->task_state = state | task->exit_state;
	if (state & TASK_DEAD) {
		note_killed(slot, task, with_reads);
		copy_comm(slot->comm, task);
		slot_end(slot, index, now, task->signal->live.counter ? 0 : EBTOP_SLOT_GROUP_DEAD);
	} else if (preempted || state == TASK_RUNNING) {
		slot->state = EBTOP_SLOT_RUNNABLE;
	} else {
		wait_note(*index, evidence_of(task, state, with_reads));
		slot->state = EBTOP_SLOT_OFF;
	}
}

static __always_inline void count_runq_wait(__u64 ns)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct ebtop_runq_shard *shard = bpf_map_lookup_elem(&runq_shards, &cpu);

	if (shard)
		shard->buckets[fine_bucket(ns)]++;
}

/* Ends the wait that the slot is in; a clock out of order is counted, not subtracted. */
static __always_inline void end_wait(struct ebtop_slot *slot, __u32 index, __u64 now)
{
	__u64 waited = now - slot->since_ns;

	if ((__s64)waited < 0) {
		count_loss(EBTOP_LOST_CLOCK_ORDER);
		return;
	}
	if (slot->state == EBTOP_SLOT_RUNNABLE) {
		__u64 charged = slot->charged_wait_ns < waited ? slot->charged_wait_ns : waited;

		slot->runq_wait_ns += waited - charged;
		slot->charged_wait_ns -= charged;
		count_runq_wait(waited - charged);
	} else if (slot->state == EBTOP_SLOT_OFF) {
		slot->offcpu_ns += waited;
		wait_end(slot, index, waited);
	}
	slot->since_ns = now;
}

/* The idle thread's slot keeps the time of its CPU's last switch while something else runs there. */
static __always_inline void mark_switch(__u32 cpu, __u64 now)
{
	struct ebtop_slot *idle = slot_at(cpu + 1);

	if (idle)
		idle->since_ns = now;
}

static __always_inline void enter_cpu(struct task_struct *task, __u64 now, bool with_reads)
{
	__u32 *index = slot_index(task->pid), cpu = bpf_get_smp_processor_id();
	struct ebtop_slot *slot;

	mark_switch(cpu, now);
	if (!index)
		return; /* counted when it leaves */
	slot = known_slot(task, index);
	if (!slot) {
		if (!takes_tid(task) && !gave_tid(task))
			new_slot(task, index, EBTOP_SLOT_RUNNING, now, 0);
		return;
	}
	/* its switch away was not seen: it left when the time it was charged had passed */
	if (slot->state == EBTOP_SLOT_RUNNING) {
		stop_charging(slot, task, now);
		/* so is not the state that it left in */
		wait_note(*index, evidence_of(task, TASK_INTERRUPTIBLE, with_reads));
		slot->state = EBTOP_SLOT_OFF;
	}
	end_wait(slot, *index, now);
	slot->state = EBTOP_SLOT_RUNNING;
	slot->cpu = cpu;
	wait_explain(task, slot, *index, with_reads);
}

/* The kernel does not charge idle threads, so theirs is plain clock time. */
static __always_inline void leave_idle(__u64 now)
{
	struct ebtop_slot *slot = idle_slot();

	if (!slot)
		return;
	if (slot->state == EBTOP_SLOT_RUNNING && now > slot->since_ns)
		slot->oncpu_ns += now - slot->since_ns;
	slot->since_ns = now;
	slot->voluntary_switches++;
	slot->state = EBTOP_SLOT_OFF;
}

static __always_inline void enter_idle(__u64 now)
{
	struct ebtop_slot *slot = idle_slot();

	if (!slot)
		return;
	slot->since_ns = now;
	slot->state = EBTOP_SLOT_RUNNING;
}

static __always_inline int account_switch(bool preempted, struct task_struct *prev,
					  struct task_struct *next, bool with_reads)
{
	__u64 now = bpf_ktime_get_ns();

	if (is_hidden(prev))
		return 0;
	if (prev->pid)
		leave_cpu(prev, preempted, now, with_reads);
	else
		leave_idle(now);
	if (next->pid)
		enter_cpu(next, now, with_reads);
	else
		enter_idle(now);
	return 0;
}

static __always_inline int account_wakeup(struct task_struct *task)
{
	__u32 *index = slot_index(task->pid);
	struct ebtop_slot *slot;
	__u64 now;

	if (!index || !task->pid || is_current_hidden())
		return 0;
	slot = known_slot(task, index);
	/* woken before it had left the CPU: nothing was waited for */
	if (slot && slot->state != EBTOP_SLOT_OFF)
		return 0;
	now = bpf_ktime_get_ns();
	if (!slot) {
		/* a task that is on its CPU has not waited either; its next switch takes a slot */
		if (!task_on_cpu(task) && !takes_tid(task))
			new_slot(task, index, EBTOP_SLOT_RUNNABLE, now, 0);
		return 0;
	}
	end_wait(slot, *index, now);
	slot->state = EBTOP_SLOT_RUNNABLE;
	return 0;
}

static __always_inline int account_birth(struct task_struct *task)
{
	__u32 *index = slot_index(task->pid);

	if (is_current_hidden())
		return 0;
	if (index)
		new_slot(task, index, EBTOP_SLOT_RUNNABLE, bpf_ktime_get_ns(),
			 EBTOP_SLOT_BORN | flags_for_child());
	else
		count_loss(EBTOP_LOST_PID_RANGE);
	return 0;
}

static __always_inline __u64 current_oncpu_ns(const struct task_struct *task)
{
	if (has_current_task())
		return bpf_get_current_task_btf()->se.sum_exec_runtime;
	return BPF_CORE_READ(task, se.sum_exec_runtime);
}

/*
 * Who is on this CPU now, whatever the events told: run by user space on a CPU whose last switch may
 * have been missed, in an interrupt of it. So no switch of the current task comes between.
 */
static __always_inline int account_current(void)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid(), *index = slot_index(tid);
	struct task_struct *task = (void *)bpf_get_current_task();
	__u64 now = bpf_ktime_get_ns();
	struct ebtop_slot *slot;

	if (is_current_hidden())
		return 0;
	if (!tid) {
		slot = idle_slot();
		if (slot && slot->state != EBTOP_SLOT_RUNNING)
			enter_idle(now);
		return 1;
	}
	slot = index ? known_slot(task, index) : NULL;
	if (!slot || slot->state == EBTOP_SLOT_RUNNING || slot->state == EBTOP_SLOT_DEAD)
		return 1;
	enter_unseen(slot, *index, current_oncpu_ns(task), now);
	mark_switch(bpf_get_smp_processor_id(), slot->since_ns);
	slot->state = EBTOP_SLOT_RUNNING;
	slot->cpu = bpf_get_smp_processor_id();
	return 1;
}

/* It is attached to nothing. */
SEC("?raw_tp/sched_switch") int current_raw(void *ctx)
{
	return account_current();
}

SEC("?tp_btf/sched_switch")
int BPF_PROG(switch_btf, bool preempted, struct task_struct *prev, struct task_struct *next)
{
	return account_switch(preempted, prev, next, true);
}

/* Where other memory must not be read (lockdown): files of descriptors are not known. */
SEC("?tp_btf/sched_switch")
int BPF_PROG(switch_bare_btf, bool preempted, struct task_struct *prev, struct task_struct *next)
{
	return account_switch(preempted, prev, next, false);
}

SEC("?tp_btf/sched_wakeup") int BPF_PROG(wakeup_btf, struct task_struct *task)
{
	return account_wakeup(task);
}

SEC("?tp_btf/sched_wakeup_new") int BPF_PROG(wakeup_new_btf, struct task_struct *task)
{
	return account_birth(task);
}

char _license[] SEC("license") = "GPL";
