/* sq_levels.c: scalar codes whose values are looked up in a table instead of being evenly spaced
 * (levels=lloyd), and the fast scan of scalar codes of 1, 2 and 4 bits.
 *
 * Codes are those of sq.c; code c of column j stands for levels[j][c], ascending, and a value gets the
 * nearest one by binary search. Such codes are no linear function of their numbers, so integer products
 * cannot serve: a scan decodes a few rows at a time and multiplies, and a batch of queries shares the
 * decoding.
 *
 *     table: the query         panel: the queries, packed for the tile kernel
 *
 * Fast scan sees what a nibble stands for: one column of 4 bits, two of 2 or four of 1, uniform or not. It
 * needs the 16 possible sums of query[j] * value, and is exact but for the rounding of that table.
 *
 * Cost: encoding bits comparisons a column; scanning a lookup and a product a column; memory 4 x 2^bits dim
 * bytes.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "base/handle.h"
#include "kernels/kernels.h"
#include "quantizers/codes.h"
#include "quantizers/sq.h"

/* Floats of decoded rows on the stack; at least one row. */
#define SCALAR_FLOATS SONDE__MAX_DIM

/* Ties go to the lower level. The border is halved before it is summed, so it cannot overflow. */
static uint8_t scalar_nearest(const float *levels, int64_t count, float value)
{
    int64_t c = 0;
    for (int64_t half = count / 2; half > 0; half /= 2)
        if (value > 0.5f * levels[c + half - 1] + 0.5f * levels[c + half]) c += half;
    return (uint8_t)c;
}

sonde_status sonde__sq_levels_encode(const sonde_quantizer *quantizer, const float *x, int64_t ldx, int64_t n,
                                     uint8_t *codes, int64_t stride)
{
    const sonde__sq *sq = quantizer->state;
    int64_t count = sonde__sq_count(sq);
    uint8_t values[SONDE__MAX_DIM];
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < quantizer->dim; j++)
            values[j] = scalar_nearest(sonde__sq_levels(sq, j), count, x[i * ldx + j]);
        sonde__codes_pack(values, quantizer->dim, sq->bits, codes + i * stride);
    }
    return SONDE_OK;
}

void sonde__sq_levels_decode(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n,
                             float *x, int64_t ldx)
{
    const sonde__sq *sq = quantizer->state;
    uint8_t values[SONDE__MAX_DIM];
    for (int64_t i = 0; i < n; i++) {
        sonde__codes_unpack(codes + i * stride, quantizer->dim, sq->bits, values);
        for (int64_t j = 0; j < quantizer->dim; j++) x[i * ldx + j] = sonde__sq_levels(sq, j)[values[j]];
    }
}

/* ---- scanning -------------------------------------------------------------------------------------------------- */

int64_t sonde__sq_levels_table_bytes(const sonde_quantizer *quantizer)
{
    return quantizer->dim * (int64_t)sizeof(float);
}

void sonde__sq_levels_table(const sonde_quantizer *quantizer, const float *query, void *table)
{
    memcpy(table, query, (size_t)sonde__sq_levels_table_bytes(quantizer));
}

/* Rows that are decoded together. */
static int64_t scalar_rows(const sonde_quantizer *quantizer)
{
    return sonde__max_i64(1, sonde__min_i64(SONDE__CODES_BLOCK, SCALAR_FLOATS / quantizer->dim));
}

void sonde__sq_levels_scan(const sonde_quantizer *quantizer, const void *table, const uint8_t *codes, int64_t stride,
                           int64_t n, float *ip)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    int64_t dim = quantizer->dim, rows = scalar_rows(quantizer);
    float x[SCALAR_FLOATS];
    for (int64_t i = 0; i < n; i += rows) {
        int64_t count = sonde__min_i64(rows, n - i);
        sonde__sq_levels_decode(quantizer, codes + i * stride, stride, count, x, dim);
        kernels->ip_rows[SONDE__ROW_F32](table, x, dim * (int64_t)sizeof *x, count, dim, ip + i);
    }
}

int64_t sonde__sq_levels_panel_bytes(const sonde_quantizer *quantizer)
{
    return sonde__kernels_get()->lanes * sonde__sq_levels_table_bytes(quantizer);
}

void sonde__sq_levels_panel(const sonde_quantizer *quantizer, const void *const *tables, int64_t count, void *panel)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    kernels->pack_panel(tables, count, quantizer->dim, kernels->lanes, panel);
}

void sonde__sq_levels_scan_panel(const sonde_quantizer *quantizer, const void *panel, const uint8_t *codes,
                                 int64_t stride, int64_t n, float *tile)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    int64_t dim = quantizer->dim, rows = scalar_rows(quantizer);
    float x[SCALAR_FLOATS];
    for (int64_t i = 0; i < n; i += rows) {
        int64_t count = sonde__min_i64(rows, n - i);
        sonde__sq_levels_decode(quantizer, codes + i * stride, stride, count, x, dim);
        kernels->tile_f32(panel, x, dim * (int64_t)sizeof *x, count, dim, tile + i * kernels->lanes);
    }
}

/* ---- fast scan ------------------------------------------------------------------------------------------------- */

int64_t sonde__sq_nibbles(const sonde_quantizer *quantizer)
{
    const sonde__sq *sq = quantizer->state;
    return (quantizer->dim * sq->bits + 3) / 4;
}

static float scalar_value(const sonde__sq *sq, int64_t column, int c)
{
    return sq->lloyd ? sonde__sq_levels(sq, column)[c] : sq->learned.low[column] + sq->learned.step[column] * (float)c;
}

/* Adds what the bits of one column bring into the 16 sums of its nibble. */
static void scalar_add(const sonde__sq *sq, int64_t column, float weight, int shift, float sums[16])
{
    float product[16];
    int count = 1 << sq->bits;
    for (int c = 0; c < count; c++) product[c] = weight * scalar_value(sq, column, c);
    for (int v = 0; v < 16; v++) sums[v] += product[v >> shift & (count - 1)];
}

void sonde__sq_nibble_table(const sonde_quantizer *quantizer, const float *query, float *table, float *base)
{
    const sonde__sq *sq = quantizer->state;
    memset(table, 0, (size_t)(16 * sonde__sq_nibbles(quantizer)) * sizeof *table);
    for (int64_t j = 0; j < quantizer->dim; j++)
        scalar_add(sq, j, query[j], (int)(j * sq->bits % 4), table + j * sq->bits / 4 * 16);
    *base = 0;
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

static uint64_t scalar_floats(const sonde_quantizer *quantizer)
{
    const sonde__sq *sq = quantizer->state;
    return (uint64_t)(sonde__sq_tables(sq, quantizer->dim) * sonde__sq_count(sq));
}

uint64_t sonde__sq_levels_bytes(const sonde_quantizer *quantizer)
{
    return scalar_floats(quantizer) * sizeof(float);
}

sonde_status sonde__sq_levels_save(const sonde_quantizer *quantizer, sonde__writer *writer)
{
    const sonde__sq *sq = quantizer->state;
    return sonde__write_array(writer, "LEVELS", sq->learned.levels, scalar_floats(quantizer), sizeof(float));
}

/* The search for the nearest level relies on their order. */
static sonde_status scalar_check(const float *levels, int64_t tables, int64_t count)
{
    for (int64_t t = 0; t < tables; t++)
        for (int64_t c = 1; c < count; c++)
            if (!(levels[t * count + c] >= levels[t * count + c - 1]))
                return sonde__fail(SONDE_CORRUPT, "section \"LEVELS\": the levels of column %lld are not ascending",
                                   (long long)t);
    return SONDE_OK;
}

sonde_status sonde__sq_levels_load(sonde_quantizer *quantizer, sonde__reader *reader)
{
    const sonde__sq *sq = quantizer->state;
    sonde__sq_learned learned = {0};
    SONDE_TRY(sonde__handle_floats(quantizer->runtime, reader, "LEVELS", scalar_floats(quantizer), &learned.levels));
    sonde_status status = scalar_check(learned.levels, sonde__sq_tables(sq, quantizer->dim), sonde__sq_count(sq));
    if (status == SONDE_OK) sonde__sq_adopt(quantizer, &learned);
    else sonde__sq_learned_drop(quantizer->runtime, &learned);
    return status;
}
