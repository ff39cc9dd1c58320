/* predict.c: what a model predicts, and how that becomes what a solver wants.
 *
 * Given the state x = alpha x0 + sigma eps, all predictions are affine in each other:
 *
 *   noise  eps                          x0 = (x - sigma eps) / alpha
 *   data   x0                           eps = (x - alpha x0) / sigma
 *   score  -eps / sigma
 *   v      alpha eps - sigma x0         x0 = (alpha x - sigma v) / n, eps = (sigma x + alpha v) / n,
 *                                       n = alpha^2 + sigma^2
 *   flow   alpha' x0 + sigma' eps       x0 = (sigma' x - sigma u) / d, eps = (alpha u - alpha' x) / d,
 *                                       d = alpha sigma' - sigma alpha'
 *   edm    x0 = skip x/alpha + out F(in x/alpha, log(r)/4), r = sigma / alpha, by the deviation of the data
 *
 * so a conversion is two numbers, worked out in double; the sums apply them in f32. Guidance mixes predictions of one
 * kind with weights that sum to 1, which commutes with all of these. Sources: Ho et al. 2020; Salimans and Ho 2022
 * (v); Liu et al. 2023 (flow); Karras et al. 2022 (EDM); Ho and Salimans 2022 (guidance); Saharia et al. 2022
 * (thresholds).
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "paths/engine.h"

/* What data and noise are, in terms of the state and the prediction. */
struct predict_pair {
    sonde__path_affine data, noise;
};

static struct predict_pair predict_edm(double deviation, const sonde__path_point *at)
{
    double ratio = at->sigma / at->alpha, variance = ratio * ratio + deviation * deviation, root = sqrt(variance);
    return (struct predict_pair){{deviation * deviation / variance / at->alpha, ratio * deviation / root},
                                 {ratio / variance / at->alpha, -deviation / root}};
}

static struct predict_pair predict_flow(const sonde__path_point *at)
{
    double d = at->alpha * at->sigma_rate - at->sigma * at->alpha_rate;
    return (struct predict_pair){{at->sigma_rate / d, -at->sigma / d}, {-at->alpha_rate / d, at->alpha / d}};
}

static struct predict_pair predict_v(const sonde__path_point *at)
{
    double n = at->alpha * at->alpha + at->sigma * at->sigma;
    return (struct predict_pair){{at->alpha / n, -at->sigma / n}, {at->sigma / n, at->alpha / n}};
}

static struct predict_pair predict_pair(uint32_t prediction, double deviation, const sonde__path_point *at)
{
    double alpha = at->alpha, sigma = at->sigma;
    switch (prediction) {
    case SONDE_PREDICTION_DATA: return (struct predict_pair){{0, 1}, {1 / sigma, -alpha / sigma}};
    case SONDE_PREDICTION_SCORE: return (struct predict_pair){{1 / alpha, sigma * sigma / alpha}, {0, -sigma}};
    case SONDE_PREDICTION_V: return predict_v(at);
    case SONDE_PREDICTION_FLOW: return predict_flow(at);
    case SONDE_PREDICTION_EDM: return predict_edm(deviation, at);
    default: return (struct predict_pair){{1 / alpha, -sigma / alpha}, {0, 1}};
    }
}

sonde__path_affine sonde__path_convert(uint32_t prediction, double deviation, const sonde__path_point *at,
                                       sonde__path_form form)
{
    struct predict_pair pair = predict_pair(prediction, deviation, at);
    switch (form) {
    case SONDE__FORM_DATA: return pair.data;
    case SONDE__FORM_SCORE:
        return (sonde__path_affine){-pair.noise.x / at->sigma, -pair.noise.prediction / at->sigma};
    case SONDE__FORM_CONTRAST:
        return (sonde__path_affine){pair.noise.x - pair.data.x, pair.noise.prediction - pair.data.prediction};
    default: return pair.noise;
    }
}

sonde__path_view sonde__path_seen(const sonde__path_model *model, const sonde__path_point *at)
{
    if (model->prediction != SONDE_PREDICTION_EDM) return (sonde__path_view){1, at->model_time};
    double ratio = at->sigma / at->alpha;
    double variance = ratio * ratio + model->deviation * model->deviation;
    return (sonde__path_view){1 / (at->alpha * sqrt(variance)), log(ratio) / 4};
}

/* ---- the common keys ------------------------------------------------------------------------------------------- */

static const char *const predict_words[] = {
    [SONDE_PREDICTION_NOISE] = "noise", [SONDE_PREDICTION_DATA] = "data", [SONDE_PREDICTION_SCORE] = "score",
    [SONDE_PREDICTION_V] = "v",         [SONDE_PREDICTION_FLOW] = "flow", [SONDE_PREDICTION_EDM] = "edm"};

static uint32_t predict_automatic(const sonde__schedule *schedule)
{
    const char *name = sonde__schedule_name(schedule);
    if (strcmp(name, "rf") == 0) return SONDE_PREDICTION_FLOW;
    return strcmp(name, "edm") == 0 || strcmp(name, "karras") == 0 ? SONDE_PREDICTION_DATA : SONDE_PREDICTION_NOISE;
}

static uint32_t predict_kind(const sonde_path_sampler *sampler)
{
    for (uint32_t kind = SONDE_PREDICTION_NOISE; kind <= SONDE_PREDICTION_EDM; kind++)
        if (sonde__param_is(sampler->params, "prediction", predict_words[kind])) return kind;
    return predict_automatic(sampler->schedule);
}

static void predict_guidance(const sonde__params *params, sonde__path_model *model)
{
    model->condition = 1;
    if (sonde__param_is(params, "guidance", "none")) return;
    model->guidance = sonde__param_real(params, "guidance");
    model->guided = model->guidance != 0 && model->guidance != 1;
    model->condition = model->guidance != 0;
}

static sonde_status predict_limits(const sonde__params *params, sonde__path_model *model)
{
    if (sonde__param_is(params, "threshold", "static")) model->limit = SONDE__LIMIT_STATIC;
    if (sonde__param_is(params, "threshold", "dynamic")) model->limit = SONDE__LIMIT_DYNAMIC;
    model->clip = sonde__param_real(params, "clip");
    model->quantile = sonde__param_real(params, "quantile");
    model->floor = sonde__param_real(params, "floor");
    model->cap = sonde__param_is(params, "cap", "none") ? HUGE_VAL : sonde__param_real(params, "cap");
    if (model->floor <= model->cap) return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT, "threshold: floor=%g is above cap=%g", model->floor, model->cap);
}

sonde_status sonde__path_model_create(sonde_path_sampler *sampler)
{
    sonde__path_model *model;
    SONDE_TRY(SONDE_NEW_ZERO(sampler->runtime, model, 1));
    sampler->model = model;
    model->prediction = predict_kind(sampler);
    model->deviation = sampler->schedule->deviation;
    predict_guidance(sampler->params, model);
    bool divides = model->prediction == SONDE_PREDICTION_NOISE || model->prediction == SONDE_PREDICTION_SCORE ||
                   model->prediction == SONDE_PREDICTION_EDM;
    if (divides && sampler->nodes[0].alpha == 0)
        return sonde__fail(
            SONDE_INVALID_ARGUMENT,
            "prediction=%s says nothing about the data where alpha is 0, as at the first node of %s; take "
            "t_start=0.999 or another prediction",
            predict_words[model->prediction], sonde__schedule_name(sampler->schedule));
    return predict_limits(sampler->params, model);
}
