// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the kernel's types while probes are loaded. libbpf reads them anew for every object, some
 * megabytes each time; the linker sends its call here (build_ffi.py: --wrap). What is handed out is
 * an empty layer above the shared types, so that it can be freed as libbpf does. Between loads
 * nothing is kept: the memory would be a large part of ebtop's own.
 */
#include <bpf/btf.h>

#include "kernelbtf.h"

struct btf *__real_btf__load_vmlinux_btf(void);
struct btf *__wrap_btf__load_vmlinux_btf(void);

static struct btf *shared;
static int sharers;

struct btf *__wrap_btf__load_vmlinux_btf(void)
{
	if (!sharers)
		return __real_btf__load_vmlinux_btf();
	if (!shared)
		shared = __real_btf__load_vmlinux_btf();
	return shared ? btf__new_empty_split(shared) : NULL;
}

void kernelbtf_share(void)
{
	sharers++;
}

void kernelbtf_drop(void)
{
	if (--sharers)
		return;
	btf__free(shared);
	shared = NULL;
}
