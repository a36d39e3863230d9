// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the end of an interval: execution time is split into user and kernel, threads are summed
 * into processes, and ended processes are found.
 */
#include <string.h>

#include "accounts/account.h"

#define FAULT_NS 1000          /* about what a minor page fault takes */
#define SLOW_FAULT_NS 250000   /* at most: in an emulated machine */
#define MANY_TICKS_NS 64000000 /* enough of them to tell a quarter of the time from chance */

/*
 * What the tick sampled: execution time is exact, and the ratio of the samples is applied to it, as
 * the kernel does for /proc (cputime_adjust() in kernel/sched/cputime.c), and neither goes back.
 * A thread that no tick has met has no ratio: its time stays undivided.
 */
static int sampled_user_time(struct thread *thread, __u64 oncpu, __u64 *ret)
{
	__u64 ticks = thread->user_ticks_ns + thread->kernel_ticks_ns, user;

	if (!ticks)
		return 0;
	user = (__u64)((unsigned __int128)thread->oncpu_ns * thread->user_ticks_ns / ticks);
	if (!thread->user_ns && thread->sums->total[EBTOP_ONCPU_NS] + oncpu < thread->oncpu_ns)
		thread->user_ns = (__u64)((unsigned __int128)(thread->oncpu_ns - oncpu) *
					  thread->user_ticks_ns / ticks);
	*ret = delta(user, thread->user_ns);
	if (*ret > oncpu)
		*ret = oncpu;
	return 1;
}

/* The kernel's share of the interval by its ticks alone; 0 when there was none. */
static __u64 kernel_by_ticks(const struct thread *thread, __u64 oncpu)
{
	__u64 user = delta(thread->user_ticks_ns, thread->split_user_ticks_ns);
	__u64 kernel = delta(thread->kernel_ticks_ns, thread->split_kernel_ticks_ns);

	if (!kernel)
		return 0;
	return (__u64)((unsigned __int128)oncpu * kernel / (user + kernel));
}

/* Its own share, likewise; of an interval without ticks as of its whole life. */
static __u64 user_by_ticks(const struct thread *thread, __u64 oncpu)
{
	__u64 user = delta(thread->user_ticks_ns, thread->split_user_ticks_ns);
	__u64 ticks = user + delta(thread->kernel_ticks_ns, thread->split_kernel_ticks_ns);

	if (!ticks) {
		user = thread->user_ticks_ns;
		ticks = user + thread->kernel_ticks_ns;
	}
	return ticks ? (__u64)((unsigned __int128)oncpu * user / ticks) : oncpu;
}

/* The faults of an ended thread are known only as part of its process. */
static __u64 faults_of(const struct accounts *accounts, const struct thread *thread)
{
	const struct process *process = thread->process;

	if (!thread->dead || process->faults_pass != accounts->refresh)
		return thread->sums->interval[EBTOP_MINOR_FAULTS];
	return delta(process->faults_sum[0], process->faults_last[0]);
}

/* Whether page faults may be a twentieth of the time; or, if they are slow here, a quarter of it. */
static int faults_count(const struct accounts *accounts, const struct thread *thread, __u64 oncpu,
			__u64 inside, __u64 kernel)
{
	__u64 faults = faults_of(accounts, thread);
	__u64 ticks = delta(thread->user_ticks_ns, thread->split_user_ticks_ns) +
		      delta(thread->kernel_ticks_ns, thread->split_kernel_ticks_ns);

	if (faults * FAULT_NS * 20 > oncpu)
		return 1;
	return ticks >= MANY_TICKS_NS && kernel > inside + oncpu / 4 &&
	       kernel - inside <= faults * SLOW_FAULT_NS;
}

/*
 * On a CPU inside system calls is the kernel's time, the rest the thread's own. Page faults are the
 * kernel's too, and nothing tells how long they take: where they count, the ticks alone decide, as in
 * the kernel's own account. That takes all time for user time until a tick has met the thread; a
 * part counted and a part sampled would agree with nobody's.
 */
static int counted_user_time(const struct accounts *accounts, struct thread *thread, __u64 oncpu,
			     __u64 inside, __u64 *ret)
{
	*ret = delta(oncpu, inside);
	if (!faults_count(accounts, thread, oncpu, inside, kernel_by_ticks(thread, oncpu))) {
		thread->counted = 1;
		return 1;
	}
	/* what was counted before is more exact than all of its ticks: then they divide this interval */
	if (thread->counted)
		*ret = user_by_ticks(thread, oncpu);
	else if (!sampled_user_time(thread, oncpu, ret))
		*ret = oncpu;
	return 0;
}

static void split_user_kernel(const struct accounts *accounts, struct thread *thread)
{
	struct sums *sums = thread->sums;
	__u64 oncpu = sums->interval[EBTOP_ONCPU_NS], inside = sums->interval[EBTOP_KERNEL_NS];
	__u64 user = 0;
	int counted = 1, known = 1;

	sums->interval[EBTOP_KERNEL_NS] = 0;
	if (!oncpu)
		return;
	if (thread->kernel_counted == accounts->refresh)
		counted = counted_user_time(accounts, thread, oncpu, inside, &user);
	else if (!accounts->syscalls || !(thread->process->task_flags & PF_KTHREAD)) {
		counted = 0;
		if (thread->kernel_counted)
			user = delta(oncpu, kernel_by_ticks(thread, oncpu));
		else
			known = sampled_user_time(thread, oncpu, &user);
	}
	if (!counted)
		thread->process->flags |= PROCESS_SAMPLED;
	thread->split_user_ticks_ns = thread->user_ticks_ns;
	thread->split_kernel_ticks_ns = thread->kernel_ticks_ns;
	if (!known)
		return;
	sums->interval[EBTOP_USER_NS] = user;
	sums->interval[EBTOP_KERNEL_NS] = oncpu - user;
	thread->user_ns += user;
}

/*
 * Bytes that it left in the page cache, to be written later by whom it may concern. The kernel counts
 * what goes past the cache with them as it is submitted, the probe when it is completed: what is under
 * way is taken off when it comes.
 */
static void settle_dirtied(const struct accounts *accounts, struct process *process)
{
	__u64 fresh = delta(process->dirtied_sum, process->dirtied_last);
	__u64 later = delta(fresh, process->direct_bytes);

	process->dirtied_last += fresh;
	process->direct_bytes = delta(process->direct_bytes, fresh);
	if (!accounts->disks || !(process->flags & PROCESS_FAULTS))
		return;
	process->sums->interval[EBTOP_DISK_WRITTEN_LATER_BYTES] = later;
	process->sums->total[EBTOP_DISK_WRITTEN_LATER_BYTES] += later;
}

static void settle_faults(const struct accounts *accounts, struct process *process)
{
	static const enum ebtop_counter counters[2] = { EBTOP_MINOR_FAULTS, EBTOP_MAJOR_FAULTS };

	for (int i = 0; i < 2; i++) {
		__u64 fresh = delta(process->faults_sum[i], process->faults_last[i]);

		if (process->flags & PROCESS_FAULTS) {
			process->sums->interval[counters[i]] = fresh;
			process->sums->total[counters[i]] += fresh;
		}
		if (process->faults_sum[i] > process->faults_last[i])
			process->faults_last[i] = process->faults_sum[i];
	}
	settle_dirtied(accounts, process);
	process->flags |= PROCESS_FAULTS;
}

void accounts_settle(struct accounts *accounts)
{
	struct thread **threads = (void *)accounts->active_threads.data;
	struct process **active = (void *)accounts->active.data;

	for (size_t i = 0; i < accounts->active_threads.count; i++) {
		struct thread *thread = threads[i];
		struct process *process = thread->process;

		split_user_kernel(accounts, thread);
		if (accounts->have_sched && process->flags & PROCESS_HIDDEN)
			hidden_divide_wait(accounts->hidden, thread);
		if (accounts->have_sched)
			accounts_settle_waits(accounts, thread);
		if (!thread->dead && (thread->slot_state == EBTOP_SLOT_RUNNING ||
				      thread->slot_state == EBTOP_SLOT_RUNNABLE))
			process->running = accounts->refresh;
		for (int c = 0; c < EBTOP_COUNTERS; c++) {
			thread->sums->total[c] += thread->sums->interval[c];
			if (c == EBTOP_MINOR_FAULTS || c == EBTOP_MAJOR_FAULTS)
				continue;
			process->sums->interval[c] += thread->sums->interval[c];
			process->sums->total[c] += thread->sums->interval[c];
		}
	}
	for (size_t i = 0; i < accounts->active.count; i++)
		if (active[i]->faults_pass == accounts->refresh)
			settle_faults(accounts, active[i]);
}

/*
 * Slots are read before events: of one that ended in between only the event is there, and its time is in
 * a slot that comes next time.
 */
void accounts_find_ended(struct accounts *accounts)
{
	struct process **active = (void *)accounts->active.data;

	for (size_t i = 0; i < accounts->active.count; i++) {
		struct process *process = active[i];
		__u32 over = process->flags & PROCESS_GROUP_DEAD;

		/* without slots, the event is all there is */
		if (!accounts->have_sched || process->flags & PROCESS_UNTRACKED)
			over |= process->flags & PROCESS_EXIT_EVENT;
		if (over && !process->live_slots)
			process->flags |= PROCESS_ENDED;
	}
}
