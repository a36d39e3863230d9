// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the arithmetic of log-linear buckets: eight to a power of two, as in rezolus' H2 histograms
 * with three bits. The middle of a bucket is at most 6.25 % away from any value in it.
 */
#include <string.h>

#include "util/histogram.h"

#define FINE_STEPS ((EBTOP_FINE_TO - EBTOP_FINE_FROM) * 8)

void histogram_clear(struct histogram *histogram)
{
	if (histogram->calls || histogram->ranged)
		memset(histogram, 0, sizeof(*histogram));
}

void histogram_widen(struct histogram *histogram, __u64 min_ns, __u64 max_ns)
{
	if (!histogram->ranged || min_ns < histogram->min_ns)
		histogram->min_ns = min_ns;
	if (!histogram->ranged || max_ns > histogram->max_ns)
		histogram->max_ns = max_ns;
	histogram->ranged = 1;
}

void histogram_add(struct histogram *sum, const struct histogram *more)
{
	if (!more->calls)
		return;
	sum->calls += more->calls;
	sum->errors += more->errors;
	sum->total_ns += more->total_ns;
	sum->untimed += more->untimed;
	if (more->ranged)
		histogram_widen(sum, more->min_ns, more->max_ns);
	for (int i = 0; i < EBTOP_FINE_BUCKETS; i++)
		sum->buckets[i] += more->buckets[i];
}

static __u32 log2_of(__u64 value)
{
	return value ? 63 - (__u32)__builtin_clzll(value) : 0;
}

__u32 histogram_bucket(__u64 ns)
{
	__u32 log = log2_of(ns), bucket;

	if (log < EBTOP_FINE_FROM)
		return log;
	if (log < EBTOP_FINE_TO)
		return EBTOP_FINE_FROM + (log - EBTOP_FINE_FROM) * 8 + ((ns >> (log - 3)) & 7);
	bucket = EBTOP_FINE_FROM + FINE_STEPS + (log - EBTOP_FINE_TO);
	return bucket < EBTOP_FINE_BUCKETS ? bucket : EBTOP_FINE_BUCKETS - 1;
}

/* Which power of two a bucket is in. */
static __u32 log_of_bucket(__u32 bucket)
{
	if (bucket < EBTOP_FINE_FROM)
		return bucket;
	if (bucket < EBTOP_FINE_FROM + FINE_STEPS)
		return EBTOP_FINE_FROM + (bucket - EBTOP_FINE_FROM) / 8;
	return EBTOP_FINE_TO + (bucket - EBTOP_FINE_FROM - FINE_STEPS);
}

static __u64 middle_of(__u32 bucket)
{
	__u32 log = log_of_bucket(bucket), step = (bucket - EBTOP_FINE_FROM) % 8;

	if (log < EBTOP_FINE_FROM || log >= EBTOP_FINE_TO)
		return 3ull << log >> 1;
	return (1ull << log) + ((2ull * step + 1) << (log - 4));
}

/* The nearest-rank percentile: the least latency that so many hundredths of the calls do not exceed. */
static __u64 percentile(const struct histogram *histogram, __u64 count, __u32 hundredths)
{
	__u64 rank = (count * hundredths + 99) / 100, seen = 0;

	for (__u32 bucket = 0; bucket < EBTOP_FINE_BUCKETS; bucket++) {
		__u64 middle = middle_of(bucket);

		seen += histogram->buckets[bucket];
		if (!seen || seen < rank)
			continue;
		if (middle < histogram->min_ns)
			return histogram->min_ns;
		return histogram->ranged && middle > histogram->max_ns ? histogram->max_ns : middle;
	}
	return histogram->max_ns;
}

__u64 histogram_percentile(const struct histogram *histogram, __u32 hundredths)
{
	__u64 count = 0;

	for (__u32 bucket = 0; bucket < EBTOP_FINE_BUCKETS; bucket++)
		count += histogram->buckets[bucket];
	return percentile(histogram, count, hundredths);
}

void histogram_pack(const struct histogram *histogram, struct ebtop_syscall_row *row)
{
	__u64 count = 0;

	memset(row, 0, sizeof(*row));
	row->calls = histogram->calls;
	row->errors = histogram->errors;
	row->total_ns = histogram->total_ns;
	for (__u32 bucket = 0; bucket < EBTOP_FINE_BUCKETS; bucket++) {
		row->histogram[log_of_bucket(bucket)] += histogram->buckets[bucket];
		count += histogram->buckets[bucket];
	}
	if (!count)
		return;
	row->min_ns = histogram->min_ns;
	row->max_ns = histogram->max_ns;
	row->p50_ns = percentile(histogram, count, 50);
	row->p95_ns = percentile(histogram, count, 95);
	row->p99_ns = percentile(histogram, count, 99);
}
