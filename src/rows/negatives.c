/* negatives.c: what the samplers of negatives fit, observe and save: queries, their positives, an index of the
 * documents, and the lists that are mined from it. How they draw is in negatives_draw.c.
 *
 * A query's negatives are the documents nearest to it that are not among its positives. The search asks for as many
 * more hits as the block's longest list of positives has, so that `depth` remain. Hits come by (score, id), so that
 * lists never depend on threads. An index is either built from "documents", and then part of the state and of the
 * file, or attached.
 *
 * Cost: one search of all queries with k = depth + positives; 8 (with scores 12) bytes a query and place of its list.
 *
 * Invariant: what was fitted, observed or mined replaces the old state at the end, or not at all.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdlib.h>

#include "base/handle.h"
#include "indexes/index.h"
#include "rows/negatives.h"

enum { NEGATIVES_BLOCK = 2048 }; /* queries of one search: bounds the memory of its hits */

static void negatives_drop_mined(sonde_runtime *runtime, sonde__negatives_mined *mined)
{
    sonde__free(runtime, mined->ids);
    sonde__free(runtime, mined->list);
    sonde__free(runtime, mined->score);
    *mined = (sonde__negatives_mined){0};
}

static void negatives_forget(sonde_runtime *runtime, sonde__negatives *state)
{
    if (!state) return;
    sonde__free(runtime, state->query);
    sonde__lists_drop(runtime, &state->positives);
    sonde_index_free(state->own);
    negatives_drop_mined(runtime, &state->mined);
    sonde__free(runtime, state->order.numbers);
    sonde__free(runtime, state);
}

void sonde__negatives_drop(sonde_row_sampler *sampler) { negatives_forget(sampler->runtime, sampler->state); }

const sonde_array *sonde__negatives_input(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                                          const char *verb, const char *name)
{
    const sonde__input_key *table = sampler->method->method.inputs;
    for (int row = 0; inputs && table[row].name; row++)
        if (strcmp(table[row].verb, verb) == 0 && strcmp(table[row].name, name) == 0) return inputs[row];
    return NULL;
}

/* ---- searching ----------------------------------------------------------------------------------------------- */

sonde_status sonde__negatives_index(const sonde_row_sampler *sampler, const sonde__negatives *state,
                                    const sonde_index **index)
{
    *index = sampler->attached ? sampler->attached : state->own;
    if (!*index)
        return sonde__fail(SONDE_STATE, "%s: no index: give \"documents\" or call sonde_row_sampler_attach",
                           sampler->method->method.name);
    return SONDE_OK;
}

static int64_t negatives_longest(const sonde__negatives_search *search, int64_t begin, int64_t end)
{
    int64_t longest = 0;
    for (int64_t i = begin; i < end; i++) {
        int64_t owner = search->owner ? search->owner[i] : i;
        longest = sonde__max_i64(longest, search->positives->begin[owner + 1] - search->positives->begin[owner]);
    }
    return longest;
}

int64_t sonde__negatives_width(const sonde__negatives_search *search)
{
    return search->depth + (search->keep ? negatives_longest(search, 0, search->count) : 0);
}

/* What is kept of the k hits of query i. */
static sonde_status negatives_keep(const sonde__negatives_search *search, int64_t i, const int64_t *ids,
                                   const float *scores, int64_t k)
{
    uint32_t metric = sonde_index_metric(search->index);
    float sign = metric == SONDE_METRIC_IP || metric == SONDE_METRIC_COSINE ? 1 : -1;
    int64_t owner = search->owner ? search->owner[i] : i, *list = search->list + i * search->width, kept = 0;
    for (int64_t j = 0; j < k && kept < search->width && ids[j] >= 0; j++) {
        if (!search->keep && sonde__lists_have(search->positives, owner, ids[j])) continue;
        if (!isfinite(scores[j]))
            return sonde__fail(SONDE_INVALID_ARGUMENT, "query %lld: the score of document %lld is not finite",
                               (long long)owner, (long long)ids[j]);
        if (search->score) search->score[i * search->width + kept] = sign * scores[j];
        list[kept++] = ids[j];
    }
    for (; kept < search->width; kept++) {
        list[kept] = -1;
        if (search->score) search->score[i * search->width + kept] = 0;
    }
    return SONDE_OK;
}

static sonde_status negatives_search_block(const sonde_row_sampler *sampler, const sonde__negatives_search *search,
                                           int64_t begin, int64_t end, sonde__scratch *scratch)
{
    int64_t k = search->depth + negatives_longest(search, begin, end);
    k = sonde__min_i64(k, sonde__min_i64(SONDE__MAX_K, sonde__max_i64(1, sonde_index_count(search->index))));
    sonde_array vectors = sonde_f32(search->vectors + begin * sampler->dim, end - begin, sampler->dim);
    sonde_search_options options = SONDE_SEARCH_OPTIONS_INIT;
    sonde_hits hits = SONDE_HITS_INIT;
    options.k = (uint32_t)k;
    options.recall = (float)sonde__param_real(sampler->params, "recall");
    SONDE_TRY(SONDE_SCRATCH(scratch, hits.ids, (end - begin) * k));
    SONDE_TRY(SONDE_SCRATCH(scratch, hits.scores, (end - begin) * k));
    SONDE_TRY(sonde_index_search(search->index, &vectors, &options, &hits));
    for (int64_t i = begin; i < end; i++)
        SONDE_TRY(negatives_keep(search, i, hits.ids + (i - begin) * k, hits.scores + (i - begin) * k, k));
    return SONDE_OK;
}

sonde_status sonde__negatives_search_all(const sonde_row_sampler *sampler, const sonde__negatives_search *search)
{
    sonde__scratch *scratch;
    SONDE_TRY(sonde__scratch_take(sampler->runtime, &scratch));
    sonde__scratch_mark mark = sonde__scratch_here(scratch);
    sonde_status status = SONDE_OK;
    for (int64_t begin = 0; status == SONDE_OK && begin < search->count; begin += NEGATIVES_BLOCK) {
        int64_t end = sonde__min_i64(search->count, begin + NEGATIVES_BLOCK);
        status = sonde__poll(sampler->runtime, "negatives", (uint64_t)begin, (uint64_t)search->count);
        if (status == SONDE_OK) status = negatives_search_block(sampler, search, begin, end, scratch);
        sonde__scratch_rewind(scratch, mark);
    }
    sonde__scratch_give(sampler->runtime, scratch);
    return status;
}

/* ---- mining -------------------------------------------------------------------------------------------------- */

static sonde_status negatives_check_one(const sonde_index *index, const sonde__lists *positives, int64_t query)
{
    for (int64_t j = positives->begin[query]; j < positives->begin[query + 1]; j++) {
        bool stored;
        SONDE_TRY(sonde__index_has(index, positives->items[j], &stored));
        if (!stored)
            return sonde__fail(SONDE_INVALID_ARGUMENT, "query %lld: its positive %lld is no document of the index",
                               (long long)query, (long long)positives->items[j]);
    }
    return SONDE_OK;
}

/* Every positive is a document, and not every document is a positive. */
sonde_status sonde__negatives_check(const sonde_index *index, const sonde__lists *positives, bool needs_right)
{
    int64_t documents = sonde_index_count(index);
    for (int64_t i = 0; i < positives->count; i++) {
        int64_t begin = positives->begin[i], end = positives->begin[i + 1];
        if (needs_right && begin == end)
            return sonde__fail(SONDE_INVALID_ARGUMENT, "query %lld has no positives", (long long)i);
        if (end - begin >= documents)
            return sonde__fail(SONDE_INVALID_ARGUMENT, "query %lld has no negative: %lld documents, %lld positives",
                               (long long)i, (long long)documents, (long long)(end - begin));
        SONDE_TRY(negatives_check_one(index, positives, i));
    }
    return SONDE_OK;
}

/* The ids of all documents, unless they are 0, 1, 2, ... */
static sonde_status negatives_take_ids(sonde_runtime *runtime, const sonde_index *index,
                                       sonde__negatives_mined *mined)
{
    int64_t room = mined->documents, stored, i = 1;
    SONDE_TRY(SONDE_NEW(runtime, mined->ids, room));
    SONDE_TRY(sonde_index_ids(index, mined->ids, room, &stored));
    mined->documents = sonde__min_i64(room, stored); /* the caller's index may change meanwhile */
    while (i < mined->documents && mined->ids[i - 1] < mined->ids[i]) i++;
    if (i < mined->documents)
        qsort(mined->ids, (size_t)mined->documents, sizeof *mined->ids, sonde__compare_i64);
    if (mined->documents == 0 || mined->ids[mined->documents - 1] != mined->documents - 1) return SONDE_OK;
    sonde__free(runtime, mined->ids);
    mined->ids = NULL;
    return SONDE_OK;
}

static sonde_status negatives_take_lists(const sonde_row_sampler *sampler, const sonde__negatives *state,
                                         const sonde_index *index, sonde__negatives_mined *mined)
{
    int64_t depth = state->plan.depth;
    SONDE_TRY(SONDE_NEW(sampler->runtime, mined->list, state->queries * depth));
    if (state->plan.scores) SONDE_TRY(SONDE_NEW(sampler->runtime, mined->score, state->queries * depth));
    sonde__negatives_search search = {.index = index,
                                      .vectors = state->query,
                                      .count = state->queries,
                                      .positives = &state->positives,
                                      .depth = depth,
                                      .width = depth,
                                      .list = mined->list,
                                      .score = mined->score};
    SONDE_TRY(sonde__negatives_search_all(sampler, &search));
    for (int64_t i = 0; i < state->queries; i++)
        if (mined->list[i * depth] < 0)
            return sonde__fail(SONDE_INVALID_ARGUMENT, "query %lld: the search found no negative", (long long)i);
    return SONDE_OK;
}

/* Fills *mined from what the state holds now; nothing is left in it on failure. */
static sonde_status negatives_mine(const sonde_row_sampler *sampler, const sonde__negatives *state,
                                   sonde__negatives_mined *mined)
{
    const sonde_index *index;
    sonde__negatives_mined made = {0};
    SONDE_TRY(sonde__negatives_index(sampler, state, &index));
    SONDE_TRY(sonde__negatives_check(index, &state->positives, state->plan.needs_right));
    made.documents = sonde_index_count(index);
    sonde_status status = state->plan.at_random ? negatives_take_ids(sampler->runtime, index, &made) : SONDE_OK;
    if (status == SONDE_OK && state->plan.depth > 0 && !state->plan.searched)
        status = negatives_take_lists(sampler, state, index, &made);
    if (status == SONDE_OK) *mined = made;
    else negatives_drop_mined(sampler->runtime, &made);
    return status;
}

/* ---- fitting ------------------------------------------------------------------------------------------------- */

static sonde_status negatives_build(const sonde_row_sampler *sampler, const sonde_array *documents,
                                    const sonde_array *ids, int64_t dim, sonde_index **index)
{
    sonde_index *made = NULL;
    int64_t *numbers = NULL;
    if (documents->cols != dim)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "documents have %lld columns, the queries %lld",
                           (long long)documents->cols, (long long)dim);
    if (ids) SONDE_TRY(sonde__column_i64(sampler->runtime, ids, "ids", documents->rows, 0, INT64_MAX, &numbers));
    sonde_status status = sonde_index_create(sonde__params_text(sonde__param_spec(sampler->params, "index")), dim,
                                             sampler->runtime, &made);
    if (status == SONDE_OK) status = sonde_index_add(made, documents, numbers);
    sonde__free(sampler->runtime, numbers);
    if (status == SONDE_OK) *index = made;
    else sonde_index_free(made);
    return status;
}

/* Where an index is attached, documents are not needed, but must not contradict it. */
static sonde_status negatives_check_attached(const sonde_index *index, const sonde_array *documents, int64_t dim)
{
    long long columns = (long long)sonde_index_dim(index), rows = (long long)sonde_index_count(index);
    if (columns != dim)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "queries have %lld columns, the attached index %lld",
                           (long long)dim, columns);
    if (documents && (documents->cols != dim || documents->rows != rows))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "documents are %lld x %lld, the attached index holds %lld x %lld",
                           (long long)documents->rows, (long long)documents->cols, rows, columns);
    return SONDE_OK;
}

/* Queries, positives and index. */
static sonde_status negatives_take(sonde_row_sampler *sampler, const sonde_array *const *inputs, int64_t dim,
                                   sonde__negatives *state)
{
    const sonde_array *queries = sonde__negatives_input(sampler, inputs, "fit", "queries");
    const sonde_array *documents = sonde__negatives_input(sampler, inputs, "fit", "documents");
    const sonde_array *ids = sonde__negatives_input(sampler, inputs, "fit", "ids");
    if (queries->rows < 1 || queries->rows > SONDE__ROWS_MOST)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "queries has %lld rows, expected 1..%lld",
                           (long long)queries->rows, (long long)SONDE__ROWS_MOST);
    SONDE_TRY(sonde__matrix_f32(sampler->runtime, queries, "queries", -1, dim, &state->query));
    state->queries = queries->rows;
    SONDE_TRY(sonde__lists_take(sampler->runtime, sonde__negatives_input(sampler, inputs, "fit", "positives"),
                                sonde__negatives_input(sampler, inputs, "fit", "positive_offsets"), "positives",
                                state->queries, INT64_MAX, &state->positives));
    if (sampler->attached) return negatives_check_attached(sampler->attached, documents, dim);
    if (!documents) return sonde__fail(SONDE_INVALID_ARGUMENT, "\"documents\" is missing, and no index is attached");
    return negatives_build(sampler, documents, ids, dim, &state->own);
}

sonde_status sonde__negatives_fit(sonde_row_sampler *sampler, const sonde_array *const *inputs,
                                  const sonde__negatives_plan *plan)
{
    sonde__negatives *state;
    int64_t dim = sampler->dim, before = sampler->dim;
    if (dim == 0) dim = sonde__negatives_input(sampler, inputs, "fit", "queries")->cols;
    SONDE_TRY(SONDE_NEW_ZERO(sampler->runtime, state, 1));
    state->plan = *plan;
    sonde_status status = negatives_take(sampler, inputs, dim, state);
    sampler->dim = dim; /* what mining searches with */
    if (status == SONDE_OK) status = negatives_mine(sampler, state, &state->mined);
    if (status != SONDE_OK) {
        sampler->dim = before;
        negatives_forget(sampler->runtime, state);
        return sonde__fail_within(status, "fit");
    }
    negatives_forget(sampler->runtime, sampler->state);
    sampler->state = state;
    return SONDE_OK;
}

/* ---- what changes while training goes on --------------------------------------------------------------------- */

static int64_t negatives_refresh(const sonde_row_sampler *sampler, const sonde__negatives *state)
{
    return state->plan.searched ? 0 : sonde__param_int(sampler->params, "refresh");
}

/* Mines now, or marks the lists as stale where draws will mine. */
static sonde_status negatives_renew(const sonde_row_sampler *sampler, sonde__negatives *next)
{
    const sonde_index *index;
    if (negatives_refresh(sampler, next) == 0) return negatives_mine(sampler, next, &next->mined);
    SONDE_TRY(sonde__negatives_index(sampler, next, &index));
    next->stale = true;
    return sonde__negatives_check(index, &next->positives, next->plan.needs_right);
}

/* Puts what was observed into *next, a copy of the state. */
static sonde_status negatives_note(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                                   sonde__negatives *next)
{
    const sonde_array *queries = sonde__negatives_input(sampler, inputs, "observe", "queries");
    const sonde_array *documents = sonde__negatives_input(sampler, inputs, "observe", "documents");
    const sonde_array *ids = sonde__negatives_input(sampler, inputs, "observe", "ids");
    if (documents && sampler->attached)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "an index is attached: change it there, and observe nothing else");
    if (queries)
        SONDE_TRY(sonde__matrix_f32(sampler->runtime, queries, "queries", next->queries, sampler->dim, &next->query));
    if (documents) SONDE_TRY(negatives_build(sampler, documents, ids, sampler->dim, &next->own));
    return negatives_renew(sampler, next);
}

/* Of two states that share parts, frees what `old` has alone. */
static void negatives_part(sonde_runtime *runtime, sonde__negatives *old, const sonde__negatives *kept)
{
    if (old->query != kept->query) sonde__free(runtime, old->query);
    if (old->own != kept->own) sonde_index_free(old->own);
    if (old->mined.ids != kept->mined.ids) sonde__free(runtime, old->mined.ids);
    if (old->mined.list != kept->mined.list) sonde__free(runtime, old->mined.list);
    if (old->mined.score != kept->mined.score) sonde__free(runtime, old->mined.score);
}

sonde_status sonde__negatives_observe(sonde_row_sampler *sampler, const sonde_array *const *inputs)
{
    sonde__negatives *state = sampler->state, next = *state, old = *state;
    sonde_status status = negatives_note(sampler, inputs, &next);
    if (status != SONDE_OK) {
        negatives_part(sampler->runtime, &next, state);
        return sonde__fail_within(status, "observe");
    }
    *state = next;
    negatives_part(sampler->runtime, &old, state);
    return SONDE_OK;
}

sonde_status sonde__negatives_refresh(sonde_row_sampler *sampler)
{
    sonde__negatives *state = sampler->state;
    sonde__negatives_mined mined;
    int64_t refresh = negatives_refresh(sampler, state);
    if (refresh == 0 || state->since < refresh) return SONDE_OK;
    if (state->stale || sampler->attached || !state->own) { /* an own index changes only by being observed */
        SONDE_TRY(negatives_mine(sampler, state, &mined));
        negatives_drop_mined(sampler->runtime, &state->mined);
        state->mined = mined;
    }
    state->since = 0;
    state->stale = false;
    return SONDE_OK;
}

/* ---- files --------------------------------------------------------------------------------------------------- */

static sonde_status negatives_write_index(const sonde_row_sampler *sampler, const sonde_index *index,
                                          sonde__writer *writer)
{
    size_t length = 0;
    uint8_t *bytes;
    SONDE_TRY(sonde_index_save_buffer(index, NULL, 0, &length));
    SONDE_TRY(SONDE_NEW(sampler->runtime, bytes, length));
    sonde_status status = sonde_index_save_buffer(index, bytes, length, &length);
    if (status == SONDE_OK) status = sonde__write_array(writer, "INDEX", bytes, length, 1);
    sonde__free(sampler->runtime, bytes);
    return status;
}

sonde_status sonde__negatives_save(const sonde_row_sampler *sampler, sonde__writer *writer)
{
    const sonde__negatives *state = sampler->state;
    const sonde__negatives_mined *mined = &state->mined;
    uint64_t listed = (uint64_t)(state->queries * state->plan.depth);
    SONDE_TRY(sonde__write_int(writer, "queries", state->queries));
    SONDE_TRY(sonde__write_int(writer, "documents", mined->documents));
    SONDE_TRY(sonde__write_int(writer, "named", mined->ids != NULL));
    SONDE_TRY(sonde__write_int(writer, "own", state->own != NULL));
    SONDE_TRY(sonde__write_int(writer, "since", state->since));
    SONDE_TRY(sonde__write_int(writer, "stale", state->stale));
    SONDE_TRY(sonde__write_array(writer, "QUERIES", state->query, (uint64_t)(state->queries * sampler->dim), 4));
    SONDE_TRY(sonde__lists_write(&state->positives, writer, "POSBEGIN", "POSITEMS"));
    if (mined->ids) SONDE_TRY(sonde__write_array(writer, "IDS", mined->ids, (uint64_t)mined->documents, 8));
    if (mined->list) SONDE_TRY(sonde__write_array(writer, "LISTS", mined->list, listed, 8));
    if (mined->score) SONDE_TRY(sonde__write_array(writer, "SCORES", mined->score, listed, 4));
    return state->own ? negatives_write_index(sampler, state->own, writer) : SONDE_OK;
}

/* The index must be what the spec says. */
static sonde_status negatives_read_index(const sonde_row_sampler *sampler, sonde__reader *reader, sonde_index **index)
{
    uint64_t bytes;
    sonde__blob blob;
    sonde_index *made = NULL;
    SONDE_TRY(sonde__read_count(reader, "INDEX", 1, &bytes));
    SONDE_TRY(sonde__read_array(reader, "INDEX", bytes, 1, false, &blob));
    sonde_status status = sonde_index_open_buffer(blob.data, (size_t)bytes, NULL, sampler->runtime, &made);
    sonde__blob_free(sampler->runtime, &blob);
    SONDE_TRY(status);
    const char *wanted = sonde__params_text(sonde__param_spec(sampler->params, "index"));
    if (sonde_index_dim(made) == sampler->dim && strcmp(sonde_index_spec(made), wanted) == 0) {
        *index = made;
        return SONDE_OK;
    }
    status = sonde__fail(SONDE_CORRUPT, "section \"INDEX\": %s with %lld columns, expected %s with %lld",
                         sonde_index_spec(made), (long long)sonde_index_dim(made), wanted, (long long)sampler->dim);
    sonde_index_free(made);
    return status;
}

static sonde_status negatives_read_mined(const sonde_row_sampler *sampler, sonde__reader *reader,
                                         sonde__negatives *state)
{
    sonde__negatives_mined *mined = &state->mined;
    int64_t named, listed = state->queries * state->plan.depth;
    SONDE_TRY(sonde__read_int(reader, "documents", 1, SONDE__MAX_ROWS, &mined->documents));
    SONDE_TRY(sonde__read_int(reader, "named", 0, state->plan.at_random, &named));
    if (named)
        SONDE_TRY(sonde__numbers_read(sampler->runtime, reader, "IDS", mined->documents, 0, INT64_MAX, &mined->ids));
    for (int64_t i = 1; named && i < mined->documents; i++)
        if (mined->ids[i - 1] >= mined->ids[i])
            return sonde__fail(SONDE_CORRUPT, "section \"IDS\": number %lld is not ascending", (long long)i);
    if (state->plan.searched || state->plan.depth == 0) return SONDE_OK;
    SONDE_TRY(sonde__numbers_read(sampler->runtime, reader, "LISTS", listed, -1, INT64_MAX, &mined->list));
    if (!state->plan.scores) return SONDE_OK;
    return sonde__handle_floats(sampler->runtime, reader, "SCORES", (uint64_t)listed, &mined->score);
}

static sonde_status negatives_read(const sonde_row_sampler *sampler, sonde__reader *reader, sonde__negatives *state)
{
    int64_t own, stale;
    SONDE_TRY(sonde__read_int(reader, "queries", 1, SONDE__ROWS_MOST, &state->queries));
    SONDE_TRY(sonde__read_int(reader, "own", 0, 1, &own));
    SONDE_TRY(sonde__read_int(reader, "since", 0, INT64_MAX / 2, &state->since));
    SONDE_TRY(sonde__read_int(reader, "stale", 0, 1, &stale));
    state->stale = stale;
    SONDE_TRY(sonde__handle_floats(sampler->runtime, reader, "QUERIES", (uint64_t)(state->queries * sampler->dim),
                                   &state->query));
    SONDE_TRY(sonde__lists_read(sampler->runtime, reader, "POSBEGIN", "POSITEMS", state->queries, INT64_MAX,
                                &state->positives));
    SONDE_TRY(negatives_read_mined(sampler, reader, state));
    return own ? negatives_read_index(sampler, reader, &state->own) : SONDE_OK;
}

sonde_status sonde__negatives_load(sonde_row_sampler *sampler, sonde__reader *reader,
                                   const sonde__negatives_plan *plan)
{
    sonde__negatives *state;
    if (sampler->dim == 0) return sonde__fail(SONDE_CORRUPT, "the sampler is fitted, but has no columns");
    SONDE_TRY(SONDE_NEW_ZERO(sampler->runtime, state, 1));
    state->plan = *plan;
    sonde_status status = negatives_read(sampler, reader, state);
    if (status == SONDE_OK) sampler->state = state;
    else negatives_forget(sampler->runtime, state);
    return status;
}
