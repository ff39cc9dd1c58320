/* random.c (avx2): random words of four rows at once; random bytes beside weights sixteen at once, of which few pass,
 * so the set bits are walked.
 *
 * SPDX-License-Identifier: MIT
 */
#include <immintrin.h>

#include "kernels/slots.h"

typedef uint64_t philox_lanes __attribute__((vector_size(32)));

SONDE__INLINE philox_lanes philox_load(const uint64_t *rows)
{
    return (philox_lanes)_mm256_loadu_si256((const __m256i *)(const void *)rows);
}

SONDE__INLINE philox_lanes philox_product(philox_lanes a, uint32_t m)
{
    return (philox_lanes)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x(m));
}

/* Words 0 and 1 of a row make one lane, words 2 and 3 another; the pairs are zipped. */
SONDE__INLINE void philox_store(const philox_lanes c[4], uint32_t *out)
{
    __m256i low = (__m256i)((c[0] & UINT32_MAX) | c[1] << 32), high = (__m256i)((c[2] & UINT32_MAX) | c[3] << 32);
    __m256i even = _mm256_unpacklo_epi64(low, high), odd = _mm256_unpackhi_epi64(low, high);
    __m256i *to = (__m256i *)(void *)out;
    _mm256_storeu_si256(to, _mm256_permute2x128_si256(even, odd, 0x20));
    _mm256_storeu_si256(to + 1, _mm256_permute2x128_si256(even, odd, 0x31));
}

#include "kernels/philox.h"

/* One bit for each of 4 bytes. */
SONDE__INLINE uint32_t passing(__m128i bytes, const float *weights, __m256d scale)
{
    __m256d product = _mm256_mul_pd(_mm256_cvtps_pd(_mm_loadu_ps(weights)), scale);
    __m256d byte = _mm256_cvtepi32_pd(_mm_cvtepu8_epi32(bytes));
    return (uint32_t)_mm256_movemask_pd(_mm256_cmp_pd(byte, product, _CMP_LT_OQ));
}

static int64_t bytes_below(const uint8_t *bytes, const float *weights, double scale, int64_t count,
                           int32_t *positions)
{
    const __m256d scales = _mm256_set1_pd(scale);
    int64_t found = 0, i = 0;
    for (; i + 16 <= count; i += 16) {
        __m128i all = _mm_loadu_si128((const __m128i *)(const void *)(bytes + i));
        uint32_t mask = passing(all, weights + i, scales);
        mask |= passing(_mm_srli_si128(all, 4), weights + i + 4, scales) << 4;
        mask |= passing(_mm_srli_si128(all, 8), weights + i + 8, scales) << 8;
        mask |= passing(_mm_srli_si128(all, 12), weights + i + 12, scales) << 12;
        for (; mask; mask &= mask - 1) positions[found++] = (int32_t)(i + _tzcnt_u32(mask));
    }
    for (; i < count; i++)
        if ((double)bytes[i] < (double)weights[i] * scale) positions[found++] = (int32_t)i;
    return found;
}

const sonde__kernels sonde__avx2_random = {.random_words = random_words, .bytes_below = bytes_below};
