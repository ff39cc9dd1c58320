/* test_sq.c: scalar quantization beside its evenly spaced form of old (test_quantizers.c): every number of bits, one range
 * for all columns, Lloyd-Max levels against brute force and against the known optimum for a normal column, fast scan
 * tables against decoded rows, files, and what is refused.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <math.h>

#include "base/base.h"
#include "base/handle.h"
#include "../failing.h"
#include "../unit/handles.h"
#include "quantizers/quantizer.h"
#include "quantizers/sq.h"
#include "../quantizer_steps.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static sonde_quantizer *trained(const char *spec, int64_t dim, const float *x, int64_t n)
{
    sonde_quantizer *quantizer = create(spec, dim, NULL);
    OK(train(quantizer, x, n));
    return quantizer;
}

/* The mean squared error of a column's values. */
static double error_of(const char *spec, const float *x, int64_t n, int64_t dim)
{
    sonde_quantizer *quantizer = trained(spec, dim, x, n);
    uint8_t *codes = encode(quantizer, x, n);
    float *back = decode(quantizer, codes, n);
    double sum = 0;
    for (int64_t i = 0; i < n * dim; i++) sum += pow((double)x[i] - back[i], 2);
    free(codes);
    free(back);
    sonde_quantizer_free(quantizer);
    return sum / (double)(n * dim);
}

/* Skewed columns of very different widths, one of them constant. */
static float *skewed(int64_t n, int64_t dim, uint64_t seed)
{
    float *x = test_alloc((size_t)(n * dim), sizeof *x);
    uint64_t state = seed;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < dim; j++)
            x[i * dim + j] = j == 1 ? 3 : (float)j + (float)(1 + j % 5) * expf(test_normal(&state));
    return x;
}

/* ---- levels ----------------------------------------------------------------------------------------------------- */

/* The optimum for a normal variable (Max 1960): mean squared errors 0.3634, 0.1175, 0.03454, 0.009497 for 1 to 4 bits. */
static void lloyd_reaches_the_optimum(void **unused)
{
    (void)unused;
    static const double known[] = {0.3634, 0.1175, 0.03454, 0.009497};
    enum { N = 16384 };
    float *x = test_alloc(N, sizeof *x);
    sonde__rng rng;
    sonde__rng_start(&rng, 5, 0, 0);
    for (int64_t i = 0; i < N; i++) x[i] = sonde__rng_normal(&rng);
    for (int bits = 1; bits <= 4; bits++) {
        char spec[64];
        snprintf(spec, sizeof spec, "sq(bits=%d, levels=lloyd)", bits);
        double error = error_of(spec, x, N, 1);
        if (fabs(error / known[bits - 1] - 1) > 0.05) fail_msg("%s: error %g, known %g", spec, error, known[bits - 1]);
    }
    free(x);
}

/* Never worse than the evenly spaced values it starts from, and much better where columns are skewed. */
static void lloyd_beats_uniform(void **unused)
{
    (void)unused;
    enum { N = 3000, D = 9 };
    static const char *const scales[] = {"column", "shared"};
    float *x = skewed(N, D, 2);
    for (int bits = 1; bits <= 8; bits++)
        for (int s = 0; s < 2; s++) {
            char uniform[96], lloyd[96];
            snprintf(uniform, sizeof uniform, "sq(bits=%d, scale=%s)", bits, scales[s]);
            snprintf(lloyd, sizeof lloyd, "sq(bits=%d, scale=%s, levels=lloyd)", bits, scales[s]);
            double plain = error_of(uniform, x, N, D), better = error_of(lloyd, x, N, D);
            if (!(better <= plain * (bits < 4 ? 0.95 : 0.6))) fail_msg("%s: %g, uniform %g", lloyd, better, plain);
        }
    free(x);
}

static double levels_error(const float *x, int n, const float *levels, int count)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        double least = INFINITY;
        for (int c = 0; c < count; c++) least = fmin(least, pow((double)x[i] - levels[c], 2));
        sum += least;
    }
    return sum;
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* What it ends with is a fixed point by definition: every level the mean of the values nearest to it; order is kept, and
 * no round makes the error larger (the starts are all kinds of bad). */
static void lloyd_is_a_fixed_point(void **unused)
{
    (void)unused;
    enum { N = 200, MOST = 16 };
    uint64_t state = 9;
    for (int trial = 0; trial < 200; trial++) {
        float x[N], levels[MOST], start[MOST];
        double sums[N + 1];
        int count = 2 << trial % 4;
        for (int i = 0; i < N; i++) x[i] = trial % 3 ? test_normal(&state) : (float)(test_u64(&state) % 5);
        for (int c = 0; c < count; c++) start[c] = levels[c] = trial % 5 ? 4 * test_normal(&state) : 1;
        qsort(x, N, sizeof *x, ascending);
        qsort(levels, (size_t)count, sizeof *levels, ascending);
        sonde__sq_lloyd(x, N, levels, count, sums);
        assert_true(levels_error(x, N, levels, count) <= levels_error(x, N, start, count) + 1e-4);
        for (int c = 0; c < count; c++) {
            double sum = 0, members = 0;
            for (int i = 0; i < N; i++) {
                int nearest = 0;
                for (int o = 1; o < count; o++)
                    if (fabs((double)x[i] - levels[o]) < fabs((double)x[i] - levels[nearest])) nearest = o;
                if (nearest != c) continue;
                sum += (double)x[i];
                members++;
            }
            if (members > 0) assert_true(fabs(sum / members - levels[c]) < 1e-5);
            if (c > 0) assert_true(levels[c] >= levels[c - 1]);
        }
    }
}

/* ---- codes ------------------------------------------------------------------------------------------------------ */

static const char *const specs[] = {
    "sq(bits=1)",  "sq(bits=2)",  "sq(bits=3)",  "sq(bits=5)",  "sq(bits=7)", "sq(bits=2, scale=shared)",
    "sq(bits=4, scale=shared, range=minmax)",    "sq(bits=8, scale=shared)",  "sq(bits=3, query=f32)",
    "sq(bits=1, levels=lloyd)", "sq(bits=2, levels=lloyd)", "sq(bits=3, levels=lloyd)", "sq(bits=4, levels=lloyd)",
    "sq(bits=4, levels=lloyd, scale=shared)", "sq(bits=6, levels=lloyd, query=f32)", "sq(bits=8, levels=lloyd)",
};

/* A value gets the code whose decoded value is nearest, of all codes that there are. */
static void codes_are_nearest(void **unused)
{
    (void)unused;
    enum { N = 300, D = 7 };
    float *x = skewed(N, D, 3);
    for (int s = 0; s < COUNT(specs); s++) {
        sonde_quantizer *quantizer = trained(specs[s], D, x, N);
        int bits = specs[s][8] - '0';
        int64_t bytes = sonde_quantizer_code_bytes(quantizer);
        assert_int_equal(bytes, (D * bits + 7) / 8);
        uint8_t *codes = encode(quantizer, x, N), *all = test_alloc((size_t)(bytes << bits), 1);
        for (int c = 0; c < 1 << bits; c++)
            for (int b = 0; b < D * bits; b++) all[c * bytes + b / 8] |= (uint8_t)((c >> b % bits & 1) << b % 8);
        float *back = decode(quantizer, codes, N), *values = decode(quantizer, all, (int64_t)1 << bits);
        for (int64_t i = 0; i < N * D; i++) {
            double least = INFINITY, got = fabs((double)x[i] - back[i]);
            for (int c = 0; c < 1 << bits; c++) least = fmin(least, fabs((double)x[i] - values[c * D + i % D]));
            if (got > least + 1e-5 * (1 + fabs((double)x[i]))) fail_msg("%s: %g is decoded to %g", specs[s], x[i], back[i]);
        }
        free(codes);
        free(all);
        free(back);
        free(values);
        sonde_quantizer_free(quantizer);
    }
    free(x);
}

/* A shared range: the same value has the same code in every column. */
static void shared_is_shared(void **unused)
{
    (void)unused;
    enum { N = 500, D = 5 };
    float *x = skewed(N, D, 4), same[D] = {2.5f, 2.5f, 2.5f, 2.5f, 2.5f};
    for (int s = 0; s < COUNT(specs); s++) {
        if (!strstr(specs[s], "shared")) continue;
        sonde_quantizer *quantizer = trained(specs[s], D, x, N);
        uint8_t *code = encode(quantizer, same, 1);
        float *back = decode(quantizer, code, 1);
        for (int j = 1; j < D; j++) assert_true(back[j] == back[0]);
        free(code);
        free(back);
        sonde_quantizer_free(quantizer);
    }
    free(x);
}

/* Scores of distances, for one query and for many, against decoded rows. */
static void scores_follow_decoding(void **unused)
{
    (void)unused;
    enum { N = 150, D = 21, Q = 9 };
    float *x = test_vectors(N, D, 4, 6), *queries = test_vectors(Q, D, 4, 7);
    for (int s = 0; s < COUNT(specs); s++) {
        sonde_quantizer *quantizer = trained(specs[s], D, x, N);
        uint8_t *codes = encode(quantizer, x, N);
        float *back = decode(quantizer, codes, N), scores[Q * N], one[N];
        sonde_array view = sonde_u8(codes, N, sonde_quantizer_code_bytes(quantizer)), q = sonde_f32(queries, Q, D);
        sonde_array first = sonde_f32(queries, 1, D), out = sonde_f32(scores, Q, N), out1 = sonde_f32(one, 1, N);
        OK(sonde_quantizer_distances(quantizer, SONDE_METRIC_IP, &q, &view, &out));
        OK(sonde_quantizer_distances(quantizer, SONDE_METRIC_IP, &first, &view, &out1));
        bool exact = strstr(specs[s], "lloyd") || strstr(specs[s], "f32");
        for (int i = 0; i < Q * N; i++) {
            double wanted = 0, length = 0;
            for (int j = 0; j < D; j++) {
                wanted += (double)queries[i / N * D + j] * back[i % N * D + j];
                length += fabs((double)queries[i / N * D + j]) * 20;
            }
            if (fabs(wanted - scores[i]) > (exact ? 1e-6 : 1e-2) * length)
                fail_msg("%s: score %g, expected %g", specs[s], scores[i], wanted);
            if (i < N) assert_true(fabs((double)one[i] - scores[i]) <= 1e-5 * length);
        }
        free(codes);
        free(back);
        sonde_quantizer_free(quantizer);
    }
    free(x);
    free(queries);
}

/* ---- fast scan -------------------------------------------------------------------------------------------------- */

static bool has_nibbles(const sonde_quantizer *quantizer)
{
    return quantizer->method->nibbles && quantizer->method->nibbles(quantizer) > 0;
}

/* The table's sums are the products with decoded rows; codes of other widths, or with a chosen query, have none. */
static void nibbles_add_up(void **unused)
{
    (void)unused;
    enum { N = 60, D = 13 };
    float *x = test_vectors(N, D, 3, 8), *query = test_vectors(1, D, 0, 9);
    for (int s = 0; s < COUNT(specs); s++) {
        sonde_quantizer *quantizer = trained(specs[s], D, x, N);
        int bits = specs[s][8] - '0';
        assert_int_equal(has_nibbles(quantizer), 4 % bits == 0 && strstr(specs[s], "lloyd") && !strstr(specs[s], "query"));
        if (has_nibbles(quantizer)) {
            int64_t nibbles = quantizer->method->nibbles(quantizer), bytes = sonde_quantizer_code_bytes(quantizer);
            assert_int_equal((nibbles + 1) / 2, bytes);
            float *table = test_alloc((size_t)(16 * nibbles), sizeof *table), base;
            quantizer->method->nibble_table(quantizer, query, table, &base);
            uint8_t *codes = encode(quantizer, x, N);
            float *back = decode(quantizer, codes, N);
            for (int64_t i = 0; i < N; i++) {
                double sum = (double)base, wanted = 0;
                for (int64_t j = 0; j < nibbles; j++)
                    sum += (double)table[16 * j + (codes[i * bytes + j / 2] >> j % 2 * 4 & 15)];
                for (int64_t j = 0; j < D; j++) wanted += (double)query[j] * back[i * D + j];
                assert_true(fabs(sum - wanted) < 1e-4);
            }
            free(table);
            free(codes);
            free(back);
        }
        sonde_quantizer_free(quantizer);
    }
    free(x);
    free(query);
}

/* ---- files, memory, refusals ------------------------------------------------------------------------------------ */

static void files_keep_levels(void **unused)
{
    (void)unused;
    enum { N = 200, D = 6 };
    float *x = skewed(N, D, 5);
    for (int s = 0; s < COUNT(specs); s++) {
        sonde_quantizer *quantizer = trained(specs[s], D, x, N), *opened = NULL;
        size_t length, written;
        OK(sonde_quantizer_save_buffer(quantizer, NULL, 0, &length));
        uint8_t *bytes = test_alloc(length, 1);
        OK(sonde_quantizer_save_buffer(quantizer, bytes, length, &written));
        OK(sonde_quantizer_open_buffer(bytes, length, NULL, NULL, &opened));
        uint8_t *a = encode(quantizer, x, N), *b = encode(opened, x, N);
        assert_memory_equal(a, b, (size_t)(N * sonde_quantizer_code_bytes(quantizer)));
        float *back = decode(quantizer, a, N), *again = decode(opened, b, N);
        assert_memory_equal(back, again, N * D * sizeof *back);
        free(a);
        free(b);
        free(back);
        free(again);
        free(bytes);
        sonde_quantizer_free(quantizer);
        sonde_quantizer_free(opened);
    }
    free(x);
}

/* Levels that descend would lead the search astray. */
static void damaged_levels_are_refused(void **unused)
{
    (void)unused;
    float levels[2][4] = {{0, 1, 2, 3}, {0, 2, 1, 3}};
    char path[256];
    test_path(path, sizeof path, "levels");
    sonde_runtime *runtime = test_runtime(1);
    for (int bad = 0; bad < 2; bad++) {
        sonde__writer *writer = NULL;
        sonde_quantizer *opened = NULL;
        OK(sonde__writer_create(runtime, path, "quantizer", "sq(bits=2, levels=lloyd)", &writer));
        OK(sonde__write_int(writer, "dim", 1));
        OK(sonde__write_int(writer, "trained", 1));
        OK(sonde__write_array(writer, "LEVELS", levels[bad], 4, sizeof(float)));
        OK(sonde__writer_finish(writer));
        if (bad) FAILS(sonde_quantizer_open(path, NULL, NULL, &opened), SONDE_CORRUPT, "not ascending");
        else OK(sonde_quantizer_open(path, NULL, NULL, &opened));
        sonde_quantizer_free(opened);
    }
    unlink(path);
    sonde_runtime_free(runtime);
}

static sonde_status memory_scene(sonde_runtime_options *options)
{
    sonde_runtime *runtime = NULL;
    sonde_quantizer *quantizer = NULL;
    float *x = test_vectors(40, 5, 0, 1);
    options->threads = 1;
    sonde_status status = sonde_runtime_create(options, &runtime);
    for (int shared = 0; status == SONDE_OK && shared < 2; shared++) {
        status = sonde_quantizer_create(shared ? "sq(bits=3, levels=lloyd, scale=shared)" : "sq(bits=3, levels=lloyd)", 5,
                                        runtime, &quantizer);
        if (status == SONDE_OK) status = train(quantizer, x, 40);
        sonde_quantizer_free(quantizer);
        quantizer = NULL;
    }
    sonde_runtime_free(runtime);
    free(x);
    return status;
}

static void memory_may_fail(void **unused)
{
    (void)unused;
    assert_true(failing_walk(memory_scene) > 10);
}

static void same_for_any_threads(void **unused)
{
    (void)unused;
    enum { N = 400, D = 50 };
    float *x = test_vectors(N, D, 3, 11);
    for (int s = 0; s < COUNT(specs); s++) {
        uint8_t *first = NULL;
        for (uint32_t threads = 1; threads <= 7; threads += 3) {
            sonde_runtime *runtime = test_runtime(threads);
            sonde_quantizer *quantizer = create(specs[s], D, runtime);
            OK(train(quantizer, x, N));
            uint8_t *codes = encode(quantizer, x, N);
            if (first) assert_memory_equal(codes, first, (size_t)(N * sonde_quantizer_code_bytes(quantizer)));
            if (first) free(codes);
            else first = codes;
            sonde_quantizer_free(quantizer);
            sonde_runtime_free(runtime);
        }
        free(first);
    }
    free(x);
}

static void bad_specs(void **unused)
{
    (void)unused;
    sonde_quantizer *quantizer = NULL;
    FAILS(sonde_quantizer_create("sq(bits=0)", 8, NULL, &quantizer), SONDE_INVALID_ARGUMENT, "bits");
    FAILS(sonde_quantizer_create("sq(bits=9)", 8, NULL, &quantizer), SONDE_INVALID_ARGUMENT, "bits");
    FAILS(sonde_quantizer_create("sq(bits=f16, levels=lloyd)", 8, NULL, &quantizer), SONDE_INVALID_ARGUMENT, "bits=1..8");
    FAILS(sonde_quantizer_create("sq(levels=lloyd, query=i8)", 8, NULL, &quantizer), SONDE_INVALID_ARGUMENT, "query=i8");
    FAILS(sonde_quantizer_create("sq(levels=round)", 8, NULL, &quantizer), SONDE_INVALID_ARGUMENT, "levels");
    FAILS(sonde_quantizer_create("sq(scale=row)", 8, NULL, &quantizer), SONDE_INVALID_ARGUMENT, "scale");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(lloyd_reaches_the_optimum),
    cmocka_unit_test(lloyd_beats_uniform),
    cmocka_unit_test(lloyd_is_a_fixed_point),
    cmocka_unit_test(codes_are_nearest),
    cmocka_unit_test(shared_is_shared),
    cmocka_unit_test(scores_follow_decoding),
    cmocka_unit_test(nibbles_add_up),
    cmocka_unit_test(files_keep_levels),
    cmocka_unit_test(damaged_levels_are_refused),
    cmocka_unit_test(memory_may_fail),
    cmocka_unit_test(same_for_any_threads),
    cmocka_unit_test(bad_specs),
};
SONDE_TEST_MAIN(tests)
