/* test_random_words.c: random words of many rows, and bytes beside weights, of every set that this processor runs,
 * against the plain generator and one comparison at a time.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <float.h>
#include <math.h>

#include "kernel_sets.h"

enum { LONGEST = 200 };

/* Rows that follow each other, and rows from anywhere. */
static void check_words(const sonde__kernels *set)
{
    uint64_t state = 5, rows[LONGEST];
    uint32_t out[4 * LONGEST + 1];
    for (int64_t count = 0; count <= LONGEST; count += count < 40 ? 1 : 37) {
        uint64_t seed = test_u64(&state), first = test_u64(&state);
        uint32_t stream = (uint32_t)test_u64(&state);
        for (int64_t i = 0; i < count; i++) rows[i] = count % 2 ? first + (uint64_t)i : test_u64(&state);
        out[4 * count] = 7;
        set->random_words(seed, stream, rows, count, out);
        for (int64_t i = 0; i < count; i++) {
            sonde__rng rng;
            sonde__rng_start(&rng, seed, stream, rows[i]);
            for (int k = 0; k < 4; k++) assert_int_equal(out[4 * i + k], sonde__rng_u32(&rng));
        }
        assert_int_equal(out[4 * count], 7);
    }
}

static void words_of_rows(void **state)
{
    (void)state;
    each_set(check_words);
}

/* A test vector that the authors publish with their code (Random123, philox4x32-10). */
static void check_published(const sonde__kernels *set)
{
    const uint32_t zeros[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
    uint64_t row = 0;
    uint32_t out[4];
    set->random_words(0, 0, &row, 1, out);
    assert_memory_equal(out, zeros, sizeof zeros);
}

static void published_words(void **state)
{
    (void)state;
    each_set(check_published);
}

static void compare_bytes(const sonde__kernels *set, const uint8_t *bytes, const float *weights, double scale,
                          int64_t count)
{
    int32_t positions[LONGEST + 1];
    int64_t found = 0;
    positions[count] = -7;
    int64_t told = set->bytes_below(bytes, weights, scale, count, positions);
    for (int64_t i = 0; i < count; i++) {
        if (!((double)bytes[i] < (double)weights[i] * scale)) continue;
        assert_true(found < told);
        assert_int_equal(positions[found++], i);
    }
    assert_int_equal(told, found);
    assert_int_equal(positions[count], -7);
}

/* Few, about half and all pass; the smallest and the largest weights; a scale without end, beside weights of 0. */
static void check_bytes(const sonde__kernels *set)
{
    const double scales[] = {0, 0.01, 128, 1000, 1e300, 1e-300, INFINITY};
    const float odd[] = {0, -0.0f, FLT_MAX, FLT_MIN, 1e-45f, 1};
    uint64_t state = 11;
    uint8_t bytes[LONGEST + 1];
    float weights[LONGEST + 1];
    for (int64_t count = 0; count <= LONGEST; count += count < 40 ? 1 : 37) {
        for (int64_t i = 0; i <= LONGEST; i++) {
            bytes[i] = (uint8_t)(test_u64(&state) >> 30);
            weights[i] = (float)(test_u64(&state) >> 40) * 0x1p-24f;
            if (test_u64(&state) % 8 == 0) weights[i] = odd[test_u64(&state) % 6];
        }
        int64_t skip = count < LONGEST ? count % 2 : 0; /* unaligned, too */
        for (size_t s = 0; s < sizeof scales / sizeof *scales; s++)
            compare_bytes(set, bytes + skip, weights + skip, scales[s], count);
    }
    /* Equality is no passing. */
    for (int i = 0; i < 256; i++) {
        uint8_t byte = (uint8_t)i;
        float weight = (float)i;
        compare_bytes(set, &byte, &weight, 1, 1);
    }
}

static void bytes_beside_weights(void **state)
{
    (void)state;
    each_set(check_bytes);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(words_of_rows),
    cmocka_unit_test(published_words),
    cmocka_unit_test(bytes_beside_weights),
};
SONDE_TEST_MAIN(tests)
