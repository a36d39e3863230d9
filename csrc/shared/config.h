/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the user side of the configuration map: what is collected, and the filter. Another process
 * may set the filter through the same memory.
 */
#ifndef EBTOP_CONFIG_H
#define EBTOP_CONFIG_H

#include "shared/maps.h"

struct config {
	volatile struct ebtop_config *now; /* shared with BPF, and with `ebtop set` */
};

/* Maps the memory of a configuration map. NULL and errno on failure. */
volatile struct ebtop_config *config_map(int fd);
void config_unmap(volatile struct ebtop_config *now);
/* `accepts`: the settings that other processes may change, see struct ebtop_config. */
int config_open(struct config *config, const struct maps *maps, __u32 accepts,
		struct ebtop_error *err);
void config_close(struct config *config);
/* Sets the fields of the filter; what is collected does not change. */
void config_set_filter(volatile struct ebtop_config *now, const struct ebtop_config *filter);
/* From now on times one of `every` system calls. */
void config_time_every(struct config *config, __u32 every);
void config_collect(struct config *config, __u32 collect);
/* Begins another epoch, and returns the one that ended. */
__u32 config_next_epoch(struct config *config);
/* `pid` is the process that the filter names, even when it has ended. */
struct ebtop_config config_read(const struct config *config);

#endif
