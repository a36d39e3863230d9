// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns visiting the CPUs: the calling thread moves to each in turn, then back.
 */
#include <sched.h>

#include "util/clock.h"
#include "util/cpus.h"

/* How long the round over all CPUs may take, and how many there can be (NR_CPUS of Linux). */
#define VISIT_NS 50000000ull
#define CPUS_MAX 8192

/*
 * Visits every CPU once, so that each has switched before counting begins: from then on it is known
 * which thread is on it, and idle CPUs have their idle thread seen. Busy CPUs make the visitor wait
 * for a turn, so the round ends when its time is up; the others become known at their next switch.
 */
void cpus_visit(__u32 cpus)
{
	const __u64 deadline = clock_ns(CLOCK_MONOTONIC) + VISIT_NS;
	cpu_set_t *home = CPU_ALLOC(CPUS_MAX), *one = CPU_ALLOC(CPUS_MAX);
	size_t bytes = CPU_ALLOC_SIZE(CPUS_MAX);

	if (!home || !one || sched_getaffinity(0, bytes, home))
		goto out;
	for (__u32 cpu = 0; cpu < cpus && clock_ns(CLOCK_MONOTONIC) < deadline; cpu++) {
		if (!CPU_ISSET_S(cpu, bytes, home))
			continue;
		CPU_ZERO_S(bytes, one);
		CPU_SET_S(cpu, bytes, one);
		sched_setaffinity(0, bytes, one);
	}
	sched_setaffinity(0, bytes, home);
out:
	CPU_FREE(home);
	CPU_FREE(one);
}
