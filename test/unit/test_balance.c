/* test_balance.c: clustering under conditions on the sizes: limits that always hold, costs against an exact flow and
 * against all assignments, the equations of entropic transport in double, and no rule at all is plain k-means.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <math.h>

#include "../failing.h"
#include "linalg/balance_parts.h"

static sonde_runtime *runtime_of(uint32_t threads)
{
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    sonde_runtime *runtime = NULL;
    options.threads = threads;
    OK(sonde_runtime_create(&options, &runtime));
    return runtime;
}

/* ---- data and plain loops --------------------------------------------------------------------------------------- */

typedef struct scene {
    sonde_runtime *runtime;
    int64_t n, d, k;
    float *x, *centroids;
    int32_t *label;
    double *prices;
    int64_t *size;
} scene;

/* Centroids are rows at equal steps. */
static scene scene_of(float *x, int64_t n, int64_t d, int64_t k)
{
    scene s = {runtime_of(1), n, d, k, x, NULL, NULL, NULL, NULL};
    s.centroids = test_alloc((size_t)(k * d), sizeof *s.centroids);
    s.label = test_alloc((size_t)n, sizeof *s.label);
    s.prices = test_alloc((size_t)k, sizeof *s.prices);
    s.size = test_alloc((size_t)k, sizeof *s.size);
    for (int64_t j = 0; j < k; j++) memcpy(s.centroids + j * d, x + j * n / k * d, (size_t)d * sizeof *x);
    return s;
}

static void scene_free(scene *s)
{
    free(s->size);
    free(s->prices);
    free(s->label);
    free(s->centroids);
    free(s->x);
    sonde_runtime_free(s->runtime);
}

/* Rows around centres whose shares fall as 1 / rank, each centre at its own distance. */
static float *zipf_vectors(int64_t n, int64_t d, int centres, uint64_t seed)
{
    float *x = test_alloc((size_t)(n * d), sizeof *x), *centre = test_alloc((size_t)(centres * d), sizeof *centre);
    double total = 0;
    uint64_t state = seed;
    for (int64_t i = 0; i < centres * d; i++) centre[i] = 4 * test_normal(&state);
    for (int c = 0; c < centres; c++) total += 1.0 / (c + 1);
    for (int64_t i = 0; i < n; i++) {
        double at = test_unit(&state) * total;
        int c = 0;
        while (c < centres - 1 && at >= 1.0 / (c + 1)) at -= 1.0 / (++c);
        for (int64_t t = 0; t < d; t++) x[i * d + t] = centre[c * d + t] + test_normal(&state);
    }
    free(centre);
    return x;
}

/* Nine rows in ten are the same. */
static float *duplicate_vectors(int64_t n, int64_t d, uint64_t seed)
{
    float *x = test_vectors(n, d, 0, seed);
    for (int64_t i = 1; i < n; i++)
        if (i % 10) memcpy(x + i * d, x, (size_t)d * sizeof *x);
    return x;
}

static double pair(const float *x, const float *y, int64_t d)
{
    double sum = 0;
    for (int64_t t = 0; t < d; t++) sum += ((double)x[t] - (double)y[t]) * ((double)x[t] - (double)y[t]);
    return sum;
}

static double scene_cost(const scene *s)
{
    double sum = 0;
    for (int64_t i = 0; i < s->n; i++) sum += pair(s->x + i * s->d, s->centroids + s->label[i] * s->d, s->d);
    return sum;
}

/* Counts sizes; every label must be a group. */
static void scene_count(scene *s)
{
    memset(s->size, 0, (size_t)s->k * sizeof *s->size);
    for (int64_t i = 0; i < s->n; i++) {
        assert_in_range(s->label[i], 0, s->k - 1);
        s->size[s->label[i]]++;
    }
}

static void scene_within(scene *s, int64_t low, int64_t high)
{
    scene_count(s);
    for (int64_t j = 0; j < s->k; j++)
        if (s->size[j] < low || s->size[j] > high)
            fail_msg("group %lld has %lld rows, not %lld to %lld", (long long)j, (long long)s->size[j],
                     (long long)low, (long long)high);
}

static double scene_imbalance(scene *s)
{
    double sum = 0;
    scene_count(s);
    for (int64_t j = 0; j < s->k; j++)
        sum += fabs(1 - (double)s->size[j] * (double)s->k / (double)s->n) / (double)s->k;
    return sum;
}

static void scene_assign(scene *s, const sonde__balance *rules)
{
    OK(sonde__assign_balanced(s->runtime, 0, s->x, s->d, s->n, s->d, s->centroids, s->k, rules, s->label, s->prices));
}

/* ---- the exact flow: rows, groups and a sink, shortest paths by Bellman and Ford --------------------------------- */

enum { FLOW_NODES = 256 };
typedef struct exact {
    int64_t nodes;
    double cost[FLOW_NODES][FLOW_NODES];
    int64_t room[FLOW_NODES][FLOW_NODES];
} exact;

/* One unit along the cheapest path from node 0 to the last; false if there is none. */
static bool exact_push(exact *e, double *total)
{
    double far[FLOW_NODES] = {0};
    int64_t from[FLOW_NODES] = {0};
    bool changed = true;
    for (int64_t v = 1; v < e->nodes; v++) far[v] = INFINITY;
    while (changed) {
        changed = false;
        for (int64_t a = 0; a < e->nodes; a++)
            for (int64_t b = 0; b < e->nodes; b++)
                if (e->room[a][b] > 0 && far[a] + e->cost[a][b] < far[b] - 1e-9) {
                    far[b] = far[a] + e->cost[a][b];
                    from[b] = a;
                    changed = true;
                }
    }
    if (!isfinite(far[e->nodes - 1])) return false;
    for (int64_t b = e->nodes - 1; b; b = from[b]) {
        e->room[from[b]][b]--;
        e->room[b][from[b]]++;
        *total += e->cost[from[b]][b];
    }
    return true;
}

/* Units up to the lower limit of a group earn a premium that outweighs everything else, by way of a node of their
 * own. */
static double exact_cost(const scene *s, int64_t low, int64_t high)
{
    static exact e;
    const double premium = 1e5;
    double total = 0;
    memset(&e, 0, sizeof e);
    e.nodes = 2 + s->n + 2 * s->k;
    assert_true(e.nodes <= FLOW_NODES);
    int64_t sink = e.nodes - 1, first = 1 + s->n;
    for (int64_t i = 0; i < s->n; i++) {
        e.room[0][1 + i] = 1;
        for (int64_t j = 0; j < s->k; j++) {
            e.room[1 + i][first + j] = 1;
            e.cost[1 + i][first + j] = pair(s->x + i * s->d, s->centroids + j * s->d, s->d);
            e.cost[first + j][1 + i] = -e.cost[1 + i][first + j];
        }
    }
    for (int64_t j = 0; j < s->k; j++) {
        int64_t must = first + s->k + j;
        e.room[first + j][sink] = high - low;
        e.room[first + j][must] = low;
        e.cost[first + j][must] = -premium;
        e.cost[must][first + j] = premium;
        e.room[must][sink] = low;
    }
    while (exact_push(&e, &total)) {}
    return total + premium * (double)(low * s->k);
}

/* ---- hard limits ------------------------------------------------------------------------------------------------ */

/* Limits from tight to loose, skewed data, n that k does and does not divide. */
static void test_flow_cost(void **state)
{
    const struct {
        int64_t n, k, low, high;
    } cases[] = {{60, 6, 10, 10}, {61, 6, 10, 11}, {50, 7, 0, 9},  {50, 7, 5, 50}, {50, 5, 3, 14},
                 {90, 10, 9, 9},  {16, 16, 1, 1},  {33, 3, 8, 20}, {97, 9, 2, 11}, {12, 1, 12, 12}};
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++)
        for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
            scene s = scene_of(zipf_vectors(cases[c].n, 3, 5, seed), cases[c].n, 3, cases[c].k);
            double least = exact_cost(&s, cases[c].low, cases[c].high);
            for (uint32_t order = SONDE__ORDER_REGRET; order <= SONDE__ORDER_AUCTION; order++) {
                sonde__balance rules = {
                    .mode = SONDE__BALANCE_CAPACITY, .order = order, .low = cases[c].low, .high = cases[c].high};
                scene_assign(&s, &rules);
                scene_within(&s, cases[c].low, cases[c].high);
                /* The steps of the auction come to a thousandth of the cost of the nearest centroids at most twice.
                 */
                double allowed = least * (order == SONDE__ORDER_AUCTION ? 1 + 2e-3 : 1 + 1e-6) + 1e-6;
                if (scene_cost(&s) > allowed)
                    fail_msg("seed %d, case %d, order %u: cost %.9g, least %.9g", (int)seed, (int)c, order,
                             scene_cost(&s), least);
                assert_true(scene_cost(&s) > least * (1 - 1e-6) - 1e-6);
            }
            scene_free(&s);
        }
}

/* The least cost of all k^n assignments within the limits. */
static double brute_cost(const scene *s, int64_t row, int64_t *size, int64_t low, int64_t high)
{
    double best = INFINITY;
    if (row == s->n) {
        for (int64_t j = 0; j < s->k; j++)
            if (size[j] < low) return INFINITY;
        return 0;
    }
    for (int64_t j = 0; j < s->k; j++) {
        if (size[j] == high) continue;
        size[j]++;
        best = fmin(best,
                    pair(s->x + row * s->d, s->centroids + j * s->d, s->d) + brute_cost(s, row + 1, size, low, high));
        size[j]--;
    }
    return best;
}

static void test_brute_force(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        int64_t n = 4 + (int64_t)(seed % 5), k = 2 + (int64_t)(seed % 3), size[4] = {0};
        scene s = scene_of(zipf_vectors(n, 2, 2, 100 + seed), n, 2, k);
        double least = brute_cost(&s, 0, size, n / k, (n + k - 1) / k);
        double exact_least = exact_cost(&s, n / k, (n + k - 1) / k);
        assert_true(fabs(exact_least - least) < 1e-6 * (1 + least));
        for (uint32_t order = SONDE__ORDER_REGRET; order <= SONDE__ORDER_AUCTION; order++) {
            sonde__balance rules = {.mode = SONDE__BALANCE_CAPACITY, .order = order};
            scene_assign(&s, &rules);
            scene_within(&s, n / k, (n + k - 1) / k);
            assert_true(scene_cost(&s) <= least * (order == SONDE__ORDER_AUCTION ? 1 + 2e-3 : 1 + 1e-6) + 1e-6);
        }
        scene_free(&s);
    }
}

/* All orders keep the limits on skewed and on duplicate-heavy rows; the published order costs the most. */
static void test_limits(void **state)
{
    (void)state;
    for (int which = 0; which < 2; which++) {
        int64_t n = 1003, d = 5, k = 24;
        scene s = scene_of(which ? duplicate_vectors(n, d, 3) : zipf_vectors(n, d, 40, 3), n, d, k);
        double cost[3];
        for (uint32_t order = 0; order < 3; order++) {
            const int64_t limits[][2] = {{0, 0}, {20, 60}, {0, 42}, {41, 0}};
            for (size_t c = 0; c < 4; c++) {
                sonde__balance rules = {
                    .mode = SONDE__BALANCE_CAPACITY, .order = order, .low = limits[c][0], .high = limits[c][1]};
                scene_assign(&s, &rules);
                scene_within(&s, c ? limits[c][0] : n / k, c == 0 ? n / k + 1 : limits[c][1] ? limits[c][1] : n);
                if (c == 0) cost[order] = scene_cost(&s);
            }
        }
        assert_true(cost[SONDE__ORDER_REGRET] <= cost[SONDE__ORDER_AUCTION] * (1 + 1e-6));
        assert_true(cost[SONDE__ORDER_AUCTION] <= cost[SONDE__ORDER_REGRET] * (1 + 2e-3));
        assert_true(cost[SONDE__ORDER_AUCTION] <= cost[SONDE__ORDER_ONEREC]);
        scene_free(&s);
    }
}

/* Prices that come out of the flow explain its labels: no row would be cheaper elsewhere. */
static void test_flow_prices(void **state)
{
    (void)state;
    scene s = scene_of(zipf_vectors(600, 4, 12, 8), 600, 4, 12);
    sonde__balance rules = {.mode = SONDE__BALANCE_CAPACITY};
    scene_assign(&s, &rules);
    for (int64_t i = 0; i < s.n; i++) {
        double own = pair(s.x + i * s.d, s.centroids + s.label[i] * s.d, s.d) - s.prices[s.label[i]];
        for (int64_t j = 0; j < s.k; j++)
            assert_true(pair(s.x + i * s.d, s.centroids + j * s.d, s.d) - s.prices[j] > own - 1e-3);
    }
    scene_free(&s);
}

/* More groups than the flow takes: rows by regret, and the sizes hold all the same. */
static void test_many_groups(void **state)
{
    (void)state;
    int64_t k = SONDE__BALANCE_FLOW_MOST + 10, n = 2 * k + 5;
    scene s = scene_of(zipf_vectors(n, 2, 30, 4), n, 2, k);
    sonde__balance rules = {.mode = SONDE__BALANCE_CAPACITY, .iterations = 5};
    scene_assign(&s, &rules);
    scene_within(&s, 2, 3);
    double regret = scene_cost(&s);
    rules.high = 2 * k;
    rules.low = 2;
    scene_assign(&s, &rules);
    scene_within(&s, 2, 2 * k);
    assert_true(scene_cost(&s) <= regret);
    rules = (sonde__balance){.mode = SONDE__BALANCE_CAPACITY, .order = SONDE__ORDER_ONEREC};
    scene_assign(&s, &rules);
    assert_true(regret < scene_cost(&s));
    scene_free(&s);
}

/* ---- no rule at all --------------------------------------------------------------------------------------------- */

static void test_no_rule(void **state)
{
    (void)state;
    int64_t n = 700, d = 6, k = 20;
    scene s = scene_of(zipf_vectors(n, d, 15, 5), n, d, k);
    int32_t *plain = test_alloc((size_t)n, sizeof *plain);
    const sonde__balance loose[] = {{.mode = SONDE__BALANCE_NONE},
                                    {.mode = SONDE__BALANCE_SOFT, .lambda = -1},
                                    {.mode = SONDE__BALANCE_SINKHORN, .iterations = -1},
                                    {.mode = SONDE__BALANCE_CAPACITY, .high = n},
                                    {.mode = SONDE__BALANCE_CAPACITY, .high = n, .order = SONDE__ORDER_AUCTION},
                                    {.mode = SONDE__BALANCE_HIERARCHICAL, .high = n}};
    OK(sonde__assign(s.runtime, 0, s.x, d, n, d, s.centroids, k, false, plain, NULL));
    for (size_t c = 0; c < sizeof loose / sizeof *loose; c++) {
        scene_assign(&s, &loose[c]);
        assert_memory_equal(plain, s.label, (size_t)n * sizeof *plain);
        for (int64_t j = 0; j < k; j++) assert_true(s.prices[j] == 0);
    }
    memset(s.prices, 0, (size_t)k * sizeof *s.prices);
    OK(sonde__assign_priced(s.runtime, 0, s.x, d, n, d, s.centroids, k, s.prices, s.label));
    assert_memory_equal(plain, s.label, (size_t)n * sizeof *plain);
    free(plain);
    scene_free(&s);
}

/* The very same centroids as sonde__kmeans, k = 1 is the mean, k = n costs nothing. */
static void test_none_is_kmeans(void **state)
{
    (void)state;
    int64_t n = 300, d = 4, k = 12;
    scene s = scene_of(zipf_vectors(n, d, 9, 6), n, d, k);
    float *plain = test_alloc((size_t)(n * d), sizeof *plain), *found = test_alloc((size_t)(n * d), sizeof *found);
    sonde__kmeans_options options = {.k = k, .seed = 4};
    sonde__balance rules = {.mode = SONDE__BALANCE_NONE};
    sonde__kmeans_report report;
    OK(sonde__kmeans(s.runtime, s.x, d, n, d, &options, plain, NULL));
    OK(sonde__kmeans_balanced(s.runtime, s.x, d, n, d, &options, &rules, NULL, found, s.label, s.prices, &report));
    assert_memory_equal(plain, found, (size_t)(k * d) * sizeof *plain);
    for (rules.mode = 0; rules.mode <= SONDE__BALANCE_HIERARCHICAL; rules.mode++) {
        options.k = 1;
        OK(sonde__kmeans_balanced(s.runtime, s.x, d, n, d, &options, &rules, NULL, found, s.label, NULL, &report));
        for (int64_t t = 0; t < d; t++) {
            double mean = 0;
            for (int64_t i = 0; i < n; i++) mean += (double)s.x[i * d + t] / (double)n;
            assert_true(fabs((double)found[t] - mean) < 1e-5);
        }
    }
    options.k = n;
    for (rules.mode = 0; rules.mode <= SONDE__BALANCE_HIERARCHICAL; rules.mode += SONDE__BALANCE_CAPACITY) {
        OK(sonde__kmeans_balanced(s.runtime, s.x, d, n, d, &options, &rules, NULL, found, NULL, NULL, &report));
        assert_true(report.objective == 0);
    }
    free(found);
    free(plain);
    scene_free(&s);
}

/* ---- Sinkhorn --------------------------------------------------------------------------------------------------- */

/* The plan that prices stand for, in double: rows made exact, the largest relative error of a column. */
static double column_error(const scene *s, double eps, const double *masses)
{
    double least = INFINITY, most = 0, worst = 0;
    double *column = test_alloc((size_t)s->k, sizeof *column), *q = test_alloc((size_t)s->k, sizeof *q);
    for (int64_t e = 0; e < s->n * s->k; e++) {
        double far = pair(s->x + e / s->k * s->d, s->centroids + e % s->k * s->d, s->d);
        least = fmin(least, far);
        most = fmax(most, far);
    }
    double temperature = eps * (most - least) / 2;
    for (int64_t i = 0; i < s->n; i++) {
        double top = -INFINITY, sum = 0, row = 0;
        for (int64_t j = 0; j < s->k; j++) {
            q[j] = (s->prices[j] - pair(s->x + i * s->d, s->centroids + j * s->d, s->d)) / temperature;
            top = fmax(top, q[j]);
        }
        for (int64_t j = 0; j < s->k; j++) sum += exp(q[j] - top);
        for (int64_t j = 0; j < s->k; j++) {
            double part = exp(q[j] - top) / sum / (double)s->n;
            row += part;
            column[j] += part;
        }
        assert_true(fabs(row * (double)s->n - 1) < 1e-12);
    }
    for (int64_t j = 0; j < s->k; j++) {
        double mass = masses ? masses[j] : 1 / (double)s->k;
        worst += fabs(column[j] - mass);
    }
    free(q);
    free(column);
    return worst;
}

static void test_sinkhorn(void **state)
{
    (void)state;
    int64_t n = 1500, d = 4, k = 16;
    scene s = scene_of(zipf_vectors(n, d, 10, 7), n, d, k);
    double masses[16], last = INFINITY;
    for (int64_t j = 0; j < k; j++) masses[j] = (double)(j + 1) / 136;
    for (int wanted = 0; wanted < 2; wanted++) {
        last = INFINITY;
        for (int iterations = 1; iterations <= 1024; iterations *= 2) {
            sonde__balance rules = {.mode = SONDE__BALANCE_SINKHORN,
                                    .eps = 0.02,
                                    .iterations = iterations,
                                    .masses = wanted ? masses : NULL};
            scene_assign(&s, &rules);
            double error = column_error(&s, 0.02, rules.masses);
            assert_true(error <= last * (1 + 1e-5) + 1e-5);
            last = error;
        }
        assert_true(last < 2e-3);
        /* The labels are what the prices say. */
        int32_t *again = test_alloc((size_t)n, sizeof *again);
        OK(sonde__assign_priced(s.runtime, 0, s.x, d, n, d, s.centroids, k, s.prices, again));
        assert_memory_equal(again, s.label, (size_t)n * sizeof *again);
        free(again);
    }
    scene_free(&s);
}

/* A group far from all rows has no mass that single precision can show; its price finds its way. Groups that are
 * permuted have their prices permuted, and a constant on every distance (one more column, the same everywhere in rows
 * and centroids, or a different one in rows alone) changes nothing. */
static void test_sinkhorn_invariant(void **state)
{
    (void)state;
    int64_t n = 800, d = 4, k = 8;
    scene s = scene_of(zipf_vectors(n, d, 6, 9), n, d, k), p = scene_of(zipf_vectors(n, d, 6, 9), n, d, k);
    sonde__balance rules = {.mode = SONDE__BALANCE_SINKHORN, .eps = 0.003, .iterations = 2000};
    for (int64_t t = 0; t < d; t++) s.centroids[t] = 60;
    scene_assign(&s, &rules);
    scene_count(&s);
    assert_true(s.size[0] > n / k / 2 && s.size[0] < n / k * 2);
    for (int64_t j = 0; j < k; j++)
        memcpy(p.centroids + j * d, s.centroids + (j + 3) % k * d, (size_t)d * sizeof(float));
    scene_assign(&p, &rules);
    for (int64_t j = 0; j < k; j++) assert_true(fabs(p.prices[j] - s.prices[(j + 3) % k]) < 1e-3 * fabs(s.prices[0]));
    float *wide = test_alloc((size_t)(n * (d + 1)), sizeof *wide),
          *far = test_alloc((size_t)(k * (d + 1)), sizeof *far);
    for (int64_t i = 0; i < n; i++) {
        memcpy(wide + i * (d + 1), s.x + i * d, (size_t)d * sizeof *wide);
        wide[i * (d + 1) + d] = 2;
    }
    for (int64_t j = 0; j < k; j++) memcpy(far + j * (d + 1), s.centroids + j * d, (size_t)d * sizeof *far);
    OK(sonde__assign_balanced(s.runtime, 0, wide, d + 1, n, d + 1, far, k, &rules, p.label, p.prices));
    int64_t differ = 0;
    for (int64_t i = 0; i < n; i++) differ += p.label[i] != s.label[i];
    assert_true(differ <= n / 200);
    free(far);
    free(wide);
    scene_free(&p);
    scene_free(&s);
}

/* ---- soft ------------------------------------------------------------------------------------------------------- */

/* Sizes even out as lambda grows; without lambda the largest group keeps about within twice the mean. */
static void test_soft(void **state)
{
    (void)state;
    int64_t n = 3000, d = 4, k = 20;
    scene s = scene_of(zipf_vectors(n, d, 12, 11), n, d, k);
    double last = INFINITY;
    const double lambdas[] = {-1, 0.002, 0.02, 0.2, 20};
    for (size_t c = 0; c < 5; c++) {
        sonde__balance rules = {.mode = SONDE__BALANCE_SOFT, .lambda = lambdas[c]};
        scene_assign(&s, &rules);
        double now = scene_imbalance(&s);
        assert_true(now < last);
        last = now;
    }
    /* With a price that outweighs distances, groups are equal up to the rows that choose at once. */
    scene_within(&s, n / k * 3 / 4, n / k * 5 / 4);
    sonde__balance rules = {.mode = SONDE__BALANCE_SOFT};
    scene_assign(&s, &rules);
    scene_within(&s, 0, 2 * (n / k) * 11 / 10);
    rules.high = n / k * 5 / 4;
    scene_assign(&s, &rules);
    scene_within(&s, 0, rules.high * 11 / 10);
    scene_free(&s);
}

/* ---- whole clusterings ------------------------------------------------------------------------------------------ */

static const sonde__balance all_rules[] = {
    {.mode = SONDE__BALANCE_SOFT},
    {.mode = SONDE__BALANCE_SINKHORN},
    {.mode = SONDE__BALANCE_CAPACITY},
    {.mode = SONDE__BALANCE_CAPACITY, .order = SONDE__ORDER_AUCTION},
    {.mode = SONDE__BALANCE_CAPACITY, .order = SONDE__ORDER_ONEREC},
    {.mode = SONDE__BALANCE_CAPACITY, .low = 10, .high = 90},
    {.mode = SONDE__BALANCE_HIERARCHICAL},
    {.mode = SONDE__BALANCE_HIERARCHICAL, .high = 31},
};
enum { ALL_RULES = sizeof all_rules / sizeof *all_rules };

/* Limits above are for groups of 30 rows. */
static sonde__balance rules_of(size_t c, int64_t n, int64_t k)
{
    sonde__balance rules = all_rules[c];
    rules.low = rules.low * n / k / 30;
    rules.high = (rules.high * n / k + 29) / 30;
    return rules;
}

/* Hard limits hold for the rows that were clustered: skewed, duplicates, spherical, weighted, from a sample. */
static void test_clusterings(void **state)
{
    (void)state;
    int64_t n = 1500, d = 5, k = 50;
    float weights[1500];
    for (int64_t i = 0; i < n; i++) weights[i] = 1 + (float)(i % 3);
    for (int which = 0; which < 5; which++) {
        scene s = scene_of(which == 1 ? duplicate_vectors(n, d, 12) : zipf_vectors(n, d, 30, 12), n, d, k);
        sonde__kmeans_options options = {.k = k,
                                         .iterations = 8,
                                         .seed = 2,
                                         .spherical = which == 2,
                                         .weights = which == 3 ? weights : NULL,
                                         .sample = which == 4 ? 700 : 0};
        for (size_t c = 0; c < ALL_RULES; c++) {
            sonde__kmeans_report report;
            OK(sonde__kmeans_balanced(s.runtime, s.x, d, n, d, &options, &all_rules[c], NULL, s.centroids, s.label,
                                      s.prices, &report));
            if (all_rules[c].mode == SONDE__BALANCE_CAPACITY)
                scene_within(&s, all_rules[c].high ? all_rules[c].low : n / k,
                             all_rules[c].high ? all_rules[c].high : n / k);
            if (all_rules[c].mode == SONDE__BALANCE_HIERARCHICAL)
                scene_within(&s, which == 4 ? 0 : 1, all_rules[c].high ? all_rules[c].high : 2 * n / k);
            for (int64_t e = 0; e < k * d; e++) assert_true(isfinite(s.centroids[e]));
            for (int64_t j = 0; j < k; j++) assert_true(isfinite(s.prices[j]));
            if (which < 2) assert_true(fabs(report.objective - scene_cost(&s)) <= 1e-4 * scene_cost(&s));
        }
        scene_free(&s);
    }
}

/* With given limits every further iteration costs less: labels are optimal for centroids, centroids for labels. */
static void test_objective_falls(void **state)
{
    (void)state;
    int64_t n = 900, d = 4, k = 18;
    scene s = scene_of(zipf_vectors(n, d, 11, 14), n, d, k);
    sonde__balance rules = {.mode = SONDE__BALANCE_CAPACITY};
    sonde__kmeans_options options = {.k = k};
    sonde__balance_rows rows;
    int64_t mended = 0;
    double last = INFINITY;
    OK(sonde__balance_rows_take(s.runtime, s.x, d, n, d, &options, true, &rows));
    for (int iteration = 0; iteration < 8; iteration++) {
        scene_assign(&s, &rules);
        assert_true(scene_cost(&s) <= last * (1 + 1e-6));
        OK(sonde__balance_means(s.runtime, &options, &rows, s.label, s.centroids, &mended));
        assert_true(scene_cost(&s) <= (last = scene_cost(&s)));
    }
    assert_int_equal(mended, 0);
    sonde__balance_rows_drop(s.runtime, &rows);
    scene_free(&s);
}

/* Balanced centroids are better for balanced groups than plain ones, from any start that is given. */
static void test_start(void **state)
{
    (void)state;
    int64_t n = 1000, d = 4, k = 10;
    scene s = scene_of(zipf_vectors(n, d, 8, 15), n, d, k);
    sonde__kmeans_options options = {.k = k, .iterations = 10};
    sonde__balance rules = {.mode = SONDE__BALANCE_CAPACITY};
    float *found = test_alloc((size_t)(k * d), sizeof *found);
    scene_assign(&s, &rules);
    double before = scene_cost(&s);
    OK(sonde__kmeans_balanced(s.runtime, s.x, d, n, d, &options, &rules, s.centroids, found, s.label, NULL, NULL));
    memcpy(s.centroids, found, (size_t)(k * d) * sizeof *found);
    scene_within(&s, n / k, n / k);
    assert_true(scene_cost(&s) < before);
    free(found);
    scene_free(&s);
}

static void test_threads(void **state)
{
    (void)state;
    int64_t n = 4500, d = 6, k = 40;
    float *x = zipf_vectors(n, d, 25, 16);
    for (size_t c = 0; c < ALL_RULES; c++) {
        float centroids[3][240];
        double prices[3][40];
        int32_t *label[3];
        for (int t = 0; t < 3; t++) {
            const uint32_t threads[] = {1, 2, 7};
            sonde_runtime *runtime = runtime_of(threads[t]);
            sonde__kmeans_options options = {.k = k, .iterations = 4, .seed = 3};
            sonde__balance rules = rules_of(c, n, k);
            label[t] = test_alloc((size_t)n, sizeof **label);
            OK(sonde__kmeans_balanced(runtime, x, d, n, d, &options, &rules, NULL, centroids[t], label[t], prices[t],
                                      NULL));
            sonde_runtime_free(runtime);
        }
        for (int t = 1; t < 3; t++) {
            assert_memory_equal(centroids[0], centroids[t], sizeof centroids[0]);
            assert_memory_equal(prices[0], prices[t], sizeof prices[0]);
            assert_memory_equal(label[0], label[t], (size_t)n * sizeof **label);
        }
        for (int t = 0; t < 3; t++) free(label[t]);
    }
    free(x);
}

/* ---- what can go wrong ------------------------------------------------------------------------------------------ */

static void test_refusals(void **state)
{
    (void)state;
    scene s = scene_of(zipf_vectors(40, 3, 4, 17), 40, 3, 7);
    const double heavy[7] = {0.5, 0.5, 0.5, 0.1, 0.1, 0.1, 0.1}, empty[7] = {0, 0.2, 0.2, 0.2, 0.2, 0.1, 0.1};
    const struct {
        sonde__balance rules;
        const char *words;
    } bad[] = {
        {{.mode = SONDE__BALANCE_CAPACITY, .low = 6}, "low can be at most 5"},
        {{.mode = SONDE__BALANCE_CAPACITY, .high = 5}, "high must be at least 6"},
        {{.mode = SONDE__BALANCE_HIERARCHICAL, .high = 5}, "high must be at least 6"},
        {{.mode = SONDE__BALANCE_SINKHORN, .masses = heavy}, "add up to 1.9"},
        {{.mode = SONDE__BALANCE_SINKHORN, .masses = empty}, "masses[0] is 0"},
        {{.mode = SONDE__BALANCE_SINKHORN, .eps = -1}, "eps=-1"},
        {{.mode = SONDE__BALANCE_SOFT, .lambda = NAN}, "lambda=nan"},
    };
    sonde__kmeans_options options = {.k = 7};
    for (size_t c = 0; c < sizeof bad / sizeof *bad; c++) {
        FAILS(sonde__assign_balanced(s.runtime, 0, s.x, 3, 40, 3, s.centroids, 7, &bad[c].rules, s.label, NULL),
              SONDE_INVALID_ARGUMENT, bad[c].words);
        FAILS(sonde__kmeans_balanced(s.runtime, s.x, 3, 40, 3, &options, &bad[c].rules, NULL, s.centroids, NULL, NULL,
                                     NULL),
              SONDE_INVALID_ARGUMENT, bad[c].words);
    }
    options.k = 41;
    for (size_t c = 0; c < ALL_RULES; c++)
        if (all_rules[c].low == 0)
            FAILS(sonde__kmeans_balanced(s.runtime, s.x, 3, 40, 3, &options, &all_rules[c], NULL, s.centroids, NULL,
                                         NULL, NULL),
                  SONDE_INVALID_ARGUMENT, "too few");
    scene_free(&s);
}

static sonde_status failing_scene(sonde_runtime_options *options)
{
    static float *x;
    sonde_runtime *runtime = NULL;
    float centroids[4 * 3];
    int32_t label[60];
    double prices[4];
    if (!x) x = zipf_vectors(60, 3, 4, 18);
    SONDE_TRY(sonde_runtime_create(options, &runtime));
    sonde_status status = SONDE_OK;
    for (size_t c = 0; c < ALL_RULES && status == SONDE_OK; c++) {
        sonde__kmeans_options how = {
            .k = 4, .iterations = 2, .spherical = c % 2 == 0, .sample = c == 1 ? 40 : 0, .threads = 1};
        sonde__balance rules = rules_of(c, 60, 4);
        status = sonde__kmeans_balanced(runtime, x, 3, 60, 3, &how, &rules, NULL, centroids, label, prices, NULL);
    }
    sonde_runtime_free(runtime);
    return status;
}

static void test_failing_memory(void **state)
{
    (void)state;
    assert_true(failing_walk(failing_scene) > 100);
}

/* A cancel at once: CANCELLED, and nothing was written. */
static void test_cancel(void **state)
{
    (void)state;
    float *x = zipf_vectors(2000, 4, 20, 19);
    for (size_t c = 0; c < ALL_RULES; c++) {
        sonde_runtime *runtime = runtime_of(2);
        sonde__kmeans_options options = {.k = 50, .iterations = 4};
        sonde__balance rules = rules_of(c, 2000, 50);
        float centroids[200];
        int32_t *label = test_alloc(2000, sizeof *label);
        for (int i = 0; i < 200; i++) centroids[i] = 7;
        label[0] = -5;
        sonde_runtime_cancel(runtime);
        FAILS(sonde__kmeans_balanced(runtime, x, 4, 2000, 4, &options, &rules, NULL, centroids, label, NULL, NULL),
              SONDE_CANCELLED, "");
        for (int i = 0; i < 200; i++) assert_true(centroids[i] == 7);
        assert_int_equal(label[0], -5);
        free(label);
        sonde_runtime_free(runtime);
    }
    free(x);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_flow_cost),
    cmocka_unit_test(test_brute_force),
    cmocka_unit_test(test_limits),
    cmocka_unit_test(test_flow_prices),
    cmocka_unit_test(test_many_groups),
    cmocka_unit_test(test_no_rule),
    cmocka_unit_test(test_none_is_kmeans),
    cmocka_unit_test(test_sinkhorn),
    cmocka_unit_test(test_sinkhorn_invariant),
    cmocka_unit_test(test_soft),
    cmocka_unit_test(test_clusterings),
    cmocka_unit_test(test_objective_falls),
    cmocka_unit_test(test_start),
    cmocka_unit_test(test_threads),
    cmocka_unit_test(test_refusals),
    cmocka_unit_test(test_failing_memory),
    cmocka_unit_test(test_cancel),
};

SONDE_TEST_MAIN(tests)
