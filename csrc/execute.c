// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns execve(2) with an environment that Python would not pass on: two strings with one name, or
 * strings without a name.
 */
#include <errno.h>
#include <unistd.h>

#include "ebtop.h"

int ebtop_execute(const char *path, char *const *words, char *const *environment)
{
	execve(path, words, environment);
	return -errno;
}
