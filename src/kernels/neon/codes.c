/* codes.c (neon): distances of 4-bit codes. The 16 entries of a table fill four registers, and one table instruction
 * picks any 16 of their 64 bytes: the entries of four codes. For that, 8 bytes of each of 8 codes are transposed,
 * after which byte b of all of them lies together: its low nibbles pick from table 2 b, its high nibbles from table
 * 2 b + 1. Each sum runs in order of j. 256-entry tables are served by generic.
 *
 * SPDX-License-Identifier: MIT
 */
#include <arm_neon.h>

#include "kernels/slots.h"

enum { TOGETHER = 8 };

/* The sums of codes 0-3 and 4-7. */
typedef struct eight_sums {
    float32x4_t low, high;
} eight_sums;

/* The bytes [begin, begin + 8) of a code, zeros behind its end. */
SONDE__INLINE uint8x8_t eight_bytes(const uint8_t *code, int64_t begin, int64_t bytes)
{
    uint8_t copy[8] = {0};
    if (begin + 8 <= bytes) return vld1_u8(code + begin);
    memcpy(copy, code + begin, (size_t)(bytes - begin));
    return vld1_u8(copy);
}

/* Byte b of code r goes to byte r of word b: three rounds that each interleave row r with row r + 4. */
SONDE__INLINE void transposed(const uint8_t *codes, int64_t stride, int64_t count, int64_t begin, int64_t bytes,
                              uint8_t columns[8 * TOGETHER])
{
    uint8x16_t x[4];
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++) {
        const uint8_t *low = codes + sonde__min_i64(r, count - 1) * stride;
        const uint8_t *high = codes + sonde__min_i64(r + 4, count - 1) * stride;
        uint8x8_t a = eight_bytes(low, begin, bytes), b = eight_bytes(high, begin, bytes);
        x[r] = vcombine_u8(vzip1_u8(a, b), vzip2_u8(a, b));
    }
    uint8x16_t even0 = vzip1q_u8(x[0], x[2]), even1 = vzip2q_u8(x[0], x[2]);
    uint8x16_t odd0 = vzip1q_u8(x[1], x[3]), odd1 = vzip2q_u8(x[1], x[3]);
    vst1q_u8(columns, vzip1q_u8(even0, odd0));
    vst1q_u8(columns + 16, vzip2q_u8(even0, odd0));
    vst1q_u8(columns + 32, vzip1q_u8(even1, odd1));
    vst1q_u8(columns + 48, vzip2q_u8(even1, odd1));
}

/* Adds the entries that four nibbles pick; each nibble stands in the four bytes of its lane. */
SONDE__INLINE float32x4_t add_entries(float32x4_t sum, uint8x16x4_t entries, uint8x16_t nibbles)
{
    static const uint8_t byte_of_entry[16] = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3};
    uint8x16_t picks = vsliq_n_u8(vld1q_u8(byte_of_entry), nibbles, 2);
    return vaddq_f32(sum, vreinterpretq_f32_u8(vqtbl4q_u8(entries, picks)));
}

/* Sums of up to 8 codes. */
SONDE__INLINE eight_sums block_sums(const float *table, const uint8_t *codes, int64_t stride, int64_t count, int64_t m)
{
    static const uint8_t spread[32] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3,
                                       4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7};
    const int64_t bytes = (m + 1) / 2;
    const uint8x16_t first = vld1q_u8(spread), last = vld1q_u8(spread + 16), nibble = vdupq_n_u8(15);
    eight_sums sum = {vdupq_n_f32(0), vdupq_n_f32(0)};
    for (int64_t begin = 0; begin < bytes; begin += 8) {
        uint8_t columns[8 * TOGETHER];
        transposed(codes, stride, count, begin, bytes, columns);
        for (int64_t b = 0; b < sonde__min_i64(8, bytes - begin); b++, table += 32) {
            uint8x16_t column = vcombine_u8(vld1_u8(columns + 8 * b), vdup_n_u8(0));
            uint8x16_t low = vqtbl1q_u8(column, first), high = vqtbl1q_u8(column, last);
            uint8x16x4_t entries = vld1q_u8_x4((const uint8_t *)table);
            sum.low = add_entries(sum.low, entries, vandq_u8(low, nibble));
            sum.high = add_entries(sum.high, entries, vandq_u8(high, nibble));
            if (2 * (begin + b) + 1 == m) break;
            entries = vld1q_u8_x4((const uint8_t *)(table + 16));
            sum.low = add_entries(sum.low, entries, vshrq_n_u8(low, 4));
            sum.high = add_entries(sum.high, entries, vshrq_n_u8(high, 4));
        }
    }
    return sum;
}

static void lookup_4(const float *table, const uint8_t *codes, int64_t stride, int64_t count, int64_t m, float *out)
{
    for (int64_t i = 0; i < count; i += TOGETHER) {
        const int64_t some = sonde__min_i64(TOGETHER, count - i);
        eight_sums sum = block_sums(table, codes + i * stride, stride, some, m);
        float sums[TOGETHER];
        vst1q_f32(sums, sum.low);
        vst1q_f32(sums + 4, sum.high);
        memcpy(out + i, sums, (size_t)some * sizeof *out);
    }
}

const sonde__kernels sonde__neon_codes = {
    .lookup_4 = lookup_4,
};
