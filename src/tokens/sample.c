/* sample.c: the usual chains in one line, in the order of either reference engine.
 *
 * order=hf      penalties, temperature, then the filters: top-k, top-p, min-p, typical, epsilon, eta
 * order=llama   penalties, then the filters: top-n-sigma, top-k, typical, top-p, min-p, xtc, and the temperature last,
 *               so that every filter sees the law of the model
 *
 * Stages that an engine does not have stand beside their nearest relation. A stage with its neutral value is absent.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tokens/candidates.h"

extern const sonde__token_method sonde__token_temperature, sonde__token_top_k, sonde__token_top_p, sonde__token_min_p,
    sonde__token_typical, sonde__token_epsilon, sonde__token_eta, sonde__token_top_n_sigma, sonde__token_xtc,
    sonde__token_repetition, sonde__token_penalties, sonde__token_dry;

    /* A stage and the keys of `sample` that are its own keys, in their order. */
    typedef struct sample_part {
    const sonde__token_method *method;
    const char *keys[SONDE__STAGE_KEYS];
} sample_part;

static const sample_part sample_repetition = {&sonde__token_repetition, {"repetition", "window"}};
static const sample_part sample_penalties = {&sonde__token_penalties, {"frequency", "presence", "window"}};
static const sample_part sample_dry = {&sonde__token_dry, {"dry", "dry_base", "dry_allowed_length", "dry_window"}};
static const sample_part sample_temperature = {&sonde__token_temperature, {"temperature"}};
static const sample_part sample_top_k = {&sonde__token_top_k, {"top_k", "ties", "min_keep"}};
static const sample_part sample_top_p = {&sonde__token_top_p, {"top_p", "min_keep"}};
static const sample_part sample_min_p = {&sonde__token_min_p, {"min_p", "min_keep"}};
static const sample_part sample_typical = {&sonde__token_typical, {"typical", "ties", "min_keep"}};
static const sample_part sample_epsilon = {&sonde__token_epsilon, {"epsilon", "min_keep"}};
static const sample_part sample_eta = {&sonde__token_eta, {"eta", "min_keep"}};
static const sample_part sample_sigma = {&sonde__token_top_n_sigma, {"top_n_sigma", "min_keep"}};
static const sample_part sample_xtc = {&sonde__token_xtc, {"xtc_threshold", "xtc_probability", "min_keep"}};

static const sample_part *const sample_hf[] = {
    &sample_repetition, &sample_penalties, &sample_dry,   &sample_temperature, &sample_sigma,
    &sample_top_k,      &sample_top_p,     &sample_min_p, &sample_typical,     &sample_epsilon,
    &sample_eta,        &sample_xtc,       NULL,
};

static const sample_part *const sample_llama[] = {
    &sample_repetition, &sample_penalties,   &sample_dry,   &sample_sigma,   &sample_top_k,
    &sample_typical,    &sample_top_p,       &sample_min_p, &sample_epsilon, &sample_eta,
    &sample_xtc,        &sample_temperature, NULL,
};

static sonde_status sample_add(sonde_token_sampler *sampler, sonde__chain *chain, const sample_part *part)
{
    double keys[SONDE__STAGE_KEYS] = {0};
    for (int i = 0; i < SONDE__STAGE_KEYS && part->keys[i]; i++)
        keys[i] = strcmp(part->keys[i], "ties") == 0 ? (double)sonde__param_is(sampler->params, "ties", "all")
                                                     : sonde__param_real(sampler->params, part->keys[i]);
    return sonde__chain_push(sampler, chain, part->method, keys);
}

static sonde_status sample_compose(sonde_token_sampler *sampler, sonde__chain *chain)
{
    bool hf = sonde__param_is(sampler->params, "order", "hf");
    for (const sample_part *const *part = hf ? sample_hf : sample_llama; *part; part++)
        SONDE_TRY(sample_add(sampler, chain, *part));
    return SONDE_OK;
}

static const sonde__key sample_keys[] = {
    {"order", SONDE__KEY_WORD, "hf", 0, 0, "hf|llama", NULL, "hf: temperature before the filters; llama: after them"},
    {"temperature", SONDE__KEY_REAL, "1", 0, 1e6, NULL, NULL, "0 = the most likely token"},
    {"top_k", SONDE__KEY_INT, "0", 0, 16777216, NULL, NULL, "0 = all"},
    {"top_p", SONDE__KEY_REAL, "1", 0, 1, NULL, NULL, "mass of the nucleus; 1 = all"},
    {"min_p", SONDE__KEY_REAL, "0", 0, 1, NULL, NULL, "share of the largest probability; 0 = all"},
    {"typical", SONDE__KEY_REAL, "1", 0, 1, NULL, NULL, "mass of the typical tokens; 1 = all"},
    {"epsilon", SONDE__KEY_REAL, "0", 0, 1, NULL, NULL, "least probability; 0 = all"},
    {"eta", SONDE__KEY_REAL, "0", 0, 1, NULL, NULL, "least probability, lowered by the entropy; 0 = all"},
    {"top_n_sigma", SONDE__KEY_REAL, "0", 0, 1000, NULL, NULL, "deviations below the largest logit; 0 = all"},
    {"xtc_threshold", SONDE__KEY_REAL, "0.1", 0, 1, NULL, NULL, "probability of a top choice"},
    {"xtc_probability", SONDE__KEY_REAL, "0", 0, 1, NULL, NULL, "chance that top choices are excluded"},
    {"repetition", SONDE__KEY_REAL, "1", 0.01, 100, NULL, NULL, "penalty that scales past tokens; 1 = none"},
    {"frequency", SONDE__KEY_REAL, "0", -100, 100, NULL, NULL, "subtracted for each time that a token occurs"},
    {"presence", SONDE__KEY_REAL, "0", -100, 100, NULL, NULL, "subtracted once if a token occurs"},
    SONDE__KEY_WINDOW("64"),
    {"dry", SONDE__KEY_REAL, "0", 0, 1000, NULL, NULL, "multiplier of the penalty on repeated runs; 0 = none"},
    {"dry_base", SONDE__KEY_REAL, "1.75", 1, 100, NULL, NULL, "what each further token multiplies it by"},
    {"dry_allowed_length", SONDE__KEY_INT, "2", 1, 1000000, NULL, NULL, "shortest run that is penalised"},
    {"dry_window", SONDE__KEY_INT, "all", 1, 1073741824, "all", NULL, "past tokens in which runs are sought"},
    SONDE__KEY_TIES,
    SONDE__KEY_MIN_KEEP,
    {0},
};

const sonde__token_method sonde__token_sample = {
    .method = {"sample", "the usual stages in the usual order", "transformers, llama.cpp", sample_keys, NULL, NULL,
               NULL},
    .compose = sample_compose,
};
