/* chains.h: sums of rows that codes pick from tables, over registers of any width: what encoding by beam adds up for
 * each partial sum that it follows.
 *
 * A set defines `vector`, its register of floats, includes this and names chain_sums in its table. CHAIN_PARTS
 * registers side by side share the look-ups of a code; each number is one running sum in the order of the tables, so
 * results are the same on all sets. The limit is the cache that the tables lie in.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_CHAINS_H
#define SONDE_SRC_CHAINS_H

#include "kernels/slots.h"

enum { CHAIN_WIDTH = sizeof(vector) / sizeof(float), CHAIN_PARTS = 8 };

/* `parts` whole registers, or one of which `count` numbers are there. */
SONDE__INLINE void chain_some(const float *first, const float *tables, const uint16_t *code, int64_t length, int64_t k,
                              float base, int parts, size_t bytes, float *out)
{
    vector sum[CHAIN_PARTS] = {{0}};
#pragma GCC unroll 8
    for (int p = 0; p < parts; p++) memcpy(&sum[p], first + p * CHAIN_WIDTH, bytes);
    for (int64_t j = 0; j < length; j++, tables += k * k) {
        const float *row = tables + code[j] * k;
#pragma GCC unroll 8
        for (int p = 0; p < parts; p++) {
            vector term = {0};
            memcpy(&term, row + p * CHAIN_WIDTH, bytes);
            sum[p] += term;
        }
    }
#pragma GCC unroll 8
    for (int p = 0; p < parts; p++) {
        sum[p] += base;
        memcpy(out + p * CHAIN_WIDTH, &sum[p], bytes);
    }
}

static void chain_sums(const float *first, const float *tables, const uint16_t *codes, int64_t stride, int64_t count,
                       int64_t length, int64_t k, const float *base, float *out)
{
    for (int64_t i = 0; i < count; i++, codes += stride, out += k) {
        int64_t c = 0;
        for (; c + CHAIN_PARTS * CHAIN_WIDTH <= k; c += CHAIN_PARTS * CHAIN_WIDTH)
            chain_some(first + c, tables + c, codes, length, k, base[i], CHAIN_PARTS, sizeof(vector), out + c);
        for (; c + CHAIN_WIDTH <= k; c += CHAIN_WIDTH)
            chain_some(first + c, tables + c, codes, length, k, base[i], 1, sizeof(vector), out + c);
        if (c < k)
            chain_some(first + c, tables + c, codes, length, k, base[i], 1, (size_t)(k - c) * sizeof *out, out + c);
    }
}

#endif
