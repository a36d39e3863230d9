// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the filter by process: which processes it names, and which of them pass. BPF applies it to events;
 * here it tells whose counters are complete.
 */
#include "accounts/filter.h"

int accounts_follows(const struct accounts *accounts, const struct process *process)
{
	const struct ebtop_config *filter = &accounts->filter;

	if (!filter->pid)
		return 0;
	if (process->node.id == filter->pid)
		return !filter->pid_start_ns || process->node.start_ns == filter->pid_start_ns;
	return filter->flags & EBTOP_FILTER_DESCENDANTS && process->followed == filter->generation;
}

int accounts_passes(const struct accounts *accounts, const struct process *process)
{
	const struct ebtop_config *filter = &accounts->filter;

	if (filter->uid != EBTOP_ANY_UID &&
	    (!(process->flags & PROCESS_FACTS) || process->uid != filter->uid))
		return 0;
	if (filter->flags & EBTOP_FILTER_EXCLUDES)
		for (int i = 0; i < EBTOP_EXCLUDED_MAX; i++)
			if (filter->excluded[i] == process->node.id)
				return 0;
	return !filter->pid || accounts_follows(accounts, process);
}

static int descends(struct accounts *accounts, const struct process *process)
{
	for (int generations = 0; process && generations < 4096; generations++) {
		if (process->node.id == accounts->filter.pid)
			return 1;
		if (!(process->flags & PROCESS_FACTS) || !process->ppid)
			return 0;
		process = accounts_of_pid(accounts, process->ppid);
	}
	return 0;
}

static void mark(struct accounts *accounts, struct process *process)
{
	__u32 generation = accounts->filter.generation;

	process->followed = generation;
	for (struct thread *thread = process->threads; thread; thread = thread->next) {
		struct ebtop_slot *slot =
			thread->slot ? slots_at(accounts->slots, thread->slot) : NULL;

		if (!slot)
			continue;
		__atomic_and_fetch(&slot->flags, (1u << EBTOP_SLOT_FOLLOWED_SHIFT) - 1,
				   __ATOMIC_RELAXED);
		__atomic_or_fetch(&slot->flags, generation << EBTOP_SLOT_FOLLOWED_SHIFT,
				  __ATOMIC_RELAXED);
	}
}

void accounts_follow(struct accounts *accounts)
{
	size_t count;
	const struct process_entry *all = accounts_list(accounts, &count);

	if (!accounts->filter.pid || !(accounts->filter.flags & EBTOP_FILTER_DESCENDANTS))
		return;
	for (size_t i = 0; i < count; i++)
		if (descends(accounts, all[i].process))
			mark(accounts, all[i].process);
}
