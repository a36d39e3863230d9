// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns loading several probes at once; each is attached later, in its turn. Most of the time to
 * start is spent in the kernel's verifier. A probe that fails here is tried again on its own.
 */
#include <errno.h>

#include "loader/parallel_load.h"
#include "loader/kernelbtf.h"
#include "probes/probeset.h"

int probeset_add_maps(struct probeset *set, const struct probe_ops *ops)
{
	struct ebtop_error error;

	for (int i = 0; ops->maps[i]; i++)
		if (maps_add(set->maps, ops->maps[i], &error))
			return -ENOMEM;
	return ops->carrier_map && maps_add(set->maps, ops->carrier_map, &error) ? -ENOMEM : 0;
}

/* Whether it has the table of connections, the largest map. */
static int has_connections(const struct probe_ops *ops)
{
	for (int i = 0; ops->maps[i]; i++)
		if (ops->maps[i] == MAP_CONNECTIONS)
			return 1;
	return 0;
}

/* Adds the parts of wanted probes, and the carriers of those without programs of their own. */
static __u32 with_others(__u32 wanted)
{
	for (int i = 0; i < EBTOP_PROBES; i++) {
		if (probe_table[i]->part_of & wanted)
			wanted |= BIT(i);
		if (wanted & BIT(i) && !probe_table[i]->elf_bytes)
			wanted |= probe_table[i]->carrier;
	}
	return wanted;
}

/* The wanted probes that do not run yet. Slowest to load first, so that no long load comes last. */
static int find_missing(struct probeset *set, __u32 wanted, struct probe **ret)
{
	int found = 0;

	for (int i = 0; i < EBTOP_PROBES; i++) {
		struct probe *probe = &set->probes[i];
		int at = found;

		if (!(wanted & BIT(i)) || !probe->ops->load_rank || probe->loaded_variant ||
		    probe->state == EBTOP_PROBE_ON)
			continue;
		for (; at && ret[at - 1]->ops->load_rank > probe->ops->load_rank; at--)
			ret[at] = ret[at - 1];
		ret[at] = probe;
		found++;
	}
	return found;
}

struct batch {
	struct probeset *set;
	struct probe *probes[EBTOP_PROBES];
};

static void load_item(void *context, int item)
{
	struct batch *batch = context;

	probe_load(batch->probes[item], batch->set->maps, &batch->set->settings);
}

void probeset_load(struct probeset *set, __u32 wanted)
{
	struct probe *missing[EBTOP_PROBES];
	struct batch ready = { .set = set };
	int found;

	/* messages of the verifier are readable only for one program at a time */
	if (set->settings.verifier_stats || set->settings.debug)
		return;
	found = find_missing(set, with_others(wanted), missing);
	if (found < 2)
		return;
	for (int i = 0; i < found; i++)
		probe_keep_types(missing[i], set->maps, &set->settings);
	kernelbtf_release_rest();
	/* probes with the table of connections last: it is the largest map, and verifying takes memory too */
	for (int round = 0; round < 2; round++) {
		int count = 0;

		for (int i = 0; i < found; i++) {
			const struct probe_ops *ops = missing[i]->ops;

			if (has_connections(ops) == round && !places_add_maps(set, ops->places) &&
			    !probeset_add_maps(set, ops))
				ready.probes[count++] = missing[i];
		}
		parallel_load(load_item, &ready, count);
	}
}

void probeset_unload(struct probeset *set)
{
	for (int i = 0; i < EBTOP_PROBES; i++) {
		const struct probe_ops *ops = probe_table[i];

		probe_unload(&set->probes[i]);
		if (!ops->load_rank || probeset_has(set, EBTOP_SCHED))
			continue;
		places_drop_maps(set, ops->places);
		for (int k = 0; ops->maps[k]; k++)
			maps_drop(set->maps, ops->maps[k]);
		if (ops->carrier_map)
			maps_drop(set->maps, ops->carrier_map);
	}
}
