/* convert.c (avx2): element types to f32 and back, eight at a time, the last ones singly; panels by 8 x 8
 * transposition.
 *
 * SPDX-License-Identifier: MIT
 */
#include <immintrin.h>

#include "kernels/slots.h"

static void f32_from_f16(const void *from, int64_t count, float *to)
{
    const uint8_t *x = from;
    int64_t i = 0;
    for (; i + 8 <= count; i += 8)
        _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(x + 2 * i))));
    for (; i < count; i++) to[i] = _cvtsh_ss(sonde__load_u16(x + 2 * i));
}

static void f32_from_bf16(const void *from, int64_t count, float *to)
{
    const uint8_t *x = from;
    int64_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)(x + 2 * i)));
        _mm256_storeu_ps(to + i, _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16)));
    }
    for (; i < count; i++) to[i] = sonde__bf16_to_f32(sonde__load_u16(x + 2 * i));
}

static void f32_from_i8(const void *from, int64_t count, float *to)
{
    const int8_t *x = from;
    int64_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256i wide = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(x + i)));
        _mm256_storeu_ps(to + i, _mm256_cvtepi32_ps(wide));
    }
    for (; i < count; i++) to[i] = x[i];
}

static void f32_from_u8(const void *from, int64_t count, float *to)
{
    const uint8_t *x = from;
    int64_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256i wide = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(x + i)));
        _mm256_storeu_ps(to + i, _mm256_cvtepi32_ps(wide));
    }
    for (; i < count; i++) to[i] = x[i];
}

static void f32_to_f16(const float *from, int64_t count, uint16_t *to)
{
    int64_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m128i half = _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT);
        _mm_storeu_si128((__m128i *)(void *)(to + i), half);
    }
    for (; i < count; i++) to[i] = _cvtss_sh(from[i], _MM_FROUND_TO_NEAREST_INT);
}

static __m256i bf16_of(__m256 x)
{
    __m256i bits = _mm256_castps_si256(x), upper = _mm256_srli_epi32(bits, 16);
    __m256i odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
    __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
    __m256i quiet = _mm256_or_si256(upper, _mm256_set1_epi32(0x40));
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    return _mm256_blendv_epi8(_mm256_srli_epi32(rounded, 16), quiet, nan);
}

static void f32_to_bf16(const float *from, int64_t count, uint16_t *to)
{
    int64_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256i words = bf16_of(_mm256_loadu_ps(from + i));
        __m128i packed = _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
        _mm_storeu_si128((__m128i *)(void *)(to + i), packed);
    }
    for (; i < count; i++) to[i] = (uint16_t)_mm256_extract_epi16(bf16_of(_mm256_set1_ps(from[i])), 0);
}

/* Eight vectors by eight columns. */
static void transpose_8x8(const uint8_t *const *from, int64_t lanes, float *to)
{
    __m256 row[8], pair[8], four[8];
    for (int i = 0; i < 8; i++) row[i] = _mm256_loadu_ps((const float *)(const void *)from[i]);
    for (int i = 0; i < 8; i += 2) {
        pair[i] = _mm256_unpacklo_ps(row[i], row[i + 1]);
        pair[i + 1] = _mm256_unpackhi_ps(row[i], row[i + 1]);
    }
    for (int i = 0; i < 8; i += 4)
        for (int j = 0; j < 2; j++) {
            four[i + 2 * j] = _mm256_shuffle_ps(pair[i + j], pair[i + j + 2], 0x44);
            four[i + 2 * j + 1] = _mm256_shuffle_ps(pair[i + j], pair[i + j + 2], 0xee);
        }
    for (int i = 0; i < 4; i++) {
        _mm256_storeu_ps(to + i * lanes, _mm256_permute2f128_ps(four[i], four[i + 4], 0x20));
        _mm256_storeu_ps(to + (i + 4) * lanes, _mm256_permute2f128_ps(four[i], four[i + 4], 0x31));
    }
}

/* Lanes are a multiple of 8. Missing vectors are zero. */
static void pack_panel(const void *const *queries, int64_t count, int64_t d, int64_t lanes, float *panel)
{
    int64_t whole = count / 8 * 8, columns = d / 8 * 8;
    for (int64_t lane = 0; lane < whole; lane += 8)
        for (int64_t k = 0; k < columns; k += 8) {
            const uint8_t *from[8];
            for (int i = 0; i < 8; i++) from[i] = (const uint8_t *)queries[lane + i] + 4 * k;
            transpose_8x8(from, lanes, panel + k * lanes + lane);
        }
    for (int64_t k = 0; k < d; k++) {
        float *column = panel + k * lanes;
        for (int64_t lane = k < columns ? whole : 0; lane < count; lane++)
            column[lane] = sonde__load_f32((const uint8_t *)queries[lane] + 4 * k);
        for (int64_t lane = count; lane < lanes; lane++) column[lane] = 0;
    }
}

const sonde__kernels sonde__avx2_convert = {
    .to_f32 = {NULL, f32_from_f16, f32_from_bf16, f32_from_i8, f32_from_u8},
    .f32_to_f16 = f32_to_f16,
    .pack_panel = pack_panel,
    .f32_to_bf16 = f32_to_bf16,
};
