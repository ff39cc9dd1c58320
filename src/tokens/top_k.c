/* top_k.c: the k most likely tokens. Ties at the border: the smaller ids, or with ties=all every one of them.
 *
 * Source: Fan, Lewis, Dauphin 2018. Cost: the first pass over the row and O(k + V / 256).
 *
 * SPDX-License-Identifier: MIT
 */
#include "tokens/candidates.h"

enum { TOP_K_K, TOP_K_TIES, TOP_K_MIN_KEEP };

static sonde_status top_k_filter(const sonde__token_stage *stage, sonde__candidates *set)
{
    int64_t k = sonde__max_i64((int64_t)stage->keys[TOP_K_K], (int64_t)stage->keys[TOP_K_MIN_KEEP]);
    sonde__candidates_top(set, k, stage->keys[TOP_K_TIES] != 0);
    return SONDE_OK;
}

static bool top_k_neutral(const sonde__token_stage *stage)
{
    return stage->keys[TOP_K_K] == 0 || stage->keys[TOP_K_K] >= (double)stage->vocabulary;
}

static const sonde__key top_k_keys[] = {
    {"k", SONDE__KEY_INT, "40", 0, 16777216, NULL, NULL, "candidates to keep; 0 = all"},
    SONDE__KEY_TIES,
    SONDE__KEY_MIN_KEEP,
    {0},
};

const sonde__token_method sonde__token_top_k = {
    .method = {"top_k", "keeps the k most likely tokens", "Fan, Lewis, Dauphin 2018", top_k_keys, NULL, NULL, NULL},
    .filter = top_k_filter,
    .neutral = top_k_neutral,
};
