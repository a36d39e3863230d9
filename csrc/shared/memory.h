/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the array of memory counters beside the slots of threads, and the time that counting began.
 * account_memory.c adds them up by process.
 */
#ifndef EBTOP_MEMORY_H
#define EBTOP_MEMORY_H

#include "shared/slot_array.h"
#include "util/buffer.h"
#include "shared/maps.h"

struct memory {
	int on;        /* the array exists */
	__u64 boot_ns; /* when counting began, boot-time clock */
	struct slot_array slots;
};

#endif
