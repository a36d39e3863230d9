// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the packing of accounts into rows, and with it what counts as known.
 */
#include <string.h>
#include <unistd.h>

#include "accounts/filter.h"
#include "rows/known.h"
#include "rows/rows.h"

void rows_open(struct rows *rows)
{
	rows->processes = BUFFER_OF(struct ebtop_row);
	rows->threads = BUFFER_OF(struct ebtop_row);
	rows->sizes = BUFFER_OF(struct ebtop_sizes_row);
}

void rows_close(struct rows *rows)
{
	buffer_free(&rows->processes);
	buffer_free(&rows->threads);
	buffer_free(&rows->sizes);
}

/* Letters as in fs/proc/array.c (task_state_array); idle kernel threads wait without load. */
static __u32 state_letter(__u32 state)
{
	static const struct {
		__u32 bit;
		char letter;
	} letters[] = {
		{ 0x10, 'X' }, { 0x20, 'Z' }, { 0x80, 'X' }, { 0x4, 'T' },
		{ 0x8, 't' },  { 0x40, 'P' }, { 0x1, 'S' },
	};

	for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
		if (state & letters[i].bit)
			return (__u32)letters[i].letter;
	if (state & 0x2)
		return state & 0x400 ? 'I' : 'D';
	return state ? 'D' : 'R';
}

static void pack_memory(struct ebtop_row *row, const struct process *process)
{
	static __u64 page;

	if (!page)
		page = (__u64)sysconf(_SC_PAGESIZE);
	row->rss_anon_bytes = row->rss_file_bytes = row->rss_shmem_bytes = EBTOP_NOT_COUNTED;
	row->swap_bytes = row->mappings = EBTOP_NOT_COUNTED;
	if (process->flags & PROCESS_MEMORY) {
		row->rss_bytes = process->rss_pages * page;
		row->rss_anon_bytes = process->anon_pages * page;
		row->rss_file_bytes = process->file_pages * page;
		row->rss_shmem_bytes = process->shmem_pages * page;
		row->swap_bytes = process->swap_pages * page;
		row->known |= KNOWN(EBTOP_FACT_RSS_BYTES);
	}
	if (process->flags & PROCESS_VIRTUAL) {
		row->virtual_bytes = process->virtual_pages * page;
		row->mappings = process->mappings;
		row->known |= KNOWN(EBTOP_FACT_VIRTUAL_BYTES);
	}
	if (process->flags & PROCESS_PEAK) {
		row->peak_rss_bytes = process->peak_rss_pages * page;
		row->known |= KNOWN(EBTOP_FACT_PEAK_RSS_BYTES);
	}
}

static void pack_facts(struct ebtop_row *row, const struct accounts *accounts,
		       const struct process *process)
{
	row->pid = process->node.id;
	row->start_ns = process->node.start_ns;
	row->known |= KNOWN(EBTOP_FACT_START_NS);
	row->threads = process->live;
	if (rows_knows_threads(accounts, process))
		row->known |= KNOWN(EBTOP_FACT_THREADS);
	if (process->flags & PROCESS_FACTS) {
		row->ppid = process->ppid;
		row->uid = process->uid;
		row->known |= KNOWN(EBTOP_FACT_PPID) | KNOWN(EBTOP_FACT_UID);
	}
	if (process->flags & PROCESS_CGROUP) {
		row->cgroup_id = process->cgroup_id;
		row->controller_cgroup_id = process->controller_cgroup_id;
		row->known |= KNOWN(EBTOP_FACT_CGROUP_ID);
	}
	if (process->task_flags & PF_KTHREAD)
		row->flags |= EBTOP_ROW_KERNEL;
	pack_memory(row, process);
}

static void pack_end(struct ebtop_row *row, const struct process *process)
{
	row->flags |= EBTOP_ROW_EXITED;
	row->state = process->flags & PROCESS_ZOMBIE ? 'Z' : 'X';
	row->known |= KNOWN(EBTOP_FACT_STATE);
	if (process->flags & (PROCESS_EXIT_EVENT | PROCESS_ZOMBIE)) {
		row->exit_code = process->exit_code;
		row->known |= KNOWN(EBTOP_FACT_EXIT_CODE);
	}
}

static void pack_args(struct ebtop_row *row, const struct process *process, struct events *events)
{
	if (!process->args_bytes)
		return;
	row->text_bytes = process->args_bytes;
	row->text = events_add_text(events, process->args, &row->text_bytes);
	if (process->flags & PROCESS_ARGS_CUT)
		row->flags |= EBTOP_ROW_ARGS_CUT;
}

/* A leader may be gone while other threads live on: then one of theirs stands for the process. */
static __u32 process_state(const struct accounts *accounts, const struct process *process)
{
	__u32 state = process->task_state;

	if (process->running == accounts->refresh)
		return 'R';
	for (const struct thread *thread = process->threads; thread && state & TASK_GONE;
	     thread = thread->next)
		if (!thread->dead)
			state = thread->task_state;
	return state_letter(state);
}

static void pack_totals(struct ebtop_row *row, const struct sums *sums)
{
	for (int c = 0; c < EBTOP_COUNTERS; c++)
		row->counters[c] = sums ? sums->total[c] - sums->base[c] : 0;
}

/* What kernel threads write is in a row of its own; with what they read they are charged. */
static void pack_disks(const struct accounts *accounts, struct ebtop_row *row,
		       const struct process *process, __u32 flags)
{
	int has_any = disks_pack_owner(accounts->disks, process->node.id, process->node.start_ns,
				       !!(flags & EBTOP_CUMULATIVE), row);

	if ((process->task_flags & PF_KTHREAD || process->flags & PROCESS_HIDDEN) && !has_any)
		return;
	row->known |= DISKS_KNOWN;
	if (accounts->disks->tells_dirtiers)
		row->known |= KNOWN(EBTOP_KNOWN_WRITTEN_BACK);
	if (!(process->flags & PROCESS_NO_DIRTIED) && process->flags & PROCESS_FAULTS)
		row->known |= KNOWN(EBTOP_KNOWN_WRITTEN_LATER);
}

/* Its leader's; where nothing tells that (the kernel hides some tasks), that of a thread. */
static const char *name_of(const struct process *process)
{
	const struct thread *thread = process->threads;

	return process->comm[0] || !thread ? process->comm : thread->comm;
}

/* Of the thread that a process begins with; few processes have many. */
static void pack_leader_now(struct accounts *accounts, struct ebtop_row *row,
			    const struct process *process)
{
	for (const struct thread *thread = process->threads; thread; thread = thread->next)
		if (thread->node.id == process->node.id)
			accounts_pack_now(accounts, thread, row);
}

static void pack_process(struct accounts *accounts, struct ebtop_row *row, struct process *process,
			 __u32 flags)
{
	struct sums *sums = process->sums;
	int active = process->refresh == accounts->refresh;
	__u64 interval_ns = accounts->now_ns - accounts->before_ns;

	memset(row, 0, sizeof(*row));
	if (active) {
		memcpy(row->counters, sums->interval, sizeof(row->counters));
		if (sums->interval[EBTOP_ONCPU_NS] || sums->interval[EBTOP_RUNQ_WAIT_NS])
			row->flags |= EBTOP_ROW_RAN;
	}
	if (accounts->have_sched) {
		accounts_add_asleep(process, row->counters, interval_ns);
		if (sums)
			accounts_add_asleep(process, sums->total, interval_ns);
	}
	if (flags & EBTOP_CUMULATIVE)
		pack_totals(row, sums);
	if (flags & EBTOP_CUMULATIVE && !sums && accounts->have_sched)
		accounts_add_asleep(process, row->counters, accounts->now_ns - process->known_ns);
	row->counters[EBTOP_CONNECTIONS] =
		process->net_refresh == accounts->refresh ? process->connections : 0;
	row->known = rows_known(accounts, process, row->counters);
	if (accounts->disks)
		pack_disks(accounts, row, process, flags);
	if (active && accounts->syscalls && !(process->flags & PROCESS_SAMPLED))
		row->flags |= EBTOP_ROW_DIVIDED;
	pack_facts(row, accounts, process);
	row->tid = row->pid;
	memcpy(row->comm, name_of(process), sizeof(row->comm));
	memcpy(row->process_comm, row->comm, sizeof(row->process_comm));
	if (process->born == accounts->refresh)
		row->flags |= EBTOP_ROW_BORN;
	if (process->execed == accounts->refresh)
		row->flags |= EBTOP_ROW_EXECED;
	if (accounts_follows(accounts, process))
		row->flags |= EBTOP_ROW_FOLLOWED;
	if (process->flags & PROCESS_ENDED) {
		pack_end(row, process);
	} else if (process->flags & PROCESS_STATE || process->running == accounts->refresh) {
		row->state = process_state(accounts, process);
		row->known |= KNOWN(EBTOP_FACT_STATE);
	}
	if (flags & EBTOP_WANT_FUNCTIONS)
		pack_leader_now(accounts, row, process);
}

static void pack_thread(struct accounts *accounts, struct ebtop_row *row,
			const struct thread *thread, struct events *events, __u32 flags)
{
	const struct process *process = thread->process;
	int active = thread->refresh == accounts->refresh;

	memset(row, 0, sizeof(*row));
	if (flags & EBTOP_CUMULATIVE)
		pack_totals(row, thread->sums);
	else if (active)
		memcpy(row->counters, thread->sums->interval, sizeof(row->counters));
	if (active && thread->sums->interval[EBTOP_ONCPU_NS])
		row->flags |= EBTOP_ROW_RAN;
	if (!active && !(flags & EBTOP_CUMULATIVE) && accounts->have_sched) {
		__u64 asleep = accounts->now_ns - accounts->before_ns;

		row->counters[EBTOP_OFFCPU_NS] = row->counters[EBTOP_LIFETIME_NS] = asleep;
		row->counters[EBTOP_WAIT_DISK_NS + thread->wait] = asleep;
	}
	row->known = rows_known(accounts, process, row->counters);
	/* of the process as a whole */
	row->known &= ~(KNOWN(EBTOP_KNOWN_CONNECTIONS) | KNOWN(EBTOP_KNOWN_NET_ERRORS));
	if (flags & EBTOP_CUMULATIVE) /* sleep of untouched threads is summed by process */
		row->known &= ~WAITS_KNOWN;
	pack_facts(row, accounts, process);
	row->tid = thread->node.id;
	row->start_ns = thread->node.start_ns;
	memcpy(row->comm, thread->comm, sizeof(row->comm));
	memcpy(row->process_comm, name_of(process), sizeof(row->process_comm));
	if (process->task_flags & PF_KTHREAD)
		pack_args(row, process, events);
	row->state = state_letter(thread->task_state);
	if (thread->slot_state == EBTOP_SLOT_RUNNING || thread->slot_state == EBTOP_SLOT_RUNNABLE)
		row->state = 'R';
	row->known |= KNOWN(EBTOP_FACT_STATE);
	accounts_pack_now(accounts, thread, row);
	if (thread->dead) {
		row->flags |= EBTOP_ROW_EXITED;
		row->state = 'X';
	}
}

static void pack_threads(struct rows *rows, struct accounts *accounts,
			 const struct process *process, struct events *events, __u32 flags)
{
	for (const struct thread *thread = process->threads; thread; thread = thread->next) {
		struct ebtop_row *row = buffer_add(&rows->threads);

		if (row)
			pack_thread(accounts, row, thread, events, flags);
		else
			accounts->lost_memory++;
	}
}

static void pack_sizes(struct rows *rows, struct accounts *accounts, const struct process *process,
		       int cumulative)
{
	struct ebtop_sizes_row sizes, *row;

	if (!accounts_pack_sizes(accounts, process, cumulative, &sizes))
		return;
	row = buffer_add(&rows->sizes);
	if (row)
		*row = sizes;
	else
		accounts->lost_memory++;
}

static void add_process(struct rows *rows, struct accounts *accounts, struct process *process,
			struct events *events, __u32 flags)
{
	struct ebtop_row *row;

	/* reaped meanwhile, and its end was in an earlier snapshot */
	if ((process->flags & PROCESS_SHOWN) && !(process->flags & PROCESS_ZOMBIE))
		return;
	row = buffer_add(&rows->processes);
	if (!row) {
		accounts->lost_memory++;
		return;
	}
	pack_process(accounts, row, process, flags);
	pack_sizes(rows, accounts, process, !!(flags & EBTOP_CUMULATIVE));
	/* the whole name of a kernel thread is wanted whether it ran or not, and there are few */
	if (process->refresh == accounts->refresh || process->task_flags & PF_KTHREAD)
		pack_args(row, process, events);
	rows->live_threads += process->live;
	rows->live_processes +=
		!(process->flags & PROCESS_ENDED) || process->flags & PROCESS_ZOMBIE;
	if (flags & EBTOP_WANT_THREADS || accounts->filter.inspected_pid == process->node.id)
		pack_threads(rows, accounts, process, events, flags);
}

/* Requests that no process is charged with: a row without a process. */
static void add_rest_of_disks(struct rows *rows, struct accounts *accounts, __u32 flags)
{
	struct ebtop_row rest = { .flags = EBTOP_ROW_KERNEL | EBTOP_ROW_RAN,
				  .uid = EBTOP_ANY_UID,
				  .rss_anon_bytes = EBTOP_NOT_COUNTED,
				  .rss_file_bytes = EBTOP_NOT_COUNTED,
				  .rss_shmem_bytes = EBTOP_NOT_COUNTED,
				  .swap_bytes = EBTOP_NOT_COUNTED,
				  .mappings = EBTOP_NOT_COUNTED,
				  .comm = "[writeback]",
				  .process_comm = "[writeback]" };
	struct ebtop_row *row;

	if (!accounts->disks ||
	    !disks_pack_rest(accounts->disks, !!(flags & EBTOP_CUMULATIVE), &rest))
		return;
	rest.known |= DISKS_KNOWN;
	if (accounts->disks->tells_dirtiers)
		rest.known |= KNOWN(EBTOP_KNOWN_WRITTEN_BACK);
	row = buffer_add(&rows->processes);
	if (row)
		*row = rest;
	else
		accounts->lost_memory++;
}

void rows_pack(struct rows *rows, struct accounts *accounts, struct events *events, __u32 flags)
{
	size_t count;
	const struct process_entry *list = accounts_list(accounts, &count);

	rows->processes.count = rows->threads.count = rows->sizes.count = 0;
	rows->live_threads = rows->live_processes = 0;
	if (buffer_reserve(&rows->processes, count))
		accounts->lost_memory++;
	for (size_t i = 0; i < count; i++)
		if (list[i].process->refresh == accounts->refresh)
			add_process(rows, accounts, list[i].process, events, flags);
	add_rest_of_disks(rows, accounts, flags);
	rows->active = rows->processes.count;
	for (size_t i = 0; i < count; i++)
		if (list[i].process->refresh != accounts->refresh)
			add_process(rows, accounts, list[i].process, events, flags);
}
