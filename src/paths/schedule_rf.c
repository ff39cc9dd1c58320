/* schedule_rf.c: rectified flow, the straight line from noise to data: alpha = 1 - t, sigma = t.
 *
 * `shift` moves the nodes of grids that are even in time towards the noise: t becomes s t / (1 + (s - 1) t); the
 * dynamic shift of some models, e^mu / (e^mu + 1/t - 1), is s = e^mu. log(alpha / sigma) is infinite at both ends:
 * solvers that need it begin at 1 - 1e-6. Source: Liu et al. 2023 (rectified flow); Esser et al. 2024 (the shift).
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "paths/schedule.h"

enum { RF_SHIFT, RF_SCALE };

static sonde_status rf_create(sonde__schedule *schedule)
{
    schedule->numbers[RF_SHIFT] = sonde__param_real(schedule->params, "shift");
    schedule->numbers[RF_SCALE] = sonde__param_real(schedule->params, "t_scale");
    schedule->low = schedule->end = 0;
    schedule->high = schedule->start = 1;
    return SONDE_OK;
}

static void rf_at(const sonde__schedule *schedule, double time, sonde__path_point *point)
{
    point->alpha = 1 - time;
    point->sigma = time;
    point->alpha_rate = -1;
    point->sigma_rate = 1;
    point->lambda = log1p(-time) - log(time);
    point->model_time = schedule->numbers[RF_SCALE] * time;
}

static double rf_time(const sonde__schedule *schedule, double lambda)
{
    (void)schedule;
    return 1 / (1 + exp(lambda));
}

static double rf_warp(const sonde__schedule *schedule, double time)
{
    double shift = schedule->numbers[RF_SHIFT];
    return shift * time / (1 + (shift - 1) * time);
}

static const sonde__key rf_keys[] = {
    {"shift", SONDE__KEY_REAL, "1", 1e-3, 1e3, NULL, NULL, "above 1: more steps near the noise"},
    {"t_scale", SONDE__KEY_REAL, "1", 1e-6, 1e6, NULL, NULL, "the model is called with t_scale t"},
    {0},
};

static const sonde__input_key rf_inputs[] = {{0}};

const sonde__schedule_method sonde__schedule_rf = {.method = {"rf",
                                                              "rectified flow: a straight line from noise to data",
                                                              "Liu et al. 2023", rf_keys, rf_inputs, NULL, NULL},
                                                   .create = rf_create,
                                                   .at = rf_at,
                                                   .time = rf_time,
                                                   .warp = rf_warp,
                                                   .grid = "uniform_t",
                                                   .final = "t_end"};
