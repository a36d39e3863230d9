// SPDX-License-Identifier: GPL-2.0

/*
 * Owns reading connections on request. iter/bpf_map_elem over the map of connections writes each
 * one with the kernel's current counts. iter/task_file finds the owners of sockets whose beginning
 * and use nobody saw, or whose owner has closed them. These programs run when read, never on a
 * hook, and see all network namespaces.
 *
 * Each search walks over all files twice. A connection whose owner is found in the first walk
 * (`held`) keeps that owner; any other goes to the first process that has it in the second walk.
 */
#include <bpf/bpf_endian.h>

#include "tcp.bpf.h"

#define SUBFLOWS_MOST 8 /* that MPTCP lets a connection have */

/*
 * The socket cannot be held, but its memory stays a TCP socket's. Where its end was missed, it is
 * closed or another one: then ports tell.
 */
static __always_inline bool is_still(const struct ebtop_connection *conn, const struct tcp_sock *tp)
{
	const struct sock *sk = (const void *)tp;
	__u8 state = BPF_CORE_READ(sk, __sk_common.skc_state);

	if (!state || state == EBTOP_TCP_CLOSE)
		return false;
	if (conn->state == EBTOP_TCP_SYN_SENT)
		return state == EBTOP_TCP_SYN_SENT || state == EBTOP_TCP_ESTABLISHED;
	return conn->sport == bpf_ntohs(BPF_CORE_READ(tp, inet_conn.icsk_inet.inet_sport)) &&
	       conn->dport == bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
}

/* It had an owner, and the latest look found nobody who has it. */
static __always_inline bool is_left(const struct ebtop_connection *conn, const struct sock *sk)
{
	const struct ebtop_config *now = config_for(~0u);

	return conn->pid && (is_orphan(sk, false) || (now && conn->held < look_began(now->look)));
}

static __always_inline int account_connection(struct bpf_iter__bpf_map_elem *ctx, bool with_reads)
{
	struct ebtop_connection *found = ctx->value, conn;
	const struct tcp_sock *tp;
	const struct sock *sk;
	__u64 key;

	if (!found)
		return 0;
	conn = *found;
	tp = (const void *)conn.socket;
	sk = (const void *)tp;
	if (with_reads && is_still(&conn, tp)) {
		read_counters(&conn, tp, false);
		if (conn.state == EBTOP_TCP_LISTEN || conn.state == EBTOP_TCP_SYN_SENT)
			read_ends(&conn, tp, false);
		conn.backlog = BPF_CORE_READ(sk, sk_ack_backlog);
		conn.backlog_max = BPF_CORE_READ(sk, sk_max_ack_backlog);
		conn.drops = BPF_CORE_READ(sk, sk_drops.counter);
		if (is_left(&conn, sk))
			conn.flags |= EBTOP_CONN_LEFT;
	} else if (with_reads) {
		conn.state = EBTOP_TCP_CLOSE;
	}
	/* it does nothing itself, and would be the first to be forgotten */
	key = conn.socket;
	if (conn.state == EBTOP_TCP_LISTEN)
		bpf_map_lookup_elem(&connections, &key);
	bpf_seq_write(ctx->meta->seq, &conn, sizeof(conn));
	return 0;
}

/* Linux kernel commit 4f19cab76136 "bpf: Add a bpf_sock_from_file helper" (in v5.11). */
static __always_inline __u64 socket_of_file(struct file *file)
{
	struct socket *socket;

	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_sock_from_file)) {
		socket = bpf_sock_from_file(file);
		return socket ? (__u64)socket->sk : 0;
	}
	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	socket = BPF_CORE_READ(file, private_data);
	return (__u64)BPF_CORE_READ(socket, sk);
}

static __always_inline void set_owner_to(struct ebtop_connection *conn,
					 const struct task_struct *task, __u32 look)
{
	conn->pid = task->tgid;
	conn->tid = task->tgid;
	conn->uid = task->real_cred->euid.val;
	conn->owner_start_ns = task->group_leader->start_boottime;
	conn->held = look;
	copy_comm(conn->comm, task->group_leader);
	copy_comm(conn->thread_comm, task->group_leader);
}

static __always_inline void add_found(__u64 key, const struct task_struct *task, __u32 look)
{
	const struct tcp_sock *tp = (const void *)key;
	const struct sock *sk = (const void *)key;
	struct ebtop_connection fresh = {};

	fresh.socket = key;
	fresh.netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	fresh.state = BPF_CORE_READ(sk, __sk_common.skc_state);
	fresh.copied = read_so_far(tp, false);
	read_ends(&fresh, tp, false);
	set_owner_to(&fresh, task, look);
	put_connection(&fresh, false);
}

/* What was sent and not read yet is read from a socket that is closed already, too. */
static __always_inline bool is_to_be_read(const struct tcp_sock *tp)
{
	return read_so_far(tp, false) != BPF_CORE_READ(tp, rcv_nxt) - has_ended(tp, false);
}

static __always_inline void found(__u64 key, const struct task_struct *task, __u32 look)
{
	const struct sock *sk = (const void *)key;
	struct ebtop_connection *conn;
	__u8 state;

	if (!key || !is_tcp(sk, false))
		return;
	conn = bpf_map_lookup_elem(&connections, &key);
	if (!conn) {
		state = BPF_CORE_READ(sk, __sk_common.skc_state);
		if (state && (state != EBTOP_TCP_CLOSE || is_to_be_read((const void *)key)))
			add_found(key, task, look);
	} else if (conn->pid == (__u32)task->tgid &&
		   conn->owner_start_ns == task->group_leader->start_boottime) {
		conn->held = look;
	} else if (look != look_began(look) && conn->held < look_began(look)) {
		set_owner_to(conn, task, look);
	}
}

/* The connections of a parent that a process has. */
static __always_inline void found_parent(__u64 key, const struct task_struct *task, __u32 look)
{
	const struct mptcp_sock *parent = (const void *)key;
	__u64 end = key + bpf_core_field_offset(parent->conn_list), at;
	const struct mptcp_subflow_context *subflow;

	if (!bpf_core_field_exists(parent->conn_list))
		return;
	at = (__u64)BPF_CORE_READ(parent, conn_list.next);
	for (int i = 0; i < SUBFLOWS_MOST && at && at != end; i++) {
		subflow = (const void *)(at - bpf_core_field_offset(subflow->node));
		found((__u64)BPF_CORE_READ(subflow, tcp_sock), task, look);
		at = (__u64)BPF_CORE_READ(subflow, node.next);
	}
}

SEC("?iter/task_file") int files_iter(struct bpf_iter__task_file *ctx)
{
	const struct ebtop_config *now = config_for(~0u);
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	const struct sock *sk;
	__u64 key;

	if (!file || !task || !now)
		return 0;
	key = socket_of_file(file);
	sk = (const void *)key;
	if (!key || !is_internet(sk, false))
		return 0;
	if (is_mptcp(sk, false)) {
		/* where there are none yet, it listens */
		found((__u64)first_subflow(sk), task, now->look);
		found_parent(key, task, now->look);
	} else {
		found(key, task, now->look);
	}
	return 0;
}

SEC("?iter/bpf_map_elem") int conns_iter(struct bpf_iter__bpf_map_elem *ctx)
{
	return account_connection(ctx, true);
}

/* Where other memory must not be read (lockdown): as it was when its state changed last. */
SEC("?iter/bpf_map_elem") int conns_bare_iter(struct bpf_iter__bpf_map_elem *ctx)
{
	return account_connection(ctx, false);
}

char _license[] SEC("license") = "GPL";
