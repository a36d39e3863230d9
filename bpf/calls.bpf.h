/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns what the number of a system call means to a program: which of ours it is (the 32-bit calls
 * have their own), and what is special about it. What is counted of it is the probe's concern.
 */
#ifndef EBTOP_CALLS_BPF_H
#define EBTOP_CALLS_BPF_H

#include "ebtop.bpf.h"

/* EBTOP_KIND_* and category by number; from ebtop/syscallnames.py */
const volatile unsigned char cfg_kinds[EBTOP_SYSCALL_NUMBERS] = {};

static __always_inline __u32 number_of(const struct pt_regs *regs, struct task_struct *task,
				       long id)
{
	bool compat = is_compat_call(regs, task);
	__u32 number = id < 0 || id >= EBTOP_SYSCALL_COMPAT ? EBTOP_SYSCALL_COMPAT - 1 : id;

	return compat ? number + EBTOP_SYSCALL_COMPAT : number;
}

static __always_inline __u32 kind_of(__u32 number)
{
	return cfg_kinds[number % EBTOP_SYSCALL_NUMBERS];
}

#endif
