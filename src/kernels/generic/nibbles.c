/* nibbles.c (generic): the fast scan of 4-bit codes, entry by entry: what the other sets are held to, bit for
 * bit. Sums of entries are integers below 2^24, so as f32 they are exact, and the score is two fused products
 * wherever it is made. The idea of tables of small integers in registers: Andre, Kermarrec and Le Scouarnec,
 * "Cache locality is not enough", 2015, and "Quicker ADC", 2019.
 *
 * Cost: two additions a code byte, row and lane.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "kernels/slots.h"

enum { ENTRIES = 16, TWICE = 2 * ENTRIES, ROWS = SONDE__NIBBLE_ROWS };

/* ---- tables -------------------------------------------------------------------------------------------- */

/* The least of 16 entries and how far the largest lies above it; NaN is passed over. Without any number the
 * range is below 0, with infinite ones it is infinite or NaN. */
static float entry_range(const float *entries, float *least)
{
    float low = INFINITY, high = -INFINITY;
    for (int i = 0; i < ENTRIES; i++) {
        low = entries[i] < low ? entries[i] : low;
        high = entries[i] > high ? entries[i] : high;
    }
    *least = low;
    return high - low;
}

/* Steps of subnormal size are inexact: the bound keeps what was divided by them in a byte. NaN becomes 0. */
static uint8_t rounded_entry(float above, float step)
{
    float steps = above / step;
    if (!(steps > 0)) return 0;
    return (uint8_t)(steps < SONDE__NIBBLE_MOST ? nearbyintf(steps) : SONDE__NIBBLE_MOST);
}

/* A table with a number that lacks a finite range makes the base NaN, so that no row passes. */
static void nibble_round(const float *table, int64_t count, uint8_t *lut, float *step, float *base)
{
    float widest = 0, least, sum = 0;
    for (int64_t j = 0; j < count; j++) {
        float range = entry_range(table + j * ENTRIES, &least);
        widest = range > widest ? range : widest;
        sum += range >= 0 && range < INFINITY ? least : NAN;
    }
    *step = widest / SONDE__NIBBLE_MOST;
    *base = sum;
    for (int64_t j = 0; j < count; j++) {
        entry_range(table + j * ENTRIES, &least);
        for (int i = 0; i < TWICE; i++)
            lut[j * TWICE + i] = rounded_entry(table[j * ENTRIES + i % ENTRIES] - least, *step);
    }
    if (count % 2) memset(lut + count * TWICE, 0, TWICE);
}

/* ---- scan ---------------------------------------------------------------------------------------------- */

static void add_entries(const uint8_t *codes, int64_t pairs, const uint8_t *lut, uint32_t sums[ROWS])
{
    for (int64_t p = 0; p < pairs; p++, codes += ROWS, lut += 2 * TWICE) {
        for (int v = 0; v < ROWS; v++) sums[v] += (uint32_t)lut[codes[v] & 15] + lut[TWICE + (codes[v] >> 4)];
    }
}

/* The rows that pass; `scores` is written if there is one. */
static uint32_t passing_rows(const uint8_t *codes, int64_t pairs, const float *scale, const float *bias,
                             uint32_t allowed, const sonde__nibble_lane *lane, float *scores)
{
    uint32_t sums[ROWS] = {0}, mask = 0;
    float rows[ROWS];
    add_entries(codes, pairs, lane->lut, sums);
    for (int v = 0; v < ROWS; v++) {
        float sum = fmaf((float)sums[v], lane->step, lane->base);
        rows[v] = fmaf(sum, scale ? scale[v] : 1, bias ? bias[v] : 0);
        mask |= (uint32_t)(rows[v] > lane->threshold) << v;
    }
    mask &= allowed;
    if (mask) memcpy(scores, rows, sizeof rows);
    return mask;
}

static void nibble_scan(const uint8_t *blocks, int64_t block_count, int64_t pairs, const float *scale,
                        const float *bias, const uint32_t *allowed, const sonde__nibble_lane *lanes,
                        int64_t lane_count, float *scores, uint32_t *masks)
{
    for (int64_t b = 0; b < block_count; b++, scores += lane_count * ROWS, masks += lane_count) {
        uint32_t wanted = allowed ? allowed[b] : UINT32_MAX;
        for (int64_t lane = 0; lane < lane_count; lane++) {
            masks[lane] = wanted == 0
                              ? 0
                              : passing_rows(blocks + b * pairs * ROWS, pairs,
                                             scale ? scale + b * ROWS : NULL, bias ? bias + b * ROWS : NULL,
                                             wanted, lanes + lane, scores + lane * ROWS);
        }
    }
}

const sonde__kernels sonde__generic_nibbles = {.nibble_round = nibble_round, .nibble_scan = nibble_scan};
