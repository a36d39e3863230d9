// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the processes that only /proc shows: finding them, and their task records. The scheduler's
 * programs see such a thread as it comes to a CPU, never as it leaves; schedstat knows how long it ran.
 *
 * /proc tells a start in ticks. Where a slot has told it exactly, that one is kept.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "accounts/account.h"
#include "util/clock.h"
#include "accounts/hidden.h"
#include "accounts/hidden_proc.h"

#define LOOK_MIN_NS 2000000000ull
#define LOOK_SHARE 1000 /* looking at the names in /proc may take this share of one CPU */
#define THREADS_MAX 256 /* of each */

static void find(struct hidden *hidden, struct accounts *accounts)
{
	__u64 began = clock_ns(CLOCK_MONOTONIC), began_boot = clock_ns(CLOCK_BOOTTIME);
	DIR *folder = opendir("/proc");
	struct dirent *found;

	while (folder && (found = readdir(folder)) != NULL) {
		__u32 pid = (__u32)strtoul(found->d_name, NULL, 10);
		struct ebtop_task record = { 0 };
		char path[32];
		__u64 ticks;

		if (!isdigit((unsigned char)found->d_name[0]) || accounts_of_pid(accounts, pid))
			continue;
		snprintf(path, sizeof(path), "/proc/%u", pid);
		/* a process that began since the tasks were read is not hidden, but young */
		if (!hidden_read_stat(path, &record, &ticks) &&
		    (ticks + 1) * hidden_tick_ns() + LOOK_MIN_NS < began_boot)
			hidden_add(hidden, pid, ticks * hidden_tick_ns());
	}
	if (folder)
		closedir(folder);
	hidden->looked_ns = began;
	hidden->look_took_ns = clock_ns(CLOCK_MONOTONIC) - began;
}

/* ---- their records ---- */

/* What its totals are is of no interval: only what comes on top is. */
static void begin_thread(const char *folder, const struct thread *known, struct ebtop_task *record)
{
	record->migrations = known ? known->migrations : 0;
	if (!known)
		hidden_read_migrations(folder, &record->migrations);
}

/* 0, or a negative errno: -ENOENT when it is no more. */
static int read_thread(struct accounts *accounts, struct process *process, __u32 tid)
{
	const __u32 pid = process->node.id;
	struct ebtop_task record = { .wait = EBTOP_WAIT_OTHER, .rss_pages = -1 };
	struct hidden_time time;
	struct thread *known;
	char folder[64];
	__u64 ticks;
	int ret;

	snprintf(folder, sizeof(folder), "/proc/%u/task/%u", pid, tid);
	ret = hidden_read_stat(folder, &record, &ticks);
	if (!ret)
		ret = hidden_read_status(folder, &record);
	if (!ret)
		ret = hidden_read_time(folder, &time);
	if (ret)
		return ret == -ESRCH ? -ENOENT : ret;
	record.start_ns = ticks * hidden_tick_ns();
	if (tid == pid && !hidden_same_start(process->node.start_ns, record.start_ns))
		return -ENOENT;
	known = hidden_known_thread(process, tid, record.start_ns);
	if (tid == pid)
		record.start_ns = process->node.start_ns;
	else if (known)
		record.start_ns = known->node.start_ns;
	record.owner = known ? known->owner : 0;
	record.pid = pid;
	record.tid = tid;
	record.oncpu_ns = time.oncpu_ns;
	record.leader_start_ns = process->node.start_ns;
	record.dirtied_bytes = record.group_dirtied_bytes = EBTOP_NOT_COUNTED;
	record.mappings = EBTOP_NOT_COUNTED;
	begin_thread(folder, known, &record);
	if (tid == pid && !(process->flags & PROCESS_CGROUP)) {
		snprintf(folder, sizeof(folder), "/proc/%u", pid);
		hidden_read_cgroup(folder, &record.cgroup_id);
	}
	accounts_task(accounts, &record);
	known = known ? known : hidden_known_thread(process, tid, record.start_ns);
	if (known && !known->waited_known) {
		known->waited_ns = time.runq_wait_ns;
		known->waited_known = time.knows_waits;
	}
	return 0;
}

static void end(struct accounts *accounts, struct process *process)
{
	accounts_mark_active(accounts, process);
	for (struct thread *thread = process->threads; thread; thread = thread->next) {
		accounts_mark_thread_active(accounts, thread);
		accounts_retire_thread(accounts, thread);
	}
	process->flags |= PROCESS_ENDED;
}

/* There are more than are read: those that were not are not gone. */
static void keep_all(const struct accounts *accounts, struct process *process)
{
	for (struct thread *thread = process->threads; thread; thread = thread->next)
		thread->pass = accounts->refresh;
}

/* Of the process, those of threads that have ended included. */
static void read_faults(struct accounts *accounts, struct process *process)
{
	struct ebtop_task whole = { 0 };
	char folder[32];
	__u64 ticks;

	snprintf(folder, sizeof(folder), "/proc/%u", process->node.id);
	if (!hidden_read_stat(folder, &whole, &ticks))
		accounts_set_faults(accounts, process, whole.minor_faults, whole.major_faults);
}

/* `all`: also its other threads; those that do not come then are no more. */
static int read_process(struct accounts *accounts, struct process *process, int all)
{
	char path[32];
	struct dirent *found;
	int left = THREADS_MAX;
	DIR *folder;

	if (read_thread(accounts, process, process->node.id))
		return -ENOENT;
	snprintf(path, sizeof(path), "/proc/%u/task", process->node.id);
	folder = all ? opendir(path) : NULL;
	while (folder && (found = readdir(folder)) != NULL) {
		__u32 tid = (__u32)strtoul(found->d_name, NULL, 10);

		if (!tid || tid == process->node.id)
			continue;
		if (left-- <= 0) {
			keep_all(accounts, process);
			break;
		}
		read_thread(accounts, process, tid);
	}
	if (folder)
		closedir(folder);
	read_faults(accounts, process);
	return 0;
}

void hidden_read(struct hidden *hidden, struct accounts *accounts, int all)
{
	__u64 since = accounts->now_ns - hidden->looked_ns;
	size_t kept = 0;

	hidden->left = HIDDEN_READS_MAX;
	if (!hidden->same_pids)
		return;
	if (all && (!hidden->looked_ns ||
		    (since >= LOOK_MIN_NS && since >= hidden->look_took_ns * LOOK_SHARE)))
		find(hidden, accounts);
	for (size_t i = 0; i < hidden->list.count; i++) {
		struct watch_entry entry = *(struct watch_entry *)buffer_at(&hidden->list, i);
		struct process *process = accounts_process(accounts, entry.pid, entry.start_ns);

		/* it is shown after all, or its end was seen */
		if (!process || process->pass == accounts->refresh ||
		    process->flags & PROCESS_ENDED)
			continue;
		if (!read_process(accounts, process, all)) {
			process->flags |= PROCESS_HIDDEN;
			*(struct watch_entry *)buffer_at(&hidden->list, kept++) = entry;
		} else if (process->flags & PROCESS_HIDDEN) {
			end(accounts, process);
		}
	}
	hidden->list.count = kept;
}

void hidden_settle(const struct hidden *hidden, const struct accounts *accounts, int program_fd)
{
	for (__u32 cpu = 0; hidden->list.count && program_fd >= 0 && cpu < accounts->slots->cpus;
	     cpu++) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .flags = BPF_F_TEST_RUN_ON_CPU, .cpu = cpu);

		if (accounts->cpu_online[cpu])
			bpf_prog_test_run_opts(program_fd, &opts);
	}
}
