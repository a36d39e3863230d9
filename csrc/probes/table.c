// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the list of probes. A new probe is a bpf/<name>.bpf.c, a value of enum ebtop_probe, a
 * probes/<name>.c and a line here.
 */
#include "probes/probeset.h"

extern const struct probe_ops sched_probe;
extern const struct probe_ops life_probe;
extern const struct probe_ops tasks_probe;
extern const struct probe_ops syscall_probe;
extern const struct probe_ops open_probe;
extern const struct probe_ops kfunc_probe;
extern const struct probe_ops block_probe;
extern const struct probe_ops vfs_probe;
extern const struct probe_ops tcp_probe;
extern const struct probe_ops sockets_probe;
extern const struct probe_ops stacks_probe;
extern const struct probe_ops mem_probe;
extern const struct probe_ops signals_probe;

/* clang-format off */
const struct probe_ops *const probe_table[EBTOP_PROBES] = {
	[EBTOP_SCHED] = &sched_probe,
	[EBTOP_LIFE] = &life_probe,
	[EBTOP_TASKS] = &tasks_probe,
	[EBTOP_SYSCALL] = &syscall_probe,
	[EBTOP_OPEN] = &open_probe,
	[EBTOP_KFUNC] = &kfunc_probe,
	[EBTOP_BLOCK] = &block_probe,
	[EBTOP_VFS] = &vfs_probe,
	[EBTOP_TCP] = &tcp_probe,
	[EBTOP_SOCKETS] = &sockets_probe,
	[EBTOP_STACKS] = &stacks_probe,
	[EBTOP_MEM] = &mem_probe,
	[EBTOP_SIGNALS] = &signals_probe,
};
/* clang-format on */
