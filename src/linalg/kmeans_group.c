/* kmeans_group.c: an order of the centroids in which each panel holds a neighbourhood.
 *
 * The bounds of kmeans_search.c are kept for groups of panels; they are worth most where the centroids of a group are
 * near each other, because a row then has its rivals in few groups. The set of centroids is halved at a whole number of
 * panels along its direction of largest spread, again and again, until each part is one panel. The direction comes
 * from a few steps of the power method on the covariance, started at the centroid farthest from the mean.
 *
 * Cost: about 12 k d log2(k / lanes), nothing beside one pass over the rows.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdlib.h>

#include "linalg/kmeans.h"

enum { GROUP_POWER_STEPS = 5 };

typedef struct centroid_key {
    float key;
    int64_t number;
} centroid_key;

typedef struct grouping {
    sonde_runtime *runtime;
    int64_t d, lanes;
    const float *centroids;
    centroid_key *order;
    float *mean, *axis, *next;
} grouping;

static int group_by_key(const void *a, const void *b)
{
    const centroid_key *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->number < y->number ? -1 : 1;
}

static const float *group_centroid(const grouping *work, int64_t i)
{
    return work->centroids + work->order[i].number * work->d;
}

static void group_mean(grouping *work, int64_t begin, int64_t end)
{
    memset(work->mean, 0, (size_t)work->d * sizeof *work->mean);
    for (int64_t i = begin; i < end; i++)
        sonde__kernels_get()->axpy(1 / (float)(end - begin), group_centroid(work, i), work->d, work->mean);
}

/* Keys become positions along the axis, relative to the mean. */
static void group_project(grouping *work, int64_t begin, int64_t end)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    float origin, value;
    kernels->ip_rows[SONDE__ROW_F32](work->axis, work->mean, 0, 1, work->d, &origin);
    for (int64_t i = begin; i < end; i++) {
        kernels->ip_rows[SONDE__ROW_F32](work->axis, group_centroid(work, i), 0, 1, work->d, &value);
        work->order[i].key = isfinite(value - origin) ? value - origin : 0;
    }
}

static void group_first_axis(grouping *work, int64_t begin, int64_t end)
{
    float most = 0;
    memcpy(work->axis, work->mean, (size_t)work->d * sizeof *work->axis);
    for (int64_t i = begin; i < end; i++) {
        float far;
        sonde__kernels_get()->l2_rows[SONDE__ROW_F32](work->mean, group_centroid(work, i), 0, 1, work->d, &far);
        if (!(far > most)) continue;
        most = far;
        memcpy(work->axis, group_centroid(work, i), (size_t)work->d * sizeof *work->axis);
    }
    sonde__kernels_get()->axpy(-1, work->mean, work->d, work->axis);
    sonde__kmeans_unit(work->axis, work->d);
}

/* axis <- covariance x axis, scaled to length 1. */
static void group_power_step(grouping *work, int64_t begin, int64_t end)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    group_project(work, begin, end);
    memset(work->next, 0, (size_t)work->d * sizeof *work->next);
    float sum = 0;
    for (int64_t i = begin; i < end; i++) {
        kernels->axpy(work->order[i].key, group_centroid(work, i), work->d, work->next);
        sum += work->order[i].key;
    }
    kernels->axpy(-sum, work->mean, work->d, work->next);
    if (sonde__kmeans_unit(work->next, work->d))
        memcpy(work->axis, work->next, (size_t)work->d * sizeof *work->axis);
}

/* The depth of the recursion is the logarithm of the number of panels. */
static sonde_status group_split(grouping *work, int64_t begin, int64_t end)
{
    int64_t panels = (end - begin + work->lanes - 1) / work->lanes;
    if (panels <= 1) return SONDE_OK;
    SONDE_TRY(sonde__poll(work->runtime, NULL, 0, 1));
    group_mean(work, begin, end);
    group_first_axis(work, begin, end);
    for (int step = 0; step < GROUP_POWER_STEPS; step++) group_power_step(work, begin, end);
    group_project(work, begin, end);
    qsort(work->order + begin, (size_t)(end - begin), sizeof *work->order, group_by_key);
    int64_t middle = begin + panels / 2 * work->lanes;
    SONDE_TRY(group_split(work, begin, middle));
    return group_split(work, middle, end);
}

sonde_status sonde__kmeans_group(sonde_runtime *runtime, int64_t k, int64_t d, int64_t lanes, float *centroids)
{
    grouping work = {.runtime = runtime, .d = d, .lanes = lanes, .centroids = centroids};
    float *ordered = NULL, *vectors = NULL;
    sonde_status status;
    if ((status = SONDE_NEW(runtime, work.order, k)) != SONDE_OK ||
        (status = SONDE_NEW(runtime, vectors, 3 * d)) != SONDE_OK ||
        (status = SONDE_NEW(runtime, ordered, k * d)) != SONDE_OK)
        goto done;
    work.mean = vectors;
    work.axis = vectors + d;
    work.next = vectors + 2 * d;
    for (int64_t j = 0; j < k; j++) work.order[j].number = j;
    if ((status = group_split(&work, 0, k)) != SONDE_OK) goto done;
    for (int64_t j = 0; j < k; j++)
        memcpy(ordered + j * d, group_centroid(&work, j), (size_t)d * sizeof *ordered);
    memcpy(centroids, ordered, (size_t)(k * d) * sizeof *ordered);
done:
    sonde__free(runtime, ordered);
    sonde__free(runtime, vectors);
    sonde__free(runtime, work.order);
    return status;
}
