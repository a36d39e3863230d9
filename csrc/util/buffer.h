/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the growable array that every table is built in. Elements move when it grows.
 */
#ifndef EBTOP_BUFFER_H
#define EBTOP_BUFFER_H

#include <stddef.h>

#include "ebtop.h"

struct buffer {
	char *data;
	size_t count;
	size_t capacity;
	size_t stride;
};

#define BUFFER_OF(type) ((struct buffer){ .stride = sizeof(type) })

/* Room for `more` further elements: 0 or -ENOMEM. */
int buffer_reserve(struct buffer *buffer, size_t more);
/* A new, uninitialised element at the end; NULL without memory. */
void *buffer_add(struct buffer *buffer);
void buffer_free(struct buffer *buffer);
struct ebtop_table buffer_table(const struct buffer *buffer);
/* As buffer_table(), but the caller now owns the memory of the table. */
struct ebtop_table buffer_give(struct buffer *buffer);

static inline void *buffer_at(const struct buffer *buffer, size_t index)
{
	return buffer->data + index * buffer->stride;
}

#endif
