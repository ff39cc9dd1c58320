/* bernoulli.c: codes of bits that are random while they learn: an encoder gives each bit a probability, a decoder
 * rebuilds the row from drawn bits, and both learn to lose little. (Wang et al.: Binary Latent Diffusion, 2023.)
 *
 *     p = sigmoid(W x + c)     z ~ Bernoulli(p)     xhat = z E + bias
 *     loss = |x - xhat|^2 / dim + sharp * mean p (1 - p)
 *
 * Learning passes the gradient of z on to p (straight through) and steps by Adam with a rate that falls to 0; W
 * starts as random orthonormal directions and E as their reconstruction, which is lsh. Rows are centred and brought
 * to a mean square of 1 a column, so that one rate suits W and E; that is undone in what is kept. The second term
 * drives p to 0 or 1: the published code applies the sigmoid twice in it, here it is of the true p.
 *
 * A trained code is z = [p > 0.5], that is <W, x> > -c: one bit a direction (signs.c), with a way back of its own:
 *
 *     decode = (bias + sum E / 2) + sum of +-E / 2
 *
 * Scores of a query are inner products with that (asymmetric). Hamming distance compares codes.
 * Cost: training 10 bits dim flop a row and epoch; encoding dim x bits multiply-adds a row.
 *
 * SPDX-License-Identifier: MIT
 */
#include "quantizers/bernoulli.h"

#include <math.h>

#include "kernels/blocks.h"
#include "linalg/linalg.h"
#include "quantizers/signs.h"

enum {
    BERNOULLI_SAMPLE = 65536,
    BERNOULLI_START_ROWS = 1024, /* that the start looks at */
    BERNOULLI_STREAM_DRAW = 0x7201,
    BERNOULLI_STREAM_BATCH = 0x7202
};

/* ---- the model -------------------------------------------------------------------------------------------------- */

int64_t sonde__bernoulli_count(const sonde__bernoulli *model)
{
    return 2 * model->bits * model->dim + model->bits + model->dim;
}

sonde_status sonde__bernoulli_probabilities(sonde_runtime *runtime, int threads, const sonde__bernoulli *model,
                                            sonde__bernoulli_batch *batch)
{
    int64_t dim = model->dim, bits = model->bits;
    const float *offset = sonde__bernoulli_offset(model);
    SONDE_TRY(sonde__gemm_nt(runtime, threads, batch->n, bits, dim, batch->x, dim, sonde__bernoulli_encoder(model),
                             dim, batch->p, bits));
    for (int64_t i = 0; i < batch->n; i++)
        for (int64_t b = 0; b < bits; b++)
            batch->p[i * bits + b] = 1 / (1 + expf(-(batch->p[i * bits + b] + offset[b])));
    return SONDE_OK;
}

void sonde__bernoulli_draw(uint64_t seed, uint64_t first, int64_t bits, sonde__bernoulli_batch *batch)
{
    for (int64_t i = 0; i < batch->n; i++) {
        sonde__rng rng;
        sonde__rng_start(&rng, seed, BERNOULLI_STREAM_DRAW, first + (uint64_t)i);
        for (int64_t b = 0; b < bits; b++)
            batch->z[i * bits + b] = (float)(sonde__rng_u32(&rng) >> 8) < batch->p[i * bits + b] * 0x1p24f;
    }
}

/* error = z E + bias - x; returns its mean square. */
static sonde_status bernoulli_errors(sonde_runtime *runtime, int threads, const sonde__bernoulli *model,
                                     sonde__bernoulli_batch *batch, double *mean_square)
{
    int64_t dim = model->dim, bits = model->bits;
    const float *bias = sonde__bernoulli_bias(model);
    double sum = 0;
    SONDE_TRY(sonde__gemm_nn(runtime, threads, batch->n, dim, bits, batch->z, bits, sonde__bernoulli_decoder(model),
                             dim, batch->error, dim));
    for (int64_t i = 0; i < batch->n; i++) {
        float *row = batch->error + i * dim;
        for (int64_t j = 0; j < dim; j++) row[j] += bias[j] - batch->x[i * dim + j];
        sum += (double)sonde__kernels_get()->norm2(row, dim);
    }
    *mean_square = sum / (double)(batch->n * dim);
    return SONDE_OK;
}

/* to[b * n + i] = from[i * bits + b] */
static void bernoulli_transpose(const float *from, int64_t n, int64_t bits, float *to)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t b = 0; b < bits; b++) to[b * n + i] = from[i * bits + b];
}

static void bernoulli_column_sums(const float *x, int64_t n, int64_t cols, float *sums)
{
    memset(sums, 0, (size_t)cols * sizeof *sums);
    for (int64_t i = 0; i < n; i++) sonde__kernels_get()->axpy(1, x + i * cols, cols, sums);
}

/* From d loss / d z to d loss / d logits, in place; adds the second term. Returns the sum of p (1 - p). */
static double bernoulli_logit_gradient(const float *p, int64_t count, float sharp, float *g)
{
    float each = sharp / (float)count;
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        float slope = p[i] * (1 - p[i]);
        g[i] = (g[i] + each * (1 - 2 * p[i])) * slope;
        sum += (double)slope;
    }
    return sum;
}

sonde_status sonde__bernoulli_gradient(sonde_runtime *runtime, int threads, const sonde__bernoulli *model,
                                       float sharp, sonde__bernoulli_batch *batch, double *loss)
{
    int64_t dim = model->dim, bits = model->bits, n = batch->n;
    sonde__bernoulli gradient = {dim, bits, batch->gradient};
    SONDE_TRY(bernoulli_errors(runtime, threads, model, batch, loss));
    float factor = 2 / (float)(n * dim);
    for (int64_t i = 0; i < n * dim; i++) batch->error[i] *= factor;
    bernoulli_transpose(batch->z, n, bits, batch->transposed);
    SONDE_TRY(sonde__gemm_nn(runtime, threads, bits, dim, n, batch->transposed, n, batch->error, dim,
                             sonde__bernoulli_decoder(&gradient), dim));
    bernoulli_column_sums(batch->error, n, dim, sonde__bernoulli_bias(&gradient));
    float *g = batch->z; /* the draws are not needed any more */
    SONDE_TRY(sonde__gemm_nt(runtime, threads, n, bits, dim, batch->error, dim, sonde__bernoulli_decoder(model), dim,
                             g, bits));
    *loss += sharp * bernoulli_logit_gradient(batch->p, n * bits, sharp, g) / (double)(n * bits);
    bernoulli_column_sums(g, n, bits, sonde__bernoulli_offset(&gradient));
    bernoulli_transpose(g, n, bits, batch->transposed);
    return sonde__gemm_nn(runtime, threads, bits, dim, n, batch->transposed, n, batch->x, dim,
                          sonde__bernoulli_encoder(&gradient), dim);
}

/* ---- learning --------------------------------------------------------------------------------------------------- */

struct bernoulli_fit {
    sonde_runtime *runtime;
    int threads;
    uint64_t seed;
    const float *x; /* n x dim, centred, mean square 1 */
    int64_t n, steps;
    float sharp, rate;
    sonde__bernoulli model;
    sonde__bernoulli_batch batch;
    float *first, *second; /* Adam's moments */
};

static sonde_status bernoulli_fit_new(struct bernoulli_fit *fit)
{
    int64_t dim = fit->model.dim, bits = fit->model.bits, rows = fit->batch.n;
    int64_t count = sonde__bernoulli_count(&fit->model);
    SONDE_TRY(SONDE_NEW_ZERO(fit->runtime, fit->model.parameters, count));
    SONDE_TRY(SONDE_NEW_ZERO(fit->runtime, fit->first, count));
    SONDE_TRY(SONDE_NEW_ZERO(fit->runtime, fit->second, count));
    SONDE_TRY(SONDE_NEW(fit->runtime, fit->batch.gradient, count));
    SONDE_TRY(SONDE_NEW(fit->runtime, fit->batch.x, rows * dim));
    SONDE_TRY(SONDE_NEW(fit->runtime, fit->batch.error, rows * dim));
    SONDE_TRY(SONDE_NEW(fit->runtime, fit->batch.p, rows * bits));
    SONDE_TRY(SONDE_NEW(fit->runtime, fit->batch.z, rows * bits));
    return SONDE_NEW(fit->runtime, fit->batch.transposed, rows * bits);
}

static void bernoulli_fit_drop(struct bernoulli_fit *fit)
{
    sonde__free(fit->runtime, fit->model.parameters);
    sonde__free(fit->runtime, fit->first);
    sonde__free(fit->runtime, fit->second);
    sonde__free(fit->runtime, fit->batch.gradient);
    sonde__free(fit->runtime, fit->batch.x);
    sonde__free(fit->runtime, fit->batch.error);
    sonde__free(fit->runtime, fit->batch.p);
    sonde__free(fit->runtime, fit->batch.z);
    sonde__free(fit->runtime, fit->batch.transposed);
}

/* Orthonormal directions for W; E takes +-s along each, where s is how far a row lies out on the average. */
static sonde_status bernoulli_start(struct bernoulli_fit *fit)
{
    int64_t dim = fit->model.dim, bits = fit->model.bits, rows = sonde__min_i64(fit->n, BERNOULLI_START_ROWS);
    float *w = sonde__bernoulli_encoder(&fit->model), *e = sonde__bernoulli_decoder(&fit->model);
    float *bias = sonde__bernoulli_bias(&fit->model), out[BERNOULLI_START_ROWS];
    SONDE_TRY(sonde__directions_random(fit->runtime, dim, bits, true, fit->seed, w));
    for (int64_t b = 0; b < bits; b++) {
        double sum = 0;
        sonde__kernels_get()->ip_rows[SONDE__ROW_F32](w + b * dim, fit->x, dim * (int64_t)sizeof *w, rows, dim, out);
        for (int64_t i = 0; i < rows; i++) sum += fabs((double)out[i]);
        /* Blocks of dim directions repeat each other: together they must not overshoot. */
        float s = (float)(sum / (double)rows / (double)((bits + dim - 1) / dim));
        for (int64_t j = 0; j < dim; j++) {
            e[b * dim + j] = 2 * s * w[b * dim + j];
            bias[j] -= s * w[b * dim + j];
        }
    }
    return SONDE_OK;
}

/* Step t (from 1) of Adam. */
static void bernoulli_adam(struct bernoulli_fit *fit, int64_t t)
{
    const float keep1 = 0.9f, keep2 = 0.999f;
    float rate = fit->rate * (float)(fit->steps - t + 1) / (float)fit->steps;
    float scale1 = (float)(1 / (1 - pow(0.9, (double)t))), scale2 = (float)(1 / (1 - pow(0.999, (double)t)));
    float *parameters = fit->model.parameters, *first = fit->first, *second = fit->second;
    const float *g = fit->batch.gradient;
    for (int64_t i = 0; i < sonde__bernoulli_count(&fit->model); i++) {
        first[i] = keep1 * first[i] + (1 - keep1) * g[i];
        second[i] = keep2 * second[i] + (1 - keep2) * g[i] * g[i];
        parameters[i] -= rate * first[i] * scale1 / (sqrtf(second[i] * scale2) + 1e-8f);
    }
}

/* Rows are drawn with replacement: the same batch whatever came before. */
static sonde_status bernoulli_step(struct bernoulli_fit *fit, int64_t t)
{
    sonde__bernoulli_batch *batch = &fit->batch;
    int64_t dim = fit->model.dim;
    double loss;
    sonde__rng rng;
    sonde__rng_start(&rng, fit->seed, BERNOULLI_STREAM_BATCH, (uint64_t)t);
    for (int64_t i = 0; i < batch->n; i++)
        memcpy(batch->x + i * dim, fit->x + (int64_t)sonde__rng_below(&rng, (uint64_t)fit->n) * dim,
               (size_t)dim * sizeof *batch->x);
    SONDE_TRY(sonde__bernoulli_probabilities(fit->runtime, fit->threads, &fit->model, batch));
    sonde__bernoulli_draw(fit->seed, (uint64_t)(t * batch->n), fit->model.bits, batch);
    SONDE_TRY(sonde__bernoulli_gradient(fit->runtime, fit->threads, &fit->model, fit->sharp, batch, &loss));
    bernoulli_adam(fit, t);
    return SONDE_OK;
}

static sonde_status bernoulli_learn(struct bernoulli_fit *fit)
{
    SONDE_TRY(bernoulli_fit_new(fit));
    SONDE_TRY(bernoulli_start(fit));
    for (int64_t t = 1; t <= fit->steps; t++) {
        SONDE_TRY(sonde__poll(fit->runtime, "bernoulli: steps", (uint64_t)t, (uint64_t)fit->steps));
        SONDE_TRY(bernoulli_step(fit, t));
    }
    return SONDE_OK;
}

/* What was learned on (x - center) / deviation, for x. parts->center holds the mean. */
static void bernoulli_keep(const sonde__bernoulli *model, double deviation, sonde__signs_parts *parts)
{
    int64_t dim = model->dim, bits = model->bits;
    const float *w = sonde__bernoulli_encoder(model), *e = sonde__bernoulli_decoder(model);
    const float *bias = sonde__bernoulli_bias(model);
    memcpy(parts->matrix, w, (size_t)(bits * dim) * sizeof *w);
    for (int64_t b = 0; b < bits; b++) {
        double along = 0;
        for (int64_t j = 0; j < dim; j++) along += (double)w[b * dim + j] * parts->center[j];
        parts->threshold[b] = (float)(along - deviation * (double)sonde__bernoulli_offset(model)[b]);
    }
    for (int64_t j = 0; j < dim; j++) {
        double sum = 2 * (double)bias[j];
        for (int64_t b = 0; b < bits; b++) {
            sum += (double)e[b * dim + j];
            parts->back[b * dim + j] = (float)(deviation * (double)e[b * dim + j] / 2);
        }
        parts->center[j] = (float)(parts->center[j] + deviation * sum / 2);
    }
}

static sonde_status bernoulli_train(sonde_quantizer *quantizer, const sonde__training *training)
{
    const sonde__signs *signs = quantizer->state;
    const sonde__params *params = quantizer->params;
    sonde_runtime *runtime = quantizer->runtime;
    int64_t dim = quantizer->dim;
    struct bernoulli_fit fit = {.runtime = runtime, .threads = training->threads,
                                .seed = (uint64_t)sonde__param_int(params, "seed"),
                                .sharp = (float)sonde__param_real(params, "sharp"),
                                .rate = (float)sonde__param_real(params, "lr"),
                                .model = {.dim = dim, .bits = signs->bits}};
    sonde__signs_parts parts;
    float *x = NULL;
    SONDE_TRY(sonde__signs_parts_new(quantizer, true, &parts));
    sonde_status status = sonde__signs_sample(runtime, training, dim, BERNOULLI_SAMPLE, fit.seed, true, parts.center,
                                              &x, &fit.n);
    if (status == SONDE_OK) {
        double deviation = sonde__signs_normalise(x, fit.n * dim);
        fit.x = x;
        fit.batch.n = sonde__min_i64(fit.n, sonde__param_int(params, "batch"));
        fit.steps = sonde__param_int(params, "epochs") * ((fit.n + fit.batch.n - 1) / fit.batch.n);
        status = bernoulli_learn(&fit);
        if (status == SONDE_OK) bernoulli_keep(&fit.model, deviation, &parts);
        bernoulli_fit_drop(&fit);
    }
    sonde__free(runtime, x);
    if (status == SONDE_OK) return sonde__signs_adopt(quantizer, &parts);
    sonde__signs_parts_drop(runtime, &parts);
    return status;
}

/* ---- the method ------------------------------------------------------------------------------------------------- */

static sonde_status bernoulli_create(sonde_quantizer *quantizer)
{
    quantizer->sample_rows = BERNOULLI_SAMPLE;
    return sonde__signs_create(quantizer, sonde__param_int(quantizer->params, "bits"));
}

static const sonde__key bernoulli_keys[] = {
    {"bits", SONDE__KEY_INT, "64", 1, SONDE__MAX_DIM, NULL, NULL, "bits of a code"},
    {"epochs", SONDE__KEY_INT, "20", 1, 100000, NULL, NULL, "passes over the training rows"},
    {"lr", SONDE__KEY_REAL, "0.01", 0, 1, NULL, NULL, "rate of Adam at the start; it falls to 0"},
    {"sharp", SONDE__KEY_REAL, "0.1", 0, 1000, NULL, NULL, "weight of mean p (1 - p) beside the squared error"},
    {"batch", SONDE__KEY_INT, "256", 1, 65536, NULL, NULL, "rows of a step"},
    {"seed", SONDE__KEY_INT, "1", 0, 9007199254740992.0, NULL, NULL,
     "of the start, the sample, the batches and the draws"},
    {0},
};

const sonde__quantizer_method sonde__quantizer_bernoulli = {
    .method = {"bernoulli", "bits of a learned linear encoder with its own linear decoder",
               "Wang et al.: Binary latent diffusion (2023)", bernoulli_keys, sonde__vectors_input, NULL, NULL},
    .create = bernoulli_create,
    .train = bernoulli_train,
    SONDE__SIGNS_HOOKS,
};
