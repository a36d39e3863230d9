// SPDX-License-Identifier: GPL-2.0-only OR MIT

/* Opens whose names cannot be read, when a line comes: 7 and 11 by openat, 5 by creat. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
	puts("ready");
	fflush(stdout);
	getchar();
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
	return 0;
}
