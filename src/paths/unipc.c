/* unipc.c: UniPC: a predictor and a corrector of one form; the corrector uses the prediction that the next
 * step needs anyway.
 *
 * A step from s to t predicts x^p from the values of the last p nodes. The model's value at x^p then corrects
 * the state at t, at no further call, and is kept as the value of t (the corrected state is not evaluated
 * again):
 *
 *     base = keep x_s + first m_0      D_k = (m_k - m_0) / r_k      r_k = (lambda_k - lambda_s) / h,  r_p = 1
 *     x^p  = base + gain sum over k < p of a_k D_k
 *     x_t  = base + gain (sum over k < p of c_k D_k + c_p (m_t - m_0))
 *
 * a and c integrate polynomials exactly (phi.h). By convention one lone weight is B / (2 z) with B = z (bh1)
 * or e^z - 1 (bh2): a of p = 2 and c of p = 1; bh=exact solves these too. All other weights are the same for
 * the three.
 *
 * Both are linear, so that "correct, then predict" is one sum over x^p, the new value and the history: x_s is
 * not kept.
 *
 * Source: Zhao, Bai, Rao, Zhou, Lu, "UniPC: a unified predictor-corrector framework for fast sampling of
 * diffusion models", NeurIPS 2023. Layout: buffer 0 is x; the value of node i lies in 1 + i mod depth, depth
 * = order with the corrector, else order - 1. Cost: one pass over x, the prediction and the history a step.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "paths/exponential.h"
#include "paths/phi.h"

enum { UNIPC_MOST = 3 };

/* Weights of the sum that a prediction at the step's start brings: of x, of the value, of the values before
 * it. */
struct unipc_step {
    double keep, value, history[UNIPC_MOST];
};

struct unipc_plan {
    int depth;
    struct unipc_step steps[];
};

struct unipc_options {
    int order;
    bool corrector, lower;
    enum unipc_lone { UNIPC_EXACT, UNIPC_BH1, UNIPC_BH2 } lone;
};

/* One formula, as weights of x_s, of the value at t (corrector), of m_0, m_1, ... */
struct unipc_formula {
    double keep, next, values[UNIPC_MOST];
};

static int unipc_order(const sonde_path_sampler *sampler, const struct unipc_options *options, int64_t i)
{
    int64_t left = sampler->steps + sampler->zero - i;
    int64_t order = sonde__min_i64(options->order, i + 1);
    return (int)(options->lower ? sonde__min_i64(order, left) : order);
}

/* The step from node i to i + 1, as predictor or corrector. */
static struct unipc_formula unipc_formula_of(const sonde_path_sampler *sampler,
                                             const struct unipc_options *options, int64_t i, bool corrector)
{
    const sonde__path_point *from = &sampler->nodes[i];
    sonde__exponential step = sonde__exponential_step(sampler->form, 0, from, from + 1);
    int order = unipc_order(sampler, options, i), count = order - !corrector;
    double r[UNIPC_MOST], weights[UNIPC_MOST];
    struct unipc_formula made = {.keep = step.keep, .values = {step.first}};
    if (count == 0) return made;
    for (int k = 1; k < order; k++)
        r[k - 1] = (from[-k].lambda - from->lambda) / (from[1].lambda - from->lambda);
    if (corrector) r[order - 1] = 1;
    if (count == 1 && options->lone)
        weights[0] = options->lone == UNIPC_BH2 ? sonde__phi(1, step.z) / 2 : 0.5;
    else sonde__phi_weights(step.z, r, count, weights);
    for (int k = 1; k <= count; k++) {
        double weight = step.gain * weights[k - 1] / r[k - 1];
        made.values[0] -= weight;
        if (k < order) made.values[k] = weight;
        else made.next = weight;
    }
    return made;
}

/* Corrects node i (if it was predicted), then predicts node i + 1. */
static void unipc_fill(const sonde_path_sampler *sampler, const struct unipc_options *options, int64_t i,
                       struct unipc_step *step)
{
    struct unipc_formula predict = unipc_formula_of(sampler, options, i, false);
    step->keep = predict.keep;
    step->value = predict.values[0];
    for (int k = 1; k < UNIPC_MOST; k++) step->history[k - 1] = predict.values[k];
    if (i == 0 || !options->corrector) return;
    struct unipc_formula was = unipc_formula_of(sampler, options, i - 1, false);
    struct unipc_formula now = unipc_formula_of(sampler, options, i - 1, true);
    step->value += predict.keep * now.next;
    for (int k = 0; k < UNIPC_MOST; k++) step->history[k] += predict.keep * (now.values[k] - was.values[k]);
}

static sonde_status unipc_create(sonde_path_sampler *sampler)
{
    const sonde__params *params = sampler->params;
    struct unipc_options options = {.order = (int)sonde__param_int(params, "order"),
                                    .corrector = sonde__param_is(params, "corrector", "yes"),
                                    .lone = sonde__param_is(params, "bh", "bh1")   ? UNIPC_BH1
                                            : sonde__param_is(params, "bh", "bh2") ? UNIPC_BH2
                                                                                   : UNIPC_EXACT,
                                    .lower = sonde__param_is(params, "lower_order_final", "yes")};
    struct unipc_plan *plan;
    if (sampler->steps + sampler->zero < options.order)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "unipc: order=%d needs at least as many steps; the plan has %lld", options.order,
                           (long long)(sampler->steps + sampler->zero));
    plan = sonde__alloc_zero(sampler->runtime, 1,
                             sizeof *plan + (uint64_t)sampler->steps * sizeof plan->steps[0]);
    if (!plan) return sonde__last_status();
    sampler->form = sonde__param_is(params, "data", "yes") ? SONDE__FORM_DATA : SONDE__FORM_NOISE;
    for (int64_t i = 0; i < sampler->steps; i++) unipc_fill(sampler, &options, i, &plan->steps[i]);
    plan->depth = options.corrector ? options.order : options.order - 1;
    sampler->state = plan;
    sampler->buffers = 1 + plan->depth;
    sampler->spares = 2;
    return SONDE_OK;
}

static sonde_status unipc_advance(sonde_path_sampler *sampler, sonde__path_run *run, sonde__path_move *move)
{
    const struct unipc_plan *plan = sampler->state;
    const struct unipc_step *step = &plan->steps[run->step];
    sonde__path_sum *x = sonde__path_out(move, SONDE__PATH_X);
    sonde__path_add(x, SONDE__PATH_X, step->keep);
    sonde__path_add(x, SONDE__PATH_VALUE, step->value);
    for (int k = 0; k < plan->depth; k++)
        if (step->history[k] != 0)
            sonde__path_add(x, 1 + (int)((run->step - 1 - k) % plan->depth), step->history[k]);
    if (plan->depth)
        sonde__path_add(sonde__path_out(move, 1 + (int)(run->step % plan->depth)), SONDE__PATH_VALUE, 1);
    return sonde__path_next(sampler, run, move);
}

static void unipc_drop(sonde_path_sampler *sampler) { sonde__free(sampler->runtime, sampler->state); }

static const sonde__key unipc_keys[] = {
    {"order", SONDE__KEY_INT, "2", 1, UNIPC_MOST, NULL, NULL,
     "values that predict; with the corrector the order is one more"},
    {"bh", SONDE__KEY_WORD, "bh2", 0, 0, "bh1|bh2|exact", NULL,
     "weights that stand alone: by one of the paper's two conventions, or solved like the others"},
    {"data", SONDE__KEY_WORD, "yes", 0, 0, "yes|no", NULL, "work on estimates of the data; no: of the noise"},
    {"corrector", SONDE__KEY_WORD, "yes", 0, 0, "yes|no", NULL,
     "correct each state by the prediction made there"},
    {"lower_order_final", SONDE__KEY_WORD, "yes", 0, 0, "yes|no", NULL,
     "the last steps are of lower order, which helps below about 15 steps"},
    {0}};

const sonde__path_method sonde__path_unipc = {
    .method = {.name = "unipc",
               .summary = "UniPC: predictor and corrector of one form, orders 1 to 3",
               .source = "Zhao et al., NeurIPS 2023",
               .keys = unipc_keys,
               .outputs = sonde__path_outputs},
    .finite_lambda = true,
    .create = unipc_create,
    .advance = unipc_advance,
    .drop = unipc_drop};
