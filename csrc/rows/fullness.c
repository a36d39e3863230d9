// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the list of tables that can be full. Where only the kernel knows how many entries a table
 * has, the number of entries that the collector has seen stands for it.
 */
#include <stdio.h>
#include <string.h>

#include "shared/connections.h"
#include "rows/fullness.h"

static void add(struct buffer *rows, const char *name, __u64 used, __u64 room)
{
	struct ebtop_fullness_row *row = room ? buffer_add(rows) : NULL;

	if (!row)
		return;
	memset(row, 0, sizeof(*row));
	snprintf(row->name, sizeof(row->name), "%s", name);
	row->used = used < room ? used : room;
	row->room = room;
}

void fullness_list(struct buffer *rows, const struct maps *maps, const struct accounts *accounts,
		   struct events *events, const struct waits *waits)
{
	rows->count = 0;
	if (accounts->have_sched)
		add(rows, "threads", accounts->threads.count, maps->slot_count - 1 - maps->cpus);
	if (accounts->connections)
		add(rows, "connections", accounts->connections->open.count,
		    accounts->connections->room);
	add(rows, "stacks", waits->stacks.count, maps_room(maps, MAP_WAIT_STACKS));
	add(rows, "events", events->fullest, events_room(events));
	events->fullest = 0;
}
