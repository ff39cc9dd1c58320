/* fht.h: the fast Walsh-Hadamard transform over registers of any width, for the sets that have wide ones: the stages inside
 * registers come first, then two stages a pass over memory (radix 4).
 *
 * A set defines `vector` (its register of floats) and `stages_inside` (the stages of up to n elements of one register),
 * includes this, and names fht in its table. The functions are static: each set has its own, made with its own flags.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_FHT_H
#define SONDE_SRC_FHT_H

enum { WIDTH = sizeof(vector) / sizeof(float) };

SONDE__INLINE vector vector_load(const float *x)
{
    vector v;
    memcpy(&v, x, sizeof v);
    return v;
}

SONDE__INLINE void vector_store(float *x, vector v) { memcpy(x, &v, sizeof v); }

/* Two stages at once on registers `half` elements apart; the stages inside each go first where `inside` asks. */
SONDE__INLINE void radix_4(float *x, int64_t half, bool inside)
{
    vector v[4];
#pragma GCC unroll 4
    for (int b = 0; b < 4; b++) {
        v[b] = vector_load(x + b * half);
        if (inside) v[b] = stages_inside(v[b], WIDTH);
    }
    vector sum01 = v[0] + v[1], difference01 = v[0] - v[1];
    vector sum23 = v[2] + v[3], difference23 = v[2] - v[3];
    vector_store(x, sum01 + sum23);
    vector_store(x + half, difference01 + difference23);
    vector_store(x + 2 * half, sum01 - sum23);
    vector_store(x + 3 * half, difference01 - difference23);
}

/* The last stage of two registers. */
SONDE__INLINE void radix_2(float *x, int64_t half)
{
    vector low = vector_load(x), high = vector_load(x + half);
    vector_store(x, low + high);
    vector_store(x + half, low - high);
}

/* Up to two registers. */
static void fht_short(float *x, int64_t n)
{
    float block[2 * WIDTH] = {0};
    memcpy(block, x, (size_t)n * sizeof *x);
    vector_store(block, stages_inside(vector_load(block), n));
    if (n > WIDTH) {
        vector_store(block + WIDTH, stages_inside(vector_load(block + WIDTH), WIDTH));
        radix_2(block, WIDTH);
    }
    memcpy(x, block, (size_t)n * sizeof *x);
}

static void fht(float *x, int64_t n)
{
    if (n < 4 * WIDTH) {
        fht_short(x, n);
        return;
    }
    for (int64_t i = 0; i < n; i += 4 * WIDTH) radix_4(x + i, WIDTH, true);
    int64_t half = 4 * WIDTH;
    for (; 4 * half <= n; half *= 4) {
        for (int64_t begin = 0; begin < n; begin += 4 * half) {
            for (int64_t i = 0; i < half; i += WIDTH) radix_4(x + begin + i, half, false);
        }
    }
    if (half == n) return;
    for (int64_t i = 0; i < half; i += WIDTH) radix_2(x + i, half); /* one stage is left: half = n / 2 */
}

#endif
