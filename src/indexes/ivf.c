/* ivf.c: the inverted file: rows in lists by nearest centroid; a search visits the lists whose centroids are nearest.
 *
 * Learned: `nlist` centroids by k-means on a sample, and a code for the rows (or for their differences from the
 * centroid: residual). Scores on codes are inner products with the reconstruction x' (docs/metrics.md):
 *
 *     l2      2 <q, x'> - |x|^2    the second term, of the row itself, is stored with it as its bias
 *     ip      <q, x'>
 *     cosine  as ip; rows and queries are brought to unit length (zero vectors stay zero)
 *
 * and with residual codes <q, x'> = <q, centroid> + <q, code>, so no table is ever built for a list (ivf_encode.c says
 * what else a row's bias holds). Codes of 4-bit numbers lie in blocks for the fast scan (fast.c). The best candidates get
 * a second score: by the whole code where the fast scan saw only a part of it, by another code, or by the row itself
 * (f16, f32). Lists that grow too long as rows drift away from what was learned are split (ivf_split.c).
 *
 * Cost: a row takes code bytes + 8 (id) + 4 for each number + refine tier; a search O(nlist dim + share of lists visited
 * x n x code bytes).
 *
 * Source: Sivic and Zisserman, "Video Google" (2003); Jegou, Douze, Schmid, "Product quantization for nearest
 * neighbor search" (2011).
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/handle.h"
#include "indexes/direct.h"
#include "indexes/ivf_search.h"
#include "indexes/store.h"

#include <math.h>

#include "linalg/linalg.h"

#define CHUNK 4096         /* rows converted at a time */
#define F16_LIMIT 65520.0f /* from here on f16 rounds to infinity */
#define CALIBRATION_BYTES ((uint64_t)224 << 20) /* blocks of a search at its deepest, with what scratch keeps of them */
#define COARSE_LEAST 256   /* lists from which on 8-bit products with centroids pay */
#define CODE_MOST (SONDE__MAX_DIM + 256) /* bytes of the longest code that lies in two columns */

static const sonde__key keys[] = {
    {"nlist", SONDE__KEY_INT, "auto", 1, 134217727, "auto", NULL,
     "number of lists; auto: 4 sqrt(n) of the training rows"},
    {"code", SONDE__KEY_SPEC, "flat", 0, 0, "flat", "quantizer", "how rows are stored; flat: f32 as they are"},
    {"residual", SONDE__KEY_WORD, "auto", 0, 0, "auto|yes|no", NULL,
     "code x - centroid instead of x; auto: for l2, where the code is pq, opq, rq, rabitq or of bits"},
    {"refine", SONDE__KEY_SPEC, "none", 0, 0, "none|f16|f32", "quantizer",
     "keep rows, or finer codes of them, to score the best candidates again"},
    {"lists", SONDE__KEY_WORD, "codes", 0, 0, "codes|lorann", NULL,
     "how lists are scored: by codes of their rows, or by a product of low rank for each list (LoRANN)"},
    {"rank", SONDE__KEY_INT, "auto", 1, SONDE__LORANN_RANK, "auto", NULL,
     "lorann: numbers kept of a row; auto: 32, or half of dims"},
    {"dims", SONDE__KEY_INT, "auto", 1, SONDE__LORANN_DIMS, "auto", NULL,
     "lorann: axes of the rows that are looked at; auto: 256, or dim"},
    {"unbias", SONDE__KEY_WORD, "yes", 0, 0, "yes|no", NULL,
     "4-bit codes: keep for each row what makes up for the length that its code loses (4 bytes)"},
    {"spill", SONDE__KEY_WORD, "none", 0, 0, "none|soar", NULL,
     "store each row in a second list too, chosen so that its difference from the first centroid tells little there (SOAR)"},
    {"lambda", SONDE__KEY_REAL, "1", 0, 1000, NULL, NULL, "soar: weight of what both differences have in common"},
    {"coarse", SONDE__KEY_WORD, "auto", 0, 0, "auto|exact|i8", NULL,
     "how lists are chosen: by exact products with the centroids, or in 8-bit integers; auto: i8 from 256 lists on"},
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

/* Lists of low rank have a code of their own, for the few numbers that a row is there. */
static sonde_status create_lorann(sonde_index *index, sonde__ivf *ivf)
{
    if (sonde__param_spec(index->params, "code"))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "ivf: lists=lorann has a code of its own; leave code out");
    if (sonde__param_is(index->params, "residual", "no"))
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "ivf: lists=lorann is made of differences from centroids; say residual=auto");
    SONDE_TRY(sonde__lorann_create(index, &ivf->lorann));
    sonde_status status = sonde_quantizer_create("sq(bits=8, range=minmax, query=i8)", ivf->lorann->rank, index->runtime,
                                                 &ivf->code);
    return status == SONDE_OK ? status : sonde__fail_within(status, "ivf: lists");
}

static sonde_status create_code(sonde_index *index, sonde__ivf *ivf)
{
    if (sonde__param_is(index->params, "lists", "lorann")) return create_lorann(index, ivf);
    const sonde__params *code = sonde__param_spec(index->params, "code");
    sonde_status status = sonde_quantizer_create(code ? sonde__params_text(code) : "raw", index->dim, index->runtime,
                                                 &ivf->code);
    return status == SONDE_OK ? status : sonde__fail_within(status, "ivf: code");
}

static sonde_status create_refine(sonde_index *index, sonde__ivf *ivf)
{
    const sonde__params *refine = sonde__param_spec(index->params, "refine");
    if (!refine) return SONDE_OK;
    sonde_status status = sonde_quantizer_create(sonde__params_text(refine), index->dim, index->runtime, &ivf->refine);
    return status == SONDE_OK ? status : sonde__fail_within(status, "ivf: refine");
}

/* A further column if it is wanted, else -1. */
static int add_column(sonde__layout *layout, bool wanted, int64_t width)
{
    if (!wanted) return -1;
    layout->width[layout->columns] = width;
    return layout->columns++;
}

static void set_layout(sonde_index *index, sonde__ivf *ivf)
{
    const sonde_quantizer *code = ivf->code;
    sonde__layout *layout = &index->layout;
    bool l2 = index->metric == SONDE_METRIC_L2, fast = ivf->nibbles > 0;
    bool f16 = sonde__param_is(index->params, "refine", "f16");
    int64_t head = fast ? (ivf->nibbles + 1) / 2 : code->code_bytes;
    *layout = (sonde__layout){.columns = 1, .width = {head}, .blocked = {fast}};
    ivf->tail_column = add_column(layout, fast && code->code_bytes > head, code->code_bytes - head);
    ivf->scale_column = add_column(layout, fast && (ivf->unbiased || code->method->nibble_scales), 4);
    ivf->bias_column = add_column(layout, l2 || (ivf->residual && !ivf->lorann), 4);
    ivf->refine_kind = f16 ? SONDE__ROW_F16 : SONDE__ROW_F32;
    bool tier = !sonde__param_is(index->params, "refine", "none");
    ivf->second_bias_column = add_column(layout, ivf->finer && (l2 || ivf->residual), 4);
    /* Without residuals the first bias is that number already. */
    ivf->row_bias_column = add_column(layout, tier && l2 && ivf->residual, 4);
    if (tier && l2 && !ivf->residual) ivf->row_bias_column = ivf->bias_column;
    ivf->refine_column = add_column(layout, tier, ivf->refine ? ivf->refine->code_bytes : index->dim * (f16 ? 2 : 4));
}

/* A second copy needs a second list. */
static void set_copies(sonde_index *index)
{
    index->layout.copies = sonde__param_is(index->params, "spill", "soar") && index->lists > 1 ? 2 : 1;
}

/* Which codes are better made of differences from the centroid: those that lose much of a row. What they lose along the
 * centroid is stored with the row (ivf_encode.c), so the error depends on how far the query is from the lists it visits. */
static bool wants_residual(const sonde_index *index, const sonde__ivf *ivf)
{
    if (ivf->lorann) return true;
    if (!sonde__param_is(index->params, "residual", "auto")) return sonde__param_is(index->params, "residual", "yes");
    return ivf->code->method->nibbles && !ivf->code->method->exact;
}

static sonde_status create(sonde_index *index)
{
    if (index->metric == SONDE_METRIC_HAMMING)
        return sonde__fail(SONDE_UNSUPPORTED, "ivf: metric=hamming is not offered; metrics: l2, ip, cosine");
    sonde__ivf *ivf;
    SONDE_TRY(SONDE_NEW_ZERO(index->runtime, ivf, 1));
    index->state = ivf;
    SONDE_TRY(create_code(index, ivf));
    SONDE_TRY(create_refine(index, ivf));
    const sonde__quantizer_method *method = ivf->code->method;
    if (method->exact && !sonde__param_is(index->params, "refine", "none"))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "ivf: refine adds nothing to an exact code; say refine=none");
    ivf->residual = wants_residual(index, ivf);
    ivf->nibbles = method->nibbles ? method->nibbles(ivf->code) : 0;
    /* More in a code than its numbers and the factors that the scan has: a second, better score. */
    if (ivf->code->code_bytes > CODE_MOST) ivf->nibbles = 0;
    ivf->unbiased = ivf->nibbles > 0 && !method->nibble_scales && sonde__param_is(index->params, "unbias", "yes");
    ivf->finer = ivf->nibbles > 0 && method->finer && method->finer(ivf->code);
    if (ivf->finer && ivf->refine)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "ivf: code=%s is scored twice already; give a code of one level, or refine=f16, f32 or none",
                           sonde_quantizer_spec(ivf->code));
    if (ivf->residual && ivf->code->method->exact)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "ivf: residual=yes needs a code that loses something; code is %s",
                           sonde_quantizer_spec(ivf->code));
    index->lists = sonde__max_i64(1, sonde__param_int(index->params, "nlist"));
    set_layout(index, ivf);
    return SONDE_OK;
}

static bool wants_coarse(const sonde_index *index, int64_t lists)
{
    if (!sonde__param_is(index->params, "coarse", "auto")) return sonde__param_is(index->params, "coarse", "i8");
    return lists >= COARSE_LEAST && index->dim >= 16;
}

/* The centroids once more, in 8 bits a column: made from them, never stored. */
static sonde_status make_coarse(const sonde_index *index, sonde__ivf_learned *made)
{
    const float *centroids = made->centroids.data;
    if (!wants_coarse(index, made->lists)) return SONDE_OK;
    SONDE_TRY(sonde_quantizer_create("sq(bits=8, range=minmax)", index->dim, index->runtime, &made->coarse));
    sonde_quantizer *coarse = made->coarse;
    SONDE_TRY(sonde__quantizer_train_f32(coarse, centroids, made->lists, 0));
    SONDE_TRY(SONDE_NEW(index->runtime, made->coarse_codes, made->lists * coarse->code_bytes));
    return coarse->method->encode(coarse, centroids, index->dim, made->lists, made->coarse_codes, coarse->code_bytes);
}

static sonde_status make_norms(const sonde_index *index, sonde__ivf_learned *made)
{
    SONDE_TRY(SONDE_NEW(index->runtime, made->norms, made->lists));
    for (int64_t l = 0; l < made->lists; l++)
        made->norms[l] = sonde__kernels_get()->norm2(sonde__ivf_centroid(made, index->dim, l), index->dim);
    return SONDE_OK;
}

sonde_status sonde__ivf_learned_make(const sonde_index *index, sonde__blob centroids, int64_t lists,
                                     sonde__ivf_learned **learned)
{
    sonde__ivf_learned *made = sonde__shown_alloc(index->runtime, sizeof *made);
    if (!made) {
        sonde__blob_free(index->runtime, &centroids);
        return sonde__last_status();
    }
    *made = (sonde__ivf_learned){.lists = lists, .centroids = centroids};
    sonde_status status = make_norms(index, made);
    if (status == SONDE_OK) status = make_coarse(index, made);
    if (status == SONDE_OK) *learned = made;
    else sonde__ivf_learned_drop(index->runtime, made);
    return status;
}

void sonde__ivf_learned_drop(sonde_runtime *runtime, void *learned)
{
    sonde__ivf_learned *made = learned;
    if (!made) return;
    sonde_quantizer_free(made->coarse);
    sonde__free(runtime, made->coarse_codes);
    sonde__blob_free(runtime, &made->centroids);
    sonde__free(runtime, made->norms);
    sonde__free(runtime, made->factors);
    sonde__shown_free(runtime, made);
}

static void drop_codes(const sonde_index *index, const sonde__ivf *ivf)
{
    sonde_quantizer_free(ivf->code);
    sonde_quantizer_free(ivf->refine);
    sonde__lorann_free(index->runtime, ivf->lorann);
}

static void drop(sonde_index *index)
{
    if (index->state) drop_codes(index, index->state);
    sonde__free(index->runtime, index->state);
}

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
    int64_t least = sonde__max_i64(ivf->code->min_rows, ivf->refine ? ivf->refine->min_rows : 1);
    return sonde__max_i64(sonde__max_i64(1, least), sonde__param_int(index->params, "nlist"));
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
    const sonde__ivf_learned *learned;
    const int32_t *list;
    float *x;
    int64_t dim;
} subtracting;

static sonde_status subtract_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    const subtracting *s = context;
    for (int64_t i = begin; i < end; i++)
        sonde__kernels_get()->axpy(-sonde__ivf_factor(s->learned, s->list[i]),
                                   sonde__ivf_centroid(s->learned, s->dim, s->list[i]), s->dim, s->x + i * s->dim);
    return SONDE_OK;
}

/* Centroids of length 1 say where rows point; what is coded should be their difference from the mean of the list. */
static sonde_status list_factors(const sonde_index *index, const float *x, int64_t n, const int32_t *list,
                                 sonde__ivf_learned *made)
{
    int64_t *count;
    SONDE_TRY(SONDE_NEW_ZERO(index->runtime, made->factors, made->lists));
    SONDE_TRY(SONDE_NEW_ZERO(index->runtime, count, made->lists));
    for (int64_t i = 0; i < n; i++) {
        float ip;
        sonde__kernels_get()->ip_rows[SONDE__ROW_F32](x + i * index->dim, sonde__ivf_centroid(made, index->dim, list[i]), 0,
                                                      1, index->dim, &ip);
        made->factors[list[i]] += (ip - made->factors[list[i]]) / (float)++count[list[i]];
    }
    sonde__free(index->runtime, count);
    return SONDE_OK;
}

/* Lists of low rank from differences x, and their code. */
static sonde_status train_lorann(const sonde_index *index, sonde__ivf *made, const float *x, int64_t n,
                                 const int32_t *list)
{
    uint64_t seed = (uint64_t)sonde__param_int(index->params, "seed");
    float *numbers = NULL;
    sonde_status status = sonde__lorann_train(index->runtime, made->lorann, x, n, list, seed);
    if (status == SONDE_OK) status = SONDE_NEW(index->runtime, numbers, n * made->code->dim);
    if (status == SONDE_OK) status = sonde__lorann_numbers_of(index->runtime, made->lorann, x, n, list, numbers);
    if (status == SONDE_OK) status = sonde__quantizer_train_f32(made->code, numbers, n, 0);
    sonde__free(index->runtime, numbers);
    return status;
}

/* Trains the code on the sample, or on what is left of it after its centroids. x is changed. */
static sonde_status train_code(const sonde_index *index, sonde__ivf *made, sonde__ivf_learned *learned, float *x,
                               int64_t n)
{
    bool spherical = sonde__ivf_spherical(index);
    if (made->residual) {
        int32_t *list;
        SONDE_TRY(SONDE_NEW(index->runtime, list, n));
        sonde_status status = sonde__assign(index->runtime, 0, x, index->dim, n, index->dim, learned->centroids.data,
                                            learned->lists, spherical, list, NULL);
        if (status == SONDE_OK && made->lorann)
            status = sonde__lorann_axes(index->runtime, made->lorann, learned->lists, x, n, !spherical);
        if (status == SONDE_OK && spherical) status = list_factors(index, x, n, list, learned);
        subtracting s = {learned, list, x, index->dim};
        if (status == SONDE_OK) status = sonde__parallel_for(index->runtime, 0, n, 1024, NULL, subtract_chunk, &s);
        if (status == SONDE_OK && made->lorann) status = train_lorann(index, made, x, n, list);
        sonde__free(index->runtime, list);
        if (status != SONDE_OK || made->lorann) return status;
    }
    return made->code->method->train ? sonde__quantizer_train_f32(made->code, x, n, 0) : SONDE_OK;
}

/* Clusters the sample. */
static sonde_status train_lists(const sonde_index *index, int64_t lists, const float *x, int64_t n,
                                sonde__ivf_learned **learned)
{
    float *centroids;
    SONDE_TRY(SONDE_NEW(index->runtime, centroids, lists * index->dim));
    sonde__kmeans_options options = {.k = lists,
                                     .iterations = (int)sonde__param_int(index->params, "iters"),
                                     .seed = (uint64_t)sonde__param_int(index->params, "seed"),
                                     .spherical = sonde__ivf_spherical(index),
                                     .sample = lists * sonde__param_int(index->params, "sample"),
                                     .hierarchical = lists > 16384,
                                     .stage = "train lists"};
    sonde_status status = sonde__kmeans(index->runtime, x, index->dim, n, index->dim, &options, centroids, NULL);
    if (status != SONDE_OK) {
        sonde__free(index->runtime, centroids);
        return status;
    }
    sonde__blob blob = {centroids, (uint64_t)(lists * index->dim) * sizeof(float), true};
    return sonde__ivf_learned_make(index, blob, lists, learned);
}

/* How far training rows are from their centroids, for comparison with the rows that come later. */
static sonde_status train_spread(const sonde_index *index, const sonde__ivf *made, const sonde_array *rows,
                                 sonde__ivf_learned *learned)
{
    float *x = NULL;
    int64_t n = 0;
    sonde_status status = take_sample(index, rows, SONDE__IVF_SPREAD_ROWS, &x, &n);
    if (status == SONDE_OK) status = sonde__ivf_spread(index, made, x, n, learned);
    sonde__free(index->runtime, x);
    return status;
}

/* Clusters the sample and trains the codes on it, into the given new parts. */
static sonde_status train_parts(const sonde_index *index, const sonde_array *rows, int64_t lists, sonde__ivf *made,
                                sonde__ivf_learned **learned)
{
    float *x = NULL;
    int64_t n = 0;
    int64_t most = sonde__max_i64(65536, lists * sonde__param_int(index->params, "sample"));
    sonde_status status = take_sample(index, rows, most, &x, &n);
    if (status == SONDE_OK) status = train_lists(index, lists, x, n, learned);
    if (status == SONDE_OK && made->refine) status = sonde__quantizer_train_f32(made->refine, x, n, 0);
    if (status == SONDE_OK) status = train_code(index, made, *learned, x, n);
    sonde__free(index->runtime, x);
    return status == SONDE_OK ? train_spread(index, made, rows, *learned) : status;
}

static sonde_status train(sonde_index *index, const sonde_array *rows)
{
    int64_t lists = choose_nlist(index, rows->rows);
    sonde__ivf *ivf = index->state, made = *ivf;
    sonde__ivf_learned *learned = NULL;
    made.code = made.refine = NULL;
    made.lorann = NULL;
    sonde_status status = create_code(index, &made);
    if (status == SONDE_OK) status = create_refine(index, &made);
    if (status == SONDE_OK) status = train_parts(index, rows, lists, &made, &learned);
    if (status != SONDE_OK) {
        sonde__ivf_learned_drop(index->runtime, learned);
        drop_codes(index, &made);
        return status;
    }
    drop_codes(index, ivf);
    *ivf = made;
    sonde__index_learned(index, learned);
    index->lists = lists;
    set_copies(index);
    return SONDE_OK;
}

/* ---- adding ------------------------------------------------------------------------------------------ */

static sonde_status place(const sonde_index *index, const sonde_array *rows, int32_t *lists)
{
    const sonde__ivf_learned *learned = sonde__ivf_of(sonde__store_current(index->store));
    int64_t chunk = sonde__min_i64(rows->rows, CHUNK);
    float *x;
    SONDE_TRY(SONDE_NEW(index->runtime, x, chunk * index->dim));
    sonde_status status = SONDE_OK;
    for (int64_t i = 0; i < rows->rows && status == SONDE_OK; i += chunk) {
        int64_t count = sonde__min_i64(chunk, rows->rows - i);
        status = sonde__poll(index->runtime, "place", (uint64_t)i, (uint64_t)rows->rows);
        read_rows(index, rows, i, count, x);
        if (status == SONDE_OK)
            status = sonde__assign(index->runtime, 0, x, index->dim, count, index->dim, learned->centroids.data,
                                   learned->lists, sonde__ivf_spherical(index), lists + i, NULL);
        if (status == SONDE_OK && index->layout.copies > 1)
            status = sonde__ivf_spill(index, learned, x, count, lists + i, lists + rows->rows + i);
    }
    sonde__free(index->runtime, x);
    return status;
}

/* Rows that could make scores overflow, or that the refine tier cannot hold, are refused. */
static sonde_status check_rows(const sonde_index *index, const float *x, int64_t begin, int64_t n)
{
    const sonde__ivf *ivf = index->state;
    bool f16 = ivf->refine_column >= 0 && !ivf->refine && ivf->refine_kind == SONDE__ROW_F16;
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
    const sonde__ivf_learned *learned = sonde__ivf_of(sonde__store_current(index->store));
    if (status == SONDE_OK) status = sonde__ivf_encode(index, learned, x, n, lists + begin, columns);
    sonde__scratch_give(index->runtime, scratch);
    return status;
}

/* ---- looking inside ---------------------------------------------------------------------------------- */

void sonde__ivf_get(const sonde_index *index, const sonde__snapshot *snapshot, sonde__place where, void *out)
{
    const sonde__ivf *ivf = index->state;
    const sonde__ivf_learned *learned = sonde__ivf_of(snapshot);
    const sonde__segment *segment = sonde__place_in(snapshot, where);
    int64_t row = sonde__place_row(where), refine = ivf->refine_column;
    uint8_t code[CODE_MOST];
    if (refine >= 0) {
        const uint8_t *stored = segment->column[refine] + row * index->layout.width[refine];
        if (ivf->refine)
            ivf->refine->method->decode(ivf->refine, stored, index->layout.width[refine], 1, out, index->dim);
        else sonde__kernels_get()->to_f32[ivf->refine_kind](stored, index->dim, out);
        return;
    }
    sonde__ivf_decode(ivf, sonde__place_list(where), sonde__ivf_code(ivf, &index->layout, segment, row, code), out);
    if (ivf->residual)
        sonde__kernels_get()->axpy(sonde__ivf_factor(learned, sonde__place_list(where)),
                                   sonde__ivf_centroid(learned, index->dim, sonde__place_list(where)), index->dim, out);
}

/* Codes that no encoder can have made. */
static sonde_status check_codes(const sonde_index *index, const sonde__segment *segment, int64_t list)
{
    const sonde__ivf *ivf = index->state;
    const sonde_quantizer *code = ivf->code, *refine = ivf->refine;
    uint8_t buffer[CODE_MOST];
    for (int64_t r = 0; code->method->valid && r < segment->count; r++)
        if (!code->method->valid(code, sonde__ivf_code(ivf, &index->layout, segment, r, buffer), code->code_bytes, 1))
            return sonde__fail(SONDE_CORRUPT, "list %lld holds a code that %s cannot have made", (long long)list,
                               sonde_quantizer_spec(code));
    if (refine && refine->method->valid &&
        !refine->method->valid(refine, segment->column[ivf->refine_column], refine->code_bytes, segment->count))
        return sonde__fail(SONDE_CORRUPT, "list %lld holds a code that %s cannot have made", (long long)list,
                           sonde_quantizer_spec(refine));
    return SONDE_OK;
}

/* Numbers of rows: biases without residuals are minus squared lengths, all others anything finite. */
static sonde_status check_numbers(const sonde_index *index, const sonde__segment *segment, int64_t list, int column)
{
    const sonde__ivf *ivf = index->state;
    bool lengths = (column == ivf->bias_column && !ivf->residual) || column == ivf->row_bias_column;
    for (int64_t r = 0; column >= 0 && r < segment->count; r++) {
        float value;
        memcpy(&value, segment->column[column] + r * 4, sizeof value);
        if (!isfinite(value) || (lengths && !(value <= 0)))
            return sonde__fail(SONDE_CORRUPT, "list %lld: row %lld has the number %g, which no row has", (long long)list,
                               (long long)r, (double)value);
    }
    return SONDE_OK;
}

static sonde_status check(const sonde_index *index, const sonde__segment *segment, int64_t list)
{
    const sonde__ivf *ivf = index->state;
    SONDE_TRY(check_codes(index, segment, list));
    SONDE_TRY(check_numbers(index, segment, list, ivf->scale_column));
    SONDE_TRY(check_numbers(index, segment, list, ivf->bias_column));
    SONDE_TRY(check_numbers(index, segment, list, ivf->row_bias_column));
    return check_numbers(index, segment, list, ivf->second_bias_column);
}

static uint64_t code_learned(const sonde_quantizer *code)
{
    return code && code->method->learned_bytes ? code->method->learned_bytes(code) : 0;
}

static uint64_t learned_for(const sonde_index *index, int64_t lists)
{
    const sonde__ivf *ivf = index->state;
    return (uint64_t)(lists * (index->dim + 1)) * sizeof(float) +
           (wants_coarse(index, lists) ? (uint64_t)(lists * index->dim) : 0) + code_learned(ivf->code) + code_learned(ivf->refine) +
           (ivf->lorann ? sonde__lorann_bytes(ivf->lorann, lists) : 0);
}

static uint64_t learned_bytes(const sonde_index *index)
{
    return learned_for(index, sonde__store_current(index->store)->lists);
}

static sonde_status estimate(sonde_index *index, int64_t rows, uint64_t *learned, uint64_t *building)
{
    const sonde__ivf *ivf = index->state;
    index->lists = choose_nlist(index, rows);
    set_copies(index);
    *learned = learned_for(index, index->lists);
    int64_t sampled = sonde__max_i64(65536, index->lists * sonde__param_int(index->params, "sample"));
    int64_t bounds = index->lists / 16 + 16;              /* what k-means remembers of a row */
    int64_t query = index->lists + 2 * index->dim + 6000; /* and calibration of a query */
    if (ivf->code->method->train) sampled += sonde__min_i64(sampled, 65536); /* codes train on a copy */
    *building = (uint64_t)(sonde__min_i64(rows, sampled) * (2 * index->dim + bounds) +
                           SONDE__OWN_QUERIES * 4 * query) *
                sizeof(float);
    if (ivf->refine_column >= 0 || ivf->finer)
        *building += CALIBRATION_BYTES; /* for its deepest candidates */
    if (index->layout.copies > 1) *building += CALIBRATION_BYTES / 4; /* and for each of them twice */
    return SONDE_OK;
}

/* What a file would hold of the codes: the one form in which all codes can be compared. */
static sonde_status code_image(const sonde__ivf *ivf, uint8_t **bytes, uint64_t *count)
{
    sonde__writer *writer;
    SONDE_TRY(sonde__writer_create(ivf->code->runtime, NULL, "index", "", &writer));
    sonde_status status = sonde__quantizer_write(ivf->code, writer, "code");
    if (status == SONDE_OK && ivf->refine) status = sonde__quantizer_write(ivf->refine, writer, "refine");
    if (status == SONDE_OK) return sonde__writer_finish_memory(writer, bytes, count);
    sonde__writer_abort(writer);
    return status;
}

static sonde_status same(const sonde_index *a, const sonde_index *b, bool *equal)
{
    const sonde__ivf *x = a->state, *y = b->state;
    uint8_t *left = NULL, *right = NULL;
    uint64_t left_bytes, right_bytes;
    *equal = !x->lorann || sonde__lorann_same(x->lorann, y->lorann);
    if (!*equal) return SONDE_OK;
    sonde_status status = code_image(x, &left, &left_bytes);
    if (status == SONDE_OK) status = code_image(y, &right, &right_bytes);
    if (status == SONDE_OK) *equal = left_bytes == right_bytes && memcmp(left, right, left_bytes) == 0;
    sonde__free(x->code->runtime, left);
    sonde__free(y->code->runtime, right);
    return status;
}

static bool same_learned(const sonde_index *index, const void *a, const void *b)
{
    const sonde__ivf_learned *x = a, *y = b;
    return x->lists == y->lists &&
           memcmp(x->centroids.data, y->centroids.data, (size_t)(x->lists * index->dim) * sizeof(float)) == 0 &&
           (!x->factors || memcmp(x->factors, y->factors, (size_t)x->lists * sizeof(float)) == 0);
}

static bool refines(const sonde_index *index)
{
    const sonde__ivf *ivf = index->state;
    return ivf->refine_column >= 0;
}

static int64_t max_effort(const sonde_index *index, const sonde__snapshot *snapshot)
{
    (void)index;
    return snapshot->lists;
}

/* ---- files ------------------------------------------------------------------------------------------- */

static sonde_status save_learned(const sonde_index *index, const void *parts, sonde__writer *writer)
{
    const sonde__ivf_learned *learned = parts;
    uint64_t lists = (uint64_t)learned->lists;
    SONDE_TRY(sonde__write_array(writer, "CENTROID", learned->centroids.data, lists * (uint64_t)index->dim, 4));
    if (learned->factors) SONDE_TRY(sonde__write_array(writer, "FACTOR", learned->factors, lists, 4));
    return learned->spread > 0 ? sonde__write_array(writer, "DISTANCE", &learned->spread, 1, 4) : SONDE_OK;
}

static sonde_status save(const sonde_index *index, sonde__writer *writer)
{
    const sonde__ivf *ivf = index->state;
    if (ivf->lorann) SONDE_TRY(sonde__lorann_save(ivf->lorann, writer));
    SONDE_TRY(sonde__quantizer_write(ivf->code, writer, "code"));
    return ivf->refine ? sonde__quantizer_write(ivf->refine, writer, "refine") : SONDE_OK;
}

static sonde_status check_centroids(const sonde_index *index, const float *centroids, int64_t lists)
{
    sonde_array view = sonde_f32(centroids, lists, index->dim);
    if (sonde__array_check_finite(index->runtime, &view, "centroids") != SONDE_OK)
        return sonde__fail(SONDE_CORRUPT, "section \"CENTROID\" holds a value that is not finite");
    return SONDE_OK;
}

/* Replaces the untrained code of the spec by the stored one. */
static sonde_status load_code(const sonde_index *index, sonde__reader *reader, const char *child, sonde_quantizer **code)
{
    sonde_quantizer *stored;
    SONDE_TRY(sonde__quantizer_read(index->runtime, reader, child, &stored));
    bool fits = stored->trained && stored->dim == (*code)->dim &&
                strcmp(sonde_quantizer_spec(stored), sonde_quantizer_spec(*code)) == 0;
    if (!fits) {
        sonde_quantizer_free(stored);
        return sonde__fail(SONDE_CORRUPT, "the stored %s is not the %s of dim=%lld that the spec asks for", child,
                           sonde_quantizer_spec(*code), (long long)(*code)->dim);
    }
    sonde_quantizer_free(*code);
    *code = stored;
    return SONDE_OK;
}

/* Older files have no spread: the drift is not known then. */
static sonde_status load_spread(const sonde_index *index, sonde__reader *reader, sonde__ivf_learned *learned)
{
    float *spread;
    if (!sonde__reader_has(reader, "DISTANCE")) return SONDE_OK;
    SONDE_TRY(sonde__handle_floats(index->runtime, reader, "DISTANCE", 1, &spread));
    learned->spread = *spread;
    sonde__free(index->runtime, spread);
    if (learned->spread > 0) return SONDE_OK;
    return sonde__fail(SONDE_CORRUPT, "section \"DISTANCE\" holds %g, which is no distance", (double)learned->spread);
}

/* The parts of all lists, which the index owns whatever comes afterwards. */
static sonde_status load_learned(sonde_index *index, sonde__reader *reader)
{
    const sonde__ivf *ivf = index->state;
    uint64_t values;
    SONDE_TRY(sonde__read_count(reader, "CENTROID", 4, &values));
    if (values == 0 || values % (uint64_t)index->dim != 0 ||
        values / (uint64_t)index->dim > (uint64_t)SONDE__MAX_LISTS)
        return sonde__fail(SONDE_CORRUPT, "section \"CENTROID\": %llu values are no rows of %lld",
                           (unsigned long long)values, (long long)index->dim);
    int64_t lists = (int64_t)(values / (uint64_t)index->dim), least = sonde__param_int(index->params, "nlist");
    if (!sonde__param_is(index->params, "nlist", "auto") && lists < least) /* splits make more of them */
        return sonde__fail(SONDE_CORRUPT, "section \"CENTROID\": %lld rows, but the spec says nlist=%lld",
                           (long long)lists, (long long)least);
    sonde__blob centroids;
    sonde__ivf_learned *learned;
    SONDE_TRY(sonde__read_array(reader, "CENTROID", values, 4, false, &centroids));
    sonde_status status = check_centroids(index, centroids.data, lists);
    if (status != SONDE_OK) {
        sonde__blob_free(index->runtime, &centroids);
        return status;
    }
    SONDE_TRY(sonde__ivf_learned_make(index, centroids, lists, &learned));
    sonde__index_learned(index, learned);
    index->lists = lists;
    if (ivf->residual && sonde__ivf_spherical(index))
        SONDE_TRY(sonde__handle_floats(index->runtime, reader, "FACTOR", (uint64_t)lists, &learned->factors));
    return load_spread(index, reader, learned);
}

static sonde_status load(sonde_index *index, sonde__reader *reader)
{
    sonde__ivf *ivf = index->state;
    SONDE_TRY(load_learned(index, reader));
    if (ivf->lorann) SONDE_TRY(sonde__lorann_load(index->runtime, ivf->lorann, index->lists, reader));
    SONDE_TRY(load_code(index, reader, "code", &ivf->code));
    if (ivf->refine) SONDE_TRY(load_code(index, reader, "refine", &ivf->refine));
    set_copies(index);
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
    .get = sonde__ivf_get,
    .check = check,
    .estimate = estimate,
    .save = save,
    .load = load,
    .same = same,
    .drop = drop,
    .refines = refines,
    .learned_bytes = learned_bytes,
    .max_effort = max_effort,
    .gaps = sonde__ivf_gaps,
    .drop_learned = sonde__ivf_learned_drop,
    .save_learned = save_learned,
    .same_learned = same_learned,
    .drift = sonde__ivf_drift,
    .split = sonde__ivf_split,
};
