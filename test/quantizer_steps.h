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

/* A life on few rows that may end anywhere, for failing_walk: created, trained, and asked for codes. */
static inline sonde_status life_of(const char *spec, const float *x, int64_t n, int64_t dim,
                                   sonde_runtime_options *options)
{
    sonde_runtime *runtime = NULL;
    sonde_quantizer *quantizer = NULL;
    options->threads = 1;
    sonde_status status = sonde_runtime_create(options, &runtime);
    if (status == SONDE_OK) status = sonde_quantizer_create(spec, dim, runtime, &quantizer);
    if (status == SONDE_OK) status = train(quantizer, x, n);
    if (status == SONDE_OK) {
        int64_t bytes = sonde_quantizer_code_bytes(quantizer);
        uint8_t *codes = test_alloc((size_t)(n * bytes), 1);
        sonde_array rows = sonde_f32(x, n, dim), out = sonde_u8(codes, n, bytes);
        status = sonde_quantizer_encode(quantizer, &rows, &out);
        free(codes);
    }
    sonde_quantizer_free(quantizer);
    sonde_runtime_free(runtime);
    return status;
}

#endif
