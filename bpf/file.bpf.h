/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns adding a read or a write of a regular file to its thread: bytes, and of the bytes read those
 * that came through the page cache. A probe calls it, at the return of a function or of a system
 * call. The probe also counts pages that are added to the cache.
 */
#ifndef EBTOP_FILE_BPF_H
#define EBTOP_FILE_BPF_H

#include "inspect.bpf.h"

/* beside the slots, same index; size is set before loading */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ebtop_file_slot);
} file_slots SEC(".maps");

/* The slot may have been another thread's. */
static __always_inline struct ebtop_file_slot *file_slot(const __u32 *index,
							 const struct ebtop_slot *slot)
{
	struct ebtop_file_slot *files = bpf_map_lookup_elem(&file_slots, index);

	if (files && files->start_ns != slot->start_ns) {
		__builtin_memset(files, 0, sizeof(*files));
		files->start_ns = slot->start_ns;
	}
	return files;
}

/* Files that are made as they are read, and lie in no cache. */
static __always_inline bool is_made_up(__u64 magic)
{
	return magic == PROC_SUPER_MAGIC || magic == SYSFS_MAGIC || magic == CGROUP2_SUPER_MAGIC;
}

/*
 * `typed`: the verifier knows that it is a file, so its fields are loaded directly. Else they are
 * read by helper, which costs more and is refused under lockdown: as few as there is need of.
 * False when it is no regular file.
 */
static __always_inline bool account_uncached(struct ebtop_file_slot *files, struct file *file,
					     bool typed, __u64 bytes)
{
	struct inode *inode = typed ? file->f_inode : BPF_CORE_READ(file, f_inode);
	__u32 mode = typed ? inode->i_mode : BPF_CORE_READ(inode, i_mode);

	if ((mode & S_IFMT) != S_IFREG)
		return false;
	files->read_bytes += bytes;
	count_inspected(file, bytes, false);
	return true;
}

static __always_inline void account_read(struct ebtop_file_slot *files, struct file *file,
					 bool typed, __u64 bytes)
{
	struct inode *inode = typed ? file->f_inode : BPF_CORE_READ(file, f_inode);
	__u32 flags;
	__u64 magic;

	if (!account_uncached(files, file, typed, bytes))
		return;
	flags = typed ? file->f_flags : BPF_CORE_READ(file, f_flags);
	magic = typed ? inode->i_sb->s_magic : BPF_CORE_READ(inode, i_sb, s_magic);
	if (!(flags & direct_flag()) && !is_made_up(magic))
		files->cached_read_bytes += bytes;
}

static __always_inline void account_write(struct ebtop_file_slot *files, struct file *file,
					  bool typed, __u64 bytes)
{
	struct inode *inode = typed ? file->f_inode : BPF_CORE_READ(file, f_inode);
	__u32 mode = typed ? inode->i_mode : BPF_CORE_READ(inode, i_mode);

	if ((mode & S_IFMT) != S_IFREG)
		return;
	files->write_bytes += bytes;
	count_inspected(file, bytes, true);
}

/* The files that the current thread has open; `task` may be a bare address. */
static __always_inline struct fdtable *open_files(struct task_struct *task)
{
	return has_current_task() ? task->files->fdt : BPF_CORE_READ(task, files, fdt);
}

/* What a descriptor stands for there; by helper. */
static __always_inline struct file *file_in(struct fdtable *table, __u32 descriptor)
{
	struct file **all, *file = NULL;
	__u32 size;

	if (has_current_task()) {
		size = table->max_fds;
		all = table->fd;
	} else {
		size = BPF_CORE_READ(table, max_fds);
		all = BPF_CORE_READ(table, fd);
	}
	if (descriptor < size)
		bpf_probe_read_kernel(&file, sizeof(file), all + descriptor);
	return file;
}

#endif
