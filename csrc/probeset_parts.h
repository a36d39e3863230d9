/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns what the three files of the set of probes share: each probe's coming and going is in
 * probeset_calls.c or probeset_hooks.c, their order in probeset.c.
 */
#ifndef EBTOP_PROBESET_PARTS_H
#define EBTOP_PROBESET_PARTS_H

#include "clock.h"
#include "probeset.h"

#define BIT(probe) (1u << (probe))

/* ---- probeset.c ---- */
/* It was not asked for. */
void leave_off(struct probe *probe);
void open_one(struct probeset *set, enum ebtop_probe which);
/* What counts beside the slots of threads needs them; 1, and the probe says so, when there are none. */
int lacks_sched(const struct probeset *set, struct probe *probe);

/* ---- probeset_calls.c ---- */
void close_syscall(struct probeset *set);
void open_syscall(struct probeset *set);
void close_open(struct probeset *set);
/* Whether opens come through system calls instead, whose programs then have to run. */
int open_by_function(struct probeset *set);
void open_by_syscalls(struct probeset *set);
void drop_file_slots(struct probeset *set);
/* Where opens and bytes are counted; before any program is loaded that writes there. */
void make_file_slots(struct probeset *set);
void close_vfs(struct probeset *set);
/* The same of bytes. */
int open_vfs(struct probeset *set);
void vfs_by_syscalls(struct probeset *set);
void make_mem_slots(struct probeset *set);
void drop_mem_slots(struct probeset *set);
/* These four: what is to be collected for it, enum ebtop_collect. */
__u32 open_mem(struct probeset *set);
__u32 mem_by_syscalls(struct probeset *set);

/* ---- probeset_hooks.c ---- */
void close_tcp(struct probeset *set);
void open_tcp(struct probeset *set);
__u32 connections_collected(const struct probeset *set);
void open_kfunc(struct probeset *set);
__u32 switch_stacks(struct probeset *set, int wanted);
void close_block(struct probeset *set);
void open_block(struct probeset *set);

#endif
