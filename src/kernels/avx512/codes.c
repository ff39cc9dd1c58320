/* codes.c (avx512): distances of 4-bit codes. The 16 entries of a table fill one register, so a permutation looks 16
 * codes up at once. For that, 16 bytes of each of 16 codes are transposed, after which byte b of all of them lies
 * in one register: its low nibbles pick from table 2 b, its high nibbles from table 2 b + 1. Each sum runs in order
 * of j. 256-entry tables are served by generic.
 *
 * SPDX-License-Identifier: MIT
 */
#include <immintrin.h>

#include "kernels/slots.h"

enum { TOGETHER = 16 };

/* Transposes 16 x 16 bytes: four rounds that each interleave row r with row r + 8. */
SONDE__INLINE void transpose(__m128i x[TOGETHER])
{
#pragma GCC unroll 4
    for (int round = 0; round < 4; round++) {
        __m128i y[TOGETHER];
#pragma GCC unroll 8
        for (int r = 0; r < 8; r++) {
            y[2 * r] = _mm_unpacklo_epi8(x[r], x[r + 8]);
            y[2 * r + 1] = _mm_unpackhi_epi8(x[r], x[r + 8]);
        }
#pragma GCC unroll 16
        for (int r = 0; r < TOGETHER; r++) x[r] = y[r];
    }
}

/* Sums of up to 16 codes. */
SONDE__INLINE __m512 block_sums(const float *table, const uint8_t *codes, int64_t stride, int64_t count, int64_t m)
{
    const int64_t bytes = (m + 1) / 2;
    __m512 sum = _mm512_setzero_ps();
    for (int64_t begin = 0; begin < bytes; begin += 16) {
        int64_t some = sonde__min_i64(16, bytes - begin);
        __mmask16 mask = (__mmask16)_bzhi_u32(0xffff, (uint32_t)some);
        __m128i x[TOGETHER];
#pragma GCC unroll 16
        for (int r = 0; r < TOGETHER; r++)
            x[r] = _mm_maskz_loadu_epi8(mask, codes + sonde__min_i64(r, count - 1) * stride + begin);
        transpose(x);
        for (int64_t b = 0; b < some; b++, table += 32) {
            __m512i picks = _mm512_cvtepu8_epi32(x[b]); /* a permutation reads the low four bits only */
            sum = _mm512_add_ps(sum, _mm512_permutexvar_ps(picks, _mm512_loadu_ps(table)));
            if (2 * (begin + b) + 1 == m) break;
            sum = _mm512_add_ps(sum, _mm512_permutexvar_ps(_mm512_srli_epi32(picks, 4), _mm512_loadu_ps(table + 16)));
        }
    }
    return sum;
}

static void lookup_4(const float *table, const uint8_t *codes, int64_t stride, int64_t count, int64_t m, float *out)
{
    for (int64_t i = 0; i < count; i += TOGETHER) {
        int64_t some = sonde__min_i64(TOGETHER, count - i);
        __m512 sums = some == TOGETHER ? block_sums(table, codes + i * stride, stride, TOGETHER, m)
                                       : block_sums(table, codes + i * stride, stride, some, m);
        _mm512_mask_storeu_ps(out + i, (__mmask16)_bzhi_u32(0xffff, (uint32_t)some), sums);
    }
}

const sonde__kernels sonde__avx512_codes = {
    .lookup_4 = lookup_4,
};
