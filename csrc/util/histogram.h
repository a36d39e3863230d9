/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns a histogram of latencies: log-linear inside (see EBTOP_FINE_* in bpf/abi.h), powers of two
 * and percentiles outside. It does not know whose latencies they are.
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
/* The least latency that so many hundredths of what is in the buckets do not exceed. */
__u64 histogram_percentile(const struct histogram *histogram, __u32 hundredths);
/* All of the row but who it is of. */
void histogram_pack(const struct histogram *histogram, struct ebtop_syscall_row *row);

#endif
