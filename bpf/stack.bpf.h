/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the kernel stacks of waits: it takes the stack of a thread that does not run, recognizes it
 * by its hash, and reports new stacks to user space, which gives each its reason, once.
 */
#ifndef EBTOP_STACK_BPF_H
#define EBTOP_STACK_BPF_H

#include "config.bpf.h"

/* hash of the frames -> reason; size is set by who makes it */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct ebtop_stack_reason);
} wait_stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ebtop_stack_event);
} stack_scratch SEC(".maps");

struct taken_stack {
	__u64 id; /* 0: there is none */
	__u32 reason;
};

static __always_inline __u64 hash_of_frames(const struct ebtop_stack_event *event)
{
	__u64 hash = event->frames;

	for (int i = 0; i < EBTOP_STACK_FRAMES; i++) {
		if (i >= event->frames)
			break;
		hash = (hash ^ event->frame[i]) * 0x9e3779b97f4a7c15ull;
		hash ^= hash >> 29;
	}
	return hash ? hash : 1;
}

/* A full table, or a full ring buffer: it is as if the stack had not been taken. */
static __always_inline bool announce_stack(struct ebtop_stack_event *event)
{
	struct ebtop_stack_reason fresh = { .reason = EBTOP_STACK_UNRESOLVED };

	if (bpf_map_update_elem(&wait_stacks, &event->id, &fresh, BPF_NOEXIST))
		return false;
	if (!bpf_ringbuf_output(&events, event, sizeof(*event), BPF_RB_FORCE_WAKEUP))
		return true;
	bpf_map_delete_elem(&wait_stacks, &event->id);
	return false;
}

static __always_inline struct taken_stack take_stack(struct task_struct *task)
{
	__u32 key = 0;
	struct ebtop_stack_event *event = bpf_map_lookup_elem(&stack_scratch, &key);
	struct taken_stack taken;
	const struct ebtop_stack_reason *known;
	long bytes;

	taken.id = 0;
	taken.reason = EBTOP_STACK_UNRESOLVED;
	if (!event)
		return taken;
	bytes = bpf_get_task_stack(task, event->frame, sizeof(event->frame), 0);
	if (bytes <= 0)
		return taken;
	event->frames = (__u32)bytes / 8;
	event->id = hash_of_frames(event);
	known = bpf_map_lookup_elem(&wait_stacks, &event->id);
	if (known) {
		taken.id = event->id;
		taken.reason = known->reason;
		return taken;
	}
	event->head.type = EBTOP_EVENT_STACK;
	event->head.size = sizeof(*event);
	if (announce_stack(event))
		taken.id = event->id;
	return taken;
}

#endif
