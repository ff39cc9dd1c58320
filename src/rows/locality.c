/* locality.c: batches of queries that lie near each other in a retrieval graph, with hard negatives.
 *
 * In-batch negatives are hard where the queries of a batch retrieve the same documents. A walk over the graph
 * of fitted lists composes such batches: it begins at a random query that was not used yet, gives it a random
 * positive and `hard` random negatives out of its list's ranks band_low .. band_high - 1, and goes on to
 * queries that have these negatives at ranks back_low .. back_high - 1 of their own lists: the last one found
 * first (random_walk) or the first one first (snowball; queries that were found together come in random
 * order). A new walk begins with each batch, after each batch / patches queries, and where nothing is left to
 * go to.
 *
 * Source: Xiao et al., "Progressively Optimized Bi-Granular Document Representation for Scalable Embedding
 * Based Retrieval", WWW 2022.
 *
 * A row of a draw is a query: id = its number, group = the number of its walk in the pass; outputs positives
 * (-1 where it has none) and negatives. A negative is never one of the query's positives, nor a document that
 * the batch has already; where the list has too few, documents at random fill up, and -1 where there are none
 * left. A pass takes each query once; batches begin at the places 0, batch, 2 batch, ...
 *
 * Cost: a pass is planned at its first draw, O(queries x band + edges that are looked at); memory 4 bytes an
 * edge, twice, 8 bytes a document, and (16 + 8 hard) bytes a query for the plan.
 *
 * SPDX-License-Identifier: MIT
 */
#include "rows/rows.h"

enum { LOCALITY_STREAM = 0x10ca1 };

#define LOCALITY_TRIES 64  /* random documents before a search through all */
#define LOCALITY_POLL 1024 /* queries between two questions whether to go on */

/* Lists of numbers in the order given. */
struct locality_graph {
    int64_t *begin; /* owners + 1 */
    uint32_t *item;
};

/* The rows of a pass. */
struct locality_plan {
    bool made;
    int64_t pass;
    uint32_t *query, *walk;
    int64_t *positive, *negative; /* negative: `hard` for each query */
};

struct locality_state {
    int64_t queries, documents;
    struct locality_graph lists; /* of documents, by query */
    struct locality_graph back;  /* of queries, by document */
    sonde__lists positives;
    struct locality_plan plan;
};

static void locality_forget(sonde_runtime *runtime, struct locality_state *state)
{
    if (!state) return;
    sonde__free(runtime, state->lists.begin);
    sonde__free(runtime, state->lists.item);
    sonde__free(runtime, state->back.begin);
    sonde__free(runtime, state->back.item);
    sonde__lists_drop(runtime, &state->positives);
    sonde__free(runtime, state->plan.query);
    sonde__free(runtime, state->plan.walk);
    sonde__free(runtime, state->plan.positive);
    sonde__free(runtime, state->plan.negative);
    sonde__free(runtime, state);
}

static void locality_drop(sonde_row_sampler *sampler)
{
    locality_forget(sampler->runtime, sampler->state);
}

static int64_t locality_key(const sonde_row_sampler *sampler, const char *key)
{
    return sonde__param_int(sampler->params, key);
}

static sonde_status locality_poll(const sonde_row_sampler *sampler, const char *stage, int64_t done,
                                  int64_t total)
{
    if (done % LOCALITY_POLL != 0) return SONDE_OK;
    return sonde__poll(sampler->runtime, stage, (uint64_t)done, (uint64_t)total);
}

static sonde_status locality_check_band(const sonde_row_sampler *sampler, const char *low, const char *high)
{
    if (locality_key(sampler, low) < locality_key(sampler, high)) return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT, "locality: %s=%lld is not below %s=%lld", low,
                       (long long)locality_key(sampler, low), high, (long long)locality_key(sampler, high));
}

static sonde_status locality_create(sonde_row_sampler *sampler)
{
    sampler->batch = locality_key(sampler, "batch");
    SONDE_TRY(locality_check_band(sampler, "band_low", "band_high"));
    SONDE_TRY(locality_check_band(sampler, "back_low", "back_high"));
    if (locality_key(sampler, "patches") <= sampler->batch) return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT, "locality: patches=%lld is more than batch=%lld",
                       (long long)locality_key(sampler, "patches"), (long long)sampler->batch);
}

/* ---- fitting ------------------------------------------------------------------------------------------- */

static int64_t locality_number(const sonde_array *array, int64_t row, int64_t col)
{
    const uint8_t *at = sonde__array_row(array, row);
    int64_t wide;
    int32_t narrow;
    if (array->dtype == SONDE_DTYPE_I64) {
        memcpy(&wide, at + col * 8, sizeof wide);
        return wide;
    }
    memcpy(&narrow, at + col * 4, sizeof narrow);
    return narrow;
}

/* Reads padded lists as far as any band goes; *documents grows to what they name. */
static sonde_status locality_read_lists(const sonde_row_sampler *sampler, const sonde_array *view,
                                        int64_t most, struct locality_graph *lists, int64_t *documents)
{
    int64_t filled = 0;
    int64_t depth = sonde__max_i64(locality_key(sampler, "band_high"), locality_key(sampler, "back_high"));
    depth = sonde__min_i64(depth, view->cols);
    SONDE_TRY(SONDE_NEW(sampler->runtime, lists->begin, view->rows + 1));
    SONDE_TRY(SONDE_NEW(sampler->runtime, lists->item, view->rows * depth));
    for (int64_t q = 0; q < view->rows; q++) {
        SONDE_TRY(locality_poll(sampler, "locality: lists", q, view->rows));
        lists->begin[q] = filled;
        for (int64_t j = 0; j < view->cols && filled - lists->begin[q] < depth; j++) {
            int64_t document = locality_number(view, q, j);
            if (document == -1) continue;
            if (document < 0 || document > most)
                return sonde__fail(SONDE_INVALID_ARGUMENT, "fit: lists: row %lld holds %lld, outside 0..%lld",
                                   (long long)q, (long long)document, (long long)most);
            lists->item[filled++] = (uint32_t)document;
            *documents = sonde__max_i64(*documents, document + 1);
        }
    }
    lists->begin[view->rows] = filled;
    return SONDE_OK;
}

/* The part of query q's list between two ranks. */
static void locality_band(const struct locality_state *state, int64_t q, int64_t low, int64_t high,
                          int64_t *first, int64_t *end)
{
    int64_t begin = state->lists.begin[q], length = state->lists.begin[q + 1] - begin;
    *end = begin + sonde__min_i64(high, length);
    *first = sonde__min_i64(begin + sonde__min_i64(low, length), *end);
}

/* The lists turned around: which queries have a document in their back band. */
static sonde_status locality_turn(const sonde_row_sampler *sampler, struct locality_state *state)
{
    int64_t low = locality_key(sampler, "back_low"), high = locality_key(sampler, "back_high"), first, end;
    int64_t *begin;
    SONDE_TRY(SONDE_NEW_ZERO(sampler->runtime, begin, state->documents + 1));
    state->back.begin = begin;
    for (int64_t q = 0; q < state->queries; q++) {
        locality_band(state, q, low, high, &first, &end);
        for (int64_t j = first; j < end; j++) begin[state->lists.item[j] + 1]++;
    }
    for (int64_t d = 0; d < state->documents; d++) begin[d + 1] += begin[d];
    SONDE_TRY(SONDE_NEW(sampler->runtime, state->back.item, begin[state->documents]));
    for (int64_t q = 0; q < state->queries; q++) {
        SONDE_TRY(locality_poll(sampler, "locality: graph", q, state->queries));
        locality_band(state, q, low, high, &first, &end);
        for (int64_t j = first; j < end; j++) state->back.item[begin[state->lists.item[j]]++] = (uint32_t)q;
    }
    /* Each begin has moved to the next one's. */
    for (int64_t d = state->documents; d > 0; d--) begin[d] = begin[d - 1];
    begin[0] = 0;
    return SONDE_OK;
}

static sonde_status locality_read(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                                  struct locality_state *state)
{
    const sonde_array *positives = inputs[sonde__rows_input(sampler, "fit", "positives")];
    const sonde_array *offsets = inputs[sonde__rows_input(sampler, "fit", "positive_offsets")];
    int64_t given = locality_key(sampler, "documents"), most = given > 0 ? given - 1 : SONDE__ROWS_MOST - 1;
    sonde_array view;
    SONDE_TRY(sonde__array_check(inputs[sonde__rows_input(sampler, "fit", "lists")], "fit: lists", 0,
                                 SONDE__DTYPE_BIT(SONDE_DTYPE_I64) | SONDE__DTYPE_BIT(SONDE_DTYPE_I32),
                                 &view));
    SONDE_TRY(sonde__rows_fit_check("lists", view.rows, 1));
    state->queries = view.rows;
    SONDE_TRY(locality_read_lists(sampler, &view, most, &state->lists, &state->documents));
    SONDE_TRY(sonde__lists_take(sampler->runtime, positives, offsets, "fit: positives", view.rows, most,
                                &state->positives));
    for (int64_t i = 0; i < state->positives.begin[view.rows]; i++)
        state->documents = sonde__max_i64(state->documents, state->positives.items[i] + 1);
    if (given > 0) state->documents = given;
    return locality_turn(sampler, state);
}

static sonde_status locality_fit(sonde_row_sampler *sampler, const sonde_array *const *inputs)
{
    struct locality_state *state;
    SONDE_TRY(SONDE_NEW_ZERO(sampler->runtime, state, 1));
    sonde_status status = locality_read(sampler, inputs, state);
    if (status != SONDE_OK) {
        locality_forget(sampler->runtime, state);
        return status;
    }
    locality_drop(sampler);
    sampler->state = state;
    return SONDE_OK;
}

/* ---- the walk ------------------------------------------------------------------------------------------ */

/* What planning a pass works with. */
struct locality_walker {
    const sonde_row_sampler *sampler;
    const struct locality_state *state;
    struct locality_plan *plan;
    int64_t hard, band_low, band_high;
    bool last_first, begun; /* begun: this walk has its first query */
    sonde__rng rng;
    bool *used;                 /* queries */
    uint32_t *start;            /* queries in random order, for the beginnings of walks */
    int64_t next_start;
    uint32_t *waiting;          /* queries that this walk has found: waiting[head .. tail) */
    int64_t head, tail;
    uint32_t walk, batch;       /* numbers from 1 on */
    uint32_t *found;            /* queries: the last walk that found it */
    uint32_t *held;             /* documents: the last batch that holds it */
    uint32_t *fitting;          /* the documents of a band that may be drawn */
};

static sonde_status locality_walker_memory(struct locality_walker *walker, sonde__scratch *scratch)
{
    const struct locality_state *state = walker->state;
    SONDE_TRY(SONDE_SCRATCH(scratch, walker->used, state->queries));
    SONDE_TRY(SONDE_SCRATCH(scratch, walker->start, state->queries));
    SONDE_TRY(SONDE_SCRATCH(scratch, walker->waiting, state->queries));
    SONDE_TRY(SONDE_SCRATCH(scratch, walker->found, state->queries));
    SONDE_TRY(SONDE_SCRATCH(scratch, walker->held, state->documents));
    int64_t longest = 0;
    for (int64_t q = 0; q < state->queries; q++)
        longest = sonde__max_i64(longest, state->lists.begin[q + 1] - state->lists.begin[q]);
    SONDE_TRY(SONDE_SCRATCH(scratch, walker->fitting, longest));
    memset(walker->used, 0, (size_t)state->queries * sizeof *walker->used);
    memset(walker->found, 0, (size_t)state->queries * sizeof *walker->found);
    memset(walker->held, 0, (size_t)state->documents * sizeof *walker->held);
    for (int64_t q = 0; q < state->queries; q++) walker->start[q] = (uint32_t)q;
    return SONDE_OK;
}

static void locality_restart(struct locality_walker *walker)
{
    walker->head = walker->tail = 0;
    walker->begun = false;
    walker->walk++;
}

/* The next query: one that was found, else a random one. */
static uint32_t locality_next(struct locality_walker *walker)
{
    while (walker->head < walker->tail) {
        uint32_t query = walker->waiting[walker->last_first ? --walker->tail : walker->head++];
        if (!walker->used[query]) return query;
    }
    if (walker->begun) locality_restart(walker);
    walker->begun = true;
    while (walker->used[walker->start[walker->next_start]]) walker->next_start++;
    return walker->start[walker->next_start];
}

/* Whether a document may be a negative of this query in this batch. */
static bool locality_may(const struct locality_walker *walker, uint32_t query, int64_t document)
{
    return walker->held[document] != walker->batch &&
           !sonde__lists_have(&walker->state->positives, query, document);
}

/* A random document that may be one, each with the same chance; -1 = there is none. */
static int64_t locality_any(struct locality_walker *walker, uint32_t query)
{
    int64_t documents = walker->state->documents;
    if (documents == 0) return -1;
    for (int i = 0; i < LOCALITY_TRIES; i++) {
        int64_t document = (int64_t)sonde__rng_below(&walker->rng, (uint64_t)documents);
        if (locality_may(walker, query, document)) return document;
    }
    int64_t chosen = -1;
    uint64_t fitting = 0;
    for (int64_t document = 0; document < documents; document++)
        if (locality_may(walker, query, document) && sonde__rng_below(&walker->rng, ++fitting) == 0)
            chosen = document;
    return chosen;
}

static int64_t locality_positive(struct locality_walker *walker, uint32_t query)
{
    const sonde__lists *positives = &walker->state->positives;
    int64_t begin = positives->begin[query], count = positives->begin[query + 1] - begin;
    if (count == 0) return -1;
    int64_t positive = positives->items[begin + (int64_t)sonde__rng_below(&walker->rng, (uint64_t)count)];
    walker->held[positive] = walker->batch;
    return positive;
}

/* Different random documents of the query's band, then of all. */
static void locality_negatives(struct locality_walker *walker, uint32_t query, int64_t *negative)
{
    int64_t first, end, count = 0;
    locality_band(walker->state, query, walker->band_low, walker->band_high, &first, &end);
    for (int64_t j = first; j < end; j++) {
        uint32_t document = walker->state->lists.item[j];
        if (locality_may(walker, query, document)) walker->fitting[count++] = document;
    }
    for (int64_t i = 0; i < walker->hard; i++) {
        negative[i] = -1;
        while (count > 0 && negative[i] < 0) { /* a list may name a document twice */
            int64_t at = (int64_t)sonde__rng_below(&walker->rng, (uint64_t)count);
            if (walker->held[walker->fitting[at]] != walker->batch) negative[i] = walker->fitting[at];
            walker->fitting[at] = walker->fitting[--count];
        }
        if (negative[i] < 0) negative[i] = locality_any(walker, query);
        if (negative[i] >= 0) walker->held[negative[i]] = walker->batch;
    }
}

/* Unused queries that have one of these documents in their back band, in random order. */
static void locality_find(struct locality_walker *walker, const int64_t *document)
{
    const struct locality_graph *back = &walker->state->back;
    int64_t before = walker->tail;
    for (int64_t i = 0; i < walker->hard; i++) {
        if (document[i] < 0) continue;
        for (int64_t j = back->begin[document[i]]; j < back->begin[document[i] + 1]; j++) {
            uint32_t query = back->item[j];
            if (walker->used[query] || walker->found[query] == walker->walk) continue;
            walker->found[query] = walker->walk;
            walker->waiting[walker->tail++] = query;
        }
    }
    sonde__shuffle(&walker->rng, walker->waiting + before, walker->tail - before);
}

static sonde_status locality_walk(struct locality_walker *walker)
{
    const sonde_row_sampler *sampler = walker->sampler;
    int64_t queries = walker->state->queries, batch = sampler->batch;
    int64_t patch = batch / locality_key(sampler, "patches");
    struct locality_plan *plan = walker->plan;
    for (int64_t place = 0; place < queries; place++) {
        SONDE_TRY(locality_poll(sampler, "locality: walks", place, queries));
        if (place % batch == 0) walker->batch++;
        if (place % batch % patch == 0) locality_restart(walker);
        uint32_t query = locality_next(walker);
        int64_t *negative = plan->negative + place * walker->hard;
        walker->used[query] = true;
        plan->query[place] = query;
        plan->walk[place] = walker->walk - 1;
        plan->positive[place] = locality_positive(walker, query);
        locality_negatives(walker, query, negative);
        locality_find(walker, negative);
    }
    return SONDE_OK;
}

static sonde_status locality_plan_memory(sonde_row_sampler *sampler, struct locality_state *state,
                                         int64_t hard)
{
    struct locality_plan *plan = &state->plan;
    if (!plan->query) SONDE_TRY(SONDE_NEW(sampler->runtime, plan->query, state->queries));
    if (!plan->walk) SONDE_TRY(SONDE_NEW(sampler->runtime, plan->walk, state->queries));
    if (!plan->positive) SONDE_TRY(SONDE_NEW(sampler->runtime, plan->positive, state->queries));
    return plan->negative ? SONDE_OK : SONDE_NEW(sampler->runtime, plan->negative, state->queries * hard);
}

/* Plans the current pass, unless that has been done. */
static sonde_status locality_plan_pass(sonde_row_sampler *sampler, struct locality_state *state)
{
    struct locality_walker walker = {.sampler = sampler, .state = state, .plan = &state->plan,
                                     .hard = locality_key(sampler, "hard"),
                                     .band_low = locality_key(sampler, "band_low"),
                                     .band_high = locality_key(sampler, "band_high"),
                                     .last_first = sonde__param_is(sampler->params, "walk", "random_walk")};
    sonde__scratch *scratch;
    if (state->plan.made && state->plan.pass == sampler->pass) return SONDE_OK;
    state->plan.made = false;
    SONDE_TRY(locality_plan_memory(sampler, state, walker.hard));
    SONDE_TRY(sonde__scratch_take(sampler->runtime, &scratch));
    sonde_status status = locality_walker_memory(&walker, scratch);
    if (status == SONDE_OK) {
        sonde__rows_rng(sampler, sampler->pass, LOCALITY_STREAM, 0, &walker.rng);
        sonde__shuffle(&walker.rng, walker.start, state->queries);
        status = locality_walk(&walker);
    }
    sonde__scratch_give(sampler->runtime, scratch);
    state->plan.made = status == SONDE_OK;
    state->plan.pass = sampler->pass;
    return status;
}

static sonde_status locality_draw(sonde_row_sampler *sampler, const sonde_array *const *inputs, int64_t count)
{
    (void)inputs;
    struct locality_state *state = sampler->state;
    int64_t hard = locality_key(sampler, "hard"), *positives, *negatives, place = sampler->place;
    SONDE_TRY(locality_plan_pass(sampler, state));
    count = sonde__min_i64(count, state->queries - place);
    SONDE_TRY(sonde__rows_begin(sampler, count, true));
    SONDE_TRY(sonde__rows_column(sampler, "positives", count, 1, &positives));
    SONDE_TRY(sonde__rows_column(sampler, "negatives", count, hard, &negatives));
    for (int64_t i = 0; i < count; i++) {
        sampler->drawn.ids[i] = state->plan.query[place + i];
        sampler->drawn.groups[i] = state->plan.walk[place + i];
    }
    memcpy(positives, state->plan.positive + place, (size_t)count * sizeof *positives);
    memcpy(negatives, state->plan.negative + place * hard, (size_t)(count * hard) * sizeof *negatives);
    sampler->drawn.last = place + count == state->queries;
    return SONDE_OK;
}

/* ---- files --------------------------------------------------------------------------------------------- */

static sonde_status locality_save(const sonde_row_sampler *sampler, sonde__writer *writer)
{
    const struct locality_state *state = sampler->state;
    uint64_t queries = (uint64_t)state->queries;
    SONDE_TRY(sonde__write_int(writer, "queries", state->queries));
    SONDE_TRY(sonde__write_int(writer, "documents", state->documents));
    SONDE_TRY(
        sonde__write_array(writer, "BEGIN", state->lists.begin, queries + 1, sizeof *state->lists.begin));
    SONDE_TRY(sonde__write_array(writer, "ITEMS", state->lists.item, (uint64_t)state->lists.begin[queries],
                                 sizeof *state->lists.item));
    return sonde__lists_write(&state->positives, writer, "POSBEGIN", "POSITEMS");
}

static sonde_status locality_load_items(const sonde_row_sampler *sampler, sonde__reader *reader,
                                        struct locality_state *state)
{
    int64_t total = state->lists.begin[state->queries];
    sonde__blob blob;
    for (int64_t q = 0; q < state->queries; q++)
        if (state->lists.begin[q] > state->lists.begin[q + 1] || state->lists.begin[0] != 0)
            return sonde__fail(SONDE_CORRUPT, "section \"BEGIN\": number %lld descends", (long long)q);
    SONDE_TRY(sonde__read_array(reader, "ITEMS", (uint64_t)total, sizeof *state->lists.item, true, &blob));
    sonde_status status = SONDE_NEW(sampler->runtime, state->lists.item, total);
    if (status == SONDE_OK) memcpy(state->lists.item, blob.data, (size_t)total * sizeof *state->lists.item);
    sonde__blob_free(sampler->runtime, &blob);
    for (int64_t i = 0; status == SONDE_OK && i < total; i++)
        if ((int64_t)state->lists.item[i] >= state->documents)
            status = sonde__fail(SONDE_CORRUPT, "section \"ITEMS\": number %lld is no document",
                                 (long long)i);
    return status;
}

static sonde_status locality_load_state(const sonde_row_sampler *sampler, sonde__reader *reader,
                                        struct locality_state *state)
{
    SONDE_TRY(sonde__read_int(reader, "queries", 1, SONDE__ROWS_MOST, &state->queries));
    SONDE_TRY(sonde__read_int(reader, "documents", 0, SONDE__ROWS_MOST, &state->documents));
    if (sampler->place >= state->queries)
        return sonde__fail(SONDE_CORRUPT, "the place %lld is not among %lld queries",
                           (long long)sampler->place, (long long)state->queries);
    SONDE_TRY(sonde__numbers_read(sampler->runtime, reader, "BEGIN", state->queries + 1, 0, SONDE__MAX_ROWS,
                                  &state->lists.begin));
    SONDE_TRY(locality_load_items(sampler, reader, state));
    SONDE_TRY(sonde__lists_read(sampler->runtime, reader, "POSBEGIN", "POSITEMS", state->queries,
                                state->documents - 1, &state->positives));
    return locality_turn(sampler, state);
}

static sonde_status locality_load(sonde_row_sampler *sampler, sonde__reader *reader)
{
    struct locality_state *state;
    SONDE_TRY(SONDE_NEW_ZERO(sampler->runtime, state, 1));
    sonde_status status = locality_load_state(sampler, reader, state);
    if (status == SONDE_OK) {
        locality_drop(sampler);
        sampler->state = state;
    } else {
        locality_forget(sampler->runtime, state);
    }
    return status;
}

static const sonde__key locality_keys[] = {
    {"walk", SONDE__KEY_WORD, "random_walk", 0, 0, "random_walk|snowball", NULL,
     "which of the found queries comes next"},
    {"hard", SONDE__KEY_INT, "1", 1, 1024, NULL, NULL, "negatives of a query"},
    {"band_low", SONDE__KEY_INT, "0", 0, 4294967295.0, NULL, NULL, "first rank that negatives come from"},
    {"band_high", SONDE__KEY_INT, "200", 1, 4294967295.0, NULL, NULL, "the rank behind the last"},
    {"back_low", SONDE__KEY_INT, "200", 0, 4294967295.0, NULL, NULL,
     "first rank by which a document leads back to a query"},
    {"back_high", SONDE__KEY_INT, "400", 1, 4294967295.0, NULL, NULL, "the rank behind the last"},
    {"patches", SONDE__KEY_INT, "1", 1, 16777216, NULL, NULL, "walks of a batch, at least"},
    {"batch", SONDE__KEY_INT, "32", 1, 16777216, NULL, NULL, "rows of a batch"},
    {"documents", SONDE__KEY_INT, "0", 0, 4294967295.0, NULL, NULL,
     "how many there are; 0: as far as the ids of fit go"},
    {0},
};

#define LOCALITY_NUMBERS (SONDE__DTYPE_BIT(SONDE_DTYPE_I64) | SONDE__DTYPE_BIT(SONDE_DTYPE_I32))

static const sonde__input_key locality_inputs[] = {
    {"lists", "n x m", LOCALITY_NUMBERS, true, "each query's documents, best first; -1 pads", "fit"},
    {"positives", "n x p", LOCALITY_NUMBERS, true,
     "each query's positives, -1 pads; or one column with offsets", "fit"},
    {"positive_offsets", "(n + 1) x 1", LOCALITY_NUMBERS, false, "where each query's positives begin", "fit"},
    {0},
};

static const sonde__output_key locality_outputs[] = {
    {"positives", "count x 1", SONDE_DTYPE_I64, "a positive of each query, -1 = it has none"},
    {"negatives", "count x hard", SONDE_DTYPE_I64, "negatives of each query, -1 = none was left"},
    {0},
};

const sonde__row_method sonde__row_sampler_locality = {
    .method = {"locality", "batches of queries that are near each other in a retrieval graph",
               "Xiao et al. 2022", locality_keys, locality_inputs, NULL, locality_outputs},
    .create = locality_create,
    .fit = locality_fit,
    .draw = locality_draw,
    .save = locality_save,
    .load = locality_load,
    .drop = locality_drop,
};
