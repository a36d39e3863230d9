// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns loading without the rest of this folder: libbpf as it is, one object after another. A build
 * with EBTOP_PLAIN_LOADER=1 has this file instead of the others, and no --wrap. It starts more
 * slowly and uses more memory while it does; nothing else differs.
 */
#include <bpf/libbpf.h>

#include "loader/kernelbtf.h"
#include "loader/parallel_load.h"

void kernelbtf_share(void)
{
}

void kernelbtf_read(void)
{
}

void kernelbtf_keep_types(const struct bpf_object *object)
{
	(void)object;
}

void kernelbtf_release_rest(void)
{
}

void kernelbtf_drop(void)
{
}

int kernelbtf_load(struct bpf_object *object)
{
	return bpf_object__load(object);
}

void parallel_load(void (*load)(void *context, int item), void *context, int count)
{
	for (int item = 0; item < count; item++)
		load(context, item);
}
