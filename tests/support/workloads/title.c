// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns a process whose command line changes: title again WORD (it executes itself as `title sleep WORD`,
 * under the same name, and sleeps) | title write WORD (it writes WORD over its arguments, and sleeps) |
 * title often N (N times, every 350 ms, it writes `turn I` and runs a little) | title alone WORD (its
 * leader ends, and a thread with a name of its own lives on). It says "done" when it sleeps.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static void sleep_on(void)
{
	puts("done");
	fflush(stdout);
	for (;;)
		pause();
}

/* What servers do to show what they are at. */
static void write_title(char **argv, int argc, const char *title)
{
	size_t room = (size_t)(argv[argc - 1] + strlen(argv[argc - 1]) - argv[0]);
	static char copy[256];

	snprintf(copy, sizeof(copy), "%s", title);
	memset(argv[0], 0, room);
	strncpy(argv[0], copy, room);
}

static void *live_on(void *unused)
{
	prctl(PR_SET_NAME, "survivor");
	usleep(100000);
	sleep_on();
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	char title[32];

	if (argc < 3)
		return 2;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!strcmp(argv[1], "again")) {
		char *again[] = { argv[0], "sleep", argv[2], NULL };

		puts("done");
		fflush(stdout);
		getchar();
		execv(argv[0], again);
		return 1;
	}
	if (!strcmp(argv[1], "write")) {
		puts("done");
		fflush(stdout);
		getchar();
		write_title(argv, argc, argv[2]);
	}
	if (!strcmp(argv[1], "often")) {
		long times = atol(argv[2]);

		for (long i = 0; i < times; i++) {
			snprintf(title, sizeof(title), "turn %ld", i);
			write_title(argv, argc, title);
			for (int k = 0; k < 5; k++) {
				for (volatile int j = 0; j < 100000; j++)
					;
				usleep(70000);
			}
		}
		return 0;
	}
	if (!strcmp(argv[1], "alone")) {
		pthread_create(&thread, NULL, live_on, NULL);
		pthread_exit(NULL);
	}
	sleep_on();
}
