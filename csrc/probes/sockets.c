// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the probe sockets: iterators over connections and open files. It is a part of tcp, whose
 * table they fill.
 */
#include "probes/probeset.h"
#include "skel/sockets.skel.h"

const struct probe_ops sockets_probe = {
	.name = "sockets",
	.elf_bytes = sockets_bpf__elf_bytes,
	.is_iterator = 1,
	.variants = {
		{ { "conns_iter", "files_iter" } },
		{ { "conns_bare_iter" }, "what open connections carried" },
	},
	.part_of = BIT(EBTOP_TCP),
	.load_rank = 7,
	.maps = { MAP_TCP_SLOTS, MAP_CONNECTIONS, MAP_CONNECTION_COUNTS },
};
