// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the rows of events: what of each record goes into its row, and which texts. What a birth, an exec
 * or an exit means for a process, the accounts are told here too.
 */
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "accounts/accounts.h"
#include "accounts/events.h"
#include "shared/file_counts.h"

#define ROWS_MAX 32768
#define TEXT_MAX (2u << 20)
#define TEXT_MOST (4096 + EBTOP_FILE_PATH_BYTES) /* what one event may bring */

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

static struct ebtop_event_row *new_row(struct events *events, const struct ebtop_event *head)
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

static void add_fork(struct events *events, const struct ebtop_fork *fork)
{
	struct ebtop_event_row *row = new_row(events, &fork->head);

	accounts_fork(events->accounts, fork);
	if (!row)
		return;
	row->start_ns = fork->start_ns;
	row->ppid = fork->ppid;
}

static void add_exec(struct events *events, const struct ebtop_exec *exec)
{
	struct ebtop_event_row *row = new_row(events, &exec->head);

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

static void add_exit(struct events *events, const struct ebtop_exit *exit)
{
	struct ebtop_event_row *row = new_row(events, &exit->head);

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

static void add_open(struct events *events, const struct ebtop_open *open, size_t size)
{
	struct ebtop_event_row *row = new_row(events, &open->head);
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
static void add_kprobe(struct events *events, const struct ebtop_kfunc *kfunc, size_t size)
{
	struct ebtop_event_row *row = new_row(events, &kfunc->head);
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
static void add_tcp(struct events *events, const struct ebtop_tcp *tcp)
{
	const struct ebtop_connection *connection = &tcp->connection;
	struct ebtop_event_row *row;

	if (connection->flags & EBTOP_CONN_CLOSED)
		accounts_connection_ended(events->accounts, connection);
	/* an end is worth a line in every log */
	row = events->transitions || connection->flags & EBTOP_CONN_CLOSED ?
		      new_row(events, &tcp->head) :
		      NULL;
	if (!row)
		return;
	row->duration_ns = tcp->state_ns;
	row->result = tcp->old_state;
	row->text_bytes = sizeof(*connection);
	row->text = events_add_text(events, (const char *)connection, &row->text_bytes);
}

static void add_mem(struct events *events, const struct ebtop_mem *mem)
{
	struct ebtop_event_row *row = new_row(events, &mem->head);

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

static void add_signal(struct events *events, const struct ebtop_signal *signal)
{
	struct ebtop_event_row *row = new_row(events, &signal->head);

	if (!row)
		return;
	row->result = signal->signal;
	row->marks = signal->ignored ? EBTOP_SIGNAL_IGNORED : 0;
	name_target(events, row, signal->target_pid, signal->target_comm);
}

static void add_oom(struct events *events, const struct ebtop_oom *oom)
{
	struct ebtop_event_row *row = new_row(events, &oom->head);

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
static void add_slow(struct events *events, const struct ebtop_slow *slow)
{
	struct ebtop_event_row *row = new_row(events, &slow->head);
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

int events_are_full(const struct events *events)
{
	return events->rows.count >= ROWS_MAX || events->text.count + TEXT_MOST > TEXT_MAX;
}

void events_make_row(struct events *events, const void *data, size_t size)
{
	const struct ebtop_event *head = data;

	if (head->type == EBTOP_EVENT_FORK)
		add_fork(events, data);
	else if (head->type == EBTOP_EVENT_EXEC || head->type == EBTOP_EVENT_EXEC_FAILED)
		add_exec(events, data);
	else if (head->type == EBTOP_EVENT_EXIT)
		add_exit(events, data);
	else if (head->type == EBTOP_EVENT_OPEN)
		add_open(events, data, size);
	else if (head->type == EBTOP_EVENT_TCP)
		add_tcp(events, data);
	else if (head->type == EBTOP_EVENT_MEM)
		add_mem(events, data);
	else if (head->type == EBTOP_EVENT_SIGNAL)
		add_signal(events, data);
	else if (head->type == EBTOP_EVENT_OOM)
		add_oom(events, data);
	else if (head->type == EBTOP_EVENT_SLOW)
		add_slow(events, data);
	else
		add_kprobe(events, data, size);
}
