// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the ring buffer's reading end. Records come from our own programs, yet sizes are checked
 * against types: a record of an unknown shape is skipped, never interpreted.
 */
#include <errno.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "accounts.h"
#include "error.h"
#include "events.h"

#define ROWS_MAX 32768
#define TEXT_MAX (2u << 20)

__u32 events_add_text(struct events *events, const char *text, __u32 *bytes)
{
	size_t offset = events->text.count;

	if (!*bytes || offset + *bytes > TEXT_MAX || buffer_reserve(&events->text, *bytes)) {
		*bytes = 0;
		return 0;
	}
	memcpy(events->text.data + offset, text, *bytes);
	events->text.count += *bytes;
	return (__u32)offset;
}

static struct ebtop_event_row *add_row(struct events *events, const struct ebtop_event *head)
{
	struct ebtop_event_row *row = NULL;

	if (events->rows.count < ROWS_MAX)
		row = buffer_add(&events->rows);
	if (!row) {
		events->dropped_rows++;
		return NULL;
	}
	memset(row, 0, sizeof(*row));
	row->time_ns = head->time_ns;
	row->type = head->type;
	row->pid = head->pid;
	row->tid = head->tid;
	row->uid = head->uid;
	memcpy(row->comm, head->comm, sizeof(row->comm));
	return row;
}

static void take_fork(struct events *events, const struct ebtop_fork *fork)
{
	struct ebtop_event_row *row = add_row(events, &fork->head);

	accounts_fork(events->accounts, fork);
	if (!row)
		return;
	row->start_ns = fork->start_ns;
	row->ppid = fork->ppid;
}

static void take_exec(struct events *events, const struct ebtop_exec *exec)
{
	struct ebtop_event_row *row = add_row(events, &exec->head);

	accounts_exec(events->accounts, exec);
	if (!row)
		return;
	row->start_ns = exec->start_ns;
	row->ppid = exec->ppid;
	row->text_bytes = exec->args_bytes <= EBTOP_ARGS_BYTES ? exec->args_bytes : 0;
	row->text = events_add_text(events, exec->args, &row->text_bytes);
}

static void take_exit(struct events *events, const struct ebtop_exit *exit)
{
	struct ebtop_event_row *row = add_row(events, &exit->head);

	accounts_exit(events->accounts, exit);
	if (!row)
		return;
	row->start_ns = exit->start_ns;
	row->duration_ns = exit->duration_ns;
	row->ppid = exit->ppid;
	row->exit_code = exit->exit_code;
}

static void take_open(struct events *events, const struct ebtop_open *open, size_t size)
{
	struct ebtop_event_row *row = add_row(events, &open->head);
	size_t room = size - offsetof(struct ebtop_open, name);

	if (!row)
		return;
	row->duration_ns = open->duration_ns;
	row->result = open->result;
	row->open_flags = open->flags;
	row->marks =
		(open->name_cut ? EBTOP_TEXT_CUT : 0) | (open->name_unread ? EBTOP_TEXT_UNREAD : 0);
	row->text_bytes = open->name_bytes <= room ? open->name_bytes : 0;
	row->text = events_add_text(events, open->name, &row->text_bytes);
}

static int take(void *context, void *data, size_t size)
{
	static const size_t sizes[EBTOP_EVENT_TYPES] = {
		[EBTOP_EVENT_FORK] = sizeof(struct ebtop_fork),
		[EBTOP_EVENT_EXEC] = sizeof(struct ebtop_exec),
		[EBTOP_EVENT_EXIT] = sizeof(struct ebtop_exit),
		[EBTOP_EVENT_OPEN] = offsetof(struct ebtop_open, name),
	};
	struct events *events = context;
	const struct ebtop_event *head = data;

	if (size < sizeof(*head) || head->type >= EBTOP_EVENT_TYPES || size < sizes[head->type])
		return 0;
	/* threads that end at once each find that they are the last (before 6.16) */
	if (head->type == EBTOP_EVENT_EXIT && accounts_has_exit(events->accounts, data))
		return 0;
	events->counts[head->type]++;
	if (head->type == EBTOP_EVENT_FORK)
		take_fork(events, data);
	else if (head->type == EBTOP_EVENT_EXEC)
		take_exec(events, data);
	else if (head->type == EBTOP_EVENT_EXIT)
		take_exit(events, data);
	else
		take_open(events, data, size);
	return 0;
}

int events_open(struct events *events, const struct maps *maps, struct accounts *accounts,
		struct ebtop_error *err)
{
	events->accounts = accounts;
	events->rows = BUFFER_OF(struct ebtop_event_row);
	events->text = BUFFER_OF(char);
	events->ring = ring_buffer__new(maps->fd[MAP_EVENTS], take, events, NULL);
	if (!events->ring)
		return error_set(err, -errno, "events", "cannot map the ring buffer: %s",
				 strerror(errno));
	return 0;
}

void events_close(struct events *events)
{
	ring_buffer__free(events->ring);
	events->ring = NULL;
	buffer_free(&events->rows);
	buffer_free(&events->text);
}

int events_fd(const struct events *events)
{
	return events->ring ? ring_buffer__epoll_fd(events->ring) : -1;
}

int events_drain(struct events *events)
{
	return events->ring ? ring_buffer__consume(events->ring) : 0;
}

void events_reset(struct events *events)
{
	events->rows.count = 0;
	events->text.count = 0;
	events->dropped_rows = 0;
	memset(events->counts, 0, sizeof(events->counts));
}
