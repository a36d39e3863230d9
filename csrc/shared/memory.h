/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns what threads mapped and unmapped, as BPF counts it beside their slots, and since when it does.
 * How that becomes numbers of a process is in account_memory.c.
 */
#ifndef EBTOP_MEMORY_H
#define EBTOP_MEMORY_H

#include "shared/slot_array.h"
#include "util/buffer.h"
#include "shared/maps.h"

struct memory {
	int on;        /* there is a place to count in */
	__u64 boot_ns; /* since when anything is counted, boot-time clock */
	struct slot_array slots;
};

#endif
