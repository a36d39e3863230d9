// SPDX-License-Identifier: GPL-2.0

/*
 * Owns what is read of connections when somebody looks: iter/bpf_map_elem over the map of
 * connections writes each with what the kernel has counted of it by now, and iter/task_file finds the
 * sockets that processes have open, for those that nobody saw begin or be used. It runs when read,
 * never on a hook, and sees all network namespaces.
 */
#include <bpf/bpf_endian.h>

#include "tcp.bpf.h"

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
					 const struct task_struct *task)
{
	conn->pid = task->tgid;
	conn->tid = task->tgid;
	conn->uid = task->real_cred->euid.val;
	conn->owner_start_ns = task->group_leader->start_boottime;
	copy_comm(conn->comm, task->group_leader);
	copy_comm(conn->thread_comm, task->group_leader);
}

static __always_inline void add_found(__u64 key, const struct task_struct *task)
{
	const struct tcp_sock *tp = (const void *)key;
	const struct sock *sk = (const void *)key;
	struct ebtop_connection fresh = {};

	fresh.socket = key;
	fresh.netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	fresh.state = BPF_CORE_READ(sk, __sk_common.skc_state);
	fresh.copied = read_so_far(tp, false);
	read_ends(&fresh, tp, false);
	set_owner_to(&fresh, task);
	put_connection(&fresh, false);
}

SEC("?iter/task_file") int files_iter(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct ebtop_connection *conn;
	const struct sock *sk;
	__u64 key;
	__u8 state;

	if (!file || !task)
		return 0;
	key = socket_of_file(file);
	sk = (const void *)key;
	if (!key || !is_tcp(sk, false))
		return 0;
	state = BPF_CORE_READ(sk, __sk_common.skc_state);
	if (!state || state == EBTOP_TCP_CLOSE)
		return 0;
	conn = bpf_map_lookup_elem(&connections, &key);
	if (!conn)
		add_found(key, task);
	else if (!conn->pid)
		set_owner_to(conn, task);
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
