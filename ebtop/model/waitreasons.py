# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the tables that tell why a thread is off the CPU: system calls and kernel functions.

Judged by hand, for Linux 5.10, 6.1, 6.12, 6.18 and 7.2; a name that a kernel does not have does no
harm. How evidence is weighed is in bpf/wait.bpf.h; it goes from the cheapest on:

1. the kernel counts it as waiting for I/O (in_iowait): disk;
2. a kernel thread that waits for work: sleep; a stopped or traced thread: other;
3. it can be interrupted: what CALLS says of its system call, of a descriptor's file the kind (a
   pipe, a terminal, an AF_UNIX socket: pipe; another socket: network), and of a futex what value it
   is expected to have, which tells a lock that somebody holds from a condition;
4. else its stack, if it waited for 50 us or more: the innermost of FUNCTIONS decides;
5. else it waits for a lock, or in DISK_CALLS for a disk, if it cannot be interrupted. The kernel
   leaves functions of its section .sched.text out of stacks, mutexes and semaphores among them:
   a stack of theirs begins with who wanted the lock, and that may be anybody.
"""

from __future__ import annotations

from ebtop.model import syscallnames

REASONS = ("disk", "network", "lock", "condition", "sleep", "pipe", "poll", "other")
"""enum ebtop_wait, in its order."""
LETTERS = {"disk": "D", "network": "N", "lock": "L", "condition": "c", "sleep": "s", "pipe": "p",
           "poll": "e", "other": "?"}  # fmt: skip
"""The letters of the reasons in a bar; capitals for reasons that deserve attention."""
UNSURE, BY_FILE, ON_DISK, BY_FUTEX, BY_VALUE = (0x08, 0x10, 0x20, 0x40, 0x80)
"""EBTOP_WAIT_*: bits beside the reason."""

CALLS = {
    "disk": "io_getevents io_pgetevents io_pgetevents_time64",
    "network": "accept accept4 connect recvmmsg recvmmsg_time64 sendmmsg",
    "lock": "flock fcntl fcntl64",
    "condition": """
        futex futex_time64 futex_wait futex_waitv semop semtimedop semtimedop_time64
    """,
    "sleep": """
        nanosleep clock_nanosleep clock_nanosleep_time64 pause rt_sigsuspend sigsuspend
        rt_sigtimedwait rt_sigtimedwait_time64
    """,
    "pipe": """
        msgrcv msgsnd mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64
        splice tee vmsplice
    """,
    "poll": """
        poll ppoll ppoll_time64 select pselect6 pselect6_time64 _newselect epoll_wait epoll_pwait
        epoll_pwait2 io_uring_enter wait4 waitid waitpid
    """,
}
"""What an interruptible wait inside a call is for. To wait for a child is to wait for an event."""
FILE_CALLS = """
    read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2 sendfile sendfile64
    accept accept4 connect recvfrom recvmsg recvmmsg recvmmsg_time64 recv sendto sendmsg sendmmsg
    send
"""
"""Calls whose first argument is the descriptor that they wait on."""
FUTEX_CALLS = "futex futex_time64"
"""Calls whose second argument is an operation, and whose third is the expected value."""
VALUE_CALLS = "futex_wait"
"""Calls whose second argument is that value."""
DISK_CALLS = """
    fsync fdatasync sync syncfs sync_file_range sync_file_range2 arm_sync_file_range msync
    io_getevents io_pgetevents io_pgetevents_time64 io_submit
"""
"""Without other evidence an uninterruptible wait in these calls is for a disk, in others for a
lock."""

FUNCTIONS = {
    "disk": """
        blk_mq_get_tag blk_mq_freeze_queue_wait blk_execute_rq submit_bio_wait rq_qos_wait
        blk_queue_enter __bio_queue_enter folio_wait_bit_common folio_wait_bit
        folio_wait_writeback wait_on_page_bit wait_on_page_writeback __wait_on_buffer
        balance_dirty_pages balance_dirty_pages_ratelimited wb_wait_for_completion
        sync_inodes_sb __filemap_fdatawait_range inode_sleep_on_writeback
        jbd2_log_wait_commit jbd2_journal_commit_transaction jbd2_log_do_checkpoint
        jbd2_complete_transaction wait_transaction_locked wait_transaction_switching
        add_transaction_credits __jbd2_log_wait_for_space do_get_write_access ext4_sync_file
        xlog_wait_on_iclog xlog_grant_head_wait xlog_cil_force_seq xfs_buf_iowait xfs_buf_lock
        btrfs_commit_transaction btrfs_wait_for_commit wait_current_trans
        f2fs_wait_on_page_writeback md_super_wait scsi_execute_cmd __scsi_execute
        nvme_submit_sync_cmd read_events
    """,
    "network": """
        sk_wait_data sk_stream_wait_memory sk_stream_wait_connect sk_stream_wait_close
        inet_csk_accept inet_stream_connect __inet_stream_connect tcp_recvmsg tcp_sendmsg
        udp_recvmsg __skb_wait_for_more_packets sock_alloc_send_pskb netlink_recvmsg
        __rpc_execute rpc_wait_bit_killable nfs_wait_bit_killable cifs_send_recv wait_for_response
        p9_client_rpc ceph_mdsc_do_request request_wait_answer vsock_connectible_recvmsg
        vsock_accept synchronize_net
    """,
    "lock": """
        copy_process dup_mmap rt_mutex_slowlock __ww_mutex_lock percpu_rwsem_wait futex_lock_pi
        btrfs_tree_lock btrfs_tree_read_lock flock_lock_inode_wait
        locks_lock_inode_wait fcntl_setlk __break_lease
        d_alloc_parallel __wait_on_freeing_inode tty_ldisc_ref_wait synchronize_rcu
        synchronize_rcu_normal synchronize_rcu_expedited __wait_rcu_gp exp_funnel_lock
        synchronize_srcu __synchronize_srcu rcu_barrier __flush_work flush_work
        __flush_workqueue flush_workqueue drain_workqueue stop_one_cpu stop_two_cpus __stop_cpus
    """,
    "condition": """
        futex_wait __futex_wait futex_wait_queue futex_wait_queue_me futex_wait_multiple
        futex_wait_requeue_pi do_semtimedop __do_semtimedop
    """,
    "sleep": """
        hrtimer_nanosleep common_nsleep usleep_range usleep_range_state msleep
        msleep_interruptible do_sigtimedwait sigsuspend timerfd_read timerfd_read_iter
        worker_thread rescuer_thread kthread_worker_fn kthreadd smpboot_thread_fn rcu_gp_kthread
        rcu_tasks_kthread rcu_nocb_gp_kthread rcu_nocb_cb_kthread kswapd kcompactd oom_reaper
        khugepaged ksm_scan_thread kjournald2 xfsaild irq_thread io_wq_worker io_sq_thread
    """,
    "pipe": """
        pipe_read pipe_write anon_pipe_read anon_pipe_write pipe_wait pipe_wait_readable
        pipe_wait_writable wait_for_partner fifo_open ipipe_prep opipe_prep splice_from_pipe_next
        unix_stream_read_generic unix_stream_sendmsg unix_stream_connect unix_wait_for_peer
        unix_accept unix_dgram_recvmsg unix_dgram_sendmsg n_tty_read n_tty_write
        tty_wait_until_sent do_msgrcv do_msgsnd wq_sleep do_mq_timedreceive do_mq_timedsend
        eventfd_read eventfd_write fuse_dev_do_read evdev_read
    """,
    "poll": """
        ep_poll do_epoll_wait do_sys_poll do_select core_sys_select signalfd_read
        signalfd_read_iter inotify_read fanotify_read io_cqring_wait do_wait kernel_wait4
        kernel_waitid wait_for_vfork_done kernel_clone _do_fork perf_read userfaultfd_read
        userfaultfd_read_iter handle_userfault devkmsg_read do_syslog
    """,
    "other": """
        ptrace_stop do_signal_stop get_signal __refrigerator
    """,
}
"""The innermost of these functions in a stack decides the reason."""


def calls() -> bytes:
    """For the collector, a byte a number, as syscallnames.kinds()."""
    by_name = {name: REASONS.index(reason) for reason in CALLS for name in CALLS[reason].split()}
    marks = ((BY_FILE, FILE_CALLS), (ON_DISK, DISK_CALLS), (BY_FUTEX, FUTEX_CALLS),
             (BY_VALUE, VALUE_CALLS))  # fmt: skip
    unknown = REASONS.index("other") | UNSURE
    table = bytearray([unknown] * syscallnames.NUMBERS)
    for number, name in syscallnames.numbered():
        table[number] = by_name.get(name, unknown)
        for mark, names in marks:
            table[number] |= mark * (name in names.split())
    return bytes(table)


def functions() -> bytes:
    """For the collector: lines `R name`."""
    return "".join(
        f"{REASONS.index(reason)} {name}\n"
        for reason, names in FUNCTIONS.items()
        for name in names.split()
    ).encode("ascii")
