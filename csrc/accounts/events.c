// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the reading end of the ring buffer. The records come from our own programs, but each size is
 * still checked against its type: a record of unknown shape is skipped, never interpreted.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "accounts/accounts.h"
#include "util/error.h"
#include "accounts/events.h"
#include "shared/file_counts.h"

#define ROWS_MAX 32768
#define TEXT_MAX (2u << 20)
#define TEXT_MOST (4096 + EBTOP_FILE_PATH_BYTES) /* what one event may bring */
#define EXIT_WAIT_NS 100000000u                  /* an exit's on-CPU time is worth so much delay */

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
	row->oncpu_ns = -1;
	memcpy(row->comm, head->comm, sizeof(row->comm));
	memcpy(row->thread_comm, head->thread_comm, sizeof(row->thread_comm));
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

	if (exec->head.type == EBTOP_EVENT_EXEC)
		accounts_exec(events->accounts, exec);
	if (!row)
		return;
	row->start_ns = exec->start_ns;
	row->ppid = exec->ppid;
	row->text_bytes = exec->args_bytes <= EBTOP_ARGS_BYTES ? exec->args_bytes : 0;
	row->text = events_add_text(events, exec->args, &row->text_bytes);
	row->name_bytes = exec->name_bytes < EBTOP_ARGS_BYTES ? exec->name_bytes : 0;
	row->name = events_add_text(events, exec->name, &row->name_bytes);
	row->file_bytes = exec->file_bytes < EBTOP_FILE_NAME_BYTES ? exec->file_bytes : 0;
	row->file = events_add_text(events, exec->file, &row->file_bytes);
	row->marks = exec->args_cut ? EBTOP_TEXT_CUT : 0;
	row->result = exec->error;
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

/* Of the parts a path, with what is to be said of it. */
static void add_directory(struct events *events, struct ebtop_event_row *row,
			  const struct ebtop_open *open)
{
	char path[EBTOP_FILE_PATH_BYTES];
	int whole = !!(open->directory & EBTOP_DIRECTORY_WHOLE);

	if (filecounts_path(open->name, (__u32)whole, path))
		row->marks |= EBTOP_PATH_CUT;
	if (whole && !path[0])
		strcpy(path, "/");
	if (open->directory & EBTOP_DIRECTORY_REMOVED)
		row->marks |= EBTOP_PATH_REMOVED;
	row->name_bytes = (__u32)strlen(path);
	row->name = events_add_text(events, path, &row->name_bytes);
}

static void take_open(struct events *events, const struct ebtop_open *open, size_t size)
{
	struct ebtop_event_row *row = add_row(events, &open->head);
	size_t room = size - offsetof(struct ebtop_open, name);
	size_t before = open->directory & EBTOP_DIRECTORY_ASKED ? EBTOP_FILE_PATH_PARTS_BYTES : 0;

	if (!row)
		return;
	row->duration_ns = open->duration_ns;
	row->result = open->result;
	row->open_flags = open->flags;
	row->marks =
		(open->name_cut ? EBTOP_TEXT_CUT : 0) | (open->name_unread ? EBTOP_TEXT_UNREAD : 0);
	row->dirfd = open->dirfd;
	row->text_bytes = before + open->name_bytes <= room ? open->name_bytes : 0;
	row->text = events_add_text(events, open->name + before, &row->text_bytes);
	if (before <= room && open->directory & EBTOP_DIRECTORY_NAMED)
		add_directory(events, row, open);
}

/* What of the record is used, without the room between. */
static void take_kprobe(struct events *events, const struct ebtop_kfunc *kfunc, size_t size)
{
	struct ebtop_event_row *row = add_row(events, &kfunc->head);
	const struct ebtop_call *call = &kfunc->call;
	const char *from = kfunc->data, *end = (const char *)kfunc + size;
	char packed[sizeof(*call) + EBTOP_CALL_DATA_BYTES];
	size_t used = sizeof(*call);

	if (!row)
		return;
	row->duration_ns = kfunc->duration_ns;
	row->result = kfunc->result;
	memcpy(packed, call, sizeof(*call));
	if (call->with_stack && call->frames > 0 && call->frames <= EBTOP_CALL_FRAMES &&
	    end - from >= EBTOP_CALL_STACK_BYTES) {
		memcpy(packed + used, from, (size_t)call->frames * sizeof(__u64));
		used += (size_t)call->frames * sizeof(__u64);
	}
	from += call->with_stack ? EBTOP_CALL_STACK_BYTES : 0;
	for (int i = 0; i < EBTOP_CALL_ARGS && end - from >= EBTOP_CALL_TEXT_ROOM; i++) {
		__s32 bytes = call->text_bytes[i];

		if (!(call->texts & 1u << i))
			continue;
		if (bytes > 0 && bytes <= EBTOP_CALL_TEXT_BYTES) {
			memcpy(packed + used, from, (size_t)bytes);
			used += (size_t)bytes;
		}
		from += EBTOP_CALL_TEXT_ROOM;
	}
	row->text_bytes = (__u32)used;
	row->text = events_add_text(events, packed, &row->text_bytes);
}

/* The row's text is the connection. */
static void take_tcp(struct events *events, const struct ebtop_tcp *tcp)
{
	const struct ebtop_connection *connection = &tcp->connection;
	struct ebtop_event_row *row;

	if (connection->flags & EBTOP_CONN_CLOSED)
		accounts_connection_ended(events->accounts, connection);
	/* an end is worth a line in every log */
	row = events->transitions || connection->flags & EBTOP_CONN_CLOSED ?
		      add_row(events, &tcp->head) :
		      NULL;
	if (!row)
		return;
	row->duration_ns = tcp->state_ns;
	row->result = tcp->old_state;
	row->text_bytes = sizeof(*connection);
	row->text = events_add_text(events, (const char *)connection, &row->text_bytes);
}

static void take_mem(struct events *events, const struct ebtop_mem *mem)
{
	struct ebtop_event_row *row = add_row(events, &mem->head);

	if (!row)
		return;
	row->address = mem->address;
	row->allocated_bytes = mem->allocated_bytes;
	row->freed_bytes = mem->freed_bytes;
	row->open_flags = mem->call;
}

static void name_target(struct events *events, struct ebtop_event_row *row, __u32 pid,
			const char *comm)
{
	row->target = pid;
	row->text_bytes = (__u32)strnlen(comm, EBTOP_COMM_BYTES);
	row->text = events_add_text(events, comm, &row->text_bytes);
}

static void take_signal(struct events *events, const struct ebtop_signal *signal)
{
	struct ebtop_event_row *row = add_row(events, &signal->head);

	if (!row)
		return;
	row->result = signal->signal;
	row->marks = signal->ignored ? EBTOP_SIGNAL_IGNORED : 0;
	name_target(events, row, signal->target_pid, signal->target_comm);
}

static void take_oom(struct events *events, const struct ebtop_oom *oom)
{
	struct ebtop_event_row *row = add_row(events, &oom->head);

	if (!row)
		return;
	row->result = oom->rss_pages < 0 ? -1 : oom->rss_pages * sysconf(_SC_PAGESIZE);
	row->address = oom->cgroup_id;
	name_target(events, row, oom->victim_pid, oom->victim_comm);
}

/* The process that a request is charged to was not current when the request completed. */
static void name_owner(const struct accounts *accounts, struct ebtop_event_row *row, __u64 start_ns)
{
	const struct process *process = accounts_find(accounts, row->pid, start_ns);

	row->uid = EBTOP_ANY_UID;
	if (!process)
		return;
	memcpy(row->comm, process->comm, sizeof(row->comm));
	if (process->flags & PROCESS_FACTS)
		row->uid = process->uid;
}

/* The row's text is what is known of it, with the reason that its stack told meanwhile. */
static void take_slow(struct events *events, const struct ebtop_slow *slow)
{
	struct ebtop_event_row *row = add_row(events, &slow->head);
	struct ebtop_slow_data data = slow->data;
	__u32 reason = data.evidence & 7;

	if (!row)
		return;
	if (data.kind == EBTOP_SLOW_WAIT) {
		if (data.stack)
			reason = waits_reason(events->accounts->waits, data.stack, data.evidence);
		data.evidence = reason < EBTOP_WAITS ? reason : data.evidence & 7;
	}
	if (data.kind == EBTOP_SLOW_DISK)
		name_owner(events->accounts, row, data.owner_ns);
	row->duration_ns = data.duration_ns;
	row->result = data.result;
	row->text_bytes = sizeof(data);
	row->text = events_add_text(events, (const char *)&data, &row->text_bytes);
}

static int is_full(const struct events *events)
{
	return events->rows.count >= ROWS_MAX || events->text.count + TEXT_MOST > TEXT_MAX;
}

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
	if (head->type == EBTOP_EVENT_FORK)
		take_fork(events, data);
	else if (head->type == EBTOP_EVENT_EXEC || head->type == EBTOP_EVENT_EXEC_FAILED)
		take_exec(events, data);
	else if (head->type == EBTOP_EVENT_EXIT)
		take_exit(events, data);
	else if (head->type == EBTOP_EVENT_OPEN)
		take_open(events, data, size);
	else if (head->type == EBTOP_EVENT_TCP)
		take_tcp(events, data);
	else if (head->type == EBTOP_EVENT_MEM)
		take_mem(events, data);
	else if (head->type == EBTOP_EVENT_SIGNAL)
		take_signal(events, data);
	else if (head->type == EBTOP_EVENT_OOM)
		take_oom(events, data);
	else if (head->type == EBTOP_EVENT_SLOW)
		take_slow(events, data);
	else
		take_kprobe(events, data, size);
	return events->bounded && is_full(events) ? -ENOBUFS : 0;
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
