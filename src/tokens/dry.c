/* dry.c: don't repeat yourself: a token that would prolong a repetition of the past loses, the more so the longer it
 * is.
 *
 * If the last n tokens occurred before and were followed by token t, then t loses multiplier * base^(n -
 * allowed_length), n the longest such run and at least allowed_length. The lengths of all runs come from the
 * Z-function of the past read backwards. There are no breaker strings, because a sampler of ids knows no text.
 *
 * Source: Weidmann, "DRY: a modern repetition penalty", 2024, as in llama.cpp; Z-function: Gusfield 1997.
 * Cost: O(window).
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "tokens/candidates.h"

enum { DRY_MULTIPLIER, DRY_BASE, DRY_ALLOWED_LENGTH, DRY_WINDOW };

/* The i-th token from the end. */
static int32_t dry_back(const int32_t *past, int64_t length, int64_t i) { return past[length - 1 - i]; }

/* runs[i] = how many tokens back from place i equal those back from the end. */
static void dry_runs(const int32_t *past, int64_t length, int32_t *runs)
{
    int64_t begin = 0, end = 0; /* the match that reaches farthest */
    runs[0] = 0;
    for (int64_t i = 1; i < length; i++) {
        int64_t run = i < end ? sonde__min_i64(end - i, runs[i - begin]) : 0;
        while (i + run < length && dry_back(past, length, run) == dry_back(past, length, i + run)) run++;
        runs[i] = (int32_t)run;
        if (i + run <= end) continue;
        begin = i;
        end = i + run;
    }
}

/* Each token that followed such a run, with the longest. */
static sonde_status dry_longest(const sonde__token_stage *stage, const sonde__candidates *set,
                                sonde__past_count **longest, int64_t *count)
{
    int64_t length;
    const int32_t *past = sonde__past_window(set, stage->keys[DRY_WINDOW], &length);
    int32_t *runs, *before; /* before[j]: the run that ends in front of token j */
    SONDE_TRY(SONDE_SCRATCH(set->scratch, runs, length));
    SONDE_TRY(SONDE_SCRATCH(set->scratch, before, length));
    dry_runs(past, length, runs);
    for (int64_t j = 1; j < length; j++) before[j] = runs[length - j];
    return sonde__past_tally(set->scratch, past + 1, before + 1, length - 1, longest, count);
}

static sonde_status dry_filter(const sonde__token_stage *stage, sonde__candidates *set)
{
    sonde__past_count *longest;
    int64_t count;
    if (set->past_length < 2) return SONDE_OK;
    SONDE_TRY(sonde__candidates_own(set));
    SONDE_TRY(dry_longest(stage, set, &longest, &count));
    for (int64_t i = 0; i < count; i++) {
        double excess = longest[i].count - stage->keys[DRY_ALLOWED_LENGTH];
        float *logit = excess < 0 ? NULL : sonde__past_logit(set, longest[i].token);
        double penalty = stage->keys[DRY_MULTIPLIER] * pow(stage->keys[DRY_BASE], excess);
        if (logit) *logit = sonde__past_finite((double)*logit - penalty);
    }
    sonde__candidates_changed(set);
    return SONDE_OK;
}

static sonde_status dry_prepare(sonde__token_stage *stage)
{
    stage->window = stage->keys[DRY_WINDOW] == 0 ? INT64_MAX : (int64_t)stage->keys[DRY_WINDOW];
    return SONDE_OK;
}

static bool dry_neutral(const sonde__token_stage *stage) { return stage->keys[DRY_MULTIPLIER] == 0; }

static const sonde__key dry_keys[] = {
    {"multiplier", SONDE__KEY_REAL, "0.8", 0, 1000, NULL, NULL, "subtracted for a run of the allowed length"},
    {"base", SONDE__KEY_REAL, "1.75", 1, 100, NULL, NULL, "what each further token multiplies it by"},
    {"allowed_length", SONDE__KEY_INT, "2", 1, 1000000, NULL, NULL, "shortest run that is penalised"},
    SONDE__KEY_WINDOW("all"),
    {0},
};

const sonde__token_method sonde__token_dry = {
    .method = {"dry", "penalises tokens that would prolong a repetition", "Weidmann 2024", dry_keys, NULL, NULL,
               NULL},
    .filter = dry_filter,
    .prepare = dry_prepare,
    .neutral = dry_neutral,
};
