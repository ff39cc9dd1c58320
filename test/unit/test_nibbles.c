/* test_nibbles.c: the fast scan of 4-bit codes. Generic is held to sums in double and to what rounding may
 * cost; every other set that this processor runs is held to generic, bit for bit.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <float.h>
#include <math.h>

#include "kernels/kernels.h"
#include "test.h"

enum {
    ENTRIES = 16,
    TWICE = 2 * ENTRIES,
    ROWS = SONDE__NIBBLE_ROWS,
    LANES = SONDE__NIBBLE_LANES,
    BLOCKS = 9,
    LONGEST = 2100
};

static const sonde__kernels *generic(void) { return sonde__kernels_all()[0]; }

/* Calls `check` for each set that runs here. */
static void each_set(void (*check)(const sonde__kernels *set))
{
    int sets = 0;
    for (const sonde__kernels *const *set = sonde__kernels_all(); *set; set++) {
        if (!sonde__kernels_run(*set)) continue;
        check(*set);
        sets++;
    }
    assert_true(sets >= 1);
}

/* ---- nibble_round -------------------------------------------------------------------------------------- */

enum { COUNT = 37 };

typedef struct rounded {
    _Alignas(64) uint8_t lut[(COUNT + 1) * TWICE + 64];
    float step, base;
} rounded;

static rounded round_table(const sonde__kernels *set, const float *table, int64_t count)
{
    rounded to;
    memset(to.lut, 77, sizeof to.lut);
    set->nibble_round(table, count, to.lut, &to.step, &to.base);
    assert_int_equal(to.lut[(count + 1) / 2 * 2 * TWICE], 77);
    return to;
}

static void fill_table(float *table, int64_t count, float size, uint64_t *state)
{
    for (int64_t i = 0; i < count * ENTRIES; i++) table[i] = size * test_normal(state);
}

/* Each entry is off by half a step at most, so any sum of one entry a number by count halves. */
static void check_error(const sonde__kernels *set)
{
    uint64_t state = 11;
    float table[COUNT * ENTRIES];
    for (int64_t count = 1; count <= COUNT; count++) {
        fill_table(table, count, powf(10, (float)(count % 7) - 3), &state);
        rounded to = round_table(set, table, count);
        double least_sum = 0, widest = 0;
        for (int64_t j = 0; j < count; j++) {
            double least = INFINITY, most = -INFINITY;
            for (int i = 0; i < ENTRIES; i++) {
                double entry = table[j * ENTRIES + i];
                least = entry < least ? entry : least;
                most = entry > most ? entry : most;
            }
            for (int i = 0; i < TWICE; i++) {
                double off = least + (double)to.step * to.lut[j * TWICE + i] -
                             table[j * ENTRIES + i % ENTRIES];
                assert_true(to.lut[j * TWICE + i] <= SONDE__NIBBLE_MOST);
                if (fabs(off) > to.step * (0.5 + 1e-4)) fail_msg("%s: entry %d off by %g", set->name, i, off);
            }
            least_sum += least;
            widest = fmax(widest, most - least);
        }
        assert_true(fabs(to.base - least_sum) <= 1e-5 * (fabs(least_sum) + widest * (double)count));
        assert_true(fabs(to.step - widest / SONDE__NIBBLE_MOST) <= 1e-6 * widest);
        for (int i = 0; i < TWICE && count % 2; i++) assert_int_equal(to.lut[count * TWICE + i], 0);
    }
}

static void rounding_error(void **state)
{
    (void)state;
    each_set(check_error);
}

/* Ties between two entries go to the even one; the widest number reaches 63. */
static void check_ties(const sonde__kernels *set)
{
    float table[ENTRIES] = {10,     10.5f,  11.5f, 12.5f, 13.5f, 73, 72.5f, 71.5f,
                            10.25f, 10.75f, 12,    13,    14,    15, 16,    17};
    const uint8_t wanted[ENTRIES] = {0, 0, 2, 2, 4, 63, 62, 62, 0, 1, 2, 3, 4, 5, 6, 7};
    rounded to = round_table(set, table, 1);
    assert_memory_equal(to.lut, wanted, sizeof wanted);
    assert_memory_equal(to.lut + ENTRIES, wanted, sizeof wanted);
    assert_true(to.step == 1 && to.base == 10);
}

static void ties_to_even(void **state)
{
    (void)state;
    each_set(check_ties);
}

static void check_constant(const sonde__kernels *set)
{
    float table[3 * ENTRIES];
    for (int i = 0; i < 3 * ENTRIES; i++) table[i] = (float)(i / ENTRIES) - 0.25f;
    rounded to = round_table(set, table, 3);
    assert_true(to.step == 0 && to.base == 2.25f);
    for (int i = 0; i < 4 * TWICE; i++) assert_int_equal(to.lut[i], 0);
    to = round_table(set, table, 0);
    assert_true(to.step == 0 && to.base == 0);
}

static void constant_tables(void **state)
{
    (void)state;
    each_set(check_constant);
}

/* The same bits on all sets, whatever the table holds; entries never exceed 63. */
static void check_odd_tables(const sonde__kernels *set)
{
    const float values[] = {NAN,    INFINITY, -INFINITY, FLT_MAX, -FLT_MAX, 1e-45f,
                            1e-43f, 0,        -0.0f,     1,       FLT_MIN,  -3e-44f};
    enum { VALUES = sizeof values / sizeof values[0] };
    uint64_t state = 3;
    float table[COUNT * ENTRIES];
    for (int round = 0; round < 2000; round++) {
        int64_t count = (int64_t)(test_u64(&state) % (COUNT + 1));
        uint64_t kinds = 1 + test_u64(&state) % VALUES, first = test_u64(&state);
        fill_table(table, count, 1, &state);
        for (int64_t i = 0; i < count * ENTRIES; i++)
            if (round % 3 || test_u64(&state) % 8 == 0)
                table[i] = values[(first + test_u64(&state) % kinds) % VALUES];
        rounded wanted = round_table(generic(), table, count), to = round_table(set, table, count);
        assert_memory_equal(to.lut, wanted.lut, sizeof wanted.lut);
        assert_true(to.step >= 0 && memcmp(&to.step, &wanted.step, sizeof to.step) == 0);
        assert_true(memcmp(&to.base, &wanted.base, sizeof to.base) == 0 ||
                    (isnan(to.base) && isnan(wanted.base)));
        for (int64_t i = 0; i < count * TWICE; i++) assert_true(to.lut[i] <= SONDE__NIBBLE_MOST);
    }
}

static void odd_tables(void **state)
{
    (void)state;
    each_set(check_odd_tables);
}

/* NaN is passed over; a number without a finite range makes the base NaN, so that no row passes. */
static void check_not_finite(const sonde__kernels *set)
{
    float table[2 * ENTRIES];
    for (int i = 0; i < 2 * ENTRIES; i++) table[i] = (float)(i % ENTRIES);
    table[3] = NAN;
    rounded to = round_table(set, table, 2);
    assert_true(to.base == 0 && to.step == 15.0f / SONDE__NIBBLE_MOST);
    assert_true(to.lut[3] == 0 && to.lut[15] == SONDE__NIBBLE_MOST);
    for (int i = 0; i < ENTRIES; i++) table[i] = NAN;
    assert_true(isnan(round_table(set, table, 2).base));
    table[0] = 1;
    assert_true(round_table(set, table, 2).base == 1);
    table[1] = INFINITY;
    assert_true(isnan(round_table(set, table, 2).base));
    table[0] = FLT_MAX;
    table[1] = -FLT_MAX;
    assert_true(isnan(round_table(set, table, 2).base));
}

static void not_finite(void **state)
{
    (void)state;
    each_set(check_not_finite);
}

/* ---- nibble_scan --------------------------------------------------------------------------------------- */

typedef struct problem {
    uint8_t *blocks, *lut;
    float *scale, *bias;
    uint32_t allowed[BLOCKS];
    sonde__nibble_lane lanes[LANES];
    int64_t block_count, pairs, lane_count;
} problem;

/* Codes start at an odd address, as lists may; the bytes lie at the end of their memory, so that valgrind and
 * the sanitizers see a read past them. */
static problem make_problem(int64_t block_count, int64_t pairs, int64_t lane_count, uint64_t seed)
{
    problem p = {.block_count = block_count, .pairs = pairs, .lane_count = lane_count};
    uint64_t state = seed;
    const int64_t bytes = block_count * pairs * ROWS, rows = block_count * ROWS, lut = pairs * 2 * TWICE;
    p.blocks = test_alloc((size_t)bytes + 1, 1);
    p.lut = aligned_alloc(64, (size_t)((LANES * lut + 63) / 64 * 64));
    assert_non_null(p.lut);
    for (int64_t i = 0; i < bytes; i++) p.blocks[i + 1] = (uint8_t)test_u64(&state);
    for (int64_t i = 0; i < LANES * lut; i++)
        p.lut[i] = i / ENTRIES % 2 ? p.lut[i - ENTRIES]
                                   : (uint8_t)(test_u64(&state) % (SONDE__NIBBLE_MOST + 1));
    p.scale = test_vectors(rows, 1, 0, seed + 1);
    p.bias = test_vectors(rows, 1, 0, seed + 2);
    for (int lane = 0; lane < LANES; lane++) {
        float step = (float)(0.01 + 0.1 * test_unit(&state)), base = test_normal(&state);
        p.lanes[lane] = (sonde__nibble_lane){p.lut + lane * lut, step, base, base + step * 63 * (float)pairs};
    }
    for (int64_t b = 0; b < block_count; b++)
        p.allowed[b] = test_u64(&state) % 3 ? (uint32_t)test_u64(&state) : 0;
    return p;
}

static void free_problem(problem *p)
{
    free(p->blocks);
    free(p->lut);
    free(p->scale);
    free(p->bias);
}

typedef struct answer {
    float scores[BLOCKS * LANES * ROWS];
    uint32_t masks[BLOCKS * LANES + 1];
} answer;

enum { SCALED = 1, BIASED = 2, FILTERED = 4 };

static void scan(const sonde__kernels *set, const problem *p, int parts, answer *to)
{
    memset(to, 0x5a, sizeof *to);
    set->nibble_scan(p->blocks + 1, p->block_count, p->pairs, parts & SCALED ? p->scale : NULL,
                     parts & BIASED ? p->bias : NULL, parts & FILTERED ? p->allowed : NULL, p->lanes,
                     p->lane_count, to->scores, to->masks);
    assert_int_equal(to->masks[p->block_count * p->lane_count], 0x5a5a5a5a);
}

/* Scores count only where a row passed. */
static void compare(const sonde__kernels *set, const problem *p, int parts)
{
    answer *wanted = test_alloc(1, sizeof *wanted), *got = test_alloc(1, sizeof *got);
    scan(generic(), p, parts, wanted);
    scan(set, p, parts, got);
    for (int64_t i = 0; i < p->block_count * p->lane_count; i++) {
        if (wanted->masks[i] != got->masks[i] ||
            (got->masks[i] &&
             memcmp(wanted->scores + i * ROWS, got->scores + i * ROWS, ROWS * sizeof(float)) != 0))
            fail_msg("%s: %d blocks, %d pairs, %d lanes, parts %d: entry %d differs", set->name,
                     (int)p->block_count, (int)p->pairs, (int)p->lane_count, parts, (int)i);
    }
    free(wanted);
    free(got);
}

static void check_same_bits(const sonde__kernels *set)
{
    for (int64_t pairs = 1; pairs <= 260; pairs++) {
        int64_t blocks = 1 + pairs % BLOCKS, lanes = 1 + pairs / BLOCKS % LANES;
        problem p = make_problem(blocks, pairs, lanes, (uint64_t)pairs);
        compare(set, &p, (int)(pairs / 5) % 8);
        free_problem(&p);
    }
}

static void same_bits_for_all_lengths(void **state)
{
    (void)state;
    each_set(check_same_bits);
}

static void check_shapes(const sonde__kernels *set)
{
    for (int64_t shape = 0; shape < BLOCKS * LANES * 8; shape++) {
        int64_t pairs = 1 + shape % 5;
        problem p = make_problem(1 + shape / 8 % BLOCKS, pairs, 1 + shape / 8 / BLOCKS, (uint64_t)shape);
        compare(set, &p, (int)(shape % 8));
        free_problem(&p);
    }
}

static void same_bits_for_all_shapes(void **state)
{
    (void)state;
    each_set(check_shapes);
}

/* Sums up to 2100 x 126, far beyond 16 bits; the pairs around where sums are flushed; random entries, too. */
static void check_long(const sonde__kernels *set)
{
    const int64_t lengths[] = {259, 260, 261, 511, 512, 513, 514, 519, 521, 1023, 1024, 1025, LONGEST};
    for (size_t i = 0; i < 2 * sizeof lengths / sizeof lengths[0]; i++) {
        problem p = make_problem(3, lengths[i / 2], 1 + (int64_t)(i / 2) % LANES, i);
        if (i % 2) memset(p.lut, SONDE__NIBBLE_MOST, (size_t)(LANES * p.pairs * 2 * TWICE));
        for (int lane = 0; lane < LANES && i % 2; lane++) p.lanes[lane].threshold = 0;
        compare(set, &p, 0);
        compare(set, &p, SCALED | BIASED | FILTERED);
        free_problem(&p);
    }
}

static void long_sums(void **state)
{
    (void)state;
    each_set(check_long);
}

/* One entry of 63 in each number, picked by every row: the score says the sum exactly. */
static void check_exact(const sonde__kernels *set)
{
    answer *got = test_alloc(1, sizeof *got);
    for (int64_t pairs = 500; pairs <= 540; pairs++) {
        problem p = make_problem(2, pairs, 3, 9);
        memset(p.lut, SONDE__NIBBLE_MOST, (size_t)(LANES * pairs * 2 * TWICE));
        for (int lane = 0; lane < 3; lane++)
            p.lanes[lane] = (sonde__nibble_lane){p.lanes[lane].lut, 1, 0, -1};
        scan(set, &p, 0, got);
        for (int i = 0; i < 2 * 3 * ROWS; i++)
            assert_true(got->scores[i] == (float)(pairs * 2 * SONDE__NIBBLE_MOST));
        for (int i = 0; i < 2 * 3; i++) assert_int_equal(got->masks[i], UINT32_MAX);
        free_problem(&p);
    }
    free(got);
}

static void largest_sums(void **state)
{
    (void)state;
    each_set(check_exact);
}

/* Nothing passes +inf or NaN, everything but NaN passes -inf; NaN comes from base, step, scale or bias. */
static void check_thresholds(const sonde__kernels *set)
{
    const float thresholds[] = {-INFINITY, INFINITY, NAN};
    answer *got = test_alloc(1, sizeof *got);
    for (int t = 0; t < 3; t++) {
        problem p = make_problem(3, 7, 2, (uint64_t)t);
        uint32_t some = t == 0 ? UINT32_MAX : 0;
        p.lanes[0].threshold = p.lanes[1].threshold = thresholds[t];
        compare(set, &p, SCALED);
        scan(set, &p, 0, got);
        for (int i = 0; i < 6; i++) assert_int_equal(got->masks[i], some);
        p.lanes[1].base = NAN;
        p.bias[ROWS + 5] = NAN;
        p.scale[ROWS + 31] = NAN;
        compare(set, &p, BIASED);
        scan(set, &p, SCALED | BIASED, got);
        for (int b = 0; b < 3; b++) {
            assert_int_equal(got->masks[2 * b], b == 1 ? some & ~(1u << 5 | 1u << 31) : some);
            assert_int_equal(got->masks[2 * b + 1], 0);
        }
        p.lanes[0].step = INFINITY;
        compare(set, &p, 0);
        free_problem(&p);
    }
    free(got);
}

static void thresholds_and_nan(void **state)
{
    (void)state;
    each_set(check_thresholds);
}

/* A score that equals the threshold does not pass, and what is above it by the least does. */
static void check_crossing(const sonde__kernels *set, int parts, uint64_t seed)
{
    answer *got = test_alloc(1, sizeof *got), *again = test_alloc(1, sizeof *again);
    problem p = make_problem(4, 12, 1, seed);
    p.lanes[0].threshold = -INFINITY;
    scan(set, &p, parts, got);
    for (int i = 0; i < 4 * ROWS; i++) {
        p.lanes[0].threshold = got->scores[i];
        scan(set, &p, parts, again);
        for (int v = 0; v < 4 * ROWS; v++)
            assert_int_equal(again->masks[v / ROWS] >> v % ROWS & 1, got->scores[v] > got->scores[i]);
    }
    free(got);
    free(again);
    free_problem(&p);
}

static void check_crossings(const sonde__kernels *set)
{
    for (uint64_t seed = 5; seed < 25; seed++) {
        check_crossing(set, SCALED | BIASED, seed);
        check_crossing(set, 0, seed);
    }
}

static void equal_does_not_pass(void **state)
{
    (void)state;
    each_set(check_crossings);
}

/* The filter inside gives what filtering afterwards gives, and blocks without an allowed row are never read:
 * they lie in memory that does not exist. */
static void check_filter(const sonde__kernels *set)
{
    answer *all = test_alloc(1, sizeof *all), *some = test_alloc(1, sizeof *some);
    for (int64_t lanes = 1; lanes <= LANES; lanes++) {
        problem p = make_problem(BLOCKS, 10, lanes, (uint64_t)lanes);
        scan(set, &p, BIASED, all);
        scan(set, &p, BIASED | FILTERED, some);
        for (int64_t i = 0; i < BLOCKS * lanes; i++)
            assert_int_equal(some->masks[i], all->masks[i] & p.allowed[i / lanes]);
        memset(p.allowed, 0, sizeof p.allowed);
        uint8_t *blocks = p.blocks;
        p.blocks = NULL;
        scan(set, &p, FILTERED, some);
        for (int64_t i = 0; i < BLOCKS * lanes; i++) assert_int_equal(some->masks[i], 0);
        p.blocks = blocks;
        free_problem(&p);
    }
    free(all);
    free(some);
}

static void filters(void **state)
{
    (void)state;
    each_set(check_filter);
}

/* One lane at a time gives what all lanes together give. */
static void check_lanes(const sonde__kernels *set)
{
    answer *together = test_alloc(1, sizeof *together), *alone = test_alloc(1, sizeof *alone);
    for (int64_t pairs = 1; pairs <= 20; pairs++) {
        problem p = make_problem(5, pairs, LANES, (uint64_t)pairs), one;
        scan(set, &p, SCALED, together);
        for (int lane = 0; lane < LANES; lane++) {
            one = p;
            one.lane_count = 1;
            one.lanes[0] = p.lanes[lane];
            scan(set, &one, SCALED, alone);
            for (int b = 0; b < 5; b++) {
                const float *scores = together->scores + (b * LANES + lane) * ROWS;
                assert_int_equal(alone->masks[b], together->masks[b * LANES + lane]);
                if (alone->masks[b])
                    assert_memory_equal(scores, alone->scores + b * ROWS, ROWS * sizeof *scores);
            }
        }
        free_problem(&p);
    }
    free(together);
    free(alone);
}

static void lanes_alone(void **state)
{
    (void)state;
    each_set(check_lanes);
}

/* ---- generic against double, from codes and tables to scores ------------------------------------------- */

/* The score of a row: numbers read nibble by nibble from a plain row-major code. */
static double plain_score(const float *table, const uint8_t *code, int64_t count, double scale, double bias)
{
    double sum = 0;
    for (int64_t j = 0; j < count; j++)
        sum += (double)table[j * ENTRIES + (j % 2 ? code[j / 2] >> 4 : code[j / 2] & 15)];
    return sum * scale + bias;
}

/* Of each row, the score lies within count half steps of the exact one. */
static void whole_way(void **state)
{
    (void)state;
    answer *got = test_alloc(1, sizeof *got);
    float table[COUNT * ENTRIES];
    uint64_t random = 8;
    for (int64_t count = 1; count <= COUNT; count++) {
        const int64_t pairs = (count + 1) / 2;
        problem p = make_problem(3, pairs, 1, (uint64_t)count);
        uint8_t *codes = test_alloc((size_t)(3 * ROWS * pairs), 1);
        for (int64_t i = 0; i < 3 * ROWS * pairs; i++)
            codes[i] = p.blocks[1 + (i / pairs / ROWS * pairs + i % pairs) * ROWS + i / pairs % ROWS];
        fill_table(table, count, 1, &random);
        sonde__nibble_lane *lane = &p.lanes[0];
        generic()->nibble_round(table, count, p.lut, &lane->step, &lane->base);
        lane->threshold = -INFINITY;
        scan(generic(), &p, SCALED | BIASED, got);
        for (int64_t i = 0; i < 3 * ROWS; i++) {
            double wanted = plain_score(table, codes + i * pairs, count, p.scale[i], p.bias[i]);
            double slack = fabs(p.scale[i]) * (0.5 * (double)count * lane->step + 1e-4) + 1e-5;
            if (fabs(got->scores[i] - wanted) > slack)
                fail_msg("count %d, row %d: %g is not near %g", (int)count, (int)i, got->scores[i], wanted);
        }
        free(codes);
        free_problem(&p);
    }
    free(got);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(rounding_error),
    cmocka_unit_test(ties_to_even),
    cmocka_unit_test(constant_tables),
    cmocka_unit_test(odd_tables),
    cmocka_unit_test(not_finite),
    cmocka_unit_test(same_bits_for_all_lengths),
    cmocka_unit_test(same_bits_for_all_shapes),
    cmocka_unit_test(long_sums),
    cmocka_unit_test(largest_sums),
    cmocka_unit_test(thresholds_and_nan),
    cmocka_unit_test(equal_does_not_pass),
    cmocka_unit_test(filters),
    cmocka_unit_test(lanes_alone),
    cmocka_unit_test(whole_way),
};
SONDE_TEST_MAIN(tests)
