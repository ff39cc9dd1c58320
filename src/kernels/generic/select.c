/* select.c (generic): positions of the values that pass a threshold. Branch-free: the position is always written and
 * the end moves on only if the value passed, so the cost does not depend on how many do. NaN never passes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernels/slots.h"

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

const sonde__kernels sonde__generic_select = {
    .above = above,
    .below_i32 = below_i32,
};
