/* convert.c (neon): f16 to f32 and back, eight at a time, the last ones singly; panels by 4 x 4 transposition. Of the
 * other conversions compilers make the same loops from generic.
 *
 * SPDX-License-Identifier: MIT
 */
#include <arm_neon.h>

#include "kernels/slots.h"

static void f32_from_f16(const void *from, int64_t count, float *to)
{
    const uint8_t *x = from;
    int64_t i = 0;
    for (; i + 8 <= count; i += 8) {
        float16x8_t half = vreinterpretq_f16_u8(vld1q_u8(x + 2 * i));
        vst1q_f32(to + i, vcvt_f32_f16(vget_low_f16(half)));
        vst1q_f32(to + i + 4, vcvt_high_f32_f16(half));
    }
    for (; i < count; i++) to[i] = sonde__f16_to_f32(sonde__load_u16(x + 2 * i));
}

static void f32_to_f16(const float *from, int64_t count, uint16_t *to)
{
    int64_t i = 0;
    for (; i + 8 <= count; i += 8) {
        float16x4_t low = vcvt_f16_f32(vld1q_f32(from + i));
        vst1q_u16(to + i, vreinterpretq_u16_f16(vcvt_high_f16_f32(low, vld1q_f32(from + i + 4))));
    }
    for (; i < count; i++) to[i] = vget_lane_u16(vreinterpret_u16_f16(vcvt_f16_f32(vdupq_n_f32(from[i]))), 0);
}

/* Four vectors by four columns. */
static void transpose_4x4(const uint8_t *const *from, int64_t lanes, float *to)
{
    float64x2_t pair[4];
    for (int i = 0; i < 4; i += 2) {
        float32x4_t even = vreinterpretq_f32_u8(vld1q_u8(from[i])), odd = vreinterpretq_f32_u8(vld1q_u8(from[i + 1]));
        pair[i] = vreinterpretq_f64_f32(vtrn1q_f32(even, odd));
        pair[i + 1] = vreinterpretq_f64_f32(vtrn2q_f32(even, odd));
    }
    for (int i = 0; i < 2; i++) {
        vst1q_f32(to + i * lanes, vreinterpretq_f32_f64(vtrn1q_f64(pair[i], pair[i + 2])));
        vst1q_f32(to + (i + 2) * lanes, vreinterpretq_f32_f64(vtrn2q_f64(pair[i], pair[i + 2])));
    }
}

/* Lanes are a multiple of 8. Missing vectors are zero. */
static void pack_panel(const void *const *queries, int64_t count, int64_t d, int64_t lanes, float *panel)
{
    int64_t whole = count / 4 * 4, columns = d / 4 * 4;
    for (int64_t k = 0; k < columns; k += 4) {
        for (int64_t lane = 0; lane < whole; lane += 4) {
            const uint8_t *from[4];
            for (int i = 0; i < 4; i++) from[i] = (const uint8_t *)queries[lane + i] + 4 * k;
            transpose_4x4(from, lanes, panel + k * lanes + lane);
        }
    }
    for (int64_t k = 0; k < d; k++) {
        float *column = panel + k * lanes;
        for (int64_t lane = k < columns ? whole : 0; lane < count; lane++)
            column[lane] = sonde__load_f32((const uint8_t *)queries[lane] + 4 * k);
        for (int64_t lane = count; lane < lanes; lane++) column[lane] = 0;
    }
}

const sonde__kernels sonde__neon_convert = {
    .to_f32 = {NULL, f32_from_f16},
    .f32_to_f16 = f32_to_f16,
    .pack_panel = pack_panel,
};
