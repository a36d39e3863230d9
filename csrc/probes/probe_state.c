// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the state of a probe in words: why it does not run, and what it takes over from its carrier.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "probes/probe.h"
#include "util/error.h"

#define BTF_PATH "/sys/kernel/btf/vmlinux"

void probe_explain(struct probe *probe, int code)
{
	const char *detail = error_last_libbpf();

	if (code != -EPERM && access(BTF_PATH, F_OK)) {
		probe->state = EBTOP_PROBE_UNSUPPORTED;
		strcpy(probe->reason, "this kernel has no BTF (" BTF_PATH ")");
		return;
	}
	/* a program that is too large for the verifier gets the same errno, but never attaches */
	if (code == -E2BIG && probe->failed_to_attach) {
		probe->state = EBTOP_PROBE_FAILED;
		strcpy(probe->reason, "the hook has as many BPF programs as the kernel allows");
		return;
	}
	/* the verifier returns EACCES too, and does not mean privileges */
	if (!strncmp(detail, EBTOP_VERIFIER, strlen(EBTOP_VERIFIER))) {
		probe->state = EBTOP_PROBE_FAILED;
		snprintf(probe->reason, sizeof(probe->reason), "%s", detail);
		return;
	}
	switch (-code) {
	case EPERM:
	case EACCES:
		probe->state = EBTOP_PROBE_DENIED;
		snprintf(probe->reason, sizeof(probe->reason), "the kernel refused the program: %s",
			 strerror(-code));
		return;
	case ENOENT:
	case ESRCH:
	case EOPNOTSUPP:
		probe->state = EBTOP_PROBE_UNSUPPORTED;
		break;
	default:
		probe->state = EBTOP_PROBE_FAILED;
	}
	if (*detail)
		snprintf(probe->reason, sizeof(probe->reason), "%s (%s)", strerror(-code), detail);
	else
		snprintf(probe->reason, sizeof(probe->reason), "%s", strerror(-code));
}

int probe_refuse(struct probe *probe, enum ebtop_probe_state state, const char *reason)
{
	probe->state = state;
	probe->hook[0] = '\0';
	snprintf(probe->reason, sizeof(probe->reason), "%s", reason);
	return -ECANCELED;
}

void probe_mark_not_requested(struct probe *probe)
{
	probe_refuse(probe, EBTOP_PROBE_OFF, "not asked for");
}

void probe_join_hooks(struct probe *probe, const struct probe *through)
{
	char own[sizeof(probe->hook)];

	if (strstr(probe->hook, through->hook))
		return;
	memcpy(own, probe->hook, sizeof(own));
	snprintf(probe->hook, sizeof(probe->hook), "%.100s, %.120s", through->hook, own);
}

void probe_take_state(struct probe *probe, const struct probe *through)
{
	probe->state = through->state;
	memcpy(probe->hook, through->hook, sizeof(probe->hook));
	memcpy(probe->reason, through->reason, sizeof(probe->reason));
}
