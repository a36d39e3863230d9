// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns a known number of opens at a known rate: COUNT opens of one name that is not there, at
 * RATE a second, or as fast as it goes when RATE is 0. Prints the seconds that they took.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BURST 200 /* between two looks at the clock */

static double now_s(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	long count = argc > 2 ? atol(argv[1]) : 0, rate = argc > 2 ? atol(argv[2]) : 0;
	const struct timespec pause = { .tv_nsec = 1000000 };
	double began = now_s();

	for (long i = 0; i < count; i++) {
		open("/no/such/file/of/ebtop", O_RDONLY);
		while (rate && i % BURST == 0 && now_s() - began < (double)i / (double)rate)
			nanosleep(&pause, NULL);
	}
	printf("%.3f\n", now_s() - began);
	return 0;
}
