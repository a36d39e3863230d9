/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the files of the inspected process as rows: the counts that BPF has of each file since the
 * inspection began, and its path, joined from its parts.
 */
#ifndef EBTOP_FILE_COUNTS_H
#define EBTOP_FILE_COUNTS_H

#include "util/buffer.h"
#include "shared/maps.h"

/* Clears the counts; does nothing where the map does not exist. */
void filecounts_forget(const struct maps *maps);
/* Joins the parts of a path, as in struct ebtop_file_count. Returns whether the path is cut. */
int filecounts_path(const char *parts, __u32 whole, char path[EBTOP_FILE_PATH_BYTES]);
/* Fills `rows`, struct ebtop_file_row. */
void filecounts_list(const struct maps *maps, struct buffer *rows);

#endif
