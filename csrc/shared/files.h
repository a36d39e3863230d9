/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns what threads did with files, as BPF counts it beside their slots, and since when it does.
 * How that becomes numbers of a process is in account_files.c.
 */
#ifndef EBTOP_FILES_H
#define EBTOP_FILES_H

#include "shared/slot_array.h"
#include "shared/maps.h"

struct files {
	int on;
	int bytes, opens; /* which of them are counted now */
	__u64 boot_ns;    /* since when anything is, boot-time clock */
	struct slot_array slots;
};

#endif
