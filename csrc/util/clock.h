/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns reading clocks in nanoseconds.
 */
#ifndef EBTOP_CLOCK_H
#define EBTOP_CLOCK_H

#include <time.h>

#include <linux/types.h>

static inline __u64 clock_ns(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (__u64)time.tv_sec * 1000000000ull + (__u64)time.tv_nsec;
}

#endif
