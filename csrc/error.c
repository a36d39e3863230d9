// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns how failures are written down, and keeps libbpf's log off the screen.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "error.h"

static char last[200];
static int debugging;

int error_set(struct ebtop_error *err, int code, const char *where, const char *what, ...)
{
	va_list args;

	if (!err)
		return code;
	err->code = code;
	snprintf(err->where, sizeof(err->where), "%s", where);
	va_start(args, what);
	vsnprintf(err->what, sizeof(err->what), what, args);
	va_end(args);
	return code;
}

static int keep(enum libbpf_print_level level, const char *format, va_list args)
{
	va_list again;

	va_copy(again, args);
	if (debugging)
		vfprintf(stderr, format, again);
	va_end(again);
	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(last, sizeof(last), format, args);
	last[strcspn(last, "\n")] = '\0';
	return 0;
}

void error_capture_libbpf(int debug)
{
	debugging = debug;
	libbpf_set_print(keep);
}

void error_forget_libbpf(void)
{
	last[0] = '\0';
}

const char *error_last_libbpf(void)
{
	return last;
}
