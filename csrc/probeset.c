// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the opening and closing of probes as a set. Those that account for processes (sched, life,
 * tasks) are there from the beginning to the end; the others come and go with who looks at them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "ahead.h"
#include "error.h"
#include "kernelbtf.h"
#include "probeset_parts.h"

#define COMES_AND_GOES                                                                             \
	(BIT(EBTOP_SYSCALL) | BIT(EBTOP_OPEN) | BIT(EBTOP_KFUNC) | BIT(EBTOP_BLOCK) |              \
	 BIT(EBTOP_VFS) | BIT(EBTOP_TCP) | BIT(EBTOP_STACKS) | BIT(EBTOP_MEM) |                    \
	 BIT(EBTOP_SIGNALS))
#define USES_FILE_SLOTS (BIT(EBTOP_SYSCALL) | BIT(EBTOP_OPEN) | BIT(EBTOP_VFS) | BIT(EBTOP_MEM))
#define USES_MEM_SLOTS USES_FILE_SLOTS /* whatever may load the programs of system calls */

int probeset_has(const struct probeset *set, enum ebtop_probe probe)
{
	return set->probes[probe].state == EBTOP_PROBE_ON;
}

void leave_off(struct probe *probe)
{
	probe->state = EBTOP_PROBE_OFF;
	strcpy(probe->reason, "not asked for");
}

void open_one(struct probeset *set, enum ebtop_probe which)
{
	set->probes[which].reason[0] = '\0';
	probe_open(&set->probes[which], &probe_kinds[which], set->maps, &set->settings);
}

/* ---- loading several at once; each is then attached when its turn comes ---- */

#define MAPS_MAX 6

/* Dearest first, so that no long one is left for the end; with the maps that must be there before. */
static const struct ahead {
	enum ebtop_probe probe;
	int maps; /* how many of: */
	enum shared_map map[MAPS_MAX];
} ahead_of[] = {
	{ EBTOP_SYSCALL,
	  6,
	  { MAP_FILE_SLOTS, MAP_FILE_COUNTS, MAP_MEM_SLOTS, MAP_SYSCALL_SLOTS, MAP_SYSCALL_LANES,
	    MAP_ODD_NUMBERS } },
	{ EBTOP_BLOCK, 0, { 0 } },
	{ EBTOP_TASKS, 0, { 0 } },
	{ EBTOP_LIFE, 0, { 0 } },
	{ EBTOP_TCP, 3, { MAP_TCP_SLOTS, MAP_CONNECTIONS, MAP_CONNECTION_COUNTS } },
	{ EBTOP_SCHED, 0, { 0 } },
	{ EBTOP_SOCKETS, 3, { MAP_TCP_SLOTS, MAP_CONNECTIONS, MAP_CONNECTION_COUNTS } },
	{ EBTOP_VFS, 3, { MAP_FILE_SLOTS, MAP_FILE_COUNTS, MAP_SYSCALL_SLOTS } },
	{ EBTOP_OPEN, 3, { MAP_FILE_SLOTS, MAP_FILE_COUNTS, MAP_OPEN_CALLS } },
};
#define AHEAD (sizeof(ahead_of) / sizeof(ahead_of[0]))

static int add_maps(struct maps *maps, const enum shared_map *which, int count)
{
	struct ebtop_error error;

	for (int i = 0; i < count; i++)
		if (maps_add(maps, which[i], &error))
			return -ENOMEM;
	return 0;
}

static int has_connections(const struct ahead *one)
{
	for (int i = 0; i < one->maps; i++)
		if (one->map[i] == MAP_CONNECTIONS)
			return 1;
	return 0;
}

static void load_ahead(struct probeset *set, __u32 wanted)
{
	struct probe *probes[EBTOP_PROBES];
	size_t which[AHEAD];
	int found = 0;

	/* what the verifier says is better heard of one at a time */
	if (set->settings.verifier_stats || set->settings.debug)
		return;
	if (wanted & BIT(EBTOP_TCP))
		wanted |= BIT(EBTOP_SOCKETS);
	if (wanted & BIT(EBTOP_MEM))
		wanted |= BIT(EBTOP_SYSCALL);
	for (size_t i = 0; i < AHEAD; i++) {
		struct probe *probe = &set->probes[ahead_of[i].probe];

		if (wanted & BIT(ahead_of[i].probe) && !probe->ahead &&
		    probe->state != EBTOP_PROBE_ON)
			which[found++] = i;
	}
	if (found < 2)
		return;
	for (int i = 0; i < found; i++)
		probe_learn(&set->probes[ahead_of[which[i]].probe], set->maps, &set->settings);
	kernelbtf_learnt();
	/* those of connections last: their table is the largest, and verifying takes room too */
	for (int round = 0; round < 2; round++) {
		int count = 0;

		for (int i = 0; i < found; i++) {
			const struct ahead *one = &ahead_of[which[i]];

			if (has_connections(one) == round &&
			    !add_maps(set->maps, one->map, one->maps))
				probes[count++] = &set->probes[one->probe];
		}
		if (count)
			ahead_load(probes, count, set->maps, &set->settings);
	}
}

/* What nobody opened goes again, and its maps, which without sched have no use. */
static void unload_ahead(struct probeset *set)
{
	for (size_t i = 0; i < AHEAD; i++) {
		probe_unload(&set->probes[ahead_of[i].probe]);
		for (int k = 0; k < ahead_of[i].maps && !probeset_has(set, EBTOP_SCHED); k++)
			maps_drop(set->maps, ahead_of[i].map[k]);
	}
}

static int open_tasks(struct probeset *set)
{
	struct probe *probe = &set->probes[EBTOP_TASKS];

	if (probe->state != EBTOP_PROBE_ON)
		return 0;
	if (!tasks_open(&set->tasks, probe->program_fds[0]))
		return 0;
	probe_close(probe);
	probe->state = EBTOP_PROBE_FAILED;
	strcpy(probe->reason, "the task iterator cannot be opened");
	return -EIO;
}

/* Its counts lie beside the slots of threads. */
int lacks_sched(const struct probeset *set, struct probe *probe)
{
	if (probeset_has(set, EBTOP_SCHED))
		return 0;
	probe->state = EBTOP_PROBE_UNSUPPORTED;
	strcpy(probe->reason, "it needs the probe sched, which is not on");
	return 1;
}

void probeset_switch(struct probeset *set, __u32 wanted)
{
	__u32 collect = wanted & BIT(EBTOP_SYSCALL) ? EBTOP_COLLECT_SYSCALLS : 0;
	__u32 by_syscalls = 0;

	if (wanted & BIT(EBTOP_SOCKETS))
		wanted |= BIT(EBTOP_TCP);
	/* nothing is collected while what is collected changes; connections that end do not
	 * wait, nor do threads */
	config_collect(set->config,
		       (set->config->now->collect & EBTOP_COLLECT_STACKS) |
			       (wanted & BIT(EBTOP_TCP) ? connections_collected(set) : 0));
	if (wanted & USES_FILE_SLOTS)
		make_file_slots(set);
	if (wanted & USES_MEM_SLOTS)
		make_mem_slots(set);
	if (probeset_has(set, EBTOP_SCHED))
		load_ahead(set, wanted);
	if (wanted & BIT(EBTOP_OPEN)) {
		collect |= EBTOP_COLLECT_OPENS;
		if (set->settings.directories)
			collect |= EBTOP_COLLECT_DIRECTORIES;
		by_syscalls = open_by_function(set) ? EBTOP_COLLECT_OPENS_BY_SYSCALLS : 0;
	} else if (set->probes[EBTOP_OPEN].state != EBTOP_PROBE_OFF) {
		close_open(set);
	}
	if (wanted & BIT(EBTOP_VFS)) {
		collect |= EBTOP_COLLECT_FILES;
		by_syscalls |= open_vfs(set) ? EBTOP_COLLECT_FILES_BY_SYSCALLS : 0;
	} else if (set->probes[EBTOP_VFS].state != EBTOP_PROBE_OFF) {
		close_vfs(set);
	}
	if (wanted & BIT(EBTOP_MEM))
		by_syscalls |= open_mem(set);
	else
		leave_off(&set->probes[EBTOP_MEM]);
	if (wanted & BIT(EBTOP_SYSCALL))
		open_syscall(set);
	else if (!by_syscalls && set->probes[EBTOP_SYSCALL].state != EBTOP_PROBE_OFF)
		close_syscall(set);
	if (by_syscalls & EBTOP_COLLECT_OPENS_BY_SYSCALLS)
		open_by_syscalls(set);
	if (by_syscalls & EBTOP_COLLECT_FILES_BY_SYSCALLS)
		vfs_by_syscalls(set);
	if (by_syscalls & EBTOP_COLLECT_MEMORY)
		collect |= mem_by_syscalls(set);
	if (wanted & BIT(EBTOP_KFUNC)) {
		collect |= EBTOP_COLLECT_CALLS;
		open_kfunc(set);
	} else if (set->probes[EBTOP_KFUNC].state != EBTOP_PROBE_OFF) {
		probe_close(&set->probes[EBTOP_KFUNC]);
		leave_off(&set->probes[EBTOP_KFUNC]);
	}
	if (wanted & BIT(EBTOP_SIGNALS)) {
		collect |= EBTOP_COLLECT_SIGNALS;
		if (!probeset_has(set, EBTOP_SIGNALS))
			open_one(set, EBTOP_SIGNALS);
	} else if (set->probes[EBTOP_SIGNALS].state != EBTOP_PROBE_OFF) {
		probe_close(&set->probes[EBTOP_SIGNALS]);
		leave_off(&set->probes[EBTOP_SIGNALS]);
	}
	if (wanted & BIT(EBTOP_BLOCK))
		open_block(set);
	else if (set->probes[EBTOP_BLOCK].state != EBTOP_PROBE_OFF)
		close_block(set);
	if (!(wanted & USES_FILE_SLOTS))
		drop_file_slots(set);
	if (!(wanted & USES_MEM_SLOTS))
		drop_mem_slots(set);
	set->files.bytes = probeset_has(set, EBTOP_VFS);
	set->files.opens = probeset_has(set, EBTOP_OPEN);
	if (wanted & BIT(EBTOP_TCP)) {
		open_tcp(set);
		collect |= connections_collected(set);
	} else if (set->probes[EBTOP_TCP].state != EBTOP_PROBE_OFF) {
		close_tcp(set);
	}
	collect |= set->settings.slow * EBTOP_COLLECT_SLOW;
	collect |= switch_stacks(set, !!(wanted & BIT(EBTOP_STACKS)));
	unload_ahead(set);
	set->settings.probes = (set->settings.probes & ~COMES_AND_GOES) | (wanted & COMES_AND_GOES);
	config_collect(set->config, collect | (by_syscalls & ~(__u32)EBTOP_COLLECT_MEMORY));
	/* what is open already, once nothing that begins now is missed */
	if (set->connections.on && !set->connections.looked_ns)
		connections_find(&set->connections, clock_ns(CLOCK_MONOTONIC));
}

/* ---- all of them ---- */

static int nothing_works(const struct probeset *set)
{
	for (int i = 0; i < EBTOP_PROBES; i++)
		if (set->probes[i].state == EBTOP_PROBE_ON)
			return 0;
	return 1;
}

static int say_why(const struct probeset *set, __u32 wanted, struct ebtop_error *err)
{
	static const int codes[] = {
		[EBTOP_PROBE_DENIED] = -EPERM,
		[EBTOP_PROBE_UNSUPPORTED] = -EOPNOTSUPP,
		[EBTOP_PROBE_FAILED] = -EIO,
	};
	const struct probe *first = NULL;

	for (int i = EBTOP_PROBES - 1; i >= 0; i--)
		if (wanted & BIT(i))
			first = &set->probes[i];
	if (!first)
		return error_set(err, -EINVAL, "probes", "no probe was asked for");
	return error_set(err, codes[first->state], first->kind->name, "%s", first->reason);
}

/* The busiest hooks last: attaching stalls CPUs, and events before the others are ready are noise. */
int probeset_open(struct probeset *set, const struct ebtop_settings *settings, struct maps *maps,
		  struct config *config, struct waits *waits, struct ebtop_error *err)
{
	static const enum ebtop_probe order[] = { EBTOP_TASKS, EBTOP_LIFE, EBTOP_SCHED };
	__u32 wanted = settings->probes;

	set->settings = *settings;
	set->maps = maps;
	set->config = config;
	set->waits = waits;
	/* their counts lie beside the slots of threads */
	if (wanted & (COMES_AND_GOES | BIT(EBTOP_SOCKETS)))
		wanted |= BIT(EBTOP_SCHED);
	for (int i = 0; i < EBTOP_PROBES; i++) {
		set->probes[i].kind = &probe_kinds[i];
		leave_off(&set->probes[i]);
	}
	/* from the first switch on */
	if (wanted & BIT(EBTOP_STACKS) && functions_are_there(&waits->functions))
		config_collect(config, EBTOP_COLLECT_STACKS);
	load_ahead(set, wanted);
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (wanted & BIT(order[i]))
			open_one(set, order[i]);
	open_tasks(set);
	probeset_switch(set, wanted);
	return nothing_works(set) ? say_why(set, wanted, err) : 0;
}

void probeset_detach(struct probeset *set)
{
	/* in force at once; the links may be taken down later by the kernel (before 6.4) */
	config_collect(set->config, 0);
	for (int i = EBTOP_PROBES - 1; i >= 0; i--)
		if (i != EBTOP_SCHED)
			probe_detach(&set->probes[i]);
}

void probeset_close(struct probeset *set)
{
	if (set->syscalls.on)
		close_syscall(set);
	disks_close(&set->disks);
	connections_close(&set->connections);
	for (int i = EBTOP_PROBES - 1; i >= 0; i--)
		probe_close(&set->probes[i]);
	if (set->files.on)
		drop_file_slots(set);
	drop_mem_slots(set);
	tasks_close(&set->tasks);
}
