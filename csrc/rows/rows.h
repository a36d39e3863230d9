/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the last step before the boundary: packs accounts into rows.
 */
#ifndef EBTOP_ROWS_H
#define EBTOP_ROWS_H

#include "accounts/accounts.h"
#include "accounts/events.h"

struct rows {
	struct buffer processes; /* struct ebtop_row */
	struct buffer threads;   /* struct ebtop_row */
	struct buffer sizes;     /* struct ebtop_sizes_row */
	__u64 active;            /* process rows that come first */
	__u64 live_threads;
	__u64 live_processes; /* zombies included */
};

void rows_open(struct rows *rows);
void rows_close(struct rows *rows);
/* Packs the settled interval; texts are added to `events`. */
void rows_pack(struct rows *rows, struct accounts *accounts, struct events *events, __u32 flags);

#endif
