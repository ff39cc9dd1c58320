/* store.h: what the parts of the store share: snapshots and readers (store.c), writes (change.c), the id table (idmap.c).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_STORE_H
#define SONDE_SRC_STORE_H

#include "indexes/index.h"

/* ---- idmap.c: id -> place ---------------------------------------------------------------------------- */

/* Slots are atomic: the writer changes them while readers probe. */
typedef struct sonde__idmap {
    uint64_t mask; /* slots - 1 */
    int64_t used;  /* slots that are not empty, tombstones included; writer only */
    _Atomic uint64_t slot[];
} sonde__idmap;

/* A table for all live rows of the snapshot with room for `more`. */
sonde_status sonde__idmap_build(sonde_runtime *runtime, const sonde__snapshot *snapshot, int64_t more,
                                sonde__idmap **map);
sonde__place sonde__idmap_find(const sonde__idmap *map, const sonde__snapshot *snapshot, int64_t id);
bool sonde__idmap_fits(const sonde__idmap *map, int64_t more);
/* Room is the caller's duty; `id` must not be in the table. */
void sonde__idmap_insert(sonde__idmap *map, int64_t id, sonde__place place);
/* The slot of `id`, which holds `place`, is forgotten; or holds `to` from now on. */
void sonde__idmap_erase(sonde__idmap *map, int64_t id, sonde__place place);
void sonde__idmap_move(sonde__idmap *map, int64_t id, sonde__place from, sonde__place to);

/* ---- store.c ----------------------------------------------------------------------------------------- */

#define SONDE__READER_SLOTS 64

/* Memory that readers may still see. */
typedef struct sonde__retired {
    struct sonde__retired *next;
    uint64_t version;  /* the newest snapshot that can reach it */
    sonde__slab *slab; /* a share that goes with it, or NULL */
    void (*drop)(sonde_runtime *runtime, void *memory); /* learned parts: frees them whole; else NULL */
} sonde__retired;

struct sonde__store {
    sonde_runtime *runtime;
    sonde__layout layout;
    void (*drop_learned)(sonde_runtime *runtime, void *learned);
    bool mapped;              /* the rows lie in an opened file */
    const sonde__list *empty; /* the one header of all lists that never held a row */
    _Atomic(const sonde__snapshot *) current;
    _Atomic uint64_t published;      /* current->version */
    _Atomic(sonde__idmap *) idmap;   /* NULL until somebody asks for an id */
    _Atomic uint64_t idmap_sequence; /* odd while a commit moves places */
    _Atomic int64_t crowd;           /* readers that found no slot */
    struct { _Alignas(64) _Atomic uint64_t version; } reader[SONDE__READER_SLOTS]; /* 0 free, else snapshot version + 1 */
    sonde__mutex writer;
    sonde__retired *retired;
};

/* Memory that readers will be shown, and its end. NULL with the message set. */
void *sonde__shown_alloc(sonde_runtime *runtime, uint64_t bytes);
void sonde__shown_free(sonde_runtime *runtime, const void *memory); /* never shown, or seen by nobody any more */
/* Frees it, and a share of `slab` (may be NULL), once no reader is left that came at `version` or earlier. Writer's mutex held. */
void sonde__store_retire(sonde__store *store, const void *memory, sonde__slab *slab, uint64_t version);
/* The same for the learned parts of a snapshot; NULL is fine. */
void sonde__store_retire_learned(sonde__store *store, const void *learned, uint64_t version);
void sonde__store_drop_learned(sonde__store *store, const void *learned); /* seen by nobody; NULL is fine */
void sonde__store_reclaim(sonde__store *store); /* writer's mutex held */
void sonde__slab_drop(sonde_runtime *runtime, sonde__slab *slab); /* NULL is fine */
/* The id table, built if there is none. Writer's mutex held. */
sonde_status sonde__store_idmap(sonde__store *store, int64_t more, sonde__idmap **map);
/* Rows that a full segment holds: about 8 MiB. */
int64_t sonde__segment_rows(const sonde__layout *layout);

#endif
