/* logits.c (avx2): rows of logits. Exponentials are powers of 2 by a polynomial (kernels/exp.h); sums of four
 * registers in single precision join the double.
 *
 * SPDX-License-Identifier: MIT
 */
#include <immintrin.h>
#include <math.h>

#include "kernels/exp.h"
#include "kernels/slots.h"

/* Past the end there is -inf, which is no candidate. */
SONDE__INLINE __m256 logit_load(const float *from, int64_t count)
{
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    if (count >= 8) return _mm256_loadu_ps(from);
    __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), lanes);
    return _mm256_blendv_ps(_mm256_set1_ps(-INFINITY), _mm256_maskload_ps(from, mask), _mm256_castsi256_ps(mask));
}

SONDE__INLINE float logit_largest(__m256 x)
{
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}

static float logit_max(const float *logits, int64_t count, float *block_max)
{
    const __m256 infinity = _mm256_set1_ps(INFINITY);
    float most = -INFINITY;
    __m256 bad = _mm256_setzero_ps();
    for (int64_t begin = 0; begin < count; begin += SONDE__LOGIT_BLOCK) {
        int64_t end = sonde__min_i64(begin + SONDE__LOGIT_BLOCK, count);
        __m256 block[2] = {_mm256_set1_ps(-INFINITY), _mm256_set1_ps(-INFINITY)};
        for (int64_t i = begin; i < end; i += 16) {
#pragma GCC unroll 2
            for (int half = 0; half < 2; half++) {
                int64_t at = sonde__min_i64(i + 8 * half, end);
                __m256 x = logit_load(logits + at, end - at);
                bad = _mm256_or_ps(bad, _mm256_cmp_ps(x, infinity, _CMP_NLT_UQ));
                block[half] = _mm256_max_ps(block[half], x);
            }
        }
        float largest = logit_largest(_mm256_max_ps(block[0], block[1]));
        if (block_max) block_max[begin / SONDE__LOGIT_BLOCK] = largest;
        most = largest > most ? largest : most;
    }
    return _mm256_movemask_ps(bad) ? NAN : most;
}

/* Powers of 2 that are the weights of 8 logits, and their exponents, bounded below. */
typedef struct logit_powers {
    __m256 t, e;
} logit_powers;

SONDE__INLINE logit_powers logit_weigh(__m256 x, float shift, float factor)
{
    const __m256 least = _mm256_set1_ps(SONDE__EXP_LEAST);
    __m256 t = _mm256_mul_ps(_mm256_sub_ps(x, _mm256_set1_ps(shift)), _mm256_set1_ps(factor));
    __m256 counts = _mm256_cmp_ps(t, least, _CMP_GT_OQ);
    t = _mm256_max_ps(t, least);
    __m256 n = _mm256_round_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 r = _mm256_sub_ps(t, n), p = _mm256_set1_ps(SONDE__EXP_6);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(SONDE__EXP_5));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(SONDE__EXP_4));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(SONDE__EXP_3));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(SONDE__EXP_2));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(SONDE__EXP_1));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1));
    __m256i power = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return (logit_powers){t, _mm256_and_ps(counts, _mm256_mul_ps(p, _mm256_castsi256_ps(power)))};
}

SONDE__INLINE __m256d logit_widen(__m256 x)
{
    return _mm256_add_pd(_mm256_cvtps_pd(_mm256_castps256_ps128(x)), _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1)));
}

SONDE__INLINE double logit_total(__m256d x)
{
    __m128d half = _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));
    return _mm_cvtsd_f64(_mm_add_sd(half, _mm_unpackhi_pd(half, half)));
}

enum { LOGIT_GROUP = 32 };

/* Adds up to LOGIT_GROUP logits to the three sums. */
SONDE__INLINE void logit_group(const float *logits, int64_t count, float shift, float factor, __m256d *sums)
{
    __m256 group[3] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
    for (int64_t j = 0; j < count; j += 8) {
        logit_powers w = logit_weigh(logit_load(logits + j, count - j), shift, factor);
        __m256 moment = _mm256_mul_ps(w.e, w.t);
        group[0] = _mm256_add_ps(group[0], w.e);
        group[1] = _mm256_add_ps(group[1], moment);
        group[2] = _mm256_fmadd_ps(moment, w.t, group[2]);
    }
    for (int k = 0; k < 3; k++) sums[k] = _mm256_add_pd(sums[k], logit_widen(group[k]));
}

static void logit_sums(const float *logits, int64_t count, float shift, float scale, double sums[3])
{
    __m256d wide[3] = {_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd()};
    float factor = sonde__exp_factor(scale);
    int64_t i = 0;
    for (; i + LOGIT_GROUP <= count; i += LOGIT_GROUP) logit_group(logits + i, LOGIT_GROUP, shift, factor, wide);
    logit_group(logits + i, count - i, shift, factor, wide);
    sums[0] = logit_total(wide[0]);
    sums[1] = logit_total(wide[1]) * SONDE__EXP_LN2;
    sums[2] = logit_total(wide[2]) * SONDE__EXP_LN2 * SONDE__EXP_LN2;
}

static double logit_exp(const float *logits, int64_t count, float shift, float scale, float *out)
{
    float factor = sonde__exp_factor(scale), rest[8];
    __m256d sum = _mm256_setzero_pd();
    int64_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256 e = logit_weigh(_mm256_loadu_ps(logits + i), shift, factor).e;
        _mm256_storeu_ps(out + i, e);
        sum = _mm256_add_pd(sum, logit_widen(e));
    }
    __m256 e = logit_weigh(logit_load(logits + i, count - i), shift, factor).e;
    _mm256_storeu_ps(rest, e);
    memcpy(out + i, rest, (size_t)(count - i) * sizeof *out);
    return logit_total(_mm256_add_pd(sum, logit_widen(e)));
}

static void logit_nearness(const float *logits, int64_t count, double most, double centre, float *out)
{
    const __m256d sign = _mm256_set1_pd(-0.0);
    int64_t i = 0;
    for (; i + 4 <= count; i += 4) {
        __m256d gap = _mm256_sub_pd(_mm256_cvtps_pd(_mm_loadu_ps(logits + i)), _mm256_set1_pd(most));
        __m256d off = _mm256_sub_pd(gap, _mm256_set1_pd(centre));
        _mm_storeu_ps(out + i, _mm256_cvtpd_ps(_mm256_or_pd(off, sign)));
    }
    for (; i < count; i++) out[i] = -(float)fabs(((double)logits[i] - most) - centre);
}

/* Half of the levels go through the registers at a time. */
enum { LOGIT_SURVEY = 64, LOGIT_HALF = SONDE__LOGIT_LEVELS / 2 };

/* Adds up to LOGIT_SURVEY elements to the mass and the number above each level. */
SONDE__INLINE void logit_survey_group(const float *order, const float *weights, int64_t count, const float *levels,
                                      __m256d *masses, __m256i *counts)
{
    __m256 group[LOGIT_HALF];
    for (int l = 0; l < LOGIT_HALF; l++) group[l] = _mm256_setzero_ps();
    for (int64_t j = 0; j < count; j += 8) {
        __m256 x = logit_load(order + j, count - j);
        __m256 w = weights ? logit_load(weights + j, count - j) : _mm256_setzero_ps();
#pragma GCC unroll 4
        for (int l = 0; l < LOGIT_HALF; l++) {
            __m256 in = _mm256_cmp_ps(x, _mm256_set1_ps(levels[l]), _CMP_GT_OQ);
            group[l] = _mm256_add_ps(group[l], _mm256_and_ps(in, w));
            counts[l] = _mm256_sub_epi32(counts[l], _mm256_castps_si256(in));
        }
    }
    for (int l = 0; l < LOGIT_HALF; l++) masses[l] = _mm256_add_pd(masses[l], logit_widen(group[l]));
}

SONDE__INLINE void logit_survey_half(const float *order, const float *weights, int64_t count, const float *levels,
                                     double *masses, int64_t *counts)
{
    __m256d mass[LOGIT_HALF];
    __m256i number[LOGIT_HALF];
    for (int l = 0; l < LOGIT_HALF; l++) {
        mass[l] = _mm256_setzero_pd();
        number[l] = _mm256_setzero_si256();
    }
    for (int64_t i = 0; i < count; i += LOGIT_SURVEY)
        logit_survey_group(order + i, weights ? weights + i : NULL, sonde__min_i64(LOGIT_SURVEY, count - i), levels,
                           mass, number);
    for (int l = 0; l < LOGIT_HALF; l++) {
        int32_t lanes[8];
        masses[l] = logit_total(mass[l]);
        _mm256_storeu_si256((__m256i *)(void *)lanes, number[l]);
        if (counts) counts[l] = 0;
        for (int lane = 0; counts && lane < 8; lane++) counts[l] += lanes[lane];
    }
}

static void logit_survey(const float *order, const float *weights, int64_t count,
                         const float levels[SONDE__LOGIT_LEVELS], double masses[SONDE__LOGIT_LEVELS],
                         int64_t counts[SONDE__LOGIT_LEVELS])
{
    for (int l = 0; l < SONDE__LOGIT_LEVELS; l += LOGIT_HALF)
        logit_survey_half(order, weights, count, levels + l, masses + l, counts ? counts + l : NULL);
}

/* The lanes of a mask, those that are set first. */
static const int32_t logit_lanes[16][4] = {{0},    {0},       {1},       {0, 1},      {2},    {0, 2},
                                           {1, 2}, {0, 1, 2}, {3},       {0, 3},      {1, 3}, {0, 1, 3},
                                           {2, 3}, {0, 2, 3}, {1, 2, 3}, {0, 1, 2, 3}};

SONDE__INLINE __m128 logit_packed(__m128 x, int mask)
{
    return _mm_permutevar_ps(x, _mm_loadu_si128((const __m128i *)(const void *)logit_lanes[mask]));
}

/* Keeps those of a mask of the four elements from i on. */
SONDE__INLINE int64_t logit_keep_four(int64_t i, int mask, const sonde__logit_list *from, const sonde__logit_list *to,
                                      int64_t kept)
{
    __m128i places = _mm_add_epi32(_mm_set1_epi32(from->first + (int32_t)i), _mm_setr_epi32(0, 1, 2, 3));
    if (from->places) places = _mm_loadu_si128((const __m128i *)(const void *)(from->places + i));
    _mm_storeu_ps(to->values + kept, logit_packed(_mm_loadu_ps(from->values + i), mask));
    if (from->weights && to->weights)
        _mm_storeu_ps(to->weights + kept, logit_packed(_mm_loadu_ps(from->weights + i), mask));
    places = _mm_castps_si128(logit_packed(_mm_castsi128_ps(places), mask));
    _mm_storeu_si128((__m128i *)(void *)(to->places + kept), places);
    return kept + _mm_popcnt_u32((unsigned)mask);
}

static int64_t logit_keep(const float *order, int64_t count, float low, float high, const sonde__logit_list *from,
                          const sonde__logit_list *to)
{
    const __m256 bottom = _mm256_set1_ps(low), top = _mm256_set1_ps(high);
    int64_t kept = 0, i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256 x = _mm256_loadu_ps(order + i);
        __m256 in = _mm256_and_ps(_mm256_cmp_ps(x, bottom, _CMP_GT_OQ), _mm256_cmp_ps(x, top, _CMP_LE_OQ));
        int mask = _mm256_movemask_ps(in);
        if (mask & 15) kept = logit_keep_four(i, mask & 15, from, to, kept);
        if (mask >> 4) kept = logit_keep_four(i + 4, mask >> 4, from, to, kept);
    }
    for (; i < count; i++) {
        if (!(order[i] > low && order[i] <= high)) continue;
        to->values[kept] = from->values[i];
        if (from->weights && to->weights) to->weights[kept] = from->weights[i];
        to->places[kept++] = from->places ? from->places[i] : from->first + (int32_t)i;
    }
    return kept;
}

const sonde__kernels sonde__avx2_logits = {.logit_max = logit_max,
                                           .logit_sums = logit_sums,
                                           .logit_exp = logit_exp,
                                           .logit_nearness = logit_nearness,
                                           .logit_survey = logit_survey,
                                           .logit_keep = logit_keep};
