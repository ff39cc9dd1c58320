/* bernoulli.h: the model of the quantizer bernoulli, shown so that its gradient can be tested.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_BERNOULLI_H
#define SONDE_SRC_BERNOULLI_H

#include "base/base.h"

/* p = sigmoid(W x + c), xhat = z E + bias. The parameters lie one after the other, so that an optimiser sees one
 * vector. */
typedef struct sonde__bernoulli {
    int64_t dim, bits;
    float *parameters;
} sonde__bernoulli;

int64_t sonde__bernoulli_count(const sonde__bernoulli *model); /* 2 bits dim + bits + dim */
static inline float *sonde__bernoulli_encoder(const sonde__bernoulli *model)
{
    return model->parameters;
} /* bits x dim */
static inline float *sonde__bernoulli_decoder(const sonde__bernoulli *model) /* E: bits x dim */
{
    return model->parameters + model->bits * model->dim;
}
static inline float *sonde__bernoulli_offset(const sonde__bernoulli *model) /* c: bits */
{
    return model->parameters + 2 * model->bits * model->dim;
}
static inline float *sonde__bernoulli_bias(const sonde__bernoulli *model) /* dim */
{
    return sonde__bernoulli_offset(model) + model->bits;
}

/* One batch of n rows and room for what is computed on the way. */
typedef struct sonde__bernoulli_batch {
    int64_t n;
    float *x;           /* n x dim */
    float *p, *z;       /* n x bits: probabilities, and what the decoder sees: draws, or p itself */
    float *error;       /* n x dim: xhat - x */
    float *transposed;  /* bits x n */
    float *gradient;    /* of all parameters */
} sonde__bernoulli_batch;

sonde_status sonde__bernoulli_probabilities(sonde_runtime *runtime, int threads, const sonde__bernoulli *model,
                                            sonde__bernoulli_batch *batch);
/* z[i] = 1 with probability p[i], by (seed, number of the first row in all batches). */
void sonde__bernoulli_draw(uint64_t seed, uint64_t first, int64_t bits, sonde__bernoulli_batch *batch);
/* loss = mean over rows of |x - xhat|^2 / dim + sharp * mean of p (1 - p), and its gradient from x, p and z: the
 * gradient passes from z to p as if they were the same (straight through), which is exact where z = p. */
sonde_status sonde__bernoulli_gradient(sonde_runtime *runtime, int threads, const sonde__bernoulli *model,
                                       float sharp, sonde__bernoulli_batch *batch, double *loss);

#endif
