/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the list of processes that the kernel hides from BPF: no task iteration shows them, and no program
 * runs while one of them is current. Most machines have none.
 */
#ifndef EBTOP_HIDDEN_LIST_H
#define EBTOP_HIDDEN_LIST_H

#include "accounts/process.h"
#include "util/buffer.h"

#define HIDDEN_READS_MAX 256 /* files of threads a refresh */

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
/* A thread left its CPU unseen: it is off since then, or has ended. 0, or -EAGAIN: not known. */
int hidden_left(struct hidden *hidden, struct ebtop_slot *slot);
/* The process, whose start /proc told in ticks, that exactly began then; NULL: none is. It keeps the start
 * that it was met with: filters, and whoever reads rows, name it by that. */
struct process *hidden_process(const struct hidden *hidden, const struct hash *processes, __u32 pid,
			       __u64 start_ns);
/* Likewise of a thread; that it is this task is then known. */
struct thread *hidden_thread(const struct process *process, const struct thread_identity *identity);
/* Divides what a thread was not running: no program saw whether it was put off its CPU, or left it. */
void hidden_divide_wait(struct hidden *hidden, struct thread *thread);
/* Adds a process unless it is in the list, or that is full. */
void hidden_add(struct hidden *hidden, __u32 pid, __u64 start_ns);
/* Whether a start that /proc told in ticks may be this exact one. */
int hidden_same_start(__u64 exact, __u64 in_ticks);
/* The living thread with that tid and about that start; NULL: none. */
struct thread *hidden_known_thread(const struct process *process, __u32 tid, __u64 start_ns);

#endif
