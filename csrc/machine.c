// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the machine's own row: CPUs, context switches, counts of processes and threads, losses.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"

int machine_open(struct machine *machine, const struct maps *maps)
{
	size_t bytes = maps->cpus * sizeof(*machine->idle_ns);

	machine->cpus = BUFFER_OF(struct ebtop_cpu_row);
	machine->idle_ns = malloc(bytes);
	if (!machine->idle_ns)
		return -ENOMEM;
	memset(machine->idle_ns, 0xff, bytes);
	return 0;
}

void machine_close(struct machine *machine)
{
	buffer_free(&machine->cpus);
	free(machine->idle_ns);
	machine->idle_ns = NULL;
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

/* Idle time of a CPU since the start; ~0 when nothing is known of it yet. */
static __u64 idle_so_far(const struct machine *machine, const struct accounts *accounts, __u32 cpu)
{
	struct ebtop_slot slot;

	if (slots_read(slots_at(accounts->slots, cpu + 1), &slot))
		return machine->idle_ns[cpu];
	/* never idle since the start: then it is busy, if we know of a thread that is on it */
	if (slot.state == EBTOP_SLOT_FREE)
		return accounts->cpu_busy[cpu] == accounts->refresh ? 0 : machine->idle_ns[cpu];
	if (slot.state == EBTOP_SLOT_RUNNING && accounts->now_ns > slot.since_ns)
		return slot.oncpu_ns + (accounts->now_ns - slot.since_ns);
	return slot.oncpu_ns;
}

static void pack_cpus(struct machine *machine, const struct accounts *accounts)
{
	__u64 interval = accounts->now_ns - accounts->before_ns;

	machine->cpus.count = 0;
	for (__u32 cpu = 0; accounts->have_sched && cpu < accounts->slots->cpus; cpu++) {
		__u64 last = machine->idle_ns[cpu], idle = idle_so_far(machine, accounts, cpu);
		struct ebtop_cpu_row *row;

		/* while it is away its idle time stands still, and would be taken for work */
		machine->idle_ns[cpu] = accounts->cpu_online[cpu] ? idle : ~0ull;
		if (!accounts->cpu_online[cpu])
			continue;
		row = buffer_add(&machine->cpus);
		if (!row)
			return;
		memset(row, 0, sizeof(*row));
		row->cpu = cpu;
		if (last == ~0ull || idle < last)
			continue;
		row->known = 1;
		row->idle_ns = idle - last < interval ? idle - last : interval;
		row->busy_ns = interval - row->idle_ns;
	}
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
	lost[EBTOP_LOST_CALLS] += machine->missed_calls;
	lost[EBTOP_LOST_SYSCALLS] += machine->missed_syscalls;
	lost[EBTOP_LOST_DISK_REQUESTS] += machine->missed_requests;
	if (accounts->connections)
		machine->forgotten_connections = accounts->connections->forgotten;
	lost[EBTOP_LOST_CONNECTIONS] += machine->forgotten_connections;
	for (int cause = 0; cause < EBTOP_LOSSES; cause++) {
		system->lost[cause] = lost[cause] - machine->lost[cause];
		system->lost_total[cause] = lost[cause];
		machine->lost[cause] = lost[cause];
	}
}

static int filters(const struct ebtop_config *filter)
{
	return filter->pid || filter->uid != EBTOP_ANY_UID || filter->min_latency_ns;
}

void machine_pack(struct machine *machine, const struct accounts *accounts,
		  const struct events *events, const struct rows *rows, const struct maps *maps)
{
	struct ebtop_system_row *system = &machine->system;

	memset(system, 0, sizeof(*system));
	system->processes = rows->live_processes;
	system->active = rows->active;
	system->threads = rows->live_threads;
	system->known = 1u << EBTOP_SYSTEM_THREADS;
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
	pack_cpus(machine, accounts);
}
