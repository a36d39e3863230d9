// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the probe life: births, execs and exits of processes.
 */
#include <string.h>

#include "probes/constants.h"
#include "probes/probeset.h"
#include "skel/life.skel.h"

static void prepare(struct bpf_object *object, const struct maps *maps,
		    const struct ebtop_settings *settings)
{
	size_t size = 0;
	struct life_bpf__rodata *constants = object_constants(object, &size);

	(void)maps;
	if (!constants || size < sizeof(*constants))
		return;
	set_hidden(&constants->cfg_hidden_pid);
	memcpy((void *)constants->cfg_execs, settings->execs, sizeof(constants->cfg_execs));
}

/* Every system call of the machine pays for knowing which execs fail. */
static int needs(const char *program, const struct ebtop_settings *settings)
{
	return strncmp(program, "failed", strlen("failed")) || settings->failed_execs;
}

static void account(struct probeset *set, struct accounts *accounts)
{
	accounts->have_life = probeset_has(set, EBTOP_LIFE);
}

const struct probe_ops life_probe = {
	.name = "life",
	.elf_bytes = life_bpf__elf_bytes,
	.needs = needs,
	.prepare = prepare,
	.variants = {
		{ { "fork_btf", "exec_args_btf", "exit_btf", "failed_btf" } },
		{ { "fork_btf", "exec_btf", "exit_btf", "failed_bare_btf" },
		  "arguments of execs" },
	},
	.open_rank = 2,
	.load_rank = 4,
	.account = account,
};
