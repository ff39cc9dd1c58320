/* star.c: STAR: hard negatives that are searched once, mixed with random ones, and the loss that takes the whole
 * batch.
 *
 * Static hard negatives alone go stale as the model moves; random ones keep the rest of the documents in order. fit
 * searches, for each query, the `depth` documents nearest to it that are not its positives. A draw gives each query
 * `hard` of them, each with the same chance, then `random` of all other documents that are neither its positives nor
 * among the hard ones just drawn. hard=0 draws at random only, and searches nothing.
 *
 * log_probabilities are of a document's inclusion, by either way:
 *     hard / |list| (if listed) + (1 - hard / |list|) random / (documents - positives - hard)
 *
 * The loss of a batch with scores s = q.d over its documents (positives, then negatives; each query sees all of
 * them): mean over allowed pairs of log(1 + exp(s(q, d) - s(q, own positive))) A pair is allowed unless d is the
 * query's own positive or (query_ids given) any of its positives.
 *
 * Source: Zhan, Mao, Liu, Guo, Zhang, Ma 2021 (SIGIR), with the plain mean of the authors' program.
 * Cost: fit one search of all queries; a draw O(hard + random log positives) a query; a loss three products.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdlib.h>

#include "linalg/linalg.h"
#include "rows/negatives.h"

static sonde__negatives_plan star_plan(const sonde_row_sampler *sampler)
{
    int64_t hard = sonde__param_int(sampler->params, "hard"), random = sonde__param_int(sampler->params, "random");
    return (sonde__negatives_plan){.each = hard + random,
                                   .depth = hard > 0 ? sonde__param_int(sampler->params, "depth") : 0,
                                   .at_random = random > 0};
}

static sonde_status star_create(sonde_row_sampler *sampler)
{
    int64_t hard = sonde__param_int(sampler->params, "hard"), depth = sonde__param_int(sampler->params, "depth");
    if (hard > depth)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "star: hard=%lld is more than the depth=%lld that is searched",
                           (long long)hard, (long long)depth);
    if (hard + sonde__param_int(sampler->params, "random") == 0)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "star: hard and random are both 0; nothing would be drawn");
    return SONDE_OK;
}

static sonde_status star_fit(sonde_row_sampler *sampler, const sonde_array *const *inputs)
{
    sonde__negatives_plan plan = star_plan(sampler);
    return sonde__negatives_fit(sampler, inputs, &plan);
}

static sonde_status star_load(sonde_row_sampler *sampler, sonde__reader *reader)
{
    sonde__negatives_plan plan = star_plan(sampler);
    return sonde__negatives_load(sampler, reader, &plan);
}

/* ---- drawing ------------------------------------------------------------------------------------------------- */

/* Chooses `count` places of the list into rows; `chosen` has room for them. */
static sonde_status star_hard(sonde_row_sampler *sampler, sonde__negatives_query *query, int64_t count,
                              int64_t *chosen, sonde__negative *rows)
{
    SONDE_TRY(sonde__choose(sampler->runtime, &query->rng, query->length, count, chosen));
    for (int64_t j = 0; j < count; j++)
        rows[j] = (sonde__negative){.id = query->list[chosen[j]], .rank = (int32_t)chosen[j] + 1, .weight = 1};
    return SONDE_OK;
}

/* The place of an id among all documents, or -1. */
static int64_t star_place(const sonde__negatives_mined *mined, int64_t id)
{
    int64_t low = 0, high = mined->documents;
    if (!mined->ids) return id < mined->documents ? id : -1;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (mined->ids[middle] == id) return middle;
        if (mined->ids[middle] < id) low = middle + 1;
        else high = middle;
    }
    return -1;
}

/* The places that random negatives must not have, ascending: positives and what was drawn. Returns how many. */
static int64_t star_excluded(const sonde__negatives_mined *mined, const sonde__negatives_query *query,
                             const sonde__negative *drawn, int64_t drawn_count, int64_t *places)
{
    int64_t count = 0, kept = 0;
    for (int64_t j = 0; j < query->positive_count; j++) places[count++] = star_place(mined, query->positives[j]);
    for (int64_t j = 0; j < drawn_count; j++) places[count++] = star_place(mined, drawn[j].id);
    qsort(places, (size_t)count, sizeof *places, sonde__compare_i64);
    for (int64_t j = 0; j < count; j++)
        if (places[j] >= 0 && (kept == 0 || places[j] != places[kept - 1])) places[kept++] = places[j];
    return kept;
}

/* The number-th place that is not excluded: number + how many excluded places lie before it. */
static int64_t star_skip(const int64_t *excluded, int64_t count, int64_t number)
{
    int64_t low = 0, high = count;
    while (low < high) { /* excluded[i] - i allowed places lie before excluded[i] */
        int64_t middle = low + (high - low) / 2;
        if (excluded[middle] - middle <= number) low = middle + 1;
        else high = middle;
    }
    return number + low;
}

/* Up to `count` documents that are not excluded; returns the chance that each of them had, or what went wrong. */
static sonde_status star_random(sonde_row_sampler *sampler, sonde__negatives_query *query, const int64_t *excluded,
                                int64_t excluded_count, int64_t count, int64_t *chosen, sonde__negative *rows,
                                double *chance)
{
    const sonde__negatives_mined *mined = &((const sonde__negatives *)sampler->state)->mined;
    int64_t allowed = mined->documents - excluded_count, found = sonde__min_i64(count, allowed);
    *chance = found > 0 ? (double)found / (double)allowed : 0;
    SONDE_TRY(sonde__choose(sampler->runtime, &query->rng, allowed, found, chosen));
    for (int64_t j = 0; j < found; j++) {
        int64_t place = star_skip(excluded, excluded_count, chosen[j]);
        rows[j] = (sonde__negative){.id = mined->ids ? mined->ids[place] : place, .rank = -1, .weight = 1};
    }
    return SONDE_OK;
}

/* Rank and chance of inclusion of what was drawn: by either way. */
static void star_describe(const sonde__negatives_query *query, int64_t each, double hard_chance, double random_chance,
                          sonde__negative *rows)
{
    for (int64_t j = 0; j < each && rows[j].id >= 0; j++) {
        for (int64_t i = 0; i < query->length && rows[j].rank < 0; i++)
            if (query->list[i] == rows[j].id) rows[j].rank = (int32_t)i + 1;
        double chance = rows[j].rank > 0 ? hard_chance + (1 - hard_chance) * random_chance : random_chance;
        rows[j].log_probability = (float)log(chance);
    }
}

static sonde_status star_choose(sonde_row_sampler *sampler, sonde__negatives_query *query, int64_t each,
                                sonde__negative *rows, int64_t *positive, void *context)
{
    const sonde__negatives *state = sampler->state;
    (void)context;
    int64_t random = sonde__min_i64(each, sonde__param_int(sampler->params, "random"));
    if (!query->list) random = each; /* hard=0 */
    int64_t hard = sonde__min_i64(each - random, query->length), *chosen, *excluded;
    double hard_chance = hard > 0 ? (double)hard / (double)query->length : 0, random_chance = 0;
    sonde__scratch *scratch;
    *positive = sonde__negatives_positive(query);
    SONDE_TRY(sonde__scratch_take(sampler->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, chosen, each);
    if (status == SONDE_OK) status = SONDE_SCRATCH(scratch, excluded, query->positive_count + hard);
    if (status == SONDE_OK) status = star_hard(sampler, query, hard, chosen, rows);
    if (status == SONDE_OK && random > 0) {
        int64_t count = star_excluded(&state->mined, query, rows, hard, excluded);
        status = star_random(sampler, query, excluded, count, random, chosen, rows + hard, &random_chance);
    }
    if (status == SONDE_OK) star_describe(query, each, hard_chance, random_chance, rows);
    sonde__scratch_give(sampler->runtime, scratch);
    return status;
}

static sonde_status star_draw(sonde_row_sampler *sampler, const sonde_array *const *inputs, int64_t count)
{
    return sonde__negatives_draw(sampler, inputs, count, star_choose);
}

/* ---- the loss ------------------------------------------------------------------------------------------------ */

struct star_batch {
    int64_t queries, documents, dim; /* documents: the positives, then the negatives */
    float *query, *document;
    float *score;    /* queries x documents; becomes the derivative of the loss by the score */
    int64_t *number; /* of each query among the fitted ones; NULL: only own positives are relevant */
    int64_t *id;     /* of each document; NULL with `number` */
    float *turned;   /* the derivatives, documents x queries */
    float *gradient; /* of queries, then of documents: (queries + documents) x dim */
};

static void star_drop_batch(sonde_runtime *runtime, struct star_batch *batch)
{
    void *parts[] = {batch->query, batch->document, batch->score,   batch->number,
                     batch->id,    batch->turned,   batch->gradient};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) sonde__free(runtime, parts[i]);
}

static const sonde_array *star_input(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                                     const char *name)
{
    return sonde__negatives_input(sampler, inputs, "loss", name);
}

static sonde_status star_take_vectors(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                                      struct star_batch *batch)
{
    const sonde_array *queries = star_input(sampler, inputs, "queries"), *negatives;
    const sonde_array *positives = star_input(sampler, inputs, "positives");
    negatives = star_input(sampler, inputs, "negatives");
    sonde_runtime *runtime = sampler->runtime;
    int64_t b = queries->rows, dim = queries->cols, hard = negatives ? negatives->rows : 0;
    float *part;
    batch->queries = b;
    batch->documents = b + hard;
    batch->dim = dim;
    SONDE_TRY(sonde__matrix_f32(runtime, queries, "loss: queries", -1, 0, &batch->query));
    SONDE_TRY(SONDE_NEW(runtime, batch->document, batch->documents * dim));
    SONDE_TRY(sonde__matrix_f32(runtime, positives, "loss: positives", b, dim, &part));
    memcpy(batch->document, part, (size_t)(b * dim) * sizeof *part);
    sonde__free(runtime, part);
    if (!negatives) return SONDE_OK;
    SONDE_TRY(sonde__matrix_f32(runtime, negatives, "loss: negatives", hard, dim, &part));
    memcpy(batch->document + b * dim, part, (size_t)(hard * dim) * sizeof *part);
    sonde__free(runtime, part);
    return SONDE_OK;
}

/* Which documents these are, so that positives of a query never count against it. */
static sonde_status star_take_ids(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                                  struct star_batch *batch)
{
    const sonde__negatives *state = sampler->state;
    const sonde_array *queries = star_input(sampler, inputs, "query_ids"), *negatives;
    const sonde_array *positives = star_input(sampler, inputs, "positive_ids");
    int64_t b = batch->queries, hard = batch->documents - b, *part;
    negatives = star_input(sampler, inputs, "negative_ids");
    if (!queries && !positives && !negatives) return SONDE_OK;
    if (!queries || !positives || (hard > 0 && !negatives))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "loss: query_ids, positive_ids and negative_ids go together");
    if (!state) return sonde__fail(SONDE_STATE, "loss: query_ids need a fitted sampler, which knows their positives");
    SONDE_TRY(
        sonde__column_i64(sampler->runtime, queries, "loss: query_ids", b, 0, state->queries - 1, &batch->number));
    SONDE_TRY(SONDE_NEW(sampler->runtime, batch->id, batch->documents));
    SONDE_TRY(sonde__column_i64(sampler->runtime, positives, "loss: positive_ids", b, -1, INT64_MAX, &part));
    memcpy(batch->id, part, (size_t)b * sizeof *part);
    sonde__free(sampler->runtime, part);
    if (hard == 0) return SONDE_OK;
    SONDE_TRY(sonde__column_i64(sampler->runtime, negatives, "loss: negative_ids", hard, -1, INT64_MAX, &part));
    memcpy(batch->id + b, part, (size_t)hard * sizeof *part);
    sonde__free(sampler->runtime, part);
    return SONDE_OK;
}

static bool star_allowed(const sonde_row_sampler *sampler, const struct star_batch *batch, int64_t query,
                         int64_t document)
{
    if (document == query) return false;
    if (!batch->number) return true;
    const sonde__negatives *state = sampler->state;
    return !sonde__lists_have(&state->positives, batch->number[query], batch->id[document]);
}

/* Sums the loss over the allowed pairs and turns scores into its derivatives, not yet divided by their number. */
static sonde_status star_pairs(const sonde_row_sampler *sampler, struct star_batch *batch, double *sum,
                               int64_t *pairs)
{
    for (int64_t i = 0; i < batch->queries; i++) {
        float *row = batch->score + i * batch->documents;
        double right = row[i], pull = 0;
        for (int64_t j = 0; j < batch->documents; j++) {
            if (!isfinite(row[j]))
                return sonde__fail(SONDE_INVALID_ARGUMENT,
                                   "loss: the score of query %lld and document %lld is not finite", (long long)i,
                                   (long long)j);
            bool allowed = star_allowed(sampler, batch, i, j);
            double push = allowed ? sonde__sigmoid(row[j] - right) : 0;
            if (allowed) *sum += sonde__softplus(row[j] - right);
            *pairs += allowed;
            pull += push;
            row[j] = (float)push;
        }
        row[i] = (float)-pull;
    }
    return SONDE_OK;
}

static void star_turn(const struct star_batch *batch, double scale, float *turned)
{
    for (int64_t i = 0; i < batch->queries; i++)
        for (int64_t j = 0; j < batch->documents; j++) {
            float *score = &batch->score[i * batch->documents + j];
            *score = (float)(*score * scale);
            turned[j * batch->queries + i] = *score;
        }
}

/* Derivatives by queries and by documents; the caller's arrays are written when nothing can fail any more. */
static sonde_status star_gradients(const sonde_row_sampler *sampler, const sonde_array *const *wanted, double scale,
                                   struct star_batch *batch)
{
    sonde_runtime *runtime = sampler->runtime;
    int64_t b = batch->queries, n = batch->documents, dim = batch->dim;
    SONDE_TRY(SONDE_NEW(runtime, batch->turned, n * b));
    SONDE_TRY(SONDE_NEW(runtime, batch->gradient, (b + n) * dim));
    float *by_document = batch->gradient + b * dim;
    star_turn(batch, scale, batch->turned);
    SONDE_TRY(sonde__gemm_nn(runtime, 0, b, dim, n, batch->score, n, batch->document, dim, batch->gradient, dim));
    SONDE_TRY(sonde__gemm_nn(runtime, 0, n, dim, b, batch->turned, b, batch->query, dim, by_document, dim));
    sonde__gradient_put(star_input(sampler, wanted, "queries"), batch->gradient);
    sonde__gradient_put(star_input(sampler, wanted, "positives"), by_document);
    sonde__gradient_put(star_input(sampler, wanted, "negatives"), by_document + b * dim);
    return SONDE_OK;
}

static sonde_status star_loss_of(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                                 const sonde_array *const *gradients, struct star_batch *batch, double *loss)
{
    double sum = 0;
    int64_t pairs = 0, dim;
    SONDE_TRY(star_take_vectors(sampler, inputs, batch));
    SONDE_TRY(star_take_ids(sampler, inputs, batch));
    dim = batch->dim;
    SONDE_TRY(SONDE_NEW(sampler->runtime, batch->score, batch->queries * batch->documents));
    SONDE_TRY(sonde__gemm_nt(sampler->runtime, 0, batch->queries, batch->documents, dim, batch->query, dim,
                             batch->document, dim, batch->score, batch->documents));
    SONDE_TRY(star_pairs(sampler, batch, &sum, &pairs));
    double scale = pairs > 0 ? 1 / (double)pairs : 0;
    SONDE_TRY(star_gradients(sampler, gradients, scale, batch));
    *loss = sum * scale;
    return SONDE_OK;
}

static sonde_status star_loss(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                              const sonde_array *const *gradients, double *loss)
{
    struct star_batch batch = {0};
    sonde_status status = star_loss_of(sampler, inputs, gradients, &batch, loss);
    star_drop_batch(sampler->runtime, &batch);
    return status;
}

/* ---- the method ---------------------------------------------------------------------------------------------- */

static const sonde__key star_keys[] = {
    SONDE__NEGATIVES_KEYS("200"),
    {"hard", SONDE__KEY_INT, "1", 0, 32768, NULL, NULL, "negatives of a query from its searched list"},
    {"random", SONDE__KEY_INT, "0", 0, 1048576, NULL, NULL, "negatives of a query from all other documents"},
    SONDE__NEGATIVES_REFRESH,
    {0},
};

static const sonde__input_key star_inputs[] = {
    SONDE__NEGATIVES_FIT_INPUTS,
    SONDE__NEGATIVES_OBSERVE_INPUTS,
    SONDE__NEGATIVES_QUERY_IDS,
    {"queries", "b x dim", SONDE__DTYPES_NUMERIC, true, "the queries of the batch", "loss"},
    {"positives", "b x dim", SONDE__DTYPES_NUMERIC, true, "a document that is right for each of them", "loss"},
    {"negatives", "h x dim", SONDE__DTYPES_NUMERIC, false, "more documents, wrong for some query or all", "loss"},
    {"query_ids", "b x 1", SONDE__NEGATIVES_IDS, false,
     "numbers of fitted queries: their other positives do not count", "loss"},
    {"positive_ids", "b x 1", SONDE__NEGATIVES_IDS, false, "ids of the positives, with query_ids", "loss"},
    {"negative_ids", "h x 1", SONDE__NEGATIVES_IDS, false, "ids of the negatives, with query_ids", "loss"},
    {0},
};

static const sonde__output_key star_outputs[] = {SONDE__NEGATIVES_OUTPUTS, {0}};

const sonde__row_method sonde__row_sampler_star = {
    .method = {"star", "negatives of queries: some of a searched list, some at random", "Zhan et al. 2021, STAR",
               star_keys, star_inputs, NULL, star_outputs},
    .create = star_create,
    .fit = star_fit,
    .draw = star_draw,
    .observe = sonde__negatives_observe,
    .loss = star_loss,
    .save = sonde__negatives_save,
    .load = star_load,
    .drop = sonde__negatives_drop,
    .searches = true,
};
