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
    return (logit - shift) * (float)((double)scale * SONDE__EXP_LOG2_E);
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

static void logit_exp(const float *logits, int64_t count, float shift, float scale, float *out)
{
    for (int64_t i = 0; i < count; i++) out[i] = logit_exp_power(logit_power(logits[i], shift, scale));
}

const sonde__kernels sonde__generic_logits = {
    .logit_max = logit_max, .logit_sums = logit_sums, .logit_exp = logit_exp};
