/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the files of the process that somebody looks at, as rows: what BPF counted of each since, and
 * its path put together.
 */
#ifndef EBTOP_FILECOUNTS_H
#define EBTOP_FILECOUNTS_H

#include "buffer.h"
#include "maps.h"

/* Forgets what was counted. A map that is not there is empty. */
void filecounts_forget(const struct maps *maps);
/* Fills `rows`, struct ebtop_file_row. */
void filecounts_list(const struct maps *maps, struct buffer *rows);

#endif
