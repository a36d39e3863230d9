/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the life of one BPF object: loading it in the best variant that the kernel takes, attaching
 * it, its state in words, and what it costs; and what a probe is: struct probe_ops. Which probes there
 * are is the table in probes/table.c, which of them run is probeset.c's concern.
 */
#ifndef EBTOP_PROBE_H
#define EBTOP_PROBE_H

#include <stddef.h>

#include "util/buffer.h"
#include "ebtop.h"
#include "shared/maps.h"

struct accounts;
struct bpf_link;
struct bpf_object;
struct probe;
struct probeset;

#define PROBE_PROGRAMS_MAX 13
#define PROBE_VARIANTS_MAX 5

/* Programs in the order in which they are attached: the busiest hook last. */
struct probe_variant {
	const char *programs[PROBE_PROGRAMS_MAX + 1];
	const char *lacks;      /* what the best variant has; said with the hook */
	const char *unattached; /* this one of them runs when it is asked to */
	int through_carrier;    /* it is of use only beside the probe that is its carrier */
	int by_connection;      /* what a process sends is known only by its connections */
};

#define PROBE_MAPS_MAX 4

#define BIT(number) (1u << (number))

/*
 * All that is particular to one probe; probes/<name>.c exports one. Whoever works with probes goes
 * through the table and asks here. What a field leaves out (0, NULL) is not needed or not done.
 */
struct probe_ops {
	const char *name;

	/* ---- its programs ---- */
	const void *(*elf_bytes)(size_t *size); /* NULL: it has none of its own */
	int is_iterator;   /* they run when read; nothing is attached by the probe itself */
	int hooks_by_name; /* the function that settings->hook names */
	/* Whether a program of a variant is needed for these settings; NULL: all are. */
	int (*needs)(const char *program, const struct ebtop_settings *settings);
	/* Sets what programs read as constants, before loading. */
	void (*prepare)(struct bpf_object *object, const struct maps *maps,
			const struct ebtop_settings *settings);
	struct probe_variant variants[PROBE_VARIANTS_MAX + 1]; /* best first */

	/* ---- its place among the others ---- */
	int on_demand;   /* it comes and goes; the others stay from the beginning to the end */
	int open_rank;   /* probes are opened in this order; 0: the one it is a part of does that */
	int load_rank;   /* and loaded, several at once, in this: dearest first; 0: never so */
	int needs_sched; /* its counts lie beside the slots of threads */
	int outlasts_detach; /* it goes on when events are no longer made */
	__u32 part_of;       /* the probe that opens and closes this one, 1 << enum ebtop_probe */
	/* Likewise the one whose programs count for it where no function can be hooked. */
	__u32 carrier;
	int carrier_suffices; /* then it needs no programs of its own */
	__u32 places;         /* bits 1 << enum place: where it counts, made before it loads */
	/* Made before it loads and dropped with it; ends with 0, which is always there. */
	enum shared_map maps[PROBE_MAPS_MAX + 1];
	enum shared_map carrier_map; /* its carrier's, which variants through that one write to */

	/* ---- its coming and going ---- */
	/* Before programs are loaded: what they need besides. 0, or -errno, and the state says why; where
	 * it does not, it is want of memory. */
	int (*open)(struct probeset *set);
	/* Once they run; likewise. */
	int (*opened)(struct probeset *set);
	/* It counts through its carrier, which has been opened: the state is then that of both. */
	void (*join)(struct probeset *set, const struct probe *through);
	/* What open() and opened() made; may come more than once. */
	void (*close)(struct probeset *set);
	const char *no_memory; /* the reason, when there is none */
	/* While it is wanted: bits of enum ebtop_collect. */
	__u32 (*collects)(const struct probeset *set, int through_carrier);
	/* Even before it is opened, from the first switch on. */
	__u32 (*collects_early)(const struct probeset *set);
	__u32 uninterrupted; /* those of them that go on while other probes come and go */
	/* All that is wanted is collected from now on. */
	void (*begun)(struct probeset *set);

	/* ---- its numbers ---- */
	/* Tells the accounts what they may rely on; they begin with nothing. */
	void (*account)(struct probeset *set, struct accounts *accounts);
	/* The end of an interval: before processes are summed up, and after. */
	void (*charge)(struct accounts *accounts);
	void (*settle)(struct probeset *set, struct accounts *accounts, __u32 refresh_flags);
	void (*reset)(struct accounts *accounts);
	/* The tables that it fills. */
	void (*pack)(struct probeset *set, struct ebtop_snapshot *ret);
	/* Rows of all probes are there, by enum ebtop_probe: for costs that are in another's row. */
	void (*split_cost)(struct probeset *set, struct ebtop_probe_row *rows);
	/* What it was not told of since it was opened, and which loss that is. */
	__u64 (*missed)(const struct probeset *set);
	enum ebtop_loss missed_as;
};

/* By enum ebtop_probe: all that there are. */
extern const struct probe_ops *const probe_table[EBTOP_PROBES];

struct probe {
	const struct probe_ops *ops;
	const struct probe_variant *variant; /* the one that runs, or was tried last */
	struct probe_variant needed;         /* of it, what the settings need */
	struct bpf_object *object;
	int loaded_variant; /* 1 + index of the variant that probe_load() has loaded, until it is opened */
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
void probe_keep_types(const struct probe *probe, const struct maps *maps,
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
void probe_open(struct probe *probe, const struct maps *maps,
		const struct ebtop_settings *settings);
/* Its programs run no more, but are there, with their maps, until it is closed. */
void probe_detach(struct probe *probe);
void probe_close(struct probe *probe);
/* It does not run, for that reason. Returns -ECANCELED. */
int probe_refuse(struct probe *probe, enum ebtop_probe_state state, const char *reason);
/* It was not asked for. */
void probe_mark_not_requested(struct probe *probe);
/* It counts through another, so that one's hooks are its own too; or, having none, it is what that is. */
void probe_join_hooks(struct probe *probe, const struct probe *through);
void probe_take_state(struct probe *probe, const struct probe *through);
/* The constants of an object, as its skeleton describes them; NULL when it has none. */
void *object_constants(struct bpf_object *object, size_t *size);
/* How often the kernel did not run its programs, for they ran on that CPU already. */
__u64 probe_missed(const struct probe *probe);
/* The descriptor of one of its programs that runs; -1: it does not. */
int probe_program(const struct probe *probe, const char *name);
/* One row for each program that is loaded. */
void probe_programs(const struct probe *probe, enum ebtop_probe which, struct buffer *rows);
/* State and cost since the last call; `stats`: the kernel's BPF statistics were on all the time. */
void probe_row(struct probe *probe, int stats, struct ebtop_probe_row *row);

#endif
