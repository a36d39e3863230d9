/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the path of an open file or directory: the names between it and the root that the process
 * sees. User space joins them.
 */
#ifndef EBTOP_PATH_BPF_H
#define EBTOP_PATH_BPF_H

#include "config.bpf.h"

/*
 * Up to the root that the process sees, then 1, or EBTOP_FILE_NAME_ALONE; a mount's root has the name of the place it is mounted
 * on. `parts` has room for EBTOP_FILE_PARTS, which are empty.
 */
static __noinline int name_path(char *parts, const struct path *path, struct task_struct *task)
{
	const __u64 offset = bpf_core_field_offset(struct mount, mnt);
	struct dentry *dentry = BPF_CORE_READ(path, dentry), *parent, *top;
	struct vfsmount *inner = BPF_CORE_READ(path, mnt);
	struct mount *mount = (void *)inner - offset, *above;
	struct dentry *root = BPF_CORE_READ(task, fs, root.dentry);
	struct vfsmount *root_mount = BPF_CORE_READ(task, fs, root.mnt);

	for (int i = 0; i < EBTOP_FILE_PARTS; i++) {
		if (dentry == root && (void *)mount + offset == root_mount)
			return 1;
		parent = BPF_CORE_READ(dentry, d_parent);
		top = BPF_CORE_READ(mount, mnt.mnt_root);
		if (dentry == parent && dentry != top) {
			/* in no folder: a memfd, shared memory */
			bpf_probe_read_kernel_str(parts + i * EBTOP_FILE_PART_BYTES,
						  EBTOP_FILE_PART_BYTES,
						  BPF_CORE_READ(dentry, d_name.name));
			return EBTOP_FILE_NAME_ALONE;
		}
		if (dentry == top || dentry == parent) {
			above = BPF_CORE_READ(mount, mnt_parent);
			if (!above || above == mount)
				return 1;
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			mount = above;
			continue;
		}
		bpf_probe_read_kernel_str(parts + i * EBTOP_FILE_PART_BYTES, EBTOP_FILE_PART_BYTES,
					  BPF_CORE_READ(dentry, d_name.name));
		dentry = parent;
	}
	return 0;
}

static __always_inline const struct path *path_of(struct file *file)
{
	return (void *)file + bpf_core_field_offset(struct file, f_path);
}

static __always_inline int name_file(char *parts, struct file *file, struct task_struct *task)
{
	return name_path(parts, path_of(file), task);
}

/* By helper, of a task that need not be the current one; NULL when there is none. */
static __always_inline struct file *file_of(struct task_struct *task, __u32 descriptor)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **all = BPF_CORE_READ(table, fd), *file = NULL;

	if (descriptor < BPF_CORE_READ(table, max_fds))
		bpf_probe_read_kernel(&file, sizeof(file), all + descriptor);
	return file;
}

#endif
