/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the arithmetic of running totals: every source holds the kernel's own totals, and an
 * interval is the difference to the last reading.
 */
#ifndef EBTOP_ACCOUNT_H
#define EBTOP_ACCOUNT_H

#include "accounts/accounts.h"
#include "util/delta.h"

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
