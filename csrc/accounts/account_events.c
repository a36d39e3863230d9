// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the facts that births, execs and exits tell of a process.
 */
#include <stdlib.h>
#include <string.h>

#include "accounts/account.h"

void accounts_fork(struct accounts *accounts, const struct ebtop_fork *fork)
{
	struct process *process = accounts_process(accounts, fork->head.pid, fork->start_ns);

	if (!process)
		return;
	accounts_mark_active(accounts, process);
	process->born = accounts->refresh;
	process->ppid = fork->ppid;
	process->uid = fork->head.uid;
	process->flags |= PROCESS_FACTS | PROCESS_FAULTS;
	memcpy(process->comm, fork->head.comm, sizeof(process->comm));
}

void accounts_set_args(struct process *process, const char *args, __u32 bytes, __u32 cut)
{
	char *room = bytes ? realloc(process->args, bytes) : NULL;

	process->args_bytes = room ? bytes : 0;
	process->flags &= ~(__u32)PROCESS_ARGS_CUT;
	if (!room)
		return;
	memcpy(room, args, bytes);
	process->args = room;
	if (cut)
		process->flags |= PROCESS_ARGS_CUT;
}

void accounts_exec(struct accounts *accounts, const struct ebtop_exec *exec)
{
	struct process *process = accounts_process(accounts, exec->head.pid, exec->start_ns);

	if (!process)
		return;
	accounts_mark_active(accounts, process);
	process->execed = accounts->refresh;
	process->ppid = exec->ppid;
	process->uid = exec->head.uid;
	process->flags |= PROCESS_FACTS;
	memcpy(process->comm, exec->head.comm, sizeof(process->comm));
	/* the arguments of the previous program are not those of this one */
	accounts_set_args(process, exec->args,
			  exec->args_bytes <= EBTOP_ARGS_BYTES ? exec->args_bytes : 0,
			  exec->args_cut);
}

void accounts_exit(struct accounts *accounts, const struct ebtop_exit *exit)
{
	struct process *process = accounts_process(accounts, exit->head.pid, exit->start_ns);

	if (!process)
		return;
	accounts_mark_active(accounts, process);
	process->exited = accounts->refresh;
	process->flags |= PROCESS_EXIT_EVENT | PROCESS_FACTS;
	process->flags &= ~(__u32)(PROCESS_MEMORY | PROCESS_VIRTUAL);
	process->ppid = exit->ppid;
	process->uid = exit->head.uid;
	process->exit_code = exit->exit_code;
	process->others_oncpu_ns = exit->others_oncpu_ns;
	memcpy(process->comm, exit->head.comm, sizeof(process->comm));
	process->faults_pass = accounts->refresh;
	process->faults_sum[0] = exit->minor_faults;
	process->faults_sum[1] = exit->major_faults;
	if (exit->dirtied_bytes == EBTOP_NOT_COUNTED)
		process->flags |= PROCESS_NO_DIRTIED;
	else
		process->dirtied_sum = exit->dirtied_bytes;
	if (exit->peak_rss_pages) {
		process->peak_rss_pages = exit->peak_rss_pages;
		process->flags |= PROCESS_PEAK;
	}
}

int accounts_has_exit(const struct accounts *accounts, const struct ebtop_exit *exit)
{
	const struct process *process = accounts_find(accounts, exit->head.pid, exit->start_ns);

	return process && process->flags & PROCESS_EXIT_EVENT;
}
