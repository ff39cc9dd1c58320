/* small.c (avx2): vector odds and ends, the checksum, and the Walsh-Hadamard transform.
 *
 * CRC-32C by the crc32 instruction, which takes 3 cycles but starts every cycle: three streams of STREAM bytes run
 * interleaved. Zero bytes act on a state as a matrix over GF(2); that of STREAM zero bytes carries the first stream's
 * state over the second, and both over the third (Gopal et al. 2011 use the same split).
 *
 * The transform does three stages inside a register and then two stages a pass over memory (radix 4).
 *
 * SPDX-License-Identifier: MIT
 */
#include <immintrin.h>

#include "kernels/slots.h"

enum { STREAM = 4096 };

/* Row i: what STREAM zero bytes make of a state with only bit i set. */
static const uint32_t stream_matrix[32] = {
    0xc2a5b65e, 0x80a71a4d, 0x04a2426b, 0x094484d6, 0x128909ac, 0x25121358, 0x4a2426b0, 0x94484d60,
    0x2d7cec31, 0x5af9d862, 0xb5f3b0c4, 0x6e0b1779, 0xdc162ef2, 0xbdc02b15, 0x7e6c20db, 0xfcd841b6,
    0xfc5cf59d, 0xfd559dcb, 0xff474d67, 0xfb62ec3f, 0xf329ae8f, 0xe3bf2bef, 0xc292212f, 0x80c834af,
    0x047c1faf, 0x08f83f5e, 0x11f07ebc, 0x23e0fd78, 0x47c1faf0, 0x8f83f5e0, 0x1aeb9d31, 0x35d73a62,
};

/* The state after STREAM more zero bytes: the sum of the rows whose bit is set. */
static uint32_t over_stream(uint32_t state)
{
    const __m256i bits = _mm256_set1_epi32((int32_t)state);
    __m256i sum = _mm256_setzero_si256();
    for (int i = 0; i < 32; i += 8) {
        __m256i to_sign = _mm256_sub_epi32(_mm256_set1_epi32(31 - i), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
        __m256i chosen = _mm256_srai_epi32(_mm256_sllv_epi32(bits, to_sign), 31);
        __m256i rows = _mm256_loadu_si256((const __m256i *)(const void *)(stream_matrix + i));
        sum = _mm256_xor_si256(sum, _mm256_and_si256(chosen, rows));
    }
    __m128i half = _mm_xor_si128(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    half = _mm_xor_si128(half, _mm_shuffle_epi32(half, 0x4e));
    return (uint32_t)_mm_cvtsi128_si32(_mm_xor_si128(half, _mm_shuffle_epi32(half, 0xb1)));
}

static uint32_t crc32c(uint32_t crc, const void *data, uint64_t bytes)
{
    const uint8_t *p = data;
    uint64_t a = ~crc;
    for (; bytes >= 3 * STREAM; bytes -= 3 * STREAM, p += 3 * STREAM) {
        uint64_t b = 0, c = 0;
        for (int64_t i = 0; i < STREAM; i += 8) {
            a = _mm_crc32_u64(a, sonde__load_u64(p + i));
            b = _mm_crc32_u64(b, sonde__load_u64(p + STREAM + i));
            c = _mm_crc32_u64(c, sonde__load_u64(p + 2 * STREAM + i));
        }
        a = over_stream(over_stream((uint32_t)a) ^ (uint32_t)b) ^ c;
    }
    for (; bytes >= 8; bytes -= 8, p += 8) a = _mm_crc32_u64(a, sonde__load_u64(p));
    uint32_t state = (uint32_t)a;
    for (; bytes; bytes--, p++) state = _mm_crc32_u8(state, *p);
    return ~state;
}

static float norm2(const float *x, int64_t d)
{
    __m256 sum[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
    int64_t j = 0;
    for (; j + 32 <= d; j += 32) {
#pragma GCC unroll 4
        for (int b = 0; b < 4; b++) {
            __m256 v = _mm256_loadu_ps(x + j + 8 * b);
            sum[b] = _mm256_fmadd_ps(v, v, sum[b]);
        }
    }
    for (; j + 8 <= d; j += 8) {
        __m256 v = _mm256_loadu_ps(x + j);
        sum[0] = _mm256_fmadd_ps(v, v, sum[0]);
    }
    __m256 all = _mm256_add_ps(_mm256_add_ps(sum[0], sum[1]), _mm256_add_ps(sum[2], sum[3]));
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    float total = _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
    for (; j < d; j++) total += x[j] * x[j];
    return total;
}

static void axpy(float a, const float *x, int64_t n, float *y)
{
    const __m256 factor = _mm256_set1_ps(a);
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_fmadd_ps(factor, _mm256_loadu_ps(x + i), _mm256_loadu_ps(y + i)));
    for (; i < n; i++) y[i] += a * x[i];
}

/* ---- Walsh-Hadamard ------------------------------------------------------------------------------------------- */

/* The stages of up to 8 elements, n of them. Each lane adds itself to its partner, or subtracts itself: one
 * multiply-add by 1 or -1, which rounds like the addition. */
SONDE__INLINE __m256 stages_inside(__m256 x, int64_t n)
{
    const __m256 by_1 = _mm256_setr_ps(1, -1, 1, -1, 1, -1, 1, -1);
    const __m256 by_2 = _mm256_setr_ps(1, 1, -1, -1, 1, 1, -1, -1);
    const __m256 by_4 = _mm256_setr_ps(1, 1, 1, 1, -1, -1, -1, -1);
    if (n > 1) x = _mm256_fmadd_ps(x, by_1, _mm256_permute_ps(x, 0xb1));
    if (n > 2) x = _mm256_fmadd_ps(x, by_2, _mm256_permute_ps(x, 0x4e));
    if (n > 4) x = _mm256_fmadd_ps(x, by_4, _mm256_permute2f128_ps(x, x, 1));
    return x;
}

typedef __m256 vector;
#include "kernels/fht.h"

static int64_t first_nonfinite(const float *x, int64_t count)
{
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff), largest = _mm256_set1_epi32(0x7f7fffff);
    int64_t i = 0;
    for (; i + 32 <= count; i += 32) {
        __m256i any = _mm256_setzero_si256();
#pragma GCC unroll 4
        for (int b = 0; b < 4; b++) {
            __m256i bits = _mm256_loadu_si256((const __m256i *)(const void *)(x + i + 8 * b));
            any = _mm256_or_si256(any, _mm256_cmpgt_epi32(_mm256_and_si256(bits, magnitude), largest));
        }
        if (!_mm256_testz_si256(any, any)) break; /* the loop below finds which */
    }
    for (; i < count; i++) {
        if ((sonde__load_u32(x + i) & 0x7f800000) == 0x7f800000) return i;
    }
    return -1;
}

static void flip_signs(float *x, const uint8_t *bits, int64_t n)
{
    const __m256i own = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128), sign = _mm256_set1_epi32(INT32_MIN);
    for (int64_t i = 0; i < n; i += 8) {
        __m256i set = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(bits[i / 8]), own), own);
        __m256 flip = _mm256_castsi256_ps(_mm256_and_si256(set, sign));
        _mm256_storeu_ps(x + i, _mm256_xor_ps(_mm256_loadu_ps(x + i), flip));
    }
}

const sonde__kernels sonde__avx2_small = {
    .norm2 = norm2,
    .axpy = axpy,
    .crc32c = crc32c,
    .fht = fht,
    .flip_signs = flip_signs,
    .first_nonfinite = first_nonfinite,
};
