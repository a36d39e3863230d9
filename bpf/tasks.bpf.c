// SPDX-License-Identifier: GPL-2.0

/*
 * Owns iter/task: it writes one struct ebtop_task for each thread that the iterator visits, with
 * facts that only the kernel's task_struct has. The reader of the iterator chooses the threads
 * (all, or those of one process). The program runs when read, never on a hook.
 */
#include "hidden.bpf.h"
#include "stack.bpf.h"
#include "wait.bpf.h"

/* Counters that lag behind their CPUs may be below 0. */
static __always_inline __u64 not_negative(__s64 count)
{
	return count > 0 ? count : 0;
}

static __always_inline void copy_memory(struct ebtop_task *record, const struct mm_struct *mm,
					bool with_rss)
{
	struct mm_pages pages;
	__s64 rss = -2;

	record->virtual_pages = mm->total_vm;
	record->peak_rss_pages = mm->hiwater_rss;
	record->mappings = mm->map_count;
	record->rss_pages = rss;
	if (!with_rss)
		return;
	pages = mm_pages(mm);
	rss = pages.file + pages.anon + pages.shmem;
	record->rss_pages = not_negative(rss);
	record->anon_pages = not_negative(pages.anon);
	record->file_pages = not_negative(pages.file);
	record->shmem_pages = not_negative(pages.shmem);
	record->swap_pages = not_negative(pages.swap);
	if (rss > 0 && (__u64)rss > record->peak_rss_pages)
		record->peak_rss_pages = rss;
}

static __always_inline void copy_group(struct ebtop_task *record, const struct task_struct *leader,
				       const struct signal_struct *signal)
{
	record->group_minor_faults = signal->min_flt;
	record->group_major_faults = signal->maj_flt;
	if (has_io_accounting())
		record->group_dirtied_bytes = group_dirtied_bytes(signal);
	record->threads = signal->nr_threads;
	record->exit_code = exit_code_in(signal, leader);
}

static __always_inline void copy_counts(struct ebtop_task *record, struct task_struct *task)
{
	record->oncpu_ns = task->se.sum_exec_runtime;
	record->user_ticks_ns = task->utime;
	record->kernel_ticks_ns = task->stime;
	record->voluntary_switches = task->nvcsw;
	record->involuntary_switches = task->nivcsw;
	record->migrations = task->se.nr_migrations;
	record->dirtied_bytes = has_io_accounting() ? task_dirtied_bytes(task) : EBTOP_NOT_COUNTED;
	record->minor_faults = task->min_flt;
	record->major_faults = task->maj_flt;
}

static __always_inline bool wants_stack(const struct ebtop_task *record)
{
	const struct ebtop_config *now = config_for(EBTOP_COLLECT_STACKS);
	__u32 *index = slot_index(record->tid);

	if (!now)
		return false;
	/* somebody wants to know which function it sleeps in, though the reason be known */
	if (now->functions || now->inspected_pid == record->pid)
		return true;
	return record->wait & EBTOP_WAIT_UNSURE &&
	       is_watched(now, record->pid, index && *index ? slot_at(*index) : NULL);
}

/* Of one that is not on a CPU its registers are those that it entered the kernel with. */
static __always_inline void copy_call(struct ebtop_task *record, struct task_struct *task,
				      bool with_reads)
{
	struct waiting_call call;

	record->left_cpu = task_left_cpu(task);
	if (record->on_cpu || task->exit_state || task->flags & (PF_KTHREAD | PF_IO_WORKER))
		return;
	call = waiting_call(task, cfg_thread_size, with_reads);
	if (call.number >= 0 && call.number < EBTOP_SYSCALL_NUMBERS)
		record->call = call.number + 1;
}

static __always_inline __u64 own_cgroup_in(const struct css_set *cgroups, __u64 subsystem,
					   enum ebtop_hierarchy hierarchy)
{
	struct cgroup_subsys_state *const *all =
		(void *)cgroups + bpf_core_field_offset(struct css_set, subsys);
	const struct cgroup *cgroup = all[subsystem]->cgroup;

	/* controllers of cgroup v2 are all in hierarchy 0 */
	if (!cgroup->root->hierarchy_id || !cgroup->level)
		return 0;
	return cgroup->kn->id | (__u64)hierarchy << EBTOP_HIERARCHY_SHIFT;
}

#define OWN_CGROUP(cgroups, name, hierarchy)                                                       \
	(bpf_core_enum_value_exists(enum cgroup_subsys_id, name##_cgrp_id) ?                       \
		 own_cgroup_in(cgroups,                                                            \
			       bpf_core_enum_value(enum cgroup_subsys_id, name##_cgrp_id),         \
			       hierarchy) :                                                        \
		 0)

/*
 * With cgroup v1, and on hybrid machines, a process has a cgroup in the hierarchy of each controller. The
 * first of these that is not the root; whoever makes containers or services uses one of them.
 */
static __always_inline __u64 cgroup_of_controller(const struct css_set *cgroups)
{
	__u64 id = OWN_CGROUP(cgroups, pids, EBTOP_HIERARCHY_PIDS);

	if (!id)
		id = OWN_CGROUP(cgroups, memory, EBTOP_HIERARCHY_MEMORY);
	if (!id)
		id = OWN_CGROUP(cgroups, cpu, EBTOP_HIERARCHY_CPU);
	return id;
}

/* Of one that waits: threads that sleep since before anybody watched are explained by this alone. */
static __always_inline void copy_wait(struct ebtop_task *record, struct task_struct *task,
				      bool with_reads)
{
	record->wait = EBTOP_WAIT_OTHER;
	if (record->on_cpu || record->task_state == TASK_RUNNING || task->exit_state)
		return;
	record->wait = evidence_of(task, record->task_state, with_reads);
	if (wants_stack(record))
		record->wait_stack = take_stack(task).id;
}

/*
 * A kernel thread's whole name, as /proc/PID/comm has it (proc_task_name() in fs/proc/array.c): of one
 * that works off queues, also which one (wq_worker_comm() in kernel/workqueue.c).
 */
static __always_inline void copy_kernel_name(struct ebtop_task *record, struct task_struct *task)
{
	const struct kthread *kthread = kthread_of(task);
	const struct worker *worker;

	if (bpf_core_field_exists(kthread->full_name))
		bpf_probe_read_kernel_str(record->kernel_name, sizeof(record->kernel_name),
					  BPF_CORE_READ(kthread, full_name));
	if (!(task->flags & PF_WQ_WORKER))
		return;
	worker = BPF_CORE_READ(kthread, data);
	if (!BPF_CORE_READ(worker, pool))
		return;
	bpf_core_read_str(record->work + 1, sizeof(record->work) - 1, &worker->desc);
	record->work[0] = BPF_CORE_READ(worker, current_work) ? '+' : '-';
}

static __always_inline int account_task(struct bpf_iter__task *ctx, bool with_reads)
{
	struct task_struct *task = ctx->task;
	struct ebtop_task record = {};
	struct css_set *cgroups;
	struct task_struct *leader;
	struct mm_struct *mm;

	if (!task || is_hidden(task))
		return 0;
	/* once each, and before paths part: the verifier takes long over a pointer */
	leader = task->group_leader;
	mm = task->mm;
	record.owner = (__u64)task;
	record.start_ns = task->start_boottime;
	record.leader_start_ns = leader->start_boottime;
	cgroups = task->cgroups;
	record.cgroup_id = cgroups->dfl_cgrp->kn->id;
	record.controller_cgroup_id = cgroup_of_controller(cgroups);
	record.tid = task->pid;
	record.pid = task->tgid;
	record.ppid = task->real_parent->tgid;
	record.uid = task->real_cred->euid.val;
	record.task_state = task_state(task) | task->exit_state;
	record.on_cpu = task_on_cpu(task);
	record.task_flags = task->flags;
	copy_comm(record.comm, task);
	copy_counts(&record, task);
	copy_group(&record, leader, task->signal);
	record.rss_pages = -1;
	copy_wait(&record, task, with_reads);
	copy_call(&record, task, with_reads);
	if (mm)
		copy_memory(&record, mm, with_reads);
	else if (with_reads && record.task_flags & PF_KTHREAD)
		copy_kernel_name(&record, task);
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

SEC("?iter/task") int tasks_iter(struct bpf_iter__task *ctx)
{
	return account_task(ctx, true);
}

/* Under lockdown no other memory is read: files of descriptors, and before 6.2 the resident size. */
SEC("?iter/task") int tasks_bare_iter(struct bpf_iter__task *ctx)
{
	return account_task(ctx, false);
}

char _license[] SEC("license") = "GPL";
