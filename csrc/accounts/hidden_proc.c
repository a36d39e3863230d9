// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the files of /proc that tell of a thread which no program sees: its task record, its time, and
 * the cgroup of its process. Who is read, and what becomes of it, is hidden.c's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "accounts/hidden_proc.h"

#define CGROUP2_MAGIC 0x63677270

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

__u64 hidden_tick_ns(void)
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

int hidden_read_stat(const char *folder, struct ebtop_task *record, __u64 *start_ticks)
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
	record->user_ticks_ns = field[STAT_USER] * hidden_tick_ns();
	record->kernel_ticks_ns = field[STAT_KERNEL] * hidden_tick_ns();
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

int hidden_read_status(const char *folder, struct ebtop_task *record)
{
	ssize_t got;

	char path[96], text[4096];

	snprintf(path, sizeof(path), "%s/status", folder);
	got = read_text(path, text, sizeof(text));
	if (got <= 0)
		return got ? (int)got : -EPROTO;
	record->uid = (__u32)status_number(text, "\nUid:", 1, 0);
	record->peak_rss_pages = status_number(text, "\nVmHWM:", 0, 1);
	record->anon_pages = status_number(text, "\nRssAnon:", 0, 1);
	record->file_pages = status_number(text, "\nRssFile:", 0, 1);
	record->shmem_pages = status_number(text, "\nRssShmem:", 0, 1);
	record->swap_pages = status_number(text, "\nVmSwap:", 0, 1);
	record->voluntary_switches = status_number(text, "\nvoluntary_ctxt_switches:", 0, 0);
	record->involuntary_switches = status_number(text, "\nnonvoluntary_ctxt_switches:", 0, 0);
	return 0;
}

int hidden_read_time(const char *folder, struct hidden_time *ret)
{
	char path[96], text[128];
	unsigned long long oncpu, waited, slices;
	ssize_t got;

	snprintf(path, sizeof(path), "%s/schedstat", folder);
	got = read_text(path, text, sizeof(text));
	if (got < 0)
		return (int)got;
	if (sscanf(text, "%llu %llu %llu", &oncpu, &waited, &slices) != 3)
		return -EPROTO;
	/* three zeros where the kernel does not count */
	*ret = (struct hidden_time){ oncpu, waited, slices > 0 };
	return 0;
}

int hidden_read_migrations(const char *folder, __u64 *ret)
{
	static const char name[] = "\nse.nr_migrations";
	char path[96], text[4096];
	const char *at;
	ssize_t got;

	snprintf(path, sizeof(path), "%s/sched", folder);
	got = read_text(path, text, sizeof(text));
	if (got < 0)
		return (int)got;
	at = strstr(text, name);
	at = at ? strchr(at, ':') : NULL;
	if (!at)
		return -EPROTO;
	*ret = strtoull(at + 1, NULL, 10);
	return 0;
}

/* The path of cgroup2 in /proc/PID/cgroup, where its folder is, and the number of that. */
int hidden_read_cgroup(const char *folder, __u64 *ret)
{
	static const char *const mounts[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	char path[96], text[4096], place[4200], *at;
	struct stat found;
	struct statfs system;
	ssize_t got;

	snprintf(path, sizeof(path), "%s/cgroup", folder);
	got = read_text(path, text, sizeof(text));
	if (got < 0)
		return (int)got;
	at = strstr(text, "0::");
	while (at && at != text && at[-1] != '\n')
		at = strstr(at + 1, "0::");
	if (!at)
		return -ENOENT;
	at += 3;
	at[strcspn(at, "\n")] = '\0';
	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		if (statfs(mounts[i], &system) || system.f_type != CGROUP2_MAGIC)
			continue;
		snprintf(place, sizeof(place), "%s%s", mounts[i], at);
		if (stat(place, &found))
			return -errno;
		*ret = found.st_ino;
		return 0;
	}
	return -ENOENT;
}
