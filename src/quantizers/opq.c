/* opq.c: optimized product quantization: a rotation in front of pq that makes its parts carry alike much,
 * learned together with the codebooks. (Ge, He, Ke, Sun: Optimized product quantization, CVPR 2013; the
 * non-parametric form.)
 *
 * Start: the principal directions, dealt out so that the parts' products of variances come out alike. Then in
 * turn: rows to their nearest centroids, centroids to the means of their rows, and the rotation that takes
 * the rows best to their reconstructions, which is U V^T of the decomposition U S V^T of  sum over rows of
 * reconstruction x row^T. Both means and that sum come from the sums of the unrotated rows of each centroid:
 * with s_c the sum of the rows of centroid c of part j, its mean is R_j s_c / n_c, and the part's rows of the
 * matrix are the sum over c of  c s_c^T.
 *
 * The rotation is part of the quantizer: codes, scans and files are those of pq (pq.c) behind a map
 * (pq_frame.c). Cost: a round is n dim (dim + 2^bits + m) multiply-adds and one decomposition of dim x dim;
 * memory 3 x 4 x dim^2 bytes beside that of pq, and a second copy of the sample in training.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "linalg/linalg.h"
#include "quantizers/pq.h"

#define OPQ_FIRST_ITERATIONS 4 /* of k-means, for the centroids to begin with */
#define OPQ_FLOOR 1e-9         /* of a variance, as a share of the largest */

/* ---- the start -------------------------------------------------------------------------------------------------- */

/* For each direction, by falling variance, the row of the rotation where it goes: a part that has room and
 * whose product of variances is the least so far. */
static void opq_deal(const sonde__pq *pq, const double *variance, int64_t *row, double *log_product,
                     int64_t *filled)
{
    for (int64_t j = 0; j < pq->m; j++) log_product[j] = 0, filled[j] = 0;
    for (int64_t i = 0; i < pq->dim; i++) {
        int64_t best = -1;
        for (int64_t j = 0; j < pq->m; j++)
            if (filled[j] < sonde__pq_columns(pq, j) && (best < 0 || log_product[j] < log_product[best]))
                best = j;
        row[i] = sonde__pq_first(pq, best) + filled[best]++;
        log_product[best] += log(fmax(variance[i], OPQ_FLOOR * variance[0]) / variance[0] / OPQ_FLOOR);
    }
}

static void opq_mean(const float *x, int64_t n, int64_t d, double *sum, float *mean)
{
    for (int64_t j = 0; j < d; j++) sum[j] = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++) sum[j] += x[i * d + j];
    for (int64_t j = 0; j < d; j++) mean[j] = (float)(sum[j] / (double)n);
}

/* Memory of the start. */
struct opq_start {
    double *covariance, *vectors, *variance, *log_product;
    int64_t *row, *filled;
    float *mean;
};

static sonde_status opq_start_make(sonde_runtime *runtime, int64_t d, struct opq_start *s)
{
    SONDE_TRY(SONDE_NEW(runtime, s->covariance, d * d));
    SONDE_TRY(SONDE_NEW(runtime, s->vectors, d * d));
    SONDE_TRY(SONDE_NEW(runtime, s->variance, d));
    SONDE_TRY(SONDE_NEW(runtime, s->log_product, d));
    SONDE_TRY(SONDE_NEW(runtime, s->row, d));
    SONDE_TRY(SONDE_NEW(runtime, s->filled, d));
    return SONDE_NEW(runtime, s->mean, d);
}

static void opq_start_drop(sonde_runtime *runtime, struct opq_start *s)
{
    sonde__free(runtime, s->covariance);
    sonde__free(runtime, s->vectors);
    sonde__free(runtime, s->variance);
    sonde__free(runtime, s->log_product);
    sonde__free(runtime, s->row);
    sonde__free(runtime, s->filled);
    sonde__free(runtime, s->mean);
}

static sonde_status opq_begin(const sonde__pq *pq, const float *x, int64_t n, int threads, float *rotation)
{
    struct opq_start s = {0};
    int64_t d = pq->dim;
    sonde_status status = opq_start_make(pq->runtime, d, &s);
    if (status == SONDE_OK) {
        opq_mean(x, n, d, s.variance, s.mean);
        status = sonde__gram(pq->runtime, threads, n, d, x, d, s.mean, s.covariance);
    }
    if (status == SONDE_OK)
        status = sonde__eigen_symmetric(pq->runtime, d, s.covariance, s.variance, s.vectors);
    if (status == SONDE_OK) {
        if (!(s.variance[0] > 0)) s.variance[0] = 1; /* all rows alike: any order does */
        opq_deal(pq, s.variance, s.row, s.log_product, s.filled);
        for (int64_t i = 0; i < d; i++)
            for (int64_t j = 0; j < d; j++) rotation[s.row[i] * d + j] = (float)s.vectors[i * d + j];
    }
    opq_start_drop(pq->runtime, &s);
    return status;
}

/* ---- rounds ----------------------------------------------------------------------------------------------------- */

struct opq_rounds {
    const sonde__pq *pq;
    const float *x;
    int64_t n;
    float *rotation, *y; /* dim x dim; n x dim: the rotated rows */
    float *centroids;    /* m x k x width */
    double *product;     /* dim x dim: reconstructions x rows^T */
    double *u, *s, *vt;
};

static sonde_status opq_rounds_make(const sonde__pq *pq, struct opq_rounds *r)
{
    int64_t d = pq->dim;
    SONDE_TRY(SONDE_NEW(pq->runtime, r->y, r->n * d));
    SONDE_TRY(SONDE_NEW_ZERO(pq->runtime, r->centroids, sonde__pq_floats(pq)));
    SONDE_TRY(SONDE_NEW(pq->runtime, r->product, d * d));
    SONDE_TRY(SONDE_NEW(pq->runtime, r->u, d * d));
    SONDE_TRY(SONDE_NEW(pq->runtime, r->s, d));
    return SONDE_NEW(pq->runtime, r->vt, d * d);
}

static void opq_rounds_drop(sonde_runtime *runtime, struct opq_rounds *r)
{
    sonde__free(runtime, r->y);
    sonde__free(runtime, r->centroids);
    sonde__free(runtime, r->product);
    sonde__free(runtime, r->u);
    sonde__free(runtime, r->s);
    sonde__free(runtime, r->vt);
}

static sonde_status opq_turn_rows(const struct opq_rounds *r, int threads)
{
    int64_t d = r->pq->dim;
    return sonde__gemm_nt(r->pq->runtime, threads, r->n, d, d, r->x, d, r->rotation, d, r->y, d);
}

/* The first centroids of a part, k x columns packed. */
static sonde_status opq_first_centroids(const struct opq_rounds *r, int64_t j)
{
    const sonde__pq *pq = r->pq;
    sonde__kmeans_options options = {.k = pq->k,
                                     .iterations = OPQ_FIRST_ITERATIONS,
                                     .threads = 1,
                                     .seed = (uint64_t)sonde__param_int(pq->params, "seed") + (uint64_t)j,
                                     .hierarchical = pq->k > 4096};
    return sonde__kmeans(pq->runtime, r->y + sonde__pq_first(pq, j), pq->dim, r->n, sonde__pq_columns(pq, j),
                         &options, sonde__pq_centroids(pq, r->centroids, j), NULL);
}

static sonde_status opq_first_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    for (int64_t j = begin; j < end; j++) SONDE_TRY(opq_first_centroids(context, j));
    return SONDE_OK;
}

/* The sums of the unrotated rows of each centroid, and how many they are. */
static void opq_sums(const struct opq_rounds *r, const int32_t *label, float *sum, int64_t *size)
{
    int64_t d = r->pq->dim, k = r->pq->k;
    const sonde__kernels *kernels = sonde__kernels_get();
    memset(sum, 0, (size_t)(k * d) * sizeof *sum);
    memset(size, 0, (size_t)k * sizeof *size);
    for (int64_t i = 0; i < r->n; i++) {
        kernels->axpy(1, r->x + i * d, d, sum + label[i] * d);
        size[label[i]]++;
    }
}

/* New centroids of a part from the sums (those without rows stay), and its rows of the product. */
static void opq_part_product(const struct opq_rounds *r, int64_t j, const float *sum, const int64_t *size)
{
    const sonde__pq *pq = r->pq;
    int64_t d = pq->dim, columns = sonde__pq_columns(pq, j), first = sonde__pq_first(pq, j);
    float *centroids = sonde__pq_centroids(pq, r->centroids, j);
    double *product = r->product + first * d;
    memset(product, 0, (size_t)(columns * d) * sizeof *product);
    for (int64_t c = 0; c < pq->k; c++) {
        if (size[c] == 0) continue;
        for (int64_t i = 0; i < columns; i++) {
            float mean;
            sonde__kernels_get()->ip_rows[SONDE__ROW_F32](r->rotation + (first + i) * d, sum + c * d, 0, 1, d,
                                                          &mean);
            mean /= (float)size[c];
            centroids[c * columns + i] = mean;
            for (int64_t o = 0; o < d; o++) product[i * d + o] += (double)mean * sum[c * d + o];
        }
    }
}

static sonde_status opq_part(const struct opq_rounds *r, int64_t j)
{
    const sonde__pq *pq = r->pq;
    int64_t *size = NULL;
    int32_t *label = NULL;
    float *sum = NULL;
    sonde_status status = SONDE_NEW(pq->runtime, label, r->n);
    if (status == SONDE_OK) status = SONDE_NEW(pq->runtime, size, pq->k);
    if (status == SONDE_OK) status = SONDE_NEW(pq->runtime, sum, pq->k * pq->dim);
    if (status == SONDE_OK)
        status = sonde__assign(pq->runtime, 1, r->y + sonde__pq_first(pq, j), pq->dim, r->n,
                               sonde__pq_columns(pq, j), sonde__pq_centroids(pq, r->centroids, j), pq->k,
                               false, label, NULL);
    if (status == SONDE_OK) {
        opq_sums(r, label, sum, size);
        opq_part_product(r, j, sum, size);
    }
    sonde__free(pq->runtime, label);
    sonde__free(pq->runtime, size);
    sonde__free(pq->runtime, sum);
    return status;
}

static sonde_status opq_part_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    for (int64_t j = begin; j < end; j++) SONDE_TRY(opq_part(context, j));
    return SONDE_OK;
}

/* The orthogonal matrix nearest to the product. */
static sonde_status opq_turn(struct opq_rounds *r)
{
    int64_t d = r->pq->dim;
    SONDE_TRY(sonde__svd(r->pq->runtime, d, d, r->product, r->u, r->s, r->vt));
    for (int64_t i = 0; i < d; i++) {
        double *row = r->product + i * d; /* free again */
        memset(row, 0, (size_t)d * sizeof *row);
        for (int64_t p = 0; p < d; p++)
            for (int64_t j = 0; j < d; j++) row[j] += r->u[i * d + p] * r->vt[p * d + j];
        for (int64_t j = 0; j < d; j++) r->rotation[i * d + j] = (float)row[j];
    }
    return SONDE_OK;
}

static sonde_status opq_rotation(const sonde__pq *pq, const float *x, int64_t n, int threads, float *rotation)
{
    struct opq_rounds r = {.pq = pq, .x = x, .n = n, .rotation = rotation};
    sonde_status status = opq_begin(pq, x, n, threads, rotation);
    if (status == SONDE_OK) status = opq_rounds_make(pq, &r);
    if (status == SONDE_OK) status = opq_turn_rows(&r, threads);
    if (status == SONDE_OK)
        status = sonde__parallel_for(pq->runtime, threads, pq->m, 1, NULL, opq_first_chunk, &r);
    for (int i = 0; status == SONDE_OK && i < pq->rotation_iterations; i++) {
        status = sonde__poll(pq->runtime, "opq: rotation", (uint64_t)i, (uint64_t)pq->rotation_iterations);
        if (status == SONDE_OK)
            status = sonde__parallel_for(pq->runtime, threads, pq->m, 1, NULL, opq_part_chunk, &r);
        if (status == SONDE_OK) status = opq_turn(&r);
        if (status == SONDE_OK) status = opq_turn_rows(&r, threads);
    }
    opq_rounds_drop(pq->runtime, &r);
    return status;
}

/* ---- the method ------------------------------------------------------------------------------------------------- */

static const sonde__key opq_keys[] = {
    {"m", SONDE__KEY_INT, "auto", 1, SONDE__MAX_DIM, "auto", NULL, "parts of a row; auto: the m of code"},
    {"bits", SONDE__KEY_INT, "auto", 1, 16, "auto", NULL, "bits of a part; auto: the bits of code"},
    {"iters", SONDE__KEY_INT, "20", 0, 1000, NULL, NULL,
     "rounds of codebooks and rotation; 0: the principal directions dealt out to the parts"},
    {"code", SONDE__KEY_SPEC, "pq", 0, 0, NULL, "quantizer",
     "pq(...) with everything else: what stands there for m and bits serves where they are auto here"},
    {0},
};

static const sonde__quantizer_method opq_panelled;

/* Goes on with the table of hooks that suits the bits. */
static sonde_status opq_create(sonde_quantizer *quantizer)
{
    const sonde__params *params = quantizer->params, *code = sonde__param_spec(params, "code");
    sonde__pq *pq;
    if (strcmp(sonde__params_method(code)->name, "pq") != 0)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "opq: code=%s; only pq(...) can stand behind the rotation",
                           sonde__params_text(code));
    SONDE_TRY(sonde__pq_make(quantizer->runtime, code, quantizer->dim, sonde__param_int(params, "m"),
                             sonde__param_int(params, "bits"), &pq));
    pq->rotation = opq_rotation;
    pq->rotation_iterations = (int)sonde__param_int(params, "iters");
    if (sonde__pq_panels(pq)) quantizer->method = &opq_panelled;
    return sonde__pq_attach(quantizer, pq);
}

#define OPQ_METHOD                                                                                           \
    {                                                                                                        \
        "opq", "product quantization behind a learned rotation",                                             \
            "Ge, He, Ke, Sun: Optimized product quantization (CVPR 2013)", opq_keys, sonde__pq_inputs, NULL, \
            NULL                                                                                             \
    }

const sonde__quantizer_method sonde__quantizer_opq = {
    .method = OPQ_METHOD, .create = opq_create, SONDE__PQ_HOOKS};

static const sonde__quantizer_method opq_panelled = {
    .method = OPQ_METHOD, .create = opq_create, SONDE__PQ_HOOKS, SONDE__PQ_PANEL_HOOKS};
