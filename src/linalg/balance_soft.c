/* balance_soft.c: a price in proportion to the size of a group, so that crowded groups are avoided where it costs
 * little.
 *
 * A row goes to argmin_j D_ij + lambda n_j, where n_j are the sizes that come out. Going by the sizes of the last
 * pass, rows would jump back and forth; here they move a few at a time, out of the counts and into them again, and
 * every move lowers sum D + lambda / 2 sum n_j^2, so the sizes settle. Lambda is found, where it is not given, by
 * bisection on a sample: the least one whose largest group keeps within `high`. That is no guarantee: limits that
 * must hold are capacities. Sizes on a sample count n / sample each, so that it finds the lambda of all rows. Source:
 * Chen et al., "SPANN", NeurIPS 2021 (SPTAG's balanced k-means); Liu et al., "Fast Clustering with Flexible Balance
 * Constraints", 2018.
 *
 * Cost: one search for the nearest centroid a sweep, on one thread, as each block needs the counts of the one before;
 * SOFT_SWEEPS sweeps the first time, one when labels are there already. The search for lambda sweeps
 * SOFT_ROWS_A_GROUP k rows.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "linalg/balance_parts.h"

enum {
    SOFT_SWEEPS = 4,
    SOFT_STEPS = 8,
    SOFT_DOUBLINGS = 24,
    SOFT_ROWS_A_GROUP = 32,
    SOFT_LEAST_SAMPLE = 2048,
    SOFT_BLOCK = 64
};

typedef struct soft_state {
    const sonde__balance_task *task; /* of the rows in hand: all, or the sample */
    int32_t *label;
    int64_t *count; /* k */
    float *bias;    /* k: of the panels, without prices */
    sonde__kmeans_panels panels;
    double lambda; /* for a row of these */
} soft_state;

static void soft_count(const soft_state *work)
{
    memset(work->count, 0, (size_t)work->task->k * sizeof *work->count);
    for (int64_t i = 0; i < work->task->n; i++) work->count[work->label[i]]++;
}

/* Nearest centroids, as if sizes cost nothing. */
static sonde_status soft_begin(const soft_state *work)
{
    const sonde__balance_task *task = work->task;
    SONDE_TRY(sonde__assign(task->runtime, task->threads, task->x, task->ldx, task->n, task->d, task->centroids,
                            task->k, false, work->label, NULL));
    soft_count(work);
    return SONDE_OK;
}

/* The rows of a block leave their groups and choose anew. */
static void soft_block(const soft_state *work, int64_t begin, int64_t count)
{
    const sonde__balance_task *task = work->task;
    const sonde__kmeans_panels *panels = &work->panels;
    for (int64_t i = begin; i < begin + count; i++) work->count[work->label[i]]--;
    for (int64_t j = 0; j < task->k; j++)
        panels->bias[j] = work->bias[j] - (float)(work->lambda * (double)work->count[j] / 2);
    sonde__balance_cheapest(panels, task->x + begin * task->ldx, task->ldx, count, work->label + begin);
    for (int64_t i = begin; i < begin + count; i++) work->count[work->label[i]]++;
}

/* Blocks are small beside a group, so that none is flooded. */
static sonde_status soft_sweep(const soft_state *work, int sweeps)
{
    int64_t n = work->task->n, step = sonde__max_i64(1, sonde__min_i64(SOFT_BLOCK, n / work->task->k / 4));
    for (int sweep = 0; sweep < sweeps && work->lambda > 0; sweep++)
        for (int64_t i = 0; i < n; i += step) {
            soft_block(work, i, sonde__min_i64(step, n - i));
            if (i / step % 256 == 0) SONDE_TRY(sonde__poll(work->task->runtime, NULL, 0, 1));
        }
    return SONDE_OK;
}

static sonde_status soft_open(const sonde__balance_task *task, int32_t *label, soft_state *work)
{
    sonde_status status;
    *work = (soft_state){.task = task, .label = label};
    if ((status = SONDE_NEW(task->runtime, work->count, task->k)) != SONDE_OK ||
        (status = SONDE_NEW(task->runtime, work->bias, task->k)) != SONDE_OK ||
        (status = sonde__kmeans_panels_create(task->runtime, task->k, task->d, &work->panels)) != SONDE_OK)
        return status;
    sonde__kmeans_panels_pack(&work->panels, task->centroids, false);
    memcpy(work->bias, work->panels.bias, (size_t)task->k * sizeof *work->bias);
    return SONDE_OK;
}

static void soft_close(soft_state *work)
{
    sonde__kmeans_panels_drop(work->task->runtime, &work->panels);
    sonde__free(work->task->runtime, work->bias);
    sonde__free(work->task->runtime, work->count);
}

/* ---- lambda ----------------------------------------------------------------------------------------------------- */

/* The largest share of the rows that a group has under a lambda. */
static sonde_status soft_largest(soft_state *work, double lambda, double *largest)
{
    work->lambda = lambda;
    SONDE_TRY(soft_begin(work));
    SONDE_TRY(soft_sweep(work, SOFT_SWEEPS));
    *largest = 0;
    for (int64_t j = 0; j < work->task->k; j++)
        *largest = fmax(*largest, (double)work->count[j] / (double)work->task->n);
    return SONDE_OK;
}

/* Where to begin: a mean group costs as much as the mean distance of a row to its centroid. */
static double soft_scale(const soft_state *work)
{
    const sonde__balance_task *task = work->task;
    double sum = 0;
    for (int64_t i = 0; i < task->n; i++) {
        const float *centroid = task->centroids + work->label[i] * task->d;
        float far;
        sonde__kernels_get()->l2_rows[SONDE__ROW_F32](task->x + i * task->ldx, centroid, 0, 1, task->d, &far);
        sum += (double)far;
    }
    return sum / (double)task->n * (double)task->k / (double)task->n;
}

/* Doubles lambda until it is enough, then halves the interval. */
static sonde_status soft_search(soft_state *work, double limit, double *lambda)
{
    double largest, low = 0, high;
    *lambda = 0;
    SONDE_TRY(soft_largest(work, 0, &largest));
    if (largest <= limit) return SONDE_OK;
    high = soft_scale(work);
    for (int step = 0; step < SOFT_DOUBLINGS; step++) {
        SONDE_TRY(soft_largest(work, high, &largest));
        if (largest <= limit) break;
        low = high;
        high *= 2;
    }
    for (int step = 0; step < SOFT_STEPS; step++) {
        double middle = (low + high) / 2;
        SONDE_TRY(soft_largest(work, middle, &largest));
        if (largest <= limit) high = middle;
        else low = middle;
    }
    *lambda = high;
    return SONDE_OK;
}

/* A sample at equal steps of the rows, and the lambda that it asks for. */
static sonde_status soft_find(const sonde__balance_task *task, double *lambda)
{
    sonde__balance_task part = *task;
    soft_state work = {.task = &part};
    float *x = NULL;
    int32_t *label = NULL;
    sonde_status status;
    double limit = (double)(task->rules->high ? task->rules->high : 2 * ((task->n + task->k - 1) / task->k));
    part.n = sonde__min_i64(task->n, sonde__max_i64(SOFT_LEAST_SAMPLE, SOFT_ROWS_A_GROUP * task->k));
    part.ldx = part.d;
    if ((status = SONDE_NEW(task->runtime, x, part.n * part.d)) != SONDE_OK ||
        (status = SONDE_NEW(task->runtime, label, part.n)) != SONDE_OK ||
        (status = soft_open(&part, label, &work)) != SONDE_OK)
        goto done;
    for (int64_t i = 0; i < part.n; i++)
        memcpy(x + i * part.d, task->x + i * task->n / part.n * task->ldx, (size_t)part.d * sizeof *x);
    part.x = x;
    status = soft_search(&work, limit / (double)task->n, lambda);
    *lambda *= (double)part.n / (double)task->n;
done:
    soft_close(&work);
    sonde__free(task->runtime, label);
    sonde__free(task->runtime, x);
    return status;
}

/* ---- the door --------------------------------------------------------------------------------------------------- */

/* The first time lambda is found and rows begin at their nearest centroids; later they begin where they are. */
sonde_status sonde__balance_soft(sonde__balance_task *task, int32_t *label, double *prices)
{
    soft_state work;
    bool first = !(task->lambda > 0);
    if (first) task->lambda = fmax(0, task->rules->lambda);
    if (first && task->rules->lambda == 0) SONDE_TRY(soft_find(task, &task->lambda));
    sonde_status status = soft_open(task, label, &work);
    work.lambda = task->lambda;
    if (status == SONDE_OK && first) status = soft_begin(&work);
    if (status == SONDE_OK && !first) soft_count(&work);
    if (status == SONDE_OK) status = soft_sweep(&work, first ? SOFT_SWEEPS : 1);
    for (int64_t j = 0; status == SONDE_OK && j < task->k; j++)
        prices[j] = work.lambda > 0 ? -work.lambda * (double)work.count[j] : 0;
    soft_close(&work);
    return status;
}
