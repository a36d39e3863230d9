/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns loading several BPF objects at once, so that the kernel verifies them on several CPUs.
 */
#ifndef EBTOP_PARALLEL_LOAD_H
#define EBTOP_PARALLEL_LOAD_H

/* Calls `load` once for each item from 0 on, in several threads; they have ended when it returns. */
void parallel_load(void (*load)(void *context, int item), void *context, int count);

#endif
