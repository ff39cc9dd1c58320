/* kmeans_hierarchical.c: many centroids at the price of few.
 *
 * About sqrt(k) cells first; then each cell is clustered alone, with a share of the centroids that is proportional to
 * its rows; one full iteration at the end lets rows cross the borders of the cells. The cost of the first two levels is
 * n d sqrt(k) an iteration each; the last iteration costs n d k once. The objective is one to a few per cent above
 * that of plain k-means.
 *
 * Cells run in parallel, one worker a cell; each is a k-means of its own, so threads change nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdlib.h>

#include "linalg/kmeans.h"

typedef struct two_levels {
    sonde_runtime *runtime;
    const sonde__kmeans_options *options;
    const sonde__kmeans_rows *rows;
    int64_t cells;
    float *cell_centroids;
    int32_t *label;
    int64_t *begin, *order; /* rows sorted by cell */
    int64_t *place;         /* cell c has centroids place[c] .. place[c + 1] */
    float *centroids;
} two_levels;

/* Largest remainders: every cell gets floor(k size / n), what is left goes to the largest fractions, and no cell gets
 * more than it has rows or, if it has any, less than one. */
typedef struct cell_claim {
    double fraction;
    int64_t cell;
} cell_claim;

static int cell_by_fraction(const void *a, const void *b)
{
    const cell_claim *x = a, *y = b;
    if (x->fraction != y->fraction) return x->fraction > y->fraction ? -1 : 1;
    return x->cell < y->cell ? -1 : 1;
}

static int64_t cell_size(const two_levels *work, int64_t cell)
{
    return work->begin[cell + 1] - work->begin[cell];
}

/* Turns shares into places. Shares that do not add up to k are mended one by one, in the order of the claims. */
static void cell_fix_shares(const two_levels *work, const cell_claim *claims, int64_t *share)
{
    int64_t left = work->options->k;
    for (int64_t c = 0; c < work->cells; c++) left -= share[c];
    for (int64_t i = 0; left != 0; i = (i + 1) % work->cells) {
        int64_t cell = left > 0 ? claims[i].cell : claims[work->cells - 1 - i].cell;
        if (left > 0 && share[cell] < cell_size(work, cell)) share[cell]++, left--;
        else if (left < 0 && share[cell] > 1) share[cell]--, left++;
    }
}

/* place first holds the shares, one place further on; adding them up makes places of them. */
static sonde_status cell_share_out(two_levels *work)
{
    cell_claim *claims;
    int64_t *share = work->place + 1;
    SONDE_TRY(SONDE_NEW(work->runtime, claims, work->cells));
    for (int64_t c = 0; c < work->cells; c++) {
        int64_t size = cell_size(work, c);
        double wanted = (double)work->options->k * (double)size / (double)work->rows->n;
        share[c] = sonde__min_i64(size, sonde__max_i64((int64_t)wanted, size > 0));
        claims[c] = (cell_claim){wanted - (double)share[c], c};
    }
    qsort(claims, (size_t)work->cells, sizeof *claims, cell_by_fraction);
    cell_fix_shares(work, claims, share);
    sonde__free(work->runtime, claims);
    work->place[0] = 0;
    for (int64_t c = 0; c < work->cells; c++) work->place[c + 1] += work->place[c];
    return SONDE_OK;
}

/* Clusters one cell; x and weight are room for its rows. Each cell draws from a seed of its own. */
static sonde_status cell_cluster(two_levels *work, int64_t cell, float *x, float *weight)
{
    int64_t d = work->rows->d, size = cell_size(work, cell);
    const int64_t *order = work->order + work->begin[cell];
    for (int64_t i = 0; i < size; i++) {
        memcpy(x + i * d, work->rows->x + order[i] * d, (size_t)d * sizeof *x);
        if (weight) weight[i] = work->rows->weight[order[i]];
    }
    sonde__kmeans_options options = *work->options;
    options.k = work->place[cell + 1] - work->place[cell];
    options.seed += (uint64_t)cell + 1;
    options.weights = weight;
    options.hierarchical = false;
    options.sample = 0;
    return sonde__kmeans_train(work->runtime, x, d, size, d, &options, NULL,
                               work->centroids + work->place[cell] * d, NULL);
}

static sonde_status cell_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    two_levels *work = context;
    for (int64_t cell = begin; cell < end; cell++) {
        int64_t size = cell_size(work, cell);
        float *x = NULL, *weight = NULL;
        if (work->place[cell] == work->place[cell + 1]) continue;
        sonde_status status = SONDE_NEW(work->runtime, x, size * work->rows->d);
        if (status == SONDE_OK && work->rows->weight) status = SONDE_NEW(work->runtime, weight, size);
        if (status == SONDE_OK) status = cell_cluster(work, cell, x, weight);
        sonde__free(work->runtime, weight);
        sonde__free(work->runtime, x);
        if (status != SONDE_OK) return status;
    }
    return SONDE_OK;
}

/* Labels by a plain search: they decide which rows a cell may use, and bounds that were guessed save nothing here. */
static sonde_status levels_first(two_levels *work)
{
    const sonde__kmeans_rows *rows = work->rows;
    sonde__kmeans_options options = *work->options;
    options.k = work->cells;
    options.hierarchical = false;
    options.weights = rows->weight;
    options.sample = 0;
    SONDE_TRY(sonde__kmeans_train(work->runtime, rows->x, rows->d, rows->n, rows->d, &options, NULL,
                                  work->cell_centroids, NULL));
    SONDE_TRY(sonde__assign(work->runtime, options.threads, rows->x, rows->d, rows->n, rows->d,
                            work->cell_centroids, work->cells, options.spherical, work->label, NULL));
    sonde__kmeans_sort(work->label, rows->n, work->cells, work->begin, work->order);
    return SONDE_OK;
}

static sonde_status levels_allocate(two_levels *work)
{
    SONDE_TRY(SONDE_NEW(work->runtime, work->cell_centroids, work->cells * work->rows->d));
    SONDE_TRY(SONDE_NEW(work->runtime, work->label, work->rows->n));
    SONDE_TRY(SONDE_NEW(work->runtime, work->begin, work->cells + 1));
    SONDE_TRY(SONDE_NEW(work->runtime, work->order, work->rows->n));
    SONDE_TRY(SONDE_NEW(work->runtime, work->place, work->cells + 1));
    return SONDE_NEW(work->runtime, work->centroids, work->options->k * work->rows->d);
}

/* Leaves the centroids of all cells in work->centroids, cell by cell. */
static sonde_status levels_both(two_levels *work)
{
    SONDE_TRY(levels_allocate(work));
    SONDE_TRY(levels_first(work));
    SONDE_TRY(cell_share_out(work));
    return sonde__parallel_for(work->runtime, work->options->threads, work->cells, 1, work->options->stage,
                               cell_chunk, work);
}

sonde_status sonde__kmeans_two_levels(sonde_runtime *runtime, const float *x, int64_t ldx, int64_t n, int64_t d,
                                      const sonde__kmeans_options *options, float *centroids,
                                      sonde__kmeans_report *report)
{
    sonde__kmeans_rows rows;
    SONDE_TRY(sonde__kmeans_rows_take(runtime, x, ldx, n, d, options, &rows));
    two_levels work = {.runtime = runtime, .options = options, .rows = &rows};
    work.cells = (int64_t)(sqrt((double)options->k) + 0.5);
    sonde_status status = levels_both(&work);
    if (status == SONDE_OK) {
        sonde__kmeans_options last = *options;
        last.iterations = 1;
        status = sonde__kmeans_train(runtime, x, ldx, n, d, &last, work.centroids, centroids, report);
    }
    sonde__free(runtime, work.cell_centroids);
    sonde__free(runtime, work.label);
    sonde__free(runtime, work.begin);
    sonde__free(runtime, work.order);
    sonde__free(runtime, work.place);
    sonde__free(runtime, work.centroids);
    sonde__kmeans_rows_drop(runtime, &rows);
    return status;
}
