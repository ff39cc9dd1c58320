/* nibbles.c (neon): the fast scan of 4-bit codes. The 16 entries of a number fill a register, and one
 * instruction looks up 16 rows. Entries are at most 63, so the lookups of two code bytes (four numbers) are
 * added as bytes before they are widened into 16-bit sums. All lanes of a pass share the loads and the
 * splitting of the codes; the sums of four stay in 16 of the 32 registers. Andre, Kermarrec and Le Scouarnec,
 * "Quicker ADC", 2019, widen after every lookup.
 *
 * Cost: 13 operations a lane for 64 lookups, 10 with four lanes.
 *
 * SPDX-License-Identifier: MIT
 */
#include <arm_neon.h>

#include "kernels/slots.h"

/* Pairs whose sums of four lookups fit 16 bits: FLUSH / 2 x 4 x 63 < 65536. */
enum {
    ENTRIES = 16,
    TWICE = 2 * ENTRIES,
    ROWS = SONDE__NIBBLE_ROWS,
    FLUSH = 512,
    LANES = SONDE__NIBBLE_LANES
};

typedef struct word_sums {
    uint16x8_t rows[4];
} word_sums;

/* What a block's rows are judged by; scale and bias hold its 32 rows. */
typedef struct block_rows {
    const uint8_t *codes;
    const float *scale, *bias;
    uint32_t allowed;
    int64_t ahead; /* bytes: where to fetch from meanwhile */
} block_rows;

/* ---- tables -------------------------------------------------------------------------------------------- */

/* The least of 16 entries and how far the largest lies above it; the minimum of a number and NaN is the
 * number. */
SONDE__INLINE float entry_range(const float *entries, float *least)
{
    float32x4_t low = vdupq_n_f32(__builtin_inff()), high = vnegq_f32(low);
    for (int i = 0; i < ENTRIES; i += 4) {
        low = vminnmq_f32(low, vld1q_f32(entries + i));
        high = vmaxnmq_f32(high, vld1q_f32(entries + i));
    }
    *least = vminvq_f32(low);
    return vmaxvq_f32(high) - *least;
}

/* Four entries, at most 63; NaN becomes 0. */
SONDE__INLINE uint16x4_t rounded_entries(const float *entries, float least, float step)
{
    float32x4_t steps = vdivq_f32(vsubq_f32(vld1q_f32(entries), vdupq_n_f32(least)), vdupq_n_f32(step));
    steps = vminq_f32(vmaxnmq_f32(steps, vdupq_n_f32(0)), vdupq_n_f32(SONDE__NIBBLE_MOST));
    return vmovn_u32(vcvtnq_u32_f32(steps));
}

SONDE__INLINE void store_entries(const float *entries, float least, float step, uint8_t *lut)
{
    for (int i = 0; i < ENTRIES; i += 8) {
        uint16x4_t low = rounded_entries(entries + i, least, step);
        uint16x4_t high = rounded_entries(entries + i + 4, least, step);
        uint8x8_t bytes = vmovn_u16(vcombine_u16(low, high));
        vst1_u8(lut + i, bytes);
        vst1_u8(lut + ENTRIES + i, bytes);
    }
}

static void nibble_round(const float *table, int64_t count, uint8_t *lut, float *step, float *base)
{
    float widest = 0, least, sum = 0;
    for (int64_t j = 0; j < count; j++) {
        float range = entry_range(table + j * ENTRIES, &least);
        widest = range > widest ? range : widest;
        sum += range >= 0 && range < __builtin_inff() ? least : __builtin_nanf("");
    }
    *step = widest / SONDE__NIBBLE_MOST;
    *base = sum;
    for (int64_t j = 0; j < count; j++) {
        entry_range(table + j * ENTRIES, &least);
        store_entries(table + j * ENTRIES, least, *step, lut + j * TWICE);
    }
    if (count % 2) memset(lut + count * TWICE, 0, TWICE);
}

/* ---- sums ---------------------------------------------------------------------------------------------- */

/* Adds the entries of `bytes` (1 or 2) code bytes of 16 rows to two registers of sums. */
SONDE__INLINE void add_bytes(const uint8_t *codes, const int bytes, const uint8_t *const *luts, int64_t at,
                             const int lane_count, const int half, word_sums *sums)
{
    uint8x16_t numbers[4];
    for (int i = 0; i < bytes; i++) {
        uint8x16_t x = vld1q_u8(codes + i * ROWS + half * 16);
        numbers[2 * i] = vandq_u8(x, vdupq_n_u8(15));
        numbers[2 * i + 1] = vshrq_n_u8(x, 4);
    }
    for (int lane = 0; lane < lane_count; lane++) {
        const uint8_t *lut = luts[lane] + at;
        uint8x16_t sum = vqtbl1q_u8(vld1q_u8(lut), numbers[0]);
        for (int i = 1; i < 2 * bytes; i++)
            sum = vaddq_u8(sum, vqtbl1q_u8(vld1q_u8(lut + i * TWICE), numbers[i]));
        uint16x8_t *rows = sums[lane].rows + 2 * half;
        rows[0] = vaddw_u8(rows[0], vget_low_u8(sum));
        rows[1] = vaddw_high_u8(rows[1], sum);
    }
}

/* Sums of the code bytes [begin, end) of 32 rows. */
SONDE__INLINE void sum_bytes(const uint8_t *codes, int64_t begin, int64_t end, int64_t ahead,
                             const sonde__nibble_lane *lanes, const int lane_count, word_sums *sums)
{
    const uint8_t *luts[LANES];
    int64_t p = begin;
    for (int lane = 0; lane < lane_count; lane++) {
        luts[lane] = lanes[lane].lut;
        for (int i = 0; i < 4; i++) sums[lane].rows[i] = vdupq_n_u16(0);
    }
    for (; p + 2 <= end; p += 2) {
        __builtin_prefetch(codes + p * ROWS + ahead, 0, 3);
        add_bytes(codes + p * ROWS, 2, luts, p * 2 * TWICE, lane_count, 0, sums);
        add_bytes(codes + p * ROWS, 2, luts, p * 2 * TWICE, lane_count, 1, sums);
    }
    if (p == end) return;
    add_bytes(codes + p * ROWS, 1, luts, p * 2 * TWICE, lane_count, 0, sums);
    add_bytes(codes + p * ROWS, 1, luts, p * 2 * TWICE, lane_count, 1, sums);
}

/* Adds 32 rows' 16-bit sums, which are exact in f32. */
SONDE__INLINE void add_rows(const word_sums *words, float32x4_t sums[8])
{
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        uint16x8_t rows = words->rows[i];
        sums[2 * i] = vaddq_f32(sums[2 * i], vcvtq_f32_u32(vmovl_u16(vget_low_u16(rows))));
        sums[2 * i + 1] = vaddq_f32(sums[2 * i + 1], vcvtq_f32_u32(vmovl_high_u16(rows)));
    }
}

/* ---- scores -------------------------------------------------------------------------------------------- */

/* The rows that pass; `scores` is written if there is one. */
SONDE__INLINE uint32_t passing_rows(const float32x4_t sums[8], const block_rows *rows,
                                    const sonde__nibble_lane *lane, float *scores)
{
    static const uint32_t place[4] = {1, 2, 4, 8};
    const float32x4_t step = vdupq_n_f32(lane->step), base = vdupq_n_f32(lane->base);
    const float32x4_t threshold = vdupq_n_f32(lane->threshold);
    float32x4_t score[8];
    uint32x4_t pass[8], any = vdupq_n_u32(0);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        float32x4_t sum = vfmaq_f32(base, sums[i], step);
        score[i] = vfmaq_f32(vld1q_f32(rows->bias + 4 * i), sum, vld1q_f32(rows->scale + 4 * i));
        pass[i] = vcgtq_f32(score[i], threshold);
        any = vorrq_u32(any, pass[i]);
    }
    if (!vmaxvq_u32(any)) return 0;
    uint32_t mask = 0;
    for (int i = 0; i < 8; i++) mask |= vaddvq_u32(vandq_u32(pass[i], vld1q_u32(place))) << (4 * i);
    mask &= rows->allowed;
    for (int i = 0; i < 8 && mask; i++) vst1q_f32(scores + 4 * i, score[i]);
    return mask;
}

SONDE__INLINE void scan_block(const block_rows *rows, int64_t pairs, const sonde__nibble_lane *lanes,
                              const int lane_count, float *scores, uint32_t *masks)
{
    float32x4_t sums[LANES][8];
    word_sums words[LANES];
    for (int lane = 0; lane < lane_count; lane++)
        for (int i = 0; i < 8; i++) sums[lane][i] = vdupq_n_f32(0);
    for (int64_t begin = 0; begin < pairs; begin += FLUSH) {
        sum_bytes(rows->codes, begin, sonde__min_i64(begin + FLUSH, pairs), rows->ahead, lanes, lane_count, words);
        for (int lane = 0; lane < lane_count; lane++) add_rows(words + lane, sums[lane]);
    }
    for (int lane = 0; lane < lane_count; lane++)
        masks[lane] = passing_rows(sums[lane], rows, lanes + lane, scores + lane * ROWS);
}

static void nibble_scan(const uint8_t *blocks, int64_t block_count, int64_t pairs, const float *scale,
                        const float *bias, const uint32_t *allowed, const sonde__nibble_lane *lanes,
                        int64_t lane_count, float *scores, uint32_t *masks)
{
    float ones[ROWS], zeros[ROWS] = {0};
    for (int v = 0; v < ROWS; v++) ones[v] = 1;
    for (int64_t b = 0; b < block_count; b++, scores += lane_count * ROWS, masks += lane_count) {
        const block_rows rows = {blocks + b * pairs * ROWS, scale ? scale + b * ROWS : ones,
                                 bias ? bias + b * ROWS : zeros, allowed ? allowed[b] : UINT32_MAX,
                                 sonde__ahead_of_block(block_count - b, pairs * ROWS)};
        memset(masks, 0, (size_t)lane_count * sizeof *masks);
        if (!rows.allowed) continue;
        switch (lane_count) {
        case 1: scan_block(&rows, pairs, lanes, 1, scores, masks); break;
        case 2: scan_block(&rows, pairs, lanes, 2, scores, masks); break;
        case 3: scan_block(&rows, pairs, lanes, 3, scores, masks); break;
        default: scan_block(&rows, pairs, lanes, 4, scores, masks); break;
        }
    }
}

const sonde__kernels sonde__neon_nibbles = {.nibble_round = nibble_round, .nibble_scan = nibble_scan};
