/* SPDX-License-Identifier: GPL-2.0-only OR MIT
 *
 * hog KIB STATUS [SECONDS]: writes to so many KiB of memory as fast as it can, holds it so long, and
 * ends with that status.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	size_t bytes = argc > 1 ? strtoul(argv[1], NULL, 10) << 10 : 0;
	char *memory = malloc(bytes);

	for (size_t i = 0; memory && i < bytes; i += 4096)
		((volatile char *)memory)[i] = 1;
	puts("held");
	fflush(stdout);
	usleep(argc > 3 ? (useconds_t)(atof(argv[3]) * 1e6) : 0);
	return memory ? atoi(argv[2]) : 1;
}
