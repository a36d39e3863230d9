// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * trespass PID: as an ordinary user, tries by every way there is to get into each descendant of that
 * process, from the moment it exists, over and over until standard input ends. A line a success,
 * once for each process and way: "in PID WAY DETAIL COMM-BEFORE COMM-AFTER ending|alive"; at the end "tried PID COMM" for
 * each process that was met under that name, and "passes N".
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define FDS 24
#define MOST 20000
#define KCMP_FILE 0

static struct seen {
	int pid;
	char text[128];
} seen[MOST];
static int seen_count;
static int self;

/* Whether that is new. */
static int note(int pid, const char *text)
{
	for (int i = 0; i < seen_count; i++)
		if (seen[i].pid == pid && !strcmp(seen[i].text, text))
			return 0;
	if (seen_count < MOST) {
		seen[seen_count].pid = pid;
		snprintf(seen[seen_count++].text, sizeof(seen[0].text), "%s", text);
	}
	return 1;
}

static void name_of(int pid, char comm[17])
{
	char path[64];
	int fd;
	ssize_t length = 0;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY);
	if (fd >= 0) {
		length = read(fd, comm, 16);
		close(fd);
	}
	comm[length > 0 ? length - 1 : 0] = '\0';
	for (char *c = comm; *c; c++)
		if (isspace((unsigned char)*c))
			*c = '_';
}

/* Its memory is gone, or it is: then kernels may have forgotten that it is not dumpable. */
static int is_ending(int pid)
{
	char path[64], line[512], *rest;
	unsigned int flags = 0;
	char state = 'Z';
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "r");
	if (!file)
		return 1;
	rest = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
	fclose(file);
	if (!rest || sscanf(rest, ") %c %*d %*d %*d %*d %*d %u", &state, &flags) != 2)
		return 1;
	return state == 'Z' || state == 'X' || flags & 4; /* PF_EXITING */
}

static void in(int pid, const char *before, const char *way, const char *detail)
{
	char text[128], after[17];

	name_of(pid, after);
	snprintf(text, sizeof(text), "%s %.40s %s %s %s", way, detail[0] ? detail : "-", before,
		 after[0] ? after : "-", is_ending(pid) ? "ending" : "alive");
	if (note(pid, text))
		printf("in %d %s\n", pid, text);
}

static void try_fds(int pid, const char *comm)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (pidfd < 0)
		return;
	for (int i = 0; i < FDS; i++) {
		int fd = (int)syscall(SYS_pidfd_getfd, pidfd, i, 0);
		char path[64], link[64];
		ssize_t length;

		if (fd < 0)
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		length = readlink(path, link, sizeof(link) - 1);
		link[length > 0 ? length : 0] = '\0';
		close(fd);
		in(pid, comm, "pidfd_getfd", link);
	}
	close(pidfd);
}

static void try_files(int pid, const char *comm)
{
	static const char *const files[] = { "mem",  "environ", "auxv", "maps",
					     "fd/0", "fd/1",    "fd/2", "fd/5" };
	char path[64], link[64], byte;

	for (unsigned int i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/%s", pid, files[i]);
		fd = open(path, (i ? O_RDONLY : O_RDWR) | O_NONBLOCK | O_NOCTTY);
		if (fd < 0)
			continue;
		/* the right to read is asked for again, and for these it is what counts */
		if (i == 0 || i > 3 || read(fd, &byte, 1) > 0)
			in(pid, comm, "open", files[i]);
		close(fd);
	}
	/* how many there are its user may see; not what they are */
	for (int i = 0; i < FDS; i++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, i);
		if (readlink(path, link, sizeof(link)) > 0)
			in(pid, comm, "readlink", "fd");
	}
}

/* With any other error the kernel had nothing against it. */
static int refused(long ret)
{
	return ret < 0 && (errno == EPERM || errno == EACCES || errno == ESRCH || errno == ENOSYS);
}

static void try_calls(int pid, const char *comm)
{
	char byte;
	struct iovec here = { &byte, 1 }, there = { (void *)0x400000, 1 };
	void *head;
	size_t size;

	if (!refused(process_vm_readv(pid, &here, 1, &there, 1, 0)))
		in(pid, comm, "process_vm_readv", "-");
	if (!refused(syscall(SYS_kcmp, pid, self, KCMP_FILE, 0, 0)))
		in(pid, comm, "kcmp", "-");
	if (!syscall(SYS_get_robust_list, pid, &head, &size))
		in(pid, comm, "get_robust_list", "-");
	if (!ptrace(PTRACE_SEIZE, pid, NULL, NULL)) {
		in(pid, comm, "ptrace", "-");
		/* or its own parent would wait for us */
		ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
		waitpid(pid, NULL, __WALL);
		ptrace(PTRACE_DETACH, pid, NULL, NULL);
	}
}

static void try_all(int pid)
{
	char comm[17], text[32];

	name_of(pid, comm);
	if (!comm[0] || !strcmp(comm, "trespass"))
		return;
	snprintf(text, sizeof(text), "tried %s", comm);
	note(pid, text);
	try_fds(pid, comm);
	try_files(pid, comm);
	try_calls(pid, comm);
}

static void descend(int pid, int depth)
{
	char path[64];
	int child;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	file = fopen(path, "r");
	while (file && depth < 8 && fscanf(file, "%d", &child) == 1) {
		if (child == self)
			continue;
		try_all(child);
		descend(child, depth + 1);
	}
	if (file)
		fclose(file);
}

int main(int argc, char **argv)
{
	struct pollfd end = { .fd = 0, .events = POLLIN };
	unsigned long passes = 0;
	int root = argc > 1 ? atoi(argv[1]) : 1;

	setvbuf(stdout, NULL, _IOLBF, 0);
	self = getpid();
	puts("ready");
	while (!poll(&end, 1, 0)) {
		descend(root, 0);
		passes++;
	}
	for (int i = 0; i < seen_count; i++)
		if (!strncmp(seen[i].text, "tried ", 6))
			printf("tried %d %s\n", seen[i].pid, seen[i].text + 6);
	printf("passes %lu\n", passes);
	return 0;
}
