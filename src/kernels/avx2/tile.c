/* tile.c (avx2): products of many rows with a panel of 16 queries, and what is done with them.
 *
 * Six rows against 16 lanes: 12 sums in registers, two registers for the panel, and two for elements of the rows,
 * which are broadcast from where they lie. A step of k is 12 fused multiply-adds for 8 loads, so the multipliers
 * are the limit as long as the rows are in L1 and the panel in L2. Each (row, lane) is one running sum in order of
 * k, so equal rows get equal scores wherever they stand.
 *
 * SPDX-License-Identifier: MIT
 */
#include <immintrin.h>
#include <math.h>

#include "kernels/slots.h"

enum { LANES = 16, ROWS = 6 };

typedef __m256 vector;

SONDE__INLINE vector vector_load(const float *from) { return _mm256_loadu_ps(from); }
SONDE__INLINE void vector_store(float *to, vector x) { _mm256_storeu_ps(to, x); }
SONDE__INLINE vector spread(float x) { return _mm256_set1_ps(x); }

/* sum += x * y. GCC 12 may pick a form that overwrites x, and then moves and spills sums; this keeps each in its
 * place. */
SONDE__INLINE void accumulate(vector *sum, vector x, vector y)
{
    __asm__("vfmadd231ps %2, %1, %0" : "+x"(*sum) : "x"(x), "x"(y));
}

#include "kernels/tile_products.h"

/* How many rows to take next: the largest group that has a kernel. */
static int64_t rows_next(int64_t left, int64_t stride)
{
    (void)stride;
    return left >= ROWS ? ROWS : left >= 3 ? 3 : left;
}

/* The best of each of 8 columns of lanes for one row; `number` is the first lane of the block it was seen in. */
typedef struct nearest_state {
    vector best, second;
    __m256i number;
} nearest_state;

/* Strictly greater, so ties stay with the lower number. The order of the operands keeps NaN out of all three. */
SONDE__INLINE void nearest_keep(nearest_state *state, vector score, int64_t first, bool runner_up)
{
    __m256 better = _mm256_cmp_ps(score, state->best, _CMP_GT_OQ);
    __m256 number = _mm256_castsi256_ps(_mm256_set1_epi32((int32_t)first));
    if (runner_up) state->second = _mm256_max_ps(_mm256_min_ps(state->best, score), state->second);
    state->best = _mm256_max_ps(score, state->best);
    state->number = _mm256_castps_si256(_mm256_blendv_ps(_mm256_castsi256_ps(state->number), number, better));
}

static float max_of_8(__m256 x)
{
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

static int32_t min_of_8(__m256i x)
{
    __m128i m = _mm_min_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    m = _mm_min_epi32(m, _mm_shuffle_epi32(m, 0x4e));
    return _mm_cvtsi128_si32(_mm_min_epi32(m, _mm_shuffle_epi32(m, 0xb1)));
}

static void nearest_finish(const nearest_state *state, int32_t *best, float *score, float *second)
{
    *score = max_of_8(state->best);
    __m256i number = _mm256_add_epi32(state->number, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    __m256 equal = _mm256_cmp_ps(state->best, _mm256_set1_ps(*score), _CMP_EQ_OQ);
    *best = min_of_8(_mm256_blendv_epi8(_mm256_set1_epi32(INT32_MAX), number, _mm256_castps_si256(equal)));
    if (!second) return;
    __m256i winner = _mm256_cmpeq_epi32(number, _mm256_set1_epi32(*best));
    __m256 others = _mm256_blendv_ps(state->best, _mm256_set1_ps(-INFINITY), _mm256_castsi256_ps(winner));
    *second = max_of_8(_mm256_max_ps(others, state->second));
}

#include "kernels/tile_f32.h"

/* ---- 8-bit tiles ---------------------------------------------------------------------------------------------- */

/* Pairs of products fit 16 bits because queries are within -64..64 (255 * 64 * 2 = 32640). */
SONDE__INLINE __m256i dot4(__m256i sum, __m256i x, __m256i query)
{
    __m256i pairs = _mm256_maddubs_epi16(x, query);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

/* Adds the products of the four elements from k on; behind d there are zeros. `whole` is a constant: k + 4 <= d. */
SONDE__INLINE void tile8_step(const int8_t *panel, const uint8_t *row, int64_t stride, int rows, int64_t k, int64_t d,
                              bool whole, __m256i sum[][2])
{
    __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)(panel + k * LANES));
    __m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(panel + k * LANES + 32));
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        const uint8_t *at = row + r * stride + k;
        uint32_t bytes = 0;
        if (whole) bytes = sonde__load_u32(at);
        for (int64_t i = 0; !whole && k + i < d; i++) bytes |= (uint32_t)at[i] << (8 * i);
        __m256i x = _mm256_set1_epi32((int32_t)bytes);
        sum[r][0] = dot4(sum[r][0], x, low);
        sum[r][1] = dot4(sum[r][1], x, high);
    }
}

SONDE__INLINE void tile8_rows(const int8_t *panel, const uint8_t *row, int64_t stride, int rows, int64_t d,
                              int32_t *out)
{
    __m256i sum[4][2];
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) sum[r][0] = sum[r][1] = _mm256_setzero_si256();
    int64_t k = 0;
    for (; k + 4 <= d; k += 4) tile8_step(panel, row, stride, rows, k, d, true, sum);
    if (k < d) tile8_step(panel, row, stride, rows, k, d, false, sum);
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        _mm256_storeu_si256((__m256i *)(void *)(out + r * LANES), sum[r][0]);
        _mm256_storeu_si256((__m256i *)(void *)(out + r * LANES + 8), sum[r][1]);
    }
}

static void tile_u8s8(const int8_t *panel, const uint8_t *rows, int64_t stride, int64_t count, int64_t d, int32_t *out)
{
    int64_t i = 0;
    for (; i + 4 <= count; i += 4) tile8_rows(panel, rows + i * stride, stride, 4, d, out + i * LANES);
    for (; i < count; i++) tile8_rows(panel, rows + i * stride, stride, 1, d, out + i * LANES);
}

/* ---- selection ------------------------------------------------------------------------------------------------ */

/* The lanes of eight whose bound is not at or below the threshold. */
SONDE__INLINE uint32_t bound_block(const int32_t *sums, const sonde__bound_lanes *panel, int64_t lane,
                                   const __m256 row[4], __m256 threshold)
{
    __m256i shift = _mm256_loadu_si256((const __m256i *)(const void *)(panel->shift + lane));
    __m256i sum = _mm256_sub_epi32(_mm256_loadu_si256((const __m256i *)(const void *)sums), shift);
    __m256 ip = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), _mm256_loadu_ps(panel->scale + lane));
    __m256 s = _mm256_fmadd_ps(_mm256_loadu_ps(panel->blur + lane), row[2], row[3]);
    s = _mm256_fmadd_ps(_mm256_loadu_ps(panel->reach + lane), row[1], s);
    s = _mm256_fmadd_ps(ip, row[0], s);
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(s, threshold, _CMP_NLE_UQ));
}

static int64_t tile_bound(const int32_t *sums, int64_t count, int64_t lanes, const sonde__bound_lanes *panel,
                          const sonde__bound_rows *rows, const float *threshold, uint32_t *hits)
{
    int64_t found = 0;
    for (int64_t r = 0; r < count; r++, sums += lanes) {
        const __m256 row[4] = {_mm256_set1_ps(rows->step[r]), _mm256_set1_ps(rows->error[r]),
                               _mm256_set1_ps(rows->length[r]), _mm256_set1_ps(rows->bias[r])};
        uint32_t passed = 0;
        for (int64_t lane = 0; lane < lanes; lane += 8)
            passed |= bound_block(sums + lane, panel, lane, row, _mm256_loadu_ps(threshold + lane)) << lane;
        for (; passed; passed &= passed - 1) hits[found++] = (uint32_t)(r * lanes) + (uint32_t)_tzcnt_u32(passed);
    }
    return found;
}

static int64_t tile_select(float *tile, int64_t count, int64_t lanes, const float *scale, const float *bias,
                           const float *threshold, uint32_t *hits)
{
    int64_t found = 0;
    for (int64_t row = 0; row < count; row++, tile += lanes) {
        __m256 factor = _mm256_set1_ps(scale ? scale[row] : 1), shift = _mm256_set1_ps(bias ? bias[row] : 0);
        uint32_t passed = 0;
        for (int64_t lane = 0; lane < lanes; lane += 8) {
            __m256 s = _mm256_fmadd_ps(_mm256_loadu_ps(tile + lane), factor, shift);
            _mm256_storeu_ps(tile + lane, s);
            __m256 above = _mm256_cmp_ps(s, _mm256_loadu_ps(threshold + lane), _CMP_GT_OQ);
            passed |= (uint32_t)_mm256_movemask_ps(above) << lane;
        }
        for (; passed; passed &= passed - 1) hits[found++] = (uint32_t)(row * lanes) + (uint32_t)_tzcnt_u32(passed);
    }
    return found;
}

const sonde__kernels sonde__avx2_tile = {
    .lanes = LANES,
    .tile_f32 = tile_f32,
    .tile_u8s8 = tile_u8s8,
    .bytes_from = 1,
    .tile_bound = tile_bound,
    .tile_select = tile_select,
    .nearest_f32 = nearest_f32,
};
