/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns what is known of the machine as a whole, apart from its processes.
 */
#ifndef EBTOP_MACHINE_H
#define EBTOP_MACHINE_H

#include "accounts/accounts.h"
#include "accounts/events.h"
#include "shared/maps.h"
#include "rows/rows.h"

struct machine {
	struct ebtop_system_row system;
	struct ebtop_runq_shard *shards; /* by CPU */
	size_t shards_bytes;
	__u32 cpus;
	__u32 runq_waits[EBTOP_FINE_BUCKETS]; /* of all CPUs, at the last refresh */
	__u64 idle_switches;                  /* in all, at the last refresh */
	__u64 lost[EBTOP_LOSSES];             /* in all, at the last refresh */
	__u64 lost_rows;
	__u64 missed
		[EBTOP_LOSSES]; /* in all: events that probes were not told of, set by the session */
};

int machine_open(struct machine *machine, const struct maps *maps);
void machine_close(struct machine *machine);
/* Finds the CPUs that are online from now on. */
void machine_find_online(struct accounts *accounts);
/* Adds the context switches of idle threads to the interval's. */
void machine_count_switches(struct machine *machine, struct accounts *accounts);
/* Only the losses since the last time. */
void machine_pack_losses(struct machine *machine, const struct accounts *accounts,
			 const struct events *events, const struct maps *maps);
void machine_pack(struct machine *machine, const struct accounts *accounts,
		  const struct events *events, const struct rows *rows, const struct maps *maps);

#endif
