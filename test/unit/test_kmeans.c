/* test_kmeans.c: clustering against plain loops in double, and the promises: the objective falls, no cluster stays
 * empty, bounds change no label, threads change no byte.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <math.h>

#include "../failing.h"
#include "linalg/kmeans.h"

static sonde_runtime *runtime_of(uint32_t threads)
{
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    sonde_runtime *runtime = NULL;
    options.threads = threads;
    OK(sonde_runtime_create(&options, &runtime));
    return runtime;
}

/* ---- plain loops ------------------------------------------------------------------------------------------------ */

static double pair_distance(const float *x, const float *y, int64_t d)
{
    double sum = 0;
    for (int64_t j = 0; j < d; j++) sum += ((double)x[j] - (double)y[j]) * ((double)x[j] - (double)y[j]);
    return sum;
}

static double pair_product(const float *x, const float *y, int64_t d)
{
    double sum = 0;
    for (int64_t j = 0; j < d; j++) sum += (double)x[j] * (double)y[j];
    return sum;
}

/* The smallest distance of a row to a centroid (spherical: 1 - the largest product), and whose it is. */
static double plain_nearest(const float *row, const float *centroids, int64_t k, int64_t d, bool spherical,
                            int64_t *nearest)
{
    double best = INFINITY;
    for (int64_t j = 0; j < k; j++) {
        const float *centroid = centroids + j * d;
        double far = spherical ? 1 - pair_product(row, centroid, d) : pair_distance(row, centroid, d);
        if (far >= best) continue;
        best = far;
        *nearest = j;
    }
    return best;
}

typedef struct facts {
    double objective;
    int64_t used; /* clusters that are the nearest one of some row */
} facts;

static facts plain_facts(const float *x, int64_t n, int64_t d, const float *centroids, int64_t k,
                         const float *weights, bool spherical)
{
    facts f = {0, 0};
    bool *used = test_alloc((size_t)k, sizeof *used);
    for (int64_t i = 0; i < n; i++) {
        int64_t nearest = 0;
        f.objective +=
            (weights ? (double)weights[i] : 1) * plain_nearest(x + i * d, centroids, k, d, spherical, &nearest);
        used[nearest] = true;
    }
    for (int64_t j = 0; j < k; j++) f.used += used[j];
    free(used);
    return f;
}

static bool close_to(double a, double b, double relative) { return fabs(a - b) <= relative * fabs(b) + 1e-9; }

/* ---- assign ----------------------------------------------------------------------------------------------------- */

static void check_assign(int64_t n, int64_t d, int64_t k, bool spherical)
{
    sonde_runtime *runtime = runtime_of(2);
    int64_t ld = d + 2;
    float *x = test_vectors(n, ld, 0, (uint64_t)(n + d)), *centroids = test_vectors(k, d, 0, (uint64_t)k);
    float *distance = test_alloc((size_t)n, sizeof *distance);
    int32_t *label = test_alloc((size_t)n, sizeof *label);
    OK(sonde__assign(runtime, 0, x, ld, n, d, centroids, k, spherical, label, distance));
    for (int64_t i = 0; i < n; i++) {
        int64_t nearest;
        const float *row = x + i * ld;
        assert_true(label[i] >= 0 && label[i] < k);
        const float *mine = centroids + label[i] * d;
        double size = pair_product(row, row, d) + pair_product(mine, mine, d) + 1;
        double best = plain_nearest(row, centroids, k, d, spherical, &nearest);
        double far = spherical ? 1 - pair_product(row, mine, d) : pair_distance(row, mine, d);
        assert_true(far <= best + 1e-6 * (double)(d + 4) * size);
        assert_true(fabs((double)distance[i] - (spherical ? 1 - far : far)) <= 1e-6 * (double)(d + 4) * size);
    }
    free(x);
    free(centroids);
    free(distance);
    free(label);
    sonde_runtime_free(runtime);
}

static void assign_finds_the_nearest(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = {{1, 1, 1},     {300, 3, 5},   {257, 8, 256},
                                       {100, 33, 33}, {50, 384, 70}, {9, 700, 300}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        check_assign(sizes[s][0], sizes[s][1], sizes[s][2], false);
        check_assign(sizes[s][0], sizes[s][1], sizes[s][2], true);
    }
}

static void equal_centroids_give_the_lower_number(void **state)
{
    (void)state;
    enum { K = 200, D = 5 };
    sonde_runtime *runtime = runtime_of(1);
    float centroids[K * D], x[D] = {1, 2, 3, 4, 5}, distance;
    int32_t label;
    for (int i = 0; i < K * D; i++) centroids[i] = i / D < 3 ? 0 : x[i % D];
    OK(sonde__assign(runtime, 0, x, D, 1, D, centroids, K, false, &label, &distance));
    assert_int_equal(label, 3);
    assert_true(distance == 0);
    sonde_runtime_free(runtime);
}

/* ---- bounds ----------------------------------------------------------------------------------------------------- */

/* Rows and centroids of a search, and centroids that wander. */
typedef struct scene {
    sonde_runtime *runtime;
    sonde__kmeans_rows rows;
    sonde__kmeans_search *search;
    float *centroids, *before;
    bool *jumped;
    int64_t n, d, k;
} scene;

/* The search keeps the address of the rows, so the scene stays where it is. */
static void make_scene(scene *s, int64_t n, int64_t d, int64_t k, float discount)
{
    *s = (scene){.runtime = runtime_of(2), .n = n, .d = d, .k = k};
    sonde__kmeans_options options = {.k = k, .seed = 1};
    float *x = test_vectors(n, d, (int)k, 7);
    OK(sonde__kmeans_rows_take(s->runtime, x, d, n, d, &options, &s->rows));
    OK(sonde__kmeans_search_create(s->runtime, 0, &s->rows, k, &s->search));
    if (discount > 0) sonde__kmeans_search_discount(s->search, discount);
    s->centroids = test_alloc((size_t)(k * d), sizeof *s->centroids);
    s->before = test_alloc((size_t)(k * d), sizeof *s->before);
    s->jumped = test_alloc((size_t)k, sizeof *s->jumped);
    memcpy(s->centroids, s->rows.x, (size_t)(k * d) * sizeof *s->centroids);
    sonde__kmeans_search_moved(s->search, NULL, s->centroids, NULL);
    free(x);
}

static void end_scene(scene *s)
{
    sonde__kmeans_search_free(s->search);
    sonde__kmeans_rows_drop(s->runtime, &s->rows);
    free(s->centroids);
    free(s->before);
    free(s->jumped);
    sonde_runtime_free(s->runtime);
}

/* Every centroid takes a small step; one may jump onto a row. */
static void wander(scene *s, float step, bool jump, uint64_t *seed)
{
    memcpy(s->before, s->centroids, (size_t)(s->k * s->d) * sizeof *s->before);
    for (int64_t i = 0; i < s->k * s->d; i++) s->centroids[i] += step * test_normal(seed);
    int64_t j = (int64_t)(test_u64(seed) % (uint64_t)s->k), row = (int64_t)(test_u64(seed) % (uint64_t)s->n);
    if (jump) memcpy(s->centroids + j * s->d, s->rows.x + row * s->d, (size_t)s->d * sizeof *s->centroids);
    memset(s->jumped, 0, (size_t)s->k * sizeof *s->jumped);
    s->jumped[j] = jump;
    sonde__kmeans_search_moved(s->search, s->before, s->centroids, s->jumped);
}

/* Counts rows whose label is not the nearest by more than rounding can explain. */
static int64_t wrong_labels(const scene *s)
{
    int64_t wrong = 0;
    const int32_t *label = sonde__kmeans_search_label(s->search);
    for (int64_t i = 0; i < s->n; i++) {
        int64_t nearest;
        const float *row = s->rows.x + i * s->d;
        double best = plain_nearest(row, s->centroids, s->k, s->d, false, &nearest);
        double mine = pair_distance(row, s->centroids + label[i] * s->d, s->d);
        wrong += mine > best + 1e-5 * (best + pair_product(row, row, s->d));
    }
    return wrong;
}

static double share_computed(const scene *s)
{
    int64_t computed, plain;
    sonde__kmeans_search_count(s->search, &computed, &plain);
    return (double)computed / (double)plain;
}

static void exact_bounds_change_no_label(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = {
        {1500, 2, 40}, {1500, 8, 100}, {1100, 64, 150}, {300, 200, 90}, {50, 40, 1}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        scene s;
        make_scene(&s, sizes[i][0], sizes[i][1], sizes[i][2], 1);
        uint64_t seed = i;
        for (int pass = 0; pass < 6; pass++) {
            OK(sonde__kmeans_search_pass(s.search, s.n, NULL));
            assert_int_equal(wrong_labels(&s), 0);
            if (pass == 3 && s.k > 1) assert_true(share_computed(&s) < 0.9);
            wander(&s, pass < 3 ? 0.005f : 0.2f, pass >= 3, &seed);
        }
        end_scene(&s);
    }
}

static void guessed_bounds_leave_few_rows_behind(void **state)
{
    (void)state;
    scene s;
    make_scene(&s, 1500, 128, 200, 0);
    uint64_t seed = 1;
    assert_true(sonde__kmeans_search_guesses(s.search));
    for (int pass = 0; pass < 8; pass++) {
        OK(sonde__kmeans_search_pass(s.search, s.n, NULL));
        assert_true(wrong_labels(&s) <= s.n / 100);
        wander(&s, 0.1f, true, &seed);
    }
    assert_true(share_computed(&s) < 0.6);
    end_scene(&s);
}

/* A prefix first, then more rows; forgotten rows are looked at in full. */
static void rows_may_join_and_be_forgotten(void **state)
{
    (void)state;
    scene s;
    make_scene(&s, 1000, 20, 60, 1);
    OK(sonde__kmeans_search_pass(s.search, 300, NULL));
    for (int64_t i = 300; i < s.n; i++) assert_int_equal(sonde__kmeans_search_label(s.search)[i], -1);
    OK(sonde__kmeans_search_pass(s.search, s.n, NULL));
    assert_int_equal(wrong_labels(&s), 0);
    for (int64_t i = 0; i < s.n; i += 3) sonde__kmeans_search_forget(s.search, i);
    OK(sonde__kmeans_search_pass(s.search, s.n, NULL));
    assert_int_equal(wrong_labels(&s), 0);
    end_scene(&s);
}

static void grouping_permutes_centroids(void **state)
{
    (void)state;
    enum { K = 150, D = 40 };
    sonde_runtime *runtime = runtime_of(1);
    float *before = test_vectors(K, D, 10, 5), *after = test_alloc(K * D, sizeof *after);
    bool taken[K] = {false};
    memcpy(after, before, K * D * sizeof *after);
    OK(sonde__kmeans_group(runtime, K, D, 16, after));
    for (int j = 0; j < K; j++) {
        int from = 0;
        while (from < K && (taken[from] || memcmp(before + from * D, after + j * D, D * sizeof *after) != 0))
            from++;
        assert_true(from < K);
        taken[from] = true;
    }
    free(before);
    free(after);
    sonde_runtime_free(runtime);
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

/* Plain Lloyd from the same first centroids: the first k rows of the shuffled order. Returns the objective. */
static double plain_lloyd(sonde_runtime *runtime, const float *x, int64_t n, int64_t d,
                          const sonde__kmeans_options *options)
{
    sonde__kmeans_rows rows;
    int64_t k = options->k;
    OK(sonde__kmeans_rows_take(runtime, x, d, n, d, options, &rows));
    float *centroids = test_alloc((size_t)(k * d), sizeof *centroids);
    double *sums = test_alloc((size_t)(k * (d + 1)), sizeof *sums);
    int32_t *label = test_alloc((size_t)n, sizeof *label);
    memcpy(centroids, rows.x, (size_t)(k * d) * sizeof *centroids);
    for (int step = 0; step < options->iterations; step++) {
        OK(sonde__assign(runtime, 0, rows.x, d, n, d, centroids, k, false, label, NULL));
        memset(sums, 0, (size_t)(k * (d + 1)) * sizeof *sums);
        for (int64_t i = 0; i < n; i++) {
            double *sum = sums + label[i] * (d + 1);
            for (int64_t j = 0; j < d; j++) sum[j] += (double)rows.x[i * d + j];
            sum[d]++;
        }
        for (int64_t i = 0; i < k * d; i++)
            if (sums[i / d * (d + 1) + d] > 0)
                centroids[i] = (float)(sums[i / d * (d + 1) + i % d] / sums[i / d * (d + 1) + d]);
    }
    double objective = plain_facts(x, n, d, centroids, k, NULL, false).objective;
    sonde__kmeans_rows_drop(runtime, &rows);
    free(centroids);
    free(sums);
    free(label);
    return objective;
}

static void pruned_iterations_reach_what_plain_ones_reach(void **state)
{
    (void)state;
    static const int64_t sizes[][4] = {
        {2000, 8, 64, 0}, {1500, 64, 70, 70}, {1200, 128, 90, 30}, {900, 300, 40, 0}};
    sonde_runtime *runtime = runtime_of(2);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        int64_t n = sizes[s][0], d = sizes[s][1], k = sizes[s][2];
        float *x = test_vectors(n, d, (int)sizes[s][3], s),
              *centroids = test_alloc((size_t)(k * d), sizeof *centroids);
        sonde__kmeans_options options = {.k = k, .iterations = 12, .seed = 3};
        sonde__kmeans_report report;
        OK(sonde__kmeans(runtime, x, d, n, d, &options, centroids, &report));
        double plain = plain_lloyd(runtime, x, n, d, &options);
        facts f = plain_facts(x, n, d, centroids, k, NULL, false);
        if (f.objective > 1.005 * plain)
            fail_msg("%lld x %lld: %g, plain %g", (long long)n, (long long)d, f.objective, plain);
        /* Labels of guessed bounds may be a little off, to one side. */
        assert_true(report.objective >= f.objective * (1 - 1e-5) && report.objective <= f.objective * 1.002);
        assert_true(report.scanned <= 1);
        assert_int_equal(f.used, k);
        free(x);
        free(centroids);
    }
    sonde_runtime_free(runtime);
}

/* Fewer iterations are a prefix of more (below 8 there is no growing). */
static void the_objective_never_rises(void **state)
{
    (void)state;
    sonde_runtime *runtime = runtime_of(2);
    for (int64_t d = 6; d <= 96; d += 90) {
        int64_t n = 1000, k = 40;
        float *x = test_vectors(n, d, 15, 8), *centroids = test_alloc((size_t)(k * d), sizeof *centroids);
        double before = INFINITY;
        for (int iterations = 1; iterations < 8; iterations++) {
            sonde__kmeans_options options = {.k = k, .iterations = iterations, .seed = 2};
            sonde__kmeans_report report;
            OK(sonde__kmeans(runtime, x, d, n, d, &options, centroids, &report));
            assert_true(report.objective <= before * (1 + 1e-7));
            before = report.objective;
        }
        free(x);
        free(centroids);
    }
    sonde_runtime_free(runtime);
}

static void it_stops_when_nothing_moves(void **state)
{
    (void)state;
    sonde_runtime *runtime = runtime_of(1);
    float x[] = {0, 1, 10, 11}, centroids[2];
    sonde__kmeans_options options = {.k = 2, .iterations = 1000, .start = SONDE__START_PLUSPLUS};
    sonde__kmeans_report report;
    OK(sonde__kmeans(runtime, x, 1, 4, 1, &options, centroids, &report));
    assert_true(report.iterations < 10);
    assert_true(report.objective == 1);
    sonde_runtime_free(runtime);
}

/* ---- empty clusters --------------------------------------------------------------------------------------------- */

/* n rows of which `distinct` differ. With no more distinct rows than clusters, each row has a centroid to itself. */
static void check_distinct(int64_t n, int64_t d, int64_t distinct, int64_t k, uint32_t start, bool spherical)
{
    sonde_runtime *runtime = runtime_of(2);
    float *few = test_vectors(distinct, d, 0, 5), *x = test_alloc((size_t)(n * d), sizeof *x);
    float *centroids = test_alloc((size_t)(k * d), sizeof *centroids);
    for (int64_t i = 0; spherical && i < distinct; i++) sonde__kmeans_unit(few + i * d, d);
    /* Most rows are the first one. */
    for (int64_t i = 0; i < n; i++) memcpy(x + i * d, few + (i < distinct ? i : 0) * d, (size_t)d * sizeof *x);
    for (uint64_t seed = 0; seed < 5; seed++) {
        sonde__kmeans_options options = {.k = k, .seed = seed, .start = start, .spherical = spherical};
        sonde__kmeans_report report;
        OK(sonde__kmeans(runtime, x, d, n, d, &options, centroids, &report));
        facts f = plain_facts(x, n, d, centroids, k, NULL, spherical);
        int64_t expected = k < distinct ? k : distinct;
        if (f.used != expected)
            fail_msg("n=%lld d=%lld distinct=%lld k=%lld: %lld clusters used", (long long)n, (long long)d,
                     (long long)distinct, (long long)k, (long long)f.used);
        if (k >= distinct) assert_true(f.objective < 1e-5 * (double)n && report.objective < 1e-5 * (double)n);
    }
    free(few);
    free(x);
    free(centroids);
    sonde_runtime_free(runtime);
}

static void no_cluster_stays_empty(void **state)
{
    (void)state;
    for (uint32_t start = SONDE__START_RANDOM; start <= SONDE__START_PLUSPLUS; start++) {
        for (int spherical = 0; spherical < 2; spherical++) {
            check_distinct(300, 4, 30, 30, start, spherical);
            check_distinct(300, 4, 30, 12, start, spherical);
            check_distinct(300, 4, 12, 40, start, spherical);
            check_distinct(300, 60, 40, 40, start, spherical);
            check_distinct(300, 60, 50, 35, start, spherical);
            check_distinct(50, 60, 50, 50, start, spherical);
            check_distinct(50, 3, 50, 50, start, spherical);
            check_distinct(1, 3, 1, 1, start, spherical);
        }
    }
}

/* Cases in which the bounds that were guessed say that a cluster has rows although each of them has a nearer centroid. */
static void guesses_hide_no_empty_cluster(void **state)
{
    (void)state;
    static const int64_t cases[][3] = {{108, 220, 132}, {288, 140, 56}}; /* seed, rows, clusters */
    enum { D = 200 };
    sonde_runtime *runtime = runtime_of(2);
    for (size_t c = 0; c < 2; c++) {
        int64_t n = cases[c][1], k = cases[c][2];
        float *x = test_vectors(n, D, 30, (uint64_t)cases[c][0]);
        float *centroids = test_alloc((size_t)(k * D), sizeof *centroids);
        sonde__kmeans_options options = {
            .k = k, .iterations = 1, .seed = (uint64_t)cases[c][0], .spherical = true};
        OK(sonde__kmeans(runtime, x, D, n, D, &options, centroids, NULL));
        assert_int_equal(plain_facts(x, n, D, centroids, k, NULL, true).used, k);
        free(x);
        free(centroids);
    }
    sonde_runtime_free(runtime);
}

static void odd_data_is_no_trouble(void **state)
{
    (void)state;
    enum { N = 120, D = 50, K = 20 };
    sonde_runtime *runtime = runtime_of(2);
    float *x = test_vectors(N, D, 4, 3), *centroids = test_alloc(K * D, sizeof *centroids);
    float *weights = test_alloc(N, sizeof *weights);
    for (int spherical = 0; spherical < 2; spherical++) {
        sonde__kmeans_options options = {.k = K, .spherical = spherical};
        for (int i = 0; i < N; i++) x[i * D + 3] = x[i * D + 49] = 0; /* columns of zeros */
        memset(x + 5 * D, 0, D * sizeof *x);                          /* and a row */
        OK(sonde__kmeans(runtime, x, D, N, D, &options, centroids, NULL));
        for (int j = 0; j < K; j++) assert_true(centroids[j * D + 3] == 0);
        float *zeros = test_alloc(N * D, sizeof *zeros);
        OK(sonde__kmeans(runtime, zeros, D, N, D, &options, centroids, NULL));
        for (int i = 0; i < K * D; i++) assert_true(isfinite(centroids[i]));
        options.weights = weights; /* all of them 0: nothing to gain, nothing to break */
        OK(sonde__kmeans(runtime, x, D, N, D, &options, centroids, NULL));
        for (int i = 0; i < K * D; i++) assert_true(isfinite(centroids[i]));
        options.weights = NULL;
        zeros[77] = NAN; /* callers check; here it must only not crash */
        assert_int_equal(sonde__kmeans(runtime, zeros, D, N, D, &options, centroids, NULL), SONDE_OK);
        free(zeros);
    }
    free(x);
    free(centroids);
    free(weights);
    sonde_runtime_free(runtime);
}

/* ---- starts, weights, spheres ----------------------------------------------------------------------------------- */

/* Clusters so far apart that k-means++ meets each one; random rows would miss some. */
static void plusplus_meets_every_far_cluster(void **state)
{
    (void)state;
    enum { N = 600, D = 10, K = 25 };
    sonde_runtime *runtime = runtime_of(2);
    float *x = test_vectors(N, D, 0, 1), centroids[K * D];
    for (int i = 0; i < N; i++) x[i * D + i % K % D] += 1000.0f * (float)(1 + i % K / D);
    for (uint64_t seed = 0; seed < 5; seed++) {
        sonde__kmeans_options options = {.k = K, .seed = seed, .start = SONDE__START_PLUSPLUS};
        sonde__kmeans_report report;
        OK(sonde__kmeans(runtime, x, D, N, D, &options, centroids, &report));
        assert_true(report.objective < 1.1 * N * D);
    }
    free(x);
    sonde_runtime_free(runtime);
}

/* Rows of weight w count as w rows, rows of weight 0 as none. */
static void weights_count(void **state)
{
    (void)state;
    enum { N = 400, D = 7, K = 12 };
    sonde_runtime *runtime = runtime_of(2);
    float *x = test_vectors(N, D, 5, 2), centroids[K * D], weights[N], mean[D];
    double sum[D + 1] = {0};
    for (int i = 0; i < N; i++) {
        weights[i] = (float)(i % 4);
        if (i % 4 == 0) x[i * D] = 1e6f; /* an outlier that must not be seen */
        for (int j = 0; j < D; j++) sum[j] += (double)weights[i] * (double)x[i * D + j];
        sum[D] += (double)weights[i];
    }
    sonde__kmeans_report report;
    sonde__kmeans_options options = {.k = 1, .weights = weights};
    OK(sonde__kmeans(runtime, x, D, N, D, &options, mean, NULL));
    for (int j = 0; j < D; j++) assert_true(close_to((double)mean[j], sum[j] / sum[D], 1e-5));
    for (uint32_t start = SONDE__START_RANDOM; start <= SONDE__START_PLUSPLUS; start++) {
        options = (sonde__kmeans_options){.k = K, .weights = weights, .start = start};
        OK(sonde__kmeans(runtime, x, D, N, D, &options, centroids, &report));
        assert_true(
            close_to(report.objective, plain_facts(x, N, D, centroids, K, weights, false).objective, 1e-5));
        for (int j = 0; j < K; j++) assert_true(centroids[j * D] < 1e3f);
    }
    free(x);
    sonde_runtime_free(runtime);
}

static void spherical_centroids_have_length_one(void **state)
{
    (void)state;
    enum { N = 500, D = 48, K = 20 };
    sonde_runtime *runtime = runtime_of(2);
    float *x = test_vectors(N, D, 9, 2), centroids[K * D], weights[N];
    for (int i = 0; i < N; i++) weights[i] = (float)(1 + i % 3);
    for (int weighted = 0; weighted < 2; weighted++) {
        sonde__kmeans_options options = {.k = K, .spherical = true, .weights = weighted ? weights : NULL};
        sonde__kmeans_report report;
        OK(sonde__kmeans(runtime, x, D, N, D, &options, centroids, &report));
        for (int j = 0; j < K; j++)
            assert_true(close_to(pair_product(centroids + j * D, centroids + j * D, D), 1, 1e-5));
        facts f = plain_facts(x, N, D, centroids, K, options.weights, true);
        assert_true(close_to(report.objective, f.objective, 2e-3));
        assert_int_equal(f.used, K);
    }
    free(x);
    sonde_runtime_free(runtime);
}

static void a_sample_is_enough(void **state)
{
    (void)state;
    enum { N = 5000, D = 16, K = 8 };
    sonde_runtime *runtime = runtime_of(2);
    float *x = test_vectors(N, D, 0, 6), centroids[K * D];
    sonde__kmeans_options options = {.k = K, .start = SONDE__START_PLUSPLUS};
    sonde__kmeans_report all, some;
    OK(sonde__kmeans(runtime, x, D, N, D, &options, centroids, &all));
    options.sample = 1000;
    OK(sonde__kmeans(runtime, x, D, N, D, &options, centroids, &some));
    assert_true(close_to(some.objective, all.objective / 5, 0.1)); /* of a fifth of the rows */
    assert_true(plain_facts(x, N, D, centroids, K, NULL, false).objective < 1.03 * all.objective);
    options.sample = 3; /* raised to k: every row is its own centroid */
    OK(sonde__kmeans(runtime, x, D, N, D, &options, centroids, &some));
    assert_true(some.objective == 0);
    free(x);
    sonde_runtime_free(runtime);
}

/* ---- two levels, streams ---------------------------------------------------------------------------------------- */

static void two_levels_come_close(void **state)
{
    (void)state;
    enum { N = 4000, D = 24, K = 100 };
    sonde_runtime *runtime = runtime_of(2);
    float *x = test_vectors(N, D, 30, 2), *centroids = test_alloc(K * D, sizeof *centroids);
    sonde__kmeans_options options = {.k = K};
    sonde__kmeans_report one, two;
    OK(sonde__kmeans(runtime, x, D, N, D, &options, centroids, &one));
    options.hierarchical = true;
    OK(sonde__kmeans(runtime, x, D, N, D, &options, centroids, &two));
    assert_true(two.objective < 1.05 * one.objective);
    facts f = plain_facts(x, N, D, centroids, K, NULL, false);
    assert_int_equal(f.used, K);
    assert_true(close_to(two.objective, f.objective, 1e-5));
    free(x);
    free(centroids);
    sonde_runtime_free(runtime);
}

/* More centroids than some cells have rows, and cells without rows. */
static void two_levels_share_out_scarce_rows(void **state)
{
    (void)state;
    enum { N = 90, D = 5, K = 80 };
    sonde_runtime *runtime = runtime_of(2);
    float *x = test_vectors(N, D, 0, 2), centroids[K * D], weights[N];
    for (int i = 0; i < N; i++) weights[i] = (float)(1 + i % 2);
    for (int i = 0; i < 60; i++) memcpy(x + i * D, x, D * sizeof *x); /* 31 rows differ */
    sonde__kmeans_options options = {.k = K, .hierarchical = true, .weights = weights};
    sonde__kmeans_report report;
    OK(sonde__kmeans(runtime, x, D, N, D, &options, centroids, &report));
    assert_int_equal(plain_facts(x, N, D, centroids, K, NULL, false).used, 31);
    assert_true(report.objective < 1e-6);
    free(x);
    sonde_runtime_free(runtime);
}

static void feed(sonde_runtime *runtime, const float *x, int64_t n, int64_t d, int64_t batch,
                 const sonde__kmeans_options *options, float *centroids)
{
    sonde__kmeans_stream *stream;
    OK(sonde__kmeans_stream_create(runtime, d, options, &stream));
    for (int64_t i = 0; i < n; i += batch)
        OK(sonde__kmeans_stream_observe(stream, x + i * d, d, n - i < batch ? n - i : batch));
    OK(sonde__kmeans_stream_finish(stream, centroids));
    sonde__kmeans_stream_free(stream);
}

static void a_stream_comes_within_two_per_cent(void **state)
{
    (void)state;
    enum { N = 12000, D = 20, K = 24 };
    sonde_runtime *runtime = runtime_of(2);
    for (int clusters = 0; clusters <= 24; clusters += 12) {
        float *x = test_vectors(N, D, clusters, 4), centroids[K * D], again[K * D];
        sonde__kmeans_options options = {.k = K, .start = SONDE__START_PLUSPLUS};
        sonde__kmeans_report full;
        OK(sonde__kmeans(runtime, x, D, N, D, &options, centroids, &full));
        feed(runtime, x, N, D, 997, &options, centroids);
        double objective = plain_facts(x, N, D, centroids, K, NULL, false).objective;
        if (objective > 1.02 * full.objective) fail_msg("%d: %g, full %g", clusters, objective, full.objective);
        feed(runtime, x, N, D, N, &options, again); /* batches are the caller's convenience only */
        assert_memory_equal(centroids, again, sizeof again);
        free(x);
    }
    sonde_runtime_free(runtime);
}

/* The stream turns to something else; centroids follow and none is left behind for ever. */
static void a_stream_follows_its_rows(void **state)
{
    (void)state;
    enum { N = 24000, D = 6, K = 10 };
    sonde_runtime *runtime = runtime_of(1);
    float *x = test_vectors(N, D, 0, 4), centroids[K * D];
    for (int i = N / 8 * D; i < N * D; i++) x[i] += 100;
    sonde__kmeans_options options = {.k = K};
    feed(runtime, x, N, D, 500, &options, centroids);
    facts f = plain_facts(x + N / 2 * D, N / 2, D, centroids, K, NULL, false);
    assert_int_equal(f.used, K);
    assert_true(f.objective < 0.8 * N / 2 * D);
    free(x);
    sonde_runtime_free(runtime);
}

static void a_short_stream_says_so(void **state)
{
    (void)state;
    sonde_runtime *runtime = runtime_of(1);
    float x[] = {1, 2, 3}, centroids[4];
    sonde__kmeans_options options = {.k = 4};
    sonde__kmeans_stream *stream;
    OK(sonde__kmeans_stream_create(runtime, 1, &options, &stream));
    OK(sonde__kmeans_stream_observe(stream, x, 1, 3));
    FAILS(sonde__kmeans_stream_finish(stream, centroids), SONDE_INVALID_ARGUMENT, "3 rows are too few for 4");
    OK(sonde__kmeans_stream_observe(stream, x, 1, 1));
    OK(sonde__kmeans_stream_finish(stream, centroids));
    sonde__kmeans_stream_free(stream);
    options.k = 0;
    FAILS(sonde__kmeans_stream_create(runtime, 1, &options, &stream), SONDE_INVALID_ARGUMENT, "k=0");
    sonde_runtime_free(runtime);
}

/* ---- promises --------------------------------------------------------------------------------------------------- */

/* Everything that is random or parallel, into one array. */
static void cluster_in_every_way(sonde_runtime *runtime, const float *x, int64_t n, int64_t d, int64_t k,
                                 float *all)
{
    sonde__kmeans_options ways[] = {{.k = k},
                                    {.k = k, .start = SONDE__START_PLUSPLUS},
                                    {.k = k, .spherical = true},
                                    {.k = 70, .hierarchical = true},
                                    {.k = k, .sample = n / 2, .seed = 9}};
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
        sonde__kmeans_report report;
        OK(sonde__kmeans(runtime, x, d, n, d, &ways[way], all, &report));
        all += ways[way].k * d;
        *all++ = (float)report.objective;
        *all++ = (float)report.scanned;
    }
    feed(runtime, x, n, d, 1000, &ways[0], all);
}

static void threads_change_no_byte(void **state)
{
    (void)state;
    static const uint32_t thread_counts[] = {1, 2, 7};
    for (int64_t d = 8; d <= 72; d += 64) {
        int64_t n = 3000, k = 11; /* enough rows a centroid for growing */
        size_t count = (size_t)((5 * k + 70) * d + 10);
        float *x = test_vectors(n, d, 6, 3), *first = NULL;
        for (int t = 0; t < 3; t++) {
            sonde_runtime *runtime = runtime_of(thread_counts[t]);
            float *all = test_alloc(count, sizeof *all);
            cluster_in_every_way(runtime, x, n, d, k, all);
            if (first) assert_memory_equal(all, first, count * sizeof *all);
            if (first) free(all);
            else first = all;
            sonde_runtime_free(runtime);
        }
        free(first);
        free(x);
    }
}

static void wrong_sizes_are_refused(void **state)
{
    (void)state;
    sonde_runtime *runtime = runtime_of(1);
    float x[6] = {0}, centroids[6] = {42};
    sonde__kmeans_options options = {.k = 4, .stage = "words"};
    FAILS(sonde__kmeans(runtime, x, 2, 3, 2, &options, centroids, NULL), SONDE_INVALID_ARGUMENT,
          "words: 3 rows are too few for 4 centroids");
    options.k = 0;
    FAILS(sonde__kmeans(runtime, x, 2, 3, 2, &options, centroids, NULL), SONDE_INVALID_ARGUMENT, "k=0");
    assert_true(centroids[0] == 42);
    sonde_runtime_free(runtime);
}

typedef struct listener {
    int calls, stop_at;
    bool named;
} listener;

static int listen_to(const char *stage, uint64_t done, uint64_t total, void *user)
{
    listener *l = user;
    if (strstr(stage, "words, iteration ")) l->named = true;
    if (done > total) l->named = false;
    return ++l->calls == l->stop_at;
}

/* Stopped at the first call, the second, ...: always CANCELLED, and nothing was written. */
static void it_can_be_cancelled_anywhere(void **state)
{
    (void)state;
    enum { N = 4000, D = 40, K = 16 };
    float *x = test_vectors(N, D, 4, 3), centroids[K * D];
    int stop = 1;
    for (bool stopped = true; stopped; stop++) {
        listener l = {.stop_at = stop};
        sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
        sonde_runtime *runtime;
        options.threads = 2;
        options.progress = listen_to;
        options.progress_user = &l;
        OK(sonde_runtime_create(&options, &runtime));
        memset(centroids, 0, sizeof centroids);
        sonde__kmeans_options how = {.k = K, .iterations = 5, .stage = "words", .start = SONDE__START_PLUSPLUS};
        sonde_status status = sonde__kmeans(runtime, x, D, N, D, &how, centroids, NULL);
        stopped = l.calls >= stop;
        assert_int_equal(status, stopped ? SONDE_CANCELLED : SONDE_OK);
        for (int i = 0; stopped && i < K * D; i++) assert_true(centroids[i] == 0);
        if (!stopped) assert_true(l.named);
        sonde_runtime_free(runtime);
    }
    assert_true(stop > 10);
    free(x);
}

static sonde_status cluster_scene(sonde_runtime_options *memory)
{
    enum { N = 200, D = 40, K = 66 };
    static float x[N * D], centroids[K * D];
    sonde_runtime *runtime;
    sonde__kmeans_stream *stream = NULL;
    uint64_t seed = 1;
    for (int i = 0; i < N * D; i++) x[i] = test_normal(&seed);
    memcpy(x, x + D, D * sizeof *x);
    memory->threads = 1;
    SONDE_TRY(sonde_runtime_create(memory, &runtime));
    sonde__kmeans_options options = {.k = K, .iterations = 2, .start = SONDE__START_PLUSPLUS};
    sonde_status status = sonde__kmeans(runtime, x, D, N, D, &options, centroids, NULL);
    options.hierarchical = options.spherical = true;
    if (status == SONDE_OK) status = sonde__kmeans(runtime, x, D, N, D, &options, centroids, NULL);
    options = (sonde__kmeans_options){.k = 2, .iterations = 2};
    if (status == SONDE_OK) status = sonde__kmeans_stream_create(runtime, D, &options, &stream);
    if (status == SONDE_OK) status = sonde__kmeans_stream_observe(stream, x, D, N);
    if (status == SONDE_OK) status = sonde__kmeans_stream_finish(stream, centroids);
    sonde__kmeans_stream_free(stream);
    sonde_runtime_free(runtime);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(failing_walk(cluster_scene) > 50);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(assign_finds_the_nearest),
    cmocka_unit_test(equal_centroids_give_the_lower_number),
    cmocka_unit_test(exact_bounds_change_no_label),
    cmocka_unit_test(guessed_bounds_leave_few_rows_behind),
    cmocka_unit_test(rows_may_join_and_be_forgotten),
    cmocka_unit_test(grouping_permutes_centroids),
    cmocka_unit_test(pruned_iterations_reach_what_plain_ones_reach),
    cmocka_unit_test(the_objective_never_rises),
    cmocka_unit_test(it_stops_when_nothing_moves),
    cmocka_unit_test(no_cluster_stays_empty),
    cmocka_unit_test(guesses_hide_no_empty_cluster),
    cmocka_unit_test(odd_data_is_no_trouble),
    cmocka_unit_test(plusplus_meets_every_far_cluster),
    cmocka_unit_test(weights_count),
    cmocka_unit_test(spherical_centroids_have_length_one),
    cmocka_unit_test(a_sample_is_enough),
    cmocka_unit_test(two_levels_come_close),
    cmocka_unit_test(two_levels_share_out_scarce_rows),
    cmocka_unit_test(a_stream_comes_within_two_per_cent),
    cmocka_unit_test(a_stream_follows_its_rows),
    cmocka_unit_test(a_short_stream_says_so),
    cmocka_unit_test(threads_change_no_byte),
    cmocka_unit_test(wrong_sizes_are_refused),
    cmocka_unit_test(it_can_be_cancelled_anywhere),
    cmocka_unit_test(every_allocation_may_fail),
};
SONDE_TEST_MAIN(tests)
