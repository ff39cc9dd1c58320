/* small.c (avx512): vector odds and ends, and the Walsh-Hadamard transform, which does four stages inside a register
 * and then two stages a pass over memory (radix 4). The checksum is served by avx2.
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

static float norm2(const float *x, int64_t d)
{
    __m512 sum[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
    int64_t j = 0;
    for (; j + 64 <= d; j += 64) {
#pragma GCC unroll 4
        for (int b = 0; b < 4; b++) {
            __m512 v = _mm512_loadu_ps(x + j + 16 * b);
            sum[b] = _mm512_fmadd_ps(v, v, sum[b]);
        }
    }
    for (; j < d; j += 16) {
        __m512 v = _mm512_maskz_loadu_ps(lanes_at(j, d), x + j);
        sum[0] = _mm512_fmadd_ps(v, v, sum[0]);
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sum[0], sum[1]), _mm512_add_ps(sum[2], sum[3])));
}

static void axpy(float a, const float *x, int64_t n, float *y)
{
    const __m512 factor = _mm512_set1_ps(a);
    for (int64_t i = 0; i < n; i += 16) {
        __mmask16 mask = lanes_at(i, n);
        __m512 sum = _mm512_maskz_loadu_ps(mask, y + i);
        _mm512_mask_storeu_ps(y + i, mask, _mm512_fmadd_ps(factor, _mm512_maskz_loadu_ps(mask, x + i), sum));
    }
}

/* ---- Walsh-Hadamard ------------------------------------------------------------------------------------------- */

/* Each lane adds itself to its partner, or, in the lanes of the mask, subtracts itself: one multiply-add by 1 or -1,
 * which rounds like the addition. */
SONDE__INLINE __m512 stage(__m512 x, __m512 partner, __mmask16 upper)
{
    const __m512 sign = _mm512_mask_mov_ps(_mm512_set1_ps(1), upper, _mm512_set1_ps(-1));
    return _mm512_fmadd_ps(x, sign, partner);
}

/* The stages of up to 16 elements, n of them. */
SONDE__INLINE __m512 stages_inside(__m512 x, int64_t n)
{
    if (n > 1) x = stage(x, _mm512_permute_ps(x, 0xb1), 0xaaaa);
    if (n > 2) x = stage(x, _mm512_permute_ps(x, 0x4e), 0xcccc);
    if (n > 4) x = stage(x, _mm512_shuffle_f32x4(x, x, 0xb1), 0xf0f0);
    if (n > 8) x = stage(x, _mm512_shuffle_f32x4(x, x, 0x4e), 0xff00);
    return x;
}

typedef __m512 vector;
#include "kernels/fht.h"

static int64_t first_nonfinite(const float *x, int64_t count)
{
    enum { NAN_OR_INFINITY = 0x99 };
    for (int64_t i = 0; i < count; i += 16) {
        __m512 block = _mm512_maskz_loadu_ps(lanes_at(i, count), x + i);
        uint32_t found = _mm512_fpclass_ps_mask(block, NAN_OR_INFINITY);
        if (found) return i + (int64_t)_tzcnt_u32(found);
    }
    return -1;
}

static void flip_signs(float *x, const uint8_t *bits, int64_t n)
{
    const __m512i sign = _mm512_set1_epi32(INT32_MIN);
    for (int64_t i = 0; i < n; i += 16) {
        __mmask16 used = n - i >= 16 ? 0xffff : 0xff;
        __mmask16 flipped = n - i >= 16 ? sonde__load_u16(bits + i / 8) : bits[i / 8];
        __m512i entries = _mm512_maskz_loadu_epi32(used, x + i);
        _mm512_mask_storeu_epi32(x + i, used, _mm512_mask_xor_epi32(entries, flipped, entries, sign));
    }
}

static void kac_step(float *x, int64_t half, float scale)
{
    const __m512 factor = _mm512_set1_ps(scale);
    for (int64_t i = 0; i < half; i += 16) {
        __mmask16 used = (__mmask16)_bzhi_u32(0xffff, (uint32_t)sonde__min_i64(16, half - i));
        __m512 a = _mm512_maskz_loadu_ps(used, x + i), b = _mm512_maskz_loadu_ps(used, x + half + i);
        _mm512_mask_storeu_ps(x + i, used, _mm512_mul_ps(_mm512_add_ps(a, b), factor));
        _mm512_mask_storeu_ps(x + half + i, used, _mm512_mul_ps(_mm512_sub_ps(a, b), factor));
    }
}

const sonde__kernels sonde__avx512_small = {
    .norm2 = norm2,
    .axpy = axpy,
    .fht = fht,
    .flip_signs = flip_signs,
    .kac_step = kac_step,
    .first_nonfinite = first_nonfinite,
};
