/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns reading hidden processes from /proc: finding them among the names there, and feeding the accounts
 * with task records made of their files. Where there are none, it costs a look at the names now and then.
 */
#ifndef EBTOP_HIDDEN_H
#define EBTOP_HIDDEN_H

#include "accounts/hidden_list.h"

struct accounts;

/* Once a refresh, after tasks were read (`all`: every task). Adds processes that only /proc shows, and
 * feeds the accounts with task records of hidden processes. */
void hidden_read(struct hidden *hidden, struct accounts *accounts, int all);
/* Before slots are read: lets the program find out who is on each CPU, if there are hidden processes,
 * whose switches away no program sees. */
void hidden_settle(const struct hidden *hidden, const struct accounts *accounts, int program_fd);

#endif
