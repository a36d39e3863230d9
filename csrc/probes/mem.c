// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the probe mem: memory that processes map and unmap. It has no programs of its own: those of
 * syscall count.
 */
#include <errno.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "probes/probeset.h"

static int has_place(struct probeset *set)
{
	return set->memory.on ? 0 : -ENOMEM;
}

/* Before Linux 5.11 nothing of a process's memory can be read where other memory must not be. */
static int can_read_mm(const struct probe *through)
{
	return !through->variant->lacks ||
	       libbpf_probe_bpf_helper(BPF_PROG_TYPE_RAW_TRACEPOINT, BPF_FUNC_get_current_task_btf,
				       NULL) == 1;
}

static void join(struct probeset *set, const struct probe *through)
{
	struct probe *probe = &set->probes[EBTOP_MEM];
	char *lacks;

	probe_take_state(probe, through);
	/* what syscall's programs lack does not matter here */
	if ((lacks = strstr(probe->hook, " (")))
		*lacks = '\0';
	if (probe->state == EBTOP_PROBE_ON && !can_read_mm(through))
		probe_refuse(probe, EBTOP_PROBE_UNSUPPORTED,
			     "how much is mapped cannot be read here");
}

static __u32 collects(const struct probeset *set, int through_carrier)
{
	(void)through_carrier;
	if (!probeset_has(set, EBTOP_MEM))
		return 0;
	return EBTOP_COLLECT_MEMORY | (set->settings.allocations ? EBTOP_COLLECT_ALLOCATIONS : 0);
}

static void account(struct probeset *set, struct accounts *accounts)
{
	if (!probeset_has(set, EBTOP_MEM))
		return;
	accounts->memory = &set->memory;
	accounts_add_reader(accounts, accounts_memory, KNOWN(EBTOP_KNOWN_MEMORY));
}

const struct probe_ops mem_probe = {
	.name = "mem",
	.on_demand = 1,
	.open_rank = 6,
	.needs_sched = 1,
	.carrier = BIT(EBTOP_SYSCALL),
	.carrier_suffices = 1,
	.places = BIT(PLACE_MEMORY),
	.no_memory = "no memory for the counts of allocations",
	.open = has_place,
	.join = join,
	.collects = collects,
	.account = account,
};
