// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns a known number of processes: runs PROGRAM that many times, one after the other, and prints
 * what getrusage(RUSAGE_CHILDREN) says of their CPU time in microseconds. They are reaped some at a
 * time, a moment after the last of them has ended: what a process does between its end and its
 * last switch away, wait(2) knows only then.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define BATCH 97

extern char **environ;

static int reap(int count)
{
	usleep(20000);
	for (; count; count--)
		if (wait(NULL) < 0)
			return -1;
	return 0;
}

int main(int argc, char **argv)
{
	int runs = argc > 2 ? atoi(argv[1]) : 0, ended = 0;
	struct rusage used;
	siginfo_t how;
	pid_t pid;

	for (int i = 0; i < runs; i++) {
		if (posix_spawn(&pid, argv[2], NULL, NULL, argv + 2, environ) ||
		    waitid(P_PID, (id_t)pid, &how, WEXITED | WNOWAIT))
			return 1;
		if (++ended < BATCH && i + 1 < runs)
			continue;
		if (reap(ended))
			return 1;
		ended = 0;
	}
	getrusage(RUSAGE_CHILDREN, &used);
	printf("%ld\n", (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000L +
				used.ru_utime.tv_usec + used.ru_stime.tv_usec);
	return 0;
}
