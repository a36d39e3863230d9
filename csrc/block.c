// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the constants of the probe block and the sizes of its maps. What the kernel's tracepoints look
 * like is asked of BTF, for a change of theirs was carried back to older kernels.
 */
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "block.h"
#include "skel/block.skel.h"

/* Requests that are under way at once, or whose notes are kept for the next time. */
#define NOTES_MAX 16384
#define NOTES_LITTLE 2048
#define OWNERS_MAX 2048
#define OWNERS_LITTLE 256
#define SHARDS_MAX 4

/* Whether block_rq_issue and its like have the queue before the request (and one more before both). */
static int find_queue_first(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	const struct btf_type *type = NULL;
	int id = btf ? btf__find_by_name_kind(btf, "btf_trace_block_rq_issue", BTF_KIND_TYPEDEF) :
		       -1;
	int first = 0;

	if (id > 0)
		type = btf__type_by_id(btf, btf__type_by_id(btf, (__u32)id)->type);
	if (type && btf_is_ptr(type))
		type = btf__type_by_id(btf, type->type);
	if (type && btf_is_func_proto(type))
		first = btf_vlen(type) == 3;
	btf__free(btf);
	return first;
}

static int queue_comes_first(void)
{
	static int known = -1;

	if (known < 0)
		known = find_queue_first();
	return known;
}

static void size_map(struct bpf_object *object, const char *name, __u32 entries)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, name);

	if (map)
		bpf_map__set_max_entries(map, entries);
}

void block_prepare(struct bpf_object *object, const struct maps *maps,
		   const struct ebtop_settings *settings)
{
	__u32 shards = maps->shards < SHARDS_MAX ? maps->shards : SHARDS_MAX;
	__u32 notes = maps->little_memory ? NOTES_LITTLE : NOTES_MAX;
	size_t size = 0;
	struct block_bpf__rodata *constants = object_constants(object, &size);

	(void)settings;
	size_map(object, "block_notes", notes);
	size_map(object, "block_owners", maps->little_memory ? OWNERS_LITTLE : OWNERS_MAX);
	size_map(object, "block_lanes", EBTOP_DISKS_MAX * shards);
	size_map(object, "block_ends", maps->slot_count);
	if (!constants || size < sizeof(*constants))
		return;
	constants->cfg_queue_first = (__u32)queue_comes_first();
	constants->cfg_shards = shards;
	constants->cfg_shared = shards < maps->cpus;
	constants->cfg_notes_kept = notes / 2;
}
