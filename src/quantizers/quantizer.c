/* quantizer.c: the public functions of the noun and what owners of a child quantizer call.
 *
 * A method works on f32 rows, serially; here views are checked, converted block by block and spread over threads, and
 * inner products become distances:
 *
 *     l2 = |q|^2 - 2 <q, x> + |x|^2      cosine = <q, x> / (|q| |x|)      x = decode(code)
 *
 * Invariants: everything that can be refused is refused before an output is touched (only a cancel or a lack of memory
 * comes later); blocks are cut by shape, never by threads, so results do not depend on the number of threads; a trained
 * handle is never changed but by train, which swaps a complete new state in.
 *
 * Cost: encode and decode as the method says; distances O(nq (dim + n code_bytes)) and 4 n bytes for l2 and cosine.
 *
 * SPDX-License-Identifier: MIT
 */
#include "quantizers/quantizer.h"

#include <math.h>

#include "base/handle.h"
#include "kernels/blocks.h"
#include "kernels/kernels.h"

#define METHOD(name) extern const sonde__quantizer_method sonde__quantizer_##name;
#include "quantizers/list.h"
#undef METHOD

static const sonde__method *const quantizer_methods[] = {
#define METHOD(name) &sonde__quantizer_##name.method,
#include "quantizers/list.h"
#undef METHOD
    NULL,
};

static const sonde__key quantizer_common[] = {{0}};

const sonde__noun sonde__quantizer_noun = {"quantizer", quantizer_common, quantizer_methods};

/* ---- making and freeing ---------------------------------------------------------------------------------------- */

sonde_status sonde_quantizer_create(const char *spec, int64_t dim, sonde_runtime *runtime,
                                    sonde_quantizer **quantizer)
{
    if (!quantizer) return sonde__fail(SONDE_INVALID_ARGUMENT, "create: the place for the quantizer is NULL");
    sonde__handle_parts parts;
    SONDE_TRY(sonde__handle_width("dim", dim, 1, SONDE__MAX_DIM));
    SONDE_TRY(sonde__handle_begin(&sonde__quantizer_noun, spec, runtime, sizeof **quantizer, &parts));
    sonde_quantizer *made = parts.memory;
    made->runtime = parts.runtime;
    made->params = parts.params;
    made->method = (const sonde__quantizer_method *)(const void *)sonde__params_method(parts.params);
    made->dim = dim;
    sonde_status status = made->method->create(made);
    if (status != SONDE_OK) {
        sonde_quantizer_free(made);
        return status;
    }
    *quantizer = made;
    return SONDE_OK;
}

/* What the shared scaffolding (base/handle.h) needs to know of a handle. */
static sonde__handle_parts quantizer_parts(const sonde_quantizer *quantizer)
{
    return (sonde__handle_parts){quantizer->runtime, quantizer->params, (void *)quantizer};
}

void sonde_quantizer_free(sonde_quantizer *quantizer)
{
    if (!quantizer) return;
    sonde__handle_parts parts = quantizer_parts(quantizer);
    if (quantizer->method->drop) quantizer->method->drop(quantizer);
    sonde__handle_end(&parts);
}

int64_t sonde_quantizer_dim(const sonde_quantizer *quantizer)
{
    return quantizer ? quantizer->dim : 0;
}

int64_t sonde_quantizer_code_bytes(const sonde_quantizer *quantizer)
{
    return quantizer ? quantizer->code_bytes : 0;
}

bool sonde_quantizer_trained(const sonde_quantizer *quantizer)
{
    return quantizer && quantizer->trained;
}

const char *sonde_quantizer_spec(const sonde_quantizer *quantizer)
{
    return quantizer ? sonde__params_text(quantizer->params) : "";
}

/* ---- training -------------------------------------------------------------------------------------------------- */

/* The one place that changes what a quantizer knows. If the method fails, its old state and `trained` stay. */
sonde_status sonde__quantizer_train_f32(sonde_quantizer *quantizer, const float *x, int64_t n, int threads)
{
    if (n < quantizer->min_rows)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "train: %lld rows are too few, %s needs at least %lld",
                           (long long)n, quantizer->method->method.name, (long long)quantizer->min_rows);
    if (quantizer->method->train) SONDE_TRY(quantizer->method->train(quantizer, x, n, threads));
    quantizer->trained = true;
    return SONDE_OK;
}

sonde_status sonde_quantizer_train(sonde_quantizer *quantizer, const sonde_input *inputs, size_t count)
{
    sonde__packed_rows rows;
    if (!quantizer) return sonde__fail(SONDE_INVALID_ARGUMENT, "train: the quantizer is NULL");
    SONDE_TRY(sonde__blocks_training(quantizer->runtime, &quantizer->method->method, inputs, count,
                                     quantizer->dim, quantizer->min_rows, &rows));
    sonde_status status = sonde__quantizer_train_f32(quantizer, rows.x, rows.n, 0);
    sonde__free(quantizer->runtime, rows.owned);
    return status;
}

/* ---- encode and decode ----------------------------------------------------------------------------------------- */

/* What every use asks first. */
static sonde_status quantizer_ready(const sonde_quantizer *quantizer, const char *verb)
{
    if (!quantizer) return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: the quantizer is NULL", verb);
    if (!quantizer->trained)
        return sonde__fail(SONDE_STATE,
                           "%s: the quantizer %s is not trained; train it first: sonde_quantizer_train", verb,
                           sonde__params_text(quantizer->params));
    return SONDE_OK;
}

/* An output (or codes) with as many rows as the input. */
static sonde_status quantizer_same_rows(const sonde_array *array, const char *what, int64_t rows,
                                        const char *other)
{
    if (array->rows == rows) return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT, "%s has %lld rows, %s %lld", what, (long long)array->rows,
                       other, (long long)rows);
}

/* A checked call: codes are input or output, out is what is computed from them. */
struct quantizer_job {
    const sonde_quantizer *quantizer;
    sonde_array codes, out;
};

static sonde_status quantizer_encode_block(void *context, const float *x, int64_t ldx, int64_t begin,
                                           int64_t count, sonde__scratch *scratch)
{
    const struct quantizer_job *job = context;
    (void)scratch;
    return job->quantizer->method->encode(job->quantizer, x, ldx, count,
                                          (uint8_t *)job->codes.data + begin * job->codes.stride,
                                          job->codes.stride);
}

/* The same into scratch: only to see whether the method refuses a row. */
static sonde_status quantizer_try_block(void *context, const float *x, int64_t ldx, int64_t begin,
                                        int64_t count, sonde__scratch *scratch)
{
    const struct quantizer_job *job = context;
    const sonde_quantizer *quantizer = job->quantizer;
    uint8_t *codes;
    (void)begin;
    SONDE_TRY(SONDE_SCRATCH(scratch, codes, count * quantizer->code_bytes));
    return quantizer->method->encode(quantizer, x, ldx, count, codes, quantizer->code_bytes);
}

sonde_status sonde_quantizer_encode(const sonde_quantizer *quantizer, const sonde_array *vectors,
                                    sonde_array *codes)
{
    struct quantizer_job job = {.quantizer = quantizer};
    sonde_array rows;
    SONDE_TRY(quantizer_ready(quantizer, "encode"));
    SONDE_TRY(sonde__array_check(vectors, "encode: vectors", quantizer->dim, SONDE__DTYPES_NUMERIC, &rows));
    SONDE_TRY(sonde__array_check(codes, "encode: codes", quantizer->code_bytes,
                                 SONDE__DTYPE_BIT(SONDE_DTYPE_U8), &job.codes));
    SONDE_TRY(quantizer_same_rows(&job.codes, "encode: codes", rows.rows, "vectors"));
    SONDE_TRY(sonde__array_check_finite(quantizer->runtime, &rows, "encode: vectors"));
    if (quantizer->method->refuses)
        SONDE_TRY(sonde__blocks_each(quantizer->runtime, 0, &rows, NULL, quantizer_try_block, &job));
    return sonde__blocks_each(quantizer->runtime, 0, &rows, "encode", quantizer_encode_block, &job);
}

/* Rows of codes that one work item takes. */
static int64_t quantizer_grain(const sonde_quantizer *quantizer)
{
    return sonde__max_i64(8, sonde__min_i64(1024, 65536 / quantizer->dim));
}

/* One code at a time, so that the message can name the first bad one of the chunk. */
static sonde_status quantizer_check_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct quantizer_job *job = context;
    const sonde_quantizer *quantizer = job->quantizer;
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        if (!quantizer->method->valid(quantizer, sonde__array_row(&job->codes, i), job->codes.stride, 1))
            return sonde__fail(SONDE_CORRUPT, "code %lld is none that %s can have made", (long long)i,
                               sonde__params_text(quantizer->params));
    return SONDE_OK;
}

/* Refuses codes that the method could not have made. */
static sonde_status quantizer_check_codes(struct quantizer_job *job)
{
    if (!job->quantizer->method->valid) return SONDE_OK;
    return sonde__parallel_for(job->quantizer->runtime, 0, job->codes.rows, quantizer_grain(job->quantizer),
                               NULL, quantizer_check_chunk, job);
}

static sonde_status quantizer_decode_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct quantizer_job *job = context;
    const sonde_quantizer *quantizer = job->quantizer;
    int64_t dim = quantizer->dim;
    sonde__scratch *scratch = NULL;
    float *x;
    (void)worker;
    SONDE_TRY(sonde__scratch_take(quantizer->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, x, (end - begin) * dim);
    if (status == SONDE_OK) {
        quantizer->method->decode(quantizer, sonde__array_row(&job->codes, begin), job->codes.stride,
                                  end - begin, x, dim);
        /* By way of scratch, because the caller's rows need not be aligned. */
        for (int64_t i = begin; i < end; i++)
            memcpy((uint8_t *)job->out.data + i * job->out.stride, x + (i - begin) * dim,
                   (size_t)dim * sizeof *x);
    }
    sonde__scratch_give(quantizer->runtime, scratch);
    return status;
}

sonde_status sonde_quantizer_decode(const sonde_quantizer *quantizer, const sonde_array *codes,
                                    sonde_array *vectors)
{
    struct quantizer_job job = {.quantizer = quantizer};
    SONDE_TRY(quantizer_ready(quantizer, "decode"));
    SONDE_TRY(sonde__array_check(codes, "decode: codes", quantizer->code_bytes,
                                 SONDE__DTYPE_BIT(SONDE_DTYPE_U8), &job.codes));
    SONDE_TRY(sonde__array_check(vectors, "decode: vectors", quantizer->dim,
                                 SONDE__DTYPE_BIT(SONDE_DTYPE_F32), &job.out));
    SONDE_TRY(quantizer_same_rows(&job.out, "decode: vectors", job.codes.rows, "codes"));
    sonde_status status = quantizer_check_codes(&job);
    if (status != SONDE_OK) return sonde__fail_within(status, "decode");
    return sonde__parallel_for(quantizer->runtime, 0, job.codes.rows, quantizer_grain(quantizer), "decode",
                               quantizer_decode_chunk, &job);
}

/* ---- distances ------------------------------------------------------------------------------------------------- */

/* Queries go through in groups of one panel; for each group all codes are scanned, chunk by chunk, in parallel. */
struct quantizer_distances {
    struct quantizer_job job; /* out: the scores */
    uint32_t metric;
    float *norm2;             /* |reconstruction|^2 of each code; not for ip */
    int64_t first, count;     /* the group */
    float query_norm2[SONDE__LANES_MAX];
    uint8_t *tables;          /* `count` of them */
    int64_t table_bytes;
    void *panel;              /* of all the tables, or NULL: they are used one by one */
};

static sonde_status quantizer_norms_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct quantizer_distances *d = context;
    const sonde_quantizer *quantizer = d->job.quantizer;
    const sonde_array *codes = &d->job.codes;
    sonde__scratch *scratch = NULL;
    float *x;
    (void)worker;
    SONDE_TRY(sonde__scratch_take(quantizer->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, x, quantizer->dim);
    for (int64_t i = begin; status == SONDE_OK && i < end; i++) {
        quantizer->method->decode(quantizer, sonde__array_row(codes, i), codes->stride, 1, x, quantizer->dim);
        d->norm2[i] = sonde__kernels_get()->norm2(x, quantizer->dim);
    }
    sonde__scratch_give(quantizer->runtime, scratch);
    return status;
}

/* Rounding can take l2 below 0 and a cosine beyond 1 by a little: both are clamped. A zero vector has cosine 0. */
static float quantizer_score(uint32_t metric, float ip, float query2, float code2)
{
    if (metric == SONDE_METRIC_IP) return ip;
    if (metric == SONDE_METRIC_L2) {
        float l2 = query2 - 2 * ip + code2;
        return l2 > 0 ? l2 : 0;
    }
    if (query2 == 0 || code2 == 0) return 0;
    float cosine = ip / (sqrtf(query2) * sqrtf(code2));
    return cosine > 1 ? 1 : cosine < -1 ? -1 : cosine;
}

/* Turns the products of one query with codes [begin, end), ip[(i - begin) * step], into its row of scores. The row need
 * not be aligned, hence the copies. */
static void quantizer_scores_out(const struct quantizer_distances *d, const float *ip, int64_t step,
                                 int64_t lane, int64_t begin, int64_t end)
{
    uint8_t *row = (uint8_t *)d->job.out.data + (d->first + lane) * d->job.out.stride;
    for (int64_t i = begin; i < end; i++) {
        float score = quantizer_score(d->metric, ip[(i - begin) * step], d->query_norm2[lane],
                                      d->norm2 ? d->norm2[i] : 0);
        memcpy(row + i * (int64_t)sizeof score, &score, sizeof score);
    }
}

/* Codes [begin, end) against all queries of the group: one panel scan, or one scan a query. */
static sonde_status quantizer_distances_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct quantizer_distances *d = context;
    const sonde_quantizer *quantizer = d->job.quantizer;
    const uint8_t *codes = sonde__array_row(&d->job.codes, begin);
    int64_t stride = d->job.codes.stride, lanes = d->panel ? sonde__kernels_get()->lanes : 1;
    sonde__scratch *scratch = NULL;
    float *ip;
    (void)worker;
    SONDE_TRY(sonde__scratch_take(quantizer->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, ip, (end - begin) * lanes);
    if (status == SONDE_OK && d->panel)
        quantizer->method->scan_panel(quantizer, d->panel, codes, stride, end - begin, ip);
    for (int64_t lane = 0; status == SONDE_OK && lane < d->count; lane++) {
        if (!d->panel)
            quantizer->method->scan(quantizer, d->tables + lane * d->table_bytes, codes,
                                    stride, end - begin, ip);
        quantizer_scores_out(d, d->panel ? ip + lane : ip, lanes, lane, begin, end);
    }
    sonde__scratch_give(quantizer->runtime, scratch);
    return status;
}

/* Queries [first, first + count) against all codes. */
static sonde_status quantizer_distances_group(struct quantizer_distances *d, const sonde_array *queries,
                                              sonde__scratch *scratch)
{
    const sonde_quantizer *quantizer = d->job.quantizer;
    const sonde__quantizer_method *method = quantizer->method;
    int64_t dim = quantizer->dim;
    float *x;
    SONDE_TRY(SONDE_SCRATCH(scratch, x, d->count * dim));
    sonde__rows_to_f32(queries, d->first, d->count, x, dim);
    for (int64_t q = 0; q < d->count; q++) d->query_norm2[q] = sonde__kernels_get()->norm2(x + q * dim, dim);
    const void *table[SONDE__LANES_MAX];
    d->table_bytes = (method->table_bytes(quantizer) + 63) / 64 * 64;
    SONDE_TRY(SONDE_SCRATCH(scratch, d->tables, d->count * d->table_bytes));
    for (int64_t q = 0; q < d->count; q++) {
        table[q] = d->tables + q * d->table_bytes;
        method->table(quantizer, x + q * dim, d->tables + q * d->table_bytes);
    }
    d->panel = NULL;
    /* A panel costs all its lanes, so a few queries are better off with tables. */
    if (method->scan_panel && d->count >= 4) {
        if (!(d->panel = sonde__scratch_alloc(scratch, 1, (uint64_t)method->panel_bytes(quantizer))))
            return sonde__last_status();
        method->panel(quantizer, table, d->count, d->panel);
    }
    return sonde__parallel_for(quantizer->runtime, 0, d->job.codes.rows, quantizer_grain(quantizer), NULL,
                               quantizer_distances_chunk, d);
}

/* Norms of the reconstructions once, then the queries group by group. Tables live in scratch, a group at a time. */
static sonde_status quantizer_distances_all(struct quantizer_distances *d, const sonde_array *queries)
{
    sonde_runtime *runtime = d->job.quantizer->runtime;
    int64_t lanes = sonde__kernels_get()->lanes;
    sonde__scratch *scratch = NULL;
    sonde_status status = SONDE_OK;
    if (d->metric != SONDE_METRIC_IP) {
        SONDE_TRY(SONDE_NEW(runtime, d->norm2, d->job.codes.rows));
        status = sonde__parallel_for(runtime, 0, d->job.codes.rows, quantizer_grain(d->job.quantizer), NULL,
                                     quantizer_norms_chunk, d);
    }
    if (status == SONDE_OK) status = sonde__scratch_take(runtime, &scratch);
    for (int64_t q = 0; status == SONDE_OK && q < queries->rows; q += lanes) {
        sonde__scratch_mark mark = sonde__scratch_here(scratch);
        d->first = q;
        d->count = sonde__min_i64(lanes, queries->rows - q);
        status = sonde__poll(runtime, "distances", (uint64_t)q, (uint64_t)queries->rows);
        if (status == SONDE_OK) status = quantizer_distances_group(d, queries, scratch);
        sonde__scratch_rewind(scratch, mark);
    }
    sonde__scratch_give(runtime, scratch);
    sonde__free(runtime, d->norm2);
    return status;
}

static sonde_status quantizer_metric_check(uint32_t metric)
{
    if (metric == SONDE_METRIC_L2 || metric == SONDE_METRIC_IP || metric == SONDE_METRIC_COSINE)
        return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT,
                       "distances: metric %u is not offered; l2 (1), ip (2) and cosine (3) are",
                       (unsigned)metric);
}

sonde_status sonde_quantizer_distances(const sonde_quantizer *quantizer, uint32_t metric,
                                       const sonde_array *queries, const sonde_array *codes,
                                       sonde_array *scores)
{
    struct quantizer_distances d = {.job.quantizer = quantizer, .metric = metric};
    sonde_array rows;
    SONDE_TRY(quantizer_ready(quantizer, "distances"));
    SONDE_TRY(quantizer_metric_check(metric));
    SONDE_TRY(
        sonde__array_check(queries, "distances: queries", quantizer->dim, SONDE__DTYPES_NUMERIC, &rows));
    SONDE_TRY(sonde__array_check(codes, "distances: codes", quantizer->code_bytes,
                                 SONDE__DTYPE_BIT(SONDE_DTYPE_U8), &d.job.codes));
    if (rows.rows == 0 || d.job.codes.rows == 0) return SONDE_OK;
    SONDE_TRY(sonde__array_check(scores, "distances: scores", d.job.codes.rows,
                                 SONDE__DTYPE_BIT(SONDE_DTYPE_F32), &d.job.out));
    SONDE_TRY(quantizer_same_rows(&d.job.out, "distances: scores", rows.rows, "queries"));
    SONDE_TRY(sonde__array_check_finite(quantizer->runtime, &rows, "distances: queries"));
    sonde_status status = quantizer_check_codes(&d.job);
    if (status != SONDE_OK) return sonde__fail_within(status, "distances");
    return quantizer_distances_all(&d, &rows);
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

/* dim, trained, then what the method learned. An untrained quantizer is its spec and dim. */
static sonde_status quantizer_put(const void *handle, sonde__writer *writer)
{
    const sonde_quantizer *quantizer = handle;
    SONDE_TRY(sonde__write_int(writer, "dim", quantizer->dim));
    SONDE_TRY(sonde__write_int(writer, "trained", quantizer->trained));
    if (!quantizer->trained || !quantizer->method->save) return SONDE_OK;
    return quantizer->method->save(quantizer, writer);
}

/* The file decides nothing but what it may: dim in range, a spec that parses, and state that the method accepts. */
static sonde_status quantizer_take(sonde_runtime *runtime, sonde__reader *reader, void **handle)
{
    sonde_quantizer *quantizer = NULL;
    int64_t dim, trained;
    SONDE_TRY(sonde__read_int(reader, "dim", 1, SONDE__MAX_DIM, &dim));
    SONDE_TRY(sonde__read_int(reader, "trained", 0, 1, &trained));
    sonde_status status = sonde_quantizer_create(sonde__reader_spec(reader), dim, runtime, &quantizer);
    if (status != SONDE_OK) return sonde__handle_from_file(status, &sonde__quantizer_noun);
    if (trained && quantizer->method->load) status = quantizer->method->load(quantizer, reader);
    if (status != SONDE_OK) {
        sonde_quantizer_free(quantizer);
        return status;
    }
    quantizer->trained = trained || quantizer->trained;
    *handle = quantizer;
    return SONDE_OK;
}

static const sonde__handle_class quantizer_class = {&sonde__quantizer_noun, quantizer_put, quantizer_take};

sonde_status sonde_quantizer_save(const sonde_quantizer *quantizer, const char *path)
{
    if (!quantizer) return sonde__fail(SONDE_INVALID_ARGUMENT, "save: the quantizer is NULL");
    sonde__handle_parts parts = quantizer_parts(quantizer);
    return sonde__handle_save(&quantizer_class, quantizer, &parts, path);
}

sonde_status sonde_quantizer_open(const char *path, const sonde_open_options *options, sonde_runtime *runtime,
                                  sonde_quantizer **quantizer)
{
    void *handle = NULL;
    if (!quantizer) return sonde__fail(SONDE_INVALID_ARGUMENT, "open: the place for the quantizer is NULL");
    SONDE_TRY(sonde__handle_open(&quantizer_class, path, options, runtime, &handle));
    *quantizer = handle;
    return SONDE_OK;
}

sonde_status sonde_quantizer_save_buffer(const sonde_quantizer *quantizer, void *buffer, size_t capacity,
                                         size_t *length)
{
    if (!quantizer) return sonde__fail(SONDE_INVALID_ARGUMENT, "save_buffer: the quantizer is NULL");
    sonde__handle_parts parts = quantizer_parts(quantizer);
    return sonde__handle_save_buffer(&quantizer_class, quantizer, &parts, buffer, capacity, length);
}

sonde_status sonde_quantizer_open_buffer(const void *buffer, size_t length, const sonde_open_options *options,
                                         sonde_runtime *runtime, sonde_quantizer **quantizer)
{
    void *handle = NULL;
    if (!quantizer) return sonde__fail(SONDE_INVALID_ARGUMENT, "open_buffer: the place for the quantizer is NULL");
    SONDE_TRY(sonde__handle_open_buffer(&quantizer_class, buffer, length, options, runtime, &handle));
    *quantizer = handle;
    return SONDE_OK;
}

sonde_status sonde__quantizer_write(const sonde_quantizer *quantizer, sonde__writer *writer,
                                    const char *child)
{
    return sonde__handle_write(&quantizer_class, quantizer, quantizer->params, writer, child);
}

sonde_status sonde__quantizer_read(sonde_runtime *runtime, sonde__reader *reader, const char *child,
                                   sonde_quantizer **quantizer)
{
    void *handle = NULL;
    SONDE_TRY(sonde__handle_read(&quantizer_class, runtime, reader, child, &handle));
    *quantizer = handle;
    return SONDE_OK;
}
