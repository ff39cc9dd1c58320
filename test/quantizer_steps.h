/* quantizer_steps.h: the steps of a quantizer's life on plain arrays, for tests that take them one by one.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_QUANTIZER_STEPS_H
#define SONDE_QUANTIZER_STEPS_H

#include "test.h"

static inline sonde_quantizer *create(const char *spec, int64_t dim, sonde_runtime *runtime)
{
    sonde_quantizer *quantizer = NULL;
    OK(sonde_quantizer_create(spec, dim, runtime, &quantizer));
    return quantizer;
}

static inline sonde_status train(sonde_quantizer *quantizer, const float *x, int64_t n)
{
    sonde_array rows = sonde_f32(x, n, sonde_quantizer_dim(quantizer));
    sonde_input input = {"vectors", &rows};
    return sonde_quantizer_train(quantizer, &input, 1);
}

static inline uint8_t *encode(const sonde_quantizer *quantizer, const float *x, int64_t n)
{
    int64_t bytes = sonde_quantizer_code_bytes(quantizer);
    uint8_t *codes = test_alloc((size_t)(n * bytes), 1);
    sonde_array rows = sonde_f32(x, n, sonde_quantizer_dim(quantizer)), out = sonde_u8(codes, n, bytes);
    OK(sonde_quantizer_encode(quantizer, &rows, &out));
    return codes;
}

static inline float *decode(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t n)
{
    int64_t dim = sonde_quantizer_dim(quantizer);
    float *x = test_alloc((size_t)(n * dim), sizeof *x);
    sonde_array in = sonde_u8(codes, n, sonde_quantizer_code_bytes(quantizer)), out = sonde_f32(x, n, dim);
    OK(sonde_quantizer_decode(quantizer, &in, &out));
    return x;
}

#endif
