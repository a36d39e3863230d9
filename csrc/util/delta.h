/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the difference of two readings of a running total.
 */
#ifndef EBTOP_DELTA_H
#define EBTOP_DELTA_H

#include <linux/types.h>

/* Growth of a running total; what went backwards grew by nothing. */
static inline __u64 delta(__u64 now, __u64 last)
{
	return now > last ? now - last : 0;
}

/* The same for the low half of a counter, which may wrap: growth is less than half of its range. */
static inline __u32 delta_low(__u32 now, __u32 last)
{
	return (__s32)(now - last) > 0 ? now - last : 0;
}

#endif
