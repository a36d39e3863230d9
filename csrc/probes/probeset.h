/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the set of probes of a session: which run, the order in which they are opened, which of them
 * need others, and what is collected.
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

/* Arrays beside the slots of threads that several probes count in. */
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
	__u64 missed[EBTOP_PROBES];         /* events missed until each probe was last closed */
	struct ebtop_stack_cost stack_cost; /* as it was at the last refresh */
};

/* Opens the probes in settings->probes. An error only when none of them works. */
int probeset_open(struct probeset *set, const struct ebtop_settings *settings, struct maps *maps,
		  struct config *config, struct waits *waits, struct ebtop_error *err);
/* Opens and closes probes on demand; the others stay as they are. */
void probeset_switch(struct probeset *set, __u32 wanted);
/* Detaches all probes but sched, which tells when an ended process has left its CPU. */
void probeset_detach(struct probeset *set);
void probeset_close(struct probeset *set);
int probeset_has(const struct probeset *set, enum ebtop_probe probe);

/* ---- each refresh; what a step is for one probe is in its struct probe_ops ---- */

/* After probes were opened or closed: tells the accounts which numbers there are. */
void probeset_account(struct probeset *set, struct accounts *accounts);
void probeset_charge(const struct probeset *set, struct accounts *accounts);
void probeset_settle(struct probeset *set, struct accounts *accounts, __u32 refresh_flags);
void probeset_reset(const struct probeset *set, struct accounts *accounts);
/* Sets the tables of probes in the snapshot; those of probes that do not run are empty. */
void probeset_pack(struct probeset *set, struct ebtop_snapshot *ret);
/* One row for each probe; `stats` as in probe_row(). */
void probeset_rows(struct probeset *set, int stats, struct buffer *rows);
/* By cause: events since the start that the kernel reported to no program. */
void probeset_losses(const struct probeset *set, __u64 missed[EBTOP_LOSSES]);

/* ---- for probes/ ---- */

/* Closes one probe; its state is then "not asked for". */
void probeset_close_one(struct probeset *set, enum ebtop_probe which);

/* ---- probeset_load.c: several at once; each is then attached when its turn comes ---- */

/* Makes the maps that it needs before it loads, except those of places. 0 or -ENOMEM. */
int probeset_add_maps(struct probeset *set, const struct probe_ops *ops);
/* Loads the wanted probes that do not run yet. */
void probeset_load(struct probeset *set, __u32 wanted);
/* Frees what was loaded but not opened; without sched its maps too, which then have no use. */
void probeset_unload(struct probeset *set);

/* ---- places.c ---- */

/* Makes these places (bits 1 << enum place) and drops the others. */
void places_provide(struct probeset *set, __u32 places);
int places_add_maps(struct probeset *set, __u32 places);
void places_drop_maps(struct probeset *set, __u32 places);
void places_account_files(struct probeset *set, struct accounts *accounts, __u64 known);

#endif
