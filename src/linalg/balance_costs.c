/* balance_costs.c: what it costs a row to be in a group: its squared distance to the centroid, less the group's
 * price.
 *
 * Prices are the whole memory of a balanced clustering: whatever rule found them, a row belongs to
 *
 *     argmin over j of |x - c_j|^2 - prices[j]  =  argmax over j of <x, c_j> - |c_j|^2 / 2 + prices[j] / 2,
 *
 * which is the search for the nearest centroid with another bias, at the same speed. Distances that are compared with
 * each other come from differences of elements rather than from norms, so equal rows cost exactly the same.
 *
 * Memory: n x k floats where that is at most COSTS_KEPT, else nothing, and rows are computed again when needed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "linalg/balance_parts.h"

enum { COSTS_KEPT = 1 << 26 };

/* Finite, so that even rows beyond the range of squares can be told apart from nothing. */
static const float COSTS_MOST = 1e37f;

void sonde__balance_distances(const sonde__balance_task *task, int64_t begin, int64_t count, float *out)
{
    sonde__rows_fn distance = sonde__kernels_get()->l2_rows[SONDE__ROW_F32];
    int64_t stride = task->d * (int64_t)sizeof(float), k = task->k;
    for (int64_t i = 0; i < count; i++) {
        distance(task->x + (begin + i) * task->ldx, task->centroids, stride, k, task->d, out + i * k);
        for (int64_t j = 0; j < k; j++) out[i * k + j] = out[i * k + j] < COSTS_MOST ? out[i * k + j] : COSTS_MOST;
    }
}

static sonde_status costs_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const sonde__balance_costs *costs = context;
    (void)worker;
    sonde__balance_distances(costs->task, begin, end - begin, costs->kept + begin * costs->task->k);
    return SONDE_OK;
}

sonde_status sonde__balance_costs_create(const sonde__balance_task *task, sonde__balance_costs *costs)
{
    *costs = (sonde__balance_costs){task, NULL};
    if (task->n > COSTS_KEPT / task->k) return SONDE_OK;
    SONDE_TRY(SONDE_NEW(task->runtime, costs->kept, task->n * task->k));
    sonde_status status = sonde__parallel_for(task->runtime, task->threads, task->n, SONDE__BALANCE_BLOCK, NULL,
                                              costs_chunk, costs);
    if (status != SONDE_OK) sonde__balance_costs_drop(task, costs);
    return status;
}

void sonde__balance_costs_drop(const sonde__balance_task *task, sonde__balance_costs *costs)
{
    sonde__free(task->runtime, costs->kept);
    costs->kept = NULL;
}

const float *sonde__balance_costs_row(const sonde__balance_costs *costs, int64_t row, float *buffer)
{
    if (costs->kept) return costs->kept + row * costs->task->k;
    sonde__balance_distances(costs->task, row, 1, buffer);
    return buffer;
}

/* ---- the cheapest group ----------------------------------------------------------------------------------------- */

/* A row whose products overflow gets some group rather than none. */
void sonde__balance_cheapest(const sonde__kmeans_panels *panels, const float *x, int64_t ldx, int64_t count,
                             int32_t *label)
{
    float score[SONDE__BALANCE_BLOCK];
    sonde__kernels_get()->nearest_f32(panels->values, panels->bias, panels->count, x, ldx * (int64_t)sizeof(float),
                                      count, panels->d, label, score, NULL);
    for (int64_t i = 0; i < count; i++)
        if (label[i] < 0 || label[i] >= panels->k) label[i] = 0;
}

typedef struct costs_search {
    const float *x;
    int64_t ldx;
    const sonde__kmeans_panels *panels;
    int32_t *label;
} costs_search;

static sonde_status costs_search_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const costs_search *search = context;
    (void)worker;
    sonde__balance_cheapest(search->panels, search->x + begin * search->ldx, search->ldx, end - begin,
                            search->label + begin);
    return SONDE_OK;
}

sonde_status sonde__assign_priced(sonde_runtime *runtime, int threads, const float *x, int64_t ldx, int64_t n,
                                  int64_t d, const float *centroids, int64_t k, const double *prices, int32_t *label)
{
    sonde__kmeans_panels panels;
    SONDE_TRY(sonde__kmeans_panels_create(runtime, k, d, &panels));
    sonde__kmeans_panels_pack(&panels, centroids, false);
    for (int64_t j = 0; j < k; j++) panels.bias[j] += (float)(prices[j] / 2);
    costs_search search = {x, ldx, &panels, label};
    sonde_status status = sonde__parallel_for(runtime, threads, n, SONDE__BALANCE_BLOCK, NULL, costs_search_chunk,
                                              &search);
    sonde__kmeans_panels_drop(runtime, &panels);
    return status;
}
