// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns a process that takes a CPU from others for a while, again and again: SPIN and SLEEP (ms) by
 * turns, in a thread beside the first, until a line of input comes; then that ends, then with another line
 * the process. It maps and touches as many pages as its third argument says.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static long spin_ms, sleep_ms;
static atomic_int over;

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static void *take_turns(void *unused)
{
	struct timespec rest = { .tv_nsec = sleep_ms * 1000000 };

	while (!over) {
		double end = now() + spin_ms / 1e3;

		while (now() < end)
			;
		nanosleep(&rest, NULL);
	}
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	char *pages;

	if (argc < 4)
		return 2;
	spin_ms = atol(argv[1]);
	sleep_ms = atol(argv[2]);
	pages = malloc((size_t)(atol(argv[3]) * sysconf(_SC_PAGESIZE)));
	memset(pages, 1, (size_t)(atol(argv[3]) * sysconf(_SC_PAGESIZE)));
	pthread_create(&thread, NULL, take_turns, NULL);
	getchar();
	over = 1;
	pthread_join(thread, NULL);
	puts("one");
	fflush(stdout);
	getchar();
	return 0;
}
