/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the constants that programs of several probes need.
 */
#ifndef EBTOP_CONSTANTS_H
#define EBTOP_CONSTANTS_H

#include <string.h>
#include <unistd.h>

#include "ebtop.h"
#include "util/error.h"

/* What the evidence of waits is made of; sched and tasks both have it. */
static inline void set_waits(const volatile unsigned char *waits, const volatile __u64 *thread_size,
			     const struct ebtop_settings *settings)
{
	memcpy((void *)waits, settings->waits, sizeof(settings->waits));
#ifdef __aarch64__
	{
		long page = sysconf(_SC_PAGESIZE);

		*(__u64 *)thread_size = page > 16384 ? (__u64)page : 16384;
	}
#else
	(void)thread_size;
#endif
}

/* A process that tests want to be hidden from BPF. */
static inline void set_hidden(const volatile __u64 *pid)
{
	*(__u64 *)pid = (__u64)-error_injected("hide");
}

#endif
