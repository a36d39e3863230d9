// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns adding up the memory counters of a thread, and the sizes of its process's allocations.
 */
#include <stdlib.h>
#include <string.h>

#include "accounts/account.h"

/* What was counted of the thread last; nothing when counting has begun anew since. NULL: no memory. */
static struct thread_memory *last_memory(struct accounts *accounts, struct thread *thread)
{
	if (!thread->memory)
		thread->memory = calloc(1, sizeof(*thread->memory));
	if (!thread->memory)
		accounts->lost_memory++;
	else if (thread->memory->boot_ns != accounts->memory->boot_ns)
		*thread->memory = (struct thread_memory){ .boot_ns = accounts->memory->boot_ns };
	return thread->memory;
}

static struct process_sizes *sizes_of(struct accounts *accounts, struct process *process)
{
	if (!process->sizes)
		process->sizes = calloc(1, sizeof(*process->sizes));
	if (!process->sizes) {
		accounts->lost_memory++;
		return NULL;
	}
	if (process->sizes->refresh != accounts->refresh)
		memset(process->sizes->interval, 0, sizeof(process->sizes->interval));
	process->sizes->refresh = accounts->refresh;
	return process->sizes;
}

static void take_sizes(struct accounts *accounts, struct process *process,
		       const struct ebtop_mem_slot *now, const struct ebtop_mem_slot *last)
{
	struct process_sizes *sizes = NULL;

	for (int i = 0; i < EBTOP_SIZE_CLASSES; i++) {
		__u32 fresh = delta_low(now->sizes[i], last->sizes[i]);

		if (!fresh)
			continue;
		sizes = sizes ? sizes : sizes_of(accounts, process);
		if (!sizes)
			return;
		sizes->interval[i] += fresh;
		sizes->total[i] += fresh;
	}
}

void accounts_memory(struct accounts *accounts, struct thread *thread, __u32 index,
		     const struct ebtop_slot *slot, __u64 oncpu_ns)
{
	struct ebtop_mem_slot now, *last;
	struct thread_memory *memory;

	(void)oncpu_ns;
	if (slot_array_read(&accounts->memory->slots, index, &now) ||
	    now.start_ns != slot->start_ns)
		return;
	memory = last_memory(accounts, thread);
	if (!memory)
		return;
	last = &memory->last;
	add(thread, EBTOP_MMAP_CALLS, delta_low(now.mmaps, last->mmaps));
	add(thread, EBTOP_MUNMAP_CALLS, delta_low(now.munmaps, last->munmaps));
	add(thread, EBTOP_BRK_CALLS, delta_low(now.brks, last->brks));
	add(thread, EBTOP_ALLOCATED_BYTES, delta(now.allocated_bytes, last->allocated_bytes));
	add(thread, EBTOP_FREED_BYTES, delta(now.freed_bytes, last->freed_bytes));
	if (now.allocated_bytes != last->allocated_bytes)
		take_sizes(accounts, thread->process, &now, last);
	*last = now;
}

int accounts_pack_sizes(const struct accounts *accounts, const struct process *process,
			int cumulative, struct ebtop_sizes_row *row)
{
	const struct process_sizes *sizes = process->sizes;
	__u64 all = 0;

	if (!sizes || !accounts->memory || (!cumulative && sizes->refresh != accounts->refresh))
		return 0;
	*row = (struct ebtop_sizes_row){ .start_ns = process->node.start_ns,
					 .pid = process->node.id };
	for (int i = 0; i < EBTOP_SIZE_CLASSES; i++) {
		row->sizes[i] = cumulative ? sizes->total[i] - sizes->base[i] : sizes->interval[i];
		all += row->sizes[i];
	}
	return all != 0;
}

void accounts_reset_sizes(struct process *process)
{
	if (process->sizes)
		memcpy(process->sizes->base, process->sizes->total, sizeof(process->sizes->base));
}
