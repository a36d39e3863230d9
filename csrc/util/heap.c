// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns what the C library is told about memory. Only glibc can be told.
 */
#include <malloc.h>

#include "util/heap.h"

#define APART_BYTES (1 << 22)
#define TRIM_NS 30000000000ull

/* Large tables come and go with refreshes: each in memory of its own leaves no hole in the heap. By
 * itself the C library stops doing that once the first has been freed. What a stream is read into is
 * smaller, and stays. */
void heap_keep_large_apart(void)
{
#ifdef __GLIBC__
	mallopt(M_MMAP_THRESHOLD, APART_BYTES);
	mallopt(M_TRIM_THRESHOLD, 2 * APART_BYTES);
#endif
}

void heap_trim(__u64 now_ns, __u64 *last_ns)
{
#ifdef __GLIBC__
	if (now_ns - *last_ns < TRIM_NS)
		return;
	*last_ns = now_ns;
	malloc_trim(0);
#else
	(void)now_ns;
	(void)last_ns;
#endif
}
