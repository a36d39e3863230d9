/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the whole C API of the collector, which is also the cffi cdef: the lines below `cdef`
 * together with bpf/abi.h are all that Python can see. One session, one thread.
 */
#ifndef EBTOP_H
#define EBTOP_H

#include <linux/types.h>
#include "abi.h"

/* cdef */
typedef struct ebtop_session ebtop_session;

enum ebtop_probe {
	EBTOP_SCHED = 0,
	EBTOP_LIFE = 1,
	EBTOP_TASKS = 2,
	EBTOP_PROBES = 3,
};

enum ebtop_refresh_flag {
	EBTOP_WANT_THREADS = 1, /* fill the table of threads too */
	EBTOP_WANT_COST = 2,  /* hold the kernel's BPF statistics on, so that probes have run_ns */
	EBTOP_CUMULATIVE = 4, /* counters since the start or the last reset, not of the interval */
	EBTOP_RESET = 8,      /* cumulative counting begins anew after this refresh */
};

struct ebtop_error {
	__s32 code; /* -errno */
	char where[32];
	char what[220];
};

struct ebtop_table {
	const void *rows;
	__u32 count;
	__u32 stride;
};

struct ebtop_snapshot {
	__u64 taken_ns;               /* monotonic clock */
	__u64 interval_ns;            /* what the counters cover; 0 in the first refresh */
	__u64 took_ns;                /* what the refresh itself took */
	struct ebtop_table system;    /* struct ebtop_system_row, one */
	struct ebtop_table processes; /* struct ebtop_row; those that ran come first */
	struct ebtop_table threads;   /* struct ebtop_row */
	struct ebtop_table cpus;      /* struct ebtop_cpu_row */
	struct ebtop_table events;    /* struct ebtop_event_row, oldest first */
	struct ebtop_table text;      /* bytes; stride 1 */
	struct ebtop_table probes;    /* struct ebtop_probe_row */
};

/* Loads and attaches what `probes` (bits 1 << enum ebtop_probe) names. A probe that cannot run is
 * no error: it is a row of the table of probes. NULL, and *err filled, when nothing can work. */
ebtop_session *ebtop_open(__u32 probes, struct ebtop_error *err);
/* A descriptor that polls readable when ebtop_poll() has something to do; -1 when there is none. */
int ebtop_event_fd(const ebtop_session *session);
/* Drains events and recycles ended threads; never blocks. The number of events, or -errno. */
int ebtop_poll(ebtop_session *session);
/* Ends the interval. The tables stay valid until the next call. 0 or -errno. */
int ebtop_refresh(ebtop_session *session, __u32 flags, struct ebtop_snapshot *ret,
		  struct ebtop_error *err);
/* Detaches and frees everything. NULL is fine. */
void ebtop_close(ebtop_session *session);
/* end of cdef */

#endif
