/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the list of everything ebtop relies on inside the kernel: the few fields of the few
 * structs that are read, cut by hand and relocated by name (CO-RE). Layouts that drifted between
 * kernels are in compat.bpf.h. It holds no code.
 */
#ifndef EBTOP_KERNEL_BPF_H
#define EBTOP_KERNEL_BPF_H

#define TASK_RUNNING 0
#define TASK_INTERRUPTIBLE 0x0001
#define TASK_UNINTERRUPTIBLE 0x0002
#define TASK_STOPPED_OR_TRACED 0x000c
#define TASK_NOLOAD 0x0400 /* a kernel thread that waits for work, uninterruptible or not */
#define TASK_RTLOCK_WAIT 0x1000
#define TASK_DEAD 0x80 /* set for the very last switch away, since 2.6.11 */
#define SIGNAL_GROUP_EXIT 4
#define SIGSYS 31
#define PF_IO_WORKER 0x10
#define PF_WQ_WORKER 0x20
#define PF_MEMALLOC_NOFS 0x00040000 /* read-ahead is under way, among others */
#define PF_KTHREAD 0x00200000
#define S_IFMT 0170000
#define S_IFREG 0100000
#define S_IFSOCK 0140000
#define S_IFDIR 0040000
#define S_IFBLK 0060000
#define S_IFCHR 0020000
#define S_IFIFO 0010000
#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define FUTEX_WAIT 0
#define FUTEX_LOCK_PI 6
#define FUTEX_WAIT_BITSET 9
#define FUTEX_LOCK_PI2 13
#define FUTEX_PRIVATE_FLAG 128
#define FUTEX_CLOCK_REALTIME 256
#define FUTEX_WAITERS 0x80000000u /* of the word of a lock that names its owner, as the next */
#define FUTEX_OWNER_DIED 0x40000000u
#define PROC_SUPER_MAGIC 0x9fa0
#define SYSFS_MAGIC 0x62656572
#define CGROUP2_SUPER_MAGIC 0x63677270
#define IORING_OP_READV 1
#define IORING_OP_WRITEV 2
#define IORING_OP_READ_FIXED 4
#define IORING_OP_WRITE_FIXED 5
#define IORING_OP_OPENAT 18
#define IORING_OP_READ 22
#define IORING_OP_WRITE 23
#define IORING_OP_OPENAT2 28
#define IORING_OP_READV_FIXED 60
#define IORING_OP_WRITEV_FIXED 61
#define AT_FDCWD (-100)
#define O_CREAT_WRONLY_TRUNC 01101 /* what creat(2) means to open(2) */

typedef unsigned int uid_kernel;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	uid_kernel val;
} kuid_t;

struct sched_entity {
	__u64 sum_exec_runtime;
	__u64 prev_sum_exec_runtime; /* the same when it was switched in */
	__u64 nr_migrations;
};

struct cred {
	kuid_t euid;
};

struct kernfs_node {
	__u64 id;
};

struct cgroup_root {
	int hierarchy_id;
};

struct cgroup {
	int level;
	struct kernfs_node *kn;
	struct cgroup_root *root;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
};

enum cgroup_subsys_id {
	memory_cgrp_id = 4,
	pids_cgrp_id = 11,
	cpu_cgrp_id = 1,
};

struct css_set {
	struct cgroup_subsys_state *subsys[1];
	struct cgroup *dfl_cgrp;
};

struct signal_struct {
	atomic_t live;
	int nr_threads;
	unsigned int flags;
	int group_exit_code;
	unsigned long min_flt;
	unsigned long maj_flt;
	unsigned long maxrss;
	unsigned long long sum_sched_runtime;
};

struct mm_struct {
	unsigned long total_vm;
	unsigned long hiwater_rss;
	unsigned long brk;
	int map_count;
	unsigned long arg_start;
	unsigned long arg_end;
};

struct super_block {
	unsigned long s_magic;
	unsigned int s_dev;
};

struct inode;

struct address_space {
	struct inode *host;
};

struct inode {
	unsigned short i_mode;
	struct super_block *i_sb;
	unsigned long i_ino;
	unsigned int i_generation;
};

struct qstr {
	const unsigned char *name;
};

struct hlist_bl_node {
	struct hlist_bl_node **pprev;
};

struct dentry {
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	void *private_data;
	struct path f_path;
	struct inode *f_inode;
	unsigned int f_flags;
};

struct fs_struct {
	struct path root;
	struct path pwd;
};

/* a request of io_uring */
struct io_cqe {
	__s32 res;
};

struct io_kiocb {
	struct file *file;
	__u8 opcode;
	struct io_cqe cqe;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct pid {
	unsigned int level;
};

struct task_struct {
	void *stack;
	unsigned int flags;
	struct sched_entity se;
	struct mm_struct *mm;
	struct fs_struct *fs;
	int exit_state;
	int exit_code;
	int pid;
	int tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	__u64 utime;
	__u64 stime;
	unsigned long nvcsw;
	unsigned long nivcsw;
	__u64 start_boottime;
	unsigned long min_flt;
	unsigned long maj_flt;
	const struct cred *real_cred;
	char comm[16];
	struct signal_struct *signal;
	struct css_set *cgroups;
	struct files_struct *files;
	struct pid *thread_pid;
	unsigned int in_iowait : 1;
	unsigned int in_execve : 1;
};

struct kernel_siginfo {
	int si_code;
};

/* of a kernel thread, and of one that works off a queue */
struct kthread {
	void *data;
	char *full_name;
};

struct worker {
	void *current_work;
	void *pool;
	char desc[32];
};

struct linux_binprm {
	struct file *file;
	const char *filename;
};

struct open_how {
	__u64 flags;
};

struct gendisk {
	int major;
	int first_minor;
	char disk_name[32];
};

struct request_queue {
	struct gendisk *disk;
};

struct bvec_iter {
	unsigned int bi_size;
};

struct bio {
	struct bio *bi_next;
	unsigned int bi_opf;
	struct bvec_iter bi_iter;
};

struct request {
	struct request_queue *q;
	unsigned int cmd_flags;
	unsigned int __data_len;
	__u64 __sector;
	struct bio *bio;
	struct bio *biotail;
	__u64 start_time_ns;
};

enum req_flag_bits {
	__REQ_SYNC = 11,
	__REQ_IDLE = 15,
};

struct in6_addr {
	union {
		__u32 u6_addr32[4];
	} in6_u;
};

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct sock_common {
	__u32 skc_daddr;
	__u32 skc_rcv_saddr;
	__u16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	unsigned char skc_state;
	int skc_bound_dev_if;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	unsigned long skc_flags;
};

typedef struct {
	int owned;
} socket_lock_t;

struct sock {
	struct sock_common __sk_common;
	int sk_err;
	socket_lock_t sk_lock;
	__u16 sk_type;
	__u16 sk_protocol;
	__u32 sk_ack_backlog;
	__u32 sk_max_ack_backlog;
	atomic_t sk_drops;
};

struct inet_sock {
	struct sock sk;
	__u16 inet_sport;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u64 bytes_sent;
	__u64 bytes_retrans;
	__u64 bytes_received;
	__u32 total_retrans;
	__u32 segs_out;
	__u32 srtt_us;
	__u32 copied_seq;
	__u32 rcv_nxt;
	bool is_mptcp;
};

struct list_head {
	struct list_head *next;
};

/* what a subflow of MPTCP, a TCP socket, has beside itself */
struct mptcp_subflow_context {
	struct list_head node;
	struct sock *tcp_sock;
};

struct mptcp_sock {
	struct list_head conn_list;
	struct sock *first;
};

struct socket {
	struct sock *sk;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	void *key;
	void *value;
};

#pragma clang attribute pop

#endif
