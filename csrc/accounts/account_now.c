// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns what a thread is doing in the kernel now: its current system call, the time that it began,
 * and the function that the thread sleeps in. For a thread that does not run this comes from its
 * task record, because it may have hung since before ebtop started.
 */
#include "accounts/account.h"

/* When a thread left its CPU, its slot has by the other clock. */
static void compare_clocks(struct accounts *accounts, const struct thread *thread,
			   const struct ebtop_task *record)
{
	const struct ebtop_slot *slot = slots_at(accounts->slots, thread->slot);
	__u64 since;

	if (__atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) != EBTOP_SLOT_OFF)
		return;
	since = __atomic_load_n(&slot->since_ns, __ATOMIC_ACQUIRE);
	if (record->left_cpu && since)
		accounts->run_clock = since - record->left_cpu;
}

void accounts_task_now(struct accounts *accounts, struct thread *thread,
		       const struct ebtop_task *record)
{
	int sleeps = record->task_state && !record->on_cpu;

	thread->call = record->call;
	thread->left_cpu = record->left_cpu;
	thread->stack = record->wait_stack;
	if (sleeps && thread->slot && thread->slot_state == EBTOP_SLOT_OFF)
		compare_clocks(accounts, thread, record);
	if (thread->stack && !waits_innermost(accounts->waits, thread->stack))
		accounts->new_stacks = 1;
}

/* The call in progress, as the probe of system calls has it; 0 when it has none. */
static int watched_call(struct accounts *accounts, const struct thread *thread,
			struct ebtop_row *row)
{
	struct ebtop_syscall_slot calls;

	if (!accounts->syscalls || !thread->slot ||
	    syscalls_read(accounts->syscalls, thread->slot, &calls) ||
	    calls.start_ns != thread->node.start_ns || calls.stage != EBTOP_CALL_INSIDE ||
	    calls.entered_ns <= 1 || calls.generation != accounts->filter.generation ||
	    calls.watch != accounts->filter.watch || calls.number >= EBTOP_SYSCALL_NUMBERS)
		return 0;
	row->call = calls.number + 1;
	row->call_since_ns = calls.entered_ns;
	return 1;
}

/* When a thread left its CPU that was not watched then, by the scheduler's clock. */
static __u64 left_cpu_ns(const struct accounts *accounts, const struct thread *thread)
{
	__u64 left;

	if (thread->slot && thread->slot_state == EBTOP_SLOT_OFF)
		return __atomic_load_n(&slots_at(accounts->slots, thread->slot)->since_ns,
				       __ATOMIC_RELAXED);
	if (thread->slot || !accounts->run_clock || !thread->left_cpu)
		return 0;
	left = thread->left_cpu + accounts->run_clock;
	return left < accounts->now_ns ? left : 0;
}

void accounts_pack_now(struct accounts *accounts, const struct thread *thread,
		       struct ebtop_row *row)
{
	int on_cpu = thread->slot && thread->slot_state == EBTOP_SLOT_RUNNING;

	if (thread->dead)
		return;
	if (!watched_call(accounts, thread, row) && !on_cpu) {
		row->call = thread->call;
		row->call_since_ns = row->call ? left_cpu_ns(accounts, thread) : 0;
	}
	if (!on_cpu && thread->stack)
		row->function = waits_innermost(accounts->waits, thread->stack);
}
