/* sracl.c: positives and views from a neighbourhood that a text model gives, for contrastive learning of
 * sequences.
 *
 * Users (or items) whose texts mean the same make better positives than what random masking of a sequence
 * leaves. fit finds the k nearest others of each row by its text embedding e, and weighs them by a small
 * attention network (W: width x dim, a: 2 width):
 *
 *   a_j = softmax over the neighbours j of  LeakyReLU_0.2(a^T [W e_u ; W e_j])
 *
 * The network is trained outside; it is given as "projection" and "attention", or drawn at random (Glorot,
 * Bengio 2010). Since a^T [W e_u ; W e_j] = asks_u + answers_j is a sum, two numbers are kept of each row,
 * and no vectors:
 *
 *   near   rows x k, nearest first, SRACL_NONE = missing (an approximate index may find fewer)
 *   asks, answers   rows
 *
 * draw_for "queries" gives min(count, k) neighbours of each, with their attention as weights; dropout sets
 * each weight to 0 with that chance and scales the others by 1 / (1 - dropout), so weights sum to 1 on
 * average, and exactly with dropout=0. The positive view of a user is the weighted sum of what an encoder
 * makes of the neighbours' sequences. draw_for "sequences" gives one row for each and the output
 * "sequences": `share` of the items (at least one) are replaced by one of their neighbours. A second draw
 * gives a second view.
 *
 * The loss is InfoNCE of two views: mean over i of  log sum_j exp(x_i y_j / temperature) - x_i y_i /
 * temperature.
 *
 * Source: Cui et al., "Semantic Retrieval Augmented Contrastive Learning for Sequential Recommendation",
 * 2025. Cost: one search of all rows to fit; O(k) a query; rows^2 x dim for the loss. 4 k + 8 bytes a row.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "base/handle.h"
#include "linalg/linalg.h"
#include "rows/rows.h"

enum { SRACL_STREAM_NETWORK = 0x7361, SRACL_STREAM_DRAW = 0x7362, SRACL_GRAIN = 256, SRACL_BLOCK = 1024 };
#define SRACL_NONE UINT32_MAX

struct sracl_rows {
    int64_t rows, k;
    uint32_t *near;
    float *asks, *answers;
};

static void sracl_forget(sonde_runtime *runtime, struct sracl_rows *known)
{
    if (!known) return;
    sonde__free(runtime, known->near);
    sonde__free(runtime, known->asks);
    sonde__free(runtime, known->answers);
    sonde__free(runtime, known);
}

static void sracl_drop(sonde_row_sampler *sampler) { sracl_forget(sampler->runtime, sampler->state); }

static sonde_status sracl_create(sonde_row_sampler *sampler)
{
    sampler->batch = sonde__param_int(sampler->params, "k");
    return SONDE_OK;
}

/* ---- neighbours ---------------------------------------------------------------------------------------- */

/* The first k hits that are not the row itself; with many equal rows it may not be among its own hits. */
static void sracl_keep(const int64_t *hits, int64_t row, int64_t k, uint32_t *near)
{
    int64_t kept = 0;
    for (int64_t i = 0; i <= k && kept < k; i++)
        if (hits[i] >= 0 && hits[i] != row) near[kept++] = (uint32_t)hits[i];
    while (kept < k) near[kept++] = SRACL_NONE;
}

static sonde_status sracl_search(sonde_runtime *runtime, const sonde_index *index,
                                 const sonde_array *embeddings, struct sracl_rows *known)
{
    sonde_search_options options = SONDE_SEARCH_OPTIONS_INIT;
    sonde_hits hits = SONDE_HITS_INIT;
    sonde_status status = SONDE_NEW(runtime, hits.ids, SRACL_BLOCK * (known->k + 1));
    options.k = (uint32_t)known->k + 1;
    for (int64_t i = 0; status == SONDE_OK && i < known->rows; i += SRACL_BLOCK) {
        sonde_array block = *embeddings;
        block.rows = sonde__min_i64(SRACL_BLOCK, known->rows - i);
        block.data = (uint8_t *)embeddings->data + i * embeddings->stride;
        status = sonde__poll(runtime, "neighbours", (uint64_t)i, (uint64_t)known->rows);
        if (status == SONDE_OK) status = sonde_index_search(index, &block, &options, &hits);
        for (int64_t r = 0; status == SONDE_OK && r < block.rows; r++)
            sracl_keep(hits.ids + r * (known->k + 1), i + r, known->k, known->near + (i + r) * known->k);
    }
    sonde__free(runtime, hits.ids);
    return status;
}

static sonde_status sracl_neighbours(const sonde_row_sampler *sampler, const sonde_array *embeddings,
                                     struct sracl_rows *known)
{
    const char *spec = sonde__params_text(sonde__param_spec(sampler->params, "index"));
    sonde_index *index = NULL;
    SONDE_TRY(SONDE_NEW(sampler->runtime, known->near, known->rows * known->k));
    sonde_status status = sonde_index_create(spec, embeddings->cols, sampler->runtime, &index);
    if (status == SONDE_OK) status = sonde_index_add(index, embeddings, NULL);
    if (status == SONDE_OK) status = sracl_search(sampler->runtime, index, embeddings, known);
    sonde_index_free(index);
    return status;
}

/* ---- attention ----------------------------------------------------------------------------------------- */

struct sracl_network {
    int64_t width, dim;
    float *projection, *attention; /* width x dim; 2 width */
};

static sonde_status sracl_random_network(const sonde_row_sampler *sampler, struct sracl_network *network)
{
    double reach = sqrt(6.0 / (double)(network->dim + network->width)),
           tip = sqrt(6.0 / (double)(2 * network->width + 1));
    sonde__rng rng;
    SONDE_TRY(SONDE_NEW(sampler->runtime, network->projection, network->width * network->dim));
    SONDE_TRY(SONDE_NEW(sampler->runtime, network->attention, 2 * network->width));
    sonde__rng_start(&rng, sampler->seed, SRACL_STREAM_NETWORK, 0);
    for (int64_t i = 0; i < network->width * network->dim; i++)
        network->projection[i] = (float)(reach * (2 * sonde__rng_unit(&rng) - 1));
    for (int64_t i = 0; i < 2 * network->width; i++)
        network->attention[i] = (float)(tip * (2 * sonde__rng_unit(&rng) - 1));
    return SONDE_OK;
}

static sonde_status sracl_take_network(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                                       struct sracl_network *network)
{
    const sonde_array *projection = inputs[sonde__rows_input(sampler, "fit", "projection")];
    const sonde_array *attention = inputs[sonde__rows_input(sampler, "fit", "attention")];
    if (!projection != !attention)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "projection and attention come together");
    if (!projection) return sracl_random_network(sampler, network);
    SONDE_TRY(sonde__matrix_f32(sampler->runtime, projection, "projection", network->width, network->dim,
                                &network->projection));
    return sonde__matrix_f32(sampler->runtime, attention, "attention", 2 * network->width, 1,
                             &network->attention);
}

/* One half of a^T W: what a row's vector is multiplied with. */
static void sracl_fold(const struct sracl_network *network, const float *attention, float *folded)
{
    memset(folded, 0, (size_t)network->dim * sizeof *folded);
    for (int64_t i = 0; i < network->width; i++)
        sonde__kernels_get()->axpy(attention[i], network->projection + i * network->dim, network->dim,
                                   folded);
}

struct sracl_folded {
    const sonde_array *embeddings;
    const float *ask, *answer;
    struct sracl_rows *known;
    float *row; /* one of `dim` for each worker */
};

static sonde_status sracl_attend_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct sracl_folded *work = context;
    int64_t dim = work->embeddings->cols;
    float *row = work->row + worker * dim;
    for (int64_t i = begin; i < end; i++) {
        double ask = 0, answer = 0;
        sonde__rows_to_f32(work->embeddings, i, 1, row, dim);
        for (int64_t j = 0; j < dim; j++) {
            ask += (double)row[j] * work->ask[j];
            answer += (double)row[j] * work->answer[j];
        }
        work->known->asks[i] = (float)ask;
        work->known->answers[i] = (float)answer;
    }
    return SONDE_OK;
}

/* Sums of two of them must be finite. */
static sonde_status sracl_check_scores(const struct sracl_rows *known, sonde_status wrong)
{
    const float most = 1e38f;
    for (int64_t i = 0; i < known->rows; i++)
        if (!(fabsf(known->asks[i]) <= most && fabsf(known->answers[i]) <= most))
            return sonde__fail(wrong, "the attention scores of row %lld, %g and %g, are too large",
                               (long long)i, (double)known->asks[i], (double)known->answers[i]);
    return SONDE_OK;
}

static sonde_status sracl_attend(sonde_runtime *runtime, const sonde_array *embeddings,
                                 const struct sracl_network *network, struct sracl_rows *known)
{
    int64_t dim = network->dim, workers = sonde__parallel_workers(runtime, 0, known->rows, SRACL_GRAIN);
    float *room = NULL;
    SONDE_TRY(SONDE_NEW(runtime, known->asks, known->rows));
    SONDE_TRY(SONDE_NEW(runtime, known->answers, known->rows));
    SONDE_TRY(SONDE_NEW(runtime, room, (2 + workers) * dim));
    struct sracl_folded work = {embeddings, room, room + dim, known, room + 2 * dim};
    sracl_fold(network, network->attention, room);
    sracl_fold(network, network->attention + network->width, room + dim);
    sonde_status status = sonde__parallel_for(runtime, 0, known->rows, SRACL_GRAIN, "attention",
                                              sracl_attend_chunk, &work);
    sonde__free(runtime, room);
    return status == SONDE_OK ? sracl_check_scores(known, SONDE_INVALID_ARGUMENT) : status;
}

/* ---- fitting ------------------------------------------------------------------------------------------- */

static sonde_status sracl_check(const sonde_row_sampler *sampler, const sonde_array *array,
                                sonde_array *embeddings)
{
    int64_t k = sonde__param_int(sampler->params, "k");
    SONDE_TRY(sonde__array_check(array, "embeddings", sampler->dim, SONDE__DTYPES_NUMERIC, embeddings));
    if (embeddings->rows <= k || embeddings->rows >= SONDE__ROWS_MOST)
        return sonde__fail(
            SONDE_INVALID_ARGUMENT, "embeddings has %lld rows; k=%lld neighbours need %lld..%lld",
            (long long)embeddings->rows, (long long)k, (long long)k + 1, (long long)SONDE__ROWS_MOST - 1);
    if (embeddings->cols > SONDE__MAX_DIM)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "embeddings has %lld columns, at most %d are taken",
                           (long long)embeddings->cols, SONDE__MAX_DIM);
    return sonde__array_check_finite(sampler->runtime, embeddings, "embeddings");
}

static sonde_status sracl_build(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                                struct sracl_rows *known)
{
    sonde_array embeddings;
    struct sracl_network network = {.width = sonde__param_int(sampler->params, "width")};
    SONDE_TRY(sracl_check(sampler, inputs[sonde__rows_input(sampler, "fit", "embeddings")], &embeddings));
    network.dim = embeddings.cols;
    known->rows = embeddings.rows;
    known->k = sonde__param_int(sampler->params, "k");
    sonde_status status = sracl_take_network(sampler, inputs, &network);
    if (status == SONDE_OK) status = sracl_attend(sampler->runtime, &embeddings, &network, known);
    sonde__free(sampler->runtime, network.projection);
    sonde__free(sampler->runtime, network.attention);
    return status == SONDE_OK ? sracl_neighbours(sampler, &embeddings, known) : status;
}

static sonde_status sracl_fit(sonde_row_sampler *sampler, const sonde_array *const *inputs)
{
    struct sracl_rows *known;
    SONDE_TRY(SONDE_NEW_ZERO(sampler->runtime, known, 1));
    sonde_status status = sracl_build(sampler, inputs, known);
    if (status != SONDE_OK) {
        sracl_forget(sampler->runtime, known);
        return sonde__fail_within(status, "fit");
    }
    sracl_forget(sampler->runtime, sampler->state);
    sampler->state = known;
    sampler->dim = inputs[sonde__rows_input(sampler, "fit", "embeddings")]->cols;
    return SONDE_OK;
}

/* ---- neighbours as positives --------------------------------------------------------------------------- */

struct sracl_work {
    sonde_row_sampler *sampler;
    const int64_t *queries; /* or sequences, b x length */
    int64_t each, length;
    double dropout, share;
    int64_t *sequences;
};

/* Softmax over the neighbours that exist, then dropout; all `each` weights and ids of one query. */
static void sracl_weigh(const struct sracl_work *work, int64_t user, int64_t first, sonde__rng *rng)
{
    const struct sracl_rows *known = work->sampler->state;
    int64_t *ids = work->sampler->drawn.ids + first;
    float *weights = work->sampler->drawn.weights + first;
    double most = -INFINITY, sum = 0;
    for (int64_t j = 0; j < work->each; j++) {
        uint32_t other = known->near[user * known->k + j];
        ids[j] = other == SRACL_NONE ? -1 : (int64_t)other;
        float score = other == SRACL_NONE ? -INFINITY : known->asks[user] + known->answers[other];
        weights[j] = score < 0 ? 0.2f * score : score;
        most = fmax(most, weights[j]);
    }
    for (int64_t j = 0; j < work->each; j++) sum += ids[j] < 0 ? 0 : exp(weights[j] - most);
    for (int64_t j = 0; j < work->each; j++) {
        double weight = ids[j] < 0 ? 0 : exp(weights[j] - most) / sum;
        bool kept = work->dropout == 0 || sonde__rng_unit(rng) >= work->dropout;
        weights[j] = kept ? (float)(weight / (1 - work->dropout)) : 0;
    }
}

static sonde_status sracl_query_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct sracl_work *work = context;
    sonde_row_sampler *sampler = work->sampler;
    sonde__rng rng;
    (void)worker;
    for (int64_t q = begin; q < end; q++) {
        sonde__rows_rng(sampler, sampler->pass, SRACL_STREAM_DRAW,
                        (uint64_t)(sampler->place + q * work->each), &rng);
        sracl_weigh(work, work->queries[q], q * work->each, &rng);
        for (int64_t j = 0; j < work->each; j++) sampler->drawn.groups[q * work->each + j] = q;
    }
    return SONDE_OK;
}

static sonde_status sracl_draw_queries(sonde_row_sampler *sampler, const sonde_array *array, int64_t count)
{
    const struct sracl_rows *known = sampler->state;
    int64_t *queries = NULL, each = sonde__min_i64(count, known->k);
    if (array->rows > SONDE__ROWS_MOST / each)
        return sonde__fail(SONDE_LIMIT, "%lld neighbours of %lld queries are more than %lld rows",
                           (long long)each, (long long)array->rows, (long long)SONDE__ROWS_MOST);
    SONDE_TRY(sonde__column_i64(sampler->runtime, array, "queries", -1, 0, known->rows - 1, &queries));
    struct sracl_work work = {.sampler = sampler,
                              .queries = queries,
                              .each = each,
                              .dropout = sonde__param_real(sampler->params, "dropout")};
    sonde_status status = sonde__rows_begin(sampler, array->rows * each, true);
    if (status == SONDE_OK)
        status = sonde__parallel_for(sampler->runtime, 0, array->rows, SRACL_GRAIN, "positives",
                                     sracl_query_chunk, &work);
    sonde__free(sampler->runtime, queries);
    return status;
}

/* ---- views of sequences -------------------------------------------------------------------------------- */

/* One of the neighbours that exist, each with the same chance; the item itself if it has none. */
static int64_t sracl_substitute(const struct sracl_rows *known, int64_t item, sonde__rng *rng)
{
    const uint32_t *near = known->near + item * known->k;
    int64_t found = 0;
    while (found < known->k && near[found] != SRACL_NONE) found++;
    return found ? near[sonde__rng_below(rng, (uint64_t)found)] : item;
}

/* Every choice of `wanted` of the items is equally likely: an item is taken with chance wanted / left
 * (Fan, Muller, Rezucha 1962). */
static void sracl_view(const struct sracl_work *work, const int64_t *sequence, sonde__rng *rng, int64_t *view)
{
    int64_t left = 0;
    for (int64_t j = 0; j < work->length; j++) left += sequence[j] >= 0;
    int64_t wanted = sonde__min_i64(left,
                                    sonde__max_i64(work->share > 0, llround(work->share * (double)left)));
    for (int64_t j = 0; j < work->length; j++) {
        view[j] = sequence[j];
        if (sequence[j] < 0) continue;
        if ((int64_t)sonde__rng_below(rng, (uint64_t)left--) >= wanted) continue;
        view[j] = sracl_substitute(work->sampler->state, sequence[j], rng);
        wanted--;
    }
}

static sonde_status sracl_view_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct sracl_work *work = context;
    sonde_row_sampler *sampler = work->sampler;
    sonde__rng rng;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        sonde__rows_rng(sampler, sampler->pass, SRACL_STREAM_DRAW, (uint64_t)(sampler->place + i), &rng);
        sracl_view(work, work->queries + i * work->length, &rng, work->sequences + i * work->length);
        sampler->drawn.ids[i] = i;
    }
    return SONDE_OK;
}

/* A packed, checked copy. */
static sonde_status sracl_take_sequences(const sonde_row_sampler *sampler, const sonde_array *array,
                                         int64_t **items)
{
    const struct sracl_rows *known = sampler->state;
    sonde_array view;
    SONDE_TRY(sonde__array_check(array, "sequences", 0, SONDE__DTYPE_BIT(SONDE_DTYPE_I64), &view));
    if (view.rows > SONDE__ROWS_MOST)
        return sonde__fail(SONDE_LIMIT, "sequences has %lld rows, at most %lld are taken",
                           (long long)view.rows, (long long)SONDE__ROWS_MOST);
    SONDE_TRY(SONDE_NEW(sampler->runtime, *items, view.rows * view.cols));
    for (int64_t i = 0; i < view.rows; i++)
        memcpy(*items + i * view.cols, sonde__array_row(&view, i), (size_t)view.cols * sizeof **items);
    for (int64_t i = 0; i < view.rows * view.cols; i++)
        if ((*items)[i] < -1 || (*items)[i] >= known->rows)
            return sonde__fail(SONDE_INVALID_ARGUMENT, "sequences: row %lld holds %lld, outside -1..%lld",
                               (long long)(i / view.cols), (long long)(*items)[i],
                               (long long)known->rows - 1);
    return SONDE_OK;
}

static sonde_status sracl_draw_views(sonde_row_sampler *sampler, const sonde_array *array)
{
    int64_t *items = NULL;
    struct sracl_work work = {
        .sampler = sampler, .length = array->cols, .share = sonde__param_real(sampler->params, "share")};
    sonde_status status = sracl_take_sequences(sampler, array, &items);
    work.queries = items;
    if (status == SONDE_OK) status = sonde__rows_begin(sampler, array->rows, false);
    if (status == SONDE_OK)
        status = sonde__rows_column(sampler, "sequences", array->rows, array->cols, &work.sequences);
    if (status == SONDE_OK)
        status = sonde__parallel_for(sampler->runtime, 0, array->rows, SRACL_GRAIN, "views", sracl_view_chunk,
                                     &work);
    sonde__free(sampler->runtime, items);
    return status;
}

static sonde_status sracl_draw(sonde_row_sampler *sampler, const sonde_array *const *inputs, int64_t count)
{
    if (!inputs)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "draw: sracl draws for queries or sequences; call sonde_row_sampler_draw_for");
    const sonde_array *queries = inputs[sonde__rows_input(sampler, "draw", "queries")];
    const sonde_array *sequences = inputs[sonde__rows_input(sampler, "draw", "sequences")];
    if (!queries == !sequences)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "draw_for: sracl takes either queries or sequences");
    sonde_status status = queries ? sracl_draw_queries(sampler, queries, count)
                                  : sracl_draw_views(sampler, sequences);
    return status == SONDE_OK ? SONDE_OK : sonde__fail_within(status, "draw_for");
}

/* ---- the loss ------------------------------------------------------------------------------------------ */

struct sracl_pairs {
    int64_t count, dim;
    double temperature;
    float *x, *y, *dx, *dy; /* count x dim: the views, and the derivatives by them */
    float *pull, *turned;   /* count x count: products, then the derivative by them; and its transpose */
    double *losses;         /* of each row */
};

static void sracl_drop_pairs(sonde_runtime *runtime, struct sracl_pairs *pairs)
{
    sonde__free(runtime, pairs->x);
    sonde__free(runtime, pairs->y);
    sonde__free(runtime, pairs->dx);
    sonde__free(runtime, pairs->dy);
    sonde__free(runtime, pairs->pull);
    sonde__free(runtime, pairs->turned);
    sonde__free(runtime, pairs->losses);
}

static sonde_status sracl_take_pairs(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                                     struct sracl_pairs *pairs)
{
    sonde_runtime *runtime = sampler->runtime;
    const sonde_array *x = inputs[sonde__rows_input(sampler, "loss", "view_a")];
    const sonde_array *y = inputs[sonde__rows_input(sampler, "loss", "view_b")];
    pairs->count = x->rows;
    pairs->dim = x->cols;
    pairs->temperature = sonde__param_real(sampler->params, "temperature");
    if (pairs->count < 1 || pairs->count > INT32_MAX)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "view_a has %lld rows, expected 1..%d",
                           (long long)pairs->count, INT32_MAX);
    SONDE_TRY(sonde__matrix_f32(runtime, x, "view_a", -1, 0, &pairs->x));
    SONDE_TRY(sonde__matrix_f32(runtime, y, "view_b", pairs->count, pairs->dim, &pairs->y));
    SONDE_TRY(SONDE_NEW(runtime, pairs->pull, pairs->count * pairs->count));
    SONDE_TRY(SONDE_NEW(runtime, pairs->turned, pairs->count * pairs->count));
    SONDE_TRY(SONDE_NEW(runtime, pairs->dx, pairs->count * pairs->dim));
    SONDE_TRY(SONDE_NEW(runtime, pairs->dy, pairs->count * pairs->dim));
    return SONDE_NEW(runtime, pairs->losses, pairs->count);
}

/* One row of products becomes (softmax - its own pair) / (count x temperature). */
static sonde_status sracl_pair_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    struct sracl_pairs *pairs = context;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        float *row = pairs->pull + i * pairs->count;
        float largest = row[0];
        for (int64_t j = 1; j < pairs->count; j++) largest = row[j] > largest ? row[j] : largest;
        double most = largest, own = row[i] / pairs->temperature, sum = 0;
        for (int64_t j = 0; j < pairs->count; j++) sum += exp((row[j] - most) / pairs->temperature);
        pairs->losses[i] = most / pairs->temperature + log(sum) - own;
        if (!isfinite(pairs->losses[i]))
            return sonde__fail(SONDE_INVALID_ARGUMENT, "the products of row %lld of view_a are too large",
                               (long long)i);
        for (int64_t j = 0; j < pairs->count; j++) {
            double share = exp((row[j] - most) / pairs->temperature) / sum - (i == j);
            row[j] = (float)(share / (pairs->temperature * (double)pairs->count));
        }
    }
    return SONDE_OK;
}

/* With the pulls P: dx = P y, dy = P^T x. */
static sonde_status sracl_contrast(sonde_runtime *runtime, struct sracl_pairs *pairs)
{
    int64_t n = pairs->count, d = pairs->dim;
    SONDE_TRY(sonde__gemm_nt(runtime, 0, n, n, d, pairs->x, d, pairs->y, d, pairs->pull, n));
    SONDE_TRY(sonde__parallel_for(runtime, 0, n, 16, "contrast", sracl_pair_chunk, pairs));
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) pairs->turned[j * n + i] = pairs->pull[i * n + j];
    SONDE_TRY(sonde__gemm_nn(runtime, 0, n, d, n, pairs->pull, n, pairs->y, d, pairs->dx, d));
    return sonde__gemm_nn(runtime, 0, n, d, n, pairs->turned, n, pairs->x, d, pairs->dy, d);
}

static sonde_status sracl_loss(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                               const sonde_array *const *gradients, double *loss)
{
    struct sracl_pairs pairs = {0};
    const sonde_array *to_x = gradients[sonde__rows_input(sampler, "loss", "view_a")];
    const sonde_array *to_y = gradients[sonde__rows_input(sampler, "loss", "view_b")];
    double sum = 0;
    sonde_status status = sracl_take_pairs(sampler, inputs, &pairs);
    if (status == SONDE_OK) status = sracl_contrast(sampler->runtime, &pairs);
    for (int64_t i = 0; status == SONDE_OK && i < pairs.count; i++) sum += pairs.losses[i];
    if (status == SONDE_OK) {
        if (to_x) sonde__gradient_put(to_x, pairs.dx);
        if (to_y) sonde__gradient_put(to_y, pairs.dy);
        *loss = sum / (double)pairs.count;
    }
    sracl_drop_pairs(sampler->runtime, &pairs);
    return status == SONDE_OK ? SONDE_OK : sonde__fail_within(status, "loss");
}

/* ---- files --------------------------------------------------------------------------------------------- */

static sonde_status sracl_save(const sonde_row_sampler *sampler, sonde__writer *writer)
{
    const struct sracl_rows *known = sampler->state;
    uint64_t rows = (uint64_t)known->rows;
    SONDE_TRY(sonde__write_int(writer, "rows", known->rows));
    SONDE_TRY(
        sonde__write_array(writer, "NEAR", known->near, rows * (uint64_t)known->k, sizeof *known->near));
    SONDE_TRY(sonde__write_array(writer, "ASKS", known->asks, rows, sizeof *known->asks));
    return sonde__write_array(writer, "ANSWERS", known->answers, rows, sizeof *known->answers);
}

/* Missing neighbours come last, and no row is its own. */
static sonde_status sracl_check_near(const struct sracl_rows *known)
{
    for (int64_t i = 0; i < known->rows; i++) {
        const uint32_t *near = known->near + i * known->k;
        for (int64_t j = 0; j < known->k; j++)
            if (near[j] != SRACL_NONE &&
                (near[j] >= known->rows || near[j] == i || (j && near[j - 1] == SRACL_NONE)))
                return sonde__fail(SONDE_CORRUPT, "section \"NEAR\": neighbour %lld of row %lld is %lld",
                                   (long long)j, (long long)i, (long long)near[j]);
    }
    return SONDE_OK;
}

static sonde_status sracl_read_near(sonde_runtime *runtime, sonde__reader *reader, struct sracl_rows *known)
{
    sonde__blob blob;
    uint64_t count = (uint64_t)(known->rows * known->k);
    SONDE_TRY(sonde__read_array(reader, "NEAR", count, sizeof *known->near, true, &blob));
    sonde_status status = SONDE_NEW(runtime, known->near, count);
    if (status == SONDE_OK) memcpy(known->near, blob.data, count * sizeof *known->near);
    sonde__blob_free(runtime, &blob);
    return status == SONDE_OK ? sracl_check_near(known) : status;
}

static sonde_status sracl_read(const sonde_row_sampler *sampler, sonde__reader *reader,
                               struct sracl_rows *known)
{
    sonde_runtime *runtime = sampler->runtime;
    known->k = sonde__param_int(sampler->params, "k");
    SONDE_TRY(sonde__read_int(reader, "rows", known->k + 1, SONDE__ROWS_MOST - 1, &known->rows));
    SONDE_TRY(sracl_read_near(runtime, reader, known));
    SONDE_TRY(sonde__handle_floats(runtime, reader, "ASKS", (uint64_t)known->rows, &known->asks));
    SONDE_TRY(sonde__handle_floats(runtime, reader, "ANSWERS", (uint64_t)known->rows, &known->answers));
    return sracl_check_scores(known, SONDE_CORRUPT);
}

static sonde_status sracl_load(sonde_row_sampler *sampler, sonde__reader *reader)
{
    struct sracl_rows *known;
    SONDE_TRY(SONDE_NEW_ZERO(sampler->runtime, known, 1));
    sonde_status status = sracl_read(sampler, reader, known);
    if (status == SONDE_OK) sampler->state = known;
    else sracl_forget(sampler->runtime, known);
    return status;
}

static const sonde__key sracl_keys[] = {
    {"k", SONDE__KEY_INT, "10", 1, 1000, NULL, NULL, "neighbours of a row, itself excluded"},
    {"dropout", SONDE__KEY_REAL, "0.5", 0, 0.99, NULL, NULL, "chance that an attention weight is 0; 0: off"},
    {"width", SONDE__KEY_INT, "64", 1, 4096, NULL, NULL, "rows of the projection of the attention network"},
    {"share", SONDE__KEY_REAL, "0.2", 0, 1, NULL, NULL, "share of a sequence's items that a view replaces"},
    {"temperature", SONDE__KEY_REAL, "1", 1e-3, 1e3, NULL, NULL, "of the loss"},
    {"index", SONDE__KEY_SPEC, "flat(metric=cosine)", 0, 0, NULL, "index", "finds the neighbours"},
    {0},
};

#define SRACL_IDS (SONDE__DTYPE_BIT(SONDE_DTYPE_I64) | SONDE__DTYPE_BIT(SONDE_DTYPE_I32))

static const sonde__input_key sracl_inputs[] = {
    {"embeddings", "n x dim", SONDE__DTYPES_NUMERIC, true, "text embeddings of the users or items, n > k",
     "fit"},
    {"projection", "width x dim", SONDE__DTYPES_NUMERIC, false, "W of the attention; else random", "fit"},
    {"attention", "(2 width) x 1", SONDE__DTYPES_NUMERIC, false, "a of the attention; else random", "fit"},
    {"queries", "b x 1", SRACL_IDS, false, "rows whose neighbours are wanted", "draw"},
    {"sequences", "b x length", SONDE__DTYPE_BIT(SONDE_DTYPE_I64), false,
     "instead of queries: sequences of rows to make views of, padded with -1", "draw"},
    {"view_a", "b x d", SONDE__DTYPES_NUMERIC, true, "one encoding of each sequence", "loss"},
    {"view_b", "b x d", SONDE__DTYPES_NUMERIC, true, "its positive: another encoding", "loss"},
    {0},
};

static const sonde__output_key sracl_outputs[] = {
    {"sequences", "b x length", SONDE_DTYPE_I64, "the views: sequences with some items replaced"},
    {0},
};

const sonde__row_method sonde__row_sampler_sracl = {
    .method = {"sracl", "positives and views from the neighbours by text, weighed by attention",
               "Cui et al., 2025", sracl_keys, sracl_inputs, NULL, sracl_outputs},
    .create = sracl_create,
    .fit = sracl_fit,
    .draw = sracl_draw,
    .loss = sracl_loss,
    .save = sracl_save,
    .load = sracl_load,
    .drop = sracl_drop,
};
