/* test_ppp.c: the number of groups on planted data, splits and mixtures against their definitions, independence of the
 * order of rows, of threads, of position and scale, files, and what can go wrong.
 *
 * timeout: 60
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <math.h>

#include "base/base.h"
#include "../failing.h"
#include "../unit/handles.h"
#include "quantizers/ppp.h"
#include "../quantizer_steps.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))
enum { NO_STRUCTURE = 1, FEW_ROWS = 2, FEW_DISTINCT = 4, SCORE = 7 };
enum { K, SSE, AGREEMENT, CONFIDENCE, BIC, START_SSE, STABILITY };

/* Rows around `groups` normal centres; truth (may be NULL) gets the group of each. */
static float *planted(int64_t n, int64_t d, int groups, float spread, uint64_t seed, int32_t *truth)
{
    float *x = test_alloc((size_t)(n * d), sizeof *x), *centre = test_alloc((size_t)(groups * d), sizeof *centre);
    uint64_t state = seed;
    for (int64_t i = 0; i < groups * d; i++) centre[i] = spread * test_normal(&state);
    for (int64_t i = 0; i < n; i++) {
        int64_t g = (int64_t)(test_u64(&state) % (uint64_t)groups);
        for (int64_t j = 0; j < d; j++) x[i * d + j] = centre[g * d + j] + test_normal(&state);
        if (truth) truth[i] = (int32_t)g;
    }
    free(centre);
    return x;
}

static sonde_status cluster(sonde_quantizer *quantizer, const float *x, int64_t n, int32_t *labels)
{
    sonde_array rows = sonde_f32(x, n, sonde_quantizer_dim(quantizer));
    sonde_input input = {"vectors", &rows};
    return labels ? sonde_quantizer_cluster(quantizer, &input, 1, labels) : sonde_quantizer_train(quantizer, &input, 1);
}

static sonde_array output(const sonde_quantizer *quantizer, const char *name)
{
    sonde_array view;
    OK(sonde_quantizer_output(quantizer, name, &view));
    return view;
}

static int64_t flags(const sonde_quantizer *quantizer) { return *(const int64_t *)output(quantizer, "flags").data; }
static int64_t groups_of(const sonde_quantizer *quantizer) { return output(quantizer, "sizes").rows; }

/* By pairs of rows, which is what the index is defined by. */
static double rand_index(const int32_t *a, const int32_t *b, int64_t n)
{
    double both = 0, in_a = 0, in_b = 0, pairs = (double)n * (double)(n - 1) / 2;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++) {
            in_a += a[i] == a[j];
            in_b += b[i] == b[j];
            both += a[i] == a[j] && b[i] == b[j];
        }
    double chance = in_a * in_b / pairs;
    return (both - chance) / ((in_a + in_b) / 2 - chance);
}

/* ---- how many groups -------------------------------------------------------------------------------------------- */

/* The numbers of groups of the card, on data of our own; returns the agreement with the truth. */
static double check_planted(const char *spec, int groups, int64_t d, float spread, int least, int most)
{
    enum { N = 6000 };
    int32_t *truth = test_alloc(N, sizeof *truth), *labels = test_alloc(N, sizeof *labels);
    float *x = planted(N, d, groups, spread, 7, truth);
    double ari;
    sonde_quantizer *quantizer = create(spec, d, NULL);
    OK(cluster(quantizer, x, N, labels));
    assert_in_range(groups_of(quantizer), least, most);
    assert_int_equal(flags(quantizer), 0);
    OK(sonde__ppp_agreement(quantizer->runtime, truth, labels, N, 20, &ari));
    sonde_quantizer_free(quantizer);
    free(x);
    free(truth);
    free(labels);
    return ari;
}

static void planted_numbers_are_found(void **unused)
{
    (void)unused;
    check_planted("ppp(k_max=20, reduce=1)", 8, 8, 1.5f, 8, 8);
    check_planted("ppp(k_max=20, reduce=1)", 12, 10, 1.2f, 12, 12);
    check_planted("ppp(k_max=20, reduce=1)", 5, 6, 1.0f, 4, 5);
}

static void separated_groups_come_back(void **unused)
{
    (void)unused;
    assert_true(check_planted("ppp(k_max=20)", 9, 12, 4, 9, 9) >= 0.95);
    assert_true(check_planted("ppp(k_max=12, cov=full)", 6, 5, 4, 6, 6) >= 0.95);
    assert_true(check_planted("ppp(k_min=1, k_max=12, em_iters=5)", 3, 4, 6, 3, 3) >= 0.95);
}

static void one_blob_has_no_structure(void **unused)
{
    (void)unused;
    enum { N = 3000, D = 6 };
    float *x = planted(N, D, 1, 1, 3, NULL);
    for (int k_min = 1; k_min <= 2; k_min++) {
        sonde_quantizer *quantizer = create(k_min == 1 ? "ppp(k_min=1, k_max=10)" : "ppp(k_max=10)", D, NULL);
        OK(cluster(quantizer, x, N, NULL));
        assert_true(flags(quantizer) & NO_STRUCTURE);
        if (k_min == 1) assert_int_equal(groups_of(quantizer), 1);
        sonde_quantizer_free(quantizer);
    }
    free(x);
}

/* The table: K ascending, the squared error before k-means falls with K and k-means lowers it further, agreement and
 * confidence are shares, and the stability is there when asked for. */
static void scores_make_sense(void **unused)
{
    (void)unused;
    enum { N = 2000, D = 5 };
    float *x = planted(N, D, 6, 2, 5, NULL);
    sonde_quantizer *quantizer = create("ppp(k_min=1, k_max=24, restarts=2)", D, NULL);
    OK(cluster(quantizer, x, N, NULL));
    sonde_array view = output(quantizer, "scores");
    assert_int_equal(view.cols, SCORE);
    for (int64_t i = 0; i < view.rows; i++) {
        const float *s = (const float *)view.data + i * SCORE, *last = s - SCORE;
        if (i > 0) assert_true(s[K] > last[K] && s[START_SSE] <= last[START_SSE]);
        assert_true(s[SSE] <= s[START_SSE] * 1.00001f && s[SSE] > 0);
        assert_true(s[AGREEMENT] <= 1 && s[CONFIDENCE] > 0 && s[CONFIDENCE] <= 1.00001f);
        assert_true(s[K] == 1 || (s[STABILITY] > 0.1f && s[STABILITY] <= 1));
    }
    sonde_quantizer_free(quantizer);
    free(x);
}

/* ---- parts ------------------------------------------------------------------------------------------------------ */

static void agreement_counts_pairs(void **unused)
{
    (void)unused;
    enum { N = 120 };
    sonde_runtime *runtime = test_runtime(1);
    uint64_t state = 3;
    int32_t a[N], b[N];
    double ari;
    for (int trial = 0; trial < 50; trial++) {
        int k = 2 + trial % 5;
        for (int i = 0; i < N; i++) {
            a[i] = (int32_t)(test_u64(&state) % (uint64_t)k);
            b[i] = trial % 2 ? a[i] : (int32_t)(test_u64(&state) % 2);
            if (test_unit(&state) < 0.2) b[i] = 0;
        }
        OK(sonde__ppp_agreement(runtime, a, b, N, k, &ari));
        assert_true(fabs(ari - rand_index(a, b, N)) < 1e-9);
    }
    for (int i = 0; i < N; i++) b[i] = 2 - (a[i] = i % 3);
    OK(sonde__ppp_agreement(runtime, a, b, N, 3, &ari));
    assert_true(ari == 1);
    sonde_runtime_free(runtime);
}

/* Each partition refines the one with a group less, and splits the group of largest squared error. */
static void splits_are_nested(void **unused)
{
    (void)unused;
    enum { N = 500, P = 3, MOST = 12 };
    sonde_runtime *runtime = test_runtime(1);
    float *y = planted(N, P, 5, 2, 6, NULL);
    sonde__ppp_rows rows = {runtime, 1, y, N, P};
    int32_t last[N], parent[MOST], coarse[N], fine[N];
    int64_t groups;
    OK(sonde__ppp_split(&rows, MOST, last, parent, &groups));
    assert_int_equal(groups, MOST);
    for (int64_t k = 1; k < MOST; k++) {
        double sse[MOST] = {0}, mean[MOST][P] = {{0}}, count[MOST] = {0};
        int64_t worst = 0;
        sonde__ppp_cut(last, parent, N, k, coarse);
        sonde__ppp_cut(last, parent, N, k + 1, fine);
        for (int i = 0; i < N; i++) {
            assert_true(coarse[i] == (fine[i] == k ? parent[k] : fine[i]));
            count[coarse[i]]++;
            for (int j = 0; j < P; j++) mean[coarse[i]][j] += (double)y[i * P + j];
        }
        for (int i = 0; i < N; i++)
            for (int j = 0; j < P; j++)
                sse[coarse[i]] += pow((double)y[i * P + j] - mean[coarse[i]][j] / count[coarse[i]], 2);
        for (int64_t g = 1; g < k; g++) worst = sse[g] > sse[worst] ? g : worst;
        assert_int_equal(parent[k], worst);
    }
    free(y);
    sonde_runtime_free(runtime);
}

/* Labels and centroids of k-means from the splits. */
static void k_means(const sonde__ppp_rows *rows, int64_t k, int32_t *labels, float *centroids)
{
    int32_t *last = test_alloc((size_t)rows->n, sizeof *last), *parent = test_alloc((size_t)k, sizeof *parent);
    int64_t groups;
    double start, sse;
    OK(sonde__ppp_split(rows, k, last, parent, &groups));
    assert_int_equal(groups, k);
    sonde__ppp_cut(last, parent, rows->n, k, labels);
    OK(sonde__ppp_lloyd(rows, k, 100, labels, centroids, &start, &sse));
    free(last);
    free(parent);
}

/* EM never lowers the likelihood, whose value is the textbook's sum over rows. */
static void likelihood_never_falls(void **unused)
{
    (void)unused;
    enum { N = 800, P = 3, GROUPS = 6 };
    sonde_runtime *runtime = test_runtime(1);
    float *y = planted(N, P, 4, 1.2f, 8, NULL), centroids[GROUPS * P];
    int32_t labels[N];
    sonde__ppp_rows rows = {runtime, 1, y, N, P};
    k_means(&rows, GROUPS, labels, centroids);
    for (int full = 0; full < 2; full++) {
        sonde__mixture mixture;
        sonde__posterior posterior = {0};
        double last = -INFINITY;
        OK(sonde__mixture_new(runtime, GROUPS, P, full, 0.05, &mixture));
        OK(sonde__mixture_fit(&mixture, &rows, labels, centroids, 0, &posterior));
        for (int step = 0; step < 60; step++) {
            OK(sonde__mixture_step(&mixture, &rows, true, &posterior));
            assert_true(posterior.log_likelihood >= last - 1e-9 * fabs(last));
            last = posterior.log_likelihood;
        }
        if (!full) {
            double sum = 0, weights = 0;
            OK(sonde__mixture_step(&mixture, &rows, false, &posterior));
            for (int i = 0; i < N; i++) {
                double density = 0;
                for (int c = 0; c < GROUPS; c++) {
                    double each = mixture.weight[c];
                    for (int j = 0; j < P; j++) {
                        double precision = mixture.spread[j * GROUPS + c];
                        double away = (double)y[i * P + j] - mixture.mean[j * GROUPS + c];
                        each *= sqrt(precision / (2 * M_PI)) * exp(-0.5 * precision * away * away);
                    }
                    density += each;
                }
                sum += log(density);
            }
            for (int c = 0; c < GROUPS; c++) weights += mixture.weight[c];
            assert_true(fabs(sum - posterior.log_likelihood) < 1e-6 * fabs(sum) && fabs(weights - 1) < 1e-6);
        }
        sonde__mixture_drop(&mixture);
    }
    free(y);
    sonde_runtime_free(runtime);
}

/* Covariances that are given as a mixture along turned axes: with one component EM finds the covariance of the rows. */
static void one_gaussian_is_the_covariance(void **unused)
{
    (void)unused;
    enum { N = 3000, D = 3 };
    float *x = planted(N, D, 1, 2, 9, NULL);
    double mean[D] = {0};
    for (int i = 0; i < N; i++) x[i * D + 1] += 0.8f * x[i * D];
    for (int i = 0; i < N * D; i++) mean[i % D] += (double)x[i] / N;
    sonde_quantizer *quantizer = create("ppp(k_min=1, k_max=1, cov=full, reduce=1)", D, NULL);
    OK(cluster(quantizer, x, N, NULL));
    sonde_array view = output(quantizer, "variances");
    const float *got = view.data;
    assert_int_equal(view.cols, D * D);
    for (int a = 0; a < D; a++)
        for (int b = 0; b < D; b++) {
            double sum = 0;
            for (int i = 0; i < N; i++) sum += ((double)x[i * D + a] - mean[a]) * ((double)x[i * D + b] - mean[b]);
            assert_true(fabs(sum / N - got[a * D + b]) < 1e-3);
        }
    sonde_quantizer_free(quantizer);
    free(x);
}

/* Equal weights and one tiny variance for all: the likeliest component is the nearest centroid. */
static void tight_mixtures_are_k_means(void **unused)
{
    (void)unused;
    enum { N = 900, P = 4, GROUPS = 7 };
    sonde_runtime *runtime = test_runtime(1);
    float *y = planted(N, P, 4, 1, 10, NULL), centroids[GROUPS * P];
    int32_t labels[N], mixed[N];
    double ari;
    sonde__ppp_rows rows = {runtime, 1, y, N, P};
    sonde__mixture mixture;
    sonde__posterior posterior = {.labels = mixed};
    k_means(&rows, GROUPS, labels, centroids);
    OK(sonde__mixture_new(runtime, GROUPS, P, false, 1e-6, &mixture));
    for (int c = 0; c < GROUPS; c++) {
        mixture.weight[c] = 1.0 / GROUPS;
        for (int j = 0; j < P; j++) {
            mixture.mean[j * GROUPS + c] = (double)centroids[c * P + j];
            mixture.spread[j * GROUPS + c] = 1e6;
        }
    }
    sonde__mixture_settle(&mixture);
    OK(sonde__mixture_step(&mixture, &rows, false, &posterior));
    OK(sonde__ppp_agreement(runtime, labels, mixed, N, GROUPS, &ari));
    assert_true(ari == 1);
    sonde__mixture_drop(&mixture);
    free(y);
    sonde_runtime_free(runtime);
}

/* ---- what does not matter ---------------------------------------------------------------------------------------- */

static uint8_t *saved(const sonde_quantizer *quantizer, size_t *length)
{
    size_t written;
    OK(sonde_quantizer_save_buffer(quantizer, NULL, 0, length));
    uint8_t *bytes = test_alloc(*length, 1);
    OK(sonde_quantizer_save_buffer(quantizer, bytes, *length, &written));
    return bytes;
}

/* The same file for any order of rows and any number of threads. */
static void order_and_threads_do_not_matter(void **unused)
{
    (void)unused;
    enum { N = 1500, D = 7 };
    static const uint32_t threads[] = {1, 2, 7, 1};
    static const char *const specs[] = {"ppp(k_max=9)", "ppp(k_max=6, cov=full, sample=400)"};
    float *x = planted(N, D, 5, 1.5f, 11, NULL), *mixed = test_alloc(N * D, sizeof *mixed);
    int32_t *first = test_alloc(N, sizeof *first), *labels = test_alloc(N, sizeof *labels);
    for (int64_t i = 0; i < N; i++) memcpy(mixed + i * D, x + (i * 7 + 3) % N * D, D * sizeof *x);
    for (int s = 0; s < COUNT(specs); s++) {
        uint8_t *bytes[4];
        size_t length[4];
        for (int t = 0; t < 4; t++) {
            sonde_runtime *runtime = test_runtime(threads[t]);
            sonde_quantizer *quantizer = create(specs[s], D, runtime);
            OK(cluster(quantizer, t == 3 ? mixed : x, N, t == 0 ? first : labels));
            for (int64_t i = 0; i < N && t > 0; i++)
                assert_int_equal(labels[i], first[t == 3 ? (i * 7 + 3) % N : i]);
            bytes[t] = saved(quantizer, &length[t]);
            assert_int_equal(length[t], length[0]);
            assert_memory_equal(bytes[t], bytes[0], length[0]);
            sonde_quantizer_free(quantizer);
            sonde_runtime_free(runtime);
        }
        for (int t = 0; t < 4; t++) free(bytes[t]);
    }
    free(x);
    free(mixed);
    free(first);
    free(labels);
}

/* The seed, where rows lie and how large they are change nothing but the centroids. */
static void place_scale_and_seed_do_not_matter(void **unused)
{
    (void)unused;
    enum { N = 1200, D = 5 };
    float *x = planted(N, D, 4, 3, 12, NULL), *moved = test_alloc(N * D, sizeof *moved);
    int32_t *labels = test_alloc(N, sizeof *labels), *other = test_alloc(N, sizeof *other);
    for (int64_t i = 0; i < N * D; i++) x[i] = rintf(x[i] * 256) / 256; /* so that moving them loses nothing */
    for (int64_t i = 0; i < N * D; i++) moved[i] = 4 * (x[i] + 32 * (float)(i % D));
    sonde_quantizer *quantizer = create("ppp(k_max=9)", D, NULL), *seeded = create("ppp(k_max=9, seed=77)", D, NULL);
    OK(cluster(quantizer, x, N, labels));
    OK(cluster(seeded, moved, N, other));
    assert_memory_equal(labels, other, N * sizeof *labels);
    assert_int_equal(groups_of(quantizer), 4);
    const float *a = output(quantizer, "centroids").data, *b = output(seeded, "centroids").data;
    for (int64_t i = 0; i < 4 * D; i++) assert_true(fabs((double)b[i] - 4 * (a[i] + 32 * (double)(i % D))) < 1e-2);
    sonde_quantizer_free(quantizer);
    sonde_quantizer_free(seeded);
    free(x);
    free(moved);
    free(labels);
    free(other);
}

/* ---- results ----------------------------------------------------------------------------------------------------- */

/* Labels are codes; sizes, centroids and the scores of columns are what their names say; the largest group comes first. */
static void results_are_what_they_say(void **unused)
{
    (void)unused;
    enum { N = 1000, D = 6 };
    float *x = planted(N, D, 5, 3, 13, NULL);
    int32_t labels[N];
    uint8_t codes[N];
    float back[N * D];
    for (int i = 0; i < N; i++) x[i * D + 2] = test_unit(&(uint64_t){(uint64_t)i}) > 0.5 ? 9 : 8; /* tells no group */
    sonde_quantizer *quantizer = create("ppp(k_max=9)", D, NULL);
    OK(cluster(quantizer, x, N, labels));
    sonde_array rows = sonde_f32(x, N, D), out = sonde_u8(codes, N, 1), decoded = sonde_f32(back, N, D);
    OK(sonde_quantizer_encode(quantizer, &rows, &out));
    OK(sonde_quantizer_decode(quantizer, &out, &decoded));
    int64_t k = groups_of(quantizer), counted = 0;
    const int64_t *sizes = output(quantizer, "sizes").data;
    const float *separability = output(quantizer, "separability").data, *columns = output(quantizer, "dimensions").data;
    for (int64_t g = 0; g < k; g++) {
        int64_t size = 0;
        double mean[D] = {0};
        for (int i = 0; i < N; i++) {
            if (labels[i] != g) continue;
            assert_int_equal(codes[i], g);
            size++;
            for (int j = 0; j < D; j++) mean[j] += (double)x[i * D + j];
        }
        assert_int_equal(size, sizes[g]);
        assert_true(g == 0 || sizes[g] <= sizes[g - 1]);
        assert_true(separability[g] > 0.5f && separability[g] <= 1);
        for (int i = 0; i < N; i++)
            for (int j = 0; j < D && labels[i] == g; j++)
                assert_true(fabs(mean[j] / (double)size - back[i * D + j]) < 1e-4);
        counted += size;
    }
    assert_int_equal(counted, N);
    for (int j = 0; j < D; j++) {
        double total = 0, between = 0, mean = 0;
        for (int i = 0; i < N; i++) mean += (double)x[i * D + j] / N;
        for (int i = 0; i < N; i++) {
            total += pow((double)x[i * D + j] - mean, 2);
            between += pow((double)back[i * D + j] - mean, 2);
        }
        assert_true(fabs(between / total - columns[j]) < 1e-4);
        assert_true(j == 2 ? columns[j] < 0.05f : columns[j] > 0.3f);
    }
    sonde_quantizer_free(quantizer);
    free(x);
}

static void files_come_back(void **unused)
{
    (void)unused;
    enum { N = 400, D = 4 };
    static const char *const specs[] = {"ppp(k_max=6)", "ppp(k_max=6, reduce=1, cov=full)", "ppp(k_max=300, reduce=0.5)"};
    static const char *const names[] = {"centroids", "axes", "weights", "means", "variances", "scores", "separability",
                                        "dimensions"};
    float *x = planted(N, D, 3, 3, 14, NULL);
    for (int s = 0; s < COUNT(specs); s++) {
        size_t length, again;
        sonde_quantizer *quantizer = create(specs[s], D, NULL), *opened = NULL;
        OK(cluster(quantizer, x, N, NULL));
        uint8_t *bytes = saved(quantizer, &length), codes[2][2 * N];
        OK(sonde_quantizer_open_buffer(bytes, length, NULL, NULL, &opened));
        uint8_t *same = saved(opened, &again);
        assert_int_equal(length, again);
        assert_memory_equal(bytes, same, length);
        sonde_array rows = sonde_f32(x, N, D);
        for (int o = 0; o < 2; o++) {
            sonde_array out = sonde_u8(codes[o], N, sonde_quantizer_code_bytes(quantizer));
            OK(sonde_quantizer_encode(o ? opened : quantizer, &rows, &out));
        }
        assert_memory_equal(codes[0], codes[1], (size_t)(N * sonde_quantizer_code_bytes(quantizer)));
        for (int o = 0; o < COUNT(names); o++) {
            sonde_array a = output(quantizer, names[o]), b = output(opened, names[o]);
            assert_int_equal(a.rows, b.rows);
            if (a.rows > 0) assert_memory_equal(a.data, b.data, (size_t)(a.rows * a.cols) * sizeof(float));
        }
        assert_int_equal(flags(quantizer), flags(opened));
        free(bytes);
        free(same);
        sonde_quantizer_free(quantizer);
        sonde_quantizer_free(opened);
    }
    free(x);
}

/* ---- what can go wrong ------------------------------------------------------------------------------------------- */

static sonde_status memory_scene(sonde_runtime_options *options)
{
    enum { N = 40, D = 3 };
    sonde_runtime *runtime = NULL;
    sonde_quantizer *quantizer = NULL;
    float *x = planted(N, D, 2, 5, 15, NULL);
    int32_t labels[N];
    options->threads = 1;
    sonde_status status = sonde_runtime_create(options, &runtime);
    if (status == SONDE_OK)
        status = sonde_quantizer_create("ppp(k_max=3, cov=full, restarts=1, em_iters=2)", D, runtime, &quantizer);
    if (status == SONDE_OK) status = cluster(quantizer, x, N, labels);
    sonde_quantizer_free(quantizer);
    sonde_runtime_free(runtime);
    free(x);
    return status;
}

static void memory_may_fail(void **unused)
{
    (void)unused;
    assert_true(failing_walk(memory_scene) > 30);
}

static void bad_input(void **unused)
{
    (void)unused;
    sonde_quantizer *quantizer = NULL;
    FAILS(sonde_quantizer_create("ppp(k_min=0)", 3, NULL, &quantizer), SONDE_INVALID_ARGUMENT, "k_min");
    FAILS(sonde_quantizer_create("ppp(k_min=9, k_max=5)", 3, NULL, &quantizer), SONDE_INVALID_ARGUMENT, "k_min=9");
    FAILS(sonde_quantizer_create("ppp", 9000, NULL, &quantizer), SONDE_INVALID_ARGUMENT, "reduce=1");
    quantizer = create("ppp(k_max=5)", 3, NULL);
    float x[9] = {1, 2, 3, 4, NAN};
    FAILS(cluster(quantizer, x, 3, NULL), SONDE_INVALID_ARGUMENT, "");
    assert_false(sonde_quantizer_trained(quantizer));
    sonde_quantizer_free(quantizer);
}

/* Fewer different rows than groups: at most one group for each, and flags that say so. */
static void few_rows(void **unused)
{
    (void)unused;
    enum { N = 60, D = 2 };
    for (int distinct = 1; distinct <= 4; distinct++) {
        float x[N * D];
        int32_t labels[N];
        for (int i = 0; i < N; i++) {
            x[i * D] = (float)(i % distinct * 10);
            x[i * D + 1] = 1;
        }
        sonde_quantizer *quantizer = create("ppp(k_min=2, k_max=7)", D, NULL);
        OK(cluster(quantizer, x, N, labels));
        assert_true(groups_of(quantizer) <= distinct);
        if (distinct == 1) assert_int_equal(groups_of(quantizer), 1);
        assert_true(flags(quantizer) & FEW_DISTINCT);
        assert_int_equal(flags(quantizer) & FEW_ROWS, FEW_ROWS);
        for (int i = distinct; i < N; i++) assert_int_equal(labels[i], labels[i - distinct]);
        sonde_quantizer_free(quantizer);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(planted_numbers_are_found),
    cmocka_unit_test(separated_groups_come_back),
    cmocka_unit_test(one_blob_has_no_structure),
    cmocka_unit_test(scores_make_sense),
    cmocka_unit_test(agreement_counts_pairs),
    cmocka_unit_test(splits_are_nested),
    cmocka_unit_test(likelihood_never_falls),
    cmocka_unit_test(one_gaussian_is_the_covariance),
    cmocka_unit_test(tight_mixtures_are_k_means),
    cmocka_unit_test(order_and_threads_do_not_matter),
    cmocka_unit_test(place_scale_and_seed_do_not_matter),
    cmocka_unit_test(results_are_what_they_say),
    cmocka_unit_test(files_come_back),
    cmocka_unit_test(memory_may_fail),
    cmocka_unit_test(bad_input),
    cmocka_unit_test(few_rows),
};
SONDE_TEST_MAIN(tests)
