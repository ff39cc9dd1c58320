/* test_path_kernels.c: linear combinations and normals of every set that this processor runs, against double sums,
 * the plain generator, and the normal distribution.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <math.h>

#include "kernel_sets.h"

enum { LONGEST = 200 };

/* ---- combine --------------------------------------------------------------------------------------------------- */

static void check_combine(const sonde__kernels *set)
{
    uint64_t state = 1;
    float *values = test_vectors(SONDE__TERMS_MAX, LONGEST + 1, 0, 2), weights[SONDE__TERMS_MAX], out[LONGEST + 1];
    for (int terms = 1; terms <= SONDE__TERMS_MAX; terms++) {
        for (int64_t count = 0; count <= LONGEST; count += count < 40 ? 1 : 37) {
            const float *lists[SONDE__TERMS_MAX];
            for (int j = 0; j < terms; j++) {
                lists[j] = values + j * (LONGEST + 1) + test_u64(&state) % 2; /* unaligned, too */
                weights[j] = test_normal(&state);
            }
            out[count] = 7;
            assert_true(set->combine(lists, weights, terms, count, out));
            for (int64_t i = 0; i < count; i++) {
                double sum = 0, size = 0;
                for (int j = 0; j < terms; j++) {
                    sum += (double)weights[j] * lists[j][i];
                    size += fabs((double)weights[j] * lists[j][i]);
                }
                if (fabs(out[i] - sum) > 1e-6 * size) fail_msg("%s: %d terms, value %d", set->name, terms, (int)i);
            }
            assert_true(out[count] == 7);
        }
    }
    free(values);
}

static void combine_sums(void **state)
{
    (void)state;
    each_set(check_combine);
}

/* A result depends on its place in no way, and may replace a term. */
static void check_places(const sonde__kernels *set)
{
    const float weights[SONDE__TERMS_MAX] = {0.3f, -1.7f, 0.9f, 1.1f, -0.6f, 0.123f, 2.3f, -0.77f};
    float *values = test_vectors(SONDE__TERMS_MAX, LONGEST, 0, 3), whole[LONGEST], part[LONGEST];
    const float *lists[SONDE__TERMS_MAX], *from[SONDE__TERMS_MAX];
    for (int j = 0; j < SONDE__TERMS_MAX; j++) lists[j] = values + j * LONGEST;
    for (int terms = 1; terms <= SONDE__TERMS_MAX; terms++) {
        assert_true(set->combine(lists, weights, terms, LONGEST, whole));
        for (int64_t begin = 0; begin < LONGEST; begin++) {
            for (int j = 0; j < terms; j++) from[j] = lists[j] + begin;
            int64_t count = begin % 3 ? LONGEST - begin : 1;
            assert_true(set->combine(from, weights, terms, count, part));
            assert_memory_equal(part, whole + begin, (size_t)count * sizeof *part);
        }
    }
    assert_true(set->combine(lists, weights, SONDE__TERMS_MAX, LONGEST, values + LONGEST));
    assert_memory_equal(values + LONGEST, whole, sizeof whole);
    free(values);
}

static void combine_places(void **state)
{
    (void)state;
    each_set(check_places);
}

static void check_finite(const sonde__kernels *set)
{
    const float bad[] = {NAN, INFINITY, -INFINITY};
    float x[70], y[70], out[70];
    const float *lists[] = {x, y}, weights[] = {1, 0}, large[] = {3e38f, 3e38f};
    for (int kind = 0; kind < 3; kind++)
        for (int count = 1; count <= 70; count++)
            for (int place = 0; place < count; place++) {
                for (int i = 0; i < 70; i++) x[i] = y[i] = 1;
                y[place] = bad[kind];
                assert_false(set->combine(lists, weights, 2, count, out)); /* a weight of 0 hides nothing */
                assert_true(set->combine(lists, weights, 2, place, out));  /* what lies beyond is not read */
            }
    for (int i = 0; i < 70; i++) x[i] = y[i] = 1;
    assert_false(set->combine(lists, large, 2, 70, out));
}

static void combine_finite(void **state)
{
    (void)state;
    each_set(check_finite);
}

/* ---- normals --------------------------------------------------------------------------------------------------- */

/* The definition, in double, from the plain generator. */
static double plain_normal(uint64_t seed, uint32_t stream, uint64_t row, int64_t place)
{
    sonde__rng rng;
    uint32_t words[4];
    int64_t plane = place % 64 / 16;
    sonde__rng_start(&rng, seed, stream, row);
    rng.counter[0] = (uint32_t)(place / 64 * 16 + place % 16);
    for (int k = 0; k < 4; k++) words[k] = sonde__rng_u32(&rng);
    double u = (float)(words[plane / 2 * 2] | 1) * 0x1p-32, s = (float)(int32_t)words[plane / 2 * 2 + 1] * 0x1p-31;
    double angle = 3.14159265358979323846 * s;
    return sqrt(-2 * log(u)) * (plane % 2 ? sin(angle) : cos(angle));
}

static void check_normals(const sonde__kernels *set)
{
    enum { COUNT = 3000 };
    float whole[COUNT], part[COUNT];
    const uint64_t seed = 0x123456789abcdef0u, row = (uint64_t)5 << 32 | 9;
    set->normals(seed, 17, row, 0, COUNT, whole);
    for (int64_t i = 0; i < COUNT; i++) {
        double expected = plain_normal(seed, 17, row, i);
        if (fabs(whole[i] - expected) > 2e-6)
            fail_msg("%s: %d: %.9g, not %.9g", set->name, (int)i, whole[i], expected);
    }
    for (int64_t first = 0; first < 200; first += 7)
        for (int64_t count = 0; count < 300; count += 11) {
            part[count] = 7;
            set->normals(seed, 17, row, first, count, part);
            assert_memory_equal(part, whole + first, (size_t)count * sizeof *part);
            assert_true(part[count] == 7);
        }
}

static void normals_definition(void **state)
{
    (void)state;
    each_set(check_normals);
}

/* 64 cells of equal probability; mean of chi-square 63, standard deviation 11.2. Products of neighbours in place,
 * row, stream and seed have mean 0 and variance 1. */
static void check_distribution(const sonde__kernels *set)
{
    enum { COUNT = 1 << 18, CELLS = 64 };
    float *x = test_alloc(COUNT, sizeof *x), *y = test_alloc(COUNT, sizeof *y);
    int64_t cells[CELLS] = {0};
    double square = 0, fourth = 0, chi = 0, most = 0;
    set->normals(3, 0, 0, 0, COUNT, x);
    for (int64_t i = 0; i < COUNT; i++) {
        cells[(int)(0.5 * erfc(-x[i] / sqrt(2)) * CELLS * (1 - 1e-12))]++;
        square += (double)x[i] * x[i];
        fourth += pow(x[i], 4);
        most = fmax(most, fabs(x[i]));
    }
    for (int c = 0; c < CELLS; c++) chi += pow(cells[c] - (double)COUNT / CELLS, 2) / ((double)COUNT / CELLS);
    assert_true(chi > 30 && chi < 110);
    assert_true(fabs(square / COUNT - 1) < 4 * sqrt(2.0 / COUNT));
    assert_true(fabs(fourth / COUNT - 3) < 4 * sqrt(96.0 / COUNT));
    assert_true(most > 4 && most < 6.7);
    for (int other = 0; other < 4; other++) {
        set->normals(other == 0 ? 4 : 3, other == 1, other == 2, other == 3, COUNT, y);
        double product = 0;
        for (int64_t i = 0; i < COUNT; i++) product += (double)x[i] * y[i];
        assert_true(fabs(product) < 4 * sqrt(COUNT));
    }
    free(x);
    free(y);
}

static void normals_distribution(void **state)
{
    (void)state;
    each_set(check_distribution);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(combine_sums),       cmocka_unit_test(combine_places),       cmocka_unit_test(combine_finite),
    cmocka_unit_test(normals_definition), cmocka_unit_test(normals_distribution),
};
SONDE_TEST_MAIN(tests)
