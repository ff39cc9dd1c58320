/* pq_frame.c: a linear map in front of product quantization: y = map x is what is cut into parts.
 *
 * Problem: codes of parts are best where the parts are independent, alike in variance, and where an error
 * costs the same in every direction; columns as they come are none of that. Idea: any invertible map may
 * stand in front, because <q, x> = <query_map q, y> with query_map = map^-T: a rotation (opq), or the root of
 * the queries' second moment, which makes the length of an error in y the expected square of the error of a
 * score. (The latter: Sigma_q^1/2 in the literature on learned quantization for inner products.)
 *
 * Cost: dim^2 multiply-adds a row or query; 12 dim^2 bytes, 20 where the map is not orthogonal.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "linalg/linalg.h"
#include "quantizers/pq.h"

#define FRAME_ROWS 48 /* that are mapped together: whole groups of the tile kernels, which take 12 or 6 */

/* A little of the mean variance is added, so that directions in which no query points can be mapped back. */
#define FRAME_GUARD 1e-4

/* A panel of the transposed map is a run of columns of the map. */
static void frame_pack_back(const float *map, int64_t d, float *memory, sonde__codebook *book)
{
    int64_t lanes = sonde__kernels_get()->lanes, panels = (d + lanes - 1) / lanes;
    memset(memory, 0, (size_t)(panels * lanes * d) * sizeof *memory);
    for (int64_t p = 0; p < panels; p++)
        for (int64_t i = 0; i < d; i++)
            memcpy(memory + (p * d + i) * lanes, map + i * d + p * lanes,
                   (size_t)sonde__min_i64(lanes, d - p * lanes) * sizeof *memory);
    *book = (sonde__codebook){d, d, panels, memory, NULL};
}

sonde_status sonde__pq_frame_prepare(sonde_runtime *runtime, sonde__pq_frame *frame)
{
    const float *query_map = frame->query_map ? frame->query_map : frame->map;
    int64_t d = frame->dim, each = sonde__codebook_floats(d, d);
    SONDE_TRY(SONDE_NEW(runtime, frame->panels, each * (frame->query_map ? 3 : 2)));
    sonde__codebook_prepare(&frame->rows, frame->map, d, d, d, true, frame->panels);
    frame_pack_back(query_map, d, frame->panels + each, &frame->back);
    frame->queries = frame->rows;
    if (frame->query_map)
        sonde__codebook_prepare(&frame->queries, query_map, d, d, d, true, frame->panels + 2 * each);
    return SONDE_OK;
}

void sonde__pq_frame_drop(sonde_runtime *runtime, sonde__pq_frame *frame)
{
    sonde__free(runtime, frame->map);
    sonde__free(runtime, frame->query_map);
    sonde__free(runtime, frame->panels);
    *frame = (sonde__pq_frame){0};
}

void sonde__pq_frame_rows(const sonde__codebook *map, const float *x, int64_t ldx, int64_t n, float *y,
                          int64_t ldy)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    int64_t lanes = kernels->lanes, d = map->d;
    float tile[FRAME_ROWS * SONDE__LANES_MAX];
    for (int64_t i = 0; i < n; i += FRAME_ROWS) {
        int64_t rows = sonde__min_i64(FRAME_ROWS, n - i);
        for (int64_t p = 0; p < map->panels; p++) {
            size_t used = (size_t)sonde__min_i64(lanes, map->k - p * lanes) * sizeof *y;
            kernels->tile_f32(map->panel + p * d * lanes, x + i * ldx, ldx * (int64_t)sizeof *x, rows, d,
                              tile);
            for (int64_t r = 0; r < rows; r++) memcpy(y + (i + r) * ldy + p * lanes, tile + r * lanes, used);
        }
    }
}

/* ---- making maps ------------------------------------------------------------------------------------------------ */

/* out = sum over i of values[i]^power v_i v_i^T, v_i the rows of v. */
static sonde_status frame_power(sonde_runtime *runtime, int threads, int64_t d, const double *values,
                                double power, const double *v, float *out)
{
    float *scaled = NULL, *plain = NULL;
    sonde_status status = SONDE_NEW(runtime, scaled, d * d);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, plain, d * d);
    if (status == SONDE_OK) {
        for (int64_t j = 0; j < d; j++)
            for (int64_t i = 0; i < d; i++) {
                plain[j * d + i] = (float)v[i * d + j];
                scaled[j * d + i] = (float)(pow(values[i], power) * v[i * d + j]);
            }
        status = sonde__gemm_nt(runtime, threads, d, d, d, scaled, d, plain, d, out, d);
    }
    sonde__free(runtime, scaled);
    sonde__free(runtime, plain);
    return status;
}

/* Second moment / n, guarded, in its own directions. */
static sonde_status frame_spectrum(sonde_runtime *runtime, int threads, const float *queries, int64_t n,
                                   int64_t d, double *values, double *v)
{
    double *moment, trace = 0;
    SONDE_TRY(SONDE_NEW(runtime, moment, d * d));
    sonde_status status = sonde__gram(runtime, threads, n, d, queries, d, NULL, moment);
    if (status == SONDE_OK) {
        for (int64_t j = 0; j < d; j++) trace += moment[j * d + j];
        double mean = trace > 0 ? trace / (double)d : 1;
        for (int64_t j = 0; j < d * d; j++) moment[j] /= mean; /* only ratios matter */
        for (int64_t j = 0; j < d; j++) moment[j * d + j] += FRAME_GUARD;
        status = sonde__eigen_symmetric(runtime, d, moment, values, v);
    }
    for (int64_t j = 0; status == SONDE_OK && j < d; j++)
        if (!(values[j] > FRAME_GUARD / 2)) values[j] = FRAME_GUARD / 2; /* rounding */
    sonde__free(runtime, moment);
    return status;
}

sonde_status sonde__pq_frame_moment(sonde_runtime *runtime, int threads, const float *queries, int64_t n,
                                    int64_t dim, sonde__pq_frame *frame)
{
    double *values = NULL, *v = NULL;
    sonde__pq_frame made = {.dim = dim};
    sonde_status status = SONDE_NEW(runtime, values, dim);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, v, dim * dim);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, made.map, dim * dim);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, made.query_map, dim * dim);
    if (status == SONDE_OK) status = frame_spectrum(runtime, threads, queries, n, dim, values, v);
    if (status == SONDE_OK) status = frame_power(runtime, threads, dim, values, 0.5, v, made.map);
    if (status == SONDE_OK) status = frame_power(runtime, threads, dim, values, -0.5, v, made.query_map);
    if (status == SONDE_OK) *frame = made;
    else sonde__pq_frame_drop(runtime, &made);
    sonde__free(runtime, values);
    sonde__free(runtime, v);
    return status;
}

/* *matrix = rotation times *matrix. */
static sonde_status frame_turn(sonde_runtime *runtime, int threads, int64_t d, const float *rotation,
                               float **matrix)
{
    float *product;
    SONDE_TRY(SONDE_NEW(runtime, product, d * d));
    sonde_status status = sonde__gemm_nn(runtime, threads, d, d, d, rotation, d, *matrix, d, product, d);
    sonde__free(runtime, status == SONDE_OK ? *matrix : product);
    if (status == SONDE_OK) *matrix = product;
    return status;
}

sonde_status sonde__pq_frame_rotate(sonde_runtime *runtime, int threads, float *rotation,
                                    sonde__pq_frame *frame)
{
    if (!frame->map) {
        frame->map = rotation;
        return SONDE_OK;
    }
    sonde_status status = frame_turn(runtime, threads, frame->dim, rotation, &frame->map);
    if (status == SONDE_OK) status = frame_turn(runtime, threads, frame->dim, rotation, &frame->query_map);
    sonde__free(runtime, rotation);
    return status;
}
