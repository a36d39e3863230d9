/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns adding a call of mmap, munmap, mremap or brk to its thread: the number of calls, and the
 * memory gained and lost, in whole pages. Calls that fail do not count. A probe calls it.
 *
 * The arguments tell what a call asked for. A call may remove less than that, where not all of the
 * range was mapped: the kernel's count of mapped pages tells, unless another thread changed it
 * meanwhile. So the slot of the leader counts the calls in progress in a process with several
 * threads: a call that was alone from beginning to end uses the kernel's count, any other uses its
 * arguments.
 */
#ifndef EBTOP_MEM_BPF_H
#define EBTOP_MEM_BPF_H

#include "calls.bpf.h"
#include "config.bpf.h"
#include "latency.bpf.h"

#define MAP_FIXED 0x10
#define MREMAP_FIXED 2
#define MREMAP_DONTUNMAP 4

/* of ebtop_mem_slot.call, beside the kind */
#define CALL_ALONE 0x100   /* no other call of its process began before it */
#define CALL_COUNTED 0x200 /* among the calls of its process */

const volatile __u64 cfg_page_bytes = 4096;

/* beside the slots, same index; size is set before loading */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ebtop_mem_slot);
} mem_slots SEC(".maps");

struct mem_change {
	__u64 address, allocated, freed;
	__u64 most; /* what it can have taken away */
	bool asked; /* and was asked to, so it did if nothing else tells */
};

static __always_inline bool is_memory(__u32 kind)
{
	kind &= EBTOP_KIND_SPECIAL;
	return kind >= EBTOP_KIND_MMAP && kind <= EBTOP_KIND_MMAP_OLD;
}

/* Of a number whose table is not known yet: nearly all calls are told apart by this. */
static __always_inline bool may_be_memory(__u64 id)
{
	__u32 number = id % EBTOP_SYSCALL_COMPAT;

	return is_memory(cfg_kinds[number]) || is_memory(cfg_kinds[number + EBTOP_SYSCALL_COMPAT]);
}

static __always_inline __u64 whole_pages(__u64 bytes)
{
	return (bytes + cfg_page_bytes - 1) & ~(cfg_page_bytes - 1);
}

/* The slot may have been another thread's. */
static __always_inline struct ebtop_mem_slot *mem_slot(const __u32 *index,
						       const struct ebtop_slot *slot)
{
	struct ebtop_mem_slot *mem = bpf_map_lookup_elem(&mem_slots, index);

	if (mem && mem->start_ns != slot->start_ns) {
		__builtin_memset(mem, 0, sizeof(*mem));
		mem->start_ns = slot->start_ns;
	}
	return mem;
}

/* NULL when it has no slot, or has made no such call itself. */
static __always_inline struct ebtop_mem_slot *leaders_mem(__u32 pid)
{
	__u32 *index = slot_index(pid);
	const struct ebtop_slot *slot = index && *index ? slot_at(*index) : NULL;
	struct ebtop_mem_slot *mem = slot ? bpf_map_lookup_elem(&mem_slots, index) : NULL;

	return mem && mem->start_ns == slot->start_ns ? mem : NULL;
}

/*
 * `task` is the current one; where it is but an address, it is read by helper. Asked for once, before
 * paths part: the verifier takes long over a pointer.
 */
static __always_inline struct mm_struct *memory_of(struct task_struct *task)
{
	return has_current_task() ? task->mm : BPF_CORE_READ(task, mm);
}

static __always_inline __u64 pages_mapped(struct mm_struct *mm)
{
	if (has_current_task())
		return mm ? mm->total_vm : 0;
	return BPF_CORE_READ(mm, total_vm);
}

static __always_inline __u64 end_of_heap(struct mm_struct *mm)
{
	if (has_current_task())
		return mm ? mm->brk : 0;
	return BPF_CORE_READ(mm, brk);
}

static __always_inline bool has_one_thread(struct task_struct *task)
{
	if (has_current_task())
		return task->signal->nr_threads == 1;
	return BPF_CORE_READ(task, signal, nr_threads) == 1;
}

/* Neither directly nor by helper where that is refused: then nothing is counted. */
static __always_inline bool memory_can_be_read(bool with_reads)
{
	return with_reads || has_current_task();
}

static __always_inline void memory_enter(const struct ebtop_config *now, struct task_struct *task,
					 __u32 pid, const __u32 *index,
					 const struct ebtop_slot *slot, __u32 kind)
{
	struct ebtop_mem_slot *mem, *leader;
	struct mm_struct *mm = memory_of(task);

	mem = mem_slot(index, slot);
	if (!mem)
		return;
	mem->generation = now->generation;
	mem->call = kind & EBTOP_KIND_SPECIAL;
	if (mem->call == EBTOP_KIND_BRK) {
		mem->before = end_of_heap(mm);
		return;
	}
	if (has_one_thread(task)) {
		mem->call |= CALL_ALONE;
	} else {
		leader = leaders_mem(pid);
		if (leader) {
			mem->call |= CALL_COUNTED;
			mem->call |= leader->begun == leader->ended ? CALL_ALONE : 0;
			mem->turn = leader->begun + 1;
			__sync_fetch_and_add(&leader->begun, 1);
		}
	}
	mem->before = pages_mapped(mm);
}

/* Its turn is over; whether any other call began meanwhile. */
static __always_inline bool end_turn(const struct ebtop_mem_slot *mem, __u32 pid)
{
	struct ebtop_mem_slot *leader = leaders_mem(pid);
	bool disturbed = !leader || leader->begun != mem->turn;

	if (leader)
		__sync_fetch_and_add(&leader->ended, 1);
	return disturbed;
}

/* Of the arguments of 32-bit x86's first mmap, as it has them in memory. */
static __always_inline __u32 old_argument(__u64 arguments, int which)
{
	__u32 value = 0;

	bpf_probe_read_user(&value, sizeof(value), (void *)(arguments + which * sizeof(value)));
	return value;
}

static __always_inline void of_mmap(struct mem_change *change, const struct pt_regs *regs,
				    bool compat, bool old, __u64 ret)
{
	__u64 length, flags;

	if (old) {
		length = old_argument(syscall_argument_at_return(regs, compat, 0), 1);
		flags = old_argument(syscall_argument_at_return(regs, compat, 0), 3);
	} else {
		length = syscall_argument_at_return(regs, compat, 1);
		flags = syscall_argument_at_return(regs, compat, 3);
	}
	change->address = ret;
	change->allocated = whole_pages(length);
	/* where nothing had to be there, this takes nothing away */
	change->most = flags & MAP_FIXED ? change->allocated : 0;
}

static __always_inline void of_mremap(struct mem_change *change, const struct pt_regs *regs,
				      bool compat, __u64 ret)
{
	__u64 before = whole_pages(syscall_argument_at_return(regs, compat, 1));
	__u64 after = whole_pages(syscall_argument_at_return(regs, compat, 2));
	__u64 flags = syscall_argument_at_return(regs, compat, 3);

	change->address = ret;
	if (flags & MREMAP_DONTUNMAP)
		before = 0;
	if (after > before)
		change->allocated = after - before;
	else
		change->most = before - after;
	change->asked = change->most != 0;
	if (flags & MREMAP_FIXED)
		change->most += after;
}

/* False when it failed: brk tells so by the end that it did not move. */
static __always_inline bool of_brk(struct mem_change *change, const struct pt_regs *regs,
				   bool compat, __u64 before, __u64 ret)
{
	__u64 wanted = syscall_argument_at_return(regs, compat, 0);

	if (wanted && wanted != ret)
		return false;
	change->address = ret;
	before = whole_pages(before);
	ret = whole_pages(ret);
	if (ret > before)
		change->allocated = ret - before;
	else
		change->freed = before - ret;
	return true;
}

/* What went, of what can have gone. */
static __always_inline void find_freed(struct mem_change *change, struct mm_struct *mm,
				       __u64 before, bool alone)
{
	__s64 gone;

	if (!change->most)
		return;
	gone = change->allocated - (pages_mapped(mm) - before) * cfg_page_bytes;
	if (!alone && change->asked)
		gone = change->most;
	change->freed = gone < 0 ? 0 : gone;
	if (change->freed > change->most)
		change->freed = change->most;
}

static __always_inline void emit_change(const struct ebtop_config *now, __u32 kind,
					const struct mem_change *change, bool with_reads)
{
	struct ebtop_mem *event;

	if (change->allocated < now->min_bytes && change->freed < now->min_bytes)
		return;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		count_loss(EBTOP_LOST_RING_BUFFER);
		return;
	}
	fill_head_of_current(&event->head, EBTOP_EVENT_MEM, with_reads);
	event->head.size = sizeof(*event);
	event->address = change->address;
	event->allocated_bytes = change->allocated;
	event->freed_bytes = change->freed;
	event->call = kind;
	event->pad = 0;
	submit(event);
}

static __always_inline void count_change(struct ebtop_mem_slot *mem, __u32 kind,
					 const struct mem_change *change)
{
	__u64 class = log2_of(change->allocated);

	mem->mmaps += kind == EBTOP_KIND_MMAP || kind == EBTOP_KIND_MMAP_OLD;
	mem->munmaps += kind == EBTOP_KIND_MUNMAP;
	mem->brks += kind == EBTOP_KIND_BRK;
	mem->allocated_bytes += change->allocated;
	mem->freed_bytes += change->freed;
	if (!change->allocated)
		return;
	class = class > EBTOP_SIZE_FROM ? class - EBTOP_SIZE_FROM : 0;
	barrier_var(class); /* or the compiler drops the bound that the verifier wants to see */
	mem->sizes[class < EBTOP_SIZE_CLASSES ? class : EBTOP_SIZE_CLASSES - 1]++;
}

static __always_inline void memory_return(const struct ebtop_config *now, struct task_struct *task,
					  __u32 pid, const __u32 *index,
					  const struct ebtop_slot *slot, const struct pt_regs *regs,
					  bool compat, long ret, bool with_reads)
{
	struct mm_struct *mm = memory_of(task);
	struct ebtop_mem_slot *mem = bpf_map_lookup_elem(&mem_slots, index);
	struct mem_change change = {};
	__u32 call, kind;
	bool alone;

	if (!mem || mem->start_ns != slot->start_ns || !mem->call)
		return;
	call = mem->call;
	mem->call = 0;
	alone = call & CALL_ALONE;
	if (call & CALL_COUNTED && end_turn(mem, pid))
		alone = false;
	/* it entered with another filter */
	if (mem->generation != now->generation || (unsigned long)ret >= (unsigned long)-4095)
		return;
	kind = call & EBTOP_KIND_SPECIAL;
	if (kind == EBTOP_KIND_BRK) {
		if (!of_brk(&change, regs, compat, mem->before, ret))
			return;
	} else if (kind == EBTOP_KIND_MUNMAP) {
		change.address = syscall_argument_at_return(regs, compat, 0);
		change.most = whole_pages(syscall_argument_at_return(regs, compat, 1));
		change.asked = true;
	} else if (kind == EBTOP_KIND_MREMAP) {
		of_mremap(&change, regs, compat, ret);
	} else {
		of_mmap(&change, regs, compat, kind == EBTOP_KIND_MMAP_OLD, ret);
	}
	find_freed(&change, mm, mem->before, alone);
	count_change(mem, kind, &change);
	if (now->collect & EBTOP_COLLECT_ALLOCATIONS)
		emit_change(now, kind, &change, with_reads);
}

#endif
