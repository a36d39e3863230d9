// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the user side of waits and their stacks. A stack is resolved once, when it is first seen;
 * from then on BPF itself adds waits with that stack to the right sum.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <bpf/bpf.h>

#include "shared/waits.h"

#define CHUNK_SLOTS 1024
#define READ_TRIES 4

struct stack {
	struct hash_node node; /* its id: low half, whole */
	__u32 reason;
	__u32 frames;
	__u64 frame[]; /* addresses, the innermost first */
};

int waits_open(struct waits *waits, const struct maps *maps, const char *functions)
{
	waits->slots_fd = maps->fd[MAP_WAIT_SLOTS];
	waits->stacks_fd = maps->fd[MAP_WAIT_STACKS];
	waits->counts_fd = maps->fd[MAP_STACK_COUNTS];
	waits->slot_total = maps->slot_count;
	waits->chunk_count = (maps->slot_count + CHUNK_SLOTS - 1) / CHUNK_SLOTS;
	waits->chunks = calloc(waits->chunk_count, sizeof(*waits->chunks));
	waits->rows = BUFFER_OF(struct ebtop_wait_row);
	if (!waits->chunks || hash_open(&waits->stacks))
		return -ENOMEM;
	return symbols_open(&waits->symbols, functions);
}

/* The last chunk ends with the array. */
static size_t chunk_bytes(const struct waits *waits, __u32 chunk)
{
	const size_t each = sizeof(struct ebtop_wait_slot), offset = chunk * CHUNK_SLOTS * each;
	size_t left = ((waits->slot_total * each + 4095) & ~4095ul) - offset;

	return left < CHUNK_SLOTS * each ? left : CHUNK_SLOTS * each;
}

static void free_stacks(struct waits *waits)
{
	for (size_t i = 0; waits->stacks.buckets && i < waits->stacks.bucket_count; i++) {
		struct hash_node *next, *node = waits->stacks.buckets[i];

		for (; node; node = next) {
			next = node->next;
			free(node);
		}
	}
	hash_close(&waits->stacks);
}

void waits_close(struct waits *waits)
{
	for (__u32 i = 0; waits->chunks && i < waits->chunk_count; i++)
		if (waits->chunks[i])
			munmap(waits->chunks[i], chunk_bytes(waits, i));
	free(waits->chunks);
	waits->chunks = NULL;
	free_stacks(waits);
	symbols_close(&waits->symbols);
	buffer_free(&waits->rows);
}

/* ---- threads ---- */

static const struct ebtop_wait_slot *slot_at(struct waits *waits, __u32 index)
{
	const __u32 chunk = index / CHUNK_SLOTS;

	if (!waits->chunks[chunk]) {
		void *memory =
			mmap(NULL, chunk_bytes(waits, chunk), PROT_READ | PROT_WRITE, MAP_SHARED,
			     waits->slots_fd,
			     (off_t)((size_t)chunk * CHUNK_SLOTS * sizeof(struct ebtop_wait_slot)));

		waits->chunks[chunk] = memory == MAP_FAILED ? NULL : memory;
	}
	return waits->chunks[chunk] ? &waits->chunks[chunk][index % CHUNK_SLOTS] : NULL;
}

int waits_read(struct waits *waits, __u32 index, struct ebtop_wait_slot *ret)
{
	const struct ebtop_wait_slot *slot = slot_at(waits, index);
	struct ebtop_wait_slot again;

	for (int i = 0; slot && i < READ_TRIES; i++) {
		memcpy(ret, (const void *)slot, sizeof(*ret));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		memcpy(&again, (const void *)slot, sizeof(again));
		if (!memcmp(ret, &again, sizeof(again)))
			return 0;
	}
	return -EAGAIN;
}

/* ---- stacks ---- */

static struct stack *stack_of(const struct waits *waits, __u64 id)
{
	return (void *)hash_find(&waits->stacks, (__u32)id, id);
}

void waits_stack(struct waits *waits, const struct ebtop_stack_event *event)
{
	__u32 frames = event->frames < EBTOP_STACK_FRAMES ? event->frames : EBTOP_STACK_FRAMES;
	struct ebtop_stack_reason said = {};
	struct stack *stack = stack_of(waits, event->id);

	if (!stack) {
		stack = calloc(1, sizeof(*stack) + frames * sizeof(stack->frame[0]));
		if (!stack)
			return;
		stack->node.id = (__u32)event->id;
		stack->node.start_ns = event->id;
		stack->frames = frames;
		memcpy(stack->frame, event->frame, frames * sizeof(stack->frame[0]));
		stack->reason = symbols_reason(&waits->symbols, stack->frame, frames);
		hash_insert(&waits->stacks, &stack->node);
	}
	said.reason = stack->reason;
	bpf_map_update_elem(waits->stacks_fd, &event->id, &said, BPF_EXIST);
}

__u32 waits_reason(const struct waits *waits, __u64 id, __u32 evidence)
{
	const struct stack *stack = stack_of(waits, id);

	if (!stack)
		return EBTOP_STACK_UNRESOLVED;
	return evidence & EBTOP_WAIT_UNSURE && stack->reason < EBTOP_WAITS ? stack->reason :
									     evidence & 7;
}

__u64 waits_innermost(const struct waits *waits, __u64 id)
{
	const struct stack *stack = stack_of(waits, id);

	return stack && stack->frames ? stack->frame[0] : 0;
}

/* ---- the inspected process ---- */

void waits_forget(struct waits *waits)
{
	__u64 key;

	while (!bpf_map_get_next_key(waits->counts_fd, NULL, &key))
		if (bpf_map_delete_elem(waits->counts_fd, &key))
			break;
}

static void add_row(struct waits *waits, __u64 id, const struct ebtop_stack_count *count)
{
	const struct stack *stack = stack_of(waits, id);
	struct ebtop_wait_row *row = stack ? buffer_add(&waits->rows) : NULL;

	if (!row)
		return;
	memset(row, 0, sizeof(*row));
	row->ns = count->ns;
	row->count = count->count;
	row->reason = waits_reason(waits, id, count->evidence);
	row->frames = stack->frames;
	memcpy(row->frame, stack->frame, stack->frames * sizeof(stack->frame[0]));
}

void waits_list(struct waits *waits)
{
	struct ebtop_stack_count count;
	__u64 key, next, *before = NULL;

	waits->rows.count = 0;
	while (!bpf_map_get_next_key(waits->counts_fd, before, &next)) {
		key = next;
		before = &key;
		if (!bpf_map_lookup_elem(waits->counts_fd, &key, &count))
			add_row(waits, key, &count);
	}
}
