/* idmap.c: from a user's id to the place of its row.
 *
 * Open addressing with linear probing. A slot holds only a place (8 bytes); which id it stands for is read from the
 * segment it points to, so that the table adds at most 16 bytes a row, and none until somebody asks for an id. The
 * writer changes slots with relaxed atomic stores while readers probe: a reader that is misled (its snapshot is older
 * or newer than the slot) finds another id or a place outside its snapshot, treats that as a miss, and learns from
 * the store's sequence number that it must look again.
 *
 * SPDX-License-Identifier: MIT
 */
#include "indexes/store.h"

#define EMPTY SONDE__NOWHERE
#define TOMBSTONE (SONDE__NOWHERE - 1)

static uint64_t hash(int64_t id)
{
    return sonde__mix64((uint64_t)id + 0x9e3779b97f4a7c15u);
}

/* At most two thirds full, so that probes stay short. */
bool sonde__idmap_fits(const sonde__idmap *map, int64_t more)
{
    return (uint64_t)(map->used + more) * 3 <= (map->mask + 1) * 2;
}

sonde_status sonde__idmap_build(sonde_runtime *runtime, const sonde__snapshot *snapshot, int64_t more,
                                sonde__idmap **map)
{
    uint64_t slots = 64;
    while (slots * 2 < (uint64_t)(snapshot->rows - snapshot->removed + more) * 3) slots *= 2;
    sonde__idmap *made = sonde__shown_alloc(runtime, sizeof *made + slots * sizeof made->slot[0]);
    if (!made) return sonde__last_status();
    made->mask = slots - 1;
    made->used = 0;
    for (uint64_t i = 0; i < slots; i++) atomic_init(&made->slot[i], EMPTY);
    for (int64_t l = 0; l < snapshot->lists; l++)
        for (int64_t s = 0; s < snapshot->list[l]->segments; s++) {
            const sonde__segment *segment = snapshot->list[l]->segment[s];
            for (int64_t r = 0; r < segment->count; r++)
                if (!sonde__gone(segment, r)) sonde__idmap_insert(made, segment->ids[r], sonde__place_of(l, s, r));
        }
    *map = made;
    return SONDE_OK;
}

/* The id at a place, if the snapshot has such a live row. */
static bool holds(const sonde__snapshot *snapshot, sonde__place place, int64_t id)
{
    int64_t l = sonde__place_list(place), s = sonde__place_segment(place), r = sonde__place_row(place);
    if (l >= snapshot->lists || s >= snapshot->list[l]->segments) return false;
    const sonde__segment *segment = snapshot->list[l]->segment[s];
    return r < segment->count && segment->ids[r] == id && !sonde__gone(segment, r);
}

sonde__place sonde__idmap_find(const sonde__idmap *map, const sonde__snapshot *snapshot, int64_t id)
{
    for (uint64_t i = hash(id);; i++) {
        uint64_t place = atomic_load_explicit(&map->slot[i & map->mask], memory_order_relaxed);
        if (place == EMPTY) return SONDE__NOWHERE;
        if (place != TOMBSTONE && holds(snapshot, place, id)) return place;
    }
}

void sonde__idmap_insert(sonde__idmap *map, int64_t id, sonde__place place)
{
    uint64_t i = hash(id) & map->mask;
    for (;; i = (i + 1) & map->mask) {
        uint64_t old = atomic_load_explicit(&map->slot[i], memory_order_relaxed);
        if (old == EMPTY) map->used++;
        if (old == EMPTY || old == TOMBSTONE) break;
    }
    atomic_store_explicit(&map->slot[i], place, memory_order_relaxed);
}

/* The slot that holds `place`, which must exist. */
static uint64_t slot_of(const sonde__idmap *map, int64_t id, sonde__place place)
{
    uint64_t i = hash(id) & map->mask;
    while (atomic_load_explicit(&map->slot[i], memory_order_relaxed) != place) i = (i + 1) & map->mask;
    return i;
}

void sonde__idmap_move(sonde__idmap *map, int64_t id, sonde__place from, sonde__place to)
{
    atomic_store_explicit(&map->slot[slot_of(map, id, from)], to, memory_order_relaxed);
}

void sonde__idmap_erase(sonde__idmap *map, int64_t id, sonde__place place)
{
    sonde__idmap_move(map, id, place, TOMBSTONE);
}
