// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the steps of a refresh that concern all probes. What a step does for one probe is in its
 * struct probe_ops.
 */
#include <string.h>

#include "probes/probeset.h"

void probeset_account(struct probeset *set, struct accounts *accounts)
{
	accounts_forget_sources(accounts);
	for (int i = 0; i < EBTOP_PROBES; i++)
		if (probe_table[i]->account)
			probe_table[i]->account(set, accounts);
}

void probeset_charge(const struct probeset *set, struct accounts *accounts)
{
	(void)set;
	for (int i = 0; i < EBTOP_PROBES; i++)
		if (probe_table[i]->charge)
			probe_table[i]->charge(accounts);
}

void probeset_settle(struct probeset *set, struct accounts *accounts, __u32 refresh_flags)
{
	for (int i = 0; i < EBTOP_PROBES; i++)
		if (probe_table[i]->settle)
			probe_table[i]->settle(set, accounts, refresh_flags);
}

void probeset_reset(const struct probeset *set, struct accounts *accounts)
{
	(void)set;
	for (int i = 0; i < EBTOP_PROBES; i++)
		if (probe_table[i]->reset)
			probe_table[i]->reset(accounts);
}

void probeset_pack(struct probeset *set, struct ebtop_snapshot *ret)
{
	ret->syscalls = ret->disks = ret->connections = (struct ebtop_table){ 0 };
	ret->window_ns = 0;
	for (int i = 0; i < EBTOP_PROBES; i++)
		if (probe_table[i]->pack && probeset_has(set, i))
			probe_table[i]->pack(set, ret);
}

void probeset_rows(struct probeset *set, int stats, struct buffer *rows)
{
	rows->count = 0;
	for (int i = 0; i < EBTOP_PROBES; i++) {
		struct ebtop_probe_row *row = buffer_add(rows);

		if (!row)
			return;
		probe_row(&set->probes[i], stats, row);
	}
	for (int i = 0; i < EBTOP_PROBES; i++)
		if (probe_table[i]->split_cost)
			probe_table[i]->split_cost(set, buffer_at(rows, 0));
}

void probeset_losses(const struct probeset *set, __u64 missed[EBTOP_LOSSES])
{
	memset(missed, 0, EBTOP_LOSSES * sizeof(*missed));
	for (int i = 0; i < EBTOP_PROBES; i++) {
		const struct probe_ops *ops = probe_table[i];

		if (!ops->missed)
			continue;
		missed[ops->missed_as] += set->missed[i];
		if (probeset_has(set, i))
			missed[ops->missed_as] += ops->missed(set);
	}
}
