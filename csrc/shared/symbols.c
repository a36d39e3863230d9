// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns reading the kernel's symbols: once for the functions that tell why a thread waits, and again
 * for the names of addresses that are shown. The file stays open, because the kernel decides at
 * open(2) whether this process may see addresses.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/symbols.h"

#define SYMBOLS "/proc/kallsyms"
#define BLOCK_BYTES 65536
#define LONGEST 65536      /* bytes of code behind a symbol that no other follows */
#define MEANWHILE_READS 64 /* each is a page at most, as the kernel gives this file */
#define FARTHEST (1u << 20)

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

static int by_start(const void *left, const void *right)
{
	const struct function_range *a = left, *b = right;

	return (a->start > b->start) - (a->start < b->start);
}

static int add_name(struct symbols *symbols, const char *line, size_t length)
{
	struct function_name *name;

	if (length < 3 || line[0] < '0' || line[0] >= '0' + EBTOP_WAITS)
		return 0;
	name = buffer_add(&symbols->names);
	if (!name)
		return -ENOMEM;
	*name = (struct function_name){ line + 2, length - 2, (__u32)(line[0] - '0'), 0 };
	return 0;
}

/* Without the right to see them, all addresses are 0; with it, some of the first may be (per CPU). */
static int addresses_are_shown(int fd)
{
	char first[4096];
	ssize_t bytes = fd < 0 ? 0 : pread(fd, first, sizeof(first) - 1, 0);
	const char *line = first;

	first[bytes > 0 ? bytes : 0] = '\0';
	while (line) {
		if (strtoull(line, NULL, 16))
			return 1;
		line = strchr(line, '\n');
		if (line)
			line++;
	}
	return 0;
}

int symbols_open(struct symbols *symbols, const char *list)
{
	int ret = 0;

	symbols->symbols_fd = -1;
	symbols->names = BUFFER_OF(struct function_name);
	symbols->ranges = BUFFER_OF(struct function_range);
	symbols->list = strdup(list ? list : "");
	if (!symbols->list)
		return -ENOMEM;
	for (const char *line = symbols->list; *line && !ret;) {
		size_t length = strcspn(line, "\n");

		ret = add_name(symbols, line, length);
		line += length + (line[length] == '\n');
	}
	if (symbols->names.count)
		qsort(symbols->names.data, symbols->names.count, sizeof(struct function_name),
		      by_name);
	symbols->symbols_fd = open(SYMBOLS, O_RDONLY | O_CLOEXEC);
	if (symbols->symbols_fd >= 0 && !addresses_are_shown(symbols->symbols_fd)) {
		close(symbols->symbols_fd);
		symbols->symbols_fd = -1;
	}
	return ret;
}

void symbols_close(struct symbols *symbols)
{
	symbols_wait(symbols);
	if (symbols->symbols_fd >= 0)
		close(symbols->symbols_fd);
	symbols->symbols_fd = -1;
	buffer_free(&symbols->names);
	buffer_free(&symbols->ranges);
	free(symbols->list);
	symbols->list = NULL;
}

int symbols_are_shown(const struct symbols *symbols)
{
	return symbols->symbols_fd >= 0;
}

/* ---- the symbols ---- */

/* `address type name[.suffix] [module]`: 0 when it is no code. */
static __u64 parse_symbol(const char *line, const char **name)
{
	char *rest;
	__u64 address = strtoull(line, &rest, 16);

	if (rest == line || *rest != ' ' || !rest[1] || !strchr("tTwW", rest[1]) || rest[2] != ' ')
		return 0;
	*name = rest + 3;
	return address;
}

struct search {
	struct symbols *symbols;
	struct buffer addresses; /* of all functions */
};

/* The compiler's copies and parts of a function count as it. */
static void take_symbol(void *context, const char *line)
{
	struct search *search = context;
	struct symbols *symbols = search->symbols;
	struct function_name wanted = {};
	const struct function_name *name;
	struct function_range *range;
	__u64 address = parse_symbol(line, &wanted.name), *place;

	if (!address)
		return;
	place = buffer_add(&search->addresses);
	if (place)
		*place = address;
	wanted.length = strcspn(wanted.name, ".\t");
	name = bsearch(&wanted, symbols->names.data, symbols->names.count, sizeof(wanted), by_name);
	range = name ? buffer_add(&symbols->ranges) : NULL;
	if (range)
		*range = (struct function_range){ address, address + LONGEST, name->reason, 0 };
}

/* Calls `take` with each line of the file; one that a block ends in goes on in the next. */
static void each_line(const struct symbols *symbols, void (*take)(void *context, const char *line),
		      void *context)
{
	const int fd = symbols->symbols_fd;
	char *block = malloc(BLOCK_BYTES + 1), *line, *end;
	unsigned int reads = 0;
	size_t kept = 0;
	ssize_t bytes;

	lseek(fd, 0, SEEK_SET);
	while (block && (bytes = read(fd, block + kept, BLOCK_BYTES - kept)) > 0) {
		block[kept + (size_t)bytes] = '\0';
		for (line = block; (end = strchr(line, '\n')); line = end + 1) {
			*end = '\0';
			take(context, line);
		}
		kept = strlen(line);
		if (kept == BLOCK_BYTES)
			break; /* no line is so long */
		memmove(block, line, kept);
		if (symbols->meanwhile && ++reads % MEANWHILE_READS == 0)
			symbols->meanwhile(symbols->context);
	}
	free(block);
}

/* How many begin at that address or before. */
static size_t ranges_until(const struct symbols *symbols, __u64 address)
{
	const struct function_range *ranges = (const void *)symbols->ranges.data;
	size_t low = 0, high = symbols->ranges.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ranges[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* A function ends where the next symbol begins, wherever in the file that is. They are hundreds, symbols
 * more than a hundred thousand: these are not sorted, but looked up each. */
static void end_ranges(struct symbols *symbols, const struct buffer *addresses)
{
	const __u64 *all = (const void *)addresses->data;
	struct function_range *ranges = (void *)symbols->ranges.data;

	if (!symbols->ranges.count)
		return;
	qsort(ranges, symbols->ranges.count, sizeof(*ranges), by_start);
	for (size_t i = 0; i < addresses->count; i++) {
		/* of several that begin at one address the last is found, as in range_of() */
		size_t after = ranges_until(symbols, all[i] - 1);

		if (after && all[i] < ranges[after - 1].end)
			ranges[after - 1].end = all[i];
	}
}

static void find_ranges(struct symbols *symbols)
{
	struct search search = { symbols, BUFFER_OF(__u64) };

	each_line(symbols, take_symbol, &search);
	end_ranges(symbols, &search.addresses);
	buffer_free(&search.addresses);
	symbols->found = 1;
}

static void *read_in_thread(void *context)
{
	find_ranges(context);
	return NULL;
}

void symbols_read_early(struct symbols *symbols)
{
	sigset_t all, before;

	if (symbols->symbols_fd < 0)
		return;
	/* signals go to the calling thread, which waits for them */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	symbols->reading = !pthread_create(&symbols->reader, NULL, read_in_thread, symbols);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void symbols_wait(struct symbols *symbols)
{
	if (symbols->reading)
		pthread_join(symbols->reader, NULL);
	symbols->reading = 0;
}

struct naming {
	struct ebtop_symbol *symbols;
	__u32 count;
};

/* The nearest function before each address is the one that it is in. */
static void take_name(void *context, const char *line)
{
	struct naming *naming = context;
	const char *name = "";
	__u64 start = parse_symbol(line, &name);
	__u32 low = 0, high = naming->count;

	while (start && low < high) {
		__u32 middle = low + (high - low) / 2;

		if (naming->symbols[middle].address < start)
			low = middle + 1;
		else
			high = middle;
	}
	for (; start && low < naming->count; low++) {
		struct ebtop_symbol *symbol = &naming->symbols[low];

		if (symbol->address - start >= FARTHEST)
			break;
		if (start <= symbol->start)
			continue;
		symbol->start = start;
		memset(symbol->name, 0, sizeof(symbol->name));
		memcpy(symbol->name, name,
		       strcspn(name, "\t") < sizeof(symbol->name) ? strcspn(name, "\t") :
								    sizeof(symbol->name) - 1);
	}
}

void symbols_names(const struct symbols *symbols, struct ebtop_symbol *asked, __u32 count)
{
	struct naming naming = { asked, count };

	if (symbols->symbols_fd >= 0)
		each_line(symbols, take_name, &naming);
}

static const struct function_range *range_of(const struct symbols *symbols, __u64 address)
{
	const struct function_range *ranges = (const void *)symbols->ranges.data;
	size_t after = ranges_until(symbols, address);

	return after && address < ranges[after - 1].end ? &ranges[after - 1] : NULL;
}

__u32 symbols_reason(struct symbols *symbols, const __u64 *frame, __u32 count)
{
	if (!symbols->found && symbols->symbols_fd >= 0)
		find_ranges(symbols);
	for (__u32 i = 0; i < count; i++) {
		/* a call may be the last instruction of its function */
		const struct function_range *range = range_of(symbols, frame[i] - (i > 0));

		if (range)
			return range->reason;
	}
	return EBTOP_WAITS;
}
