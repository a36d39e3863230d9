// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns dividing a thread's off-CPU time by reason. Finished waits are counted in the array beside
 * the slots. A wait in progress counts under the reason known so far; when it ends, that much is
 * subtracted again. A thread that sleeps through whole intervals is not visited: its process keeps
 * the number of its sleeping threads by reason.
 */
#include <stdlib.h>
#include <string.h>

#include "accounts/account.h"

void accounts_set_wait(struct accounts *accounts, struct thread *thread, __u32 wait)
{
	if (wait >= EBTOP_WAITS)
		wait = EBTOP_WAIT_OTHER;
	if (thread->refresh != accounts->refresh) {
		thread->process->asleep[thread->wait]--;
		thread->process->asleep[wait]++;
	}
	thread->wait = wait;
}

/* What the slot counts from now on; it is another one than before. */
static struct thread_waits *waits_of(struct accounts *accounts, struct thread *thread, int fresh)
{
	if (!thread->waits)
		thread->waits = calloc(1, sizeof(*thread->waits));
	else if (fresh)
		memset(thread->waits, 0, sizeof(*thread->waits));
	if (!thread->waits)
		accounts->lost_memory++;
	return thread->waits;
}

void accounts_waits(struct accounts *accounts, struct thread *thread, __u32 index,
		    const struct ebtop_slot *slot, __u64 slept, __u64 unwatched, int fresh)
{
	struct thread_waits *waits = waits_of(accounts, thread, fresh);
	struct ebtop_wait_slot now;
	__u32 before = thread->wait, evidence, explained;
	__u64 open = 0;

	if (!waits || waits_read(accounts->waits, index, &now))
		return;
	if (waits->refresh != accounts->refresh)
		memset(waits->delta, 0, sizeof(waits->delta));
	waits->refresh = accounts->refresh;
	for (int wait = 0; wait < EBTOP_WAIT_OTHER; wait++) {
		waits->delta[wait] += delta(now.ns[wait], waits->last_ns[wait]);
		waits->last_ns[wait] = now.ns[wait];
	}
	waits->delta[before] += unwatched;
	/* what it had been given so far is in what has grown, or in what is open still */
	waits->given += waits->open + slept;
	waits->given_as = before;
	waits->given_unsure |= waits->open_unsure;
	waits->open_unsure = 0;
	if (slot->state == EBTOP_SLOT_OFF)
		open = delta(accounts->now_ns, slot->since_ns);
	else
		open = now.noted >> EBTOP_NOTED_PENDING_SHIFT;
	if (open) {
		/* of a guess its stack will tell later; meanwhile it waits as it did the last time */
		evidence = now.noted & EBTOP_NOTED_EVIDENCE;
		explained = now.noted >> EBTOP_NOTED_EXPLAINED_SHIFT & EBTOP_NOTED_EVIDENCE;
		accounts_set_wait(accounts, thread,
				  evidence & EBTOP_WAIT_UNSURE && explained == evidence ?
					  now.noted >> EBTOP_NOTED_EXPLAINED_AS_SHIFT & 7 :
					  evidence & 7);
		waits->delta[thread->wait] += open;
		waits->open_unsure = !!(evidence & EBTOP_WAIT_UNSURE);
	}
	waits->open = open;
}

/* ---- waits that were explained late ---- */

void accounts_late_wait(struct accounts *accounts, const struct ebtop_wait_event *event)
{
	struct thread *thread =
		(void *)hash_find(&accounts->threads, event->head.tid, event->start_ns);
	__u32 wait = waits_reason(accounts->waits, event->stack, event->evidence);

	if (thread && thread->waits && wait < EBTOP_WAIT_OTHER)
		thread->waits->late[wait] += event->ns;
}

/* The wait in progress is known better; what it was given so far stays where it is. */
static void change_wait(struct accounts *accounts, struct thread *thread, __u32 wait)
{
	if (thread->waits && wait != thread->wait)
		thread->waits->open_unsure = 1;
	accounts_set_wait(accounts, thread, wait);
}

void accounts_task_wait(struct accounts *accounts, struct thread *thread,
			const struct ebtop_task *record)
{
	__u32 wait = record->wait & 7;
	struct unexplained *entry;

	if (!record->task_state || record->on_cpu ||
	    (thread->slot && thread->slot_state != EBTOP_SLOT_OFF))
		return;
	if (record->wait & EBTOP_WAIT_UNSURE && record->wait_stack) {
		__u32 said = waits_reason(accounts->waits, record->wait_stack, record->wait);

		if (said == EBTOP_STACK_UNRESOLVED) {
			entry = buffer_add(&accounts->unexplained);
			if (entry)
				*entry = (struct unexplained){ record->start_ns, record->wait_stack,
							       record->tid, record->wait };
		} else {
			wait = said;
		}
	}
	change_wait(accounts, thread, wait);
}

void accounts_explain(struct accounts *accounts)
{
	for (size_t i = 0; i < accounts->unexplained.count; i++) {
		const struct unexplained *entry = buffer_at(&accounts->unexplained, i);
		struct thread *thread =
			(void *)hash_find(&accounts->threads, entry->tid, entry->start_ns);
		__u32 wait = waits_reason(accounts->waits, entry->stack, entry->evidence);

		if (thread && wait != EBTOP_STACK_UNRESOLVED)
			change_wait(accounts, thread, wait);
	}
	accounts->unexplained.count = 0;
}

/* ---- the end of an interval ---- */

static __u64 take(__u64 *from, __u64 amount)
{
	__u64 taken = *from < amount ? *from : amount;

	*from -= taken;
	return taken;
}

static int largest(const __u64 *ns)
{
	int most = 0;

	for (int wait = 1; wait < EBTOP_WAITS; wait++)
		if (ns[wait] > ns[most])
			most = wait;
	return most;
}

static __u64 take_from_largest(__u64 *ns, __u64 amount)
{
	for (int i = 0; amount && i < EBTOP_WAITS; i++)
		amount -= take(&ns[largest(ns)], amount);
	return amount;
}

/* What was given before the wait ended is of earlier intervals, whatever its reason turned out to be. */
static void take_given(struct thread_waits *waits)
{
	__u64 *ns = waits->delta;

	if (!waits->given_unsure)
		waits->given -= take(&ns[waits->given_as], waits->given);
	for (int i = 0; waits->given_unsure && waits->given && i < EBTOP_WAITS; i++) {
		int late = largest(waits->late), most = largest(ns);

		if (waits->late[late] > ns[most])
			waits->given -= take(&waits->late[late], waits->given);
		else
			waits->given -= take(&ns[most], waits->given);
	}
	waits->given = waits->given_unsure = 0;
}

/* All of the interval's time off the CPU, no more and no less. */
static void split_offcpu(struct thread_waits *waits, __u64 offcpu, __u64 *ret)
{
	__u64 sum = 0;

	for (int wait = 0; wait < EBTOP_WAITS; wait++)
		sum += waits->delta[wait];
	if (sum > offcpu) {
		take_from_largest(waits->delta, sum - offcpu);
		sum = offcpu;
	}
	for (int wait = 0; wait < EBTOP_WAITS; wait++) {
		__u64 late = take(&waits->late[wait], offcpu - sum);

		sum += late;
		ret[wait] = waits->delta[wait] + late;
	}
	ret[EBTOP_WAIT_OTHER] += offcpu - sum;
}

static __u64 lifetime(const struct accounts *accounts, const struct thread *thread)
{
	/* the part of the interval that was over when it began, on the clock that beginnings are on */
	__u64 late = delta(thread->began_ns, accounts->before_boot_ns);
	__u64 to = thread->dead && thread->ended_ns ? thread->ended_ns : accounts->now_ns;

	return accounts->before_boot_ns ? delta(to, accounts->before_ns + late) : 0;
}

void accounts_settle_waits(struct accounts *accounts, struct thread *thread)
{
	__u64 *counters = thread->sums->interval;
	__u64 offcpu = counters[EBTOP_OFFCPU_NS];
	struct thread_waits *waits = thread->waits;

	counters[EBTOP_LIFETIME_NS] = lifetime(accounts, thread);
	if (!waits || waits->refresh != accounts->refresh) {
		counters[EBTOP_WAIT_DISK_NS + thread->wait] = offcpu;
		return;
	}
	take_given(waits);
	split_offcpu(waits, offcpu, &counters[EBTOP_WAIT_DISK_NS]);
}
