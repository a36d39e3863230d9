/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns what is asked of /proc about processes that the kernel hides from BPF: their tasks are in no
 * iteration, and no program runs while one of them is current. Elsewhere there are none, and it costs
 * a look at the names in /proc now and then.
 */
#ifndef EBTOP_HIDDEN_H
#define EBTOP_HIDDEN_H

#include "util/buffer.h"
#include "ebtop.h"

struct accounts;
struct process;
struct thread;
struct thread_identity;

struct hidden {
	struct buffer list; /* struct watch_entry: who they are */
	__u64 looked_ns, look_took_ns;
	__u32 left;    /* files of threads that this refresh may still read */
	int same_pids; /* /proc has the pids that the kernel itself has */
};

void hidden_open(struct hidden *hidden);
void hidden_close(struct hidden *hidden);
/* Its task record was requested. If none came, the process may be hidden. */
void hidden_consider(struct hidden *hidden, const struct process *process);
/* Once a refresh, after tasks were read (`all`: every task). Adds processes that only /proc shows, and
 * feeds the accounts with task records of hidden processes. */
void hidden_read(struct hidden *hidden, struct accounts *accounts, int all);
/* Before slots are read: lets the program find out who is on each CPU, if there are hidden processes,
 * whose switches away no program sees. */
void hidden_settle(const struct hidden *hidden, const struct accounts *accounts, int program_fd);
/* A thread left its CPU unseen: it is off since then, or has ended. 0, or -EAGAIN: not known. */
int hidden_left(struct hidden *hidden, struct ebtop_slot *slot);
/* The process, whose start /proc told in ticks, that exactly began then; NULL: none is. It keeps the start
 * that it was met with: filters, and whoever reads rows, name it by that. */
struct process *hidden_process(const struct hidden *hidden, const struct accounts *accounts,
			       __u32 pid, __u64 start_ns);
/* Likewise of a thread; that it is this task is then known. */
struct thread *hidden_thread(const struct process *process, const struct thread_identity *identity);
/* Divides what a thread was not running: no program saw whether it was put off its CPU, or left it. */
void hidden_divide_wait(struct hidden *hidden, struct thread *thread);

#endif
