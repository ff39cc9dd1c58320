/* negatives_draw.c: the frame of a draw of negatives: which queries, what their lists are, and one call of the
 * method's choice for each, in parallel.
 *
 * A plain draw goes through the fitted queries, in an order that is shuffled for each pass; every query has `each`
 * rows, so row r of a pass belongs to query order[r / each]. A draw may begin and end inside a query: the rows of a
 * pass are the same however they are cut. A draw for given queries has `count` rows for each of them, in their order.
 *
 * The random numbers of a query are those of its place in the pass (draws for given queries: of the rows that were
 * drawn before), so neither threads nor other queries change them.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "rows/negatives.h"

enum { NEGATIVES_ORDER = 0x6e01, NEGATIVES_PASS = 0x6e02, NEGATIVES_FOR = 0x6e03, NEGATIVES_GRAIN = 16 };

/* ---- which queries ------------------------------------------------------------------------------------------- */

/* The queries of the rows that follow `place`. */
static sonde_status negatives_next(sonde_row_sampler *sampler, int64_t count, sonde__negatives_batch *batch)
{
    sonde__negatives *state = batch->state;
    int64_t each = state->plan.each, total = state->queries * each, place = sampler->place;
    if (count == 0) count = each * sonde__param_int(sampler->params, "batch");
    SONDE_TRY(sonde__rows_order(sampler, NEGATIVES_ORDER, state->queries, &state->order));
    batch->each = each;
    batch->rows = sonde__min_i64(count, sonde__max_i64(0, total - place));
    batch->skip = place % each;
    batch->queries = (batch->skip + batch->rows + each - 1) / each;
    batch->stream = NEGATIVES_PASS;
    batch->first_key = place / each;
    batch->key_step = 1;
    if (batch->rows == 0) batch->queries = 0;
    SONDE_TRY(SONDE_NEW(sampler->runtime, batch->number, batch->queries));
    for (int64_t i = 0; i < batch->queries; i++) batch->number[i] = state->order.numbers[place / each + i];
    return SONDE_OK;
}

static sonde_status negatives_too_many(int64_t queries, int64_t each)
{
    return sonde__fail(SONDE_LIMIT, "draw_for: %lld rows for each of %lld queries are too many", (long long)each,
                       (long long)queries);
}

/* Positives that came with the draw. */
static sonde_status negatives_take_given(sonde_row_sampler *sampler, const sonde_array *positives,
                                         const sonde_array *offsets, sonde__negatives_batch *batch)
{
    const sonde_index *index;
    SONDE_TRY(sonde__lists_take(sampler->runtime, positives, offsets, "draw_for: positives", batch->queries,
                                INT64_MAX, &batch->given));
    SONDE_TRY(sonde__negatives_index(sampler, batch->state, &index));
    sonde_status status = sonde__negatives_check(index, &batch->given, batch->state->plan.needs_right);
    return status == SONDE_OK ? status : sonde__fail_within(status, "draw_for");
}

/* The queries that the inputs name: fitted ones by number, or any with their positives. */
static sonde_status negatives_named(sonde_row_sampler *sampler, const sonde_array *const *inputs,
                                    sonde__negatives_batch *batch)
{
    const sonde_array *ids = sonde__negatives_input(sampler, inputs, "draw", "query_ids");
    const sonde_array *queries = sonde__negatives_input(sampler, inputs, "draw", "queries");
    const sonde_array *positives = sonde__negatives_input(sampler, inputs, "draw", "positives");
    const sonde_array *offsets = sonde__negatives_input(sampler, inputs, "draw", "positive_offsets");
    if (!ids && !(queries && positives))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "draw_for: \"query_ids\" is missing%s",
                           queries ? " (or give the \"positives\" of these queries)" : "");
    if (ids && (positives || offsets))
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "draw_for: \"query_ids\" and \"positives\" are both given; give one");
    batch->queries = ids ? ids->rows : queries->rows;
    if (ids)
        SONDE_TRY(sonde__column_i64(sampler->runtime, ids, "draw_for: query_ids", -1, 0, batch->state->queries - 1,
                                    &batch->number));
    else SONDE_TRY(negatives_take_given(sampler, positives, offsets, batch));
    if (!queries) return SONDE_OK;
    return sonde__matrix_f32(sampler->runtime, queries, "draw_for: queries", batch->queries, sampler->dim,
                             &batch->vectors);
}

static sonde_status negatives_asked(sonde_row_sampler *sampler, const sonde_array *const *inputs, int64_t count,
                                    sonde__negatives_batch *batch)
{
    SONDE_TRY(negatives_named(sampler, inputs, batch));
    batch->each = count ? count : batch->state->plan.each;
    if (batch->queries > SONDE__ROWS_MOST / batch->each) return negatives_too_many(batch->queries, batch->each);
    batch->rows = batch->queries * batch->each;
    batch->stream = NEGATIVES_FOR;
    batch->first_key = sampler->place;
    batch->key_step = batch->each;
    if (batch->number) return SONDE_OK;
    SONDE_TRY(SONDE_NEW(sampler->runtime, batch->number, batch->queries));
    for (int64_t i = 0; i < batch->queries; i++) batch->number[i] = i;
    return SONDE_OK;
}

/* ---- their lists --------------------------------------------------------------------------------------------- */

/* The fitted vectors of the batch. */
static sonde_status negatives_gather(const sonde_row_sampler *sampler, sonde__negatives_batch *batch)
{
    size_t bytes = (size_t)sampler->dim * sizeof(float);
    if (batch->vectors || !batch->state->plan.searched) return SONDE_OK;
    SONDE_TRY(SONDE_NEW(sampler->runtime, batch->vectors, batch->queries * sampler->dim));
    for (int64_t i = 0; i < batch->queries; i++)
        memcpy(batch->vectors + i * sampler->dim, batch->state->query + batch->number[i] * sampler->dim, bytes);
    return SONDE_OK;
}

static const sonde__lists *negatives_positives(const sonde__negatives_batch *batch)
{
    return batch->given.begin ? &batch->given : &batch->state->positives;
}

/* Searches for this draw, where its queries are new or the plan says so. */
static sonde_status negatives_look(const sonde_row_sampler *sampler, sonde__negatives_batch *batch)
{
    const sonde__negatives_plan *plan = &batch->state->plan;
    sonde__negatives_search search = {.vectors = batch->vectors,
                                      .count = batch->queries,
                                      .owner = batch->number,
                                      .positives = negatives_positives(batch),
                                      .depth = plan->depth,
                                      .keep = plan->searched};
    if (!batch->vectors || plan->depth == 0) return SONDE_OK;
    SONDE_TRY(sonde__negatives_index(sampler, batch->state, &search.index));
    search.width = batch->width = sonde__negatives_width(&search);
    SONDE_TRY(SONDE_SCRATCH(batch->scratch, batch->list, batch->queries * batch->width));
    if (plan->scores) SONDE_TRY(SONDE_SCRATCH(batch->scratch, batch->score, batch->queries * batch->width));
    search.list = batch->list;
    search.score = batch->score;
    return sonde__negatives_search_all(sampler, &search);
}

sonde_status sonde__negatives_begin(sonde_row_sampler *sampler, const sonde_array *const *inputs, int64_t count,
                                    sonde__negatives_batch *batch)
{
    *batch = (sonde__negatives_batch){.state = sampler->state};
    SONDE_TRY(sonde__negatives_refresh(sampler));
    SONDE_TRY(sonde__scratch_take(sampler->runtime, &batch->scratch));
    sonde_status status = inputs ? negatives_asked(sampler, inputs, count, batch)
                                 : negatives_next(sampler, count, batch);
    if (status == SONDE_OK) status = negatives_gather(sampler, batch);
    if (status == SONDE_OK) status = negatives_look(sampler, batch);
    if (status == SONDE_OK) status = sonde__rows_begin(sampler, batch->rows, true);
    if (status != SONDE_OK) sonde__negatives_end(sampler, batch);
    return status;
}

void sonde__negatives_end(sonde_row_sampler *sampler, sonde__negatives_batch *batch)
{
    sonde__free(sampler->runtime, batch->number);
    sonde__free(sampler->runtime, batch->vectors);
    sonde__lists_drop(sampler->runtime, &batch->given);
    sonde__scratch_give(sampler->runtime, batch->scratch);
}

/* ---- choosing ------------------------------------------------------------------------------------------------ */

struct negatives_run {
    sonde_row_sampler *sampler;
    const sonde__negatives_batch *batch;
    sonde__negatives_choose choose;
    void *context;
    sonde__negative *rows; /* queries x each */
    int64_t *positive;     /* of each query */
};

static void negatives_query_at(const struct negatives_run *run, int64_t i, sonde__negatives_query *query)
{
    const sonde__negatives_batch *batch = run->batch;
    const sonde__negatives_mined *mined = &batch->state->mined;
    const sonde__lists *positives = negatives_positives(batch);
    int64_t owner = batch->number[i], width = batch->list ? batch->width : batch->state->plan.depth;
    int64_t row = batch->list ? i : owner;
    const int64_t *list = batch->list ? batch->list : mined->list;
    const float *score = batch->list ? batch->score : mined->score;
    *query = (sonde__negatives_query){.at = i,
                                      .positives = positives->items + positives->begin[owner],
                                      .positive_count = positives->begin[owner + 1] - positives->begin[owner],
                                      .list = list ? list + row * width : NULL,
                                      .score = score ? score + row * width : NULL};
    while (list && query->length < width && query->list[query->length] >= 0) query->length++;
    sonde__rows_rng(run->sampler, run->sampler->pass, batch->stream,
                    (uint64_t)(batch->first_key + i * batch->key_step), &query->rng);
}

static sonde_status negatives_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct negatives_run *run = context;
    int64_t each = run->batch->each;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        sonde__negatives_query query;
        negatives_query_at(run, i, &query);
        for (int64_t j = 0; j < each; j++)
            run->rows[i * each + j] = (sonde__negative){
                .id = -1, .rank = -1, .log_probability = -INFINITY, .weight = 0};
        SONDE_TRY(run->choose(run->sampler, &query, each, run->rows + i * each, &run->positive[i], run->context));
    }
    return SONDE_OK;
}

/* From the queries' rows to those of the draw, which may begin inside a query. */
static sonde_status negatives_spread(const struct negatives_run *run)
{
    sonde_row_sampler *sampler = run->sampler;
    const sonde__negatives_batch *batch = run->batch;
    sonde__drawn *drawn = &sampler->drawn;
    int32_t *ranks;
    float *log_probabilities;
    int64_t *positives;
    SONDE_TRY(sonde__rows_column(sampler, "ranks", batch->rows, 1, &ranks));
    SONDE_TRY(sonde__rows_column(sampler, "log_probabilities", batch->rows, 1, &log_probabilities));
    SONDE_TRY(sonde__rows_column(sampler, "positives", batch->rows, 1, &positives));
    for (int64_t r = 0; r < batch->rows; r++) {
        int64_t from = batch->skip + r, query = from / batch->each;
        drawn->ids[r] = run->rows[from].id;
        drawn->weights[r] = run->rows[from].weight;
        drawn->groups[r] = batch->number[query];
        ranks[r] = run->rows[from].rank;
        log_probabilities[r] = run->rows[from].log_probability;
        positives[r] = run->positive[query];
    }
    return SONDE_OK;
}

sonde_status sonde__negatives_run(sonde_row_sampler *sampler, const sonde__negatives_batch *batch,
                                  sonde__negatives_choose choose, void *context)
{
    struct negatives_run run = {.sampler = sampler, .batch = batch, .choose = choose, .context = context};
    sonde__negatives *state = batch->state;
    SONDE_TRY(SONDE_SCRATCH(batch->scratch, run.rows, batch->queries * batch->each));
    SONDE_TRY(SONDE_SCRATCH(batch->scratch, run.positive, batch->queries));
    SONDE_TRY(
        sonde__parallel_for(sampler->runtime, 0, batch->queries, NEGATIVES_GRAIN, "draw", negatives_chunk, &run));
    SONDE_TRY(negatives_spread(&run));
    if (batch->stream == NEGATIVES_PASS)
        sampler->drawn.last = sampler->place + batch->rows >= state->queries * state->plan.each;
    state->since++;
    return SONDE_OK;
}

sonde_status sonde__negatives_draw(sonde_row_sampler *sampler, const sonde_array *const *inputs, int64_t count,
                                   sonde__negatives_choose choose)
{
    sonde__negatives_batch batch;
    SONDE_TRY(sonde__negatives_begin(sampler, inputs, count, &batch));
    sonde_status status = sonde__negatives_run(sampler, &batch, choose, NULL);
    sonde__negatives_end(sampler, &batch);
    return status;
}

int64_t sonde__negatives_positive(sonde__negatives_query *query)
{
    if (query->positive_count == 0) return -1;
    return query->positives[sonde__rng_below(&query->rng, (uint64_t)query->positive_count)];
}

/* ---- losses -------------------------------------------------------------------------------------------------- */

double sonde__softplus(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }

double sonde__sigmoid(double x)
{
    double small = exp(-fabs(x));
    return x >= 0 ? 1 / (1 + small) : small / (1 + small);
}
