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
#include "accounts/hidden.h"
#include "shared/memory.h"
#include "shared/slots.h"
#include "shared/syscalls.h"
#include "shared/waits.h"

struct process;

/* Of task_state: EXIT_DEAD, EXIT_ZOMBIE, TASK_DEAD. */
#define TASK_GONE (0x10 | 0x20 | 0x80)
#define EXIT_DEAD 0x10

#define PF_KTHREAD 0x00200000

/* Counters. A thread or process that has not run since it was first seen has none. */
struct sums {
	__u64 interval[EBTOP_COUNTERS];
	__u64 total[EBTOP_COUNTERS];
	__u64 base[EBTOP_COUNTERS]; /* total at the last reset */
};

/* Totals of a thread's system calls at the last reading. A thread that made none has none. */
struct thread_calls {
	__u64 boot_ns; /* when the counting of these totals began; a later counting starts from 0 */
	__u64 inside_ns, kernel_ns; /* kernel_ns: the call in progress included */
	__u32 calls[EBTOP_CATEGORIES];
	__u32 errors;
	__u32 generation; /* of the filter */
	__u32 watch, pad;
};

/* Totals of a thread's file I/O at the last reading. A thread without any has none. */
struct thread_files {
	__u64 boot_ns; /* as in struct thread_calls */
	struct ebtop_file_slot last;
};

/* Totals of the bytes that a thread sent and received, likewise. */
struct thread_net {
	__u64 boot_ns;
	__u64 tx_bytes, rx_bytes;
	__u32 opened, accepted;
};

/* Totals of the memory that a thread mapped and unmapped, likewise. */
struct thread_memory {
	__u64 boot_ns;
	struct ebtop_mem_slot last;
};

/* Allocations of a process's threads by size. A process without any has none. */
struct process_sizes {
	__u64 refresh; /* the one that `interval` is of */
	__u64 interval[EBTOP_SIZE_CLASSES];
	__u64 total[EBTOP_SIZE_CLASSES];
	__u64 base[EBTOP_SIZE_CLASSES]; /* total at the last reset */
};

/* How a thread's off-CPU time was divided at the last reading. A thread that never switched has none. */
struct thread_waits {
	__u64 refresh; /* the one that read it */
	__u64 last_ns[EBTOP_WAIT_OTHER];
	__u64 delta[EBTOP_WAITS]; /* since the refresh before */
	__u64 late[EBTOP_WAITS];  /* waits explained after they had ended, not used yet */
	__u64 open;               /* of the wait in progress, counted already */
	__u64 given;              /* time of waits in `delta` that earlier intervals were given */
	__u32 given_as, given_unsure, open_unsure;
	__u32 pad;
};

struct thread {
	struct hash_node node; /* tid and start; first, so that a node can be cast to its thread */
	struct process *process;
	struct thread *next; /* of the process */
	struct thread **link;
	__u64 owner;    /* which task_struct, as in struct ebtop_slot */
	__u64 began_ns; /* its own beginning, also after exec gave it that of its leader */
	__u32 slot;     /* 0: none */
	__u32 migrations, voluntary_switches, involuntary_switches; /* low halves */
	__u64 refresh;    /* the refresh that last found it active */
	__u64 pass;       /* the pass over the tasks that last saw it */
	__u64 updated_ns; /* when its slot was read last */
	/* values at the last update */
	__u64 oncpu_ns, offcpu_ns, runq_wait_ns;
	__u64 user_ticks_ns, kernel_ticks_ns, user_ns;
	__u64 split_user_ticks_ns, split_kernel_ticks_ns; /* when time was last divided */
	__u64 minor_faults, major_faults;
	struct sums *sums;
	struct thread_calls *calls;
	struct thread_files *files;
	struct thread_net *net;
	struct thread_memory *memory;
	struct thread_waits *waits;
	__u64 ended_ns;       /* 0: it lives, or its end was not seen */
	__u64 kernel_counted; /* the refresh whose calls were all watched */
	__u64 counted;        /* 1: some interval's kernel time was counted, not sampled */
	__u32 task_state;
	__u32 slot_state; /* enum ebtop_slot_state; FREE when it has no slot */
	__u32 dead;
	__u32 wait;            /* enum ebtop_wait: what it waits for if it does not run */
	__u64 stack, left_cpu; /* these and `call` are as in its last task record */
	__u32 call;
	int waited_known;
	__u64 waited_ns; /* run-queue wait given so far, by /proc's account: of hidden threads */
	char comm[EBTOP_COMM_BYTES];
};

#define PROCESS_ACCOUNTED 1 /* some thread of it was accounted, so its counters mean something */
#define PROCESS_EXIT_EVENT 2
#define PROCESS_GROUP_DEAD 4
#define PROCESS_ENDED 8
#define PROCESS_ZOMBIE 16
#define PROCESS_UNTRACKED 32 /* a thread of it has no slot though it should */
#define PROCESS_FACTS 64     /* ppid and uid are known */
#define PROCESS_MEMORY 128
#define PROCESS_FAULTS 256 /* the fault counters have a base */
#define PROCESS_ARGS_CUT 512
#define PROCESS_CGROUP 1024
#define PROCESS_PEAK 2048
#define PROCESS_VIRTUAL 8192
#define PROCESS_SHOWN 4096       /* its end has been in a snapshot */
#define PROCESS_NO_DIRTIED 32768 /* the kernel does not count what it dirties */
#define PROCESS_HIDDEN 65536     /* no program sees it: what is known of it is from /proc */
#define PROCESS_SAMPLED 16384    /* some of its user and kernel time in this interval is sampled */
#define PROCESS_STATE 131072     /* what its leader did last is known */

struct process {
	struct hash_node node; /* pid and start; first, so that a node can be cast to its process */
	struct thread *threads;
	__u32 live;           /* threads that have not ended */
	__u32 live_slots;     /* those of them that have a slot */
	__u32 active_threads; /* those that the present refresh visited */
	__u32 flags;
	__u32 asleep[EBTOP_WAITS]; /* the others, by what they wait for */
	__u32 pad2;
	__u64 refresh; /* the refresh that last found it active */
	__u64 born;    /* the refresh that it was born in; 0: before the start */
	__u64 execed;  /* the last refresh that it executed a program in */
	__u64 exited;  /* the one that its exit event came in */
	__u64 running; /* the refresh that last found a thread of it runnable */
	__u64 pass;
	__u64 faults_pass, faults_base_pass;
	__u64 faults_sum[2], faults_last[2]; /* minor, major */
	__u64 dirtied_sum, dirtied_last;     /* as faults; bytes */
	__u64 direct_bytes; /* written past the page cache, and not yet found in dirtied_sum */
	__u64 known_ns;     /* without sums, all its threads have slept since then */
	struct sums *sums;
	struct process_sizes *sizes;
	__u64 rss_pages, virtual_pages, peak_rss_pages, cgroup_id, controller_cgroup_id;
	__u64 anon_pages, file_pages, shmem_pages, swap_pages, mappings;
	__u64 ended_oncpu_ns, last_oncpu_ns; /* of the threads that ended, and of the last one */
	__u64 others_oncpu_ns;               /* as the exit event has it */
	__u64 last_switch_ns; /* of the thread that ended last; 0: not seen, or told already */
	__u32 last_tid, pad0;
	__u32 ppid, uid;
	__u32 task_state, task_flags;
	__s32 exit_code;
	__u32 args_bytes;
	__u64 net_refresh; /* the refresh that `connections` is of; it is 0 in any other */
	__u32 connections;
	__u32 pad1;
	__u32 followed; /* the generation of the filter whose process it descends from */
	__u32 pad;
	char *args;
	char comm[EBTOP_COMM_BYTES];
};

struct thread_identity {
	__u64 start_ns; /* of a leader that of the process */
	__u64 began_ns; /* its own */
	__u64 owner;
	__u32 tid;
};

struct process_entry { /* in order of pid */
	__u32 pid;
	__u32 pad;
	struct process *process;
};

struct watch_entry {
	__u64 start_ns;
	__u32 pid;
	__u32 pad;
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
};

int accounts_open(struct accounts *accounts, struct slots *slots);
void accounts_close(struct accounts *accounts);
/* Resets what the accounts may rely on, until a probe says otherwise. */
void accounts_forget_sources(struct accounts *accounts);
/* Adds a reader of counters beside the slots, once, however many probes count there. */
void accounts_add_reader(struct accounts *accounts, slot_reader reader);

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

/* Whether the filter names the process or, with descendants, an ancestor of it. */
int accounts_follows(const struct accounts *accounts, const struct process *process);
/* Whether the filter lets the process through, so that filtered probes count it. */
int accounts_passes(const struct accounts *accounts, const struct process *process);
/* Marks the present descendants of the filter's process; processes born later inherit the mark. */
void accounts_follow(struct accounts *accounts);
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
