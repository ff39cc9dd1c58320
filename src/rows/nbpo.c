/* nbpo.c: weights and loss for implicit feedback in which a missing vote can be a flipped positive.
 *
 * A row is preferred with chance R = sigmoid(logit). A preferred row lacks its vote with chance gamma =
 * sigmoid(flip logit); a row that is not preferred never has one:
 *
 *   P(label 1) = R (1 - gamma)      P(label 0) = 1 - R (1 - gamma) = D
 *
 * form=exact climbs the log-likelihood, form=likelihood the likelihood itself. form=surrogate is the update
 * rule of the authors' program, which is the gradient of no function: its loss is that of exact, its
 * "gradients" are the rule. Directions up, dx for the logit and dy for the flip logit:
 *
 *   exact       label 1   dx = 1 - R                         dy = -gamma
 *               label 0   dx = -(1 - gamma) R (1 - R) / D    dy = gamma (1 - gamma) R / D
 *   likelihood  label 1   dx = (1 - gamma) R (1 - R)         dy = -gamma (1 - gamma) R
 *               label 0   dx = -(1 - gamma) R (1 - R)        dy = gamma (1 - gamma) R
 *   surrogate   label 1   dx = (1 - gamma) (1 - R)           dy = -gamma R
 *               label 0   dx = gamma (1 - R) - R             dy = (1 - gamma) R
 *
 * A draw gives the rows of the batch with weights dx / (label - R): what the pull of the plain point-wise
 * logistic loss is multiplied by. As R goes to 1 the exact weight of an unlabelled row goes to 0: what looks
 * like a positive is released. Weights of the surrogate can be negative. All is worked out in logarithms, so
 * no logit saturates.
 *
 * Source: Yu, Qin, "Sampler Design for Implicit Feedback Data by Noisy-label Robust Learning", SIGIR 2020.
 * The loss is the mean of the negated (log-)likelihood over the rows. Cost: O(rows).
 *
 * SPDX-License-Identifier: MIT
 */
#include <float.h>
#include <math.h>

#include "rows/rows.h"

enum { NBPO_GRAIN = 4096 };
enum nbpo_form { NBPO_EXACT, NBPO_SURROGATE, NBPO_LIKELIHOOD };

/* One row: logarithms of the chances and of their complements. */
struct nbpo_chances {
    double like, unlike, flip, keep; /* log R, log(1 - R), log gamma, log(1 - gamma) */
    double missing;                  /* log D */
};

/* What a row contributes; weight is dx / (label - R). */
struct nbpo_terms {
    double loss, dx, dy, weight;
};

struct nbpo_batch {
    int64_t rows;
    enum nbpo_form form;
    float *logits, *flips;
    int64_t *labels;
    struct nbpo_terms *terms;
};

static sonde_status nbpo_create(sonde_row_sampler *sampler)
{
    sampler->batch = 0; /* the whole batch */
    sampler->fitted = true;
    return SONDE_OK;
}

/* ---- one row ------------------------------------------------------------------------------------------- */

static double nbpo_log_sigmoid(double x) { return x < 0 ? x - log1p(exp(x)) : -log1p(exp(-x)); }

/* D = (1 - R) + gamma R: both terms are positive, so nothing cancels. */
static struct nbpo_chances nbpo_chances_of(double logit, double flip_logit)
{
    struct nbpo_chances c = {nbpo_log_sigmoid(logit), nbpo_log_sigmoid(-logit), nbpo_log_sigmoid(flip_logit),
                             nbpo_log_sigmoid(-flip_logit), 0};
    double flipped = c.flip + c.like;
    c.missing = fmax(c.unlike, flipped) + log1p(exp(-fabs(c.unlike - flipped)));
    return c;
}

static struct nbpo_terms nbpo_exact(const struct nbpo_chances *c, bool label)
{
    if (label) return (struct nbpo_terms){-(c->like + c->keep), exp(c->unlike), -exp(c->flip), 1};
    return (struct nbpo_terms){-c->missing, -exp(c->keep + c->like + c->unlike - c->missing),
                               exp(c->flip + c->keep + c->like - c->missing),
                               exp(c->keep + c->unlike - c->missing)};
}

static struct nbpo_terms nbpo_likelihood(const struct nbpo_chances *c, bool label)
{
    double dx = exp(c->keep + c->like + c->unlike), dy = exp(c->flip + c->keep + c->like);
    if (label) return (struct nbpo_terms){-exp(c->like + c->keep), dx, -dy, exp(c->keep + c->like)};
    return (struct nbpo_terms){-exp(c->missing), -dx, dy, exp(c->keep + c->unlike)};
}

static struct nbpo_terms nbpo_surrogate(const struct nbpo_chances *c, bool label)
{
    double loss = nbpo_exact(c, label).loss;
    if (label)
        return (struct nbpo_terms){loss, exp(c->keep + c->unlike), -exp(c->flip + c->like), exp(c->keep)};
    return (struct nbpo_terms){loss, exp(c->flip + c->unlike) - exp(c->like), exp(c->keep + c->like),
                               fmax(1 - exp(c->flip + c->unlike - c->like), -FLT_MAX)};
}

static sonde_status nbpo_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    static struct nbpo_terms (*const forms[])(const struct nbpo_chances *, bool) = {
        [NBPO_EXACT] = nbpo_exact, [NBPO_SURROGATE] = nbpo_surrogate, [NBPO_LIKELIHOOD] = nbpo_likelihood};
    struct nbpo_batch *batch = context;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        struct nbpo_chances chances = nbpo_chances_of(batch->logits[i], batch->flips[i]);
        batch->terms[i] = forms[batch->form](&chances, batch->labels[i] != 0);
    }
    return SONDE_OK;
}

/* ---- a batch ------------------------------------------------------------------------------------------- */

static enum nbpo_form nbpo_form_of(const sonde_row_sampler *sampler)
{
    if (sonde__param_is(sampler->params, "form", "likelihood")) return NBPO_LIKELIHOOD;
    return sonde__param_is(sampler->params, "form", "surrogate") ? NBPO_SURROGATE : NBPO_EXACT;
}

static sonde_status nbpo_take(const sonde_row_sampler *sampler, const char *verb,
                              const sonde_array *const *inputs, struct nbpo_batch *batch)
{
    sonde_runtime *runtime = sampler->runtime;
    const sonde_array *logits = inputs[sonde__rows_input(sampler, verb, "logits")];
    const sonde_array *flips = inputs[sonde__rows_input(sampler, verb, "flip_logits")];
    const sonde_array *labels = inputs[sonde__rows_input(sampler, verb, "labels")];
    batch->rows = logits->rows;
    batch->form = nbpo_form_of(sampler);
    if (batch->rows < 1) return sonde__fail(SONDE_INVALID_ARGUMENT, "logits has 0 rows, expected 1 or more");
    SONDE_TRY(sonde__matrix_f32(runtime, logits, "logits", batch->rows, 1, &batch->logits));
    SONDE_TRY(sonde__matrix_f32(runtime, flips, "flip_logits", batch->rows, 1, &batch->flips));
    SONDE_TRY(sonde__column_i64(runtime, labels, "labels", batch->rows, 0, 1, &batch->labels));
    SONDE_TRY(SONDE_NEW(runtime, batch->terms, batch->rows));
    return sonde__parallel_for(runtime, 0, batch->rows, NBPO_GRAIN, "weights", nbpo_chunk, batch);
}

static void nbpo_drop(sonde_runtime *runtime, struct nbpo_batch *batch)
{
    sonde__free(runtime, batch->logits);
    sonde__free(runtime, batch->flips);
    sonde__free(runtime, batch->labels);
    sonde__free(runtime, batch->terms);
}

static sonde_status nbpo_fill(sonde_row_sampler *sampler, const struct nbpo_batch *batch, const int64_t *ids,
                              int64_t count)
{
    SONDE_TRY(sonde__rows_begin(sampler, count, false));
    for (int64_t i = 0; i < count; i++) {
        sampler->drawn.ids[i] = ids ? ids[i] : i;
        sampler->drawn.weights[i] = (float)batch->terms[i].weight;
    }
    return SONDE_OK;
}

static sonde_status nbpo_draw(sonde_row_sampler *sampler, const sonde_array *const *inputs, int64_t count)
{
    if (!inputs)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "draw: nbpo weighs a batch; call sonde_row_sampler_draw_for");
    struct nbpo_batch batch = {0};
    int64_t *ids = NULL;
    const sonde_array *named = inputs[sonde__rows_input(sampler, "draw", "ids")];
    sonde_status status = nbpo_take(sampler, "draw", inputs, &batch);
    if (status == SONDE_OK && named)
        status = sonde__column_i64(sampler->runtime, named, "ids", batch.rows, 0, INT64_MAX, &ids);
    if (status == SONDE_OK)
        status = nbpo_fill(sampler, &batch, ids, count ? sonde__min_i64(count, batch.rows) : batch.rows);
    sonde__free(sampler->runtime, ids);
    nbpo_drop(sampler->runtime, &batch);
    return status == SONDE_OK ? SONDE_OK : sonde__fail_within(status, "draw_for");
}

/* The loss goes down where the directions go up. */
static void nbpo_gradient(const struct nbpo_batch *batch, bool of_flips, const sonde_array *gradient)
{
    for (int64_t i = 0; i < batch->rows; i++) {
        double up = of_flips ? batch->terms[i].dy : batch->terms[i].dx;
        sonde__gradient_set(gradient, i, -up / (double)batch->rows);
    }
}

static sonde_status nbpo_loss(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                              const sonde_array *const *gradients, double *loss)
{
    struct nbpo_batch batch = {0};
    sonde_status status = nbpo_take(sampler, "loss", inputs, &batch);
    if (status == SONDE_OK) {
        const sonde_array *logits = gradients[sonde__rows_input(sampler, "loss", "logits")];
        const sonde_array *flips = gradients[sonde__rows_input(sampler, "loss", "flip_logits")];
        double sum = 0;
        for (int64_t i = 0; i < batch.rows; i++) sum += batch.terms[i].loss;
        if (logits) nbpo_gradient(&batch, false, logits);
        if (flips) nbpo_gradient(&batch, true, flips);
        *loss = sum / (double)batch.rows;
    }
    nbpo_drop(sampler->runtime, &batch);
    return status == SONDE_OK ? SONDE_OK : sonde__fail_within(status, "loss");
}

static const sonde__key nbpo_keys[] = {
    {"form", SONDE__KEY_WORD, "exact", 0, 0, "exact|surrogate|likelihood", NULL,
     "gradient: of the log-likelihood, the authors' update rule, or of the likelihood"},
    {0},
};

#define NBPO_IDS (SONDE__DTYPE_BIT(SONDE_DTYPE_I64) | SONDE__DTYPE_BIT(SONDE_DTYPE_I32))
#define NBPO_LABELS (NBPO_IDS | SONDE__DTYPE_BIT(SONDE_DTYPE_U8) | SONDE__DTYPE_BIT(SONDE_DTYPE_I8))

static const sonde__input_key nbpo_inputs[] = {
    {"logits", "n x 1", SONDE__DTYPES_NUMERIC, true, "logits of being preferred", "draw"},
    {"flip_logits", "n x 1", SONDE__DTYPES_NUMERIC, true, "logits of lacking a vote if preferred", "draw"},
    {"labels", "n x 1", NBPO_LABELS, true, "1: voted for, 0: no vote", "draw"},
    {"ids", "n x 1", NBPO_IDS, false, "names of the rows; else 0, 1, 2, ...", "draw"},
    {"logits", "n x 1", SONDE__DTYPES_NUMERIC, true, "logits of being preferred", "loss"},
    {"flip_logits", "n x 1", SONDE__DTYPES_NUMERIC, true, "logits of lacking a vote if preferred", "loss"},
    {"labels", "n x 1", NBPO_LABELS, true, "1: voted for, 0: no vote", "loss"},
    {0},
};

const sonde__row_method sonde__row_sampler_nbpo = {
    .method = {"nbpo", "weights for votes of which some are missing: releases rows that look like positives",
               "Yu, Qin, SIGIR 2020", nbpo_keys, nbpo_inputs, NULL, NULL},
    .create = nbpo_create,
    .draw = nbpo_draw,
    .loss = nbpo_loss,
};
