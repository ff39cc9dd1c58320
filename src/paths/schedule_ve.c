/* schedule_ve.c: schedules that leave the data alone (alpha = 1) and let the noise grow.
 *
 *   ve      sigma = smin (smax / smin)^t, t in [1e-5, 1]                    (Song et al. 2021)
 *   edm     sigma = t, from smax to smin; even steps in log sigma           (Karras et al. 2022)
 *   karras  edm with the grid of its paper, even in sigma^(1/rho), and a last step to sigma = 0
 *
 * The state that a run starts from has standard deviation sigma of the first node, not 1.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "paths/schedule.h"

static sonde_status exploding_range(const sonde__schedule *schedule, double *smin, double *smax)
{
    *smin = sonde__param_real(schedule->params, "smin");
    *smax = sonde__param_real(schedule->params, "smax");
    if (*smin < *smax) return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: smin=%g must be below smax=%g", sonde__schedule_name(schedule),
                       *smin, *smax);
}

static void exploding_point(double sigma, double rate, sonde__path_point *point)
{
    point->alpha = 1;
    point->alpha_rate = 0;
    point->sigma = sigma;
    point->sigma_rate = rate;
    point->lambda = -log(sigma);
}

/* ---- ve -------------------------------------------------------------------------------------------------------- */

enum { VE_SMIN, VE_GROWTH };

static sonde_status ve_create(sonde__schedule *schedule)
{
    double smin, smax;
    SONDE_TRY(exploding_range(schedule, &smin, &smax));
    schedule->numbers[VE_SMIN] = smin;
    schedule->numbers[VE_GROWTH] = log(smax / smin);
    schedule->high = schedule->start = 1;
    schedule->low = 0;
    schedule->end = 1e-5;
    return SONDE_OK;
}

static void ve_at(const sonde__schedule *schedule, double time, sonde__path_point *point)
{
    double growth = schedule->numbers[VE_GROWTH], sigma = schedule->numbers[VE_SMIN] * exp(growth * time);
    exploding_point(sigma, sigma * growth, point);
    point->model_time = time;
}

static double ve_time(const sonde__schedule *schedule, double lambda)
{
    return (-lambda - log(schedule->numbers[VE_SMIN])) / schedule->numbers[VE_GROWTH];
}

static const sonde__key ve_keys[] = {
    {"smin", SONDE__KEY_REAL, "0.01", 1e-6, 1e6, NULL, NULL, "sigma at t = 0"},
    {"smax", SONDE__KEY_REAL, "50", 1e-6, 1e6, NULL, NULL, "sigma at t = 1"},
    {0},
};

static const sonde__input_key ve_inputs[] = {{0}};

const sonde__schedule_method sonde__schedule_ve = {
    .method = {"ve", "variance exploding, sigma growing by the same factor in equal times",
               "Song et al. 2021 (Score-SDE)", ve_keys, ve_inputs, NULL, NULL},
    .create = ve_create,
    .at = ve_at,
    .time = ve_time,
    .grid = "uniform_lambda",
    .final = "t_end",
    .exploding = true};

/* ---- edm and karras -------------------------------------------------------------------------------------------- */

static sonde_status edm_create(sonde__schedule *schedule)
{
    SONDE_TRY(exploding_range(schedule, &schedule->end, &schedule->start));
    schedule->deviation = sonde__param_real(schedule->params, "sdata");
    schedule->low = 1e-9;
    schedule->high = 1e6;
    return SONDE_OK;
}

static void edm_at(const sonde__schedule *schedule, double time, sonde__path_point *point)
{
    (void)schedule;
    exploding_point(time, 1, point);
    point->model_time = time;
}

static double edm_time(const sonde__schedule *schedule, double lambda)
{
    (void)schedule;
    return exp(-lambda);
}

static const sonde__key edm_keys[] = {
    {"smin", SONDE__KEY_REAL, "0.002", 1e-6, 1e6, NULL, NULL, "sigma of the last node above 0"},
    {"smax", SONDE__KEY_REAL, "80", 1e-6, 1e6, NULL, NULL, "sigma of the first node"},
    {"sdata", SONDE__KEY_REAL, "0.5", 1e-6, 1e6, NULL, NULL,
     "standard deviation of the data, for prediction=edm of the solver"},
    {0},
};

const sonde__schedule_method sonde__schedule_edm = {.method = {"edm", "variance exploding, with sigma as the time",
                                                               "Karras et al. 2022 (EDM)", edm_keys, ve_inputs, NULL,
                                                               NULL},
                                                    .create = edm_create,
                                                    .at = edm_at,
                                                    .time = edm_time,
                                                    .grid = "uniform_lambda",
                                                    .final = "t_end",
                                                    .exploding = true};

const sonde__schedule_method sonde__schedule_karras = {
    .method = {"karras", "edm on the grid of its paper, with a last step to sigma = 0", "Karras et al. 2022 (EDM)",
               edm_keys, ve_inputs, NULL, NULL},
    .create = edm_create,
    .at = edm_at,
    .time = edm_time,
    .grid = "edm",
    .final = "zero",
    .exploding = true};
