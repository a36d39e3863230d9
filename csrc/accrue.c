// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns how slots, task records and events become numbers of a thread or process. Slots and records
 * hold the kernel's own running totals; what counts is their growth since they were last read.
 */
#include <stdlib.h>
#include <string.h>

#include "accounts.h"

/* Growth of a running total; what went backwards grew by nothing. */
static __u64 grown(__u64 now, __u64 last)
{
	return now > last ? now - last : 0;
}

/* The same for the low half of a counter, which may wrap. */
static __u32 grown_low(__u32 now, __u32 last)
{
	return now - last;
}

static void add(struct thread *thread, enum ebtop_counter counter, __u64 amount)
{
	thread->interval[counter] += amount;
}

/* ---- slots ---- */

struct reading {		/* a slot's totals at the moment of the refresh */
	__u64 oncpu_ns, offcpu_ns, runq_wait_ns;
};

/* The slice or wait in progress counts up to now. */
static struct reading reading_of(const struct ebtop_slot *slot, __u64 now)
{
	struct reading at = { slot->oncpu_ns, slot->offcpu_ns, slot->runq_wait_ns };
	__u64 open = grown(now, slot->since_ns);

	if (slot->state == EBTOP_SLOT_RUNNING)
		at.oncpu_ns += open;
	else if (slot->state == EBTOP_SLOT_RUNNABLE)
		at.runq_wait_ns += open;
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
 */
static void adopt(struct accounts *accounts, struct thread *thread, const struct ebtop_slot *slot,
		  struct reading at, int created)
{
	__u64 explained, oncpu;

	if (slot->flags & EBTOP_SLOT_BORN) {
		thread->oncpu_ns = thread->offcpu_ns = thread->runq_wait_ns = 0;
		return;
	}
	if (created || (slot->flags & EBTOP_SLOT_HANDED_OVER)) {
		set_last(thread, slot, at);
		thread->offcpu_ns = thread->runq_wait_ns = 0;
		return;
	}
	oncpu = grown(at.oncpu_ns, thread->oncpu_ns);
	explained = oncpu + at.offcpu_ns + at.runq_wait_ns;
	add(thread, EBTOP_OFFCPU_NS, grown(accounts->now_ns, thread->updated_ns + explained));
	thread->offcpu_ns = thread->runq_wait_ns = 0;
}

static struct thread *thread_of_slot(struct accounts *accounts, __u32 index,
				     const struct ebtop_slot *slot, int *fresh, int *created)
{
	struct thread *thread = accounts->by_slot[index];
	struct process *process;

	*fresh = *created = 0;
	if (thread && thread->node.id == slot->tid && thread->node.start_ns == slot->start_ns)
		return thread;
	process = accounts_process(accounts, slot->pid, slot->leader_start_ns);
	if (!process)
		return NULL;
	if (!process->comm[0])
		memcpy(process->comm, slot->comm, sizeof(process->comm));
	thread = accounts_thread(accounts, process, slot->tid, slot->start_ns, created);
	if (!thread)
		return NULL;
	if (!thread->slot)
		process->live_slots++;
	else
		accounts->by_slot[thread->slot] = NULL;
	thread->slot = index;
	accounts->by_slot[index] = thread;
	*fresh = 1;
	return thread;
}

static void take_slot(struct accounts *accounts, struct thread *thread,
		      const struct ebtop_slot *slot, struct reading at)
{
	__u32 voluntary = grown_low(slot->voluntary_switches, thread->voluntary_switches);
	__u32 involuntary = grown_low(slot->involuntary_switches, thread->involuntary_switches);

	add(thread, EBTOP_ONCPU_NS, grown(at.oncpu_ns, thread->oncpu_ns));
	add(thread, EBTOP_OFFCPU_NS, grown(at.offcpu_ns, thread->offcpu_ns));
	add(thread, EBTOP_RUNQ_WAIT_NS, grown(at.runq_wait_ns, thread->runq_wait_ns));
	add(thread, EBTOP_VOLUNTARY_SWITCHES, voluntary);
	add(thread, EBTOP_INVOLUNTARY_SWITCHES, involuntary);
	add(thread, EBTOP_MIGRATIONS, grown_low(slot->migrations, thread->migrations));
	accounts->switches += (__u64)voluntary + involuntary;
	set_last(thread, slot, at);
	thread->updated_ns = accounts->now_ns;
	thread->user_ticks_ns = slot->user_ticks_ns;
	thread->kernel_ticks_ns = slot->kernel_ticks_ns;
	thread->task_state = slot->task_state;
	thread->slot_state = slot->state;
	memcpy(thread->comm, slot->comm, sizeof(thread->comm));
	thread->process->flags |= PROCESS_ACCOUNTED;
	if (thread->node.id == thread->process->node.id)
		thread->process->task_state = slot->task_state;
}

void accounts_slot(struct accounts *accounts, __u32 index, const struct ebtop_slot *slot)
{
	struct reading at = reading_of(slot, accounts->now_ns);
	struct thread *thread;
	int fresh, created;

	thread = thread_of_slot(accounts, index, slot, &fresh, &created);
	if (!thread)
		return;
	accounts_touch_thread(accounts, thread);
	if (fresh)
		adopt(accounts, thread, slot, at, created);
	take_slot(accounts, thread, slot, at);
	if (slot->state != EBTOP_SLOT_DEAD)
		return;
	if (slot->flags & EBTOP_SLOT_GROUP_DEAD)
		thread->process->flags |= PROCESS_GROUP_DEAD;
	accounts_bury(accounts, thread);
}

/*
 * A CPU runs one thread: the one it switched to last. A slot that says running although its CPU has
 * switched since missed the switch away (a recursion miss, or a kernel that does not run programs
 * for some tasks): its slice is not open.
 */
static void take_running(struct accounts *accounts)
{
	struct running_slot *running = (void *)accounts->running.data;
	size_t count = accounts->running.count;

	for (size_t i = 0; i < count; i++) {
		__u32 cpu = running[i].slot.cpu;
		__u64 latest = slots_at(accounts->slots, cpu + 1)->since_ns;
		__u64 since = running[i].slot.since_ns;

		for (size_t j = 0; j < count; j++)
			if (running[j].slot.cpu == cpu && running[j].slot.since_ns > latest)
				latest = running[j].slot.since_ns;
		/* a switch after the scan began is in the next interval */
		if (since < latest && latest < accounts->now_ns)
			running[i].slot.state = EBTOP_SLOT_FREE;
		else
			accounts->cpu_busy[cpu] = accounts->refresh;
		accounts_slot(accounts, running[i].index, &running[i].slot);
	}
	accounts->running.count = 0;
}

void accounts_scan(struct accounts *accounts, int dead_only)
{
	struct slots *slots = accounts->slots;

	for (__u32 index = slots->first; index < slots->used_end; index++) {
		const struct ebtop_slot *slot = slots_at(slots, index);
		__u32 state = __atomic_load_n(&slot->state, __ATOMIC_RELAXED);
		struct running_slot *running;
		struct ebtop_slot copy;

		if (state == EBTOP_SLOT_FREE || (dead_only && state != EBTOP_SLOT_DEAD))
			continue;
		if (state == EBTOP_SLOT_OFF && slot->since_ns == slots->seen_since[index])
			continue;
		if (slots_read(slot, &copy))
			continue;	/* its totals will be in the next interval */
		slots->seen_since[index] = copy.state == EBTOP_SLOT_OFF ? copy.since_ns : 0;
		if (copy.state != EBTOP_SLOT_RUNNING || !(running = buffer_add(&accounts->running)))
			accounts_slot(accounts, index, &copy);
		else
			*running = (struct running_slot){ .index = index, .slot = copy };
	}
	take_running(accounts);
}

/* ---- task records ---- */

static void watch(struct accounts *accounts, struct process *process)
{
	struct watch_entry *entry = buffer_add(&accounts->watch);

	if (entry)
		*entry = (struct watch_entry){ process->node.start_ns, process->node.id, 0 };
}

static void take_process_facts(struct process *process, const struct ebtop_task *record)
{
	process->ppid = record->ppid;
	process->uid = record->uid;
	process->threads_kernel = record->threads;
	process->task_state = record->task_state;
	process->task_flags = record->task_flags;
	process->cgroup_id = record->cgroup_id;
	process->flags |= PROCESS_FACTS | PROCESS_CGROUP;
	memcpy(process->comm, record->comm, sizeof(process->comm));
	process->flags &= ~(__u32)(PROCESS_MEMORY | PROCESS_VIRTUAL);
	if (record->rss_pages >= 0)
		process->flags |= PROCESS_MEMORY | PROCESS_PEAK;
	if (record->rss_pages != -1)
		process->flags |= PROCESS_VIRTUAL;
	process->rss_pages = (__u64)record->rss_pages;
	process->virtual_pages = record->virtual_pages;
	process->peak_rss_pages = record->peak_rss_pages;
}

static void take_faults(struct accounts *accounts, struct thread *thread,
			const struct ebtop_task *record, int created)
{
	struct process *process = thread->process;

	if (process->faults_pass != accounts->refresh) {
		process->faults_pass = accounts->refresh;
		process->faults_sum[0] = record->group_minor_faults;
		process->faults_sum[1] = record->group_major_faults;
	}
	process->faults_sum[0] += record->minor_faults;
	process->faults_sum[1] += record->major_faults;
	if (!created) {
		add(thread, EBTOP_MINOR_FAULTS, grown(record->minor_faults, thread->minor_faults));
		add(thread, EBTOP_MAJOR_FAULTS, grown(record->major_faults, thread->major_faults));
	}
	thread->minor_faults = record->minor_faults;
	thread->major_faults = record->major_faults;
}

/* Where there is no slot, the record's own totals are all there is; waits are then unknown. */
static void take_counts(struct accounts *accounts, struct thread *thread,
			const struct ebtop_task *record)
{
	__u64 oncpu = grown(record->oncpu_ns, thread->oncpu_ns);
	__u32 voluntary = grown_low((__u32)record->voluntary_switches, thread->voluntary_switches);
	__u32 involuntary =
		grown_low((__u32)record->involuntary_switches, thread->involuntary_switches);

	if (!oncpu && !voluntary && !involuntary)
		return;
	accounts_touch_thread(accounts, thread);
	add(thread, EBTOP_ONCPU_NS, oncpu);
	add(thread, EBTOP_VOLUNTARY_SWITCHES, voluntary);
	add(thread, EBTOP_INVOLUNTARY_SWITCHES, involuntary);
	add(thread, EBTOP_MIGRATIONS, grown_low((__u32)record->migrations, thread->migrations));
	/* a thread that has never switched was on its CPU or asleep, nothing else */
	if (accounts->have_sched)
		add(thread, EBTOP_OFFCPU_NS, grown(accounts->now_ns, thread->updated_ns + oncpu));
	accounts->switches += (__u64)voluntary + involuntary;
}

static void set_last_from_record(struct accounts *accounts, struct thread *thread,
				 const struct ebtop_task *record)
{
	thread->oncpu_ns = record->oncpu_ns;
	thread->voluntary_switches = (__u32)record->voluntary_switches;
	thread->involuntary_switches = (__u32)record->involuntary_switches;
	thread->migrations = (__u32)record->migrations;
	thread->updated_ns = accounts->now_ns;
	memcpy(thread->comm, record->comm, sizeof(thread->comm));
}

static void take_thread(struct accounts *accounts, struct thread *thread,
			const struct ebtop_task *record, int created)
{
	if (created) {
		/* what it did before it was known is not of this interval */
		thread->user_ticks_ns = record->user_ticks_ns;
		thread->kernel_ticks_ns = record->kernel_ticks_ns;
		if (accounts->have_sched && record->start_ns > accounts->attached_boot_ns)
			thread->process->flags |= PROCESS_UNTRACKED;
		accounts_touch_thread(accounts, thread);
	}
	if (!thread->slot) {
		if (!created)
			take_counts(accounts, thread, record);
		set_last_from_record(accounts, thread, record);
		thread->process->flags |= PROCESS_ACCOUNTED;
		if (accounts->have_sched &&
		    (record->on_cpu || thread->process->flags & PROCESS_UNTRACKED))
			watch(accounts, thread->process);
	}
	if (thread->refresh == accounts->refresh || !thread->slot) {
		thread->user_ticks_ns = record->user_ticks_ns;
		thread->kernel_ticks_ns = record->kernel_ticks_ns;
	}
	thread->task_state = record->task_state;
	thread->pass = accounts->refresh;
}

void accounts_task(struct accounts *accounts, const struct ebtop_task *record)
{
	const __u32 over = 0x10 | 0x20 | 0x80;	/* EXIT_DEAD, EXIT_ZOMBIE, TASK_DEAD */
	struct process *process;
	struct thread *thread;
	int created;

	process = accounts_process(accounts, record->pid, record->leader_start_ns);
	if (!process)
		return;
	process->pass = accounts->refresh;
	if (record->tid == record->pid)
		take_process_facts(process, record);
	if (record->task_state & over) {
		/* a zombie leader of living threads is no zombie process */
		if (record->tid == record->pid && record->threads <= 1 && !process->live_slots) {
			accounts_touch(accounts, process);
			process->flags |= PROCESS_ENDED | PROCESS_ZOMBIE;
			process->exit_code = record->exit_code;
			watch(accounts, process);
		}
		return;
	}
	thread = accounts_thread(accounts, process, record->tid, record->start_ns, &created);
	if (!thread)
		return;
	take_thread(accounts, thread, record, created);
	take_faults(accounts, thread, record, created);
}

/* ---- events ---- */

void accounts_fork(struct accounts *accounts, const struct ebtop_fork *fork)
{
	struct process *process = accounts_process(accounts, fork->head.pid, fork->start_ns);

	if (!process)
		return;
	accounts_touch(accounts, process);
	process->born = accounts->refresh;
	process->ppid = fork->ppid;
	process->uid = fork->head.uid;
	process->flags |= PROCESS_FACTS | PROCESS_FAULTS;
	memcpy(process->comm, fork->head.comm, sizeof(process->comm));
}

void accounts_exec(struct accounts *accounts, const struct ebtop_exec *exec)
{
	struct process *process = accounts_process(accounts, exec->head.pid, exec->start_ns);
	char *args;

	if (!process)
		return;
	accounts_touch(accounts, process);
	process->ppid = exec->ppid;
	process->uid = exec->head.uid;
	process->flags |= PROCESS_FACTS;
	memcpy(process->comm, exec->head.comm, sizeof(process->comm));
	if (!exec->args_bytes || exec->args_bytes > EBTOP_ARGS_BYTES)
		return;
	args = realloc(process->args, exec->args_bytes);
	if (!args)
		return;
	memcpy(args, exec->args, exec->args_bytes);
	process->args = args;
	process->args_bytes = exec->args_bytes;
	process->flags &= ~(__u32)PROCESS_ARGS_CUT;
	if (exec->args_cut)
		process->flags |= PROCESS_ARGS_CUT;
}

void accounts_exit(struct accounts *accounts, const struct ebtop_exit *exit)
{
	struct process *process = accounts_process(accounts, exit->head.pid, exit->start_ns);

	if (!process)
		return;
	accounts_touch(accounts, process);
	process->flags |= PROCESS_EXIT_EVENT | PROCESS_FACTS;
	process->flags &= ~(__u32)(PROCESS_MEMORY | PROCESS_VIRTUAL);
	process->ppid = exit->ppid;
	process->uid = exit->head.uid;
	process->exit_code = exit->exit_code;
	memcpy(process->comm, exit->head.comm, sizeof(process->comm));
	process->faults_pass = accounts->refresh;
	process->faults_sum[0] = exit->minor_faults;
	process->faults_sum[1] = exit->major_faults;
	if (exit->peak_rss_pages) {
		process->peak_rss_pages = exit->peak_rss_pages;
		process->flags |= PROCESS_PEAK;
	}
}

/* ---- the end of an interval ---- */

/*
 * The tick samples user and kernel time; execution time is exact. Their ratio is applied to it, as
 * the kernel does for /proc (cputime_adjust() in kernel/sched/cputime.c), and neither goes back.
 * A thread that no tick has met has no ratio: its time stays undivided.
 */
static void divide(struct thread *thread)
{
	__u64 ticks = thread->user_ticks_ns + thread->kernel_ticks_ns;
	__u64 oncpu = thread->interval[EBTOP_ONCPU_NS], user;

	if (!ticks || !oncpu)
		return;
	user = (__u64)((unsigned __int128)thread->oncpu_ns * thread->user_ticks_ns / ticks);
	if (!thread->user_ns && thread->total[EBTOP_ONCPU_NS] + oncpu < thread->oncpu_ns)
		thread->user_ns = (__u64)((unsigned __int128)(thread->oncpu_ns - oncpu) *
					  thread->user_ticks_ns / ticks);
	thread->interval[EBTOP_USER_NS] = grown(user, thread->user_ns);
	if (thread->interval[EBTOP_USER_NS] > oncpu)
		thread->interval[EBTOP_USER_NS] = oncpu;
	thread->interval[EBTOP_KERNEL_NS] = oncpu - thread->interval[EBTOP_USER_NS];
	thread->user_ns += thread->interval[EBTOP_USER_NS];
}

static void settle_faults(struct process *process)
{
	static const enum ebtop_counter counters[2] = { EBTOP_MINOR_FAULTS, EBTOP_MAJOR_FAULTS };

	for (int i = 0; i < 2; i++) {
		__u64 fresh = grown(process->faults_sum[i], process->faults_last[i]);

		if (process->flags & PROCESS_FAULTS) {
			process->interval[counters[i]] = fresh;
			process->total[counters[i]] += fresh;
		}
		if (process->faults_sum[i] > process->faults_last[i])
			process->faults_last[i] = process->faults_sum[i];
	}
	process->flags |= PROCESS_FAULTS;
}

void accounts_settle(struct accounts *accounts)
{
	struct thread **touched = (void *)accounts->touched.data;
	struct process **active = (void *)accounts->active.data;

	for (size_t i = 0; i < accounts->touched.count; i++) {
		struct thread *thread = touched[i];
		struct process *process = thread->process;

		divide(thread);
		if (!thread->dead && (thread->slot_state == EBTOP_SLOT_RUNNING ||
				      thread->slot_state == EBTOP_SLOT_RUNNABLE))
			process->running = accounts->refresh;
		for (int c = 0; c < EBTOP_COUNTERS; c++) {
			thread->total[c] += thread->interval[c];
			if (c == EBTOP_MINOR_FAULTS || c == EBTOP_MAJOR_FAULTS)
				continue;
			process->interval[c] += thread->interval[c];
			process->total[c] += thread->interval[c];
		}
	}
	for (size_t i = 0; i < accounts->active.count; i++)
		if (active[i]->faults_pass == accounts->refresh)
			settle_faults(active[i]);
}

/* The last thread's slot and the exit event may reach us in different refreshes: wait for both. */
void accounts_find_ended(struct accounts *accounts)
{
	struct process **active = (void *)accounts->active.data;

	for (size_t i = 0; i < accounts->active.count; i++) {
		struct process *process = active[i];
		__u32 over = process->flags & (PROCESS_EXIT_EVENT | PROCESS_GROUP_DEAD);

		if (over && !process->live_slots)
			process->flags |= PROCESS_ENDED;
	}
}

static void sweep_threads(struct accounts *accounts, struct process *process, __u64 pass_boot_ns)
{
	struct thread *thread, *next;

	for (thread = process->threads; thread; thread = next) {
		next = thread->next;
		if (thread->dead || thread->pass == accounts->refresh ||
		    thread->node.start_ns >= pass_boot_ns)
			continue;
		/* its slot was handed over or its last switch is still to come; the latter waits */
		if (thread->slot && thread->slot_state != EBTOP_SLOT_OFF)
			continue;
		accounts_touch_thread(accounts, thread);
		accounts_bury(accounts, thread);
	}
}

void accounts_sweep(struct accounts *accounts, __u64 pass_boot_ns)
{
	for (size_t i = 0; i < accounts->list.count; i++) {
		struct process_entry *entry = buffer_at(&accounts->list, i);
		struct process *process = entry->process;

		if (process->pass == accounts->refresh) {
			sweep_threads(accounts, process, pass_boot_ns);
			continue;
		}
		if (process->node.start_ns >= pass_boot_ns)
			continue;
		if (process->live_slots)
			continue;
		accounts_touch(accounts, process);
		process->flags |= PROCESS_ENDED;
	}
}
