/* ddim.c: first-order steps from one noise level to the next, with as much fresh noise as wanted.
 *
 *   x_t = alpha_t x0 + sqrt(sigma_t^2 - s^2) eps + s z
 *   s = eta sigma_t sqrt(1 - e^(-2h)),  h = lambda_t - lambda_s
 *
 * with x0 and eps as the model predicts them at the step's start. eta = 0 is Euler's method for the ODE in
 * sigma/alpha (for rectified flow exactly x + dt u); eta = 1 samples the posterior of DDPM. In data form, with k =
 * sqrt(sigma_t^2 - s^2) / sigma_s, it is x_t = k x + (alpha_t - alpha_s k) x0 + s z: finite also where alpha_s = 0.
 * Source: Song, Meng, Ermon 2021. Cost: one prediction and one pass a step.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "paths/paths.h"

static sonde_status ddim_create(sonde_path_sampler *sampler)
{
    sampler->form = SONDE__FORM_DATA;
    return SONDE_OK;
}

/* 1 - e^(-2h) is 1 - (r_t / r_s)^2 in the ratios r = sigma / alpha. */
static double ddim_noise(const sonde__path_point *from, const sonde__path_point *to, double eta)
{
    return eta * to->sigma * sqrt(-expm1(2 * (from->lambda - to->lambda)));
}

static sonde_status ddim_advance(sonde_path_sampler *sampler, sonde__path_run *run, sonde__path_move *move)
{
    const sonde__path_point *from = &sampler->nodes[run->step], *to = from + 1;
    double eta = sonde__param_real(sampler->params, "eta");
    double noise = eta > 0 ? ddim_noise(from, to, eta) : 0;
    double keep = sqrt(to->sigma * to->sigma - noise * noise) / from->sigma;
    sonde__path_sum *x = sonde__path_out(move, SONDE__PATH_X);
    sonde__path_add(x, SONDE__PATH_X, keep);
    sonde__path_add(x, SONDE__PATH_VALUE, to->alpha - from->alpha * keep);
    sonde__path_add(x, SONDE__PATH_NOISE, noise);
    return sonde__path_next(sampler, run, move);
}

static const sonde__key ddim_keys[] = {
    {"eta", SONDE__KEY_REAL, "0", 0, 1, NULL, NULL, "fresh noise: 0 none (the ODE), 1 as much as DDPM"},
    {0},
};

const sonde__path_method sonde__path_ddim = {
    .method = {"ddim", "first-order steps, deterministic or with noise", "Song, Meng, Ermon 2021 (DDIM)", ddim_keys,
               NULL, NULL, sonde__path_outputs},
    .create = ddim_create,
    .advance = ddim_advance,
};
