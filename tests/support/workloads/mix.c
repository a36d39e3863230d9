// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the mixed load: one child of each kind, all alive until their parent is killed. Two spin,
 * two yield to each other, two pass a byte to and fro, one has threads that fight for a lock, one
 * maps and touches memory, one writes a file, one forks children that end at once, one sleeps.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int there[2], back[2];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void work(long turns)
{
	for (volatile long i = 0; i < turns; i++)
		;
}

static void spin(void)
{
	for (;;)
		work(1000);
}

static void yield(void)
{
	for (;; work(2000))
		sched_yield();
}

static void pass(int from, int to)
{
	char byte;

	while (read(from, &byte, 1) == 1 && write(to, &byte, 1) == 1)
		;
}

static void ping(void)
{
	if (write(there[1], "", 1) == 1)
		pass(back[0], there[1]);
}

static void pong(void)
{
	pass(there[0], back[1]);
}

static void *fight(void *unused)
{
	struct timespec time = { .tv_nsec = 100000 };

	for (;;) {
		pthread_mutex_lock(&lock);
		work(20000);
		pthread_mutex_unlock(&lock);
		nanosleep(&time, NULL);
	}
	return unused;
}

static void threads(void)
{
	pthread_t thread;

	for (int i = 0; i < 6; i++)
		pthread_create(&thread, NULL, fight, NULL);
	fight(NULL);
}

static void memory(void)
{
	const size_t bytes = 1 << 20;

	for (;;) {
		char *area = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				  -1, 0);

		for (size_t i = 0; i < bytes; i += 4096)
			area[i] = 1;
		munmap(area, bytes);
	}
}

static void file(void)
{
	static char block[16384];
	char name[] = "/tmp/ebtop-live-mix-XXXXXX";
	int fd = mkstemp(name);

	unlink(name);
	for (;;)
		if (pwrite(fd, block, sizeof(block), 0) < 0 || fdatasync(fd))
			sched_yield();
}

static void forks(void)
{
	for (;;) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
}

static void sleeps(void)
{
	struct timespec time = { .tv_nsec = 50000 };

	for (;;)
		nanosleep(&time, NULL);
}

int main(void)
{
	static void (*const kinds[])(void) = { spin,	spin,	yield, yield, ping,  pong,
					       threads, memory, file,  forks, sleeps };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (pipe(there) || pipe(back))
		return 1;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		pid_t pid = fork();

		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			kinds[i]();
			_exit(1);
		}
		printf("%d ", pid);
	}
	puts("");
	fflush(stdout);
	pause();
}
