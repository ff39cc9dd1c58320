/* tile_products.h: the inner loop of tiles on machines that multiply a register by a value spread from memory: products of
 * up to ROWS rows with a panel of LANES queries, LANES being two registers.
 *
 * A step of k is 2 x ROWS fused multiply-adds for ROWS + 2 loads, so the multipliers are the limit as long as the rows are
 * in L1 and the panel in L2. Each (row, lane) is one running sum in order of k, so equal rows get equal scores wherever
 * they stand.
 *
 * A set defines `vector` (its register of floats), LANES, ROWS (a multiple of 3), vector_load(), spread(x) and
 * accumulate(&sum, x, y), and includes this for tile_f32.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_TILE_PRODUCTS_H
#define SONDE_SRC_TILE_PRODUCTS_H

enum { PARTS = LANES * sizeof(float) / sizeof(vector) };

/* Rows in groups of three around one address each, so that base, index and scale of a load reach all of them. */
typedef struct row_group {
    const uint8_t *base[ROWS / 3];
    int64_t stride;
} row_group;

/* One step of k for all rows. */
SONDE__INLINE void tile_step(const float *panel, const row_group *group, int rows, int64_t k, vector sum[][PARTS])
{
    vector low = vector_load(panel + k * LANES), high = vector_load(panel + k * LANES + LANES / 2);
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
        vector x = spread(sonde__load_f32(group->base[r / 3] + r % 3 * group->stride + 4 * k));
        accumulate(&sum[r][0], x, low);
        accumulate(&sum[r][1], x, high);
    }
}

SONDE__INLINE void tile_products(const float *panel, const uint8_t *row, int64_t stride, int rows, int64_t d,
                                 const float *start, vector sum[][PARTS])
{
    row_group group = {.stride = stride};
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
        sum[r][0] = vector_load(start);
        sum[r][1] = vector_load(start + LANES / 2);
    }
#pragma GCC unroll 4
    for (int g = 0; 3 * g < rows; g++) group.base[g] = row + 3 * g * stride;
    int64_t k = 0;
    for (; k + 4 <= d; k += 4) {
        tile_step(panel, &group, rows, 0, sum);
        tile_step(panel, &group, rows, 1, sum);
        tile_step(panel, &group, rows, 2, sum);
        tile_step(panel, &group, rows, 3, sum);
        panel += 4 * LANES;
#pragma GCC unroll 4
        for (int g = 0; 3 * g < rows; g++) group.base[g] += 16;
    }
    for (; k < d; k++) {
        tile_step(panel, &group, rows, 0, sum);
        panel += LANES;
#pragma GCC unroll 4
        for (int g = 0; 3 * g < rows; g++) group.base[g] += 4;
    }
}

#endif
