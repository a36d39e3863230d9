/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns which bucket a latency falls into; the same as csrc/histogram.c. Where the buckets lie and
 * what they are of is the probes' concern.
 */
#ifndef EBTOP_LATENCY_BPF_H
#define EBTOP_LATENCY_BPF_H

#include "ebtop.bpf.h"

static __always_inline __u32 log2_of(__u64 value)
{
	__u32 log = 0;

	if (value >> 32) {
		log = 32;
		value >>= 32;
	}
	if (value >> 16) {
		log += 16;
		value >>= 16;
	}
	if (value >> 8) {
		log += 8;
		value >>= 8;
	}
	if (value >> 4) {
		log += 4;
		value >>= 4;
	}
	if (value >> 2) {
		log += 2;
		value >>= 2;
	}
	return log + (value >> 1);
}

static __always_inline __u64 fine_bucket(__u64 ns)
{
	__u64 log = log2_of(ns), bucket = log;

	if (log >= EBTOP_FINE_TO)
		bucket = EBTOP_FINE_FROM + (EBTOP_FINE_TO - EBTOP_FINE_FROM) * 8 + log -
			 EBTOP_FINE_TO;
	else if (log >= EBTOP_FINE_FROM)
		bucket = EBTOP_FINE_FROM + (log - EBTOP_FINE_FROM) * 8 + (ns >> (log - 3) & 7);
	barrier_var(bucket); /* or the compiler drops the bound that the verifier wants to see */
	return bucket < EBTOP_FINE_BUCKETS ? bucket : EBTOP_FINE_BUCKETS - 1;
}

#endif
