// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the table of probes. A new probe is a bpf/<name>.bpf.c, a value of enum ebtop_probe, and a
 * row here.
 */
#include "probe.h"
#include "skel/life.skel.h"
#include "skel/sched.skel.h"
#include "skel/tasks.skel.h"

const struct probe_kind probe_kinds[EBTOP_PROBES] = {
	[EBTOP_SCHED] = {
		.name = "sched",
		.elf_bytes = sched_bpf__elf_bytes,
		.variants = { { { "wakeup_new_btf", "wakeup_btf", "switch_btf" } } },
	},
	[EBTOP_LIFE] = {
		.name = "life",
		.elf_bytes = life_bpf__elf_bytes,
		.variants = {
			{ { "fork_btf", "exec_args_btf", "exit_btf" } },
			{ { "fork_btf", "exec_btf", "exit_btf" } },
		},
	},
	[EBTOP_TASKS] = {
		.name = "tasks",
		.elf_bytes = tasks_bpf__elf_bytes,
		.is_iterator = 1,
		.variants = { { { "tasks_iter" } }, { { "tasks_bare_iter" } } },
	},
};
