/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns which groups of counters and which facts of a row are known: a counter that no probe counted is
 * unknown, not 0.
 */
#ifndef EBTOP_KNOWN_H
#define EBTOP_KNOWN_H

#include "accounts/accounts.h"

#define DISKS_KNOWN (KNOWN(EBTOP_KNOWN_DISK_BYTES) | KNOWN(EBTOP_KNOWN_DISK_REQUESTS))
#define WAITS_KNOWN (KNOWN(EBTOP_KNOWN_OFFCPU) | KNOWN(EBTOP_KNOWN_WAITS))

/* Bits of enum ebtop_known for the counters of a process. */
__u64 rows_known(const struct accounts *accounts, const struct process *process,
		 const __u64 *counters);
/* Whether all threads of the process are known: threads that sleep are in no slot and no event, so it is
 * where tasks are read, or from birth on. */
int rows_knows_threads(const struct accounts *accounts, const struct process *process);

#endif
