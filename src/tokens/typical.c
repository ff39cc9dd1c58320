/* typical.c: locally typical sampling: tokens that carry about as much information as the model expects.
 *
 * The surprisal -ln p of a token is compared with the entropy H of the law; the tokens with the smallest |-ln p - H|
 * are kept until they have the mass, which may leave out the most likely one. With gaps g = ln p - ln p_max this
 * distance is |g - mean of g|, so the kept tokens are those nearest to the mean gap, and no logarithm is taken of a
 * probability.
 *
 * Source: Meister, Pimentel, Wiher, Cotterell, "Locally Typical Sampling", TACL 2023. Cost: two passes and O(kept).
 *
 * SPDX-License-Identifier: MIT
 */
#include "tokens/candidates.h"

enum { TYPICAL_MASS, TYPICAL_TIES, TYPICAL_MIN_KEEP };

static sonde_status typical_filter(const sonde__token_stage *stage, sonde__candidates *set)
{
    sonde__prefix prefix = {true, stage->keys[TYPICAL_MASS], (int64_t)stage->keys[TYPICAL_MIN_KEEP],
                            stage->keys[TYPICAL_TIES] != 0};
    sonde__candidates_prefix(set, &prefix);
    return SONDE_OK;
}

static bool typical_neutral(const sonde__token_stage *stage) { return stage->keys[TYPICAL_MASS] == 1; }

static const sonde__key typical_keys[] = {
    {"mass", SONDE__KEY_REAL, "0.9", 0, 1, NULL, NULL, "probability that the kept tokens have at least; 1 = all"},
    SONDE__KEY_TIES,
    SONDE__KEY_MIN_KEEP,
    {0},
};

const sonde__token_method sonde__token_typical = {
    .method = {"typical", "keeps tokens whose surprisal is nearest to the entropy",
               "Meister, Pimentel, Wiher, Cotterell 2023", typical_keys, NULL, NULL, NULL},
    .filter = typical_filter,
    .neutral = typical_neutral,
};
