/* top_p.c: the nucleus: the fewest most likely tokens that together have a share of the probability. A token stays as
 * long as those ranked before it have less than the mass.
 *
 * Source: Holtzman, Buys, Du, Forbes, Choi 2020. Cost: two passes over the row and O(nucleus).
 *
 * SPDX-License-Identifier: MIT
 */
#include "tokens/candidates.h"

enum { TOP_P_MASS, TOP_P_MIN_KEEP };

static sonde_status top_p_filter(const sonde__token_stage *stage, sonde__candidates *set)
{
    sonde__prefix prefix = {false, stage->keys[TOP_P_MASS], (int64_t)stage->keys[TOP_P_MIN_KEEP], false};
    sonde__candidates_prefix(set, &prefix);
    return SONDE_OK;
}

static bool top_p_neutral(const sonde__token_stage *stage) { return stage->keys[TOP_P_MASS] == 1; }

static const sonde__key top_p_keys[] = {
    {"mass", SONDE__KEY_REAL, "0.95", 0, 1, NULL, NULL, "probability that the kept tokens have at least; 1 = all"},
    SONDE__KEY_MIN_KEEP,
    {0},
};

const sonde__token_method sonde__token_top_p = {
    .method = {"top_p", "keeps the nucleus: the fewest tokens with this much probability",
               "Holtzman, Buys, Du, Forbes, Choi 2020", top_p_keys, NULL, NULL, NULL},
    .filter = top_p_filter,
    .neutral = top_p_neutral,
};
