/* mnar.c: unbiased weights for implicit feedback that is missing not at random (Rel-MF).
 *
 * A vote needs exposure and relevance: Y = O R, with the propensity theta = P(O = 1). With l1 the loss of a
 * row as a positive and l0 as a negative,
 *
 *   L = mean over rows of  (Y / theta) l1 + (1 - Y / theta) l0
 *
 * has over the draws of O the same mean as the loss on fully known relevance R. An item's propensity is
 * taken from how many positives it has, theta = (count / largest count)^eta, or given. It is clipped from
 * below: max(theta, clip) trades variance for bias; clip=1 is plain training. Items without a positive get
 * theta = clip.
 *
 *   loss=squared   l1 = (1 - sigmoid z)^2, l0 = sigmoid(z)^2         bounded, the authors' choice
 *   loss=log       l1 = -log sigmoid z,    l0 = -log(1 - sigmoid z)  no lower bound, as 1 - 1 / theta < 0
 *
 * A draw gives the rows of the batch; the weight belongs to the loss with the row's own label (1 / theta for
 * a labelled row, else 1), "opposite_weights" to that with the other label (1 - 1 / theta, else 0).
 *
 * Source: Saito, Yaginuma, Nishino, Sakata, Nakata, "Unbiased Recommender Learning from
 * Missing-Not-At-Random Implicit Feedback", WSDM 2020. Cost: O(items) to fit, O(rows) a batch; 4 or 12 bytes
 * an item.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "base/handle.h"
#include "rows/rows.h"

enum { MNAR_GRAIN = 16384 };

struct mnar_items {
    int64_t count;
    int64_t *positives; /* of each item; NULL where propensities were given */
    float *theta;       /* unclipped, 0 for an item without positives */
    double eta;
    int64_t most; /* the largest count */
};

static void mnar_forget(sonde_runtime *runtime, struct mnar_items *items)
{
    if (!items) return;
    sonde__free(runtime, items->positives);
    sonde__free(runtime, items->theta);
    sonde__free(runtime, items);
}

static void mnar_drop(sonde_row_sampler *sampler) { mnar_forget(sampler->runtime, sampler->state); }

static sonde_status mnar_create(sonde_row_sampler *sampler)
{
    sampler->batch = 0; /* the whole batch */
    return SONDE_OK;
}

/* ---- fitting ------------------------------------------------------------------------------------------- */

static sonde_status mnar_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    struct mnar_items *items = context;
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        items->theta[i] = items->positives[i] > 0
                              ? (float)pow((double)items->positives[i] / (double)items->most, items->eta)
                              : 0;
    return SONDE_OK;
}

/* Takes both arrays over, also on failure; one of them is NULL. */
static sonde_status mnar_adopt(sonde_row_sampler *sampler, int64_t count, int64_t *positives, float *theta)
{
    sonde_runtime *runtime = sampler->runtime;
    struct mnar_items made = {count, positives, theta, sonde__param_real(sampler->params, "eta"), 1},
                      *items = NULL;
    sonde_status status = SONDE_OK;
    for (int64_t i = 0; positives && i < count; i++) made.most = sonde__max_i64(made.most, positives[i]);
    if (positives) status = SONDE_NEW(runtime, made.theta, count);
    else status = sonde__poll(runtime, "propensities", 0, (uint64_t)count);
    if (status == SONDE_OK && positives)
        status = sonde__parallel_for(runtime, 0, count, MNAR_GRAIN, "propensities", mnar_chunk, &made);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, items, 1);
    if (status != SONDE_OK) {
        sonde__free(runtime, made.positives);
        sonde__free(runtime, made.theta);
        return status;
    }
    *items = made;
    mnar_forget(runtime, sampler->state);
    sampler->state = items;
    return SONDE_OK;
}

/* The least positive float: a propensity is above 0. */
#define MNAR_LEAST 0x1p-149f

static sonde_status mnar_fit(sonde_row_sampler *sampler, const sonde_array *const *inputs)
{
    const sonde_array *counts = inputs[sonde__rows_input(sampler, "fit", "counts")];
    const sonde_array *given = inputs[sonde__rows_input(sampler, "fit", "propensities")];
    int64_t *positives = NULL;
    float *theta = NULL;
    if (!counts == !given)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "fit: mnar takes either counts or propensities");
    int64_t count = counts ? counts->rows : given->rows;
    SONDE_TRY(sonde__rows_fit_check(counts ? "counts" : "propensities", count, 1));
    if (counts)
        SONDE_TRY(sonde__column_i64(sampler->runtime, counts, "fit: counts", -1, 0, INT64_MAX, &positives));
    else
        SONDE_TRY(sonde__column_f32(sampler->runtime, given, "fit: propensities", -1, MNAR_LEAST, 1, &theta));
    return mnar_adopt(sampler, count, positives, theta);
}

/* ---- a batch ------------------------------------------------------------------------------------------- */

struct mnar_batch {
    int64_t rows;
    int64_t *items, *labels;
    const float *theta; /* of all items */
    double clip;
    bool squared;
};

static void mnar_drop_batch(sonde_runtime *runtime, struct mnar_batch *batch)
{
    sonde__free(runtime, batch->items);
    sonde__free(runtime, batch->labels);
}

static sonde_status mnar_take(const sonde_row_sampler *sampler, const char *verb,
                              const sonde_array *const *inputs, struct mnar_batch *batch)
{
    const struct mnar_items *known = sampler->state;
    const sonde_array *items = inputs[sonde__rows_input(sampler, verb, "items")];
    const sonde_array *labels = inputs[sonde__rows_input(sampler, verb, "labels")];
    batch->rows = items->rows;
    batch->theta = known->theta;
    batch->clip = sonde__param_real(sampler->params, "clip");
    batch->squared = sonde__param_is(sampler->params, "loss", "squared");
    if (batch->rows < 1) return sonde__fail(SONDE_INVALID_ARGUMENT, "items has 0 rows, expected 1 or more");
    SONDE_TRY(sonde__column_i64(sampler->runtime, items, "items", -1, 0, known->count - 1, &batch->items));
    return sonde__column_i64(sampler->runtime, labels, "labels", batch->rows, 0, 1, &batch->labels);
}

static double mnar_theta(const struct mnar_batch *batch, int64_t row)
{
    return fmax(batch->theta[batch->items[row]], batch->clip);
}

static sonde_status mnar_fill(sonde_row_sampler *sampler, const struct mnar_batch *batch, const int64_t *ids,
                              int64_t count)
{
    float *theta, *opposite;
    SONDE_TRY(sonde__rows_begin(sampler, count, false));
    SONDE_TRY(sonde__rows_column(sampler, "propensities", count, 1, &theta));
    SONDE_TRY(sonde__rows_column(sampler, "opposite_weights", count, 1, &opposite));
    for (int64_t i = 0; i < count; i++) {
        double chance = mnar_theta(batch, i);
        sampler->drawn.ids[i] = ids ? ids[i] : i;
        theta[i] = (float)chance;
        if (!batch->labels[i]) continue;
        sampler->drawn.weights[i] = (float)(1 / chance);
        opposite[i] = (float)(1 - 1 / chance);
    }
    return SONDE_OK;
}

static sonde_status mnar_draw(sonde_row_sampler *sampler, const sonde_array *const *inputs, int64_t count)
{
    if (!inputs)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "draw: mnar weighs a batch; call sonde_row_sampler_draw_for");
    struct mnar_batch batch = {0};
    int64_t *ids = NULL;
    const sonde_array *named = inputs[sonde__rows_input(sampler, "draw", "ids")];
    sonde_status status = mnar_take(sampler, "draw", inputs, &batch);
    if (status == SONDE_OK && named)
        status = sonde__column_i64(sampler->runtime, named, "ids", batch.rows, 0, INT64_MAX, &ids);
    if (status == SONDE_OK)
        status = mnar_fill(sampler, &batch, ids, count ? sonde__min_i64(count, batch.rows) : batch.rows);
    sonde__free(sampler->runtime, ids);
    mnar_drop_batch(sampler->runtime, &batch);
    return status == SONDE_OK ? SONDE_OK : sonde__fail_within(status, "draw_for");
}

/* ---- the loss ------------------------------------------------------------------------------------------ */

/* Loss and slope by the logit. */
struct mnar_terms {
    double loss, slope;
};

/* Of one row; hit = sigmoid z. Both exponentials shrink, so no logit overflows. */
static struct mnar_terms mnar_row(double z, double share, bool squared)
{
    double small = exp(-fabs(z)), large = 1 / (1 + small);
    double hit = z < 0 ? small * large : large, miss = z < 0 ? large : small * large;
    if (squared)
        return (struct mnar_terms){share * miss * miss + (1 - share) * hit * hit,
                                   2 * hit * miss * ((1 - share) * hit - share * miss)};
    return (struct mnar_terms){log1p(small) + (z < 0 ? -share * z : (1 - share) * z), hit - share};
}

struct mnar_work {
    const struct mnar_batch *batch;
    const float *logits;
    struct mnar_terms *terms;
};

static sonde_status mnar_loss_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct mnar_work *work = context;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        double share = work->batch->labels[i] ? 1 / mnar_theta(work->batch, i) : 0;
        work->terms[i] = mnar_row(work->logits[i], share, work->batch->squared);
    }
    return SONDE_OK;
}

static double mnar_mean(const struct mnar_work *work, int64_t rows, const sonde_array *gradient)
{
    double sum = 0;
    for (int64_t i = 0; i < rows; i++) sum += work->terms[i].loss;
    for (int64_t i = 0; gradient && i < rows; i++)
        sonde__gradient_set(gradient, i, work->terms[i].slope / (double)rows);
    return sum / (double)rows;
}

static sonde_status mnar_loss(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                              const sonde_array *const *gradients, double *loss)
{
    if (!sampler->state)
        return sonde__fail(SONDE_STATE, "loss: mnar is not fitted; call sonde_row_sampler_fit first");
    sonde_runtime *runtime = sampler->runtime;
    struct mnar_batch batch = {0};
    struct mnar_work work = {.batch = &batch};
    float *logits = NULL;
    int row = sonde__rows_input(sampler, "loss", "logits");
    sonde_status status = mnar_take(sampler, "loss", inputs, &batch);
    if (status == SONDE_OK)
        status = sonde__matrix_f32(runtime, inputs[row], "logits", batch.rows, 1, &logits);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, work.terms, batch.rows);
    work.logits = logits;
    if (status == SONDE_OK)
        status = sonde__parallel_for(runtime, 0, batch.rows, MNAR_GRAIN, "loss", mnar_loss_chunk, &work);
    if (status == SONDE_OK) *loss = mnar_mean(&work, batch.rows, gradients[row]);
    sonde__free(runtime, logits);
    sonde__free(runtime, work.terms);
    mnar_drop_batch(runtime, &batch);
    return status == SONDE_OK ? SONDE_OK : sonde__fail_within(status, "loss");
}

/* ---- shards and files ---------------------------------------------------------------------------------- */

/* The items of `from` come behind those of `into`; the largest count is that of all. */
static sonde_status mnar_merge(sonde_row_sampler *into, const sonde_row_sampler *from)
{
    const struct mnar_items *a = into->state, *b = from->state;
    int64_t *positives = NULL;
    float *theta = NULL;
    SONDE_TRY(sonde__merge_count("items", a->count, b->count));
    if (!a->positives != !b->positives)
        return sonde__fail(SONDE_INCOMPATIBLE,
                           "merge: one sampler was fitted on counts, the other on propensities");
    SONDE_TRY(sonde__column_join(into->runtime, a->positives, a->count, b->positives, b->count,
                                 sizeof *positives, &positives));
    if (!positives) /* fitted on propensities */
        SONDE_TRY(sonde__column_join(into->runtime, a->theta, a->count, b->theta, b->count, sizeof *theta,
                                     &theta));
    return mnar_adopt(into, a->count + b->count, positives, theta);
}

static sonde_status mnar_save(const sonde_row_sampler *sampler, sonde__writer *writer)
{
    const struct mnar_items *items = sampler->state;
    uint64_t count = (uint64_t)items->count;
    SONDE_TRY(sonde__write_int(writer, "items", items->count));
    SONDE_TRY(sonde__write_int(writer, "counted", items->positives != NULL));
    if (items->positives)
        return sonde__write_array(writer, "COUNTS", items->positives, count, sizeof(int64_t));
    return sonde__write_array(writer, "THETA", items->theta, count, sizeof(float));
}

static sonde_status mnar_check_theta(const float *theta, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (!(theta[i] > 0 && theta[i] <= 1))
            return sonde__fail(SONDE_CORRUPT,
                               "section \"THETA\": the propensity of item %lld is %g, outside (0, 1]",
                               (long long)i, (double)theta[i]);
    return SONDE_OK;
}

static sonde_status mnar_load(sonde_row_sampler *sampler, sonde__reader *reader)
{
    sonde_runtime *runtime = sampler->runtime;
    int64_t count, counted, *positives = NULL;
    float *theta = NULL;
    SONDE_TRY(sonde__read_int(reader, "items", 1, SONDE__ROWS_MOST, &count));
    SONDE_TRY(sonde__read_int(reader, "counted", 0, 1, &counted));
    if (counted) {
        SONDE_TRY(sonde__numbers_read(runtime, reader, "COUNTS", count, 0, INT64_MAX, &positives));
        return mnar_adopt(sampler, count, positives, NULL);
    }
    SONDE_TRY(sonde__handle_floats(runtime, reader, "THETA", (uint64_t)count, &theta));
    sonde_status status = mnar_check_theta(theta, count);
    if (status == SONDE_OK) return mnar_adopt(sampler, count, NULL, theta);
    sonde__free(runtime, theta);
    return status;
}

static const sonde__key mnar_keys[] = {
    {"clip", SONDE__KEY_REAL, "0.1", 1e-6, 1, NULL, NULL, "least propensity; 1: plain training"},
    {"eta", SONDE__KEY_REAL, "0.5", 0, 10, NULL, NULL, "exponent of (count / largest count); 1 where counts follow exposure alone"},
    {"loss", SONDE__KEY_WORD, "squared", 0, 0, "squared|log", NULL,
     "loss of a row; log has no lower bound here"},
    {0},
};

#define MNAR_IDS (SONDE__DTYPE_BIT(SONDE_DTYPE_I64) | SONDE__DTYPE_BIT(SONDE_DTYPE_I32))
#define MNAR_LABELS (MNAR_IDS | SONDE__DTYPE_BIT(SONDE_DTYPE_U8) | SONDE__DTYPE_BIT(SONDE_DTYPE_I8))

static const sonde__input_key mnar_inputs[] = {
    {"counts", "items x 1", MNAR_IDS, false, "positives of each item", "fit"},
    {"propensities", "items x 1", SONDE__DTYPES_NUMERIC, false,
     "instead of counts: chances of exposure, in (0, 1]", "fit"},
    {"items", "n x 1", MNAR_IDS, true, "the item of each row", "draw"},
    {"labels", "n x 1", MNAR_LABELS, true, "1: voted for, 0: no vote", "draw"},
    {"ids", "n x 1", MNAR_IDS, false, "names of the rows; else 0, 1, 2, ...", "draw"},
    {"items", "n x 1", MNAR_IDS, true, "the item of each row", "loss"},
    {"labels", "n x 1", MNAR_LABELS, true, "1: voted for, 0: no vote", "loss"},
    {"logits", "n x 1", SONDE__DTYPES_NUMERIC, true, "logits of being relevant", "loss"},
    {0},
};

static const sonde__output_key mnar_outputs[] = {
    {"propensities", "count x 1", SONDE_DTYPE_F32, "clipped propensity of the row's item"},
    {"opposite_weights", "count x 1", SONDE_DTYPE_F32,
     "weight of the row's loss with the other label; 0 or negative"},
    {0},
};

const sonde__row_method sonde__row_sampler_mnar = {
    .method = {"mnar", "weights by the inverse chance of exposure, for votes missing not at random",
               "Saito et al., WSDM 2020", mnar_keys, mnar_inputs, NULL, mnar_outputs},
    .create = mnar_create,
    .fit = mnar_fit,
    .draw = mnar_draw,
    .loss = mnar_loss,
    .merge = mnar_merge,
    .save = mnar_save,
    .load = mnar_load,
    .drop = mnar_drop,
};
