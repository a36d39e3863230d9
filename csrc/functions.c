// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the reading of the kernel's symbols for the few functions that tell why a thread waits. The
 * file is read once, and late: most of what it costs is the kernel's work to write it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "functions.h"

#define SYMBOLS "/proc/kallsyms"
#define BLOCK_BYTES 65536
#define LONGEST 65536 /* bytes of code behind a symbol that no other follows */

struct function_name {
	const char *name;
	size_t length;
	__u32 reason;
	__u32 pad;
};

struct function_range {
	__u64 start, end;
	__u32 reason;
	__u32 pad;
};

static int compare_text(const char *left, size_t left_length, const char *right,
			size_t right_length)
{
	size_t common = left_length < right_length ? left_length : right_length;
	int ret = memcmp(left, right, common);

	return ret ? ret : (left_length > right_length) - (left_length < right_length);
}

static int by_name(const void *left, const void *right)
{
	const struct function_name *a = left, *b = right;

	return compare_text(a->name, a->length, b->name, b->length);
}

static int by_address(const void *left, const void *right)
{
	const __u64 a = *(const __u64 *)left, b = *(const __u64 *)right;

	return (a > b) - (a < b);
}

static int by_start(const void *left, const void *right)
{
	const struct function_range *a = left, *b = right;

	return by_address(&a->start, &b->start);
}

static int add_name(struct functions *functions, const char *line, size_t length)
{
	struct function_name *name;

	if (length < 3 || line[0] < '0' || line[0] >= '0' + EBTOP_WAITS)
		return 0;
	name = buffer_add(&functions->names);
	if (!name)
		return -ENOMEM;
	*name = (struct function_name){ line + 2, length - 2, (__u32)(line[0] - '0'), 0 };
	return 0;
}

/* Without the right to see them, all addresses are 0. */
static int addresses_are_shown(int fd)
{
	char first[16];
	ssize_t bytes = fd < 0 ? 0 : pread(fd, first, sizeof(first), 0);

	for (ssize_t i = 0; i < bytes; i++)
		if (first[i] != '0')
			return first[i] != ' ';
	return 0;
}

int functions_open(struct functions *functions, const char *list)
{
	int ret = 0;

	functions->symbols_fd = -1;
	functions->names = BUFFER_OF(struct function_name);
	functions->ranges = BUFFER_OF(struct function_range);
	functions->list = strdup(list ? list : "");
	if (!functions->list)
		return -ENOMEM;
	for (const char *line = functions->list; *line && !ret;) {
		size_t length = strcspn(line, "\n");

		ret = add_name(functions, line, length);
		line += length + (line[length] == '\n');
	}
	if (functions->names.count)
		qsort(functions->names.data, functions->names.count, sizeof(struct function_name),
		      by_name);
	functions->symbols_fd = open(SYMBOLS, O_RDONLY | O_CLOEXEC);
	if (functions->symbols_fd >= 0 && !addresses_are_shown(functions->symbols_fd)) {
		close(functions->symbols_fd);
		functions->symbols_fd = -1;
	}
	return ret;
}

void functions_close(struct functions *functions)
{
	if (functions->symbols_fd >= 0)
		close(functions->symbols_fd);
	functions->symbols_fd = -1;
	buffer_free(&functions->names);
	buffer_free(&functions->ranges);
	free(functions->list);
	functions->list = NULL;
}

int functions_are_there(const struct functions *functions)
{
	return functions->found || functions->symbols_fd >= 0;
}

/* ---- the symbols ---- */

/* `address type name[.suffix] [module]`: the compiler's copies and parts of a function count as it. */
static void take_symbol(struct functions *functions, struct buffer *addresses, const char *line)
{
	struct function_name wanted = {};
	const struct function_name *name;
	struct function_range *range;
	char *rest;
	__u64 address = strtoull(line, &rest, 16);
	__u64 *place;

	if (*rest != ' ' || (rest[1] != 't' && rest[1] != 'T' && rest[1] != 'w' && rest[1] != 'W'))
		return;
	place = buffer_add(addresses);
	if (place)
		*place = address;
	wanted.name = rest + 3;
	wanted.length = strcspn(wanted.name, ".\t\n");
	name = bsearch(&wanted, functions->names.data, functions->names.count, sizeof(wanted),
		       by_name);
	range = name ? buffer_add(&functions->ranges) : NULL;
	if (range)
		*range = (struct function_range){ address, address + LONGEST, name->reason, 0 };
}

/* Lines of a block that are whole; the last one may go on in the next. How many bytes they are. */
static size_t take_lines(struct functions *functions, struct buffer *addresses, char *block)
{
	char *line = block, *end;

	for (; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		if (strlen(line) > 19)
			take_symbol(functions, addresses, line);
	}
	return (size_t)(line - block);
}

/* A function ends where the next symbol begins, wherever in the file that is. */
static void end_ranges(struct functions *functions, struct buffer *addresses)
{
	const __u64 *all = (const void *)addresses->data;
	struct function_range *ranges = (void *)functions->ranges.data;
	size_t next = 0;

	if (!functions->ranges.count || !addresses->count)
		return;
	qsort(addresses->data, addresses->count, sizeof(__u64), by_address);
	qsort(ranges, functions->ranges.count, sizeof(*ranges), by_start);
	for (size_t i = 0; i < functions->ranges.count; i++) {
		while (next < addresses->count && all[next] <= ranges[i].start)
			next++;
		if (next < addresses->count && all[next] < ranges[i].end)
			ranges[i].end = all[next];
	}
}

static void find_ranges(struct functions *functions)
{
	struct buffer addresses = BUFFER_OF(__u64);
	char *block = malloc(BLOCK_BYTES + 1);
	size_t kept = 0;
	ssize_t bytes;

	while (block &&
	       (bytes = read(functions->symbols_fd, block + kept, BLOCK_BYTES - kept)) > 0) {
		size_t there = kept + (size_t)bytes, used;

		block[there] = '\0';
		used = take_lines(functions, &addresses, block);
		kept = there - used;
		if (kept == BLOCK_BYTES)
			break; /* no line is so long */
		memmove(block, block + used, kept);
	}
	free(block);
	end_ranges(functions, &addresses);
	buffer_free(&addresses);
	close(functions->symbols_fd);
	functions->symbols_fd = -1;
	functions->found = 1;
}

static const struct function_range *range_of(const struct functions *functions, __u64 address)
{
	const struct function_range *ranges = (const void *)functions->ranges.data;
	size_t low = 0, high = functions->ranges.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ranges[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low && address < ranges[low - 1].end ? &ranges[low - 1] : NULL;
}

__u32 functions_reason(struct functions *functions, const __u64 *frame, __u32 count)
{
	if (!functions->found && functions->symbols_fd >= 0)
		find_ranges(functions);
	for (__u32 i = 0; i < count; i++) {
		/* a call may be the last instruction of its function */
		const struct function_range *range = range_of(functions, frame[i] - (i > 0));

		if (range)
			return range->reason;
	}
	return EBTOP_WAITS;
}
