/* blas.c: who decomposes: LAPACK where the build has one (-DSONDE_LAPACK), our own code (decompose*.c) otherwise.
 *
 * LAPACK reads matrices by columns, so our row-major matrix is to it the transpose. No data is turned for that; other
 * routines are called: the eigenvectors of a symmetric matrix come out as our rows, the SVD swaps u and vt, QR
 * becomes LQ, and the lower Cholesky factor the upper one. The symbols are declared here, with the 32-bit integers of
 * the usual build. They are called on the caller's thread only.
 *
 * NaN and infinity are turned away first: some of these routines would loop on them.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "linalg/decompose.h"

#ifndef SONDE_BLAS_NAME
#define SONDE_BLAS_NAME "none"
#endif

const char *sonde__blas_name(void) { return SONDE_BLAS_NAME; }

#ifdef SONDE_LAPACK

/* The length of a character argument follows at the end, hidden, as Fortran compilers pass it. */
void dsyevd_(const char *jobz, const char *uplo, const int *n, double *a, const int *lda, double *w,
             double *work, const int *lwork, int *iwork, const int *liwork, int *info, size_t jobz_length,
             size_t uplo_length);
void dgesdd_(const char *jobz, const int *m, const int *n, double *a, const int *lda, double *s, double *u,
             const int *ldu, double *vt, const int *ldvt, double *work, const int *lwork, int *iwork, int *info,
             size_t jobz_length);
void dgelqf_(const int *m, const int *n, double *a, const int *lda, double *tau, double *work, const int *lwork,
             int *info);
void dorglq_(const int *m, const int *n, const int *k, double *a, const int *lda, const double *tau,
             double *work, const int *lwork, int *info);
void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info, size_t uplo_length);

/* Every routine is called twice: with lwork -1 it only says how much room it wants. */
static const int lapack_ask = -1;

static sonde_status lapack_failed(const char *routine, int info)
{
    return sonde__fail(SONDE_INTERNAL, "%s: LAPACK reports info=%d", routine, info);
}

/* Divide and conquer, for all vectors. Row-major or column-major is the same for a symmetric matrix. */
static sonde_status eigen_engine(sonde_runtime *runtime, int64_t rows, double *a, double *values, double *v)
{
    int n = (int)rows, info, integers;
    double size;
    dsyevd_("V", "L", &n, a, &n, values, &size, &lapack_ask, &integers, &lapack_ask, &info, 1, 1);
    int room = (int)size, *iwork = NULL;
    double *work = NULL;
    sonde_status status = SONDE_NEW(runtime, work, room);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, iwork, integers);
    if (status == SONDE_OK) {
        dsyevd_("V", "L", &n, a, &n, values, work, &room, iwork, &integers, &info, 1, 1);
        if (info != 0) status = lapack_failed("dsyevd", info);
    }
    sonde__free(runtime, iwork);
    sonde__free(runtime, work);
    if (status != SONDE_OK) return status;
    /* Ascending becomes descending. */
    for (int64_t i = 0; i < rows; i++)
        memcpy(v + i * rows, a + (rows - 1 - i) * rows, (size_t)rows * sizeof *v);
    for (int64_t i = 0; i < rows / 2; i++) {
        double value = values[i];
        values[i] = values[rows - 1 - i];
        values[rows - 1 - i] = value;
    }
    return SONDE_OK;
}

/* The transpose is a^T = vt^T s u^T: what LAPACK calls u is our vt, and the other way round. */
static sonde_status svd_engine(sonde_runtime *runtime, int64_t rows, int64_t cols, double *a, double *u,
                               double *s, double *vt)
{
    int m = (int)cols, n = (int)rows, p = m < n ? m : n, info, *iwork = NULL;
    double size, *work = NULL;
    dgesdd_("S", &m, &n, a, &m, s, vt, &m, u, &p, &size, &lapack_ask, NULL, &info, 1);
    int room = (int)size;
    sonde_status status = SONDE_NEW(runtime, work, room);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, iwork, 8 * p);
    if (status == SONDE_OK) {
        dgesdd_("S", &m, &n, a, &m, s, vt, &m, u, &p, work, &room, iwork, &info, 1);
        if (info != 0) status = lapack_failed("dgesdd", info);
    }
    sonde__free(runtime, iwork);
    sonde__free(runtime, work);
    return status;
}

/* a^T = L Q is a = Q^T L^T: Q comes out in the place of a, and L by columns is R by rows. */
static void lapack_keep_r(int64_t m, int64_t n, const double *a, double *r)
{
    memset(r, 0, (size_t)(n * n) * sizeof *r);
    for (int64_t i = 0; i < sonde__min_i64(m, n); i++)
        memcpy(r + i * n + i, a + i * n + i, (size_t)(n - i) * sizeof *r);
}

/* A positive diagonal of R makes Q unique, so that LAPACK and our own code give the same. */
static void lapack_fix_signs(int64_t m, int64_t n, double *a, double *r)
{
    for (int64_t k = 0; k < n; k++) {
        if (!(r[k * n + k] < 0)) continue;
        for (int64_t j = k; j < n; j++) r[k * n + j] = -r[k * n + j];
        for (int64_t i = 0; i < m; i++) a[i * n + k] = -a[i * n + k];
    }
}

/* The two routines share one work space. */
static sonde_status qr_engine(sonde_runtime *runtime, int64_t rows, int64_t cols, double *a, double *r)
{
    int m = (int)cols, n = (int)rows, info;
    double size, size_q, *work = NULL, *tau = NULL;
    dgelqf_(&m, &n, a, &m, NULL, &size, &lapack_ask, &info);
    dorglq_(&m, &n, &m, a, &m, NULL, &size_q, &lapack_ask, &info);
    int room = (int)fmax(size, size_q);
    sonde_status status = SONDE_NEW(runtime, work, room);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, tau, cols);
    if (status == SONDE_OK) {
        dgelqf_(&m, &n, a, &m, tau, work, &room, &info);
        lapack_keep_r(rows, cols, a, r);
        if (info == 0) dorglq_(&m, &n, &m, a, &m, tau, work, &room, &info);
        if (info != 0) status = lapack_failed("dgelqf and dorglq", info);
    }
    sonde__free(runtime, tau);
    sonde__free(runtime, work);
    if (status == SONDE_OK) lapack_fix_signs(rows, cols, a, r);
    return status;
}

/* U^T U by columns is L L^T by rows. LAPACK leaves the other triangle as it was; callers get zeros there. */
static sonde_status cholesky_engine(sonde_runtime *runtime, int64_t rows, double *a)
{
    (void)runtime;
    int n = (int)rows, info;
    dpotrf_("U", &n, a, &n, &info, 1);
    if (info > 0)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "cholesky: pivot %d is not positive; the matrix is not positive definite", info - 1);
    if (info < 0) return lapack_failed("dpotrf", info);
    for (int64_t i = 0; i < rows; i++) memset(a + i * rows + i + 1, 0, (size_t)(rows - i - 1) * sizeof *a);
    return SONDE_OK;
}

#else

static sonde_status eigen_engine(sonde_runtime *runtime, int64_t n, double *a, double *values, double *v)
{
    return sonde__own_eigen_symmetric(runtime, n, a, values, v);
}

static sonde_status svd_engine(sonde_runtime *runtime, int64_t m, int64_t n, double *a, double *u, double *s,
                               double *vt)
{
    return sonde__own_svd(runtime, m, n, a, u, s, vt);
}

static sonde_status qr_engine(sonde_runtime *runtime, int64_t m, int64_t n, double *a, double *r)
{
    return sonde__own_qr(runtime, m, n, a, r);
}

static sonde_status cholesky_engine(sonde_runtime *runtime, int64_t n, double *a)
{
    return sonde__own_cholesky(runtime, n, a);
}

#endif

/* One place refuses what no engine should see. */
static sonde_status check_matrix(const char *what, int64_t m, int64_t n, const double *a)
{
    if (m < 1 || n < 1 || m > INT32_MAX || n > INT32_MAX)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: a %lld x %lld matrix, expected at least 1 x 1", what,
                           (long long)m, (long long)n);
    for (int64_t i = 0; i < m * n; i++) {
        if (!isfinite(a[i]))
            return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: row %lld, column %lld is not finite", what,
                               (long long)(i / n), (long long)(i % n));
    }
    return SONDE_OK;
}

sonde_status sonde__eigen_symmetric(sonde_runtime *runtime, int64_t n, double *a, double *values, double *v)
{
    SONDE_TRY(check_matrix("eigenvalues", n, n, a));
    return eigen_engine(runtime, n, a, values, v);
}

sonde_status sonde__svd(sonde_runtime *runtime, int64_t m, int64_t n, double *a, double *u, double *s,
                        double *vt)
{
    SONDE_TRY(check_matrix("svd", m, n, a));
    return svd_engine(runtime, m, n, a, u, s, vt);
}

sonde_status sonde__qr(sonde_runtime *runtime, int64_t m, int64_t n, double *a, double *r)
{
    SONDE_TRY(check_matrix("qr", m, n, a));
    if (m < n)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "qr: a %lld x %lld matrix, expected at least as many rows as columns", (long long)m,
                           (long long)n);
    return qr_engine(runtime, m, n, a, r);
}

sonde_status sonde__cholesky(sonde_runtime *runtime, int64_t n, double *a)
{
    SONDE_TRY(check_matrix("cholesky", n, n, a));
    return cholesky_engine(runtime, n, a);
}
