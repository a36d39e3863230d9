/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the array of file counters beside the slots of threads, and the time that counting began.
 * account_files.c adds them up by process.
 */
#ifndef EBTOP_FILES_H
#define EBTOP_FILES_H

#include "shared/slot_array.h"
#include "shared/maps.h"

struct files {
	int on;
	int bytes, opens; /* whether bytes and opens are counted now */
	__u64 boot_ns;    /* when counting began, boot-time clock */
	struct slot_array slots;
};

#endif
