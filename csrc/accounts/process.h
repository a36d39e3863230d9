/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns what is kept of a process and of a thread: identity, the values at the last reading, the sums of
 * the interval and since the start.
 */
#ifndef EBTOP_PROCESS_H
#define EBTOP_PROCESS_H

#include "ebtop.h"
#include "util/hash.h"

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

struct watch_entry {
	__u64 start_ns;
	__u32 pid;
	__u32 pad;
};

#endif
