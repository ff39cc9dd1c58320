/* balance_rows.c: the rows that balanced clustering works on, and what follows from labels: means and the objective.
 *
 * Rows are used where they lie; only a sample and rows scaled to length 1 are copies. A spherical row of length r and
 * weight w counts as its direction with weight w r, which leaves the mean direction as it is. Sums run over the rows
 * of one group in ascending order, or over fixed blocks of rows, so threads change nothing.
 *
 * Cost: means and objective one pass over the rows each.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "kernels/blocks.h"
#include "linalg/balance_parts.h"

enum { MEANS_GRAIN = 4, OBJECTIVE_BLOCK = 2048 };

/* ---- rows ------------------------------------------------------------------------------------------------------- */

static void rows_take_one(const sonde__kmeans_options *options, const float *from, int64_t row, int64_t at,
                          sonde__balance_rows *rows)
{
    float *to = rows->own + at * rows->d, weight = options->weights ? options->weights[row] : 1;
    memcpy(to, from, (size_t)rows->d * sizeof *to);
    if (options->spherical) {
        float length = sqrtf(sonde__kernels_get()->norm2(to, rows->d));
        sonde__kmeans_unit(to, rows->d);
        rows->constant += (double)weight * (1 - (double)length);
        weight *= length;
    }
    if (rows->own_weight) rows->own_weight[at] = weight;
}

sonde_status sonde__balance_rows_take(sonde_runtime *runtime, const float *x, int64_t ldx, int64_t n, int64_t d,
                                      const sonde__kmeans_options *options, bool all, sonde__balance_rows *rows)
{
    int64_t count = n, *order = NULL;
    sonde_status status = SONDE_OK;
    *rows = (sonde__balance_rows){.x = x, .ldx = ldx, .n = n, .d = d, .weight = options->weights};
    if (options->sample > 0 && !all) count = sonde__min_i64(n, sonde__max_i64(options->sample, options->k));
    if (count == n && !options->spherical) return SONDE_OK;
    if ((status = SONDE_NEW(runtime, order, count)) != SONDE_OK ||
        (status = SONDE_NEW(runtime, rows->own, count * d)) != SONDE_OK)
        goto done;
    if ((options->weights || options->spherical) &&
        (status = SONDE_NEW(runtime, rows->own_weight, count)) != SONDE_OK)
        goto done;
    sonde__blocks_sample(options->seed, SONDE__STREAM_SAMPLE, n, count, order);
    for (int64_t i = 0; i < count; i++) rows_take_one(options, x + order[i] * ldx, order[i], i, rows);
    rows->x = rows->own;
    rows->ldx = d;
    rows->n = count;
    rows->weight = rows->own_weight;
done:
    sonde__free(runtime, order);
    if (status != SONDE_OK) sonde__balance_rows_drop(runtime, rows);
    return status;
}

void sonde__balance_rows_drop(sonde_runtime *runtime, sonde__balance_rows *rows)
{
    sonde__free(runtime, rows->own);
    sonde__free(runtime, rows->own_weight);
    rows->own = rows->own_weight = NULL;
}

static double rows_weight(const sonde__balance_rows *rows, int64_t i)
{
    return rows->weight ? (double)rows->weight[i] : 1;
}

/* ---- the objective ---------------------------------------------------------------------------------------------- */

typedef struct rows_objective {
    const sonde__balance_rows *rows;
    const int32_t *label;
    const float *centroids;
    float *far;   /* n: squared distances, or NULL */
    double *mass; /* one for each block */
} rows_objective;

static sonde_status rows_objective_block(void *context, int64_t begin, int64_t end, int worker)
{
    const rows_objective *work = context;
    const sonde__balance_rows *rows = work->rows;
    double mass = 0;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const float *centroid = work->centroids + work->label[i] * rows->d;
        float far;
        sonde__kernels_get()->l2_rows[SONDE__ROW_F32](centroid, rows->x + i * rows->ldx, 0, 1, rows->d, &far);
        if (work->far) work->far[i] = far;
        mass += rows_weight(rows, i) * (double)far;
    }
    work->mass[begin / OBJECTIVE_BLOCK] = mass;
    return SONDE_OK;
}

/* The weighted sum of squared distances to the own centroid; far (may be NULL) gets each of them. */
static sonde_status rows_measure(sonde_runtime *runtime, int threads, rows_objective *work, double *total)
{
    int64_t blocks = (work->rows->n + OBJECTIVE_BLOCK - 1) / OBJECTIVE_BLOCK;
    SONDE_TRY(SONDE_NEW(runtime, work->mass, blocks));
    sonde_status status = sonde__parallel_for(runtime, threads, work->rows->n, OBJECTIVE_BLOCK, NULL,
                                              rows_objective_block, work);
    *total = 0;
    for (int64_t b = 0; status == SONDE_OK && b < blocks; b++) *total += work->mass[b];
    sonde__free(runtime, work->mass);
    return status;
}

sonde_status sonde__balance_objective(sonde_runtime *runtime, const sonde__kmeans_options *options,
                                      const sonde__balance_rows *rows, const int32_t *label, const float *centroids,
                                      double *objective)
{
    rows_objective work = {rows, label, centroids, NULL, NULL};
    double total;
    SONDE_TRY(rows_measure(runtime, options->threads, &work, &total));
    *objective = options->spherical ? rows->constant + total / 2 : total;
    return SONDE_OK;
}

/* ---- means ------------------------------------------------------------------------------------------------------ */

typedef struct rows_means {
    const sonde__kmeans_options *options;
    const sonde__balance_rows *rows;
    const int64_t *begin, *order; /* rows by group */
    double *sums;                 /* d for each worker */
    float *centroids;
} rows_means;

static void rows_mean(const rows_means *work, int64_t j, double *sum)
{
    int64_t d = work->rows->d;
    float *centroid = work->centroids + j * d;
    double weight = 0;
    memset(sum, 0, (size_t)d * sizeof *sum);
    for (int64_t at = work->begin[j]; at < work->begin[j + 1]; at++) {
        double w = rows_weight(work->rows, work->order[at]);
        const float *x = work->rows->x + work->order[at] * work->rows->ldx;
        for (int64_t t = 0; t < d; t++) sum[t] += w * (double)x[t];
        weight += w;
    }
    if (!(weight > 0)) return;
    for (int64_t t = 0; t < d; t++) centroid[t] = (float)(sum[t] / weight);
    if (work->options->spherical) sonde__kmeans_unit(centroid, d);
}

static sonde_status rows_means_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const rows_means *work = context;
    for (int64_t j = begin; j < end; j++) rows_mean(work, j, work->sums + worker * work->rows->d);
    return SONDE_OK;
}

/* Each empty group gets the row that lies farthest from its centroid (ties: the first), as long as that is not on it.
 */
static sonde_status rows_mend(sonde_runtime *runtime, const rows_means *work, const int32_t *label, int64_t *mended)
{
    const sonde__balance_rows *rows = work->rows;
    rows_objective measure = {rows, label, work->centroids, NULL, NULL};
    double total;
    SONDE_TRY(SONDE_NEW(runtime, measure.far, rows->n));
    sonde_status status = rows_measure(runtime, work->options->threads, &measure, &total);
    for (int64_t j = 0; status == SONDE_OK && j < work->options->k; j++) {
        if (work->begin[j] < work->begin[j + 1]) continue;
        int64_t farthest = 0;
        for (int64_t i = 1; i < rows->n; i++)
            if (measure.far[i] > measure.far[farthest]) farthest = i;
        if (!(measure.far[farthest] > 0)) break;
        memcpy(work->centroids + j * rows->d, rows->x + farthest * rows->ldx, (size_t)rows->d * sizeof(float));
        measure.far[farthest] = 0;
        (*mended)++;
        status = sonde__poll(runtime, NULL, 0, 1);
    }
    sonde__free(runtime, measure.far);
    return status;
}

sonde_status sonde__balance_means(sonde_runtime *runtime, const sonde__kmeans_options *options,
                                  const sonde__balance_rows *rows, const int32_t *label, float *centroids,
                                  int64_t *mended)
{
    rows_means work = {.options = options, .rows = rows, .centroids = centroids};
    int64_t *begin = NULL, *order = NULL, empty = 0;
    sonde_status status;
    int workers = sonde__parallel_workers(runtime, options->threads, options->k, MEANS_GRAIN);
    if ((status = SONDE_NEW(runtime, begin, options->k + 1)) != SONDE_OK ||
        (status = SONDE_NEW(runtime, order, rows->n)) != SONDE_OK ||
        (status = SONDE_NEW(runtime, work.sums, workers * rows->d)) != SONDE_OK)
        goto done;
    sonde__kmeans_sort(label, rows->n, options->k, begin, order);
    work.begin = begin;
    work.order = order;
    status = sonde__parallel_for(runtime, options->threads, options->k, MEANS_GRAIN, NULL, rows_means_chunk, &work);
    for (int64_t j = 0; j < options->k; j++) empty += begin[j] == begin[j + 1];
    if (status == SONDE_OK && empty > 0) status = rows_mend(runtime, &work, label, mended);
done:
    sonde__free(runtime, work.sums);
    sonde__free(runtime, order);
    sonde__free(runtime, begin);
    return status;
}
