/* group_code.h: codes that are the number of a group, for the methods that cluster rows.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_GROUP_CODE_H
#define SONDE_SRC_GROUP_CODE_H

#include "base/base.h"

/* k groups with a centroid each; a code is a number below k in `bytes` bytes, little-endian. */
typedef struct sonde__groups {
    int64_t k, dim, bytes;
    const float *centroids; /* k x dim */
} sonde__groups;

/* Bytes of a code for at most k groups: 1, 2 or 4. */
static inline int64_t sonde__group_bytes(int64_t k) { return k <= 256 ? 1 : k <= 65536 ? 2 : 4; }
void sonde__group_write(uint8_t *code, int64_t bytes, int32_t number);
/* A file that was opened without reading all of it may hold any number: it never leads outside the centroids. */
int64_t sonde__group_read(const sonde__groups *groups, const uint8_t *code);
bool sonde__group_valid(const sonde__groups *groups, const uint8_t *codes, int64_t stride, int64_t n);
void sonde__group_decode(const sonde__groups *groups, const uint8_t *codes, int64_t stride, int64_t n, float *x,
                         int64_t ldx);
/* products: of a query with each centroid. */
void sonde__group_scan(const sonde__groups *groups, const float *products, const uint8_t *codes, int64_t stride,
                       int64_t n, float *ip);

#endif
