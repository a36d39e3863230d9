// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns a session: the order in which its parts are opened, refreshed and closed. The parts
 * themselves are in the folders below.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "accounts/accounts.h"
#include "util/error.h"
#include "util/clock.h"
#include "util/cpus.h"
#include "util/heap.h"
#include "accounts/events.h"
#include "accounts/hidden.h"
#include "accounts/task_reader.h"
#include "shared/file_counts.h"
#include "rows/fullness.h"
#include "loader/kernelbtf.h"
#include "rows/machine.h"
#include "shared/maps.h"
#include "probes/probeset.h"
#include "rows/rows.h"
#include "shared/slots.h"
#include "accounts/filter.h"

_Static_assert(sizeof(struct ebtop_slot) == 128, "a slot is two cache lines");
_Static_assert(sizeof(struct ebtop_wait_slot) == 64, "its waits are one more");
_Static_assert(sizeof(struct ebtop_row) % 8 == 0, "rows are read as 64-bit words");
_Static_assert(sizeof(struct ebtop_task) % 8 == 0, "records follow each other without holes");

/* The first refreshes leave holes of megabytes behind their tables; by the third the tables have found the
 * places that they keep. */
#define SETTLED_REFRESH 3

struct ebtop_session {
	struct maps maps;
	struct config config;
	struct slots slots;
	struct events events;
	struct accounts accounts;
	struct waits waits;
	struct hidden hidden;
	struct rows rows;
	struct probeset set;
	struct task_reader reader;
	struct buffer probe_rows, program_rows;
	struct buffer files; /* struct ebtop_file_row */
	__u32 inspected_pid; /* the process whose waits are counted by stack and bytes by file */
	struct machine machine;
	struct buffer fullness; /* struct ebtop_fullness_row */
	__u64 trimmed_ns;       /* when memory was last returned to the system */
	int handed_out;         /* the events' tables belong to the last refresh */
	int stats_fd;
	int stats_held; /* since before this interval */
};

/* ---- open and close ---- */

/* The slots of threads that ended are taken back, and free ones handed out. */
static void serve_slots(void *context)
{
	struct ebtop_session *session = context;

	if (!session->accounts.have_sched)
		return;
	accounts_scan(&session->accounts, 1);
	slots_provide(&session->slots);
}

static int open_parts(struct ebtop_session *session, const struct ebtop_settings *settings,
		      struct ebtop_error *err)
{
	int ret = maps_open(&session->maps, settings, err);

	if (ret)
		return ret;
	/* the first maps tell that BPF is allowed; the others are made meanwhile */
	kernelbtf_read();
	ret = config_open(&session->config, &session->maps, settings->filter.accepts, err);
	if (ret)
		return ret;
	config_set_filter(session->config.now, &settings->filter);
	ret = slots_open(&session->slots, &session->maps, err);
	if (ret)
		return ret;
	if (accounts_open(&session->accounts, &session->slots))
		return error_set(err, -ENOMEM, "accounts", "no memory");
	session->accounts.waits = &session->waits;
	hidden_open(&session->hidden);
	session->accounts.hidden = &session->hidden;
	session->reader.accounts = &session->accounts;
	session->reader.tasks = &session->set.tasks;
	session->reader.hidden = &session->hidden;
	if (waits_open(&session->waits, &session->maps, settings->wait_functions))
		return error_set(err, -ENOMEM, "waits", "no memory");
	if (settings->symbols_ahead)
		symbols_read_early(&session->waits.symbols);
	ret = events_open(&session->events, &session->maps, &session->accounts, err);
	if (ret)
		return ret;
	session->events.transitions = (int)settings->transitions;
	if (machine_open(&session->machine, &session->maps))
		return error_set(err, -ENOMEM, "machine", "no memory");
	ret = probeset_open(&session->set, settings, &session->maps, &session->config,
			    &session->waits, err);
	session->accounts.attached_boot_ns = clock_ns(CLOCK_BOOTTIME);
	probeset_account(&session->set, &session->accounts);
	if (session->accounts.have_sched)
		cpus_visit(session->maps.cpus);
	return ret;
}

static int open_session(struct ebtop_session *session, const struct ebtop_settings *settings,
			struct ebtop_error *err)
{
	int ret;

	kernelbtf_share();
	ret = open_parts(session, settings, err);
	symbols_wait(&session->waits.symbols);
	session->waits.symbols.meanwhile = serve_slots;
	session->waits.symbols.context = session;
	kernelbtf_drop();
	return ret;
}

ebtop_session *ebtop_open(const struct ebtop_settings *settings, struct ebtop_error *err)
{
	struct ebtop_session *session = calloc(1, sizeof(*session));

	if (!session) {
		error_set(err, -ENOMEM, "session", "no memory");
		return NULL;
	}
	heap_keep_large_apart();
	memset(session->maps.fd, -1, sizeof(session->maps.fd));
	session->set.tasks.all_link = session->stats_fd = -1;
	session->reader.watched = BUFFER_OF(struct watch_entry);
	session->probe_rows = BUFFER_OF(struct ebtop_probe_row);
	session->program_rows = BUFFER_OF(struct ebtop_program_row);
	session->files = BUFFER_OF(struct ebtop_file_row);
	session->fullness = BUFFER_OF(struct ebtop_fullness_row);
	session->waits.symbols.symbols_fd = -1;
	rows_open(&session->rows);
	error_capture_libbpf((int)settings->debug);
	if (open_session(session, settings, err)) {
		ebtop_close(session);
		return NULL;
	}
	return session;
}

void ebtop_close(ebtop_session *session)
{
	if (!session)
		return;
	probeset_close(&session->set);
	events_close(&session->events);
	if (session->accounts.slots)
		accounts_close(&session->accounts);
	waits_close(&session->waits);
	hidden_close(&session->hidden);
	slots_close(&session->slots);
	config_close(&session->config);
	maps_close(&session->maps);
	rows_close(&session->rows);
	buffer_free(&session->reader.watched);
	machine_close(&session->machine);
	buffer_free(&session->probe_rows);
	buffer_free(&session->program_rows);
	buffer_free(&session->files);
	buffer_free(&session->fullness);
	if (session->stats_fd >= 0)
		close(session->stats_fd);
	free(session);
}

void ebtop_switch(ebtop_session *session, __u32 probes)
{
	kernelbtf_share();
	probeset_switch(&session->set, probes);
	kernelbtf_drop();
	probeset_account(&session->set, &session->accounts);
}

void ebtop_programs(ebtop_session *session, struct ebtop_table *ret)
{
	session->program_rows.count = 0;
	for (int i = 0; i < EBTOP_PROBES; i++)
		probe_programs(&session->set.probes[i], i, &session->program_rows);
	*ret = buffer_table(&session->program_rows);
}

void ebtop_filter(ebtop_session *session, const struct ebtop_config *filter)
{
	config_set_filter(session->config.now, filter);
}

void ebtop_free_rows(void *rows)
{
	free(rows);
}

void ebtop_symbols(ebtop_session *session, struct ebtop_symbol *symbols, __u32 count)
{
	symbols_names(&session->waits.symbols, symbols, count);
}

void ebtop_inspect(ebtop_session *session, __u32 pid)
{
	if (session->inspected_pid == pid)
		return;
	session->config.now->inspected_pid = 0;
	waits_forget(&session->waits);
	filecounts_forget(&session->maps);
	session->inspected_pid = pid;
	session->config.now->inspected_ns = clock_ns(CLOCK_MONOTONIC);
	session->config.now->inspected_pid = pid;
}

/* ---- poll ---- */

int ebtop_event_fd(const ebtop_session *session)
{
	const struct accounts *accounts = &session->accounts;

	return accounts->have_life || accounts->have_sched ? events_fd(&session->events) : -1;
}

static int drain_events(struct ebtop_session *session)
{
	if (session->handed_out)
		events_reset(&session->events);
	session->handed_out = 0;
	return events_drain(&session->events);
}

int ebtop_poll(ebtop_session *session)
{
	session->accounts.now_ns = clock_ns(CLOCK_MONOTONIC);
	serve_slots(session);
	return drain_events(session);
}

int ebtop_stream(ebtop_session *session, struct ebtop_snapshot *ret, struct ebtop_error *err)
{
	struct events *events = &session->events;
	int drained;

	memset(ret, 0, sizeof(*ret));
	events->bounded = 1;
	drained = ebtop_poll(session);
	events->bounded = 0;
	ret->taken_ns = session->accounts.now_ns;
	if (drained < 0 && drained != -ENOBUFS)
		return error_set(err, drained, "events", "cannot read the ring buffer: %s",
				 strerror(-drained));
	probeset_losses(&session->set, session->machine.missed);
	machine_pack_losses(&session->machine, &session->accounts, &session->events,
			    &session->maps);
	ret->system = (struct ebtop_table){ &session->machine.system, 1,
					    sizeof(session->machine.system) };
	accounts_find_ended(&session->accounts);
	events->handed_out = events_ready(events, ret->taken_ns);
	ret->more = drained == -ENOBUFS || events->handed_out < events->rows.count;
	ret->events = buffer_table(&events->rows);
	ret->events.count = (__u32)events->handed_out;
	ret->text = buffer_table(&events->text);
	session->handed_out = 1;
	/* what is still in the ring buffer may speak of them */
	if (drained != -ENOBUFS)
		accounts_next(&session->accounts);
	return 0;
}

void ebtop_detach(ebtop_session *session)
{
	probeset_detach(&session->set);
}

/* ---- refresh ---- */

static void hold_stats(struct ebtop_session *session, int wanted)
{
	session->stats_held = session->stats_fd >= 0;
	if (wanted && session->stats_fd < 0)
		session->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (!wanted && session->stats_fd >= 0) {
		close(session->stats_fd);
		session->stats_fd = -1;
	}
}

static void fill_snapshot(struct ebtop_session *session, struct ebtop_snapshot *ret)
{
	ret->system = (struct ebtop_table){ &session->machine.system, 1,
					    sizeof(session->machine.system) };
	/* of ten thousand rows a second copy would be six megabytes */
	ret->processes = buffer_give(&session->rows.processes);
	ret->threads = buffer_table(&session->rows.threads);
	ret->events = buffer_table(&session->events.rows);
	ret->text = buffer_table(&session->events.text);
	ret->probes = buffer_table(&session->probe_rows);
	probeset_pack(&session->set, ret);
	ret->inspected_pid = session->inspected_pid;
	session->files.count = session->waits.rows.count = 0;
	if (session->inspected_pid) {
		waits_list(&session->waits);
		filecounts_list(&session->maps, &session->files);
	}
	ret->waits = buffer_table(&session->waits.rows);
	ret->files = buffer_table(&session->files);
	ret->sizes = buffer_table(&session->rows.sizes);
	fullness_list(&session->fullness, &session->maps, &session->accounts, &session->events,
		      &session->waits);
	ret->fullness = buffer_table(&session->fullness);
	ret->filter = session->accounts.filter;
}

/* A filter may come from another process too. */
static void take_filter(struct ebtop_session *session)
{
	struct accounts *accounts = &session->accounts;
	__u32 before = accounts->filter.generation;

	accounts->filter = config_read(&session->config);
	if (accounts->filter.generation != before)
		accounts_follow(accounts);
}

/* Which process it is that the filter names: the one of that number now, and no later one. */
static void remember_named_process(struct ebtop_session *session)
{
	struct ebtop_config *filter = &session->accounts.filter;
	const struct process *process;

	if (!filter->pid)
		return;
	if (filter->pid_start_ns) {
		/* of whoever ends unseen no program says so */
		process = accounts_find(&session->accounts, filter->pid, filter->pid_start_ns);
		if (process && (process->flags & (PROCESS_HIDDEN | PROCESS_ENDED)) ==
				       (PROCESS_HIDDEN | PROCESS_ENDED))
			session->config.now->pid = EBTOP_NOBODY;
		return;
	}
	process = accounts_of_pid(&session->accounts, filter->pid);
	if (!process)
		return;
	filter->pid_start_ns = process->node.start_ns;
	session->config.now->pid_start_ns = process->node.start_ns;
}

int ebtop_follows(ebtop_session *session)
{
	size_t count;
	const struct process_entry *all = accounts_list(&session->accounts, &count);

	take_filter(session);
	accounts_find_ended(&session->accounts);
	for (size_t i = 0; i < count; i++)
		if (!(all[i].process->flags & PROCESS_ENDED) &&
		    accounts_follows(&session->accounts, all[i].process))
			return 1;
	return 0;
}

int ebtop_refresh(ebtop_session *session, __u32 flags, struct ebtop_snapshot *ret,
		  struct ebtop_error *err)
{
	struct accounts *accounts = &session->accounts;
	__u64 boot = clock_ns(CLOCK_BOOTTIME);
	int drained;

	accounts->now_ns = clock_ns(CLOCK_MONOTONIC);
	ret->taken_ns = accounts->now_ns;
	ret->interval_ns = accounts->before_ns ? accounts->now_ns - accounts->before_ns : 0;
	if (!accounts->before_ns)
		accounts->before_ns = accounts->now_ns;
	config_time_every(&session->config, 1u << (flags >> EBTOP_EVERY_SHIFT & 15));
	session->config.now->functions = !!(flags & EBTOP_WANT_FUNCTIONS);
	take_filter(session);
	if (accounts->have_sched) {
		machine_find_online(accounts);
		hidden_settle(&session->hidden, accounts,
			      probe_program(&session->set.probes[EBTOP_SCHED], "current_raw"));
		accounts_scan(accounts, 0);
		machine_count_switches(&session->machine, accounts);
		slots_provide(&session->slots);
	}
	drained = drain_events(session);
	if (drained < 0)
		return error_set(err, drained, "events", "cannot read the ring buffer: %s",
				 strerror(-drained));
	accounts_find_ended(accounts);
	session->reader.inspected_pid = session->inspected_pid;
	task_reader_read(&session->reader);
	remember_named_process(session);
	/* stacks that were met first while tasks were read */
	if ((accounts->unexplained.count || accounts->new_stacks) &&
	    events_drain(&session->events) >= 0)
		accounts_explain(accounts);
	accounts->new_stacks = 0;
	accounts_find_ended(accounts);
	events_ready(&session->events, accounts->now_ns);
	probeset_charge(&session->set, accounts);
	accounts_settle(accounts);
	probeset_settle(&session->set, accounts, flags);
	rows_pack(&session->rows, accounts, &session->events, flags);
	probeset_losses(&session->set, session->machine.missed);
	machine_pack(&session->machine, accounts, &session->events, &session->rows, &session->maps);
	hold_stats(session, !!(flags & EBTOP_WANT_COST));
	probeset_rows(&session->set, session->stats_held, &session->probe_rows);
	fill_snapshot(session, ret);
	session->events.handed_out = session->events.rows.count;
	session->handed_out = 1;
	if (accounts->refresh >= SETTLED_REFRESH)
		heap_trim(accounts->now_ns, &session->trimmed_ns);
	accounts_next(accounts);
	accounts->before_boot_ns = boot;
	if (flags & EBTOP_RESET) {
		accounts_reset(accounts);
		probeset_reset(&session->set, accounts);
	}
	ret->took_ns = clock_ns(CLOCK_MONOTONIC) - ret->taken_ns;
	return 0;
}
