/* gumbel.c: the Gumbel-max draw: the largest of logit + G, G a standard Gumbel variable of each token's own.
 *
 * G is keyed by the token's id, so that chains with different filters or temperatures that draw with one seed are
 * coupled: they agree as often as their laws allow (common random numbers). With e the exponential of a candidate's
 * gap and b the best score so far, it beats b iff u > exp(-e exp(-b)), which lies above 1 - e exp(-b): one
 * multiplication tells that nearly every candidate loses. Uniforms have 52 bits, so that none rounds to 1.
 *
 * Source: Gumbel 1954; Maddison, Tarlow, Minka 2014. Cost: one Philox block a candidate.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "tokens/candidates.h"

static double gumbel_uniform(uint64_t seed, int64_t id)
{
    sonde__rng rng;
    sonde__rng_start(&rng, seed, SONDE__TOKEN_STREAM_ID, (uint64_t)id);
    return ((double)(sonde__rng_u64(&rng) >> 12) + 0.5) * 0x1p-52;
}

/* The seed of one draw; odd multiplier, so that places of a sequence never share one. */
static uint64_t gumbel_seed(const sonde__candidates *set)
{
    return set->seed + (set->place + 1) * 0xd1342543de82ef95u;
}

static sonde_status gumbel_choose(const sonde__token_stage *stage, sonde__candidates *set, int64_t *chosen)
{
    uint64_t seed = gumbel_seed(set);
    const float *weights = sonde__candidates_weights(set);
    double best = -INFINITY, margin = INFINITY; /* 1.001 exp(-best): weights are rounded */
    (void)stage;
    *chosen = 0;
    for (int64_t i = 0; i < set->count; i++) {
        if (weights[i] == 0) continue;
        double uniform = gumbel_uniform(seed, set->ids ? set->ids[i] : i);
        if (1 - uniform > (double)weights[i] * margin) continue;
        double score = sonde__candidate_gap(set, i) - log(-log(uniform));
        if (score <= best) continue;
        best = score;
        margin = 1.001 * exp(-best);
        *chosen = i;
    }
    return SONDE_OK;
}

const sonde__token_method sonde__token_gumbel = {
    .method = {"gumbel", "draws the largest of logit + Gumbel noise, keyed by token", "Gumbel 1954", NULL, NULL, NULL,
               NULL},
    .choose = gumbel_choose,
};
