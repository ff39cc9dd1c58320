/* logits.c (generic): what a token sampler reads of a row of logits. Sums run in double.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "kernels/exp.h"
#include "kernels/slots.h"

static float logit_max(const float *logits, int64_t count, float *block_max)
{
    float most = -INFINITY;
    bool bad = false;
    for (int64_t begin = 0; begin < count; begin += SONDE__LOGIT_BLOCK) {
        int64_t end = sonde__min_i64(begin + SONDE__LOGIT_BLOCK, count);
        float block = -INFINITY;
        for (int64_t i = begin; i < end; i++) {
            bad |= !(logits[i] < INFINITY);
            block = logits[i] > block ? logits[i] : block;
        }
        if (block_max) block_max[begin / SONDE__LOGIT_BLOCK] = block;
        most = block > most ? block : most;
    }
    return bad ? NAN : most;
}

/* Rounded to f32 as in the wider sets, so that they differ in the last bits only. */
SONDE__INLINE float logit_power(float logit, float shift, float scale)
{
    return (logit - shift) * sonde__exp_factor(scale);
}

SONDE__INLINE float logit_exp_power(float t) { return t > SONDE__EXP_LEAST ? exp2f(t) : 0; }

static void logit_sums(const float *logits, int64_t count, float shift, float scale, double sums[3])
{
    double s[3] = {0};
    for (int64_t i = 0; i < count; i++) {
        float t = logit_power(logits[i], shift, scale), e = logit_exp_power(t);
        if (e == 0) continue; /* -inf among them */
        double gap = (double)t * SONDE__EXP_LN2;
        s[0] += (double)e;
        s[1] += (double)e * gap;
        s[2] += (double)e * gap * gap;
    }
    memcpy(sums, s, sizeof s);
}

static double logit_exp(const float *logits, int64_t count, float shift, float scale, float *out)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        out[i] = logit_exp_power(logit_power(logits[i], shift, scale));
        sum += (double)out[i];
    }
    return sum;
}

static void logit_nearness(const float *logits, int64_t count, double most, double centre, float *out)
{
    for (int64_t i = 0; i < count; i++) out[i] = -(float)fabs(((double)logits[i] - most) - centre);
}

static void logit_survey(const float *order, const float *weights, int64_t count,
                         const float levels[SONDE__LOGIT_LEVELS], double masses[SONDE__LOGIT_LEVELS],
                         int64_t counts[SONDE__LOGIT_LEVELS])
{
    for (int l = 0; l < SONDE__LOGIT_LEVELS; l++) {
        double mass = 0;
        int64_t number = 0;
        for (int64_t i = 0; i < count; i++) {
            bool in = order[i] > levels[l];
            if (weights) mass += in ? (double)weights[i] : 0;
            number += in;
        }
        masses[l] = mass;
        if (counts) counts[l] = number;
    }
}

/* Every element is copied, and overwritten by the next if it was not to stay: no branch to mispredict. */
static int64_t logit_keep(const float *order, int64_t count, float low, float high, const sonde__logit_list *from,
                          const sonde__logit_list *to)
{
    bool weighted = from->weights && to->weights;
    int64_t kept = 0;
    for (int64_t i = 0; i < count; i++) {
        bool in = order[i] > low && order[i] <= high;
        to->values[kept] = from->values[i];
        if (weighted) to->weights[kept] = from->weights[i];
        to->places[kept] = from->places ? from->places[i] : from->first + (int32_t)i;
        kept += in;
    }
    return kept;
}

const sonde__kernels sonde__generic_logits = {.logit_max = logit_max,
                                              .logit_sums = logit_sums,
                                              .logit_exp = logit_exp,
                                              .logit_nearness = logit_nearness,
                                              .logit_survey = logit_survey,
                                              .logit_keep = logit_keep};
