/* quantizer.c: the public functions of the noun but those of distances (distances.c), and what owners of a child
 * quantizer call.
 *
 * A method works on f32 rows, serially; here views are checked, converted block by block and spread over threads.
 * Invariants: everything that can be refused is refused before an output is touched (only a cancel or a lack of memory
 * comes later); blocks are cut by shape, never by threads, so results do not depend on the number of threads; a trained
 * handle is never changed but by train, which swaps a complete new state in.
 *
 * Cost: encode and decode as the method says.
 *
 * SPDX-License-Identifier: MIT
 */
#include "quantizers/quantizer.h"

#include <stdio.h>

#include "base/handle.h"
#include "kernels/blocks.h"
#include "kernels/kernels.h"

#define OBSERVED_ROWS 65536 /* kept of a stream where the method does not say */

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
    sonde__observed_free(quantizer->runtime, quantizer->observed);
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
static sonde_status quantizer_learn(sonde_quantizer *quantizer, const sonde__training *training)
{
    if (training->n < quantizer->min_rows)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "train: %lld rows are too few, %s needs at least %lld",
                           (long long)training->n, quantizer->method->method.name, (long long)quantizer->min_rows);
    if (quantizer->method->train) SONDE_TRY(quantizer->method->train(quantizer, training));
    quantizer->trained = true;
    return SONDE_OK;
}

sonde_status sonde__quantizer_train_f32(sonde_quantizer *quantizer, const float *x, int64_t n, int threads)
{
    return quantizer_learn(quantizer, &(sonde__training){.x = x, .n = n, .threads = threads});
}

/* Checks what the method's table cannot say of the inputs beside "vectors", which is its first row. */
static sonde_status quantizer_check_inputs(const sonde_quantizer *quantizer, const sonde_array **found,
                                           sonde_array *checked)
{
    const sonde__input_key *key = quantizer->method->method.inputs;
    for (int i = 1; key[i].name; i++) {
        char what[64];
        if (!found[i]) continue;
        snprintf(what, sizeof what, "train: %s", key[i].name);
        SONDE_TRY(sonde__array_check(found[i], what, 0, key[i].dtypes, &checked[i]));
        SONDE_TRY(sonde__array_check_finite(quantizer->runtime, &checked[i], what));
        found[i] = &checked[i];
    }
    return SONDE_OK;
}

/* Trains on given inputs; labels may be NULL. */
static sonde_status quantizer_train_on(sonde_quantizer *quantizer, const sonde_input *inputs, size_t count,
                                       int32_t *labels)
{
    const sonde_array *found[SONDE__INPUTS_MOST] = {NULL};
    sonde_array checked[SONDE__INPUTS_MOST];
    sonde__packed_rows rows;
    SONDE_TRY(sonde__blocks_training(quantizer->runtime, &quantizer->method->method, inputs, count, quantizer->dim,
                                     quantizer->min_rows, found, &rows));
    sonde_status status = quantizer_check_inputs(quantizer, found, checked);
    sonde__training training = {.x = rows.x, .n = rows.n, .input = found, .labels = labels};
    if (status == SONDE_OK) status = quantizer_learn(quantizer, &training);
    sonde__free(quantizer->runtime, rows.owned);
    return status;
}

/* Trains on what was observed, which is let go once something has been learned from it. */
static sonde_status quantizer_train_observed(sonde_quantizer *quantizer)
{
    float *x = NULL;
    int64_t n = 0;
    if (!quantizer->observed)
        return sonde__fail(SONDE_STATE, "train: there are no inputs, and nothing was observed (sonde_quantizer_observe)");
    SONDE_TRY(sonde__observed_rows(quantizer->runtime, quantizer->observed, &x, &n));
    sonde_status status = sonde__quantizer_train_f32(quantizer, x, n, 0);
    sonde__free(quantizer->runtime, x);
    if (status != SONDE_OK) return status;
    sonde__observed_free(quantizer->runtime, quantizer->observed);
    quantizer->observed = NULL;
    return SONDE_OK;
}

sonde_status sonde_quantizer_train(sonde_quantizer *quantizer, const sonde_input *inputs, size_t count)
{
    if (!quantizer) return sonde__fail(SONDE_INVALID_ARGUMENT, "train: the quantizer is NULL");
    if (count == 0 && quantizer->observed) return quantizer_train_observed(quantizer);
    return quantizer_train_on(quantizer, inputs, count, NULL);
}

sonde_status sonde_quantizer_observe(sonde_quantizer *quantizer, const sonde_input *inputs, size_t count)
{
    const sonde_array *found[SONDE__INPUTS_MOST] = {NULL};
    sonde_array rows;
    if (!quantizer) return sonde__fail(SONDE_INVALID_ARGUMENT, "observe: the quantizer is NULL");
    SONDE_TRY(sonde__inputs_match(&quantizer->method->method, "train", "observe", inputs, count, found));
    for (int i = 1; quantizer->method->method.inputs[i].name; i++)
        if (found[i])
            return sonde__fail(SONDE_UNSUPPORTED, "observe: '%s' cannot be observed; give it to train with all vectors",
                               quantizer->method->method.inputs[i].name);
    SONDE_TRY(sonde__array_check(found[0], "observe: vectors", quantizer->dim, SONDE__DTYPES_NUMERIC, &rows));
    SONDE_TRY(sonde__array_check_finite(quantizer->runtime, &rows, "observe: vectors"));
    int64_t most = quantizer->sample_rows ? quantizer->sample_rows : OBSERVED_ROWS;
    return sonde__observed_add(quantizer->runtime, &quantizer->observed, &rows,
                               sonde__max_i64(most, quantizer->min_rows));
}

sonde_status sonde_quantizer_cluster(sonde_quantizer *quantizer, const sonde_input *inputs, size_t count,
                                     int32_t *labels)
{
    if (!quantizer || !labels)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "cluster: %s is NULL", quantizer ? "labels" : "the quantizer");
    if (!quantizer->method->clusters)
        return sonde__fail(SONDE_UNSUPPORTED, "cluster: %s does not cluster rows; kmeans does",
                           quantizer->method->method.name);
    return quantizer_train_on(quantizer, inputs, count, labels);
}

sonde_status sonde_quantizer_output(const sonde_quantizer *quantizer, const char *name, sonde_array *view)
{
    if (!quantizer || !name || !view)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "output: %s is NULL",
                           !quantizer ? "the quantizer" : !name ? "the name" : "the view");
    const sonde__output_key *key = quantizer->method->method.outputs;
    int position = 0;
    while (key && key[position].name && strcmp(key[position].name, name) != 0) position++;
    if (!key || !key[position].name)
        return sonde__fail(SONDE_NOT_FOUND, "output: %s has no output '%.64s' (\"sonde list quantizer %s\")",
                           quantizer->method->method.name, name, quantizer->method->method.name);
    SONDE_TRY(sonde__quantizer_ready(quantizer, "output"));
    return quantizer->method->output(quantizer, position, view);
}

/* ---- encode and decode ----------------------------------------------------------------------------------------- */

/* What every use asks first. */
sonde_status sonde__quantizer_ready(const sonde_quantizer *quantizer, const char *verb)
{
    if (!quantizer) return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: the quantizer is NULL", verb);
    if (!quantizer->trained)
        return sonde__fail(SONDE_STATE,
                           "%s: the quantizer %s is not trained; train it first: sonde_quantizer_train", verb,
                           sonde__params_text(quantizer->params));
    return SONDE_OK;
}

/* An output (or codes) with as many rows as the input. */
sonde_status sonde__quantizer_same_rows(const sonde_array *array, const char *what, int64_t rows, const char *other)
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
    SONDE_TRY(sonde__quantizer_ready(quantizer, "encode"));
    SONDE_TRY(sonde__array_check(vectors, "encode: vectors", quantizer->dim, SONDE__DTYPES_NUMERIC, &rows));
    SONDE_TRY(sonde__array_check(codes, "encode: codes", quantizer->code_bytes,
                                 SONDE__DTYPE_BIT(SONDE_DTYPE_U8), &job.codes));
    SONDE_TRY(sonde__quantizer_same_rows(&job.codes, "encode: codes", rows.rows, "vectors"));
    SONDE_TRY(sonde__array_check_finite(quantizer->runtime, &rows, "encode: vectors"));
    if (quantizer->method->refuses)
        SONDE_TRY(sonde__blocks_each(quantizer->runtime, 0, &rows, NULL, quantizer_try_block, &job));
    return sonde__blocks_each(quantizer->runtime, 0, &rows, "encode", quantizer_encode_block, &job);
}

/* Rows of codes that one work item takes. */
int64_t sonde__quantizer_grain(const sonde_quantizer *quantizer)
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
sonde_status sonde__quantizer_check_codes(const sonde_quantizer *quantizer, const sonde_array *codes, const char *verb)
{
    struct quantizer_job job = {.quantizer = quantizer, .codes = *codes};
    if (!quantizer->method->valid) return SONDE_OK;
    sonde_status status = sonde__parallel_for(quantizer->runtime, 0, codes->rows, sonde__quantizer_grain(quantizer),
                                              NULL, quantizer_check_chunk, &job);
    return status == SONDE_OK ? SONDE_OK : sonde__fail_within(status, "%s", verb);
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
    SONDE_TRY(sonde__quantizer_ready(quantizer, "decode"));
    SONDE_TRY(sonde__array_check(codes, "decode: codes", quantizer->code_bytes,
                                 SONDE__DTYPE_BIT(SONDE_DTYPE_U8), &job.codes));
    SONDE_TRY(sonde__array_check(vectors, "decode: vectors", quantizer->dim,
                                 SONDE__DTYPE_BIT(SONDE_DTYPE_F32), &job.out));
    SONDE_TRY(sonde__quantizer_same_rows(&job.out, "decode: vectors", job.codes.rows, "codes"));
    SONDE_TRY(sonde__quantizer_check_codes(quantizer, &job.codes, "decode"));
    return sonde__parallel_for(quantizer->runtime, 0, job.codes.rows, sonde__quantizer_grain(quantizer), "decode",
                               quantizer_decode_chunk, &job);
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
