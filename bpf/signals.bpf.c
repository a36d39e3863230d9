// SPDX-License-Identifier: GPL-2.0

/*
 * Owns signal_generate and mark_victim: an event for each signal that one process sends to another,
 * or that the kernel sends because something went wrong, and for each victim of the OOM killer. The
 * sender is the current task, but only where the kernel says that a task sent the signal.
 *
 * Left out on purpose: SIGCHLD of an exiting child (its exit is an event already), timers and I/O
 * signals that a process asked for, and signals between threads of one process (Go's SIGURG,
 * glibc's real-time signals). Processes that send and receive no signals pay nothing.
 */
#include "config.bpf.h"

#define SIGALRM 14
#define SIGCHLD 17
#define SIGURG 23
#define SIGVTALRM 26
#define SIGPROF 27
#define SIGIO 29
#define FIRST_REALTIME 32
#define SENT_BY_USER 0   /* SI_USER: kill(2) */
#define SENT_BY_QUEUE -1 /* SI_QUEUE: sigqueue(3) */
#define SENT_BY_TKILL -6 /* SI_TKILL: tgkill(2) */
#define SENT_BY_KERNEL 0x80
#define TRACE_SIGNAL_IGNORED 1

/* include/linux/sched/signal.h: no siginfo, but one of two small numbers in its place */
#define INFO_USER 0
#define INFO_KERNEL 1

static __always_inline int code_of(const struct kernel_siginfo *info, bool with_reads)
{
	int code = SENT_BY_KERNEL;

	if ((__u64)info == INFO_USER)
		return SENT_BY_USER;
	if ((__u64)info == INFO_KERNEL)
		return SENT_BY_KERNEL;
	if (!with_reads)
		return info->si_code;
	bpf_core_read(&code, sizeof(code), &info->si_code);
	return code;
}

static __always_inline bool sent_by_task(int code)
{
	return code == SENT_BY_USER || code == SENT_BY_QUEUE || code == SENT_BY_TKILL;
}

static __always_inline bool is_told(int signal, int code, __u32 sender, __u32 target)
{
	if (sent_by_task(code))
		return sender != target || (signal != SIGURG && signal < FIRST_REALTIME);
	if (code < 0) /* SI_TIMER, SI_ASYNCIO and the like */
		return false;
	return signal != SIGCHLD && signal != SIGALRM && signal != SIGVTALRM && signal != SIGPROF &&
	       signal != SIGIO && signal != SIGURG;
}

/* Whoever sent or got it; a signal has two ends. */
static __always_inline bool either_passes(const struct ebtop_config *now, __u32 sender,
					  __u32 target)
{
	return !now->pid || now->pid == sender || now->pid == target;
}

static __always_inline int account_signal(int signal, const struct kernel_siginfo *info,
					  struct task_struct *target, int result, bool with_reads)
{
	const struct ebtop_config *now = config_for(EBTOP_COLLECT_SIGNALS);
	__u32 sender = bpf_get_current_pid_tgid() >> 32;
	struct ebtop_signal *event;
	int code = code_of(info, with_reads);

	if (!now || !is_told(signal, code, sender, target->tgid) ||
	    !either_passes(now, sender, target->tgid))
		return 0;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		count_loss(EBTOP_LOST_RING_BUFFER);
		return 0;
	}
	__builtin_memset(event, 0, sizeof(*event));
	if (sent_by_task(code)) {
		fill_head_of_current(&event->head, EBTOP_EVENT_SIGNAL, false);
	} else {
		event->head.time_ns = bpf_ktime_get_ns();
		event->head.type = EBTOP_EVENT_SIGNAL;
		event->head.cpu = bpf_get_smp_processor_id();
	}
	event->head.size = sizeof(*event);
	event->signal = signal;
	event->ignored = result == TRACE_SIGNAL_IGNORED;
	event->target_pid = target->tgid;
	event->target_tid = target->pid;
	copy_comm(event->target_comm, target->group_leader);
	submit(event);
	return 0;
}

/* The current task is whose need for memory it was. */
static __always_inline struct ebtop_oom *oom_event(void)
{
	struct ebtop_oom *event;

	if (!config_for(EBTOP_COLLECT_SIGNALS))
		return NULL;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		count_loss(EBTOP_LOST_RING_BUFFER);
		return NULL;
	}
	__builtin_memset(event, 0, sizeof(*event));
	fill_head_of_current(&event->head, EBTOP_EVENT_OOM, false);
	event->head.size = sizeof(*event);
	event->rss_pages = -1;
	return event;
}

SEC("?tp_btf/signal_generate")
int BPF_PROG(signal_btf, int signal, struct kernel_siginfo *info, struct task_struct *target,
	     int group, int result)
{
	return account_signal(signal, info, target, result, false);
}

/*
 * Where the verifier knows that `info` may be one of the small numbers it is no pointer for it (seen in
 * 7.2, not in 6.18), and what it points to has to be copied.
 */
SEC("?tp_btf/signal_generate")
int BPF_PROG(signal_read_btf, int signal, struct kernel_siginfo *info, struct task_struct *target,
	     int group, int result)
{
	return account_signal(signal, info, target, result, true);
}

/*
 * Linux kernel commit 72ba14deb40a "mm: update mark_victim tracepoints fields" (in v6.9, and in
 * stable kernels): the task is handed over, before that its pid alone.
 */
SEC("?tp_btf/mark_victim") int BPF_PROG(victim_btf, struct task_struct *victim)
{
	struct ebtop_oom *event = oom_event();
	struct mm_struct *mm = victim->mm;

	if (!event)
		return 0;
	event->victim_pid = victim->tgid;
	event->cgroup_id = victim->cgroups->dfl_cgrp->kn->id;
	copy_comm(event->victim_comm, victim->group_leader);
	if (mm) {
		struct mm_pages pages = mm_pages(mm);

		event->rss_pages = pages.file + pages.anon + pages.shmem;
	}
	submit(event);
	return 0;
}

/*
 * A kernel that hands over the task must refuse this program, whatever kept the other from loading: half
 * of a pointer would be told as a pid. The verifier lets nobody do arithmetic with bits of a pointer.
 */
SEC("?tp_btf/mark_victim") int victim_pid_btf(__u64 *arguments)
{
	struct ebtop_oom *event = oom_event();
	__u64 pid = arguments[0];

	asm volatile("%0 &= 0x7fffffff" : "+r"(pid));
	if (!event)
		return 0;
	event->victim_pid = pid;
	submit(event);
	return 0;
}

char _license[] SEC("license") = "GPL";
