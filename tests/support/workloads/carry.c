// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns ways to send and receive that Python does not have: carry WAY FD BYTES does so with so many
 * bytes on a socket that it is given, prints "done", or why it cannot, and pauses. WAY is
 *   sendmmsg | recvmmsg   in datagrams of 1009 bytes, 16 a call
 *   uring-send | uring-recv | uring-async   io_uring, the last by the kernel's workers
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DATAGRAM 1009
#define BATCH 16

static char bytes[65537];

static void fail(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	fflush(stdout);
	exit(1);
}

/* ---- many datagrams a call ---- */

static void batches(int fd, long total, int sends)
{
	struct mmsghdr messages[BATCH];
	struct iovec parts[BATCH];
	long done = 0;

	while (done < total) {
		int count = 0, got;

		for (; count < BATCH && done + (long)count * DATAGRAM < total; count++) {
			parts[count] = (struct iovec){ bytes, DATAGRAM };
			messages[count] = (struct mmsghdr){ { .msg_iov = &parts[count],
							      .msg_iovlen = 1 } };
		}
		got = sends ? sendmmsg(fd, messages, count, 0) :
			      recvmmsg(fd, messages, count, MSG_WAITFORONE, NULL);
		if (got <= 0)
			fail(sends ? "sendmmsg" : "recvmmsg");
		for (int i = 0; i < got; i++)
			done += messages[i].msg_len;
	}
}

/* ---- io_uring, one request at a time ---- */

struct ring {
	int fd;
	char *queues;
	struct io_uring_sqe *requests;
	struct io_uring_params is;
};

static void open_ring(struct ring *ring)
{
	size_t size, requests;

	ring->fd = (int)syscall(SYS_io_uring_setup, 4, &ring->is);
	if (ring->fd < 0)
		fail("io_uring_setup");
	if (!(ring->is.features & IORING_FEAT_SINGLE_MMAP))
		fail("two maps");
	size = ring->is.cq_off.cqes + ring->is.cq_entries * sizeof(struct io_uring_cqe);
	requests = ring->is.sq_off.array + ring->is.sq_entries * sizeof(__u32);
	size = size > requests ? size : requests;
	ring->queues = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			    ring->fd, IORING_OFF_SQ_RING);
	ring->requests = mmap(NULL, ring->is.sq_entries * sizeof(*ring->requests),
			      PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd,
			      IORING_OFF_SQES);
	if (ring->queues == MAP_FAILED || ring->requests == MAP_FAILED)
		fail("mmap");
}

static unsigned int *field(struct ring *ring, __u32 offset)
{
	return (unsigned int *)(ring->queues + offset);
}

static int carry_once(struct ring *ring, int fd, int code, size_t most, int asynchronous)
{
	unsigned int tail = *field(ring, ring->is.sq_off.tail);
	unsigned int mask = *field(ring, ring->is.sq_off.ring_mask);
	unsigned int head = *field(ring, ring->is.cq_off.head);
	struct io_uring_cqe *ends = (void *)(ring->queues + ring->is.cq_off.cqes);
	struct io_uring_sqe *request = &ring->requests[tail & mask];

	*request = (struct io_uring_sqe){
		.opcode = (__u8)code,
		.flags = asynchronous ? IOSQE_ASYNC : 0,
		.fd = fd,
		.addr = (unsigned long)bytes,
		.len = most < sizeof(bytes) ? (__u32)most : sizeof(bytes),
	};
	field(ring, ring->is.sq_off.array)[tail & mask] = tail & mask;
	__atomic_store_n(field(ring, ring->is.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		fail("io_uring_enter");
	mask = *field(ring, ring->is.cq_off.ring_mask);
	__atomic_store_n(field(ring, ring->is.cq_off.head), head + 1, __ATOMIC_RELEASE);
	errno = -ends[head & mask].res;
	return ends[head & mask].res;
}

static void by_ring(int fd, long total, int code, int asynchronous)
{
	struct ring ring = { 0 };

	open_ring(&ring);
	while (total > 0) {
		int did = carry_once(&ring, fd, code, (size_t)total, asynchronous);

		if (did <= 0)
			fail("io_uring");
		total -= did;
	}
}

int main(int count, char **words)
{
	const char *way = count == 4 ? words[1] : "";
	int fd = count == 4 ? atoi(words[2]) : -1;
	long total = count == 4 ? atol(words[3]) : 0;

	if (!strcmp(way, "sendmmsg") || !strcmp(way, "recvmmsg"))
		batches(fd, total, *way == 's');
	else if (!strcmp(way, "uring-recv"))
		by_ring(fd, total, IORING_OP_RECV, 0);
	else if (!strncmp(way, "uring-", 6))
		by_ring(fd, total, IORING_OP_SEND, way[6] == 'a');
	else
		return 2;
	printf("done\n");
	fflush(stdout);
	pause();
	return 0;
}
