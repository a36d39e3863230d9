/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns reading a TCP socket: its addresses, its counters, and why it ended. There are two ways:
 * direct loads where a hook passes the socket, and a helper (refused under lockdown) where only its
 * address is known.
 */
#ifndef EBTOP_TCP_BPF_H
#define EBTOP_TCP_BPF_H

#include "config.bpf.h"

#define AF_INET 2
#define AF_INET6 10
#define AF_PACKET 17
#define IPPROTO_TCP 6
#define IPPROTO_MPTCP 262
#define SOCK_DEAD 0 /* bits of skc_flags: no process has it any more, */
#define SOCK_DONE 1 /* the other end has said that nothing more comes */
#define S_IFMT 0170000
#define S_IFSOCK 0140000

#define EEXIST 17
#define EPIPE 32
#define ENETUNREACH 101
#define ECONNABORTED 103
#define ECONNRESET 104
#define ETIMEDOUT 110
#define ECONNREFUSED 111
#define EHOSTDOWN 112
#define EHOSTUNREACH 113

#define SOCK_STREAM 1

/* A hash, since addresses of sockets are no index; size is set before loading. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct ebtop_connection);
} connections SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ebtop_connection_counts);
} conn_counts SEC(".maps");

static __always_inline struct ebtop_connection_counts *connection_count(void)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&conn_counts, &key);
}

/* In place of one of the same socket, whose end was missed; false: there is no memory. */
static __always_inline bool put_connection(const struct ebtop_connection *conn, bool replaces)
{
	struct ebtop_connection_counts *counts = connection_count();
	__u64 key = conn->socket;

	long error = bpf_map_update_elem(&connections, &key, conn, BPF_NOEXIST);

	if (error == -EEXIST)
		return !replaces || !bpf_map_update_elem(&connections, &key, conn, BPF_EXIST);
	if (error) {
		count_loss(EBTOP_LOST_CONNECTIONS);
		return false;
	}
	if (counts)
		__sync_fetch_and_add(&counts->added, 1);
	return true;
}

static __always_inline void remove_connection(__u64 key)
{
	struct ebtop_connection_counts *counts = connection_count();

	if (!bpf_map_delete_elem(&connections, &key) && counts)
		__sync_fetch_and_add(&counts->removed, 1);
}

/* `direct` is a constant: of the two ways one is compiled. */
#define GET(direct, from, field) ((direct) ? (from)->field : BPF_CORE_READ(from, field))

static __always_inline bool is_internet(const struct sock *sk, bool direct)
{
	__u16 family = GET(direct, sk, __sk_common.skc_family);

	return family == AF_INET || family == AF_INET6;
}

/* What it sends goes to a network: whole frames, too, which what it receives are only copies of. */
static __always_inline bool is_carried(const struct sock *sk, bool direct)
{
	return is_internet(sk, direct) || GET(direct, sk, __sk_common.skc_family) == AF_PACKET;
}

/* Netlink has a protocol of that number too, and anybody with the right can send raw TCP. */
static __always_inline bool is_tcp(const struct sock *sk, bool direct)
{
	return is_internet(sk, direct) && GET(direct, sk, sk_protocol) == IPPROTO_TCP &&
	       GET(direct, sk, sk_type) == SOCK_STREAM;
}

/* The parent, which processes have; what the network sees of it are TCP connections. */
static __always_inline bool is_mptcp(const struct sock *sk, bool direct)
{
	return is_internet(sk, direct) && GET(direct, sk, sk_protocol) == IPPROTO_MPTCP;
}

/* By helper: no pointer of that type can be had. */
static __always_inline struct sock *first_subflow(const struct sock *sk)
{
	const struct mptcp_sock *parent = (const void *)sk;

	return bpf_core_field_exists(parent->first) ? BPF_CORE_READ(parent, first) : NULL;
}

/* No process has it: it was closed, and the kernel sees it to its end. */
static __always_inline bool is_orphan(const struct sock *sk, bool direct)
{
	return GET(direct, sk, __sk_common.skc_flags) & 1 << SOCK_DEAD;
}

/* The first of the two walks over open files that `look` is one of. */
static __always_inline __u32 look_began(__u32 look)
{
	return look & ~1u;
}

static __always_inline void read_v6(__u32 *to, const struct in6_addr *from, bool direct)
{
	if (!direct) {
		BPF_CORE_READ_INTO((__u32(*)[4])to, from, in6_u.u6_addr32);
		return;
	}
	to[0] = from->in6_u.u6_addr32[0];
	to[1] = from->in6_u.u6_addr32[1];
	to[2] = from->in6_u.u6_addr32[2];
	to[3] = from->in6_u.u6_addr32[3];
}

static __always_inline bool is_mapped(const __u32 *address)
{
	return !address[0] && !address[1] && address[2] == bpf_htonl(0xffff);
}

/* ::ffff:192.0.2.1 is 192.0.2.1. */
static __always_inline void unmap(__u32 *address)
{
	address[0] = address[3];
	address[1] = address[2] = address[3] = 0;
}

static __always_inline void read_ends(struct ebtop_connection *conn, const struct tcp_sock *tp,
				      bool direct)
{
	const struct sock *sk = (const void *)tp;

	conn->sport = bpf_ntohs(GET(direct, tp, inet_conn.icsk_inet.inet_sport));
	conn->dport = bpf_ntohs(GET(direct, sk, __sk_common.skc_dport));
	conn->family = 4;
	if (GET(direct, sk, __sk_common.skc_family) == AF_INET) {
		conn->saddr[0] = GET(direct, sk, __sk_common.skc_rcv_saddr);
		conn->daddr[0] = GET(direct, sk, __sk_common.skc_daddr);
		return;
	}
	if (!bpf_core_field_exists(sk->__sk_common.skc_v6_daddr))
		return;
	conn->scope = GET(direct, sk, __sk_common.skc_bound_dev_if);
	read_v6(conn->saddr, &sk->__sk_common.skc_v6_rcv_saddr, direct);
	read_v6(conn->daddr, &sk->__sk_common.skc_v6_daddr, direct);
	if (is_mapped(conn->daddr)) {
		unmap(conn->saddr);
		unmap(conn->daddr);
	} else {
		conn->family = 6;
	}
}

/* The end of what came is counted by the kernel as one byte more. */
static __always_inline bool has_ended(const struct tcp_sock *tp, bool direct)
{
	return GET(direct, (const struct sock *)tp, __sk_common.skc_flags) & 1 << SOCK_DONE;
}

static __always_inline void read_counters(struct ebtop_connection *conn, const struct tcp_sock *tp,
					  bool direct)
{
	__u64 received = GET(direct, tp, bytes_received);

	conn->tx_bytes = GET(direct, tp, bytes_sent) - GET(direct, tp, bytes_retrans);
	conn->rx_bytes = received ? received - has_ended(tp, direct) : 0;
	conn->retransmits = GET(direct, tp, total_retrans);
	conn->segments = GET(direct, tp, segs_out);
	conn->rtt_us = GET(direct, tp, srtt_us) >> 3;
	conn->flags |= EBTOP_CONN_COUNTED;
}

/* Up to where its processes have read, the end that is counted as a byte left out. */
static __always_inline __u32 read_so_far(const struct tcp_sock *tp, bool direct)
{
	__u32 copied = GET(direct, tp, copied_seq);

	return has_ended(tp, direct) && copied == GET(direct, tp, rcv_nxt) ? copied - 1 : copied;
}

/* Where its first byte was. */
static __always_inline __u32 read_at_first(const struct tcp_sock *tp, bool direct)
{
	return GET(direct, tp, rcv_nxt) - (__u32)GET(direct, tp, bytes_received);
}

static __always_inline __u32 reason_of_error(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return EBTOP_CLOSED_REFUSED;
	case ETIMEDOUT:
		return EBTOP_CLOSED_TIMEOUT;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EHOSTDOWN:
		return EBTOP_CLOSED_UNREACHABLE;
	default:
		return EBTOP_CLOSED_RESET;
	}
}

/* Without an error: we cut it short ourselves, unless both sides had said that they are done. */
static __always_inline __u32 reason_without_error(int old_state)
{
	switch (old_state) {
	case EBTOP_TCP_ESTABLISHED:
	case EBTOP_TCP_CLOSE_WAIT:
		return EBTOP_CLOSED_RESET;
	case EBTOP_TCP_SYN_SENT:
	case EBTOP_TCP_SYN_RECV:
		return EBTOP_CLOSED_UNKNOWN; /* given up */
	default:
		return EBTOP_CLOSED_FIN;
	}
}

#endif
