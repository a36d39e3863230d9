// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Prints all that a program is started with and may notice: a line a thing, the environment as it
 * lies in memory, each string with its length before it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DESCRIPTORS 1024

extern char **environ;

static void print_signals(void)
{
	sigset_t mask;

	sigprocmask(SIG_BLOCK, NULL, &mask);
	for (int number = 1; number <= 64; number++) {
		struct sigaction now;

		if (sigaction(number, NULL, &now))
			continue;
		printf("signal %d: %s%s\n", number,
		       now.sa_handler == SIG_IGN ? "ignored" :
		       now.sa_handler == SIG_DFL ? "default" :
						   "handled",
		       sigismember(&mask, number) ? ", blocked" : "");
	}
}

static void print_descriptors(void)
{
	for (int fd = 0; fd < DESCRIPTORS; fd++) {
		char path[64], target[256];
		int flags = fcntl(fd, F_GETFL);
		ssize_t length;

		if (flags < 0)
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		length = readlink(path, target, sizeof(target) - 1);
		target[length < 0 ? 0 : length] = '\0';
		printf("descriptor %d: %s, flags %o, at %ld\n", fd, strchr(target, ':') ? "" : target,
		       (unsigned)flags, (long)lseek(fd, 0, SEEK_CUR));
	}
}

static void print_file(const char *path, const char *const words[])
{
	char line[4096];
	FILE *file = fopen(path, "re");

	while (file && fgets(line, sizeof(line), file))
		for (int i = 0; words[i]; i++)
			if (!strncmp(line, words[i], strlen(words[i])))
				printf("%s: %s", path, line);
	if (file)
		fclose(file);
}

int main(int count, char **words)
{
	static const char *const all[] = { "", NULL };
	static const char *const of_status[] = { "Umask", "Uid", "Gid", "Groups", "Cap", "NoNew",
						 "Seccomp:", "Cpus_allowed:", "Mems_allowed:", NULL };
	char folder[4096];

	print_descriptors();
	print_signals();
	for (int i = 0; i < count; i++)
		printf("argument %d: %s\n", i, words[i]);
	for (char **one = environ; *one; one++)
		printf("variable of %zu: %s\n", strlen(*one), *one);
	print_file("/proc/self/status", of_status);
	print_file("/proc/self/limits", all);
	print_file("/proc/self/cgroup", all);
	print_file("/proc/self/oom_score_adj", all);
	printf("nice %d, policy %d, ioprio %ld\n", getpriority(PRIO_PROCESS, 0),
	       sched_getscheduler(0), syscall(SYS_ioprio_get, 1, 0));
	printf("personality %x, slack %d\n", (unsigned)personality(0xffffffff),
	       prctl(PR_GET_TIMERSLACK));
	printf("folder %s, session %d, terminal %d\n", getcwd(folder, sizeof(folder)), (int)getsid(0),
	       (int)tcgetpgrp(0));
	printf("securebits %d, dumpable %d, reaper %d\n", prctl(PR_GET_SECUREBITS),
	       prctl(PR_GET_DUMPABLE), 0);
	return 0;
}
