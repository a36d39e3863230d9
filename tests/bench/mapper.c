// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns a loop of mmap and munmap in pairs: `mapper LOOPS TOUCHED`, with so many pages touched in
 * between; or with `call` for TOUCHED, of getppid. It prints the nanoseconds of one round.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

int main(int argc, char **argv)
{
	long loops = argc > 1 ? atol(argv[1]) : 1, touched = argc > 2 ? atol(argv[2]) : 0;
	int call = argc > 2 && !strcmp(argv[2], "call");
	const size_t bytes = 16 * 4096;
	double began = now_ns();

	for (long i = 0; i < loops; i++) {
		volatile char *got;

		if (call) {
			syscall(SYS_getppid);
			continue;
		}
		got = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (got == MAP_FAILED)
			return 1;
		for (long page = 0; page < touched; page++)
			got[page * 4096] = 1;
		munmap((void *)got, bytes);
	}
	printf("%.1f\n", (now_ns() - began) / (double)loops);
	return 0;
}
