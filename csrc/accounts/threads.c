// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the identity of a thread, from the first trace of it to its end. When a thread other than
 * the leader calls exec, the kernel gives it the tid and the start time of the leader; the task,
 * and so the entry, stays the same.
 */
#include <stdlib.h>

#include "accounts/accounts.h"

static struct thread *new_thread(struct accounts *accounts, struct process *process,
				 struct thread_identity identity)
{
	struct thread *thread = calloc(1, sizeof(*thread));

	if (!thread) {
		accounts->lost_memory++;
		return NULL;
	}
	/* before the thread counts among those that have slept since the process was first seen */
	if (process->threads)
		accounts_mark_active(accounts, process);
	thread->node.id = identity.tid;
	thread->node.start_ns = identity.start_ns;
	thread->owner = identity.owner;
	thread->began_ns = identity.began_ns;
	thread->process = process;
	thread->next = process->threads;
	thread->link = &process->threads;
	if (thread->next)
		thread->next->link = &thread->next;
	process->threads = thread;
	process->live++;
	thread->wait = EBTOP_WAIT_OTHER;
	process->asleep[thread->wait]++;
	hash_insert(&accounts->threads, &thread->node);
	return thread;
}

/*
 * The kernel uses a task_struct again, within one interval too: its own beginning tells, where it is
 * known. It is not once exec has made it its leader's, and the slot or the record is younger.
 */
static int is_same_task(const struct thread *thread, const struct thread_identity *identity)
{
	if (thread->dead || thread->owner != identity->owner)
		return 0;
	if (identity->began_ns == identity->start_ns)
		return 1;
	return thread->began_ns == identity->began_ns ||
	       (!thread->slot && thread->began_ns == identity->start_ns);
}

static struct thread *same_task_of(const struct process *process,
				   const struct thread_identity *identity)
{
	for (struct thread *thread = process->threads; thread; thread = thread->next)
		if (is_same_task(thread, identity))
			return thread;
	return NULL;
}

void accounts_change_identity(struct accounts *accounts, struct thread *thread, __u32 tid,
			      __u64 start_ns)
{
	if (thread->node.id == tid &&
	    (thread->node.start_ns == start_ns || thread->process->flags & PROCESS_HIDDEN))
		return;
	hash_remove(&accounts->threads, &thread->node);
	thread->node.id = tid;
	thread->node.start_ns = start_ns;
	hash_insert(&accounts->threads, &thread->node);
}

struct thread *accounts_thread(struct accounts *accounts, struct process *process,
			       struct thread_identity identity, int *created)
{
	struct thread *thread =
		process->flags & PROCESS_HIDDEN ? hidden_thread(process, &identity) : NULL;

	*created = 0;
	if (thread)
		return thread;
	thread = (void *)hash_find(&accounts->threads, identity.tid, identity.start_ns);
	if (thread && (thread->process != process || thread->dead))
		thread = NULL;
	if (thread && is_same_task(thread, &identity))
		return thread;
	/* another task has its identity; where it has a slot, the slot tells how it ended */
	if (thread && !thread->slot) {
		accounts_mark_thread_active(accounts, thread);
		accounts_retire_thread(accounts, thread);
	}
	thread = identity.tid == process->node.id ? same_task_of(process, &identity) : NULL;
	if (thread) {
		accounts_change_identity(accounts, thread, identity.tid, identity.start_ns);
		return thread;
	}
	*created = 1;
	return new_thread(accounts, process, identity);
}

static void free_totals(struct thread *thread)
{
	free(thread->calls);
	free(thread->files);
	free(thread->net);
	free(thread->memory);
	free(thread->waits);
}

void accounts_leave_slot(struct accounts *accounts, struct thread *thread)
{
	accounts->by_slot[thread->slot] = NULL;
	slots_recycle(accounts->slots, thread->slot);
	thread->slot = 0;
	thread->process->live_slots--;
	free_totals(thread);
	thread->calls = NULL;
	thread->files = NULL;
	thread->net = NULL;
	thread->memory = NULL;
	thread->waits = NULL;
}

/* Its numbers are final; the entry is dropped after the refresh has shown it. */
void accounts_retire_thread(struct accounts *accounts, struct thread *thread)
{
	if (thread->dead)
		return;
	thread->dead = 1;
	if (thread->refresh != accounts->refresh)
		thread->process->asleep[thread->wait]--;
	thread->process->ended_oncpu_ns += thread->oncpu_ns;
	thread->process->last_oncpu_ns = thread->oncpu_ns;
	thread->process->last_tid = thread->node.id;
	if (thread->ended_ns > thread->process->last_switch_ns)
		thread->process->last_switch_ns = thread->ended_ns;
	thread->process->live--;
	thread->process->active_threads--;
	if (thread->slot) {
		thread->process->live_slots--;
		accounts->by_slot[thread->slot] = NULL;
		slots_recycle(accounts->slots, thread->slot);
		thread->slot = 0;
	}
}

void accounts_free_thread(struct accounts *accounts, struct thread *thread)
{
	*thread->link = thread->next;
	if (thread->next)
		thread->next->link = thread->link;
	hash_remove(&accounts->threads, &thread->node);
	if (thread->slot)
		accounts->by_slot[thread->slot] = NULL;
	free(thread->sums);
	free_totals(thread);
	free(thread);
}
