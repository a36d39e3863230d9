/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the record of one file open: what is in it, and when it is given up. Who notices the open,
 * a function's return or a system call's, is the probe's concern.
 */
#ifndef EBTOP_OPEN_BPF_H
#define EBTOP_OPEN_BPF_H

#include "config.bpf.h"

#define PATH_BYTES 4095 /* the longest path that the kernel takes, without its NUL */

/* Where a record is put together: it is as long as its name, and the stack is 512 bytes. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ebtop_open);
} open_scratch SEC(".maps");

/* Read on return: the kernel has just read it, so its page is present. */
static __always_inline void copy_name(struct ebtop_open *event, __u64 filename)
{
	long bytes = bpf_probe_read_user_str(event->name, sizeof(event->name), (void *)filename);

	event->name_unread = bytes < 0;
	event->name_cut = bytes > PATH_BYTES + 1;
	event->name_bytes = bytes > 0 ? bytes - 1 : 0;
	if (event->name_bytes > PATH_BYTES)
		event->name_bytes = PATH_BYTES;
}

static __always_inline void emit_open(const struct ebtop_config *now, __u64 filename, __u32 flags,
				      __u64 began_ns, __s64 result)
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
	copy_name(event, filename);
	size = offsetof(struct ebtop_open, name) + event->name_bytes;
	barrier_var(size); /* or the compiler drops the bound that the verifier wants to see */
	if (size > sizeof(*event))
		return;
	event->head.size = size;
	output(event, size);
}

#endif
