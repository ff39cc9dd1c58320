/* tile.c (avx512): products of many rows with a panel of 32 queries, and what is done with them.
 *
 * Twelve rows against 32 lanes: 24 sums in registers, two registers for the panel, and a few for elements of the rows,
 * which are broadcast from where they lie. A step of k is 24 fused multiply-adds for 14 loads, so the multipliers are
 * the limit as long as the rows are in L1 and the panel in L2. Each (row, lane) is one running sum in order of k, so
 * equal rows get equal scores wherever they stand.
 *
 * SPDX-License-Identifier: MIT
 */
#include <immintrin.h>
#include <math.h>

#include "kernels/slots.h"

enum { LANES = 32, ROWS = 12 };

typedef __m512 vector;

SONDE__INLINE vector vector_load(const float *from) { return _mm512_loadu_ps(from); }
SONDE__INLINE void vector_store(float *to, vector x) { _mm512_storeu_ps(to, x); }
SONDE__INLINE vector spread(float x) { return _mm512_set1_ps(x); }

/* sum += x * y. GCC 12 may pick a form that overwrites x, and then moves and spills sums; this keeps each in its
 * place. */
SONDE__INLINE void accumulate(vector *sum, vector x, vector y)
{
    __asm__("vfmadd231ps %2, %1, %0" : "+v"(*sum) : "v"(x), "v"(y));
}

#include "kernels/tile_products.h"

/* How many rows to take next: the largest group that has a kernel. Rows a multiple of 4 KiB apart all fall on one
 * set of the L1 cache, which has room for eight lines; six of them do not drive each other out. */
static int64_t rows_next(int64_t left, int64_t stride)
{
    if (left >= ROWS && stride % 4096 != 0) return ROWS;
    return left >= 6 ? 6 : left >= 3 ? 3 : left;
}

/* The best of each of 16 columns of lanes for one row; `number` is the first lane of the block it was seen in. */
typedef struct nearest_state {
    vector best, second;
    __m512i number;
} nearest_state;

/* Strictly greater, so ties stay with the lower number. The order of the operands keeps NaN out of all three. */
SONDE__INLINE void nearest_keep(nearest_state *state, vector score, int64_t first, bool runner_up)
{
    __mmask16 better = _mm512_cmp_ps_mask(score, state->best, _CMP_GT_OQ);
    if (runner_up) state->second = _mm512_max_ps(_mm512_min_ps(state->best, score), state->second);
    state->best = _mm512_max_ps(score, state->best);
    state->number = _mm512_mask_set1_epi32(state->number, better, (int32_t)first);
}

static void nearest_finish(const nearest_state *state, int32_t *best, float *score, float *second)
{
    __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    *score = _mm512_reduce_max_ps(state->best);
    __mmask16 equal = _mm512_cmp_ps_mask(state->best, _mm512_set1_ps(*score), _CMP_EQ_OQ);
    __m512i number = _mm512_add_epi32(state->number, lanes);
    *best = _mm512_mask_reduce_min_epi32(equal, number);
    if (!second) return;
    __mmask16 winner = _mm512_cmpeq_epi32_mask(number, _mm512_set1_epi32(*best));
    __m512 others = _mm512_mask_mov_ps(state->best, winner, _mm512_set1_ps(-INFINITY));
    *second = _mm512_reduce_max_ps(_mm512_max_ps(others, state->second));
}

#include "kernels/tile_f32.h"

/* ---- 8-bit tiles ---------------------------------------------------------------------------------------------- */

/* sum += products of four bytes; as for accumulate, GCC would read the panel anew for each product. */
SONDE__INLINE void accumulate_bytes(__m512i *sum, __m512i x, __m512i query)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(*sum) : "v"(x), "v"(query));
}

/* Adds the products of the four elements from k on; behind d there are zeros. `whole` is a constant: k + 4 <= d. */
SONDE__INLINE void tile8_step(const int8_t *panel, const uint8_t *row, int64_t stride, int rows, int64_t k, int64_t d,
                              bool whole, __m512i sum[][2])
{
    __m512i low = _mm512_loadu_si512(panel + k * LANES), high = _mm512_loadu_si512(panel + k * LANES + 64);
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
        const uint8_t *at = row + r * stride + k;
        uint32_t bytes = 0;
        if (whole) bytes = sonde__load_u32(at);
        for (int64_t i = 0; !whole && k + i < d; i++) bytes |= (uint32_t)at[i] << (8 * i);
        __m512i x = _mm512_set1_epi32((int32_t)bytes);
        accumulate_bytes(&sum[r][0], x, low);
        accumulate_bytes(&sum[r][1], x, high);
    }
}

SONDE__INLINE void tile8_rows(const int8_t *panel, const uint8_t *row, int64_t stride, int rows, int64_t d,
                              int32_t *out)
{
    __m512i sum[ROWS][2];
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) sum[r][0] = sum[r][1] = _mm512_setzero_si512();
    int64_t k = 0;
    for (; k + 4 <= d; k += 4) tile8_step(panel, row, stride, rows, k, d, true, sum);
    if (k < d) tile8_step(panel, row, stride, rows, k, d, false, sum);
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
        _mm512_storeu_si512(out + r * LANES, sum[r][0]);
        _mm512_storeu_si512(out + r * LANES + 16, sum[r][1]);
    }
}

static void tile_u8s8(const int8_t *panel, const uint8_t *rows, int64_t stride, int64_t count, int64_t d, int32_t *out)
{
    for (int64_t i = 0, some; i < count; i += some) {
        const uint8_t *row = rows + i * stride;
        some = count - i >= ROWS ? ROWS : count - i >= 3 ? 3 : 1;
        if (some == ROWS)
            tile8_rows(panel, row, stride, ROWS, d, out + i * LANES);
        else if (some == 3)
            tile8_rows(panel, row, stride, 3, d, out + i * LANES);
        else
            tile8_rows(panel, row, stride, 1, d, out + i * LANES);
    }
}

/* ---- selection ------------------------------------------------------------------------------------------------ */

/* Sixteen scores in place; the lanes that pass. */
SONDE__INLINE __mmask16 select_block(float *tile, __mmask16 lanes, __m512 scale, __m512 bias, __m512 threshold)
{
    __m512 s = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(lanes, tile), scale, bias);
    _mm512_mask_storeu_ps(tile, lanes, s);
    return _mm512_mask_cmp_ps_mask(lanes, s, threshold, _CMP_GT_OQ);
}

/* Sixteen lanes of a panel, of which those in `used` are there. */
typedef struct bound_block {
    __mmask16 used;
    __m512i shift;
    __m512 scale, reach, blur, threshold;
} bound_block;

SONDE__INLINE bound_block bound_lanes(const sonde__bound_lanes *panel, const float *threshold, int64_t first,
                                      int64_t lanes)
{
    __mmask16 used = lanes - first >= 16 ? 0xffff : lanes > first ? (__mmask16)((1 << (lanes - first)) - 1) : 0;
    return (bound_block){used, _mm512_loadu_si512(panel->shift + first), _mm512_loadu_ps(panel->scale + first),
                         _mm512_loadu_ps(panel->reach + first), _mm512_loadu_ps(panel->blur + first),
                         _mm512_maskz_loadu_ps(used, threshold + first)};
}

/* The lanes whose bound is not at or below the threshold. */
SONDE__INLINE uint32_t bound_pass(const int32_t *sums, const bound_block *lanes, const __m512 row[4])
{
    __m512i sum = _mm512_sub_epi32(_mm512_maskz_loadu_epi32(lanes->used, sums), lanes->shift);
    __m512 s = _mm512_fmadd_ps(lanes->reach, row[1], _mm512_fmadd_ps(lanes->blur, row[2], row[3]));
    s = _mm512_fmadd_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sum), lanes->scale), row[0], s);
    return _mm512_mask_cmp_ps_mask(lanes->used, s, lanes->threshold, _CMP_NLE_UQ);
}

static int64_t tile_bound(const int32_t *sums, int64_t count, int64_t lanes, const sonde__bound_lanes *panel,
                          const sonde__bound_rows *rows, const float *threshold, uint32_t *hits)
{
    const bound_block low = bound_lanes(panel, threshold, 0, lanes), high = bound_lanes(panel, threshold, 16, lanes);
    int64_t found = 0;
    for (int64_t r = 0; r < count; r++, sums += lanes) {
        const __m512 row[4] = {_mm512_set1_ps(rows->step[r]), _mm512_set1_ps(rows->error[r]),
                               _mm512_set1_ps(rows->length[r]), _mm512_set1_ps(rows->bias[r])};
        uint32_t passed = bound_pass(sums, &low, row) | bound_pass(sums + 16, &high, row) << 16;
        for (; passed; passed &= passed - 1) hits[found++] = (uint32_t)(r * lanes) + (uint32_t)_tzcnt_u32(passed);
    }
    return found;
}

static int64_t tile_select(float *tile, int64_t count, int64_t lanes, const float *scale, const float *bias,
                           const float *threshold, uint32_t *hits)
{
    __mmask16 low = lanes >= 16 ? 0xffff : (__mmask16)((1 << lanes) - 1);
    __mmask16 high = lanes <= 16 ? 0 : (__mmask16)((1u << (lanes - 16)) - 1);
    __m512 threshold_low = _mm512_maskz_loadu_ps(low, threshold);
    __m512 threshold_high = _mm512_maskz_loadu_ps(high, threshold + 16);
    int64_t found = 0;
    for (int64_t row = 0; row < count; row++, tile += lanes) {
        __m512 factor = _mm512_set1_ps(scale ? scale[row] : 1), shift = _mm512_set1_ps(bias ? bias[row] : 0);
        uint32_t passed = select_block(tile, low, factor, shift, threshold_low);
        passed |= (uint32_t)select_block(tile + 16, high, factor, shift, threshold_high) << 16;
        for (; passed; passed &= passed - 1) hits[found++] = (uint32_t)(row * lanes) + (uint32_t)_tzcnt_u32(passed);
    }
    return found;
}

const sonde__kernels sonde__avx512_tile = {
    .lanes = LANES,
    .tile_f32 = tile_f32,
    .tile_u8s8 = tile_u8s8,
    .bytes_from = 1,
    .tile_bound = tile_bound,
    .tile_select = tile_select,
    .nearest_f32 = nearest_f32,
};
