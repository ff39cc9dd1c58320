/* balance.c: clustering with control over the sizes of the groups.
 *
 * k-means in two steps that alternate: give every row a group under the rule, move every centroid to the mean of its
 * rows. Only the first step differs between the rules, and each lives in a file of its own (balance_parts.h lists
 * them). What they have in common is a price for each group: under prices, a row belongs to argmin_j D_ij -
 * prices[j].
 *
 * The iterations begin with plain k-means (half of them: it prunes, so they are cheap, and its centroids are a good
 * start), then follow the rule, prices kept as the guess for the next, until no label changes or the objective falls
 * by less than BALANCE_GAIN. Hierarchical splits need no iterations. The labels that are given out are those of all
 * rows under the final centroids, so hard limits hold for exactly these rows.
 * Sources: Bradley, Bennett, Demiriz, "Constrained K-Means Clustering", 2000; Malinen, Franti, "Balanced K-Means",
 * 2014.
 *
 * Weights of rows count in the means and the objective; sizes count rows.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdio.h>

#include "linalg/balance_parts.h"

static const double BALANCE_GAIN = 1e-4, BALANCE_SUM_ERROR = 1e-6;

/* ---- rules ------------------------------------------------------------------------------------------------------ */

static sonde_status balance_check_masses(const double *masses, int64_t k)
{
    double sum = 0;
    for (int64_t j = 0; masses && j < k; j++) {
        if (!(masses[j] > 0) || !isfinite(masses[j]))
            return sonde__fail(SONDE_INVALID_ARGUMENT, "balance: masses[%lld] is %g, expected more than 0",
                               (long long)j, masses[j]);
        sum += masses[j];
    }
    if (masses && fabs(sum - 1) > BALANCE_SUM_ERROR)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "balance: masses add up to %.9g, expected 1", sum);
    return SONDE_OK;
}

static bool balance_is_hard(const sonde__balance *rules)
{
    return rules->mode == SONDE__BALANCE_CAPACITY || rules->mode == SONDE__BALANCE_HIERARCHICAL;
}

/* The limits of each group for n rows. */
static void balance_limits(const sonde__balance *rules, int64_t n, int64_t k, int64_t *low, int64_t *high)
{
    int64_t mean = n / k, above = mean + (n % k > 0);
    if (rules->mode == SONDE__BALANCE_CAPACITY) {
        *low = rules->low ? rules->low : rules->high ? 0 : mean;
        *high = rules->high ? rules->high : rules->low ? n : above;
    } else {
        *low = 0;
        *high = rules->high ? rules->high : 2 * above;
    }
    *high = sonde__min_i64(*high, n);
}

/* Whether n rows in k groups can keep the rules. */
static sonde_status balance_check(const sonde__balance *rules, int64_t n, int64_t k)
{
    int64_t low, high;
    if (k < 1 || k > INT32_MAX)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "balance: k=%lld, expected 1 to %d", (long long)k, INT32_MAX);
    if (n < 1) return sonde__fail(SONDE_INVALID_ARGUMENT, "balance: there are no rows");
    SONDE_TRY(balance_check_masses(rules->masses, k));
    if (!(rules->eps >= 0) || !isfinite(rules->eps) || !isfinite(rules->lambda))
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "balance: eps=%g, lambda=%g; expected finite numbers, eps at least 0", rules->eps,
                           rules->lambda);
    if (!balance_is_hard(rules)) return SONDE_OK;
    balance_limits(rules, n, k, &low, &high);
    if (low < 0 || low > n / k || high < low || high < (n + k - 1) / k)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "balance: %lld rows in %lld groups cannot keep low=%lld, high=%lld; low can be at most "
                           "%lld, high must be at least %lld",
                           (long long)n, (long long)k, (long long)low, (long long)high, (long long)(n / k),
                           (long long)((n + k - 1) / k));
    return SONDE_OK;
}

/* ---- one assignment --------------------------------------------------------------------------------------------- */

static sonde_status balance_plain(sonde__balance_task *task, int32_t *label, double *prices)
{
    memset(prices, 0, (size_t)task->k * sizeof *prices);
    return sonde__assign(task->runtime, task->threads, task->x, task->ldx, task->n, task->d, task->centroids, task->k,
                         false, label, NULL);
}

/* Rows within given centroids have no tree: only its limit. */
static const sonde__balance_fn balance_modes[] = {
    [SONDE__BALANCE_NONE] = balance_plain,
    [SONDE__BALANCE_SOFT] = sonde__balance_soft,
    [SONDE__BALANCE_SINKHORN] = sonde__balance_sinkhorn,
    [SONDE__BALANCE_CAPACITY] = sonde__balance_capacity,
    [SONDE__BALANCE_HIERARCHICAL] = sonde__balance_capacity,
};

/* prices: in, a guess (0 where there is none); out, what the mode found. */
static sonde_status balance_assign(sonde__balance_task *task, int32_t *label, double *prices)
{
    int64_t *limits, low, high;
    if (!balance_is_hard(task->rules)) return balance_modes[task->rules->mode](task, label, prices);
    SONDE_TRY(SONDE_NEW(task->runtime, limits, 2 * task->k));
    balance_limits(task->rules, task->n, task->k, &low, &high);
    for (int64_t j = 0; j < task->k; j++) {
        limits[j] = low;
        limits[task->k + j] = high;
    }
    task->low = limits;
    task->high = limits + task->k;
    sonde_status status = balance_modes[task->rules->mode](task, label, prices);
    sonde__free(task->runtime, limits);
    return status;
}

sonde_status sonde__assign_balanced(sonde_runtime *runtime, int threads, const float *x, int64_t ldx, int64_t n,
                                    int64_t d, const float *centroids, int64_t k, const sonde__balance *balance,
                                    int32_t *labels, double *prices)
{
    sonde__balance_task task = {.runtime = runtime,
                                .threads = threads,
                                .x = x,
                                .ldx = ldx,
                                .n = n,
                                .d = d,
                                .centroids = centroids,
                                .k = k,
                                .rules = balance};
    int32_t *label = NULL;
    double *price = NULL;
    SONDE_TRY(balance_check(balance, n, k));
    sonde_status status = SONDE_NEW(runtime, label, n);
    if (status == SONDE_OK) status = SONDE_NEW_ZERO(runtime, price, k);
    if (status == SONDE_OK) status = balance_assign(&task, label, price);
    if (status == SONDE_OK) {
        memcpy(labels, label, (size_t)n * sizeof *label);
        if (prices) memcpy(prices, price, (size_t)k * sizeof *price);
    }
    sonde__free(runtime, price);
    sonde__free(runtime, label);
    return status;
}

/* ---- iterations ------------------------------------------------------------------------------------------------- */

/* All that one clustering holds. */
typedef struct balance_run {
    sonde_runtime *runtime;
    const sonde__kmeans_options *options;
    sonde__balance rules; /* as the rows in hand have to keep them */
    sonde__balance_rows rows;
    int64_t d;
    double lambda;
    float *centroids;        /* k x d */
    double *prices;          /* k */
    int32_t *label, *before; /* one for each row in hand */
    sonde__kmeans_report facts;
} balance_run;

static sonde__balance_task balance_task_of(balance_run *run)
{
    return (sonde__balance_task){.runtime = run->runtime,
                                 .threads = run->options->threads,
                                 .x = run->rows.x,
                                 .ldx = run->rows.ldx,
                                 .n = run->rows.n,
                                 .d = run->d,
                                 .centroids = run->centroids,
                                 .k = run->options->k,
                                 .rules = &run->rules,
                                 .lambda = run->lambda};
}

static sonde_status balance_label(balance_run *run)
{
    sonde__balance_task task = balance_task_of(run);
    SONDE_TRY(balance_assign(&task, run->label, run->prices));
    run->lambda = task.lambda;
    return SONDE_OK;
}

/* Plain k-means, whose centroids are the start of the rule. */
static sonde_status balance_begin(balance_run *run, int iterations, const float *start)
{
    sonde__kmeans_options plain = *run->options;
    plain.iterations = (iterations + 1) / 2;
    plain.weights = run->rows.weight;
    plain.sample = 0;
    return sonde__kmeans_train(run->runtime, run->rows.x, run->rows.ldx, run->rows.n, run->d, &plain, start,
                               run->centroids, &run->facts);
}

/* Ends with the labels that belong to the centroids. */
static sonde_status balance_iterate(balance_run *run, int iterations)
{
    size_t bytes = (size_t)run->rows.n * sizeof *run->label;
    double last = INFINITY;
    char stage[64];
    SONDE_TRY(balance_label(run));
    for (int done = 0; done < iterations; done++) {
        snprintf(stage, sizeof stage, "%s, balanced iteration %d of %d",
                 run->options->stage ? run->options->stage : "k-means", done + 1, iterations);
        SONDE_TRY(sonde__poll(run->runtime, stage, (uint64_t)done, (uint64_t)iterations));
        memcpy(run->before, run->label, bytes);
        SONDE_TRY(sonde__balance_means(run->runtime, run->options, &run->rows, run->label, run->centroids,
                                       &run->facts.mended));
        SONDE_TRY(balance_label(run));
        SONDE_TRY(sonde__balance_objective(run->runtime, run->options, &run->rows, run->label, run->centroids,
                                           &run->facts.objective));
        run->facts.iterations++;
        if (memcmp(run->before, run->label, bytes) == 0) break;
        if (done > 0 && fabs(last - run->facts.objective) <= BALANCE_GAIN * last) break;
        last = run->facts.objective;
    }
    return SONDE_OK;
}

/* Splits, and then the means of the parts. */
static sonde_status balance_split(balance_run *run)
{
    int64_t low, high;
    balance_limits(&run->rules, run->rows.n, run->options->k, &low, &high);
    SONDE_TRY(sonde__balance_tree(run->runtime, run->options, &run->rows, high, run->label));
    run->facts.iterations = 1;
    SONDE_TRY(
        sonde__balance_means(run->runtime, run->options, &run->rows, run->label, run->centroids, &run->facts.mended));
    return sonde__balance_objective(run->runtime, run->options, &run->rows, run->label, run->centroids,
                                    &run->facts.objective);
}

/* A sample of m of n rows keeps the same limits, scaled. */
static void balance_scale(sonde__balance *rules, int64_t m, int64_t n)
{
    double share = (double)m / (double)n;
    if (rules->low > 0 && rules->high == 0) rules->high = n;
    rules->low = (int64_t)floor((double)rules->low * share);
    rules->high = (int64_t)ceil((double)rules->high * share);
    rules->lambda /= share;
}

/* All rows under what a sample has learned. */
static sonde_status balance_label_all(balance_run *run, const float *x, int64_t ldx, int64_t n,
                                      const sonde__balance *rules)
{
    sonde__balance_rows_drop(run->runtime, &run->rows);
    SONDE_TRY(sonde__balance_rows_take(run->runtime, x, ldx, n, run->d, run->options, true, &run->rows));
    sonde__free(run->runtime, run->label);
    run->label = NULL;
    SONDE_TRY(SONDE_NEW(run->runtime, run->label, n));
    run->rules = *rules;
    run->lambda = 0;
    return balance_label(run);
}

static sonde_status balance_train(balance_run *run, const float *start)
{
    int iterations = run->options->iterations > 0 ? run->options->iterations : 10;
    sonde_runtime *runtime = run->runtime;
    SONDE_TRY(SONDE_NEW(runtime, run->centroids, run->options->k * run->d));
    SONDE_TRY(SONDE_NEW_ZERO(runtime, run->prices, run->options->k));
    SONDE_TRY(SONDE_NEW(runtime, run->label, run->rows.n));
    SONDE_TRY(SONDE_NEW(runtime, run->before, run->rows.n));
    run->facts.scanned = 1;
    if (run->rules.mode == SONDE__BALANCE_HIERARCHICAL) {
        memset(run->centroids, 0, (size_t)(run->options->k * run->d) * sizeof *run->centroids);
        return balance_split(run);
    }
    SONDE_TRY(balance_begin(run, iterations, start));
    return balance_iterate(run, iterations - (iterations + 1) / 2 + 1);
}

static sonde_status balance_cluster(balance_run *run, const float *x, int64_t ldx, int64_t n,
                                    const sonde__balance *rules, const float *start, bool all)
{
    SONDE_TRY(sonde__balance_rows_take(run->runtime, x, ldx, n, run->d, run->options, false, &run->rows));
    run->rules = *rules;
    if (run->rows.n < n) balance_scale(&run->rules, run->rows.n, n);
    SONDE_TRY(balance_check(&run->rules, run->rows.n, run->options->k));
    SONDE_TRY(balance_train(run, start));
    return all && run->rows.n < n ? balance_label_all(run, x, ldx, n, rules) : SONDE_OK;
}

/* No rule: plain k-means and its labels. */
static sonde_status balance_none(sonde_runtime *runtime, const float *x, int64_t ldx, int64_t n, int64_t d,
                                 const sonde__kmeans_options *options, const float *start, float *centroids,
                                 int32_t *labels, double *prices, sonde__kmeans_report *report)
{
    if (start) SONDE_TRY(sonde__kmeans_train(runtime, x, ldx, n, d, options, start, centroids, report));
    else SONDE_TRY(sonde__kmeans(runtime, x, ldx, n, d, options, centroids, report));
    if (prices) memset(prices, 0, (size_t)options->k * sizeof *prices);
    if (!labels) return SONDE_OK;
    return sonde__assign(runtime, options->threads, x, ldx, n, d, centroids, options->k, options->spherical, labels,
                         NULL);
}

sonde_status sonde__kmeans_balanced(sonde_runtime *runtime, const float *x, int64_t ldx, int64_t n, int64_t d,
                                    const sonde__kmeans_options *options, const sonde__balance *balance,
                                    const float *start, float *centroids, int32_t *labels, double *prices,
                                    sonde__kmeans_report *report)
{
    balance_run run = {.runtime = runtime, .options = options, .d = d};
    if (balance->mode == SONDE__BALANCE_NONE && !start)
        return balance_none(runtime, x, ldx, n, d, options, start, centroids, labels, prices, report);
    SONDE_TRY(balance_check(balance, n, options->k));
    if (n < options->k)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "balance: %lld rows are too few for %lld groups; give at least as many", (long long)n,
                           (long long)options->k);
    if (balance->mode == SONDE__BALANCE_NONE)
        return balance_none(runtime, x, ldx, n, d, options, start, centroids, labels, prices, report);
    sonde_status status = balance_cluster(&run, x, ldx, n, balance, start, labels || prices);
    if (status == SONDE_OK) {
        memcpy(centroids, run.centroids, (size_t)(options->k * d) * sizeof *centroids);
        if (labels) memcpy(labels, run.label, (size_t)n * sizeof *labels);
        if (prices) memcpy(prices, run.prices, (size_t)options->k * sizeof *prices);
        if (report) *report = run.facts;
    }
    sonde__free(runtime, run.before);
    sonde__free(runtime, run.label);
    sonde__free(runtime, run.prices);
    sonde__free(runtime, run.centroids);
    sonde__balance_rows_drop(runtime, &run.rows);
    return status;
}
