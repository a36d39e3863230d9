// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns a tree of processes four deep: COUNT children, each of which makes the next generation, of all
 * sorts: plain forks that burn a little, vfork and exec, threads, ends by code and by signal, and
 * orphans whose parent ends before them. Prints the number of processes that it made, itself
 * included, when the last has ended; every one writes a byte into a pipe at its birth.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int births, alive;

static void burn(int rounds)
{
	for (volatile int i = 0; i < rounds * 1000; i++)
		;
}

static void *thread_main(void *arg)
{
	burn(20);
	return arg;
}

static void born(void)
{
	if (write(births, "", 1) != 1)
		_exit(99);
}

static void with_threads(void)
{
	pthread_t threads[3];

	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, thread_main, NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}

/* Its child lives on when it has ended. */
static void leave_orphan(void)
{
	if (fork())
		return;
	born();
	usleep(3000);
	burn(50);
	_exit(5);
}

static void by_vfork(void)
{
	pid_t pid = vfork();

	if (!pid) {
		born();
		execl("/bin/true", "true", NULL);
		_exit(98);
	}
	waitpid(pid, NULL, 0);
}

static void live(int kind, int generation)
{
	born();
	if (generation < 3) {
		pid_t pid = fork();

		if (!pid)
			live(kind + generation, generation + 1);
		waitpid(pid, NULL, 0);
	} else if (kind % 5 == 0) {
		leave_orphan();
	} else if (kind % 5 == 1) {
		by_vfork();
	}
	if (kind % 7 == 2)
		with_threads();
	if (kind % 3 == 0)
		burn(100);
	if (kind % 11 == 4)
		raise(SIGKILL);
	_exit(kind % 13);
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 1, pipes[2], made = 1;
	char byte;

	if (pipe(pipes))
		return 1;
	births = pipes[1];
	alive = pipes[0];
	for (int i = 0; i < count; i++) {
		pid_t pid = fork();

		if (!pid) {
			close(alive);
			live(i, 1);
		}
		waitpid(pid, NULL, 0);
	}
	close(births);
	while (read(alive, &byte, 1) == 1)
		made++;
	printf("%d\n", made);
	return 7;
}
