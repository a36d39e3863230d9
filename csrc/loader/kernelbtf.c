// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the kernel's types while probes are loaded. libbpf would read them again for every object,
 * megabytes each time, and search all of them for each struct that an object names. The linker
 * redirects three of libbpf's calls to this file (build_ffi.py: --wrap). The types are then read
 * once and indexed by name, and each object gets a subset: the types that it names and the types
 * inside those.
 *
 * A subset has ids of its own, but a search for a type to attach to returns the kernel's id.
 * Modules are not searched for an object that has a subset: ebtop names nothing that is in one.
 * Nothing is kept between loads, because it would be a large part of ebtop's memory. When several
 * objects are loaded, their subsets are built first, and the whole is freed before maps are
 * created.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "loader/btf_index.h"
#include "loader/btf_subset.h"
#include "loader/kernelbtf.h"

struct btf *__real_btf__load_vmlinux_btf(void);
struct btf *__wrap_btf__load_vmlinux_btf(void);
__s32 __real_btf__find_by_name_kind(const struct btf *btf, const char *name, __u32 kind);
__s32 __wrap_btf__find_by_name_kind(const struct btf *btf, const char *name, __u32 kind);
int __real_bpf_btf_get_next_id(__u32 start, __u32 *next);
int __wrap_bpf_btf_get_next_id(__u32 start, __u32 *next);

/* Several threads may load at once; shared types do not change once they have been read. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct btf *shared;
static struct btf_index types; /* of `shared` */
static int sharers;
static pthread_t reader;
static int reading;

#define KEPT_MAX 16
#define TARGETS_MAX 160

/* The subset for an object, by the object's name. */
static struct kept {
	char name[16];
	void *types;
	__u32 bytes;
} kept[KEPT_MAX];
static int kept_count;

/* Types that programs attach to, with their ids in the kernel, or -errno. */
static struct target {
	char name[64];
	__u32 kind;
	__s32 id;
} targets[TARGETS_MAX];
static int target_count;

static __thread const struct bpf_object *loading;
static __thread const struct btf *handed; /* the subset that libbpf was given for `loading` */

static struct btf *whole(void)
{
	pthread_mutex_lock(&lock);
	if (!shared) {
		shared = __real_btf__load_vmlinux_btf();
		if (shared)
			btf_index_make(&types, shared);
	}
	pthread_mutex_unlock(&lock);
	return shared;
}

/* ---- what is learnt before ---- */

static void forget_whole(void)
{
	if (reading)
		pthread_join(reader, NULL);
	reading = 0;
	btf_index_free(&types);
	btf__free(shared);
	shared = NULL;
}

static const struct target *target_of(const char *name, __u32 kind)
{
	for (int i = 0; i < target_count; i++)
		if (targets[i].kind == kind && !strcmp(targets[i].name, name))
			return &targets[i];
	return NULL;
}

/* As libbpf forms the name of the type from that of the section. */
static void keep_target(const struct bpf_program *program)
{
	static const struct {
		const char *section, *prefix;
		__u32 kind;
	} kinds[] = {
		{ "tp_btf/", "btf_trace_", BTF_KIND_TYPEDEF },
		{ "fentry/", "", BTF_KIND_FUNC },
		{ "fexit/", "", BTF_KIND_FUNC },
		{ "iter/", "bpf_iter_", BTF_KIND_FUNC },
	};
	const char *section = bpf_program__section_name(program);
	struct target target = { 0 };

	section += *section == '?';
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t length = strlen(kinds[i].section);

		if (strncmp(section, kinds[i].section, length) != 0)
			continue;
		snprintf(target.name, sizeof(target.name), "%s%s", kinds[i].prefix,
			 section + length);
		target.kind = kinds[i].kind;
	}
	if (!target.kind || target_count == TARGETS_MAX || target_of(target.name, target.kind))
		return;
	target.id = __real_btf__find_by_name_kind(shared, target.name, target.kind);
	targets[target_count++] = target;
}

static const struct kept *kept_for(const struct bpf_object *object)
{
	for (int i = 0; i < kept_count; i++)
		if (!strcmp(kept[i].name, bpf_object__name(object)))
			return &kept[i];
	return NULL;
}

static void keep(const char *name, const struct btf *subset)
{
	struct kept *one = &kept[kept_count];
	const void *data = btf__raw_data(subset, &one->bytes);

	one->types = data ? malloc(one->bytes) : NULL;
	if (!one->types)
		return;
	memcpy(one->types, data, one->bytes);
	snprintf(one->name, sizeof(one->name), "%s", name);
	kept_count++;
}

void kernelbtf_keep_types(const struct bpf_object *object)
{
	struct bpf_program *program;
	struct btf *subset;

	if (!sharers || kept_count == KEPT_MAX || kept_for(object) || !whole() || !types.size)
		return;
	subset = btf_subset_make(&types, bpf_object__btf(object));
	if (!subset)
		return;
	keep(bpf_object__name(object), subset);
	btf__free(subset);
	bpf_object__for_each_program(program, object)
		keep_target(program);
}

/* Waits for the reader first, without the lock: the reader may not have started yet, and takes it. */
void kernelbtf_release_rest(void)
{
	forget_whole();
}

/* ---- what libbpf calls ---- */

struct btf *__wrap_btf__load_vmlinux_btf(void)
{
	const struct btf *local = loading ? bpf_object__btf(loading) : NULL;
	const struct kept *one = loading && sharers ? kept_for(loading) : NULL;
	struct btf *found = NULL;

	if (!sharers)
		return __real_btf__load_vmlinux_btf();
	if (one) {
		handed = found = btf__new(one->types, one->bytes);
		return found;
	}
	if (!whole())
		return NULL;
	if (local && types.size)
		handed = found = btf_subset_make(&types, local);
	/* an empty layer above them, that can be freed as libbpf does */
	return found ? found : btf__new_empty_split(shared);
}

__s32 __wrap_btf__find_by_name_kind(const struct btf *btf, const char *name, __u32 kind)
{
	struct btf_name wanted = btf_index_name(name);
	const struct target *target = target_of(name, kind);

	if (!btf || btf != handed)
		return __real_btf__find_by_name_kind(btf, name, kind);
	if (target && target->id < 0)
		errno = -target->id;
	if (target)
		return target->id;
	if (!whole())
		return -ENOENT;
	if (kind != BTF_KIND_TYPEDEF || wanted.length != strlen(name))
		return __real_btf__find_by_name_kind(shared, name, kind);
	for (__u32 id; (id = btf_index_next(&types, &wanted)) != 0;) {
		const struct btf_type *type = btf__type_by_id(shared, id);

		if (btf_kind(type) == kind && !strcmp(btf_index_text(shared, type), name))
			return (__s32)id;
	}
	errno = ENOENT;
	return -ENOENT;
}

int __wrap_bpf_btf_get_next_id(__u32 start, __u32 *next)
{
	if (!handed)
		return __real_bpf_btf_get_next_id(start, next);
	errno = ENOENT;
	return -ENOENT;
}

/* ---- what we call ---- */

int kernelbtf_load(struct bpf_object *object)
{
	int ret;

	loading = object;
	ret = bpf_object__load(object);
	loading = NULL;
	handed = NULL;
	return ret;
}

void kernelbtf_share(void)
{
	sharers++;
}

static void *read_whole(void *context)
{
	(void)context;
	whole();
	return NULL;
}

void kernelbtf_read(void)
{
	sigset_t all, before;

	if (reading)
		return;
	/* signals go to the calling thread, which waits for them */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	reading = !pthread_create(&reader, NULL, read_whole, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void kernelbtf_drop(void)
{
	if (--sharers)
		return;
	forget_whole();
	while (kept_count)
		free(kept[--kept_count].types);
	target_count = 0;
}
