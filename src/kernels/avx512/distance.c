/* distance.c (avx512): scores of one f32 query against many rows of any type.
 *
 * Each row is summed in four sums of 16 lanes, so that four chains of multiply-adds overlap, and the rows follow
 * each other in order of addresses (slots.h says why). What four rows leave is added across in one tree. A row's
 * score does not depend on its place or on the count. The last elements are loaded under a mask.
 *
 * SPDX-License-Identifier: MIT
 */
#include <immintrin.h>

#include "kernels/slots.h"

typedef __m512 vector;

/* Sixteen elements as f32; those outside the mask are zero and not touched in memory. */
SONDE__INLINE __m512 load_16(const uint8_t *at, __mmask16 mask, int kind)
{
    switch (kind) {
    case SONDE__ROW_F32: return _mm512_maskz_loadu_ps(mask, at);
    case SONDE__ROW_F16: return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, at));
    case SONDE__ROW_BF16: {
        __m512i wide = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, at));
        return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
    }
    case SONDE__ROW_I8: return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(mask, at)));
    default: return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, at)));
    }
}

SONDE__INLINE __m512 add_term(__m512 sum, __m512 query, __m512 x, bool l2)
{
    __m512 difference = _mm512_sub_ps(query, x);
    return l2 ? _mm512_fmadd_ps(difference, difference, sum) : _mm512_fmadd_ps(query, x, sum);
}

/* Adds each of four sums across. */
SONDE__INLINE __m128 add_across(const __m512 sum[SONDE__TOGETHER])
{
    __m256 half[SONDE__TOGETHER];
#pragma GCC unroll 4
    for (int r = 0; r < SONDE__TOGETHER; r++)
        half[r] = _mm256_add_ps(_mm512_castps512_ps256(sum[r]), _mm512_extractf32x8_ps(sum[r], 1));
    __m256 pairs = _mm256_hadd_ps(_mm256_hadd_ps(half[0], half[1]), _mm256_hadd_ps(half[2], half[3]));
    return _mm_add_ps(_mm256_castps256_ps128(pairs), _mm256_extractf128_ps(pairs, 1));
}

/* The terms of one row in 16 sums. */
SONDE__INLINE __m512 row_sums(const float *query, const uint8_t *row, int64_t d, const sonde__walk *walk, int kind,
                              bool l2)
{
    const int64_t size = sonde__row_size(kind);
    __m512 sum[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
    int64_t j = 0;
    for (; j + 64 <= d; j += 64) {
#pragma GCC unroll 4
        for (int b = 0; b < 4; b++) {
            const uint8_t *at = row + (j + 16 * b) * size;
            if (16 * b * size % 64 == 0) sonde__walk_line(walk, at);
            sum[b] = add_term(sum[b], _mm512_loadu_ps(query + j + 16 * b), load_16(at, 0xffff, kind), l2);
        }
    }
#pragma GCC unroll 4
    for (int b = 0; b < 4; b++, j += 16) {
        if (j >= d) break;
        __mmask16 mask = (__mmask16)_bzhi_u32(0xffff, (uint32_t)(d - j));
        sonde__walk_line(walk, row + j * size);
        sum[b] = add_term(sum[b], _mm512_maskz_loadu_ps(mask, query + j), load_16(row + j * size, mask, kind), l2);
    }
    return _mm512_add_ps(_mm512_add_ps(sum[0], sum[1]), _mm512_add_ps(sum[2], sum[3]));
}

SONDE__INLINE void store_some(float *out, int64_t some, __m128 scores)
{
    _mm_mask_storeu_ps(out, (__mmask8)((1 << some) - 1), scores);
}

#include "kernels/scores.h"
#include "kernels/row_slots.h"

const sonde__kernels sonde__avx512_distance = {
    .ip_rows = {ip_rows_f32, ip_rows_f16, ip_rows_bf16, ip_rows_i8, ip_rows_u8},
    .l2_rows = {l2_rows_f32, l2_rows_f16, l2_rows_bf16, l2_rows_i8, l2_rows_u8},
    .ip_gather = {ip_gather_f32, ip_gather_f16, ip_gather_bf16, ip_gather_i8, ip_gather_u8},
    .l2_gather = {l2_gather_f32, l2_gather_f16, l2_gather_bf16, l2_gather_i8, l2_gather_u8},
};
