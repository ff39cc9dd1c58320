/* select.c (generic): positions of the values that pass a threshold. Branch-free: the position is always written and
 * the end moves on only if the value passed, so the cost does not depend on how many do. NaN never passes.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "kernels/slots.h"
#include "kernels/kth.h"

static int64_t above(const float *values, int64_t count, float threshold, int32_t *positions)
{
    int64_t found = 0;
    for (int64_t i = 0; i < count; i++) {
        positions[found] = (int32_t)i; /* found <= i, so this stays inside even where nothing more passes */
        found += values[i] > threshold;
    }
    return found;
}

static int64_t below_i32(const int32_t *values, int64_t count, int32_t threshold, int32_t *positions)
{
    int64_t found = 0;
    for (int64_t i = 0; i < count; i++) {
        positions[found] = (int32_t)i;
        found += values[i] < threshold;
    }
    return found;
}

/* Eight columns at a time stay in registers from row to row. */
static void best_rows(const float *tile, int64_t count, int64_t lanes, const float *bias, int32_t *best)
{
    enum { TOGETHER = 8 };
    for (int64_t lane = 0; lane < lanes; lane += TOGETHER) {
        float most[TOGETHER];
        int32_t number[TOGETHER] = {0};
        for (int i = 0; i < TOGETHER; i++) most[i] = -INFINITY;
        for (int64_t row = 0; row < count; row++)
            for (int i = 0; i < TOGETHER; i++) {
                float score = tile[row * lanes + lane + i] + bias[row];
                number[i] = score > most[i] ? (int32_t)row : number[i];
                most[i] = score > most[i] ? score : most[i];
            }
        memcpy(best + lane, number, sizeof number);
    }
}

const sonde__kernels sonde__generic_select = {
    .best_rows = best_rows,
    .kth_largest = kth_largest,
    .above = above,
    .below_i32 = below_i32,
};
