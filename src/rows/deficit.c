/* deficit.c: actions that have been drawn too seldom for a policy, so that data follows it more closely than
 * chance.
 *
 * Policy gradients want data whose action frequencies are those of the policy. Independent draws miss them by
 * about sqrt(N) after N draws; drawing what is under-sampled does better. With counts N_a of N draws so far,
 * rule=ros takes the action with the largest deficit (N + 1) pi_a - N_a (ties to the lower number), which for
 * two actions keeps every |N_a - N pi_a| below 1; rule=soft draws from weights pi_a exp(-alpha (N_a / N -
 * pi_a) / pi_a), and alpha = 0 is the policy itself.
 *
 * Source: Zhong et al., "Robust On-Policy Sampling for Data-Efficient Policy Evaluation in Reinforcement
 * Learning", NeurIPS 2022 (ROS); Corrado, Hanna, "On-Policy Policy Gradient Reinforcement Learning Without
 * On-Policy Sampling", 2023 (PROPS).
 *
 * A row of a draw is an action; drawing counts it. `observe` adds counts of actions that were taken
 * elsewhere. A pass begins with the observed counts alone, so seek(0) forgets the rows of the pass but
 * nothing that was observed.
 *
 * The loss is PROPS' for policies with parameters, which cannot be counted: over collected (state, action),
 * with r = behaviour(a | s) / target(a | s), the mean of max(r, clip(r, 1 - eps, 1 + eps)) + lambda KL(target
 * || behaviour). It lowers the chance of the actions at hand until r < 1 - eps, so that the others are drawn.
 *
 * Cost: O(actions) a row; memory 24 bytes an action.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "rows/rows.h"

enum { DEFICIT_STREAM = 0xdef1 };

#define DEFICIT_MOST ((int64_t)1 << 24) /* actions */
#define DEFICIT_COUNT_MOST ((int64_t)1 << 52)
#define DEFICIT_SUM_SLACK 1e-3 /* the policy may sum to 1 within this; it is then made exact */
#define DEFICIT_POLL 1024

struct deficit_state {
    int64_t actions;
    double *policy;   /* sums to 1 */
    int64_t *seen;    /* observed counts */
    int64_t *drawn;   /* counts of this pass up to the place */
};

static void deficit_forget(sonde_runtime *runtime, struct deficit_state *state)
{
    if (!state) return;
    sonde__free(runtime, state->policy);
    sonde__free(runtime, state->seen);
    sonde__free(runtime, state->drawn);
    sonde__free(runtime, state);
}

static void deficit_drop(sonde_row_sampler *sampler)
{
    deficit_forget(sampler->runtime, sampler->state);
}

static void deficit_adopt(sonde_row_sampler *sampler, struct deficit_state *state)
{
    deficit_forget(sampler->runtime, sampler->state);
    sampler->state = state;
}

static sonde_status deficit_create(sonde_row_sampler *sampler)
{
    sampler->batch = sonde__param_int(sampler->params, "batch");
    return SONDE_OK;
}

/* ---- fitting and observing ----------------------------------------------------------------------------- */

static sonde_status deficit_fill_policy(struct deficit_state *state, const float *given)
{
    double sum = 0;
    for (int64_t a = 0; a < state->actions; a++) sum += (double)given[a];
    if (fabs(sum - 1) > DEFICIT_SUM_SLACK)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "fit: policy sums to %g, expected 1", sum);
    for (int64_t a = 0; a < state->actions; a++) state->policy[a] = (double)given[a] / sum;
    return SONDE_OK;
}

static sonde_status deficit_new(sonde_runtime *runtime, int64_t actions, struct deficit_state **made)
{
    struct deficit_state *state;
    SONDE_TRY(SONDE_NEW_ZERO(runtime, state, 1));
    state->actions = actions;
    sonde_status status = SONDE_NEW(runtime, state->policy, actions);
    if (status == SONDE_OK) status = SONDE_NEW_ZERO(runtime, state->seen, actions);
    if (status == SONDE_OK) status = SONDE_NEW_ZERO(runtime, state->drawn, actions);
    if (status == SONDE_OK) *made = state;
    else deficit_forget(runtime, state);
    return status;
}

static sonde_status deficit_fit(sonde_row_sampler *sampler, const sonde_array *const *inputs)
{
    const sonde_array *policy = inputs[sonde__rows_input(sampler, "fit", "policy")];
    struct deficit_state *state = NULL;
    float *given = NULL;
    if (policy->rows < 1 || policy->rows > DEFICIT_MOST)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "fit: policy has %lld rows, expected 1..%lld",
                           (long long)policy->rows, (long long)DEFICIT_MOST);
    SONDE_TRY(sonde__column_f32(sampler->runtime, policy, "fit: policy", -1, 0, 1, &given));
    sonde_status status = deficit_new(sampler->runtime, policy->rows, &state);
    if (status == SONDE_OK) status = deficit_fill_policy(state, given);
    sonde__free(sampler->runtime, given);
    if (status == SONDE_OK) deficit_adopt(sampler, state);
    else deficit_forget(sampler->runtime, state);
    return status;
}

/* Totals stay exact as floating point numbers. counts NULL: one a row. */
static sonde_status deficit_check_total(const struct deficit_state *state, const int64_t *counts,
                                        int64_t rows)
{
    int64_t total = 0;
    for (int64_t a = 0; a < state->actions; a++) total += state->seen[a];
    for (int64_t i = 0; i < rows && total <= DEFICIT_COUNT_MOST; i++) total += counts ? counts[i] : 1;
    if (total <= DEFICIT_COUNT_MOST) return SONDE_OK;
    return sonde__fail(SONDE_LIMIT, "observe: the counts come to more than %lld",
                       (long long)DEFICIT_COUNT_MOST);
}

/* Adds either counts by action, or one for each action named. */
static sonde_status deficit_observe(sonde_row_sampler *sampler, const sonde_array *const *inputs)
{
    struct deficit_state *state = sampler->state;
    const sonde_array *counts = inputs[sonde__rows_input(sampler, "observe", "counts")];
    const sonde_array *actions = inputs[sonde__rows_input(sampler, "observe", "actions")];
    int64_t *values = NULL;
    if (!counts == !actions)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "observe: props takes either counts or actions");
    if (counts)
        SONDE_TRY(sonde__column_i64(sampler->runtime, counts, "observe: counts", state->actions, 0,
                                    INT32_MAX, &values));
    else
        SONDE_TRY(sonde__column_i64(sampler->runtime, actions, "observe: actions", -1, 0, state->actions - 1,
                                    &values));
    int64_t rows = (counts ? counts : actions)->rows;
    sonde_status status = deficit_check_total(state, counts ? values : NULL, rows);
    for (int64_t i = 0; status == SONDE_OK && i < rows; i++) {
        if (counts) state->seen[i] += values[i];
        else state->seen[values[i]]++;
    }
    sonde__free(sampler->runtime, values);
    return status;
}

/* ---- drawing ------------------------------------------------------------------------------------------- */

/* What drawing works with; counts becomes the pass's own where the draw succeeds. */
struct deficit_draw {
    const struct deficit_state *state;
    int64_t total;  /* N */
    int64_t *count; /* N_a */
    double *weight;
    double alpha;
};

static int64_t deficit_largest(const struct deficit_draw *draw)
{
    const double *policy = draw->state->policy;
    int64_t best = 0;
    double most = -INFINITY;
    for (int64_t a = 0; a < draw->state->actions; a++) {
        double deficit = (double)(draw->total + 1) * policy[a] - (double)draw->count[a];
        if (policy[a] > 0 && deficit > most) most = deficit, best = a;
    }
    return best;
}

/* The logarithm of an action's weight; -infinity for one that the policy never takes. */
static double deficit_log_weight(const struct deficit_draw *draw, int64_t a)
{
    double chance = draw->state->policy[a];
    if (chance <= 0) return -INFINITY;
    double excess = draw->total > 0 ? (double)draw->count[a] / (double)draw->total / chance - 1 : 0;
    return log(chance) - draw->alpha * excess;
}

static int64_t deficit_soft(const struct deficit_draw *draw, sonde__rng *rng)
{
    int64_t actions = draw->state->actions, last = 0;
    double most = -INFINITY, sum = 0;
    for (int64_t a = 0; a < actions; a++) most = fmax(most, draw->weight[a] = deficit_log_weight(draw, a));
    for (int64_t a = 0; a < actions; a++) sum += draw->weight[a] = exp(draw->weight[a] - most);
    double left = sonde__rng_unit(rng) * sum;
    for (int64_t a = 0; a < actions; a++) {
        if (draw->weight[a] <= 0) continue;
        last = a; /* what is left by rounding falls to the last */
        if ((left -= draw->weight[a]) < 0) break;
    }
    return last;
}

static sonde_status deficit_rows(sonde_row_sampler *sampler, struct deficit_draw *draw, int64_t rows)
{
    const bool soft = sonde__param_is(sampler->params, "rule", "soft");
    for (int64_t i = 0; i < rows; i++) {
        sonde__rng rng;
        if (i % DEFICIT_POLL == 0)
            SONDE_TRY(sonde__poll(sampler->runtime, "props: rows", (uint64_t)i, (uint64_t)rows));
        if (soft)
            sonde__rows_rng(sampler, sampler->pass, DEFICIT_STREAM, (uint64_t)(sampler->place + i), &rng);
        int64_t action = soft ? deficit_soft(draw, &rng) : deficit_largest(draw);
        sampler->drawn.ids[i] = action;
        draw->count[action]++;
        draw->total++;
    }
    return SONDE_OK;
}

static sonde_status deficit_draw(sonde_row_sampler *sampler, const sonde_array *const *inputs, int64_t count)
{
    (void)inputs;
    struct deficit_state *state = sampler->state;
    struct deficit_draw draw = {.state = state, .alpha = sonde__param_real(sampler->params, "alpha")};
    sonde__scratch *scratch;
    if (sampler->place == 0) memset(state->drawn, 0, (size_t)state->actions * sizeof *state->drawn);
    SONDE_TRY(sonde__rows_begin(sampler, count, false));
    SONDE_TRY(sonde__scratch_take(sampler->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, draw.count, state->actions);
    if (status == SONDE_OK) status = SONDE_SCRATCH(scratch, draw.weight, state->actions);
    if (status == SONDE_OK) {
        for (int64_t a = 0; a < state->actions; a++) {
            draw.count[a] = state->seen[a] + state->drawn[a];
            draw.total += draw.count[a];
        }
        status = deficit_rows(sampler, &draw, count);
    }
    for (int64_t a = 0; status == SONDE_OK && a < state->actions; a++)
        state->drawn[a] = draw.count[a] - state->seen[a];
    sonde__scratch_give(sampler->runtime, scratch);
    return status;
}

/* ---- the loss ------------------------------------------------------------------------------------------ */

struct deficit_loss {
    int64_t rows, actions;
    double least, lambda; /* 1 - eps; the upper end of the clip never shows under a maximum */
    float *logits, *target;
    int64_t *taken;
    double *behaviour_log, *target_log; /* of one row */
};

/* The loss of a row; gradient (of the mean over all rows, NULL where not wanted) by the behaviour's logits.
 */
static double deficit_loss_row(const struct deficit_loss *loss, int64_t row, float *gradient)
{
    const double *ours = loss->behaviour_log, *theirs = loss->target_log;
    int64_t taken = loss->taken[row];
    double kl = 0;
    sonde__log_softmax(loss->logits + row * loss->actions, loss->actions, 1, loss->behaviour_log);
    sonde__log_softmax(loss->target + row * loss->actions, loss->actions, 1, loss->target_log);
    double ratio = exp(ours[taken] - theirs[taken]), slope = ratio > loss->least ? ratio : 0;
    for (int64_t a = 0; a < loss->actions; a++) {
        double chance = exp(ours[a]), wanted = exp(theirs[a]);
        kl += wanted * (theirs[a] - ours[a]);
        if (gradient)
            gradient[a] = (float)((slope * ((a == taken) - chance) + loss->lambda * (chance - wanted)) /
                                  (double)loss->rows);
    }
    return fmax(ratio, loss->least) + loss->lambda * kl;
}

static sonde_status deficit_loss_take(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                                      struct deficit_loss *loss)
{
    const sonde_array *logits = inputs[sonde__rows_input(sampler, "loss", "logits")];
    const sonde_array *target = inputs[sonde__rows_input(sampler, "loss", "target_logits")];
    const sonde_array *actions = inputs[sonde__rows_input(sampler, "loss", "actions")];
    loss->rows = logits->rows;
    loss->actions = logits->cols;
    if (loss->rows < 1) return sonde__fail(SONDE_INVALID_ARGUMENT, "loss: logits has no rows");
    SONDE_TRY(sonde__matrix_f32(sampler->runtime, logits, "loss: logits", -1, 0, &loss->logits));
    SONDE_TRY(sonde__matrix_f32(sampler->runtime, target, "loss: target_logits", loss->rows, loss->actions,
                                &loss->target));
    SONDE_TRY(sonde__column_i64(sampler->runtime, actions, "loss: actions", loss->rows, 0, loss->actions - 1,
                                &loss->taken));
    SONDE_TRY(SONDE_NEW(sampler->runtime, loss->behaviour_log, loss->actions));
    return SONDE_NEW(sampler->runtime, loss->target_log, loss->actions);
}

static sonde_status deficit_loss(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                                 const sonde_array *const *gradients, double *value)
{
    struct deficit_loss loss = {.least = 1 - sonde__param_real(sampler->params, "eps"),
                                .lambda = sonde__param_real(sampler->params, "lambda")};
    const sonde_array *into = gradients[sonde__rows_input(sampler, "loss", "logits")];
    double sum = 0;
    if (gradients[sonde__rows_input(sampler, "loss", "target_logits")] ||
        gradients[sonde__rows_input(sampler, "loss", "actions")])
        return sonde__fail(SONDE_INVALID_ARGUMENT, "loss: props has a gradient by 'logits' only");
    sonde_status status = deficit_loss_take(sampler, inputs, &loss);
    int64_t stride = into ? into->stride ? into->stride : sonde_row_bytes(into->dtype, into->cols) : 0;
    float *gradient = NULL; /* of one row: the caller's may be unaligned */
    if (status == SONDE_OK && into) status = SONDE_NEW(sampler->runtime, gradient, loss.actions);
    for (int64_t i = 0; status == SONDE_OK && i < loss.rows; i++) {
        sum += deficit_loss_row(&loss, i, gradient);
        if (into) memcpy((char *)into->data + i * stride, gradient, (size_t)loss.actions * sizeof *gradient);
    }
    if (status == SONDE_OK) *value = sum / (double)loss.rows;
    sonde__free(sampler->runtime, gradient);
    sonde__free(sampler->runtime, loss.logits);
    sonde__free(sampler->runtime, loss.target);
    sonde__free(sampler->runtime, loss.taken);
    sonde__free(sampler->runtime, loss.behaviour_log);
    sonde__free(sampler->runtime, loss.target_log);
    return status;
}

/* ---- files --------------------------------------------------------------------------------------------- */

static sonde_status deficit_save(const sonde_row_sampler *sampler, sonde__writer *writer)
{
    const struct deficit_state *state = sampler->state;
    uint64_t actions = (uint64_t)state->actions;
    SONDE_TRY(sonde__write_int(writer, "actions", state->actions));
    SONDE_TRY(sonde__write_array(writer, "POLICY", state->policy, actions, sizeof *state->policy));
    SONDE_TRY(sonde__write_array(writer, "SEEN", state->seen, actions, sizeof *state->seen));
    return sonde__write_array(writer, "DRAWN", state->drawn, actions, sizeof *state->drawn);
}

static sonde_status deficit_read_policy(const sonde_row_sampler *sampler, sonde__reader *reader,
                                        struct deficit_state *state)
{
    sonde__blob blob;
    double sum = 0;
    bool good = true;
    SONDE_TRY(
        sonde__read_array(reader, "POLICY", (uint64_t)state->actions, sizeof *state->policy, true, &blob));
    memcpy(state->policy, blob.data, (size_t)state->actions * sizeof *state->policy);
    sonde__blob_free(sampler->runtime, &blob);
    for (int64_t a = 0; a < state->actions; a++) {
        good = good && state->policy[a] >= 0; /* false for NaN too */
        sum += state->policy[a];
    }
    if (good && fabs(sum - 1) <= DEFICIT_SUM_SLACK) return SONDE_OK;
    return sonde__fail(SONDE_CORRUPT, "section \"POLICY\" is no policy");
}

static sonde_status deficit_read_counts(const sonde_row_sampler *sampler, sonde__reader *reader,
                                        const char *tag, int64_t actions, int64_t **counts)
{
    int64_t *read = NULL, total = 0;
    SONDE_TRY(sonde__numbers_read(sampler->runtime, reader, tag, actions, 0, DEFICIT_COUNT_MOST, &read));
    for (int64_t a = 0; a < actions && total <= DEFICIT_COUNT_MOST; a++) total += read[a];
    sonde__free(sampler->runtime, *counts);
    *counts = read;
    return total <= DEFICIT_COUNT_MOST ? SONDE_OK
                                       : sonde__fail(SONDE_CORRUPT, "section \"%s\" counts too much", tag);
}

static sonde_status deficit_load(sonde_row_sampler *sampler, sonde__reader *reader)
{
    struct deficit_state *state = NULL;
    int64_t actions;
    SONDE_TRY(sonde__read_int(reader, "actions", 1, DEFICIT_MOST, &actions));
    SONDE_TRY(deficit_new(sampler->runtime, actions, &state));
    sonde_status status = deficit_read_policy(sampler, reader, state);
    if (status == SONDE_OK) status = deficit_read_counts(sampler, reader, "SEEN", actions, &state->seen);
    if (status == SONDE_OK) status = deficit_read_counts(sampler, reader, "DRAWN", actions, &state->drawn);
    if (status == SONDE_OK) deficit_adopt(sampler, state);
    else deficit_forget(sampler->runtime, state);
    return status;
}

static const sonde__key deficit_keys[] = {
    {"rule", SONDE__KEY_WORD, "ros", 0, 0, "ros|soft", NULL,
     "the action with the largest deficit, or a draw that leans to it"},
    {"alpha", SONDE__KEY_REAL, "10", 0, 1e6, NULL, NULL,
     "rule=soft: how much it leans; 0: the policy itself"},
    {"batch", SONDE__KEY_INT, "1", 1, 4294967295.0, NULL, NULL, "rows of a draw that does not say how many"},
    {"eps", SONDE__KEY_REAL, "0.2", 0, 1, NULL, NULL, "loss: a ratio below 1 - eps is low enough"},
    {"lambda", SONDE__KEY_REAL, "0.1", 0, 1e6, NULL, NULL, "loss: weight of the divergence from the target"},
    {0},
};

#define DEFICIT_NUMBERS (SONDE__DTYPE_BIT(SONDE_DTYPE_I64) | SONDE__DTYPE_BIT(SONDE_DTYPE_I32))

static const sonde__input_key deficit_inputs[] = {
    {"policy", "a x 1", SONDE__DTYPES_NUMERIC, true, "the chance of each action; sums to 1", "fit"},
    {"counts", "a x 1", DEFICIT_NUMBERS, false, "how often each action was taken elsewhere", "observe"},
    {"actions", "n x 1", DEFICIT_NUMBERS, false, "actions that were taken elsewhere; or give counts",
     "observe"},
    {"logits", "b x a", SONDE__DTYPES_NUMERIC, true, "the behaviour policy's, one row a state", "loss"},
    {"target_logits", "b x a", SONDE__DTYPES_NUMERIC, true, "the target policy's", "loss"},
    {"actions", "b x 1", DEFICIT_NUMBERS, true, "the action that was taken in each state", "loss"},
    {0},
};

const sonde__row_method sonde__row_sampler_props = {
    .method = {"props", "actions that a policy's data lacks",
               "ROS: Zhong et al. 2022; PROPS: Corrado, Hanna 2023", deficit_keys, deficit_inputs, NULL,
               NULL},
    .create = deficit_create,
    .fit = deficit_fit,
    .draw = deficit_draw,
    .observe = deficit_observe,
    .loss = deficit_loss,
    .save = deficit_save,
    .load = deficit_load,
    .drop = deficit_drop,
};
