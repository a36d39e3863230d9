// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the probe signals: signals between processes, and victims of the OOM killer.
 */
#include "probes/probeset.h"
#include "skel/signals.skel.h"

static __u32 collects(const struct probeset *set, int through_carrier)
{
	(void)set;
	(void)through_carrier;
	return EBTOP_COLLECT_SIGNALS;
}

const struct probe_ops signals_probe = {
	.name = "signals",
	.elf_bytes = signals_bpf__elf_bytes,
	.variants = {
		{ { "signal_btf", "victim_btf" } },
		{ { "signal_read_btf", "victim_btf" } },
		{ { "signal_btf", "victim_pid_btf" }, "memory and name of OOM victims" },
		{ { "signal_btf" }, "victims of the OOM killer" },
		{ { "victim_btf" }, "signals that are sent" },
	},
	.on_demand = 1,
	.open_rank = 9,
	.collects = collects,
};
