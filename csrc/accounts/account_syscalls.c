// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns adding up the system calls of a thread. Where its calls were watched for the whole interval,
 * the kernel's share of its on-CPU time is counted rather than sampled.
 */
#include <stdlib.h>

#include "accounts/account.h"
#include "accounts/filter.h"

/* On a CPU inside calls, up to now: the call in progress included, unless it waits to begin again. */
static __u64 kernel_time(const struct ebtop_syscall_slot *calls, __u64 oncpu_ns)
{
	if (calls->entered_ns <= 1 || calls->left_ns)
		return calls->kernel_ns;
	return calls->kernel_ns + delta(oncpu_ns, calls->entered_oncpu_ns);
}

static void take_growth(struct thread *thread, struct thread_calls *last,
			const struct ebtop_syscall_slot *now)
{
	__u32 all = 0;

	for (int category = 0; category < EBTOP_CATEGORIES; category++) {
		__u32 fresh = delta_low(now->calls[category], last->calls[category]);

		add(thread, EBTOP_SYSCALLS_FILE_IO + category, fresh);
		all += fresh;
		last->calls[category] = now->calls[category];
	}
	add(thread, EBTOP_SYSCALLS, all);
	add(thread, EBTOP_SYSCALL_NS, delta(now->inside_ns, last->inside_ns));
	add(thread, EBTOP_SYSCALL_ERRORS, delta_low(now->errors, last->errors));
	last->inside_ns = now->inside_ns;
	last->errors = now->errors;
}

/* A signal ended the thread while a call of its waited to begin again: it will not. */
static void end_interrupted(struct accounts *accounts, struct ebtop_syscall_slot *calls)
{
	__u64 ns = delta(calls->left_ns, calls->entered_ns);

	if (!calls->left_ns || calls->generation != accounts->filter.generation)
		return;
	if (calls->entered_ns <= 1) {
		calls->errors++;
		calls->calls[syscalls_category(accounts->syscalls, calls->number)]++;
		syscalls_add_untimed(accounts->syscalls, calls->number);
		return;
	}
	calls->inside_ns += ns;
	calls->errors++;
	calls->calls[syscalls_category(accounts->syscalls, calls->number)]++;
	if (ns >= accounts->filter.min_latency_ns)
		syscalls_add_interrupted(accounts->syscalls, calls->number, ns);
}

/* The thread was killed for a call that no program was told of, neither at its entry nor when it was
 * refused. */
static void end_killed(struct accounts *accounts, struct ebtop_syscall_slot *calls,
		       const struct ebtop_slot *slot)
{
	__u32 number = slot->charged_wait_ns;

	if (!(slot->flags & EBTOP_SLOT_KILLED_IN) || calls->stage != EBTOP_CALL_OUTSIDE ||
	    calls->refused == number + 1 || calls->generation != accounts->filter.generation ||
	    accounts->filter.min_latency_ns)
		return;
	calls->errors++;
	calls->calls[syscalls_category(accounts->syscalls, number)]++;
	syscalls_add_untimed(accounts->syscalls, number);
}

/* What was counted of the thread last; nothing when counting has begun anew since. NULL: no memory. */
static struct thread_calls *last_calls(struct accounts *accounts, struct thread *thread)
{
	if (!thread->calls)
		thread->calls = calloc(1, sizeof(*thread->calls));
	if (!thread->calls)
		accounts->lost_memory++;
	else if (thread->calls->boot_ns != accounts->syscalls->boot_ns)
		*thread->calls = (struct thread_calls){ .boot_ns = accounts->syscalls->boot_ns };
	return thread->calls;
}

void accounts_syscalls(struct accounts *accounts, struct thread *thread, __u32 index,
		       const struct ebtop_slot *slot, __u64 oncpu_ns)
{
	struct thread_calls *last = thread->calls;
	struct ebtop_syscall_slot now;
	int sampled = accounts->filter.every > 1;
	int whole = last && last->boot_ns == accounts->syscalls->boot_ns ?
			    last->generation == accounts->filter.generation &&
				    last->watch == accounts->filter.watch :
			    thread->began_ns > accounts->syscalls->boot_ns;
	__u64 kernel_ns;

	if (syscalls_read(accounts->syscalls, index, &now))
		return;
	if (now.start_ns != slot->start_ns) {
		/* watched since its birth, and not one call: all its time was its own */
		if (whole && !sampled && accounts_passes(accounts, thread->process))
			thread->kernel_counted = accounts->refresh;
		return;
	}
	last = last_calls(accounts, thread);
	if (!last)
		return;
	if (slot->state == EBTOP_SLOT_DEAD) {
		end_interrupted(accounts, &now);
		end_killed(accounts, &now, slot);
	}
	take_growth(thread, last, &now);
	kernel_ns = kernel_time(&now, oncpu_ns);
	if (!sampled)
		add(thread, EBTOP_KERNEL_NS, delta(kernel_ns, last->kernel_ns));
	if (whole && !sampled && now.generation == accounts->filter.generation)
		thread->kernel_counted = accounts->refresh;
	last->kernel_ns += delta(kernel_ns, last->kernel_ns);
	last->generation = now.generation;
	last->watch = now.watch;
}
