// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns a storm of the shortest system calls there are, until it is killed; a line of input begins it.
 */
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
	char byte;

	if (read(0, &byte, 1) == 1)
		for (;;)
			syscall(SYS_getppid);
	return 0;
}
