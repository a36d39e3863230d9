/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns what the probe block needs beyond other probes: its constants, which depend on the kernel and
 * the machine.
 */
#ifndef EBTOP_BLOCK_H
#define EBTOP_BLOCK_H

#include "probe.h"

/* As in struct probe_kind. */
void block_prepare(struct bpf_object *object, const struct maps *maps,
		   const struct ebtop_settings *settings);

#endif
