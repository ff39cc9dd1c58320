/* tile.c (generic): products of many rows with a panel of 16 queries, and what is done with them.
 *
 * Two rows at a time against the 16 lanes: eight 4-wide sums, which fit the registers of any 64-bit processor. Each
 * (row, lane) is one running sum in order of k, so equal rows get equal scores wherever they stand.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "kernels/slots.h"

enum { LANES = 16, NEAREST_ROWS = 16 };

/* Four sums at once; the compilers' own type for it compiles everywhere. */
typedef float quad __attribute__((vector_size(16)));

SONDE__INLINE void tile_rows(const float *panel, const uint8_t *row, int64_t stride, int rows, int64_t d, float *out)
{
    quad sum[2][LANES / 4] = {{{0}}};
    for (int64_t k = 0; k < d; k++, panel += LANES) {
        quad column[LANES / 4];
        memcpy(column, panel, sizeof column);
#pragma GCC unroll 2
        for (int r = 0; r < rows; r++) {
            float x = sonde__load_f32(row + r * stride + 4 * k);
#pragma GCC unroll 4
            for (int q = 0; q < LANES / 4; q++) sum[r][q] += x * column[q];
        }
    }
    memcpy(out, sum, (size_t)rows * sizeof sum[0]);
}

static void tile_f32(const float *panel, const float *rows, int64_t stride, int64_t count, int64_t d, float *out)
{
    const uint8_t *row = (const uint8_t *)rows;
    int64_t i = 0;
    for (; i + 2 <= count; i += 2) tile_rows(panel, row + i * stride, stride, 2, d, out + i * LANES);
    if (i < count) tile_rows(panel, row + i * stride, stride, 1, d, out + i * LANES);
}

static void tile_u8s8(const int8_t *panel, const uint8_t *rows, int64_t stride, int64_t count, int64_t d, int32_t *out)
{
    for (int64_t i = 0; i < count; i++) {
        int32_t sum[LANES] = {0};
        for (int64_t k = 0; k < d; k++) {
            const int8_t *column = panel + k / 4 * 4 * LANES + k % 4;
            for (int lane = 0; lane < LANES; lane++) sum[lane] += rows[i * stride + k] * column[4 * lane];
        }
        memcpy(out + i * LANES, sum, sizeof sum);
    }
}

/* By the bits, whose order is that of the numbers: a maximum of floats would have to be taken one by one. */
static float largest(const float *x, int64_t d)
{
    int32_t most = 0;
    for (int64_t j = 0; j < d; j++) {
        int32_t bits = (int32_t)(sonde__load_u32(&x[j]) & INT32_MAX);
        most = bits > most ? bits : most;
    }
    return sonde__bits_to_f32((uint32_t)most);
}

/* Up to LANES elements; adds the squares of what they lose, in steps. Adding 128.5 makes truncation round. */
static void quantise_block(const float *x, float inverse, int64_t count, int8_t *codes, float *lost2)
{
    for (int64_t j = 0; j < count; j++) {
        float scaled = x[j] * inverse;
        int32_t code = (int32_t)(scaled + 128.5f) - 128;
        float lost = scaled - (float)code;
        codes[j] = (int8_t)code;
        lost2[j] += lost * lost;
    }
}

/* Twice what is needed, because numbers this small or large are rounded with less care. */
static void quantise_nothing(float top, int64_t d, int8_t *codes, sonde__quantised *what)
{
    float length = (float)(2 * (double)top * sqrt((double)d));
    for (int64_t j = 0; j < d; j++) codes[j] = 0;
    *what = (sonde__quantised){0, 0, length, length};
}

static void quantise(const float *x, int64_t d, int32_t most, int8_t *codes, sonde__quantised *what)
{
    float top = largest(x, d), step = top / (float)most, lanes[LANES] = {0};
    if (!(top >= 0x1p-50f && top <= 0x1p52f)) {
        quantise_nothing(top, d, codes, what);
        return;
    }
    int64_t j = 0;
    for (; j + LANES <= d; j += LANES) quantise_block(x + j, 1 / step, LANES, codes + j, lanes);
    quantise_block(x + j, 1 / step, d - j, codes + j, lanes);
    double lost2 = 0;
    int32_t sum = 0, length2 = 0; /* at most 65536 x 127^2 */
    for (int i = 0; i < LANES; i++) lost2 += lanes[i];
    for (j = 0; j < d; j++) {
        sum += codes[j];
        length2 += codes[j] * codes[j];
    }
    double lost = step * sqrt(lost2);
    *what = (sonde__quantised){step, sum, (float)lost, (float)(step * sqrt(length2) + lost)};
}

static int64_t tile_bound(const int32_t *sums, int64_t count, int64_t lanes, const sonde__bound_lanes *panel,
                          const sonde__bound_rows *rows, const float *threshold, uint32_t *hits)
{
    int64_t found = 0;
    for (int64_t row = 0; row < count; row++) {
        float bound[SONDE__LANES_MAX];
        float step = rows->step[row], error = rows->error[row], length = rows->length[row], bias = rows->bias[row];
        for (int64_t lane = 0; lane < lanes; lane++) {
            float ip = (float)(sums[row * lanes + lane] - panel->shift[lane]) * panel->scale[lane];
            bound[lane] = ip * step + (panel->reach[lane] * error + (panel->blur[lane] * length + bias));
        }
        for (int64_t lane = 0; lane < lanes; lane++)
            if (!(bound[lane] <= threshold[lane])) hits[found++] = (uint32_t)(row * lanes + lane);
    }
    return found;
}

static int64_t tile_select(float *tile, int64_t count, int64_t lanes, const float *scale, const float *bias,
                           const float *threshold, uint32_t *hits)
{
    int64_t found = 0;
    for (int64_t row = 0; row < count; row++) {
        float factor = scale ? scale[row] : 1, shift = bias ? bias[row] : 0;
        for (int64_t lane = 0; lane < lanes; lane++) {
            int64_t place = row * lanes + lane;
            tile[place] = tile[place] * factor + shift;
            if (tile[place] > threshold[lane]) hits[found++] = (uint32_t)place;
        }
    }
    return found;
}

/* Enters the scores of one panel into the best so far of one row. Strictly greater: ties stay with the lower number. */
static void keep_nearest(const float *sums, const float *bias, int32_t first, int32_t *best, float *score,
                         float *second)
{
    for (int lane = 0; lane < LANES; lane++) {
        float s = sums[lane] + bias[lane];
        if (s > *score) {
            *second = *score;
            *score = s;
            *best = first + lane;
        } else if (s > *second) {
            *second = s;
        }
    }
}

static void nearest_f32(const float *panels, const float *bias, int64_t panel_count, const float *rows, int64_t stride,
                        int64_t count, int64_t d, int32_t *best, float *score, float *second)
{
    for (int64_t begin = 0; begin < count; begin += NEAREST_ROWS) {
        int64_t some = sonde__min_i64(NEAREST_ROWS, count - begin);
        float sums[NEAREST_ROWS * LANES], runner_up[NEAREST_ROWS];
        for (int64_t i = 0; i < some; i++) {
            best[begin + i] = 0;
            score[begin + i] = runner_up[i] = -INFINITY;
        }
        for (int64_t p = 0; p < panel_count; p++) {
            const uint8_t *row = (const uint8_t *)rows + begin * stride;
            tile_f32(panels + p * LANES * d, (const float *)row, stride, some, d, sums);
            for (int64_t i = 0; i < some; i++)
                keep_nearest(sums + i * LANES, bias + p * LANES, (int32_t)(p * LANES), &best[begin + i],
                             &score[begin + i], &runner_up[i]);
        }
        if (second) memcpy(second + begin, runner_up, (size_t)some * sizeof *second);
    }
}

const sonde__kernels sonde__generic_tile = {
    .lanes = LANES,
    .tile_f32 = tile_f32,
    .tile_u8s8 = tile_u8s8,
    .quantise = quantise,
    .bytes_from = SONDE__MAX_DIM + 1,
    .tile_bound = tile_bound,
    .tile_select = tile_select,
    .nearest_f32 = nearest_f32,
};
