// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns reads and writes of files in known numbers of bytes: files FROM TO STEP... A step is a name
 * below; each waits for a line of input and says "done" after it ("ready" before the first). FROM is
 * read, TO is written, nothing else is a regular file.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int from, to;
static char bytes[65537];

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* All of it, from its beginning; a prime number of bytes at a time. */
static void *read_all(void *unused)
{
	lseek(from, 0, SEEK_SET);
	while (read(from, bytes, sizeof(bytes)) > 0)
		;
	return unused;
}

static void read_by_thread(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, read_all, NULL);
	pthread_join(thread, NULL);
}

static void vectors(int writes)
{
	struct iovec parts[2] = { { bytes, 101 }, { bytes + 1000, 103 } };

	if (writes) {
		writev(to, parts, 2);
		pwritev(to, parts, 2, 1009);
		pwritev2(to, parts, 2, 1009, 0);
		return;
	}
	lseek(from, 0, SEEK_SET);
	readv(from, parts, 2);
	preadv(from, parts, 2, 1009);
	preadv2(from, parts, 2, 1009, 0);
}

static void send_it(void)
{
	off_t at = 0;

	if (sendfile(to, from, &at, 100003) != 100003)
		fail("sendfile");
}

static void splice_it(void)
{
	loff_t at = 0;
	int ends[2];

	if (pipe(ends) || splice(from, &at, ends[1], NULL, 4099, 0) != 4099 ||
	    splice(ends[0], NULL, to, NULL, 4099, 0) != 4099)
		fail("splice");
	close(ends[0]);
	close(ends[1]);
}

static void copy_it(void)
{
	loff_t at = 0;

	if (copy_file_range(from, &at, to, NULL, 90001, 0) != 90001)
		fail("copy_file_range");
}

static void map_it(void)
{
	struct stat stat;
	volatile char sum = 0;
	char *memory;

	fstat(from, &stat);
	memory = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_SHARED, from, 0);
	for (long at = 0; at < stat.st_size; at += 4096)
		sum = (char)(sum + memory[at]);
	munmap(memory, (size_t)stat.st_size);
}

/* Reads of what is no regular file, reads that fail, reads of nothing. */
static void others(void)
{
	int ends[2], zero = open("/dev/zero", O_RDONLY), folder = open("/", O_RDONLY);

	if (pipe(ends) || write(ends[1], bytes, 1009) != 1009 || read(ends[0], bytes, 1009) != 1009)
		fail("pipe");
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends + 0))
		fail("socketpair");
	if (write(ends[1], bytes, 503) != 503 || read(ends[0], bytes, 503) != 503)
		fail("socket");
	if (read(zero, bytes, 4099) != 4099 || read(folder, bytes, 10) != -1 ||
	    read(from, bytes, 0) || write(-1, bytes, 10) != -1)
		fail("read");
}

static void read_directly(void)
{
	char path[64];
	void *page;
	int direct;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", from);
	direct = open(path, O_RDONLY | O_DIRECT);
	if (posix_memalign(&page, 4096, 8192) || read(direct, page, 8192) != 8192)
		fail("direct");
	free(page);
	close(direct);
}

/* One request after another, each to its end: 10007 bytes read, twice 20011 written. */
static void ring_request(int ring, char *queue, struct io_uring_sqe *entries,
			 const struct io_uring_params *params, int op, int fd, unsigned int count)
{
	unsigned int *tail = (unsigned int *)(queue + params->sq_off.tail);
	unsigned int mask = *(unsigned int *)(queue + params->sq_off.ring_mask);
	unsigned int *cq_head = (unsigned int *)(queue + params->cq_off.head);
	unsigned int cq_mask = *(unsigned int *)(queue + params->cq_off.ring_mask);
	struct io_uring_cqe *done = (struct io_uring_cqe *)(queue + params->cq_off.cqes);
	struct io_uring_sqe *entry = &entries[*tail & mask];

	memset(entry, 0, sizeof(*entry));
	entry->opcode = (__u8)op;
	entry->fd = fd;
	entry->addr = (__u64)(unsigned long)bytes;
	entry->len = count;
	((unsigned int *)(queue + params->sq_off.array))[*tail & mask] = *tail & mask;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		fail("io_uring_enter");
	if (done[*cq_head & cq_mask].res != (int)count)
		fail("io_uring");
	__atomic_store_n(cq_head, *cq_head + 1, __ATOMIC_RELEASE);
}

static void use_ring(void)
{
	struct io_uring_params params = { 0 };
	int ring = (int)syscall(SYS_io_uring_setup, 4, &params);
	size_t size = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
	char *queue = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring,
			   IORING_OFF_SQ_RING);
	struct io_uring_sqe *entries =
		mmap(NULL, params.sq_entries * sizeof(*entries), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);

	if (ring < 0 || queue == MAP_FAILED || (void *)entries == MAP_FAILED)
		fail("io_uring_setup");
	ring_request(ring, queue, entries, &params, IORING_OP_READ, from, 10007);
	ring_request(ring, queue, entries, &params, IORING_OP_WRITE, to, 20011);
	ring_request(ring, queue, entries, &params, IORING_OP_WRITE, to, 20011);
	close(ring);
}

static void step(const char *name)
{
	if (!strcmp(name, "read"))
		read_all(NULL);
	else if (!strcmp(name, "thread"))
		read_by_thread();
	else if (!strcmp(name, "pread"))
		pread(from, bytes, 10007, 4096);
	else if (!strcmp(name, "readv"))
		vectors(0);
	else if (!strcmp(name, "write"))
		write(to, bytes, 20011);
	else if (!strcmp(name, "pwrite"))
		pwrite(to, bytes, 30011, 100);
	else if (!strcmp(name, "writev"))
		vectors(1);
	else if (!strcmp(name, "sendfile"))
		send_it();
	else if (!strcmp(name, "splice"))
		splice_it();
	else if (!strcmp(name, "copy"))
		copy_it();
	else if (!strcmp(name, "map"))
		map_it();
	else if (!strcmp(name, "others"))
		others();
	else if (!strcmp(name, "ring"))
		use_ring();
	else if (!strcmp(name, "direct"))
		read_directly();
	else if (!strcmp(name, "drop"))
		fsync(from), posix_fadvise(from, 0, 0, POSIX_FADV_DONTNEED);
	else if (!strcmp(name, "opens"))
		for (int i = 0; i < 101; i++)
			close(open(i % 2 ? "/dev/null" : "/no/such/file", O_RDONLY));
	else
		fail(name);
}

static void wait_for_line(const char *said)
{
	char byte;

	printf("%s\n", said);
	fflush(stdout);
	while (read(0, &byte, 1) == 1 && byte != '\n')
		;
}

int main(int argc, char **argv)
{
	from = open(argv[1], O_RDONLY);
	to = open(argv[2], O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (argc < 3 || from < 0 || to < 0)
		fail("open");
	wait_for_line("ready");
	for (int i = 3; i < argc; i++) {
		step(argv[i]);
		wait_for_line("done");
	}
	return 0;
}
