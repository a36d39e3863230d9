/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns hiding a process from the programs, for tests: some sandboxes do that. Otherwise the
 * constant is 0, and the verifier removes the code that depends on it.
 */
#ifndef EBTOP_HIDDEN_BPF_H
#define EBTOP_HIDDEN_BPF_H

#include "ebtop.bpf.h"

const volatile __u64 cfg_hidden_pid = 0; /* as wide as the widest: constants have no padding */

static __always_inline bool is_hidden(const struct task_struct *task)
{
	return cfg_hidden_pid && (__u64)task->tgid == cfg_hidden_pid;
}

/* Then the kernel would not have run the program. */
static __always_inline bool is_current_hidden(void)
{
	return cfg_hidden_pid && bpf_get_current_pid_tgid() >> 32 == cfg_hidden_pid;
}

#endif
