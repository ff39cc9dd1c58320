/* chain.c: stages in a row. Builds the chain of a sampler from its spec, checks it, and runs it on one row.
 *
 * chain(top_k(k=40), temperature(value=0.8)) runs in the order of its stages; the last may be a draw, and dist is
 * appended where none is named. A stage alone is a chain of one. Stages that do nothing are left out, so a neutral
 * value is the identity bit for bit. The seed stands at the chain.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "tokens/candidates.h"

extern const sonde__token_method sonde__token_dist;

/* ---- building ---------------------------------------------------------------------------------------------------- */

static sonde_status chain_grow(sonde_token_sampler *sampler, sonde__chain *chain)
{
    sonde__token_stage *stages;
    if (chain->count < chain->capacity) return SONDE_OK;
    int64_t capacity = 2 * chain->capacity + 8;
    SONDE_TRY(SONDE_NEW_ZERO(sampler->runtime, stages, capacity));
    if (chain->count) memcpy(stages, chain->stages, (size_t)chain->count * sizeof *stages);
    sonde__free(sampler->runtime, chain->stages);
    chain->stages = stages;
    chain->capacity = capacity;
    return SONDE_OK;
}

static sonde_status chain_check_keep(const sonde__token_stage *stage)
{
    const sonde__method *method = &stage->method->method;
    for (int i = 0; method->keys && method->keys[i].name; i++)
        if (strcmp(method->keys[i].name, "min_keep") == 0 && stage->keys[i] > (double)stage->vocabulary)
            return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: min_keep=%.0f is above the vocabulary of %lld",
                               method->name, stage->keys[i], (long long)stage->vocabulary);
    return SONDE_OK;
}

sonde_status sonde__chain_push(sonde_token_sampler *sampler, sonde__chain *chain, const sonde__token_method *method,
                               const double *keys)
{
    sonde__token_stage stage = {.method = method, .vocabulary = sampler->vocabulary, .place = chain->count};
    for (int i = 0; method->method.keys && method->method.keys[i].name; i++) stage.keys[i] = keys[i];
    SONDE_TRY(chain_check_keep(&stage));
    if (chain->count && chain->stages[chain->count - 1].method->choose)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "chain: '%s' stands behind the draw '%s', which must be the last stage",
                           method->method.name, chain->stages[chain->count - 1].method->method.name);
    if (method->prepare) SONDE_TRY(method->prepare(&stage));
    if (method->neutral && method->neutral(&stage)) return SONDE_OK;
    stage.memory_at = chain->memory_count;
    chain->memory_count += stage.adaptive;
    sampler->remembered = sonde__max_i64(sampler->remembered, stage.window);
    SONDE_TRY(chain_grow(sampler, chain));
    chain->stages[chain->count++] = stage;
    return SONDE_OK;
}

/* A word becomes its place among the words of its key; a word beside a number becomes 0. */
static double chain_key(const sonde__params *params, const sonde__key *key)
{
    if (key->kind != SONDE__KEY_WORD) return sonde__param_real(params, key->name);
    const char *word = sonde__param_word(params, key->name), *at = key->words;
    size_t length = strlen(word);
    double place = 0;
    while (strncmp(at, word, length) != 0 || (at[length] != '|' && at[length] != 0)) {
        at += strcspn(at, "|") + 1;
        place++;
    }
    return place;
}

/* One stage of a spec. */
static sonde_status chain_add(sonde_token_sampler *sampler, sonde__chain *chain, const sonde__params *params)
{
    const sonde__method *method = sonde__params_method(params);
    const sonde__token_method *stage = (const sonde__token_method *)(const void *)method;
    double keys[SONDE__STAGE_KEYS] = {0};
    if (!stage->filter && !stage->choose)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "chain: '%s' is a sampler of its own, not a stage", method->name);
    for (int i = 0; method->keys && method->keys[i].name; i++) keys[i] = chain_key(params, &method->keys[i]);
    return sonde__chain_push(sampler, chain, stage, keys);
}

static sonde_status chain_compose(sonde_token_sampler *sampler, sonde__chain *chain)
{
    for (int i = 0; i < sonde__params_chain_count(sampler->params); i++) {
        const sonde__params *stage = sonde__params_chain_at(sampler->params, i);
        if (sonde__param_int(stage, "seed") != 1)
            return sonde__fail(SONDE_INVALID_ARGUMENT, "chain: seed=%lld stands in %s; give it to the chain",
                               (long long)sonde__param_int(stage, "seed"), sonde__params_method(stage)->name);
        SONDE_TRY(chain_add(sampler, chain, stage));
    }
    return SONDE_OK;
}

sonde_status sonde__chain_create(sonde_token_sampler *sampler)
{
    sonde__chain *chain;
    SONDE_TRY(SONDE_NEW_ZERO(sampler->runtime, chain, 1));
    sampler->chain = chain;
    if (sampler->method->compose) SONDE_TRY(sampler->method->compose(sampler, chain));
    else SONDE_TRY(chain_add(sampler, chain, sampler->params));
    if (chain->count && chain->stages[chain->count - 1].method->choose) return SONDE_OK;
    return sonde__chain_push(sampler, chain, &sonde__token_dist, NULL);
}

void sonde__chain_drop(sonde_token_sampler *sampler)
{
    if (sampler->chain) sonde__free(sampler->runtime, sampler->chain->stages);
    sonde__free(sampler->runtime, sampler->chain);
}

bool sonde__token_pure(const sonde_token_sampler *sampler)
{
    const sonde__chain *chain = sampler->chain;
    for (int64_t i = 0; chain && i < chain->count; i++)
        if (chain->stages[i].window || chain->stages[i].adaptive || chain->stages[i].random) return false;
    return chain != NULL;
}

void sonde__chain_begin(const sonde__chain *chain, double *memory)
{
    for (int64_t i = 0; i < chain->count; i++)
        if (chain->stages[i].adaptive) memory[chain->stages[i].memory_at] = chain->stages[i].beginning;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

sonde_status sonde__chain_filter(const sonde__chain *chain, sonde__candidates *set)
{
    for (int64_t i = 0; i < chain->count; i++) {
        const sonde__token_stage *stage = &chain->stages[i];
        if (stage->method->filter) SONDE_TRY(stage->method->filter(stage, set));
    }
    return SONDE_OK;
}

sonde_status sonde__chain_choose(const sonde__chain *chain, sonde__candidates *set, int64_t *chosen)
{
    const sonde__token_stage *draw = &chain->stages[chain->count - 1];
    return draw->method->choose(draw, set, chosen);
}

const sonde__token_method sonde__token_chain = {
    .method = {"chain", "stages in a row, as in chain(top_k(k=40), temperature(value=0.8)), then a draw", "", NULL,
               NULL, "token_sampler", NULL},
    .compose = chain_compose,
};
