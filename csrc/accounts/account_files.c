// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns adding up the file counters of a thread. Pages added to the page cache become bytes here, so
 * that they can be compared with the bytes read.
 */
#include <stdlib.h>
#include <unistd.h>

#include "accounts/account.h"

/* What was counted of the thread last; nothing when counting has begun anew since. NULL: no memory. */
static struct thread_files *last_files(struct accounts *accounts, struct thread *thread)
{
	if (!thread->files)
		thread->files = calloc(1, sizeof(*thread->files));
	if (!thread->files)
		accounts->lost_memory++;
	else if (thread->files->boot_ns != accounts->files->boot_ns)
		*thread->files = (struct thread_files){ .boot_ns = accounts->files->boot_ns };
	return thread->files;
}

void accounts_files(struct accounts *accounts, struct thread *thread, __u32 index,
		    const struct ebtop_slot *slot, __u64 oncpu_ns)
{
	static __u64 page;
	struct ebtop_file_slot now, *last;
	struct thread_files *files;

	(void)oncpu_ns;
	if (!page)
		page = (__u64)sysconf(_SC_PAGESIZE);
	if (slot_array_read(&accounts->files->slots, index, &now) || now.start_ns != slot->start_ns)
		return;
	files = last_files(accounts, thread);
	if (!files)
		return;
	last = &files->last;
	add(thread, EBTOP_FILE_READ_BYTES, delta(now.read_bytes, last->read_bytes));
	add(thread, EBTOP_FILE_WRITE_BYTES, delta(now.write_bytes, last->write_bytes));
	add(thread, EBTOP_CACHED_READ_BYTES, delta(now.cached_read_bytes, last->cached_read_bytes));
	add(thread, EBTOP_CACHE_ADDED_BYTES, delta(now.added_pages, last->added_pages) * page);
	add(thread, EBTOP_OPENS, delta(now.opens, last->opens));
	*last = now;
}
