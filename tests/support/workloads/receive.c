// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns ways to receive: receive WAY FD WHO reads a socket that it is given to its end, or to its
 * reset, says how many bytes it was given, or why there is no such way here, and pauses. WAY is
 *   read | readv | recv | recvmsg | recvmmsg | waitall   as the calls are named
 *   peek      101 bytes before each, which stay
 *   trunc     every other call throws 1009 bytes away
 *   splice    into a pipe
 *   uring | uring-read | uring-splice
 *   zerocopy  pages are mapped where that is possible, the rest is received
 * WHO is "leader" or "thread".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PART 7919
#define BATCH 4
#define TCP_ZEROCOPY_RECEIVE 35
#define ZEROCOPY_BYTES (64 * 4096)

static char bytes[BATCH][PART];
static const char *way;
static int fd;
static int pipes[2];


static void fail(const char *what)
{
	printf("no %s: %s\n", what, strerror(errno));
	fflush(stdout);
	exit(1);
}

/* ---- system calls: each is one call, and says what it was given; `used` is what has gone ---- */

static long by_messages(int most)
{
	struct mmsghdr messages[BATCH] = { 0 };
	struct iovec parts[BATCH];
	long got, sum = 0;

	for (int i = 0; i < most; i++) {
		parts[i] = (struct iovec){ bytes[i], PART };
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	if (most == 1)
		return recvmsg(fd, &messages[0].msg_hdr, 0);
	got = recvmmsg(fd, messages, (unsigned int)most, MSG_WAITFORONE, NULL);
	for (int i = 0; i < got; i++)
		sum += messages[i].msg_len;
	return got < 0 ? got : sum;
}

static long by_splice(void)
{
	long got = splice(fd, NULL, pipes[1], NULL, 65536, 0), left = got;
	char sink[4096];

	while (left > 0)
		left -= read(pipes[0], sink, sizeof(sink));
	return got;
}

/* ---- io_uring, one request at a time ---- */

static struct {
	int fd;
	char *queues;
	struct io_uring_sqe *requests;
	struct io_uring_params is;
} ring;

static void open_ring(void)
{
	size_t size, requests;

	ring.fd = (int)syscall(SYS_io_uring_setup, 4, &ring.is);
	if (ring.fd < 0)
		fail("io_uring_setup");
	size = ring.is.cq_off.cqes + ring.is.cq_entries * sizeof(struct io_uring_cqe);
	requests = ring.is.sq_off.array + ring.is.sq_entries * sizeof(uint32_t);
	size = size > requests ? size : requests;
	ring.queues = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd,
			   IORING_OFF_SQ_RING);
	ring.requests = mmap(NULL, ring.is.sq_entries * sizeof(*ring.requests),
			     PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd,
			     IORING_OFF_SQES);
	if (ring.queues == MAP_FAILED || ring.requests == MAP_FAILED)
		fail("io_uring mmap");
}

static uint32_t *field(uint32_t offset)
{
	return (uint32_t *)(ring.queues + offset);
}

static long by_ring(const struct io_uring_sqe *wanted)
{
	uint32_t tail = *field(ring.is.sq_off.tail), mask = *field(ring.is.sq_off.ring_mask);
	uint32_t head = *field(ring.is.cq_off.head);
	struct io_uring_cqe *ends = (void *)(ring.queues + ring.is.cq_off.cqes);

	ring.requests[tail & mask] = *wanted;
	field(ring.is.sq_off.array)[tail & mask] = tail & mask;
	__atomic_store_n(field(ring.is.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		fail("io_uring_enter");
	mask = *field(ring.is.cq_off.ring_mask);
	__atomic_store_n(field(ring.is.cq_off.head), head + 1, __ATOMIC_RELEASE);
	errno = -ends[head & mask].res;
	return ends[head & mask].res < 0 ? -1 : ends[head & mask].res;
}

static long by_ring_into_memory(int code)
{
	struct io_uring_sqe wanted = { .opcode = (uint8_t)code,
				       .fd = fd,
				       .addr = (uintptr_t)bytes,
				       .len = sizeof(bytes) };

	return by_ring(&wanted);
}

static long by_ring_into_pipe(void)
{
	struct io_uring_sqe wanted = { .opcode = IORING_OP_SPLICE,
				       .fd = pipes[1],
				       .off = (uint64_t)-1,
				       .splice_fd_in = fd,
				       .splice_off_in = (uint64_t)-1,
				       .len = 65536 };
	long got = by_ring(&wanted), left = got;
	char sink[4096];

	while (left > 0)
		left -= read(pipes[0], sink, sizeof(sink));
	return got;
}

/* ---- zero-copy ---- */

struct zerocopy { /* struct tcp_zerocopy_receive of Linux 5.10, of which some headers have less */
	uint64_t address;
	uint32_t length;
	uint32_t recv_skip_hint;
	uint32_t inq;
	int32_t err;
};

static long mapped_bytes;

static long by_mapping(void)
{
	static char *place;
	struct zerocopy wanted = { 0 };
	socklen_t size = sizeof(wanted);
	long got;

	if (!place)
		place = mmap(NULL, ZEROCOPY_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	if (place == MAP_FAILED)
		fail("mmap of a socket");
	wanted.address = (uintptr_t)place;
	wanted.length = ZEROCOPY_BYTES;
	if (getsockopt(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &wanted, &size)) {
		if (errno != EIO) /* nothing to map: the end, or what is no whole page */
			return -1;
		wanted.length = wanted.recv_skip_hint = 0;
	}
	mapped_bytes += wanted.length;
	if (wanted.length)
		madvise(place, wanted.length, MADV_DONTNEED);
	got = recv(fd, bytes, wanted.recv_skip_hint && wanted.recv_skip_hint < sizeof(bytes) ?
				      wanted.recv_skip_hint : sizeof(bytes),
		   wanted.length ? MSG_DONTWAIT : 0);
	if (got < 0 && wanted.length && errno == EAGAIN)
		got = 0;
	return got < 0 ? got : got + wanted.length;
}

/* ---- all of them ---- */

/* One turn: what it was given, 0 at the end. `thrown` is what it made go away besides. */
static long turn(long number, long *thrown)
{
	if (!strcmp(way, "read"))
		return read(fd, bytes, PART);
	if (!strcmp(way, "readv"))
		return readv(fd, (struct iovec[]){ { bytes[0], 101 }, { bytes[1], PART } }, 2);
	if (!strcmp(way, "recv"))
		return recv(fd, bytes, PART, 0);
	if (!strcmp(way, "waitall"))
		return recv(fd, bytes, sizeof(bytes), MSG_WAITALL);
	if (!strcmp(way, "recvmsg") || !strcmp(way, "recvmmsg"))
		return by_messages(way[4] == 's' ? 1 : BATCH);
	if (!strcmp(way, "peek") && recv(fd, bytes, 101, MSG_PEEK) < 0)
		return -1;
	if (!strcmp(way, "trunc") && number % 2) {
		*thrown = recv(fd, NULL, 1009, MSG_TRUNC);
		return *thrown < 0 ? -1 : 0;
	}
	if (!strcmp(way, "peek") || !strcmp(way, "trunc"))
		return recv(fd, bytes, PART, 0);
	if (!strcmp(way, "splice"))
		return by_splice();
	if (!strcmp(way, "uring"))
		return by_ring_into_memory(IORING_OP_RECV);
	if (!strcmp(way, "uring-read"))
		return by_ring_into_memory(IORING_OP_READ);
	if (!strcmp(way, "uring-splice"))
		return by_ring_into_pipe();
	if (!strcmp(way, "zerocopy"))
		return by_mapping();
	errno = EINVAL;
	fail(way);
	return -1;
}

static void *receive(void *unused)
{
	long given = 0, got, thrown = 0, number = 0;

	do {
		thrown = 0;
		got = turn(number++, &thrown);
		if (got > 0)
			given += got;
	} while (got > 0 || thrown > 0);
	if (got < 0 && errno != ECONNRESET)
		fail(way);
	printf("given %ld mapped %ld\n", given, mapped_bytes);
	fflush(stdout);
	pause();
	return unused;
}

int main(int count, char **words)
{
	pthread_t thread;

	if (count != 4)
		return 2;
	way = words[1];
	fd = atoi(words[2]);
	if (pipe(pipes))
		fail("pipe");
	if (!strncmp(way, "uring", 5))
		open_ring();
	if (strcmp(words[3], "thread"))
		receive(NULL);
	if (pthread_create(&thread, NULL, receive, NULL))
		fail("thread");
	pthread_join(thread, NULL);
	return 0;
}
