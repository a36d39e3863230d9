// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the choice of tasks that a refresh reads. Reading all of them costs less where many ran; it is due
 * now and then in any case, for tasks that nothing else tells of.
 */
#include "accounts/hidden.h"
#include "accounts/task_reader.h"
#include "util/clock.h"

/* A full pass over the tasks may take this share of one CPU, and comes this often at most. */
#define PASS_SHARE 5000
#define PASS_MIN_NS 2000000000ull
#define ASK_ENDED_MAX 64
/* What asking for one process costs, in tasks of a full pass. */
#define ASK_COST 12

static int pass_is_due(const struct task_reader *reader, size_t ask)
{
	__u64 since = reader->accounts->now_ns - reader->last_pass_ns;
	__u64 every = reader->pass_took_ns * PASS_SHARE;

	if (!reader->accounts->have_sched || !reader->tasks->can_filter)
		return 1;
	if (every < PASS_MIN_NS)
		every = PASS_MIN_NS;
	return !reader->last_pass_ns || since >= every ||
	       ask * ASK_COST > reader->accounts->threads.count;
}

static void pass_over_all(struct task_reader *reader, size_t active)
{
	struct accounts *accounts = reader->accounts;
	__u64 began = clock_ns(CLOCK_MONOTONIC), began_boot = clock_ns(CLOCK_BOOTTIME);

	if (tasks_read_all(reader->tasks, accounts) > 0) {
		for (size_t i = 0; i < active; i++)
			hidden_consider(reader->hidden,
					*(struct process **)buffer_at(&accounts->active, i));
		hidden_read(reader->hidden, accounts, 1);
		accounts_sweep(accounts, began_boot);
	}
	reader->last_pass_ns = began;
	reader->pass_took_ns = clock_ns(CLOCK_MONOTONIC) - began;
}

/* Only what ran, ended just now (it may be a zombie), or is worth another look. */
static void ask_for_some(struct task_reader *reader, size_t active)
{
	struct accounts *accounts = reader->accounts;
	size_t ended = 0;

	/* its threads may all hang: what they do now is asked of them */
	if (reader->inspected_pid && reader->inspected_pid != EBTOP_ALL_WATCHED)
		tasks_read_process(reader->tasks, reader->inspected_pid, accounts);

	for (size_t i = 0; i < active; i++) {
		struct process *process = *(struct process **)buffer_at(&accounts->active, i);

		if ((process->flags & PROCESS_ENDED) && ++ended > ASK_ENDED_MAX)
			continue;
		if (process->node.id == reader->inspected_pid)
			continue;
		tasks_read_process(reader->tasks, process->node.id, accounts);
		hidden_consider(reader->hidden, process);
	}
	hidden_read(reader->hidden, accounts, 0);
	for (size_t i = 0; i < reader->watched.count; i++) {
		const struct watch_entry *entry = buffer_at(&reader->watched, i);
		struct process *process = accounts_find(accounts, entry->pid, entry->start_ns);

		if (process && process->pass != accounts->refresh)
			tasks_read_process(reader->tasks, entry->pid, accounts);
	}
}

void task_reader_read(struct task_reader *reader)
{
	struct accounts *accounts = reader->accounts;
	struct buffer watched = accounts->watch;
	size_t active;

	accounts->watch = reader->watched;
	accounts->watch.count = 0;
	reader->watched = watched;
	if (!accounts->have_tasks)
		return;
	accounts_unwatch(accounts, &reader->watched);
	active = accounts->active.count;
	if (pass_is_due(reader, active + reader->watched.count))
		pass_over_all(reader, active);
	else
		ask_for_some(reader, active);
}
