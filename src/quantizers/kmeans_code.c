/* kmeans_code.c: clustering as a quantizer: the code of a row is the number of its nearest centroid.
 *
 * The public door to the library's k-means: train finds k centroids, encode labels rows, decode gives centroids back.
 * The key `balance` asks for control over the sizes of the groups (linalg/balance.c); limits hold for the labels that
 * the verb cluster gives, while later rows have the nearest centroid or, with encode=prices, the cheapest one under
 * the prices that balanced the training rows. Code: the number in 1 byte (k <= 256), 2 (k <= 65536) or 4,
 * little-endian. Scan: one product a centroid and query, then one lookup a code.
 *
 * Cost: training n k dim multiply-adds an iteration at most (see linalg/kmeans.c); encoding k dim a row; memory
 * 8 k dim bytes, as the centroids are kept plain (decode, files) and packed (encode, tables).
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "base/handle.h"
#include "kernels/blocks.h"
#include "linalg/linalg.h"
#include "quantizers/codes.h"
#include "quantizers/group_code.h"
#include "quantizers/quantizer.h"

#define KMEANS_ENCODE_ROWS 256
#define KMEANS_OBSERVED_LEAST 65536
#define KMEANS_OBSERVED_A_CENTROID 256
/* Masses come in single precision, so they are only nearly 1 in sum. */
#define KMEANS_MASS_ERROR 1e-4

/* Rows of the table of inputs. */
enum { KMEANS_VECTORS, KMEANS_WEIGHTS, KMEANS_MASSES, KMEANS_START };

struct kmeans {
    int64_t k;
    bool spherical, balanced, priced; /* priced: encode by prices */
    float *centroids;                 /* k x dim; NULL until trained */
    float *prices;                    /* k; balanced only */
    int64_t *sizes;                   /* k: training rows of each group; NULL where they were not counted */
    float *packed;                    /* memory of the book */
    sonde__codebook book;
};

/* low and high are checked against the rows in training; against each other they can be checked now. */
static sonde_status kmeans_create(sonde_quantizer *quantizer)
{
    const sonde__params *params = quantizer->params;
    int64_t low = sonde__param_int(params, "low"), high = sonde__param_int(params, "high");
    struct kmeans *kmeans;
    if (high > 0 && low > high)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "kmeans: low=%lld is more than high=%lld", (long long)low,
                           (long long)high);
    SONDE_TRY(SONDE_NEW_ZERO(quantizer->runtime, kmeans, 1));
    kmeans->k = sonde__param_int(params, "k");
    kmeans->spherical = sonde__param_is(params, "spherical", "yes");
    kmeans->balanced = !sonde__param_is(params, "balance", "none");
    kmeans->priced = kmeans->balanced && sonde__param_is(params, "encode", "prices");
    quantizer->state = kmeans;
    quantizer->code_bytes = kmeans->k <= 256 ? 1 : kmeans->k <= 65536 ? 2 : 4;
    quantizer->min_rows = kmeans->k;
    quantizer->sample_rows = sonde__param_is(params, "sample", "all")
                                 ? sonde__max_i64(KMEANS_OBSERVED_LEAST, KMEANS_OBSERVED_A_CENTROID * kmeans->k)
                                 : sonde__max_i64(kmeans->k, sonde__param_int(params, "sample"));
    return SONDE_OK;
}

static void kmeans_clear(const sonde_quantizer *quantizer, struct kmeans *kmeans)
{
    sonde__free(quantizer->runtime, kmeans->centroids);
    sonde__free(quantizer->runtime, kmeans->prices);
    sonde__free(quantizer->runtime, kmeans->sizes);
    sonde__free(quantizer->runtime, kmeans->packed);
}

/* A price moves the border between two groups, which for the search is a larger bias of the centroid. */
static void kmeans_price_book(const struct kmeans *kmeans, float *packed)
{
    float *bias = packed + (kmeans->book.bias - packed);
    for (int64_t j = 0; kmeans->priced && j < kmeans->k; j++) bias[j] += kmeans->prices[j] / 2;
}

/* Takes what was learned (centroids, prices, sizes) over; on failure nothing has changed and it stays the caller's.
 */
static sonde_status kmeans_adopt(sonde_quantizer *quantizer, const struct kmeans *learned)
{
    struct kmeans *kmeans = quantizer->state, next = *kmeans;
    next.centroids = learned->centroids;
    next.prices = learned->prices;
    next.sizes = learned->sizes;
    SONDE_TRY(SONDE_NEW(quantizer->runtime, next.packed, sonde__codebook_floats(kmeans->k, quantizer->dim)));
    sonde__codebook_prepare(&next.book, next.centroids, quantizer->dim, next.k, quantizer->dim, next.spherical,
                            next.packed);
    kmeans_price_book(&next, next.packed);
    kmeans_clear(quantizer, kmeans);
    *kmeans = next;
    return SONDE_OK;
}

/* ---- training -------------------------------------------------------------------------------------------------- */

/* The other inputs as linalg wants them. */
struct kmeans_inputs {
    float *weights; /* n, or NULL */
    double *masses; /* k, or NULL */
    float *start;   /* k x dim, or NULL */
};

static void kmeans_inputs_drop(const sonde_quantizer *quantizer, struct kmeans_inputs *inputs)
{
    sonde__free(quantizer->runtime, inputs->weights);
    sonde__free(quantizer->runtime, inputs->masses);
    sonde__free(quantizer->runtime, inputs->start);
}

/* A copy of an input as packed f32, NULL if it was not given. */
static sonde_status kmeans_input(const sonde_quantizer *quantizer, const sonde__training *training, int place,
                                 int64_t rows, int64_t cols, float **copy)
{
    const char *name = quantizer->method->method.inputs[place].name;
    const sonde_array *given = training->input ? training->input[place] : NULL;
    sonde_array checked;
    if (!given) return SONDE_OK;
    SONDE_TRY(sonde__array_check(given, name, cols, SONDE__DTYPES_NUMERIC, &checked));
    if (checked.rows != rows)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "train: %s has %lld rows, expected %lld", name,
                           (long long)checked.rows, (long long)rows);
    SONDE_TRY(SONDE_NEW(quantizer->runtime, *copy, rows * cols));
    sonde__rows_to_f32(&checked, 0, rows, *copy, cols);
    return SONDE_OK;
}

static sonde_status kmeans_positive(const float *values, int64_t count, const char *name)
{
    for (int64_t i = 0; values && i < count; i++)
        if (!(values[i] > 0))
            return sonde__fail(SONDE_INVALID_ARGUMENT, "train: %s[%lld] is %g, expected more than 0", name,
                               (long long)i, (double)values[i]);
    return SONDE_OK;
}

static sonde_status kmeans_masses(const sonde_quantizer *quantizer, const float *given, double **masses)
{
    const struct kmeans *kmeans = quantizer->state;
    double sum = 0;
    SONDE_TRY(kmeans_positive(given, kmeans->k, "masses"));
    for (int64_t j = 0; j < kmeans->k; j++) sum += (double)given[j];
    if (!(sum > 1 - KMEANS_MASS_ERROR && sum < 1 + KMEANS_MASS_ERROR))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "train: masses add up to %g, expected 1", sum);
    SONDE_TRY(SONDE_NEW(quantizer->runtime, *masses, kmeans->k));
    for (int64_t j = 0; j < kmeans->k; j++) (*masses)[j] = (double)given[j] / sum;
    return SONDE_OK;
}

static sonde_status kmeans_inputs_take(const sonde_quantizer *quantizer, const sonde__training *training,
                                       struct kmeans_inputs *inputs)
{
    const struct kmeans *kmeans = quantizer->state;
    float *masses = NULL;
    SONDE_TRY(kmeans_input(quantizer, training, KMEANS_WEIGHTS, training->n, 1, &inputs->weights));
    SONDE_TRY(kmeans_positive(inputs->weights, training->n, "weights"));
    SONDE_TRY(kmeans_input(quantizer, training, KMEANS_START, kmeans->k, quantizer->dim, &inputs->start));
    SONDE_TRY(kmeans_input(quantizer, training, KMEANS_MASSES, kmeans->k, 1, &masses));
    sonde_status status = masses ? kmeans_masses(quantizer, masses, &inputs->masses) : SONDE_OK;
    sonde__free(quantizer->runtime, masses);
    return status;
}

/* The number of the word in the list of a key: "a|b|c". */
static uint32_t kmeans_choice(const sonde__params *params, const char *key, const char *const *words)
{
    uint32_t choice = 0;
    while (words[choice] && !sonde__param_is(params, key, words[choice])) choice++;
    return choice;
}

/* In linalg 0 stands for a default; here it means none. */
static sonde__balance kmeans_balance(const sonde__params *params, const double *masses)
{
    static const char *const modes[] = {"none", "soft", "sinkhorn", "capacity", "hierarchical", NULL};
    static const char *const orders[] = {"regret", "auction", "onerec", NULL};
    int iterations = (int)sonde__param_int(params, "sk_iters");
    double lambda = sonde__param_is(params, "lambda", "auto") ? 0 : sonde__param_real(params, "lambda");
    return (sonde__balance){
        .mode = kmeans_choice(params, "balance", modes),
        .order = kmeans_choice(params, "order", orders),
        .low = sonde__param_int(params, "low"),
        .high = sonde__param_int(params, "high"),
        .eps = sonde__param_real(params, "eps"),
        .iterations = iterations > 0 ? iterations : -1,
        .lambda = lambda > 0 || sonde__param_is(params, "lambda", "auto") ? lambda : -1,
        .masses = masses,
    };
}

static sonde__kmeans_options kmeans_options(const sonde_quantizer *quantizer, int threads, const float *weights)
{
    const struct kmeans *kmeans = quantizer->state;
    const sonde__params *params = quantizer->params;
    return (sonde__kmeans_options){
        .k = kmeans->k,
        .iterations = (int)sonde__param_int(params, "iters"),
        .seed = (uint64_t)sonde__param_int(params, "seed"),
        .start = sonde__param_is(params, "start", "plusplus") ? SONDE__START_PLUSPLUS : SONDE__START_RANDOM,
        .spherical = kmeans->spherical,
        .sample = sonde__param_is(params, "sample", "all")
                      ? 0
                      : sonde__max_i64(kmeans->k, sonde__param_int(params, "sample")),
        .weights = weights,
        .threads = threads,
        .hierarchical = sonde__param_is(params, "hierarchical", "yes"),
    };
}

/* Centroids, and prices and labels where somebody asks for them. */
static sonde_status kmeans_cluster(const sonde_quantizer *quantizer, const sonde__training *training,
                                   const struct kmeans_inputs *inputs, const struct kmeans *learned, int32_t *labels)
{
    const sonde__kmeans_options options = kmeans_options(quantizer, training->threads, inputs->weights);
    const sonde__balance balance = kmeans_balance(quantizer->params, inputs->masses);
    double *prices = NULL;
    if (learned->prices) SONDE_TRY(SONDE_NEW(quantizer->runtime, prices, options.k));
    sonde_status status = sonde__kmeans_balanced(quantizer->runtime, training->x, quantizer->dim, training->n,
                                                 quantizer->dim, &options, &balance, inputs->start,
                                                 learned->centroids, labels, prices, NULL);
    for (int64_t j = 0; status == SONDE_OK && prices && j < options.k; j++) learned->prices[j] = (float)prices[j];
    for (int64_t i = 0; status == SONDE_OK && labels && i < training->n; i++) learned->sizes[labels[i]]++;
    sonde__free(quantizer->runtime, prices);
    return status;
}

/* Sizes are counted where labels are made anyway: for the verb cluster, and under any rule. */
static sonde_status kmeans_learn(const sonde_quantizer *quantizer, const sonde__training *training,
                                 struct kmeans *learned, int32_t **labels)
{
    const struct kmeans *kmeans = quantizer->state;
    struct kmeans_inputs inputs = {NULL, NULL, NULL};
    SONDE_TRY(SONDE_NEW(quantizer->runtime, learned->centroids, kmeans->k * quantizer->dim));
    if (kmeans->balanced) SONDE_TRY(SONDE_NEW(quantizer->runtime, learned->prices, kmeans->k));
    if (kmeans->balanced || training->labels) {
        SONDE_TRY(SONDE_NEW_ZERO(quantizer->runtime, learned->sizes, kmeans->k));
        SONDE_TRY(SONDE_NEW(quantizer->runtime, *labels, training->n));
    }
    sonde_status status = kmeans_inputs_take(quantizer, training, &inputs);
    if (status == SONDE_OK) status = kmeans_cluster(quantizer, training, &inputs, learned, *labels);
    kmeans_inputs_drop(quantizer, &inputs);
    return status;
}

/* The old centroids stay until the new ones are complete. */
static sonde_status kmeans_train(sonde_quantizer *quantizer, const sonde__training *training)
{
    struct kmeans learned = {0};
    int32_t *labels = NULL;
    sonde_status status = kmeans_learn(quantizer, training, &learned, &labels);
    if (status == SONDE_OK) status = kmeans_adopt(quantizer, &learned);
    if (status != SONDE_OK) kmeans_clear(quantizer, &learned);
    else if (training->labels) memcpy(training->labels, labels, (size_t)training->n * sizeof *labels);
    sonde__free(quantizer->runtime, labels);
    return status;
}

/* ---- codes ----------------------------------------------------------------------------------------------------- */

static sonde__groups kmeans_groups(const sonde_quantizer *quantizer)
{
    const struct kmeans *kmeans = quantizer->state;
    return (sonde__groups){kmeans->k, quantizer->dim, quantizer->code_bytes, kmeans->centroids};
}

static void kmeans_encode_block(const sonde_quantizer *quantizer, const float *x, int64_t ldx, int64_t count,
                                uint8_t *codes, int64_t stride)
{
    const struct kmeans *kmeans = quantizer->state;
    int32_t nearest[KMEANS_ENCODE_ROWS];
    sonde__codebook_nearest(&kmeans->book, x, ldx, count, nearest);
    for (int64_t r = 0; r < count; r++) sonde__group_write(codes + r * stride, quantizer->code_bytes, nearest[r]);
}

static void kmeans_scale(float *x, int64_t dim)
{
    float length = sqrtf(sonde__kernels_get()->norm2(x, dim));
    for (int64_t j = 0; length > 0 && j < dim; j++) x[j] /= length;
}

/* Prices of spherical groups are prices of directions, so rows have to have length 1 first; a zero row stays. */
static sonde_status kmeans_encode_directions(const sonde_quantizer *quantizer, const float *x, int64_t ldx, int64_t n,
                                             uint8_t *codes, int64_t stride)
{
    int64_t dim = quantizer->dim;
    sonde__scratch *scratch = NULL;
    float *unit;
    SONDE_TRY(sonde__scratch_take(quantizer->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, unit, KMEANS_ENCODE_ROWS * dim);
    for (int64_t i = 0; status == SONDE_OK && i < n; i += KMEANS_ENCODE_ROWS) {
        int64_t count = sonde__min_i64(KMEANS_ENCODE_ROWS, n - i);
        for (int64_t r = 0; r < count; r++) {
            memcpy(unit + r * dim, x + (i + r) * ldx, (size_t)dim * sizeof *unit);
            kmeans_scale(unit + r * dim, dim);
        }
        kmeans_encode_block(quantizer, unit, dim, count, codes + i * stride, stride);
    }
    sonde__scratch_give(quantizer->runtime, scratch);
    return status;
}

static sonde_status kmeans_encode(const sonde_quantizer *quantizer, const float *x, int64_t ldx, int64_t n,
                                  uint8_t *codes, int64_t stride)
{
    const struct kmeans *kmeans = quantizer->state;
    if (kmeans->spherical && kmeans->priced) return kmeans_encode_directions(quantizer, x, ldx, n, codes, stride);
    for (int64_t i = 0; i < n; i += KMEANS_ENCODE_ROWS)
        kmeans_encode_block(quantizer, x + i * ldx, ldx, sonde__min_i64(KMEANS_ENCODE_ROWS, n - i),
                            codes + i * stride, stride);
    return SONDE_OK;
}

static void kmeans_decode(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n, float *x,
                          int64_t ldx)
{
    sonde__groups groups = kmeans_groups(quantizer);
    sonde__group_decode(&groups, codes, stride, n, x, ldx);
}

/* A code has room for more numbers than there are centroids. */
static bool kmeans_valid(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n)
{
    sonde__groups groups = kmeans_groups(quantizer);
    return sonde__group_valid(&groups, codes, stride, n);
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

static void kmeans_scan(const sonde_quantizer *quantizer, const void *table, const uint8_t *codes, int64_t stride,
                        int64_t n, float *ip)
{
    sonde__groups groups = kmeans_groups(quantizer);
    sonde__group_scan(&groups, table, codes, stride, n, ip);
}

/* ---- the method ------------------------------------------------------------------------------------------------ */

/* Sizes are of the training rows, and there only if they were counted. */
static sonde_status kmeans_save(const sonde_quantizer *quantizer, sonde__writer *writer)
{
    const struct kmeans *kmeans = quantizer->state;
    uint64_t k = (uint64_t)kmeans->k;
    SONDE_TRY(sonde__write_array(writer, "CENTROID", kmeans->centroids, k * (uint64_t)quantizer->dim, sizeof(float)));
    if (kmeans->prices) SONDE_TRY(sonde__write_array(writer, "PRICES", kmeans->prices, k, sizeof(float)));
    return kmeans->sizes ? sonde__write_array(writer, "SIZES", kmeans->sizes, k, sizeof(int64_t)) : SONDE_OK;
}

static sonde_status kmeans_load_sizes(const sonde_quantizer *quantizer, sonde__reader *reader, struct kmeans *learned)
{
    const struct kmeans *kmeans = quantizer->state;
    sonde__blob blob;
    SONDE_TRY(sonde__read_array(reader, "SIZES", (uint64_t)kmeans->k, sizeof(int64_t), true, &blob));
    learned->sizes = blob.data;
    for (int64_t j = 0; j < kmeans->k; j++)
        if (learned->sizes[j] < 0 || learned->sizes[j] > SONDE__MAX_ROWS)
            return sonde__fail(SONDE_CORRUPT, "kmeans: group %lld has %lld rows", (long long)j,
                               (long long)learned->sizes[j]);
    return SONDE_OK;
}

static sonde_status kmeans_load_parts(const sonde_quantizer *quantizer, sonde__reader *reader, struct kmeans *learned)
{
    const struct kmeans *kmeans = quantizer->state;
    uint64_t k = (uint64_t)kmeans->k;
    SONDE_TRY(sonde__handle_floats(quantizer->runtime, reader, "CENTROID", k * (uint64_t)quantizer->dim,
                                   &learned->centroids));
    if (kmeans->balanced) SONDE_TRY(sonde__handle_floats(quantizer->runtime, reader, "PRICES", k, &learned->prices));
    return sonde__reader_has(reader, "SIZES") ? kmeans_load_sizes(quantizer, reader, learned) : SONDE_OK;
}

static sonde_status kmeans_load(sonde_quantizer *quantizer, sonde__reader *reader)
{
    struct kmeans learned = {0};
    sonde_status status = kmeans_load_parts(quantizer, reader, &learned);
    if (status == SONDE_OK) status = kmeans_adopt(quantizer, &learned);
    if (status != SONDE_OK) kmeans_clear(quantizer, &learned);
    return status;
}

static void kmeans_drop(sonde_quantizer *quantizer)
{
    struct kmeans *kmeans = quantizer->state;
    if (kmeans) kmeans_clear(quantizer, kmeans);
    sonde__free(quantizer->runtime, kmeans);
}

static sonde_status kmeans_output(const sonde_quantizer *quantizer, int position, sonde_array *view)
{
    const struct kmeans *kmeans = quantizer->state;
    if (position == 0) {
        *view = sonde_f32(kmeans->centroids, kmeans->k, quantizer->dim);
    } else if (position == 1) {
        if (!kmeans->sizes)
            return sonde__fail(SONDE_STATE, "output: sizes are counted by cluster, or by train with a key balance");
        *view = sonde_i64(kmeans->sizes, kmeans->k, 1);
    } else {
        if (!kmeans->prices) return sonde__fail(SONDE_STATE, "output: there are prices only with a key balance");
        *view = sonde_f32(kmeans->prices, kmeans->k, 1);
    }
    return SONDE_OK;
}

static const sonde__key kmeans_keys[] = {
    {"k", SONDE__KEY_INT, "256", 1, 16777216, NULL, NULL, "centroids"},
    {"iters", SONDE__KEY_INT, "25", 1, 1000, NULL, NULL, "iterations"},
    {"sample", SONDE__KEY_INT, "all", 1, 1e9, "all", NULL, "most rows to train on"},
    {"seed", SONDE__KEY_INT, "1", 0, 9007199254740992.0, NULL, NULL, "of the start and of the sample"},
    {"start", SONDE__KEY_WORD, "random", 0, 0, "random|plusplus", NULL, "first centroids: random rows, or k-means++"},
    {"spherical", SONDE__KEY_WORD, "no", 0, 0, "no|yes", NULL, "centroids of length 1, nearest by inner product"},
    {"hierarchical", SONDE__KEY_WORD, "no", 0, 0, "no|yes", NULL, "two levels of about sqrt(k); faster for large k"},
    {"balance", SONDE__KEY_WORD, "none", 0, 0, "none|soft|sinkhorn|capacity|hierarchical", NULL,
     "sizes of the groups: free, dearer when large, near given masses, within limits, or limited by splits"},
    {"order", SONDE__KEY_WORD, "regret", 0, 0, "regret|auction|onerec", NULL,
     "capacity: cheapest chains from Sinkhorn's prices, bids, or group by group as published"},
    {"low", SONDE__KEY_INT, "auto", 0, 1e12, "auto", NULL,
     "capacity: fewest rows of a group; auto: floor(n / k), or 0 beside high"},
    {"high", SONDE__KEY_INT, "auto", 1, 1e12, "auto", NULL,
     "most rows of a group; auto: ceil(n / k), or n beside low; hierarchical and soft: twice ceil(n / k)"},
    {"eps", SONDE__KEY_REAL, "0.01", 1e-4, 100, NULL, NULL,
     "sinkhorn, capacity: blur, relative to half the range of distances"},
    {"sk_iters", SONDE__KEY_INT, "100", 0, 100000, NULL, NULL, "sinkhorn, capacity: most iterations for prices"},
    {"lambda", SONDE__KEY_REAL, "auto", 0, 1e30, "auto", NULL,
     "soft: price of a row in a group; auto: the least that keeps sizes near high"},
    {"encode", SONDE__KEY_WORD, "argmin", 0, 0, "argmin|prices", NULL,
     "later rows: the nearest centroid, or the cheapest under the prices of balance"},
    {0},
};

static const sonde__input_key kmeans_input_keys[] = {
    [KMEANS_VECTORS] = {"vectors", "n x dim", SONDE__DTYPES_NUMERIC, true, "the rows to learn from", "train"},
    [KMEANS_WEIGHTS] = {"weights", "n x 1", SONDE__DTYPES_NUMERIC, false,
                        "what each row counts, more than 0; sizes count rows", "train"},
    [KMEANS_MASSES] = {"masses", "k x 1", SONDE__DTYPES_NUMERIC, false,
                       "sinkhorn: the share of rows that each group is to get", "train"},
    [KMEANS_START] = {"start", "k x dim", SONDE__DTYPES_NUMERIC, false, "first centroids, in place of the key start",
                      "train"},
    {0},
};

static const sonde__output_key kmeans_outputs[] = {
    {"centroids", "k x dim", SONDE_DTYPE_F32, "the means of the groups"},
    {"sizes", "k x 1", SONDE_DTYPE_I64, "training rows of each group (after cluster, or with balance)"},
    {"prices", "k x 1", SONDE_DTYPE_F32, "with balance: a row belongs where squared distance less price is least"},
    {0},
};

/* The centroids, and packed once more; a price and a size each. */
static uint64_t kmeans_learned_bytes(const sonde_quantizer *quantizer)
{
    const struct kmeans *kmeans = quantizer->state;
    int64_t plain = kmeans->k * quantizer->dim;
    uint64_t extra = kmeans->balanced ? (uint64_t)kmeans->k * (sizeof(float) + sizeof(int64_t)) : 0;
    return (uint64_t)(plain + sonde__codebook_floats(kmeans->k, quantizer->dim)) * sizeof(float) + extra;
}

const sonde__quantizer_method sonde__quantizer_kmeans = {
    .method = {"kmeans", "clustering: a code is the number of the nearest of k centroids",
               "Lloyd: Least squares quantization in PCM (1982); Arthur, Vassilvitskii: k-means++ (2007)",
               kmeans_keys, kmeans_input_keys, NULL, kmeans_outputs},
    .create = kmeans_create,
    .train = kmeans_train,
    .encode = kmeans_encode,
    .decode = kmeans_decode,
    .valid = kmeans_valid,
    .table_bytes = kmeans_table_bytes,
    .table = kmeans_table,
    .scan = kmeans_scan,
    .output = kmeans_output,
    .clusters = true,
    .learned_bytes = kmeans_learned_bytes,
    .save = kmeans_save,
    .load = kmeans_load,
    .drop = kmeans_drop,
};
