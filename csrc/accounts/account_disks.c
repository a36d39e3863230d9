// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns charging disk requests to processes. A request is charged to the process that BPF noted when
 * the request began; what kernel threads read is charged to them. What kernel threads write is
 * charged to a row of its own, the rest, together with requests of unknown processes and of
 * processes whose last row has been shown: all rows together are what the disks did. Beyond that
 * sum, written-back bytes are credited to the process that changed the pages.
 */
#include <stdlib.h>
#include <string.h>

#include "accounts/account.h"

#define IDLE_NS 10000000000ull    /* an owner whose process has ended is kept as long */
#define SLOW_TIMES 4              /* that much longer than usual stands out */
#define SLOW_NS 1000000           /* but not what is faster than this */
#define USUAL_SHARE 4             /* so much of the way to the present goes what is usual */
#define CROWDED_NS 60000000000ull /* and any other, when more than half of the table is in use */

static struct disk_owner *owner_of(struct accounts *accounts, const struct ebtop_disk_owner *key)
{
	struct hash *owners = &accounts->disks->owners;
	struct disk_owner *owner = (void *)hash_find(owners, key->pid, key->start_ns);

	if (owner)
		return owner;
	owner = calloc(1, sizeof(*owner));
	if (!owner) {
		accounts->lost_memory++;
		return NULL;
	}
	owner->node.id = key->pid;
	owner->node.start_ns = key->start_ns;
	hash_insert(owners, &owner->node);
	return owner;
}

static void take_counts(__u64 *interval, __u64 *total, const struct ebtop_disk_counts *now,
			const struct ebtop_disk_counts *last)
{
	const struct {
		enum ebtop_counter counter;
		__u64 growth;
	} grew[] = {
		{ EBTOP_DISK_READ_BYTES,
		  now->bytes[EBTOP_GROUP_READS] - last->bytes[EBTOP_GROUP_READS] },
		{ EBTOP_DISK_WRITE_BYTES,
		  now->bytes[EBTOP_GROUP_WRITES] - last->bytes[EBTOP_GROUP_WRITES] },
		{ EBTOP_DISK_READS,
		  now->requests[EBTOP_GROUP_READS] - last->requests[EBTOP_GROUP_READS] },
		{ EBTOP_DISK_WRITES,
		  now->requests[EBTOP_GROUP_WRITES] - last->requests[EBTOP_GROUP_WRITES] },
		{ EBTOP_DISK_LATENCY_NS, now->latency_ns - last->latency_ns },
		{ EBTOP_DISK_SEQUENTIAL, now->sequential - last->sequential },
		{ EBTOP_DISK_WRITTEN_BACK_BYTES,
		  now->written_back_bytes - last->written_back_bytes },
	};

	for (size_t i = 0; i < sizeof(grew) / sizeof(grew[0]); i++) {
		interval[grew[i].counter] += grew[i].growth;
		total[grew[i].counter] += grew[i].growth;
	}
}

/* The process that is charged; NULL: the rest is. */
static struct process *charged(struct accounts *accounts, const struct ebtop_disk_owner *key)
{
	struct process *process = accounts_find(accounts, key->pid, key->start_ns);

	if (!process || process->flags & PROCESS_SHOWN)
		return NULL;
	accounts_mark_active(accounts, process);
	return process->refresh == accounts->refresh ? process : NULL;
}

/* A spike is judged by what was usual before it, and becomes a part of that only slowly. */
static void compare(struct disk_owner *owner)
{
	const struct histogram *interval = &owner->latencies.interval;
	__u64 now_ns, usual_ns = owner->usual_ns;

	if (!interval->calls)
		return;
	now_ns = histogram_percentile(interval, 99);
	owner->slow = usual_ns && now_ns > SLOW_NS && now_ns > SLOW_TIMES * usual_ns;
	if (!usual_ns)
		owner->usual_ns = now_ns;
	else if (owner->slow)
		owner->usual_ns += usual_ns / USUAL_SHARE;
	else
		owner->usual_ns = usual_ns - usual_ns / USUAL_SHARE + now_ns / USUAL_SHARE;
}

static void charge(struct accounts *accounts, struct disk_owner *owner,
		   const struct ebtop_disk_owner *key, const struct ebtop_disk_counts *now)
{
	struct disks *disks = accounts->disks;
	struct process *process = charged(accounts, key);

	if (process) {
		take_counts(process->sums->interval, process->sums->total, now, &owner->last);
		disks_add_latencies(disks, &owner->latencies.interval, now, &owner->last);
		histogram_add(&owner->latencies.total, &owner->latencies.interval);
		compare(owner);
		process->direct_bytes += now->direct_bytes - owner->last.direct_bytes;
	} else {
		take_counts(disks->rest.interval, disks->rest.total, now, &owner->last);
		disks_add_latencies(disks, &disks->rest.latencies.interval, now, &owner->last);
	}
	owner->last = *now;
}

/* No request will be charged to it soon; its entry is made again when one is. */
static int may_go(const struct accounts *accounts, const struct disk_owner *owner)
{
	__u64 idle_ns = delta(accounts->now_ns, owner->last.last_ns);
	const struct process *process =
		accounts_find(accounts, owner->node.id, owner->node.start_ns);

	if (!process || process->flags & PROCESS_ENDED)
		return idle_ns > IDLE_NS;
	return idle_ns > CROWDED_NS &&
	       accounts->disks->owner_count > accounts->disks->owners_max / 2;
}

static void begin_interval(struct disks *disks)
{
	memset(disks->rest.interval, 0, sizeof(disks->rest.interval));
	histogram_clear(&disks->rest.latencies.interval);
}

void accounts_disks(struct accounts *accounts)
{
	struct disks *disks = accounts->disks;

	begin_interval(disks);
	disks_read_owners(disks);
	for (__u32 i = 0; i < disks->owner_count; i++) {
		const struct ebtop_disk_owner *key = &disks->owner_keys[i];
		const struct ebtop_disk_counts *now = &disks->owner_counts[i];
		struct disk_owner *owner = owner_of(accounts, key);

		if (!owner)
			continue;
		histogram_clear(&owner->latencies.interval);
		owner->slow = 0;
		if (now->last_ns == owner->last.last_ns) {
			if (may_go(accounts, owner))
				disks_forget(disks, owner);
			continue;
		}
		/* born since the slots were read: its process will be known next time */
		if (key->start_ns > accounts->before_boot_ns && accounts->before_boot_ns &&
		    !accounts_find(accounts, key->pid, key->start_ns))
			continue;
		charge(accounts, owner, key, now);
	}
	histogram_add(&disks->rest.latencies.total, &disks->rest.latencies.interval);
}
