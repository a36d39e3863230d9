/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the bucket of a latency; it agrees with csrc/util/histogram.c. The probes own the buckets.
 */
#ifndef EBTOP_LATENCY_BPF_H
#define EBTOP_LATENCY_BPF_H

#include "ebtop.bpf.h"

/* 1 when `value` is larger than `most`; both below 2^63. No branch: the verifier would walk both ways. */
static __always_inline __u64 above(__u64 value, __u64 most)
{
	return (most - value) >> 63;
}

static __always_inline __u64 log2_of(__u64 value)
{
	__u64 log = 0, step;

	step = above(value, 0xffffffff) << 5;
	value >>= step;
	log += step;
	step = above(value, 0xffff) << 4;
	value >>= step;
	log += step;
	step = above(value, 0xff) << 3;
	value >>= step;
	log += step;
	step = above(value, 0xf) << 2;
	value >>= step;
	log += step;
	step = above(value, 0x3) << 1;
	value >>= step;
	return log + step + (value >> 1);
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
