/* test_batch_rules.c: anchor, props, reusable_holdout and locality keep the laws of their papers; and what
 * every sampler of this family (tas_balanced with them) keeps: the same rows for any threads, from files in
 * mid-stream and after seek, failing allocations, cancelling, damaged files.
 *
 * SPDX-License-Identifier: MIT
 */
/* timeout: 60 */
#define _GNU_SOURCE
#include <math.h>

#include "../failing.h"
#include "../reseal.h"

/* ---- inputs -------------------------------------------------------------------------------------------- */

#define FEED_MOST 8

/* Named inputs with memory of their own. */
typedef struct feed {
    size_t count;
    sonde_input input[FEED_MOST];
    sonde_array array[FEED_MOST];
} feed;

static void *feed_add(feed *all, const char *name, uint32_t dtype, int64_t rows, int64_t cols)
{
    assert_true(all->count < FEED_MOST);
    void *data = test_alloc((size_t)rows, (size_t)sonde_row_bytes(dtype, cols));
    all->array[all->count] = sonde_array_of(dtype, data, rows, cols);
    all->input[all->count] = (sonde_input){name, &all->array[all->count]};
    all->count++;
    return data;
}

static int64_t *feed_i64(feed *all, const char *name, int64_t rows, int64_t cols)
{
    return feed_add(all, name, SONDE_DTYPE_I64, rows, cols);
}

static float *feed_f32(feed *all, const char *name, int64_t rows, int64_t cols)
{
    return feed_add(all, name, SONDE_DTYPE_F32, rows, cols);
}

static void feed_free(feed *all)
{
    for (size_t i = 0; i < all->count; i++) free(all->array[i].data);
    memset(all, 0, sizeof *all);
}

static sonde_status feed_fit(sonde_row_sampler *sampler, feed *all)
{
    return sonde_row_sampler_fit(sampler, all->input, all->count);
}

/* ---- the samplers that the common tests walk ----------------------------------------------------------- */

static void feed_ids(feed *all, uint64_t seed)
{
    int64_t *id = feed_i64(all, "ids", 41, 1);
    for (int64_t i = 0; i < 41; i++) id[i] = 1000 + 7 * i + (int64_t)seed;
}

static void feed_policy(feed *all, uint64_t seed)
{
    float *policy = feed_f32(all, "policy", 5, 1);
    double sum = 0;
    for (int a = 0; a < 5; a++) sum += policy[a] = (float)(0.05 + test_unit(&seed));
    for (int a = 0; a < 5; a++) policy[a] = (float)(policy[a] / sum);
}

/* 90 queries on 9 topics of 20 documents; lists name documents of the own topic. */
static void feed_graph(feed *all, uint64_t seed)
{
    int64_t *list = feed_i64(all, "lists", 90, 8), *positive = feed_i64(all, "positives", 90, 2);
    for (int64_t q = 0; q < 90; q++) {
        for (int j = 0; j < 8; j++) list[q * 8 + j] = q % 9 * 20 + (int64_t)(test_u64(&seed) % 19);
        positive[q * 2] = q % 9 * 20 + q / 9; /* which other queries of the topic have in their lists */
        positive[q * 2 + 1] = -1;
    }
}

static void feed_assignment(feed *all, uint64_t seed)
{
    int64_t *label = feed_i64(all, "assignment", 150, 1);
    for (int64_t q = 0; q < 150; q++) label[q] = (int64_t)(test_u64(&seed) % 6);
}

static void feed_pairs(feed *all, uint64_t seed)
{
    int64_t *owner = feed_i64(all, "pair_queries", 900, 1),
            *positive = feed_i64(all, "pair_positives", 900, 1);
    int64_t *negative = feed_i64(all, "pair_negatives", 900, 1);
    float *plus = feed_f32(all, "teacher_positives", 900, 1),
          *minus = feed_f32(all, "teacher_negatives", 900, 1);
    for (int64_t j = 0; j < 900; j++) {
        owner[j] = j % 150;
        positive[j] = (int64_t)(test_u64(&seed) % 5000);
        negative[j] = (int64_t)(test_u64(&seed) % 5000);
        plus[j] = test_normal(&seed);
        minus[j] = test_normal(&seed);
    }
}

static void feed_tas(feed *all, uint64_t seed)
{
    feed_assignment(all, seed);
    feed_pairs(all, seed + 1);
}

static void feed_queries(feed *all, uint64_t seed)
{
    float *x = test_vectors(150, 8, 6, seed);
    memcpy(feed_f32(all, "queries", 150, 8), x, 150 * 8 * sizeof *x);
    free(x);
}

typedef struct rule {
    const char *spec;
    void (*feed)(feed *all, uint64_t seed);
    const char *output; /* one to compare, or NULL */
    bool fit_cancels, draw_cancels; /* which of them ask whether to go on with data as small as this */
} rule;

static const rule rules[] = {
    {"anchor(participate=5, p=0.4)", feed_ids, NULL, false, true},
    {"anchor(participate=4, schedule=alternate, period=3)", feed_ids, NULL, false, true},
    {"props", feed_policy, NULL, false, true},
    {"props(rule=soft, alpha=3, seed=9)", feed_policy, NULL, false, true},
    {"reusable_holdout(share=0.3)", feed_ids, NULL, false, false},
    {"locality(band_high=5, back_low=3, back_high=8, batch=12, patches=2, hard=2)", feed_graph, "negatives",
     true, true},
    {"locality(walk=snowball, back_low=0, back_high=8, batch=30)", feed_graph, "positives", true, true},
    {"tas_balanced(clusters=6, batch=12, clusters_per_batch=2)", feed_tas, "negatives", true, true},
    {"tas_balanced(clusters=6, batch=7, pairs=random, cluster_weight=size)", feed_tas, "positives", true,
     true},
    {"tas_balanced(clusters=6, batch=60, dedup=yes)", feed_assignment, NULL, true, true},
    {"tas_balanced(clusters=6, batch=16, metric=l2)", feed_queries, NULL, true, true},
};
enum { RULES = sizeof rules / sizeof rules[0] };

static sonde_runtime *runtime_with(uint32_t threads)
{
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    sonde_runtime *runtime = NULL;
    options.threads = threads;
    OK(sonde_runtime_create(&options, &runtime));
    return runtime;
}

static sonde_row_sampler *create(const char *spec, sonde_runtime *runtime)
{
    sonde_row_sampler *sampler = NULL;
    OK(sonde_row_sampler_create(spec, 0, runtime, &sampler));
    return sampler;
}

static sonde_row_sampler *fitted(const rule *of, sonde_runtime *runtime, uint64_t seed)
{
    sonde_row_sampler *sampler = create(of->spec, runtime);
    feed all = {0};
    of->feed(&all, seed);
    OK(feed_fit(sampler, &all));
    feed_free(&all);
    return sampler;
}

/* ---- what was drawn, as one row of bytes --------------------------------------------------------------- */

#define TRACE_ROWS 4000

typedef struct trace {
    int64_t count;
    int64_t ids[TRACE_ROWS], groups[TRACE_ROWS], passes[TRACE_ROWS], output[TRACE_ROWS];
} trace;

static void trace_draw(trace *to, sonde_row_sampler *sampler, const char *output, int64_t count)
{
    sonde_rows rows = SONDE_ROWS_INIT;
    sonde_array column = {0};
    OK(sonde_row_sampler_draw(sampler, count, &rows));
    if (output && rows.count > 0) OK(sonde_row_sampler_output(sampler, output, &column));
    assert_true(to->count + rows.count <= TRACE_ROWS);
    for (int64_t i = 0; i < rows.count; i++, to->count++) {
        to->ids[to->count] = rows.ids[i];
        to->groups[to->count] = rows.groups ? rows.groups[i] : -1;
        to->passes[to->count] = rows.pass;
        to->output[to->count] = output ? ((int64_t *)column.data)[i * column.cols + column.cols - 1] : 0;
        assert_true(rows.weights[i] == 1);
    }
}

static trace *traced(sonde_row_sampler *sampler, const char *output, int64_t rows, int64_t step)
{
    trace *made = test_alloc(1, sizeof *made);
    while (made->count < rows) {
        int64_t left = rows - made->count;
        trace_draw(made, sampler, output, step && step < left ? step : left);
    }
    return made;
}

static void same_traces(trace *a, trace *b)
{
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a, b, sizeof *a);
    free(a), free(b);
}

static void test_threads_and_steps(void **state)
{
    (void)state;
    for (int r = 0; r < RULES; r++) {
        for (int threads = 1; threads <= 7; threads += threads == 1 ? 1 : 5) {
            sonde_runtime *one = runtime_with(1), *many = runtime_with((uint32_t)threads);
            sonde_row_sampler *a = fitted(&rules[r], one, 5), *b = fitted(&rules[r], many, 5);
            same_traces(traced(a, rules[r].output, 1000, 0),
                        traced(b, rules[r].output, 1000, threads == 2 ? 1 : 37));
            sonde_row_sampler_free(a), sonde_row_sampler_free(b);
            sonde_runtime_free(one), sonde_runtime_free(many);
        }
    }
}

static uint8_t *saved(const sonde_row_sampler *sampler, size_t *length)
{
    OK(sonde_row_sampler_save_buffer(sampler, NULL, 0, length));
    uint8_t *bytes = test_alloc(*length, 1);
    OK(sonde_row_sampler_save_buffer(sampler, bytes, *length, length));
    return bytes;
}

static void test_files(void **state)
{
    (void)state;
    for (int r = 0; r < RULES; r++) {
        sonde_row_sampler *sampler = fitted(&rules[r], NULL, 5), *opened = NULL;
        size_t length, again_length;
        free(traced(sampler, rules[r].output, 23, 0));
        uint8_t *bytes = saved(sampler, &length);
        OK(sonde_row_sampler_open_buffer(bytes, length, NULL, NULL, &opened));
        assert_string_equal(sonde_row_sampler_spec(sampler), sonde_row_sampler_spec(opened));
        uint8_t *again = saved(opened, &again_length);
        assert_int_equal(length, again_length);
        assert_memory_equal(bytes, again, length);
        same_traces(traced(sampler, rules[r].output, 300, 0), traced(opened, rules[r].output, 300, 0));
        sonde_row_sampler_free(sampler), sonde_row_sampler_free(opened);
        free(bytes), free(again);
    }
}

static void test_seek(void **state)
{
    (void)state;
    for (int r = 0; r < RULES; r++) {
        sonde_row_sampler *sampler = fitted(&rules[r], NULL, 5);
        trace *first = traced(sampler, rules[r].output, 200, 0);
        OK(sonde_row_sampler_seek(sampler, 7));
        trace *other = traced(sampler, rules[r].output, 200, 0);
        for (int64_t i = 0; i < 200; i++) other->passes[i] -= 7;
        if (!strstr(rules[r].spec, "props") || strstr(rules[r].spec, "soft"))
            assert_memory_not_equal(first, other, sizeof *first);
        OK(sonde_row_sampler_seek(sampler, 0));
        same_traces(first, traced(sampler, rules[r].output, 200, 0));
        free(other);
        sonde_row_sampler_free(sampler);
    }
}

/* ---- failures ------------------------------------------------------------------------------------------ */

static const rule *scene_rule;

static sonde_status scene_steps(sonde_row_sampler *sampler, sonde_runtime *runtime, feed *all)
{
    static uint8_t bytes[200000];
    sonde_rows rows = SONDE_ROWS_INIT;
    sonde_row_sampler *opened = NULL;
    size_t length;
    sonde_status status = feed_fit(sampler, all);
    if (status == SONDE_OK) status = sonde_row_sampler_draw(sampler, 30, &rows);
    if (status == SONDE_OK) status = sonde_row_sampler_save_buffer(sampler, bytes, sizeof bytes, &length);
    if (status == SONDE_OK) status = sonde_row_sampler_open_buffer(bytes, length, NULL, runtime, &opened);
    if (status == SONDE_OK) status = sonde_row_sampler_draw(opened, 30, &rows);
    sonde_row_sampler_free(opened);
    return status;
}

static sonde_status scene(sonde_runtime_options *options)
{
    sonde_runtime *runtime = NULL;
    sonde_row_sampler *sampler = NULL;
    feed all = {0};
    options->threads = 1;
    sonde_status status = sonde_runtime_create(options, &runtime);
    if (status != SONDE_OK) return status;
    scene_rule->feed(&all, 5);
    status = sonde_row_sampler_create(scene_rule->spec, 0, runtime, &sampler);
    if (status == SONDE_OK) status = scene_steps(sampler, runtime, &all);
    sonde_row_sampler_free(sampler);
    sonde_runtime_free(runtime);
    feed_free(&all);
    return status;
}

static void test_allocations(void **state)
{
    (void)state;
    for (int r = 0; r < RULES; r++) {
        scene_rule = &rules[r];
        assert_true(failing_walk(scene) > 5);
    }
}

typedef struct canceller {
    int calls, stop_at;
} canceller;

static int cancel_at(const char *stage, uint64_t done, uint64_t total, void *user)
{
    canceller *how = user;
    assert_non_null(stage);
    assert_true(done <= total && total >= 1);
    return ++how->calls == how->stop_at;
}

/* Fits other data and cancels at the n-th chance: the old rows still come. */
static void check_cancel(const rule *of, int stop_at, bool *went_through)
{
    canceller how = {0};
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    sonde_runtime *runtime = NULL;
    feed all = {0};
    sonde_rows rows = SONDE_ROWS_INIT;
    options.threads = 1, options.progress = cancel_at, options.progress_user = &how;
    OK(sonde_runtime_create(&options, &runtime));
    sonde_row_sampler *sampler = fitted(of, runtime, 5), *calm = fitted(of, NULL, 5);
    of->feed(&all, 77);
    how = (canceller){0, stop_at};
    sonde_status status = feed_fit(sampler, &all);
    if (status == SONDE_OK) status = sonde_row_sampler_draw(sampler, 60, &rows);
    *went_through = how.calls < stop_at;
    assert_int_equal(status, *went_through ? SONDE_OK : SONDE_CANCELLED);
    bool refitted = *went_through || sonde_row_sampler_fitted(sampler);
    how.stop_at = 0;
    if (!*went_through && stop_at == 1 && of->fit_cancels) {
        assert_true(refitted);
        same_traces(traced(sampler, of->output, 100, 0), traced(calm, of->output, 100, 0));
    } else if (!*went_through && !of->fit_cancels) { /* it was the draw: nothing has moved */
        OK(feed_fit(calm, &all));
        same_traces(traced(sampler, of->output, 100, 0), traced(calm, of->output, 100, 0));
    }
    feed_free(&all);
    sonde_row_sampler_free(sampler), sonde_row_sampler_free(calm);
    sonde_runtime_free(runtime);
}

static void test_cancel(void **state)
{
    (void)state;
    for (int r = 0; r < RULES; r++) {
        bool went_through = false;
        int chances = 0;
        while (!went_through) check_cancel(&rules[r], ++chances, &went_through);
        assert_int_equal(chances > 1, rules[r].fit_cancels || rules[r].draw_cancels);
    }
}

/* A file that was changed and sealed anew is refused or gives rows; it never breaks. */
static void test_hostile_files(void **state)
{
    (void)state;
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    sonde_runtime *runtime = NULL;
    options.memory_limit = 1 << 24;
    OK(sonde_runtime_create(&options, &runtime));
    int refused = 0;
    for (int r = 0; r < RULES; r++) {
        sonde_row_sampler *sampler = fitted(&rules[r], NULL, 5);
        size_t length;
        uint64_t random = 3;
        free(traced(sampler, rules[r].output, 9, 0));
        uint8_t *bytes = saved(sampler, &length), *broken = test_alloc(length, 1);
        for (int i = 0; i < 1500; i++) {
            sonde_row_sampler *opened = NULL;
            sonde_rows rows = SONDE_ROWS_INIT;
            memcpy(broken, bytes, length);
            broken[64 + test_u64(&random) % (length - 64)] = (uint8_t)test_u64(&random);
            reseal(broken, length);
            if (sonde_row_sampler_open_buffer(broken, length, NULL, runtime, &opened) != SONDE_OK) refused++;
            else if (sonde_row_sampler_draw(opened, 50, &rows) == SONDE_OK && rules[r].feed != feed_ids)
                for (int64_t j = 0; j < rows.count; j++) assert_true(rows.ids[j] >= 0 && rows.ids[j] < 150);
            sonde_row_sampler_free(opened);
        }
        free(bytes), free(broken);
        sonde_row_sampler_free(sampler);
    }
    assert_true(refused > 1000);
    sonde_runtime_free(runtime);
}

/* ---- statistics ---------------------------------------------------------------------------------------- */

/* Pearson's statistic against equal chances, made roughly normal (Wilson and Hilferty 1931). */
static double chi_square_z(const int64_t *count, int64_t cells)
{
    double total = 0, sum = 0, freedom = (double)(cells - 1);
    for (int64_t i = 0; i < cells; i++) total += (double)count[i];
    double expected = total / (double)cells;
    for (int64_t i = 0; i < cells; i++)
        sum += ((double)count[i] - expected) * ((double)count[i] - expected) / expected;
    return (cbrt(sum / freedom) - (1 - 2 / (9 * freedom))) / sqrt(2 / (9 * freedom));
}

/* ---- anchor -------------------------------------------------------------------------------------------- */

static void test_anchor_law(void **state)
{
    (void)state;
    enum { N = 9, M = 3, ROUNDS = 30000 };
    sonde_row_sampler *sampler = create("anchor(clients=9, participate=3, p=0.3)", NULL);
    sonde_rows rows = SONDE_ROWS_INIT;
    int64_t subset[N * N * N] = {0}, packed[84], anchors[M + 1] = {0}, cells = 0;
    for (int t = 0; t < ROUNDS; t++) {
        OK(sonde_row_sampler_draw(sampler, 0, &rows));
        assert_int_equal(rows.count, M);
        int64_t a = rows.ids[0], b = rows.ids[1], c = rows.ids[2], low, high;
        assert_true(a != b && b != c && a != c && a >= 0 && a < N && b >= 0 && b < N && c >= 0 && c < N);
        low = a < b ? (a < c ? a : c) : (b < c ? b : c);
        high = a > b ? (a > c ? a : c) : (b > c ? b : c);
        subset[low * N * N + (a + b + c - low - high) * N + high]++;
        anchors[rows.groups[0] + rows.groups[1] + rows.groups[2]]++;
    }
    for (int i = 0; i < N * N * N; i++)
        if (subset[i]) packed[cells++] = subset[i];
    assert_int_equal(cells, 84);
    assert_true(chi_square_z(packed, 84) < 4);
    const double chance[M + 1] = {0.343, 0.441, 0.189, 0.027};
    for (int i = 0; i <= M; i++)
        assert_true(fabs((double)anchors[i] - ROUNDS * chance[i]) < 4 * sqrt(ROUNDS * chance[i]));
    sonde_row_sampler_free(sampler);
}

static void test_anchor_schedule(void **state)
{
    (void)state;
    sonde_row_sampler *sampler = create("anchor(clients=6, participate=2, schedule=alternate, period=3)",
                                        NULL);
    sonde_rows rows = SONDE_ROWS_INIT;
    OK(sonde_row_sampler_draw(sampler, 60, &rows));
    for (int64_t i = 0; i < 60; i++) assert_int_equal(rows.groups[i], i / 2 % 3 == 0);
    sonde_row_sampler_free(sampler);
    sampler = create("anchor(clients=1, participate=1, p=1)", NULL);
    OK(sonde_row_sampler_draw(sampler, 5, &rows));
    for (int64_t i = 0; i < 5; i++) assert_true(rows.ids[i] == 0 && rows.groups[i] == 1);
    sonde_row_sampler_free(sampler);
}

static void test_anchor_merge(void **state)
{
    (void)state;
    sonde_row_sampler *a = fitted(&rules[0], NULL, 0), *b = fitted(&rules[0], NULL, 1),
                      *whole = create(rules[0].spec, NULL);
    feed all = {0};
    int64_t *id = feed_i64(&all, "ids", 82, 1);
    for (int64_t i = 0; i < 82; i++) id[i] = 1000 + 7 * (i % 41) + i / 41;
    OK(feed_fit(whole, &all));
    OK(sonde_row_sampler_merge(a, b));
    same_traces(traced(a, NULL, 100, 0), traced(whole, NULL, 100, 0));
    sonde_row_sampler *counted = create("anchor(clients=9)", NULL),
                      *other = create("anchor(clients=9)", NULL);
    FAILS(sonde_row_sampler_merge(counted, other), SONDE_INCOMPATIBLE, "clients=9");
    feed_free(&all);
    sonde_row_sampler_free(a), sonde_row_sampler_free(b), sonde_row_sampler_free(whole);
    sonde_row_sampler_free(counted), sonde_row_sampler_free(other);
}

/* ---- props --------------------------------------------------------------------------------------------- */

static sonde_row_sampler *props(const char *spec, const float *policy, int64_t actions)
{
    sonde_row_sampler *sampler = create(spec, NULL);
    sonde_array array = sonde_f32(policy, actions, 1);
    OK(sonde_row_sampler_fit(sampler, &(sonde_input){"policy", &array}, 1));
    return sampler;
}

/* The largest |N_a - N pi_a| over all prefixes of a draw. */
static double largest_gap(sonde_row_sampler *sampler, const float *policy, int64_t actions,
                          int64_t rows_wanted)
{
    sonde_rows rows = SONDE_ROWS_INIT;
    double most = 0;
    int64_t count[64] = {0};
    OK(sonde_row_sampler_draw(sampler, rows_wanted, &rows));
    for (int64_t i = 0; i < rows.count; i++) {
        count[rows.ids[i]]++;
        for (int64_t a = 0; a < actions; a++)
            most = fmax(most, fabs((double)count[a] - (double)(i + 1) * (double)policy[a]));
    }
    return most;
}

static void test_props_two_actions(void **state)
{
    (void)state;
    for (int i = 0; i <= 50; i++) {
        float policy[2] = {(float)i / 50, 1 - (float)i / 50};
        sonde_row_sampler *sampler = props("props", policy, 2);
        assert_true(largest_gap(sampler, policy, 2, 4000) < 1);
        sonde_row_sampler_free(sampler);
    }
}

/* More actions stay within a small constant; independent draws wander off like sqrt(N); soft lies between. */
static void test_props_many_actions(void **state)
{
    (void)state;
    enum { A = 20, N = 40000 };
    float policy[A];
    uint64_t random = 4;
    double sum = 0, ros, soft, plain;
    for (int a = 0; a < A; a++) sum += policy[a] = (float)(0.1 + test_unit(&random));
    for (int a = 0; a < A; a++) policy[a] = (float)(policy[a] / sum);
    sonde_row_sampler *sampler = props("props", policy, A);
    ros = largest_gap(sampler, policy, A, N);
    sonde_row_sampler_free(sampler);
    sampler = props("props(rule=soft, alpha=50)", policy, A);
    soft = largest_gap(sampler, policy, A, N);
    sonde_row_sampler_free(sampler);
    sampler = props("props(rule=soft, alpha=0)", policy, A);
    plain = largest_gap(sampler, policy, A, N);
    sonde_row_sampler_free(sampler);
    assert_true(ros < 2);
    assert_true(plain > 0.5 * sqrt(N / (double)A) && plain < 5 * sqrt(N / (double)A));
    assert_true(ros < soft && soft < plain);
}

/* alpha = 0 is the policy: chi-square with four actions of the same chance, and the shares of unequal ones.
 */
static void test_props_soft_law(void **state)
{
    (void)state;
    static const float even[4] = {0.25f, 0.25f, 0.25f, 0.25f};
    sonde_rows rows = SONDE_ROWS_INIT;
    int64_t count[4] = {0}, first[2] = {0};
    sonde_row_sampler *sampler = props("props(rule=soft, alpha=0)", even, 4);
    OK(sonde_row_sampler_draw(sampler, 40000, &rows));
    for (int64_t i = 0; i < rows.count; i++) count[rows.ids[i]]++;
    assert_true(chi_square_z(count, 4) < 3);
    sonde_row_sampler_free(sampler);

    /* After 8 : 2 of an even policy, alpha = 0.5: weights exp(-0.5 * 0.6) : exp(+0.5 * 0.6). */
    static const float half[2] = {0.5f, 0.5f};
    static const int64_t seen[2] = {8, 2};
    sonde_array counts = sonde_i64(seen, 2, 1);
    sampler = props("props(rule=soft, alpha=0.5)", half, 2);
    OK(sonde_row_sampler_observe(sampler, &(sonde_input){"counts", &counts}, 1));
    for (int64_t pass = 0; pass < 20000; pass++) {
        OK(sonde_row_sampler_seek(sampler, pass));
        OK(sonde_row_sampler_draw(sampler, 1, &rows));
        first[rows.ids[0]]++;
    }
    double expected = 20000 / (1 + exp(0.6));
    assert_true(fabs((double)first[0] - expected) < 4 * sqrt(expected * exp(0.6) / (1 + exp(0.6))));
    sonde_row_sampler_free(sampler);

    /* A lean beyond the range of exp takes what is missing most. */
    static const float third[3] = {0.25f, 0.5f, 0.25f};
    static const int64_t uneven[3] = {10, 0, 1};
    sampler = props("props(rule=soft, alpha=1e6)", third, 3);
    counts = sonde_i64(uneven, 3, 1);
    OK(sonde_row_sampler_observe(sampler, &(sonde_input){"counts", &counts}, 1));
    OK(sonde_row_sampler_draw(sampler, 1, &rows));
    assert_int_equal(rows.ids[0], 1);
    sonde_row_sampler_free(sampler);
}

/* The rule written out, in whole numbers: 2, 5 and 9 sixteenths; ties go to the lower action. */
static void test_props_definition(void **state)
{
    (void)state;
    static const float policy[3] = {2 / 16.0f, 5 / 16.0f, 9 / 16.0f};
    static const int64_t share[3] = {2, 5, 9};
    int64_t count[3] = {0};
    sonde_rows rows = SONDE_ROWS_INIT;
    sonde_row_sampler *sampler = props("props", policy, 3);
    OK(sonde_row_sampler_draw(sampler, 500, &rows));
    for (int64_t i = 0; i < 500; i++) {
        int best = 0;
        for (int a = 1; a < 3; a++)
            if ((i + 1) * share[a] - 16 * count[a] > (i + 1) * share[best] - 16 * count[best]) best = a;
        assert_int_equal(rows.ids[i], best);
        count[best]++;
    }
    sonde_row_sampler_free(sampler);
}

static void test_props_observe(void **state)
{
    (void)state;
    static const float policy[3] = {0.5f, 0.25f, 0.25f};
    static const int64_t actions[10] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1};
    sonde_array told = sonde_i64(actions, 10, 1);
    sonde_rows rows = SONDE_ROWS_INIT;
    int64_t count[3] = {8, 2, 0};
    sonde_row_sampler *sampler = props("props", policy, 3);
    OK(sonde_row_sampler_observe(sampler, &(sonde_input){"actions", &told}, 1));
    OK(sonde_row_sampler_draw(sampler, 6, &rows));
    for (int64_t i = 0; i < 6; i++) {
        assert_int_not_equal(rows.ids[i], 0);
        count[rows.ids[i]]++;
    }
    assert_true(count[0] == 8 && count[1] == 4 && count[2] == 4);
    sonde_array counts = sonde_i64(count, 3, 1);
    sonde_input both[] = {{"actions", &told}, {"counts", &counts}};
    FAILS(sonde_row_sampler_observe(sampler, both, 2), SONDE_INVALID_ARGUMENT, "either");
    FAILS(sonde_row_sampler_observe(sampler, both, 0), SONDE_INVALID_ARGUMENT, "either");
    counts.rows = 2;
    FAILS(sonde_row_sampler_observe(sampler, both + 1, 1), SONDE_INVALID_ARGUMENT, "2 rows, expected 3");
    static const int64_t wrong[1] = {3};
    told = sonde_i64(wrong, 1, 1);
    FAILS(sonde_row_sampler_observe(sampler, both, 1), SONDE_INVALID_ARGUMENT, "outside 0..2");
    sonde_row_sampler_free(sampler);
}

static double props_loss(const sonde_row_sampler *sampler, const float *logits, const float *target,
                         const int64_t *actions, int64_t rows, int64_t width, float *gradient)
{
    sonde_array l = sonde_f32(logits, rows, width), t = sonde_f32(target, rows, width),
                a = sonde_i64(actions, rows, 1);
    sonde_array g = sonde_f32(gradient, rows, width);
    sonde_input inputs[] = {{"logits", &l}, {"target_logits", &t}, {"actions", &a}}, wanted = {"logits", &g};
    double loss = NAN;
    OK(sonde_row_sampler_loss(sampler, inputs, 3, &wanted, gradient ? 1 : 0, &loss));
    return loss;
}

static void test_props_loss(void **state)
{
    (void)state;
    enum { B = 7, A = 4 };
    static const float even[A] = {0.25f, 0.25f, 0.25f, 0.25f};
    sonde_row_sampler *sampler = props("props(eps=0.1, lambda=0.3)", even, A);
    float *logits = test_vectors(B, A, 0, 3), *target = test_vectors(B, A, 0, 4), gradient[B * A];
    int64_t actions[B];
    double expected = 0;
    for (int i = 0; i < B; i++) actions[i] = i % A;
    for (int i = 0; i < B; i++) {
        double phi[A], theta[A], phi_sum = 0, theta_sum = 0;
        for (int a = 0; a < A; a++) phi_sum += phi[a] = exp((double)logits[i * A + a]);
        for (int a = 0; a < A; a++) theta_sum += theta[a] = exp((double)target[i * A + a]);
        double ratio = phi[actions[i]] / phi_sum / (theta[actions[i]] / theta_sum);
        expected += fmax(ratio, fmin(fmax(ratio, 0.9), 1.1));
        for (int a = 0; a < A; a++)
            expected += 0.3 * theta[a] / theta_sum * log(theta[a] / theta_sum / (phi[a] / phi_sum));
    }
    assert_true(fabs(props_loss(sampler, logits, target, actions, B, A, gradient) - expected / B) < 1e-6);
    for (int j = 0; j < B * A; j++) {
        const float kept = logits[j], step = 1e-3f;
        logits[j] = kept + step;
        double above = props_loss(sampler, logits, target, actions, B, A, NULL), width = (double)logits[j];
        logits[j] = kept - step;
        double below = props_loss(sampler, logits, target, actions, B, A, NULL);
        width -= (double)logits[j];
        logits[j] = kept;
        assert_true(fabs((above - below) / width - (double)gradient[j]) <
                    1e-5 + 1e-3 * fabs((double)gradient[j]));
    }
    free(logits), free(target);
    sonde_row_sampler_free(sampler);
}

/* ---- the reusable holdout ------------------------------------------------------------------------------ */

static void test_holdout_split(void **state)
{
    (void)state;
    sonde_row_sampler *sampler = create("reusable_holdout(rows=1000, share=0.25)", NULL);
    sonde_rows rows = SONDE_ROWS_INIT;
    int group[1000], held = 0;
    for (int pass = 0; pass < 3; pass++) {
        bool seen[1000] = {false};
        OK(sonde_row_sampler_draw(sampler, 5000, &rows));
        assert_true(rows.count == 1000 && rows.last == 1 && rows.pass == pass);
        for (int64_t i = 0; i < 1000; i++) {
            assert_false(seen[rows.ids[i]]);
            seen[rows.ids[i]] = true;
            if (pass == 0) held += group[rows.ids[i]] = (int)rows.groups[i];
            assert_int_equal(rows.groups[i], group[rows.ids[i]]);
        }
    }
    assert_int_equal(held, 250);
    sonde_row_sampler_free(sampler);
}

/* Asks by means; gives the verdict. */
static int64_t ask(sonde_row_sampler *sampler, float training, float held, float *answer)
{
    sonde_array t = sonde_f32(&training, 1, 1), h = sonde_f32(&held, 1, 1), answers, verdicts;
    sonde_input inputs[] = {{"training_means", &t}, {"holdout_means", &h}};
    OK(sonde_row_sampler_observe(sampler, inputs, 2));
    OK(sonde_row_sampler_output(sampler, "answers", &answers));
    OK(sonde_row_sampler_output(sampler, "verdicts", &verdicts));
    *answer = *(float *)answers.data;
    return *(int64_t *)verdicts.data;
}

/* Chance that Lap(2) + Lap(4) is below x >= 0: by partial fractions of 1 / ((1 + 4 t^2) (1 + 16 t^2)) the sum
 * mixes the two with the weights 16 / 12 and -4 / 12. */
static double threshold_chance(double x)
{
    return 1 - (16 * exp(-x / 4) - 4 * exp(-x / 2)) / (2 * (16 - 4));
}

/* Which answers come from where, at the chances that the two noises give; the threshold's noise is fresh for
 * each seed. */
static void test_holdout_threshold(void **state)
{
    (void)state;
    enum { SEEDS = 4000 };
    static const float gap[] = {0.04f, 0.07f, 0.12f};
    for (int g = 0; g < 3; g++) {
        int overfit = 0;
        for (int seed = 0; seed < SEEDS; seed++) {
            char spec[80];
            float answer;
            snprintf(spec, sizeof spec, "reusable_holdout(threshold=0.04, sigma=0.01, seed=%d)", seed);
            sonde_row_sampler *sampler = create(spec, NULL);
            int64_t verdict = ask(sampler, 0.5f, 0.5f + gap[g], &answer);
            assert_true(verdict == 1 || (verdict == 0 && answer == 0.5f));
            overfit += verdict == 1;
            sonde_row_sampler_free(sampler);
        }
        double chance = threshold_chance(((double)gap[g] - 0.04) / 0.01);
        assert_true(fabs(overfit - SEEDS * chance) < 4 * sqrt(SEEDS * chance * (1 - chance)) + 1);
    }
}

/* The threshold's noise stays until an overfit answer and is fresh behind it: after one the next is overfit
 * with chance 1/2 at a gap of the threshold, after none with E[p (1 - p)] / E[1 - p] = 5/12 (p: the chance
 * given the threshold). */
static void test_holdout_renewal(void **state)
{
    (void)state;
    int seen[2] = {0, 0}, then[2] = {0, 0};
    for (int seed = 0; seed < 8000; seed++) {
        char spec[80];
        float answer;
        snprintf(spec, sizeof spec, "reusable_holdout(threshold=0.04, sigma=0.01, seed=%d)", seed);
        sonde_row_sampler *sampler = create(spec, NULL);
        int64_t first = ask(sampler, 0.5f, 0.54f, &answer);
        seen[first]++;
        then[first] += ask(sampler, 0.5f, 0.54f, &answer) == 1;
        sonde_row_sampler_free(sampler);
    }
    assert_true(fabs(then[1] / (double)seen[1] - 0.5) < 4 * 0.5 / sqrt(seen[1]));
    assert_true(fabs(then[0] / (double)seen[0] - 5.0 / 12) < 4 * 0.5 / sqrt(seen[0]));
}

/* Overfit answers carry Lap(sigma): mean 0, mean |noise| sigma, half of them within sigma ln 2. Then the
 * budget ends. */
static void test_holdout_noise_and_budget(void **state)
{
    (void)state;
    enum { BUDGET = 20000 };
    sonde_row_sampler *sampler = create("reusable_holdout(budget=20000, sigma=0.01)", NULL);
    float answer;
    double sum = 0, size = 0;
    int within = 0;
    for (int i = 0; i < BUDGET; i++) {
        assert_int_equal(ask(sampler, 0, 0.75f, &answer), 1);
        double noise = (double)answer - 0.75;
        sum += noise, size += fabs(noise);
        within += fabs(noise) < 0.01 * log(2);
    }
    assert_true(fabs(sum / BUDGET) < 4 * 0.01 * sqrt(2.0 / BUDGET));
    assert_true(fabs(size / BUDGET - 0.01) < 4 * 0.01 / sqrt(BUDGET));
    assert_true(fabs(within - BUDGET / 2.0) < 4 * sqrt(BUDGET / 4.0));
    assert_int_equal(ask(sampler, 0, 0.75f, &answer), -1);
    assert_true(isnan(answer));
    assert_int_equal(ask(sampler, 0.5f, 0.5f, &answer), -1);
    sonde_row_sampler_free(sampler);
    sampler = create("reusable_holdout(budget=1, threshold=1)", NULL);
    for (int i = 0; i < 1000; i++) { /* agreement costs nothing */
        assert_int_equal(ask(sampler, 0.3f, 0.31f, &answer), 0);
        assert_true(answer == 0.3f);
    }
    sonde_row_sampler_free(sampler);
}

/* The paper's experiment without a signal, made small: variables are chosen by the holdout's answers, then
 * the share of labels that their vote gets right is asked for. The plain holdout reports skill; Thresholdout
 * reports about one half. */
static void test_holdout_experiment(void **state)
{
    (void)state;
    enum { N = 2000, D = 1200 };
    sonde_row_sampler *sampler = create("reusable_holdout(rows=2000, budget=2000)", NULL);
    sonde_rows rows = SONDE_ROWS_INIT;
    float *agrees = test_alloc((size_t)N * D, sizeof *agrees), *right = test_alloc(N, sizeof *right);
    uint64_t random = 8;
    int held[N];
    for (int64_t i = 0; i < (int64_t)N * D; i++) agrees[i] = (float)(test_u64(&random) & 1);
    OK(sonde_row_sampler_draw(sampler, N, &rows));
    for (int64_t i = 0; i < N; i++) held[rows.ids[i]] = (int)rows.groups[i];
    sonde_array values = sonde_f32(agrees, N, D), answers;
    OK(sonde_row_sampler_observe(sampler, &(sonde_input){"values", &values}, 1));
    OK(sonde_row_sampler_output(sampler, "answers", &answers));
    double plain_reported = 0, reported = 0;
    for (int plain = 0; plain < 2; plain++) {
        int vote[D];
        for (int d = 0; d < D; d++) {
            double mean[2] = {0, 0};
            for (int64_t i = 0; i < N; i++) mean[held[i]] += (double)agrees[i * D + d] / (N / 2);
            double train = mean[0] - 0.5,
                   test = plain ? mean[1] - 0.5 : (double)((float *)answers.data)[d] - 0.5;
            vote[d] = train * test > 0 && fabs(train) > 0.01 && fabs(test) > 0.01 ? (test > 0 ? 1 : -1) : 0;
        }
        double share = 0;
        for (int64_t i = 0; i < N; i++) {
            int sum = 0;
            for (int d = 0; d < D; d++) sum += vote[d] * (agrees[i * D + d] > 0 ? 1 : -1);
            right[i] = sum > 0 || (sum == 0 && (i & 1));
            share += held[i] * (double)right[i] / (N / 2);
        }
        if (plain) plain_reported = share;
        else {
            sonde_array one = sonde_f32(right, N, 1), answer;
            OK(sonde_row_sampler_observe(sampler, &(sonde_input){"values", &one}, 1));
            OK(sonde_row_sampler_output(sampler, "answers", &answer));
            reported = (double)*(float *)answer.data;
        }
    }
    assert_true(plain_reported > 0.65);
    assert_true(fabs(reported - 0.5) < 0.06);
    free(agrees), free(right);
    sonde_row_sampler_free(sampler);
}

/* ---- locality ------------------------------------------------------------------------------------------ */

static sonde_row_sampler *walker(const char *spec, feed *all)
{
    sonde_row_sampler *sampler = create(spec, NULL);
    OK(feed_fit(sampler, all));
    return sampler;
}

/* Rows of the pass as its columns. */
static void locality_pass(sonde_row_sampler *sampler, int64_t queries, sonde_rows *rows, int64_t **positives,
                          sonde_array *negatives)
{
    sonde_array column;
    OK(sonde_row_sampler_draw(sampler, queries, rows));
    assert_true(rows->count == queries && rows->last == 1);
    OK(sonde_row_sampler_output(sampler, "positives", &column));
    *positives = column.data;
    OK(sonde_row_sampler_output(sampler, "negatives", negatives));
}

/* Each query once a pass; positives are positives, negatives are not, and are new to the batch and of the
 * band. */
static void check_locality(const char *spec, feed *all, int64_t band_high, int64_t batch)
{
    const int64_t *list = all->array[0].data, *positive = all->array[1].data;
    int64_t queries = all->array[0].rows, width = all->array[0].cols;
    sonde_row_sampler *sampler = walker(spec, all);
    for (int pass = 0; pass < 3; pass++) {
        sonde_rows rows = SONDE_ROWS_INIT;
        sonde_array negatives;
        int64_t *positives, filled = 0;
        bool used[200] = {false};
        locality_pass(sampler, queries, &rows, &positives, &negatives);
        for (int64_t i = 0; i < queries; i++) {
            int64_t q = rows.ids[i];
            assert_false(used[q]);
            used[q] = true;
            assert_int_equal(positives[i], positive[q * all->array[1].cols]);
            for (int64_t h = 0; h < negatives.cols; h++) {
                int64_t document = ((int64_t *)negatives.data)[i * negatives.cols + h], at = 0;
                assert_true(document >= 0 && document != positives[i]);
                while (at < band_high && at < width && list[q * width + at] != document) at++;
                filled += at == band_high;
                for (int64_t j = i / batch * batch; j <= i; j++)
                    for (int64_t o = 0; o < negatives.cols && j * negatives.cols + o < i * negatives.cols + h;
                         o++)
                        assert_int_not_equal(((int64_t *)negatives.data)[j * negatives.cols + o], document);
                for (int64_t j = i / batch * batch; j <= i; j++) assert_int_not_equal(positives[j], document);
            }
        }
        assert_true(filled < queries / 2);
    }
    sonde_row_sampler_free(sampler);
}

static void test_locality_rows(void **state)
{
    (void)state;
    feed all = {0};
    feed_graph(&all, 5);
    check_locality("locality(band_high=5, back_low=3, back_high=8, batch=6, hard=2)", &all, 5, 6);
    check_locality("locality(walk=snowball, band_high=5, back_low=0, back_high=8, batch=6, patches=2)", &all,
                   5, 6);
    feed_free(&all);
}

/* Rows of one walk are of one topic; without back edges they are as mixed as chance makes them. */
static void test_locality_topics(void **state)
{
    (void)state;
    static const char *const specs[] = {"locality(back_low=0, back_high=8, batch=10)",
                                        "locality(walk=snowball, back_low=0, back_high=8, batch=10)",
                                        "locality(back_low=100, back_high=101, batch=10)"};
    feed all = {0};
    feed_graph(&all, 5);
    for (int64_t q = 0; q < 90; q++)
        ((int64_t *)all.array[1].data)[2 * q] = -1; /* so lists are never too short */
    for (int s = 0; s < 3; s++) {
        sonde_row_sampler *sampler = walker(specs[s], &all);
        int64_t same = 0, pairs = 0, walks = 0;
        for (int pass = 0; pass < 20; pass++) {
            sonde_rows rows = SONDE_ROWS_INIT;
            OK(sonde_row_sampler_draw(sampler, 90, &rows));
            for (int64_t i = 1; i < 90; i++) {
                bool inside = rows.groups[i] == rows.groups[i - 1];
                assert_true(inside || rows.groups[i] == rows.groups[i - 1] + 1);
                if (inside) assert_int_equal(rows.ids[i] % 9, rows.ids[i - 1] % 9);
                walks += !inside;
                if (i % 10 == 0) continue;
                pairs++;
                same += rows.ids[i] % 9 == rows.ids[i - 1] % 9;
            }
        }
        if (s < 2) assert_true(same > pairs * 7 / 10);
        else assert_true(same < pairs / 5 && walks == 20 * 89);
        sonde_row_sampler_free(sampler);
    }
    feed_free(&all);
}

/* Queries on a line, each with the two documents that it shares with its neighbours: a snowball grows on both
 * sides of its start, a walk with the last one first runs to one end and then to the other. */
static void test_locality_walks(void **state)
{
    (void)state;
    enum { N = 60 };
    feed all = {0};
    int64_t *list = feed_i64(&all, "lists", N, 2), *positive = feed_i64(&all, "positives", N, 1);
    for (int64_t q = 0; q < N; q++) list[2 * q] = q, list[2 * q + 1] = q + 1, positive[q] = -1;
    for (int snowball = 0; snowball < 2; snowball++) {
        char spec[160];
        snprintf(spec, sizeof spec,
                 "locality(walk=%s, hard=2, back_low=0, back_high=2, batch=60, documents=4000000)",
                 snowball ? "snowball" : "random_walk");
        sonde_row_sampler *sampler = walker(spec, &all);
        sonde_rows rows = SONDE_ROWS_INIT;
        OK(sonde_row_sampler_draw(sampler, N, &rows));
        int64_t steps = 0;
        for (int64_t i = 1; i < N; i++) {
            assert_int_equal(rows.groups[i], 0);
            steps += llabs(rows.ids[i] - rows.ids[i - 1]) == 1;
            if (snowball)
                assert_true(llabs(rows.ids[i] - rows.ids[0]) >= llabs(rows.ids[i - 1] - rows.ids[0]));
        }
        if (!snowball) assert_true(steps >= N - 2);
        sonde_row_sampler_free(sampler);
    }
    feed_free(&all);
}

/* Every document leads to every query: each is still found once only. */
static void test_locality_crowd(void **state)
{
    (void)state;
    enum { N = 3000 };
    feed all = {0};
    int64_t *list = feed_i64(&all, "lists", N, 50), *positive = feed_i64(&all, "positives", N, 1);
    bool seen[N] = {false};
    for (int64_t i = 0; i < N * 50; i++) list[i] = i % 50;
    for (int64_t q = 0; q < N; q++) positive[q] = -1;
    sonde_row_sampler *sampler = walker("locality(back_low=0, back_high=50, batch=3000)", &all);
    sonde_rows rows = SONDE_ROWS_INIT;
    OK(sonde_row_sampler_draw(sampler, N, &rows));
    for (int64_t i = 0; i < N; i++) {
        assert_false(seen[rows.ids[i]]);
        seen[rows.ids[i]] = true;
        assert_int_equal(rows.groups[i], 0);
    }
    feed_free(&all);
    sonde_row_sampler_free(sampler);
}

/* Positives come padded, or in one column with offsets. */
static void test_locality_offsets(void **state)
{
    (void)state;
    feed padded = {0}, column = {0};
    feed_graph(&padded, 5), feed_graph(&column, 5);
    int64_t *flat = column.array[1].data, *offset = feed_i64(&column, "positive_offsets", 91, 1);
    for (int64_t q = 0; q <= 90; q++) offset[q] = q;
    for (int64_t q = 0; q < 90; q++) flat[q] = flat[2 * q];
    column.array[1] = sonde_i64(flat, 90, 1);
    sonde_row_sampler *a = walker("locality", &padded), *b = walker("locality", &column);
    same_traces(traced(a, "positives", 90, 0), traced(b, "positives", 90, 0));
    feed_free(&padded), feed_free(&column);
    sonde_row_sampler_free(a), sonde_row_sampler_free(b);
}

static void test_locality_patches(void **state)
{
    (void)state;
    feed all = {0};
    int64_t *list = feed_i64(&all, "lists", 64, 3), *positive = feed_i64(&all, "positives", 64, 1);
    for (int64_t q = 0; q < 64; q++) {
        for (int64_t j = 0; j < 3; j++) list[q * 3 + j] = j;
        positive[q] = 3 + q;
    }
    sonde_row_sampler *sampler = walker("locality(back_low=0, back_high=3, batch=16, patches=4)", &all);
    sonde_rows rows = SONDE_ROWS_INIT;
    OK(sonde_row_sampler_draw(sampler, 64, &rows));
    /* Three listed documents lead everywhere; from the fourth row of a batch on random ones lead nowhere. */
    for (int64_t i = 0; i < 64; i += 4) assert_true(i == 0 || rows.groups[i] == rows.groups[i - 1] + 1);
    for (int64_t i = 0; i < 64; i += 16) assert_int_equal(rows.groups[i], rows.groups[i + 3]);
    feed_free(&all);
    sonde_row_sampler_free(sampler);
}

/* With empty lists a pass is a uniform shuffle. */
static void test_locality_shuffle(void **state)
{
    (void)state;
    feed all = {0};
    int64_t *list = feed_i64(&all, "lists", 4, 2), *positive = feed_i64(&all, "positives", 4, 1),
            order[256] = {0}, packed[24];
    for (int i = 0; i < 8; i++) list[i] = -1;
    for (int i = 0; i < 4; i++) positive[i] = -1;
    sonde_row_sampler *sampler = walker("locality(batch=3)", &all);
    sonde_rows rows = SONDE_ROWS_INIT;
    sonde_array negatives;
    int64_t *positives, cells = 0;
    for (int pass = 0; pass < 24000; pass++) {
        locality_pass(sampler, 4, &rows, &positives, &negatives);
        order[rows.ids[0] * 64 + rows.ids[1] * 16 + rows.ids[2] * 4 + rows.ids[3]]++;
        assert_true(positives[0] == -1 && *(int64_t *)negatives.data == -1);
    }
    for (int i = 0; i < 256; i++)
        if (order[i]) packed[cells++] = order[i];
    assert_int_equal(cells, 24);
    assert_true(chi_square_z(packed, 24) < 3);
    feed_free(&all);
    sonde_row_sampler_free(sampler);
}

/* Too few documents for the batch: some rows have none; and fillers are uniform over the rest. */
static void test_locality_fill(void **state)
{
    (void)state;
    feed all = {0};
    int64_t *list = feed_i64(&all, "lists", 6, 1), *positive = feed_i64(&all, "positives", 6, 1),
            filler[12] = {0};
    for (int i = 0; i < 6; i++) list[i] = positive[i] = 0;
    sonde_row_sampler *sampler = walker("locality(batch=6, documents=3)", &all);
    sonde_rows rows = SONDE_ROWS_INIT;
    sonde_array negatives;
    int64_t *positives, none = 0;
    locality_pass(sampler, 6, &rows, &positives, &negatives);
    for (int i = 0; i < 6; i++) none += ((int64_t *)negatives.data)[i] == -1;
    assert_int_equal(none, 4);
    sonde_row_sampler_free(sampler);
    sampler = walker("locality(batch=1, documents=13)", &all);
    for (int pass = 0; pass < 2000; pass++) {
        locality_pass(sampler, 6, &rows, &positives, &negatives);
        for (int i = 0; i < 6; i++) filler[((int64_t *)negatives.data)[i] - 1]++;
    }
    assert_true(chi_square_z(filler, 12) < 3);
    feed_free(&all);
    sonde_row_sampler_free(sampler);
    /* As many documents as rows: the last two of a pass get the two that are left, in either order. */
    list = feed_i64(&all, "lists", 200, 1), positive = feed_i64(&all, "positives", 200, 1);
    for (int i = 0; i < 200; i++) list[i] = positive[i] = -1;
    int rising = 0;
    sampler = walker("locality(batch=200, documents=200)", &all);
    for (int pass = 0; pass < 1600; pass++) {
        locality_pass(sampler, 200, &rows, &positives, &negatives);
        int64_t before = ((int64_t *)negatives.data)[198], last = ((int64_t *)negatives.data)[199];
        assert_true(before >= 0 && last >= 0 && before != last);
        rising += before < last;
    }
    assert_true(abs(rising - 800) < 4 * 20);
    feed_free(&all);
    sonde_row_sampler_free(sampler);
}

/* ---- wrong input --------------------------------------------------------------------------------------- */

static void refused(const char *spec, const char *words)
{
    sonde_row_sampler *sampler = NULL;
    FAILS(sonde_row_sampler_create(spec, 0, NULL, &sampler), SONDE_INVALID_ARGUMENT, words);
    assert_null(sampler);
}

static void test_wrong_specs(void **state)
{
    (void)state;
    refused("anchor(p=1.5)", "p=1.5");
    refused("anchor(p=-0.1)", "p=-0.1");
    refused("anchor(clients=3, participate=4)", "participate=4 is more than the 3 clients");
    refused("anchor(period=0)", "period=0");
    refused("props(alpha=-1)", "alpha=-1");
    refused("props(rule=hard)", "rule");
    refused("reusable_holdout(rows=10, share=0)", "leaves one part empty");
    refused("reusable_holdout(rows=10, share=1)", "leaves one part empty");
    refused("reusable_holdout(rows=1)", "leaves one part empty");
    refused("reusable_holdout(sigma=2)", "sigma=2");
    refused("locality(band_low=5, band_high=5)", "band_low=5 is not below band_high=5");
    refused("locality(back_low=7, back_high=6)", "back_low=7 is not below back_high=6");
    refused("locality(patches=33)", "patches=33 is more than batch=32");
}

static void fit_refused(const char *spec, feed *all, const char *words)
{
    sonde_row_sampler *sampler = create(spec, NULL);
    FAILS(feed_fit(sampler, all), SONDE_INVALID_ARGUMENT, words);
    sonde_row_sampler_free(sampler);
    feed_free(all);
}

static void test_wrong_inputs(void **state)
{
    (void)state;
    feed all = {0};
    feed_ids(&all, 0);
    fit_refused("anchor(participate=42)", &all, "participate=42 is more than the 41 clients");
    feed_i64(&all, "ids", 3, 1)[1] = -4;
    fit_refused("anchor", &all, "row 1 holds -4");
    float *policy = feed_f32(&all, "policy", 2, 1);
    policy[0] = policy[1] = 0.6f;
    fit_refused("props", &all, "sums to 1.2");
    policy = feed_f32(&all, "policy", 2, 1);
    policy[0] = 1.5f, policy[1] = -0.5f;
    fit_refused("props", &all, "row 0 holds 1.5");
    feed_f32(&all, "policy", 2, 1)[1] = NAN;
    fit_refused("props", &all, "policy");
    feed_f32(&all, "policy", 0, 1);
    fit_refused("props", &all, "0 rows");
    feed_i64(&all, "ids", 1, 1);
    fit_refused("reusable_holdout", &all, "1 rows, expected 2");
    feed_graph(&all, 1);
    fit_refused("locality(documents=100)", &all, "outside 0..99");
    feed_graph(&all, 1);
    all.array[1].rows = 89;
    fit_refused("locality", &all, "89 rows, expected 90");
    feed_graph(&all, 1);
    ((int64_t *)all.array[0].data)[9] = -2;
    fit_refused("locality", &all, "row 1 holds -2");
}

static void test_wrong_questions(void **state)
{
    (void)state;
    sonde_row_sampler *sampler = create("reusable_holdout", NULL);
    sonde_rows rows = SONDE_ROWS_INIT;
    static const float mean[3] = {0.5f, 1.5f, 0.1f};
    sonde_array one = sonde_f32(mean, 1, 1), wrong = sonde_f32(mean, 2, 1), matrix = sonde_f32(mean, 1, 3);
    sonde_input inputs[] = {{"training_means", &one}, {"holdout_means", &wrong}, {"values", &matrix}};
    FAILS(sonde_row_sampler_draw(sampler, 1, &rows), SONDE_STATE, "rows=N");
    FAILS(sonde_row_sampler_observe(sampler, inputs, 1), SONDE_INVALID_ARGUMENT, "either");
    FAILS(sonde_row_sampler_observe(sampler, inputs, 3), SONDE_INVALID_ARGUMENT, "either");
    FAILS(sonde_row_sampler_observe(sampler, inputs, 2), SONDE_INVALID_ARGUMENT, "2");
    inputs[0].array = &wrong;
    FAILS(sonde_row_sampler_observe(sampler, inputs, 2), SONDE_INVALID_ARGUMENT, "outside 0..1");
    FAILS(sonde_row_sampler_observe(sampler, inputs + 2, 1), SONDE_STATE, "need rows");
    sonde_row_sampler_free(sampler);
    sampler = create("reusable_holdout(rows=2)", NULL);
    FAILS(sonde_row_sampler_observe(sampler, inputs + 2, 1), SONDE_INVALID_ARGUMENT, "1 rows, expected 2");
    matrix = sonde_f32(mean, 2, 1);
    FAILS(sonde_row_sampler_observe(sampler, inputs + 2, 1), SONDE_INVALID_ARGUMENT, "row 1 holds 1.5");
    sonde_row_sampler_free(sampler);
}

/* The budget lives in the file and outlives seek. */
static void test_holdout_keeps_count(void **state)
{
    (void)state;
    sonde_row_sampler *sampler = create("reusable_holdout(budget=3, rows=9)", NULL), *opened = NULL;
    size_t length;
    float answer, other;
    assert_int_equal(ask(sampler, 0, 0.9f, &answer), 1);
    uint8_t *bytes = saved(sampler, &length);
    OK(sonde_row_sampler_open_buffer(bytes, length, NULL, NULL, &opened));
    assert_int_equal(ask(sampler, 0, 0.9f, &answer), 1);
    assert_int_equal(ask(opened, 0, 0.9f, &other), 1);
    assert_true(answer == other);
    OK(sonde_row_sampler_seek(opened, 0));
    assert_int_equal(ask(opened, 0, 0.9f, &other), 1);
    assert_int_equal(ask(opened, 0, 0.9f, &other), -1);
    sonde_row_sampler_free(sampler), sonde_row_sampler_free(opened);
    free(bytes);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_threads_and_steps),
    cmocka_unit_test(test_files),
    cmocka_unit_test(test_seek),
    cmocka_unit_test(test_allocations),
    cmocka_unit_test(test_cancel),
    cmocka_unit_test(test_hostile_files),
    cmocka_unit_test(test_anchor_law),
    cmocka_unit_test(test_anchor_schedule),
    cmocka_unit_test(test_anchor_merge),
    cmocka_unit_test(test_props_two_actions),
    cmocka_unit_test(test_props_many_actions),
    cmocka_unit_test(test_props_soft_law),
    cmocka_unit_test(test_props_definition),
    cmocka_unit_test(test_props_observe),
    cmocka_unit_test(test_props_loss),
    cmocka_unit_test(test_holdout_split),
    cmocka_unit_test(test_holdout_threshold),
    cmocka_unit_test(test_holdout_renewal),
    cmocka_unit_test(test_holdout_noise_and_budget),
    cmocka_unit_test(test_holdout_experiment),
    cmocka_unit_test(test_holdout_keeps_count),
    cmocka_unit_test(test_locality_rows),
    cmocka_unit_test(test_locality_topics),
    cmocka_unit_test(test_locality_walks),
    cmocka_unit_test(test_locality_crowd),
    cmocka_unit_test(test_locality_offsets),
    cmocka_unit_test(test_locality_patches),
    cmocka_unit_test(test_locality_shuffle),
    cmocka_unit_test(test_locality_fill),
    cmocka_unit_test(test_wrong_specs),
    cmocka_unit_test(test_wrong_inputs),
    cmocka_unit_test(test_wrong_questions),
};
SONDE_TEST_MAIN(tests)
