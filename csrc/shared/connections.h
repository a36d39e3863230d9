/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the table of connections: those that are open, read from the kernel at each refresh, and those
 * that ended in the last 30 seconds. What they mean to their processes is in account_tcp.c.
 */
#ifndef EBTOP_CONNECTIONS_H
#define EBTOP_CONNECTIONS_H

#include "util/buffer.h"
#include "shared/config.h"
#include "ebtop.h"
#include "util/hash.h"
#include "shared/maps.h"

struct open_connection {
	struct hash_node node; /* by its socket: first, so that a node is a connection */
	struct ebtop_connection last;
	__u64 seen;   /* the refresh that saw it last */
	size_t place; /* in `all` */
};

struct connections {
	int on;
	int slots_fd;
	struct ebtop_tcp_slot *slots;
	size_t slots_bytes;
	__u32 slot_total;
	__u32 room; /* of the kernel's map */
	__u32 cpus;
	int list_link, files_link; /* iterators; -1: none */
	char *buffer;
	struct hash open;
	struct buffer all;    /* struct open_connection * */
	struct buffer closed; /* struct ebtop_connection, oldest first */
	struct buffer rows;
	__u64 refresh;
	int counts_fd;
	__u64 forgotten;               /* that the kernel dropped for want of room */
	__u64 looked_ns, look_took_ns; /* when owners were looked for, and how long that took */
	__u32 unowned;                 /* that nobody has, as far as is known, and somebody may */
	struct config *config; /* whose `look` tells which walk over open files is the latest */
	__u64 boot_ns;         /* since when bytes are counted, boot-time clock */
	int by_connection;     /* what is sent is not counted by process: its connections tell */
};

/* Whether a program of the probe tcp is needed on this machine. */
int connections_need(const char *program, const struct ebtop_settings *settings);
/* Programs of the iterators, -1 where there is none; 0 or -errno. */
int connections_open(struct connections *connections, const struct maps *maps,
		     struct config *config, int list_program, int files_program);
void connections_close(struct connections *connections);
/* The totals of the thread of that slot; NULL when it has none. */
const struct ebtop_tcp_slot *connections_slot(const struct connections *connections, __u32 index);
/* Finds the sockets that processes had open before anybody watched, and who has those that their
 * owner has no longer. */
void connections_find(struct connections *connections, __u64 now_ns);
/* Reads all that are open: `each` gets the state before, NULL at first, and the one now, and says
 * whether its owner has ended. */
typedef int (*connection_visitor)(void *context, const struct ebtop_connection *before,
				  const struct ebtop_connection *now);
void connections_refresh(struct connections *connections, __u64 now_ns, connection_visitor each,
			 void *context);
/* One has ended; `each` as above. */
void connections_ended(struct connections *connections, const struct ebtop_connection *ended,
		       connection_visitor each, void *context);
/* Fills `rows`. */
void connections_pack(struct connections *connections, __u64 now_ns);

#endif
