/* test_linalg.c: products, rotations and decompositions, against naive loops in double and against what defines them.
 * Each decomposition is tested twice: our own code, and whatever the build calls (LAPACK, or our own again).
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <math.h>

#include "../failing.h"
#include "linalg/decompose.h"

static const int thread_counts[] = {1, 2, 7};

static sonde_runtime *runtime_of(uint32_t threads)
{
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    sonde_runtime *runtime = NULL;
    options.threads = threads;
    OK(sonde_runtime_create(&options, &runtime));
    return runtime;
}

/* ---- products --------------------------------------------------------------------------------------------------- */

static float *random_floats(int64_t count, uint64_t seed)
{
    float *x = test_alloc((size_t)count, sizeof *x);
    for (int64_t i = 0; i < count; i++) x[i] = test_normal(&seed);
    return x;
}

/* c = a b^T or a b entry by entry; `most` is the error that rounding in f32 may make in any order of summation. */
static void check_product(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b,
                          int64_t b_row, int64_t b_column, const float *c, int64_t ldc)
{
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            double sum = 0, size = 0;
            for (int64_t t = 0; t < k; t++) {
                double term = (double)a[i * lda + t] * (double)b[j * b_row + t * b_column];
                sum += term;
                size += fabs(term);
            }
            double most = 6e-8 * (double)(k + 1) * size;
            if (!(fabs((double)c[i * ldc + j] - sum) <= most))
                fail_msg("%lld x %lld x %lld at %lld, %lld: %g, not %g", (long long)m, (long long)n,
                         (long long)k, (long long)i, (long long)j, (double)c[i * ldc + j], sum);
        }
    }
}

static const int64_t shapes[][3] = {{1, 1, 1},   {1, 40, 7},    {2, 1500, 33}, {1500, 3, 33}, {40, 1, 7},
                                    {3, 5, 2},   {33, 65, 31},  {130, 64, 96}, {64, 130, 96}, {200, 31, 17},
                                    {16, 16, 1}, {5, 300, 384}, {70, 70, 2200}};

static void products_agree_with_plain_loops(void **state)
{
    (void)state;
    sonde_runtime *runtime = runtime_of(2);
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        int64_t m = shapes[s][0], n = shapes[s][1], k = shapes[s][2], lda = k + 3, ldc = n + 2;
        float *a = random_floats(m * lda, 1 + s), *b = random_floats((n + 5) * (k + 5), 100 + s);
        float *c = random_floats(m * ldc, 3);
        float beyond = c[n];
        OK(sonde__gemm_nt(runtime, 0, m, n, k, a, lda, b, k + 1, c, ldc));
        check_product(m, n, k, a, lda, b, k + 1, 1, c, ldc);
        OK(sonde__gemm_nn(runtime, 0, m, n, k, a, lda, b, n + 4, c, ldc));
        check_product(m, n, k, a, lda, b, 1, n + 4, c, ldc);
        assert_true(c[n] == beyond); /* what lies between the rows of c is not touched */
        free(a);
        free(b);
        free(c);
    }
    sonde_runtime_free(runtime);
}

static void empty_products_touch_nothing(void **state)
{
    (void)state;
    sonde_runtime *runtime = runtime_of(1);
    float a = 1, c = 7;
    OK(sonde__gemm_nt(runtime, 0, 0, 4, 1, &a, 1, &a, 1, &c, 4));
    OK(sonde__gemm_nn(runtime, 0, 4, 0, 1, &a, 1, &a, 1, &c, 1));
    assert_true(c == 7);
    sonde_runtime_free(runtime);
}

static void products_are_the_same_for_any_threads(void **state)
{
    (void)state;
    enum { M = 300, N = 170, K = 60 };
    float *a = random_floats(M * K, 1), *b = random_floats(N * K, 2), *first = NULL;
    for (int t = 0; t < 3; t++) {
        sonde_runtime *runtime = runtime_of((uint32_t)thread_counts[t]);
        float *c = test_alloc(M * N, sizeof *c);
        OK(sonde__gemm_nt(runtime, 0, M, N, K, a, K, b, K, c, N));
        if (first) assert_memory_equal(c, first, M * N * sizeof *c);
        if (first) free(c);
        else first = c;
        sonde_runtime_free(runtime);
    }
    free(first);
    free(a);
    free(b);
}

static void check_gram(sonde_runtime *runtime, int64_t n, int64_t d, const float *mean)
{
    int64_t ldx = d + 1;
    float *x = random_floats(n * ldx, (uint64_t)(n + d));
    double *c = test_alloc((size_t)(d * d), sizeof *c);
    OK(sonde__gram(runtime, 0, n, d, x, ldx, mean, c));
    for (int64_t i = 0; i < d; i++) {
        for (int64_t j = 0; j < d; j++) {
            double sum = 0, size = 0;
            for (int64_t r = 0; r < n; r++) {
                double u = (double)x[r * ldx + i] - (mean ? (double)mean[i] : 0);
                double v = (double)x[r * ldx + j] - (mean ? (double)mean[j] : 0);
                sum += u * v;
                size += fabs(u * v);
            }
            /* Sums of at most 256 terms in f32, and the difference with the mean rounded once. */
            assert_true(fabs(c[i * d + j] - sum) <= 6e-8 * 260 * size + 1e-6);
            assert_true(c[i * d + j] == c[j * d + i]);
        }
    }
    free(x);
    free(c);
}

static void gram_agrees_with_plain_loops(void **state)
{
    (void)state;
    sonde_runtime *runtime = runtime_of(2);
    float *mean = random_floats(70, 9);
    check_gram(runtime, 1, 1, NULL);
    check_gram(runtime, 1, 5, mean);
    check_gram(runtime, 257, 33, mean);
    check_gram(runtime, 1000, 70, NULL);
    check_gram(runtime, 4096 + 300, 9, mean); /* more than one batch */
    double none[4] = {1, 1, 1, 1};
    OK(sonde__gram(runtime, 0, 0, 2, mean, 2, NULL, none));
    for (int i = 0; i < 4; i++) assert_true(none[i] == 0);
    free(mean);
    sonde_runtime_free(runtime);
}

/* ---- matrices with a purpose ------------------------------------------------------------------------------------ */

enum matrix_kind { RANDOM, GRADED, LOW_RANK, ZERO, IDENTITY, TWICE_THE_SAME, TINY, HUGE_ONES, MATRIX_KINDS };

static double *make_matrix(int kind, int64_t m, int64_t n)
{
    uint64_t seed = (uint64_t)(kind * 1000 + m * 31 + n);
    double *a = test_alloc((size_t)(m * n), sizeof *a);
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            double value = (double)test_normal(&seed);
            if (kind == GRADED) value *= pow(10, -12.0 * (double)j / (double)n);
            if (kind == ZERO) value = 0;
            if (kind == IDENTITY) value = i == j;
            if (kind == TINY) value *= 1e-200;
            if (kind == HUGE_ONES) value *= 1e150;
            a[i * n + j] = value;
        }
    }
    /* Rank 3: columns repeat. Twice the same: the last column is the first. */
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 3; kind == LOW_RANK && j < n; j++) a[i * n + j] = a[i * n + j % 3] * (double)(j + 1);
        if (kind == TWICE_THE_SAME) a[i * n + n - 1] = a[i * n];
    }
    return a;
}

static double largest_entry(const double *a, int64_t count)
{
    double largest = 0;
    for (int64_t i = 0; i < count; i++) largest = fmax(largest, fabs(a[i]));
    return largest;
}

/* Rows (count x n) are orthonormal up to rounding. */
static void check_orthonormal(const double *rows, int64_t count, int64_t n)
{
    for (int64_t i = 0; i < count; i++) {
        for (int64_t j = 0; j <= i; j++) {
            double sum = 0;
            for (int64_t t = 0; t < n; t++) sum += rows[i * n + t] * rows[j * n + t];
            if (!(fabs(sum - (i == j)) < 1e-13 * (double)(n + 10)))
                fail_msg("rows %lld and %lld: %.17g", (long long)i, (long long)j, sum);
        }
    }
}

/* a = left (m x p) diag(middle) right (p x n), relative to the largest entry. middle may be NULL. */
static void check_rebuilt(const double *a, int64_t m, int64_t n, int64_t p, const double *left,
                          const double *middle, const double *right)
{
    double most = 1e-14 * (double)(m + n + 10) * largest_entry(a, m * n);
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t t = 0; t < p; t++)
                sum += left[i * p + t] * (middle ? middle[t] : 1) * right[t * n + j];
            if (!(fabs(sum - a[i * n + j]) <= most))
                fail_msg("%lld x %lld at %lld, %lld: %.17g, not %.17g", (long long)m, (long long)n,
                         (long long)i, (long long)j, sum, a[i * n + j]);
        }
    }
}

static double *copy_of(const double *a, int64_t count)
{
    double *copy = test_alloc((size_t)count, sizeof *copy);
    memcpy(copy, a, (size_t)count * sizeof *copy);
    return copy;
}

static double *transposed(const double *a, int64_t m, int64_t n)
{
    double *t = test_alloc((size_t)(m * n), sizeof *t);
    sonde__transpose_f64(a, m, n, t);
    return t;
}

/* ---- QR --------------------------------------------------------------------------------------------------------- */

typedef sonde_status (*qr_fn)(sonde_runtime *runtime, int64_t m, int64_t n, double *a, double *r);

static void check_qr(qr_fn qr, int kind, int64_t m, int64_t n)
{
    sonde_runtime *runtime = runtime_of(2);
    double *a = make_matrix(kind, m, n), *q = copy_of(a, m * n), *r = test_alloc((size_t)(n * n), sizeof *r);
    OK(qr(runtime, m, n, q, r));
    double *columns = transposed(q, m, n);
    check_orthonormal(columns, n, m);
    check_rebuilt(a, m, n, n, q, NULL, r);
    for (int64_t i = 0; i < n; i++) {
        assert_true(r[i * n + i] >= 0);
        for (int64_t j = 0; j < i; j++) assert_true(r[i * n + j] == 0);
    }
    free(columns);
    free(a);
    free(q);
    free(r);
    sonde_runtime_free(runtime);
}

static void qr_is_what_it_says(void **state)
{
    (void)state;
    static const int64_t sizes[][2] = {{1, 1}, {2, 1}, {5, 3}, {33, 32}, {70, 70}, {150, 40}};
    for (int kind = 0; kind < MATRIX_KINDS; kind++) {
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            check_qr(sonde__own_qr, kind, sizes[s][0], sizes[s][1]);
            check_qr(sonde__qr, kind, sizes[s][0], sizes[s][1]);
        }
    }
}

/* ---- eigen ------------------------------------------------------------------------------------------------------ */

typedef sonde_status (*eigen_fn)(sonde_runtime *runtime, int64_t n, double *a, double *values, double *v);
static const eigen_fn eigen_fns[] = {sonde__own_eigen_symmetric, sonde__eigen_symmetric};

static double *make_symmetric(int kind, int64_t n)
{
    double *a = make_matrix(kind, n, n);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < i; j++) {
            /* Graded: rows and columns both. Low rank: a b + b a has twice the rank. */
            double value = kind == GRADED ? a[i * n + j] * pow(10, -12.0 * (double)i / (double)n)
                                          : (a[i * n + j] + a[j * n + i]) / 2;
            a[i * n + j] = a[j * n + i] = value;
        }
    }
    return a;
}

static void check_eigen(eigen_fn eigen, int kind, int64_t n)
{
    sonde_runtime *runtime = runtime_of(2);
    double *a = make_symmetric(kind, n), *work = copy_of(a, n * n);
    double *values = test_alloc((size_t)n, sizeof *values), *v = test_alloc((size_t)(n * n), sizeof *v);
    OK(eigen(runtime, n, work, values, v));
    check_orthonormal(v, n, n);
    double *columns = transposed(v, n, n);
    check_rebuilt(a, n, n, n, columns, values, v); /* a = V^T diag V */
    for (int64_t i = 0; i + 1 < n; i++) assert_true(values[i] >= values[i + 1]);
    free(columns);
    free(a);
    free(work);
    free(values);
    free(v);
    sonde_runtime_free(runtime);
}

static void eigenvectors_rebuild_the_matrix(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 2, 3, 17, 64, 65, 150};
    for (size_t which = 0; which < 2; which++) {
        for (int kind = 0; kind < MATRIX_KINDS; kind++)
            for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
                check_eigen(eigen_fns[which], kind, sizes[s]);
    }
}

/* The matrix with 2 on the diagonal and -1 beside it has the eigenvalues 2 - 2 cos(k pi / (n + 1)). */
static void known_eigenvalues_come_out(void **state)
{
    (void)state;
    enum { N = 101 };
    sonde_runtime *runtime = runtime_of(1);
    for (size_t which = 0; which < 2; which++) {
        double *a = test_alloc(N * N, sizeof *a), *v = test_alloc(N * N, sizeof *v), values[N];
        for (int i = 0; i < N; i++) {
            a[i * N + i] = 2;
            if (i > 0) a[i * N + i - 1] = a[(i - 1) * N + i] = -1;
        }
        OK(eigen_fns[which](runtime, N, a, values, v));
        for (int i = 0; i < N; i++)
            assert_true(fabs(values[i] - (2 - 2 * cos((N - i) * acos(-1.0) / (N + 1)))) < 1e-13);
        free(a);
        free(v);
    }
    sonde_runtime_free(runtime);
}

static void own_decompositions_are_the_same_for_any_threads(void **state)
{
    (void)state;
    enum { N = 130, M = 200 };
    double *first = NULL;
    for (int t = 0; t < 3; t++) {
        sonde_runtime *runtime = runtime_of((uint32_t)thread_counts[t]);
        double *all = test_alloc(N * N + N + M * N + N + N * N + N * N, sizeof *all);
        double *v = all, *values = v + N * N, *u = values + N, *s = u + M * N, *vt = s + N, *r = vt + N * N;
        double *a = make_symmetric(RANDOM, N), *b = make_matrix(RANDOM, M, N), *q = copy_of(b, M * N);
        OK(sonde__own_eigen_symmetric(runtime, N, a, values, v));
        OK(sonde__own_svd(runtime, M, N, b, u, s, vt));
        OK(sonde__own_qr(runtime, M, N, q, r));
        free(a);
        free(b);
        free(q);
        if (first) assert_memory_equal(all, first, (3 * N * N + 2 * N + M * N) * sizeof *all);
        if (first) free(all);
        else first = all;
        sonde_runtime_free(runtime);
    }
    free(first);
}

/* ---- SVD -------------------------------------------------------------------------------------------------------- */

typedef sonde_status (*svd_fn)(sonde_runtime *runtime, int64_t m, int64_t n, double *a, double *u, double *s,
                               double *vt);
static const svd_fn svd_fns[] = {sonde__own_svd, sonde__svd};

static void check_svd(svd_fn svd, int kind, int64_t m, int64_t n)
{
    int64_t p = m < n ? m : n;
    sonde_runtime *runtime = runtime_of(2);
    double *a = make_matrix(kind, m, n), *work = copy_of(a, m * n);
    double *u = test_alloc((size_t)(m * p), sizeof *u), *s = test_alloc((size_t)p, sizeof *s);
    double *vt = test_alloc((size_t)(p * n), sizeof *vt);
    OK(svd(runtime, m, n, work, u, s, vt));
    double *columns = transposed(u, m, p);
    check_orthonormal(columns, p, m);
    check_orthonormal(vt, p, n);
    check_rebuilt(a, m, n, p, u, s, vt);
    for (int64_t i = 0; i < p; i++) assert_true(s[i] >= 0 && (i == 0 || s[i - 1] >= s[i]));
    free(columns);
    free(a);
    free(work);
    free(u);
    free(s);
    free(vt);
    sonde_runtime_free(runtime);
}

static void svd_rebuilds_the_matrix(void **state)
{
    (void)state;
    static const int64_t sizes[][2] = {{1, 1}, {1, 6}, {6, 1}, {5, 3}, {3, 5}, {40, 40}, {90, 33}, {33, 90}};
    for (size_t which = 0; which < 2; which++) {
        for (int kind = 0; kind < MATRIX_KINDS; kind++) {
            for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
                check_svd(svd_fns[which], kind, sizes[s][0], sizes[s][1]);
        }
    }
}

/* diag(1, 1e-3, 1e-6, 1e-9) between two rotations: every singular value to the absolute accuracy of the largest. */
static void small_singular_values_survive(void **state)
{
    (void)state;
    enum { M = 30, N = 4 };
    sonde_runtime *runtime = runtime_of(1);
    double *q = make_matrix(RANDOM, M, N), *w = make_matrix(RANDOM, N, N), r[N * N];
    OK(sonde__own_qr(runtime, M, N, q, r));
    OK(sonde__own_qr(runtime, N, N, w, r));
    for (size_t which = 0; which < 2; which++) {
        double a[M * N] = {0}, u[M * N], s[N], vt[N * N];
        for (int i = 0; i < M * N; i++)
            for (int t = 0; t < N; t++) a[i] += q[i / N * N + t] * pow(10, -3 * t) * w[t * N + i % N];
        OK(svd_fns[which](runtime, M, N, a, u, s, vt));
        for (int t = 0; t < N; t++) assert_true(fabs(s[t] - pow(10, -3 * t)) < 1e-15);
    }
    free(q);
    free(w);
    sonde_runtime_free(runtime);
}

/* ---- Cholesky --------------------------------------------------------------------------------------------------- */

typedef sonde_status (*cholesky_fn)(sonde_runtime *runtime, int64_t n, double *a);
static const cholesky_fn cholesky_fns[] = {sonde__own_cholesky, sonde__cholesky};

static double *make_definite(int64_t n)
{
    double *b = make_matrix(RANDOM, n, n + 5), *a = test_alloc((size_t)(n * n), sizeof *a);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) a[i * n + j] = sonde__dot_f64(b + i * (n + 5), b + j * (n + 5), n + 5);
    free(b);
    return a;
}

static void cholesky_rebuilds_and_solves(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 2, 9, 64, 65, 140};
    sonde_runtime *runtime = runtime_of(2);
    for (size_t s = 0; s < 12; s++) {
        int64_t n = sizes[s / 2];
        double *a = make_definite(n), *l = copy_of(a, n * n);
        OK(cholesky_fns[s % 2](runtime, n, l));
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = i + 1; j < n; j++) assert_true(l[i * n + j] == 0);
        double *upper = transposed(l, n, n), *x = make_matrix(RANDOM, 3, n), *b = copy_of(x, 3 * n);
        check_rebuilt(a, n, n, n, l, NULL, upper);
        sonde__cholesky_solve(n, l, 3, x);
        for (int64_t r = 0; r < 3; r++) {
            double most = 1e-14 * (double)(n * n + 10) * largest_entry(a, n * n) * largest_entry(x + r * n, n);
            for (int64_t i = 0; i < n; i++)
                assert_true(fabs(sonde__dot_f64(a + i * n, x + r * n, n) - b[r * n + i]) <= most);
        }
        free(a);
        free(l);
        free(upper);
        free(x);
        free(b);
    }
    sonde_runtime_free(runtime);
}

static void cholesky_names_the_bad_pivot(void **state)
{
    (void)state;
    sonde_runtime *runtime = runtime_of(1);
    for (size_t which = 0; which < 2; which++) {
        double a[9] = {4, 2, 0, 2, 1, 0, 0, 0, 1};
        FAILS(cholesky_fns[which](runtime, 3, a), SONDE_INVALID_ARGUMENT, "pivot 1");
    }
    sonde_runtime_free(runtime);
}

static void what_is_not_finite_is_refused(void **state)
{
    (void)state;
    sonde_runtime *runtime = runtime_of(1);
    double a[4] = {1, 2, NAN, 4}, b[4] = {1, INFINITY, 3, 4}, s[4], u[4], v[4];
    FAILS(sonde__eigen_symmetric(runtime, 2, a, s, v), SONDE_INVALID_ARGUMENT, "row 1, column 0 is not finite");
    FAILS(sonde__svd(runtime, 2, 2, b, u, s, v), SONDE_INVALID_ARGUMENT, "row 0, column 1 is not finite");
    FAILS(sonde__qr(runtime, 2, 2, a, v), SONDE_INVALID_ARGUMENT, "not finite");
    FAILS(sonde__cholesky(runtime, 2, a), SONDE_INVALID_ARGUMENT, "not finite");
    FAILS(sonde__qr(runtime, 1, 4, s, v), SONDE_INVALID_ARGUMENT, "as many rows");
    assert_non_null(sonde__blas_name());
    sonde_runtime_free(runtime);
}

/* ---- rotations -------------------------------------------------------------------------------------------------- */

static void check_rotation(const float *q, int64_t rows, int64_t n)
{
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j <= i; j++) {
            double sum = 0;
            for (int64_t t = 0; t < n; t++) sum += (double)q[i * n + t] * (double)q[j * n + t];
            if (!(fabs(sum - (i == j)) < 2e-6))
                fail_msg("rows %lld, %lld: %g", (long long)i, (long long)j, sum);
        }
    }
}

static void random_rotations_are_orthonormal_and_repeatable(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 2, 48, 100};
    sonde_runtime *runtime = runtime_of(7), *alone = runtime_of(1);
    for (size_t s = 0; s < 4; s++) {
        int64_t d = sizes[s];
        float *q = random_floats(d * d, 1), *again = random_floats(d * d, 2), *other = random_floats(d * d, 3);
        OK(sonde__random_rotation(runtime, d, 5, q));
        OK(sonde__random_rotation(alone, d, 5, again));
        OK(sonde__random_rotation(alone, d, 6, other));
        check_rotation(q, d, d);
        assert_memory_equal(q, again, (size_t)(d * d) * sizeof *q);
        if (d > 1) assert_memory_not_equal(q, other, (size_t)(d * d) * sizeof *q);
        free(q);
        free(again);
        free(other);
    }
    sonde_runtime_free(runtime);
    sonde_runtime_free(alone);
}

static const int64_t fht_sizes[] = {1, 2, 40, 63, 64, 65, 100, 128, 200, 384, 768, 1000, 5000};

static void fast_rotations_keep_lengths_and_come_back(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof fht_sizes / sizeof *fht_sizes; s++) {
        int64_t d = fht_sizes[s], padded = sonde__fht_padded(d);
        assert_true(padded % 64 == 0 && padded >= d && padded < d + 64);
        assert_int_equal(sonde__fht_sign_bytes(d), padded / 2);
        uint8_t *signs = test_alloc((size_t)sonde__fht_sign_bytes(d), 1);
        sonde__fht_signs(d, 11, signs);
        float *x = random_floats(d, s), *y = random_floats(padded, 2), *back = random_floats(d, 3);
        sonde__fht_rotate(d, signs, x, y);
        sonde__fht_rotate_back(d, signs, y, back);
        double before = 0, after = 0;
        for (int64_t i = 0; i < d; i++) before += (double)x[i] * (double)x[i];
        for (int64_t i = 0; i < padded; i++) after += (double)y[i] * (double)y[i];
        assert_true(fabs(after - before) < 1e-5 * before);
        for (int64_t i = 0; i < d; i++) assert_true(fabs((double)(back[i] - x[i])) < 1e-5 * sqrt(before));
        free(signs);
        free(x);
        free(y);
        free(back);
    }
}

/* Applied to the coordinate axes it gives an orthonormal set, and it spreads a single one over most entries. */
static void fast_rotations_are_rotations(void **state)
{
    (void)state;
    for (size_t s = 2; s < 9; s++) {
        int64_t d = fht_sizes[s], padded = sonde__fht_padded(d);
        uint8_t *signs = test_alloc((size_t)sonde__fht_sign_bytes(d), 1);
        float *axis = test_alloc((size_t)d, sizeof *axis),
              *rows = test_alloc((size_t)(d * padded), sizeof *rows);
        sonde__fht_signs(d, 4, signs);
        for (int64_t i = 0; i < d; i++) {
            axis[i] = 1;
            sonde__fht_rotate(d, signs, axis, rows + i * padded);
            axis[i] = 0;
            int64_t reached = 0;
            for (int64_t j = 0; j < padded; j++) reached += rows[i * padded + j] != 0;
            assert_true(reached > padded / 4);
        }
        check_rotation(rows, d, padded);
        free(signs);
        free(axis);
        free(rows);
    }
}

/* ---- memory ----------------------------------------------------------------------------------------------------- */

static sonde_status everything(sonde_runtime *runtime)
{
    enum { N = 20 };
    float x[N * N], c[N * N];
    double a[N * N], b[N * N], u[N * N], v[N * N], s[N];
    uint64_t seed = 3;
    for (int i = 0; i < N * N; i++) x[i] = test_normal(&seed);
    SONDE_TRY(sonde__gemm_nt(runtime, 0, N, N, N, x, N, x, N, c, N));
    SONDE_TRY(sonde__gemm_nn(runtime, 0, N, N, N, x, N, x, N, c, N));
    SONDE_TRY(sonde__gram(runtime, 0, N, N, x, N, NULL, a));
    memcpy(b, a, sizeof a);
    SONDE_TRY(sonde__own_eigen_symmetric(runtime, N, b, s, v));
    memcpy(b, a, sizeof a);
    SONDE_TRY(sonde__eigen_symmetric(runtime, N, b, s, v));
    memcpy(b, a, sizeof a);
    SONDE_TRY(sonde__own_svd(runtime, N, N, b, u, s, v));
    memcpy(b, a, sizeof a);
    SONDE_TRY(sonde__svd(runtime, N, N, b, u, s, v));
    memcpy(b, a, sizeof a);
    SONDE_TRY(sonde__own_qr(runtime, N, N, b, v));
    memcpy(b, a, sizeof a);
    SONDE_TRY(sonde__qr(runtime, N, N, b, v));
    return sonde__random_rotation(runtime, N, 1, c);
}

static sonde_status everything_with(sonde_runtime_options *options)
{
    sonde_runtime *runtime;
    SONDE_TRY(sonde_runtime_create(options, &runtime));
    sonde_status status = everything(runtime);
    sonde_runtime_free(runtime);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(failing_walk(everything_with) > 20);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(products_agree_with_plain_loops),
    cmocka_unit_test(empty_products_touch_nothing),
    cmocka_unit_test(products_are_the_same_for_any_threads),
    cmocka_unit_test(gram_agrees_with_plain_loops),
    cmocka_unit_test(qr_is_what_it_says),
    cmocka_unit_test(eigenvectors_rebuild_the_matrix),
    cmocka_unit_test(known_eigenvalues_come_out),
    cmocka_unit_test(own_decompositions_are_the_same_for_any_threads),
    cmocka_unit_test(svd_rebuilds_the_matrix),
    cmocka_unit_test(small_singular_values_survive),
    cmocka_unit_test(cholesky_rebuilds_and_solves),
    cmocka_unit_test(cholesky_names_the_bad_pivot),
    cmocka_unit_test(what_is_not_finite_is_refused),
    cmocka_unit_test(random_rotations_are_orthonormal_and_repeatable),
    cmocka_unit_test(fast_rotations_keep_lengths_and_come_back),
    cmocka_unit_test(fast_rotations_are_rotations),
    cmocka_unit_test(every_allocation_may_fail),
};
SONDE_TEST_MAIN(tests)
