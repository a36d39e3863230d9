// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the maps that several probes share, and how large they are.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "error.h"
#include "maps.h"

#define THREADS_MAX 65536
#define EVENTS_BYTES (1u << 20)
#define PIDS_MAX (1u << 22) /* the kernel's PID_MAX_LIMIT */

struct shape {
	const char *name;
	enum bpf_map_type type;
	__u32 value_size;
	__u32 flags;
};

static const struct shape shapes[SHARED_MAPS] = {
	[MAP_SLOTS] = { "slots", BPF_MAP_TYPE_ARRAY, sizeof(struct ebtop_slot), BPF_F_MMAPABLE },
	[MAP_PID_PAGES] = { "pid_pages", BPF_MAP_TYPE_ARRAY, sizeof(struct ebtop_pid_page), 0 },
	[MAP_FREE_SLOTS] = { "free_slots", BPF_MAP_TYPE_ARRAY, sizeof(struct ebtop_free_slots),
			     BPF_F_MMAPABLE },
	[MAP_EVENTS] = { "events", BPF_MAP_TYPE_RINGBUF, 0, 0 },
	[MAP_LOSSES] = { "losses", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(__u64), 0 },
};

static __u32 pid_max(void)
{
	unsigned int value = PIDS_MAX;
	FILE *file = fopen("/proc/sys/kernel/pid_max", "re");

	if (file) {
		if (fscanf(file, "%u", &value) != 1 || value > PIDS_MAX)
			value = PIDS_MAX;
		fclose(file);
	}
	return value;
}

/* EBTOP_THREADS_MAX lets tests run out of slots; larger than the default it is for huge machines. */
static __u32 threads_max(void)
{
	const char *text = getenv("EBTOP_THREADS_MAX");
	unsigned long value = text ? strtoul(text, NULL, 10) : 0;

	return value > 0 && value <= PIDS_MAX ? (__u32)value : THREADS_MAX;
}

/* A refusal alone does not say why. A map of 8 bytes is made where the limit is what is too low. */
static int locked_memory_is_short(void)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "tiny", sizeof(__u32), sizeof(__u64), 1, NULL);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int refused(struct ebtop_error *err, const struct shape *shape, int code)
{
	if (code == -EPERM && locked_memory_is_short())
		return error_set(err, code, "maps",
				 "map %s needs more locked memory than allowed (ulimit -l)",
				 shape->name);
	if (code == -ENOMEM)
		return error_set(
			err, code, "maps",
			"no memory for map %s: the machine or its memory cgroup is too small",
			shape->name);
	if (code == -EINVAL && shape->type == BPF_MAP_TYPE_RINGBUF)
		return error_set(err, -EOPNOTSUPP, "maps", "this kernel has no BPF ring buffer");
	return error_set(err, code, "maps", "cannot create map %s: %s", shape->name,
			 strerror(-code));
}

static int create(const struct shape *shape, __u32 entries)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = shape->flags);
	__u32 key = shape->type == BPF_MAP_TYPE_RINGBUF ? 0 : sizeof(__u32);
	int ret = error_injected(shape->name);

	if (!ret)
		ret = bpf_map_create(shape->type, shape->name, key, shape->value_size, entries,
				     &opts);
	return ret;
}

int maps_open(struct maps *maps, struct ebtop_error *err)
{
	int cpus = libbpf_num_possible_cpus();
	__u32 entries[SHARED_MAPS];

	memset(maps->fd, -1, sizeof(maps->fd));
	if (cpus < 0)
		return error_set(err, cpus, "maps", "cannot read /sys/devices/system/cpu/possible");
	maps->cpus = (__u32)cpus;
	maps->slot_count = 1 + maps->cpus + threads_max();
	entries[MAP_SLOTS] = maps->slot_count;
	entries[MAP_PID_PAGES] = pid_max() / EBTOP_PIDS_PER_PAGE + 1;
	entries[MAP_FREE_SLOTS] = maps->cpus;
	entries[MAP_EVENTS] = EVENTS_BYTES;
	entries[MAP_LOSSES] = EBTOP_LOSSES;
	for (int i = 0; i < SHARED_MAPS; i++) {
		maps->fd[i] = create(&shapes[i], entries[i]);
		if (maps->fd[i] < 0)
			return refused(err, &shapes[i], maps->fd[i]);
	}
	return 0;
}

void maps_close(struct maps *maps)
{
	for (int i = 0; i < SHARED_MAPS; i++) {
		if (maps->fd[i] >= 0)
			close(maps->fd[i]);
		maps->fd[i] = -1;
	}
}

int maps_share(const struct maps *maps, struct bpf_object *object)
{
	for (int i = 0; i < SHARED_MAPS; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(object, shapes[i].name);
		int ret;

		if (!map)
			continue;
		if (shapes[i].value_size && bpf_map__value_size(map) != shapes[i].value_size)
			return -EPROTO;
		ret = bpf_map__reuse_fd(map, maps->fd[i]);
		if (ret)
			return ret;
	}
	return 0;
}

int maps_losses(const struct maps *maps, __u64 losses[EBTOP_LOSSES])
{
	__u64 *values = calloc(maps->cpus, sizeof(*values));
	int ret = values ? 0 : -ENOMEM;

	for (__u32 cause = 0; !ret && cause < EBTOP_LOSSES; cause++) {
		ret = bpf_map_lookup_elem(maps->fd[MAP_LOSSES], &cause, values);
		losses[cause] = 0;
		for (__u32 cpu = 0; !ret && cpu < maps->cpus; cpu++)
			losses[cause] += values[cpu];
	}
	free(values);
	return ret;
}
