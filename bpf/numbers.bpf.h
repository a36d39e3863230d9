/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the entry of the table that a system call is counted in: its number where a table of the
 * kernel has it, else an entry assigned when the number is first seen. calls.bpf.h has the meaning
 * of numbers.
 */
#ifndef EBTOP_NUMBERS_BPF_H
#define EBTOP_NUMBERS_BPF_H

#include "calls.bpf.h"

/* cell -> number, and above it whether it is a 32-bit call's; size is set by who makes it */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} odd_numbers SEC(".maps");

#define ODD_TRIES 8

/* Of a number that no table has. A cell is given away once, to whoever is the first to add it. */
static __noinline __u32 odd_number(__u32 number, __u32 compat)
{
	__u64 wanted = number | (__u64)compat << 32, *there;
	__u32 cell = number * 2654435761u >> 16;

	/* Linux 5.10 has no loop that goes on right after a call */
#pragma unroll
	for (int i = 0; i < ODD_TRIES; i++) {
		cell = (cell + 1) % EBTOP_SYSCALL_ODD;
		there = bpf_map_lookup_elem(&odd_numbers, &cell);
		if (!there) {
			bpf_map_update_elem(&odd_numbers, &cell, &wanted, BPF_NOEXIST);
			there = bpf_map_lookup_elem(&odd_numbers, &cell);
		}
		if (there && *there == wanted)
			return EBTOP_SYSCALL_NUMBERS + cell;
	}
	return EBTOP_SYSCALL_NUMBERS + EBTOP_SYSCALL_ODD;
}

static __always_inline __u32 number_of(const struct pt_regs *regs, struct task_struct *task,
				       long id)
{
	__u32 compat = is_compat_call(regs, task);

	if (id < 0 || id >= EBTOP_SYSCALL_COMPAT)
		return odd_number(id, compat);
	return compat ? id + EBTOP_SYSCALL_COMPAT : id;
}

#endif
