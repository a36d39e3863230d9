/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * The kernel's own types, read once for all objects that are loaded one after the other.
 */
#ifndef EBTOP_KERNELBTF_H
#define EBTOP_KERNELBTF_H

/* From here on whoever asks libbpf for the kernel's types shares them. To be paired. */
void kernelbtf_share(void);
/* They are let go; nobody may hold any then. */
void kernelbtf_drop(void);

#endif
