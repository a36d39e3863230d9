/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns kernel drift: one accessor for each field that changed its name, type or place, with the
 * kernel commit that changed it. Nothing else asks which kernel this is, and nothing compares
 * versions.
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

struct task_struct___on_cpu_int {
	int on_cpu;
};

struct task_struct___on_cpu_byte {
	unsigned char on_cpu;
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

struct pt_regs___x86 {
	unsigned long bx, cx, dx, si, di, cs, ax, r8, r9, r10, sp, orig_ax;
};

struct pt_regs___arm64 {
	__u64 regs[31];
	__u64 sp;
	__u64 pstate;
	__u64 orig_x0;
	__s32 syscallno;
};

struct folio___nr_pages {
	unsigned int _nr_pages;
};

struct folio___folio_nr_pages {
	unsigned int _folio_nr_pages;
};

struct thread_info___x86 {
	__u32 status;
};

struct task_struct___x86 {
	struct thread_info___x86 thread_info;
};

struct task_io_accounting {
	__u64 write_bytes;
	__u64 cancelled_write_bytes;
};

struct task_struct___io {
	struct task_io_accounting ioac;
};

struct signal_struct___io {
	struct task_io_accounting ioac;
};

struct task_struct___kthread {
	void *worker_private;
};

struct task_struct___before_kthread {
	int *set_child_tid;
};

struct sched_info {
	unsigned long long last_arrival;
};

struct task_struct___sched_info {
	struct sched_info sched_info;
};

struct request___rq_disk {
	struct gendisk *rq_disk;
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

/* An int up to 6.18; a byte, with neighbours that are not 0, in 7.2. */
static __always_inline bool task_on_cpu(const struct task_struct *task)
{
	const struct task_struct___on_cpu_byte *now = (const void *)task;

	if (bpf_core_field_size(now->on_cpu) == 1)
		return now->on_cpu;
	return ((const struct task_struct___on_cpu_int *)task)->on_cpu;
}

struct mm_pages { /* in the order of MM_FILEPAGES and those that follow */
	__s64 file, anon, swap, shmem;
};

/*
 * File, anonymous, swapped and shared-memory pages.
 * Linux kernel commit f1a7941243c1 "mm: convert mm's rss stats into percpu_counter" (in v6.2):
 * from there on `count` lags behind by at most one batch a CPU. Before it, the verifier does not
 * walk an array of typedefs, so the counters are read by helper (refused under lockdown).
 */
static __always_inline struct mm_pages mm_pages(const struct mm_struct *mm)
{
	const struct mm_struct___rss_atomic *old = (const void *)mm;
	const struct mm_struct___rss_percpu *now = (const void *)mm;
	long count[4] = {};

	if (!bpf_core_field_exists(old->rss_stat.count))
		return (struct mm_pages){ now->rss_stat[0].count, now->rss_stat[1].count,
					  now->rss_stat[2].count, now->rss_stat[3].count };
	bpf_core_read(&count, sizeof(count), &old->rss_stat.count);
	return (struct mm_pages){ count[0], count[1], count[2], count[3] };
}

/*
 * Linux kernel commit 3ca1032ab7ab "bpf: Add bpf_get_current_task_btf() helper" (in v5.11): before
 * it, the current task is only an address, to be read by helper (refused under lockdown).
 */
static __always_inline bool has_current_task(void)
{
	return bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf);
}

/* The real one where the effective one cannot be read. */
static __always_inline __u32 current_euid(bool with_reads)
{
	if (has_current_task())
		return bpf_get_current_task_btf()->real_cred->euid.val;
	if (with_reads)
		return BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), real_cred,
				     euid.val);
	return (__u32)bpf_get_current_uid_gid();
}

#define TS_COMPAT 2               /* x86: the call in progress is a 32-bit one */
#define USER32_CS 0x23            /* x86: 32-bit code is running */
#define PSR_MODE32_BIT 0x00000010 /* arm64: likewise */

/*
 * Whether the system call in progress is one of the 32-bit table. 64-bit code on x86 can make such
 * a call too (int 0x80): where the task is not to be had (NULL), that is taken for a 64-bit one.
 */
static __always_inline bool is_compat_call(const struct pt_regs *regs, struct task_struct *task)
{
	const struct pt_regs___x86 *x86 = (const void *)regs;
	const struct pt_regs___arm64 *arm64 = (const void *)regs;

	if (!bpf_core_field_exists(x86->cs))
		return bpf_core_field_exists(arm64->pstate) && arm64->pstate & PSR_MODE32_BIT;
	if (task)
		return ((const struct task_struct___x86 *)task)->thread_info.status & TS_COMPAT;
	return x86->cs == USER32_CS;
}

/* The first four arguments of a system call, by the registers of its table. */
static __always_inline __u64 syscall_argument(const struct pt_regs *regs, bool compat, int which)
{
	const struct pt_regs___x86 *x86 = (const void *)regs;
	const struct pt_regs___arm64 *arm64 = (const void *)regs;

	if (!bpf_core_field_exists(x86->di))
		return arm64->regs[which];
	if (compat)
		return which == 0 ? x86->bx : which == 1 ? x86->cx : which == 2 ? x86->dx : x86->si;
	return which == 0 ? x86->di : which == 1 ? x86->si : which == 2 ? x86->dx : x86->r10;
}

/* The same when it returns: the result is where the first argument was, on arm64. */
static __always_inline __u64 syscall_argument_at_return(const struct pt_regs *regs, bool compat,
							int which)
{
	const struct pt_regs___arm64 *arm64 = (const void *)regs;

	if (which == 0 && bpf_core_field_exists(arm64->orig_x0))
		return arm64->orig_x0;
	return syscall_argument(regs, compat, which);
}

/* Which system call a thread is in that entered the kernel with these registers; -1: none. */
static __always_inline long current_call(const struct pt_regs *regs)
{
	const struct pt_regs___x86 *x86 = (const void *)regs;
	const struct pt_regs___arm64 *arm64 = (const void *)regs;

	return bpf_core_field_exists(x86->orig_ax) ? (long)x86->orig_ax : arm64->syscallno;
}

/* The system call that a thread off the CPU is in. */
struct waiting_call {
	__s64 number; /* negative: none, an exception brought it into the kernel */
	__u64 first;  /* argument */
};

/*
 * Linux kernel commit dd6e10fbd9fb "bpf: Add bpf_task_pt_regs() helper" (in v5.15): before it, they
 * are read by helper from the top of the thread's stack (refused under lockdown), which is `size`
 * bytes.
 */
static __always_inline struct waiting_call waiting_call(struct task_struct *task, __u64 size,
							bool with_reads)
{
	struct waiting_call call;

	call.number = -1;
	call.first = 0;
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs)) {
		const struct pt_regs *regs = (const void *)bpf_task_pt_regs(task);
		const struct pt_regs___x86 *x86 = (const void *)regs;
		const struct pt_regs___arm64 *arm64 = (const void *)regs;
		bool compat = is_compat_call(regs, task);

		if (bpf_core_field_exists(x86->orig_ax)) {
			call.number = (__s64)x86->orig_ax;
			call.first = compat ? x86->bx : x86->di;
		} else {
			call.number = arm64->syscallno;
			call.first = arm64->orig_x0;
		}
		if (compat && call.number >= 0)
			call.number += EBTOP_SYSCALL_COMPAT;
	} else if (with_reads) {
		__u64 top = (__u64)task->stack + size - bpf_core_type_size(struct pt_regs___x86);
		const struct pt_regs___x86 *x86 = (const void *)top;
		const struct pt_regs___arm64 *arm64 = (const void *)top;

		if (bpf_core_field_exists(x86->orig_ax)) {
			bool compat =
				((struct task_struct___x86 *)task)->thread_info.status & TS_COMPAT;

			call.number = (__s64)BPF_CORE_READ(x86, orig_ax);
			call.first = compat ? BPF_CORE_READ(x86, bx) : BPF_CORE_READ(x86, di);
			if (compat && call.number >= 0)
				call.number += EBTOP_SYSCALL_COMPAT;
		} else {
			call.number = BPF_CORE_READ(arm64, syscallno);
			call.first = BPF_CORE_READ(arm64, orig_x0);
		}
	}
	return call;
}

#define IOV_MOST 8

/* What the buffers of a struct msghdr of user space take together. */
static __always_inline __u64 room_of_message(__u64 message)
{
	struct {
		__u64 name, name_bytes, iov, iov_count;
	} head = {};
	struct {
		__u64 base, bytes;
	} iov[IOV_MOST] = {};
	__u64 room = 0;

	if (bpf_probe_read_user(&head, sizeof(head), (void *)message) ||
	    head.iov_count > IOV_MOST ||
	    bpf_probe_read_user(iov, (__u32)head.iov_count * sizeof(iov[0]), (void *)head.iov))
		return ~0ull;
	for (int i = 0; i < IOV_MOST; i++)
		room += iov[i].bytes;
	return room;
}

/*
 * How much the receiving call of the current thread has room for; ~0 where that is not known:
 * io_uring, 32-bit calls, very many buffers. The messages of recvmmsg(2) are taken to be alike.
 */
static __always_inline __u64 room_of_current(void)
{
	const struct pt_regs___x86 *x86;
	struct task_struct *task;
	const struct pt_regs *regs;
	long number;
	bool is_x86;

	if (!has_current_task() ||
	    !bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		return ~0ull;
	task = bpf_get_current_task_btf();
	regs = (const void *)bpf_task_pt_regs(task);
	x86 = (const void *)regs;
	is_x86 = bpf_core_field_exists(x86->orig_ax);
	number = current_call(regs);
	if (is_compat_call(regs, task))
		return ~0ull;
	if (number == (is_x86 ? 45 : 207)) /* recvfrom */
		return syscall_argument(regs, false, 2);
	if (number == (is_x86 ? 47 : 212) || number == (is_x86 ? 299 : 243)) /* recvmsg, recvmmsg */
		return room_of_message(syscall_argument(regs, false, 1));
	return ~0ull;
}

/*
 * The second or the third argument (`which` 1 or 2) of the call that waiting_call() told of; 0 where it
 * cannot be had. Apart from it: few calls ask for them, and before 5.15 each costs a read.
 */
static __always_inline __u64 waiting_argument(struct task_struct *task, __u64 size, bool compat,
					      int which, bool with_reads)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		return syscall_argument((const void *)bpf_task_pt_regs(task), compat, which);
	if (with_reads) {
		__u64 top = (__u64)task->stack + size - bpf_core_type_size(struct pt_regs___x86);
		const struct pt_regs___x86 *x86 = (const void *)top;
		const struct pt_regs___arm64 *arm64 = (const void *)top;

		if (!bpf_core_field_exists(x86->di))
			return BPF_CORE_READ(arm64, regs[which]);
		if (compat)
			return which == 1 ? BPF_CORE_READ(x86, cx) : BPF_CORE_READ(x86, dx);
		return which == 1 ? BPF_CORE_READ(x86, si) : BPF_CORE_READ(x86, dx);
	}
	return 0;
}

/*
 * Argument `which`, 0 to 5, of the function that a kprobe is on, as its calling convention has it. By
 * helper: the verifier does not let a relocated load go through the context.
 */
static __always_inline __u64 function_argument(const struct pt_regs *regs, int which)
{
	const struct pt_regs___x86 *x86 = (const void *)regs;
	const struct pt_regs___arm64 *arm64 = (const void *)regs;

	if (!bpf_core_field_exists(x86->di))
		return BPF_CORE_READ(arm64, regs[which]);
	switch (which) {
	case 0:
		return BPF_CORE_READ(x86, di);
	case 1:
		return BPF_CORE_READ(x86, si);
	case 2:
		return BPF_CORE_READ(x86, dx);
	case 3:
		return BPF_CORE_READ(x86, cx);
	case 4:
		return BPF_CORE_READ(x86, r8);
	default:
		return BPF_CORE_READ(x86, r9);
	}
}

/* O_LARGEFILE, which the kernel adds to what open(2) was given (force_o_largefile() in fs/open.c). */
static __always_inline __u64 large_file_flag(void)
{
	const struct pt_regs___x86 *x86 = NULL;

	return bpf_core_field_exists(x86->di) ? 0100000 : 0400000;
}

/* O_DIRECT of open(2). */
static __always_inline __u32 direct_flag(void)
{
	const struct pt_regs___x86 *x86 = NULL;

	return bpf_core_field_exists(x86->di) ? 040000 : 0200000;
}

/* task->flags of the current one; by helper before 5.11 */
static __always_inline __u32 current_flags(void)
{
	if (has_current_task())
		return bpf_get_current_task_btf()->flags;
	return BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), flags);
}

enum pageflags {
	PG_head = 6,
};

/*
 * How many pages a folio has, or the page that stood in its place before 5.16. Page flags come first
 * in both, as a number or (6.18) in a struct. Kernels whose struct folio does not hold the count had
 * large ones in XFS alone: there each counts as one page.
 */
static __always_inline __u32 folio_pages(const void *folio)
{
	const struct folio___nr_pages *now = folio;
	const struct folio___folio_nr_pages *before = folio;
	__u64 flags = *(const volatile __u64 *)folio;

	if (!(flags >> bpf_core_enum_value(enum pageflags, PG_head) & 1))
		return 1;
	if (bpf_core_field_exists(now->_nr_pages))
		return now->_nr_pages;
	return bpf_core_field_exists(before->_folio_nr_pages) ? before->_folio_nr_pages : 1;
}

/* What the function returns that a kretprobe is on. */
static __always_inline __u64 function_result(const struct pt_regs *regs)
{
	const struct pt_regs___x86 *x86 = (const void *)regs;
	const struct pt_regs___arm64 *arm64 = (const void *)regs;

	return bpf_core_field_exists(x86->ax) ? BPF_CORE_READ(x86, ax) :
						BPF_CORE_READ(arm64, regs[0]);
}

/* Where the frame of a hooked function begins, alike at its entry and at its return. */
static __always_inline __u32 function_frame(const struct pt_regs *regs, bool at_return)
{
	const struct pt_regs___x86 *x86 = (const void *)regs;
	const struct pt_regs___arm64 *arm64 = (const void *)regs;

	if (!bpf_core_field_exists(x86->sp))
		return (__u32)BPF_CORE_READ(arm64, sp);
	/* by then the return address is off the stack */
	return (__u32)(BPF_CORE_READ(x86, sp) - (at_return ? sizeof(__u64) : 0));
}

/* Kernels without CONFIG_TASK_IO_ACCOUNTING do not count it. */
static __always_inline bool has_io_accounting(void)
{
	const struct task_struct___io *task = NULL;

	return bpf_core_field_exists(task->ioac.write_bytes);
}

/* Written, or left in the page cache for others to write, less what was thrown away before that. */
static __always_inline __u64 task_dirtied_bytes(const struct task_struct *task)
{
	const struct task_struct___io *own = (const void *)task;
	__u64 written = own->ioac.write_bytes, cancelled = own->ioac.cancelled_write_bytes;

	return written > cancelled ? written - cancelled : 0;
}

/* The same of the threads of the process that have ended. */
static __always_inline __u64 group_dirtied_bytes(const struct signal_struct *signal)
{
	const struct signal_struct___io *group = (const void *)signal;
	__u64 written = group->ioac.write_bytes, cancelled = group->ioac.cancelled_write_bytes;

	return written > cancelled ? written - cancelled : 0;
}

/*
 * Linux kernel commit e32cf5dfbe22 "kthread: Generalize pf_io_worker so it can point to struct
 * kthread" (in v5.17): before it, in a member that kernel threads have no other use for.
 */
static __always_inline const struct kthread *kthread_of(const struct task_struct *task)
{
	const struct task_struct___kthread *now = (const void *)task;

	if (bpf_core_field_exists(now->worker_private))
		return now->worker_private;
	return (const void *)((const struct task_struct___before_kthread *)task)->set_child_tid;
}

/*
 * When a task that is not on a CPU left one, by the scheduler's clock; 0 where there is no
 * CONFIG_SCHED_INFO. That clock goes on in interrupts and while a hypervisor has the CPU, as
 * se.exec_start does not.
 */
static __always_inline __u64 task_left_cpu(const struct task_struct *task)
{
	const struct task_struct___sched_info *now = (const void *)task;

	if (!bpf_core_field_exists(now->sched_info.last_arrival) || !now->sched_info.last_arrival)
		return 0;
	return now->sched_info.last_arrival + task->se.sum_exec_runtime -
	       task->se.prev_sum_exec_runtime;
}

/* Linux kernel commit f3fa33acca9f "block: remove the ->rq_disk field in struct request" (in v5.17). */
static __always_inline struct gendisk *request_disk(const struct request *rq)
{
	const struct request___rq_disk *old = (const void *)rq;

	return bpf_core_field_exists(old->rq_disk) ? old->rq_disk : rq->q->disk;
}

#endif
