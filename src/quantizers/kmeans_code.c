/* kmeans_code.c: clustering as a quantizer: the code of a row is the number of its nearest centroid.
 *
 * The public door to the library's k-means: train finds k centroids, encode labels rows, decode gives centroids back.
 * Code: the number in 1 byte (k <= 256), 2 (k <= 65536) or 4, little-endian. Scan: one product a centroid and query,
 * then one lookup a code.
 *
 * Cost: training n k dim multiply-adds an iteration at most (see linalg/kmeans.c); encoding k dim a row; memory
 * 8 k dim bytes, as the centroids are kept plain (decode, files) and packed (encode, tables).
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/handle.h"
#include "kernels/blocks.h"
#include "linalg/linalg.h"
#include "quantizers/codes.h"
#include "quantizers/quantizer.h"

#define KMEANS_ENCODE_ROWS 256

struct kmeans {
    int64_t k;
    bool spherical;
    float *centroids; /* k x dim; NULL until trained */
    float *packed;    /* memory of the book */
    sonde__codebook book;
};

static sonde_status kmeans_create(sonde_quantizer *quantizer)
{
    struct kmeans *kmeans;
    SONDE_TRY(SONDE_NEW_ZERO(quantizer->runtime, kmeans, 1));
    kmeans->k = sonde__param_int(quantizer->params, "k");
    kmeans->spherical = sonde__param_is(quantizer->params, "spherical", "yes");
    quantizer->state = kmeans;
    quantizer->code_bytes = kmeans->k <= 256 ? 1 : kmeans->k <= 65536 ? 2 : 4;
    quantizer->min_rows = kmeans->k;
    return SONDE_OK;
}

/* Takes centroids over; on failure nothing has changed and they stay the caller's. */
static sonde_status kmeans_adopt(sonde_quantizer *quantizer, float *centroids)
{
    struct kmeans *kmeans = quantizer->state;
    float *packed;
    SONDE_TRY(SONDE_NEW(quantizer->runtime, packed, sonde__codebook_floats(kmeans->k, quantizer->dim)));
    sonde__codebook_prepare(&kmeans->book, centroids, quantizer->dim, kmeans->k, quantizer->dim,
                            kmeans->spherical, packed);
    sonde__free(quantizer->runtime, kmeans->centroids);
    sonde__free(quantizer->runtime, kmeans->packed);
    kmeans->centroids = centroids;
    kmeans->packed = packed;
    return SONDE_OK;
}

/* The keys become linalg's options. The old centroids stay until the new ones are complete. */
static sonde_status kmeans_train(sonde_quantizer *quantizer, const float *x, int64_t n, int threads)
{
    const struct kmeans *kmeans = quantizer->state;
    const sonde__params *params = quantizer->params;
    sonde__kmeans_options options = {
        .k = kmeans->k,
        .iterations = (int)sonde__param_int(params, "iters"),
        .seed = (uint64_t)sonde__param_int(params, "seed"),
        .start = sonde__param_is(params, "start", "plusplus") ? SONDE__START_PLUSPLUS : SONDE__START_RANDOM,
        .spherical = kmeans->spherical,
        .sample = sonde__param_is(params, "sample", "all")
                      ? 0 : sonde__max_i64(kmeans->k, sonde__param_int(params, "sample")),
        .threads = threads,
        .hierarchical = sonde__param_is(params, "hierarchical", "yes"),
    };
    float *centroids = sonde__alloc(quantizer->runtime, (uint64_t)kmeans->k * (uint64_t)quantizer->dim,
                                    sizeof *centroids);
    if (!centroids) return sonde__last_status();
    sonde_status status = sonde__kmeans(quantizer->runtime, x, quantizer->dim, n, quantizer->dim, &options,
                                        centroids, NULL);
    if (status == SONDE_OK) status = kmeans_adopt(quantizer, centroids);
    if (status != SONDE_OK) sonde__free(quantizer->runtime, centroids);
    return status;
}

/* ---- codes ----------------------------------------------------------------------------------------------------- */

/* Numbers byte by byte: codes have any stride and no alignment. */
static void kmeans_write(uint8_t *code, int64_t bytes, uint32_t number)
{
    for (int64_t b = 0; b < bytes; b++) code[b] = (uint8_t)(number >> 8 * b);
}

static int64_t kmeans_read(const uint8_t *code, int64_t bytes)
{
    uint32_t number = 0;
    for (int64_t b = 0; b < bytes; b++) number |= (uint32_t)code[b] << 8 * b;
    return number;
}

/* A file that was opened without reading all of it may hold any number: it never leads outside the centroids. */
static int64_t kmeans_number(const sonde_quantizer *quantizer, const uint8_t *code)
{
    const struct kmeans *kmeans = quantizer->state;
    return sonde__min_i64(kmeans_read(code, quantizer->code_bytes), kmeans->k - 1);
}

static sonde_status kmeans_encode(const sonde_quantizer *quantizer, const float *x, int64_t ldx, int64_t n,
                                  uint8_t *codes, int64_t stride)
{
    const struct kmeans *kmeans = quantizer->state;
    int32_t nearest[KMEANS_ENCODE_ROWS];
    for (int64_t i = 0; i < n; i += KMEANS_ENCODE_ROWS) {
        int64_t count = sonde__min_i64(KMEANS_ENCODE_ROWS, n - i);
        sonde__codebook_nearest(&kmeans->book, x + i * ldx, ldx, count, nearest);
        for (int64_t r = 0; r < count; r++)
            kmeans_write(codes + (i + r) * stride, quantizer->code_bytes, (uint32_t)nearest[r]);
    }
    return SONDE_OK;
}

static void kmeans_decode(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n,
                          float *x, int64_t ldx)
{
    const struct kmeans *kmeans = quantizer->state;
    for (int64_t i = 0; i < n; i++)
        memcpy(x + i * ldx,
               kmeans->centroids + kmeans_number(quantizer, codes + i * stride) * quantizer->dim,
               (size_t)quantizer->dim * sizeof *x);
}

/* A code has room for more numbers than there are centroids. */
static bool kmeans_valid(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n)
{
    const struct kmeans *kmeans = quantizer->state;
    for (int64_t i = 0; i < n; i++)
        if (kmeans_read(codes + i * stride, quantizer->code_bytes) >= kmeans->k) return false;
    return true;
}

/* ---- scanning -------------------------------------------------------------------------------------------------- */

static int64_t kmeans_table_bytes(const sonde_quantizer *quantizer)
{
    const struct kmeans *kmeans = quantizer->state;
    return kmeans->k * (int64_t)sizeof(float);
}

static void kmeans_table(const sonde_quantizer *quantizer, const float *query, void *table)
{
    const struct kmeans *kmeans = quantizer->state;
    sonde__codebook_products(&kmeans->book, query, table);
}

static void kmeans_scan(const sonde_quantizer *quantizer, const void *table, const uint8_t *codes,
                        int64_t stride, int64_t n, float *ip)
{
    const float *product = table;
    for (int64_t i = 0; i < n; i++) ip[i] = product[kmeans_number(quantizer, codes + i * stride)];
}

/* ---- the method ------------------------------------------------------------------------------------------------ */

static sonde_status kmeans_save(const sonde_quantizer *quantizer, sonde__writer *writer)
{
    const struct kmeans *kmeans = quantizer->state;
    return sonde__write_array(writer, "CENTROID", kmeans->centroids,
                              (uint64_t)kmeans->k * (uint64_t)quantizer->dim, sizeof(float));
}

static sonde_status kmeans_load(sonde_quantizer *quantizer, sonde__reader *reader)
{
    const struct kmeans *kmeans = quantizer->state;
    float *centroids = NULL;
    SONDE_TRY(sonde__handle_floats(quantizer->runtime, reader, "CENTROID",
                                   (uint64_t)kmeans->k * (uint64_t)quantizer->dim, &centroids));
    sonde_status status = kmeans_adopt(quantizer, centroids);
    if (status != SONDE_OK) sonde__free(quantizer->runtime, centroids);
    return status;
}

static void kmeans_drop(sonde_quantizer *quantizer)
{
    struct kmeans *kmeans = quantizer->state;
    if (kmeans) {
        sonde__free(quantizer->runtime, kmeans->centroids);
        sonde__free(quantizer->runtime, kmeans->packed);
    }
    sonde__free(quantizer->runtime, kmeans);
}

static const sonde__key kmeans_keys[] = {
    {"k", SONDE__KEY_INT, "256", 1, 16777216, NULL, NULL, "centroids"},
    {"iters", SONDE__KEY_INT, "25", 1, 1000, NULL, NULL, "iterations"},
    {"sample", SONDE__KEY_INT, "all", 1, 1e9, "all", NULL, "most rows to train on"},
    {"seed", SONDE__KEY_INT, "1", 0, 9007199254740992.0, NULL, NULL, "of the start and of the sample"},
    {"start", SONDE__KEY_WORD, "random", 0, 0, "random|plusplus", NULL,
     "first centroids: random rows, or k-means++"},
    {"spherical", SONDE__KEY_WORD, "no", 0, 0, "no|yes", NULL,
     "centroids of length 1, nearest by inner product"},
    {"hierarchical", SONDE__KEY_WORD, "no", 0, 0, "no|yes", NULL,
     "two levels of about sqrt(k); faster for large k"},
    {0},
};

/* The centroids, and packed once more. */
static uint64_t kmeans_learned_bytes(const sonde_quantizer *quantizer)
{
    const struct kmeans *kmeans = quantizer->state;
    int64_t plain = kmeans->k * quantizer->dim;
    return (uint64_t)(plain + sonde__codebook_floats(kmeans->k, quantizer->dim)) * sizeof(float);
}

const sonde__quantizer_method sonde__quantizer_kmeans = {
    .method = {"kmeans", "clustering: a code is the number of the nearest of k centroids",
               "Lloyd: Least squares quantization in PCM (1982); Arthur, Vassilvitskii: k-means++ (2007)",
               kmeans_keys, sonde__vectors_input, NULL, NULL},
    .create = kmeans_create,
    .train = kmeans_train,
    .encode = kmeans_encode,
    .decode = kmeans_decode,
    .valid = kmeans_valid,
    .table_bytes = kmeans_table_bytes,
    .table = kmeans_table,
    .scan = kmeans_scan,
    .learned_bytes = kmeans_learned_bytes,
    .save = kmeans_save,
    .load = kmeans_load,
    .drop = kmeans_drop,
};
