/* kmeans.c: Lloyd's iterations.
 *
 * Each iteration finds the nearest centroid of every row (kmeans_search.c), moves each centroid to the weighted mean of
 * its rows, and gives each empty cluster a row (kmeans_start.c). Two things keep the early iterations cheap, when the
 * centroids are still far from where they will be:
 *   - An eighth of the iterations works on an eighth of the rows, an eighth on a quarter, an eighth on half of them,
 *     each time a prefix of the random order and only where it has KMEANS_ROWS_A_CENTROID rows for each centroid. From
 *     then on all rows take part, and the objective falls with every iteration.
 *   - After the first move, when centroids have become means, neighbours are put into the same panel.
 * Afterwards the labels are settled: every cluster has at least one row that was compared with all centroids, empty
 * clusters get rows, and the objective is measured with the final centroids.
 *
 * Same bytes for any number of threads: rows are sorted by label, and one worker sums each cluster in row order, in f32
 * over runs of KMEANS_RUN rows and in double over the runs.
 *
 * Memory beside the centroids: a copy of the rows, 16 bytes a row, and the bounds. Cost of one iteration: the share of
 * n k d products that the bounds leave over (its measure is in kmeans_search.c), and three passes over the rows.
 * Source: Lloyd, "Least squares quantization in PCM", IEEE Trans. Inf. Theory 28, 1982.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdio.h>

#include "linalg/kmeans.h"

enum {
    KMEANS_ROWS_A_CENTROID = 32,
    KMEANS_RUN = 64,
    MOVE_GRAIN = 4,
    SETTLE_ROUNDS = 50,
    HIERARCHICAL_LEAST = 64
};

/* All that one training holds. Numbers of centroids are those of search: kmeans_regroup changes them. */
typedef struct kmeans_run {
    sonde_runtime *runtime;
    const sonde__kmeans_options *options;
    int iterations;
    int64_t k, d, active; /* rows [0, active) take part */
    sonde__kmeans_rows rows;
    sonde__kmeans_spread spread;
    sonde__kmeans_search *search;
    float *centroids, *before;
    bool *jumped;           /* given a new place because they were empty */
    int64_t *begin, *order; /* rows sorted by label */
    float *run_sums;        /* d for each worker */
    double *sums;           /* d for each worker */
    int64_t mended;
    char stage[64];
} kmeans_run;

void sonde__kmeans_sort(const int32_t *label, int64_t n, int64_t k, int64_t *begin, int64_t *order)
{
    memset(begin, 0, (size_t)(k + 1) * sizeof *begin);
    for (int64_t i = 0; i < n; i++) begin[label[i] + 1]++;
    for (int64_t j = 0; j < k; j++) begin[j + 1] += begin[j];
    for (int64_t i = 0; i < n; i++) order[begin[label[i]]++] = i;
    /* Each begin[j] has walked to begin[j + 1]. */
    memmove(begin + 1, begin, (size_t)k * sizeof *begin);
    begin[0] = 0;
}

/* ---- moving ----------------------------------------------------------------------------------------------------- */

static double kmeans_weight(const kmeans_run *run, int64_t row)
{
    return run->rows.weight ? run->rows.weight[row] : 1;
}

static void kmeans_add_row(float weight, const float *restrict x, int64_t d, float *restrict sum)
{
    for (int64_t t = 0; t < d; t++) sum[t] += weight * x[t];
}

/* Sums the rows of cluster j in double; returns their weight. */
static double kmeans_sum(const kmeans_run *run, int64_t j, float *run_sum, double *sum)
{
    int64_t d = run->d;
    double weight = 0;
    memset(sum, 0, (size_t)d * sizeof *sum);
    for (int64_t at = run->begin[j]; at < run->begin[j + 1]; at += KMEANS_RUN) {
        int64_t end = sonde__min_i64(at + KMEANS_RUN, run->begin[j + 1]);
        memset(run_sum, 0, (size_t)d * sizeof *run_sum);
        for (int64_t i = at; i < end; i++) {
            int64_t row = run->order[i];
            weight += kmeans_weight(run, row);
            kmeans_add_row((float)kmeans_weight(run, row), run->rows.x + row * d, d, run_sum);
        }
        for (int64_t t = 0; t < d; t++) sum[t] += (double)run_sum[t];
    }
    return weight;
}

/* Each centroid belongs to one worker, which marks it if no row gives it a place. */
static sonde_status kmeans_move_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    kmeans_run *run = context;
    int64_t d = run->d;
    double *sum = run->sums + worker * d;
    for (int64_t j = begin; j < end; j++) {
        float *centroid = run->centroids + j * d;
        double weight = kmeans_sum(run, j, run->run_sums + worker * d, sum);
        run->jumped[j] = !(weight > 0);
        if (run->jumped[j]) continue;
        for (int64_t t = 0; t < d; t++) centroid[t] = (float)(sum[t] / weight);
        /* Rows that cancel out leave no direction; the old one is as good as any. */
        if (run->options->spherical && !sonde__kmeans_unit(centroid, d))
            memcpy(centroid, run->before + j * d, (size_t)d * sizeof *centroid);
    }
    return SONDE_OK;
}

/* Gives every cluster marked in `jumped` a row far from the centroids; unmarks those for which there is none. */
static sonde_status kmeans_mend(kmeans_run *run)
{
    double total;
    bool found = true;
    int64_t first = 0;
    while (first < run->k && !run->jumped[first]) first++;
    if (first == run->k) return SONDE_OK;
    SONDE_TRY(sonde__kmeans_spread_measure(&run->spread, run->active, sonde__kmeans_search_label(run->search),
                                           run->centroids, &total));
    for (int64_t j = first; j < run->k; j++) {
        if (!run->jumped[j]) continue;
        if (found) SONDE_TRY(sonde__kmeans_spread_next(&run->spread, run->centroids + j * run->d, &found));
        run->jumped[j] = found;
        run->mended += found;
    }
    return SONDE_OK;
}

/* From labels to new centroids and what they mean for the bounds. */
static sonde_status kmeans_move(kmeans_run *run)
{
    memcpy(run->before, run->centroids, (size_t)(run->k * run->d) * sizeof *run->before);
    sonde__kmeans_sort(sonde__kmeans_search_label(run->search), run->active, run->k, run->begin, run->order);
    SONDE_TRY(sonde__parallel_for(run->runtime, run->options->threads, run->k, MOVE_GRAIN, NULL,
                                  kmeans_move_chunk, run));
    SONDE_TRY(kmeans_mend(run));
    sonde__kmeans_search_moved(run->search, run->before, run->centroids, run->jumped);
    return SONDE_OK;
}

/* Exactly the same centroids give the same labels: nothing will change any more. */
static bool kmeans_stands_still(const kmeans_run *run)
{
    return memcmp(run->before, run->centroids, (size_t)(run->k * run->d) * sizeof *run->before) == 0;
}

/* ---- iterations ------------------------------------------------------------------------------------------------- */

/* How many rows take part in an iteration. A stage with too few rows for its centroids is left out. */
static int64_t kmeans_rows_at(const kmeans_run *run, int iteration)
{
    int rounds = run->iterations / 8;
    for (int shift = 3; shift >= 1; shift--) {
        int64_t some = run->rows.n >> shift;
        if (some / KMEANS_ROWS_A_CENTROID < run->k) continue;
        if (iteration < rounds) return some;
        iteration -= rounds;
    }
    return run->rows.n;
}

/* Neighbours into the same panel. Every number changes, so every row is forgotten. */
static sonde_status kmeans_regroup(kmeans_run *run)
{
    SONDE_TRY(sonde__kmeans_group(run->runtime, run->k, run->d, sonde__kernels_get()->lanes, run->centroids));
    sonde__kmeans_search_moved(run->search, NULL, run->centroids, NULL);
    for (int64_t i = 0; i < run->active; i++) sonde__kmeans_search_forget(run->search, i);
    return SONDE_OK;
}

/* The very first move, from rows to means, is long and goes one way: all inwards. No discount holds for it. */
static sonde_status kmeans_iterate(kmeans_run *run)
{
    bool still = false;
    int done = 0;
    for (; done < run->iterations && !still; done++) {
        snprintf(run->stage, sizeof run->stage, "%s, iteration %d of %d",
                 run->options->stage ? run->options->stage : "k-means", done + 1, run->iterations);
        if (done == 1 && sonde__kmeans_search_guesses(run->search)) SONDE_TRY(kmeans_regroup(run));
        run->active = kmeans_rows_at(run, done);
        SONDE_TRY(sonde__kmeans_search_pass(run->search, run->active, run->stage));
        SONDE_TRY(kmeans_move(run));
        still = run->active == run->rows.n && kmeans_stands_still(run);
    }
    run->iterations = done;
    return SONDE_OK;
}

/* Of each cluster the row nearest to its centroid forgets its bounds; its number goes to run->begin (-1: empty). */
static void kmeans_forget_nearest(kmeans_run *run)
{
    int32_t *label = sonde__kmeans_search_label(run->search);
    int64_t *nearest = run->begin;
    for (int64_t j = 0; j < run->k; j++) nearest[j] = -1;
    for (int64_t i = 0; i < run->active; i++) {
        int64_t *best = nearest + label[i];
        if (*best < 0 ||
            sonde__kmeans_search_upper(run->search, i) < sonde__kmeans_search_upper(run->search, *best))
            *best = i;
    }
    for (int64_t j = 0; j < run->k; j++)
        if (nearest[j] >= 0) sonde__kmeans_search_forget(run->search, nearest[j]);
}

/* A pass after which no cluster owes all of its rows to bounds that were guessed. */
static sonde_status kmeans_settle_labels(kmeans_run *run)
{
    if (!sonde__kmeans_search_guesses(run->search))
        return sonde__kmeans_search_pass(run->search, run->active, run->stage);
    int32_t *label = sonde__kmeans_search_label(run->search);
    int64_t *nearest = run->begin;
    bool all_sure = true;
    kmeans_forget_nearest(run);
    SONDE_TRY(sonde__kmeans_search_pass(run->search, run->active, run->stage));
    for (int64_t i = 0; i < run->active; i++) {
        int64_t sure = nearest[label[i]];
        if (sure >= 0 && (sure == i || label[sure] == label[i])) continue;
        all_sure = false;
        sonde__kmeans_search_forget(run->search, i);
    }
    return all_sure ? SONDE_OK : sonde__kmeans_search_pass(run->search, run->active, run->stage);
}

/* Marks clusters without rows (or whose rows weigh nothing); false if there are none. */
static bool kmeans_find_empty(kmeans_run *run)
{
    const int32_t *label = sonde__kmeans_search_label(run->search);
    bool any = false;
    for (int64_t j = 0; j < run->k; j++) run->jumped[j] = true;
    for (int64_t i = 0; i < run->active; i++)
        if (kmeans_weight(run, i) > 0) run->jumped[label[i]] = false;
    for (int64_t j = 0; j < run->k; j++) any = any || run->jumped[j];
    return any;
}

/* Each round lowers the objective, so the rounds end; the bound is for rows that differ by less than rounding. */
static sonde_status kmeans_settle(kmeans_run *run)
{
    for (int round = 0; round < SETTLE_ROUNDS; round++) {
        SONDE_TRY(kmeans_settle_labels(run));
        if (!kmeans_find_empty(run)) return SONDE_OK;
        int64_t before = run->mended;
        memcpy(run->before, run->centroids, (size_t)(run->k * run->d) * sizeof *run->before);
        SONDE_TRY(kmeans_mend(run));
        if (run->mended == before) return SONDE_OK;
        sonde__kmeans_search_moved(run->search, run->before, run->centroids, run->jumped);
    }
    return SONDE_OK;
}

/* ---- the door --------------------------------------------------------------------------------------------------- */

static sonde_status kmeans_allocate(kmeans_run *run)
{
    sonde_runtime *runtime = run->runtime;
    int threads = run->options->threads,
        workers = sonde__parallel_workers(runtime, threads, run->k, MOVE_GRAIN);
    SONDE_TRY(sonde__kmeans_spread_create(runtime, threads, &run->rows, run->options->seed, &run->spread));
    SONDE_TRY(sonde__kmeans_search_create(runtime, threads, &run->rows, run->k, &run->search));
    SONDE_TRY(SONDE_NEW(runtime, run->centroids, run->k * run->d));
    SONDE_TRY(SONDE_NEW(runtime, run->before, run->k * run->d));
    SONDE_TRY(SONDE_NEW_ZERO(runtime, run->jumped, run->k));
    SONDE_TRY(SONDE_NEW(runtime, run->begin, run->k + 1));
    SONDE_TRY(SONDE_NEW(runtime, run->order, run->rows.n));
    SONDE_TRY(SONDE_NEW(runtime, run->run_sums, workers * run->d));
    return SONDE_NEW(runtime, run->sums, workers * run->d);
}

static void kmeans_free(kmeans_run *run)
{
    sonde__free(run->runtime, run->sums);
    sonde__free(run->runtime, run->run_sums);
    sonde__free(run->runtime, run->order);
    sonde__free(run->runtime, run->begin);
    sonde__free(run->runtime, run->jumped);
    sonde__free(run->runtime, run->before);
    sonde__free(run->runtime, run->centroids);
    sonde__kmeans_search_free(run->search);
    if (run->spread.runtime) sonde__kmeans_spread_drop(&run->spread);
    sonde__kmeans_rows_drop(run->runtime, &run->rows);
}

/* Rows of zeros have no direction; as a spherical start they become a coordinate axis. */
static sonde_status kmeans_begin(kmeans_run *run, const float *start)
{
    if (start) memcpy(run->centroids, start, (size_t)(run->k * run->d) * sizeof *start);
    else
        SONDE_TRY(
            sonde__kmeans_spread_start(&run->spread, kmeans_rows_at(run, 0), run->options, run->centroids));
    for (int64_t j = 0; run->options->spherical && j < run->k; j++)
        if (!sonde__kmeans_unit(run->centroids + j * run->d, run->d))
            run->centroids[j * run->d + j % run->d] = 1;
    sonde__kmeans_search_moved(run->search, NULL, run->centroids, NULL);
    return SONDE_OK;
}

/* Spherical: w (1 - <x, c>) = w (1 - |x|) + w |x| |x / |x| - c|^2 / 2. */
static sonde_status kmeans_tell(kmeans_run *run, sonde__kmeans_report *report)
{
    int64_t computed, plain;
    double total;
    SONDE_TRY(sonde__kmeans_spread_measure(&run->spread, run->active, sonde__kmeans_search_label(run->search),
                                           run->centroids, &total));
    sonde__kmeans_search_count(run->search, &computed, &plain);
    report->objective = run->options->spherical ? run->rows.constant + total / 2 : total;
    report->iterations = run->iterations;
    report->mended = run->mended;
    report->scanned = (double)computed / (double)plain;
    return SONDE_OK;
}

sonde_status sonde__kmeans_train(sonde_runtime *runtime, const float *x, int64_t ldx, int64_t n, int64_t d,
                                 const sonde__kmeans_options *options, const float *start, float *centroids,
                                 sonde__kmeans_report *report)
{
    kmeans_run run = {.runtime = runtime, .options = options, .k = options->k, .d = d};
    sonde__kmeans_report facts = {0};
    run.iterations = options->iterations > 0 ? options->iterations : 10;
    sonde_status status = sonde__kmeans_rows_take(runtime, x, ldx, n, d, options, &run.rows);
    if (status == SONDE_OK) status = kmeans_allocate(&run);
    if (status == SONDE_OK) status = kmeans_begin(&run, start);
    if (status == SONDE_OK) status = kmeans_iterate(&run);
    if (status == SONDE_OK) status = kmeans_settle(&run);
    if (status == SONDE_OK && report) status = kmeans_tell(&run, &facts);
    if (status == SONDE_OK) {
        memcpy(centroids, run.centroids, (size_t)(run.k * d) * sizeof *centroids);
        if (report) *report = facts;
    }
    kmeans_free(&run);
    return status;
}

sonde_status sonde__kmeans(sonde_runtime *runtime, const float *x, int64_t ldx, int64_t n, int64_t d,
                           const sonde__kmeans_options *options, float *centroids, sonde__kmeans_report *report)
{
    const char *stage = options->stage ? options->stage : "k-means";
    if (options->k < 1 || options->k > INT32_MAX)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: k=%lld, expected 1 to %d", stage, (long long)options->k,
                           INT32_MAX);
    if (n < options->k)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "%s: %lld rows are too few for %lld centroids; give at least as many", stage,
                           (long long)n, (long long)options->k);
    if (options->hierarchical && options->k >= HIERARCHICAL_LEAST)
        return sonde__kmeans_two_levels(runtime, x, ldx, n, d, options, centroids, report);
    return sonde__kmeans_train(runtime, x, ldx, n, d, options, NULL, centroids, report);
}
