// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns what a single process can be told to do a known number of times:
 *   exit CODE | sleeps N [US] (200 each) | spin MS | pages N | threads N | forks N | orphan MS |
 *   migrate N |
 *   groups N (children that end with 13 threads at once) | execs N (of itself) |
 *   bare N (executes itself with no arguments at all) | peak N (pages, then given back) |
 *   file N PATH (its pages, none in memory) | calls 0 (so many of each category) |
 *   leader CODE LAST (its leader ends with CODE, then its other thread with LAST) |
 *   clock MS (a thread spins; each line of input is answered with the CPU time of both)
 * After the others than exit, spin, orphan, leader and clock it prints "done" and pauses, so that
 * its counts can be read while it lives. What stands still before waits for a line of input.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
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

static void *spin_beside(void *ms)
{
	spin((long)ms);
	return NULL;
}

static long ran_ns(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return time.tv_sec * 1000000000 + time.tv_nsec;
}

/* A thread's own process may read its clock to the nanosecond, also while it runs. */
static void tell_clock(long ms)
{
	pthread_t thread;
	clockid_t clock;

	pthread_create(&thread, NULL, spin_beside, (void *)ms);
	pthread_getcpuclockid(thread, &clock);
	while (getchar() != EOF) {
		printf("%ld\n", ran_ns(CLOCK_THREAD_CPUTIME_ID) + ran_ns(clock));
		fflush(stdout);
	}
}

static char *touch_pages(long pages)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *memory = mmap(NULL, pages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);

	madvise(memory, pages * page, MADV_NOHUGEPAGE);
	for (long i = 0; i < pages; i++)
		memory[i * page] = 1;
	return memory;
}

static void touch_and_give_back(long pages)
{
	munmap(touch_pages(pages), pages * (size_t)sysconf(_SC_PAGESIZE));
}

/* Every eighth page, and no reading ahead: each is a read from the disk. */
static void fault_in(long pages, const char *path)
{
	size_t step = 8 * (size_t)sysconf(_SC_PAGESIZE);
	int fd = open(path, O_RDONLY);
	char *memory = mmap(NULL, pages * step, PROT_READ, MAP_SHARED, fd, 0);

	madvise(memory, pages * step, MADV_RANDOM);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	getchar();
	for (long i = 0; i < pages; i++)
		(void)*(volatile char *)(memory + i * step);
}

static void repeat(long times, long number, long first, long second, long third)
{
	while (times--)
		syscall(number, first, second, third);
}

/* A prime number of each category, and nothing of the C library's between. */
static void make_calls(void)
{
	static char room[512];
	int word = 0;

	if (read(0, room, 1) != 1)
		return;
	repeat(1009, SYS_lseek, -1, 0, 0);
	repeat(503, SYS_madvise, 0, 0, 0);
	repeat(251, SYS_getsockname, -1, 0, 0);
	repeat(2003, SYS_getppid, 0, 0, 0);
	repeat(127, SYS_clock_getres, CLOCK_MONOTONIC, 0, 0);
	repeat(307, SYS_futex, (long)&word, FUTEX_WAKE, 1);
	repeat(401, SYS_rt_sigpending, (long)room, 8, 0);
	repeat(601, SYS_uname, (long)room, 0, 0);
	if (write(1, "done\n", 5) == 5)
		pause();
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
	if (!strcmp(what, "clock"))
		return tell_clock(count), 0;
	if (!strcmp(what, "orphan"))
		leave_leader(count);
	if (!strcmp(what, "wait"))
		getchar();
	if (!strcmp(what, "sleeps"))
		for (long i = 0; i < count; i++)
			sleep_ns(argc > 3 ? atol(argv[3]) * 1000 : 200000);
	if (!strcmp(what, "pages"))
		getchar(), touch_pages(count);
	if (!strcmp(what, "peak"))
		getchar(), touch_and_give_back(count);
	if (!strcmp(what, "file"))
		fault_in(count, argv[3]);
	if (!strcmp(what, "calls"))
		make_calls();
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
