/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the reading end of the ring buffer: it checks each record, counts it by type, keeps rows and
 * texts for the log, and hands the record to the accounts.
 */
#ifndef EBTOP_EVENTS_H
#define EBTOP_EVENTS_H

#include "util/buffer.h"
#include "shared/maps.h"

struct accounts;
struct ring_buffer;

struct events {
	struct ring_buffer *ring;
	struct accounts *accounts;
	struct buffer rows; /* struct ebtop_event_row, since the last refresh */
	struct buffer text; /* bytes; what rows refer to */
	__u64 counts[EBTOP_EVENT_TYPES];
	__u64 dropped_rows;
	int transitions; /* rows for changes of connections' states */
	int bounded;     /* draining stops when what is kept is full, rather than to drop rows */
	__u64 fullest; /* the most bytes that waited in the ring buffer since this was last read */
	size_t handed_out; /* number of rows, from the first, that are no longer needed */
};

int events_open(struct events *events, const struct maps *maps, struct accounts *accounts,
		struct ebtop_error *err);
void events_close(struct events *events);
int events_fd(const struct events *events);
/* Reads all waiting records. Their number, or -errno; when bounded, -ENOBUFS: there are more. */
int events_drain(struct events *events);
/* The size of the ring buffer in bytes; 0: there is none. */
__u64 events_room(const struct events *events);
/* Forgets the rows that have been handed out. */
void events_reset(struct events *events);
/* How many rows can be handed out now: an exit waits until its process is off the CPU for good, as
 * long as that is a moment, and what came later waits behind it. */
size_t events_ready(struct events *events, __u64 now_ns);
/* The offset of `bytes` bytes added to the texts, or 0 with *bytes 0 when there is no room. */
__u32 events_add_text(struct events *events, const char *text, __u32 *bytes);

/* ---- event_rows.c ---- */

/* Adds the row of a record whose type and size have been checked, and tells the accounts. */
void events_make_row(struct events *events, const void *data, size_t size);
/* Whether one more record might not fit. */
int events_are_full(const struct events *events);

#endif
