// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the probe vfs: bytes read from and written to files, and which of them came from the page
 * cache.
 */
#include <errno.h>
#include <string.h>

#include "probes/probeset.h"
#include "skel/vfs.skel.h"

#define ESTIMATED "mapped files; cache_hit_ratio is estimated"

static void prepare(struct bpf_object *object, const struct maps *maps,
		    const struct ebtop_settings *settings)
{
	size_t size = 0;
	struct vfs_bpf__rodata *constants = object_constants(object, &size);

	(void)maps;
	if (constants && size >= sizeof(*constants))
		memcpy((void *)constants->cfg_kinds, settings->syscall_kinds,
		       sizeof(constants->cfg_kinds));
}

static int has_place(struct probeset *set)
{
	return set->files.on ? 0 : -ENOMEM;
}

/* The state of the probe is then that of the programs which see the calls. */
static void join(struct probeset *set, const struct probe *through)
{
	struct probe *probe = &set->probes[EBTOP_VFS];

	if (through->state == EBTOP_PROBE_ON && !through->variant->lacks) {
		probe_join_hooks(probe, through);
		return;
	}
	probeset_close_one(set, EBTOP_VFS);
	probe_refuse(probe, EBTOP_PROBE_UNSUPPORTED,
		     "neither can functions be hooked here nor descriptors looked up");
}

static __u32 collects(const struct probeset *set, int through_carrier)
{
	(void)set;
	return EBTOP_COLLECT_FILES | (through_carrier ? EBTOP_COLLECT_FILES_BY_SYSCALLS : 0);
}

static void account(struct probeset *set, struct accounts *accounts)
{
	set->files.bytes = probeset_has(set, EBTOP_VFS);
	if (set->files.bytes)
		places_account_files(set, accounts, KNOWN(EBTOP_KNOWN_FILES));
}

const struct probe_ops vfs_probe = {
	.name = "vfs",
	.elf_bytes = vfs_bpf__elf_bytes,
	.prepare = prepare,
	.variants = {
		/* what io_uring completes can be told since 5.19 */
		{ { "added_btf", "ring_btf", "copy_fexit", "splice_fexit", "sendfile_fexit",
		    "readv_fexit", "writev_fexit", "write_fexit", "read_fexit" },
		  ESTIMATED },
		{ { "added_btf", "copy_fexit", "splice_fexit", "sendfile_fexit", "readv_fexit",
		    "writev_fexit", "write_fexit", "read_fexit" },
		  "io_uring, " ESTIMATED },
		{ { "added_btf", "splice_fexit", "readv_fexit", "writev_fexit", "write_fexit",
		    "read_fexit" },
		  "io_uring, sendfile, copy_file_range, " ESTIMATED },
		{ { "added_call_btf", "ring_btf" }, ESTIMATED, .through_carrier = 1 },
		{ { "added_call_btf" }, "io_uring, " ESTIMATED, .through_carrier = 1 },
	},
	.on_demand = 1,
	.open_rank = 5,
	.load_rank = 8,
	.needs_sched = 1,
	.carrier = BIT(EBTOP_SYSCALL),
	.carrier_map = MAP_SYSCALL_SLOTS,
	.places = BIT(PLACE_FILES),
	.no_memory = "no memory for the counts of files",
	.open = has_place,
	.join = join,
	.collects = collects,
	.account = account,
};
