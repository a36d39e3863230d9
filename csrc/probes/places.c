// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the arrays beside the slots that several probes count in. A place is made before any program
 * that writes to it is loaded, and dropped when no wanted probe could write to it.
 */
#include <errno.h>

#include "util/clock.h"
#include "probes/probeset.h"

#define PLACE_MAPS_MAX 2

static const struct {
	int count;
	enum shared_map maps[PLACE_MAPS_MAX];
} made_of[PLACES] = {
	[PLACE_FILES] = { 2, { MAP_FILE_SLOTS, MAP_FILE_COUNTS } },
	[PLACE_MEMORY] = { 1, { MAP_MEM_SLOTS } },
};

static int add_maps_of(struct probeset *set, enum place place)
{
	struct ebtop_error error;

	for (int i = 0; i < made_of[place].count; i++)
		if (maps_add(set->maps, made_of[place].maps[i], &error))
			return -ENOMEM;
	return 0;
}

int places_add_maps(struct probeset *set, __u32 places)
{
	for (int place = 0; place < PLACES; place++)
		if (places & BIT(place) && add_maps_of(set, place))
			return -ENOMEM;
	return 0;
}

void places_drop_maps(struct probeset *set, __u32 places)
{
	for (int place = 0; place < PLACES; place++)
		for (int i = 0; places & BIT(place) && i < made_of[place].count; i++)
			maps_drop(set->maps, made_of[place].maps[i]);
}

static void drop_files(struct probeset *set)
{
	slot_array_close(&set->files.slots);
	places_drop_maps(set, BIT(PLACE_FILES));
	set->files.on = 0;
}

static void make_files(struct probeset *set)
{
	struct files *files = &set->files;

	if (files->on)
		return;
	files->on = !add_maps_of(set, PLACE_FILES) &&
		    !slot_array_open(&files->slots, set->maps->fd[MAP_FILE_SLOTS],
				     set->maps->slot_count, sizeof(struct ebtop_file_slot));
	files->boot_ns = clock_ns(CLOCK_BOOTTIME);
	if (!files->on)
		drop_files(set);
}

static void drop_memory(struct probeset *set)
{
	slot_array_close(&set->memory.slots);
	places_drop_maps(set, BIT(PLACE_MEMORY));
	set->memory.on = 0;
}

static void make_memory(struct probeset *set)
{
	struct memory *memory = &set->memory;

	if (memory->on)
		return;
	memory->on = !add_maps_of(set, PLACE_MEMORY) &&
		     !slot_array_open(&memory->slots, set->maps->fd[MAP_MEM_SLOTS],
				      set->maps->slot_count, sizeof(struct ebtop_mem_slot));
	memory->boot_ns = clock_ns(CLOCK_BOOTTIME);
	if (!memory->on)
		drop_memory(set);
}

/* Places lie beside the slots of threads, which sched makes. */
void places_provide(struct probeset *set, __u32 places)
{
	int has_slots = probeset_has(set, EBTOP_SCHED);

	if (!(places & BIT(PLACE_FILES)))
		drop_files(set);
	else if (has_slots)
		make_files(set);
	if (!(places & BIT(PLACE_MEMORY)))
		drop_memory(set);
	else if (has_slots)
		make_memory(set);
}

/* Two probes count in one place: bytes and opens. */
void places_account_files(struct probeset *set, struct accounts *accounts, __u64 known)
{
	accounts->files = &set->files;
	accounts_add_reader(accounts, accounts_files, known);
}
