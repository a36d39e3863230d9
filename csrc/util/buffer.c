// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the growable array that every table is built in.
 */
#include <errno.h>
#include <stdlib.h>

#include "util/buffer.h"

int buffer_reserve(struct buffer *buffer, size_t more)
{
	size_t wanted = buffer->count + more, capacity = buffer->capacity ? buffer->capacity : 64;
	char *data;

	if (wanted <= buffer->capacity)
		return 0;
	while (capacity < wanted)
		capacity *= 2;
	data = realloc(buffer->data, capacity * buffer->stride);
	if (!data)
		return -ENOMEM;
	buffer->data = data;
	buffer->capacity = capacity;
	return 0;
}

void *buffer_add(struct buffer *buffer)
{
	if (buffer_reserve(buffer, 1))
		return NULL;
	return buffer_at(buffer, buffer->count++);
}

void buffer_free(struct buffer *buffer)
{
	free(buffer->data);
	buffer->data = NULL;
	buffer->count = buffer->capacity = 0;
}

struct ebtop_table buffer_table(const struct buffer *buffer)
{
	return (struct ebtop_table){
		.rows = buffer->data,
		.count = (__u32)buffer->count,
		.stride = (__u32)buffer->stride,
	};
}

struct ebtop_table buffer_give(struct buffer *buffer)
{
	struct ebtop_table table = buffer_table(buffer);

	buffer->data = NULL;
	buffer->count = buffer->capacity = 0;
	return table;
}
