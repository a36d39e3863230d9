/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the whole C API of the collector, which is also the cffi cdef: the lines below `cdef`
 * together with bpf/abi.h are all that Python can see. One session, one thread.
 */
#ifndef EBTOP_H
#define EBTOP_H

#include <linux/types.h>
#include "abi.h"

/* cdef */
typedef struct ebtop_session ebtop_session;

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
	EBTOP_STACKS = 10, /* of waits: no programs of its own, sched takes them */
	EBTOP_MEM = 11,    /* likewise: syscall's count */
	EBTOP_SIGNALS = 12,
	EBTOP_PROBES = 13,
};

#define EBTOP_HOOK_RETURNS 1 /* events come with the return: with result and duration */
#define EBTOP_HOOK_STACK 2

/* The function that the probe kfunc hooks. */
struct ebtop_hook {
	char function[128]; /* empty: none */
	__u32 args;         /* so many of its arguments are read, EBTOP_CALL_ARGS at most */
	__u32 texts;        /* bits: those that point at text */
	__u32 slot;         /* of the result: how many words all arguments are; 255: none */
	__u32 flags;        /* EBTOP_HOOK_* */
};

#define EBTOP_PARAM_SIGNED 1
#define EBTOP_PARAM_POINTER 2
#define EBTOP_PARAM_TEXT 4 /* points at char */

struct ebtop_param {
	char name[32];
	__u32 bytes; /* 0 of a result: there is none */
	__u32 flags; /* EBTOP_PARAM_* */
};

/* A function of the kernel, as BTF has it. */
struct ebtop_prototype {
	__u32 args;  /* the first so many are in `param`: those that fill one register each */
	__u32 slots; /* words of all arguments */
	struct ebtop_param result;
	struct ebtop_param param[EBTOP_CALL_ARGS];
};

/* Beside the probes: what they log. Slow are system calls and disk requests. */
enum ebtop_log {
	EBTOP_LOG_ALLOCATIONS = EBTOP_PROBES,
	EBTOP_LOG_SLOW,
};

/* What a session is opened with. */
struct ebtop_settings {
	__u32 probes; /* bits 1 << enum ebtop_probe; syscall, open, block bring sched with them */
	__u32 events_bytes;   /* size of the ring buffer; 0: the default */
	__u32 verifier_stats; /* 1: programs shall say what the verifier processed; slower to open */
	__u32 debug;          /* 1: all that libbpf and the verifier say goes to standard error */
	__u32 transitions;    /* 1: an event for each change of a connection's state */
	__u32 directories;    /* 1: opens say which directory their names are relative to */
	__u32 allocations;    /* 1: an event for each call that changes what is mapped */
	__u32 symbols_ahead; /* 1: the kernel's symbols are read now, not when a stack needs them */
	__u32 slow; /* bits 1 << enum ebtop_slow_kind: each that took filter.slow_ns is an event */
	__u32 threads;       /* room for so many; 0: the default */
	__u32 connections;   /* likewise */
	__u32 little_memory; /* 1: tables whose room was not named are small */
	__u32 failed_execs; /* 1: an event for each exec that fails; every system call pays for it */
	__u32 pad;
	__s32 execs[4]; /* numbers of execve, execveat, and the 32-bit ones; -1: there is none */
	struct ebtop_hook hook;     /* for kfunc */
	struct ebtop_config filter; /* pid, uid, flags, port, min_*; the rest is the session's */
	char syscall_kinds[EBTOP_SYSCALL_NUMBERS]; /* EBTOP_KIND_* and category, by number */
	char waits[EBTOP_SYSCALL_NUMBERS];         /* EBTOP_WAIT_*, by number */
	char call_objects[EBTOP_SYSCALL_NUMBERS];  /* enum ebtop_call_object, by number */
	/* Lines `R name`: a function of the kernel that waits for enum ebtop_wait R, a digit. NULL: none. */
	const char *wait_functions;
};

enum ebtop_window { /* what the table of system calls covers */
		    EBTOP_WINDOW_INTERVAL = 0,
		    EBTOP_WINDOW_TEN_SECONDS = 1,
		    EBTOP_WINDOW_RESET = 2, /* since the start or the last reset */
		    EBTOP_WINDOWS = 3,
};

enum ebtop_refresh_flag {
	EBTOP_WANT_THREADS = 1, /* fill the table of threads too */
	EBTOP_WANT_COST = 2,  /* hold the kernel's BPF statistics on, so that probes have run_ns */
	EBTOP_CUMULATIVE = 4, /* counters since the start or the last reset, not of the interval */
	EBTOP_RESET = 8,      /* cumulative counting begins anew after this refresh */
	EBTOP_WANT_FUNCTIONS = 16, /* of every task that sleeps, where in the kernel it does */
	EBTOP_WINDOW_SHIFT = 8,    /* enum ebtop_window from this bit on, two bits */
	EBTOP_EVERY_SHIFT = 12,    /* of 1 << so many system calls one is timed, from now on */
};

struct ebtop_error {
	__s32 code; /* -errno */
	char where[32];
	char what[220];
};

struct ebtop_privileges {
	__u64 capabilities; /* to keep where they are held; bits 1 << CAP_* */
	__u32 uid;          /* to become, with group gid and no other; EBTOP_ANY_UID: nobody else */
	__u32 gid;
};

/* Who stands by for whom. */
struct ebtop_standby {
	__u32 command, watcher; /* both its children */
	__s32 go;               /* the command waits at the other end, and begins with a `!` */
	__s32 asks;    /* a byte comes there when the watcher has seen all that the command did */
	__s32 answers; /* then the command is waited for, and a struct ebtop_ended goes there */
	__s32 pad;
};

/* What the kernel says of a command that has ended. */
struct ebtop_ended {
	__u64 user_ns, kernel_ns, peak_rss_kib, minor_faults, major_faults;
	__u64 blocks_in, blocks_out, voluntary_switches, involuntary_switches;
	__s32 status; /* of wait(2) */
	__s32 pad;
};

#define EBTOP_ERROR_NAMES 134
#define EBTOP_LINES_BYTES 1048576

/* What turns events into lines; zeroed at first, then the fields of the first part filled. */
struct ebtop_lines {
	__s64 to_epoch_ns; /* what to add to the monotonic clock */
	__u32 json;        /* 0: text */
	__u32 used;        /* of `out`, after a call */
	char errors[EBTOP_ERROR_NAMES][16];
	__s64 clock_second; /* the rest is the formatter's */
	__u32 clock_bytes;
	char clock[28];
	char out[EBTOP_LINES_BYTES];
};

struct ebtop_symbol {
	__u64 address; /* asked about */
	__u64 start;   /* of the function that it is in; 0: none is known */
	char name[64]; /* of that function, cut */
};

struct ebtop_table {
	const void *rows;
	__u32 count;
	__u32 stride;
};

struct ebtop_snapshot {
	__u64 taken_ns;                 /* monotonic clock */
	__u64 interval_ns;              /* what the counters cover; 0 in the first refresh */
	__u64 took_ns;                  /* what the refresh itself took */
	struct ebtop_table system;      /* struct ebtop_system_row, one */
	struct ebtop_table processes;   /* struct ebtop_row; those that ran come first */
	struct ebtop_table threads;     /* struct ebtop_row */
	struct ebtop_table events;      /* struct ebtop_event_row, oldest first */
	struct ebtop_table text;        /* bytes; stride 1 */
	struct ebtop_table probes;      /* struct ebtop_probe_row */
	struct ebtop_table syscalls;    /* struct ebtop_syscall_row: those that were called */
	struct ebtop_table disks;       /* struct ebtop_disk_row: those that had a request */
	struct ebtop_table connections; /* struct ebtop_connection; those that ended come last */
	struct ebtop_config filter;     /* as it is now; another process may have set it */
	__u64 window_ns;                /* what the table of system calls covers */
	struct ebtop_table waits;    /* struct ebtop_wait_row, of the process that is looked at */
	struct ebtop_table files;    /* struct ebtop_file_row, likewise */
	__u32 inspected_pid;         /* which that is; 0: none */
	__u32 more;                  /* of a stream: more is there, or comes in a moment */
	struct ebtop_table sizes;    /* struct ebtop_sizes_row: of processes that allocated */
	struct ebtop_table fullness; /* struct ebtop_fullness_row */
};

/* Loads and attaches the probes of `settings`. A probe that cannot run is no error: it is a row of
 * the table of probes. NULL, and *err filled, when nothing can work. */
ebtop_session *ebtop_open(const struct ebtop_settings *settings, struct ebtop_error *err);
/* Makes `probes` those that run, bits of enum ebtop_log among them: loads what is missing, closes
 * what is not named. What cannot be loaded is a row of the table of probes. */
void ebtop_switch(ebtop_session *session, __u32 probes);
/* Fills in the names of addresses, which have to be in order. */
void ebtop_symbols(ebtop_session *session, struct ebtop_symbol *symbols, __u32 count);
/* From now on waits of that process are counted by stack, its bytes by file, and of no other; 0: of
 * none; EBTOP_ALL_WATCHED: of the filter's process and its descendants. */
void ebtop_inspect(ebtop_session *session, __u32 pid);
/* Sets the filter, from the next event on. */
void ebtop_filter(ebtop_session *session, const struct ebtop_config *filter);
/* The same for the session of another process, without its help; needs the right to trace it.
 * *accepts, unless NULL, is filled with what it obeys; filter may be NULL. 0, -ESRCH when it has
 * none, or -errno. */
int ebtop_filter_other(__u32 pid, const struct ebtop_config *filter, __u32 *accepts,
		       struct ebtop_error *err);
/* A descriptor that polls readable when ebtop_poll() has something to do; -1 when there is none. */
int ebtop_event_fd(const ebtop_session *session);
/* Drains events and recycles ended threads; never blocks. The number of events, or -errno. */
int ebtop_poll(ebtop_session *session);
/* Drains events and hands them out, with their texts, losses and probes: nothing else of *ret is
 * filled. For those who only want the stream. */
int ebtop_stream(ebtop_session *session, struct ebtop_snapshot *ret, struct ebtop_error *err);
/* Whether the filter's process, or one that descends from it where that is asked for, lives. */
int ebtop_follows(ebtop_session *session);
/* No event is made any more; what was made is still handed out by ebtop_stream(). An event that is
 * being made on another CPU may take a moment yet. */
void ebtop_detach(ebtop_session *session);
/* Ends the interval. The tables stay valid until the next call; the rows of processes are the
 * caller's, to be freed. 0 or -errno. */
int ebtop_refresh(ebtop_session *session, __u32 flags, struct ebtop_snapshot *ret,
		  struct ebtop_error *err);
void ebtop_free_rows(void *rows);
/* The programs that run now, as struct ebtop_program_row; valid until the next call. */
void ebtop_programs(ebtop_session *session, struct ebtop_table *ret);
/* The programs of variant 0, 1, ... of a probe, best first, comma separated: 0, or -ENOENT. */
int ebtop_variant(__u32 probe, __u32 variant, char *text, __u32 size);
/* Detaches and frees everything. NULL is fine. */
void ebtop_close(ebtop_session *session);
/* Whether exec gave this process privileges that its caller does not have (set-uid, set-gid, file
 * capabilities), by the kernel's word; where that cannot be had: yes. */
int ebtop_is_elevated(void);
/* Gives up all privileges but those, for good, once what needs them is open; the process must have
 * one thread. Needs CAP_SETUID and CAP_SETGID to become somebody else. 0 or -EIO: then some may be
 * left, and the process must end. */
int ebtop_drop_privileges(const struct ebtop_privileges *keep, struct ebtop_error *err);
/* execve(2) with any strings for an environment; comes back with -errno only. */
int ebtop_execute(const char *path, char *const *words, char *const *environment);
/* Gives back all memory, passes on signals, and ends with the command's status, or, where that was
 * never let go, with the watcher's. Does not return. */
void ebtop_stand_by(const struct ebtop_standby *who);
/* What BTF knows of a function, of a module or (NULL) of the kernel itself: 0, -ENOENT when that is
 * nothing, or -errno. */
int ebtop_function(const char *name, const char *module, struct ebtop_prototype *ret);
/* Writes a line for each of the first rows of events, until one that is no open, whose names are not
 * plain, or for which there is no room. How many it wrote. */
__u32 ebtop_format(struct ebtop_lines *lines, const void *rows, __u32 count, const char *text,
		   __u32 text_bytes);
/* end of cdef */

#endif
