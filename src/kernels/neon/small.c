/* small.c (neon): vector odds and ends, and the Walsh-Hadamard transform. The checksum is in crc32.c; of axpy
 * compilers make as good a loop from generic.
 *
 * The transform does two stages inside registers and then two stages a pass over memory (radix 4).
 *
 * SPDX-License-Identifier: MIT
 */
#include <arm_neon.h>
#include <math.h>

#include "kernels/slots.h"

static float norm2(const float *x, int64_t d)
{
    float32x4_t sum[8];
    int64_t j = 0;
    for (int b = 0; b < 8; b++) sum[b] = vdupq_n_f32(0);
    for (; j + 32 <= d; j += 32) {
#pragma GCC unroll 8
        for (int b = 0; b < 8; b++) {
            float32x4_t v = vld1q_f32(x + j + 4 * b);
            sum[b] = vfmaq_f32(sum[b], v, v);
        }
    }
    for (; j + 4 <= d; j += 4) {
        float32x4_t v = vld1q_f32(x + j);
        sum[0] = vfmaq_f32(sum[0], v, v);
    }
#pragma GCC unroll 4
    for (int b = 0; b < 4; b++) sum[b] = vaddq_f32(sum[b], sum[b + 4]);
    float total = vaddvq_f32(vaddq_f32(vaddq_f32(sum[0], sum[1]), vaddq_f32(sum[2], sum[3])));
    for (; j < d; j++) total += x[j] * x[j];
    return total;
}

/* ---- Walsh-Hadamard ------------------------------------------------------------------------------------------- */

/* The stages of up to 4 elements, n of them. Each lane adds itself to its partner, or subtracts itself: one
 * multiply-add by 1 or -1, which rounds like the addition. */
SONDE__INLINE float32x4_t stages_inside(float32x4_t x, int64_t n)
{
    static const float by_1[4] = {1, -1, 1, -1}, by_2[4] = {1, 1, -1, -1};
    if (n > 1) x = vfmaq_f32(vrev64q_f32(x), x, vld1q_f32(by_1));
    if (n > 2) x = vfmaq_f32(vextq_f32(x, x, 2), x, vld1q_f32(by_2));
    return x;
}

/* Two stages at once on registers `half` elements apart; the stages inside each go first where `inside` asks. */
SONDE__INLINE void radix_4(float *x, int64_t half, bool inside)
{
    float32x4_t v[4];
#pragma GCC unroll 4
    for (int b = 0; b < 4; b++) {
        v[b] = vld1q_f32(x + b * half);
        if (inside) v[b] = stages_inside(v[b], 4);
    }
    float32x4_t sum01 = vaddq_f32(v[0], v[1]), difference01 = vsubq_f32(v[0], v[1]);
    float32x4_t sum23 = vaddq_f32(v[2], v[3]), difference23 = vsubq_f32(v[2], v[3]);
    vst1q_f32(x, vaddq_f32(sum01, sum23));
    vst1q_f32(x + half, vaddq_f32(difference01, difference23));
    vst1q_f32(x + 2 * half, vsubq_f32(sum01, sum23));
    vst1q_f32(x + 3 * half, vsubq_f32(difference01, difference23));
}

static void fht_short(float *x, int64_t n)
{
    float block[8] = {0};
    memcpy(block, x, (size_t)n * sizeof *x);
    float32x4_t low = stages_inside(vld1q_f32(block), n), high = stages_inside(vld1q_f32(block + 4), 4);
    vst1q_f32(block, n > 4 ? vaddq_f32(low, high) : low);
    vst1q_f32(block + 4, vsubq_f32(low, high));
    memcpy(x, block, (size_t)n * sizeof *x);
}

static void fht(float *x, int64_t n)
{
    if (n < 16) {
        fht_short(x, n);
        return;
    }
    for (int64_t i = 0; i < n; i += 16) radix_4(x + i, 4, true);
    int64_t half = 16;
    for (; 4 * half <= n; half *= 4) {
        for (int64_t begin = 0; begin < n; begin += 4 * half) {
            for (int64_t i = 0; i < half; i += 4) radix_4(x + begin + i, half, false);
        }
    }
    if (half == n) return;
    for (int64_t i = 0; i < half; i += 4) { /* one stage is left: half = n / 2 */
        float32x4_t low = vld1q_f32(x + i), high = vld1q_f32(x + half + i);
        vst1q_f32(x + i, vaddq_f32(low, high));
        vst1q_f32(x + half + i, vsubq_f32(low, high));
    }
}

static int64_t first_nonfinite(const float *x, int64_t count)
{
    const float32x4_t limit = vdupq_n_f32(INFINITY);
    int64_t i = 0;
    for (; i + 16 <= count; i += 16) {
        uint32x4_t all = vdupq_n_u32(UINT32_MAX);
#pragma GCC unroll 4
        for (int b = 0; b < 4; b++) all = vandq_u32(all, vcaltq_f32(vld1q_f32(x + i + 4 * b), limit));
        if (vminvq_u32(all) == 0) break; /* the loop below finds which */
    }
    for (; i < count; i++) {
        if ((sonde__load_u32(x + i) & 0x7f800000) == 0x7f800000) return i;
    }
    return -1;
}

const sonde__kernels sonde__neon_small = {
    .norm2 = norm2,
    .fht = fht,
    .first_nonfinite = first_nonfinite,
};
