// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the memory of the configuration map and updates to it. Each field is one aligned word, so a
 * BPF program sees the old value or the new one. The generation changes last: fields read under one
 * generation belong together.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "shared/config.h"
#include "util/error.h"

#define GENERATIONS ((1u << (32 - EBTOP_SLOT_FOLLOWED_SHIFT)) - 1)

static size_t map_bytes(void)
{
	return (sizeof(struct ebtop_config) + 4095) & ~4095ul;
}

volatile struct ebtop_config *config_map(int fd)
{
	void *memory = mmap(NULL, map_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

void config_unmap(volatile struct ebtop_config *now)
{
	if (now)
		munmap((void *)now, map_bytes());
}

int config_open(struct config *config, const struct maps *maps, __u32 accepts,
		struct ebtop_error *err)
{
	config->now = config_map(maps->fd[MAP_CONFIG]);
	if (!config->now)
		return error_set(err, -errno, "config", "cannot map the configuration: %s",
				 strerror(errno));
	config->now->uid = EBTOP_ANY_UID;
	config->now->generation = 1;
	config->now->accepts = accepts;
	return 0;
}

void config_close(struct config *config)
{
	config_unmap(config->now);
	config->now = NULL;
}

void config_set_filter(volatile struct ebtop_config *now, const struct ebtop_config *filter)
{
	now->min_latency_ns = filter->min_latency_ns;
	now->min_bytes = filter->min_bytes;
	/* without one all would be slow: it stays */
	if (filter->slow_ns)
		now->slow_ns = filter->slow_ns;
	now->pid_start_ns = 0;
	now->named_pid = filter->pid;
	now->pid = filter->pid;
	now->uid = filter->uid;
	now->flags = filter->flags;
	now->port = filter->port;
	for (int i = 0; i < EBTOP_EXCLUDED_MAX; i++)
		now->excluded[i] = filter->excluded[i];
	for (int i = 0; i < EBTOP_CALL_WORDS; i++)
		now->calls[i] = filter->calls[i];
	__atomic_thread_fence(__ATOMIC_RELEASE);
	now->generation = now->generation % GENERATIONS + 1;
}

void config_time_every(struct config *config, __u32 every)
{
	if ((config->now->every ? config->now->every : 1) == every)
		return;
	/* the calls in progress are not of one kind */
	config->now->every = every;
	config->now->watch++;
}

void config_collect(struct config *config, __u32 collect)
{
	/* what was not told of meanwhile is not known */
	if (collect & ~config->now->collect)
		config->now->watch++;
	config->now->collect = collect;
}

__u32 config_next_epoch(struct config *config)
{
	__u32 ended = config->now->epoch & 1;

	config->now->epoch = !ended;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return ended;
}

struct ebtop_config config_read(const struct config *config)
{
	struct ebtop_config copy;

	memcpy(&copy, (const void *)config->now, sizeof(copy));
	copy.pid = copy.named_pid;
	return copy;
}
