/* test_rq.c: sums of codewords against brute force: rq, the ids of rkmeans and of idtree; what the papers
 * promise, and failing allocations.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <math.h>

#include "../failing.h"
#include "../reseal.h"
#include "../test.h"
#include "quantizers/rq_levels.h"

static sonde_quantizer *trained(const char *spec, const float *x, int64_t n, int64_t dim)
{
    sonde_quantizer *quantizer = NULL;
    sonde_array rows = sonde_f32(x, n, dim);
    sonde_input input = {"vectors", &rows};
    OK(sonde_quantizer_create(spec, dim, NULL, &quantizer));
    OK(sonde_quantizer_train(quantizer, &input, 1));
    return quantizer;
}

static uint8_t *encoded(const sonde_quantizer *quantizer, const float *x, int64_t n)
{
    int64_t bytes = sonde_quantizer_code_bytes(quantizer);
    uint8_t *codes = test_alloc((size_t)(n * bytes), 1);
    sonde_array rows = sonde_f32(x, n, sonde_quantizer_dim(quantizer)), out = sonde_u8(codes, n, bytes);
    OK(sonde_quantizer_encode(quantizer, &rows, &out));
    return codes;
}

static float *decoded(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t n)
{
    int64_t dim = sonde_quantizer_dim(quantizer);
    float *x = test_alloc((size_t)(n * dim), sizeof *x);
    sonde_array in = sonde_u8(codes, n, sonde_quantizer_code_bytes(quantizer)), out = sonde_f32(x, n, dim);
    OK(sonde_quantizer_decode(quantizer, &in, &out));
    return x;
}

static double squared(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return sum;
}

static double error_of(const char *spec, const float *x, int64_t n, int64_t dim)
{
    sonde_quantizer *quantizer = trained(spec, x, n, dim);
    uint8_t *codes = encoded(quantizer, x, n);
    float *back = decoded(quantizer, codes, n);
    double error = squared(x, back, n * dim);
    free(codes);
    free(back);
    sonde_quantizer_free(quantizer);
    return error;
}

/* Number j of a code, bit by bit. */
static int64_t number_of(const uint8_t *code, int64_t j, int bits)
{
    int64_t value = 0;
    for (int b = 0; b < bits; b++) {
        int64_t at = j * bits + b;
        value |= (int64_t)(code[at / 8] >> at % 8 & 1) << b;
    }
    return value;
}

/* ---- sums of codewords ----------------------------------------------------------------------------------------- */

/* Decoding adds up the codewords that the bits name, and the scan scores that sum; for widths of all kinds.
 */
static void test_decode_and_scan(void **state)
{
    (void)state;
    enum { ROWS = 400, DIM = 13, M = 5 };
    float *x = test_vectors(ROWS, DIM, 6, 3);
    for (int bits = 1; bits <= 8; bits++) {
        char spec[80];
        snprintf(spec, sizeof spec, "rq(m=5, bits=%d, beam=3, iters=3)", bits);
        sonde_quantizer *quantizer = trained(spec, x, ROWS, DIM);
        const sonde__levels *levels = sonde__levels_of(quantizer);
        uint8_t *codes = encoded(quantizer, x, ROWS);
        float *back = decoded(quantizer, codes, ROWS), *scores = test_alloc(ROWS, sizeof *scores);
        int64_t bytes = sonde_quantizer_code_bytes(quantizer);
        assert_int_equal(bytes, (M * bits + 7) / 8);
        sonde_array query = sonde_f32(x, 1, DIM), in = sonde_u8(codes, ROWS, bytes),
                    out = sonde_f32(scores, 1, ROWS);
        OK(sonde_quantizer_distances(quantizer, SONDE_METRIC_IP, &query, &in, &out));
        for (int64_t i = 0; i < ROWS; i++) {
            double ip = 0;
            for (int64_t d = 0; d < DIM; d++) {
                double sum = 0;
                for (int64_t j = 0; j < M; j++)
                    sum +=
                        levels->codewords[(j * levels->k + number_of(codes + i * bytes, j, bits)) * DIM + d];
                assert_true(fabs(sum - back[i * DIM + d]) < 1e-4);
                ip += sum * x[d];
            }
            assert_true(fabs(ip - scores[i]) < 1e-3 * (1 + fabs(ip)));
        }
        if (M * bits % 8) {
            codes[bytes - 1] |= 0x80;
            sonde_array one = sonde_u8(codes, 1, bytes), x0 = sonde_f32(back, 1, DIM);
            FAILS(sonde_quantizer_decode(quantizer, &one, &x0), SONDE_CORRUPT, "code 0");
        }
        free(codes);
        free(back);
        free(scores);
        sonde_quantizer_free(quantizer);
    }
    free(x);
}

/* 9 to 12 bits cross bytes: the same checks on a scan and a decode. */
static void test_wide_numbers(void **state)
{
    (void)state;
    enum { ROWS = 2200, DIM = 6, M = 3 };
    float *x = test_vectors(ROWS, DIM, 0, 3);
    for (int bits = 9; bits <= 11; bits += 2) {
        char spec[80];
        snprintf(spec, sizeof spec, "rq(m=3, bits=%d, beam=2, iters=1, refit=0)", bits);
        sonde_quantizer *quantizer = trained(spec, x, ROWS, DIM);
        const sonde__levels *levels = sonde__levels_of(quantizer);
        uint8_t *codes = encoded(quantizer, x, 50);
        float *back = decoded(quantizer, codes, 50), scores[50];
        int64_t bytes = sonde_quantizer_code_bytes(quantizer);
        sonde_array query = sonde_f32(x, 1, DIM), in = sonde_u8(codes, 50, bytes),
                    out = sonde_f32(scores, 1, 50);
        OK(sonde_quantizer_distances(quantizer, SONDE_METRIC_IP, &query, &in, &out));
        for (int64_t i = 0; i < 50; i++) {
            double ip = 0;
            for (int64_t d = 0; d < DIM; d++) {
                double sum = 0;
                for (int64_t j = 0; j < M; j++)
                    sum +=
                        levels->codewords[(j * levels->k + number_of(codes + i * bytes, j, bits)) * DIM + d];
                assert_true(fabs(sum - back[i * DIM + d]) < 1e-4);
                ip += sum * x[d];
            }
            assert_true(fabs(ip - scores[i]) < 1e-3 * (1 + fabs(ip)));
        }
        free(codes);
        free(back);
        sonde_quantizer_free(quantizer);
    }
    free(x);
}

/* Quantized tables of the fast scan stand for the same sums. */
static void test_nibbles(void **state)
{
    (void)state;
    enum { ROWS = 200, DIM = 10, M = 7 };
    float *x = test_vectors(ROWS, DIM, 4, 8), table[M * 16], scanned[M * 16], base;
    sonde_quantizer *four = trained("rq(m=7, bits=4, iters=3)", x, ROWS, DIM),
                    *five = trained("rq(m=2, bits=5, iters=3)", x, ROWS, DIM);
    assert_int_equal(four->method->nibbles(four), M);
    assert_int_equal(five->method->nibbles(five), 0);
    four->method->nibble_table(four, x, table, &base);
    four->method->table(four, x, scanned);
    assert_true(base == 0);
    assert_memory_equal(table, scanned, sizeof table);
    sonde_quantizer_free(four);
    sonde_quantizer_free(five);
    free(x);
}

/* ---- encoding -------------------------------------------------------------------------------------------------- */

/* A plain beam in double: the codes of one row. */
static double plain_beam(const sonde__levels *levels, const float *x, int beam, int64_t *code)
{
    enum { MOST = 32, LEVELS = 8 };
    static double score[MOST], best[MOST];
    static int64_t sum[MOST][LEVELS], kept[MOST][LEVELS];
    int live = 1;
    score[0] = 0;
    for (int64_t l = 0; l < levels->m; l++) {
        int count = 0;
        for (int b = 0; b < live; b++)
            for (int64_t c = 0; c < levels->k; c++) {
                double error = 0;
                for (int64_t d = 0; d < levels->dim; d++) {
                    double rest = x[d] - levels->codewords[(l * levels->k + c) * levels->dim + d];
                    for (int64_t j = 0; j < l; j++)
                        rest -= levels->codewords[(j * levels->k + sum[b][j]) * levels->dim + d];
                    error += rest * rest;
                }
                int at = count < beam ? count++ : beam;
                if (at == beam && !(error < best[beam - 1])) continue;
                if (at == beam) at--;
                for (; at > 0 && error < best[at - 1]; at--) {
                    best[at] = best[at - 1];
                    memcpy(kept[at], kept[at - 1], sizeof kept[at]);
                }
                best[at] = error;
                memcpy(kept[at], sum[b], sizeof kept[at]);
                kept[at][l] = c;
            }
        live = count;
        memcpy(score, best, sizeof score);
        memcpy(sum, kept, sizeof sum);
    }
    memcpy(code, sum[0], (size_t)levels->m * sizeof *code);
    return score[0];
}

/* The encoder follows the beams that plain loops follow (up to ties of rounding), on tables and, for large
 * codebooks, on residuals. */
static void test_beam_is_a_beam(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        int beam;
    } cases[] = {{"rq(m=4, bits=4, beam=1, iters=4)", 1},
                 {"rq(m=4, bits=4, beam=3, iters=4)", 3},
                 {"rq(m=6, bits=3, beam=32, iters=4)", 32},
                 {"rq(m=3, bits=6, beam=7, iters=4, refit=0)", 7},
                 {"rq(m=4, bits=1, beam=9, iters=4)", 9}};
    enum { ROWS = 300, DIM = 11 };
    float *x = test_vectors(ROWS, DIM, 0, 17);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        sonde_quantizer *quantizer = trained(cases[c].spec, x, ROWS, DIM);
        const sonde__levels *levels = sonde__levels_of(quantizer);
        uint8_t *codes = encoded(quantizer, x, ROWS);
        float *back = decoded(quantizer, codes, ROWS);
        sonde__levels residual = *levels;
        uint16_t *other = test_alloc((size_t)(ROWS * levels->m), sizeof *other);
        int64_t same = 0;
        residual.cross = NULL; /* as where the tables would be too large */
        OK(sonde__levels_encode(quantizer->runtime, &residual, x, DIM, ROWS, other));
        for (int64_t i = 0; i < ROWS; i++) {
            int64_t wanted[8], equal = 0;
            double error = plain_beam(levels, x + i * DIM, cases[c].beam, wanted);
            double own = squared(x + i * DIM, back + i * DIM, DIM);
            for (int64_t j = 0; j < levels->m; j++) {
                int64_t number = number_of(codes + i * sonde_quantizer_code_bytes(quantizer), j,
                                           levels->bits);
                equal += number == wanted[j] && other[i * levels->m + j] == wanted[j];
            }
            same += equal == levels->m;
            if (equal == levels->m) assert_true(fabs(own - error) <= 1e-4 * (1 + error));
        }
        assert_true(same >= ROWS - 3);
        free(codes);
        free(back);
        free(other);
        sonde_quantizer_free(quantizer);
    }
    free(x);
}

/* The kernel that adds up what codes pick, on every set: the same bits as one sum after the other. */
static void test_chain_sums(void **state)
{
    (void)state;
    enum { MOST = 150, LENGTH = 3, COUNT = 4, STRIDE = 5 };
    float *first = test_vectors(1, MOST, 0, 1), *tables = test_vectors(LENGTH, MOST * MOST, 0, 2);
    float base[COUNT] = {0.5f, -3, 0, 1e3f}, out[COUNT * MOST];
    uint16_t codes[COUNT * STRIDE];
    for (const sonde__kernels *const *set = sonde__kernels_all(); *set; set++)
        for (int64_t k = 1; k <= MOST && sonde__kernels_run(*set); k++) {
            for (int64_t i = 0; i < COUNT * STRIDE; i++) codes[i] = (uint16_t)(7 * i % k);
            (*set)->chain_sums(first, tables, codes, STRIDE, COUNT, k % (LENGTH + 1), k, base, out);
            for (int64_t i = 0; i < COUNT * k; i++) {
                float sum = first[i % k];
                for (int64_t j = 0; j < k % (LENGTH + 1); j++)
                    sum += tables[(j * k + codes[i / k * STRIDE + j]) * k + i % k];
                assert_true(out[i] == sum + base[i / k]);
            }
        }
    free(first);
    free(tables);
}

/* Rows of one kind: any; any with one very large column, which whole numbers do not catch; and rows so near to few
 * centres that soon nearly all codewords need a second look. */
enum { LOOK_ROWS = 300, LOOK_DIM = 96, LOOK_KINDS = 3, LOOK_CENTRES = 40 };
static float *look_rows(int kind)
{
    float *x = test_vectors(LOOK_ROWS, LOOK_DIM, 0, 23);
    for (int64_t i = 0; i < LOOK_ROWS; i++) {
        float *row = x + i * LOOK_DIM;
        if (kind == 1) row[i % 5] += 300;
        for (int64_t j = 0; kind == 2 && i >= LOOK_CENTRES && j < LOOK_DIM; j++)
            row[j] = x[i % LOOK_CENTRES * LOOK_DIM + j] + 1e-3f * row[j];
    }
    return x;
}

/* Where a first look in whole numbers is taken, codes are those of plain loops, and do not depend on what else is in
 * the call. */
static void test_first_look(void **state)
{
    (void)state;
    enum { M = 4, BEAM = 5, BITS = 6 };
    static const float zeros[LOOK_DIM];
    for (int kind = 0; kind < LOOK_KINDS; kind++) {
        float *x = look_rows(kind);
        sonde_quantizer *quantizer =
            trained("rq(m=4, bits=6, beam=5, iters=3, refit=0)", x, LOOK_ROWS, LOOK_DIM);
        const sonde__levels *levels = sonde__levels_of(quantizer);
        uint8_t *codes = encoded(quantizer, x, LOOK_ROWS);
        float *back = decoded(quantizer, codes, LOOK_ROWS);
        assert_int_equal(levels->coarse != NULL, sonde__coarse_pays(1 << BITS, LOOK_DIM));
        int64_t bytes = sonde_quantizer_code_bytes(quantizer), same = 0;
        for (int64_t i = 0; i < LOOK_ROWS; i++) {
            int64_t wanted[M], equal = 0;
            double error = plain_beam(levels, x + i * LOOK_DIM, BEAM, wanted);
            double own = squared(x + i * LOOK_DIM, back + i * LOOK_DIM, LOOK_DIM);
            for (int64_t j = 0; j < M; j++) equal += number_of(codes + i * bytes, j, BITS) == wanted[j];
            /* Sums may be as good as one another up to the rounding of f32 products. */
            double rounding = LOOK_DIM * 0x1p-24 * squared(x + i * LOOK_DIM, zeros, LOOK_DIM);
            same += equal == M || (kind > 0 && fabs(own - error) <= rounding);
            uint8_t *alone = encoded(quantizer, x + i * LOOK_DIM, 1);
            assert_memory_equal(alone, codes + i * bytes, (size_t)bytes);
            free(alone);
        }
        assert_true(same >= LOOK_ROWS - 3);
        free(codes);
        free(back);
        free(x);
        sonde_quantizer_free(quantizer);
    }
}

/* Products that overflow: some code, never a crash. */
static void test_enormous_rows(void **state)
{
    (void)state;
    enum { ROWS = 64, DIM = 5 };
    float *x = test_vectors(ROWS, DIM, 0, 2);
    for (int64_t i = 0; i < ROWS * DIM; i += 3) x[i] *= 3e37f;
    sonde_quantizer *quantizer = trained("rq(m=3, bits=3, beam=4, iters=2)", x, ROWS, DIM);
    uint8_t *codes = encoded(quantizer, x, ROWS);
    float *back = decoded(quantizer, codes, ROWS);
    free(codes);
    free(back);
    sonde_quantizer_free(quantizer);
    free(x);
}

/* ---- what levels, beams and the refit promise ------------------------------------------------------------------- */

static void test_errors_fall(void **state)
{
    (void)state;
    enum { ROWS = 3000, DIM = 16 };
    float *x = test_vectors(ROWS, DIM, 20, 5);
    static const char *const kinds[] = {"rq(bits=4, beam=1, refit=0, m=", "rkmeans(codes=16, levels="};
    for (int kind = 0; kind < 2; kind++) {
        double before = INFINITY;
        for (int m = 1; m <= 6; m++) {
            char spec[80];
            snprintf(spec, sizeof spec, "%s%d)", kinds[kind], m);
            double error = error_of(spec, x, ROWS, DIM);
            assert_true(error < before);
            before = error;
        }
    }
    double beam = error_of("rq(m=6, bits=4, beam=8, refit=0)", x, ROWS, DIM);
    assert_true(error_of("rq(m=6, bits=4, beam=8)", x, ROWS, DIM) < 0.97 * beam);
    double greedy = error_of("rq(m=6, bits=4, beam=1, refit=0)", x, ROWS, DIM);
    assert_true(error_of("rq(m=6, bits=4, beam=1)", x, ROWS, DIM) <= greedy);
    free(x);
}

/* The error of rows that training has not seen, per row. */
static double held_out_error(const char *spec, const float *x, int64_t n, const float *fresh, int64_t count,
                             int64_t dim)
{
    sonde_quantizer *quantizer = trained(spec, x, n, dim);
    uint8_t *codes = encoded(quantizer, fresh, count);
    float *back = decoded(quantizer, codes, count);
    double error = squared(fresh, back, count * dim) / (double)count;
    free(codes);
    free(back);
    sonde_quantizer_free(quantizer);
    return error;
}

/* Rows with variances that fall slowly, in directions that are not the columns. */
static float *slanted_vectors(int64_t n, int64_t dim)
{
    float *plain = test_vectors(n, dim, 0, 3), *slanted = test_alloc((size_t)(n * dim), sizeof *slanted);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < dim; j++)
            for (int64_t t = 0; t < dim; t++) /* the cosine transform is orthogonal */
                slanted[i * dim + j] += plain[i * dim + t] / (float)(t + 1) *
                                        cosf((float)M_PI * ((float)j + 0.5f) * (float)t / (float)dim);
    free(plain);
    return slanted;
}

/* On rows that training has not seen: widening finds better codewords, the refit does where there is
 * something to fit, and the judges keep it from fitting what is not there. */
static void test_training_generalises(void **state)
{
    (void)state;
    enum { ROWS = 500, FRESH = 1000, DIM = 64 };
    float *x = test_vectors(ROWS + FRESH, DIM, 50, 3), *fresh = x + ROWS * DIM;
    double plain = held_out_error("rq(m=6, bits=6, refit=0, widen=0)", x, ROWS, fresh, FRESH, DIM);
    assert_true(held_out_error("rq(m=6, bits=6, refit=0)", x, ROWS, fresh, FRESH, DIM) < 0.95 * plain);
    double few = held_out_error("rq(m=6, bits=4, refit=0)", x, ROWS, fresh, FRESH, DIM);
    assert_true(held_out_error("rq(m=6, bits=4)", x, ROWS, fresh, FRESH, DIM) < 0.9 * few);
    free(x);
    x = slanted_vectors(ROWS + FRESH, DIM);
    fresh = x + ROWS * DIM;
    double cloud = held_out_error("rq(m=6, bits=6, refit=0)", x, ROWS, fresh, FRESH, DIM);
    assert_true(held_out_error("rq(m=6, bits=6)", x, ROWS, fresh, FRESH, DIM) == cloud);
    free(x);
}

/* With the same codebooks, wider beams find nearer sums. */
static void test_wider_beams_are_better(void **state)
{
    (void)state;
    enum { ROWS = 2000, DIM = 16, M = 6 };
    float *x = test_vectors(ROWS, DIM, 20, 5), rest[DIM];
    sonde_quantizer *quantizer = trained("rq(m=6, bits=4, beam=16)", x, ROWS, DIM);
    sonde__levels levels = *sonde__levels_of(quantizer);
    uint16_t *codes = test_alloc(ROWS * M, sizeof *codes);
    double before = INFINITY;
    for (levels.beam = 1; levels.beam <= 16; levels.beam *= 4) {
        double error = 0;
        OK(sonde__levels_encode(quantizer->runtime, &levels, x, DIM, ROWS, codes));
        for (int64_t i = 0; i < ROWS; i++) {
            sonde__levels_rest(&levels, x + i * DIM, codes + i * M, M, rest);
            for (int64_t j = 0; j < DIM; j++) error += rest[j] * rest[j];
        }
        assert_true(error < 0.98 * before);
        before = error;
    }
    free(codes);
    free(x);
    sonde_quantizer_free(quantizer);
}

/* One level is k-means; without balance, rkmeans is rq. */
static void test_equalities(void **state)
{
    (void)state;
    enum { ROWS = 500, DIM = 9 };
    float *x = test_vectors(ROWS, DIM, 10, 6);
    sonde_quantizer *kmeans = trained("kmeans(k=16)", x, ROWS, DIM),
                    *one = trained("rkmeans(levels=1, codes=16)", x, ROWS, DIM);
    sonde_quantizer *plain = trained("rq(m=3, bits=4, beam=1, refit=0, widen=0, iters=25)", x, ROWS, DIM);
    sonde_quantizer *ids = trained("rkmeans(levels=3, codes=16)", x, ROWS, DIM);
    uint8_t *k = encoded(kmeans, x, ROWS), *o = encoded(one, x, ROWS), *p = encoded(plain, x, ROWS),
            *r = encoded(ids, x, ROWS);
    for (int64_t i = 0; i < ROWS; i++) {
        assert_int_equal(k[i], o[2 * i]);
        for (int64_t l = 0; l < 3; l++)
            assert_int_equal(number_of(p + 2 * i, l, 4), number_of(r + 6 * i, l, 16));
    }
    uint8_t *codes[] = {k, o, p, r};
    sonde_quantizer *all[] = {kmeans, one, plain, ids};
    for (int i = 0; i < 4; i++) {
        free(codes[i]);
        sonde_quantizer_free(all[i]);
    }
    free(x);
}

/* ---- balanced ids ---------------------------------------------------------------------------------------------- */

/* Unit vectors around 60 centres of unequal frequency. */
static float *skewed(int64_t n, int64_t dim, uint64_t seed)
{
    float *centre = test_vectors(60, dim, 0, seed), *x = test_alloc((size_t)(n * dim), sizeof *x);
    for (int64_t i = 0; i < n; i++) {
        int64_t c = (int64_t)(60 * pow(test_unit(&seed), 3));
        double sum = 0;
        for (int64_t j = 0; j < dim; j++) {
            x[i * dim + j] = centre[c * dim + j] + 1.5f * test_normal(&seed);
            sum += x[i * dim + j] * x[i * dim + j];
        }
        for (int64_t j = 0; j < dim; j++) x[i * dim + j] /= (float)sqrt(sum);
    }
    free(centre);
    return x;
}

/* The error of the ids of training, and how far group sizes are apart. */
static double sequence_error(const sonde_quantizer *quantizer, const float *x, int64_t n, int64_t dim,
                             int64_t *spread)
{
    const sonde__levels *levels = sonde__levels_of(quantizer);
    sonde_array sequences, sizes;
    uint8_t *codes = test_alloc((size_t)n, (size_t)(2 * levels->m));
    OK(sonde_quantizer_output(quantizer, "sequences", &sequences));
    OK(sonde_quantizer_output(quantizer, "sizes", &sizes));
    const int32_t *sequence = sequences.data, *size = sizes.data;
    assert_int_equal(sequences.rows, n);
    *spread = 0;
    for (int64_t l = 0; l < levels->m; l++) {
        int32_t *count = test_alloc((size_t)levels->k, sizeof *count), least = INT32_MAX, most = 0;
        for (int64_t i = 0; i < n; i++) count[sequence[i * levels->m + l]]++;
        for (int64_t c = 0; c < levels->k; c++) {
            assert_int_equal(count[c], size[l * levels->k + c]);
            least = count[c] < least ? count[c] : least;
            most = count[c] > most ? count[c] : most;
        }
        if (most - least > *spread) *spread = most - least;
        free(count);
    }
    for (int64_t i = 0; i < n * levels->m; i++) {
        codes[2 * i] = (uint8_t)sequence[i];
        codes[2 * i + 1] = (uint8_t)(sequence[i] >> 8);
    }
    float *back = decoded(quantizer, codes, n);
    double error = squared(x, back, n * dim);
    free(codes);
    free(back);
    return error;
}

/* Exact balance on the rows of training at every level; prices cost little, the published order much. */
static void test_balance(void **state)
{
    (void)state;
    enum { ROWS = 2050, DIM = 24 };
    float *x = skewed(ROWS, DIM, 4);
    int64_t spread;
    static const char *const specs[] = {"rkmeans(levels=3, codes=16, iters=10)",
                                        "rkmeans(levels=3, codes=16, iters=10, balance=prices)",
                                        "rkmeans(levels=3, codes=16, iters=10, balance=onerec)"};
    double error[3];
    for (int i = 0; i < 3; i++) {
        sonde_quantizer *quantizer = trained(specs[i], x, ROWS, DIM);
        error[i] = sequence_error(quantizer, x, ROWS, DIM, &spread);
        if (i == 0) assert_true(spread > 20);
        else assert_true(spread <= 1);
        sonde_quantizer_free(quantizer);
    }
    assert_true(error[1] < 1.03 * error[0]);
    assert_true(error[2] > 1.05 * error[0]);
    free(x);
}

/* encode=prices gives most rows of training their own ids back; argmin goes to the nearest centroid of all.
 */
static void test_encoding_with_prices(void **state)
{
    (void)state;
    enum { ROWS = 1500, DIM = 12, K = 12 };
    float *x = skewed(ROWS, DIM, 8);
    int64_t agree[2];
    static const char *const specs[] = {"rkmeans(levels=1, codes=12, balance=prices)",
                                        "rkmeans(levels=1, codes=12, balance=prices, encode=argmin)"};
    for (int s = 0; s < 2; s++) {
        sonde_quantizer *quantizer = trained(specs[s], x, ROWS, DIM);
        const sonde__levels *levels = sonde__levels_of(quantizer);
        sonde_array sequences;
        uint8_t *codes = encoded(quantizer, x, ROWS);
        OK(sonde_quantizer_output(quantizer, "sequences", &sequences));
        agree[s] = 0;
        for (int64_t i = 0; i < ROWS; i++) {
            agree[s] += codes[2 * i] == ((const int32_t *)sequences.data)[i];
            double own = squared(x + i * DIM, levels->codewords + codes[2 * i] * DIM, DIM);
            for (int64_t c = 0; s == 1 && c < K; c++)
                assert_true(own <= squared(x + i * DIM, levels->codewords + c * DIM, DIM) + 1e-5);
        }
        free(codes);
        sonde_quantizer_free(quantizer);
    }
    assert_true(agree[0] > agree[1]);
    assert_true(agree[0] >= ROWS * 95 / 100);
    free(x);
}

/* Rows that share more codes are nearer. */
static void test_prefixes_mean_near(void **state)
{
    (void)state;
    enum { ROWS = 1000, DIM = 16, L = 3 };
    float *x = test_vectors(ROWS, DIM, 30, 5);
    sonde_quantizer *quantizer = trained("rkmeans(levels=3, codes=8)", x, ROWS, DIM);
    uint8_t *codes = encoded(quantizer, x, ROWS);
    double sum[L + 1] = {0};
    int64_t pairs[L + 1] = {0};
    for (int64_t i = 0; i < ROWS; i++)
        for (int64_t j = 0; j < i; j++) {
            int shared = 0;
            while (shared < L && codes[2 * (i * L + shared)] == codes[2 * (j * L + shared)]) shared++;
            sum[shared] += squared(x + i * DIM, x + j * DIM, DIM);
            pairs[shared]++;
        }
    for (int l = 1; l <= L; l++) {
        assert_true(pairs[l] > 50);
        assert_true(sum[l] / (double)pairs[l] < sum[l - 1] / (double)pairs[l - 1]);
    }
    free(codes);
    free(x);
    sonde_quantizer_free(quantizer);
}

static void test_cluster_verb(void **state)
{
    (void)state;
    enum { ROWS = 300, DIM = 6 };
    float *x = test_vectors(ROWS, DIM, 5, 5);
    int32_t labels[ROWS];
    sonde_quantizer *quantizer = NULL;
    sonde_array rows = sonde_f32(x, ROWS, DIM), sequences;
    sonde_input input = {"vectors", &rows};
    OK(sonde_quantizer_create("rkmeans(levels=2, codes=7, balance=prices)", DIM, NULL, &quantizer));
    OK(sonde_quantizer_cluster(quantizer, &input, 1, labels));
    OK(sonde_quantizer_output(quantizer, "sequences", &sequences));
    for (int64_t i = 0; i < ROWS; i++) assert_int_equal(labels[i], ((const int32_t *)sequences.data)[2 * i]);
    sonde_quantizer_free(quantizer);
    free(x);
}

/* ---- trees of clusters ----------------------------------------------------------------------------------------- */

/* Sequences are unique, prefixes are the paths of the leaves, and leaves are small. */
static void test_idtree(void **state)
{
    (void)state;
    enum { ROWS = 1500, DIM = 8, LEAF = 20, BRANCH = 5 };
    static const char *const specs[] = {"idtree(branch=5, leaf=20)",
                                        "idtree(branch=5, leaf=20, balance=capacity)"};
    float *x = test_vectors(ROWS, DIM, 12, 5);
    for (int64_t i = 0; i < 90; i++)
        memcpy(x + (i + 100) * DIM, x, DIM * sizeof *x); /* equal rows must be cut too */
    for (int s = 0; s < 2; s++) {
        sonde_quantizer *quantizer = trained(specs[s], x, ROWS, DIM);
        sonde_array sequences, paths;
        uint8_t *codes = encoded(quantizer, x, ROWS);
        float *back = decoded(quantizer, codes, ROWS);
        int64_t own = 0;
        double mean[DIM] = {0}, spread = 0;
        OK(sonde_quantizer_output(quantizer, "sequences", &sequences));
        OK(sonde_quantizer_output(quantizer, "paths", &paths));
        int64_t width = sequences.cols, depth = paths.cols;
        assert_int_equal(width, depth + 1);
        const int32_t *sequence = sequences.data, *path = paths.data;
        for (int64_t i = 0; i < ROWS; i++) {
            const int32_t *a = sequence + i * width;
            int64_t length = 0;
            while (length < width && a[length] >= 0) length++;
            for (int64_t j = length; j < width; j++) assert_int_equal(a[j], -1);
            for (int64_t j = 0; j + 1 < length; j++) assert_true(a[j] < BRANCH);
            assert_true(length > 0 && a[length - 1] < LEAF);
            for (int64_t k = 0; k < i; k++)
                assert_true(memcmp(a, sequence + k * width, (size_t)width * sizeof *a) != 0);
            int64_t node = number_of(codes + 4 * i, 0, 32), same = 0;
            while (same < depth && path[node * depth + same] == a[same]) same++;
            own += same == length - 1 && (same == depth || path[node * depth + same] == -1);
        }
        if (s == 0) assert_true(own >= ROWS - 150); /* all but equal rows that were cut apart, and rounding */
        for (int64_t i = 0; i < ROWS * DIM; i++) mean[i % DIM] += x[i] / ROWS;
        for (int64_t i = 0; i < ROWS * DIM; i++) spread += (x[i] - mean[i % DIM]) * (x[i] - mean[i % DIM]);
        assert_true(squared(x, back, ROWS * DIM) < 0.2 * spread);
        codes[3] = 0x7f; /* no such leaf */
        sonde_array bad = sonde_u8(codes, 1, 4), out = sonde_f32(back, 1, DIM);
        FAILS(sonde_quantizer_decode(quantizer, &bad, &out), SONDE_CORRUPT, "code 0");
        memset(codes, 0, 4); /* the root is no leaf */
        FAILS(sonde_quantizer_decode(quantizer, &bad, &out), SONDE_CORRUPT, "code 0");
        free(codes);
        free(back);
        sonde_quantizer_free(quantizer);
    }
    free(x);
}

/* capacity: the groups of a cut differ by at most one row. */
static void test_idtree_capacity(void **state)
{
    (void)state;
    enum { ROWS = 1003, DIM = 6 };
    float *x = skewed(ROWS, DIM, 3);
    sonde_quantizer *quantizer = trained("idtree(branch=4, leaf=300, balance=capacity)", x, ROWS, DIM);
    sonde_array sequences;
    int64_t count[4] = {0};
    OK(sonde_quantizer_output(quantizer, "sequences", &sequences));
    assert_int_equal(sequences.cols, 2);
    for (int64_t i = 0; i < ROWS; i++) count[((const int32_t *)sequences.data)[2 * i]]++;
    for (int c = 0; c < 4; c++) assert_true(count[c] == 250 || count[c] == 251);
    sonde_quantizer_free(quantizer);
    free(x);
}

/* ---- bad input, files, memory ----------------------------------------------------------------------------------- */

static void test_bad_specs(void **state)
{
    (void)state;
    sonde_quantizer *quantizer = NULL;
    float *x = test_vectors(10, 4, 0, 1);
    sonde_array rows = sonde_f32(x, 10, 4), view;
    sonde_input input = {"vectors", &rows};
    FAILS(sonde_quantizer_create("rkmeans(levels=0)", 4, NULL, &quantizer), SONDE_INVALID_ARGUMENT, "levels");
    FAILS(sonde_quantizer_create("rkmeans(codes=65537)", 4, NULL, &quantizer), SONDE_INVALID_ARGUMENT,
          "codes");
    FAILS(sonde_quantizer_create("rq(bits=13)", 4, NULL, &quantizer), SONDE_INVALID_ARGUMENT, "bits");
    FAILS(sonde_quantizer_create("rq(beam=33)", 4, NULL, &quantizer), SONDE_INVALID_ARGUMENT, "beam");
    FAILS(sonde_quantizer_create("idtree(branch=1)", 4, NULL, &quantizer), SONDE_INVALID_ARGUMENT, "branch");
    OK(sonde_quantizer_create("rkmeans(codes=11)", 4, NULL, &quantizer));
    FAILS(sonde_quantizer_train(quantizer, &input, 1), SONDE_INVALID_ARGUMENT, "11");
    FAILS(sonde_quantizer_output(quantizer, "sizes", &view), SONDE_STATE, "trained");
    sonde_quantizer_free(quantizer);
    free(x);
}

/* Any byte changed, with the checksums made right: refused, or a quantizer that works. */
static void test_hostile_files(void **state)
{
    (void)state;
    enum { ROWS = 60, DIM = 3 };
    static const char *const specs[] = {"rq(m=2, bits=2, iters=2)",
                                        "rkmeans(levels=2, codes=5, balance=prices, iters=2)",
                                        "idtree(branch=3, leaf=4, iters=2)"};
    float *x = test_vectors(ROWS, DIM, 3, 1);
    uint64_t seed = 5;
    for (int s = 0; s < 3; s++) {
        sonde_quantizer *quantizer = trained(specs[s], x, ROWS, DIM);
        size_t bytes;
        int refused = 0;
        OK(sonde_quantizer_save_buffer(quantizer, NULL, 0, &bytes));
        uint8_t *file = test_alloc(bytes, 1), *bad = test_alloc(bytes, 1),
                *codes = encoded(quantizer, x, ROWS);
        OK(sonde_quantizer_save_buffer(quantizer, file, bytes, &bytes));
        for (int r = 0; r < 1500; r++) {
            sonde_quantizer *opened = NULL;
            memcpy(bad, file, bytes);
            if (r > 0) bad[test_u64(&seed) % bytes] = (uint8_t)test_u64(&seed);
            reseal(bad, bytes);
            if (sonde_quantizer_open_buffer(bad, bytes, NULL, NULL, &opened) != SONDE_OK) {
                refused++;
                continue;
            }
            if (sonde_quantizer_trained(opened) && sonde_quantizer_dim(opened) == DIM) {
                uint8_t *again = encoded(opened, x, ROWS);
                if (r == 0)
                    assert_memory_equal(codes, again, (size_t)(ROWS * sonde_quantizer_code_bytes(opened)));
                free(decoded(opened, again, ROWS));
                free(again);
            }
            sonde_quantizer_free(opened);
        }
        assert_true(refused > 100);
        free(file);
        free(bad);
        free(codes);
        sonde_quantizer_free(quantizer);
    }
    free(x);
}

static const char *scene_spec;

static sonde_status quantizer_scene(sonde_runtime_options *options)
{
    enum { ROWS = 40, DIM = 3 };
    static float x[ROWS * DIM];
    uint64_t seed = 3;
    uint8_t codes[ROWS * 8];
    size_t bytes;
    sonde_runtime *runtime = NULL;
    sonde_quantizer *quantizer = NULL;
    for (int i = 0; i < ROWS * DIM; i++) x[i] = test_normal(&seed);
    sonde_array rows = sonde_f32(x, ROWS, DIM);
    sonde_input input = {"vectors", &rows};
    options->threads = 1;
    sonde_status status = sonde_runtime_create(options, &runtime);
    if (status == SONDE_OK) status = sonde_quantizer_create(scene_spec, DIM, runtime, &quantizer);
    if (status == SONDE_OK) status = sonde_quantizer_train(quantizer, &input, 1);
    if (status == SONDE_OK) {
        sonde_array out = sonde_u8(codes, ROWS, sonde_quantizer_code_bytes(quantizer));
        status = sonde_quantizer_encode(quantizer, &rows, &out);
    }
    if (status == SONDE_OK) status = sonde_quantizer_save_buffer(quantizer, NULL, 0, &bytes);
    sonde_quantizer_free(quantizer);
    sonde_runtime_free(runtime);
    return status;
}

static void test_failing_memory(void **state)
{
    (void)state;
    static const char *const specs[] = {"rq(m=2, bits=2, iters=2)",
                                        "rkmeans(levels=2, codes=4, iters=2, balance=prices)",
                                        "idtree(branch=3, leaf=9, iters=2)"};
    for (int s = 0; s < 3; s++) {
        scene_spec = specs[s];
        assert_true(failing_walk(quantizer_scene) > 15);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode_and_scan),
        cmocka_unit_test(test_wide_numbers),
        cmocka_unit_test(test_nibbles),
        cmocka_unit_test(test_beam_is_a_beam),
        cmocka_unit_test(test_chain_sums),
        cmocka_unit_test(test_first_look),
        cmocka_unit_test(test_enormous_rows),
        cmocka_unit_test(test_errors_fall),
        cmocka_unit_test(test_equalities),
        cmocka_unit_test(test_training_generalises),
        cmocka_unit_test(test_wider_beams_are_better),
        cmocka_unit_test(test_balance),
        cmocka_unit_test(test_encoding_with_prices),
        cmocka_unit_test(test_prefixes_mean_near),
        cmocka_unit_test(test_cluster_verb),
        cmocka_unit_test(test_idtree),
        cmocka_unit_test(test_idtree_capacity),
        cmocka_unit_test(test_bad_specs),
        cmocka_unit_test(test_hostile_files),
        cmocka_unit_test(test_failing_memory),
    };
    return test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
