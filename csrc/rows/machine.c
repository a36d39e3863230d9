// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the machine's own row: context switches, the run queue, counts of processes and threads, losses.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "util/histogram.h"
#include "rows/machine.h"

int machine_open(struct machine *machine, const struct maps *maps)
{
	machine->cpus = maps->cpus;
	machine->shards_bytes = (maps->cpus * sizeof(struct ebtop_runq_shard) + 4095) & ~4095ul;
	machine->shards = mmap(NULL, machine->shards_bytes, PROT_READ, MAP_SHARED,
			       maps->fd[MAP_RUNQ_SHARDS], 0);
	if (machine->shards == MAP_FAILED)
		machine->shards = NULL;
	return machine->shards ? 0 : -ENOMEM;
}

void machine_close(struct machine *machine)
{
	if (machine->shards)
		munmap(machine->shards, machine->shards_bytes);
	machine->shards = NULL;
}

/* "0,3-7"; where that cannot be read, all are. */
void machine_find_online(struct accounts *accounts)
{
	FILE *file = fopen("/sys/devices/system/cpu/online", "re");
	__u32 cpus = accounts->slots->cpus, first, last;

	memset(accounts->cpu_online, !file, cpus);
	if (!file)
		return;
	while (fscanf(file, "%u", &first) == 1) {
		if (fscanf(file, "-%u", &last) != 1)
			last = first;
		for (__u32 cpu = first; cpu <= last && cpu < cpus; cpu++)
			accounts->cpu_online[cpu] = 1;
		if (fgetc(file) != ',')
			break;
	}
	fclose(file);
}

/* Idle threads switch too; their slots count it. */
void machine_count_switches(struct machine *machine, struct accounts *accounts)
{
	__u64 switches = 0;

	for (__u32 cpu = 0; cpu < accounts->slots->cpus; cpu++)
		switches += slots_at(accounts->slots, cpu + 1)->voluntary_switches;
	accounts->switches += switches - machine->idle_switches;
	machine->idle_switches = switches;
}

void machine_pack_losses(struct machine *machine, const struct accounts *accounts,
			 const struct events *events, const struct maps *maps)
{
	struct ebtop_system_row *system = &machine->system;
	__u64 lost[EBTOP_LOSSES];

	machine->lost_rows += events->dropped_rows;
	if (maps_losses(maps, lost))
		memcpy(lost, machine->lost, sizeof(lost));
	lost[EBTOP_LOST_EVENT_ROWS] = machine->lost_rows;
	lost[EBTOP_LOST_MEMORY] = accounts->lost_memory;
	for (int cause = 0; cause < EBTOP_LOSSES; cause++) {
		lost[cause] += machine->missed[cause];
		system->lost[cause] = lost[cause] - machine->lost[cause];
		system->lost_total[cause] = lost[cause];
		machine->lost[cause] = lost[cause];
	}
}

static int filters(const struct ebtop_config *filter)
{
	return filter->pid || filter->uid != EBTOP_ANY_UID || filter->min_latency_ns;
}

/* What ended on any CPU since the last time. */
static void pack_run_queue(struct machine *machine, const struct accounts *accounts)
{
	struct ebtop_system_row *system = &machine->system;
	__u32 sums[EBTOP_FINE_BUCKETS] = { 0 };
	struct histogram waits;

	for (__u32 cpu = 0; cpu < machine->cpus; cpu++)
		for (__u32 bucket = 0; bucket < EBTOP_FINE_BUCKETS; bucket++)
			sums[bucket] += machine->shards[cpu].buckets[bucket];
	histogram_clear(&waits);
	for (__u32 bucket = 0; bucket < EBTOP_FINE_BUCKETS; bucket++) {
		waits.buckets[bucket] = sums[bucket] - machine->runq_waits[bucket];
		system->runq_waits += waits.buckets[bucket];
	}
	memcpy(machine->runq_waits, sums, sizeof(sums));
	if (system->runq_waits)
		system->runq_p99_ns = histogram_percentile(&waits, 99);
	if (accounts->have_sched)
		system->known |= 1u << EBTOP_SYSTEM_RUNQ;
}

static void sum_processes(struct ebtop_system_row *system, const struct accounts *accounts)
{
	struct process **active = (void *)accounts->active.data;

	for (size_t i = 0; i < accounts->active.count; i++) {
		const __u64 *counters = active[i]->sums->interval;

		system->runq_wait_ns += counters[EBTOP_RUNQ_WAIT_NS];
		system->allocated_bytes += counters[EBTOP_ALLOCATED_BYTES];
		system->freed_bytes += counters[EBTOP_FREED_BYTES];
	}
	if (accounts->memory && !filters(&accounts->filter))
		system->known |= 1u << EBTOP_SYSTEM_MEMORY;
}

void machine_pack(struct machine *machine, const struct accounts *accounts,
		  const struct events *events, const struct rows *rows, const struct maps *maps)
{
	struct ebtop_system_row *system = &machine->system;

	memset(system, 0, sizeof(*system));
	system->processes = rows->live_processes;
	system->active = rows->active;
	system->threads = rows->live_threads;
	/* only task records show a process that sleeps all the time */
	if (accounts->have_tasks)
		system->known |= 1u << EBTOP_SYSTEM_THREADS;
	if (accounts->have_sched) {
		system->context_switches = accounts->switches;
		system->known |= 1u << EBTOP_SYSTEM_CONTEXT_SWITCHES;
	}
	/* of the filtered only, or of all */
	if (accounts->syscalls && !filters(&accounts->filter)) {
		system->syscalls = accounts->syscalls->calls;
		system->known |= 1u << EBTOP_SYSTEM_SYSCALLS;
	}
	if (accounts->have_life) {
		memcpy(system->events, events->counts, sizeof(system->events));
		system->known |= 1u << EBTOP_SYSTEM_EVENTS;
	}
	machine_pack_losses(machine, accounts, events, maps);
	pack_run_queue(machine, accounts);
	sum_processes(system, accounts);
}
