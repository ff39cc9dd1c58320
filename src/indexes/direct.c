/* direct.c: the exact score of one query with one stored row, and the bound that lets a fast scan skip all others.
 *
 * The fast loops (panels of queries, several rows at once) add in an order that depends on the path, so their scores
 * differ in the last bits between a single query and a batch; and for l2 they use 2 q.x - |x|^2, which cancels.
 * Answers must not depend on any of that. So what a flat search keeps are direct scores, made by one kernel call for
 * one row, always the same way:
 *     l2 -sum (q - x)^2      ip q.x      cosine q.x / (|q| |x|)
 * and the scan only has to name a superset of the rows that matter. It computes, for every row, an upper bound
 *     l2      2 q.x - (1-m) |x|^2 - (1-m) |q|^2   >= direct score        prepared query 2 q,     bias   -(1-m) |x|^2
 *     ip      q.x / |q| + m |x|                   >= direct score / |q|  prepared query q / |q|, bias   m |x|
 *     cosine  (q / |q|).x / |x| + m               >= direct score        prepared query q / |q|, scale  1 / |x|
 * with m = 4 (dim + 32) u, u = 2^-24. Why m suffices: a sum of dim products errs by at most dim u |q| |x| in any order
 * (Higham 2002, chapter 3), and 2 |q| |x| <= |q|^2 + |x|^2. The bound costs a rescored row now and then (m is 1e-4 at
 * dim 384), and makes the k best exact and the same for every path, batch size and number of threads. Products that
 * underflow err by up to 2^-150 each instead, which the offset takes in.
 *
 * The first pass replaces q.x, q being the prepared query, by a bound from whole numbers. A row is x = x^ + e with the
 * image x^ = step (bytes - 128), a query q = q^ + d with q^ = scale codes, and by Cauchy-Schwarz
 *     q.x = q^.x^ + q.e + d.x^ <= scale step sum(codes (bytes - 128)) + |q| |e| + |d| (|x| + |e|)
 * So a lane has the factors scale, reach = |q| + |d| and blur = |d|, and a row step, error = |e| and length = |x|, with
 * the same bias and scale as above (for cosine, step and error are divided by |x| and the length is 1). Another m |x| in
 * the error pays for all roundings on the way to the bound. Rows so short or long that
 * this could under- or overflow get an empty image, and all of x is the error. The pass needs a quarter of the bytes and
 * of the multiply-adds of f32; its bound, about 0.02 |q| |x| wide, leaves a row in a thousand or so to the direct score.
 *
 * SPDX-License-Identifier: MIT
 */
#include <float.h>
#include <math.h>

#include "indexes/direct.h"

#define NORM_CHUNK 512
#define UNDERFLOW 0x1p-125 /* more than all products of a row lose that are too small for f32 */
#define IMAGE_MOST 127     /* of a row's numbers */
#define COARSE_MOST 64     /* of a query's: tile_u8s8 */

static double margin(int64_t dim)
{
    return (double)(dim + 32) * 0x1p-22;
}

/* ---- direct scores ----------------------------------------------------------------------------------- */

static float dot(int row_kind, const float *query, const void *row, int64_t dim)
{
    float ip;
    sonde__kernels_get()->ip_rows[row_kind](query, row, 0, 1, dim, &ip);
    return ip;
}

/* The f32 kernel that also makes q.x sums q.q and x.x, so that a vector has cosine 1 with itself. */
static double length2_of(int row_kind, const void *row, int64_t dim)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    if (row_kind == SONDE__ROW_F32) return dot(SONDE__ROW_F32, row, row, dim);
    static const int64_t element_bytes[SONDE__ROW_KINDS] = {4, 2, 2, 1, 1};
    float chunk[NORM_CHUNK];
    double sum = 0;
    for (int64_t j = 0; j < dim; j += NORM_CHUNK) {
        int64_t n = sonde__min_i64(NORM_CHUNK, dim - j);
        kernels->to_f32[row_kind]((const uint8_t *)row + j * element_bytes[row_kind], n, chunk);
        sum += dot(SONDE__ROW_F32, chunk, chunk, n);
    }
    return sum;
}

static int64_t whole_ip(int row_kind, const void *a, const void *b, int64_t dim)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    int64_t out;
    if (row_kind == SONDE__ROW_I8) kernels->ip_i8(a, b, 0, 1, dim, &out);
    else kernels->ip_u8(a, b, 0, 1, dim, &out);
    return out;
}

static int64_t whole_l2(int row_kind, const void *a, const void *b, int64_t dim)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    int64_t out;
    if (row_kind == SONDE__ROW_I8) kernels->l2_i8(a, b, 0, 1, dim, &out);
    else kernels->l2_u8(a, b, 0, 1, dim, &out);
    return out;
}

/* length2 values below FLT_MIN have lost their digits: such a vector counts as zero. */
static double length_or_zero(double length2)
{
    return length2 < (double)FLT_MIN ? 0 : sqrt(length2);
}

static float cosine(const sonde__direct *direct, double ip, double row_length2)
{
    double lengths = direct->length * length_or_zero(row_length2);
    if (lengths == 0) return 0;
    double similarity = ip / lengths;
    return (float)(similarity > 1 ? 1 : similarity < -1 ? -1 : similarity);
}

static float whole_score(const sonde__direct *direct, const void *row)
{
    int kind = direct->row_kind;
    if (direct->metric == SONDE_METRIC_L2) return -(float)whole_l2(kind, direct->query, row, direct->dim);
    double ip = (double)whole_ip(kind, direct->query, row, direct->dim);
    if (direct->metric == SONDE_METRIC_IP) return (float)ip;
    return cosine(direct, ip, (double)whole_ip(kind, row, row, direct->dim));
}

float sonde__direct_score(const sonde__direct *direct, const void *row)
{
    if (direct->whole) return whole_score(direct, row);
    int kind = direct->row_kind;
    if (direct->metric == SONDE_METRIC_L2) {
        float l2;
        sonde__kernels_get()->l2_rows[kind](direct->query, row, 0, 1, direct->dim, &l2);
        return -l2;
    }
    float ip = dot(kind, direct->query, row, direct->dim);
    return direct->metric == SONDE_METRIC_IP ? ip : cosine(direct, ip, length2_of(kind, row, direct->dim));
}

/* ---- the bound --------------------------------------------------------------------------------------- */

void sonde__direct_init(sonde__direct *direct, uint32_t metric, int row_kind, bool whole, const void *query,
                        int64_t dim)
{
    *direct = (sonde__direct){
        .metric = metric, .row_kind = row_kind, .whole = whole, .dim = dim, .query = query};
    double length2 = length2_of(whole ? row_kind : SONDE__ROW_F32, query, dim);
    direct->length = length_or_zero(length2);
    direct->slope = 1;
    if (metric == SONDE_METRIC_L2) direct->offset = (1 - margin(dim)) * length2;
    /* A zero query stays unscaled; its bound is then looser, never wrong. */
    else if (metric == SONDE_METRIC_IP && direct->length > 0) direct->slope = 1 / direct->length;
    else if (metric == SONDE_METRIC_COSINE) direct->offset = -margin(dim);
    direct->offset -= UNDERFLOW * (direct->slope > 1 ? direct->slope : 1);
}

void sonde__direct_prepare(const sonde__direct *direct, const float *from, float *to)
{
    double factor = direct->metric == SONDE_METRIC_L2 ? 2 : direct->length > 0 ? 1 / direct->length : 1;
    for (int64_t j = 0; j < direct->dim; j++) to[j] = (float)(from[j] * factor);
}

float sonde__direct_column(uint32_t metric, int64_t dim, float length2)
{
    double length = length_or_zero(length2);
    if (metric == SONDE_METRIC_L2) return (float)(-(1 - margin(dim)) * length2);
    if (metric == SONDE_METRIC_IP) return (float)(margin(dim) * sqrt(length2));
    return length > 0 ? (float)(1 / length) : 0;
}

bool sonde__direct_column_fits(uint32_t metric, int64_t dim, float length2, float stored)
{
    float expected = sonde__direct_column(metric, dim, length2);
    return fabs((double)stored - expected) <= margin(dim) * fabs((double)expected);
}

/* ---- the first pass ---------------------------------------------------------------------------------- */

void sonde__direct_coarse(sonde__direct *direct, const float *prepared, int8_t *codes)
{
    sonde__quantised what;
    sonde__kernels_get()->quantise(prepared, direct->dim, COARSE_MOST, codes, &what);
    direct->coarse = (sonde__coarse){.codes = codes,
                                     .shift = 128 * what.sum,
                                     .scale = what.step,
                                     .reach = what.length + what.lost,
                                     .blur = what.lost};
}

void sonde__image_make(uint32_t metric, int64_t dim, const float *x, float length2, uint8_t *image, float terms[2])
{
    sonde__quantised what;
    sonde__kernels_get()->quantise(x, dim, IMAGE_MOST, (int8_t *)image, &what);
    for (int64_t j = 0; j < dim; j++) image[j] ^= 128;
    double error = what.lost + margin(dim) * what.length;
    if (metric == SONDE_METRIC_COSINE) error = what.step > 0 ? error / sqrt(length2) : 1 + margin(dim);
    terms[0] = metric == SONDE_METRIC_COSINE && what.step > 0 ? (float)(what.step / sqrt(length2)) : what.step;
    terms[1] = (float)error;
}

static bool nearly(float a, float b, double relative)
{
    return fabs((double)a - b) <= relative * fabs((double)b);
}

bool sonde__image_fits(uint32_t metric, int64_t dim, const float *x, float length2, const uint8_t *image,
                       const float terms[2], uint8_t *again)
{
    float expected[2];
    sonde__image_make(metric, dim, x, length2, again, expected);
    return memcmp(image, again, (size_t)dim) == 0 && nearly(terms[0], expected[0], margin(dim)) &&
           nearly(terms[1], expected[1], margin(dim));
}

void sonde__image_terms(uint32_t metric, int64_t dim, const float *terms, const float *number, int64_t count,
                        float *const to[4])
{
    double m = margin(dim);
    float per_number = (float)((1 + m) / m), per_square = (float)((1 + m) / (1 - m));
    bool cosine = metric == SONDE_METRIC_COSINE;
    for (int64_t i = 0; i < count; i++) {
        to[0][i] = terms[2 * i];
        to[1][i] = terms[2 * i + 1];
        to[2][i] = 1;
        to[3][i] = cosine ? 0 : number[i];
    }
    if (metric == SONDE_METRIC_IP)
        for (int64_t i = 0; i < count; i++) to[2][i] = number[i] * per_number;
    if (metric == SONDE_METRIC_L2)
        for (int64_t i = 0; i < count; i++) to[2][i] = sqrtf(-number[i] * per_square);
}

/* ---- a list of candidates ---------------------------------------------------------------------------- */

void sonde__rescore(uint32_t metric, int row_kind, int column, int64_t width, const sonde__snapshot *snapshot,
                    const float *query, int64_t dim, sonde__top *top)
{
    sonde__direct direct;
    sonde__direct_init(&direct, metric, row_kind, false, query, dim);
    for (int64_t i = 0; i < top->count; i++) {
        sonde__place place = top->hits[i].place;
        const uint8_t *rows = sonde__place_in(snapshot, place)->column[column];
        top->hits[i].score = sonde__direct_score(&direct, rows + sonde__place_row(place) * width);
    }
    sonde__top_sort(top);
}
