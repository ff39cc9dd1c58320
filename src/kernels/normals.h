/* normals.h: standard normals by counter, many at a time; for the kernels of every instruction set.
 *
 * Philox 4x32-10 (Salmon et al. 2011) makes four words of a block's number; two words make two normals (Box and
 * Muller 1958):
 *
 *   u = (w0 | 1) / 2^32 rounded to f32, in (0, 1]       r = sqrt(-2 log u)
 *   s = w1 / 2^31 rounded to f32, in [-1, 1]            z = r cos(pi s), r sin(pi s)
 *
 * Both roundings are the same on all sets, and what follows is free of branches and of tables, so plain loops over a
 * group of 16 blocks become vector code of any width. A group makes 64 values in four planes, so that nothing is
 * interleaved:
 *
 *   place p of the row: group p / 64, plane p % 64 / 16 (cosine and sine of words 0 and 1, then of words 2 and 3),
 * block 16 (p / 64) + p % 16
 *
 * Any part of a row can be made alone. The relative error of log, sin
 * and cos is about 1e-7.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_NORMALS_H
#define SONDE_SRC_NORMALS_H

#include <math.h>

#include "kernels/slots.h"

enum { NORMALS_BLOCKS = 16, NORMALS_VALUES = 4 * NORMALS_BLOCKS };

/* Words of blocks first .. first + NORMALS_BLOCKS - 1: word k of block i at words[k][i]. A set that makes them faster
 * than its compiler does defines NORMALS_WORDS to the name of its own. */
#ifndef NORMALS_WORDS
#define NORMALS_WORDS normals_words
SONDE__INLINE void normals_words(uint64_t seed, uint32_t stream, uint64_t row, uint32_t first,
                                 uint32_t words[4][NORMALS_BLOCKS])
{
    for (int i = 0; i < NORMALS_BLOCKS; i++) {
        uint32_t c[4] = {first + (uint32_t)i, stream, (uint32_t)row, (uint32_t)(row >> 32)};
        sonde__philox((uint32_t)seed, (uint32_t)(seed >> 32), c);
        for (int k = 0; k < 4; k++) words[k][i] = c[k];
    }
}
#endif

/* The upper and lower halves apart, because signed conversions are what every set has; their sum is rounded once. */
SONDE__INLINE float normals_unit(uint32_t word)
{
    uint32_t odd = word | 1;
    return ((float)(int32_t)(odd >> 16) * 65536.0f + (float)(int32_t)(odd & 0xffff)) * 0x1p-32f;
}

/* sqrt(-2 log u): u = m 2^e with m in [0.75, 1.5), log m = t - t^2/2 + t^3 p(t) with t = m - 1. */
SONDE__INLINE float normals_radius(float u)
{
    int32_t bits, e;
    float m, t, p;
    memcpy(&bits, &u, sizeof bits);
    e = (bits - 0x3f400000) >> 23;
    bits -= e * (1 << 23);
    memcpy(&m, &bits, sizeof m);
    t = m - 1;
    p = 0.055597052f;
    p = p * t - 0.121141195f;
    p = p * t + 0.14904441f;
    p = p * t - 0.1678882f;
    p = p * t + 0.1998232f;
    p = p * t - 0.24996361f;
    p = p * t + 0.3333347f;
    float log_m = t + t * t * (p * t - 0.5f);
    float square = -2 * ((float)e * 0.6931472f + log_m);
    return sqrtf(square > 0 ? square : 0);
}

SONDE__INLINE float normals_signed(float value, int32_t negative)
{
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits ^= (int32_t)((uint32_t)negative << 31);
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* cos and sin of pi s, times r: s = f + q / 2 with |f| <= 1/4, polynomials in f^2, then quarter turns. */
SONDE__INLINE void normals_turn(float s, float r, float *cosine, float *sine)
{
    float magic = 12582912.0f, q = (s * 2 + magic) - magic, f = s - 0.5f * q, y = f * f;
    float sn = f * (3.14159265f + y * (-5.1677094f + y * (2.5498106f + y * -0.5894796f)));
    float cs = 1 + y * (-4.934802f + y * (4.0587077f + y * (-1.3350585f + y * 0.23142955f)));
    int32_t turns = (int32_t)q, odd = turns & 1;
    *cosine = r * normals_signed(odd ? sn : cs, (turns + 1) >> 1 & 1);
    *sine = r * normals_signed(odd ? cs : sn, turns >> 1 & 1);
}

/* The group's values, planes one after the other. */
SONDE__INLINE void normals_group(uint64_t seed, uint32_t stream, uint64_t row, int64_t group, float *out)
{
    uint32_t words[4][NORMALS_BLOCKS];
    NORMALS_WORDS(seed, stream, row, (uint32_t)group * NORMALS_BLOCKS, words);
    for (int half = 0; half < 4; half += 2) {
        float *cosines = out + half * NORMALS_BLOCKS, *sines = cosines + NORMALS_BLOCKS;
        for (int i = 0; i < NORMALS_BLOCKS; i++)
            normals_turn((float)(int32_t)words[half + 1][i] * 0x1p-31f, normals_radius(normals_unit(words[half][i])),
                         &cosines[i], &sines[i]);
    }
}

/* The slot `normals`: whole groups where they fit, by way of a buffer at the ends. */
static void normals(uint64_t seed, uint32_t stream, uint64_t row, int64_t first, int64_t count, float *out)
{
    float made[NORMALS_VALUES];
    for (int64_t done = 0; done < count;) {
        int64_t place = first + done, skip = place % NORMALS_VALUES, rest = count - done;
        int64_t got = rest < NORMALS_VALUES - skip ? rest : NORMALS_VALUES - skip;
        float *to = got == NORMALS_VALUES ? out + done : made; /* one call: fused products are the same for both */
        normals_group(seed, stream, row, place / NORMALS_VALUES, to);
        if (to == made) memcpy(out + done, made + skip, (size_t)got * sizeof *out);
        done += got;
    }
}

#endif
