/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the environment variables that only tests set. `make build` makes a build that reads them; a
 * release build, whatever pip installs, does not.
 */
#ifndef EBTOP_TESTING_H
#define EBTOP_TESTING_H

#ifdef EBTOP_FOR_TESTS
#include <stdlib.h>
#define for_tests(variable) getenv(variable)
#else
#define for_tests(variable) ((const char *)0)
#endif

#endif
