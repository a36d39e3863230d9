// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the table of probes. A new probe is a bpf/<name>.bpf.c, a value of enum ebtop_probe, and a
 * row here.
 */
#include <string.h>

#include <bpf/libbpf.h>

#include "probe.h"
#include "skel/life.skel.h"
#include "skel/open.skel.h"
#include "skel/sched.skel.h"
#include "skel/syscall.skel.h"
#include "skel/tasks.skel.h"

/* The constants of an object, as its skeleton describes them; NULL when it has none. */
static void *constants_of(struct bpf_object *object, size_t *size)
{
	struct bpf_map *map;

	bpf_object__for_each_map(
		map, object) if (strstr(bpf_map__name(map),
					".rodata")) return bpf_map__initial_value(map, size);
	return NULL;
}

static void prepare_syscall(struct bpf_object *object, const struct maps *maps,
			    const struct ebtop_settings *settings)
{
	size_t size = 0;
	struct syscall_bpf__rodata *constants = constants_of(object, &size);

	if (!constants || size < sizeof(*constants))
		return;
	memcpy((void *)constants->cfg_kinds, settings->syscall_kinds, sizeof(constants->cfg_kinds));
	constants->cfg_shards = maps->shards;
	constants->cfg_shared = maps->shards < maps->cpus;
}

const struct probe_kind probe_kinds[EBTOP_PROBES] = {
	[EBTOP_SCHED] = {
		.name = "sched",
		.elf_bytes = sched_bpf__elf_bytes,
		.variants = { { { "wakeup_new_btf", "wakeup_btf", "switch_btf" } } },
	},
	[EBTOP_LIFE] = {
		.name = "life",
		.elf_bytes = life_bpf__elf_bytes,
		.variants = {
			{ { "fork_btf", "exec_args_btf", "exit_btf" } },
			{ { "fork_btf", "exec_btf", "exit_btf" }, "arguments of execs" },
		},
	},
	[EBTOP_TASKS] = {
		.name = "tasks",
		.elf_bytes = tasks_bpf__elf_bytes,
		.is_iterator = 1,
		.variants = { { { "tasks_iter" } }, { { "tasks_bare_iter" }, "resident memory" } },
	},
	[EBTOP_SYSCALL] = {
		.name = "syscall",
		.elf_bytes = syscall_bpf__elf_bytes,
		.prepare = prepare_syscall,
		.variants = {
			{ { "return_btf", "enter_btf" } },
			{ { "return_bare_btf", "enter_bare_btf" }, "names of opened files" },
		},
	},
	[EBTOP_OPEN] = {
		.name = "open",
		.elf_bytes = open_bpf__elf_bytes,
		.variants = {
			{ { "open_fexit", "open_fentry" } },
			{ { "open_kretprobe", "open_kprobe" } },
		},
	},
};
