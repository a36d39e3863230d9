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
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "accounts.h"
#include "clock.h"
#include "hidden.h"

#define FIRST_PID_NAMESPACE 0xeffffffcu /* PROC_PID_INIT_INO */
#define LOOK_MIN_NS 2000000000ull
#define LOOK_SHARE 1000 /* looking at the names in /proc may take this share of one CPU */
#define PROCESSES_MAX 64
#define THREADS_MAX 256 /* of each, and files of threads a refresh */

void hidden_open(struct hidden *hidden)
{
	struct stat own;

	hidden->list = BUFFER_OF(struct watch_entry);
	hidden->left = THREADS_MAX;
	hidden->same_pids = !stat("/proc/self/ns/pid", &own) && own.st_ino == FIRST_PID_NAMESPACE;
}

void hidden_close(struct hidden *hidden)
{
	buffer_free(&hidden->list);
}

/* ---- files ---- */

/* A small file as text; its length, or -errno. */
static ssize_t read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return -errno;
	got = read(fd, text, size - 1);
	if (got < 0)
		got = -errno;
	close(fd);
	text[got > 0 ? got : 0] = '\0';
	return got;
}

static __u64 tick_ns(void)
{
	long ticks = sysconf(_SC_CLK_TCK);

	return 1000000000ull / (__u64)(ticks > 0 ? ticks : 100);
}

#define STAT_FIELDS 22
enum stat_field { /* from the state on, which is the first after the name */
		  STAT_PPID = 1,
		  STAT_FLAGS = 6,
		  STAT_MINOR = 7,
		  STAT_MAJOR = 9,
		  STAT_USER = 11,
		  STAT_KERNEL = 12,
		  STAT_THREADS = 17,
		  STAT_START = 19,
		  STAT_VIRTUAL = 20,
		  STAT_RSS = 21,
};

static __u32 state_of_letter(char letter)
{
	switch (letter) {
	case 'R':
		return 0;
	case 'D':
		return 0x2;
	case 'T':
		return 0x4;
	case 't':
		return 0x8;
	case 'Z':
		return 0x20;
	case 'X':
		return 0x10;
	case 'I':
		return 0x402;
	default:
		return 0x1;
	}
}

/* /proc/.../stat; 0, -errno, or -EPROTO when it is not what the kernel writes. */
static int read_stat(const char *folder, struct ebtop_task *record, __u64 *start_ticks)
{
	unsigned long long field[STAT_FIELDS] = { 0 };
	char path[96], text[1024], *name, *at;
	ssize_t got;
	size_t length;

	snprintf(path, sizeof(path), "%s/stat", folder);
	got = read_text(path, text, sizeof(text));
	if (got < 0)
		return (int)got;
	name = strchr(text, '(');
	at = strrchr(text, ')');
	if (!name || !at || at < name || at[1] != ' ' || !at[2])
		return -EPROTO;
	length = (size_t)(at - name) - 1;
	memcpy(record->comm, name + 1,
	       length < sizeof(record->comm) ? length : sizeof(record->comm) - 1);
	record->task_state = state_of_letter(at[2]);
	at += 3;
	for (int i = 1; i < STAT_FIELDS; i++) {
		char *end;

		field[i] = strtoull(at, &end, 10);
		if (end == at)
			return -EPROTO;
		at = end;
	}
	record->ppid = (__u32)field[STAT_PPID];
	record->task_flags = (__u32)field[STAT_FLAGS];
	record->minor_faults = field[STAT_MINOR];
	record->major_faults = field[STAT_MAJOR];
	record->user_ticks_ns = field[STAT_USER] * tick_ns();
	record->kernel_ticks_ns = field[STAT_KERNEL] * tick_ns();
	record->threads = (__u32)field[STAT_THREADS];
	record->virtual_pages = field[STAT_VIRTUAL] / (__u64)sysconf(_SC_PAGESIZE);
	record->rss_pages = (__s64)field[STAT_RSS];
	*start_ticks = field[STAT_START];
	return 0;
}

/* A number of /proc/.../status; `kib`: as pages. 0 where it is not there. */
static __u64 status_number(const char *text, const char *name, int word, int kib)
{
	const char *at = strstr(text, name);
	char *end;
	__u64 value = 0;

	if (!at)
		return 0;
	at += strlen(name);
	for (; word >= 0; word--, at = end)
		value = strtoull(at, &end, 10);
	return kib ? value * 1024 / (__u64)sysconf(_SC_PAGESIZE) : value;
}

static void read_status(const char *folder, struct ebtop_task *record)
{
	char path[96], text[4096];

	snprintf(path, sizeof(path), "%s/status", folder);
	if (read_text(path, text, sizeof(text)) <= 0)
		return;
	record->uid = (__u32)status_number(text, "\nUid:", 1, 0);
	record->peak_rss_pages = status_number(text, "\nVmHWM:", 0, 1);
	record->anon_pages = status_number(text, "\nRssAnon:", 0, 1);
	record->file_pages = status_number(text, "\nRssFile:", 0, 1);
	record->shmem_pages = status_number(text, "\nRssShmem:", 0, 1);
	record->swap_pages = status_number(text, "\nVmSwap:", 0, 1);
	record->voluntary_switches = status_number(text, "\nvoluntary_ctxt_switches:", 0, 0);
	record->involuntary_switches = status_number(text, "\nnonvoluntary_ctxt_switches:", 0, 0);
}

/* Execution time as the scheduler has it; 0, or -errno. */
static int read_oncpu(__u32 pid, __u32 tid, __u64 *ret)
{
	char path[64], text[128], *end;
	ssize_t got;

	snprintf(path, sizeof(path), "/proc/%u/task/%u/schedstat", pid, tid);
	got = read_text(path, text, sizeof(text));
	if (got < 0)
		return (int)got;
	*ret = strtoull(text, &end, 10);
	return end == text ? -EPROTO : 0;
}

/* ---- who they are ---- */

static struct watch_entry *entry_of(const struct hidden *hidden, __u32 pid)
{
	for (size_t i = 0; i < hidden->list.count; i++) {
		struct watch_entry *entry = buffer_at(&hidden->list, i);

		if (entry->pid == pid)
			return entry;
	}
	return NULL;
}

static void list_add(struct hidden *hidden, __u32 pid, __u64 start_ns)
{
	struct watch_entry *entry = entry_of(hidden, pid);

	if (!entry && hidden->list.count < PROCESSES_MAX)
		entry = buffer_add(&hidden->list);
	if (entry)
		*entry = (struct watch_entry){ start_ns, pid, 0 };
}

void hidden_consider(struct hidden *hidden, const struct process *process)
{
	if (hidden->same_pids && !(process->flags & (PROCESS_FACTS | PROCESS_ENDED)))
		list_add(hidden, process->node.id, process->node.start_ns);
}

static int same_start(__u64 exact, __u64 in_ticks)
{
	return exact / tick_ns() == in_ticks / tick_ns();
}

struct process *hidden_process(struct hidden *hidden, struct accounts *accounts, __u32 pid,
			       __u64 start_ns)
{
	struct watch_entry *entry = entry_of(hidden, pid);
	struct process *process;

	if (!entry || !same_start(start_ns, entry->start_ns))
		return NULL;
	process = (void *)hash_find(&accounts->processes, pid, entry->start_ns);
	if (!process)
		return NULL;
	hash_remove(&accounts->processes, &process->node);
	process->node.start_ns = entry->start_ns = start_ns;
	hash_insert(&accounts->processes, &process->node);
	return process;
}

static struct thread *thread_of(const struct process *process, __u32 tid, __u64 start_ns)
{
	struct thread *thread = process->threads;

	while (thread && (thread->node.id != tid || thread->dead ||
			  !same_start(start_ns, thread->node.start_ns)))
		thread = thread->next;
	return thread;
}

struct thread *hidden_thread(const struct process *process, const struct thread_identity *identity)
{
	struct thread *thread = thread_of(process, identity->tid, identity->start_ns);

	if (!thread || thread->owner)
		return NULL;
	thread->owner = identity->owner;
	thread->began_ns = identity->began_ns;
	return thread;
}

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
		/* whoever began since the tasks were read is not hidden, but young */
		if (!read_stat(path, &record, &ticks) &&
		    (ticks + 1) * tick_ns() + LOOK_MIN_NS < began_boot)
			list_add(hidden, pid, ticks * tick_ns());
	}
	if (folder)
		closedir(folder);
	hidden->looked_ns = began;
	hidden->look_took_ns = clock_ns(CLOCK_MONOTONIC) - began;
}

/* ---- their records ---- */

/* 0, or a negative errno: -ENOENT when it is no more. */
static int read_thread(struct accounts *accounts, struct process *process, __u32 tid)
{
	const __u32 pid = process->node.id;
	struct ebtop_task record = { .wait = EBTOP_WAIT_OTHER, .rss_pages = -1 };
	const struct thread *known;
	char path[64];
	__u64 ticks;
	int ret;

	snprintf(path, sizeof(path), "/proc/%u/task/%u", pid, tid);
	ret = read_stat(path, &record, &ticks);
	if (ret)
		return ret == -ESRCH ? -ENOENT : ret;
	if (tid == pid && !same_start(process->node.start_ns, ticks * tick_ns()))
		return -ENOENT;
	record.pid = pid;
	record.tid = tid;
	record.start_ns = ticks * tick_ns();
	known = thread_of(process, tid, record.start_ns);
	if (known) {
		record.start_ns = known->node.start_ns;
		record.owner = known->owner;
	}
	record.leader_start_ns = process->node.start_ns;
	record.dirtied_bytes = record.group_dirtied_bytes = EBTOP_NOT_COUNTED;
	record.mappings = EBTOP_NOT_COUNTED;
	read_oncpu(pid, tid, &record.oncpu_ns);
	read_status(path, &record);
	accounts_task(accounts, &record);
	return 0;
}

static void end(struct accounts *accounts, struct process *process)
{
	accounts_touch(accounts, process);
	for (struct thread *thread = process->threads; thread; thread = thread->next) {
		accounts_touch_thread(accounts, thread);
		accounts_bury(accounts, thread);
	}
	process->flags |= PROCESS_ENDED;
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
	while (folder && left-- > 0 && (found = readdir(folder)) != NULL) {
		__u32 tid = (__u32)strtoul(found->d_name, NULL, 10);

		if (tid && tid != process->node.id)
			read_thread(accounts, process, tid);
	}
	if (folder)
		closedir(folder);
	return 0;
}

void hidden_read(struct hidden *hidden, struct accounts *accounts, int all)
{
	__u64 since = accounts->now_ns - hidden->looked_ns;
	size_t kept = 0;

	hidden->left = THREADS_MAX;
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

int hidden_left(struct hidden *hidden, struct ebtop_slot *slot)
{
	__u64 oncpu;
	int ret;

	if (!hidden->left)
		return -EAGAIN;
	hidden->left--;
	ret = read_oncpu(slot->pid, slot->tid, &oncpu);
	if (ret && ret != -ENOENT && ret != -ESRCH)
		return -EAGAIN;
	/* less than before: another thread has that number */
	if (ret || oncpu < slot->oncpu_ns) {
		slot->state = EBTOP_SLOT_DEAD;
		return 0;
	}
	slot->since_ns += oncpu - slot->oncpu_ns;
	slot->oncpu_ns = oncpu;
	slot->state = EBTOP_SLOT_OFF;
	return 0;
}
