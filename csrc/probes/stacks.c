// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the probe stacks: where in the kernel threads wait. It has no programs of its own: those of
 * sched take stacks when they are told to.
 */
#include <stdio.h>

#include "probes/probeset.h"

static int open_stacks(struct probeset *set)
{
	struct probe *probe = &set->probes[EBTOP_STACKS];

	if (!symbols_are_shown(&set->waits->symbols))
		return probe_refuse(probe, EBTOP_PROBE_UNSUPPORTED,
				    "the kernel does not show the addresses of its functions"
				    " (kernel.kptr_restrict)");
	probe->state = EBTOP_PROBE_ON;
	snprintf(probe->hook, sizeof(probe->hook), "in sched, at switches after long waits");
	return 0;
}

static __u32 collects(const struct probeset *set, int through_carrier)
{
	(void)through_carrier;
	return probeset_has(set, EBTOP_STACKS) ? EBTOP_COLLECT_STACKS : 0;
}

static __u32 collects_early(const struct probeset *set)
{
	return symbols_are_shown(&set->waits->symbols) ? EBTOP_COLLECT_STACKS : 0;
}

/* Programs of sched take them: their cost is told apart, and is in the sum once. */
static void split_cost(struct probeset *set, struct ebtop_probe_row *rows)
{
	struct ebtop_probe_row *stacks = &rows[EBTOP_STACKS], *sched = &rows[EBTOP_SCHED];
	struct ebtop_stack_cost now, last = set->stack_cost;

	if (maps_stack_cost(set->maps, &now))
		return;
	set->stack_cost = now;
	if (!stacks->stats || !sched->stats)
		return;
	stacks->runs = now.runs - last.runs;
	stacks->run_ns = now.run_ns - last.run_ns;
	sched->run_ns -= stacks->run_ns < sched->run_ns ? stacks->run_ns : sched->run_ns;
}

const struct probe_ops stacks_probe = {
	.name = "stacks",
	.on_demand = 1,
	.open_rank = 12,
	.needs_sched = 1,
	.carrier = BIT(EBTOP_SCHED),
	.open = open_stacks,
	.collects = collects,
	.collects_early = collects_early,
	.uninterrupted =
		EBTOP_COLLECT_STACKS, /* waits that began before the switch need their stack too */
	.split_cost = split_cost,
};
