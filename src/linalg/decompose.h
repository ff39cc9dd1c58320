/* decompose.h: our own decompositions, under names of their own so that they can be tested beside an outside LAPACK.
 * Not for other rooms: they call the functions of linalg.h, which blas.c sends here or to LAPACK.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_DECOMPOSE_H
#define SONDE_SRC_DECOMPOSE_H

#include "linalg/linalg.h"

/* As in linalg.h; the entries must be finite. */
sonde_status sonde__own_eigen_symmetric(sonde_runtime *runtime, int64_t n, double *a, double *values,
                                        double *v);
sonde_status sonde__own_svd(sonde_runtime *runtime, int64_t m, int64_t n, double *a, double *u, double *s,
                            double *vt);
sonde_status sonde__own_qr(sonde_runtime *runtime, int64_t m, int64_t n, double *a, double *r);
sonde_status sonde__own_cholesky(sonde_runtime *runtime, int64_t n, double *a);

/* ---- decompose.c: what they share ------------------------------------------------------------------------------- */

double sonde__dot_f64(const double *x, const double *y, int64_t n);
void sonde__axpy_f64(double a, const double *x, int64_t n, double *y);
/* to (n x m) = from (m x n) transposed. */
void sonde__transpose_f64(const double *from, int64_t m, int64_t n, double *to);

/* Householder reflectors H_k = I - beta_k v_k v_k^T. v_k begins at column k + shift of row k and has zeros before. */
typedef struct sonde__reflectors {
    const double *v;
    const double *beta;
    int64_t length, ld, shift;
} sonde__reflectors;

/* x becomes v of the reflector that takes x to (result, 0, 0, ...); beta is 0 if there is nothing to do. */
double sonde__reflector_make(double *x, int64_t n, double *beta);
/* Applies H_from first, then the next one, up to but without H_to, to each row of y; to < from counts downwards. */
sonde_status sonde__reflectors_apply(sonde_runtime *runtime, const sonde__reflectors *reflectors, int64_t from,
                                     int64_t to, double *y, int64_t ld, int64_t rows);

#endif
