/* distance.c (generic): scores of one f32 query against many rows, in plain C; the reference for the other sets.
 *
 * Each row is summed in eight partial sums (element j goes to sum j % 8), which compilers can keep in vector registers
 * and which loses less precision than one running sum. A row's score does not depend on its place or on the count.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernels/slots.h"

enum { PARTIAL_SUMS = 8 };

SONDE__INLINE float element(const uint8_t *row, int64_t j, int kind)
{
    switch (kind) {
    case SONDE__ROW_F32: return sonde__load_f32(row + 4 * j);
    case SONDE__ROW_F16: return sonde__f16_to_f32(sonde__load_u16(row + 2 * j));
    case SONDE__ROW_BF16: return sonde__bf16_to_f32(sonde__load_u16(row + 2 * j));
    case SONDE__ROW_I8: return (float)(int8_t)row[j];
    default: return (float)row[j];
    }
}

SONDE__INLINE float term(float query, float x, bool l2) { return l2 ? (query - x) * (query - x) : query * x; }

SONDE__INLINE float row_score(const float *query, const uint8_t *row, int64_t d, int kind, bool l2)
{
    float sum[PARTIAL_SUMS] = {0};
    int64_t j = 0;
    for (; j + PARTIAL_SUMS <= d; j += PARTIAL_SUMS) {
        for (int lane = 0; lane < PARTIAL_SUMS; lane++)
            sum[lane] += term(query[j + lane], element(row, j + lane, kind), l2);
    }
    for (int lane = 0; j < d; j++, lane++) sum[lane] += term(query[j], element(row, j, kind), l2);
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

SONDE__INLINE void scores(const float *query, sonde__places rows, int64_t count, int64_t d, float *out, int kind,
                          bool l2)
{
    for (int64_t i = 0; i < count; i++) out[i] = row_score(query, sonde__row_at(&rows, i), d, kind, l2);
}

#include "kernels/row_slots.h"

const sonde__kernels sonde__generic_distance = {
    .ip_rows = {ip_rows_f32, ip_rows_f16, ip_rows_bf16, ip_rows_i8, ip_rows_u8},
    .l2_rows = {l2_rows_f32, l2_rows_f16, l2_rows_bf16, l2_rows_i8, l2_rows_u8},
    .ip_gather = {ip_gather_f32, ip_gather_f16, ip_gather_bf16, ip_gather_i8, ip_gather_u8},
    .l2_gather = {l2_gather_f32, l2_gather_f16, l2_gather_bf16, l2_gather_i8, l2_gather_u8},
};
