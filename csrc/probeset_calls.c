// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the coming and going of the probe of system calls, and of those that may count through it where
 * no function can be hooked: opens, bytes of files, memory.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "error.h"
#include "probeset_parts.h"

/* ---- system calls, and opens seen through them ---- */

static int make_syscall_maps(struct probeset *set)
{
	struct ebtop_error error;
	int ret = maps_add(set->maps, MAP_SYSCALL_SLOTS, &error);

	if (!ret)
		ret = maps_add(set->maps, MAP_SYSCALL_LANES, &error);
	if (!ret)
		ret = maps_add(set->maps, MAP_ODD_NUMBERS, &error);
	if (!ret)
		ret = syscalls_open(&set->syscalls, set->maps, set->settings.syscall_kinds,
				    clock_ns(CLOCK_MONOTONIC));
	if (!ret)
		set->syscalls.boot_ns = clock_ns(CLOCK_BOOTTIME);
	return ret;
}

void close_syscall(struct probeset *set)
{
	set->missed_syscalls = probeset_missed_syscalls(set);
	probe_close(&set->probes[EBTOP_SYSCALL]);
	if (set->syscalls.on)
		syscalls_close(&set->syscalls);
	maps_drop(set->maps, MAP_SYSCALL_SLOTS);
	maps_drop(set->maps, MAP_SYSCALL_LANES);
	maps_drop(set->maps, MAP_ODD_NUMBERS);
	leave_off(&set->probes[EBTOP_SYSCALL]);
}

void open_syscall(struct probeset *set)
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

/* It counts through the programs of system calls too: its hooks are both. */
static void join_hooks(struct probe *probe, const struct probe *through)
{
	char own[sizeof(probe->hook)];

	if (strstr(probe->hook, through->hook))
		return;
	memcpy(own, probe->hook, sizeof(own));
	snprintf(probe->hook, sizeof(probe->hook), "%.100s, %.120s", through->hook, own);
}

/* ---- file opens ---- */

void close_open(struct probeset *set)
{
	probe_close(&set->probes[EBTOP_OPEN]);
	maps_drop(set->maps, MAP_OPEN_CALLS);
	leave_off(&set->probes[EBTOP_OPEN]);
}

/* By the function that all opens come through where that can be hooked: it costs other calls nothing. */
int open_by_function(struct probeset *set)
{
	struct probe *probe = &set->probes[EBTOP_OPEN];
	struct ebtop_error error;

	if (probe->object && !probe->ahead)
		return probe->variant->through_syscalls ? -EOPNOTSUPP : 0;
	if (!probeset_has(set, EBTOP_SCHED) || maps_add(set->maps, MAP_OPEN_CALLS, &error))
		return -ENOMEM;
	open_one(set, EBTOP_OPEN);
	if (probe->state == EBTOP_PROBE_ON)
		return probe->variant->through_syscalls ? -EOPNOTSUPP : 0;
	close_open(set);
	return -EOPNOTSUPP;
}

/* Else by every system call: the state of opens is then that of the programs which see those. */
void open_by_syscalls(struct probeset *set)
{
	const struct probe *through = &set->probes[EBTOP_SYSCALL];
	struct probe *probe = &set->probes[EBTOP_OPEN];

	open_syscall(set);
	/* io_uring's are told by programs of its own, the others by those */
	if (through->state == EBTOP_PROBE_ON && !through->variant->lacks && probe->object) {
		join_hooks(probe, through);
		return;
	}
	if (probe->object)
		close_open(set);
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

void drop_file_slots(struct probeset *set)
{
	beside_close(&set->files.slots);
	maps_drop(set->maps, MAP_FILE_SLOTS);
	maps_drop(set->maps, MAP_FILE_COUNTS);
	set->files.on = 0;
}

/* Where opens and bytes are counted; several probes write there, so it is made before any loads. */
void make_file_slots(struct probeset *set)
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

void close_vfs(struct probeset *set)
{
	probe_close(&set->probes[EBTOP_VFS]);
	leave_off(&set->probes[EBTOP_VFS]);
}

/* Whether its bytes come through system calls, whose slots it then has to share. */
int open_vfs(struct probeset *set)
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
void vfs_by_syscalls(struct probeset *set)
{
	const struct probe *through = &set->probes[EBTOP_SYSCALL];
	struct probe *probe = &set->probes[EBTOP_VFS];

	open_syscall(set);
	if (through->state != EBTOP_PROBE_ON || through->variant->lacks) {
		probe_close(probe);
		probe->state = EBTOP_PROBE_UNSUPPORTED;
		strcpy(probe->reason,
		       "neither can functions be hooked here nor descriptors looked up");
	} else {
		join_hooks(probe, through);
	}
}

/* ---- memory ---- */

/* Where calls that map memory are counted; the programs of system calls share it when they load. */
void make_mem_slots(struct probeset *set)
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

void drop_mem_slots(struct probeset *set)
{
	if (!set->memory.on)
		return;
	beside_close(&set->memory.slots);
	maps_drop(set->maps, MAP_MEM_SLOTS);
	set->memory.on = 0;
}

/* Whether it counts through system calls. */
__u32 open_mem(struct probeset *set)
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

__u32 mem_by_syscalls(struct probeset *set)
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
