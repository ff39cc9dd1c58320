/* rhork.c: classical Runge-Kutta methods on the ODE of a diffusion, where it is nearly straight.
 *
 *   space=rho    y = x / alpha,            r = sigma / alpha,            dy/dr = eps
 *   space=flow   y = x / (alpha + sigma),  r = sigma / (alpha + sigma),  dy/dr = eps - x0
 *
 * Both hold for every schedule; flow is the time of rectified flow itself and is finite where alpha is 0, so it
 * serves rf. tab=heun2 with alpha = 1 is EDM's deterministic sampler.
 *
 * The tableaux are kept in the form that has no slopes but the latest (Shu and Osher 1988): a slope that is needed
 * again follows from the states before and after it. So stage i makes one sum,
 *
 *   y_(i+1) = sum over j <= i of states[j] y_j + h slope f(y_i),   at r + c h
 *
 * and Heun's method is y_1 = y_0 + h f(y_0), y_2 = (y_0 + y_1 + h f(y_1)) / 2. The last stage gives the new state.
 * Source: Zhang and Chen 2023 (rhoRK of DEIS); Kutta 1901. Cost: as many predictions as stages, one pass for each.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "paths/paths.h"

enum { RHORK_STAGES = 4 };

struct rhork_stage {
    double c, slope, states[RHORK_STAGES];
};

struct rhork_tableau {
    const char *name;
    int stages;
    struct rhork_stage stage[RHORK_STAGES];
};

static const struct rhork_tableau rhork_tableaux[] = {
    {"heun2", 2, {{1, 1, {1}}, {1, 0.5, {0.5, 0.5}}}},
    {"mid2", 2, {{0.5, 0.5, {1}}, {1, 1, {1}}}},
    {"kutta3", 3, {{0.5, 0.5, {1}}, {1, 2, {3, -2}}, {1, 1.0 / 6, {-1.0 / 3, 1, 1.0 / 3}}}},
    {"rk4", 4, {{0.5, 0.5, {1}}, {0.5, 0.5, {1}}, {1, 1, {1}}, {1, 1.0 / 6, {-1.0 / 3, 1.0 / 3, 2.0 / 3, 1.0 / 3}}}},
};

static const struct rhork_tableau *rhork_tableau(const sonde_path_sampler *sampler)
{
    const struct rhork_tableau *tableau = rhork_tableaux;
    while (!sonde__param_is(sampler->params, "tab", tableau->name)) tableau++;
    return tableau;
}

/* Buffer i holds the state of stage i; the state of the step itself is buffer 0. */
static sonde_status rhork_create(sonde_path_sampler *sampler)
{
    const char *name = sonde__schedule_name(sampler->schedule);
    bool automatic = sonde__param_is(sampler->params, "space", "auto"), straight = strcmp(name, "rf") == 0;
    bool flow = sonde__param_is(sampler->params, "space", "flow") || (automatic && straight);
    sampler->form = flow ? SONDE__FORM_CONTRAST : SONDE__FORM_NOISE;
    sampler->stages = sampler->buffers = rhork_tableau(sampler)->stages;
    if (flow || sampler->nodes[0].alpha > 0) return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT,
                       "rhork: sigma/alpha is infinite at the first node of %s; take space=flow or t_start=0.999",
                       name);
}

/* What a state is divided by. */
static double rhork_scale(const sonde_path_sampler *sampler, const sonde__path_point *point)
{
    return sampler->form == SONDE__FORM_CONTRAST ? point->alpha + point->sigma : point->alpha;
}

static double rhork_ratio(const sonde_path_sampler *sampler, const sonde__path_point *point)
{
    return point->sigma / rhork_scale(sampler, point);
}

/* The point at r + c h of the step from -> from + 1; both ends are the nodes themselves. */
static sonde__path_point rhork_point(const sonde_path_sampler *sampler, const sonde__path_point *from, double c)
{
    if (c == 0 || c == 1) return from[c == 1];
    double begin = rhork_ratio(sampler, from), r = begin + c * (rhork_ratio(sampler, from + 1) - begin);
    double data = sampler->form == SONDE__FORM_CONTRAST ? 1 - r : 1;
    sonde__path_point point;
    sonde__schedule_at_lambda(sampler->schedule, log(data / r), &point);
    return point;
}

static sonde_status rhork_advance(sonde_path_sampler *sampler, sonde__path_run *run, sonde__path_move *move)
{
    const struct rhork_tableau *tableau = rhork_tableau(sampler);
    const sonde__path_point *from = &sampler->nodes[run->step];
    int stage = (int)run->stage;
    const struct rhork_stage *row = &tableau->stage[stage];
    bool last = stage + 1 == tableau->stages;
    sonde__path_point to = rhork_point(sampler, from, row->c);
    double scale = rhork_scale(sampler, &to);
    double h = rhork_ratio(sampler, from + 1) - rhork_ratio(sampler, from);
    sonde__path_sum *out = sonde__path_out(move, last ? SONDE__PATH_X : stage + 1);
    for (int j = 0; j <= stage; j++) {
        sonde__path_point at = rhork_point(sampler, from, j == 0 ? 0 : tableau->stage[j - 1].c);
        sonde__path_add(out, j, scale / rhork_scale(sampler, &at) * row->states[j]);
    }
    sonde__path_add(out, SONDE__PATH_VALUE, scale * h * row->slope);
    if (last) return sonde__path_next(sampler, run, move);
    return sonde__path_evaluate(run, move, stage + 1, &to, stage + 1);
}

static const sonde__key rhork_keys[] = {
    {"tab", SONDE__KEY_WORD, "heun2", 0, 0, "heun2|mid2|kutta3|rk4", NULL, "the tableau: order 2, 2, 3 or 4"},
    {"space", SONDE__KEY_WORD, "auto", 0, 0, "auto|rho|flow", NULL,
     "variable of the ODE; auto: flow for rf, else rho"},
    {0},
};

const sonde__path_method sonde__path_rhork = {
    .method = {"rhork", "Heun's and other Runge-Kutta methods", "Zhang and Chen 2023 (DEIS)", rhork_keys, NULL, NULL,
               sonde__path_outputs},
    .create = rhork_create,
    .advance = rhork_advance,
};
