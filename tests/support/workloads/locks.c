// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * A process whose main thread waits in one futex until it is killed: `locks KIND`. It says "ready",
 * reads a line, and waits from then on; another thread holds what it waits for, asleep in pause(2). The
 * kinds are the C library's, and the very calls that other runtimes make.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#define FUTEX_WAIT_NUMBER 455 /* futex_wait(2), since Linux 6.7 */
#define SIZE_U32_PRIVATE 0x82
#define SKIP 77

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, other;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static sem_t semaphore;
static unsigned int word;
static volatile int held;

static void *hold_mutex(void *which)
{
	pthread_mutex_lock(which);
	held = 1;
	for (;;)
		pause();
}

static void *hold_for_writing(void *unused)
{
	pthread_rwlock_wrlock(&rwlock);
	held = 1;
	for (;;)
		pause();
	return unused;
}

static void *hold_for_reading(void *unused)
{
	pthread_rwlock_rdlock(&rwlock);
	held = 1;
	for (;;)
		pause();
	return unused;
}

static void *sleep_on(void *unused)
{
	held = 1;
	for (;;)
		pause();
	return unused;
}

/* As a lock whose word is in user space, and names its owner: so does FUTEX_LOCK_PI. */
static void *hold_pi_word(void *unused)
{
	word = (unsigned int)syscall(SYS_gettid);
	held = 1;
	for (;;)
		pause();
	return unused;
}

static pthread_t begin(void *(*body)(void *), void *argument)
{
	pthread_t thread;

	pthread_create(&thread, NULL, body, argument);
	while (!held)
		sched_yield();
	return thread;
}

static void make_mutex(int protocol, int robust, int shared)
{
	pthread_mutexattr_t how;

	pthread_mutexattr_init(&how);
	pthread_mutexattr_setprotocol(&how, protocol);
	pthread_mutexattr_setrobust(&how, robust);
	pthread_mutexattr_setpshared(&how, shared);
	pthread_mutex_init(&other, &how);
}

/* A set of semaphores outlives its users: a child waits for the end of this process. */
static void remove_at_end(int set)
{
	int ends[2];
	char byte;

	if (pipe(ends) || fork())
		return;
	close(ends[1]);
	while (read(ends[0], &byte, 1) > 0)
		;
	semctl(set, 0, IPC_RMID);
	_exit(0);
}

static struct timespec in_an_hour(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	time.tv_sec += 3600;
	return time;
}

static long futex(int operation, unsigned int value, void *timeout, unsigned int bits)
{
	return syscall(SYS_futex, &word, operation, value, timeout, NULL, bits);
}

#ifdef __x86_64__
/* A 32-bit call; of such only addresses below 4 GiB can be given. */
static long futex_32(unsigned int *low, int operation, unsigned int value)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "0"(240), "b"(low), "c"(operation), "d"(value), "S"(0), "D"(0)
			 : "memory", "r8", "r9", "r10", "r11");
	return result;
}
#endif

/* What the thread waits in. 0 when there is no such kind here. */
static int wait_in(const char *kind, int prepare)
{
	static pthread_t thread;
	static unsigned int *low;
	struct timespec then;
	unsigned int held_by_another;

#define KIND(name) if (!strcmp(kind, name))
#define BEFORE(what)      \
	if (prepare) {    \
		what;     \
		return 1; \
	}
	KIND("mutex") { BEFORE(begin(hold_mutex, &mutex)) pthread_mutex_lock(&mutex); }
	KIND("timed-mutex")
	{
		BEFORE(begin(hold_mutex, &mutex))
		then = in_an_hour(CLOCK_REALTIME);
		pthread_mutex_timedlock(&mutex, &then);
	}
	KIND("shared-mutex")
	{
		BEFORE(make_mutex(PTHREAD_PRIO_NONE, 0, 1); begin(hold_mutex, &other))
		pthread_mutex_lock(&other);
	}
	KIND("pi-mutex")
	{
		BEFORE(make_mutex(PTHREAD_PRIO_INHERIT, 0, 0); begin(hold_mutex, &other))
		pthread_mutex_lock(&other);
	}
	KIND("robust-mutex")
	{
		BEFORE(make_mutex(PTHREAD_PRIO_NONE, PTHREAD_MUTEX_ROBUST, 0);
		       begin(hold_mutex, &other))
		pthread_mutex_lock(&other);
	}
	KIND("readers") { BEFORE(begin(hold_for_writing, NULL)) pthread_rwlock_rdlock(&rwlock); }
	KIND("writer") { BEFORE(begin(hold_for_reading, NULL)) pthread_rwlock_wrlock(&rwlock); }
	KIND("two-writers") { BEFORE(begin(hold_for_writing, NULL)) pthread_rwlock_wrlock(&rwlock); }
	KIND("condition")
	{
		BEFORE(begin(sleep_on, NULL))
		pthread_mutex_lock(&mutex);
		for (;;)
			pthread_cond_wait(&condition, &mutex);
	}
	KIND("timed-condition")
	{
		BEFORE(begin(sleep_on, NULL))
		pthread_mutex_lock(&mutex);
		then = in_an_hour(CLOCK_REALTIME);
		for (;;)
			pthread_cond_timedwait(&condition, &mutex, &then);
	}
	KIND("semaphore")
	{
		BEFORE(sem_init(&semaphore, 0, 0); begin(sleep_on, NULL))
		for (;;)
			sem_wait(&semaphore);
	}
	KIND("join") { BEFORE(thread = begin(sleep_on, NULL)) pthread_join(thread, NULL); }
	KIND("barrier")
	{
		BEFORE(pthread_barrier_init(&barrier, NULL, 3); begin(sleep_on, NULL))
		pthread_barrier_wait(&barrier);
	}
	/* Rust's Mutex: 2 is locked and contended. Its RwLock, readers: a writer has it. */
	KIND("rust-mutex")
	{
		BEFORE(word = 2; begin(sleep_on, NULL))
		futex(FUTEX_WAIT_BITSET_PRIVATE, 2, NULL, ~0u);
	}
	KIND("rust-rwlock")
	{
		BEFORE(word = 0x7fffffff; begin(sleep_on, NULL))
		futex(FUTEX_WAIT_BITSET_PRIVATE, 0x7fffffff, NULL, ~0u);
	}
	/* thread::park(): -1 is parked */
	KIND("rust-parked")
	{
		BEFORE(word = ~0u; begin(sleep_on, NULL))
		futex(FUTEX_WAIT_BITSET_PRIVATE, ~0u, NULL, ~0u);
	}
	/* Condvar: a counter of notifications */
	KIND("rust-condvar")
	{
		BEFORE(word = 7; begin(sleep_on, NULL))
		futex(FUTEX_WAIT_BITSET_PRIVATE, 7, NULL, ~0u);
	}
	/* runtime.lock2 with mutex_sleeping, and a note that an idle thread (an M) sleeps on */
	KIND("go-lock") { BEFORE(word = 2; begin(sleep_on, NULL)) futex(FUTEX_WAIT_PRIVATE, 2, NULL, 0); }
	KIND("go-idle") { BEFORE(word = 0; begin(sleep_on, NULL)) futex(FUTEX_WAIT_PRIVATE, 0, NULL, 0); }
	/* musl's mutex: EBUSY and a mark */
	KIND("musl-mutex")
	{
		BEFORE(word = 0x80000010; begin(sleep_on, NULL))
		futex(FUTEX_WAIT_PRIVATE, 0x80000010, NULL, 0);
	}
	KIND("lock-pi") { BEFORE(begin(hold_pi_word, NULL)) futex(FUTEX_LOCK_PI_PRIVATE, 0, NULL, 0); }
	KIND("lock-pi2")
	{
		BEFORE(begin(hold_pi_word, NULL))
		futex(FUTEX_LOCK_PI2 | FUTEX_PRIVATE_FLAG, 0, NULL, 0);
	}
	KIND("requeue-pi")
	{
		BEFORE(begin(sleep_on, NULL))
		syscall(SYS_futex, &word, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, NULL, &held_by_another,
			~0u);
	}
	KIND("waitv")
	{
		struct {
			unsigned long long value, address;
			unsigned int flags, reserved;
		} waiter = { 0, (unsigned long)&word, SIZE_U32_PRIVATE, 0 };

		BEFORE(begin(sleep_on, NULL))
		syscall(SYS_futex_waitv, &waiter, 1, 0, NULL, CLOCK_MONOTONIC);
	}
	KIND("futex2-lock")
	{
		BEFORE(word = 2; begin(sleep_on, NULL))
		syscall(FUTEX_WAIT_NUMBER, &word, 2ul, ~0u, SIZE_U32_PRIVATE, NULL, CLOCK_MONOTONIC);
	}
	KIND("futex2-condition")
	{
		BEFORE(begin(sleep_on, NULL))
		syscall(FUTEX_WAIT_NUMBER, &word, 0ul, ~0u, SIZE_U32_PRIVATE, NULL, CLOCK_MONOTONIC);
	}
	KIND("sysv-semaphore")
	{
		static int set;
		struct sembuf take = { 0, -1, 0 };

		BEFORE(set = semget(IPC_PRIVATE, 1, 0600); remove_at_end(set);
		       begin(sleep_on, NULL))
		semop(set, &take, 1);
	}
#ifdef __x86_64__
	KIND("lock-32")
	{
		BEFORE(low = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
		       *low = 2; begin(sleep_on, NULL))
		futex_32(low, FUTEX_WAIT_PRIVATE, 2);
	}
	KIND("condition-32")
	{
		BEFORE(low = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
		       begin(sleep_on, NULL))
		futex_32(low, FUTEX_WAIT_PRIVATE, 0);
	}
#endif
	return 0;
}

int main(int count, char **words)
{
	const char *kind = count > 1 ? words[1] : "";

	if (!wait_in(kind, 1))
		return SKIP;
	puts("ready");
	fflush(stdout);
	getchar();
	wait_in(kind, 0);
	/* nothing wakes it: the kernel does not have this call */
	return SKIP;
}
