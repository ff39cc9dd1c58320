/* epsilon.c: cut-offs by probability. epsilon keeps tokens with at least that probability; eta lowers the cut-off
 * where the law is wide, to min(cutoff, sqrt(cutoff) exp(-H)), H its entropy.
 *
 * Source: Hewitt, Manning, Liang, "Truncation Sampling as Language Model Desmoothing", 2022. Cost: two passes.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "tokens/candidates.h"

enum { EPSILON_CUTOFF, EPSILON_MIN_KEEP };

/* Probability is exp(gap) / sum. */
static sonde_status epsilon_cut(const sonde__token_stage *stage, sonde__candidates *set, double log_cutoff)
{
    sonde__candidates_above(set, log_cutoff + log(set->sum), (int64_t)stage->keys[EPSILON_MIN_KEEP]);
    return SONDE_OK;
}

static sonde_status epsilon_filter(const sonde__token_stage *stage, sonde__candidates *set)
{
    sonde__candidates_sums(set);
    return epsilon_cut(stage, set, log(stage->keys[EPSILON_CUTOFF]));
}

static sonde_status eta_filter(const sonde__token_stage *stage, sonde__candidates *set)
{
    double log_cutoff = log(stage->keys[EPSILON_CUTOFF]);
    sonde__candidates_sums(set);
    return epsilon_cut(stage, set, fmin(log_cutoff, log_cutoff / 2 - sonde__candidates_entropy(set)));
}

static bool epsilon_neutral(const sonde__token_stage *stage) { return stage->keys[EPSILON_CUTOFF] == 0; }

static const sonde__key epsilon_keys[] = {
    {"cutoff", SONDE__KEY_REAL, "0.0003", 0, 1, NULL, NULL, "least probability; 0 = all"},
    SONDE__KEY_MIN_KEEP,
    {0},
};

static const sonde__key eta_keys[] = {
    {"cutoff", SONDE__KEY_REAL, "0.0003", 0, 1, NULL, NULL, "least probability, lowered by the entropy; 0 = all"},
    SONDE__KEY_MIN_KEEP,
    {0},
};

const sonde__token_method sonde__token_epsilon = {
    .method = {"epsilon", "keeps tokens with at least this probability", "Hewitt, Manning, Liang 2022", epsilon_keys,
               NULL, NULL, NULL},
    .filter = epsilon_filter,
    .neutral = epsilon_neutral,
};

const sonde__token_method sonde__token_eta = {
    .method = {"eta", "keeps tokens above a probability that falls with the entropy", "Hewitt, Manning, Liang 2022",
               eta_keys, NULL, NULL, NULL},
    .filter = eta_filter,
    .neutral = epsilon_neutral,
};
