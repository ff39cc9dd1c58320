/* schedule_vp.c: the continuous schedules of diffusion with bounded variance, by log alpha(t).
 *
 *   vp         log alpha = -(beta1 - beta0) t^2 / 4 - beta0 t / 2, sigma^2 = 1 - alpha^2      (Song et al. 2021)
 *   subvp      the same alpha, sigma = 1 - alpha^2                                            (Song et al. 2021)
 *   vp_cosine  log alpha = log cos(pi/2 (t + s)/(1 + s)) - the same at 0                (Nichol and Dhariwal 2021)
 *
 * vp ends at t = 1e-3, or 1e-4 where more than 15 steps can make use of it; vp_cosine starts at 0.9946, because alpha
 * is 0 at 1.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "paths/schedule.h"

static double schedule_auto_end(const sonde__schedule *schedule)
{
    return sonde__param_int(schedule->params, "steps") > 15 ? 1e-4 : 1e-3;
}

/* ---- vp and subvp ---------------------------------------------------------------------------------------------- */

enum { VP_BETA0, VP_BETA1 };

static sonde_status vp_create(sonde__schedule *schedule)
{
    schedule->numbers[VP_BETA0] = sonde__param_real(schedule->params, "beta0");
    schedule->numbers[VP_BETA1] = sonde__param_real(schedule->params, "beta1");
    schedule->low = 1e-6;
    schedule->high = 1;
    schedule->start = 1;
    schedule->end = schedule_auto_end(schedule);
    return SONDE_OK;
}

static double vp_log_alpha(const sonde__schedule *schedule, double t, double *rate)
{
    double beta0 = schedule->numbers[VP_BETA0], grown = schedule->numbers[VP_BETA1] - beta0;
    *rate = -0.5 * (beta0 + t * grown);
    return -0.25 * grown * t * t - 0.5 * beta0 * t;
}

/* The root of the quadratic, in the form that has no difference of near values. */
static double vp_invert(const sonde__schedule *schedule, double log_alpha)
{
    double beta0 = schedule->numbers[VP_BETA0], grown = schedule->numbers[VP_BETA1] - beta0;
    return -4 * log_alpha / (beta0 + sqrt(fmax(0, beta0 * beta0 - 4 * grown * log_alpha)));
}

static void vp_at(const sonde__schedule *schedule, double time, sonde__path_point *point)
{
    double rate, log_alpha = vp_log_alpha(schedule, time, &rate);
    sonde__schedule_preserve(log_alpha, rate, point);
    point->model_time = time;
}

static double vp_time(const sonde__schedule *schedule, double lambda)
{
    return vp_invert(schedule, sonde__schedule_log_alpha(lambda));
}

static void subvp_at(const sonde__schedule *schedule, double time, sonde__path_point *point)
{
    double rate, log_alpha = vp_log_alpha(schedule, time, &rate);
    point->alpha = exp(log_alpha);
    point->sigma = -expm1(2 * log_alpha);
    point->lambda = log_alpha - log(point->sigma);
    point->alpha_rate = rate * point->alpha;
    point->sigma_rate = -2 * point->alpha * point->alpha_rate;
    point->model_time = time;
}

/* alpha solves alpha^2 + r alpha = 1 with r = sigma / alpha. asinh(r/2) = -log alpha keeps the digits near the data.
 */
static double subvp_time(const sonde__schedule *schedule, double lambda)
{
    return vp_invert(schedule, -asinh(0.5 * exp(-lambda)));
}

static const sonde__key vp_keys[] = {
    {"beta0", SONDE__KEY_REAL, "0.1", 1e-6, 1000, NULL, NULL, "rate of the noise at t = 0"},
    {"beta1", SONDE__KEY_REAL, "20", 1e-6, 1000, NULL, NULL, "rate of the noise at t = 1"},
    {0},
};

static const sonde__input_key vp_inputs[] = {{0}};

const sonde__schedule_method sonde__schedule_vp = {
    .method = {"vp", "variance preserving, with a linear rate of noise", "Song et al. 2021 (Score-SDE)", vp_keys,
               vp_inputs, NULL, NULL},
    .create = vp_create,
    .at = vp_at,
    .time = vp_time,
    .grid = "uniform_lambda",
    .final = "t_end",
    .preserving = true};

const sonde__schedule_method sonde__schedule_subvp = {
    .method = {"subvp", "as vp, with the smaller variance sigma = 1 - alpha^2", "Song et al. 2021 (Score-SDE)",
               vp_keys, vp_inputs, NULL, NULL},
    .create = vp_create,
    .at = subvp_at,
    .time = subvp_time,
    .grid = "uniform_lambda",
    .final = "t_end"};

/* ---- vp_cosine ------------------------------------------------------------------------------------------------- */

static const double cosine_quarter = 1.5707963267948966; /* pi / 2 */

static sonde_status cosine_create(sonde__schedule *schedule)
{
    schedule->numbers[0] = sonde__param_real(schedule->params, "s");
    schedule->low = 1e-6;
    schedule->high = 0.9999;
    schedule->start = 0.9946;
    schedule->end = schedule_auto_end(schedule);
    return SONDE_OK;
}

static double cosine_angle(const sonde__schedule *schedule, double time)
{
    double s = schedule->numbers[0];
    return cosine_quarter * (time + s) / (1 + s);
}

static void cosine_at(const sonde__schedule *schedule, double time, sonde__path_point *point)
{
    double angle = cosine_angle(schedule, time);
    double log_alpha = log(cos(angle)) - log(cos(cosine_angle(schedule, 0)));
    sonde__schedule_preserve(log_alpha, -cosine_quarter / (1 + schedule->numbers[0]) * tan(angle), point);
    point->model_time = time;
}

static double cosine_time(const sonde__schedule *schedule, double lambda)
{
    double s = schedule->numbers[0];
    double cosine = exp(sonde__schedule_log_alpha(lambda)) * cos(cosine_angle(schedule, 0));
    return (1 + s) * acos(cosine) / cosine_quarter - s;
}

static const sonde__key cosine_keys[] = {
    {"s", SONDE__KEY_REAL, "0.008", 0, 1, NULL, NULL, "keeps the noise near the data from vanishing"},
    {0},
};

const sonde__schedule_method sonde__schedule_vp_cosine = {
    .method = {"vp_cosine", "variance preserving, with alpha a cosine of time",
               "Nichol and Dhariwal 2021 (improved DDPM)", cosine_keys, vp_inputs, NULL, NULL},
    .create = cosine_create,
    .at = cosine_at,
    .time = cosine_time,
    .grid = "uniform_lambda",
    .final = "t_end",
    .preserving = true};
