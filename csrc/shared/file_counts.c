// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns reading the map of files of the inspected process.
 */
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>

#include "shared/file_counts.h"

#define CUT "\xe2\x80\xa6" /* an ellipsis */

void filecounts_forget(const struct maps *maps)
{
	struct ebtop_file_key key;

	if (maps->fd[MAP_FILE_COUNTS] < 0)
		return;
	while (!bpf_map_get_next_key(maps->fd[MAP_FILE_COUNTS], NULL, &key))
		if (bpf_map_delete_elem(maps->fd[MAP_FILE_COUNTS], &key))
			break;
}

int filecounts_path(const char *parts, __u32 whole, char path[EBTOP_FILE_PATH_BYTES])
{
	size_t used = 0;
	int is_cut = !whole;

	path[0] = '\0';
	for (int i = EBTOP_FILE_PARTS; i-- > 0;) {
		const char *part = parts + i * EBTOP_FILE_PART_BYTES;
		size_t length = strnlen(part, EBTOP_FILE_PART_BYTES - 1);
		int cut = length == EBTOP_FILE_PART_BYTES - 1;
		int ret;

		if (!length)
			continue;
		is_cut |= cut;
		ret = snprintf(path + used, EBTOP_FILE_PATH_BYTES - used, "%s%s%.*s%s",
			       used || whole ? "" : CUT, whole == EBTOP_FILE_NAME_ALONE ? "" : "/",
			       (int)length, part, cut ? CUT : "");
		if (ret < 0 || (size_t)ret >= EBTOP_FILE_PATH_BYTES - used)
			break;
		used += (size_t)ret;
	}
	return is_cut;
}

void filecounts_list(const struct maps *maps, struct buffer *rows)
{
	const int fd = maps->fd[MAP_FILE_COUNTS];
	struct ebtop_file_key key, next, *before = NULL;
	struct ebtop_file_count count;

	rows->count = 0;
	while (fd >= 0 && !bpf_map_get_next_key(fd, before, &next)) {
		struct ebtop_file_row *row;

		key = next;
		before = &key;
		row = bpf_map_lookup_elem(fd, &key, &count) ? NULL : buffer_add(rows);
		if (!row)
			continue;
		memset(row, 0, sizeof(*row));
		row->read_bytes = count.read_bytes;
		row->write_bytes = count.write_bytes;
		row->reads = count.reads;
		row->writes = count.writes;
		filecounts_path(count.parts, count.whole, row->path);
	}
}
