/* paths.c (avx512): linear combinations of states, and noise, by the loops that all sets share. The rounds of Philox
 * are written out: a word in each 64-bit lane, whose upper half may hold anything, needs two products a round for 8
 * blocks.
 *
 * SPDX-License-Identifier: MIT
 */
#include <immintrin.h>

#include "kernels/slots.h"

/* Eight blocks from c0; lane i of word k goes to words[k][i], `stride` words from one k to the next. */
SONDE__INLINE void philox_eight(__m512i c0, uint64_t seed, uint32_t stream, uint64_t row, uint32_t *words, int stride)
{
    const __m512i m0 = _mm512_set1_epi64(SONDE__PHILOX_M0);
    const __m512i m1 = _mm512_set1_epi64(SONDE__PHILOX_M1);
    __m512i c1 = _mm512_set1_epi64(stream), c2 = _mm512_set1_epi64((uint32_t)row);
    __m512i c3 = _mm512_set1_epi64((int64_t)(row >> 32));
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
#pragma GCC unroll 10
    for (int round = 0; round < 10; round++) {
        __m512i p0 = _mm512_mul_epu32(m0, c0), p1 = _mm512_mul_epu32(m1, c2);
        c0 = _mm512_xor_si512(_mm512_xor_si512(_mm512_srli_epi64(p1, 32), c1), _mm512_set1_epi64(k0));
        c2 = _mm512_xor_si512(_mm512_xor_si512(_mm512_srli_epi64(p0, 32), c3), _mm512_set1_epi64(k1));
        c1 = p1;
        c3 = p0;
        k0 += SONDE__PHILOX_W0;
        k1 += SONDE__PHILOX_W1;
    }
    const __m512i all[4] = {c0, c1, c2, c3};
    for (int k = 0; k < 4; k++)
        _mm256_storeu_si256((__m256i *)(void *)(words + k * stride), _mm512_cvtepi64_epi32(all[k]));
}

SONDE__INLINE void philox_group(uint64_t seed, uint32_t stream, uint64_t row, uint32_t first, uint32_t words[4][16])
{
    __m512i lanes = _mm512_add_epi64(_mm512_set1_epi64(first), _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7));
    philox_eight(lanes, seed, stream, row, words[0], 16);
    philox_eight(_mm512_add_epi64(lanes, _mm512_set1_epi64(8)), seed, stream, row, words[0] + 8, 16);
}

#define NORMALS_WORDS philox_group
#include "kernels/normals.h"

typedef __m512 vector;

SONDE__INLINE vector multiply_add(vector x, float weight, vector sum)
{
    return _mm512_fmadd_ps(x, _mm512_set1_ps(weight), sum);
}

#include "kernels/combine.h"

const sonde__kernels sonde__avx512_paths = {.combine = combine, .normals = normals};
