/* test_certified.c: the first pass over 8-bit images never changes an answer.
 *
 * Two indexes hold the same rows, one with first=none and one with first=i8; every search must give the same bytes on
 * both: batches and single queries, every metric and element type, ties, filters, removed rows, ranges, and rows and
 * queries that are made to break a bound. Beside that the bound itself is compared with the direct scores it stands
 * for, pair by pair, and the kernels that compute it with plain loops in double precision. The same pass serves the
 * nearest centroids, whose labels must be those of the f32 kernel.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE

#include <float.h>
#include <math.h>

#include "failing.h"
#include "test.h"

#include "indexes/direct.h"
#include "linalg/kmeans.h"

static const char *const metric_names[] = {"", "l2", "ip", "cosine"};
static const char *const dtype_names[] = {"", "f32", "f16", "bf16"};

/* ---- data ---------------------------------------------------------------------------------------------- */

typedef enum shape {
    CLOUDS,     /* clusters */
    SMALL_INTS, /* many ties */
    ALL_EQUAL,
    DUPLICATES, /* each row a few times */
    SPIKES,     /* one large component, which takes the resolution from all others */
    SCALES,     /* lengths from far below to far above where images are made */
    TINY,       /* denormal elements and zero vectors */
    HUGE_ROWS,  /* lengths next to the most that is allowed */
    SHAPES
} shape;

static float spread(uint64_t *state, int64_t i)
{
    return ldexpf(i % 2 ? 1 : -1, (int)(test_u64(state) % 120) - 60);
}

/* Changes row i of plain clouds into one of the shape. */
static void bend_row(shape kind, float *x, int64_t i, int64_t d, uint64_t *state)
{
    float factor = kind == SCALES ? spread(state, i) : kind == TINY ? 1e-41f : kind == HUGE_ROWS ? 8e17f : 1;
    float *row = x + i * d;
    if (kind == HUGE_ROWS && i % 3) factor = 1; /* beside ordinary ones */
    int64_t like = kind == ALL_EQUAL ? 0 : kind == DUPLICATES ? i / 5 * 5 : i;
    if (like != i) memcpy(row, x + like * d, (size_t)d * 4);
    for (int64_t j = 0; j < d; j++) {
        if (kind == SMALL_INTS) row[j] = (float)(test_u64(state) % 3) - 1;
        row[j] *= factor;
    }
    if (kind == SPIKES) row[i % 7 % d] += 3000;
    if (kind == TINY && i % 11 == 0) memset(row, 0, (size_t)d * 4);
    if (kind == TINY && i % 4 == 0) row[0] = 1e-19f; /* a length about where cosine begins */
}

/* Shorter than the longest that is allowed. */
static void shorten(float *row, int64_t d)
{
    double length2 = 0;
    for (int64_t j = 0; j < d; j++) length2 += (double)row[j] * row[j];
    float factor = length2 > 8e37 ? (float)sqrt(8e37 / length2) : 1;
    for (int64_t j = 0; j < d; j++) row[j] *= factor;
}

static float *make_rows(shape kind, int64_t n, int64_t d, uint64_t seed)
{
    float *x = test_vectors(n, d, 20, seed);
    for (int64_t i = 0; i < n; i++) {
        bend_row(kind, x, i, d, &seed);
        shorten(x + i * d, d);
    }
    return x;
}

/* ---- two indexes, one answer --------------------------------------------------------------------------- */

typedef struct pair {
    sonde_index *plain, *coarse;
    int64_t n, d;
    float *rows;
} pair;

static sonde_index *index_of(uint32_t metric, uint32_t dtype, const char *first, int64_t d)
{
    char spec[80];
    sonde_index *index;
    snprintf(spec, sizeof spec, "flat(metric=%s, dtype=%s, first=%s)", metric_names[metric], dtype_names[dtype],
             first);
    OK(sonde_index_create(spec, d, NULL, &index));
    return index;
}

static pair make_pair(uint32_t metric, uint32_t dtype, shape kind, int64_t n, int64_t d)
{
    pair p = {index_of(metric, dtype, "none", d), index_of(metric, dtype, "i8", d), n, d,
              make_rows(kind, n, d, (uint64_t)(n + d))};
    sonde_array rows = sonde_f32(p.rows, n, d);
    OK(sonde_index_add(p.plain, &rows, NULL));
    OK(sonde_index_add(p.coarse, &rows, NULL));
    OK(sonde_index_check(p.coarse));
    return p;
}

static void drop_pair(pair *p)
{
    sonde_index_free(p->plain);
    sonde_index_free(p->coarse);
    free(p->rows);
}

/* Rows of one index as hits, in one call or one call a query. */
static void answer(const sonde_index *index, const sonde_array *queries, const sonde_search_options *options,
                   bool singly, int64_t *ids, float *scores)
{
    int64_t calls = singly ? queries->rows : 1;
    for (int64_t q = 0; q < calls; q++) {
        sonde_array some = *queries;
        sonde_hits hits = {sizeof hits, 0, ids + q * options->k, scores + q * options->k, NULL, NULL};
        some.data = (uint8_t *)queries->data + q * queries->stride;
        if (singly) some.rows = 1;
        OK(sonde_index_search(index, &some, options, &hits));
    }
}

static void same_answers(const pair *p, const sonde_array *queries, const sonde_search_options *options)
{
    size_t slots = (size_t)queries->rows * options->k;
    int64_t *ids = test_alloc(2 * slots, sizeof *ids);
    float *scores = test_alloc(2 * slots, sizeof *scores);
    answer(p->plain, queries, options, false, ids, scores);
    for (int singly = 0; singly < 2; singly++) {
        answer(p->coarse, queries, options, singly, ids + slots, scores + slots);
        assert_memory_equal(ids, ids + slots, slots * sizeof *ids);
        assert_memory_equal(scores, scores + slots, slots * sizeof *scores);
    }
    free(ids);
    free(scores);
}

static sonde_search_options options_of(uint32_t k, uint32_t threads)
{
    sonde_search_options options = SONDE_SEARCH_OPTIONS_INIT;
    options.k = k;
    options.threads = threads;
    return options;
}

/* Queries of the same shape as the rows, of another, and rows themselves. */
static float *make_queries(const pair *p, shape kind, int64_t count)
{
    float *q = make_rows(kind, count, p->d, 99), *other = make_rows(SPIKES, count, p->d, 98);
    for (int64_t i = 0; i < count; i++) {
        if (i % 3 == 1) memcpy(q + i * p->d, other + i * p->d, (size_t)p->d * 4);
        if (i % 3 == 2) memcpy(q + i * p->d, p->rows + i * 7 % p->n * p->d, (size_t)p->d * 4);
    }
    memset(q, 0, (size_t)p->d * 4); /* a zero vector */
    free(other);
    return q;
}

static void one_shape(uint32_t metric, uint32_t dtype, shape kind, int64_t n, int64_t d, uint32_t k)
{
    pair p = make_pair(metric, dtype, kind, n, d);
    float *q = make_queries(&p, kind, 37);
    sonde_array queries = sonde_f32(q, 37, d);
    sonde_search_options options = options_of(k, 2);
    same_answers(&p, &queries, &options);
    free(q);
    drop_pair(&p);
}

/* ---- cases --------------------------------------------------------------------------------------------- */

static void every_shape_and_metric(void **state)
{
    (void)state;
    static const int64_t dims[] = {64, 97, 131, 4, 301};
    for (uint32_t metric = 1; metric <= 3; metric++)
        for (int kind = 0; kind < SHAPES; kind++)
            one_shape(metric, SONDE_DTYPE_F32, kind, 1700, dims[kind % 5], 10);
}

static void halves(void **state)
{
    (void)state;
    static const shape kinds[] = {CLOUDS, SMALL_INTS, ALL_EQUAL, DUPLICATES, SPIKES};
    for (uint32_t metric = 1; metric <= 3; metric++)
        for (int i = 0; i < 5; i++)
            one_shape(metric, i % 2 ? SONDE_DTYPE_F16 : SONDE_DTYPE_BF16, kinds[i], 1300, 70, 5);
}

static void few_and_many_hits(void **state)
{
    (void)state;
    static const uint32_t ks[] = {1, 2, 100, 1000, 3000};
    for (int i = 0; i < 5; i++)
        one_shape(1 + (uint32_t)i % 3, SONDE_DTYPE_F32, i % 2 ? DUPLICATES : CLOUDS, 2500, 65, ks[i]);
}

static void tiny_indexes(void **state)
{
    (void)state;
    static const int64_t sizes[][2] = {{1, 1}, {1, 64}, {3, 5}, {63, 2}, {65, 3}, {130, 7}};
    for (int i = 0; i < 6; i++)
        for (uint32_t metric = 1; metric <= 3; metric++)
            one_shape(metric, SONDE_DTYPE_F32, CLOUDS, sizes[i][0], sizes[i][1], 4);
}

static int accept_some(int64_t id, void *user)
{
    (void)user;
    return id % 5 < 2;
}

static void filters(void **state)
{
    (void)state;
    pair p = make_pair(SONDE_METRIC_IP, SONDE_DTYPE_F32, CLOUDS, 3000, 80);
    float *q = make_queries(&p, CLOUDS, 33);
    sonde_array queries = sonde_f32(q, 33, 80);
    sonde_filter own[33], some = SONDE_FILTER_INIT, few = SONDE_FILTER_INIT;
    some.kind = SONDE_FILTER_CALLBACK, some.accept = accept_some;
    few.kind = SONDE_FILTER_RANGE, few.first = 100, few.last = 700; /* a fifth: rows are copied together */
    for (int i = 0; i < 33; i++) own[i] = i % 2 ? some : few;
    sonde_search_options options = options_of(20, 2);
    options.filter = &some;
    same_answers(&p, &queries, &options);
    options.filter = &few;
    same_answers(&p, &queries, &options);
    int64_t ids[2][33 * 20];
    float scores[2][33 * 20];
    options.filter = own, options.filter_count = 33;
    answer(p.plain, &queries, &options, false, ids[0], scores[0]);
    answer(p.coarse, &queries, &options, false, ids[1], scores[1]);
    assert_memory_equal(ids[0], ids[1], sizeof ids[0]);
    assert_memory_equal(scores[0], scores[1], sizeof scores[0]);
    free(q);
    drop_pair(&p);
}

/* Removes and replaces rows, then compacts. */
static void rows_come_and_go(void **state)
{
    (void)state;
    for (uint32_t metric = 1; metric <= 3; metric++) {
        pair p = make_pair(metric, SONDE_DTYPE_F32, CLOUDS, 2600, 70);
        float *q = make_queries(&p, CLOUDS, 40), *fresh = make_rows(SPIKES, 300, 70, 5);
        int64_t out[900], in[300];
        for (int64_t i = 0; i < 900; i++) out[i] = i * 2;
        for (int64_t i = 0; i < 300; i++) in[i] = i * 5 + 1;
        sonde_array queries = sonde_f32(q, 40, 70), rows = sonde_f32(fresh, 300, 70);
        sonde_search_options options = options_of(10, 1);
        sonde_index *both[] = {p.plain, p.coarse};
        for (int i = 0; i < 2; i++) {
            OK(sonde_index_remove(both[i], out, 900, NULL));
            OK(sonde_index_add(both[i], &rows, in));
        }
        same_answers(&p, &queries, &options);
        for (int i = 0; i < 2; i++) OK(sonde_index_compact(both[i]));
        OK(sonde_index_check(p.coarse));
        same_answers(&p, &queries, &options);
        free(q);
        free(fresh);
        drop_pair(&p);
    }
}

static void same_ranges(const pair *p, const sonde_array *queries, float radius)
{
    const int64_t *offsets[2], *ids[2];
    const float *scores[2];
    sonde_range_hits *hits[2];
    OK(sonde_index_range_search(p->plain, queries, radius, NULL, &hits[0]));
    OK(sonde_index_range_search(p->coarse, queries, radius, NULL, &hits[1]));
    for (int i = 0; i < 2; i++) sonde_range_hits_view(hits[i], &offsets[i], &ids[i], &scores[i]);
    size_t count = (size_t)offsets[0][queries->rows];
    assert_memory_equal(offsets[0], offsets[1], (size_t)(queries->rows + 1) * sizeof(int64_t));
    assert_memory_equal(ids[0], ids[1], count * sizeof(int64_t));
    assert_memory_equal(scores[0], scores[1], count * sizeof(float));
    for (int i = 0; i < 2; i++) sonde_range_hits_free(hits[i]);
}

/* Radii from nothing to everything, and the very score of a row. */
static void ranges(void **state)
{
    (void)state;
    for (uint32_t metric = 1; metric <= 3; metric++) {
        pair p = make_pair(metric, SONDE_DTYPE_F32, DUPLICATES, 1500, 66);
        sonde_array queries = sonde_f32(p.rows + 3 * 66, 20, 66);
        sonde_search_options options = options_of(30, 1);
        int64_t ids[20 * 30];
        float scores[20 * 30];
        answer(p.plain, &queries, &options, false, ids, scores);
        const float radii[] = {metric == SONDE_METRIC_L2 ? INFINITY : -INFINITY, scores[29], scores[0], scores[31]};
        for (int i = 0; i < 4; i++) same_ranges(&p, &queries, radii[i]);
        drop_pair(&p);
    }
}

/* Rows of several segments, shared out by rows or by queries; the image never depends on who made it. */
static void threads(void **state)
{
    (void)state;
    sonde_runtime_options seven = SONDE_RUNTIME_OPTIONS_INIT;
    sonde_runtime *runtime;
    seven.threads = 7;
    OK(sonde_runtime_create(&seven, &runtime));
    enum { N = 5000, D = 1024, K = 10 };
    float *x = make_rows(CLOUDS, N, D, 3);
    sonde_array rows = sonde_f32(x, N, D);
    sonde_index *one, *many;
    OK(sonde_index_create("flat(first=i8)", D, NULL, &one));
    OK(sonde_index_create("flat(first=i8)", D, runtime, &many));
    OK(sonde_index_add(one, &rows, NULL));
    OK(sonde_index_add(many, &rows, NULL));
    for (int64_t count = 1; count <= 200; count *= 14) {
        int64_t ids[2][200 * K];
        float scores[2][200 * K];
        sonde_array queries = sonde_f32(x + 9 * D, count, D);
        for (int i = 0; i < 2; i++) {
            sonde_search_options options = options_of(K, i ? 7 : 1);
            answer(i ? many : one, &queries, &options, false, ids[i], scores[i]);
        }
        assert_memory_equal(ids[0], ids[1], (size_t)(count * K) * sizeof ids[0][0]);
        assert_memory_equal(scores[0], scores[1], (size_t)(count * K) * sizeof scores[0][0]);
    }
    sonde_index_free(one);
    sonde_index_free(many);
    sonde_runtime_free(runtime);
    free(x);
}

/* ---- the bound itself ---------------------------------------------------------------------------------- */

typedef struct image {
    float number, terms[2];
    uint8_t *bytes;
} image;

static image make_image(uint32_t metric, int64_t d, const float *x)
{
    float length2 = sonde__kernels_get()->norm2(x, d);
    image made = {.number = sonde__direct_column(metric, d, length2), .bytes = test_alloc((size_t)d, 1)};
    sonde__image_make(metric, d, x, length2, made.bytes, made.terms);
    return made;
}

/* The bound on the score of one pair, computed as single scans do. */
static float bound_of(uint32_t metric, const sonde__direct *direct, int64_t d, const image *row)
{
    const sonde__coarse *c = &direct->coarse;
    float term[4], *const to[4] = {&term[0], &term[1], &term[2], &term[3]};
    int32_t sum;
    sonde__image_terms(metric, d, row->terms, &row->number, 1, to);
    sonde__kernels_get()->ip_u8s8(c->codes, row->bytes, d, 1, d, &sum);
    return (float)(sum - c->shift) * c->scale * term[0] + (c->reach * term[1] + (c->blur * term[2] + term[3]));
}

/* Every pair's bound is above what its direct score asks for; returns the mean excess where lengths are ordinary. */
static double check_pairs(uint32_t metric, const float *rows, int64_t n, const float *queries, int64_t nq, int64_t d)
{
    float *prepared = test_alloc((size_t)d, sizeof *prepared);
    int8_t *codes = test_alloc((size_t)d, 1);
    double excess = 0;
    for (int64_t q = 0; q < nq; q++) {
        sonde__direct direct;
        sonde__direct_init(&direct, metric, SONDE__ROW_F32, false, queries + q * d, d);
        sonde__direct_prepare(&direct, queries + q * d, prepared);
        sonde__direct_coarse(&direct, prepared, codes);
        for (int64_t i = 0; i < n; i++) {
            image row = make_image(metric, d, rows + i * d);
            double score = sonde__direct_score(&direct, rows + i * d);
            double wanted = direct.slope * score + direct.offset;
            float bound = bound_of(metric, &direct, d, &row);
            if (!(bound > wanted))
                fail_msg("metric %u, query %d, row %d: the bound %.9g is not above %.9g", metric, (int)q, (int)i,
                         (double)bound, wanted);
            excess += (bound - wanted) / (double)(n * nq);
            free(row.bytes);
        }
    }
    free(prepared);
    free(codes);
    return excess;
}

static void bounds_hold(void **state)
{
    (void)state;
    static const int64_t dims[] = {1, 2, 33, 300, 2000};
    for (uint32_t metric = 1; metric <= 3; metric++)
        for (int kind = 0; kind < SHAPES; kind++)
            for (int j = 0; j < SHAPES; j++) {
                int64_t d = dims[(kind + j) % 5];
                float *rows = make_rows(kind, 40, d, 1), *queries = make_rows(j, 12, d, 2);
                check_pairs(metric, rows, 40, queries, 12, d);
                free(rows);
                free(queries);
            }
}

/* Rows that lie as badly for their image as can be: everything between two steps, all errors in the direction of the
 * query, so that the inequality of Cauchy and Schwarz is nearly an equation. */
static void bounds_hold_in_the_worst_case(void **state)
{
    (void)state;
    enum { D = 128 };
    float row[D], query[D];
    for (int step = 1; step < 127; step += 5)
        for (int64_t j = 0; j < D; j++) {
            row[j] = j == 0 ? 127 : (float)step + 0.4999f;
            query[j] = j == 0 ? 0.01f : j % 2 ? 1 : 0.992f;
            if (j == D - 1)
                for (uint32_t metric = 1; metric <= 3; metric++) check_pairs(metric, row, 1, query, 1, D);
        }
}

/* For vectors of length 1 the bound is a few hundredths wide, or it would be of no use. */
static void bounds_are_narrow(void **state)
{
    (void)state;
    enum { D = 384, N = 50 };
    float *x = make_rows(CLOUDS, 2 * N, D, 8);
    for (int64_t i = 0; i < 2 * N; i++) {
        float length = sqrtf(sonde__kernels_get()->norm2(x + i * D, D));
        for (int64_t j = 0; j < D; j++) x[i * D + j] /= length;
    }
    for (uint32_t metric = 1; metric <= 3; metric++) {
        double excess = check_pairs(metric, x, N, x + N * D, N, D);
        assert_true(excess > 0 && excess < (metric == SONDE_METRIC_L2 ? 0.06 : 0.03));
    }
    free(x);
}

/* ---- the kernel ---------------------------------------------------------------------------------------- */

enum { LANES = SONDE__LANES_MAX, ROWS = 29 };

static void fill(float *x, int64_t count, uint64_t *state)
{
    for (int64_t i = 0; i < count; i++) x[i] = test_normal(state);
}

static void check_bound_kernel(const sonde__kernels *kernels, int64_t lanes, int64_t count)
{
    uint64_t state = (uint64_t)(lanes + count);
    float terms[4][ROWS], threshold[LANES];
    int32_t sums[ROWS * LANES];
    uint32_t hits[ROWS * LANES];
    sonde__bound_lanes panel;
    for (int i = 0; i < 4; i++) fill(terms[i], ROWS, &state);
    fill(panel.scale, LANES, &state), fill(panel.reach, LANES, &state), fill(panel.blur, LANES, &state);
    fill(threshold, LANES, &state);
    for (int i = 0; i < LANES; i++) panel.shift[i] = (int32_t)(test_u64(&state) % 7);
    for (int i = 0; i < ROWS * LANES; i++) sums[i] = (int32_t)(test_u64(&state) % 9) - 4;
    terms[3][1] = NAN;
    sonde__bound_rows rows = {terms[0], terms[1], terms[2], terms[3]};
    int64_t found = kernels->tile_bound(sums, count, lanes, &panel, &rows, threshold, hits), next = 0;
    for (int64_t at = 0; at < count * lanes; at++) {
        int64_t r = at / lanes, l = at % lanes;
        double bound = (double)(sums[at] - panel.shift[l]) * panel.scale[l] * terms[0][r] +
                       (double)panel.reach[l] * terms[1][r] + (double)panel.blur[l] * terms[2][r] + terms[3][r];
        bool hit = next < found && hits[next] == at;
        if (fabs(bound - threshold[l]) > 1e-5 || isnan(bound)) assert_int_equal(hit, !(bound <= threshold[l]));
        next += hit;
    }
    assert_int_equal(next, found);
}

static void bound_kernels(void **state)
{
    (void)state;
    for (const sonde__kernels *const *k = sonde__kernels_all(); *k; k++)
        for (int64_t lanes = 8; sonde__kernels_run(*k) && lanes <= LANES; lanes += 8)
            for (int64_t count = 0; count <= ROWS; count += 7) check_bound_kernel(*k, lanes, count);
}

/* Codes are the nearest whole numbers, and what is lost is as said. */
static void whole_numbers(void **state)
{
    (void)state;
    static const int64_t dims[] = {1, 3, 16, 31, 200};
    for (int i = 0; i < 10; i++) {
        int64_t d = dims[i % 5];
        int32_t most = i % 2 ? 64 : 127, sum = 0;
        float *x = make_rows(i < 5 ? CLOUDS : SPIKES, 1, d, (uint64_t)i);
        int8_t *codes = test_alloc((size_t)d, 1);
        double top = 0, lost2 = 0, length2 = 0;
        sonde__quantised what;
        sonde__kernels_get()->quantise(x, d, most, codes, &what);
        for (int64_t j = 0; j < d; j++) {
            double lost = x[j] - (double)what.step * codes[j];
            top = fmax(top, fabs((double)x[j]));
            assert_true(abs(codes[j]) <= most && fabs(lost) <= 0.5001 * what.step);
            sum += codes[j], lost2 += lost * lost, length2 += (double)x[j] * x[j];
        }
        assert_true(fabs(what.step * (double)most - top) <= 1e-6 * top);
        assert_int_equal(what.sum, sum);
        assert_true(fabs(what.lost - sqrt(lost2)) <= 1e-4 * what.step * sqrt((double)d));
        assert_true(what.length >= sqrt(length2) * (1 - 1e-5));
        assert_true(what.length <= sqrt(length2) + 2.1 * what.lost + 1e-5 * top);
        free(x);
        free(codes);
    }
}

/* ---- nearest centroids --------------------------------------------------------------------------------- */

/* The labels of sonde__assign are those of the nearest kernel over all panels. */
static void check_labels(shape kind, shape other, int64_t n, int64_t d, int64_t k, bool spherical)
{
    sonde__kmeans_panels panels;
    sonde_runtime *runtime;
    OK(sonde_runtime_create(NULL, &runtime));
    float *x = make_rows(kind, n, d, 1), *centroids = make_rows(other, k, d, 1);
    int32_t *label = test_alloc((size_t)n, sizeof *label), *wanted = test_alloc((size_t)n, sizeof *wanted);
    float *score = test_alloc((size_t)n, sizeof *score), *distance = test_alloc((size_t)n, sizeof *distance);
    OK(sonde__kmeans_panels_create(runtime, k, d, &panels));
    sonde__kmeans_panels_pack(&panels, centroids, spherical);
    sonde__kernels_get()->nearest_f32(panels.values, panels.bias, panels.count, x, 4 * d, n, d, wanted, score, NULL);
    OK(sonde__assign(runtime, 2, x, d, n, d, centroids, k, spherical, label, NULL));
    assert_memory_equal(label, wanted, (size_t)n * sizeof *label);
    OK(sonde__assign(runtime, 1, x, d, n, d, centroids, k, spherical, label, distance));
    assert_memory_equal(label, wanted, (size_t)n * sizeof *label);
    sonde__kmeans_panels_drop(runtime, &panels);
    sonde_runtime_free(runtime);
    free(x), free(centroids), free(label), free(wanted), free(score), free(distance);
}

static void labels_stay_the_same(void **state)
{
    (void)state;
    static const int64_t dims[] = {64, 67, 130};
    for (int kind = 0; kind < SHAPES; kind++)
        for (int other = 0; other < SHAPES; other++) {
            int64_t d = dims[(kind + other) % 3];
            check_labels(kind, other, 300 + kind, d, 200 + 7 * other, (kind + other) % 2);
        }
    check_labels(CLOUDS, CLOUDS, 1500, 96, 1000, false);
    check_labels(DUPLICATES, DUPLICATES, 1500, 96, 1000, true);
}

/* Rows all of whose loss points along centroid 150, which wins by a hair: the bound on it is an equation. */
static void labels_hold_in_the_worst_case(void **state)
{
    (void)state;
    enum { N = 256, D = 64, K = 200 };
    sonde_runtime *runtime;
    int32_t label[N];
    float *x = test_alloc(N * D, sizeof *x), *centroids = test_alloc(K * D, sizeof *centroids);
    for (int i = 0; i < N * D; i++) x[i] = i % D == 0 ? 127 : 10.4999f;
    for (int j = 1; j < D; j++) centroids[150 * D + j] = 1;
    centroids[3 * D] = 63 * 10.4999f / 127 * 0.9999f;
    OK(sonde_runtime_create(NULL, &runtime));
    OK(sonde__assign(runtime, 1, x, D, N, D, centroids, K, true, label, NULL));
    for (int i = 0; i < N; i++) assert_int_equal(label[i], 150);
    sonde_runtime_free(runtime);
    free(x), free(centroids);
}

static float few_rows[256 * 64];
static sonde_status assign_with(sonde_runtime_options *options)
{
    int32_t label[256];
    sonde_runtime *runtime;
    options->threads = 1;
    sonde_status status = sonde_runtime_create(options, &runtime);
    if (status != SONDE_OK) return status;
    status = sonde__assign(runtime, 1, few_rows, 64, 256, 64, few_rows, 200, false, label, NULL);
    if (status == SONDE_OK)
        for (int i = 0; i < 200; i++) assert_int_equal(label[i], i);
    sonde_runtime_free(runtime);
    return status;
}

static void failing_allocations_of_labels(void **state)
{
    (void)state;
    uint64_t seed = 6;
    fill(few_rows, 256 * 64, &seed);
    assert_true(failing_walk(assign_with) > 5);
}

/* ---- files, memory, bad input -------------------------------------------------------------------------- */

static void files(void **state)
{
    (void)state;
    pair p = make_pair(SONDE_METRIC_COSINE, SONDE_DTYPE_F32, CLOUDS, 900, 64);
    sonde_array queries = sonde_f32(p.rows, 35, 64);
    sonde_search_options options = options_of(7, 1);
    size_t length;
    OK(sonde_index_save_buffer(p.coarse, NULL, 0, &length));
    void *buffer = test_alloc(length, 1);
    OK(sonde_index_save_buffer(p.coarse, buffer, length, &length));
    sonde_index_free(p.coarse);
    OK(sonde_index_open_buffer(buffer, length, NULL, NULL, &p.coarse));
    OK(sonde_index_check(p.coarse));
    assert_non_null(strstr(sonde_index_spec(p.coarse), "first=i8"));
    same_answers(&p, &queries, &options);
    free(buffer);
    drop_pair(&p);
}

/* A wrong byte or number of an image could hide a row, so the check finds it. */
static void wrong_images_are_found(void **state)
{
    (void)state;
    for (uint32_t metric = 1; metric <= 3; metric++)
        for (int part = 0; part < 3; part++) {
            pair p = make_pair(metric, SONDE_DTYPE_F32, CLOUDS, 50, 64);
            sonde__visit visit = sonde__store_enter(p.coarse->store);
            const sonde__segment *segment = visit.snapshot->list[0]->segment[0];
            float *terms = (float *)(void *)segment->column[SONDE__TERMS_COLUMN];
            if (part == 0) segment->column[SONDE__IMAGE_COLUMN][17 * 64 + 5] ^= 1;
            else terms[2 * 17 + part - 1] *= 0.99f;
            sonde__store_leave(p.coarse->store, visit);
            FAILS(sonde_index_check(p.coarse), SONDE_CORRUPT, "id 17");
            drop_pair(&p);
        }
}

static void memory_of_images(void **state)
{
    (void)state;
    sonde_index_stats stats = SONDE_INDEX_STATS_INIT;
    static const struct { const char *spec; int64_t dim, bytes; } cases[] = {
        {"flat", 64, 8 + 4 * 64 + 4 + 64 + 8},          {"flat(first=none)", 64, 8 + 4 * 64 + 4},
        {"flat", 63, 8 + 4 * 63 + 4},                   {"flat(first=i8)", 3, 8 + 12 + 4 + 3 + 8},
        {"flat(dtype=f16)", 100, 8 + 200 + 4},          {"flat(dtype=bf16, first=i8)", 100, 8 + 200 + 4 + 108},
        {"flat(dtype=i8)", 100, 8 + 100 + 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sonde_index *index;
        float *x = test_alloc((size_t)cases[i].dim, sizeof *x);
        sonde_array rows = sonde_f32(x, 1, cases[i].dim);
        OK(sonde_index_create(cases[i].spec, cases[i].dim, NULL, &index));
        OK(sonde_index_add(index, &rows, NULL));
        OK(sonde_index_stats_get(index, &stats));
        assert_int_equal(stats.row_bytes, cases[i].bytes);
        sonde_index_free(index);
        free(x);
    }
}

static float failing_rows[70 * 64];
static sonde_status search_with(sonde_runtime_options *options)
{
    sonde_runtime *runtime;
    sonde_index *index = NULL;
    int64_t ids[40 * 3];
    sonde_hits hits = {sizeof hits, 0, ids, NULL, NULL, NULL};
    sonde_array rows = sonde_f32(failing_rows, 70, 64), queries = sonde_f32(failing_rows, 40, 64);
    sonde_search_options three = options_of(3, 1);
    options->threads = 1;
    sonde_status status = sonde_runtime_create(options, &runtime);
    if (status != SONDE_OK) return status;
    status = sonde_index_create("flat(first=i8)", 64, runtime, &index);
    if (status == SONDE_OK) status = sonde_index_add(index, &rows, NULL);
    if (status == SONDE_OK) status = sonde_index_search(index, &queries, &three, &hits);
    if (status == SONDE_OK)
        for (int64_t q = 0; q < 40; q++) assert_int_equal(ids[q * 3], q);
    if (status == SONDE_OK) status = sonde_index_check(index);
    sonde_index_free(index);
    sonde_runtime_free(runtime);
    return status;
}

static void failing_allocations(void **state)
{
    (void)state;
    uint64_t seed = 4;
    fill(failing_rows, 70 * 64, &seed);
    assert_true(failing_walk(search_with) > 10);
}

static void bad_specs(void **state)
{
    (void)state;
    sonde_index *index = NULL;
    FAILS(sonde_index_create("flat(first=i4)", 8, NULL, &index), SONDE_INVALID_ARGUMENT, "first");
    FAILS(sonde_index_create("flat(first=i8, dtype=u8)", 8, NULL, &index), SONDE_INVALID_ARGUMENT, "u8 is scored");
    FAILS(sonde_index_create("flat(first=i8, dtype=bits, metric=hamming)", 8, NULL, &index), SONDE_INVALID_ARGUMENT,
          "first=i8 goes with");
    assert_null(index);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_shape_and_metric),
    cmocka_unit_test(halves),
    cmocka_unit_test(few_and_many_hits),
    cmocka_unit_test(tiny_indexes),
    cmocka_unit_test(filters),
    cmocka_unit_test(rows_come_and_go),
    cmocka_unit_test(ranges),
    cmocka_unit_test(threads),
    cmocka_unit_test(bounds_hold),
    cmocka_unit_test(bounds_hold_in_the_worst_case),
    cmocka_unit_test(bounds_are_narrow),
    cmocka_unit_test(bound_kernels),
    cmocka_unit_test(whole_numbers),
    cmocka_unit_test(labels_stay_the_same),
    cmocka_unit_test(labels_hold_in_the_worst_case),
    cmocka_unit_test(failing_allocations_of_labels),
    cmocka_unit_test(files),
    cmocka_unit_test(wrong_images_are_found),
    cmocka_unit_test(memory_of_images),
    cmocka_unit_test(failing_allocations),
    cmocka_unit_test(bad_specs),
};
SONDE_TEST_MAIN(tests)
