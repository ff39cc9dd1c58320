/* temperature.c: how sharp the law is.
 *
 * Divides the logits by a temperature: below 1 the likely tokens gain, above 1 the others, and 0 leaves only the most
 * likely one (of several the one with the smallest id). The dynamic form takes the temperature from the entropy, so
 * that the law is sharpened where the model is sure and left wide where it is not:
 *
 *   t = low + (high - low) (H / ln n)^exponent, H the entropy and n the number of the candidates
 *
 * Source: Ackley, Hinton, Sejnowski 1985; the dynamic form is that of llama.cpp. Cost: none; dynamic: one pass.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "tokens/candidates.h"

enum { TEMPERATURE_VALUE };
enum { DYNAMIC_LOW, DYNAMIC_HIGH, DYNAMIC_EXPONENT };

/* The bounds keep the product of many stages finite. */
static void temperature_apply(sonde__candidates *set, double value)
{
    if (value == 0) {
        sonde__candidates_top(set, 1, false);
        return;
    }
    set->scale = fmin(fmax(set->scale / value, 1e-30), 1e30);
    set->weights = NULL;
    set->summed = false;
}

static sonde_status temperature_filter(const sonde__token_stage *stage, sonde__candidates *set)
{
    temperature_apply(set, stage->keys[TEMPERATURE_VALUE]);
    return SONDE_OK;
}

static bool temperature_neutral(const sonde__token_stage *stage) { return stage->keys[TEMPERATURE_VALUE] == 1; }

static sonde_status dynamic_filter(const sonde__token_stage *stage, sonde__candidates *set)
{
    double low = stage->keys[DYNAMIC_LOW], high = stage->keys[DYNAMIC_HIGH];
    int64_t count = sonde__candidates_count(set);
    if (count <= 1) return SONDE_OK;
    sonde__candidates_sums(set);
    double share = fmin(fmax(sonde__candidates_entropy(set) / log((double)count), 0), 1);
    temperature_apply(set, low + (high - low) * pow(share, stage->keys[DYNAMIC_EXPONENT]));
    return SONDE_OK;
}

static sonde_status dynamic_prepare(sonde__token_stage *stage)
{
    if (stage->keys[DYNAMIC_LOW] <= stage->keys[DYNAMIC_HIGH]) return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT, "dynamic_temperature: low=%g is above high=%g",
                       stage->keys[DYNAMIC_LOW], stage->keys[DYNAMIC_HIGH]);
}

static const sonde__key temperature_keys[] = {
    {"value", SONDE__KEY_REAL, "1", 0, 1e6, NULL, NULL, "logits are divided by it; 0 = the most likely token"},
    {0},
};

static const sonde__key dynamic_keys[] = {
    {"low", SONDE__KEY_REAL, "0.5", 0, 1e6, NULL, NULL, "temperature of a law without entropy"},
    {"high", SONDE__KEY_REAL, "1.5", 0, 1e6, NULL, NULL, "temperature of a uniform law"},
    {"exponent", SONDE__KEY_REAL, "1", 0.01, 100, NULL, NULL, "how the share of the entropy is bent between them"},
    {0},
};

const sonde__token_method sonde__token_temperature = {
    .method = {"temperature", "divides the logits: below 1 sharper, above 1 flatter, 0 greedy",
               "Ackley, Hinton, Sejnowski 1985", temperature_keys, NULL, NULL, NULL},
    .filter = temperature_filter,
    .neutral = temperature_neutral,
};

const sonde__token_method sonde__token_dynamic_temperature = {
    .method = {"dynamic_temperature", "a temperature that follows the entropy of the law", "llama.cpp", dynamic_keys,
               NULL, NULL, NULL},
    .filter = dynamic_filter,
    .prepare = dynamic_prepare,
};
