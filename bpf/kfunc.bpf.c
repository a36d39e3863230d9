// SPDX-License-Identifier: GPL-2.0

/*
 * Owns calls of one kernel function, named before loading: its arguments, the texts that they point
 * to, its stack, and at its return the result and the duration. User space reads from BTF what the
 * function is and which arguments are texts.
 *
 * A call is identified by its thread and by the address of its frame on the stack. So a function
 * that calls itself, or is called again from an interrupt, has each return paired with its own
 * entry.
 */
#include "config.bpf.h"

const volatile __u32 cfg_args;    /* so many are read */
const volatile __u32 cfg_texts;   /* bits: arguments that point at text */
const volatile __u32 cfg_slot;    /* of the result, behind all arguments */
const volatile __u32 cfg_stack;   /* 1: with its stack */
const volatile __u32 cfg_returns; /* 1: an event when it returns, not when it is called */
const volatile __u32 cfg_bytes;   /* of a record */

/* Returns that were missed: their frame is another call's now. */
__u64 overwritten;

struct frame_key {
	__u32 thread;
	__u32 frame;
};

/* Calls that have not returned; sizes are set before loading. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(struct frame_key));
	__uint(value_size, sizeof(struct ebtop_kfunc));
} kfunc_calls SEC(".maps");

/* What an entry begins as: all zeros, and it stays so. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct ebtop_kfunc));
} kfunc_blank SEC(".maps");

#define READ_SLOT(to, ctx, which)                                                                  \
	asm volatile("%0 = *(u64 *)(%1 + 8 * " #which ")" : "=r"(to) : "r"(ctx))

/* By constants, and so that the compiler cannot make one load of them: the verifier wants it so. */
#define READ_ARGUMENT(to, ctx, which)                                                              \
	do {                                                                                       \
		if (cfg_args > (which))                                                            \
			READ_SLOT((to)[which], ctx, which);                                        \
	} while (0)

static __always_inline void read_typed(__u64 *args, void *ctx)
{
	READ_ARGUMENT(args, ctx, 0);
	READ_ARGUMENT(args, ctx, 1);
	READ_ARGUMENT(args, ctx, 2);
	READ_ARGUMENT(args, ctx, 3);
	READ_ARGUMENT(args, ctx, 4);
	READ_ARGUMENT(args, ctx, 5);
}

static __always_inline void read_registers(__u64 *args, struct pt_regs *regs)
{
#pragma unroll
	for (int i = 0; i < EBTOP_CALL_ARGS; i++)
		if (cfg_args > i)
			args[i] = function_argument(regs, i);
}

static __always_inline __s64 typed_result(void *ctx)
{
	__s64 result = 0;

	switch (cfg_slot) {
	case 0:
		READ_SLOT(result, ctx, 0);
		break;
	case 1:
		READ_SLOT(result, ctx, 1);
		break;
	case 2:
		READ_SLOT(result, ctx, 2);
		break;
	case 3:
		READ_SLOT(result, ctx, 3);
		break;
	case 4:
		READ_SLOT(result, ctx, 4);
		break;
	case 5:
		READ_SLOT(result, ctx, 5);
		break;
	case 6:
		READ_SLOT(result, ctx, 6);
		break;
	}
	return result;
}

/* Of the trampoline that calls us at entry and at return: its context lies in its frame. */
static __always_inline __u32 frame_of_context(void *ctx)
{
	__u64 low;

	/* a copy of the half of a pointer is a number to the verifier */
	asm volatile("r0 = %1\n w0 = w0\n %0 = r0" : "=r"(low) : "r"(ctx) : "r0");
	return (__u32)low;
}

/* An idle thread has the number 0 on each CPU, and stays there. */
static __always_inline struct frame_key key_of(__u32 frame)
{
	__u32 thread = (__u32)bpf_get_current_pid_tgid();

	return (struct frame_key){
		.thread = thread ? thread : ~bpf_get_smp_processor_id(),
		.frame = frame,
	};
}

/* NULL when calls are not wanted now, or not those of the current thread. */
static __always_inline const struct ebtop_config *wanted(bool with_reads)
{
	__u64 ids = bpf_get_current_pid_tgid();
	const struct ebtop_config *now = config_for(EBTOP_COLLECT_CALLS);
	__u32 *index;

	if (!now || !passes_pid(now, ids >> 32))
		return NULL;
	index = slot_index((__u32)ids);
	if (!passes(now, ids >> 32, index && *index ? slot_at(*index) : NULL, with_reads))
		return NULL;
	return now;
}

/* ---- texts ---- */

static __always_inline void read_text(struct ebtop_kfunc *event, int which, char *to,
				      bool with_reads)
{
	__u64 address = event->call.args[which];
	long bytes = -1;

	if ((__s64)address >= 0)
		bytes = bpf_probe_read_user_str(to, EBTOP_CALL_TEXT_ROOM, (void *)address);
	else if (with_reads)
		bytes = bpf_probe_read_kernel_str(to, EBTOP_CALL_TEXT_ROOM, (void *)address);
	event->call.text_bytes[which] = bytes - 1;
	if (bytes <= 0)
		event->call.text_bytes[which] = -1;
	if (bytes > EBTOP_CALL_TEXT_BYTES + 1) {
		event->call.text_bytes[which] = EBTOP_CALL_TEXT_BYTES;
		event->call.cut |= 1u << which;
	}
}

/* `again`: those that could not be read at entry, for the kernel has had their pages read since. */
static __always_inline void read_texts(struct ebtop_kfunc *event, bool again, bool with_reads)
{
	__u32 at = cfg_stack ? EBTOP_CALL_STACK_BYTES : 0;

#pragma unroll
	for (int i = 0; i < EBTOP_CALL_ARGS; i++) {
		if (!again)
			event->call.text_bytes[i] = -1;
		if (!(cfg_texts & 1u << i))
			continue;
		if (!again || event->call.text_bytes[i] < 0)
			read_text(event, i, event->data + at, with_reads);
		at += EBTOP_CALL_TEXT_ROOM;
	}
}

/* ---- entry and return ---- */

static __always_inline void describe(struct ebtop_kfunc *event, const __u64 *args, void *ctx,
				     bool with_reads)
{
	fill_head_of_current(&event->head, EBTOP_EVENT_KPROBE, with_reads);
	event->head.size = cfg_bytes;
	event->began_ns = event->head.time_ns;
	event->duration_ns = 0;
	event->result = 0;
	event->call.texts = cfg_texts;
	event->call.cut = 0;
	event->call.with_stack = cfg_stack;
	event->call.frames = 0;
#pragma unroll
	for (int i = 0; i < EBTOP_CALL_ARGS; i++)
		event->call.args[i] = cfg_args > i ? args[i] : 0;
	if (cfg_stack) {
		long bytes = bpf_get_stack(ctx, event->data, EBTOP_CALL_STACK_BYTES, 0);

		event->call.frames = bytes < 0 ? -1 : (__s32)((__u64)bytes / 8);
	}
	read_texts(event, false, with_reads);
}

static __always_inline int account_entry(const __u64 *args, __u32 frame, void *ctx, bool with_reads)
{
	struct frame_key key = key_of(frame);
	struct ebtop_kfunc *event;
	__u32 zero = 0;

	if (!wanted(with_reads))
		return 0;
	if (!cfg_returns) {
		event = bpf_ringbuf_reserve(&events, cfg_bytes, 0);
		if (!event) {
			count_loss(EBTOP_LOST_RING_BUFFER);
			return 0;
		}
		describe(event, args, ctx, with_reads);
		submit(event);
		return 0;
	}
	if (bpf_map_lookup_elem(&kfunc_calls, &key)) {
		__sync_fetch_and_add(&overwritten, 1);
	} else {
		event = bpf_map_lookup_elem(&kfunc_blank, &zero);
		if (!event || bpf_map_update_elem(&kfunc_calls, &key, event, BPF_ANY))
			return 0; /* full: its return finds nothing and counts it */
	}
	event = bpf_map_lookup_elem(&kfunc_calls, &key);
	if (event)
		describe(event, args, ctx, with_reads);
	return 0;
}

static __always_inline int account_return(__s64 result, __u32 frame, bool with_reads)
{
	const struct ebtop_config *now = wanted(with_reads);
	struct frame_key key = key_of(frame);
	struct ebtop_kfunc *event;

	event = bpf_map_lookup_elem(&kfunc_calls, &key);
	if (!event) {
		if (now)
			count_loss(EBTOP_LOST_CALLS);
		return 0;
	}
	event->head.time_ns = bpf_ktime_get_ns();
	event->head.cpu = bpf_get_smp_processor_id();
	event->duration_ns = event->head.time_ns - event->began_ns;
	event->result = result;
	if (now && event->duration_ns >= now->min_latency_ns) {
		read_texts(event, true, with_reads);
		output(event, cfg_bytes);
	}
	bpf_map_delete_elem(&kfunc_calls, &key);
	return 0;
}

SEC("?fentry") int func_fentry(void *ctx)
{
	__u64 args[EBTOP_CALL_ARGS] = {};

	read_typed(args, ctx);
	return account_entry(args, frame_of_context(ctx), ctx, true);
}

SEC("?fexit") int func_fexit(void *ctx)
{
	return account_return(typed_result(ctx), frame_of_context(ctx), true);
}

SEC("?fentry") int bare_fentry(void *ctx)
{
	__u64 args[EBTOP_CALL_ARGS] = {};

	read_typed(args, ctx);
	return account_entry(args, frame_of_context(ctx), ctx, false);
}

SEC("?fexit") int bare_fexit(void *ctx)
{
	return account_return(typed_result(ctx), frame_of_context(ctx), false);
}

SEC("?kprobe") int func_kprobe(struct pt_regs *regs)
{
	__u64 args[EBTOP_CALL_ARGS] = {};

	read_registers(args, regs);
	return account_entry(args, function_frame(regs, false), regs, true);
}

SEC("?kretprobe") int func_kretprobe(struct pt_regs *regs)
{
	return account_return(function_result(regs), function_frame(regs, true), true);
}

char _license[] SEC("license") = "GPL";
