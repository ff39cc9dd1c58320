/* select.c (avx512): positions of the values that pass a threshold. Sixty-four values are compared at once and, as
 * nearly always none passes, given up at once; otherwise each block of 16 packs its positions by a compress. The
 * compressed register is stored whole: the place of a position is never behind that of its value, so this stays within
 * the `count` places of the output. NaN never passes.
 *
 * SPDX-License-Identifier: MIT
 */
#include <immintrin.h>
#include <math.h>

#include "kernels/slots.h"
#include "kernels/kth.h"

SONDE__INLINE __mmask16 passing(const void *values, __mmask16 mask, __m512i threshold, bool below)
{
    __m512i x = _mm512_maskz_loadu_epi32(mask, values);
    if (below) return _mm512_mask_cmplt_epi32_mask(mask, x, threshold);
    return _mm512_mask_cmp_ps_mask(mask, _mm512_castsi512_ps(x), _mm512_castsi512_ps(threshold), _CMP_GT_OQ);
}

SONDE__INLINE int64_t selected(const uint32_t *values, int64_t count, __m512i threshold, bool below, int32_t *positions)
{
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    int64_t found = 0, i = 0;
    for (; i + 64 <= count; i += 64) {
        __mmask16 mask[4], any = 0;
#pragma GCC unroll 4
        for (int b = 0; b < 4; b++) any |= mask[b] = passing(values + i + 16 * b, 0xffff, threshold, below);
        if (!any) continue;
        for (int b = 0; b < 4; b++) {
            __m512i numbers = _mm512_add_epi32(_mm512_set1_epi32((int32_t)(i + 16 * b)), lanes);
            _mm512_storeu_si512(positions + found, _mm512_maskz_compress_epi32(mask[b], numbers));
            found += _mm_popcnt_u32(mask[b]);
        }
    }
    for (; i < count; i += 16) {
        __mmask16 mask = passing(values + i, (__mmask16)_bzhi_u32(0xffff, (uint32_t)sonde__min_i64(16, count - i)),
                                 threshold, below);
        for (uint32_t left = mask; left; left &= left - 1) positions[found++] = (int32_t)(i + _tzcnt_u32(left));
    }
    return found;
}

static int64_t above(const float *values, int64_t count, float threshold, int32_t *positions)
{
    __m512i level = _mm512_castps_si512(_mm512_set1_ps(threshold));
    return selected((const uint32_t *)(const void *)values, count, level, false, positions);
}

static int64_t below_i32(const int32_t *values, int64_t count, int32_t threshold, int32_t *positions)
{
    __m512i level = _mm512_set1_epi32(threshold);
    return selected((const uint32_t *)(const void *)values, count, level, true, positions);
}

static void best_rows(const float *tile, int64_t count, int64_t lanes, const float *bias, int32_t *best)
{
    for (int64_t lane = 0; lane < lanes; lane += 16) {
        __mmask16 used = lanes - lane >= 16 ? 0xffff : 0xff;
        __m512 most = _mm512_set1_ps(-INFINITY);
        __m512i number = _mm512_setzero_si512();
        for (int64_t row = 0; row < count; row++) {
            __m512 score = _mm512_add_ps(_mm512_maskz_loadu_ps(used, tile + row * lanes + lane),
                                         _mm512_set1_ps(bias[row]));
            __mmask16 better = _mm512_cmp_ps_mask(score, most, _CMP_GT_OQ);
            most = _mm512_mask_mov_ps(most, better, score);
            number = _mm512_mask_set1_epi32(number, better, (int32_t)row);
        }
        _mm512_mask_storeu_epi32(best + lane, used, number);
    }
}

const sonde__kernels sonde__avx512_select = {
    .best_rows = best_rows,
    .kth_largest = kth_largest,
    .above = above,
    .below_i32 = below_i32,
};
