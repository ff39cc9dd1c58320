/* test_path_solvers.c: DPM-Solver, DPM-Solver++, DEIS, UniPC, Score-SDE, the probability-flow ODE and
 * likelihood: the tables of their card, equalities between them, exactness on polynomials, statistics of the
 * SDE forms, and what all runs must keep.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "../paths_model.h"

#include "../failing.h"
#include "kernels/kernels.h"
#include "paths/paths.h"
#include "paths/phi.h"

/* ---- running ------------------------------------------------------------------------------------------- */

static sonde_path_sampler *make(const char *spec, int64_t dim)
{
    sonde_path_sampler *sampler = NULL;
    OK(sonde_path_sampler_create(spec, dim, NULL, &sampler));
    return sampler;
}

/* 1-D states after a run on the mixture. */
static void run_mixture(const char *spec, const path_mixture *mixture, float *x, int64_t rows)
{
    sonde_path_sampler *sampler = make(spec, mixture->dim);
    sonde_array view = sonde_f32(x, rows, mixture->dim);
    path_mixture_user user = {.with = mixture, .deviation = 0.5};
    OK(sonde_path_sampler_run(sampler, &view, path_mixture_model, &user));
    sonde_path_sampler_free(sampler);
}

/* Largest difference of the results of two solvers, "NAME(KEYS" without the schedule. */
static double difference(const char *one, const char *other, const char *schedule)
{
    float x[2][PATH_P1_POINTS];
    double most = 0;
    for (int s = 0; s < 2; s++) {
        char spec[512];
        snprintf(spec, sizeof spec, "%sschedule=%s)", s ? other : one, schedule);
        for (int i = 0; i < PATH_P1_POINTS; i++) x[s][i] = (float)(-2.2 + 4.4 * i / (PATH_P1_POINTS - 1));
        run_mixture(spec, &path_p1, x[s], PATH_P1_POINTS);
    }
    for (int i = 0; i < PATH_P1_POINTS; i++) most = fmax(most, fabs((double)x[0][i] - (double)x[1][i]));
    return most;
}

/* ---- the tables ---------------------------------------------------------------------------------------- */

/* A state in f32 ends there: about ten roundings of values around 1. */
#define FLOOR 1.5e-6

/* As path_p1_rmse, with one reference for all. */
static double p1_rmse(const char *spec, int steps)
{
    static double reference[PATH_P1_POINTS];
    static bool known;
    float x[PATH_P1_POINTS];
    char text[512], schedule[200];
    double square = 0;
    for (int i = 0; i < PATH_P1_POINTS; i++) {
        double alpha = sqrt(1 / (1 + exp(6))), sigma = sqrt(1 - alpha * alpha);
        x[i] = (float)(-2.2 + 4.4 * i / (PATH_P1_POINTS - 1));
        if (known) continue;
        reference[i] = x[i];
        path_flow(&path_p1, alpha, sigma, sigma, alpha, 4000, &reference[i]);
    }
    known = true;
    snprintf(schedule, sizeof schedule,
             "schedule=vp(steps=%d, grid=uniform_lambda, t_start=%.17g, t_end=%.17g)", steps,
             path_vp_time(-3), path_vp_time(3));
    snprintf(text, sizeof text, spec, schedule);
    run_mixture(text, &path_p1, x, PATH_P1_POINTS);
    for (int i = 0; i < PATH_P1_POINTS; i++) square += (x[i] - reference[i]) * (x[i] - reference[i]);
    return sqrt(square / PATH_P1_POINTS);
}

/* RMSE at 10, 20, 40, 80 and 160 steps of `each` predictions; the slope of the last pair above twice the
 * floor. */
static const struct table_row {
    const char *spec;
    int each;
    double errors[5], slope;
} p1_rows[] = {
    {"dpm(order=1, mode=multi, lower_order_final=no, %s)",
     1,
     {1.42e-1, 6.97e-2, 3.28e-2, 1.61e-2, 7.96e-3},
     1},
    {"dpm(order=2, lower_order_final=no, %s)", 2, {2.25e-2, 5.14e-3, 1.23e-3, 3.03e-4, 7.50e-5}, 2},
    {"dpmpp(order=2, mode=single, lower_order_final=no, %s)",
     2,
     {1.88e-2, 4.99e-3, 1.30e-3, 3.34e-4, 8.48e-5},
     2},
    {"dpm(order=3, lower_order_final=no, %s)", 3, {5.85e-4, 6.80e-5, 8.67e-6, 1.10e-6, 1.38e-7}, 3},
    {"dpmpp(order=3, mode=single, lower_order_final=no, %s)",
     3,
     {1.31e-3, 2.04e-4, 2.88e-5, 3.83e-6, 4.93e-7},
     3},
    {"dpmpp(lower_order_final=no, %s)", 1, {2.64e-2, 6.26e-3, 1.53e-3, 3.79e-4, 9.41e-5}, 2},
    {"dpmpp(variant=exact, lower_order_final=no, %s)", 1, {4.02e-2, 9.11e-3, 2.17e-3, 5.29e-4, 1.31e-4}, 2},
    {"dpmpp(order=3, compat=yes, lower_order_final=no, %s)",
     1,
     {8.67e-3, 1.75e-3, 3.93e-4, 9.69e-5, 2.44e-5},
     2},
    {"dpmpp(order=3, lower_order_final=no, %s)", 1, {1.23e-2, 1.69e-3, 1.95e-4, 2.34e-5, 3.19e-6}, 2.9},
    {"unipc(order=2, bh=bh1, corrector=no, lower_order_final=no, %s)",
     1,
     {8.08e-2, 1.65e-2, 3.77e-3, 9.04e-4, 2.22e-4},
     2},
    {"unipc(order=2, lower_order_final=no, %s)", 1, {1.34e-2, 1.99e-3, 2.70e-4, 3.40e-5, 4.24e-6}, 3},
    {"unipc(order=3, lower_order_final=no, %s)", 1, {1.43e-2, 6.63e-4, 4.20e-5, 3.39e-6, 2.46e-7}, 3.65},
    {"deis(order=1, lower_order_final=no, %s)", 1, {4.74e-2, 1.30e-2, 3.47e-3, 9.04e-4, 2.31e-4}, 2},
    {"deis(order=2, lower_order_final=no, %s)", 1, {1.99e-2, 3.65e-3, 5.83e-4, 8.32e-5, 1.13e-5}, 2.9},
    {"deis(order=2, poly=rho, lower_order_final=no, %s)",
     1,
     {5.47e-2, 1.02e-2, 1.67e-3, 2.43e-4, 3.33e-5},
     2.85},
    {"deis(order=2, poly=logrho, lower_order_final=no, %s)",
     1,
     {1.19e-2, 2.03e-3, 2.98e-4, 3.95e-5, 5.21e-6},
     2.9},
};

static void p1_has_the_card_s_errors(void **state)
{
    (void)state;
    for (size_t r = 0; r < sizeof p1_rows / sizeof *p1_rows; r++) {
        const struct table_row *row = &p1_rows[r];
        double errors[5], slope = 0;
        for (int i = 0; i < 5; i++) {
            errors[i] = p1_rmse(row->spec, row->each * (10 << i));
            if (fabs(errors[i] - row->errors[i]) > 0.05 * row->errors[i] + FLOOR)
                fail_msg("%s: %d steps: %.3g, not %.3g", row->spec, 10 << i, errors[i], row->errors[i]);
            if (i > 0 && row->errors[i] > 2 * FLOOR) slope = log2(errors[i - 1] / errors[i]);
        }
        if (fabs(slope - row->slope) > 0.15)
            fail_msg("%s: slope %.2f, not %.2f", row->spec, slope, row->slope);
    }
}

/* The exact start-up gives the full third order. */
static void a_single_step_warmup_keeps_the_order(void **state)
{
    (void)state;
    const char *spec = "dpmpp(order=3, warmup=single, lower_order_final=no, %s)";
    double coarse = p1_rmse(spec, 40), fine = p1_rmse(spec, 80);
    assert_true(fabs(log2(coarse / fine) - 3) < 0.15);
    assert_true(fine < p1_rmse("dpmpp(order=3, lower_order_final=no, %s)", 80));
}

/* Other schedules; the card gives two digits: half of the last one is added to the 5 %. */
static void other_schedules_have_the_card_s_errors(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *schedule;
        double errors[6], half[6];
    } rows[] = {
        {"dpmpp(order=1, lower_order_final=no, %s)",
         "schedule=rf(steps=%d, t_end=0.02)",
         {2.3e-1, 1.2e-1, 6.8e-2, 3.2e-2, 1.5e-2, 7.4e-3},
         {5e-3, 5e-3, 5e-4, 5e-4, 5e-4, 5e-5}},
        {"dpmpp(lower_order_final=no, %s)",
         "schedule=rf(steps=%d, t_end=0.02)",
         {1.7e-1, 4.6e-2, 1.4e-2, 3.4e-3, 7.7e-4, 1.8e-4},
         {5e-3, 5e-4, 5e-4, 5e-5, 5e-6, 5e-6}},
        {"dpmpp(order=1, lower_order_final=no, %s)",
         "schedule=edm(steps=%d, grid=edm, t_end=0.02, final=t_end)",
         {4.2e-1, 2.1e-1, 1.2e-1, 6.0e-2, 2.8e-2, 1.3e-2},
         {5e-3, 5e-3, 5e-3, 5e-4, 5e-4, 5e-4}},
        {"dpmpp(lower_order_final=no, %s)",
         "schedule=edm(steps=%d, grid=edm, t_end=0.02, final=t_end)",
         {2.0e-1, 1.2e-1, 2.7e-2, 6.0e-3, 1.4e-3, 3.4e-4},
         {5e-3, 5e-3, 5e-4, 5e-5, 5e-5, 5e-6}},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (int i = 0; i < 6; i++) {
            char schedule[200];
            snprintf(schedule, sizeof schedule, rows[r].schedule, 5 << i);
            double error = path_rmse(rows[r].spec, schedule, NULL);
            if (fabs(error - rows[r].errors[i]) > 0.05 * rows[r].errors[i] + rows[r].half[i])
                fail_msg("%s %s: %.3g, not %.3g", rows[r].spec, schedule, error, rows[r].errors[i]);
        }
}

static void few_steps_rank_as_the_card_says(void **state)
{
    (void)state;
    const char *multi = "dpmpp(lower_order_final=no, %s)", *uni = "unipc(order=2, lower_order_final=no, %s)";
    for (int n = 6; n <= 40; n += n < 10 ? 1 : 10) {
        if (n >= 10) assert_true(4 * p1_rmse(multi, n) < p1_rmse("ddim(%s)", n));
        if (p1_rmse(uni, n) >= p1_rmse(multi, n)) fail_msg("%d steps: unipc is not ahead", n);
    }
}

/* P2: eight modes on a ring. The share of samples that end farther than four deviations from every mode, with
 * 5, 10 and 20 steps, as the card measured it; four standard errors of 20,000 samples here and there, and
 * half of its last digit. */
static void few_steps_leave_few_samples_between_modes(void **state)
{
    (void)state;
    enum { ROWS = 20000, MODES = 8 };
    static const struct {
        const char *solver;
        double shares[3], half[3];
    } rows[] = {
        {"ddim(", {0.16, 0.037, 0.009}, {5e-3, 5e-4, 5e-4}},
        {"dpmpp(", {0.115, 0.008, 0.002}, {5e-4, 5e-4, 5e-4}},
    };
    double weights[MODES], means[2 * MODES], deviations[MODES];
    for (int j = 0; j < MODES; j++) {
        weights[j] = 1.0 / MODES;
        deviations[j] = 0.15;
        means[2 * j] = 2 * cos(j * 0.78539816339744831);
        means[2 * j + 1] = 2 * sin(j * 0.78539816339744831);
    }
    const path_mixture p2 = {MODES, 2, weights, means, deviations};
    float *x = test_alloc(ROWS * 2, sizeof *x);
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < 3; i++) {
            char spec[200];
            int far = 0;
            for (int r = 0; r < ROWS; r++) sonde__kernels_get()->normals(77, 0, (uint64_t)r, 0, 2, x + 2 * r);
            snprintf(spec, sizeof spec, "%sschedule=vp(steps=%d, grid=uniform_lambda, t_end=0.001))",
                     rows[s].solver, 5 << i);
            run_mixture(spec, &p2, x, ROWS);
            for (int r = 0; r < ROWS; r++) {
                double nearest = HUGE_VAL;
                for (int j = 0; j < MODES; j++)
                    nearest = fmin(nearest, hypot(x[2 * r] - means[2 * j], x[2 * r + 1] - means[2 * j + 1]));
                far += nearest > 4 * 0.15;
            }
            double share = far / (double)ROWS, wanted = rows[s].shares[i];
            if (fabs(share - wanted) > 4 * sqrt(2 * wanted / ROWS) + rows[s].half[i])
                fail_msg("%s: a share of %g, not %g", spec, share, wanted);
        }
    free(x);
}

/* Every solver reaches the reference, lower orders at the end or not, on each kind of schedule. */
static void many_steps_reach_the_reference(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        double most;
    } solvers[] = {
        {"dpm(order=3, %s)", 3e-4},
        {"dpm(order=2, mode=multi, %s)", 3e-4},
        {"dpmpp(order=3, %s)", 1e-4},
        {"dpmpp(order=2, mode=single, %s)", 3e-4},
        {"deis(%s)", 3e-4},
        {"unipc(order=3, %s)", 1e-4},
        {"unipc(order=3, data=no, %s)", 3e-4},
        {"sde(corr=none, probability_flow=yes, %s)", 3e-2},
        {"pf_ode(%s)", 5e-5},
    };
    static const char *const schedules[] = {
        "schedule=vp(steps=%d, grid=uniform_lambda, t_start=0.9, t_end=0.01)",
        "schedule=vp_cosine(steps=%d, grid=uniform_lambda, t_end=0.01)", "schedule=ve(steps=%d, t_end=0.1)",
        "schedule=rf(steps=%d, grid=uniform_lambda, t_end=0.01)"};
    for (size_t s = 0; s < sizeof solvers / sizeof *solvers; s++)
        for (size_t k = 0; k < sizeof schedules / sizeof *schedules; k++) {
            double errors[2];
            for (int fine = 0; fine < 2; fine++) {
                char schedule[200];
                snprintf(schedule, sizeof schedule, schedules[k], fine ? 600 : 300);
                errors[fine] = path_rmse(solvers[s].spec, schedule, NULL);
            }
            if (!(errors[1] < solvers[s].most && (errors[1] < 0.6 * errors[0] || errors[1] < 5e-5)))
                fail_msg("%s %s: %g with 300 steps, %g with 600", solvers[s].spec, schedules[k], errors[0],
                         errors[1]);
        }
}

/* ---- equalities ---------------------------------------------------------------------------------------- */

static void solvers_are_equal_where_they_should_be(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"ddim(", "dpm(order=1, "},
        {"ddim(", "dpm(order=1, mode=multi, "},
        {"ddim(", "dpmpp(order=1, "},
        {"ddim(", "dpmpp(order=1, mode=single, "},
        {"ddim(", "deis(order=0, "},
        {"ddim(", "unipc(order=1, corrector=no, "},
        {"ddim(", "unipc(order=1, corrector=no, data=no, "},
        {"dpmpp(variant=exact, ", "unipc(order=2, bh=exact, corrector=no, "},
        {"dpmpp(order=3, variant=exact, ", "unipc(order=3, bh=exact, corrector=no, "},
        {"dpm(order=3, mode=multi, variant=exact, ", "unipc(order=3, bh=exact, corrector=no, data=no, "},
        {"dpmpp(", "unipc(order=2, bh=bh2, corrector=no, "},
        {"dpm(order=3, mode=multi, variant=exact, ", "deis(order=2, poly=logrho, "},
        {"ddim(eta=1, ", "dpmpp(order=1, sde=yes, "},
        {"dpmpp(", "dpmpp(sde=yes, tau=0, "},
    };
    static const char *const schedules[] = {"vp(steps=10, grid=uniform_lambda, t_start=0.8, t_end=0.01)",
                                            "rf(steps=10, t_start=0.95, t_end=0.05)"};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        for (int k = 0; k < 2; k++) {
            double off = difference(pairs[i][0], pairs[i][1], schedules[k]);
            if (!(off < 2e-6))
                fail_msg("%s) and %s) on %s differ by %g", pairs[i][0], pairs[i][1], schedules[k], off);
        }
    assert_true(difference("dpmpp(", "dpmpp(variant=exact, ", schedules[0]) > 1e-4); /* the test can fail */
}

/* phi_k is an integral: Simpson's rule on it; k = 1 has a closed form. */
static void phi_functions_are_their_integrals(void **state)
{
    (void)state;
    enum { PIECES = 4000 };
    static const double at[] = {0, 1e-9, -1e-4, 0.3, -1.9, 2, -2.1, 5, -30};
    for (size_t i = 0; i < sizeof at / sizeof *at; i++)
        for (int k = 1; k <= 5; k++) {
            double z = at[i], sum = 0, value = sonde__phi(k, z);
            for (int j = 0; j <= PIECES; j++) {
                double u = (double)j / PIECES;
                double share = j == 0 || j == PIECES ? 1 : j % 2 ? 4 : 2;
                sum += share * exp((1 - u) * z) * pow(u, k - 1) / tgamma(k);
            }
            sum /= 3.0 * PIECES;
            if (fabs(value - sum) > 1e-9 * sum) fail_msg("phi_%d(%g) = %.15g, not %.15g", k, z, value, sum);
        }
    assert_true(fabs(sonde__phi(1, -40) - (1 - exp(-40)) / 40) < 1e-17);
    assert_true(sonde__phi(0, 1) == exp(1));
}

/* ---- exactness ----------------------------------------------------------------------------------------- */

/* A model that ignores the state: a polynomial in something of the level. */
typedef struct polynomial {
    int degree;
    int scale; /* 0: lambda, 1: rho, 2: the time of vp(0.1, 20) */
} polynomial;

static double polynomial_at(const polynomial *p, double lambda)
{
    static const double coefficients[] = {0.4, 1.3, -0.7, 0.5};
    double tau = p->scale == 0 ? lambda : p->scale == 1 ? exp(-lambda) : 5 * path_vp_time(lambda);
    double sum = 0;
    for (int k = p->degree; k >= 0; k--) sum = sum * tau + coefficients[k];
    return sum;
}

/* The sampler's state at each node, and the values told there; all predictions at nodes. */
struct record {
    int count;
    sonde_path_node nodes[64];
    double x[64], values[64];
};

static struct record run_polynomial(const char *solver, const polynomial *p, const char *prediction,
                                    int steps, const char *more)
{
    char spec[512];
    struct record record = {0};
    int64_t count;
    snprintf(spec, sizeof spec,
             "%s, lower_order_final=no, prediction=%s, schedule=vp(steps=%d, t_start=%.17g, t_end=%.17g%s))",
             solver, prediction, steps, path_vp_time(-1.5), path_vp_time(1.2), more);
    sonde_path_sampler *sampler = make(spec, 1);
    float x = 0.8f, value;
    sonde_array view = sonde_f32(&x, 1, 1), told = sonde_f32(&value, 1, 1);
    sonde_ask ask = SONDE_ASK_INIT;
    OK(sonde_path_sampler_nodes(sampler, record.nodes, 64, &count));
    OK(sonde_path_sampler_start(sampler, &view));
    for (;;) {
        OK(sonde_path_sampler_ask(sampler, &ask));
        record.x[record.count] = *(const float *)ask.x.data;
        if (ask.done) break;
        value = (float)polynomial_at(p, log(ask.alpha / ask.sigma));
        record.values[record.count++] = value;
        OK(sonde_path_sampler_tell(sampler, &told));
    }
    sonde_path_sampler_free(sampler);
    return record;
}

/* The exact step from node i for a value that is a function of lambda: Simpson's rule. With `through` > 0 the
 * function is the polynomial through the last `through` values. */
static double exact_step(const struct record *r, int i, double x, bool data, const polynomial *p, int through)
{
    enum { PIECES = 400 };
    const sonde_path_node *s = &r->nodes[i], *t = s + 1;
    double h = (t->lambda - s->lambda) / PIECES, sum = 0;
    for (int k = 0; k <= PIECES; k++) {
        double lambda = s->lambda + k * h, value = through ? 0 : polynomial_at(p, lambda);
        for (int j = 0; j < through; j++) {
            double share = r->values[i - j];
            for (int m = 0; m < through; m++)
                if (m != j)
                    share *= (lambda - r->nodes[i - m].lambda) /
                             (r->nodes[i - j].lambda - r->nodes[i - m].lambda);
            value += share;
        }
        sum += (k == 0 || k == PIECES ? 1 : k % 2 ? 4 : 2) * exp(data ? lambda : -lambda) * value;
    }
    sum *= h / 3;
    return data ? t->sigma / s->sigma * x + t->sigma * sum : t->alpha / s->alpha * x - t->alpha * sum;
}

/* The largest error of a step from node `from` on, in units of the largest value, at least 1. */
static double step_error(const struct record *r, int from, bool data, const polynomial *p)
{
    double most = 0, largest = 1;
    for (int i = 0; i < r->count; i++) largest = fmax(largest, fabs(r->values[i]));
    for (int i = from; i < r->count; i++)
        most = fmax(most, fabs(r->x[i + 1] - exact_step(r, i, r->x[i], data, p, 0)));
    return most / largest;
}

static void steps_are_exact_on_polynomials(void **state)
{
    (void)state;
    static const struct {
        const char *solver;
        bool data;
        int degree, scale, from;
        bool exact;
    } cases[] = {
        {"dpmpp(order=1", true, 0, 0, 0, true},
        {"dpmpp(order=2, mode=multi", true, 0, 0, 0, true},
        {"dpmpp(order=3, mode=multi", true, 0, 0, 0, true},
        {"dpm(order=1", false, 0, 0, 0, true},
        {"dpm(order=3, mode=multi", false, 0, 0, 0, true},
        {"unipc(order=3", true, 0, 0, 0, true},
        {"unipc(order=3, data=no", false, 0, 0, 0, true},
        {"deis(order=3", false, 0, 0, 0, true},
        {"dpmpp(order=2, variant=exact", true, 1, 0, 1, true},
        {"dpmpp(order=2, variant=midpoint", true, 1, 0, 1, false},
        {"dpmpp(order=3", true, 2, 0, 2, true},
        {"dpmpp(order=3, compat=yes", true, 2, 0, 2, false},
        {"dpmpp(order=3", true, 3, 0, 2, false},
        {"dpm(order=2, mode=multi, variant=exact", false, 1, 0, 1, true},
        {"dpm(order=3, mode=multi", false, 2, 0, 2, true},
        {"dpm(order=3, mode=multi, compat=yes", false, 2, 0, 2, false},
        {"unipc(order=3, corrector=no", true, 2, 0, 2, true},
        {"deis(order=1, poly=t", false, 1, 2, 1, true},
        {"deis(order=2, poly=t", false, 2, 2, 2, true},
        {"deis(order=3, poly=t", false, 3, 2, 3, true},
        {"deis(order=1, poly=t", false, 2, 2, 1, false},
        {"deis(order=1, poly=rho", false, 1, 1, 1, true},
        {"deis(order=3, poly=rho", false, 3, 1, 3, true},
        {"deis(order=1, poly=logrho", false, 1, 0, 1, true},
        {"deis(order=3, poly=logrho", false, 3, 0, 3, true},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        polynomial p = {cases[c].degree, cases[c].scale};
        struct record r = run_polynomial(cases[c].solver, &p, cases[c].data ? "data" : "noise", 8, "");
        double error = step_error(&r, cases[c].from, cases[c].data, &p);
        if (cases[c].exact ? !(error < 1e-6) : !(error > 1e-5))
            fail_msg("%s) of degree %d: an error of %g", cases[c].solver, cases[c].degree, error);
    }
}

/* One step is exact for a constant value on every schedule, rf at time 1 among them. */
static int constant_model(const sonde_ask *ask, sonde_array *prediction, void *user)
{
    (void)ask;
    for (int64_t i = 0; i < prediction->rows * prediction->cols; i++)
        ((float *)(uintptr_t)prediction->data)[i] = *(const float *)user;
    return 0;
}

static void a_constant_value_is_exact_in_one_step(void **state)
{
    (void)state;
    static const char *const solvers[] = {"dpm(order=1",  "dpmpp(order=1", "dpmpp(order=1, mode=single",
                                          "deis(order=0", "deis(order=1",  "unipc(order=1"};
    static const char *const schedules[] = {"vp(steps=1)", "rf(steps=1, t_end=0.1)", "ve(steps=1)",
                                            "vp_cosine(steps=1)"};
    for (size_t s = 0; s < sizeof solvers / sizeof *solvers; s++)
        for (size_t k = 0; k < sizeof schedules / sizeof *schedules; k++) {
            bool data = strncmp(solvers[s], "dpmpp", 5) == 0 || strncmp(solvers[s], "unipc", 5) == 0;
            char spec[300];
            snprintf(spec, sizeof spec, "%s, prediction=%s, schedule=%s)", solvers[s],
                     data ? "data" : "noise", schedules[k]);
            sonde_path_sampler *sampler = make(spec, 1);
            sonde_path_node nodes[2];
            int64_t count;
            float x = 0.7f, value = -0.3f;
            sonde_array view = sonde_f32(&x, 1, 1);
            OK(sonde_path_sampler_nodes(sampler, nodes, 2, &count));
            OK(sonde_path_sampler_run(sampler, &view, constant_model, &value));
            double ratio = data ? nodes[1].sigma / nodes[0].sigma : nodes[1].alpha / nodes[0].alpha;
            double wanted = data ? ratio * 0.7f + (nodes[1].alpha - nodes[0].alpha * ratio) * -0.3f
                                 : ratio * 0.7f + (nodes[1].sigma - nodes[0].sigma * ratio) * -0.3f;
            if (!(fabs(x - wanted) <= 1e-6 * fmax(1, fabs(wanted))))
                fail_msg("%s: %.9g, not %.9g", spec, (double)x, wanted);
            sonde_path_sampler_free(sampler);
        }
}

/* The corrected state is not shown, but the next predicted one is a known step away from it. */
static double corrected(const struct record *r, int i, bool data, int order)
{
    double zero = exact_step(r, i, 0, data, NULL, order);
    double ratio = data ? r->nodes[i + 1].sigma / r->nodes[i].sigma
                        : r->nodes[i + 1].alpha / r->nodes[i].alpha;
    return (r->x[i + 1] - zero) / ratio;
}

static void the_corrector_is_exact_one_degree_higher(void **state)
{
    (void)state;
    for (int order = 1; order <= 3; order++)
        for (int data = 0; data < 2; data++)
            for (int degree = order; degree <= order + 1; degree++) {
                char solver[100];
                polynomial p = {degree, 0};
                if (degree > 3) continue;
                snprintf(solver, sizeof solver, "unipc(order=%d, bh=exact, data=%s", order,
                         data ? "yes" : "no");
                struct record r = run_polynomial(solver, &p, data ? "data" : "noise", 8, "");
                double most = 0;
                for (int i = order; i + 1 < r.count; i++) {
                    double from = corrected(&r, i, data, order), to = corrected(&r, i + 1, data, order);
                    most = fmax(most, fabs(to - exact_step(&r, i, from, data, &p, 0)));
                }
                if (degree == order ? !(most < 1e-5) : !(most > 3e-5))
                    fail_msg("%s), degree %d: an error of %g", solver, degree, most);
            }
}

/* ---- singlestep plans ---------------------------------------------------------------------------------- */

static void single_step_plans_spend_what_they_are_given(void **state)
{
    (void)state;
    static const struct {
        int order, predictions, steps;
        bool lower;
    } plans[] = {
        {2, 10, 5, true}, {2, 11, 6, true},  {2, 2, 1, true}, {3, 9, 4, true},
        {3, 10, 4, true}, {3, 11, 4, true},  {3, 3, 2, true}, {3, 4, 2, true},
        {3, 9, 3, false}, {3, 10, 4, false}, {1, 5, 5, true},
    };
    static const char *const grids[] = {"uniform_lambda", "uniform_t"};
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++)
        for (int g = 0; g < 2; g++) {
            char spec[300];
            sonde_path_node nodes[32];
            int64_t count;
            float x = 1;
            sonde_array view = sonde_f32(&x, 1, 1);
            path_mixture_user user = {.with = &path_p1};
            snprintf(spec, sizeof spec, "dpm(order=%d, lower_order_final=%s, schedule=vp(steps=%d, grid=%s))",
                     plans[i].order, plans[i].lower ? "yes" : "no", plans[i].predictions, grids[g]);
            sonde_path_sampler *sampler = make(spec, 1);
            OK(sonde_path_sampler_nodes(sampler, nodes, 32, &count));
            OK(sonde_path_sampler_run(sampler, &view, path_mixture_model, &user));
            if (user.calls != plans[i].predictions || count != plans[i].steps + 1)
                fail_msg("%s: %d predictions, %d nodes", spec, user.calls, (int)count);
            for (int64_t k = 1; g == 0 && k < count; k++)
                assert_true(fabs(nodes[k].lambda - nodes[k - 1].lambda -
                                 (nodes[count - 1].lambda - nodes[0].lambda) / (double)(count - 1)) < 1e-6);
            sonde_path_sampler_free(sampler);
        }
}

/* With a jump to sigma = 0, which is a prediction of its own, nothing is split: 3, 3, 3 and 1. */
static void a_jump_to_data_counts_as_the_last_step(void **state)
{
    (void)state;
    int64_t count;
    float x = 1;
    sonde_array view = sonde_f32(&x, 1, 1);
    path_mixture_user user = {.with = &path_p1};
    sonde_path_sampler *sampler = make("dpmpp(order=3, mode=single, schedule=karras(steps=10))", 1);
    OK(sonde_path_sampler_nodes(sampler, NULL, 0, &count));
    OK(sonde_path_sampler_run(sampler, &view, path_mixture_model, &user));
    assert_int_equal(user.calls, 10);
    assert_int_equal(count, 5);
    sonde_path_sampler_free(sampler);
}

/* ---- the SDE forms on a Gaussian ----------------------------------------------------------------------- */

static const double g1_weight[] = {1}, g1_mean[] = {0.8}, g1_deviation[] = {0.6};
static const path_mixture g1 = {1, 1, g1_weight, g1_mean, g1_deviation};

/* Mean and covariance of (x, value of the last step), all Gaussian. */
struct moments {
    double x, m, xx, xm, mm;
};

/* x' = keep x + value f(x) + before m + noise z, where f(x) = slope x + level, and m' = f(x). */
static struct moments move_moments(struct moments a, double slope, double level, double keep, double value,
                                   double before, double noise)
{
    double k = keep + value * slope;
    return (struct moments){.x = k * a.x + value * level + before * a.m,
                            .m = slope * a.x + level,
                            .xx = k * k * a.xx + 2 * k * before * a.xm + before * before * a.mm +
                                  noise * noise,
                            .xm = slope * (k * a.xx + before * a.xm),
                            .mm = slope * slope * a.xx};
}

/* f = E[data | x] = slope x + level. */
static void g1_value(const sonde_path_node *n, double *slope, double *level)
{
    double own = g1_deviation[0] * g1_deviation[0];
    *slope = n->alpha * own / (n->alpha * n->alpha * own + n->sigma * n->sigma);
    *level = g1_mean[0] * (1 - *slope * n->alpha);
}

/* Score-SDE's step as a step in the value: the score is (alpha m - x) / sigma^2. */
static struct moments move_score(struct moments a, const sonde_path_node *s, double keep, double score,
                                 double noise)
{
    double slope, level, scale = score / (s->sigma * s->sigma);
    g1_value(s, &slope, &level);
    return move_moments(a, slope, level, keep - scale, scale * s->alpha, 0, noise);
}

static struct moments move_sde(const char *kind, struct moments a, const sonde_path_node *nodes, int i,
                               bool last)
{
    const sonde_path_node *s = &nodes[i], *t = s + 1;
    double h = t->lambda - s->lambda, ratio = s->alpha / t->alpha, b = 1 - ratio * ratio, slope, level;
    g1_value(s, &slope, &level);
    if (strncmp(kind, "sde", 3) != 0) {
        double tau2 = strstr(kind, "tau=0.5") ? 0.25 : 1, k = h * (1 + tau2), q1 = -expm1(-k), before = 0;
        double keep = t->sigma / s->sigma * exp(-tau2 * h), noise = t->sigma * sqrt(-expm1(-2 * tau2 * h));
        if (i > 0 && strstr(kind, "order=2")) {
            double r0 = (s->lambda - s[-1].lambda) / h, second = strstr(kind, "exact") ? 1 - q1 / k : q1 / 2;
            before = -t->alpha * second / r0;
        }
        return move_moments(a, slope, level, keep, t->alpha * q1 - before, before, noise);
    }
    if (strstr(kind, "em")) {
        double beta = 0.1 + 19.9 * s->t, dt = t->t - s->t;
        return move_score(a, s, 1 - beta / 2 * dt, -beta * dt, last ? 0 : sqrt(-beta * dt));
    }
    if (strstr(kind, "reverse")) return move_score(a, s, 2 - ratio, b, last ? 0 : sqrt(b));
    return move_score(a, s, 1 / ratio, b / ratio, last ? 0 : sqrt(b));
}

static struct moments start_moments(const sonde_path_node *first)
{
    double own = g1_deviation[0] * g1_deviation[0];
    return (struct moments){.x = first->alpha * g1_mean[0],
                            .xx = first->alpha * first->alpha * own + first->sigma * first->sigma};
}

static void sde_forms_have_the_moments_of_their_recursion(void **state)
{
    (void)state;
    enum { ROWS = 20000 };
    static const char *const kinds[] = {"dpmpp(order=1, sde=yes",
                                        "dpmpp(order=1, sde=yes, tau=0.5",
                                        "dpmpp(order=2, sde=yes, lower_order_final=no",
                                        "dpmpp(order=2, variant=exact, sde=yes, lower_order_final=no",
                                        "sde(pred=em, corr=none",
                                        "sde(pred=reverse, corr=none",
                                        "sde(pred=ancestral, corr=none"};
    float *x = test_alloc(ROWS, sizeof *x);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        char spec[300];
        sonde_path_node nodes[32];
        int64_t count;
        snprintf(spec, sizeof spec, "%s, schedule=vp(steps=8, t_start=0.9, t_end=0.02))", kinds[k]);
        sonde_path_sampler *sampler = make(spec, 1);
        OK(sonde_path_sampler_nodes(sampler, nodes, 32, &count));
        struct moments m = start_moments(nodes);
        double deviation = sqrt(m.xx), mean = 0, variance = 0;
        /* The start is drawn by quantiles of its own, from the library's normals of another seed. */
        for (int i = 0; i < ROWS; i++) {
            float z;
            sonde__kernels_get()->normals(99, 0, (uint64_t)i, 0, 1, &z);
            x[i] = (float)(m.x + deviation * z);
        }
        for (int i = 0; i + 1 < count; i++) m = move_sde(kinds[k], m, nodes, i, i + 2 == count);
        sonde_array view = sonde_f32(x, ROWS, 1);
        path_mixture_user user = {.with = &g1};
        OK(sonde_path_sampler_run(sampler, &view, path_mixture_model, &user));
        sonde_path_sampler_free(sampler);
        for (int i = 0; i < ROWS; i++) mean += x[i] / (double)ROWS;
        for (int i = 0; i < ROWS; i++) variance += (x[i] - m.x) * (x[i] - m.x) / ROWS;
        double mean_error = sqrt(m.xx / ROWS), variance_error = m.xx * sqrt(2.0 / ROWS);
        if (fabs(mean - m.x) > 4 * mean_error || fabs(variance - m.xx) > 4 * variance_error)
            fail_msg("%s: mean %g, not %g +- %g; variance %g, not %g +- %g", kinds[k], mean, m.x, mean_error,
                     variance, m.xx, variance_error);
    }
    free(x);
}

/* The recursion, which the draws above follow, meets the marginal with an error of order h: halved by twice
 * the steps. */
static void the_weak_error_is_of_first_order(void **state)
{
    (void)state;
    static const char *const kinds[] = {"dpmpp(order=1, sde=yes", "sde(pred=reverse, corr=none",
                                        "sde(pred=ancestral, corr=none"};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        double errors[2];
        for (int fine = 0; fine < 2; fine++) {
            char spec[300];
            static sonde_path_node nodes[1200];
            int64_t count;
            snprintf(spec, sizeof spec,
                     "%s, schedule=vp(steps=%d, grid=uniform_lambda, t_start=0.9, t_end=0.02, final=t_end))",
                     kinds[k], fine ? 1000 : 500);
            sonde_path_sampler *sampler = make(spec, 1);
            OK(sonde_path_sampler_nodes(sampler, nodes, 1200, &count));
            sonde_path_sampler_free(sampler);
            struct moments m = start_moments(nodes);
            for (int i = 0; i + 1 < count; i++) m = move_sde(kinds[k], m, nodes, i, false);
            errors[fine] = fabs(m.xx - start_moments(&nodes[count - 1]).xx);
        }
        if (fabs(log2(errors[0] / errors[1]) - 1) > 0.1)
            fail_msg("%s: %g, then %g", kinds[k], errors[0], errors[1]);
    }
}

/* ---- the Langevin corrector ---------------------------------------------------------------------------- */

/* One corrector step, recomputed from the noise that it must have used. */
static void check_corrector(bool batch)
{
    enum { ROWS = 3, DIM = 50 };
    char spec[300];
    float x[ROWS * DIM], score[ROWS * DIM], z[ROWS * DIM];
    double score_norm[ROWS] = {0}, noise_norm[ROWS] = {0};
    sonde_ask ask = SONDE_ASK_INIT;
    sonde_path_node nodes[8];
    int64_t count;
    uint64_t seed = 5;
    for (int i = 0; i < ROWS * DIM; i++) x[i] = test_normal(&seed);
    for (int i = 0; i < ROWS * DIM; i++) score[i] = (float)(1 + i / DIM) * test_normal(&seed);
    snprintf(spec, sizeof spec,
             "sde(snr=0.2, ncorr=2, seed=9, norm=%s, prediction=score, schedule=vp(steps=4))",
             batch ? "batch" : "row");
    sonde_path_sampler *sampler = make(spec, DIM);
    sonde_array view = sonde_f32(x, ROWS, DIM), told = sonde_f32(score, ROWS, DIM);
    OK(sonde_path_sampler_nodes(sampler, nodes, 8, &count));
    OK(sonde_path_sampler_start(sampler, &view));
    OK(sonde_path_sampler_tell(sampler, &told));
    OK(sonde_path_sampler_ask(sampler, &ask));
    assert_true(ask.step == 0 && ask.evaluation == 1);
    for (int r = 0; r < ROWS; r++) {
        sonde__kernels_get()->normals(9, 1, (uint64_t)r, 0, DIM, z + r * DIM);
        for (int j = 0; j < DIM; j++) score_norm[r] += score[r * DIM + j] * score[r * DIM + j];
        for (int j = 0; j < DIM; j++) noise_norm[r] += z[r * DIM + j] * z[r * DIM + j];
        score_norm[r] = sqrt(score_norm[r]);
        noise_norm[r] = sqrt(noise_norm[r]);
    }
    double mean_score = (score_norm[0] + score_norm[1] + score_norm[2]) / 3;
    double mean_noise = (noise_norm[0] + noise_norm[1] + noise_norm[2]) / 3,
           a = pow(nodes[0].alpha / nodes[1].alpha, 2);
    for (int r = 0; r < ROWS; r++) {
        double ratio = 0.2 * (batch ? mean_noise / mean_score : noise_norm[r] / score_norm[r]),
               eta = 2 * a * ratio * ratio;
        for (int j = r * DIM; j < (r + 1) * DIM; j++)
            assert_true(
                fabs(((const float *)ask.x.data)[j] - (x[j] + eta * score[j] + sqrt(2 * eta) * z[j])) < 2e-6);
    }
    sonde_path_sampler_free(sampler);
}

static void the_corrector_takes_the_step_of_its_norms(void **state)
{
    (void)state;
    check_corrector(false);
    check_corrector(true);
}

/* The score of data N(0, 1/4) in any dimension. */
static int quarter_model(const sonde_ask *ask, sonde_array *prediction, void *user)
{
    (void)user;
    for (int64_t i = 0; i < prediction->rows * prediction->cols; i++)
        ((float *)(uintptr_t)prediction->data)[i] =
            (float)(-((const float *)ask->x.data)[i] /
                    (0.25 * ask->alpha * ask->alpha + ask->sigma * ask->sigma));
    return 0;
}

/* It keeps the marginal, which the predictor alone misses with few steps. */
static void the_corrector_improves_a_gaussian(void **state)
{
    (void)state;
    enum { ROWS = 20, DIM = 400 };
    double errors[2];
    for (int with = 0; with < 2; with++) {
        char spec[200];
        static float x[ROWS * DIM];
        uint64_t seed = 3;
        double square = 0;
        for (int i = 0; i < ROWS * DIM; i++) x[i] = 10 * test_normal(&seed);
        sonde_array view = sonde_f32(x, ROWS, DIM);
        snprintf(
            spec, sizeof spec,
            "sde(pred=reverse, corr=%s, ncorr=4, snr=0.16, prediction=score, schedule=ve(steps=20, smax=10))",
            with ? "langevin" : "none");
        sonde_path_sampler *sampler = make(spec, DIM);
        OK(sonde_path_sampler_run(sampler, &view, quarter_model, NULL));
        sonde_path_sampler_free(sampler);
        for (int i = 0; i < ROWS * DIM; i++) square += x[i] * x[i] / (double)(ROWS * DIM);
        errors[with] = fabs(square - 0.25);
    }
    if (!(errors[1] < errors[0])) fail_msg("an error of %g with, of %g without", errors[1], errors[0]);
}

static void a_score_of_zero_moves_nothing(void **state)
{
    (void)state;
    float x[2] = {1, 2}, value[2] = {0, 0};
    sonde_ask ask = SONDE_ASK_INIT;
    sonde_path_sampler *sampler = make("sde(norm=row, prediction=score, schedule=ve(steps=2))", 2);
    sonde_array view = sonde_f32(x, 1, 2), told = sonde_f32(value, 1, 2);
    OK(sonde_path_sampler_start(sampler, &view));
    OK(sonde_path_sampler_tell(sampler, &told));
    OK(sonde_path_sampler_ask(sampler, &ask));
    assert_memory_equal(ask.x.data, x, sizeof x);
    sonde_path_sampler_free(sampler);
}

/* Data N(0, I), whose noise prediction is sigma x / (1 + sigma^2). */
static int plain_normal_model(const sonde_ask *ask, sonde_array *prediction, void *user)
{
    (void)user;
    const float *x = ask->x.data;
    float *out = prediction->data, gain = (float)(ask->sigma / (1 + ask->sigma * ask->sigma));
    for (int64_t i = 0; i < ask->x.rows * ask->x.cols; i++) out[i] = gain * x[i];
    return 0;
}

/* 300 corrector steps at one level from its own law. Each multiplies x by 1 - eta / v and adds sqrt(2 eta) z, so the
 * variance follows v' = (1 - eta / v)^2 v + 2 eta, next to v for a small eta. */
static void the_corrector_keeps_the_law(void **state)
{
    (void)state;
    enum { ROWS = 4000, STEPS = 300 };
    sonde_path_node nodes[2];
    int64_t count;
    float *x = test_alloc(2 * ROWS, sizeof *x);
    uint64_t random = 31;
    sonde_path_sampler *sampler = make("sde(snr=0.1, ncorr=300, probability_flow=yes, "
                                       "schedule=ve(steps=1, t_start=0.5, t_end=0.4999, final=t_end))", 2);
    OK(sonde_path_sampler_nodes(sampler, nodes, 2, &count));
    double sigma = nodes[0].sigma, v = 1 + sigma * sigma, eta = 2 * 0.01 * sigma * sigma, expected = v, found = 0;
    for (int i = 0; i < 2 * ROWS; i++) x[i] = (float)sqrt(v) * test_normal(&random);
    sonde_array view = sonde_f32(x, ROWS, 2);
    OK(sonde_path_sampler_run(sampler, &view, plain_normal_model, NULL));
    for (int i = 0; i < STEPS; i++) expected = (1 - eta / v) * (1 - eta / v) * expected + 2 * eta;
    for (int i = 0; i < 2 * ROWS; i++) found += (double)x[i] * x[i] / (2 * ROWS);
    assert_true(fabs(found / expected - 1) < 4 * sqrt(2.0 / (2 * ROWS)));
    sonde_path_sampler_free(sampler);
    free(x);
}

/* ---- the adaptive ODE and likelihoods ------------------------------------------------------------------ */

static const double ring_weights[] = {0.5, 0.3, 0.2}, ring_means[] = {1, 0.5, -1, 0.2, 0.3, -1.1},
                    ring_deviations[] = {0.4, 0.5, 0.3};
static const path_mixture ring = {3, 2, ring_weights, ring_means, ring_deviations};

/* Each step may err by rtol |x| + atol with |x| about 1, and this flow does not spread what is near. */
static void the_adaptive_ode_keeps_its_tolerance(void **state)
{
    (void)state;
    static const char *const schedules[] = {"vp(steps=1)", "ve(steps=1)", "rf(steps=1)", "vp_cosine(steps=1)",
                                            "karras(steps=9)"};
    for (size_t k = 0; k < sizeof schedules / sizeof *schedules; k++)
        for (int loose = 0; loose < 2; loose++) {
            char spec[200];
            sonde_path_node nodes[4];
            int64_t count;
            float x[] = {0.3f, -0.8f};
            double y[2];
            snprintf(spec, sizeof spec, "pf_ode(rtol=%s, atol=%s, schedule=%s)", loose ? "1e-3" : "1e-5",
                     loose ? "1e-3" : "1e-5", schedules[k]);
            sonde_path_sampler *sampler = make(spec, 2);
            OK(sonde_path_sampler_nodes(sampler, nodes, 4, &count));
            double scale = nodes[0].alpha == 1 ? nodes[0].sigma : 1;
            for (int i = 0; i < 2; i++) x[i] = (float)(scale * x[i]);
            for (int i = 0; i < 2; i++) y[i] = x[i];
            sonde_array view = sonde_f32(x, 1, 2);
            path_mixture_user user = {.with = &ring, .deviation = 0.5};
            OK(sonde_path_sampler_run(sampler, &view, path_mixture_model, &user));
            sonde_path_sampler_free(sampler);
            path_flow(&ring, nodes[0].alpha > 0 ? nodes[0].alpha : 1e-9, nodes[0].sigma, nodes[1].alpha,
                      nodes[1].sigma, 5000, y);
            double error = fmax(fabs(x[0] - y[0]), fabs(x[1] - y[1]));
            if (!(error < (loose ? 2e-3 : 2e-5) * user.calls / 6) || user.calls > 400)
                fail_msg("%s: %g, %d calls", spec, error, user.calls);
        }
}

/* log N(x; 0, s^2) less the log density that the noise really has, which noise that is not quite pure adds to
 * the result. */
static double prior_excess(const path_mixture *mixture, const sonde_path_node *noise, const float *x)
{
    double at[PATH_DIM], log_density = 0, spread = noise->alpha == 1 ? noise->sigma : 1;
    for (int k = 0; k < mixture->dim; k++) {
        at[k] = x[k];
        log_density -= at[k] * at[k] / (2 * spread * spread) +
                       log(2 * 3.14159265358979323846 * spread * spread) / 2;
    }
    return log_density - path_mixture_log(mixture, fmax(noise->alpha, 1e-9), noise->sigma, at);
}

/* log p(x) of `rows` equal points against the closed form; with `pure` nothing is allowed for the noise. */
static void check_likelihood(const char *spec, const path_mixture *mixture, const float *point, bool pure)
{
    enum { ROWS = 2 };
    float x[ROWS * PATH_DIM];
    double at[PATH_DIM];
    sonde_path_node nodes[4];
    int64_t count;
    sonde_array result;
    sonde_path_sampler *sampler = make(spec, mixture->dim);
    path_mixture_user user = {.with = mixture, .deviation = 0.5};
    for (int i = 0; i < ROWS * mixture->dim; i++) x[i] = point[i % mixture->dim];
    for (int k = 0; k < mixture->dim; k++) at[k] = point[k];
    sonde_array view = sonde_f32(x, ROWS, mixture->dim);
    OK(sonde_path_sampler_nodes(sampler, nodes, 4, &count));
    OK(sonde_path_sampler_start(sampler, &view));
    FAILS(sonde_path_sampler_output(sampler, "log_likelihood", &result), SONDE_STATE, "done");
    OK(sonde_path_sampler_run(sampler, &view, path_mixture_model, &user));
    OK(sonde_path_sampler_output(sampler, "log_likelihood", &result));
    assert_true(result.rows == ROWS && result.cols == 1 && result.dtype == SONDE_DTYPE_F32);
    double wanted = path_mixture_log(mixture, nodes[0].alpha, nodes[0].sigma, at);
    if (!pure) wanted += prior_excess(mixture, &nodes[1], x);
    for (int r = 0; r < ROWS; r++) {
        float value;
        memcpy(&value, (const uint8_t *)result.data + r * result.stride, sizeof value);
        if (!(fabs(value - wanted) < 1e-3))
            fail_msg("%s: %.6f, not %.6f (%d calls)", spec, (double)value, wanted, user.calls);
    }
    sonde_path_sampler_free(sampler);
}

static void likelihoods_meet_the_closed_form(void **state)
{
    (void)state;
    static const double mean[] = {0.4, -0.2, 0.1}, zero[] = {0, 0, 0}, one[] = {1}, deviation[] = {0.8};
    static const float origin[] = {0.5f, 0.3f, -0.9f}, high[] = {0.9f, 0.6f}, line[] = {0.2f};
    const path_mixture gauss = {1, 3, one, mean, deviation}, centred = {1, 3, one, zero, deviation};
    check_likelihood("likelihood(exact=yes, schedule=vp(steps=1))", &centred, origin, true);
    check_likelihood("likelihood(exact=yes, schedule=rf(steps=1, t_end=0.001))", &centred, origin, true);
    check_likelihood("likelihood(exact=yes, schedule=ve(steps=1))", &centred, origin, true);
    check_likelihood("likelihood(exact=yes, schedule=vp(steps=1))", &gauss, origin, false);
    check_likelihood("likelihood(exact=yes, schedule=rf(steps=1, t_end=0.001))", &gauss, origin, false);
    check_likelihood("likelihood(exact=yes, schedule=ve(steps=1))", &gauss, origin, false);
    check_likelihood("likelihood(exact=yes, prediction=data, schedule=ve(steps=1))", &gauss, origin, false);
    check_likelihood("likelihood(exact=no, schedule=vp(steps=1))", &gauss, origin,
                     false); /* its trace has no variance */
    check_likelihood("likelihood(exact=yes, schedule=vp(steps=1))", &ring, high, false);
    check_likelihood("likelihood(exact=yes, schedule=rf(steps=1, t_end=0.01))", &ring, high, false);
    check_likelihood("likelihood(exact=yes, schedule=vp(steps=1))", &path_p1, line, false);
}

/* Random probes are unbiased: the mean over rows that differ in nothing but the probe. */
static void random_probes_estimate_the_likelihood(void **state)
{
    (void)state;
    enum { ROWS = 600 };
    static float x[ROWS * 2];
    double at[2] = {0.1f, -0.4f}, mean = 0, square = 0;
    sonde_path_node nodes[4];
    int64_t count;
    sonde_array result, view = sonde_f32(x, ROWS, 2);
    sonde_path_sampler *sampler = make("likelihood(probes=1, schedule=vp(steps=1, t_end=0.01))", 2);
    path_mixture_user user = {.with = &ring};
    for (int i = 0; i < ROWS * 2; i++) x[i] = (float)at[i % 2];
    OK(sonde_path_sampler_nodes(sampler, nodes, 4, &count));
    OK(sonde_path_sampler_run(sampler, &view, path_mixture_model, &user));
    OK(sonde_path_sampler_output(sampler, "log_likelihood", &result));
    for (int r = 0; r < ROWS; r++) {
        float value;
        memcpy(&value, (const uint8_t *)result.data + r * result.stride, sizeof value);
        mean += value / (double)ROWS;
        square += (double)value * value / ROWS;
    }
    double spread = sqrt((square - mean * mean) / ROWS),
           wanted = path_mixture_log(&ring, nodes[0].alpha, nodes[0].sigma, at);
    wanted += prior_excess(&ring, &nodes[1], x);
    assert_true(spread > 1e-4);
    if (fabs(mean - wanted) > 4 * spread) fail_msg("%g, not %g +- %g", mean, wanted, spread);
    sonde_path_sampler_free(sampler);
}

/* ---- what every run keeps ------------------------------------------------------------------------------ */

static const char *const all_specs[] = {
    "dpm(order=1, schedule=vp(steps=6))",
    "dpm(order=2, schedule=vp(steps=7))",
    "dpm(order=3, schedule=vp(steps=9))",
    "dpm(order=3, mode=multi, warmup=single, schedule=vp(steps=6))",
    "dpmpp(schedule=karras(steps=6))",
    "dpmpp(schedule=rf(steps=6))",
    "dpmpp(order=3, mode=single, schedule=karras(steps=8))",
    "dpmpp(order=3, sde=yes, schedule=vp(steps=6))",
    "dpmpp(order=3, sde=yes, tau=0.3, variant=exact, schedule=karras(steps=6))",
    "dpmpp(order=3, warmup=single, guidance=2, schedule=rf(steps=7))",
    "deis(schedule=vp(steps=6))",
    "deis(order=2, poly=logrho, schedule=karras(steps=6))",
    "unipc(schedule=vp(steps=6))",
    "unipc(order=3, data=no, schedule=rf(steps=6))",
    "unipc(order=3, threshold=static, clip=3, schedule=karras(steps=6))",
    "sde(schedule=vp(steps=4))",
    "sde(pred=reverse, norm=batch, ncorr=2, schedule=ve(steps=4))",
    "sde(pred=ancestral, corr=none, schedule=karras(steps=5))",
    "pf_ode(rtol=1e-3, atol=1e-3, schedule=vp(steps=1))",
    "pf_ode(rtol=1e-2, atol=1e-2, schedule=karras(steps=3))",
    "likelihood(rtol=1e-2, atol=1e-2, schedule=vp(steps=1))",
    "likelihood(rtol=1e-2, atol=1e-2, exact=yes, schedule=ve(steps=1))",
};
enum { SPECS = sizeof all_specs / sizeof *all_specs, ALL_ROWS = 5, ALL_DIM = 2 };

static void all_start(float *x)
{
    uint64_t seed = 11;
    for (int i = 0; i < ALL_ROWS * ALL_DIM; i++) x[i] = test_normal(&seed);
}

static path_mixture_user all_user(void)
{
    return (path_mixture_user){.with = &ring, .without = &ring, .deviation = 0.5};
}

/* Saves and opens the sampler, in place. */
static void reopen(sonde_path_sampler **sampler)
{
    size_t length = 0;
    OK(sonde_path_sampler_save_buffer(*sampler, NULL, 0, &length));
    void *bytes = test_alloc(length, 1);
    OK(sonde_path_sampler_save_buffer(*sampler, bytes, length, &length));
    sonde_path_sampler_free(*sampler);
    *sampler = NULL;
    OK(sonde_path_sampler_open_buffer(bytes, length, NULL, NULL, sampler));
    free(bytes);
}

/* ask and tell; saved and opened before every `every`-th tell. The last state goes to x, and the likelihood,
 * if any, to *sum. */
static void by_hand(const char *spec, int every, float *x)
{
    float reply[ALL_ROWS * ALL_DIM];
    sonde_path_sampler *sampler = make(spec, ALL_DIM);
    sonde_array view = sonde_f32(x, ALL_ROWS, ALL_DIM), told = sonde_f32(reply, ALL_ROWS, ALL_DIM);
    path_mixture_user user = all_user();
    sonde_ask ask = SONDE_ASK_INIT;
    OK(sonde_path_sampler_start(sampler, &view));
    for (int turn = 1;; turn++) {
        if (every && turn % every == 0) reopen(&sampler);
        OK(sonde_path_sampler_ask(sampler, &ask));
        if (ask.done) break;
        assert_int_equal(path_mixture_model(&ask, &told, &user), 0);
        OK(sonde_path_sampler_tell(sampler, &told));
    }
    memcpy(x, ask.x.data, sizeof reply);
    sonde_path_sampler_free(sampler);
}

static void by_run(const char *spec, sonde_runtime *runtime, float *x)
{
    sonde_path_sampler *sampler = NULL;
    sonde_array view = sonde_f32(x, ALL_ROWS, ALL_DIM);
    path_mixture_user user = all_user();
    OK(sonde_path_sampler_create(spec, ALL_DIM, runtime, &sampler));
    OK(sonde_path_sampler_run(sampler, &view, path_mixture_model, &user));
    sonde_path_sampler_free(sampler);
}

static void run_ask_tell_and_files_agree(void **state)
{
    (void)state;
    for (int s = 0; s < SPECS; s++) {
        float run[ALL_ROWS * ALL_DIM], hand[ALL_ROWS * ALL_DIM], filed[ALL_ROWS * ALL_DIM];
        all_start(run);
        all_start(hand);
        all_start(filed);
        by_run(all_specs[s], NULL, run);
        by_hand(all_specs[s], 0, hand);
        by_hand(all_specs[s], 1 + s % 2, filed);
        if (memcmp(run, hand, sizeof run)) fail_msg("%s: run and ask/tell differ", all_specs[s]);
        if (memcmp(run, filed, sizeof run))
            fail_msg("%s: a run that was saved and opened differs", all_specs[s]);
    }
}

/* A prediction that is refused leaves the run where it stood. */
static void a_bad_prediction_changes_nothing(void **state)
{
    (void)state;
    for (int s = 0; s < SPECS; s++) {
        float run[ALL_ROWS * ALL_DIM], x[ALL_ROWS * ALL_DIM], reply[ALL_ROWS * ALL_DIM];
        sonde_path_sampler *sampler = make(all_specs[s], ALL_DIM);
        sonde_array view = sonde_f32(x, ALL_ROWS, ALL_DIM), told = sonde_f32(reply, ALL_ROWS, ALL_DIM);
        path_mixture_user user = all_user();
        sonde_ask ask = SONDE_ASK_INIT;
        all_start(run);
        all_start(x);
        by_run(all_specs[s], NULL, run);
        OK(sonde_path_sampler_start(sampler, &view));
        for (;;) {
            OK(sonde_path_sampler_ask(sampler, &ask));
            if (ask.done) break;
            assert_int_equal(path_mixture_model(&ask, &told, &user), 0);
            float kept = reply[7];
            reply[7] = NAN;
            FAILS(sonde_path_sampler_tell(sampler, &told), SONDE_INVALID_ARGUMENT, "row 3");
            reply[7] = kept;
            OK(sonde_path_sampler_tell(sampler, &told));
        }
        if (memcmp(run, ask.x.data, sizeof run)) fail_msg("%s: the run went another way", all_specs[s]);
        sonde_path_sampler_free(sampler);
    }
}

static void a_saved_likelihood_is_there_when_opened(void **state)
{
    (void)state;
    sonde_path_sampler *sampler = make("likelihood(rtol=1e-2, schedule=vp(steps=1))", ALL_DIM);
    float x[ALL_ROWS * ALL_DIM], before[ALL_ROWS];
    sonde_array view = sonde_f32(x, ALL_ROWS, ALL_DIM), result;
    path_mixture_user user = all_user();
    all_start(x);
    OK(sonde_path_sampler_run(sampler, &view, path_mixture_model, &user));
    OK(sonde_path_sampler_output(sampler, "log_likelihood", &result));
    for (int r = 0; r < ALL_ROWS; r++)
        memcpy(&before[r], (const uint8_t *)result.data + r * result.stride, sizeof(float));
    reopen(&sampler);
    OK(sonde_path_sampler_output(sampler, "log_likelihood", &result));
    for (int r = 0; r < ALL_ROWS; r++)
        assert_memory_equal(&before[r], (const uint8_t *)result.data + r * result.stride, sizeof(float));
    sonde_path_sampler_free(sampler);
}

/* Rows enough for several chunks of the engine's and the methods' loops. */
static void threads_change_nothing(void **state)
{
    (void)state;
    enum { ROWS = 40000 };
    static const char *const specs[] = {"dpmpp(order=3, sde=yes, schedule=vp(steps=3))",
                                        "sde(norm=batch, schedule=vp(steps=2))",
                                        "unipc(order=3, schedule=vp(steps=3))",
                                        "pf_ode(rtol=1e-2, atol=1e-2, schedule=vp(steps=1, t_end=0.1))",
                                        "likelihood(rtol=0.1, atol=0.1, schedule=vp(steps=1, t_end=0.2))"};
    float *x[3];
    for (int t = 0; t < 3; t++) x[t] = test_alloc(ROWS * 2, sizeof(float));
    for (size_t s = 0; s < sizeof specs / sizeof *specs; s++) {
        for (int t = 0; t < 3; t++) {
            sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
            sonde_runtime *runtime = NULL;
            sonde_path_sampler *sampler = NULL;
            path_mixture_user user = {.with = &ring};
            sonde_array view = sonde_f32(x[t], ROWS, 2);
            options.threads = (uint32_t[]){1, 2, 7}[t];
            OK(sonde_runtime_create(&options, &runtime));
            OK(sonde_path_sampler_create(specs[s], 2, runtime, &sampler));
            for (int i = 0; i < ROWS * 2; i++) x[t][i] = (float)(i % 97) / 50 - 1;
            OK(sonde_path_sampler_run(sampler, &view, path_mixture_model, &user));
            sonde_path_sampler_free(sampler);
            sonde_runtime_free(runtime);
            if (memcmp(x[0], x[t], ROWS * 2 * sizeof(float)))
                fail_msg("%s: %d threads", specs[s], (int)options.threads);
        }
    }
    for (int t = 0; t < 3; t++) free(x[t]);
}

/* Row 0 alone is row 0 of a batch, but for methods whose rows share a step size. */
static void rows_do_not_touch_each_other(void **state)
{
    (void)state;
    for (int s = 0; s < SPECS; s++) {
        float all[ALL_ROWS * ALL_DIM];
        if (strstr(all_specs[s], "rtol") || strstr(all_specs[s], "norm=batch")) continue;
        all_start(all);
        float one[] = {all[0], all[1]};
        by_run(all_specs[s], NULL, all);
        sonde_path_sampler *sampler = make(all_specs[s], ALL_DIM);
        sonde_array view = sonde_f32(one, 1, ALL_DIM);
        path_mixture_user user = all_user();
        OK(sonde_path_sampler_run(sampler, &view, path_mixture_model, &user));
        sonde_path_sampler_free(sampler);
        if (memcmp(one, all, sizeof one)) fail_msg("%s: row 0 depends on the others", all_specs[s]);
    }
}

static const char *failing_spec;

static sonde_status failing_scene(sonde_runtime_options *options)
{
    sonde_runtime *runtime = NULL;
    sonde_path_sampler *sampler = NULL;
    float x[ALL_ROWS * ALL_DIM];
    sonde_array view = sonde_f32(x, ALL_ROWS, ALL_DIM);
    path_mixture_user user = all_user();
    all_start(x);
    sonde_status status = sonde_runtime_create(options, &runtime);
    if (status == SONDE_OK) status = sonde_path_sampler_create(failing_spec, ALL_DIM, runtime, &sampler);
    if (status == SONDE_OK) status = sonde_path_sampler_run(sampler, &view, path_mixture_model, &user);
    sonde_path_sampler_free(sampler);
    sonde_runtime_free(runtime);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (int s = 0; s < SPECS; s++) {
        failing_spec = all_specs[s];
        assert_true(failing_walk(failing_scene) > 3);
    }
}

static void bad_specs_are_refused(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"dpm(order=0)", "order"},
        {"dpm(order=4)", "order"},
        {"dpmpp(order=4)", "order"},
        {"unipc(order=0)", "order"},
        {"unipc(order=4)", "order"},
        {"deis(order=-1)", "order"},
        {"deis(order=4)", "order"},
        {"dpmpp(order=3, schedule=vp(steps=2))", "steps"},
        {"dpm(order=3, mode=multi, schedule=vp(steps=2))", "steps"},
        {"deis(order=3, schedule=vp(steps=2))", "steps"},
        {"unipc(order=3, schedule=vp(steps=2))", "steps"},
        {"dpmpp(sde=yes, tau=1.5)", "tau"},
        {"dpmpp(sde=yes, tau=-0.1)", "tau"},
        {"dpmpp(sde=yes, mode=single)", "multistep"},
        {"dpmpp(sde=yes, warmup=single)", "multistep"},
        {"sde(pred=reverse, schedule=rf)", "em"},
        {"sde(pred=ancestral, schedule=rf)", "em"},
        {"sde(pred=reverse, schedule=subvp)", "em"},
        {"sde(pred=ancestral, probability_flow=yes)", "flow"},
        {"sde(snr=-1)", "snr"},
        {"sde(ncorr=0)", "ncorr"},
        {"pf_ode(rtol=0)", "rtol"},
        {"pf_ode(atol=-1)", "atol"},
        {"pf_ode(schedule=karras(steps=1))", "steps"},
        {"likelihood(schedule=karras(steps=10))", "final"},
        {"likelihood(probes=0)", "probes"},
        {"likelihood(delta=0)", "delta"},
        {"unipc(bh=bh3)", "bh"},
        {"dpmpp(schedule=vp(steps=3, t_start=0.5, t_end=0.5))", "t_start"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sonde_path_sampler *sampler = NULL;
        FAILS(sonde_path_sampler_create(bad[i][0], 2, NULL, &sampler), SONDE_INVALID_ARGUMENT, bad[i][1]);
        assert_null(sampler);
    }
}

/* A model that no step can follow: the adaptive step gives up with a message. */
static int jumping_model(const sonde_ask *ask, sonde_array *prediction, void *user)
{
    (void)user;
    for (int64_t i = 0; i < prediction->rows * prediction->cols; i++)
        ((float *)(uintptr_t)prediction->data)[i] = ask->evaluation % 2 ? 1e4f : -1e4f;
    return 0;
}

static void a_model_without_limit_ends_the_run(void **state)
{
    (void)state;
    float x[] = {1, 2};
    sonde_array view = sonde_f32(x, 1, 2);
    sonde_path_sampler *sampler = make("pf_ode()", 2);
    FAILS(sonde_path_sampler_run(sampler, &view, jumping_model, NULL), SONDE_STATE, "too small");
    assert_true(x[0] == 1 && x[1] == 2);
    sonde_path_sampler_free(sampler);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(p1_has_the_card_s_errors),
    cmocka_unit_test(a_single_step_warmup_keeps_the_order),
    cmocka_unit_test(other_schedules_have_the_card_s_errors),
    cmocka_unit_test(few_steps_rank_as_the_card_says),
    cmocka_unit_test(few_steps_leave_few_samples_between_modes),
    cmocka_unit_test(many_steps_reach_the_reference),
    cmocka_unit_test(solvers_are_equal_where_they_should_be),
    cmocka_unit_test(phi_functions_are_their_integrals),
    cmocka_unit_test(steps_are_exact_on_polynomials),
    cmocka_unit_test(a_constant_value_is_exact_in_one_step),
    cmocka_unit_test(the_corrector_is_exact_one_degree_higher),
    cmocka_unit_test(single_step_plans_spend_what_they_are_given),
    cmocka_unit_test(a_jump_to_data_counts_as_the_last_step),
    cmocka_unit_test(sde_forms_have_the_moments_of_their_recursion),
    cmocka_unit_test(the_weak_error_is_of_first_order),
    cmocka_unit_test(the_corrector_takes_the_step_of_its_norms),
    cmocka_unit_test(the_corrector_improves_a_gaussian),
    cmocka_unit_test(a_score_of_zero_moves_nothing),
    cmocka_unit_test(the_corrector_keeps_the_law),
    cmocka_unit_test(the_adaptive_ode_keeps_its_tolerance),
    cmocka_unit_test(likelihoods_meet_the_closed_form),
    cmocka_unit_test(random_probes_estimate_the_likelihood),
    cmocka_unit_test(run_ask_tell_and_files_agree),
    cmocka_unit_test(a_bad_prediction_changes_nothing),
    cmocka_unit_test(a_saved_likelihood_is_there_when_opened),
    cmocka_unit_test(threads_change_nothing),
    cmocka_unit_test(rows_do_not_touch_each_other),
    cmocka_unit_test(every_allocation_may_fail),
    cmocka_unit_test(bad_specs_are_refused),
    cmocka_unit_test(a_model_without_limit_ends_the_run),
};

SONDE_TEST_MAIN(tests)
