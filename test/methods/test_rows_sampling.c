/* test_rows_sampling.c: random, weighted and stratified rows: distributions against enumeration and closed
 * forms, shards against the whole, files, threads, cancel and failing memory.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <math.h>

#include "failing.h"
#include "row_data.h"

enum { MOST = 4096 };

/* ---- helpers ------------------------------------------------------------------------------------------- */

/* Some data that every method of this file takes a part of. */
static float some_weights[MOST], some_shares[7] = {0.5f, 3, 1, 0.25f, 0, 2, 1.25f};
static int64_t some_groups[MOST], some_ids[MOST];

static void some_fill(void)
{
    uint64_t state = 5;
    for (int64_t i = 0; i < MOST; i++) {
        some_weights[i] = (float)(test_unit(&state) * test_unit(&state) * 10);
        some_groups[i] = (int64_t)(test_unit(&state) * test_unit(&state) * 7);
        some_ids[i] = 1000000007 * (i + 1) % 4294967291;
    }
}

typedef struct method_case {
    const char *spec;
    bool weights, groups, shares, ids;
} method_case;

static const method_case cases[] = {
    {"random(seed=3)", false, false, false, true},
    {"random(replace=yes)", false, false, false, true},
    {"weighted(replace=yes, seed=9)", true, false, false, false},
    {"weighted(replace=yes)", true, false, false, true},
    {"weighted()", true, false, false, false},
    {"weighted(seed=4)", true, false, false, true},
    {"weighted(keep=900)", true, false, false, true},
    {"weighted(keep=300)", true, false, false, false},
    {"stratified()", false, true, false, false},
    {"stratified(allocation=equal)", false, true, false, true},
    {"stratified(allocation=weights)", false, true, true, true},
};
enum { CASES = sizeof cases / sizeof *cases };

static row_data case_data(const method_case *c, int64_t n)
{
    return (row_data){.n = n,
                      .weights = c->weights ? some_weights : NULL,
                      .groups = c->groups ? some_groups : NULL,
                      .ids = c->ids ? some_ids : NULL,
                      .shares = c->shares ? some_shares : NULL,
                      .strata = 7};
}

/* Draws `draws` times `count` rows into ids. Returns the rows drawn. */
static int64_t draw_ids(sonde_row_sampler *sampler, int draws, int64_t count, int64_t *ids, float *weights)
{
    int64_t total = 0;
    for (int i = 0; i < draws; i++) {
        sonde_rows rows = row_draw(sampler, count);
        memcpy(ids + total, rows.ids, (size_t)rows.count * sizeof *ids);
        memcpy(weights + total, rows.weights, (size_t)rows.count * sizeof *weights);
        total += rows.count;
    }
    return total;
}

static double chi_square(const int64_t *counts, const double *chances, int64_t cells, double draws)
{
    double sum = 0;
    for (int64_t i = 0; i < cells; i++) {
        double expected = chances[i] * draws;
        if (chances[i] == 0) assert_int_equal(counts[i], 0);
        else sum += ((double)counts[i] - expected) * ((double)counts[i] - expected) / expected;
    }
    return sum;
}

/* What a chi-square deviate exceeds three times in a million, by Wilson and Hilferty's cube. */
static double chi_square_most(int freedom)
{
    double k = 2.0 / (9.0 * freedom), root = 1 - k + 4.5 * sqrt(k);
    return freedom * root * root * root;
}

/* ---- random -------------------------------------------------------------------------------------------- */

static void random_orders_are_equally_likely(void **unused)
{
    (void)unused;
    int64_t counts[256] = {0}, passes = 24000;
    double chances[256] = {0};
    sonde_row_sampler *sampler = NULL;
    OK(sonde_row_sampler_create("random(rows=4)", 0, NULL, &sampler));
    for (int64_t i = 0; i < passes; i++) {
        sonde_rows rows = row_draw(sampler, 9);
        assert_int_equal(rows.count, 4);
        assert_int_equal(rows.last, 1);
        assert_int_equal(rows.pass, i);
        int64_t code = 0, seen = 0;
        for (int j = 0; j < 4; j++) {
            code = 4 * code + rows.ids[j];
            seen |= 1 << rows.ids[j];
        }
        assert_int_equal(seen, 15);
        counts[code]++;
    }
    int orders = 0;
    for (int i = 0; i < 256; i++) {
        chances[i] = counts[i] ? 1 / 24.0 : 0;
        orders += counts[i] > 0;
    }
    assert_int_equal(orders, 24);
    assert_true(chi_square(counts, chances, 256, (double)passes) < chi_square_most(23));
    sonde_row_sampler_free(sampler);
}

static void random_with_replacement_is_uniform(void **unused)
{
    (void)unused;
    int64_t counts[50] = {0};
    double chances[50];
    sonde_row_sampler *sampler = NULL;
    OK(sonde_row_sampler_create("random(rows=50, replace=yes)", 0, NULL, &sampler));
    for (int i = 0; i < 100; i++) {
        sonde_rows rows = row_draw(sampler, 1000);
        assert_int_equal(rows.last, 0);
        for (int j = 0; j < 1000; j++) counts[rows.ids[j]]++;
    }
    for (int i = 0; i < 50; i++) chances[i] = 0.02;
    assert_true(chi_square(counts, chances, 50, 100000) < chi_square_most(49));
    sonde_row_sampler_free(sampler);
}

/* ---- weighted ------------------------------------------------------------------------------------------ */

static void weighted_with_replacement_follows_the_weights(void **unused)
{
    (void)unused;
    enum { N = 40, DRAWS = 400000 };
    float weights[N];
    double chances[N], total = 0;
    int64_t counts[N] = {0};
    for (int i = 0; i < N; i++)
        total += (double)(weights[i] = i % 9 == 4 ? 0 : (float)((i % 5 + 1) * (i % 7 ? 1 : 30)));
    for (int i = 0; i < N; i++) chances[i] = (double)weights[i] / total;
    row_data d = {.n = N, .weights = weights};
    sonde_row_sampler *sampler = row_fitted("weighted(replace=yes)", &d, NULL);
    sonde_rows rows = row_draw(sampler, DRAWS);
    double sum = 0;
    for (int i = 0; i < DRAWS; i++) {
        int64_t id = rows.ids[i];
        counts[id]++;
        assert_float_equal(rows.weights[i], total / N / (double)weights[id], 1e-5 * (double)rows.weights[i]);
        sum += (double)rows.weights[i] * (double)(weights[id] > 0 ? id : 0);
    }
    assert_true(chi_square(counts, chances, N, DRAWS) < chi_square_most(N - 1));
    double mean = 0;
    for (int i = 0; i < N; i++) mean += weights[i] > 0 ? (double)i / N : 0;
    assert_float_equal(sum / DRAWS, mean, 0.02 * mean);
    sonde_row_sampler_free(sampler);
}

static void equal_weights_have_importance_one(void **unused)
{
    (void)unused;
    float weights[10] = {3, 3, 3, 3, 3, 3, 3, 3, 3, 3};
    row_data d = {.n = 10, .weights = weights};
    sonde_row_sampler *sampler = row_fitted("weighted(replace=yes)", &d, NULL);
    sonde_rows rows = row_draw(sampler, 100);
    for (int i = 0; i < 100; i++) assert_float_equal(rows.weights[i], 1, 1e-6);
    sonde_row_sampler_free(sampler);
}

enum { SMALL = 6, SMALL_DRAW = 3 };
static const float small_weights[SMALL] = {1, 2, 0.5f, 8, 4, 0.25f};

/* Adds to inclusion[i] the chance that row i is among the first `left` rows of successive draws. */
static void enumerate_inclusion(double chance, unsigned used, int left, double *inclusion)
{
    double total = 0;
    if (left == 0) {
        for (int i = 0; i < SMALL; i++) inclusion[i] += used >> i & 1 ? chance : 0;
        return;
    }
    for (int i = 0; i < SMALL; i++) total += used >> i & 1 ? 0 : (double)small_weights[i];
    for (int i = 0; i < SMALL; i++)
        if (!(used >> i & 1))
            enumerate_inclusion(chance * (double)small_weights[i] / total, used | 1u << i, left - 1,
                                inclusion);
}

static void weighted_inclusion_agrees_with_enumeration(void **unused)
{
    (void)unused;
    enum { PASSES = 60000 };
    double inclusion[SMALL] = {0}, pairs[SMALL * SMALL] = {0}, total = 0;
    int64_t counts[SMALL] = {0}, ordered[SMALL * SMALL] = {0};
    enumerate_inclusion(1, 0, SMALL_DRAW, inclusion);
    for (int i = 0; i < SMALL; i++) total += (double)small_weights[i];
    for (int i = 0; i < SMALL; i++)
        for (int j = 0; j < SMALL; j++)
            if (i != j)
                pairs[SMALL * i + j] = (double)small_weights[i] / total * (double)small_weights[j] /
                                       (total - (double)small_weights[i]);
    row_data d = {.n = SMALL, .weights = small_weights};
    sonde_row_sampler *sampler = row_fitted("weighted()", &d, NULL);
    for (int pass = 0; pass < PASSES; pass++) {
        OK(sonde_row_sampler_seek(sampler, pass));
        sonde_rows rows = row_draw(sampler, SMALL_DRAW);
        for (int i = 0; i < SMALL_DRAW; i++) counts[rows.ids[i]]++;
        ordered[SMALL * rows.ids[0] + rows.ids[1]]++;
    }
    for (int i = 0; i < SMALL; i++) {
        double deviation = sqrt(inclusion[i] * (1 - inclusion[i]) * PASSES);
        assert_true(fabs((double)counts[i] - inclusion[i] * PASSES) < 4.5 * deviation);
    }
    assert_true(chi_square(ordered, pairs, SMALL * SMALL, PASSES) < chi_square_most(SMALL * (SMALL - 1) - 1));
    sonde_row_sampler_free(sampler);
}

/* The first draw of a pass estimates the sum over all rows, the second that over the rows left by the first.
 */
static void weighted_sums_are_unbiased(void **unused)
{
    (void)unused;
    enum { N = 40, PASSES = 20000, DRAW = 5 };
    row_data d = {.n = N, .weights = some_weights};
    sonde_row_sampler *sampler = row_fitted("weighted()", &d, NULL);
    double whole = 0, sum[2] = {0}, squares[2] = {0};
    for (int i = 0; i < N; i++) whole += i % 3 == 0 ? (double)i : 0;
    for (int pass = 0; pass < PASSES; pass++) {
        OK(sonde_row_sampler_seek(sampler, pass));
        double left = whole;
        for (int part = 0; part < 2; part++) {
            sonde_rows rows = row_draw(sampler, DRAW);
            double estimate = 0, drawn = 0;
            for (int i = 0; i < DRAW; i++) {
                double f = rows.ids[i] % 3 == 0 ? (double)rows.ids[i] : 0;
                estimate += f * (double)rows.weights[i];
                drawn += f;
            }
            sum[part] += estimate - left;
            squares[part] += (estimate - left) * (estimate - left);
            left -= drawn;
        }
    }
    for (int part = 0; part < 2; part++) assert_true(fabs(sum[part]) < 4.5 * sqrt(squares[part]));
    sonde_row_sampler_free(sampler);
}

static void weighted_pass_is_every_row_once(void **unused)
{
    (void)unused;
    uint8_t seen[MOST] = {0};
    float weights[MOST];
    int64_t positive = 0, drawn = 0;
    for (int i = 0; i < MOST; i++) positive += (weights[i] = i % 5 ? some_weights[i] : 0) > 0;
    row_data d = {.n = MOST, .weights = weights};
    sonde_row_sampler *sampler = row_fitted("weighted(batch=300)", &d, NULL);
    for (bool last = false; !last;) {
        sonde_rows rows = row_draw(sampler, 0);
        last = rows.last;
        for (int64_t i = 0; i < rows.count; i++) {
            assert_true(weights[rows.ids[i]] > 0);
            assert_int_equal(seen[rows.ids[i]]++, 0);
            if (last) assert_float_equal(rows.weights[i], 1, 0);
        }
        drawn += rows.count;
    }
    assert_int_equal(drawn, positive);
    assert_int_equal(row_draw(sampler, 1).pass, 1);
    sonde_row_sampler_free(sampler);
}

static void heavy_tails_keep_their_order(void **unused)
{
    (void)unused;
    float weights[2000];
    /* From denormal numbers to nearly the largest. */
    for (int i = 0; i < 2000; i++) weights[i] = (float)pow(10, i % 82 - 44);
    row_data d = {.n = 2000, .weights = weights};
    sonde_row_sampler *whole = row_fitted("weighted()", &d, NULL),
                      *parts = row_fitted("weighted()", &d, NULL);
    sonde_rows all = row_draw(whole, 2000);
    assert_int_equal(all.count, 2000);
    for (int64_t i = 0; i < 2000; i += 50) {
        sonde_rows rows = row_draw(parts, 50);
        assert_memory_equal(rows.ids, all.ids + i, 50 * sizeof *rows.ids);
    }
    sonde_row_sampler_free(whole);
    sonde_row_sampler_free(parts);
}

/* Shards of a summary hold what one summary over all holds, and that is the beginning of the whole order. */
static void weighted_shards_make_the_whole(void **unused)
{
    (void)unused;
    const int64_t cut[4] = {0, 1500, 1700, MOST};
    sonde_row_sampler *shard[3];
    row_data all = {.n = MOST, .weights = some_weights, .ids = some_ids};
    for (int i = 0; i < 3; i++) {
        row_data part = {.n = cut[i + 1] - cut[i], .weights = some_weights + cut[i],
                         .ids = some_ids + cut[i]};
        shard[i] = row_fitted("weighted(keep=250)", &part, NULL);
    }
    OK(sonde_row_sampler_merge(shard[2], shard[0]));
    OK(sonde_row_sampler_merge(shard[2], shard[1]));
    sonde_row_sampler *kept = row_fitted("weighted(keep=250)", &all, NULL),
                      *whole = row_fitted("weighted()", &all, NULL);
    sonde_rows a = row_draw(shard[2], 1000), b = row_draw(kept, 1000), c = row_draw(whole, 250);
    assert_int_equal(a.count, 250);
    assert_int_equal(b.count, 250);
    assert_int_equal(a.last, 1);
    assert_memory_equal(a.ids, b.ids, 250 * sizeof *a.ids);
    assert_memory_equal(a.ids, c.ids, 250 * sizeof *a.ids);
    assert_memory_equal(a.weights, b.weights, 250 * sizeof *a.weights);
    assert_memory_equal(a.weights, c.weights, 250 * sizeof *a.weights);
    for (int i = 0; i < 3; i++) sonde_row_sampler_free(shard[i]);
    sonde_row_sampler_free(kept);
    sonde_row_sampler_free(whole);
}

/* ---- stratified ---------------------------------------------------------------------------------------- */

/* Every prefix has each stratum within one of its share, which `shares` gives up to a factor. */
static void check_in_step(const char *spec, const row_data *d, const double *shares, int64_t strata,
                          int64_t draws)
{
    sonde_row_sampler *sampler = row_fitted(spec, d, NULL);
    double *had = test_alloc((size_t)strata, sizeof *had), total = 0;
    int64_t drawn = 0;
    for (int64_t g = 0; g < strata; g++) total += shares[g];
    while (drawn < draws) {
        sonde_rows rows = row_draw(sampler, 37);
        for (int64_t i = 0; i < rows.count; i++) {
            assert_int_equal(rows.groups[i], d->groups[rows.ids[i]]);
            had[rows.groups[i]]++;
            drawn++;
            for (int64_t g = 0; g < strata; g++) {
                double apart = had[g] - (double)drawn * shares[g] / total;
                if (fabs(apart) > 1 + 1e-5)
                    fail_msg("%s: after %lld rows stratum %lld is %g off", spec, (long long)drawn,
                             (long long)g, apart);
            }
        }
    }
    free(had);
    sonde_row_sampler_free(sampler);
}

static void strata_are_in_step_with_their_shares(void **unused)
{
    (void)unused;
    double size[40] = {0}, one[40] = {0}, share[40] = {0};
    float shares[40];
    int64_t groups[MOST];
    uint64_t state = 8;
    for (int i = 0; i < MOST; i++) {
        groups[i] = (int64_t)(40 * test_unit(&state) * test_unit(&state) * test_unit(&state));
        if (groups[i] == 5) groups[i] = 6;
        size[groups[i]]++;
    }
    for (int g = 0; g < 40; g++) {
        shares[g] = (float)(g == 0 ? 30 : test_unit(&state));
        one[g] = size[g] > 0;
        share[g] = size[g] > 0 ? (double)shares[g] : 0;
    }
    row_data d = {.n = MOST, .groups = groups};
    check_in_step("stratified()", &d, size, 40, MOST);
    check_in_step("stratified(allocation=equal)", &d, one, 40, 2000);
    d.shares = shares;
    d.strata = 40;
    check_in_step("stratified(allocation=weights)", &d, share, 40, 6000);
}

static void proportional_pass_is_every_row_once(void **unused)
{
    (void)unused;
    row_data d = {.n = MOST, .groups = some_groups};
    sonde_row_sampler *sampler = row_fitted("stratified(batch=1000)", &d, NULL);
    for (int pass = 0; pass < 2; pass++) {
        uint8_t seen[MOST] = {0};
        for (bool last = false; !last;) {
            sonde_rows rows = row_draw(sampler, 0);
            assert_int_equal(rows.pass, pass);
            for (int64_t i = 0; i < rows.count; i++) {
                assert_int_equal(seen[rows.ids[i]]++, 0);
                assert_float_equal(rows.weights[i], 1, 0);
            }
            last = rows.last;
        }
        for (int i = 0; i < MOST; i++) assert_int_equal(seen[i], 1);
    }
    sonde_row_sampler_free(sampler);
}

/* Equal shares: a stratum goes through all its rows before one comes again, and its weight is its part of the
 * mix. */
static void equal_strata_go_through_their_rows(void **unused)
{
    (void)unused;
    int64_t groups[12] = {0, 2, 2, 2, 0, 2, 3, 2, 2, 2, 2, 2}, had[12] = {0}, size[4] = {2, 0, 9, 1};
    row_data d = {.n = 12, .groups = groups};
    sonde_row_sampler *sampler = row_fitted("stratified(allocation=equal)", &d, NULL);
    for (int round = 1; round <= 90; round++) {
        sonde_rows rows = row_draw(sampler, 3);
        int64_t seen = 0;
        for (int i = 0; i < 3; i++) {
            int64_t g = rows.groups[i], most = (round + size[g] - 1) / size[g];
            seen |= 1 << g;
            assert_true(++had[rows.ids[i]] <= most);
            assert_float_equal(rows.weights[i], (double)size[g] / 12 * 3, 1e-6);
        }
        assert_int_equal(seen, 13);
    }
    sonde_row_sampler_free(sampler);
}

/* Which row of its stratum comes first is uniform over passes, and so is which stratum of equal ones. */
static void strata_are_shuffled(void **unused)
{
    (void)unused;
    int64_t groups[8] = {0, 0, 0, 0, 1, 1, 1, 1}, counts[8] = {0};
    double chances[8];
    row_data d = {.n = 8, .groups = groups};
    sonde_row_sampler *sampler = row_fitted("stratified()", &d, NULL);
    for (int pass = 0; pass < 16000; pass++) counts[row_draw(sampler, 8).ids[0]]++;
    for (int i = 0; i < 8; i++) chances[i] = 0.125;
    assert_true(chi_square(counts, chances, 8, 16000) < chi_square_most(7));
    sonde_row_sampler_free(sampler);
}

/* ---- every method -------------------------------------------------------------------------------------- */

static int64_t first_ids[MOST * 2], second_ids[MOST * 2];
static float first_weights[MOST * 2], second_weights[MOST * 2];

static void assert_same_draws(sonde_row_sampler *a, sonde_row_sampler *b, int draws, int64_t count)
{
    int64_t n = draw_ids(a, draws, count, first_ids, first_weights);
    assert_int_equal(draw_ids(b, draws, count, second_ids, second_weights), n);
    assert_memory_equal(first_ids, second_ids, (size_t)n * sizeof *first_ids);
    assert_memory_equal(first_weights, second_weights, (size_t)n * sizeof *first_weights);
}

static sonde_row_sampler *reopened(const sonde_row_sampler *sampler)
{
    size_t length = 0;
    sonde_row_sampler *copy = NULL;
    OK(sonde_row_sampler_save_buffer(sampler, NULL, 0, &length));
    void *bytes = test_alloc(length, 1);
    OK(sonde_row_sampler_save_buffer(sampler, bytes, length, &length));
    OK(sonde_row_sampler_open_buffer(bytes, length, NULL, NULL, &copy));
    free(bytes);
    return copy;
}

static void files_go_on_with_the_same_rows(void **unused)
{
    (void)unused;
    for (int i = 0; i < CASES; i++) {
        row_data d = case_data(&cases[i], 1000);
        sonde_row_sampler *sampler = row_fitted(cases[i].spec, &d, NULL);
        for (int begin = 0; begin < 3; begin++) {
            sonde_row_sampler *copy = reopened(sampler);
            assert_same_draws(sampler, copy, 5, 77);
            sonde_row_sampler_free(copy);
        }
        sonde_row_sampler_free(sampler);
    }
}

static void seeking_begins_again(void **unused)
{
    (void)unused;
    for (int i = 0; i < CASES; i++) {
        row_data d = case_data(&cases[i], 1000);
        sonde_row_sampler *a = row_fitted(cases[i].spec, &d, NULL), *b = row_fitted(cases[i].spec, &d, NULL);
        draw_ids(a, 3, 111, first_ids, first_weights);
        OK(sonde_row_sampler_seek(a, 0));
        assert_same_draws(a, b, 3, 111);
        FAILS(sonde_row_sampler_seek(a, -1), SONDE_INVALID_ARGUMENT, "below 0");
        sonde_row_sampler_free(a);
        sonde_row_sampler_free(b);
    }
}

static void threads_change_nothing(void **unused)
{
    (void)unused;
    enum { N = 300000 };
    float *weights = test_alloc(N, sizeof *weights);
    int64_t *groups = test_alloc(N, sizeof *groups), *ids = test_alloc(N, sizeof *ids);
    for (int64_t i = 0; i < N; i++) {
        weights[i] = some_weights[i % MOST];
        groups[i] = some_groups[i % MOST];
        ids[i] = 3 * i + 5;
    }
    for (int i = 0; i < CASES; i++) {
        sonde_row_sampler *sampler[3];
        const uint32_t threads[3] = {1, 2, 7};
        for (int t = 0; t < 3; t++) {
            sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
            sonde_runtime *runtime = NULL;
            options.threads = threads[t];
            OK(sonde_runtime_create(&options, &runtime));
            row_data d = {.n = N,
                          .weights = cases[i].weights ? weights : NULL,
                          .groups = cases[i].groups ? groups : NULL,
                          .ids = cases[i].ids ? ids : NULL,
                          .shares = cases[i].shares ? some_shares : NULL,
                          .strata = 7};
            sampler[t] = row_fitted(cases[i].spec, &d, runtime);
            sonde_runtime_free(runtime);
        }
        assert_same_draws(sampler[0], sampler[1], 2, 500);
        OK(sonde_row_sampler_seek(sampler[0], 0));
        assert_same_draws(sampler[0], sampler[2], 2, 500);
        for (int t = 0; t < 3; t++) sonde_row_sampler_free(sampler[t]);
    }
    free(weights);
    free(groups);
    free(ids);
}

/* Fitting the parts and merging is fitting the whole; stratified, random and weighted keep row numbers in
 * order. */
static void merged_parts_are_the_whole(void **unused)
{
    (void)unused;
    for (int i = 0; i < CASES; i++) {
        if (strstr(cases[i].spec, "keep")) continue; /* a test of its own */
        row_data whole = case_data(&cases[i], 1000), a = case_data(&cases[i], 400),
                 b = case_data(&cases[i], 600);
        b.weights = b.weights ? b.weights + 400 : NULL;
        b.groups = b.groups ? b.groups + 400 : NULL;
        b.ids = b.ids ? b.ids + 400 : NULL;
        sonde_row_sampler *first = row_fitted(cases[i].spec, &a, NULL),
                          *second = row_fitted(cases[i].spec, &b, NULL);
        sonde_row_sampler *all = row_fitted(cases[i].spec, &whole, NULL);
        row_draw(first, 10);
        OK(sonde_row_sampler_merge(first, second));
        assert_same_draws(first, all, 5, 99);
        sonde_row_sampler_free(first);
        sonde_row_sampler_free(second);
        sonde_row_sampler_free(all);
    }
}

static void what_does_not_fit_is_not_merged(void **unused)
{
    (void)unused;
    row_data plain = {.n = 10, .weights = some_weights},
         named = {.n = 10, .weights = some_weights, .ids = some_ids};
    row_merge_fails("weighted()", &plain, &named, SONDE_INCOMPATIBLE, "ids of the caller");
    row_merge_fails("weighted(keep=3)", &plain, &plain, SONDE_INCOMPATIBLE, "tell the rows apart");
    const float other[7] = {1, 1, 1, 1, 1, 1, 1};
    row_data c = {.n = 50, .groups = some_groups, .shares = some_shares, .strata = 7}, d = c;
    d.shares = other;
    row_merge_fails("stratified(allocation=weights)", &c, &d, SONDE_INCOMPATIBLE, "shares differ");
    row_data grouped = {.n = 10, .groups = some_groups},
             both = {.n = 10, .groups = some_groups, .ids = some_ids};
    row_merge_fails("stratified()", &both, &grouped, SONDE_INCOMPATIBLE, "ids of the caller");
}

static void too_many_rows_are_not_merged(void **unused)
{
    (void)unused;
    sonde_row_sampler *all = NULL, *more = NULL;
    OK(sonde_row_sampler_create("random(rows=4294967295)", 0, NULL, &all));
    OK(sonde_row_sampler_create("random(rows=4294967295)", 0, NULL, &more));
    FAILS(sonde_row_sampler_merge(all, more), SONDE_LIMIT, "8589934590 rows are more than 4294967295");
    OK(row_fit(more, &(row_data){.n = 1, .ids = some_ids}));
    FAILS(sonde_row_sampler_merge(all, more), SONDE_LIMIT, "4294967296 rows are more than 4294967295");
    OK(row_fit(all, &(row_data){.n = 2, .ids = some_ids}));
    OK(sonde_row_sampler_merge(all, more));
    sonde_row_sampler_free(all);
    sonde_row_sampler_free(more);
    OK(sonde_row_sampler_create("random(rows=9)", 0, NULL, &all));
    OK(sonde_row_sampler_create("random(rows=9)", 0, NULL, &more));
    OK(row_fit(more, &(row_data){.n = 3, .ids = some_ids}));
    FAILS(sonde_row_sampler_merge(all, more), SONDE_INCOMPATIBLE, "ids of the caller");
    sonde_row_sampler_free(all);
    sonde_row_sampler_free(more);
}

static int failing_case;

static sonde_status scene(sonde_runtime_options *options)
{
    sonde_runtime *runtime = NULL;
    sonde_row_sampler *sampler = NULL, *other = NULL;
    sonde_rows rows = SONDE_ROWS_INIT;
    const method_case *c = &cases[failing_case];
    row_data d = case_data(c, 400), e = d;
    e.ids = c->ids ? some_ids + 400 : NULL;
    sonde_status status = sonde_runtime_create(options, &runtime);
    if (status == SONDE_OK) status = sonde_row_sampler_create(c->spec, 0, runtime, &sampler);
    if (status == SONDE_OK) status = sonde_row_sampler_create(c->spec, 0, runtime, &other);
    if (status == SONDE_OK) status = row_fit(sampler, &d);
    if (status == SONDE_OK) status = row_fit(other, &e);
    if (status == SONDE_OK) status = sonde_row_sampler_draw(sampler, 50, &rows);
    if (status == SONDE_OK && (c->ids || !strstr(c->spec, "keep")))
        status = sonde_row_sampler_merge(sampler, other);
    if (status == SONDE_OK) status = sonde_row_sampler_draw(sampler, 90, &rows);
    sonde_row_sampler_free(sampler);
    sonde_row_sampler_free(other);
    sonde_runtime_free(runtime);
    return status;
}

static void failing_memory_is_survived(void **unused)
{
    (void)unused;
    for (failing_case = 0; failing_case < CASES; failing_case++) assert_true(failing_walk(scene) > 3);
}

/* A cancelled fit leaves the old state, and a cancelled draw the place. */
static void cancelling_leaves_all_as_it_was(void **unused)
{
    (void)unused;
    for (int i = 0; i < CASES; i++) {
        sonde_runtime *runtime = NULL;
        OK(sonde_runtime_create(NULL, &runtime));
        row_data d = case_data(&cases[i], 1000), other = case_data(&cases[i], 2000);
        sonde_row_sampler *a = row_fitted(cases[i].spec, &d, runtime),
                          *b = row_fitted(cases[i].spec, &d, NULL);
        sonde_rows rows = SONDE_ROWS_INIT;
        assert_same_draws(a, b, 1, 40);
        sonde_runtime_cancel(runtime);
        sonde_status fit_status = row_fit(a, &other), draw_status = sonde_row_sampler_draw(a, 60, &rows);
        sonde_runtime_resume(runtime);
        if (fit_status == SONDE_CANCELLED && draw_status == SONDE_CANCELLED) assert_same_draws(a, b, 3, 60);
        else assert_true(fit_status == SONDE_OK || fit_status == SONDE_CANCELLED);
        sonde_row_sampler_free(a);
        sonde_row_sampler_free(b);
        sonde_runtime_free(runtime);
    }
}

/* Stops a draw of stratified rows half way; what comes then is what would have come. */
static int stop_at_second(const char *stage, uint64_t done, uint64_t total, void *user)
{
    (void)total;
    return *(int *)user && strcmp(stage, "drawing rows") == 0 && done > 0;
}

static void a_draw_stopped_half_way_is_taken_back(void **unused)
{
    (void)unused;
    enum { N = 2000000 };
    int64_t *groups = test_alloc(N, sizeof *groups);
    int stop = 1;
    for (int64_t i = 0; i < N; i++) groups[i] = some_groups[i % MOST] * 3;
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    sonde_runtime *runtime = NULL;
    options.progress = stop_at_second;
    options.progress_user = &stop;
    OK(sonde_runtime_create(&options, &runtime));
    const char *specs[] = {"stratified()", "stratified(allocation=equal)"};
    for (int i = 0; i < 2; i++) {
        row_data d = {.n = N, .groups = groups};
        sonde_row_sampler *a = row_fitted(specs[i], &d, runtime), *b = row_fitted(specs[i], &d, NULL);
        sonde_rows rows = SONDE_ROWS_INIT;
        assert_same_draws(a, b, 1, 1234);
        stop = 1;
        sonde_status status = sonde_row_sampler_draw(a, N - 2000, &rows);
        stop = 0;
        if (status == SONDE_OK) fail_msg("%s: the draw was not stopped", specs[i]);
        assert_int_equal(status, SONDE_CANCELLED);
        assert_same_draws(a, b, 4, 1000);
        sonde_row_sampler_free(a);
        sonde_row_sampler_free(b);
    }
    sonde_runtime_free(runtime);
    free(groups);
}

static void wrong_inputs_are_named(void **unused)
{
    (void)unused;
    sonde_row_sampler *sampler = NULL;
    sonde_rows rows = SONDE_ROWS_INIT;
    float bad[3] = {1, -2, 3}, zero[3] = {0, 0, 0}, nan[3] = {1, 2, NAN};
    int64_t groups[3] = {0, -1, 2}, ids[3] = {7, 8, 9}, far[3] = {0, 1, 1 << 24};
    FAILS(sonde_row_sampler_create("weighted(replace=yes, keep=4)", 0, NULL, &sampler),
          SONDE_INVALID_ARGUMENT, "keep=4");
    OK(sonde_row_sampler_create("weighted()", 0, NULL, &sampler));
    FAILS(sonde_row_sampler_draw(sampler, 1, &rows), SONDE_STATE, "not fitted");
    FAILS(row_fit(sampler, &(row_data){.n = 3}), SONDE_INVALID_ARGUMENT, "weights");
    FAILS(row_fit(sampler, &(row_data){.n = 3, .weights = bad}), SONDE_INVALID_ARGUMENT, "row 1 holds -2");
    FAILS(row_fit(sampler, &(row_data){.n = 3, .weights = zero}), SONDE_INVALID_ARGUMENT,
          "no row has a weight above 0");
    FAILS(row_fit(sampler, &(row_data){.n = 3, .weights = nan}), SONDE_INVALID_ARGUMENT, "row 2");
    FAILS(row_fit(sampler, &(row_data){.n = 0, .weights = bad}), SONDE_INVALID_ARGUMENT,
          "weights has 0 rows");
    FAILS(row_fit(sampler, &(row_data){.n = 3, .weights = some_weights, .groups = groups}), SONDE_NOT_FOUND,
          "groups");
    FAILS(row_fit(sampler, &(row_data){.n = 3, .weights = some_weights, .ids = groups}),
          SONDE_INVALID_ARGUMENT, "row 1 holds -1");
    sonde_row_sampler_free(sampler);
    OK(sonde_row_sampler_create("stratified()", 0, NULL, &sampler));
    FAILS(row_fit(sampler, &(row_data){.n = 3, .groups = groups}), SONDE_INVALID_ARGUMENT, "row 1 holds -1");
    FAILS(row_fit(sampler, &(row_data){.n = 3, .groups = far}), SONDE_INVALID_ARGUMENT,
          "row 2 holds 16777216");
    FAILS(row_fit(sampler, &(row_data){.n = 3, .groups = ids, .shares = zero, .strata = 3}),
          SONDE_INVALID_ARGUMENT, "shares");
    FAILS(row_fit(sampler, &(row_data){.n = 0, .groups = ids}), SONDE_INVALID_ARGUMENT, "groups has 0 rows");
    sonde_row_sampler_free(sampler);
    OK(sonde_row_sampler_create("stratified(allocation=weights)", 0, NULL, &sampler));
    FAILS(row_fit(sampler, &(row_data){.n = 3, .groups = ids}), SONDE_INVALID_ARGUMENT,
          "needs the input shares");
    FAILS(row_fit(sampler, &(row_data){.n = 3, .groups = ids, .shares = some_shares, .strata = 3}),
          SONDE_INVALID_ARGUMENT, "shares has 3 rows, expected one for each of 10 strata");
    FAILS(row_fit(sampler, &(row_data){.n = 50, .groups = some_groups, .shares = zero, .strata = 3}),
          SONDE_INVALID_ARGUMENT, "shares");
    FAILS(row_fit(sampler, &(row_data){.n = 3, .groups = (int64_t[3]){0, 1, 2}, .shares = zero, .strata = 3}),
          SONDE_INVALID_ARGUMENT, "no stratum with rows has a share");
    sonde_row_sampler_free(sampler);
}

static void one_row_and_more_than_there_are(void **unused)
{
    (void)unused;
    const int64_t group = 0;
    for (int i = 0; i < CASES; i++) {
        row_data d = case_data(&cases[i], 1);
        d.groups = d.groups ? &group : NULL;
        sonde_row_sampler *sampler = row_fitted(cases[i].spec, &d, NULL);
        bool endless = strstr(cases[i].spec, "yes") || strstr(cases[i].spec, "allocation");
        for (int pass = 0; pass < 3; pass++) {
            sonde_rows rows = row_draw(sampler, 5);
            assert_int_equal(rows.count, endless ? 5 : 1);
            assert_int_equal(rows.last, !endless);
            assert_int_equal(rows.ids[0], cases[i].ids ? some_ids[0] : 0);
        }
        sonde_row_sampler_free(sampler);
    }
}

/* One million rows where twice the rows' own bytes would not do. */
static void a_summary_stays_within_a_memory_limit(void **unused)
{
    (void)unused;
    enum { N = 1000000 };
    float *weights = test_alloc(N, sizeof *weights);
    for (int64_t i = 0; i < N; i++) weights[i] = some_weights[i % MOST];
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    sonde_runtime *runtime = NULL;
    options.memory_limit = 3500000;
    OK(sonde_runtime_create(&options, &runtime));
    row_data d = {.n = N, .weights = weights};
    sonde_row_sampler *sampler = row_fitted("weighted(keep=1000)", &d, runtime);
    assert_int_equal(row_draw(sampler, 2000).count, 1000);
    sonde_row_sampler_free(sampler);
    sonde_runtime_free(runtime);
    free(weights);
}

static int fill(void **unused)
{
    (void)unused;
    some_fill();
    return 0;
}

#define CASE(name)                                                                                           \
    {                                                                                                        \
#name, name, fill, NULL, NULL                                                                        \
    }

static const struct CMUnitTest tests[] = {
    CASE(random_orders_are_equally_likely),
    CASE(random_with_replacement_is_uniform),
    CASE(weighted_with_replacement_follows_the_weights),
    CASE(equal_weights_have_importance_one),
    CASE(weighted_inclusion_agrees_with_enumeration),
    CASE(weighted_sums_are_unbiased),
    CASE(weighted_pass_is_every_row_once),
    CASE(heavy_tails_keep_their_order),
    CASE(weighted_shards_make_the_whole),
    CASE(strata_are_in_step_with_their_shares),
    CASE(proportional_pass_is_every_row_once),
    CASE(equal_strata_go_through_their_rows),
    CASE(strata_are_shuffled),
    CASE(files_go_on_with_the_same_rows),
    CASE(seeking_begins_again),
    CASE(threads_change_nothing),
    CASE(merged_parts_are_the_whole),
    CASE(what_does_not_fit_is_not_merged),
    CASE(too_many_rows_are_not_merged),
    CASE(failing_memory_is_survived),
    CASE(cancelling_leaves_all_as_it_was),
    CASE(a_draw_stopped_half_way_is_taken_back),
    CASE(wrong_inputs_are_named),
    CASE(one_row_and_more_than_there_are),
    CASE(a_summary_stays_within_a_memory_limit),
};

SONDE_TEST_MAIN(tests)
