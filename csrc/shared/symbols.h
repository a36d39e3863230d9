/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the mapping from kernel addresses to reasons to wait: a list of functions from Python,
 * located in the kernel's symbols when the first address is looked up.
 */
#ifndef EBTOP_SYMBOLS_H
#define EBTOP_SYMBOLS_H

#include <pthread.h>

#include "util/buffer.h"

struct symbols {
	char *list;
	int symbols_fd;       /* opened before privileges are dropped; -1: addresses are hidden */
	struct buffer names;  /* struct function_name, in order */
	struct buffer ranges; /* struct function_range, in order */
	int found;
	int reading; /* by `reader` */
	pthread_t reader;
	/* called now and then while the file is read, because that takes tens of milliseconds */
	void (*meanwhile)(void *context);
	void *context;
};

/* `list`: a line a function, `R name`, R a digit: enum ebtop_wait. */
int symbols_open(struct symbols *symbols, const char *list);
void symbols_close(struct symbols *symbols);
/* Reads the symbols now, in a thread, rather than at the first lookup; symbols_wait() waits for its end.
 * For callers that have time now and none later. */
void symbols_read_early(struct symbols *symbols);
void symbols_wait(struct symbols *symbols);
/* Whether the kernel shows addresses to this process. */
int symbols_are_shown(const struct symbols *symbols);
/* Fills in names; the addresses are sorted. Reads the whole file. */
void symbols_names(const struct symbols *symbols, struct ebtop_symbol *asked, __u32 count);
/* The enum ebtop_wait of a stack, innermost frame first; EBTOP_WAITS: the stack tells nothing. */
__u32 symbols_reason(struct symbols *symbols, const __u64 *frame, __u32 count);

#endif
