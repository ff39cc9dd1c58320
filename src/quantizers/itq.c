/* itq.c: iterative quantization: the rotation of the principal components whose signs lose least.
 * (Gong, Lazebnik 2011.)
 *
 *     Y = (X - mean) P          P: the first `bits` principal axes
 *     B = sign(Y R),  R = U V^T  where  U S V^T = Y^T B,   again and again from a random rotation R
 *
 * Both halves make ||B - Y R||^2 = n bits + ||Y||^2 - 2 sum |Y R| smaller, or leave it. One matrix is left of it all:
 * bit b = <column b of P R, x - mean> > 0; decode = mean + scale * sum of +-column b, the scale of least squared
 * error.
 *
 * In memory everything is transposed, bits x rows, so that both products of a round have their operands as they lie.
 * Scores of a query are inner products with the reconstruction (asymmetric). Hamming distance compares codes.
 * Cost: training dim^2 x sample, an eigen-decomposition, and 4 bits^2 x sample flop and an SVD of bits x bits a
 * round; encoding dim x bits multiply-adds a row.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernels/blocks.h"
#include "linalg/linalg.h"
#include "quantizers/signs.h"

enum { ITQ_SAMPLE_LEAST = 16384, ITQ_ROWS_A_BIT = 100 };

static int64_t itq_sample(const sonde__params *params)
{
    if (!sonde__param_is(params, "sample", "auto")) return sonde__param_int(params, "sample");
    return sonde__max_i64(ITQ_SAMPLE_LEAST, ITQ_ROWS_A_BIT * sonde__param_int(params, "bits"));
}

static sonde_status itq_create(sonde_quantizer *quantizer)
{
    int64_t bits = sonde__param_int(quantizer->params, "bits");
    if (bits > quantizer->dim)
        return sonde__fail(
            SONDE_INVALID_ARGUMENT,
            "itq: bits=%lld is more than the %lld columns of the vectors; lsh and bernoulli allow more",
            (long long)bits, (long long)quantizer->dim);
    SONDE_TRY(sonde__signs_create(quantizer, bits));
    quantizer->min_rows = 2;
    quantizer->sample_rows = itq_sample(quantizer->params);
    return SONDE_OK;
}

/* ---- the rounds ------------------------------------------------------------------------------------------------- */

/* Buffers of the rounds. */
struct itq_work {
    float *axes;       /* count x dim: P transposed */
    float *components; /* count x n: Y transposed */
    float *turned;     /* count x n: Y R, then its signs, transposed */
    float *rotation;   /* count x count: R transposed */
    float *product;    /* count x count */
    double *svd;       /* 3 count^2 + count */
};

static sonde_status itq_work_new(const sonde__itq_task *task, struct itq_work *work)
{
    int64_t count = task->count;
    SONDE_TRY(SONDE_NEW(task->runtime, work->axes, count * task->dim));
    SONDE_TRY(SONDE_NEW(task->runtime, work->components, count * task->n));
    SONDE_TRY(SONDE_NEW(task->runtime, work->turned, count * task->n));
    SONDE_TRY(SONDE_NEW(task->runtime, work->rotation, count * count));
    SONDE_TRY(SONDE_NEW(task->runtime, work->product, count * count));
    return SONDE_NEW(task->runtime, work->svd, (3 * count + 1) * count);
}

static void itq_work_drop(sonde_runtime *runtime, struct itq_work *work)
{
    sonde__free(runtime, work->axes);
    sonde__free(runtime, work->components);
    sonde__free(runtime, work->turned);
    sonde__free(runtime, work->rotation);
    sonde__free(runtime, work->product);
    sonde__free(runtime, work->svd);
}

static void itq_signs(float *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++) values[i] = values[i] > 0 ? 1 : -1;
}

/* The orthogonal matrix nearest to B^T Y, which is R transposed. */
static sonde_status itq_rotate(const sonde__itq_task *task, struct itq_work *work)
{
    int64_t count = task->count, square = count * count;
    double *a = work->svd, *u = a + square, *vt = u + square, *s = vt + square;
    for (int64_t i = 0; i < square; i++) a[i] = (double)work->product[i];
    SONDE_TRY(sonde__svd(task->runtime, count, count, a, u, s, vt));
    memset(a, 0, (size_t)square * sizeof *a);
    for (int64_t i = 0; i < count; i++)
        for (int64_t k = 0; k < count; k++)
            for (int64_t j = 0; j < count; j++) a[i * count + j] += u[i * count + k] * vt[k * count + j];
    for (int64_t i = 0; i < square; i++) work->rotation[i] = (float)a[i];
    return SONDE_OK;
}

static sonde_status itq_round(const sonde__itq_task *task, struct itq_work *work)
{
    int64_t count = task->count, n = task->n;
    SONDE_TRY(sonde__gemm_nn(task->runtime, task->threads, count, n, count, work->rotation, count, work->components,
                             n, work->turned, n));
    itq_signs(work->turned, count * n);
    SONDE_TRY(sonde__gemm_nt(task->runtime, task->threads, count, count, n, work->turned, n, work->components, n,
                             work->product, count));
    return itq_rotate(task, work);
}

/* matrix = R^T P^T. */
static sonde_status itq_solve(const sonde__itq_task *task, struct itq_work *work, float *matrix)
{
    sonde_runtime *runtime = task->runtime;
    int64_t dim = task->dim, count = task->count, n = task->n;
    SONDE_TRY(sonde__directions_principal(runtime, task->threads, n, dim, task->x, count, work->axes));
    SONDE_TRY(sonde__random_rotation(runtime, count, task->seed, work->rotation));
    SONDE_TRY(
        sonde__gemm_nt(runtime, task->threads, count, n, dim, work->axes, dim, task->x, dim, work->components, n));
    for (int64_t t = 0; t < task->rounds; t++) {
        SONDE_TRY(sonde__poll(runtime, "itq: rotation", (uint64_t)t, (uint64_t)task->rounds));
        SONDE_TRY(itq_round(task, work));
    }
    return sonde__gemm_nn(runtime, task->threads, count, dim, count, work->rotation, count, work->axes, dim, matrix,
                          dim);
}

sonde_status sonde__directions_itq(const sonde__itq_task *task, float *matrix)
{
    struct itq_work work = {0};
    sonde_status status = itq_work_new(task, &work);
    if (status == SONDE_OK) status = itq_solve(task, &work, matrix);
    itq_work_drop(task->runtime, &work);
    return status;
}

/* ---- the method ------------------------------------------------------------------------------------------------- */

static sonde_status itq_train(sonde_quantizer *quantizer, const sonde__training *training)
{
    const sonde__signs *signs = quantizer->state;
    const sonde__params *params = quantizer->params;
    sonde_runtime *runtime = quantizer->runtime;
    uint64_t seed = (uint64_t)sonde__param_int(params, "seed");
    sonde__signs_parts parts;
    float *x = NULL;
    int64_t n = 0;
    SONDE_TRY(sonde__signs_parts_new(quantizer, false, &parts));
    sonde_status status = sonde__signs_sample(runtime, training, quantizer->dim, itq_sample(params), seed, true,
                                              parts.center, &x, &n);
    double deviation = status == SONDE_OK ? sonde__signs_normalise(x, n * quantizer->dim) : 0;
    if (status == SONDE_OK) {
        sonde__itq_task task = {.runtime = runtime,
                                .threads = training->threads,
                                .x = x,
                                .n = n,
                                .dim = quantizer->dim,
                                .count = signs->bits,
                                .rounds = sonde__param_int(params, "iters"),
                                .seed = seed};
        status = sonde__directions_itq(&task, parts.matrix);
    }
    if (status == SONDE_OK) status = sonde__signs_finish(quantizer, x, n, deviation, &parts);
    else sonde__signs_parts_drop(runtime, &parts);
    sonde__free(runtime, x);
    return status;
}

static sonde_status itq_output(const sonde_quantizer *quantizer, int position, sonde_array *view)
{
    const sonde__signs *signs = quantizer->state;
    if (position == 0) *view = sonde_f32(signs->directions.matrix, signs->bits, quantizer->dim);
    else *view = sonde_f32(signs->center, 1, quantizer->dim);
    return SONDE_OK;
}

static const sonde__key itq_keys[] = {
    {"bits", SONDE__KEY_INT, "64", 1, SONDE__MAX_DIM, NULL, NULL,
     "bits of a code; at most the columns of the vectors"},
    {"iters", SONDE__KEY_INT, "50", 0, 10000, NULL, NULL, "rounds; 0: a random rotation of the principal components"},
    {"sample", SONDE__KEY_INT, "auto", 1, 1e9, "auto", NULL,
     "most rows to train on; auto: 100 a bit, 16384 at least"},
    {"seed", SONDE__KEY_INT, "1", 0, 9007199254740992.0, NULL, NULL, "of the sample and of the first rotation"},
    {0},
};

static const sonde__output_key itq_outputs[] = {
    {"directions", "bits x dim", SONDE_DTYPE_F32, "rows: the rotated principal axes; orthonormal"},
    {"mean", "1 x dim", SONDE_DTYPE_F32, "of the training rows"},
    {0},
};

const sonde__quantizer_method sonde__quantizer_itq = {
    .method = {"itq", "signs of the principal components after the rotation that loses least",
               "Gong, Lazebnik: Iterative quantization (2011)", itq_keys, sonde__vectors_input, NULL, itq_outputs},
    .create = itq_create,
    .train = itq_train,
    .output = itq_output,
    SONDE__SIGNS_HOOKS,
};
