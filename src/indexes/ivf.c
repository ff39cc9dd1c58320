/* ivf.c: the inverted file: rows in lists by nearest centroid; a search visits the lists whose centroids are nearest.
 *
 * Learned: `nlist` centroids by k-means on a sample, and a code for the rows (or for their differences from the
 * centroid: residual). Scores on codes are inner products with the reconstruction x' (docs/metrics.md): l2      2 <q,
 * x'> - |x|^2       the second term, of the row itself, is stored with it as its bias ip      <q, x'> cosine  as ip;
 * rows and queries are brought to unit length (zero vectors stay zero) and with residual codes <q, x'> = <q,
 * centroid> + <q, code>, so no table is ever built for a list. A refine tier (f16 or f32) keeps the row itself for a
 * second, direct score of the best candidates.
 *
 * Cost: a row takes code bytes + 8 (id) + 4 (l2) + refine tier; a search O(nlist dim + share of lists visited x n x
 * code bytes).
 *
 * Source: Sivic and Zisserman, "Video Google" (2003); Jegou, Douze, Schmid, "Product quantization for nearest
 * neighbor search" (2011).
 *
 * SPDX-License-Identifier: MIT
 */
#include "indexes/direct.h"
#include "indexes/ivf.h"

#include <math.h>

#include "linalg/linalg.h"

#define CHUNK 4096         /* rows converted at a time */
#define F16_LIMIT 65520.0f /* from here on f16 rounds to infinity */

static const sonde__key keys[] = {
    {"nlist", SONDE__KEY_INT, "auto", 1, 134217727, "auto", NULL,
     "number of lists; auto: 4 sqrt(n) of the training rows"},
    {"code", SONDE__KEY_SPEC, "flat", 0, 0, "flat", "quantizer", "how rows are stored; flat: f32 as they are"},
    {"residual", SONDE__KEY_WORD, "auto", 0, 0, "auto|yes|no", NULL, "code x - centroid instead of x; auto: for pq"},
    {"refine", SONDE__KEY_WORD, "none", 0, 0, "none|f16|f32", NULL, "keep rows to score the best candidates again"},
    {"iters", SONDE__KEY_INT, "10", 1, 1000, NULL, NULL, "k-means iterations"},
    {"sample", SONDE__KEY_INT, "256", 39, 65536, NULL, NULL, "training rows for each list, at most"},
    {"seed", SONDE__KEY_INT, "1", 0, 9007199254740992.0, NULL, NULL, "of the random choices in training"},
    {0},
};

static const sonde__input_key inputs[] = {
    {"vectors", "n x dim", SONDE__DTYPES_NUMERIC, true, "rows like those that will be stored", "train"},
    {0},
};

/* ---- making ------------------------------------------------------------------------------------------ */

static sonde_status create_code(sonde_index *index, sonde__ivf *ivf)
{
    const sonde__params *code = sonde__param_spec(index->params, "code");
    sonde_status status = sonde_quantizer_create(code ? sonde__params_text(code) : "raw", index->dim, index->runtime,
                                                 &ivf->code);
    return status == SONDE_OK ? status : sonde__fail_within(status, "ivf: code");
}

static void set_layout(sonde_index *index, sonde__ivf *ivf)
{
    sonde__layout *layout = &index->layout;
    bool f16 = sonde__param_is(index->params, "refine", "f16");
    *layout = (sonde__layout){1, {ivf->code->code_bytes}};
    ivf->bias_column = ivf->refine_column = -1;
    if (index->metric == SONDE_METRIC_L2) {
        ivf->bias_column = layout->columns;
        layout->width[layout->columns++] = 4;
    }
    if (!sonde__param_is(index->params, "refine", "none")) {
        ivf->refine_kind = f16 ? SONDE__ROW_F16 : SONDE__ROW_F32;
        ivf->refine_column = layout->columns;
        layout->width[layout->columns++] = index->dim * (f16 ? 2 : 4);
    }
}

static sonde_status create(sonde_index *index)
{
    if (index->metric == SONDE_METRIC_HAMMING)
        return sonde__fail(SONDE_UNSUPPORTED, "ivf: metric=hamming is not offered; metrics: l2, ip, cosine");
    sonde__ivf *ivf;
    SONDE_TRY(SONDE_NEW_ZERO(index->runtime, ivf, 1));
    index->state = ivf;
    SONDE_TRY(create_code(index, ivf));
    if (ivf->code->method->exact && !sonde__param_is(index->params, "refine", "none"))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "ivf: refine=%s adds nothing to an exact code; say refine=none",
                           sonde__param_word(index->params, "refine"));
    ivf->residual = sonde__param_is(index->params, "residual", "yes") ||
                    (sonde__param_is(index->params, "residual", "auto") &&
                     strcmp(ivf->code->method->method.name, "pq") == 0);
    if (ivf->residual && ivf->code->method->exact)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "ivf: residual=yes needs a code that loses something; code is %s",
                           sonde_quantizer_spec(ivf->code));
    index->lists = sonde__max_i64(1, sonde__param_int(index->params, "nlist"));
    set_layout(index, ivf);
    return SONDE_OK;
}

static void drop(sonde_index *index)
{
    sonde__ivf *ivf = index->state;
    if (!ivf) return;
    sonde_quantizer_free(ivf->code);
    sonde__blob_free(index->runtime, &ivf->centroids);
    sonde__free(index->runtime, ivf->norms);
    sonde__free(index->runtime, ivf);
}

/* Inner products decide the list, so centroids have length 1. */
static bool spherical(const sonde_index *index) { return index->metric != SONDE_METRIC_L2; }

/* Rows as the index sees them: f32, of unit length for cosine. */
static void read_rows(const sonde_index *index, const sonde_array *rows, int64_t begin, int64_t count, float *out)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    sonde__rows_to_f32(rows, begin, count, out, index->dim);
    if (index->metric != SONDE_METRIC_COSINE) return;
    for (int64_t i = 0; i < count; i++) {
        float *x = out + i * index->dim, norm2 = kernels->norm2(x, index->dim);
        float scale = norm2 > 0 ? 1 / sqrtf(norm2) : 0;
        for (int64_t j = 0; j < index->dim; j++) x[j] *= scale;
    }
}

/* ---- training ---------------------------------------------------------------------------------------- */

static int64_t choose_nlist(const sonde_index *index, int64_t n)
{
    if (!sonde__param_is(index->params, "nlist", "auto")) return sonde__param_int(index->params, "nlist");
    int64_t wanted = (int64_t)(4 * sqrt((double)n));
    return sonde__max_i64(1, sonde__min_i64(wanted, n / 39));
}

static int64_t min_rows(const sonde_index *index)
{
    const sonde__ivf *ivf = index->state;
    return sonde__max_i64(sonde__max_i64(1, ivf->code->min_rows), sonde__param_int(index->params, "nlist"));
}

/* At most `most` rows, one from each of `most` equal strata, so that the choice does not depend on order or threads.
 */
static sonde_status take_sample(const sonde_index *index, const sonde_array *rows, int64_t most, float **x,
                                int64_t *n)
{
    int64_t count = sonde__min_i64(rows->rows, most);
    SONDE_TRY(SONDE_NEW(index->runtime, *x, count * index->dim));
    uint64_t seed = (uint64_t)sonde__param_int(index->params, "seed");
    int64_t width = rows->rows / count, longer = rows->rows % count; /* the first `longer` strata have one row more */
    for (int64_t i = 0; i < count; i++) {
        sonde__rng rng;
        sonde__rng_start(&rng, seed, 0, (uint64_t)i);
        int64_t first = i * width + sonde__min_i64(i, longer);
        int64_t row = first + (int64_t)sonde__rng_below(&rng, (uint64_t)(width + (i < longer)));
        read_rows(index, rows, row, 1, *x + i * index->dim);
    }
    *n = count;
    return SONDE_OK;
}

typedef struct subtracting {
    const float *centroids;
    const int32_t *list;
    float *x;
    int64_t dim;
} subtracting;

static sonde_status subtract_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    const subtracting *s = context;
    for (int64_t i = begin; i < end; i++)
        sonde__kernels_get()->axpy(-1, s->centroids + s->list[i] * s->dim, s->dim, s->x + i * s->dim);
    return SONDE_OK;
}

/* Trains the code on the sample, or on what is left of it after its centroids. x is changed. */
static sonde_status train_code(const sonde_index *index, sonde_quantizer *code, const float *centroids, int64_t lists,
                               float *x, int64_t n)
{
    const sonde__ivf *ivf = index->state;
    if (!code->method->train) return SONDE_OK;
    if (ivf->residual) {
        int32_t *list;
        SONDE_TRY(SONDE_NEW(index->runtime, list, n));
        sonde_status status = sonde__assign(index->runtime, 0, x, index->dim, n, index->dim, centroids, lists,
                                            spherical(index), list, NULL);
        subtracting s = {centroids, list, x, index->dim};
        if (status == SONDE_OK) status = sonde__parallel_for(index->runtime, 0, n, 1024, NULL, subtract_chunk, &s);
        sonde__free(index->runtime, list);
        if (status != SONDE_OK) return status;
    }
    return sonde__quantizer_train_f32(code, x, n, 0);
}

static sonde_status centroid_norms(const sonde_index *index, const float *centroids, int64_t lists, float **norms)
{
    SONDE_TRY(SONDE_NEW(index->runtime, *norms, lists));
    for (int64_t l = 0; l < lists; l++)
        (*norms)[l] = sonde__kernels_get()->norm2(centroids + l * index->dim, index->dim);
    return SONDE_OK;
}

/* Clusters the sample and trains a code on it, into the given new parts. */
static sonde_status train_parts(const sonde_index *index, const sonde_array *rows, int64_t lists, float *centroids,
                                sonde_quantizer *code)
{
    float *x = NULL;
    int64_t n = 0;
    int64_t most = sonde__max_i64(65536, lists * sonde__param_int(index->params, "sample"));
    sonde_status status = take_sample(index, rows, most, &x, &n);
    sonde__kmeans_options options = {.k = lists,
                                     .iterations = (int)sonde__param_int(index->params, "iters"),
                                     .seed = (uint64_t)sonde__param_int(index->params, "seed"),
                                     .spherical = spherical(index),
                                     .sample = lists * sonde__param_int(index->params, "sample"),
                                     .hierarchical = lists > 16384,
                                     .stage = "train lists"};
    if (status == SONDE_OK)
        status = sonde__kmeans(index->runtime, x, index->dim, n, index->dim, &options, centroids, NULL);
    if (status == SONDE_OK) status = train_code(index, code, centroids, lists, x, n);
    sonde__free(index->runtime, x);
    return status;
}

static sonde_status train(sonde_index *index, const sonde_array *rows)
{
    int64_t lists = choose_nlist(index, rows->rows);
    sonde__ivf *ivf = index->state, made = *ivf;
    made.code = NULL;
    made.norms = NULL;
    made.centroids = (sonde__blob){NULL, (uint64_t)(lists * index->dim) * sizeof(float), true};
    float *centroids;
    sonde_status status = SONDE_NEW(index->runtime, centroids, lists * index->dim);
    if (status == SONDE_OK) status = create_code(index, &made);
    if (status == SONDE_OK) status = train_parts(index, rows, lists, centroids, made.code);
    if (status == SONDE_OK) status = centroid_norms(index, centroids, lists, &made.norms);
    if (status != SONDE_OK) {
        sonde__free(index->runtime, centroids);
        sonde_quantizer_free(made.code);
        return status;
    }
    sonde_quantizer_free(ivf->code);
    sonde__blob_free(index->runtime, &ivf->centroids);
    sonde__free(index->runtime, ivf->norms);
    made.centroids.data = centroids;
    *ivf = made;
    index->lists = lists;
    return SONDE_OK;
}

/* ---- adding ------------------------------------------------------------------------------------------ */

static sonde_status place(const sonde_index *index, const sonde_array *rows, int32_t *lists)
{
    const sonde__ivf *ivf = index->state;
    int64_t chunk = sonde__min_i64(rows->rows, CHUNK);
    float *x;
    SONDE_TRY(SONDE_NEW(index->runtime, x, chunk * index->dim));
    sonde_status status = SONDE_OK;
    for (int64_t i = 0; i < rows->rows && status == SONDE_OK; i += chunk) {
        int64_t count = sonde__min_i64(chunk, rows->rows - i);
        status = sonde__poll(index->runtime, "place", (uint64_t)i, (uint64_t)rows->rows);
        read_rows(index, rows, i, count, x);
        if (status == SONDE_OK)
            status = sonde__assign(index->runtime, 0, x, index->dim, count, index->dim, ivf->centroids.data,
                                   index->lists, spherical(index), lists + i, NULL);
    }
    sonde__free(index->runtime, x);
    return status;
}

/* Rows that could make scores overflow, or that the refine tier cannot hold, are refused. */
static sonde_status check_rows(const sonde_index *index, const float *x, int64_t begin, int64_t n)
{
    const sonde__ivf *ivf = index->state;
    bool f16 = ivf->refine_column >= 0 && ivf->refine_kind == SONDE__ROW_F16;
    for (int64_t i = 0; i < n; i++) {
        if (!(sonde__kernels_get()->norm2(x + i * index->dim, index->dim) <= SONDE__LENGTH2_MAX))
            return sonde__fail(
                SONDE_INVALID_ARGUMENT,
                "add: row %lld is longer than 9.2e18, so scores could overflow; scale the vectors down",
                (long long)(begin + i));
        for (int64_t j = 0; f16 && j < index->dim; j++)
            if (fabsf(x[i * index->dim + j]) >= F16_LIMIT)
                return sonde__fail(
                    SONDE_INVALID_ARGUMENT,
                    "add: row %lld, column %lld: %g does not fit refine=f16 (below %g); scale the vectors or "
                    "say refine=f32",
                    (long long)(begin + i), (long long)j, (double)x[i * index->dim + j], (double)F16_LIMIT);
    }
    return SONDE_OK;
}

/* rows as f32 in x, which is changed. */
static sonde_status fill_rows(const sonde_index *index, float *x, int64_t n, const int32_t *list,
                              uint8_t *const *columns)
{
    const sonde__ivf *ivf = index->state;
    const sonde__kernels *kernels = sonde__kernels_get();
    int64_t d = index->dim;
    if (ivf->refine_column >= 0 && ivf->refine_kind == SONDE__ROW_F32)
        memcpy(columns[ivf->refine_column], x, (size_t)(n * d) * sizeof *x);
    if (ivf->refine_column >= 0 && ivf->refine_kind == SONDE__ROW_F16)
        kernels->f32_to_f16(x, n * d, (uint16_t *)(void *)columns[ivf->refine_column]);
    for (int64_t i = 0; i < n; i++) {
        float bias = -kernels->norm2(x + i * d, d);
        if (ivf->bias_column >= 0) memcpy(columns[ivf->bias_column] + i * 4, &bias, 4);
        if (ivf->residual) kernels->axpy(-1, sonde__ivf_centroid(ivf, d, list[i]), d, x + i * d);
    }
    return ivf->code->method->encode(ivf->code, x, d, n, columns[0], index->layout.width[0]);
}

static sonde_status fill(const sonde_index *index, const sonde_array *rows, int64_t begin, int64_t end,
                         const int32_t *lists, uint8_t *const *columns)
{
    sonde__scratch *scratch;
    float *x;
    int64_t n = end - begin;
    SONDE_TRY(sonde__scratch_take(index->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, x, n * index->dim);
    if (status == SONDE_OK) {
        read_rows(index, rows, begin, n, x);
        status = check_rows(index, x, begin, n);
    }
    if (status == SONDE_OK) status = fill_rows(index, x, n, lists + begin, columns);
    sonde__scratch_give(index->runtime, scratch);
    return status;
}

/* ---- looking inside ---------------------------------------------------------------------------------- */

static void get(const sonde_index *index, const sonde__snapshot *snapshot, sonde__place where, void *out)
{
    const sonde__ivf *ivf = index->state;
    const sonde__segment *segment = sonde__place_in(snapshot, where);
    int64_t row = sonde__place_row(where);
    if (ivf->refine_column >= 0) {
        int c = ivf->refine_column;
        sonde__kernels_get()->to_f32[ivf->refine_kind](segment->column[c] + row * index->layout.width[c], index->dim,
                                                       out);
        return;
    }
    ivf->code->method->decode(ivf->code, segment->column[0] + row * index->layout.width[0], index->layout.width[0], 1,
                              out, index->dim);
    if (ivf->residual)
        sonde__kernels_get()->axpy(1, sonde__ivf_centroid(ivf, index->dim, sonde__place_list(where)), index->dim,
                                   out);
}

static sonde_status check(const sonde_index *index, const sonde__segment *segment, int64_t list)
{
    const sonde__ivf *ivf = index->state;
    if (ivf->code->method->valid &&
        !ivf->code->method->valid(ivf->code, segment->column[0], index->layout.width[0], segment->count))
        return sonde__fail(SONDE_CORRUPT, "list %lld holds a code that %s cannot have made", (long long)list,
                           sonde_quantizer_spec(ivf->code));
    if (ivf->bias_column < 0) return SONDE_OK;
    const uint8_t *bias = segment->column[ivf->bias_column];
    for (int64_t r = 0; r < segment->count; r++) {
        float value;
        memcpy(&value, bias + r * 4, sizeof value);
        if (!(value <= 0) || !isfinite(value))
            return sonde__fail(SONDE_CORRUPT, "list %lld: row %lld has the squared length %g", (long long)list,
                               (long long)r, (double)-value);
    }
    return SONDE_OK;
}

static uint64_t learned_for(const sonde_index *index, int64_t lists)
{
    const sonde__ivf *ivf = index->state;
    const sonde__quantizer_method *code = ivf->code->method;
    return (uint64_t)(lists * (index->dim + 1)) * sizeof(float) +
           (code->learned_bytes ? code->learned_bytes(ivf->code) : 0);
}

static uint64_t learned_bytes(const sonde_index *index) { return learned_for(index, index->lists); }

static sonde_status estimate(sonde_index *index, int64_t rows, uint64_t *learned, uint64_t *building)
{
    const sonde__ivf *ivf = index->state;
    index->lists = choose_nlist(index, rows);
    *learned = learned_for(index, index->lists);
    int64_t sampled = sonde__max_i64(65536, index->lists * sonde__param_int(index->params, "sample"));
    int64_t bounds = index->lists / 16 + 16;              /* what k-means remembers of a row */
    int64_t query = index->lists + 2 * index->dim + 2000; /* and calibration of a query */
    *building = (uint64_t)(sonde__min_i64(rows, sampled) * (2 * index->dim + bounds) +
                           SONDE__OWN_QUERIES * 4 * query) *
                sizeof(float);
    if (ivf->refine_column >= 0)
        *building += (uint64_t)SONDE__OWN_QUERIES * 100 * 16 * 64; /* its deepest candidates */
    return SONDE_OK;
}

/* What a file would hold of the code: the one form in which all codes can be compared. */
static sonde_status code_image(const sonde__ivf *ivf, uint8_t **bytes, uint64_t *count)
{
    sonde__writer *writer;
    SONDE_TRY(sonde__writer_create(ivf->code->runtime, NULL, "index", "", &writer));
    sonde_status status = sonde__quantizer_write(ivf->code, writer, "code");
    if (status == SONDE_OK) return sonde__writer_finish_memory(writer, bytes, count);
    sonde__writer_abort(writer);
    return status;
}

static sonde_status same(const sonde_index *a, const sonde_index *b, bool *equal)
{
    const sonde__ivf *x = a->state, *y = b->state;
    uint8_t *left = NULL, *right = NULL;
    uint64_t left_bytes, right_bytes;
    *equal = a->lists == b->lists &&
             memcmp(x->centroids.data, y->centroids.data, (size_t)(a->lists * a->dim) * sizeof(float)) == 0;
    if (!*equal) return SONDE_OK;
    sonde_status status = code_image(x, &left, &left_bytes);
    if (status == SONDE_OK) status = code_image(y, &right, &right_bytes);
    if (status == SONDE_OK) *equal = left_bytes == right_bytes && memcmp(left, right, left_bytes) == 0;
    sonde__free(x->code->runtime, left);
    sonde__free(y->code->runtime, right);
    return status;
}

static bool refines(const sonde_index *index)
{
    const sonde__ivf *ivf = index->state;
    return ivf->refine_column >= 0;
}

static int64_t max_effort(const sonde_index *index) { return index->lists; }

/* ---- files ------------------------------------------------------------------------------------------- */

static sonde_status save(const sonde_index *index, sonde__writer *writer)
{
    const sonde__ivf *ivf = index->state;
    SONDE_TRY(sonde__write_array(writer, "CENTROID", ivf->centroids.data, (uint64_t)(index->lists * index->dim), 4));
    return sonde__quantizer_write(ivf->code, writer, "code");
}

static sonde_status check_centroids(const sonde_index *index, const float *centroids, int64_t lists)
{
    sonde_array view = sonde_f32(centroids, lists, index->dim);
    if (sonde__array_check_finite(index->runtime, &view, "centroids") != SONDE_OK)
        return sonde__fail(SONDE_CORRUPT, "section \"CENTROID\" holds a value that is not finite");
    return SONDE_OK;
}

static sonde_status load(sonde_index *index, sonde__reader *reader)
{
    sonde__ivf *ivf = index->state;
    sonde_quantizer *code;
    uint64_t values;
    SONDE_TRY(sonde__read_count(reader, "CENTROID", 4, &values));
    if (values == 0 || values % (uint64_t)index->dim != 0 ||
        values / (uint64_t)index->dim > (uint64_t)SONDE__MAX_LISTS)
        return sonde__fail(SONDE_CORRUPT, "section \"CENTROID\": %llu values are no rows of %lld",
                           (unsigned long long)values, (long long)index->dim);
    int64_t lists = (int64_t)(values / (uint64_t)index->dim);
    if (!sonde__param_is(index->params, "nlist", "auto") && lists != sonde__param_int(index->params, "nlist"))
        return sonde__fail(SONDE_CORRUPT, "section \"CENTROID\": %lld rows, but the spec says nlist=%lld",
                           (long long)lists, (long long)sonde__param_int(index->params, "nlist"));
    SONDE_TRY(sonde__read_array(reader, "CENTROID", values, 4, false, &ivf->centroids));
    SONDE_TRY(check_centroids(index, ivf->centroids.data, lists));
    SONDE_TRY(centroid_norms(index, ivf->centroids.data, lists, &ivf->norms));
    SONDE_TRY(sonde__quantizer_read(index->runtime, reader, "code", &code));
    bool fits = code->trained && code->dim == index->dim &&
                strcmp(sonde_quantizer_spec(code), sonde_quantizer_spec(ivf->code)) == 0;
    if (!fits) {
        sonde_quantizer_free(code);
        return sonde__fail(SONDE_CORRUPT, "the stored code is not the %s of dim=%lld that the spec asks for",
                           sonde_quantizer_spec(ivf->code), (long long)index->dim);
    }
    sonde_quantizer_free(ivf->code);
    ivf->code = code;
    index->lists = lists;
    return SONDE_OK;
}

const sonde__index_method sonde__index_ivf = {
    .method = {.name = "ivf",
               .summary = "inverted file: rows in lists by nearest centroid; a search visits the nearest lists",
               .source = "Sivic and Zisserman 2003; Jegou, Douze, Schmid 2011",
               .keys = keys,
               .inputs = inputs},
    .create = create,
    .min_rows = min_rows,
    .train = train,
    .place = place,
    .fill = fill,
    .search = sonde__ivf_search,
    .get = get,
    .check = check,
    .estimate = estimate,
    .save = save,
    .load = load,
    .same = same,
    .drop = drop,
    .refines = refines,
    .learned_bytes = learned_bytes,
    .max_effort = max_effort,
};
