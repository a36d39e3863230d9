// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns what a single process can be told to do a known number of times:
 *   exit CODE | sleeps N | spin MS | pages N | threads N | forks N | orphan MS | migrate N |
 *   groups N (children that end with 13 threads at once) | execs N (of itself) |
 *   bare N (executes itself with no arguments at all) | leader CODE LAST (its leader ends with CODE, then its other thread with LAST)
 * After the others than exit, spin, orphan and leader it prints "done" and pauses, so that its
 * counts can be read while it lives.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void sleep_ns(long ns)
{
	struct timespec time = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };

	nanosleep(&time, NULL);
}

static void spin(long ms)
{
	struct timespec now;
	double end;

	clock_gettime(CLOCK_MONOTONIC, &now);
	end = now.tv_sec + now.tv_nsec / 1e9 + ms / 1e3;
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while (now.tv_sec + now.tv_nsec / 1e9 < end);
}

static void touch_pages(long pages)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *memory = mmap(NULL, pages * page, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	madvise(memory, pages * page, MADV_NOHUGEPAGE);
	for (long i = 0; i < pages; i++)
		memory[i * page] = 1;
}

static void *nothing(void *unused)
{
	return unused;
}

static void *outlive(void *ms)
{
	sleep_ns((long)ms * 1000000);
	_exit(3);
}

static void make_threads(long count)
{
	pthread_t thread;

	for (long i = 0; i < count; i++) {
		pthread_create(&thread, NULL, nothing, NULL);
		pthread_join(thread, NULL);
	}
}

static void make_forks(long count)
{
	for (long i = 0; i < count; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(i % 2 ? 7 : 0);
		waitpid(pid, NULL, 0);
	}
}

static void *until_killed(void *unused)
{
	pause();
	return unused;
}

static void make_groups(long count)
{
	pthread_t thread;

	for (long i = 0; i < count; i++) {
		pid_t pid = fork();

		if (!pid) {
			for (int j = 0; j < 13; j++)
				pthread_create(&thread, NULL, until_killed, NULL);
			_exit(9);
		}
		waitpid(pid, NULL, 0);
	}
}

static void exec_again(char *self, long count)
{
	char text[32], *argv[] = { self, "execs", text, NULL };

	snprintf(text, sizeof(text), "%ld", count - 1);
	if (count)
		execv(self, argv);
}

static void exec_bare(char *self)
{
	char *none[] = { NULL };

	execv(self, none);
}

static void *end_last(void *code)
{
	sleep_ns(50000000);
	syscall(SYS_exit, (long)code);
	return NULL;
}

static void end_leader_first(long code, long last)
{
	pthread_t thread;

	pthread_create(&thread, NULL, end_last, (void *)last);
	syscall(SYS_exit, code);
}

static void migrate(long count)
{
	for (long i = 0; i < count; i++) {
		cpu_set_t one;

		CPU_ZERO(&one);
		CPU_SET(i % 2, &one);
		sched_setaffinity(0, sizeof(one), &one);
	}
}

static void leave_leader(long ms)
{
	pthread_t thread;

	pthread_create(&thread, NULL, outlive, (void *)ms);
	pthread_exit(NULL);
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	long count = argc > 2 ? atol(argv[2]) : 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!strcmp(what, "exit"))
		return (int)count;
	if (!strcmp(what, "spin"))
		return spin(count), 0;
	if (!strcmp(what, "orphan"))
		leave_leader(count);
	if (!strcmp(what, "wait"))
		getchar();
	if (!strcmp(what, "sleeps"))
		for (long i = 0; i < count; i++)
			sleep_ns(200000);
	if (!strcmp(what, "pages"))
		getchar(), touch_pages(count);
	if (!strcmp(what, "threads"))
		make_threads(count);
	if (!strcmp(what, "forks"))
		make_forks(count);
	if (!strcmp(what, "groups"))
		make_groups(count);
	if (!strcmp(what, "execs"))
		exec_again(argv[0], count);
	if (!strcmp(what, "bare"))
		exec_bare(argv[0]);
	if (!strcmp(what, "leader"))
		end_leader_first(count, argc > 3 ? atol(argv[3]) : 0);
	if (!strcmp(what, "migrate"))
		getchar(), migrate(count);
	puts("done");
	fflush(stdout);
	pause();
}
