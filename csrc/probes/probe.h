/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the description of a probe (struct probe_ops), and the life of its BPF object: it loads the
 * best variant that the kernel accepts, attaches it, and keeps its state and cost. probes/table.c
 * lists the probes; probeset.c decides which of them run.
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
	const char *lacks; /* what it cannot count and the best variant can; shown with the hook */
	const char *unattached; /* this program is not attached: user space runs it */
	int through_carrier;    /* it counts only together with the programs of its carrier */
	int by_connection;      /* bytes sent are known by connection, not by process */
};

#define PROBE_MAPS_MAX 4

#define BIT(number) (1u << (number))

/*
 * Everything particular to one probe; each probes/<name>.c exports one. Other code never names a probe:
 * it walks the table and asks here. A field that is 0 or NULL means: not needed, or not done.
 */
struct probe_ops {
	const char *name;

	/* ---- its programs ---- */
	const void *(*elf_bytes)(size_t *size); /* NULL: no programs of its own */
	int is_iterator;   /* the programs run when read; the probe attaches nothing */
	int hooks_by_name; /* the programs hook the function in settings->hook */
	/* Whether the settings need this program of a variant; NULL: all are needed. */
	int (*needs)(const char *program, const struct ebtop_settings *settings);
	/* Before loading: sets the constants of the programs and the sizes of their maps. */
	void (*prepare)(struct bpf_object *object, const struct maps *maps,
			const struct ebtop_settings *settings);
	struct probe_variant variants[PROBE_VARIANTS_MAX + 1]; /* best first */

	/* ---- its place among the others ---- */
	int on_demand;   /* it runs while somebody looks; other probes run from beginning to end */
	int open_rank;   /* the order of opening; 0: opened by the probe that it is a part of */
	int load_rank;   /* the order of loading several at once, slowest first; 0: loaded alone */
	int needs_sched; /* it counts beside the slots of threads, which sched makes */
	int outlasts_detach; /* it stays attached when the session makes no more events */
	__u32 part_of;       /* a bit: the probe that opens and closes this one */
	/* A bit: the probe whose programs count for this one where no function can be hooked. */
	__u32 carrier;
	int carrier_suffices; /* with its carrier it works without programs of its own */
	__u32 places;         /* bits 1 << enum place: where its programs count */
	/* Maps made before its programs load, and dropped with it. Ends with 0 (MAP_SLOTS always exists). */
	enum shared_map maps[PROBE_MAPS_MAX + 1];
	enum shared_map
		carrier_map; /* a map of the carrier that variants with through_carrier write to */

	/* ---- its coming and going ---- */
	/* Before its programs load: makes what else they need. 0, -ECANCELED after probe_refuse(), or
	 * another -errno, which stands for a lack of memory. */
	int (*open)(struct probeset *set);
	/* When its programs run. Returns as open() does. */
	int (*opened)(struct probeset *set);
	/* It counts through its carrier, which has been opened: sets the state that follows from both. */
	void (*join)(struct probeset *set, const struct probe *through);
	/* Undoes open() and opened(); may be called when there is nothing to undo. */
	void (*close)(struct probeset *set);
	const char *no_memory; /* the reason shown for a lack of memory */
	/* Bits of enum ebtop_collect, while the probe is wanted. */
	__u32 (*collects)(const struct probeset *set, int through_carrier);
	/* Bits to collect from the first switch on, before the probe is opened. */
	__u32 (*collects_early)(const struct probeset *set);
	__u32 uninterrupted; /* bits that stay set while other probes are opened and closed */
	/* Collecting has begun for all wanted probes. */
	void (*begun)(struct probeset *set);

	/* ---- its numbers ---- */
	/* Tells the accounts what this probe provides now; they have been reset to nothing. */
	void (*account)(struct probeset *set, struct accounts *accounts);
	/* At the end of an interval: before threads are summed into processes, and after. */
	void (*charge)(struct accounts *accounts);
	void (*settle)(struct probeset *set, struct accounts *accounts, __u32 refresh_flags);
	void (*reset)(struct accounts *accounts);
	/* Sets its tables in the snapshot. */
	void (*pack)(struct probeset *set, struct ebtop_snapshot *ret);
	/* Moves its cost out of the row of the probe whose programs do the work. `rows`: by enum ebtop_probe. */
	void (*split_cost)(struct probeset *set, struct ebtop_probe_row *rows);
	/* Events that the kernel did not report to it since it was opened, and the loss they count as. */
	__u64 (*missed)(const struct probeset *set);
	enum ebtop_loss missed_as;
};

/* All probes, by enum ebtop_probe. */
extern const struct probe_ops *const probe_table[EBTOP_PROBES];

struct probe {
	const struct probe_ops *ops;
	const struct probe_variant *variant; /* the one that runs, or the last one tried */
	struct probe_variant needed;         /* the programs of it that the settings need */
	struct bpf_object *object;
	int loaded_variant; /* 1 + index of the variant that probe_load() loaded; 0: none, or opened since */
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

/* Keeps the subset of the kernel's types that loading will need, so that the whole can be freed. */
void probe_keep_types(const struct probe *probe, const struct maps *maps,
		      const struct ebtop_settings *settings);
/* Loads the programs, so that probe_open() only has to attach them. A failure is not reported: then
 * probe_open() loads again. Several threads may load a probe each. */
void probe_load(struct probe *probe, const struct maps *maps,
		const struct ebtop_settings *settings);
/* Frees programs that were loaded but never opened. */
void probe_unload(struct probe *probe);
/* Tries the variants in turn. The result is in probe->state and probe->reason. */
void probe_open(struct probe *probe, const struct maps *maps,
		const struct ebtop_settings *settings);
/* Stops its programs; they and their maps exist until the probe is closed. */
void probe_detach(struct probe *probe);
void probe_close(struct probe *probe);
/* Sets the state and the reason after opening failed with `code`. */
void probe_explain(struct probe *probe, int code);
/* Sets the state and the reason of a probe that does not run. Returns -ECANCELED. */
int probe_refuse(struct probe *probe, enum ebtop_probe_state state, const char *reason);
/* The state of a probe that was not asked for. */
void probe_mark_not_requested(struct probe *probe);
/* For a probe that counts through another: adds the hooks of that one, or takes over its state. */
void probe_join_hooks(struct probe *probe, const struct probe *through);
void probe_take_state(struct probe *probe, const struct probe *through);
/* The constants of an object, as its skeleton describes them; NULL when it has none. */
void *object_constants(struct bpf_object *object, size_t *size);
/* How often the kernel skipped its programs because they were already running on that CPU. */
__u64 probe_missed(const struct probe *probe);
/* The descriptor of one of its programs; -1: that program does not run. */
int probe_program(const struct probe *probe, const char *name);
/* One row for each program that is loaded. */
void probe_programs(const struct probe *probe, enum ebtop_probe which, struct buffer *rows);
/* State and cost since the last call; `stats`: the kernel's BPF statistics were on all the time. */
void probe_row(struct probe *probe, int stats, struct ebtop_probe_row *row);

#endif
