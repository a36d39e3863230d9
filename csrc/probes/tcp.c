// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the probe tcp: connections, and the bytes that processes send and receive.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/clock.h"
#include "probes/probeset.h"
#include "skel/tcp.skel.h"

/* Functions of IPv6 are there only with IPv6. */
static int needs(const char *program, const struct ebtop_settings *settings)
{
	(void)settings;
	return !strchr(program, '6') || !access("/proc/net/if_inet6", F_OK);
}

/* Names, and the parents of MPTCP, are read by helper; under lockdown that is refused. */
static void prepare(struct bpf_object *object, const struct maps *maps,
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

/* The iterators of sockets belong to the table that they fill. */
static int open_connections(struct probeset *set)
{
	const struct probe *sockets = &set->probes[EBTOP_SOCKETS];
	int programs[2] = { -1, -1 }, ret;

	probe_open(&set->probes[EBTOP_SOCKETS], set->maps, &set->settings);
	for (int i = 0; i < sockets->programs && i < 2; i++)
		programs[i] = sockets->program_fds[i];
	ret = connections_open(&set->connections, set->maps, set->config, programs[0], programs[1]);
	set->connections.boot_ns = clock_ns(CLOCK_BOOTTIME);
	return ret;
}

static int opened(struct probeset *set)
{
	set->connections.by_connection = set->probes[EBTOP_TCP].variant->by_connection;
	return 0;
}

static void close_connections(struct probeset *set)
{
	connections_close(&set->connections);
	probe_close(&set->probes[EBTOP_SOCKETS]);
	probe_mark_not_requested(&set->probes[EBTOP_SOCKETS]);
}

static __u32 collects(const struct probeset *set, int through_carrier)
{
	(void)through_carrier;
	if (!set->connections.on)
		return 0;
	return EBTOP_COLLECT_CONNECTIONS |
	       (set->settings.transitions ? EBTOP_COLLECT_TRANSITIONS : 0);
}

/* Finds connections that are open already, once no new one can be missed. */
static void begun(struct probeset *set)
{
	if (set->connections.on && !set->connections.looked_ns)
		connections_find(&set->connections, clock_ns(CLOCK_MONOTONIC));
}

static void account(struct probeset *set, struct accounts *accounts)
{
	if (!set->connections.on)
		return;
	accounts->connections = &set->connections;
	/* which of its counters are known depends on the process: rows/known.c */
	accounts_add_reader(accounts, accounts_net, 0);
}

static void charge(struct accounts *accounts)
{
	if (accounts->connections)
		accounts_connections(accounts);
}

static void settle(struct probeset *set, struct accounts *accounts, __u32 refresh_flags)
{
	(void)set;
	(void)refresh_flags;
	if (accounts->connections)
		connections_pack(accounts->connections, accounts->now_ns);
}

static void pack(struct probeset *set, struct ebtop_snapshot *ret)
{
	ret->connections = buffer_table(&set->connections.rows);
}

static __u64 missed(const struct probeset *set)
{
	return set->connections.forgotten;
}

const struct probe_ops tcp_probe = {
	.name = "tcp",
	.elf_bytes = tcp_bpf__elf_bytes,
	.needs = needs,
	.prepare = prepare,
	.variants = {
		{ { "destroy_btf", "state_btf", "read_btf", "received_btf", "sent_btf" } },
		{ { "destroy_btf", "state_btf", "read_btf", "recv6_fexit", "recv_fexit",
		    "page_fexit", "send6_fexit", "send_fexit" } },
		{ { "destroy_btf", "state_btf", "read_btf", "recv6_kretprobe", "recv6_kprobe",
		    "recv_kretprobe", "recv_kprobe", "page_kretprobe", "page_kprobe",
		    "send6_kretprobe", "send6_kprobe", "send_kretprobe", "send_kprobe" },
		  "some of what is received by UDP while many threads wait for it" },
		{ { "destroy_btf", "state_btf", "read_btf" },
		  "bytes sent, and those of UDP",
		  .by_connection = 1 },
	},
	.on_demand = 1,
	.open_rank = 11,
	.load_rank = 5,
	.needs_sched = 1,
	.maps = { MAP_TCP_SLOTS, MAP_CONNECTIONS, MAP_CONNECTION_COUNTS },
	.no_memory = "no memory for the table of connections",
	.open = open_connections,
	.opened = opened,
	.close = close_connections,
	.collects = collects,
	/* an end that is missed would leave a connection open for good */
	.uninterrupted = EBTOP_COLLECT_CONNECTIONS | EBTOP_COLLECT_TRANSITIONS,
	.begun = begun,
	.account = account,
	.charge = charge,
	.settle = settle,
	.pack = pack,
	.missed = missed,
	.missed_as = EBTOP_LOST_CONNECTIONS,
};
