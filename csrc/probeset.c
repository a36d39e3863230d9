// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the opening and closing of probes as a set. Those that account for processes (sched, life,
 * tasks) are there from the beginning to the end; the others come and go with who looks at them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <bpf/libbpf.h>

#include "ahead.h"
#include "block.h"
#include "error.h"
#include "kfunc.h"
#include "probeset.h"

#define BIT(probe) (1u << (probe))
#define COMES_AND_GOES                                                                             \
	(BIT(EBTOP_SYSCALL) | BIT(EBTOP_OPEN) | BIT(EBTOP_KFUNC) | BIT(EBTOP_BLOCK) |              \
	 BIT(EBTOP_VFS) | BIT(EBTOP_TCP) | BIT(EBTOP_STACKS) | BIT(EBTOP_MEM))
#define USES_FILE_SLOTS (BIT(EBTOP_SYSCALL) | BIT(EBTOP_OPEN) | BIT(EBTOP_VFS) | BIT(EBTOP_MEM))
#define USES_MEM_SLOTS USES_FILE_SLOTS /* whatever may load the programs of system calls */

static __u64 clock_ns(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (__u64)time.tv_sec * 1000000000ull + (__u64)time.tv_nsec;
}

int probeset_has(const struct probeset *set, enum ebtop_probe probe)
{
	return set->probes[probe].state == EBTOP_PROBE_ON;
}

static void leave_off(struct probe *probe)
{
	probe->state = EBTOP_PROBE_OFF;
	strcpy(probe->reason, "not asked for");
}

static void open_one(struct probeset *set, enum ebtop_probe which)
{
	set->probes[which].reason[0] = '\0';
	probe_open(&set->probes[which], &probe_kinds[which], set->maps, &set->settings);
}

/* ---- loading several at once; each is then attached when its turn comes ---- */

#define MAPS_MAX 5

/* Dearest first, so that no long one is left for the end; with the maps that must be there before. */
static const struct {
	enum ebtop_probe probe;
	int maps; /* how many of: */
	enum shared_map map[MAPS_MAX];
} ahead_of[] = {
	{ EBTOP_SYSCALL,
	  5,
	  { MAP_FILE_SLOTS, MAP_FILE_COUNTS, MAP_MEM_SLOTS, MAP_SYSCALL_SLOTS,
	    MAP_SYSCALL_LANES } },
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

static void load_ahead(struct probeset *set, __u32 wanted)
{
	struct probe *probes[EBTOP_PROBES];
	int count = 0;

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
		    probe->state != EBTOP_PROBE_ON &&
		    !add_maps(set->maps, ahead_of[i].map, ahead_of[i].maps))
			probes[count++] = probe;
	}
	if (count > 1)
		ahead_load(probes, count, set->maps, &set->settings);
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
static int lacks_sched(const struct probeset *set, struct probe *probe)
{
	if (probeset_has(set, EBTOP_SCHED))
		return 0;
	probe->state = EBTOP_PROBE_UNSUPPORTED;
	strcpy(probe->reason, "it needs the probe sched, which is not on");
	return 1;
}

/* ---- system calls, and opens seen through them ---- */

static int make_syscall_maps(struct probeset *set)
{
	struct ebtop_error error;
	int ret = maps_add(set->maps, MAP_SYSCALL_SLOTS, &error);

	if (!ret)
		ret = maps_add(set->maps, MAP_SYSCALL_LANES, &error);
	if (!ret)
		ret = syscalls_open(&set->syscalls, set->maps, set->settings.syscall_kinds,
				    clock_ns(CLOCK_MONOTONIC));
	if (!ret)
		set->syscalls.boot_ns = clock_ns(CLOCK_BOOTTIME);
	return ret;
}

static void close_syscall(struct probeset *set)
{
	set->missed_syscalls = probeset_missed_syscalls(set);
	probe_close(&set->probes[EBTOP_SYSCALL]);
	if (set->syscalls.on)
		syscalls_close(&set->syscalls);
	maps_drop(set->maps, MAP_SYSCALL_SLOTS);
	maps_drop(set->maps, MAP_SYSCALL_LANES);
	leave_off(&set->probes[EBTOP_SYSCALL]);
}

static void open_syscall(struct probeset *set)
{
	struct probe *probe = &set->probes[EBTOP_SYSCALL];

	if (probe->state == EBTOP_PROBE_ON)
		return;
	if (lacks_sched(set, probe))
		return;
	if (make_syscall_maps(set)) {
		probe->state = EBTOP_PROBE_FAILED;
		strcpy(probe->reason, "no memory for the counts of system calls");
	} else {
		open_one(set, EBTOP_SYSCALL);
	}
	if (probe->state != EBTOP_PROBE_ON) {
		const struct probe refused = *probe;

		close_syscall(set);
		*probe = refused;
	}
}

/* ---- file opens ---- */

static void close_open(struct probeset *set)
{
	probe_close(&set->probes[EBTOP_OPEN]);
	maps_drop(set->maps, MAP_OPEN_CALLS);
	leave_off(&set->probes[EBTOP_OPEN]);
}

/* By the function that all opens come through where that can be hooked: it costs other calls nothing. */
static int open_by_function(struct probeset *set)
{
	struct probe *probe = &set->probes[EBTOP_OPEN];
	struct ebtop_error error;

	/* on through system calls, it has no object of its own */
	if (probe->object && !probe->ahead)
		return 0;
	if (!probeset_has(set, EBTOP_SCHED) || maps_add(set->maps, MAP_OPEN_CALLS, &error))
		return -ENOMEM;
	open_one(set, EBTOP_OPEN);
	if (probe->state == EBTOP_PROBE_ON)
		return 0;
	close_open(set);
	return -EOPNOTSUPP;
}

/* Else by every system call: the state of opens is then that of the programs which see those. */
static void open_by_syscalls(struct probeset *set)
{
	const struct probe *through = &set->probes[EBTOP_SYSCALL];
	struct probe *probe = &set->probes[EBTOP_OPEN];

	open_syscall(set);
	if (through->state == EBTOP_PROBE_ON && through->variant->lacks) {
		probe->state = EBTOP_PROBE_UNSUPPORTED;
		strcpy(probe->reason, "neither can functions be hooked here nor file names read");
		return;
	}
	probe->state = through->state;
	memcpy(probe->hook, through->hook, sizeof(probe->hook));
	memcpy(probe->reason, through->reason, sizeof(probe->reason));
}

/* ---- files ---- */

static void drop_file_slots(struct probeset *set)
{
	beside_close(&set->files.slots);
	maps_drop(set->maps, MAP_FILE_SLOTS);
	maps_drop(set->maps, MAP_FILE_COUNTS);
	set->files.on = 0;
}

/* Where opens and bytes are counted; several probes write there, so it is made before any loads. */
static void make_file_slots(struct probeset *set)
{
	struct files *files = &set->files;
	struct ebtop_error error;

	if (files->on || !probeset_has(set, EBTOP_SCHED))
		return;
	files->on = !maps_add(set->maps, MAP_FILE_SLOTS, &error) &&
		    !maps_add(set->maps, MAP_FILE_COUNTS, &error) &&
		    !beside_open(&files->slots, set->maps->fd[MAP_FILE_SLOTS],
				 set->maps->slot_count, sizeof(struct ebtop_file_slot));
	files->boot_ns = clock_ns(CLOCK_BOOTTIME);
	if (!files->on)
		drop_file_slots(set);
}

static void close_vfs(struct probeset *set)
{
	probe_close(&set->probes[EBTOP_VFS]);
	leave_off(&set->probes[EBTOP_VFS]);
}

/* Whether its bytes come through system calls, whose slots it then has to share. */
static int open_vfs(struct probeset *set)
{
	struct probe *probe = &set->probes[EBTOP_VFS];
	struct ebtop_error error;

	if (probe->state == EBTOP_PROBE_ON)
		return probe->variant->through_syscalls;
	if (lacks_sched(set, probe))
		return 0;
	if (!set->files.on || maps_add(set->maps, MAP_SYSCALL_SLOTS, &error)) {
		probe->state = EBTOP_PROBE_FAILED;
		strcpy(probe->reason, "no memory for the counts of files");
		return 0;
	}
	open_one(set, EBTOP_VFS);
	if (probe->state == EBTOP_PROBE_ON && probe->variant->through_syscalls)
		return 1;
	/* it was for that variant alone, unless the probe syscall runs or waits to be attached */
	if (!set->syscalls.on && !set->probes[EBTOP_SYSCALL].ahead)
		maps_drop(set->maps, MAP_SYSCALL_SLOTS);
	return 0;
}

/* The state of the probe is then that of the programs which see the calls. */
static void vfs_by_syscalls(struct probeset *set)
{
	const struct probe *through = &set->probes[EBTOP_SYSCALL];
	struct probe *probe = &set->probes[EBTOP_VFS];
	char own[sizeof(probe->hook)];

	open_syscall(set);
	if (through->state != EBTOP_PROBE_ON || through->variant->lacks) {
		probe_close(probe);
		probe->state = EBTOP_PROBE_UNSUPPORTED;
		strcpy(probe->reason,
		       "neither can functions be hooked here nor descriptors looked up");
	} else if (!strstr(probe->hook, through->hook)) {
		memcpy(own, probe->hook, sizeof(own));
		snprintf(probe->hook, sizeof(probe->hook), "%.100s, %.120s", through->hook, own);
	}
}

/* ---- memory ---- */

/* Where calls that map memory are counted; the programs of system calls share it when they load. */
static void make_mem_slots(struct probeset *set)
{
	struct memory *memory = &set->memory;
	struct ebtop_error error;

	if (memory->on || !probeset_has(set, EBTOP_SCHED) ||
	    maps_add(set->maps, MAP_MEM_SLOTS, &error))
		return;
	memory->on = !beside_open(&memory->slots, set->maps->fd[MAP_MEM_SLOTS],
				  set->maps->slot_count, sizeof(struct ebtop_mem_slot));
	memory->boot_ns = clock_ns(CLOCK_BOOTTIME);
	if (!memory->on)
		maps_drop(set->maps, MAP_MEM_SLOTS);
}

static void drop_mem_slots(struct probeset *set)
{
	if (!set->memory.on)
		return;
	beside_close(&set->memory.slots);
	maps_drop(set->maps, MAP_MEM_SLOTS);
	set->memory.on = 0;
}

/* Whether it counts through system calls. */
static __u32 open_mem(struct probeset *set)
{
	struct probe *probe = &set->probes[EBTOP_MEM];

	if (lacks_sched(set, probe))
		return 0;
	if (set->memory.on)
		return EBTOP_COLLECT_MEMORY;
	probe->state = EBTOP_PROBE_FAILED;
	strcpy(probe->reason, "no memory for the counts of allocations");
	return 0;
}

/* Before Linux 5.11 nothing of a process's memory can be read where other memory must not be. */
static int can_read_mm(const struct probe *through)
{
	return !through->variant->lacks ||
	       libbpf_probe_bpf_helper(BPF_PROG_TYPE_RAW_TRACEPOINT, BPF_FUNC_get_current_task_btf,
				       NULL) == 1;
}

static __u32 mem_by_syscalls(struct probeset *set)
{
	const struct probe *through = &set->probes[EBTOP_SYSCALL];
	struct probe *probe = &set->probes[EBTOP_MEM];
	char *lacks;

	open_syscall(set);
	probe->state = through->state;
	memcpy(probe->hook, through->hook, sizeof(probe->hook));
	memcpy(probe->reason, through->reason, sizeof(probe->reason));
	/* what those lack is no loss here */
	if ((lacks = strstr(probe->hook, " (")))
		*lacks = '\0';
	if (probe->state == EBTOP_PROBE_ON && !can_read_mm(through)) {
		probe->state = EBTOP_PROBE_UNSUPPORTED;
		probe->hook[0] = '\0';
		strcpy(probe->reason, "how much is mapped cannot be read here");
	}
	if (probe->state != EBTOP_PROBE_ON)
		return 0;
	return EBTOP_COLLECT_MEMORY | (set->settings.allocations ? EBTOP_COLLECT_ALLOCATIONS : 0);
}

/* ---- connections ---- */

static void close_tcp(struct probeset *set)
{
	probe_close(&set->probes[EBTOP_TCP]);
	connections_close(&set->connections);
	probe_close(&set->probes[EBTOP_SOCKETS]);
	maps_drop(set->maps, MAP_TCP_SLOTS);
	maps_drop(set->maps, MAP_CONNECTIONS);
	maps_drop(set->maps, MAP_CONNECTION_COUNTS);
	leave_off(&set->probes[EBTOP_TCP]);
	leave_off(&set->probes[EBTOP_SOCKETS]);
}

static int open_connections(struct probeset *set)
{
	const struct probe *sockets = &set->probes[EBTOP_SOCKETS];
	struct ebtop_error error;
	int programs[2] = { -1, -1 }, ret;

	ret = maps_add(set->maps, MAP_TCP_SLOTS, &error);
	if (!ret)
		ret = maps_add(set->maps, MAP_CONNECTIONS, &error);
	if (!ret)
		ret = maps_add(set->maps, MAP_CONNECTION_COUNTS, &error);
	if (ret)
		return ret;
	open_one(set, EBTOP_SOCKETS);
	for (int i = 0; i < sockets->programs && i < 2; i++)
		programs[i] = sockets->program_fds[i];
	ret = connections_open(&set->connections, set->maps, programs[0], programs[1]);
	set->connections.boot_ns = clock_ns(CLOCK_BOOTTIME);
	return ret;
}

static void open_tcp(struct probeset *set)
{
	struct probe *probe = &set->probes[EBTOP_TCP];

	if (probe->state == EBTOP_PROBE_ON)
		return;
	if (!probeset_has(set, EBTOP_SCHED)) {
		probe->state = EBTOP_PROBE_UNSUPPORTED;
		strcpy(probe->reason, "it needs the probe sched, which is not on");
		return;
	}
	if (open_connections(set)) {
		probe->state = EBTOP_PROBE_FAILED;
		strcpy(probe->reason, "no memory for the table of connections");
	} else {
		open_one(set, EBTOP_TCP);
	}
	if (probe->state != EBTOP_PROBE_ON) {
		const struct probe refused = *probe;

		close_tcp(set);
		*probe = refused;
		return;
	}
	set->connections.by_connection = probe->variant->by_connection;
}

static __u32 connections_collected(const struct probeset *set)
{
	if (!set->connections.on)
		return 0;
	return EBTOP_COLLECT_CONNECTIONS |
	       (set->settings.transitions ? EBTOP_COLLECT_TRANSITIONS : 0);
}

/* ---- calls of a function ---- */

static void open_kfunc(struct probeset *set)
{
	struct probe *probe = &set->probes[EBTOP_KFUNC];

	if (probe->state == EBTOP_PROBE_ON)
		return;
	if (!set->settings.hook.function[0]) {
		probe->state = EBTOP_PROBE_UNSUPPORTED;
		strcpy(probe->reason, "no function was named");
		return;
	}
	open_one(set, EBTOP_KFUNC);
}

/* ---- stacks of waits: the programs of sched take them, if they are told to ---- */

static __u32 switch_stacks(struct probeset *set, int wanted)
{
	struct probe *probe = &set->probes[EBTOP_STACKS];

	leave_off(probe);
	probe->hook[0] = '\0';
	if (!wanted)
		return 0;
	probe->state = EBTOP_PROBE_UNSUPPORTED;
	if (!probeset_has(set, EBTOP_SCHED)) {
		strcpy(probe->reason, "it needs the probe sched, which is not on");
		return 0;
	}
	if (!functions_are_there(&set->waits->functions)) {
		strcpy(probe->reason, "the kernel does not show the addresses of its functions"
				      " (kernel.kptr_restrict)");
		return 0;
	}
	probe->state = EBTOP_PROBE_ON;
	probe->reason[0] = '\0';
	strcpy(probe->hook, "in sched, at switches after long waits");
	return EBTOP_COLLECT_STACKS;
}

__u64 probeset_missed_calls(const struct probeset *set)
{
	return probeset_has(set, EBTOP_KFUNC) ? kfunc_missed(&set->probes[EBTOP_KFUNC]) : 0;
}

/* ---- disk requests ---- */

static void close_block(struct probeset *set)
{
	struct probe *probe = &set->probes[EBTOP_BLOCK];

	set->missed_requests = probeset_missed_requests(set);
	disks_close(&set->disks);
	probe_close(probe);
	leave_off(probe);
}

static void open_block(struct probeset *set)
{
	struct probe *probe = &set->probes[EBTOP_BLOCK];

	if (probe->state == EBTOP_PROBE_ON)
		return;
	if (!probeset_has(set, EBTOP_SCHED)) {
		probe->state = EBTOP_PROBE_UNSUPPORTED;
		strcpy(probe->reason, "it needs the probe sched, which is not on");
		return;
	}
	open_one(set, EBTOP_BLOCK);
	if (probe->state != EBTOP_PROBE_ON || !disks_open(&set->disks, probe->object))
		return;
	close_block(set);
	probe->state = EBTOP_PROBE_FAILED;
	strcpy(probe->reason, "no memory for the counts of disk requests");
}

__u64 probeset_missed_requests(const struct probeset *set)
{
	const struct probe *probe = &set->probes[EBTOP_BLOCK];

	return set->missed_requests + (probe->state == EBTOP_PROBE_ON ? probe_missed(probe) : 0);
}

__u64 probeset_missed_syscalls(const struct probeset *set)
{
	const struct probe *probe = &set->probes[EBTOP_SYSCALL];

	return set->missed_syscalls + (probe->state == EBTOP_PROBE_ON ? probe_missed(probe) : 0);
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
