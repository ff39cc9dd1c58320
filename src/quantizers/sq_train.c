/* sq_train.c: what scalar quantization learns: the range of a column, and for levels=lloyd the values inside
 * it.
 *
 * `minmax` takes the least and largest value. `best` clips the range at mean +- c deviations, for the c of a
 * short list with the least squared error on a sample. `shared` does the same once, for the values of all
 * columns together.
 *
 * Lloyd-Max (Max 1960, Lloyd 1982) goes on from the evenly spaced values of that range, and from levels that
 * are dense where values are: every value to its nearest level, every level to the mean of its values, until
 * nothing moves. On sorted values a cell is a stretch, whose mean is a difference of prefix sums; so a round
 * takes 2^bits binary searches, and never raises the error.
 *
 * Cost: one pass over the rows, 15 over the sample; lloyd: sorting the sample of each column, and at most
 * LLOYD_ROUNDS rounds of 2^bits log2(sample).
 *
 * SPDX-License-Identifier: MIT
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "kernels/blocks.h"
#include "quantizers/sq.h"

enum {
    SQ_COLUMNS = 16, /* columns that one work item takes: a cache line of a row */
    SQ_POOLED = 1 << 20, /* values of all columns that a shared range is chosen on */
    SQ_LLOYD_ROUNDS = 200
};

/* What the columns of one training share; what is learned is written column by column. */
struct sq_training {
    sonde_runtime *runtime;
    const float *x;
    int64_t n, dim;
    int64_t *sample;
    int64_t sampled;
    const sonde__sq *sq;
    bool best;
    double *least, *most; /* dim each: what the rows hold */
    sonde__sq_learned learned;
};

/* In double, because high - low of floats can overflow. */
struct sq_range {
    double low, high;
};

bool sonde__sq_step_fits(float low, float step, int bits)
{
    return step >= 0 && isfinite(low + step * sonde__sq_top(bits));
}

/* ---- ranges ---------------------------------------------------------------------------------------------------- */

/* Squared error of rounding `count` values within a range. */
static double sq_error(const float *values, int64_t count, struct sq_range range, int bits)
{
    float top = sonde__sq_top(bits), low = (float)range.low, step = (float)((range.high - range.low) / top);
    float inverse = sonde__sq_inverse(step);
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        float c = (values[i] - low) * inverse + 0.5f;
        c = c > 0 ? c : 0;
        c = c < top ? c : top;
        float error = values[i] - (low + step * (float)(int32_t)c);
        sum += (double)error * error;
    }
    return sum;
}

/* The clipped range with the least error on the sampled values. The first three are only for fewer than 4
 * bits. */
static struct sq_range sq_best_range(const float *values, int64_t count, struct sq_range full, int bits)
{
    static const double widths[] = {0.8, 1, 1.25, 1.5, 1.75, 2, 2.25, 2.5, 2.75, 3, 3.25, 3.5, 4, 4.5, 5, 6, 8};
    double sum = 0, squares = 0, least = sq_error(values, count, full, bits);
    struct sq_range best = full;
    for (int64_t i = 0; i < count; i++) sum += values[i];
    double mean = sum / (double)count;
    for (int64_t i = 0; i < count; i++) squares += (values[i] - mean) * (values[i] - mean);
    double deviation = sqrt(squares / (double)count);
    for (size_t w = bits < 4 ? 0 : 3; w < sizeof widths / sizeof widths[0]; w++) {
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
static void sq_spacing(struct sq_range range, int bits, float *low, float *step)
{
    double from = fmax(range.low, -0.5 * FLT_MAX), to = fmin(range.high, 0.5 * FLT_MAX);
    *low = (float)from;
    *step = (float)(fmax(to - from, 0) / sonde__sq_top(bits));
    if (!sonde__sq_step_fits(*low, *step, bits)) *step = nextafterf(*step, 0);
}

/* ---- levels ---------------------------------------------------------------------------------------------------- */

/* How many of the ascending values are at most `border`. */
static int64_t sq_below(const float *values, int64_t n, double border)
{
    int64_t from = 0;
    while (n > 0) {
        int64_t half = n / 2;
        if (values[from + half] <= border) {
            from += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return from;
}

void sonde__sq_lloyd(const float *values, int64_t n, float *levels, int64_t count, double *sums)
{
    bool moved = true;
    sums[0] = 0;
    for (int64_t i = 0; i < n; i++) sums[i + 1] = sums[i] + values[i];
    for (int round = 0; moved && round < SQ_LLOYD_ROUNDS; round++) {
        int64_t begin = 0;
        float before = 0;
        moved = false;
        for (int64_t c = 0; c < count; c++) {
            double border = c + 1 < count ? 0.5 * ((double)levels[c] + levels[c + 1]) : INFINITY;
            int64_t end = begin + sq_below(values + begin, n - begin, border);
            before = levels[c];
            if (end > begin) levels[c] = (float)((sums[end] - sums[begin]) / (double)(end - begin));
            moved = moved || levels[c] != before;
            begin = end;
        }
    }
}

/* Levels as dense as the cube root of the density of the values, which is best for many levels (Panter, Dite
 * 1951): a gap g between neighbours stands for a density of 1 / g, and so for g^(2/3) levels. */
static void sq_spread(const float *values, int64_t n, float *levels, int64_t count)
{
    double total = 0, passed = 0;
    int64_t c = 0;
    for (int64_t i = 1; i < n; i++) total += cbrt(pow((double)values[i] - values[i - 1], 2));
    for (int64_t i = 1; i < n; i++) {
        passed += cbrt(pow((double)values[i] - values[i - 1], 2));
        while (c < count && ((double)c + 0.5) * total < passed * (double)count) levels[c++] = values[i];
    }
    while (c < count) levels[c++] = values[n - 1];
}

/* Of values to their nearest levels, both ascending. */
static double sq_levels_error(const float *values, int64_t n, const float *levels, int64_t count)
{
    double sum = 0;
    int64_t c = 0;
    for (int64_t i = 0; i < n; i++) {
        while (c + 1 < count && values[i] > 0.5 * ((double)levels[c] + levels[c + 1])) c++;
        sum += ((double)values[i] - levels[c]) * ((double)values[i] - levels[c]);
    }
    return sum;
}

/* From the evenly spaced values of the range, or from where the values are, whichever ends better. `values`
 * are sorted in place. */
static void sq_set_levels(const struct sq_training *t, struct sq_range range, float *values, int64_t n, double *sums,
                          float *levels)
{
    int64_t count = sonde__sq_count(t->sq);
    float low, step, other[256];
    sq_spacing(range, t->sq->bits, &low, &step);
    for (int64_t c = 0; c < count; c++) levels[c] = low + step * (float)c;
    qsort(values, (size_t)n, sizeof *values, sonde__compare_f32);
    sonde__sq_lloyd(values, n, levels, count, sums);
    sq_spread(values, n, other, count);
    sonde__sq_lloyd(values, n, other, count, sums);
    if (sq_levels_error(values, n, other, count) < sq_levels_error(values, n, levels, count))
        memcpy(levels, other, (size_t)count * sizeof *levels);
}

/* ---- columns --------------------------------------------------------------------------------------------------- */

/* One pass over the rows for columns [first, end). */
static void sq_extremes(const struct sq_training *t, int64_t first, int64_t end)
{
    float low[SQ_COLUMNS], high[SQ_COLUMNS];
    for (int64_t j = first; j < end; j++) low[j - first] = high[j - first] = t->x[j];
    for (int64_t i = 1; i < t->n; i++)
        for (int64_t j = first; j < end; j++) {
            float value = t->x[i * t->dim + j];
            if (value < low[j - first]) low[j - first] = value;
            if (value > high[j - first]) high[j - first] = value;
        }
    for (int64_t j = first; j < end; j++) {
        t->least[j] = (double)low[j - first];
        t->most[j] = (double)high[j - first];
    }
}

static void sq_train_column(const struct sq_training *t, int64_t j, float *values, double *sums)
{
    struct sq_range range = {t->least[j], t->most[j]};
    for (int64_t i = 0; i < t->sampled; i++) values[i] = t->x[t->sample[i] * t->dim + j];
    if (t->best) range = sq_best_range(values, t->sampled, range, t->sq->bits);
    if (t->sq->lloyd)
        sq_set_levels(t, range, values, t->sampled, sums, t->learned.levels + j * sonde__sq_count(t->sq));
    else
        sq_spacing(range, t->sq->bits, &t->learned.low[j], &t->learned.step[j]);
}

static sonde_status sq_train_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct sq_training *t = context;
    sonde__scratch *scratch = NULL;
    float *values;
    double *sums;
    (void)worker;
    sq_extremes(t, begin, end);
    if (t->sq->shared) return SONDE_OK;
    SONDE_TRY(sonde__scratch_take(t->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, values, t->sampled);
    if (status == SONDE_OK) status = SONDE_SCRATCH(scratch, sums, t->sampled + 1);
    for (int64_t j = begin; status == SONDE_OK && j < end; j++) sq_train_column(t, j, values, sums);
    sonde__scratch_give(t->runtime, scratch);
    return status;
}

/* One range, or one table of levels, for the values of all columns. */
static sonde_status sq_train_shared(const struct sq_training *t)
{
    struct sq_range range = {t->least[0], t->most[0]};
    float *values = NULL;
    double *sums = NULL;
    int64_t count = t->sampled * t->dim;
    sonde_status status = SONDE_NEW(t->runtime, values, count);
    if (status == SONDE_OK && t->sq->lloyd) status = SONDE_NEW(t->runtime, sums, count + 1);
    if (status == SONDE_OK) {
        for (int64_t j = 1; j < t->dim; j++) {
            range.low = fmin(range.low, t->least[j]);
            range.high = fmax(range.high, t->most[j]);
        }
        for (int64_t i = 0; i < t->sampled; i++)
            memcpy(values + i * t->dim, t->x + t->sample[i] * t->dim, (size_t)t->dim * sizeof *values);
        if (t->best) range = sq_best_range(values, count, range, t->sq->bits);
        if (t->sq->lloyd) sq_set_levels(t, range, values, count, sums, t->learned.levels);
        for (int64_t j = 0; j < t->dim && !t->sq->lloyd; j++)
            sq_spacing(range, t->sq->bits, &t->learned.low[j], &t->learned.step[j]);
    }
    sonde__free(t->runtime, values);
    sonde__free(t->runtime, sums);
    return status;
}

/* ---- training -------------------------------------------------------------------------------------------------- */

static sonde_status sq_training_new(struct sq_training *t, int64_t wanted)
{
    sonde_runtime *runtime = t->runtime;
    SONDE_TRY(SONDE_NEW(runtime, t->sample, wanted));
    SONDE_TRY(SONDE_NEW(runtime, t->least, t->dim));
    SONDE_TRY(SONDE_NEW(runtime, t->most, t->dim));
    if (t->sq->lloyd)
        return SONDE_NEW(runtime, t->learned.levels, sonde__sq_tables(t->sq, t->dim) * sonde__sq_count(t->sq));
    SONDE_TRY(SONDE_NEW(runtime, t->learned.low, t->dim));
    return SONDE_NEW(runtime, t->learned.step, t->dim);
}

static sonde_status sq_train_into(struct sq_training *t, const sonde__params *params, int threads)
{
    int64_t wanted = sonde__min_i64(t->n, sonde__param_int(params, "sample"));
    if (t->sq->shared) wanted = sonde__min_i64(wanted, sonde__max_i64(1, SQ_POOLED / t->dim));
    SONDE_TRY(sq_training_new(t, wanted));
    t->sampled = sonde__blocks_sample((uint64_t)sonde__param_int(params, "seed"), 0, t->n, wanted, t->sample);
    t->best = sonde__param_is(params, "range", "best");
    SONDE_TRY(sonde__parallel_for(t->runtime, threads, t->dim, SQ_COLUMNS, "sq: ranges", sq_train_chunk, t));
    return t->sq->shared ? sq_train_shared(t) : SONDE_OK;
}

/* The old ranges stay until the new ones are complete. */
sonde_status sonde__sq_train(sonde_quantizer *quantizer, const sonde__training *training)
{
    struct sq_training t = {.runtime = quantizer->runtime,
                            .x = training->x,
                            .n = training->n,
                            .dim = quantizer->dim,
                            .sq = quantizer->state};
    sonde_status status = sq_train_into(&t, quantizer->params, training->threads);
    sonde__free(t.runtime, t.sample);
    sonde__free(t.runtime, t.least);
    sonde__free(t.runtime, t.most);
    if (status == SONDE_OK)
        sonde__sq_adopt(quantizer, &t.learned);
    else
        sonde__sq_learned_drop(t.runtime, &t.learned);
    return status;
}
