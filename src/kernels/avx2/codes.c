/* codes.c (avx2): distances of 4-bit codes. The 16 entries of a table fill two registers; two permutations and a
 * choice by bit 3 look 8 codes up at once. For that, 8 bytes of each of 8 codes are transposed, after which byte b
 * of all of them lies together: its low nibbles pick from table 2 b, its high nibbles from table 2 b + 1. Each sum
 * runs in order of j. 256-entry tables are served by generic.
 *
 * SPDX-License-Identifier: MIT
 */
#include <immintrin.h>

#include "kernels/slots.h"

enum { TOGETHER = 8 };

/* The bytes [begin, begin + 8) of a code, zeros behind its end. */
SONDE__INLINE uint64_t eight_bytes(const uint8_t *code, int64_t begin, int64_t bytes)
{
    uint64_t x = 0;
    if (begin + 8 <= bytes) return sonde__load_u64(code + begin);
    if (bytes >= 8) return sonde__load_u64(code + bytes - 8) >> (8 * (begin + 8 - bytes));
    for (int64_t i = 0; i < bytes; i++) x |= (uint64_t)code[i] << (8 * i);
    return x;
}

/* Byte b of code r goes to byte r of word b: three rounds that each interleave row r with row r + 4. */
SONDE__INLINE void transposed(const uint8_t *codes, int64_t stride, int64_t count, int64_t begin, int64_t bytes,
                              uint64_t columns[TOGETHER])
{
    __m128i x[4];
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++) {
        const uint8_t *low = codes + sonde__min_i64(r, count - 1) * stride;
        const uint8_t *high = codes + sonde__min_i64(r + 4, count - 1) * stride;
        x[r] = _mm_unpacklo_epi8(_mm_cvtsi64_si128((int64_t)eight_bytes(low, begin, bytes)),
                                 _mm_cvtsi64_si128((int64_t)eight_bytes(high, begin, bytes)));
    }
    __m128i even0 = _mm_unpacklo_epi8(x[0], x[2]), even1 = _mm_unpackhi_epi8(x[0], x[2]);
    __m128i odd0 = _mm_unpacklo_epi8(x[1], x[3]), odd1 = _mm_unpackhi_epi8(x[1], x[3]);
    _mm_storeu_si128((__m128i *)(void *)columns, _mm_unpacklo_epi8(even0, odd0));
    _mm_storeu_si128((__m128i *)(void *)(columns + 2), _mm_unpackhi_epi8(even0, odd0));
    _mm_storeu_si128((__m128i *)(void *)(columns + 4), _mm_unpacklo_epi8(even1, odd1));
    _mm_storeu_si128((__m128i *)(void *)(columns + 6), _mm_unpackhi_epi8(even1, odd1));
}

/* Entries of a table by the low four bits of eight numbers (a permutation reads the low three). */
SONDE__INLINE __m256 look_up(const float *table, __m256i picks)
{
    __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), picks);
    __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), picks);
    return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(picks, 28)));
}

/* Sums of up to 8 codes. */
SONDE__INLINE __m256 block_sums(const float *table, const uint8_t *codes, int64_t stride, int64_t count, int64_t m)
{
    const int64_t bytes = (m + 1) / 2;
    __m256 sum = _mm256_setzero_ps();
    for (int64_t begin = 0; begin < bytes; begin += 8) {
        uint64_t columns[TOGETHER];
        transposed(codes, stride, count, begin, bytes, columns);
        for (int64_t b = 0; b < sonde__min_i64(8, bytes - begin); b++, table += 32) {
            __m256i picks = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t)columns[b]));
            sum = _mm256_add_ps(sum, look_up(table, picks));
            if (2 * (begin + b) + 1 == m) break;
            sum = _mm256_add_ps(sum, look_up(table + 16, _mm256_srli_epi32(picks, 4)));
        }
    }
    return sum;
}

static void lookup_4(const float *table, const uint8_t *codes, int64_t stride, int64_t count, int64_t m, float *out)
{
    int64_t i = 0;
    for (; i + TOGETHER <= count; i += TOGETHER)
        _mm256_storeu_ps(out + i, block_sums(table, codes + i * stride, stride, TOGETHER, m));
    if (i < count) {
        float sums[TOGETHER];
        _mm256_storeu_ps(sums, block_sums(table, codes + i * stride, stride, count - i, m));
        memcpy(out + i, sums, (size_t)(count - i) * sizeof *out);
    }
}

const sonde__kernels sonde__avx2_codes = {
    .lookup_4 = lookup_4,
};
