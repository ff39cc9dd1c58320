/* dist.c: draws that take the law as it is.
 *
 * dist     inverts the distribution function: the first candidate, most likely first, at which the running mass
 *          reaches a uniform share of the accumulated total. That is a prefix like top-p's, so nothing is sorted.
 * greedy   the most likely candidate, of several the one with the smallest id; needs no random number.
 *
 * Cost: O(candidates); of a whole row two passes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tokens/candidates.h"

static sonde_status dist_choose(const sonde__token_stage *stage, sonde__candidates *set, int64_t *chosen)
{
    (void)stage;
    *chosen = 0;
    if (set->count == 1) return SONDE_OK;
    *chosen = sonde__candidates_pick(set, sonde__token_uniform(set->seed, SONDE__TOKEN_STREAM_DRAW, set->place));
    return SONDE_OK;
}

static sonde_status greedy_filter(const sonde__token_stage *stage, sonde__candidates *set)
{
    (void)stage;
    sonde__candidates_top(set, 1, false);
    return SONDE_OK;
}

static sonde_status greedy_choose(const sonde__token_stage *stage, sonde__candidates *set, int64_t *chosen)
{
    (void)stage;
    (void)set;
    *chosen = 0;
    return SONDE_OK;
}

const sonde__token_method sonde__token_dist = {
    .method = {"dist", "draws from the law of the survivors by inversion", "Devroye 1986", NULL, NULL, NULL, NULL},
    .choose = dist_choose,
};

const sonde__token_method sonde__token_greedy = {
    .method = {"greedy", "takes the most likely token", "beam of width one", NULL, NULL, NULL, NULL},
    .filter = greedy_filter,
    .choose = greedy_choose,
};
