/* linear.c: a matrix applied to many rows.
 *
 * Idea: the rows of the matrix take the place of the queries of the tile kernel: packed once into panels, multiplied
 * with a block of rows at a time, so that a panel is read from the cache for all rows of the block.
 *
 * Cost: in x out multiply-adds a row; memory twice the matrix. The way back is one axpy for each matrix row and row: it
 * is rare (reconstruction), and spares a third copy.
 *
 * SPDX-License-Identifier: MIT
 */
#include "transforms/linear.h"

#include "kernels/kernels.h"

#define LINEAR_ROWS 32

sonde_status sonde__linear_make(sonde_runtime *runtime, int64_t in, int64_t out, float *matrix, float *offset,
                                sonde__linear *linear)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    int64_t lanes = kernels->lanes, count = (out + lanes - 1) / lanes;
    float *panels;
    SONDE_TRY(SONDE_NEW(runtime, panels, (uint64_t)count * (uint64_t)(lanes * in)));
    for (int64_t p = 0; p < count; p++)
        sonde__pack_rows(matrix + p * lanes * in, in * (int64_t)sizeof(float),
                            sonde__min_i64(lanes, out - p * lanes), in, lanes, panels + p * lanes * in);
    *linear = (sonde__linear){in, out, matrix, offset, panels};
    return SONDE_OK;
}

void sonde__linear_drop(sonde_runtime *runtime, sonde__linear *linear)
{
    sonde__free(runtime, linear->matrix);
    sonde__free(runtime, linear->offset);
    sonde__free(runtime, linear->panels);
    *linear = (sonde__linear){0};
}

void sonde__linear_apply(const sonde__linear *linear, const float *x, int64_t n, float *y)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    int64_t lanes = kernels->lanes, in = linear->in, out = linear->out;
    float tile[LINEAR_ROWS * SONDE__LANES_MAX];
    for (int64_t i = 0; i < n; i += LINEAR_ROWS) {
        int64_t rows = sonde__min_i64(LINEAR_ROWS, n - i);
        for (int64_t first = 0; first < out; first += lanes) {
            int64_t used = sonde__min_i64(lanes, out - first);
            kernels->tile_f32(linear->panels + first * in, x + i * in, in * (int64_t)sizeof(float), rows, in,
                              tile);
            for (int64_t r = 0; r < rows; r++)
                for (int64_t l = 0; l < used; l++)
                    y[(i + r) * out + first + l] = tile[r * lanes + l] +
                                                   (linear->offset ? linear->offset[first + l] : 0);
        }
    }
}

void sonde__linear_transposed(const sonde__linear *linear, const float *y, int64_t n, float *x)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    int64_t in = linear->in, out = linear->out;
    memset(x, 0, (size_t)(n * in) * sizeof *x);
    for (int64_t i = 0; i < n; i += LINEAR_ROWS)
        for (int64_t o = 0; o < out; o++)
            for (int64_t r = i; r < n && r < i + LINEAR_ROWS; r++)
                kernels->axpy(y[r * out + o], linear->matrix + o * in, in, x + r * in);
}
