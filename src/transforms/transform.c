/* transform.c: the public functions of the noun and what owners of a child transform call.
 *
 * A method maps packed f32 rows, serially; here views are checked, converted block by block and spread over threads.
 *
 * Invariants: everything that can be refused is refused before an output is touched (only a cancel or a lack of memory
 * comes later); blocks are cut by shape, never by threads, so results do not depend on the number of threads; output
 * may lie on input where rows coincide, because a block is mapped into scratch before it is written.
 *
 * SPDX-License-Identifier: MIT
 */
#include "transforms/transform.h"

#include <stdio.h>

#include "base/handle.h"
#include "kernels/blocks.h"

#define METHOD(name) extern const sonde__transform_method sonde__transform_##name;
#include "transforms/list.h"
#undef METHOD

static const sonde__method *const transform_methods[] = {
#define METHOD(name) &sonde__transform_##name.method,
#include "transforms/list.h"
#undef METHOD
    NULL,
};

static const sonde__key transform_common[] = {{0}};

const sonde__noun sonde__transform_noun = {"transform", transform_common, transform_methods};

/* ---- making and freeing ---------------------------------------------------------------------------------------- */

/* opening: a file is about to bring the learned parts, so that create need not make a rotation only to drop it. */
static sonde_status transform_make(const char *spec, int64_t dim, sonde_runtime *runtime, bool opening,
                                   sonde_transform **transform)
{
    sonde__handle_parts parts;
    SONDE_TRY(sonde__handle_width("dim", dim, 1, SONDE__MAX_DIM));
    SONDE_TRY(sonde__handle_begin(&sonde__transform_noun, spec, runtime, sizeof **transform, &parts));
    sonde_transform *made = parts.memory;
    made->runtime = parts.runtime;
    made->params = parts.params;
    made->method = (const sonde__transform_method *)(const void *)sonde__params_method(parts.params);
    made->dim = dim;
    made->opening = opening;
    sonde_status status = made->method->create(made);
    if (status != SONDE_OK) {
        sonde_transform_free(made);
        return status;
    }
    *transform = made;
    return SONDE_OK;
}

sonde_status sonde_transform_create(const char *spec, int64_t dim, sonde_runtime *runtime,
                                    sonde_transform **transform)
{
    if (!transform) return sonde__fail(SONDE_INVALID_ARGUMENT, "create: the place for the transform is NULL");
    return transform_make(spec, dim, runtime, false, transform);
}

/* What the shared scaffolding (base/handle.h) needs to know of a handle. */
static sonde__handle_parts transform_parts(const sonde_transform *transform)
{
    return (sonde__handle_parts){transform->runtime, transform->params, (void *)transform};
}

void sonde_transform_free(sonde_transform *transform)
{
    if (!transform) return;
    sonde__handle_parts parts = transform_parts(transform);
    if (transform->method->drop) transform->method->drop(transform);
    sonde__handle_end(&parts);
}

int64_t sonde_transform_dim(const sonde_transform *transform)
{
    return transform ? transform->dim : 0;
}

int64_t sonde_transform_dim_out(const sonde_transform *transform)
{
    return transform ? transform->dim_out : 0;
}

bool sonde_transform_trained(const sonde_transform *transform)
{
    return transform && transform->trained;
}

const char *sonde_transform_spec(const sonde_transform *transform)
{
    return transform ? sonde__params_text(transform->params) : "";
}

/* ---- training and applying ------------------------------------------------------------------------------------- */

sonde_status sonde_transform_train(sonde_transform *transform, const sonde_input *inputs, size_t count)
{
    const sonde_array *found[SONDE__INPUTS_MOST] = {NULL};
    sonde__packed_rows rows;
    if (!transform) return sonde__fail(SONDE_INVALID_ARGUMENT, "train: the transform is NULL");
    const sonde__transform_method *method = transform->method;
    SONDE_TRY(sonde__blocks_training(transform->runtime, &method->method, inputs, count, transform->dim,
                                     method->train ? 1 : 0, found, &rows));
    sonde_status status = method->train ? method->train(transform, rows.x, rows.n) : SONDE_OK;
    if (status == SONDE_OK) transform->trained = true;
    sonde__free(transform->runtime, rows.owned);
    return status;
}

/* One checked call in either direction. */
struct transform_job {
    const sonde_transform *transform;
    void (*map)(const sonde_transform *transform, const float *in, int64_t n, float *out);
    sonde_array in, out;
};

static sonde_status transform_block(void *context, const float *x, int64_t ldx, int64_t begin, int64_t count,
                                    sonde__scratch *scratch)
{
    const struct transform_job *job = context;
    int64_t in = job->in.cols, out = job->out.cols;
    float *packed, *mapped;
    SONDE_TRY(SONDE_SCRATCH(scratch, mapped, count * out));
    if (ldx != in) {
        SONDE_TRY(SONDE_SCRATCH(scratch, packed, count * in));
        for (int64_t i = 0; i < count; i++) memcpy(packed + i * in, x + i * ldx, (size_t)in * sizeof *x);
        x = packed;
    }
    job->map(job->transform, x, count, mapped);
    /* By way of scratch: the output may be the input, and need not be aligned. */
    for (int64_t i = 0; i < count; i++)
        memcpy((uint8_t *)job->out.data + (begin + i) * job->out.stride, mapped + i * out,
               (size_t)out * sizeof *mapped);
    return SONDE_OK;
}

/* Whether the bytes from the first to the last element of two views, neither empty, meet. */
static bool transform_overlaps(const sonde_array *a, const sonde_array *b)
{
    uintptr_t a_first = (uintptr_t)a->data, b_first = (uintptr_t)b->data;
    uintptr_t a_end = a_first + (uintptr_t)((a->rows - 1) * a->stride + sonde_row_bytes(a->dtype, a->cols));
    uintptr_t b_end = b_first + (uintptr_t)((b->rows - 1) * b->stride + sonde_row_bytes(b->dtype, b->cols));
    return a_first < b_end && b_first < a_end;
}

/* Shared memory is fine only where row i of one is row i of the other. */
static sonde_status transform_check_overlap(const struct transform_job *job, const char *verb)
{
    const sonde_array *in = &job->in, *out = &job->out;
    bool same = in->data == out->data && in->dtype == out->dtype && in->cols == out->cols &&
                in->stride == out->stride;
    if (in->rows == 0 || same || !transform_overlaps(in, out)) return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT,
                       "%s: out overlaps in; they must lie apart, or be the same f32 array", verb);
}

/* Both directions: all checks, then the blocks. */
static sonde_status transform_run(struct transform_job *job, const char *verb, const sonde_array *in,
                                  int64_t in_cols, sonde_array *out, int64_t out_cols)
{
    sonde_runtime *runtime = job->transform->runtime;
    char what[40];
    if (!job->transform->trained)
        return sonde__fail(SONDE_STATE,
                           "%s: the transform %s is not trained; train it first: sonde_transform_train", verb,
                           sonde__params_text(job->transform->params));
    snprintf(what, sizeof what, "%s: in", verb);
    SONDE_TRY(sonde__array_check(in, what, in_cols, SONDE__DTYPES_NUMERIC, &job->in));
    snprintf(what, sizeof what, "%s: out", verb);
    SONDE_TRY(sonde__array_check(out, what, out_cols, SONDE__DTYPE_BIT(SONDE_DTYPE_F32), &job->out));
    if (job->in.rows != job->out.rows)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: out has %lld rows, in %lld", verb,
                           (long long)job->out.rows, (long long)job->in.rows);
    SONDE_TRY(transform_check_overlap(job, verb));
    snprintf(what, sizeof what, "%s: in", verb);
    SONDE_TRY(sonde__array_check_finite(runtime, &job->in, what));
    return sonde__blocks_each(runtime, 0, &job->in, verb, transform_block, job);
}

sonde_status sonde_transform_apply(const sonde_transform *transform, const sonde_array *in, sonde_array *out)
{
    if (!transform) return sonde__fail(SONDE_INVALID_ARGUMENT, "apply: the transform is NULL");
    struct transform_job job = {.transform = transform, .map = transform->method->apply};
    return transform_run(&job, "apply", in, transform->dim, out, transform->dim_out);
}

sonde_status sonde_transform_apply_inverse(const sonde_transform *transform, const sonde_array *in,
                                           sonde_array *out)
{
    if (!transform) return sonde__fail(SONDE_INVALID_ARGUMENT, "apply_inverse: the transform is NULL");
    struct transform_job job = {.transform = transform, .map = transform->method->apply_inverse};
    if (!job.map)
        return sonde__fail(SONDE_UNSUPPORTED, "apply_inverse: %s has no way back",
                           transform->method->method.name);
    return transform_run(&job, "apply_inverse", in, transform->dim_out, out, transform->dim);
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

/* dim, trained, then what the method learned. An untrained transform is its spec and dim. */
static sonde_status transform_put(const void *handle, sonde__writer *writer)
{
    const sonde_transform *transform = handle;
    SONDE_TRY(sonde__write_int(writer, "dim", transform->dim));
    SONDE_TRY(sonde__write_int(writer, "trained", transform->trained));
    if (!transform->trained || !transform->method->save) return SONDE_OK;
    return transform->method->save(transform, writer);
}

static sonde_status transform_take(sonde_runtime *runtime, sonde__reader *reader, void **handle)
{
    sonde_transform *transform = NULL;
    int64_t dim, trained;
    SONDE_TRY(sonde__read_int(reader, "dim", 1, SONDE__MAX_DIM, &dim));
    SONDE_TRY(sonde__read_int(reader, "trained", 0, 1, &trained));
    sonde_status status = transform_make(sonde__reader_spec(reader), dim, runtime, trained, &transform);
    if (status != SONDE_OK) return sonde__handle_from_file(status, &sonde__transform_noun);
    if (trained && transform->method->load) status = transform->method->load(transform, reader);
    if (status != SONDE_OK) {
        sonde_transform_free(transform);
        return status;
    }
    transform->trained = trained || transform->trained;
    *handle = transform;
    return SONDE_OK;
}

static const sonde__handle_class transform_class = {&sonde__transform_noun, transform_put, transform_take};

sonde_status sonde_transform_save(const sonde_transform *transform, const char *path)
{
    if (!transform) return sonde__fail(SONDE_INVALID_ARGUMENT, "save: the transform is NULL");
    sonde__handle_parts parts = transform_parts(transform);
    return sonde__handle_save(&transform_class, transform, &parts, path);
}

sonde_status sonde_transform_open(const char *path, const sonde_open_options *options, sonde_runtime *runtime,
                                  sonde_transform **transform)
{
    void *handle = NULL;
    if (!transform) return sonde__fail(SONDE_INVALID_ARGUMENT, "open: the place for the transform is NULL");
    SONDE_TRY(sonde__handle_open(&transform_class, path, options, runtime, &handle));
    *transform = handle;
    return SONDE_OK;
}

sonde_status sonde_transform_save_buffer(const sonde_transform *transform, void *buffer, size_t capacity,
                                         size_t *length)
{
    if (!transform) return sonde__fail(SONDE_INVALID_ARGUMENT, "save_buffer: the transform is NULL");
    sonde__handle_parts parts = transform_parts(transform);
    return sonde__handle_save_buffer(&transform_class, transform, &parts, buffer, capacity, length);
}

sonde_status sonde_transform_open_buffer(const void *buffer, size_t length, const sonde_open_options *options,
                                         sonde_runtime *runtime, sonde_transform **transform)
{
    void *handle = NULL;
    if (!transform) return sonde__fail(SONDE_INVALID_ARGUMENT, "open_buffer: the place for the transform is NULL");
    SONDE_TRY(sonde__handle_open_buffer(&transform_class, buffer, length, options, runtime, &handle));
    *transform = handle;
    return SONDE_OK;
}

sonde_status sonde__transform_write(const sonde_transform *transform, sonde__writer *writer,
                                    const char *child)
{
    return sonde__handle_write(&transform_class, transform, transform->params, writer, child);
}

sonde_status sonde__transform_read(sonde_runtime *runtime, sonde__reader *reader, const char *child,
                                   sonde_transform **transform)
{
    void *handle = NULL;
    SONDE_TRY(sonde__handle_read(&transform_class, runtime, reader, child, &handle));
    *transform = handle;
    return SONDE_OK;
}
