/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the arithmetic of running totals: every source holds the kernel's own totals, and an
 * interval is the difference to the last reading.
 */
#ifndef EBTOP_ACCOUNT_H
#define EBTOP_ACCOUNT_H

#include "accounts/accounts.h"

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

static inline void add(struct thread *thread, enum ebtop_counter counter, __u64 amount)
{
	if (thread->sums)
		thread->sums->interval[counter] += amount;
}

/* What is left of the interval after `explained`; of earlier ones the sleep was counted already. */
static inline __u64 rest_of_interval(const struct accounts *accounts, __u64 explained)
{
	return delta(accounts->now_ns, accounts->before_ns + explained);
}

#endif
