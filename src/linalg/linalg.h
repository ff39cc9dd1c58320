/* linalg.h: the internal door of the linear algebra room: products, clustering, rotations, decompositions.
 * Matrices are row-major f32 unless a name says otherwise; `ld` is the distance between rows in elements.
 *
 * Products and k-means run on our own packed kernels, inside our own parallel loops. The outside BLAS/LAPACK serves
 * decompositions (and products where only the generic kernels run), on the caller's thread only, so its threads never
 * multiply with ours.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_LINALG_H
#define SONDE_SRC_LINALG_H

#include "base/base.h"
#include "kernels/kernels.h"

/* ---- gemm.c: products -------------------------------------------------------------------------------- */

/* c (m x n) = a (m x k) times b (n x k) transposed. Runs in parallel over blocks of rows when threads allow. */
sonde_status sonde__gemm_nt(sonde_runtime *runtime, int threads, int64_t m, int64_t n, int64_t k, const float *a,
                            int64_t lda, const float *b, int64_t ldb, float *c, int64_t ldc);
/* c (m x n) = a (m x k) times b (k x n). */
sonde_status sonde__gemm_nn(sonde_runtime *runtime, int threads, int64_t m, int64_t n, int64_t k, const float *a,
                            int64_t lda, const float *b, int64_t ldb, float *c, int64_t ldc);
/* The covariance-like product c (d x d) = sum over rows of (x - mean)(x - mean)^T, accumulated in double; mean may be NULL. */
sonde_status sonde__gram(sonde_runtime *runtime, int threads, int64_t n, int64_t d, const float *x, int64_t ldx,
                         const float *mean, double *c);

/* ---- kmeans.c ---------------------------------------------------------------------------------------- */

typedef enum sonde__kmeans_start { SONDE__START_RANDOM = 0, SONDE__START_PLUSPLUS = 1 } sonde__kmeans_start;

/* All zero except k = sensible defaults. */
typedef struct sonde__kmeans_options {
    int64_t k;
    int iterations;        /* 0 = 10 */
    uint64_t seed;
    uint32_t start;        /* sonde__kmeans_start */
    bool spherical;        /* centroids of length 1, nearest by inner product */
    int64_t sample;        /* most rows used for training; 0 = all */
    const float *weights;  /* one per row, >= 0, not all 0; NULL = 1 */
    int threads;           /* 0 = the runtime's */
    bool hierarchical;     /* two levels of sqrt(k); for large k */
    const char *stage;     /* progress text; NULL = "k-means" */
} sonde__kmeans_options;

typedef struct sonde__kmeans_report {
    double objective;  /* sum over the training rows of weight x squared distance (spherical: of 1 - ip) at the end */
    int iterations;
    int64_t mended;    /* empty clusters that were given a row */
    double scanned;    /* share of row-centroid products that were computed rather than pruned */
} sonde__kmeans_report;

/* Clusters n rows of d columns; centroids is k x d, packed. n >= k else INVALID_ARGUMENT. No cluster is left empty as
 * long as there are k distinct rows. The training rows are copied; the first iterations may run on a part of them. The
 * result depends on the data, options and instruction set, not on threads. report may be NULL. */
sonde_status sonde__kmeans(sonde_runtime *runtime, const float *x, int64_t ldx, int64_t n, int64_t d,
                           const sonde__kmeans_options *options, float *centroids, sonde__kmeans_report *report);

/* Nearest centroid of each row (squared L2, or inner product if `spherical`); distance may be NULL. Ties to the lower number. */
sonde_status sonde__assign(sonde_runtime *runtime, int threads, const float *x, int64_t ldx, int64_t n, int64_t d,
                           const float *centroids, int64_t k, bool spherical, int32_t *label, float *distance);

/* Mini-batch k-means over a stream: feed batches, read the centroids at the end. Constant memory. */
typedef struct sonde__kmeans_stream sonde__kmeans_stream;
sonde_status sonde__kmeans_stream_create(sonde_runtime *runtime, int64_t d, const sonde__kmeans_options *options,
                                         sonde__kmeans_stream **stream);
sonde_status sonde__kmeans_stream_observe(sonde__kmeans_stream *stream, const float *x, int64_t ldx, int64_t n);
sonde_status sonde__kmeans_stream_finish(sonde__kmeans_stream *stream, float *centroids);
void sonde__kmeans_stream_free(sonde__kmeans_stream *stream);

/* ---- random_rotation.c ------------------------------------------------------------------------------- */

/* A random orthonormal d x d matrix (QR of a Gaussian, signs fixed), the same for every thread count and machine up to rounding. */
sonde_status sonde__random_rotation(sonde_runtime *runtime, int64_t d, uint64_t seed, float *q);
/* Fast rotation with signs, Walsh-Hadamard and Kac steps (kernels card): D = d padded to a multiple of 64. */
int64_t sonde__fht_padded(int64_t d);
int64_t sonde__fht_sign_bytes(int64_t d); /* 4 rounds x D bits */
void sonde__fht_signs(int64_t d, uint64_t seed, uint8_t *signs);
void sonde__fht_rotate(int64_t d, const uint8_t *signs, const float *x, float *out);         /* out has D elements */
void sonde__fht_rotate_back(int64_t d, const uint8_t *signs, const float *x, float *out);    /* x has D, out has d */

/* ---- decompose.c (own) and blas.c (LAPACK front) ----------------------------------------------------- */

/* Symmetric eigen: a (n x n, destroyed) -> values descending, vectors in the ROWS of v. */
sonde_status sonde__eigen_symmetric(sonde_runtime *runtime, int64_t n, double *a, double *values, double *v);
/* Thin SVD of a (m x n, destroyed), p = min(m, n): u (m x p), s (p, descending), vt (p x n). */
sonde_status sonde__svd(sonde_runtime *runtime, int64_t m, int64_t n, double *a, double *u, double *s, double *vt);
/* Thin QR of a (m x n, m >= n): a becomes Q (orthonormal columns), r (n x n, upper, positive diagonal). */
sonde_status sonde__qr(sonde_runtime *runtime, int64_t m, int64_t n, double *a, double *r);
/* Lower Cholesky factor in place; INVALID_ARGUMENT if a is not positive definite (the message names the pivot). */
sonde_status sonde__cholesky(sonde_runtime *runtime, int64_t n, double *a);
/* Solves L L^T x = b for `count` right-hand sides stored as rows of b, in place. */
void sonde__cholesky_solve(int64_t n, const double *l, int64_t count, double *b);

/* "openblas", "blis" or "none". */
const char *sonde__blas_name(void);

/* ---- balance.c: clustering under conditions on the sizes of the groups --------------------------------- */

typedef enum sonde__balance_mode {
    SONDE__BALANCE_NONE = 0,
    SONDE__BALANCE_SOFT,         /* a price proportional to the size of a group; no guarantee */
    SONDE__BALANCE_SINKHORN,     /* entropic transport to given masses */
    SONDE__BALANCE_CAPACITY,     /* hard limits on the sizes */
    SONDE__BALANCE_HIERARCHICAL  /* recursive splits until no group is above `high` */
} sonde__balance_mode;

typedef enum sonde__balance_order {
    SONDE__ORDER_REGRET = 0,     /* Sinkhorn prices, then the cheapest repairs: exact up to 2048 groups */
    SONDE__ORDER_AUCTION,        /* exact up to n times the step of the auction */
    SONDE__ORDER_ONEREC          /* group by group, the nearest free rows: as published, and worse */
} sonde__balance_order;

/* All zero = no condition at all. */
typedef struct sonde__balance {
    uint32_t mode, order;
    /* Sizes. Capacity: 0 and 0 = floor and ceil of n / k; 0 beside the other one = no limit. Hierarchical and soft use high
     * alone, 0 = twice ceil(n / k). */
    int64_t low, high;
    double eps;              /* sinkhorn, on distances scaled to [-1, 1]; 0 = 0.01 */
    int iterations;          /* of sinkhorn; 0 = 100, negative = none */
    double lambda;           /* soft; 0 = the least that keeps sizes within high; negative = none */
    const double *masses;    /* sinkhorn: k, sum 1; NULL = 1 / k */
} sonde__balance;

/* sonde__kmeans under conditions; labels (n, may be NULL) are the groups of the rows themselves, within the limits;
 * prices (k, may be NULL) let sonde__assign_priced treat other rows alike. options->start given: start (k x d) or NULL. */
sonde_status sonde__kmeans_balanced(sonde_runtime *runtime, const float *x, int64_t ldx, int64_t n, int64_t d,
                                    const sonde__kmeans_options *options, const sonde__balance *balance,
                                    const float *start, float *centroids, int32_t *labels, double *prices,
                                    sonde__kmeans_report *report);

/* One assignment of n rows to given centroids under conditions. */
sonde_status sonde__assign_balanced(sonde_runtime *runtime, int threads, const float *x, int64_t ldx, int64_t n,
                                    int64_t d, const float *centroids, int64_t k, const sonde__balance *balance,
                                    int32_t *labels, double *prices);

/* argmin over j of |x - c_j|^2 - prices[j], ties to the lower number. */
sonde_status sonde__assign_priced(sonde_runtime *runtime, int threads, const float *x, int64_t ldx, int64_t n, int64_t d,
                                  const float *centroids, int64_t k, const double *prices, int32_t *label);

#endif
