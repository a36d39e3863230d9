/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the life of one BPF object: loading it in the best variant that the kernel takes, attaching
 * it, its state in words, and what it costs. Which probes exist is the table in probes.c.
 */
#ifndef EBTOP_PROBE_H
#define EBTOP_PROBE_H

#include <stddef.h>

#include "buffer.h"
#include "ebtop.h"
#include "maps.h"

struct bpf_link;
struct bpf_object;

#define PROBE_PROGRAMS_MAX 13
#define PROBE_VARIANTS_MAX 5

/* Programs in the order in which they are attached: the busiest hook last. */
struct probe_variant {
	const char *programs[PROBE_PROGRAMS_MAX + 1];
	const char *lacks;      /* what the best variant has; said with the hook */
	const char *unattached; /* this one of them runs when it is asked to */
	int through_syscalls;   /* it is of use only beside the probe syscall */
	int by_connection;      /* what a process sends is known only by its connections */
};

struct probe_kind {
	const char *name;
	const void *(*elf_bytes)(size_t *size);
	int is_iterator;   /* runs when read; nothing is attached by the probe itself */
	int hooks_by_name; /* the function that settings->hook names */
	/* Whether a program of a variant is needed for these settings; NULL: all are. */
	int (*needs)(const char *program, const struct ebtop_settings *settings);
	/* Sets what programs read as constants, before loading; NULL when there is nothing to set. */
	void (*prepare)(struct bpf_object *object, const struct maps *maps,
			const struct ebtop_settings *settings);
	struct probe_variant variants[PROBE_VARIANTS_MAX + 1]; /* best first */
};

extern const struct probe_kind probe_kinds[EBTOP_PROBES];

struct probe {
	const struct probe_kind *kind;
	const struct probe_variant *variant; /* the one that runs, or was tried last */
	struct probe_variant needed;         /* of it, what the settings need */
	struct bpf_object *object;
	int ahead; /* 1 + index of the variant that probe_load() has loaded, until it is opened */
	struct bpf_link *links[PROBE_PROGRAMS_MAX];
	int program_fds[PROBE_PROGRAMS_MAX];
	__u32 instructions[PROBE_PROGRAMS_MAX]; /* 0: the verifier was not asked */
	int programs;
	int failed_to_attach; /* it was loaded */
	__u64 runs;           /* at the last probe_row() */
	__u64 run_ns;
	enum ebtop_probe_state state;
	char hook[312];
	char reason[200];
};

/* Has what loading it will take of the kernel's types kept, so that they need not all be there. */
void probe_learn(const struct probe *probe, const struct maps *maps,
		 const struct ebtop_settings *settings);
/*
 * Loads what probe_open() will then only have to attach, without saying what became of it. Several
 * probes may do so at once, in a thread each.
 */
void probe_load(struct probe *probe, const struct maps *maps,
		const struct ebtop_settings *settings);
/* What was loaded so and never opened goes. */
void probe_unload(struct probe *probe);
/* Tries the variants in turn; what became of it is in probe->state and probe->reason. */
void probe_open(struct probe *probe, const struct probe_kind *kind, const struct maps *maps,
		const struct ebtop_settings *settings);
/* Its programs run no more, but are there, with their maps, until it is closed. */
void probe_detach(struct probe *probe);
void probe_close(struct probe *probe);
/* The constants of an object, as its skeleton describes them; NULL when it has none. */
void *object_constants(struct bpf_object *object, size_t *size);
/* How often the kernel did not run its programs, for they ran on that CPU already. */
__u64 probe_missed(const struct probe *probe);
/* The descriptor of one of its programs that runs; -1: it does not. */
int probe_program(const struct probe *probe, const char *name);
/* One row for each program that is loaded. */
void probe_programs(const struct probe *probe, struct buffer *rows);
/* State and cost since the last call; `stats`: the kernel's BPF statistics were on all the time. */
void probe_row(struct probe *probe, int stats, struct ebtop_probe_row *row);

#endif
