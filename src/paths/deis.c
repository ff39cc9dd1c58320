/* deis.c: DEIS, exponential Adams-Bashforth: polynomials through the last noise estimates, integrated
 * exactly.
 *
 * With y = x / alpha and rho = sigma / alpha the ODE is dy / drho = e, the noise. A step from s to t adds the
 * integral over rho of the polynomial of degree r through the last r + 1 estimates, in tau = t (tAB), rho
 * (rhoAB) or log rho:
 *
 *     x_t = (alpha_t / alpha_s) x_s + alpha_t sum of C_j e_j
 *     C_j = integral from rho_s to rho_t of product over k != j of (tau - tau_k) / (tau_j - tau_k)
 *
 * The integrals are made by Gauss-Legendre quadrature of 16 points, once. The first steps use the estimates
 * there are.
 *
 * Source: Zhang and Chen, "Fast sampling of diffusion models with exponential integrator", ICLR 2023; their
 * code takes a Riemann sum of 10,000 points, which differs by about 1e-4. Layout: buffer 0 is x; the estimate
 * of step i lies in 1 + i mod r. Cost: one pass over x, the prediction and r buffers a step.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "paths/paths.h"

enum { DEIS_POINTS = 16, DEIS_MOST = 3 };

enum deis_scale { DEIS_T, DEIS_RHO, DEIS_LOG_RHO };

/* Weights of a step: of x, of the newest estimate and of those before it. */
struct deis_step {
    double keep, values[DEIS_MOST + 1];
};

struct deis_plan {
    int order;
    struct deis_step steps[];
};

struct deis_rule {
    double points[DEIS_POINTS], weights[DEIS_POINTS]; /* of integrals over -1..1 */
};

/* The roots of the Legendre polynomial by Newton's method, from Chebyshev's. */
static void deis_make_rule(struct deis_rule *rule)
{
    for (int i = 0; i < DEIS_POINTS; i++) {
        double x = cos(3.14159265358979323846 * (i + 0.75) / (DEIS_POINTS + 0.5)), slope = 1;
        for (int round = 0; round < 8; round++) {
            double before = 1, value = x;
            for (int n = 2; n <= DEIS_POINTS; n++) {
                double next = ((2 * n - 1) * x * value - (n - 1) * before) / n;
                before = value;
                value = next;
            }
            slope = DEIS_POINTS * (x * value - before) / (x * x - 1);
            x -= value / slope;
        }
        rule->points[i] = x;
        rule->weights[i] = 2 / ((1 - x * x) * slope * slope);
    }
}

static double deis_rho(const sonde__path_point *node) { return node->sigma / node->alpha; }

static double deis_tau(const sonde_path_sampler *sampler, enum deis_scale scale, double rho)
{
    if (scale == DEIS_RHO) return rho;
    return scale == DEIS_LOG_RHO ? log(rho) : sonde__schedule_time(sampler->schedule, -log(rho));
}

/* The Lagrange polynomial that is 1 at tau[j] and 0 at the others. */
static double deis_lagrange(const double *tau, int count, int j, double at)
{
    double product = 1;
    for (int k = 0; k < count; k++)
        if (k != j) product *= (at - tau[k]) / (tau[j] - tau[k]);
    return product;
}

static void deis_fill(const sonde_path_sampler *sampler, const struct deis_rule *rule, enum deis_scale scale,
                      int order, int64_t i, struct deis_step *step)
{
    const sonde__path_point *from = &sampler->nodes[i], *to = from + 1;
    int count = 1 + (int)sonde__min_i64(order, i);
    double tau[DEIS_MOST + 1], middle = (deis_rho(to) + deis_rho(from)) / 2,
                               half = (deis_rho(to) - deis_rho(from)) / 2;
    for (int k = 0; k < count; k++) tau[k] = deis_tau(sampler, scale, deis_rho(from - k));
    step->keep = to->alpha / from->alpha;
    for (int p = 0; p < DEIS_POINTS; p++) {
        double at = deis_tau(sampler, scale, middle + half * rule->points[p]);
        for (int j = 0; j < count; j++)
            step->values[j] += to->alpha * half * rule->weights[p] * deis_lagrange(tau, count, j, at);
    }
}

static sonde_status deis_create(sonde_path_sampler *sampler)
{
    int order = (int)sonde__param_int(sampler->params, "order");
    bool lower = sonde__param_is(sampler->params, "lower_order_final", "yes");
    enum deis_scale scale = sonde__param_is(sampler->params, "poly", "t")     ? DEIS_T
                            : sonde__param_is(sampler->params, "poly", "rho") ? DEIS_RHO
                                                                              : DEIS_LOG_RHO;
    struct deis_rule rule;
    struct deis_plan *plan;
    if (sampler->steps + sampler->zero < order)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "deis: order=%d needs at least as many steps; the plan has %lld", order,
                           (long long)(sampler->steps + sampler->zero));
    plan = sonde__alloc_zero(sampler->runtime, 1,
                             sizeof *plan + (uint64_t)sampler->steps * sizeof plan->steps[0]);
    if (!plan) return sonde__last_status();
    plan->order = order;
    deis_make_rule(&rule);
    for (int64_t i = 0; i < sampler->steps; i++) {
        int64_t left = sampler->steps + sampler->zero - i - 1;
        deis_fill(sampler, &rule, scale, lower ? (int)sonde__min_i64(order, left) : order, i,
                  &plan->steps[i]);
    }
    sampler->state = plan;
    sampler->form = SONDE__FORM_NOISE;
    sampler->buffers = 1 + order;
    sampler->spares = 2;
    return SONDE_OK;
}

static sonde_status deis_advance(sonde_path_sampler *sampler, sonde__path_run *run, sonde__path_move *move)
{
    const struct deis_plan *plan = sampler->state;
    const struct deis_step *step = &plan->steps[run->step];
    sonde__path_sum *x = sonde__path_out(move, SONDE__PATH_X);
    sonde__path_add(x, SONDE__PATH_X, step->keep);
    sonde__path_add(x, SONDE__PATH_VALUE, step->values[0]);
    for (int k = 1; k <= plan->order; k++)
        if (step->values[k] != 0)
            sonde__path_add(x, 1 + (int)((run->step - k) % plan->order), step->values[k]);
    if (plan->order) {
        sonde__path_sum *kept = sonde__path_out(move, 1 + (int)(run->step % plan->order));
        sonde__path_add(kept, SONDE__PATH_VALUE, 1);
    }
    return sonde__path_next(sampler, run, move);
}

static void deis_drop(sonde_path_sampler *sampler) { sonde__free(sampler->runtime, sampler->state); }

static const sonde__key deis_keys[] = {
    {"order", SONDE__KEY_INT, "3", 0, DEIS_MOST, NULL, NULL, "degree of the polynomial; 0 is ddim"},
    {"poly", SONDE__KEY_WORD, "t", 0, 0, "t|rho|logrho", NULL,
     "what the polynomial is in: time, sigma / alpha, or its logarithm"},
    {"lower_order_final", SONDE__KEY_WORD, "yes", 0, 0, "yes|no", NULL,
     "the last steps are of lower degree, which helps below about 15 steps"},
    {0}};

const sonde__path_method sonde__path_deis = {
    .method = {.name = "deis",
               .summary = "DEIS: exponential Adams-Bashforth on noise estimates, degrees 0 to 3",
               .source = "Zhang and Chen, ICLR 2023",
               .keys = deis_keys,
               .outputs = sonde__path_outputs},
    .finite_lambda = true,
    .create = deis_create,
    .advance = deis_advance,
    .drop = deis_drop};
