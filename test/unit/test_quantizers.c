/* test_quantizers.c: codes, reconstructions and scores against plain loops in double precision; training, files,
 * threads, hostile input and failing allocations for every method of the room.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "base/base.h"
#include "../failing.h"
#include "handles.h"
#include "kernels/kernels.h"
#include "quantizers/codes.h"
#include "quantizers/quantizer.h"
#include "../quantizer_steps.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* One spec for each way through the code; all train on 300 rows. */
static const char *const specs[] = {"raw",
                                    "sq(bits=f16)",
                                    "sq(bits=8)",
                                    "sq(bits=8, query=i8)",
                                    "sq(bits=8, query=f32)",
                                    "sq(bits=6)",
                                    "sq(bits=6, query=i16)",
                                    "sq(bits=6, query=f32)",
                                    "sq(bits=4, range=minmax)",
                                    "sq(bits=4, query=i16)",
                                    "pq(bits=4, iters=3, pad=yes)",
                                    "pq(bits=5, iters=3, pad=yes)",
                                    "pq(bits=6, iters=3)",
                                    "pq(bits=7, iters=2, pad=yes)",
                                    "pq(bits=8, iters=2, pad=yes)",
                                    "kmeans(k=9, iters=4)",
                                    "kmeans(k=280, iters=2)",
                                    "kmeans(k=7, iters=4, spherical=yes)"};

static sonde_quantizer *trained(const char *spec, int64_t dim, sonde_runtime *runtime, const float *x,
                                int64_t n)
{
    sonde_quantizer *quantizer = create(spec, dim, runtime);
    OK(train(quantizer, x, n));
    return quantizer;
}

static double error_of(const char *spec, int64_t dim, const float *x, int64_t n)
{
    sonde_quantizer *quantizer = trained(spec, dim, NULL, x, n);
    uint8_t *codes = encode(quantizer, x, n);
    float *back = decode(quantizer, codes, n);
    double error = test_distance(x, back, n * dim);
    free(codes);
    free(back);
    sonde_quantizer_free(quantizer);
    return error;
}

/* ---- packing --------------------------------------------------------------------------------------------------- */

/* Value j must be found bit by bit at position j * bits of the code. */
static void test_packing(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int bits = 1; bits <= 8; bits++)
        for (int64_t count = 1; count <= 70; count++) {
            uint8_t values[70], back[70], code[71];
            int64_t bytes = sonde__codes_bytes(count, bits);
            for (int64_t j = 0; j < count; j++) values[j] = (uint8_t)(test_u64(&seed) & ((1u << bits) - 1));
            memset(code, 0xa5, sizeof code);
            sonde__codes_pack(values, count, bits, code);
            assert_int_equal(code[bytes], 0xa5);
            for (int64_t b = 0; b < bytes * 8; b++) {
                int wanted = b < count * bits ? values[b / bits] >> b % bits & 1 : 0;
                assert_int_equal(code[b / 8] >> b % 8 & 1, wanted);
            }
            sonde__codes_unpack(code, count, bits, back);
            assert_memory_equal(values, back, (size_t)count);
            assert_true(sonde__codes_padding_zero(code, bytes, 1, count, bits));
            if (count * bits % 8) {
                code[bytes - 1] |= 0x80;
                assert_false(sonde__codes_padding_zero(code, bytes, 1, count, bits));
            }
        }
}

/* The same for wider values; where a byte holds them, the narrow functions give the same bytes. */
static void test_packing_wide(void **state)
{
    (void)state;
    uint64_t seed = 2;
    for (int bits = 1; bits <= 16; bits++)
        for (int64_t count = 1; count <= 37; count++) {
            uint16_t values[37];
            uint8_t code[75], narrow[37], same[75];
            int64_t bytes = sonde__codes_bytes(count, bits);
            for (int64_t j = 0; j < count; j++) values[j] = (uint16_t)(test_u64(&seed) & ((1u << bits) - 1));
            for (int64_t j = 0; j < count; j++) narrow[j] = (uint8_t)values[j];
            memset(code, 0xa5, sizeof code);
            sonde__codes_pack_wide(values, count, bits, code);
            assert_int_equal(code[bytes], 0xa5);
            for (int64_t b = 0; b < bytes * 8; b++)
                assert_int_equal(code[b / 8] >> b % 8 & 1, b < count * bits ? values[b / bits] >> b % bits & 1 : 0);
            sonde__codes_reader reader = {code, 0, 0};
            for (int64_t j = 0; j < count; j++) assert_int_equal(sonde__codes_take(&reader, bits), values[j]);
            assert_ptr_equal(reader.at, code + bytes);
            assert_true(sonde__codes_padding_zero(code, bytes, 1, count, bits));
            if (bits > 8) continue;
            sonde__codes_pack(narrow, count, bits, same);
            assert_memory_equal(code, same, (size_t)bytes);
        }
}

/* ---- what each method promises --------------------------------------------------------------------------------- */

static void test_raw_is_exact(void **state)
{
    (void)state;
    for (int64_t d = 1; d <= 130; d += 43) {
        float *x = test_vectors(20, d, 0, 3);
        sonde_quantizer *quantizer = create("raw", d, NULL);
        assert_true(sonde_quantizer_trained(quantizer));
        assert_int_equal(sonde_quantizer_code_bytes(quantizer), 4 * d);
        uint8_t *codes = encode(quantizer, x, 20);
        float *back = decode(quantizer, codes, 20);
        assert_memory_equal(x, back, (size_t)(20 * d) * sizeof *x);
        free(codes);
        free(back);
        free(x);
        sonde_quantizer_free(quantizer);
    }
}

/* minmax: no value is farther than half a step from its reconstruction, and the ends are met. */
static void test_sq_error_bound(void **state)
{
    (void)state;
    static const struct { const char *spec; int levels;
    } cases[] = {{"sq(bits=4, range=minmax)", 15},
                 {"sq(bits=6, range=minmax)", 63},
                 {"sq(bits=8, range=minmax)", 255}};
    enum { N = 200 };
    for (int c = 0; c < COUNT(cases); c++)
        for (int64_t d = 1; d <= 130; d += 8) {
            float *x = test_vectors(N, d, 3, 5);
            for (int64_t i = 0; i < N; i++) x[i * d] = 2.5f; /* a column that never varies */
            sonde_quantizer *quantizer = trained(cases[c].spec, d, NULL, x, N);
            uint8_t *codes = encode(quantizer, x, N);
            float *back = decode(quantizer, codes, N);
            for (int64_t j = 0; j < d; j++) {
                double low = x[j], high = x[j];
                for (int64_t i = 0; i < N; i++) {
                    low = fmin(low, x[i * d + j]);
                    high = fmax(high, x[i * d + j]);
                }
                double step = (high - low) / cases[c].levels, slack = 1e-6 * (fabs(low) + fabs(high));
                for (int64_t i = 0; i < N; i++)
                    assert_true(fabs((double)x[i * d + j] - back[i * d + j]) <= step / 2 + slack);
            }
            free(codes);
            free(back);
            free(x);
            sonde_quantizer_free(quantizer);
        }
}

/* Clipping must pay: heavy tails cost the full range dearly at 4 bits, and `best` is never worse on what it saw. */
static void test_sq_best_range(void **state)
{
    (void)state;
    enum { N = 2000, D = 6 };
    float *x = test_vectors(N, D, 0, 11);
    for (int64_t i = 0; i < N * D; i++) x[i] *= fabsf(x[i]);
    double full4 = error_of("sq(bits=4, range=minmax)", D, x, N), best4 = error_of("sq(bits=4)", D, x, N);
    double full8 = error_of("sq(bits=8, range=minmax)", D, x, N), best8 = error_of("sq(bits=8)", D, x, N);
    assert_true(best4 < 0.8 * full4);
    assert_true(best8 <= full8 * (1 + 1e-9));
    assert_true(best8 < best4 / 20);
    free(x);
}

static void test_sq_half(void **state)
{
    (void)state;
    enum { N = 30, D = 33 };
    float *x = test_vectors(N, D, 0, 12), *back;
    sonde_quantizer *quantizer = create("sq(bits=f16)", D, NULL);
    uint8_t *codes = encode(quantizer, x, N), before[2 * D];
    back = decode(quantizer, codes, N);
    for (int64_t i = 0; i < N * D; i++)
        assert_true(fabsf(x[i] - back[i]) <= fabsf(x[i]) * 0x1p-11f + 0x1p-25f);
    /* Too large for f16: refused, and nothing is written although the first row would have been fine. */
    sonde_array rows = sonde_f32(x, N, D), out = sonde_u8(codes, N, 2 * D);
    x[(N - 1) * D + 7] = 70000;
    memset(codes, 0x5a, sizeof before);
    memcpy(before, codes, sizeof before);
    FAILS(sonde_quantizer_encode(quantizer, &rows, &out), SONDE_INVALID_ARGUMENT, "65504");
    assert_memory_equal(before, codes, sizeof before);
    memset(codes, 0xff, 2 * D); /* NaN halves */
    sonde_array one = sonde_u8(codes, 1, 2 * D), decoded = sonde_f32(back, 1, D);
    FAILS(sonde_quantizer_decode(quantizer, &one, &decoded), SONDE_CORRUPT, "code 0");
    free(x);
    free(codes);
    free(back);
    sonde_quantizer_free(quantizer);
}

/* The code of every part names its nearest centroid, as found by trying all reconstructions. */
static void test_pq_takes_the_nearest(void **state)
{
    (void)state;
    static const struct { const char *spec; int64_t dim; int64_t parts; int k; } cases[] = {
        {"pq(m=5, bits=4, iters=5)", 20, 5, 16}, {"pq(m=3, bits=4, iters=5, pad=yes)", 20, 3, 16},
        {"pq(m=7, bits=5, iters=5)", 7, 7, 32}, {"pq(m=1, bits=6, iters=5)", 11, 1, 64}};
    enum { N = 150 };
    for (int c = 0; c < COUNT(cases); c++) {
        int64_t d = cases[c].dim, m = cases[c].parts;
        int bits = 0;
        while (1 << bits < cases[c].k) bits++;
        float *x = test_vectors(N, d, 5, 21);
        sonde_quantizer *quantizer = trained(cases[c].spec, d, NULL, x, N);
        uint8_t *codes = encode(quantizer, x, N), *all = test_alloc((size_t)cases[c].k, 64);
        float *back = decode(quantizer, codes, N), *centroids;
        int64_t bytes = sonde_quantizer_code_bytes(quantizer);
        assert_int_equal(bytes, (m * bits + 7) / 8);
        for (int v = 0; v < cases[c].k; v++) {
            uint8_t values[64];
            memset(values, v, sizeof values);
            sonde__codes_pack(values, m, bits, all + v * bytes);
        }
        centroids = decode(quantizer, all, cases[c].k);
        for (int64_t i = 0; i < N; i++)
            for (int64_t j = 0; j < m; j++) {
                int64_t first = j * d / m, width = (j + 1) * d / m - first;
                double own = test_distance(x + i * d + first, back + i * d + first, width);
                for (int v = 0; v < cases[c].k; v++)
                    assert_true(own <= test_distance(x + i * d + first, centroids + v * d + first, width) *
                                               (1 + 1e-4) +
                                           1e-4);
            }
        free(x);
        free(codes);
        free(all);
        free(back);
        free(centroids);
        sonde_quantizer_free(quantizer);
    }
}

/* Lloyd in plain loops from rows spread over the data: sum of squared distances after `iterations`. */
static double naive_lloyd(const float *x, int64_t n, int64_t d, int k, int iterations)
{
    double *c = test_alloc((size_t)(k * d), sizeof *c), *sum = test_alloc((size_t)(k * d), sizeof *sum),
           total = 0;
    int64_t *size = test_alloc((size_t)k, sizeof *size);
    for (int64_t j = 0; j < k * d; j++) c[j] = x[j / d * (n / k) * d + j % d];
    for (int t = 0; t <= iterations; t++) {
        memset(sum, 0, (size_t)(k * d) * sizeof *sum);
        memset(size, 0, (size_t)k * sizeof *size);
        total = 0;
        for (int64_t i = 0; i < n; i++) {
            int best = 0;
            double least = INFINITY;
            for (int v = 0; v < k; v++) {
                double e = 0;
                for (int64_t j = 0; j < d; j++)
                    e += (x[i * d + j] - c[v * d + j]) * (x[i * d + j] - c[v * d + j]);
                if (e < least) least = e, best = v;
            }
            total += least;
            size[best]++;
            for (int64_t j = 0; j < d; j++) sum[best * d + j] += x[i * d + j];
        }
        for (int64_t j = 0; j < k * d; j++)
            if (size[j / d]) c[j] = sum[j] / (double)size[j / d];
    }
    free(c);
    free(sum);
    free(size);
    return total;
}

static void test_pq_error(void **state)
{
    (void)state;
    enum { N = 1000, D = 16 };
    float *x = test_vectors(N, D, 0, 31);
    double last = INFINITY;
    static const char *const more_bits[] = {"pq(m=4, bits=4)", "pq(m=4, bits=5)", "pq(m=4, bits=6)",
                                            "pq(m=4, bits=7)", "pq(m=4, bits=8)"};
    for (int c = 0; c < COUNT(more_bits); c++) {
        double error = error_of(more_bits[c], D, x, N);
        assert_true(error < 0.95 * last);
        last = error;
    }
    static const char *const more_parts[] = {"pq(m=1, bits=4)", "pq(m=2, bits=4)", "pq(m=4, bits=4)",
                                             "pq(m=8, bits=4)", "pq(m=16, bits=4)"};
    last = INFINITY;
    for (int c = 0; c < COUNT(more_parts); c++) {
        double error = error_of(more_parts[c], D, x, N);
        assert_true(error < 0.95 * last);
        last = error;
    }
    /* A part is a k-means of its columns: as good as plain Lloyd, up to where two starts end. */
    float *part = test_alloc(N * 4, sizeof *part);
    double naive = 0;
    for (int64_t j = 0; j < D; j += 4) {
        for (int64_t i = 0; i < N; i++) memcpy(part + i * 4, x + i * D + j, 4 * sizeof *part);
        naive += naive_lloyd(part, N, 4, 16, 25);
    }
    assert_true(error_of("pq(m=4, bits=4)", D, x, N) < 1.08 * naive);
    free(part);
    free(x);
}

static void test_kmeans_labels(void **state)
{
    (void)state;
    enum { N = 400, D = 10, K = 12 };
    float *x = test_vectors(N, D, K, 41);
    for (int spherical = 0; spherical < 2; spherical++) {
        const char *spec = spherical ? "kmeans(k=12, iters=8, spherical=yes)"
                                     : "kmeans(k=12, iters=8, start=plusplus)";
        sonde_quantizer *quantizer = trained(spec, D, NULL, x, N);
        uint8_t *codes = encode(quantizer, x, N), numbers[K];
        assert_int_equal(sonde_quantizer_code_bytes(quantizer), 1);
        for (int v = 0; v < K; v++) numbers[v] = (uint8_t)v;
        float *centroids = decode(quantizer, numbers, K);
        for (int64_t i = 0; i < N; i++)
            for (int v = 0; v < K; v++) {
                const float *row = x + i * D, *own = centroids + codes[i] * D, *other = centroids + v * D;
                if (spherical)
                    assert_true(test_dot(row, own, D) >= test_dot(row, other, D) - 1e-3);
                else
                    assert_true(test_distance(row, own, D) <= test_distance(row, other, D) + 1e-3);
            }
        if (spherical)
            for (int v = 0; v < K; v++)
                assert_true(fabs(test_dot(centroids + v * D, centroids + v * D, D) - 1) < 1e-5);
        free(codes);
        free(centroids);
        sonde_quantizer_free(quantizer);
    }
    free(x);
}

static void test_kmeans_code_widths(void **state)
{
    (void)state;
    static const struct { const char *spec; int bytes;
    } cases[] = {{"kmeans(k=1)", 1},
                 {"kmeans(k=256)", 1},
                 {"kmeans(k=257)", 2},
                 {"kmeans(k=65536)", 2},
                 {"kmeans(k=65537)", 4}};
    for (int c = 0; c < COUNT(cases); c++) {
        sonde_quantizer *quantizer = create(cases[c].spec, 3, NULL);
        assert_int_equal(sonde_quantizer_code_bytes(quantizer), cases[c].bytes);
        sonde_quantizer_free(quantizer);
    }
    float *x = test_vectors(300, 3, 0, 42);
    sonde_quantizer *quantizer = trained("kmeans(k=300, iters=1)", 3, NULL, x, 300);
    uint8_t bad[2] = {300 & 255, 300 >> 8}, good[2] = {299 & 255, 299 >> 8};
    float out[3];
    sonde_array code = sonde_u8(bad, 1, 2), row = sonde_f32(out, 1, 3);
    FAILS(sonde_quantizer_decode(quantizer, &code, &row), SONDE_CORRUPT, "code 0");
    code.data = good;
    OK(sonde_quantizer_decode(quantizer, &code, &row));
    sonde_quantizer_free(quantizer);
    free(x);
}

/* ---- scanning -------------------------------------------------------------------------------------------------- */

/* How far a scan may be from the exact product: rounding of floats, and for integer queries half a unit of the query's
 * scale a column, times how far a code can be from the middle. */
static double scan_slack(const sonde_quantizer *quantizer, const float *query, const float *x,
                         const uint8_t *zero_code, const uint8_t *one_code)
{
    int64_t d = quantizer->dim;
    double slack = 0, most = 0;
    for (int64_t j = 0; j < d; j++) slack += fabs((double)query[j] * x[j]);
    slack *= 4e-6;
    slack += 4e-6 * sqrt(test_dot(query, query, d) * test_dot(x, x, d)) + 1e-30;
    if (strcmp(quantizer->method->method.name, "sq") || sonde__param_is(quantizer->params, "bits", "f16"))
        return slack;
    float *low = decode(quantizer, zero_code, 1), *next = decode(quantizer, one_code, 1);
    int bits = (int)sonde__param_int(quantizer->params, "bits");
    bool fine = sonde__param_is(quantizer->params, "query", "i16") ||
                (bits == 8 && sonde__param_is(quantizer->params, "query", "auto"));
    for (int64_t j = 0; j < d; j++) {
        most = fmax(most, fabs((double)query[j] * (next[j] - low[j])));
        slack += 4e-6 * fabs((double)query[j]) * (fabs(low[j]) + fabs((next[j] - low[j]) * (1 << bits)));
    }
    free(low);
    free(next);
    if (sonde__param_is(quantizer->params, "query", "f32")) return slack;
    return slack + (double)d * 0.501 * most / (fine ? 8128 : 64) * ((1 << bits) - 1) / 2;
}

static void check_scan(const char *spec, int64_t d)
{
    enum { N = 300, SCANNED = 77, Q = 9 };
    float *x = test_vectors(N, d, 4, 51), *queries = test_vectors(Q, d, 0, 52);
    memset(queries, 0, (size_t)d * sizeof *queries);
    sonde_quantizer *quantizer = trained(spec, d, NULL, x, N);
    const sonde__quantizer_method *method = quantizer->method;
    int64_t bytes = quantizer->code_bytes, stride = bytes + 3, lanes = sonde__kernels_get()->lanes;
    uint8_t *packed = encode(quantizer, x, N), *codes = test_alloc((size_t)(N * stride), 1);
    uint8_t *zero = test_alloc((size_t)bytes, 1), *one = test_alloc((size_t)bytes, 1),
            *values = test_alloc((size_t)d, 1);
    float *back = decode(quantizer, packed, N), ip[SCANNED], again[1];
    for (int64_t i = 0; i < N; i++) memcpy(codes + i * stride, packed + i * bytes, (size_t)bytes);
    if (!strcmp(method->method.name, "sq") && !sonde__param_is(quantizer->params, "bits", "f16")) {
        memset(values, 1, (size_t)d);
        sonde__codes_pack(values, d, (int)sonde__param_int(quantizer->params, "bits"), one);
    }
    void *table = aligned_alloc(64, (size_t)(method->table_bytes(quantizer) + 63) / 64 * 64);
    float *tile = test_alloc((size_t)(SCANNED * lanes), sizeof *tile);
    void *panel = method->panel ? aligned_alloc(64, (size_t)(method->panel_bytes(quantizer) + 63) / 64 * 64)
                                : NULL;
    if (panel) {
        int64_t bytes_each = (method->table_bytes(quantizer) + 63) / 64 * 64;
        uint8_t *tables = aligned_alloc(64, (size_t)(Q * bytes_each));
        const void *each[Q];
        for (int64_t q = 0; q < Q; q++) {
            each[q] = tables + q * bytes_each;
            method->table(quantizer, queries + q * d, tables + q * bytes_each);
        }
        method->panel(quantizer, each, Q, panel);
        free(tables);
        method->scan_panel(quantizer, panel, codes, stride, SCANNED, tile);
    }
    for (int64_t q = 0; q < Q; q++) {
        const float *query = queries + q * d;
        method->table(quantizer, query, table);
        method->scan(quantizer, table, codes, stride, SCANNED, ip);
        for (int64_t i = 0; i < SCANNED; i++) {
            double wanted = test_dot(query, back + i * d, d);
            double slack = scan_slack(quantizer, query, back + i * d, zero, one);
            if (fabs(ip[i] - wanted) > slack)
                fail_msg("%s dim %d code %d: %g, not %g +- %g", spec, (int)d, (int)i, ip[i], wanted, slack);
            if (panel && strcmp(method->method.name, "raw") && strcmp(method->method.name, "pq"))
                assert_memory_equal(&tile[i * lanes + q], &ip[i], sizeof ip[i]);
            else if (panel)
                assert_true(fabs(tile[i * lanes + q] - wanted) <= slack);
        }
        method->scan(quantizer, table, codes + 5 * stride, stride, 1, again);
        assert_true(fabs(again[0] - ip[5]) <= 4e-6 * (fabs(ip[5]) + sqrt(test_dot(query, query, d))));
    }
    free(x), free(queries), free(packed), free(codes), free(zero), free(one), free(values), free(back),
        free(table);
    free(tile), free(panel);
    sonde_quantizer_free(quantizer);
}

static void test_scan(void **state)
{
    (void)state;
    static const int64_t dims[] = {1, 2, 3, 4, 5, 7, 8, 13, 16, 31, 33, 63, 64, 65, 100, 127, 130};
    for (int s = 0; s < COUNT(specs); s++)
        for (int c = s % 4; c < COUNT(dims); c += 4) check_scan(specs[s], dims[c]);
}

/* Extremes: constant columns, one dominating column, and queries whose products leave the range of a float. */
static void test_scan_extremes(void **state)
{
    (void)state;
    enum { N = 300, D = 24 };
    float *x = test_vectors(N, D, 0, 61), ip[N];
    for (int64_t i = 0; i < N; i++) x[i * D] = 0, x[i * D + 1] *= 1e6f, x[i * D + 2] = 1e-30f * (float)i;
    for (int s = 0; s < COUNT(specs); s++) {
        if (strstr(specs[s], "f16")) continue; /* refuses 1e6 */
        sonde_quantizer *quantizer = trained(specs[s], D, NULL, x, N);
        uint8_t *codes = encode(quantizer, x, N);
        float *back = decode(quantizer, codes, N), query[D];
        void *table = aligned_alloc(64, (size_t)(quantizer->method->table_bytes(quantizer) + 63) / 64 * 64);
        for (int64_t i = 0; i < N * D; i++) assert_true(isfinite(back[i]));
        for (int64_t j = 0; j < D; j++) query[j] = j % 2 ? 3e38f : -3e38f;
        quantizer->method->table(quantizer, query, table);
        quantizer->method->scan(quantizer, table, codes, quantizer->code_bytes, N, ip);
        for (int64_t j = 0; j < D; j++) query[j] = 0;
        quantizer->method->table(quantizer, query, table);
        quantizer->method->scan(quantizer, table, codes, quantizer->code_bytes, N, ip);
        for (int64_t i = 0; i < N; i++) assert_true(ip[i] == 0);
        free(codes), free(back), free(table);
        sonde_quantizer_free(quantizer);
    }
    free(x);
}

/* Columns that span the whole range of a float: decoding stays finite (clipped at half of it), and a saved quantizer
 * opens. */
static void test_sq_whole_range(void **state)
{
    (void)state;
    static const char *const cases[] = {"sq(bits=4, range=minmax)", "sq(bits=6, range=minmax)",
                                        "sq(bits=8, range=minmax)", "sq(bits=8)"};
    static const float x[6] = {-3.4028234e38f, 3.4028234e38f, 3.4028234e38f, 3.3e38f, 1e38f, -3.4028234e38f};
    char path[256];
    for (int c = 0; c < COUNT(cases); c++) {
        sonde_quantizer *quantizer = trained(cases[c], 2, NULL, x, 3), *opened = NULL;
        uint8_t *codes = encode(quantizer, x, 3);
        float *back = decode(quantizer, codes, 3);
        for (int i = 0; i < 6; i++) assert_true(isfinite(back[i]) && fabs((double)back[i] - x[i]) < 1.8e38);
        OK(sonde_quantizer_save(quantizer, test_path(path, sizeof path, "range")));
        OK(sonde_quantizer_open(path, NULL, NULL, &opened));
        free(codes), free(back);
        sonde_quantizer_free(quantizer), sonde_quantizer_free(opened);
    }
    unlink(path);
}

static double metric_of(uint32_t metric, const float *q, const float *x, int64_t d)
{
    double ip = test_dot(q, x, d), norms = sqrt(test_dot(q, q, d) * test_dot(x, x, d));
    if (metric == SONDE_METRIC_IP) return ip;
    if (metric == SONDE_METRIC_L2) return test_distance(q, x, d);
    return norms > 0 ? fmin(1, fmax(-1, ip / norms)) : 0;
}

/* The public scores for 1, 3 and 40 queries (tables, and panels with a ragged end), with zero rows on both sides. */
static void test_distances(void **state)
{
    (void)state;
    static const struct { const char *spec; double slack;
    } cases[] = {{"raw", 1e-5},
                 {"sq(bits=f16)", 1e-5},
                 {"sq(bits=8)", 1e-4},
                 {"sq(bits=4)", 1e-2},
                 {"sq(bits=6, query=f32)", 1e-5},
                 {"pq(bits=4, iters=3)", 1e-5},
                 {"kmeans(k=9, iters=3)", 1e-5}};
    static const int64_t counts[] = {1, 3, 40};
    enum { N = 300, D = 24, CODES = 70 };
    float *x = test_vectors(N, D, 3, 71), *queries = test_vectors(40, D, 0, 72);
    memset(x + 7 * D, 0, D * sizeof *x);
    memset(queries, 0, D * sizeof *queries);
    memcpy(queries + D, x + 9 * D, D * sizeof *x);
    float *scores = test_alloc(40 * CODES, sizeof *scores);
    for (int c = 0; c < COUNT(cases); c++) {
        sonde_quantizer *quantizer = trained(cases[c].spec, D, NULL, x, N);
        uint8_t *codes = encode(quantizer, x, CODES);
        float *back = decode(quantizer, codes, CODES);
        sonde_array in = sonde_u8(codes, CODES, quantizer->code_bytes);
        double longest = 0; /* the error of a product does not shrink with the row */
        for (int64_t i = 0; i < CODES; i++) longest = fmax(longest, test_dot(back + i * D, back + i * D, D));
        for (uint32_t metric = SONDE_METRIC_L2; metric <= SONDE_METRIC_COSINE; metric++)
            for (int k = 0; k < COUNT(counts); k++) {
                sonde_array q = sonde_f32(queries, counts[k], D), out = sonde_f32(scores, counts[k], CODES);
                OK(sonde_quantizer_distances(quantizer, metric, &q, &in, &out));
                for (int64_t i = 0; i < counts[k] * CODES; i++) {
                    const float *query = queries + i / CODES * D, *row = back + i % CODES * D;
                    double size = test_dot(query, query, D) + longest;
                    double norms = sqrt(test_dot(query, query, D) * test_dot(row, row, D));
                    if (metric == SONDE_METRIC_COSINE) size = norms > 0 ? size / norms : 0;
                    if (fabs(scores[i] - metric_of(metric, query, row, D)) > cases[c].slack * size)
                        fail_msg("%s metric %u: %g, not %g", cases[c].spec, metric, scores[i],
                                 metric_of(metric, query, row, D));
                    if (metric == SONDE_METRIC_L2) assert_true(scores[i] >= 0);
                    if (metric == SONDE_METRIC_COSINE) assert_true(fabsf(scores[i]) <= 1);
                }
            }
        free(codes), free(back);
        sonde_quantizer_free(quantizer);
    }
    free(x), free(queries), free(scores);
}

/* ---- arguments ------------------------------------------------------------------------------------------------- */

static void test_bad_specs(void **state)
{
    (void)state;
    static const struct { const char *spec; int64_t dim; sonde_status status; const char *words; } cases[] = {
        {NULL, 8, SONDE_INVALID_ARGUMENT, "NULL"},
        {"raw", 0, SONDE_INVALID_ARGUMENT, "dim=0"},
        {"raw", -3, SONDE_INVALID_ARGUMENT, "dim=-3"},
        {"raw", 65537, SONDE_INVALID_ARGUMENT, "dim=65537"},
        {"pqq", 8, SONDE_NOT_FOUND, "pq"},
        {"pq(m=50)", 384, SONDE_INVALID_ARGUMENT,
         "pq: m=50 does not divide dim=384; nearest that do: 48, 64 (or give pad=yes)"},
        {"pq(m=9)", 8, SONDE_INVALID_ARGUMENT, "m=9 is more than dim=8"},
        {"pq(bits=0)", 8, SONDE_INVALID_ARGUMENT, "bits"},
        {"pq(bits=17)", 8, SONDE_INVALID_ARGUMENT, "bits"},
        {"pq(m=0)", 8, SONDE_INVALID_ARGUMENT, "m"},
        {"sq(bits=0)", 8, SONDE_INVALID_ARGUMENT, "bits"},
        {"sq(bits=9)", 8, SONDE_INVALID_ARGUMENT, "bits"},
        {"sq(bits=f32)", 8, SONDE_INVALID_ARGUMENT, "bits"},
        {"sq(range=wide)", 8, SONDE_INVALID_ARGUMENT, "range"},
        {"kmeans(k=0)", 8, SONDE_INVALID_ARGUMENT, "k"},
        {"raw(bits=8)", 8, SONDE_NOT_FOUND, "bits"},
    };
    for (int c = 0; c < COUNT(cases); c++) {
        sonde_quantizer *quantizer = (sonde_quantizer *)(void *)&cases;
        FAILS(sonde_quantizer_create(cases[c].spec, cases[c].dim, NULL, &quantizer), cases[c].status,
              cases[c].words);
        assert_ptr_equal(quantizer, &cases);
    }
    FAILS(sonde_quantizer_create("raw", 8, NULL, NULL), SONDE_INVALID_ARGUMENT, "NULL");
}

static void test_auto_parts(void **state)
{
    (void)state;
    static const struct { const char *spec; int64_t dim, bytes;
    } cases[] = {{"pq", 384, 48},       {"pq", 100, 10},
                 {"pq", 63, 9},         {"pq", 1, 1},
                 {"pq", 7, 1},          {"pq", 127, 127},
                 {"pq", 13, 1},         {"pq(pad=yes)", 127, 16},
                 {"pq(bits=4)", 72, 5}, {"pq(m=20, pad=yes, bits=5)", 127, 13}};
    for (int c = 0; c < COUNT(cases); c++) {
        sonde_quantizer *quantizer = create(cases[c].spec, cases[c].dim, NULL);
        assert_int_equal(sonde_quantizer_code_bytes(quantizer), cases[c].bytes);
        sonde_quantizer_free(quantizer);
    }
}

static void test_null_handles(void **state)
{
    (void)state;
    sonde_array none = {0};
    assert_int_equal(sonde_quantizer_dim(NULL), 0);
    assert_int_equal(sonde_quantizer_code_bytes(NULL), 0);
    assert_false(sonde_quantizer_trained(NULL));
    assert_string_equal(sonde_quantizer_spec(NULL), "");
    sonde_quantizer_free(NULL);
    FAILS(sonde_quantizer_train(NULL, NULL, 0), SONDE_INVALID_ARGUMENT, "NULL");
    FAILS(sonde_quantizer_encode(NULL, &none, &none), SONDE_INVALID_ARGUMENT, "NULL");
    FAILS(sonde_quantizer_decode(NULL, &none, &none), SONDE_INVALID_ARGUMENT, "NULL");
    FAILS(sonde_quantizer_distances(NULL, 1, &none, &none, &none), SONDE_INVALID_ARGUMENT, "NULL");
    FAILS(sonde_quantizer_save(NULL, "x"), SONDE_INVALID_ARGUMENT, "NULL");
    FAILS(sonde_quantizer_open(NULL, NULL, NULL, NULL), SONDE_INVALID_ARGUMENT, "NULL");
}

static void test_bad_training(void **state)
{
    (void)state;
    float *x = test_vectors(300, 8, 0, 81);
    sonde_quantizer *quantizer = create("pq(bits=4, m=2)", 8, NULL);
    sonde_array rows = sonde_f32(x, 15, 8), narrow = sonde_f32(x, 20, 7),
                ids = {x, 20, 8, 0, SONDE_DTYPE_I64, 0};
    sonde_input few = {"vectors", &rows}, thin = {"vectors", &narrow}, wrong = {"rows", &rows},
                type = {"vectors", &ids};
    sonde_input twice[2] = {few, few};
    FAILS(sonde_quantizer_train(quantizer, &few, 1), SONDE_INVALID_ARGUMENT, "pq needs at least 16");
    FAILS(sonde_quantizer_train(quantizer, &thin, 1), SONDE_INVALID_ARGUMENT, "7");
    FAILS(sonde_quantizer_train(quantizer, &wrong, 1), SONDE_NOT_FOUND, "vectors");
    FAILS(sonde_quantizer_train(quantizer, &type, 1), SONDE_INVALID_ARGUMENT, "i64");
    FAILS(sonde_quantizer_train(quantizer, twice, 2), SONDE_INVALID_ARGUMENT, "vectors");
    FAILS(sonde_quantizer_train(quantizer, NULL, 0), SONDE_INVALID_ARGUMENT, "vectors");
    rows.rows = 20;
    x[19 * 8 + 3] = NAN;
    FAILS(sonde_quantizer_train(quantizer, &few, 1), SONDE_INVALID_ARGUMENT, "row 19");
    x[19 * 8 + 3] = INFINITY;
    FAILS(sonde_quantizer_train(quantizer, &few, 1), SONDE_INVALID_ARGUMENT, "row 19");
    assert_false(sonde_quantizer_trained(quantizer));
    uint8_t codes[8];
    sonde_array one = sonde_f32(x, 1, 8), code = sonde_u8(codes, 1, 1), scores = sonde_f32(x, 1, 1);
    FAILS(sonde_quantizer_encode(quantizer, &one, &code), SONDE_STATE, "sonde_quantizer_train");
    FAILS(sonde_quantizer_decode(quantizer, &code, &one), SONDE_STATE, "sonde_quantizer_train");
    FAILS(sonde_quantizer_distances(quantizer, 1, &one, &code, &scores), SONDE_STATE,
          "sonde_quantizer_train");
    sonde_quantizer_free(quantizer);
    free(x);
}

static void test_bad_arrays(void **state)
{
    (void)state;
    enum { N = 40, D = 8 };
    float *x = test_vectors(N, D, 0, 82), out[N * D] = {0}, scores[N] = {0};
    uint8_t codes[N + 1], untouched[N + 1];
    sonde_quantizer *quantizer = trained("pq(m=1, bits=4)", D, NULL, x, N);
    sonde_array rows = sonde_f32(x, N, D), narrow = sonde_f32(x, N, D - 1), code = sonde_u8(codes, N, 1);
    sonde_array wide = sonde_u8(codes, N / 2, 2), short_code = sonde_u8(codes, N - 1, 1);
    sonde_array back = sonde_f32(out, N, D), one = sonde_f32(x, 1, D), row = sonde_f32(scores, 1, N);
    sonde_array short_row = sonde_f32(scores, 1, N - 1), half = sonde_f16((uint16_t *)(void *)out, N, D);
    memset(codes, 0xee, sizeof codes);
    memcpy(untouched, codes, sizeof codes);
    FAILS(sonde_quantizer_encode(quantizer, &narrow, &code), SONDE_INVALID_ARGUMENT, "encode: vectors");
    FAILS(sonde_quantizer_encode(quantizer, NULL, &code), SONDE_INVALID_ARGUMENT, "encode: vectors");
    FAILS(sonde_quantizer_encode(quantizer, &rows, &wide), SONDE_INVALID_ARGUMENT, "encode: codes");
    FAILS(sonde_quantizer_encode(quantizer, &rows, &short_code), SONDE_INVALID_ARGUMENT,
          "encode: codes has 39 rows");
    FAILS(sonde_quantizer_encode(quantizer, &rows, NULL), SONDE_INVALID_ARGUMENT, "encode: codes");
    float kept = x[N * D - 1];
    x[N * D - 1] = NAN;
    FAILS(sonde_quantizer_encode(quantizer, &rows, &code), SONDE_INVALID_ARGUMENT, "row 39");
    x[N * D - 1] = kept;
    assert_memory_equal(codes, untouched, sizeof codes);
    FAILS(sonde_quantizer_decode(quantizer, &code, &back), SONDE_CORRUPT,
          "code 0"); /* the upper nibble is not zero */
    assert_true(out[0] == 0);
    FAILS(sonde_quantizer_distances(quantizer, SONDE_METRIC_L2, &one, &code, &row), SONDE_CORRUPT, "code 0");
    OK(sonde_quantizer_encode(quantizer, &rows, &code));
    assert_int_equal(codes[N], 0xee);
    FAILS(sonde_quantizer_decode(quantizer, &code, &half), SONDE_INVALID_ARGUMENT, "f16");
    FAILS(sonde_quantizer_distances(quantizer, SONDE_METRIC_HAMMING, &one, &code, &row), SONDE_UNSUPPORTED,
          "hamming is for codes of bits");
    FAILS(sonde_quantizer_distances(quantizer, 0, &one, &code, &row), SONDE_INVALID_ARGUMENT, "metric 0");
    FAILS(sonde_quantizer_distances(quantizer, SONDE_METRIC_IP, &one, &code, &short_row),
          SONDE_INVALID_ARGUMENT, "scores");
    FAILS(sonde_quantizer_distances(quantizer, SONDE_METRIC_IP, &rows, &code, &row), SONDE_INVALID_ARGUMENT,
          "scores");
    rows.rows = code.rows = 0;
    OK(sonde_quantizer_encode(quantizer, &rows, &code));
    OK(sonde_quantizer_distances(quantizer, SONDE_METRIC_IP, &one, &code, &row));
    sonde_quantizer_free(quantizer);
    free(x);
}

/* Every element type, with a stride and a start that fit none, is the same as its values in f32. */
static void test_odd_input(void **state)
{
    (void)state;
    static const uint32_t dtypes[] = {SONDE_DTYPE_F32, SONDE_DTYPE_F16, SONDE_DTYPE_BF16, SONDE_DTYPE_I8,
                                      SONDE_DTYPE_U8};
    enum { N = 300, D = 19 };
    for (int s = 0; s < COUNT(specs); s++)
        for (int t = 0; t < COUNT(dtypes); t++) {
            float *x;
            sonde_array view = test_odd_view(dtypes[t], N, D, 91, &x);
            sonde_quantizer *plain = trained(specs[s], D, NULL, x, N), *odd = create(specs[s], D, NULL);
            sonde_input input = {"vectors", &view};
            OK(sonde_quantizer_train(odd, &input, 1));
            uint8_t *wanted = encode(plain, x, N),
                    *codes = test_alloc((size_t)(N * (plain->code_bytes + 3)), 1);
            sonde_array out = {codes, N, plain->code_bytes, plain->code_bytes + 3, SONDE_DTYPE_U8, 0};
            OK(sonde_quantizer_encode(odd, &view, &out));
            for (int64_t i = 0; i < N; i++)
                assert_memory_equal(codes + i * out.stride, wanted + i * plain->code_bytes,
                                    (size_t)plain->code_bytes);
            /* and back into rows that are not aligned either */
            float *back = decode(plain, wanted, N), value;
            uint8_t *loose = test_alloc(N * (D * 4 + 3) + 1, 1);
            sonde_array rows = {loose + 1, N, D, D * 4 + 3, SONDE_DTYPE_F32, 0};
            OK(sonde_quantizer_decode(odd, &out, &rows));
            for (int64_t i = 0; i < N * D; i++) {
                memcpy(&value, loose + 1 + i / D * rows.stride + i % D * 4, sizeof value);
                assert_true(value == back[i]);
            }
            free(wanted), free(codes), free(back), free(loose);
            test_free_odd_view(&view, x);
            sonde_quantizer_free(plain);
            sonde_quantizer_free(odd);
        }
}

/* ---- threads, files, failures ---------------------------------------------------------------------------------- */

static void test_threads(void **state)
{
    (void)state;
    static const uint32_t threads[] = {1, 2, 7};
    enum { N = 700, D = 24 };
    float *x = test_vectors(N, D, 6, 101);
    char path[2][256];
    for (int s = 0; s < COUNT(specs); s++) {
        uint8_t *first = NULL;
        for (int t = 0; t < COUNT(threads); t++) {
            sonde_runtime *runtime = test_runtime(threads[t]);
            sonde_quantizer *quantizer = trained(specs[s], D, runtime, x, N);
            uint8_t *codes = encode(quantizer, x, N);
            OK(sonde_quantizer_save(quantizer, test_path(path[t > 0], sizeof path[0], t ? "b" : "a")));
            if (t) {
                assert_memory_equal(first, codes, (size_t)(N * quantizer->code_bytes));
                test_same_files(path[0], path[1]);
                free(codes);
            } else {
                first = codes;
            }
            sonde_quantizer_free(quantizer);
            sonde_runtime_free(runtime);
        }
        free(first);
    }
    unlink(path[0]);
    unlink(path[1]);
    free(x);
}

static void check_reopened(const sonde_quantizer *quantizer, const char *path, const char *again,
                           const float *x, int64_t n)
{
    sonde_open_options options[2] = {SONDE_OPEN_OPTIONS_INIT, SONDE_OPEN_OPTIONS_INIT};
    options[1].mode = SONDE_OPEN_MMAP;
    for (int mode = 0; mode < 2; mode++) {
        sonde_quantizer *opened = NULL;
        OK(sonde_quantizer_open(path, &options[mode], NULL, &opened));
        assert_string_equal(sonde_quantizer_spec(opened), sonde_quantizer_spec(quantizer));
        assert_int_equal(sonde_quantizer_dim(opened), sonde_quantizer_dim(quantizer));
        assert_int_equal(sonde_quantizer_trained(opened), sonde_quantizer_trained(quantizer));
        if (sonde_quantizer_trained(quantizer)) {
            uint8_t *a = encode(quantizer, x, n), *b = encode(opened, x, n);
            float *a_back = decode(quantizer, a, n), *b_back = decode(opened, a, n);
            assert_memory_equal(a, b, (size_t)(n * quantizer->code_bytes));
            assert_memory_equal(a_back, b_back, (size_t)(n * quantizer->dim) * sizeof *a_back);
            free(a), free(b), free(a_back), free(b_back);
        }
        OK(sonde_quantizer_save(opened, again));
        test_same_files(path, again);
        sonde_quantizer_free(opened);
    }
}

static void test_files(void **state)
{
    (void)state;
    enum { N = 300, D = 21 };
    float *x = test_vectors(N, D, 3, 111);
    char path[256], again[256];
    test_path(path, sizeof path, "a");
    test_path(again, sizeof again, "b");
    for (int s = 0; s < COUNT(specs); s++) {
        sonde_quantizer *quantizer = create(specs[s], D, NULL);
        OK(sonde_quantizer_save(quantizer, path));
        check_reopened(quantizer, path, again, x, N);
        OK(train(quantizer, x, N));
        OK(sonde_quantizer_save(quantizer, path));
        check_reopened(quantizer, path, again, x, N);
        sonde_quantizer_free(quantizer);
    }
    sonde_quantizer *none = NULL;
    sonde_transform *other = NULL;
    FAILS(sonde_transform_open(path, NULL, NULL, &other), SONDE_INCOMPATIBLE, path);
    unlink(path);
    unlink(again);
    FAILS(sonde_quantizer_open(path, NULL, NULL, &none), SONDE_NOT_FOUND, path);
    assert_null(none);
    free(x);
}

/* Files written by hand around what save would write: each must be refused with CORRUPT. */
static void test_hostile_files(void **state)
{
    (void)state;
    static const float book[32 * 4] = {0}, nan_book[32] = {NAN}, steps[4] = {1, -1, 1, 1};
    static const struct {
        const char *spec;
        int64_t dim, trained;
        const char *tag;
        const float *data;
        uint64_t count;
    } cases[] = {{"pq(m=2, bits=4)", 0, 1, "CODEBOOK", book, 64},
                 {"pq(m=2, bits=4)", 4, 2, "CODEBOOK", book, 64},
                 {"pq(m=2, bits=4)", 4, 1, "CODEBOOK", book, 63},
                 {"pq(m=2, bits=4)", 4, 1, "OTHER", book, 64},
                 {"pq(m=2, bits=4)", 2, 1, "CODEBOOK", nan_book, 32},
                 {"pq(m=3, bits=4)", 4, 1, "CODEBOOK", book, 64},
                 {"nothing", 4, 1, "CODEBOOK", book, 64},
                 {"sq(bits=8)", 4, 1, "LOW", book, 4},
                 {"kmeans(k=16777216)", 65536, 1, "CENTROID", book, 64},
                 {"kmeans(k=2)", 4, 1, "CENTROID", book, 9}};
    char path[256];
    sonde_quantizer *quantizer = NULL;
    sonde_runtime *runtime = test_runtime(1);
    test_path(path, sizeof path, "hostile");
    for (int c = 0; c <= COUNT(cases); c++) {
        sonde__writer *writer;
        int at = c < COUNT(cases) ? c : 0;
        OK(sonde__writer_create(runtime, path, "quantizer", c < COUNT(cases) ? cases[c].spec : "sq(bits=8)",
                                &writer));
        OK(sonde__write_int(writer, "dim", c < COUNT(cases) ? cases[at].dim : 4));
        OK(sonde__write_int(writer, "trained", c < COUNT(cases) ? cases[at].trained : 1));
        if (c < COUNT(cases)) {
            OK(sonde__write_array(writer, cases[at].tag, cases[at].data, cases[at].count, 4));
        } else {
            OK(sonde__write_array(writer, "LOW", book, 4, 4));
            OK(sonde__write_array(writer, "STEP", steps, 4, 4));
        }
        OK(sonde__writer_finish(writer));
        FAILS(sonde_quantizer_open(path, NULL, runtime, &quantizer), SONDE_CORRUPT, path);
        assert_null(quantizer);
    }
    unlink(path);
    sonde_runtime_free(runtime);
}

/* As a part of another handle's file, twice under different names. */
static void test_children(void **state)
{
    (void)state;
    enum { N = 60, D = 12 };
    float *x = test_vectors(N, D, 0, 121);
    char path[256];
    sonde_runtime *runtime = test_runtime(1);
    sonde_quantizer *a = trained("pq(m=3, bits=4)", D, runtime, x, N),
                    *b = trained("sq(bits=6)", D, runtime, x, N);
    sonde_quantizer *read_a = NULL, *read_b = NULL;
    sonde__writer *writer;
    sonde__reader *reader;
    test_path(path, sizeof path, "children");
    OK(sonde__writer_create(runtime, path, "index", "flat", &writer));
    OK(sonde__quantizer_write(a, writer, "code"));
    OK(sonde__quantizer_write(b, writer, "refine"));
    OK(sonde__writer_finish(writer));
    OK(sonde__reader_open(runtime, path, NULL, 0, NULL, "index", &reader));
    OK(sonde__quantizer_read(runtime, reader, "refine", &read_b));
    OK(sonde__quantizer_read(runtime, reader, "code", &read_a));
    sonde_quantizer *none = NULL;
    assert_int_not_equal(sonde__quantizer_read(runtime, reader, "absent", &none), SONDE_OK);
    sonde__reader_close(reader);
    uint8_t *codes = encode(a, x, N), *again = encode(read_a, x, N);
    assert_memory_equal(codes, again, (size_t)(N * a->code_bytes));
    assert_string_equal(sonde_quantizer_spec(b), sonde_quantizer_spec(read_b));
    free(codes), free(again), free(x);
    sonde_quantizer_free(a), sonde_quantizer_free(b), sonde_quantizer_free(read_a),
        sonde_quantizer_free(read_b);
    sonde_runtime_free(runtime);
    unlink(path);
}

/* A life of a quantizer, with everything that allocates. */
static const char *scene_spec;

static sonde_status scene_use(sonde_quantizer *quantizer, sonde_runtime *runtime, const float *x, int64_t n)
{
    static uint8_t codes[20 * 64];
    static float back[20 * 12], scores[6 * 20];
    char path[256];
    int64_t d = sonde_quantizer_dim(quantizer);
    sonde_array few = sonde_f32(x, 20, d), code = sonde_u8(codes, 20, sonde_quantizer_code_bytes(quantizer));
    sonde_array queries = sonde_f32(x, 6, d), out = sonde_f32(back, 20, d), table = sonde_f32(scores, 6, 20);
    sonde_quantizer *opened = NULL;
    SONDE_TRY(train(quantizer, x, n));
    SONDE_TRY(sonde_quantizer_encode(quantizer, &few, &code));
    SONDE_TRY(sonde_quantizer_decode(quantizer, &code, &out));
    SONDE_TRY(sonde_quantizer_distances(quantizer, SONDE_METRIC_L2, &queries, &code, &table));
    SONDE_TRY(sonde_quantizer_save(quantizer, test_path(path, sizeof path, "scene")));
    sonde_status status = sonde_quantizer_open(path, NULL, runtime, &opened);
    sonde_quantizer_free(opened);
    unlink(path);
    return status;
}

static sonde_status scene(sonde_runtime_options *options)
{
    enum { N = 40, D = 12 };
    sonde_runtime *runtime = NULL;
    sonde_quantizer *quantizer = NULL;
    options->threads = 1;
    SONDE_TRY(sonde_runtime_create(options, &runtime));
    float *x = test_vectors(N, D, 0, 131);
    sonde_status status = sonde_quantizer_create(scene_spec, D, runtime, &quantizer);
    if (status == SONDE_OK) status = scene_use(quantizer, runtime, x, N);
    sonde_quantizer_free(quantizer);
    sonde_runtime_free(runtime);
    free(x);
    return status;
}

static void test_failing_allocations(void **state)
{
    (void)state;
    static const char *const small[] = {"raw", "sq(bits=f16)", "sq(bits=6)", "pq(m=3, bits=4, iters=2)",
                                        "pq(m=5, bits=5, iters=2, pad=yes)", "kmeans(k=5, iters=2)"};
    for (int s = 0; s < COUNT(small); s++) {
        scene_spec = small[s];
        assert_true(failing_walk(scene) > 5);
    }
}

static int refuse(const char *stage, uint64_t done, uint64_t total, void *user)
{
    (void)stage, (void)done, (void)total;
    return *(int *)user;
}

/* Training again fails (cancelled, then too few rows, then out of memory): what was learned before still serves. */
static void test_failed_training_keeps_the_old(void **state)
{
    (void)state;
    enum { N = 400, D = 16 };
    float *x = test_vectors(N, D, 4, 141), *y = test_vectors(N, D, 4, 142);
    for (int s = 0; s < COUNT(specs); s++) {
        failing_allocator memory = {0};
        int cancel = 0;
        sonde_runtime_options options = failing_options(&memory);
        sonde_runtime *runtime = NULL;
        options.progress = refuse;
        options.progress_user = &cancel;
        OK(sonde_runtime_create(&options, &runtime));
        sonde_quantizer *quantizer = trained(specs[s], D, runtime, x, N);
        uint8_t *codes = encode(quantizer, x, N), *again;
        if (quantizer->method->train) {
            cancel = 1;
            sonde_runtime_cancel(runtime);
            assert_int_equal(train(quantizer, y, N), SONDE_CANCELLED);
            sonde_runtime_resume(runtime);
            cancel = 0;
            memory.fail_at = memory.calls + 2;
            assert_int_equal(train(quantizer, y, N), SONDE_OUT_OF_MEMORY);
            assert_true(train(quantizer, y, 0) == SONDE_INVALID_ARGUMENT);
        }
        again = encode(quantizer, x, N);
        assert_memory_equal(codes, again, (size_t)(N * quantizer->code_bytes));
        free(codes), free(again);
        sonde_quantizer_free(quantizer);
        sonde_runtime_free(runtime);
        assert_int_equal(memory.blocks, 0);
    }
    free(x), free(y);
}

static const struct CMUnitTest table[] = {
    cmocka_unit_test(test_packing),
    cmocka_unit_test(test_packing_wide),
    cmocka_unit_test(test_raw_is_exact),
    cmocka_unit_test(test_sq_error_bound),
    cmocka_unit_test(test_sq_best_range),
    cmocka_unit_test(test_sq_half),
    cmocka_unit_test(test_pq_takes_the_nearest),
    cmocka_unit_test(test_pq_error),
    cmocka_unit_test(test_kmeans_labels),
    cmocka_unit_test(test_kmeans_code_widths),
    cmocka_unit_test(test_scan),
    cmocka_unit_test(test_scan_extremes),
    cmocka_unit_test(test_sq_whole_range),
    cmocka_unit_test(test_distances),
    cmocka_unit_test(test_bad_specs),
    cmocka_unit_test(test_auto_parts),
    cmocka_unit_test(test_null_handles),
    cmocka_unit_test(test_bad_training),
    cmocka_unit_test(test_bad_arrays),
    cmocka_unit_test(test_odd_input),
    cmocka_unit_test(test_threads),
    cmocka_unit_test(test_files),
    cmocka_unit_test(test_hostile_files),
    cmocka_unit_test(test_children),
    cmocka_unit_test(test_failing_allocations),
    cmocka_unit_test(test_failed_training_keeps_the_old),
};
SONDE_TEST_MAIN(table)
