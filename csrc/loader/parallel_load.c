// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the threads that load BPF objects. Most of the time to start is spent in the kernel's
 * verifier, which checks one program at a time for each thread that asks. The caller is one of the
 * threads, so it does all the work where no other can be started.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

#include "loader/parallel_load.h"

#define THREADS_MAX 8
#define STACK_BYTES (1u << 20)

struct work {
	void (*load)(void *context, int item);
	void *context;
	int count;
	atomic_int next;
};

static void *load_some(void *context)
{
	struct work *work = context;
	int at;

	while ((at = atomic_fetch_add(&work->next, 1)) < work->count)
		work->load(work->context, at);
	return NULL;
}

static int usable_cpus(void)
{
	cpu_set_t set;

	/* it fails where there are more CPUs than the set holds: then there are enough */
	return sched_getaffinity(0, sizeof(set), &set) ? THREADS_MAX : CPU_COUNT(&set);
}

static int start(pthread_t *threads, int wanted, struct work *work)
{
	sigset_t all, before;
	pthread_attr_t attr;
	int started = 0;

	if (wanted <= 0 || pthread_attr_init(&attr))
		return 0;
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	/* signals go to the calling thread, which waits for them */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (started < wanted && !pthread_create(&threads[started], &attr, load_some, work))
		started++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return started;
}

void parallel_load(void (*load)(void *context, int item), void *context, int count)
{
	struct work work = { load, context, count, 0 };
	pthread_t threads[THREADS_MAX];
	int cpus = usable_cpus(), wanted = cpus < count ? cpus : count;
	int started = start(threads, (wanted < THREADS_MAX ? wanted : THREADS_MAX) - 1, &work);

	load_some(&work);
	for (int i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
}
