// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns how failures are written down, and keeps libbpf's log off the screen.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
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

/* The verifier's verdict: the line before its closing "processed N insns". */
static int keep_verdict(const char *log)
{
	const char *end = strstr(log, "\nprocessed "), *begin = end;

	if (!strstr(log, "BEGIN PROG LOAD LOG") || !end)
		return 0;
	while (begin > log && begin[-1] != '\n')
		begin--;
	snprintf(last, sizeof(last), "verifier: %.*s", (int)(end - begin), begin);
	return 1;
}

static void keep_first(const char *message)
{
	if (keep_verdict(message) || last[0])
		return;
	snprintf(last, sizeof(last), "%s", message);
	last[strcspn(last, "\n")] = '\0';
}

static int keep(enum libbpf_print_level level, const char *format, va_list args)
{
	char *message;

	if (level != LIBBPF_WARN && !debugging)
		return 0;
	if (vasprintf(&message, format, args) < 0)
		return 0;
	if (debugging)
		fputs(message, stderr);
	if (level == LIBBPF_WARN)
		keep_first(message);
	free(message);
	return 0;
}

int error_injected(const char *name)
{
	const char *text = getenv("EBTOP_FAIL");
	size_t length = strlen(name);

	for (; text; text = strchr(text, ','), text = text ? text + 1 : NULL)
		if (!strncmp(text, name, length) && text[length] == ':')
			return -atoi(text + length + 1);
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
