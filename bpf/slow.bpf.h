/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the record of one slow operation: what it was about, as far as one of its descriptors or
 * names tells. The probes decide which operations there are and how long is slow.
 */
#ifndef EBTOP_SLOW_BPF_H
#define EBTOP_SLOW_BPF_H

#include <bpf/bpf_endian.h>

#include "path.bpf.h"

/* enum ebtop_call_object by number of the system call; from ebtop/model/syscallnames.py */
const volatile unsigned char cfg_objects[EBTOP_SYSCALL_NUMBERS] = {};

static __always_inline __u32 object_of(__u32 number)
{
	return number < EBTOP_SYSCALL_NUMBERS ? cfg_objects[number] : EBTOP_OBJECT_NONE;
}

static __always_inline void about_socket(struct ebtop_slow_data *data, struct file *file)
{
	const struct socket *socket = BPF_CORE_READ(file, private_data);
	const struct sock *sk = BPF_CORE_READ(socket, sk);
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	data->about = EBTOP_ABOUT_SOCKET;
	data->sport = BPF_CORE_READ(sk, __sk_common.skc_num);
	data->dport = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (family == AF_INET) {
		data->family = 4;
		data->saddr[0] = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
		data->daddr[0] = BPF_CORE_READ(sk, __sk_common.skc_daddr);
	} else if (family == AF_INET6) {
		data->family = 6;
		BPF_CORE_READ_INTO(&data->saddr, sk, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32);
		BPF_CORE_READ_INTO(&data->daddr, sk, __sk_common.skc_v6_daddr.in6_u.u6_addr32);
	}
}

/* By helper throughout: it is called seldom, and of a task that need not be the current one. */
static __noinline int about_descriptor(struct ebtop_slow_data *data, struct task_struct *task,
				       __u32 descriptor)
{
	struct file *file = file_of(task, descriptor);

	if (!file)
		return 0;
	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) == S_IFSOCK) {
		about_socket(data, file);
		return 0;
	}
	data->about = EBTOP_ABOUT_FILE;
	data->whole = name_file(data->parts, file, task);
	return 0;
}

#endif
