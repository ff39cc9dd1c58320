/* sq.c: scalar quantization: each column is rounded to 2^bits evenly spaced values, or to f16.
 *
 * Decoding is low[j] + step[j] * c. The range of a column is learned: `minmax` takes the least and largest value,
 * `best` clips it at mean +- c deviations, for the c of a short list with the least squared error on a sample. With few
 * bits clipping halves the error; with 8 bits it mostly settles at the full range.
 *
 * Scan: <q, x> = <q, low> + sum (q[j] step[j]) c[j]. The weights w = q step are rounded to integers so that the integer
 * kernels run:
 *     i8   w ~ scale * h            h in -64..64
 *     i16  w ~ scale * (128 h + l)  two passes, 14 bits
 *     f32  w as it is
 * The rounding errors of w multiply c - (2^bits - 1) / 2, not c: what the mean code contributes is added exactly, in
 * the bias. Values of a scan and of a panel scan are equal to the bit for i8 and i16.
 *
 * Codes: bits * dim bits, packed as codes.h says; f16: 2 dim bytes.
 * After: Jegou et al. 2011 (asymmetric distances); uniform quantizers with clipping, Max 1960.
 *
 * SPDX-License-Identifier: MIT
 */
#include <float.h>
#include <math.h>

#include "base/handle.h"
#include "kernels/blocks.h"
#include "kernels/kernels.h"
#include "quantizers/codes.h"
#include "quantizers/quantizer.h"

#define SQ_COLUMNS 16 /* columns that one work item of training takes: a cache line of a row */

struct sq {
    int bits;
    bool fine;   /* the query has two integer parts */
    float *low, *step; /* dim values each; NULL until trained */
};

/* The largest code value. */
static float sq_levels(int bits)
{
    return (float)((1 << bits) - 1);
}

/* 1 / step, or 0 for a column that does not vary (also where the reciprocal would overflow). */
static float sq_inverse(float step)
{
    return step >= 1.2e-38f ? 1 / step : 0;
}

/* Every code must decode to a finite value. */
static bool sq_step_fits(float low, float step, int bits)
{
    return step >= 0 && isfinite(low + step * sq_levels(bits));
}

/* ---- training -------------------------------------------------------------------------------------------------- */

/* What the columns of one training share; low and step are written column by column. */
struct sq_training {
    sonde_runtime *runtime;
    const float *x;
    int64_t n, dim;
    const int64_t *sample;
    int64_t sampled;
    int bits;
    bool best;
    float *low, *step;
};

/* In double, because high - low of floats can overflow. */
struct sq_range {
    double low, high;
};

/* Squared error of rounding `count` values within a range. */
static double sq_error(const float *values, int64_t count, struct sq_range range, int bits)
{
    float levels = sq_levels(bits), low = (float)range.low, step = (float)((range.high - range.low) / levels);
    float inverse = sq_inverse(step);
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        float c = (values[i] - low) * inverse + 0.5f;
        c = c > 0 ? c : 0;
        c = c < levels ? c : levels;
        float error = values[i] - (low + step * (float)(int32_t)c);
        sum += (double)error * error;
    }
    return sum;
}

/* The clipped range with the least error on the sampled values of one column. */
static struct sq_range sq_best_range(const float *values, int64_t count, struct sq_range full, int bits)
{
    static const double widths[] = {1.5, 1.75, 2, 2.25, 2.5, 2.75, 3, 3.25, 3.5, 4, 4.5, 5, 6, 8};
    double sum = 0, squares = 0, least = sq_error(values, count, full, bits);
    struct sq_range best = full;
    for (int64_t i = 0; i < count; i++) sum += values[i];
    double mean = sum / (double)count;
    for (int64_t i = 0; i < count; i++) squares += (values[i] - mean) * (values[i] - mean);
    double deviation = sqrt(squares / (double)count);
    for (size_t w = 0; w < sizeof widths / sizeof widths[0]; w++) {
        struct sq_range range = {fmax(full.low, mean - widths[w] * deviation),
                                 fmin(full.high, mean + widths[w] * deviation)};
        double error = sq_error(values, count, range, bits);
        if (error < least) {
            least = error;
            best = range;
        }
    }
    return best;
}

/* Values beyond half the range of a float are clipped, so that step times code cannot overflow. */
static void sq_set_column(const struct sq_training *t, int64_t j, struct sq_range range)
{
    double low = fmax(range.low, -0.5 * FLT_MAX), high = fmin(range.high, 0.5 * FLT_MAX);
    t->low[j] = (float)low;
    t->step[j] = (float)(fmax(high - low, 0) / sq_levels(t->bits));
    if (!sq_step_fits(t->low[j], t->step[j], t->bits)) t->step[j] = nextafterf(t->step[j], 0);
}

/* The ranges of columns [first, end): one pass over the rows, then each column's sample. */
static sonde_status sq_train_columns(const struct sq_training *t, int64_t first, int64_t end,
                                     sonde__scratch *scratch)
{
    float low[SQ_COLUMNS], high[SQ_COLUMNS], *values;
    SONDE_TRY(SONDE_SCRATCH(scratch, values, t->sampled));
    for (int64_t j = first; j < end; j++) low[j - first] = high[j - first] = t->x[j];
    for (int64_t i = 1; i < t->n; i++)
        for (int64_t j = first; j < end; j++) {
            float value = t->x[i * t->dim + j];
            if (value < low[j - first]) low[j - first] = value;
            if (value > high[j - first]) high[j - first] = value;
        }
    for (int64_t j = first; j < end; j++) {
        struct sq_range range = {low[j - first], high[j - first]};
        for (int64_t i = 0; i < t->sampled; i++) values[i] = t->x[t->sample[i] * t->dim + j];
        if (t->best) range = sq_best_range(values, t->sampled, range, t->bits);
        sq_set_column(t, j, range);
    }
    return SONDE_OK;
}

static sonde_status sq_train_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct sq_training *t = context;
    sonde__scratch *scratch = NULL;
    (void)worker;
    SONDE_TRY(sonde__scratch_take(t->runtime, &scratch));
    sonde_status status = sq_train_columns(t, begin, end, scratch);
    sonde__scratch_give(t->runtime, scratch);
    return status;
}

/* Takes both arrays over. */
static void sq_adopt(sonde_quantizer *quantizer, float *low, float *step)
{
    struct sq *sq = quantizer->state;
    sonde__free(quantizer->runtime, sq->low);
    sonde__free(quantizer->runtime, sq->step);
    sq->low = low;
    sq->step = step;
}

/* The old ranges stay until the new ones are complete. */
static sonde_status sq_train(sonde_quantizer *quantizer, const float *x, int64_t n, int threads)
{
    const struct sq *sq = quantizer->state;
    const sonde__params *params = quantizer->params;
    sonde_runtime *runtime = quantizer->runtime;
    int64_t wanted = sonde__min_i64(n, sonde__param_int(params, "sample"));
    int64_t *sample = NULL;
    struct sq_training t = {.runtime = runtime, .x = x, .n = n, .dim = quantizer->dim, .bits = sq->bits};
    sonde_status status = SONDE_NEW(runtime, sample, wanted);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, t.low, t.dim);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, t.step, t.dim);
    if (status == SONDE_OK) {
        t.sample = sample;
        t.sampled = sonde__blocks_sample((uint64_t)sonde__param_int(params, "seed"), 0, n, wanted, sample);
        t.best = sonde__param_is(params, "range", "best");
        status = sonde__parallel_for(runtime, threads, t.dim, SQ_COLUMNS, "sq: ranges", sq_train_chunk, &t);
    }
    sonde__free(runtime, sample);
    if (status != SONDE_OK) {
        sonde__free(runtime, t.low);
        sonde__free(runtime, t.step);
        return status;
    }
    sq_adopt(quantizer, t.low, t.step);
    return SONDE_OK;
}

/* ---- codes ----------------------------------------------------------------------------------------------------- */

/* Values outside the range get its nearest end. */
static sonde_status sq_encode(const sonde_quantizer *quantizer, const float *x, int64_t ldx, int64_t n,
                              uint8_t *codes, int64_t stride)
{
    const struct sq *sq = quantizer->state;
    float levels = sq_levels(sq->bits);
    uint8_t values[SONDE__MAX_DIM];
    for (int64_t i = 0; i < n; i++) {
        const float *row = x + i * ldx;
        for (int64_t j = 0; j < quantizer->dim; j++) {
            float c = (row[j] - sq->low[j]) * sq_inverse(sq->step[j]) + 0.5f;
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
    const struct sq *sq = quantizer->state;
    uint8_t values[SONDE__MAX_DIM];
    for (int64_t i = 0; i < n; i++) {
        sonde__codes_unpack(codes + i * stride, quantizer->dim, sq->bits, values);
        for (int64_t j = 0; j < quantizer->dim; j++)
            x[i * ldx + j] = sq->low[j] + sq->step[j] * (float)values[j];
    }
}

static bool sq_valid(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n)
{
    const struct sq *sq = quantizer->state;
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
    const struct sq *sq = quantizer->state;
    double most = 0, bias = 0, sum = 0, middle = 0.5 * sq_levels(sq->bits);
    int most_integer = low ? 64 * 128 - 64 : 64;
    for (int64_t j = 0; j < quantizer->dim; j++) {
        double w = (double)query[j] * sq->step[j];
        most = fabs(w) > most ? fabs(w) : most;
        bias += (double)query[j] * sq->low[j] + w * middle;
    }
    double scale = most / most_integer;
    for (int64_t j = 0; j < quantizer->dim; j++) {
        int rounded = scale > 0 ? (int)lrint((double)query[j] * sq->step[j] / scale) : 0;
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
    const struct sq *sq = quantizer->state;
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
    const struct sq *sq = quantizer->state;
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
    return (quantizer->dim + 3) / 4 * 4 * sonde__kernels_get()->lanes;
}

static int64_t sq_panel_bytes(const sonde_quantizer *quantizer)
{
    return SQ_LANES_BYTES + 2 * sq_panel_part(quantizer);
}

/* Four bytes of a query stay together in the panel, so it is the panel of the tables read as words. */
static void sq_pack(const sonde_quantizer *quantizer, const void *const *tables, int64_t count, int64_t offset, void *to)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    const void *words[SONDE__LANES_MAX];
    for (int64_t i = 0; i < count; i++) words[i] = (const uint8_t *)tables[i] + offset;
    kernels->pack_panel(words, count, (quantizer->dim + 3) / 4, kernels->lanes, to);
}

static void sq_panel(const sonde_quantizer *quantizer, const void *const *tables, int64_t count, void *panel)
{
    const struct sq *sq = quantizer->state;
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
    const struct sq *sq = quantizer->state;
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
    const struct sq *sq = quantizer->state;
    float *out = table;
    double bias = 0;
    for (int64_t j = 0; j < quantizer->dim; j++) {
        bias += (double)query[j] * sq->low[j];
        out[16 + j] = query[j] * sq->step[j];
    }
    out[0] = (float)bias;
}

static void sq_exact_scan(const sonde_quantizer *quantizer, const void *table, const uint8_t *codes,
                          int64_t stride, int64_t n, float *ip)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    const struct sq *sq = quantizer->state;
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
    const struct sq *sq = quantizer->state;
    SONDE_TRY(sonde__write_array(writer, "LOW", sq->low, (uint64_t)quantizer->dim, sizeof(float)));
    return sonde__write_array(writer, "STEP", sq->step, (uint64_t)quantizer->dim, sizeof(float));
}

static sonde_status sq_load(sonde_quantizer *quantizer, sonde__reader *reader)
{
    const struct sq *sq = quantizer->state;
    sonde_runtime *runtime = quantizer->runtime;
    int64_t dim = quantizer->dim;
    float *low = NULL, *step = NULL;
    sonde_status status = sonde__handle_floats(runtime, reader, "LOW", (uint64_t)dim, &low);
    if (status == SONDE_OK) status = sonde__handle_floats(runtime, reader, "STEP", (uint64_t)dim, &step);
    for (int64_t j = 0; status == SONDE_OK && j < dim; j++)
        if (!sq_step_fits(low[j], step[j], sq->bits))
            status = sonde__fail(SONDE_CORRUPT,
                                 "section \"STEP\": the step of column %lld is %g, below 0 or too large",
                                 (long long)j, (double)step[j]);
    if (status != SONDE_OK) {
        sonde__free(runtime, low);
        sonde__free(runtime, step);
        return status;
    }
    sq_adopt(quantizer, low, step);
    return SONDE_OK;
}

static void sq_drop(sonde_quantizer *quantizer)
{
    if (quantizer->state) sq_adopt(quantizer, NULL, NULL);
    sonde__free(quantizer->runtime, quantizer->state);
}

static sonde_status sq_create(sonde_quantizer *quantizer);

static const sonde__key sq_keys[] = {
    {"bits", SONDE__KEY_INT, "8", 4, 8, "f16", NULL,
     "bits a column: 4, 6, 8, or f16 (half precision, nothing learned)"},
    {"range", SONDE__KEY_WORD, "best", 0, 0, "best|minmax", NULL,
     "range of a column: clipped for the least squared error, or all that training saw"},
    {"query", SONDE__KEY_WORD, "auto", 0, 0, "auto|i8|i16|f32", NULL,
     "precision of the query in scans; auto: i16 for 8 bits, else i8"},
    {"sample", SONDE__KEY_INT, "16384", 1, 1e9, NULL, NULL, "rows that range=best is chosen on"},
    {"seed", SONDE__KEY_INT, "1", 0, 9007199254740992.0, NULL, NULL, "of the choice of those rows"},
    {0},
};

#define SQ_METHOD                                                                                            \
    {"sq",                                                                                                   \
     "scalar quantization: every column rounded to 4, 6 or 8 bits, or to f16",                               \
     "uniform quantization with learned clipping (Max 1960)",                                                \
     sq_keys,                                                                                                \
     sonde__vectors_input,                                                                                   \
     NULL,                                                                                                   \
     NULL}

const sonde__quantizer_method sonde__quantizer_sq = {
    .method = SQ_METHOD,
    .create = sq_create,
    .train = sq_train,
    .encode = sq_encode,
    .decode = sq_decode,
    .valid = sq_valid,
    .table_bytes = sq_table_bytes,
    .table = sq_table,
    .scan = sq_scan,
    .panel_bytes = sq_panel_bytes,
    .panel = sq_panel,
    .scan_panel = sq_scan_panel,
    .save = sq_save,
    .load = sq_load,
    .drop = sq_drop,
};

static const sonde__quantizer_method sq_exact = {
    .method = SQ_METHOD,
    .create = sq_create,
    .train = sq_train,
    .encode = sq_encode,
    .decode = sq_decode,
    .valid = sq_valid,
    .table_bytes = sq_exact_table_bytes,
    .table = sq_exact_table,
    .scan = sq_exact_scan,
    .save = sq_save,
    .load = sq_load,
    .drop = sq_drop,
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

/* The handle goes on with the table of the variant that its spec asks for. */
static sonde_status sq_create(sonde_quantizer *quantizer)
{
    const sonde__params *params = quantizer->params;
    int bits = (int)sonde__param_int(params, "bits");
    if (sonde__param_is(params, "bits", "f16")) {
        quantizer->method = &sq_half;
        quantizer->code_bytes = 2 * quantizer->dim;
        quantizer->trained = true;
        return SONDE_OK;
    }
    if (bits % 2 != 0)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "sq: bits=%d is not offered; the choices are 4, 6, 8 and f16", bits);
    struct sq *sq;
    SONDE_TRY(SONDE_NEW_ZERO(quantizer->runtime, sq, 1));
    sq->bits = bits;
    sq->fine = sonde__param_is(params, "query", "i16") ||
               (bits == 8 && sonde__param_is(params, "query", "auto"));
    quantizer->state = sq;
    quantizer->code_bytes = sonde__codes_bytes(quantizer->dim, bits);
    quantizer->min_rows = 1;
    if (sonde__param_is(params, "query", "f32")) quantizer->method = &sq_exact;
    return SONDE_OK;
}
