/* decompose.c: QR by Householder reflections, Cholesky, and the reflectors that QR and the eigenproblem share.
 *
 * Everything is laid out so that the inner loops run along rows: QR works on the transposed matrix. Reflectors are
 * made REFLECTOR_BLOCK at a time; a row that is farther behind then takes the whole block at once while it lies in the
 * L1 cache and the block in L2. Rows are independent, so they are shared out to threads, and nothing depends on how.
 * Source: Golub, Van Loan, "Matrix Computations", chapters 4 and 5.
 *
 * Cost: QR 4 m n^2 with Q; Cholesky n^3 / 3.
 *
 * SPDX-License-Identifier: MIT
 */
#include "linalg/decompose.h"

#include <math.h>

enum { REFLECTOR_BLOCK = 32, REFLECT_GRAIN = 16, CHOLESKY_BLOCK = 64 };

/* Eight sums side by side, so that the compiler may use vectors without reordering anything itself. */
double sonde__dot_f64(const double *x, const double *y, int64_t n)
{
    double sum[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int lane = 0; lane < 8; lane++) sum[lane] += x[i + lane] * y[i + lane];
    double total = ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
    for (; i < n; i++) total += x[i] * y[i];
    return total;
}

void sonde__axpy_f64(double a, const double *restrict x, int64_t n, double *restrict y)
{
    for (int64_t i = 0; i < n; i++) y[i] += a * x[i];
}

void sonde__transpose_f64(const double *from, int64_t m, int64_t n, double *to)
{
    enum { TILE = 16 };
    for (int64_t i0 = 0; i0 < m; i0 += TILE) {
        for (int64_t j0 = 0; j0 < n; j0 += TILE) {
            for (int64_t i = i0; i < sonde__min_i64(m, i0 + TILE); i++)
                for (int64_t j = j0; j < sonde__min_i64(n, j0 + TILE); j++) to[j * m + i] = from[i * n + j];
        }
    }
}

/* ---- reflectors ------------------------------------------------------------------------------------------------- */

/* Divided by its largest entry first: squares of the rest neither overflow nor vanish. */
double sonde__reflector_make(double *x, int64_t n, double *beta)
{
    double largest = 0, rest = 0;
    for (int64_t i = 0; i < n; i++) largest = fmax(largest, fabs(x[i]));
    for (int64_t i = 1; i < n; i++) rest = fmax(rest, fabs(x[i]));
    *beta = 0;
    if (rest == 0) return n > 0 ? x[0] : 0;
    for (int64_t i = 0; i < n; i++) x[i] /= largest;
    double length = sqrt(sonde__dot_f64(x, x, n)), target = x[0] > 0 ? -length : length;
    x[0] -= target;
    *beta = 2 / sonde__dot_f64(x, x, n);
    return target * largest;
}

typedef struct reflect_work {
    const sonde__reflectors *reflectors;
    int64_t from, to, ld;
    double *y;
} reflect_work;

static void reflect_row(const sonde__reflectors *reflectors, int64_t k, double *y)
{
    if (reflectors->beta[k] == 0) return;
    int64_t at = k + reflectors->shift, length = reflectors->length - at;
    const double *v = reflectors->v + k * reflectors->ld + at;
    sonde__axpy_f64(-reflectors->beta[k] * sonde__dot_f64(v, y + at, length), v, length, y + at);
}

static sonde_status reflect_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    const reflect_work *work = context;
    int64_t step = work->from < work->to ? 1 : -1;
    for (int64_t k = work->from; k != work->to; k += step)
        for (int64_t i = begin; i < end; i++) reflect_row(work->reflectors, k, work->y + i * work->ld);
    return SONDE_OK;
}

sonde_status sonde__reflectors_apply(sonde_runtime *runtime, const sonde__reflectors *reflectors, int64_t from,
                                     int64_t to, double *y, int64_t ld, int64_t rows)
{
    reflect_work work = {reflectors, from, to, ld, y};
    return sonde__parallel_for(runtime, 0, rows, REFLECT_GRAIN, NULL, reflect_chunk, &work);
}

/* ---- QR --------------------------------------------------------------------------------------------------------- */

/* w (n x m) holds the columns of the matrix; afterwards reflector k from column k on in row k, and what stood before
 * column k (the strict upper triangle of R). */
static sonde_status qr_columns(sonde_runtime *runtime, int64_t m, int64_t n, double *w, double *beta,
                               double *diagonal)
{
    sonde__reflectors reflectors = {w, beta, m, m, 0};
    for (int64_t first = 0; first < n; first += REFLECTOR_BLOCK) {
        int64_t last = sonde__min_i64(n, first + REFLECTOR_BLOCK);
        for (int64_t k = first; k < last; k++) {
            for (int64_t before = first; before < k; before++) reflect_row(&reflectors, before, w + k * m);
            diagonal[k] = sonde__reflector_make(w + k * m + k, m - k, beta + k);
        }
        SONDE_TRY(sonde__reflectors_apply(runtime, &reflectors, first, last, w + last * m, m, n - last));
    }
    return SONDE_OK;
}

/* Row k of R and column k of Q change sign where the diagonal is negative. */
static void qr_fix_signs(int64_t m, int64_t n, const double *w, const double *diagonal, double *q, double *r)
{
    memset(r, 0, (size_t)(n * n) * sizeof *r);
    for (int64_t k = 0; k < n; k++) {
        double sign = diagonal[k] < 0 ? -1 : 1;
        r[k * n + k] = sign * diagonal[k];
        for (int64_t j = k + 1; j < n; j++) r[k * n + j] = sign * w[j * m + k];
        for (int64_t i = 0; i < m; i++) q[k * m + i] *= sign;
    }
}

sonde_status sonde__own_qr(sonde_runtime *runtime, int64_t m, int64_t n, double *a, double *r)
{
    double *w = NULL, *q = NULL, *scalars = NULL;
    sonde_status status;
    if ((status = SONDE_NEW(runtime, w, n * m)) != SONDE_OK ||
        (status = SONDE_NEW_ZERO(runtime, q, n * m)) != SONDE_OK ||
        (status = SONDE_NEW(runtime, scalars, 2 * n)) != SONDE_OK)
        goto done;
    double *beta = scalars, *diagonal = scalars + n;
    sonde__transpose_f64(a, m, n, w);
    if ((status = qr_columns(runtime, m, n, w, beta, diagonal)) != SONDE_OK) goto done;
    /* Column k of Q is H_0 ... H_(n-1) e_k. */
    for (int64_t k = 0; k < n; k++) q[k * m + k] = 1;
    sonde__reflectors reflectors = {w, beta, m, m, 0};
    if ((status = sonde__reflectors_apply(runtime, &reflectors, n - 1, -1, q, m, n)) != SONDE_OK) goto done;
    qr_fix_signs(m, n, w, diagonal, q, r);
    sonde__transpose_f64(q, n, m, a);
done:
    sonde__free(runtime, w);
    sonde__free(runtime, q);
    sonde__free(runtime, scalars);
    return status;
}

/* ---- Cholesky --------------------------------------------------------------------------------------------------- */

typedef struct cholesky_work {
    int64_t n, first, last; /* columns that are being finished */
    double *a;
} cholesky_work;

/* Columns [first, end) of row i, from the finished rows above. */
static void cholesky_row(const cholesky_work *work, int64_t i, int64_t end)
{
    double *row = work->a + i * work->n;
    for (int64_t j = work->first; j < end; j++) {
        const double *above = work->a + j * work->n;
        row[j] = (row[j] - sonde__dot_f64(row, above, j)) / above[j];
    }
}

static sonde_status cholesky_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    const cholesky_work *work = context;
    for (int64_t i = begin; i < end; i++) cholesky_row(work, work->last + i, work->last);
    return SONDE_OK;
}

sonde_status sonde__own_cholesky(sonde_runtime *runtime, int64_t n, double *a)
{
    cholesky_work work = {.n = n, .a = a};
    for (work.first = 0; work.first < n; work.first = work.last) {
        work.last = sonde__min_i64(n, work.first + CHOLESKY_BLOCK);
        for (int64_t i = work.first; i < work.last; i++) {
            double *row = a + i * n;
            cholesky_row(&work, i, i);
            double pivot = row[i] - sonde__dot_f64(row, row, i);
            if (!(pivot > 0))
                return sonde__fail(SONDE_INVALID_ARGUMENT,
                                   "cholesky: pivot %lld is %g; the matrix is not positive definite",
                                   (long long)i, pivot);
            row[i] = sqrt(pivot);
        }
        SONDE_TRY(sonde__parallel_for(runtime, 0, n - work.last, REFLECT_GRAIN, NULL, cholesky_chunk, &work));
    }
    for (int64_t i = 0; i < n; i++) memset(a + i * n + i + 1, 0, (size_t)(n - i - 1) * sizeof *a);
    return SONDE_OK;
}

/* Backward: once x[i] is known, its share is taken from all entries above, so that only rows of L are read. */
void sonde__cholesky_solve(int64_t n, const double *l, int64_t count, double *b)
{
    for (int64_t r = 0; r < count; r++) {
        double *x = b + r * n;
        for (int64_t i = 0; i < n; i++) x[i] = (x[i] - sonde__dot_f64(l + i * n, x, i)) / l[i * n + i];
        for (int64_t i = n - 1; i >= 0; i--) {
            x[i] /= l[i * n + i];
            sonde__axpy_f64(-x[i], l + i * n, i, x);
        }
    }
}
