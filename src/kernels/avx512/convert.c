/* convert.c (avx512): element types to f32 and back, sixteen at a time, the last ones under a mask.
 *
 * SPDX-License-Identifier: MIT
 */
#include <immintrin.h>

#include "kernels/slots.h"

/* The lanes of the block that begins at i. */
SONDE__INLINE __mmask16 lanes_at(int64_t i, int64_t count)
{
    return (__mmask16)_bzhi_u32(0xffff, (uint32_t)sonde__min_i64(16, count - i));
}

static void f32_from_f16(const void *from, int64_t count, float *to)
{
    const uint8_t *x = from;
    for (int64_t i = 0; i < count; i += 16) {
        __mmask16 mask = lanes_at(i, count);
        _mm512_mask_storeu_ps(to + i, mask, _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, x + 2 * i)));
    }
}

static void f32_from_bf16(const void *from, int64_t count, float *to)
{
    const uint8_t *x = from;
    for (int64_t i = 0; i < count; i += 16) {
        __mmask16 mask = lanes_at(i, count);
        __m512i wide = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, x + 2 * i));
        _mm512_mask_storeu_epi32(to + i, mask, _mm512_slli_epi32(wide, 16));
    }
}

static void f32_from_i8(const void *from, int64_t count, float *to)
{
    const uint8_t *x = from;
    for (int64_t i = 0; i < count; i += 16) {
        __mmask16 mask = lanes_at(i, count);
        __m512i wide = _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(mask, x + i));
        _mm512_mask_storeu_ps(to + i, mask, _mm512_cvtepi32_ps(wide));
    }
}

static void f32_from_u8(const void *from, int64_t count, float *to)
{
    const uint8_t *x = from;
    for (int64_t i = 0; i < count; i += 16) {
        __mmask16 mask = lanes_at(i, count);
        __m512i wide = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, x + i));
        _mm512_mask_storeu_ps(to + i, mask, _mm512_cvtepi32_ps(wide));
    }
}

static void f32_to_f16(const float *from, int64_t count, uint16_t *to)
{
    for (int64_t i = 0; i < count; i += 16) {
        __mmask16 mask = lanes_at(i, count);
        __m256i half = _mm512_cvtps_ph(_mm512_maskz_loadu_ps(mask, from + i), _MM_FROUND_TO_NEAREST_INT);
        _mm256_mask_storeu_epi16(to + i, mask, half);
    }
}

static void f32_to_bf16(const float *from, int64_t count, uint16_t *to)
{
    for (int64_t i = 0; i < count; i += 16) {
        __mmask16 mask = lanes_at(i, count);
        __m512i bits = _mm512_maskz_loadu_epi32(mask, from + i), upper = _mm512_srli_epi32(bits, 16);
        __m512i odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
        __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
        __m512 x = _mm512_castsi512_ps(bits);
        __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
        rounded = _mm512_mask_or_epi32(_mm512_srli_epi32(rounded, 16), nan, upper, _mm512_set1_epi32(0x40));
        _mm256_mask_storeu_epi16(to + i, mask, _mm512_cvtepi32_epi16(rounded));
    }
}

const sonde__kernels sonde__avx512_convert = {
    .to_f32 = {NULL, f32_from_f16, f32_from_bf16, f32_from_i8, f32_from_u8},
    .f32_to_f16 = f32_to_f16,
    .f32_to_bf16 = f32_to_bf16,
};
