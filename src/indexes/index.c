/* index.c: the life of an index, the same for every kind: made from a spec, trained, filled, emptied, merged, freed.
 *
 * An add is one change of the store: rows are placed (which list), room is reserved exactly, rows are encoded in
 * chunks by all threads and appended in their order by one, and the whole is committed at the end. So a failure or a
 * cancel at any point leaves what was there, and the stored bytes do not depend on the number of threads. Splitting
 * lists that have grown too long is one change too: the kind makes new lists and places rows anew, the curve is measured
 * on the snapshot that is about to be, and all of it shows at once.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/handle.h"
#include "indexes/index.h"
#include "indexes/store.h"

#include <stdlib.h>

#define SPLIT_ROUNDS 8

#define METHOD(name) extern const sonde__index_method sonde__index_##name;
#include "indexes/list.h"
#undef METHOD

static const sonde__method *const methods[] = {
#define METHOD(name) &sonde__index_##name.method,
#include "indexes/list.h"
#undef METHOD
    NULL,
};

static const sonde__key common[] = {
    {"metric", SONDE__KEY_WORD, "l2", 0, 0, "l2|ip|cosine|hamming", NULL,
     "what near means; l2 is the squared distance"},
    {"duplicates", SONDE__KEY_WORD, "replace", 0, 0, "replace|refuse", NULL,
     "what add does with an id that is stored"},
    {0},
};

const sonde__noun sonde__index_noun = {"index", common, methods};

/* ---- making ------------------------------------------------------------------------------------------ */

static uint32_t metric_of(const char *word)
{
    if (strcmp(word, "ip") == 0) return SONDE_METRIC_IP;
    if (strcmp(word, "cosine") == 0) return SONDE_METRIC_COSINE;
    return strcmp(word, "hamming") == 0 ? SONDE_METRIC_HAMMING : SONDE_METRIC_L2;
}

sonde_status sonde__index_store(sonde_index *index)
{
    SONDE_TRY(sonde__store_create(index->runtime, &index->layout, index->lists, &index->store));
    if (index->learned) sonde__store_learned(index->store, index->learned, index->method->drop_learned);
    index->learned = NULL;
    return SONDE_OK;
}

void sonde__index_learned(sonde_index *index, void *learned)
{
    if (index->learned) index->method->drop_learned(index->runtime, index->learned);
    index->learned = learned;
}

static sonde_status make_in(sonde_index *made)
{
    /* the table's first member is the method that the noun lists */
    made->method = (const sonde__index_method *)(const void *)sonde__params_method(made->params);
    made->metric = metric_of(sonde__param_word(made->params, "metric"));
    made->refuse_duplicates = sonde__param_is(made->params, "duplicates", "refuse");
    made->dtype = SONDE_DTYPE_F32;
    made->accepts = SONDE__DTYPES_NUMERIC;
    made->lists = 1;
    return made->method->create(made);
}

sonde_status sonde__index_make(const char *spec, int64_t dim, sonde_runtime *runtime, sonde_index **index)
{
    sonde__handle_parts parts;
    SONDE_TRY(sonde__handle_width("dim", dim, 1, SONDE__MAX_DIM));
    SONDE_TRY(sonde__handle_begin(&sonde__index_noun, spec, runtime, sizeof(sonde_index), &parts));
    sonde_index *made = parts.memory;
    made->runtime = parts.runtime;
    made->params = parts.params;
    made->dim = dim;
    sonde__mutex_init(&made->first);
    sonde_status status = make_in(made);
    if (status != SONDE_OK) {
        sonde_index_free(made);
        return status;
    }
    *index = made;
    return SONDE_OK;
}

sonde_status sonde_index_create(const char *spec, int64_t dim, sonde_runtime *runtime, sonde_index **index)
{
    if (!spec || !index)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "index_create: %s is NULL", spec ? "index" : "spec");
    sonde_index *made = NULL;
    SONDE_TRY(sonde__index_make(spec, dim, runtime, &made));
    sonde_status status = made->trained ? sonde__index_store(made) : SONDE_OK;
    if (status != SONDE_OK) {
        sonde_index_free(made);
        return status;
    }
    *index = made;
    return SONDE_OK;
}

void sonde_index_free(sonde_index *index)
{
    if (!index) return;
    sonde__store_free(index->store);
    sonde__index_learned(index, NULL);
    if (index->method && index->method->drop) index->method->drop(index);
    sonde__params_free(index->runtime, index->params);
    sonde__reader_close(index->file);
    sonde__mutex_destroy(&index->first);
    sonde_runtime *runtime = index->runtime;
    sonde__free(runtime, index);
    sonde__runtime_drop(runtime);
}

sonde_status sonde__index_writable(const sonde_index *index, const char *verb)
{
    if (!index) return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: index is NULL", verb);
    if (index->file)
        return sonde__fail(SONDE_STATE, "%s: the index was opened mapped and is read-only; open it with mode READ",
                           verb);
    return SONDE_OK;
}

/* ---- training ---------------------------------------------------------------------------------------- */

/* Learns and makes the store. The caller shows both, by setting `trained`. */
static sonde_status train_on(sonde_index *index, const sonde_array *rows, const char *verb)
{
    int64_t least = index->method->min_rows(index);
    if (rows->rows < least)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "%s: %lld rows are too few to train %s, which needs %lld; train on a larger sample first "
                           "(sonde_index_train), or ask for less in the spec",
                           verb, (long long)rows->rows, sonde_index_spec(index), (long long)least);
    SONDE_TRY(index->method->train(index, rows));
    sonde__store_free(index->store);
    index->store = NULL;
    return sonde__index_store(index);
}

sonde_status sonde_index_train(sonde_index *index, const sonde_input *inputs, size_t count)
{
    SONDE_TRY(sonde__index_writable(index, "train"));
    const sonde_array *found[8] = {0};
    SONDE_TRY(sonde__inputs_match(&index->method->method, "train", "train", inputs, count, found));
    sonde_array rows;
    if (found[0]) {
        SONDE_TRY(sonde__array_check(found[0], "train: vectors", index->dim, index->accepts, &rows));
        SONDE_TRY(sonde__array_check_finite(index->runtime, &rows, "train: vectors"));
    }
    if (sonde_index_count(index) > 0)
        return sonde__fail(SONDE_STATE, "train: the index holds %lld rows already; train before the first add",
                           (long long)sonde_index_count(index));
    if (!index->method->train) return SONDE_OK;
    atomic_store(&index->trained, false);
    SONDE_TRY(train_on(index, &rows, "train"));
    atomic_store(&index->trained, true);
    return SONDE_OK;
}

/* ---- adding ------------------------------------------------------------------------------------------ */

/* Ids must be >= 0 and differ from each other. Ascending ones are proven by one pass. */
static sonde_status check_ids(const sonde_index *index, const int64_t *ids, int64_t n)
{
    bool ascending = true;
    for (int64_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] == INT64_MAX)
            return sonde__fail(SONDE_INVALID_ARGUMENT, "add: ids[%lld] is %lld; ids are 0..2^63-2", (long long)i,
                               (long long)ids[i]);
        if (i > 0 && ids[i] <= ids[i - 1]) ascending = false;
    }
    if (ascending) return SONDE_OK;
    int64_t *sorted, twice = -1;
    SONDE_TRY(SONDE_NEW(index->runtime, sorted, n));
    memcpy(sorted, ids, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, sonde__compare_i64);
    for (int64_t i = 1; i < n && twice < 0; i++)
        if (sorted[i] == sorted[i - 1]) twice = sorted[i];
    sonde__free(index->runtime, sorted);
    if (twice >= 0)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "add: id %lld is twice in this call", (long long)twice);
    return SONDE_OK;
}

/* What one add works with. */
typedef struct adding {
    const sonde_index *index;
    const sonde_array *rows;
    const int64_t *ids;
    int32_t *list;   /* of each row, then of the copies; NULL: all in list 0 */
    int copies, copy; /* of each row; the one in work */
    int64_t *counts; /* rows for each list */
    int64_t chunk;   /* rows encoded at a time */
    uint8_t *staging[SONDE__COLUMNS];
    int64_t begin; /* first row of the chunk in work */
} adding;

static sonde_status fill_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    adding *a = context;
    uint8_t *columns[SONDE__COLUMNS];
    for (int c = 0; c < a->index->layout.columns; c++) columns[c] = a->staging[c] + begin * a->index->layout.width[c];
    const int32_t *lists = a->list ? a->list + a->copy * a->rows->rows : NULL;
    return a->index->method->fill(a->index, a->rows, a->begin + begin, a->begin + end, lists, columns);
}

static sonde_status append_chunk(adding *a, sonde__change *change, int64_t count)
{
    const sonde__layout *layout = &a->index->layout;
    int64_t next = sonde__change_base(change)->next_id;
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *columns[SONDE__COLUMNS];
        for (int c = 0; c < layout->columns; c++) columns[c] = a->staging[c] + i * layout->width[c];
        int64_t row = a->begin + i, id = a->ids ? a->ids[row] : next + row;
        int32_t list = a->list ? a->list[a->copy * a->rows->rows + row] : 0;
        SONDE_TRY(sonde__change_append(change, list, a->copy ? ~id : id, columns));
    }
    return SONDE_OK;
}

/* Takes the rows out that the new ones replace, or refuses them. */
static sonde_status replace_ids(const adding *a, sonde__change *change)
{
    const sonde__snapshot *base = sonde__change_base(change);
    if (!a->ids || sonde__live_rows(base) == 0) return SONDE_OK;
    int64_t replaced;
    SONDE_TRY(sonde__change_take_out(change, a->ids, a->rows->rows, &replaced));
    if (replaced > 0 && a->index->refuse_duplicates)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "add: %lld of these ids are stored already and the spec says duplicates=refuse",
                           (long long)replaced);
    return SONDE_OK;
}

static sonde_status append_all(adding *a, sonde__change *change)
{
    int64_t n = a->rows->rows;
    if (!a->ids && sonde__change_base(change)->next_id > INT64_MAX - n)
        return sonde__fail(SONDE_LIMIT,
                           "add: the largest id is %lld, so %lld rows cannot be numbered after it; give ids",
                           (long long)sonde__change_base(change)->next_id - 1, (long long)n);
    SONDE_TRY(replace_ids(a, change));
    SONDE_TRY(sonde__change_reserve(change, a->counts));
    for (a->copy = 0; a->copy < a->copies; a->copy++)
        for (a->begin = 0; a->begin < n; a->begin += a->chunk) {
            int64_t count = sonde__min_i64(a->chunk, n - a->begin);
            SONDE_TRY(sonde__poll(a->index->runtime, "add", (uint64_t)(a->copy * n + a->begin),
                                  (uint64_t)(a->copies * n)));
            SONDE_TRY(sonde__parallel_for(a->index->runtime, 0, count, 128, NULL, fill_chunk, a));
            SONDE_TRY(append_chunk(a, change, count));
        }
    return SONDE_OK;
}

/* Places the rows and gets the memory that the add works in. */
static sonde_status add_prepare(adding *a, const sonde__change *change)
{
    const sonde_index *index = a->index;
    int64_t n = a->rows->rows, row_bytes = 8;
    a->copies = index->layout.copies > 1 ? index->layout.copies : 1;
    SONDE_TRY(SONDE_NEW_ZERO(index->runtime, a->counts, sonde__change_base(change)->lists));
    if (index->method->place) {
        SONDE_TRY(SONDE_NEW(index->runtime, a->list, n * a->copies));
        SONDE_TRY(index->method->place(index, a->rows, a->list));
        for (int64_t i = 0; i < n * a->copies; i++) a->counts[a->list[i]]++;
    } else a->counts[0] = n;
    for (int c = 0; c < index->layout.columns; c++) row_bytes += index->layout.width[c];
    a->chunk = sonde__min_i64(n, sonde__max_i64(256, sonde__min_i64(16384, ((int64_t)8 << 20) / row_bytes)));
    for (int c = 0; c < index->layout.columns; c++)
        SONDE_TRY(SONDE_NEW(index->runtime, a->staging[c], a->chunk * index->layout.width[c]));
    return SONDE_OK;
}

static sonde_status add_rows(const sonde_index *index, const sonde_array *rows, const int64_t *ids)
{
    adding a = {.index = index, .rows = rows, .ids = ids};
    sonde__change *change;
    SONDE_TRY(sonde__change_begin(index->store, &change));
    sonde_status status = add_prepare(&a, change);
    if (status == SONDE_OK) status = append_all(&a, change);
    if (status == SONDE_OK) status = sonde__change_commit(change);
    else sonde__change_abort(change);
    for (int c = 0; c < SONDE__COLUMNS; c++) sonde__free(index->runtime, a.staging[c]);
    sonde__free(index->runtime, a.list);
    sonde__free(index->runtime, a.counts);
    return status;
}

/* Trains on the rows and stores them; others that come meanwhile wait. Nothing shows, not even that it has been
 * trained, until the rows are in. */
static sonde_status first_add(sonde_index *index, const sonde_array *rows, const int64_t *ids)
{
    sonde__mutex_lock(&index->first);
    sonde_status status = index->trained ? SONDE_OK : train_on(index, rows, "add");
    if (status == SONDE_OK) status = add_rows(index, rows, ids);
    if (status == SONDE_OK) atomic_store(&index->trained, true);
    sonde__mutex_unlock(&index->first);
    return status;
}

sonde_status sonde_index_add(sonde_index *index, const sonde_array *vectors, const int64_t *ids)
{
    SONDE_TRY(sonde__index_writable(index, "add"));
    sonde_array rows;
    SONDE_TRY(sonde__array_check(vectors, "add: vectors", index->dim, index->accepts, &rows));
    SONDE_TRY(sonde__array_check_finite(index->runtime, &rows, "add: vectors"));
    if (rows.rows == 0) return SONDE_OK;
    if (ids) SONDE_TRY(check_ids(index, ids, rows.rows));
    if (sonde_index_count(index) > SONDE__MAX_ROWS - rows.rows)
        return sonde__fail(SONDE_LIMIT, "add: an index holds at most 2^40 rows");
    SONDE_TRY(index->trained ? add_rows(index, &rows, ids) : first_add(index, &rows, ids));
    (void)sonde__index_autotune(index); /* the rows are in, whether it succeeds or not */
    return SONDE_OK;
}

/* ---- splitting lists --------------------------------------------------------------------------------- */

/* A curve for what the change will publish, if there is one for what it began with. */
static sonde_status measure_again(sonde_index *index, sonde__change *change)
{
    const sonde__snapshot *next;
    const sonde__curve *curve;
    sonde_tune_options options = SONDE_TUNE_OPTIONS_INIT;
    if (!atomic_load(&sonde__change_base(change)->curve)) return SONDE_OK;
    SONDE_TRY(sonde__change_preview(change, &next));
    SONDE_TRY(sonde__curve_measure(index, next, NULL, &options, &curve));
    sonde__change_curve(change, curve);
    return SONDE_OK;
}

static sonde_status split_once(sonde_index *index, bool *done)
{
    sonde__change *change;
    SONDE_TRY(sonde__change_begin(index->store, &change));
    sonde_status status = index->method->split(index, change, done);
    if (status == SONDE_OK && *done) status = measure_again(index, change);
    if (status != SONDE_OK || !*done) {
        sonde__change_abort(change);
        return status;
    }
    return sonde__change_commit(change);
}

/* What a split list really holds shows once rows are placed: then it may be long still. */
static sonde_status split(sonde_index *index)
{
    bool done = index->method->split != NULL;
    for (int round = 0; done && round < SPLIT_ROUNDS; round++) SONDE_TRY(split_once(index, &done));
    return SONDE_OK;
}

sonde_status sonde__index_drift(const sonde_index *index, const sonde__snapshot *snapshot, sonde__drift *drift)
{
    *drift = (sonde__drift){0};
    return index->method->drift ? index->method->drift(index, snapshot, drift) : SONDE_OK;
}

/* ---- removing, compacting ---------------------------------------------------------------------------- */

/* Compacts until nothing is left to do; progress is told by the number of steps. */
static sonde_status compact(sonde_index *index, bool all)
{
    bool more = true;
    for (uint64_t step = 0; more; step++) {
        SONDE_TRY(sonde__poll(index->runtime, "compact", step, step + 1));
        sonde__change *change;
        SONDE_TRY(sonde__change_begin(index->store, &change));
        sonde_status status = sonde__change_compact(change, all, &more);
        if (status != SONDE_OK) {
            sonde__change_abort(change);
            return status;
        }
        SONDE_TRY(sonde__change_commit(change));
    }
    return SONDE_OK;
}

sonde_status sonde_index_remove(sonde_index *index, const int64_t *ids, int64_t count, int64_t *removed)
{
    SONDE_TRY(sonde__index_writable(index, "remove"));
    if (count < 0 || (count > 0 && !ids))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "remove: ids is NULL or count=%lld is negative", (long long)count);
    int64_t taken = 0;
    if (count > 0 && index->trained) {
        sonde__change *change;
        SONDE_TRY(sonde__change_begin(index->store, &change));
        sonde_status status = sonde__change_take_out(change, ids, count, &taken);
        if (status != SONDE_OK || taken == 0) sonde__change_abort(change);
        else status = sonde__change_commit(change);
        if (status != SONDE_OK) return status;
        /* Giving space back early is a courtesy: the rows are removed whether it succeeds or not. */
        if (taken > 0) (void)compact(index, false);
    }
    if (removed) *removed = taken;
    return SONDE_OK;
}

sonde_status sonde_index_compact(sonde_index *index)
{
    SONDE_TRY(sonde__index_writable(index, "compact"));
    if (!index->trained) return SONDE_OK;
    SONDE_TRY(split(index));
    return compact(index, true);
}

/* ---- merging ----------------------------------------------------------------------------------------- */

/* All live ids of a snapshot, in storage order. */
static void gather_ids(const sonde__snapshot *snapshot, int64_t *ids, int64_t capacity)
{
    int64_t n = 0;
    for (int64_t l = 0; l < snapshot->lists; l++)
        for (int64_t s = 0; s < snapshot->list[l]->segments; s++) {
            const sonde__segment *segment = snapshot->list[l]->segment[s];
            for (int64_t r = 0; r < segment->count && n < capacity; r++)
                if (!sonde__gone(segment, r) && segment->ids[r] >= 0) ids[n++] = segment->ids[r];
        }
}

/* buffer: a row's bytes of the blocked columns. */
static sonde_status merge_segment(sonde__change *change, const sonde__layout *layout, int64_t list,
                                  const sonde__segment *segment, uint8_t *buffer)
{
    for (int64_t r = 0; r < segment->count; r++) {
        if (sonde__gone(segment, r)) continue;
        const uint8_t *columns[SONDE__COLUMNS];
        uint8_t *free_bytes = buffer;
        for (int c = 0; c < layout->columns; c++) {
            columns[c] = sonde__segment_row(layout, segment, c, r, free_bytes);
            free_bytes += layout->blocked[c] ? layout->width[c] : 0;
        }
        SONDE_TRY(sonde__change_append(change, list, segment->ids[r], columns));
    }
    return SONDE_OK;
}

/* ids and counts are filled here, buffer is room for a row; the caller owns them. */
static sonde_status merge_rows(sonde_index *index, const sonde__snapshot *from, sonde__change *change, int64_t *ids,
                               int64_t *counts, uint8_t *buffer)
{
    int64_t live = sonde__live_rows(from), replaced;
    gather_ids(from, ids, live);
    for (int64_t l = 0; l < from->lists; l++) counts[l] = from->list[l]->rows - from->list[l]->removed;
    SONDE_TRY(sonde__change_take_out(change, ids, live, &replaced));
    if (replaced > 0 && index->refuse_duplicates)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "merge: %lld ids are stored in both and the spec says duplicates=refuse",
                           (long long)replaced);
    SONDE_TRY(sonde__change_reserve(change, counts));
    for (int64_t l = 0; l < from->lists; l++) {
        SONDE_TRY(sonde__poll(index->runtime, "merge", (uint64_t)l, (uint64_t)from->lists));
        for (int64_t s = 0; s < from->list[l]->segments; s++)
            SONDE_TRY(merge_segment(change, &index->layout, l, from->list[l]->segment[s], buffer));
    }
    return SONDE_OK;
}

static sonde_status merge_snapshot(sonde_index *index, const sonde__snapshot *from)
{
    int64_t *ids = NULL, *counts = NULL, row_bytes = 0;
    uint8_t *buffer = NULL;
    sonde__change *change = NULL;
    for (int c = 0; c < index->layout.columns; c++) row_bytes += index->layout.width[c];
    sonde_status status = SONDE_NEW(index->runtime, ids, sonde__live_rows(from));
    if (status == SONDE_OK) status = SONDE_NEW(index->runtime, counts, from->lists);
    if (status == SONDE_OK) status = SONDE_NEW(index->runtime, buffer, row_bytes);
    if (status == SONDE_OK) status = sonde__change_begin(index->store, &change);
    if (status == SONDE_OK) {
        status = merge_rows(index, from, change, ids, counts, buffer);
        if (status == SONDE_OK) status = sonde__change_commit(change);
        else sonde__change_abort(change);
    }
    sonde__free(index->runtime, ids);
    sonde__free(index->runtime, counts);
    sonde__free(index->runtime, buffer);
    return status;
}

/* Whether both have learned the same. from_snapshot: of `from`. */
static sonde_status learned_same(const sonde_index *index, const sonde_index *from, const sonde__snapshot *from_snapshot,
                                 bool *same)
{
    sonde__visit visit = sonde__store_enter(index->store);
    *same = !index->method->same_learned ||
            (visit.snapshot->lists == from_snapshot->lists &&
             index->method->same_learned(index, visit.snapshot->learned, from_snapshot->learned));
    sonde__store_leave(index->store, visit);
    return *same && index->method->same ? index->method->same(index, from, same) : SONDE_OK;
}

static sonde_status check_mergeable(const sonde_index *index, const sonde_index *from,
                                    const sonde__snapshot *from_snapshot)
{
    bool same = index->trained;
    if (same) SONDE_TRY(learned_same(index, from, from_snapshot, &same));
    if (same) return SONDE_OK;
    return sonde__fail(SONDE_INCOMPATIBLE, "merge: the two indexes were trained apart, or compact has split lists of one; "
                                           "open one trained file for both, then add");
}

static sonde_status check_kinds(const sonde_index *index, const sonde_index *from)
{
    if (!from || index == from)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           from ? "merge: an index cannot be merged into itself" : "merge: from is NULL");
    if (index->dim != from->dim || strcmp(sonde_index_spec(index), sonde_index_spec(from)) != 0)
        return sonde__fail(SONDE_INCOMPATIBLE, "merge: %s of dim=%lld does not fit %s of dim=%lld",
                           sonde_index_spec(from), (long long)from->dim, sonde_index_spec(index),
                           (long long)index->dim);
    return SONDE_OK;
}

sonde_status sonde_index_merge(sonde_index *index, const sonde_index *from)
{
    SONDE_TRY(sonde__index_writable(index, "merge"));
    SONDE_TRY(check_kinds(index, from));
    if (!from->trained) return SONDE_OK;
    sonde__visit visit = sonde__store_enter(from->store);
    sonde_status status = check_mergeable(index, from, visit.snapshot);
    if (status == SONDE_OK && sonde__live_rows(visit.snapshot) > 0) status = merge_snapshot(index, visit.snapshot);
    sonde__store_leave(from->store, visit);
    if (status == SONDE_OK) (void)sonde__index_autotune(index);
    return status;
}

/* ---- looking inside ---------------------------------------------------------------------------------- */

int64_t sonde_index_count(const sonde_index *index)
{
    if (!index || !index->trained) return 0;
    sonde__visit visit = sonde__store_enter(index->store);
    int64_t live = sonde__live_rows(visit.snapshot);
    sonde__store_leave(index->store, visit);
    return live;
}

int64_t sonde_index_dim(const sonde_index *index) { return index ? index->dim : 0; }

uint32_t sonde_index_metric(const sonde_index *index) { return index ? index->metric : 0; }

const char *sonde_index_spec(const sonde_index *index) { return index ? sonde__params_text(index->params) : ""; }

/* Enters the store with the place of an id in it, looking again while a write is moving rows. Leave visit afterwards.
 */
static sonde__place find_id(const sonde_index *index, int64_t id, sonde__visit *visit, sonde_status *status)
{
    for (;;) {
        bool stale;
        *visit = sonde__store_enter(index->store);
        sonde__place place = sonde__store_find(index->store, visit->snapshot, id, &stale, status);
        if (place != SONDE__NOWHERE || !stale || *status != SONDE_OK) return place;
        sonde__store_leave(index->store, *visit);
        sonde__os_yield();
    }
}

sonde_status sonde__index_has(const sonde_index *index, int64_t id, bool *has)
{
    *has = false;
    if (!index->trained || id < 0) return SONDE_OK;
    sonde__visit visit;
    sonde_status status;
    sonde__place place = find_id(index, id, &visit, &status);
    sonde__store_leave(index->store, visit);
    *has = place != SONDE__NOWHERE;
    return status;
}

bool sonde_index_contains(const sonde_index *index, int64_t id)
{
    bool has = false;
    return index && sonde__index_has(index, id, &has) == SONDE_OK && has;
}

sonde_status sonde_index_ids(const sonde_index *index, int64_t *ids, int64_t capacity, int64_t *count)
{
    if (!index || !count || capacity < 0 || (capacity > 0 && !ids))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "ids: index, count or ids is NULL, or capacity is negative");
    int64_t live = 0;
    if (index->trained) {
        sonde__visit visit = sonde__store_enter(index->store);
        live = sonde__live_rows(visit.snapshot);
        gather_ids(visit.snapshot, ids, capacity);
        sonde__store_leave(index->store, visit);
    }
    *count = live;
    return SONDE_OK;
}

static sonde_status get_one(const sonde_index *index, int64_t id, void *out)
{
    sonde__visit visit;
    sonde_status status = SONDE_OK;
    sonde__place place = SONDE__NOWHERE;
    if (index->trained) {
        place = find_id(index, id, &visit, &status);
        if (place != SONDE__NOWHERE) index->method->get(index, visit.snapshot, place, out);
        sonde__store_leave(index->store, visit);
    }
    if (status == SONDE_OK && place == SONDE__NOWHERE)
        return sonde__fail(SONDE_NOT_FOUND, "get: id %lld is not stored", (long long)id);
    return status;
}

sonde_status sonde_index_get(const sonde_index *index, const int64_t *ids, int64_t count, sonde_array *out)
{
    if (!index || count < 0 || (count > 0 && !ids))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "get: index or ids is NULL, or count is negative");
    sonde_array rows;
    uint32_t dtype = index->dtype == SONDE_DTYPE_BITS ? SONDE_DTYPE_BITS : SONDE_DTYPE_F32;
    SONDE_TRY(sonde__array_check(out, "get: out", index->dim, SONDE__DTYPE_BIT(dtype), &rows));
    if (rows.rows != count)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "get: out has %lld rows for %lld ids", (long long)rows.rows,
                           (long long)count);
    /* Outputs stay untouched on failure: look all ids up first. */
    for (int64_t i = 0; i < count; i++) {
        bool has;
        SONDE_TRY(sonde__index_has(index, ids[i], &has));
        if (!has) return sonde__fail(SONDE_NOT_FOUND, "get: id %lld is not stored", (long long)ids[i]);
    }
    for (int64_t i = 0; i < count; i++) SONDE_TRY(get_one(index, ids[i], (uint8_t *)rows.data + i * rows.stride));
    return SONDE_OK;
}

static void stats_of_snapshot(const sonde__snapshot *snapshot, sonde_index_stats *stats)
{
    stats->count = sonde__live_rows(snapshot);
    stats->removed = snapshot->removed / snapshot->copies;
    stats->version = snapshot->version - 1;
    stats->lists = snapshot->lists;
    for (int64_t l = 0; l < snapshot->lists; l++) {
        int64_t live = snapshot->list[l]->rows - snapshot->list[l]->removed;
        stats->largest_list = sonde__max_i64(stats->largest_list, live);
        stats->empty_lists += live == 0;
    }
}

static sonde_status stats_of_drift(const sonde_index *index, const sonde__snapshot *snapshot, sonde_index_stats *stats)
{
    sonde__drift drift;
    SONDE_TRY(sonde__index_drift(index, snapshot, &drift));
    stats->drift = (float)drift.drift;
    stats->long_lists = drift.long_lists;
    stats->split = drift.long_lists == 0 ? 0 : drift.splits ? 1 : 2;
    return SONDE_OK;
}

sonde_status sonde_index_stats_get(const sonde_index *index, sonde_index_stats *stats)
{
    if (!index) return sonde__fail(SONDE_INVALID_ARGUMENT, "stats_get: index is NULL");
    sonde_index_stats s = {.metric = index->metric, .dim = index->dim, .trained = index->trained};
    if (s.trained) {
        s.row_bytes = 8;
        for (int c = 0; c < index->layout.columns; c++) s.row_bytes += (uint64_t)index->layout.width[c];
        s.memory_bytes = sizeof *index + sonde__store_bytes(index->store, &s.mapped_bytes);
        sonde__visit visit = sonde__store_enter(index->store);
        if (index->method->learned_bytes) s.memory_bytes += index->method->learned_bytes(index);
        stats_of_snapshot(visit.snapshot, &s);
        const sonde__curve *curve = atomic_load(&visit.snapshot->curve);
        if (curve) {
            s.calibrated = curve->source;
            s.calibrated_at = curve->calibrated_at;
        }
        sonde_status status = stats_of_drift(index, visit.snapshot, &s);
        sonde__store_leave(index->store, visit);
        if (status != SONDE_OK) return status;
    }
    return sonde__info_write(&s, sizeof s, "stats_get", stats);
}

sonde_status sonde_index_estimate(const char *spec, int64_t dim, int64_t rows, uint64_t *memory_bytes,
                                  uint64_t *build_bytes)
{
    if (!spec || rows < 0 || rows > SONDE__MAX_ROWS)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "estimate: spec is NULL or rows=%lld is outside 0..2^40",
                           (long long)rows);
    sonde_index *index;
    SONDE_TRY(sonde__index_make(spec, dim, NULL, &index));
    uint64_t learned = 0, building = 0;
    sonde_status status = index->method->estimate ? index->method->estimate(index, rows, &learned, &building)
                                                  : SONDE_OK;
    uint64_t stored = sonde__layout_bytes(&index->layout, rows, index->lists) + sizeof(sonde__store) +
                      sizeof(sonde_index) + learned;
    sonde_index_free(index);
    if (status != SONDE_OK) return status;
    if (memory_bytes) *memory_bytes = stored;
    /* while adding: chunks of rows on their way through, and 12 bytes a row for its list and place */
    if (build_bytes) *build_bytes = stored + building + ((uint64_t)24 << 20) + (uint64_t)rows * 12;
    return SONDE_OK;
}
