// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the probe open: files that are opened. It hooks the function that all opens go through where
 * the kernel allows that, because other system calls then pay nothing; elsewhere the programs of
 * syscall report opens.
 */
#include "probes/probeset.h"
#include "skel/open.skel.h"

/* Takes over the state of syscall's programs. Its own program still reports opens by io_uring. */
static void join(struct probeset *set, const struct probe *through)
{
	struct probe *probe = &set->probes[EBTOP_OPEN];
	int sees_names = through->state == EBTOP_PROBE_ON && !through->variant->lacks;

	if (sees_names && probe->object) {
		probe_join_hooks(probe, through);
		return;
	}
	probeset_close_one(set, EBTOP_OPEN);
	if (through->state == EBTOP_PROBE_ON && !sees_names)
		probe_refuse(probe, EBTOP_PROBE_UNSUPPORTED,
			     "neither can functions be hooked here nor file names read");
	else
		probe_take_state(probe, through);
}

static __u32 collects(const struct probeset *set, int through_carrier)
{
	return EBTOP_COLLECT_OPENS | (set->settings.directories ? EBTOP_COLLECT_DIRECTORIES : 0) |
	       (through_carrier ? EBTOP_COLLECT_OPENS_BY_SYSCALLS : 0);
}

static void account(struct probeset *set, struct accounts *accounts)
{
	/* without the place there are events, but no counts */
	set->files.opens = set->files.on && probeset_has(set, EBTOP_OPEN);
	if (set->files.opens)
		places_account_files(set, accounts, KNOWN(EBTOP_KNOWN_OPENS));
}

const struct probe_ops open_probe = {
	.name = "open",
	.elf_bytes = open_bpf__elf_bytes,
	.variants = {
		/* what io_uring completes can be told since 5.19 */
		{ { "ring_btf", "fh_fexit", "fh_fentry", "open_fexit", "open_fentry" },
		  "names of io_uring's" },
		{ { "fh_fexit", "fh_fentry", "open_fexit", "open_fentry" }, "io_uring" },
		{ { "ring_btf", "fh_kretprobe", "fh_kprobe", "open_kretprobe",
		    "open_kprobe" },
		  "names of io_uring's" },
		{ { "fh_kretprobe", "fh_kprobe", "open_kretprobe", "open_kprobe" },
		  "io_uring" },
		{ { "ring_btf" }, "names of io_uring's", .through_carrier = 1 },
	},
	.on_demand = 1,
	.open_rank = 4,
	.load_rank = 9,
	.needs_sched = 1,
	.carrier = BIT(EBTOP_SYSCALL),
	.carrier_suffices = 1,
	.places = BIT(PLACE_FILES),
	.maps = { MAP_OPEN_CALLS },
	.join = join,
	.collects = collects,
	.account = account,
};
