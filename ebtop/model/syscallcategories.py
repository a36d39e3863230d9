# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what each system call is about: one of eight categories, by name, judged by hand.

A call is assigned by its main purpose. Waiting for descriptors counts as file I/O, whatever is
behind them; message queues and semaphores as synchronisation, shared memory as memory. The names of
all architectures are listed, and a unit test finds a name that is missing or listed twice.
"""

from __future__ import annotations

CATEGORIES: dict[str, str] = {
    "file_io": """
        _llseek _newselect access cachestat chdir chmod chown chown32 close close_range
        copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old
        epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 faccessat faccessat2
        arm_fadvise64_64 fadvise64 fadvise64_64 fallocate fanotify_init fanotify_mark fchdir fchmod
        fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr file_getattr
        file_setattr flistxattr flock fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs
        fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd getdents getdents64 getxattr
        getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel
        io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit
        io_uring_enter io_uring_register io_uring_setup ioctl lchown lchown32 lgetxattr link linkat
        listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lstat lstat64 mkdir mkdirat
        mknod mknodat name_to_handle_at newfstatat oldfstat oldlstat oldstat open open_by_handle_at
        openat openat2 pipe pipe2 poll ppoll ppoll_time64 pread64 preadv preadv2 pselect6
        pselect6_time64 pwrite64 pwritev pwritev2 read readahead readdir readlink readlinkat readv
        removexattr removexattrat rename renameat renameat2 rmdir select sendfile sendfile64
        setxattr setxattrat splice stat stat64 statfs statfs64 statx symlink symlinkat sync
        arm_sync_file_range sync_file_range syncfs tee truncate truncate64 umask unlink unlinkat
        ustat utime utimensat utimensat_time64 utimes vmsplice write writev
    """,
    "memory": """
        brk get_mempolicy madvise map_shadow_stack mbind memfd_create memfd_secret migrate_pages
        mincore mlock mlock2 mlockall mmap mmap2 move_pages mprotect mremap mseal msync munlock
        munlockall munmap pkey_alloc pkey_free pkey_mprotect process_madvise process_mrelease
        process_vm_readv process_vm_writev remap_file_pages set_mempolicy set_mempolicy_home_node
        shmat shmctl shmdt shmget userfaultfd
    """,
    "network": """
        accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom
        recvmmsg recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socket
        socketcall socketpair
    """,
    "process": """
        arch_prctl capget capset clone clone3 execve execveat exit exit_group fork
        get_thread_area getcpu getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups
        getgroups32 getpgid getpgrp getpid getppid getpriority getresgid getresgid32 getresuid
        getresuid32 getrlimit getrusage getsid gettid getuid getuid32 ioprio_get ioprio_set kcmp
        modify_ldt nice personality pidfd_getfd pidfd_open prctl prlimit64 ptrace rseq
        rseq_slice_yield sched_get_priority_max sched_get_priority_min sched_getaffinity
        sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
        sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam
        sched_setscheduler sched_yield set_thread_area set_tid_address setfsgid setfsgid32 setfsuid
        setfsuid32 setgid setgid32 setgroups setgroups32 setns setpgid setpriority setregid
        setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid
        setuid setuid32 times ugetrlimit ulimit unshare uselib vfork wait4 waitid waitpid
    """,
    "time": """
        adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime
        clock_gettime64 clock_nanosleep clock_nanosleep_time64 clock_settime clock_settime64 ftime
        getitimer gettimeofday nanosleep setitimer settimeofday stime time timer_create
        timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64
        timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64
    """,
    "sync": """
        futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake get_robust_list ipc
        membarrier mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64
        mq_timedsend mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop
        semtimedop semtimedop_time64 set_robust_list
    """,
    "signal": """
        kill pause pidfd_send_signal rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo
        rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo
        sgetmask sigaction sigaltstack signal signalfd signalfd4 sigpending sigprocmask sigreturn
        sigsuspend ssetmask tgkill tkill
    """,
    "other": """
        _sysctl acct add_key afs_syscall bdflush bpf break chroot create_module delete_module
        finit_module fsconfig fsmount fsopen fspick get_kernel_syms getpmsg getrandom gtty idle
        init_module ioperm iopl kexec_file_load kexec_load keyctl landlock_add_rule
        landlock_create_ruleset landlock_restrict_self listmount listns lock lookup_dcookie
        lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount mpx
        nfsservctl oldolduname olduname open_tree open_tree_attr pciconfig_iobase pciconfig_read
        pciconfig_write perf_event_open pivot_root prof profil putpmsg query_module quotactl
        quotactl_fd reboot request_key restart_syscall seccomp security setdomainname sethostname
        statmount stty swapoff swapon sysfs sysinfo syslog tuxcall umount umount2 uname uprobe
        uretprobe vhangup vm86 vm86old vserver
    """,
}
"""In the order of enum ebtop_syscall_category."""
