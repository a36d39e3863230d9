// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns charging connections to processes: bytes to the thread that sent or received them,
 * retransmissions and errors to the owner of the connection.
 */
#include <stdlib.h>

#include "accounts/account.h"

/* What was counted of the thread last; nothing when counting has begun anew since. NULL: no memory. */
static struct thread_net *last_net(struct accounts *accounts, struct thread *thread)
{
	__u64 boot_ns = accounts->connections->boot_ns;

	if (!thread->net)
		thread->net = calloc(1, sizeof(*thread->net));
	if (!thread->net)
		accounts->lost_memory++;
	else if (thread->net->boot_ns != boot_ns)
		*thread->net = (struct thread_net){ .boot_ns = boot_ns };
	return thread->net;
}

void accounts_net(struct accounts *accounts, struct thread *thread, __u32 index,
		  const struct ebtop_slot *slot, __u64 oncpu_ns)
{
	const struct ebtop_tcp_slot *now = connections_slot(accounts->connections, index);
	struct ebtop_tcp_slot copy;
	struct thread_net *last;

	(void)oncpu_ns;
	if (!now || __atomic_load_n(&now->start_ns, __ATOMIC_ACQUIRE) != slot->start_ns)
		return;
	copy = *(const volatile struct ebtop_tcp_slot *)now;
	last = last_net(accounts, thread);
	if (!last)
		return;
	add(thread, EBTOP_NET_TX_BYTES, delta(copy.tx_bytes, last->tx_bytes));
	add(thread, EBTOP_NET_RX_BYTES, delta(copy.rx_bytes, last->rx_bytes));
	add(thread, EBTOP_CONNECTIONS_OPENED, delta_low(copy.opened, last->opened));
	add(thread, EBTOP_CONNECTIONS_ACCEPTED, delta_low(copy.accepted, last->accepted));
	last->tx_bytes = copy.tx_bytes;
	/* a call that throws away what it reads takes it back when it returns */
	if (copy.rx_bytes > last->rx_bytes)
		last->rx_bytes = copy.rx_bytes;
	last->opened = copy.opened;
	last->accepted = copy.accepted;
}

static void add_to_process(struct accounts *accounts, struct process *process,
			   enum ebtop_counter counter, __u64 amount)
{
	if (!amount)
		return;
	accounts_mark_active(accounts, process);
	if (process->refresh != accounts->refresh)
		return; /* no memory, and counted */
	process->sums->interval[counter] += amount;
	process->sums->total[counter] += amount;
}

/* The growth of a counter. What a connection did before it was first seen belongs to no interval, unless
 * it began while we watched. */
static __u64 growth(const struct ebtop_connection *before, const struct ebtop_connection *now,
		    __u64 was, __u64 is)
{
	if (before && before->flags & EBTOP_CONN_COUNTED)
		return delta(is, was);
	return now->start_ns ? is : 0;
}

/* The same of what wraps at 32 bits. */
static __u32 growth_low(const struct ebtop_connection *before, const struct ebtop_connection *now,
			__u32 was, __u32 is)
{
	if (before && before->flags & EBTOP_CONN_COUNTED)
		return delta_low(is, was);
	return now->start_ns ? is : 0;
}

static void count_sent(struct accounts *accounts, struct process *process,
		       const struct ebtop_connection *before, const struct ebtop_connection *now)
{
	static const struct ebtop_connection nothing;
	const struct ebtop_connection *was = before ? before : &nothing;

	if (!(now->flags & EBTOP_CONN_COUNTED))
		return;
	add_to_process(accounts, process, EBTOP_RETRANSMITS,
		       growth_low(before, now, was->retransmits, now->retransmits));
	add_to_process(accounts, process, EBTOP_SEGMENTS,
		       growth_low(before, now, was->segments, now->segments));
	if (accounts->connections->by_connection)
		add_to_process(accounts, process, EBTOP_NET_TX_BYTES,
			       growth(before, now, was->tx_bytes, now->tx_bytes));
}

static void count_open(struct accounts *accounts, struct process *process)
{
	if (process->net_refresh != accounts->refresh)
		process->connections = 0;
	process->net_refresh = accounts->refresh;
	process->connections++;
}

/* Whether its owner has ended. */
static int visit(void *context, const struct ebtop_connection *before,
		 const struct ebtop_connection *now)
{
	struct accounts *accounts = context;
	struct process *process = NULL;

	if (now->pid)
		process = accounts_find(accounts, now->pid, now->owner_start_ns);
	if (!process)
		return now->pid && accounts->have_sched && now->owner_start_ns;
	if (now->state == EBTOP_TCP_LISTEN)
		return process->flags & PROCESS_ENDED;
	if (now->flags & EBTOP_CONN_CLOSED && now->flags & EBTOP_CONN_ERROR)
		add_to_process(accounts, process, EBTOP_CONNECTION_ERRORS, 1);
	else if (!(now->flags & (EBTOP_CONN_CLOSED | EBTOP_CONN_LEFT)))
		count_open(accounts, process);
	count_sent(accounts, process, before, now);
	return process->flags & PROCESS_ENDED;
}

void accounts_connections(struct accounts *accounts)
{
	connections_refresh(accounts->connections, accounts->now_ns, visit, accounts);
}

void accounts_connection_ended(struct accounts *accounts, const struct ebtop_connection *ended)
{
	if (accounts->connections)
		connections_ended(accounts->connections, ended, visit, accounts);
}
