/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns kernel drift: one accessor for each field that changed its name, type or place, with the
 * kernel commit that did it. Nothing else asks which kernel this is, and nothing compares versions.
 */
#ifndef EBTOP_COMPAT_BPF_H
#define EBTOP_COMPAT_BPF_H

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct task_struct___state_long {
	volatile long state;
};

struct task_struct___state_int {
	unsigned int __state;
};

typedef struct {
	long counter;
} atomic_long_kernel;

struct mm_rss_stat {
	atomic_long_kernel count[4];
};

struct mm_struct___rss_atomic {
	struct mm_rss_stat rss_stat;
};

struct percpu_counter {
	__s64 count;
};

struct mm_struct___rss_percpu {
	struct percpu_counter rss_stat[4];
};

#pragma clang attribute pop

/* Linux kernel commit 2f064a59a11f "sched: Change task_struct::state" (in v5.14). */
static __always_inline __u32 task_state(const struct task_struct *task)
{
	const struct task_struct___state_int *now = (const void *)task;

	if (bpf_core_field_exists(now->__state))
		return now->__state;
	return (__u32)((const struct task_struct___state_long *)task)->state;
}

/*
 * File, anonymous and shared-memory pages (MM_FILEPAGES 0, MM_ANONPAGES 1, MM_SHMEMPAGES 3).
 * Linux kernel commit f1a7941243c1 "mm: convert mm's rss stats into percpu_counter" (in v6.2):
 * from there on `count` lags behind by at most one batch a CPU. Before it, the verifier does not
 * walk an array of typedefs, so the counters are read by helper (refused under lockdown).
 */
static __always_inline __s64 mm_rss_pages(const struct mm_struct *mm)
{
	const struct mm_struct___rss_atomic *old = (const void *)mm;
	const struct mm_struct___rss_percpu *now = (const void *)mm;
	long count[4] = {};

	if (!bpf_core_field_exists(old->rss_stat.count))
		return now->rss_stat[0].count + now->rss_stat[1].count + now->rss_stat[3].count;
	bpf_core_read(&count, sizeof(count), &old->rss_stat.count);
	return count[0] + count[1] + count[3];
}

#endif
