/* pf_ode.c: the probability-flow ODE at a tolerance: as many predictions as the model's smoothness needs.
 *
 * dormand_prince.c has the steps; the schedule's nodes give the two ends only, so steps=1 will do. All rows
 * go together, by the step that the most difficult of them allows. For the ODE's exact answer and for
 * references; with few predictions, dpmpp.
 *
 * Source: Song et al., "Score-based generative modeling through stochastic differential equations", ICLR
 * 2021. Cost: six predictions a step, steps as the tolerance asks; 9 buffers.
 *
 * SPDX-License-Identifier: MIT
 */
#include "paths/dormand_prince.h"

/* The run's stages 0 to 5: the slope of stage 1 to 6 arrives; then: */
enum { PF_COMPARE = SONDE__DORMAND_STAGES - 1, PF_JUDGE, PF_BEGIN, PF_STAGES };

static sonde_status pf_create(sonde_path_sampler *sampler)
{
    sampler->stages = PF_STAGES;
    return sonde__dormand_create(sampler);
}

static sonde_status pf_judge(sonde_path_sampler *sampler, sonde__path_run *run, sonde__path_move *move)
{
    bool good;
    double taken;
    SONDE_TRY(sonde__dormand_judge(sampler, run, &good, &taken));
    if (!good) return sonde__path_again(run, move, PF_BEGIN);
    sonde__dormand_accept(move);
    if (sonde__dormand_arrived(sampler, run)) return sonde__path_jump(sampler, run, move, sampler->steps);
    return sonde__path_again(run, move, PF_BEGIN);
}

static sonde_status pf_advance(sonde_path_sampler *sampler, sonde__path_run *run, sonde__path_move *move)
{
    int stage = (int)run->stage + 1;
    sonde__dormand_begin(sampler, run);
    if (run->stage == PF_JUDGE) return pf_judge(sampler, run, move);
    if (run->stage == PF_BEGIN) return sonde__dormand_try(sampler, run, move, 2, sonde__dormand_slope(1), 1);
    if (run->stage == PF_COMPARE) {
        sonde__dormand_compare(run, move);
        return sonde__path_again(run, move, PF_JUDGE);
    }
    sonde__path_add(sonde__path_out(move, sonde__dormand_slope(stage)), SONDE__PATH_VALUE, 1);
    return sonde__dormand_try(sampler, run, move, stage + 1, SONDE__PATH_VALUE, stage);
}

static const sonde__key pf_keys[] = {SONDE__DORMAND_KEYS, {0}};

const sonde__path_method sonde__path_pf_ode = {
    .method = {.name = "pf_ode",
               .summary = "the probability-flow ODE at a tolerance, by adaptive Dormand-Prince steps",
               .source = "Song et al., ICLR 2021; Dormand and Prince, 1980",
               .keys = pf_keys,
               .outputs = sonde__path_outputs},
    .create = pf_create,
    .advance = pf_advance,
    .drop = sonde__dormand_drop};
