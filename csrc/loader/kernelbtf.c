// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the kernel's types while probes are loaded. libbpf would read them anew for every object, some
 * megabytes each time, and search all of them for each struct that an object names. The linker sends
 * three of its calls here (build_ffi.py: --wrap), so that they are read once, found by name, and an
 * object that loads is given a subset: the types that it names, and what lies inside those.
 *
 * A subset has ids of its own. Who asks for a type by name, to attach to it, gets the kernel's id.
 * Modules are not looked at for an object that has a subset: nothing that ebtop names is in one.
 * Between loads nothing is kept: the memory would be a large part of ebtop's own. While several objects
 * are loaded only what they need is: it is learnt first, and the whole is gone before maps are made.
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

#include "loader/btf_subset.h"
#include "loader/kernelbtf.h"

struct btf *__real_btf__load_vmlinux_btf(void);
struct btf *__wrap_btf__load_vmlinux_btf(void);
__s32 __real_btf__find_by_name_kind(const struct btf *btf, const char *name, __u32 kind);
__s32 __wrap_btf__find_by_name_kind(const struct btf *btf, const char *name, __u32 kind);
int __real_bpf_btf_get_next_id(__u32 start, __u32 *next);
int __wrap_bpf_btf_get_next_id(__u32 start, __u32 *next);

/* Several threads may load at once; what is shared does not change once it is there. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct btf *shared;
static __u32 *index_ids; /* of types that have a name to be found by; open addressing, 0: none */
static __u32 index_size; /* a power of two */
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

/* What programs attach to, and the kernel's id of it; 0: it has none. */
static struct target {
	char name[64];
	__u32 kind;
	__s32 id;
} targets[TARGETS_MAX];
static int target_count;

static __thread const struct bpf_object *loading;
static __thread const struct btf *handed; /* the subset that `loading` works with */

/* ---- types by name ---- */

static int is_indexed(const struct btf_type *type)
{
	switch (btf_kind(type)) {
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
	case BTF_KIND_TYPEDEF:
		return type->name_off != 0;
	default:
		return 0;
	}
}

/* Without the flavour: of name___flavour what is before the three underscores. */
static size_t essential_length(const char *name)
{
	size_t length = strlen(name);

	for (size_t i = length; i-- > 1;)
		if (!strncmp(name + i, "___", 3) && name[i - 1] != '_' && name[i + 3] != '_')
			return i;
	return length;
}

static __u32 hash_of(const char *name, size_t length)
{
	__u32 hash = 2166136261u;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)name[i]) * 16777619u;
	return hash ^ hash >> 15;
}

static const char *name_of(const struct btf *btf, const struct btf_type *type)
{
	const char *name = btf__name_by_offset(btf, type->name_off);

	return name ? name : "";
}

/* In order of ids, so that of several with one name the first is found first. */
static void make_index(void)
{
	__u32 types = btf__type_cnt(shared), named = 0, size = 1024;

	for (__u32 id = 1; id < types; id++)
		named += (__u32)is_indexed(btf__type_by_id(shared, id));
	while (size < named * 2)
		size *= 2;
	index_ids = calloc(size, sizeof(*index_ids));
	if (!index_ids)
		return;
	index_size = size;
	for (__u32 id = 1; id < types; id++) {
		const struct btf_type *type = btf__type_by_id(shared, id);
		const char *name;
		__u32 at;

		if (!is_indexed(type))
			continue;
		name = name_of(shared, type);
		at = hash_of(name, essential_length(name));
		while (index_ids[at & (size - 1)])
			at++;
		index_ids[at & (size - 1)] = id;
	}
}

struct named kernelbtf_named(const struct btf *btf, const struct btf_type *type)
{
	const char *name = is_indexed(type) ? name_of(btf, type) : "";
	size_t length = essential_length(name);

	return (struct named){ name, length, hash_of(name, length) };
}

__u32 kernelbtf_next(struct named *named)
{
	for (__u32 id; named->length && (id = index_ids[named->at & (index_size - 1)]) != 0;) {
		const char *own = name_of(shared, btf__type_by_id(shared, id));

		named->at++;
		if (essential_length(own) == named->length &&
		    !memcmp(own, named->name, named->length))
			return id;
	}
	return 0;
}

static struct btf *whole(void)
{
	pthread_mutex_lock(&lock);
	if (!shared) {
		shared = __real_btf__load_vmlinux_btf();
		if (shared)
			make_index();
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
	btf__free(shared);
	free(index_ids);
	shared = NULL;
	index_ids = NULL;
	index_size = 0;
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

	if (!sharers || kept_count == KEPT_MAX || kept_for(object) || !whole() || !index_size)
		return;
	subset = btf_subset_make(shared, bpf_object__btf(object));
	if (!subset)
		return;
	keep(bpf_object__name(object), subset);
	btf__free(subset);
	bpf_object__for_each_program(program, object)
		keep_target(program);
}

/* The reader may not have begun yet: it is waited for first, without the lock that it will want. */
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
	if (local && index_size)
		handed = found = btf_subset_make(shared, local);
	/* an empty layer above them, that can be freed as libbpf does */
	return found ? found : btf__new_empty_split(shared);
}

__s32 __wrap_btf__find_by_name_kind(const struct btf *btf, const char *name, __u32 kind)
{
	struct named named = { name, strlen(name), 0 };
	const struct target *target = target_of(name, kind);

	if (!btf || btf != handed)
		return __real_btf__find_by_name_kind(btf, name, kind);
	if (target && target->id < 0)
		errno = -target->id;
	if (target)
		return target->id;
	if (!whole())
		return -ENOENT;
	if (kind != BTF_KIND_TYPEDEF || essential_length(name) != named.length)
		return __real_btf__find_by_name_kind(shared, name, kind);
	named.at = hash_of(name, named.length);
	for (__u32 id; (id = kernelbtf_next(&named)) != 0;) {
		const struct btf_type *type = btf__type_by_id(shared, id);

		if (btf_kind(type) == kind && !strcmp(name_of(shared, type), name))
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
	/* signals are for the caller, who waits for them */
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
