/* store.c: snapshots and their readers: how many threads can look while one writes, without a lock.
 *
 * A reader takes one of 64 slots by compare-and-swap, writes the number of the snapshot that was current when it came
 * into it, and then loads the current snapshot; leaving clears the slot. The writer publishes a snapshot with one
 * store and retires what it replaced under the old snapshot's number; retired memory is freed once every slot shows a
 * later number. All these accesses are sequentially consistent: a writer that does not see a reader's slot has
 * published before the reader loaded, so the reader has the new snapshot. A reader that finds no free slot counts
 * itself into `crowd`, during which nothing is freed. Cost of a visit: two atomic writes to a line of its own.
 *
 * Everything that readers are shown is allocated with room in front for its own retirement record, so that retiring
 * can never fail.
 *
 * SPDX-License-Identifier: MIT
 */
#include "indexes/store.h"

/* A full segment fits, with its headers, in four huge pages. */
#define SEGMENT_BYTES (((int64_t)8 << 20) - 16384)

/* Keeps what follows aligned to 64 bytes. */
typedef struct record {
    _Alignas(64) sonde__retired retired;
} record;

void *sonde__shown_alloc(sonde_runtime *runtime, uint64_t bytes)
{
    record *made = sonde__alloc(runtime, 1, sizeof *made + bytes);
    return made ? made + 1 : NULL;
}

void sonde__shown_free(sonde_runtime *runtime, const void *memory)
{
    if (memory) sonde__free(runtime, (record *)(uintptr_t)memory - 1);
}

void sonde__store_retire(sonde__store *store, const void *memory, sonde__slab *slab, uint64_t version)
{
    sonde__retired *retired = &((record *)(uintptr_t)memory - 1)->retired;
    retired->version = version;
    retired->slab = slab;
    retired->drop = NULL;
    retired->next = store->retired;
    store->retired = retired;
}

void sonde__store_retire_learned(sonde__store *store, const void *learned, uint64_t version)
{
    if (!learned) return;
    sonde__store_retire(store, learned, NULL, version);
    store->retired->drop = store->drop_learned;
}

void sonde__store_drop_learned(sonde__store *store, const void *learned)
{
    if (learned) store->drop_learned(store->runtime, (void *)(uintptr_t)learned);
}

void sonde__slab_drop(sonde_runtime *runtime, sonde__slab *slab)
{
    if (!slab || --slab->shares > 0) return;
    for (int i = 0; i < 1 + SONDE__COLUMNS; i++) sonde__blob_free(runtime, &slab->blob[i]);
    sonde__free(runtime, slab);
}

/* The oldest snapshot that a reader may hold; UINT64_MAX if there is no reader, 0 if that is not known. */
static uint64_t oldest_visible(const sonde__store *store)
{
    if (atomic_load(&store->crowd) > 0) return 0;
    uint64_t oldest = UINT64_MAX;
    for (int i = 0; i < SONDE__READER_SLOTS; i++) {
        uint64_t version = atomic_load(&store->reader[i].version);
        if (version != 0 && version - 1 < oldest) oldest = version - 1;
    }
    return oldest;
}

void sonde__store_reclaim(sonde__store *store)
{
    uint64_t oldest = oldest_visible(store);
    sonde__retired **link = &store->retired;
    while (*link) {
        sonde__retired *retired = *link;
        if (retired->version >= oldest) {
            link = &retired->next;
            continue;
        }
        *link = retired->next;
        sonde__slab_drop(store->runtime, retired->slab);
        void *memory = (record *)(void *)retired + 1; /* the record is the start of the block */
        if (retired->drop) retired->drop(store->runtime, memory);
        else sonde__shown_free(store->runtime, memory);
    }
}

/* A snapshot with `lists` empty lists, all sharing one empty list header. */
static sonde_status first_snapshot(sonde__store *store, int64_t lists)
{
    sonde__list *empty = sonde__shown_alloc(store->runtime, sizeof *empty);
    if (!empty) return sonde__last_status();
    sonde__snapshot *snapshot = sonde__shown_alloc(store->runtime,
                                                   sizeof *snapshot + (uint64_t)lists * sizeof(void *));
    if (!snapshot) {
        sonde__shown_free(store->runtime, empty);
        return sonde__last_status();
    }
    *empty = (sonde__list){0};
    *snapshot = (sonde__snapshot){
        .version = 1, .copies = sonde__max_i64(1, store->layout.copies), .lists = lists};
    for (int64_t l = 0; l < lists; l++) snapshot->list[l] = empty;
    store->empty = empty;
    atomic_init(&store->current, snapshot);
    atomic_init(&store->published, 1);
    return SONDE_OK;
}

sonde_status sonde__store_create(sonde_runtime *runtime, const sonde__layout *layout, int64_t lists,
                                 sonde__store **store)
{
    sonde__store *made;
    SONDE_TRY(SONDE_NEW_ZERO(runtime, made, 1));
    made->runtime = runtime;
    made->layout = *layout;
    sonde_status status = first_snapshot(made, lists);
    if (status != SONDE_OK) {
        sonde__free(runtime, made);
        return status;
    }
    sonde__mutex_init(&made->writer);
    *store = made;
    return SONDE_OK;
}

void sonde__store_learned(sonde__store *store, void *learned, void (*drop)(sonde_runtime *runtime, void *learned))
{
    sonde__snapshot *first = (sonde__snapshot *)(uintptr_t)atomic_load(&store->current);
    first->learned = learned;
    store->drop_learned = drop;
}

const sonde__snapshot *sonde__store_current(const sonde__store *store) { return atomic_load(&store->current); }

void sonde__store_free(sonde__store *store)
{
    if (!store) return;
    sonde_runtime *runtime = store->runtime;
    const sonde__snapshot *snapshot = atomic_load(&store->current);
    for (int64_t l = 0; l < snapshot->lists; l++) {
        const sonde__list *list = snapshot->list[l];
        for (int64_t s = 0; s < list->segments; s++) {
            sonde__slab_drop(runtime, list->segment[s]->slab);
            sonde__shown_free(runtime, list->segment[s]);
        }
        if (list != store->empty) sonde__shown_free(runtime, list);
    }
    sonde__store_drop_learned(store, snapshot->learned);
    sonde__shown_free(runtime, atomic_load(&snapshot->curve));
    sonde__shown_free(runtime, snapshot);
    sonde__shown_free(runtime, atomic_load(&store->idmap));
    sonde__store_reclaim(store);
    sonde__shown_free(runtime, store->empty);
    sonde__mutex_destroy(&store->writer);
    sonde__free(runtime, store);
}

/* Spreads threads over the slots: the address of a local variable differs between their stacks. */
static unsigned first_slot(void)
{
    char here;
    return (unsigned)((uintptr_t)&here >> 12) * 2654435761u >> 26;
}

sonde__visit sonde__store_enter(const sonde__store *store)
{
    sonde__store *shared = (sonde__store *)(uintptr_t)store; /* reader slots are the mutable part of a const store */
    unsigned start = first_slot();
    for (int i = 0; i < SONDE__READER_SLOTS; i++) {
        int slot = (int)((start + (unsigned)i) % SONDE__READER_SLOTS);
        uint64_t nobody = 0, version = atomic_load(&shared->published) + 1;
        if (atomic_compare_exchange_strong(&shared->reader[slot].version, &nobody, version))
            return (sonde__visit){atomic_load(&shared->current), slot};
    }
    atomic_fetch_add(&shared->crowd, 1);
    return (sonde__visit){atomic_load(&shared->current), -1};
}

void sonde__store_leave(const sonde__store *store, sonde__visit visit)
{
    sonde__store *shared = (sonde__store *)(uintptr_t)store;
    if (visit.slot >= 0) atomic_store(&shared->reader[visit.slot].version, 0);
    else atomic_fetch_sub(&shared->crowd, 1);
}

sonde_status sonde__store_idmap(sonde__store *store, int64_t more, sonde__idmap **map)
{
    *map = atomic_load(&store->idmap);
    if (*map) return SONDE_OK;
    SONDE_TRY(sonde__idmap_build(store->runtime, atomic_load(&store->current), more, map));
    atomic_store(&store->idmap, *map);
    return SONDE_OK;
}

sonde__place sonde__store_find(const sonde__store *store, const sonde__snapshot *snapshot, int64_t id, bool *stale,
                               sonde_status *status)
{
    sonde__store *shared = (sonde__store *)(uintptr_t)store;
    *status = SONDE_OK;
    *stale = false;
    uint64_t before = atomic_load(&shared->idmap_sequence);
    sonde__idmap *map = atomic_load(&shared->idmap);
    if (!map) {
        sonde__mutex_lock(&shared->writer);
        *status = sonde__store_idmap(shared, 0, &map);
        sonde__mutex_unlock(&shared->writer);
        if (*status != SONDE_OK) return SONDE__NOWHERE;
    }
    sonde__place place = sonde__idmap_find(map, snapshot, id);
    if (place == SONDE__NOWHERE)
        *stale = before % 2 == 1 || atomic_load(&shared->idmap_sequence) != before ||
                 atomic_load(&shared->published) != snapshot->version;
    return place;
}

uint64_t sonde__layout_bytes(const sonde__layout *layout, int64_t rows, int64_t lists)
{
    uint64_t row = 8;
    for (int c = 0; c < layout->columns; c++) row += (uint64_t)layout->width[c];
    rows *= layout->copies > 1 ? layout->copies : 1;
    uint64_t header = 128 + sizeof(sonde__segment) + sizeof(sonde__list) + sizeof(void *);
    uint64_t segments = (uint64_t)lists + (uint64_t)(rows / sonde__segment_rows(layout));
    return (uint64_t)rows * row + segments * (2 * header + 64 * (2 + (uint64_t)layout->columns));
}

int64_t sonde__segment_rows(const sonde__layout *layout)
{
    int64_t row = 8;
    for (int c = 0; c < layout->columns; c++) row += layout->width[c];
    int64_t rows = sonde__max_i64(1024, sonde__min_i64(SONDE__SEGMENT_ROWS, SEGMENT_BYTES / row));
    return rows / SONDE__BLOCK_ROWS * SONDE__BLOCK_ROWS;
}

uint64_t sonde__store_bytes(const sonde__store *store, uint64_t *mapped)
{
    sonde__visit visit = sonde__store_enter(store);
    const sonde__snapshot *snapshot = visit.snapshot;
    uint64_t row = 8, data = 0;
    for (int c = 0; c < store->layout.columns; c++) row += (uint64_t)store->layout.width[c];
    uint64_t headers = sizeof *store + sizeof *snapshot + (uint64_t)snapshot->lists * sizeof(void *);
    for (int64_t l = 0; l < snapshot->lists; l++) {
        const sonde__list *list = snapshot->list[l];
        if (list != store->empty) headers += 128 + sizeof *list;
        for (int64_t s = 0; s < list->segments; s++) {
            data += (uint64_t)list->segment[s]->capacity * row;
            headers += 256 + sizeof(sonde__segment) + sizeof(void *);
        }
    }
    const sonde__idmap *map = atomic_load(&((sonde__store *)(uintptr_t)store)->idmap);
    if (map) headers += (map->mask + 1) * 8;
    sonde__store_leave(store, visit);
    *mapped = store->mapped ? data : 0;
    return headers + (store->mapped ? 0 : data);
}
