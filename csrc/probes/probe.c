// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the life of one BPF object. It decides by trying: a variant that does not load or attach
 * gives way to the next, and the user reads the error of the last one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "util/error.h"
#include "loader/kernelbtf.h"
#include "probes/probe.h"

/* The section of a program that hooks a function named at run time has no target. */
static int set_attach_target(struct bpf_program *program, const struct ebtop_settings *settings)
{
	if (bpf_program__type(program) != BPF_PROG_TYPE_TRACING)
		return 0;
	return bpf_program__set_attach_target(program, 0, settings->hook.function);
}

static struct bpf_program *choose(struct probe *probe, const struct ebtop_settings *settings,
				  int *ret)
{
	const struct probe_variant *variant = probe->variant;
	struct bpf_object *object = probe->object;
	struct bpf_program *program = NULL;

	bpf_object__for_each_program(program, object)
		bpf_program__set_autoload(program, false);
	for (int i = 0; variant->programs[i]; i++) {
		program = bpf_object__find_program_by_name(object, variant->programs[i]);
		*ret = program ? error_injected(variant->programs[i]) : -ENOENT;
		if (*ret)
			return NULL;
		bpf_program__set_autoload(program, true);
		*ret = probe->ops->hooks_by_name ? set_attach_target(program, settings) : 0;
		if (*ret)
			return NULL;
	}
	return program;
}

static struct bpf_link *attach_by_name(struct bpf_program *program, const char *function)
{
	LIBBPF_OPTS(bpf_kprobe_opts, opts,
		    .retprobe = strstr(bpf_program__section_name(program), "kretprobe") != NULL);

	if (bpf_program__type(program) == BPF_PROG_TYPE_TRACING)
		return bpf_program__attach(program);
	return bpf_program__attach_kprobe_opts(program, function, &opts);
}

static struct bpf_link *attach_program(const struct probe *probe, struct bpf_program *program,
				       const struct ebtop_settings *settings)
{
	char name[64];

	snprintf(name, sizeof(name), "%s@attach", bpf_program__name(program));
	errno = -error_injected(name);
	if (errno)
		return NULL;
	return probe->ops->hooks_by_name ? attach_by_name(program, settings->hook.function) :
					   bpf_program__attach(program);
}

static int is_unattached(const struct probe_variant *variant, const char *program)
{
	return variant->unattached && !strcmp(variant->unattached, program);
}

static int attach(struct probe *probe, const struct ebtop_settings *settings)
{
	const struct probe_variant *variant = probe->variant;
	const char *function = probe->ops->hooks_by_name ? settings->hook.function : "";
	size_t used = 0;

	for (int i = 0; variant->programs[i]; i++) {
		struct bpf_program *program =
			bpf_object__find_program_by_name(probe->object, variant->programs[i]);
		const char *hook = bpf_program__section_name(program);

		if (!probe->ops->is_iterator && !is_unattached(variant, variant->programs[i])) {
			probe->links[i] = attach_program(probe, program, settings);
			if (!probe->links[i])
				return -errno;
		}
		probe->program_fds[i] = bpf_program__fd(program);
		probe->programs = i + 1;
		if (is_unattached(variant, variant->programs[i]))
			continue;
		used += (size_t)snprintf(probe->hook + used, sizeof(probe->hook) - used, "%s%s%s%s",
					 used ? ", " : "", hook + (*hook == '?'),
					 *function ? "/" : "", function);
		if (used >= sizeof(probe->hook))
			used = sizeof(probe->hook) - 1;
	}
	if (variant->lacks)
		snprintf(probe->hook + used, sizeof(probe->hook) - used, " (without %s)",
			 variant->lacks);
	return 0;
}

/* ---- the verifier's statistics ---- */

#define VERIFIER_STATS 4 /* log level: only the line that sums up, and one a call of a function */
#define VERIFIER_LOG_BYTES 32768

struct verifier_logs {
	char text[PROBE_PROGRAMS_MAX][VERIFIER_LOG_BYTES];
};

static void request_verifier_stats(struct bpf_object *object, const struct probe_variant *variant,
				   struct verifier_logs *logs)
{
	for (int i = 0; variant->programs[i]; i++) {
		struct bpf_program *program =
			bpf_object__find_program_by_name(object, variant->programs[i]);

		bpf_program__set_log_level(program, VERIFIER_STATS);
		bpf_program__set_log_buf(program, logs->text[i], sizeof(logs->text[i]));
	}
}

static void read_verifier_stats(struct probe *probe, const struct verifier_logs *logs)
{
	for (int i = 0; i < PROBE_PROGRAMS_MAX; i++) {
		const char *said = strstr(logs->text[i], "processed ");

		probe->instructions[i] =
			said ? (__u32)strtoul(said + strlen("processed "), NULL, 10) : 0;
	}
}

static int load(struct probe *probe, const struct probe_variant *variant, int verifier_stats)
{
	struct verifier_logs *logs = verifier_stats ? calloc(1, sizeof(*logs)) : NULL;
	int ret;

	if (logs)
		request_verifier_stats(probe->object, variant, logs);
	/* a function named at run time may be in a module */
	ret = probe->ops->hooks_by_name ? bpf_object__load(probe->object) :
					  kernelbtf_load(probe->object);
	if (logs)
		read_verifier_stats(probe, logs);
	free(logs);
	return ret;
}

/* ---- one variant ---- */

/* The variant, reduced to the programs that the settings need. */
static const struct probe_variant *needed(struct probe *probe, const struct probe_variant *variant,
					  const struct ebtop_settings *settings)
{
	int count = 0;

	if (!probe->ops->needs)
		return variant;
	memset(&probe->needed, 0, sizeof(probe->needed));
	probe->needed.lacks = variant->lacks;
	probe->needed.through_carrier = variant->through_carrier;
	probe->needed.by_connection = variant->by_connection;
	for (int i = 0; variant->programs[i]; i++)
		if (probe->ops->needs(variant->programs[i], settings))
			probe->needed.programs[count++] = variant->programs[i];
	return &probe->needed;
}

static struct bpf_object *open_object(const struct probe *probe)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = probe->ops->name);
	size_t size;
	const void *bytes = probe->ops->elf_bytes(&size);

	return bpf_object__open_mem(bytes, size, &opts);
}

void probe_keep_types(const struct probe *probe, const struct maps *maps,
		      const struct ebtop_settings *settings)
{
	struct bpf_object *object = open_object(probe);

	if (!object)
		return;
	kernelbtf_keep_types(object);
	/* constants may come from there too */
	if (probe->ops->prepare)
		probe->ops->prepare(object, maps, settings);
	bpf_object__close(object);
}

static int load_variant(struct probe *probe, const struct probe_variant *variant,
			const struct maps *maps, const struct ebtop_settings *settings)
{
	int ret;

	probe->object = open_object(probe);
	if (!probe->object)
		return -errno;
	probe->variant = needed(probe, variant, settings);
	if (!choose(probe, settings, &ret))
		return ret;
	if (probe->ops->prepare)
		probe->ops->prepare(probe->object, maps, settings);
	ret = maps_share(maps, probe->object);
	return ret ? ret : load(probe, probe->variant, (int)settings->verifier_stats);
}

static int try_variant(struct probe *probe, int index, const struct maps *maps,
		       const struct ebtop_settings *settings)
{
	int ret = probe->loaded_variant == index + 1 ?
			  0 :
			  load_variant(probe, &probe->ops->variants[index], maps, settings);

	probe->loaded_variant = 0;
	if (ret)
		return ret;
	ret = attach(probe, settings);
	probe->failed_to_attach = ret != 0;
	return ret;
}

void probe_detach(struct probe *probe)
{
	for (int i = PROBE_PROGRAMS_MAX - 1; i >= 0; i--) {
		bpf_link__destroy(probe->links[i]);
		probe->links[i] = NULL;
	}
}

static void release(struct probe *probe)
{
	probe_detach(probe);
	bpf_object__close(probe->object);
	probe->object = NULL;
	probe->loaded_variant = 0;
	probe->programs = 0;
	probe->runs = probe->run_ns = 0;
	memset(probe->instructions, 0, sizeof(probe->instructions));
	probe->hook[0] = '\0';
}

void probe_load(struct probe *probe, const struct maps *maps, const struct ebtop_settings *settings)
{
	for (int i = 0; probe->ops->variants[i].programs[0]; i++) {
		if (!load_variant(probe, &probe->ops->variants[i], maps, settings)) {
			probe->loaded_variant = i + 1;
			return;
		}
		release(probe);
	}
}

void probe_unload(struct probe *probe)
{
	if (probe->loaded_variant)
		release(probe);
}

void probe_open(struct probe *probe, const struct maps *maps, const struct ebtop_settings *settings)
{
	const struct probe_variant *variants = probe->ops->variants;
	int ret = -ENOENT;

	probe->reason[0] = '\0';
	/* a map that it was loaded with has been replaced since */
	if (probe->loaded_variant && !maps_are_shared(maps, probe->object))
		release(probe);
	for (int i = probe->loaded_variant ? probe->loaded_variant - 1 : 0; variants[i].programs[0];
	     i++) {
		struct ebtop_settings plain = *settings;

		error_forget_libbpf();
		ret = try_variant(probe, i, maps, settings);
		/* again without statistics, whose log lacks the verifier's reasons */
		plain.verifier_stats = 0;
		if (ret && settings->verifier_stats) {
			release(probe);
			ret = try_variant(probe, i, maps, &plain);
		}
		if (!ret) {
			probe->state = EBTOP_PROBE_ON;
			return;
		}
		release(probe);
	}
	probe_explain(probe, ret);
}

void *object_constants(struct bpf_object *object, size_t *size)
{
	struct bpf_map *map;

	bpf_object__for_each_map(
		map, object) if (strstr(bpf_map__name(map),
					".rodata")) return bpf_map__initial_value(map, size);
	return NULL;
}

void probe_close(struct probe *probe)
{
	release(probe);
	probe->state = EBTOP_PROBE_OFF;
}
