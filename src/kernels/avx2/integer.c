/* integer.c (avx2): exact products and distances of 8-bit vectors, and Hamming distances.
 *
 * Products widen both sides to 16 bits; distances take |a - b| as unsigned bytes, then square 16-bit halves; set
 * bits are counted by a table of 16 in a register (Mula). Sums are exact modulo 2^32, and the results of up to
 * 65536 elements fit 32 bits (unsigned for u8 products and distances). The last d % 32 bytes are loaded with those
 * before them, which a mask takes out again; vectors shorter than 32 are copied to where reading 32 is allowed.
 *
 * SPDX-License-Identifier: MIT
 */
#include <immintrin.h>

#include "kernels/slots.h"

typedef enum operation { IP_I8, IP_U8, IP_U8S8, L2_I8, L2_U8, HAMMING } operation;

SONDE__INLINE __m256i load_32(const uint8_t *at) { return _mm256_loadu_si256((const __m256i *)(const void *)at); }

/* The last `left` = d % 32 bytes, in the upper lanes (from d = 32 on) or the lower ones; zeros in the others. */
SONDE__INLINE __m256i load_last(const uint8_t *row, int64_t d, int64_t left)
{
    static const uint64_t upper[8] = {0, 0, 0, 0, ~(uint64_t)0, ~(uint64_t)0, ~(uint64_t)0, ~(uint64_t)0};
    if (d >= 32) return _mm256_and_si256(load_32(row + d - 32), load_32((const uint8_t *)upper + left));
    uint8_t copy[32] = {0};
    for (int64_t i = 0; i < d; i++) copy[i] = row[i];
    return load_32(copy);
}

SONDE__INLINE __m256i add_squares(__m256i sum, __m256i a, __m256i b)
{
    __m256i difference = _mm256_sub_epi8(_mm256_max_epu8(a, b), _mm256_min_epu8(a, b));
    __m256i low = _mm256_unpacklo_epi8(difference, _mm256_setzero_si256());
    __m256i high = _mm256_unpackhi_epi8(difference, _mm256_setzero_si256());
    return _mm256_add_epi32(sum, _mm256_add_epi32(_mm256_madd_epi16(low, low), _mm256_madd_epi16(high, high)));
}

SONDE__INLINE __m256i add_products(__m256i sum, __m256i a, __m256i b, bool is_signed)
{
    __m128i a0 = _mm256_castsi256_si128(a), a1 = _mm256_extracti128_si256(a, 1);
    __m128i b0 = _mm256_castsi256_si128(b), b1 = _mm256_extracti128_si256(b, 1);
    __m256i low = is_signed ? _mm256_madd_epi16(_mm256_cvtepi8_epi16(a0), _mm256_cvtepi8_epi16(b0))
                            : _mm256_madd_epi16(_mm256_cvtepu8_epi16(a0), _mm256_cvtepu8_epi16(b0));
    __m256i high = is_signed ? _mm256_madd_epi16(_mm256_cvtepi8_epi16(a1), _mm256_cvtepi8_epi16(b1))
                             : _mm256_madd_epi16(_mm256_cvtepu8_epi16(a1), _mm256_cvtepu8_epi16(b1));
    return _mm256_add_epi32(sum, _mm256_add_epi32(low, high));
}

SONDE__INLINE __m256i add_bits(__m256i sum, __m256i x)
{
    const __m256i nibble = _mm256_set1_epi8(15);
    const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2,
                                           2, 3, 2, 3, 3, 4);
    __m256i low = _mm256_shuffle_epi8(table, _mm256_and_si256(x, nibble));
    __m256i high = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(x, 4), nibble));
    return _mm256_add_epi32(sum, _mm256_sad_epu8(_mm256_add_epi8(low, high), _mm256_setzero_si256()));
}

SONDE__INLINE __m256i add_term(__m256i sum, __m256i query, __m256i x, operation op)
{
    const __m256i flip = _mm256_set1_epi8(-128);
    switch (op) {
    case IP_I8: return add_products(sum, query, x, true);
    case IP_U8: return add_products(sum, query, x, false);
    case IP_U8S8: /* pairs fit 16 bits: 255 * 64 * 2 = 32640 */
        return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(x, query), _mm256_set1_epi16(1)));
    case L2_I8: return add_squares(sum, _mm256_xor_si256(query, flip), _mm256_xor_si256(x, flip));
    case L2_U8: return add_squares(sum, query, x);
    default: return add_bits(sum, _mm256_xor_si256(query, x));
    }
}

/* The terms of one row in 8 sums. */
SONDE__INLINE __m256i row_sums(const uint8_t *query, const uint8_t *row, int64_t d, const sonde__walk *walk,
                               operation op)
{
    __m256i even = _mm256_setzero_si256(), odd = _mm256_setzero_si256();
    int64_t j = 0;
    for (; j + 64 <= d; j += 64) {
        sonde__walk_line(walk, row + j);
        even = add_term(even, load_32(query + j), load_32(row + j), op);
        odd = add_term(odd, load_32(query + j + 32), load_32(row + j + 32), op);
    }
    if (j + 32 <= d) even = add_term(even, load_32(query + j), load_32(row + j), op);
    if (d % 64) sonde__walk_line(walk, row + j);
    if (d % 32) odd = add_term(odd, load_last(query, d, d % 32), load_last(row, d, d % 32), op);
    return _mm256_add_epi32(even, odd);
}

/* The 32-bit sums of the `some` <= 4 rows from row i on; zeros in the other lanes. */
SONDE__INLINE __m128i block_sums(const uint8_t *query, const sonde__walk *walk, int64_t i, int64_t some, int64_t d,
                                 operation op)
{
    const __m256i zero = _mm256_setzero_si256();
    __m256i sum[SONDE__TOGETHER] = {zero, zero, zero, zero};
    for (int64_t r = 0; r < some; r++) sum[r] = row_sums(query, sonde__walk_row(walk, i + r), d, walk, op);
    __m256i pairs = _mm256_hadd_epi32(_mm256_hadd_epi32(sum[0], sum[1]), _mm256_hadd_epi32(sum[2], sum[3]));
    return _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
}

SONDE__INLINE void sums_32(const void *query, sonde__places rows, int64_t count, int64_t d, int32_t *out, operation op)
{
    const sonde__walk walk = sonde__walk_start(rows, count, d);
    for (int64_t i = 0; i < count; i += SONDE__TOGETHER) {
        int64_t some = sonde__min_i64(SONDE__TOGETHER, count - i);
        __m128i sums = block_sums(query, &walk, i, some, d, op);
        _mm_maskstore_epi32(out + i, _mm_cmpgt_epi32(_mm_set1_epi32((int32_t)some), _mm_setr_epi32(0, 1, 2, 3)), sums);
    }
}

SONDE__INLINE void sums_64(const void *query, sonde__places rows, int64_t count, int64_t d, int64_t *out, operation op)
{
    const sonde__walk walk = sonde__walk_start(rows, count, d);
    for (int64_t i = 0; i < count; i += SONDE__TOGETHER) {
        int64_t some = sonde__min_i64(SONDE__TOGETHER, count - i), wide[SONDE__TOGETHER];
        __m128i sums = block_sums(query, &walk, i, some, d, op);
        __m256i widened = op == IP_I8 ? _mm256_cvtepi32_epi64(sums) : _mm256_cvtepu32_epi64(sums);
        _mm256_storeu_si256((__m256i *)(void *)wide, widened);
        memcpy(out + i, wide, (size_t)some * sizeof *out);
    }
}

static void ip_i8(const int8_t *query, const int8_t *rows, int64_t stride, int64_t count, int64_t d, int64_t *out)
{
    sums_64(query, (sonde__places){(const uint8_t *)rows, NULL, stride}, count, d, out, IP_I8);
}

static void ip_u8(const uint8_t *query, const uint8_t *rows, int64_t stride, int64_t count, int64_t d, int64_t *out)
{
    sums_64(query, (sonde__places){(const uint8_t *)rows, NULL, stride}, count, d, out, IP_U8);
}

static void l2_i8(const int8_t *query, const int8_t *rows, int64_t stride, int64_t count, int64_t d, int64_t *out)
{
    sums_64(query, (sonde__places){(const uint8_t *)rows, NULL, stride}, count, d, out, L2_I8);
}

static void l2_u8(const uint8_t *query, const uint8_t *rows, int64_t stride, int64_t count, int64_t d, int64_t *out)
{
    sums_64(query, (sonde__places){(const uint8_t *)rows, NULL, stride}, count, d, out, L2_U8);
}

static void ip_u8s8(const int8_t *query, const uint8_t *rows, int64_t stride, int64_t count, int64_t d, int32_t *out)
{
    sums_32(query, (sonde__places){(const uint8_t *)rows, NULL, stride}, count, d, out, IP_U8S8);
}

static void hamming(const uint8_t *query, const uint8_t *rows, int64_t stride, int64_t count, int64_t bytes,
                    int32_t *out)
{
    sums_32(query, (sonde__places){(const uint8_t *)rows, NULL, stride}, count, bytes, out, HAMMING);
}

const sonde__kernels sonde__avx2_integer = {
    .ip_i8 = ip_i8,
    .ip_u8 = ip_u8,
    .l2_i8 = l2_i8,
    .l2_u8 = l2_u8,
    .ip_u8s8 = ip_u8s8,
    .hamming = hamming,
};
