/* threshold.c: keeps data predictions in the range of the data, row by row.
 *
 *   static    x0 is cut off at -clip and clip
 *   dynamic   q is the quantile of |x0| in the row (linear between order statistics), at least `floor` and at most
 *             `cap`; x0 is cut off at -q and q and divided by q
 *
 * The order statistic comes from the bit patterns of |x0|, which are ordered as the numbers are: three passes that
 * count the next 11 bits each, O(dim) with no sorting. Source: Saharia et al. 2022 (Imagen).
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "paths/engine.h"

enum { THRESHOLD_BITS = 11, THRESHOLD_BINS = 1 << THRESHOLD_BITS };

static uint32_t threshold_pattern(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits & 0x7fffffff;
}

static double threshold_magnitude(uint32_t pattern)
{
    float value;
    memcpy(&value, &pattern, sizeof value);
    return value;
}

/* The pattern of rank `rank` (from 0) among |x|; *after gets how many equal ones have a higher rank. */
static uint32_t threshold_select(const float *x, int64_t dim, int64_t rank, int64_t *after)
{
    uint32_t found = 0, known = 0;
    int64_t counts[THRESHOLD_BINS], left = rank;
    for (int shift = 2 * THRESHOLD_BITS; shift >= 0; shift -= THRESHOLD_BITS) {
        memset(counts, 0, sizeof counts);
        for (int64_t i = 0; i < dim; i++) {
            uint32_t pattern = threshold_pattern(x[i]);
            if ((pattern & known) == found) counts[pattern >> shift & (THRESHOLD_BINS - 1)]++;
        }
        uint32_t bin = 0;
        while (left >= counts[bin]) left -= counts[bin++];
        found |= bin << shift;
        known |= (uint32_t)(THRESHOLD_BINS - 1) << shift;
        *after = counts[bin] - 1 - left;
    }
    return found;
}

/* The smallest pattern above `pattern`; there is one. */
static uint32_t threshold_above(const float *x, int64_t dim, uint32_t pattern)
{
    uint32_t best = UINT32_MAX;
    for (int64_t i = 0; i < dim; i++) {
        uint32_t here = threshold_pattern(x[i]);
        if (here > pattern && here < best) best = here;
    }
    return best;
}

static double threshold_quantile(const float *x, int64_t dim, double quantile)
{
    double position = quantile * (double)(dim - 1), base = floor(position);
    int64_t after, rank = (int64_t)base;
    uint32_t low = threshold_select(x, dim, rank, &after), high = low;
    if (position > base && after == 0) high = threshold_above(x, dim, low);
    double below = threshold_magnitude(low);
    return below + (position - base) * (threshold_magnitude(high) - below);
}

static void threshold_cut(float *x, int64_t dim, float bound, float scale)
{
    for (int64_t i = 0; i < dim; i++) {
        float value = x[i] < -bound ? -bound : x[i] > bound ? bound : x[i];
        x[i] = value * scale;
    }
}

struct threshold_job {
    const sonde_path_sampler *sampler;
    float *data;
};

static sonde_status threshold_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct threshold_job *job = context;
    const sonde__path_model *model = job->sampler->model;
    int64_t dim = job->sampler->dim;
    (void)worker;
    for (int64_t row = begin; row < end; row++) {
        float *x = job->data + row * dim;
        if (model->limit == SONDE__LIMIT_STATIC) {
            threshold_cut(x, dim, (float)model->clip, 1);
            continue;
        }
        double q = fmin(fmax(threshold_quantile(x, dim, model->quantile), model->floor), model->cap);
        threshold_cut(x, dim, (float)q, (float)(1 / q));
    }
    return SONDE_OK;
}

sonde_status sonde__path_threshold(const sonde_path_sampler *sampler, int64_t rows, float *data)
{
    struct threshold_job job = {sampler, data};
    int64_t grain = sonde__max_i64(1, 65536 / sampler->dim);
    return sonde__parallel_for(sampler->runtime, 0, rows, grain, NULL, threshold_rows, &job);
}
