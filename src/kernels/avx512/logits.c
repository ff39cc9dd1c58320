/* logits.c (avx512): rows of logits. Exponentials are powers of 2 by a polynomial (kernels/exp.h); sums of four
 * registers in single precision join the double.
 *
 * SPDX-License-Identifier: MIT
 */
#include <immintrin.h>
#include <math.h>

#include "kernels/exp.h"
#include "kernels/slots.h"

SONDE__INLINE __m512 logit_load(const float *from, int64_t count, float rest)
{
    if (count >= 16) return _mm512_loadu_ps(from);
    __mmask16 mask = (__mmask16)_bzhi_u32(0xffff, (uint32_t)count);
    return _mm512_mask_loadu_ps(_mm512_set1_ps(rest), mask, from);
}

static float logit_max(const float *logits, int64_t count, float *block_max)
{
    const __m512 infinity = _mm512_set1_ps(INFINITY);
    float most = -INFINITY;
    __mmask16 bad = 0;
    for (int64_t begin = 0; begin < count; begin += SONDE__LOGIT_BLOCK) {
        int64_t end = sonde__min_i64(begin + SONDE__LOGIT_BLOCK, count);
        __m512 block = _mm512_set1_ps(-INFINITY);
        for (int64_t i = begin; i < end; i += 16) {
            __m512 x = logit_load(logits + i, end - i, -INFINITY);
            bad |= _mm512_cmp_ps_mask(x, infinity, _CMP_NLT_UQ);
            block = _mm512_max_ps(block, x);
        }
        float largest = _mm512_reduce_max_ps(block);
        if (block_max) block_max[begin / SONDE__LOGIT_BLOCK] = largest;
        most = largest > most ? largest : most;
    }
    return bad ? NAN : most;
}

/* Powers of 2 that are the weights of 16 logits, and which of them weigh anything. */
typedef struct logit_powers {
    __m512 t, e;
    __mmask16 counts;
} logit_powers;

SONDE__INLINE float logit_factor(float scale) { return (float)((double)scale * SONDE__EXP_LOG2_E); }

SONDE__INLINE logit_powers logit_weigh(__m512 x, float shift, float factor)
{
    __m512 t = _mm512_mul_ps(_mm512_sub_ps(x, _mm512_set1_ps(shift)), _mm512_set1_ps(factor));
    __mmask16 counts = _mm512_cmp_ps_mask(t, _mm512_set1_ps(SONDE__EXP_LEAST), _CMP_GT_OQ);
    __m512 n = _mm512_roundscale_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 r = _mm512_sub_ps(t, n), p = _mm512_set1_ps(SONDE__EXP_6);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(SONDE__EXP_5));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(SONDE__EXP_4));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(SONDE__EXP_3));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(SONDE__EXP_2));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(SONDE__EXP_1));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1));
    return (logit_powers){t, _mm512_maskz_scalef_ps(counts, p, n), counts};
}

SONDE__INLINE __m512d logit_widen(__m512 x)
{
    __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(x));
    return _mm512_add_pd(low, _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1)));
}

enum { LOGIT_GROUP = 64 };

/* Adds up to LOGIT_GROUP logits to the three sums. */
SONDE__INLINE void logit_group(const float *logits, int64_t count, float shift, float factor, __m512d *sums)
{
    __m512 group[3] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
    for (int64_t j = 0; j < count; j += 16) {
        logit_powers w = logit_weigh(logit_load(logits + j, count - j, -INFINITY), shift, factor);
        __m512 moment = _mm512_maskz_mul_ps(w.counts, w.e, w.t);
        group[0] = _mm512_add_ps(group[0], w.e);
        group[1] = _mm512_add_ps(group[1], moment);
        group[2] = _mm512_mask3_fmadd_ps(moment, w.t, group[2], w.counts);
    }
    for (int k = 0; k < 3; k++) sums[k] = _mm512_add_pd(sums[k], logit_widen(group[k]));
}

static void logit_sums(const float *logits, int64_t count, float shift, float scale, double sums[3])
{
    __m512d wide[3] = {_mm512_setzero_pd(), _mm512_setzero_pd(), _mm512_setzero_pd()};
    float factor = logit_factor(scale);
    int64_t i = 0;
    for (; i + LOGIT_GROUP <= count; i += LOGIT_GROUP) logit_group(logits + i, LOGIT_GROUP, shift, factor, wide);
    logit_group(logits + i, count - i, shift, factor, wide);
    sums[0] = _mm512_reduce_add_pd(wide[0]);
    sums[1] = _mm512_reduce_add_pd(wide[1]) * SONDE__EXP_LN2;
    sums[2] = _mm512_reduce_add_pd(wide[2]) * SONDE__EXP_LN2 * SONDE__EXP_LN2;
}

static void logit_exp(const float *logits, int64_t count, float shift, float scale, float *out)
{
    float factor = logit_factor(scale);
    for (int64_t i = 0; i < count; i += 16) {
        __m512 e = logit_weigh(logit_load(logits + i, count - i, -INFINITY), shift, factor).e;
        __mmask16 mask = (__mmask16)_bzhi_u32(0xffff, (uint32_t)sonde__min_i64(16, count - i));
        _mm512_mask_storeu_ps(out + i, mask, e);
    }
}

const sonde__kernels sonde__avx512_logits = {
    .logit_max = logit_max, .logit_sums = logit_sums, .logit_exp = logit_exp};
