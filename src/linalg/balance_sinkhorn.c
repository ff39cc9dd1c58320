/* balance_sinkhorn.c: prices that make the groups as heavy as wanted, by entropic optimal transport.
 *
 * Find Q >= 0 that minimises <Q, D> - T H(Q) with every row of mass 1/B and column j of mass b_j. Its solution is
 * Q_ij = exp((p_j - D_ij) / T + f_i), and only the prices p matter for the label argmax_j Q_ij = argmin_j D_ij - p_j:
 * other rows are assigned by the same prices later. T is eps times half the range of the distances, which makes eps
 * free of their scale. Two half-steps are one pass over the distances: normalise a row, add it to the sums of the
 * columns, and then p_j += T log(b_j / sum_j). Each exponent is taken relative to the largest of its row, so nothing
 * overflows, and one exponential an entry is the whole cost.
 * Where groups have limits instead of masses (balance_capacity.c), the price is the one nearest to 0 that keeps them.
 *
 * Rows go through in batches of max(4096, 16 k), each with the prices of the last one as its start; the prices that
 * are given out are the means over the batches. Hard labels are only nearly balanced: a few per cent of the mean
 * size. Sources: Cuturi, "Sinkhorn Distances", NeurIPS 2013; Zhan et al., "Learning Discrete Representations via
 * Constrained Clustering" (RepCONC), 2021; for limits Benamou et al., "Iterative Bregman Projections", 2015.
 *
 * Cost: B k exponentials an iteration; memory 4 B k bytes. Sums are taken over SINKHORN_PARTS fixed parts of the
 * batch.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "linalg/balance_parts.h"

enum {
    SINKHORN_BATCH = 4096,
    SINKHORN_ROWS_A_GROUP = 16,
    SINKHORN_ENTRIES = 1 << 26,
    SINKHORN_PARTS = 16,
    SINKHORN_RUN = 64,
    SINKHORN_ITERATIONS = 100,
    SINKHORN_WARM = 20 /* with prices of a similar batch */
};
static const double SINKHORN_EPS = 0.01, SINKHORN_CLOSE = 1e-3;
/* A column without any mass that single precision can show is raised by this many T at a time. */
static const double SINKHORN_LEAP = 80;

typedef struct sinkhorn_state {
    sonde__balance_task *task;
    int64_t first, count, grain; /* the batch, and rows in each of its parts */
    double temperature;
    float *distance; /* count x k */
    float *price;    /* k: as single precision, for the pass */
    double *prices;  /* k */
    double *sums;    /* SINKHORN_PARTS x k */
    float *range;    /* least and most of each part */
} sinkhorn_state;

static double sinkhorn_mass(const sonde__balance_task *task, int64_t j)
{
    return task->rules->masses ? task->rules->masses[j] : 1 / (double)task->k;
}

/* Adds the normalised rows [begin, end) to the sums of their part. */
static void sinkhorn_add_rows(const sinkhorn_state *work, int64_t begin, int64_t end, float *room, double *sums)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    int64_t k = work->task->k;
    float *gain = room, *sum = room + k, scale = (float)(1 / work->temperature);
    for (int64_t at = begin; at < end; at += SINKHORN_RUN) {
        memset(sum, 0, (size_t)k * sizeof *sum);
        for (int64_t i = at; i < sonde__min_i64(at + SINKHORN_RUN, end); i++) {
            const float *distance = work->distance + i * k;
            for (int64_t j = 0; j < k; j++) gain[j] = work->price[j] - distance[j];
            float most = kernels->logit_max(gain, k, NULL);
            double total = kernels->logit_exp(gain, k, most, scale, gain);
            kernels->axpy((float)(1 / total), gain, k, sum);
        }
        for (int64_t j = 0; j < k; j++) sums[j] += (double)sum[j];
    }
}

static sonde_status sinkhorn_sum_part(void *context, int64_t begin, int64_t end, int worker)
{
    const sinkhorn_state *work = context;
    sonde_runtime *runtime = work->task->runtime;
    int64_t k = work->task->k;
    double *sums = work->sums + begin / work->grain * k;
    sonde__scratch *scratch = NULL;
    float *room;
    (void)worker;
    SONDE_TRY(sonde__scratch_take(runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, room, 2 * k);
    if (status == SONDE_OK) {
        memset(sums, 0, (size_t)k * sizeof *sums);
        sinkhorn_add_rows(work, begin, end, room, sums);
    }
    sonde__scratch_give(runtime, scratch);
    return status;
}

static double sinkhorn_leap(double ratio) { return fmin(log(ratio), SINKHORN_LEAP); }

/* The price that gives group j its mass; under limits, the one nearest to 0 that keeps them. */
static double sinkhorn_reprice(const sinkhorn_state *work, int64_t j, double sum)
{
    const sonde__balance_task *task = work->task;
    double price = work->prices[j], count = (double)work->count, share = count / (double)task->n;
    if (!task->high) return price + work->temperature * sinkhorn_leap(sinkhorn_mass(task, j) * count / sum);
    double most = price + work->temperature * sinkhorn_leap((double)task->high[j] * share / sum);
    if (task->low[j] == 0) return fmin(0, most);
    return fmax(price + work->temperature * sinkhorn_leap((double)task->low[j] * share / sum), fmin(0, most));
}

/* One iteration; *off is the largest change of a price in units of T: about the relative error of a column. */
static sonde_status sinkhorn_iterate(sinkhorn_state *work, double *off)
{
    sonde__balance_task *task = work->task;
    for (int64_t j = 0; j < task->k; j++) work->price[j] = (float)work->prices[j];
    SONDE_TRY(
        sonde__parallel_for(task->runtime, task->threads, work->count, work->grain, NULL, sinkhorn_sum_part, work));
    *off = 0;
    for (int64_t j = 0; j < task->k; j++) {
        double sum = 0;
        for (int64_t part = 0; part * work->grain < work->count; part++) sum += work->sums[part * task->k + j];
        double price = sinkhorn_reprice(work, j, sum);
        *off = fmax(*off, fabs(price - work->prices[j]) / work->temperature);
        work->prices[j] = price;
    }
    return SONDE_OK;
}

/* ---- batches ---------------------------------------------------------------------------------------------------- */

static sonde_status sinkhorn_measure_part(void *context, int64_t begin, int64_t end, int worker)
{
    const sinkhorn_state *work = context;
    int64_t k = work->task->k;
    float least = INFINITY, most = -INFINITY;
    (void)worker;
    sonde__balance_distances(work->task, work->first + begin, end - begin, work->distance + begin * k);
    for (int64_t e = begin * k; e < end * k; e++) {
        least = work->distance[e] < least ? work->distance[e] : least;
        most = work->distance[e] > most ? work->distance[e] : most;
    }
    work->range[begin / work->grain * 2] = least;
    work->range[begin / work->grain * 2 + 1] = most;
    return SONDE_OK;
}

/* Distances of the batch, and the temperature. */
static sonde_status sinkhorn_measure(sinkhorn_state *work)
{
    const sonde__balance_task *task = work->task;
    double eps = task->rules->eps > 0 ? task->rules->eps : SINKHORN_EPS;
    float least = INFINITY, most = -INFINITY;
    SONDE_TRY(sonde__parallel_for(task->runtime, task->threads, work->count, work->grain, NULL, sinkhorn_measure_part,
                                  work));
    for (int64_t part = 0; part * work->grain < work->count; part++) {
        least = fminf(least, work->range[part * 2]);
        most = fmaxf(most, work->range[part * 2 + 1]);
    }
    work->temperature = eps * ((double)most - (double)least) / 2;
    return SONDE_OK;
}

/* If all distances are equal, all prices are as good. */
static sonde_status sinkhorn_solve(sinkhorn_state *work, int iterations)
{
    sonde__balance_task *task = work->task;
    double off = INFINITY;
    work->grain = (work->count + SINKHORN_PARTS - 1) / SINKHORN_PARTS;
    SONDE_TRY(sinkhorn_measure(work));
    if (!(work->temperature > 0)) return SONDE_OK;
    for (int done = 0; done < iterations && off > SINKHORN_CLOSE; done++) {
        SONDE_TRY(sinkhorn_iterate(work, &off));
        SONDE_TRY(sonde__poll(task->runtime, NULL, 0, 1));
    }
    return SONDE_OK;
}

/* Prices mean the same whatever is added to all of them. */
static void sinkhorn_centre(double *prices, int64_t k)
{
    double mean = 0;
    for (int64_t j = 0; j < k; j++) mean += prices[j] / (double)k;
    for (int64_t j = 0; j < k; j++) prices[j] -= mean;
}

/* Batches of nearly equal size, as few as can be. */
static sonde_status sinkhorn_batches(sinkhorn_state *work, int64_t batches, int32_t *label, double *mean)
{
    sonde__balance_task *task = work->task;
    int iterations = task->rules->iterations ? task->rules->iterations : SINKHORN_ITERATIONS;
    for (int64_t j = 0; j < task->k; j++)
        if (work->prices[j] != 0 && iterations > SINKHORN_WARM) iterations = SINKHORN_WARM;
    for (int64_t b = 0; b < batches; b++) {
        work->first = task->n * b / batches;
        work->count = task->n * (b + 1) / batches - work->first;
        SONDE_TRY(sinkhorn_solve(work, iterations));
        iterations = iterations < SINKHORN_WARM ? iterations : SINKHORN_WARM;
        if (!task->high) sinkhorn_centre(work->prices, task->k);
        for (int64_t j = 0; j < task->k; j++) mean[j] += work->prices[j] / (double)batches;
        SONDE_TRY(sonde__assign_priced(task->runtime, task->threads, task->x + work->first * task->ldx, task->ldx,
                                       work->count, task->d, task->centroids, task->k, work->prices,
                                       label + work->first));
    }
    return SONDE_OK;
}

sonde_status sonde__balance_sinkhorn(sonde__balance_task *task, int32_t *label, double *prices)
{
    sinkhorn_state work = {.task = task};
    sonde_runtime *runtime = task->runtime;
    double *mean = NULL;
    sonde_status status;
    int64_t batch = sonde__max_i64(SINKHORN_BATCH, SINKHORN_ROWS_A_GROUP * task->k);
    batch = sonde__max_i64(1, sonde__min_i64(batch, SINKHORN_ENTRIES / task->k));
    int64_t batches = sonde__max_i64(1, (task->n + batch - 1) / batch), most = (task->n + batches - 1) / batches;
    if ((status = SONDE_NEW(runtime, work.distance, most * task->k)) != SONDE_OK ||
        (status = SONDE_NEW(runtime, work.price, task->k)) != SONDE_OK ||
        (status = SONDE_NEW(runtime, work.prices, task->k)) != SONDE_OK ||
        (status = SONDE_NEW(runtime, work.sums, SINKHORN_PARTS * task->k)) != SONDE_OK ||
        (status = SONDE_NEW(runtime, work.range, SINKHORN_PARTS * 2)) != SONDE_OK ||
        (status = SONDE_NEW_ZERO(runtime, mean, task->k)) != SONDE_OK)
        goto done;
    memcpy(work.prices, prices, (size_t)task->k * sizeof *prices);
    status = sinkhorn_batches(&work, batches, label, mean);
    if (status == SONDE_OK) memcpy(prices, mean, (size_t)task->k * sizeof *prices);
done:
    sonde__free(runtime, mean);
    sonde__free(runtime, work.range);
    sonde__free(runtime, work.sums);
    sonde__free(runtime, work.prices);
    sonde__free(runtime, work.price);
    sonde__free(runtime, work.distance);
    return status;
}
