/* adore.c: ADORE: the negatives that the queries meet now, searched at every draw, and the loss that weighs each pair
 * by what it would change in the ranking.
 *
 * Documents stand still and have one index; the embedding of queries is trained. A draw searches its queries: those
 * of draw_for as they are embedded at this step, in a plain draw the fitted (or last observed) ones. A query's rows
 * are its negatives in the order of the search, nearest first, all that come before the `depth`-th; nothing is random
 * but which positive goes with them.
 *
 * The whole list of a query, with its positives, is in the outputs "candidates" and "labels", one row for each query
 * of the draw in order of its first row: the first `depth` hits, label 1 for positives, 0 for others; where none of
 * them is a positive, all positives follow behind. -1 pads both. The place in this list, from 1, is the rank k, and
 *     a_k = 1/k for k <= cut, else 0      w_ij = |a_i - a_j|
 * The weight of a drawn row is w of the drawn positive (one of those labelled 1) and the negative.
 *
 * Loss, for candidates' vectors D, scores s = D q, P pairs of a positive i and another j:
 *     (1/P) sum over pairs of w_ij log(1 + exp(-sigma (s_i - s_j))), mean over the queries; 0 for a query without
 * positives with its derivative by the queries.
 *
 * Source: Zhan, Mao, Liu, Guo, Zhang, Ma 2021 (SIGIR); cut=none is no cut (in the authors' program it zeroes the
 * loss). Cost: a draw one search with k = depth + positives; a loss O(depth dim) a query and O(1) a pair.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "kernels/kernels.h"
#include "rows/negatives.h"

static sonde__negatives_plan adore_plan(const sonde_row_sampler *sampler)
{
    int64_t depth = sonde__param_int(sampler->params, "depth");
    return (sonde__negatives_plan){.each = depth, .depth = depth, .searched = true, .needs_right = true};
}

static sonde_status adore_create(sonde_row_sampler *sampler)
{
    (void)sampler; /* the table of keys has checked all there is */
    return SONDE_OK;
}

static sonde_status adore_fit(sonde_row_sampler *sampler, const sonde_array *const *inputs)
{
    sonde__negatives_plan plan = adore_plan(sampler);
    return sonde__negatives_fit(sampler, inputs, &plan);
}

static sonde_status adore_load(sonde_row_sampler *sampler, sonde__reader *reader)
{
    sonde__negatives_plan plan = adore_plan(sampler);
    return sonde__negatives_load(sampler, reader, &plan);
}

/* a_k: what a document at rank k, from 1, adds to the measure. */
static double adore_gain(int64_t cut, int64_t rank) { return cut > 0 && rank > cut ? 0 : 1 / (double)rank; }

/* ---- drawing ------------------------------------------------------------------------------------------------- */

struct adore_lists {
    int64_t depth, width, cut; /* cut 0: none */
    int64_t *candidates;
    int32_t *labels;
};

static bool adore_right(const sonde__negatives_query *query, int64_t id)
{
    int64_t low = 0, high = query->positive_count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (query->positives[middle] == id) return true;
        if (query->positives[middle] < id) low = middle + 1;
        else high = middle;
    }
    return false;
}

/* Writes the query's candidates and labels; returns how many candidates are positives. */
static int64_t adore_candidates(const sonde__negatives_query *query, const struct adore_lists *lists)
{
    int64_t *candidate = lists->candidates + query->at * lists->width, right = 0, count = 0;
    int32_t *label = lists->labels + query->at * lists->width;
    for (; count < query->length && count < lists->depth; count++) {
        candidate[count] = query->list[count];
        label[count] = adore_right(query, candidate[count]);
        right += label[count];
    }
    if (right == 0)
        for (; right < query->positive_count; right++, count++) {
            candidate[count] = query->positives[right];
            label[count] = 1;
        }
    for (; count < lists->width; count++) candidate[count] = label[count] = -1;
    return right;
}

/* The rank of the number-th positive among the candidates. */
static int64_t adore_rank(const struct adore_lists *lists, int64_t at, int64_t number)
{
    const int32_t *label = lists->labels + at * lists->width;
    int64_t rank = 0;
    while (number >= 0) number -= label[rank++] == 1;
    return rank;
}

static sonde_status adore_choose(sonde_row_sampler *sampler, sonde__negatives_query *query, int64_t each,
                                 sonde__negative *rows, int64_t *positive, void *context)
{
    const struct adore_lists *lists = context;
    int64_t right = adore_candidates(query, lists), drawn = 0;
    double gain = 0;
    (void)sampler;
    *positive = -1;
    if (right > 0) {
        int64_t rank = adore_rank(lists, query->at, (int64_t)sonde__rng_below(&query->rng, (uint64_t)right));
        *positive = lists->candidates[query->at * lists->width + rank - 1];
        gain = adore_gain(lists->cut, rank);
    }
    for (int64_t i = 0; i < query->length && drawn < sonde__min_i64(each, lists->depth); i++) {
        if (adore_right(query, query->list[i])) continue;
        double weight = right > 0 ? fabs(gain - adore_gain(lists->cut, i + 1)) : 1;
        rows[drawn++] = (sonde__negative){.id = query->list[i], .rank = (int32_t)(i + 1), .weight = (float)weight};
    }
    return SONDE_OK;
}

static sonde_status adore_draw(sonde_row_sampler *sampler, const sonde_array *const *inputs, int64_t count)
{
    sonde__negatives_batch batch;
    struct adore_lists lists = {.depth = sonde__param_int(sampler->params, "depth"),
                                .cut = sonde__param_int(sampler->params, "cut")};
    SONDE_TRY(sonde__negatives_begin(sampler, inputs, count, &batch));
    lists.width = batch.width;
    sonde_status status = sonde__rows_column(sampler, "candidates", batch.queries, batch.width, &lists.candidates);
    if (status == SONDE_OK) status = sonde__rows_column(sampler, "labels", batch.queries, batch.width, &lists.labels);
    if (status == SONDE_OK) status = sonde__negatives_run(sampler, &batch, adore_choose, &lists);
    sonde__negatives_end(sampler, &batch);
    return status;
}

/* ---- the loss ------------------------------------------------------------------------------------------------ */

struct adore_batch {
    const sonde_row_sampler *sampler;
    int64_t queries, width, dim, cut;
    double sigma;
    float *query, *document; /* document: (queries x width) x dim */
    int64_t *label;          /* queries x width: 1, 0, or -1 = no candidate */
    double *loss;            /* of each query */
    float *gradient;         /* queries x dim */
};

static void adore_drop_batch(sonde_runtime *runtime, struct adore_batch *batch)
{
    sonde__free(runtime, batch->query);
    sonde__free(runtime, batch->document);
    sonde__free(runtime, batch->label);
    sonde__free(runtime, batch->loss);
    sonde__free(runtime, batch->gradient);
}

/* The loss of one list of scores, and its derivative by them, which is added to `pull`. */
static double adore_pairs(const struct adore_batch *batch, const int64_t *label, const float *score, double *pull)
{
    double sum = 0, sigma = batch->sigma;
    int64_t right = 0, wrong = 0;
    for (int64_t k = 0; k < batch->width; k++) {
        right += label[k] == 1;
        wrong += label[k] == 0;
    }
    if (right == 0 || wrong == 0) return 0;
    double pairs = (double)right * (double)wrong;
    for (int64_t i = 0; i < batch->width; i++) {
        if (label[i] != 1) continue;
        for (int64_t j = 0; j < batch->width; j++) {
            if (label[j] != 0) continue;
            double weight = fabs(adore_gain(batch->cut, i + 1) - adore_gain(batch->cut, j + 1)) / pairs;
            double behind = sigma * ((double)score[j] - score[i]), push = sigma * weight * sonde__sigmoid(behind);
            sum += weight * sonde__softplus(behind);
            pull[i] -= push;
            pull[j] += push;
        }
    }
    return sum;
}

/* dq = sum over candidates of ds_k D_k. */
static void adore_by_query(const struct adore_batch *batch, const float *document, const double *pull, double *sum,
                           float *gradient)
{
    for (int64_t d = 0; d < batch->dim; d++) sum[d] = 0;
    for (int64_t k = 0; k < batch->width; k++) {
        if (pull[k] == 0) continue;
        for (int64_t d = 0; d < batch->dim; d++) sum[d] += pull[k] * document[k * batch->dim + d];
    }
    for (int64_t d = 0; d < batch->dim; d++) gradient[d] = (float)sum[d];
}

static sonde_status adore_one(const struct adore_batch *batch, int64_t i, sonde__scratch *scratch)
{
    int64_t width = batch->width, dim = batch->dim;
    const float *document = batch->document + i * width * dim;
    const int64_t *label = batch->label + i * width;
    float *score;
    double *pull, *sum;
    SONDE_TRY(SONDE_SCRATCH(scratch, score, width));
    SONDE_TRY(SONDE_SCRATCH(scratch, pull, width));
    SONDE_TRY(SONDE_SCRATCH(scratch, sum, dim));
    sonde__kernels_get()->ip_rows[SONDE__ROW_F32](batch->query + i * dim, document, dim * (int64_t)sizeof(float),
                                                  width, dim, score);
    for (int64_t k = 0; k < width; k++) {
        pull[k] = 0;
        if (label[k] >= 0 && !isfinite(score[k]))
            return sonde__fail(SONDE_INVALID_ARGUMENT,
                               "loss: the score of query %lld and candidate %lld is not finite", (long long)i,
                               (long long)k);
    }
    batch->loss[i] = adore_pairs(batch, label, score, pull);
    for (int64_t k = 0; k < width; k++) pull[k] /= (double)batch->queries;
    adore_by_query(batch, document, pull, sum, batch->gradient + i * dim);
    return SONDE_OK;
}

static sonde_status adore_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct adore_batch *batch = context;
    sonde__scratch *scratch;
    sonde_status status = SONDE_OK;
    (void)worker;
    SONDE_TRY(sonde__scratch_take(batch->sampler->runtime, &scratch));
    sonde__scratch_mark mark = sonde__scratch_here(scratch);
    for (int64_t i = begin; status == SONDE_OK && i < end; i++) {
        status = adore_one(batch, i, scratch);
        sonde__scratch_rewind(scratch, mark);
    }
    sonde__scratch_give(batch->sampler->runtime, scratch);
    return status;
}

static const sonde_array *adore_input(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                                      const char *name)
{
    return sonde__negatives_input(sampler, inputs, "loss", name);
}

static sonde_status adore_labels(const sonde_row_sampler *sampler, const sonde_array *labels, int64_t **label)
{
    sonde_array column;
    SONDE_TRY(sonde__array_check(labels, "loss: labels", 0, SONDE__DTYPE_BIT(SONDE_DTYPE_I32), &column));
    SONDE_TRY(SONDE_NEW(sampler->runtime, *label, column.rows * column.cols));
    for (int64_t i = 0; i < column.rows; i++)
        for (int64_t k = 0; k < column.cols; k++) {
            int32_t value;
            memcpy(&value, sonde__array_row(&column, i) + k * 4, sizeof value);
            if (value < -1 || value > 1)
                return sonde__fail(SONDE_INVALID_ARGUMENT, "loss: labels: row %lld holds %d, expected 1, 0 or -1",
                                   (long long)i, (int)value);
            (*label)[i * column.cols + k] = value;
        }
    return SONDE_OK;
}

static sonde_status adore_take(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                               struct adore_batch *batch)
{
    const sonde_array *queries = adore_input(sampler, inputs, "queries");
    const sonde_array *documents = adore_input(sampler, inputs, "documents");
    const sonde_array *labels = adore_input(sampler, inputs, "labels");
    sonde_runtime *runtime = sampler->runtime;
    batch->queries = queries->rows;
    batch->dim = queries->cols;
    batch->width = labels->cols;
    if (labels->rows != queries->rows)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "loss: labels has %lld rows, expected one a query: %lld",
                           (long long)labels->rows, (long long)queries->rows);
    if (batch->queries > 0 && batch->width > SONDE__MAX_ROWS / batch->queries)
        return sonde__fail(SONDE_LIMIT, "loss: labels is too large");
    SONDE_TRY(adore_labels(sampler, labels, &batch->label));
    SONDE_TRY(sonde__matrix_f32(runtime, queries, "loss: queries", -1, 0, &batch->query));
    SONDE_TRY(sonde__matrix_f32(runtime, documents, "loss: documents", batch->queries * batch->width, batch->dim,
                                &batch->document));
    SONDE_TRY(SONDE_NEW(runtime, batch->loss, batch->queries));
    return SONDE_NEW(runtime, batch->gradient, batch->queries * batch->dim);
}

static sonde_status adore_loss(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                               const sonde_array *const *gradients, double *loss)
{
    struct adore_batch batch = {.sampler = sampler,
                                .cut = sonde__param_int(sampler->params, "cut"),
                                .sigma = sonde__param_real(sampler->params, "sigma")};
    double sum = 0;
    if (adore_input(sampler, gradients, "documents") || adore_input(sampler, gradients, "labels"))
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "loss: adore trains the queries: there is a gradient by \"queries\" only");
    sonde_status status = adore_take(sampler, inputs, &batch);
    if (status == SONDE_OK)
        status = sonde__parallel_for(sampler->runtime, 0, batch.queries, 1, NULL, adore_chunk, &batch);
    if (status == SONDE_OK) {
        for (int64_t i = 0; i < batch.queries; i++) sum += batch.loss[i];
        sonde__gradient_put(adore_input(sampler, gradients, "queries"), batch.gradient);
        *loss = batch.queries > 0 ? sum / (double)batch.queries : 0;
    }
    adore_drop_batch(sampler->runtime, &batch);
    return status;
}

/* ---- the method ---------------------------------------------------------------------------------------------- */

static const sonde__key adore_keys[] = {
    SONDE__NEGATIVES_KEYS("200"),
    {"cut", SONDE__KEY_INT, "none", 1, 65536, "none", NULL, "the last rank that counts in a pair's weight"},
    {"sigma", SONDE__KEY_REAL, "1", 1e-6, 1e6, NULL, NULL, "steepness of the loss of a pair"},
    {0},
};

static const sonde__input_key adore_inputs[] = {
    SONDE__NEGATIVES_FIT_INPUTS,
    SONDE__NEGATIVES_OBSERVE_INPUTS,
    SONDE__NEGATIVES_QUERY_IDS,
    SONDE__NEGATIVES_QUERIES,
    {"queries", "b x dim", SONDE__DTYPES_NUMERIC, true, "the queries of the batch", "loss"},
    {"documents", "(b w) x dim", SONDE__DTYPES_NUMERIC, true,
     "the candidates of each query, w rows a query, in the order of the output \"candidates\"", "loss"},
    {"labels", "b x w", SONDE__DTYPE_BIT(SONDE_DTYPE_I32), true,
     "1 right, 0 wrong, -1 no candidate (its vector is not looked at)", "loss"},
    {0},
};

static const sonde__output_key adore_outputs[] = {
    SONDE__NEGATIVES_OUTPUTS,
    {"candidates", "queries x w", SONDE_DTYPE_I64,
     "each query's list with its positives, in order of rank; -1: none"},
    {"labels", "queries x w", SONDE_DTYPE_I32, "of the candidates: 1 right, 0 wrong, -1 none"},
    {0},
};

const sonde__row_method sonde__row_sampler_adore = {
    .method = {"adore", "negatives that queries meet now, searched at every draw", "Zhan et al. 2021, ADORE",
               adore_keys, adore_inputs, NULL, adore_outputs},
    .create = adore_create,
    .fit = adore_fit,
    .draw = adore_draw,
    .observe = sonde__negatives_observe,
    .loss = adore_loss,
    .save = sonde__negatives_save,
    .load = adore_load,
    .drop = sonde__negatives_drop,
    .searches = true,
};
