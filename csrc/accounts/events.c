// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the reading end of the ring buffer. The records come from our own programs, but each size is
 * still checked against its type: a record of unknown shape is skipped, never interpreted.
 */
#include <errno.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "accounts/accounts.h"
#include "util/error.h"
#include "accounts/events.h"

#define EXIT_WAIT_NS 100000000u /* an exit's on-CPU time is worth so much delay */

static int handle_record(void *context, void *data, size_t size)
{
	static const size_t sizes[EBTOP_EVENT_TYPES] = {
		[EBTOP_EVENT_FORK] = sizeof(struct ebtop_fork),
		[EBTOP_EVENT_EXEC] = sizeof(struct ebtop_exec),
		[EBTOP_EVENT_EXIT] = sizeof(struct ebtop_exit),
		[EBTOP_EVENT_EXEC_FAILED] = sizeof(struct ebtop_exec),
		[EBTOP_EVENT_OPEN] = offsetof(struct ebtop_open, name),
		[EBTOP_EVENT_KPROBE] = offsetof(struct ebtop_kfunc, data),
		[EBTOP_EVENT_TCP] = sizeof(struct ebtop_tcp),
		[EBTOP_EVENT_MEM] = sizeof(struct ebtop_mem),
		[EBTOP_EVENT_SIGNAL] = sizeof(struct ebtop_signal),
		[EBTOP_EVENT_OOM] = sizeof(struct ebtop_oom),
		[EBTOP_EVENT_SLOW] = sizeof(struct ebtop_slow),
	};
	struct events *events = context;
	const struct ebtop_event *head = data;

	if (head->type == EBTOP_EVENT_STACK && size >= sizeof(struct ebtop_stack_event))
		waits_stack(events->accounts->waits, data);
	if (head->type == EBTOP_EVENT_WAIT && size >= sizeof(struct ebtop_wait_event))
		accounts_late_wait(events->accounts, data);
	if (size < sizeof(*head) || head->type >= EBTOP_EVENT_TYPES || size < sizes[head->type])
		return 0;
	/* threads that end at once each find that they are the last (before 6.16) */
	if (head->type == EBTOP_EVENT_EXIT && accounts_has_exit(events->accounts, data))
		return 0;
	events->counts[head->type]++;
	events_make_row(events, data, size);
	return events->bounded && events_are_full(events) ? -ENOBUFS : 0;
}

int events_open(struct events *events, const struct maps *maps, struct accounts *accounts,
		struct ebtop_error *err)
{
	events->accounts = accounts;
	events->rows = BUFFER_OF(struct ebtop_event_row);
	events->text = BUFFER_OF(char);
	events->ring = ring_buffer__new(maps->fd[MAP_EVENTS], handle_record, events, NULL);
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

__u64 events_room(const struct events *events)
{
	return events->ring ? ring__size(ring_buffer__ring(events->ring, 0)) : 0;
}

int events_drain(struct events *events)
{
	__u64 waiting;

	if (!events->ring)
		return 0;
	waiting = ring__avail_data_size(ring_buffer__ring(events->ring, 0));
	if (waiting > events->fullest)
		events->fullest = waiting;
	return ring_buffer__consume(events->ring);
}

/* Where the texts of the rows from `first` on begin. */
static size_t text_from(const struct events *events, size_t first)
{
	for (size_t i = first; i < events->rows.count; i++) {
		const struct ebtop_event_row *row = buffer_at(&events->rows, i);

		if (row->text_bytes)
			return row->text;
		if (row->name_bytes || row->file_bytes)
			return row->name_bytes ? row->name : row->file;
	}
	return events->text.count;
}

/* What waits moves to the front. */
static void forget_first(struct events *events)
{
	size_t gone = events->handed_out, text = text_from(events, gone);
	size_t stride = sizeof(struct ebtop_event_row);

	events->rows.count -= gone;
	events->text.count -= text;
	memmove(events->rows.data, events->rows.data + gone * stride, events->rows.count * stride);
	memmove(events->text.data, events->text.data + text, events->text.count);
	for (size_t i = 0; i < events->rows.count; i++) {
		struct ebtop_event_row *row = buffer_at(&events->rows, i);

		row->text -= row->text_bytes ? (__u32)text : 0;
		row->name -= row->name_bytes ? (__u32)text : 0;
		row->file -= row->file_bytes ? (__u32)text : 0;
	}
}

void events_reset(struct events *events)
{
	if (events->handed_out < events->rows.count) {
		forget_first(events);
	} else {
		events->rows.count = 0;
		events->text.count = 0;
	}
	events->handed_out = 0;
	events->dropped_rows = 0;
	memset(events->counts, 0, sizeof(events->counts));
}

/* -1 when not all of it was seen. */
static __s64 oncpu_of(const struct accounts *accounts, const struct process *process, __u32 tid)
{
	__u64 oncpu = process->ended_oncpu_ns;

	if (!accounts->have_sched || process->flags & PROCESS_UNTRACKED)
		return -1;
	if (process->last_tid != tid)
		return process->born ? (__s64)oncpu : -1;
	/* what the kernel sums knows threads that ended before us, but may lack one just ended */
	if (process->others_oncpu_ns + process->last_oncpu_ns > oncpu)
		oncpu = process->others_oncpu_ns + process->last_oncpu_ns;
	return (__s64)oncpu;
}

/* A life lasts until the last switch, as the time on the CPU does: the event comes a little earlier. */
static void fill_end(const struct accounts *accounts, struct process *process,
		     struct ebtop_event_row *row)
{
	row->oncpu_ns = oncpu_of(accounts, process, row->tid);
	if (process->last_switch_ns > row->time_ns)
		row->duration_ns += process->last_switch_ns - row->time_ns;
	process->last_switch_ns = 0;
}

size_t events_ready(struct events *events, __u64 now_ns)
{
	struct accounts *accounts = events->accounts;
	size_t ready = events->rows.count;

	/* rows behind the first waiting one are filled too, because their processes are forgotten now */
	for (size_t i = 0; i < events->rows.count; i++) {
		struct ebtop_event_row *row = buffer_at(&events->rows, i);
		struct process *process;

		if (row->type != EBTOP_EVENT_EXIT || row->oncpu_ns >= 0)
			continue;
		process = accounts_find(accounts, row->pid, row->start_ns);
		if (!process)
			continue;
		if (process->flags & PROCESS_ENDED) {
			fill_end(accounts, process, row);
		} else if (accounts->have_sched && now_ns < row->time_ns + EXIT_WAIT_NS) {
			ready = i < ready ? i : ready;
		} else {
			/* its last switch was not seen */
			accounts_mark_active(accounts, process);
			process->flags |= PROCESS_ENDED;
		}
	}
	return ready;
}
