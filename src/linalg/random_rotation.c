/* random_rotation.c: random rotations, dense and fast.
 *
 * Dense: the Q of a Gaussian matrix, with the signs of R's diagonal made positive, is uniform over all rotations and
 * reflections (Mezzadri, Notices AMS 54, 2007). 2 d^2 flop a vector.
 *
 * Fast, for d columns padded with zeros to D, a multiple of 64; t is the largest power of two <= d. Four rounds of
 *   - flipping signs by D random bits,
 *   - a Walsh-Hadamard transform of the first t entries (even rounds) or the last t (odd rounds), over sqrt(t),
 *   - Kac's step between the halves: (x, y) becomes (x + y, x - y) / sqrt(2). Not where t = D: nothing is to be joined.
 * Every part is orthogonal and, but for the signs, its own inverse, so the way back is the same in reverse. About
 * 4 D log2(D) flop a vector. Sources: Ailon, Chazelle 2009 (signs and Hadamard); Jain, Pillai, Smith 2020 (Kac's walk).
 *
 *   signs   round, entry: one bit each, 4 x D / 8 bytes; bit 1 flips. Files keep these bits, never only a seed.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "linalg/linalg.h"

enum { FHT_ROUNDS = 4, FHT_PADDING = 64, FHT_SMALL = 4096, STREAM_ROTATION = 0x6c01, STREAM_SIGNS = 0x6c02 };

sonde_status sonde__random_rotation(sonde_runtime *runtime, int64_t d, uint64_t seed, float *q)
{
    double *a = NULL, *r = NULL;
    sonde_status status = SONDE_NEW(runtime, a, d * d);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, r, d * d);
    if (status == SONDE_OK) {
        for (int64_t i = 0; i < d; i++) {
            sonde__rng rng;
            sonde__rng_start(&rng, seed, STREAM_ROTATION, (uint64_t)i);
            for (int64_t j = 0; j < d; j++) a[i * d + j] = (double)sonde__rng_normal(&rng);
        }
        status = sonde__qr(runtime, d, d, a, r);
    }
    for (int64_t i = 0; status == SONDE_OK && i < d * d; i++) q[i] = (float)a[i];
    sonde__free(runtime, r);
    sonde__free(runtime, a);
    return status;
}

int64_t sonde__fht_padded(int64_t d) { return (d + FHT_PADDING - 1) / FHT_PADDING * FHT_PADDING; }
int64_t sonde__fht_sign_bytes(int64_t d) { return FHT_ROUNDS * sonde__fht_padded(d) / 8; }

void sonde__fht_signs(int64_t d, uint64_t seed, uint8_t *signs)
{
    sonde__rng rng;
    sonde__rng_start(&rng, seed, STREAM_SIGNS, 0);
    for (int64_t i = 0; i < sonde__fht_sign_bytes(d); i++) signs[i] = (uint8_t)(sonde__rng_u32(&rng) >> 24);
}

static int64_t fht_power_within(int64_t d)
{
    int64_t t = 1;
    while (2 * t <= d) t *= 2;
    return t;
}

static void fht_hadamard(int64_t t, float *x)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    const float *terms[] = {x}, scale = 1 / sqrtf((float)t);
    kernels->fht(x, t);
    kernels->combine(terms, &scale, 1, t, x);
}

static void fht_flip_signs(const uint8_t *signs, int64_t padded, float *x)
{
    sonde__kernels_get()->flip_signs(x, signs, padded);
}

static void fht_kac_step(int64_t half, float *x) { sonde__kernels_get()->kac_step(x, half, 0.70710678f); }

/* Where round `round` transforms: the first t entries or the last t. */
static float *fht_part(float *x, int round, int64_t padded, int64_t t)
{
    return round % 2 ? x + padded - t : x;
}

void sonde__fht_rotate(int64_t d, const uint8_t *signs, const float *x, float *out)
{
    int64_t padded = sonde__fht_padded(d), t = fht_power_within(d);
    memcpy(out, x, (size_t)d * sizeof *out);
    memset(out + d, 0, (size_t)(padded - d) * sizeof *out);
    for (int round = 0; round < FHT_ROUNDS; round++) {
        fht_flip_signs(signs + round * padded / 8, padded, out);
        fht_hadamard(t, fht_part(out, round, padded, t));
        if (t < padded) fht_kac_step(padded / 2, out);
    }
}

static void fht_back(int64_t d, const uint8_t *signs, const float *x, float *work, float *out)
{
    int64_t padded = sonde__fht_padded(d), t = fht_power_within(d);
    memcpy(work, x, (size_t)padded * sizeof *work);
    for (int round = FHT_ROUNDS - 1; round >= 0; round--) {
        if (t < padded) fht_kac_step(padded / 2, work);
        fht_hadamard(t, fht_part(work, round, padded, t));
        fht_flip_signs(signs + round * padded / 8, padded, work);
    }
    memcpy(out, work, (size_t)d * sizeof *out);
}

/* A function of its own, so that only vectors of this size take this much stack. */
static void fht_back_large(int64_t d, const uint8_t *signs, const float *x, float *out)
{
    float work[SONDE__MAX_DIM];
    fht_back(d, signs, x, work, out);
}

void sonde__fht_rotate_back(int64_t d, const uint8_t *signs, const float *x, float *out)
{
    float work[FHT_SMALL];
    if (sonde__fht_padded(d) <= FHT_SMALL) fht_back(d, signs, x, work, out);
    else fht_back_large(d, signs, x, out);
}
