/* ppp.c: clustering that chooses the number of groups: k-means from a start that depends on the rows alone,
 * checked by a Gaussian mixture.
 *
 * This is the method: keys, codes, results, files. ppp_fit.c tells how groups are found and counted. A row's
 * code is the number of its group, the nearest centroid along the principal axes; group 0 is the largest. The
 * same rows always give the same groups, which are a local optimum like all of k-means.
 *
 * After: Sultan: Probabilistic partitive partitioning (2020). The paper's steps are not public in detail;
 * these are ours. Cost: encoding p (dim + k) a row, for p axes; training: see ppp_fit.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "quantizers/ppp.h"

#include "base/handle.h"
#include "kernels/blocks.h"
#include "quantizers/group_code.h"

enum { PPP_AXES_DIM = 8192 }; /* most columns that principal axes are computed for */

static const char *const ppp_tags[SONDE__PPP_PARTS] = {"MEAN",  "AXES",     "NEAR",   "CENTROID", "WEIGHTS",
                                                       "MEANS", "VARIANCE", "SCORES", "SEPARATE", "COLUMNS"};

static sonde_status ppp_create(sonde_quantizer *quantizer)
{
    const sonde__params *params = quantizer->params;
    int64_t k_min = sonde__param_int(params, "k_min"), k_max = sonde__param_int(params, "k_max");
    sonde__ppp *ppp;
    if (k_min > k_max)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "ppp: k_min=%lld is more than k_max=%lld", (long long)k_min,
                           (long long)k_max);
    if (sonde__param_real(params, "reduce") < 1 && quantizer->dim > PPP_AXES_DIM)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "ppp: principal axes of dim=%lld columns are too many, %d is the most; give reduce=1",
                           (long long)quantizer->dim, PPP_AXES_DIM);
    SONDE_TRY(SONDE_NEW_ZERO(quantizer->runtime, ppp, 1));
    ppp->k_min = k_min;
    ppp->k_max = k_max;
    quantizer->state = ppp;
    quantizer->code_bytes = sonde__group_bytes(k_max);
    quantizer->min_rows = 1;
    quantizer->sample_rows = sonde__param_int(params, "sample");
    return SONDE_OK;
}

/* ---- the model -------------------------------------------------------------------------------------------------- */

uint64_t sonde__ppp_part_count(const sonde__ppp_model *m, int part, int64_t dim)
{
    int64_t k = m->k, p = m->p;
    switch (part) {
    case SONDE__PPP_MEAN:
    case SONDE__PPP_DIMENSIONS: return (uint64_t)dim;
    case SONDE__PPP_AXES: return (uint64_t)(p * dim);
    case SONDE__PPP_CENTROIDS: return (uint64_t)(k * dim);
    case SONDE__PPP_NEAR:
    case SONDE__PPP_MEANS: return (uint64_t)(k * p);
    case SONDE__PPP_VARIANCES: return (uint64_t)(m->full ? k * p * p : k * p);
    case SONDE__PPP_SCORES: return (uint64_t)(m->tried * SONDE__PPP_SCORE);
    default: return (uint64_t)k;
    }
}

void sonde__ppp_model_drop(sonde_runtime *runtime, sonde__ppp_model *m)
{
    m->axes.matrix = NULL;
    sonde__directions_drop(runtime, &m->axes);
    for (int part = 0; part < SONDE__PPP_PARTS; part++) sonde__free(runtime, m->part[part]);
    sonde__free(runtime, m->sizes);
    sonde__free(runtime, m->packed[0]);
    sonde__free(runtime, m->packed[1]);
    *m = (sonde__ppp_model){0};
}

sonde_status sonde__ppp_prepare_axes(sonde_runtime *runtime, sonde__ppp_model *m, int64_t dim)
{
    if (!m->part[SONDE__PPP_AXES]) return SONDE_OK;
    return sonde__directions_make(runtime, dim, m->p, m->part[SONDE__PPP_AXES], &m->axes);
}

sonde_status sonde__ppp_prepare_book(sonde_runtime *runtime, const float *centroids, int64_t k, int64_t d,
                                     float **packed, sonde__codebook *book)
{
    SONDE_TRY(SONDE_NEW(runtime, *packed, sonde__codebook_floats(k, d)));
    sonde__codebook_prepare(book, centroids, d, k, d, false, *packed);
    return SONDE_OK;
}

void sonde__ppp_adopt(sonde_quantizer *quantizer, const sonde__ppp_model *m)
{
    sonde__ppp *ppp = quantizer->state;
    sonde__ppp_model_drop(quantizer->runtime, &ppp->model);
    ppp->model = *m;
}

void sonde__ppp_project(const sonde__ppp_model *m, int64_t dim, const float *x, int64_t ldx, int64_t n, float *room,
                        float *y)
{
    float *centred = m->part[SONDE__PPP_AXES] ? room : y;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < dim; j++) centred[i * dim + j] = x[i * ldx + j] - m->part[SONDE__PPP_MEAN][j];
    if (m->part[SONDE__PPP_AXES]) sonde__directions_project(&m->axes, centred, dim, n, y, m->p);
}

/* ---- codes ------------------------------------------------------------------------------------------------------ */

sonde_status sonde__ppp_nearest(const sonde_quantizer *quantizer, const sonde__ppp_model *m, const float *x,
                                int64_t ldx, int64_t n, int32_t *nearest)
{
    int64_t dim = quantizer->dim;
    sonde__scratch *scratch = NULL;
    float *room, *y;
    SONDE_TRY(sonde__scratch_take(quantizer->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, room, SONDE__PPP_ROWS * dim);
    if (status == SONDE_OK) status = SONDE_SCRATCH(scratch, y, SONDE__PPP_ROWS * m->p);
    for (int64_t i = 0; status == SONDE_OK && i < n; i += SONDE__PPP_ROWS) {
        int64_t count = sonde__min_i64(SONDE__PPP_ROWS, n - i);
        sonde__ppp_project(m, dim, x + i * ldx, ldx, count, room, y);
        sonde__codebook_nearest(&m->near, y, m->p, count, nearest + i);
    }
    sonde__scratch_give(quantizer->runtime, scratch);
    return status;
}

static sonde__groups ppp_groups(const sonde_quantizer *quantizer)
{
    const sonde__ppp *ppp = quantizer->state;
    return (sonde__groups){ppp->model.k, quantizer->dim, quantizer->code_bytes, ppp->model.part[SONDE__PPP_CENTROIDS]};
}

static sonde_status ppp_encode(const sonde_quantizer *quantizer, const float *x, int64_t ldx, int64_t n, uint8_t *codes,
                               int64_t stride)
{
    const sonde__ppp *ppp = quantizer->state;
    int32_t nearest[SONDE__PPP_ROWS];
    for (int64_t i = 0; i < n; i += SONDE__PPP_ROWS) {
        int64_t count = sonde__min_i64(SONDE__PPP_ROWS, n - i);
        SONDE_TRY(sonde__ppp_nearest(quantizer, &ppp->model, x + i * ldx, ldx, count, nearest));
        for (int64_t r = 0; r < count; r++)
            sonde__group_write(codes + (i + r) * stride, quantizer->code_bytes, nearest[r]);
    }
    return SONDE_OK;
}

static void ppp_decode(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n, float *x,
                       int64_t ldx)
{
    sonde__groups groups = ppp_groups(quantizer);
    sonde__group_decode(&groups, codes, stride, n, x, ldx);
}

static bool ppp_valid(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n)
{
    sonde__groups groups = ppp_groups(quantizer);
    return sonde__group_valid(&groups, codes, stride, n);
}

static int64_t ppp_table_bytes(const sonde_quantizer *quantizer)
{
    const sonde__ppp *ppp = quantizer->state;
    return ppp->model.k * (int64_t)sizeof(float);
}

static void ppp_table(const sonde_quantizer *quantizer, const float *query, void *table)
{
    const sonde__ppp *ppp = quantizer->state;
    sonde__codebook_products(&ppp->model.whole, query, table);
}

static void ppp_scan_codes(const sonde_quantizer *quantizer, const void *table, const uint8_t *codes, int64_t stride,
                           int64_t n, float *ip)
{
    sonde__groups groups = ppp_groups(quantizer);
    sonde__group_scan(&groups, table, codes, stride, n, ip);
}

/* ---- outputs and files ------------------------------------------------------------------------------------------ */

static const sonde__output_key ppp_outputs[] = {
    {"centroids", "k x dim", SONDE_DTYPE_F32, "the means of the groups, the largest group first"},
    {"sizes", "k x 1", SONDE_DTYPE_I64, "training rows of each group"},
    {"axes", "p x dim", SONDE_DTYPE_F32, "what rows are projected on, less their mean; none with reduce=1"},
    {"weights", "k x 1", SONDE_DTYPE_F32, "of the mixture"},
    {"means", "k x p", SONDE_DTYPE_F32, "of the mixture, along the axes"},
    {"variances", "k x p", SONDE_DTYPE_F32, "of the mixture, along the axes; with cov=full k x p p, the covariances"},
    {"scores", "t x 7", SONDE_DTYPE_F32,
     "of each K tried: K, squared error, agreement, mean posterior, BIC, squared error before k-means, stability"},
    {"separability", "k x 1", SONDE_DTYPE_F32, "mean over a group's rows of 1 - second best posterior / best"},
    {"dimensions", "dim x 1", SONDE_DTYPE_F32, "the share of a column's variance that lies between groups"},
    {"flags", "1 x 1", SONDE_DTYPE_I64,
     "sum of 1: no clear structure, 2: fewer than 10 k_max rows, 4: k_max or fewer distinct rows"},
    {0},
};

static sonde_status ppp_output(const sonde_quantizer *quantizer, int position, sonde_array *view)
{
    const sonde__ppp *ppp = quantizer->state;
    const sonde__ppp_model *m = &ppp->model;
    int64_t dim = quantizer->dim;
    bool axes = m->part[SONDE__PPP_AXES];
    switch (position) {
    case 0: *view = sonde_f32(m->part[SONDE__PPP_CENTROIDS], m->k, dim); break;
    case 1: *view = sonde_i64(m->sizes, m->k, 1); break;
    case 2: *view = sonde_f32(m->part[SONDE__PPP_AXES], axes ? m->p : 0, dim); break;
    case 3: *view = sonde_f32(m->part[SONDE__PPP_WEIGHTS], m->k, 1); break;
    case 4: *view = sonde_f32(m->part[SONDE__PPP_MEANS], m->k, m->p); break;
    case 5: *view = sonde_f32(m->part[SONDE__PPP_VARIANCES], m->k, m->full ? m->p * m->p : m->p); break;
    case 6: *view = sonde_f32(m->part[SONDE__PPP_SCORES], m->tried, SONDE__PPP_SCORE); break;
    case 7: *view = sonde_f32(m->part[SONDE__PPP_SEPARABILITY], m->k, 1); break;
    case 8: *view = sonde_f32(m->part[SONDE__PPP_DIMENSIONS], dim, 1); break;
    default: *view = sonde_i64(&m->flags, 1, 1); break;
    }
    return SONDE_OK;
}

static sonde_status ppp_save(const sonde_quantizer *quantizer, sonde__writer *writer)
{
    const sonde__ppp *ppp = quantizer->state;
    const sonde__ppp_model *m = &ppp->model;
    SONDE_TRY(sonde__write_int(writer, "k", m->k));
    SONDE_TRY(sonde__write_int(writer, "axes", m->p));
    SONDE_TRY(sonde__write_int(writer, "tried", m->tried));
    SONDE_TRY(sonde__write_int(writer, "flags", m->flags));
    SONDE_TRY(sonde__write_array(writer, "SIZES", m->sizes, (uint64_t)m->k, sizeof *m->sizes));
    for (int part = 0; part < SONDE__PPP_PARTS; part++)
        if (m->part[part])
            SONDE_TRY(sonde__write_array(writer, ppp_tags[part], m->part[part],
                                         sonde__ppp_part_count(m, part, quantizer->dim), sizeof(float)));
    return SONDE_OK;
}

static sonde_status ppp_load_sizes(sonde__reader *reader, sonde__ppp_model *m)
{
    sonde__blob blob;
    SONDE_TRY(sonde__read_array(reader, "SIZES", (uint64_t)m->k, sizeof *m->sizes, true, &blob));
    m->sizes = blob.data;
    for (int64_t g = 0; g < m->k; g++)
        if (m->sizes[g] < 0 || m->sizes[g] > SONDE__MAX_ROWS)
            return sonde__fail(SONDE_CORRUPT, "ppp: group %lld has %lld rows", (long long)g, (long long)m->sizes[g]);
    return SONDE_OK;
}

static sonde_status ppp_load_model(const sonde_quantizer *quantizer, sonde__reader *reader, sonde__ppp_model *m)
{
    const sonde__ppp *ppp = quantizer->state;
    sonde_runtime *runtime = quantizer->runtime;
    int64_t dim = quantizer->dim;
    bool axes = sonde__param_real(quantizer->params, "reduce") < 1;
    SONDE_TRY(sonde__read_int(reader, "k", 1, ppp->k_max, &m->k));
    SONDE_TRY(sonde__read_int(reader, "axes", axes ? 1 : dim, dim, &m->p));
    SONDE_TRY(sonde__read_int(reader, "tried", 1, ppp->k_max, &m->tried));
    SONDE_TRY(sonde__read_int(reader, "flags", 0, SONDE__PPP_FLAGS, &m->flags));
    SONDE_TRY(ppp_load_sizes(reader, m));
    for (int part = 0; part < SONDE__PPP_PARTS; part++)
        if (part != SONDE__PPP_AXES || axes)
            SONDE_TRY(sonde__handle_floats(runtime, reader, ppp_tags[part], sonde__ppp_part_count(m, part, dim),
                                           &m->part[part]));
    SONDE_TRY(sonde__ppp_prepare_axes(runtime, m, dim));
    SONDE_TRY(sonde__ppp_prepare_book(runtime, m->part[SONDE__PPP_NEAR], m->k, m->p, &m->packed[0], &m->near));
    return sonde__ppp_prepare_book(runtime, m->part[SONDE__PPP_CENTROIDS], m->k, dim, &m->packed[1], &m->whole);
}

static sonde_status ppp_load(sonde_quantizer *quantizer, sonde__reader *reader)
{
    sonde__ppp_model model = {.full = sonde__param_is(quantizer->params, "cov", "full")};
    sonde_status status = ppp_load_model(quantizer, reader, &model);
    if (status == SONDE_OK) sonde__ppp_adopt(quantizer, &model);
    else sonde__ppp_model_drop(quantizer->runtime, &model);
    return status;
}

static void ppp_drop(sonde_quantizer *quantizer)
{
    sonde__ppp *ppp = quantizer->state;
    if (ppp) sonde__ppp_model_drop(quantizer->runtime, &ppp->model);
    sonde__free(quantizer->runtime, ppp);
}

/* Axes, and k_max centroids of both kinds, plain and packed. */
static uint64_t ppp_learned_bytes(const sonde_quantizer *quantizer)
{
    const sonde__ppp *ppp = quantizer->state;
    int64_t dim = quantizer->dim, axes = sonde__param_real(quantizer->params, "reduce") < 1 ? 2 * dim * dim : 0;
    int64_t groups = ppp->k_max * 4 * dim + 2 * sonde__codebook_floats(ppp->k_max, dim);
    return (uint64_t)(axes + groups) * sizeof(float);
}

static const sonde__key ppp_keys[] = {
    {"k_min", SONDE__KEY_INT, "2", 1, 65536, NULL, NULL, "fewest groups; 1 lets the rows be one group"},
    {"k_max", SONDE__KEY_INT, "50", 1, 65536, NULL, NULL, "most groups"},
    {"cov", SONDE__KEY_WORD, "diag", 0, 0, "diag|full", NULL,
     "Gaussians with variances along the axes, or with covariances"},
    {"reduce", SONDE__KEY_REAL, "0.95", 0.01, 1, NULL, NULL,
     "share of the variance that the principal axes keep; 1: the columns themselves"},
    {"agree", SONDE__KEY_REAL, "0.9", 0, 1, NULL, NULL, "adjusted Rand index from which on groups are structure"},
    {"em_iters", SONDE__KEY_INT, "100", 1, 100000, NULL, NULL, "most iterations of the mixture"},
    {"restarts", SONDE__KEY_INT, "0", 0, 1000, NULL, NULL,
     "diagnosis: agreement with so many k-means from random starts, in the scores"},
    {"sample", SONDE__KEY_INT, "100000", 1, 1e9, NULL, NULL, "most rows that groups are sought in"},
    {"seed", SONDE__KEY_INT, "0", 0, 9007199254740992.0, NULL, NULL, "of the restarts; nothing else is random"},
    {0},
};

const sonde__quantizer_method sonde__quantizer_ppp = {
    .method = {"ppp", "clustering that chooses the number of groups and checks them with a Gaussian mixture",
               "after Sultan: Probabilistic partitive partitioning (2020)", ppp_keys, sonde__vectors_input, NULL,
               ppp_outputs},
    .create = ppp_create,
    .train = sonde__ppp_train,
    .encode = ppp_encode,
    .decode = ppp_decode,
    .valid = ppp_valid,
    .table_bytes = ppp_table_bytes,
    .table = ppp_table,
    .scan = ppp_scan_codes,
    .output = ppp_output,
    .clusters = true,
    .learned_bytes = ppp_learned_bytes,
    .save = ppp_save,
    .load = ppp_load,
    .drop = ppp_drop,
};
