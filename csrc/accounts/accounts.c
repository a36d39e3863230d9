// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the life of the entries: they are found, marked active and dropped. threads.c has the
 * threads; account_*.c and interval.c have the numbers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "accounts/accounts.h"

int accounts_open(struct accounts *accounts, struct slots *slots)
{
	accounts->slots = slots;
	accounts->refresh = 1;
	accounts->list = BUFFER_OF(struct process_entry);
	accounts->moved = BUFFER_OF(struct moved_slot);
	accounts->active_threads = BUFFER_OF(struct thread *);
	accounts->active = BUFFER_OF(struct process *);
	accounts->watch = BUFFER_OF(struct watch_entry);
	accounts->unexplained = BUFFER_OF(struct unexplained);
	accounts->by_slot = calloc(slots->total ? slots->total : 1, sizeof(*accounts->by_slot));
	accounts->cpu_online = calloc(slots->cpus, sizeof(*accounts->cpu_online));
	accounts->cpu_switched_ns = calloc(slots->cpus, sizeof(*accounts->cpu_switched_ns));
	if (!accounts->by_slot || !accounts->cpu_online || !accounts->cpu_switched_ns ||
	    hash_open(&accounts->threads) || hash_open(&accounts->processes))
		return -ENOMEM;
	return 0;
}

struct process *accounts_find(const struct accounts *accounts, __u32 pid, __u64 start_ns)
{
	struct process *process = (void *)hash_find(&accounts->processes, pid, start_ns);

	if (!process && accounts->hidden && accounts->hidden->list.count)
		process = hidden_process(accounts->hidden, &accounts->processes, pid, start_ns);
	return process;
}

struct process *accounts_process(struct accounts *accounts, __u32 pid, __u64 start_ns)
{
	struct process *process = accounts_find(accounts, pid, start_ns);
	struct process_entry *entry;

	if (process)
		return process;
	process = calloc(1, sizeof(*process));
	entry = process ? buffer_add(&accounts->list) : NULL;
	if (!entry) {
		free(process);
		accounts->lost_memory++;
		return NULL;
	}
	*entry = (struct process_entry){ .pid = pid, .process = process };
	process->node.id = pid;
	process->node.start_ns = start_ns;
	process->known_ns = accounts->before_ns;
	if (start_ns > accounts->before_boot_ns && accounts->before_boot_ns)
		process->born = accounts->refresh;
	hash_insert(&accounts->processes, &process->node);
	return process;
}

/* Makes the sums when there are none, and begins their interval; -ENOMEM without memory. */
static int begin_sums(struct sums **sums)
{
	if (!*sums)
		*sums = calloc(1, sizeof(**sums));
	if (!*sums)
		return -ENOMEM;
	memset((*sums)->interval, 0, sizeof((*sums)->interval));
	return 0;
}

void accounts_add_asleep(const struct process *process, __u64 *counters, __u64 ns)
{
	for (int wait = 0; wait < EBTOP_WAITS; wait++) {
		counters[EBTOP_WAIT_DISK_NS + wait] += process->asleep[wait] * ns;
		counters[EBTOP_OFFCPU_NS] += process->asleep[wait] * ns;
		counters[EBTOP_LIFETIME_NS] += process->asleep[wait] * ns;
	}
}

void accounts_mark_active(struct accounts *accounts, struct process *process)
{
	struct process **place;
	int first = !process->sums;

	if (process->refresh == accounts->refresh)
		return;
	place = buffer_reserve(&accounts->active, 1) || begin_sums(&process->sums) ?
			NULL :
			buffer_add(&accounts->active);
	if (!place) {
		accounts->lost_memory++;
		return;
	}
	if (first && accounts->have_sched)
		accounts_add_asleep(process, process->sums->total,
				    accounts->before_ns - process->known_ns);
	*place = process;
	process->refresh = accounts->refresh;
	process->flags &= ~(__u32)PROCESS_SAMPLED;
	process->active_threads = 0;
}

void accounts_mark_thread_active(struct accounts *accounts, struct thread *thread)
{
	struct thread **place;

	accounts_mark_active(accounts, thread->process);
	if (thread->refresh == accounts->refresh || thread->process->refresh != accounts->refresh)
		return;
	place = buffer_reserve(&accounts->active_threads, 1) || begin_sums(&thread->sums) ?
			NULL :
			buffer_add(&accounts->active_threads);
	if (!place) {
		accounts->lost_memory++;
		return;
	}
	*place = thread;
	thread->refresh = accounts->refresh;
	thread->process->active_threads++;
	thread->process->asleep[thread->wait]--;
}

void accounts_forget_sources(struct accounts *accounts)
{
	accounts->have_sched = accounts->have_life = accounts->have_tasks = 0;
	accounts->syscalls = NULL;
	accounts->disks = NULL;
	accounts->connections = NULL;
	accounts->memory = NULL;
	accounts->files = NULL;
	accounts->reader_count = 0;
	accounts->known_beside = 0;
}

void accounts_add_reader(struct accounts *accounts, slot_reader reader, __u64 known)
{
	accounts->known_beside |= known;
	for (int i = 0; i < accounts->reader_count; i++)
		if (accounts->readers[i] == reader)
			return;
	if (accounts->reader_count < READERS_MAX)
		accounts->readers[accounts->reader_count++] = reader;
}

static void free_process(struct accounts *accounts, struct process *process)
{
	while (process->threads)
		accounts_free_thread(accounts, process->threads);
	hash_remove(&accounts->processes, &process->node);
	free(process->args);
	free(process->sums);
	free(process->sizes);
	free(process);
}

void accounts_close(struct accounts *accounts)
{
	for (size_t i = 0; i < accounts->list.count; i++) {
		struct process_entry *entry = buffer_at(&accounts->list, i);

		free_process(accounts, entry->process);
	}
	hash_close(&accounts->threads);
	hash_close(&accounts->processes);
	buffer_free(&accounts->list);
	buffer_free(&accounts->moved);
	buffer_free(&accounts->active_threads);
	buffer_free(&accounts->active);
	buffer_free(&accounts->watch);
	buffer_free(&accounts->unexplained);
	free(accounts->by_slot);
	free(accounts->cpu_online);
	free(accounts->cpu_switched_ns);
	memset(accounts, 0, sizeof(*accounts));
}

static int by_pid(const void *left, const void *right)
{
	const struct process_entry *a = left, *b = right;

	if (a->pid != b->pid)
		return a->pid < b->pid ? -1 : 1;
	return a->process->node.start_ns < b->process->node.start_ns ? -1 : 1;
}

/* Few processes are born in an interval: sort the new ones, then merge them from the end. */
static void sort_list(struct accounts *accounts)
{
	struct process_entry *all = (void *)accounts->list.data, *fresh;
	size_t sorted = accounts->sorted, count = accounts->list.count, out = count;
	size_t more = count - sorted;

	if (!more)
		return;
	qsort(all + sorted, more, sizeof(*all), by_pid);
	fresh = sorted ? malloc(more * sizeof(*fresh)) : NULL;
	if (fresh) {
		memcpy(fresh, all + sorted, more * sizeof(*fresh));
		while (more) {
			int old_last = sorted && by_pid(&all[sorted - 1], &fresh[more - 1]) > 0;

			all[--out] = old_last ? all[--sorted] : fresh[--more];
		}
		free(fresh);
	} else if (sorted) {
		qsort(all, count, sizeof(*all), by_pid);
	}
	accounts->sorted = count;
}

const struct process_entry *accounts_list(struct accounts *accounts, size_t *count)
{
	sort_list(accounts);
	*count = accounts->list.count;
	return (const void *)accounts->list.data;
}

struct process *accounts_of_pid(struct accounts *accounts, __u32 pid)
{
	struct process *found = NULL;
	size_t low = 0, count, high;
	const struct process_entry *all = accounts_list(accounts, &count);

	for (high = count; low < high;) {
		size_t middle = low + (high - low) / 2;

		if (all[middle].pid <= pid)
			low = middle + 1;
		else
			high = middle;
	}
	/* a pid may be there twice, the elder ended: the last one lives */
	if (low && all[low - 1].pid == pid)
		found = all[low - 1].process;
	return found;
}

static int is_over(const struct process *process)
{
	return (process->flags & PROCESS_ENDED) && !(process->flags & PROCESS_ZOMBIE);
}

static void drop_ended(struct accounts *accounts)
{
	struct process_entry *all = (void *)accounts->list.data;
	size_t kept = 0;

	for (size_t i = 0; i < accounts->list.count; i++) {
		if (is_over(all[i].process))
			free_process(accounts, all[i].process);
		else
			all[kept++] = all[i];
	}
	accounts->list.count = accounts->sorted = kept;
}

void accounts_unwatch(struct accounts *accounts, const struct buffer *watched)
{
	for (size_t i = 0; i < watched->count; i++) {
		const struct watch_entry *entry = buffer_at(watched, i);
		struct process *process = accounts_find(accounts, entry->pid, entry->start_ns);

		if (!process || !(process->flags & PROCESS_ZOMBIE))
			continue;
		process->flags &= ~(__u32)PROCESS_ZOMBIE;
		accounts_mark_active(accounts, process);
	}
}

void accounts_next(struct accounts *accounts)
{
	struct thread **threads = (void *)accounts->active_threads.data;
	struct process **active = (void *)accounts->active.data;
	int ended = 0;

	for (size_t i = 0; i < accounts->active_threads.count; i++)
		if (threads[i]->dead)
			accounts_free_thread(accounts, threads[i]);
		else
			threads[i]->process->asleep[threads[i]->wait]++;
	for (size_t i = 0; i < accounts->active.count; i++) {
		if (active[i]->flags & PROCESS_ENDED)
			active[i]->flags |= PROCESS_SHOWN;
		ended |= is_over(active[i]);
	}
	if (ended)
		drop_ended(accounts);
	accounts->active_threads.count = 0;
	accounts->active.count = 0;
	accounts->switches = 0;
	accounts->refresh++;
	accounts->before_ns = accounts->now_ns;
}

static void reset_sums(struct sums *sums)
{
	if (sums)
		memcpy(sums->base, sums->total, sizeof(sums->base));
}

void accounts_reset(struct accounts *accounts)
{
	for (size_t i = 0; i < accounts->list.count; i++) {
		struct process_entry *entry = buffer_at(&accounts->list, i);
		struct process *process = entry->process;

		reset_sums(process->sums);
		accounts_reset_sizes(process);
		if (!process->sums)
			process->known_ns = accounts->before_ns;
		for (struct thread *thread = process->threads; thread; thread = thread->next)
			reset_sums(thread->sums);
	}
}
