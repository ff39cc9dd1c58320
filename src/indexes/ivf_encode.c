/* ivf_encode.c: what an inverted file stores of a row.
 *
 * Scores are inner products with a reconstruction plus one number a row. With residual codes r' of r = x - c the scan
 * gives <q, c> + <q, r'>, and the number of the row makes up for what can be known when it is stored:
 *
 *     <q, x> = <q, c> + <q, r'> + <c, r - r'> + <q - c, r - r'>
 *
 * (c is the mean of the list's rows.) The last term alone is lost, and it is small because q is near c for the lists that
 * are visited. So the bias is
 *
 *     l2      2 <c, r - r'> - |x|^2      (the score is 2 <q, x> - |x|^2)
 *     ip      <c, r - r'>
 *
 * for each of the two reconstructions that a row may have: that of the 4-bit numbers of the fast scan, and that of the
 * whole code. Without residuals c is 0. (The same correction makes RaBitQ's error depend on |q - c| alone: Gao and Long
 * 2024.)
 *
 * SPDX-License-Identifier: MIT
 */
#include "indexes/ivf.h"

#define UNBIAS_LEAST 0.2 /* share of a row's squared length that its reconstruction must have to be scaled by it */

/* Rows being stored. */
typedef struct encoding {
    const sonde_index *index;
    const sonde__ivf *ivf;
    const sonde__ivf_learned *learned;
    int64_t n;
    const int32_t *list;
    uint8_t *const *columns;
    uint8_t *codes;  /* n whole codes */
    float *residual; /* n x dim: what the codes are of */
    float *norm2;    /* |x|^2 */
} encoding;

const uint8_t *sonde__ivf_code(const sonde__ivf *ivf, const sonde__layout *layout, const sonde__segment *segment,
                               int64_t row, uint8_t *buffer)
{
    if (ivf->nibbles == 0) return segment->column[0] + row * layout->width[0];
    sonde__column_get(segment->column[0], layout->width[0], row, buffer);
    if (ivf->tail_column >= 0) {
        int64_t width = layout->width[ivf->tail_column];
        memcpy(buffer + layout->width[0], segment->column[ivf->tail_column] + row * width, (size_t)width);
    }
    return buffer;
}

void sonde__ivf_decode(const sonde__ivf *ivf, int64_t list, const uint8_t *code, float *x)
{
    const sonde_quantizer *quantizer = ivf->code;
    float numbers[SONDE__LORANN_RANK];
    float *to = ivf->lorann ? numbers : x;
    quantizer->method->decode(quantizer, code, quantizer->code_bytes, 1, to, quantizer->dim);
    if (ivf->lorann) sonde__lorann_restore(ivf->lorann, list, numbers, x);
}

static void put_number(const encoding *e, int column, int64_t row, float value)
{
    memcpy(e->columns[column] + row * 4, &value, 4);
}

/* What is stored of a row's own, given <c, r - r'>. */
static float bias_of(const encoding *e, int64_t row, double correction)
{
    bool l2 = e->index->metric == SONDE_METRIC_L2;
    return (float)(l2 ? 2 * correction - (double)e->norm2[row] : correction);
}

/* <query, row> as the 4-bit numbers of a code estimate it. */
static double nibble_estimate(const sonde__ivf *ivf, const float *table, float base, float scale, const uint8_t *code)
{
    double sum = base;
    for (int64_t j = 0; j < ivf->nibbles; j++) sum += table[16 * j + (code[j / 2] >> (j % 2 * 4) & 15)];
    return sum * scale;
}

static double dot(const float *a, const float *b, int64_t d)
{
    float ip;
    sonde__kernels_get()->ip_rows[SONDE__ROW_F32](a, b, 0, 1, d, &ip);
    return ip;
}

/* A code loses a part of the row's length, and rows that are near the query score too low by it: scaled so that the row's
 * product with its reconstruction is right, they do not. */
static void unbias(const encoding *e, float *decoded, float *scale)
{
    const sonde_quantizer *code = e->ivf->code;
    int64_t d = e->index->dim;
    for (int64_t i = 0; i < e->n; i++) {
        const float *r = e->residual + i * d;
        code->method->decode(code, e->codes + i * code->code_bytes, code->code_bytes, 1, decoded, d);
        double along = dot(r, decoded, d), length2 = dot(r, r, d);
        scale[i] = along > UNBIAS_LEAST * length2 ? (float)(length2 / along) : 1;
    }
}

/* The scales and the biases of the fast scan. */
static sonde_status fill_fast(const encoding *e, sonde__scratch *scratch)
{
    const sonde_quantizer *code = e->ivf->code;
    float *scale, *table, *decoded, base;
    int64_t d = e->index->dim;
    SONDE_TRY(SONDE_SCRATCH(scratch, decoded, d));
    SONDE_TRY(SONDE_SCRATCH(scratch, scale, e->n));
    SONDE_TRY(SONDE_SCRATCH(scratch, table, 16 * e->ivf->nibbles));
    for (int64_t i = 0; i < e->n; i++) scale[i] = 1;
    if (code->method->nibble_scales)
        code->method->nibble_scales(code, e->codes, code->code_bytes, e->n, scale);
    if (e->ivf->unbiased) unbias(e, decoded, scale);
    for (int64_t i = 0; i < e->n; i++) {
        double correction = 0;
        if (e->ivf->scale_column >= 0) put_number(e, e->ivf->scale_column, i, scale[i]);
        if (e->ivf->bias_column < 0) continue;
        if (e->ivf->residual) {
            const float *centroid = sonde__ivf_centroid(e->learned, d, e->list[i]);
            code->method->nibble_table(code, centroid, table, &base);
            double estimate = nibble_estimate(e->ivf, table, base, scale[i], e->codes + i * code->code_bytes);
            if (code->method->nibble_offset) estimate += code->method->nibble_offset(code, centroid);
            correction = dot(centroid, e->residual + i * d, d) - estimate;
            correction *= sonde__ivf_factor(e->learned, e->list[i]);
        }
        put_number(e, e->ivf->bias_column, i, bias_of(e, i, correction));
    }
    return SONDE_OK;
}

/* The biases that belong to the reconstruction of whole codes. */
static sonde_status fill_biases(const encoding *e, int column, sonde__scratch *scratch)
{
    const sonde_quantizer *code = e->ivf->code;
    int64_t d = e->index->dim;
    float *decoded;
    SONDE_TRY(SONDE_SCRATCH(scratch, decoded, d));
    for (int64_t i = 0; i < e->n; i++) {
        double correction = 0;
        if (e->ivf->residual) {
            const float *centroid = sonde__ivf_centroid(e->learned, d, e->list[i]);
            sonde__ivf_decode(e->ivf, e->list[i], e->codes + i * code->code_bytes, decoded);
            correction = dot(centroid, e->residual + i * d, d) - dot(centroid, decoded, d);
            if (e->ivf->lorann) correction += dot(e->ivf->lorann->centre, decoded, d);
            correction *= sonde__ivf_factor(e->learned, e->list[i]);
        }
        put_number(e, column, i, bias_of(e, i, correction));
    }
    return SONDE_OK;
}

/* Codes of the rows, or of their numbers in lists of low rank. */
static sonde_status encode_codes(const encoding *e, sonde__scratch *scratch)
{
    const sonde_quantizer *code = e->ivf->code;
    const float *from = e->residual;
    if (e->ivf->lorann) {
        float *numbers;
        SONDE_TRY(SONDE_SCRATCH(scratch, numbers, e->n * code->dim));
        sonde__lorann_numbers(e->ivf->lorann, e->residual, e->n, e->list, numbers);
        from = numbers;
    }
    return code->method->encode(code, from, code->dim, e->n, e->codes, code->code_bytes);
}

/* The codes to their columns. */
static void split_codes(const encoding *e)
{
    const sonde__layout *layout = &e->index->layout;
    int64_t bytes = e->ivf->code->code_bytes, head = layout->width[0];
    for (int64_t i = 0; i < e->n; i++) {
        memcpy(e->columns[0] + i * head, e->codes + i * bytes, (size_t)head);
        if (e->ivf->tail_column >= 0)
            memcpy(e->columns[e->ivf->tail_column] + i * (bytes - head), e->codes + i * bytes + head,
                   (size_t)(bytes - head));
    }
}

/* The rows themselves, or their codes, for the second score. */
static sonde_status fill_refine(const encoding *e, const float *x)
{
    const sonde__ivf *ivf = e->ivf;
    int64_t d = e->index->dim, column = ivf->refine_column;
    if (column < 0) return SONDE_OK;
    uint8_t *to = e->columns[column];
    if (ivf->refine)
        return ivf->refine->method->encode(ivf->refine, x, d, e->n, to, e->index->layout.width[column]);
    if (ivf->refine_kind == SONDE__ROW_F32) memcpy(to, x, (size_t)(e->n * d) * sizeof *x);
    else sonde__kernels_get()->f32_to_f16(x, e->n * d, (uint16_t *)(void *)to);
    return SONDE_OK;
}

/* Rows and refine codes know nothing of centroids: what belongs to their scores is the row's length alone. */
static sonde_status fill_numbers(const encoding *e, sonde__scratch *scratch)
{
    const sonde__ivf *ivf = e->ivf;
    if (ivf->nibbles > 0) SONDE_TRY(fill_fast(e, scratch));
    else if (ivf->bias_column >= 0) SONDE_TRY(fill_biases(e, ivf->bias_column, scratch));
    if (ivf->row_bias_column >= 0 && ivf->row_bias_column != ivf->bias_column)
        for (int64_t i = 0; i < e->n; i++) put_number(e, ivf->row_bias_column, i, -e->norm2[i]);
    return ivf->second_bias_column < 0 ? SONDE_OK : fill_biases(e, ivf->second_bias_column, scratch);
}

sonde_status sonde__ivf_encode(const sonde_index *index, const sonde__ivf_learned *learned, float *x, int64_t n,
                               const int32_t *list, uint8_t *const *columns)
{
    const sonde__ivf *ivf = index->state;
    const sonde__kernels *kernels = sonde__kernels_get();
    encoding e = {.index = index, .ivf = ivf, .learned = learned, .n = n, .list = list, .columns = columns, .residual = x};
    int64_t d = index->dim, bytes = ivf->code->code_bytes;
    sonde__scratch *scratch;
    SONDE_TRY(sonde__scratch_take(index->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, e.codes, n * bytes);
    if (status == SONDE_OK) status = SONDE_SCRATCH(scratch, e.norm2, n);
    if (status == SONDE_OK) status = fill_refine(&e, x);
    if (status == SONDE_OK) {
        for (int64_t i = 0; i < n; i++) {
            e.norm2[i] = kernels->norm2(x + i * d, d);
            if (ivf->residual)
                kernels->axpy(-sonde__ivf_factor(learned, list[i]), sonde__ivf_centroid(learned, d, list[i]), d, x + i * d);
        }
        status = encode_codes(&e, scratch);
    }
    if (status == SONDE_OK) {
        split_codes(&e);
        status = fill_numbers(&e, scratch);
    }
    sonde__scratch_give(index->runtime, scratch);
    return status;
}
