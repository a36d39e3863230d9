/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the configuration, which user space changes while programs run, and the filter. Every probe
 * that can be filtered reads it first.
 */
#ifndef EBTOP_CONFIG_BPF_H
#define EBTOP_CONFIG_BPF_H

#include "slots.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ebtop_config);
} ebtop_config SEC(".maps");

/* NULL when nothing of `collect` is wanted now. */
static __always_inline const struct ebtop_config *config_for(__u32 collect)
{
	__u32 key = 0;
	const struct ebtop_config *now = bpf_map_lookup_elem(&ebtop_config, &key);

	return now && now->collect & collect ? now : NULL;
}

static __always_inline bool is_excluded(const struct ebtop_config *now, __u32 pid)
{
	if (!(now->flags & EBTOP_FILTER_EXCLUDES))
		return false;
	for (int i = 0; i < EBTOP_EXCLUDED_MAX; i++)
		if (now->excluded[i] == pid)
			return true;
	return false;
}

/* The process has ended: what gets its number is another one. */
static __always_inline void end_filter_of(__u32 pid)
{
	__u32 key = 0;
	struct ebtop_config *now = bpf_map_lookup_elem(&ebtop_config, &key);

	if (now && now->pid == pid)
		now->pid = EBTOP_NOBODY;
}

/* Whether this process can pass at all: all that is asked where most are filtered out. */
static __always_inline bool passes_pid(const struct ebtop_config *now, __u32 pid)
{
	return (!now->pid || now->pid == pid || now->flags & EBTOP_FILTER_DESCENDANTS) &&
	       !is_excluded(now, pid);
}

/* The filter's generation is in the flags of the slots of those who descend from its process. */
static __always_inline __u32 followed_flag(const struct ebtop_config *now)
{
	return now->flags & EBTOP_FILTER_DESCENDANTS ?
		       now->generation << EBTOP_SLOT_FOLLOWED_SHIFT :
		       0;
}

static __always_inline bool is_followed(const struct ebtop_config *now,
					const struct ebtop_slot *slot)
{
	__u32 flag = followed_flag(now);

	return flag && slot &&
	       slot->flags >> EBTOP_SLOT_FOLLOWED_SHIFT == flag >> EBTOP_SLOT_FOLLOWED_SHIFT;
}

/* The whole filter but for latency, of one that passes_pid(). `slot` is the thread's, NULL when it has none. */
static __always_inline bool passes(const struct ebtop_config *now, __u32 pid,
				   const struct ebtop_slot *slot, bool with_reads)
{
	if (now->pid && now->pid != pid && !is_followed(now, slot))
		return false;
	return now->uid == EBTOP_ANY_UID || now->uid == current_euid(with_reads);
}

/* Of the calls that pass the filter, some alone may be wanted. */
static __always_inline bool wants_call(const struct ebtop_config *now, __u32 number)
{
	__u32 bit = number < EBTOP_SYSCALL_NUMBERS ? number : EBTOP_SYSCALL_NUMBERS;
	__u64 word = bit / 32;

	if (!(now->flags & EBTOP_FILTER_CALLS))
		return true;
	barrier_var(word); /* or the compiler drops the bound that the verifier wants to see */
	return word < EBTOP_CALL_WORDS && now->calls[word] >> bit % 32 & 1;
}

/* As far as processes go. */
static __always_inline bool is_watched(const struct ebtop_config *now, __u32 pid,
				       const struct ebtop_slot *slot)
{
	return !now->pid || now->pid == pid || is_followed(now, slot);
}

/* Whether somebody looks at this process, or at all that the filter is about. */
static __always_inline bool is_inspected(const struct ebtop_config *now, __u32 pid,
					 const struct ebtop_slot *slot)
{
	if (now->inspected_pid != EBTOP_ALL_WATCHED)
		return now->inspected_pid && now->inspected_pid == pid;
	return now->pid == pid || is_followed(now, slot);
}

/* What a thread that the current one starts has from it. */
static __always_inline __u32 flags_for_child(void)
{
	__u64 ids = bpf_get_current_pid_tgid();
	const struct ebtop_config *now = config_for(~0u);
	__u32 *index = slot_index((__u32)ids);

	if (!now || !(now->flags & EBTOP_FILTER_DESCENDANTS) || !index)
		return 0;
	if (now->pid == ids >> 32 || is_followed(now, *index ? slot_at(*index) : NULL))
		return followed_flag(now);
	return 0;
}

#endif
