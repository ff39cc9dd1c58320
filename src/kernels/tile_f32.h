/* tile_f32.h: the slots tile_f32 and nearest_f32 over registers of any width: a few rows at a time against panels of LANES
 * queries or centroids.
 *
 * A set defines `vector` (its register of floats), LANES, ROWS and PARTS (registers of a panel's step), vector_load(),
 * vector_store() and spread(x); tile_products(), which adds the products over k in [0, d) to the LANES values that every
 * row starts with; rows_next(left, stride), how many rows to take at once: ROWS, 6, 3, 2 or 1; and for the nearest lane
 * nearest_state (`best`, `second` and `number`, of each column of lanes) with nearest_keep() and nearest_finish().
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_TILE_F32_H
#define SONDE_SRC_TILE_F32_H

enum { NARROW = 16, PART = LANES / PARTS };

SONDE__INLINE void tile_rows(const float *panel, const uint8_t *row, int64_t stride, int rows, int64_t d,
                             const float *start, float *out)
{
    vector sum[ROWS][PARTS];
    tile_products(panel, row, stride, rows, d, start, sum);
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 4
        for (int p = 0; p < PARTS; p++) vector_store(out + r * LANES + p * PART, sum[r][p]);
    }
}

static void tile_some(const float *panel, const uint8_t *row, int64_t stride, int64_t rows, int64_t d,
                      const float *start, float *out)
{
    if (rows == ROWS) tile_rows(panel, row, stride, ROWS, d, start, out);
    else if (ROWS > 6 && rows == 6) tile_rows(panel, row, stride, 6, d, start, out);
    else if (rows == 3) tile_rows(panel, row, stride, 3, d, start, out);
    else if (rows == 2) tile_rows(panel, row, stride, 2, d, start, out);
    else tile_rows(panel, row, stride, 1, d, start, out);
}

static void tile_f32(const float *panel, const float *rows, int64_t stride, int64_t count, int64_t d, float *out)
{
    static const float zeros[LANES];
    for (int64_t i = 0, some; i < count; i += some) {
        some = rows_next(count - i, stride);
        tile_some(panel, (const uint8_t *)rows + i * stride, stride, some, d, zeros, out + i * LANES);
    }
}

/* ---- nearest lane --------------------------------------------------------------------------------------------- */

static void nearest_start(nearest_state *state, int64_t rows)
{
    memset(state, 0, (size_t)rows * sizeof *state);
    for (int64_t r = 0; r < rows; r++) state[r].best = state[r].second = spread(-INFINITY);
}

/* A full group of rows of few columns, for product quantizers: there are too few steps of k to hide the way of the
 * sums through memory, so they are compared while they are in registers. */
SONDE__INLINE void nearest_narrow(const float *panels, const float *bias, int64_t panel_count, const uint8_t *row,
                                  int64_t stride, int64_t d, nearest_state *state, bool runner_up)
{
    nearest_start(state, ROWS);
    for (int64_t first = 0; first < panel_count * LANES; first += LANES) {
        vector sum[ROWS][PARTS];
        tile_products(panels + first * d, row, stride, ROWS, d, bias + first, sum);
#pragma GCC unroll 12
        for (int r = 0; r < ROWS; r++) {
#pragma GCC unroll 4
            for (int p = 0; p < PARTS; p++) nearest_keep(&state[r], sum[r][p], first + p * PART, runner_up);
        }
    }
}

/* The general case: the sums of each panel go through memory, so that the loop over k has all registers. */
static void nearest_wide(const float *panels, const float *bias, int64_t panel_count, const uint8_t *row,
                         int64_t stride, int64_t rows, int64_t d, nearest_state *state)
{
    nearest_start(state, rows);
    for (int64_t first = 0; first < panel_count * LANES; first += LANES) {
        float sums[ROWS * LANES];
        tile_some(panels + first * d, row, stride, rows, d, bias + first, sums);
        for (int64_t r = 0; r < rows; r++) {
            for (int p = 0; p < PARTS; p++)
                nearest_keep(&state[r], vector_load(sums + r * LANES + p * PART), first + p * PART, true);
        }
    }
}

static void nearest_f32(const float *panels, const float *bias, int64_t panel_count, const float *rows, int64_t stride,
                        int64_t count, int64_t d, int32_t *best, float *score, float *second)
{
    for (int64_t i = 0, some; i < count; i += some) {
        const uint8_t *row = (const uint8_t *)rows + i * stride;
        nearest_state state[ROWS];
        some = rows_next(count - i, stride);
        if (d > NARROW || some < ROWS)
            nearest_wide(panels, bias, panel_count, row, stride, some, d, state);
        else if (second)
            nearest_narrow(panels, bias, panel_count, row, stride, d, state, true);
        else
            nearest_narrow(panels, bias, panel_count, row, stride, d, state, false);
        for (int64_t r = 0; r < some; r++)
            nearest_finish(&state[r], &best[i + r], &score[i + r], second ? &second[i + r] : NULL);
    }
}

#endif
