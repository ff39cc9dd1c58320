/* byte_tiles.h (neon): the slot tile_u8s8, on add_fours and SLOT_TARGET that the including file defines before:
 * add_fours(sum, query, x, group) adds to each lane of the sum the four products of its four elements of the query
 * with group 0, 1, 2 or 3 of the four elements of x; SLOT_TARGET is the attribute that the slot needs for it (or
 * nothing). LANES, PARTS and ROWS are the sizes of the tile.
 *
 * The loops are those of tile.c with four elements in place of one. Codes are read as signed bytes, code - 128; so
 * the sums of a lane start with 128 times the sum of its query.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_NEON_BYTE_TILES_H
#define SONDE_SRC_NEON_BYTE_TILES_H

/* 128 times the sum of each lane's query. */
static void tile8_start(const int8_t *panel, int64_t d, int32_t start[LANES])
{
    int32x4_t sum[PARTS] = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)};
    for (int64_t k = 0; k < d; k += 4, panel += 4 * LANES) {
#pragma GCC unroll 4
        for (int q = 0; q < PARTS; q++) {
            int16x8_t pairs = vpaddlq_s8(vld1q_s8(panel + 16 * q));
            sum[q] = vaddq_s32(sum[q], vpaddlq_s16(pairs));
        }
    }
    for (int q = 0; q < PARTS; q++) vst1q_s32(start + 4 * q, vshlq_n_s32(sum[q], 7));
}

/* The first `count` <= 16 elements as signed bytes; behind them anything, as the panel has zeros there. */
SONDE__INLINE int8x16_t load_codes(const uint8_t *row, int64_t count)
{
    uint8_t copy[16] = {0};
    if (count < 16) memcpy(copy, row, (size_t)count);
    return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(count < 16 ? copy : row), vdupq_n_u8(0x80)));
}

/* The products of the next `count` <= 16 elements of all rows. */
SONDE__INLINE void tile8_step(const int8_t *panel, const uint8_t *row, int64_t stride, int rows, int64_t count,
                              int32x4_t sum[][PARTS])
{
    int8x16_t x[ROWS];
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) x[r] = load_codes(row + r * stride, count);
#pragma GCC unroll 4
    for (int group = 0; group < 4; group++) {
        if (4 * group >= count) break;
#pragma GCC unroll 4
        for (int q = 0; q < PARTS; q++) {
            int8x16_t query = vld1q_s8(panel + (group * PARTS + q) * 16);
            __asm__ volatile("" ::: "memory"); /* GCC 12 would load the whole panel first, and spill the sums */
#pragma GCC unroll 4
            for (int r = 0; r < rows; r++) sum[r][q] = add_fours(sum[r][q], query, x[r], group);
        }
    }
}

SONDE__INLINE void tile8_rows(const int8_t *panel, const uint8_t *row, int64_t stride, int rows, int64_t d,
                              const int32_t *start, int32_t *out)
{
    int32x4_t sum[ROWS][PARTS];
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 4
        for (int q = 0; q < PARTS; q++) sum[r][q] = vld1q_s32(start + 4 * q);
    }
    int64_t k = 0;
    for (; k + 16 <= d; k += 16) tile8_step(panel + k * LANES, row + k, stride, rows, 16, sum);
    if (k < d) tile8_step(panel + k * LANES, row + k, stride, rows, d - k, sum);
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 4
        for (int q = 0; q < PARTS; q++) vst1q_s32(out + r * LANES + 4 * q, sum[r][q]);
    }
}

SLOT_TARGET static void tile_u8s8(const int8_t *panel, const uint8_t *rows, int64_t stride, int64_t count, int64_t d,
                                  int32_t *out)
{
    int32_t start[LANES];
    int64_t i = 0;
    tile8_start(panel, d, start);
    for (; i + ROWS <= count; i += ROWS)
        tile8_rows(panel, rows + i * stride, stride, ROWS, d, start, out + i * LANES);
    for (; i < count; i++) tile8_rows(panel, rows + i * stride, stride, 1, d, start, out + i * LANES);
}

#endif
