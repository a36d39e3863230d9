// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns reading slots into accounts: which slots changed, their totals at the time of the refresh,
 * and the threads that they belong to.
 */
#include <errno.h>
#include <string.h>

#include "accounts/account.h"

struct reading { /* a slot's totals at the moment of the refresh */
	__u64 oncpu_ns, offcpu_ns, runq_wait_ns;
};

/* The slice or wait in progress counts up to now. */
static struct reading reading_of(const struct ebtop_slot *slot, __u64 now)
{
	struct reading at = { slot->oncpu_ns, slot->offcpu_ns, slot->runq_wait_ns };
	__u64 open = delta(now, slot->since_ns);

	if (slot->state == EBTOP_SLOT_RUNNING)
		at.oncpu_ns += open;
	else if (slot->state == EBTOP_SLOT_RUNNABLE)
		at.runq_wait_ns += delta(open, slot->charged_wait_ns);
	else if (slot->state == EBTOP_SLOT_OFF)
		at.offcpu_ns += open;
	return at;
}

static void set_last(struct thread *thread, const struct ebtop_slot *slot, struct reading at)
{
	thread->oncpu_ns = at.oncpu_ns;
	thread->offcpu_ns = at.offcpu_ns;
	thread->runq_wait_ns = at.runq_wait_ns;
	thread->voluntary_switches = slot->voluntary_switches;
	thread->involuntary_switches = slot->involuntary_switches;
	thread->migrations = slot->migrations;
}

/*
 * The first slot of a thread. One born under our eyes begins at 0. One known from the task records
 * has its totals from there, and what it did before its slot it spent waiting or running:
 * whatever the interval does not explain was off the CPU. Of any other, earlier totals are not ours.
 * How long it was off the CPU in this interval without being watched.
 */
static __u64 adopt(struct accounts *accounts, struct thread *thread, const struct ebtop_slot *slot,
		   struct reading at, int created)
{
	__u64 explained, oncpu;

	if (slot->flags & EBTOP_SLOT_BORN) {
		thread->oncpu_ns = thread->offcpu_ns = thread->runq_wait_ns = 0;
		return 0;
	}
	if (created) {
		set_last(thread, slot, at);
		thread->offcpu_ns = thread->runq_wait_ns = 0;
		return 0;
	}
	/* /proc may not have told how often it had moved */
	if (thread->process->flags & PROCESS_HIDDEN && !thread->migrations)
		thread->migrations = slot->migrations;
	oncpu = delta(at.oncpu_ns, thread->oncpu_ns);
	explained = oncpu + at.offcpu_ns + at.runq_wait_ns;
	if (slot->state == EBTOP_SLOT_DEAD)
		explained += delta(accounts->now_ns, slot->since_ns);
	explained = rest_of_interval(accounts, explained);
	add(thread, EBTOP_OFFCPU_NS, explained);
	thread->offcpu_ns = thread->runq_wait_ns = 0;
	return explained;
}

/* A thread that calls exec becomes the leader of its process, with the leader's start time. */
static int has_moved(const struct ebtop_slot *slot)
{
	return slot->tid == slot->pid && slot->start_ns != slot->leader_start_ns;
}

static __u64 start_of(const struct ebtop_slot *slot)
{
	return has_moved(slot) ? slot->leader_start_ns : slot->start_ns;
}

/* A slot is another thread's only after it was given back: until then it is the same one's. */
static struct thread *thread_of_slot(struct accounts *accounts, __u32 index,
				     const struct ebtop_slot *slot, int *fresh, int *created)
{
	const struct thread_identity identity = { start_of(slot), slot->start_ns, slot->owner,
						  slot->tid };
	struct thread *thread = accounts->by_slot[index];
	struct process *process;

	*fresh = *created = 0;
	if (thread) {
		accounts_change_identity(accounts, thread, slot->tid, start_of(slot));
		return thread;
	}
	process = accounts_process(accounts, slot->pid, slot->leader_start_ns);
	if (!process)
		return NULL;
	/* until a record says what its leader is called */
	if (!process->comm[0] && (slot->tid == slot->pid || !accounts->have_tasks))
		memcpy(process->comm, slot->comm, sizeof(process->comm));
	thread = accounts_thread(accounts, process, identity, created);
	if (!thread)
		return NULL;
	if (thread->slot)
		accounts_leave_slot(accounts, thread);
	process->live_slots++;
	thread->slot = index;
	if (thread->began_ns == thread->node.start_ns)
		thread->began_ns = slot->start_ns;
	accounts->by_slot[index] = thread;
	if (process->live_slots == process->live)
		process->flags &= ~(__u32)PROCESS_UNTRACKED;
	*fresh = 1;
	return thread;
}

/* A slice in progress is taken at clock time; where that was too much, it is not given again. */
static struct reading not_behind(struct reading at, const struct thread *thread)
{
	return (struct reading){ at.oncpu_ns + delta(thread->oncpu_ns, at.oncpu_ns),
				 at.offcpu_ns + delta(thread->offcpu_ns, at.offcpu_ns),
				 at.runq_wait_ns + delta(thread->runq_wait_ns, at.runq_wait_ns) };
}

/*
 * The kernel sums up a thread that nobody waits for before its last switch: that switch counts for the
 * machine, but for no process.
 */
static int is_beyond_rusage(const struct ebtop_slot *slot)
{
	return slot->state == EBTOP_SLOT_DEAD && slot->task_state & EXIT_DEAD;
}

static void take_slot(struct accounts *accounts, struct thread *thread, __u32 index,
		      const struct ebtop_slot *slot, struct reading at)
{
	__u32 voluntary = delta_low(slot->voluntary_switches, thread->voluntary_switches);
	__u32 involuntary = delta_low(slot->involuntary_switches, thread->involuntary_switches);

	add(thread, EBTOP_ONCPU_NS, delta(at.oncpu_ns, thread->oncpu_ns));
	add(thread, EBTOP_OFFCPU_NS, delta(at.offcpu_ns, thread->offcpu_ns));
	add(thread, EBTOP_RUNQ_WAIT_NS, delta(at.runq_wait_ns, thread->runq_wait_ns));
	accounts->switches += (__u64)voluntary + involuntary;
	add(thread, EBTOP_VOLUNTARY_SWITCHES, voluntary - (voluntary && is_beyond_rusage(slot)));
	add(thread, EBTOP_INVOLUNTARY_SWITCHES, involuntary);
	add(thread, EBTOP_MIGRATIONS, delta_low(slot->migrations, thread->migrations));
	/* no other program is run for one that is hidden */
	if (!(thread->process->flags & PROCESS_HIDDEN))
		for (int i = 0; i < accounts->reader_count; i++)
			accounts->readers[i](accounts, thread, index, slot, at.oncpu_ns);
	set_last(thread, slot, not_behind(at, thread));
	thread->user_ticks_ns = slot->user_ticks_ns;
	thread->kernel_ticks_ns = slot->kernel_ticks_ns;
	thread->task_state = slot->task_state;
	thread->slot_state = slot->state;
	/* what it is called later, its last switch tells, and until then records */
	if (!thread->comm[0] || slot->state == EBTOP_SLOT_DEAD)
		memcpy(thread->comm, slot->comm, sizeof(thread->comm));
	if (slot->flags >> EBTOP_SLOT_FOLLOWED_SHIFT)
		thread->process->followed = slot->flags >> EBTOP_SLOT_FOLLOWED_SHIFT;
	thread->process->flags |= PROCESS_ACCOUNTED;
	if (thread->node.id == thread->process->node.id) {
		thread->process->task_state = slot->task_state;
		thread->process->flags |= PROCESS_STATE;
	}
}

void accounts_slot(struct accounts *accounts, __u32 index, const struct ebtop_slot *slot)
{
	struct reading at = reading_of(slot, accounts->now_ns);
	__u64 slept = 0, unwatched = 0;
	struct thread *thread;
	int fresh, created;

	thread = thread_of_slot(accounts, index, slot, &fresh, &created);
	if (!thread)
		return;
	accounts_mark_thread_active(accounts, thread);
	if (fresh)
		unwatched = adopt(accounts, thread, slot, at, created);
	else if (thread->updated_ns < accounts->before_ns)
		/* it slept through whole intervals, which were counted as they went by */
		slept = accounts->before_ns - thread->updated_ns;
	thread->offcpu_ns += slept;
	thread->updated_ns = accounts->now_ns;
	accounts_waits(accounts, thread, index, slot, slept, unwatched, fresh);
	take_slot(accounts, thread, index, slot, at);
	if (slot->state != EBTOP_SLOT_DEAD)
		return;
	thread->ended_ns = slot->since_ns;
	if (slot->flags & EBTOP_SLOT_GROUP_DEAD)
		thread->process->flags |= PROCESS_GROUP_DEAD;
	accounts_retire_thread(accounts, thread);
}

/*
 * A CPU runs one thread: the one it switched to last. A slot that says running although its CPU had
 * switched since, before the scan began, missed the switch away (a recursion miss, or a kernel that
 * runs no programs for some tasks): its slice is not open. Nor is it on a CPU that has been taken
 * offline: tracepoints are silent there, also for the last switch to the idle thread.
 */
static void close_missed_slice(struct accounts *accounts, struct ebtop_slot *slot)
{
	if (slot->cpu >= accounts->slots->cpus)
		return;
	if (!accounts->cpu_online[slot->cpu])
		slot->state = EBTOP_SLOT_OFF;
	else if (slot->since_ns < accounts->cpu_switched_ns[slot->cpu] &&
		 hidden_left(accounts->hidden, slot))
		slot->state = EBTOP_SLOT_FREE;
}

/* When all others have been visited, the leader that it took its tid from has ended. */
static int defer(struct accounts *accounts, __u32 index, const struct ebtop_slot *slot)
{
	struct moved_slot *entry = buffer_add(&accounts->moved);

	if (entry)
		*entry = (struct moved_slot){ *slot, index, 0 };
	return entry ? 0 : -ENOMEM;
}

static void take_deferred(struct accounts *accounts)
{
	for (size_t i = 0; i < accounts->moved.count; i++) {
		const struct moved_slot *entry = buffer_at(&accounts->moved, i);

		accounts_slot(accounts, entry->index, &entry->slot);
	}
	accounts->moved.count = 0;
}

void accounts_scan(struct accounts *accounts, int dead_only)
{
	struct slots *slots = accounts->slots;

	for (__u32 cpu = 0; cpu < slots->cpus; cpu++)
		accounts->cpu_switched_ns[cpu] =
			__atomic_load_n(&slots_at(slots, cpu + 1)->since_ns, __ATOMIC_ACQUIRE);
	for (__u32 index = slots->first; index < slots->used_end; index++) {
		const struct ebtop_slot *slot = slots_at(slots, index);
		__u32 state = __atomic_load_n(&slot->state, __ATOMIC_RELAXED);
		struct ebtop_slot copy;

		if (state == EBTOP_SLOT_FREE || (dead_only && state != EBTOP_SLOT_DEAD))
			continue;
		if (state == EBTOP_SLOT_OFF && slot->since_ns == slots->seen_since[index])
			continue;
		if (slots_read(slot, &copy))
			continue; /* its totals will be in the next interval */
		slots->seen_since[index] = copy.state == EBTOP_SLOT_OFF ? copy.since_ns : 0;
		if (copy.state == EBTOP_SLOT_RUNNING)
			close_missed_slice(accounts, &copy);
		if (!has_moved(&copy) || defer(accounts, index, &copy))
			accounts_slot(accounts, index, &copy);
	}
	take_deferred(accounts);
}
