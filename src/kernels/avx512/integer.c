/* integer.c (avx512): exact products and distances of 8-bit vectors, and Hamming distances.
 *
 * vpdpbusd multiplies unsigned with signed bytes, four to a 32-bit sum. Other signs are brought to it by flipping
 * the top bit of one side, which shifts its values by 128, and taking 128 times the sum of the other side out
 * again. Distances take |a - b| as unsigned bytes, then square 16-bit halves. All sums are exact modulo 2^32, and
 * the results of up to 65536 elements fit 32 bits (unsigned for u8 products and distances). The last elements are
 * loaded under a mask.
 *
 * SPDX-License-Identifier: MIT
 */
#include <immintrin.h>

#include "kernels/slots.h"

typedef enum operation { IP_I8, IP_U8, IP_U8S8, L2_I8, L2_U8, HAMMING } operation;

SONDE__INLINE __m512i add_squares(__m512i sum, __m512i a, __m512i b)
{
    __m512i difference = _mm512_sub_epi8(_mm512_max_epu8(a, b), _mm512_min_epu8(a, b));
    __m512i low = _mm512_unpacklo_epi8(difference, _mm512_setzero_si512());
    __m512i high = _mm512_unpackhi_epi8(difference, _mm512_setzero_si512());
    return _mm512_dpwssd_epi32(_mm512_dpwssd_epi32(sum, low, low), high, high);
}

SONDE__INLINE __m512i add_term(__m512i sum, __m512i query, __m512i x, operation op)
{
    const __m512i flip = _mm512_set1_epi8(-128);
    switch (op) {
    case IP_I8: return _mm512_dpbusd_epi32(sum, _mm512_xor_si512(x, flip), query);
    case IP_U8: /* x * (query - 128) + x * 64 + x * 64 */
        sum = _mm512_dpbusd_epi32(sum, x, _mm512_xor_si512(query, flip));
        x = _mm512_dpbusd_epi32(_mm512_setzero_si512(), x, _mm512_set1_epi8(64));
        return _mm512_add_epi32(sum, _mm512_add_epi32(x, x));
    case IP_U8S8: return _mm512_dpbusd_epi32(sum, x, query);
    case L2_I8: return add_squares(sum, _mm512_xor_si512(query, flip), _mm512_xor_si512(x, flip));
    case L2_U8: return add_squares(sum, query, x);
    default: return _mm512_add_epi32(sum, _mm512_popcnt_epi32(_mm512_xor_si512(query, x)));
    }
}

/* Adds each of four sums across. */
SONDE__INLINE __m128i add_across(const __m512i sum[SONDE__TOGETHER])
{
    __m256i half[SONDE__TOGETHER];
#pragma GCC unroll 4
    for (int r = 0; r < SONDE__TOGETHER; r++)
        half[r] = _mm256_add_epi32(_mm512_castsi512_si256(sum[r]), _mm512_extracti64x4_epi64(sum[r], 1));
    __m256i pairs = _mm256_hadd_epi32(_mm256_hadd_epi32(half[0], half[1]), _mm256_hadd_epi32(half[2], half[3]));
    return _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
}

/* The terms of one row in 16 sums. */
SONDE__INLINE __m512i row_sums(const uint8_t *query, const uint8_t *row, int64_t d, const sonde__walk *walk,
                               operation op)
{
    __m512i even = _mm512_setzero_si512(), odd = _mm512_setzero_si512();
    int64_t j = 0;
    for (; j + 128 <= d; j += 128) {
        sonde__walk_line(walk, row + j);
        sonde__walk_line(walk, row + j + 64);
        even = add_term(even, _mm512_loadu_si512(query + j), _mm512_loadu_si512(row + j), op);
        odd = add_term(odd, _mm512_loadu_si512(query + j + 64), _mm512_loadu_si512(row + j + 64), op);
    }
    for (; j < d; j += 64) { /* at most twice */
        __mmask64 mask = _bzhi_u64(~(uint64_t)0, (uint32_t)(d - j));
        sonde__walk_line(walk, row + j);
        even = add_term(even, _mm512_maskz_loadu_epi8(mask, query + j), _mm512_maskz_loadu_epi8(mask, row + j), op);
    }
    return _mm512_add_epi32(even, odd);
}

/* The 32-bit sums of the `some` <= 4 rows from row i on; zeros in the other lanes. */
SONDE__INLINE __m128i block_sums(const uint8_t *query, const sonde__walk *walk, int64_t i, int64_t some, int64_t d,
                                 operation op)
{
    const __m512i zero = _mm512_setzero_si512();
    __m512i sum[SONDE__TOGETHER] = {zero, zero, zero, zero};
    for (int64_t r = 0; r < some; r++) sum[r] = row_sums(query, sonde__walk_row(walk, i + r), d, walk, op);
    return add_across(sum);
}

/* Adds each of 16 sums across: halves of pairs are interleaved and added, four times. */
SONDE__INLINE __m512i add_across_16(__m512i sum[16])
{
#pragma GCC unroll 8
    for (int r = 0; r < 8; r++)
        sum[r] = _mm512_add_epi32(_mm512_unpacklo_epi32(sum[2 * r], sum[2 * r + 1]),
                                  _mm512_unpackhi_epi32(sum[2 * r], sum[2 * r + 1]));
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++)
        sum[r] = _mm512_add_epi32(_mm512_unpacklo_epi64(sum[2 * r], sum[2 * r + 1]),
                                  _mm512_unpackhi_epi64(sum[2 * r], sum[2 * r + 1]));
    for (int r = 0; r < 2; r++)
        sum[r] = _mm512_add_epi32(_mm512_shuffle_i32x4(sum[2 * r], sum[2 * r + 1], 0x88),
                                  _mm512_shuffle_i32x4(sum[2 * r], sum[2 * r + 1], 0xdd));
    return _mm512_add_epi32(_mm512_shuffle_i32x4(sum[0], sum[1], 0x88), _mm512_shuffle_i32x4(sum[0], sum[1], 0xdd));
}

/* Rows that lie side by side and are a register long at most: sixteen share what it takes to add across. Returns how many
 * are done. */
SONDE__INLINE int64_t short_sums(const uint8_t *query, const uint8_t *rows, int64_t stride, int64_t count, int64_t d,
                                 int32_t *out, operation op)
{
    __mmask64 mask = _bzhi_u64(~(uint64_t)0, (uint32_t)d);
    __m512i q = _mm512_maskz_loadu_epi8(mask, query), sum[16];
    int64_t i = 0;
    for (; i + 16 <= count; i += 16) {
#pragma GCC unroll 16
        for (int r = 0; r < 16; r++) {
            const uint8_t *row = rows + (i + r) * stride;
            __builtin_prefetch(row + SONDE__AHEAD_BYTES, 0, 2);
            sum[r] = add_term(_mm512_setzero_si512(), q, _mm512_maskz_loadu_epi8(mask, row), op);
        }
        _mm512_storeu_si512(out + i, add_across_16(sum));
    }
    return i;
}

SONDE__INLINE void sums_32(const void *query, sonde__places rows, int64_t count, int64_t d, int32_t *out, operation op)
{
    const sonde__walk walk = sonde__walk_start(rows, count, d);
    int64_t done = d <= 64 ? short_sums(query, rows.base, rows.stride, count, d, out, op) : 0;
    for (int64_t i = done; i < count; i += SONDE__TOGETHER) {
        int64_t some = sonde__min_i64(SONDE__TOGETHER, count - i);
        __m128i sums = block_sums(query, &walk, i, some, d, op);
        _mm_mask_storeu_epi32(out + i, (__mmask8)((1 << some) - 1), sums);
    }
}

SONDE__INLINE void sums_64(const void *query, sonde__places rows, int64_t count, int64_t d, int64_t *out, operation op,
                           int32_t correction)
{
    const sonde__walk walk = sonde__walk_start(rows, count, d);
    for (int64_t i = 0; i < count; i += SONDE__TOGETHER) {
        int64_t some = sonde__min_i64(SONDE__TOGETHER, count - i);
        __m128i sums = block_sums(query, &walk, i, some, d, op);
        sums = _mm_sub_epi32(sums, _mm_set1_epi32(correction));
        __m256i wide = op == IP_I8 ? _mm256_cvtepi32_epi64(sums) : _mm256_cvtepu32_epi64(sums);
        _mm256_mask_storeu_epi64(out + i, (__mmask8)((1 << some) - 1), wide);
    }
}

static void ip_i8(const int8_t *query, const int8_t *rows, int64_t stride, int64_t count, int64_t d, int64_t *out)
{
    int32_t sum = 0;
    for (int64_t j = 0; j < d; j++) sum += query[j];
    sums_64(query, (sonde__places){(const uint8_t *)rows, NULL, stride}, count, d, out, IP_I8, 128 * sum);
}

static void ip_u8(const uint8_t *query, const uint8_t *rows, int64_t stride, int64_t count, int64_t d, int64_t *out)
{
    sums_64(query, (sonde__places){(const uint8_t *)rows, NULL, stride}, count, d, out, IP_U8, 0);
}

static void l2_i8(const int8_t *query, const int8_t *rows, int64_t stride, int64_t count, int64_t d, int64_t *out)
{
    sums_64(query, (sonde__places){(const uint8_t *)rows, NULL, stride}, count, d, out, L2_I8, 0);
}

static void l2_u8(const uint8_t *query, const uint8_t *rows, int64_t stride, int64_t count, int64_t d, int64_t *out)
{
    sums_64(query, (sonde__places){(const uint8_t *)rows, NULL, stride}, count, d, out, L2_U8, 0);
}

static void ip_u8s8(const int8_t *query, const uint8_t *rows, int64_t stride, int64_t count, int64_t d, int32_t *out)
{
    sums_32(query, (sonde__places){(const uint8_t *)rows, NULL, stride}, count, d, out, IP_U8S8);
}

/* Packed rows of 8 bytes, eight to a register. */
static void hamming_8(const uint8_t *query, const uint8_t *rows, int64_t count, int32_t *out)
{
    int64_t word;
    memcpy(&word, query, sizeof word);
    const __m512i q = _mm512_set1_epi64(word);
    for (int64_t i = 0; i < count; i += 8) {
        __mmask8 mask = (__mmask8)_bzhi_u32(0xff, (uint32_t)sonde__min_i64(8, count - i));
        __m512i x = _mm512_maskz_loadu_epi64(mask, rows + 8 * i);
        __m512i bits = _mm512_popcnt_epi64(_mm512_xor_si512(x, q));
        _mm256_mask_storeu_epi32(out + i, mask, _mm512_cvtepi64_epi32(bits));
    }
}

/* Packed rows of 16 bytes: eight are two registers, whose halves are added side by side. */
static void hamming_16(const uint8_t *query, const uint8_t *rows, int64_t count, int32_t *out)
{
    const __m512i q = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)query));
    const __m256i order = _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7);
    for (int64_t i = 0; i < count; i += 8) {
        uint32_t words = (uint32_t)(2 * sonde__min_i64(8, count - i));
        uint32_t mask = _bzhi_u32(0xffff, words);
        __m512i a = _mm512_maskz_loadu_epi64((__mmask8)mask, rows + 16 * i);
        __m512i b = _mm512_maskz_loadu_epi64((__mmask8)(mask >> 8), rows + 16 * i + 64);
        a = _mm512_popcnt_epi64(_mm512_xor_si512(a, q));
        b = _mm512_popcnt_epi64(_mm512_xor_si512(b, q));
        __m512i sum = _mm512_add_epi64(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
        __m256i narrow = _mm256_permutevar8x32_epi32(_mm512_cvtepi64_epi32(sum), order);
        _mm256_mask_storeu_epi32(out + i, (__mmask8)_bzhi_u32(0xff, words / 2), narrow);
    }
}

static void hamming(const uint8_t *query, const uint8_t *rows, int64_t stride, int64_t count, int64_t bytes,
                    int32_t *out)
{
    if (bytes == 8 && stride == 8) {
        hamming_8(query, rows, count, out);
        return;
    }
    if (bytes == 16 && stride == 16) {
        hamming_16(query, rows, count, out);
        return;
    }
    sums_32(query, (sonde__places){(const uint8_t *)rows, NULL, stride}, count, bytes, out, HAMMING);
}

const sonde__kernels sonde__avx512_integer = {
    .ip_i8 = ip_i8,
    .ip_u8 = ip_u8,
    .l2_i8 = l2_i8,
    .l2_u8 = l2_u8,
    .ip_u8s8 = ip_u8s8,
    .hamming = hamming,
};
