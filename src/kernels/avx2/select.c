/* select.c (avx2): positions of the values that pass a threshold. Thirty-two values are compared at once into one mask
 * and, as nearly always none passes, given up at once; otherwise the set bits are walked. NaN never passes.
 *
 * SPDX-License-Identifier: MIT
 */
#include <immintrin.h>
#include <math.h>

#include "kernels/slots.h"
#include "kernels/kth.h"

/* One bit for each of 8 values. */
SONDE__INLINE uint32_t passing(const uint32_t *values, __m256i threshold, bool below)
{
    __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)values);
    __m256 pass = below ? _mm256_castsi256_ps(_mm256_cmpgt_epi32(threshold, x))
                        : _mm256_cmp_ps(_mm256_castsi256_ps(x), _mm256_castsi256_ps(threshold), _CMP_GT_OQ);
    return (uint32_t)_mm256_movemask_ps(pass);
}

SONDE__INLINE int64_t selected(const uint32_t *values, int64_t count, __m256i threshold, bool below, int32_t *positions)
{
    int64_t found = 0, i = 0;
    for (; i < count; i += 32) {
        uint32_t copy[32], mask = 0;
        const uint32_t *block = values + i;
        if (i + 32 > count) {
            memset(copy, 0, sizeof copy);
            memcpy(copy, block, (size_t)(count - i) * sizeof *copy);
            block = copy;
        }
#pragma GCC unroll 4
        for (int b = 0; b < 4; b++) mask |= passing(block + 8 * b, threshold, below) << (8 * b);
        if (i + 32 > count) mask = _bzhi_u32(mask, (uint32_t)(count - i));
        for (; mask; mask &= mask - 1) positions[found++] = (int32_t)(i + _tzcnt_u32(mask));
    }
    return found;
}

static int64_t above(const float *values, int64_t count, float threshold, int32_t *positions)
{
    __m256i level = _mm256_castps_si256(_mm256_set1_ps(threshold));
    return selected((const uint32_t *)(const void *)values, count, level, false, positions);
}

static int64_t below_i32(const int32_t *values, int64_t count, int32_t threshold, int32_t *positions)
{
    __m256i level = _mm256_set1_epi32(threshold);
    return selected((const uint32_t *)(const void *)values, count, level, true, positions);
}

static void best_rows(const float *tile, int64_t count, int64_t lanes, const float *bias, int32_t *best)
{
    for (int64_t lane = 0; lane < lanes; lane += 8) {
        __m256 most = _mm256_set1_ps(-INFINITY), number = _mm256_setzero_ps();
        for (int64_t row = 0; row < count; row++) {
            __m256 score = _mm256_add_ps(_mm256_loadu_ps(tile + row * lanes + lane), _mm256_set1_ps(bias[row]));
            __m256 better = _mm256_cmp_ps(score, most, _CMP_GT_OQ);
            most = _mm256_blendv_ps(most, score, better);
            number = _mm256_blendv_ps(number, _mm256_castsi256_ps(_mm256_set1_epi32((int32_t)row)), better);
        }
        _mm256_storeu_si256((__m256i *)(void *)(best + lane), _mm256_castps_si256(number));
    }
}

const sonde__kernels sonde__avx2_select = {
    .best_rows = best_rows,
    .kth_largest = kth_largest,
    .above = above,
    .below_i32 = below_i32,
};
