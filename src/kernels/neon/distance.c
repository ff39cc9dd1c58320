/* distance.c (neon): scores of one f32 query against many rows of any type.
 *
 * Eight elements are two registers. Each row is summed in four such pairs, so that eight chains of multiply-adds
 * overlap, and the rows follow each other in order of addresses (slots.h says why). What four rows leave is added
 * across in one tree. A row's score does not depend on its place or on the count. The last d % 8 elements are loaded
 * with those before them, which a mask takes out again; rows shorter than 8 are copied to where reading 8 is allowed.
 *
 * SPDX-License-Identifier: MIT
 */
#include <arm_neon.h>

#include "kernels/slots.h"

typedef float32x4_t vector;

typedef struct eight {
    float32x4_t low, high;
} eight;

SONDE__INLINE float32x4_t load_4(const uint8_t *at) { return vreinterpretq_f32_u8(vld1q_u8(at)); }

SONDE__INLINE eight from_f16(uint8x16_t halves)
{
    float16x8_t x = vreinterpretq_f16_u8(halves);
    return (eight){vcvt_f32_f16(vget_low_f16(x)), vcvt_high_f32_f16(x)};
}

SONDE__INLINE eight from_bf16(uint8x16_t words)
{
    uint16x8_t x = vreinterpretq_u16_u8(words);
    return (eight){vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(x), 16)),
                   vreinterpretq_f32_u32(vshll_high_n_u16(x, 16))};
}

SONDE__INLINE eight from_i8(uint8x8_t bytes)
{
    int16x8_t x = vmovl_s8(vreinterpret_s8_u8(bytes));
    return (eight){vcvtq_f32_s32(vmovl_s16(vget_low_s16(x))), vcvtq_f32_s32(vmovl_high_s16(x))};
}

SONDE__INLINE eight from_u8(uint8x8_t bytes)
{
    uint16x8_t x = vmovl_u8(bytes);
    return (eight){vcvtq_f32_u32(vmovl_u16(vget_low_u16(x))), vcvtq_f32_u32(vmovl_high_u16(x))};
}

SONDE__INLINE eight load_8(const uint8_t *at, int kind)
{
    switch (kind) {
    case SONDE__ROW_F32: return (eight){load_4(at), load_4(at + 16)};
    case SONDE__ROW_F16: return from_f16(vld1q_u8(at));
    case SONDE__ROW_BF16: return from_bf16(vld1q_u8(at));
    case SONDE__ROW_I8: return from_i8(vld1_u8(at));
    default: return from_u8(vld1_u8(at));
    }
}

SONDE__INLINE float32x4_t masked(float32x4_t x, const uint32_t *mask)
{
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(x), vld1q_u32(mask)));
}

/* The last `left` = d % 8 elements of a row, in the upper lanes (from d = 8 on) or the lower ones; the others zero. */
SONDE__INLINE eight load_last(const uint8_t *row, int64_t d, int64_t left, int kind)
{
    static const uint32_t upper[16] = {0,          0,          0,          0,          0,          0,
                                       0,          0,          UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX,
                                       UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
    const int64_t size = sonde__row_size(kind);
    if (d >= 8) {
        eight x = load_8(row + (d - 8) * size, kind);
        return (eight){masked(x.low, upper + left), masked(x.high, upper + left + 4)};
    }
    uint8_t copy[32] = {0};
    for (int64_t i = 0; i < d * size; i++) copy[i] = row[i];
    return load_8(copy, kind);
}

SONDE__INLINE float32x4_t add_quad(float32x4_t sum, float32x4_t query, float32x4_t x, bool l2)
{
    float32x4_t difference = vsubq_f32(query, x);
    return l2 ? vfmaq_f32(sum, difference, difference) : vfmaq_f32(sum, query, x);
}

SONDE__INLINE eight add_term(eight sum, eight query, eight x, bool l2)
{
    return (eight){add_quad(sum.low, query.low, x.low, l2), add_quad(sum.high, query.high, x.high, l2)};
}

SONDE__INLINE float32x4_t folded(eight sum) { return vaddq_f32(sum.low, sum.high); }

/* The terms of one row in 4 sums. */
SONDE__INLINE float32x4_t row_sums(const float *query, const uint8_t *row, int64_t d, const sonde__walk *walk,
                                   int kind, bool l2)
{
    const int64_t size = sonde__row_size(kind);
    const uint8_t *query_bytes = (const uint8_t *)query;
    const float32x4_t zero = vdupq_n_f32(0);
    eight sum[4] = {{zero, zero}, {zero, zero}, {zero, zero}, {zero, zero}};
    int64_t j = 0;
    for (; j + 32 <= d; j += 32) {
#pragma GCC unroll 4
        for (int b = 0; b < 4; b++) {
            const uint8_t *at = row + (j + 8 * b) * size;
            if (8 * b * size % 64 == 0) sonde__walk_line(walk, at);
            sum[b] = add_term(sum[b], load_8(query_bytes + 4 * (j + 8 * b), SONDE__ROW_F32), load_8(at, kind), l2);
        }
    }
#pragma GCC unroll 3
    for (int b = 0; b < 3; b++, j += 8) {
        if (j + 8 > d) break;
        sum[b] = add_term(sum[b], load_8(query_bytes + 4 * j, SONDE__ROW_F32), load_8(row + j * size, kind), l2);
    }
    if (d % 8) {
        eight last = load_last(query_bytes, d, d % 8, SONDE__ROW_F32);
        sonde__walk_line(walk, row + j * size);
        sum[3] = add_term(sum[3], last, load_last(row, d, d % 8, kind), l2);
    }
    return vaddq_f32(vaddq_f32(folded(sum[0]), folded(sum[1])), vaddq_f32(folded(sum[2]), folded(sum[3])));
}

/* Adds each of four sums across. */
SONDE__INLINE float32x4_t add_across(const float32x4_t sum[SONDE__TOGETHER])
{
    return vpaddq_f32(vpaddq_f32(sum[0], sum[1]), vpaddq_f32(sum[2], sum[3]));
}

SONDE__INLINE void store_some(float *out, int64_t some, float32x4_t scores)
{
    float all[SONDE__TOGETHER];
    vst1q_f32(all, scores);
    memcpy(out, all, (size_t)some * sizeof *out);
}

#include "kernels/scores.h"
#include "kernels/row_slots.h"

const sonde__kernels sonde__neon_distance = {
    .ip_rows = {ip_rows_f32, ip_rows_f16, ip_rows_bf16, ip_rows_i8, ip_rows_u8},
    .l2_rows = {l2_rows_f32, l2_rows_f16, l2_rows_bf16, l2_rows_i8, l2_rows_u8},
    .ip_gather = {ip_gather_f32, ip_gather_f16, ip_gather_bf16, ip_gather_i8, ip_gather_u8},
    .l2_gather = {l2_gather_f32, l2_gather_f16, l2_gather_bf16, l2_gather_i8, l2_gather_u8},
};
