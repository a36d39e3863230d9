/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the C API of the collector, which is also the cffi definition: Python sees the lines between
 * the `cdef` marks and bpf/abi.h, and nothing else. A session belongs to one thread.
 */
#ifndef EBTOP_H
#define EBTOP_H

#include <linux/types.h>
#include "abi.h"

/* cdef */
typedef struct ebtop_session ebtop_session;

#define EBTOP_HOOK_RETURNS 1 /* an event is made at the return: with result and duration */
#define EBTOP_HOOK_STACK 2

/* The function that the probe kfunc hooks. */
struct ebtop_hook {
	char function[128]; /* empty: none */
	__u32 args;         /* number of arguments to read, EBTOP_CALL_ARGS at most */
	__u32 texts;        /* bits: arguments that point to text */
	__u32 slot;         /* of the result: the number of words of all arguments; 255: none */
	__u32 flags;        /* EBTOP_HOOK_* */
};

#define EBTOP_PARAM_SIGNED 1
#define EBTOP_PARAM_POINTER 2
#define EBTOP_PARAM_TEXT 4 /* points to char */

struct ebtop_param {
	char name[32];
	__u32 bytes; /* of a result, 0: there is none */
	__u32 flags; /* EBTOP_PARAM_* */
};

/* A kernel function, from BTF. */
struct ebtop_prototype {
	__u32 args;  /* how many are in `param`: the first ones, which fill one register each */
	__u32 slots; /* number of words of all arguments */
	struct ebtop_param result;
	struct ebtop_param param[EBTOP_CALL_ARGS];
};

/* Beside the probes: what they log. Slow are system calls and disk requests. */
enum ebtop_log {
	EBTOP_LOG_ALLOCATIONS = EBTOP_PROBES,
	EBTOP_LOG_SLOW,
};

/* Settings of a session, fixed when it is opened. */
struct ebtop_settings {
	__u32 probes;         /* bits 1 << enum ebtop_probe; probes on demand add sched */
	__u32 events_bytes;   /* size of the ring buffer; 0: the default */
	__u32 verifier_stats; /* 1: record what the verifier processed; opening is slower */
	__u32 debug;          /* 1: messages of libbpf and the verifier go to standard error */
	__u32 transitions;    /* 1: an event for each change of a connection's state */
	__u32 directories;    /* 1: opens have the directory that their names are relative to */
	__u32 allocations;    /* 1: an event for each call that changes what is mapped */
	__u32 symbols_ahead;  /* 1: read the kernel's symbols now, not at the first stack */
	__u32 slow; /* bits 1 << enum ebtop_slow_kind: an event for each that took filter.slow_ns */
	__u32 threads;       /* room in tables; 0: the default */
	__u32 connections;   /* likewise */
	__u32 little_memory; /* 1: small tables, where no room was given */
	__u32 failed_execs;  /* 1: an event for each failed exec; every system call pays for it */
	__u32 pad;
	__s32 execs[4];         /* numbers of execve and execveat, then the 32-bit ones; -1: none */
	struct ebtop_hook hook; /* for kfunc */
	struct ebtop_config filter; /* pid, uid, flags, port, min_*; the session sets the rest */
	char syscall_kinds[EBTOP_SYSCALL_NUMBERS]; /* EBTOP_KIND_* and category, by number */
	char waits[EBTOP_SYSCALL_NUMBERS];         /* EBTOP_WAIT_*, by number */
	char call_objects[EBTOP_SYSCALL_NUMBERS];  /* enum ebtop_call_object, by number */
	/* Lines `R name`: R, a digit, is the enum ebtop_wait of that kernel function. NULL: none. */
	const char *wait_functions;
};

enum ebtop_window { /* the time that the table of system calls covers */
		    EBTOP_WINDOW_INTERVAL = 0,
		    EBTOP_WINDOW_TEN_SECONDS = 1,
		    EBTOP_WINDOW_RESET = 2, /* since the start or the last reset */
		    EBTOP_WINDOWS = 3,
};

enum ebtop_refresh_flag {
	EBTOP_WANT_THREADS = 1, /* fill the table of threads too */
	EBTOP_WANT_COST = 2,  /* keep the kernel's BPF statistics on, so that probes have run_ns */
	EBTOP_CUMULATIVE = 4, /* counters since the start or the last reset, not of the interval */
	EBTOP_RESET = 8,      /* cumulative counting begins anew after this refresh */
	EBTOP_WANT_FUNCTIONS =
		16,             /* for each sleeping task, the kernel function that it sleeps in */
	EBTOP_WINDOW_SHIFT = 8, /* enum ebtop_window from this bit on, two bits */
	EBTOP_EVERY_SHIFT = 12, /* n from this bit on: time one of 1 << n system calls */
};

struct ebtop_error {
	__s32 code; /* -errno */
	char where[32];
	char what[220];
};

struct ebtop_privileges {
	__u64 capabilities; /* to keep, where they are held; bits 1 << CAP_* */
	__u32 uid;          /* to become, with gid as the only group; EBTOP_ANY_UID: stay */
	__u32 gid;
};

/* The processes that take part in standing by. */
struct ebtop_standby {
	__u32 command, watcher; /* both children of the process that stands by */
	__s32 go;      /* the command waits at the other end, and starts when it reads `!` */
	__s32 asks;    /* a byte arrives when the watcher has seen everything the command did */
	__s32 answers; /* then the command is reaped, and a struct ebtop_ended is written here */
	__s32 pad;
};

/* The resource usage of a command that has ended, from the kernel. */
struct ebtop_ended {
	__u64 user_ns, kernel_ns, peak_rss_kib, minor_faults, major_faults;
	__u64 blocks_in, blocks_out, voluntary_switches, involuntary_switches;
	__s32 status; /* of wait(2) */
	__s32 pad;
};

#define EBTOP_ERROR_NAMES 134
#define EBTOP_LINES_BYTES 1048576

/* State for turning events into lines. Zero it, then fill the fields before `clock_second`. */
struct ebtop_lines {
	__s64 to_epoch_ns; /* to add to the monotonic clock */
	__u32 json;        /* 0: text */
	__u32 used;        /* bytes of `out` that the call filled */
	char errors[EBTOP_ERROR_NAMES][16];
	__s64 clock_second; /* private from here on */
	__u32 clock_bytes;
	char clock[28];
	char out[EBTOP_LINES_BYTES];
};

struct ebtop_symbol {
	__u64 address; /* in: the address */
	__u64 start;   /* of the function that contains it; 0: unknown */
	char name[64]; /* of that function, possibly cut */
};

struct ebtop_table {
	const void *rows;
	__u32 count;
	__u32 stride;
};

struct ebtop_snapshot {
	__u64 taken_ns;               /* monotonic clock */
	__u64 interval_ns;            /* the time that the counters cover; 0 in the first refresh */
	__u64 took_ns;                /* the duration of the refresh itself */
	struct ebtop_table system;    /* struct ebtop_system_row, one */
	struct ebtop_table processes; /* struct ebtop_row; those that ran are first */
	struct ebtop_table threads;   /* struct ebtop_row */
	struct ebtop_table events;    /* struct ebtop_event_row, oldest first */
	struct ebtop_table text;      /* bytes; stride 1 */
	struct ebtop_table probes;    /* struct ebtop_probe_row */
	struct ebtop_table syscalls;  /* struct ebtop_syscall_row: calls that were made */
	struct ebtop_table disks;     /* struct ebtop_disk_row: disks that had a request */
	struct ebtop_table connections; /* struct ebtop_connection; ended ones are last */
	struct ebtop_config filter;     /* as it is now; another process may have set it */
	__u64 window_ns;                /* the time that the table of system calls covers */
	struct ebtop_table waits;       /* struct ebtop_wait_row, of the inspected process */
	struct ebtop_table files;       /* struct ebtop_file_row, likewise */
	__u32 inspected_pid;            /* 0: none */
	__u32 more;                     /* of a stream: more events exist, or will in a moment */
	struct ebtop_table sizes;       /* struct ebtop_sizes_row: processes that allocated */
	struct ebtop_table fullness;    /* struct ebtop_fullness_row */
};

/* Loads and attaches the probes in `settings`. A probe that cannot run is no error: its row in the
 * table of probes says why. NULL, with *err filled, when no probe can run. */
ebtop_session *ebtop_open(const struct ebtop_settings *settings, struct ebtop_error *err);
/* Makes `probes` those that run, bits of enum ebtop_log among them: loads what is missing, closes
 * what is not named. What cannot be loaded is a row of the table of probes. */
void ebtop_switch(ebtop_session *session, __u32 probes);
/* Fills in the names of addresses. They must be sorted. */
void ebtop_symbols(ebtop_session *session, struct ebtop_symbol *symbols, __u32 count);
/* From now on counts the waits of this process by stack and its bytes by file, and those of no other.
 * 0: of none; EBTOP_ALL_WATCHED: of the filter's process and its descendants. */
void ebtop_inspect(ebtop_session *session, __u32 pid);
/* Sets the filter, from the next event on. */
void ebtop_filter(ebtop_session *session, const struct ebtop_config *filter);
/* Sets the filter of another process's session, without its help; needs the right to trace it.
 * *accepts, unless NULL, receives the settings that it obeys; `filter` may be NULL. 0, -ESRCH when
 * that process has no session, or -errno. */
int ebtop_filter_other(__u32 pid, const struct ebtop_config *filter, __u32 *accepts,
		       struct ebtop_error *err);
/* A descriptor that becomes readable when ebtop_poll() has work to do; -1: there is none. */
int ebtop_event_fd(const ebtop_session *session);
/* Drains events and recycles the slots of ended threads; never blocks. The number of events, or -errno. */
int ebtop_poll(ebtop_session *session);
/* Drains events and hands them out with their texts and losses; the rest of *ret is zero. For callers
 * that only want the stream. */
int ebtop_stream(ebtop_session *session, struct ebtop_snapshot *ret, struct ebtop_error *err);
/* Whether the filter's process lives, or one of its descendants where the filter includes them. */
int ebtop_follows(ebtop_session *session);
/* Stops making events; ebtop_stream() still hands out those made before. An event that is being made
 * on another CPU may take a moment longer. */
void ebtop_detach(ebtop_session *session);
/* Ends the interval. Tables stay valid until the next call, except that the caller owns the rows of
 * processes and frees them. 0 or -errno. */
int ebtop_refresh(ebtop_session *session, __u32 flags, struct ebtop_snapshot *ret,
		  struct ebtop_error *err);
void ebtop_free_rows(void *rows);
/* The running programs, as struct ebtop_program_row; valid until the next call. */
void ebtop_programs(ebtop_session *session, struct ebtop_table *ret);
/* The programs of variant 0, 1, ... of a probe (best first), separated by commas. 0 or -ENOENT. */
int ebtop_variant(__u32 probe, __u32 variant, char *text, __u32 size);
/* Detaches and frees everything. NULL is fine. */
void ebtop_close(ebtop_session *session);
/* Whether exec gave this process privileges that its caller lacks (set-uid, set-gid, file
 * capabilities), as the kernel tells; 1 where it cannot be asked. */
int ebtop_is_elevated(void);
/* Drops all other privileges for good; call it when everything that needs them is open. The process
 * must have one thread. Becoming another user needs CAP_SETUID and CAP_SETGID. 0 or -EIO: then some
 * privileges may be left, and the process must end. */
int ebtop_drop_privileges(const struct ebtop_privileges *keep, struct ebtop_error *err);
/* execve(2) with arbitrary strings as the environment; returns only on failure, with -errno. */
int ebtop_execute(const char *path, char *const *words, char *const *environment);
/* Frees its memory, forwards signals, and exits with the status of the command; of the watcher, where
 * the command was never started. Does not return. */
void ebtop_stand_by(const struct ebtop_standby *who);
/* The prototype of a function of a module or (NULL) of the kernel itself. 0, -ENOENT when BTF does not
 * have it, or -errno. */
int ebtop_function(const char *name, const char *module, struct ebtop_prototype *ret);
/* Writes a line for each row of events, up to the first that is no open, has a name that needs
 * escaping, or does not fit. The number of lines. */
__u32 ebtop_format(struct ebtop_lines *lines, const void *rows, __u32 count, const char *text,
		   __u32 text_bytes);
/* end of cdef */

#endif
