// SPDX-License-Identifier: GPL-2.0

/*
 * Owns do_sys_openat2 (which the whole family of open(2) goes through), do_handle_open, and
 * completions of opens by io_uring: one event for each open, with its result. A thread that opens
 * nothing pays nothing, unlike with hooks on every system call. An open by handle has no name, and
 * the name of an open by io_uring is gone when it completes.
 */
#include "file.bpf.h"
#include "open.bpf.h"

/* beside the slots, same index; size is set before loading */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ebtop_open_call);
} open_calls SEC(".maps");

struct opener { /* the current thread */
	const struct ebtop_config *now;
	__u32 *index;
	struct ebtop_slot *slot;
};

/* NULL when it does not pass, or has no slot (then that is counted). */
static __always_inline struct ebtop_open_call *call_of_current(struct opener *opener)
{
	__u64 ids = bpf_get_current_pid_tgid();

	opener->now = config_for(EBTOP_COLLECT_OPENS);
	if (!opener->now || !passes_pid(opener->now, ids >> 32))
		return NULL;
	opener->index = slot_index((__u32)ids);
	if (!opener->index || !*opener->index || *opener->index == EBTOP_SLOT_LOST) {
		count_loss(EBTOP_LOST_SYSCALLS);
		return NULL;
	}
	opener->slot = slot_at(*opener->index);
	if (!passes(opener->now, ids >> 32, opener->slot, true))
		return NULL;
	return bpf_map_lookup_elem(&open_calls, opener->index);
}

static __always_inline int account_enter(__u64 filename, __s32 dirfd, __u64 flags)
{
	struct opener opener;
	struct ebtop_open_call *call = call_of_current(&opener);

	if (!call)
		return 0;
	call->filename = filename;
	call->dirfd = dirfd;
	call->flags = flags & ~large_file_flag();
	call->began_ns = bpf_ktime_get_ns();
	return 0;
}

/* An int in newer kernels and a long before: neither descriptors nor errors need more. */
static __always_inline int account_return(int result)
{
	struct opener opener;
	struct ebtop_open_call *call = call_of_current(&opener);
	struct ebtop_file_slot *files;

	/* it began before we watched */
	if (!call || !call->began_ns || !opener.slot)
		return 0;
	files = file_slot(opener.index, opener.slot);
	if (files)
		files->opens++;
	emit_open(opener.now, call->filename, call->dirfd, call->flags, call->began_ns, result);
	call->began_ns = 0;
	return 0;
}

SEC("?fentry/do_sys_openat2")
int BPF_PROG(open_fentry, int dir_fd, const char *filename, struct open_how *how)
{
	return account_enter((__u64)filename, dir_fd, how->flags);
}

SEC("?fexit/do_sys_openat2")
int BPF_PROG(open_fexit, int dir_fd, const char *filename, struct open_how *how, long result)
{
	return account_return(result);
}

SEC("?kprobe/do_sys_openat2") int open_kprobe(struct pt_regs *regs)
{
	const struct open_how *how = (const void *)function_argument(regs, 2);

	return account_enter(function_argument(regs, 1), function_argument(regs, 0),
			     BPF_CORE_READ(how, flags));
}

SEC("?kretprobe/do_sys_openat2") int open_kretprobe(struct pt_regs *regs)
{
	return account_return(function_result(regs));
}

SEC("?fentry/do_handle_open")
int BPF_PROG(fh_fentry, int mount_fd, const void *handle, int flags)
{
	return account_enter(0, 0, (__u32)flags);
}

SEC("?fexit/do_handle_open")
int BPF_PROG(fh_fexit, int mount_fd, const void *handle, int flags, long result)
{
	return account_return(result);
}

SEC("?kprobe/do_handle_open") int fh_kprobe(struct pt_regs *regs)
{
	return account_enter(0, 0, (__u32)function_argument(regs, 2));
}

SEC("?kretprobe/do_handle_open") int fh_kretprobe(struct pt_regs *regs)
{
	return account_return(function_result(regs));
}

/* Posted by a thread of the process that asked, workers of its ring among them. */
SEC("?tp_btf/io_uring_complete") int BPF_PROG(ring_btf, const void *ring, struct io_kiocb *request)
{
	__u8 operation = BPF_CORE_READ(request, opcode);
	struct ebtop_file_slot *files;
	struct opener opener;

	if ((operation != IORING_OP_OPENAT && operation != IORING_OP_OPENAT2) ||
	    !call_of_current(&opener) || !opener.slot)
		return 0;
	files = file_slot(opener.index, opener.slot);
	if (files)
		files->opens++;
	emit_open(opener.now, 0, 0, 0, bpf_ktime_get_ns(), BPF_CORE_READ(request, cqe.res));
	return 0;
}

char _license[] SEC("license") = "GPL";
