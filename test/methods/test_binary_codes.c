/* test_binary_codes.c: lsh, itq and bernoulli: bits, reconstructions and scores against plain loops in double; what
 * each promises of its own: angles, a falling objective, gradients; recall of neighbours; bad input, threads, memory.
 *
 * timeout: 60
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <math.h>

#include "base/base.h"
#include "../failing.h"
#include "../kernel_sets.h"
#include "../unit/handles.h"
#include "quantizers/bernoulli.h"
#include "linalg/linalg.h"
#include "quantizers/signs.h"
#include "../quantizer_steps.h"
#include "../reseal.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const char *const specs[] = {"lsh(bits=13)",
                                    "lsh(bits=64, center=no)",
                                    "lsh(bits=130, orth=no)",
                                    "lsh(bits=300)",
                                    "itq(bits=7, iters=5)",
                                    "itq(bits=16, iters=0)",
                                    "bernoulli(bits=9, epochs=2)",
                                    "bernoulli(bits=40, epochs=1, batch=17)"};

/* Of rows of 64 columns or a multiple, directions come from fast rotations; encoding goes by these or by products. */
static const char *const turned[] = {"lsh(bits=40)", "lsh(bits=64)", "lsh(bits=130, center=no)", "lsh(bits=300)"};

static sonde_quantizer *trained(const char *spec, int64_t dim, sonde_runtime *runtime, const float *x, int64_t n)
{
    sonde_quantizer *quantizer = create(spec, dim, runtime);
    OK(train(quantizer, x, n));
    return quantizer;
}

static int bit_of(const uint8_t *code, int64_t b) { return code[b / 8] >> (b % 8) & 1; }

static int64_t hamming(const uint8_t *a, const uint8_t *b, int64_t bytes)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < 8 * bytes; i++) sum += bit_of(a, i) != bit_of(b, i);
    return sum;
}

/* ---- codes ------------------------------------------------------------------------------------------------------ */

/* Bit b is the side of hyperplane b, lowest bit first, zeros behind; decode is the signed sum. */
static void check_codes(const char *spec, int64_t d)
{
    enum { N = 300 };
    float *x = test_vectors(N, d, 4, 5);
    sonde_quantizer *quantizer = trained(spec, d, NULL, x, N);
    const sonde__signs *signs = quantizer->state;
    int64_t bits = signs->bits, bytes = sonde_quantizer_code_bytes(quantizer), checked = 0;
    uint8_t *codes = encode(quantizer, x, N);
    float *back = decode(quantizer, codes, N);
    const float *way = signs->back ? signs->back : signs->directions.matrix;
    assert_int_equal(bytes, (bits + 7) / 8);
    for (int64_t i = 0; i < N; i++) {
        const uint8_t *code = codes + i * bytes;
        for (int64_t b = 0; b < bits; b++) {
            double side = test_dot(x + i * d, signs->directions.matrix + b * d, d) - signs->threshold[b];
            if (fabs(side) < 1e-3) continue;
            assert_int_equal(bit_of(code, b), side > 0);
            checked++;
        }
        for (int64_t b = bits; b < 8 * bytes; b++) assert_int_equal(bit_of(code, b), 0);
        for (int64_t j = 0; j < d; j++) {
            double sum = 0, size = fabs(signs->center[j]);
            for (int64_t b = 0; b < bits; b++) {
                sum += (bit_of(code, b) ? 1.0 : -1.0) * way[b * d + j];
                size += fabs(signs->scale * way[b * d + j]);
            }
            assert_true(fabs(signs->center[j] + signs->scale * sum - back[i * d + j]) <= 1e-5 * size + 1e-12);
        }
    }
    assert_true(checked > N * bits * 95 / 100);
    free(codes);
    free(back);
    free(x);
    sonde_quantizer_free(quantizer);
}

static void test_codes(void **state)
{
    (void)state;
    for (int s = 0; s < COUNT(specs); s++)
        for (int64_t d = 16; d <= 145; d += 43) check_codes(specs[s], d);
    for (int s = 0; s < COUNT(turned); s++)
        for (int64_t d = 64; d <= 256; d += 64) check_codes(turned[s], d);
}

/* scan and the fast-scan table both give <query, decode>, and hamming counts the bits. */
static void check_scores(const char *spec, int64_t d)
{
    enum { N = 77, Q = 5 };
    float *x = test_vectors(N, d, 4, 6), *queries = test_vectors(Q, d, 0, 7), scores[Q * N], metres[Q * N];
    sonde_quantizer *quantizer = trained(spec, d, NULL, x, N);
    const sonde__quantizer_method *method = quantizer->method;
    int64_t bytes = quantizer->code_bytes, nibbles = method->nibbles(quantizer);
    uint8_t *codes = encode(quantizer, x, N), *own = encode(quantizer, queries, Q);
    float *back = decode(quantizer, codes, N), base, *table = test_alloc((size_t)nibbles * 16, sizeof *table);
    sonde_array qs = sonde_f32(queries, Q, d), cs = sonde_u8(codes, N, bytes), out = sonde_f32(scores, Q, N);
    sonde_array out2 = sonde_f32(metres, Q, N);
    OK(sonde_quantizer_distances(quantizer, SONDE_METRIC_IP, &qs, &cs, &out));
    OK(sonde_quantizer_distances(quantizer, SONDE_METRIC_HAMMING, &qs, &cs, &out2));
    assert_int_equal((nibbles + 1) / 2, bytes);
    for (int q = 0; q < Q; q++) {
        const float *query = queries + q * d;
        method->nibble_table(quantizer, query, table, &base);
        for (int i = 0; i < N; i++) {
            double ip = test_dot(query, back + i * d, d), fast = base;
            double slack = 1e-5 * sqrt(test_dot(query, query, d) * test_dot(back + i * d, back + i * d, d)) + 1e-4;
            for (int64_t j = 0; j < nibbles; j++)
                fast += table[j * 16 + (codes[i * bytes + j / 2] >> (j % 2 * 4) & 15)];
            assert_true(fabs(ip - scores[q * N + i]) <= slack);
            assert_true(fabs(ip - fast) <= slack);
            assert_true(metres[q * N + i] == (float)hamming(own + q * bytes, codes + i * bytes, bytes));
        }
    }
    free(table);
    free(own);
    free(codes);
    free(back);
    free(queries);
    free(x);
    sonde_quantizer_free(quantizer);
}

static void test_scores(void **state)
{
    (void)state;
    for (int s = 0; s < COUNT(specs); s++)
        for (int64_t d = 16; d <= 145; d += 43) check_scores(specs[s], d);
}

static double error_with(const float *x, const float *back, const float *center, int64_t n, int64_t d, double stretch)
{
    double sum = 0;
    for (int64_t i = 0; i < n * d; i++) {
        double e = x[i] - center[i % d] - stretch * (back[i] - center[i % d]);
        sum += e * e;
    }
    return sum;
}

/* No other scale of the signed sums reconstructs the training rows better. */
static void test_scale_is_least_squares(void **state)
{
    (void)state;
    static const char *const scaled[] = {"lsh(bits=20)", "lsh(bits=77)", "lsh(bits=50, orth=no)", "itq(bits=12)"};
    enum { N = 500, D = 30 };
    float *x = test_vectors(N, D, 3, 8);
    for (int s = 0; s < COUNT(scaled); s++) {
        sonde_quantizer *quantizer = trained(scaled[s], D, NULL, x, N);
        uint8_t *codes = encode(quantizer, x, N);
        float *back = decode(quantizer, codes, N);
        const float *center = ((const sonde__signs *)quantizer->state)->center;
        double least = error_with(x, back, center, N, D, 1);
        assert_true(least < error_with(x, back, center, N, D, 0.99));
        assert_true(least < error_with(x, back, center, N, D, 1.01));
        free(codes);
        free(back);
        sonde_quantizer_free(quantizer);
    }
    free(x);
}

/* ---- lsh -------------------------------------------------------------------------------------------------------- */

/* Rows of directions[0..bits) within a block of `block` are orthonormal. */
static void check_orthonormal(const float *directions, int64_t bits, int64_t d, int64_t block)
{
    for (int64_t a = 0; a < bits; a++)
        for (int64_t b = a / block * block; b <= a; b++)
            assert_true(fabs(test_dot(directions + a * d, directions + b * d, d) - (a == b)) < 1e-5);
}

static void test_lsh_directions(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = {{1, 24},  {23, 24},  {24, 24},   {25, 24},   {60, 24},
                                        {40, 64}, {150, 64}, {192, 192}, {200, 192}, {300, 128}};
    for (int s = 0; s < COUNT(shapes); s++) {
        char spec[64];
        int64_t bits = shapes[s][0], d = shapes[s][1];
        float *x = test_vectors(10, d, 0, 9);
        snprintf(spec, sizeof spec, "lsh(bits=%d)", (int)bits);
        sonde_quantizer *quantizer = trained(spec, d, NULL, x, 10);
        check_orthonormal(((const sonde__signs *)quantizer->state)->directions.matrix, bits, d, d);
        sonde_quantizer_free(quantizer);
        free(x);
    }
}

/* The steps of fast rotations against plain loops, to the bit; nothing behind the end is touched. */
static void check_turning_steps(const sonde__kernels *set)
{
    enum { MOST = 200 };
    float x[MOST + 1], wanted[MOST + 1];
    uint8_t bits[MOST / 8];
    uint64_t random = 17;
    for (int n = 0; n <= MOST; n += 8) {
        for (int i = 0; i <= MOST; i++) wanted[i] = x[i] = test_normal(&random);
        for (int i = 0; i < n / 8; i++) bits[i] = (uint8_t)test_u64(&random);
        for (int i = 0; i < n; i++) wanted[i] = bit_of(bits, i) ? -wanted[i] : wanted[i];
        set->flip_signs(x, bits, n);
        assert_memory_equal(x, wanted, sizeof x);
    }
    for (int half = 0; half <= MOST / 2; half++) {
        for (int i = 0; i <= MOST; i++) wanted[i] = x[i] = test_normal(&random);
        for (int i = 0; i < half; i++) {
            wanted[i] = (x[i] + x[half + i]) * 0.7f;
            wanted[half + i] = (x[i] - x[half + i]) * 0.7f;
        }
        set->kac_step(x, half, 0.7f);
        assert_memory_equal(x, wanted, sizeof x);
    }
}

static void test_turning_steps(void **state)
{
    (void)state;
    each_set(check_turning_steps);
}

enum { ANGLES = 7, ANGLE_BITS = 160 };

/* Two rows at each angle, from the same to the opposite direction, of different lengths. */
static float *rows_at_angles(int64_t d)
{
    float *rows = test_alloc((size_t)(2 * ANGLES * d), sizeof *rows), *w = test_alloc((size_t)d, sizeof *w);
    uint64_t random = 10;
    for (int a = 0; a < ANGLES; a++) {
        double angle = M_PI * a / (ANGLES - 1), size = 0.5 + a, length = 0, along = 0;
        float *u = rows + 2 * a * d, *v = u + d;
        for (int64_t j = 0; j < d; j++) u[j] = test_normal(&random), w[j] = test_normal(&random);
        for (int64_t j = 0; j < d; j++) along += (double)u[j] * w[j], length += (double)u[j] * u[j];
        for (int64_t j = 0; j < d; j++) w[j] -= (float)(along / length * u[j]);
        double other = sqrt(test_dot(w, w, d)), own = sqrt(length);
        for (int64_t j = 0; j < d; j++) v[j] = (float)(size * (cos(angle) * u[j] / own + sin(angle) * w[j] / other));
    }
    free(w);
    return rows;
}

/* Over many draws of the directions the share of differing bits is angle / pi. */
static void check_angles(const char *orth, int64_t d)
{
    enum { SEEDS = 60, BYTES = ANGLE_BITS / 8 };
    float *rows = rows_at_angles(d);
    double differing[ANGLES] = {0};
    for (int seed = 0; seed < SEEDS; seed++) {
        char spec[80];
        snprintf(spec, sizeof spec, "lsh(bits=%d, center=no, orth=%s, seed=%d)", ANGLE_BITS, orth, seed);
        sonde_quantizer *quantizer = trained(spec, d, NULL, rows, 2 * ANGLES);
        uint8_t *codes = encode(quantizer, rows, 2 * ANGLES);
        for (int a = 0; a < ANGLES; a++)
            differing[a] += (double)hamming(codes + 2 * a * BYTES, codes + (2 * a + 1) * BYTES, BYTES);
        free(codes);
        sonde_quantizer_free(quantizer);
    }
    assert_true(differing[0] == 0);
    assert_true(differing[ANGLES - 1] == ANGLE_BITS * SEEDS);
    for (int a = 1; a < ANGLES - 1; a++) {
        double p = (double)a / (ANGLES - 1);
        assert_true(fabs(differing[a] / (ANGLE_BITS * SEEDS) - p) < 4 * sqrt(p * (1 - p) / (ANGLE_BITS * SEEDS)));
    }
    free(rows);
}

static void test_lsh_angles(void **state)
{
    (void)state;
    check_angles("no", 20);
    check_angles("yes", 20);
    check_angles("yes", 64); /* by fast rotations */
    check_angles("yes", 192);
}

/* A file with other directions than those of its seed is encoded by the directions that it has. */
static void test_lsh_file_of_other_directions(void **state)
{
    (void)state;
    enum { N = 50, D = 64, BITS = 192, ROOM = 1 << 20 };
    float *x = test_vectors(N, D, 0, 31), *directions;
    sonde_quantizer *quantizer = trained("lsh(bits=192, center=no)", D, NULL, x, N), *opened = NULL;
    uint8_t *file = test_alloc(ROOM, 1), *codes = encode(quantizer, x, N);
    uint64_t length = 0;
    OK(sonde_quantizer_save_buffer(quantizer, file, ROOM, &length));
    directions = memmem(file, length, ((const sonde__signs *)quantizer->state)->directions.matrix,
                        BITS * D * sizeof *directions);
    assert_non_null(directions);
    for (int j = 0; j < D; j++) directions[(BITS - 1) * D + j] *= -1;
    reseal(file, length);
    OK(sonde_quantizer_open_buffer(file, length, NULL, NULL, &opened));
    uint8_t *theirs = encode(opened, x, N);
    for (int i = 0; i < N; i++)
        for (int b = 0; b < BITS; b++)
            assert_int_equal(bit_of(theirs + i * (BITS / 8), b) != bit_of(codes + i * (BITS / 8), b), b == BITS - 1);
    free(theirs), free(codes), free(file), free(x);
    sonde_quantizer_free(opened);
    sonde_quantizer_free(quantizer);
}

/* Rows far from the origin: without a centre their bits are constant. */
static void test_lsh_centre(void **state)
{
    (void)state;
    enum { N = 400, D = 32, BITS = 32 };
    float *x = test_vectors(N, D, 0, 11);
    for (int64_t i = 0; i < N * D; i++) x[i] += 20;
    double spread[2] = {0, 0};
    for (int k = 0; k < 2; k++) {
        sonde_quantizer *quantizer = trained(k ? "lsh(bits=32)" : "lsh(bits=32, center=no)", D, NULL, x, N);
        uint8_t *codes = encode(quantizer, x, N);
        for (int b = 0; b < BITS; b++) {
            double mean = 0;
            for (int i = 0; i < N; i++) mean += bit_of(codes + i * (BITS / 8), b);
            spread[k] += fabs(mean / N - 0.5) / BITS;
        }
        free(codes);
        sonde_quantizer_free(quantizer);
    }
    assert_true(spread[1] < 0.05);
    assert_true(spread[0] > 0.4);
    free(x);
}

/* ---- itq -------------------------------------------------------------------------------------------------------- */

/* sum of (sign(y) - y)^2 over all projections, in double, from the outputs. */
static double itq_objective(const sonde_quantizer *quantizer, const float *x, int64_t n)
{
    sonde_array directions, mean;
    OK(sonde_quantizer_output(quantizer, "directions", &directions));
    OK(sonde_quantizer_output(quantizer, "mean", &mean));
    int64_t d = directions.cols, bits = directions.rows;
    const float *rows = directions.data, *center = mean.data;
    double sum = 0;
    check_orthonormal(rows, bits, d, bits);
    for (int64_t i = 0; i < n; i++)
        for (int64_t b = 0; b < bits; b++) {
            double y = test_dot(x + i * d, rows + b * d, d) - test_dot(center, rows + b * d, d);
            sum += (fabs(y) - 1) * (fabs(y) - 1);
        }
    return sum;
}

static void test_itq_objective_falls(void **state)
{
    (void)state;
    enum { N = 1500, D = 24 };
    float *x = test_vectors(N, D, 6, 12);
    double first = 0, last = INFINITY;
    for (int iters = 0; iters <= 12; iters++) {
        char spec[64];
        snprintf(spec, sizeof spec, "itq(bits=10, iters=%d)", iters);
        sonde_quantizer *quantizer = trained(spec, D, NULL, x, N);
        double objective = itq_objective(quantizer, x, N);
        assert_true(objective <= last * (1 + 1e-6));
        if (iters == 0) first = objective;
        last = objective;
        sonde_quantizer_free(quantizer);
    }
    assert_true(last < 0.999 * first);
    free(x);
}

/* All corners of a cube, turned at random: some start finds the turn back, and then nothing is lost. */
static void test_itq_finds_the_cube(void **state)
{
    (void)state;
    enum { D = 4, N = 16 };
    float corners[N * D], turn[D * D], x[N * D];
    double best = INFINITY;
    sonde_runtime *runtime = test_runtime(1);
    OK(sonde__random_rotation(runtime, D, 5, turn));
    for (int i = 0; i < N * D; i++) corners[i] = i / D >> (i % D) & 1 ? 1 : -1;
    for (int i = 0; i < N * D; i++) x[i] = (float)test_dot(corners + i / D * D, turn + i % D * D, D);
    for (int seed = 0; seed < 10; seed++) {
        char spec[64];
        snprintf(spec, sizeof spec, "itq(bits=4, seed=%d)", seed);
        sonde_quantizer *quantizer = trained(spec, D, NULL, x, N);
        uint8_t *codes = encode(quantizer, x, N);
        float *back = decode(quantizer, codes, N);
        best = fmin(best, itq_objective(quantizer, x, N) + test_distance(x, back, N * D));
        free(codes);
        free(back);
        sonde_quantizer_free(quantizer);
    }
    assert_true(best < 1e-8);
    sonde_runtime_free(runtime);
}

/* ---- bernoulli -------------------------------------------------------------------------------------------------- */

enum { B_N = 6, B_D = 5, B_BITS = 7, B_COUNT = 2 * B_D * B_BITS + B_D + B_BITS };

struct model_room {
    float parameters[B_COUNT], gradient[B_COUNT], x[B_N * B_D], error[B_N * B_D];
    float p[B_N * B_BITS], z[B_N * B_BITS], transposed[B_N * B_BITS];
};

static void model_start(struct model_room *room, sonde__bernoulli *model, sonde__bernoulli_batch *batch)
{
    uint64_t random = 13;
    for (int i = 0; i < B_COUNT; i++) room->parameters[i] = 0.5f * test_normal(&random);
    for (int i = 0; i < B_N * B_D; i++) room->x[i] = test_normal(&random);
    *model = (sonde__bernoulli){B_D, B_BITS, room->parameters};
    *batch = (sonde__bernoulli_batch){.n = B_N,
                                      .x = room->x,
                                      .p = room->p,
                                      .z = room->z,
                                      .error = room->error,
                                      .transposed = room->transposed,
                                      .gradient = room->gradient};
}

/* The loss in double with z in the place of the draws, or with p where z is NULL. */
static double model_loss(const sonde__bernoulli *model, const float *x, const float *z, double sharp)
{
    const float *w = sonde__bernoulli_encoder(model), *c = sonde__bernoulli_offset(model);
    const float *e = sonde__bernoulli_decoder(model), *bias = sonde__bernoulli_bias(model);
    double loss = 0, p[B_BITS];
    for (int i = 0; i < B_N; i++) {
        for (int b = 0; b < B_BITS; b++) {
            p[b] = 1 / (1 + exp(-(test_dot(x + i * B_D, w + b * B_D, B_D) + c[b])));
            loss += sharp * p[b] * (1 - p[b]) / (B_N * B_BITS);
        }
        for (int j = 0; j < B_D; j++) {
            double error = bias[j] - (double)x[i * B_D + j];
            for (int b = 0; b < B_BITS; b++) error += (z ? (double)z[i * B_BITS + b] : p[b]) * e[b * B_D + j];
            loss += error * error / (B_N * B_D);
        }
    }
    return loss;
}

/* d loss / d parameter i by central differences. */
static double model_slope(sonde__bernoulli *model, const float *x, const float *z, double sharp, int i)
{
    const float h = 1.0f / 512, was = model->parameters[i];
    model->parameters[i] = was + h;
    double above = model_loss(model, x, z, sharp);
    model->parameters[i] = was - h;
    double below = model_loss(model, x, z, sharp);
    model->parameters[i] = was;
    return (above - below) / (2 * h);
}

/* With p for the draws the gradient is that of the smooth loss; with draws, that of the decoder at these draws. */
static void test_bernoulli_gradient(void **state)
{
    (void)state;
    struct model_room room;
    sonde__bernoulli model;
    sonde__bernoulli_batch batch;
    sonde_runtime *runtime = test_runtime(1);
    double loss;
    model_start(&room, &model, &batch);
    assert_int_equal(sonde__bernoulli_count(&model), B_COUNT);
    OK(sonde__bernoulli_probabilities(runtime, 1, &model, &batch));
    memcpy(room.z, room.p, sizeof room.z);
    OK(sonde__bernoulli_gradient(runtime, 1, &model, 0.7f, &batch, &loss));
    assert_true(fabs(loss - model_loss(&model, room.x, NULL, 0.7f)) < 1e-5);
    for (int i = 0; i < B_COUNT; i++)
        assert_true(fabs(model_slope(&model, room.x, NULL, 0.7f, i) - (double)room.gradient[i]) < 2e-5);

    float drawn[B_N * B_BITS];
    sonde__bernoulli_draw(3, 0, B_BITS, &batch);
    memcpy(drawn, room.z, sizeof drawn);
    OK(sonde__bernoulli_gradient(runtime, 1, &model, 0, &batch, &loss));
    assert_true(fabs(loss - model_loss(&model, room.x, drawn, 0)) < 1e-5);
    for (int i = B_BITS * B_D; i < B_COUNT; i++) {
        if (i >= 2 * B_BITS * B_D && i < 2 * B_BITS * B_D + B_BITS) continue; /* c is not of the decoder */
        assert_true(fabs(model_slope(&model, room.x, drawn, 0, i) - (double)room.gradient[i]) < 2e-5);
    }
    sonde_runtime_free(runtime);
}

/* Each bit's mean over many draws is its probability: chi-square over all 42 bits, and no draw is anything but 0
 * or 1. */
static void test_bernoulli_draws(void **state)
{
    (void)state;
    enum { DRAWS = 4000 };
    struct model_room room;
    sonde__bernoulli model;
    sonde__bernoulli_batch batch;
    sonde_runtime *runtime = test_runtime(1);
    double ones[B_N * B_BITS] = {0}, chi = 0;
    model_start(&room, &model, &batch);
    OK(sonde__bernoulli_probabilities(runtime, 1, &model, &batch));
    for (int t = 0; t < DRAWS; t++) {
        sonde__bernoulli_draw(1, (uint64_t)t * B_N, B_BITS, &batch);
        for (int i = 0; i < B_N * B_BITS; i++) {
            assert_true(room.z[i] == 0 || room.z[i] == 1);
            ones[i] += room.z[i];
        }
    }
    for (int i = 0; i < B_N * B_BITS; i++) {
        double p = room.p[i], away = ones[i] - DRAWS * p;
        chi += away * away / (DRAWS * p * (1 - p));
    }
    assert_true(chi > 15 && chi < 84); /* 42 degrees of freedom: both ends beyond 1e-4 */
    sonde_runtime_free(runtime);
}

static double error_of(const char *spec, int64_t d, const float *x, int64_t n)
{
    sonde_quantizer *quantizer = trained(spec, d, NULL, x, n);
    uint8_t *codes = encode(quantizer, x, n);
    float *back = decode(quantizer, codes, n);
    double error = test_distance(x, back, n * d);
    free(codes);
    free(back);
    sonde_quantizer_free(quantizer);
    return error;
}

/* It starts as lsh, and learning pays; also with more bits than columns. */
static void test_bernoulli_learns(void **state)
{
    (void)state;
    enum { N = 2000, D = 24 };
    float *x = test_vectors(N, D, 10, 14);
    assert_true(error_of("bernoulli(bits=16, epochs=40)", D, x, N) < 0.5 * error_of("lsh(bits=16)", D, x, N));
    assert_true(error_of("bernoulli(bits=48, epochs=40)", D, x, N) < 0.5 * error_of("lsh(bits=48)", D, x, N));
    free(x);
}

/* ---- recall ----------------------------------------------------------------------------------------------------- */

/* Unit rows around centres whose sizes fall as 1 / rank. */
static float *zipf_rows(int64_t n, int64_t d, const float *centres, int clusters, uint64_t seed)
{
    float *x = test_alloc((size_t)(n * d), sizeof *x);
    uint64_t random = seed;
    double total = 0;
    for (int c = 0; c < clusters; c++) total += 1.0 / (c + 1);
    for (int64_t i = 0; i < n; i++) {
        double left = test_unit(&random) * total, length = 0;
        int c = 0;
        while (c < clusters - 1 && (left -= 1.0 / (c + 1)) > 0) c++;
        for (int64_t j = 0; j < d; j++) {
            x[i * d + j] = centres[c * d + j] + test_normal(&random);
            length += (double)x[i * d + j] * x[i * d + j];
        }
        for (int64_t j = 0; j < d; j++) x[i * d + j] = (float)(x[i * d + j] / sqrt(length));
    }
    return x;
}

/* The ten best of n scores, ties to the lower number. */
static void best_ten(const float *scores, int n, double sign, int ten[10])
{
    for (int k = 0; k < 10; k++) {
        int best = -1;
        for (int i = 0; i < n; i++) {
            bool taken = false;
            for (int t = 0; t < k; t++) taken = taken || ten[t] == i;
            if (!taken && (best < 0 || sign * scores[i] > sign * scores[best])) best = i;
        }
        ten[k] = best;
    }
}

struct recall_data {
    int n, queries, d;
    float *x, *q, *exact; /* exact: queries x n inner products */
};

static double recall_of(const struct recall_data *data, const char *spec, uint32_t metric)
{
    sonde_quantizer *quantizer = trained(spec, data->d, NULL, data->x, data->n);
    uint8_t *codes = encode(quantizer, data->x, data->n);
    float *scores = test_alloc((size_t)(data->queries * data->n), sizeof *scores);
    sonde_array q = sonde_f32(data->q, data->queries, data->d), out = sonde_f32(scores, data->queries, data->n);
    sonde_array c = sonde_u8(codes, data->n, sonde_quantizer_code_bytes(quantizer));
    int found = 0;
    OK(sonde_quantizer_distances(quantizer, metric, &q, &c, &out));
    for (int i = 0; i < data->queries; i++) {
        int truth[10], got[10];
        best_ten(data->exact + i * data->n, data->n, 1, truth);
        best_ten(scores + i * data->n, data->n, metric == SONDE_METRIC_HAMMING ? -1 : 1, got);
        for (int a = 0; a < 10; a++)
            for (int b = 0; b < 10; b++) found += truth[a] == got[b];
    }
    free(scores);
    free(codes);
    sonde_quantizer_free(quantizer);
    return found / (10.0 * data->queries);
}

/* 64 bits of 64 columns: orthonormal directions beat Gaussian ones, learned ones both, and exact queries all. */
static void test_recall(void **state)
{
    (void)state;
    enum { D = 64, CLUSTERS = 300 };
    uint64_t random = 15;
    float centres[CLUSTERS * D];
    for (int i = 0; i < CLUSTERS * D; i++) centres[i] = 0.7f * test_normal(&random);
    struct recall_data data = {.n = 8000, .queries = 300, .d = D};
    data.x = zipf_rows(data.n, D, centres, CLUSTERS, 16);
    data.q = zipf_rows(data.queries, D, centres, CLUSTERS, 17);
    data.exact = test_alloc((size_t)(data.queries * data.n), sizeof(float));
    for (int i = 0; i < data.queries * data.n; i++)
        data.exact[i] = (float)test_dot(data.q + i / data.n * D, data.x + i % data.n * D, D);
    double gaussian = recall_of(&data, "lsh(bits=64, orth=no)", SONDE_METRIC_HAMMING);
    double orth = recall_of(&data, "lsh(bits=64)", SONDE_METRIC_HAMMING);
    double itq = 0; /* over a few starts: each ends in an optimum of its own */
    itq += recall_of(&data, "itq(bits=64, seed=1)", SONDE_METRIC_HAMMING) / 3;
    itq += recall_of(&data, "itq(bits=64, seed=2)", SONDE_METRIC_HAMMING) / 3;
    itq += recall_of(&data, "itq(bits=64, seed=3)", SONDE_METRIC_HAMMING) / 3;
    double exact_query = recall_of(&data, "itq(bits=64)", SONDE_METRIC_IP);
    print_message("recall@10: gaussian %.3f orthonormal %.3f itq %.3f, asymmetric %.3f\n", gaussian, orth, itq,
                  exact_query);
    assert_true(orth > gaussian + 0.05);
    assert_true(itq > gaussian + 0.08);
    assert_true(exact_query > itq + 0.1);
    free(data.x);
    free(data.q);
    free(data.exact);
}

/* ---- bad input, threads, memory --------------------------------------------------------------------------------- */

static void test_bad_input(void **state)
{
    (void)state;
    enum { N = 30, D = 12 };
    sonde_quantizer *quantizer = NULL;
    float *x = test_vectors(N, D, 0, 18);
    FAILS(sonde_quantizer_create("lsh(bits=0)", D, NULL, &quantizer), SONDE_INVALID_ARGUMENT, "bits");
    FAILS(sonde_quantizer_create("itq(bits=0)", D, NULL, &quantizer), SONDE_INVALID_ARGUMENT, "bits");
    FAILS(sonde_quantizer_create("bernoulli(bits=0)", D, NULL, &quantizer), SONDE_INVALID_ARGUMENT, "bits");
    FAILS(sonde_quantizer_create("itq(bits=13)", D, NULL, &quantizer), SONDE_INVALID_ARGUMENT, "12 columns");
    assert_null(quantizer);
    /* Rows that are all the same: no direction is better than another. What was learned before stays. */
    for (int i = 0; i < N * D; i++) x[i] = 0.3f * (float)(i % D);
    float *other = test_vectors(N, D, 0, 19);
    quantizer = trained("itq(bits=8)", D, NULL, other, N);
    uint8_t *before = encode(quantizer, other, N);
    FAILS(train(quantizer, x, N), SONDE_INVALID_ARGUMENT, "variance");
    uint8_t *after = encode(quantizer, other, N);
    assert_memory_equal(before, after, N);
    other[7] = NAN;
    FAILS(train(quantizer, other, N), SONDE_INVALID_ARGUMENT, "vectors");
    free(before);
    free(after);
    sonde_quantizer_free(quantizer);
    free(x);
    free(other);
}

static void test_degenerate_rows(void **state)
{
    (void)state;
    enum { N = 60, D = 21 };
    static const char *const all[] = {"lsh(bits=33)", "itq(bits=21)", "bernoulli(bits=10, epochs=3)"};
    for (int s = 0; s < COUNT(all); s++)
        for (int kind = 0; kind < 4; kind++) {
            float *x = test_vectors(N, D, 0, 20);
            for (int i = 0; i < N * D; i++) {
                if (kind == 0 && (i % D == 3 || i % D == 20)) x[i] = 0; /* columns without variance */
                if (kind == 1) x[i] = x[i % D];                        /* all rows the same */
                if (kind == 2) x[i] = 0;
                if (kind == 3) x[i] *= 1e-18f;
            }
            sonde_quantizer *quantizer = NULL;
            OK(sonde_quantizer_create(all[s], D, NULL, &quantizer));
            if (s == 1 && (kind == 1 || kind == 2)) {
                FAILS(train(quantizer, x, N), SONDE_INVALID_ARGUMENT, "variance");
            } else {
                OK(train(quantizer, x, N));
                uint8_t *codes = encode(quantizer, x, N);
                float *back = decode(quantizer, codes, N);
                for (int i = 0; i < N * D; i++) assert_true(isfinite(back[i]));
                if (kind == 1) assert_true(test_distance(x, back, N * D) < 1e-6);
                free(codes);
                free(back);
            }
            free(x);
            sonde_quantizer_free(quantizer);
        }
}

/* A row's worth of training, rows too large for floats, and one row. */
static void test_extreme_rows(void **state)
{
    (void)state;
    static const char *const all[] = {"lsh(bits=9)", "itq(bits=5)", "bernoulli(bits=5)"};
    enum { N = 20, D = 9 };
    float *x = test_vectors(N, D, 0, 21);
    for (int s = 0; s < COUNT(all); s++) {
        sonde_quantizer *quantizer = trained("lsh(bits=9)", D, NULL, x, 1);
        sonde_quantizer_free(quantizer);
        float *large = test_vectors(N, D, 0, 21);
        for (int i = 0; i < N * D; i++) large[i] = i % 2 ? 3e38f : -3e38f;
        quantizer = NULL;
        OK(sonde_quantizer_create(all[s], D, NULL, &quantizer));
        sonde_status status = train(quantizer, large, N);
        if (status == SONDE_OK) {
            uint8_t *codes = encode(quantizer, large, N);
            free(codes);
        } else {
            assert_int_equal(status, SONDE_INVALID_ARGUMENT);
            assert_false(sonde_quantizer_trained(quantizer));
        }
        free(large);
        sonde_quantizer_free(quantizer);
    }
    free(x);
}

/* The same file and codes for every number of threads; after opening, the same codes. */
static void test_threads_and_files(void **state)
{
    (void)state;
    enum { N = 700, D = 40, ROOM = 1 << 20 };
    static const uint32_t threads[] = {1, 2, 7};
    float *x = test_vectors(N, D, 5, 22);
    uint8_t *file = test_alloc(ROOM, 1), *again = test_alloc(ROOM, 1);
    for (int s = 0; s < COUNT(specs); s++) {
        size_t length = 0, other = 0;
        uint8_t *codes = NULL;
        for (int t = 0; t < COUNT(threads); t++) {
            sonde_runtime *runtime = test_runtime(threads[t]);
            sonde_quantizer *quantizer = trained(specs[s], D, runtime, x, N), *opened = NULL;
            OK(sonde_quantizer_save_buffer(quantizer, t ? again : file, ROOM, t ? &other : &length));
            uint8_t *mine = encode(quantizer, x, N);
            OK(sonde_quantizer_open_buffer(t ? again : file, t ? other : length, NULL, NULL, &opened));
            uint8_t *theirs = encode(opened, x, N);
            assert_memory_equal(mine, theirs, (size_t)(N * sonde_quantizer_code_bytes(quantizer)));
            if (t) {
                assert_int_equal(length, other);
                assert_memory_equal(file, again, length);
                assert_memory_equal(codes, mine, (size_t)(N * sonde_quantizer_code_bytes(quantizer)));
                free(mine);
            } else {
                codes = mine;
            }
            free(theirs);
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

static const char *failing_spec;

static sonde_status failing_scene(sonde_runtime_options *options)
{
    enum { N = 40, D = 10 };
    float *x = test_vectors(N, D, 0, 23);
    sonde_status status = life_of(failing_spec, x, N, D, options);
    free(x);
    return status;
}

static void test_failing_memory(void **state)
{
    (void)state;
    static const char *const all[] = {"lsh(bits=13)", "itq(bits=6, iters=2)", "bernoulli(bits=9, epochs=1)"};
    for (int s = 0; s < COUNT(all); s++) {
        failing_spec = all[s];
        assert_true(failing_walk(failing_scene) > 5);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_codes),
    cmocka_unit_test(test_scores),
    cmocka_unit_test(test_scale_is_least_squares),
    cmocka_unit_test(test_lsh_directions),
    cmocka_unit_test(test_turning_steps),
    cmocka_unit_test(test_lsh_angles),
    cmocka_unit_test(test_lsh_file_of_other_directions),
    cmocka_unit_test(test_lsh_centre),
    cmocka_unit_test(test_itq_objective_falls),
    cmocka_unit_test(test_itq_finds_the_cube),
    cmocka_unit_test(test_bernoulli_gradient),
    cmocka_unit_test(test_bernoulli_draws),
    cmocka_unit_test(test_bernoulli_learns),
    cmocka_unit_test(test_recall),
    cmocka_unit_test(test_bad_input),
    cmocka_unit_test(test_degenerate_rows),
    cmocka_unit_test(test_extreme_rows),
    cmocka_unit_test(test_threads_and_files),
    cmocka_unit_test(test_failing_memory),
};

SONDE_TEST_MAIN(tests)
