/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the files of the inspected process: bytes and calls by file. Other processes pay for one
 * comparison at each read or write.
 */
#ifndef EBTOP_INSPECT_BPF_H
#define EBTOP_INSPECT_BPF_H

#include "config.bpf.h"
#include "path.bpf.h"

/* size is set by who makes it */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct ebtop_file_key);
	__type(value, struct ebtop_file_count);
} file_counts SEC(".maps");

/* An entry is too large for the stack: it begins as this and is filled in where it lies. */
const volatile struct ebtop_file_count cfg_no_file = {};

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
		count->whole = name_file(count->parts, file, (void *)bpf_get_current_task());
	}
	__sync_fetch_and_add(written ? &count->write_bytes : &count->read_bytes, bytes);
	__sync_fetch_and_add(written ? &count->writes : &count->reads, 1);
	return 0;
}

/* Who comes here has passed the filter. */
static __always_inline void count_inspected(struct file *file, __u64 bytes, bool written)
{
	const struct ebtop_config *now = config_for(EBTOP_COLLECT_FILES);

	if (now && now->inspected_pid &&
	    (now->inspected_pid == EBTOP_ALL_WATCHED ||
	     now->inspected_pid == bpf_get_current_pid_tgid() >> 32))
		count_file(file, bytes, written);
}

#endif
