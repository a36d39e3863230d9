// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the maps that several probes share, and their sizes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "util/error.h"
#include "shared/maps.h"
#include "util/testing.h"

#define THREADS_MAX 65536
#define CONNECTIONS_MAX 65536
#define EVENTS_BYTES (1u << 20)
#define EVENTS_BYTES_LITTLE (1u << 18)
#define EVENTS_BYTES_MAX (1u << 30)
#define SHARDS_MAX 16   /* 1.1 MiB each; with more CPUs they are shared */
#define FILES_MAX 512   /* of the process that is looked at; half a KiB each */
#define STACKS_MAX 4096 /* distinct ones; hundreds were met */
#define STACKS_LITTLE 1024
#define PIDS_MAX (1u << 22) /* the kernel's PID_MAX_LIMIT */

struct shape {
	const char *name;
	enum bpf_map_type type;
	__u32 value_size;
	__u32 flags;
	__u32 key_size; /* 0: that of an array */
};

static const struct shape shapes[SHARED_MAPS] = {
	[MAP_SLOTS] = { "slots", BPF_MAP_TYPE_ARRAY, sizeof(struct ebtop_slot), BPF_F_MMAPABLE },
	[MAP_PID_PAGES] = { "pid_pages", BPF_MAP_TYPE_ARRAY, sizeof(struct ebtop_pid_page), 0 },
	[MAP_FREE_SLOTS] = { "free_slots", BPF_MAP_TYPE_ARRAY, sizeof(struct ebtop_free_slots),
			     BPF_F_MMAPABLE },
	[MAP_EVENTS] = { "events", BPF_MAP_TYPE_RINGBUF, 0, 0 },
	[MAP_LOSSES] = { "losses", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(__u64), 0 },
	[MAP_CONFIG] = { "ebtop_config", BPF_MAP_TYPE_ARRAY, sizeof(struct ebtop_config),
			 BPF_F_MMAPABLE },
	[MAP_WAIT_SLOTS] = { "wait_slots", BPF_MAP_TYPE_ARRAY, sizeof(struct ebtop_wait_slot),
			     BPF_F_MMAPABLE },
	[MAP_WAIT_STACKS] = { "wait_stacks", BPF_MAP_TYPE_HASH, sizeof(struct ebtop_stack_reason),
			      0, sizeof(__u64) },
	[MAP_STACK_COUNTS] = { "stack_counts", BPF_MAP_TYPE_HASH, sizeof(struct ebtop_stack_count),
			       0, sizeof(__u64) },
	[MAP_STACK_COST] = { "stack_cost", BPF_MAP_TYPE_PERCPU_ARRAY,
			     sizeof(struct ebtop_stack_cost), 0 },
	[MAP_RUNQ_SHARDS] = { "runq_shards", BPF_MAP_TYPE_ARRAY, sizeof(struct ebtop_runq_shard),
			      BPF_F_MMAPABLE },
	[MAP_SYSCALL_SLOTS] = { "syscall_slots", BPF_MAP_TYPE_ARRAY,
				sizeof(struct ebtop_syscall_slot), BPF_F_MMAPABLE },
	[MAP_SYSCALL_SHARDS] = { "syscall_shards", BPF_MAP_TYPE_ARRAY,
				 sizeof(struct ebtop_syscall_shard), BPF_F_MMAPABLE },
	[MAP_ODD_NUMBERS] = { "odd_numbers", BPF_MAP_TYPE_HASH, sizeof(__u64), 0, sizeof(__u32) },
	[MAP_FILE_SLOTS] = { "file_slots", BPF_MAP_TYPE_ARRAY, sizeof(struct ebtop_file_slot),
			     BPF_F_MMAPABLE },
	[MAP_FILE_COUNTS] = { "file_counts", BPF_MAP_TYPE_HASH, sizeof(struct ebtop_file_count), 0,
			      sizeof(struct ebtop_file_key) },
	[MAP_OPEN_CALLS] = { "open_calls", BPF_MAP_TYPE_ARRAY, sizeof(struct ebtop_open_call), 0 },
	[MAP_TCP_SLOTS] = { "tcp_slots", BPF_MAP_TYPE_ARRAY, sizeof(struct ebtop_tcp_slot),
			    BPF_F_MMAPABLE },
	[MAP_MEM_SLOTS] = { "mem_slots", BPF_MAP_TYPE_ARRAY, sizeof(struct ebtop_mem_slot),
			    BPF_F_MMAPABLE },
	[MAP_CONNECTIONS] = { "connections", BPF_MAP_TYPE_LRU_HASH, sizeof(struct ebtop_connection),
			      0, sizeof(__u64) },
	[MAP_CONNECTION_COUNTS] = { "conn_counts", BPF_MAP_TYPE_ARRAY,
				    sizeof(struct ebtop_connection_counts), 0 },
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

/* Lets tests run out of room, or have more than there is by default. */
static __u32 limit(const char *text, __u32 otherwise)
{
	unsigned long value = text ? strtoul(text, NULL, 10) : 0;

	return value > 0 && value <= PIDS_MAX ? (__u32)value : otherwise;
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

	if (shape->key_size)
		key = shape->key_size;
	if (!ret)
		ret = bpf_map_create(shape->type, shape->name, key, shape->value_size, entries,
				     &opts);
	return ret;
}

/* A ring buffer is a power of two of bytes, and at least a page. */
static __u32 ring_bytes(__u32 wanted)
{
	__u32 bytes = (__u32)sysconf(_SC_PAGESIZE);

	while (bytes < wanted && bytes < EVENTS_BYTES_MAX)
		bytes *= 2;
	return bytes;
}

static __u32 shards_for(__u32 cpus)
{
	__u32 shards = 1;

	while (shards < cpus && shards < SHARDS_MAX)
		shards *= 2;
	return shards;
}

__u32 maps_room(const struct maps *maps, enum shared_map which)
{
	switch (which) {
	case MAP_SLOTS:
	case MAP_WAIT_SLOTS:
	case MAP_SYSCALL_SLOTS:
	case MAP_OPEN_CALLS:
	case MAP_FILE_SLOTS:
	case MAP_TCP_SLOTS:
	case MAP_MEM_SLOTS:
		return maps->slot_count;
	case MAP_CONNECTIONS:
		return maps->connections;
	case MAP_PID_PAGES:
		return pid_max() / EBTOP_PIDS_PER_PAGE + 1;
	case MAP_FREE_SLOTS:
	case MAP_RUNQ_SHARDS:
		return maps->cpus;
	case MAP_EVENTS:
		return maps->events_bytes;
	case MAP_LOSSES:
		return EBTOP_LOSSES;
	case MAP_WAIT_STACKS:
		return maps->little_memory ? STACKS_LITTLE : STACKS_MAX;
	case MAP_STACK_COUNTS:
		return STACKS_MAX / 4;
	case MAP_FILE_COUNTS:
		return FILES_MAX;
	case MAP_SYSCALL_SHARDS:
		return maps->shards * EBTOP_SYSCALL_ENTRIES;
	case MAP_ODD_NUMBERS:
		return EBTOP_SYSCALL_ODD;
	default:
		return 1;
	}
}

int maps_add(struct maps *maps, enum shared_map which, struct ebtop_error *err)
{
	if (maps->fd[which] >= 0)
		return 0;
	maps->fd[which] = create(&shapes[which], maps_room(maps, which));
	return maps->fd[which] < 0 ? refused(err, &shapes[which], maps->fd[which]) : 0;
}

void maps_drop(struct maps *maps, enum shared_map which)
{
	if (maps->fd[which] >= 0)
		close(maps->fd[which]);
	maps->fd[which] = -1;
}

static __u32 or_default(__u32 wanted, __u32 otherwise)
{
	return wanted ? wanted : otherwise;
}

int maps_open(struct maps *maps, const struct ebtop_settings *settings, struct ebtop_error *err)
{
	int cpus = libbpf_num_possible_cpus(), ret = 0;

	memset(maps->fd, -1, sizeof(maps->fd));
	if (cpus < 0)
		return error_set(err, cpus, "maps", "cannot read /sys/devices/system/cpu/possible");
	maps->cpus = (__u32)cpus;
	maps->little_memory = (int)settings->little_memory;
	maps->slot_count =
		1 + maps->cpus +
		limit(for_tests("EBTOP_THREADS_MAX"), or_default(settings->threads, THREADS_MAX));
	maps->connections = limit(for_tests("EBTOP_CONNECTIONS_MAX"),
				  or_default(settings->connections, CONNECTIONS_MAX));
	maps->shards = maps->little_memory ? 1 : shards_for(maps->cpus);
	maps->events_bytes = ring_bytes(or_default(
		settings->events_bytes, maps->little_memory ? EVENTS_BYTES_LITTLE : EVENTS_BYTES));
	for (int i = 0; !ret && i < MAPS_AT_ONCE; i++)
		ret = maps_add(maps, i, err);
	return ret;
}

void maps_close(struct maps *maps)
{
	for (int i = 0; i < SHARED_MAPS; i++)
		maps_drop(maps, i);
}

int maps_share(const struct maps *maps, struct bpf_object *object)
{
	for (int i = 0; i < SHARED_MAPS; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(object, shapes[i].name);
		int ret;

		if (!map || maps->fd[i] < 0)
			continue;
		if (shapes[i].value_size && bpf_map__value_size(map) != shapes[i].value_size)
			return -EPROTO;
		ret = bpf_map__reuse_fd(map, maps->fd[i]);
		if (ret)
			return ret;
	}
	return 0;
}

static __u32 id_of(int fd)
{
	struct bpf_map_info info = {};
	__u32 size = sizeof(info);

	return fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) ? 0 : info.id;
}

int maps_are_shared(const struct maps *maps, struct bpf_object *object)
{
	for (int i = 0; i < SHARED_MAPS; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(object, shapes[i].name);
		__u32 id = map ? id_of(maps->fd[i]) : 0;

		if (map && (!id || id != id_of(bpf_map__fd(map))))
			return 0;
	}
	return 1;
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

int maps_stack_cost(const struct maps *maps, struct ebtop_stack_cost *ret)
{
	struct ebtop_stack_cost *values = calloc(maps->cpus, sizeof(*values));
	int code = -ENOMEM;
	__u32 key = 0;

	if (values)
		code = bpf_map_lookup_elem(maps->fd[MAP_STACK_COST], &key, values);
	*ret = (struct ebtop_stack_cost){ 0 };
	for (__u32 cpu = 0; !code && cpu < maps->cpus; cpu++) {
		ret->runs += values[cpu].runs;
		ret->run_ns += values[cpu].run_ns;
	}
	free(values);
	return code;
}
