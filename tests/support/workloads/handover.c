// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns execs by threads that are not the leader, as often as it is told: handover TIMES MS OTHERS LEADER
 * FILE. Each time OTHERS threads wait, a thread burns MS of CPU time, makes 101 calls, reads FILE whole,
 * and executes this program again. LEADER: what the leader does meanwhile, which is to `pause`, to `end`
 * before the others do, or to `spin`; with `fail` the exec fails when it cannot go back. The last one
 * burns MS, makes 53 calls, and ends with 7.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static char **words;

static void burn(long ms)
{
	struct timespec began, now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &began);
	do
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	while ((now.tv_sec - began.tv_sec) * 1000 + (now.tv_nsec - began.tv_nsec) / 1000000 < ms);
}

static void call(int times)
{
	while (times--)
		syscall(SYS_getsockname, -1, NULL, NULL);
}

static void read_whole(const char *path)
{
	static __thread char room[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	while (read(fd, room, sizeof(room)) > 0)
		;
	close(fd);
}

static void *wait_for_the_end(void *unused)
{
	pause();
	return unused;
}

static void *hand_over(void *unused)
{
	char times[24];
	char *argv[] = { words[0], times, words[2], words[3], words[4], words[5], NULL };

	snprintf(times, sizeof(times), "%ld", atol(words[1]) - 1);
	burn(atol(words[2]));
	call(101);
	read_whole(words[5]);
	execv(strcmp(words[4], "fail") ? "/proc/thread-self/exe" : words[5], argv);
	_exit(99);
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	if (argc < 6)
		return 2;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	words = argv;
	if (!atol(argv[1])) {
		burn(atol(argv[2]));
		call(53);
		return 7;
	}
	for (long i = atol(argv[3]); i > 0; i--)
		pthread_create(&thread, NULL, wait_for_the_end, NULL);
	pthread_create(&thread, NULL, hand_over, NULL);
	if (!strcmp(argv[4], "end"))
		pthread_exit(NULL);
	while (!strcmp(argv[4], "spin"))
		;
	for (;;)
		pause();
}
