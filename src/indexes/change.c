/* change.c: one write to a store, from begin to commit.
 *
 * A change drafts new headers for the lists and segments that it touches; everything else is shared with the
 * published snapshot. Rows are written into memory that no published count covers. Commit fills a new snapshot,
 * publishes it, brings the id table up to date under an odd sequence number, and retires the headers and slabs that
 * were replaced. All memory is allocated before the publishing store, so a commit fails wholly or not at all.
 *
 * Appending: the last segment of a list grows by half until it is full (about 8 MiB), then the next begins; an
 * announced bulk of rows gets exactly what it needs. Removing sets bits in a copy of the segment's header. Compacting
 * joins runs of segments that have holes, spare room or few rows into full ones, at most about 64 MiB a change. A change
 * may go on with more lists and other learned parts; both show with its rows, and its snapshot can be measured before.
 *
 * SPDX-License-Identifier: MIT
 */
#include "indexes/store.h"

#define COMPACT_BYTES ((int64_t)64 << 20)

/* A list under change. segment[i] is private to the change iff own[i]. */
typedef struct draft {
    int64_t rows, removed, segments, room;
    sonde__segment **segment;
    bool *own;
    int64_t tail;        /* segments before it are full */
    bool moved;          /* compacted: live rows kept their order but not their places */
    sonde__list *header; /* made by commit */
} draft;

typedef struct erased {
    int64_t id;
    sonde__place place;
} erased;

struct sonde__change {
    sonde__store *store;
    sonde_runtime *runtime;
    const sonde__snapshot *base;
    int64_t lists;             /* from now on: base->lists or more */
    draft **drafts;            /* one a list; NULL = untouched */
    void *learned;             /* new learned parts, or NULL: those of the base */
    const sonde__curve *curve; /* a new curve, or NULL: that of the base */
    sonde__snapshot *next;     /* made by preview or commit */
    erased *erased;
    int64_t erased_count;
    int64_t placed; /* rows that the id table gets at most */
    int64_t next_id;
};

const sonde__snapshot *sonde__change_base(const sonde__change *change) { return change->base; }

sonde_status sonde__change_begin(sonde__store *store, sonde__change **change)
{
    sonde__change *made;
    SONDE_TRY(SONDE_NEW_ZERO(store->runtime, made, 1));
    made->store = store;
    made->runtime = store->runtime;
    sonde__mutex_lock(&store->writer);
    made->base = atomic_load(&store->current);
    made->lists = made->base->lists;
    made->next_id = made->base->next_id;
    sonde_status status = SONDE_NEW_ZERO(store->runtime, made->drafts, made->lists);
    if (status != SONDE_OK) {
        sonde__mutex_unlock(&store->writer);
        sonde__free(store->runtime, made);
        return status;
    }
    *change = made;
    return SONDE_OK;
}

sonde_status sonde__change_relearn(sonde__change *change, int64_t lists, void *learned)
{
    draft **drafts;
    SONDE_ASSERT(!change->learned && lists >= change->lists);
    SONDE_TRY(SONDE_NEW_ZERO(change->runtime, drafts, lists));
    memcpy(drafts, change->drafts, (size_t)change->lists * sizeof *drafts);
    sonde__free(change->runtime, change->drafts);
    change->drafts = drafts;
    change->lists = lists;
    change->learned = learned;
    return SONDE_OK;
}

/* What is published of a list. */
static const sonde__list *base_list(const sonde__change *change, int64_t list)
{
    return list < change->base->lists ? change->base->list[list] : change->store->empty;
}

/* ---- drafts ------------------------------------------------------------------------------------------ */

static sonde_status draft_room(sonde__change *change, draft *d, int64_t room)
{
    if (room <= d->room) return SONDE_OK;
    room = sonde__max_i64(room, d->room * 2);
    sonde__segment **segment;
    bool *own;
    SONDE_TRY(SONDE_NEW(change->runtime, segment, room));
    sonde_status status = SONDE_NEW_ZERO(change->runtime, own, room);
    if (status != SONDE_OK) {
        sonde__free(change->runtime, segment);
        return status;
    }
    if (d->segments > 0) {
        memcpy(segment, d->segment, (size_t)d->segments * sizeof *segment);
        memcpy(own, d->own, (size_t)d->segments * sizeof *own);
    }
    sonde__free(change->runtime, d->segment);
    sonde__free(change->runtime, d->own);
    d->segment = segment;
    d->own = own;
    d->room = room;
    return SONDE_OK;
}

/* The draft of a list, begun from the published one. */
static sonde_status touch_list(sonde__change *change, int64_t list, draft **out)
{
    *out = change->drafts[list];
    if (*out) return SONDE_OK;
    const sonde__list *base = base_list(change, list);
    draft *d;
    SONDE_TRY(SONDE_NEW_ZERO(change->runtime, d, 1));
    change->drafts[list] = d;
    SONDE_TRY(draft_room(change, d, base->segments + 1));
    d->rows = base->rows;
    d->removed = base->removed;
    d->segments = base->segments;
    for (int64_t s = 0; s < base->segments; s++) d->segment[s] = (sonde__segment *)(uintptr_t)base->segment[s];
    d->tail = sonde__max_i64(0, base->segments - 1);
    *out = d;
    return SONDE_OK;
}

static uint64_t round_up_64(uint64_t bytes) { return (bytes + 63) & ~(uint64_t)63; }

/* A header without rows, with room for gone bits (all clear) if asked. */
static sonde__segment *header_new(sonde__change *change, int64_t capacity, bool bits)
{
    uint64_t words = bits ? (uint64_t)(capacity + 63) / 64 : 0;
    sonde__segment *made = sonde__shown_alloc(change->runtime, sizeof *made + words * 8);
    if (!made) return NULL;
    *made = (sonde__segment){.capacity = capacity};
    if (bits) made->gone = memset(made + 1, 0, words * 8);
    return made;
}

/* An empty segment with a slab of its own: ids first, then the columns, each at a multiple of 64 bytes. */
static sonde_status segment_new(sonde__change *change, int64_t capacity, bool bits, sonde__segment **out)
{
    const sonde__layout *layout = &change->store->layout;
    uint64_t bytes = round_up_64((uint64_t)capacity * 8);
    for (int c = 0; c < layout->columns; c++)
        bytes += round_up_64((uint64_t)sonde__column_bytes(layout, c, capacity));
    sonde__slab *slab;
    SONDE_TRY(SONDE_NEW_ZERO(change->runtime, slab, 1));
    slab->shares = 1;
    uint8_t *at = sonde__alloc(change->runtime, bytes, 1);
    slab->blob[0] = (sonde__blob){at, bytes, at != NULL};
    sonde__segment *made = at ? header_new(change, capacity, bits) : NULL;
    if (!made) {
        sonde__slab_drop(change->runtime, slab);
        return sonde__last_status();
    }
    made->ids = slab->blob[0].data;
    made->slab = slab;
    at += round_up_64((uint64_t)capacity * 8);
    for (int c = 0; c < layout->columns; c++) {
        uint64_t size = (uint64_t)sonde__column_bytes(layout, c, capacity);
        made->column[c] = at;
        /* What the last block holds behind the last row is read, though never used. */
        if (layout->blocked[c]) memset(at, 0, size);
        at += round_up_64(size);
    }
    *out = made;
    return SONDE_OK;
}

/* Whole blocks at once where both sides are at the beginning of one. */
static void copy_blocked(const uint8_t *from, int64_t first, int64_t count, int64_t width, uint8_t *to, int64_t at)
{
    int64_t block = SONDE__BLOCK_ROWS, whole = first % block == 0 && at % block == 0 ? count / block * block : 0;
    memcpy(to + at * width, from + first * width, (size_t)(whole * width));
    for (int64_t i = whole; i < count; i++) {
        const uint8_t *row = from + sonde__block_at(width, first + i);
        uint8_t *place = to + sonde__block_at(width, at + i);
        for (int64_t p = 0; p < width; p++) place[p * block] = row[p * block];
    }
}

static void copy_rows(const sonde__layout *layout, const sonde__segment *from, int64_t first, int64_t count,
                      sonde__segment *to)
{
    memcpy(to->ids + to->count, from->ids + first, (size_t)count * 8);
    for (int c = 0; c < layout->columns; c++) {
        int64_t width = layout->width[c];
        if (layout->blocked[c])
            copy_blocked(from->column[c], first, count, width, to->column[c], to->count);
        else
            memcpy(to->column[c] + to->count * width, from->column[c] + first * width, (size_t)(count * width));
    }
    to->count += count;
}

static void copy_gone(const sonde__segment *from, sonde__segment *to)
{
    if (from->gone) memcpy((uint64_t *)(uintptr_t)to->gone, from->gone, (size_t)(from->count + 63) / 64 * 8);
    to->removed = from->removed;
}

/* A header of its own for segment s, so that count or gone bits can change. */
static sonde_status touch_segment(sonde__change *change, draft *d, int64_t s, bool bits)
{
    const sonde__segment *old = d->segment[s];
    if (d->own[s] && (!bits || old->gone)) return SONDE_OK;
    sonde__segment *made = header_new(change, old->capacity, bits || old->gone);
    if (!made) return sonde__last_status();
    const uint64_t *gone = made->gone;
    *made = *old;
    made->gone = gone;
    copy_gone(old, made);
    if (d->own[s]) sonde__shown_free(change->runtime, old);
    d->segment[s] = made;
    d->own[s] = true;
    return SONDE_OK;
}

static sonde_status push_segment(sonde__change *change, draft *d, int64_t capacity)
{
    SONDE_TRY(draft_room(change, d, d->segments + 1));
    SONDE_TRY(segment_new(change, capacity, false, &d->segment[d->segments]));
    d->own[d->segments++] = true;
    return SONDE_OK;
}

/* Frees a draft's private segment. The slab goes with it unless the published segment in its place has the same one.
 */
static void drop_own(sonde__change *change, const sonde__list *base, draft *d, int64_t s)
{
    if (!d->own[s]) return;
    sonde__slab *slab = d->segment[s]->slab;
    if (s >= base->segments || base->segment[s]->slab != slab) sonde__slab_drop(change->runtime, slab);
    sonde__shown_free(change->runtime, d->segment[s]);
}

/* Moves the last segment's rows into a larger slab; places stay. */
static sonde_status grow_tail(sonde__change *change, int64_t list, draft *d, int64_t capacity)
{
    int64_t s = d->segments - 1;
    sonde__segment *grown;
    const sonde__segment *old = d->segment[s];
    SONDE_TRY(segment_new(change, capacity, old->gone != NULL, &grown));
    copy_rows(&change->store->layout, old, 0, old->count, grown);
    copy_gone(old, grown);
    drop_own(change, base_list(change, list), d, s);
    d->segment[s] = grown;
    d->own[s] = true;
    return SONDE_OK;
}

/* Makes room for `need` more rows of a list. */
static sonde_status list_room(sonde__change *change, int64_t list, draft *d, int64_t need)
{
    int64_t full = sonde__segment_rows(&change->store->layout);
    for (int64_t s = d->tail; s < d->segments; s++) need -= d->segment[s]->capacity - d->segment[s]->count;
    if (need <= 0) return SONDE_OK;
    if (d->segments > 0 && d->segment[d->segments - 1]->capacity < full) {
        int64_t old = d->segment[d->segments - 1]->capacity;
        int64_t capacity = sonde__min_i64(full, sonde__max_i64(old + need, old + old / 2 + 1));
        SONDE_TRY(grow_tail(change, list, d, capacity));
        need -= capacity - old;
    }
    for (; need > 0; need -= full) SONDE_TRY(push_segment(change, d, sonde__min_i64(full, need)));
    return SONDE_OK;
}

sonde_status sonde__change_reserve(sonde__change *change, const int64_t *counts)
{
    for (int64_t l = 0; l < change->lists; l++) {
        draft *d;
        if (counts[l] == 0) continue;
        SONDE_TRY(touch_list(change, l, &d));
        SONDE_TRY(list_room(change, l, d, counts[l]));
    }
    return SONDE_OK;
}

sonde_status sonde__change_append(sonde__change *change, int64_t list, int64_t id, const uint8_t *const *columns)
{
    draft *d;
    SONDE_TRY(touch_list(change, list, &d));
    while (d->tail < d->segments && d->segment[d->tail]->count == d->segment[d->tail]->capacity) d->tail++;
    if (d->tail == d->segments) {
        d->tail = sonde__max_i64(0, d->segments - 1);
        SONDE_TRY(list_room(change, list, d, 1));
        while (d->segment[d->tail]->count == d->segment[d->tail]->capacity) d->tail++;
    }
    SONDE_TRY(touch_segment(change, d, d->tail, false));
    sonde__segment *segment = d->segment[d->tail];
    segment->ids[segment->count] = id;
    for (int c = 0; c < change->store->layout.columns; c++) {
        int64_t width = change->store->layout.width[c];
        if (change->store->layout.blocked[c])
            sonde__column_put(segment->column[c], width, segment->count, columns[c]);
        else
            memcpy(segment->column[c] + segment->count * width, columns[c], (size_t)width);
    }
    segment->count++;
    d->rows++;
    change->placed++;
    if (id >= change->next_id) change->next_id = id + 1;
    return SONDE_OK;
}

/* ---- removing ---------------------------------------------------------------------------------------- */

static sonde_status take_out_one(sonde__change *change, int64_t id, sonde__place place)
{
    draft *d;
    int64_t s = sonde__place_segment(place), row = sonde__place_row(place);
    SONDE_TRY(touch_list(change, sonde__place_list(place), &d));
    if (sonde__gone(d->segment[s], row)) return SONDE_OK; /* the id is twice in the caller's list */
    SONDE_TRY(touch_segment(change, d, s, true));
    uint64_t *gone = (uint64_t *)(uintptr_t)d->segment[s]->gone;
    gone[row >> 6] |= (uint64_t)1 << (row & 63);
    d->segment[s]->removed++;
    d->removed++;
    change->erased[change->erased_count++] = (erased){id, place};
    return SONDE_OK;
}

sonde_status sonde__change_take_out(sonde__change *change, const int64_t *ids, int64_t count, int64_t *removed)
{
    sonde__idmap *map;
    SONDE_TRY(sonde__store_idmap(change->store, count * change->base->copies, &map));
    SONDE_ASSERT(!change->erased);
    SONDE_TRY(SONDE_NEW(change->runtime, change->erased, count * change->base->copies));
    for (int64_t i = 0; i < count; i++)
        for (int64_t copy = 0; ids[i] >= 0 && copy < change->base->copies; copy++) {
            int64_t id = copy ? ~ids[i] : ids[i];
            sonde__place place = sonde__idmap_find(map, change->base, id);
            if (place != SONDE__NOWHERE) SONDE_TRY(take_out_one(change, id, place));
        }
    *removed = change->erased_count / change->base->copies;
    return SONDE_OK;
}

/* ---- compacting -------------------------------------------------------------------------------------- */

static int64_t live_rows(const sonde__segment *segment) { return segment->count - segment->removed; }

/* Whether segment s of a list should be rewritten. */
static bool wasteful(const sonde__list *list, int64_t s, bool all, int64_t full)
{
    const sonde__segment *segment = list->segment[s];
    if (!all) return segment->removed > 0 && segment->removed * 4 >= segment->count;
    return segment->removed > 0 || segment->capacity > segment->count ||
           (s + 1 < list->segments && live_rows(segment) + live_rows(list->segment[s + 1]) <= full);
}

/* Appends the live rows of `from` to `to`, in runs. */
static void copy_live(const sonde__layout *layout, const sonde__segment *from, sonde__segment *to)
{
    for (int64_t begin = 0; begin < from->count;) {
        if (sonde__gone(from, begin)) {
            begin++;
            continue;
        }
        int64_t end = begin + 1;
        while (end < from->count && !sonde__gone(from, end)) end++;
        copy_rows(layout, from, begin, end - begin, to);
        begin = end;
    }
}

/* Joins segments first.. of the published list into one new segment at the draft's end; *next is the first not taken.
 */
static sonde_status join_run(sonde__change *change, const sonde__list *list, draft *d, int64_t first, bool all,
                             int64_t full, int64_t *next)
{
    int64_t rows = live_rows(list->segment[first]), end = first + 1;
    while (all && end < list->segments && rows + live_rows(list->segment[end]) <= full)
        rows += live_rows(list->segment[end++]);
    *next = end;
    if (rows == 0) return SONDE_OK;
    SONDE_TRY(push_segment(change, d, rows));
    for (int64_t s = first; s < end; s++)
        copy_live(&change->store->layout, list->segment[s], d->segment[d->segments - 1]);
    return SONDE_OK;
}

static sonde_status compact_list(sonde__change *change, int64_t l, bool all, int64_t *budget)
{
    const sonde__list *list = base_list(change, l);
    int64_t full = sonde__segment_rows(&change->store->layout), first = 0;
    while (first < list->segments && !wasteful(list, first, all, full)) first++;
    if (first == list->segments) return SONDE_OK;
    draft *d;
    SONDE_TRY(touch_list(change, l, &d));
    d->segments = first;
    d->moved = true;
    for (int64_t s = first; s < list->segments;) {
        if (*budget > 0 && wasteful(list, s, all, full)) {
            int64_t next;
            SONDE_TRY(join_run(change, list, d, s, all, full, &next));
            for (; s < next; s++) *budget -= list->segment[s]->count;
        } else {
            SONDE_TRY(draft_room(change, d, d->segments + 1));
            d->own[d->segments] = false;
            d->segment[d->segments++] = (sonde__segment *)(uintptr_t)list->segment[s++];
        }
    }
    d->rows = d->removed = 0;
    for (int64_t s = 0; s < d->segments; s++) {
        d->rows += d->segment[s]->count;
        d->removed += d->segment[s]->removed;
    }
    change->placed += d->rows - d->removed;
    return SONDE_OK;
}

sonde_status sonde__change_compact(sonde__change *change, bool all, bool *more)
{
    int64_t row = 8;
    for (int c = 0; c < change->store->layout.columns; c++) row += change->store->layout.width[c];
    int64_t budget = sonde__max_i64(1, COMPACT_BYTES / row);
    for (int64_t l = 0; l < change->lists && budget > 0; l++) SONDE_TRY(compact_list(change, l, all, &budget));
    *more = budget <= 0;
    return SONDE_OK;
}

/* ---- opened data ------------------------------------------------------------------------------------- */

/* first_blocked: the list's first row in blocked columns, where every list begins with a new block. */
static sonde_status adopt_list(sonde__change *change, int64_t l, int64_t first, int64_t first_blocked, int64_t count,
                               sonde__slab *slab)
{
    const sonde__layout *layout = &change->store->layout;
    int64_t full = sonde__segment_rows(layout);
    draft *d;
    SONDE_TRY(touch_list(change, l, &d));
    for (int64_t done = 0; done < count; done += full) {
        int64_t rows = sonde__min_i64(full, count - done), at = first + done;
        SONDE_TRY(draft_room(change, d, d->segments + 1));
        sonde__segment *made = sonde__shown_alloc(change->runtime, sizeof *made);
        if (!made) return sonde__last_status();
        *made = (sonde__segment){
            .count = rows, .capacity = rows, .ids = (int64_t *)slab->blob[0].data + at, .slab = slab};
        for (int c = 0; c < layout->columns; c++)
            made->column[c] = (uint8_t *)slab->blob[1 + c].data +
                              (layout->blocked[c] ? first_blocked + done : at) * layout->width[c];
        slab->shares++;
        d->segment[d->segments] = made;
        d->own[d->segments++] = true;
        d->rows += rows;
    }
    change->placed += count;
    return SONDE_OK;
}

sonde_status sonde__change_adopt(sonde__change *change, const int64_t *lengths, int64_t next_id,
                                 const sonde__blob *blobs)
{
    sonde__slab *slab;
    SONDE_TRY(SONDE_NEW_ZERO(change->runtime, slab, 1));
    for (int c = 0; c <= change->store->layout.columns; c++) slab->blob[c] = blobs[c];
    slab->shares = 1;
    sonde_status status = SONDE_OK;
    int64_t first = 0, first_blocked = 0, block = SONDE__BLOCK_ROWS;
    for (int64_t l = 0; l < change->lists && status == SONDE_OK; first += lengths[l++]) {
        if (lengths[l] > 0) status = adopt_list(change, l, first, first_blocked, lengths[l], slab);
        first_blocked += (lengths[l] + block - 1) / block * block;
    }
    change->next_id = next_id;
    if (status != SONDE_OK) /* the blobs stay the caller's: abort will drop the other shares */
        for (int c = 0; c <= change->store->layout.columns; c++) slab->blob[c].owned = false;
    sonde__slab_drop(change->runtime, slab);
    return status;
}

/* ---- the end of a change ----------------------------------------------------------------------------- */

static void free_drafts(sonde__change *change)
{
    for (int64_t l = 0; l < change->lists; l++) {
        draft *d = change->drafts[l];
        if (!d) continue;
        sonde__free(change->runtime, d->segment);
        sonde__free(change->runtime, d->own);
        sonde__free(change->runtime, d);
    }
    sonde__free(change->runtime, change->drafts);
    sonde__free(change->runtime, change->erased);
}

static void end(sonde__change *change)
{
    sonde__store *store = change->store;
    free_drafts(change);
    sonde__store_reclaim(store);
    sonde__mutex_unlock(&store->writer);
    sonde__free(store->runtime, change);
}

void sonde__change_abort(sonde__change *change)
{
    if (!change) return;
    for (int64_t l = 0; l < change->lists; l++) {
        draft *d = change->drafts[l];
        if (!d) continue;
        for (int64_t s = 0; s < d->segments; s++) drop_own(change, base_list(change, l), d, s);
        sonde__shown_free(change->runtime, d->header);
    }
    sonde__shown_free(change->runtime, change->next);
    sonde__shown_free(change->runtime, change->curve);
    sonde__store_drop_learned(change->store, change->learned);
    end(change);
}

/* Fills d->header. */
static sonde_status make_header(sonde__change *change, draft *d)
{
    d->header = sonde__shown_alloc(change->runtime, sizeof *d->header + (uint64_t)d->segments * sizeof(void *));
    if (!d->header) return sonde__last_status();
    *d->header = (sonde__list){.rows = d->rows, .removed = d->removed, .segments = d->segments};
    for (int64_t s = 0; s < d->segments; s++) d->header->segment[s] = d->segment[s];
    return SONDE_OK;
}

/* The next snapshot, with all it needs allocated. */
static sonde_status prepare(sonde__change *change)
{
    const sonde__snapshot *base = change->base;
    int64_t rows = base->rows, removed = base->removed;
    for (int64_t l = 0; l < change->lists; l++) {
        draft *d = change->drafts[l];
        if (!d) continue;
        SONDE_TRY(make_header(change, d));
        rows += d->rows - base_list(change, l)->rows;
        removed += d->removed - base_list(change, l)->removed;
    }
    sonde__snapshot *next = sonde__shown_alloc(change->runtime,
                                               sizeof *next + (uint64_t)change->lists * sizeof(void *));
    if (!next) return sonde__last_status();
    *next = (sonde__snapshot){.version = base->version + 1,
                              .rows = rows,
                              .removed = removed,
                              .next_id = change->next_id,
                              .copies = base->copies,
                              .lists = change->lists,
                              .learned = change->learned ? change->learned : base->learned};
    for (int64_t l = 0; l < change->lists; l++)
        next->list[l] = change->drafts[l] ? change->drafts[l]->header : base_list(change, l);
    change->next = next;
    return SONDE_OK;
}

sonde_status sonde__change_preview(sonde__change *change, const sonde__snapshot **next)
{
    SONDE_TRY(prepare(change));
    *next = change->next;
    return SONDE_OK;
}

void sonde__change_curve(sonde__change *change, const sonde__curve *curve) { change->curve = curve; }

/* Moves to the first live row at or after (*s, *r). */
static bool next_live(const sonde__list *list, int64_t *s, int64_t *r)
{
    for (; *s < list->segments; *s += 1, *r = 0)
        for (; *r < list->segment[*s]->count; *r += 1)
            if (!sonde__gone(list->segment[*s], *r)) return true;
    return false;
}

/* Live rows of a compacted list kept their order: walk both sides together. A new place may be another row's old one,
 * so all moved rows are erased in one walk and entered in a second. */
static void idmap_moves(sonde__idmap *map, int64_t l, const sonde__list *from, const sonde__list *to, bool enter)
{
    int64_t fs = 0, fr = 0, ts = 0, tr = 0;
    for (; next_live(from, &fs, &fr) && next_live(to, &ts, &tr); fr++, tr++) {
        sonde__place old = sonde__place_of(l, fs, fr), now = sonde__place_of(l, ts, tr);
        int64_t id = from->segment[fs]->ids[fr];
        if (old == now) continue;
        if (enter) sonde__idmap_insert(map, id, now);
        else sonde__idmap_erase(map, id, old);
    }
}

static void idmap_appends(sonde__idmap *map, int64_t l, const sonde__list *from, const sonde__list *to)
{
    for (int64_t s = 0; s < to->segments; s++)
        for (int64_t r = s < from->segments ? from->segment[s]->count : 0; r < to->segment[s]->count; r++)
            sonde__idmap_insert(map, to->segment[s]->ids[r], sonde__place_of(l, s, r));
}

static void update_idmap(sonde__change *change, sonde__idmap *map)
{
    for (int64_t i = 0; i < change->erased_count; i++)
        sonde__idmap_erase(map, change->erased[i].id, change->erased[i].place);
    for (int64_t l = 0; l < change->lists; l++) {
        draft *d = change->drafts[l];
        if (!d) continue;
        if (d->moved) {
            idmap_moves(map, l, base_list(change, l), d->header, false);
            idmap_moves(map, l, base_list(change, l), d->header, true);
        } else idmap_appends(map, l, base_list(change, l), d->header);
    }
}

/* A compacted list: the published segments that the draft did not keep. Both are in the same order. */
static void retire_joined(sonde__store *store, const sonde__list *old, const draft *d, uint64_t version)
{
    int64_t t = 0;
    for (int64_t s = 0; s < old->segments; s++) {
        while (t < d->segments && d->own[t]) t++;
        if (t < d->segments && d->segment[t] == old->segment[s]) t++;
        else sonde__store_retire(store, old->segment[s], old->segment[s]->slab, version);
    }
}

/* Segments that have a new header; the slab goes only if that has another. */
static void retire_changed(sonde__store *store, const sonde__list *old, const draft *d, uint64_t version)
{
    for (int64_t s = 0; s < old->segments; s++) {
        const sonde__segment *before = old->segment[s], *after = d->segment[s];
        if (before != after)
            sonde__store_retire(store, before, before->slab != after->slab ? before->slab : NULL, version);
    }
}

/* Leaves what the drafts replaced to the readers that still hold it. */
static void retire_replaced(sonde__change *change)
{
    sonde__store *store = change->store;
    uint64_t version = change->base->version;
    for (int64_t l = 0; l < change->lists; l++) {
        const draft *d = change->drafts[l];
        if (!d) continue;
        const sonde__list *old = base_list(change, l);
        (d->moved ? retire_joined : retire_changed)(store, old, d, version);
        if (old != store->empty) sonde__store_retire(store, old, NULL, version);
    }
    if (change->learned) sonde__store_retire_learned(store, change->base->learned, version);
    const sonde__curve *curve = atomic_load(&change->base->curve);
    if (change->curve && curve) sonde__store_retire(store, curve, NULL, version);
    sonde__store_retire(store, change->base, NULL, version);
}

sonde_status sonde__change_commit(sonde__change *change)
{
    sonde__store *store = change->store;
    sonde__idmap *map = atomic_load(&store->idmap), *old_map = map;
    sonde_status status = change->next ? SONDE_OK : prepare(change);
    if (status == SONDE_OK && map && !sonde__idmap_fits(map, change->placed))
        status = sonde__idmap_build(store->runtime, change->base, change->placed, &map);
    if (status != SONDE_OK) {
        sonde__change_abort(change);
        return status;
    }
    sonde__snapshot *next = change->next;
    atomic_init(&next->curve, change->curve ? change->curve : atomic_load(&change->base->curve));
    atomic_fetch_add(&store->idmap_sequence, 1);
    atomic_store(&store->current, next);
    atomic_store(&store->published, next->version);
    if (map) update_idmap(change, map);
    atomic_store(&store->idmap, map);
    atomic_fetch_add(&store->idmap_sequence, 1);
    if (map != old_map) sonde__store_retire(store, old_map, NULL, next->version);
    retire_replaced(change);
    end(change);
    return SONDE_OK;
}
