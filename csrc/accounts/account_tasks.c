// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns reading task records into accounts, and what a pass over all tasks says of tasks that it did
 * not meet.
 */
#include <stdio.h>
#include <string.h>

#include "accounts/account.h"

static void watch(struct accounts *accounts, struct process *process)
{
	struct watch_entry *entry = buffer_add(&accounts->watch);

	if (entry)
		*entry = (struct watch_entry){ process->node.start_ns, process->node.id, 0 };
}

/* Its record has it in parts. */
static void take_kernel_name(struct process *process, const struct ebtop_task *record)
{
	char name[EBTOP_COMM_BYTES + EBTOP_KERNEL_NAME_BYTES + EBTOP_WORK_BYTES];
	const char *own = record->kernel_name[0] ? record->kernel_name : record->comm;
	int bytes = snprintf(name, sizeof(name), "%.*s%.*s",
			     record->kernel_name[0] ? EBTOP_KERNEL_NAME_BYTES : EBTOP_COMM_BYTES,
			     own, EBTOP_WORK_BYTES, record->work[1] ? record->work : "");

	accounts_set_args(process, name, bytes > 0 ? (__u32)bytes : 0, 0);
}

static void take_process_facts(struct process *process, const struct ebtop_task *record)
{
	process->ppid = record->ppid;
	process->uid = record->uid;
	process->task_state = record->task_state;
	process->task_flags = record->task_flags;
	process->flags |= PROCESS_FACTS | PROCESS_STATE;
	if (record->cgroup_id) {
		process->cgroup_id = record->cgroup_id;
		process->controller_cgroup_id = record->controller_cgroup_id;
		process->flags |= PROCESS_CGROUP;
	}
	memcpy(process->comm, record->comm, sizeof(process->comm));
	if (record->kernel_name[0] || record->work[1])
		take_kernel_name(process, record);
}

/* All threads have the same: also once the leader has ended, and has none any more. */
static void take_memory(struct accounts *accounts, struct process *process,
			const struct ebtop_task *record)
{
	if (process->pass != accounts->refresh)
		process->flags &= ~(__u32)(PROCESS_MEMORY | PROCESS_VIRTUAL);
	/* a kernel thread may use another process's address space for a while */
	if (record->rss_pages == -1 || record->task_flags & PF_KTHREAD)
		return;
	process->flags |= PROCESS_VIRTUAL;
	if (record->rss_pages >= 0)
		process->flags |= PROCESS_MEMORY | PROCESS_PEAK;
	process->rss_pages = (__u64)record->rss_pages;
	process->virtual_pages = record->virtual_pages;
	process->peak_rss_pages = record->peak_rss_pages;
	process->anon_pages = record->anon_pages;
	process->file_pages = record->file_pages;
	process->shmem_pages = record->shmem_pages;
	process->swap_pages = record->swap_pages;
	process->mappings = record->mappings;
}

static void take_faults(struct accounts *accounts, struct thread *thread,
			const struct ebtop_task *record, int created)
{
	struct process *process = thread->process;

	if (process->faults_pass != accounts->refresh) {
		process->faults_pass = accounts->refresh;
		process->faults_sum[0] = record->group_minor_faults;
		process->faults_sum[1] = record->group_major_faults;
		process->dirtied_sum = record->group_dirtied_bytes;
	}
	if (record->dirtied_bytes == EBTOP_NOT_COUNTED)
		process->flags |= PROCESS_NO_DIRTIED;
	else
		process->dirtied_sum += record->dirtied_bytes;
	process->faults_sum[0] += record->minor_faults;
	process->faults_sum[1] += record->major_faults;
	/* what it had when it was met is not of any interval */
	if (!(process->flags & PROCESS_FAULTS))
		process->faults_base_pass = accounts->refresh;
	process->flags |= PROCESS_FAULTS;
	if (process->faults_base_pass == accounts->refresh) {
		memcpy(process->faults_last, process->faults_sum, sizeof(process->faults_last));
		process->dirtied_last = process->dirtied_sum;
	}
	if (!created && thread->refresh == accounts->refresh) {
		add(thread, EBTOP_MINOR_FAULTS, delta(record->minor_faults, thread->minor_faults));
		add(thread, EBTOP_MAJOR_FAULTS, delta(record->major_faults, thread->major_faults));
	}
	thread->minor_faults = record->minor_faults;
	thread->major_faults = record->major_faults;
}

void accounts_set_faults(const struct accounts *accounts, struct process *process, __u64 minor,
			 __u64 major)
{
	process->faults_sum[0] = minor;
	process->faults_sum[1] = major;
	if (process->faults_base_pass == accounts->refresh)
		memcpy(process->faults_last, process->faults_sum, sizeof(process->faults_last));
}

/* Where there is no slot, the record's own totals are all there is; waits are then unknown. */
static void take_counts(struct accounts *accounts, struct thread *thread,
			const struct ebtop_task *record)
{
	__u64 oncpu = delta(record->oncpu_ns, thread->oncpu_ns);
	__u32 voluntary = delta_low((__u32)record->voluntary_switches, thread->voluntary_switches);
	__u32 involuntary =
		delta_low((__u32)record->involuntary_switches, thread->involuntary_switches);

	if (!oncpu && !voluntary && !involuntary)
		return;
	accounts_mark_thread_active(accounts, thread);
	add(thread, EBTOP_ONCPU_NS, oncpu);
	add(thread, EBTOP_VOLUNTARY_SWITCHES, voluntary);
	add(thread, EBTOP_INVOLUNTARY_SWITCHES, involuntary);
	add(thread, EBTOP_MIGRATIONS, delta_low((__u32)record->migrations, thread->migrations));
	/* a thread that has never switched was on its CPU or asleep, nothing else */
	if (accounts->have_sched)
		add(thread, EBTOP_OFFCPU_NS, rest_of_interval(accounts, oncpu));
	accounts->switches += (__u64)voluntary + involuntary;
}

static void set_last_from_record(struct thread *thread, const struct ebtop_task *record)
{
	thread->oncpu_ns = record->oncpu_ns;
	thread->voluntary_switches = (__u32)record->voluntary_switches;
	thread->involuntary_switches = (__u32)record->involuntary_switches;
	thread->migrations = (__u32)record->migrations;
}

static void take_thread(struct accounts *accounts, struct thread *thread,
			const struct ebtop_task *record, int created)
{
	if (created) {
		/* what it did before it was known is not of this interval */
		thread->user_ticks_ns = record->user_ticks_ns;
		thread->kernel_ticks_ns = record->kernel_ticks_ns;
		if (accounts->have_sched && record->start_ns > accounts->attached_boot_ns)
			thread->process->flags |= PROCESS_UNTRACKED;
		if (thread->process->born == accounts->refresh)
			accounts_mark_thread_active(accounts, thread);
	}
	if (!thread->slot) {
		if (!created)
			take_counts(accounts, thread, record);
		set_last_from_record(thread, record);
		thread->process->flags |= PROCESS_ACCOUNTED;
		if (accounts->have_sched &&
		    (record->on_cpu || thread->process->flags & PROCESS_UNTRACKED))
			watch(accounts, thread->process);
	}
	if (thread->refresh == accounts->refresh || !thread->slot) {
		thread->user_ticks_ns = record->user_ticks_ns;
		thread->kernel_ticks_ns = record->kernel_ticks_ns;
	}
	accounts_task_wait(accounts, thread, record);
	memcpy(thread->comm, record->comm, sizeof(thread->comm));
	accounts_task_now(accounts, thread, record);
	thread->task_state = record->task_state;
	thread->pass = accounts->refresh;
}

void accounts_task(struct accounts *accounts, const struct ebtop_task *record)
{
	const struct thread_identity identity = { record->start_ns, record->start_ns, record->owner,
						  record->tid };
	struct process *process;
	struct thread *thread;
	int created;

	process = accounts_process(accounts, record->pid, record->leader_start_ns);
	if (!process)
		return;
	take_memory(accounts, process, record);
	process->pass = accounts->refresh;
	if (record->tid == record->pid)
		take_process_facts(process, record);
	if (record->task_state & TASK_GONE) {
		/* a zombie leader of living threads is no zombie process */
		if (record->tid == record->pid && record->threads <= 1 && !process->live_slots) {
			accounts_mark_active(accounts, process);
			process->flags |= PROCESS_ENDED | PROCESS_ZOMBIE;
			process->exit_code = record->exit_code;
			watch(accounts, process);
		}
		return;
	}
	thread = accounts_thread(accounts, process, identity, &created);
	if (!thread)
		return;
	take_thread(accounts, thread, record, created);
	take_faults(accounts, thread, record, created);
}

/* Not so: its last switch is still to come, or has come since the scan and tells more. */
static int is_at_rest(const struct accounts *accounts, __u32 index)
{
	const struct ebtop_slot *slot = slots_at(accounts->slots, index);

	return __atomic_load_n(&slot->state, __ATOMIC_RELAXED) == EBTOP_SLOT_OFF &&
	       __atomic_load_n(&slot->since_ns, __ATOMIC_RELAXED) ==
		       accounts->slots->seen_since[index];
}

static void sweep_threads(struct accounts *accounts, struct process *process, __u64 pass_boot_ns)
{
	struct thread *thread, *next;

	for (thread = process->threads; thread; thread = next) {
		next = thread->next;
		if (thread->dead || thread->pass == accounts->refresh ||
		    thread->node.start_ns >= pass_boot_ns)
			continue;
		if (thread->slot && !is_at_rest(accounts, thread->slot))
			continue;
		accounts_mark_thread_active(accounts, thread);
		accounts_retire_thread(accounts, thread);
	}
}

void accounts_sweep(struct accounts *accounts, __u64 pass_boot_ns)
{
	for (size_t i = 0; i < accounts->list.count; i++) {
		struct process_entry *entry = buffer_at(&accounts->list, i);
		struct process *process = entry->process;

		if (process->pass == accounts->refresh) {
			sweep_threads(accounts, process, pass_boot_ns);
			continue;
		}
		if (process->node.start_ns >= pass_boot_ns)
			continue;
		if (process->live_slots ||
		    (process->exited == accounts->refresh && accounts->have_sched &&
		     !(process->flags & PROCESS_UNTRACKED)))
			continue;
		accounts_mark_active(accounts, process);
		process->flags |= PROCESS_ENDED;
	}
}
