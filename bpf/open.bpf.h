/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the record of one file open: its fields, and when it is given up. A probe calls it, at the
 * return of a function or of a system call.
 */
#ifndef EBTOP_OPEN_BPF_H
#define EBTOP_OPEN_BPF_H

#include "path.bpf.h"

#define PATH_BYTES 4095 /* the longest path that the kernel takes, without its NUL */

/* Where a record is put together: it is as long as its name, and the stack is 512 bytes. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ebtop_open);
} open_scratch SEC(".maps");

/* Read on return: the kernel has just read it, so its page is present. */
static __always_inline void copy_name(struct ebtop_open *event, char *to, __u64 filename)
{
	long bytes = bpf_probe_read_user_str(to, EBTOP_FILENAME_BYTES, (void *)filename);

	event->name_unread = bytes < 0;
	event->name_cut = bytes > PATH_BYTES + 1;
	event->name_bytes = bytes > 0 ? bytes - 1 : 0;
	if (event->name_bytes > PATH_BYTES)
		event->name_bytes = PATH_BYTES;
}

static __always_inline bool is_removed(const struct path *path)
{
	struct dentry *dentry = BPF_CORE_READ(path, dentry);

	return dentry != BPF_CORE_READ(dentry, d_parent) && !BPF_CORE_READ(dentry, d_hash.pprev);
}

/* The parts are all empty when there is no such directory. */
static __noinline int name_directory(struct ebtop_open *event)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	const struct path *path;
	struct file *file;

	__builtin_memset(event->name, 0, EBTOP_FILE_PATH_PARTS_BYTES);
	if (event->dirfd == AT_FDCWD) {
		path = (void *)BPF_CORE_READ(task, fs) +
		       bpf_core_field_offset(struct fs_struct, pwd);
	} else {
		file = file_of(task, event->dirfd);
		if (!file)
			return 0;
		path = path_of(file);
	}
	event->directory |= EBTOP_DIRECTORY_NAMED;
	if (name_path(event->name, path, task) == 1)
		event->directory |= EBTOP_DIRECTORY_WHOLE;
	if (is_removed(path))
		event->directory |= EBTOP_DIRECTORY_REMOVED;
	return 0;
}

static __always_inline bool is_relative(__u64 filename)
{
	char first = '/';

	bpf_probe_read_user(&first, sizeof(first), (void *)filename);
	return first != '/';
}

static __always_inline void emit_open(const struct ebtop_config *now, __u64 filename, __s32 dirfd,
				      __u32 flags, __u64 began_ns, __s64 result)
{
	__u32 key = 0;
	__u64 size;
	struct ebtop_open *event = bpf_map_lookup_elem(&open_scratch, &key);

	if (!event)
		return;
	fill_head_of_current(&event->head, EBTOP_EVENT_OPEN, true);
	event->duration_ns = event->head.time_ns - began_ns;
	if (event->duration_ns < now->min_latency_ns)
		return;
	event->result = result;
	event->flags = flags;
	event->dirfd = dirfd;
	event->directory = 0;
	size = offsetof(struct ebtop_open, name);
	if (now->collect & EBTOP_COLLECT_DIRECTORIES && is_relative(filename)) {
		event->directory = EBTOP_DIRECTORY_ASKED;
		name_directory(event);
		copy_name(event, event->name + EBTOP_FILE_PATH_PARTS_BYTES, filename);
		size += EBTOP_FILE_PATH_PARTS_BYTES;
	} else {
		copy_name(event, event->name, filename);
	}
	size += event->name_bytes;
	barrier_var(size); /* or the compiler drops the bound that the verifier wants to see */
	if (size > sizeof(*event))
		return;
	event->head.size = size;
	output(event, size);
}

#endif
