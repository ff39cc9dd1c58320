/* test_bebr.c: recurrent binary embeddings: every bit against the recurrence in double, distances of codes against
 * the popcount form in whole numbers, zero vectors, recall against other codes of as many bits, threads, memory.
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
#include "quantizers/codes.h"
#include "quantizers/quantizer.h"
#include "../quantizer_steps.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static sonde_quantizer *trained(const char *spec, int64_t dim, sonde_runtime *runtime, const float *x, int64_t n)
{
    sonde_quantizer *quantizer = create(spec, dim, runtime);
    OK(train(quantizer, x, n));
    return quantizer;
}

static void encode_into(const sonde_quantizer *quantizer, const float *x, int64_t n, uint8_t *codes)
{
    sonde_array rows = sonde_f32(x, n, sonde_quantizer_dim(quantizer));
    sonde_array out = sonde_u8(codes, n, sonde_quantizer_code_bytes(quantizer));
    OK(sonde_quantizer_encode(quantizer, &rows, &out));
}

/* Bit `plane` (0 = the first loop's) of digit j. */
static int bit_of(const uint8_t *code, int64_t j, int bits, int plane)
{
    int64_t at = j * bits + bits - 1 - plane;
    return code[at / 8] >> (at % 8) & 1;
}

/* ---- codes ------------------------------------------------------------------------------------------------------ */

/* B_i[j] = sum over the first planes of +-2^-plane. */
static void planes_sum(const uint8_t *code, int64_t m, int bits, int planes, double *sum)
{
    for (int64_t j = 0; j < m; j++) {
        sum[j] = 0;
        for (int p = 0; p < planes; p++) sum[j] += ldexp(bit_of(code, j, bits, p) ? 1 : -1, -p);
    }
}

static double length_of(const double *x, int64_t n)
{
    double sum = 0;
    for (int64_t j = 0; j < n; j++) sum += x[j] * x[j];
    return sqrt(sum);
}

/* Every bit is the sign of what the bits before it leave, and decode is the direction of their sum. */
static void check_codes(int64_t d, int64_t m, int bits, const char *base)
{
    enum { N = 120, MOST = 160 };
    char spec[96];
    snprintf(spec, sizeof spec, "bebr(dim=%d, loops=%d, base=%s)", (int)m, bits - 1, base);
    float *x = test_vectors(N, d, 3, 31), *back;
    sonde_quantizer *quantizer = trained(spec, d, NULL, x, N);
    uint8_t *codes = encode(quantizer, x, N);
    int64_t bytes = sonde_quantizer_code_bytes(quantizer), checked = 0;
    sonde_array directions;
    OK(sonde_quantizer_output(quantizer, "directions", &directions));
    const float *w = directions.data;
    assert_int_equal(directions.rows, m);
    assert_int_equal(bytes, (m * bits + 7) / 8);
    for (int64_t a = 0; a < m; a++)
        for (int64_t b = 0; b <= a; b++) assert_true(fabs(test_dot(w + a * d, w + b * d, d) - (a == b)) < 1e-5);
    back = decode(quantizer, codes, N);
    for (int64_t i = 0; i < N; i++) {
        const uint8_t *code = codes + i * bytes;
        double y[MOST], sum[MOST];
        for (int64_t j = 0; j < m; j++) y[j] = test_dot(x + i * d, w + j * d, d);
        double length = length_of(y, m);
        for (int p = 0; p < bits; p++) {
            planes_sum(code, m, bits, p, sum);
            double so_far = p ? length_of(sum, m) : 1;
            for (int64_t j = 0; j < m; j++) {
                double left = y[j] / length - sum[j] / so_far;
                if (fabs(left) < 1e-6) continue;
                assert_int_equal(bit_of(code, j, bits, p), left > 0);
                checked++;
            }
        }
        planes_sum(code, m, bits, bits, sum);
        double size = length_of(sum, m);
        for (int64_t k = 0; k < d; k++) {
            double value = 0;
            for (int64_t j = 0; j < m; j++) value += sum[j] / size * w[j * d + k];
            assert_true(fabs(value - back[i * d + k]) < 1e-5);
        }
        for (int64_t b = m * bits; b < 8 * bytes; b++) assert_int_equal(code[b / 8] >> (b % 8) & 1, 0);
    }
    assert_true(m == 1 || checked > N * m * bits * 99 / 100); /* of one column every later bit is a tie */
    free(back);
    free(codes);
    free(x);
    sonde_quantizer_free(quantizer);
}

static void test_codes(void **state)
{
    (void)state;
    for (int bits = 1; bits <= 8; bits++) {
        check_codes(37, 37, bits, "random");
        check_codes(40, 13, bits, "itq");
    }
    check_codes(130, 130, 3, "random");
    check_codes(50, 21, 2, "pca");
    check_codes(1, 1, 4, "itq");
}

/* The first plane is the code without loops, and each loop leaves less of the direction. */
static void test_loops_refine(void **state)
{
    (void)state;
    enum { N = 200, D = 48 };
    float *x = test_vectors(N, D, 0, 32);
    uint8_t *first = NULL;
    double last = INFINITY;
    for (int64_t i = 0; i < N; i++) {
        double length = sqrt(test_dot(x + i * D, x + i * D, D));
        for (int j = 0; j < D; j++) x[i * D + j] = (float)(x[i * D + j] / length);
    }
    for (int bits = 1; bits <= 8; bits++) {
        char spec[64];
        snprintf(spec, sizeof spec, "bebr(loops=%d)", bits - 1);
        sonde_quantizer *quantizer = trained(spec, D, NULL, x, N);
        uint8_t *codes = encode(quantizer, x, N);
        float *back = decode(quantizer, codes, N);
        double error = test_distance(x, back, N * D) / N;
        assert_true(error < (bits <= 4 ? 0.6 : 1) * last);
        last = error;
        if (bits == 1) first = codes;
        for (int64_t i = 0; i < N; i++)
            for (int64_t j = 0; j < D; j++)
                assert_int_equal(bit_of(codes + i * D * bits / 8, j, bits, 0), bit_of(first + i * D / 8, j, 1, 0));
        if (bits > 1) free(codes);
        free(back);
        sonde_quantizer_free(quantizer);
    }
    free(first);
    free(x);
}

/* Without loops and with random directions, the share of differing bits is the angle over pi. */
static void test_angles(void **state)
{
    (void)state;
    enum { D = 24, SEEDS = 150, PAIRS = 6 };
    float *x = test_vectors(2 * PAIRS, D, 0, 33);
    double differing[PAIRS] = {0};
    for (int seed = 0; seed < SEEDS; seed++) {
        char spec[64];
        snprintf(spec, sizeof spec, "bebr(loops=0, base=random, seed=%d)", seed);
        sonde_quantizer *quantizer = trained(spec, D, NULL, x, 2 * PAIRS);
        uint8_t *codes = encode(quantizer, x, 2 * PAIRS);
        for (int p = 0; p < PAIRS; p++)
            for (int64_t j = 0; j < D; j++)
                differing[p] += bit_of(codes + 2 * p * 3, j, 1, 0) != bit_of(codes + (2 * p + 1) * 3, j, 1, 0);
        free(codes);
        sonde_quantizer_free(quantizer);
    }
    for (int p = 0; p < PAIRS; p++) {
        const float *u = x + 2 * p * D, *v = u + D;
        double share = acos(test_dot(u, v, D) / sqrt(test_dot(u, u, D) * test_dot(v, v, D))) / M_PI;
        assert_true(fabs(differing[p] / (D * SEEDS) - share) < 4 * sqrt(share * (1 - share) / (D * SEEDS)));
    }
    free(x);
}

/* Lengths do not matter: powers of two exactly, out to the ends of the range; other factors up to ties. */
static void test_lengths_do_not_matter(void **state)
{
    (void)state;
    enum { N = 40, D = 33, BYTES = (D * 4 + 7) / 8 };
    float *x = test_vectors(N, D, 0, 34), *y = test_alloc(N * D, sizeof *y);
    sonde_quantizer *quantizer = trained("bebr(loops=3)", D, NULL, x, N);
    uint8_t *codes = encode(quantizer, x, N), other[N * BYTES];
    static const float factors[] = {2, 0.5f, 0x1p100f, 0x1p-100f, 0x1p124f};
    for (int f = 0; f < COUNT(factors); f++) {
        for (int i = 0; i < N * D; i++) y[i] = x[i] * factors[f];
        encode_into(quantizer, y, N, other);
        assert_memory_equal(codes, other, sizeof other);
    }
    int differing = 0;
    for (int i = 0; i < N * D; i++) y[i] = x[i] * 0.37f;
    encode_into(quantizer, y, N, other);
    for (int i = 0; i < N * BYTES; i++) differing += codes[i] != other[i];
    assert_true(differing <= 2);
    free(codes);
    free(x);
    free(y);
    sonde_quantizer_free(quantizer);
}

/* ---- distances -------------------------------------------------------------------------------------------------- */

/* 4^loops <B, B'> = sum over planes p, q of 2^(2 loops - p - q) (m - 2 differing bits). */
static int64_t popcount_product(const uint8_t *a, const uint8_t *b, int64_t m, int bits)
{
    int64_t sum = 0;
    for (int p = 0; p < bits; p++)
        for (int q = 0; q < bits; q++) {
            int64_t differing = 0;
            for (int64_t j = 0; j < m; j++) differing += bit_of(a, j, bits, p) != bit_of(b, j, bits, q);
            sum += (m - 2 * differing) * ((int64_t)1 << (2 * (bits - 1) - p - q));
        }
    return sum;
}

/* Random codes: the scores of pairs come from the whole numbers of the popcount form, to the last bit, and are the
 * products of the decoded vectors. */
static void check_pairs(int64_t m, int bits)
{
    enum { N = 70, Q = 4 };
    char spec[64];
    snprintf(spec, sizeof spec, "bebr(loops=%d, base=random)", bits - 1);
    float *x = test_vectors(N, m, 0, 35), scores[Q * N];
    sonde_quantizer *quantizer = trained(spec, m, NULL, x, N);
    int64_t bytes = sonde_quantizer_code_bytes(quantizer);
    uint8_t *codes = test_alloc((size_t)(N * bytes), 1), digits[256];
    uint64_t random = 36;
    for (int i = 0; i < N; i++) {
        for (int64_t j = 0; j < m; j++) digits[j] = (uint8_t)(test_u64(&random) & ((1u << bits) - 1));
        sonde__codes_pack(digits, m, bits, codes + i * bytes);
    }
    float *back = decode(quantizer, codes, N);
    sonde_array from = sonde_u8(codes, Q, bytes), to = sonde_u8(codes, N, bytes), out = sonde_f32(scores, Q, N);
    OK(sonde_quantizer_code_distances(quantizer, SONDE_METRIC_IP, &from, &to, &out));
    for (int q = 0; q < Q; q++)
        for (int i = 0; i < N; i++) {
            const uint8_t *a = codes + q * bytes, *b = codes + i * bytes;
            double norms = (double)popcount_product(a, a, m, bits) * (double)popcount_product(b, b, m, bits);
            float wanted = (float)((double)popcount_product(a, b, m, bits) / sqrt(norms));
            assert_true(scores[q * N + i] == wanted);
            assert_true(fabs(test_dot(back + q * m, back + i * m, m) - (double)wanted) < 1e-5);
        }
    free(back);
    free(codes);
    free(x);
    sonde_quantizer_free(quantizer);
}

static void test_pairs(void **state)
{
    (void)state;
    for (int bits = 1; bits <= 8; bits++) {
        check_pairs(1, bits);
        check_pairs(45, bits);
        check_pairs(203, bits);
    }
}

/* A query's score is its product with the reconstruction, by scan and by the fast-scan table. */
static void check_scores(int64_t d, int64_t m, int bits)
{
    enum { N = 77, Q = 5 };
    char spec[64];
    snprintf(spec, sizeof spec, "bebr(dim=%d, loops=%d)", (int)m, bits - 1);
    float *x = test_vectors(N, d, 2, 37), *queries = test_vectors(Q, d, 0, 38), scores[Q * N], squares[Q * N],
          scale[N];
    sonde_quantizer *quantizer = trained(spec, d, NULL, x, N);
    const sonde__quantizer_method *method = quantizer->method;
    uint8_t *codes = encode(quantizer, x, N);
    float *back = decode(quantizer, codes, N), table[16 * 160], base;
    int64_t bytes = quantizer->code_bytes, nibbles = method->nibbles(quantizer);
    sonde_array qs = sonde_f32(queries, Q, d), cs = sonde_u8(codes, N, bytes), out = sonde_f32(scores, Q, N);
    sonde_array out2 = sonde_f32(squares, Q, N);
    assert_int_equal(nibbles, bits == 1 || bits == 2 || bits == 4 ? (m * bits + 3) / 4 : 0);
    assert_int_equal(method->binary, bits == 1);
    OK(sonde_quantizer_distances(quantizer, SONDE_METRIC_IP, &qs, &cs, &out));
    OK(sonde_quantizer_distances(quantizer, SONDE_METRIC_L2, &qs, &cs, &out2));
    method->nibble_scales(quantizer, codes, bytes, N, scale);
    for (int q = 0; q < Q; q++) {
        const float *query = queries + q * d;
        double size = sqrt(test_dot(query, query, d));
        if (nibbles) method->nibble_table(quantizer, query, table, &base);
        for (int i = 0; i < N; i++) {
            double ip = test_dot(query, back + i * d, d), fast = base;
            assert_true(fabs(ip - scores[q * N + i]) <= 1e-5 * size);
            assert_true(fabs(size * size - 2 * ip + 1 - squares[q * N + i]) <= 4e-5 * size * size);
            if (!nibbles) continue;
            for (int64_t j = 0; j < nibbles; j++)
                fast += table[j * 16 + (codes[i * bytes + j / 2] >> (j % 2 * 4) & 15)];
            assert_true(fabs(ip - scale[i] * fast) <= 1e-5 * size);
        }
    }
    free(codes);
    free(back);
    free(queries);
    free(x);
    sonde_quantizer_free(quantizer);
}

static void test_scores(void **state)
{
    (void)state;
    for (int bits = 1; bits <= 8; bits++) {
        check_scores(33, 33, bits);
        check_scores(70, 31, bits);
    }
}

/* ---- zero vectors and other bad input --------------------------------------------------------------------------- */

static void test_zero_rows(void **state)
{
    (void)state;
    enum { N = 30, D = 7 };
    float *x = test_vectors(N, D, 0, 39), row[D], score[2], zero[2 * D] = {0};
    for (int bits = 1; bits <= 4; bits += 3) {
        char spec[64];
        snprintf(spec, sizeof spec, "bebr(loops=%d)", bits - 1);
        sonde_quantizer *quantizer = trained(spec, D, NULL, x, N);
        int64_t bytes = sonde_quantizer_code_bytes(quantizer);
        uint8_t codes[2 * D];
        sonde_array rows = sonde_f32(zero, 2, D), out = sonde_u8(codes, 2, bytes);
        memset(codes, 0x5a, sizeof codes);
        zero[0] = 1; /* only the second row is zero; the first must not be written */
        FAILS(sonde_quantizer_encode(quantizer, &rows, &out), SONDE_INVALID_ARGUMENT, "zero=code");
        assert_int_equal(codes[0], 0x5a);
        sonde_quantizer_free(quantizer);

        snprintf(spec, sizeof spec, "bebr(loops=%d, zero=code)", bits - 1);
        quantizer = trained(spec, D, NULL, x, N);
        /* The row against all directions would have digits of 0 alone. */
        sonde_array directions;
        OK(sonde_quantizer_output(quantizer, "directions", &directions));
        const float *w = directions.data;
        for (int j = 0; j < D; j++) {
            row[j] = 0;
            for (int k = 0; k < D; k++) row[j] -= w[k * D + j];
        }
        memcpy(zero, row, sizeof row);
        encode_into(quantizer, zero, 2, codes);
        int set = 0;
        for (int64_t b = 0; b < bytes; b++) {
            set += __builtin_popcount(codes[b]);
            assert_int_equal(codes[bytes + b], 0);
        }
        assert_true(bits == 1 ? set == 1 : set > 0);
        float *back = decode(quantizer, codes, 2);
        for (int j = 0; j < D; j++) assert_true(back[D + j] == 0);
        assert_true(fabs(test_dot(back, back, D) - 1) < 1e-5);
        sonde_array query = sonde_f32(row, 1, D), all = sonde_u8(codes, 2, bytes), scores = sonde_f32(score, 1, 2);
        OK(sonde_quantizer_distances(quantizer, SONDE_METRIC_L2, &query, &all, &scores));
        assert_true(fabs((double)score[1] - test_dot(row, row, D)) < 1e-4);
        sonde_array first = sonde_u8(codes, 1, bytes);
        OK(sonde_quantizer_code_distances(quantizer, SONDE_METRIC_IP, &first, &all, &scores));
        assert_true(fabs((double)score[0] - 1) < 1e-6 && score[1] == 0);
        free(back);
        memset(zero, 0, sizeof zero);
        sonde_quantizer_free(quantizer);
    }
    free(x);
}

static void test_bad_input(void **state)
{
    (void)state;
    enum { N = 30, D = 12 };
    sonde_quantizer *quantizer = NULL;
    float *x = test_vectors(N, D, 0, 40), *zeros = test_alloc(N * D, sizeof *zeros);
    FAILS(sonde_quantizer_create("bebr(dim=0)", D, NULL, &quantizer), SONDE_INVALID_ARGUMENT, "dim");
    FAILS(sonde_quantizer_create("bebr(dim=4097)", 5000, NULL, &quantizer), SONDE_INVALID_ARGUMENT, "dim");
    FAILS(sonde_quantizer_create("bebr(dim=13)", D, NULL, &quantizer), SONDE_INVALID_ARGUMENT, "12 columns");
    FAILS(sonde_quantizer_create("bebr(loops=8)", D, NULL, &quantizer), SONDE_INVALID_ARGUMENT, "loops");
    FAILS(sonde_quantizer_create("bebr(loops=-1)", D, NULL, &quantizer), SONDE_INVALID_ARGUMENT, "loops");
    assert_null(quantizer);
    OK(sonde_quantizer_create("bebr(loops=2)", D, NULL, &quantizer));
    FAILS(train(quantizer, x, 1), SONDE_INVALID_ARGUMENT, "2");
    FAILS(train(quantizer, zeros, N), SONDE_INVALID_ARGUMENT, "variance");
    assert_false(sonde_quantizer_trained(quantizer));
    OK(train(quantizer, x, N));
    /* 36 bits leave four of the last byte: a code with one of them set is none of ours. */
    uint8_t *codes = encode(quantizer, x, 1);
    float back[D];
    sonde_array one = sonde_u8(codes, 1, 5), out = sonde_f32(back, 1, D);
    OK(sonde_quantizer_decode(quantizer, &one, &out));
    codes[4] |= 0x10;
    FAILS(sonde_quantizer_decode(quantizer, &one, &out), SONDE_CORRUPT, "code 0");
    /* Bits of a code are not bits of a direction here. */
    float score;
    sonde_array query = sonde_f32(x, 1, D), scores = sonde_f32(&score, 1, 1);
    codes[4] &= 0x0f;
    FAILS(sonde_quantizer_distances(quantizer, SONDE_METRIC_HAMMING, &query, &one, &scores), SONDE_UNSUPPORTED,
          "bebr");
    /* Codes of another spec have other lengths. */
    sonde_array shorter = sonde_u8(codes, 1, 3);
    FAILS(sonde_quantizer_code_distances(quantizer, SONDE_METRIC_IP, &shorter, &one, &scores), SONDE_INVALID_ARGUMENT,
          "from");
    free(codes);
    free(x);
    free(zeros);
    sonde_quantizer_free(quantizer);
}

/* Columns that are zero in every row, and fewer rows than columns. */
static void test_degenerate_rows(void **state)
{
    (void)state;
    enum { N = 9, D = 24 };
    static const char *const bases[] = {"bebr(base=itq)", "bebr(base=pca, dim=20)", "bebr(base=random)"};
    float *x = test_vectors(N, D, 0, 41);
    for (int i = 0; i < N; i++) x[i * D + 4] = x[i * D + 23] = 0;
    for (int b = 0; b < COUNT(bases); b++) {
        sonde_quantizer *quantizer = trained(bases[b], D, NULL, x, N);
        uint8_t *codes = encode(quantizer, x, N);
        float *back = decode(quantizer, codes, N);
        for (int i = 0; i < N; i++) {
            const float *u = x + i * D, *v = back + i * D;
            assert_true(test_dot(u, v, D) > 0.98 * sqrt(test_dot(u, u, D) * test_dot(v, v, D)));
        }
        free(codes);
        free(back);
        sonde_quantizer_free(quantizer);
    }
    free(x);
}

/* ---- recall ----------------------------------------------------------------------------------------------------- */

struct recall_data {
    int n, queries, d;
    float *x, *q;
};

/* The ten largest of n scores, ties to the lower number. */
static void best_ten(const float *scores, int n, int ten[10])
{
    for (int k = 0; k < 10; k++) {
        int best = -1;
        for (int i = 0; i < n; i++) {
            bool taken = false;
            for (int t = 0; t < k; t++) taken = taken || ten[t] == i;
            if (!taken && (best < 0 || scores[i] > scores[best])) best = i;
        }
        ten[k] = best;
    }
}

/* Symmetric: queries are coded too. */
static double recall_of(const struct recall_data *data, const char *spec)
{
    sonde_quantizer *quantizer = trained(spec, data->d, NULL, data->x, data->n);
    int64_t bytes = sonde_quantizer_code_bytes(quantizer);
    uint8_t *codes = encode(quantizer, data->x, data->n), *own = encode(quantizer, data->q, data->queries);
    float *scores = test_alloc((size_t)(data->queries * data->n), sizeof *scores);
    float *exact = test_alloc((size_t)data->n, sizeof *exact);
    sonde_array q = sonde_u8(own, data->queries, bytes), c = sonde_u8(codes, data->n, bytes);
    sonde_array out = sonde_f32(scores, data->queries, data->n);
    int found = 0;
    OK(sonde_quantizer_code_distances(quantizer, SONDE_METRIC_COSINE, &q, &c, &out));
    for (int i = 0; i < data->queries; i++) {
        int truth[10], got[10];
        for (int j = 0; j < data->n; j++)
            exact[j] = (float)test_dot(data->q + i * data->d, data->x + j * data->d, data->d);
        best_ten(exact, data->n, truth);
        best_ten(scores + i * data->n, data->n, got);
        for (int a = 0; a < 10; a++)
            for (int b = 0; b < 10; b++) found += truth[a] == got[b];
    }
    free(scores);
    free(exact);
    free(own);
    free(codes);
    sonde_quantizer_free(quantizer);
    return found / (10.0 * data->queries);
}

/* 128 and 256 bits for 64 columns: two bits a dimension beat twice as many signs, four bits beat both. */
static void test_recall(void **state)
{
    (void)state;
    enum { D = 64 };
    struct recall_data data = {.n = 6000, .queries = 100, .d = D};
    data.x = test_vectors(data.n + data.queries, D, 0, 42);
    for (int64_t i = 0; i < data.n + data.queries; i++) {
        double length = sqrt(test_dot(data.x + i * D, data.x + i * D, D));
        for (int j = 0; j < D; j++) data.x[i * D + j] = (float)(data.x[i * D + j] / length);
    }
    data.q = data.x + data.n * D;
    double signs = recall_of(&data, "lsh(bits=128)"), one = recall_of(&data, "bebr(loops=0)");
    double two = recall_of(&data, "bebr(loops=1)"), four = recall_of(&data, "bebr(loops=3)");
    print_message("recall@10: 128 signs %.3f; 1, 2 and 4 bits a dimension %.3f %.3f %.3f\n", signs, one, two, four);
    assert_true(two > signs + 0.1);
    assert_true(two > one + 0.2);
    assert_true(four > two + 0.15);
    free(data.x);
}

/* ---- threads, strides, memory ----------------------------------------------------------------------------------- */

static void test_threads_and_files(void **state)
{
    (void)state;
    enum { N = 700, D = 40, ROOM = 1 << 20 };
    static const uint32_t threads[] = {1, 2, 7};
    static const char *const specs[] = {"bebr(loops=2, dim=11)", "bebr(loops=1, base=pca)", "bebr(base=random)"};
    float *x = test_vectors(N, D, 5, 43);
    uint8_t *file = test_alloc(ROOM, 1), *again = test_alloc(ROOM, 1);
    for (int s = 0; s < COUNT(specs); s++) {
        size_t length = 0, other = 0;
        uint8_t *codes = NULL;
        for (int t = 0; t < COUNT(threads); t++) {
            sonde_runtime *runtime = test_runtime(threads[t]);
            sonde_quantizer *quantizer = trained(specs[s], D, runtime, x, N), *opened = NULL;
            int64_t bytes = sonde_quantizer_code_bytes(quantizer);
            OK(sonde_quantizer_save_buffer(quantizer, t ? again : file, ROOM, t ? &other : &length));
            uint8_t *mine = encode(quantizer, x, N), alone[8 * D];
            OK(sonde_quantizer_open_buffer(t ? again : file, t ? other : length, NULL, NULL, &opened));
            for (int64_t i = 0; i < N; i += 41) { /* a row alone, and from the file */
                encode_into(opened, x + i * D, 1, alone);
                assert_memory_equal(alone, mine + i * bytes, (size_t)bytes);
            }
            if (t) {
                assert_int_equal(length, other);
                assert_memory_equal(file, again, length);
                assert_memory_equal(codes, mine, (size_t)(N * bytes));
                free(mine);
            } else {
                codes = mine;
            }
            sonde_quantizer_free(opened);
            sonde_quantizer_free(quantizer);
            sonde_runtime_free(runtime);
        }
        free(codes);
    }
    free(file);
    free(again);
    free(x);
}

static sonde_status failing_scene(sonde_runtime_options *options)
{
    enum { N = 40, D = 10 };
    float *x = test_vectors(N, D, 0, 44);
    sonde_status status = life_of("bebr(loops=3)", x, N, D, options);
    free(x);
    return status;
}

static void test_failing_memory(void **state)
{
    (void)state;
    assert_true(failing_walk(failing_scene) > 5);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_codes),
    cmocka_unit_test(test_loops_refine),
    cmocka_unit_test(test_angles),
    cmocka_unit_test(test_lengths_do_not_matter),
    cmocka_unit_test(test_pairs),
    cmocka_unit_test(test_scores),
    cmocka_unit_test(test_zero_rows),
    cmocka_unit_test(test_bad_input),
    cmocka_unit_test(test_degenerate_rows),
    cmocka_unit_test(test_recall),
    cmocka_unit_test(test_threads_and_files),
    cmocka_unit_test(test_failing_memory),
};

SONDE_TEST_MAIN(tests)
