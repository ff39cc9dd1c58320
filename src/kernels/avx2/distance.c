/* distance.c (avx2): scores of one f32 query against many rows of any type.
 *
 * Each row is summed in four sums of 8 lanes, so that four chains of multiply-adds overlap, and the rows follow each
 * other in order of addresses (slots.h says why). What four rows leave is added across in one tree. A row's score
 * does not depend on its place or on the count. The last d % 8 elements are loaded with those before them, which a
 * mask takes out again; rows shorter than 8 are copied to where reading 8 is allowed.
 *
 * SPDX-License-Identifier: MIT
 */
#include <immintrin.h>

#include "kernels/slots.h"

typedef __m256 vector;

SONDE__INLINE __m256 load_8(const uint8_t *at, int kind)
{
    switch (kind) {
    case SONDE__ROW_F32: return _mm256_loadu_ps((const float *)(const void *)at);
    case SONDE__ROW_F16: return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)at));
    case SONDE__ROW_BF16: {
        __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)at));
        return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
    }
    case SONDE__ROW_I8:
        return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)at)));
    default: return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)at)));
    }
}

/* The last `left` = d % 8 elements of a row, in the upper lanes (from d = 8 on) or the lower ones; the others zero. */
SONDE__INLINE __m256 load_last(const uint8_t *row, int64_t d, int64_t left, int kind)
{
    static const int32_t upper[16] = {0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1};
    const int64_t size = sonde__row_size(kind);
    if (d >= 8) {
        __m256i mask = _mm256_loadu_si256((const __m256i *)(const void *)(upper + left));
        return _mm256_and_ps(load_8(row + (d - 8) * size, kind), _mm256_castsi256_ps(mask));
    }
    uint8_t copy[32] = {0};
    for (int64_t i = 0; i < d * size; i++) copy[i] = row[i];
    return load_8(copy, kind);
}

SONDE__INLINE __m256 add_term(__m256 sum, __m256 query, __m256 x, bool l2)
{
    __m256 difference = _mm256_sub_ps(query, x);
    return l2 ? _mm256_fmadd_ps(difference, difference, sum) : _mm256_fmadd_ps(query, x, sum);
}

/* Adds each of four sums across. */
SONDE__INLINE __m128 add_across(const __m256 sum[SONDE__TOGETHER])
{
    __m256 pairs = _mm256_hadd_ps(_mm256_hadd_ps(sum[0], sum[1]), _mm256_hadd_ps(sum[2], sum[3]));
    return _mm_add_ps(_mm256_castps256_ps128(pairs), _mm256_extractf128_ps(pairs, 1));
}

/* The terms of one row in 8 sums. */
SONDE__INLINE __m256 row_sums(const float *query, const uint8_t *row, int64_t d, const sonde__walk *walk, int kind,
                              bool l2)
{
    const int64_t size = sonde__row_size(kind);
    __m256 sum[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
    int64_t j = 0;
    for (; j + 32 <= d; j += 32) {
#pragma GCC unroll 4
        for (int b = 0; b < 4; b++) {
            const uint8_t *at = row + (j + 8 * b) * size;
            if (8 * b * size % 64 == 0) sonde__walk_line(walk, at);
            sum[b] = add_term(sum[b], _mm256_loadu_ps(query + j + 8 * b), load_8(at, kind), l2);
        }
    }
#pragma GCC unroll 3
    for (int b = 0; b < 3; b++, j += 8) {
        if (j + 8 > d) break;
        sum[b] = add_term(sum[b], _mm256_loadu_ps(query + j), load_8(row + j * size, kind), l2);
    }
    if (d % 8) {
        __m256 last = load_last((const uint8_t *)query, d, d % 8, SONDE__ROW_F32);
        sonde__walk_line(walk, row + j * size);
        sum[3] = add_term(sum[3], last, load_last(row, d, d % 8, kind), l2);
    }
    return _mm256_add_ps(_mm256_add_ps(sum[0], sum[1]), _mm256_add_ps(sum[2], sum[3]));
}

SONDE__INLINE void store_some(float *out, int64_t some, __m128 scores)
{
    _mm_maskstore_ps(out, _mm_cmpgt_epi32(_mm_set1_epi32((int32_t)some), _mm_setr_epi32(0, 1, 2, 3)), scores);
}

#include "kernels/scores.h"
#include "kernels/row_slots.h"

const sonde__kernels sonde__avx2_distance = {
    .ip_rows = {ip_rows_f32, ip_rows_f16, ip_rows_bf16, ip_rows_i8, ip_rows_u8},
    .l2_rows = {l2_rows_f32, l2_rows_f16, l2_rows_bf16, l2_rows_i8, l2_rows_u8},
    .ip_gather = {ip_gather_f32, ip_gather_f16, ip_gather_bf16, ip_gather_i8, ip_gather_u8},
    .l2_gather = {l2_gather_f32, l2_gather_f16, l2_gather_bf16, l2_gather_i8, l2_gather_u8},
};
