// SPDX-License-Identifier: GPL-2.0

/*
 * Owns the entry and the return of system calls. For each thread: calls by category, errors, time
 * inside calls, and on-CPU time inside calls, which splits its on-CPU time into user and kernel
 * exactly. For the machine, or for what the filter selects: calls, errors and a histogram of
 * latencies of each system call. Where the kernel allows no hook on a function, these programs also
 * report file opens and bytes of files; they always count the calls that map and unmap memory.
 * While only those are wanted, any other call pays little.
 *
 * A call belongs to its thread, not to a CPU, because it may return on another one. A call that was
 * interrupted and restarts is one call; a call that never returns (exit) is counted and has no
 * latency.
 */
#include "calls.bpf.h"
#include "file.bpf.h"
#include "latency.bpf.h"
#include "mem.bpf.h"
#include "numbers.bpf.h"
#include "open.bpf.h"
#include "slow.bpf.h"

#define KIND_CATEGORY 0x07 /* enum ebtop_syscall_category */

#define ERESTARTSYS 512
#define ERESTARTNOINTR 513
#define ERESTARTNOHAND 514
#define ERESTART_RESTARTBLOCK 516
#define ERRNO_MAX 4095

#define CALL_UNTIMED 1 /* for entered_ns and left_ns: there is such a call, and it is not timed */

/* Copies of the counts, a power of two; with fewer than CPUs, they are shared. */
const volatile __u32 cfg_shards = 1;
const volatile __u32 cfg_shared = 1;

/* beside the slots, same index; size is set before loading */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ebtop_syscall_slot);
} syscall_slots SEC(".maps");

/* shard x number; size is set before loading */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ebtop_syscall_shard);
} syscall_shards SEC(".maps");

#define COLLECTED_HERE                                                                             \
	(EBTOP_COLLECT_SYSCALLS | EBTOP_COLLECT_OPENS_BY_SYSCALLS |                                \
	 EBTOP_COLLECT_FILES_BY_SYSCALLS | EBTOP_COLLECT_SLOW)

struct caller {                   /* the current thread */
	struct task_struct *task; /* NULL where only its address can be had */
	__u64 address;
	__u32 pid;
	__u32 *index;
	struct ebtop_slot *slot;
	struct ebtop_syscall_slot *calls;
};

/* Its slot; false when there is none. */
static __always_inline bool find_thread(struct caller *caller, const struct ebtop_config *now)
{
	__u32 *index;
	__u64 ids;

	if (has_current_task()) {
		/* one helper instead of two */
		caller->task = bpf_get_current_task_btf();
		caller->address = (__u64)caller->task;
		ids = (__u64)caller->task->tgid << 32 | (__u32)caller->task->pid;
	} else {
		caller->address = bpf_get_current_task();
		ids = bpf_get_current_pid_tgid();
	}
	caller->pid = ids >> 32;
	if (!passes_pid(now, caller->pid))
		return false;
	index = slot_index((__u32)ids);
	if (!index || !*index)
		return false;
	if (*index == EBTOP_SLOT_LOST) {
		count_loss(EBTOP_LOST_SYSCALLS);
		return false;
	}
	caller->index = index;
	caller->slot = slot_at(*index);
	return caller->slot && caller->slot->owner == caller->address;
}

/* With what is beside it. */
static __always_inline bool find_calls(struct caller *caller)
{
	caller->calls = bpf_map_lookup_elem(&syscall_slots, caller->index);
	return caller->calls;
}

/* The address of a task is enough to read it by helper. */
static __always_inline struct task_struct *task_of(const struct caller *caller)
{
	return has_current_task() ? caller->task : (void *)bpf_get_current_task();
}

static __always_inline __u64 oncpu_now(const struct ebtop_slot *slot, __u64 now_ns)
{
	return slot->oncpu_ns + (now_ns - slot->since_ns);
}

/* ---- the machine's counts ---- */

static __always_inline void add64(__u64 *sum, __u64 amount)
{
	if (cfg_shared)
		__sync_fetch_and_add(sum, amount);
	else
		*sum += amount;
}

static __always_inline struct ebtop_syscall_shard *shard_of(__u32 number)
{
	__u32 shard = bpf_get_smp_processor_id() & (cfg_shards - 1);
	__u32 key = shard * EBTOP_SYSCALL_ENTRIES + number;

	return bpf_map_lookup_elem(&syscall_shards, &key);
}

/* Two CPUs of a shared shard may race for an extreme: one of two close ones is kept. */
static __always_inline void count_latency(const struct ebtop_config *now, __u32 number, __u64 ns,
					  bool failed)
{
	struct ebtop_syscall_shard *counts = shard_of(number);
	__u64 bucket = fine_bucket(ns), epoch = now->epoch & 1;

	if (!counts || ns < now->min_latency_ns)
		return;
	add64(&counts->calls, 1);
	add64(&counts->total_ns, now->every > 1 ? ns * now->every : ns);
	if (failed)
		add64(&counts->errors, 1);
	if (!counts->min_ns[epoch] || ns + 1 < counts->min_ns[epoch])
		counts->min_ns[epoch] = ns + 1;
	if (ns > counts->max_ns[epoch])
		counts->max_ns[epoch] = ns;
	if (cfg_shared)
		__sync_fetch_and_add(&counts->buckets[bucket], 1);
	else
		counts->buckets[bucket]++;
}

/* ---- one call ---- */

/* Not every Nth, for calls may come in turns: as dice fall. */
static __always_inline bool is_timed(const struct ebtop_config *now,
				     struct ebtop_syscall_slot *calls)
{
	if (now->every <= 1 || now->min_latency_ns || now->collect & EBTOP_COLLECT_SLOW)
		return true;
	calls->dice = calls->dice * 1664525 + 1013904223;
	return !(calls->dice >> 16 & (now->every - 1));
}

static __always_inline void count_untimed(const struct ebtop_config *now,
					  struct ebtop_syscall_slot *calls, __u32 number,
					  bool failed)
{
	struct ebtop_syscall_shard *counts = shard_of(number);

	if (!(now->collect & EBTOP_COLLECT_SYSCALLS) || !wants_call(now, number))
		return;
	calls->calls[kind_of(number) & KIND_CATEGORY]++;
	calls->errors += failed;
	if (counts && !now->min_latency_ns) {
		add64(&counts->calls, 1);
		if (failed) /* else clang adds nothing, by an operation that 5.10 does not know */
			add64(&counts->errors, 1);
		add64(&counts->untimed, 1);
	}
}

static __always_inline void finish(const struct ebtop_config *now, struct ebtop_syscall_slot *calls,
				   __u64 end_ns, bool failed)
{
	__u64 ns = end_ns - calls->entered_ns;
	bool timed = calls->entered_ns != CALL_UNTIMED;
	__u32 number = calls->number;

	calls->entered_ns = 0;
	calls->left_ns = 0;
	if (!timed) {
		count_untimed(now, calls, number, failed);
		return;
	}
	if (!(now->collect & EBTOP_COLLECT_SYSCALLS) || !wants_call(now, number))
		return;
	if ((__s64)ns < 0) {
		count_loss(EBTOP_LOST_CLOCK_ORDER);
		return;
	}
	/* one of many stands for them all */
	calls->inside_ns += now->every > 1 ? ns * now->every : ns;
	calls->calls[kind_of(number) & KIND_CATEGORY]++;
	if (failed)
		calls->errors++;
	count_latency(now, number, ns, failed);
}

/* The slot may have been another thread's, and what was in it when filters changed has holes. */
static __always_inline void claim(const struct ebtop_config *now, const struct caller *caller)
{
	struct ebtop_syscall_slot *calls = caller->calls;

	if (calls->start_ns != caller->slot->start_ns) {
		__builtin_memset(calls, 0, sizeof(*calls));
		calls->start_ns = caller->slot->start_ns;
	}
	if (calls->generation != now->generation) {
		calls->entered_ns = calls->left_ns = 0;
		calls->generation = now->generation;
	}
	if (calls->watch != now->watch) {
		calls->entered_ns = calls->left_ns = 0;
		calls->stage = EBTOP_CALL_UNKNOWN;
		calls->watch = now->watch;
	}
}

static __always_inline void note_open(const struct pt_regs *regs, struct ebtop_syscall_slot *calls,
				      __u32 kind)
{
	bool compat = is_compat_number(calls->number);
	__u64 first = syscall_argument(regs, compat, 0), second = syscall_argument(regs, compat, 1);
	__u64 third = syscall_argument(regs, compat, 2), how = 0;

	calls->opens = 1;
	calls->dirfd = AT_FDCWD;
	switch (kind & EBTOP_KIND_SPECIAL) {
	case EBTOP_KIND_OPEN:
		calls->filename = first;
		calls->open_flags = second;
		break;
	case EBTOP_KIND_CREAT:
		calls->filename = first;
		calls->open_flags = O_CREAT_WRONLY_TRUNC;
		break;
	case EBTOP_KIND_OPENAT:
		calls->dirfd = first;
		calls->filename = second;
		calls->open_flags = third;
		break;
	case EBTOP_KIND_OPENAT2:
		/* struct open_how begins with its flags */
		bpf_probe_read_user(&how, sizeof(how), (void *)third);
		calls->dirfd = first;
		calls->filename = second;
		calls->open_flags = how;
		break;
	case EBTOP_KIND_OPEN_HANDLE:
		calls->filename = 0;
		calls->open_flags = third;
		break;
	default:
		calls->opens = 0;
	}
}

/* A call that was interrupted begins again, or something else does and it is over. */
static __always_inline bool goes_on(const struct ebtop_config *now,
				    struct ebtop_syscall_slot *calls, __u32 number, __u32 kind)
{
	if (number == calls->number || (kind & EBTOP_KIND_SPECIAL) == EBTOP_KIND_RESTARTS) {
		calls->left_ns = 0;
		return true;
	}
	finish(now, calls, calls->left_ns, true);
	return false;
}

static __always_inline int account_enter(const struct pt_regs *regs, long id, bool with_reads)
{
	const struct ebtop_config *now = config_for(COLLECTED_HERE | EBTOP_COLLECT_MEMORY);
	struct ebtop_syscall_slot *calls;
	struct caller caller = {};
	__u32 number, kind;
	__u64 now_ns;
	bool watched;

	if (!now || (!(now->collect & COLLECTED_HERE) && !may_be_memory(id)) ||
	    !find_thread(&caller, now))
		return 0;
	number = number_of(regs, caller.task, id);
	kind = kind_of(number);
	/* before paths part: the verifier takes long over the pointers in it */
	watched = passes(now, caller.pid, caller.slot, with_reads);
	if (watched && memory_can_be_read(with_reads) && is_memory(kind) &&
	    now->collect & EBTOP_COLLECT_MEMORY)
		memory_enter(now, task_of(&caller), caller.pid, caller.index, caller.slot, kind);
	if (!(now->collect & COLLECTED_HERE) || !find_calls(&caller))
		return 0;
	calls = caller.calls;
	claim(now, &caller);
	calls->stage = EBTOP_CALL_INSIDE;
	calls->refused = 0;
	if (!watched) {
		calls->entered_ns = 0;
		return 0;
	}
	if (is_timed(now, calls)) {
		now_ns = bpf_ktime_get_ns();
		calls->entered_oncpu_ns = oncpu_now(caller.slot, now_ns);
	} else {
		now_ns = CALL_UNTIMED;
	}
	if (calls->left_ns && goes_on(now, calls, number, kind))
		return 0;
	calls->number = number;
	calls->opens = 0;
	calls->entered_ns = now_ns;
	if (kind & EBTOP_KIND_NEVER_RETURNS)
		count_untimed(now, calls, number, false);
	if (with_reads && now->collect & EBTOP_COLLECT_OPENS_BY_SYSCALLS &&
	    kind & EBTOP_KIND_SPECIAL)
		note_open(regs, calls, kind);
	return 0;
}

static __always_inline bool is_interrupted(long ret)
{
	return ret == -ERESTARTSYS || ret == -ERESTARTNOINTR || ret == -ERESTARTNOHAND ||
	       ret == -ERESTART_RESTARTBLOCK;
}

static __always_inline void note_opened(const struct ebtop_config *now, const struct caller *caller,
					long ret)
{
	struct ebtop_file_slot *files = file_slot(caller->index, caller->slot);

	if (files)
		files->opens++;
	emit_open(now, caller->calls->filename, caller->calls->dirfd, caller->calls->open_flags,
		  caller->calls->entered_ns, ret);
}

/* Which descriptors it was about, is in the registers still. */
static __always_inline void note_file(const struct caller *caller, const struct pt_regs *regs,
				      __u32 kind, __u64 bytes)
{
	bool compat = is_compat_number(caller->calls->number);
	__u32 first = syscall_argument_at_return(regs, compat, 0), from = first, to = first;
	struct ebtop_file_slot *files;
	struct fdtable *table;

	kind &= EBTOP_KIND_SPECIAL;
	if (kind == EBTOP_KIND_COPY)
		to = syscall_argument_at_return(regs, compat, 2);
	else if (kind == EBTOP_KIND_SEND)
		from = syscall_argument_at_return(regs, compat, 1);
	else if (kind != EBTOP_KIND_READ && kind != EBTOP_KIND_WRITE)
		return;
	table = open_files(task_of(caller));
	files = file_slot(caller->index, caller->slot);
	if (files && kind != EBTOP_KIND_WRITE)
		account_read(files, file_in(table, from), false, bytes);
	if (files && kind != EBTOP_KIND_READ)
		account_write(files, file_in(table, to), false, bytes);
}

/*
 * Its beginning was told to nobody: seccomp refused it (or a tracer took it away). One that was trapped
 * has its registers back as they were, on x86 its number where the result would be.
 */
static __always_inline void account_refused(const struct ebtop_config *now,
					    const struct caller *caller, const struct pt_regs *regs,
					    long ret, bool with_reads)
{
	long id = current_call(regs);
	__u32 number;

	if (is_interrupted(ret) || !passes(now, caller->pid, caller->slot, with_reads))
		return;
	number = number_of(regs, caller->task, id);
	count_untimed(now, caller->calls, number, ret == id || (ret < 0 && ret >= -ERRNO_MAX));
	caller->calls->refused = number + 1;
}

/* Read as the call returns: the kernel has just read it. */
static __noinline int about_name(struct ebtop_slow_data *data, __u64 name)
{
	if (bpf_probe_read_user_str(data->parts, sizeof(data->parts), (void *)name) > 0)
		data->about = EBTOP_ABOUT_NAME;
	return 0;
}

/* Its arguments are in the registers still. */
static __noinline int emit_slow(const struct pt_regs *regs, __u32 number, __u64 ns, long ret,
				bool with_reads)
{
	struct ebtop_slow *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	bool compat = is_compat_number(number);
	__u32 object = object_of(number);

	if (!event) {
		count_loss(EBTOP_LOST_RING_BUFFER);
		return 0;
	}
	__builtin_memset(event, 0, sizeof(*event));
	fill_head_of_current(&event->head, EBTOP_EVENT_SLOW, with_reads);
	event->head.size = sizeof(*event);
	event->data.kind = EBTOP_SLOW_SYSCALL;
	event->data.duration_ns = ns;
	event->data.result = ret;
	event->data.call = number + 1;
	if (with_reads && object == EBTOP_OBJECT_DESCRIPTOR)
		about_descriptor(&event->data, (void *)bpf_get_current_task(),
				 syscall_argument_at_return(regs, compat, 0));
	else if (with_reads && object == EBTOP_OBJECT_NAME)
		about_name(&event->data, syscall_argument_at_return(regs, compat, 0));
	else if (with_reads && object == EBTOP_OBJECT_NAME_AT)
		about_name(&event->data, syscall_argument_at_return(regs, compat, 1));
	submit(event);
	return 0;
}

static __always_inline int account_return(const struct pt_regs *regs, long ret, bool with_reads)
{
	const struct ebtop_config *now = config_for(COLLECTED_HERE | EBTOP_COLLECT_MEMORY);
	struct ebtop_syscall_slot *calls;
	struct caller caller = {};
	__u64 now_ns, oncpu_ns;
	__u32 stage;
	bool memory;

	if (!now)
		return 0;
	memory = memory_can_be_read(with_reads) && now->collect & EBTOP_COLLECT_MEMORY &&
		 may_be_memory(current_call(regs));
	if ((!memory && !(now->collect & COLLECTED_HERE)) || !find_thread(&caller, now))
		return 0;
	if (memory)
		memory_return(now, task_of(&caller), caller.pid, caller.index, caller.slot, regs,
			      is_compat_call(regs, caller.task), ret, with_reads);
	if (!(now->collect & COLLECTED_HERE) || !find_calls(&caller))
		return 0;
	calls = caller.calls;
	claim(now, &caller);
	stage = calls->stage;
	calls->stage = EBTOP_CALL_OUTSIDE;
	if (stage == EBTOP_CALL_OUTSIDE) {
		account_refused(now, &caller, regs, ret, with_reads);
		return 0;
	}
	/* it entered before we watched, or before the filter let it pass */
	if (!calls->entered_ns)
		return 0;
	now_ns = CALL_UNTIMED;
	if (calls->entered_ns != CALL_UNTIMED) {
		now_ns = bpf_ktime_get_ns();
		oncpu_ns = oncpu_now(caller.slot, now_ns);
		if (oncpu_ns > calls->entered_oncpu_ns)
			calls->kernel_ns += oncpu_ns - calls->entered_oncpu_ns;
		calls->entered_oncpu_ns = oncpu_ns;
	}
	if (is_interrupted(ret)) {
		calls->left_ns = now_ns;
		return 0;
	}
	if (with_reads && calls->opens)
		note_opened(now, &caller, ret);
	else if (with_reads && ret > 0 && now->collect & EBTOP_COLLECT_FILES_BY_SYSCALLS)
		note_file(&caller, regs, kind_of(calls->number), ret);
	if (now->collect & EBTOP_COLLECT_SLOW && calls->entered_ns != CALL_UNTIMED &&
	    now_ns - calls->entered_ns >= now->slow_ns && wants_call(now, calls->number))
		emit_slow(regs, calls->number, now_ns - calls->entered_ns, ret, with_reads);
	finish(now, calls, now_ns, ret < 0 && ret >= -ERRNO_MAX);
	return 0;
}

SEC("?tp_btf/sys_enter") int BPF_PROG(enter_btf, struct pt_regs *regs, long id)
{
	return account_enter(regs, id, true);
}

SEC("?tp_btf/sys_exit") int BPF_PROG(return_btf, struct pt_regs *regs, long ret)
{
	return account_return(regs, ret, true);
}

/* Where other memory must not be read (lockdown): no file names. */
SEC("?tp_btf/sys_enter") int BPF_PROG(enter_bare_btf, struct pt_regs *regs, long id)
{
	return account_enter(regs, id, false);
}

SEC("?tp_btf/sys_exit") int BPF_PROG(return_bare_btf, struct pt_regs *regs, long ret)
{
	return account_return(regs, ret, false);
}

char _license[] SEC("license") = "GPL";
