// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns a known number of processes: runs PROGRAM that many times, one after the other, and prints
 * what getrusage(RUSAGE_CHILDREN) says of their CPU time in microseconds.
 */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

extern char **environ;

int main(int argc, char **argv)
{
	int runs = argc > 2 ? atoi(argv[1]) : 0, status;
	struct rusage used;
	pid_t pid;

	for (int i = 0; i < runs; i++)
		if (posix_spawn(&pid, argv[2], NULL, NULL, argv + 2, environ) ||
		    waitpid(pid, &status, 0) != pid)
			return 1;
	getrusage(RUSAGE_CHILDREN, &used);
	printf("%ld\n", (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000L +
				used.ru_utime.tv_usec + used.ru_stime.tv_usec);
	return 0;
}
