/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns what the C library is told about memory, so that tables which come and go leave no holes.
 */
#ifndef EBTOP_HEAP_H
#define EBTOP_HEAP_H

#include <linux/types.h>

/* Large tables get memory of their own from now on. */
void heap_keep_large_apart(void);
/* Returns free memory to the system, unless that was done shortly before. */
void heap_trim(__u64 now_ns, __u64 *last_ns);

#endif
