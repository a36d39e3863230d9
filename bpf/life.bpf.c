// SPDX-License-Identifier: GPL-2.0

/*
 * Owns sched_process_fork, sched_process_exec and sched_process_exit. It makes one event for each
 * process that is born, executes a program, or exits; sched has the threads. On-CPU times are not
 * here, because a process runs a little longer after its exit event.
 */
#include "hidden.bpf.h"
#include "slots.bpf.h"

static __always_inline int account_fork(struct task_struct *child)
{
	struct ebtop_fork *event;

	if (child->pid != child->tgid || is_current_hidden())
		return 0;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		count_loss(EBTOP_LOST_FORKS);
		return 0;
	}
	fill_head(&event->head, child, EBTOP_EVENT_FORK, sizeof(*event));
	event->start_ns = child->start_boottime;
	event->ppid = child->real_parent->tgid;
	event->pad = 0;
	submit(event);
	return 0;
}

static __always_inline void clear_exec(struct ebtop_exec *event)
{
	event->args_bytes = 0;
	event->args_cut = 0;
	event->name_bytes = 0;
	event->error = 0;
	event->file_bytes = 0;
	__builtin_memset(event->args, 0, sizeof(event->args) + sizeof(event->name));
	__builtin_memset(event->file, 0, sizeof(event->file));
}

static __always_inline void copy_args(struct ebtop_exec *event, struct task_struct *task)
{
	struct mm_struct *mm = task->mm;
	__u64 start, bytes;

	if (!mm)
		return;
	start = mm->arg_start;
	bytes = mm->arg_end - start;
	event->args_cut = bytes > EBTOP_ARGS_BYTES;
	if (bytes > EBTOP_ARGS_BYTES)
		bytes = EBTOP_ARGS_BYTES;
	/* the pages were written by exec a moment ago, so they are there */
	if (!bpf_probe_read_user(event->args, bytes, (void *)start))
		event->args_bytes = bytes;
}

/* The path as the caller gave it: of a script its own, not that of its interpreter. */
static __always_inline void copy_name(struct ebtop_exec *event, struct linux_binprm *program)
{
	long bytes = bpf_probe_read_kernel_str(event->name, sizeof(event->name), program->filename);

	if (bytes > 1)
		event->name_bytes = (__u32)bytes - 1;
}

/* Of a script its interpreter's. A memfd has a name, but no path that leads to it. */
static __always_inline void copy_file_name(struct ebtop_exec *event, struct linux_binprm *program)
{
	long bytes =
		bpf_probe_read_kernel_str(event->file, sizeof(event->file),
					  BPF_CORE_READ(program, file, f_path.dentry, d_name.name));

	if (bytes > 1)
		event->file_bytes = (__u32)bytes - 1;
}

/*
 * It may have been switched since its slot was written last, for under neither tid was it found then.
 * The slice in progress began with the last switch of this CPU; what was not charged before was a wait.
 */
static __always_inline void make_up_for_switches(struct ebtop_slot *slot, struct task_struct *task)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct ebtop_slot *idle = slot_at(cpu + 1);
	__u64 oncpu = task->se.prev_sum_exec_runtime, in_between, charged;

	if ((slot->voluntary_switches == (__u32)task->nvcsw &&
	     slot->involuntary_switches == (__u32)task->nivcsw) ||
	    !idle || idle->since_ns < slot->since_ns || oncpu < slot->oncpu_ns)
		return;
	in_between = idle->since_ns - slot->since_ns;
	charged = oncpu - slot->oncpu_ns;
	slot->offcpu_ns += in_between > charged ? in_between - charged : 0;
	slot->since_ns = idle->since_ns;
	slot->oncpu_ns = oncpu;
	slot->voluntary_switches = task->nvcsw;
	slot->involuntary_switches = task->nivcsw;
	slot->cpu = cpu;
}

/*
 * A thread that executes a program takes the tid of its leader, who gets its own: slots follow, and
 * all that lies beside them. The leader is dead; what is left of it to run ends its slot.
 */
static __always_inline void exchange_slots(struct task_struct *task, __u32 former_tid)
{
	__u32 *from = slot_index(former_tid), *to = slot_index(task->pid), of_leader;
	struct ebtop_slot *slot = from ? known_slot(task, from) : NULL, *leader;

	if (!from || !to)
		return;
	if (!slot) {
		if (*from == EBTOP_SLOT_LOST)
			*from = 0;
		return;
	}
	of_leader = *to;
	leader = of_leader ? slot_at(of_leader) : NULL;
	if (leader && (leader->pid != slot->pid || leader->state == EBTOP_SLOT_DEAD))
		leader = NULL;
	if (leader)
		leader->tid = former_tid;
	*to = *from;
	*from = leader ? of_leader : 0;
	copy_comm(slot->comm, task);
	make_up_for_switches(slot, task);
	slot->tid = task->pid;
}

/* One that the kernel starts to run a program of user space begins as a kernel thread, before 5.18. */
static __always_inline void leave_kernel(struct task_struct *task)
{
	__u32 *index = slot_index(task->pid);
	struct ebtop_slot *slot = index ? known_slot(task, index) : NULL;

	if (slot)
		slot->flags &= ~EBTOP_SLOT_KERNEL;
}

/* Without `program` neither arguments nor its path are read. */
static __always_inline int account_exec(struct task_struct *task, __u32 former_tid,
					struct linux_binprm *program)
{
	struct ebtop_exec *event;

	if (is_hidden(task))
		return 0;
	if (former_tid != (__u32)task->pid)
		exchange_slots(task, former_tid);
	leave_kernel(task);
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		count_loss(EBTOP_LOST_RING_BUFFER);
		return 0;
	}
	fill_head(&event->head, task, EBTOP_EVENT_EXEC, sizeof(*event));
	event->start_ns = task->group_leader->start_boottime;
	event->ppid = task->real_parent->tgid;
	clear_exec(event);
	if (program) {
		copy_args(event, task);
		copy_name(event, program);
		copy_file_name(event, program);
	}
	submit(event);
	return 0;
}

/* ---- execs that fail ---- */

/* Numbers of execve and execveat, and of the machine's 32-bit ones; -1: there is none. */
const volatile __s32 cfg_execs[4] = { -1, -1, -1, -1 };

#define ARGS_MAX 16

/* The arguments are where the caller put them; what is not in memory there is left out. */
static __always_inline void copy_argv(struct ebtop_exec *event, __u64 argv, bool compat)
{
	const __u32 size = compat ? sizeof(__u32) : sizeof(__u64);
	__u32 used = 0;
	long bytes;

	for (int i = 0; i < ARGS_MAX; i++) {
		__u64 argument = 0;

		if (bpf_probe_read_user(&argument, size, (void *)(argv + i * size)) || !argument) {
			event->args_bytes = used;
			return;
		}
		used &= EBTOP_ARGS_BYTES - 1;
		/* what is too long runs over into the name, which is read afterwards */
		bytes = bpf_probe_read_user_str(event->args + used, EBTOP_ARGS_BYTES,
						(void *)argument);
		if (bytes < 0)
			break;
		/* of an empty text some kernels (5.10) say that it had no bytes, not even its NUL */
		used += bytes ? bytes : 1;
		if (used >= EBTOP_ARGS_BYTES)
			break;
	}
	event->args_cut = 1;
	event->args_bytes = used < EBTOP_ARGS_BYTES ? used : EBTOP_ARGS_BYTES;
}

static __always_inline int account_failed(const struct pt_regs *regs, long result, bool with_reads)
{
	long number = current_call(regs);
	struct ebtop_exec *event;
	bool compat, at;
	long bytes;

	if (result >= 0 || result < -4095 ||
	    (number != cfg_execs[0] && number != cfg_execs[1] && number != cfg_execs[2] &&
	     number != cfg_execs[3]))
		return 0;
	compat = is_compat_call(regs, has_current_task() ? bpf_get_current_task_btf() : NULL);
	at = number == cfg_execs[compat ? 3 : 1];
	if (!at && number != cfg_execs[compat ? 2 : 0])
		return 0;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		count_loss(EBTOP_LOST_RING_BUFFER);
		return 0;
	}
	fill_head_of_current(&event->head, EBTOP_EVENT_EXEC_FAILED, with_reads);
	event->head.size = sizeof(*event);
	event->start_ns = 0;
	event->ppid = has_current_task() ? bpf_get_current_task_btf()->real_parent->tgid : 0;
	clear_exec(event);
	event->error = result;
	if (with_reads) {
		copy_argv(event, syscall_argument_at_return(regs, compat, at ? 2 : 1), compat);
		bytes = bpf_probe_read_user_str(
			event->name, sizeof(event->name),
			(void *)syscall_argument_at_return(regs, compat, at ? 1 : 0));
		if (bytes > 1)
			event->name_bytes = bytes - 1;
	}
	submit(event);
	return 0;
}

/* One that ends, and what is asked of it again and again: the verifier takes long over a pointer. */
struct ending {
	struct task_struct *task, *leader;
	struct signal_struct *signal;
};

/* Faults of the threads that have ended are in the signal struct, unless they still are zombies. */
static __always_inline void copy_faults(struct ebtop_exit *event, const struct ending *ending)
{
	const struct task_struct *task = ending->task, *leader = ending->leader;

	event->minor_faults = ending->signal->min_flt + task->min_flt;
	event->major_faults = ending->signal->maj_flt + task->maj_flt;
	if (leader->pid != task->pid) {
		event->minor_faults += leader->min_flt;
		event->major_faults += leader->maj_flt;
	}
}

/* As with faults: what threads that have ended dirtied is in the signal struct. */
static __always_inline __u64 dirtied_bytes(const struct ending *ending)
{
	const struct task_struct *task = ending->task, *leader = ending->leader;
	__u64 sum;

	if (!has_io_accounting())
		return EBTOP_NOT_COUNTED;
	sum = group_dirtied_bytes(ending->signal) + task_dirtied_bytes(task);
	return leader->pid == task->pid ? sum : sum + task_dirtied_bytes(leader);
}

/* Threads that were reaped are in the sum; a leader stays until the last thread has ended. */
static __always_inline __u64 oncpu_of_others(const struct ending *ending)
{
	__u64 sum = ending->signal->sum_sched_runtime;

	return ending->leader->pid == ending->task->pid ? sum :
							  sum + ending->leader->se.sum_exec_runtime;
}

static __always_inline int account_exit(struct task_struct *task)
{
	struct ending ending = { task, task->group_leader, task->signal };
	struct ebtop_exit *event;

	/* do_exit() has counted this thread out already: 0 means that it was the last one */
	if (ending.signal->live.counter || is_hidden(task))
		return 0;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		count_loss(EBTOP_LOST_RING_BUFFER);
		return 0;
	}
	fill_head(&event->head, task, EBTOP_EVENT_EXIT, sizeof(*event));
	event->start_ns = ending.leader->start_boottime;
	event->duration_ns = bpf_ktime_get_boot_ns() - event->start_ns;
	event->ppid = task->real_parent->tgid;
	event->exit_code = exit_code_in(ending.signal, ending.leader);
	event->peak_rss_pages = ending.signal->maxrss;
	event->others_oncpu_ns = oncpu_of_others(&ending);
	copy_faults(event, &ending);
	event->dirtied_bytes = dirtied_bytes(&ending);
	submit(event);
	return 0;
}

SEC("?tp_btf/sched_process_fork")
int BPF_PROG(fork_btf, struct task_struct *parent, struct task_struct *child)
{
	return account_fork(child);
}

/* Reading another address space is refused under lockdown: then exec_btf alone is loaded. */
SEC("?tp_btf/sched_process_exec")
int BPF_PROG(exec_args_btf, struct task_struct *task, int former_tid, struct linux_binprm *program)
{
	return account_exec(task, former_tid, program);
}

SEC("?tp_btf/sched_process_exec") int BPF_PROG(exec_btf, struct task_struct *task, int former_tid)
{
	return account_exec(task, former_tid, NULL);
}

/* Every call of the machine comes by: these are loaded for a stream of execs alone. */
SEC("?tp_btf/sys_exit") int BPF_PROG(failed_btf, struct pt_regs *regs, long result)
{
	return account_failed(regs, result, true);
}

SEC("?tp_btf/sys_exit") int BPF_PROG(failed_bare_btf, struct pt_regs *regs, long result)
{
	return account_failed(regs, result, false);
}

SEC("?tp_btf/sched_process_exit") int BPF_PROG(exit_btf, struct task_struct *task)
{
	return account_exit(task);
}

char _license[] SEC("license") = "GPL";
