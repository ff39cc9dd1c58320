/* dpmpp.c: DPM-Solver++: fast steps from noise to data by the model's estimate of the data, of the ODE or the
 * SDE.
 *
 * exponential.c has the steps, of orders 1 to 3, multistep and singlestep; this is their data form, in which
 * x / sigma moves by the integral of e^lambda data. It stays calm under strong guidance and where alpha is
 * near 0, so that order 2 multistep, one prediction a step, is the safe default for all schedules. sde=yes
 * takes the reverse SDE, tau in 0..1 a part of its noise: 0 is the ODE, and with order 1, tau 1 is ancestral
 * sampling.
 *
 * Source: Lu, Zhou, Bao, Chen, Li, Zhu, "DPM-Solver++: fast solver for guided sampling of diffusion
 * probabilistic models", 2022. Cost: one pass a prediction over x, prediction and order - 1 history buffers,
 * and fresh noise for the SDE.
 *
 * SPDX-License-Identifier: MIT
 */
#include "paths/exponential.h"

static const sonde__key dpmpp_keys[] = {
    SONDE__EXPONENTIAL_KEYS("multi"),
    {"sde", SONDE__KEY_WORD, "no", 0, 0, "no|yes", NULL,
     "follow the reverse SDE instead of the ODE; order=3 then wants 15 steps or more"},
    {"tau", SONDE__KEY_REAL, "1", 0, 1, NULL, NULL, "with sde=yes: the share of the SDE's noise"},
    {0}};

static sonde_status dpmpp_create(sonde_path_sampler *sampler)
{
    bool sde = sonde__param_is(sampler->params, "sde", "yes");
    sampler->form = SONDE__FORM_DATA;
    return sonde__exponential_create(sampler, sde ? sonde__param_real(sampler->params, "tau") : 0);
}

const sonde__path_method sonde__path_dpmpp = {
    .method = {.name = "dpmpp",
               .summary = "DPM-Solver++: orders 1 to 3 in the data form, ODE and SDE",
               .source = "Lu et al., 2022",
               .keys = dpmpp_keys,
               .outputs = sonde__path_outputs},
    .create = dpmpp_create,
    .advance = sonde__exponential_advance,
    .drop = sonde__exponential_drop};
