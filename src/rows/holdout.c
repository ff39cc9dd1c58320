/* holdout.c: a holdout set that can be asked again and again without being overfitted (Thresholdout).
 *
 * Who chooses the next question by the holdout's last answer soon fits the holdout. Thresholdout answers a
 * question, the mean of a function of a row with values in 0..1, from the training rows as long as the
 * holdout agrees within a noisy threshold; only where it does not, it gives the holdout's mean, with noise,
 * and takes one from the budget:
 *
 *   T' = threshold + Lap(2 sigma)
 *   each question: overfit = |holdout - training| > T' + Lap(4 sigma)
 *     overfit: answer holdout + Lap(sigma), budget - 1, T' = threshold + Lap(2 sigma) with fresh noise
 *     else:    answer training
 *
 * Questions that find no overfitting cost nothing, so there may be very many of them. With the budget spent
 * there are no answers more.
 *
 * Source: Dwork, Feldman, Hardt, Pitassi, Reingold, Roth, "The reusable holdout: preserving validity in
 * adaptive data analysis", Science 349, 2015, and "Generalization in adaptive data analysis and holdout
 * reuse", NIPS 2015.
 *
 * Draws give the split, in a pass over all rows in random order: group 0 = training, 1 = holdout, with
 * round(share * n) rows of holdout. Every pass has the same split. `observe` asks: either `values`, the
 * function at every row (n x q for q questions, rows as in fit), or means that the caller has taken. Outputs:
 * answers (NaN where the budget is spent) and verdicts (0 = training's, 1 = overfit, the holdout's with
 * noise, -1 = budget spent). Questions are numbered, and their noise depends on the number and the seed,
 * which must be kept from whoever asks; seek does not take questions back, fit does.
 *
 * Cost: O(n) a question asked by values; 4 bytes a row, 8 more where fit gave ids, 4 more while a pass lasts.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "rows/rows.h"

enum { HOLDOUT_STREAM_SPLIT = 0x401d1, HOLDOUT_STREAM_ORDER, HOLDOUT_STREAM_LEVEL, HOLDOUT_STREAM_QUESTION };

struct holdout_state {
    int64_t rows, held;   /* held: of them in the holdout */
    int64_t asked, spent; /* questions so far, and those that found overfitting */
    int64_t *ids;         /* NULL: 0 .. rows-1 */
    uint32_t *split;      /* all rows: the first `held` are the holdout */
    sonde__order order;   /* positions in split */
};

static void holdout_forget(sonde_runtime *runtime, struct holdout_state *state)
{
    if (!state) return;
    sonde__free(runtime, state->ids);
    sonde__free(runtime, state->split);
    sonde__free(runtime, state->order.numbers);
    sonde__free(runtime, state);
}

static void holdout_drop(sonde_row_sampler *sampler)
{
    holdout_forget(sampler->runtime, sampler->state);
}

/* ---- the split ----------------------------------------------------------------------------------------- */

/* The split depends on seed and number of rows only. */
static sonde_status holdout_split(sonde_row_sampler *sampler, struct holdout_state *state)
{
    SONDE_TRY(SONDE_NEW(sampler->runtime, state->split, state->rows));
    sonde__rows_permute(sampler, 0, HOLDOUT_STREAM_SPLIT, state->rows, state->split);
    state->held = (int64_t)floor(sonde__param_real(sampler->params, "share") * (double)state->rows + 0.5);
    if (state->held >= 1 && state->held < state->rows) return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT,
                       "reusable_holdout: share=%g of %lld rows leaves one part empty",
                       sonde__param_real(sampler->params, "share"), (long long)state->rows);
}

/* Takes the ids over, also where it fails. */
static sonde_status holdout_build(sonde_row_sampler *sampler, int64_t rows, int64_t *ids)
{
    struct holdout_state *state;
    sonde_status status = SONDE_NEW_ZERO(sampler->runtime, state, 1);
    if (status != SONDE_OK) {
        sonde__free(sampler->runtime, ids);
        return status;
    }
    state->rows = rows;
    state->ids = ids;
    if (rows > 0) status = holdout_split(sampler, state);
    if (status != SONDE_OK) {
        holdout_forget(sampler->runtime, state);
        return status;
    }
    holdout_forget(sampler->runtime, sampler->state);
    sampler->state = state;
    return SONDE_OK;
}

/* Questions by means need no rows, so that a sampler without any can be asked. */
static sonde_status holdout_create(sonde_row_sampler *sampler)
{
    sampler->batch = sonde__param_int(sampler->params, "batch");
    sampler->fitted = true;
    return holdout_build(sampler, sonde__param_int(sampler->params, "rows"), NULL);
}

static sonde_status holdout_fit(sonde_row_sampler *sampler, const sonde_array *const *inputs)
{
    const sonde_array *given = inputs[sonde__rows_input(sampler, "fit", "ids")];
    int64_t *ids = NULL;
    SONDE_TRY(sonde__rows_fit_check("ids", given->rows, 2));
    SONDE_TRY(sonde__column_i64(sampler->runtime, given, "fit: ids", -1, 0, INT64_MAX, &ids));
    return holdout_build(sampler, given->rows, ids);
}

static sonde_status holdout_draw(sonde_row_sampler *sampler, const sonde_array *const *inputs, int64_t count)
{
    (void)inputs;
    struct holdout_state *state = sampler->state;
    if (state->rows == 0)
        return sonde__fail(SONDE_STATE, "draw: reusable_holdout has no rows; give rows=N or fit ids");
    SONDE_TRY(sonde__rows_order(sampler, HOLDOUT_STREAM_ORDER, state->rows, &state->order));
    count = sonde__min_i64(count, sonde__max_i64(0, state->rows - sampler->place));
    SONDE_TRY(sonde__rows_begin(sampler, count, true));
    for (int64_t i = 0; i < count; i++) {
        uint32_t position = state->order.numbers[sampler->place + i], row = state->split[position];
        sampler->drawn.ids[i] = state->ids ? state->ids[row] : (int64_t)row;
        sampler->drawn.groups[i] = (int64_t)position < state->held;
    }
    sampler->drawn.last = sampler->place + count == state->rows;
    return SONDE_OK;
}

/* ---- questions ----------------------------------------------------------------------------------------- */

/* The difference of two exponential variables is Laplace's. */
static double holdout_laplace(sonde__rng *rng, double scale)
{
    double a = 1 - sonde__rng_unit(rng), b = 1 - sonde__rng_unit(rng);
    return scale * (log(b) - log(a));
}

/* The threshold's noise stays from one overfit answer to the next. */
static double holdout_level(const sonde_row_sampler *sampler, int64_t spent)
{
    sonde__rng rng;
    sonde__rows_rng(sampler, 0, HOLDOUT_STREAM_LEVEL, (uint64_t)spent, &rng);
    return sonde__param_real(sampler->params, "threshold") +
           holdout_laplace(&rng, 2 * sonde__param_real(sampler->params, "sigma"));
}

/* Answers one question and counts it. */
static int64_t holdout_answer(const sonde_row_sampler *sampler, struct holdout_state *count, double training,
                              double held, float *answer)
{
    double sigma = sonde__param_real(sampler->params, "sigma");
    sonde__rng rng;
    sonde__rows_rng(sampler, 0, HOLDOUT_STREAM_QUESTION, (uint64_t)count->asked++, &rng);
    *answer = NAN;
    if (count->spent >= sonde__param_int(sampler->params, "budget")) return -1;
    double level = holdout_level(sampler, count->spent) + holdout_laplace(&rng, 4 * sigma);
    if (!(fabs(held - training) > level)) {
        *answer = (float)training;
        return 0;
    }
    *answer = (float)(held + holdout_laplace(&rng, sigma));
    count->spent++;
    return 1;
}

/* The means of both parts for each question. */
struct holdout_means {
    int64_t questions;
    double *training, *held;
};

static sonde_status holdout_average(const sonde_row_sampler *sampler, const float *values,
                                    struct holdout_means *means)
{
    const struct holdout_state *state = sampler->state;
    int64_t count = means->questions;
    memset(means->training, 0, (size_t)count * sizeof *means->training);
    memset(means->held, 0, (size_t)count * sizeof *means->held);
    for (int64_t i = 0; i < state->rows; i++) {
        const float *value = values + (int64_t)state->split[i] * count;
        double *sum = i < state->held ? means->held : means->training;
        for (int64_t q = 0; q < count; q++) {
            if (!(value[q] >= 0 && value[q] <= 1))
                return sonde__fail(SONDE_INVALID_ARGUMENT, "observe: values: row %lld holds %g, outside 0..1",
                                   (long long)state->split[i], (double)value[q]);
            sum[q] += (double)value[q];
        }
        if (i % 4096 == 0) SONDE_TRY(sonde__poll(sampler->runtime, "reusable_holdout: means", (uint64_t)i,
                                                 (uint64_t)state->rows));
    }
    for (int64_t q = 0; q < count; q++) {
        means->held[q] /= (double)state->held;
        means->training[q] /= (double)(state->rows - state->held);
    }
    return SONDE_OK;
}

static sonde_status holdout_means_of(const sonde_row_sampler *sampler, const sonde_array *values,
                                     sonde__scratch *scratch, struct holdout_means *means)
{
    const struct holdout_state *state = sampler->state;
    float *packed = NULL;
    means->questions = values->cols;
    if (state->rows == 0)
        return sonde__fail(SONDE_STATE, "observe: values need rows; give rows=N or fit ids, or ask by means");
    SONDE_TRY(SONDE_SCRATCH(scratch, means->training, means->questions));
    SONDE_TRY(SONDE_SCRATCH(scratch, means->held, means->questions));
    SONDE_TRY(sonde__matrix_f32(sampler->runtime, values, "observe: values", state->rows, 0, &packed));
    sonde_status status = holdout_average(sampler, packed, means);
    sonde__free(sampler->runtime, packed);
    return status;
}

static sonde_status holdout_read_means(const sonde_row_sampler *sampler, const sonde_array *array,
                                       const char *what, sonde__scratch *scratch, double **means)
{
    float *read = NULL;
    SONDE_TRY(SONDE_SCRATCH(scratch, *means, array->rows));
    SONDE_TRY(sonde__column_f32(sampler->runtime, array, what, -1, 0, 1, &read));
    for (int64_t q = 0; q < array->rows; q++) (*means)[q] = (double)read[q];
    sonde__free(sampler->runtime, read);
    return SONDE_OK;
}

static sonde_status holdout_question(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                                     sonde__scratch *scratch, struct holdout_means *means)
{
    const sonde_array *values = inputs[sonde__rows_input(sampler, "observe", "values")];
    const sonde_array *training = inputs[sonde__rows_input(sampler, "observe", "training_means")];
    const sonde_array *held = inputs[sonde__rows_input(sampler, "observe", "holdout_means")];
    if (!training != !held || !values == !training)
        return sonde__fail(
            SONDE_INVALID_ARGUMENT,
            "observe: reusable_holdout takes either values, or training_means and holdout_means");
    if (values) return holdout_means_of(sampler, values, scratch, means);
    if (held->rows != training->rows)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "observe: training_means has %lld rows, holdout_means %lld",
                           (long long)training->rows, (long long)held->rows);
    means->questions = training->rows;
    SONDE_TRY(holdout_read_means(sampler, training, "observe: training_means", scratch, &means->training));
    return holdout_read_means(sampler, held, "observe: holdout_means", scratch, &means->held);
}

static sonde_status holdout_ask(sonde_row_sampler *sampler, const struct holdout_means *means)
{
    struct holdout_state *state = sampler->state;
    float *answers;
    int64_t *verdicts;
    SONDE_TRY(sonde__rows_column(sampler, "answers", means->questions, 1, &answers));
    SONDE_TRY(sonde__rows_column(sampler, "verdicts", means->questions, 1, &verdicts));
    for (int64_t q = 0; q < means->questions; q++)
        verdicts[q] = holdout_answer(sampler, state, means->training[q], means->held[q], &answers[q]);
    return SONDE_OK;
}

static sonde_status holdout_observe(sonde_row_sampler *sampler, const sonde_array *const *inputs)
{
    struct holdout_means means = {0};
    sonde__scratch *scratch;
    SONDE_TRY(sonde__scratch_take(sampler->runtime, &scratch));
    sonde_status status = holdout_question(sampler, inputs, scratch, &means);
    if (status == SONDE_OK) status = holdout_ask(sampler, &means);
    sonde__scratch_give(sampler->runtime, scratch);
    return status;
}

/* ---- files --------------------------------------------------------------------------------------------- */

static sonde_status holdout_save(const sonde_row_sampler *sampler, sonde__writer *writer)
{
    const struct holdout_state *state = sampler->state;
    SONDE_TRY(sonde__write_int(writer, "rows", state->rows));
    SONDE_TRY(sonde__write_int(writer, "asked", state->asked));
    SONDE_TRY(sonde__write_int(writer, "spent", state->spent));
    return sonde__ids_write(writer, state->ids, state->rows);
}

static sonde_status holdout_load(sonde_row_sampler *sampler, sonde__reader *reader)
{
    int64_t rows, asked, spent, *ids;
    SONDE_TRY(sonde__read_int(reader, "rows", 0, SONDE__ROWS_MOST, &rows));
    SONDE_TRY(sonde__read_int(reader, "asked", 0, INT64_MAX / 2, &asked));
    SONDE_TRY(sonde__read_int(reader, "spent", 0, asked, &spent));
    if (rows > 0 ? sampler->place >= rows : sampler->place > 0)
        return sonde__fail(SONDE_CORRUPT, "the place %lld is not among %lld rows", (long long)sampler->place,
                           (long long)rows);
    SONDE_TRY(sonde__ids_read(sampler->runtime, reader, rows, &ids));
    sonde_status status = holdout_build(sampler, rows, ids);
    if (status == SONDE_INVALID_ARGUMENT)
        return sonde__fail(SONDE_CORRUPT, "%lld rows cannot be split", (long long)rows);
    SONDE_TRY(status);
    struct holdout_state *state = sampler->state;
    state->asked = asked;
    state->spent = spent;
    return SONDE_OK;
}

static const sonde__key holdout_keys[] = {
    {"rows", SONDE__KEY_INT, "0", 0, 4294967295.0, NULL, NULL,
     "split 0..rows-1 without fitting; 0: fit gives ids"},
    {"share", SONDE__KEY_REAL, "0.5", 0, 1, NULL, NULL, "of the rows, for the holdout"},
    {"threshold", SONDE__KEY_REAL, "0.04", 0, 1, NULL, NULL,
     "difference of the means that counts as overfitting"},
    {"sigma", SONDE__KEY_REAL, "0.01", 0, 1, NULL, NULL, "scale of the noise: 2 sigma, 4 sigma and sigma"},
    {"budget", SONDE__KEY_INT, "100", 0, 9007199254740992.0, NULL, NULL,
     "overfit answers until there are no more"},
    {"batch", SONDE__KEY_INT, "1", 1, 4294967295.0, NULL, NULL, "rows of a draw that does not say how many"},
    {0},
};

static const sonde__input_key holdout_inputs[] = {
    {"ids", "n x 1", SONDE__DTYPE_BIT(SONDE_DTYPE_I64) | SONDE__DTYPE_BIT(SONDE_DTYPE_I32), true,
     "the rows to split", "fit"},
    {"values", "n x q", SONDE__DTYPES_NUMERIC, false,
     "q questions: a function with values in 0..1 at every row", "observe"},
    {"training_means", "q x 1", SONDE__DTYPES_NUMERIC, false, "q questions: the means over the training rows",
     "observe"},
    {"holdout_means", "q x 1", SONDE__DTYPES_NUMERIC, false, "and over the holdout's", "observe"},
    {0},
};

static const sonde__output_key holdout_outputs[] = {
    {"answers", "q x 1", SONDE_DTYPE_F32, "of the last observation; NaN where the budget is spent"},
    {"verdicts", "q x 1", SONDE_DTYPE_I64, "0 = training's mean, 1 = overfit, -1 = budget spent"},
    {0},
};

const sonde__row_method sonde__row_sampler_reusable_holdout = {
    .method = {"reusable_holdout", "a holdout that answers many questions without being overfitted",
               "Thresholdout: Dwork et al. 2015", holdout_keys, holdout_inputs, NULL, holdout_outputs},
    .create = holdout_create,
    .fit = holdout_fit,
    .draw = holdout_draw,
    .observe = holdout_observe,
    .save = holdout_save,
    .load = holdout_load,
    .drop = holdout_drop,
};
