// SPDX-License-Identifier: GPL-2.0

/*
 * Owns requests to disks: when they are issued to the device, and when they complete. It counts
 * bytes, requests and latencies, by disk and by process.
 *
 * A completion interrupts an unrelated thread, so everything that it needs is noted earlier. The
 * submitter of each bio is noted when the bio joins its request (bios.bpf.h), and moves into the
 * note of the request when that is issued. The block layer reuses the structs of requests: their
 * notes stay in the table, and the kernel's own start time tells a new request from the one before.
 * Only request-based disks are counted: devices stacked on them (md, LVM, dm-multipath) would count
 * twice.
 */
#include "diskcounts.bpf.h"

/* Where a tracepoint has its request, or its bio: before v5.11 the queue came first, and others. */
const volatile __u32 cfg_request_at = 0;
const volatile __u32 cfg_new_bio_at = 0;
const volatile __u32 cfg_merged_bio_at = 0;
/* With so many notes or more, a note goes when its request is done. */
const volatile __u64 cfg_notes_kept = 0;

__u64 notes = 0; /* in the table */

/* A hash: the keys are addresses of struct request. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct block_note);
} block_notes SEC(".maps");

/* beside the slots: where the thread's last read and its last write ended */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64[2]);
} block_ends SEC(".maps");

/* A request of request-based device mapper has a clone on the disk below, which is counted. */
static __always_inline bool is_stacked(const struct gendisk *disk)
{
	const char *name = disk->disk_name;

	return name[0] == 'd' && name[1] == 'm' && name[2] == '-';
}

/* ---- notes ---- */

static __always_inline struct block_note *note_of(const struct request *rq)
{
	__u64 key = (__u64)rq;
	struct block_note *note = bpf_map_lookup_elem(&block_notes, &key), fresh = {};

	if (note)
		return note;
	if (bpf_map_update_elem(&block_notes, &key, &fresh, BPF_NOEXIST)) {
		count_loss(EBTOP_LOST_DISK_REQUESTS);
		return NULL;
	}
	__sync_fetch_and_add(&notes, 1);
	return bpf_map_lookup_elem(&block_notes, &key);
}

/* The kernel's own time of when it began to use the request; it has none where it keeps no account. */
static __always_inline __u64 start_of(const struct request *rq)
{
	__u64 start_ns = rq->start_time_ns;

	return start_ns ? start_ns : bpf_ktime_get_ns();
}

/* Whether the note is of what the request is used for now. */
static __always_inline bool is_of(const struct block_note *note, const struct request *rq)
{
	__u64 start_ns = rq->start_time_ns;

	if (note->flags & NOTE_BEGUN)
		return true;
	return start_ns ? note->began_ns == start_ns : note->began_ns != 0;
}

static __always_inline void begin(struct block_note *note, const struct request *rq, __u64 start_ns)
{
	const struct bringer nobody = {};

	note->began_ns = start_ns;
	note->issued_ns = 0;
	note->by = nobody;
	note->left = 0;
	note->flags = 0;
	note->group = 0;
	note->shares = 0;
	note->request = (__u64)rq;
}

static __always_inline bool is_same(const struct bringer *one, const struct bringer *other)
{
	return one->pid == other->pid && one->start_ns == other->start_ns &&
	       !((one->flags ^ other->flags) & BRINGER_WRITE_BACK);
}

static __always_inline struct block_shares *shares_of(__u64 request)
{
	struct block_shares *shares = bpf_map_lookup_elem(&block_shares, &request), none = {};

	if (!shares && !bpf_map_update_elem(&block_shares, &request, &none, BPF_ANY))
		shares = bpf_map_lookup_elem(&block_shares, &request);
	return shares;
}

static __always_inline void add_share(__u64 request, struct block_note *note,
				      const struct bringer *by)
{
	struct block_shares *shares = shares_of(request);

	for (int i = 0; shares && i < SHARES_MAX; i++) {
		struct block_share *share = &shares->of[i];

		if (i < note->shares && !is_same(&share->by, by))
			continue;
		if (i >= note->shares) {
			share->by = *by;
			share->bytes = 0;
			note->shares = i + 1;
		}
		share->bytes += note->bio_bytes;
		return;
	}
	count_loss(EBTOP_LOST_DISK_OWNERS);
}

/* Who brought the bio that the request's note names. A function of its own for the verifier, which would
 * walk all ways through it for each bio anew; to it, arguments that are pointers would be unknown. */
__noinline int adopt_bio(__u64 request)
{
	struct block_note *note = bpf_map_lookup_elem(&block_notes, &request);
	struct bringer *by = note ? bpf_map_lookup_elem(&bio_notes, &note->bio) : NULL;

	if (!by || !(by->flags & BRINGER_PENDING))
		return 0;
	if (!is_same(by, &note->by))
		add_share(request, note, by);
	drop_bio_note(by, &note->bio);
	return 0;
}

static __always_inline void adopt_merged(struct block_note *note, const struct request *rq)
{
	const struct bio *bio = rq->bio;

	if (bio == rq->biotail)
		return;
	for (int i = 0; i < MERGED_MAX && bio; i++, bio = bio->bi_next) {
		note->bio = (__u64)bio;
		note->bio_bytes = bio->bi_iter.bi_size;
		adopt_bio(note->request);
	}
}

/* Who brought its first bio; who issues it where that was not noted, for nobody watched. */
static __always_inline void adopt(struct block_note *note, const struct request *rq)
{
	__u64 bio = (__u64)rq->bio;
	struct bringer *by = bpf_map_lookup_elem(&bio_notes, &bio);

	if (!by || !(by->flags & BRINGER_PENDING)) {
		name_current(&note->by, false);
		return;
	}
	note->by = *by;
	drop_bio_note(by, &bio);
	adopt_merged(note, rq);
}

/* ---- completion ---- */

static __always_inline bool is_direct(const struct request *rq)
{
	__u32 both = 1u << bpf_core_enum_value(enum req_flag_bits, __REQ_SYNC) |
		     1u << bpf_core_enum_value(enum req_flag_bits, __REQ_IDLE);

	return (rq->cmd_flags & both) == both;
}

static __always_inline void tell_times(struct tally *tally, struct block_note *note)
{
	__u64 whole_ns = tally->now_ns - note->began_ns;

	if (!note->issued_ns || tally->group > EBTOP_GROUP_WRITES)
		return;
	note->latency_ns = tally->now_ns - note->issued_ns;
	if ((__s64)note->latency_ns < 0 || (__s64)whole_ns < 0) {
		count_loss(EBTOP_LOST_CLOCK_ORDER);
		return;
	}
	note->flags |= NOTE_TIMED;
	tally->bucket = fine_bucket(note->latency_ns);
	tally->whole_bucket = fine_bucket(whole_ns);
}

/*
 * The kernel uses a request anew whose completion no program was told of: some kernels run none while
 * certain tasks are current. It is counted now, without a latency.
 */
static __always_inline void count_untold(struct block_note *note, const struct request *rq)
{
	struct tally tally = { .bytes = note->left, .group = note->group };
	struct gendisk *disk = request_disk(rq);

	note->flags |= NOTE_DONE;
	tally.now_ns = bpf_ktime_get_ns();
	if (disk && !is_stacked(disk))
		count_for_disk(disk, note, &tally);
	if (note->shares)
		tally.bytes -= count_shares(note, note->request, &tally);
	count_for_owner(note, &tally);
}

static __always_inline bool is_untold(const struct block_note *note)
{
	return note->issued_ns && !(note->flags & NOTE_DONE);
}

static __always_inline void begin_anew(struct block_note *note, const struct request *rq,
				       __u64 start_ns)
{
	if (is_untold(note))
		count_untold(note, rq);
	begin(note, rq, start_ns);
}

/* Its owner's name and user are found by whoever reads the event. */
static __always_inline void tell_slow(const struct gendisk *disk, const struct block_note *note,
				      const struct tally *tally)
{
	const struct ebtop_config *now = config_for(EBTOP_COLLECT_SLOW_DISKS);
	struct ebtop_slow *event;

	if (!now || note->latency_ns < now->slow_ns || is_excluded(now, note->by.pid) ||
	    !is_watched(now, note->by.pid, note->by.slot ? slot_at(note->by.slot) : NULL))
		return;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		count_loss(EBTOP_LOST_RING_BUFFER);
		return;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->head.time_ns = tally->now_ns;
	event->head.type = EBTOP_EVENT_SLOW;
	event->head.size = sizeof(*event);
	event->head.pid = event->head.tid = note->by.pid;
	event->data.kind = EBTOP_SLOW_DISK;
	event->data.duration_ns = note->latency_ns;
	event->data.owner_ns = note->by.start_ns;
	event->data.bytes = tally->bytes;
	event->data.evidence = tally->group;
	event->data.about = EBTOP_ABOUT_DISK;
	for (int i = 0; i < 4; i++)
		((__u64 *)event->data.parts)[i] = *((const __u64 *)&disk->disk_name[0] + i);
	submit(event);
}

/* Bytes as each part of it is completed, the rest with the last part: so does /proc/diskstats. */
static __always_inline int account_complete(struct request *rq, bool failed, __u32 bytes)
{
	struct tally tally = { .bytes = bytes, .group = group_of(rq->cmd_flags) };
	struct gendisk *disk = request_disk(rq);
	struct block_note *note;
	__u64 key = (__u64)rq;

	if (tally.group == EBTOP_GROUPS || !disk || is_stacked(disk))
		return 0;
	note = note_of(rq);
	if (!note)
		return 0;
	tally.now_ns = bpf_ktime_get_ns();
	if (is_of(note, rq)) {
		if (note->flags & NOTE_DONE)
			return 0; /* the flush that followed its data is done too */
	} else if (is_untold(note)) {
		/* of two of which little is known, the one with an owner is counted */
		count_loss(EBTOP_LOST_DISK_REQUESTS);
		tally.group = note->group;
		tally.bytes = bytes = note->left;
		note->issued_ns = 0;
	} else {
		begin(note, rq, start_of(rq)); /* an empty flush, which is not issued */
		adopt(note, rq);
	}
	note->flags &= ~NOTE_BEGUN;
	if (tally.group == EBTOP_GROUP_WRITES && is_direct(rq))
		note->flags |= NOTE_DIRECT;
	if (failed)
		note->flags |= NOTE_FAILED;
	if (bytes < note->left) {
		note->left -= bytes;
		note->flags |= NOTE_PARTIAL;
	} else {
		note->flags |= NOTE_DONE;
		tell_times(&tally, note);
		if (note->flags & NOTE_TIMED)
			tell_slow(disk, note, &tally);
	}
	count_for_disk(disk, note, &tally);
	if (note->shares)
		tally.bytes -= count_shares(note, key, &tally);
	count_for_owner(note, &tally);
	if (notes > cfg_notes_kept && note->flags & NOTE_DONE &&
	    !bpf_map_delete_elem(&block_notes, &key))
		__sync_fetch_and_add(&notes, -1);
	return 0;
}

/* ---- start and issue ---- */

/*
 * In the submitter's context, once for each use of the request. The kernel may set its start time only
 * after this (6.10 and later do): it is read as the request is issued.
 */
static __always_inline int account_start(struct request *rq)
{
	__u32 group = group_of(rq->cmd_flags);
	struct block_note *note;

	if (group == EBTOP_GROUPS)
		return 0;
	note = note_of(rq);
	if (!note)
		return 0;
	begin_anew(note, rq, 0);
	name_current(&note->by, group == EBTOP_GROUP_WRITES);
	note->flags = NOTE_BEGUN;
	return 0;
}

/* The request is merged into another, and its bios go on with that one. */
static __always_inline int account_merge(struct request *rq)
{
	__u64 key = (__u64)rq, bio = (__u64)rq->bio;
	const struct block_note *note = bpf_map_lookup_elem(&block_notes, &key);
	const struct bringer *by = bpf_map_lookup_elem(&bio_notes, &bio);

	if (note && note->flags & NOTE_BEGUN && !(by && by->flags & BRINGER_PENDING))
		keep_bio_note(bio, &note->by);
	return 0;
}

/* By thread and direction: a copy reads in order and writes in order. */
static __always_inline void follow(struct block_note *note, const struct request *rq, __u64 disk,
				   __u32 group)
{
	__u64 at = rq->__sector ^ disk << 40;
	__u64 *ends = bpf_map_lookup_elem(&block_ends, &note->by.slot);

	if (!ends || !note->by.slot || group > EBTOP_GROUP_WRITES)
		return;
	if (ends[group & 1] == at)
		note->flags |= NOTE_SEQUENTIAL;
	ends[group & 1] = (rq->__sector + (rq->__data_len >> 9)) ^ disk << 40;
}

static __always_inline int account_issue(struct request *rq)
{
	__u32 group = group_of(rq->cmd_flags);
	struct gendisk *disk;
	struct block_note *note;
	__u64 now_ns;

	if (group == EBTOP_GROUPS)
		return 0;
	note = note_of(rq);
	if (!note)
		return 0;
	now_ns = bpf_ktime_get_ns();
	if (note->flags & NOTE_BEGUN) {
		note->began_ns = start_of(rq);
		note->flags = 0;
		adopt_merged(note, rq);
	} else if (!is_of(note, rq) || note->flags & NOTE_DONE) {
		begin_anew(note, rq, start_of(rq));
		adopt(note, rq);
	}

	note->group = group;
	note->left = rq->__data_len;
	/* the rest of one that was completed in part is still the same request */
	if (note->flags & NOTE_PARTIAL)
		return 0;
	disk = request_disk(rq);
	if (disk && !note->issued_ns)
		follow(note, rq, number_of(disk), group);
	note->issued_ns = now_ns;
	return 0;
}

/* In assembly: the compiler would move the context's pointer, and then the verifier refuses to load. */
static __always_inline void *argument(__u64 *ctx, __u32 at)
{
	void *value;

	if (at == 0)
		asm volatile("%0 = *(u64 *)(%1 + 0)" : "=r"(value) : "r"(ctx));
	else if (at == 1)
		asm volatile("%0 = *(u64 *)(%1 + 8)" : "=r"(value) : "r"(ctx));
	else
		asm volatile("%0 = *(u64 *)(%1 + 16)" : "=r"(value) : "r"(ctx));
	return value;
}

SEC("?tp_btf/block_io_start") int start_btf(__u64 *ctx)
{
	return account_start((struct request *)ctx[0]);
}

SEC("?tp_btf/block_rq_merge") int merge_btf(__u64 *ctx)
{
	return account_merge((struct request *)ctx[0]);
}

SEC("?tp_btf/block_getrq") int new_btf(__u64 *ctx)
{
	return account_bio(argument(ctx, cfg_new_bio_at));
}

SEC("?tp_btf/block_bio_backmerge") int behind_btf(__u64 *ctx)
{
	return account_bio(argument(ctx, cfg_merged_bio_at));
}

SEC("?tp_btf/block_bio_frontmerge") int before_btf(__u64 *ctx)
{
	return account_bio(argument(ctx, cfg_merged_bio_at));
}

SEC("?tp_btf/block_rq_issue") int issue_btf(__u64 *ctx)
{
	return account_issue(argument(ctx, cfg_request_at));
}

SEC("?tp_btf/block_rq_complete") int complete_btf(__u64 *ctx)
{
	return account_complete((struct request *)ctx[0], (int)ctx[1] != 0, (__u32)ctx[2]);
}

/* Linux kernel commit 203a31516616 "mm/writeback: Add __folio_mark_dirty()" (in v5.16) renamed it. */
SEC("?tp_btf/writeback_dirty_folio") int dirty_btf(__u64 *ctx)
{
	return account_dirtied((const struct address_space *)ctx[1]);
}

SEC("?tp_btf/writeback_dirty_page") int dirty_page_btf(__u64 *ctx)
{
	return account_dirtied((const struct address_space *)ctx[1]);
}

SEC("?tp_btf/writeback_single_inode_start") int inode_from_btf(__u64 *ctx)
{
	return account_write_back((const struct inode *)ctx[0], true);
}

SEC("?tp_btf/writeback_single_inode") int inode_till_btf(__u64 *ctx)
{
	return account_write_back((const struct inode *)ctx[0], false);
}

char _license[] SEC("license") = "GPL";
