/* hamming.c: semantic hashing: a short binary code of a row is the address of the bucket that holds it, and a
 * search looks into the buckets whose addresses differ from the query's own in few bits.
 *
 * Problem: among many rows only a few lie near a query, and even one comparison a row is too much.
 * Idea: near rows have codes that differ in few bits. A row lies in the list whose number is the first bits
 * of its code, so a ball of codes is a handful of lists, known without looking at any of them. Inside, rows
 * are scored by the Hamming distance of whole codes, 1 bit a direction at memory speed, or, where rows are
 * stored (rerank=f16, f32), on the rows themselves. Lists belong to the common layer, so writers beside
 * readers, removal and files come from there.
 *
 *     column 0  the code
 *     column 1  the row, and column 2  f32, what scans of it need (direct.c); both only where rows are stored
 *
 * The key, the first key_bits bits, is what radius= counts in. It may be longer than the number of a list (28
 * bits would be 268 million lists, nearly all of them empty): then a list holds the buckets of all keys that
 * begin alike, and whoever visits it scores them all. So a search sees each row of the ball, and some more.
 *
 * With chunks > 1 there is one list of all rows, and what finds them are tables of the code's substrings
 * (hamming_chunks.c), made when searches come: exact neighbours by codes of 64 or 128 bits.
 *
 * Source: Salakhutdinov and Hinton, "Semantic hashing" (2009); Grzegorczyk and Kurdziel, "Binary paragraph
 * vectors" (2017). Cost: memory code bytes + 8 (+ row) a row and about 500 bytes a list; a search, the lists
 * that it visits: a few cache misses each, and a few cycles a row in them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "indexes/hamming.h"

#include <math.h>

#include "indexes/direct.h"

#define HAMMING_CHUNK 256      /* rows encoded at a time */
#define HAMMING_KEY_BITS 28    /* unless told otherwise */
#define HAMMING_BUCKET_ROWS 64 /* rows of a list, about, when lists are counted by training rows */
#define HAMMING_BUCKET_BITS_AUTO 18
#define HAMMING_CHUNK_BITS_LEAST 16 /* of a chunk's value, where the code has as many, and at most 20 */
/* Chunks by themselves: from so many training rows on, for codes of so many bits, and so many at most. */
#define HAMMING_CHUNKS_ROWS ((int64_t)1 << 18)
#define HAMMING_CHUNKS_CODE 48
#define HAMMING_CHUNKS_AUTO_MOST 4
#define HAMMING_BALL_MOST ((int64_t)1 << 20)   /* buckets of a ball */
#define HAMMING_F16_LIMIT 65520.0f             /* from here on f16 rounds to infinity */

static const sonde__key hamming_keys[] = {
    {"code", SONDE__KEY_SPEC, "lsh", 0, 0, NULL, "quantizer",
     "binary code of the rows: lsh, itq, bernoulli, bebr(loops=0)"},
    {"key_bits", SONDE__KEY_INT, "auto", 1, 64, "auto", NULL,
     "leading bits of the code that are its address; auto: 28, or all of a shorter code"},
    {"bucket_bits", SONDE__KEY_INT, "auto", 0, SONDE__BUCKET_BITS_MOST, "auto", NULL,
     "leading bits of the key that choose one of 2^bits lists; auto: about 64 of the training rows a list, "
     "at most 18 bits"},
    {"radius", SONDE__KEY_INT, "auto", 0, 64, "auto", NULL,
     "search all buckets whose keys differ in at most so many bits; auto: as many buckets as the wanted "
     "recall needs"},
    {"chunks", SONDE__KEY_INT, "auto", 1, SONDE__CHUNKS_MOST, "auto", NULL,
     "1: lists are buckets; more: exact search by tables of so many substrings of the code; auto: bits / "
     "log2(training rows), rounded up, for metric=hamming, codes of 48 bits or more and 2^18 rows or more, "
     "if that is at most 4, else 1"},
    {"rerank", SONDE__KEY_WORD, "auto", 0, 0, "auto|code|f16|f32", NULL,
     "what decides among the rows found: whole codes (metric=hamming), or rows that are stored for it; auto: "
     "code for metric=hamming, else f32"},
    {"probe", SONDE__KEY_WORD, "auto", 0, 0, "auto|weight|logit", NULL,
     "order of the buckets: by the bits that differ from the query's, or by what flipping them costs of "
     "the query's score; auto: logit"},
    {0},
};

static const sonde__input_key hamming_inputs[] = {
    {"vectors", "n x dim", SONDE__DTYPES_NUMERIC, true, "rows like those that will be stored", "train"},
    {0},
};

/* ---- making ------------------------------------------------------------------------------------------ */

static sonde_status hamming_create_code(const sonde_index *index, sonde_quantizer **code)
{
    const char *spec = sonde__params_text(sonde__param_spec(index->params, "code"));
    sonde_status status = sonde_quantizer_create(spec, index->dim, index->runtime, code);
    if (status != SONDE_OK) return sonde__fail_within(status, "hamming: code");
    if ((*code)->method->binary) return SONDE_OK;
    status = sonde__fail(
        SONDE_INVALID_ARGUMENT,
        "hamming: code=%s is no code of single bits; say lsh, itq, bernoulli or bebr(loops=0)", spec);
    sonde_quantizer_free(*code);
    *code = NULL;
    return status;
}

/* Bits of a code: those that may be set. */
static int64_t hamming_code_bits(const sonde_quantizer *code)
{
    uint8_t single[SONDE__MAX_DIM / 8] = {0};
    int64_t bytes = code->code_bytes, bits = 8 * bytes;
    for (; code->method->valid && bits > 1; bits--) {
        single[bytes - 1] = (uint8_t)(1 << (bits - 1) % 8);
        if (bits <= 8 * (bytes - 1) || code->method->valid(code, single, bytes, 1)) break;
    }
    return bits;
}

/* Whether the code has a table of what its bits are worth to a query. */
static bool hamming_has_logits(const sonde_quantizer *code)
{
    return code->method->nibbles && code->method->nibbles(code) * 4 >= hamming_code_bits(code);
}

static sonde_status hamming_read_key(const sonde__params *params, sonde__hamming *h)
{
    int64_t bits = hamming_code_bits(h->code), least = sonde__min_i64(bits, HAMMING_KEY_BITS);
    bool given = !sonde__param_is(params, "key_bits", "auto");
    h->key_bits = (int)(given ? sonde__param_int(params, "key_bits") : least);
    if (h->key_bits > bits)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "hamming: key_bits=%d is more than the %lld bits of the code", h->key_bits,
                           (long long)bits);
    h->bucket_bits = (int)sonde__param_int(params, "bucket_bits");
    if (h->bucket_bits > h->key_bits)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "hamming: bucket_bits=%d is more than the %d bits of the key", h->bucket_bits,
                           h->key_bits);
    return SONDE_OK;
}

/* Bits of a chunk's value: as many as give a table no more values than rows. */
static void hamming_set_chunks(sonde__hamming *h, int chunks, int64_t rows)
{
    int bits = HAMMING_CHUNK_BITS_LEAST;
    while (bits < SONDE__BUCKET_BITS_MOST && rows >> (bits + 1) > 0) bits++;
    h->chunks = chunks;
    if (chunks == 1) return;
    h->chunk_stride = (int)(hamming_code_bits(h->code) / chunks);
    h->chunk_bits = (int)sonde__min_i64(bits, h->chunk_stride);
    h->bucket_bits = 0;
    h->soft = false;
}

/* Whether a key that is of buckets was given. */
static const char *hamming_bucket_key(const sonde__params *params)
{
    static const char *const keys[] = {"key_bits", "bucket_bits", "probe"};
    for (int i = 0; i < 3; i++)
        if (!sonde__param_is(params, keys[i], "auto")) return keys[i];
    return NULL;
}

static sonde_status hamming_read_chunks(const sonde__params *params, sonde__hamming *h)
{
    bool given = !sonde__param_is(params, "chunks", "auto");
    int chunks = given ? (int)sonde__param_int(params, "chunks") : 1;
    const char *other = chunks > 1 ? hamming_bucket_key(params) : NULL;
    int64_t bits = hamming_code_bits(h->code);
    if (other)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "hamming: %s is of buckets, and chunks=%d has none; give one", other, chunks);
    if (chunks > bits)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "hamming: chunks=%d is more than the %lld bits of the code", chunks,
                           (long long)bits);
    hamming_set_chunks(h, chunks, 0);
    return SONDE_OK;
}

static sonde_status hamming_read_radius(const sonde__params *params, sonde__hamming *h)
{
    h->radius = -1;
    if (sonde__param_is(params, "radius", "auto")) return SONDE_OK;
    h->radius = (int)sonde__param_int(params, "radius");
    int64_t ball = sonde__hamming_ball(h->key_bits, h->radius);
    if (h->chunks > 1 || ball <= HAMMING_BALL_MOST || h->radius >= h->key_bits) return SONDE_OK;
    return sonde__fail(
        SONDE_INVALID_ARGUMENT,
        "hamming: radius=%d around a key of %d bits is %lld buckets, at most %lld are allowed; say "
        "radius=auto, or fewer key_bits",
        h->radius, h->key_bits, (long long)ball, (long long)HAMMING_BALL_MOST);
}

static sonde_status hamming_read_probe(const sonde__params *params, sonde__hamming *h)
{
    h->soft = hamming_has_logits(h->code) && !sonde__param_is(params, "probe", "weight");
    if (h->soft || !sonde__param_is(params, "probe", "logit")) return SONDE_OK;
    return sonde__fail(SONDE_UNSUPPORTED,
                       "hamming: code=%s does not say what its bits are worth to a query; say probe=weight",
                       sonde_quantizer_spec(h->code));
}

/* Where rows are scored again there must be a metric for them, and none that is of bits. */
static sonde_status hamming_read_rerank(const sonde_index *index, sonde__hamming *h)
{
    const sonde__params *params = index->params;
    bool bits = index->metric == SONDE_METRIC_HAMMING, f16 = sonde__param_is(params, "rerank", "f16");
    h->rows = f16 || sonde__param_is(params, "rerank", "f32") ||
              (sonde__param_is(params, "rerank", "auto") && !bits);
    h->row_kind = f16 ? SONDE__ROW_F16 : SONDE__ROW_F32;
    if (h->rows == bits)
        return sonde__fail(
            SONDE_INVALID_ARGUMENT,
            "hamming: rerank=%s does not go with metric=%s; metric=hamming needs rerank=code, the others "
            "rerank=f32 or f16",
            sonde__param_word(params, "rerank"), sonde__param_word(params, "metric"));
    return SONDE_OK;
}

static void hamming_set_layout(sonde_index *index, const sonde__hamming *h)
{
    int64_t element = h->row_kind == SONDE__ROW_F16 ? 2 : 4;
    index->layout = (sonde__layout){.columns = 1, .width = {h->code->code_bytes}};
    index->lists = (int64_t)1 << h->bucket_bits;
    if (!h->rows) return;
    index->layout.columns = 3;
    index->layout.width[SONDE__HAMMING_ROW] = index->dim * element;
    index->layout.width[SONDE__HAMMING_NUMBER] = sizeof(float);
}

static sonde_status hamming_create(sonde_index *index)
{
    sonde__hamming *h;
    SONDE_TRY(SONDE_NEW_ZERO(index->runtime, h, 1));
    index->state = h;
    SONDE_TRY(hamming_create_code(index, &h->code));
    SONDE_TRY(sonde__chunks_create(index->runtime, &h->tables));
    SONDE_TRY(hamming_read_key(index->params, h));
    SONDE_TRY(hamming_read_probe(index->params, h));
    SONDE_TRY(hamming_read_chunks(index->params, h));
    SONDE_TRY(hamming_read_radius(index->params, h));
    SONDE_TRY(hamming_read_rerank(index, h));
    hamming_set_layout(index, h);
    return SONDE_OK;
}

static void hamming_drop(sonde_index *index)
{
    sonde__hamming *h = index->state;
    if (h) {
        sonde_quantizer_free(h->code);
        sonde__chunks_free(index->runtime, h->tables);
    }
    sonde__free(index->runtime, h);
}

/* ---- training ---------------------------------------------------------------------------------------- */

void sonde__hamming_prepare(const sonde_index *index, float *x, int64_t n)
{
    if (index->metric != SONDE_METRIC_COSINE) return;
    for (int64_t i = 0; i < n; i++, x += index->dim) {
        float norm2 = sonde__kernels_get()->norm2(x, index->dim);
        float scale = norm2 > 0 ? 1 / sqrtf(norm2) : 0;
        for (int64_t j = 0; j < index->dim; j++) x[j] *= scale;
    }
}

static int64_t hamming_min_rows(const sonde_index *index)
{
    const sonde__hamming *h = index->state;
    return sonde__max_i64(1, h->code->min_rows);
}

static int hamming_choose_bits(const sonde_index *index, const sonde__hamming *h, int64_t rows)
{
    if (!sonde__param_is(index->params, "bucket_bits", "auto")) return h->bucket_bits;
    int bits = 0, most = (int)sonde__min_i64(h->key_bits, HAMMING_BUCKET_BITS_AUTO);
    while (bits < most && rows >> (bits + 1) >= HAMMING_BUCKET_ROWS) bits++;
    return bits;
}

/* b / log2(n), rounded up, where that is few: the k-th distances of real embeddings are a fifth to a quarter
 * of the bits, and with more substrings than HAMMING_CHUNKS_AUTO_MOST each has to be searched too far. */
static int hamming_choose_chunks(const sonde_index *index, const sonde__hamming *h, int64_t rows)
{
    const sonde__params *params = index->params;
    int64_t bits = hamming_code_bits(h->code);
    bool asked = hamming_bucket_key(params) || !sonde__param_is(params, "radius", "auto");
    if (!sonde__param_is(params, "chunks", "auto")) return h->chunks;
    if (h->rows || asked || rows < HAMMING_CHUNKS_ROWS || bits < HAMMING_CHUNKS_CODE) return 1;
    int chunks = (int)ceil((double)bits / log2((double)rows));
    return chunks <= HAMMING_CHUNKS_AUTO_MOST ? chunks : 1;
}

/* What depends on the number of rows. */
static void hamming_size_for(const sonde_index *index, sonde__hamming *h, int64_t rows)
{
    h->bucket_bits = hamming_choose_bits(index, h, rows);
    hamming_set_chunks(h, hamming_choose_chunks(index, h, rows), rows);
}

/* The middle of all reconstructions: half way between the code without bits and the one with all of them.
 * What bits are worth counts from there. */
static sonde_status hamming_set_middle(const sonde_index *index, sonde__hamming *h)
{
    const sonde_quantizer *code = h->code;
    int64_t dim = index->dim, bytes = code->code_bytes, bits = hamming_code_bits(code);
    sonde__scratch *scratch;
    float *x;
    uint8_t *codes;
    memset(h->middle, 0, sizeof h->middle);
    if (!h->soft) return SONDE_OK;
    SONDE_TRY(sonde__scratch_take(index->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, x, 2 * dim);
    if (status == SONDE_OK) status = SONDE_SCRATCH(scratch, codes, 2 * bytes);
    if (status == SONDE_OK) {
        memset(codes, 0, (size_t)(2 * bytes));
        for (int64_t b = 0; b < bits; b++) codes[bytes + b / 8] |= (uint8_t)(1 << b % 8);
        code->method->decode(code, codes, bytes, 2, x, dim);
        for (int64_t j = 0; j < dim; j++) x[j] = 0.5f * x[j] + 0.5f * x[dim + j];
        status = sonde__hamming_worth(h, x, scratch, h->middle);
    }
    sonde__scratch_give(index->runtime, scratch);
    return status;
}

/* At most as many rows as the code can use, evenly spread. */
static sonde_status hamming_sample(const sonde_index *index, const sonde_array *rows, int64_t most, float **x,
                                   int64_t *n)
{
    int64_t count = sonde__min_i64(rows->rows, most), width = rows->rows / count, longer = rows->rows % count;
    SONDE_TRY(SONDE_NEW(index->runtime, *x, count * index->dim));
    for (int64_t i = 0; i < count; i++)
        sonde__rows_to_f32(rows, i * width + sonde__min_i64(i, longer), 1, *x + i * index->dim, index->dim);
    sonde__hamming_prepare(index, *x, count);
    *n = count;
    return SONDE_OK;
}

static sonde_status hamming_train_code(const sonde_index *index, const sonde_array *rows,
                                       sonde_quantizer *code)
{
    if (!code->method->train) return SONDE_OK;
    float *x = NULL;
    int64_t n = 0, most = code->sample_rows ? code->sample_rows : 65536;
    sonde_status status = hamming_sample(index, rows, most, &x, &n);
    if (status == SONDE_OK) status = sonde__quantizer_train_f32(code, x, n, 0);
    sonde__free(index->runtime, x);
    return status;
}

static sonde_status hamming_train(sonde_index *index, const sonde_array *rows)
{
    sonde__hamming *h = index->state, made = *h;
    SONDE_TRY(hamming_create_code(index, &made.code));
    hamming_size_for(index, &made, rows->rows);
    sonde_status status = hamming_train_code(index, rows, made.code);
    if (status == SONDE_OK) status = hamming_set_middle(index, &made);
    if (status != SONDE_OK) {
        sonde_quantizer_free(made.code);
        return status;
    }
    sonde_quantizer_free(h->code);
    *h = made;
    hamming_set_layout(index, h);
    return SONDE_OK;
}

/* ---- adding ------------------------------------------------------------------------------------------ */

static sonde_status hamming_encode(const sonde_index *index, float *x, int64_t n, uint8_t *codes)
{
    const sonde_quantizer *code = ((const sonde__hamming *)index->state)->code;
    sonde__hamming_prepare(index, x, n);
    return code->method->encode(code, x, index->dim, n, codes, code->code_bytes);
}

typedef struct hamming_placing {
    const sonde_index *index;
    const sonde_array *rows;
    int32_t *lists;
} hamming_placing;

static sonde_status hamming_place_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    const hamming_placing *p = context;
    const sonde__hamming *h = p->index->state;
    int64_t dim = p->index->dim, n = end - begin;
    sonde__scratch *scratch;
    float *x;
    uint8_t *codes;
    SONDE_TRY(sonde__scratch_take(p->index->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, x, n * dim);
    if (status == SONDE_OK) status = SONDE_SCRATCH(scratch, codes, n * h->code->code_bytes);
    if (status == SONDE_OK) {
        sonde__rows_to_f32(p->rows, begin, n, x, dim);
        status = hamming_encode(p->index, x, n, codes);
    }
    for (int64_t i = 0; status == SONDE_OK && i < n; i++)
        p->lists[begin + i] = (int32_t)sonde__hamming_bucket(h, codes + i * h->code->code_bytes);
    sonde__scratch_give(p->index->runtime, scratch);
    return status;
}

static sonde_status hamming_place(const sonde_index *index, const sonde_array *rows, int32_t *lists)
{
    hamming_placing p = {index, rows, lists};
    memset(lists, 0, (size_t)rows->rows * sizeof *lists);
    if (((const sonde__hamming *)index->state)->bucket_bits == 0) return SONDE_OK;
    return sonde__parallel_for(index->runtime, 0, rows->rows, HAMMING_CHUNK, "place", hamming_place_chunk,
                               &p);
}

/* Rows that could make scores overflow, or that f16 cannot hold, are refused. */
static sonde_status hamming_check_row(const sonde_index *index, const float *x, int64_t row)
{
    const sonde__hamming *h = index->state;
    if (!(sonde__kernels_get()->norm2(x, index->dim) <= SONDE__LENGTH2_MAX))
        return sonde__fail(
            SONDE_INVALID_ARGUMENT,
            "add: row %lld is longer than 9.2e18, so scores could overflow; scale the vectors down",
            (long long)row);
    for (int64_t j = 0; h->rows && h->row_kind == SONDE__ROW_F16 && j < index->dim; j++)
        if (fabsf(x[j]) >= HAMMING_F16_LIMIT)
            return sonde__fail(
                SONDE_INVALID_ARGUMENT,
                "add: row %lld, column %lld: %g does not fit rerank=f16 (below %g); scale the vectors or "
                "say rerank=f32",
                (long long)row, (long long)j, (double)x[j], (double)HAMMING_F16_LIMIT);
    return SONDE_OK;
}

/* The number goes with the row as it is stored, after rounding; again has room for a row. */
static void hamming_store_row(const sonde_index *index, const float *x, uint8_t *to, float *number,
                              float *again)
{
    const sonde__hamming *h = index->state;
    const sonde__kernels *kernels = sonde__kernels_get();
    if (h->row_kind == SONDE__ROW_F16) kernels->f32_to_f16(x, index->dim, (uint16_t *)(void *)to);
    else memcpy(to, x, (size_t)index->dim * sizeof *x);
    kernels->to_f32[h->row_kind](to, index->dim, again);
    *number = sonde__direct_column(index->metric, index->dim, kernels->norm2(again, index->dim));
}

/* x and a row more of room behind it. */
static sonde_status hamming_fill_rows(const sonde_index *index, float *x, int64_t begin, int64_t n,
                                      uint8_t *const *columns)
{
    const sonde__hamming *h = index->state;
    int64_t dim = index->dim;
    for (int64_t i = 0; i < n; i++) {
        SONDE_TRY(hamming_check_row(index, x + i * dim, begin + i));
        if (h->rows)
            hamming_store_row(index, x + i * dim,
                              columns[SONDE__HAMMING_ROW] + i * index->layout.width[SONDE__HAMMING_ROW],
                              (float *)(void *)columns[SONDE__HAMMING_NUMBER] + i, x + n * dim);
    }
    return hamming_encode(index, x, n, columns[SONDE__HAMMING_CODE]);
}

static sonde_status hamming_fill(const sonde_index *index, const sonde_array *rows, int64_t begin,
                                 int64_t end, const int32_t *lists, uint8_t *const *columns)
{
    (void)lists;
    sonde__scratch *scratch;
    float *x;
    int64_t n = end - begin;
    SONDE_TRY(sonde__scratch_take(index->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, x, (n + 1) * index->dim);
    if (status == SONDE_OK) {
        sonde__rows_to_f32(rows, begin, n, x, index->dim);
        status = hamming_fill_rows(index, x, begin, n, columns);
    }
    sonde__scratch_give(index->runtime, scratch);
    return status;
}

/* ---- looking inside ---------------------------------------------------------------------------------- */

static const uint8_t *hamming_cell(const sonde_index *index, const sonde__segment *segment, int column,
                                   int64_t row)
{
    return segment->column[column] + row * index->layout.width[column];
}

static void hamming_get(const sonde_index *index, const sonde__snapshot *snapshot, sonde__place where,
                        void *out)
{
    const sonde__hamming *h = index->state;
    const sonde__segment *segment = sonde__place_in(snapshot, where);
    int column = h->rows ? SONDE__HAMMING_ROW : SONDE__HAMMING_CODE;
    const uint8_t *stored = hamming_cell(index, segment, column, sonde__place_row(where));
    if (h->rows) sonde__kernels_get()->to_f32[h->row_kind](stored, index->dim, out);
    else h->code->method->decode(h->code, stored, h->code->code_bytes, 1, out, index->dim);
}

/* Wrong numbers would hide rows from exact scans, so they are computed again; x has room for a row. */
static bool hamming_row_intact(const sonde_index *index, const sonde__segment *segment, int64_t row, float *x)
{
    const sonde__hamming *h = index->state;
    float stored;
    memcpy(&stored, hamming_cell(index, segment, SONDE__HAMMING_NUMBER, row), sizeof stored);
    sonde__kernels_get()->to_f32[h->row_kind](hamming_cell(index, segment, SONDE__HAMMING_ROW, row),
                                              index->dim, x);
    if (sonde__kernels_get()->first_nonfinite(x, index->dim) >= 0) return false;
    float length2 = sonde__kernels_get()->norm2(x, index->dim);
    return length2 <= SONDE__LENGTH2_MAX &&
           sonde__direct_column_fits(index->metric, index->dim, length2, stored);
}

/* A code must be one that the quantizer makes, and lie in the list that it names. */
static bool hamming_intact(const sonde_index *index, const sonde__segment *segment, int64_t list, int64_t row,
                           float *x)
{
    const sonde__hamming *h = index->state;
    const sonde_quantizer *code = h->code;
    const uint8_t *bits = hamming_cell(index, segment, SONDE__HAMMING_CODE, row);
    if (sonde__hamming_bucket(h, bits) != list) return false;
    if (code->method->valid && !code->method->valid(code, bits, code->code_bytes, 1)) return false;
    return !h->rows || hamming_row_intact(index, segment, row, x);
}

static sonde_status hamming_check(const sonde_index *index, const sonde__segment *segment, int64_t list)
{
    float *x;
    SONDE_TRY(SONDE_NEW(index->runtime, x, index->dim));
    int64_t row = 0;
    while (row < segment->count && hamming_intact(index, segment, list, row, x)) row++;
    sonde__free(index->runtime, x);
    if (row == segment->count) return SONDE_OK;
    return sonde__fail(SONDE_CORRUPT, "hamming: the row of id %lld holds what no row of list %lld can be",
                       (long long)segment->ids[row], (long long)list);
}

static uint64_t hamming_learned_bytes(const sonde_index *index)
{
    const sonde__hamming *h = index->state;
    const sonde_quantizer *code = h->code;
    return sizeof *h + sonde__chunks_bytes(h->tables) +
           (code->method->learned_bytes ? code->method->learned_bytes(code) : 0);
}

static sonde_status hamming_estimate(sonde_index *index, int64_t rows, uint64_t *learned, uint64_t *building)
{
    sonde__hamming *h = index->state;
    int64_t sample = h->code->sample_rows ? h->code->sample_rows : 65536;
    hamming_size_for(index, h, rows);
    hamming_set_layout(index, h);
    *learned = hamming_learned_bytes(index) + sonde__chunks_bytes_for(h, rows);
    /* the sample and the code's own copy of it; the queries of calibration and their candidates */
    *building = (uint64_t)(sonde__min_i64(rows, sample) * 2 * index->dim + SONDE__OWN_QUERIES * index->dim) *
                    4 +
                (uint64_t)SONDE__OWN_QUERIES * 400 * sizeof(sonde__hit);
    return SONDE_OK;
}

/* What a file would hold of the code: the one form in which all codes can be compared. */
static sonde_status hamming_image(const sonde_quantizer *code, uint8_t **bytes, uint64_t *count)
{
    sonde__writer *writer;
    SONDE_TRY(sonde__writer_create(code->runtime, NULL, "index", "", &writer));
    sonde_status status = sonde__quantizer_write(code, writer, "code");
    if (status == SONDE_OK) return sonde__writer_finish_memory(writer, bytes, count);
    sonde__writer_abort(writer);
    return status;
}

static sonde_status hamming_same(const sonde_index *a, const sonde_index *b, bool *equal)
{
    const sonde__hamming *x = a->state, *y = b->state;
    uint8_t *left = NULL, *right = NULL;
    uint64_t left_bytes = 0, right_bytes = 0;
    *equal = false;
    if (x->bucket_bits != y->bucket_bits || x->chunks != y->chunks || x->chunk_bits != y->chunk_bits)
        return SONDE_OK;
    sonde_status status = hamming_image(x->code, &left, &left_bytes);
    if (status == SONDE_OK) status = hamming_image(y->code, &right, &right_bytes);
    if (status == SONDE_OK) *equal = left_bytes == right_bytes && memcmp(left, right, left_bytes) == 0;
    sonde__free(x->code->runtime, left);
    sonde__free(y->code->runtime, right);
    return status;
}

/* ---- files ------------------------------------------------------------------------------------------- */

static sonde_status hamming_save(const sonde_index *index, sonde__writer *writer)
{
    const sonde__hamming *h = index->state;
    SONDE_TRY(sonde__write_int(writer, "bucket_bits", h->bucket_bits));
    if (h->chunks > 1) {
        SONDE_TRY(sonde__write_int(writer, "chunks", h->chunks));
        SONDE_TRY(sonde__write_int(writer, "chunk_bits", h->chunk_bits));
    }
    return sonde__quantizer_write(h->code, writer, "code");
}

/* Replaces the untrained code of the spec by the stored one. */
static sonde_status hamming_load_code(const sonde_index *index, sonde__reader *reader, sonde_quantizer **code)
{
    sonde_quantizer *stored;
    SONDE_TRY(sonde__quantizer_read(index->runtime, reader, "code", &stored));
    if (stored->trained && stored->dim == index->dim &&
        strcmp(sonde_quantizer_spec(stored), sonde_quantizer_spec(*code)) == 0) {
        sonde_quantizer_free(*code);
        *code = stored;
        return SONDE_OK;
    }
    sonde_quantizer_free(stored);
    return sonde__fail(SONDE_CORRUPT, "the stored code is not the %s of dim=%lld that the spec asks for",
                       sonde_quantizer_spec(*code), (long long)index->dim);
}

/* Files without chunks do not speak of them. */
static sonde_status hamming_load_chunks(const sonde_index *index, sonde__reader *reader, sonde__hamming *h)
{
    int64_t chunks = 1, bits = 0, most = sonde__min_i64(SONDE__CHUNKS_MOST, hamming_code_bits(h->code));
    if (sonde__reader_has(reader, "chunks")) SONDE_TRY(sonde__read_int(reader, "chunks", 2, most, &chunks));
    if (!sonde__param_is(index->params, "chunks", "auto") && chunks != h->chunks)
        return sonde__fail(SONDE_CORRUPT, "the file says chunks=%lld, the spec %d", (long long)chunks,
                           h->chunks);
    if (chunks > 1 && h->bucket_bits > 0)
        return sonde__fail(SONDE_CORRUPT, "the file says chunks=%lld and bucket_bits=%d", (long long)chunks,
                           h->bucket_bits);
    hamming_set_chunks(h, (int)chunks, (int64_t)1 << SONDE__BUCKET_BITS_MOST);
    if (chunks == 1) return SONDE_OK;
    SONDE_TRY(sonde__read_int(reader, "chunk_bits", 1, h->chunk_bits, &bits));
    h->chunk_bits = (int)bits;
    return SONDE_OK;
}

static sonde_status hamming_load(sonde_index *index, sonde__reader *reader)
{
    sonde__hamming *h = index->state;
    int64_t bits;
    SONDE_TRY(sonde__read_int(reader, "bucket_bits", 0, sonde__min_i64(SONDE__BUCKET_BITS_MOST, h->key_bits),
                              &bits));
    if (!sonde__param_is(index->params, "bucket_bits", "auto") && bits != h->bucket_bits)
        return sonde__fail(SONDE_CORRUPT, "the file says bucket_bits=%lld, the spec %d", (long long)bits,
                           h->bucket_bits);
    SONDE_TRY(hamming_load_code(index, reader, &h->code));
    h->bucket_bits = (int)bits;
    SONDE_TRY(hamming_load_chunks(index, reader, h));
    hamming_set_layout(index, h);
    return hamming_set_middle(index, h);
}

const sonde__index_method sonde__index_hamming = {
    .method =
        {.name = "hamming",
         .summary =
             "semantic hashing: rows in buckets by the first bits of a binary code; a search visits the "
             "buckets whose bits differ least; multi-index hashing of longer codes",
         .source =
             "Salakhutdinov and Hinton 2009; Norouzi, Punjani and Fleet 2012; Grzegorczyk and Kurdziel 2017",
         .keys = hamming_keys,
         .inputs = hamming_inputs},
    .create = hamming_create,
    .min_rows = hamming_min_rows,
    .train = hamming_train,
    .place = hamming_place,
    .fill = hamming_fill,
    .search = sonde__hamming_search,
    .get = hamming_get,
    .check = hamming_check,
    .estimate = hamming_estimate,
    .save = hamming_save,
    .load = hamming_load,
    .same = hamming_same,
    .drop = hamming_drop,
    .learned_bytes = hamming_learned_bytes,
    .max_effort = sonde__hamming_most,
};
