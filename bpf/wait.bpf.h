/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the evidence of why a thread is off its CPU, from the cheapest on: the kernel's mark for
 * I/O, its state, its system call, and the file that the call is about. stack.bpf.h has the
 * kernel's stacks.
 */
#ifndef EBTOP_WAIT_BPF_H
#define EBTOP_WAIT_BPF_H

#include "config.bpf.h"

/* EBTOP_WAIT_* by number of the system call; from ebtop/model/waitreasons.py */
const volatile unsigned char cfg_waits[EBTOP_SYSCALL_NUMBERS] = {};
/* Of a thread's stack in the kernel; where nothing but its size tells where registers are. */
const volatile __u64 cfg_thread_size = 16384;

#define UNSURE(reason) (EBTOP_WAIT_##reason | EBTOP_WAIT_UNSURE)

static __always_inline __u32 evidence_of_socket(const struct file *file)
{
	const struct socket *socket = BPF_CORE_READ(file, private_data);
	__u16 family = BPF_CORE_READ(socket, sk, __sk_common.skc_family);

	return family == AF_UNIX ? EBTOP_WAIT_PIPE : EBTOP_WAIT_NETWORK;
}

/*
 * What an interruptible wait on this descriptor is for. Nothing waits like that for a regular file
 * on a disk: what has no kind, or that one, is eventfd, timerfd, inotify and the like.
 */
static __always_inline __u32 evidence_of_file(struct task_struct *task, __u32 fd)
{
	struct files_struct *files = task->files;
	struct fdtable *table;
	struct file *file = NULL;

	/* One that was killed in read(2) waits at its end too (fuse), when it has none any more. To
	 * fault here and be given 0 is not for all: before Linux 6.4 a program that has functions
	 * beside its main one has no exception table for that, and takes the kernel down. */
	if (!files)
		return UNSURE(OTHER);
	table = files->fdt;
	if (fd >= table->max_fds ||
	    bpf_probe_read_kernel(&file, sizeof(file), (void *)((__u64)table->fd + fd * 8ull)))
		return UNSURE(OTHER);
	switch (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) {
	case S_IFIFO:
	case S_IFCHR: /* a terminal, or another device that somebody writes into */
		return EBTOP_WAIT_PIPE;
	case S_IFSOCK:
		return evidence_of_socket(file);
	case S_IFBLK:
	case S_IFDIR:
		return UNSURE(OTHER);
	default:
		return UNSURE(POLL);
	}
}

#define PIDS_END 0x400000u /* PID_MAX_LIMIT */
#define GLIBC_RWLOCK 3     /* a reader has it or waits, as a writer has it; and somebody sleeps */
#define RUST_RWLOCK 0x7fffffffu

/*
 * Whether a thread that expects this value at a futex waits for a lock. 2 is a mutex that somebody
 * holds and others wait for: in glibc, in Rust's standard library and in Go's runtime. A word that
 * names its owner (robust ones of glibc, all of musl) has his pid, and a mark.
 */
static __always_inline bool is_contended(struct task_struct *task, __u32 operation, __u32 value)
{
	const struct pid *pid = task->thread_pid;
	__u32 owner = value & ~(FUTEX_WAITERS | FUTEX_OWNER_DIED);
	bool is_glibc_timed = (operation & FUTEX_CLOCK_REALTIME) != 0;

	if (value & FUTEX_WAITERS)
		return owner && owner < PIDS_END;
	if (!is_glibc_timed)
		return value == 2 || value == RUST_RWLOCK;
	if (value != 2 && value != GLIBC_RWLOCK)
		return false;
	/* or it joins a thread, whose tid is as small in a pid namespace alone */
	return operation & FUTEX_PRIVATE_FLAG || (pid && !pid->level);
}

static __always_inline __u32 evidence_of_futex(struct task_struct *task, bool compat, __u32 kind,
					       bool with_reads)
{
	__u32 operation = FUTEX_WAIT, value, command;

	value = waiting_argument(task, cfg_thread_size, compat, 1, with_reads);
	if (kind & EBTOP_WAIT_BY_FUTEX) {
		operation = value;
		value = waiting_argument(task, cfg_thread_size, compat, 2, with_reads);
	}
	command = operation & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
	if (command >= FUTEX_LOCK_PI && command < FUTEX_WAIT_BITSET)
		return EBTOP_WAIT_LOCK;
	if (command == FUTEX_LOCK_PI2)
		return EBTOP_WAIT_LOCK;
	/* whoever waits to be moved to a PI lock waits for a condition first */
	if (command != FUTEX_WAIT && command != FUTEX_WAIT_BITSET)
		return EBTOP_WAIT_CONDITION;
	return is_contended(task, operation, value) ? EBTOP_WAIT_LOCK : EBTOP_WAIT_CONDITION;
}

/* A kernel thread that can be interrupted, or does not count as load, waits for work. */
static __always_inline __u32 evidence_of_worker(__u32 state)
{
	return (state & (TASK_UNINTERRUPTIBLE | TASK_NOLOAD)) == TASK_UNINTERRUPTIBLE ?
		       UNSURE(LOCK) :
		       EBTOP_WAIT_SLEEP;
}

/* Of a thread that leaves the CPU, or has left it, in `state`. */
static __always_inline __u32 evidence_of(struct task_struct *task, __u32 state, bool with_reads)
{
	struct waiting_call call;
	__u32 kind;

	if (BPF_CORE_READ_BITFIELD(task, in_iowait))
		return EBTOP_WAIT_DISK;
	if (task->flags & (PF_KTHREAD | PF_IO_WORKER))
		return evidence_of_worker(state);
	if (state & TASK_STOPPED_OR_TRACED)
		return EBTOP_WAIT_OTHER;
	if (state & TASK_RTLOCK_WAIT)
		return EBTOP_WAIT_LOCK;
	call = waiting_call(task, cfg_thread_size, with_reads);
	if (call.number < 0 || call.number >= EBTOP_SYSCALL_NUMBERS)
		return state & TASK_UNINTERRUPTIBLE ? UNSURE(LOCK) : UNSURE(OTHER);
	kind = cfg_waits[(__u32)call.number % EBTOP_SYSCALL_NUMBERS];
	if (state & TASK_UNINTERRUPTIBLE)
		return kind & EBTOP_WAIT_ON_DISK ? UNSURE(DISK) : UNSURE(LOCK);
	if (kind & (EBTOP_WAIT_BY_FUTEX | EBTOP_WAIT_BY_VALUE))
		return evidence_of_futex(task, call.number >= EBTOP_SYSCALL_COMPAT, kind,
					 with_reads);
	if (with_reads && kind & EBTOP_WAIT_BY_FILE)
		return evidence_of_file(task, call.first);
	return kind & (7 | EBTOP_WAIT_UNSURE);
}

#endif
