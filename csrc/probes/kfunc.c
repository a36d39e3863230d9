// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the probe kfunc: calls of one kernel function, named in the settings. Its constants depend
 * on the function; probe.c attaches it.
 */
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "probes/probeset.h"
#include "skel/kfunc.skel.h"

#define CALLS_BYTES (8u << 20) /* calls under way at once, as many as fit in it */
#define CALLS_LEAST 1024
#define CALLS_MOST 16384

_Static_assert(EBTOP_CALL_DATA_BYTES ==
		       EBTOP_CALL_STACK_BYTES + EBTOP_CALL_ARGS * EBTOP_CALL_TEXT_ROOM,
	       "a call has room for its stack and all its texts");
_Static_assert(EBTOP_CALL_STACK_BYTES == EBTOP_CALL_FRAMES * sizeof(__u64), "whole frames");

static int needs(const char *program, const struct ebtop_settings *settings)
{
	if (strstr(program, "fexit") || strstr(program, "kretprobe"))
		return !!(settings->hook.flags & EBTOP_HOOK_RETURNS);
	return 1;
}

static __u32 record_bytes(const struct ebtop_hook *hook)
{
	__u32 bytes = offsetof(struct ebtop_kfunc, data);

	bytes += hook->flags & EBTOP_HOOK_STACK ? EBTOP_CALL_STACK_BYTES : 0;
	for (int i = 0; i < EBTOP_CALL_ARGS; i++)
		bytes += hook->texts >> i & 1 ? EBTOP_CALL_TEXT_ROOM : 0;
	return bytes;
}

static void size_maps(struct bpf_object *object, __u32 bytes, int returns)
{
	struct bpf_map *calls = bpf_object__find_map_by_name(object, "kfunc_calls");
	struct bpf_map *blank = bpf_object__find_map_by_name(object, "kfunc_blank");
	__u32 count = CALLS_BYTES / bytes;

	if (!calls || !blank)
		return;
	count = count > CALLS_MOST ? CALLS_MOST : count < CALLS_LEAST ? CALLS_LEAST : count;
	bpf_map__set_value_size(calls, bytes);
	bpf_map__set_value_size(blank, bytes);
	bpf_map__set_max_entries(calls, returns ? count : 1);
}

static void prepare(struct bpf_object *object, const struct maps *maps,
		    const struct ebtop_settings *settings)
{
	const struct ebtop_hook *hook = &settings->hook;
	size_t size = 0;
	struct kfunc_bpf__rodata *constants = object_constants(object, &size);

	(void)maps;
	if (!constants || size < sizeof(*constants))
		return;
	constants->cfg_args = hook->args;
	constants->cfg_texts = hook->texts;
	constants->cfg_slot = hook->slot;
	constants->cfg_stack = !!(hook->flags & EBTOP_HOOK_STACK);
	constants->cfg_returns = !!(hook->flags & EBTOP_HOOK_RETURNS);
	constants->cfg_bytes = record_bytes(hook);
	size_maps(object, constants->cfg_bytes, (int)constants->cfg_returns);
}

static __u64 missed_by_link(const struct bpf_link *link)
{
	struct bpf_link_info info = {};
	__u32 size = sizeof(info);

	/* since Linux 6.7; older kernels leave it 0 */
	if (!link || bpf_obj_get_info_by_fd(bpf_link__fd(link), &info, &size) ||
	    info.type != BPF_LINK_TYPE_PERF_EVENT)
		return 0;
	return info.perf_event.kprobe.missed;
}

/* Frames that were taken again tell of returns that were missed on kernels that do not. */
static __u64 missed_by_frame(const struct probe *probe)
{
	struct bpf_map *map;
	size_t size = 0;

	bpf_object__for_each_map(map, probe->object)
	{
		const struct kfunc_bpf__bss *counts;

		if (!strstr(bpf_map__name(map), ".bss"))
			continue;
		counts = bpf_map__initial_value(map, &size);
		return counts && size >= sizeof(*counts) ? counts->overwritten : 0;
	}
	return 0;
}

/* Calls since the start that the program which makes events did not run for. */
static __u64 missed(const struct probeset *set)
{
	const struct probe *probe = &set->probes[EBTOP_KFUNC];
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);
	int last = probe->programs - 1;
	__u64 told, seen;

	if (last < 0)
		return 0;
	seen = missed_by_frame(probe);
	if (bpf_obj_get_info_by_fd(probe->program_fds[last], &info, &size))
		return seen;
	told = info.recursion_misses + missed_by_link(probe->links[last]);
	return told > seen ? told : seen;
}

static int open_function(struct probeset *set)
{
	if (set->settings.hook.function[0])
		return 0;
	return probe_refuse(&set->probes[EBTOP_KFUNC], EBTOP_PROBE_UNSUPPORTED,
			    "no function was named");
}

static __u32 collects(const struct probeset *set, int through_carrier)
{
	(void)set;
	(void)through_carrier;
	return EBTOP_COLLECT_CALLS;
}

/* The entry first: a call that is under way returns past hooks that come later. */
const struct probe_ops kfunc_probe = {
	.name = "kfunc",
	.elf_bytes = kfunc_bpf__elf_bytes,
	.hooks_by_name = 1,
	.needs = needs,
	.prepare = prepare,
	.variants = {
		{ { "func_fentry", "func_fexit" } },
		{ { "bare_fentry", "bare_fexit" }, "texts in the kernel's memory" },
		{ { "func_kprobe", "func_kretprobe" } },
	},
	.on_demand = 1,
	.open_rank = 8,
	.open = open_function,
	.collects = collects,
	.missed = missed,
	.missed_as = EBTOP_LOST_CALLS,
};
