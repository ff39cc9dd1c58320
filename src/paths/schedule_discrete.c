/* schedule_discrete.c: vp_discrete, the n noise levels that a model was trained with, made continuous.
 *
 *   beta_i     linear: from 1e-4 to 0.02       scaled_linear: squares of even steps from sqrt(0.00085) to sqrt(0.012)
 *              cosine: 1 - abar((i+1)/n) / abar(i/n) with abar(u) = cos^2(pi/2 (u + 0.008)/1.008), at most 0.999
 *   log alpha  half the running sum of log(1 - beta), at times t_i = (i + 1)/n; linear between, and beyond as in
 *              the end segments
 *
 * The model is called with (t - 1/n) 1000. Sources: Ho et al. 2020 (DDPM); Nichol and Dhariwal 2021; the continuous
 * form is that of Lu et al. 2022 (DPM-Solver). Cost: n doubles; O(1) for a time, O(log n) for a lambda.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "paths/schedule.h"

static double discrete_cosine(double u)
{
    double cosine = cos((u + 0.008) / 1.008 * 1.5707963267948966);
    return cosine * cosine;
}

static double discrete_beta(const char *betas, int64_t i, int64_t n)
{
    double share = (double)i / (double)(n - 1);
    if (strcmp(betas, "linear") == 0) return 1e-4 + (0.02 - 1e-4) * share;
    if (strcmp(betas, "scaled_linear") == 0) {
        double root = sqrt(0.00085) + (sqrt(0.012) - sqrt(0.00085)) * share;
        return root * root;
    }
    return fmin(1 - discrete_cosine((double)(i + 1) / (double)n) / discrete_cosine((double)i / (double)n), 0.999);
}

static sonde_status discrete_create(sonde__schedule *schedule)
{
    int64_t n = sonde__param_int(schedule->params, "n");
    const char *betas = sonde__param_word(schedule->params, "betas");
    double log_alpha = 0;
    SONDE_TRY(SONDE_NEW(schedule->runtime, schedule->table, n));
    schedule->table_count = n;
    for (int64_t i = 0; i < n; i++) {
        log_alpha += 0.5 * log1p(-discrete_beta(betas, i, n));
        schedule->table[i] = log_alpha;
    }
    schedule->low = 1 / (double)n;
    schedule->high = 1;
    schedule->start = schedule->high;
    schedule->end = schedule->low;
    return SONDE_OK;
}

/* log alpha, and its slope, on the segment from entry i to i + 1. */
static double discrete_slope(const sonde__schedule *schedule, int64_t i)
{
    return (schedule->table[i + 1] - schedule->table[i]) * (double)schedule->table_count;
}

static void discrete_at(const sonde__schedule *schedule, double time, sonde__path_point *point)
{
    int64_t n = schedule->table_count;
    double place = time * (double)n - 1, base = fmin(fmax(floor(place), 0), (double)(n - 2));
    int64_t i = (int64_t)base;
    double slope = discrete_slope(schedule, i);
    double log_alpha = schedule->table[i] + slope * (place - base) / (double)n;
    sonde__schedule_preserve(log_alpha, slope, point);
    point->model_time = (time - 1 / (double)n) * 1000;
}

static double discrete_time(const sonde__schedule *schedule, double lambda)
{
    const double *table = schedule->table;
    double log_alpha = sonde__schedule_log_alpha(lambda);
    int64_t low = 0, high = schedule->table_count - 1;
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (table[middle] >= log_alpha) low = middle;
        else high = middle;
    }
    return (double)(low + 1) / (double)schedule->table_count +
           (log_alpha - table[low]) / discrete_slope(schedule, low);
}

static const sonde__key discrete_keys[] = {
    {"betas", SONDE__KEY_WORD, "linear", 0, 0, "linear|scaled_linear|cosine", NULL, "how the noise of a step grows"},
    {"n", SONDE__KEY_INT, "1000", 2, 100000, NULL, NULL, "noise levels that the model was trained with"},
    {0},
};

static const sonde__input_key discrete_inputs[] = {{0}};

const sonde__schedule_method sonde__schedule_vp_discrete = {
    .method = {"vp_discrete", "variance preserving, by a table of noise levels", "Ho et al. 2020 (DDPM)",
               discrete_keys, discrete_inputs, NULL, NULL},
    .create = discrete_create,
    .at = discrete_at,
    .time = discrete_time,
    .grid = "uniform_lambda",
    .final = "t_end",
    .preserving = true};
