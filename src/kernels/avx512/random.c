/* random.c (avx512): random words of eight rows at once; random bytes beside weights sixteen at once, whose positions
 * are packed by a compress. The compressed register is stored whole: the place of a position is never behind that of
 * its byte, so this stays within the `count` places of the output.
 *
 * SPDX-License-Identifier: MIT
 */
#include <immintrin.h>

#include "kernels/slots.h"

typedef uint64_t philox_lanes __attribute__((vector_size(64)));

SONDE__INLINE philox_lanes philox_load(const uint64_t *rows) { return (philox_lanes)_mm512_loadu_si512(rows); }

SONDE__INLINE philox_lanes philox_product(philox_lanes a, uint32_t m)
{
    return (philox_lanes)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi64(m));
}

/* Words 0 and 1 of a row make one lane, words 2 and 3 another; the pairs are zipped. */
SONDE__INLINE void philox_store(const philox_lanes c[4], uint32_t *out)
{
    const __m512i first = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
    const __m512i last = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
    __m512i low = (__m512i)((c[0] & UINT32_MAX) | c[1] << 32), high = (__m512i)((c[2] & UINT32_MAX) | c[3] << 32);
    _mm512_storeu_si512(out, _mm512_permutex2var_epi64(low, first, high));
    _mm512_storeu_si512(out + 16, _mm512_permutex2var_epi64(low, last, high));
}

#include "kernels/philox.h"

/* One bit for each of 8 bytes, as numbers. */
SONDE__INLINE __mmask8 passing(__m256i bytes, __m256 weights, __m512d scale)
{
    __m512d product = _mm512_mul_pd(_mm512_cvtps_pd(weights), scale);
    return _mm512_cmp_pd_mask(_mm512_cvtepi32_pd(bytes), product, _CMP_LT_OQ);
}

static int64_t bytes_below(const uint8_t *bytes, const float *weights, double scale, int64_t count,
                           int32_t *positions)
{
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512d scales = _mm512_set1_pd(scale);
    int64_t found = 0, i = 0;
    for (; i + 16 <= count; i += 16) {
        __m512i byte = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(bytes + i)));
        __mmask8 low = passing(_mm512_castsi512_si256(byte), _mm256_loadu_ps(weights + i), scales);
        __mmask8 high = passing(_mm512_extracti64x4_epi64(byte, 1), _mm256_loadu_ps(weights + i + 8), scales);
        __mmask16 mask = (__mmask16)(low | high << 8);
        __m512i numbers = _mm512_add_epi32(_mm512_set1_epi32((int32_t)i), lanes);
        _mm512_storeu_si512(positions + found, _mm512_maskz_compress_epi32(mask, numbers));
        found += _mm_popcnt_u32(mask);
    }
    for (; i < count; i++)
        if ((double)bytes[i] < (double)weights[i] * scale) positions[found++] = (int32_t)i;
    return found;
}

const sonde__kernels sonde__avx512_random = {.random_words = random_words, .bytes_below = bytes_below};
