/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the files of the one process that somebody looks at: bytes and calls by file, and what each is
 * called. Others pay for it with one comparison a read or write.
 */
#ifndef EBTOP_LOOKED_BPF_H
#define EBTOP_LOOKED_BPF_H

#include "config.bpf.h"

/* size is set by who makes it */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct ebtop_file_key);
	__type(value, struct ebtop_file_count);
} file_counts SEC(".maps");

/* An entry is too large for the stack: it begins as this and is filled in where it lies. */
const volatile struct ebtop_file_count cfg_no_file = {};

/* Up to the root that the process sees; a mount's root has the name of the place it is mounted on. */
static __noinline int name_file(struct ebtop_file_count *count, struct file *file)
{
	const __u64 offset = bpf_core_field_offset(struct mount, mnt);
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry), *parent;
	struct vfsmount *inner = BPF_CORE_READ(file, f_path.mnt);
	struct mount *mount = (void *)inner - offset, *above;
	struct task_struct *task = (void *)bpf_get_current_task();
	struct dentry *root = BPF_CORE_READ(task, fs, root.dentry);
	struct vfsmount *root_mount = BPF_CORE_READ(task, fs, root.mnt);

	for (int i = 0; i < EBTOP_FILE_PARTS; i++) {
		if (dentry == root && (void *)mount + offset == root_mount) {
			count->whole = 1;
			break;
		}
		parent = BPF_CORE_READ(dentry, d_parent);
		if (dentry == BPF_CORE_READ(mount, mnt.mnt_root) || dentry == parent) {
			above = BPF_CORE_READ(mount, mnt_parent);
			if (!above || above == mount) {
				count->whole = 1;
				break;
			}
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			mount = above;
			continue;
		}
		bpf_probe_read_kernel_str(count->parts + i * EBTOP_FILE_PART_BYTES,
					  EBTOP_FILE_PART_BYTES,
					  BPF_CORE_READ(dentry, d_name.name));
		dentry = parent;
	}
	return 0;
}

static __noinline int count_file(struct file *file, __u64 bytes, bool written)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct ebtop_file_key key = {
		.inode = BPF_CORE_READ(inode, i_ino),
		.device = BPF_CORE_READ(inode, i_sb, s_dev),
		.generation = BPF_CORE_READ(inode, i_generation),
	};
	struct ebtop_file_count *count = bpf_map_lookup_elem(&file_counts, &key);

	if (!count) {
		bpf_map_update_elem(&file_counts, &key, (void *)&cfg_no_file, BPF_NOEXIST);
		count = bpf_map_lookup_elem(&file_counts, &key);
		if (!count)
			return 0;
		name_file(count, file);
	}
	__sync_fetch_and_add(written ? &count->write_bytes : &count->read_bytes, bytes);
	__sync_fetch_and_add(written ? &count->writes : &count->reads, 1);
	return 0;
}

/* Who comes here has passed the filter. */
static __always_inline void count_looked_at(struct file *file, __u64 bytes, bool written)
{
	const struct ebtop_config *now = config_for(EBTOP_COLLECT_FILES);

	if (now && now->looked_at_pid &&
	    (now->looked_at_pid == EBTOP_ALL_WATCHED ||
	     now->looked_at_pid == bpf_get_current_pid_tgid() >> 32))
		count_file(file, bytes, written);
}

#endif
