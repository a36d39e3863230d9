// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the way into another process's session: its configuration map is found among its open files
 * and borrowed. Who may do that is the kernel's decision (as for tracing: the same user or root), so
 * there is no file and no socket that anyone else could write to.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "config.h"
#include "error.h"

/* The kernel shows the kind of an open file as its link: anon_inode:bpf-map. */
static int is_map(__u32 pid, const char *fd)
{
	char path[64], target[64];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/%u/fd/%.16s", pid, fd);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return 0;
	target[length] = '\0';
	return strstr(target, "bpf-map") != NULL;
}

/* A descriptor of ours for descriptor `fd` of that process if it is a configuration; or -1. */
static int borrow(int pidfd, int fd)
{
	struct bpf_map_info info = {};
	__u32 size = sizeof(info);
	int ours = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);

	if (ours < 0)
		return -1;
	if (!bpf_obj_get_info_by_fd(ours, &info, &size) && !strcmp(info.name, "ebtop_config") &&
	    info.value_size == sizeof(struct ebtop_config))
		return ours;
	close(ours);
	return -1;
}

static int find_config(__u32 pid, int pidfd)
{
	char path[32];
	int found = -1, refused = 0;
	struct dirent *entry;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%u/fd", pid);
	folder = opendir(path);
	if (!folder)
		return errno == ENOENT ? -ESRCH : -errno;
	while (found < 0 && (entry = readdir(folder))) {
		if (entry->d_name[0] == '.' || !is_map(pid, entry->d_name))
			continue;
		errno = 0;
		found = borrow(pidfd, atoi(entry->d_name));
		refused |= found < 0 && (errno == EPERM || errno == EACCES);
	}
	closedir(folder);
	if (found < 0)
		return refused ? -EPERM : -ESRCH;
	return found;
}

int ebtop_filter_other(__u32 pid, const struct ebtop_config *filter, struct ebtop_error *err)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), fd;
	volatile struct ebtop_config *now;

	if (pidfd < 0)
		return error_set(err, -errno, "", "there is no process %u", pid);
	fd = find_config(pid, pidfd);
	close(pidfd);
	if (fd == -EPERM || fd == -EACCES)
		return error_set(err, -EPERM, "",
				 "process %u may be set by root only, or with all its privileges",
				 pid);
	if (fd < 0)
		return error_set(err, -ESRCH, "", "process %u is no running ebtop with BPF", pid);
	now = config_map(fd);
	close(fd);
	if (!now)
		return error_set(err, -errno, "config", "cannot map the configuration of %u", pid);
	if (filter)
		config_set_filter(now, filter);
	config_unmap(now);
	return 0;
}
