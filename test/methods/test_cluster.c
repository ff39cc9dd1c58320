/* test_cluster.c: the verb cluster of the quantizer kmeans: its rules of balance, inputs, outputs, files and
 * mistakes. The costs and equations behind them are the business of test/unit/test_balance.c.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <math.h>

#include "../failing.h"

enum { N = 600, DIM = 6, K = 20 };

static float *rows(void) { return test_vectors(N, DIM, 7, 3); }

static sonde_quantizer *made(const char *keys)
{
    char spec[256];
    sonde_quantizer *quantizer = NULL;
    snprintf(spec, sizeof spec, "kmeans(k=%d, iters=6%s%s)", K, *keys ? ", " : "", keys);
    OK(sonde_quantizer_create(spec, DIM, NULL, &quantizer));
    return quantizer;
}

static sonde_array output(const sonde_quantizer *quantizer, const char *name)
{
    sonde_array view;
    OK(sonde_quantizer_output(quantizer, name, &view));
    return view;
}

/* Labels agree with the output "sizes", and sizes with the limits. */
static void check_sizes(const sonde_quantizer *quantizer, const int32_t *labels, int64_t low, int64_t high)
{
    int64_t size[K] = {0};
    sonde_array view = output(quantizer, "sizes");
    assert_int_equal(view.rows, K);
    assert_int_equal(view.cols, 1);
    for (int i = 0; i < N; i++) {
        assert_in_range(labels[i], 0, K - 1);
        size[labels[i]]++;
    }
    assert_memory_equal(size, view.data, sizeof size);
    for (int j = 0; j < K; j++) assert_true(size[j] >= low && size[j] <= high);
}

static double squared(const float *x, const float *y)
{
    double sum = 0;
    for (int t = 0; t < DIM; t++) sum += ((double)x[t] - (double)y[t]) * ((double)x[t] - (double)y[t]);
    return sum;
}

/* Every rule through the public door; what must hold of the sizes, and finite centroids and prices. */
static void test_rules(void **state)
{
    const struct {
        const char *keys;
        int64_t low, high;
    } cases[] = {{"balance=capacity", 30, 30},
                 {"balance=capacity, order=auction", 30, 30},
                 {"balance=capacity, order=onerec", 30, 30},
                 {"balance=capacity, low=10, high=50", 10, 50},
                 {"balance=capacity, high=33, spherical=yes, sample=300", 0, 33},
                 {"balance=hierarchical", 1, 60},
                 {"balance=hierarchical, high=30", 30, 30},
                 {"balance=sinkhorn, eps=0.003", 15, 60},
                 {"balance=soft", 0, 80}};
    (void)state;
    float *x = rows();
    sonde_array vectors = sonde_f32(x, N, DIM);
    sonde_input input = {"vectors", &vectors};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        sonde_quantizer *quantizer = made(cases[c].keys);
        int32_t labels[N];
        OK(sonde_quantizer_cluster(quantizer, &input, 1, labels));
        check_sizes(quantizer, labels, cases[c].low, cases[c].high);
        const float *centroids = output(quantizer, "centroids").data, *prices = output(quantizer, "prices").data;
        for (int e = 0; e < K * DIM; e++) assert_true(isfinite(centroids[e]));
        for (int j = 0; j < K; j++) assert_true(isfinite(prices[j]));
        sonde_quantizer_free(quantizer);
    }
    free(x);
}

static void encode(const sonde_quantizer *quantizer, const float *x, uint8_t *codes)
{
    sonde_array vectors = sonde_f32(x, N, DIM), out = sonde_u8(codes, N, 1);
    OK(sonde_quantizer_encode(quantizer, &vectors, &out));
}

/* Without a rule, cluster is train with labels: the same centroids, and the labels that encode gives. */
static void test_none(void **state)
{
    (void)state;
    float *x = rows();
    sonde_array vectors = sonde_f32(x, N, DIM), view;
    sonde_input input = {"vectors", &vectors};
    sonde_quantizer *clustered = made(""), *trained = made("");
    int32_t labels[N];
    uint8_t codes[N];
    OK(sonde_quantizer_cluster(clustered, &input, 1, labels));
    OK(sonde_quantizer_train(trained, &input, 1));
    assert_memory_equal(output(clustered, "centroids").data, output(trained, "centroids").data,
                        K * DIM * sizeof(float));
    check_sizes(clustered, labels, 1, N);
    encode(clustered, x, codes);
    for (int i = 0; i < N; i++) assert_int_equal(codes[i], labels[i]);
    FAILS(sonde_quantizer_output(trained, "sizes", &view), SONDE_STATE, "cluster");
    FAILS(sonde_quantizer_output(trained, "prices", &view), SONDE_STATE, "balance");
    FAILS(sonde_quantizer_output(trained, "labels", &view), SONDE_NOT_FOUND, "labels");
    sonde_quantizer_free(trained);
    sonde_quantizer_free(clustered);
    free(x);
}

/* Later rows: by encode=prices each goes where squared distance less price is least, by argmin to the nearest. */
static void test_encode(void **state)
{
    const char *const keys[] = {"balance=sinkhorn, encode=prices", "balance=capacity, encode=prices",
                                "balance=capacity", "balance=sinkhorn, encode=prices, spherical=yes"};
    (void)state;
    float *x = rows(), *later = test_vectors(N, DIM, 9, 4);
    sonde_array vectors = sonde_f32(x, N, DIM);
    sonde_input input = {"vectors", &vectors};
    for (size_t c = 0; c < 4; c++) {
        sonde_quantizer *quantizer = made(keys[c]);
        uint8_t codes[N];
        OK(sonde_quantizer_train(quantizer, &input, 1));
        const float *centroids = output(quantizer, "centroids").data, *prices = output(quantizer, "prices").data;
        encode(quantizer, later, codes);
        for (int i = 0; i < N; i++) {
            float row[DIM], length = 0;
            for (int t = 0; t < DIM; t++) length += later[i * DIM + t] * later[i * DIM + t];
            for (int t = 0; t < DIM; t++) row[t] = later[i * DIM + t] / (c == 3 ? sqrtf(length) : 1);
            double chosen = squared(row, centroids + codes[i] * DIM) - (c == 2 ? 0 : (double)prices[codes[i]]);
            for (int j = 0; j < K; j++)
                assert_true(chosen <= squared(row, centroids + j * DIM) - (c == 2 ? 0 : (double)prices[j]) + 1e-4);
        }
        sonde_quantizer_free(quantizer);
    }
    free(later);
    free(x);
}

/* A file brings back everything, and only prices and sizes that make sense. */
static void test_files(void **state)
{
    const char *const keys[] = {"", "balance=capacity", "balance=sinkhorn, encode=prices"};
    (void)state;
    float *x = rows();
    sonde_array vectors = sonde_f32(x, N, DIM);
    sonde_input input = {"vectors", &vectors};
    for (size_t c = 0; c < 3; c++) {
        sonde_quantizer *quantizer = made(keys[c]), *opened = NULL;
        int32_t labels[N];
        uint8_t codes[2][N];
        size_t length = 0;
        OK(sonde_quantizer_cluster(quantizer, &input, 1, labels));
        OK(sonde_quantizer_save_buffer(quantizer, NULL, 0, &length));
        void *buffer = test_alloc(length, 1);
        OK(sonde_quantizer_save_buffer(quantizer, buffer, length, &length));
        OK(sonde_quantizer_open_buffer(buffer, length, NULL, NULL, &opened));
        check_sizes(opened, labels, 0, N);
        if (c)
            assert_memory_equal(output(quantizer, "prices").data, output(opened, "prices").data, K * sizeof(float));
        encode(quantizer, x, codes[0]);
        encode(opened, x, codes[1]);
        assert_memory_equal(codes[0], codes[1], N);
        sonde_quantizer_free(opened);
        sonde_quantizer_free(quantizer);
        free(buffer);
    }
    free(x);
}

/* Weights pull the means, masses share the rows out, and start is where it starts. */
static void test_inputs(void **state)
{
    (void)state;
    float *x = rows(), weights[N], masses[K], moved = 0;
    int32_t labels[N];
    for (int i = 0; i < N; i++) weights[i] = i % 2 ? 1 : 50;
    for (int j = 0; j < K; j++) masses[j] = (j < K / 2 ? 1.5f : 0.5f) / K;
    sonde_array vectors = sonde_f32(x, N, DIM), weight = sonde_f32(weights, N, 1), mass = sonde_f32(masses, K, 1),
                start = sonde_f32(x, K, DIM);
    const sonde_input inputs[] = {{"vectors", &vectors}, {"weights", &weight}, {"start", &start}, {"masses", &mass}};
    sonde_quantizer *quantizer = made("balance=capacity");
    OK(sonde_quantizer_cluster(quantizer, inputs, 3, labels));
    check_sizes(quantizer, labels, N / K, N / K);
    sonde_quantizer_free(quantizer);
    quantizer = made("balance=sinkhorn, eps=0.003");
    OK(sonde_quantizer_cluster(quantizer, inputs, 4, labels));
    const int64_t *size = output(quantizer, "sizes").data;
    int64_t first = 0;
    for (int j = 0; j < K / 2; j++) first += size[j];
    assert_in_range(first, N * 0.7, N * 0.8);
    sonde_quantizer_free(quantizer);
    /* One group: the weighted mean. */
    OK(sonde_quantizer_create("kmeans(k=1, balance=capacity)", DIM, NULL, &quantizer));
    OK(sonde_quantizer_train(quantizer, inputs, 2));
    const float *mean = output(quantizer, "centroids").data;
    for (int t = 0; t < DIM; t++) {
        double sum = 0, total = 0;
        for (int i = 0; i < N; i++) {
            sum += (double)weights[i] * (double)x[i * DIM + t];
            total += (double)weights[i];
        }
        moved = fmaxf(moved, fabsf((float)(sum / total) - mean[t]));
    }
    assert_true(moved < 1e-5f);
    sonde_quantizer_free(quantizer);
    free(x);
}

static void test_mistakes(void **state)
{
    (void)state;
    float *x = rows(), zeros[N] = {0}, ones[K], bad[DIM] = {NAN};
    int32_t labels[N] = {-7};
    sonde_quantizer *quantizer = NULL;
    for (int j = 0; j < K; j++) ones[j] = 1;
    sonde_array vectors = sonde_f32(x, N, DIM), zero = sonde_f32(zeros, N, 1), one = sonde_f32(ones, K, 1),
                few = sonde_f32(x, K - 1, DIM), narrow = sonde_f32(x, K, DIM - 1), short_ = sonde_f32(ones, K - 1, 1),
                nan = sonde_f32(bad, 1, DIM);
    const struct {
        sonde_input input;
        const char *words;
    } cases[] = {{{"weights", &zero}, "expected more than 0"},
                 {{"weights", &one}, "has 20 rows, expected 600"},
                 {{"masses", &one}, "add up to 20"},
                 {{"masses", &short_}, "has 19 rows, expected 20"},
                 {{"start", &narrow}, "5 columns"},
                 {{"start", &few}, "has 19 rows, expected 20"},
                 {{"start", &nan}, "NaN"}};
    quantizer = made("balance=sinkhorn");
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        sonde_input inputs[] = {{"vectors", &vectors}, cases[c].input};
        FAILS(sonde_quantizer_cluster(quantizer, inputs, 2, labels), SONDE_INVALID_ARGUMENT, cases[c].words);
        assert_int_equal(labels[0], -7);
        assert_false(sonde_quantizer_trained(quantizer));
    }
    sonde_input input = {"vectors", &few};
    FAILS(sonde_quantizer_cluster(quantizer, &input, 1, labels), SONDE_INVALID_ARGUMENT, "19 rows");
    sonde_quantizer_free(quantizer);
    FAILS(sonde_quantizer_create("kmeans(low=9, high=3)", DIM, NULL, &quantizer), SONDE_INVALID_ARGUMENT, "low=9");
    FAILS(sonde_quantizer_create("kmeans(eps=0)", DIM, NULL, &quantizer), SONDE_INVALID_ARGUMENT, "eps");
    input.array = &vectors;
    quantizer = made("balance=capacity, high=29");
    FAILS(sonde_quantizer_cluster(quantizer, &input, 1, labels), SONDE_INVALID_ARGUMENT, "high must be at least 30");
    sonde_quantizer_free(quantizer);
    OK(sonde_quantizer_create("sq()", DIM, NULL, &quantizer));
    FAILS(sonde_quantizer_cluster(quantizer, &input, 1, labels), SONDE_UNSUPPORTED, "does not cluster");
    sonde_quantizer_free(quantizer);
    free(x);
}

/* All rows equal is no mistake, and neither are rows beyond the range of squares: the limits hold. */
static void test_degenerate(void **state)
{
    const char *const keys[] = {"balance=capacity", "balance=capacity, order=auction",
                                "balance=capacity, order=onerec", "balance=hierarchical, high=30"};
    (void)state;
    float *x = rows();
    sonde_array vectors = sonde_f32(x, N, DIM);
    sonde_input input = {"vectors", &vectors};
    for (int huge = 0; huge < 2; huge++) {
        for (int e = 0; e < N * DIM; e++) x[e] = huge ? x[e] * 1e25f : 3;
        for (size_t c = 0; c < 4; c++) {
            sonde_quantizer *quantizer = made(keys[c]);
            int32_t labels[N];
            OK(sonde_quantizer_cluster(quantizer, &input, 1, labels));
            check_sizes(quantizer, labels, 30, 30);
            sonde_quantizer_free(quantizer);
        }
        float *fresh = rows();
        memcpy(x, fresh, N * DIM * sizeof *x);
        free(fresh);
    }
    free(x);
}

static sonde_status cluster_scene(sonde_runtime_options *options)
{
    static float *x;
    sonde_runtime *runtime = NULL;
    sonde_quantizer *quantizer = NULL;
    float weights[40], masses[5];
    int32_t labels[40];
    if (!x) x = test_vectors(40, DIM, 3, 6);
    for (int i = 0; i < 40; i++) weights[i] = 1 + (float)(i % 2);
    for (int j = 0; j < 5; j++) masses[j] = 0.2f;
    sonde_array vectors = sonde_f32(x, 40, DIM), weight = sonde_f32(weights, 40, 1), mass = sonde_f32(masses, 5, 1),
                start = sonde_f32(x, 5, DIM);
    const sonde_input inputs[] = {{"vectors", &vectors}, {"weights", &weight}, {"masses", &mass}, {"start", &start}};
    sonde_status status = sonde_runtime_create(options, &runtime);
    if (status != SONDE_OK) return status;
    status = sonde_quantizer_create("kmeans(k=5, iters=2, balance=sinkhorn)", DIM, runtime, &quantizer);
    if (status == SONDE_OK) status = sonde_quantizer_cluster(quantizer, inputs, 4, labels);
    sonde_quantizer_free(quantizer);
    sonde_runtime_free(runtime);
    return status;
}

static void test_failing_memory(void **state)
{
    (void)state;
    assert_true(failing_walk(cluster_scene) > 20);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_rules),      cmocka_unit_test(test_none),           cmocka_unit_test(test_encode),
    cmocka_unit_test(test_files),      cmocka_unit_test(test_inputs),         cmocka_unit_test(test_mistakes),
    cmocka_unit_test(test_degenerate), cmocka_unit_test(test_failing_memory),
};

SONDE_TEST_MAIN(tests)
