// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the table of connections. The kernel's map is the truth about open connections. A connection
 * that has left the map has ended, and the ring buffer says so; or the map had no room for it, and
 * it is counted as forgotten.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "shared/connections.h"

#define BUFFER_BYTES 32768 /* what the kernel gives at most in one read */
#define KEPT_NS 30000000000ull
#define KEPT_MAX 4096
#define LOOK_SHARE 500 /* looking for owners may take this share of one CPU */
#define LOOK_MIN_NS 500000000ull
#define LOOK_ANYWAY_NS 30000000000ull /* an owner may have closed what another has: nothing tells */
#define LRU_BATCH 128                 /* the map's free entries that one CPU may hold */
#define UNSEEN_MAX 2                  /* refreshes; its end may be on its way */

/* ---- open and close ---- */

static int link_iterator(int program_fd, int map_fd)
{
	union bpf_iter_link_info info;
	LIBBPF_OPTS(bpf_link_create_opts, opts);

	if (program_fd < 0)
		return -1;
	memset(&info, 0, sizeof(info));
	if (map_fd >= 0) {
		info.map.map_fd = (__u32)map_fd;
		opts.iter_info = &info;
		opts.iter_info_len = sizeof(info);
	}
	return bpf_link_create(program_fd, 0, BPF_TRACE_ITER, &opts);
}

int connections_open(struct connections *connections, const struct maps *maps,
		     struct config *config, int list_program, int files_program)
{
	memset(connections, 0, sizeof(*connections));
	connections->config = config;
	connections->all = BUFFER_OF(struct open_connection *);
	connections->closed = BUFFER_OF(struct ebtop_connection);
	connections->rows = BUFFER_OF(struct ebtop_connection);
	connections->room = maps->connections;
	connections->cpus = maps->cpus;
	connections->slot_total = maps->slot_count;
	connections->slots_bytes =
		(maps->slot_count * sizeof(struct ebtop_tcp_slot) + 4095) & ~4095ul;
	connections->slots = mmap(NULL, connections->slots_bytes, PROT_READ, MAP_SHARED,
				  maps->fd[MAP_TCP_SLOTS], 0);
	connections->counts_fd = maps->fd[MAP_CONNECTION_COUNTS];
	connections->list_link = link_iterator(list_program, maps->fd[MAP_CONNECTIONS]);
	connections->files_link = link_iterator(files_program, -1);
	connections->buffer = malloc(BUFFER_BYTES);
	if (connections->slots == MAP_FAILED)
		connections->slots = NULL;
	connections->on = 1;
	if (!connections->slots || !connections->buffer || hash_open(&connections->open)) {
		connections_close(connections);
		return -ENOMEM;
	}
	return 0;
}

void connections_close(struct connections *connections)
{
	if (!connections->on)
		return;
	for (size_t i = 0; i < connections->all.count; i++)
		free(*(struct open_connection **)buffer_at(&connections->all, i));
	hash_close(&connections->open);
	buffer_free(&connections->all);
	buffer_free(&connections->closed);
	buffer_free(&connections->rows);
	free(connections->buffer);
	if (connections->slots)
		munmap(connections->slots, connections->slots_bytes);
	if (connections->list_link >= 0)
		close(connections->list_link);
	if (connections->files_link >= 0)
		close(connections->files_link);
	memset(connections, 0, sizeof(*connections));
}

const struct ebtop_tcp_slot *connections_slot(const struct connections *connections, __u32 index)
{
	return index < connections->slot_total ? &connections->slots[index] : NULL;
}

/* ---- the entries ---- */

/* Sockets are aligned to far more than 64 bytes apart. */
static __u32 id_of(__u64 socket)
{
	return (__u32)(socket >> 6) ^ (__u32)(socket >> 18);
}

static struct open_connection *find(const struct connections *connections, __u64 socket)
{
	return (void *)hash_find(&connections->open, id_of(socket), socket);
}

static struct open_connection *add(struct connections *connections,
				   const struct ebtop_connection *now)
{
	struct open_connection *entry = calloc(1, sizeof(*entry)), **place;

	place = entry ? buffer_add(&connections->all) : NULL;
	if (!place) {
		free(entry);
		return NULL;
	}
	*place = entry;
	entry->place = connections->all.count - 1;
	entry->node.id = id_of(now->socket);
	entry->node.start_ns = now->socket;
	hash_insert(&connections->open, &entry->node);
	return entry;
}

static void drop(struct connections *connections, struct open_connection *entry)
{
	struct open_connection **all = (void *)connections->all.data;
	struct open_connection *last = all[--connections->all.count];

	last->place = entry->place;
	all[entry->place] = last;
	hash_remove(&connections->open, &entry->node);
	free(entry);
}

/* Another connection may have the socket of one whose end was not seen. */
static int is_same(const struct ebtop_connection *a, const struct ebtop_connection *b)
{
	return a->start_ns == b->start_ns && a->netns == b->netns && a->dport == b->dport;
}

/* ---- reading ---- */

static void take(struct connections *connections, const struct ebtop_connection *now,
		 connection_visitor each, void *context)
{
	struct open_connection *entry;
	int owner_ended;

	/* its end is on its way, or was missed: then it is not seen any more */
	if (now->state == EBTOP_TCP_CLOSE)
		return;
	entry = find(connections, now->socket);
	if (entry && !is_same(&entry->last, now)) {
		drop(connections, entry);
		entry = NULL;
	}
	owner_ended = each(context, entry ? &entry->last : NULL, now);
	if (!entry)
		entry = add(connections, now);
	if (!entry)
		return;
	entry->last = *now;
	entry->seen = connections->refresh;
	if (owner_ended)
		entry->last.flags |= EBTOP_CONN_LEFT;
	connections->unowned += !now->pid || owner_ended;
}

/* How many there are. */
static size_t read_all(struct connections *connections, connection_visitor each, void *context)
{
	const size_t stride = sizeof(struct ebtop_connection);
	int fd = bpf_iter_create(connections->list_link);
	size_t have = 0, count = 0;
	ssize_t got;

	if (fd < 0)
		return 0;
	/* a read may end within a record: its beginning waits for the rest */
	while ((got = read(fd, connections->buffer + have, BUFFER_BYTES - have)) > 0 ||
	       (got < 0 && errno == EINTR)) {
		size_t used = 0;

		if (got < 0)
			continue;
		have += (size_t)got;
		for (; have - used >= stride; used += stride, count++)
			take(connections, (const void *)(connections->buffer + used), each,
			     context);
		memmove(connections->buffer, connections->buffer + used, have - used);
		have -= used;
	}
	close(fd);
	return count;
}

static struct ebtop_connection_counts counts_now(const struct connections *connections)
{
	struct ebtop_connection_counts counts = { 0, 0 };
	__u32 key = 0;

	bpf_map_lookup_elem(connections->counts_fd, &key, &counts);
	return counts;
}

/*
 * What came and neither left nor is there: counted before, after and between, so that what comes and
 * goes in the meantime is not taken for forgotten. A map with room forgets nothing.
 */
static void count_forgotten(struct connections *connections, __u64 added, size_t present)
{
	size_t slack = (size_t)LRU_BATCH * connections->cpus;
	__u64 left = counts_now(connections).removed + present;

	if (present + slack >= connections->room && added > left + connections->forgotten)
		connections->forgotten = added - left;
}

/* What is in the map no more, without an end. */
static void forget_unseen(struct connections *connections)
{
	for (size_t i = connections->all.count; i-- > 0;) {
		struct open_connection *entry =
			*(struct open_connection **)buffer_at(&connections->all, i);

		if (entry->seen + UNSEEN_MAX > connections->refresh)
			continue;
		drop(connections, entry);
	}
}

static __u64 cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (__u64)now.tv_sec * 1000000000 + (__u64)now.tv_nsec;
}

static void walk_files(struct connections *connections)
{
	int fd;

	connections->config->now->look++;
	fd = bpf_iter_create(connections->files_link);
	if (fd < 0)
		return;
	while (read(fd, connections->buffer, BUFFER_BYTES) > 0)
		;
	close(fd);
}

void connections_find(struct connections *connections, __u64 now_ns)
{
	__u64 pause = connections->look_took_ns * LOOK_SHARE, began;
	__u64 least = connections->unowned ? LOOK_MIN_NS : LOOK_ANYWAY_NS;

	if (connections->files_link < 0 ||
	    (connections->looked_ns &&
	     now_ns - connections->looked_ns < (pause > least ? pause : least)))
		return;
	began = cpu_ns();
	/* an even number from here on; 0 means that no owner was ever seen */
	connections->config->now->look += connections->looked_ns ? 0 : 1;
	walk_files(connections);
	walk_files(connections);
	connections->looked_ns = now_ns;
	connections->look_took_ns = cpu_ns() - began;
}

void connections_refresh(struct connections *connections, __u64 now_ns, connection_visitor each,
			 void *context)
{
	__u64 added;

	connections->refresh++;
	connections_find(connections, now_ns);
	connections->unowned = 0;
	added = counts_now(connections).added;
	if (connections->list_link >= 0)
		count_forgotten(connections, added, read_all(connections, each, context));
	forget_unseen(connections);
}

static void forget_first(struct buffer *closed, size_t gone)
{
	closed->count -= gone;
	memmove(closed->data, buffer_at(closed, gone), closed->count * closed->stride);
}

void connections_ended(struct connections *connections, const struct ebtop_connection *ended,
		       connection_visitor each, void *context)
{
	struct open_connection *entry = find(connections, ended->socket);
	struct ebtop_connection *kept;

	if (entry && !is_same(&entry->last, ended)) {
		drop(connections, entry);
		entry = NULL;
	}
	each(context, entry ? &entry->last : NULL, ended);
	if (entry)
		drop(connections, entry);
	if (connections->closed.count >= 2 * KEPT_MAX)
		forget_first(&connections->closed, KEPT_MAX);
	kept = buffer_add(&connections->closed);
	if (kept)
		*kept = *ended;
}

/* ---- packing ---- */

/* The oldest of the ended go when their time is up, or when there are too many. */
static void forget_old(struct connections *connections, __u64 now_ns)
{
	struct buffer *closed = &connections->closed;
	size_t first = closed->count > KEPT_MAX ? closed->count - KEPT_MAX : 0;

	for (; first < closed->count; first++) {
		const struct ebtop_connection *row = buffer_at(closed, first);

		if (row->end_ns + KEPT_NS > now_ns)
			break;
	}
	if (first)
		forget_first(closed, first);
}

void connections_pack(struct connections *connections, __u64 now_ns)
{
	struct buffer *rows = &connections->rows;
	size_t open = connections->all.count;

	forget_old(connections, now_ns);
	rows->count = 0;
	if (buffer_reserve(rows, open + connections->closed.count))
		return;
	for (size_t i = 0; i < open; i++) {
		const struct open_connection *entry =
			*(struct open_connection **)buffer_at(&connections->all, i);

		if (entry->seen == connections->refresh)
			*(struct ebtop_connection *)buffer_add(rows) = entry->last;
	}
	if (connections->closed.count)
		memcpy(buffer_at(rows, rows->count), connections->closed.data,
		       connections->closed.count * rows->stride);
	rows->count += connections->closed.count;
}
