/* codes.c (generic): distances of product-quantized codes by table look-up, four codes interleaved so that the
 * additions of one do not wait for those of another. Each sum runs in order of j. No set has gathers that beat plain
 * loads for the 256-entry tables on the processors measured, so lookup_8 is served from here everywhere.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernels/slots.h"

enum { TOGETHER = 4 };

SONDE__INLINE void sums_8(const float *table, const uint8_t *codes, int64_t stride, int together, int64_t m, float *out)
{
    float sum[TOGETHER] = {0};
    for (int64_t j = 0; j < m; j++) {
        for (int i = 0; i < together; i++) sum[i] += table[j * 256 + codes[i * stride + j]];
    }
    memcpy(out, sum, (size_t)together * sizeof *out);
}

static void lookup_8(const float *table, const uint8_t *codes, int64_t stride, int64_t count, int64_t m, float *out)
{
    int64_t i = 0;
    for (; i + TOGETHER <= count; i += TOGETHER) sums_8(table, codes + i * stride, stride, TOGETHER, m, out + i);
    for (; i < count; i++) sums_8(table, codes + i * stride, stride, 1, m, out + i);
}

static void lookup_4(const float *table, const uint8_t *codes, int64_t stride, int64_t count, int64_t m, float *out)
{
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *code = codes + i * stride;
        float sum = 0;
        for (int64_t j = 0; j < m; j++) sum += table[j * 16 + (code[j / 2] >> (j % 2 * 4) & 15)];
        out[i] = sum;
    }
}

const sonde__kernels sonde__generic_codes = {
    .lookup_8 = lookup_8,
    .lookup_4 = lookup_4,
};
