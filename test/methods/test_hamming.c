/* test_hamming.c: the Hamming-ball index beside brute force over the codes: orders of buckets, balls, exact
 * neighbours and ranges, rows scored again, filters, the rule of empty buckets, tables of substrings, readers
 * beside a writer, bad specs, damage.
 *
 * timeout: 60
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

#include "../failing.h"
#include "../reseal.h"
#include "../test.h"
#include "indexes/hamming.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define DIM 32

static sonde_index *filled(const char *spec, const float *x, int64_t n)
{
    sonde_array rows = sonde_f32(x, n, DIM);
    sonde_index *index;
    OK(sonde_index_create(spec, DIM, NULL, &index));
    OK(sonde_index_add(index, &rows, NULL));
    return index;
}

/* ---- orders --------------------------------------------------------------------------------------- */

static void masks_by_weight(void **unused)
{
    (void)unused;
    uint32_t mask[1 << 12];
    for (int bits = 0; bits <= 12; bits++) {
        int64_t all = (int64_t)1 << bits;
        sonde__hamming_by_weight(bits, all, mask);
        for (int64_t i = 0; i < all; i++) {
            assert_true(mask[i] < all);
            int rise = i ? __builtin_popcount(mask[i]) - __builtin_popcount(mask[i - 1]) : 0;
            assert_true(rise == 1 || (rise == 0 && (i == 0 || mask[i] > mask[i - 1])));
        }
        for (int radius = 0; radius <= bits; radius++) {
            int64_t ball = sonde__hamming_ball(bits, radius);
            assert_int_equal(__builtin_popcount(mask[ball - 1]), radius);
            assert_true(ball == all || __builtin_popcount(mask[ball]) == radius + 1);
        }
    }
    assert_int_equal(sonde__hamming_ball(28, 0), 1);
    assert_int_equal(sonde__hamming_ball(28, 1), 29);
    assert_int_equal(sonde__hamming_ball(28, 2), 407);
    assert_true(sonde__hamming_ball(64, 64) > (int64_t)1 << 56);
}

static double sum_of(uint32_t mask, const float *cost)
{
    double sum = 0;
    for (; mask; mask &= mask - 1) sum += cost[__builtin_ctz(mask)];
    return sum;
}

static int by_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The sums come as if all of them had been sorted, and no mask comes twice. */
static void masks_by_cost(void **unused)
{
    (void)unused;
    sonde_runtime *runtime;
    sonde__scratch *scratch;
    uint64_t state = 3;
    OK(sonde_runtime_create(NULL, &runtime));
    OK(sonde__scratch_take(runtime, &scratch));
    for (int bits = 0; bits <= 10; bits++) {
        int64_t all = (int64_t)1 << bits;
        float cost[10];
        uint32_t mask[1 << 10];
        double sums[1 << 10];
        bool seen[1 << 10] = {false};
        for (int b = 0; b < bits; b++) cost[b] = b == 4 ? 0 : b == 7 ? cost[2] : fabsf(test_normal(&state));
        for (int64_t m = 0; m < all; m++) sums[m] = sum_of((uint32_t)m, cost);
        qsort(sums, (size_t)all, sizeof *sums, by_double);
        OK(sonde__hamming_by_cost(bits, cost, all, scratch, mask));
        for (int64_t i = 0; i < all; i++) {
            assert_true(mask[i] < all && !seen[mask[i]]);
            seen[mask[i]] = true;
            assert_true(fabs(sum_of(mask[i], cost) - sums[i]) < 1e-5);
        }
    }
    sonde__scratch_give(runtime, scratch);
    sonde_runtime_free(runtime);
}

/* ---- brute force ---------------------------------------------------------------------------------- */

typedef struct neighbour {
    int64_t distance, id;
} neighbour;

static int by_distance(const void *a, const void *b)
{
    const neighbour *x = a, *y = b;
    if (x->distance != y->distance) return x->distance < y->distance ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

static int64_t distance_of(const uint8_t *a, const uint8_t *b, int64_t bits)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < bits; i++) sum += (a[i / 8] ^ b[i / 8]) >> i % 8 & 1;
    return sum;
}

static uint8_t *codes_of(const sonde_index *index, const float *x, int64_t n)
{
    const sonde__hamming *h = index->state;
    int64_t bytes = h->code->code_bytes;
    uint8_t *codes = test_alloc((size_t)(n * bytes), 1);
    sonde_array rows = sonde_f32(x, n, DIM), out = sonde_u8(codes, n, bytes);
    OK(sonde_quantizer_encode(h->code, &rows, &out));
    return codes;
}

/* All rows by (distance, id) of the first `bits` bits. */
static neighbour *ranked(const sonde_index *index, const uint8_t *codes, int64_t n, const uint8_t *query,
                         int64_t bits)
{
    int64_t bytes = ((const sonde__hamming *)index->state)->code->code_bytes;
    neighbour *all = test_alloc((size_t)n, sizeof *all);
    for (int64_t i = 0; i < n; i++) all[i] = (neighbour){distance_of(codes + i * bytes, query, bits), i};
    qsort(all, (size_t)n, sizeof *all, by_distance);
    return all;
}

enum { K = 40 };
typedef struct answer {
    int64_t ids[K];
    float scores[K];
    int32_t count;
    uint8_t reason;
} answer;

static void ask_for(const sonde_index *index, uint32_t k, const float *query, float recall, uint32_t effort,
                    const sonde_filter *filter, answer *a)
{
    sonde_array one = sonde_f32(query, 1, DIM);
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    sonde_hits hits = {sizeof hits, 0, a->ids, a->scores, &a->count, &a->reason};
    how.k = k;
    how.recall = recall;
    how.effort = effort;
    how.filter = filter;
    OK(sonde_index_search(index, &one, &how, &hits));
}

static void ask(const sonde_index *index, const float *query, float recall, uint32_t effort,
                const sonde_filter *filter, answer *a)
{
    ask_for(index, K, query, recall, effort, filter, a);
}

static const char *const code_specs[] = {
    "hamming(code=lsh(bits=28), metric=hamming, bucket_bits=8)",
    "hamming(code=lsh(bits=32), metric=hamming, probe=weight)",
    "hamming(code=itq(bits=20, iters=5), metric=hamming, bucket_bits=9, key_bits=11)",
    "hamming(code=lsh(bits=100), metric=hamming, bucket_bits=7)",
    "hamming(code=bernoulli(bits=16, epochs=1), metric=hamming, bucket_bits=5)",
    "hamming(code=bebr(loops=0), metric=hamming, bucket_bits=6)",
    "hamming(code=lsh(bits=3), metric=hamming)",
    "hamming(code=lsh(bits=40), metric=hamming, bucket_bits=0)",
    "hamming(code=lsh(bits=64), metric=hamming, chunks=4)",
    "hamming(code=lsh(bits=100), metric=hamming, chunks=7)",
    "hamming(code=lsh(bits=40), metric=hamming, chunks=16)",
    "hamming(code=itq(bits=20, iters=5), metric=hamming, chunks=3)",
    "hamming(code=bebr(loops=0), metric=hamming, chunks=2)",
};

/* recall=1 is the exhaustive scan, by (distance, id), and so are all buckets by effort. */
static void exact_is_exhaustive(void **unused)
{
    (void)unused;
    enum { N = 900, Q = 20 };
    float *x = test_vectors(N + Q, DIM, 5, 21);
    for (int s = 0; s < COUNT(code_specs); s++) {
        sonde_index *index = filled(code_specs[s], x, N);
        uint8_t *codes = codes_of(index, x, N + Q);
        int64_t bytes = ((const sonde__hamming *)index->state)->code->code_bytes;
        uint32_t most = (uint32_t)sonde__hamming_most(index, sonde__store_current(index->store));
        OK(sonde_index_check(index));
        for (int q = 0; q < Q; q++) {
            neighbour *all = ranked(index, codes, N, codes + (N + q) * bytes, 8 * bytes);
            answer a, b;
            ask(index, x + (N + q) * DIM, 1, 0, NULL, &a);
            ask(index, x + (N + q) * DIM, 0, most, NULL, &b);
            assert_int_equal(a.reason, SONDE_STOP_EXACT);
            for (int i = 0; i < K; i++) {
                assert_int_equal(a.ids[i], all[i].id);
                assert_true(a.scores[i] == (float)all[i].distance);
                assert_int_equal(b.ids[i], a.ids[i]);
            }
            free(all);
        }
        free(codes);
        sonde_index_free(index);
    }
    free(x);
}

static void check_range(const sonde_index *index, const float *query, const neighbour *all, int64_t n,
                        int radius)
{
    sonde_array one = sonde_f32(query, 1, DIM);
    sonde_range_hits *hits;
    const int64_t *offsets, *ids;
    const float *scores;
    int64_t within = 0;
    while (within < n && all[within].distance <= radius) within++;
    OK(sonde_index_range_search(index, &one, (float)radius, NULL, &hits));
    sonde_range_hits_view(hits, &offsets, &ids, &scores);
    assert_int_equal(offsets[1], within);
    for (int64_t i = 0; i < within; i++) {
        assert_int_equal(ids[i], all[i].id);
        assert_true(scores[i] == (float)all[i].distance);
    }
    sonde_range_hits_free(hits);
}

/* The r-neighbours, all of them, for every r in 0..10. */
static void ranges_are_exhaustive(void **unused)
{
    (void)unused;
    enum { N = 900, Q = 10 };
    float *x = test_vectors(N + Q, DIM, 0, 22);
    for (int s = 0; s < COUNT(code_specs); s++) {
        sonde_index *index = filled(code_specs[s], x, N);
        uint8_t *codes = codes_of(index, x, N + Q);
        int64_t bytes = ((const sonde__hamming *)index->state)->code->code_bytes;
        for (int q = 0; q < Q; q++) {
            neighbour *all = ranked(index, codes, N, codes + (N + q) * bytes, 8 * bytes);
            for (int r = -1; r <= 10; r++) check_range(index, x + (N + q) * DIM, all, N, r);
            free(all);
        }
        free(codes);
        sonde_index_free(index);
    }
    free(x);
}

/* A search of radius r sees every row whose key differs in at most r bits: those of them that are near enough
 * come. */
static void a_ball_is_seen_whole(void **unused)
{
    (void)unused;
    enum { N = 900, Q = 20, KEY = 12, BITS = 24 };
    float *x = test_vectors(N + Q, DIM, 0, 23);
    for (int radius = 0; radius <= KEY; radius++) {
        char spec[160];
        snprintf(
            spec, sizeof spec,
            "hamming(code=lsh(bits=24), key_bits=12, bucket_bits=6, radius=%d, probe=weight, metric=hamming)",
            radius);
        sonde_index *index = filled(spec, x, N);
        uint8_t *codes = codes_of(index, x, N + Q);
        for (int q = 0; q < Q; q++) {
            const uint8_t *query = codes + (N + q) * 3;
            neighbour *all = ranked(index, codes, N, query, BITS);
            answer a;
            ask(index, x + (N + q) * DIM, 0.5f, 0, NULL, &a);
            assert_int_equal(a.count, K);
            if (radius >= 6) assert_int_equal(a.reason, SONDE_STOP_EXACT); /* that is every list */
            for (int64_t i = 0, at = 0; i < N && at < K;
                 i++) { /* what is better than the last hit and in the ball */
                neighbour last = {(int64_t)a.scores[K - 1], a.ids[K - 1]};
                if (by_distance(&all[i], &last) > 0) break;
                while (at < K && a.ids[at] != all[i].id) at++;
                bool in_ball = distance_of(codes + all[i].id * 3, query, KEY) <= radius;
                if (at == K && in_ball)
                    fail_msg("radius %d: id %lld is missing", radius, (long long)all[i].id);
                if (at == K) at = 0; /* outside the ball, and not seen */
            }
            free(all);
        }
        free(codes);
        sonde_index_free(index);
    }
    free(x);
}

/* More probes than rows / 8: all buckets are visited, and the answer is exact; up to there it is not. */
static void many_empty_buckets_are_scanned(void **unused)
{
    (void)unused;
    enum { N = 800 };
    float *x = test_vectors(N, DIM, 0, 24);
    sonde_index *index = filled("hamming(code=lsh(bits=24), bucket_bits=12, metric=hamming)", x, N);
    answer some, all, exact;
    ask(index, x, 0, N / 8, NULL, &some);
    ask(index, x, 0, N / 8 + 1, NULL, &all);
    ask(index, x, 1, 0, NULL, &exact);
    assert_int_equal(some.reason, SONDE_STOP_EFFORT);
    assert_int_equal(all.reason, SONDE_STOP_EXACT);
    assert_memory_equal(all.ids, exact.ids, sizeof exact.ids);
    sonde_index_free(index);
    free(x);
}

/* ---- rows scored again ---------------------------------------------------------------------------- */

/* What is found has its direct score; how many of the true ones there are. */
static int64_t direct_scores(const answer *a, const answer *truth)
{
    int64_t found = 0;
    for (int i = 0; i < K; i++)
        for (int j = 0; j < K; j++) {
            if (a->ids[i] != truth->ids[j]) continue;
            assert_true(a->scores[i] == truth->scores[j]);
            found++;
        }
    return found;
}

/* Codes choose `refine` rows a hit that are scored on themselves. */
static void ask_sieved(const sonde_index *index, const float *query, uint32_t effort, uint32_t refine,
                       answer *a)
{
    sonde_array one = sonde_f32(query, 1, DIM);
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    sonde_hits hits = {sizeof hits, 0, a->ids, a->scores, &a->count, &a->reason};
    how.k = K;
    how.effort = effort;
    how.refine = refine;
    OK(sonde_index_search(index, &one, &how, &hits));
}

static void rows_decide(void **unused)
{
    (void)unused;
    enum { N = 990, Q = 20 };
    static const char *const metrics[] = {"l2", "ip", "cosine"};
    float *x = test_vectors(N + Q, DIM, 0, 25);
    for (int m = 0; m < 3; m++)
        for (int f16 = 0; f16 < 2; f16++) {
            char spec[160], flat_spec[80];
            snprintf(spec, sizeof spec, "hamming(code=lsh(bits=48), bucket_bits=6, metric=%s, rerank=%s)",
                     metrics[m], f16 ? "f16" : "f32");
            snprintf(flat_spec, sizeof flat_spec, "flat(metric=%s, dtype=%s)", metrics[m],
                     f16 ? "f16" : "f32");
            sonde_index *index = filled(spec, x, N), *flat = filled(flat_spec, x, N);
            int64_t wide = 0, sieved = 0;
            for (int q = 0; q < Q; q++) {
                answer a, b, truth;
                const float *query = x + (N + q) * DIM;
                ask(flat, query, 1, 0, NULL, &truth);
                ask(index, query, 1, 0, NULL, &a);
                assert_int_equal(a.reason, SONDE_STOP_EXACT);
                assert_memory_equal(a.ids, truth.ids, sizeof a.ids);
                assert_memory_equal(a.scores, truth.scores, sizeof a.scores);
                ask(index, query, 0, 40, NULL, &b);
                wide += direct_scores(&b, &truth);
                ask_sieved(index, query, 40, 2, &b);
                assert_int_equal(b.reason, SONDE_STOP_EFFORT);
                sieved += direct_scores(&b, &truth);
                ask_sieved(index, query, 64, 1000, &b); /* all rows pass */
                assert_memory_equal(b.ids, truth.ids, sizeof b.ids);
            }
            assert_true(wide > sieved && sieved > Q * K / 4);
            sonde_index_free(index);
            sonde_index_free(flat);
        }
    free(x);
}

/* Neighbours of the queries behind the n rows that so many buckets hold. */
static int64_t found_with(const sonde_index *index, uint32_t effort, const float *x, int64_t n, int queries)
{
    int64_t found = 0;
    for (int q = 0; q < queries; q++) {
        answer a, truth;
        ask(index, x + (n + q) * DIM, 0, effort, NULL, &a);
        ask(index, x + (n + q) * DIM, 1, 0, NULL, &truth);
        for (int i = 0; i < 10; i++)
            for (int j = 0; j < 10; j++) found += truth.ids[i] == a.ids[j];
    }
    return found;
}

/* The rows lie far from the origin, so that what a bit is worth must be counted from their middle. */
static void soft_order_finds_more(void **unused)
{
    (void)unused;
    enum { N = 4000, Q = 100 };
    static const char *const codes[] = {"lsh(bits=64)", "itq(bits=24, iters=10)",
                                        "bernoulli(bits=24, epochs=3)"};
    static const uint32_t efforts[] = {3, 9, 37}; /* 9, 37: the balls of radius 1 and 2 in 8 bits */
    float *x = test_vectors(N + Q, DIM, 40, 26);
    for (int i = 0; i < (N + Q) * DIM; i++) x[i] += 10;
    for (int c = 0; c < COUNT(codes); c++) {
        char spec[120];
        snprintf(spec, sizeof spec, "hamming(code=%s, bucket_bits=8, probe=weight)", codes[c]);
        sonde_index *weight = filled(spec, x, N);
        snprintf(spec, sizeof spec, "hamming(code=%s, bucket_bits=8, probe=logit)", codes[c]);
        sonde_index *logit = filled(spec, x, N);
        for (int e = 0; e < COUNT(efforts); e++) {
            int64_t missed = 10 * Q - found_with(weight, efforts[e], x, N, Q);
            int64_t fewer = 10 * Q - found_with(logit, efforts[e], x, N, Q);
            assert_true(3 * fewer < 2 * missed);
        }
        sonde_index_free(weight);
        sonde_index_free(logit);
    }
    free(x);
}

/* The calibrated curve reaches a target on other queries from the same distribution. */
static void recall_is_reached(void **unused)
{
    (void)unused;
    enum { N = 8000, Q = 200 };
    float *x = test_vectors(N + 2 * Q, DIM, 12, 27);
    sonde_index *index = filled("hamming(code=itq(bits=32, iters=10), bucket_bits=8)", x, N);
    sonde_array sample = sonde_f32(x + N * DIM, Q, DIM);
    int64_t found = 0, exact = 0;
    OK(sonde_index_tune(index, &sample, NULL));
    for (int q = 0; q < Q; q++) {
        answer a, truth;
        ask_for(index, 10, x + (N + Q + q) * DIM, 0.9f, 0, NULL, &a);
        ask_for(index, 10, x + (N + Q + q) * DIM, 1, 0, NULL, &truth);
        exact += a.reason == SONDE_STOP_EXACT;
        for (int i = 0; i < 10; i++)
            for (int j = 0; j < 10; j++) found += truth.ids[i] == a.ids[j];
    }
    assert_int_equal(exact, 0);
    assert_true(found > (int64_t)(0.87 * Q * 10));
    sonde_index_free(index);
    free(x);
}

/* With chunks an effort counts steps: they are calibrated, all of them, though there is one list. */
static void steps_are_calibrated(void **unused)
{
    (void)unused;
    enum { N = 8000, Q = 200 };
    float *x = test_vectors(N + Q, DIM, 12, 27);
    sonde_index *index = filled("hamming(code=lsh(bits=64), metric=hamming, chunks=4)", x, N);
    sonde_array sample = sonde_f32(x + N * DIM, Q, DIM);
    sonde_operating_point point = SONDE_OPERATING_POINT_INIT;
    uint32_t points = 0, most = 0;
    OK(sonde_index_tune(index, &sample, NULL));
    for (; sonde_index_operating_point(index, points, &point) == SONDE_OK; points++) {
        most = point.effort > most ? point.effort : most;
        assert_true(point.recall >= 0 && point.recall <= 1);
    }
    assert_true(points > 3 && most > 4);
    assert_true(found_with(index, most, x, N, Q) >= (int64_t)(0.99 * 10 * Q));
    sonde_index_free(index);
    free(x);
}

/* ---- filters -------------------------------------------------------------------------------------- */

static int accept_sevenths(int64_t id, void *user)
{
    (void)user;
    return id % 7 == 0;
}

static void check_filter(const sonde_index *index, const neighbour *all, int64_t n, const float *query,
                         const sonde_filter *filter)
{
    answer a, b;
    int64_t wanted[K], at = 0;
    for (int64_t i = 0; i < n && at < K; i++)
        if (sonde__filter_allows(filter, all[i].id)) wanted[at++] = all[i].id;
    ask(index, query, 1, 0, filter, &a);
    assert_int_equal(a.count, at);
    assert_memory_equal(a.ids, wanted, (size_t)at * sizeof *wanted);
    ask(index, query, 0, 1, filter, &b); /* k hits whenever k exist */
    assert_int_equal(b.count, at);
    for (int64_t i = 0; i < at; i++) assert_true(sonde__filter_allows(filter, b.ids[i]));
}

static void filters(void **unused)
{
    (void)unused;
    enum { N = 3000, Q = 10 };
    float *x = test_vectors(N + Q, DIM, 0, 28);
    uint8_t bits[N / 8];
    uint64_t state = 4;
    int64_t few[30];
    for (int i = 0; i < N / 8; i++) bits[i] = (uint8_t)test_u64(&state);
    for (int i = 0; i < 30; i++) few[i] = 97 * i;
    sonde_filter given[4] = {SONDE_FILTER_INIT, SONDE_FILTER_INIT, SONDE_FILTER_INIT, SONDE_FILTER_INIT};
    given[0].kind = SONDE_FILTER_BITMAP;
    given[0].bits = bits;
    given[0].count = N;
    given[1].kind = SONDE_FILTER_IDS;
    given[1].ids = few;
    given[1].count = 30;
    given[2].kind = SONDE_FILTER_RANGE;
    given[2].first = 100;
    given[2].last = 2900;
    given[3].kind = SONDE_FILTER_CALLBACK;
    given[3].accept = accept_sevenths;
    sonde_index *index = filled("hamming(code=lsh(bits=32), bucket_bits=7, metric=hamming)", x, N);
    uint8_t *codes = codes_of(index, x, N + Q);
    for (int q = 0; q < Q; q++) {
        neighbour *all = ranked(index, codes, N, codes + (N + q) * 4, 32);
        for (int f = 0; f < 4; f++) check_filter(index, all, N, x + (N + q) * DIM, &given[f]);
        free(all);
    }
    free(codes);
    sonde_index_free(index);
    free(x);
}

/* ---- tables of substrings --------------------------------------------------------------------------- */

static const char *const chunk_specs[] = {
    "hamming(code=lsh(bits=32), metric=hamming, chunks=2)",
    "hamming(code=lsh(bits=64), metric=hamming, chunks=4)",
    "hamming(code=lsh(bits=64), metric=hamming, chunks=5)",
    "hamming(code=lsh(bits=100), metric=hamming, chunks=8)",
    "hamming(code=lsh(bits=128), metric=hamming, chunks=3)",
};

/* Rows around few centres, so that there are near neighbours, and many rows at the same distance. */
static float *near_copies(int64_t n, float noise, uint64_t seed)
{
    enum { CENTRES = 64 };
    float *x = test_vectors(n, DIM, 0, seed), *centre = test_vectors(CENTRES, DIM, 0, seed + 1);
    for (int64_t i = 0; i < n * DIM; i++) x[i] = centre[i / DIM % CENTRES * DIM + i % DIM] + noise * x[i];
    free(centre);
    return x;
}

/* Tables are made once so many queries have come. */
static void warm_up(const sonde_index *index, const float *queries, int64_t n)
{
    enum { WARM = 64 };
    int64_t ids[WARM];
    sonde_array some = sonde_f32(queries, sonde__min_i64(n, WARM), DIM);
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    sonde_hits hits = {sizeof hits, 0, ids, NULL, NULL, NULL};
    how.k = 1;
    how.recall = 1;
    OK(sonde_index_search(index, &some, &how, &hits));
}

/* Codes that a search compares with its query's. */
static int64_t compared(const sonde_index *index, const float *query, float recall, int64_t effort)
{
    sonde__hit hits[2 * K];
    sonde__top top;
    uint8_t reason;
    int64_t seen;
    sonde__top_init(&top, hits, 10);
    sonde__visit visit = sonde__store_enter(index->store);
    sonde__search search = {.queries = 1, .query = query, .k = 10, .recall = recall, .effort = effort,
                            .threads = 1, .top = &top, .reason = &reason, .scored = &seen};
    OK(sonde__index_search_f32(index, visit.snapshot, &search));
    sonde__store_leave(index->store, visit);
    return seen;
}

static void check_exact(const sonde_index *index, const float *query, const neighbour *all, int64_t n)
{
    answer a;
    ask(index, query, 1, 0, NULL, &a);
    assert_int_equal(a.count, sonde__min_i64(n, K));
    for (int i = 0; i < a.count; i++) {
        assert_int_equal(a.ids[i], all[i].id);
        assert_true(a.scores[i] == (float)all[i].distance);
    }
}

/* What tables find is what an exhaustive scan finds, to the last tie, for k and for every r in 0..10; and most
 * rows are never looked at. */
static void chunks_find_what_scans_find(void **unused)
{
    (void)unused;
    enum { N = 12000, Q = 64 };
    float *x = near_copies(N + Q, 0.1f, 31);
    for (int s = 0; s < COUNT(chunk_specs); s++) {
        sonde_index *index = filled(chunk_specs[s], x, N);
        uint8_t *codes = codes_of(index, x, N + Q);
        const sonde__hamming *h = index->state;
        int64_t bytes = h->code->code_bytes, seen = 0;
        sonde_index_stats stats = SONDE_INDEX_STATS_INIT;
        uint64_t expected;
        warm_up(index, x + N * DIM, Q);
        OK(sonde_index_stats_get(index, &stats));
        OK(sonde_index_estimate(chunk_specs[s], DIM, N, &expected, NULL));
        assert_int_equal(stats.lists, 1);
        assert_true(stats.memory_bytes > (uint64_t)(h->chunks * 4 * (N + ((int64_t)1 << h->chunk_bits))));
        assert_true(fabs((double)stats.memory_bytes / (double)expected - 1) < 0.1);
        for (int q = 0; q < Q; q += 4) {
            neighbour *all = ranked(index, codes, N, codes + (N + q) * bytes, 8 * bytes);
            check_exact(index, x + (N + q) * DIM, all, N);
            for (int r = -1; r <= 10; r++) check_range(index, x + (N + q) * DIM, all, N, r);
            seen += compared(index, x + (N + q) * DIM, 1, 0);
            free(all);
        }
        assert_true(seen < Q / 4 * N / 2);
        free(codes);
        sonde_index_free(index);
    }
    free(x);
}

/* Random codes: nothing is near, and scanning takes over; still exact. */
static void far_neighbours_are_scanned_for(void **unused)
{
    (void)unused;
    enum { N = 3000, Q = 64 };
    float *x = test_vectors(N + Q, DIM, 0, 33);
    for (int s = 0; s < COUNT(chunk_specs); s++) {
        sonde_index *index = filled(chunk_specs[s], x, N);
        uint8_t *codes = codes_of(index, x, N + Q);
        int64_t bytes = ((const sonde__hamming *)index->state)->code->code_bytes;
        warm_up(index, x + N * DIM, Q);
        for (int q = 0; q < Q; q += 4) {
            neighbour *all = ranked(index, codes, N, codes + (N + q) * bytes, 8 * bytes);
            check_exact(index, x + (N + q) * DIM, all, N);
            for (int r = 0; r <= 10; r++) check_range(index, x + (N + q) * DIM, all, N, r);
            assert_true(compared(index, x + (N + q) * DIM, 1, 0) <= 2 * N);
            free(all);
        }
        free(codes);
        sonde_index_free(index);
    }
    free(x);
}

/* The number of the step that meets a row, bit by bit. */
static int64_t step_of(const sonde__hamming *h, const uint8_t *a, const uint8_t *b)
{
    int64_t least = INT64_MAX;
    for (int j = 0; j < h->chunks; j++) {
        int64_t differ = 0;
        for (int64_t i = j * h->chunk_stride, end = i + h->chunk_bits; i < end; i++)
            differ += (a[i / 8] ^ b[i / 8]) >> i % 8 & 1;
        least = sonde__min_i64(least, h->chunks * differ + j);
    }
    return least;
}

/* A copy that has no tables. */
static sonde_index *cold_copy(const sonde_index *index)
{
    size_t length;
    sonde_index *copy;
    OK(sonde_index_save_buffer(index, NULL, 0, &length));
    uint8_t *bytes = test_alloc(length, 1);
    OK(sonde_index_save_buffer(index, bytes, length, &length));
    OK(sonde_index_open_buffer(bytes, length, NULL, NULL, &copy));
    free(bytes);
    return copy;
}

/* An effort of e is e steps: the best of the rows that these meet, with tables or without. Rows nearer than e
 * are among them. */
static void check_effort(const sonde_index *index, const uint8_t *codes, const uint8_t *code, int64_t n,
                         const float *query, uint32_t effort, int64_t *limited)
{
    neighbour *all = ranked(index, codes, n, code, 64);
    int64_t wanted[K], at = 0;
    for (int64_t i = 0; i < n && at < K; i++) {
        int64_t step = step_of(index->state, codes + all[i].id * 8, code);
        assert_true(step <= all[i].distance);
        if (step < effort) wanted[at++] = all[i].id;
    }
    answer a;
    bool covered = all[K - 1].distance < effort, exact = covered || at < K;
    ask(index, query, 0, effort, NULL, &a);
    assert_int_equal(a.count, K);
    for (int i = 0; i < K; i++) assert_int_equal(a.ids[i], exact ? all[i].id : wanted[i]);
    assert_int_equal(a.reason, exact ? SONDE_STOP_EXACT : SONDE_STOP_EFFORT);
    *limited += !exact;
    free(all);
}

static void effort_is_steps(void **unused)
{
    (void)unused;
    enum { N = 8000, Q = 64 };
    float *x = near_copies(N + Q, 0.3f, 35);
    sonde_index *index = filled("hamming(code=lsh(bits=64), metric=hamming, chunks=4)", x, N);
    sonde_index *cold = cold_copy(index);
    uint8_t *codes = codes_of(index, x, N + Q);
    int64_t limited = 0;
    warm_up(index, x + N * DIM, Q);
    for (int q = 0; q < Q; q += 8)
        for (uint32_t effort = 1; effort < 16; effort++)
            check_effort(index, codes, codes + (N + q) * 8, N, x + (N + q) * DIM, effort, &limited);
    for (int q = 0; q < 28; q++)
        check_effort(cold, codes, codes + (N + q) * 8, N, x + (N + q) * DIM, 1 + (uint32_t)q, &limited);
    assert_int_equal(compared(cold, x + N * DIM, 1, 0), N);
    assert_true(compared(index, x + N * DIM, 0, 12) < N / 8);
    assert_true(limited > 20);
    free(codes);
    sonde_index_free(index);
    sonde_index_free(cold);
    free(x);
}

/* radius= as an effort: everything within it is found. */
static void chunks_reach_their_radius(void **unused)
{
    (void)unused;
    enum { N = 6000, Q = 64, RADIUS = 9 };
    float *x = near_copies(N + Q, 0.1f, 37);
    sonde_index *index = filled("hamming(code=lsh(bits=64), metric=hamming, chunks=4, radius=9)", x, N);
    uint8_t *codes = codes_of(index, x, N + Q);
    warm_up(index, x + N * DIM, Q);
    for (int q = 0; q < Q; q += 4) {
        neighbour *all = ranked(index, codes, N, codes + (N + q) * 8, 64);
        answer a;
        ask(index, x + (N + q) * DIM, 0.9f, 0, NULL, &a);
        for (int i = 0; i < K && all[i].distance <= RADIUS; i++) assert_int_equal(a.ids[i], all[i].id);
        free(all);
    }
    free(codes);
    sonde_index_free(index);
    free(x);
}

/* Where rows decide, the steps choose which of them are scored. */
static void chunks_choose_rows(void **unused)
{
    (void)unused;
    enum { N = 6000, Q = 64 };
    float *x = near_copies(N + Q, 0.2f, 39);
    sonde_index *index = filled("hamming(code=lsh(bits=64), metric=l2, chunks=4)", x, N);
    sonde_index *flat = filled("flat(metric=l2)", x, N);
    const sonde__hamming *h = index->state;
    uint8_t *codes = codes_of(index, x, N + Q);
    warm_up(index, x + N * DIM, Q);
    for (int warm = 0; warm < 2; warm++) {
        for (int q = 0; q < Q; q += 8) {
            answer a, truth;
            ask(flat, x + (N + q) * DIM, 1, 0, NULL, &truth);
            ask(index, x + (N + q) * DIM, 1, 0, NULL, &a);
            assert_memory_equal(a.ids, truth.ids, sizeof a.ids);
            ask(index, x + (N + q) * DIM, 0, 9, NULL, &a);
            int64_t due = 0;
            for (int i = 0; i < K; i++) { /* what is met is found */
                int64_t step = step_of(h, codes + truth.ids[i] * 8, codes + (N + q) * 8);
                if (step >= 9) continue;
                assert_int_equal(a.ids[due], truth.ids[i]);
                assert_true(a.scores[due++] == truth.scores[i]);
            }
            ask_sieved(index, x + (N + q) * DIM, 65, 150, &a); /* all rows pass */
            assert_memory_equal(a.ids, truth.ids, sizeof a.ids);
        }
        if (warm == 0) warm_up(index, x + N * DIM, Q);
    }
    free(codes);
    sonde_index_free(index);
    sonde_index_free(flat);
    free(x);
}

/* The same answers as an index whose rows all lie in one list and are scanned, whatever has happened to them. */
static void check_same(const sonde_index *index, const sonde_index *scan, const float *queries, int n)
{
    sonde_filter odd = SONDE_FILTER_INIT;
    odd.kind = SONDE_FILTER_CALLBACK;
    odd.accept = accept_sevenths;
    for (int q = 0; q < n; q++)
        for (int filtered = 0; filtered < 2; filtered++) {
            answer a, b;
            ask(index, queries + q * DIM, 1, 0, filtered ? &odd : NULL, &a);
            ask(scan, queries + q * DIM, 1, 0, filtered ? &odd : NULL, &b);
            assert_int_equal(a.count, b.count);
            assert_memory_equal(a.ids, b.ids, (size_t)a.count * sizeof *a.ids);
            assert_memory_equal(a.scores, b.scores, (size_t)a.count * sizeof *a.scores);
        }
}

/* Rows added, removed, replaced and compacted after the tables were made. */
static void tables_and_writes(void **unused)
{
    (void)unused;
    enum { N = 6000, MORE = 400, Q = 64, ROUNDS = 12 };
    float *x = near_copies(N + Q + MORE, 0.1f, 41);
    const float *queries = x + N * DIM;
    sonde_array more = sonde_f32(x + (N + Q) * DIM, MORE, DIM);
    sonde_index *pair[2] = {filled("hamming(code=lsh(bits=64), metric=hamming, chunks=4)", x, N),
                            filled("hamming(code=lsh(bits=64), metric=hamming, bucket_bits=0)", x, N)};
    int64_t ids[MORE], removed;
    warm_up(pair[0], queries, Q);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < MORE; i++) ids[i] = round % 3 ? N + round * 100 + i : i * 13 + round;
        for (int p = 0; p < 2; p++) {
            OK(sonde_index_add(pair[p], &more, ids)); /* new ones, and others in the place of old ones */
            if (round % 4 == 3) OK(sonde_index_remove(pair[p], ids + MORE / 2, MORE / 2, &removed));
            if (round % 5 == 4) OK(sonde_index_compact(pair[p]));
        }
        check_same(pair[0], pair[1], queries, 6);
        if (round % 2) warm_up(pair[0], queries, Q);
    }
    OK(sonde_index_check(pair[0]));
    for (int p = 0; p < 2; p++) sonde_index_free(pair[p]);
    free(x);
}

/* Files do not hold tables; an index that was opened, mapped or not, makes its own. */
static void tables_after_opening(void **unused)
{
    (void)unused;
    enum { N = 5000, Q = 64 };
    float *x = near_copies(N + Q, 0.1f, 43);
    sonde_index *index = filled("hamming(code=lsh(bits=64), metric=hamming, chunks=4)", x, N);
    const char *path = "chunks.sonde";
    OK(sonde_index_save(index, path));
    for (int mapped = 0; mapped < 2; mapped++) {
        sonde_open_options how = SONDE_OPEN_OPTIONS_INIT;
        sonde_index *opened;
        how.mode = mapped ? SONDE_OPEN_MMAP : SONDE_OPEN_READ;
        OK(sonde_index_open(path, &how, NULL, &opened));
        const sonde__hamming *h = opened->state;
        assert_int_equal(h->chunks, 4);
        assert_int_equal(h->chunk_bits, 16);
        check_same(opened, index, x + N * DIM, 4);
        warm_up(opened, x + N * DIM, Q);
        check_same(opened, index, x + N * DIM, 4);
        assert_true(compared(opened, x + N * DIM, 1, 0) < N / 2);
        sonde_index_free(opened);
    }
    remove(path);
    sonde_index_free(index);
    free(x);
}

/* A file whose chunks are not those of its spec, or not of its code. */
static void damaged_chunks(void **unused)
{
    (void)unused;
    enum { N = 300 };
    float *x = test_vectors(N, DIM, 0, 45);
    sonde_index *index = filled("hamming(code=lsh(bits=64), metric=hamming, chunks=4)", x, N), *opened;
    sonde__hamming *h = index->state;
    static const int wrong[][2] = {{5, 12}, {4, 17}, {4, 0}, {1, 16}, {17, 3}};
    for (int w = 0; w < COUNT(wrong); w++) {
        size_t length;
        int chunks = h->chunks, bits = h->chunk_bits;
        h->chunks = wrong[w][0];
        h->chunk_bits = wrong[w][1];
        OK(sonde_index_save_buffer(index, NULL, 0, &length));
        uint8_t *bytes = test_alloc(length, 1);
        OK(sonde_index_save_buffer(index, bytes, length, &length));
        h->chunks = chunks;
        h->chunk_bits = bits;
        FAILS(sonde_index_open_buffer(bytes, length, NULL, NULL, &opened), SONDE_CORRUPT, "chunk");
        free(bytes);
    }
    sonde_index_free(index);
    free(x);
}

/* auto: buckets for few rows or short codes, b / log2(n) tables for many; an estimate counts their bytes. */
static void chunks_are_chosen(void **unused)
{
    (void)unused;
    static const struct {
        const char *spec;
        int64_t rows;
        int chunks;
    } cases[] = {
        {"hamming(code=lsh(bits=64), metric=hamming)", 10000, 1},
        {"hamming(code=lsh(bits=64), metric=hamming)", 1000000, 4},
        {"hamming(code=lsh(bits=128), metric=hamming)", 1000000, 1},
        {"hamming(code=lsh(bits=96), metric=hamming)", 100000000, 4},
        {"hamming(code=lsh(bits=32), metric=hamming)", 1000000, 1},
        {"hamming(code=lsh(bits=64))", 1000000, 1},
        {"hamming(code=lsh(bits=64), metric=hamming, radius=2)", 1000000, 1},
        {"hamming(code=lsh(bits=64), metric=hamming, bucket_bits=auto, key_bits=20)", 1000000, 1},
        {"hamming(code=lsh(bits=64), metric=hamming, chunks=1)", 1000000, 1},
        {"hamming(code=lsh(bits=64), metric=hamming, chunks=5)", 10000, 5},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        sonde_index *index;
        uint64_t learned, building;
        OK(sonde_index_create(cases[i].spec, DIM, NULL, &index));
        OK(index->method->estimate(index, cases[i].rows, &learned, &building));
        const sonde__hamming *h = index->state;
        assert_int_equal(h->chunks, cases[i].chunks);
        if (h->chunks > 1) {
            assert_int_equal(index->lists, 1);
            assert_true(h->chunk_bits <= 20 && h->chunks * h->chunk_stride <= h->code->code_bytes * 8);
            assert_true(learned > (uint64_t)(h->chunks * 4 * (cases[i].rows + ((int64_t)1 << h->chunk_bits))));
        }
        sonde_index_free(index);
    }
}

/* Searches that make tables, and make them anew after a write. */
static sonde_status search_unluckily(sonde_runtime_options *options)
{
    enum { N = 120, Q = 40 };
    static const char *const spec = "hamming(code=lsh(bits=40), metric=hamming, chunks=5)";
    float *x = test_vectors(N, DIM, 0, 46);
    int64_t ids[Q];
    sonde_array rows = sonde_f32(x, N, DIM), queries = sonde_f32(x, Q, DIM);
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    sonde_hits hits = {sizeof hits, 0, ids, NULL, NULL, NULL};
    how.k = 1;
    how.recall = 1;
    sonde_runtime *runtime = NULL;
    sonde_index *index = NULL;
    sonde_status status = sonde_runtime_create(options, &runtime);
    if (status == SONDE_OK) status = sonde_index_create(spec, DIM, runtime, &index);
    for (int round = 0; round < 2 && status == SONDE_OK; round++) {
        status = sonde_index_add(index, &rows, NULL);
        if (status == SONDE_OK) status = sonde_index_search(index, &queries, &how, &hits);
        for (int q = 0; q < Q && status == SONDE_OK; q++) assert_int_equal(ids[q], q);
    }
    sonde_index_free(index);
    sonde_runtime_free(runtime);
    free(x);
    return status;
}

static void memory_for_tables_runs_out(void **unused)
{
    (void)unused;
    assert_true(failing_walk(search_unluckily) > 10);
}

/* ---- a writer beside readers ---------------------------------------------------------------------- */

typedef struct scene {
    sonde_index *index;
    const float *x;
    atomic_bool done;
    atomic_int wrong;
} scene;

enum { STABLE = 1500, PASSING = 500 };

/* Each stable row finds itself, whatever comes and goes. */
static void *read_on(void *context)
{
    scene *s = context;
    for (int64_t i = 0; !atomic_load(&s->done); i = (i + 7) % STABLE) {
        int64_t id;
        float score;
        sonde_array query = sonde_f32(s->x + i * DIM, 1, DIM);
        sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
        sonde_hits hits = {sizeof hits, 0, &id, &score, NULL, NULL};
        how.k = 1;
        how.effort = i % 2 ? 1 : 20;
        if (sonde_index_search(s->index, &query, &how, &hits) || id != i || score != 0)
            atomic_fetch_add(&s->wrong, 1);
    }
    return NULL;
}

static void readers_beside(const char *spec)
{
    float *x = test_vectors(STABLE + PASSING, DIM, 0, 29);
    scene s = {.index = filled(spec, x, STABLE), .x = x};
    sonde_array more = sonde_f32(x + STABLE * DIM, PASSING, DIM);
    int64_t ids[PASSING], removed;
    pthread_t thread[3];
    for (int i = 0; i < PASSING; i++) ids[i] = STABLE + i;
    for (int t = 0; t < 3; t++) assert_int_equal(pthread_create(&thread[t], NULL, read_on, &s), 0);
    for (int round = 0; round < 30; round++) {
        OK(sonde_index_add(s.index, &more, ids));
        OK(sonde_index_add(s.index, &more, ids)); /* an upsert */
        OK(sonde_index_remove(s.index, ids, PASSING, &removed));
        assert_int_equal(removed, PASSING);
        if (round % 10 == 9) OK(sonde_index_compact(s.index));
    }
    atomic_store(&s.done, true);
    for (int t = 0; t < 3; t++) pthread_join(thread[t], NULL);
    assert_int_equal(atomic_load(&s.wrong), 0);
    OK(sonde_index_check(s.index));
    sonde_index_free(s.index);
    free(x);
}

static void readers_beside_a_writer(void **unused)
{
    (void)unused;
    readers_beside("hamming(code=lsh(bits=64), bucket_bits=6)");
}

/* Tables are made, retired and made again meanwhile. */
static void readers_of_tables_beside_a_writer(void **unused)
{
    (void)unused;
    readers_beside("hamming(code=lsh(bits=64), metric=hamming, chunks=4)");
}

/* ---- what is refused ------------------------------------------------------------------------------ */

static void refused(void **unused)
{
    (void)unused;
    static const struct {
        const char *spec, *words;
        sonde_status status;
    } bad[] = {
        {"hamming(code=pq(m=8), metric=hamming)", "no code of single bits", SONDE_INVALID_ARGUMENT},
        {"hamming(code=lsh(bits=0))", "bits", SONDE_INVALID_ARGUMENT},
        {"hamming(code=itq(bits=33))", "33", SONDE_INVALID_ARGUMENT},
        {"hamming(key_bits=65)", "key_bits", SONDE_INVALID_ARGUMENT},
        {"hamming(code=lsh(bits=20), key_bits=21)", "20 bits", SONDE_INVALID_ARGUMENT},
        {"hamming(code=lsh(bits=20), bucket_bits=20, key_bits=19)", "19 bits", SONDE_INVALID_ARGUMENT},
        {"hamming(bucket_bits=21)", "bucket_bits", SONDE_INVALID_ARGUMENT},
        {"hamming(code=lsh(bits=64), key_bits=64, radius=10)", "184144458889", SONDE_INVALID_ARGUMENT},
        {"hamming(metric=hamming, rerank=f32)", "rerank", SONDE_INVALID_ARGUMENT},
        {"hamming(metric=ip, rerank=code)", "metric=hamming", SONDE_INVALID_ARGUMENT},
        {"hamming(code=bebr(loops=2))", "single bits", SONDE_INVALID_ARGUMENT},
        {"hamming(chunks=17)", "chunks", SONDE_INVALID_ARGUMENT},
        {"hamming(code=lsh(bits=5), chunks=6)", "5 bits", SONDE_INVALID_ARGUMENT},
        {"hamming(chunks=4, bucket_bits=8)", "bucket_bits", SONDE_INVALID_ARGUMENT},
        {"hamming(chunks=4, key_bits=20)", "key_bits", SONDE_INVALID_ARGUMENT},
        {"hamming(chunks=4, probe=logit)", "probe", SONDE_INVALID_ARGUMENT},
    };
    sonde_index *index;
    for (int i = 0; i < COUNT(bad); i++)
        FAILS(sonde_index_create(bad[i].spec, DIM, NULL, &index), bad[i].status, bad[i].words);
    float *flat = test_alloc(100 * DIM, sizeof *flat);
    sonde_array rows = sonde_f32(flat, 100, DIM);
    OK(sonde_index_create("hamming(code=itq(bits=8))", DIM, NULL, &index));
    FAILS(sonde_index_add(index, &rows, NULL), SONDE_INVALID_ARGUMENT, "variance");
    assert_int_equal(sonde_index_count(index), 0);
    sonde_index_free(index);
    for (int i = 0; i < 100 * DIM; i++) flat[i] = (float)(i % 37);
    flat[5 * DIM + 3] = 70000;
    OK(sonde_index_create("hamming(rerank=f16)", DIM, NULL, &index));
    FAILS(sonde_index_add(index, &rows, NULL), SONDE_INVALID_ARGUMENT, "row 5, column 3");
    sonde_index_free(index);
    free(flat);
}

/* A row in a list that its code does not name would never be found: opening finds it first. */
static void a_row_in_the_wrong_list(void **unused)
{
    (void)unused;
    enum { N = 500 };
    float *x = test_vectors(N, DIM, 0, 30);
    sonde_index *index = filled("hamming(code=lsh(bits=64), bucket_bits=3, metric=hamming)", x, N), *opened;
    uint8_t *codes = codes_of(index, x, N);
    size_t length;
    OK(sonde_index_save_buffer(index, NULL, 0, &length));
    uint8_t *bytes = test_alloc(length, 1);
    OK(sonde_index_save_buffer(index, bytes, length, &length));
    uint8_t *at = memmem(bytes, length, codes, 8);
    assert_non_null(at);
    *at ^= 1;
    reseal(bytes, length);
    FAILS(sonde_index_open_buffer(bytes, length, NULL, NULL, &opened), SONDE_CORRUPT, "id 0");
    *at ^= 1;
    at[1] ^= 1; /* another code of the same list: as good as any */
    reseal(bytes, length);
    OK(sonde_index_open_buffer(bytes, length, NULL, NULL, &opened));
    sonde_index_free(opened);
    sonde_index_free(index);
    free(bytes);
    free(codes);
    free(x);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(masks_by_weight),
    cmocka_unit_test(masks_by_cost),
    cmocka_unit_test(exact_is_exhaustive),
    cmocka_unit_test(ranges_are_exhaustive),
    cmocka_unit_test(a_ball_is_seen_whole),
    cmocka_unit_test(many_empty_buckets_are_scanned),
    cmocka_unit_test(rows_decide),
    cmocka_unit_test(soft_order_finds_more),
    cmocka_unit_test(recall_is_reached),
    cmocka_unit_test(steps_are_calibrated),
    cmocka_unit_test(filters),
    cmocka_unit_test(chunks_find_what_scans_find),
    cmocka_unit_test(far_neighbours_are_scanned_for),
    cmocka_unit_test(effort_is_steps),
    cmocka_unit_test(chunks_reach_their_radius),
    cmocka_unit_test(chunks_choose_rows),
    cmocka_unit_test(tables_and_writes),
    cmocka_unit_test(tables_after_opening),
    cmocka_unit_test(damaged_chunks),
    cmocka_unit_test(chunks_are_chosen),
    cmocka_unit_test(memory_for_tables_runs_out),
    cmocka_unit_test(readers_beside_a_writer),
    cmocka_unit_test(readers_of_tables_beside_a_writer),
    cmocka_unit_test(refused),
    cmocka_unit_test(a_row_in_the_wrong_list),
};

SONDE_TEST_MAIN(tests)
