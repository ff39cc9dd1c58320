/* rng.c: random numbers that depend on (seed, stream, row) and nothing else.
 *
 * Philox4x32-10 turns a counter into four words by ten rounds of multiplying and mixing; there is no state to carry
 * along, so the draws for one row are the same whoever asks, in any order, in any batch.
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
 *
 *   key      seed low, seed high
 *   counter  block number, stream, row low, row high       a row has 2^34 words before its blocks repeat
 *
 * The normal deviate inverts the distribution function (Wichura, "Algorithm AS 241", Applied Statistics 37, 1988, the
 * routine PPND7: relative error about 1e-7). It takes exactly one u64, so the position in the stream is known.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "base/base.h"

void sonde__rng_start(sonde__rng *rng, uint64_t seed, uint32_t stream, uint64_t row)
{
    memset(rng, 0, sizeof *rng);
    rng->key[0] = (uint32_t)seed;
    rng->key[1] = (uint32_t)(seed >> 32);
    rng->counter[1] = stream;
    rng->counter[2] = (uint32_t)row;
    rng->counter[3] = (uint32_t)(row >> 32);
    rng->next = 4;
}

/* Fills rng->block from the counter. */
static void philox_block(sonde__rng *rng)
{
    uint32_t c[4] = {rng->counter[0], rng->counter[1], rng->counter[2], rng->counter[3]};
    sonde__philox(rng->key[0], rng->key[1], c);
    rng->block[0] = c[0];
    rng->block[1] = c[1];
    rng->block[2] = c[2];
    rng->block[3] = c[3];
}

uint32_t sonde__rng_u32(sonde__rng *rng)
{
    if (rng->next == 4) {
        philox_block(rng);
        rng->counter[0]++;
        rng->next = 0;
    }
    return rng->block[rng->next++];
}

uint64_t sonde__rng_u64(sonde__rng *rng)
{
    uint64_t low = sonde__rng_u32(rng);
    return low | (uint64_t)sonde__rng_u32(rng) << 32;
}

/* Small bounds scale 32 bits and reject the uneven rest (Lemire 2019); larger ones mask and reject. */
uint64_t sonde__rng_below(sonde__rng *rng, uint64_t bound)
{
    SONDE_ASSERT(bound >= 1);
    if (bound <= UINT32_MAX) {
        uint32_t uneven = (uint32_t)(-(uint32_t)bound) % (uint32_t)bound;
        uint64_t product = sonde__rng_u32(rng) * bound;
        while ((uint32_t)product < uneven) product = sonde__rng_u32(rng) * bound;
        return product >> 32;
    }
    uint64_t mask = UINT64_MAX >> __builtin_clzll(bound - 1), draw;
    do {
        draw = sonde__rng_u64(rng) & mask;
    } while (draw >= bound);
    return draw;
}

double sonde__rng_unit(sonde__rng *rng)
{
    return (double)(sonde__rng_u64(rng) >> 11) * 0x1p-53;
}

/* Rational approximations near the middle, by the distance q from it, and in the tails, by r = sqrt(-log(tail)). */
static double normal_middle(double q)
{
    double r = 0.180625 - q * q;
    double above = ((59.109374720 * r + 159.29113202) * r + 50.434271938) * r + 3.3871327179;
    double below = ((67.187563600 * r + 78.757757664) * r + 17.895169469) * r + 1.0;
    return q * above / below;
}

static double normal_tail(double r)
{
    if (r <= 5) {
        r -= 1.6;
        double above = ((0.17023821103 * r + 1.3067284816) * r + 2.7568153900) * r + 1.4234372777;
        return above / ((0.12021132975 * r + 0.73700164250) * r + 1.0);
    }
    r -= 5;
    double above = ((0.017337203997 * r + 0.42868294337) * r + 3.0812263860) * r + 6.6579051150;
    return above / ((0.012258202635 * r + 0.24197894225) * r + 1.0);
}

/* The top bit is the sign; 52 more choose the middle of one of 2^52 equal parts of the tail's (0, 1/2). All of it is
 * exact, so the two signs mirror each other and the tail is never 0. */
float sonde__rng_normal(sonde__rng *rng)
{
    uint64_t draw = sonde__rng_u64(rng);
    double tail = ((double)(draw << 1 >> 12) + 0.5) * 0x1p-53, q = 0.5 - tail;
    double size = q <= 0.425 ? normal_middle(q) : normal_tail(sqrt(-log(tail)));
    return (float)(draw >> 63 ? size : -size);
}
