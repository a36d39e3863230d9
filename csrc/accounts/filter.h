/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the filter by process, on the user side.
 */
#ifndef EBTOP_FILTER_H
#define EBTOP_FILTER_H

#include "accounts/accounts.h"

/* Whether the filter names the process or, with descendants, an ancestor of it. */
int accounts_follows(const struct accounts *accounts, const struct process *process);
/* Whether the filter lets the process through, so that filtered probes count it. */
int accounts_passes(const struct accounts *accounts, const struct process *process);
/* Marks the present descendants of the filter's process; processes born later inherit the mark. */
void accounts_follow(struct accounts *accounts);

#endif
