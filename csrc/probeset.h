/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns which probes of a session run: the order in which they are opened, which of them bring others
 * with them, and what is collected. What a probe is, is in probe.h.
 */
#ifndef EBTOP_PROBESET_H
#define EBTOP_PROBESET_H

#include "config.h"
#include "disks.h"
#include "files.h"
#include "connections.h"
#include "memory.h"
#include "probe.h"
#include "syscalls.h"
#include "tasks.h"
#include "waits.h"

struct probeset {
	struct probe probes[EBTOP_PROBES];
	struct ebtop_settings settings;
	struct maps *maps;
	struct config *config;
	struct waits *waits;
	struct tasks tasks;
	struct syscalls syscalls;
	struct disks disks;
	__u64 missed_requests; /* until the probe was closed last */
	__u64 missed_syscalls; /* likewise */
	struct files files;
	struct memory memory;
	struct connections connections;
};

/* Opens what settings->probes names; an error only when nothing of it works. */
int probeset_open(struct probeset *set, const struct ebtop_settings *settings, struct maps *maps,
		  struct config *config, struct waits *waits, struct ebtop_error *err);
/* Opens and closes those that may come and go; the others stay as they are. */
void probeset_switch(struct probeset *set, __u32 wanted);
/* Detaches all but sched, which tells when a process that ended was off its CPU. */
void probeset_detach(struct probeset *set);
void probeset_close(struct probeset *set);
/* Calls of the hooked function that the kernel itself did not tell the probe of. */
__u64 probeset_missed_calls(const struct probeset *set);
/* System calls likewise: on preemptible kernels, where another thread was in the same program. */
__u64 probeset_missed_syscalls(const struct probeset *set);
/* Disk requests likewise. */
__u64 probeset_missed_requests(const struct probeset *set);
int probeset_has(const struct probeset *set, enum ebtop_probe probe);

#endif
