// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the table of probes. A new probe is a bpf/<name>.bpf.c, a value of enum ebtop_probe, and a
 * row here.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "block.h"
#include "connections.h"
#include "error.h"
#include "kfunc.h"
#include "probe.h"
#include "skel/block.skel.h"
#include "skel/kfunc.skel.h"
#include "skel/life.skel.h"
#include "skel/open.skel.h"
#include "skel/sched.skel.h"
#include "skel/signals.skel.h"
#include "skel/sockets.skel.h"
#include "skel/syscall.skel.h"
#include "skel/tasks.skel.h"
#include "skel/vfs.skel.h"
#include "skel/tcp.skel.h"

static void prepare_syscall(struct bpf_object *object, const struct maps *maps,
			    const struct ebtop_settings *settings)
{
	size_t size = 0;
	struct syscall_bpf__rodata *constants = object_constants(object, &size);

	if (!constants || size < sizeof(*constants))
		return;
	memcpy((void *)constants->cfg_kinds, settings->syscall_kinds, sizeof(constants->cfg_kinds));
	memcpy((void *)constants->cfg_objects, settings->call_objects,
	       sizeof(constants->cfg_objects));
	constants->cfg_page_bytes = (__u64)sysconf(_SC_PAGESIZE);
	constants->cfg_shards = maps->shards;
	constants->cfg_shared = maps->shards < maps->cpus;
}

#define ESTIMATED "mapped files; cache_hit_ratio is estimated"

static void prepare_vfs(struct bpf_object *object, const struct maps *maps,
			const struct ebtop_settings *settings)
{
	size_t size = 0;
	struct vfs_bpf__rodata *constants = object_constants(object, &size);

	(void)maps;
	if (constants && size >= sizeof(*constants))
		memcpy((void *)constants->cfg_kinds, settings->syscall_kinds,
		       sizeof(constants->cfg_kinds));
}

/* What the evidence of waits is made of; sched and tasks both have it. */
static void set_waits(const volatile unsigned char *waits, const volatile __u64 *thread_size,
		      const struct ebtop_settings *settings)
{
	memcpy((void *)waits, settings->waits, sizeof(settings->waits));
#ifdef __aarch64__
	{
		long page = sysconf(_SC_PAGESIZE);

		*(__u64 *)thread_size = page > 16384 ? (__u64)page : 16384;
	}
#else
	(void)thread_size;
#endif
}

/* A process that tests want to be hidden from BPF. */
static void set_hidden(const volatile __u64 *pid)
{
	*(__u64 *)pid = (__u64)-error_injected("hide");
}

static void prepare_life(struct bpf_object *object, const struct maps *maps,
			 const struct ebtop_settings *settings)
{
	size_t size = 0;
	struct life_bpf__rodata *constants = object_constants(object, &size);

	(void)maps;
	if (!constants || size < sizeof(*constants))
		return;
	set_hidden(&constants->cfg_hidden_pid);
	memcpy((void *)constants->cfg_execs, settings->execs, sizeof(constants->cfg_execs));
}

/* Every system call of the machine pays for knowing which execs fail. */
static int life_needs(const char *program, const struct ebtop_settings *settings)
{
	return strncmp(program, "failed", strlen("failed")) || settings->failed_execs;
}

static void prepare_sched(struct bpf_object *object, const struct maps *maps,
			  const struct ebtop_settings *settings)
{
	size_t size = 0;
	struct sched_bpf__rodata *constants = object_constants(object, &size);

	(void)maps;
	if (!constants || size < sizeof(*constants))
		return;
	set_waits(constants->cfg_waits, &constants->cfg_thread_size, settings);
	set_hidden(&constants->cfg_hidden_pid);
	memcpy((void *)constants->cfg_objects, settings->call_objects,
	       sizeof(constants->cfg_objects));
}

static void prepare_tasks(struct bpf_object *object, const struct maps *maps,
			  const struct ebtop_settings *settings)
{
	size_t size = 0;
	struct tasks_bpf__rodata *constants = object_constants(object, &size);

	(void)maps;
	if (!constants || size < sizeof(*constants))
		return;
	set_waits(constants->cfg_waits, &constants->cfg_thread_size, settings);
	set_hidden(&constants->cfg_hidden_pid);
}

/* Names, and the parents of MPTCP, are read by helper; under lockdown that is refused. */
static void prepare_tcp(struct bpf_object *object, const struct maps *maps,
			const struct ebtop_settings *settings)
{
	size_t size = 0;
	struct tcp_bpf__rodata *constants = object_constants(object, &size);
	char text[64] = "";
	FILE *file = fopen("/sys/kernel/security/lockdown", "re");

	(void)maps;
	(void)settings;
	if (file && !fgets(text, sizeof(text), file))
		text[0] = '\0';
	if (file)
		fclose(file);
	if (constants && size >= sizeof(*constants))
		constants->cfg_reads = !strstr(text, "[confidentiality]");
}

const struct probe_kind probe_kinds[EBTOP_PROBES] = {
	[EBTOP_SCHED] = {
		.name = "sched",
		.elf_bytes = sched_bpf__elf_bytes,
		.prepare = prepare_sched,
		.variants = {
			{ { "current_raw", "wakeup_new_btf", "wakeup_btf", "switch_btf" },
			  .unattached = "current_raw" },
			{ { "wakeup_new_btf", "wakeup_btf", "switch_btf" } },
			{ { "current_raw", "wakeup_new_btf", "wakeup_btf", "switch_bare_btf" },
			  "files that are waited for",
			  .unattached = "current_raw" },
			{ { "wakeup_new_btf", "wakeup_btf", "switch_bare_btf" },
			  "files that are waited for" },
		},
	},
	[EBTOP_LIFE] = {
		.name = "life",
		.elf_bytes = life_bpf__elf_bytes,
		.needs = life_needs,
		.prepare = prepare_life,
		.variants = {
			{ { "fork_btf", "exec_args_btf", "exit_btf", "failed_btf" } },
			{ { "fork_btf", "exec_btf", "exit_btf", "failed_bare_btf" },
			  "arguments of execs" },
		},
	},
	[EBTOP_TASKS] = {
		.name = "tasks",
		.elf_bytes = tasks_bpf__elf_bytes,
		.is_iterator = 1,
		.prepare = prepare_tasks,
		.variants = { { { "tasks_iter" } }, { { "tasks_bare_iter" }, "resident memory" } },
	},
	[EBTOP_SYSCALL] = {
		.name = "syscall",
		.elf_bytes = syscall_bpf__elf_bytes,
		.prepare = prepare_syscall,
		.variants = {
			{ { "return_btf", "enter_btf" } },
			{ { "return_bare_btf", "enter_bare_btf" }, "names of opened files" },
		},
	},
	[EBTOP_OPEN] = {
		.name = "open",
		.elf_bytes = open_bpf__elf_bytes,
		.variants = {
			/* what io_uring completes can be told since 5.19 */
			{ { "ring_btf", "fh_fexit", "fh_fentry", "open_fexit",
			    "open_fentry" },
			  "names of io_uring's" },
			{ { "fh_fexit", "fh_fentry", "open_fexit", "open_fentry" },
			  "io_uring" },
			{ { "ring_btf", "fh_kretprobe", "fh_kprobe", "open_kretprobe",
			    "open_kprobe" },
			  "names of io_uring's" },
			{ { "fh_kretprobe", "fh_kprobe", "open_kretprobe", "open_kprobe" },
			  "io_uring" },
			{ { "ring_btf" }, "names of io_uring's", .through_syscalls = 1 },
		},
	},
	/* the entry first: a call that is under way returns past hooks that come later */
	[EBTOP_KFUNC] = {
		.name = "kfunc",
		.elf_bytes = kfunc_bpf__elf_bytes,
		.hooks_by_name = 1,
		.needs = kfunc_needs,
		.prepare = kfunc_prepare,
		.variants = {
			{ { "func_fentry", "func_fexit" } },
			{ { "bare_fentry", "bare_fexit" }, "texts in the kernel's memory" },
			{ { "func_kprobe", "func_kretprobe" } },
		},
	},
	/* before Linux 6.5 no start is told, and before 5.16 pages get dirty, not folios */
	[EBTOP_BLOCK] = {
		.name = "block",
		.elf_bytes = block_bpf__elf_bytes,
		.prepare = block_prepare,
		.variants = {
			{ { "complete_btf", "inode_till_btf", "inode_from_btf", "dirty_btf",
			    "merge_btf", "before_btf", "behind_btf", "start_btf", "issue_btf" } },
			{ { "complete_btf", "inode_till_btf", "inode_from_btf", "dirty_btf",
			    "before_btf", "behind_btf", "new_btf", "issue_btf" } },
			{ { "complete_btf", "inode_till_btf", "inode_from_btf", "dirty_page_btf",
			    "before_btf", "behind_btf", "new_btf", "issue_btf" } },
			{ { "complete_btf", "before_btf", "behind_btf", "new_btf", "issue_btf" },
			  "who changed the pages that are written back" },
		},
	},
	[EBTOP_VFS] = {
		.name = "vfs",
		.elf_bytes = vfs_bpf__elf_bytes,
		.prepare = prepare_vfs,
		.variants = {
			/* what io_uring completes can be told since 5.19 */
			{ { "added_btf", "ring_btf", "copy_fexit", "splice_fexit",
			    "sendfile_fexit", "readv_fexit", "writev_fexit", "write_fexit",
			    "read_fexit" },
			  ESTIMATED },
			{ { "added_btf", "copy_fexit", "splice_fexit", "sendfile_fexit",
			    "readv_fexit", "writev_fexit", "write_fexit", "read_fexit" },
			  "io_uring, " ESTIMATED },
			{ { "added_btf", "splice_fexit", "readv_fexit", "writev_fexit",
			    "write_fexit", "read_fexit" },
			  "io_uring, sendfile, copy_file_range, " ESTIMATED },
			{ { "added_call_btf", "ring_btf" }, ESTIMATED, .through_syscalls = 1 },
			{ { "added_call_btf" }, "io_uring, " ESTIMATED, .through_syscalls = 1 },
		},
	},
	[EBTOP_TCP] = {
		.name = "tcp",
		.elf_bytes = tcp_bpf__elf_bytes,
		.needs = connections_need,
		.prepare = prepare_tcp,
		.variants = {
			{ { "destroy_btf", "state_btf", "read_btf", "received_btf", "sent_btf" } },
			{ { "destroy_btf", "state_btf", "read_btf", "recv6_fexit", "recv_fexit",
			    "page_fexit", "send6_fexit", "send_fexit" } },
			{ { "destroy_btf", "state_btf", "read_btf", "recv6_kretprobe",
			    "recv6_kprobe", "recv_kretprobe", "recv_kprobe", "page_kretprobe",
			    "page_kprobe", "send6_kretprobe", "send6_kprobe", "send_kretprobe",
			    "send_kprobe" },
			  "some of what is received by UDP while many threads wait for it" },
			{ { "destroy_btf", "state_btf", "read_btf" },
			  "bytes sent, and those of UDP",
			  .by_connection = 1 },
		},
	},
	[EBTOP_SOCKETS] = {
		.name = "sockets",
		.elf_bytes = sockets_bpf__elf_bytes,
		.is_iterator = 1,
		.variants = {
			{ { "conns_iter", "files_iter" } },
			{ { "conns_bare_iter" }, "what open connections carried" },
		},
	},
	[EBTOP_STACKS] = { .name = "stacks" },
	[EBTOP_MEM] = { .name = "mem" },
	[EBTOP_SIGNALS] = {
		.name = "signals",
		.elf_bytes = signals_bpf__elf_bytes,
		.variants = {
			{ { "signal_btf", "victim_btf" } },
			{ { "signal_read_btf", "victim_btf" } },
			{ { "signal_btf", "victim_pid_btf" }, "memory and name of OOM victims" },
			{ { "signal_btf" }, "victims of the OOM killer" },
			{ { "victim_btf" }, "signals that are sent" },
		},
	},
};
