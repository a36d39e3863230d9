// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns what a single process can be told to do with its memory. When it has read a line of input:
 *   sequence N (maps and unmaps in every way, some calls fail) | threads T N (as T at once) |
 *   beyond T (one of T threads unmaps more than there is, the others nothing meanwhile) |
 *   compat N (pairs of 32-bit calls, of both kinds of mmap; x86 alone) |
 *   peak N (pages, then given back) | fragments N (mappings of a page)
 * prints how many calls of each kind went well and how many bytes came and went, and waits. All its
 * calls are direct, so that no library adds any. For whoever has to be watched longer, at once:
 *   leak KB | saw KB MS | start KB MS | curve KB MS | cache KB | churn KB | heap KB | reserve KB |
 *   touch KB | still 0 (KB each tenth of a second, for or every so long)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define REGION 20000

static long page;

struct totals {
	long mmaps, munmaps, brks, allocated, freed;
};

static char *map_at(void *address, size_t bytes, int protection, int flags)
{
	return (char *)syscall(SYS_mmap, address, bytes, protection,
			       MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

static void expect(int right, const char *what)
{
	if (!right) {
		perror(what);
		_exit(9);
	}
}

static char *take(struct totals *totals, size_t bytes)
{
	char *got = map_at(NULL, bytes, PROT_READ | PROT_WRITE, 0);

	expect(got != MAP_FAILED, "mmap");
	totals->mmaps++;
	totals->allocated += (long)(bytes + page - 1) / page * page;
	return got;
}

static void give(struct totals *totals, char *address, size_t bytes, long mapped_pages)
{
	expect(!syscall(SYS_munmap, address, bytes), "munmap");
	totals->munmaps++;
	totals->freed += mapped_pages * page;
}

/* ---- every way ---- */

static void fail_in_every_way(char *region)
{
	for (int i = 0; i < 7; i++)
		expect(map_at(NULL, 0, PROT_READ, 0) == MAP_FAILED, "mmap of nothing");
	for (int i = 0; i < 5; i++)
		expect(syscall(SYS_munmap, region + 1, page) == -1, "munmap beside a page");
	for (int i = 0; i < 3; i++)
		expect(syscall(SYS_mremap, 8 * page, page, 3 * page, 0, 0) == -1, "mremap");
	for (int i = 0; i < 11; i++)
		expect(syscall(SYS_brk, 1) != 1, "brk to nowhere");
}

static void move_the_heap(struct totals *totals)
{
	char *end = (char *)syscall(SYS_brk, 0), *whole;

	whole = (char *)(((uintptr_t)end + page - 1) / page * page);
	expect((char *)syscall(SYS_brk, whole + 7 * page + 1) == whole + 7 * page + 1, "brk");
	/* within the page that it has already */
	expect((char *)syscall(SYS_brk, whole + 7 * page + 9) == whole + 7 * page + 9, "brk");
	expect((char *)syscall(SYS_brk, whole + 3 * page) == whole + 3 * page, "brk");
	totals->brks += 4;
	totals->allocated += 8 * page;
	totals->freed += 5 * page;
}

static void remap(struct totals *totals, char *region)
{
	char *moved = take(totals, 3 * page);

	moved = (char *)syscall(SYS_mremap, moved, 3 * page, 13 * page, MREMAP_MAYMOVE, 0);
	expect(moved != MAP_FAILED, "mremap");
	totals->allocated += 10 * page;
	moved = (char *)syscall(SYS_mremap, moved, 13 * page, 2 * page, MREMAP_MAYMOVE, 0);
	expect(moved != MAP_FAILED, "mremap");
	totals->freed += 11 * page;
	/* to where 5 pages are: they go */
	moved = (char *)syscall(SYS_mremap, moved, 2 * page, 5 * page,
				MREMAP_MAYMOVE | MREMAP_FIXED, region + 900 * page);
	expect(moved == region + 900 * page, "mremap over others");
	totals->allocated += 3 * page;
	totals->freed += 5 * page;
	give(totals, moved, 5 * page, 5);
}

static void sequence(struct totals *totals, char *region, long count)
{
	char *got[97];

	for (long done = 0; done < count; done += 97) {
		for (int i = 0; i < 97; i++)
			got[i] = take(totals, (size_t)(i % 5 + 1) * page - (size_t)(i % 3));
		for (int i = 0; i < 97; i++)
			give(totals, got[i], (size_t)(i % 5 + 1) * page, i % 5 + 1);
	}
	fail_in_every_way(region);
	/* of 50 pages 20 are gone already; then of 30 none is left */
	give(totals, region + 210 * page, 20 * page, 20);
	give(totals, region + 200 * page, 50 * page, 30);
	give(totals, region + 205 * page, 30 * page, 0);
	/* over 7 pages that are there, and 4 that are not */
	give(totals, region + 107 * page, 4 * page, 4);
	expect(map_at(region + 100 * page, 11 * page, PROT_READ, MAP_FIXED) == region + 100 * page,
	       "mmap over others");
	totals->mmaps++;
	totals->allocated += 11 * page;
	totals->freed += 7 * page;
	remap(totals, region);
	move_the_heap(totals);
}

/* ---- threads ---- */

static pthread_barrier_t begin, over;
static long rounds;

static void *one_thread(void *argument)
{
	struct totals *totals = argument;

	pthread_barrier_wait(&begin);
	for (long i = 0; i < rounds; i++) {
		size_t pages = (size_t)(i % 7 + 1);

		give(totals, take(totals, pages * page), pages * page, (long)pages);
	}
	pthread_barrier_wait(&over);
	pause();
	return NULL;
}

static void start_threads(struct totals *totals, int count)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 1 << 16);
	pthread_barrier_init(&begin, NULL, (unsigned)count + 1);
	pthread_barrier_init(&over, NULL, (unsigned)count + 1);
	for (int i = 0; i < count; i++)
		expect(!pthread_create(&thread, &attributes, one_thread, &totals[i + 1]), "thread");
}

static void add_up(struct totals *totals, int count)
{
	for (int i = 1; i <= count; i++) {
		totals->mmaps += totals[i].mmaps;
		totals->munmaps += totals[i].munmaps;
		totals->allocated += totals[i].allocated;
		totals->freed += totals[i].freed;
	}
}

/* ---- 32-bit calls ---- */

#ifdef __x86_64__
static long call32(long number, long first, long second, long third, long fourth, long fifth)
{
	long result = number;

	__asm__ volatile("int $0x80"
			 : "+a"(result)
			 : "b"(first), "c"(second), "d"(third), "S"(fourth), "D"(fifth)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)result < 0 && (int)result > -4096 ? (int)result : (long)(unsigned int)result;
}

static void compat(struct totals *totals, long count)
{
	/* the first mmap has its arguments in memory, which has to be where 32 bits reach */
	unsigned int *arguments = (void *)map_at(NULL, page, PROT_READ | PROT_WRITE, MAP_32BIT);

	expect(arguments != MAP_FAILED, "mmap");
	totals->mmaps++;
	totals->allocated += page;
	arguments[1] = (unsigned int)(3 * page - 7);
	arguments[2] = PROT_READ;
	arguments[3] = MAP_PRIVATE | MAP_ANONYMOUS;
	arguments[4] = ~0u;
	for (long i = 0; i < count; i++) {
		long got = i % 2 ? call32(90, (long)arguments, 0, 0, 0, 0) :
				   call32(192, 0, 3 * page - 7, PROT_READ,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1);

		expect(got > 0, "mmap of 32 bits");
		expect(!call32(91, got, 3 * page, 0, 0, 0), "munmap of 32 bits");
		totals->mmaps++;
		totals->munmaps++;
		totals->allocated += 3 * page;
		totals->freed += 3 * page;
	}
}
#else
static void compat(struct totals *totals, long count)
{
	(void)totals;
	(void)count;
}
#endif

/* ---- for longer ---- */

static void tenth(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
}

static char *touched(size_t bytes)
{
	char *got = map_at(NULL, bytes, PROT_READ | PROT_WRITE, 0);

	expect(got != MAP_FAILED, "mmap");
	memset(got, 1, bytes);
	return got;
}

static void saw(size_t bytes, long ms)
{
	static char *teeth[10000];

	for (;;) {
		long count = ms / 100;

		for (long i = 0; i < count; i++, tenth())
			teeth[i] = touched(bytes);
		for (long i = 0; i < count; i++)
			syscall(SYS_munmap, teeth[i], bytes);
	}
}

static void warm_up(size_t bytes, long ms, int slows)
{
	for (long i = 0; i < ms / 100; i++, tenth())
		touched(slows ? bytes * (size_t)(ms / 100 - i) * 100 / (size_t)ms + 1 : bytes);
	pause();
}

/* A pool that fills up at first, and from then on serves all; with some coming and going. */
static void cache(size_t bytes)
{
	static char *pool[50];

	for (unsigned turn = 0;; turn++, tenth()) {
		char **slot = &pool[turn * 7 % 50];

		if (!*slot)
			*slot = touched(bytes);
		memset(*slot, (int)turn, bytes);
		if (turn % 11 == 0) {
			syscall(SYS_munmap, *slot, bytes);
			*slot = NULL;
		}
	}
}

static void churn(size_t bytes)
{
	for (;; tenth())
		syscall(SYS_munmap, touched(bytes), bytes);
}

static void heap(size_t bytes)
{
	char *end = (char *)syscall(SYS_brk, 0);

	for (unsigned turn = 0;; turn++, tenth()) {
		size_t now = (turn % 8) * bytes;

		syscall(SYS_brk, end + now);
		memset(end, 1, now);
	}
}

static void reserve(size_t bytes)
{
	for (;; tenth())
		map_at(NULL, bytes, PROT_READ | PROT_WRITE, MAP_NORESERVE);
}

static void touch(size_t bytes)
{
	char *all = map_at(NULL, 2000 * bytes, PROT_READ | PROT_WRITE, MAP_NORESERVE);

	for (unsigned turn = 0; turn < 2000; turn++, tenth())
		memset(all + turn * bytes, 1, bytes);
	pause();
}

static void for_longer(const char *what, size_t bytes, long ms)
{
	if (!strcmp(what, "leak"))
		for (;; tenth())
			touched(bytes);
	else if (!strcmp(what, "saw"))
		saw(bytes, ms);
	else if (!strcmp(what, "start") || !strcmp(what, "curve"))
		warm_up(bytes, ms, what[0] == 'c');
	else if (!strcmp(what, "cache"))
		cache(bytes);
	else if (!strcmp(what, "churn"))
		churn(bytes);
	else if (!strcmp(what, "heap"))
		heap(bytes);
	else if (!strcmp(what, "reserve"))
		reserve(bytes);
	else if (!strcmp(what, "touch"))
		touch(bytes);
	else if (!strcmp(what, "still"))
		for (;; tenth())
			;
}

/* ---- */

static void wait_for_line(void)
{
	char byte = 0;

	while (read(0, &byte, 1) == 1 && byte != '\n')
		;
}

int main(int argc, char **argv)
{
	static struct totals totals[65];
	const char *what = argc > 1 ? argv[1] : "";
	long count = argc > 2 ? atol(argv[2]) : 0, more = argc > 3 ? atol(argv[3]) : 0;
	int threads = !strcmp(what, "threads") || !strcmp(what, "beyond") ? (int)count : 0;
	char said[200], *region, *got;

	page = sysconf(_SC_PAGESIZE);
	for_longer(what, (size_t)count * 1024, more);
	region = map_at(NULL, REGION * page, PROT_NONE, MAP_NORESERVE);
	rounds = !strcmp(what, "threads") ? more : 0;
	start_threads(totals, threads);
	wait_for_line();
	/* from now on all calls count; with threads, their leader has to make one first */
	if (!strcmp(what, "sequence"))
		sequence(totals, region, count);
	if (!strcmp(what, "compat"))
		compat(totals, count);
	if (threads)
		give(totals, take(totals, 2 * page), 2 * page, 2);
	pthread_barrier_wait(&begin);
	pthread_barrier_wait(&over);
	add_up(totals, threads);
	if (!strcmp(what, "beyond")) {
		give(totals, region + 210 * page, 20 * page, 20);
		give(totals, region + 200 * page, 50 * page, 30);
	}
	if (!strcmp(what, "peak")) {
		got = take(totals, (size_t)count * page);
		memset(got, 1, (size_t)count * page);
		give(totals, got, (size_t)count * page, count);
	}
	for (long i = 0; !strcmp(what, "fragments") && i < count; i++)
		expect(!mprotect(region + 2 * i * page, page, PROT_READ), "mprotect");
	snprintf(said, sizeof(said), "%ld %ld %ld %ld %ld\n", totals->mmaps, totals->munmaps,
		 totals->brks, totals->allocated, totals->freed);
	expect(write(1, said, strlen(said)) > 0, "write");
	wait_for_line();
	return 0;
}
