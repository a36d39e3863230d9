/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the functions that all sends and receives of internet sockets go through, whoever calls them
 * (a system call, io_uring, sendfile, splice). They serve kernels whose tracepoints do not report
 * the results ("sock: add tracepoint for send recv length", in v6.3). tcp.bpf.c counts.
 */
#ifndef EBTOP_TCPCALLS_BPF_H
#define EBTOP_TCPCALLS_BPF_H

#define IPPROTO_UDP 17

/* What has no way to send pages copies them, and comes by inet_sendmsg(). */
static __always_inline bool sends_pages(struct sock *sk, bool direct)
{
	return is_tcp(sk, direct) || GET(direct, sk, sk_protocol) == IPPROTO_UDP;
}

SEC("?fexit/inet_sendmsg")
int BPF_PROG(send_fexit, struct socket *socket, void *message, __u64 size, int result)
{
	return account_sent(socket->sk, result, true);
}

SEC("?fexit/inet6_sendmsg")
int BPF_PROG(send6_fexit, struct socket *socket, void *message, __u64 size, int result)
{
	return account_sent(socket->sk, result, true);
}

SEC("?fexit/inet_sendpage")
int BPF_PROG(page_fexit, struct socket *socket, void *page, int offset, __u64 size, int flags,
	     long result)
{
	return sends_pages(socket->sk, true) ? account_sent(socket->sk, result, true) : 0;
}

SEC("?fexit/inet_recvmsg")
int BPF_PROG(recv_fexit, struct socket *socket, void *message, __u64 size, int flags, int result)
{
	return account_received(socket->sk, result, flags, size, true);
}

SEC("?fexit/inet6_recvmsg")
int BPF_PROG(recv6_fexit, struct socket *socket, void *message, __u64 size, int flags, int result)
{
	return account_received(socket->sk, result, flags, size, true);
}

/* ---- where a function's return does not know what it was called with ---- */

static __always_inline struct ebtop_tcp_slot *note_call(__u64 socket)
{
	struct ebtop_tcp_slot *totals = config_for(COLLECTED) ? totals_of_current() : NULL;

	if (totals)
		totals->socket = (__u64)BPF_CORE_READ((const struct socket *)socket, sk);
	return totals;
}

/* The socket of the call that returns: one within another is counted, the other then is not. */
static __always_inline struct ebtop_tcp_slot *noted_call(struct sock **sk)
{
	struct ebtop_tcp_slot *totals = config_for(COLLECTED) ? totals_of_current() : NULL;

	*sk = totals ? (void *)totals->socket : NULL;
	if (totals)
		totals->socket = 0;
	return *sk ? totals : NULL;
}

static __always_inline int note_send(struct pt_regs *regs)
{
	note_call(function_argument(regs, 0));
	return 0;
}

static __always_inline int note_receive(struct pt_regs *regs)
{
	__u64 flags = function_argument(regs, 3);
	struct ebtop_tcp_slot *totals =
		note_call(flags & NOT_GIVEN ? 0 : function_argument(regs, 0));

	if (totals) {
		totals->room = function_argument(regs, 2);
		totals->throws_away = flags & MSG_TRUNC;
	}
	return 0;
}

static __always_inline int account_send_return(struct pt_regs *regs)
{
	struct sock *sk;

	return noted_call(&sk) ? account_sent(sk, (int)function_result(regs), false) : 0;
}

static __always_inline int account_receive_return(struct pt_regs *regs)
{
	struct sock *sk;
	struct ebtop_tcp_slot *totals = noted_call(&sk);

	return totals ? account_received(sk, (int)function_result(regs), (int)totals->throws_away,
					 totals->room, false) :
			0;
}

SEC("?kprobe/inet_sendmsg") int send_kprobe(struct pt_regs *regs)
{
	return note_send(regs);
}

SEC("?kprobe/inet6_sendmsg") int send6_kprobe(struct pt_regs *regs)
{
	return note_send(regs);
}

SEC("?kprobe/inet_sendpage") int page_kprobe(struct pt_regs *regs)
{
	return note_send(regs);
}

SEC("?kprobe/inet_recvmsg") int recv_kprobe(struct pt_regs *regs)
{
	return note_receive(regs);
}

SEC("?kprobe/inet6_recvmsg") int recv6_kprobe(struct pt_regs *regs)
{
	return note_receive(regs);
}

SEC("?kretprobe/inet_sendmsg") int send_kretprobe(struct pt_regs *regs)
{
	return account_send_return(regs);
}

SEC("?kretprobe/inet6_sendmsg") int send6_kretprobe(struct pt_regs *regs)
{
	return account_send_return(regs);
}

SEC("?kretprobe/inet_sendpage") int page_kretprobe(struct pt_regs *regs)
{
	return account_send_return(regs);
}

SEC("?kretprobe/inet_recvmsg") int recv_kretprobe(struct pt_regs *regs)
{
	return account_receive_return(regs);
}

SEC("?kretprobe/inet6_recvmsg") int recv6_kretprobe(struct pt_regs *regs)
{
	return account_receive_return(regs);
}

#endif
