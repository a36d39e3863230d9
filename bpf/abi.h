/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns every layout that crosses a border: kernel to collector (slots, events, task records) and
 * collector to Python (rows). Read by clang for BPF, by the C compiler and by cffi, hence the
 * small dialect: no pointers, no bit fields, no implicit padding, sizes in multiples of eight.
 * It holds no logic and no kernel types.
 */
#ifndef EBTOP_ABI_H
#define EBTOP_ABI_H

#define EBTOP_COMM_BYTES 16
#define EBTOP_ARGS_BYTES 256
#define EBTOP_FILE_NAME_BYTES 256
#define EBTOP_KERNEL_NAME_BYTES 64 /* more is not in /proc/PID/comm either */
#define EBTOP_WORK_BYTES 32
#define EBTOP_PIDS_PER_PAGE 16
#define EBTOP_FREE_SLOTS 4096
#define EBTOP_CALL_ARGS 6
#define EBTOP_CALL_TEXT_BYTES 256 /* a longer text of an argument is cut there */
#define EBTOP_CALL_FRAMES 64
#define EBTOP_NOT_COUNTED 0xffffffffffffffffull
#define EBTOP_FILENAME_BYTES 4104 /* more than a path can have, so that a cut is noticed */

/*
 * Latencies below 32 ns are counted by powers of two, up to 2^36 ns in eight steps a power of two
 * (at most 6.25 % from the middle of one), then by powers of two again.
 */
#define EBTOP_FINE_FROM 5
#define EBTOP_FINE_TO 36
#define EBTOP_FINE_BUCKETS 272
#define EBTOP_LOG2_BUCKETS 64

/* ---- probes: names of what the collector loads, for Python ---- */

enum ebtop_probe {
	EBTOP_SCHED = 0,
	EBTOP_LIFE = 1,
	EBTOP_TASKS = 2,
	EBTOP_SYSCALL = 3,
	EBTOP_OPEN = 4,
	EBTOP_KFUNC = 5,
	EBTOP_BLOCK = 6,
	EBTOP_VFS = 7,
	EBTOP_TCP = 8,
	EBTOP_SOCKETS = 9, /* runs with tcp */
	EBTOP_STACKS = 10, /* stacks of waits; the programs of sched take them */
	EBTOP_MEM = 11,    /* the programs of syscall count */
	EBTOP_SIGNALS = 12,
	EBTOP_PROBES = 13,
};

/* ---- configuration: what a probe reads first; one entry, in shared memory ---- */

#define EBTOP_ANY_UID 0xffffffffu
#define EBTOP_FILTER_DESCENDANTS 1 /* the filtered process, and all that descend from it */
#define EBTOP_FILTER_EXCLUDES 2    /* not what the processes `excluded` do */
#define EBTOP_FILTER_CALLS 4       /* only the system calls whose bits `calls` has */
#define EBTOP_EXCLUDED_MAX 8
#define EBTOP_CALL_WORDS                                                                           \
	34 /* by number, as in the table of system calls; the first bit after them is of all odd ones */

/* Bits of ebtop_config.collect. */
enum ebtop_collect {
	EBTOP_COLLECT_SYSCALLS = 1,
	EBTOP_COLLECT_OPENS = 2,
	EBTOP_COLLECT_OPENS_BY_SYSCALLS = 4, /* where no function can be hooked */
	EBTOP_COLLECT_CALLS = 8,
	EBTOP_COLLECT_FILES = 16,
	EBTOP_COLLECT_FILES_BY_SYSCALLS = 32, /* where no function can be hooked */
	EBTOP_COLLECT_CONNECTIONS = 64,
	EBTOP_COLLECT_TRANSITIONS = 128,  /* an event for each change of a connection's state */
	EBTOP_COLLECT_STACKS = 256,       /* of waits that nothing else explains */
	EBTOP_COLLECT_MEMORY = 512,       /* what calls map and unmap */
	EBTOP_COLLECT_ALLOCATIONS = 1024, /* an event for each such call */
	EBTOP_COLLECT_SIGNALS = 8192,     /* and of victims of the OOM killer */
	EBTOP_COLLECT_SLOW = 16384,       /* an event for each system call that took `slow_ns` */
	EBTOP_COLLECT_SLOW_DISKS = 32768,
	EBTOP_COLLECT_SLOW_WAITS = 65536,
	EBTOP_COLLECT_DIRECTORIES = 131072, /* that names of opens are relative to */
};

#define EBTOP_ALL_WATCHED                                                                          \
	0xffffffffu /* inspected_pid: the filter's process, and who descends from it */

#define EBTOP_NOBODY 0xffffffffu /* pid: the process that was named has ended */

/* Written by user space, field by field, but for the end of `pid`; what it says holds from the next
 * event on. */
struct ebtop_config {
	__u64 min_latency_ns; /* calls that took less are in no histogram and no stream */
	__u64 min_bytes;      /* changes of memory by less are in no stream */
	__u64 slow_ns;        /* see EBTOP_COLLECT_SLOW */
	__u64 inspected_ns;   /* since when: waits that began before are not counted by stack */
	__u64 pid_start_ns;   /* boot-time clock: of the process of that number; 0: not known yet */
	__u32 pid;            /* 0: every process; EBTOP_NOBODY once it ended */
	__u32 named_pid;      /* what `pid` was set to */
	__u32 uid;            /* effective; EBTOP_ANY_UID: every user */
	__u32 flags;          /* EBTOP_FILTER_* */
	__u32 generation;     /* another one after each change of the above; 24 bits, never 0 */
	__u32 collect;        /* enum ebtop_collect */
	__u32 epoch;          /* 0, 1, 0, ...: which minimum and maximum a system call goes to */
	__u32 port;           /* of connections, either end's; 0: every port */
	__u32 watch;          /* another one whenever more is collected than before */
	__u32 look;      /* number of the latest walk over open files; the second of two is odd */
	__u32 functions; /* 1: the iterator takes the stack of every task that sleeps */
	__u32 every;     /* of so many system calls one is timed, a power of two; 0: each */
	__u32 excluded[EBTOP_EXCLUDED_MAX]; /* 0 ends it */
	__u32 calls[EBTOP_CALL_WORDS];
	__u32 inspected_pid; /* whose waits are counted by stack, and bytes by file; 0: nobody's */
	__u32 accepts; /* which parts of the filter this session obeys: a bit a key of `ebtop set` */
};

/* ---- slots: one thread's running totals, written by the CPU that owns the thread ---- */

enum ebtop_slot_state {
	EBTOP_SLOT_FREE = 0,
	EBTOP_SLOT_OFF = 1,
	EBTOP_SLOT_RUNNABLE = 2,
	EBTOP_SLOT_RUNNING = 3,
	EBTOP_SLOT_DEAD = 4, /* final; user space reads it and gives it back */
};

#define EBTOP_SLOT_BORN 1       /* flag: created while ebtop watched, so its totals are whole */
#define EBTOP_SLOT_GROUP_DEAD 2 /* flag: no thread of the process was left when this one ended */
#define EBTOP_SLOT_KILLED_IN                                                                       \
	4 /* flag: SIGSYS ended it, in the call whose number `charged_wait_ns` is */
#define EBTOP_SLOT_KERNEL 8         /* flag: a kernel thread, unless it executes a program */
#define EBTOP_SLOT_FOLLOWED_SHIFT 8 /* above: the generation of the filter it descends from, or 0 */

/* Two cache lines; a context switch writes the first, and reads `owner` of the second. */
struct ebtop_slot {
	__u64 since_ns;           /* when the present state began */
	__u64 oncpu_ns;           /* se.sum_exec_runtime when the present state began */
	__u64 offcpu_ns;          /* neither running nor runnable, while watched */
	__u64 runq_wait_ns;       /* runnable and not running, while watched */
	__u64 user_ticks_ns;      /* task utime, as sampled by the kernel's tick */
	__u64 kernel_ticks_ns;    /* task stime, likewise */
	__u32 voluntary_switches; /* the kernel's counts, low halves: differences matter */
	__u32 involuntary_switches;
	__u32 state;      /* enum ebtop_slot_state */
	__u32 task_state; /* the kernel's task state bits when it left the CPU */

	__u64 owner;           /* which task_struct: exec hands tids over, and they are reused */
	__u64 start_ns;        /* boot-time clock; what lies beside the slot is told by it */
	__u64 leader_start_ns; /* the same of the process: (pid, this) names it */
	__u32 tid;             /* equal to pid: (tid, leader_start_ns) names it, after exec too */
	__u32 pid;
	__u32 migrations;
	__u32 cpu; /* where it was switched in last */
	__u32 flags;
	__u32 charged_wait_ns; /* run-queue wait to come that oncpu_ns holds already; see KILLED_IN */
	char comm[EBTOP_COMM_BYTES];
};

/* pid -> slot, sixteen pids a cache line; 0 is "none", LOST "none was free, and that is counted" */
#define EBTOP_SLOT_LOST 0xffffffffu
struct ebtop_pid_page {
	__u32 slot[EBTOP_PIDS_PER_PAGE];
};

/* free slots handed to one CPU: user space adds at `given`, the CPU takes at `taken` */
struct ebtop_free_slots {
	__u32 taken;
	__u32 pad0[15];
	__u32 given;
	__u32 low; /* when so many are left, the reader is woken */
	__u32 pad1[14];
	__u32 slot[EBTOP_FREE_SLOTS];
};

/* Waits for a CPU that have ended, by how long they were; one entry a possible CPU. */
struct ebtop_runq_shard {
	__u32 buckets[EBTOP_FINE_BUCKETS];
};

/* ---- waits: why a thread is off the CPU, beside its slot ---- */

enum ebtop_wait {
	EBTOP_WAIT_DISK = 0,
	EBTOP_WAIT_NETWORK = 1,
	EBTOP_WAIT_LOCK = 2,      /* that somebody holds: contention */
	EBTOP_WAIT_CONDITION = 3, /* for another thread to say so, which may be idleness */
	EBTOP_WAIT_SLEEP = 4,
	EBTOP_WAIT_PIPE = 5,
	EBTOP_WAIT_POLL = 6,
	EBTOP_WAIT_OTHER = 7,
	EBTOP_WAITS = 8,
};

/* Evidence of a wait: enum ebtop_wait, and this. */
#define EBTOP_WAIT_UNSURE 0x08 /* a guess: when the wait is long, its stack knows better */
/* What a system call's number says of waits inside it, in one byte: the above, and these. */
#define EBTOP_WAIT_BY_FILE 0x10 /* the kind of the file of its descriptor decides */
#define EBTOP_WAIT_ON_DISK                                                                         \
	0x20 /* what is not to be interrupted waits for a disk, else for a lock */
#define EBTOP_WAIT_BY_FUTEX 0x40 /* futex: the operation and the expected value decide */
#define EBTOP_WAIT_BY_VALUE 0x80 /* futex_wait: the expected value does, the second argument */

/* Written by the CPU that owns the thread, as its slot is. */
struct ebtop_wait_slot {
	__u64 ns[EBTOP_WAIT_OTHER]; /* in waits that ended; `other` is the rest of offcpu_ns */
	/*
	 * In one word, so that all is one cache line, from its low end on: the evidence of the wait in
	 * progress, or of the pending one; the last evidence that a stack explained, and as what; how
	 * long a wait was that has ended and whose stack is taken at switch-in, 52 days at most.
	 */
	__u64 noted;
};

#define EBTOP_NOTED_EVIDENCE 0xf
#define EBTOP_NOTED_EXPLAINED_SHIFT 4
#define EBTOP_NOTED_EXPLAINED_AS_SHIFT 8
#define EBTOP_NOTED_PENDING_SHIFT 12

/* The kernel stacks of waits, by a hash of their frames. */
#define EBTOP_STACK_FRAMES 20
#define EBTOP_STACK_UNRESOLVED 0xffffffffu
struct ebtop_stack_reason {
	__u32 reason; /* enum ebtop_wait, set by user space; EBTOP_WAITS: it tells nothing */
	__u32 pad;
};

/* What taking stacks at switches has cost, by CPU. */
struct ebtop_stack_cost {
	__u64 runs;
	__u64 run_ns;
};

/* Of the process whose waits are counted by stack. */
struct ebtop_stack_count {
	__u64 ns;
	__u64 count;
	__u32 evidence; /* of the last such wait */
	__u32 pad;
};

/* ---- system calls: of one thread beside its slot, and of the machine ---- */

enum ebtop_syscall_category {
	EBTOP_CATEGORY_FILE_IO = 0,
	EBTOP_CATEGORY_MEMORY = 1,
	EBTOP_CATEGORY_NETWORK = 2,
	EBTOP_CATEGORY_PROCESS = 3,
	EBTOP_CATEGORY_TIME = 4,
	EBTOP_CATEGORY_SYNC = 5,
	EBTOP_CATEGORY_SIGNAL = 6,
	EBTOP_CATEGORY_OTHER = 7,
	EBTOP_CATEGORIES = 8,
};

/* What is special about a system call, in one byte: its category, and these. */
#define EBTOP_KIND_NEVER_RETURNS 0x08
#define EBTOP_KIND_SPECIAL 0xf0 /* mask of the next ones */
#define EBTOP_KIND_OPEN 0x10
#define EBTOP_KIND_CREAT 0x20
#define EBTOP_KIND_OPENAT 0x30
#define EBTOP_KIND_OPENAT2 0x40
#define EBTOP_KIND_READ 0x50     /* from the first argument's file */
#define EBTOP_KIND_WRITE 0x60    /* to it */
#define EBTOP_KIND_COPY 0x70     /* from the first argument's file to the third's */
#define EBTOP_KIND_RESTARTS 0x80 /* restart_syscall */
#define EBTOP_KIND_SEND 0x90     /* from the second argument's file to the first's */
#define EBTOP_KIND_MMAP 0xa0     /* this and the next ones change what is mapped */
#define EBTOP_KIND_MUNMAP 0xb0
#define EBTOP_KIND_MREMAP 0xc0
#define EBTOP_KIND_BRK 0xd0
#define EBTOP_KIND_MMAP_OLD 0xe0 /* of 32-bit x86: its arguments are in memory */
#define EBTOP_KIND_OPEN_HANDLE 0xf0

/* Totals since `start_ns` met its first call; the thread itself writes them, as it enters and leaves. */
struct ebtop_syscall_slot {
	__u64 start_ns;   /* whose totals these are: as in the slot of the same index */
	__u64 entered_ns; /* when the call in progress began; 0: none is, 1: it is not timed */
	__u64 entered_oncpu_ns; /* the thread's on-CPU time then */
	__u64 inside_ns;        /* in calls that returned */
	__u64 kernel_ns;        /* on a CPU in calls that returned */
	__u64 filename;         /* user address of what the call in progress opens, see `opens` */
	__u64 left_ns;          /* when a call was interrupted that may begin again; 0: none was */
	__u32 number;           /* of the call in progress; EBTOP_SYSCALL_COMPAT is added to it */
	__u32 open_flags;
	__u32 errors;
	__u32 generation; /* of the configuration; totals of another one have holes */
	__u32 calls[EBTOP_CATEGORIES];
	__u32 stage;   /* enum ebtop_call_stage */
	__u32 watch;   /* ebtop_config.watch; `stage` of another one is unknown */
	__u32 opens;   /* 1: the call in progress opens a file */
	__u32 refused; /* 1 + number of the last call, if it was refused before it began */
	__u32 dice;    /* which of its calls are timed when not all are */
	__s32 dirfd;   /* with `opens` */
};

/* What a thread did last as far as system calls go. A call that ends without having begun was refused. */
enum ebtop_call_stage {
	EBTOP_CALL_UNKNOWN = 0,
	EBTOP_CALL_INSIDE = 1,
	EBTOP_CALL_OUTSIDE = 2,
};

/* ---- files: of one thread beside its slot ---- */

/* Totals since `start_ns` met its first file; the thread itself writes them. */
struct ebtop_file_slot {
	__u64 start_ns; /* whose totals these are: as in the slot of the same index */
	__u64 read_bytes;
	__u64 write_bytes;
	__u64 cached_read_bytes; /* of read_bytes, what came through the page cache */
	__u64 added_pages;       /* to the page cache, by calls that read */
	__u64 opens;
	__u64 pad[2];
};

/* Of the process that is looked at, one of its files. */
struct ebtop_file_key {
	__u64 inode;
	__u32 device;
	__u32 generation;
};

#define EBTOP_FILE_NAME_ALONE 2
#define EBTOP_FILE_PARTS 12
#define EBTOP_FILE_PART_BYTES 40
#define EBTOP_FILE_PATH_PARTS_BYTES 480 /* the product of these */
#define EBTOP_OPEN_NAMES_BYTES 4584     /* with a path of parts before the name */
struct ebtop_file_count {
	__u64 read_bytes;
	__u64 write_bytes;
	__u64 reads;
	__u64 writes;
	__u32 whole; /* 1: the path goes up to the root; EBTOP_FILE_NAME_ALONE: it has none */
	__u32 pad;
	/* of its path, 40 bytes each, the file's own name first, cut; empty where a mount begins */
	char parts[EBTOP_FILE_PATH_PARTS_BYTES];
};

/* ---- memory: what the calls of one thread mapped and unmapped, beside its slot ---- */

/* Class i holds sizes in [2^(i+12), 2^(i+13)); the first also smaller ones, the last also larger. */
#define EBTOP_SIZE_CLASSES 16
#define EBTOP_SIZE_FROM 12

/* Totals since `start_ns` met its first such call; the thread itself writes them. */
struct ebtop_mem_slot {
	__u64 start_ns; /* whose totals these are: as in the slot of the same index */
	__u64 allocated_bytes;
	__u64 freed_bytes;
	__u64 before; /* the call in progress began with so many pages mapped; brk: with that end */
	__u32 mmaps;
	__u32 munmaps;
	__u32 brks;
	__u32 call; /* in progress: EBTOP_KIND_*, and what only BPF knows; 0: none is */
	__u32 generation;
	__u32 turn;  /* of its process's calls */
	__u32 begun; /* calls of the process, where this is its leader's; it has other threads */
	__u32 ended;
	__u32 sizes[EBTOP_SIZE_CLASSES]; /* of what was allocated, by call */
};

/*
 * Numbers from here on are those of the 32-bit calls. Those beyond the tables of the kernel get one of
 * the ODD ones each when they are first met; when all are given away, the rest shares the one after.
 */
#define EBTOP_SYSCALL_COMPAT 512
#define EBTOP_SYSCALL_NUMBERS 1024
#define EBTOP_SYSCALL_ODD 64
#define EBTOP_SYSCALL_ENTRIES 1089 /* NUMBERS + ODD + 1 */

/* One system call; as many copies as there are shards, chosen by CPU. */
struct ebtop_syscall_shard {
	__u64 calls;
	__u64 errors;
	__u64 total_ns;
	__u64 untimed;   /* calls that never return, or never began; the others are in `buckets` */
	__u64 min_ns[2]; /* by epoch; 0: none. One more than the duration, so that 0 ns is one */
	__u64 max_ns[2];
	__u32 buckets[EBTOP_FINE_BUCKETS];
};

/* ---- disks: of one disk, and of one process; running totals ---- */

#define EBTOP_DISKS_MAX 256
#define EBTOP_DISK_NAME_BYTES 32

enum ebtop_disk_group { /* as the kernel groups them in /proc/diskstats */
			EBTOP_GROUP_READS = 0,
			EBTOP_GROUP_WRITES = 1,
			EBTOP_GROUP_DISCARDS = 2,
			EBTOP_GROUPS = 4, /* the last one is not used */
};

/* Latencies are those of reads and writes, from their issue to the device to their completion. */
struct ebtop_disk_counts {
	__u64 bytes[EBTOP_GROUPS];
	__u64 requests[EBTOP_GROUPS];
	__u64 errors;
	__u64 sequential;   /* each began where the one before of its thread and direction ended */
	__u64 direct_bytes; /* written past the page cache */
	__u64 written_back_bytes; /* by kernel threads, of pages that it changed; in no sum */
	__u64 latency_ns;
	__u64 last_ns;   /* when the last one was completed */
	__u64 min_ns[2]; /* by epoch; 0: none. One more than the latency, so that 0 ns is one */
	__u64 max_ns[2];
	__u32 epochs[2]; /* which epoch those are of */
	__u32 buckets[EBTOP_FINE_BUCKETS];
};

/* Who a request is charged to; {0, 0}: nobody that is known. */
struct ebtop_disk_owner {
	__u64 start_ns;
	__u32 pid;
	__u32 pad;
};

/* One disk; as many copies as there are shards, chosen by CPU. */
struct ebtop_disk_shard {
	struct ebtop_disk_counts counts;
	char name[EBTOP_DISK_NAME_BYTES];
	__u32 whole[EBTOP_FINE_BUCKETS]; /* latencies from when the request entered the queue */
};

/* ---- losses: what could not be counted, by cause ---- */

enum ebtop_loss {
	EBTOP_LOST_RING_BUFFER = 0,   /* events dropped because the ring buffer was full */
	EBTOP_LOST_THREAD_SLOTS = 1,  /* threads not accounted because no slot was free */
	EBTOP_LOST_PID_RANGE = 2,     /* threads whose pid is above the pid_max seen at start */
	EBTOP_LOST_CLOCK_ORDER = 3,   /* intervals discarded because their ends were out of order */
	EBTOP_LOST_EVENT_ROWS = 4,    /* events counted, but not kept for the log */
	EBTOP_LOST_MEMORY = 5,        /* rows dropped because the collector had no memory */
	EBTOP_LOST_SYSCALLS = 6,      /* their thread has no slot, or the programs were busy */
	EBTOP_LOST_FORKS = 7,         /* births dropped because the ring buffer was full */
	EBTOP_LOST_CALLS = 8,         /* calls of a function of which entry or return was missed */
	EBTOP_LOST_DISK_REQUESTS = 9, /* not counted: no room in a table, or told to no program */
	EBTOP_LOST_DISK_OWNERS =
		10, /* their thread has no slot, or there was no room for its name */
	EBTOP_LOST_CONNECTIONS = 11, /* forgotten because there was no room for more */
	EBTOP_LOSSES = 12,
};

/* ---- events: records in the ring buffer ---- */

enum ebtop_event_type {
	EBTOP_EVENT_FORK = 0,
	EBTOP_EVENT_EXEC = 1,
	EBTOP_EVENT_EXIT = 2,
	EBTOP_EVENT_OPEN = 3,
	EBTOP_EVENT_KPROBE = 4,
	EBTOP_EVENT_TCP = 5,
	EBTOP_EVENT_MEM = 6,
	EBTOP_EVENT_SIGNAL = 7,
	EBTOP_EVENT_OOM = 8,
	EBTOP_EVENT_SLOW = 9,
	EBTOP_EVENT_EXEC_FAILED = 10,
	EBTOP_EVENT_TYPES = 11,
	EBTOP_EVENT_STACK = 253, /* a stack that is not known yet */
	EBTOP_EVENT_WAIT = 254,  /* a wait whose stack has no reason yet */
	EBTOP_EVENT_NUDGE = 255, /* a head alone: wakes the reader, and means nothing else */
};

struct ebtop_event {
	__u64 time_ns; /* monotonic clock */
	__u32 type;
	__u32 size;
	__u32 cpu;
	__u32 pid;
	__u32 tid;
	__u32 uid;
	char comm[EBTOP_COMM_BYTES]; /* of the process: its leader's */
	char thread_comm[EBTOP_COMM_BYTES];
};

struct ebtop_stack_event {
	struct ebtop_event head;
	__u64 id;
	__u32 frames;
	__u32 pad;
	__u64 frame[EBTOP_STACK_FRAMES]; /* addresses, the innermost first */
};

struct ebtop_wait_event {
	struct ebtop_event head; /* its time, pid and tid; the rest is 0 */
	__u64 start_ns;
	__u64 stack;
	__u64 ns;
	__u32 evidence;
	__u32 pad;
};

struct ebtop_fork {
	struct ebtop_event head; /* of the child */
	__u64 start_ns;
	__u32 ppid;
	__u32 pad;
};

struct ebtop_exec {
	struct ebtop_event head;
	__u64 start_ns;
	__u32 ppid;
	__u32 args_bytes;                 /* 0 when arguments cannot be read here */
	__u32 args_cut;                   /* 1 when there were more than fit */
	__u32 name_bytes;                 /* without the NUL; 0 when it cannot be read here */
	char args[EBTOP_ARGS_BYTES];      /* NUL between the arguments, as in /proc/PID/cmdline */
	char name[EBTOP_ARGS_BYTES];      /* the path given to execve(2) */
	char file[EBTOP_FILE_NAME_BYTES]; /* what the file is called; a memfd is nothing else */
	__s32 error;                      /* -errno of one that failed; 0 */
	__u32 file_bytes;                 /* without the NUL; 0 when it cannot be read here */
};

struct ebtop_exit {
	struct ebtop_event head;
	__u64 start_ns;
	__u64 duration_ns;
	__u64 minor_faults;
	__u64 major_faults;
	__u64 peak_rss_pages;  /* as ru_maxrss; 0 for a kernel thread */
	__u64 others_oncpu_ns; /* of its other threads, which have ended */
	__u64 dirtied_bytes; /* of all its threads; EBTOP_NOT_COUNTED: the kernel does not count it */
	__u32 ppid;
	__s32 exit_code; /* as wait(2) gives it: code << 8 | signal */
};

#define EBTOP_DIRECTORY_ASKED 1 /* there are parts; empty unless it is named */
#define EBTOP_DIRECTORY_NAMED 2
#define EBTOP_DIRECTORY_WHOLE 4 /* the path goes up to the root */
#define EBTOP_DIRECTORY_REMOVED 8

/*
 * A file was opened, or was not; the record ends with the name. Where the directory was asked
 * for, the parts of its path come first, as in struct ebtop_file_count.
 */
struct ebtop_open {
	struct ebtop_event head;
	__u64 duration_ns;
	__s64 result;      /* descriptor or -errno */
	__u32 flags;       /* as given to openat(2) */
	__u32 name_bytes;  /* without the NUL; 0 also when it could not be read */
	__u32 name_cut;    /* 1: longer than fits */
	__u32 name_unread; /* 1: its memory could not be read */
	__s32 dirfd;       /* as given to openat(2), whatever the name */
	__u32 directory;   /* EBTOP_DIRECTORY_* */
	char name[EBTOP_OPEN_NAMES_BYTES];
};

/* An open in progress, where its function is hooked; beside the slots of threads. */
struct ebtop_open_call {
	__u64 began_ns; /* 0: none is */
	__u64 filename;
	__u32 flags;
	__s32 dirfd;
};

/* What is known of a call of a hooked function but for its result. */
struct ebtop_call {
	__u64 args[EBTOP_CALL_ARGS];
	__s32 text_bytes[EBTOP_CALL_ARGS]; /* -1: it is no text, or could not be read */
	__u32 texts;                       /* bits: arguments that point at text */
	__u32 cut;                         /* bits: texts that were longer */
	__u32 with_stack;                  /* 1: it was asked for */
	__s32 frames;                      /* addresses of it; negative: it could not be taken */
};

/* The stack, where it is asked for, then room for each text; only what is asked for is there. */
#define EBTOP_CALL_STACK_BYTES 512
#define EBTOP_CALL_TEXT_ROOM 264 /* more than is kept, so that a cut is noticed */
#define EBTOP_CALL_DATA_BYTES 2096

struct ebtop_kfunc {
	struct ebtop_event head;
	__u64 began_ns;
	__u64 duration_ns;
	__s64 result;
	struct ebtop_call call;
	char data[EBTOP_CALL_DATA_BYTES];
};

/* ---- connections: by their socket, in a map that forgets the idlest when it is full ---- */

/* As the kernel numbers them (include/net/tcp_states.h). */
enum ebtop_tcp_state {
	EBTOP_TCP_ESTABLISHED = 1,
	EBTOP_TCP_SYN_SENT = 2,
	EBTOP_TCP_SYN_RECV = 3,
	EBTOP_TCP_FIN_WAIT1 = 4,
	EBTOP_TCP_FIN_WAIT2 = 5,
	EBTOP_TCP_TIME_WAIT = 6,
	EBTOP_TCP_CLOSE = 7,
	EBTOP_TCP_CLOSE_WAIT = 8,
	EBTOP_TCP_LAST_ACK = 9,
	EBTOP_TCP_LISTEN = 10,
	EBTOP_TCP_CLOSING = 11,
};

/* How a connection ended; as the process that owns it sees it. */
enum ebtop_close_reason {
	EBTOP_CLOSED_UNKNOWN = 0, /* or not at all */
	EBTOP_CLOSED_FIN = 1,
	EBTOP_CLOSED_RESET = 2,
	EBTOP_CLOSED_TIMEOUT = 3,
	EBTOP_CLOSED_REFUSED = 4,
	EBTOP_CLOSED_UNREACHABLE = 5,
	EBTOP_CLOSE_REASONS = 6,
};

#define EBTOP_CONN_OUT 1       /* its owner connected */
#define EBTOP_CONN_IN 2        /* a listening socket took it */
#define EBTOP_CONN_ACCEPTED 4  /* and the process that accepted it has been counted */
#define EBTOP_CONN_COUNTED 8   /* tx_bytes, rx_bytes, retransmits and rtt_us are known */
#define EBTOP_CONN_FOLLOWED 16 /* its owner descends from the filter's process */
#define EBTOP_CONN_UNTOLD 32   /* its beginning waits for an owner, who may pass the filter */
#define EBTOP_CONN_ERROR 64    /* it ended with an error that its owner was told */
#define EBTOP_CONN_CLOSED 128
#define EBTOP_CONN_LEFT 256 /* no process has it any more; its owner had it last */

struct ebtop_connection {
	__u64 socket;         /* which one: an address, unique as long as it is open */
	__u64 start_ns;       /* monotonic clock; 0: before anybody watched */
	__u64 since_ns;       /* when its state began; 0: likewise */
	__u64 end_ns;         /* 0: it is open */
	__u64 owner_start_ns; /* boot-time clock; (pid, this) names the owner */
	__u64 tx_bytes;       /* given to the network once; again are `retransmits` */
	__u64 rx_bytes;
	__u32 netns; /* number of its network namespace */
	__u32 pid;   /* of the owner; 0: not known */
	__u32 tid;
	__u32 uid;
	__u32 family; /* 4 or 6; an IPv4 address in IPv6 clothes is 4 */
	__u32 sport;
	__u32 dport;
	__u32 state;  /* enum ebtop_tcp_state */
	__u32 flags;  /* EBTOP_CONN_* */
	__u32 reason; /* enum ebtop_close_reason */
	__u32 retransmits;
	__u32 rtt_us;   /* smoothed; 0: none was measured */
	__u32 segments; /* sent, those sent again and those without data included */
	__u32 backlog;  /* of a listening socket: connections that wait for accept(2) */
	__u32 backlog_max;
	__u32 drops;  /* of a listening socket: what came and was thrown away */
	__u32 copied; /* sequence number up to which its processes have read */
	__u32 scope;  /* index of the interface that its addresses are of, 0: of any */
	__u32 held;   /* ebtop_config.look when its owner was last seen to have it */
	__u32 pad;
	__u32 saddr[4]; /* network byte order; of family 4 the first alone */
	__u32 daddr[4];
	char comm[EBTOP_COMM_BYTES]; /* of the owner when it was learnt, and of its thread */
	char thread_comm[EBTOP_COMM_BYTES];
};

/* A connection came to another state; without EBTOP_COLLECT_TRANSITIONS only: it ended. */
struct ebtop_tcp {
	struct ebtop_event head; /* of the owner */
	struct ebtop_connection connection;
	__u64 state_ns; /* how long the old state lasted; 0: not known */
	__u32 old_state;
	__u32 pad;
};

/* A call changed what is mapped, or (brk) asked; one that failed is none. */
struct ebtop_mem {
	struct ebtop_event head;
	__u64 address;
	__u64 allocated_bytes;
	__u64 freed_bytes;
	__u32 call; /* EBTOP_KIND_* */
	__u32 pad;
};

/* A signal; the head is the sender's, pid 0 and no name where the kernel itself sent it. */
struct ebtop_signal {
	struct ebtop_event head;
	__u32 signal;
	__u32 target_pid;
	__u32 target_tid; /* the thread that it was sent to, or the process by */
	__u32 ignored;    /* 1: whoever gets it has said that it shall have no effect */
	char target_comm[EBTOP_COMM_BYTES];
};

/* A victim of the OOM killer; the head is of whoever needed memory. */
struct ebtop_oom {
	struct ebtop_event head;
	__u64 cgroup_id; /* this and the next two: 0, -1 and empty where the kernel tells a pid alone */
	__s64 rss_pages;
	__u32 victim_pid;
	__u32 pad;
	char victim_comm[EBTOP_COMM_BYTES];
};

/* ---- slow operations ---- */

enum ebtop_slow_kind {
	EBTOP_SLOW_SYSCALL = 0,
	EBTOP_SLOW_DISK = 1,
	EBTOP_SLOW_WAIT = 2,
};

/* What an operation was about. */
enum ebtop_slow_about {
	EBTOP_ABOUT_NOTHING = 0, /* or it is not known */
	EBTOP_ABOUT_FILE = 1,    /* `parts` as in struct ebtop_file_count */
	EBTOP_ABOUT_NAME = 2,    /* `parts` is what the call was given */
	EBTOP_ABOUT_SOCKET = 3,
	EBTOP_ABOUT_DISK = 4, /* `parts` is its name */
};

/* Which argument says what a system call is about. */
enum ebtop_call_object {
	EBTOP_OBJECT_NONE = 0,
	EBTOP_OBJECT_DESCRIPTOR = 1, /* the first */
	EBTOP_OBJECT_NAME = 2,       /* the first */
	EBTOP_OBJECT_NAME_AT = 3,    /* the second */
};

struct ebtop_slow_data {
	__u64 duration_ns;
	__s64 result;
	__u64 stack;    /* of a wait whose reason is not sure; 0: none was taken */
	__u64 bytes;    /* disk, as the next */
	__u64 owner_ns; /* boot-time clock; (pid, this) names who asked for it */
	__u32 kind;     /* enum ebtop_slow_kind */
	__u32 call;     /* 1 + entry in the table of system calls; 0: none */
	__u32 evidence; /* of a wait; disk: enum ebtop_disk_group */
	__u32 about;    /* enum ebtop_slow_about */
	__u32 family;   /* 4 or 6; 0: another */
	__u32 sport;
	__u32 dport;
	__u32 whole; /* the path goes up to the root */
	__u32 saddr[4];
	__u32 daddr[4];
	char parts[EBTOP_FILE_PATH_PARTS_BYTES];
};

struct ebtop_slow {
	struct ebtop_event head;
	struct ebtop_slow_data data;
};

/* What came into the table of connections and what left it at its end: the rest was forgotten. */
struct ebtop_connection_counts {
	__u64 added;
	__u64 removed;
};

/* Totals of a thread, beside its slot; it writes them itself. */
struct ebtop_tcp_slot {
	__u64 start_ns; /* whose these are: as in the slot of the same index */
	__u64 tx_bytes;
	__u64 rx_bytes;
	__u32 opened;
	__u32 accepted;
	__u64 socket;      /* of the call in progress, where its return does not tell */
	__u64 room;        /* likewise: how much it has room for */
	__u32 throws_away; /* likewise: it was told to (MSG_TRUNC) */
	__u32 pad;
};

/* ---- task records: what iter/task writes ---- */

/* Where controllers have hierarchies of their own (cgroup v1), each has its own numbers. */
enum ebtop_hierarchy {
	EBTOP_HIERARCHY_UNIFIED = 0,
	EBTOP_HIERARCHY_PIDS = 1,
	EBTOP_HIERARCHY_MEMORY = 2,
	EBTOP_HIERARCHY_CPU = 3,
};
#define EBTOP_HIERARCHY_SHIFT 62

struct ebtop_task {
	__u64 start_ns;
	__u64 leader_start_ns;
	__u64 oncpu_ns;
	__u64 user_ticks_ns;
	__u64 kernel_ticks_ns;
	__u64 voluntary_switches;
	__u64 involuntary_switches;
	__u64 migrations;
	__u64 minor_faults; /* of this thread; for a leader see group_* */
	__u64 major_faults;
	__u64 group_minor_faults; /* of the threads of the process that have ended */
	__u64 group_major_faults;
	__u64 dirtied_bytes; /* of this thread; EBTOP_NOT_COUNTED: the kernel does not count it */
	__u64 group_dirtied_bytes;
	__u64 cgroup_id;            /* in cgroup v2 */
	__u64 controller_cgroup_id; /* enum ebtop_hierarchy above its number; 0: in none of them */
	__s64 rss_pages; /* -1: no address space (kernel thread, zombie); -2: not readable */
	__u64 virtual_pages;
	__u64 peak_rss_pages;
	__u64 anon_pages; /* the four: where rss_pages is known */
	__u64 file_pages;
	__u64 shmem_pages;
	__u64 swap_pages;
	__u64 mappings; /* where there is an address space */
	__u32 tid;
	__u32 pid;
	__u32 ppid;
	__u32 uid;
	__u32 threads;
	__u32 task_state; /* __state | exit_state */
	__u32 on_cpu;
	__u32 task_flags; /* PF_* */
	__s32 exit_code;
	__u32 wait;       /* evidence, if it waits */
	__u64 wait_stack; /* 0: it was not taken */
	__u64 owner;      /* as in struct ebtop_slot */
	__u64 left_cpu;   /* when, by the scheduler's clock; 0: not known */
	__u32 call;       /* 1 + entry of its system call in the table of system calls; 0: none */
	__u32 pad;
	char comm[EBTOP_COMM_BYTES];
	char kernel_name[EBTOP_KERNEL_NAME_BYTES]; /* whole, of a kernel thread; empty: as comm */
	char work[EBTOP_WORK_BYTES]; /* + or -, for whether it works, and the queue; or empty */
};

/* ---- rows: what Python sees ---- */

/*
 * Additive values of a process or thread; index into ebtop_row.counters. What is known together is
 * in one group, and the groups follow one another: see enum ebtop_group_first.
 */
enum ebtop_counter {
	EBTOP_ONCPU_NS = 0,
	EBTOP_USER_NS = 1,
	EBTOP_KERNEL_NS = 2,
	EBTOP_OFFCPU_NS = 3,
	EBTOP_RUNQ_WAIT_NS = 4,
	EBTOP_VOLUNTARY_SWITCHES = 5,
	EBTOP_INVOLUNTARY_SWITCHES = 6,
	EBTOP_MIGRATIONS = 7,
	EBTOP_MINOR_FAULTS = 8,
	EBTOP_MAJOR_FAULTS = 9,
	EBTOP_SYSCALLS = 10,
	EBTOP_SYSCALL_NS = 11, /* inside system calls, waits included */
	EBTOP_SYSCALL_ERRORS = 12,
	EBTOP_SYSCALLS_FILE_IO = 13, /* in the order of enum ebtop_syscall_category */
	EBTOP_SYSCALLS_MEMORY = 14,
	EBTOP_SYSCALLS_NETWORK = 15,
	EBTOP_SYSCALLS_PROCESS = 16,
	EBTOP_SYSCALLS_TIME = 17,
	EBTOP_SYSCALLS_SYNC = 18,
	EBTOP_SYSCALLS_SIGNAL = 19,
	EBTOP_SYSCALLS_OTHER = 20,
	EBTOP_DISK_READ_BYTES = 21,
	EBTOP_DISK_WRITE_BYTES = 22,
	EBTOP_DISK_READS = 23,
	EBTOP_DISK_WRITES = 24,
	EBTOP_DISK_LATENCY_NS = 25, /* of all requests, summed */
	EBTOP_DISK_SEQUENTIAL = 26,
	EBTOP_DISK_WRITTEN_LATER_BYTES = 27, /* dirtied in the page cache, for others to write */
	EBTOP_DISK_WRITTEN_BACK_BYTES = 28,  /* by kernel threads, of what it dirtied; in no sum */
	EBTOP_FILE_READ_BYTES = 29,
	EBTOP_FILE_WRITE_BYTES = 30,
	EBTOP_CACHED_READ_BYTES =
		31, /* of this and the next comes the hit ratio of the page cache */
	EBTOP_CACHE_ADDED_BYTES = 32,
	EBTOP_OPENS = 33,
	EBTOP_NET_TX_BYTES = 34,
	EBTOP_NET_RX_BYTES = 35,
	EBTOP_RETRANSMITS = 36,
	EBTOP_SEGMENTS =
		37, /* of TCP, sent: those that went again and those without data included */
	EBTOP_CONNECTION_ERRORS = 38,
	EBTOP_CONNECTIONS = 39, /* open now: no sum over time */
	EBTOP_CONNECTIONS_OPENED = 40,
	EBTOP_CONNECTIONS_ACCEPTED = 41,
	EBTOP_WAIT_DISK_NS = 42, /* in the order of enum ebtop_wait; their sum is EBTOP_OFFCPU_NS */
	EBTOP_WAIT_NETWORK_NS = 43,
	EBTOP_WAIT_LOCK_NS = 44,
	EBTOP_WAIT_CONDITION_NS = 45,
	EBTOP_WAIT_SLEEP_NS = 46,
	EBTOP_WAIT_PIPE_NS = 47,
	EBTOP_WAIT_POLL_NS = 48,
	EBTOP_WAIT_OTHER_NS = 49,
	EBTOP_LIFETIME_NS = 50, /* how long its threads lived in the interval */
	EBTOP_MMAP_CALLS = 51,
	EBTOP_MUNMAP_CALLS = 52,
	EBTOP_BRK_CALLS = 53,
	EBTOP_ALLOCATED_BYTES = 54,
	EBTOP_FREED_BYTES = 55,
	EBTOP_COUNTERS = 56,
};

/*
 * Bits of ebtop_row.known: what a source, a probe or a kernel can leave unknown alone. First the
 * groups of counters, then single values.
 */
enum ebtop_known {
	EBTOP_KNOWN_ONCPU = 0,
	EBTOP_KNOWN_SPLIT = 1, /* user and kernel time apart */
	EBTOP_KNOWN_OFFCPU = 2,
	EBTOP_KNOWN_RUNQ_WAIT = 3,
	EBTOP_KNOWN_SWITCHES = 4,
	EBTOP_KNOWN_MIGRATIONS = 5,
	EBTOP_KNOWN_FAULTS = 6,
	EBTOP_KNOWN_SYSCALLS = 7,
	EBTOP_KNOWN_DISK_BYTES = 8,
	EBTOP_KNOWN_DISK_REQUESTS = 9,
	EBTOP_KNOWN_WRITTEN_LATER = 10,
	EBTOP_KNOWN_WRITTEN_BACK = 11,
	EBTOP_KNOWN_FILES = 12,
	EBTOP_KNOWN_OPENS = 13,
	EBTOP_KNOWN_NET_BYTES = 14,
	EBTOP_KNOWN_NET_ERRORS = 15,
	EBTOP_KNOWN_CONNECTIONS = 16,
	EBTOP_KNOWN_CONNECTS = 17,
	EBTOP_KNOWN_WAITS = 18,
	EBTOP_KNOWN_MEMORY = 19,
	EBTOP_KNOWN_GROUPS = 20,
};

/* Where each of those groups begins, in the order of its bit; it ends where the next one begins. */
enum ebtop_group_first {
	EBTOP_FIRST_ONCPU = EBTOP_ONCPU_NS,
	EBTOP_FIRST_SPLIT = EBTOP_USER_NS,
	EBTOP_FIRST_OFFCPU = EBTOP_OFFCPU_NS,
	EBTOP_FIRST_RUNQ_WAIT = EBTOP_RUNQ_WAIT_NS,
	EBTOP_FIRST_SWITCHES = EBTOP_VOLUNTARY_SWITCHES,
	EBTOP_FIRST_MIGRATIONS = EBTOP_MIGRATIONS,
	EBTOP_FIRST_FAULTS = EBTOP_MINOR_FAULTS,
	EBTOP_FIRST_SYSCALLS = EBTOP_SYSCALLS,
	EBTOP_FIRST_DISK_BYTES = EBTOP_DISK_READ_BYTES,
	EBTOP_FIRST_DISK_REQUESTS = EBTOP_DISK_READS,
	EBTOP_FIRST_WRITTEN_LATER = EBTOP_DISK_WRITTEN_LATER_BYTES,
	EBTOP_FIRST_WRITTEN_BACK = EBTOP_DISK_WRITTEN_BACK_BYTES,
	EBTOP_FIRST_FILES = EBTOP_FILE_READ_BYTES,
	EBTOP_FIRST_OPENS = EBTOP_OPENS,
	EBTOP_FIRST_NET_BYTES = EBTOP_NET_TX_BYTES,
	EBTOP_FIRST_NET_ERRORS = EBTOP_RETRANSMITS,
	EBTOP_FIRST_CONNECTIONS = EBTOP_CONNECTIONS,
	EBTOP_FIRST_CONNECTS = EBTOP_CONNECTIONS_OPENED,
	EBTOP_FIRST_WAITS = EBTOP_WAIT_DISK_NS,
	EBTOP_FIRST_MEMORY = EBTOP_MMAP_CALLS,
};

/* The other values a source may not know; bits in ebtop_row.known, from its end. */
enum ebtop_fact {
	EBTOP_FACT_START_NS = 54,
	EBTOP_FACT_PPID = 55,
	EBTOP_FACT_UID = 56,
	EBTOP_FACT_THREADS = 57,
	EBTOP_FACT_STATE = 58,
	EBTOP_FACT_RSS_BYTES = 59,
	EBTOP_FACT_VIRTUAL_BYTES = 60,
	EBTOP_FACT_PEAK_RSS_BYTES = 61,
	EBTOP_FACT_CGROUP_ID = 62,
	EBTOP_FACT_EXIT_CODE = 63,
};

#define EBTOP_ROW_RAN 1        /* was on a CPU, or waited for one, in the interval */
#define EBTOP_ROW_BORN 2       /* began in the interval */
#define EBTOP_ROW_EXITED 4     /* has ended: in the interval, or it is a zombie */
#define EBTOP_ROW_KERNEL 8     /* a kernel thread */
#define EBTOP_ROW_ARGS_CUT 16  /* the arguments in `text` are not all of them */
#define EBTOP_ROW_DIVIDED 32   /* user_ns and kernel_ns are counted at system calls, not sampled */
#define EBTOP_ROW_DISK_SLOW 64 /* its disk requests took long, against its own recent past */
#define EBTOP_ROW_FOLLOWED 128 /* the filter names a process, and it is that or descends from it */
#define EBTOP_ROW_EXECED 256   /* executed a program in the interval */

struct ebtop_row {
	__u64 known;    /* bits: enum ebtop_known, enum ebtop_fact; set: it holds a value */
	__u64 start_ns; /* boot-time clock; identity together with pid (or tid) */
	__u64 counters[EBTOP_COUNTERS];
	__u64 rss_bytes;
	__u64 virtual_bytes;
	__u64 peak_rss_bytes;
	__u64 rss_anon_bytes; /* the four: EBTOP_NOT_COUNTED where they are not known */
	__u64 rss_file_bytes;
	__u64 rss_shmem_bytes;
	__u64 swap_bytes;
	__u64 mappings; /* likewise */
	__u64 cgroup_id;
	__u64 controller_cgroup_id; /* as in struct ebtop_task; known with it */
	__u64 disk_latency_min_ns;  /* the three: only where requests were timed (`disk_timed`) */
	__u64 disk_latency_p99_ns;
	__u64 disk_latency_max_ns;
	__u64 disk_timed;
	__u32 pid;
	__u32 tid; /* equal to pid in a process row */
	__u32 ppid;
	__u32 uid;
	__u32 threads;
	__u32 state;     /* a letter as in ps(1) */
	__s32 exit_code; /* as wait(2) gives it */
	__u32 flags;
	__u32 text;       /* arguments of its last exec, if seen: offset into the text table */
	__u32 text_bytes; /* of a kernel thread: its whole name, where comm is too short */
	__u64 call_since_ns; /* monotonic clock; 0: not known. Of a process its leader's, as the next */
	__u64 function; /* an address in the function of the kernel that it sleeps in; 0: likewise */
	__u32 call; /* 1 + entry of its system call in the table of system calls; 0: none, or not known */
	__u32 pad;
	char comm[EBTOP_COMM_BYTES];
	char process_comm[EBTOP_COMM_BYTES]; /* in a process row equal to comm */
};

struct ebtop_event_row {
	__u64 time_ns; /* monotonic clock */
	__u64 start_ns;
	__u64 duration_ns; /* exit: how long the process lived; open: how long it took */
	/* open: descriptor or -errno; kprobe: what the function returned; signal: its number; oom:
	 * the victim's resident bytes, -1: not known */
	__s64 result;
	__s64 oncpu_ns; /* exit: of the whole process; -1: not known, or not yet */
	__u64 address;  /* this and the next two: mem; oom: the victim's cgroup */
	__u64 allocated_bytes;
	__u64 freed_bytes;
	__u32 type; /* enum ebtop_event_type */
	__u32 pid;
	__u32 tid;
	__u32 uid;
	__u32 ppid;
	__s32 exit_code;
	__u32 text; /* arguments, or the file name; kprobe: struct ebtop_call, its stack, its texts */
	__u32 text_bytes;
	__u32 name; /* exec: the program's path, open: the directory's, in the same texts */
	__u32 name_bytes;
	__u32 open_flags; /* mem: EBTOP_KIND_* */
	__u32 marks;      /* EBTOP_TEXT_*, EBTOP_SIGNAL_IGNORED */
	__u32 target; /* the process that a signal is for, or the victim; its name is the text */
	__u32 file;   /* exec: what the program's file is called, in the same texts */
	__u32 file_bytes;
	__s32 dirfd; /* open: what a relative name is relative to; known if the name is */
	char comm[EBTOP_COMM_BYTES];
	char thread_comm[EBTOP_COMM_BYTES];
};

#define EBTOP_TEXT_CUT 1
#define EBTOP_TEXT_UNREAD 2 /* there was one, but it could not be read */
#define EBTOP_SIGNAL_IGNORED 4
#define EBTOP_PATH_CUT 8 /* open: of the directory's */
#define EBTOP_PATH_REMOVED 16

/* A stack that threads of one process waited in. */
struct ebtop_wait_row {
	__u64 ns;
	__u64 count;
	__u32 reason; /* enum ebtop_wait */
	__u32 frames;
	__u64 frame[EBTOP_STACK_FRAMES];
};

/* A file that the process which is looked at read or wrote, since then. */
#define EBTOP_FILE_PATH_BYTES 520
struct ebtop_file_row {
	__u64 read_bytes;
	__u64 write_bytes;
	__u64 reads;
	__u64 writes;
	char path[EBTOP_FILE_PATH_BYTES]; /* \xe2\x80\xa6 where it was cut; empty: unknown */
};

/* One system call, in the interval or the window asked for. */
struct ebtop_syscall_row {
	__u64 calls; /* those that have not returned and never will included */
	__u64 errors;
	__u64 total_ns;
	__u64 min_ns; /* this and the next four: only with a call in the histogram */
	__u64 max_ns;
	__u64 p50_ns; /* at most 6.25 % off below 2^36 ns */
	__u64 p95_ns;
	__u64 p99_ns;
	__s32 number;
	__u32 compat; /* 1: a number of the machine's 32-bit calls */
	__u32 many;   /* 1: of several numbers that no table has, too many for a row each */
	__u32 pad;
	__u64 histogram[EBTOP_LOG2_BUCKETS]; /* element i: [2^i, 2^(i+1)) ns, element 0 also 0 */
};

/* How large a process's allocations were, of one that made any. */
struct ebtop_sizes_row {
	__u64 start_ns;
	__u32 pid;
	__u32 pad;
	__u64 sizes[EBTOP_SIZE_CLASSES];
};

/* One disk that requests go to, in the interval or cumulative. */
struct ebtop_disk_row {
	__u64 known; /* bits: enum ebtop_disk_fact */
	__u64 read_bytes;
	__u64 write_bytes;
	__u64 discard_bytes;
	__u64 reads;
	__u64 writes;
	__u64 discards;
	__u64 errors;
	__u64 sequential;
	__u64 latency_ns; /* of `timed` requests, summed */
	__u64 timed;
	__u64 latency_min_ns; /* with `timed` only, as the next */
	__u64 latency_max_ns;
	__u64 latency_p50_ns; /* at most 6.25 % off below 2^36 ns */
	__u64 latency_p99_ns;
	__u64 queued_p50_ns; /* likewise, from when the request entered the queue */
	__u64 queued_p99_ns;
	__u64 queue_ns; /* requests in flight, summed over time, as the kernel counts them */
	__u64 busy_ns;  /* likewise: with a request in flight */
	char name[EBTOP_DISK_NAME_BYTES];
};

enum ebtop_disk_fact {
	EBTOP_DISK_FACT_REQUESTS = 0, /* bytes, reads, writes, discards */
	EBTOP_DISK_FACT_LATENCY = 1,  /* and errors, sequential */
	EBTOP_DISK_FACT_QUEUE = 2,    /* queue_ns */
	EBTOP_DISK_FACT_BUSY = 3,
};

/* One CPU by the kernel's own account (/proc/stat); the parts are its time, each once. */
struct ebtop_cpu_row {
	__u64 user_ns; /* of guests not, as the next */
	__u64 nice_ns;
	__u64 system_ns;
	__u64 irq_ns;
	__u64 softirq_ns;
	__u64 steal_ns;
	__u64 guest_ns;
	__u64 iowait_ns;
	__u64 idle_ns;
	__u32 cpu;
	__u32 known; /* 0: it was not there at the beginning, or nothing was counted since */
};

/* One row: the machine in the interval. */
struct ebtop_system_row {
	__u64 context_switches;
	__u64 syscalls;
	__u64 processes;
	__u64 threads;
	__u64 active; /* the first so many process rows have EBTOP_ROW_RAN or are new */
	__u64 events[EBTOP_EVENT_TYPES];
	__u64 lost[EBTOP_LOSSES];
	__u64 lost_total[EBTOP_LOSSES];
	__u64 runq_wait_ns; /* of all threads, summed */
	__u64 runq_p99_ns;  /* of the waits that ended; with `runq_waits` only */
	__u64 runq_waits;
	__u64 allocated_bytes;
	__u64 freed_bytes;
	__u64 known; /* bits: enum ebtop_system_fact */
};

enum ebtop_system_fact {
	EBTOP_SYSTEM_CONTEXT_SWITCHES = 0,
	EBTOP_SYSTEM_EVENTS = 1,
	EBTOP_SYSTEM_THREADS = 2, /* and processes */
	EBTOP_SYSTEM_SYSCALLS = 3,
	EBTOP_SYSTEM_RUNQ = 4,
	EBTOP_SYSTEM_MEMORY = 5, /* allocated_bytes, freed_bytes */
};

/* A table with a bound: what finds no room in it is lost. */
struct ebtop_fullness_row {
	__u64 used; /* of the buffer of events: the most that waited in it in the interval */
	__u64 room; /* entries; of the buffer of events bytes */
	char name[16];
};

enum ebtop_probe_state {
	EBTOP_PROBE_OFF = 0,
	EBTOP_PROBE_ON = 1,
	EBTOP_PROBE_UNSUPPORTED = 2,
	EBTOP_PROBE_DENIED = 3,
	EBTOP_PROBE_FAILED = 4,
};

/* One loaded program of a probe. */
struct ebtop_program_row {
	__u32 probe;        /* enum ebtop_probe */
	__u32 instructions; /* that the verifier processed; 0: it was not asked */
	char name[16];
	char hook[48];
};

struct ebtop_probe_row {
	__u64 runs; /* in the interval */
	__u64 run_ns;
	__u32 state; /* enum ebtop_probe_state */
	__u32 stats; /* 1: runs and run_ns are known */
	char name[16];
	char hook[312];   /* what it is attached to, comma separated */
	char reason[200]; /* why it is not on; empty when on */
};

#endif
