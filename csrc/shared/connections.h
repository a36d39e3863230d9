/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the table of connections: those that are open, read from the kernel at each refresh, and
 * those that ended in the last 30 seconds. account_tcp.c charges them to processes.
 */
#ifndef EBTOP_CONNECTIONS_H
#define EBTOP_CONNECTIONS_H

#include "util/buffer.h"
#include "shared/config.h"
#include "ebtop.h"
#include "util/hash.h"
#include "shared/maps.h"

struct open_connection {
	struct hash_node
		node; /* by its socket; first, so that a node can be cast to its connection */
	struct ebtop_connection last;
	__u64 seen;   /* the last refresh that saw it */
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
	__u64 forgotten; /* dropped by the kernel for lack of room */
	__u64 looked_ns,
		look_took_ns;  /* when owners were last searched for, and how long that took */
	__u32 unowned;         /* connections without a known owner that may have one */
	struct config *config; /* its `look` numbers the walks over open files */
	__u64 boot_ns;         /* since when bytes are counted, boot-time clock */
	int by_connection;     /* bytes sent are known only by connection */
};

/* The descriptors of the iterators' programs, or -1. Returns 0 or -errno. */
int connections_open(struct connections *connections, const struct maps *maps,
		     struct config *config, int list_program, int files_program);
void connections_close(struct connections *connections);
/* The totals of the thread in that slot; NULL: none. */
const struct ebtop_tcp_slot *connections_slot(const struct connections *connections, __u32 index);
/* Finds sockets that processes opened before ebtop started, and a new owner for each socket that its
 * owner has closed. */
void connections_find(struct connections *connections, __u64 now_ns);
/* Reads all open connections. `each` gets the state before (NULL at first) and now, and returns whether
 * the owner has ended. */
typedef int (*connection_visitor)(void *context, const struct ebtop_connection *before,
				  const struct ebtop_connection *now);
void connections_refresh(struct connections *connections, __u64 now_ns, connection_visitor each,
			 void *context);
/* A connection has ended; `each` as above. */
void connections_ended(struct connections *connections, const struct ebtop_connection *ended,
		       connection_visitor each, void *context);
/* Fills `rows`. */
void connections_pack(struct connections *connections, __u64 now_ns);

#endif
