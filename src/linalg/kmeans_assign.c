/* kmeans_assign.c: centroids in panels, and the nearest centroid of each row by computing all of them.
 *
 * |x - c|^2 = |x|^2 - 2 (<x, c> - |c|^2 / 2), so the nearest centroid has the largest score <x, c> + bias. The score is
 * computed by the nearest kernel, many rows against a few panels at a time: ASSIGN_FLOATS of panels stay in the L2
 * cache while a block of rows goes by. Distances that are given out come from the difference itself, not from the
 * norms, so that they are exact for rows on a centroid. Cost: 2 n k d flop.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "linalg/kmeans.h"

enum { ASSIGN_BLOCK = 256, ASSIGN_FLOATS = 1 << 16 };

sonde_status sonde__kmeans_panels_create(sonde_runtime *runtime, int64_t k, int64_t d,
                                         sonde__kmeans_panels *panels)
{
    memset(panels, 0, sizeof *panels);
    panels->k = k;
    panels->d = d;
    panels->lanes = sonde__kernels_get()->lanes;
    panels->count = (k + panels->lanes - 1) / panels->lanes;
    sonde_status status = SONDE_NEW(runtime, panels->values, panels->count * panels->lanes * d);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, panels->bias, panels->count * panels->lanes);
    if (status != SONDE_OK) sonde__kmeans_panels_drop(runtime, panels);
    return status;
}

void sonde__kmeans_panels_drop(sonde_runtime *runtime, sonde__kmeans_panels *panels)
{
    sonde__free(runtime, panels->values);
    sonde__free(runtime, panels->bias);
    panels->values = NULL;
    panels->bias = NULL;
}

void sonde__kmeans_panels_pack(sonde__kmeans_panels *panels, const float *centroids, bool inner_product)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    int64_t d = panels->d, lanes = panels->lanes;
    for (int64_t p = 0; p < panels->count; p++) {
        const float *from = centroids + p * lanes * d;
        int64_t used = sonde__min_i64(lanes, panels->k - p * lanes);
        sonde__pack_rows(from, d * (int64_t)sizeof *from, used, d, lanes, panels->values + p * lanes * d);
        float *bias = panels->bias + p * lanes;
        for (int64_t lane = 0; lane < lanes; lane++) {
            if (lane >= used) bias[lane] = -INFINITY;
            else bias[lane] = inner_product ? 0 : -0.5f * kernels->norm2(from + lane * d, d);
        }
    }
}

/* One call of sonde__assign, for its chunks. */
typedef struct assign_work {
    const float *x, *centroids;
    int64_t ldx, d;
    bool spherical;
    const sonde__kmeans_panels *panels;
    int32_t *label;
    float *distance;
} assign_work;

/* A later panel wins only by a larger score, so ties stay with the lower number. */
static void assign_block(const assign_work *work, const float *x, int64_t count, int32_t *label)
{
    const sonde__kmeans_panels *panels = work->panels;
    int64_t d = work->d, stride = work->ldx * (int64_t)sizeof(float), panel = panels->lanes * d;
    int64_t step = sonde__max_i64(1, ASSIGN_FLOATS / panel);
    int32_t best[ASSIGN_BLOCK];
    float top[ASSIGN_BLOCK], score[ASSIGN_BLOCK];
    for (int64_t p = 0; p < panels->count; p += step) {
        sonde__kernels_get()->nearest_f32(panels->values + p * panel, panels->bias + p * panels->lanes,
                                          sonde__min_i64(step, panels->count - p), x, stride, count, d, best,
                                          score, NULL);
        for (int64_t i = 0; i < count; i++) {
            if (p > 0 && !(score[i] > top[i])) continue;
            top[i] = score[i];
            label[i] = best[i] + (int32_t)(p * panels->lanes);
        }
    }
}

/* The distance to the winner alone is cheap: one in k. */
static sonde_status assign_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    assign_work *work = context;
    const sonde__kernels *kernels = sonde__kernels_get();
    assign_block(work, work->x + begin * work->ldx, end - begin, work->label + begin);
    if (!work->distance) return SONDE_OK;
    sonde__rows_fn pair = work->spherical ? kernels->ip_rows[SONDE__ROW_F32] : kernels->l2_rows[SONDE__ROW_F32];
    for (int64_t i = begin; i < end; i++)
        pair(work->x + i * work->ldx, work->centroids + work->label[i] * work->d, 0, 1, work->d,
             work->distance + i);
    return SONDE_OK;
}

sonde_status sonde__assign(sonde_runtime *runtime, int threads, const float *x, int64_t ldx, int64_t n,
                           int64_t d, const float *centroids, int64_t k, bool spherical, int32_t *label,
                           float *distance)
{
    sonde__kmeans_panels panels;
    SONDE_TRY(sonde__kmeans_panels_create(runtime, k, d, &panels));
    sonde__kmeans_panels_pack(&panels, centroids, spherical);
    assign_work work = {x, centroids, ldx, d, spherical, &panels, label, distance};
    sonde_status status = sonde__parallel_for(runtime, threads, n, ASSIGN_BLOCK, NULL, assign_chunk, &work);
    sonde__kmeans_panels_drop(runtime, &panels);
    return status;
}
