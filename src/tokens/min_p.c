/* min_p.c: tokens that have at least a share of the most likely token's probability. In logits: those within -ln
 * ratio of the largest, so that nothing has to be summed.
 *
 * Source: Nguyen, Baker, Neo, Roush, Kirsch, Shwartz-Ziv 2024. Cost: the first pass and O(blocks that hold a
 * survivor).
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "tokens/candidates.h"

enum { MIN_P_RATIO, MIN_P_MIN_KEEP };

static sonde_status min_p_filter(const sonde__token_stage *stage, sonde__candidates *set)
{
    sonde__candidates_above(set, log(stage->keys[MIN_P_RATIO]), (int64_t)stage->keys[MIN_P_MIN_KEEP]);
    return SONDE_OK;
}

static bool min_p_neutral(const sonde__token_stage *stage) { return stage->keys[MIN_P_RATIO] == 0; }

static const sonde__key min_p_keys[] = {
    {"ratio", SONDE__KEY_REAL, "0.05", 0, 1, NULL, NULL, "least probability, as a share of the largest; 0 = all"},
    SONDE__KEY_MIN_KEEP,
    {0},
};

const sonde__token_method sonde__token_min_p = {
    .method = {"min_p", "keeps tokens with a share of the largest probability", "Nguyen et al. 2024", min_p_keys,
               NULL, NULL, NULL},
    .filter = min_p_filter,
    .neutral = min_p_neutral,
};
