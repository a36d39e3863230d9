/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns which probes of a session run: the order in which they are opened, which of them bring others
 * with them, and what is collected. What is particular to one probe is in its struct probe_ops.
 */
#ifndef EBTOP_PROBESET_H
#define EBTOP_PROBESET_H

#include "accounts/accounts.h"
#include "shared/config.h"
#include "shared/connections.h"
#include "shared/disks.h"
#include "shared/files.h"
#include "shared/memory.h"
#include "probes/probe.h"
#include "shared/syscalls.h"
#include "accounts/tasks.h"
#include "shared/waits.h"

/* Where several probes count beside the slots of threads. */
enum place { PLACE_FILES, PLACE_MEMORY, PLACES };

struct probeset {
	struct probe probes[EBTOP_PROBES];
	struct ebtop_settings settings;
	struct maps *maps;
	struct config *config;
	struct waits *waits;
	struct tasks tasks;
	struct syscalls syscalls;
	struct disks disks;
	struct files files;
	struct memory memory;
	struct connections connections;
	__u64 missed[EBTOP_PROBES];         /* until each was closed last */
	struct ebtop_stack_cost stack_cost; /* as it was at the last refresh */
};

/* Opens what settings->probes names; an error only when nothing of it works. */
int probeset_open(struct probeset *set, const struct ebtop_settings *settings, struct maps *maps,
		  struct config *config, struct waits *waits, struct ebtop_error *err);
/* Opens and closes those that may come and go; the others stay as they are. */
void probeset_switch(struct probeset *set, __u32 wanted);
/* Detaches all but sched, which tells when a process that ended was off its CPU. */
void probeset_detach(struct probeset *set);
void probeset_close(struct probeset *set);
int probeset_has(const struct probeset *set, enum ebtop_probe probe);

/* ---- each refresh; what a step is for one probe is in its struct probe_ops ---- */

/* What the accounts may rely on, now that probes were opened or closed. */
void probeset_account(struct probeset *set, struct accounts *accounts);
void probeset_charge(const struct probeset *set, struct accounts *accounts);
void probeset_settle(struct probeset *set, struct accounts *accounts, __u32 refresh_flags);
void probeset_reset(const struct probeset *set, struct accounts *accounts);
/* Tables of probes that do not run are empty. */
void probeset_pack(struct probeset *set, struct ebtop_snapshot *ret);
/* One row a probe; `stats` as in probe_row(). */
void probeset_rows(struct probeset *set, int stats, struct buffer *rows);
/* By cause: what happened since the start and the kernel told no program of. */
void probeset_losses(const struct probeset *set, __u64 missed[EBTOP_LOSSES]);

/* ---- for probes/ ---- */

/* It counts no more, and says that it was not asked for. */
void probeset_close_one(struct probeset *set, enum ebtop_probe which);

/* ---- probeset_load.c: several at once; each is then attached when its turn comes ---- */

/* The maps that must be there before it loads, but those of places; 0 or -ENOMEM. */
int probeset_add_maps(struct probeset *set, const struct probe_ops *ops);
/* Loads those of `wanted` that do not run. */
void probeset_load(struct probeset *set, __u32 wanted);
/* What nobody opened goes again, and its maps, which without sched have no use. */
void probeset_unload(struct probeset *set);

/* ---- places.c ---- */

/* Makes the places of all that may be loaded, bits 1 << enum place, and drops the others. */
void places_provide(struct probeset *set, __u32 places);
int places_add_maps(struct probeset *set, __u32 places);
void places_drop_maps(struct probeset *set, __u32 places);
void places_account_files(struct probeset *set, struct accounts *accounts);

#endif
