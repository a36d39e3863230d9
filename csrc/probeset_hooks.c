// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the coming and going of the probes that have hooks of their own: connections, disk requests,
 * calls of one function, and the stacks of waits, which are a part of sched.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "block.h"
#include "error.h"
#include "kfunc.h"
#include "probeset_parts.h"

/* ---- connections ---- */

void close_tcp(struct probeset *set)
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
	ret = connections_open(&set->connections, set->maps, set->config, programs[0], programs[1]);
	set->connections.boot_ns = clock_ns(CLOCK_BOOTTIME);
	return ret;
}

void open_tcp(struct probeset *set)
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

__u32 connections_collected(const struct probeset *set)
{
	if (!set->connections.on)
		return 0;
	return EBTOP_COLLECT_CONNECTIONS |
	       (set->settings.transitions ? EBTOP_COLLECT_TRANSITIONS : 0);
}

/* ---- calls of a function ---- */

void open_kfunc(struct probeset *set)
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

__u32 switch_stacks(struct probeset *set, int wanted)
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

void close_block(struct probeset *set)
{
	struct probe *probe = &set->probes[EBTOP_BLOCK];

	set->missed_requests = probeset_missed_requests(set);
	disks_close(&set->disks);
	probe_close(probe);
	leave_off(probe);
}

void open_block(struct probeset *set)
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
	if (probe->state != EBTOP_PROBE_ON)
		return;
	if (!disks_open(&set->disks, probe->object)) {
		set->disks.tells_dirtiers = !probe->variant->lacks;
		return;
	}
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
