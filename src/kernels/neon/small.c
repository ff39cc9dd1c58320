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

typedef float32x4_t vector;
#include "kernels/fht.h"

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
