// SPDX-License-Identifier: GPL-2.0

/*
 * Owns inet_sock_set_state, tcp_rcv_space_adjust, sock_send_length and sock_recv_length (where they
 * are missing: tcpcalls.bpf.h): TCP connections by their socket, and what processes send and
 * receive. What a connection carried is the kernel's own count, read when it ends and when somebody looks, so a packet costs nothing.
 *
 * The owner is who used the socket last, learnt where a process works on it: in its own calls, and
 * where the socket's lock says so. Elsewhere (interrupts, timers) `current` is a bystander.
 */
#include <bpf/bpf_endian.h>

#include "tcp.bpf.h"

#define MSG_PEEK 2
#define MSG_ERRQUEUE 0x2000
#define COLLECTED (EBTOP_COLLECT_CONNECTIONS | EBTOP_COLLECT_TRANSITIONS)

/* Whether other memory may be read, where names are not to be had otherwise. */
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

static __always_inline void set_owner(const struct ebtop_config *now, struct ebtop_connection *conn)
{
	__u64 ids = bpf_get_current_pid_tgid();
	__u32 *index;
	struct ebtop_slot *slot = slot_of_current(&index);

	conn->pid = ids >> 32;
	conn->tid = (__u32)ids;
	conn->uid = current_euid(false);
	conn->owner_start_ns = slot ? slot->leader_start_ns : 0;
	conn->flags &= ~EBTOP_CONN_FOLLOWED;
	if (is_followed(now, slot))
		conn->flags |= EBTOP_CONN_FOLLOWED;
	copy_current_names(conn->comm, conn->thread_comm, cfg_reads);
}

/* ---- events ---- */

static __always_inline bool is_wanted(const struct ebtop_config *now,
				      const struct ebtop_connection *conn)
{
	if (now->port && now->port != conn->sport && now->port != conn->dport)
		return false;
	if (now->pid && now->pid != conn->pid && !(conn->flags & EBTOP_CONN_FOLLOWED))
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

/* ---- connections ---- */

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
		totals = totals_of_current();
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
	if (!tp || (new_state == EBTOP_TCP_SYN_RECV && old_state != EBTOP_TCP_SYN_SENT))
		return 0;
	now_ns = bpf_ktime_get_ns();
	if (!begins)
		conn = bpf_map_lookup_elem(&connections, &key);
	if (!conn)
		conn = begin(tp, old_state, new_state, now_ns);
	if (!conn)
		return 0;
	if ((begins || !conn->pid) && sk->sk_lock.owned)
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
	if (new_state == EBTOP_TCP_CLOSE)
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

	if (!conn) {
		tp = direct ? bpf_skc_to_tcp_sock(sk) : (void *)sk;
		/* one that has ended is in nobody's table */
		if (!tp || GET(direct, sk, __sk_common.skc_state) == EBTOP_TCP_CLOSE)
			return NULL;
		conn = add_connection(tp, 0, 0, direct);
	}
	if (conn && conn->pid != bpf_get_current_pid_tgid() >> 32)
		learn(now, conn);
	return conn;
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
	return 0;
}

/* All but TCP, of which reading by splice(2) does not come here: see account_read(). */
static __always_inline int account_received(struct sock *sk, int bytes, int flags, bool direct)
{
	struct ebtop_tcp_slot *totals;

	if (bytes <= 0 || flags & (MSG_PEEK | MSG_ERRQUEUE) || !is_internet(sk, direct) ||
	    is_tcp(sk, direct) || !config_for(COLLECTED))
		return 0;
	totals = totals_of_current();
	if (totals)
		totals->rx_bytes += bytes;
	return 0;
}

/* Whichever way a process reads TCP, the kernel then comes by here; what it peeks at stays. */
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
	return account_received(sk, bytes, flags, true);
}

#include "tcpcalls.bpf.h"

char _license[] SEC("license") = "GPL";
