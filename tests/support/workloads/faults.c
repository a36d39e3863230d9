// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns short lives that are page faults and little else: N children, one after another, that each
 * touch MIB MiB page by page. It prints what user and kernel time they had, in microseconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void touch(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		_exit(1);
	madvise(memory, bytes, MADV_NOHUGEPAGE);
	for (size_t at = 0; at < bytes; at += page)
		memory[at] = 1;
	_exit(0);
}

static long us(struct timeval time)
{
	return time.tv_sec * 1000000 + time.tv_usec;
}

int main(int argc, char **argv)
{
	struct rusage used;

	if (argc < 3)
		return 2;
	for (long i = atol(argv[1]); i > 0; i--) {
		pid_t child = fork();

		if (!child)
			touch((size_t)atol(argv[2]) << 20);
		waitpid(child, NULL, 0);
	}
	getrusage(RUSAGE_CHILDREN, &used);
	printf("%ld %ld\n", us(used.ru_utime), us(used.ru_stime));
	return 0;
}
