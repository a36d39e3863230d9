/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the user side of the configuration map: what is collected and whose events count. Other
 * processes may set the filter too, through the same memory.
 */
#ifndef EBTOP_CONFIG_H
#define EBTOP_CONFIG_H

#include "shared/maps.h"

struct config {
	volatile struct ebtop_config *now; /* shared with BPF, and with `ebtop set` */
};

/* The memory of a configuration map; NULL and errno when it cannot be had. */
volatile struct ebtop_config *config_map(int fd);
void config_unmap(volatile struct ebtop_config *now);
/* `accepts` is what other processes may be told: see struct ebtop_config. */
int config_open(struct config *config, const struct maps *maps, __u32 accepts,
		struct ebtop_error *err);
void config_close(struct config *config);
/* The fields of a filter; what is collected stays. */
void config_set_filter(volatile struct ebtop_config *now, const struct ebtop_config *filter);
/* Of so many system calls one is timed from now on. */
void config_time_every(struct config *config, __u32 every);
void config_collect(struct config *config, __u32 collect);
/* Begins another epoch, and says which one ended. */
__u32 config_next_epoch(struct config *config);
/* `pid` is the process that was named, also when it has ended. */
struct ebtop_config config_read(const struct config *config);

#endif
