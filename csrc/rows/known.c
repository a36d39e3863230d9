// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the decision which counters of a process are known, from the probes that run and the filter.
 */
#include "rows/known.h"
#include "accounts/filter.h"

int rows_knows_threads(const struct accounts *accounts, const struct process *process)
{
	return accounts->have_tasks ||
	       (process->born && accounts->have_sched && accounts->have_life);
}

/* By probes other than those of the scheduler: no program is run for one that is hidden. */
static int is_counted(const struct process *process)
{
	return process->flags & PROCESS_ACCOUNTED &&
	       !(process->flags & (PROCESS_UNTRACKED | PROCESS_HIDDEN));
}

/* That a hidden thread is put off its CPU no program sees: the kernel's own account has to tell. */
static int knows_queue(const struct process *process)
{
	return !(process->flags & PROCESS_HIDDEN) ||
	       (process->threads && process->threads->waited_known);
}

__u64 rows_known(const struct accounts *accounts, const struct process *process,
		 const __u64 *counters)
{
	__u64 known = 0, divided = counters[EBTOP_USER_NS] + counters[EBTOP_KERNEL_NS];

	if (process->flags & PROCESS_ACCOUNTED) {
		known |= KNOWN(EBTOP_KNOWN_ONCPU) | KNOWN(EBTOP_KNOWN_SWITCHES) |
			 KNOWN(EBTOP_KNOWN_MIGRATIONS);
		if (accounts->have_sched && !(process->flags & PROCESS_UNTRACKED))
			known |= KNOWN(EBTOP_KNOWN_RUNQ_WAIT) |
				 (rows_knows_threads(accounts, process) ? WAITS_KNOWN : 0);
		if (!knows_queue(process))
			known &= ~KNOWN(EBTOP_KNOWN_RUNQ_WAIT);
		if (divided * 100 >= counters[EBTOP_ONCPU_NS] * 99)
			known |= KNOWN(EBTOP_KNOWN_SPLIT);
	}
	if (is_counted(process) && accounts_passes(accounts, process))
		known |= accounts->known_beside;
	if (accounts->connections && is_counted(process)) {
		known |= KNOWN(EBTOP_KNOWN_NET_BYTES) | KNOWN(EBTOP_KNOWN_NET_ERRORS) |
			 KNOWN(EBTOP_KNOWN_CONNECTS);
		if (accounts->connections->list_link >= 0)
			known |= KNOWN(EBTOP_KNOWN_CONNECTIONS);
	}
	/* known from birth on, once they have been read */
	if (process->flags & PROCESS_FAULTS &&
	    (accounts->have_tasks || process->flags & PROCESS_EXIT_EVENT))
		known |= KNOWN(EBTOP_KNOWN_FAULTS);
	return known;
}
