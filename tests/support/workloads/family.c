// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns a tree of processes four deep: COUNT children, each of which makes the next generation, of all
 * sorts: plain forks that burn a little, vfork and exec, clone3, threads, ends by code and by signal,
 * and orphans whose parent ends before them. Every one writes its pid into a pipe at its birth, with
 * what it will end with: as a shell has it, + 1000 for an orphan. When the last has ended these are
 * printed, a line a process, those of this one included.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ORPHAN 1000

struct birth {
	int pid, code;
};

/* As linux/sched.h has it, which libc's own headers may not stand beside. */
struct clone3_args {
	unsigned long long flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
};

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

static void born(int code)
{
	struct birth birth = { (int)syscall(SYS_getpid), code };

	if (write(births, &birth, sizeof(birth)) != sizeof(birth))
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
	born(5 + ORPHAN);
	usleep(3000);
	burn(50);
	_exit(5);
}

static void by_vfork(void)
{
	pid_t pid = vfork();

	if (!pid) {
		born(0);
		execl("/bin/true", "true", NULL);
		_exit(98);
	}
	waitpid(pid, NULL, 0);
}

static void by_clone3(void)
{
	struct clone3_args args = { .exit_signal = SIGCHLD };
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	if (!pid) {
		born(6);
		_exit(6);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static void live(int kind, int generation)
{
	born(kind % 11 == 4 ? 128 + SIGKILL : kind % 13);
	if (generation < 3) {
		pid_t pid = fork();

		if (!pid)
			live(kind + generation, generation + 1);
		waitpid(pid, NULL, 0);
	} else if (kind % 5 == 0) {
		leave_orphan();
	} else if (kind % 5 == 1) {
		by_vfork();
	} else if (kind % 5 == 2) {
		by_clone3();
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
	int count = argc > 1 ? atoi(argv[1]) : 1, pipes[2];
	struct birth birth;

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
	printf("%d 7\n", (int)getpid());
	while (read(alive, &birth, sizeof(birth)) == sizeof(birth))
		printf("%d %d\n", birth.pid, birth.code);
	return 7;
}
