/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns who has a connection and who is told: the totals of the current thread, the current process
 * as the owner of a connection, the filter, and the events. tcp.bpf.c decides when.
 */
#ifndef EBTOP_TCPOWNER_BPF_H
#define EBTOP_TCPOWNER_BPF_H

#include "tcp.bpf.h"

/* Whether other memory may be read, where names and MPTCP's parents are not to be had otherwise. */
const volatile __u32 cfg_reads = 0;

/* beside the slots, same index; size is set before loading */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ebtop_tcp_slot);
} tcp_slots SEC(".maps");

/* ---- the current thread ---- */

static __always_inline struct ebtop_slot *slot_of_current(__u32 **index)
{
	*index = slot_index((__u32)bpf_get_current_pid_tgid());
	if (!*index || !**index || **index == EBTOP_SLOT_LOST)
		return NULL;
	return slot_at(**index);
}

/* Its totals; NULL when it has no slot, which sched has counted. */
static __always_inline struct ebtop_tcp_slot *totals_of_current(void)
{
	__u32 *index;
	struct ebtop_slot *slot = slot_of_current(&index);
	struct ebtop_tcp_slot *totals = slot ? bpf_map_lookup_elem(&tcp_slots, index) : NULL;

	if (totals && totals->start_ns != slot->start_ns) {
		__builtin_memset(totals, 0, sizeof(*totals));
		totals->start_ns = slot->start_ns;
	}
	return totals;
}

/* The kernel's workers make and close subflows for a process: they own none. */
static __always_inline bool is_of_process(const struct tcp_sock *tp, bool direct)
{
	if (!bpf_core_field_exists(tp->is_mptcp) || !GET(direct, tp, is_mptcp))
		return true;
	return has_current_task() && !(bpf_get_current_task_btf()->flags & PF_KTHREAD);
}

/* Another process may have got the number of the owner. */
static __always_inline bool is_owner(const struct ebtop_connection *conn)
{
	if (conn->pid != bpf_get_current_pid_tgid() >> 32)
		return false;
	return !has_current_task() ||
	       conn->owner_start_ns == bpf_get_current_task_btf()->group_leader->start_boottime;
}

static __always_inline void set_owner(const struct ebtop_config *now, struct ebtop_connection *conn)
{
	__u64 ids = bpf_get_current_pid_tgid();
	__u32 *index;
	struct ebtop_slot *slot = slot_of_current(&index);

	conn->pid = ids >> 32;
	conn->tid = (__u32)ids;
	conn->uid = current_euid(false);
	conn->owner_start_ns = has_current_task() ?
				       bpf_get_current_task_btf()->group_leader->start_boottime :
			       slot ? slot->leader_start_ns :
				      0;
	conn->held = now->look;
	conn->flags &= ~EBTOP_CONN_FOLLOWED;
	if (is_followed(now, slot))
		conn->flags |= EBTOP_CONN_FOLLOWED;
	copy_current_names(conn->comm, conn->thread_comm, cfg_reads);
}

/* ---- events ---- */

/* What a process left behind that had the number before is not the named one's. */
static __always_inline bool is_of_named(const struct ebtop_config *now,
					const struct ebtop_connection *conn)
{
	return !now->pid_start_ns || !conn->owner_start_ns ||
	       now->pid_start_ns == conn->owner_start_ns;
}

static __always_inline bool is_wanted(const struct ebtop_config *now,
				      const struct ebtop_connection *conn)
{
	if (now->port && now->port != conn->sport && now->port != conn->dport)
		return false;
	if (now->pid && !(now->pid == conn->pid && is_of_named(now, conn)) &&
	    !(conn->flags & EBTOP_CONN_FOLLOWED))
		return false;
	return now->uid == EBTOP_ANY_UID || (conn->pid && now->uid == conn->uid);
}

static __always_inline void emit(const struct ebtop_connection *conn, int old_state, __u64 state_ns,
				 __u64 time_ns)
{
	struct ebtop_tcp *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		count_loss(EBTOP_LOST_RING_BUFFER);
		return;
	}
	event->head.time_ns = time_ns;
	event->head.type = EBTOP_EVENT_TCP;
	event->head.size = sizeof(*event);
	event->head.cpu = bpf_get_smp_processor_id();
	event->head.pid = conn->pid;
	event->head.tid = conn->tid;
	event->head.uid = conn->uid;
	__builtin_memcpy(event->head.comm, conn->comm, sizeof(event->head.comm));
	__builtin_memcpy(event->head.thread_comm, conn->thread_comm,
			 sizeof(event->head.thread_comm));
	__builtin_memcpy(&event->connection, conn, sizeof(*conn));
	event->state_ns = state_ns;
	event->old_state = old_state;
	event->pad = 0;
	submit(event);
}

static __always_inline void tell(const struct ebtop_config *now, struct ebtop_connection *conn,
				 int old_state, __u64 since_ns)
{
	bool ended = conn->state == EBTOP_TCP_CLOSE && old_state != EBTOP_TCP_LISTEN;

	if (!(now->collect & EBTOP_COLLECT_TRANSITIONS)) {
		if (ended)
			emit(conn, old_state, 0, conn->since_ns);
		return;
	}
	if (is_wanted(now, conn))
		emit(conn, old_state, since_ns ? conn->since_ns - since_ns : 0, conn->since_ns);
	else if (!conn->pid && conn->state == EBTOP_TCP_ESTABLISHED)
		conn->flags |= EBTOP_CONN_UNTOLD;
}

/* The current process works on it. */
static __always_inline void learn(const struct ebtop_config *now, struct ebtop_connection *conn)
{
	struct ebtop_tcp_slot *totals;

	set_owner(now, conn);
	if ((conn->flags & (EBTOP_CONN_IN | EBTOP_CONN_ACCEPTED)) == EBTOP_CONN_IN) {
		conn->flags |= EBTOP_CONN_ACCEPTED;
		totals = totals_of_current();
		if (totals)
			totals->accepted++;
	}
	if (conn->flags & EBTOP_CONN_UNTOLD) {
		conn->flags &= ~EBTOP_CONN_UNTOLD;
		if (is_wanted(now, conn))
			emit(conn, EBTOP_TCP_SYN_RECV, 0, conn->since_ns);
	}
}

#endif
