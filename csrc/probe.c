// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the life of one BPF object. Decides by trying: a variant that does not load or attach gives
 * way to the next, and the error of the last one is what the user reads.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "error.h"
#include "probe.h"

#define BTF_PATH "/sys/kernel/btf/vmlinux"

static struct bpf_program *choose(struct bpf_object *object, const struct probe_variant *variant,
				  int *ret)
{
	struct bpf_program *program = NULL;

	bpf_object__for_each_program(program, object)
		bpf_program__set_autoload(program, false);
	for (int i = 0; variant->programs[i]; i++) {
		program = bpf_object__find_program_by_name(object, variant->programs[i]);
		*ret = program ? error_injected(variant->programs[i]) : -ENOENT;
		if (*ret)
			return NULL;
		bpf_program__set_autoload(program, true);
	}
	return program;
}

static struct bpf_link *attach_program(struct bpf_program *program)
{
	char name[64];

	snprintf(name, sizeof(name), "%s@attach", bpf_program__name(program));
	errno = -error_injected(name);
	return errno ? NULL : bpf_program__attach(program);
}

static int attach(struct probe *probe, const struct probe_variant *variant)
{
	size_t used = 0;

	for (int i = 0; variant->programs[i]; i++) {
		struct bpf_program *program =
			bpf_object__find_program_by_name(probe->object, variant->programs[i]);
		const char *hook = bpf_program__section_name(program);

		if (!probe->kind->is_iterator) {
			probe->links[i] = attach_program(program);
			if (!probe->links[i])
				return -errno;
		}
		probe->program_fds[i] = bpf_program__fd(program);
		probe->programs = i + 1;
		used += (size_t)snprintf(probe->hook + used, sizeof(probe->hook) - used, "%s%s",
					 used ? ", " : "", hook + (*hook == '?'));
		if (used >= sizeof(probe->hook))
			used = sizeof(probe->hook) - 1;
	}
	if (variant->lacks)
		snprintf(probe->hook + used, sizeof(probe->hook) - used, " (without %s)",
			 variant->lacks);
	return 0;
}

static int try_variant(struct probe *probe, const struct probe_variant *variant,
		       const struct maps *maps, const struct ebtop_settings *settings)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = probe->kind->name);
	size_t size;
	const void *bytes = probe->kind->elf_bytes(&size);
	int ret;

	probe->object = bpf_object__open_mem(bytes, size, &opts);
	if (!probe->object)
		return -errno;
	probe->variant = variant;
	if (!choose(probe->object, variant, &ret))
		return ret;
	if (probe->kind->prepare)
		probe->kind->prepare(probe->object, maps, settings);
	ret = maps_share(maps, probe->object);
	if (!ret)
		ret = bpf_object__load(probe->object);
	if (ret)
		return ret;
	ret = attach(probe, variant);
	probe->failed_to_attach = ret != 0;
	return ret;
}

static void release(struct probe *probe)
{
	for (int i = PROBE_PROGRAMS_MAX - 1; i >= 0; i--) {
		bpf_link__destroy(probe->links[i]);
		probe->links[i] = NULL;
	}
	bpf_object__close(probe->object);
	probe->object = NULL;
	probe->programs = 0;
	probe->hook[0] = '\0';
}

static void explain(struct probe *probe, int code)
{
	const char *detail = error_last_libbpf();

	if (code != -EPERM && access(BTF_PATH, F_OK)) {
		probe->state = EBTOP_PROBE_UNSUPPORTED;
		strcpy(probe->reason, "this kernel has no BTF (" BTF_PATH ")");
		return;
	}
	/* a program that is too large for the verifier gets the same errno, but never attaches */
	if (code == -E2BIG && probe->failed_to_attach) {
		probe->state = EBTOP_PROBE_FAILED;
		strcpy(probe->reason, "the hook has as many BPF programs as the kernel allows");
		return;
	}
	switch (-code) {
	case EPERM:
	case EACCES:
		probe->state = EBTOP_PROBE_DENIED;
		snprintf(probe->reason, sizeof(probe->reason), "the kernel refused the program: %s",
			 strerror(-code));
		return;
	case ENOENT:
	case ESRCH:
	case EOPNOTSUPP:
		probe->state = EBTOP_PROBE_UNSUPPORTED;
		break;
	default:
		probe->state = EBTOP_PROBE_FAILED;
	}
	if (*detail)
		snprintf(probe->reason, sizeof(probe->reason), "%s (%s)", strerror(-code), detail);
	else
		snprintf(probe->reason, sizeof(probe->reason), "%s", strerror(-code));
}

void probe_open(struct probe *probe, const struct probe_kind *kind, const struct maps *maps,
		const struct ebtop_settings *settings)
{
	int ret = -ENOENT;

	probe->kind = kind;
	for (int i = 0; kind->variants[i].programs[0]; i++) {
		error_forget_libbpf();
		ret = try_variant(probe, &kind->variants[i], maps, settings);
		if (!ret) {
			probe->state = EBTOP_PROBE_ON;
			return;
		}
		release(probe);
	}
	explain(probe, ret);
}

void probe_close(struct probe *probe)
{
	release(probe);
	probe->state = EBTOP_PROBE_OFF;
}

void probe_row(struct probe *probe, int stats, struct ebtop_probe_row *row)
{
	__u64 runs = 0, run_ns = 0;

	memset(row, 0, sizeof(*row));
	for (int i = 0; i < probe->programs; i++) {
		struct bpf_prog_info info = {};
		__u32 size = sizeof(info);

		if (bpf_obj_get_info_by_fd(probe->program_fds[i], &info, &size)) {
			stats = 0;
			continue;
		}
		runs += info.run_cnt;
		run_ns += info.run_time_ns;
	}
	row->runs = runs - probe->runs;
	row->run_ns = run_ns - probe->run_ns;
	row->state = probe->state;
	row->stats = stats && probe->state == EBTOP_PROBE_ON;
	probe->runs = runs;
	probe->run_ns = run_ns;
	snprintf(row->name, sizeof(row->name), "%s", probe->kind ? probe->kind->name : "");
	memcpy(row->hook, probe->hook, sizeof(row->hook));
	memcpy(row->reason, probe->reason, sizeof(row->reason));
}
