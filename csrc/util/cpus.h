/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns visiting the CPUs.
 */
#ifndef EBTOP_CPUS_H
#define EBTOP_CPUS_H

#include <linux/types.h>

/* Runs on each CPU for a moment, as far as this process may and the time allows. */
void cpus_visit(__u32 cpus);

#endif
