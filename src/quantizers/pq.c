/* pq.c: product quantization: a row is cut into m parts, and each part is replaced by the nearest of 2^bits centroids
 * that k-means found for that part. (Jegou, Douze, Schmid 2011.)
 *
 * Part j covers columns j * dim / m .. (j + 1) * dim / m. Where m does not divide dim (pad=yes) parts differ by one
 * column; the shorter ones are stored with a zero column at the end.
 *
 *     centroids: m x 2^bits x width floats     code: m values of `bits` bits, packed as codes.h says
 *
 * Scan: a table of the products of each query part with each centroid, then m lookups and additions a code.
 * Cost: training m k-means of `sample` rows; encoding 2^bits dim multiply-adds a row; memory 2 x 4 x 2^bits dim bytes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/handle.h"
#include "kernels/blocks.h"
#include "kernels/kernels.h"
#include "linalg/linalg.h"
#include "quantizers/codes.h"
#include "quantizers/quantizer.h"

#define PQ_ENCODE_ROWS 256

struct pq {
    int64_t m, k, width; /* parts, centroids a part, columns of the widest part */
    int bits;
    float *centroids;       /* NULL until trained */
    float *packed;          /* memory of the books */
    sonde__codebook book[]; /* m */
};

/* Parts start at evenly rounded places, so none is empty and widths differ by at most one. */
static int64_t pq_first(const sonde_quantizer *quantizer, int64_t part)
{
    const struct pq *pq = quantizer->state;
    return part * quantizer->dim / pq->m;
}

static int64_t pq_columns(const sonde_quantizer *quantizer, int64_t part)
{
    return pq_first(quantizer, part + 1) - pq_first(quantizer, part);
}

/* The k x width centroids of one part inside all of them. */
static float *pq_centroids_of(const struct pq *pq, float *centroids, int64_t part)
{
    return centroids + part * pq->k * pq->width;
}

static uint64_t pq_centroid_count(const struct pq *pq)
{
    return (uint64_t)pq->m * (uint64_t)pq->k * (uint64_t)pq->width;
}

/* The centroids, and packed once more. */
static uint64_t pq_learned_bytes(const sonde_quantizer *quantizer)
{
    const struct pq *pq = quantizer->state;
    return (pq_centroid_count(pq) + (uint64_t)(pq->m * sonde__codebook_floats(pq->k, pq->width))) * sizeof(float);
}

/* ---- the number of parts --------------------------------------------------------------------------------------- */

static int64_t pq_miss(int64_t columns)
{
    return columns < 8 ? 8 - columns : columns - 8;
}

/* The divisor of dim whose parts have nearest to 8 columns; of two as near, the one with more parts. */
static int64_t pq_auto_parts(int64_t dim)
{
    int64_t best = 1;
    for (int64_t columns = 2; columns <= dim; columns++)
        if (dim % columns == 0 && pq_miss(columns) < pq_miss(best)) best = columns;
    return dim / best;
}

/* Names the divisors on both sides; 1 and dim always are. */
static sonde_status pq_no_divisor(int64_t m, int64_t dim)
{
    int64_t below = m, above = m;
    while (dim % below != 0) below--;
    while (dim % above != 0) above++;
    return sonde__fail(SONDE_INVALID_ARGUMENT,
                       "pq: m=%lld does not divide dim=%lld; nearest that do: %lld, %lld "
                       "(or give pad=yes)",
                       (long long)m, (long long)dim, (long long)below, (long long)above);
}

static sonde_status pq_parts(const sonde_quantizer *quantizer, int64_t *parts)
{
    int64_t dim = quantizer->dim, m = sonde__param_int(quantizer->params, "m");
    bool pad = sonde__param_is(quantizer->params, "pad", "yes");
    if (sonde__param_is(quantizer->params, "m", "auto")) m = pad ? (dim + 7) / 8 : pq_auto_parts(dim);
    if (m > dim)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "pq: m=%lld is more than dim=%lld", (long long)m,
                           (long long)dim);
    if (dim % m != 0 && !pad) return pq_no_divisor(m, dim);
    *parts = m;
    return SONDE_OK;
}

static sonde_status pq_create(sonde_quantizer *quantizer)
{
    int64_t m = 0;
    SONDE_TRY(pq_parts(quantizer, &m));
    struct pq *pq = sonde__alloc_zero(quantizer->runtime, 1, sizeof *pq + (uint64_t)m * sizeof pq->book[0]);
    if (!pq) return sonde__last_status();
    pq->m = m;
    pq->bits = (int)sonde__param_int(quantizer->params, "bits");
    pq->k = (int64_t)1 << pq->bits;
    pq->width = (quantizer->dim + m - 1) / m;
    quantizer->state = pq;
    quantizer->code_bytes = sonde__codes_bytes(m, pq->bits);
    quantizer->min_rows = pq->k;
    return SONDE_OK;
}

/* ---- training -------------------------------------------------------------------------------------------------- */

/* Takes centroids over and prepares the books; on failure nothing has changed and centroids stay the caller's. */
static sonde_status pq_adopt(sonde_quantizer *quantizer, float *centroids)
{
    struct pq *pq = quantizer->state;
    int64_t each = sonde__codebook_floats(pq->k, pq->width);
    float *packed;
    SONDE_TRY(SONDE_NEW(quantizer->runtime, packed, (uint64_t)pq->m * (uint64_t)each));
    for (int64_t j = 0; j < pq->m; j++)
        sonde__codebook_prepare(&pq->book[j], pq_centroids_of(pq, centroids, j), pq->width, pq->k,
                                pq_columns(quantizer, j), false, packed + j * each);
    sonde__free(quantizer->runtime, pq->centroids);
    sonde__free(quantizer->runtime, pq->packed);
    pq->centroids = centroids;
    pq->packed = packed;
    return SONDE_OK;
}

/* What the parts of one training share, read-only but for the place of each part's centroids. */
struct pq_training {
    const sonde_quantizer *quantizer;
    const float *x;
    const int64_t *sample;
    int64_t sampled;
    float *centroids;
    int threads; /* inside one part */
};

/* Clusters part j of the sampled rows. */
static sonde_status pq_train_part(const struct pq_training *t, int64_t j)
{
    const sonde_quantizer *quantizer = t->quantizer;
    const struct pq *pq = quantizer->state;
    sonde_runtime *runtime = quantizer->runtime;
    int64_t first = pq_first(quantizer, j), columns = pq_columns(quantizer, j);
    float *out = pq_centroids_of(pq, t->centroids, j), *rows = NULL, *found = NULL;
    sonde__kmeans_options options = {
        .k = pq->k,
        .iterations = (int)sonde__param_int(quantizer->params, "iters"),
        .seed = (uint64_t)sonde__param_int(quantizer->params, "seed") + (uint64_t)j,
        .threads = t->threads,
        .stage = "pq: codebooks",
    };
    sonde_status status = SONDE_NEW(runtime, rows, t->sampled * columns);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, found, pq->k * columns);
    if (status == SONDE_OK) {
        for (int64_t i = 0; i < t->sampled; i++)
            memcpy(rows + i * columns, t->x + t->sample[i] * quantizer->dim + first,
                   (size_t)columns * sizeof *rows);
        status = sonde__kmeans(runtime, rows, columns, t->sampled, columns, &options, found, NULL);
    }
    for (int64_t c = 0; status == SONDE_OK && c < pq->k; c++)
        memcpy(out + c * pq->width, found + c * columns, (size_t)columns * sizeof *out);
    sonde__free(runtime, rows);
    sonde__free(runtime, found);
    return status;
}

static sonde_status pq_train_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    for (int64_t j = begin; j < end; j++) SONDE_TRY(pq_train_part(context, j));
    return SONDE_OK;
}

/* Parts side by side where there are enough of them, else one after the other with all threads on each. */
static sonde_status pq_train_parts(struct pq_training *t, int threads)
{
    const sonde_quantizer *quantizer = t->quantizer;
    const struct pq *pq = quantizer->state;
    if (pq->m >= sonde__runtime_threads(quantizer->runtime, (uint32_t)threads)) {
        t->threads = 1;
        return sonde__parallel_for(quantizer->runtime, threads, pq->m, 1, "pq: codebooks", pq_train_chunk, t);
    }
    t->threads = threads;
    return pq_train_chunk(t, 0, pq->m, 0);
}

/* One sample of rows serves all parts. The old codebooks stay until the new ones are complete. */
static sonde_status pq_train(sonde_quantizer *quantizer, const float *x, int64_t n, int threads)
{
    const struct pq *pq = quantizer->state;
    sonde_runtime *runtime = quantizer->runtime;
    uint64_t seed = (uint64_t)sonde__param_int(quantizer->params, "seed");
    int64_t wanted = sonde__max_i64(pq->k, sonde__param_int(quantizer->params, "sample")), *sample = NULL;
    float *centroids = NULL;
    sonde_status status = SONDE_NEW(runtime, sample, sonde__min_i64(n, wanted));
    if (status == SONDE_OK) status = SONDE_NEW_ZERO(runtime, centroids, pq_centroid_count(pq));
    if (status == SONDE_OK) {
        struct pq_training t = {quantizer, x, sample, sonde__blocks_sample(seed, 0, n, wanted, sample),
                                centroids, 0};
        status = pq_train_parts(&t, threads);
    }
    if (status == SONDE_OK) status = pq_adopt(quantizer, centroids);
    if (status != SONDE_OK) sonde__free(runtime, centroids);
    sonde__free(runtime, sample);
    return status;
}

/* ---- codes ----------------------------------------------------------------------------------------------------- */

/* One byte a value: part by part, so that a book stays in the cache for all rows of the block. */
static sonde_status pq_encode_rows(const sonde_quantizer *quantizer, const float *x, int64_t ldx, int64_t n,
                                   uint8_t *values)
{
    const struct pq *pq = quantizer->state;
    int32_t nearest[PQ_ENCODE_ROWS];
    for (int64_t j = 0; j < pq->m; j++) {
        sonde__codebook_nearest(&pq->book[j], x + pq_first(quantizer, j), ldx, n, nearest);
        for (int64_t i = 0; i < n; i++) values[i * pq->m + j] = (uint8_t)nearest[i];
    }
    return SONDE_OK;
}

static sonde_status pq_encode(const sonde_quantizer *quantizer, const float *x, int64_t ldx, int64_t n,
                              uint8_t *codes, int64_t stride)
{
    const struct pq *pq = quantizer->state;
    sonde__scratch *scratch = NULL;
    uint8_t *values;
    SONDE_TRY(sonde__scratch_take(quantizer->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, values, sonde__min_i64(n, PQ_ENCODE_ROWS) * pq->m);
    for (int64_t i = 0; status == SONDE_OK && i < n; i += PQ_ENCODE_ROWS) {
        int64_t count = sonde__min_i64(PQ_ENCODE_ROWS, n - i);
        status = pq_encode_rows(quantizer, x + i * ldx, ldx, count, values);
        for (int64_t r = 0; r < count; r++)
            sonde__codes_pack(values + r * pq->m, pq->m, pq->bits, codes + (i + r) * stride);
    }
    sonde__scratch_give(quantizer->runtime, scratch);
    return status;
}

static void pq_decode(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n,
                      float *x, int64_t ldx)
{
    const struct pq *pq = quantizer->state;
    uint8_t values[SONDE__MAX_DIM];
    for (int64_t i = 0; i < n; i++) {
        sonde__codes_unpack(codes + i * stride, pq->m, pq->bits, values);
        for (int64_t j = 0; j < pq->m; j++)
            memcpy(x + i * ldx + pq_first(quantizer, j),
                   pq_centroids_of(pq, pq->centroids, j) + values[j] * pq->width,
                   (size_t)pq_columns(quantizer, j) * sizeof *x);
    }
}

/* All values of `bits` bits name a centroid; only the bits behind the last one can be wrong. */
static bool pq_valid(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n)
{
    const struct pq *pq = quantizer->state;
    return sonde__codes_padding_zero(codes, stride, n, pq->m, pq->bits);
}

/* ---- scanning -------------------------------------------------------------------------------------------------- */

/* The lookup kernels read tables of 16 or of 256 entries a part; 5 to 7 bits leave entries unused. */
static int64_t pq_entries(const struct pq *pq)
{
    return pq->bits == 4 ? 16 : 256;
}

static int64_t pq_table_bytes(const sonde_quantizer *quantizer)
{
    const struct pq *pq = quantizer->state;
    return pq->m * pq_entries(pq) * (int64_t)sizeof(float);
}

static void pq_table(const sonde_quantizer *quantizer, const float *query, void *table)
{
    const struct pq *pq = quantizer->state;
    for (int64_t j = 0; j < pq->m; j++)
        sonde__codebook_products(&pq->book[j], query + pq_first(quantizer, j),
                                 (float *)table + j * pq_entries(pq));
}

/* 5 to 7 bits are unpacked to bytes in blocks that stay in the cache. */
static void pq_scan(const sonde_quantizer *quantizer, const void *table, const uint8_t *codes, int64_t stride,
                    int64_t n, float *ip)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    const struct pq *pq = quantizer->state;
    sonde__codes_block block;
    if (pq->bits == 4) {
        kernels->lookup_4(table, codes, stride, n, pq->m, ip);
        return;
    }
    for (int64_t i = 0; i < n; i += block.count) {
        sonde__codes_open(&block, codes + i * stride, stride, n - i, pq->m, pq->bits);
        kernels->lookup_8(table, block.rows, block.stride, block.count, pq->m, ip + i);
    }
}

/* ---- the method ------------------------------------------------------------------------------------------------ */

static sonde_status pq_save(const sonde_quantizer *quantizer, sonde__writer *writer)
{
    const struct pq *pq = quantizer->state;
    return sonde__write_array(writer, "CODEBOOK", pq->centroids, pq_centroid_count(pq), sizeof(float));
}

/* The section must hold exactly what the spec says, finite; the books are made anew for this machine's kernels. */
static sonde_status pq_load(sonde_quantizer *quantizer, sonde__reader *reader)
{
    const struct pq *pq = quantizer->state;
    float *centroids = NULL;
    SONDE_TRY(
        sonde__handle_floats(quantizer->runtime, reader, "CODEBOOK", pq_centroid_count(pq), &centroids));
    sonde_status status = pq_adopt(quantizer, centroids);
    if (status != SONDE_OK) sonde__free(quantizer->runtime, centroids);
    return status;
}

static void pq_drop(sonde_quantizer *quantizer)
{
    struct pq *pq = quantizer->state;
    if (pq) {
        sonde__free(quantizer->runtime, pq->centroids);
        sonde__free(quantizer->runtime, pq->packed);
    }
    sonde__free(quantizer->runtime, pq);
}

static const sonde__key pq_keys[] = {
    {"m", SONDE__KEY_INT, "auto", 1, SONDE__MAX_DIM, "auto", NULL,
     "parts of a row; auto: the divisor of dim whose parts have nearest to 8 columns"},
    {"bits", SONDE__KEY_INT, "8", 4, 8, NULL, NULL, "bits of a part: 2^bits centroids each"},
    {"iters", SONDE__KEY_INT, "25", 1, 1000, NULL, NULL, "k-means iterations"},
    {"sample", SONDE__KEY_INT, "65536", 1, 1e9, NULL, NULL, "most rows to train on"},
    {"seed", SONDE__KEY_INT, "1", 0, 9007199254740992.0, NULL, NULL, "of the sample and of k-means"},
    {"pad", SONDE__KEY_WORD, "no", 0, 0, "no|yes", NULL,
     "let m not divide dim: parts then differ by one column"},
    {0},
};

const sonde__quantizer_method sonde__quantizer_pq = {
    .method = {"pq", "product quantization: k-means codebooks on parts of the row",
               "Jegou, Douze, Schmid: Product quantization for nearest neighbor search (TPAMI 2011)", pq_keys,
               sonde__vectors_input, NULL, NULL},
    .create = pq_create,
    .train = pq_train,
    .encode = pq_encode,
    .decode = pq_decode,
    .valid = pq_valid,
    .table_bytes = pq_table_bytes,
    .table = pq_table,
    .scan = pq_scan,
    .learned_bytes = pq_learned_bytes,
    .save = pq_save,
    .load = pq_load,
    .drop = pq_drop,
};
