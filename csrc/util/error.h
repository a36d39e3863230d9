/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns error messages: each failure is described once, where it happens. Tests inject failures
 * here.
 */
#ifndef EBTOP_ERROR_H
#define EBTOP_ERROR_H

#include "ebtop.h"

/* Fills *err (which may be NULL) and returns `code`, a negative errno. */
int error_set(struct ebtop_error *err, int code, const char *where, const char *what, ...)
	__attribute__((format(printf, 4, 5)));

/* In a build for tests EBTOP_FAIL=NAME:ERRNO[,...] refuses what has that name: a program when it
 * loads, PROGRAM@attach when it is attached, a map when it is made. 0 or -errno. hide:PID lets that
 * process be hidden from BPF instead. */
int error_injected(const char *name);

/* Makes libbpf's messages come here; with `debug` they also go to standard error. */
void error_capture_libbpf(int debug);
#define EBTOP_VERIFIER "verifier: " /* what its verdict begins with */
void error_forget_libbpf(void);
/* What libbpf complained of since error_forget_libbpf(): the verifier's verdict if there is one,
 * else its first complaint; one line, or "". */
const char *error_last_libbpf(void);

#endif
