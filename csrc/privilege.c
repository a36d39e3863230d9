// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns dropping privileges: the system calls, their order, and the check that they took effect. It
 * also tells whether exec granted privileges. Python decides which user to become and which
 * capabilities to keep. The process must have one thread, because capabilities belong to threads.
 */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ebtop.h"
#include "util/error.h"

#define BIT(capability) (1ull << (capability))

int ebtop_is_elevated(void)
{
	unsigned long secure;

	/* not /proc/self/auxv: of such a process its user cannot read that */
	errno = 0;
	secure = getauxval(AT_SECURE);
	return secure || errno || getuid() != geteuid() || getgid() != getegid();
}

/* The kernel gives and takes a set of capabilities in two halves. */
struct sets {
	struct __user_cap_data_struct half[2];
};

static int get_sets(struct sets *sets)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };

	return (int)syscall(SYS_capget, &header, sets->half);
}

static int keep_only(__u64 capabilities)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct sets sets;

	if (get_sets(&sets))
		return -1;
	for (int i = 0; i < 2; i++) {
		sets.half[i].permitted &= (__u32)(capabilities >> 32 * i);
		sets.half[i].effective = sets.half[i].permitted;
		sets.half[i].inheritable = 0;
	}
	return (int)syscall(SYS_capset, &header, sets.half);
}

static int holds_any(void)
{
	struct sets sets;

	return get_sets(&sets) || sets.half[0].permitted || sets.half[1].permitted;
}

/* Needs CAP_SETPCAP. Without it the set stays, and no_new_privs sees to it that it gives nothing. */
static int empty_bounding_set(void)
{
	struct sets sets;

	if (get_sets(&sets))
		return -1;
	if (!(sets.half[0].effective & BIT(CAP_SETPCAP)))
		return 0;
	for (int i = 0; prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
		if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0))
			return -1;
	return 0;
}

static int become(__u32 uid, __u32 gid)
{
	/* or the kernel takes all capabilities with the uid; it is reset by hand, exec is far */
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) || setgroups(0, NULL) || setresgid(gid, gid, gid) ||
	    setresuid(uid, uid, uid))
		return -1;
	return prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
}

/* What must not be possible any more is tried, and what must be so is read back. */
static int took_effect(const struct ebtop_privileges *keep)
{
	struct sets sets;

	if (get_sets(&sets))
		return 0;
	for (int i = 0; i < 2; i++) {
		__u32 others = ~(__u32)(keep->capabilities >> 32 * i);

		if ((sets.half[i].permitted | sets.half[i].effective) & others ||
		    sets.half[i].inheritable)
			return 0;
	}
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 0;
	if (keep->uid == EBTOP_ANY_UID)
		return 1;
	return !getgroups(0, NULL) && getuid() == keep->uid && geteuid() == keep->uid &&
	       getgid() == keep->gid && getegid() == keep->gid && setuid(0) && setgid(0);
}

int ebtop_drop_privileges(const struct ebtop_privileges *keep, struct ebtop_error *err)
{
	const char *what = "empty the bounding set";
	int ret = empty_bounding_set();

	if (!ret && keep->uid != EBTOP_ANY_UID) {
		what = "become another user";
		errno = -error_injected("become");
		ret = errno ? -1 : become(keep->uid, keep->gid);
	}
	if (!ret && holds_any()) {
		/* What was opened with them is left, and its user must not get at that. Before they
		 * go: whoever lacks them cannot trace it until then, so there is no moment between. */
		what = "become untraceable";
		ret = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	}
	if (!ret) {
		what = "reduce the capabilities";
		ret = prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	}
	if (!ret)
		ret = keep_only(keep->capabilities);
	if (!ret)
		ret = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (ret)
		return error_set(err, -EIO, "privileges", "cannot %s: %s", what, strerror(errno));
	if (!took_effect(keep))
		return error_set(err, -EIO, "privileges", "giving them up had no effect");
	return 0;
}
