/* search.c: the public searches: what callers hand in is checked once, for every kind of index, and results are handed
 * out only when all has gone well.
 *
 * A call: check arguments -> enter the store -> tops in scratch -> the kind's search -> leave -> write the outputs.
 * Nothing is allocated after warm-up but for range results, and nothing here depends on the number of rows.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "indexes/direct.h"

#define DEFAULT_K 10
#define DEFAULT_RECALL 0.95f
#define CONVERTED_BYTES (16 << 20) /* most room for queries that are not packed f32: they come block by block */
#define FEW_QUERIES 4
#define LITTLE_WORK (1e9) /* columns of rows times queries: some tens of milliseconds */
#define RANGE_K 100 /* range searches with a recall below 1 take the effort that is right for this k */

typedef struct call {
    const char *verb;
    const sonde_index *index;
    sonde_search_options options; /* complete */
    sonde_array queries;          /* checked */
    float radius;                 /* range only, as a floor of internal scores */
    bool range;
    sonde__scratch *scratch;
    sonde__search search;
} call;

/* ---- checking ---------------------------------------------------------------------------------------- */

static sonde_status check_options(call *c, const sonde_search_options *options)
{
    sonde_search_options *o = &c->options;
    SONDE_TRY(sonde__options_read(options, sizeof *o, c->verb, o));
    if (o->k > SONDE__MAX_K && !c->range)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: k is %u, at most %d are given", c->verb, o->k, SONDE__MAX_K);
    if (o->recall != 0 && !(o->recall > 0 && o->recall <= 1))
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "%s: recall is %g, expected above 0 and at most 1 (0 = default)", c->verb,
                           (double)o->recall);
    if (o->recall != 0 && o->effort != 0)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: recall=%g and effort=%u are both given; give one",
                           c->verb, (double)o->recall, o->effort);
    if (o->refine != 0 && o->effort == 0)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: refine=%u goes with effort; a recall chooses both",
                           c->verb, o->refine);
    sonde_status status = sonde__filter_check(o, c->queries.rows);
    return status == SONDE_OK ? SONDE_OK : sonde__fail_within(status, "%s", c->verb);
}

static sonde_status check_queries(call *c, const sonde_array *queries)
{
    const char *what = c->range ? "range_search: queries" : "search: queries";
    SONDE_TRY(sonde__array_check(queries, what, 0, c->index->accepts, &c->queries));
    if (c->queries.cols != c->index->dim)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "%s: queries have %lld columns, the index was built for %lld", c->verb,
                           (long long)c->queries.cols, (long long)c->index->dim);
    return sonde__array_check_finite(c->index->runtime, &c->queries, what);
}

static sonde_status check_call(call *c, const sonde_index *index, const sonde_array *queries,
                               const sonde_search_options *options)
{
    c->index = index;
    if (!index) return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: index is NULL", c->verb);
    SONDE_TRY(check_queries(c, queries));
    return check_options(c, options);
}

/* Kinds may then add and multiply scores without fear of infinities. */
static sonde_status check_lengths(const call *c, const float *query, int64_t first, int64_t count)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    for (int64_t q = first; q < first + count; q++, query += c->index->dim)
        if (!(kernels->norm2(query, c->index->dim) <= SONDE__LENGTH2_MAX))
            return sonde__fail(SONDE_INVALID_ARGUMENT,
                               "%s: query %lld is longer than 9.2e18, so scores could overflow; scale the "
                               "vectors down",
                               c->verb, (long long)q);
    return SONDE_OK;
}

/* ---- callbacks of the caller ------------------------------------------------------------------------- */

/* Stands between a scan and the caller's function, so that a negative answer ends the search with a failure. */
typedef struct guard {
    int (*accept)(int64_t id, void *user);
    void *user;
    int64_t id; /* that failed */
    int answer; /* negative: it has failed */
} guard;

static int guarded_accept(int64_t id, void *user)
{
    guard *g = user;
    if (g->answer < 0) return 0; /* the search has failed already: do not ask again */
    g->answer = g->accept(id, g->user);
    g->id = id;
    return g->answer > 0;
}

/* Copies the filters with guards in place of callbacks; *guards is NULL if none calls back. */
static sonde_status guard_filters(call *c, int64_t count, guard **guards)
{
    const sonde_filter *given = c->search.filter;
    bool calls_back = false;
    *guards = NULL;
    for (int64_t i = 0; i < count; i++) calls_back |= given[i].kind == SONDE_FILTER_CALLBACK;
    if (!calls_back) return SONDE_OK;
    sonde_filter *filters;
    guard *g;
    SONDE_TRY(SONDE_SCRATCH(c->scratch, filters, count));
    SONDE_TRY(SONDE_SCRATCH(c->scratch, g, count));
    for (int64_t i = 0; i < count; i++) {
        filters[i] = given[i];
        g[i] = (guard){.accept = given[i].accept, .user = given[i].user};
        if (given[i].kind != SONDE_FILTER_CALLBACK) continue;
        filters[i].accept = guarded_accept;
        filters[i].user = &g[i];
    }
    c->search.filter = filters;
    c->search.threads = 1; /* callbacks come on the caller's thread */
    *guards = g;
    return SONDE_OK;
}

static sonde_status guards_status(const call *c, const guard *guards, int64_t count)
{
    for (int64_t i = 0; guards && i < count; i++)
        if (guards[i].answer < 0)
            return sonde__fail(SONDE_CALLBACK, "%s: accept of filter %lld returned %d for id %lld", c->verb,
                               (long long)i, guards[i].answer, (long long)guards[i].id);
    return SONDE_OK;
}

/* ---- running ----------------------------------------------------------------------------------------- */

static bool packed_f32(const sonde_array *array)
{
    return array->dtype == SONDE_DTYPE_F32 && array->stride == array->cols * 4 &&
           (uintptr_t)array->data % sizeof(float) == 0;
}

/* Searches for the queries first .. first + count - 1, whose packed f32 are `query`. Where nothing is stored they are
 * checked all the same. */
static sonde_status search_some(call *c, const float *query, int64_t first, int64_t count)
{
    sonde__search some = c->search;
    sonde_array raw = c->queries;
    raw.data = (uint8_t *)raw.data + first * raw.stride;
    raw.rows = count;
    if (query) SONDE_TRY(check_lengths(c, query, first, count));
    if (!some.snapshot) return SONDE_OK;
    some.raw = &raw;
    some.query = query;
    some.queries = count;
    some.top += first;
    some.reason += first;
    if (some.filter_count > 1) {
        some.filter += first;
        some.filter_count = count;
    }
    return c->index->method->search(&some);
}

/* All at once where they are the caller's packed f32 (or bits), else converted block by block. */
static sonde_status search_all(call *c)
{
    const sonde_array *q = &c->queries;
    int64_t dim = c->index->dim, block = sonde__min_i64(q->rows, sonde__max_i64(1, CONVERTED_BYTES / 4 / dim));
    if (q->dtype == SONDE_DTYPE_BITS) return search_some(c, NULL, 0, q->rows);
    if (packed_f32(q)) return search_some(c, q->data, 0, q->rows);
    float *rows;
    SONDE_TRY(SONDE_SCRATCH(c->scratch, rows, block * dim));
    for (int64_t first = 0; first < q->rows; first += block) {
        int64_t count = sonde__min_i64(block, q->rows - first);
        sonde__rows_to_f32(q, first, count, rows, dim);
        SONDE_TRY(search_some(c, rows, first, count));
    }
    return SONDE_OK;
}

/* One top a query, empty. A search with a k that is larger than the index needs no more room than the index. */
static sonde_status make_tops(call *c, int64_t live)
{
    sonde__search *s = &c->search;
    SONDE_TRY(SONDE_SCRATCH(c->scratch, s->reason, s->queries));
    memset(s->reason, SONDE_STOP_FEWER, (size_t)s->queries);
    int64_t most = sonde__min_i64(s->k, live), room = sonde__top_room(most);
    sonde__hit *hits = NULL;
    if (!c->range) SONDE_TRY(SONDE_SCRATCH(c->scratch, hits, s->queries * room));
    SONDE_TRY(SONDE_SCRATCH(c->scratch, s->top, s->queries)); /* last: tops that exist can be emptied */
    for (int64_t q = 0; q < s->queries; q++)
        if (c->range) sonde__top_init_range(&s->top[q], s->runtime, c->radius);
        else sonde__top_init(&s->top[q], hits + q * room, most);
    return SONDE_OK;
}

/* Short searches tell no progress: to be called is dearer than they are, for callers in Python. */
static const char *stage_of(const call *c, const sonde__snapshot *snapshot)
{
    double work = (double)snapshot->rows * (double)c->index->dim * (double)c->queries.rows;
    return c->queries.rows <= FEW_QUERIES && work < LITTLE_WORK ? NULL : c->verb;
}

/* snapshot NULL: an index that was never filled. */
static sonde_status search_snapshot(call *c, const sonde__snapshot *snapshot)
{
    int64_t live = snapshot ? sonde__live_rows(snapshot) : 0, filters = 0;
    guard *guards;
    SONDE_TRY(make_tops(c, live));
    if (live > 0) {
        c->search.snapshot = snapshot;
        c->search.stage = stage_of(c, snapshot);
    }
    if (c->search.filter) filters = sonde__max_i64(c->search.filter_count, 1);
    SONDE_TRY(guard_filters(c, filters, &guards));
    SONDE_TRY(search_all(c));
    return guards_status(c, guards, filters);
}

/* Fills c->search.top and reason. Hits are copies: they outlive the visit. */
static sonde_status run(call *c)
{
    const sonde_search_options *o = &c->options;
    float recall = o->recall != 0 ? o->recall : c->range ? 1 : DEFAULT_RECALL;
    c->search = (sonde__search){.index = c->index,
                                .runtime = c->index->runtime,
                                .queries = c->queries.rows,
                                .k = c->range ? RANGE_K : o->k ? o->k : DEFAULT_K,
                                .recall = o->effort ? 0 : recall,
                                .effort = o->effort,
                                .refine = o->refine,
                                .threads = sonde__runtime_threads(c->index->runtime, o->threads),
                                .filter = o->filter,
                                .filter_count = o->filter_count};
    if (!c->index->trained) return search_snapshot(c, NULL);
    sonde__visit visit = sonde__store_enter(c->index->store);
    sonde_status status = search_snapshot(c, visit.snapshot);
    sonde__store_leave(c->index->store, visit);
    return status;
}

sonde_status sonde__index_search_f32(const sonde_index *index, const sonde__snapshot *snapshot,
                                     sonde__search *search)
{
    sonde_array view = sonde_f32(search->query, search->queries, index->dim);
    search->index = index;
    search->snapshot = snapshot;
    search->runtime = index->runtime;
    search->raw = &view;
    sonde_status status = index->method->search(search);
    search->raw = NULL;
    return status;
}

float sonde__score_out(uint32_t metric, float score)
{
    if (metric == SONDE_METRIC_IP) return score;
    if (metric == SONDE_METRIC_COSINE) return fminf(fmaxf(score, -1), 1);
    return fmaxf(0 - score, 0); /* 0 - x, not -x: no minus zero */
}

/* ---- the k nearest ----------------------------------------------------------------------------------- */

/* The only place that touches the outputs of a search. */
static void write_hits(const call *c, const sonde_hits *out)
{
    const sonde__search *s = &c->search;
    uint32_t metric = c->index->metric;
    float worst = metric == SONDE_METRIC_IP || metric == SONDE_METRIC_COSINE ? -INFINITY : INFINITY;
    for (int64_t q = 0; q < s->queries; q++) {
        const sonde__top *top = &s->top[q];
        for (int64_t i = 0; i < s->k; i++) {
            bool hit = i < top->count;
            out->ids[q * s->k + i] = hit ? top->hits[i].id : -1;
            if (out->scores)
                out->scores[q * s->k + i] = hit ? sonde__score_out(metric, top->hits[i].score) : worst;
        }
        if (out->count) out->count[q] = (int32_t)top->count;
        if (out->reason) out->reason[q] = s->reason[q];
    }
}

sonde_status sonde_index_search(const sonde_index *index, const sonde_array *queries,
                                const sonde_search_options *options, sonde_hits *hits)
{
    call c = {.verb = "search"};
    sonde_hits out;
    SONDE_TRY(check_call(&c, index, queries, options));
    SONDE_TRY(sonde__options_read(hits, sizeof out, "search: hits", &out));
    if (c.queries.rows == 0) return SONDE_OK;
    if (!out.ids)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "search: %s is NULL", hits ? "hits->ids" : "hits");
    SONDE_TRY(sonde__scratch_take(index->runtime, &c.scratch));
    sonde_status status = run(&c);
    if (status == SONDE_OK) write_hits(&c, &out);
    sonde__scratch_give(index->runtime, c.scratch);
    return status;
}

/* ---- all within a radius ----------------------------------------------------------------------------- */

struct sonde_range_hits {
    sonde_runtime *runtime;
    int64_t *offsets; /* queries + 1 */
    int64_t *ids;
    float *scores;
};

void sonde_range_hits_free(sonde_range_hits *hits)
{
    if (!hits) return;
    sonde_runtime *runtime = hits->runtime;
    sonde__free(runtime, hits->offsets);
    sonde__free(runtime, hits->ids);
    sonde__free(runtime, hits->scores);
    sonde__free(runtime, hits);
    sonde__runtime_drop(runtime);
}

void sonde_range_hits_view(const sonde_range_hits *hits, const int64_t **offsets, const int64_t **ids,
                           const float **scores)
{
    if (offsets) *offsets = hits ? hits->offsets : NULL;
    if (ids) *ids = hits ? hits->ids : NULL;
    if (scores) *scores = hits ? hits->scores : NULL;
}

static sonde_status fill_range(const call *c, sonde_range_hits *hits)
{
    const sonde__search *s = &c->search;
    int64_t total = 0, queries = c->queries.rows;
    for (int64_t q = 0; q < queries; q++) total += s->top[q].count;
    SONDE_TRY(SONDE_NEW(hits->runtime, hits->offsets, queries + 1));
    SONDE_TRY(SONDE_NEW(hits->runtime, hits->ids, total));
    SONDE_TRY(SONDE_NEW(hits->runtime, hits->scores, total));
    int64_t n = 0;
    for (int64_t q = 0; q < queries; q++) {
        hits->offsets[q] = n;
        for (int64_t i = 0; i < s->top[q].count; i++, n++) {
            hits->ids[n] = s->top[q].hits[i].id;
            hits->scores[n] = sonde__score_out(c->index->metric, s->top[q].hits[i].score);
        }
    }
    hits->offsets[queries] = n;
    return SONDE_OK;
}

/* The result holds a share of the runtime, so it may outlive the index. */
static sonde_status make_range(const call *c, sonde_range_hits **hits)
{
    sonde_range_hits *made;
    SONDE_TRY(SONDE_NEW_ZERO(c->index->runtime, made, 1));
    sonde_status status = sonde__runtime_hold(c->index->runtime, &made->runtime);
    if (status == SONDE_OK) status = fill_range(c, made);
    if (status == SONDE_OK) *hits = made;
    else sonde_range_hits_free(made);
    return status;
}

sonde_status sonde_index_range_search(const sonde_index *index, const sonde_array *queries, float radius,
                                      const sonde_search_options *options, sonde_range_hits **hits)
{
    call c = {.verb = "range_search", .range = true};
    SONDE_TRY(check_call(&c, index, queries, options));
    if (!hits) return sonde__fail(SONDE_INVALID_ARGUMENT, "range_search: hits is NULL");
    if (isnan(radius)) return sonde__fail(SONDE_INVALID_ARGUMENT, "range_search: radius is NaN");
    bool similarity = index->metric == SONDE_METRIC_IP || index->metric == SONDE_METRIC_COSINE;
    c.radius = similarity ? radius : -radius;
    SONDE_TRY(sonde__scratch_take(index->runtime, &c.scratch));
    sonde_status status = c.queries.rows > 0 ? run(&c) : SONDE_OK;
    if (status == SONDE_OK) status = make_range(&c, hits);
    for (int64_t q = 0; c.search.top && q < c.queries.rows; q++)
        sonde__free(index->runtime, c.search.top[q].hits);
    sonde__scratch_give(index->runtime, c.scratch);
    return status;
}
