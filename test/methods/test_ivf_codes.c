/* test_ivf_codes.c: what an inverted file does with codes, beyond what every index must do: the second scores, residuals,
 * spilled rows, lists chosen in integers, a number of lists for each query. Against flat search of the same rows.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "../test.h"

enum { N = 6000, DIM = 32, QUERIES = 300, TUNING = 400, K = 10 };

static struct world {
    float *x, *q;
    sonde_array rows, queries;
    int64_t truth[3][QUERIES * K]; /* by metric - 1 */
} w;

static void search(const sonde_index *index, const sonde_array *queries, uint32_t k, float recall, uint32_t effort,
                   int64_t *ids, float *scores)
{
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    sonde_hits hits = SONDE_HITS_INIT;
    how.k = k;
    how.recall = recall;
    how.effort = effort;
    how.refine = effort ? 12 : 0;
    hits.ids = ids;
    hits.scores = scores;
    OK(sonde_index_search(index, queries, &how, &hits));
}

static sonde_index *filled(const char *spec)
{
    sonde_index *index = NULL;
    OK(sonde_index_create(spec, DIM, NULL, &index));
    OK(sonde_index_add(index, &w.rows, NULL));
    OK(sonde_index_check(index));
    return index;
}

static int set_up(void **unused)
{
    (void)unused;
    static const char *const flat[] = {"flat(metric=l2)", "flat(metric=ip)", "flat(metric=cosine)"};
    w.x = test_vectors(N + QUERIES + TUNING, DIM, 40, 1);
    w.q = w.x + N * DIM;
    w.rows = sonde_f32(w.x, N, DIM);
    w.queries = sonde_f32(w.q, QUERIES, DIM);
    for (int m = 0; m < 3; m++) {
        sonde_index *index = filled(flat[m]);
        search(index, &w.queries, K, 1, 0, w.truth[m], NULL);
        sonde_index_free(index);
    }
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    free(w.x);
    return 0;
}

static double share_found(const int64_t *ids, int metric)
{
    int64_t found = 0;
    for (int q = 0; q < QUERIES; q++)
        for (int i = 0; i < K; i++)
            for (int j = 0; j < K; j++) found += ids[q * K + i] == w.truth[metric - 1][q * K + j];
    return (double)found / (QUERIES * K);
}

/* Recall with all lists visited: only codes lose. */
static double recall_of(const char *spec, int metric)
{
    int64_t ids[QUERIES * K];
    sonde_index *index = filled(spec);
    search(index, &w.queries, K, 0, 24, ids, NULL);
    sonde_index_free(index);
    return share_found(ids, metric);
}

/* More bits of RabitQ and finer tiers find more; with rows as the tier nearly all is found. */
static void second_scores_count(void **unused)
{
    (void)unused;
    for (int metric = SONDE_METRIC_L2; metric <= SONDE_METRIC_COSINE; metric++) {
        const char *name = metric == SONDE_METRIC_L2 ? "l2" : metric == SONDE_METRIC_IP ? "ip" : "cosine";
        static const char *const codes[] = {"code=rabitq(bits=1)", "code=rabitq(bits=3)", "code=rabitq(bits=7)",
                                            "code=rabitq(bits=1), refine=sq(bits=8)", "code=rabitq(bits=4), refine=f32",
                                            "code=pq(m=16, bits=4), refine=f32"};
        double recall[6];
        for (int c = 0; c < 6; c++) {
            char spec[120];
            snprintf(spec, sizeof spec, "ivf(nlist=24, metric=%s, %s)", name, codes[c]);
            recall[c] = recall_of(spec, metric);
            print_message("%s: %.3f\n", spec, recall[c]);
        }
        assert_true(recall[1] > recall[0] + 0.1);
        assert_true(recall[2] > recall[1] + 0.05 && recall[2] > 0.9);
        assert_true(recall[3] > recall[0] + 0.1);
        assert_true(recall[4] > 0.98 && recall[5] > 0.95);
    }
}

/* All lists, all rows: what the tier holds decides, whatever the codes say. */
static void exact_search_is_of_the_tier(void **unused)
{
    (void)unused;
    static const char *const specs[] = {"ivf(nlist=24, code=pq(m=4, bits=4), refine=f32)",
                                        "ivf(nlist=24, code=rabitq(bits=1), residual=yes, metric=ip, refine=f32)",
                                        "ivf(nlist=24, lists=lorann, rank=4, refine=f32)",
                                        "ivf(nlist=24, code=pq(m=4, bits=4), spill=soar, refine=f32)"};
    for (int s = 0; s < 4; s++) {
        int64_t ids[QUERIES * K];
        sonde_index *index = filled(specs[s]);
        search(index, &w.queries, K, 1, 0, ids, NULL);
        assert_memory_equal(ids, w.truth[strstr(specs[s], "ip") ? 1 : 0], sizeof ids);
        sonde_index_free(index);
    }
}

/* A query alone gets what it gets among others. */
static void alone_is_as_in_a_batch(void **unused)
{
    (void)unused;
    static const char *const specs[] = {"ivf(nlist=300, code=pq(m=16, bits=4))",
                                        "ivf(nlist=300, code=rabitq(bits=4), metric=ip)",
                                        "ivf(nlist=300, code=pq(m=16, bits=4), refine=sq(bits=8), spill=soar)"};
    for (int s = 0; s < 3; s++) {
        int64_t ids[QUERIES * K], one[K];
        float scores[QUERIES * K], score[K];
        sonde_index *index = filled(specs[s]);
        search(index, &w.queries, K, 0.9f, 0, ids, scores);
        for (int q = 0; q < QUERIES; q += 7) {
            sonde_array query = sonde_f32(w.q + q * DIM, 1, DIM);
            search(index, &query, K, 0.9f, 0, one, score);
            assert_memory_equal(one, ids + q * K, sizeof one);
            assert_memory_equal(score, scores + q * K, sizeof score);
        }
        sonde_index_free(index);
    }
}

/* Threads share the lists of a block, or take a block each where queries are many beside lists: neither shows. */
static void threads_change_nothing(void **unused)
{
    (void)unused;
    static const char *const specs[] = {"ivf(nlist=300, code=pq(m=16, bits=4), refine=f16)",
                                        "ivf(nlist=12, code=pq(m=16, bits=4), refine=f16)", "ivf(nlist=12)"};
    for (int s = 0; s < 3; s++) {
        sonde_index *index = filled(specs[s]);
        int64_t ids[3][QUERIES * K];
        float scores[3][QUERIES * K];
        for (uint32_t t = 0; t < 3; t++) {
            sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
            sonde_hits hits = SONDE_HITS_INIT;
            how.effort = 7;
            how.threads = 1 + t;
            hits.ids = ids[t];
            hits.scores = scores[t];
            OK(sonde_index_search(index, &w.queries, &how, &hits));
            assert_memory_equal(ids[t], ids[0], sizeof ids[0]);
            assert_memory_equal(scores[t], scores[0], sizeof scores[0]);
        }
        sonde_index_free(index);
    }
}

/* SOAR stores each row twice, shows it once, and finds more with the same lists visited. */
static void spilled_rows_come_once(void **unused)
{
    (void)unused;
    int64_t ids[QUERIES * K], all[N], removed, gone[500];
    sonde_index *plain = filled("ivf(nlist=60)"), *spilled = filled("ivf(nlist=60, spill=soar)");
    search(plain, &w.queries, K, 0, 2, ids, NULL);
    double without = share_found(ids, SONDE_METRIC_L2);
    search(spilled, &w.queries, K, 0, 2, ids, NULL);
    print_message("two lists visited: %.3f, spilled %.3f\n", without, share_found(ids, SONDE_METRIC_L2));
    assert_true(share_found(ids, SONDE_METRIC_L2) > without);
    assert_int_equal(sonde_index_count(spilled), N);
    sonde_array one = sonde_f32(w.q, 1, DIM);
    search(spilled, &one, N, 1, 0, all, NULL);
    bool seen[N] = {0};
    for (int i = 0; i < N; i++) {
        assert_in_range(all[i], 0, N - 1);
        assert_false(seen[all[i]]);
        seen[all[i]] = true;
    }
    for (int i = 0; i < 500; i++) gone[i] = 11 * i;
    OK(sonde_index_remove(spilled, gone, 500, &removed));
    assert_int_equal(removed, 500);
    assert_int_equal(sonde_index_count(spilled), N - 500);
    assert_false(sonde_index_contains(spilled, 11));
    assert_false(sonde_index_contains(spilled, ~(int64_t)12));
    OK(sonde_index_compact(spilled));
    OK(sonde_index_check(spilled));
    search(spilled, &one, N, 1, 0, all, NULL);
    for (int i = 0; i < N - 500; i++) assert_int_not_equal(all[i] % 11 == 0 && all[i] < 5500, 1);
    assert_int_equal(all[N - 500], -1);
    sonde_index_free(plain);
    sonde_index_free(spilled);
}

/* Integers choose nearly the same lists; calibrated gaps reach the recall that was asked for. */
static void lists_are_chosen_well(void **unused)
{
    (void)unused;
    int64_t ids[QUERIES * K];
    sonde_index *exact = filled("ivf(nlist=300, coarse=exact)"), *integers = filled("ivf(nlist=300, coarse=i8)");
    search(exact, &w.queries, K, 0, 6, ids, NULL);
    double found = share_found(ids, SONDE_METRIC_L2);
    search(integers, &w.queries, K, 0, 6, ids, NULL);
    assert_true(fabs(share_found(ids, SONDE_METRIC_L2) - found) < 0.01);
    sonde_array tuning = sonde_f32(w.q + QUERIES * DIM, TUNING, DIM);
    OK(sonde_index_tune(integers, &tuning, NULL));
    sonde_operating_point point = SONDE_OPERATING_POINT_INIT;
    bool gaps = false;
    for (uint32_t i = 0; sonde_index_operating_point(integers, i, &point) == SONDE_OK; i++) gaps |= point.gap > 0;
    assert_true(gaps);
    search(integers, &w.queries, K, 0.9f, 0, ids, NULL);
    assert_true(share_found(ids, SONDE_METRIC_L2) > 0.88);
    sonde_index_free(exact);
    sonde_index_free(integers);
}

/* Coarse codes: few candidates are enough while lists are missing, and more are taken where the codes misorder. */
static void depths_grow_with_recall(void **unused)
{
    (void)unused;
    sonde_index *index = filled("ivf(nlist=100, code=pq(m=8, bits=4), refine=f32)");
    sonde_array tuning = sonde_f32(w.q + QUERIES * DIM, TUNING, DIM);
    sonde_operating_point point = SONDE_OPERATING_POINT_INIT, before = point;
    int64_t ids[QUERIES * K];
    bool grows = false;
    OK(sonde_index_tune(index, &tuning, NULL));
    for (uint32_t i = 0; sonde_index_operating_point(index, i, &point) == SONDE_OK; i++, before = point) {
        if (point.k != before.k) continue;
        assert_true(point.refine >= before.refine && point.effort > before.effort);
        grows |= point.refine > before.refine;
    }
    assert_true(grows);
    for (float recall = 0.5f; recall < 0.96f; recall += 0.15f) {
        search(index, &w.queries, K, recall, 0, ids, NULL);
        assert_true(share_found(ids, SONDE_METRIC_L2) > recall - 0.02);
    }
    sonde_index_free(index);
}

static void bad_specs(void **unused)
{
    (void)unused;
    sonde_index *index = NULL;
    FAILS(sonde_index_create("ivf(code=rabitq(bits=4), refine=sq(bits=8))", DIM, NULL, &index), SONDE_INVALID_ARGUMENT,
          "scored twice already");
    FAILS(sonde_index_create("ivf(refine=sq(bits=8))", DIM, NULL, &index), SONDE_INVALID_ARGUMENT, "adds nothing");
    FAILS(sonde_index_create("ivf(refine=pk)", DIM, NULL, &index), SONDE_NOT_FOUND, "pk");
    FAILS(sonde_index_create("ivf(code=sq, refine=pq(m=5))", DIM, NULL, &index), SONDE_INVALID_ARGUMENT, "ivf: refine");
    assert_null(index);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    CASE(second_scores_count), CASE(exact_search_is_of_the_tier), CASE(alone_is_as_in_a_batch),
    CASE(threads_change_nothing),
    CASE(spilled_rows_come_once), CASE(lists_are_chosen_well), CASE(depths_grow_with_recall),
    CASE(bad_specs),
};
SONDE_TEST_MAIN(tests)
