// SPDX-License-Identifier: GPL-2.0

/*
 * Owns the requests that disks get: their start (or insertion into a queue, where no start is told),
 * issue to the device and completion. Per disk and per process: bytes, requests, latencies.
 *
 * A completion runs in whatever the CPU was doing, so who a request is charged to is noted when it
 * begins. Requests are structs that the block layer uses again and again: their notes stay in the
 * table, and what begins anew is told from what goes on by the kernel's own start time. Counted are
 * request-based disks alone: what is stacked on them (md, LVM, dm-multipath) would count twice.
 */
#include "latency.bpf.h"
#include "slots.bpf.h"

#define OP_MASK 0xff
#define OP_WRITES 1 /* bit: data goes to the device */
#define OP_FLUSH 2  /* that of the flush machinery, which serves requests that are counted */
#define OP_DISCARD 3
#define OP_PASSTHROUGH 32 /* from here on: commands of drivers and of user space */

#define NOTE_DONE 1
#define NOTE_PARTIAL 2 /* a part of it is completed */
#define NOTE_SEQUENTIAL 4
#define NOTE_DIRECT 8
#define NOTE_FAILED 16
#define NOTE_TIMED 32

/* Before v5.11 the queue came before the request: a54895fa was carried back to 5.10.137. */
const volatile __u32 cfg_queue_first = 0;
/* Copies of a disk's lane, a power of two; with fewer than CPUs, they are shared. */
const volatile __u32 cfg_shards = 1;
const volatile __u32 cfg_shared = 1;
/* With so many notes or more, a note goes when its request is done. */
const volatile __u64 cfg_notes_kept = 0;

__u32 epoch = 0; /* user space begins another one with each refresh: which extremes are of it */
__u64 notes = 0; /* in the table */

struct block_note {
	__u64 began_ns;
	__u64 issued_ns; /* 0: it was not */
	__u64 owner_start_ns;
	__u32 owner_pid; /* 0: nobody that is known */
	__u32 slot;      /* of the thread; 0: none */
	__u32 left;      /* bytes to be completed */
	__u32 flags;
	__u32 group; /* enum ebtop_disk_group */
	__u32 pad;
	__u64 latency_ns; /* with NOTE_TIMED */
};

/* A hash: the keys are addresses of struct request. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct block_note);
} block_notes SEC(".maps");

/* A hash: few of all processes do I/O, and a request may end after its process. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct ebtop_disk_owner);
	__type(value, struct ebtop_disk_counts);
} block_owners SEC(".maps");

/* A hash: device numbers and shards */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct ebtop_disk_lane);
} block_lanes SEC(".maps");

/* beside the slots: where the thread's last read and its last write ended */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64[2]);
} block_ends SEC(".maps");

/* zeros, which new entries of the above begin as */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ebtop_disk_lane);
} block_zero SEC(".maps");

/* enum ebtop_disk_group, or EBTOP_GROUPS when it is not counted */
static __always_inline __u32 group_of(const struct request *rq)
{
	__u32 op = rq->cmd_flags & OP_MASK;

	if (op == OP_FLUSH || op >= OP_PASSTHROUGH)
		return EBTOP_GROUPS;
	if (op == OP_DISCARD)
		return EBTOP_GROUP_DISCARDS;
	return op & OP_WRITES ? EBTOP_GROUP_WRITES : EBTOP_GROUP_READS;
}

/* A request of request-based device mapper has a clone on the disk below, which is counted. */
static __always_inline bool is_stacked(const struct gendisk *disk)
{
	const char *name = disk->disk_name;

	return name[0] == 'd' && name[1] == 'm' && name[2] == '-';
}

/* A disk without a device number (one path of a multipath device) goes by its name. */
static __always_inline __u64 number_of(const struct gendisk *disk)
{
	__u64 number = (__u64)(__u32)disk->major << 20 | (__u32)disk->first_minor;
	const __u64 *name = (const __u64 *)&disk->disk_name[0];

	return number ? number : name[0] ^ name[1] << 32;
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

	return start_ns ? note->began_ns == start_ns : note->began_ns != 0;
}

static __always_inline void begin(struct block_note *note, const struct request *rq)
{
	note->began_ns = start_of(rq);
	note->issued_ns = 0;
	note->owner_start_ns = 0;
	note->owner_pid = 0;
	note->slot = 0;
	note->left = 0;
	note->flags = 0;
	note->group = 0;
}

static __always_inline void charge_current(struct block_note *note)
{
	__u32 *index = slot_index((__u32)bpf_get_current_pid_tgid());
	struct ebtop_slot *slot;

	if (!index || !*index)
		return;
	if (*index == EBTOP_SLOT_LOST) {
		count_loss(EBTOP_LOST_DISK_OWNERS);
		return;
	}
	slot = slot_at(*index);
	if (!slot)
		return;
	note->slot = *index;
	note->owner_pid = slot->pid;
	note->owner_start_ns = slot->leader_start_ns;
}

/* ---- counting ---- */

/* What a completion adds. Whether it does is in the note's flags, for the verifier walks both ways of
 * every condition, and forgets what it knew only of what is in a map. */
struct tally {
	__u64 bytes, now_ns, bucket, whole_bucket;
	__u32 group;
};

static __always_inline void add64(__u64 *sum, __u64 amount, bool shared)
{
	if (shared)
		__sync_fetch_and_add(sum, amount);
	else
		*sum += amount;
}

static __always_inline void add_bucket(__u32 *buckets, __u64 bucket, bool shared)
{
	barrier_var(bucket); /* or the compiler drops the bound that the verifier wants to see */
	if (bucket >= EBTOP_FINE_BUCKETS)
		return;
	if (shared)
		__sync_fetch_and_add(&buckets[bucket], 1);
	else
		buckets[bucket]++;
}

/* Two CPUs may race for an extreme: one of two close ones is kept. */
static __always_inline void widen(struct ebtop_disk_counts *counts, __u64 ns)
{
	__u32 now = epoch, which = now & 1;

	if (counts->epochs[which] != now) {
		counts->min_ns[which] = counts->max_ns[which] = 0;
		counts->epochs[which] = now;
	}
	if (!counts->min_ns[which] || ns + 1 < counts->min_ns[which])
		counts->min_ns[which] = ns + 1;
	if (ns > counts->max_ns[which])
		counts->max_ns[which] = ns;
}

static __always_inline void count(struct ebtop_disk_counts *counts, const struct tally *tally,
				  const struct block_note *note, bool shared)
{
	__u32 group = tally->group & 3;

	add64(&counts->bytes[group], tally->bytes, shared);
	counts->last_ns = tally->now_ns;
	if (note->flags & NOTE_DIRECT)
		add64(&counts->direct_bytes, tally->bytes, shared);
	if (!(note->flags & NOTE_DONE))
		return;
	add64(&counts->requests[group], 1, shared);
	if (note->flags & NOTE_FAILED)
		add64(&counts->errors, 1, shared);
	if (note->flags & NOTE_SEQUENTIAL)
		add64(&counts->sequential, 1, shared);
	if (!(note->flags & NOTE_TIMED))
		return;
	/* from the map: of a constant 0 the compiler makes an operation that Linux 5.10 does not have */
	add64(&counts->latency_ns, note->latency_ns, shared);
	add_bucket(counts->buckets, tally->bucket, shared);
	widen(counts, note->latency_ns);
}

static __always_inline void count_for_owner(const struct block_note *note,
					    const struct tally *tally)
{
	struct ebtop_disk_owner owner = { note->owner_start_ns, note->owner_pid, 0 };
	struct ebtop_disk_counts *counts = bpf_map_lookup_elem(&block_owners, &owner);
	__u32 zero = 0;
	void *zeros;

	if (!counts) {
		zeros = bpf_map_lookup_elem(&block_zero, &zero);
		if (zeros)
			bpf_map_update_elem(&block_owners, &owner, zeros, BPF_NOEXIST);
		counts = bpf_map_lookup_elem(&block_owners, &owner);
	}
	if (counts)
		count(counts, tally, note, true);
	else
		count_loss(EBTOP_LOST_DISK_REQUESTS);
}

static __always_inline struct ebtop_disk_lane *make_lane(__u64 key, const struct gendisk *disk)
{
	struct ebtop_disk_lane *lane;
	__u32 zero = 0;
	void *zeros = bpf_map_lookup_elem(&block_zero, &zero);

	if (zeros)
		bpf_map_update_elem(&block_lanes, &key, zeros, BPF_NOEXIST);
	lane = bpf_map_lookup_elem(&block_lanes, &key);
	if (!lane)
		return NULL;
	for (int i = 0; i < EBTOP_DISK_NAME_BYTES / 8; i++)
		((__u64 *)lane->name)[i] = *((const __u64 *)&disk->disk_name[0] + i);
	return lane;
}

static __always_inline void count_for_disk(const struct gendisk *disk,
					   const struct block_note *note, const struct tally *tally)
{
	__u64 key = number_of(disk) << 8 | (bpf_get_smp_processor_id() & (cfg_shards - 1));
	struct ebtop_disk_lane *lane = bpf_map_lookup_elem(&block_lanes, &key);
	bool shared = cfg_shared;

	if (!lane)
		lane = make_lane(key, disk);
	if (!lane) {
		count_loss(EBTOP_LOST_DISK_REQUESTS);
		return;
	}
	count(&lane->counts, tally, note, shared);
	if (note->flags & NOTE_TIMED)
		add_bucket(lane->whole, tally->whole_bucket, shared);
}

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
	count_for_owner(note, &tally);
	if (disk && !is_stacked(disk))
		count_for_disk(disk, note, &tally);
}

static __always_inline bool is_untold(const struct block_note *note)
{
	return note->issued_ns && !(note->flags & NOTE_DONE);
}

static __always_inline void begin_anew(struct block_note *note, const struct request *rq)
{
	if (is_untold(note))
		count_untold(note, rq);
	begin(note, rq);
}

/* ---- start and issue ---- */

/* In the submitter's context, once for each use of the request. */
static __always_inline int account_start(struct request *rq)
{
	struct block_note *note;

	if (group_of(rq) == EBTOP_GROUPS)
		return 0;
	note = note_of(rq);
	if (!note)
		return 0;
	begin_anew(note, rq);
	charge_current(note);
	return 0;
}

/* The same where no start is told; what was put back into its queue is inserted again. */
static __always_inline int account_insert(struct request *rq)
{
	struct block_note *note;

	if (group_of(rq) == EBTOP_GROUPS)
		return 0;
	note = note_of(rq);
	if (!note || (is_of(note, rq) && !(note->flags & NOTE_DONE)))
		return 0;
	begin_anew(note, rq);
	charge_current(note);
	return 0;
}

/* By thread and direction: a copy reads in order and writes in order. */
static __always_inline void follow(struct block_note *note, const struct request *rq, __u64 disk,
				   __u32 group)
{
	__u64 at = rq->__sector ^ disk << 40;
	__u64 *ends = bpf_map_lookup_elem(&block_ends, &note->slot);

	if (!ends || !note->slot || group > EBTOP_GROUP_WRITES)
		return;
	if (ends[group & 1] == at)
		note->flags |= NOTE_SEQUENTIAL;
	ends[group & 1] = (rq->__sector + (rq->__data_len >> 9)) ^ disk << 40;
}

static __always_inline int account_issue(struct request *rq)
{
	__u32 group = group_of(rq);
	struct gendisk *disk;
	struct block_note *note;
	__u64 now_ns;

	if (group == EBTOP_GROUPS)
		return 0;
	note = note_of(rq);
	if (!note)
		return 0;
	now_ns = bpf_ktime_get_ns();
	if (!is_of(note, rq) || note->flags & NOTE_DONE) {
		begin_anew(note, rq); /* it was in no queue */
		charge_current(note);
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

/* ---- completion ---- */

/* Bytes as each part of it is completed, the rest with the last part: so does /proc/diskstats. */
static __always_inline int account_complete(struct request *rq, bool failed, __u32 bytes)
{
	struct tally tally = { .bytes = bytes, .group = group_of(rq) };
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
		begin(note, rq); /* it began when nobody watched, or was but a flush */
	}
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
	}
	count_for_owner(note, &tally);
	count_for_disk(disk, note, &tally);
	if (notes > cfg_notes_kept && note->flags & NOTE_DONE &&
	    !bpf_map_delete_elem(&block_notes, &key))
		__sync_fetch_and_add(&notes, -1);
	return 0;
}

static __always_inline struct request *request_in(__u64 *ctx)
{
	return cfg_queue_first ? (struct request *)ctx[1] : (struct request *)ctx[0];
}

SEC("?tp_btf/block_io_start") int start_btf(__u64 *ctx)
{
	return account_start((struct request *)ctx[0]);
}

SEC("?tp_btf/block_rq_insert") int insert_btf(__u64 *ctx)
{
	return account_insert(request_in(ctx));
}

SEC("?tp_btf/block_rq_issue") int issue_btf(__u64 *ctx)
{
	return account_issue(request_in(ctx));
}

SEC("?tp_btf/block_rq_complete") int complete_btf(__u64 *ctx)
{
	return account_complete((struct request *)ctx[0], (int)ctx[1] != 0, (__u32)ctx[2]);
}

char _license[] SEC("license") = "GPL";
