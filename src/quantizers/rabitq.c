/* rabitq.c: randomly rotated codes of 1 to 8 bits a column, with an unbiased estimate of inner products and a
 * bound on its error that holds for every data set.
 *
 * A row x is split into a centre c and r = x - c. A random rotation P (signs, Walsh-Hadamard and Kac steps; D
 * columns, dim padded to a multiple of 64) makes all columns alike, and a vector w of half-integers is chosen
 * whose direction is nearest to that of P r (rabitq_fit.c): w = u - (2^bits - 1) / 2 with numbers u of `bits`
 * bits. The reconstruction is
 *
 *     x' = c + scale P^T w,   scale = |r|^2 / <P r, w>
 *
 * so that <r, x' - c> = |r|^2: what is wrong with x' is orthogonal to r, and over random rotations <q, x'>
 * has the mean <q, x> and the deviation |q| f with
 *
 *     f = sqrt((scale^2 |w|^2 - |r|^2) / (D - 1)) = |r| tan(angle of r and w) / sqrt(D - 1).
 *
 * The centre is one direction of the query that all rows share, so w is made to keep <c, x' - x> near 0 too,
 * for almost nothing (rabitq_align.c): |q| above is then the length of what of q is orthogonal to c, for l2
 * and for inner products.
 *
 * |r|^2 is stored, and |x|^2 is about |r|^2 + |c|^2 + 2 <c, x' - c>, which makes the error of l2 that of 2 <q
 * - c, r>. errors() gives eps0 f max(|q|, |q - c|), good for both, and for codes that could not be aligned.
 * Being a projection of a random direction, the error has lighter tails than a Gaussian: it is within 1.9 f
 * |q| in 94 % of the pairs, within 3.3 f |q|, the default, in 99.9 %. Without rotation nothing is promised.
 *
 * Code: the top bits of all columns, which are a 1-bit code of the row; then the second bits, and so on:
 *
 *     [plane of the top bits, D / 8 bytes] ... [plane of the lowest bits]     column 8 p + t: byte p, bit t
 *     [f32 scale][f32 |r|][f32 scale of the 1-bit code, where bits > 1]
 *
 * A row that equals the centre is all zero. Scan: <w, P q> = sum over planes of 2^b (+-1/2 . P q), one lookup
 * of sums of four columns a nibble, in f32: the query is not rounded. The first plane and its own scale are a
 * 1-bit code for fast scan; its estimate leaves <q, c> out, which is the same for all rows (scan gives it for
 * the code that is all zero).
 *
 * Cost: encoding 4 D log2(D) additions and about 10 D bits + 30 D operations a row, with fit=exact 5 to 20
 * times that; scan D bits / 4 lookups a row.
 *
 * Gao, Long: RaBitQ (SIGMOD 2024); Gao et al.: Practical and Asymptotically Optimal Quantization of
 * High-Dimensional Vectors in Euclidean Space for Approximate Nearest Neighbor Search (SIGMOD 2025).
 *
 * SPDX-License-Identifier: MIT
 */
#include "quantizers/rabitq.h"

#include <float.h>
#include <math.h>

#include "base/handle.h"
#include "kernels/blocks.h"
#include "kernels/kernels.h"
#include "linalg/linalg.h"
#include "quantizers/codes.h"
#include "quantizers/quantizer.h"

enum {
    RABITQ_DIM = 16384,        /* widest rows, so that a row fits on the stack */
    RABITQ_COLUMNS = 16,       /* columns that one work item of training takes: a cache line of a row */
    RABITQ_ROWS = 64,          /* rows that one lookup takes */
    RABITQ_PANEL_FLOATS = 6144 /* of unpacked rows for a tile: in the first cache */
};

/* Longer residuals are taken for this long, so that every code decodes to finite values. */
#define RABITQ_LONGEST 1e37
/* Rounding errors of f32, relative to the lengths of the factors. */
#define RABITQ_ROUNDING 1e-6

struct rabitq {
    int bits;
    bool exact;     /* the scale of each row is fitted to it */
    int64_t padded; /* D */
    int64_t live;   /* columns that count: D, or dim where nothing is rotated */
    uint8_t *signs; /* NULL: no rotation */
    float *centre;  /* dim values; NULL: none, or not trained yet */
    float *turned;  /* the same rotated, `padded` values */
    double length;  /* of the centre */
};

/* What goes with the planes of a code. */
struct rabitq_factors {
    float scale, length, first_scale; /* of w, |r|, scale of the first plane alone */
};

static int64_t rabitq_plane_bytes(const struct rabitq *rabitq) { return rabitq->padded / 8; }

static int64_t rabitq_factor_bytes(const struct rabitq *rabitq) { return rabitq->bits > 1 ? 12 : 8; }

static struct rabitq_factors rabitq_factors_of(const struct rabitq *rabitq, const uint8_t *code)
{
    struct rabitq_factors factors = {0, 0, 0};
    memcpy(&factors, code + rabitq->bits * rabitq_plane_bytes(rabitq), (size_t)rabitq_factor_bytes(rabitq));
    if (rabitq->bits == 1) factors.first_scale = factors.scale;
    return factors;
}

/* u - middle = w. */
static float rabitq_middle(const struct rabitq *rabitq) { return 0.5f * (float)((1 << rabitq->bits) - 1); }

/* The largest scale: with it no entry of a reconstruction is above RABITQ_LONGEST, whatever w is. */
static double rabitq_most_scale(const struct rabitq *rabitq)
{
    return RABITQ_LONGEST / ((double)rabitq_middle(rabitq) * sqrt((double)rabitq->live));
}

/* Length of a vector whose square may be outside the range of f32. */
static double rabitq_length(const float *x, int64_t count)
{
    float fast = sonde__kernels_get()->norm2(x, count);
    if (fast > 1e-20f && fast < 1e30f) return sqrt((double)fast);
    double sum = 0;
    for (int64_t j = 0; j < count; j++) sum += (double)x[j] * x[j];
    return sqrt(sum);
}

/* `padded` values to as many. */
static void rabitq_rotate(const struct rabitq *rabitq, const float *x, float *out)
{
    if (rabitq->signs) sonde__fht_rotate(rabitq->padded, rabitq->signs, x, out);
    else memcpy(out, x, (size_t)rabitq->padded * sizeof *out);
}

/* Rotates `dim` values by way of their direction, so that nothing overflows on the way. */
static void rabitq_turn(const struct rabitq *rabitq, const float *x, int64_t dim, float *out)
{
    float work[RABITQ_DIM];
    double length = rabitq_length(x, dim);
    for (int64_t j = 0; j < dim; j++) work[j] = length > 0 ? (float)(x[j] / length) : 0;
    memset(work + dim, 0, (size_t)(rabitq->padded - dim) * sizeof *work);
    rabitq_rotate(rabitq, work, out);
    for (int64_t j = 0; j < rabitq->padded; j++) out[j] = (float)(out[j] * length);
}

/* ---- training ------------------------------------------------------------------------------------------ */

/* One training: the mean of every column. */
struct rabitq_training {
    const float *x;
    int64_t n, dim;
    float *mean;
};

static sonde_status rabitq_mean_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct rabitq_training *t = context;
    double sum[RABITQ_COLUMNS] = {0};
    (void)worker;
    for (int64_t i = 0; i < t->n; i++)
        for (int64_t j = begin; j < end; j++) sum[j - begin] += t->x[i * t->dim + j];
    for (int64_t j = begin; j < end; j++)
        t->mean[j] = (float)fmax(-0.5 * FLT_MAX, fmin(0.5 * FLT_MAX, sum[j - begin] / (double)t->n));
    return SONDE_OK;
}

/* Takes the centre over; on failure nothing has changed and it stays the caller's. */
static sonde_status rabitq_adopt(sonde_quantizer *quantizer, float *centre)
{
    struct rabitq *rabitq = quantizer->state;
    float *turned;
    SONDE_TRY(SONDE_NEW(quantizer->runtime, turned, rabitq->padded));
    rabitq_turn(rabitq, centre, quantizer->dim, turned);
    sonde__free(quantizer->runtime, rabitq->centre);
    sonde__free(quantizer->runtime, rabitq->turned);
    rabitq->centre = centre;
    rabitq->turned = turned;
    rabitq->length = rabitq_length(centre, quantizer->dim);
    return SONDE_OK;
}

/* The old centre stays until the new one is complete. */
static sonde_status rabitq_train(sonde_quantizer *quantizer, const sonde__training *training)
{
    struct rabitq_training t = {.x = training->x, .n = training->n, .dim = quantizer->dim};
    SONDE_TRY(SONDE_NEW(quantizer->runtime, t.mean, t.dim));
    sonde_status status = sonde__parallel_for(quantizer->runtime, training->threads, t.dim, RABITQ_COLUMNS,
                                              "rabitq: centre", rabitq_mean_chunk, &t);
    if (status == SONDE_OK) status = rabitq_adopt(quantizer, t.mean);
    if (status != SONDE_OK) sonde__free(quantizer->runtime, t.mean);
    return status;
}

/* ---- planes -------------------------------------------------------------------------------------------- */

/* An 8 x 8 matrix of bits: bit c of byte r becomes bit r of byte c. Its own inverse. */
static inline uint64_t rabitq_transpose(uint64_t x)
{
    uint64_t t = (x ^ x >> 7) & 0x00aa00aa00aa00aau;
    x ^= t ^ t << 7;
    t = (x ^ x >> 14) & 0x0000cccc0000ccccu;
    x ^= t ^ t << 14;
    t = (x ^ x >> 28) & 0x00000000f0f0f0f0u;
    return x ^ t ^ t << 28;
}

/* u has `padded` values. */
static void rabitq_pack(const struct rabitq *rabitq, const uint8_t *u, uint8_t *planes)
{
    int64_t bytes = rabitq_plane_bytes(rabitq);
    for (int64_t p = 0; p < bytes; p++) {
        uint64_t eight;
        memcpy(&eight, u + 8 * p, sizeof eight);
        eight = rabitq_transpose(eight);
        for (int b = 0; b < rabitq->bits; b++)
            planes[(rabitq->bits - 1 - b) * bytes + p] = (uint8_t)(eight >> 8 * b);
    }
}

/* Bit j of a byte as byte j of a word, by table. */
#define RABITQ_SPREAD(n)                                                                                     \
    ((uint64_t)((n)&1) | (uint64_t)((n)&2) << 7 | (uint64_t)((n)&4) << 14 | (uint64_t)((n)&8) << 21 |        \
     (uint64_t)((n)&16) << 28 | (uint64_t)((n)&32) << 35 | (uint64_t)((n)&64) << 42 |                        \
     (uint64_t)((n)&128) << 49)
#define RABITQ_SPREAD_4(n) RABITQ_SPREAD(n), RABITQ_SPREAD(n + 1), RABITQ_SPREAD(n + 2), RABITQ_SPREAD(n + 3)
#define RABITQ_SPREAD_16(n)                                                                                  \
    RABITQ_SPREAD_4(n), RABITQ_SPREAD_4(n + 4), RABITQ_SPREAD_4(n + 8), RABITQ_SPREAD_4(n + 12)
#define RABITQ_SPREAD_64(n)                                                                                  \
    RABITQ_SPREAD_16(n), RABITQ_SPREAD_16(n + 16), RABITQ_SPREAD_16(n + 32), RABITQ_SPREAD_16(n + 48)
static const uint64_t rabitq_spread[256] = {RABITQ_SPREAD_64(0), RABITQ_SPREAD_64(64), RABITQ_SPREAD_64(128),
                                            RABITQ_SPREAD_64(192)};

/* w = u - middle; columns that do not count are 0. */
static void rabitq_to_weights(const struct rabitq *rabitq, const uint8_t *u, float *w)
{
    float middle = rabitq_middle(rabitq);
    sonde__kernels_get()->to_f32[SONDE__ROW_U8](u, rabitq->padded, w);
    for (int64_t j = 0; j < rabitq->live; j++) w[j] -= middle;
    for (int64_t j = rabitq->live; j < rabitq->padded; j++) w[j] = 0;
}

/* The `padded` values w of a code. */
static void rabitq_weights(const struct rabitq *rabitq, const uint8_t *planes, float *w)
{
    int64_t bytes = rabitq_plane_bytes(rabitq);
    uint8_t u[RABITQ_DIM];
    for (int64_t p = 0; p < bytes; p++) {
        uint64_t eight = 0;
        for (int b = 0; b < rabitq->bits; b++) eight = 2 * eight + rabitq_spread[planes[b * bytes + p]];
        memcpy(u + 8 * p, &eight, sizeof eight);
    }
    rabitq_to_weights(rabitq, u, w);
}

/* ---- codes --------------------------------------------------------------------------------------------- */

/* What one row is encoded in. */
struct rabitq_work {
    float *r, *o; /* `padded` values each */
    float *room;  /* of the exact fit, or NULL */
    float *slack; /* `padded` values each, for the alignment */
    int32_t *columns;
    uint8_t *u;
};

static sonde_status rabitq_work_take(const struct rabitq *rabitq, sonde__scratch *scratch,
                                     struct rabitq_work *work)
{
    SONDE_TRY(SONDE_SCRATCH(scratch, work->r, rabitq->padded));
    SONDE_TRY(SONDE_SCRATCH(scratch, work->o, rabitq->padded));
    SONDE_TRY(SONDE_SCRATCH(scratch, work->u, rabitq->padded));
    SONDE_TRY(SONDE_SCRATCH(scratch, work->slack, rabitq->padded));
    SONDE_TRY(SONDE_SCRATCH(scratch, work->columns, rabitq->padded));
    work->room = NULL;
    if (rabitq->exact) SONDE_TRY(SONDE_SCRATCH(scratch, work->room, SONDE__RABITQ_ROOM));
    return SONDE_OK;
}

/* Sum of |x|, in lanes so that it can be vectorised. */
static float rabitq_absolute_sum(const float *x, int64_t count)
{
    float lane[16] = {0}, sum = 0;
    int64_t whole = count / 16 * 16;
    for (int64_t j = 0; j < whole; j += 16)
        for (int l = 0; l < 16; l++) lane[l] += fabsf(x[j + l]);
    for (int64_t j = whole; j < count; j++) lane[j - whole] += fabsf(x[j]);
    for (int l = 0; l < 16; l++) sum += lane[l];
    return sum;
}

/* work->o = the rotated direction of x - centre. Returns |x - centre|; halves keep the difference finite. */
static double rabitq_direction(const sonde_quantizer *quantizer, const float *x,
                               const struct rabitq_work *work)
{
    const struct rabitq *rabitq = quantizer->state;
    int64_t dim = quantizer->dim;
    float *r = work->r;
    for (int64_t j = 0; j < dim; j++) r[j] = 0.5f * x[j];
    for (int64_t j = 0; rabitq->centre && j < dim; j++) r[j] -= 0.5f * rabitq->centre[j];
    double length = rabitq_length(r, dim);
    if (length == 0) return 0;
    double inverse = 1 / length;
    if (length > 1e-30) {
        float factor = (float)inverse;
        for (int64_t j = 0; j < dim; j++) r[j] *= factor;
    } else {
        for (int64_t j = 0; j < dim; j++) r[j] = (float)(r[j] * inverse);
    }
    memset(r + dim, 0, (size_t)(rabitq->padded - dim) * sizeof *r);
    rabitq_rotate(rabitq, r, work->o);
    return 2 * length;
}

/* Makes the error of the row's numbers orthogonal to the centre. */
static void rabitq_align(const struct rabitq *rabitq, double length, const struct rabitq_work *work)
{
    float along;
    if (!(rabitq->length > 0)) return;
    sonde__kernels_get()->ip_rows[SONDE__ROW_F32](work->o, rabitq->turned, 0, 1, rabitq->live, &along);
    const sonde__rabitq_aim aim = {.o = work->o, .centre = rabitq->turned, .row2 = length * length,
                                   .centre2 = rabitq->length * rabitq->length, .along = along,
                                   .slack = work->slack, .columns = work->columns, .d = rabitq->live,
                                   .bits = rabitq->bits};
    sonde__rabitq_align(&aim, work->r, work->u);
}

static void rabitq_encode_row(const sonde_quantizer *quantizer, const float *x,
                              const struct rabitq_work *work, uint8_t *code)
{
    const struct rabitq *rabitq = quantizer->state;
    double length = rabitq_direction(quantizer, x, work), most = rabitq_most_scale(rabitq);
    float product;
    memset(code, 0, (size_t)quantizer->code_bytes);
    if (length == 0) return;
    sonde__rabitq_fit(work->o, rabitq->live, rabitq->bits, work->room, work->u);
    memset(work->u + rabitq->live, 0, (size_t)(rabitq->padded - rabitq->live));
    rabitq_to_weights(rabitq, work->u, work->r);
    rabitq_align(rabitq, length, work);
    rabitq_pack(rabitq, work->u, code);
    sonde__kernels_get()->ip_rows[SONDE__ROW_F32](work->o, work->r, 0, 1, rabitq->live, &product);
    float first = rabitq->bits > 1 ? 0.5f * rabitq_absolute_sum(work->o, rabitq->live) : product;
    struct rabitq_factors factors = {.scale = (float)fmin(length / product, most),
                                     .length = (float)fmin(length, RABITQ_LONGEST),
                                     .first_scale = (float)fmin(length / first, most)};
    memcpy(code + rabitq->bits * rabitq_plane_bytes(rabitq), &factors, (size_t)rabitq_factor_bytes(rabitq));
}

static sonde_status rabitq_encode(const sonde_quantizer *quantizer, const float *x, int64_t ldx, int64_t n,
                                  uint8_t *codes, int64_t stride)
{
    struct rabitq_work work;
    sonde__scratch *scratch = NULL;
    SONDE_TRY(sonde__scratch_take(quantizer->runtime, &scratch));
    sonde_status status = rabitq_work_take(quantizer->state, scratch, &work);
    for (int64_t i = 0; status == SONDE_OK && i < n; i++)
        rabitq_encode_row(quantizer, x + i * ldx, &work, codes + i * stride);
    sonde__scratch_give(quantizer->runtime, scratch);
    return status;
}

static void rabitq_decode(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n,
                          float *x, int64_t ldx)
{
    const struct rabitq *rabitq = quantizer->state;
    float w[RABITQ_DIM];
    for (int64_t i = 0; i < n; i++) {
        float scale = rabitq_factors_of(rabitq, codes + i * stride).scale, *row = x + i * ldx;
        rabitq_weights(rabitq, codes + i * stride, w);
        if (rabitq->signs) sonde__fht_rotate_back(rabitq->padded, rabitq->signs, w, w);
        for (int64_t j = 0; j < quantizer->dim; j++)
            row[j] = (rabitq->centre ? rabitq->centre[j] : 0) + scale * w[j];
    }
}

/* NaN is in no range. */
static bool rabitq_within(float value, double most)
{
    return value >= 0 && (double)value <= most * (1 + 1e-6);
}

/* true if the columns of a plane that do not count are zero. */
static bool rabitq_tail_zero(const struct rabitq *rabitq, const uint8_t *plane)
{
    for (int64_t j = rabitq->live; j < rabitq->padded; j++)
        if (plane[j / 8] >> j % 8 & 1) return false;
    return true;
}

static bool rabitq_valid(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n)
{
    const struct rabitq *rabitq = quantizer->state;
    double most = rabitq_most_scale(rabitq);
    for (int64_t i = 0; i < n; i++) {
        struct rabitq_factors factors = rabitq_factors_of(rabitq, codes + i * stride);
        if (!rabitq_within(factors.scale, most) || !rabitq_within(factors.first_scale, most) ||
            !rabitq_within(factors.length, RABITQ_LONGEST))
            return false;
        for (int b = 0; b < rabitq->bits; b++)
            if (!rabitq_tail_zero(rabitq, codes + i * stride + b * rabitq_plane_bytes(rabitq))) return false;
    }
    return true;
}

/* ---- scanning ------------------------------------------------------------------------------------------ */

/* Table: <query, centre> in 64 bytes, the rotated query, and its sums by nibble. */
static int64_t rabitq_table_bytes(const sonde_quantizer *quantizer)
{
    const struct rabitq *rabitq = quantizer->state;
    return 64 + 5 * rabitq->padded * (int64_t)sizeof(float);
}

/* table[j * 16 + nibble] = sum of +-1/2 of four columns of the rotated query. */
static void rabitq_half_signs(const struct rabitq *rabitq, const float *turned, float *table)
{
    sonde__codes_sign_table(turned, rabitq->padded, table);
    for (int64_t j = 0; j < 4 * rabitq->padded; j++) table[j] *= 0.5f;
}

static void rabitq_table(const sonde_quantizer *quantizer, const float *query, void *table)
{
    const struct rabitq *rabitq = quantizer->state;
    float *out = table;
    double bias = 0;
    for (int64_t j = 0; rabitq->centre && j < quantizer->dim; j++)
        bias += (double)query[j] * rabitq->centre[j];
    memset(out, 0, 64);
    out[0] = (float)bias;
    rabitq_turn(rabitq, query, quantizer->dim, out + 16);
    rabitq_half_signs(rabitq, out + 16, out + 16 + rabitq->padded);
}

/* Up to RABITQ_ROWS rows, plane by plane. */
static void rabitq_scan_block(const struct rabitq *rabitq, const float *table, const uint8_t *codes,
                              int64_t stride, int64_t count, float *ip)
{
    float plane[RABITQ_ROWS], sum[RABITQ_ROWS] = {0};
    for (int b = 0; b < rabitq->bits; b++) {
        sonde__kernels_get()->lookup_4(table + 16 + rabitq->padded, codes + b * rabitq_plane_bytes(rabitq),
                                       stride, count, rabitq->padded / 4, plane);
        for (int64_t i = 0; i < count; i++) sum[i] = 2 * sum[i] + plane[i];
    }
    for (int64_t i = 0; i < count; i++)
        ip[i] = sum[i] * rabitq_factors_of(rabitq, codes + i * stride).scale + table[0];
}

static void rabitq_scan(const sonde_quantizer *quantizer, const void *table, const uint8_t *codes,
                        int64_t stride, int64_t n, float *ip)
{
    for (int64_t i = 0; i < n; i += RABITQ_ROWS)
        rabitq_scan_block(quantizer->state, table, codes + i * stride, stride,
                          sonde__min_i64(RABITQ_ROWS, n - i), ip + i);
}

/* Panel: <query, centre> of the lanes, then the rotated queries. */
static int64_t rabitq_panel_bytes(const sonde_quantizer *quantizer)
{
    const struct rabitq *rabitq = quantizer->state;
    return (SONDE__LANES_MAX + rabitq->padded * sonde__kernels_get()->lanes) * (int64_t)sizeof(float);
}

static void rabitq_panel(const sonde_quantizer *quantizer, const void *const *tables, int64_t count,
                         void *panel)
{
    const struct rabitq *rabitq = quantizer->state;
    const sonde__kernels *kernels = sonde__kernels_get();
    const void *turned[SONDE__LANES_MAX];
    float *bias = panel;
    memset(bias, 0, SONDE__LANES_MAX * sizeof *bias);
    for (int64_t i = 0; i < count; i++) {
        const float *table = tables[i];
        bias[i] = table[0];
        turned[i] = table + 16;
    }
    kernels->pack_panel(turned, count, rabitq->padded, kernels->lanes, bias + SONDE__LANES_MAX);
}

/* Rows are unpacked once for all lanes. */
static void rabitq_scan_panel(const sonde_quantizer *quantizer, const void *panel, const uint8_t *codes,
                              int64_t stride, int64_t n, float *tile)
{
    const struct rabitq *rabitq = quantizer->state;
    const sonde__kernels *kernels = sonde__kernels_get();
    const float *bias = panel;
    float w[RABITQ_DIM];
    int64_t d = rabitq->padded, lanes = kernels->lanes, most = sonde__max_i64(1, RABITQ_PANEL_FLOATS / d);
    for (int64_t i = 0; i < n; i += most) {
        int64_t count = sonde__min_i64(most, n - i);
        float *out = tile + i * lanes;
        for (int64_t r = 0; r < count; r++) rabitq_weights(rabitq, codes + (i + r) * stride, w + r * d);
        kernels->tile_f32(bias + SONDE__LANES_MAX, w, d * (int64_t)sizeof *w, count, d, out);
        for (int64_t r = 0; r < count; r++) {
            float scale = rabitq_factors_of(rabitq, codes + (i + r) * stride).scale;
            for (int64_t l = 0; l < lanes; l++) out[r * lanes + l] = out[r * lanes + l] * scale + bias[l];
        }
    }
}

/* ---- fast scan, errors, lengths ------------------------------------------------------------------------ */

static int64_t rabitq_nibbles(const sonde_quantizer *quantizer)
{
    const struct rabitq *rabitq = quantizer->state;
    return rabitq->padded / 4;
}

/* Without <query, centre>, which no scale of a row may multiply. */
static void rabitq_nibble_table(const sonde_quantizer *quantizer, const float *query, float *table,
                                float *base)
{
    const struct rabitq *rabitq = quantizer->state;
    float turned[RABITQ_DIM];
    rabitq_turn(rabitq, query, quantizer->dim, turned);
    rabitq_half_signs(rabitq, turned, table);
    *base = 0;
}

/* One plane is all of a code of one bit. */
static bool rabitq_finer(const sonde_quantizer *quantizer)
{
    const struct rabitq *rabitq = quantizer->state;
    return rabitq->bits > 1;
}

static float rabitq_nibble_offset(const sonde_quantizer *quantizer, const float *query)
{
    const struct rabitq *rabitq = quantizer->state;
    double sum = 0;
    for (int64_t j = 0; rabitq->centre && j < quantizer->dim; j++)
        sum += (double)query[j] * rabitq->centre[j];
    return (float)sum;
}

static void rabitq_nibble_scales(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride,
                                 int64_t n, float *scale)
{
    for (int64_t i = 0; i < n; i++)
        scale[i] = rabitq_factors_of(quantizer->state, codes + i * stride).first_scale;
}

/* |w|^2 of a code, which for 1 bit is the same for all. */
static double rabitq_weight2(const struct rabitq *rabitq, const uint8_t *code)
{
    float w[RABITQ_DIM];
    if (rabitq->bits == 1) return 0.25 * (double)rabitq->live;
    rabitq_weights(rabitq, code, w);
    return (double)sonde__kernels_get()->norm2(w, rabitq->live);
}

/* The larger of |query| and |query - centre|. */
static double rabitq_reach(const sonde_quantizer *quantizer, const float *query)
{
    const struct rabitq *rabitq = quantizer->state;
    double plain = 0, centred = 0;
    for (int64_t j = 0; j < quantizer->dim; j++) {
        double difference = (double)query[j] - (rabitq->centre ? rabitq->centre[j] : 0);
        plain += (double)query[j] * query[j];
        centred += difference * difference;
    }
    return sqrt(fmax(plain, centred));
}

static void rabitq_errors(const sonde_quantizer *quantizer, const float *query, const uint8_t *codes,
                          int64_t stride, int64_t n, float *error)
{
    const struct rabitq *rabitq = quantizer->state;
    double reach = rabitq_reach(quantizer, query), eps0 = sonde__param_real(quantizer->params, "eps0");
    double freedom = (double)sonde__max_i64(1, rabitq->live - 1);
    for (int64_t i = 0; i < n; i++) {
        struct rabitq_factors factors = rabitq_factors_of(rabitq, codes + i * stride);
        double length = factors.length, scale = factors.scale;
        double apart2 = scale * scale * rabitq_weight2(rabitq, codes + i * stride) - length * length;
        double rounding = RABITQ_ROUNDING * (length + rabitq->length);
        error[i] = (float)fmin(reach * (eps0 * sqrt(fmax(apart2, 0) / freedom) + rounding), FLT_MAX);
    }
}

/* |r|^2 + |centre|^2 + 2 <centre, reconstruction - centre>. */
static void rabitq_norms(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n,
                         float *norm2)
{
    const struct rabitq *rabitq = quantizer->state;
    float w[RABITQ_DIM], product = 0;
    for (int64_t i = 0; i < n; i++) {
        struct rabitq_factors factors = rabitq_factors_of(rabitq, codes + i * stride);
        if (rabitq->centre) {
            rabitq_weights(rabitq, codes + i * stride, w);
            sonde__kernels_get()->ip_rows[SONDE__ROW_F32](rabitq->turned, w, 0, 1, rabitq->live, &product);
        }
        double sum = (double)factors.length * factors.length + rabitq->length * rabitq->length +
                     2.0 * factors.scale * product;
        norm2[i] = (float)fmax(0, fmin(sum, FLT_MAX));
    }
}

/* ---- the method ---------------------------------------------------------------------------------------- */

static sonde_status rabitq_save(const sonde_quantizer *quantizer, sonde__writer *writer)
{
    const struct rabitq *rabitq = quantizer->state;
    if (rabitq->signs)
        SONDE_TRY(sonde__write_array(writer, "SIGNS", rabitq->signs,
                                     (uint64_t)sonde__fht_sign_bytes(rabitq->padded), 1));
    if (!rabitq->centre) return SONDE_OK;
    return sonde__write_array(writer, "CENTRE", rabitq->centre, (uint64_t)quantizer->dim, sizeof(float));
}

/* Any bits are signs, so size and checksum are all there is to check. */
static sonde_status rabitq_load_signs(const sonde_quantizer *quantizer, sonde__reader *reader)
{
    const struct rabitq *rabitq = quantizer->state;
    sonde__blob blob;
    SONDE_TRY(
        sonde__read_array(reader, "SIGNS", (uint64_t)sonde__fht_sign_bytes(rabitq->padded), 1, true, &blob));
    memcpy(rabitq->signs, blob.data, blob.bytes);
    sonde__blob_free(quantizer->runtime, &blob);
    return SONDE_OK;
}

static sonde_status rabitq_load(sonde_quantizer *quantizer, sonde__reader *reader)
{
    const struct rabitq *rabitq = quantizer->state;
    float *centre = NULL;
    if (rabitq->signs) SONDE_TRY(rabitq_load_signs(quantizer, reader));
    if (sonde__param_is(quantizer->params, "center", "none")) return SONDE_OK;
    SONDE_TRY(sonde__handle_floats(quantizer->runtime, reader, "CENTRE", (uint64_t)quantizer->dim, &centre));
    sonde_status status = SONDE_OK;
    for (int64_t j = 0; status == SONDE_OK && j < quantizer->dim; j++)
        if (fabsf(centre[j]) > 0.5f * FLT_MAX)
            status = sonde__fail(SONDE_CORRUPT,
                                 "section \"CENTRE\": column %lld is %g, above half the range of f32",
                                 (long long)j, (double)centre[j]);
    if (status == SONDE_OK) status = rabitq_adopt(quantizer, centre);
    if (status != SONDE_OK) sonde__free(quantizer->runtime, centre);
    return status;
}

static void rabitq_drop(sonde_quantizer *quantizer)
{
    struct rabitq *rabitq = quantizer->state;
    if (rabitq) {
        sonde__free(quantizer->runtime, rabitq->signs);
        sonde__free(quantizer->runtime, rabitq->centre);
        sonde__free(quantizer->runtime, rabitq->turned);
    }
    sonde__free(quantizer->runtime, rabitq);
}

static uint64_t rabitq_learned_bytes(const sonde_quantizer *quantizer)
{
    const struct rabitq *rabitq = quantizer->state;
    uint64_t signs = rabitq->signs ? (uint64_t)sonde__fht_sign_bytes(rabitq->padded) : 0;
    if (sonde__param_is(quantizer->params, "center", "none")) return signs;
    return signs + (uint64_t)(quantizer->dim + rabitq->padded) * sizeof(float);
}

static sonde_status rabitq_create(sonde_quantizer *quantizer);

static const sonde__key rabitq_keys[] = {
    {"bits", SONDE__KEY_INT, "1", 1, 8, NULL, NULL, "bits a column"},
    {"rotation", SONDE__KEY_WORD, "fht", 0, 0, "fht|none", NULL,
     "fast random rotation, or none for columns that are alike already (then the bound is no promise)"},
    {"fit", SONDE__KEY_WORD, "auto", 0, 0, "auto|exact|fast", NULL,
     "the scale of a row before rounding: the best of many, or one for all; auto: exact from 6 bits on"},
    {"eps0", SONDE__KEY_REAL, "3.3", 0, 1000, NULL, NULL,
     "standard errors in the bound: 3.3 holds for 99.9 % of all pairs, 1.9 for 94 %"},
    {"center", SONDE__KEY_WORD, "mean", 0, 0, "mean|none", NULL,
     "what is subtracted first: the mean of the training rows, or nothing"},
    {"seed", SONDE__KEY_INT, "1", 0, 9007199254740992.0, NULL, NULL, "which rotation"},
    {0},
};

/* All but train. */
#define RABITQ_COMMON                                                                                        \
    .method = {"rabitq",                                                                                     \
               "rotated codes of 1 to 8 bits a column, unbiased, with an error bound",                       \
               "Gao, Long: RaBitQ (2024); Gao et al.: multi-bit RaBitQ (2025)",                              \
               rabitq_keys,                                                                                  \
               sonde__vectors_input,                                                                         \
               NULL,                                                                                         \
               NULL},                                                                                        \
    .create = rabitq_create, .encode = rabitq_encode, .decode = rabitq_decode, .valid = rabitq_valid,        \
    .table_bytes = rabitq_table_bytes, .table = rabitq_table, .scan = rabitq_scan,                           \
    .panel_bytes = rabitq_panel_bytes, .panel = rabitq_panel, .scan_panel = rabitq_scan_panel,               \
    .nibbles = rabitq_nibbles, .nibble_table = rabitq_nibble_table, .nibble_scales = rabitq_nibble_scales,   \
    .nibble_offset = rabitq_nibble_offset, .finer = rabitq_finer,                                            \
    .errors = rabitq_errors, .norms = rabitq_norms, .learned_bytes = rabitq_learned_bytes,                   \
    .save = rabitq_save, .load = rabitq_load, .drop = rabitq_drop

const sonde__quantizer_method sonde__quantizer_rabitq = {RABITQ_COMMON, .train = rabitq_train};
static const sonde__quantizer_method rabitq_uncentred = {RABITQ_COMMON};

/* Signs exist from the start: they follow from the spec, or a file replaces them. */
static sonde_status rabitq_create(sonde_quantizer *quantizer)
{
    const sonde__params *params = quantizer->params;
    if (quantizer->dim > RABITQ_DIM)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "rabitq: dim=%lld is above %d, the most that it takes",
                           (long long)quantizer->dim, RABITQ_DIM);
    struct rabitq *rabitq;
    SONDE_TRY(SONDE_NEW_ZERO(quantizer->runtime, rabitq, 1));
    quantizer->state = rabitq;
    rabitq->bits = (int)sonde__param_int(params, "bits");
    rabitq->exact = rabitq->bits > 1 && (sonde__param_is(params, "fit", "exact") ||
                                         (rabitq->bits >= 6 && sonde__param_is(params, "fit", "auto")));
    rabitq->padded = rabitq->live = sonde__fht_padded(quantizer->dim);
    quantizer->code_bytes = rabitq->bits * rabitq_plane_bytes(rabitq) + rabitq_factor_bytes(rabitq);
    quantizer->min_rows = 1;
    if (sonde__param_is(params, "center", "none")) {
        quantizer->method = &rabitq_uncentred; /* nothing is to be learned */
        quantizer->trained = true;
    }
    if (sonde__param_is(params, "rotation", "none")) {
        rabitq->live = quantizer->dim;
        return SONDE_OK;
    }
    SONDE_TRY(SONDE_NEW(quantizer->runtime, rabitq->signs, sonde__fht_sign_bytes(rabitq->padded)));
    sonde__fht_signs(rabitq->padded, (uint64_t)sonde__param_int(params, "seed"), rabitq->signs);
    return SONDE_OK;
}
