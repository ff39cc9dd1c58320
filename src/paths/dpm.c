/* dpm.c: DPM-Solver: fast steps from noise to data by the model's estimate of the noise.
 *
 * exponential.c has the steps, of orders 1 to 3, multistep and singlestep; this is their noise form, in which
 * x / alpha moves by the integral of e^-lambda noise. Singlestep of order 3 is the paper's DPM-Solver-3; the
 * plan's steps count predictions there. The noise form magnifies errors where alpha is near 0 and under
 * strong guidance: dpmpp is the safe choice.
 *
 * Source: Lu, Zhou, Bao, Chen, Li, Zhu, "DPM-Solver: a fast ODE solver for diffusion probabilistic model
 * sampling in around 10 steps", NeurIPS 2022. Cost: one pass a prediction over x, prediction and order - 1
 * history buffers.
 *
 * SPDX-License-Identifier: MIT
 */
#include "paths/exponential.h"

static const sonde__key dpm_keys[] = {SONDE__EXPONENTIAL_KEYS("single"), {0}};

static sonde_status dpm_create(sonde_path_sampler *sampler)
{
    sampler->form = SONDE__FORM_NOISE;
    return sonde__exponential_create(sampler, 0);
}

const sonde__path_method sonde__path_dpm = {
    .method = {.name = "dpm",
               .summary = "DPM-Solver: orders 1 to 3 in the noise form",
               .source = "Lu et al., NeurIPS 2022",
               .keys = dpm_keys,
               .outputs = sonde__path_outputs},
    .finite_lambda = true,
    .create = dpm_create,
    .advance = sonde__exponential_advance,
    .drop = sonde__exponential_drop};
