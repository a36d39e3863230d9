// SPDX-License-Identifier: GPL-2.0

/*
 * Owns inet_sock_set_state, tcp_destroy_sock, tcp_rcv_space_adjust, sock_send_length and
 * sock_recv_length (tcpcalls.bpf.h where the last two are missing): TCP connections, identified by
 * their socket, and the bytes that processes send and receive. The bytes of a connection are the
 * kernel's own count, read when the connection ends and when somebody looks, so packets cost
 * nothing.
 *
 * The owner is the process that used the socket last. It is learnt in the process's own calls, and
 * where the lock of the socket tells. Elsewhere (interrupts, timers) `current` is a bystander.
 *
 * A connection that has ended stays in the map as long as its socket exists: after both sides have
 * finished, or the peer has reset it, there may still be data to read.
 */
#include <bpf/bpf_endian.h>

#include "tcpowner.bpf.h"

#define MSG_PEEK 2
#define MSG_TRUNC 0x20
#define MSG_ERRQUEUE 0x2000
#define NOT_GIVEN (MSG_PEEK | MSG_ERRQUEUE) /* what is peeked at stays; errors came from nowhere */

#define COLLECTED (EBTOP_COLLECT_CONNECTIONS | EBTOP_COLLECT_TRANSITIONS)

/* ---- connections ---- */

/* One that is not in the map. `start_ns` 0: it began before we watched, or was forgotten. */
static __always_inline struct ebtop_connection *
add_connection(const struct tcp_sock *tp, __u64 start_ns, __u32 flags, bool direct)
{
	struct ebtop_connection fresh = {};
	const struct sock *sk = (const void *)tp;
	__u64 key = (__u64)tp;

	fresh.socket = key;
	fresh.start_ns = fresh.since_ns = start_ns;
	fresh.netns = direct ? sk->__sk_common.skc_net.net->ns.inum :
			       BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	fresh.state = GET(direct, sk, __sk_common.skc_state);
	fresh.flags = flags;
	fresh.copied = read_so_far(tp, direct);
	read_ends(&fresh, tp, direct);
	if (!put_connection(&fresh, true))
		return NULL;
	return bpf_map_lookup_elem(&connections, &key);
}

static __always_inline struct ebtop_connection *begin(const struct tcp_sock *tp, int old_state,
						      int new_state, __u64 now_ns)
{
	struct ebtop_tcp_slot *totals;

	if (new_state == EBTOP_TCP_LISTEN)
		return add_connection(tp, now_ns, 0, true);
	if (new_state == EBTOP_TCP_SYN_SENT) {
		totals = is_of_process(tp, true) ? totals_of_current() : NULL;
		if (totals)
			totals->opened++;
		return add_connection(tp, now_ns, EBTOP_CONN_OUT, true);
	}
	if (old_state == EBTOP_TCP_SYN_RECV && new_state != EBTOP_TCP_CLOSE)
		return add_connection(tp, now_ns, EBTOP_CONN_IN, true);
	if (old_state == EBTOP_TCP_SYN_RECV || old_state == EBTOP_TCP_LISTEN)
		return NULL;
	return add_connection(tp, 0, 0, true);
}

static __always_inline void end(struct ebtop_connection *conn, const struct tcp_sock *tp,
				int old_state, __u64 now_ns)
{
	int error = ((const struct sock *)tp)->sk_err;

	read_counters(conn, tp, true);
	conn->end_ns = now_ns;
	conn->flags |= EBTOP_CONN_CLOSED | (error ? EBTOP_CONN_ERROR : 0);
	conn->reason = error ? reason_of_error(error) : reason_without_error(old_state);
}

static __always_inline int account_state(struct sock *sk, int old_state, int new_state)
{
	const struct ebtop_config *now = config_for(COLLECTED);
	struct tcp_sock *tp = now && is_tcp(sk, true) ? bpf_skc_to_tcp_sock(sk) : NULL;
	struct ebtop_connection *conn = NULL;
	__u64 key = (__u64)sk, now_ns, since_ns;
	bool begins = new_state == EBTOP_TCP_SYN_SENT || new_state == EBTOP_TCP_LISTEN;

	/* a listener's child is nothing until the handshake is done, a moment later */
	if (!tp || old_state == new_state ||
	    (new_state == EBTOP_TCP_SYN_RECV && old_state != EBTOP_TCP_SYN_SENT))
		return 0;
	now_ns = bpf_ktime_get_ns();
	if (!begins)
		conn = bpf_map_lookup_elem(&connections, &key);
	if (!conn)
		conn = begin(tp, old_state, new_state, now_ns);
	if (!conn)
		return 0;
	if ((begins || !conn->pid) && sk->sk_lock.owned && is_of_process(tp, true))
		learn(now, conn);
	/* a connection has its own port only after it set out */
	if (!conn->sport || (old_state == EBTOP_TCP_SYN_SENT && new_state != EBTOP_TCP_CLOSE)) {
		read_ends(conn, tp, true);
		conn->copied = read_so_far(tp, true);
	}
	since_ns = conn->since_ns;
	conn->since_ns = now_ns;
	conn->state = new_state;
	if (new_state == EBTOP_TCP_CLOSE && old_state != EBTOP_TCP_LISTEN)
		end(conn, tp, old_state, now_ns);
	tell(now, conn, old_state, begins ? 0 : since_ns);
	if (new_state == EBTOP_TCP_CLOSE && (old_state == EBTOP_TCP_LISTEN || is_orphan(sk, true)))
		remove_connection(key);
	return 0;
}

/* The current process sends or receives on it. */
static __always_inline struct ebtop_connection *used(const struct ebtop_config *now,
						     struct sock *sk, bool direct)
{
	__u64 key = (__u64)sk;
	struct ebtop_connection *conn = bpf_map_lookup_elem(&connections, &key);
	struct tcp_sock *tp;
	__u8 state;

	if (!conn) {
		tp = direct ? bpf_skc_to_tcp_sock(sk) : (void *)sk;
		state = GET(direct, sk, __sk_common.skc_state);
		/* one that has ended is in nobody's table */
		if (!tp || state == EBTOP_TCP_CLOSE)
			return NULL;
		if (state == EBTOP_TCP_SYN_RECV) {
			/* accepted with what came in its SYN, before the handshake is done */
			conn = add_connection(tp, bpf_ktime_get_ns(), EBTOP_CONN_IN, direct);
			if (conn)
				conn->copied = read_at_first(tp, direct);
		} else {
			conn = add_connection(tp, 0, 0, direct);
		}
	}
	if (conn && !is_owner(conn))
		learn(now, conn);
	return conn;
}

/*
 * What a process has is the parent, whose first subflow is a connection; those that join later are
 * found when somebody looks (sockets.bpf.c).
 */
static __always_inline void used_parent(const struct ebtop_config *now, const struct sock *parent)
{
	struct sock *first = cfg_reads ? first_subflow(parent) : NULL;

	if (first && cfg_reads)
		used(now, first, false);
}

static __always_inline int account_sent(struct sock *sk, int bytes, bool direct)
{
	const struct ebtop_config *now;
	struct ebtop_tcp_slot *totals;

	if (bytes <= 0 || !is_carried(sk, direct))
		return 0;
	now = config_for(COLLECTED);
	if (!now)
		return 0;
	totals = totals_of_current();
	if (totals)
		totals->tx_bytes += bytes;
	if (is_tcp(sk, direct))
		used(now, sk, direct);
	else if (is_mptcp(sk, direct))
		used_parent(now, sk);
	return 0;
}

/* What a call threw away, which account_read() has counted: it is given to nobody. */
static __always_inline void take_back(const struct sock *sk, __u64 bytes)
{
	__u64 key = (__u64)sk;
	struct ebtop_tcp_slot *totals =
		bpf_map_lookup_elem(&connections, &key) ? totals_of_current() : NULL;

	if (totals)
		totals->rx_bytes -= bytes;
}

/*
 * All but TCP, of which reading by splice(2) does not come here: see account_read(). Told to by
 * MSG_TRUNC, a call returns how long a datagram was, of which it gave what it had room for, or how
 * much of a stream it threw away.
 */
static __always_inline int account_received(struct sock *sk, int bytes, int flags, __u64 room,
					    bool direct)
{
	const struct ebtop_config *now;
	struct ebtop_tcp_slot *totals;
	__u64 given = bytes;
	bool tcp;

	if (bytes <= 0 || flags & NOT_GIVEN || !is_internet(sk, direct))
		return 0;
	tcp = is_tcp(sk, direct);
	if (tcp && !(flags & MSG_TRUNC))
		return 0;
	now = config_for(COLLECTED);
	if (!now)
		return 0;
	if (tcp) {
		take_back(sk, bytes);
		return 0;
	}
	if (is_mptcp(sk, direct)) {
		used_parent(now, sk);
		room = 0;
	}
	if (flags & MSG_TRUNC && room < given)
		given = room;
	totals = totals_of_current();
	if (totals)
		totals->rx_bytes += given;
	return 0;
}

/*
 * Whichever way a process reads TCP, the kernel then comes by here, with the socket's lock held and
 * whatever state it is in. What is peeked at stays.
 */
static __always_inline int account_read(struct sock *sk)
{
	const struct ebtop_config *now = config_for(COLLECTED);
	struct ebtop_connection *conn;
	struct ebtop_tcp_slot *totals;
	struct tcp_sock *tp;
	__u32 copied;

	if (!now || !sk->sk_lock.owned)
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	conn = tp ? used(now, sk, true) : NULL;
	if (!conn)
		return 0;
	copied = read_so_far(tp, true);
	if (copied == conn->copied)
		return 0;
	totals = totals_of_current();
	if (totals)
		totals->rx_bytes += copied - conn->copied;
	conn->copied = copied;
	return 0;
}

SEC("?tp_btf/inet_sock_set_state")
int BPF_PROG(state_btf, struct sock *sk, int old_state, int new_state)
{
	return account_state(sk, old_state, new_state);
}

/* Whatever is collected: another connection will have the socket's address. */
SEC("?tp_btf/tcp_destroy_sock") int BPF_PROG(destroy_btf, struct sock *sk)
{
	remove_connection((__u64)sk);
	return 0;
}

SEC("?tp_btf/tcp_rcv_space_adjust") int BPF_PROG(read_btf, struct sock *sk)
{
	return account_read(sk);
}

SEC("?tp_btf/sock_send_length") int BPF_PROG(sent_btf, struct sock *sk, int bytes, int flags)
{
	return account_sent(sk, bytes, true);
}

SEC("?tp_btf/sock_recv_length") int BPF_PROG(received_btf, struct sock *sk, int bytes, int flags)
{
	return account_received(sk, bytes, flags, flags & MSG_TRUNC ? room_of_current() : 0, true);
}

#include "tcpcalls.bpf.h"

char _license[] SEC("license") = "GPL";
