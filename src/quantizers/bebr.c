/* bebr.c: recurrent binary embeddings: a direction in a chosen number of bits a dimension, and exact distances of
 * codes. (Gan et al.: Binary Embedding-based Retrieval at Tencent, KDD 2023.) This is the encoder with tied blocks,
 * that is one projection W for all loops; blocks that are trained apart belong to the objectives.
 *
 *     y = W f                  W: dim orthonormal rows, f: the row at length 1
 *     B_0 = sign(y)            B_{i+1} = B_i + 2^-(i+1) sign(y / |y| - B_i / |B_i|)       i = 0 .. loops - 1
 *
 * B_i / |B_i| is what the bits so far say of the direction; the next bit says on which side of it the truth lies.
 * (The paper compares f with a vector of length 1, also where W keeps only a part of f: then every sign leans
 * inwards. y is compared at a length of its own, which is the same for dim = columns and better below.) Bits of one
 * dimension make up a digit, the first loop the highest bit:
 *
 *     c in 0..A, A = 2^(loops+1) - 1        2^loops B = g = 2 c - A, an odd number
 *     code   dim digits of loops + 1 bits, packed as codes.h says
 *     decode = W^T g / |g|, of length 1: lengths are not kept; encode(s f) = encode(f) for s > 0
 *
 * Scores are products with that: of a query exactly in f32 (asymmetric), of two codes in whole numbers,
 *     <g, g'> = 4 sum c c' - 2 A (sum c + sum c') + dim A^2.
 * A row without a direction (W f = 0) is refused, or (zero=code) gets the code 0, which then stands for the zero
 * vector alone: a row whose digits all come out as 0 has the one of its largest y raised to 1.
 *
 * Cost: encoding dim x columns multiply-adds a row; a score dim, on bytes; memory 2 x 4 x dim x columns bytes.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "base/handle.h"
#include "kernels/blocks.h"
#include "kernels/kernels.h"
#include "quantizers/codes.h"
#include "quantizers/signs.h"

enum { BEBR_DIM_MOST = 4096, BEBR_ROWS = 32, BEBR_SAMPLE_LEAST = 16384, BEBR_ROWS_A_DIM = 100, BEBR_ROUNDS = 20 };

struct bebr {
    int64_t dim;     /* digits of a code */
    int bits;        /* of a digit */
    bool zero_codes; /* the code 0 is the zero vector */
    float *squares;  /* |g|^2 of the digits in a nibble, 16 for each; NULL unless digits are 1, 2 or 4 bits */
    sonde__directions directions;
};

/* A: the largest digit. */
static int bebr_top(int bits)
{
    return (1 << bits) - 1;
}

/* Nibbles of a code that hold whole digits: for digits of 1, 2 and 4 bits. */
static int64_t bebr_nibbles(const sonde_quantizer *quantizer)
{
    const struct bebr *bebr = quantizer->state;
    return 4 % bebr->bits == 0 ? (bebr->dim * bebr->bits + 3) / 4 : 0;
}

/* For each value of each nibble the sum over its digits c of weights[j] c, or of (2 c - A)^2 without weights. */
static void bebr_entries(const sonde_quantizer *quantizer, const float *weights, float *table)
{
    const struct bebr *bebr = quantizer->state;
    int64_t nibbles = bebr_nibbles(quantizer), together = 4 / bebr->bits;
    int top = bebr_top(bebr->bits);
    for (int64_t e = 0; e < 16 * nibbles; e++) {
        int64_t first = e / 16 * together;
        int nibble = (int)(e % 16);
        table[e] = 0;
        for (int64_t j = first; j < sonde__min_i64(first + together, bebr->dim); j++, nibble >>= bebr->bits) {
            int digit = nibble & top, g = 2 * digit - top;
            table[e] += weights ? weights[j] * (float)digit : (float)(g * g);
        }
    }
}

/* ---- learning --------------------------------------------------------------------------------------------------- */

/* Takes the matrix over, also on failure. */
static sonde_status bebr_adopt(sonde_quantizer *quantizer, float *matrix)
{
    struct bebr *bebr = quantizer->state;
    sonde__directions directions;
    sonde_status status = sonde__directions_make(quantizer->runtime, quantizer->dim, bebr->dim, matrix, &directions);
    if (status != SONDE_OK) {
        sonde__free(quantizer->runtime, matrix);
        return status;
    }
    sonde__directions_drop(quantizer->runtime, &bebr->directions);
    bebr->directions = directions;
    return SONDE_OK;
}

/* Rows at length 1, as they are encoded; zero rows stay. */
static void bebr_normalise(float *x, int64_t n, int64_t dim)
{
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t j = 0; j < dim; j++) sum += (double)x[i * dim + j] * x[i * dim + j];
        double inverse = sum > 0 ? 1 / sqrt(sum) : 0;
        for (int64_t j = 0; j < dim; j++) x[i * dim + j] = (float)(x[i * dim + j] * inverse);
    }
}

/* base=pca and itq: the principal directions of the rows, turned at random or so that signs lose less. */
static sonde_status bebr_learn(const sonde_quantizer *quantizer, const sonde__training *training, uint64_t seed,
                               float *matrix)
{
    const struct bebr *bebr = quantizer->state;
    sonde_runtime *runtime = quantizer->runtime;
    sonde__itq_task task = {.runtime = runtime, .threads = training->threads, .dim = quantizer->dim,
                            .count = bebr->dim, .seed = seed};
    float *x = NULL, *mean;
    task.rounds = sonde__param_is(quantizer->params, "base", "itq") ? BEBR_ROUNDS : 0;
    SONDE_TRY(SONDE_NEW(runtime, mean, quantizer->dim));
    sonde_status status = sonde__signs_sample(runtime, training, quantizer->dim, quantizer->sample_rows, seed, false,
                                              mean, &x, &task.n);
    if (status == SONDE_OK) {
        bebr_normalise(x, task.n, quantizer->dim);
        task.x = x;
        status = sonde__directions_itq(&task, matrix);
    }
    sonde__free(runtime, x);
    sonde__free(runtime, mean);
    return status;
}

static sonde_status bebr_train(sonde_quantizer *quantizer, const sonde__training *training)
{
    const struct bebr *bebr = quantizer->state;
    sonde_runtime *runtime = quantizer->runtime;
    uint64_t seed = (uint64_t)sonde__param_int(quantizer->params, "seed");
    float *matrix;
    SONDE_TRY(SONDE_NEW(runtime, matrix, bebr->dim * quantizer->dim));
    sonde_status status = sonde__param_is(quantizer->params, "base", "random")
                              ? sonde__directions_random(runtime, quantizer->dim, bebr->dim, true, seed, matrix)
                              : bebr_learn(quantizer, training, seed, matrix);
    if (status == SONDE_OK) return bebr_adopt(quantizer, matrix);
    sonde__free(runtime, matrix);
    return status;
}

/* ---- codes ------------------------------------------------------------------------------------------------------ */

static int64_t bebr_largest(const float *values, int64_t count)
{
    int64_t largest = 0;
    for (int64_t j = 1; j < count; j++)
        if (values[j] > values[largest]) largest = j;
    return largest;
}

/* Only its first bytes are read, but for codes that begin with zeros. */
static bool bebr_is_zero(const uint8_t *code, int64_t bytes)
{
    int64_t b = 0;
    while (b < bytes && code[b] == 0) b++;
    return b == bytes;
}

/* |g|^2, exactly. */
static int64_t bebr_norm2(const struct bebr *bebr, const uint8_t *digits, int64_t *sum)
{
    int64_t squares, top = bebr_top(bebr->bits), total = 0;
    sonde__kernels_get()->ip_u8(digits, digits, bebr->dim, 1, bebr->dim, &squares);
    for (int64_t j = 0; j < bebr->dim; j++) total += digits[j];
    *sum = total;
    return 4 * squares - 4 * top * total + bebr->dim * top * top;
}

/* The loops. y and g are compared at equal lengths, y[j] |g| / |y| with g[j]. */
static void bebr_digits(const float *y, int64_t dim, int bits, uint8_t *digits)
{
    float length = sqrtf(sonde__kernels_get()->norm2(y, dim));
    for (int64_t j = 0; j < dim; j++) digits[j] = y[j] > 0;
    for (int made = 1; made < bits; made++) {
        int top = bebr_top(made), squares = 0;
        for (int64_t j = 0; j < dim; j++) squares += (2 * digits[j] - top) * (2 * digits[j] - top);
        float stretch = sqrtf((float)squares) / length;
        for (int64_t j = 0; j < dim; j++)
            digits[j] = (uint8_t)(2 * digits[j] + (y[j] * stretch > (float)(2 * digits[j] - top)));
    }
}

/* Brings the largest entry into 0.5..1 by a power of two, so that lengths neither overflow nor vanish. */
static void bebr_scaled(const float *x, int64_t dim, float *out)
{
    float most = 0;
    int exponent;
    for (int64_t j = 0; j < dim; j++) most = fabsf(x[j]) > most ? fabsf(x[j]) : most;
    frexpf(most, &exponent);
    float scale = ldexpf(1, exponent < -126 ? 126 : -exponent);
    for (int64_t j = 0; j < dim; j++) out[j] = x[j] * scale;
}

/* One row, from its projection. */
static sonde_status bebr_encode_row(const struct bebr *bebr, const float *y, uint8_t *code)
{
    uint8_t digits[BEBR_DIM_MOST];
    if (!(sonde__kernels_get()->norm2(y, bebr->dim) > 0)) {
        if (!bebr->zero_codes)
            return sonde__fail(SONDE_INVALID_ARGUMENT,
                               "bebr: a row has no direction: its projection is zero; zero=code gives it a code");
        memset(code, 0, (size_t)sonde__codes_bytes(bebr->dim, bebr->bits));
        return SONDE_OK;
    }
    bebr_digits(y, bebr->dim, bebr->bits, digits);
    if (bebr->zero_codes && bebr_is_zero(digits, bebr->dim)) digits[bebr_largest(y, bebr->dim)] = 1;
    sonde__codes_pack(digits, bebr->dim, bebr->bits, code);
    return SONDE_OK;
}

static sonde_status bebr_encode(const sonde_quantizer *quantizer, const float *x, int64_t ldx, int64_t n,
                                uint8_t *codes, int64_t stride)
{
    const struct bebr *bebr = quantizer->state;
    int64_t dim = quantizer->dim;
    sonde__scratch *scratch = NULL;
    float *y = NULL, *scaled = NULL;
    SONDE_TRY(sonde__scratch_take(quantizer->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, y, BEBR_ROWS * bebr->dim);
    if (status == SONDE_OK) status = SONDE_SCRATCH(scratch, scaled, BEBR_ROWS * dim);
    for (int64_t i = 0; status == SONDE_OK && i < n; i += BEBR_ROWS) {
        int64_t count = sonde__min_i64(BEBR_ROWS, n - i);
        for (int64_t r = 0; r < count; r++) bebr_scaled(x + (i + r) * ldx, dim, scaled + r * dim);
        sonde__directions_project(&bebr->directions, scaled, dim, count, y, bebr->dim);
        for (int64_t r = 0; status == SONDE_OK && r < count; r++)
            status = bebr_encode_row(bebr, y + r * bebr->dim, codes + (i + r) * stride);
    }
    sonde__scratch_give(quantizer->runtime, scratch);
    return status;
}

/* |g|^2 of n codes. */
static void bebr_norms2(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n,
                        float *norm2)
{
    const struct bebr *bebr = quantizer->state;
    sonde__codes_block block;
    int64_t sum;
    if (bebr->squares) {
        sonde__kernels_get()->lookup_4(bebr->squares, codes, stride, n, bebr_nibbles(quantizer), norm2);
        return;
    }
    for (int64_t i = 0; i < n; i += block.count) {
        sonde__codes_open(&block, codes + i * stride, stride, n - i, bebr->dim, bebr->bits);
        for (int64_t r = 0; r < block.count; r++)
            norm2[i + r] = (float)bebr_norm2(bebr, block.rows + r * block.stride, &sum);
    }
}

/* 1 / |g|, or 0 for the code of the zero vector. */
static void bebr_inverses(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n,
                          float *inverse)
{
    const struct bebr *bebr = quantizer->state;
    bebr_norms2(quantizer, codes, stride, n, inverse);
    for (int64_t i = 0; i < n; i++) {
        bool zero = bebr->zero_codes && bebr_is_zero(codes + i * stride, quantizer->code_bytes);
        inverse[i] = zero ? 0 : 1 / sqrtf(inverse[i]);
    }
}

static void bebr_decode(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n, float *x,
                        int64_t ldx)
{
    const struct bebr *bebr = quantizer->state;
    int64_t dim = quantizer->dim;
    uint8_t digits[BEBR_DIM_MOST];
    for (int64_t i = 0; i < n; i++) {
        sonde__codes_unpack(codes + i * stride, bebr->dim, bebr->bits, digits);
        float inverse;
        bebr_inverses(quantizer, codes + i * stride, stride, 1, &inverse);
        memset(x + i * ldx, 0, (size_t)dim * sizeof *x);
        for (int64_t j = 0; j < bebr->dim; j++)
            sonde__kernels_get()->axpy((float)(2 * digits[j] - bebr_top(bebr->bits)) * inverse,
                                       bebr->directions.matrix + j * dim, dim, x + i * ldx);
    }
}

static bool bebr_valid(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n)
{
    const struct bebr *bebr = quantizer->state;
    return sonde__codes_padding_zero(codes, stride, n, bebr->dim, bebr->bits);
}

/* ---- scanning --------------------------------------------------------------------------------------------------- */

/* What a digit of one weighs: 2 W q; *base is what all digits 0 give, -A sum W q. */
static void bebr_weights(const sonde_quantizer *quantizer, const float *query, float *weights, float *base)
{
    const struct bebr *bebr = quantizer->state;
    int64_t dim = quantizer->dim;
    double sum = 0;
    sonde__kernels_get()->ip_rows[SONDE__ROW_F32](query, bebr->directions.matrix, dim * (int64_t)sizeof *query,
                                                  bebr->dim, dim, weights);
    for (int64_t j = 0; j < bebr->dim; j++) {
        sum += (double)weights[j];
        weights[j] *= 2;
    }
    *base = (float)(-bebr_top(bebr->bits) * sum);
}

/* Table: the base in 64 bytes, then the table of nibbles, or the weights. */
static int64_t bebr_table_bytes(const sonde_quantizer *quantizer)
{
    const struct bebr *bebr = quantizer->state;
    return 64 + (bebr->squares ? 16 * bebr_nibbles(quantizer) : bebr->dim) * (int64_t)sizeof(float);
}

static void bebr_nibble_table(const sonde_quantizer *quantizer, const float *query, float *table, float *base)
{
    float weights[BEBR_DIM_MOST];
    bebr_weights(quantizer, query, weights, base);
    bebr_entries(quantizer, weights, table);
}

static void bebr_table(const sonde_quantizer *quantizer, const float *query, void *table)
{
    const struct bebr *bebr = quantizer->state;
    float *head = table;
    memset(head, 0, 64);
    if (bebr->squares) bebr_nibble_table(quantizer, query, head + 16, head);
    else bebr_weights(quantizer, query, head + 16, head);
}

/* (base + sum of weights x digits) / |g| */
static void bebr_scan(const sonde_quantizer *quantizer, const void *table, const uint8_t *codes, int64_t stride,
                      int64_t n, float *ip)
{
    const struct bebr *bebr = quantizer->state;
    const sonde__kernels *kernels = sonde__kernels_get();
    const float *head = table;
    float inverse[SONDE__CODES_BLOCK];
    sonde__codes_block block;
    for (int64_t i = 0; i < n; i += block.count) {
        const uint8_t *first = codes + i * stride;
        block.count = sonde__min_i64(SONDE__CODES_BLOCK, n - i);
        if (bebr->squares) {
            kernels->lookup_4(head + 16, first, stride, block.count, bebr_nibbles(quantizer), ip + i);
        } else {
            sonde__codes_open(&block, first, stride, n - i, bebr->dim, bebr->bits);
            kernels->ip_rows[SONDE__ROW_U8](head + 16, block.rows, block.stride, block.count, bebr->dim, ip + i);
        }
        bebr_inverses(quantizer, first, stride, block.count, inverse);
        for (int64_t r = 0; r < block.count; r++) ip[i + r] = (ip[i + r] + head[0]) * inverse[r];
    }
}

/* 1, but for the code of the zero vector. */
static void bebr_norms(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n,
                       float *norm2)
{
    bebr_inverses(quantizer, codes, stride, n, norm2);
    for (int64_t i = 0; i < n; i++) norm2[i] = norm2[i] > 0;
}

/* Products of one code with a block of them, in whole numbers: only the division by the lengths rounds. */
static void bebr_pairs_block(const struct bebr *bebr, const uint8_t *digits, const sonde__codes_block *block,
                             const float *norm2, float *ip)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    int64_t top = bebr_top(bebr->bits), dim = bebr->dim, own_sum;
    int64_t products[SONDE__CODES_BLOCK], sums[SONDE__CODES_BLOCK];
    uint8_t ones[BEBR_DIM_MOST];
    double own_norm2 = (double)bebr_norm2(bebr, digits, &own_sum);
    memset(ones, 1, (size_t)dim);
    kernels->ip_u8(digits, block->rows, block->stride, block->count, dim, products);
    kernels->ip_u8(ones, block->rows, block->stride, block->count, dim, sums);
    for (int64_t r = 0; r < block->count; r++) {
        int64_t product = 4 * products[r] - 2 * top * (own_sum + sums[r]) + dim * top * top;
        bool zero = bebr->zero_codes && (sums[r] == 0 || own_sum == 0);
        ip[r] = zero ? 0 : (float)((double)product / sqrt(own_norm2 * (double)norm2[r]));
    }
}

static void bebr_pairs(const sonde_quantizer *quantizer, const uint8_t *code, const uint8_t *codes, int64_t stride,
                       int64_t n, float *ip)
{
    const struct bebr *bebr = quantizer->state;
    uint8_t digits[BEBR_DIM_MOST];
    float norm2[SONDE__CODES_BLOCK];
    sonde__codes_block block;
    sonde__codes_unpack(code, bebr->dim, bebr->bits, digits);
    for (int64_t i = 0; i < n; i += block.count) {
        sonde__codes_open(&block, codes + i * stride, stride, n - i, bebr->dim, bebr->bits);
        bebr_norms2(quantizer, codes + i * stride, stride, block.count, norm2);
        bebr_pairs_block(bebr, digits, &block, norm2, ip + i);
    }
}

/* ---- the method ------------------------------------------------------------------------------------------------- */

static uint64_t bebr_learned_bytes(const sonde_quantizer *quantizer)
{
    const struct bebr *bebr = quantizer->state;
    return (uint64_t)(2 * bebr->dim * quantizer->dim) * sizeof(float);
}

static sonde_status bebr_save(const sonde_quantizer *quantizer, sonde__writer *writer)
{
    const struct bebr *bebr = quantizer->state;
    return sonde__write_array(writer, "MATRIX", bebr->directions.matrix,
                              (uint64_t)bebr->dim * (uint64_t)quantizer->dim, sizeof(float));
}

static sonde_status bebr_load(sonde_quantizer *quantizer, sonde__reader *reader)
{
    const struct bebr *bebr = quantizer->state;
    float *matrix = NULL;
    SONDE_TRY(sonde__handle_floats(quantizer->runtime, reader, "MATRIX",
                                   (uint64_t)bebr->dim * (uint64_t)quantizer->dim, &matrix));
    return bebr_adopt(quantizer, matrix);
}

static void bebr_drop(sonde_quantizer *quantizer)
{
    struct bebr *bebr = quantizer->state;
    if (bebr) {
        sonde__directions_drop(quantizer->runtime, &bebr->directions);
        sonde__free(quantizer->runtime, bebr->squares);
    }
    sonde__free(quantizer->runtime, bebr);
}

static sonde_status bebr_output(const sonde_quantizer *quantizer, int position, sonde_array *view)
{
    const struct bebr *bebr = quantizer->state;
    (void)position;
    *view = sonde_f32(bebr->directions.matrix, bebr->dim, quantizer->dim);
    return SONDE_OK;
}

static const sonde__key bebr_keys[] = {
    {"dim", SONDE__KEY_INT, "auto", 1, BEBR_DIM_MOST, "auto", NULL,
     "digits of a code, at most the columns of the vectors; auto: as many as those, 4096 at most"},
    {"loops", SONDE__KEY_INT, "3", 0, 7, NULL, NULL, "bits of a digit beyond the first"},
    {"base", SONDE__KEY_WORD, "itq", 0, 0, "itq|pca|random", NULL,
     "directions: principal ones turned so that signs lose less, turned at random; or random ones"},
    {"zero", SONDE__KEY_WORD, "refuse", 0, 0, "refuse|code", NULL,
     "rows without a direction: refused, or the code 0"},
    {"seed", SONDE__KEY_INT, "1", 0, 9007199254740992.0, NULL, NULL, "of the directions and of the sample"},
    {0},
};

static const sonde__output_key bebr_outputs[] = {
    {"directions", "digits x dim", SONDE_DTYPE_F32, "rows: what a vector is projected on; orthonormal"},
    {0},
};

static sonde_status bebr_create(sonde_quantizer *quantizer);

#define BEBR_METHOD(is_binary, can_refuse)                                                                           \
    {                                                                                                                \
        .method = {"bebr",                                                                                           \
                   "recurrent binary embedding: a direction in 1 to 8 bits a dimension",                             \
                   "Gan et al.: Binary embedding-based retrieval at Tencent (2023)",                                 \
                   bebr_keys,                                                                                        \
                   sonde__vectors_input,                                                                             \
                   NULL,                                                                                             \
                   bebr_outputs},                                                                                    \
        .create = bebr_create, .train = bebr_train, .encode = bebr_encode, .decode = bebr_decode,                    \
        .valid = bebr_valid, .table_bytes = bebr_table_bytes, .table = bebr_table, .scan = bebr_scan,                \
        .nibbles = bebr_nibbles, .nibble_table = bebr_nibble_table, .nibble_scales = bebr_inverses,                  \
        .norms = bebr_norms, .pairs = bebr_pairs, .output = bebr_output, .binary = is_binary,                        \
        .learned_bytes = bebr_learned_bytes, .save = bebr_save, .load = bebr_load, .drop = bebr_drop,                \
        .refuses = can_refuse                                                                                        \
    }

const sonde__quantizer_method sonde__quantizer_bebr = BEBR_METHOD(false, true);
static const sonde__quantizer_method bebr_with_zero = BEBR_METHOD(false, false);
static const sonde__quantizer_method bebr_binary = BEBR_METHOD(true, true);
static const sonde__quantizer_method bebr_binary_with_zero = BEBR_METHOD(true, false);

/* The handle goes on with the table of what its spec asks for. */
static sonde_status bebr_create(sonde_quantizer *quantizer)
{
    const sonde__params *params = quantizer->params;
    int64_t dim = sonde__param_int(params, "dim");
    if (sonde__param_is(params, "dim", "auto")) dim = sonde__min_i64(quantizer->dim, BEBR_DIM_MOST);
    if (dim > quantizer->dim)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "bebr: dim=%lld is more than the %lld columns of the vectors; more loops give more bits",
                           (long long)dim, (long long)quantizer->dim);
    struct bebr *bebr;
    SONDE_TRY(SONDE_NEW_ZERO(quantizer->runtime, bebr, 1));
    bebr->dim = dim;
    bebr->bits = (int)sonde__param_int(params, "loops") + 1;
    bebr->zero_codes = sonde__param_is(params, "zero", "code");
    quantizer->state = bebr;
    quantizer->code_bytes = sonde__codes_bytes(dim, bebr->bits);
    quantizer->min_rows = 2;
    quantizer->sample_rows = sonde__max_i64(BEBR_SAMPLE_LEAST, BEBR_ROWS_A_DIM * dim);
    if (bebr->bits == 1) quantizer->method = bebr->zero_codes ? &bebr_binary_with_zero : &bebr_binary;
    else if (bebr->zero_codes) quantizer->method = &bebr_with_zero;
    int64_t nibbles = bebr_nibbles(quantizer);
    if (nibbles == 0) return SONDE_OK;
    SONDE_TRY(SONDE_NEW(quantizer->runtime, bebr->squares, 16 * nibbles));
    bebr_entries(quantizer, NULL, bebr->squares);
    return SONDE_OK;
}
