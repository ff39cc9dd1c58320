/* signs.c: one bit for each direction: on which side of a hyperplane the row lies.
 *
 * Problem: lsh, itq and bernoulli find their directions in different ways; everything after that is the same.
 * Idea: a row is multiplied with the packed directions by the tile kernel, block by block, and the comparisons with
 * the thresholds are packed eight at a time: eight bytes of 0 or 1 times a constant leave their bits in the top byte.
 *
 *     code   bit b at bit b % 8 of byte b / 8; bits behind the last are zero
 *     decode = center + scale * sum of +-back[b]
 *
 * A query sees the signs through its own products w[b] = scale <query, back[b]>: the sum of +-w[b] is looked up four
 * bits at a time, so the query is not rounded to bits (an asymmetric score).
 *
 *     table  64 bytes that begin with <query, center>; 16 floats for each four bits
 *
 * Cost: encoding dim x bits multiply-adds a row; scanning bits / 4 lookups; memory 2 x 4 x dim x bits bytes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "quantizers/signs.h"

#include <math.h>

#include "base/handle.h"
#include "kernels/blocks.h"
#include "linalg/linalg.h"
#include "quantizers/codes.h"

enum {
    SIGNS_ROWS = 32,         /* rows that are projected together */
    SIGNS_SCALE_ROWS = 1024, /* rows that the scale is fitted to */
    SIGNS_WEIGHTS = 256,     /* weights of a query that are made together */
    SIGNS_HEAD = 16,         /* floats in front of a table, so that it stays aligned */
    SIGNS_STREAM_DIRECTIONS = 0x7101,
    SIGNS_STREAM_SAMPLE = 0x7102
};

/* ---- directions ------------------------------------------------------------------------------------------------ */

sonde_status sonde__directions_make(sonde_runtime *runtime, int64_t dim, int64_t count, float *matrix,
                                    sonde__directions *directions)
{
    int64_t lanes = sonde__kernels_get()->lanes, panels = (count + lanes - 1) / lanes;
    float *packed;
    SONDE_TRY(SONDE_NEW(runtime, packed, panels * lanes * dim));
    for (int64_t first = 0; first < count; first += lanes)
        sonde__pack_rows(matrix + first * dim, dim * (int64_t)sizeof *matrix, sonde__min_i64(lanes, count - first),
                         dim, lanes, packed + first * dim);
    *directions = (sonde__directions){dim, count, matrix, packed};
    return SONDE_OK;
}

void sonde__directions_drop(sonde_runtime *runtime, sonde__directions *directions)
{
    sonde__free(runtime, directions->matrix);
    sonde__free(runtime, directions->panels);
    *directions = (sonde__directions){0};
}

/* At most SIGNS_ROWS rows. */
static void directions_project_block(const sonde__directions *directions, const float *x, int64_t ldx, int64_t n,
                                     float *y, int64_t ldy)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    int64_t dim = directions->dim, lanes = kernels->lanes;
    float tile[SIGNS_ROWS * SONDE__LANES_MAX];
    for (int64_t first = 0; first < directions->count; first += lanes) {
        int64_t used = sonde__min_i64(lanes, directions->count - first);
        kernels->tile_f32(directions->panels + first * dim, x, ldx * (int64_t)sizeof *x, n, dim, tile);
        for (int64_t i = 0; i < n; i++)
            memcpy(y + i * ldy + first, tile + i * lanes, (size_t)used * sizeof *y);
    }
}

void sonde__directions_project(const sonde__directions *directions, const float *x, int64_t ldx, int64_t n, float *y,
                               int64_t ldy)
{
    for (int64_t i = 0; i < n; i += SIGNS_ROWS)
        directions_project_block(directions, x + i * ldx, ldx, sonde__min_i64(SIGNS_ROWS, n - i), y + i * ldy, ldy);
}

/* Gaussian numbers of direction `number`, `step` elements apart. */
static void directions_gaussian(uint64_t seed, int64_t number, int64_t dim, double *to, int64_t step)
{
    sonde__rng rng;
    sonde__rng_start(&rng, seed, SIGNS_STREAM_DIRECTIONS, (uint64_t)number);
    for (int64_t j = 0; j < dim; j++) to[j * step] = (double)sonde__rng_normal(&rng);
}

/* Up to dim orthonormal rows: the Q of a Gaussian matrix that has them as columns. */
static sonde_status directions_block(sonde_runtime *runtime, int64_t dim, int64_t first, int64_t count, uint64_t seed,
                                     double *work, float *matrix)
{
    for (int64_t c = 0; c < count; c++) directions_gaussian(seed, first + c, dim, work + c, count);
    SONDE_TRY(sonde__qr(runtime, dim, count, work, work + dim * count));
    for (int64_t c = 0; c < count; c++)
        for (int64_t j = 0; j < dim; j++) matrix[c * dim + j] = (float)work[j * count + c];
    return SONDE_OK;
}

sonde_status sonde__directions_random(sonde_runtime *runtime, int64_t dim, int64_t count, bool orthonormal,
                                      uint64_t seed, float *matrix)
{
    int64_t block = orthonormal ? sonde__min_i64(dim, count) : 1;
    double *work;
    SONDE_TRY(SONDE_NEW(runtime, work, (dim + block) * block));
    sonde_status status = SONDE_OK;
    for (int64_t first = 0; status == SONDE_OK && first < count; first += block) {
        status = sonde__poll(runtime, "directions", (uint64_t)first, (uint64_t)count);
        if (status != SONDE_OK) break;
        if (orthonormal) {
            status = directions_block(runtime, dim, first, sonde__min_i64(block, count - first), seed, work,
                                      matrix + first * dim);
        } else {
            directions_gaussian(seed, first, dim, work, 1);
            for (int64_t j = 0; j < dim; j++) matrix[first * dim + j] = (float)work[j];
        }
    }
    sonde__free(runtime, work);
    return status;
}

sonde_status sonde__directions_principal(sonde_runtime *runtime, int threads, int64_t n, int64_t dim, const float *x,
                                         int64_t count, float *matrix)
{
    double *gram;
    SONDE_TRY(SONDE_NEW(runtime, gram, (2 * dim + 1) * dim));
    double *vectors = gram + dim * dim, *values = vectors + dim * dim;
    sonde_status status = sonde__gram(runtime, threads, n, dim, x, dim, NULL, gram);
    if (status == SONDE_OK) status = sonde__eigen_symmetric(runtime, dim, gram, values, vectors);
    if (status == SONDE_OK && !(values[0] > 0))
        status = sonde__fail(SONDE_INVALID_ARGUMENT, "train: the rows have no variance, so no direction is better");
    for (int64_t i = 0; status == SONDE_OK && i < count * dim; i++) matrix[i] = (float)vectors[i];
    sonde__free(runtime, gram);
    return status;
}

/* ---- the rows to learn from ------------------------------------------------------------------------------------- */

/* Subtracts the mean, which is taken in double: many large values would drown in a float. */
static sonde_status signs_center(sonde_runtime *runtime, float *x, int64_t n, int64_t dim, float *mean)
{
    double *sum;
    SONDE_TRY(SONDE_NEW_ZERO(runtime, sum, dim));
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < dim; j++) sum[j] += x[i * dim + j];
    for (int64_t j = 0; j < dim; j++) mean[j] = (float)(sum[j] / (double)n);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < dim; j++) x[i * dim + j] -= mean[j];
    sonde__free(runtime, sum);
    return SONDE_OK;
}

sonde_status sonde__signs_sample(sonde_runtime *runtime, const sonde__training *training, int64_t dim, int64_t wanted,
                                 uint64_t seed, bool centred, float *mean, float **x, int64_t *n)
{
    int64_t count = sonde__min_i64(wanted, training->n), *chosen;
    float *copy = NULL;
    SONDE_TRY(SONDE_NEW(runtime, chosen, count));
    sonde_status status = SONDE_NEW(runtime, copy, count * dim);
    if (status == SONDE_OK) {
        sonde__blocks_sample(seed, SIGNS_STREAM_SAMPLE, training->n, count, chosen);
        for (int64_t i = 0; i < count; i++)
            memcpy(copy + i * dim, training->x + chosen[i] * dim, (size_t)dim * sizeof *copy);
        memset(mean, 0, (size_t)dim * sizeof *mean);
        if (centred) status = signs_center(runtime, copy, count, dim, mean);
    }
    sonde__free(runtime, chosen);
    if (status != SONDE_OK) {
        sonde__free(runtime, copy);
        return status;
    }
    *x = copy;
    *n = count;
    return SONDE_OK;
}

double sonde__signs_normalise(float *x, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += (double)x[i] * x[i];
    if (sum == 0) return 0;
    double deviation = sqrt(sum / (double)count);
    for (int64_t i = 0; i < count; i++) x[i] = (float)(x[i] / deviation);
    return deviation;
}

/* ---- state ------------------------------------------------------------------------------------------------------ */

void sonde__signs_parts_drop(sonde_runtime *runtime, sonde__signs_parts *parts)
{
    sonde__free(runtime, parts->matrix);
    sonde__free(runtime, parts->threshold);
    sonde__free(runtime, parts->center);
    sonde__free(runtime, parts->back);
    *parts = (sonde__signs_parts){0};
}

sonde_status sonde__signs_parts_new(const sonde_quantizer *quantizer, bool with_back, sonde__signs_parts *parts)
{
    const sonde__signs *signs = quantizer->state;
    sonde_runtime *runtime = quantizer->runtime;
    int64_t dim = quantizer->dim, bits = signs->bits;
    *parts = (sonde__signs_parts){.scale = 1};
    sonde_status status = SONDE_NEW(runtime, parts->matrix, bits * dim);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, parts->threshold, bits);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, parts->center, dim);
    if (status == SONDE_OK && with_back) status = SONDE_NEW(runtime, parts->back, bits * dim);
    if (status != SONDE_OK) sonde__signs_parts_drop(runtime, parts);
    return status;
}

void sonde__signs_attach(sonde_quantizer *quantizer, sonde__signs *signs, int64_t bits)
{
    signs->bits = bits;
    quantizer->state = signs;
    quantizer->code_bytes = sonde__codes_bytes(bits, 1);
    quantizer->min_rows = 1;
}

sonde_status sonde__signs_create(sonde_quantizer *quantizer, int64_t bits)
{
    sonde__signs *signs;
    SONDE_TRY(SONDE_NEW_ZERO(quantizer->runtime, signs, 1));
    sonde__signs_attach(quantizer, signs, bits);
    return SONDE_OK;
}

static void signs_drop_parts(sonde_runtime *runtime, sonde__signs *signs)
{
    sonde__directions_drop(runtime, &signs->directions);
    sonde__free(runtime, signs->threshold);
    sonde__free(runtime, signs->center);
    sonde__free(runtime, signs->back);
}

static bool signs_finite(const float *values, int64_t count)
{
    return !values || sonde__kernels_get()->first_nonfinite(values, count) < 0;
}

sonde_status sonde__signs_adopt(sonde_quantizer *quantizer, sonde__signs_parts *parts)
{
    sonde__signs *signs = quantizer->state;
    sonde_runtime *runtime = quantizer->runtime;
    int64_t dim = quantizer->dim, bits = signs->bits;
    sonde__directions directions;
    sonde_status status = SONDE_OK;
    if (!signs_finite(parts->matrix, bits * dim) || !signs_finite(parts->threshold, bits) ||
        !signs_finite(parts->center, dim) || !signs_finite(parts->back, bits * dim) || !isfinite(parts->scale))
        status = sonde__fail(SONDE_INVALID_ARGUMENT,
                             "train: the values of the rows are too large for sums of floats");
    if (status == SONDE_OK) status = sonde__directions_make(runtime, dim, bits, parts->matrix, &directions);
    if (status != SONDE_OK) {
        sonde__signs_parts_drop(runtime, parts);
        return status;
    }
    signs_drop_parts(runtime, signs);
    *signs = (sonde__signs){bits, directions, parts->threshold, parts->center, parts->back, parts->scale};
    *parts = (sonde__signs_parts){0};
    return SONDE_OK;
}

/* sum over b of +-back[b] by the bits of a code, added to x. */
static void signs_add(const uint8_t *code, const float *back, int64_t bits, int64_t dim, float scale, float *x)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    for (int64_t b = 0; b < bits; b++)
        kernels->axpy(code[b / 8] >> (b % 8) & 1 ? scale : -scale, back + b * dim, dim, x);
}

static double signs_product(const float *a, const float *b, int64_t dim)
{
    double sum = 0;
    for (int64_t j = 0; j < dim; j++) sum += (double)a[j] * b[j];
    return sum;
}

/* The s that makes sum |x - s v|^2 least, where v = the signed sum of the directions. */
static sonde_status signs_fit_scale(const sonde_quantizer *quantizer, const float *x, int64_t n, const float *matrix,
                                    double *scale)
{
    const sonde__signs *signs = quantizer->state;
    int64_t dim = quantizer->dim, bits = signs->bits;
    double along = 0, length2 = 0;
    uint8_t *code;
    float *v;
    SONDE_TRY(SONDE_NEW(quantizer->runtime, v, dim + (bits + 7) / 8));
    code = (uint8_t *)(v + dim);
    sonde_status status = SONDE_OK;
    for (int64_t i = 0; status == SONDE_OK && i < sonde__min_i64(n, SIGNS_SCALE_ROWS); i++) {
        memset(v, 0, (size_t)dim * sizeof *v);
        memset(code, 0, (size_t)quantizer->code_bytes);
        for (int64_t b = 0; b < bits; b++)
            if (signs_product(x + i * dim, matrix + b * dim, dim) > 0) code[b / 8] |= (uint8_t)(1 << b % 8);
        signs_add(code, matrix, bits, dim, 1, v);
        along += signs_product(x + i * dim, v, dim);
        length2 += signs_product(v, v, dim);
        status = sonde__poll(quantizer->runtime, "scale", (uint64_t)i, SIGNS_SCALE_ROWS);
    }
    sonde__free(quantizer->runtime, v);
    *scale = length2 > 0 ? along / length2 : 0;
    return status;
}

sonde_status sonde__signs_finish(sonde_quantizer *quantizer, const float *x, int64_t n, double deviation,
                                 sonde__signs_parts *parts)
{
    const sonde__signs *signs = quantizer->state;
    int64_t dim = quantizer->dim;
    double scale;
    sonde_status status = signs_fit_scale(quantizer, x, n, parts->matrix, &scale);
    if (status != SONDE_OK) {
        sonde__signs_parts_drop(quantizer->runtime, parts);
        return status;
    }
    parts->scale = (float)(scale * deviation);
    for (int64_t b = 0; b < signs->bits; b++)
        parts->threshold[b] = (float)signs_product(parts->matrix + b * dim, parts->center, dim);
    return sonde__signs_adopt(quantizer, parts);
}

/* ---- codes ------------------------------------------------------------------------------------------------------ */

/* Byte i of `flags` is 0 or 1; bit i of the result. No two of the products meet in one bit. */
static inline uint8_t signs_gather(const uint8_t flags[8])
{
    uint64_t word;
    memcpy(&word, flags, sizeof word);
    return (uint8_t)(word * 0x0102040810204080u >> 56);
}

void sonde__signs_pack(const sonde__signs *signs, const float *y, uint8_t *code)
{
    const float *threshold = signs->threshold;
    int64_t bits = signs->bits, whole = bits / 8;
    uint8_t flags[8];
    for (int64_t byte = 0; byte < whole; byte++) {
        for (int t = 0; t < 8; t++) flags[t] = y[8 * byte + t] > threshold[8 * byte + t];
        code[byte] = signs_gather(flags);
    }
    if (8 * whole == bits) return;
    memset(flags, 0, sizeof flags);
    for (int64_t b = 8 * whole; b < bits; b++) flags[b - 8 * whole] = y[b] > threshold[b];
    code[whole] = signs_gather(flags);
}

sonde_status sonde__signs_encode(const sonde_quantizer *quantizer, const float *x, int64_t ldx, int64_t n,
                                 uint8_t *codes, int64_t stride)
{
    const sonde__signs *signs = quantizer->state;
    sonde__scratch *scratch = NULL;
    float *y;
    SONDE_TRY(sonde__scratch_take(quantizer->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, y, SIGNS_ROWS * signs->bits);
    for (int64_t i = 0; status == SONDE_OK && i < n; i += SIGNS_ROWS) {
        int64_t count = sonde__min_i64(SIGNS_ROWS, n - i);
        sonde__directions_project(&signs->directions, x + i * ldx, ldx, count, y, signs->bits);
        for (int64_t r = 0; r < count; r++)
            sonde__signs_pack(signs, y + r * signs->bits, codes + (i + r) * stride);
    }
    sonde__scratch_give(quantizer->runtime, scratch);
    return status;
}

/* What a bit adds or takes away, before the scale. */
static const float *signs_back(const sonde__signs *signs)
{
    return signs->back ? signs->back : signs->directions.matrix;
}

void sonde__signs_decode(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n, float *x,
                         int64_t ldx)
{
    const sonde__signs *signs = quantizer->state;
    int64_t dim = quantizer->dim;
    for (int64_t i = 0; i < n; i++) {
        memcpy(x + i * ldx, signs->center, (size_t)dim * sizeof *x);
        signs_add(codes + i * stride, signs_back(signs), signs->bits, dim, signs->scale, x + i * ldx);
    }
}

bool sonde__signs_valid(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n)
{
    const sonde__signs *signs = quantizer->state;
    return sonde__codes_padding_zero(codes, stride, n, signs->bits, 1);
}

/* ---- scanning --------------------------------------------------------------------------------------------------- */

int64_t sonde__signs_nibbles(const sonde_quantizer *quantizer)
{
    const sonde__signs *signs = quantizer->state;
    return (signs->bits + 3) / 4;
}

void sonde__signs_nibble_table(const sonde_quantizer *quantizer, const float *query, float *table, float *base)
{
    const sonde__signs *signs = quantizer->state;
    sonde__rows_fn ip_rows = sonde__kernels_get()->ip_rows[SONDE__ROW_F32];
    int64_t dim = quantizer->dim, row_bytes = dim * (int64_t)sizeof(float);
    float w[SIGNS_WEIGHTS];
    for (int64_t first = 0; first < signs->bits; first += SIGNS_WEIGHTS) {
        int64_t count = sonde__min_i64(SIGNS_WEIGHTS, signs->bits - first);
        ip_rows(query, signs_back(signs) + first * dim, row_bytes, count, dim, w);
        for (int64_t b = 0; b < count; b++) w[b] *= signs->scale;
        sonde__codes_sign_table(w, count, table + first / 4 * 16);
    }
    ip_rows(query, signs->center, row_bytes, 1, dim, base);
}

int64_t sonde__signs_table_bytes(const sonde_quantizer *quantizer)
{
    return (SIGNS_HEAD + 16 * sonde__signs_nibbles(quantizer)) * (int64_t)sizeof(float);
}

void sonde__signs_table(const sonde_quantizer *quantizer, const float *query, void *table)
{
    float *head = table;
    memset(head, 0, SIGNS_HEAD * sizeof *head);
    sonde__signs_nibble_table(quantizer, query, head + SIGNS_HEAD, head);
}

void sonde__signs_scan(const sonde_quantizer *quantizer, const void *table, const uint8_t *codes, int64_t stride,
                       int64_t n, float *ip)
{
    const float *head = table;
    sonde__kernels_get()->lookup_4(head + SIGNS_HEAD, codes, stride, n, sonde__signs_nibbles(quantizer), ip);
    for (int64_t i = 0; i < n; i++) ip[i] += head[0];
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

uint64_t sonde__signs_learned_bytes(const sonde_quantizer *quantizer)
{
    const sonde__signs *signs = quantizer->state;
    return (uint64_t)(2 * signs->bits * quantizer->dim + signs->bits + quantizer->dim) * sizeof(float);
}

sonde_status sonde__signs_save(const sonde_quantizer *quantizer, sonde__writer *writer)
{
    const sonde__signs *signs = quantizer->state;
    uint64_t dim = (uint64_t)quantizer->dim, bits = (uint64_t)signs->bits;
    SONDE_TRY(sonde__write_real(writer, "scale", (double)signs->scale));
    SONDE_TRY(sonde__write_array(writer, "MATRIX", signs->directions.matrix, bits * dim, sizeof(float)));
    SONDE_TRY(sonde__write_array(writer, "THRESH", signs->threshold, bits, sizeof(float)));
    SONDE_TRY(sonde__write_array(writer, "CENTER", signs->center, dim, sizeof(float)));
    if (!signs->back) return SONDE_OK;
    return sonde__write_array(writer, "BACK", signs->back, bits * dim, sizeof(float));
}

static sonde_status signs_read(const sonde_quantizer *quantizer, sonde__reader *reader, sonde__signs_parts *parts)
{
    const sonde__signs *signs = quantizer->state;
    sonde_runtime *runtime = quantizer->runtime;
    uint64_t dim = (uint64_t)quantizer->dim, bits = (uint64_t)signs->bits;
    double scale;
    SONDE_TRY(sonde__read_real(reader, "scale", -1e38, 1e38, &scale));
    parts->scale = (float)scale;
    SONDE_TRY(sonde__handle_floats(runtime, reader, "MATRIX", bits * dim, &parts->matrix));
    SONDE_TRY(sonde__handle_floats(runtime, reader, "THRESH", bits, &parts->threshold));
    SONDE_TRY(sonde__handle_floats(runtime, reader, "CENTER", dim, &parts->center));
    if (!sonde__reader_has(reader, "BACK")) return SONDE_OK;
    return sonde__handle_floats(runtime, reader, "BACK", bits * dim, &parts->back);
}

sonde_status sonde__signs_load(sonde_quantizer *quantizer, sonde__reader *reader)
{
    sonde__signs_parts parts = {0};
    sonde_status status = signs_read(quantizer, reader, &parts);
    if (status == SONDE_OK) return sonde__signs_adopt(quantizer, &parts);
    sonde__signs_parts_drop(quantizer->runtime, &parts);
    return status;
}

void sonde__signs_drop(sonde_quantizer *quantizer)
{
    sonde__signs *signs = quantizer->state;
    if (signs) signs_drop_parts(quantizer->runtime, signs);
    sonde__free(quantizer->runtime, signs);
}
