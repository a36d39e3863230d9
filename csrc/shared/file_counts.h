/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the files of the process that somebody looks at, as rows: what BPF counted of each since, and
 * its path put together.
 */
#ifndef EBTOP_FILE_COUNTS_H
#define EBTOP_FILE_COUNTS_H

#include "util/buffer.h"
#include "shared/maps.h"

/* Forgets what was counted. A map that is not there is empty. */
void filecounts_forget(const struct maps *maps);
/* The path that these parts are of, as in struct ebtop_file_count. Returns whether it is cut. */
int filecounts_path(const char *parts, __u32 whole, char path[EBTOP_FILE_PATH_BYTES]);
/* Fills `rows`, struct ebtop_file_row. */
void filecounts_list(const struct maps *maps, struct buffer *rows);

#endif
