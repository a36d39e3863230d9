/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns how full the tables are that have a bound and lose what finds no room in them. A loss is
 * counted where it happens; this tells of it before it does.
 */
#ifndef EBTOP_FULLNESS_H
#define EBTOP_FULLNESS_H

#include "accounts/accounts.h"
#include "accounts/events.h"
#include "shared/maps.h"
#include "shared/waits.h"

/* Fills `rows` (struct ebtop_fullness_row) with the tables that exist now. */
void fullness_list(struct buffer *rows, const struct maps *maps, const struct accounts *accounts,
		   struct events *events, const struct waits *waits);

#endif
