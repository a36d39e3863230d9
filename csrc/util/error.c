// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns error messages, and keeps libbpf's log off the screen.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "util/error.h"
#include "util/testing.h"

static __thread char last[200]; /* probes may load in several threads */
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

static const char *line_begin(const char *text, const char *within)
{
	while (within > text && within[-1] != '\n')
		within--;
	return within;
}

/* Of "405: (c3) lock *(u32 *)(r0 +64) += r1    ; R0=..." what is before the state of registers. */
static int instruction_length(const char *line)
{
	int digits = (int)strspn(line, "0123456789");

	if (!digits || strncmp(line + digits, ": (", 3))
		return 0;
	for (int end = (int)strcspn(line, ";\n"); end > 0; end--)
		if (line[end - 1] != ' ')
			return end;
	return 0;
}

/* The verifier's verdict, the line before its closing "processed N insns", and which instruction. */
static int keep_verdict(const char *log)
{
	const char *end = strstr(log, "\nprocessed "), *verdict, *line;
	int length = 0;

	if (!strstr(log, "BEGIN PROG LOAD LOG") || !end)
		return 0;
	verdict = line = line_begin(log, end);
	while (line > log && !length) {
		line = line_begin(log, line - 1);
		length = instruction_length(line);
	}
	snprintf(last, sizeof(last), EBTOP_VERIFIER "%.*s%s%.*s", (int)(end - verdict), verdict,
		 length ? " at " : "", length, line);
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
	const char *text = for_tests("EBTOP_FAIL");
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
