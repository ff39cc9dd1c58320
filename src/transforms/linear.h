/* linear.h: out = matrix x + offset for many rows x, prepared once; what linear transforms share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_LINEAR_H
#define SONDE_SRC_LINEAR_H

#include "base/base.h"

typedef struct sonde__linear {
    int64_t in, out;
    float *matrix; /* out x in */
    float *offset; /* out, or NULL */
    float *panels; /* the matrix packed for the tile kernel, lanes rows of it a panel */
} sonde__linear;

/* Takes matrix and offset (may be NULL) over and packs them; on failure they stay the caller's. */
sonde_status sonde__linear_make(sonde_runtime *runtime, int64_t in, int64_t out, float *matrix, float *offset,
                                sonde__linear *linear);
void sonde__linear_drop(sonde_runtime *runtime, sonde__linear *linear);

/* Packed rows. A row's result does not depend on the rows beside it. */
void sonde__linear_apply(const sonde__linear *linear, const float *x, int64_t n, float *y);
/* x = matrix^T y, without the offset: the inverse where the rows of the matrix are orthonormal. */
void sonde__linear_transposed(const sonde__linear *linear, const float *y, int64_t n, float *x);

#endif
