/* tile.c (neon): products of many rows with a panel of 16 queries, and what is done with them.
 *
 * Four rows against 16 lanes: 16 sums in registers, four registers for a step of the panel, and four that hold the
 * next four elements of each row; one element of a row multiplies a register without being spread first. Each
 * (row, lane) is one running sum in order of k, so equal rows get equal scores wherever they stand.
 *
 * SPDX-License-Identifier: MIT
 */
#include <arm_neon.h>
#include <math.h>

#include "kernels/slots.h"

enum { LANES = 16, PARTS = LANES / 4, ROWS = 4 };

typedef float32x4_t vector;

SONDE__INLINE vector vector_load(const float *from) { return vld1q_f32(from); }
SONDE__INLINE void vector_store(float *to, vector x) { vst1q_f32(to, x); }
SONDE__INLINE vector spread(float x) { return vdupq_n_f32(x); }

/* sum += column * x[lane]; the lane of the instruction is a constant. */
SONDE__INLINE float32x4_t add_scaled(float32x4_t sum, float32x4_t column, float32x4_t x, int lane)
{
    switch (lane) {
    case 0: return vfmaq_laneq_f32(sum, column, x, 0);
    case 1: return vfmaq_laneq_f32(sum, column, x, 1);
    case 2: return vfmaq_laneq_f32(sum, column, x, 2);
    default: return vfmaq_laneq_f32(sum, column, x, 3);
    }
}

/* One step of k for all rows: the element `lane` of each x. */
SONDE__INLINE void tile_step(const float *panel, const float32x4_t *x, int lane, int rows, float32x4_t sum[][PARTS])
{
    float32x4_t column[PARTS];
#pragma GCC unroll 4
    for (int q = 0; q < PARTS; q++) column[q] = vld1q_f32(panel + 4 * q);
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 4
        for (int q = 0; q < PARTS; q++) sum[r][q] = add_scaled(sum[r][q], column[q], x[r], lane);
    }
}

/* The products over k in [0, d), added to the 16 values that every row starts with. */
SONDE__INLINE void tile_products(const float *panel, const uint8_t *row, int64_t stride, int rows, int64_t d,
                                 const float *start, float32x4_t sum[][PARTS])
{
    float32x4_t x[ROWS];
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 4
        for (int q = 0; q < PARTS; q++) sum[r][q] = vld1q_f32(start + 4 * q);
    }
    int64_t k = 0;
    for (; k + 4 <= d; k += 4, panel += 4 * LANES) {
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++) x[r] = vreinterpretq_f32_u8(vld1q_u8(row + r * stride + 4 * k));
#pragma GCC unroll 4
        for (int lane = 0; lane < 4; lane++) tile_step(panel + lane * LANES, x, lane, rows, sum);
    }
    for (; k < d; k++, panel += LANES) {
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++) x[r] = vdupq_n_f32(sonde__load_f32(row + r * stride + 4 * k));
        tile_step(panel, x, 0, rows, sum);
    }
}

/* How many rows to take next: the largest group that has a kernel. */
static int64_t rows_next(int64_t left, int64_t stride)
{
    (void)stride;
    return left >= ROWS ? ROWS : left;
}

/* The best of each of 4 columns of lanes for one row; `number` is the first lane of the block it was seen in. */
typedef struct nearest_state {
    float32x4_t best, second;
    int32x4_t number;
} nearest_state;

/* Strictly greater, so ties stay with the lower number, and NaN, which is never greater, stays out. */
SONDE__INLINE void nearest_keep(nearest_state *state, float32x4_t score, int64_t first, bool runner_up)
{
    uint32x4_t better = vcgtq_f32(score, state->best);
    if (runner_up) {
        float32x4_t lesser = vbslq_f32(better, state->best, score);
        state->second = vbslq_f32(vcgtq_f32(lesser, state->second), lesser, state->second);
    }
    state->best = vbslq_f32(better, score, state->best);
    state->number = vbslq_s32(better, vdupq_n_s32((int32_t)first), state->number);
}

static void nearest_finish(const nearest_state *state, int32_t *best, float *score, float *second)
{
    static const int32_t lanes[4] = {0, 1, 2, 3};
    *score = vmaxvq_f32(state->best);
    int32x4_t number = vaddq_s32(state->number, vld1q_s32(lanes));
    uint32x4_t equal = vceqq_f32(state->best, vdupq_n_f32(*score));
    *best = vminvq_s32(vbslq_s32(equal, number, vdupq_n_s32(INT32_MAX)));
    if (!second) return;
    uint32x4_t winner = vceqq_s32(number, vdupq_n_s32(*best));
    float32x4_t others = vbslq_f32(winner, vdupq_n_f32(-INFINITY), state->best);
    *second = vmaxvq_f32(vmaxq_f32(others, state->second));
}

#include "kernels/tile_f32.h"

/* ---- 8-bit tiles ---------------------------------------------------------------------------------------------- */

/* Adds products of four elements to each of four lanes. Pairs fit 16 bits: 2 * 64 * 128 = 16384. */
SONDE__INLINE int32x4_t add_fours(int32x4_t sum, int8x16_t query, int8x16_t x, int group)
{
    int32x4_t words = vreinterpretq_s32_s8(x);
    int8x16_t four = vreinterpretq_s8_s32(group == 0   ? vdupq_laneq_s32(words, 0)
                                          : group == 1 ? vdupq_laneq_s32(words, 1)
                                          : group == 2 ? vdupq_laneq_s32(words, 2)
                                                       : vdupq_laneq_s32(words, 3));
    int16x8_t low = vmull_s8(vget_low_s8(query), vget_low_s8(four)), high = vmull_high_s8(query, four);
    return vpadalq_s16(sum, vpaddq_s16(low, high));
}

#define SLOT_TARGET
#include "kernels/neon/byte_tiles.h"

/* ---- selection ------------------------------------------------------------------------------------------------ */

/* Eight lanes of one row are narrowed to a byte each; of these bytes a word keeps the highest bits. */
static int64_t tile_select(float *tile, int64_t count, int64_t lanes, const float *scale, const float *bias,
                           const float *threshold, uint32_t *hits)
{
    int64_t found = 0;
    for (int64_t row = 0; row < count; row++) {
        float32x4_t factor = vdupq_n_f32(scale ? scale[row] : 1), shift = vdupq_n_f32(bias ? bias[row] : 0);
        for (int64_t lane = 0; lane < lanes; lane += 8) {
            const int64_t place = row * lanes + lane;
            float32x4_t low = vfmaq_f32(shift, vld1q_f32(tile + place), factor);
            float32x4_t high = vfmaq_f32(shift, vld1q_f32(tile + place + 4), factor);
            uint32x4_t pass_low = vcgtq_f32(low, vld1q_f32(threshold + lane));
            uint32x4_t pass_high = vcgtq_f32(high, vld1q_f32(threshold + lane + 4));
            uint8x8_t pass = vmovn_u16(vcombine_u16(vmovn_u32(pass_low), vmovn_u32(pass_high)));
            uint64_t passed = vget_lane_u64(vreinterpret_u64_u8(pass), 0) & 0x8080808080808080u;
            vst1q_f32(tile + place, low);
            vst1q_f32(tile + place + 4, high);
            for (; passed; passed &= passed - 1) hits[found++] = (uint32_t)(place + __builtin_ctzll(passed) / 8);
        }
    }
    return found;
}

const sonde__kernels sonde__neon_tile = {
    .lanes = LANES,
    .tile_f32 = tile_f32,
    .tile_u8s8 = tile_u8s8,
    .tile_select = tile_select,
    .nearest_f32 = nearest_f32,
};
