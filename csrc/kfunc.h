/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns what the probe kfunc needs beyond other probes: its constants, which depend on the function,
 * and the calls that the kernel did not tell it of. How it is hooked is probe.c's concern.
 */
#ifndef EBTOP_KFUNC_H
#define EBTOP_KFUNC_H

#include "probe.h"

/* As in struct probe_kind. */
int kfunc_needs(const char *program, const struct ebtop_settings *settings);
void kfunc_prepare(struct bpf_object *object, const struct maps *maps,
		   const struct ebtop_settings *settings);
/* Calls since the start that the program which makes events did not run for. */
__u64 kfunc_missed(const struct probe *probe);

#endif
