/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the meaning of system call numbers to the programs: which call a number stands for (32-bit
 * calls have numbers of their own), and how the call is special. Each probe decides what it counts.
 */
#ifndef EBTOP_CALLS_BPF_H
#define EBTOP_CALLS_BPF_H

#include "ebtop.bpf.h"

/* EBTOP_KIND_* and category by number; from ebtop/model/syscallnames.py */
const volatile unsigned char cfg_kinds[EBTOP_SYSCALL_NUMBERS] = {};

static __always_inline bool is_compat_number(__u32 number)
{
	return number >= EBTOP_SYSCALL_COMPAT && number < EBTOP_SYSCALL_NUMBERS;
}

/* `number` is that of an entry of the table of system calls: of a number that is in no table, too. */
static __always_inline __u32 kind_of(__u32 number)
{
	return number < EBTOP_SYSCALL_NUMBERS ? cfg_kinds[number] : EBTOP_CATEGORY_OTHER;
}

static __always_inline __u32 kind_of_call(const struct pt_regs *regs, struct task_struct *task,
					  long id)
{
	if (id < 0 || id >= EBTOP_SYSCALL_COMPAT)
		return EBTOP_CATEGORY_OTHER;
	return kind_of(is_compat_call(regs, task) ? id + EBTOP_SYSCALL_COMPAT : id);
}

#endif
