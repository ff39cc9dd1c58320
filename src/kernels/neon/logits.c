/* logits.c (neon): rows of logits. Exponentials are powers of 2 by a polynomial (kernels/exp.h); sums of four
 * registers in single precision join the double.
 *
 * SPDX-License-Identifier: MIT
 */
#include <arm_neon.h>
#include <math.h>

#include "kernels/exp.h"
#include "kernels/slots.h"

/* Past the end there is -inf, which is no candidate. */
SONDE__INLINE float32x4_t logit_load(const float *from, int64_t count)
{
    float padded[4] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
    if (count >= 4) return vld1q_f32(from);
    memcpy(padded, from, (size_t)count * sizeof *from);
    return vld1q_f32(padded);
}

static float logit_max(const float *logits, int64_t count, float *block_max)
{
    const float32x4_t infinity = vdupq_n_f32(INFINITY);
    float most = -INFINITY;
    uint32x4_t good = vdupq_n_u32(UINT32_MAX);
    for (int64_t begin = 0; begin < count; begin += SONDE__LOGIT_BLOCK) {
        int64_t end = sonde__min_i64(begin + SONDE__LOGIT_BLOCK, count);
        float32x4_t block = vdupq_n_f32(-INFINITY);
        for (int64_t i = begin; i < end; i += 4) {
            float32x4_t x = logit_load(logits + i, end - i);
            good = vandq_u32(good, vcltq_f32(x, infinity));
            block = vmaxq_f32(block, x);
        }
        float largest = vmaxvq_f32(block);
        if (block_max) block_max[begin / SONDE__LOGIT_BLOCK] = largest;
        most = largest > most ? largest : most;
    }
    return vminvq_u32(good) ? most : NAN;
}

/* Powers of 2 that are the weights of 4 logits, and their exponents, bounded below. */
typedef struct logit_powers {
    float32x4_t t, e;
} logit_powers;

SONDE__INLINE logit_powers logit_weigh(float32x4_t x, float shift, float factor)
{
    const float32x4_t least = vdupq_n_f32(SONDE__EXP_LEAST);
    float32x4_t t = vmulq_n_f32(vsubq_f32(x, vdupq_n_f32(shift)), factor);
    uint32x4_t counts = vcgtq_f32(t, least);
    t = vmaxq_f32(t, least);
    float32x4_t n = vrndnq_f32(t), r = vsubq_f32(t, n);
    float32x4_t p = vfmaq_f32(vdupq_n_f32(SONDE__EXP_5), vdupq_n_f32(SONDE__EXP_6), r);
    p = vfmaq_f32(vdupq_n_f32(SONDE__EXP_4), p, r);
    p = vfmaq_f32(vdupq_n_f32(SONDE__EXP_3), p, r);
    p = vfmaq_f32(vdupq_n_f32(SONDE__EXP_2), p, r);
    p = vfmaq_f32(vdupq_n_f32(SONDE__EXP_1), p, r);
    p = vfmaq_f32(vdupq_n_f32(1), p, r);
    int32x4_t power = vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127)), 23);
    uint32x4_t e = vreinterpretq_u32_f32(vmulq_f32(p, vreinterpretq_f32_s32(power)));
    return (logit_powers){t, vreinterpretq_f32_u32(vandq_u32(counts, e))};
}

SONDE__INLINE float64x2_t logit_widen(float32x4_t x)
{
    return vaddq_f64(vcvt_f64_f32(vget_low_f32(x)), vcvt_high_f64_f32(x));
}

enum { LOGIT_GROUP = 16 };

/* Adds up to LOGIT_GROUP logits to the three sums. */
SONDE__INLINE void logit_group(const float *logits, int64_t count, float shift, float factor, float64x2_t *sums)
{
    float32x4_t group[3] = {vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0)};
    for (int64_t j = 0; j < count; j += 4) {
        logit_powers w = logit_weigh(logit_load(logits + j, count - j), shift, factor);
        float32x4_t moment = vmulq_f32(w.e, w.t);
        group[0] = vaddq_f32(group[0], w.e);
        group[1] = vaddq_f32(group[1], moment);
        group[2] = vfmaq_f32(group[2], moment, w.t);
    }
    for (int k = 0; k < 3; k++) sums[k] = vaddq_f64(sums[k], logit_widen(group[k]));
}

static void logit_sums(const float *logits, int64_t count, float shift, float scale, double sums[3])
{
    float64x2_t wide[3] = {vdupq_n_f64(0), vdupq_n_f64(0), vdupq_n_f64(0)};
    float factor = sonde__exp_factor(scale);
    int64_t i = 0;
    for (; i + LOGIT_GROUP <= count; i += LOGIT_GROUP) logit_group(logits + i, LOGIT_GROUP, shift, factor, wide);
    logit_group(logits + i, count - i, shift, factor, wide);
    sums[0] = vaddvq_f64(wide[0]);
    sums[1] = vaddvq_f64(wide[1]) * SONDE__EXP_LN2;
    sums[2] = vaddvq_f64(wide[2]) * SONDE__EXP_LN2 * SONDE__EXP_LN2;
}

static double logit_exp(const float *logits, int64_t count, float shift, float scale, float *out)
{
    float factor = sonde__exp_factor(scale), rest[4];
    double sum = 0;
    int64_t i = 0;
    for (; i + 4 <= count; i += 4) {
        float32x4_t e = logit_weigh(vld1q_f32(logits + i), shift, factor).e;
        vst1q_f32(out + i, e);
        sum += vaddvq_f64(logit_widen(e));
    }
    float32x4_t e = logit_weigh(logit_load(logits + i, count - i), shift, factor).e;
    vst1q_f32(rest, e);
    memcpy(out + i, rest, (size_t)(count - i) * sizeof *out);
    return sum + vaddvq_f64(logit_widen(e));
}

const sonde__kernels sonde__neon_logits = {.logit_max = logit_max, .logit_sums = logit_sums, .logit_exp = logit_exp};
