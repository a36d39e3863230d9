/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns which addresses of the kernel mean which reason to wait: the functions of a list, found in the
 * kernel's symbols when the first address is asked about. The list is data, from Python.
 */
#ifndef EBTOP_SYMBOLS_H
#define EBTOP_SYMBOLS_H

#include <pthread.h>

#include "util/buffer.h"

struct symbols {
	char *list;
	int symbols_fd;      /* opened with the rights of the beginning; -1: addresses are hidden */
	struct buffer names; /* struct function_name, in order */
	struct buffer ranges; /* struct function_range, in order */
	int found;
	int reading; /* by `reader` */
	pthread_t reader;
	/* called now and then while the file is read, which takes tens of milliseconds */
	void (*meanwhile)(void *context);
	void *context;
};

/* `list`: a line a function, `R name`, R a digit: enum ebtop_wait. */
int symbols_open(struct symbols *symbols, const char *list);
void symbols_close(struct symbols *symbols);
/* Reads the symbols now, in a thread, instead of when they are asked for first; the other waits for its
 * end. For those who have the time now and not later. */
void symbols_read_early(struct symbols *symbols);
void symbols_wait(struct symbols *symbols);
/* Whether addresses can be told apart at all. */
int symbols_are_shown(const struct symbols *symbols);
/* Fills in names; the addresses are in order. The whole file is read for it. */
void symbols_names(const struct symbols *symbols, struct ebtop_symbol *asked, __u32 count);
/* enum ebtop_wait of a stack, the innermost frame first; EBTOP_WAITS when it tells nothing. */
__u32 symbols_reason(struct symbols *symbols, const __u64 *frame, __u32 count);

#endif
