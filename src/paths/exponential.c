/* exponential.c: the steps that DPM-Solver (noise form) and DPM-Solver++ (data form) share.
 *
 * In lambda = log(alpha / sigma) the ODE of a diffusion is half linear: the linear half is solved exactly,
 * and the model's value f (noise e or data m) stands under an integral with e^-lambda or e^lambda. A step of
 * length h from s to t is
 *
 *     x_t = keep x_s + gain integral over u in 0..1 of e^((1-u) z) f(lambda_s + u h) du
 *
 *     data    keep = sigma_t / sigma_s    gain =  alpha_t h    z = -h
 *     noise   keep = alpha_t / alpha_s    gain = -sigma_t h    z =  h
 *
 * and where f is a polynomial, the integral is a sum of phi functions (phi.h): phi_1 f_s for a constant, and
 * so on. Multistep takes the polynomial through the values of the last steps; singlestep evaluates inside the
 * step. The reverse SDE with a part tau of its noise has the same form with k = h (1 + tau^2): keep e^(-tau^2
 * h), gain = alpha_t k, z = -k.
 *
 * Source: Lu et al., "DPM-Solver", NeurIPS 2022; Lu et al., "DPM-Solver++", 2022. Published code of the third
 * multistep order lacks a factor 2 at the second difference, which makes it second order; compat=yes gives
 * that.
 *
 * Layout: buffer 0 is x; 1..depth hold the values of the last steps, that of step i in 1 + i mod depth; then
 * the place of singlestep's evaluations. Cost: one pass over x, the prediction and the history for each
 * prediction; the coefficients are made once.
 *
 * SPDX-License-Identifier: MIT
 */
#include "paths/exponential.h"

#include <math.h>

#include "paths/phi.h"

/* What follows on a prediction: target = keep x + value f + history + noise z. */
struct expo_stage {
    double keep, value, noise;
    double history[SONDE__EXPONENTIAL_ORDERS - 1]; /* newest first */
    sonde__path_point at;                          /* of the target, where it is evaluated */
};

struct expo_step {
    int order;
    bool single;
    struct expo_stage stages[SONDE__EXPONENTIAL_ORDERS];
};

struct expo_plan {
    int depth;
    struct expo_step steps[];
};

/* The spec's words. */
struct expo_options {
    int order;
    bool single, exact, compat, lower, warm;
    double tau;
};

/* ---- one step ------------------------------------------------------------------------------------------ */

/* first is written without h, so that nothing cancels and lambda may be infinite. */
sonde__exponential sonde__exponential_step(sonde__path_form form, double tau, const sonde__path_point *from,
                                           const sonde__path_point *to)
{
    double h = to->lambda - from->lambda;
    if (form == SONDE__FORM_NOISE)
        return (sonde__exponential){.keep = to->alpha / from->alpha,
                                    .first = to->sigma - to->alpha * from->sigma / from->alpha,
                                    .gain = -to->sigma * h,
                                    .z = h};
    double ratio = to->sigma / from->sigma, k = h * (1 + tau * tau);
    if (tau == 0)
        return (sonde__exponential){
            .keep = ratio, .first = to->alpha - from->alpha * ratio, .gain = to->alpha * h, .z = -h};
    return (sonde__exponential){.keep = ratio * exp(-tau * tau * h),
                                .first = -to->alpha * expm1(-k),
                                .gain = to->alpha * k,
                                .z = -k,
                                .noise = to->sigma * sqrt(-expm1(-2 * tau * tau * h))};
}

static struct expo_stage expo_first_order(const sonde__exponential *step)
{
    return (struct expo_stage){.keep = step->keep, .value = step->first, .noise = step->noise};
}

/* Order 2 and 3 from values at the distances back[k] (in steps h, positive) before the step's start. The
 * interpolation polynomial's first difference is the slope to the last value, its second the slopes'
 * difference. */
static struct expo_stage expo_multistep(const sonde__exponential *step, const double *back, int order,
                                        const struct expo_options *options)
{
    struct expo_stage stage = expo_first_order(step);
    double phi2 = sonde__phi(2, step->z), newest = phi2, oldest = 0;
    if (order == 2 && !options->exact) newest = step->first / step->gain / 2;
    if (order == 3) {
        double bend = phi2 * back[0] + (options->compat ? 1 : 2) * sonde__phi(3, step->z);
        newest = phi2 + bend / (back[1] - back[0]);
        oldest = -bend / (back[1] - back[0]);
    }
    /* The slopes are (f - f_k) / back[k]. */
    stage.history[0] = -step->gain * newest / back[0];
    stage.history[1] = order == 3 ? -step->gain * oldest / back[1] : 0;
    stage.value -= stage.history[0] + stage.history[1];
    return stage;
}

/* ---- plans --------------------------------------------------------------------------------------------- */

/* Between the nodes, at the share r of the step in lambda. */
static sonde__path_point expo_inside(const sonde_path_sampler *sampler, const sonde__path_point *from,
                                     double r)
{
    sonde__path_point point;
    sonde__schedule_at_lambda(sampler->schedule, from->lambda + r * (from[1].lambda - from->lambda), &point);
    return point;
}

/* A later stage of a singlestep: f_s from history, the new value's slope is weighted by `slope`. */
static struct expo_stage expo_later(const sonde__exponential *step, double slope)
{
    return (struct expo_stage){.keep = step->keep, .history = {step->first - slope}, .value = slope};
}

/* Order 2: the value at r = 1/2. Order 3: at r = 1/3 and then, extrapolated, at 2/3. */
static void expo_fill_single(const sonde_path_sampler *sampler, const sonde__path_point *from,
                             struct expo_step *made)
{
    sonde__exponential whole = sonde__exponential_step(sampler->form, 0, from, from + 1);
    sonde__path_point one = expo_inside(sampler, from, made->order == 2 ? 0.5 : 1.0 / 3);
    sonde__exponential part = sonde__exponential_step(sampler->form, 0, from, &one);
    made->stages[0] = expo_first_order(&part);
    made->stages[0].at = one;
    if (made->order == 2) {
        made->stages[1] = expo_later(&whole, whole.first);
        return;
    }
    sonde__path_point two = expo_inside(sampler, from, 2.0 / 3);
    part = sonde__exponential_step(sampler->form, 0, from, &two);
    made->stages[1] = expo_later(&part, 2 * part.gain * sonde__phi(2, part.z));
    made->stages[1].at = two;
    made->stages[2] = expo_later(&whole, 1.5 * whole.gain * sonde__phi(2, whole.z));
}

static void expo_fill_multi(const sonde_path_sampler *sampler, int64_t i, const struct expo_options *options,
                            struct expo_step *made)
{
    const sonde__path_point *from = &sampler->nodes[i];
    double h = from[1].lambda - from->lambda, back[SONDE__EXPONENTIAL_ORDERS - 1] = {0};
    sonde__exponential step = sonde__exponential_step(sampler->form, options->tau, from, from + 1);
    for (int k = 1; k < made->order; k++) {
        back[k - 1] = (from->lambda - from[-k].lambda) / h;
        if (!isfinite(back[k - 1])) made->order = 1;
    }
    made->stages[0] = made->order == 1 ? expo_first_order(&step)
                                       : expo_multistep(&step, back, made->order, options);
}

/* Without a lambda at both ends there is no place inside a step. */
static void expo_fill(const sonde_path_sampler *sampler, int64_t i, const struct expo_options *options,
                      struct expo_step *made)
{
    const sonde__path_point *from = &sampler->nodes[i];
    bool finite = isfinite(from->lambda) && isfinite(from[1].lambda);
    if (!finite) made->order = 1;
    made->single = made->single && made->order > 1;
    if (made->single) expo_fill_single(sampler, from, made);
    else expo_fill_multi(sampler, i, options, made);
}

/* The order of multistep step i: as many values as there are, and 2 and 1 at the end. */
static void expo_choose_multi(const sonde_path_sampler *sampler, int64_t i,
                              const struct expo_options *options, struct expo_step *made)
{
    int64_t left = sampler->steps + sampler->zero - i;
    int64_t order = options->lower ? sonde__min_i64(options->order, left) : options->order;
    made->single = options->warm && i + 1 < order;
    made->order = (int)(made->single ? order : sonde__min_i64(order, i + 1));
}

/* The order of step i of a singlestep plan that spends `budget` predictions; 0 after the last. If
 * `lower`, a last step of order 3 is split in two, of orders 2 and 1. */
static int64_t expo_choose_single(int64_t budget, const struct expo_options *options, int64_t i)
{
    int64_t order = options->order, whole = budget / order, rest = budget % order;
    if (order == 3 && rest == 0 && options->lower)
        return i < whole - 1 ? 3 : i == whole - 1 ? 2 : i == whole ? 1 : 0;
    return i < whole ? order : i == whole ? rest : 0;
}

static bool expo_uniform(const sonde_path_sampler *sampler)
{
    const sonde__path_point *nodes = sampler->nodes;
    double h = (nodes[sampler->steps].lambda - nodes[0].lambda) / (double)sampler->steps;
    for (int64_t i = 0; i < sampler->steps; i++)
        if (!(fabs(nodes[i + 1].lambda - nodes[i].lambda - h) < 1e-6 * h)) return false;
    return true;
}

/* Singlestep: the plan's `steps` count predictions. The nodes that remain are the ends of whole steps: on a
 * grid that is uniform in lambda they are made uniform again, on all others they are a choice of the nodes
 * there were. */
static void expo_merge_nodes(sonde_path_sampler *sampler, const struct expo_options *options)
{
    sonde__path_point *nodes = sampler->nodes, first = nodes[0], last = nodes[sampler->steps];
    int64_t budget = sampler->steps, count = 0, at = 0;
    bool uniform = expo_uniform(sampler);
    for (int64_t order; (order = expo_choose_single(budget, options, count)) > 0;) {
        at += order;
        nodes[++count] = nodes[at];
    }
    for (int64_t i = 1; uniform && i < count; i++)
        sonde__schedule_at_lambda(sampler->schedule,
                                  first.lambda + (double)i / (double)count * (last.lambda - first.lambda),
                                  &nodes[i]);
    if (sampler->zero) nodes[count + 1] = nodes[budget + 1];
    sampler->steps = count;
    sampler->node_count = count + 1 + sampler->zero;
}

/* ---- hooks --------------------------------------------------------------------------------------------- */

static sonde_status expo_options_read(const sonde_path_sampler *sampler, double tau,
                                      struct expo_options *options)
{
    const sonde__params *params = sampler->params;
    const char *name = sampler->method->method.name;
    *options = (struct expo_options){.order = (int)sonde__param_int(params, "order"),
                                     .single = sonde__param_is(params, "mode", "single"),
                                     .exact = sonde__param_is(params, "variant", "exact"),
                                     .compat = sonde__param_is(params, "compat", "yes"),
                                     .lower = sonde__param_is(params, "lower_order_final", "yes"),
                                     .warm = sonde__param_is(params, "warmup", "single"),
                                     .tau = tau};
    if (sampler->steps + sampler->zero < options->order)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "%s: order=%d needs at least as many steps; the plan has %lld", name,
                           options->order, (long long)(sampler->steps + sampler->zero));
    if (tau > 0 && (options->single || options->warm))
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "%s: sde=yes is multistep: it goes with mode=multi and warmup=low", name);
    return SONDE_OK;
}

sonde_status sonde__exponential_create(sonde_path_sampler *sampler, double tau)
{
    struct expo_options options;
    struct expo_plan *plan;
    SONDE_TRY(expo_options_read(sampler, tau, &options));
    int64_t budget = sampler->steps;
    if (options.single && sampler->zero) options.lower = false; /* the step to sigma = 0 is one of order 1 */
    if (options.single) expo_merge_nodes(sampler, &options);
    plan = sonde__alloc_zero(sampler->runtime, 1,
                             sizeof *plan + (uint64_t)sampler->steps * sizeof plan->steps[0]);
    if (!plan) return sonde__last_status();
    plan->depth = options.single && options.order > 1 ? 1 : options.order - 1;
    for (int64_t i = 0; i < sampler->steps; i++) {
        struct expo_step *step = &plan->steps[i];
        if (options.single) {
            step->single = true;
            step->order = (int)expo_choose_single(budget, &options, i);
        } else expo_choose_multi(sampler, i, &options, step);
        expo_fill(sampler, i, &options, step);
    }
    sampler->state = plan;
    sampler->buffers = 1 + plan->depth + ((options.single || options.warm) && options.order > 1);
    sampler->spares = 2;
    sampler->stages = SONDE__EXPONENTIAL_ORDERS;
    return SONDE_OK;
}

/* Where the value of step i is kept. */
static int expo_slot(const struct expo_plan *plan, int64_t i) { return 1 + (int)(i % plan->depth); }

sonde_status sonde__exponential_advance(sonde_path_sampler *sampler, sonde__path_run *run,
                                        sonde__path_move *move)
{
    const struct expo_plan *plan = sampler->state;
    const struct expo_step *step = &plan->steps[run->step];
    int64_t i = run->step, stage = run->stage;
    if (stage >= step->order) stage = 0; /* a damaged file */
    const struct expo_stage *now = &step->stages[stage];
    bool last = !step->single || stage + 1 == step->order;
    int inside = sampler->buffers - 1;
    sonde__path_sum *sum = sonde__path_out(move, last ? SONDE__PATH_X : inside);
    sonde__path_add(sum, SONDE__PATH_X, now->keep);
    sonde__path_add(sum, SONDE__PATH_VALUE, now->value);
    for (int k = 0; k < plan->depth; k++)
        if (now->history[k] != 0)
            sonde__path_add(sum, expo_slot(plan, step->single ? i : i - 1 - k), now->history[k]);
    sonde__path_add(sum, SONDE__PATH_NOISE, now->noise);
    if (stage == 0 && plan->depth)
        sonde__path_add(sonde__path_out(move, expo_slot(plan, i)), SONDE__PATH_VALUE, 1);
    if (last) return sonde__path_next(sampler, run, move);
    return sonde__path_evaluate(run, move, inside, &now->at, stage + 1);
}

void sonde__exponential_drop(sonde_path_sampler *sampler) { sonde__free(sampler->runtime, sampler->state); }
