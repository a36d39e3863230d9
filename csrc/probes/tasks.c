// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the probe tasks: an iterator over the kernel's task records, run when it is read.
 */
#include <errno.h>

#include "probes/constants.h"
#include "probes/probeset.h"
#include "skel/tasks.skel.h"

static void prepare(struct bpf_object *object, const struct maps *maps,
		    const struct ebtop_settings *settings)
{
	size_t size = 0;
	struct tasks_bpf__rodata *constants = object_constants(object, &size);

	(void)maps;
	if (!constants || size < sizeof(*constants))
		return;
	set_waits(constants->cfg_waits, &constants->cfg_thread_size, settings);
	set_hidden(&constants->cfg_hidden_pid);
}

static int opened(struct probeset *set)
{
	struct probe *probe = &set->probes[EBTOP_TASKS];

	if (!tasks_open(&set->tasks, probe->program_fds[0]))
		return 0;
	return probe_refuse(probe, EBTOP_PROBE_FAILED, "the task iterator cannot be opened");
}

static void close_tasks(struct probeset *set)
{
	tasks_close(&set->tasks);
}

static void account(struct probeset *set, struct accounts *accounts)
{
	accounts->have_tasks = probeset_has(set, EBTOP_TASKS);
}

const struct probe_ops tasks_probe = {
	.name = "tasks",
	.elf_bytes = tasks_bpf__elf_bytes,
	.is_iterator = 1,
	.prepare = prepare,
	.variants = { { { "tasks_iter" } }, { { "tasks_bare_iter" }, "resident memory" } },
	.open_rank = 1,
	.load_rank = 3,
	.opened = opened,
	.close = close_tasks,
	.account = account,
};
