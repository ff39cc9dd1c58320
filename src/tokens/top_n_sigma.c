/* top_n_sigma.c: tokens whose logit is within n standard deviations of the largest. Logits and their deviation scale
 * alike, so that a temperature before it changes nothing.
 *
 * Source: Tang, Liu, Xu, Huang, Wang, "Top-n-sigma: not all logits are you need", 2024. Cost: two passes.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "tokens/candidates.h"

enum { TOP_N_SIGMA_N, TOP_N_SIGMA_MIN_KEEP, TOP_N_SIGMA_LANES = 8 };

/* Deviation of the logits that are not -inf, from the largest one on; lanes let the additions overlap. */
static double top_n_sigma_deviation(const sonde__candidates *set)
{
    double sum[TOP_N_SIGMA_LANES] = {0}, square[TOP_N_SIGMA_LANES] = {0}, count[TOP_N_SIGMA_LANES] = {0};
    for (int64_t i = 0; i < set->count; i++) {
        int lane = (int)(i % TOP_N_SIGMA_LANES);
        bool allowed = set->logits[i] > -INFINITY;
        double x = allowed ? (double)set->logits[i] - (double)set->most : 0;
        sum[lane] += x;
        square[lane] += x * x;
        count[lane] += allowed;
    }
    for (int lane = 1; lane < TOP_N_SIGMA_LANES; lane++) {
        sum[0] += sum[lane];
        square[0] += square[lane];
        count[0] += count[lane];
    }
    double mean = sum[0] / count[0];
    return sqrt(fmax(square[0] / count[0] - mean * mean, 0));
}

static sonde_status top_n_sigma_filter(const sonde__token_stage *stage, sonde__candidates *set)
{
    double limit = -stage->keys[TOP_N_SIGMA_N] * top_n_sigma_deviation(set) * set->scale;
    sonde__candidates_above(set, limit, (int64_t)stage->keys[TOP_N_SIGMA_MIN_KEEP]);
    return SONDE_OK;
}

static bool top_n_sigma_neutral(const sonde__token_stage *stage) { return stage->keys[TOP_N_SIGMA_N] == 0; }

static const sonde__key top_n_sigma_keys[] = {
    {"n", SONDE__KEY_REAL, "1", 0, 1000, NULL, NULL, "standard deviations below the largest logit; 0 = all"},
    SONDE__KEY_MIN_KEEP,
    {0},
};

const sonde__token_method sonde__token_top_n_sigma = {
    .method = {"top_n_sigma", "keeps logits within n standard deviations of the largest", "Tang et al. 2024",
               top_n_sigma_keys, NULL, NULL, NULL},
    .filter = top_n_sigma_filter,
    .neutral = top_n_sigma_neutral,
};
