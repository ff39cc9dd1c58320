/* fuzz_index.c: bytes decide what happens to a small index: adds, upserts, removals, compactions, saves and openings,
 * searches with every kind of filter. After each step it must agree with a plain table of rows that is searched by
 * loops. Rows are small whole numbers, so that l2 and ip have no rounding and the order of hits is certain, ties
 * included.
 *
 *   byte 0   which spec        then, until the end: an operation and what it takes, a byte each
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <string.h>

#include "index_sample.h"

#define MOST_IDS 200
#define MOST_ROWS 24 /* of one call */
#define MOST_STEPS 120
#define MOST_K 40

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct subject {
    const char *spec;
    uint32_t dtype;
    int64_t least; /* rows that the first add needs */
    bool exact;    /* scores are those of the rows themselves */
} subject;

static const subject subjects[] = {
    {"flat", SONDE_DTYPE_F32, 1, true},
    {"flat(metric=ip, duplicates=refuse)", SONDE_DTYPE_F32, 1, true},
    {"flat(metric=ip, dtype=i8)", SONDE_DTYPE_F32, 1, true},
    {"flat(dtype=bits, metric=hamming)", SONDE_DTYPE_BITS, 1, true},
    {"ivf(nlist=1)", SONDE_DTYPE_F32, 1, true},
    {"ivf(nlist=3)", SONDE_DTYPE_F32, 3, true},
    {"ivf(nlist=2, metric=ip)", SONDE_DTYPE_F32, 2, true},
    {"ivf(nlist=2, code=sq(bits=8), refine=f16, duplicates=refuse)", SONDE_DTYPE_F32, 2, false},
    {"ivf(nlist=2, metric=cosine, code=sq(bits=4))", SONDE_DTYPE_F32, 2, false},
};

/* ---- the plain table ------------------------------------------------------------------------------------------- */

typedef struct world {
    const subject *s;
    sonde_runtime *runtime;
    sonde_index *index;
    const uint8_t *data;
    size_t left;
    bool trained;
    int64_t row[MOST_IDS]; /* which sample row an id stands for; -1: not stored */
    int64_t next_id;
} world;

static void require(bool condition, const char *what)
{
    if (condition) return;
    fprintf(stderr, "fuzz_index: %s: %s\n", what, sonde_error_message());
    abort();
}

static uint8_t take(world *w)
{
    if (w->left == 0) return 0;
    w->left--;
    return *w->data++;
}

static int64_t stored(const world *w)
{
    int64_t count = 0;
    for (int64_t id = 0; id < MOST_IDS; id++) count += w->row[id] >= 0;
    return count;
}

static bool refuses(const world *w) { return strstr(w->s->spec, "refuse") != NULL; }

/* Smaller is nearer, whatever the metric. */
static double cost(const world *w, int64_t query, int64_t row)
{
    uint32_t metric = sonde_index_metric(w->index);
    double sum = 0;
    for (int64_t j = 0; j < SAMPLE_DIM; j++) {
        double a = sample_value(query, j), b = sample_value(row, j);
        if (metric == SONDE_METRIC_HAMMING) sum += (a > 0) != (b > 0);
        else sum += metric == SONDE_METRIC_L2 ? (a - b) * (a - b) : -a * b;
    }
    return sum;
}

/* ---- filters --------------------------------------------------------------------------------------------------- */

typedef struct choice {
    sonde_filter filter;
    bool given;
    bool named[MOST_IDS + 1];
    int64_t ids[MOST_IDS];
    uint8_t bits[MOST_IDS / 8 + 1];
} choice;

static int accept_named(int64_t id, void *user)
{
    const choice *c = user;
    return id >= 0 && id < MOST_IDS && c->named[id];
}

static void choose_filter(world *w, choice *c)
{
    uint8_t kind = take(w), from = take(w), step = take(w);
    memset(c, 0, sizeof *c);
    c->given = kind % 5 != 0;
    if (!c->given) return;
    c->filter = (sonde_filter)SONDE_FILTER_INIT;
    c->filter.kind = kind % 5;
    c->filter.exclude = kind / 5 % 2;
    bool range = c->filter.kind == SONDE_FILTER_RANGE;
    for (int64_t id = from % MOST_IDS; id < MOST_IDS && (!range || id < from + step);
         id += range ? 1 : 1 + step % 7) {
        c->named[id] = true;
        c->ids[c->filter.count++] = id;
        c->bits[id / 8] = (uint8_t)(c->bits[id / 8] | 1 << id % 8);
    }
    c->filter.first = from % MOST_IDS;
    c->filter.last = from + step;
    c->filter.ids = c->ids;
    c->filter.bits = c->bits;
    if (c->filter.kind == SONDE_FILTER_BITMAP) c->filter.count = MOST_IDS;
    c->filter.accept = accept_named;
    c->filter.user = c;
}

static bool allowed(const world *w, const choice *c, int64_t id)
{
    return w->row[id] >= 0 && (!c->given || c->named[id] != (c->filter.exclude != 0));
}

/* ---- searching ------------------------------------------------------------------------------------------------- */

/* The best id after (cost, id); -1 if there is none. Infinite costs are not allowed rows. */
static int64_t next_best(const double *costs, double after, int64_t after_id)
{
    int64_t best = -1;
    for (int64_t id = 0; id < MOST_IDS; id++) {
        if (isinf(costs[id]) || costs[id] < after || (costs[id] == after && id <= after_id)) continue;
        if (best < 0 || costs[id] < costs[best]) best = id;
    }
    return best;
}

static void compare_exact(const world *w, const choice *c, int64_t query, const int64_t *ids, const float *scores,
                          int k)
{
    double last = -INFINITY, costs[MOST_IDS];
    int64_t last_id = -1;
    bool similarity = sonde_index_metric(w->index) == SONDE_METRIC_IP;
    for (int64_t id = 0; id < MOST_IDS; id++) costs[id] = allowed(w, c, id) ? cost(w, query, w->row[id]) : INFINITY;
    for (int i = 0; i < k; i++) {
        int64_t wanted = next_best(costs, last, last_id);
        require(ids[i] == wanted, "a hit differs from the table");
        if (wanted < 0) return;
        last = costs[wanted];
        last_id = wanted;
        require((double)scores[i] == (similarity ? -last : last), "a score differs from the table");
    }
}

static void check_inexact(const world *w, const choice *c, const int64_t *ids, int k, int count)
{
    int64_t there = 0;
    for (int64_t id = 0; id < MOST_IDS; id++) there += allowed(w, c, id);
    require(count == (there < k ? there : k), "not k hits though k exist");
    for (int i = 0; i < count; i++) {
        require(ids[i] >= 0 && ids[i] < MOST_IDS && allowed(w, c, ids[i]), "a hit is not allowed");
        for (int j = 0; j < i; j++) require(ids[i] != ids[j], "an id is twice");
    }
}

static void search(world *w)
{
    choice c;
    int64_t ids[MOST_K], number = 400 + take(w) % 50;
    float scores[MOST_K], storage[SAMPLE_DIM];
    int32_t count;
    uint8_t reason;
    choose_filter(w, &c);
    sonde_array query = sample_rows(w->s->dtype, number, 1, storage);
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    sonde_hits hits = {sizeof hits, 0, ids, scores, &count, &reason};
    how.k = 1 + take(w) % MOST_K;
    how.recall = 1;
    how.filter = c.given ? &c.filter : NULL;
    require(sonde_index_search(w->index, &query, &how, &hits) == SONDE_OK, "search fails");
    check_inexact(w, &c, ids, (int)how.k, count);
    if (w->s->exact) compare_exact(w, &c, number, ids, scores, (int)how.k);
    require((reason == SONDE_STOP_FEWER) == (count < (int)how.k), "the reason is wrong");
}

static void range_search(world *w)
{
    choice c;
    int64_t number = 400 + take(w) % 50, there = 0;
    float storage[SAMPLE_DIM], radius = (float)(take(w) % 90);
    const int64_t *offsets;
    sonde_range_hits *hits;
    choose_filter(w, &c);
    sonde_array query = sample_rows(w->s->dtype, number, 1, storage);
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    how.filter = c.given ? &c.filter : NULL;
    require(sonde_index_range_search(w->index, &query, radius, &how, &hits) == SONDE_OK, "range_search fails");
    bool similarity = sonde_index_metric(w->index) == SONDE_METRIC_IP;
    for (int64_t id = 0; id < MOST_IDS; id++)
        there += allowed(w, &c, id) && cost(w, number, w->row[id]) <= (similarity ? -(double)radius : radius);
    sonde_range_hits_view(hits, &offsets, NULL, NULL);
    if (w->s->exact) require(offsets[1] == there, "range_search gives another number of hits");
    sonde_range_hits_free(hits);
}

/* ---- changing -------------------------------------------------------------------------------------------------- */

/* Whether an add of these ids must succeed. */
static bool acceptable(const world *w, const int64_t *ids, int64_t n)
{
    if (!w->trained && n < w->s->least) return false;
    for (int64_t i = 0; ids && i < n; i++) {
        if (w->row[ids[i]] >= 0 && refuses(w)) return false;
        for (int64_t j = 0; j < i; j++)
            if (ids[i] == ids[j]) return false;
    }
    return true;
}

static void add(world *w)
{
    float storage[MOST_ROWS * SAMPLE_DIM];
    int64_t n = take(w) % (MOST_ROWS + 1), first = take(w), from = take(w), step = take(w) % 9, ids[MOST_ROWS];
    bool numbered = from % 3 == 0;
    if (numbered && w->next_id + n > MOST_IDS) return;
    for (int64_t i = 0; i < n; i++) ids[i] = numbered ? w->next_id + i : (from + i * step) % (MOST_IDS / 2);
    sonde_array rows = sample_rows(w->s->dtype, first, n, storage);
    bool fine = n == 0 || acceptable(w, numbered ? NULL : ids, n);
    sonde_status status = sonde_index_add(w->index, &rows, numbered ? NULL : ids);
    require(status == (fine ? SONDE_OK : SONDE_INVALID_ARGUMENT), "add ends in another way than the table's");
    if (status != SONDE_OK || n == 0) return;
    w->trained = true;
    for (int64_t i = 0; i < n; i++) {
        w->row[ids[i]] = first + i;
        if (ids[i] >= w->next_id) w->next_id = ids[i] + 1;
    }
}

static void take_out(world *w)
{
    int64_t n = take(w) % (MOST_ROWS + 1), from = take(w), step = take(w) % 9, ids[MOST_ROWS], removed = -1,
            expected = 0;
    for (int64_t i = 0; i < n; i++) {
        ids[i] = (from + i * step) % MOST_IDS;
        expected += w->row[ids[i]] >= 0;
        w->row[ids[i]] = -1;
    }
    require(sonde_index_remove(w->index, ids, n, &removed) == SONDE_OK, "remove fails");
    require(removed == expected, "remove counts otherwise");
}

/* Saves, opens, and goes on with what was opened; the bytes of both are the same. */
static void save_and_open(world *w)
{
    size_t length = 0, again = 0;
    sonde_index *opened = NULL;
    require(sonde_index_save_buffer(w->index, NULL, 0, &length) == SONDE_OK, "save fails");
    uint8_t *bytes = malloc(length), *second = malloc(length);
    require(bytes && second, "no memory");
    require(sonde_index_save_buffer(w->index, bytes, length, &length) == SONDE_OK, "save fails");
    require(sonde_index_open_buffer(bytes, length, NULL, w->runtime, &opened) == SONDE_OK, "open fails");
    require(sonde_index_save_buffer(opened, second, length, &again) == SONDE_OK, "the second save fails");
    require(again == length && memcmp(bytes, second, length) == 0, "a round trip changes bytes");
    free(bytes);
    free(second);
    sonde_index_free(w->index);
    w->index = opened;
}

static void compact(world *w)
{
    sonde_index_stats stats = SONDE_INDEX_STATS_INIT;
    require(sonde_index_compact(w->index) == SONDE_OK, "compact fails");
    require(sonde_index_stats_get(w->index, &stats) == SONDE_OK && stats.removed == 0, "removed rows are left");
}

static void look(world *w)
{
    float row[SAMPLE_DIM], wanted[SAMPLE_DIM];
    int64_t id = take(w) % MOST_IDS;
    sonde_array out = sonde_array_of(w->s->dtype, row, 1, SAMPLE_DIM), in;
    sonde_status status = sonde_index_get(w->index, &id, 1, &out);
    require(sonde_index_contains(w->index, id) == (w->row[id] >= 0), "contains is wrong");
    require(status == (w->row[id] >= 0 ? SONDE_OK : SONDE_NOT_FOUND), "get is wrong");
    if (status != SONDE_OK || !w->s->exact) return;
    in = sample_rows(w->s->dtype, w->row[id], 1, wanted);
    require(memcmp(row, wanted, (size_t)in.stride) == 0, "get gives another row");
}

/* ---- the run --------------------------------------------------------------------------------------------------- */

typedef void (*operation)(world *w);
static const operation operations[] = {add,          add,     take_out,      search, search,
                                       range_search, compact, save_and_open, look};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    world w = {.data = data, .left = size};
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    w.s = &subjects[take(&w) % (sizeof subjects / sizeof subjects[0])];
    w.trained = strncmp(w.s->spec, "flat", 4) == 0;
    for (int64_t id = 0; id < MOST_IDS; id++) w.row[id] = -1;
    options.threads = 1;
    require(sonde_runtime_create(&options, &w.runtime) == SONDE_OK, "no runtime");
    require(sonde_index_create(w.s->spec, SAMPLE_DIM, w.runtime, &w.index) == SONDE_OK, "no index");
    for (int step = 0; step < MOST_STEPS && w.left > 0; step++) {
        operations[take(&w) % (sizeof operations / sizeof operations[0])](&w);
        require(sonde_index_count(w.index) == stored(&w), "counts differ");
        require(sonde_index_check(w.index) == SONDE_OK, "the structure is damaged");
    }
    sonde_index_free(w.index);
    sonde_runtime_free(w.runtime);
    return 0;
}
