/* ivf_finish.c: from the candidates of the lists to hits: second scores, by finer codes or by stored rows.
 *
 *     candidates --whole codes--> fewer --refine codes, or rows--> hits
 *
 * each step where the index has it. Scores on codes are inner products plus what the row's list and the row itself add to
 * them (ivf_encode.c); the score of a row is direct (direct.c), so it does not depend on the way here.
 *
 * SPDX-License-Identifier: MIT
 */
#include "indexes/ivf_search.h"

#include <math.h>
#include <stdlib.h>

#define FINISH_ROWS 64
#define FINISH_BYTES (24 * 64) /* most of a row that is asked for ahead */

/* ---- scores by codes ------------------------------------------------------------------------------------------- */

/* A code that rows are scored by, and how it is stored. */
typedef struct coded {
    const sonde__ivf_block *block;
    const sonde_quantizer *code;
    bool whole; /* the index's own code, put together; else the refine code */
    int bias_column;
    const void *table;
    uint8_t *codes; /* FINISH_ROWS of them */
} coded;

static sonde_status coded_open(const sonde__ivf_block *b, bool whole, int64_t query, sonde__scratch *scratch, coded *c)
{
    const sonde__ivf *ivf = b->plan->ivf;
    const sonde_quantizer *code = whole ? ivf->code : ivf->refine;
    uint8_t *table;
    *c = (coded){.block = b, .code = code, .whole = whole,
                 .bias_column = whole ? ivf->second_bias_column : ivf->row_bias_column};
    SONDE_TRY(SONDE_SCRATCH(scratch, table, code->method->table_bytes(code)));
    SONDE_TRY(SONDE_SCRATCH(scratch, c->codes, FINISH_ROWS * code->code_bytes));
    code->method->table(code, b->query + query * code->dim, table);
    c->table = table;
    return SONDE_OK;
}

static void coded_fetch(const coded *c, const sonde__segment *segment, int64_t row, uint8_t *to)
{
    const sonde__ivf_plan *p = c->block->plan;
    const sonde__layout *layout = &p->search->index->layout;
    int64_t bytes = c->code->code_bytes;
    if (c->whole) sonde__ivf_code(p->ivf, layout, segment, row, to);
    else memcpy(to, segment->column[p->ivf->refine_column] + row * bytes, (size_t)bytes);
}

static float coded_bias(const coded *c, const sonde__segment *segment, int64_t row)
{
    return c->bias_column < 0 ? 0 : ((const float *)(const void *)segment->column[c->bias_column])[row];
}

/* New scores for candidates [begin, begin + count). */
static void coded_hits(const coded *c, int64_t query, sonde__hit *hits, int64_t count)
{
    const sonde__ivf_plan *p = c->block->plan;
    const sonde__snapshot *snapshot = p->search->snapshot;
    int64_t bytes = c->code->code_bytes;
    float ip[FINISH_ROWS], part[FINISH_ROWS] = {0};
    int32_t list[FINISH_ROWS];
    for (int64_t i = 0; i < count; i++) list[i] = (int32_t)sonde__place_list(hits[i].place);
    if (c->whole && p->ivf->residual) sonde__ivf_centroid_parts(c->block, query, list, count, part);
    for (int64_t i = 0; i < count; i++)
        coded_fetch(c, sonde__place_in(snapshot, hits[i].place), sonde__place_row(hits[i].place), c->codes + i * bytes);
    c->code->method->scan(c->code, c->table, c->codes, bytes, count, ip);
    for (int64_t i = 0; i < count; i++) {
        sonde__place place = hits[i].place;
        hits[i].score = ip[i] + coded_bias(c, sonde__place_in(snapshot, place), sonde__place_row(place)) + part[i];
    }
}

/* Where rows lie that are stored for the last score. */
static int rows_column(const sonde__ivf *ivf) { return ivf->refine_column >= 0 ? ivf->refine_column : 0; }

/* Asks for what the last score will read of the candidates, so that they come side by side. */
static void fetch_ahead(const sonde__ivf_plan *p, const sonde__top *found)
{
    if (!p->again) return;
    int column = rows_column(p->ivf);
    int64_t width = p->search->index->layout.width[column];
    for (int64_t i = 0; i < found->count; i++) {
        sonde__place place = found->hits[i].place;
        const uint8_t *row = sonde__place_in(p->search->snapshot, place)->column[column] + sonde__place_row(place) * width;
        sonde__ask_for(row, sonde__min_i64(FINISH_BYTES, width));
    }
}

static sonde_status score_codes(const sonde__ivf_block *b, int64_t query, bool whole, sonde__top *found,
                                sonde__scratch *scratch)
{
    coded c;
    SONDE_TRY(coded_open(b, whole, query, scratch, &c));
    for (int64_t i = 0; i < found->count; i += FINISH_ROWS)
        coded_hits(&c, query, found->hits + i, sonde__min_i64(FINISH_ROWS, found->count - i));
    return SONDE_OK;
}

/* ---- whole lists ------------------------------------------------------------------------------------------------ */

/* Rows [first, first + count) of a segment, at most FINISH_ROWS, for one lane. */
static void whole_rows(const coded *c, const sonde__segment *segment, sonde__place place, int64_t first, int64_t count,
                       uint64_t mask, const sonde__lane *lane)
{
    float ip[FINISH_ROWS];
    c->code->method->scan(c->code, lane->table, c->codes, c->code->code_bytes, count, ip);
    for (int64_t i = 0; i < count; i++)
        if (mask >> i & 1)
            sonde__top_push(lane->top, ip[i] + coded_bias(c, segment, first + i) + lane->bias, segment->ids[first + i],
                            place + (sonde__place)(first + i));
}

sonde_status sonde__ivf_scan_whole(const sonde__ivf_plan *p, int64_t list, sonde__lane *lanes, int64_t count,
                                   sonde__scratch *scratch)
{
    const sonde__list *rows = p->search->snapshot->list[list];
    sonde__ivf_block block = {.plan = p};
    coded c = {.block = &block, .code = p->ivf->code, .whole = true, .bias_column = p->ivf->second_bias_column};
    SONDE_TRY(SONDE_SCRATCH(scratch, c.codes, FINISH_ROWS * c.code->code_bytes));
    for (int64_t s = 0; s < rows->segments; s++) {
        const sonde__segment *segment = rows->segment[s];
        for (int64_t first = 0; first < segment->count; first += FINISH_ROWS) {
            int64_t some = sonde__min_i64(FINISH_ROWS, segment->count - first);
            for (int64_t i = 0; i < some; i++)
                coded_fetch(&c, segment, first + i, c.codes + i * c.code->code_bytes);
            for (int64_t l = 0; l < count; l++) {
                uint64_t mask;
                if (sonde__filter_mask(lanes[l].filter, segment, first, some, &mask) == 0) continue;
                whole_rows(&c, segment, sonde__place_of(list, s, 0), first, some, mask, &lanes[l]);
            }
        }
    }
    for (int64_t l = 0; l < count; l++)
        if (lanes[l].top->status != SONDE_OK) return lanes[l].top->status;
    return SONDE_OK;
}

/* ---- the last step ---------------------------------------------------------------------------------------------- */

/* Scores of codes as the metric has them. */
static void scores_of_codes(const sonde_index *index, const float *query, sonde__top *found)
{
    float norm2 = index->metric == SONDE_METRIC_L2 ? sonde__kernels_get()->norm2(query, index->dim) : 0;
    for (int64_t i = 0; i < found->count; i++) {
        float *score = &found->hits[i].score;
        if (index->metric == SONDE_METRIC_L2) *score = fminf(0, *score - norm2);
        if (index->metric == SONDE_METRIC_COSINE) *score = fmaxf(-1, fminf(1, *score));
    }
}

/* Ids in place of places: those of the rows that are left, all asked for before the first is read. */
static void fill_ids(const sonde__snapshot *snapshot, sonde__top *found)
{
    for (int64_t i = 0; i < found->count; i++) {
        sonde__place place = found->hits[i].place;
        sonde__ask_for(sonde__place_in(snapshot, place)->ids + sonde__place_row(place), sizeof(int64_t));
    }
    for (int64_t i = 0; i < found->count; i++) {
        sonde__place place = found->hits[i].place;
        found->hits[i].id = sonde__place_in(snapshot, place)->ids[sonde__place_row(place)];
    }
}

/* Keeps the best of what a second score has changed. */
static void keep_best(sonde__top *found, int64_t keep)
{
    if (found->range || found->count <= keep) return;
    found->capacity = keep;
    sonde__top_settle(found);
}

static int by_id_then_score(const void *a, const void *b)
{
    const sonde__hit *x = a, *y = b;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return (x->score < y->score) - (x->score > y->score);
}

/* Of two copies of a row the better score stays. */
static void join_copies(sonde__top *found)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < found->count; i++) found->hits[i].id = sonde__row_id(found->hits[i].id);
    if (found->count > 1) qsort(found->hits, (size_t)found->count, sizeof *found->hits, by_id_then_score);
    for (int64_t i = 0; i < found->count; i++)
        if (i == 0 || found->hits[i].id != found->hits[kept - 1].id) found->hits[kept++] = found->hits[i];
    found->count = kept;
}

/* Brings the candidates of a query into order for its second scores. */
static void ready(const sonde__ivf_block *b, int64_t q)
{
    const sonde__ivf_plan *p = b->plan;
    sonde__top *found = &b->tops[q];
    if (found->status != SONDE_OK) return;
    sonde__top_settle(found);
    if (p->fast_scan && p->fast.by_place) fill_ids(p->search->snapshot, found);
    if (p->search->snapshot->copies > 1) join_copies(found);
    if (!p->finer) fetch_ahead(p, found);
}

static sonde_status finish(const sonde__ivf_block *b, int64_t q, sonde__scratch *scratch)
{
    const sonde__ivf_plan *p = b->plan;
    sonde__search *search = p->search;
    const sonde_index *index = search->index;
    sonde__top *found = &b->tops[q], *out = &search->top[b->first + q];
    const float *query = search->query + (b->first + q) * index->dim;
    if (found->status != SONDE_OK) return found->status;
    if (p->finer) {
        SONDE_TRY(score_codes(b, q, true, found, scratch));
        keep_best(found, p->keep_finer);
        fetch_ahead(p, found);
    }
    if (p->rows_stored) {
        int column = rows_column(p->ivf), kind = p->ivf->refine_column >= 0 ? p->ivf->refine_kind : SONDE__ROW_F32;
        sonde__rescore(index->metric, kind, column, index->layout.width[column], search->snapshot, query, index->dim,
                       found);
    } else {
        if (p->again) SONDE_TRY(score_codes(b, q, false, found, scratch));
        scores_of_codes(index, query, found);
    }
    keep_best(found, search->k);
    for (int64_t i = 0; i < found->count; i++)
        sonde__top_push(out, found->hits[i].score, found->hits[i].id, found->hits[i].place);
    sonde__top_sort(out);
    return out->status;
}

sonde_status sonde__ivf_finish(const sonde__ivf_block *b, int64_t begin, int64_t end, sonde__scratch *scratch)
{
    sonde_status status = SONDE_OK;
    if (begin < end) ready(b, begin);
    for (int64_t q = begin; q < end && status == SONDE_OK; q++) {
        sonde__scratch_mark mark = sonde__scratch_here(scratch);
        if (q + 1 < end) ready(b, q + 1);
        status = finish(b, q, scratch);
        sonde__scratch_rewind(scratch, mark);
    }
    return status;
}
