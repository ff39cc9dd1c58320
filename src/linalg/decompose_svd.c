/* decompose_svd.c: singular values and vectors by one-sided Jacobi rotations after a good start.
 *
 * Let B (p x q, p <= q) be the matrix or its transpose. Rotating rows of B until they are orthogonal gives J B = S U
 * with J and the rows of U orthonormal and S diagonal: the decomposition. Jacobi alone needs many sweeps; so B is first
 * multiplied by the eigenvectors of B B^T, after which its rows are orthogonal but for rounding (and but for what
 * squaring lost of the small ones), and two or three sweeps finish to full accuracy.
 * Sources: Hestenes 1958; Drmac, Veselic, "New fast and accurate Jacobi SVD algorithm", SIAM J. Matrix Anal. 2008.
 *
 *   rows (p x (q + p))   [ row of B | row of J ]     one rotation turns both
 *
 * A sweep is a tournament: in each of its rounds every row meets one other, so a round runs in parallel.
 * Rows of length 0 get singular value 0 and are completed to an orthonormal set. Cost: about 12 p^2 q + 8 p^3.
 *
 * SPDX-License-Identifier: MIT
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "linalg/decompose.h"

enum { SVD_SWEEPS_MOST = 60, SVD_GRAIN = 8, SVD_PAIR_ENTRIES = 1 << 14 };
/* Squared lengths below this (entries are at most 1) are taken for zero. */
static const double SVD_NOTHING = 1e-280;

typedef struct svd_work {
    sonde_runtime *runtime;
    int64_t p, q, ld;
    const double *b;    /* p x q */
    double *gram;       /* p x p */
    const double *turn; /* p x p, eigenvectors as rows */
    double *rows;
    double *length2;
    int64_t round;
    bool *turned; /* for each pair of a round */
} svd_work;

/* ---- the start -------------------------------------------------------------------------------------------------- */

/* The lower triangle; column j of a chunk of rows reads row j of b once. */
static sonde_status svd_gram_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    svd_work *work = context;
    for (int64_t j = 0; j < end; j++) {
        for (int64_t i = sonde__max_i64(begin, j); i < end; i++)
            work->gram[i * work->p + j] = sonde__dot_f64(work->b + i * work->q, work->b + j * work->q, work->q);
    }
    return SONDE_OK;
}

/* rows = [ turn x b | turn ]. The loop over rows of b is the outer one: each is read once for the whole chunk. */
static sonde_status svd_turn_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    svd_work *work = context;
    for (int64_t i = begin; i < end; i++) {
        memset(work->rows + i * work->ld, 0, (size_t)work->q * sizeof *work->rows);
        memcpy(work->rows + i * work->ld + work->q, work->turn + i * work->p,
               (size_t)work->p * sizeof *work->rows);
    }
    for (int64_t j = 0; j < work->p; j++) {
        for (int64_t i = begin; i < end; i++)
            sonde__axpy_f64(work->turn[i * work->p + j], work->b + j * work->q, work->q,
                            work->rows + i * work->ld);
    }
    for (int64_t i = begin; i < end; i++)
        work->length2[i] = sonde__dot_f64(work->rows + i * work->ld, work->rows + i * work->ld, work->q);
    return SONDE_OK;
}

/* work->length2 holds the eigenvalues for a moment. */
static sonde_status svd_start(svd_work *work, double *turn)
{
    work->turn = turn;
    SONDE_TRY(sonde__parallel_for(work->runtime, 0, work->p, SVD_GRAIN, NULL, svd_gram_chunk, work));
    for (int64_t i = 0; i < work->p; i++)
        for (int64_t j = 0; j < i; j++) work->gram[j * work->p + i] = work->gram[i * work->p + j];
    SONDE_TRY(sonde__own_eigen_symmetric(work->runtime, work->p, work->gram, work->length2, turn));
    return sonde__parallel_for(work->runtime, 0, work->p, SVD_GRAIN, NULL, svd_turn_chunk, work);
}

/* ---- Jacobi ----------------------------------------------------------------------------------------------------- */

static void svd_rotate(double cosine, double sine, double *restrict x, double *restrict y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double a = x[i], b = y[i];
        x[i] = cosine * a - sine * b;
        y[i] = sine * a + cosine * b;
    }
}

/* Makes two rows orthogonal; false if they were. */
static bool svd_orthogonalise(svd_work *work, int64_t i, int64_t j)
{
    double *x = work->rows + i * work->ld, *y = work->rows + j * work->ld;
    double xx = work->length2[i], yy = work->length2[j];
    if (xx < SVD_NOTHING || yy < SVD_NOTHING) return false;
    double xy = sonde__dot_f64(x, y, work->q);
    if (fabs(xy) <= DBL_EPSILON * sqrt((double)work->q) * sqrt(xx) * sqrt(yy)) return false;
    double half = (yy - xx) / (2 * xy);
    double tangent = copysign(1, half) / (fabs(half) + hypot(half, 1));
    double cosine = 1 / hypot(tangent, 1);
    svd_rotate(cosine, cosine * tangent, x, y, work->ld);
    work->length2[i] = sonde__dot_f64(x, x, work->q);
    work->length2[j] = sonde__dot_f64(y, y, work->q);
    return true;
}

/* The circle method for an even number of players: the last one stays, the others move on by one each round. */
static sonde_status svd_meet_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    svd_work *work = context;
    int64_t players = work->p + work->p % 2, circle = players - 1;
    for (int64_t pair = begin; pair < end; pair++) {
        int64_t i = (work->round + pair) % circle,
                j = pair == 0 ? circle : (work->round + circle - pair) % circle;
        work->turned[pair] =
            i < work->p && j < work->p && svd_orthogonalise(work, sonde__min_i64(i, j), sonde__max_i64(i, j));
    }
    return SONDE_OK;
}

/* Every pair once. The rounds follow each other, the pairs of one do not touch the same row. */
static sonde_status svd_sweep(svd_work *work, bool *any)
{
    int64_t pairs = (work->p + 1) / 2, grain = sonde__max_i64(1, SVD_PAIR_ENTRIES / work->q);
    *any = false;
    for (work->round = 0; work->round < 2 * pairs - 1; work->round++) {
        SONDE_TRY(sonde__parallel_for(work->runtime, 0, pairs, grain, NULL, svd_meet_chunk, work));
        for (int64_t pair = 0; pair < pairs; pair++) *any = *any || work->turned[pair];
    }
    return SONDE_OK;
}

static sonde_status svd_all_sweeps(svd_work *work)
{
    bool any = true;
    for (int sweeps = 0; any; sweeps++) {
        if (sweeps == SVD_SWEEPS_MOST)
            return sonde__fail(SONDE_INTERNAL, "svd: %lld x %lld did not converge", (long long)work->p,
                               (long long)work->q);
        SONDE_TRY(svd_sweep(work, &any));
    }
    return SONDE_OK;
}

/* ---- results ---------------------------------------------------------------------------------------------------- */

typedef struct svd_place {
    double length2;
    int64_t row;
} svd_place;

static int svd_by_length(const void *a, const void *b)
{
    const svd_place *x = a, *y = b;
    if (x->length2 != y->length2) return x->length2 > y->length2 ? -1 : 1;
    return x->row < y->row ? -1 : 1;
}

/* A unit vector orthogonal to the first `count` rows of u. What is left of the coordinate axes has squared length
 * (q - count) / q on average, so one axis has at least that. */
static void svd_complete(double *u, int64_t count, int64_t q)
{
    double *row = u + count * q, left = 0;
    for (int64_t axis = 0; axis < q && left * 2 * (double)q < (double)(q - count); axis++) {
        memset(row, 0, (size_t)q * sizeof *row);
        row[axis] = 1;
        for (int twice = 0; twice < 2; twice++)
            for (int64_t i = 0; i < count; i++)
                sonde__axpy_f64(-sonde__dot_f64(row, u + i * q, q), u + i * q, q, row);
        left = sonde__dot_f64(row, row, q);
    }
    for (int64_t t = 0; t < q; t++) row[t] /= sqrt(left);
}

/* u (p x q) and j (p x p) in the order of falling s. */
static sonde_status svd_give(const svd_work *work, double scale, double *u, double *s, double *j)
{
    svd_place *places;
    int64_t p = work->p, q = work->q;
    SONDE_TRY(SONDE_NEW(work->runtime, places, p));
    for (int64_t i = 0; i < p; i++) places[i] = (svd_place){work->length2[i], i};
    qsort(places, (size_t)p, sizeof *places, svd_by_length);
    for (int64_t i = 0; i < p; i++) {
        const double *row = work->rows + places[i].row * work->ld;
        double length = places[i].length2 < SVD_NOTHING ? 0 : sqrt(places[i].length2);
        s[i] = length * scale;
        memcpy(j + i * p, row + q, (size_t)p * sizeof *j);
        for (int64_t t = 0; length > 0 && t < q; t++) u[i * q + t] = row[t] / length;
        if (length == 0) svd_complete(u, i, q);
    }
    sonde__free(work->runtime, places);
    return SONDE_OK;
}

/* b is scaled to entries of at most 1, is read, and receives U; gram's place receives J. */
static sonde_status svd_decompose(svd_work *work, double *b, double *s)
{
    double scale = 0;
    for (int64_t i = 0; i < work->p * work->q; i++) scale = fmax(scale, fabs(b[i]));
    for (int64_t i = 0; scale > 0 && i < work->p * work->q; i++) b[i] /= scale;
    double *turn;
    SONDE_TRY(SONDE_NEW(work->runtime, turn, work->p * work->p));
    sonde_status status = svd_start(work, turn);
    sonde__free(work->runtime, turn);
    if (status == SONDE_OK) status = svd_all_sweeps(work);
    if (status == SONDE_OK) status = svd_give(work, scale, b, s, work->gram);
    return status;
}

/* m >= n: B is the transpose, a = U^T S J. m < n: B is the matrix, a = J^T S U. */
sonde_status sonde__own_svd(sonde_runtime *runtime, int64_t m, int64_t n, double *a, double *u, double *s,
                            double *vt)
{
    svd_work work = {.runtime = runtime, .p = sonde__min_i64(m, n), .q = sonde__max_i64(m, n)};
    double *b = NULL;
    sonde_status status;
    work.ld = work.p + work.q;
    if (work.p == 0) return SONDE_OK;
    if ((status = SONDE_NEW(runtime, b, m * n)) != SONDE_OK ||
        (status = SONDE_NEW(runtime, work.gram, work.p * work.p)) != SONDE_OK ||
        (status = SONDE_NEW(runtime, work.rows, work.p * work.ld)) != SONDE_OK ||
        (status = SONDE_NEW(runtime, work.length2, work.p)) != SONDE_OK ||
        (status = SONDE_NEW_ZERO(runtime, work.turned, work.p)) != SONDE_OK)
        goto done;
    work.b = b;
    if (m >= n) sonde__transpose_f64(a, m, n, b);
    else memcpy(b, a, (size_t)(m * n) * sizeof *b);
    if ((status = svd_decompose(&work, b, s)) != SONDE_OK) goto done;
    if (m >= n) {
        sonde__transpose_f64(b, n, m, u);
        memcpy(vt, work.gram, (size_t)(n * n) * sizeof *vt);
    } else {
        sonde__transpose_f64(work.gram, m, m, u);
        memcpy(vt, b, (size_t)(m * n) * sizeof *vt);
    }
done:
    sonde__free(runtime, work.turned);
    sonde__free(runtime, work.length2);
    sonde__free(runtime, work.rows);
    sonde__free(runtime, work.gram);
    sonde__free(runtime, b);
    return status;
}
