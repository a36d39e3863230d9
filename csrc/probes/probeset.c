// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns opening and closing the probes of a session, in named phases. Some account for processes and
 * run from beginning to end; the others run while somebody looks at their numbers. This file knows
 * no single probe but sched, whose slots the others count beside: everything particular to a probe
 * is in its struct probe_ops.
 */
#include <errno.h>
#include <string.h>

#include "util/error.h"
#include "probes/probeset.h"

int probeset_has(const struct probeset *set, enum ebtop_probe probe)
{
	return set->probes[probe].state == EBTOP_PROBE_ON;
}

static __u32 on_demand(void)
{
	__u32 bits = 0;

	for (int i = 0; i < EBTOP_PROBES; i++)
		bits |= probe_table[i]->on_demand ? BIT(i) : 0;
	return bits;
}

/* The probes that are opened by themselves, in order. Returns their number. */
static int in_order(enum ebtop_probe *ret)
{
	int count = 0;

	for (int i = 0; i < EBTOP_PROBES; i++) {
		int rank = probe_table[i]->open_rank, at = count;

		if (!rank)
			continue;
		for (; at && probe_table[ret[at - 1]]->open_rank > rank; at--)
			ret[at] = ret[at - 1];
		ret[at] = i;
		count++;
	}
	return count;
}

/* ---- one probe ---- */

static struct probe *carrier_of(struct probeset *set, const struct probe_ops *ops)
{
	return &set->probes[__builtin_ctz(ops->carrier)];
}

static int runs(const struct probe *probe)
{
	return probe->state == EBTOP_PROBE_ON && (probe->object || !probe->ops->elf_bytes);
}

static int counts_through_carrier(const struct probe *probe)
{
	return probe->object ? probe->variant->through_carrier : probe->ops->carrier != 0;
}

void probeset_close_one(struct probeset *set, enum ebtop_probe which)
{
	struct probe *probe = &set->probes[which];
	const struct probe_ops *ops = probe->ops;

	if (ops->missed && probe->state == EBTOP_PROBE_ON)
		set->missed[which] += ops->missed(set);
	probe_close(probe);
	if (ops->close)
		ops->close(set);
	for (int i = 0; ops->maps[i]; i++)
		maps_drop(set->maps, ops->maps[i]);
	probe_mark_not_requested(probe);
}

/* Closes a probe that failed; the reason stays in its row. */
static void give_up(struct probeset *set, enum ebtop_probe which)
{
	struct probe *probe = &set->probes[which];
	const struct probe refused = *probe;

	probeset_close_one(set, which);
	probe_refuse(probe, refused.state, refused.reason);
}

/* Drops the carrier's map, unless the carrier or a variant that counts there uses it. */
static void drop_carrier_map(struct probeset *set, const struct probe *probe)
{
	const struct probe_ops *ops = probe->ops;

	if (!ops->carrier_map || carrier_of(set, ops)->object ||
	    (probe->object && probe->variant->through_carrier))
		return;
	maps_drop(set->maps, ops->carrier_map);
}

static int open_programs(struct probeset *set, struct probe *probe)
{
	if (!probe->ops->elf_bytes)
		return 0;
	probe_open(probe, set->maps, &set->settings);
	return probe->state == EBTOP_PROBE_ON ? 0 : -ECANCELED;
}

static int open_parts(struct probeset *set, struct probe *probe)
{
	const struct probe_ops *ops = probe->ops;
	int ret = probeset_add_maps(set, ops);

	if (!ret && ops->open)
		ret = ops->open(set);
	if (!ret)
		ret = open_programs(set, probe);
	if (!ret && ops->opened)
		ret = ops->opened(set);
	if (ret && ret != -ECANCELED)
		probe_refuse(probe, EBTOP_PROBE_FAILED,
			     ops->no_memory ? ops->no_memory : "no memory");
	return ret;
}

/* Returns whether it counts through its carrier, which must then be opened. */
static int open_probe(struct probeset *set, enum ebtop_probe which)
{
	struct probe *probe = &set->probes[which];
	const struct probe_ops *ops = probe->ops;
	int ret;

	if (runs(probe))
		return counts_through_carrier(probe);
	probe->reason[0] = '\0';
	if (ops->needs_sched && !probeset_has(set, EBTOP_SCHED)) {
		probe_refuse(probe, EBTOP_PROBE_UNSUPPORTED,
			     "it needs the probe sched, which is not on");
		return 0;
	}
	ret = open_parts(set, probe);
	if (ret)
		give_up(set, which);
	drop_carrier_map(set, probe);
	if (ret)
		return ops->elf_bytes && ops->carrier_suffices;
	return counts_through_carrier(probe);
}

/* ---- the phases of a switch ---- */

/* A wanted part stands for the probe that it is a part of. */
static __u32 with_wholes(__u32 wanted)
{
	for (int i = 0; i < EBTOP_PROBES; i++)
		wanted |= wanted & BIT(i) ? probe_table[i]->part_of : 0;
	return wanted;
}

/* Collects nothing while probes change, except what must not be interrupted. */
static void pause_collection(struct probeset *set, __u32 wanted)
{
	__u32 goes_on = 0;

	for (int i = 0; i < EBTOP_PROBES; i++)
		goes_on |= wanted & BIT(i) ? probe_table[i]->uninterrupted : 0;
	config_collect(set->config, set->config->now->collect & goes_on);
}

/* Makes the places before any program loads that writes to them, the carriers' programs included. */
static void provide_places(struct probeset *set, __u32 wanted)
{
	__u32 places = 0;

	for (int i = 0; i < EBTOP_PROBES; i++) {
		const struct probe_ops *ops = probe_table[i];

		if (!(wanted & BIT(i)))
			continue;
		places |= ops->places;
		places |= ops->carrier ? carrier_of(set, ops)->ops->places : 0;
	}
	places_provide(set, places);
}

/* Carriers come after the probes that may need them. Returns the probes that count through one. */
static __u32 open_and_close(struct probeset *set, __u32 wanted)
{
	enum ebtop_probe order[EBTOP_PROBES];
	int count = in_order(order);
	__u32 carried = 0;

	for (int i = 0; i < count; i++) {
		const struct probe_ops *ops = probe_table[order[i]];

		if (!ops->on_demand)
			continue;
		if (!(wanted & BIT(order[i]))) {
			if (set->probes[order[i]].state != EBTOP_PROBE_OFF)
				probeset_close_one(set, order[i]);
		} else if (open_probe(set, order[i])) {
			carried |= BIT(order[i]);
			wanted |= ops->carrier;
		}
	}
	return carried;
}

static void join_carriers(struct probeset *set, __u32 carried)
{
	enum ebtop_probe order[EBTOP_PROBES];
	int count = in_order(order);

	for (int i = 0; i < count; i++) {
		const struct probe_ops *ops = probe_table[order[i]];

		if (carried & BIT(order[i]) && ops->join)
			ops->join(set, carrier_of(set, ops));
	}
}

static void collect(struct probeset *set, __u32 wanted, __u32 carried)
{
	__u32 bits, slow = set->settings.slow;

	if (wanted & BIT(EBTOP_LOG_SLOW))
		slow |= 1u << EBTOP_SLOW_SYSCALL | 1u << EBTOP_SLOW_DISK;
	bits = slow * EBTOP_COLLECT_SLOW;
	for (int i = 0; i < EBTOP_PROBES; i++)
		if (wanted & BIT(i) && probe_table[i]->collects)
			bits |= probe_table[i]->collects(set, !!(carried & BIT(i)));
	if (wanted & BIT(EBTOP_LOG_ALLOCATIONS) && bits & EBTOP_COLLECT_MEMORY)
		bits |= EBTOP_COLLECT_ALLOCATIONS;
	config_collect(set->config, bits);
}

static void begin(struct probeset *set)
{
	for (int i = 0; i < EBTOP_PROBES; i++)
		if (probe_table[i]->begun)
			probe_table[i]->begun(set);
}

void probeset_switch(struct probeset *set, __u32 wanted)
{
	__u32 carried, may_switch = on_demand();

	wanted = with_wholes(wanted);
	pause_collection(set, wanted);
	provide_places(set, wanted);
	if (probeset_has(set, EBTOP_SCHED))
		probeset_load(set, wanted);
	carried = open_and_close(set, wanted);
	join_carriers(set, carried);
	probeset_unload(set);
	set->settings.probes = (set->settings.probes & ~may_switch) | (wanted & may_switch);
	collect(set, wanted, carried);
	begin(set);
}

/* ---- all of them ---- */

static int nothing_works(const struct probeset *set)
{
	for (int i = 0; i < EBTOP_PROBES; i++)
		if (set->probes[i].state == EBTOP_PROBE_ON)
			return 0;
	return 1;
}

static int say_why(const struct probeset *set, __u32 wanted, struct ebtop_error *err)
{
	static const int codes[] = {
		[EBTOP_PROBE_DENIED] = -EPERM,
		[EBTOP_PROBE_UNSUPPORTED] = -EOPNOTSUPP,
		[EBTOP_PROBE_FAILED] = -EIO,
	};
	const struct probe *first = NULL;

	for (int i = EBTOP_PROBES - 1; i >= 0; i--)
		if (wanted & BIT(i))
			first = &set->probes[i];
	if (!first)
		return error_set(err, -EINVAL, "probes", "no probe was asked for");
	return error_set(err, codes[first->state], first->ops->name, "%s", first->reason);
}

static void collect_early(struct probeset *set, __u32 wanted)
{
	__u32 bits = 0;

	for (int i = 0; i < EBTOP_PROBES; i++)
		if (wanted & BIT(i) && probe_table[i]->collects_early)
			bits |= probe_table[i]->collects_early(set);
	config_collect(set->config, bits);
}

/* The busiest hooks last: attaching stalls CPUs, and events are noise until all probes are ready. */
static void open_those_that_stay(struct probeset *set, __u32 wanted)
{
	enum ebtop_probe order[EBTOP_PROBES];
	int count = in_order(order);

	for (int i = 0; i < count; i++)
		if (wanted & BIT(order[i]) && !probe_table[order[i]]->on_demand)
			open_probe(set, order[i]);
}

int probeset_open(struct probeset *set, const struct ebtop_settings *settings, struct maps *maps,
		  struct config *config, struct waits *waits, struct ebtop_error *err)
{
	__u32 wanted = with_wholes(settings->probes);

	set->settings = *settings;
	set->maps = maps;
	set->config = config;
	set->waits = waits;
	/* their counts lie beside the slots of threads */
	if (wanted & on_demand())
		wanted |= BIT(EBTOP_SCHED);
	for (int i = 0; i < EBTOP_PROBES; i++) {
		set->probes[i].ops = probe_table[i];
		probe_mark_not_requested(&set->probes[i]);
	}
	collect_early(set, wanted);
	probeset_load(set, wanted);
	open_those_that_stay(set, wanted);
	probeset_switch(set, wanted);
	return nothing_works(set) ? say_why(set, wanted, err) : 0;
}

void probeset_detach(struct probeset *set)
{
	/* in force at once; the links may be taken down later by the kernel (before 6.4) */
	config_collect(set->config, 0);
	for (int i = EBTOP_PROBES - 1; i >= 0; i--)
		if (!probe_table[i]->outlasts_detach)
			probe_detach(&set->probes[i]);
}

void probeset_close(struct probeset *set)
{
	/* a session that failed before opening its probes */
	if (!set->maps)
		return;
	for (int i = EBTOP_PROBES - 1; i >= 0; i--)
		probeset_close_one(set, i);
	places_provide(set, 0);
}
