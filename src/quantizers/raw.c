/* raw.c: no compression: a code is the f32 row itself, so that whatever takes a quantizer can also work exactly.
 *
 * Code: dim x f32 as in memory (little-endian), 4 dim bytes. Query table: the query. Panel: the queries, dimension-
 * major. A scan and a panel scan add in different orders, so their values differ in the last bits.
 *
 * Nothing is learned: train accepts rows and changes nothing. decode(encode(x)) is x to the bit, so owners may skip
 * refining. Cost: 4 dim bytes and dim multiply-adds a code and query, bound by memory for one query, by arithmetic for
 * panels.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernels/blocks.h"
#include "kernels/kernels.h"
#include "quantizers/quantizer.h"

static sonde_status raw_create(sonde_quantizer *quantizer)
{
    quantizer->code_bytes = quantizer->dim * (int64_t)sizeof(float);
    quantizer->trained = true;
    return SONDE_OK;
}

/* Rows and codes have strides of their own, and codes no alignment. */
static sonde_status raw_encode(const sonde_quantizer *quantizer, const float *x, int64_t ldx, int64_t n,
                               uint8_t *codes, int64_t stride)
{
    for (int64_t i = 0; i < n; i++) memcpy(codes + i * stride, x + i * ldx, (size_t)quantizer->code_bytes);
    return SONDE_OK;
}

static void raw_decode(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n,
                       float *x, int64_t ldx)
{
    for (int64_t i = 0; i < n; i++) memcpy(x + i * ldx, codes + i * stride, (size_t)quantizer->code_bytes);
}

/* Encode never sees a NaN or an infinity: no f32 with all exponent bits set. */
static bool raw_valid(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < quantizer->dim; j++) {
            uint32_t word;
            memcpy(&word, codes + i * stride + j * 4, sizeof word);
            if ((word & 0x7f800000u) == 0x7f800000u) return false;
        }
    return true;
}

static int64_t raw_table_bytes(const sonde_quantizer *quantizer)
{
    return quantizer->code_bytes;
}

static void raw_table(const sonde_quantizer *quantizer, const float *query, void *table)
{
    memcpy(table, query, (size_t)quantizer->code_bytes);
}

static void raw_scan(const sonde_quantizer *quantizer, const void *table, const uint8_t *codes,
                     int64_t stride, int64_t n, float *ip)
{
    sonde__kernels_get()->ip_rows[SONDE__ROW_F32](table, codes, stride, n, quantizer->dim, ip);
}

static int64_t raw_panel_bytes(const sonde_quantizer *quantizer)
{
    return quantizer->code_bytes * sonde__kernels_get()->lanes;
}

static void raw_panel(const sonde_quantizer *quantizer, const void *const *tables, int64_t count, void *panel)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    kernels->pack_panel(tables, count, quantizer->dim, kernels->lanes, panel);
}

static void raw_scan_panel(const sonde_quantizer *quantizer, const void *panel, const uint8_t *codes,
                           int64_t stride, int64_t n, float *tile)
{
    sonde__kernels_get()->tile_f32(panel, (const float *)(const void *)codes, stride, n, quantizer->dim,
                                   tile);
}

static const sonde__key raw_keys[] = {{0}};

const sonde__quantizer_method sonde__quantizer_raw = {
    .method = {"raw", "no compression: the f32 values as they are", "", raw_keys, sonde__vectors_input, NULL, NULL},
    .create = raw_create,
    .encode = raw_encode,
    .decode = raw_decode,
    .valid = raw_valid,
    .table_bytes = raw_table_bytes,
    .table = raw_table,
    .scan = raw_scan,
    .panel_bytes = raw_panel_bytes,
    .panel = raw_panel,
    .scan_panel = raw_scan_panel,
    .exact = true,
};
