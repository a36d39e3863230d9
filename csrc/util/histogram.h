/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns histograms of latencies. Inside they are log-linear (EBTOP_FINE_* in bpf/abi.h); callers get
 * powers of two and percentiles.
 */
#ifndef EBTOP_HISTOGRAM_H
#define EBTOP_HISTOGRAM_H

#include "ebtop.h"

struct histogram {
	__u64 calls, errors, total_ns, untimed;
	__u64 min_ns, max_ns; /* when `ranged` */
	__u64 ranged;
	__u64 buckets[EBTOP_FINE_BUCKETS];
};

void histogram_clear(struct histogram *histogram);
void histogram_add(struct histogram *sum, const struct histogram *more);
void histogram_widen(struct histogram *histogram, __u64 min_ns, __u64 max_ns);
__u32 histogram_bucket(__u64 ns);
/* The percentile (1 to 100) of the values in the buckets. */
__u64 histogram_percentile(const struct histogram *histogram, __u32 hundredths);
/* Fills the row, except the identity of what it describes. */
void histogram_pack(const struct histogram *histogram, struct ebtop_syscall_row *row);

#endif
