// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the probe syscall: system calls of each thread and of the machine. Its programs also count
 * for open, vfs and mem where the kernel allows no hook on a function.
 */
#include <string.h>
#include <unistd.h>

#include "util/clock.h"
#include "probes/probeset.h"
#include "skel/syscall.skel.h"

static void prepare(struct bpf_object *object, const struct maps *maps,
		    const struct ebtop_settings *settings)
{
	size_t size = 0;
	struct syscall_bpf__rodata *constants = object_constants(object, &size);

	if (!constants || size < sizeof(*constants))
		return;
	memcpy((void *)constants->cfg_kinds, settings->syscall_kinds, sizeof(constants->cfg_kinds));
	memcpy((void *)constants->cfg_objects, settings->call_objects,
	       sizeof(constants->cfg_objects));
	constants->cfg_page_bytes = (__u64)sysconf(_SC_PAGESIZE);
	constants->cfg_shards = maps->shards;
	constants->cfg_shared = maps->shards < maps->cpus;
}

static int open_counts(struct probeset *set)
{
	int ret = syscalls_open(&set->syscalls, set->maps, set->settings.syscall_kinds,
				clock_ns(CLOCK_MONOTONIC));

	if (!ret)
		set->syscalls.boot_ns = clock_ns(CLOCK_BOOTTIME);
	return ret;
}

static void close_counts(struct probeset *set)
{
	if (set->syscalls.on)
		syscalls_close(&set->syscalls);
}

static __u32 collects(const struct probeset *set, int through_carrier)
{
	(void)set;
	(void)through_carrier;
	return EBTOP_COLLECT_SYSCALLS;
}

/* Whether it is wanted itself: it may run only as a carrier. */
static int is_wanted(const struct probeset *set)
{
	return set->syscalls.on && set->settings.probes & BIT(EBTOP_SYSCALL);
}

static void account(struct probeset *set, struct accounts *accounts)
{
	if (!is_wanted(set))
		return;
	accounts->syscalls = &set->syscalls;
	accounts_add_reader(accounts, accounts_syscalls, KNOWN(EBTOP_KNOWN_SYSCALLS));
}

static void settle(struct probeset *set, struct accounts *accounts, __u32 refresh_flags)
{
	if (accounts->syscalls)
		syscalls_refresh(accounts->syscalls, set->config, accounts->now_ns,
				 refresh_flags >> EBTOP_WINDOW_SHIFT & 3);
}

static void reset(struct accounts *accounts)
{
	if (accounts->syscalls)
		syscalls_reset(accounts->syscalls, accounts->now_ns);
}

static void pack(struct probeset *set, struct ebtop_snapshot *ret)
{
	if (!is_wanted(set))
		return;
	ret->syscalls = buffer_table(&set->syscalls.rows);
	ret->window_ns = set->syscalls.window_ns;
}

/* On preemptible kernels, calls while another thread was in the same program. */
static __u64 missed(const struct probeset *set)
{
	return probe_missed(&set->probes[EBTOP_SYSCALL]);
}

const struct probe_ops syscall_probe = {
	.name = "syscall",
	.elf_bytes = syscall_bpf__elf_bytes,
	.prepare = prepare,
	.variants = {
		{ { "return_btf", "enter_btf" } },
		{ { "return_bare_btf", "enter_bare_btf" }, "names of opened files" },
	},
	.on_demand = 1,
	.open_rank = 7, /* after those that may count through it */
	.load_rank = 1,
	.needs_sched = 1,
	.places = BIT(PLACE_FILES) | BIT(PLACE_MEMORY),
	.maps = { MAP_SYSCALL_SLOTS, MAP_SYSCALL_SHARDS, MAP_ODD_NUMBERS },
	.no_memory = "no memory for the counts of system calls",
	.open = open_counts,
	.close = close_counts,
	.collects = collects,
	.account = account,
	.settle = settle,
	.reset = reset,
	.pack = pack,
	.missed = missed,
	.missed_as = EBTOP_LOST_SYSCALLS,
};
