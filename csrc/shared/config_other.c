// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns access to another ebtop's session: its configuration map is found among its open files and
 * borrowed. The kernel decides who may do that, with the check that it makes for tracing, so there
 * is no file or socket that an attacker could write to. The files of another process are untrusted:
 * a descriptor is known to be a map before it is borrowed, and checked by the map's id afterwards.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "shared/config.h"
#include "util/error.h"

#define SHAPE_LINES 16

/* The kernel shows the kind of an open file as its link. Not a part of it: files have names too.
 * 0 where it is another kind, -EPERM where we may not know. */
static int is_map(__u32 pid, const char *fd)
{
	static const char map[] = "anon_inode:bpf-map";
	char path[64], target[sizeof(map)];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/%u/fd/%.16s", pid, fd);
	length = readlink(path, target, sizeof(target));
	if (length < 0)
		return errno == EACCES || errno == EPERM ? -EPERM : 0;
	return length == sizeof(map) - 1 && !memcmp(target, map, sizeof(map) - 1);
}

/* The id of the map behind that descriptor, by the kernel's account of it; 0 when it is no map of a
 * configuration's shape. So no other file of a stranger's is ever taken in hand. */
static __u32 id_of(__u32 pid, const char *fd)
{
	unsigned int type = 0, size = 0, entries = 0, id = 0;
	char path[64], line[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%u/fdinfo/%.16s", pid, fd);
	file = fopen(path, "re");
	for (int i = 0; file && i < SHAPE_LINES && fgets(line, sizeof(line), file); i++) {
		sscanf(line, "map_type:%u", &type);
		sscanf(line, "value_size:%u", &size);
		sscanf(line, "max_entries:%u", &entries);
		sscanf(line, "map_id:%u", &id);
	}
	if (file)
		fclose(file);
	return type == BPF_MAP_TYPE_ARRAY && size == sizeof(struct ebtop_config) && entries == 1 ?
		       id :
		       0;
}

/* Ours is the map of that id, and a configuration. It may have become another file meanwhile. */
static int is_config(int ours, __u32 id)
{
	struct bpf_map_info info = {};
	__u32 size = sizeof(info);

	if (bpf_obj_get_info_by_fd(ours, &info, &size))
		return errno == EPERM ? -EACCES : 0;
	return info.id == id && info.type == BPF_MAP_TYPE_ARRAY && info.max_entries == 1 &&
	       info.value_size == sizeof(struct ebtop_config) && !strcmp(info.name, "ebtop_config");
}

/* A descriptor of ours for that one of the process, which is a configuration; else 0, or why not, as
 * find_config(). */
static int borrow(__u32 pid, int pidfd, const char *fd)
{
	int ours, ret = is_map(pid, fd);
	__u32 id;

	if (ret <= 0)
		return ret;
	id = id_of(pid, fd);
	if (!id)
		return 0;
	ours = (int)syscall(SYS_pidfd_getfd, pidfd, atoi(fd), 0);
	if (ours < 0)
		return errno == EPERM ? -EPERM : 0;
	ret = is_config(ours, id);
	if (ret > 0)
		return ours;
	close(ours);
	return ret;
}

/* -EPERM: to look takes CAP_SYS_PTRACE; -EACCES: to ask a map takes CAP_BPF. */
static int find_config(__u32 pid, int pidfd)
{
	char path[32];
	int found = 0, refused = 0;
	struct dirent *entry;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%u/fd", pid);
	folder = opendir(path);
	if (!folder)
		return errno == ENOENT ? -ESRCH : -EPERM;
	while (found <= 0 && (entry = readdir(folder))) {
		if (entry->d_name[0] == '.')
			continue;
		found = borrow(pid, pidfd, entry->d_name);
		if (found < 0)
			refused = found;
	}
	closedir(folder);
	if (found > 0)
		return found;
	return refused ? refused : -ESRCH;
}

int ebtop_filter_other(__u32 pid, const struct ebtop_config *filter, __u32 *accepts,
		       struct ebtop_error *err)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), fd;
	volatile struct ebtop_config *now;

	if (pidfd < 0)
		return error_set(err, -errno, "", "there is no process %u", pid);
	fd = find_config(pid, pidfd);
	close(pidfd);
	if (fd == -EACCES)
		return error_set(err, -EPERM, "", "to ask a map of process %u takes CAP_BPF", pid);
	if (fd == -EPERM)
		return error_set(err, -EPERM, "", "to look into process %u takes CAP_SYS_PTRACE",
				 pid);
	if (fd < 0)
		return error_set(err, -ESRCH, "", "process %u is no running ebtop with BPF", pid);
	now = config_map(fd);
	close(fd);
	if (!now)
		return error_set(err, -errno, "config", "cannot map the configuration of %u", pid);
	if (accepts)
		*accepts = now->accepts;
	if (filter)
		config_set_filter(now, filter);
	config_unmap(now);
	return 0;
}
