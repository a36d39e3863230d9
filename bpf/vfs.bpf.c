// SPDX-License-Identifier: GPL-2.0

/*
 * Owns the functions that reads and writes of files go through, and pages added to the page cache.
 * I/O by io_uring takes another path in the kernel and is seen when it completes; I/O through
 * mappings of files is not seen. Where the kernel allows no hook on a function, the probe of system
 * calls reports the bytes, and this one has the pages alone.
 */
#include "calls.bpf.h"
#include "file.bpf.h"

/* The probe syscall's, where that runs. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ebtop_syscall_slot);
} syscall_slots SEC(".maps");

struct reader { /* the current thread */
	__u32 *index;
	struct ebtop_slot *slot;
};

/* False when it does not pass the filter, or has no slot (then that is counted). */
static __always_inline bool find_reader(struct reader *reader)
{
	const struct ebtop_config *now = config_for(EBTOP_COLLECT_FILES);
	__u64 ids = bpf_get_current_pid_tgid();

	if (!now || !passes_pid(now, ids >> 32))
		return false;
	reader->index = slot_index((__u32)ids);
	if (!reader->index || !*reader->index)
		return false;
	if (*reader->index == EBTOP_SLOT_LOST) {
		count_loss(EBTOP_LOST_SYSCALLS);
		return false;
	}
	reader->slot = slot_at(*reader->index);
	return reader->slot && reader->slot->owner == bpf_get_current_task() &&
	       passes(now, ids >> 32, reader->slot, true);
}

static __always_inline int account(struct file *from, struct file *to, bool typed, long bytes)
{
	struct ebtop_file_slot *files;
	struct reader reader;

	if (bytes <= 0 || !find_reader(&reader))
		return 0;
	files = file_slot(reader.index, reader.slot);
	if (files && from)
		account_read(files, from, typed, bytes);
	if (files && to)
		account_write(files, to, typed, bytes);
	return 0;
}

SEC("?fexit/vfs_read")
int BPF_PROG(read_fexit, struct file *file, char *buffer, __u64 bytes, void *at, long result)
{
	return account(file, NULL, true, result);
}

SEC("?fexit/vfs_readv")
int BPF_PROG(readv_fexit, struct file *file, void *vector, long length, void *at, int flags,
	     long result)
{
	return account(file, NULL, true, result);
}

SEC("?fexit/vfs_write")
int BPF_PROG(write_fexit, struct file *file, char *buffer, __u64 bytes, void *at, long result)
{
	return account(NULL, file, true, result);
}

SEC("?fexit/vfs_writev")
int BPF_PROG(writev_fexit, struct file *file, void *vector, long length, void *at, int flags,
	     long result)
{
	return account(NULL, file, true, result);
}

SEC("?fexit/do_splice")
int BPF_PROG(splice_fexit, struct file *from, void *from_at, struct file *to, void *to_at,
	     __u64 bytes, int flags, long result)
{
	return account(from, to, true, result);
}

/* A file system on top of another one calls it once more, with files that no descriptor stands for. */
SEC("?fexit/vfs_copy_file_range")
int BPF_PROG(copy_fexit, struct file *from, __u64 from_at, struct file *to, __u64 to_at,
	     __u64 bytes, int flags, long result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pt_regs *regs = (void *)bpf_task_pt_regs(task);
	__u32 first = syscall_argument_at_return(regs, is_compat_call(regs, task), 0);

	if (result <= 0 || file_in(open_files(task), first) != from)
		return 0;
	return account(from, to, true, result);
}

SEC("?fexit/do_sendfile")
int BPF_PROG(sendfile_fexit, int to, int from, void *at, __u64 bytes, __u64 most, long result)
{
	struct fdtable *table = open_files(bpf_get_current_task_btf());

	if (result <= 0)
		return 0;
	return account(file_in(table, from), file_in(table, to), false, result);
}

/* ---- io_uring ---- */

/*
 * Completions are posted by threads of the process that asked, workers of its ring among them. Which
 * pages were read in for one nothing tells, so these bytes say nothing of the cache. Splices come
 * through do_splice.
 */
SEC("?tp_btf/io_uring_complete") int BPF_PROG(ring_btf, const void *ring, struct io_kiocb *request)
{
	long bytes = BPF_CORE_READ(request, cqe.res);
	struct ebtop_file_slot *files;
	struct reader reader;
	struct file *file;
	bool writes;

	switch (BPF_CORE_READ(request, opcode)) {
	case IORING_OP_READ:
	case IORING_OP_READV:
	case IORING_OP_READ_FIXED:
	case IORING_OP_READV_FIXED:
		writes = false;
		break;
	case IORING_OP_WRITE:
	case IORING_OP_WRITEV:
	case IORING_OP_WRITE_FIXED:
	case IORING_OP_WRITEV_FIXED:
		writes = true;
		break;
	default:
		return 0;
	}
	if (bytes <= 0 || !find_reader(&reader))
		return 0;
	file = BPF_CORE_READ(request, file);
	files = file_slot(reader.index, reader.slot);
	if (files && writes)
		account_write(files, file, false, bytes);
	else if (files)
		account_uncached(files, file, false, bytes);
	return 0;
}

/* ---- the page cache ---- */

/* Of whom else it is told what it reads? Of a page fault nobody: it is not a call that reads. */
static __always_inline bool is_reading(__u32 kind, __u32 task_flags)
{
	switch (kind & EBTOP_KIND_SPECIAL) {
	case EBTOP_KIND_READ:
		return true;
	case EBTOP_KIND_COPY:
	case EBTOP_KIND_SEND:
		/* pages of the file that is written to are added too, but not by read-ahead */
		return task_flags & PF_MEMALLOC_NOFS;
	}
	return false;
}

static __always_inline void add_pages(const void *folio, const struct reader *reader)
{
	struct ebtop_file_slot *files = file_slot(reader->index, reader->slot);

	if (files)
		files->added_pages += folio_pages(folio);
}

/* The call in progress is in the registers that it was entered with. */
SEC("?tp_btf/mm_filemap_add_to_page_cache") int BPF_PROG(added_btf, const void *folio)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pt_regs *regs = (void *)bpf_task_pt_regs(task);
	long number = current_call(regs);
	struct reader reader;

	/* they have no registers of a user */
	if (task->flags & (PF_KTHREAD | PF_IO_WORKER) || number < 0)
		return 0;
	if (!is_reading(kind_of_call(regs, task, number), task->flags))
		return 0;
	if (find_reader(&reader))
		add_pages(folio, &reader);
	return 0;
}

/* The call in progress is what the probe syscall says of it. */
SEC("?tp_btf/mm_filemap_add_to_page_cache") int BPF_PROG(added_call_btf, const void *folio)
{
	struct ebtop_syscall_slot *calls;
	struct reader reader;

	if (!find_reader(&reader))
		return 0;
	calls = bpf_map_lookup_elem(&syscall_slots, reader.index);
	if (calls && calls->entered_ns && calls->start_ns == reader.slot->start_ns &&
	    is_reading(kind_of(calls->number), current_flags()))
		add_pages(folio, &reader);
	return 0;
}

char _license[] SEC("license") = "GPL";
