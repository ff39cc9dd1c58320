/* ar2.c: AR2: negatives drawn from the retriever's own distribution, and the step by which the retriever learns to
 * fool a ranker and to agree with it.
 *
 * fit searches the `depth` best documents of each query that are not its positives. A draw takes `negatives` of them
 * without replacement from p = softmax(tau score) over this list, most likely first by Gumbel keys: the n largest of
 * tau score + G (Kool, van Hoof, Welling 2019). tau=0 is uniform. log_probabilities are log p. The weight of a row is
 * p / q, where q = 1 - exp(-exp(tau score - kappa)), kappa the largest key that was not drawn: sums over the rows,
 * weighted so, are unbiased for expectations over p.
 *
 * Losses, over a query's n + 1 documents (the positive first), with p = softmax(tau q.d) and ranker logits z:
 *     ranker given alone: mean over queries of -log softmax(z)_0, the ranker's own step
 *     all four inputs:    lambda adv + (1 - lambda) dist, the retriever's step; z counts as a constant
 *         r_j = log sigmoid(z_0 - z_j)
 *         adv=code:  sum over queries of sum_j r_j log(p_j + 1e-7), as in the authors' program
 *         adv=exact: mean over queries of sum_j p_j r_j, the expected reward itself
 *         dist:      mean over queries of -sum_j softmax(z / temperature)_j log(p_j + 1e-7)
 *
 * Source: Zhang, Gong, Shen, Lv, Duan, Chen 2022 (ICLR).
 * Cost: fit one search of all queries, 12 bytes a place of their lists; a draw O(depth log depth) a query; a loss
 * O(n dim) a query.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdlib.h>

#include "kernels/kernels.h"
#include "rows/negatives.h"

#define AR2_FLOOR 1e-7 /* added to p inside logarithms */

static sonde__negatives_plan ar2_plan(const sonde_row_sampler *sampler)
{
    return (sonde__negatives_plan){.each = sonde__param_int(sampler->params, "negatives"),
                                   .depth = sonde__param_int(sampler->params, "depth"),
                                   .scores = true};
}

static sonde_status ar2_create(sonde_row_sampler *sampler)
{
    int64_t wanted = sonde__param_int(sampler->params, "negatives"),
            depth = sonde__param_int(sampler->params, "depth");
    if (wanted <= depth) return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT, "ar2: negatives=%lld is more than the depth=%lld that is searched",
                       (long long)wanted, (long long)depth);
}

static sonde_status ar2_fit(sonde_row_sampler *sampler, const sonde_array *const *inputs)
{
    sonde__negatives_plan plan = ar2_plan(sampler);
    return sonde__negatives_fit(sampler, inputs, &plan);
}

static sonde_status ar2_load(sonde_row_sampler *sampler, sonde__reader *reader)
{
    sonde__negatives_plan plan = ar2_plan(sampler);
    return sonde__negatives_load(sampler, reader, &plan);
}

/* ---- drawing ------------------------------------------------------------------------------------------------- */

struct ar2_key {
    double key, log_p;
    int64_t place;
};

/* Largest key first; equal ones (which hardly come) by place. */
static int ar2_compare(const void *a, const void *b)
{
    const struct ar2_key *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? 1 : -1;
    return (x->place > y->place) - (x->place < y->place);
}

/* A Gumbel variable; the uniform it comes from is never 0. */
static double ar2_gumbel(sonde__rng *rng) { return -log(-log((sonde__rng_unit(rng) + 0x1p-54))); }

static void ar2_take(const sonde__negatives_query *query, const struct ar2_key *keys, int64_t each,
                     sonde__negative *rows)
{
    int64_t count = sonde__min_i64(each, query->length);
    double threshold = count < query->length ? keys[count].key : -INFINITY;
    for (int64_t j = 0; j < count; j++) {
        double p = exp(keys[j].log_p), q = -expm1(-exp(keys[j].log_p - threshold));
        rows[j] = (sonde__negative){.id = query->list[keys[j].place],
                                    .rank = (int32_t)keys[j].place + 1,
                                    .log_probability = (float)keys[j].log_p,
                                    .weight = (float)(p / q)};
    }
}

static sonde_status ar2_choose(sonde_row_sampler *sampler, sonde__negatives_query *query, int64_t each,
                               sonde__negative *rows, int64_t *positive, void *context)
{
    struct ar2_key *keys;
    double *log_p;
    sonde__scratch *scratch;
    (void)context;
    *positive = sonde__negatives_positive(query);
    SONDE_TRY(sonde__scratch_take(sampler->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, keys, query->length);
    if (status == SONDE_OK) status = SONDE_SCRATCH(scratch, log_p, query->length);
    if (status == SONDE_OK) {
        sonde__log_softmax(query->score, query->length, sonde__param_real(sampler->params, "tau"), log_p);
        for (int64_t j = 0; j < query->length; j++)
            keys[j] = (struct ar2_key){log_p[j] + ar2_gumbel(&query->rng), log_p[j], j};
        qsort(keys, (size_t)query->length, sizeof *keys, ar2_compare);
        ar2_take(query, keys, each, rows);
    }
    sonde__scratch_give(sampler->runtime, scratch);
    return status;
}

static sonde_status ar2_draw(sonde_row_sampler *sampler, const sonde_array *const *inputs, int64_t count)
{
    return sonde__negatives_draw(sampler, inputs, count, ar2_choose);
}

/* ---- losses -------------------------------------------------------------------------------------------------- */

struct ar2_batch {
    int64_t queries, documents, dim; /* documents: n + 1 a query, the positive first */
    double tau, lambda, temperature;
    bool exact;
    float *ranker; /* queries x documents */
    float *query, *positive, *negative;
    float *score;                 /* documents */
    double *log_p, *log_z, *by_p; /* documents: log p, log softmax(z / temperature), dL / dp */
    float *by_query, *by_positive, *by_negative, *by_ranker;
};

static void ar2_drop_batch(sonde_runtime *runtime, struct ar2_batch *batch)
{
    void *parts[] = {batch->ranker,   batch->query,       batch->positive,    batch->negative,
                     batch->score,    batch->log_p,       batch->log_z,       batch->by_p,
                     batch->by_query, batch->by_positive, batch->by_negative, batch->by_ranker};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) sonde__free(runtime, parts[i]);
}

static const sonde_array *ar2_input(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                                    const char *name)
{
    return sonde__negatives_input(sampler, inputs, "loss", name);
}

/* -log softmax(z)_0 of each query, and its derivative softmax(z) - (1, 0, ...). */
static double ar2_ranker_step(struct ar2_batch *batch)
{
    double sum = 0, n = (double)batch->queries;
    for (int64_t i = 0; i < batch->queries; i++) {
        const float *z = batch->ranker + i * batch->documents;
        float *by = batch->by_ranker + i * batch->documents;
        sonde__log_softmax(z, batch->documents, 1, batch->log_z);
        sum -= batch->log_z[0];
        for (int64_t j = 0; j < batch->documents; j++) by[j] = (float)((exp(batch->log_z[j]) - (j == 0)) / n);
    }
    return n > 0 ? sum / n : 0;
}

static sonde_status ar2_scores(struct ar2_batch *batch, int64_t i)
{
    int64_t n = batch->documents - 1, dim = batch->dim, stride = dim * (int64_t)sizeof(float);
    sonde__rows_fn ip = sonde__kernels_get()->ip_rows[SONDE__ROW_F32];
    const float *query = batch->query + i * dim;
    ip(query, batch->positive + i * dim, stride, 1, dim, batch->score);
    ip(query, batch->negative + i * n * dim, stride, n, dim, batch->score + 1);
    for (int64_t j = 0; j < batch->documents; j++)
        if (!isfinite(batch->score[j]))
            return sonde__fail(SONDE_INVALID_ARGUMENT,
                               "loss: the score of query %lld and document %lld is not finite", (long long)i,
                               (long long)j);
    return SONDE_OK;
}

/* One query's part of the loss; leaves in by_p what it changes by each p_j. */
static double ar2_value(struct ar2_batch *batch, const float *z)
{
    double value = 0, share = 1 / (double)batch->queries;
    double adversary = batch->exact ? batch->lambda * share : batch->lambda, teacher = (1 - batch->lambda) * share;
    for (int64_t j = 0; j < batch->documents; j++) {
        double p = exp(batch->log_p[j]), target = exp(batch->log_z[j]);
        double reward = -sonde__softplus((double)z[j] - z[0]), log_p = log(p + AR2_FLOOR);
        value += adversary * reward * (batch->exact ? p : log_p) - teacher * target * log_p;
        batch->by_p[j] = adversary * (batch->exact ? reward : reward / (p + AR2_FLOOR));
        batch->by_p[j] -= teacher * target / (p + AR2_FLOOR);
    }
    return value;
}

/* dL/ds_j = tau p_j (dL/dp_j - sum_k p_k dL/dp_k), and from there by the vectors. */
static void ar2_by_vectors(struct ar2_batch *batch, int64_t i, double *sum)
{
    int64_t dim = batch->dim, n = batch->documents - 1;
    const float *query = batch->query + i * dim;
    double mean = 0;
    for (int64_t j = 0; j <= n; j++) mean += exp(batch->log_p[j]) * batch->by_p[j];
    for (int64_t d = 0; d < dim; d++) sum[d] = 0;
    for (int64_t j = 0; j <= n; j++) {
        double by_score = batch->tau * exp(batch->log_p[j]) * (batch->by_p[j] - mean);
        int64_t at = j == 0 ? i * dim : (i * n + j - 1) * dim;
        const float *document = (j == 0 ? batch->positive : batch->negative) + at;
        float *by_document = (j == 0 ? batch->by_positive : batch->by_negative) + at;
        for (int64_t d = 0; d < dim; d++) {
            sum[d] += by_score * document[d];
            by_document[d] = (float)(by_score * query[d]);
        }
    }
    for (int64_t d = 0; d < dim; d++) batch->by_query[i * dim + d] = (float)sum[d];
}

static sonde_status ar2_retriever_step(sonde_runtime *runtime, struct ar2_batch *batch, double *loss)
{
    double *sum, total = 0;
    sonde_status status = SONDE_OK;
    SONDE_TRY(SONDE_NEW(runtime, sum, batch->dim));
    for (int64_t i = 0; status == SONDE_OK && i < batch->queries; i++) {
        const float *z = batch->ranker + i * batch->documents;
        status = sonde__poll(runtime, NULL, 0, 0);
        if (status == SONDE_OK) status = ar2_scores(batch, i);
        if (status != SONDE_OK) break;
        sonde__log_softmax(batch->score, batch->documents, batch->tau, batch->log_p);
        sonde__log_softmax(z, batch->documents, 1 / batch->temperature, batch->log_z);
        total += ar2_value(batch, z);
        ar2_by_vectors(batch, i, sum);
    }
    sonde__free(runtime, sum);
    *loss = total;
    return status;
}

/* Vectors of the retriever's step, and room for the derivatives by them. */
static sonde_status ar2_take_vectors(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                                     struct ar2_batch *batch)
{
    const sonde_array *queries = ar2_input(sampler, inputs, "queries");
    const sonde_array *positives = ar2_input(sampler, inputs, "positives");
    const sonde_array *negatives = ar2_input(sampler, inputs, "negatives");
    sonde_runtime *runtime = sampler->runtime;
    int64_t b = batch->queries, n = batch->documents - 1, dim = queries->cols;
    batch->dim = dim;
    SONDE_TRY(sonde__matrix_f32(runtime, queries, "loss: queries", b, 0, &batch->query));
    SONDE_TRY(sonde__matrix_f32(runtime, positives, "loss: positives", b, dim, &batch->positive));
    SONDE_TRY(sonde__matrix_f32(runtime, negatives, "loss: negatives", b * n, dim, &batch->negative));
    SONDE_TRY(SONDE_NEW(runtime, batch->score, batch->documents));
    SONDE_TRY(SONDE_NEW(runtime, batch->log_p, batch->documents));
    SONDE_TRY(SONDE_NEW(runtime, batch->by_p, batch->documents));
    SONDE_TRY(SONDE_NEW(runtime, batch->by_query, b * dim));
    SONDE_TRY(SONDE_NEW(runtime, batch->by_positive, b * dim));
    return SONDE_NEW(runtime, batch->by_negative, b * n * dim);
}

static sonde_status ar2_take_ranker(const sonde_row_sampler *sampler, const sonde_array *ranker,
                                    struct ar2_batch *batch)
{
    if (ranker->cols < 2)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "loss: ranker has 1 column, expected the positive and the negatives");
    batch->queries = ranker->rows;
    batch->documents = ranker->cols;
    SONDE_TRY(sonde__matrix_f32(sampler->runtime, ranker, "loss: ranker", -1, 0, &batch->ranker));
    SONDE_TRY(SONDE_NEW(sampler->runtime, batch->log_z, batch->documents));
    return SONDE_NEW(sampler->runtime, batch->by_ranker, batch->queries * batch->documents);
}

static sonde_status ar2_loss_of(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                                const sonde_array *const *gradients, struct ar2_batch *batch, double *loss)
{
    bool queries = ar2_input(sampler, inputs, "queries"), positives = ar2_input(sampler, inputs, "positives");
    bool negatives = ar2_input(sampler, inputs, "negatives"), whole = queries && positives && negatives;
    double value;
    if (!whole && (queries || positives || negatives))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "loss: queries, positives and negatives go together");
    if (whole && ar2_input(sampler, gradients, "ranker"))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "loss: in the retriever's step the ranker is a constant; its own "
                                                   "step takes \"ranker\" alone");
    SONDE_TRY(ar2_take_ranker(sampler, ar2_input(sampler, inputs, "ranker"), batch));
    if (!whole) {
        *loss = ar2_ranker_step(batch);
        sonde__gradient_put(ar2_input(sampler, gradients, "ranker"), batch->by_ranker);
        return SONDE_OK;
    }
    SONDE_TRY(ar2_take_vectors(sampler, inputs, batch));
    SONDE_TRY(ar2_retriever_step(sampler->runtime, batch, &value));
    sonde__gradient_put(ar2_input(sampler, gradients, "queries"), batch->by_query);
    sonde__gradient_put(ar2_input(sampler, gradients, "positives"), batch->by_positive);
    sonde__gradient_put(ar2_input(sampler, gradients, "negatives"), batch->by_negative);
    *loss = value;
    return SONDE_OK;
}

static sonde_status ar2_loss(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                             const sonde_array *const *gradients, double *loss)
{
    struct ar2_batch batch = {.tau = sonde__param_real(sampler->params, "tau"),
                              .lambda = sonde__param_real(sampler->params, "lambda"),
                              .temperature = sonde__param_real(sampler->params, "temperature"),
                              .exact = sonde__param_is(sampler->params, "adv", "exact")};
    sonde_status status = ar2_loss_of(sampler, inputs, gradients, &batch, loss);
    ar2_drop_batch(sampler->runtime, &batch);
    return status;
}

/* ---- the method ---------------------------------------------------------------------------------------------- */

static const sonde__key ar2_keys[] = {
    SONDE__NEGATIVES_KEYS("100"),
    {"negatives", SONDE__KEY_INT, "15", 1, 32768, NULL, NULL, "negatives of a query"},
    {"tau", SONDE__KEY_REAL, "1", 0, 1e6, NULL, NULL, "steepness of the retriever's distribution; 0: uniform"},
    {"lambda", SONDE__KEY_REAL, "0.5", 0, 1, NULL, NULL, "share of the adversarial part of the loss"},
    {"adv", SONDE__KEY_WORD, "code", 0, 0, "code|exact", NULL,
     "its form: the authors' program's, or the expected reward"},
    {"temperature", SONDE__KEY_REAL, "1", 1e-3, 1e6, NULL, NULL, "of the ranker's distribution, which is imitated"},
    SONDE__NEGATIVES_REFRESH,
    {0},
};

static const sonde__input_key ar2_inputs[] = {
    SONDE__NEGATIVES_FIT_INPUTS,
    SONDE__NEGATIVES_OBSERVE_INPUTS,
    SONDE__NEGATIVES_QUERY_IDS,
    SONDE__NEGATIVES_QUERIES,
    {"ranker", "b x (n+1)", SONDE__DTYPES_NUMERIC, true, "the ranker's logits, the positive's first", "loss"},
    {"queries", "b x dim", SONDE__DTYPES_NUMERIC, false, "the queries of the retriever's step", "loss"},
    {"positives", "b x dim", SONDE__DTYPES_NUMERIC, false, "a document that is right for each of them", "loss"},
    {"negatives", "(b n) x dim", SONDE__DTYPES_NUMERIC, false, "the negatives drawn for each of them, n rows a query",
     "loss"},
    {0},
};

static const sonde__output_key ar2_outputs[] = {SONDE__NEGATIVES_OUTPUTS, {0}};

const sonde__row_method sonde__row_sampler_ar2 = {
    .method = {"ar2", "negatives from the retriever's own distribution", "Zhang et al. 2022, AR2", ar2_keys,
               ar2_inputs, NULL, ar2_outputs},
    .create = ar2_create,
    .fit = ar2_fit,
    .draw = ar2_draw,
    .observe = sonde__negatives_observe,
    .loss = ar2_loss,
    .save = sonde__negatives_save,
    .load = ar2_load,
    .drop = sonde__negatives_drop,
    .searches = true,
};
