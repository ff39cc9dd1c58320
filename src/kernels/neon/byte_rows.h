/* byte_rows.h (neon): the slots of integer.c, on four ways to add products that the including file defines before:
 *   add_unsigned, add_signed    products of bytes
 *   add_quantised               products of a query within -64..64 with signed bytes
 *   add_bits                    set bits
 * and SLOT_TARGET, the attribute that the slots need for them (or nothing).
 *
 * Distances take |a - b| as unsigned bytes first. Codes are read as signed bytes, code - 128; so 128 times the sum of
 * the query is added in the end. Sums are exact modulo 2^32, and the results of up to 65536 elements fit 32 bits
 * (unsigned for u8 products and distances). The last d % 16 bytes are loaded with those before them, which a mask takes
 * out again; vectors shorter than 16 are copied to where reading 16 is allowed.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_NEON_BYTE_ROWS_H
#define SONDE_SRC_NEON_BYTE_ROWS_H

typedef enum operation { IP_I8, IP_U8, IP_U8S8, L2_I8, L2_U8, HAMMING } operation;

/* The last `left` = d % 16 bytes, in the upper lanes (from d = 16 on) or the lower ones; zeros in the others. */
SONDE__INLINE uint8x16_t load_last(const uint8_t *row, int64_t d, int64_t left)
{
    static const uint64_t upper[4] = {0, 0, UINT64_MAX, UINT64_MAX};
    if (d >= 16) return vandq_u8(vld1q_u8(row + d - 16), vld1q_u8((const uint8_t *)upper + left));
    uint8_t copy[16] = {0};
    for (int64_t i = 0; i < d; i++) copy[i] = row[i];
    return vld1q_u8(copy);
}

SONDE__INLINE uint8x16_t distance_signed(uint8x16_t a, uint8x16_t b)
{
    return vreinterpretq_u8_s8(vabdq_s8(vreinterpretq_s8_u8(a), vreinterpretq_s8_u8(b)));
}

SONDE__INLINE uint32x4_t add_term(uint32x4_t sum, uint8x16_t query, uint8x16_t x, operation op)
{
    uint8x16_t distance = op == L2_I8 ? distance_signed(query, x) : vabdq_u8(query, x);
    switch (op) {
    case IP_I8: return add_signed(sum, query, x);
    case IP_U8: return add_unsigned(sum, query, x);
    case IP_U8S8: return add_quantised(sum, query, veorq_u8(x, vdupq_n_u8(0x80)));
    case HAMMING: return add_bits(sum, veorq_u8(query, x));
    default: return add_unsigned(sum, distance, distance);
    }
}

/* The terms of one row in 4 sums. */
SONDE__INLINE uint32x4_t row_sums(const uint8_t *query, const uint8_t *row, int64_t d, const sonde__walk *walk,
                                  operation op)
{
    const uint32x4_t zero = vdupq_n_u32(0);
    uint32x4_t sum[4] = {zero, zero, zero, zero};
    int64_t j = 0;
    for (; j + 64 <= d; j += 64) {
        sonde__walk_line(walk, row + j);
#pragma GCC unroll 4
        for (int b = 0; b < 4; b++)
            sum[b] = add_term(sum[b], vld1q_u8(query + j + 16 * b), vld1q_u8(row + j + 16 * b), op);
    }
    if (d % 64) sonde__walk_line(walk, row + j);
#pragma GCC unroll 3
    for (int b = 0; b < 3; b++, j += 16) {
        if (j + 16 > d) break;
        sum[b] = add_term(sum[b], vld1q_u8(query + j), vld1q_u8(row + j), op);
    }
    if (d % 16) sum[3] = add_term(sum[3], load_last(query, d, d % 16), load_last(row, d, d % 16), op);
    return vaddq_u32(vaddq_u32(sum[0], sum[1]), vaddq_u32(sum[2], sum[3]));
}

/* The 32-bit sums of the `some` <= 4 rows from row i on; zeros in the other lanes. */
SONDE__INLINE uint32x4_t block_sums(const uint8_t *query, const sonde__walk *walk, int64_t i, int64_t some, int64_t d,
                                    operation op)
{
    const uint32x4_t zero = vdupq_n_u32(0);
    uint32x4_t sum[SONDE__TOGETHER] = {zero, zero, zero, zero};
    for (int64_t r = 0; r < some; r++) sum[r] = row_sums(query, sonde__walk_row(walk, i + r), d, walk, op);
    return vpaddq_u32(vpaddq_u32(sum[0], sum[1]), vpaddq_u32(sum[2], sum[3]));
}

/* What code - 128 in place of the code takes from each product with this query. */
static int32_t shift_of_codes(const int8_t *query, int64_t d)
{
    int32_t sum = 0;
    for (int64_t j = 0; j < d; j++) sum += query[j];
    return 128 * sum;
}

SONDE__INLINE void sums_32(const void *query, const uint8_t *base, int64_t stride, int64_t count, int64_t d,
                           int32_t *out, operation op)
{
    const sonde__walk walk = sonde__walk_start((sonde__places){base, NULL, stride}, count, d);
    const uint32x4_t shift = vdupq_n_u32(op == IP_U8S8 ? (uint32_t)shift_of_codes(query, d) : 0);
    for (int64_t i = 0; i < count; i += SONDE__TOGETHER) {
        int64_t some = sonde__min_i64(SONDE__TOGETHER, count - i);
        uint32_t sums[SONDE__TOGETHER];
        vst1q_u32(sums, vaddq_u32(block_sums(query, &walk, i, some, d, op), shift));
        memcpy(out + i, sums, (size_t)some * sizeof *out);
    }
}

SONDE__INLINE void sums_64(const void *query, const uint8_t *base, int64_t stride, int64_t count, int64_t d,
                           int64_t *out, operation op)
{
    const sonde__walk walk = sonde__walk_start((sonde__places){base, NULL, stride}, count, d);
    for (int64_t i = 0; i < count; i += SONDE__TOGETHER) {
        int64_t some = sonde__min_i64(SONDE__TOGETHER, count - i);
        uint32_t sums[SONDE__TOGETHER];
        vst1q_u32(sums, block_sums(query, &walk, i, some, d, op));
        for (int64_t r = 0; r < some; r++) out[i + r] = op == IP_I8 ? (int64_t)(int32_t)sums[r] : (int64_t)sums[r];
    }
}

SLOT_TARGET static void ip_i8(const int8_t *query, const int8_t *rows, int64_t stride, int64_t count, int64_t d,
                              int64_t *out)
{
    sums_64(query, (const uint8_t *)rows, stride, count, d, out, IP_I8);
}

SLOT_TARGET static void ip_u8(const uint8_t *query, const uint8_t *rows, int64_t stride, int64_t count, int64_t d,
                              int64_t *out)
{
    sums_64(query, (const uint8_t *)rows, stride, count, d, out, IP_U8);
}

SLOT_TARGET static void l2_i8(const int8_t *query, const int8_t *rows, int64_t stride, int64_t count, int64_t d,
                              int64_t *out)
{
    sums_64(query, (const uint8_t *)rows, stride, count, d, out, L2_I8);
}

SLOT_TARGET static void l2_u8(const uint8_t *query, const uint8_t *rows, int64_t stride, int64_t count, int64_t d,
                              int64_t *out)
{
    sums_64(query, (const uint8_t *)rows, stride, count, d, out, L2_U8);
}

SLOT_TARGET static void ip_u8s8(const int8_t *query, const uint8_t *rows, int64_t stride, int64_t count, int64_t d,
                                int32_t *out)
{
    sums_32(query, (const uint8_t *)rows, stride, count, d, out, IP_U8S8);
}

SLOT_TARGET static void hamming(const uint8_t *query, const uint8_t *rows, int64_t stride, int64_t count, int64_t bytes,
                                int32_t *out)
{
    sums_32(query, rows, stride, count, bytes, out, HAMMING);
}

#endif
