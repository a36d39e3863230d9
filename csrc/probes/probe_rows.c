// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the rows of probes: their state, their programs, and their cost since the last row.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "probes/probe.h"

__u64 probe_missed(const struct probe *probe)
{
	__u64 missed = 0;

	for (int i = 0; i < probe->programs; i++) {
		struct bpf_prog_info info = {};
		__u32 size = sizeof(info);

		if (!bpf_obj_get_info_by_fd(probe->program_fds[i], &info, &size))
			missed += info.recursion_misses;
	}
	return missed;
}

int probe_program(const struct probe *probe, const char *name)
{
	for (int i = 0; i < probe->programs; i++)
		if (!strcmp(probe->variant->programs[i], name))
			return probe->program_fds[i];
	return -1;
}

void probe_programs(const struct probe *probe, enum ebtop_probe which, struct buffer *rows)
{
	for (int i = 0; i < probe->programs; i++) {
		const char *name = probe->variant->programs[i], *hook;
		struct ebtop_program_row *row = buffer_add(rows);

		if (!row)
			return;
		memset(row, 0, sizeof(*row));
		hook = bpf_program__section_name(
			bpf_object__find_program_by_name(probe->object, name));
		row->probe = which;
		row->instructions = probe->instructions[i];
		snprintf(row->name, sizeof(row->name), "%s", name);
		snprintf(row->hook, sizeof(row->hook), "%s", hook + (*hook == '?'));
	}
}

int ebtop_variant(__u32 probe, __u32 variant, char *text, __u32 size)
{
	const char *const *programs;
	size_t used = 0;

	if (probe >= EBTOP_PROBES || variant >= PROBE_VARIANTS_MAX)
		return -ENOENT;
	programs = probe_table[probe]->variants[variant].programs;
	if (!programs[0])
		return -ENOENT;
	for (int i = 0; programs[i] && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s", i ? "," : "",
					 programs[i]);
	return 0;
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
	snprintf(row->name, sizeof(row->name), "%s", probe->ops ? probe->ops->name : "");
	memcpy(row->hook, probe->hook, sizeof(row->hook));
	memcpy(row->reason, probe->reason, sizeof(row->reason));
}
