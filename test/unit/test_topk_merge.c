/* test_topk_merge.c: joined hits against sorting all of them, and shards against one index over all rows.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <math.h>

#include "../failing.h"
#include "test.h"

enum { PARTS = 4, QUERIES = 9, WIDEST = 40 };

typedef struct hit {
    int64_t id;
    float score;
} hit;

/* What the parts hold; widths differ, and some lists end early with ids of -1. */
typedef struct shards {
    int64_t ids[PARTS][QUERIES * WIDEST];
    float scores[PARTS][QUERIES * WIDEST];
    uint8_t reasons[PARTS][QUERIES];
    uint32_t widths[PARTS];
    sonde_hits part[PARTS];
} shards;

static float direction; /* +1: larger is better */

static int by_rank(const void *a, const void *b)
{
    const hit *x = a, *y = b;
    if (x->score != y->score) return direction * x->score > direction * y->score ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* Few ids and few scores, so that both meet again in other parts, with equal and with other scores. */
static void fill_list(int64_t *ids, float *scores, uint32_t width, uint32_t found, uint64_t *seed)
{
    hit hits[WIDEST];
    for (uint32_t i = 0; i < found; i++)
        hits[i] = (hit){(int64_t)(i * 3 + test_u64(seed) % 3), (float)(test_u64(seed) % 20) - 5};
    qsort(hits, found, sizeof *hits, by_rank);
    for (uint32_t i = 0; i < width; i++) {
        ids[i] = i < found ? hits[i].id : -1;
        scores[i] = i < found ? hits[i].score : -INFINITY * direction;
    }
}

static void fill(shards *s, uint64_t seed)
{
    for (int p = 0; p < PARTS; p++) {
        uint32_t width = s->widths[p] = 1 + (uint32_t)(test_u64(&seed) % WIDEST);
        for (int q = 0; q < QUERIES; q++) {
            uint32_t found = (uint32_t)(test_u64(&seed) % (width + 1));
            fill_list(s->ids[p] + q * width, s->scores[p] + q * width, width, found, &seed);
            s->reasons[p][q] = found < width ? SONDE_STOP_FEWER : SONDE_STOP_EXACT;
        }
        s->part[p] = (sonde_hits){sizeof s->part[p], 0, s->ids[p], s->scores[p], NULL, s->reasons[p]};
    }
}

/* All hits of a query, sorted, every id only where it comes first. */
static int expected_hits(const shards *s, int q, hit *out)
{
    hit all[PARTS * WIDEST];
    int n = 0, kept = 0;
    for (int p = 0; p < PARTS; p++)
        for (uint32_t i = 0; i < s->widths[p]; i++) {
            int64_t id = s->ids[p][q * s->widths[p] + i];
            if (id >= 0) all[n++] = (hit){id, s->scores[p][q * s->widths[p] + i]};
        }
    qsort(all, (size_t)n, sizeof *all, by_rank);
    for (int i = 0; i < n; i++) {
        bool twice = false;
        for (int j = 0; j < kept; j++) twice |= out[j].id == all[i].id;
        if (!twice) out[kept++] = all[i];
    }
    return kept;
}

static void check_query(const shards *s, int q, int k, const sonde_hits *merged)
{
    hit expected[PARTS * WIDEST];
    int n = expected_hits(s, q, expected), found = n < k ? n : k;
    assert_int_equal(merged->count[q], found);
    assert_int_equal(merged->reason[q], n < k ? SONDE_STOP_FEWER : SONDE_STOP_EXACT);
    for (int i = 0; i < k; i++) {
        assert_int_equal(merged->ids[q * k + i], i < found ? expected[i].id : -1);
        float score = i < found ? expected[i].score : -INFINITY * direction;
        assert_true(merged->scores[q * k + i] == score);
    }
}

static void equals_sorting(void **unused)
{
    (void)unused;
    static shards s;
    for (int round = 0; round < 200; round++) {
        uint32_t metric = 1 + (uint32_t)round % 4, k = 1 + (uint32_t)round % 60;
        direction = metric == SONDE_METRIC_IP || metric == SONDE_METRIC_COSINE ? 1 : -1;
        fill(&s, (uint64_t)round);
        int64_t ids[QUERIES * 60];
        float scores[QUERIES * 60];
        int32_t count[QUERIES];
        uint8_t reason[QUERIES];
        sonde_hits merged = {sizeof merged, 0, ids, scores, count, reason};
        OK(sonde_topk_merge(metric, s.part, s.widths, PARTS, QUERIES, k, NULL, &merged));
        for (int q = 0; q < QUERIES; q++) check_query(&s, q, (int)k, &merged);
    }
}

static void one_part_that_stopped_early_is_told(void **unused)
{
    (void)unused;
    int64_t ids[2] = {1, 2}, out[2];
    float scores[2] = {3, 4};
    uint8_t exact = SONDE_STOP_EXACT, effort = SONDE_STOP_EFFORT, reason = 0;
    uint32_t widths[2] = {2, 2};
    sonde_hits part[2] = {{sizeof part[0], 0, ids, scores, NULL, &exact}, {sizeof part[0], 0, ids, scores, NULL, &effort}};
    sonde_hits merged = {sizeof merged, 0, out, NULL, NULL, &reason};
    OK(sonde_topk_merge(SONDE_METRIC_L2, part, widths, 2, 1, 2, NULL, &merged));
    assert_int_equal(reason, SONDE_STOP_EFFORT);
    assert_int_equal(out[0], 1);
    assert_int_equal(out[1], 2);
    OK(sonde_topk_merge(SONDE_METRIC_L2, part, widths, 2, 0, 2, NULL, &merged)); /* no queries: nothing to do */
}

enum { ROWS = 600, DIM = 12, K = 7 };

static void search(sonde_index *index, const float *queries, int64_t *ids, float *scores)
{
    sonde_array view = sonde_f32(queries, QUERIES, DIM);
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    sonde_hits hits = {sizeof hits, 0, ids, scores, NULL, NULL};
    how.k = K;
    OK(sonde_index_search(index, &view, &how, &hits));
}

/* Rows are dealt out to three indexes; what they find together is what one index over all rows finds. */
static void shards_answer_as_one_index(void **unused)
{
    (void)unused;
    float rows[ROWS * DIM];
    uint64_t seed = 5;
    for (int i = 0; i < ROWS * DIM; i++) rows[i] = test_normal(&seed);
    int64_t ids[3][QUERIES * K], whole_ids[QUERIES * K], merged_ids[QUERIES * K];
    float scores[3][QUERIES * K], whole_scores[QUERIES * K], merged_scores[QUERIES * K];
    uint32_t widths[3] = {K, K, K};
    sonde_hits part[3], merged = {sizeof merged, 0, merged_ids, merged_scores, NULL, NULL};
    sonde_index *whole;
    OK(sonde_index_create("flat(metric=ip)", DIM, NULL, &whole));
    for (int shard = 0; shard < 3; shard++) {
        sonde_index *index;
        sonde_array view = sonde_f32(rows + shard * 200 * DIM, 200, DIM);
        int64_t own[200];
        for (int i = 0; i < 200; i++) own[i] = shard * 200 + i;
        OK(sonde_index_create("flat(metric=ip)", DIM, NULL, &index));
        OK(sonde_index_add(index, &view, own));
        OK(sonde_index_add(whole, &view, own));
        search(index, rows, ids[shard], scores[shard]);
        part[shard] = (sonde_hits){sizeof part[0], 0, ids[shard], scores[shard], NULL, NULL};
        sonde_index_free(index);
    }
    search(whole, rows, whole_ids, whole_scores);
    OK(sonde_topk_merge(SONDE_METRIC_IP, part, widths, 3, QUERIES, K, NULL, &merged));
    assert_memory_equal(merged_ids, whole_ids, sizeof whole_ids);
    for (int i = 0; i < QUERIES * K; i++) assert_float_equal(merged_scores[i], whole_scores[i], 1e-5);
    sonde_index_free(whole);
}

static sonde_status merge_once(sonde_runtime_options *options)
{
    int64_t ids[2] = {1, 2}, out[2] = {77, 77};
    float scores[2] = {3, 4};
    uint32_t width = 2;
    sonde_hits part = {sizeof part, 0, ids, scores, NULL, NULL}, merged = {sizeof merged, 0, out, NULL, NULL, NULL};
    sonde_runtime *runtime;
    sonde_status status = sonde_runtime_create(options, &runtime);
    if (status != SONDE_OK) return status;
    status = sonde_topk_merge(SONDE_METRIC_L2, &part, &width, 1, 1, 2, runtime, &merged);
    assert_int_equal(out[0], status == SONDE_OK ? 1 : 77);
    sonde_runtime_free(runtime);
    return status;
}

static void unwinds(void **unused)
{
    (void)unused;
    assert_true(failing_walk(merge_once) >= 4); /* the runtime and three arrays */
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(equals_sorting),
    cmocka_unit_test(one_part_that_stopped_early_is_told),
    cmocka_unit_test(shards_answer_as_one_index),
    cmocka_unit_test(unwinds),
};
SONDE_TEST_MAIN(tests)
