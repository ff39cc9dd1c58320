/* distances.c: scores on codes: of queries with codes, of codes with codes, and how far a score can be off.
 *
 * A method gives inner products with reconstructions x; here they become distances:
 *
 *     l2 = |q|^2 - 2 <q, x> + |x|^2      cosine = <q, x> / (|q| |x|)      hamming: differing bits
 *
 * Codes against codes take the reconstruction of the first as the query, unless the method multiplies codes itself.
 * Everything that can be refused is refused before an output is touched (only a cancel or a lack of memory comes
 * later).
 *
 * Cost: O(nq (dim + n code_bytes)), and 4 n bytes for l2 and cosine.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdio.h>

#include "kernels/kernels.h"
#include "quantizers/quantizer.h"

/* Queries go through in groups of one panel; for each group all codes are scanned, chunk by chunk, in parallel. */
struct distances {
    const sonde_quantizer *quantizer;
    const char *verb;
    uint32_t metric;
    sonde_array queries;      /* rows, or the codes that stand for them */
    bool from_codes;
    sonde_array codes, scores, errors;
    bool bounded;             /* errors are wanted too */
    float *norm2;             /* squared length of each code's row; not for ip and hamming */
    int64_t first, count;     /* the group */
    float query_norm2[SONDE__LANES_MAX];
    const float *query;       /* count x dim */
    const uint8_t *query_code;/* hamming, pairs: count codes */
    uint8_t *tables;          /* `count` of them; NULL: pairs */
    int64_t table_bytes;
    void *panel;              /* of all the tables, or NULL: they are used one by one */
};

/* ---- lengths --------------------------------------------------------------------------------------------------- */

/* The squared lengths that belong to n codes. */
static sonde_status distances_norms(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n,
                                    sonde__scratch *scratch, float *norm2)
{
    float *x;
    if (quantizer->method->norms) {
        quantizer->method->norms(quantizer, codes, stride, n, norm2);
        return SONDE_OK;
    }
    sonde__scratch_mark mark = sonde__scratch_here(scratch);
    SONDE_TRY(SONDE_SCRATCH(scratch, x, quantizer->dim));
    for (int64_t i = 0; i < n; i++) {
        quantizer->method->decode(quantizer, codes + i * stride, stride, 1, x, quantizer->dim);
        norm2[i] = sonde__kernels_get()->norm2(x, quantizer->dim);
    }
    sonde__scratch_rewind(scratch, mark);
    return SONDE_OK;
}

static sonde_status distances_norms_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct distances *d = context;
    sonde__scratch *scratch = NULL;
    (void)worker;
    SONDE_TRY(sonde__scratch_take(d->quantizer->runtime, &scratch));
    sonde_status status = distances_norms(d->quantizer, sonde__array_row(&d->codes, begin), d->codes.stride, end - begin,
                                          scratch, d->norm2 + begin);
    sonde__scratch_give(d->quantizer->runtime, scratch);
    return status;
}

/* ---- one chunk of codes ---------------------------------------------------------------------------------------- */

/* Rounding can take l2 below 0 and a cosine beyond 1 by a little: both are clamped. A zero vector has cosine 0. */
static float distances_score(uint32_t metric, float ip, float query2, float code2)
{
    if (metric == SONDE_METRIC_IP) return ip;
    if (metric == SONDE_METRIC_L2) {
        float l2 = query2 - 2 * ip + code2;
        return l2 > 0 ? l2 : 0;
    }
    if (!(query2 > 0) || !(code2 > 0)) return 0;
    float cosine = ip / (sqrtf(query2) * sqrtf(code2));
    return cosine > 1 ? 1 : cosine < -1 ? -1 : cosine;
}

/* Outputs need not be aligned, hence the copies. */
static void distances_put(const sonde_array *out, int64_t row, int64_t column, float value)
{
    memcpy((uint8_t *)out->data + row * out->stride + column * (int64_t)sizeof value, &value, sizeof value);
}

/* Turns the products of one query with codes [begin, end), ip[(i - begin) * step], into its row of scores. */
static void distances_out(const struct distances *d, const float *ip, int64_t step, int64_t lane, int64_t begin,
                          int64_t end)
{
    for (int64_t i = begin; i < end; i++)
        distances_put(&d->scores, d->first + lane, i,
                      distances_score(d->metric, ip[(i - begin) * step], d->query_norm2[lane],
                                      d->norm2 ? d->norm2[i] : 0));
}

/* The products of one query, or code, with some codes. */
static void distances_products(const struct distances *d, int64_t lane, const uint8_t *codes, int64_t n, float *ip)
{
    const sonde_quantizer *quantizer = d->quantizer;
    if (d->tables)
        quantizer->method->scan(quantizer, d->tables + lane * d->table_bytes, codes, d->codes.stride, n, ip);
    else
        quantizer->method->pairs(quantizer, d->query_code + lane * quantizer->code_bytes, codes, d->codes.stride, n, ip);
}

/* An error of the inner product counts twice in l2. */
static void distances_errors(const struct distances *d, int64_t lane, int64_t begin, int64_t end, float *error)
{
    const sonde_quantizer *quantizer = d->quantizer;
    quantizer->method->errors(quantizer, d->query + lane * quantizer->dim, sonde__array_row(&d->codes, begin),
                              d->codes.stride, end - begin, error);
    float factor = d->metric == SONDE_METRIC_L2 ? 2 : 1;
    for (int64_t i = begin; i < end; i++) distances_put(&d->errors, d->first + lane, i, factor * error[i - begin]);
}

static void distances_bits(const struct distances *d, int64_t lane, int64_t begin, int64_t end, int32_t *differing)
{
    int64_t bytes = d->quantizer->code_bytes;
    sonde__kernels_get()->hamming(d->query_code + lane * bytes, sonde__array_row(&d->codes, begin), d->codes.stride,
                                  end - begin, bytes, differing);
    for (int64_t i = begin; i < end; i++)
        distances_put(&d->scores, d->first + lane, i, (float)differing[i - begin]);
}

/* Codes [begin, end) against all queries of the group: one panel scan, or one scan a query. */
static sonde_status distances_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct distances *d = context;
    const sonde_quantizer *quantizer = d->quantizer;
    const uint8_t *codes = sonde__array_row(&d->codes, begin);
    int64_t lanes = d->panel ? sonde__kernels_get()->lanes : 1, n = end - begin;
    sonde__scratch *scratch = NULL;
    float *ip;
    int32_t *bits;
    (void)worker;
    SONDE_TRY(sonde__scratch_take(quantizer->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, ip, n * lanes);
    if (status == SONDE_OK) status = SONDE_SCRATCH(scratch, bits, n);
    if (status == SONDE_OK && d->panel)
        quantizer->method->scan_panel(quantizer, d->panel, codes, d->codes.stride, n, ip);
    for (int64_t lane = 0; status == SONDE_OK && lane < d->count; lane++) {
        if (d->metric == SONDE_METRIC_HAMMING) {
            distances_bits(d, lane, begin, end, bits);
            continue;
        }
        if (!d->panel) distances_products(d, lane, codes, n, ip);
        distances_out(d, d->panel ? ip + lane : ip, lanes, lane, begin, end);
        if (d->bounded) distances_errors(d, lane, begin, end, ip);
    }
    sonde__scratch_give(quantizer->runtime, scratch);
    return status;
}

/* ---- one group of queries -------------------------------------------------------------------------------------- */

/* Query tables, and their panel where that is faster: it costs all its lanes, so a few queries are better off without. */
static sonde_status distances_tables(struct distances *d, sonde__scratch *scratch)
{
    const sonde_quantizer *quantizer = d->quantizer;
    const sonde__quantizer_method *method = quantizer->method;
    const void *table[SONDE__LANES_MAX];
    d->table_bytes = (method->table_bytes(quantizer) + 63) / 64 * 64;
    SONDE_TRY(SONDE_SCRATCH(scratch, d->tables, d->count * d->table_bytes));
    for (int64_t q = 0; q < d->count; q++) {
        table[q] = d->tables + q * d->table_bytes;
        method->table(quantizer, d->query + q * quantizer->dim, d->tables + q * d->table_bytes);
    }
    if (!method->scan_panel || d->count < 4 || d->bounded) return SONDE_OK;
    if (!(d->panel = sonde__scratch_alloc(scratch, 1, (uint64_t)method->panel_bytes(quantizer))))
        return sonde__last_status();
    method->panel(quantizer, table, d->count, d->panel);
    return SONDE_OK;
}

/* The queries of a group as rows and as codes, whichever are needed, with their lengths. */
static sonde_status distances_read(struct distances *d, sonde__scratch *scratch)
{
    const sonde_quantizer *quantizer = d->quantizer;
    int64_t dim = quantizer->dim, bytes = quantizer->code_bytes;
    float *x;
    uint8_t *codes;
    SONDE_TRY(SONDE_SCRATCH(scratch, x, d->count * dim));
    SONDE_TRY(SONDE_SCRATCH(scratch, codes, d->count * bytes));
    d->query = x;
    d->query_code = codes;
    if (d->from_codes) {
        for (int64_t q = 0; q < d->count; q++)
            memcpy(codes + q * bytes, sonde__array_row(&d->queries, d->first + q), (size_t)bytes);
        quantizer->method->decode(quantizer, codes, bytes, d->count, x, dim);
        return distances_norms(quantizer, codes, bytes, d->count, scratch, d->query_norm2);
    }
    sonde__rows_to_f32(&d->queries, d->first, d->count, x, dim);
    for (int64_t q = 0; q < d->count; q++) d->query_norm2[q] = sonde__kernels_get()->norm2(x + q * dim, dim);
    return d->metric == SONDE_METRIC_HAMMING ? quantizer->method->encode(quantizer, x, dim, d->count, codes, bytes)
                                             : SONDE_OK;
}

static sonde_status distances_group(struct distances *d, sonde__scratch *scratch)
{
    SONDE_TRY(distances_read(d, scratch));
    d->panel = d->tables = NULL;
    bool pairs = d->from_codes && d->quantizer->method->pairs;
    if (d->metric != SONDE_METRIC_HAMMING && !pairs) SONDE_TRY(distances_tables(d, scratch));
    return sonde__parallel_for(d->quantizer->runtime, 0, d->codes.rows, sonde__quantizer_grain(d->quantizer), NULL,
                               distances_chunk, d);
}

/* Lengths of the codes once, then the queries group by group. Tables live in scratch, a group at a time. */
static sonde_status distances_all(struct distances *d)
{
    sonde_runtime *runtime = d->quantizer->runtime;
    int64_t lanes = sonde__kernels_get()->lanes, n = d->codes.rows;
    sonde__scratch *scratch = NULL;
    sonde_status status = SONDE_OK;
    if (d->metric == SONDE_METRIC_L2 || d->metric == SONDE_METRIC_COSINE) {
        SONDE_TRY(SONDE_NEW(runtime, d->norm2, n));
        status = sonde__parallel_for(runtime, 0, n, sonde__quantizer_grain(d->quantizer), NULL, distances_norms_chunk, d);
    }
    if (status == SONDE_OK) status = sonde__scratch_take(runtime, &scratch);
    for (int64_t q = 0; status == SONDE_OK && q < d->queries.rows; q += lanes) {
        sonde__scratch_mark mark = sonde__scratch_here(scratch);
        d->first = q;
        d->count = sonde__min_i64(lanes, d->queries.rows - q);
        status = sonde__poll(runtime, d->verb, (uint64_t)q, (uint64_t)d->queries.rows);
        if (status == SONDE_OK) status = distances_group(d, scratch);
        sonde__scratch_rewind(scratch, mark);
    }
    sonde__scratch_give(runtime, scratch);
    sonde__free(runtime, d->norm2);
    return status;
}

/* ---- checking -------------------------------------------------------------------------------------------------- */

static sonde_status distances_metric(const struct distances *d)
{
    uint32_t metric = d->metric;
    if (metric < SONDE_METRIC_L2 || metric > SONDE_METRIC_HAMMING)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "%s: metric %u is not offered; l2 (1), ip (2), cosine (3) and hamming (4) are", d->verb,
                           (unsigned)metric);
    if (metric == SONDE_METRIC_HAMMING && !d->quantizer->method->binary)
        return sonde__fail(SONDE_UNSUPPORTED, "%s: hamming is for codes of bits, which %s does not make", d->verb,
                           d->quantizer->method->method.name);
    if (d->bounded && metric != SONDE_METRIC_L2 && metric != SONDE_METRIC_IP)
        return sonde__fail(SONDE_UNSUPPORTED, "%s: bounds exist for l2 (1) and ip (2) only", d->verb);
    if (d->bounded && !d->quantizer->method->errors)
        return sonde__fail(SONDE_UNSUPPORTED, "%s: %s has no bound; rabitq has", d->verb,
                           d->quantizer->method->method.name);
    return SONDE_OK;
}

/* An output of nq x n floats. */
static sonde_status distances_output(const struct distances *d, const sonde_array *given, const char *name,
                                     sonde_array *checked)
{
    char what[64];
    snprintf(what, sizeof what, "%s: %s", d->verb, name);
    SONDE_TRY(sonde__array_check(given, what, d->codes.rows, SONDE__DTYPE_BIT(SONDE_DTYPE_F32), checked));
    return sonde__quantizer_same_rows(checked, what, d->queries.rows, d->from_codes ? "from" : "queries");
}

static sonde_status distances_queries(struct distances *d, const sonde_array *queries)
{
    const sonde_quantizer *quantizer = d->quantizer;
    char what[64];
    snprintf(what, sizeof what, "%s: %s", d->verb, d->from_codes ? "from" : "queries");
    if (d->from_codes)
        return sonde__array_check(queries, what, quantizer->code_bytes, SONDE__DTYPE_BIT(SONDE_DTYPE_U8), &d->queries);
    SONDE_TRY(sonde__array_check(queries, what, quantizer->dim, SONDE__DTYPES_NUMERIC, &d->queries));
    return sonde__array_check_finite(quantizer->runtime, &d->queries, what);
}

/* errors NULL: not wanted. */
static sonde_status distances_run(struct distances *d, const sonde_array *queries, const sonde_array *codes,
                                  const sonde_array *scores, const sonde_array *errors)
{
    const sonde_quantizer *quantizer = d->quantizer;
    char what[64];
    SONDE_TRY(sonde__quantizer_ready(quantizer, d->verb));
    SONDE_TRY(distances_metric(d));
    SONDE_TRY(distances_queries(d, queries));
    snprintf(what, sizeof what, "%s: codes", d->verb);
    SONDE_TRY(sonde__array_check(codes, what, quantizer->code_bytes, SONDE__DTYPE_BIT(SONDE_DTYPE_U8), &d->codes));
    if (d->queries.rows == 0 || d->codes.rows == 0) return SONDE_OK;
    SONDE_TRY(distances_output(d, scores, "scores", &d->scores));
    if (d->bounded) SONDE_TRY(distances_output(d, errors, "errors", &d->errors));
    if (d->from_codes) SONDE_TRY(sonde__quantizer_check_codes(quantizer, &d->queries, d->verb));
    SONDE_TRY(sonde__quantizer_check_codes(quantizer, &d->codes, d->verb));
    return distances_all(d);
}

/* ---- the public functions -------------------------------------------------------------------------------------- */

sonde_status sonde_quantizer_distances(const sonde_quantizer *quantizer, uint32_t metric, const sonde_array *queries,
                                       const sonde_array *codes, sonde_array *scores)
{
    struct distances d = {.quantizer = quantizer, .verb = "distances", .metric = metric};
    return distances_run(&d, queries, codes, scores, NULL);
}

sonde_status sonde_quantizer_code_distances(const sonde_quantizer *quantizer, uint32_t metric, const sonde_array *from,
                                            const sonde_array *codes, sonde_array *scores)
{
    struct distances d = {
        .quantizer = quantizer, .verb = "code_distances", .metric = metric, .from_codes = true};
    return distances_run(&d, from, codes, scores, NULL);
}

sonde_status sonde_quantizer_bounds(const sonde_quantizer *quantizer, uint32_t metric, const sonde_array *queries,
                                    const sonde_array *codes, sonde_array *scores, sonde_array *errors)
{
    struct distances d = {.quantizer = quantizer, .verb = "bounds", .metric = metric, .bounded = true};
    return distances_run(&d, queries, codes, scores, errors);
}
