// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the list of processes that only /proc shows, and what tells their threads apart.
 *
 * /proc tells a start in ticks. Where a slot has told it exactly, that one is kept.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "accounts/hidden_list.h"
#include "accounts/hidden_proc.h"
#include "util/delta.h"

#define FIRST_PID_NAMESPACE 0xeffffffcu /* PROC_PID_INIT_INO */
#define PROCESSES_MAX 64

void hidden_open(struct hidden *hidden)
{
	struct stat own;

	hidden->list = BUFFER_OF(struct watch_entry);
	hidden->left = HIDDEN_READS_MAX;
	hidden->same_pids = !stat("/proc/self/ns/pid", &own) && own.st_ino == FIRST_PID_NAMESPACE;
}

void hidden_close(struct hidden *hidden)
{
	buffer_free(&hidden->list);
}

/* ---- the list of hidden processes ---- */

static struct watch_entry *entry_of(const struct hidden *hidden, __u32 pid)
{
	for (size_t i = 0; i < hidden->list.count; i++) {
		struct watch_entry *entry = buffer_at(&hidden->list, i);

		if (entry->pid == pid)
			return entry;
	}
	return NULL;
}

void hidden_add(struct hidden *hidden, __u32 pid, __u64 start_ns)
{
	struct watch_entry *entry = entry_of(hidden, pid);

	if (!entry && hidden->list.count < PROCESSES_MAX)
		entry = buffer_add(&hidden->list);
	if (entry)
		*entry = (struct watch_entry){ start_ns, pid, 0 };
}

void hidden_consider(struct hidden *hidden, const struct process *process)
{
	if (hidden->same_pids && !(process->flags & (PROCESS_FACTS | PROCESS_ENDED)))
		hidden_add(hidden, process->node.id, process->node.start_ns);
}

int hidden_same_start(__u64 exact, __u64 in_ticks)
{
	return exact / hidden_tick_ns() == in_ticks / hidden_tick_ns();
}

struct process *hidden_process(const struct hidden *hidden, const struct hash *processes, __u32 pid,
			       __u64 start_ns)
{
	const struct watch_entry *entry = entry_of(hidden, pid);

	if (!entry || !hidden_same_start(start_ns, entry->start_ns))
		return NULL;
	return (void *)hash_find(processes, pid, entry->start_ns);
}

struct thread *hidden_known_thread(const struct process *process, __u32 tid, __u64 start_ns)
{
	struct thread *thread = process->threads;

	while (thread && (thread->node.id != tid || thread->dead ||
			  !hidden_same_start(start_ns, thread->node.start_ns)))
		thread = thread->next;
	return thread;
}

struct thread *hidden_thread(const struct process *process, const struct thread_identity *identity)
{
	struct thread *thread = hidden_known_thread(process, identity->tid, identity->start_ns);

	if (!thread || (thread->owner && identity->owner && thread->owner != identity->owner))
		return NULL;
	if (identity->owner) {
		thread->owner = identity->owner;
		thread->began_ns = identity->began_ns;
	}
	return thread;
}

void hidden_divide_wait(struct hidden *hidden, struct thread *thread)
{
	__u64 *counters = thread->sums->interval, whole, waited;
	struct hidden_time time;
	char folder[64];

	snprintf(folder, sizeof(folder), "/proc/%u/task/%u", thread->process->node.id,
		 thread->node.id);
	if (thread->dead || !hidden->left || hidden_read_time(folder, &time) || !time.knows_waits)
		return;
	hidden->left--;
	if (!thread->waited_known)
		thread->waited_ns = time.runq_wait_ns;
	thread->waited_known = 1;
	whole = counters[EBTOP_OFFCPU_NS] + counters[EBTOP_RUNQ_WAIT_NS];
	waited = delta(time.runq_wait_ns, thread->waited_ns);
	/* the wait in progress is in the slot alone, and will be in the kernel's account */
	if (waited < counters[EBTOP_RUNQ_WAIT_NS])
		waited = counters[EBTOP_RUNQ_WAIT_NS];
	if (waited > whole)
		waited = whole;
	thread->waited_ns += waited;
	counters[EBTOP_RUNQ_WAIT_NS] = waited;
	counters[EBTOP_OFFCPU_NS] = whole - waited;
}

int hidden_left(struct hidden *hidden, struct ebtop_slot *slot)
{
	struct hidden_time time;
	char folder[64];
	int ret;

	if (!hidden->left)
		return -EAGAIN;
	hidden->left--;
	snprintf(folder, sizeof(folder), "/proc/%u/task/%u", slot->pid, slot->tid);
	ret = hidden_read_time(folder, &time);
	if (ret && ret != -ENOENT && ret != -ESRCH)
		return -EAGAIN;
	/* less than before: another thread has that number */
	if (ret || time.oncpu_ns < slot->oncpu_ns) {
		slot->state = EBTOP_SLOT_DEAD;
		return 0;
	}
	slot->since_ns += time.oncpu_ns - slot->oncpu_ns;
	slot->oncpu_ns = time.oncpu_ns;
	slot->state = EBTOP_SLOT_OFF;
	return 0;
}
