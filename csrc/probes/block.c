// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the probe block: requests to disks. Its constants and the sizes of its maps depend on the machine;
 * what the kernel's tracepoints look like is asked of BTF, for a change of theirs was carried back to
 * older kernels.
 */
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "probes/probeset.h"
#include "skel/block.skel.h"

/* Requests that are under way at once, or whose notes are kept for the next time. */
#define NOTES_MAX 16384
#define NOTES_LITTLE 2048
#define OWNERS_MAX 2048
#define OWNERS_LITTLE 256
#define SHARDS_MAX 4

/* Requests under way, merged bios included, that are not issued yet. */
#define BIOS_MAX 16384
#define BIOS_LITTLE 2048
#define SHARED_MAX 1024 /* requests that several processes share */
#define DIRTIED_MAX 8192
#define DIRTIED_LITTLE 1024
#define WRITTEN_BACK_MAX 1024 /* kernel threads that write back at once */

/* Where tracepoints have their request or bio. */
struct positions {
	int known;
	__u32 request, new_bio, merged_bio;
};

/* The types of the arguments of a tracepoint, after the one that is always there; NULL: not known. */
static const struct btf_type *arguments_of(const struct btf *btf, const char *tracepoint)
{
	const struct btf_type *type;
	int id = btf__find_by_name_kind(btf, tracepoint, BTF_KIND_TYPEDEF);

	type = id > 0 ? btf__type_by_id(btf, btf__type_by_id(btf, (__u32)id)->type) : NULL;
	if (type && btf_is_ptr(type))
		type = btf__type_by_id(btf, type->type);
	return type && btf_is_func_proto(type) ? type : NULL;
}

/* Which argument of a tracepoint points to such a struct; 0 where that cannot be found out. */
static __u32 position_of(const struct btf *btf, const char *tracepoint, const char *wanted)
{
	const struct btf_type *proto = arguments_of(btf, tracepoint), *type;
	const char *name;

	for (int i = 1; proto && i < btf_vlen(proto); i++) {
		type = btf__type_by_id(btf, btf_params(proto)[i].type);
		if (!type || !btf_is_ptr(type))
			continue;
		type = btf__type_by_id(btf, type->type);
		name = type ? btf__name_by_offset(btf, type->name_off) : NULL;
		if (name && !strcmp(name, wanted))
			return (__u32)i - 1;
	}
	return 0;
}

static struct positions find_positions(void)
{
	struct positions found = { .known = 1 };
	struct btf *btf = btf__load_vmlinux_btf();

	if (!btf)
		return found;
	found.request = position_of(btf, "btf_trace_block_rq_issue", "request");
	found.new_bio = position_of(btf, "btf_trace_block_getrq", "bio");
	found.merged_bio = position_of(btf, "btf_trace_block_bio_backmerge", "bio");
	btf__free(btf);
	return found;
}

static void set_positions(struct block_bpf__rodata *constants)
{
	static struct positions positions;

	if (!positions.known)
		positions = find_positions();
	constants->cfg_request_at = positions.request;
	constants->cfg_new_bio_at = positions.new_bio;
	constants->cfg_merged_bio_at = positions.merged_bio;
}

static void size_map(struct bpf_object *object, const char *name, __u32 entries)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, name);

	if (map)
		bpf_map__set_max_entries(map, entries);
}

static void prepare(struct bpf_object *object, const struct maps *maps,
		    const struct ebtop_settings *settings)
{
	__u32 shards = maps->shards < SHARDS_MAX ? maps->shards : SHARDS_MAX;
	__u32 notes = maps->little_memory ? NOTES_LITTLE : NOTES_MAX;
	__u32 bios = maps->little_memory ? BIOS_LITTLE : BIOS_MAX;
	size_t size = 0;
	struct block_bpf__rodata *constants = object_constants(object, &size);

	(void)settings;
	size_map(object, "block_notes", notes);
	size_map(object, "block_owners", maps->little_memory ? OWNERS_LITTLE : OWNERS_MAX);
	size_map(object, "block_shards", EBTOP_DISKS_MAX * shards);
	size_map(object, "block_ends", maps->slot_count);
	size_map(object, "bio_notes", bios);
	size_map(object, "block_shares", SHARED_MAX);
	size_map(object, "block_dirtied", maps->little_memory ? DIRTIED_LITTLE : DIRTIED_MAX);
	size_map(object, "block_written_back", WRITTEN_BACK_MAX);
	if (!constants || size < sizeof(*constants))
		return;
	set_positions(constants);
	constants->cfg_shards = shards;
	constants->cfg_shared = shards < maps->cpus;
	constants->cfg_notes_kept = notes / 2;
	constants->cfg_bios_kept = bios / 2;
}

static int opened(struct probeset *set)
{
	const struct probe *probe = &set->probes[EBTOP_BLOCK];
	int ret = disks_open(&set->disks, probe->object);

	if (!ret)
		set->disks.tells_dirtiers = !probe->variant->lacks;
	return ret;
}

static void close_disks(struct probeset *set)
{
	disks_close(&set->disks);
}

static void account(struct probeset *set, struct accounts *accounts)
{
	accounts->disks = probeset_has(set, EBTOP_BLOCK) ? &set->disks : NULL;
}

static void charge(struct accounts *accounts)
{
	if (accounts->disks)
		accounts_disks(accounts);
}

static void settle(struct probeset *set, struct accounts *accounts, __u32 refresh_flags)
{
	(void)set;
	if (accounts->disks)
		disks_refresh(accounts->disks, !!(refresh_flags & EBTOP_CUMULATIVE));
}

static void reset(struct accounts *accounts)
{
	if (accounts->disks)
		disks_reset(accounts->disks);
}

static void pack(struct probeset *set, struct ebtop_snapshot *ret)
{
	ret->disks = buffer_table(&set->disks.rows);
}

static __u64 missed(const struct probeset *set)
{
	return probe_missed(&set->probes[EBTOP_BLOCK]);
}

/* Before Linux 6.5 no start is told, and before 5.16 pages get dirty, not folios. */
const struct probe_ops block_probe = {
	.name = "block",
	.elf_bytes = block_bpf__elf_bytes,
	.prepare = prepare,
	.variants = {
		{ { "complete_btf", "inode_till_btf", "inode_from_btf", "dirty_btf", "merge_btf",
		    "before_btf", "behind_btf", "start_btf", "issue_btf" } },
		{ { "complete_btf", "inode_till_btf", "inode_from_btf", "dirty_btf", "before_btf",
		    "behind_btf", "new_btf", "issue_btf" } },
		{ { "complete_btf", "inode_till_btf", "inode_from_btf", "dirty_page_btf",
		    "before_btf", "behind_btf", "new_btf", "issue_btf" } },
		{ { "complete_btf", "before_btf", "behind_btf", "new_btf", "issue_btf" },
		  "who changed the pages that are written back" },
	},
	.on_demand = 1,
	.open_rank = 10,
	.load_rank = 2,
	.needs_sched = 1,
	.no_memory = "no memory for the counts of disk requests",
	.opened = opened,
	.close = close_disks,
	.account = account,
	.charge = charge,
	.settle = settle,
	.reset = reset,
	.pack = pack,
	.missed = missed,
	.missed_as = EBTOP_LOST_DISK_REQUESTS,
};
