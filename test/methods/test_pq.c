/* test_pq.c: product quantization of every width, behind a learned rotation, under each loss, with even
 * codebooks: codes against brute force, nibble tables and batches against reconstructions, losses against
 * what they claim to lower.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <math.h>

#include "../failing.h"
#include "../kernel_sets.h"
#include "../unit/handles.h"
#include "base/base.h"
#include "linalg/linalg.h"
#include "quantizers/pq.h"
#include "../quantizer_steps.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* queries NULL: vectors alone. */
static sonde_status train_with(sonde_quantizer *quantizer, const float *x, int64_t n, const float *queries,
                          int64_t count)
{
    int64_t dim = sonde_quantizer_dim(quantizer);
    sonde_array rows = sonde_f32(x, n, dim), asked = sonde_f32(queries, count, dim);
    sonde_input inputs[] = {{"vectors", &rows}, {"queries", &asked}};
    return sonde_quantizer_train(quantizer, inputs, queries ? 2 : 1);
}

static sonde_quantizer *trained(const char *spec, int64_t dim, const float *x, int64_t n)
{
    sonde_quantizer *quantizer = create(spec, dim, NULL);
    OK(train_with(quantizer, x, n, NULL, 0));
    return quantizer;
}

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)a[i] * b[i];
    return sum;
}

static double distance2(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return sum;
}

/* Mean squared error of reconstructions. */
static double error_of(const sonde_quantizer *quantizer, const float *x, int64_t n)
{
    int64_t dim = sonde_quantizer_dim(quantizer);
    uint8_t *codes = encode(quantizer, x, n);
    float *back = decode(quantizer, codes, n);
    double error = distance2(x, back, n * dim) / (double)n;
    free(codes), free(back);
    return error;
}

static double error_with(const char *spec, int64_t dim, const float *x, int64_t n)
{
    sonde_quantizer *quantizer = trained(spec, dim, x, n);
    double error = error_of(quantizer, x, n);
    sonde_quantizer_free(quantizer);
    return error;
}

/* Value j of a code, bit by bit. */
static int value_of(const uint8_t *code, int64_t j, int bits)
{
    int value = 0;
    for (int b = 0; b < bits; b++) value |= (code[(j * bits + b) / 8] >> (j * bits + b) % 8 & 1) << b;
    return value;
}

/* Rows whose columns depend on each other: `inner` numbers spread over d columns by a random matrix, and a
 * little noise. */
static float *correlated(int64_t n, int64_t d, int64_t inner, uint64_t seed)
{
    float *x = test_alloc((size_t)(n * d), sizeof *x), *mix = test_alloc((size_t)(inner * d), sizeof *mix);
    uint64_t state = seed;
    for (int64_t i = 0; i < inner * d; i++) mix[i] = test_normal(&state);
    for (int64_t i = 0; i < n; i++)
        for (int64_t a = 0; a < inner; a++) {
            float z = test_normal(&state) * 3 / (float)(1 + a);
            for (int64_t j = 0; j < d; j++) x[i * d + j] += z * mix[a * d + j] + 0.02f * test_normal(&state);
        }
    free(mix);
    return x;
}

/* ---- widths ----------------------------------------------------------------------------------------------------- */

/* Each value of each code is the nearest centroid of its part. */
static void check_nearest(const sonde_quantizer *quantizer, const float *x, const uint8_t *codes, int64_t n)
{
    const sonde__pq *pq = quantizer->state;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < pq->m; j++) {
            int64_t first = sonde__pq_first(pq, j), columns = sonde__pq_columns(pq, j);
            const float *part = x + i * pq->dim + first,
                        *c = sonde__pq_centroids(pq, pq->learned.centroids, j);
            double own = distance2(
                part, c + value_of(codes + i * quantizer->code_bytes, j, pq->bits) * pq->width, columns);
            for (int64_t v = 0; v < pq->k; v++)
                if (own > distance2(part, c + v * pq->width, columns) * (1 + 1e-4) + 1e-5)
                    fail_msg("bits=%d row %lld part %lld: not the nearest", pq->bits, (long long)i,
                             (long long)j);
        }
}

/* Scores of one query, and of more than a panel, are products with reconstructions; norms are theirs. */
static void check_scores(const sonde_quantizer *quantizer, const float *x, const uint8_t *codes, int64_t n)
{
    enum { QUERIES = 37 };
    int64_t d = sonde_quantizer_dim(quantizer);
    float *back = decode(quantizer, codes, n), *scores = test_alloc((size_t)(QUERIES * n), sizeof *scores);
    float *norm2 = test_alloc((size_t)n, sizeof *norm2);
    sonde_array code = sonde_u8(codes, n, quantizer->code_bytes);
    for (int64_t count = 1; count <= QUERIES; count += QUERIES - 1) {
        sonde_array queries = sonde_f32(x, count, d), out = sonde_f32(scores, count, n);
        OK(sonde_quantizer_distances(quantizer, SONDE_METRIC_IP, &queries, &code, &out));
        for (int64_t q = 0; q < count; q++)
            for (int64_t i = 0; i < n; i++) {
                double size = sqrt(dot(x + q * d, x + q * d, d) * dot(back + i * d, back + i * d, d));
                assert_true(fabs(scores[q * n + i] - dot(x + q * d, back + i * d, d)) <= 1e-5 * size + 1e-6);
            }
    }
    quantizer->method->norms(quantizer, codes, quantizer->code_bytes, n, norm2);
    for (int64_t i = 0; i < n; i++) {
        double wanted = dot(back + i * d, back + i * d, d);
        assert_true(fabs(norm2[i] - wanted) <= 1e-4 * wanted + 1e-6);
    }
    free(back), free(scores), free(norm2);
}

static void every_width(void **state)
{
    (void)state;
    enum { N = 4096, FEW = 60 };
    static const int64_t shapes[][2] = {{12, 4}, {11, 3}, {7, 7}, {9, 1}};
    for (int bits = 1; bits <= 12; bits++)
        for (int s = 0; s < (bits > 8 ? 2 : COUNT(shapes)); s++) {
            char spec[96];
            int64_t d = shapes[s][0], m = shapes[s][1];
            float *x = test_vectors(N, d, 9, (uint64_t)(bits * 10 + s));
            snprintf(spec, sizeof spec, "pq(m=%lld, bits=%d, iters=2, sample=%d, pad=yes)", (long long)m,
                     bits, bits > 8 ? N : 700);
            sonde_quantizer *quantizer = trained(spec, d, x, N);
            uint8_t *codes = encode(quantizer, x, FEW);
            assert_int_equal(quantizer->code_bytes, (m * bits + 7) / 8);
            check_nearest(quantizer, x, codes, FEW);
            check_scores(quantizer, x, codes, FEW);
            sonde_quantizer_free(quantizer);
            free(x), free(codes);
        }
}

/* Parts of few bits are encoded many rows at a time and columns in runs: rows that fill no panel, parts that share a
 * run or that are wider than one. */
static void few_bits_of_many_columns(void **state)
{
    (void)state;
    enum { N = 200 };
    static const int64_t shapes[][3] = {{600, 5, 4}, {520, 130, 4}, {300, 1, 4}, {514, 2, 3}, {260, 86, 2}, {96, 96, 1}};
    static const int64_t rows[] = {1, 15, 16, 31, 32, 33, 65};
    for (int s = 0; s < COUNT(shapes); s++) {
        char spec[80];
        int64_t d = shapes[s][0];
        float *x = test_vectors(N, d, 9, (uint64_t)s);
        snprintf(spec, sizeof spec, "pq(m=%d, bits=%d, iters=1, pad=yes)", (int)shapes[s][1], (int)shapes[s][2]);
        sonde_quantizer *quantizer = trained(spec, d, x, N);
        for (int r = 0; r < COUNT(rows); r++) {
            uint8_t *codes = encode(quantizer, x, rows[r]);
            check_nearest(quantizer, x, codes, rows[r]);
            free(codes);
        }
        sonde_quantizer_free(quantizer);
        free(x);
    }
}

/* Against a plain loop, on small whole numbers, so that there are ties; with values that are no numbers. */
static void check_best_rows(const sonde__kernels *set)
{
    enum { MOST = 40 };
    float tile[MOST * SONDE__LANES_MAX], bias[MOST];
    int32_t best[SONDE__LANES_MAX + 1];
    uint64_t random = 3;
    for (int64_t count = 1; count <= MOST; count++)
        for (int64_t lanes = 8; lanes <= SONDE__LANES_MAX; lanes += 8) {
            for (int64_t i = 0; i < count * lanes; i++) {
                double u = test_unit(&random);
                tile[i] = u < 0.1 ? NAN : u < 0.15 ? -INFINITY : u < 0.17 ? INFINITY : floorf((float)u * 6);
            }
            for (int64_t row = 0; row < count; row++) bias[row] = floorf(test_normal(&random));
            best[lanes] = -7;
            set->best_rows(tile, count, lanes, bias, best);
            assert_int_equal(best[lanes], -7);
            for (int64_t lane = 0; lane < lanes; lane++) {
                int64_t wanted = 0;
                float most = -INFINITY;
                for (int64_t row = 0; row < count; row++)
                    if (tile[row * lanes + lane] + bias[row] > most) {
                        most = tile[row * lanes + lane] + bias[row];
                        wanted = row;
                    }
                assert_int_equal(best[lane], wanted);
            }
        }
}

static void best_rows_on_all_sets(void **state)
{
    (void)state;
    each_set(check_best_rows);
}

/* Codebooks of 65536 numbers for each of two parts, by way of a file: training them takes a while. */
static void sixteen_bits(void **state)
{
    (void)state;
    enum { K = 65536, FEW = 200 };
    float *book = test_alloc(2 * K, sizeof *book), *x = test_vectors(FEW, 2, 0, 3);
    uint64_t seed = 4;
    char path[256];
    for (int64_t i = 0; i < 2 * K; i++) book[i] = test_normal(&seed);
    sonde_runtime *runtime = test_runtime(1);
    sonde_quantizer *quantizer = NULL;
    sonde__writer *writer;
    OK(sonde__writer_create(runtime, test_path(path, sizeof path, "sixteen"), "quantizer", "pq(m=2, bits=16)",
                            &writer));
    OK(sonde__write_int(writer, "dim", 2));
    OK(sonde__write_int(writer, "trained", 1));
    OK(sonde__write_array(writer, "CODEBOOK", book, 2 * K, 4));
    OK(sonde__writer_finish(writer));
    OK(sonde_quantizer_open(path, NULL, runtime, &quantizer));
    unlink(path);
    uint8_t *codes = encode(quantizer, x, FEW);
    assert_int_equal(quantizer->code_bytes, 4);
    check_nearest(quantizer, x, codes, 20);
    check_scores(quantizer, x, codes, FEW);
    sonde_quantizer_free(quantizer);
    sonde_runtime_free(runtime);
    free(book), free(x), free(codes);
}

/* base + sum of table[16 j + nibble j] is the product with the reconstruction, for widths that fit nibbles.
 */
static void nibble_tables(void **state)
{
    (void)state;
    enum { N = 600, FEW = 50 };
    static const struct {
        const char *spec;
        int64_t dim, nibbles;
    } cases[] = {
        {"pq(m=12, bits=4, iters=2)", 24, 12},
        {"pq(m=7, bits=4, iters=2, pad=yes)", 20, 7},
        {"pq(m=11, bits=2, iters=2, pad=yes)", 24, 6},
        {"pq(m=13, bits=1, iters=2, pad=yes)", 24, 4},
        {"opq(m=5, bits=4, iters=2, code=pq(pad=yes))", 24, 5},
        {"pq(m=12, bits=3, iters=2)", 24, 0},
        {"pq(m=12, bits=8, iters=2)", 24, 0},
    };
    for (int c = 0; c < COUNT(cases); c++) {
        int64_t d = cases[c].dim, nibbles = cases[c].nibbles;
        float *x = test_vectors(N, d, 5, 40), table[16 * 16], base = -1;
        sonde_quantizer *quantizer = trained(cases[c].spec, d, x, N);
        uint8_t *codes = encode(quantizer, x, FEW);
        float *back = decode(quantizer, codes, FEW);
        assert_int_equal(quantizer->method->nibbles(quantizer), nibbles);
        assert_true((quantizer->method->scan_panel == NULL) ==
                    (nibbles > 0)); /* batches of nibbles take fast scan */
        for (int64_t q = 0; nibbles && q < 4; q++) {
            quantizer->method->nibble_table(quantizer, x + q * d, table, &base);
            for (int64_t i = 0; i < FEW; i++) {
                double sum = base, wanted = dot(x + q * d, back + i * d, d);
                for (int64_t j = 0; j < nibbles; j++)
                    sum += table[16 * j + value_of(codes + i * quantizer->code_bytes, j, 4)];
                assert_true(fabs(sum - wanted) <= 1e-4 * (1 + fabs(wanted)));
            }
        }
        sonde_quantizer_free(quantizer);
        free(x), free(codes), free(back);
    }
}

/* ---- even codebooks --------------------------------------------------------------------------------------------- */

/* Entropy of the use of a one-part code, as a share of the most there can be. */
static double evenness(const char *spec, const float *x, int64_t n, int64_t d, int k)
{
    sonde_quantizer *quantizer = trained(spec, d, x, n);
    uint8_t *codes = encode(quantizer, x, n);
    int64_t *size = test_alloc((size_t)k, sizeof *size);
    double entropy = 0;
    for (int64_t i = 0; i < n; i++) size[value_of(codes + i * quantizer->code_bytes, 0, 4)]++;
    for (int v = 0; v < k; v++)
        if (size[v]) entropy -= (double)size[v] / (double)n * log((double)size[v] / (double)n);
    sonde_quantizer_free(quantizer);
    free(codes), free(size);
    return entropy / log(k);
}

/* On rows of which most lie close together, centroids under a balance are used more evenly. */
static void balanced_codebooks(void **state)
{
    (void)state;
    enum { N = 3200, D = 4 };
    float *x = test_vectors(N, D, 0, 51);
    for (int64_t i = 0; i < N * D; i++) x[i] *= i / D % 10 < 8 ? 0.3f : 4;
    double none = evenness("pq(m=1, bits=4)", x, N, D, 16);
    double sinkhorn = evenness("pq(m=1, bits=4, balance=sinkhorn)", x, N, D, 16);
    double capacity = evenness("pq(m=1, bits=4, balance=capacity)", x, N, D, 16);
    assert_true(none < 0.9);
    if (sinkhorn < none + 0.05 || capacity < none + 0.05)
        fail_msg("evenness: none %.3f, sinkhorn %.3f, capacity %.3f", none, sinkhorn, capacity);
    free(x);
}

/* ---- opq -------------------------------------------------------------------------------------------------------- */

static void rotation_is_orthonormal(void **state)
{
    (void)state;
    enum { N = 800, D = 22 };
    float *x = correlated(N, D, 9, 61);
    for (int iters = 0; iters <= 6; iters += 3) {
        char spec[96];
        snprintf(spec, sizeof spec, "opq(m=5, bits=4, iters=%d, code=pq(pad=yes))", iters);
        sonde_quantizer *quantizer = trained(spec, D, x, N);
        const sonde__pq *pq = quantizer->state;
        for (int64_t i = 0; i < D; i++)
            for (int64_t j = 0; j < D; j++) {
                double product = dot(pq->learned.frame.map + i * D, pq->learned.frame.map + j * D, D);
                assert_true(fabs(product - (i == j)) < 1e-5);
            }
        sonde_quantizer_free(quantizer);
    }
    free(x);
}

/* Clusters of which each moves all columns: a rotation lowers the error, and rounds lower it further. On a
 * round cloud, where nothing is to be gained, little is lost. */
static void rotation_lowers_the_error(void **state)
{
    (void)state;
    enum { N = 4000, D = 32 };
    float *x = test_vectors(N, D, 60, 62), *cloud = test_vectors(N, D, 0, 63);
    double plain = error_with("pq(m=8, bits=4)", D, x, N),
           start = error_with("opq(m=8, bits=4, iters=0)", D, x, N);
    double rounds = error_with("opq(m=8, bits=4, iters=20)", D, x, N);
    if (!(start < 0.95 * plain && rounds < 0.9 * start))
        fail_msg("error: pq %g, start %g, after 20 rounds %g", plain, start, rounds);
    plain = error_with("pq(m=8, bits=4)", D, cloud, N);
    assert_true(error_with("opq(m=8, bits=4)", D, cloud, N) < 1.02 * plain);
    free(x), free(cloud);
}

/* The start deals directions out so that the parts' products of variances are alike; columns of falling
 * variance are their own principal directions. */
static void start_balances_variances(void **state)
{
    (void)state;
    enum { N = 5000, D = 16, M = 4 };
    float *x = test_vectors(N, D, 0, 64);
    double product[M] = {0}, least = 1e9, most = -1e9;
    for (int64_t i = 0; i < N * D; i++) x[i] *= powf(0.8f, (float)(i % D));
    sonde_quantizer *quantizer = trained("opq(m=4, bits=4, iters=0)", D, x, N);
    const float *map = ((const sonde__pq *)quantizer->state)->learned.frame.map;
    for (int64_t row = 0; row < D; row++) {
        double variance = 0;
        for (int64_t j = 0; j < D; j++)
            variance += pow(0.8, 2.0 * (double)j) * map[row * D + j] * map[row * D + j];
        product[row / (D / M)] += log(variance);
    }
    for (int j = 0; j < M; j++) least = fmin(least, product[j]), most = fmax(most, product[j]);
    assert_true(most - least < 0.5); /* parts of neighbouring columns would differ by 21 */
    sonde_quantizer_free(quantizer);
    free(x);
}

static void specs_of_opq(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        int64_t dim, bytes;
    } cases[] = {
        {"opq(m=48, code=pq(bits=4))", 384, 24},
        {"opq(m=48)", 384, 48},
        {"opq(code=pq(m=24))", 384, 24},
        {"opq(m=48, bits=4, code=pq(m=24))", 384, 24},
        {"opq(bits=10, code=pq(m=8, bits=4))", 64, 10},
        {"opq(m=20, code=pq(pad=yes))", 127, 20},
    };
    for (int c = 0; c < COUNT(cases); c++) {
        sonde_quantizer *quantizer = create(cases[c].spec, cases[c].dim, NULL);
        assert_int_equal(sonde_quantizer_code_bytes(quantizer), cases[c].bytes);
        sonde_quantizer_free(quantizer);
    }
    sonde_quantizer *none = NULL;
    FAILS(sonde_quantizer_create("opq(m=5)", 16, NULL, &none), SONDE_INVALID_ARGUMENT,
          "m=5 does not divide dim=16");
    FAILS(sonde_quantizer_create("opq(m=17)", 16, NULL, &none), SONDE_INVALID_ARGUMENT,
          "m=17 is more than dim=16");
    FAILS(sonde_quantizer_create("opq(code=sq)", 16, NULL, &none), SONDE_INVALID_ARGUMENT, "only pq(...)");
    FAILS(sonde_quantizer_create("opq", 8193, NULL, &none), SONDE_INVALID_ARGUMENT, "8192");
    FAILS(sonde_quantizer_create("pq(loss=moment, pad=yes)", 8193, NULL, &none), SONDE_INVALID_ARGUMENT,
          "8192");
    assert_null(none);
}

/* ---- loss=score ------------------------------------------------------------------------------------------------- */

static double score_loss(const float *x, const float *back, int64_t d, double eta)
{
    double along = dot(x, x, d) - dot(x, back, d), norm2 = dot(x, x, d);
    return distance2(x, back, d) + (norm2 > 0 ? (eta - 1) * along * along / norm2 : 0);
}

/* Sum of the loss over rows. */
static double score_loss_of(const sonde_quantizer *quantizer, const float *x, int64_t n, double eta)
{
    int64_t d = sonde_quantizer_dim(quantizer);
    uint8_t *codes = encode(quantizer, x, n);
    float *back = decode(quantizer, codes, n);
    double loss = 0;
    for (int64_t i = 0; i < n; i++) loss += score_loss(x + i * d, back + i * d, d, eta);
    free(codes), free(back);
    return loss;
}

/* No other centroid of one part makes the loss of a row smaller. */
static void score_codes_are_settled(void **state)
{
    (void)state;
    enum { N = 500, D = 24, FEW = 40 };
    static const char *const specs[] = {"pq(m=6, bits=4, iters=3, loss=score)",
                                        "pq(m=5, bits=5, iters=3, loss=score, pad=yes)",
                                        "pq(m=6, bits=2, iters=3, loss=score, threshold=0.6)"};
    float *x = test_vectors(N, D, 4, 71);
    memset(x, 0, D * sizeof *x); /* a row without a direction */
    for (int s = 0; s < COUNT(specs); s++) {
        sonde_quantizer *quantizer = trained(specs[s], D, x, N);
        const sonde__pq *pq = quantizer->state;
        double t = s == 2 ? 0.6 : 0.2, eta = (D - 1) * t * t / (1 - t * t);
        uint8_t *codes = encode(quantizer, x, FEW);
        float *back = decode(quantizer, codes, FEW);
        if (eta < 1) eta = 1;
        assert_true(fabs(pq->learned.eta - eta) < 1e-4 * eta);
        for (int64_t i = 0; i < FEW; i++) {
            double own = score_loss(x + i * D, back + i * D, D, eta);
            for (int64_t j = 0; j < pq->m; j++)
                for (int64_t v = 0; v < pq->k; v++) {
                    float other[D];
                    memcpy(other, back + i * D, sizeof other);
                    memcpy(other + sonde__pq_first(pq, j),
                           sonde__pq_centroids(pq, pq->learned.centroids, j) + v * pq->width,
                           (size_t)sonde__pq_columns(pq, j) * sizeof *other);
                    if (score_loss(x + i * D, other, D, eta) < own * (1 - 1e-4) - 1e-4)
                        fail_msg("%s: row %lld part %lld: %g is better than %g", specs[s], (long long)i,
                                 (long long)j, score_loss(x + i * D, other, D, eta), own);
                }
        }
        sonde_quantizer_free(quantizer);
        free(codes), free(back);
    }
    free(x);
}

/* Codebooks and codes for the loss are better at it than nearest codes, and those are better at distances. */
static void score_lowers_its_loss(void **state)
{
    (void)state;
    enum { N = 3000, D = 32 };
    float *x = test_vectors(N, D, 12, 72);
    static const char *const specs[][2] = {
        {"pq(m=8, bits=4)", "pq(m=8, bits=4, loss=score, threshold=0.5)"},
        {"opq(m=8, bits=4, iters=4)", "opq(m=8, bits=4, iters=4, code=pq(loss=score, threshold=0.5))"}};
    for (int s = 0; s < COUNT(specs); s++) {
        double eta = 31 * 0.25 / 0.75;
        sonde_quantizer *plain = trained(specs[s][0], D, x, N), *score = trained(specs[s][1], D, x, N);
        double before = score_loss_of(plain, x, N, eta), after = score_loss_of(score, x, N, eta);
        if (!(after < 0.8 * before)) fail_msg("%s: loss %g, plain %g", specs[s][1], after, before);
        assert_true(error_of(plain, x, N) < error_of(score, x, N));
        sonde_quantizer_free(plain), sonde_quantizer_free(score);
    }
    free(x);
}

/* eta is never below 1, and 1 is plain distance: the same codebooks and codes. */
static void threshold_zero_is_mse(void **state)
{
    (void)state;
    enum { N = 400, D = 12 };
    float *x = test_vectors(N, D, 3, 73);
    sonde_quantizer *a = trained("pq(bits=4)", D, x, N),
                    *b = trained("pq(bits=4, loss=score, threshold=0)", D, x, N);
    uint8_t *codes = encode(a, x, N), *same = encode(b, x, N);
    assert_memory_equal(codes, same, (size_t)(N * a->code_bytes));
    sonde_quantizer_free(a), sonde_quantizer_free(b);
    free(x), free(codes), free(same);
}

/* ---- what queries teach ----------------------------------------------------------------------------------------- */

/* Planted as in the card of RepCONC: 16 directions that queries ask for, 16 of twice the size that they
 * hardly do, all turned together; a query is a row's noisy copy. */
static void planted(int64_t n, int64_t d, int64_t count, float *x, float *queries)
{
    float *turn = test_alloc((size_t)(d * d), sizeof *turn), z[64];
    uint64_t state = 81;
    sonde_runtime *runtime = test_runtime(1);
    OK(sonde__random_rotation(runtime, d, 5, turn));
    sonde_runtime_free(runtime);
    for (int64_t i = 0; i < n + count; i++) {
        float *to = i < n ? x + i * d : queries + (i - n) * d;
        memset(to, 0, (size_t)d * sizeof *to);
        for (int64_t j = 0; j < d; j++)
            z[j] = test_normal(&state) * (j < d / 2 ? 1.0f : 2.0f) * (i >= n && j >= d / 2 ? 0.05f : 1);
        for (int64_t j = 0; j < d; j++)
            for (int64_t o = 0; o < d; o++) to[o] += z[j] * turn[j * d + o];
    }
    free(turn);
}

/* Share of the ten best rows of each query that scores on codes find among their ten best. */
static double recall_of(const sonde_quantizer *quantizer, const float *x, int64_t n, const float *queries,
                        int64_t count)
{
    int64_t d = sonde_quantizer_dim(quantizer), common = 0;
    uint8_t *codes = encode(quantizer, x, n);
    float *back = decode(quantizer, codes, n);
    for (int64_t q = 0; q < count; q++) {
        int64_t best[2][10];
        for (int side = 0; side < 2; side++) {
            const float *rows = side ? back : x;
            double score[10];
            int held = 0;
            for (int64_t i = 0; i < n; i++) {
                double s = dot(queries + q * d, rows + i * d, d);
                int at = held < 10 ? held++ : 9;
                if (at == 9 && held == 10 && i >= 10 && s <= score[9]) continue;
                for (; at > 0 && s > score[at - 1]; at--)
                    score[at] = score[at - 1], best[side][at] = best[side][at - 1];
                score[at] = s, best[side][at] = i;
            }
        }
        for (int a = 0; a < 10; a++)
            for (int b = 0; b < 10; b++) common += best[0][a] == best[1][b];
    }
    free(codes), free(back);
    return (double)common / (10.0 * (double)count);
}

enum { PLANTED_ROWS = 1500, PLANTED_DIM = 32, PLANTED_QUERIES = 400 };

static double planted_recall(const char *spec, const float *x, const float *queries, bool *mapped)
{
    sonde_quantizer *quantizer = create(spec, PLANTED_DIM, NULL);
    OK(train_with(quantizer, x, PLANTED_ROWS, queries, PLANTED_QUERIES));
    double recall = recall_of(quantizer, x, PLANTED_ROWS, queries, 100);
    uint8_t *codes = encode(quantizer, x, 50);
    check_scores(quantizer, x, codes, 50);
    *mapped = ((const sonde__pq *)quantizer->state)->learned.frame.query_map != NULL;
    sonde_quantizer_free(quantizer);
    free(codes);
    return recall;
}

/* Where queries keep to few directions the second moment finds many more of the best rows, and auto chooses
 * it; where they do not, auto does without. */
static void queries_choose(void **state)
{
    (void)state;
    float *x = test_alloc(PLANTED_ROWS * PLANTED_DIM, sizeof *x), *queries;
    queries = test_alloc(PLANTED_QUERIES * PLANTED_DIM, sizeof *queries);
    planted(PLANTED_ROWS, PLANTED_DIM, PLANTED_QUERIES, x, queries);
    bool mapped;
    double plain = planted_recall("pq(m=8, bits=4)", x, queries, &mapped);
    assert_false(mapped);
    double moment = planted_recall("pq(m=8, bits=4, loss=moment)", x, queries, &mapped);
    assert_true(mapped);
    double chosen = planted_recall("pq(m=8, bits=4, loss=auto)", x, queries, &mapped);
    assert_true(mapped);
    double turned = planted_recall("opq(m=8, bits=4, iters=5, code=pq(loss=moment))", x, queries, &mapped);
    assert_true(mapped);
    double rotated = planted_recall("opq(m=8, bits=4, iters=5)", x, queries, &mapped);
    if (!(moment > 1.25 * plain && chosen > 1.25 * plain && turned > 1.5 * rotated))
        fail_msg("recall: mse %.3f, moment %.3f, auto %.3f; opq %.3f, %.3f", plain, moment, chosen, rotated,
                 turned);
    /* Queries that ask for what rows hardly have: their moment would spend the code on it. */
    for (int64_t i = 0; i < PLANTED_ROWS * PLANTED_DIM; i++) x[i] = i % PLANTED_DIM < 4 ? x[i] * 0.05f : x[i];
    for (int64_t q = 0; q < PLANTED_QUERIES; q++)
        for (int64_t j = 0; j < PLANTED_DIM; j++)
            queries[q * PLANTED_DIM + j] = x[(q * 3 % PLANTED_ROWS) * PLANTED_DIM + j];
    double same = planted_recall("pq(m=8, bits=4)", x, queries, &mapped);
    double best = planted_recall("pq(m=8, bits=4, loss=auto)", x, queries, &mapped);
    if (best < same - 0.03) fail_msg("recall: mse %.3f, auto %.3f", same, best);
    free(x), free(queries);
}

static void auto_without_queries_is_mse(void **state)
{
    (void)state;
    enum { N = 400, D = 12 };
    float *x = test_vectors(N, D, 3, 83);
    sonde_quantizer *a = trained("pq(bits=4)", D, x, N), *b = trained("pq(bits=4, loss=auto)", D, x, N);
    uint8_t *codes = encode(a, x, N), *same = encode(b, x, N);
    assert_memory_equal(codes, same, (size_t)(N * a->code_bytes));
    sonde_quantizer_free(a), sonde_quantizer_free(b);
    free(x), free(codes), free(same);
}

static void bad_queries(void **state)
{
    (void)state;
    enum { N = 100, D = 12 };
    float *x = test_vectors(N, D, 3, 84);
    sonde_quantizer *quantizer = create("pq(bits=4, loss=moment)", D, NULL);
    sonde_array rows = sonde_f32(x, N, D), narrow = sonde_f32(x, N, D - 1), one = sonde_f32(x, 1, D);
    sonde_input inputs[] = {{"vectors", &rows}, {"queries", &narrow}, {"queries", &one}};
    FAILS(sonde_quantizer_train(quantizer, inputs, 1), SONDE_INVALID_ARGUMENT,
          "loss=moment needs the input \"queries\"");
    FAILS(sonde_quantizer_train(quantizer, inputs, 2), SONDE_INVALID_ARGUMENT, "queries");
    FAILS(sonde_quantizer_train(quantizer, inputs + 1, 1), SONDE_INVALID_ARGUMENT, "vectors");
    assert_false(sonde_quantizer_trained(quantizer));
    inputs[1].array = &one; /* one query alone has a moment too */
    OK(sonde_quantizer_train(quantizer, inputs, 2));
    float *bad = test_vectors(N, D, 3, 85);
    sonde_array broken = sonde_f32(bad, N, D);
    bad[17] = NAN;
    inputs[1].array = &broken;
    FAILS(sonde_quantizer_train(quantizer, inputs, 2), SONDE_INVALID_ARGUMENT, "queries");
    assert_true(sonde_quantizer_trained(quantizer));
    sonde_quantizer_free(quantizer);
    free(x), free(bad);
}

/* ---- what all share --------------------------------------------------------------------------------------------- */

static const char *const learners[] = {"pq(m=4, bits=4, iters=3, loss=auto)",
                                       "pq(m=4, bits=3, iters=2, loss=moment)",
                                       "opq(m=4, bits=4, iters=2, code=pq(iters=3, loss=score))",
                                       "opq(m=3, bits=5, iters=2, code=pq(iters=3, loss=auto))"};

static void threads_make_no_difference(void **state)
{
    (void)state;
    enum { N = 700, D = 12, QUERIES = 80 };
    float *x = test_vectors(N, D, 6, 91), *queries = test_vectors(QUERIES, D, 2, 92);
    for (int s = 0; s < COUNT(learners); s++) {
        uint8_t *first = NULL;
        for (uint32_t threads = 1; threads <= 7; threads += 3) {
            sonde_runtime *runtime = test_runtime(threads);
            sonde_quantizer *quantizer = create(learners[s], D, runtime);
            OK(train_with(quantizer, x, N, queries, QUERIES));
            uint8_t *codes = encode(quantizer, x, N);
            if (!first) first = codes;
            assert_memory_equal(first, codes, (size_t)(N * quantizer->code_bytes));
            if (first != codes) free(codes);
            sonde_quantizer_free(quantizer);
            sonde_runtime_free(runtime);
        }
        free(first);
    }
    free(x), free(queries);
}

static void files_keep_what_was_learned(void **state)
{
    (void)state;
    enum { N = 300, D = 12, QUERIES = 80 };
    float *x = test_vectors(N, D, 6, 93), *queries = test_vectors(QUERIES, D, 2, 94);
    char path[256];
    test_path(path, sizeof path, "pq");
    for (int s = 0; s < COUNT(learners); s++) {
        sonde_quantizer *quantizer = create(learners[s], D, NULL), *opened = NULL;
        OK(train_with(quantizer, x, N, queries, QUERIES));
        OK(sonde_quantizer_save(quantizer, path));
        OK(sonde_quantizer_open(path, NULL, NULL, &opened));
        uint8_t *codes = encode(quantizer, x, N), *same = encode(opened, x, N);
        float *back = decode(quantizer, codes, N), *again = decode(opened, codes, N);
        assert_memory_equal(codes, same, (size_t)(N * quantizer->code_bytes));
        assert_memory_equal(back, again, N * D * sizeof *back);
        assert_string_equal(sonde_quantizer_spec(quantizer), sonde_quantizer_spec(opened));
        sonde_quantizer_free(quantizer), sonde_quantizer_free(opened);
        free(codes), free(same), free(back), free(again);
    }
    unlink(path);
    free(x), free(queries);
}

/* Files written by hand: what save would write but for one thing. */
static void hostile_files(void **state)
{
    (void)state;
    static float book[64], map[17] = {1}, nan_map[16] = {NAN};
    static const struct {
        const char *spec;
        const float *map;
        uint64_t map_count, query_count;
        double eta;
    } cases[] = {
        {"opq(m=2, bits=4)", NULL, 0, 0, 1},
        {"opq(m=2, bits=4)", map, 15, 0, 1},
        {"opq(m=2, bits=4)", map, 17, 0, 1},
        {"opq(m=2, bits=4)", nan_map, 16, 0, 1},
        {"opq(m=2, bits=4)", map, 16, 9, 1},
        {"pq(m=2, bits=4, loss=auto)", map, 15, 0, 1},
        {"pq(m=2, bits=4, loss=score)", NULL, 0, 0, 0.5},
        {"pq(m=2, bits=4, loss=score)", NULL, 0, 0, 1e30},
    };
    char path[256];
    sonde_quantizer *quantizer = NULL;
    sonde_runtime *runtime = test_runtime(1);
    test_path(path, sizeof path, "hostile");
    for (int c = 0; c < COUNT(cases); c++) {
        sonde__writer *writer;
        OK(sonde__writer_create(runtime, path, "quantizer", cases[c].spec, &writer));
        OK(sonde__write_int(writer, "dim", 4));
        OK(sonde__write_int(writer, "trained", 1));
        OK(sonde__write_array(writer, "CODEBOOK", book, 64, 4));
        if (cases[c].map) OK(sonde__write_array(writer, "MAP", cases[c].map, cases[c].map_count, 4));
        if (cases[c].query_count) OK(sonde__write_array(writer, "QUERYMAP", map, cases[c].query_count, 4));
        if (cases[c].eta != 1) OK(sonde__write_real(writer, "eta", cases[c].eta));
        OK(sonde__writer_finish(writer));
        FAILS(sonde_quantizer_open(path, NULL, runtime, &quantizer), SONDE_CORRUPT, path);
        assert_null(quantizer);
    }
    unlink(path);
    sonde_runtime_free(runtime);
}

static const char *scene_spec;

static sonde_status scene(sonde_runtime_options *options)
{
    enum { N = 40, D = 8, QUERIES = 40 };
    sonde_runtime *runtime = NULL;
    sonde_quantizer *quantizer = NULL;
    options->threads = 1;
    SONDE_TRY(sonde_runtime_create(options, &runtime));
    float *x = test_vectors(N, D, 0, 95);
    uint8_t codes[N * 8];
    sonde_status status = sonde_quantizer_create(scene_spec, D, runtime, &quantizer);
    if (status == SONDE_OK) status = train_with(quantizer, x, N, x, QUERIES);
    if (status == SONDE_OK) {
        sonde_array rows = sonde_f32(x, N, D),
                    out = sonde_u8(codes, N, sonde_quantizer_code_bytes(quantizer));
        status = sonde_quantizer_encode(quantizer, &rows, &out);
    }
    sonde_quantizer_free(quantizer);
    sonde_runtime_free(runtime);
    free(x);
    return status;
}

static void failing_allocations(void **state)
{
    (void)state;
    static const char *const small[] = {"pq(m=2, bits=2, iters=1, loss=auto)",
                                        "opq(m=2, bits=3, iters=1, code=pq(iters=1, sample=30, loss=score))"};
    for (int s = 0; s < COUNT(small); s++) {
        scene_spec = small[s];
        assert_true(failing_walk(scene) > 20);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_width),
    cmocka_unit_test(few_bits_of_many_columns),
    cmocka_unit_test(best_rows_on_all_sets),
    cmocka_unit_test(sixteen_bits),
    cmocka_unit_test(nibble_tables),
    cmocka_unit_test(balanced_codebooks),
    cmocka_unit_test(rotation_is_orthonormal),
    cmocka_unit_test(rotation_lowers_the_error),
    cmocka_unit_test(start_balances_variances),
    cmocka_unit_test(specs_of_opq),
    cmocka_unit_test(score_codes_are_settled),
    cmocka_unit_test(score_lowers_its_loss),
    cmocka_unit_test(threshold_zero_is_mse),
    cmocka_unit_test(queries_choose),
    cmocka_unit_test(auto_without_queries_is_mse),
    cmocka_unit_test(bad_queries),
    cmocka_unit_test(threads_make_no_difference),
    cmocka_unit_test(files_keep_what_was_learned),
    cmocka_unit_test(hostile_files),
    cmocka_unit_test(failing_allocations),
};

SONDE_TEST_MAIN(tests)
