/* transform.h: the internal door of the transforms room, and what a method's file must supply.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_TRANSFORM_H
#define SONDE_SRC_TRANSFORM_H

#include "base/base.h"

typedef struct sonde__transform_method {
    sonde__method method; /* name, keys, inputs */
    /* Reads transform->params, sets dim_out, allocates state; `trained` = true if nothing is to be learned. */
    sonde_status (*create)(sonde_transform *transform);
    /* n x dim packed rows, finite. Builds a new state and swaps it in at the end. NULL: nothing to learn. */
    sonde_status (*train)(sonde_transform *transform, const float *x, int64_t n);
    /* Serial, thread-safe, called on chunks of rows. in and out do not overlap. */
    void (*apply)(const sonde_transform *transform, const float *in, int64_t n, float *out);
    void (*apply_inverse)(const sonde_transform *transform, const float *in, int64_t n, float *out); /* NULL: none */
    sonde_status (*save)(const sonde_transform *transform, sonde__writer *writer);
    sonde_status (*load)(sonde_transform *transform, sonde__reader *reader);
    void (*drop)(sonde_transform *transform); /* frees state; state may be NULL */
} sonde__transform_method;

struct sonde_transform {
    sonde_runtime *runtime;
    sonde__params *params;
    const sonde__transform_method *method; /* create may put a variant of its own here, for what the spec asks */
    int64_t dim, dim_out;
    bool trained;
    bool opening; /* learned parts come from a file next: create makes none */
    void *state; /* the method's own */
};

extern const sonde__noun sonde__transform_noun;

/* For owners of a child transform inside another handle's file. */
sonde_status sonde__transform_write(const sonde_transform *transform, sonde__writer *writer, const char *child);
sonde_status sonde__transform_read(sonde_runtime *runtime, sonde__reader *reader, const char *child,
                                   sonde_transform **transform);

#endif
