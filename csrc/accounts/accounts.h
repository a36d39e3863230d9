/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the accounts: every process and thread that is known, fed by slots, task records and events,
 * and read by rows/. Work is in proportion to what ran: a thread that slept through the interval is
 * not visited.
 */
#ifndef EBTOP_ACCOUNTS_H
#define EBTOP_ACCOUNTS_H

#include "util/buffer.h"
#include "shared/disks.h"
#include "shared/files.h"
#include "shared/connections.h"
#include "util/hash.h"
#include "accounts/hidden_list.h"
#include "accounts/process.h"
#include "shared/memory.h"
#include "shared/slots.h"
#include "shared/syscalls.h"
#include "shared/waits.h"

struct process_entry { /* in order of pid */
	__u32 pid;
	__u32 pad;
	struct process *process;
};

struct moved_slot { /* of a thread that executed a program and so became its process's leader */
	struct ebtop_slot slot;
	__u32 index;
	__u32 pad;
};

struct unexplained { /* its stack was new when its task was read */
	__u64 start_ns, stack;
	__u32 tid;
	__u32 evidence;
};

struct accounts;

/* Reads the counters of a thread beside its slot. `oncpu_ns`: the slot's on-CPU time until now. */
typedef void (*slot_reader)(struct accounts *accounts, struct thread *thread, __u32 index,
			    const struct ebtop_slot *slot, __u64 oncpu_ns);

#define READERS_MAX 8
#define KNOWN(bit) (1ull << (bit)) /* of enum ebtop_known */

struct accounts {
	struct hash threads, processes;
	struct slots *slots;
	struct syscalls *syscalls;       /* NULL when they are not counted */
	struct disks *disks;             /* likewise */
	struct connections *connections; /* likewise */
	struct memory *memory;           /* likewise */
	struct hidden *hidden;
	struct files *files;        /* NULL when neither bytes of files nor opens are counted */
	struct ebtop_config filter; /* at the beginning of this refresh */
	struct thread **by_slot;
	struct buffer moved; /* struct moved_slot, of the scan in progress */
	struct buffer list;  /* struct process_entry; the first `sorted` in order */
	size_t sorted;
	struct buffer active_threads; /* struct thread *, of this refresh */
	struct buffer active;         /* struct process *, of this refresh */
	struct waits *waits;
	struct buffer unexplained; /* struct unexplained, of this refresh */
	struct buffer watch;       /* struct watch_entry: ask for their tasks next time */
	__u64 refresh;             /* its number; 1 is the first */
	__u64 now_ns, before_ns;   /* the interval, monotonic clock */
	__u64 before_boot_ns;      /* its beginning on the boot-time clock */
	__u64 attached_boot_ns;    /* threads started later must have a slot */
	__u64 *cpu_switched_ns;    /* when each CPU had switched last as the scan began */
	__u8 *cpu_online; /* of each CPU: whether it is there; a CPU that leaves says nothing */
	__u64 switches;   /* context switches of the interval */
	__u64 run_clock; /* what to add to the scheduler's clock to have the monotonic one; 0: not known */
	int new_stacks; /* some that tasks sleep in have to be heard of yet */
	__u64 lost_memory;
	int have_sched, have_life, have_tasks;
	slot_reader readers[READERS_MAX]; /* called with each slot that changed */
	int reader_count;
	__u64 known_beside; /* groups of counters that those readers fill */
};

int accounts_open(struct accounts *accounts, struct slots *slots);
void accounts_close(struct accounts *accounts);
/* Resets what the accounts may rely on, until a probe says otherwise. */
void accounts_forget_sources(struct accounts *accounts);
/* Adds a reader of counters beside the slots, once, however many probes count there. */
void accounts_add_reader(struct accounts *accounts, slot_reader reader, __u64 known);

/* Inputs. Slots may come at any time, task records only before the interval is settled. */
void accounts_slot(struct accounts *accounts, __u32 index, const struct ebtop_slot *slot);
void accounts_task(struct accounts *accounts, const struct ebtop_task *record);
/* The faults that a process has had in all, its ended threads included. */
void accounts_set_faults(const struct accounts *accounts, struct process *process, __u64 minor,
			 __u64 major);
void accounts_fork(struct accounts *accounts, const struct ebtop_fork *fork);
/* Sets the arguments of its last exec; for a kernel thread, its full name. */
void accounts_set_args(struct process *process, const char *args, __u32 bytes, __u32 cut);
void accounts_exec(struct accounts *accounts, const struct ebtop_exec *exec);
void accounts_exit(struct accounts *accounts, const struct ebtop_exit *exit);
/* Whether the exit of the process is known already. */
int accounts_has_exit(const struct accounts *accounts, const struct ebtop_exit *exit);

/* The readers: system calls, files, bytes sent and received, memory. */
void accounts_syscalls(struct accounts *accounts, struct thread *thread, __u32 index,
		       const struct ebtop_slot *slot, __u64 oncpu_ns);
void accounts_files(struct accounts *accounts, struct thread *thread, __u32 index,
		    const struct ebtop_slot *slot, __u64 oncpu_ns);
void accounts_net(struct accounts *accounts, struct thread *thread, __u32 index,
		  const struct ebtop_slot *slot, __u64 oncpu_ns);
void accounts_memory(struct accounts *accounts, struct thread *thread, __u32 index,
		     const struct ebtop_slot *slot, __u64 oncpu_ns);
/* Packs the sizes of a process's allocations. Returns whether there are any. */
int accounts_pack_sizes(const struct accounts *accounts, const struct process *process,
			int cumulative, struct ebtop_sizes_row *row);
void accounts_reset_sizes(struct process *process);
/* Reads the connections that are open. */
void accounts_connections(struct accounts *accounts);
void accounts_connection_ended(struct accounts *accounts, const struct ebtop_connection *ended);

/* Charges disk requests to processes, before threads are summed. */
void accounts_disks(struct accounts *accounts);
/* Reads how a thread's off-CPU time is divided. `slept`: through whole intervals; `unwatched`: in this
 * interval, before it had the slot. */
void accounts_waits(struct accounts *accounts, struct thread *thread, __u32 index,
		    const struct ebtop_slot *slot, __u64 slept, __u64 unwatched, int fresh);
/* A wait that ended before its stack was resolved. */
void accounts_late_wait(struct accounts *accounts, const struct ebtop_wait_event *event);
/* The reason of a wait that may have begun before ebtop started. */
void accounts_task_wait(struct accounts *accounts, struct thread *thread,
			const struct ebtop_task *record);
/* Its system call, when that began, and the kernel function that it sleeps in. */
void accounts_task_now(struct accounts *accounts, struct thread *thread,
		       const struct ebtop_task *record);
void accounts_pack_now(struct accounts *accounts, const struct thread *thread,
		       struct ebtop_row *row);
/* Sets the waits of tasks whose stacks were not known yet when their records were read. */
void accounts_explain(struct accounts *accounts);
void accounts_set_wait(struct accounts *accounts, struct thread *thread, __u32 wait);
/* Divides the interval's off-CPU time, when all of it is known. */
void accounts_settle_waits(struct accounts *accounts, struct thread *thread);

/* Visits every slot that changed since the last scan; with `dead_only`, slots of ended threads alone. */
void accounts_scan(struct accounts *accounts, int dead_only);
/* Finds processes that have ended, from slots and events. */
void accounts_find_ended(struct accounts *accounts);
/* Clears the marks for zombies, until their task records set them again. */
void accounts_unwatch(struct accounts *accounts, const struct buffer *watched);
/* After a pass over all tasks: drops what it did not see. */
void accounts_sweep(struct accounts *accounts, __u64 pass_boot_ns);
/* Sums threads into processes; the interval is then complete. */
void accounts_settle(struct accounts *accounts);
/* Drops ended entries and begins the next interval. */
void accounts_next(struct accounts *accounts);
/* Cumulative counting begins anew. */
void accounts_reset(struct accounts *accounts);
/* All processes, sorted by pid. */
const struct process_entry *accounts_list(struct accounts *accounts, size_t *count);
/* The entry of that process, NULL: none. */
struct process *accounts_find(const struct accounts *accounts, __u32 pid, __u64 start_ns);
/* The youngest process with that pid; NULL: none. */
struct process *accounts_of_pid(struct accounts *accounts, __u32 pid);

/* Finds the entry or makes it; NULL: no memory. */
struct process *accounts_process(struct accounts *accounts, __u32 pid, __u64 start_ns);
struct thread *accounts_thread(struct accounts *accounts, struct process *process,
			       struct thread_identity identity, int *created);
/* Exec gave a thread its leader's tid, or the leader the thread's. */
void accounts_change_identity(struct accounts *accounts, struct thread *thread, __u32 tid,
			      __u64 start_ns);
/* The thread has another slot, with empty counters beside it; its former slot will not end. */
void accounts_leave_slot(struct accounts *accounts, struct thread *thread);
/* It takes part in this refresh: its row comes among the first. */
void accounts_mark_active(struct accounts *accounts, struct process *process);
/* Adds that threads which this refresh does not visit have slept so long. */
void accounts_add_asleep(const struct process *process, __u64 *counters, __u64 ns);
void accounts_mark_thread_active(struct accounts *accounts, struct thread *thread);
void accounts_retire_thread(struct accounts *accounts, struct thread *thread);
void accounts_free_thread(struct accounts *accounts, struct thread *thread);

#endif
