// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns calls that seccomp does not let through, births, and numbers that no table has, in known
 * numbers. It begins when a line comes, and ends by itself:
 *   getppid 101 refused with an error, umask 19 refused with success, sync 17 trapped, getsid 3 each
 *   killing its thread, getpgid 2 each killing its process; vfork 7, fork 11 and 2, clone 13 threads
 *   and 3; 9999 5 times, -1 3 times; with `many` also 200 other numbers once each
 */
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NUMBER BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define ANSWER(number, action)                                     \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)(number), 0, 1), \
		BPF_STMT(BPF_RET | BPF_K, action)

static void ignore(int number)
{
	(void)number;
}

static int filter(void)
{
	struct sock_filter steps[] = { NUMBER,
				       ANSWER(SYS_getppid, SECCOMP_RET_ERRNO | 42),
				       ANSWER(SYS_umask, SECCOMP_RET_ERRNO),
				       ANSWER(SYS_sync, SECCOMP_RET_TRAP),
				       ANSWER(SYS_getsid, SECCOMP_RET_KILL_THREAD),
				       ANSWER(SYS_getpgid, SECCOMP_RET_KILL_PROCESS),
				       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	struct sock_fprog program = { sizeof(steps) / sizeof(*steps), steps };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void *nothing(void *unused)
{
	return unused;
}

static void *killed(void *unused)
{
	syscall(SYS_getsid, 0);
	return unused;
}

static void threads(int count, void *(*body)(void *))
{
	pthread_t thread;

	for (int i = 0; i < count; i++) {
		pthread_create(&thread, NULL, body, NULL);
		pthread_join(thread, NULL);
	}
}

static void times(long count, long number, long a)
{
	for (long i = 0; i < count; i++)
		syscall(number, a);
}

int main(int count, char **words)
{
	const struct rlimit none = { 0, 0 };
	pid_t child;

	setrlimit(RLIMIT_CORE, &none);
	signal(SIGSYS, ignore);
	puts("ready");
	fflush(stdout);
	getchar();
	if (filter())
		return 1;
	times(101, SYS_getppid, 0);
	times(19, SYS_umask, 022);
	times(17, SYS_sync, 0);
	threads(3, killed);
	for (int i = 0; i < 7; i++) {
		child = vfork();
		if (!child)
			_exit(0);
		waitpid(child, NULL, 0);
	}
	for (int i = 0; i < 11; i++) {
		child = syscall(SYS_fork);
		if (!child)
			_exit(0);
		waitpid(child, NULL, 0);
	}
	for (int i = 0; i < 2; i++) {
		child = syscall(SYS_fork);
		if (!child) {
			syscall(SYS_getpgid, 0);
			_exit(0);
		}
		waitpid(child, NULL, 0);
	}
	threads(13, nothing);
	times(5, 9999, 0);
	times(3, -1, 0);
	for (long i = 0; count > 1 && i < 200; i++)
		syscall(10000 + i);
	return 0;
}
