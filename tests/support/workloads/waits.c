// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * A process that waits for one kind of thing only, until it is killed: `waits KIND [PATH]`. What it
 * waits for is done by a child, or by children, that end with it. "ready" once it has begun.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAUSE_NS 1009000

static char block[1 << 20] __attribute__((aligned(4096)));

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void nap(void)
{
	struct timespec time = { 0, PAUSE_NS };

	nanosleep(&time, NULL);
}

static void ready(void)
{
	puts("ready");
	fflush(stdout);
}

/* In the child: true. It dies with its parent. */
static int in_child(void)
{
	pid_t parent = getpid(), child = fork();

	if (child < 0)
		fail("fork");
	if (child)
		return 0;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	return 1;
}

/* Whoever holds a lock then is put off by whoever wants it, and the latter has to wait. */
static void share_one_cpu(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

static void disk(const char *path)
{
	int file = open(path, O_RDONLY | O_DIRECT);
	off_t blocks;

	if (file < 0)
		fail(path);
	blocks = lseek(file, 0, SEEK_END) / 4096;
	ready();
	for (unsigned long i = 0;; i++)
		if (pread(file, block, 4096, (off_t)(i * 7919 % (unsigned long)blocks) * 4096) != 4096)
			fail("pread");
}

static void bytes_from(int from, int to)
{
	char byte = 0;

	if (in_child())
		for (;;) {
			nap();
			if (write(to, &byte, 1) != 1)
				_exit(0);
		}
	ready();
	while (read(from, &byte, 1) == 1)
		;
}

static void socket_tcp(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM, 0), ends[2];

	if (bind(listener, (void *)&at, sizeof(at)) || listen(listener, 1) ||
	    getsockname(listener, (void *)&at, &bytes))
		fail("listen");
	ends[1] = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(ends[1], (void *)&at, sizeof(at)))
		fail("connect");
	ends[0] = accept(listener, NULL, NULL);
	bytes_from(ends[0], ends[1]);
}

static void socket_unix(void)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		fail("socketpair");
	bytes_from(ends[0], ends[1]);
}

static void pipe_kind(void)
{
	int ends[2];

	if (pipe(ends))
		fail("pipe");
	bytes_from(ends[0], ends[1]);
}

static void epoll_kind(void)
{
	int ends[2], poll = epoll_create1(0);
	struct epoll_event event = { .events = EPOLLIN };
	char byte = 0;

	if (pipe(ends) || epoll_ctl(poll, EPOLL_CTL_ADD, ends[0], &event))
		fail("epoll");
	if (in_child())
		for (;;) {
			nap();
			if (write(ends[1], &byte, 1) != 1)
				_exit(0);
		}
	ready();
	while (epoll_wait(poll, &event, 1, -1) == 1)
		if (read(ends[0], &byte, 1) != 1)
			break;
}

static void event_kind(void)
{
	int event = eventfd(0, 0);
	unsigned long long one = 1;

	if (in_child())
		for (;;) {
			nap();
			if (write(event, &one, sizeof(one)) != sizeof(one))
				_exit(0);
		}
	ready();
	while (read(event, &one, sizeof(one)) == sizeof(one))
		;
}

static void timer_kind(void)
{
	int timer = timerfd_create(CLOCK_MONOTONIC, 0);
	struct itimerspec every = { { 0, PAUSE_NS }, { 0, PAUSE_NS } };
	unsigned long long count;

	if (timerfd_settime(timer, 0, &every, NULL))
		fail("timerfd");
	ready();
	while (read(timer, &count, sizeof(count)) == sizeof(count))
		;
}

static void futex_kind(void)
{
	unsigned int *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	*word = 1;
	if (in_child())
		for (;;) {
			nap();
			__atomic_store_n(word, 0, __ATOMIC_SEQ_CST);
			syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
		}
	ready();
	for (;;) {
		__atomic_store_n(word, 1, __ATOMIC_SEQ_CST);
		syscall(SYS_futex, word, FUTEX_WAIT, 1, NULL, NULL, 0);
	}
}

static void writer(const char *path)
{
	int file = open(path, O_WRONLY | O_CREAT, 0600);

	if (file < 0)
		fail(path);
	for (;;)
		if (pwrite(file, block, sizeof(block), 0) < 0)
			fail("pwrite");
}

static void writers(const char *path)
{
	share_one_cpu();
	if (in_child())
		writer(path);
	ready();
	writer(path);
}

static void renamer(const char *folder)
{
	char from[256], to[256];
	int file;

	snprintf(from, sizeof(from), "%s/%d", folder, getpid());
	snprintf(to, sizeof(to), "%s/%d.other", folder, getpid());
	file = open(from, O_WRONLY | O_CREAT, 0600);
	if (file < 0)
		fail(from);
	for (;;)
		if (rename(from, to) || rename(to, from))
			fail("rename");
}

static void renamers(const char *folder)
{
	share_one_cpu();
	for (int i = 0; i < 5; i++)
		if (in_child())
			renamer(folder);
	ready();
	renamer(folder);
}

static void child_kind(void)
{
	ready();
	for (;;) {
		if (in_child()) {
			nap();
			_exit(0);
		}
		wait(NULL);
	}
}

int main(int count, char **words)
{
	const char *kind = count > 1 ? words[1] : "", *path = count > 2 ? words[2] : "";

	prctl(PR_SET_TIMERSLACK, 1);
	if (!strcmp(kind, "disk"))
		disk(path);
	else if (!strcmp(kind, "socket"))
		socket_tcp();
	else if (!strcmp(kind, "unix"))
		socket_unix();
	else if (!strcmp(kind, "pipe"))
		pipe_kind();
	else if (!strcmp(kind, "epoll"))
		epoll_kind();
	else if (!strcmp(kind, "event"))
		event_kind();
	else if (!strcmp(kind, "timer"))
		timer_kind();
	else if (!strcmp(kind, "futex"))
		futex_kind();
	else if (!strcmp(kind, "writers"))
		writers(path);
	else if (!strcmp(kind, "renamers"))
		renamers(path);
	else if (!strcmp(kind, "child"))
		child_kind();
	else if (!strcmp(kind, "nanosleep")) {
		ready();
		for (;;)
			nap();
	}
	return 1;
}
