/* test_kernels.c: every hot loop of every instruction set against plain loops in double precision, and integers, codes
 * and conversions exactly. Each case runs once for each set; a set that this processor lacks is skipped.
 *
 * Inputs stand against an unreadable page, at their end or at their beginning, so that a read outside crashes.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE

#include <float.h>
#include <math.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

#include "kernels/kernels.h"

/* ---- scaffolding ---------------------------------------------------------------------------------------------- */

/* The table of the set that the case is for. */
static const sonde__kernels *table_of(void **state)
{
    for (const sonde__kernels *const *k = sonde__kernels_all(); *k; k++) {
        if (strcmp((*k)->name, *state) == 0 && sonde__kernels_run(*k)) return *k;
    }
    skip();
    return NULL;
}

typedef struct guarded {
    uint8_t *map, *data;
    size_t size;
} guarded;

/* `bytes` of zeros that end where an unreadable page begins, or (every second time) begin where one ends. */
static guarded guard(int64_t bytes)
{
    static int turn;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), inner = ((size_t)bytes + page - 1) / page * page;
    guarded g = {.size = inner + 2 * page};
    g.map = mmap(NULL, g.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g.map != MAP_FAILED);
    assert_int_equal(mprotect(g.map, page, PROT_NONE), 0);
    assert_int_equal(mprotect(g.map + page + inner, page, PROT_NONE), 0);
    g.data = turn++ % 2 ? g.map + page : g.map + page + inner - bytes;
    return g;
}

static void unguard(guarded *g) { munmap(g->map, g->size); }

static int64_t below(uint64_t *random, int64_t bound) { return (int64_t)(test_u64(random) % (uint64_t)bound); }

/* The dimensions to try: each up to 130, then samples up to 2050. */
static int64_t next_dim(int64_t d) { return d < 130 ? d + 1 : d + 1 + d % 7 * 41; }

static const int64_t element_bytes[SONDE__ROW_KINDS] = {4, 2, 2, 1, 1};

static float float_at(const uint8_t *row, int64_t j)
{
    float x;
    memcpy(&x, row + 4 * j, sizeof x);
    return x;
}

static uint16_t word_at(const uint8_t *row, int64_t j)
{
    uint16_t x;
    memcpy(&x, row + 2 * j, sizeof x);
    return x;
}

static double half_value(uint16_t x)
{
    int exponent = x >> 10 & 31, fraction = x & 1023;
    double magnitude = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    if (exponent == 31) magnitude = fraction ? NAN : INFINITY;
    return x & 0x8000 ? -magnitude : magnitude;
}

static double bfloat_value(uint16_t x)
{
    uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double element(const uint8_t *row, int64_t j, int kind)
{
    switch (kind) {
    case SONDE__ROW_F32: return float_at(row, j);
    case SONDE__ROW_F16: return half_value(word_at(row, j));
    case SONDE__ROW_BF16: return bfloat_value(word_at(row, j));
    case SONDE__ROW_I8: return (int8_t)row[j];
    default: return row[j];
    }
}

/* A random element of any type, of ordinary size. */
static void put_element(uint8_t *row, int64_t j, int kind, uint64_t *random)
{
    float x = test_normal(random);
    uint16_t word = (uint16_t)(test_u64(random) & 0xbfff); /* below 2 in f16 */
    if (kind == SONDE__ROW_BF16) word = (uint16_t)((word & 0x80ff) | 0x3f00);
    if (kind == SONDE__ROW_F32)
        memcpy(row + 4 * j, &x, sizeof x);
    else if (kind == SONDE__ROW_F16 || kind == SONDE__ROW_BF16)
        memcpy(row + 2 * j, &word, sizeof word);
    else
        row[j] = (uint8_t)test_u64(random);
}

/* A matrix of random rows of any stride against a page end, with as many queries of floats. */
typedef struct sample {
    guarded rows, query;
    int64_t count, d, stride;
    int kind;
} sample;

static sample sample_of(int64_t count, int64_t d, int64_t stride, int kind, uint64_t *random)
{
    sample s = {.count = count, .d = d, .stride = stride, .kind = kind};
    int64_t bytes = count ? (count - 1) * stride + d * element_bytes[kind] : 0;
    s.rows = guard(bytes);
    s.query = guard(d * 4);
    for (int64_t i = 0; i < count; i++) {
        for (int64_t j = 0; j < d; j++) put_element(s.rows.data + i * stride, j, kind, random);
    }
    for (int64_t j = 0; j < d; j++) put_element(s.query.data, j, SONDE__ROW_F32, random);
    return s;
}

static void sample_free(sample *s)
{
    unguard(&s->rows);
    unguard(&s->query);
}

/* Queries must be aligned floats; the guard's end is, because d * 4 is a multiple of 4. */
static const float *query_of(const sample *s) { return (const float *)(const void *)s->query.data; }

/* ---- distances ------------------------------------------------------------------------------------------------ */

static void expect_scores(const sample *s, const float *got, bool l2)
{
    for (int64_t i = 0; i < s->count; i++) {
        double sum = 0, size = 0;
        for (int64_t j = 0; j < s->d; j++) {
            double q = query_of(s)[j], x = element(s->rows.data + i * s->stride, j, s->kind);
            double term = l2 ? (q - x) * (q - x) : q * x;
            sum += term;
            size += fabs(term);
        }
        if (!(fabs(got[i] - sum) <= 4 * (double)s->d * FLT_EPSILON * size))
            fail_msg("kind %d l2 %d d %d row %d of %d: %g, not %g", s->kind, l2, (int)s->d, (int)i, (int)s->count,
                     (double)got[i], sum);
    }
}

/* Rows side by side, scattered, and one by one: right, and bit for bit the same. */
static void check_distances(const sonde__kernels *k, const sample *s, bool l2)
{
    sonde__rows_fn rows = (l2 ? k->l2_rows : k->ip_rows)[s->kind];
    sonde__gather_fn gather = (l2 ? k->l2_gather : k->ip_gather)[s->kind];
    guarded out = guard(s->count * 4);
    float *scores = (float *)(void *)out.data, *again = test_alloc((size_t)s->count, sizeof *again);
    int64_t *offsets = test_alloc((size_t)s->count, sizeof *offsets);
    for (int64_t i = 0; i < s->count; i++) offsets[i] = (s->count - 1 - i) * s->stride;
    rows(query_of(s), s->rows.data, s->stride, s->count, s->d, scores);
    expect_scores(s, scores, l2);
    gather(query_of(s), s->rows.data, offsets, s->count, s->d, again);
    for (int64_t i = 0; i < s->count; i++) assert_memory_equal(&again[i], &scores[s->count - 1 - i], 4);
    for (int64_t i = 0; i < s->count; i++) {
        rows(query_of(s), s->rows.data + i * s->stride, s->stride, 1, s->d, again);
        assert_memory_equal(again, &scores[i], 4);
    }
    free(offsets);
    free(again);
    unguard(&out);
}

static void test_distances(void **state)
{
    const sonde__kernels *k = table_of(state);
    uint64_t random = 1;
    for (int64_t d = 1; d <= 2050; d = next_dim(d)) {
        for (int kind = 0; kind < SONDE__ROW_KINDS; kind++) {
            int64_t count = d % 16 == 5 ? below(&random, 101) : below(&random, 10);
            int64_t stride = d * element_bytes[kind] + below(&random, 3) * below(&random, 9);
            sample s = sample_of(count, d, stride, kind, &random);
            check_distances(k, &s, false);
            check_distances(k, &s, true);
            sample_free(&s);
        }
    }
}

/* A row with an infinity scores infinite, and does not spoil its neighbours. */
static void test_infinite_rows(void **state)
{
    const sonde__kernels *k = table_of(state);
    for (int64_t d = 1; d < 70; d++) {
        for (int64_t at = 0; at < d; at++) {
            float query[70], rows[5 * 70], scores[5];
            for (int64_t j = 0; j < d; j++) query[j] = 1;
            for (int64_t j = 0; j < 5 * d; j++) rows[j] = 1;
            rows[2 * d + at] = INFINITY;
            k->ip_rows[SONDE__ROW_F32](query, rows, 4 * d, 5, d, scores);
            for (int i = 0; i < 5; i++) assert_true(scores[i] == (i == 2 ? INFINITY : (float)d));
            k->l2_rows[SONDE__ROW_F32](query, rows, 4 * d, 5, d, scores);
            for (int i = 0; i < 5; i++) assert_true(scores[i] == (i == 2 ? INFINITY : 0));
        }
    }
}

/* Where the second vector lies inside the same guarded rows, the first row serves as the query. */
static void check_integers(const sonde__kernels *k, int64_t count, int64_t d, int64_t stride, uint64_t *random)
{
    guarded rows = guard((count - 1) * stride + d), query = guard(d);
    int64_t wide[4][16];
    int32_t narrow[2][16];
    bool extreme = below(random, 4) == 0;
    for (int64_t i = 0; i < count; i++) {
        for (int64_t j = 0; j < d; j++)
            rows.data[i * stride + j] = (uint8_t)(extreme ? (test_u64(random) % 2 ? 255 : 128) : test_u64(random));
    }
    for (int64_t j = 0; j < d; j++) query.data[j] = (uint8_t)(extreme ? 128 : test_u64(random));
    const int8_t *signed_query = (const int8_t *)query.data, *signed_rows = (const int8_t *)rows.data;
    k->ip_i8(signed_query, signed_rows, stride, count, d, wide[0]);
    k->ip_u8(query.data, rows.data, stride, count, d, wide[1]);
    k->l2_i8(signed_query, signed_rows, stride, count, d, wide[2]);
    k->l2_u8(query.data, rows.data, stride, count, d, wide[3]);
    k->hamming(query.data, rows.data, stride, count, d, narrow[0]);
    int64_t expected[6][16] = {{0}};
    for (int64_t i = 0; i < count; i++) {
        for (int64_t j = 0; j < d; j++) {
            int64_t a = signed_query[j], b = signed_rows[i * stride + j];
            int64_t u = query.data[j], v = rows.data[i * stride + j];
            expected[0][i] += a * b;
            expected[1][i] += u * v;
            expected[2][i] += (a - b) * (a - b);
            expected[3][i] += (u - v) * (u - v);
            expected[4][i] += __builtin_popcount((unsigned)(u ^ v));
        }
    }
    for (int64_t j = 0; j < d; j++) query.data[j] = (uint8_t)(extreme ? (j % 2 ? 64 : -64) : below(random, 129) - 64);
    if (extreme) memset(query.data, below(random, 2) ? 64 : 0xc0, (size_t)d);
    for (int64_t i = 0; i < count; i++) {
        for (int64_t j = 0; j < d; j++) expected[5][i] += signed_query[j] * rows.data[i * stride + j];
    }
    k->ip_u8s8(signed_query, rows.data, stride, count, d, narrow[1]);
    for (int64_t i = 0; i < count; i++) {
        for (int op = 0; op < 4; op++) assert_int_equal(wide[op][i], expected[op][i]);
        for (int op = 0; op < 2; op++) assert_int_equal(narrow[op][i], expected[4 + op][i]);
    }
    unguard(&query);
    unguard(&rows);
}

static void test_integers(void **state)
{
    const sonde__kernels *k = table_of(state);
    uint64_t random = 2;
    for (int64_t d = 1; d <= 2050; d = next_dim(d))
        check_integers(k, 1 + below(&random, 12), d, d + below(&random, 5), &random);
}

/* The largest sums that the contract allows. */
static void test_integer_limits(void **state)
{
    const sonde__kernels *k = table_of(state);
    int64_t d = 65536, got;
    uint8_t *full = test_alloc((size_t)d, 1), *none = test_alloc((size_t)d, 1);
    memset(full, 255, (size_t)d);
    k->ip_u8(full, full, d, 1, d, &got);
    assert_int_equal(got, d * 255 * 255);
    k->l2_u8(full, none, d, 1, d, &got);
    assert_int_equal(got, d * 255 * 255);
    memset(full, 0x80, (size_t)d);
    memset(none, 0x7f, (size_t)d);
    k->ip_i8((int8_t *)full, (int8_t *)full, d, 1, d, &got);
    assert_int_equal(got, d * 128 * 128);
    k->ip_i8((int8_t *)full, (int8_t *)none, d, 1, d, &got);
    assert_int_equal(got, d * -128 * 127);
    k->l2_i8((int8_t *)full, (int8_t *)none, d, 1, d, &got);
    assert_int_equal(got, d * 255 * 255);
    free(none);
    free(full);
}

/* ---- tiles ---------------------------------------------------------------------------------------------------- */

static void pack(const sonde__kernels *k, const void *rows, int64_t stride, int64_t count, int64_t d, int64_t lanes,
                 float *panel)
{
    const void *row[SONDE__LANES_MAX];
    for (int64_t i = 0; i < count; i++) row[i] = (const uint8_t *)rows + i * stride;
    k->pack_panel(row, count, d, lanes, panel);
}

/* `count` random queries of small whole numbers (exact sums) or normal ones, and the panel of them. */
static float *random_panel(const sonde__kernels *k, int64_t count, int64_t d, float *queries, bool whole,
                           uint64_t *random)
{
    float *panel = test_alloc((size_t)(k->lanes * d), sizeof *panel);
    for (int64_t i = 0; i < count * d; i++)
        queries[i] = whole ? (float)(below(random, 5) - 2) : test_normal(random);
    pack(k, queries, 4 * d, count, d, k->lanes, panel);
    return panel;
}

static void expect_tile(const sonde__kernels *k, const sample *s, const float *queries, int64_t used, const float *tile)
{
    for (int64_t i = 0; i < s->count; i++) {
        for (int64_t lane = 0; lane < k->lanes; lane++) {
            double sum = 0, size = 0;
            for (int64_t j = 0; lane < used && j < s->d; j++) {
                double term = (double)queries[lane * s->d + j] * float_at(s->rows.data + i * s->stride, j);
                sum += term;
                size += fabs(term);
            }
            if (!(fabs(tile[i * k->lanes + lane] - sum) <= 4 * (double)s->d * FLT_EPSILON * size))
                fail_msg("d %d row %d of %d lane %d: %g, not %g", (int)s->d, (int)i, (int)s->count, (int)lane,
                         (double)tile[i * k->lanes + lane], sum);
        }
    }
}

static void check_tile(const sonde__kernels *k, int64_t count, int64_t d, int64_t stride, uint64_t *random)
{
    sample s = sample_of(count, d, stride, SONDE__ROW_F32, random);
    int64_t used = 1 + below(random, k->lanes);
    float *queries = test_alloc((size_t)(used * d), sizeof *queries);
    float *panel = random_panel(k, used, d, queries, false, random);
    guarded out = guard(count * k->lanes * 4);
    float *tile = (float *)(void *)out.data, *alone = test_alloc((size_t)k->lanes, sizeof *alone);
    if (count > 1) memcpy(s.rows.data + (count - 1) * stride, s.rows.data, (size_t)d * 4);
    k->tile_f32(panel, (const float *)(const void *)s.rows.data, stride, count, d, tile);
    expect_tile(k, &s, queries, used, tile);
    if (count > 1) assert_memory_equal(tile, tile + (count - 1) * k->lanes, (size_t)k->lanes * 4);
    for (int64_t i = 0; i < count; i++) {
        k->tile_f32(panel, (const float *)(const void *)(s.rows.data + i * stride), stride, 1, d, alone);
        assert_memory_equal(alone, tile + i * k->lanes, (size_t)k->lanes * 4);
    }
    free(alone);
    unguard(&out);
    free(panel);
    free(queries);
    sample_free(&s);
}

static void test_tiles(void **state)
{
    const sonde__kernels *k = table_of(state);
    uint64_t random = 3;
    for (int64_t d = 1; d <= 700; d = next_dim(d))
        check_tile(k, below(&random, d < 20 ? 60 : 14), d, 4 * d + below(&random, 2) * below(&random, 9), &random);
    for (int64_t count = 0; count < 30; count++) check_tile(k, count, 5, 20, &random);
    check_tile(k, 14, 512, 2048, &random);
    check_tile(k, 25, 64, 4096, &random);
    check_tile(k, 13, 2050, 8200, &random);
}

static void check_tile_8(const sonde__kernels *k, int64_t count, int64_t d, int64_t stride, uint64_t *random)
{
    int64_t padded = (d + 3) / 4 * 4, lanes = k->lanes;
    guarded rows = guard(count ? (count - 1) * stride + d : 0);
    guarded panel = guard(padded * lanes), out = guard(count * lanes * 4);
    int8_t *queries = test_alloc((size_t)(lanes * d), 1), *packed = (int8_t *)panel.data;
    int32_t *tile = (int32_t *)(void *)out.data;
    bool extreme = below(random, 3) == 0;
    for (int64_t i = 0; i < count; i++) {
        for (int64_t j = 0; j < d; j++) rows.data[i * stride + j] = (uint8_t)(extreme ? 255 : test_u64(random));
    }
    for (int64_t lane = 0; lane < lanes; lane++) {
        for (int64_t j = 0; j < d; j++) {
            int8_t q = (int8_t)(extreme ? (lane % 2 ? 64 : -64) : below(random, 129) - 64);
            queries[lane * d + j] = packed[j / 4 * lanes * 4 + lane * 4 + j % 4] = q;
        }
    }
    k->tile_u8s8(packed, rows.data, stride, count, d, tile);
    for (int64_t i = 0; i < count; i++) {
        for (int64_t lane = 0; lane < lanes; lane++) {
            int32_t sum = 0;
            for (int64_t j = 0; j < d; j++) sum += queries[lane * d + j] * rows.data[i * stride + j];
            assert_int_equal(tile[i * lanes + lane], sum);
        }
    }
    free(queries);
    unguard(&out);
    unguard(&panel);
    unguard(&rows);
}

static void test_tiles_8(void **state)
{
    const sonde__kernels *k = table_of(state);
    uint64_t random = 4;
    for (int64_t d = 1; d <= 700; d = next_dim(d))
        check_tile_8(k, below(&random, 15), d, d + below(&random, 4), &random);
    for (int64_t count = 0; count < 30; count++) check_tile_8(k, count, 7, 7, &random);
}

static void check_select(const sonde__kernels *k, int64_t count, int64_t lanes, int kind, uint64_t *random)
{
    int64_t size = count * lanes, expected = 0;
    guarded tile = guard(size * 4), out = guard(size * 4), levels = guard(lanes * 4);
    float *scores = (float *)(void *)tile.data, *threshold = (float *)(void *)levels.data;
    uint32_t *hits = (uint32_t *)(void *)out.data;
    float *before = test_alloc((size_t)size, sizeof *before), scale[64], bias[64];
    for (int64_t i = 0; i < size; i++) before[i] = scores[i] = below(random, 9) ? (float)(below(random, 65) - 32) : NAN;
    for (int64_t lane = 0; lane < lanes; lane++) threshold[lane] = (float)(below(random, 200) - 20) / 2;
    for (int64_t i = 0; i < count; i++) {
        scale[i] = (float)(below(random, 9) - 4) / 2;
        bias[i] = (float)(below(random, 33) - 16);
    }
    int64_t found =
        k->tile_select(scores, count, lanes, kind & 1 ? scale : NULL, kind & 2 ? bias : NULL, threshold, hits);
    for (int64_t i = 0; i < size; i++) { /* halves of small whole numbers: every product and sum is exact */
        float s = before[i] * (kind & 1 ? scale[i / lanes] : 1) + (kind & 2 ? bias[i / lanes] : 0);
        assert_true(isnan(s) ? isnan(scores[i]) : s == scores[i]);
        if (!(s > threshold[i % lanes])) continue;
        assert_true(expected < found);
        assert_int_equal(hits[expected++], i);
    }
    assert_int_equal(found, expected);
    free(before);
    unguard(&levels);
    unguard(&out);
    unguard(&tile);
}

static void test_tile_select(void **state)
{
    const sonde__kernels *k = table_of(state);
    uint64_t random = 5;
    for (int64_t lanes = 8; lanes <= SONDE__LANES_MAX; lanes += 8) {
        for (int kind = 0; kind < 4; kind++) {
            for (int round = 0; round < 20; round++) check_select(k, below(&random, 40), lanes, kind, &random);
        }
    }
}

/* Whole numbers make every score exact, so best, runner-up and ties can be told for sure. */
static void check_nearest(const sonde__kernels *k, int64_t count, int64_t d, int64_t centroids, uint64_t *random)
{
    int64_t lanes = k->lanes, panels = (centroids + lanes - 1) / lanes, stride = 4 * d + below(random, 2) * 3;
    guarded packed = guard(panels * lanes * d * 4), biases = guard(panels * lanes * 4);
    float *panel = (float *)(void *)packed.data, *bias = (float *)(void *)biases.data;
    float *queries = test_alloc((size_t)(lanes * panels * d), sizeof *queries);
    for (int64_t p = 0; p < panels; p++) {
        int64_t some = sonde__min_i64(lanes, centroids - p * lanes);
        float *one = random_panel(k, some, d, queries + p * lanes * d, true, random);
        memcpy(panel + p * lanes * d, one, (size_t)(lanes * d) * 4);
        for (int64_t i = 0; i < lanes; i++) bias[p * lanes + i] = i < some ? (float)below(random, 3) : -INFINITY;
        free(one);
    }
    guarded rows = guard(count ? (count - 1) * stride + 4 * d : 0);
    for (int64_t i = 0; i < count * d; i++) {
        float x = (float)(below(random, 5) - 2);
        memcpy(rows.data + i / d * stride + i % d * 4, &x, sizeof x);
    }
    int32_t best[64], best_alone[64];
    float score[64], second[64], score_alone[64];
    const float *x = (const float *)(const void *)rows.data;
    k->nearest_f32(panel, bias, panels, x, stride, count, d, best, score, second);
    k->nearest_f32(panel, bias, panels, x, stride, count, d, best_alone, score_alone, NULL);
    for (int64_t i = 0; i < count; i++) {
        int64_t top = 0;
        float top_score = -INFINITY, next = -INFINITY;
        for (int64_t c = 0; c < centroids; c++) {
            float s = bias[c];
            for (int64_t j = 0; j < d; j++) s += queries[c * d + j] * float_at(rows.data + i * stride, j);
            if (s > top_score) {
                next = top_score;
                top_score = s;
                top = c;
            } else if (s > next) {
                next = s;
            }
        }
        assert_int_equal(best[i], top);
        assert_true(score[i] == top_score && second[i] == next);
        assert_true(best_alone[i] == best[i] && score_alone[i] == score[i]);
    }
    unguard(&rows);
    free(queries);
    unguard(&biases);
    unguard(&packed);
}

static void test_nearest(void **state)
{
    const sonde__kernels *k = table_of(state);
    static const int64_t dims[] = {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 100, 259};
    uint64_t random = 6;
    for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
        check_nearest(k, 1 + below(&random, 40), dims[i], 1, &random);
        check_nearest(k, below(&random, 40), dims[i], 1 + below(&random, 200), &random);
        check_nearest(k, 30, dims[i], 64, &random);
    }
    for (int64_t count = 0; count < 30; count++) check_nearest(k, count, 5, 40, &random);
}

/* A row with a NaN gets some valid number and no finite score; the others are not disturbed. */
static void test_nearest_nan(void **state)
{
    const sonde__kernels *k = table_of(state);
    static const int64_t dims[] = {8, 40};
    for (int at = 0; at < 2; at++) {
        int64_t d = dims[at], count = 15;
        float *panel = test_alloc((size_t)(d * k->lanes), 4), *rows = test_alloc((size_t)(count * d), 4);
        float bias[SONDE__LANES_MAX] = {0}, score[15], second[15];
        int32_t best[15];
        for (int64_t j = 0; j < d * k->lanes; j++) panel[j] = (float)(j % k->lanes);
        for (int64_t j = 0; j < count * d; j++) rows[j] = 1;
        for (int64_t bad = 0; bad < count; bad++) {
            rows[bad * d + 3] = NAN;
            k->nearest_f32(panel, bias, 1, rows, 4 * d, count, d, best, score, second);
            for (int64_t i = 0; i < count; i++) {
                assert_true(best[i] == (i == bad ? 0 : k->lanes - 1));
                assert_true(score[i] == (i == bad ? -INFINITY : (float)(d * (k->lanes - 1))));
                assert_true(second[i] == (i == bad ? -INFINITY : (float)(d * (k->lanes - 2))));
            }
            rows[bad * d + 3] = 1;
        }
        free(rows);
        free(panel);
    }
}

/* A centroid that is NaN is never near, and does not disturb the runner-up that shares its column. */
static void test_nearest_nan_centroid(void **state)
{
    const sonde__kernels *k = table_of(state);
    enum { DIM = 8, COUNT = 13 };
    int64_t lanes = k->lanes;
    float *panels = test_alloc((size_t)(2 * lanes * DIM), 4), rows[COUNT * DIM], score[COUNT], second[COUNT];
    float bias[2 * SONDE__LANES_MAX] = {0};
    int32_t best[COUNT];
    for (int64_t j = 0; j < lanes * DIM; j++) panels[j] = (float)(j % lanes);
    for (int64_t step = 0; step < DIM; step++) panels[lanes * DIM + step * lanes + lanes - 1] = NAN;
    for (int j = 0; j < COUNT * DIM; j++) rows[j] = 1;
    k->nearest_f32(panels, bias, 2, rows, 4 * DIM, COUNT, DIM, best, score, second);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(best[i], lanes - 1);
        assert_true(score[i] == (float)(DIM * (lanes - 1)) && second[i] == (float)(DIM * (lanes - 2)));
    }
    free(panels);
}

/* ---- selection and codes -------------------------------------------------------------------------------------- */

static void check_selection(const sonde__kernels *k, int64_t count, int64_t share, uint64_t *random)
{
    guarded floats = guard(count * 4), integers = guard(count * 4), out = guard(count * 4), out_2 = guard(count * 4);
    float *x = (float *)(void *)floats.data;
    int32_t *y = (int32_t *)(void *)integers.data;
    int32_t *high = (int32_t *)(void *)out.data, *low = (int32_t *)(void *)out_2.data;
    for (int64_t i = 0; i < count; i++) {
        x[i] = (float)below(random, 1000);
        y[i] = (int32_t)below(random, 1000) - 500;
        if (below(random, 10) == 0) x[i] = below(random, 2) ? NAN : -INFINITY;
    }
    float threshold = (float)(1000 - share);
    int32_t limit = (int32_t)share - 500;
    int64_t above = k->above(x, count, threshold, high), below_limit = k->below_i32(y, count, limit, low);
    int64_t seen_above = 0, seen_below = 0;
    for (int64_t i = 0; i < count; i++) {
        if (x[i] > threshold) assert_int_equal(high[seen_above++], i);
        if (y[i] < limit) assert_int_equal(low[seen_below++], i);
    }
    assert_int_equal(above, seen_above);
    assert_int_equal(below_limit, seen_below);
    unguard(&out_2);
    unguard(&out);
    unguard(&integers);
    unguard(&floats);
}

static void test_selection(void **state)
{
    const sonde__kernels *k = table_of(state);
    uint64_t random = 7;
    for (int64_t count = 0; count < 300; count++) {
        check_selection(k, count, 20, &random);
        check_selection(k, count, count % 2 ? 1000 : 500, &random);
    }
}

/* spread: how far apart numbers lie; 0: few different ones. */
static float a_number(int spread, uint64_t *random)
{
    static const float odd[] = {0, -0.0f, INFINITY, -INFINITY, 1e-42f, -1e-42f, FLT_MAX, -FLT_MAX};
    if (spread == 0) return (float)below(random, 5) - 2;
    if (spread == 1) return (float)test_unit(random) * 2 - 1;
    return below(random, 4) ? ldexpf((float)test_unit(random) - 0.5f, (int)below(random, 200) - 100)
                            : odd[below(random, sizeof odd / sizeof *odd)];
}

static void check_kth(const sonde__kernels *k, int64_t count, int64_t wanted, int spread, uint64_t *random)
{
    guarded room = guard(count * 4);
    float *x = (float *)(void *)room.data;
    for (int64_t i = 0; i < count; i++) x[i] = a_number(spread, random);
    float level = k->kth_largest(x, count, wanted);
    int64_t reach = 0, beyond = 0;
    for (int64_t i = 0; i < count; i++) reach += x[i] >= level;
    for (int64_t i = 0; i < count; i++) beyond += x[i] > level;
    assert_true(reach == wanted || (reach > wanted && beyond < wanted));
    unguard(&room);
}

static void test_kth_largest(void **state)
{
    const sonde__kernels *k = table_of(state);
    uint64_t random = 11;
    for (int64_t count = 1; count < 200; count++)
        for (int spread = 0; spread < 3; spread++)
            for (int64_t wanted = 1; wanted <= count; wanted += 1 + count / 9) check_kth(k, count, wanted, spread, &random);
}

static void check_lookups(const sonde__kernels *k, int64_t count, int64_t m, int64_t stride, uint64_t *random)
{
    int64_t bytes = (m + 1) / 2;
    guarded tables = guard(m * 256 * 4), small = guard(m * 16 * 4);
    guarded codes = guard(count ? (count - 1) * stride + m : 0);
    guarded packed = guard(count ? (count - 1) * stride + bytes : 0);
    float *table = (float *)(void *)tables.data, *table_4 = (float *)(void *)small.data, got[64], got_4[64];
    for (int64_t i = 0; i < m * 256; i++) table[i] = (float)test_unit(random);
    for (int64_t i = 0; i < m * 16; i++) table_4[i] = (float)test_unit(random);
    for (int64_t i = 0; i < count; i++) {
        for (int64_t j = 0; j < m; j++) codes.data[i * stride + j] = (uint8_t)test_u64(random);
        for (int64_t j = 0; j < bytes; j++) packed.data[i * stride + j] = (uint8_t)test_u64(random);
    }
    k->lookup_8(table, codes.data, stride, count, m, got);
    k->lookup_4(table_4, packed.data, stride, count, m, got_4);
    for (int64_t i = 0; i < count; i++) {
        double sum = 0, sum_4 = 0;
        for (int64_t j = 0; j < m; j++) {
            sum += table[j * 256 + codes.data[i * stride + j]];
            sum_4 += table_4[j * 16 + (packed.data[i * stride + j / 2] >> (j % 2 ? 4 : 0) & 15)];
        }
        assert_true(fabs(got[i] - sum) <= 4 * (double)m * FLT_EPSILON * sum);
        assert_true(fabs(got_4[i] - sum_4) <= 4 * (double)m * FLT_EPSILON * sum_4);
    }
    unguard(&packed);
    unguard(&codes);
    unguard(&small);
    unguard(&tables);
}

static void test_lookups(void **state)
{
    const sonde__kernels *k = table_of(state);
    uint64_t random = 8;
    for (int64_t m = 1; m <= 130; m++) check_lookups(k, below(&random, 40), m, m + below(&random, 3), &random);
    for (int64_t count = 0; count < 40; count++) check_lookups(k, count, 33, 33, &random);
}

/* ---- conversions ---------------------------------------------------------------------------------------------- */

static void test_halves(void **state)
{
    const sonde__kernels *k = table_of(state);
    uint16_t *all = test_alloc(65536, sizeof *all), *back = test_alloc(65536, sizeof *back);
    float *values = test_alloc(65536, sizeof *values);
    for (int i = 0; i < 65536; i++) all[i] = (uint16_t)i;
    k->to_f32[SONDE__ROW_F16](all, 65536, values);
    k->f32_to_f16(values, 65536, back);
    for (int i = 0; i < 65536; i++) {
        double wanted = half_value(all[i]);
        bool nan = isnan(wanted);
        assert_true(nan ? isnan(values[i]) : values[i] == wanted && !signbit(values[i]) == !(i & 0x8000));
        assert_int_equal(back[i], nan ? i | 0x200 : i);
    }
    k->to_f32[SONDE__ROW_BF16](all, 65536, values);
    k->f32_to_bf16(values, 65536, back);
    for (int i = 0; i < 65536; i++) {
        bool nan = (i & 0x7fff) > 0x7f80;
        assert_true(nan ? isnan(values[i]) : values[i] == bfloat_value(all[i]));
        assert_int_equal(back[i], nan ? i | 0x40 : i);
    }
    free(values);
    free(back);
    free(all);
}

/* x rounded to a multiple of what its exponent leaves for `digits` bits after the first one; ties to even. */
static double rounded(double x, int digits, int least_exponent)
{
    int exponent;
    if (x == 0 || !isfinite(x)) return x;
    frexp(x, &exponent);
    double step = ldexp(1, (exponent - 1 > least_exponent ? exponent - 1 : least_exponent) - digits);
    return nearbyint(x / step) * step;
}

static void test_rounding(void **state)
{
    const sonde__kernels *k = table_of(state);
    uint64_t random = 9;
    for (int round = 0; round < 20000; round++) {
        uint32_t bits = (uint32_t)test_u64(&random);
        if (round % 2) bits = (bits & 0x8fffffff) | 0x30000000; /* around the range of f16 */
        if (round % 3 == 0) bits = (bits & 0xffffe000) | 0x1000;     /* ties of f16 */
        if (round % 3 == 1) bits = (bits & 0xffff0000) | 0x8000;     /* ties of bf16 */
        float x;
        uint16_t half, bfloat;
        memcpy(&x, &bits, sizeof x);
        if (isnan(x)) continue;
        k->f32_to_f16(&x, 1, &half);
        k->f32_to_bf16(&x, 1, &bfloat);
        double wanted = rounded(x, 10, -14);
        if (fabs(wanted) > 65504) wanted = wanted > 0 ? INFINITY : -INFINITY;
        assert_true(half_value(half) == wanted && (half >> 15) == (bits >> 31));
        wanted = rounded(x, 7, -126);
        if (fabs(wanted) > FLT_MAX) wanted = wanted > 0 ? INFINITY : -INFINITY;
        assert_true(bfloat_value(bfloat) == wanted && (bfloat >> 15) == (bits >> 31));
    }
}

/* Any count and alignment, to and from each type. */
static void test_conversions(void **state)
{
    const sonde__kernels *k = table_of(state);
    uint64_t random = 10;
    for (int64_t count = 0; count < 140; count++) {
        guarded out = guard(count * 4), words = guard(count * 2);
        float *to = (float *)(void *)out.data;
        for (int kind = 0; kind < SONDE__ROW_KINDS; kind++) {
            guarded in = guard(count * element_bytes[kind]);
            for (int64_t j = 0; j < count; j++) put_element(in.data, j, kind, &random);
            k->to_f32[kind](in.data, count, to);
            for (int64_t j = 0; j < count; j++) assert_true(to[j] == element(in.data, j, kind));
            unguard(&in);
        }
        uint16_t *half = (uint16_t *)(void *)words.data;
        k->f32_to_f16(to, count, half); /* u8 values are exact in f16 and bf16 */
        for (int64_t j = 0; j < count; j++) assert_true(half_value(half[j]) == to[j]);
        k->f32_to_bf16(to, count, half);
        for (int64_t j = 0; j < count; j++) assert_true(bfloat_value(half[j]) == to[j]);
        unguard(&words);
        unguard(&out);
    }
}

static void test_pack_panel(void **state)
{
    const sonde__kernels *k = table_of(state);
    uint64_t random = 11;
    for (int round = 0; round < 200; round++) {
        int64_t lanes = 8 * (1 + below(&random, SONDE__LANES_MAX / 8)), count = below(&random, lanes + 1);
        int64_t d = 1 + below(&random, 70), stride = 4 * d + below(&random, 7);
        sample s = sample_of(count, d, stride, SONDE__ROW_F32, &random);
        guarded out = guard(lanes * d * 4);
        memset(out.data, 0xff, (size_t)(lanes * d * 4));
        pack(k, s.rows.data, stride, count, d, lanes, (float *)(void *)out.data);
        for (int64_t j = 0; j < d; j++) {
            for (int64_t lane = 0; lane < lanes; lane++)
                assert_true(float_at(out.data, j * lanes + lane) ==
                            (lane < count ? float_at(s.rows.data + lane * stride, j) : 0));
        }
        unguard(&out);
        sample_free(&s);
    }
}

/* ---- small things --------------------------------------------------------------------------------------------- */

static void test_norm_axpy(void **state)
{
    const sonde__kernels *k = table_of(state);
    uint64_t random = 12;
    for (int64_t d = 0; d <= 2050; d = next_dim(d)) {
        guarded in = guard(d * 4), out = guard(d * 4);
        float *x = (float *)(void *)in.data, *y = (float *)(void *)out.data;
        float *before = test_alloc((size_t)d, sizeof *before), a = test_normal(&random);
        double sum = 0;
        for (int64_t j = 0; j < d; j++) {
            x[j] = test_normal(&random);
            before[j] = y[j] = test_normal(&random);
            sum += (double)x[j] * x[j];
        }
        assert_true(fabs(k->norm2(x, d) - sum) <= 4 * (double)d * FLT_EPSILON * sum);
        k->axpy(a, x, d, y);
        for (int64_t j = 0; j < d; j++) {
            double product = (double)a * x[j];
            assert_true(fabs(y[j] - (before[j] + product)) <= 2 * FLT_EPSILON * (fabs(product) + fabs(before[j])));
        }
        free(before);
        unguard(&out);
        unguard(&in);
    }
}

static uint32_t crc_by_bits(const uint8_t *data, size_t bytes)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

static void test_crc(void **state)
{
    const sonde__kernels *k = table_of(state);
    uint64_t random = 13;
    enum { SIZE = 60000 };
    uint8_t zeros[32] = {0}, ones[32], *data = test_alloc(SIZE, 1);
    memset(ones, 0xff, sizeof ones);
    assert_int_equal(k->crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(k->crc32c(0, zeros, 32), 0x8a9136aa); /* RFC 3720, B.4 */
    assert_int_equal(k->crc32c(0, ones, 32), 0x62a8ab43);
    assert_int_equal(k->crc32c(0, data, 0), 0);
    for (int64_t i = 0; i < SIZE; i++) data[i] = (uint8_t)test_u64(&random);
    for (size_t n = 0; n < 100; n++) assert_int_equal(k->crc32c(0, data + n % 9, n), crc_by_bits(data + n % 9, n));
    for (int round = 0; round < 20; round++) {
        uint64_t begin = (uint64_t)below(&random, 100), size = (uint64_t)below(&random, SIZE - 99);
        uint64_t split = (uint64_t)below(&random, (int64_t)size + 1);
        uint32_t wanted = crc_by_bits(data + begin, size), first = k->crc32c(0, data + begin, split);
        assert_int_equal(k->crc32c(0, data + begin, size), wanted);
        assert_int_equal(k->crc32c(first, data + begin + split, size - split), wanted);
    }
    free(data);
}

static void test_fht(void **state)
{
    const sonde__kernels *k = table_of(state);
    uint64_t random = 14;
    for (int64_t n = 1; n <= 16384; n *= 2) {
        guarded in = guard(n * 4);
        float *x = (float *)(void *)in.data, *before = test_alloc((size_t)n, sizeof *before);
        for (int64_t i = 0; i < n; i++) before[i] = x[i] = (float)(below(&random, 201) - 100); /* sums stay exact */
        k->fht(x, n);
        for (int64_t i = 0; i < n; i = n <= 256 ? i + 1 : i + 1 + below(&random, n / 16)) {
            double sum = 0;
            for (int64_t j = 0; j < n; j++)
                sum += __builtin_parityll((unsigned long long)(i & j)) ? -before[j] : before[j];
            assert_true(x[i] == sum);
        }
        if (n <= 256) {
            k->fht(x, n);
            for (int64_t i = 0; i < n; i++) assert_true(x[i] == (float)n * before[i]);
        }
        free(before);
        unguard(&in);
    }
}

static void test_first_nonfinite(void **state)
{
    const sonde__kernels *k = table_of(state);
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int64_t count = 0; count < 150; count++) {
        guarded in = guard(count * 4);
        float *x = (float *)(void *)in.data;
        for (int64_t i = 0; i < count; i++) x[i] = i % 3 ? FLT_MAX : -FLT_MIN / 4;
        assert_int_equal(k->first_nonfinite(x, count), -1);
        for (int64_t at = count - 1; at >= 0; at--) {
            x[at] = bad[at % 3];
            assert_int_equal(k->first_nonfinite(x, count), at);
            if (at % 2) x[at] = 1;
        }
        unguard(&in);
    }
}

/* ---- the tables ----------------------------------------------------------------------------------------------- */

/* Every slot of every table can be called, whichever set serves it. */
static void test_no_empty_slot(void **state)
{
    (void)state;
    int tables = 0;
    for (const sonde__kernels *const *k = sonde__kernels_all(); *k; k++, tables++) {
        uintptr_t words[sizeof **k / sizeof(uintptr_t)];
        memcpy(words, *k, sizeof words);
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) assert_true(words[i] != 0);
        assert_true((*k)->lanes % 8 == 0 && (*k)->lanes <= SONDE__LANES_MAX);
    }
    assert_true(tables >= 1);
    assert_string_equal(sonde__kernels_all()[0]->name, "generic");
    assert_true(sonde__kernels_run(sonde__kernels_all()[0]));
    assert_true(sonde__kernels_run(sonde__kernels_get()));
    assert_false(sonde__kernels_run(NULL));
}

static void test_row_kinds(void **state)
{
    (void)state;
    assert_int_equal(sonde__row_kind(SONDE_DTYPE_F32), SONDE__ROW_F32);
    assert_int_equal(sonde__row_kind(SONDE_DTYPE_F16), SONDE__ROW_F16);
    assert_int_equal(sonde__row_kind(SONDE_DTYPE_BF16), SONDE__ROW_BF16);
    assert_int_equal(sonde__row_kind(SONDE_DTYPE_I8), SONDE__ROW_I8);
    assert_int_equal(sonde__row_kind(SONDE_DTYPE_U8), SONDE__ROW_U8);
    assert_int_equal(sonde__row_kind(SONDE_DTYPE_BITS), -1);
    assert_int_equal(sonde__row_kind(0), -1);
}

/* The name of the highest set that runs here: what an unknown or too high SONDE_ISA leaves. */
static const char *highest_name(void)
{
    const char *name = NULL;
    for (const sonde__kernels *const *k = sonde__kernels_all(); *k; k++) {
        if (sonde__kernels_run(*k)) name = (*k)->name;
    }
    return name;
}

/* What the next case runs in a process of its own, as the choice is made once. */
static void test_chosen_set(void **state)
{
    (void)state;
    const char *expected = getenv("SONDE_TEST_EXPECTED_ISA");
    if (!expected) skip();
    assert_string_equal(sonde__kernels_get()->name, expected);
}

/* SONDE_TEST_EMULATOR is the command that runs the tests of another processor; the kernel does not know it. */
static void expect_choice(const char *isa, const char *expected)
{
    char program[4096] = "";
    assert_true(readlink("/proc/self/exe", program, sizeof program - 1) > 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setenv("SONDE_ISA", isa, 1);
        setenv("SONDE_TEST_EXPECTED_ISA", expected, 1);
        execl("/bin/sh", "sh", "-c", "exec $SONDE_TEST_EMULATOR \"$0\" test_chosen_set", program, (char *)NULL);
        _exit(127);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail_msg("SONDE_ISA=%s does not give %s", isa, expected);
}

static void test_isa_only_lowers(void **state)
{
    (void)state;
    if (getenv("SONDE_TEST_EXPECTED_ISA") || access("/proc/self/exe", X_OK) != 0) skip();
    for (const sonde__kernels *const *k = sonde__kernels_all(); *k; k++)
        expect_choice((*k)->name, sonde__kernels_run(*k) ? (*k)->name : highest_name());
    expect_choice("", highest_name());
    expect_choice("AVX2 ", highest_name());
    expect_choice("fastest", highest_name());
}

#define ONE_SET(function, set) {#function "_" set, function, NULL, NULL, set}
#if defined(__aarch64__)
#define EACH_SET(function) ONE_SET(function, "generic"), ONE_SET(function, "neon"), ONE_SET(function, "dotprod")
#else
#define EACH_SET(function) ONE_SET(function, "generic"), ONE_SET(function, "avx2"), ONE_SET(function, "avx512")
#endif

static const struct CMUnitTest tests[] = {
    EACH_SET(test_distances),
    EACH_SET(test_infinite_rows),
    EACH_SET(test_integers),
    EACH_SET(test_integer_limits),
    EACH_SET(test_tiles),
    EACH_SET(test_tiles_8),
    EACH_SET(test_tile_select),
    EACH_SET(test_nearest),
    EACH_SET(test_nearest_nan),
    EACH_SET(test_nearest_nan_centroid),
    EACH_SET(test_selection),
    EACH_SET(test_kth_largest),
    EACH_SET(test_lookups),
    EACH_SET(test_halves),
    EACH_SET(test_rounding),
    EACH_SET(test_conversions),
    EACH_SET(test_pack_panel),
    EACH_SET(test_norm_axpy),
    EACH_SET(test_crc),
    EACH_SET(test_fht),
    EACH_SET(test_first_nonfinite),
    cmocka_unit_test(test_no_empty_slot),
    cmocka_unit_test(test_row_kinds),
    cmocka_unit_test(test_chosen_set),
    cmocka_unit_test(test_isa_only_lowers),
};

SONDE_TEST_MAIN(tests)
