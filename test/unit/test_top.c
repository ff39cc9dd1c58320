/* test_top.c: the collector of hits against sorting everything.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test.h"

#include <math.h>

#include "indexes/index.h"

static int by_rank(const void *a, const void *b)
{
    const sonde__hit *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* Few distinct scores, so that ties are the rule; ids distinct, in mixed order. */
static sonde__hit *random_hits(int64_t n, int distinct, uint64_t seed)
{
    sonde__hit *hits = test_alloc((size_t)n, sizeof *hits);
    for (int64_t i = 0; i < n; i++) {
        float score = (float)(int64_t)(test_u64(&seed) % (uint64_t)distinct) - (float)distinct / 2;
        hits[i] = (sonde__hit){.score = score, .id = (i * 7919) % 100003, .place = (sonde__place)i};
    }
    return hits;
}

static void same_hits(const sonde__hit *expected, const sonde__top *top)
{
    for (int64_t i = 0; i < top->count; i++) {
        assert_true(expected[i].score == top->hits[i].score);
        assert_int_equal(expected[i].id, top->hits[i].id);
        assert_int_equal(expected[i].place, top->hits[i].place);
    }
}

static void keeps_the_best(void **state)
{
    (void)state;
    for (int round = 0; round < 60; round++) {
        int64_t n = 1 + round * 37, k = 1 + round * round % 211;
        sonde__hit *hits = random_hits(n, 2 + round, (uint64_t)round);
        sonde__hit *room = test_alloc((size_t)sonde__top_room(k), sizeof *room);
        sonde__top top;
        sonde__top_init(&top, room, k);
        for (int64_t i = 0; i < n; i++) sonde__top_push(&top, hits[i].score, hits[i].id, hits[i].place);
        sonde__top_sort(&top);
        qsort(hits, (size_t)n, sizeof *hits, by_rank);
        assert_int_equal(top.count, n < k ? n : k);
        same_hits(hits, &top);
        free(hits);
        free(room);
    }
}

/* Second scores leave fewer: a top of either way can be told so. */
static void keeps_fewer_when_told(void **state)
{
    (void)state;
    static const int64_t capacity[] = {20, 160}, fewer[] = {7, 30};
    for (int way = 0; way < 2; way++)
        for (int distinct = 3; distinct < 2000; distinct *= 9) {
            sonde__hit *hits = random_hits(500, distinct, (uint64_t)distinct);
            sonde__hit *room = test_alloc((size_t)sonde__top_room(capacity[way]), sizeof *room);
            sonde__top top;
            sonde__top_init(&top, room, capacity[way]);
            for (int64_t i = 0; i < 500; i++) sonde__top_push(&top, hits[i].score, hits[i].id, hits[i].place);
            sonde__top_settle(&top);
            assert_int_equal(top.count, capacity[way]);
            top.capacity = fewer[way];
            sonde__top_settle(&top);
            sonde__top_sort(&top);
            qsort(hits, 500, sizeof *hits, by_rank);
            assert_int_equal(top.count, fewer[way]);
            same_hits(hits, &top);
            free(hits);
            free(room);
        }
}

static void threshold_lets_ties_with_smaller_ids_in(void **state)
{
    (void)state;
    sonde__hit room[2];
    sonde__top top;
    sonde__top_init(&top, room, 2);
    assert_true(top.threshold == -INFINITY);
    sonde__top_push(&top, 1, 50, 0);
    sonde__top_push(&top, 1, 60, 1);
    assert_true(top.threshold < 1 && nextafterf(top.threshold, 2) == 1);
    sonde__top_push(&top, 1, 70, 2); /* larger id: stays out */
    sonde__top_push(&top, 1, 40, 3);
    sonde__top_sort(&top);
    assert_int_equal(top.hits[0].id, 40);
    assert_int_equal(top.hits[1].id, 50);
}

static void nan_never_enters(void **state)
{
    (void)state;
    sonde__hit room[3];
    sonde__top top;
    sonde__top_init(&top, room, 3);
    sonde__top_push(&top, NAN, 1, 0);
    sonde__top_push(&top, -5, 2, 0);
    sonde__top_push(&top, NAN, 3, 0);
    assert_int_equal(top.count, 1);
    assert_int_equal(top.hits[0].id, 2);
}

static void no_room_takes_nothing(void **state)
{
    (void)state;
    sonde__top top;
    sonde__top_init(&top, NULL, 0);
    sonde__top_push(&top, 3, 1, 0);
    sonde__top_sort(&top);
    assert_int_equal(top.count, 0);
}

/* Shares of the hits in any number of tops, merged in any order, give the same as one top. */
static void merging_is_like_one_top(void **state)
{
    (void)state;
    enum { N = 3000, K = 25, PARTS = 7 };
    sonde__hit *hits = random_hits(N, 40, 5), whole_room[3 * K], rooms[PARTS][3 * K], merged_room[3 * K];
    sonde__top whole, part[PARTS], merged;
    assert_true(sonde__top_room(K) <= 3 * K);
    sonde__top_init(&whole, whole_room, K);
    sonde__top_init(&merged, merged_room, K);
    for (int p = 0; p < PARTS; p++) sonde__top_init(&part[p], rooms[p], K);
    for (int64_t i = 0; i < N; i++) {
        sonde__top_push(&whole, hits[i].score, hits[i].id, hits[i].place);
        sonde__top_push(&part[i * i % PARTS], hits[i].score, hits[i].id, hits[i].place);
    }
    for (int p = PARTS - 1; p >= 0; p--) sonde__top_merge(&merged, &part[p]);
    sonde__top_sort(&whole);
    sonde__top_sort(&merged);
    assert_int_equal(merged.count, K);
    same_hits(whole.hits, &merged);
    free(hits);
}

static void range_keeps_all_from_the_floor(void **state)
{
    (void)state;
    enum { N = 2000 };
    sonde_runtime *runtime;
    OK(sonde_runtime_create(NULL, &runtime));
    for (int floor = -12; floor <= 12; floor += 6) {
        sonde__hit *hits = random_hits(N, 20, 11);
        sonde__top top;
        sonde__top_init_range(&top, runtime, (float)floor);
        for (int64_t i = 0; i < N; i++) sonde__top_push(&top, hits[i].score, hits[i].id, hits[i].place);
        sonde__top_push(&top, NAN, 1, 0);
        sonde__top_sort(&top);
        qsort(hits, N, sizeof *hits, by_rank);
        int64_t expected = 0;
        while (expected < N && hits[expected].score >= (float)floor) expected++;
        assert_int_equal(top.count, expected);
        same_hits(hits, &top);
        sonde__free(runtime, top.hits);
        free(hits);
    }
    sonde_runtime_free(runtime);
}

static void range_reports_failed_growth(void **state)
{
    (void)state;
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    options.memory_limit = 16 << 10;
    sonde_runtime *runtime;
    OK(sonde_runtime_create(&options, &runtime));
    sonde__top top;
    sonde__top_init_range(&top, runtime, 0);
    for (int64_t i = 0; i < 5000; i++) sonde__top_push(&top, 1, i, 0);
    assert_int_equal(top.status, SONDE_LIMIT);
    assert_true(top.count < 5000);
    sonde__free(runtime, top.hits);
    sonde_runtime_free(runtime);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(keeps_the_best),
    cmocka_unit_test(keeps_fewer_when_told),
        cmocka_unit_test(threshold_lets_ties_with_smaller_ids_in),
    cmocka_unit_test(nan_never_enters),
    cmocka_unit_test(no_room_takes_nothing),
    cmocka_unit_test(merging_is_like_one_top),
    cmocka_unit_test(range_keeps_all_from_the_floor),
    cmocka_unit_test(range_reports_failed_growth),
};
SONDE_TEST_MAIN(tests)
