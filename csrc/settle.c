// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the end of an interval: execution time divided into user and kernel, threads summed into
 * processes, and which processes have ended.
 */
#include <string.h>

#include "accrue.h"

/*
 * The tick samples user and kernel time; execution time is exact. Their ratio is applied to it, as
 * the kernel does for /proc (cputime_adjust() in kernel/sched/cputime.c), and neither goes back.
 * A thread that no tick has met has no ratio: its time stays undivided.
 */
static void divide(struct thread *thread)
{
	__u64 ticks = thread->user_ticks_ns + thread->kernel_ticks_ns;
	struct sums *sums = thread->sums;
	__u64 oncpu = sums->interval[EBTOP_ONCPU_NS], user;

	if (!ticks || !oncpu)
		return;
	user = (__u64)((unsigned __int128)thread->oncpu_ns * thread->user_ticks_ns / ticks);
	if (!thread->user_ns && sums->total[EBTOP_ONCPU_NS] + oncpu < thread->oncpu_ns)
		thread->user_ns = (__u64)((unsigned __int128)(thread->oncpu_ns - oncpu) *
					  thread->user_ticks_ns / ticks);
	sums->interval[EBTOP_USER_NS] = grown(user, thread->user_ns);
	if (sums->interval[EBTOP_USER_NS] > oncpu)
		sums->interval[EBTOP_USER_NS] = oncpu;
	sums->interval[EBTOP_KERNEL_NS] = oncpu - sums->interval[EBTOP_USER_NS];
	thread->user_ns += sums->interval[EBTOP_USER_NS];
}

static void settle_faults(struct process *process)
{
	static const enum ebtop_counter counters[2] = { EBTOP_MINOR_FAULTS, EBTOP_MAJOR_FAULTS };

	for (int i = 0; i < 2; i++) {
		__u64 fresh = grown(process->faults_sum[i], process->faults_last[i]);

		if (process->flags & PROCESS_FAULTS) {
			process->sums->interval[counters[i]] = fresh;
			process->sums->total[counters[i]] += fresh;
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
			thread->sums->total[c] += thread->sums->interval[c];
			if (c == EBTOP_MINOR_FAULTS || c == EBTOP_MAJOR_FAULTS)
				continue;
			process->sums->interval[c] += thread->sums->interval[c];
			process->sums->total[c] += thread->sums->interval[c];
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
