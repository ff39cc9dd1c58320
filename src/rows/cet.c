/* cet.c: weights for ranking groups whose labelled row was chosen by an earlier ranker (pooling bias).
 *
 * A row of a group is labelled when it was selected for judging and is relevant: P(label) = P(selected)
 * P(relevant). Rows that nobody selected are no proven negatives. Two models score each group, relevance
 * logits f and selection logits g; each is trained on the labelled rows with the inverse chance that the
 * other model gives them:
 *
 *   L_rel = mean over labelled i of  w_i (-log soft(f)_i),  w_i = 1 / max(soft(g)_i, clip)
 *   L_sel = mean over labelled i of  v_i (-log soft(g)_i),  v_i = 1 / max(soft(f)_i, clip)
 *
 * soft is taken within the group. The weights are constants of the loss: gradients do not run through them,
 * else both models settle on "everything was selected". normalise=yes scales w and v to a mean of 1 over the
 * labelled rows of the batch. The product of chances says only as much as the models differ: give the
 * selection model few features.
 *
 * A draw gives the rows of the batch: weights w for labelled rows and 0 for the others, which have no term
 * of their own and only stand in the denominators; groups are the groups. The loss is L_rel + L_sel.
 *
 * Source: Cai, Guo, Fan, Ai, Zhang, Cheng, "Hard Negatives or False Negatives: Correcting Pooling Bias in
 * Training Neural Ranking Models", CIKM 2022. Clip and normalisation are this library's. Cost: O(rows),
 * about 50 bytes a row.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "rows/rows.h"

enum { CET_RELEVANCE = 0, CET_SELECTION = 1, CET_GRAIN = 256 };

struct cet_batch {
    int64_t rows, groups, labelled;
    int64_t *labels, *begin; /* begin: groups + 1 */
    float *logits[2];        /* relevance, selection */
    double *log_soft[2], *weight[2];
    double clip;
};

static void cet_drop(sonde_runtime *runtime, struct cet_batch *batch)
{
    sonde__free(runtime, batch->labels);
    sonde__free(runtime, batch->begin);
    for (int side = 0; side < 2; side++) {
        sonde__free(runtime, batch->logits[side]);
        sonde__free(runtime, batch->log_soft[side]);
        sonde__free(runtime, batch->weight[side]);
    }
}

static sonde_status cet_create(sonde_row_sampler *sampler)
{
    sampler->batch = 0; /* the whole batch */
    sampler->fitted = true;
    return SONDE_OK;
}

/* ---- taking a batch in --------------------------------------------------------------------------------- */

/* Where the groups begin; without offsets all rows are one group. */
static sonde_status cet_take_groups(sonde_runtime *runtime, const sonde_array *offsets,
                                    struct cet_batch *batch)
{
    if (!offsets) {
        batch->groups = 1;
        SONDE_TRY(SONDE_NEW_ZERO(runtime, batch->begin, 2));
        batch->begin[1] = batch->rows;
        return SONDE_OK;
    }
    SONDE_TRY(sonde__column_i64(runtime, offsets, "group_offsets", -1, 0, batch->rows, &batch->begin));
    batch->groups = offsets->rows - 1;
    if (batch->groups < 1 || batch->begin[0] != 0 || batch->begin[batch->groups] != batch->rows)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "group_offsets must begin with 0 and end with the %lld rows",
                           (long long)batch->rows);
    return SONDE_OK;
}

static sonde_status cet_check_groups(struct cet_batch *batch)
{
    for (int64_t group = 0; group < batch->groups; group++) {
        int64_t found = 0;
        for (int64_t i = batch->begin[group]; i < batch->begin[group + 1]; i++) found += batch->labels[i];
        if (found == 0)
            return sonde__fail(SONDE_INVALID_ARGUMENT, "group %lld (rows %lld..%lld) has no labelled row",
                               (long long)group, (long long)batch->begin[group],
                               (long long)batch->begin[group + 1]);
        batch->labelled += found;
    }
    return SONDE_OK;
}

static sonde_status cet_take(const sonde_row_sampler *sampler, const char *verb,
                             const sonde_array *const *inputs, struct cet_batch *batch)
{
    static const char *const names[2] = {"logits", "selection_logits"};
    sonde_runtime *runtime = sampler->runtime;
    batch->clip = sonde__param_real(sampler->params, "clip");
    batch->rows = inputs[sonde__rows_input(sampler, verb, "logits")]->rows;
    if (batch->rows < 1) return sonde__fail(SONDE_INVALID_ARGUMENT, "logits has 0 rows, expected 1 or more");
    for (int side = 0; side < 2; side++) {
        const sonde_array *logits = inputs[sonde__rows_input(sampler, verb, names[side])];
        SONDE_TRY(sonde__matrix_f32(runtime, logits, names[side], batch->rows, 1, &batch->logits[side]));
        SONDE_TRY(SONDE_NEW(runtime, batch->log_soft[side], batch->rows));
        SONDE_TRY(SONDE_NEW(runtime, batch->weight[side], batch->rows));
    }
    const sonde_array *labels = inputs[sonde__rows_input(sampler, verb, "labels")];
    SONDE_TRY(sonde__column_i64(runtime, labels, "labels", batch->rows, 0, 1, &batch->labels));
    SONDE_TRY(cet_take_groups(runtime, inputs[sonde__rows_input(sampler, verb, "group_offsets")], batch));
    return cet_check_groups(batch);
}

/* ---- weights ------------------------------------------------------------------------------------------- */

static sonde_status cet_weigh_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    struct cet_batch *batch = context;
    (void)worker;
    for (int64_t group = begin; group < end; group++) {
        int64_t first = batch->begin[group], last = batch->begin[group + 1];
        for (int side = 0; side < 2; side++)
            sonde__log_softmax(batch->logits[side] + first, last - first, 1, batch->log_soft[side] + first);
        for (int64_t i = first; i < last; i++)
            for (int side = 0; side < 2; side++)
                batch->weight[side][i] = batch->labels[i]
                                             ? 1 / fmax(exp(batch->log_soft[1 - side][i]), batch->clip)
                                             : 0;
    }
    return SONDE_OK;
}

static void cet_normalise(struct cet_batch *batch, double *weight)
{
    double sum = 0;
    for (int64_t i = 0; i < batch->rows; i++) sum += weight[i];
    for (int64_t i = 0; i < batch->rows; i++) weight[i] *= (double)batch->labelled / sum;
}

static sonde_status cet_weigh(const sonde_row_sampler *sampler, const char *verb,
                              const sonde_array *const *inputs, struct cet_batch *batch)
{
    SONDE_TRY(cet_take(sampler, verb, inputs, batch));
    SONDE_TRY(sonde__parallel_for(sampler->runtime, 0, batch->groups, CET_GRAIN, "weights", cet_weigh_chunk,
                                  batch));
    if (sonde__param_is(sampler->params, "normalise", "yes"))
        for (int side = 0; side < 2; side++) cet_normalise(batch, batch->weight[side]);
    return SONDE_OK;
}

/* ---- drawing ------------------------------------------------------------------------------------------- */

static sonde_status cet_fill(sonde_row_sampler *sampler, const struct cet_batch *batch, const int64_t *ids,
                             int64_t count)
{
    float *selection;
    SONDE_TRY(sonde__rows_begin(sampler, count, true));
    SONDE_TRY(sonde__rows_column(sampler, "selection_weights", count, 1, &selection));
    for (int64_t i = 0, group = 0; i < count; i++) {
        while (i >= batch->begin[group + 1]) group++;
        sampler->drawn.ids[i] = ids ? ids[i] : i;
        sampler->drawn.groups[i] = group;
        sampler->drawn.weights[i] = (float)batch->weight[CET_RELEVANCE][i];
        selection[i] = (float)batch->weight[CET_SELECTION][i];
    }
    return SONDE_OK;
}

static sonde_status cet_draw(sonde_row_sampler *sampler, const sonde_array *const *inputs, int64_t count)
{
    if (!inputs)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "draw: cet weighs a batch; call sonde_row_sampler_draw_for");
    struct cet_batch batch = {0};
    int64_t *ids = NULL;
    const sonde_array *named = inputs[sonde__rows_input(sampler, "draw", "ids")];
    sonde_status status = cet_weigh(sampler, "draw", inputs, &batch);
    if (status == SONDE_OK && named)
        status = sonde__column_i64(sampler->runtime, named, "ids", batch.rows, 0, INT64_MAX, &ids);
    if (status == SONDE_OK)
        status = cet_fill(sampler, &batch, ids, count ? sonde__min_i64(count, batch.rows) : batch.rows);
    sonde__free(sampler->runtime, ids);
    cet_drop(sampler->runtime, &batch);
    return status == SONDE_OK ? SONDE_OK : sonde__fail_within(status, "draw_for");
}

/* ---- the loss ------------------------------------------------------------------------------------------ */

static double cet_side_loss(const struct cet_batch *batch, int side)
{
    double sum = 0;
    for (int64_t i = 0; i < batch->rows; i++)
        if (batch->labels[i]) sum -= batch->weight[side][i] * batch->log_soft[side][i];
    return sum / (double)batch->labelled;
}

/* d / d logit_j = (sum of the group's weights x soft_j - weight_j) / labelled. */
static void cet_side_gradient(const struct cet_batch *batch, int side, const sonde_array *gradient)
{
    for (int64_t group = 0; group < batch->groups; group++) {
        double pull = 0;
        for (int64_t i = batch->begin[group]; i < batch->begin[group + 1]; i++)
            pull += batch->weight[side][i];
        for (int64_t i = batch->begin[group]; i < batch->begin[group + 1]; i++) {
            double down = pull * exp(batch->log_soft[side][i]) - batch->weight[side][i];
            sonde__gradient_set(gradient, i, down / (double)batch->labelled);
        }
    }
}

static sonde_status cet_loss(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                             const sonde_array *const *gradients, double *loss)
{
    struct cet_batch batch = {0};
    sonde_status status = cet_weigh(sampler, "loss", inputs, &batch);
    if (status == SONDE_OK) {
        const sonde_array *relevance = gradients[sonde__rows_input(sampler, "loss", "logits")];
        const sonde_array *selection = gradients[sonde__rows_input(sampler, "loss", "selection_logits")];
        if (relevance) cet_side_gradient(&batch, CET_RELEVANCE, relevance);
        if (selection) cet_side_gradient(&batch, CET_SELECTION, selection);
        *loss = cet_side_loss(&batch, CET_RELEVANCE) + cet_side_loss(&batch, CET_SELECTION);
    }
    cet_drop(sampler->runtime, &batch);
    return status == SONDE_OK ? SONDE_OK : sonde__fail_within(status, "loss");
}

static const sonde__key cet_keys[] = {
    {"clip", SONDE__KEY_REAL, "0.1", 1e-6, 1, NULL, NULL, "least chance that a weight divides by; below 1 / rows of a group"},
    {"normalise", SONDE__KEY_WORD, "yes", 0, 0, "yes|no", NULL,
     "scale the weights of a batch to a mean of 1"},
    {0},
};

#define CET_IDS (SONDE__DTYPE_BIT(SONDE_DTYPE_I64) | SONDE__DTYPE_BIT(SONDE_DTYPE_I32))
#define CET_LABELS (CET_IDS | SONDE__DTYPE_BIT(SONDE_DTYPE_U8) | SONDE__DTYPE_BIT(SONDE_DTYPE_I8))

static const sonde__input_key cet_inputs[] = {
    {"logits", "n x 1", SONDE__DTYPES_NUMERIC, true, "relevance logits of the rows", "draw"},
    {"selection_logits", "n x 1", SONDE__DTYPES_NUMERIC, true, "selection logits of the rows", "draw"},
    {"labels", "n x 1", CET_LABELS, true, "1: labelled relevant, 0: not labelled", "draw"},
    {"group_offsets", "(groups + 1) x 1", CET_IDS, false, "begins of groups, and n; else one group", "draw"},
    {"ids", "n x 1", CET_IDS, false, "names of the rows; else 0, 1, 2, ...", "draw"},
    {"logits", "n x 1", SONDE__DTYPES_NUMERIC, true, "relevance logits of the rows", "loss"},
    {"selection_logits", "n x 1", SONDE__DTYPES_NUMERIC, true, "selection logits of the rows", "loss"},
    {"labels", "n x 1", CET_LABELS, true, "1: labelled relevant, 0: not labelled", "loss"},
    {"group_offsets", "(groups + 1) x 1", CET_IDS, false, "begins of groups, and n; else one group", "loss"},
    {0},
};

static const sonde__output_key cet_outputs[] = {
    {"selection_weights", "count x 1", SONDE_DTYPE_F32,
     "weights v of the rows in the loss of the selection model"},
    {0},
};

const sonde__row_method sonde__row_sampler_cet = {
    .method = {"cet", "weights against pooling bias: the inverse chance that a labelled row was selected",
               "Cai et al., CIKM 2022", cet_keys, cet_inputs, NULL, cet_outputs},
    .create = cet_create,
    .draw = cet_draw,
    .loss = cet_loss,
};
