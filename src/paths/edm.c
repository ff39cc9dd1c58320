/* edm.c: Heun's method of EDM, with noise that is stirred in before a step (churn).
 *
 * In y = x / alpha and r = sigma / alpha, a step from r to r' is
 *
 *   gamma = min(churn / steps, sqrt 2 - 1) if stmin <= r <= stmax, else 0
 *   q = r (1 + gamma),  y^ = y + sqrt(q^2 - r^2) snoise z
 *   d = (y^ - x0(y^, q)) / q = eps,  y' = y^ + (r' - q) d
 *   if r' > 0:  y' = y^ + (r' - q) (d + d') / 2 = (y^ + y') / 2 + (r' - q) d' / 2,  d' the noise predicted at y', r'
 *
 * Noise is stirred in as the step before ends, so that the state that a run shows at its nodes is y^ alpha.
 * Source: Karras, Aittala, Aila, Laine 2022, algorithm 2. Cost: two predictions a step, one for a last step to
 * sigma = 0.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "paths/paths.h"

enum { EDM_TRIAL = 1, EDM_BUFFERS };

/* The place q that a step from node i really starts at, and the noise that leads there. */
static double edm_churned(const sonde_path_sampler *sampler, int64_t i, sonde__path_point *start)
{
    const sonde__params *params = sampler->params;
    const sonde__path_point *node = &sampler->nodes[i];
    double ratio = node->sigma / node->alpha, gamma = 0;
    double most = sonde__param_is(params, "stmax", "inf") ? HUGE_VAL : sonde__param_real(params, "stmax");
    if (ratio >= sonde__param_real(params, "stmin") && ratio <= most)
        gamma = fmin(sonde__param_real(params, "churn") / (double)sampler->steps, sqrt(2) - 1);
    *start = *node;
    if (gamma > 0) sonde__schedule_at_lambda(sampler->schedule, node->lambda - log1p(gamma), start);
    return ratio * sqrt(gamma * (2 + gamma)) * sonde__param_real(params, "snoise");
}

static sonde_status edm_create(sonde_path_sampler *sampler)
{
    sampler->form = SONDE__FORM_NOISE;
    sampler->buffers = EDM_BUFFERS;
    sampler->stages = 2;
    for (int64_t i = 0; i < sampler->steps; i++) {
        sonde__path_point start;
        edm_churned(sampler, i, &start);
        if (!(start.sigma > 0 && start.alpha > 0 && isfinite(start.sigma)))
            return sonde__fail(SONDE_INVALID_ARGUMENT, "edm: churn leads beyond the schedule %s at node %lld",
                               sonde__schedule_name(sampler->schedule), (long long)i);
    }
    return SONDE_OK;
}

/* Where the step from node i starts; the last node is where it is. */
static sonde__path_point edm_place(const sonde_path_sampler *sampler, int64_t i, double *noise)
{
    sonde__path_point place = sampler->nodes[i];
    *noise = i < sampler->steps ? edm_churned(sampler, i, &place) : 0;
    return place;
}

/* Goes to where the step from node `step + steps` starts; the sum is returned for what leads to that node, its noise
 * is there already. *scale is what makes a y there an x. */
static sonde__path_sum *edm_land(sonde_path_sampler *sampler, sonde__path_run *run, sonde__path_move *move,
                                 int64_t steps, double *scale)
{
    double noise;
    sonde__path_point to = edm_place(sampler, run->step + steps, &noise);
    sonde__path_sum *x = sonde__path_out(move, SONDE__PATH_X);
    x->purpose = steps == 0;
    sonde__path_add(x, SONDE__PATH_NOISE, to.alpha * noise);
    sonde__path_jump(sampler, run, move, steps);
    if (move->then == SONDE__PATH_EVALUATE) run->at = to;
    *scale = to.alpha;
    return x;
}

static sonde_status edm_begin(sonde_path_sampler *sampler, sonde__path_run *run, sonde__path_move *move)
{
    double scale;
    sonde__path_sum *x = edm_land(sampler, run, move, 0, &scale);
    sonde__path_add(x, SONDE__PATH_X, scale / sampler->nodes[0].alpha);
    return SONDE_OK;
}

static double edm_ratio(const sonde__path_point *point) { return point->sigma / point->alpha; }

static sonde_status edm_advance(sonde_path_sampler *sampler, sonde__path_run *run, sonde__path_move *move)
{
    const sonde__path_point *to = &sampler->nodes[run->step + 1];
    double noise, scale;
    sonde__path_point from = edm_place(sampler, run->step, &noise);
    double change = edm_ratio(to) - edm_ratio(&from);
    if (run->stage == 0 && to->sigma > 0) {
        sonde__path_sum *trial = sonde__path_out(move, EDM_TRIAL);
        sonde__path_add(trial, SONDE__PATH_X, to->alpha / from.alpha);
        sonde__path_add(trial, SONDE__PATH_VALUE, to->alpha * change);
        return sonde__path_evaluate(run, move, EDM_TRIAL, to, 1);
    }
    double part = run->stage == 1 ? 0.5 : 1;
    sonde__path_sum *x = edm_land(sampler, run, move, 1, &scale);
    sonde__path_add(x, SONDE__PATH_X, scale / from.alpha * part);
    sonde__path_add(x, EDM_TRIAL, scale / to->alpha * (1 - part));
    sonde__path_add(x, SONDE__PATH_VALUE, scale * change * part);
    return SONDE_OK;
}

static const sonde__key edm_solver_keys[] = {
    {"churn", SONDE__KEY_REAL, "0", 0, 1e6, NULL, NULL, "noise stirred in over the whole run"},
    {"stmin", SONDE__KEY_REAL, "0", 0, 1e9, NULL, NULL, "only where sigma/alpha is at least this"},
    {"stmax", SONDE__KEY_REAL, "inf", 0, 1e9, "inf", NULL, "... and at most this"},
    {"snoise", SONDE__KEY_REAL, "1", 0, 10, NULL, NULL, "standard deviation of that noise"},
    {0},
};

const sonde__path_method sonde__path_edm = {
    .method = {"edm", "Heun's method, with noise stirred in if wanted", "Karras et al. 2022 (EDM)", edm_solver_keys,
               NULL, NULL, sonde__path_outputs},
    .to_zero = true,
    .finite_lambda = true,
    .create = edm_create,
    .begin = edm_begin,
    .advance = edm_advance,
};
