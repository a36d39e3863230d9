// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns system calls in known numbers. It pauses before and after, until it is told to go on:
 *   ten | sleep N NS | compat N | hop N (between CPUs, inside the call) | stop (one sleep of half a
 *   second, for others to interrupt) | tree (two generations of children, 7 calls each)
 * "ready" is printed first, "done" last; a line of input begins it, another one ends it. `sleep`
 * prints before "done" how long its calls took by its own clock, in ns, one a line.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void times(long count, long number, long a, long b, long c)
{
	for (long i = 0; i < count; i++)
		syscall(number, a, b, c);
}

/* Calls that nothing else here makes in between; every second kind fails. */
static void ten(void)
{
	times(1009, SYS_getppid, 0, 0, 0);
	times(211, SYS_close, -1, 0, 0);
	times(307, SYS_getpgid, 0, 0, 0);
	times(101, SYS_chdir, (long)"/no/such/folder", 0, 0);
	times(401, SYS_umask, 022, 0, 0);
	times(103, SYS_kill, 0x7ffffff0, 0, 0);
	times(503, SYS_sched_yield, 0, 0, 0);
	times(107, SYS_listen, -1, 0, 0);
	times(601, SYS_getsid, 0, 0, 0);
	times(109, SYS_flock, -1, 0, 0);
}

static long long now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void sleep_so(long count, long ns)
{
	long long *took = calloc(count, sizeof(*took));
	struct timespec time = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };

	for (long i = 0; i < count; i++) {
		long long began = now_ns();

		syscall(SYS_nanosleep, &time, NULL);
		took[i] = now_ns() - began;
	}
	for (long i = 0; i < count; i++)
		printf("%lld\n", took[i]);
}

/* getpid by the 32-bit table: number 20 there. */
static void compat(long count)
{
#ifdef __x86_64__
	for (long i = 0; i < count; i++) {
		long result = 20;

		__asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
	}
#else
	(void)count;
#endif
}

static void hop(long count)
{
	for (long i = 0; i < count; i++) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(i % 2, &set);
		sched_setaffinity(0, sizeof(set), &set);
	}
}

static void tree(void)
{
	if (!fork()) {
		if (!fork()) {
			times(7, SYS_getppid, 0, 0, 0);
			_exit(0);
		}
		times(7, SYS_getppid, 0, 0, 0);
		wait(NULL);
		_exit(0);
	}
	wait(NULL);
}

static void wait_for_line(const char *said)
{
	char byte;

	printf("%s\n", said);
	fflush(stdout);
	while (read(0, &byte, 1) == 1 && byte != '\n')
		;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	long first = argc > 2 ? atol(argv[2]) : 0, second = argc > 3 ? atol(argv[3]) : 0;

	wait_for_line("ready");
	if (!strcmp(what, "ten"))
		ten();
	else if (!strcmp(what, "sleep"))
		sleep_so(first, second);
	else if (!strcmp(what, "compat"))
		compat(first);
	else if (!strcmp(what, "hop"))
		hop(first);
	else if (!strcmp(what, "stop"))
		sleep_so(1, 500000000);
	else if (!strcmp(what, "tree"))
		tree();
	wait_for_line("done");
	return 0;
}
