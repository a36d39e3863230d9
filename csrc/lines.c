// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the fast path from open events to lines of text. It handles names that need no escaping:
 * printable ASCII without quotes and backslashes, which is nearly all of them. ebtop/text.py alone
 * knows how any other name, or the path of a directory, is written: the lines end before such an
 * event, and outputs/eventlines.py writes it.
 */
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "ebtop.h"

#define LINE_MAX (EBTOP_FILENAME_BYTES + 512)
#define PUT(to, literal) put(to, literal, sizeof(literal) - 1)

static char *put(char *to, const char *from, size_t bytes)
{
	memcpy(to, from, bytes);
	return to + bytes;
}

static char *put_number(char *to, __u64 number)
{
	char digits[20];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + number % 10);
	while (number /= 10);
	return put(to, digits + at, sizeof(digits) - at);
}

static char *put_signed(char *to, __s64 number)
{
	if (number < 0)
		*to++ = '-';
	return put_number(to, number < 0 ? 0 - (__u64)number : (__u64)number);
}

static char *put_fraction(char *to, __u32 number, int digits)
{
	for (int i = digits - 1; i >= 0; i--, number /= 10)
		to[i] = (char)('0' + number % 10);
	return to + digits;
}

static int is_plain(const char *text, size_t bytes)
{
	unsigned odd = 0;

	for (size_t i = 0; i < bytes; i++) {
		unsigned char c = (unsigned char)text[i];

		odd |= (c < 0x20) | (c > 0x7e) | (c == '"') | (c == '\\');
	}
	return !odd;
}

/* "" when it is no error, NULL when it is one without a name here. */
static const char *error_of(const struct ebtop_lines *lines, __s64 result)
{
	if (result >= 0)
		return "";
	if (result <= -EBTOP_ERROR_NAMES || !lines->errors[-result][0])
		return NULL;
	return lines->errors[-result];
}

static void set_clock(struct ebtop_lines *lines, __s64 second)
{
	time_t when = (time_t)second;
	struct tm parts;

	if (lines->json)
		gmtime_r(&when, &parts);
	else
		localtime_r(&when, &parts);
	strftime(lines->clock, sizeof(lines->clock), lines->json ? "%Y-%m-%dT%H:%M:%S" : "%H:%M:%S",
		 &parts);
	lines->clock_bytes = (__u32)strlen(lines->clock);
	lines->clock_second = second;
}

static int is_absolute(const struct ebtop_event_row *row, const char *name)
{
	return row->text_bytes && name[0] == '/';
}

static char *put_json(char *to, const struct ebtop_lines *lines, const struct ebtop_event_row *row,
		      const char *name, __u32 fraction)
{
	const char *error = error_of(lines, row->result);

	to = put(PUT(to, "{\"type\":\"open\",\"time\":\""), lines->clock, lines->clock_bytes);
	*to++ = '.';
	to = put_number(PUT(put_fraction(to, fraction, 6), "Z\",\"monotonic_ns\":"), row->time_ns);
	to = put_number(PUT(to, ",\"pid\":"), row->pid);
	to = put_number(PUT(to, ",\"tid\":"), row->tid);
	to = put_number(PUT(to, ",\"uid\":"), row->uid);
	to = put(PUT(to, ",\"comm\":\""), row->comm, strnlen(row->comm, sizeof(row->comm)));
	to = put(PUT(to, "\",\"thread_comm\":\""), row->thread_comm,
		 strnlen(row->thread_comm, sizeof(row->thread_comm)));
	to = put(PUT(to, "\",\"filename\":\""), name, row->text_bytes);
	to = put_number(PUT(to, "\",\"flags\":"), row->open_flags);
	to = put_signed(PUT(to, ",\"result\":"), row->result);
	if (*error)
		to = PUT(put(PUT(to, ",\"error\":\""), error, strlen(error)), "\"");
	else
		to = PUT(to, ",\"error\":null");
	if (is_absolute(row, name))
		return PUT(to, ",\"dirfd\":null,\"relative_to\":null}\n");
	if (row->dirfd == AT_FDCWD)
		return PUT(to, ",\"dirfd\":null,\"relative_to\":\"cwd\"}\n");
	return PUT(put_signed(PUT(to, ",\"dirfd\":"), row->dirfd), ",\"relative_to\":null}\n");
}

static char *put_text(char *to, const struct ebtop_lines *lines, const struct ebtop_event_row *row,
		      const char *name, __u32 fraction)
{
	const char *error = error_of(lines, row->result);

	*to++ = '[';
	to = put(to, lines->clock, lines->clock_bytes);
	*to++ = '.';
	to = put_number(PUT(put_fraction(to, fraction / 1000, 3), "] PID "), row->pid);
	to = put(PUT(to, " ("), row->comm, strnlen(row->comm, sizeof(row->comm)));
	to = put_number(PUT(to, ") UID "), row->uid);
	to = put(PUT(to, " opened: "), name, row->text_bytes);
	if (is_absolute(row, name))
		to = PUT(to, " = ");
	else if (row->dirfd == AT_FDCWD)
		to = PUT(to, " (in cwd) = ");
	else
		to = PUT(put_signed(PUT(to, " (in fd "), row->dirfd), ") = ");
	if (*error)
		to = put(PUT(to, "-1 "), error, strlen(error));
	else
		to = put_signed(to, row->result);
	*to++ = '\n';
	return to;
}

__u32 ebtop_format(struct ebtop_lines *lines, const void *rows, __u32 count, const char *text,
		   __u32 text_bytes)
{
	const struct ebtop_event_row *row = rows;
	char *to = lines->out;
	__u32 done;

	for (done = 0; done < count; done++, row++) {
		__u64 time_ns = row->time_ns + (__u64)lines->to_epoch_ns;
		const char *name = text + row->text;

		if (row->type != EBTOP_EVENT_OPEN || row->marks || row->name_bytes ||
		    !error_of(lines, row->result) || row->text_bytes > EBTOP_FILENAME_BYTES ||
		    row->text > text_bytes || row->text_bytes > text_bytes - row->text ||
		    !is_plain(name, row->text_bytes) ||
		    !is_plain(row->comm, strnlen(row->comm, sizeof(row->comm))) ||
		    !is_plain(row->thread_comm,
			      strnlen(row->thread_comm, sizeof(row->thread_comm))) ||
		    to + LINE_MAX > lines->out + sizeof(lines->out))
			break;
		if (lines->clock_second != (__s64)(time_ns / 1000000000))
			set_clock(lines, (__s64)(time_ns / 1000000000));
		to = (lines->json ? put_json : put_text)(to, lines, row, name,
							 (__u32)(time_ns / 1000 % 1000000));
	}
	lines->used = (__u32)(to - lines->out);
	return done;
}
