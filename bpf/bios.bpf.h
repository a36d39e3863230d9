/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the submitter of a bio. A bio joins its request (a new one, or one that it is merged into)
 * in the context of the thread that submits it, but any thread may issue the request. So the
 * submitter is noted by the address of the bio until the request is issued: for each merged bio,
 * and, where the kernel reports no start of requests (before Linux 6.5), for the first bio too.
 *
 * Kernel threads write on behalf of others, so their writes have no owner. Instead the thread that
 * changed the pages is noted: each time a folio becomes dirty, the current thread becomes the last
 * known writer of the inode.
 */
#ifndef EBTOP_BIOS_BPF_H
#define EBTOP_BIOS_BPF_H

#include "slots.bpf.h"

#define OP_MASK 0xff
#define OP_WRITES 1 /* bit: data goes to the device */
#define OP_FLUSH 2  /* that of the flush machinery, which serves requests that are counted */
#define OP_DISCARD 3
#define OP_PASSTHROUGH 32 /* from here on: commands of drivers and of user space */

/* With so many notes or more, a note goes when it has served. */
const volatile __u64 cfg_bios_kept = 0;

__u64 bios = 0; /* in the table */

#define BRINGER_PENDING 1    /* the bio's request was not issued yet */
#define BRINGER_WRITE_BACK 2 /* the process is who changed the pages; it is not charged */

struct bringer {
	__u64 start_ns;
	__u32 pid;  /* 0: nobody that is known */
	__u32 slot; /* of the thread; 0: none */
	__u32 flags;
	__u32 pad;
};

/* A hash: the keys are addresses of struct bio. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct bringer);
} bio_notes SEC(".maps");

struct process_name {
	__u64 start_ns;
	__u32 pid;
	__u32 pad;
};

/* A hash: the keys are addresses of struct inode. One that is pushed out is written by nobody known. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct process_name);
} block_dirtied SEC(".maps");

/* A hash: few kernel threads write back. By tid, the inode. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} block_written_back SEC(".maps");

/* enum ebtop_disk_group, or EBTOP_GROUPS when it is not counted */
static __always_inline __u32 group_of(__u32 flags)
{
	__u32 op = flags & OP_MASK;

	if (op == OP_FLUSH || op >= OP_PASSTHROUGH)
		return EBTOP_GROUPS;
	if (op == OP_DISCARD)
		return EBTOP_GROUP_DISCARDS;
	return op & OP_WRITES ? EBTOP_GROUP_WRITES : EBTOP_GROUP_READS;
}

static __always_inline bool is_kernel_thread(const struct ebtop_slot *slot)
{
	return slot->flags & EBTOP_SLOT_KERNEL;
}

/* The slot of the current thread, and its index; NULL: it has none. */
static __always_inline struct ebtop_slot *current_slot(__u32 *at)
{
	__u32 *index = slot_index((__u32)bpf_get_current_pid_tgid());

	if (!index || !*index)
		return NULL;
	if (*index == EBTOP_SLOT_LOST) {
		count_loss(EBTOP_LOST_DISK_OWNERS);
		return NULL;
	}
	*at = *index;
	return slot_at(*index);
}

static __always_inline void name_who_changed(struct bringer *by)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	__u64 *inode = bpf_map_lookup_elem(&block_written_back, &tid);
	struct process_name *name = inode ? bpf_map_lookup_elem(&block_dirtied, inode) : NULL;

	by->flags |= BRINGER_WRITE_BACK;
	if (!name)
		return;
	by->pid = name->pid;
	by->start_ns = name->start_ns;
}

/* `by` is all zeros. */
static __always_inline void name_current(struct bringer *by, bool writes)
{
	__u32 index = 0;
	struct ebtop_slot *slot = current_slot(&index);

	if (!slot)
		return;
	by->slot = index;
	if (writes && is_kernel_thread(slot)) {
		name_who_changed(by);
		return;
	}
	by->pid = slot->pid;
	by->start_ns = slot->leader_start_ns;
}

static __always_inline void keep_bio_note(__u64 bio, const struct bringer *by)
{
	struct bringer *note = bpf_map_lookup_elem(&bio_notes, &bio);
	struct bringer pending = *by;

	pending.flags |= BRINGER_PENDING;
	if (note)
		*note = pending;
	else if (bpf_map_update_elem(&bio_notes, &bio, &pending, BPF_ANY))
		count_loss(EBTOP_LOST_DISK_OWNERS);
	else
		__sync_fetch_and_add(&bios, 1);
}

static __always_inline int account_bio(const struct bio *bio)
{
	__u32 group = group_of(bio->bi_opf);
	struct bringer by = {};

	if (group == EBTOP_GROUPS)
		return 0;
	name_current(&by, group == EBTOP_GROUP_WRITES);
	keep_bio_note((__u64)bio, &by);
	return 0;
}

/* It has served: its bio's address means nothing any more. */
static __always_inline void drop_bio_note(struct bringer *note, const __u64 *bio)
{
	note->flags = 0;
	if (bios > cfg_bios_kept && !bpf_map_delete_elem(&bio_notes, bio))
		__sync_fetch_and_add(&bios, -1);
}

/* ---- who changes pages, and which inode a kernel thread writes back ---- */

static __always_inline int account_dirtied(const struct address_space *mapping)
{
	struct process_name *known, now = {};
	struct ebtop_slot *slot;
	__u32 index = 0;
	__u64 inode;

	slot = mapping ? current_slot(&index) : NULL;
	if (!slot)
		return 0;
	inode = (__u64)mapping->host;
	known = bpf_map_lookup_elem(&block_dirtied, &inode);
	if (known && known->pid == slot->pid && known->start_ns == slot->leader_start_ns)
		return 0;
	now.pid = slot->pid;
	now.start_ns = slot->leader_start_ns;
	bpf_map_update_elem(&block_dirtied, &inode, &now, BPF_ANY);
	return 0;
}

static __always_inline int account_write_back(const struct inode *inode, bool begins)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	__u64 value = (__u64)inode;

	if (!begins)
		bpf_map_delete_elem(&block_written_back, &tid);
	else if (bpf_map_update_elem(&block_written_back, &tid, &value, BPF_ANY))
		count_loss(EBTOP_LOST_DISK_OWNERS);
	return 0;
}

#endif
