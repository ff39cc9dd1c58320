/* paths_model.h: models with closed forms for the tests of path samplers, and their reference solutions, all in
 * double.
 *
 *   path_mixture        sum of w_j N(m_j, d_j^2 I): the exact expectation of the data given a noisy state. One
 * component is a Gaussian, deviations 0 are a finite data set. path_mixture_model  the same as the model of
 * sonde_path_sampler_run: answers with whatever prediction is asked for path_flow           where the ODE takes a
 * state: RK4 in y = x / (alpha + sigma), r = sigma / (alpha + sigma), where dy/dr = eps - x0 whatever the schedule is
 *   path_p1_rmse        the standard problem P1 of the solvers' tables
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_TEST_PATHS_MODEL_H
#define SONDE_TEST_PATHS_MODEL_H

#include <math.h>

#include "test.h"

typedef struct path_mixture {
    int count, dim;
    const double *weights, *means, *deviations; /* means: count x dim */
} path_mixture;

enum { PATH_COMPONENTS = 16, PATH_DIM = 8 };

/* Log of w_j times the density of component j of the noisy data at x, for each j; returns the largest. */
static inline double path_mixture_logs(const path_mixture *m, double alpha, double sigma, const double *x,
                                       double *logs)
{
    double most = -HUGE_VAL;
    for (int j = 0; j < m->count; j++) {
        double variance = alpha * alpha * m->deviations[j] * m->deviations[j] + sigma * sigma, square = 0;
        for (int k = 0; k < m->dim; k++) {
            double off = x[k] - alpha * m->means[j * m->dim + k];
            square += off * off;
        }
        logs[j] = log(m->weights[j]) - 0.5 * square / variance -
                  0.5 * m->dim * log(2 * 3.14159265358979323846 * variance);
        most = fmax(most, logs[j]);
    }
    return most;
}

/* x0 = E[data | alpha data + sigma noise = x], for dim <= PATH_DIM. */
static inline void path_mixture_data(const path_mixture *m, double alpha, double sigma, const double *x, double *x0)
{
    double logs[PATH_COMPONENTS], sum = 0, most = path_mixture_logs(m, alpha, sigma, x, logs);
    for (int k = 0; k < m->dim; k++) x0[k] = 0;
    for (int j = 0; j < m->count; j++) {
        double share = exp(logs[j] - most), own = m->deviations[j] * m->deviations[j];
        double pull = alpha * own / (alpha * alpha * own + sigma * sigma);
        sum += share;
        for (int k = 0; k < m->dim; k++) {
            double mean = m->means[j * m->dim + k];
            x0[k] += share * (mean + pull * (x[k] - alpha * mean));
        }
    }
    for (int k = 0; k < m->dim; k++) x0[k] /= sum;
}

/* Log density of the noisy data at x. */
static inline double path_mixture_log(const path_mixture *m, double alpha, double sigma, const double *x)
{
    double logs[PATH_COMPONENTS], sum = 0, most = path_mixture_logs(m, alpha, sigma, x, logs);
    for (int j = 0; j < m->count; j++) sum += exp(logs[j] - most);
    return most + log(sum);
}

/* ---- as a model ------------------------------------------------------------------------------------------------ */

typedef struct path_mixture_user {
    const path_mixture *with, *without; /* for condition 1 and 0; without may be NULL */
    double deviation;                   /* of the data: prediction=edm */
    double beta0, beta1;                /* of a vp schedule: its rates for prediction=flow; 0 = rf or alpha = 1 */
    int calls;
} path_mixture_user;

/* alpha' x0 + sigma' eps for vp by its betas; else alpha' is -1 (rf) or 0, sigma' 1. */
static inline double path_velocity(const path_mixture_user *user, const sonde_ask *ask, double x0, double eps)
{
    if (user->beta1 == 0) return eps - (ask->alpha == 1 ? 0 : x0);
    double rate = -0.5 * (user->beta0 + ask->t * (user->beta1 - user->beta0));
    return rate * ask->alpha * x0 - rate * ask->alpha * ask->alpha / ask->sigma * eps;
}

static inline double path_predict(const path_mixture_user *user, const sonde_ask *ask, double x, double x0)
{
    double alpha = ask->alpha, sigma = ask->sigma, eps = (x - alpha * x0) / sigma, sd = user->deviation;
    double ratio = sigma / alpha, variance = ratio * ratio + sd * sd;
    switch (ask->prediction) {
    case SONDE_PREDICTION_DATA: return x0;
    case SONDE_PREDICTION_SCORE: return -eps / sigma;
    case SONDE_PREDICTION_V: return alpha * eps - sigma * x0;
    case SONDE_PREDICTION_FLOW: return path_velocity(user, ask, x0, eps);
    case SONDE_PREDICTION_EDM: return (x0 - sd * sd / variance * x / alpha) * sqrt(variance) / (ratio * sd);
    default: return eps;
    }
}

static inline int path_mixture_model(const sonde_ask *ask, sonde_array *prediction, void *user_)
{
    path_mixture_user *user = user_;
    const path_mixture *mixture = ask->condition ? user->with : user->without;
    const float *x = ask->x.data;
    float *out = (float *)(uintptr_t)prediction->data;
    double ratio = ask->sigma / ask->alpha, scale = 1;
    if (ask->prediction == SONDE_PREDICTION_EDM)
        scale = ask->alpha * sqrt(ratio * ratio + user->deviation * user->deviation);
    user->calls++;
    for (int64_t i = 0; i < ask->x.rows; i++) {
        double state[PATH_DIM], data[PATH_DIM];
        for (int k = 0; k < mixture->dim; k++) state[k] = scale * x[i * mixture->dim + k];
        path_mixture_data(mixture, ask->alpha, ask->sigma, state, data);
        for (int k = 0; k < mixture->dim; k++)
            out[i * mixture->dim + k] = (float)path_predict(user, ask, state[k], data[k]);
    }
    return 0;
}

/* ---- reference solutions --------------------------------------------------------------------------------------- */

static inline void path_slope(const path_mixture *m, double r, const double *y, double *slope)
{
    double x0[PATH_DIM];
    path_mixture_data(m, 1 - r, r, y, x0);
    for (int k = 0; k < m->dim; k++) slope[k] = (y[k] - x0[k]) / r; /* eps - x0 = (y - (1 - r) x0) / r - x0 */
}

/* Moves x (dim values) from (alpha, sigma) to (alpha_end, sigma_end) along the ODE. */
static inline void path_flow(const path_mixture *m, double alpha, double sigma, double alpha_end, double sigma_end,
                             int steps, double *x)
{
    double y[PATH_DIM], at[PATH_DIM], k1[PATH_DIM], k2[PATH_DIM], k3[PATH_DIM], k4[PATH_DIM];
    double begin = log(sigma / (alpha + sigma)), end = log(sigma_end / (alpha_end + sigma_end));
    for (int k = 0; k < m->dim; k++) y[k] = x[k] / (alpha + sigma);
    for (int i = 0; i < steps; i++) { /* even steps in log r */
        double r = exp(begin + (end - begin) * i / steps), next = exp(begin + (end - begin) * (i + 1) / steps);
        double h = next - r;
        path_slope(m, r, y, k1);
        for (int k = 0; k < m->dim; k++) at[k] = y[k] + h / 2 * k1[k];
        path_slope(m, r + h / 2, at, k2);
        for (int k = 0; k < m->dim; k++) at[k] = y[k] + h / 2 * k2[k];
        path_slope(m, r + h / 2, at, k3);
        for (int k = 0; k < m->dim; k++) at[k] = y[k] + h * k3[k];
        path_slope(m, next, at, k4);
        for (int k = 0; k < m->dim; k++) y[k] += h / 6 * (k1[k] + 2 * k2[k] + 2 * k3[k] + k4[k]);
    }
    for (int k = 0; k < m->dim; k++) x[k] = y[k] * (alpha_end + sigma_end);
}

/* ---- P1 -------------------------------------------------------------------------------------------------------- */

static const double path_p1_weights[] = {0.3, 0.7}, path_p1_means[] = {-1, 1.2}, path_p1_deviations[] = {0.3, 0.5};
static const path_mixture path_p1 = {2, 1, path_p1_weights, path_p1_means, path_p1_deviations};
enum { PATH_P1_POINTS = 41 };

/* The time of a lambda on vp(0.1, 20). */
static inline double path_vp_time(double lambda)
{
    double q = 2 * 19.9 * log1p(exp(-2 * lambda));
    return q / ((sqrt(0.1 * 0.1 + q) + 0.1) * 19.9);
}

/* The error of a solver over 41 starts in [-2.2, 2.2] (times sigma of the first node where alpha is 1), against
 * path_flow. The spec has one %s, the schedule's place. */
static inline double path_rmse(const char *spec, const char *schedule, double *state)
{
    char text[1024];
    sonde_path_sampler *sampler = NULL;
    sonde_path_node nodes[1024];
    int64_t count;
    float x[PATH_P1_POINTS];
    double square = 0;
    path_mixture_user user = {.with = &path_p1, .deviation = 0.5};
    snprintf(text, sizeof text, spec, schedule);
    OK(sonde_path_sampler_create(text, 1, NULL, &sampler));
    OK(sonde_path_sampler_nodes(sampler, nodes, 1024, &count));
    double scale = nodes[0].alpha == 1 ? nodes[0].sigma : 1;
    for (int i = 0; i < PATH_P1_POINTS; i++) x[i] = (float)(scale * (-2.2 + 4.4 * i / (PATH_P1_POINTS - 1)));
    sonde_array view = sonde_f32(x, PATH_P1_POINTS, 1);
    OK(sonde_path_sampler_run(sampler, &view, path_mixture_model, &user));
    for (int i = 0; i < PATH_P1_POINTS; i++) {
        double y = (float)(scale * (-2.2 + 4.4 * i / (PATH_P1_POINTS - 1)));
        path_flow(&path_p1, nodes[0].alpha, nodes[0].sigma, nodes[count - 1].alpha, nodes[count - 1].sigma, 2000, &y);
        square += (x[i] - y) * (x[i] - y);
        if (state) state[i] = x[i];
    }
    sonde_path_sampler_free(sampler);
    return sqrt(square / PATH_P1_POINTS);
}

/* P1: vp(0.1, 20), even steps in lambda from -3 to 3. */
static inline double path_p1_rmse(const char *spec, int steps)
{
    char schedule[200];
    snprintf(schedule, sizeof schedule, "schedule=vp(steps=%d, grid=uniform_lambda, t_start=%.17g, t_end=%.17g)",
             steps, path_vp_time(-3), path_vp_time(3));
    return path_rmse(spec, schedule, NULL);
}

#endif
