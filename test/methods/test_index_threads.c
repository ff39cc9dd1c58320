/* test_index_threads.c: eight readers beside one writer. What must hold at any moment:
 *
 *   - the stable rows (ids 0..STABLE-1) are always found, with score 0, and reconstruct exactly;
 *   - a row whose add has returned is found by every search that begins afterwards, until its removal begins;
 *   - rows that came in one add are seen all or not at all, and so are removals;
 *   - an id that is replaced over and over is there exactly once, wholly old or wholly new;
 *   - what is saved meanwhile opens and proves its structure.
 *
 * Run under ThreadSanitizer it also shows that no access is unordered.
 * timeout: 120
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>

#include "../test.h"

#define DIM 12
#define STABLE 1200
#define BATCH 10
#define FEW 100 /* rows of a first add: so few that training is quick and failures are many */
#define READERS 8
#define LEAST_LOOPS 25
#define ROUNDS 120
#define CHANGING 900000     /* the id that is replaced over and over */
#define FIRST_MERGED 800000 /* ids of the rows that are merged in */
#define FIRST_BATCH 100000  /* ids of the batches that come and go */
#define MOST_IDS (STABLE + BATCH * ROUNDS + 100)

typedef struct scene {
    sonde_index *index;
    const sonde_index *other; /* what is merged in */
    float *stable;
    atomic_long first, end; /* batches that are surely there: first <= b < end */
    atomic_bool done;
    atomic_int failures;
    char failure[400]; /* the first */
} scene;

/* cmocka's assertions belong to the main thread; others leave a note. */
static void note(scene *s, const char *what, int64_t id)
{
    if (atomic_fetch_add(&s->failures, 1) == 0)
        snprintf(s->failure, sizeof s->failure, "%s (id %lld): %s", what, (long long)id, sonde_error_message());
}

/* The vector of an id: far from all others. */
static void vector_of(int64_t id, float *x)
{
    uint64_t state = (uint64_t)id * 77 + 5;
    for (int j = 0; j < DIM; j++) x[j] = 20 * test_normal(&state);
}

static void fill_batch(int64_t first_id, int64_t n, int64_t *ids, float *x)
{
    for (int64_t i = 0; i < n; i++) {
        ids[i] = first_id + i;
        vector_of(ids[i], x + i * DIM);
    }
}

static int64_t batch_id(int64_t batch) { return FIRST_BATCH + batch * BATCH; }

/* ---- what readers look at -------------------------------------------------------------------------------------- */

static sonde_status find(const scene *s, const float *x, const sonde_filter *filter, uint32_t k, int64_t *ids,
                         float *scores, int32_t *count)
{
    sonde_array query = sonde_f32(x, 1, DIM);
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    sonde_hits hits = SONDE_HITS_INIT;
    how.k = k;
    how.recall = 1;
    how.filter = filter;
    hits.ids = ids;
    hits.scores = scores;
    hits.count = count;
    return sonde_index_search(s->index, &query, &how, &hits);
}

static void look_for_stable(scene *s, uint64_t *state)
{
    int64_t id = (int64_t)(test_u64(state) % STABLE), ids[3];
    float scores[3];
    if (find(s, s->stable + id * DIM, NULL, 3, ids, scores, NULL) || ids[0] != id || scores[0] > 1e-3f)
        note(s, "a stable row is not found", id);
}

/* Any id that is surely there; -1 if there is none now. */
static int64_t sure_id(const scene *s, uint64_t *state)
{
    long first = atomic_load(&s->first), end = atomic_load(&s->end);
    return end > first ? batch_id(first + (long)(test_u64(state) % (uint64_t)(end - first))) +
                             (int64_t)(test_u64(state) % BATCH)
                       : -1;
}

static bool still_sure(const scene *s, int64_t id) { return id >= batch_id(atomic_load(&s->first)); }

static void look_for_new(scene *s, uint64_t *state)
{
    int64_t id = sure_id(s, state), ids[2];
    float x[DIM], scores[2];
    if (id < 0) return;
    vector_of(id, x);
    if (find(s, x, NULL, 2, ids, scores, NULL)) note(s, "search", id);
    else if (ids[0] != id && still_sure(s, id)) note(s, "an added row is not found", id);
}

static void look_for_batch(scene *s, uint64_t *state)
{
    sonde_filter filter = SONDE_FILTER_INIT;
    int64_t names[BATCH], ids[3 * BATCH], batch = (int64_t)(test_u64(state) % ROUNDS);
    int32_t count = -1;
    bool listed = test_u64(state) % 2;
    for (int i = 0; i < BATCH; i++) names[i] = batch_id(batch) + i;
    filter.kind = listed ? SONDE_FILTER_IDS : SONDE_FILTER_RANGE;
    filter.ids = names;
    filter.count = BATCH;
    filter.first = names[0];
    filter.last = names[0] + BATCH;
    if (find(s, s->stable, &filter, 3 * BATCH, ids, NULL, &count)) note(s, "search", names[0]);
    else if (count != 0 && count != BATCH) note(s, "a part of an add or removal was seen", count);
}

static void look_at_changing(scene *s, uint64_t *state)
{
    sonde_filter filter = SONDE_FILTER_INIT;
    int64_t id = CHANGING, ids[4];
    float x[DIM], a[DIM], b[DIM];
    sonde_array out = sonde_f32(x, 1, DIM);
    int32_t count = -1;
    (void)state;
    filter.kind = SONDE_FILTER_IDS;
    filter.ids = &id;
    filter.count = 1;
    if (find(s, s->stable, &filter, 4, ids, NULL, &count) || count != 1 || ids[0] != id || ids[1] != -1)
        note(s, "the changing row is not there once", count);
    if (!sonde_index_contains(s->index, id)) note(s, "contains misses the changing row", id);
    if (sonde_index_get(s->index, &id, 1, &out)) note(s, "get", id);
    vector_of(CHANGING, a);
    vector_of(CHANGING + 1, b);
    if (memcmp(x, a, sizeof x) != 0 && memcmp(x, b, sizeof x) != 0) note(s, "the changing row is mixed", id);
}

static void look_inside(scene *s, uint64_t *state)
{
    int64_t id = sure_id(s, state);
    float x[DIM], wanted[DIM];
    sonde_array out = sonde_f32(x, 1, DIM);
    sonde_index_stats stats = SONDE_INDEX_STATS_INIT;
    sonde_operating_point point = SONDE_OPERATING_POINT_INIT;
    if (sonde_index_stats_get(s->index, &stats) || stats.count < STABLE) note(s, "stats", stats.count);
    if (sonde_index_count(s->index) < STABLE) note(s, "count", 0);
    (void)sonde_index_operating_point(s->index, 1, &point);
    if (id < 0) return;
    if (!sonde_index_contains(s->index, id) && still_sure(s, id)) note(s, "contains misses an added row", id);
    sonde_status status = sonde_index_get(s->index, &id, 1, &out);
    vector_of(id, wanted);
    if (status == SONDE_NOT_FOUND ? still_sure(s, id) : status != SONDE_OK) note(s, "get misses an added row", id);
    else if (status == SONDE_OK && memcmp(x, wanted, sizeof x) != 0) note(s, "get gives another row", id);
}

static void look_around(scene *s, uint64_t *state)
{
    int64_t id = (int64_t)(test_u64(state) % STABLE);
    sonde_array query = sonde_f32(s->stable + id * DIM, 1, DIM);
    sonde_range_hits *hits = NULL;
    const int64_t *offsets, *ids;
    if (sonde_index_range_search(s->index, &query, 0.5f, NULL, &hits)) {
        note(s, "range_search", id);
        return;
    }
    sonde_range_hits_view(hits, &offsets, &ids, NULL);
    if (offsets[1] != 1 || ids[0] != id) note(s, "range_search misses a stable row", id);
    sonde_range_hits_free(hits);
}

static void list_ids(scene *s, uint64_t *state)
{
    int64_t *ids = malloc(MOST_IDS * sizeof *ids), count = 0, stable = 0;
    (void)state;
    if (sonde_index_ids(s->index, ids, MOST_IDS, &count) || count > MOST_IDS) note(s, "ids", count);
    for (int64_t i = 0; i < count && i < MOST_IDS; i++) stable += ids[i] >= 0 && ids[i] < STABLE;
    if (stable != STABLE) note(s, "ids lack stable rows", stable);
    free(ids);
}

static void save_and_prove(scene *s, uint64_t *state)
{
    size_t length = 0, room = 4 << 20;
    void *bytes = malloc(room);
    sonde_index *copy = NULL;
    (void)state;
    if (sonde_index_save_buffer(s->index, bytes, room, &length) ||
        sonde_index_open_buffer(bytes, length, NULL, NULL, &copy))
        note(s, "save_buffer", 0);
    else if (sonde_index_check(copy) || !sonde_index_contains(copy, STABLE - 1))
        note(s, "a saved index is not whole", 0);
    if (sonde_index_check(s->index)) note(s, "check", 0);
    sonde_index_free(copy);
    free(bytes);
}

typedef void (*look)(scene *s, uint64_t *state);
static const look looks[] = {look_for_stable, look_for_new, look_for_batch, look_at_changing,
                             look_inside,     look_around,  list_ids};

static void *read_on(void *context)
{
    scene *s = context;
    uint64_t state = (uint64_t)(uintptr_t)&state;
    for (int loop = 0; loop < LEAST_LOOPS || !atomic_load(&s->done); loop++) {
        looks[test_u64(&state) % (sizeof looks / sizeof looks[0])](s, &state);
        if (loop % 40 == 7) save_and_prove(s, &state);
    }
    return NULL;
}

/* ---- what the writer does -------------------------------------------------------------------------------------- */

static void add_batch(scene *s, long batch)
{
    int64_t ids[BATCH];
    float x[BATCH * DIM];
    sonde_array rows = sonde_f32(x, BATCH, DIM);
    fill_batch(batch_id(batch), BATCH, ids, x);
    OK(sonde_index_add(s->index, &rows, ids));
    atomic_store(&s->end, batch + 1);
}

static void remove_batch(scene *s, long batch)
{
    int64_t ids[BATCH], removed;
    float x[BATCH * DIM];
    fill_batch(batch_id(batch), BATCH, ids, x);
    atomic_store(&s->first, batch + 1); /* first nobody relies on it any more */
    OK(sonde_index_remove(s->index, ids, BATCH, &removed));
    assert_int_equal(removed, BATCH);
}

static void put_changing(scene *s, long turn)
{
    int64_t id = CHANGING;
    float x[DIM];
    sonde_array row = sonde_f32(x, 1, DIM);
    vector_of(CHANGING + turn % 2, x);
    OK(sonde_index_add(s->index, &row, &id));
}

/* Removes every row that came by the merge. */
static void take_merged_out(scene *s)
{
    int64_t ids[20];
    for (int i = 0; i < 20; i++) ids[i] = FIRST_MERGED + i;
    OK(sonde_index_remove(s->index, ids, 20, NULL));
}

static void write_all(scene *s)
{
    sonde_array queries = sonde_f32(s->stable, 60, DIM);
    for (long round = 0; round < ROUNDS; round++) {
        add_batch(s, round);
        put_changing(s, round);
        if (round >= 20) remove_batch(s, round - 20);
        if (round % 10 == 3) OK(sonde_index_compact(s->index));
        if (round % 10 == 5) OK(sonde_index_merge(s->index, s->other));
        if (round % 10 == 8) take_merged_out(s);
        if (round % 40 == 39) OK(sonde_index_tune(s->index, &queries, NULL));
    }
}

/* ---- the cases ------------------------------------------------------------------------------------------------- */

/* A second index with the same trained parts, and 20 rows of its own. */
static sonde_index *make_other(const sonde_index *index)
{
    sonde_index *empty, *other;
    int64_t *ids = test_alloc(STABLE + 1, sizeof *ids), count, merged[20];
    float x[20 * DIM];
    sonde_array rows = sonde_f32(x, 20, DIM);
    size_t length;
    OK(sonde_index_save_buffer(index, NULL, 0, &length));
    void *bytes = test_alloc(1, length);
    OK(sonde_index_save_buffer(index, bytes, length, &length));
    OK(sonde_index_open_buffer(bytes, length, NULL, NULL, &empty));
    OK(sonde_index_ids(empty, ids, STABLE + 1, &count));
    OK(sonde_index_remove(empty, ids, count, NULL));
    other = empty;
    fill_batch(FIRST_MERGED, 20, merged, x);
    OK(sonde_index_add(other, &rows, merged));
    free(bytes);
    free(ids);
    return other;
}

static void run_scene(const char *spec)
{
    scene s = {.failures = 0};
    pthread_t readers[READERS];
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    sonde_runtime *runtime;
    int64_t ids[STABLE];
    options.threads = 2;
    OK(sonde_runtime_create(&options, &runtime));
    OK(sonde_index_create(spec, DIM, runtime, &s.index));
    s.stable = test_alloc(STABLE * DIM, sizeof *s.stable);
    fill_batch(0, STABLE, ids, s.stable);
    sonde_array rows = sonde_f32(s.stable, STABLE, DIM);
    OK(sonde_index_add(s.index, &rows, ids));
    sonde_index *other = make_other(s.index);
    s.other = other;
    put_changing(&s, 0);
    for (int i = 0; i < READERS; i++) assert_int_equal(pthread_create(&readers[i], NULL, read_on, &s), 0);
    write_all(&s);
    atomic_store(&s.done, true);
    for (int i = 0; i < READERS; i++) pthread_join(readers[i], NULL);
    if (s.failures) fail_msg("%s: %d failures; first: %s", spec, s.failures, s.failure);
    OK(sonde_index_check(s.index));
    assert_int_equal(sonde_index_count(s.index), STABLE + 1 + 20 * BATCH);
    sonde_index_free(other);
    sonde_index_free(s.index);
    sonde_runtime_free(runtime);
    free(s.stable);
}

static void flat(void **unused)
{
    (void)unused;
    run_scene("flat");
}
static void ivf(void **unused)
{
    (void)unused;
    run_scene("ivf(nlist=9)");
    run_scene("ivf(nlist=9, code=pq(bits=4), refine=f32)");
    run_scene("ivf(nlist=9, spill=soar)");
    run_scene("hamming(code=lsh(bits=40), bucket_bits=4)");
}
static void ivf_refined(void **unused)
{
    (void)unused;
    run_scene("ivf(nlist=9, code=sq(bits=8), refine=f32)");
}

/* ---- an index that is filled for the first time beside readers ------------------------------------------------- */

typedef struct first_fill {
    sonde_index *index;
    const float *x;
    atomic_bool done;
    atomic_int failures;
} first_fill;

/* Nothing or everything is found. */
static void *read_first(void *context)
{
    first_fill *f = context;
    sonde_array query = sonde_f32(f->x, 1, DIM);
    while (!atomic_load(&f->done)) {
        int64_t ids[10], count = sonde_index_count(f->index);
        sonde_hits hits = SONDE_HITS_INIT;
        sonde_index_stats stats = SONDE_INDEX_STATS_INIT;
        hits.ids = ids;
        bool fine = sonde_index_search(f->index, &query, NULL, &hits) == SONDE_OK && (ids[0] == -1 || ids[0] == 0);
        fine &= sonde_index_stats_get(f->index, &stats) == SONDE_OK && (stats.count == 0 || stats.count == FEW);
        fine &= count == 0 || count == FEW;
        (void)sonde_index_contains(f->index, 5);
        if (!fine) atomic_fetch_add(&f->failures, 1);
    }
    return NULL;
}

/* The first add trains; here the first of all fails late (a row cannot be stored) and the next succeeds. */
static void first_add_beside_readers(void **unused)
{
    (void)unused;
    for (int turn = 0; turn < 4; turn++) {
        first_fill f = {.failures = 0};
        pthread_t readers[3];
        float *x = test_alloc(FEW * DIM, sizeof *x);
        int64_t ids[FEW];
        fill_batch(0, FEW, ids, x);
        sonde_array rows = sonde_f32(x, FEW, DIM);
        float kept = x[(FEW - 1) * DIM];
        f.x = x;
        OK(sonde_index_create("ivf(nlist=4, code=sq(bits=8), refine=f16)", DIM, NULL, &f.index));
        for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&readers[i], NULL, read_first, &f), 0);
        for (int fails = 0; fails < 25; fails++) {
            x[(FEW - 1) * DIM] = 1e6f;
            assert_int_equal(sonde_index_add(f.index, &rows, ids), SONDE_INVALID_ARGUMENT);
        }
        x[(FEW - 1) * DIM] = kept;
        OK(sonde_index_add(f.index, &rows, ids));
        atomic_store(&f.done, true);
        for (int i = 0; i < 3; i++) pthread_join(readers[i], NULL);
        assert_int_equal(f.failures, 0);
        sonde_index_free(f.index);
        free(x);
    }
}

/* ---- several writers: they wait for each other ----------------------------------------------------------------- */

typedef struct many_writers {
    sonde_index *index;
    atomic_int number, failures;
} many_writers;

static void *write_some(void *context)
{
    many_writers *m = context;
    int64_t first = 1000 * atomic_fetch_add(&m->number, 1), ids[BATCH];
    float x[BATCH * DIM];
    sonde_array rows = sonde_f32(x, BATCH, DIM);
    for (int i = 0; i < 30; i++) {
        fill_batch(first + i * BATCH, BATCH, ids, x);
        bool fine = sonde_index_add(m->index, &rows, ids) == SONDE_OK;
        fine &= sonde_index_remove(m->index, ids, 1, NULL) == SONDE_OK;
        if (i % 10 == 0) fine &= sonde_index_compact(m->index) == SONDE_OK;
        if (!fine) atomic_fetch_add(&m->failures, 1);
    }
    return NULL;
}

static void writers_wait_for_each_other(void **unused)
{
    (void)unused;
    many_writers m = {.failures = 0};
    pthread_t writers[4];
    OK(sonde_index_create("flat", DIM, NULL, &m.index));
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&writers[i], NULL, write_some, &m), 0);
    for (int i = 0; i < 4; i++) pthread_join(writers[i], NULL);
    assert_int_equal(m.failures, 0);
    assert_int_equal(sonde_index_count(m.index), 4 * 30 * (BATCH - 1));
    OK(sonde_index_check(m.index));
    sonde_index_free(m.index);
}

/* The first add trains; when several come at once, one of them does and all rows are in. */
static void first_adds_wait_for_each_other(void **unused)
{
    (void)unused;
    for (int turn = 0; turn < 8; turn++) {
        many_writers m = {.failures = 0};
        pthread_t writers[4];
        OK(sonde_index_create("ivf(nlist=3)", DIM, NULL, &m.index));
        for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&writers[i], NULL, write_some, &m), 0);
        for (int i = 0; i < 4; i++) pthread_join(writers[i], NULL);
        assert_int_equal(m.failures, 0);
        assert_int_equal(sonde_index_count(m.index), 4 * 30 * (BATCH - 1));
        OK(sonde_index_check(m.index));
        sonde_index_free(m.index);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(flat),
    cmocka_unit_test(ivf),
    cmocka_unit_test(ivf_refined),
    cmocka_unit_test(first_add_beside_readers),
    cmocka_unit_test(writers_wait_for_each_other),
    cmocka_unit_test(first_adds_wait_for_each_other),
};
SONDE_TEST_MAIN(tests)
