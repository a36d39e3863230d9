/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns reading the task iterator: all threads, or the threads of one process where the kernel
 * supports that. account_tasks.c interprets the records.
 */
#ifndef EBTOP_TASKS_H
#define EBTOP_TASKS_H

#include "ebtop.h"

struct accounts;

struct tasks {
	int program_fd;
	int all_link;   /* iterator over all tasks */
	int can_filter; /* the kernel can iterate over one process (6.1 and newer) */
	char *buffer;
};

int tasks_open(struct tasks *tasks, int program_fd);
void tasks_close(struct tasks *tasks);
/* Hands every record to accounts_task(); the number of records, or -errno. */
int tasks_read_all(struct tasks *tasks, struct accounts *accounts);
int tasks_read_process(struct tasks *tasks, __u32 pid, struct accounts *accounts);

#endif
