// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the process that stands by while a command runs under a memory limit. It is the parent of
 * the command and of the watcher (the ebtop that measures the command). It uses almost no memory,
 * so that the command has as much as it would have alone. It forwards signals, hands the exit
 * status of the command to the watcher, and survives when the kernel kills the watcher for lack of
 * memory. Nothing here allocates memory or returns to Python.
 */
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ebtop.h"

#define LINE_BYTES 512
#define KEPT_MAX 256
#define AROUND_BYTES 65536ull
#define DECOYS 2
#define FDS_CLOSED 64
#define ABANDONED 125 /* as commands/run_command.py has it: it was never let go */
#define PASSED_ON 5

static const int passed_on[PASSED_ON] = { SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGCHLD };

/* ---- giving memory back ---- */

struct range {
	__u64 start, end;
};

struct mapping {
	struct range range;
	__u64 inode;  /* 0: of no file */
	int writable; /* and private */
	int stack;
};

/* What has to stay: data of programs and libraries, and what is this thread's own. */
struct kept {
	struct range range[KEPT_MAX];
	int count;
	__u64 program; /* an address in the program; its data are Python's, and go */
};

static void keep(struct kept *kept, __u64 start, __u64 end)
{
	const __u64 page = 4095;

	if (kept->count < KEPT_MAX)
		kept->range[kept->count++] = (struct range){ start & ~page, (end + page) & ~page };
}

static int keep_data_of(struct dl_phdr_info *info, size_t size, void *context)
{
	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];
		const __u64 start = info->dlpi_addr + part->p_vaddr;

		if (part->p_type == PT_LOAD && part->p_flags & PF_W)
			keep(context, start, start + part->p_memsz);
	}
	return 0;
}

/* All but what is to be kept. */
static void give_back(struct range range, const struct kept *kept)
{
	while (range.start < range.end) {
		struct range part = range;

		for (int i = 0; i < kept->count; i++) {
			const struct range *other = &kept->range[i];

			if (other->start <= part.start && other->end > part.start)
				part.start = other->end;
			else if (other->start > part.start && other->start < part.end)
				part.end = other->start;
		}
		if (part.start >= range.end)
			return;
		/* something begins where the part that was to be kept ends */
		if (part.start >= part.end) {
			range.start = part.start;
			continue;
		}
		madvise((void *)(unsigned long)part.start, part.end - part.start, MADV_DONTNEED);
		range.start = part.end;
	}
}

static __u64 number_in(const char **text, unsigned int base)
{
	__u64 value = 0;

	for (;; (*text)++) {
		const char digit = **text;

		if (digit >= '0' && digit <= '9')
			value = value * base + (__u64)(digit - '0');
		else if (base == 16 && digit >= 'a' && digit <= 'f')
			value = value * base + (__u64)(digit - 'a' + 10);
		else
			return value;
	}
}

/* `start-end rw-p offset device inode   name` */
static void parse(const char *line, struct mapping *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->range.start = number_in(&line, 16);
	line++;
	ret->range.end = number_in(&line, 16);
	ret->writable = !strncmp(line, " rw-p ", 6);
	ret->stack = strstr(line, "[stack") != NULL;
	for (int words = 0; words < 3 && *line; words++) {
		line += *line == ' ';
		while (*line && *line != ' ')
			line++;
	}
	line += *line == ' ';
	ret->inode = number_in(&line, 10);
}

static void take(const char *line, struct kept *kept, __u64 *program)
{
	struct mapping mapping;

	parse(line, &mapping);
	if (kept->program >= mapping.range.start && kept->program < mapping.range.end)
		*program = mapping.inode;
	if (!mapping.writable || mapping.stack)
		return;
	if (!mapping.inode)
		give_back(mapping.range, kept);
	else if (mapping.inode == *program)
		madvise((void *)(unsigned long)mapping.range.start,
			mapping.range.end - mapping.range.start, MADV_DONTNEED);
}

/* All that Python has; the file is read anew as it goes, a piece at a time. */
static void give_all_back(void)
{
	struct kept kept = { .program = getauxval(AT_PHDR) };
	const __u64 mine = (__u64)(unsigned long)&errno, here = (__u64)(unsigned long)&kept;
	__u64 program = 0;
	char line[LINE_BYTES], piece[4096];
	size_t used = 0;
	ssize_t count;
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

	dl_iterate_phdr(keep_data_of, &kept);
	keep(&kept, mine - AROUND_BYTES, mine + AROUND_BYTES);
	keep(&kept, here - AROUND_BYTES, here + AROUND_BYTES);
	while (fd >= 0 && kept.count < KEPT_MAX && (count = read(fd, piece, sizeof(piece))) > 0) {
		for (ssize_t i = 0; i < count; i++) {
			if (piece[i] != '\n') {
				if (used < sizeof(line) - 1)
					line[used++] = piece[i];
				continue;
			}
			line[used] = '\0';
			used = 0;
			take(line, &kept, &program);
		}
	}
	if (fd >= 0)
		close(fd);
}

/* ---- standing by ---- */

struct state {
	struct ebtop_standby who;
	int signals;
	int command_ended, watcher_ended;
	int told; /* the watcher has had the command's end, and ends with what that comes to */
	int command_status, watcher_status;
};

static void say(const char *text)
{
	if (write(2, text, strlen(text)) < 0)
		return; /* nobody is there to be told */
}

static void reap_command(struct state *state, int flags)
{
	struct ebtop_ended ended = { 0 };
	struct rusage usage;
	int status;

	if (state->command_ended || wait4((pid_t)state->who.command, &status, flags, &usage) <= 0)
		return;
	state->command_ended = 1;
	state->command_status = status;
	ended.user_ns =
		(__u64)usage.ru_utime.tv_sec * 1000000000 + (__u64)usage.ru_utime.tv_usec * 1000;
	ended.kernel_ns =
		(__u64)usage.ru_stime.tv_sec * 1000000000 + (__u64)usage.ru_stime.tv_usec * 1000;
	ended.peak_rss_kib = (__u64)usage.ru_maxrss;
	ended.minor_faults = (__u64)usage.ru_minflt;
	ended.major_faults = (__u64)usage.ru_majflt;
	ended.blocks_in = (__u64)usage.ru_inblock;
	ended.blocks_out = (__u64)usage.ru_oublock;
	ended.voluntary_switches = (__u64)usage.ru_nvcsw;
	ended.involuntary_switches = (__u64)usage.ru_nivcsw;
	ended.status = status;
	if (!state->watcher_ended && write(state->who.answers, &ended, sizeof(ended)) < 0)
		return; /* it was killed meanwhile */
}

/* The terminal tells the whole group itself. */
static void pass_on(const struct state *state, const struct signalfd_siginfo *info)
{
	const int number = (int)info->ssi_signo;

	if ((number == SIGINT || number == SIGQUIT) && info->ssi_code == SI_KERNEL)
		return;
	kill((pid_t)(state->command_ended ? state->who.watcher : state->who.command), number);
}

/* Killed, it cannot report; the command is let go all the same if it was not, and is not told. */
static void lose_watcher(struct state *state)
{
	state->watcher_ended = 1;
	if (WIFSIGNALED(state->watcher_status)) {
		say("ebtop: the report is lost: what watches was killed, for want of memory in the"
		    " memory cgroup\n");
		if (write(state->who.go, "!", 1) < 0 && errno != EPIPE)
			say("ebtop: the command cannot be let go\n");
	}
	close(state->who.go);
}

static void hear(struct state *state)
{
	struct signalfd_siginfo info;

	while (read(state->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGCHLD)
			pass_on(state, &info);
		else if (!state->watcher_ended &&
			 waitpid((pid_t)state->who.watcher, &state->watcher_status, WNOHANG) > 0)
			lose_watcher(state);
		if (state->watcher_ended)
			reap_command(state, WNOHANG);
	}
}

/*
 * The kernel takes a victim for gone a moment before its pages are free; a command that asks again just
 * then would be the next. These two would be next: they do nothing but wait for that, with no memory of
 * their own to speak of.
 */
static void post_decoys(void)
{
	for (int i = 0; i < DECOYS; i++) {
		int fd;

		if (syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) != 0)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "1000", 4) != 4)
			_exit(0);
		for (fd = 0; fd < FDS_CLOSED; fd++)
			close(fd);
		for (;;)
			pause();
	}
}

static int shell_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void ebtop_stand_by(const struct ebtop_standby *who)
{
	struct state state = { .who = *who };
	struct pollfd polled[2];
	sigset_t set;
	char byte;

	sigemptyset(&set);
	for (int i = 0; i < PASSED_ON; i++)
		sigaddset(&set, passed_on[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	state.signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	polled[0] = (struct pollfd){ .fd = state.signals, .events = POLLIN };
	polled[1] = (struct pollfd){ .fd = state.who.asks, .events = POLLIN };
	give_all_back();
	post_decoys();
	/* one that ended before its signal was blocked is not told of */
	if (waitpid((pid_t)state.who.watcher, &state.watcher_status, WNOHANG) > 0)
		lose_watcher(&state);
	while (!state.watcher_ended || !state.command_ended) {
		if (state.watcher_ended)
			reap_command(&state, WNOHANG);
		if (state.watcher_ended && state.command_ended)
			break;
		if (poll(polled, 2, -1) < 0 && errno != EINTR)
			break;
		if (polled[1].revents) {
			state.told = read(state.who.asks, &byte, 1) == 1;
			if (state.told)
				reap_command(&state, 0);
			polled[1].fd = -1;
		}
		hear(&state);
	}
	if (!WIFSIGNALED(state.watcher_status) &&
	    (state.told || shell_status(state.command_status) == ABANDONED))
		_exit(WEXITSTATUS(state.watcher_status));
	_exit(shell_status(state.command_status));
}
