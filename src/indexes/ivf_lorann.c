/* ivf_lorann.c: lists whose scores are products of low rank.
 *
 * Problem: within a list the rows differ from their centroid in few directions that matter to queries. So the
 * products of all rows of the list with a query, less that with the centroid, are nearly a matrix of low
 * rank, and `rank` numbers a row give them: the fewer, the faster a list is scanned.
 *
 * The error that counts is that of the scores of queries q, not that of the rows, so both are first brought
 * to coordinates where queries vary alike in all directions. Rows stand for queries: with axes v and roots s
 * of their second moment, and r = x - centroid,
 *
 *     z = <v, q> / s      y = <v, r> s      so that <q, r> = <z, y> along the `dims` axes that are kept
 *
 * (l2: less the mean of all rows, in the moment and in z; the bias of a row has that part, so nothing depends
 * on where the origin is.)
 *
 * There the best scores of rank `rank` come from the main directions U of the y of the list:
 *
 *     <q, r>  is about  <U z, b>,  b = U y
 *
 * U is found by subspace iteration, where the moment of all lists counts as a few rows more: a list of few
 * rows has its directions mostly from there. A row that comes later is brought to b alike, so rows are added,
 * moved and removed as in any list. U lies in 8 bits, z is rounded to 8 bits for it, and b is coded by
 * sq(bits=8): all products of a search but <v, q> are of small integers. The product with the centroid is
 * exact and holds most of the score, so a first number in f32 besides gains nothing (measured).
 *
 * Cost: a list takes rank (dims + 8) bytes, a row `rank`; a search dims x dim multiply-adds a query, rank x
 * dims small ones a list, and rank a row. Training is O(rank dims) for each sampled row and round.
 *
 * Source: Jaasaari, Hyvonen, Roos, "LoRANN: low-rank matrix factorization for approximate nearest neighbor
 * search" (2024). There queries of the list weigh the errors, and its rows must all be there at once; here
 * the moment is shared.
 *
 * SPDX-License-Identifier: MIT
 */
#include "indexes/ivf_lorann.h"

#include <float.h>
#include <math.h>

#include "base/handle.h"
#include "linalg/linalg.h"

enum {
    LORANN_ZERO = 128,  /* the byte that stands for 0 in a basis */
    LORANN_TOP = 127,   /* the largest value of a basis, in units */
    LORANN_QUERY = 64,  /* and of a query */
    LORANN_ROUNDS = 4,  /* of subspace iteration */
    LORANN_OVER = 8,    /* directions that it follows besides those that are kept */
    LORANN_ROWS = 1024, /* rows of a list that it looks at, at most */
    LORANN_PRIOR = 8,   /* rows that the moment of all lists counts for */
    LORANN_GRAIN = 64
};

/* Share of the mean variance that is added to that along each axis. With less, z is large where rows have
 * little, and its rounding coarse for the rest. */
#define LORANN_RIDGE 0.5
#define LORANN_NOTHING 1e-9f /* what is left of a squared length of 1 by rounding, at most */
#define LORANN_TINY 1e-60    /* a variance that counts as none */

/* ---- making ---------------------------------------------------------------------------------------------------- */

/* A key that may be auto and at most `most`. */
static sonde_status lorann_size(const sonde_index *index, const char *key, int64_t fallback, int64_t most,
                                const char *of, int64_t *size)
{
    *size = sonde__min_i64(fallback, most);
    if (sonde__param_is(index->params, key, "auto")) return SONDE_OK;
    *size = sonde__param_int(index->params, key);
    if (*size > most)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "ivf: %s=%lld is more than %s, which is %lld", key,
                           (long long)*size, of, (long long)most);
    return SONDE_OK;
}

sonde_status sonde__lorann_create(const sonde_index *index, sonde__lorann **lorann)
{
    int64_t dims, rank;
    SONDE_TRY(lorann_size(index, "dims", 256, sonde__min_i64(index->dim, SONDE__LORANN_DIMS), "dim", &dims));
    SONDE_TRY(lorann_size(index, "rank", sonde__min_i64(32, (dims + 1) / 2),
                          sonde__min_i64(dims, SONDE__LORANN_RANK), "dims", &rank));
    SONDE_TRY(SONDE_NEW_ZERO(index->runtime, *lorann, 1));
    **lorann = (sonde__lorann){.dim = index->dim, .dims = dims, .rank = rank};
    return SONDE_OK;
}

void sonde__lorann_free(sonde_runtime *runtime, sonde__lorann *lorann)
{
    if (!lorann) return;
    sonde__free(runtime, lorann->centre);
    sonde__free(runtime, lorann->origin);
    sonde__free(runtime, lorann->axes);
    sonde__free(runtime, lorann->roots);
    sonde__free(runtime, lorann->bases);
    sonde__free(runtime, lorann->units);
    sonde__free(runtime, lorann->spreads);
    sonde__free(runtime, lorann);
}

uint64_t sonde__lorann_bytes(const sonde__lorann *lorann, int64_t lists)
{
    return (uint64_t)(lists * lorann->rank * (lorann->dims + 8) +
                      (lorann->dims * (lorann->dim + 2) + lorann->dim) * 4);
}

/* ---- rows ------------------------------------------------------------------------------------------------------ */

static float lorann_unit(const sonde__lorann *l, int64_t list, int64_t j)
{
    return l->units[list * l->rank + j];
}
static float lorann_spread(const sonde__lorann *l, int64_t list, int64_t j)
{
    return l->spreads[list * l->rank + j];
}
static const uint8_t *lorann_basis(const sonde__lorann *l, int64_t list)
{
    return l->bases + list * l->rank * l->dims;
}

/* y of a row. */
static void lorann_scaled(const sonde__lorann *l, const float *x, float *y)
{
    sonde__kernels_get()->ip_rows[SONDE__ROW_F32](x, l->axes, l->dim * 4, l->dims, l->dim, y);
    for (int64_t k = 0; k < l->dims; k++) y[k] *= l->roots[k];
}

/* y with these numbers. */
static void lorann_span(const sonde__lorann *l, int64_t list, const float *numbers, float *y)
{
    const uint8_t *basis = lorann_basis(l, list);
    memset(y, 0, (size_t)l->dims * sizeof *y);
    for (int64_t j = 0; j < l->rank; j++) {
        float number = numbers[j] * lorann_spread(l, list, j) * lorann_unit(l, list, j);
        for (int64_t k = 0; k < l->dims; k++) y[k] += number * (float)(basis[j * l->dims + k] - LORANN_ZERO);
    }
}

/* numbers += U y, in units of their spreads. */
static void lorann_project(const sonde__lorann *l, int64_t list, const float *y, float *numbers)
{
    float product[SONDE__LORANN_RANK], sum = 0;
    sonde__kernels_get()->ip_rows[SONDE__ROW_U8](y, lorann_basis(l, list), l->dims, l->rank, l->dims,
                                                 product);
    for (int64_t k = 0; k < l->dims; k++) sum += y[k];
    for (int64_t j = 0; j < l->rank; j++)
        numbers[j] += (product[j] - LORANN_ZERO * sum) *
                      (lorann_unit(l, list, j) / lorann_spread(l, list, j));
}

/* U as it lies in bytes is orthonormal but for rounding; a second projection, of what is left, makes up for
 * that. */
void sonde__lorann_numbers(const sonde__lorann *l, const float *x, int64_t n, const int32_t *list,
                           float *numbers)
{
    float y[SONDE__LORANN_DIMS], seen[SONDE__LORANN_DIMS];
    for (int64_t i = 0; i < n; i++) {
        float *b = numbers + i * l->rank;
        memset(b, 0, (size_t)l->rank * sizeof *b);
        lorann_scaled(l, x + i * l->dim, y);
        lorann_project(l, list[i], y, b);
        lorann_span(l, list[i], b, seen);
        for (int64_t k = 0; k < l->dims; k++) y[k] -= seen[k];
        lorann_project(l, list[i], y, b);
    }
}

void sonde__lorann_restore(const sonde__lorann *l, int64_t list, const float *numbers, float *x)
{
    float y[SONDE__LORANN_DIMS];
    lorann_span(l, list, numbers, y);
    memset(x, 0, (size_t)l->dim * sizeof *x);
    for (int64_t k = 0; k < l->dims; k++)
        sonde__kernels_get()->axpy(y[k] / l->roots[k], l->axes + k * l->dim, l->dim, x);
}

typedef struct lorann_rows {
    const sonde__lorann *lorann;
    const float *x;
    const int32_t *list;
    float *numbers;
} lorann_rows;

static sonde_status lorann_rows_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const lorann_rows *r = context;
    const sonde__lorann *l = r->lorann;
    (void)worker;
    sonde__lorann_numbers(l, r->x + begin * l->dim, end - begin, r->list + begin,
                          r->numbers + begin * l->rank);
    return SONDE_OK;
}

sonde_status sonde__lorann_numbers_of(sonde_runtime *runtime, const sonde__lorann *lorann, const float *x,
                                      int64_t n, const int32_t *list, float *numbers)
{
    lorann_rows r = {lorann, x, list, numbers};
    return sonde__parallel_for(runtime, 0, n, LORANN_GRAIN, "train lists", lorann_rows_chunk, &r);
}

/* ---- the axes -------------------------------------------------------------------------------------------------- */

/* Eigenvectors of the second moment. Roots are of variances over their mean, so that rows may be of any
 * length. */
static void lorann_take_axes(sonde__lorann *l, const double *values, const double *vectors)
{
    double mean = 0;
    for (int64_t k = 0; k < l->dim; k++) mean += fmax(values[k], 0) / (double)l->dim;
    for (int64_t k = 0; k < l->dims; k++) {
        double share = mean > LORANN_TINY ? fmax(values[k], 0) / mean : 1;
        l->roots[k] = (float)sqrt(share + LORANN_RIDGE);
        for (int64_t j = 0; j < l->dim; j++) l->axes[k * l->dim + j] = (float)vectors[k * l->dim + j];
    }
}

/* Queries come doubled for l2, where alone there is a centre. */
static void lorann_take_origin(sonde__lorann *l)
{
    sonde__kernels_get()->ip_rows[SONDE__ROW_F32](l->centre, l->axes, l->dim * 4, l->dims, l->dim, l->origin);
    for (int64_t k = 0; k < l->dims; k++) l->origin[k] *= 2;
}

static sonde_status lorann_take_centre(sonde_runtime *runtime, sonde__lorann *l, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float share = 1 / (float)(i + 1);
        if (i % LORANN_ROWS == 0) SONDE_TRY(sonde__poll(runtime, NULL, 0, 1));
        for (int64_t j = 0; j < l->dim; j++) l->centre[j] += (x[i * l->dim + j] - l->centre[j]) * share;
    }
    return SONDE_OK;
}

static sonde_status lorann_find_axes(sonde_runtime *runtime, sonde__lorann *l, const float *x, int64_t n)
{
    double *moment = NULL, *vectors = NULL, *values = NULL;
    int64_t d = l->dim;
    sonde_status status = SONDE_NEW(runtime, moment, d * d);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, vectors, d * d);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, values, d);
    if (status == SONDE_OK) status = sonde__gram(runtime, 0, n, d, x, d, l->centre, moment);
    if (status == SONDE_OK) {
        for (int64_t i = 0; i < d * d; i++) moment[i] /= (double)n;
        status = sonde__eigen_symmetric(runtime, d, moment, values, vectors);
    }
    if (status == SONDE_OK) lorann_take_axes(l, values, vectors);
    sonde__free(runtime, moment);
    sonde__free(runtime, vectors);
    sonde__free(runtime, values);
    return status;
}

static sonde_status lorann_allocate(sonde_runtime *runtime, sonde__lorann *l, int64_t lists)
{
    l->lists = lists;
    SONDE_TRY(SONDE_NEW_ZERO(runtime, l->centre, l->dim));
    SONDE_TRY(SONDE_NEW(runtime, l->origin, l->dims));
    SONDE_TRY(SONDE_NEW(runtime, l->axes, l->dims * l->dim));
    SONDE_TRY(SONDE_NEW(runtime, l->roots, l->dims));
    SONDE_TRY(SONDE_NEW(runtime, l->bases, lists * l->rank * l->dims));
    SONDE_TRY(SONDE_NEW(runtime, l->units, lists * l->rank));
    return SONDE_NEW(runtime, l->spreads, lists * l->rank);
}

sonde_status sonde__lorann_axes(sonde_runtime *runtime, sonde__lorann *lorann, int64_t lists, const float *x,
                                int64_t n, bool centred)
{
    SONDE_TRY(lorann_allocate(runtime, lorann, lists));
    if (centred) SONDE_TRY(lorann_take_centre(runtime, lorann, x, n));
    SONDE_TRY(lorann_find_axes(runtime, lorann, x, n));
    lorann_take_origin(lorann);
    return SONDE_OK;
}

/* ---- the basis of a list --------------------------------------------------------------------------------------- */

typedef struct lorann_fit {
    sonde_runtime *runtime;
    sonde__lorann *lorann;
    const float *x;
    const int32_t *order; /* rows by list: those of list l are order[start[l]] .. order[start[l + 1]] */
    const int64_t *start;
    const double *variance;
    float size; /* of a y, about */
    uint64_t seed;
} lorann_fit;

/* One list at work: the moment of its `rows` y (in units of `size`) and of the prior, in `width` directions,
 * which are the rows of `basis`. */
typedef struct lorann_list {
    const lorann_fit *fit;
    int64_t rows, width;
    float *y;       /* rows x dims */
    float *basis;   /* width x dims */
    float *product; /* width x rows */
    float *next;    /* width x dims */
} lorann_list;

static float lorann_dot(const float *a, const float *b, int64_t n)
{
    float ip;
    sonde__kernels_get()->ip_rows[SONDE__ROW_F32](a, b, 0, 1, n, &ip);
    return ip;
}

static bool lorann_normalise(float *x, int64_t n)
{
    float most = 0;
    for (int64_t k = 0; k < n; k++) most = fmaxf(most, fabsf(x[k]));
    if (!(most > 0)) return false;
    for (int64_t k = 0; k < n; k++) x[k] /= most;
    float scale = 1 / sqrtf(sonde__kernels_get()->norm2(x, n));
    for (int64_t k = 0; k < n; k++) x[k] *= scale;
    return true;
}

/* Takes from row i what it has in common with those before it, twice for the sake of rounding. False: nothing
 * is left. */
static bool lorann_clear(float *rows, int64_t i, int64_t n)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    float *x = rows + i * n;
    bool there = lorann_normalise(x, n);
    for (int pass = 0; pass < 2 && there; pass++) {
        for (int64_t j = 0; j < i; j++) kernels->axpy(-lorann_dot(x, rows + j * n, n), rows + j * n, n, x);
        there = kernels->norm2(x, n) > LORANN_NOTHING && lorann_normalise(x, n);
    }
    return there;
}

/* Rows at right angles and of length 1 (Gram and Schmidt). One that is nothing of its own becomes the next
 * axis that is. */
static void lorann_orthonormal(float *rows, int64_t count, int64_t n)
{
    int64_t axis = 0;
    for (int64_t i = 0; i < count; i++)
        while (!lorann_clear(rows, i, n) && axis < n) {
            memset(rows + i * n, 0, (size_t)n * sizeof *rows);
            rows[i * n + axis++] = 1;
        }
}

/* y of at most LORANN_ROWS rows of the list, evenly chosen. */
static void lorann_gather(lorann_list *w, int64_t list)
{
    const lorann_fit *f = w->fit;
    const sonde__lorann *l = f->lorann;
    int64_t first = f->start[list], count = f->start[list + 1] - first;
    for (int64_t i = 0; i < w->rows; i++)
        lorann_scaled(l, f->x + f->order[first + i * count / w->rows] * l->dim, w->y + i * l->dims);
    for (int64_t i = 0; i < w->rows * l->dims; i++) w->y[i] /= f->size;
}

static void lorann_start(lorann_list *w, int64_t list)
{
    int64_t dims = w->fit->lorann->dims;
    sonde__rng rng;
    sonde__rng_start(&rng, w->fit->seed, 1, (uint64_t)list);
    for (int64_t i = 0; i < w->width * dims; i++) w->basis[i] = sonde__rng_normal(&rng);
    lorann_orthonormal(w->basis, w->width, dims);
}

/* product = basis y^T; next = product y + prior. */
static sonde_status lorann_multiply(lorann_list *w)
{
    int64_t dims = w->fit->lorann->dims;
    sonde_runtime *runtime = w->fit->runtime;
    memset(w->next, 0, (size_t)(w->width * dims) * sizeof *w->next);
    if (w->rows > 0) {
        SONDE_TRY(sonde__gemm_nt(runtime, 1, w->width, w->rows, dims, w->basis, dims, w->y, dims, w->product,
                                 w->rows));
        SONDE_TRY(sonde__gemm_nn(runtime, 1, w->width, dims, w->rows, w->product, w->rows, w->y, dims,
                                 w->next, dims));
    }
    double square = (double)w->fit->size * w->fit->size;
    for (int64_t k = 0; k < dims; k++) {
        float prior = (float)(LORANN_PRIOR * w->fit->variance[k] / square);
        for (int64_t i = 0; i < w->width; i++) w->next[i * dims + k] += prior * w->basis[i * dims + k];
    }
    return SONDE_OK;
}

/* Turns the basis to the main directions within what it spans; values: the moment along each. */
static sonde_status lorann_turn(lorann_list *w, double *values, sonde__scratch *scratch)
{
    int64_t dims = w->fit->lorann->dims, width = w->width;
    double *moment, *vectors;
    SONDE_TRY(SONDE_SCRATCH(scratch, moment, width * width));
    SONDE_TRY(SONDE_SCRATCH(scratch, vectors, width * width));
    for (int64_t i = 0; i < width; i++)
        for (int64_t j = 0; j <= i; j++)
            moment[i * width + j] = moment[j * width + i] = (double)lorann_dot(w->basis + i * dims,
                                                                               w->next + j * dims, dims);
    SONDE_TRY(sonde__eigen_symmetric(w->fit->runtime, width, moment, values, vectors));
    memset(w->next, 0, (size_t)(width * dims) * sizeof *w->next);
    for (int64_t i = 0; i < width; i++)
        for (int64_t j = 0; j < width; j++)
            sonde__kernels_get()->axpy((float)vectors[i * width + j], w->basis + j * dims, dims,
                                       w->next + i * dims);
    return SONDE_OK;
}

/* The first `rank` directions, in bytes. */
static void lorann_store(const lorann_list *w, int64_t list, const double *values)
{
    sonde__lorann *l = w->fit->lorann;
    for (int64_t j = 0; j < l->rank; j++) {
        const float *from = w->next + j * l->dims;
        uint8_t *to = l->bases + (list * l->rank + j) * l->dims;
        float spread = w->fit->size * (float)sqrt(fmax(values[j], 0) / (double)(w->rows + LORANN_PRIOR));
        float most = 0;
        for (int64_t k = 0; k < l->dims; k++) most = fmaxf(most, fabsf(from[k]));
        float unit = most / LORANN_TOP;
        for (int64_t k = 0; k < l->dims; k++) to[k] = (uint8_t)(LORANN_ZERO + lrintf(from[k] / unit));
        l->units[list * l->rank + j] = unit;
        l->spreads[list * l->rank + j] = spread > FLT_MIN ? spread : 1; /* no row has anything there */
    }
}

static sonde_status lorann_fit_list(const lorann_fit *f, int64_t list, sonde__scratch *scratch)
{
    const sonde__lorann *l = f->lorann;
    lorann_list w = {.fit = f, .rows = sonde__min_i64(LORANN_ROWS, f->start[list + 1] - f->start[list])};
    double *values;
    w.width = sonde__min_i64(l->rank + LORANN_OVER, l->dims);
    SONDE_TRY(SONDE_SCRATCH(scratch, w.y, w.rows * l->dims + 1));
    SONDE_TRY(SONDE_SCRATCH(scratch, w.basis, w.width * l->dims));
    SONDE_TRY(SONDE_SCRATCH(scratch, w.product, w.width * w.rows + 1));
    SONDE_TRY(SONDE_SCRATCH(scratch, w.next, w.width * l->dims));
    SONDE_TRY(SONDE_SCRATCH(scratch, values, w.width));
    lorann_gather(&w, list);
    lorann_start(&w, list);
    for (int round = 0; round < LORANN_ROUNDS; round++) {
        SONDE_TRY(lorann_multiply(&w));
        memcpy(w.basis, w.next, (size_t)(w.width * l->dims) * sizeof *w.basis);
        lorann_orthonormal(w.basis, w.width, l->dims);
    }
    SONDE_TRY(lorann_multiply(&w));
    SONDE_TRY(lorann_turn(&w, values, scratch));
    lorann_store(&w, list, values);
    return SONDE_OK;
}

static sonde_status lorann_fit_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const lorann_fit *f = context;
    sonde__scratch *scratch;
    sonde_status status = SONDE_OK;
    (void)worker;
    SONDE_TRY(sonde__scratch_take(f->runtime, &scratch));
    for (int64_t list = begin; list < end && status == SONDE_OK; list++) {
        sonde__scratch_mark mark = sonde__scratch_here(scratch);
        status = lorann_fit_list(f, list, scratch);
        sonde__scratch_rewind(scratch, mark);
    }
    sonde__scratch_give(f->runtime, scratch);
    return status;
}

/* ---- training -------------------------------------------------------------------------------------------------- */

/* Counting sort of the rows by list. */
static void lorann_sort(int64_t lists, int64_t n, const int32_t *list, int64_t *start, int32_t *order)
{
    memset(start, 0, (size_t)(lists + 2) * sizeof *start);
    for (int64_t i = 0; i < n; i++) start[list[i] + 2]++;
    for (int64_t l = 0; l < lists; l++) start[l + 2] += start[l + 1];
    for (int64_t i = 0; i < n; i++) order[start[list[i] + 1]++] = (int32_t)i;
}

/* The mean square of y along each axis, from evenly chosen rows. */
static void lorann_vary(const sonde__lorann *l, const float *x, int64_t n, double *variance)
{
    float y[SONDE__LORANN_DIMS];
    int64_t count = sonde__min_i64(n, LORANN_ROWS);
    memset(variance, 0, (size_t)l->dims * sizeof *variance);
    for (int64_t i = 0; i < count; i++) {
        lorann_scaled(l, x + i * n / count * l->dim, y);
        for (int64_t k = 0; k < l->dims; k++) variance[k] += (double)y[k] * y[k] / (double)count;
    }
}

/* Rows may be so long that squares of their values would overflow. */
static float lorann_size_of(const sonde__lorann *l, const double *variance)
{
    double sum = 0;
    for (int64_t k = 0; k < l->dims; k++) sum += variance[k];
    return sum > LORANN_TINY ? (float)sqrt(sum) : 1;
}

sonde_status sonde__lorann_train(sonde_runtime *runtime, sonde__lorann *lorann, const float *x, int64_t n,
                                 const int32_t *list, uint64_t seed)
{
    int64_t *start = NULL;
    int32_t *order = NULL;
    double *variance = NULL;
    sonde_status status = SONDE_NEW(runtime, start, lorann->lists + 2);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, order, n);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, variance, lorann->dims);
    if (status == SONDE_OK) {
        lorann_vary(lorann, x, n, variance);
        lorann_sort(lorann->lists, n, list, start, order);
        lorann_fit f = {runtime, lorann, x, order, start, variance, lorann_size_of(lorann, variance), seed};
        status = sonde__parallel_for(runtime, 0, lorann->lists, 1, "train lists", lorann_fit_chunk, &f);
    }
    sonde__free(runtime, start);
    sonde__free(runtime, order);
    sonde__free(runtime, variance);
    return status;
}

/* ---- search ---------------------------------------------------------------------------------------------------- */

/* A query's table: this in 64 bytes, then z in small integers, all of them 0 behind the last. */
typedef struct lorann_head {
    float step;
    int32_t zero; /* what the byte that stands for 0 adds to every product */
} lorann_head;

int64_t sonde__lorann_table_bytes(const sonde__lorann *lorann) { return 64 + (lorann->dims + 63) / 64 * 64; }

void sonde__lorann_table(const sonde__lorann *l, const float *query, void *table)
{
    float z[SONDE__LORANN_DIMS], most = 0;
    lorann_head head = {0};
    sonde__quantised what;
    memset(table, 0, (size_t)sonde__lorann_table_bytes(l));
    sonde__kernels_get()->ip_rows[SONDE__ROW_F32](query, l->axes, l->dim * 4, l->dims, l->dim, z);
    for (int64_t k = 0; k < l->dims; k++) {
        z[k] = (z[k] - l->origin[k]) / l->roots[k];
        most = fmaxf(most, fabsf(z[k]));
    }
    if (!(most > 0) || sonde__kernels_get()->first_nonfinite(z, l->dims) >= 0) return;
    for (int64_t k = 0; k < l->dims; k++) z[k] /= most;
    sonde__kernels_get()->quantise(z, l->dims, LORANN_QUERY, (int8_t *)table + 64, &what);
    head.step = what.step * most;
    head.zero = what.sum * LORANN_ZERO;
    memcpy(table, &head, sizeof head);
}

/* U z of one list. */
static void lorann_weights(const sonde__lorann *l, int64_t list, const void *table, float *weights)
{
    int32_t sums[SONDE__LORANN_RANK];
    const lorann_head *head = table;
    sonde__kernels_get()->ip_u8s8((const int8_t *)table + 64, lorann_basis(l, list), l->dims, l->rank,
                                  l->dims, sums);
    for (int64_t j = 0; j < l->rank; j++)
        weights[j] = (float)(sums[j] - head->zero) * head->step *
                     (lorann_unit(l, list, j) * lorann_spread(l, list, j));
}

sonde_status sonde__lorann_scan(const sonde__lorann *l, const sonde__scorer *scorer,
                                const sonde__snapshot *snapshot, int64_t list, const sonde__lane *lanes,
                                int64_t count, sonde__scratch *scratch)
{
    sonde__scratch_mark mark = sonde__scratch_here(scratch);
    int64_t bytes = (scorer->code->method->table_bytes(scorer->code) + 63) / 64 * 64;
    float weights[SONDE__LORANN_RANK];
    sonde__lane *own;
    uint8_t *tables;
    sonde_status status = SONDE_SCRATCH(scratch, own, count);
    if (status == SONDE_OK) status = SONDE_SCRATCH(scratch, tables, count * bytes);
    for (int64_t i = 0; i < count && status == SONDE_OK; i++) {
        own[i] = lanes[i];
        own[i].table = tables + i * bytes;
        lorann_weights(l, list, lanes[i].table, weights);
        scorer->code->method->table(scorer->code, weights, tables + i * bytes);
    }
    if (status == SONDE_OK) status = sonde__scan_list(scorer, snapshot, list, own, count, scratch);
    sonde__scratch_rewind(scratch, mark);
    return status;
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

sonde_status sonde__lorann_save(const sonde__lorann *l, sonde__writer *writer)
{
    uint64_t numbers = (uint64_t)(l->lists * l->rank);
    SONDE_TRY(sonde__write_array(writer, "CENTRE", l->centre, (uint64_t)l->dim, 4));
    SONDE_TRY(sonde__write_array(writer, "AXES", l->axes, (uint64_t)(l->dims * l->dim), 4));
    SONDE_TRY(sonde__write_array(writer, "ROOT", l->roots, (uint64_t)l->dims, 4));
    SONDE_TRY(sonde__write_array(writer, "BASIS", l->bases, numbers * (uint64_t)l->dims, 1));
    SONDE_TRY(sonde__write_array(writer, "UNIT", l->units, numbers, 4));
    return sonde__write_array(writer, "SPREAD", l->spreads, numbers, 4);
}

/* Numbers within least..most, as training gives them. */
static sonde_status lorann_load_numbers(sonde_runtime *runtime, sonde__reader *reader, const char *tag,
                                        int64_t count, float least, float most, float **values)
{
    SONDE_TRY(sonde__handle_floats(runtime, reader, tag, (uint64_t)count, values));
    for (int64_t i = 0; i < count; i++)
        if (!((*values)[i] >= least && (*values)[i] <= most))
            return sonde__fail(SONDE_CORRUPT, "section \"%s\" holds %g, which is not within %g..%g", tag,
                               (double)(*values)[i], (double)least, (double)most);
    return SONDE_OK;
}

sonde_status sonde__lorann_load(sonde_runtime *runtime, sonde__lorann *l, int64_t lists,
                                sonde__reader *reader)
{
    sonde__blob bases;
    SONDE_TRY(SONDE_NEW(runtime, l->origin, l->dims));
    SONDE_TRY(sonde__handle_floats(runtime, reader, "CENTRE", (uint64_t)l->dim, &l->centre));
    SONDE_TRY(lorann_load_numbers(runtime, reader, "AXES", l->dims * l->dim, -1.01f, 1.01f, &l->axes));
    SONDE_TRY(lorann_load_numbers(runtime, reader, "ROOT", l->dims, 0.5f, 300, &l->roots));
    SONDE_TRY(lorann_load_numbers(runtime, reader, "UNIT", lists * l->rank, 1e-5f, 1e-2f, &l->units));
    SONDE_TRY(lorann_load_numbers(runtime, reader, "SPREAD", lists * l->rank, FLT_MIN, 1e22f, &l->spreads));
    SONDE_TRY(sonde__read_array(reader, "BASIS", (uint64_t)(lists * l->rank * l->dims), 1, true, &bases));
    l->bases = bases.data;
    l->lists = lists;
    lorann_take_origin(l);
    return SONDE_OK;
}

bool sonde__lorann_same(const sonde__lorann *a, const sonde__lorann *b)
{
    size_t numbers = (size_t)(a->lists * a->rank);
    return a->lists == b->lists && memcmp(a->bases, b->bases, numbers * (size_t)a->dims) == 0 &&
           memcmp(a->units, b->units, numbers * sizeof *a->units) == 0 &&
           memcmp(a->spreads, b->spreads, numbers * sizeof *a->spreads) == 0 &&
           memcmp(a->roots, b->roots, (size_t)a->dims * sizeof *a->roots) == 0 &&
           memcmp(a->centre, b->centre, (size_t)a->dim * sizeof *a->centre) == 0 &&
           memcmp(a->axes, b->axes, (size_t)(a->dims * a->dim) * sizeof *a->axes) == 0;
}
