/* mirostat.c: a draw that steers the surprise of the text towards a target.
 *
 * Each sequence remembers a bound mu, in bits. Version 2 drops tokens with a surprisal above mu. Version 1 takes the
 * law for a Zipf law, estimates its exponent from the m most likely tokens, and keeps as many as have the surprise
 * mu. After the draw mu moves against the error: mu -= eta (surprise of the drawn token - tau). It begins as 2 tau.
 *
 * Source: Basu, Ramachandran, Keskar, Varshney, "Mirostat", ICLR 2021. Cost: that of a cut-off, or of a top-k.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "tokens/candidates.h"

enum { MIROSTAT_VERSION, MIROSTAT_TAU, MIROSTAT_ETA, MIROSTAT_M };

/* Bits are nats / ln 2. */
static const double mirostat_bit = 0.69314718055994530942;

static sonde_status mirostat_cut(const sonde__token_stage *stage, sonde__candidates *set)
{
    double bound = *sonde__stage_memory(stage, set) * mirostat_bit;
    sonde__candidates_sums(set);
    sonde__candidates_above(set, log(set->sum) - bound, 1);
    return SONDE_OK;
}

/* The exponent of the Zipf law by least squares, from ratios of neighbouring probabilities. */
static sonde_status mirostat_exponent(const sonde__token_stage *stage, const sonde__candidates *set, double *exponent)
{
    sonde__candidates head;
    int32_t *ranked;
    double above = 0, below = 0;
    SONDE_TRY(sonde__candidates_copy(set, &head));
    sonde__candidates_top(&head, (int64_t)stage->keys[MIROSTAT_M], false);
    SONDE_TRY(sonde__candidates_ranked(&head, &ranked));
    for (int64_t i = 0; i + 1 < head.count; i++) {
        double t = log((double)(i + 2) / (double)(i + 1));
        double b = sonde__candidate_gap(&head, ranked[i]) - sonde__candidate_gap(&head, ranked[i + 1]);
        above += t * b;
        below += t * t;
    }
    *exponent = below > 0 ? above / below : 1;
    return SONDE_OK;
}

/* How many tokens of a Zipf law with this exponent have the surprise mu: equation 6 of the paper. Not a number where
 * the exponent is 1 or 0; then everything stays. */
static double mirostat_kept(double exponent, double mu, double vocabulary)
{
    double excess = exponent - 1;
    return pow(excess * exp2(mu) / (1 - pow(vocabulary, -excess)), 1 / exponent);
}

static sonde_status mirostat_head(const sonde__token_stage *stage, sonde__candidates *set)
{
    double exponent;
    SONDE_TRY(mirostat_exponent(stage, set, &exponent));
    double kept = round(mirostat_kept(exponent, *sonde__stage_memory(stage, set), (double)stage->vocabulary));
    if (!(kept < (double)set->count)) return SONDE_OK;
    sonde__candidates_top(set, kept > 1 ? (int64_t)kept : 1, false);
    return SONDE_OK;
}

static sonde_status mirostat_filter(const sonde__token_stage *stage, sonde__candidates *set)
{
    return stage->keys[MIROSTAT_VERSION] == 1 ? mirostat_head(stage, set) : mirostat_cut(stage, set);
}

static sonde_status mirostat_choose(const sonde__token_stage *stage, sonde__candidates *set, int64_t *chosen)
{
    double *mu = sonde__stage_memory(stage, set);
    double uniform = sonde__token_uniform(set->seed, SONDE__TOKEN_STREAM_DRAW, set->place);
    *chosen = sonde__candidates_pick(set, uniform);
    double surprise = (log(set->sum) - sonde__candidate_gap(set, *chosen)) / mirostat_bit;
    *mu -= stage->keys[MIROSTAT_ETA] * (surprise - stage->keys[MIROSTAT_TAU]);
    return SONDE_OK;
}

static sonde_status mirostat_prepare(sonde__token_stage *stage)
{
    stage->adaptive = true;
    stage->beginning = 2 * stage->keys[MIROSTAT_TAU];
    return SONDE_OK;
}

static const sonde__key mirostat_keys[] = {
    {"version", SONDE__KEY_INT, "2", 1, 2, NULL, NULL, "1: Zipf estimate and top-k; 2: cut-off by surprisal"},
    {"tau", SONDE__KEY_REAL, "5", 0, 100, NULL, NULL, "wanted surprise in bits"},
    {"eta", SONDE__KEY_REAL, "0.1", 0, 1, NULL, NULL, "how fast the bound follows"},
    {"m", SONDE__KEY_INT, "100", 2, 100000, NULL, NULL, "version 1: tokens that the exponent is estimated from"},
    {0},
};

const sonde__token_method sonde__token_mirostat = {
    .method = {"mirostat", "draws so that the surprise of the text stays near a target",
               "Basu, Ramachandran, Keskar, Varshney 2021", mirostat_keys, NULL, NULL, NULL},
    .filter = mirostat_filter,
    .choose = mirostat_choose,
    .prepare = mirostat_prepare,
};
