// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Opens that do not come with a name, when a line comes: `badopens [handle|ring]`. Names that cannot be
 * read: 7 and 11 by openat, 5 by creat. By handle: 3, and 2 of a handle that is none. By io_uring: 4 of
 * /etc/hostname, 3 of what there is not. Ends with 77 where there is no such call.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NONE 77

static void unreadable(void)
{
	for (int i = 0; i < 7; i++)
		syscall(SYS_openat, AT_FDCWD, NULL, O_RDONLY);
	for (int i = 0; i < 11; i++)
		syscall(SYS_openat, AT_FDCWD, (char *)8, O_RDONLY);
	for (int i = 0; i < 5; i++)
#ifdef SYS_creat
		syscall(SYS_creat, NULL, 0600);
#else
		syscall(SYS_openat, AT_FDCWD, NULL, O_CREAT | O_WRONLY | O_TRUNC, 0600);
#endif
}

static int by_handle(int prepare)
{
	static struct {
		struct file_handle head;
		char room[MAX_HANDLE_SZ];
	} handle;
	static int folder;
	int mount;

	if (prepare) {
		handle.head.handle_bytes = MAX_HANDLE_SZ;
		folder = open("/dev/shm", O_RDONLY | O_DIRECTORY);
		return folder < 0 || name_to_handle_at(folder, "", &handle.head, &mount, AT_EMPTY_PATH);
	}
	for (int i = 0; i < 3; i++)
		if (open_by_handle_at(folder, &handle.head, O_RDONLY) < 0)
			return errno == EPERM ? NONE : 1;
	handle.head.handle_bytes = MAX_HANDLE_SZ + 1;
	for (int i = 0; i < 2; i++)
		if (open_by_handle_at(folder, &handle.head, O_RDONLY) >= 0 || errno != EINVAL)
			return 1;
	return 0;
}

/* One at a time, by the bare calls. */
static int by_ring(int prepare)
{
	static struct io_uring_params about;
	static char *ring, *done;
	static struct io_uring_sqe *entries;
	static int fd;
	unsigned *tail, *array;

	if (prepare) {
		fd = (int)syscall(SYS_io_uring_setup, 1, &about);
		if (fd < 0)
			return NONE;
		ring = mmap(NULL, about.sq_off.array + about.sq_entries * sizeof(unsigned),
			    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQ_RING);
		entries = mmap(NULL, about.sq_entries * sizeof(*entries), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQES);
		done = mmap(NULL, about.cq_off.cqes + about.cq_entries * sizeof(struct io_uring_cqe),
			    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_CQ_RING);
		return ring == MAP_FAILED || (void *)entries == MAP_FAILED || done == MAP_FAILED;
	}
	tail = (void *)(ring + about.sq_off.tail);
	array = (void *)(ring + about.sq_off.array);
	for (int i = 0; i < 7; i++) {
		memset(entries, 0, sizeof(*entries));
		entries->opcode = IORING_OP_OPENAT;
		entries->fd = AT_FDCWD;
		entries->addr = (unsigned long)(i < 4 ? "/etc/hostname" : "/no/such/file");
		array[0] = 0;
		__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
		if (syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
			return 1;
		/* taken: a ring that is full tells of no completion */
		__atomic_fetch_add((unsigned *)(void *)(done + about.cq_off.head), 1, __ATOMIC_RELEASE);
	}
	return 0;
}

int main(int count, char **words)
{
	int (*work)(int) = NULL;
	int status;

	if (count > 1)
		work = strcmp(words[1], "ring") ? by_handle : by_ring;
	status = work ? work(1) : 0;
	puts(status ? "none" : "ready");
	fflush(stdout);
	if (status)
		return status;
	getchar();
	if (work)
		return work(0);
	unreadable();
	return 0;
}
