/* penalties.c: makes tokens of the recent past less likely.
 *
 * repetition   divides a positive logit by the penalty and multiplies a negative one, once for each token that occurs
 * penalties    subtracts frequency * occurrences + presence
 *
 * Source: Keskar, McCann, Varshney, Xiong, Socher, "CTRL", 2019; frequency and presence are those of OpenAI's
 * interface. Cost: O(window), and a copy of the row where it is not ours.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tokens/candidates.h"

enum { REPETITION_PENALTY, REPETITION_WINDOW };
enum { PENALTIES_FREQUENCY, PENALTIES_PRESENCE, PENALTIES_WINDOW };

typedef double (*penalties_fn)(const sonde__token_stage *stage, double logit, int32_t count);

static double repetition_apply(const sonde__token_stage *stage, double logit, int32_t count)
{
    double penalty = stage->keys[REPETITION_PENALTY];
    (void)count;
    return logit > 0 ? logit / penalty : logit * penalty;
}

static double penalties_apply(const sonde__token_stage *stage, double logit, int32_t count)
{
    return logit - (count * stage->keys[PENALTIES_FREQUENCY] + stage->keys[PENALTIES_PRESENCE]);
}

static sonde_status penalties_each(const sonde__token_stage *stage, sonde__candidates *set, double window,
                                   penalties_fn apply)
{
    sonde__past_count *counts;
    int64_t length;
    const int32_t *past = sonde__past_window(set, window, &length);
    if (length == 0) return SONDE_OK;
    SONDE_TRY(sonde__candidates_own(set));
    SONDE_TRY(sonde__past_tally(set->scratch, past, NULL, length, &counts, &length));
    for (int64_t i = 0; i < length; i++) {
        float *logit = sonde__past_logit(set, counts[i].token);
        if (logit) *logit = sonde__past_finite(apply(stage, (double)*logit, counts[i].count));
    }
    sonde__candidates_changed(set);
    return SONDE_OK;
}

static sonde_status repetition_filter(const sonde__token_stage *stage, sonde__candidates *set)
{
    return penalties_each(stage, set, stage->keys[REPETITION_WINDOW], repetition_apply);
}

static sonde_status penalties_filter(const sonde__token_stage *stage, sonde__candidates *set)
{
    return penalties_each(stage, set, stage->keys[PENALTIES_WINDOW], penalties_apply);
}

static int64_t penalties_length(double window) { return window == 0 ? INT64_MAX : (int64_t)window; }

static sonde_status repetition_prepare(sonde__token_stage *stage)
{
    stage->window = penalties_length(stage->keys[REPETITION_WINDOW]);
    return SONDE_OK;
}

static sonde_status penalties_prepare(sonde__token_stage *stage)
{
    stage->window = penalties_length(stage->keys[PENALTIES_WINDOW]);
    return SONDE_OK;
}

static bool repetition_neutral(const sonde__token_stage *stage) { return stage->keys[REPETITION_PENALTY] == 1; }

static bool penalties_neutral(const sonde__token_stage *stage)
{
    return stage->keys[PENALTIES_FREQUENCY] == 0 && stage->keys[PENALTIES_PRESENCE] == 0;
}

static const sonde__key repetition_keys[] = {
    {"penalty", SONDE__KEY_REAL, "1.1", 0.01, 100, NULL, NULL, "above 1 past tokens lose, below 1 they gain"},
    SONDE__KEY_WINDOW("64"),
    {0},
};

static const sonde__key penalties_keys[] = {
    {"frequency", SONDE__KEY_REAL, "0", -100, 100, NULL, NULL, "subtracted for each time that a token occurs"},
    {"presence", SONDE__KEY_REAL, "0", -100, 100, NULL, NULL, "subtracted once if a token occurs"},
    SONDE__KEY_WINDOW("64"),
    {0},
};

const sonde__token_method sonde__token_repetition = {
    .method = {"repetition", "scales down the logits of past tokens", "Keskar et al. 2019", repetition_keys, NULL,
               NULL, NULL},
    .filter = repetition_filter,
    .prepare = repetition_prepare,
    .neutral = repetition_neutral,
};

const sonde__token_method sonde__token_penalties = {
    .method = {"penalties", "subtracts from the logits of past tokens, by how often they occur", "OpenAI",
               penalties_keys, NULL, NULL, NULL},
    .filter = penalties_filter,
    .prepare = penalties_prepare,
    .neutral = penalties_neutral,
};
