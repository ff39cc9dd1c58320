/* pca.c: principal components: the projection on the `dim` directions in which the training rows vary most.
 *
 *     y = s * (A (x - mean))      A: dim_out x dim, orthonormal rows     s: 1, or 1 / deviation (whiten=yes)
 *     back: x = A^T (y / s) + mean, the least squares solution
 *
 * The sign of a component is free; here its entry of largest magnitude is positive, so that training again gives the
 * same. Whitening divides by a deviation of at least 1e-3 of the largest one: directions without variance stay small.
 *
 * Cost: training dim^2 x sample multiply-adds and an eigen-decomposition; applying dim x dim_out a row.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "base/handle.h"
#include "kernels/blocks.h"
#include "linalg/linalg.h"
#include "transforms/linear.h"
#include "transforms/transform.h"

/* What is learned, as it is stored. */
struct pca_parts {
    float *mean;  /* dim */
    float *axes;  /* dim_out x dim */
    float *scale; /* dim_out, > 0 */
};

struct pca {
    struct pca_parts parts;
    sonde__linear linear; /* scale * axes, and what the mean contributes */
};

static void pca_drop_parts(sonde_runtime *runtime, struct pca_parts *parts)
{
    sonde__free(runtime, parts->mean);
    sonde__free(runtime, parts->axes);
    sonde__free(runtime, parts->scale);
    *parts = (struct pca_parts){0};
}

static sonde_status pca_create(sonde_transform *transform)
{
    struct pca *pca;
    int64_t wanted = sonde__param_int(transform->params, "dim");
    if (sonde__param_is(transform->params, "dim", "auto")) wanted = transform->dim;
    if (wanted > transform->dim)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "pca: dim=%lld is more than the %lld columns of the vectors", (long long)wanted,
                           (long long)transform->dim);
    SONDE_TRY(SONDE_NEW_ZERO(transform->runtime, pca, 1));
    transform->state = pca;
    transform->dim_out = wanted;
    return SONDE_OK;
}

/* Builds the map from the parts, which are taken over, also on failure. */
static sonde_status pca_adopt(sonde_transform *transform, struct pca_parts *parts)
{
    struct pca *pca = transform->state;
    sonde_runtime *runtime = transform->runtime;
    int64_t dim = transform->dim, out = transform->dim_out;
    sonde__linear linear;
    float *matrix = NULL, *offset = NULL;
    sonde_status status = SONDE_NEW(runtime, matrix, out * dim);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, offset, out);
    for (int64_t o = 0; status == SONDE_OK && o < out; o++) {
        double shift = 0;
        for (int64_t j = 0; j < dim; j++) {
            matrix[o * dim + j] = parts->axes[o * dim + j] * parts->scale[o];
            shift += (double)matrix[o * dim + j] * parts->mean[j];
        }
        offset[o] = (float)-shift;
    }
    if (status == SONDE_OK) status = sonde__linear_make(runtime, dim, out, matrix, offset, &linear);
    if (status != SONDE_OK) {
        sonde__free(runtime, matrix);
        sonde__free(runtime, offset);
        pca_drop_parts(runtime, parts);
        return status;
    }
    pca_drop_parts(runtime, &pca->parts);
    sonde__linear_drop(runtime, &pca->linear);
    pca->parts = *parts;
    pca->linear = linear;
    return SONDE_OK;
}

/* ---- training -------------------------------------------------------------------------------------------------- */

/* Sums in double: many rows of large values would drown in a float. */
static void pca_mean(const float *x, int64_t n, int64_t dim, double *sums, float *mean)
{
    for (int64_t j = 0; j < dim; j++) sums[j] = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < dim; j++) sums[j] += x[i * dim + j];
    for (int64_t j = 0; j < dim; j++) mean[j] = (float)(sums[j] / (double)n);
}

/* Copies axis `o` with its sign fixed. */
static void pca_take_axis(const double *vector, int64_t dim, float *axis)
{
    int64_t largest = 0;
    for (int64_t j = 1; j < dim; j++)
        if (fabs(vector[j]) > fabs(vector[largest])) largest = j;
    double sign = vector[largest] < 0 ? -1 : 1;
    for (int64_t j = 0; j < dim; j++) axis[j] = (float)(sign * vector[j]);
}

/* Mean, axes and scales of n packed rows; work holds 2 dim^2 + dim doubles. */
static sonde_status pca_solve(const sonde_transform *transform, const float *x, int64_t n, double *work,
                              struct pca_parts *parts)
{
    int64_t dim = transform->dim;
    double *gram = work, *vectors = work + dim * dim, *values = vectors + dim * dim;
    if (sonde__param_is(transform->params, "center", "yes"))
        pca_mean(x, n, dim, values, parts->mean);
    else
        memset(parts->mean, 0, (size_t)dim * sizeof *parts->mean);
    SONDE_TRY(sonde__gram(transform->runtime, 0, n, dim, x, dim, parts->mean, gram));
    SONDE_TRY(sonde__eigen_symmetric(transform->runtime, dim, gram, values, vectors));
    bool whiten = sonde__param_is(transform->params, "whiten", "yes");
    double least = values[0] * 1e-6;
    for (int64_t o = 0; o < transform->dim_out; o++) {
        double variance = fmax(values[o], least) / (double)n;
        pca_take_axis(vectors + o * dim, dim, parts->axes + o * dim);
        parts->scale[o] = whiten && variance > 1e-60 ? (float)(1 / sqrt(variance)) : 1;
    }
    return SONDE_OK;
}

/* A packed copy of at most `sample` rows. */
static sonde_status pca_sample(const sonde_transform *transform, const float *x, int64_t *n, float **sampled)
{
    int64_t dim = transform->dim, wanted = sonde__param_int(transform->params, "sample"), *chosen;
    sonde_runtime *runtime = transform->runtime;
    *sampled = NULL;
    if (*n <= wanted) return SONDE_OK;
    SONDE_TRY(SONDE_NEW(runtime, chosen, wanted));
    sonde_status status = SONDE_NEW(runtime, *sampled, wanted * dim);
    if (status == SONDE_OK) {
        *n = sonde__blocks_sample((uint64_t)sonde__param_int(transform->params, "seed"), 0, *n, wanted,
                                  chosen);
        for (int64_t i = 0; i < *n; i++)
            memcpy(*sampled + i * dim, x + chosen[i] * dim, (size_t)dim * sizeof *x);
    }
    sonde__free(runtime, chosen);
    return status;
}

static sonde_status pca_train(sonde_transform *transform, const float *x, int64_t n)
{
    sonde_runtime *runtime = transform->runtime;
    int64_t dim = transform->dim;
    struct pca_parts parts = {0};
    double *work = NULL;
    float *sampled = NULL;
    sonde_status status = pca_sample(transform, x, &n, &sampled);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, work, 2 * dim * dim + dim);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, parts.mean, dim);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, parts.axes, transform->dim_out * dim);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, parts.scale, transform->dim_out);
    if (status == SONDE_OK) status = pca_solve(transform, sampled ? sampled : x, n, work, &parts);
    sonde__free(runtime, work);
    sonde__free(runtime, sampled);
    if (status == SONDE_OK) return pca_adopt(transform, &parts);
    pca_drop_parts(runtime, &parts);
    return status;
}

/* ---- the method ------------------------------------------------------------------------------------------------ */

static void pca_apply(const sonde_transform *transform, const float *in, int64_t n, float *out)
{
    const struct pca *pca = transform->state;
    sonde__linear_apply(&pca->linear, in, n, out);
}

/* One axis at a time; few rows come back compared with those that go in. */
static void pca_back(const sonde_transform *transform, const float *in, int64_t n, float *out)
{
    const struct pca *pca = transform->state;
    int64_t dim = transform->dim, dim_out = transform->dim_out;
    for (int64_t i = 0; i < n; i++) {
        float *x = out + i * dim;
        memcpy(x, pca->parts.mean, (size_t)dim * sizeof *x);
        for (int64_t o = 0; o < dim_out; o++)
            sonde__kernels_get()->axpy(in[i * dim_out + o] / pca->parts.scale[o], pca->parts.axes + o * dim,
                                       dim, x);
    }
}

static sonde_status pca_save(const sonde_transform *transform, sonde__writer *writer)
{
    const struct pca_parts *parts = &((const struct pca *)transform->state)->parts;
    uint64_t dim = (uint64_t)transform->dim, out = (uint64_t)transform->dim_out;
    SONDE_TRY(sonde__write_array(writer, "MEAN", parts->mean, dim, sizeof(float)));
    SONDE_TRY(sonde__write_array(writer, "AXES", parts->axes, out * dim, sizeof(float)));
    return sonde__write_array(writer, "SCALE", parts->scale, out, sizeof(float));
}

/* Axes are not checked for being orthonormal: others only reconstruct badly, and reach no memory. */
static sonde_status pca_load(sonde_transform *transform, sonde__reader *reader)
{
    sonde_runtime *runtime = transform->runtime;
    uint64_t dim = (uint64_t)transform->dim, out = (uint64_t)transform->dim_out;
    struct pca_parts parts = {0};
    sonde_status status = sonde__handle_floats(runtime, reader, "MEAN", dim, &parts.mean);
    if (status == SONDE_OK) status = sonde__handle_floats(runtime, reader, "AXES", out * dim, &parts.axes);
    if (status == SONDE_OK) status = sonde__handle_floats(runtime, reader, "SCALE", out, &parts.scale);
    for (uint64_t o = 0; status == SONDE_OK && o < out; o++)
        if (!(parts.scale[o] > 0))
            status = sonde__fail(SONDE_CORRUPT,
                                 "section \"SCALE\": the scale of component %llu is %g, not above 0",
                                 (unsigned long long)o, (double)parts.scale[o]);
    if (status == SONDE_OK) return pca_adopt(transform, &parts);
    pca_drop_parts(runtime, &parts);
    return status;
}

static void pca_drop(sonde_transform *transform)
{
    struct pca *pca = transform->state;
    if (pca) {
        pca_drop_parts(transform->runtime, &pca->parts);
        sonde__linear_drop(transform->runtime, &pca->linear);
    }
    sonde__free(transform->runtime, pca);
}

static const sonde__key pca_keys[] = {
    {"dim", SONDE__KEY_INT, "auto", 1, SONDE__MAX_DIM, "auto", NULL,
     "components to keep; auto: as many as columns"},
    {"whiten", SONDE__KEY_WORD, "no", 0, 0, "no|yes", NULL, "divide each component by its deviation"},
    {"center", SONDE__KEY_WORD, "yes", 0, 0, "yes|no", NULL, "subtract the mean of the training rows"},
    {"sample", SONDE__KEY_INT, "65536", 1, 1e9, NULL, NULL, "most rows to train on"},
    {"seed", SONDE__KEY_INT, "1", 0, 9007199254740992.0, NULL, NULL, "of the choice of those rows"},
    {0},
};

const sonde__transform_method sonde__transform_pca = {
    .method = {"pca", "projection on the directions of largest variance", "Pearson 1901; Hotelling 1933",
               pca_keys, sonde__vectors_input, NULL, NULL},
    .create = pca_create,
    .train = pca_train,
    .apply = pca_apply,
    .apply_inverse = pca_back,
    .save = pca_save,
    .load = pca_load,
    .drop = pca_drop,
};
