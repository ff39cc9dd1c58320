/* xtc.c: exclude top choices: with some chance, of all tokens above a probability only the least likely stays, so
 * that text leaves the most trodden path while something sensible remains.
 *
 * Source: Weidmann, "Exclude Top Choices", 2024, as in llama.cpp. Cost: O(candidates); put it behind a filter that
 * makes them few.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "tokens/candidates.h"

enum { XTC_THRESHOLD, XTC_PROBABILITY, XTC_MIN_KEEP };

/* The last of the candidates above the limit in order of likelihood; how many there are. */
static int64_t xtc_last(const sonde__candidates *set, double limit, int64_t *above)
{
    int64_t last = -1;
    *above = 0;
    for (int64_t i = 0; i < set->count; i++) {
        if (sonde__candidate_gap(set, i) < limit) continue;
        if (last < 0 || set->logits[i] <= set->logits[last]) last = i;
        ++*above;
    }
    return last;
}

static sonde_status xtc_exclude(sonde__candidates *set, double limit, int64_t min_keep)
{
    int64_t above, last;
    bool *keep;
    sonde__candidates_list(set);
    last = xtc_last(set, limit, &above);
    if (above < 2 || set->count - (above - 1) < min_keep) return SONDE_OK;
    SONDE_TRY(SONDE_SCRATCH(set->scratch, keep, set->count));
    for (int64_t i = 0; i < set->count; i++) keep[i] = i == last || sonde__candidate_gap(set, i) < limit;
    sonde__candidates_keep(set, keep);
    return SONDE_OK;
}

static sonde_status xtc_filter(const sonde__token_stage *stage, sonde__candidates *set)
{
    uint32_t stream = SONDE__TOKEN_STREAM_STAGE + (uint32_t)stage->place;
    if (sonde__token_uniform(set->seed, stream, set->place) >= stage->keys[XTC_PROBABILITY]) return SONDE_OK;
    sonde__candidates_sums(set);
    return xtc_exclude(set, log(stage->keys[XTC_THRESHOLD] * set->sum), (int64_t)stage->keys[XTC_MIN_KEEP]);
}

static sonde_status xtc_prepare(sonde__token_stage *stage)
{
    stage->random = true;
    return SONDE_OK;
}

/* No two tokens can have more than one half each. */
static bool xtc_neutral(const sonde__token_stage *stage)
{
    return stage->keys[XTC_PROBABILITY] == 0 || stage->keys[XTC_THRESHOLD] > 0.5;
}

static const sonde__key xtc_keys[] = {
    {"threshold", SONDE__KEY_REAL, "0.1", 0, 1, NULL, NULL, "probability from which a token is a top choice"},
    {"probability", SONDE__KEY_REAL, "0.5", 0, 1, NULL, NULL, "chance that top choices are excluded at all"},
    SONDE__KEY_MIN_KEEP,
    {0},
};

const sonde__token_method sonde__token_xtc = {
    .method = {"xtc", "sometimes excludes all top choices but the least likely", "Weidmann 2024", xtc_keys, NULL,
               NULL, NULL},
    .filter = xtc_filter,
    .prepare = xtc_prepare,
    .neutral = xtc_neutral,
};
