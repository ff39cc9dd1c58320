/* rkmeans.c: document ids by residual k-means: a short sequence of small numbers such that rows with a common
 * prefix are near each other. Sequence models generate such ids; trie.h keeps and constrains them. (Deng et
 * al., OneRec, 2025; ids of this kind: Rajput et al., TIGER, 2023.)
 *
 * The levels are those of rq (rq_levels.c). What is special is balance: groups of equal size at each level,
 * so that the model's outputs are used evenly. balance=prices finds prices by optimal transport and repairs
 * what is left (linalg/linalg.h); balance=onerec is the paper's way, which fills one centroid after the
 * other and leaves the last ones rows from everywhere. Sizes are equal on the rows of training, whose ids are
 * the output "sequences"; other rows take the nearest centroid, less its price where encode=prices.
 *
 *     code: `levels` numbers of 16 bits, the lowest byte first
 *
 * Cost: as k-means of all rows at each level, with 4 n dim bytes beside the rows; encoding levels x codes x dim
 * multiply-adds a row.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "kernels/blocks.h"
#include "quantizers/rq_levels.h"

enum { RKMEANS_CODEBOOKS = 0, RKMEANS_SIZES, RKMEANS_SEQUENCES };

struct rkmeans {
    sonde__levels levels; /* first: the hooks of rq_levels.c find it there */
    double *prices;       /* levels x codes; NULL until trained */
    int32_t *sizes;       /* levels x codes: rows of training in each group */
    int32_t *sequences;   /* rows x levels: the ids of the rows of training; not in files */
    int64_t rows;
};

static sonde_status rkmeans_create(sonde_quantizer *quantizer)
{
    struct rkmeans *rkmeans;
    SONDE_TRY(SONDE_NEW_ZERO(quantizer->runtime, rkmeans, 1));
    rkmeans->levels.m = sonde__param_int(quantizer->params, "levels");
    rkmeans->levels.k = sonde__param_int(quantizer->params, "codes");
    rkmeans->levels.bits = 16;
    rkmeans->levels.dim = quantizer->dim;
    rkmeans->levels.beam = (int)sonde__param_int(quantizer->params, "beam");
    quantizer->state = rkmeans;
    quantizer->code_bytes = 2 * rkmeans->levels.m;
    quantizer->min_rows = rkmeans->levels.k;
    return SONDE_OK;
}

static void rkmeans_end(sonde_runtime *runtime, struct rkmeans *rkmeans)
{
    sonde__levels_end(runtime, &rkmeans->levels);
    sonde__free(runtime, rkmeans->prices);
    sonde__free(runtime, rkmeans->sizes);
    sonde__free(runtime, rkmeans->sequences);
}

/* Room for a new state of the same shape that knows the ids of `rows` rows. */
static sonde_status rkmeans_begin(sonde_runtime *runtime, const struct rkmeans *shape, int64_t rows,
                                  struct rkmeans *fresh)
{
    int64_t m = shape->levels.m, k = shape->levels.k;
    *fresh = (struct rkmeans){.rows = rows};
    sonde_status status = sonde__levels_begin(runtime, &shape->levels, &fresh->levels);
    if (status == SONDE_OK) status = SONDE_NEW_ZERO(runtime, fresh->prices, m * k);
    if (status == SONDE_OK) status = SONDE_NEW_ZERO(runtime, fresh->sizes, m * k);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, fresh->sequences, rows * m);
    if (status != SONDE_OK) rkmeans_end(runtime, fresh);
    return status;
}

/* ---- training -------------------------------------------------------------------------------------------------- */

/* Fills sequences and sizes from the codes of the rows. */
static void rkmeans_count(struct rkmeans *rkmeans, const uint16_t *codes)
{
    int64_t m = rkmeans->levels.m, k = rkmeans->levels.k;
    for (int64_t i = 0; i < rkmeans->rows; i++)
        for (int64_t l = 0; l < m; l++) {
            rkmeans->sequences[i * m + l] = codes[i * m + l];
            rkmeans->sizes[l * k + codes[i * m + l]]++;
        }
}

static sonde_status rkmeans_fit(const sonde_quantizer *quantizer, struct rkmeans *fresh,
                                const sonde__training *training)
{
    const sonde__params *params = quantizer->params;
    bool onerec = sonde__param_is(params, "balance", "onerec");
    sonde__balance balance = {.mode = SONDE__BALANCE_CAPACITY,
                              .order = onerec ? SONDE__ORDER_ONEREC : SONDE__ORDER_REGRET};
    uint16_t *codes;
    SONDE_TRY(SONDE_NEW(quantizer->runtime, codes, training->n * fresh->levels.m));
    sonde__levels_training levels = {
        .x = training->x,
        .n = training->n,
        .kmeans = {.k = fresh->levels.k,
                   .iterations = (int)sonde__param_int(params, "iters"),
                   .seed = (uint64_t)sonde__param_int(params, "seed"),
                   .threads = training->threads,
                   .stage = "rkmeans: codebooks"},
        .balance = sonde__param_is(params, "balance", "none") ? NULL : &balance,
        .codes = codes,
        .prices = fresh->prices,
        .priced = sonde__param_is(params, "encode", "prices"),
    };
    sonde_status status = sonde__levels_train(quantizer->runtime, &fresh->levels, &levels);
    if (status == SONDE_OK) rkmeans_count(fresh, codes);
    sonde__free(quantizer->runtime, codes);
    return status;
}

/* The old state stays until the new one is complete. */
static sonde_status rkmeans_train(sonde_quantizer *quantizer, const sonde__training *training)
{
    struct rkmeans *rkmeans = quantizer->state, fresh;
    SONDE_TRY(rkmeans_begin(quantizer->runtime, rkmeans, training->n, &fresh));
    sonde_status status = rkmeans_fit(quantizer, &fresh, training);
    if (status != SONDE_OK) {
        rkmeans_end(quantizer->runtime, &fresh);
        return status;
    }
    for (int64_t i = 0; training->labels && i < training->n; i++)
        training->labels[i] = fresh.sequences[i * fresh.levels.m];
    rkmeans_end(quantizer->runtime, rkmeans);
    *rkmeans = fresh;
    return SONDE_OK;
}

/* ---- outputs and files ----------------------------------------------------------------------------------------- */

static sonde_status rkmeans_output(const sonde_quantizer *quantizer, int position, sonde_array *view)
{
    const struct rkmeans *rkmeans = quantizer->state;
    int64_t m = rkmeans->levels.m, k = rkmeans->levels.k;
    if (position == RKMEANS_CODEBOOKS)
        *view = sonde_f32(rkmeans->levels.codewords, m * k, rkmeans->levels.dim);
    if (position == RKMEANS_SIZES) *view = sonde_i32(rkmeans->sizes, m, k);
    if (position == RKMEANS_SEQUENCES) *view = sonde_i32(rkmeans->sequences, rkmeans->rows, m);
    return SONDE_OK;
}

static sonde_status rkmeans_save(const sonde_quantizer *quantizer, sonde__writer *writer)
{
    const struct rkmeans *rkmeans = quantizer->state;
    uint64_t count = (uint64_t)(rkmeans->levels.m * rkmeans->levels.k);
    SONDE_TRY(sonde__write_array(writer, "CODEBOOK", rkmeans->levels.codewords,
                                 count * (uint64_t)rkmeans->levels.dim, sizeof(float)));
    SONDE_TRY(sonde__write_array(writer, "PRICE", rkmeans->prices, count, sizeof(double)));
    return sonde__write_array(writer, "SIZE", rkmeans->sizes, count, sizeof(int32_t));
}

/* Copies a section of exactly count elements, so that the state never points into a mapping. */
static sonde_status rkmeans_read(sonde_runtime *runtime, sonde__reader *reader, const char *tag,
                                 uint64_t count, uint32_t size, void *to)
{
    sonde__blob blob;
    SONDE_TRY(sonde__read_array(reader, tag, count, size, false, &blob));
    memcpy(to, blob.data, count * size);
    sonde__blob_free(runtime, &blob);
    return SONDE_OK;
}

static sonde_status rkmeans_check(const struct rkmeans *rkmeans)
{
    int64_t count = rkmeans->levels.m * rkmeans->levels.k;
    for (int64_t i = 0; i < count * rkmeans->levels.dim; i++)
        if (!isfinite(rkmeans->levels.codewords[i]))
            return sonde__fail(SONDE_CORRUPT, "section \"CODEBOOK\": value %lld is not finite", (long long)i);
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(rkmeans->prices[i]))
            return sonde__fail(SONDE_CORRUPT, "section \"PRICE\": value %lld is not finite", (long long)i);
        if (rkmeans->sizes[i] < 0)
            return sonde__fail(SONDE_CORRUPT, "section \"SIZE\": value %lld is negative", (long long)i);
    }
    return SONDE_OK;
}

static sonde_status rkmeans_fill(sonde_quantizer *quantizer, sonde__reader *reader, struct rkmeans *fresh)
{
    sonde_runtime *runtime = quantizer->runtime;
    bool priced = sonde__param_is(quantizer->params, "encode", "prices");
    uint64_t count = (uint64_t)(fresh->levels.m * fresh->levels.k);
    SONDE_TRY(rkmeans_read(runtime, reader, "CODEBOOK", count * (uint64_t)quantizer->dim, sizeof(float),
                           fresh->levels.codewords));
    SONDE_TRY(rkmeans_read(runtime, reader, "PRICE", count, sizeof(double), fresh->prices));
    SONDE_TRY(rkmeans_read(runtime, reader, "SIZE", count, sizeof(int32_t), fresh->sizes));
    SONDE_TRY(rkmeans_check(fresh));
    for (int64_t l = 0; l < fresh->levels.m; l++)
        SONDE_TRY(sonde__levels_prepare(runtime, 0, &fresh->levels, l,
                                        priced ? fresh->prices + l * fresh->levels.k : NULL));
    return SONDE_OK;
}

static sonde_status rkmeans_load(sonde_quantizer *quantizer, sonde__reader *reader)
{
    struct rkmeans *rkmeans = quantizer->state, fresh;
    SONDE_TRY(rkmeans_begin(quantizer->runtime, rkmeans, 0, &fresh));
    sonde_status status = rkmeans_fill(quantizer, reader, &fresh);
    if (status == SONDE_OK) *rkmeans = fresh;
    else rkmeans_end(quantizer->runtime, &fresh);
    return status;
}

static void rkmeans_drop(sonde_quantizer *quantizer)
{
    if (quantizer->state) rkmeans_end(quantizer->runtime, quantizer->state);
    sonde__free(quantizer->runtime, quantizer->state);
}

static const sonde__key rkmeans_keys[] = {
    {"levels", SONDE__KEY_INT, "3", 1, 64, NULL, NULL, "numbers of an id"},
    {"codes", SONDE__KEY_INT, "256", 1, 65536, NULL, NULL, "centroids a level"},
    {"balance", SONDE__KEY_WORD, "none", 0, 0, "none|prices|onerec", NULL,
     "groups of equal size at each level: by prices and repair, or filled one after the other as published"},
    {"encode", SONDE__KEY_WORD, "prices", 0, 0, "argmin|prices", NULL,
     "rows take the nearest centroid, or the nearest after the prices that balance=prices found"},
    {"beam", SONDE__KEY_INT, "1", 1, SONDE__LEVELS_BEAM_MOST, NULL, NULL,
     "sums that are followed at once while encoding"},
    {"iters", SONDE__KEY_INT, "25", 1, 1000, NULL, NULL, "k-means iterations"},
    {"seed", SONDE__KEY_INT, "1", 0, 9007199254740992.0, NULL, NULL, "of k-means"},
    {0},
};

static const sonde__output_key rkmeans_outputs[] = {
    {"codebooks", "levels * codes x dim", SONDE_DTYPE_F32, "the centroids, level by level"},
    {"sizes", "levels x codes", SONDE_DTYPE_I32, "rows of training in each group"},
    {"sequences", "n x levels", SONDE_DTYPE_I32,
     "the ids of the rows of training; empty after opening a file"},
    {0},
};

const sonde__quantizer_method sonde__quantizer_rkmeans = {
    .method = {"rkmeans", "document ids by residual k-means, with groups of equal size where wanted",
               "Deng, Wang, Cai, Ren, Hu, Ding, Luo, Zhou: OneRec (2025)", rkmeans_keys, sonde__vectors_input,
               NULL, rkmeans_outputs},
    .create = rkmeans_create,
    .train = rkmeans_train,
    .encode = sonde__levels_hook_encode,
    .decode = sonde__levels_hook_decode,
    .valid = sonde__levels_hook_valid,
    .table_bytes = sonde__levels_hook_table_bytes,
    .table = sonde__levels_hook_table,
    .scan = sonde__levels_hook_scan,
    .output = rkmeans_output,
    .clusters = true,
    .learned_bytes = sonde__levels_hook_learned_bytes,
    .save = rkmeans_save,
    .load = rkmeans_load,
    .drop = rkmeans_drop,
};
