/* sde.c: Score-SDE: the reverse SDE by the score, a predictor step after any number of Langevin corrector
 * steps.
 *
 * A predictor goes from node s to node t, x = keep x + w score + noise z:
 *
 *     em          Euler-Maruyama: keep = 1 + f dt, w = -g^2 dt, noise = g sqrt |dt|
 *     reverse     the forward chain of steps, turned round: variance b = 1 - (alpha_s / alpha_t)^2 (VP) or
 *                 sigma_s^2 - sigma_t^2 (VE)
 *     ancestral   the posterior's mean of that chain
 *
 * probability_flow=yes halves w and adds no noise; the last step adds none either. Before it, at the same node,
 * the corrector moves x by eta score + sqrt(2 eta) z with eta = 2 a (snr ratio)^2, a = (alpha_s / alpha_t)^2:
 *
 *     norm=level  ratio = sigma, what |z| / |score| is on the whole: Langevin with one step size a level
 *     norm=batch  ratio = mean |z| / mean |score| over the rows, as in the authors' code: rows touch each other
 *     norm=row    ratio = |z| / |score| of the row: the step size knows the noise that it scales, so that the law
 *                 is not kept; in few dimensions it spreads (variance 10.7 times too large in 2, 1.07 in 64)
 *
 * The code runs corrector, then predictor; the paper's listing has the reverse order.
 *
 * Source: Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole, "Score-based generative modeling through
 * stochastic differential equations", ICLR 2021. Layout: buffer 0 is x, 1 the score and 2 the noise of a
 * corrector. Cost: 1 + ncorr predictions a step; a predictor is one pass and noise, a corrector three.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "kernels/kernels.h"
#include "paths/paths.h"

enum { SDE_SCORE = 1, SDE_NOISE = 2, SDE_BUFFERS = 3 };
enum {
    SDE_ETA,
    SDE_ROOT,
    SDE_ROW_SCALARS
}; /* eta and sqrt(2 eta); before that, ratios or norms */

struct sde_step {
    double keep, score, noise, shrink; /* shrink: a */
};

struct sde_plan {
    int64_t corrections;
    double snr;
    enum sde_norm { SDE_LEVEL, SDE_BATCH, SDE_ROW } norm;
    struct sde_step steps[];
};

enum sde_predictor { SDE_EM, SDE_REVERSE, SDE_ANCESTRAL };

/* ---- plans --------------------------------------------------------------------------------------------- */

static struct sde_step sde_em(const sonde__path_point *from, const sonde__path_point *to)
{
    double dt = to->time - from->time, diffusion = sonde__path_diffusion(from);
    return (struct sde_step){.keep = 1 + sonde__path_drift(from) * dt,
                             .score = -diffusion * dt,
                             .noise = sqrt(diffusion * fabs(dt))};
}

/* alpha = 1: the chain adds variance only. */
static struct sde_step sde_exploding(enum sde_predictor predictor, const sonde__path_point *from,
                                     const sonde__path_point *to)
{
    double variance = from->sigma * from->sigma - to->sigma * to->sigma;
    double noise = sqrt(variance) * (predictor == SDE_ANCESTRAL ? to->sigma / from->sigma : 1);
    return (struct sde_step){.keep = 1, .score = variance, .noise = noise};
}

/* alpha^2 + sigma^2 = 1: the chain shrinks x by alpha_s / alpha_t and adds what is then missing. */
static struct sde_step sde_preserving(enum sde_predictor predictor, const sonde__path_point *from,
                                      const sonde__path_point *to)
{
    double shrink = from->alpha / to->alpha, variance = (1 - shrink) * (1 + shrink);
    struct sde_step step = {.keep = 2 - shrink, .score = variance, .noise = sqrt(variance)};
    if (predictor == SDE_ANCESTRAL) {
        step.keep = 1 / shrink;
        step.score = variance / shrink;
    }
    return step;
}

static struct sde_step sde_step_of(const sonde_path_sampler *sampler, enum sde_predictor predictor, int64_t i)
{
    const sonde__path_point *from = &sampler->nodes[i], *to = from + 1;
    double ratio = from->alpha / to->alpha;
    struct sde_step step = predictor == SDE_EM ? sde_em(from, to)
                           : sonde__schedule_exploding(sampler->schedule)
                               ? sde_exploding(predictor, from, to)
                               : sde_preserving(predictor, from, to);
    step.shrink = ratio * ratio;
    return step;
}

static sonde_status sde_check(const sonde_path_sampler *sampler, enum sde_predictor predictor, bool flow)
{
    const sonde__schedule *schedule = sampler->schedule;
    if (predictor != SDE_EM && !sonde__schedule_exploding(schedule) && !sonde__schedule_preserving(schedule))
        return sonde__fail(
            SONDE_INVALID_ARGUMENT,
            "sde: pred=%s needs alpha = 1 or alpha^2 + sigma^2 = 1, which %s has not; use pred=em",
            sonde__param_word(sampler->params, "pred"), sonde__schedule_name(schedule));
    if (predictor == SDE_ANCESTRAL && flow)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "sde: pred=ancestral has no probability flow; use pred=reverse or pred=em");
    return SONDE_OK;
}

static sonde_status sde_create(sonde_path_sampler *sampler)
{
    const sonde__params *params = sampler->params;
    enum sde_predictor predictor = sonde__param_is(params, "pred", "em")        ? SDE_EM
                                   : sonde__param_is(params, "pred", "reverse") ? SDE_REVERSE
                                                                                : SDE_ANCESTRAL;
    bool flow = sonde__param_is(params, "probability_flow", "yes");
    struct sde_plan *plan;
    SONDE_TRY(sde_check(sampler, predictor, flow));
    plan = sonde__alloc_zero(sampler->runtime, 1,
                             sizeof *plan + (uint64_t)sampler->steps * sizeof plan->steps[0]);
    if (!plan) return sonde__last_status();
    plan->corrections = sonde__param_is(params, "corr", "langevin") ? sonde__param_int(params, "ncorr") : 0;
    plan->snr = sonde__param_real(params, "snr");
    plan->norm = sonde__param_is(params, "norm", "level")   ? SDE_LEVEL
                 : sonde__param_is(params, "norm", "batch") ? SDE_BATCH
                                                            : SDE_ROW;
    for (int64_t i = 0; i < sampler->steps; i++) {
        struct sde_step *step = &plan->steps[i];
        *step = sde_step_of(sampler, predictor, i);
        if (flow) step->score /= 2;
        if (flow || (i == sampler->steps - 1 && !sampler->zero)) step->noise = 0;
    }
    sampler->state = plan;
    sampler->form = SONDE__FORM_SCORE;
    sampler->buffers = plan->corrections ? SDE_BUFFERS : 1;
    sampler->row_scalars = plan->corrections ? SDE_ROW_SCALARS : 0;
    sampler->spares = 3;
    sampler->stages = 2 * plan->corrections + 1;
    return SONDE_OK;
}

/* ---- the corrector ------------------------------------------------------------------------------------- */

struct sde_norms {
    const float *score, *noise;
    int64_t dim;
    double *score_norms, *noise_norms;
};

static sonde_status sde_norm_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct sde_norms *job = context;
    const sonde__kernels *kernels = sonde__kernels_get();
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        job->score_norms[i] = sqrt((double)kernels->norm2(job->score + i * job->dim, job->dim));
        job->noise_norms[i] = sqrt((double)kernels->norm2(job->noise + i * job->dim, job->dim));
    }
    return SONDE_OK;
}

static void sde_average(double *values, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += values[i];
    for (int64_t i = 0; i < count; i++) values[i] = sum / (double)count;
}

/* |z| / |score| of every row in `ratio`, or of all; a model's zero score moves nothing. */
static sonde_status sde_ratios(sonde_path_sampler *sampler, const sonde__path_run *run, enum sde_norm norm,
                               double *ratio, double *noise_norms)
{
    int64_t rows = sonde__path_rows(sampler), grain = sonde__max_i64(1, 16384 / sampler->dim);
    struct sde_norms job = {sonde__path_buffer(sampler, run, SDE_SCORE),
                            sonde__path_buffer(sampler, run, SDE_NOISE), sampler->dim, ratio, noise_norms};
    SONDE_TRY(sonde__parallel_for(sampler->runtime, 0, rows, grain, NULL, sde_norm_rows, &job));
    if (norm == SDE_BATCH) {
        sde_average(ratio, rows);
        sde_average(noise_norms, rows);
    }
    for (int64_t i = 0; i < rows; i++) ratio[i] = ratio[i] > 0 ? noise_norms[i] / ratio[i] : 0;
    return SONDE_OK;
}

/* The step sizes of all rows. */
static sonde_status sde_sizes(sonde_path_sampler *sampler, const sonde__path_run *run)
{
    const struct sde_plan *plan = sampler->state;
    double *eta = sonde__path_row_scalars(sampler, SDE_ETA),
           *root = sonde__path_row_scalars(sampler, SDE_ROOT);
    if (plan->norm != SDE_LEVEL) SONDE_TRY(sde_ratios(sampler, run, plan->norm, eta, root));
    for (int64_t i = 0; i < sonde__path_rows(sampler); i++) {
        double ratio = plan->snr * (plan->norm == SDE_LEVEL ? sampler->nodes[run->step].sigma : eta[i]);
        eta[i] = 2 * plan->steps[run->step].shrink * ratio * ratio;
        root[i] = sqrt(2 * eta[i]);
    }
    return SONDE_OK;
}

/* The score has arrived: it and its noise are put aside, to be measured. */
static sonde_status sde_measure(sonde__path_run *run, sonde__path_move *move)
{
    sonde__path_add(sonde__path_out(move, SDE_SCORE), SONDE__PATH_VALUE, 1);
    sonde__path_sum *noise = sonde__path_out(move, SDE_NOISE);
    noise->purpose = (uint32_t)(1 + run->stage / 2);
    sonde__path_add(noise, SONDE__PATH_NOISE, 1);
    return sonde__path_again(run, move, run->stage + 1);
}

static sonde_status sde_correct(sonde_path_sampler *sampler, sonde__path_run *run, sonde__path_move *move)
{
    SONDE_TRY(sde_sizes(sampler, run));
    sonde__path_sum *x = sonde__path_out(move, SONDE__PATH_X);
    sonde__path_add(x, SONDE__PATH_X, 1);
    sonde__path_add_scaled(x, SDE_SCORE, 1, SDE_ETA);
    sonde__path_add_scaled(x, SDE_NOISE, 1, SDE_ROOT);
    return sonde__path_evaluate(run, move, SONDE__PATH_X, &sampler->nodes[run->step], run->stage + 1);
}

static sonde_status sde_advance(sonde_path_sampler *sampler, sonde__path_run *run, sonde__path_move *move)
{
    const struct sde_plan *plan = sampler->state;
    const struct sde_step *step = &plan->steps[run->step];
    if (run->stage < 2 * plan->corrections)
        return run->stage % 2 ? sde_correct(sampler, run, move) : sde_measure(run, move);
    sonde__path_sum *x = sonde__path_out(move, SONDE__PATH_X);
    sonde__path_add(x, SONDE__PATH_X, step->keep);
    sonde__path_add(x, SONDE__PATH_VALUE, step->score);
    sonde__path_add(x, SONDE__PATH_NOISE, step->noise);
    return sonde__path_next(sampler, run, move);
}

static void sde_drop(sonde_path_sampler *sampler) { sonde__free(sampler->runtime, sampler->state); }

static const sonde__key sde_keys[] = {
    {"pred", SONDE__KEY_WORD, "em", 0, 0, "em|reverse|ancestral", NULL,
     "predictor: Euler-Maruyama, the reversed chain, or its posterior mean; only em for rf and subvp"},
    {"corr", SONDE__KEY_WORD, "langevin", 0, 0, "langevin|none", NULL, "corrector"},
    {"snr", SONDE__KEY_REAL, "0.16", 0, 10, NULL, NULL, "signal to noise ratio of a corrector step"},
    {"ncorr", SONDE__KEY_INT, "1", 1, SONDE__PATH_PURPOSES - 1, NULL, NULL,
     "corrector steps a node, a prediction each"},
    {"norm", SONDE__KEY_WORD, "level", 0, 0, "level|batch|row", NULL,
     "the corrector's step size: by the noise level, or by norms over the batch or of the row"},
    {"probability_flow", SONDE__KEY_WORD, "no", 0, 0, "no|yes", NULL, "predict along the ODE, without noise"},
    {0}};

const sonde__path_method sonde__path_sde = {
    .method = {.name = "sde",
               .summary = "Score-SDE: predictor-corrector on the reverse SDE",
               .source = "Song et al., ICLR 2021",
               .keys = sde_keys,
               .outputs = sonde__path_outputs},
    .finite_lambda = true,
    .create = sde_create,
    .advance = sde_advance,
    .drop = sde_drop};
