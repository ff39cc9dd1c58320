/* decompose_eigen.c: all eigenvalues and eigenvectors of a symmetric matrix.
 *
 * Householder reflections make it tridiagonal, implicit QL steps with Wilkinson's shift make that diagonal, and the
 * reflections are undone on the eigenvectors. Sources: Golub, Van Loan, "Matrix Computations", chapter 8; the QL step
 * as in Wilkinson, Reinsch, "Handbook for Automatic Computation II", 1971.
 *
 * Where the time goes, and what is done about it (n = 2048: 13 seconds of one processor):
 *   - Reducing reads the matrix n times. The rank-2 update of one step and the product with the vector of the next
 *     are one pass.
 *   - QL makes about 1.7 n sweeps over the eigenvectors. The sweeps only need the tridiagonal matrix, so rotations are
 *     recorded, and many sweeps are applied at once to strips of QL_STRIP columns that stay in the cache.
 *   - Eigenvectors are kept as rows, so that a rotation combines two contiguous rows.
 * Strips and rows are independent, so threads change nothing.
 *
 * Memory: n^2 doubles beside the caller's two matrices.
 *
 * SPDX-License-Identifier: MIT
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "linalg/decompose.h"

enum { QL_STRIP = 64, QL_SWEEPS_AT_ONCE = 32, QL_SWEEPS_MOST = 60, EIGEN_STEP_ENTRIES = 1 << 15 };

/* ---- to tridiagonal --------------------------------------------------------------------------------------------- */

/* One step: rows below k take the update of the step before (v, w) and are multiplied with the next reflector. */
typedef struct eigen_step {
    int64_t n, k;
    double *a;
    const double *v, *w; /* columns k + 1 .. n - 1 of the update, NULL in the first step */
    const double *next;  /* reflector k, columns k + 1 .. */
    double *product;
} eigen_step;

static sonde_status eigen_reduce_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    const eigen_step *step = context;
    int64_t length = step->n - step->k - 1;
    for (int64_t i = begin; i < end; i++) {
        double *row = step->a + (step->k + 1 + i) * step->n + step->k + 1;
        if (step->v) {
            sonde__axpy_f64(-step->v[i], step->w, length, row);
            sonde__axpy_f64(-step->w[i], step->v, length, row);
        }
        step->product[i] = sonde__dot_f64(row, step->next, length);
    }
    return SONDE_OK;
}

/* product = beta A v becomes w = product - (beta / 2) (product . v) v, so that A - v w^T - w v^T = H A H. */
static void eigen_finish_w(double beta, const double *v, int64_t length, double *product)
{
    for (int64_t i = 0; i < length; i++) product[i] *= beta;
    sonde__axpy_f64(-0.5 * beta * sonde__dot_f64(product, v, length), v, length, product);
}

/* Row k of a keeps reflector k from column k + 1 on. w has 2 n entries: the update in use and the one being made. */
static sonde_status eigen_reduce(sonde_runtime *runtime, int64_t n, double *a, double *diagonal, double *beside,
                                 double *beta, double *w)
{
    double *used = w, *made = w + n;
    for (int64_t k = 0; k + 1 < n; k++) {
        double *row = a + k * n, *swap = used;
        const double *before = k > 0 ? row - n + k : NULL; /* reflector k - 1, from column k */
        if (before) {
            sonde__axpy_f64(-before[0], used, n - k, row + k);
            sonde__axpy_f64(-used[0], before, n - k, row + k);
        }
        diagonal[k] = row[k];
        beside[k] = sonde__reflector_make(row + k + 1, n - k - 1, beta + k);
        eigen_step step = {n, k, a, before ? before + 1 : NULL, before ? used + 1 : NULL, row + k + 1, made};
        int64_t grain = sonde__max_i64(1, EIGEN_STEP_ENTRIES / (n - k));
        SONDE_TRY(sonde__parallel_for(runtime, 0, n - k - 1, grain, NULL, eigen_reduce_chunk, &step));
        eigen_finish_w(beta[k], row + k + 1, n - k - 1, made);
        used = made;
        made = swap;
    }
    diagonal[n - 1] = a[n * n - 1];
    return SONDE_OK;
}

/* ---- to diagonal ------------------------------------------------------------------------------------------------ */

typedef struct ql_rotation {
    int64_t row; /* turns rows `row` and `row` + 1 */
    double cosine, sine;
} ql_rotation;

typedef struct ql_work {
    sonde_runtime *runtime;
    int64_t n, ld;
    double *diagonal, *beside; /* beside[i] couples i and i + 1; beside[n - 1] = 0 */
    double *vectors;           /* n x ld, ld a multiple of QL_STRIP */
    ql_rotation *rotations;
    int64_t recorded;
    double negligible; /* a coupling that is rounding beside the largest entry: where many eigenvalues are 0, only this
                          ends their sweeps */
} ql_work;

/* All recorded rotations on one strip before the next: n x QL_STRIP doubles stay in L2. */
static sonde_status ql_rotate_strips(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    const ql_work *work = context;
    for (int64_t strip = begin; strip < end; strip++) {
        for (int64_t r = 0; r < work->recorded; r++) {
            double cosine = work->rotations[r].cosine, sine = work->rotations[r].sine;
            double *restrict x = work->vectors + work->rotations[r].row * work->ld + strip * QL_STRIP;
            double *restrict y = x + work->ld;
            for (int t = 0; t < QL_STRIP; t++) {
                double a = x[t], b = y[t];
                x[t] = cosine * a - sine * b;
                y[t] = sine * a + cosine * b;
            }
        }
    }
    return SONDE_OK;
}

static sonde_status ql_flush(ql_work *work)
{
    SONDE_TRY(sonde__parallel_for(work->runtime, 0, work->ld / QL_STRIP, 1, NULL, ql_rotate_strips, work));
    work->recorded = 0;
    return SONDE_OK;
}

/* The first place at or after l where the matrix falls apart. */
static int64_t ql_gap(const ql_work *work, int64_t l)
{
    int64_t m = l;
    for (; m + 1 < work->n; m++) {
        double size = fabs(work->diagonal[m]) + fabs(work->diagonal[m + 1]);
        if (fabs(work->beside[m]) <= fmax(DBL_EPSILON * size, work->negligible)) break;
    }
    return m;
}

/* Wilkinson's shift (the eigenvalue of the leading 2 x 2 that is nearer to d[l]), subtracted from the last entry. */
static double ql_shift(const double *d, const double *e, int64_t l, int64_t m)
{
    double half = (d[l + 1] - d[l]) / (2 * e[l]);
    return d[m] - d[l] + e[l] / (half + copysign(hypot(half, 1), half));
}

/* One implicit QL sweep over rows l .. m: a bulge is chased from the bottom up. */
static void ql_sweep(ql_work *work, int64_t l, int64_t m)
{
    double *d = work->diagonal, *e = work->beside;
    double bulge = ql_shift(d, e, l, m), cosine = 1, sine = 1, carried = 0;
    for (int64_t i = m - 1; i >= l; i--) {
        double out = sine * e[i], kept = cosine * e[i], length = hypot(out, bulge);
        e[i + 1] = length;
        if (length == 0) { /* falls apart in the middle of the sweep */
            d[i + 1] -= carried;
            e[m] = 0;
            return;
        }
        sine = out / length;
        cosine = bulge / length;
        double base = d[i + 1] - carried, turn = (d[i] - base) * sine + 2 * cosine * kept;
        carried = sine * turn;
        d[i + 1] = base + carried;
        bulge = cosine * turn - kept;
        work->rotations[work->recorded++] = (ql_rotation){i, cosine, sine};
    }
    d[l] -= carried;
    e[l] = bulge;
    e[m] = 0;
}

static double ql_negligible(const ql_work *work)
{
    double largest = 0;
    for (int64_t i = 0; i < work->n; i++)
        largest = fmax(largest, fmax(fabs(work->diagonal[i]), fabs(work->beside[i])));
    return fmax(DBL_EPSILON / 16 * largest, DBL_MIN);
}

/* Splits eigenvalues off at the top, one after the other; most need one or two sweeps. */
static sonde_status ql_all(ql_work *work)
{
    work->negligible = ql_negligible(work);
    for (int64_t l = 0; l < work->n; l++) {
        for (int sweeps = 0;; sweeps++) {
            int64_t m = ql_gap(work, l);
            if (m == l) break;
            if (sweeps == QL_SWEEPS_MOST)
                return sonde__fail(SONDE_INTERNAL, "eigenvalues: number %lld of %lld did not converge",
                                   (long long)l, (long long)work->n);
            if (work->recorded > (QL_SWEEPS_AT_ONCE - 1) * work->n) SONDE_TRY(ql_flush(work));
            ql_sweep(work, l, m);
        }
    }
    return ql_flush(work);
}

/* ---- together --------------------------------------------------------------------------------------------------- */

typedef struct eigen_place {
    double value;
    int64_t row;
} eigen_place;

static int eigen_by_value(const void *a, const void *b)
{
    const eigen_place *x = a, *y = b;
    if (x->value != y->value) return x->value > y->value ? -1 : 1;
    return x->row < y->row ? -1 : 1;
}

static sonde_status eigen_sort(const ql_work *work, double *values, double *v)
{
    eigen_place *places;
    SONDE_TRY(SONDE_NEW(work->runtime, places, work->n));
    for (int64_t i = 0; i < work->n; i++) places[i] = (eigen_place){work->diagonal[i], i};
    qsort(places, (size_t)work->n, sizeof *places, eigen_by_value);
    for (int64_t i = 0; i < work->n; i++) {
        values[i] = places[i].value;
        memcpy(v + i * work->n, work->vectors + places[i].row * work->ld, (size_t)work->n * sizeof *v);
    }
    sonde__free(work->runtime, places);
    return SONDE_OK;
}

sonde_status sonde__own_eigen_symmetric(sonde_runtime *runtime, int64_t n, double *a, double *values, double *v)
{
    ql_work work = {.runtime = runtime, .n = n, .ld = (n + QL_STRIP - 1) / QL_STRIP * QL_STRIP};
    double *scalars = NULL;
    sonde_status status;
    if (n == 0) return SONDE_OK;
    if ((status = SONDE_NEW_ZERO(runtime, scalars, 5 * n)) != SONDE_OK ||
        (status = SONDE_NEW_ZERO(runtime, work.vectors, n * work.ld)) != SONDE_OK ||
        (status = SONDE_NEW(runtime, work.rotations, QL_SWEEPS_AT_ONCE * n)) != SONDE_OK)
        goto done;
    double *beta = scalars + 2 * n;
    work.diagonal = scalars;
    work.beside = scalars + n;
    if ((status = eigen_reduce(runtime, n, a, work.diagonal, work.beside, beta, scalars + 3 * n)) != SONDE_OK)
        goto done;
    for (int64_t i = 0; i < n; i++) work.vectors[i * work.ld + i] = 1;
    if ((status = ql_all(&work)) != SONDE_OK) goto done;
    sonde__reflectors reflectors = {a, beta, n, n, 1};
    status = sonde__reflectors_apply(runtime, &reflectors, n - 2, -1, work.vectors, work.ld, n);
    if (status == SONDE_OK) status = eigen_sort(&work, values, v);
done:
    sonde__free(runtime, work.rotations);
    sonde__free(runtime, work.vectors);
    sonde__free(runtime, scalars);
    return status;
}
