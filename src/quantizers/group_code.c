/* group_code.c: a row stands for its group, so its code is the number of the group and its reconstruction the
 * centroid.
 *
 * Code: the number in 1 byte (up to 256 groups), 2 (65536) or 4, little-endian, at any alignment. A scan is
 * one product a centroid and query, then one lookup a code.
 *
 * SPDX-License-Identifier: MIT
 */
#include "quantizers/group_code.h"

static int64_t group_number(const uint8_t *code, int64_t bytes)
{
    uint32_t number = 0;
    for (int64_t b = 0; b < bytes; b++) number |= (uint32_t)code[b] << 8 * b;
    return number;
}

void sonde__group_write(uint8_t *code, int64_t bytes, int32_t number)
{
    for (int64_t b = 0; b < bytes; b++) code[b] = (uint8_t)((uint32_t)number >> 8 * b);
}

int64_t sonde__group_read(const sonde__groups *groups, const uint8_t *code)
{
    return sonde__min_i64(group_number(code, groups->bytes), groups->k - 1);
}

bool sonde__group_valid(const sonde__groups *groups, const uint8_t *codes, int64_t stride, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (group_number(codes + i * stride, groups->bytes) >= groups->k) return false;
    return true;
}

void sonde__group_decode(const sonde__groups *groups, const uint8_t *codes, int64_t stride, int64_t n, float *x,
                         int64_t ldx)
{
    for (int64_t i = 0; i < n; i++)
        memcpy(x + i * ldx, groups->centroids + sonde__group_read(groups, codes + i * stride) * groups->dim,
               (size_t)groups->dim * sizeof *x);
}

void sonde__group_scan(const sonde__groups *groups, const float *products, const uint8_t *codes, int64_t stride,
                       int64_t n, float *ip)
{
    for (int64_t i = 0; i < n; i++) ip[i] = products[sonde__group_read(groups, codes + i * stride)];
}
