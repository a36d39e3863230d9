/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns what the probe block needs beyond other probes: its constants, which depend on the kernel and
 * the machine, and the events that the kernel did not tell it of.
 */
#ifndef EBTOP_BLOCK_H
#define EBTOP_BLOCK_H

#include "probe.h"

/* As in struct probe_kind. */
void block_prepare(struct bpf_object *object, const struct maps *maps,
		   const struct ebtop_settings *settings);
/* Events since the start that programs did not run for. */
__u64 block_missed(const struct probe *probe);

#endif
