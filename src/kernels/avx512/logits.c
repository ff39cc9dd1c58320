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
    float factor = sonde__exp_factor(scale);
    int64_t i = 0;
    for (; i + LOGIT_GROUP <= count; i += LOGIT_GROUP) logit_group(logits + i, LOGIT_GROUP, shift, factor, wide);
    logit_group(logits + i, count - i, shift, factor, wide);
    sums[0] = _mm512_reduce_add_pd(wide[0]);
    sums[1] = _mm512_reduce_add_pd(wide[1]) * SONDE__EXP_LN2;
    sums[2] = _mm512_reduce_add_pd(wide[2]) * SONDE__EXP_LN2 * SONDE__EXP_LN2;
}

static double logit_exp(const float *logits, int64_t count, float shift, float scale, float *out)
{
    float factor = sonde__exp_factor(scale);
    __m512d sum = _mm512_setzero_pd();
    for (int64_t i = 0; i < count; i += 16) {
        __m512 e = logit_weigh(logit_load(logits + i, count - i, -INFINITY), shift, factor).e;
        __mmask16 mask = (__mmask16)_bzhi_u32(0xffff, (uint32_t)sonde__min_i64(16, count - i));
        _mm512_mask_storeu_ps(out + i, mask, e);
        sum = _mm512_add_pd(sum, logit_widen(e));
    }
    return _mm512_reduce_add_pd(sum);
}

SONDE__INLINE __m256 logit_near(__m256 x, double most, double centre)
{
    __m512d gap = _mm512_sub_pd(_mm512_cvtps_pd(x), _mm512_set1_pd(most));
    return _mm512_cvtpd_ps(_mm512_abs_pd(_mm512_sub_pd(gap, _mm512_set1_pd(centre))));
}

static void logit_nearness(const float *logits, int64_t count, double most, double centre, float *out)
{
    for (int64_t i = 0; i < count; i += 8) {
        __mmask8 mask = (__mmask8)_bzhi_u32(0xff, (uint32_t)sonde__min_i64(8, count - i));
        __m256 near = logit_near(_mm256_maskz_loadu_ps(mask, logits + i), most, centre);
        _mm256_mask_storeu_ps(out + i, mask, _mm256_xor_ps(near, _mm256_set1_ps(-0.0f)));
    }
}

/* Adds up to LOGIT_SURVEY elements to the mass and the number above each level. */
enum { LOGIT_SURVEY = 128 };

SONDE__INLINE void logit_survey_group(const float *order, const float *weights, int64_t count, const float *levels,
                                      __m512d *masses, __m512i *counts, bool counted)
{
    __m512 group[SONDE__LOGIT_LEVELS];
    __m512i number[SONDE__LOGIT_LEVELS];
    for (int l = 0; l < SONDE__LOGIT_LEVELS; l++) {
        group[l] = _mm512_setzero_ps();
        number[l] = _mm512_setzero_si512();
    }
    for (int64_t j = 0; j < count; j += 16) {
        __m512 x = logit_load(order + j, count - j, -INFINITY);
        __m512 w = weights ? logit_load(weights + j, count - j, 0) : _mm512_setzero_ps();
#pragma GCC unroll 8
        for (int l = 0; l < SONDE__LOGIT_LEVELS; l++) {
            __mmask16 in = _mm512_cmp_ps_mask(x, _mm512_set1_ps(levels[l]), _CMP_GT_OQ);
            group[l] = _mm512_mask_add_ps(group[l], in, group[l], w);
            if (counted) number[l] = _mm512_mask_add_epi32(number[l], in, number[l], _mm512_set1_epi32(1));
        }
    }
    for (int l = 0; l < SONDE__LOGIT_LEVELS; l++) {
        masses[l] = _mm512_add_pd(masses[l], logit_widen(group[l]));
        if (counted) counts[l] = _mm512_add_epi32(counts[l], number[l]);
    }
}

/* A vocabulary has fewer elements than 32 bits count. */
SONDE__INLINE void logit_survey_run(const float *order, const float *weights, int64_t count, const float *levels,
                                    double *masses, int64_t *counts)
{
    __m512d mass[SONDE__LOGIT_LEVELS];
    __m512i number[SONDE__LOGIT_LEVELS];
    int64_t i = 0;
    for (int l = 0; l < SONDE__LOGIT_LEVELS; l++) {
        mass[l] = _mm512_setzero_pd();
        number[l] = _mm512_setzero_si512();
    }
    for (; i + LOGIT_SURVEY <= count; i += LOGIT_SURVEY)
        logit_survey_group(order + i, weights ? weights + i : NULL, LOGIT_SURVEY, levels, mass, number,
                           counts != NULL);
    logit_survey_group(order + i, weights ? weights + i : NULL, count - i, levels, mass, number, counts != NULL);
    for (int l = 0; l < SONDE__LOGIT_LEVELS; l++) {
        masses[l] = _mm512_reduce_add_pd(mass[l]);
        if (counts) counts[l] = _mm512_reduce_add_epi32(number[l]);
    }
}

static void logit_survey(const float *order, const float *weights, int64_t count,
                         const float levels[SONDE__LOGIT_LEVELS], double masses[SONDE__LOGIT_LEVELS],
                         int64_t counts[SONDE__LOGIT_LEVELS])
{
    if (counts) logit_survey_run(order, weights, count, levels, masses, counts);
    else logit_survey_run(order, weights, count, levels, masses, NULL);
}

/* What a run of elements is kept by, and whether weights and numbered places go along. */
typedef struct logit_keeper {
    const float *order;
    __m512 low, high;
    bool weighted, numbered;
} logit_keeper;

SONDE__INLINE __mmask16 logit_keep_mask(const logit_keeper *keeper, int64_t i, int64_t count)
{
    __m512 x = logit_load(keeper->order + i, count, -INFINITY);
    __mmask16 above = _mm512_cmp_ps_mask(x, keeper->low, _CMP_GT_OQ);
    return _mm512_mask_cmp_ps_mask(above, x, keeper->high, _CMP_LE_OQ);
}

/* Packs the elements of a mask to the front in a register: packing on the way to memory is slow on some processors.
 * All 16 lanes are stored, unless fewer than 16 elements are left. */
SONDE__INLINE void logit_pack(__m512i x, __mmask16 in, bool whole, void *to)
{
    int count = _mm_popcnt_u32(in);
    x = _mm512_maskz_compress_epi32(in, x);
    if (!whole) _mm512_mask_storeu_epi32(to, (__mmask16)_bzhi_u32(0xffff, (uint32_t)count), x);
    else _mm512_storeu_si512(to, x);
}

/* Keeps those of a mask of the 16 elements from i on. */
SONDE__INLINE int64_t logit_keep_step(const logit_keeper *keeper, int64_t i, __mmask16 in, bool whole,
                                      const sonde__logit_list *from, const sonde__logit_list *to, int64_t kept)
{
    const __m512i steps = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __mmask16 read = whole ? 0xffff : in;
    __m512i places = _mm512_add_epi32(_mm512_set1_epi32(from->first + (int32_t)i), steps);
    logit_pack(_mm512_maskz_loadu_epi32(read, from->values + i), in, whole, to->values + kept);
    if (keeper->weighted)
        logit_pack(_mm512_maskz_loadu_epi32(read, from->weights + i), in, whole, to->weights + kept);
    if (!keeper->numbered) places = _mm512_maskz_loadu_epi32(read, from->places + i);
    logit_pack(places, in, whole, to->places + kept);
    return kept + _mm_popcnt_u32(in);
}

/* The lists are copied, so that no store can change where they lie. */
SONDE__INLINE int64_t logit_keep_run(const logit_keeper *keeper, int64_t count, const sonde__logit_list *read,
                                     const sonde__logit_list *write)
{
    sonde__logit_list from = *read, to = *write;
    int64_t kept = 0, i = 0;
    for (; i + 64 <= count; i += 64) {
        __mmask16 in[4], any = 0;
#pragma GCC unroll 4
        for (int b = 0; b < 4; b++) any |= in[b] = logit_keep_mask(keeper, i + 16 * b, 16);
        if (!any) continue;
#pragma GCC unroll 4
        for (int b = 0; b < 4; b++)
            if (in[b]) kept = logit_keep_step(keeper, i + 16 * b, in[b], true, &from, &to, kept);
    }
    for (; i < count; i += 16) {
        __mmask16 in = logit_keep_mask(keeper, i, count - i);
        kept = logit_keep_step(keeper, i, in, false, &from, &to, kept);
    }
    return kept;
}

static int64_t logit_keep(const float *order, int64_t count, float low, float high, const sonde__logit_list *from,
                          const sonde__logit_list *to)
{
    logit_keeper keeper = {order, _mm512_set1_ps(low), _mm512_set1_ps(high), false, false};
    bool weighted = from->weights && to->weights;
    if (weighted && from->places)
        return logit_keep_run(&(logit_keeper){order, keeper.low, keeper.high, true, false}, count, from, to);
    if (from->places) return logit_keep_run(&keeper, count, from, to);
    keeper.numbered = true;
    if (!weighted) return logit_keep_run(&keeper, count, from, to);
    keeper.weighted = true;
    return logit_keep_run(&keeper, count, from, to);
}

const sonde__kernels sonde__avx512_logits = {.logit_max = logit_max,
                                             .logit_sums = logit_sums,
                                             .logit_exp = logit_exp,
                                             .logit_nearness = logit_nearness,
                                             .logit_survey = logit_survey,
                                             .logit_keep = logit_keep};
