/* integer.c (generic): exact products and distances of 8-bit vectors, and Hamming distances.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernels/slots.h"

static void ip_i8(const int8_t *query, const int8_t *rows, int64_t stride, int64_t count, int64_t d, int64_t *out)
{
    for (int64_t i = 0; i < count; i++) {
        const int8_t *row = rows + i * stride;
        int64_t sum = 0;
        for (int64_t j = 0; j < d; j++) sum += query[j] * row[j];
        out[i] = sum;
    }
}

static void ip_u8(const uint8_t *query, const uint8_t *rows, int64_t stride, int64_t count, int64_t d, int64_t *out)
{
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *row = rows + i * stride;
        int64_t sum = 0;
        for (int64_t j = 0; j < d; j++) sum += query[j] * row[j];
        out[i] = sum;
    }
}

static void l2_i8(const int8_t *query, const int8_t *rows, int64_t stride, int64_t count, int64_t d, int64_t *out)
{
    for (int64_t i = 0; i < count; i++) {
        const int8_t *row = rows + i * stride;
        int64_t sum = 0;
        for (int64_t j = 0; j < d; j++) sum += (query[j] - row[j]) * (query[j] - row[j]);
        out[i] = sum;
    }
}

static void l2_u8(const uint8_t *query, const uint8_t *rows, int64_t stride, int64_t count, int64_t d, int64_t *out)
{
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *row = rows + i * stride;
        int64_t sum = 0;
        for (int64_t j = 0; j < d; j++) sum += (query[j] - row[j]) * (query[j] - row[j]);
        out[i] = sum;
    }
}

static void ip_u8s8(const int8_t *query, const uint8_t *rows, int64_t stride, int64_t count, int64_t d, int32_t *out)
{
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *row = rows + i * stride;
        int32_t sum = 0;
        for (int64_t j = 0; j < d; j++) sum += query[j] * row[j];
        out[i] = sum;
    }
}

/* Set bits of a word, counted in pairs, fours and bytes; baseline x86-64 has no instruction for it. */
static int32_t count_bits(uint64_t x)
{
    x -= x >> 1 & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (int32_t)(x * 0x0101010101010101u >> 56);
}

static void hamming(const uint8_t *query, const uint8_t *rows, int64_t stride, int64_t count, int64_t bytes,
                    int32_t *out)
{
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *row = rows + i * stride;
        int32_t sum = 0;
        int64_t j = 0;
        for (; j + 8 <= bytes; j += 8) sum += count_bits(sonde__load_u64(query + j) ^ sonde__load_u64(row + j));
        for (; j < bytes; j++) sum += count_bits((uint64_t)(query[j] ^ row[j]));
        out[i] = sum;
    }
}

const sonde__kernels sonde__generic_integer = {
    .ip_i8 = ip_i8,
    .ip_u8 = ip_u8,
    .l2_i8 = l2_i8,
    .l2_u8 = l2_u8,
    .ip_u8s8 = ip_u8s8,
    .hamming = hamming,
};
