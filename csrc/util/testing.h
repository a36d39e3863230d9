/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the switches that only tests set: variables of the environment, which a released build does
 * not look at. `make build` makes a build for tests; pip, from wherever, does not.
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
