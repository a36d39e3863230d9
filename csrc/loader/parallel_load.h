/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Probes that are loaded all at once, so that the kernel verifies them on several CPUs.
 */
#ifndef EBTOP_PARALLEL_LOAD_H
#define EBTOP_PARALLEL_LOAD_H

#include "probes/probe.h"

/* probe_load() of all of these; the threads for it have ended when it returns. */
void ahead_load(struct probe *const *probes, int count, const struct maps *maps,
		const struct ebtop_settings *settings);

#endif
