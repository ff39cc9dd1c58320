/* sq.c: scalar quantization: each column is rounded to one of 2^bits values, or to f16.
 *
 * levels=uniform: low[j] + step[j] * c, evenly spaced over a learned range (sq_train.c), one for each column
 * or one for all. With few bits clipping the range halves the error; with 8 bits it mostly settles at what
 * the rows hold. levels=lloyd: the values stand in a table (sq_levels.c).
 *
 * Scan: <q, x> = <q, low> + sum (q[j] step[j]) c[j]. The weights w = q step are rounded to integers so that
 * the integer kernels run:
 *     i8   w ~ scale * h            h in -64..64
 *     i16  w ~ scale * (128 h + l)  two passes, 14 bits
 *     f32  w as it is
 * The rounding errors of w multiply c - (2^bits - 1) / 2, not c: what the mean code contributes is added
 * exactly, in the bias. Values of a scan and of a panel scan are equal to the bit for i8 and i16. Codes of 1,
 * 2 and 4 bits can also be scanned from registers (query=auto; fast scan rounds the products instead of the
 * query).
 *
 * Codes: bits * dim bits, packed as codes.h says; f16: 2 dim bytes. After: Jegou et al. 2011 (asymmetric
 * distances); quantizers for minimum distortion, Max 1960, Lloyd 1982.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "base/handle.h"
#include "kernels/blocks.h"
#include "kernels/kernels.h"
#include "quantizers/codes.h"
#include "quantizers/sq.h"

void sonde__sq_learned_drop(sonde_runtime *runtime, sonde__sq_learned *learned)
{
    sonde__free(runtime, learned->low);
    sonde__free(runtime, learned->step);
    sonde__free(runtime, learned->levels);
    *learned = (sonde__sq_learned){0};
}

void sonde__sq_adopt(sonde_quantizer *quantizer, const sonde__sq_learned *learned)
{
    sonde__sq *sq = quantizer->state;
    sonde__sq_learned_drop(quantizer->runtime, &sq->learned);
    sq->learned = *learned;
}

/* ---- codes ----------------------------------------------------------------------------------------------------- */

/* Values outside the range get its nearest end. */
static sonde_status sq_encode(const sonde_quantizer *quantizer, const float *x, int64_t ldx, int64_t n,
                              uint8_t *codes, int64_t stride)
{
    const sonde__sq *sq = quantizer->state;
    float levels = sonde__sq_top(sq->bits);
    uint8_t values[SONDE__MAX_DIM];
    for (int64_t i = 0; i < n; i++) {
        const float *row = x + i * ldx;
        for (int64_t j = 0; j < quantizer->dim; j++) {
            float c = (row[j] - sq->learned.low[j]) * sonde__sq_inverse(sq->learned.step[j]) + 0.5f;
            c = c > 0 ? c : 0; /* also what infinity times 0 gives */
            c = c < levels ? c : levels;
            values[j] = (uint8_t)c;
        }
        sonde__codes_pack(values, quantizer->dim, sq->bits, codes + i * stride);
    }
    return SONDE_OK;
}

static void sq_decode(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n,
                      float *x, int64_t ldx)
{
    const sonde__sq *sq = quantizer->state;
    uint8_t values[SONDE__MAX_DIM];
    for (int64_t i = 0; i < n; i++) {
        sonde__codes_unpack(codes + i * stride, quantizer->dim, sq->bits, values);
        for (int64_t j = 0; j < quantizer->dim; j++)
            x[i * ldx + j] = sq->learned.low[j] + sq->learned.step[j] * (float)values[j];
    }
}

static bool sq_valid(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n)
{
    const sonde__sq *sq = quantizer->state;
    return sonde__codes_padding_zero(codes, stride, n, quantizer->dim, sq->bits);
}

/* ---- the integer query ----------------------------------------------------------------------------------------- */

/* ip = (high sum * 128 + low sum) * scale + bias, or high sum * scale + bias where there is no low part. */
struct sq_lane {
    float scale, bias;
};

/* Rounds the weights of one query into high (and low where fine). */
static struct sq_lane sq_round_query(const sonde_quantizer *quantizer, const float *query, int8_t *high, int8_t *low)
{
    const sonde__sq *sq = quantizer->state;
    double most = 0, bias = 0, sum = 0, middle = 0.5 * sonde__sq_top(sq->bits);
    int most_integer = low ? 64 * 128 - 64 : 64;
    for (int64_t j = 0; j < quantizer->dim; j++) {
        double w = (double)query[j] * sq->learned.step[j];
        most = fabs(w) > most ? fabs(w) : most;
        bias += (double)query[j] * sq->learned.low[j] + w * middle;
    }
    double scale = most / most_integer;
    for (int64_t j = 0; j < quantizer->dim; j++) {
        int rounded = scale > 0 ? (int)lrint((double)query[j] * sq->learned.step[j] / scale) : 0;
        int coarse = low ? (rounded + 64 * 128 + 64) / 128 - 64 : rounded; /* floor, also below zero */
        high[j] = (int8_t)coarse;
        if (low) low[j] = (int8_t)(rounded - 128 * coarse);
        sum += rounded;
    }
    return (struct sq_lane){scale < 3e38 ? (float)scale : 3e38f, (float)(bias - scale * middle * sum)};
}

/* Table: one sq_lane in 64 bytes, the high part, the low part, each rounded up to 64 bytes with zeros. */
static int64_t sq_part_bytes(const sonde_quantizer *quantizer)
{
    return (quantizer->dim + 63) / 64 * 64;
}

static int64_t sq_table_bytes(const sonde_quantizer *quantizer)
{
    return 64 + 2 * sq_part_bytes(quantizer);
}

static void sq_table(const sonde_quantizer *quantizer, const float *query, void *table)
{
    const sonde__sq *sq = quantizer->state;
    int8_t *high = (int8_t *)table + 64;
    int8_t *low = sq->fine ? high + sq_part_bytes(quantizer) : NULL;
    memset(table, 0, (size_t)sq_table_bytes(quantizer));
    struct sq_lane lane = sq_round_query(quantizer, query, high, low);
    memcpy(table, &lane, sizeof lane);
}

/* One place for scan and panel, so that both round alike; joined = the low sum is there. */
static inline float sq_score(bool joined, float scale, float bias, int32_t high, int32_t low)
{
    return (joined ? (float)high * 128 + (float)low : (float)high) * scale + bias;
}

/* i16 scans twice and joins the sums. */
static void sq_scan(const sonde_quantizer *quantizer, const void *table, const uint8_t *codes, int64_t stride,
                    int64_t n, float *ip)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    const sonde__sq *sq = quantizer->state;
    const int8_t *high = (const int8_t *)table + 64, *low = high + sq_part_bytes(quantizer);
    int32_t high_sum[SONDE__CODES_BLOCK], low_sum[SONDE__CODES_BLOCK];
    sonde__codes_block block;
    struct sq_lane lane;
    memcpy(&lane, table, sizeof lane);
    for (int64_t i = 0; i < n; i += block.count) {
        sonde__codes_open(&block, codes + i * stride, stride, n - i, quantizer->dim, sq->bits);
        kernels->ip_u8s8(high, block.rows, block.stride, block.count, quantizer->dim, high_sum);
        if (sq->fine) kernels->ip_u8s8(low, block.rows, block.stride, block.count, quantizer->dim, low_sum);
        for (int64_t r = 0; r < block.count; r++)
            ip[i + r] = sq_score(sq->fine, lane.scale, lane.bias, high_sum[r], sq->fine ? low_sum[r] : 0);
    }
}

/* Panel: scales and biases of the lanes, the high panel, the low panel (dim rounded up to 4, times lanes). */
#define SQ_LANES_BYTES (2 * SONDE__LANES_MAX * (int64_t)sizeof(float))

static int64_t sq_panel_part(const sonde_quantizer *quantizer)
{
    return sonde__byte_panel(quantizer->dim, sonde__kernels_get()->lanes);
}

static int64_t sq_panel_bytes(const sonde_quantizer *quantizer)
{
    return SQ_LANES_BYTES + 2 * sq_panel_part(quantizer);
}

/* Four bytes of a query stay together in the panel, so it is the panel of the tables read as words. */
static void sq_pack(const sonde_quantizer *quantizer, const void *const *tables, int64_t count, int64_t offset,
                    void *to)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    const void *words[SONDE__LANES_MAX];
    for (int64_t i = 0; i < count; i++) words[i] = (const uint8_t *)tables[i] + offset;
    kernels->pack_panel(words, count, (quantizer->dim + 3) / 4, kernels->lanes, to);
}

static void sq_panel(const sonde_quantizer *quantizer, const void *const *tables, int64_t count, void *panel)
{
    const sonde__sq *sq = quantizer->state;
    float *scale = panel, *bias = scale + SONDE__LANES_MAX;
    uint8_t *high = (uint8_t *)panel + SQ_LANES_BYTES;
    memset(panel, 0, SQ_LANES_BYTES);
    for (int64_t i = 0; i < count; i++) {
        struct sq_lane lane;
        memcpy(&lane, tables[i], sizeof lane);
        scale[i] = lane.scale;
        bias[i] = lane.bias;
    }
    sq_pack(quantizer, tables, count, 64, high);
    if (sq->fine) sq_pack(quantizer, tables, count, 64 + sq_part_bytes(quantizer), high + sq_panel_part(quantizer));
}

/* As sq_scan, for all lanes at once. Unused lanes are zero in the panel and give 0. */
static void sq_scan_panel(const sonde_quantizer *quantizer, const void *panel, const uint8_t *codes,
                          int64_t stride, int64_t n, float *tile)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    const sonde__sq *sq = quantizer->state;
    const float *scale = panel, *bias = scale + SONDE__LANES_MAX;
    const int8_t *high = (const int8_t *)panel + SQ_LANES_BYTES, *low = high + sq_panel_part(quantizer);
    int64_t lanes = kernels->lanes;
    int32_t high_sum[SONDE__CODES_BLOCK * SONDE__LANES_MAX], low_sum[SONDE__CODES_BLOCK * SONDE__LANES_MAX];
    sonde__codes_block block;
    for (int64_t i = 0; i < n; i += block.count) {
        sonde__codes_open(&block, codes + i * stride, stride, n - i, quantizer->dim, sq->bits);
        kernels->tile_u8s8(high, block.rows, block.stride, block.count, quantizer->dim, high_sum);
        if (sq->fine) kernels->tile_u8s8(low, block.rows, block.stride, block.count, quantizer->dim, low_sum);
        for (int64_t r = 0; r < block.count; r++) {
            const int32_t *h = high_sum + r * lanes, *f = sq->fine ? low_sum + r * lanes : h;
            float *out = tile + (i + r) * lanes;
            for (int64_t l = 0; l < lanes; l++) out[l] = sq_score(sq->fine, scale[l], bias[l], h[l], f[l]);
        }
    }
}

/* ---- the f32 query --------------------------------------------------------------------------------------------- */

/* Table: the bias in 64 bytes, then the weights. */
static int64_t sq_exact_table_bytes(const sonde_quantizer *quantizer)
{
    return 64 + quantizer->dim * (int64_t)sizeof(float);
}

static void sq_exact_table(const sonde_quantizer *quantizer, const float *query, void *table)
{
    const sonde__sq *sq = quantizer->state;
    float *out = table;
    double bias = 0;
    for (int64_t j = 0; j < quantizer->dim; j++) {
        bias += (double)query[j] * sq->learned.low[j];
        out[16 + j] = query[j] * sq->learned.step[j];
    }
    out[0] = (float)bias;
}

static void sq_exact_scan(const sonde_quantizer *quantizer, const void *table, const uint8_t *codes,
                          int64_t stride, int64_t n, float *ip)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    const sonde__sq *sq = quantizer->state;
    const float *in = table;
    sonde__codes_block block;
    for (int64_t i = 0; i < n; i += block.count) {
        sonde__codes_open(&block, codes + i * stride, stride, n - i, quantizer->dim, sq->bits);
        kernels->ip_rows[SONDE__ROW_U8](in + 16, block.rows, block.stride, block.count, quantizer->dim,
                                        ip + i);
        for (int64_t r = i; r < i + block.count; r++) ip[r] += in[0];
    }
}

/* ---- f16 codes ------------------------------------------------------------------------------------------------- */

#define SQ_HALF_BLOCK 256

/* Infinity and NaN have all exponent bits set. Encode must not make them, decode must not meet them. */
static bool sq_half_finite(const uint16_t *halves, int64_t count)
{
    for (int64_t j = 0; j < count; j++)
        if ((halves[j] & 0x7c00) == 0x7c00) return false;
    return true;
}

/* By way of a buffer: codes need not be aligned for 16-bit stores, and every value is looked at. */
static sonde_status sq_half_encode(const sonde_quantizer *quantizer, const float *x, int64_t ldx, int64_t n,
                                   uint8_t *codes, int64_t stride)
{
    uint16_t halves[SQ_HALF_BLOCK];
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < quantizer->dim; j += SQ_HALF_BLOCK) {
            int64_t count = sonde__min_i64(SQ_HALF_BLOCK, quantizer->dim - j);
            sonde__kernels_get()->f32_to_f16(x + i * ldx + j, count, halves);
            if (!sq_half_finite(halves, count))
                return sonde__fail(SONDE_INVALID_ARGUMENT,
                                   "sq: a value of columns %lld..%lld is beyond 65504, the largest "
                                   "f16; scale the vectors or take bits=8",
                                   (long long)j, (long long)(j + count - 1));
            memcpy(codes + i * stride + 2 * j, halves, (size_t)count * sizeof *halves);
        }
    return SONDE_OK;
}

static void sq_half_decode(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n,
                           float *x, int64_t ldx)
{
    for (int64_t i = 0; i < n; i++)
        sonde__kernels_get()->to_f32[SONDE__ROW_F16](codes + i * stride, quantizer->dim, x + i * ldx);
}

static bool sq_half_valid(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n)
{
    uint16_t halves[SQ_HALF_BLOCK];
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < quantizer->dim; j += SQ_HALF_BLOCK) {
            int64_t count = sonde__min_i64(SQ_HALF_BLOCK, quantizer->dim - j);
            memcpy(halves, codes + i * stride + 2 * j, (size_t)count * sizeof *halves);
            if (!sq_half_finite(halves, count)) return false;
        }
    return true;
}

static int64_t sq_half_table_bytes(const sonde_quantizer *quantizer)
{
    return quantizer->dim * (int64_t)sizeof(float);
}

static void sq_half_table(const sonde_quantizer *quantizer, const float *query, void *table)
{
    memcpy(table, query, (size_t)sq_half_table_bytes(quantizer));
}

static void sq_half_scan(const sonde_quantizer *quantizer, const void *table, const uint8_t *codes,
                         int64_t stride, int64_t n, float *ip)
{
    sonde__kernels_get()->ip_rows[SONDE__ROW_F16](table, codes, stride, n, quantizer->dim, ip);
}

/* ---- the method ------------------------------------------------------------------------------------------------ */

static sonde_status sq_save(const sonde_quantizer *quantizer, sonde__writer *writer)
{
    const sonde__sq *sq = quantizer->state;
    SONDE_TRY(sonde__write_array(writer, "LOW", sq->learned.low, (uint64_t)quantizer->dim, sizeof(float)));
    return sonde__write_array(writer, "STEP", sq->learned.step, (uint64_t)quantizer->dim, sizeof(float));
}

static sonde_status sq_load_ranges(const sonde_quantizer *quantizer, sonde__reader *reader, sonde__sq_learned *learned)
{
    const sonde__sq *sq = quantizer->state;
    uint64_t dim = (uint64_t)quantizer->dim;
    SONDE_TRY(sonde__handle_floats(quantizer->runtime, reader, "LOW", dim, &learned->low));
    SONDE_TRY(sonde__handle_floats(quantizer->runtime, reader, "STEP", dim, &learned->step));
    for (int64_t j = 0; j < quantizer->dim; j++)
        if (!sonde__sq_step_fits(learned->low[j], learned->step[j], sq->bits))
            return sonde__fail(SONDE_CORRUPT, "section \"STEP\": the step of column %lld is %g, below 0 or too large",
                               (long long)j, (double)learned->step[j]);
    return SONDE_OK;
}

static sonde_status sq_load(sonde_quantizer *quantizer, sonde__reader *reader)
{
    sonde__sq_learned learned = {0};
    sonde_status status = sq_load_ranges(quantizer, reader, &learned);
    if (status == SONDE_OK) sonde__sq_adopt(quantizer, &learned);
    else sonde__sq_learned_drop(quantizer->runtime, &learned);
    return status;
}

static void sq_drop(sonde_quantizer *quantizer)
{
    sonde__sq *sq = quantizer->state;
    if (sq) sonde__sq_learned_drop(quantizer->runtime, &sq->learned);
    sonde__free(quantizer->runtime, sq);
}

static sonde_status sq_create(sonde_quantizer *quantizer);

static const sonde__key sq_keys[] = {
    {"bits", SONDE__KEY_INT, "8", 1, 8, "f16", NULL, "bits a column, or f16 (half precision, nothing learned)"},
    {"levels", SONDE__KEY_WORD, "uniform", 0, 0, "uniform|lloyd", NULL,
     "what codes stand for: evenly spaced values, or those of least squared error on the sample"},
    {"scale", SONDE__KEY_WORD, "column", 0, 0, "column|shared", NULL, "a range for each column, or one for all"},
    {"range", SONDE__KEY_WORD, "best", 0, 0, "best|minmax", NULL,
     "of a column: clipped for the least squared error, or all that training saw; lloyd starts there"},
    {"query", SONDE__KEY_WORD, "auto", 0, 0, "auto|i8|i16|f32", NULL,
     "precision of the query in scans; auto: i16 for 8 bits, else i8, f32 for lloyd, and fast scan of 1, 2 and 4 bits"},
    {"sample", SONDE__KEY_INT, "16384", 1, 1e9, NULL, NULL, "rows that range=best and lloyd look at"},
    {"seed", SONDE__KEY_INT, "1", 0, 9007199254740992.0, NULL, NULL, "of the choice of those rows"},
    {0},
};

#define SQ_METHOD                                                                                            \
    {"sq", "scalar quantization: every column rounded to 1 to 8 bits, or to f16",                            \
     "quantizing for minimum distortion (Max 1960, Lloyd 1982)", sq_keys, sonde__vectors_input, NULL, NULL}
#define SQ_UNIFORM                                                                                           \
    .method = SQ_METHOD, .create = sq_create, .train = sonde__sq_train, .encode = sq_encode,                 \
    .decode = sq_decode, .valid = sq_valid, .save = sq_save, .load = sq_load, .drop = sq_drop
#define SQ_INTEGER_QUERY                                                                                     \
    .table_bytes = sq_table_bytes, .table = sq_table, .scan = sq_scan, .panel_bytes = sq_panel_bytes,        \
    .panel = sq_panel, .scan_panel = sq_scan_panel
#define SQ_LLOYD                                                                                             \
    .method = SQ_METHOD, .create = sq_create, .train = sonde__sq_train, .encode = sonde__sq_levels_encode,   \
    .decode = sonde__sq_levels_decode, .valid = sq_valid, .table_bytes = sonde__sq_levels_table_bytes,       \
    .table = sonde__sq_levels_table, .scan = sonde__sq_levels_scan,                                          \
    .panel_bytes = sonde__sq_levels_panel_bytes, .panel = sonde__sq_levels_panel,                            \
    .scan_panel = sonde__sq_levels_scan_panel, .learned_bytes = sonde__sq_levels_bytes,                      \
    .save = sonde__sq_levels_save, .load = sonde__sq_levels_load, .drop = sq_drop
/* Evenly spaced levels need no lookups: products of integers are faster. */
#define SQ_FAST .nibbles = sonde__sq_nibbles, .nibble_table = sonde__sq_nibble_table

const sonde__quantizer_method sonde__quantizer_sq = {SQ_UNIFORM, SQ_INTEGER_QUERY};
static const sonde__quantizer_method sq_lloyd = {SQ_LLOYD};
static const sonde__quantizer_method sq_lloyd_fast = {SQ_LLOYD, SQ_FAST};

static const sonde__quantizer_method sq_exact = {
    SQ_UNIFORM,
    .table_bytes = sq_exact_table_bytes,
    .table = sq_exact_table,
    .scan = sq_exact_scan,
};

static const sonde__quantizer_method sq_half = {
    .method = SQ_METHOD,
    .create = sq_create,
    .encode = sq_half_encode,
    .decode = sq_half_decode,
    .valid = sq_half_valid,
    .table_bytes = sq_half_table_bytes,
    .table = sq_half_table,
    .scan = sq_half_scan,
    .refuses = true,
};

/* The table of hooks that a spec asks for. */
static const sonde__quantizer_method *sq_variant(const sonde__params *params, int bits)
{
    bool fast = 4 % bits == 0 && sonde__param_is(params, "query", "auto");
    if (sonde__param_is(params, "levels", "lloyd")) return fast ? &sq_lloyd_fast : &sq_lloyd;
    return sonde__param_is(params, "query", "f32") ? &sq_exact : &sonde__quantizer_sq;
}

static sonde_status sq_create_half(sonde_quantizer *quantizer)
{
    if (sonde__param_is(quantizer->params, "levels", "lloyd"))
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "sq: bits=f16 has no levels to learn; give bits=1..8 with levels=lloyd");
    quantizer->method = &sq_half;
    quantizer->code_bytes = 2 * quantizer->dim;
    quantizer->trained = true;
    return SONDE_OK;
}

/* The handle goes on with the table of the variant that its spec asks for. */
static sonde_status sq_create(sonde_quantizer *quantizer)
{
    const sonde__params *params = quantizer->params;
    int bits = (int)sonde__param_int(params, "bits");
    bool lloyd = sonde__param_is(params, "levels", "lloyd");
    if (sonde__param_is(params, "bits", "f16")) return sq_create_half(quantizer);
    if (lloyd && !sonde__param_is(params, "query", "auto") && !sonde__param_is(params, "query", "f32"))
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "sq: query=%s needs evenly spaced values; levels=lloyd takes query=auto or f32",
                           sonde__param_word(params, "query"));
    sonde__sq *sq;
    SONDE_TRY(SONDE_NEW_ZERO(quantizer->runtime, sq, 1));
    sq->bits = bits;
    sq->fine = sonde__param_is(params, "query", "i16") ||
               (bits == 8 && sonde__param_is(params, "query", "auto"));
    sq->shared = sonde__param_is(params, "scale", "shared");
    sq->lloyd = lloyd;
    quantizer->state = sq;
    quantizer->code_bytes = sonde__codes_bytes(quantizer->dim, bits);
    quantizer->min_rows = 1;
    quantizer->method = sq_variant(params, bits);
    return SONDE_OK;
}
