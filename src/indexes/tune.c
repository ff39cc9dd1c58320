/* tune.c: recall instead of knobs: which effort reaches which recall, measured and kept with the index.
 *
 * Sample queries are answered exactly once; then efforts on a grid that grows by a third are tried from cheap to dear,
 * for k = 1, 10 and 100, until the recall does not grow any more. Each point keeps the mean, the lower end of its
 * confidence interval and the recall of the worst twentieth. A search takes the effort where the interpolated curve
 * reaches its target; for other k it interpolates in log k. Where candidates are refined, each point has its depth: it
 * grows along the curve, whenever the next one would find a good part of what is still missed, up to one that loses next
 * to nothing when all lists are visited. Without real queries, stored rows are used,
 * moved by half the distance to their tenth neighbour in a random direction: rows themselves would be too easy. They
 * still are easier than real queries, which are of another kind than the rows (on the glosses, 0.95 on them is 0.92
 * on sentences), so such a curve is asked for half the misses.
 *
 * Source: operating points as in Douze et al., "The Faiss library" (arXiv 2401.08281).
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdlib.h>

#include "indexes/index.h"
#include "indexes/store.h"

#define DEPTH 100 /* true neighbours known of each query */
#define LEAST_QUERIES 50
#define LEAST_ROWS 1000 /* below this, calibration by itself is not worth it */
#define MOST_POINTS 256
#define MOST_EFFORTS 80 /* 3 x 81 points at most */
#define TIE 1e-6f /* relative: a hit this close to the true k-th neighbour counts */

static const uint32_t calibrated_k[] = {1, 10, 100};
static const int64_t depths[] = {1, 2, 4, 8, 16};
#define DEPTHS ((int)(sizeof depths / sizeof depths[0]))
#define MOST_CANDIDATES 400 /* k x depth in calibration */
#define DEEPER_PAYS 16      /* a further depth is worth its candidates if it finds a 16th of what is missed */

/* ---- choosing from a curve --------------------------------------------------------------------------- */

/* The effort at which the points of one k reach `recall`, interpolated linearly between neighbours in (log effort,
 * recall); and the depth there. */
static double effort_of(const sonde_operating_point *point, int64_t count, double recall, int64_t *depth)
{
    *depth = point[count - 1].refine;
    for (int64_t i = 0; i < count; i++) {
        if (point[i].recall < recall) continue;
        *depth = point[i].refine;
        if (i == 0 || point[i].recall <= point[i - 1].recall) return point[i].effort;
        double t = (recall - point[i - 1].recall) / (point[i].recall - point[i - 1].recall);
        return exp(log(point[i - 1].effort) * (1 - t) + log(point[i].effort) * t);
    }
    return point[count - 1].effort;
}

/* The points of the calibrated k at or next after `position`. */
static const sonde_operating_point *points_of(const sonde__curve *curve, int64_t *position, int64_t *count)
{
    const sonde_operating_point *first = curve->point + *position;
    *count = 0;
    while (*position < curve->count && first[*count].k == first->k) {
        *position += 1;
        *count += 1;
    }
    return first;
}

void sonde__curve_choose(const sonde__curve *curve, int64_t rows, int64_t k, float recall, int64_t max_effort,
                         int64_t *effort, int64_t *refine)
{
    double wanted = 0, below = 0, below_k = 0;
    int64_t depth = 0;
    if (!curve || curve->count == 0) {
        *effort = sonde__min_i64(max_effort, sonde__max_i64(8, max_effort / 8));
        return;
    }
    double aim = curve->source == 1 ? 1 - (1 - (double)recall) / 2 : recall;
    for (int64_t position = 0; position < curve->count;) {
        int64_t count;
        const sonde_operating_point *points = points_of(curve, &position, &count);
        int64_t deep;
        double here = effort_of(points, count, aim, &deep), at_k = points->k;
        bool last = position == curve->count;
        if (depth == 0 || points->k <= k) depth = deep;
        wanted = here;
        if (below_k > 0 && (k < at_k || last)) { /* between two calibrated k, or beyond the last */
            double t = log((double)sonde__max_i64(k, 1) / below_k) / log(at_k / below_k);
            wanted = below * pow(here / below, t);
        }
        if (k <= at_k) break;
        below = here;
        below_k = at_k;
    }
    double growth = curve->calibrated_at > 1 && rows > curve->calibrated_at
                        ? log((double)rows) / log((double)curve->calibrated_at)
                        : 1;
    *effort = sonde__max_i64(1, sonde__min_i64(max_effort, (int64_t)ceil(wanted * growth - 1e-9)));
    if (*refine == 0) *refine = depth;
}

float sonde__curve_gap(const sonde__curve *curve, int64_t k, int64_t effort)
{
    const sonde_operating_point *below = NULL;
    for (int64_t position = 0; curve && position < curve->count;) {
        int64_t count;
        const sonde_operating_point *points = points_of(curve, &position, &count);
        if ((int64_t)points->k < k && position < curve->count) continue;
        for (int64_t i = 0; i < count; below = &points[i++]) {
            if ((int64_t)points[i].effort < effort) continue;
            if (points[i].gap <= 0 || !below || (int64_t)points[i].effort == effort) return points[i].gap;
            double t = log((double)effort / below->effort) / log((double)points[i].effort / below->effort);
            return (float)(below->gap * (1 - t) + points[i].gap * t);
        }
        return 0;
    }
    return 0;
}

void sonde__curve_show(sonde_index *index, const sonde__curve *curve)
{
    sonde__store *store = index->store;
    sonde__mutex_lock(&store->writer);
    sonde__snapshot *current = (sonde__snapshot *)(uintptr_t)sonde__store_current(store); /* its one mutable part */
    const sonde__curve *old = atomic_exchange(&current->curve, curve);
    if (old) sonde__store_retire(store, old, NULL, atomic_load(&store->published));
    sonde__mutex_unlock(&store->writer);
}

/* ---- measuring --------------------------------------------------------------------------------------- */

/* One calibration at work. */
typedef struct tuning {
    sonde_index *index;
    const sonde__snapshot *snapshot;
    int64_t n; /* queries */
    const float *query;
    int64_t room;      /* hits of storage a query: for DEPTH of them */
    sonde__hit *truth; /* n x room, best first */
    int64_t known;     /* min(DEPTH, live rows) */
    sonde__hit *hits;  /* n x room: of the search being measured */
    sonde__top *tops;
    uint8_t *reason;
    int64_t *scored;
    float *recall; /* one per query */
    int threads;
    int efforts;
    int64_t effort[MOST_EFFORTS]; /* to be measured, ascending */
    float gap[MOST_EFFORTS];
    double deadline;     /* 0: none */
    sonde__curve *curve; /* room for MOST_POINTS */
} tuning;

static sonde_status run_search(tuning *t, sonde__hit *hits, int64_t k, float recall, int64_t effort, int64_t refine,
                               float gap)
{
    for (int64_t q = 0; q < t->n; q++) sonde__top_init(&t->tops[q], hits + q * t->room, k);
    sonde__search search = {.index = t->index,
                            .snapshot = t->snapshot,
                            .runtime = t->index->runtime,
                            .queries = t->n,
                            .query = t->query,
                            .k = k,
                            .recall = recall,
                            .effort = effort,
                            .refine = refine,
                            .gap = gap,
                            .threads = t->threads,
                            .top = t->tops,
                            .reason = t->reason,
                            .scored = t->scored};
    return sonde__index_search_f32(t->index, t->snapshot, &search);
}

/* Fills the measured part of a point. */
static sonde_status measure(tuning *t, int64_t k, int64_t effort, int64_t refine, float gap,
                            sonde_operating_point *point)
{
    SONDE_TRY(run_search(t, t->hits, k, 0, effort, refine, gap));
    double sum = 0, squares = 0, seen = 0;
    int64_t wanted = sonde__min_i64(k, t->known), live = sonde__live_rows(t->snapshot);
    for (int64_t q = 0; q < t->n; q++) {
        float edge = t->truth[q * t->room + wanted - 1].score;
        int64_t found = 0;
        for (int64_t i = 0; i < t->tops[q].count; i++)
            found += t->tops[q].hits[i].score >= edge - TIE * (fabsf(edge) + TIE);
        t->recall[q] = (float)sonde__min_i64(found, wanted) / (float)wanted;
        sum += t->recall[q];
        squares += (double)t->recall[q] * t->recall[q];
        seen += (double)t->scored[q];
    }
    double n = (double)t->n, mean = sum / n, variance = fmax(0, squares / n - mean * mean);
    qsort(t->recall, (size_t)t->n, sizeof *t->recall, sonde__compare_f32);
    *point = (sonde_operating_point){.size = sizeof *point,
                                     .k = (uint32_t)k,
                                     .effort = (uint32_t)effort,
                                     .refine = (uint32_t)refine,
                                     .recall = (float)mean,
                                     .recall_low = (float)fmax(0, mean - 1.645 * sqrt(variance / n)),
                                     .recall_p05 = t->recall[t->n / 20],
                                     .cost = (float)fmin(1, seen / n / (double)sonde__max_i64(live, 1)),
                                     .gap = gap};
    return SONDE_OK;
}

static bool out_of_time(const tuning *t) { return t->deadline > 0 && sonde__os_seconds() > t->deadline; }

/* The smallest refine depth that costs no more than 0.2 % of the recall of the deepest, with all lists visited; and
 * the point that it makes there. */
static sonde_status choose_depth(tuning *t, int64_t k, sonde_operating_point *chosen)
{
    int64_t all = t->index->method->max_effort(t->index, t->snapshot);
    int last = 0;
    if (t->index->method->refines && t->index->method->refines(t->index))
        while (last + 1 < DEPTHS && depths[last + 1] * k <= MOST_CANDIDATES) last++;
    sonde_operating_point best;
    SONDE_TRY(measure(t, k, all, depths[last], 0, &best));
    *chosen = best;
    for (int i = 0; i < last; i++) {
        SONDE_TRY(measure(t, k, all, depths[i], 0, chosen));
        if (chosen->recall >= best.recall - 0.002f) return SONDE_OK;
    }
    *chosen = best;
    return SONDE_OK;
}

/* The efforts to be measured below `all`, and their gaps. */
static sonde_status choose_efforts(tuning *t, int64_t all)
{
    t->efforts = 0;
    for (int64_t e = 1; e < all && t->efforts < MOST_EFFORTS; e = sonde__max_i64(e + 1, e * 4 / 3))
        t->effort[t->efforts++] = e;
    memset(t->gap, 0, sizeof t->gap);
    if (!t->index->method->gaps) return SONDE_OK;
    return t->index->method->gaps(t->index, t->snapshot, t->query, t->n, t->threads, t->effort, t->efforts, t->gap);
}

/* The point of one effort; *depth, a place in `depths`, moves on where that pays, at most to where they are `deepest`. */
static sonde_status measure_effort(tuning *t, int64_t k, int i, int64_t deepest, int *depth, sonde_operating_point *point)
{
    sonde_operating_point next;
    SONDE_TRY(measure(t, k, t->effort[i], depths[*depth], t->gap[i], point));
    while (depths[*depth] < deepest) {
        SONDE_TRY(measure(t, k, t->effort[i], depths[*depth + 1], t->gap[i], &next));
        if ((next.recall - point->recall) * DEEPER_PAYS <= 1 - point->recall) break;
        *point = next;
        *depth += 1;
    }
    return SONDE_OK;
}

/* Points up to where hardly anything is missed; the last one visits all lists. */
static sonde_status measure_k(tuning *t, int64_t k)
{
    sonde_operating_point all;
    SONDE_TRY(choose_depth(t, k, &all));
    sonde_operating_point *point = &t->curve->point[t->curve->count];
    int depth = 0;
    for (int i = 0; i < t->efforts; i++) {
        SONDE_TRY(sonde__poll(t->index->runtime, "tune", (uint64_t)t->curve->count, MOST_POINTS));
        SONDE_TRY(measure_effort(t, k, i, all.refine, &depth, point));
        t->curve->count++;
        if (point++->recall >= all.recall - 0.003f || out_of_time(t)) break;
    }
    *point = all;
    t->curve->count++;
    return SONDE_OK;
}

/* ---- queries ----------------------------------------------------------------------------------------- */

/* The true neighbours of t->query, by the kind's own exact search. */
static sonde_status find_truth(tuning *t)
{
    SONDE_TRY(run_search(t, t->truth, t->known, 1, 0, 0, 0));
    for (int64_t q = 0; q < t->n; q++)
        if (t->tops[q].count < t->known)
            return sonde__fail(SONDE_INTERNAL, "tune: exact search found %lld of %lld neighbours",
                               (long long)t->tops[q].count, (long long)t->known);
    return SONDE_OK;
}

/* The place of the r-th row in storage order, or the next live one after it. */
static sonde__place nth_row(const sonde__snapshot *snapshot, int64_t r)
{
    sonde__place first = SONDE__NOWHERE;
    for (int64_t l = 0; l < snapshot->lists; l++)
        for (int64_t s = 0; s < snapshot->list[l]->segments; s++) {
            const sonde__segment *segment = snapshot->list[l]->segment[s];
            for (int64_t i = r > 0 ? sonde__min_i64(r, segment->count) : 0; i < segment->count; i++) {
                if (sonde__gone(segment, i)) continue;
                if (r <= i) return sonde__place_of(l, s, i);
                if (first == SONDE__NOWHERE) first = sonde__place_of(l, s, i);
            }
            r -= segment->count;
        }
    return first != SONDE__NOWHERE ? first : nth_row(snapshot, 0);
}

/* Stored rows, evenly spread, each moved by half the distance to its tenth neighbour. */
static sonde_status own_queries(tuning *t, uint64_t seed, float *out)
{
    int64_t d = t->index->dim, rows = t->snapshot->rows;
    for (int64_t q = 0; q < t->n; q++)
        t->index->method->get(t->index, t->snapshot, nth_row(t->snapshot, q * (rows / t->n)), out + q * d);
    t->query = out;
    SONDE_TRY(find_truth(t));
    float *neighbour;
    SONDE_TRY(SONDE_NEW(t->index->runtime, neighbour, d));
    for (int64_t q = 0; q < t->n; q++) {
        sonde__rng rng;
        double distance = 0;
        sonde__rng_start(&rng, seed, 1, (uint64_t)q);
        t->index->method->get(t->index, t->snapshot, t->truth[q * t->room + sonde__min_i64(10, t->known - 1)].place,
                              neighbour);
        for (int64_t j = 0; j < d; j++) distance += pow(out[q * d + j] - neighbour[j], 2);
        float step = (float)(0.5 * sqrt(distance / (double)d));
        for (int64_t j = 0; j < d; j++) out[q * d + j] += step * sonde__rng_normal(&rng);
    }
    sonde__free(t->index->runtime, neighbour);
    return SONDE_OK;
}

/* ---- one calibration --------------------------------------------------------------------------------- */

static sonde_status allocate(tuning *t)
{
    sonde_runtime *runtime = t->index->runtime;
    t->room = sonde__top_room(DEPTH);
    SONDE_TRY(SONDE_NEW(runtime, t->truth, t->n * t->room));
    SONDE_TRY(SONDE_NEW(runtime, t->hits, t->n * t->room));
    SONDE_TRY(SONDE_NEW(runtime, t->tops, t->n));
    SONDE_TRY(SONDE_NEW(runtime, t->reason, t->n));
    SONDE_TRY(SONDE_NEW_ZERO(runtime, t->scored, t->n));
    SONDE_TRY(SONDE_NEW(runtime, t->recall, t->n));
    t->curve = sonde__shown_alloc(runtime, sizeof *t->curve + MOST_POINTS * sizeof t->curve->point[0]);
    if (!t->curve) return sonde__last_status();
    *t->curve = (sonde__curve){.calibrated_at = sonde__live_rows(t->snapshot)};
    return SONDE_OK;
}

static void release(tuning *t)
{
    sonde_runtime *runtime = t->index->runtime;
    sonde__free(runtime, t->truth);
    sonde__free(runtime, t->hits);
    sonde__free(runtime, t->tops);
    sonde__free(runtime, t->reason);
    sonde__free(runtime, t->scored);
    sonde__free(runtime, t->recall);
    sonde__shown_free(runtime, t->curve);
}

/* queries: n x dim, or room for own ones. */
static sonde_status calibrate(tuning *t, float *queries, bool own, uint64_t seed)
{
    t->known = sonde__min_i64(DEPTH, sonde__live_rows(t->snapshot));
    t->query = queries;
    SONDE_TRY(allocate(t));
    if (own) SONDE_TRY(own_queries(t, seed, queries));
    SONDE_TRY(find_truth(t));
    SONDE_TRY(choose_efforts(t, t->index->method->max_effort(t->index, t->snapshot)));
    for (int i = 0; i < (int)(sizeof calibrated_k / sizeof calibrated_k[0]); i++)
        if (calibrated_k[i] <= t->known) SONDE_TRY(measure_k(t, calibrated_k[i]));
    t->curve->source = own ? 1 : 2;
    return SONDE_OK;
}

sonde_status sonde__curve_measure(sonde_index *index, const sonde__snapshot *snapshot, const sonde_array *queries,
                                  const sonde_tune_options *options, const sonde__curve **curve)
{
    int64_t live = sonde__live_rows(snapshot);
    tuning t = {.index = index,
                .snapshot = snapshot,
                .n = queries ? queries->rows : sonde__min_i64(SONDE__OWN_QUERIES, live),
                .threads = sonde__runtime_threads(index->runtime, options->threads),
                .deadline = options->seconds > 0 ? sonde__os_seconds() + options->seconds : 0};
    float *x;
    sonde_status status = SONDE_NEW(index->runtime, x, t.n * index->dim);
    if (status == SONDE_OK) {
        if (queries) sonde__rows_to_f32(queries, 0, t.n, x, index->dim);
        status = calibrate(&t, x, !queries, options->seed);
        sonde__free(index->runtime, x);
    }
    if (status == SONDE_OK) {
        *curve = t.curve;
        t.curve = NULL;
    }
    release(&t);
    (void)sonde__scratch_trim(index->runtime); /* calibration needs far more of it than searches do */
    return status;
}

static sonde_status tune(sonde_index *index, const sonde_array *queries, const sonde_tune_options *options)
{
    const sonde__curve *curve;
    sonde__visit visit = sonde__store_enter(index->store);
    sonde_status status = sonde__curve_measure(index, visit.snapshot, queries, options, &curve);
    sonde__store_leave(index->store, visit);
    if (status == SONDE_OK) sonde__curve_show(index, curve);
    return status;
}

sonde_status sonde__index_autotune(sonde_index *index)
{
    int64_t live = sonde_index_count(index);
    if (!index->method->max_effort || live < LEAST_ROWS) return SONDE_OK;
    sonde__visit visit = sonde__store_enter(index->store);
    const sonde__curve *curve = atomic_load(&visit.snapshot->curve);
    bool fresh = curve && (curve->source == 2 || live < 2 * curve->calibrated_at);
    sonde__store_leave(index->store, visit);
    sonde_tune_options options = SONDE_TUNE_OPTIONS_INIT;
    return fresh ? SONDE_OK : tune(index, NULL, &options);
}

/* ---- the public functions ---------------------------------------------------------------------------- */

sonde_status sonde_index_tune(sonde_index *index, const sonde_array *queries, const sonde_tune_options *options)
{
    sonde_tune_options known;
    sonde_array view;
    if (!index) return sonde__fail(SONDE_INVALID_ARGUMENT, "tune: index is NULL");
    SONDE_TRY(sonde__options_read(options, sizeof known, "tune", &known));
    if (!(known.seconds >= 0) || isinf(known.seconds))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "tune: seconds=%g is negative or not finite; 0 means no limit",
                           known.seconds);
    if (queries) {
        SONDE_TRY(sonde__array_check(queries, "tune: queries", index->dim, index->accepts, &view));
        SONDE_TRY(sonde__array_check_finite(index->runtime, &view, "tune: queries"));
        if (view.rows < LEAST_QUERIES)
            return sonde__fail(SONDE_INVALID_ARGUMENT,
                               "tune: %lld queries are too few to measure recall; give %d or more",
                               (long long)view.rows, LEAST_QUERIES);
    }
    if (sonde_index_count(index) == 0) return sonde__fail(SONDE_STATE, "tune: the index is empty; add rows first");
    if (!index->method->max_effort) return SONDE_OK;
    return tune(index, queries ? &view : NULL, &known);
}

sonde_status sonde_index_operating_point(const sonde_index *index, uint32_t position, sonde_operating_point *point)
{
    if (!index || !point || point->size == 0)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "operating_point: %s",
                           !index   ? "index is NULL"
                           : !point ? "point is NULL"
                                    : "point->size is 0; start from SONDE_OPERATING_POINT_INIT");
    sonde_operating_point found;
    bool known = false;
    if (index->trained) {
        sonde__visit visit = sonde__store_enter(index->store);
        const sonde__curve *curve = atomic_load(&visit.snapshot->curve);
        known = curve && position < curve->count;
        if (known) found = curve->point[position];
        sonde__store_leave(index->store, visit);
    }
    if (!known) return sonde__fail(SONDE_NOT_FOUND, "operating_point: there is no point %u", position);
    return sonde__info_write(&found, sizeof found, "operating_point", point);
}
