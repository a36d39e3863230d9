// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the probe sched: context switches and wakeups. It makes the slots of threads, which most
 * other probes count beside.
 */
#include "probes/constants.h"
#include "probes/probeset.h"
#include "skel/sched.skel.h"

static void prepare(struct bpf_object *object, const struct maps *maps,
		    const struct ebtop_settings *settings)
{
	size_t size = 0;
	struct sched_bpf__rodata *constants = object_constants(object, &size);

	(void)maps;
	if (!constants || size < sizeof(*constants))
		return;
	set_waits(constants->cfg_waits, &constants->cfg_thread_size, settings);
	set_hidden(&constants->cfg_hidden_pid);
	memcpy((void *)constants->cfg_objects, settings->call_objects,
	       sizeof(constants->cfg_objects));
}

static void account(struct probeset *set, struct accounts *accounts)
{
	accounts->have_sched = probeset_has(set, EBTOP_SCHED);
}

const struct probe_ops sched_probe = {
	.name = "sched",
	.elf_bytes = sched_bpf__elf_bytes,
	.prepare = prepare,
	.variants = {
		{ { "current_raw", "wakeup_new_btf", "wakeup_btf", "switch_btf" },
		  .unattached = "current_raw" },
		{ { "wakeup_new_btf", "wakeup_btf", "switch_btf" } },
		{ { "current_raw", "wakeup_new_btf", "wakeup_btf", "switch_bare_btf" },
		  "files that are waited for",
		  .unattached = "current_raw" },
		{ { "wakeup_new_btf", "wakeup_btf", "switch_bare_btf" },
		  "files that are waited for" },
	},
	/* the last of the probes that stay: its hooks are the busiest */
	.open_rank = 3,
	.load_rank = 6,
	/* it tells when a process that ended was off its CPU */
	.outlasts_detach = 1,
	.account = account,
};
