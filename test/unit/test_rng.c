/* test_rng.c: Philox against its published vectors, and every kind of draw against its distribution.
 *
 * Seeds are fixed, so each statistic is one known number; the bounds are those of a correct generator at five to six
 * standard deviations, and a wrong one is far outside.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "test.h"

#include "base/base.h"

static void philox_gives_its_published_vectors(void **state)
{
    (void)state;
    static const uint32_t vectors[3][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d, 0x41c83b0e,
         0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09, 0x94fdcceb,
         0x5001e420, 0x24126ea1}};
    for (int v = 0; v < 3; v++) {
        sonde__rng rng;
        sonde__rng_start(&rng, 0, 0, 0);
        memcpy(rng.counter, vectors[v], sizeof rng.counter);
        memcpy(rng.key, vectors[v] + 4, sizeof rng.key);
        for (int i = 0; i < 4; i++) assert_int_equal(sonde__rng_u32(&rng), vectors[v][6 + i]);
    }
}

/* Where seed, stream and row go, said through the third vector: its first counter word is the block number. */
static void seed_stream_and_row_are_key_and_counter(void **state)
{
    (void)state;
    sonde__rng rng;
    sonde__rng_start(&rng, 0x299f31d0a4093822u, 0x85a308d3, 0x0370734413198a2eu);
    rng.counter[0] = 0x243f6a88;
    assert_int_equal(sonde__rng_u64(&rng), 0x94fdccebd16cfe09u);
    assert_int_equal(sonde__rng_u64(&rng), 0x24126ea15001e420u);
}

static void draws_depend_on_nothing_else(void **state)
{
    (void)state;
    sonde__rng a, b;
    uint64_t first[1000];
    for (int i = 0; i < 1000; i++) {
        sonde__rng_start(&a, 42, 7, (uint64_t)i);
        first[i] = sonde__rng_u64(&a);
    }
    for (int i = 999; i >= 0; i--) {
        sonde__rng_start(&b, 42, 7, (uint64_t)i);
        assert_int_equal(sonde__rng_u64(&b), first[i]);
        for (int j = 0; j < i; j += 97) assert_int_not_equal(first[j], first[i]);
    }
    /* One bit more in any of the three changes about half of the bits. */
    for (int bit = 0; bit < 64; bit++) {
        uint64_t one = (uint64_t)1 << bit;
        sonde__rng_start(&a, 42 ^ one, 7, 3);
        sonde__rng_start(&b, 42, 7, 3 ^ one);
        assert_in_range(__builtin_popcountll(sonde__rng_u64(&a) ^ first[3]), 10, 54);
        assert_in_range(__builtin_popcountll(sonde__rng_u64(&b) ^ first[3]), 10, 54);
        sonde__rng_start(&a, 42, 7 ^ (uint32_t)(one >> 32 | one), 3);
        assert_in_range(__builtin_popcountll(sonde__rng_u64(&a) ^ first[3]), 10, 54);
    }
}

/* Chi-square of counts against equal expectations, as standard deviations from its mean. */
static double chi_square_sigmas(const int *counts, int cells, int draws)
{
    double expected = (double)draws / cells, sum = 0;
    for (int i = 0; i < cells; i++) sum += (counts[i] - expected) * (counts[i] - expected) / expected;
    return (sum - (cells - 1)) / sqrt(2.0 * (cells - 1));
}

static void below_is_uniform(void **state)
{
    (void)state;
    static const uint64_t bounds[] = {1, 2, 3, 7, 10, 100, 255, 256, 257};
    sonde__rng rng;
    sonde__rng_start(&rng, 1, 2, 3);
    for (size_t b = 0; b < sizeof bounds / sizeof *bounds; b++) {
        int counts[257] = {0};
        for (int i = 0; i < 100000; i++) {
            uint64_t draw = sonde__rng_below(&rng, bounds[b]);
            assert_true(draw < bounds[b]);
            counts[draw]++;
        }
        if (bounds[b] > 1) assert_true(fabs(chi_square_sigmas(counts, (int)bounds[b], 100000)) < 5);
    }
}

/* Bounds of 3/4 of a power of two are where taking a remainder would favour the lower third twofold. */
static void below_has_no_bias_at_large_bounds(void **state)
{
    (void)state;
    static const uint64_t bounds[] = {3u << 30, UINT64_C(3) << 33, UINT64_C(3) << 62, UINT32_MAX, UINT64_MAX,
                                      UINT64_C(1) << 32, (UINT64_C(1) << 32) + 1, UINT64_C(1) << 63};
    sonde__rng rng;
    sonde__rng_start(&rng, 5, 0, 0);
    for (size_t b = 0; b < sizeof bounds / sizeof *bounds; b++) {
        int counts[12] = {0};
        for (int i = 0; i < 60000; i++) {
            uint64_t draw = sonde__rng_below(&rng, bounds[b]);
            assert_true(draw < bounds[b]);
            counts[(int)((double)draw / ((double)bounds[b] * (1 + 1e-15)) * 12)]++;
        }
        assert_true(fabs(chi_square_sigmas(counts, 12, 60000)) < 5);
    }
}

static void unit_is_uniform(void **state)
{
    (void)state;
    enum { DRAWS = 400000 };
    int counts[100] = {0};
    double sum = 0, squares = 0, least = 1;
    sonde__rng rng;
    sonde__rng_start(&rng, 9, 9, 9);
    for (int i = 0; i < DRAWS; i++) {
        double u = sonde__rng_unit(&rng);
        assert_true(u >= 0 && u < 1);
        assert_true(u * 0x1p53 == floor(u * 0x1p53));
        counts[(int)(u * 100)]++;
        sum += u;
        squares += u * u;
        if (u < least) least = u;
    }
    assert_true(fabs(chi_square_sigmas(counts, 100, DRAWS)) < 5);
    assert_true(fabs(sum / DRAWS - 0.5) < 5 * sqrt(1.0 / 12 / DRAWS));
    assert_true(fabs(squares / DRAWS - 1.0 / 3) < 5 * sqrt(4.0 / 45 / DRAWS));
    assert_true(least < 20.0 / DRAWS);
}

/* A draw's top bit is the sign, its next 52 say where in the tail: sizes must have exactly that tail. A float has a
 * relative error of 6e-8, which moves the tail by x * x times as much. */
static void check_normal(sonde__rng rng)
{
    sonde__rng twin = rng;
    uint64_t draw = sonde__rng_u64(&twin), half = (uint64_t)1 << 63;
    double tail = ((double)((draw & (half - 1)) >> 11) + 0.5) / 0x1p53;
    double x = sonde__rng_normal(&rng), back = 0.5 * erfc(fabs(x) / sqrt(2));
    if (!(fabs(back - tail) <= 1e-6 * tail * (1 + x * x)))
        fail_msg("%.9g has the tail %.17g, not %.17g", x, back, tail);
    assert_true((draw >= half) == (x > 0));
    assert_int_equal(rng.next, twin.next);
}

static void normal_inverts_the_distribution(void **state)
{
    (void)state;
    sonde__rng rng;
    sonde__rng_start(&rng, 3, 1, 4);
    for (int i = 0; i < 200000; i++) {
        check_normal(rng);
        sonde__rng_u64(&rng);
    }
}

/* Far tails never come by chance: blocks are set by hand. */
static sonde__rng rng_about_to_draw(uint64_t draw)
{
    sonde__rng rng = {.next = 0};
    rng.block[0] = (uint32_t)draw;
    rng.block[1] = (uint32_t)(draw >> 32);
    return rng;
}

static void normal_is_right_and_symmetric_in_the_far_tails(void **state)
{
    (void)state;
    for (int shift = 0; shift < 52; shift++) {
        uint64_t draw = (uint64_t)1 << (11 + shift), half = (uint64_t)1 << 63;
        sonde__rng low = rng_about_to_draw(draw), high = rng_about_to_draw(draw | half);
        check_normal(low);
        check_normal(high);
        assert_true(sonde__rng_normal(&low) == -sonde__rng_normal(&high));
    }
    sonde__rng least = rng_about_to_draw(0), most = rng_about_to_draw((uint64_t)1 << 63);
    check_normal(least);
    assert_true(sonde__rng_normal(&least) < -8.2f && sonde__rng_normal(&most) > 8.2f);
}

static void normal_has_its_moments(void **state)
{
    (void)state;
    enum { DRAWS = 400000 };
    double sums[5] = {0};
    for (int i = 0; i < DRAWS / 4; i++) {
        sonde__rng rng;
        sonde__rng_start(&rng, 77, 0, (uint64_t)i);
        for (int j = 0; j < 4; j++) {
            double x = sonde__rng_normal(&rng), power = 1;
            for (int k = 0; k < 5; k++, power *= x) sums[k] += power;
        }
    }
    /* Means 0, 1, 0, 3 with the deviations of the moments: 1, sqrt 2, sqrt 15, sqrt 96. */
    assert_true(fabs(sums[1] / DRAWS) < 5 / sqrt(DRAWS));
    assert_true(fabs(sums[2] / DRAWS - 1) < 5 * sqrt(2) / sqrt(DRAWS));
    assert_true(fabs(sums[3] / DRAWS) < 5 * sqrt(15) / sqrt(DRAWS));
    assert_true(fabs(sums[4] / DRAWS - 3) < 5 * sqrt(96) / sqrt(DRAWS));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(philox_gives_its_published_vectors),
    cmocka_unit_test(seed_stream_and_row_are_key_and_counter),
    cmocka_unit_test(draws_depend_on_nothing_else),
    cmocka_unit_test(below_is_uniform),
    cmocka_unit_test(below_has_no_bias_at_large_bounds),
    cmocka_unit_test(unit_is_uniform),
    cmocka_unit_test(normal_inverts_the_distribution),
    cmocka_unit_test(normal_is_right_and_symmetric_in_the_far_tails),
    cmocka_unit_test(normal_has_its_moments),
};
SONDE_TEST_MAIN(tests)
