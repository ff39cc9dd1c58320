/* ivf_coarse.c: which lists a query visits.
 *
 * The products with all centroids cost nlist x dim, as much as a good part of the scan; from some hundred lists on they are
 * made in 8-bit integers, on codes of the centroids (sq), which are four times faster and misplace only lists that are as
 * good as equal. The sums are exact integers, so a query gets the same lists alone and in a batch.
 *
 * How many lists a query needs differs. With a gap, it visits the lists that score at most so much below the mean of its
 * ten nearest ones: queries in dense places visit many, others few. Calibration (tune.c) finds the gaps for mean efforts
 * and measures what they reach; on embeddings the same recall takes 10 to 20 % fewer lists than one number for all.
 *
 * SPDX-License-Identifier: MIT
 */
#include "indexes/ivf_search.h"

#include <math.h>
#include <stdlib.h>

#include "linalg/linalg.h"

#define CHOOSE_CHUNK 256
#define COARSE_TILE 64 /* lists whose scores, of a panel of queries, stay in the nearest cache until they are turned */
#define LITTLE_BATCH 8
#define LEVEL_LANES 256
#define GAP_VALUES ((int64_t)1 << 20) /* scores that gaps are found in, at most */

sonde_status sonde__ivf_prepare(sonde__ivf_block *b, sonde__scratch *scratch)
{
    const sonde__search *search = b->plan->search;
    int64_t d = search->index->dim;
    const float *from = search->query + b->first * d;
    uint32_t metric = search->index->metric;
    b->query = from;
    if (metric == SONDE_METRIC_IP) return SONDE_OK;
    float *to;
    SONDE_TRY(SONDE_SCRATCH(scratch, to, b->count * d));
    for (int64_t q = 0; q < b->count; q++) {
        float scale = 2;
        if (metric == SONDE_METRIC_COSINE) {
            float norm2 = sonde__kernels_get()->norm2(from + q * d, d);
            scale = norm2 > 0 ? 1 / sqrtf(norm2) : 0;
        }
        for (int64_t j = 0; j < d; j++) to[q * d + j] = from[q * d + j] * scale;
    }
    b->query = to;
    return SONDE_OK;
}

/* By kernel calls that give a list the same bits in every company. */
void sonde__ivf_centroid_parts(const sonde__ivf_block *b, int64_t q, const int32_t *lists, int64_t count, float *parts)
{
    const sonde__ivf_learned *learned = b->plan->learned;
    int64_t d = b->plan->search->index->dim, offsets[CHOOSE_CHUNK];
    for (int64_t first = 0; first < count; first += CHOOSE_CHUNK) {
        int64_t some = sonde__min_i64(CHOOSE_CHUNK, count - first);
        for (int64_t i = 0; i < some; i++) offsets[i] = lists[first + i] * d * (int64_t)sizeof(float);
        sonde__kernels_get()->ip_gather[SONDE__ROW_F32](b->query + q * d, sonde__ivf_centroid(learned, d, 0), offsets, some,
                                                        d, parts + first);
        for (int64_t i = 0; i < some; i++) parts[first + i] *= sonde__ivf_factor(learned, lists[first + i]);
    }
}

/* ---- scores of all lists ------------------------------------------------------------------------------------- */

/* Up to a panel of queries, [begin, end), against the codes of all centroids. */
static sonde_status coarse_panel(const sonde__ivf_block *b, int64_t begin, int64_t end, sonde__scratch *scratch)
{
    const sonde__ivf_learned *learned = b->plan->learned;
    const sonde_quantizer *code = learned->coarse;
    const sonde__quantizer_method *method = code->method;
    int64_t lists = b->plan->lists, lanes = sonde__kernels_get()->lanes, count = end - begin;
    int64_t table_bytes = (method->table_bytes(code) + 63) / 64 * 64;
    const void *table[SONDE__LANES_MAX];
    uint8_t *tables, *panel;
    float *tile;
    SONDE_TRY(SONDE_SCRATCH(scratch, tables, count * table_bytes));
    SONDE_TRY(SONDE_SCRATCH(scratch, panel, method->panel_bytes(code)));
    SONDE_TRY(SONDE_SCRATCH(scratch, tile, COARSE_TILE * lanes));
    for (int64_t q = 0; q < count; q++) {
        table[q] = tables + q * table_bytes;
        method->table(code, b->query + (begin + q) * code->dim, tables + q * table_bytes);
    }
    method->panel(code, table, count, panel);
    for (int64_t l = 0; l < lists; l += COARSE_TILE) {
        int64_t some = sonde__min_i64(COARSE_TILE, lists - l);
        method->scan_panel(code, panel, learned->coarse_codes + l * code->code_bytes, code->code_bytes, some, tile);
        for (int64_t q = 0; q < count; q++)
            for (int64_t i = 0; i < some; i++) b->scores[(begin + q) * lists + l + i] = tile[i * lanes + q];
    }
    return SONDE_OK;
}

static sonde_status coarse_queries(const sonde__ivf_block *b, int64_t begin, int64_t end, sonde__scratch *scratch)
{
    const sonde_quantizer *code = b->plan->learned->coarse;
    int64_t lists = b->plan->lists;
    uint8_t *table;
    if (end - begin >= LITTLE_BATCH) return coarse_panel(b, begin, end, scratch);
    SONDE_TRY(SONDE_SCRATCH(scratch, table, code->method->table_bytes(code)));
    for (int64_t q = begin; q < end; q++) {
        code->method->table(code, b->query + q * code->dim, table);
        code->method->scan(code, table, b->plan->learned->coarse_codes, code->code_bytes, lists, b->scores + q * lists);
    }
    return SONDE_OK;
}

static sonde_status coarse_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const sonde__ivf_block *b = context;
    sonde__scratch *scratch;
    (void)worker;
    SONDE_TRY(sonde__scratch_take(b->plan->search->runtime, &scratch));
    sonde_status status = coarse_queries(b, begin, end, scratch);
    sonde__scratch_give(b->plan->search->runtime, scratch);
    return status;
}

static sonde_status coarse_scores(sonde__ivf_block *b)
{
    const sonde__ivf_plan *p = b->plan;
    int64_t d = p->search->index->dim, lists = p->lists;
    if (p->probes == lists && p->gap == 0) return SONDE_OK; /* all are visited, in any order */
    if (p->learned->coarse)
        return sonde__parallel_for(p->search->runtime, p->search->threads, b->count, sonde__kernels_get()->lanes, NULL,
                                   coarse_chunk, b);
    if (b->count >= LITTLE_BATCH)
        return sonde__gemm_nt(p->search->runtime, p->search->threads, b->count, lists, d, b->query, d,
                              p->learned->centroids.data, d, b->scores, lists);
    for (int64_t q = 0; q < b->count; q++)
        sonde__kernels_get()->ip_rows[SONDE__ROW_F32](b->query + q * d, p->learned->centroids.data, d * 4, lists, d,
                                                      b->scores + q * lists);
    return SONDE_OK;
}

/* ---- the nearest lists --------------------------------------------------------------------------------------- */

/* A level that `wanted` lists reach, and not many more: as many of the maxima of LEVEL_LANES groups of lists do. */
static float choose_level(const float *scores, int64_t lists, int64_t wanted)
{
    float most[LEVEL_LANES];
    if (wanted > LEVEL_LANES / 2 || lists < 2 * LEVEL_LANES) return -INFINITY;
    memcpy(most, scores, sizeof most);
    for (int64_t l = LEVEL_LANES; l + LEVEL_LANES <= lists; l += LEVEL_LANES)
        for (int64_t i = 0; i < LEVEL_LANES; i++) most[i] = scores[l + i] > most[i] ? scores[l + i] : most[i];
    return nextafterf(sonde__kernels_get()->kth_largest(most, LEVEL_LANES, wanted), -INFINITY);
}

/* The best lists, as many as the top holds. */
static void choose_best(const float *scores, int64_t lists, sonde__top *top)
{
    int32_t positions[CHOOSE_CHUNK];
    float level = choose_level(scores, lists, top->capacity);
    for (int64_t l = 0; l < lists; l += CHOOSE_CHUNK) {
        int64_t some = sonde__min_i64(CHOOSE_CHUNK, lists - l);
        int64_t found = sonde__kernels_get()->above(scores + l, some, fmaxf(level, top->threshold), positions);
        for (int64_t i = 0; i < found; i++) sonde__top_push(top, scores[l + positions[i]], l + positions[i], 0);
    }
}

/* The nearest few lists, best first; hits has room for them. Returns their mean score. */
static float choose_nearest(const float *scores, int64_t lists, sonde__hit *hits, int64_t *count)
{
    sonde__top top;
    double sum = 0;
    sonde__top_init(&top, hits, sonde__min_i64(SONDE__IVF_NEAREST, lists));
    choose_best(scores, lists, &top);
    sonde__top_sort(&top);
    for (int64_t i = 0; i < top.count; i++) sum += hits[i].score;
    *count = top.count;
    return top.count > 0 ? (float)(sum / (double)top.count) : 0;
}

/* Lists that score above the cut, at most `most`, into chosen; returns how many there are, which may be more. */
static int64_t choose_above(const float *scores, int64_t lists, float cut, int64_t most, int32_t *chosen)
{
    int32_t positions[CHOOSE_CHUNK];
    int64_t total = 0;
    for (int64_t l = 0; l < lists; l += CHOOSE_CHUNK) {
        int64_t some = sonde__min_i64(CHOOSE_CHUNK, lists - l);
        int64_t found = sonde__kernels_get()->above(scores + l, some, cut, positions);
        for (int64_t i = 0; i < found && total + i < most; i++) chosen[total + i] = (int32_t)(l + positions[i]);
        total += found;
    }
    return total;
}

/* The `wanted` best lists; hits is room for a top of that many. */
static void choose_most(const float *scores, int64_t lists, int64_t wanted, sonde__hit *hits, int32_t *chosen)
{
    sonde__top top;
    sonde__top_init(&top, hits, wanted);
    choose_best(scores, lists, &top);
    sonde__top_settle(&top);
    for (int64_t i = 0; i < wanted; i++) chosen[i] = i < top.count ? (int32_t)hits[i].id : 0;
}

/* Brings the nearest lists to the front, in their order: good hits that come early spare others. */
static void nearest_first(const sonde__hit *nearest, int64_t count, int32_t *chosen, int64_t total)
{
    for (int64_t i = 0, n = 0; n < count && i < total; n++)
        for (int64_t at = i; at < total; at++)
            if (chosen[at] == (int32_t)nearest[n].id) {
                chosen[at] = chosen[i];
                chosen[i++] = (int32_t)nearest[n].id;
                break;
            }
}

/* Scores of one query's lists, in l2 without the part that is the same for all. */
static void shift_scores(const sonde__ivf_plan *p, float *scores)
{
    if (p->search->index->metric != SONDE_METRIC_L2) return;
    for (int64_t l = 0; l < p->lists; l++) scores[l] -= p->learned->norms[l];
}

/* The lists of one query; hits is room for a top of plan->probes, and for the nearest few. */
static void choose_lists(const sonde__ivf_block *b, int64_t q, sonde__hit *hits)
{
    const sonde__ivf_plan *p = b->plan;
    int64_t lists = p->lists, total = p->probes, near = 0;
    int32_t *chosen = b->list + q * p->probes;
    float *scores = b->scores + q * lists;
    sonde__hit nearest[SONDE__IVF_NEAREST];
    if (p->probes == lists && p->gap == 0) {
        for (int64_t i = 0; i < lists; i++) chosen[i] = (int32_t)i;
    } else {
        shift_scores(p, scores);
        float mean = choose_nearest(scores, lists, nearest, &near);
        if (p->gap > 0) total = choose_above(scores, lists, mean - p->gap, p->probes, chosen);
        if (p->gap == 0 || total < p->least || total > p->probes) {
            total = total < p->least ? p->least : p->probes;
            choose_most(scores, lists, total, hits, chosen);
        }
        nearest_first(nearest, near, chosen, total);
    }
    bool part = p->ivf->residual && p->scorer.code && p->scorer.code == p->ivf->code;
    if (part) sonde__ivf_centroid_parts(b, q, chosen, total, b->bias + q * p->probes);
    else memset(b->bias + q * p->probes, 0, (size_t)total * sizeof *b->bias);
    b->probes[q] = (int32_t)total;
}

static sonde_status choose_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const sonde__ivf_block *b = context;
    const sonde__ivf_plan *p = b->plan;
    sonde__scratch *scratch;
    sonde__hit *hits;
    (void)worker;
    SONDE_TRY(sonde__scratch_take(p->search->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, hits, sonde__top_room(p->probes));
    for (int64_t q = begin; q < end && status == SONDE_OK; q++) choose_lists(b, q, hits);
    sonde__scratch_give(p->search->runtime, scratch);
    return status;
}

sonde_status sonde__ivf_choose(sonde__ivf_block *b, sonde__scratch *scratch)
{
    const sonde__ivf_plan *p = b->plan;
    SONDE_TRY(SONDE_SCRATCH(scratch, b->list, b->count * p->probes));
    SONDE_TRY(SONDE_SCRATCH(scratch, b->bias, b->count * p->probes));
    SONDE_TRY(SONDE_SCRATCH(scratch, b->probes, b->count));
    SONDE_TRY(SONDE_SCRATCH(scratch, b->scores, b->count * p->lists));
    SONDE_TRY(coarse_scores(b));
    return sonde__parallel_for(p->search->runtime, p->search->threads, b->count, 16, NULL, choose_chunk, b);
}

/* ---- gaps ---------------------------------------------------------------------------------------------------- */

/* How far below the mean of its nearest lists each list of each query scores. */
static sonde_status list_gaps(sonde__ivf_block *b, sonde__scratch *scratch)
{
    const sonde__ivf_plan *p = b->plan;
    int64_t lists = p->lists, near;
    SONDE_TRY(SONDE_SCRATCH(scratch, b->scores, b->count * lists));
    SONDE_TRY(sonde__ivf_prepare(b, scratch));
    SONDE_TRY(coarse_scores(b));
    for (int64_t q = 0; q < b->count; q++) {
        float *scores = b->scores + q * lists;
        sonde__hit nearest[SONDE__IVF_NEAREST];
        shift_scores(p, scores);
        float mean = choose_nearest(scores, lists, nearest, &near);
        for (int64_t l = 0; l < lists; l++) scores[l] = mean - scores[l];
    }
    return SONDE_OK;
}

/* The gap for a mean effort is a quantile of all of them. A query is given its lists whatever the others do. */
sonde_status sonde__ivf_gaps(const sonde_index *index, const sonde__snapshot *snapshot, const float *queries, int64_t n,
                             int threads, const int64_t *efforts, int64_t count, float *gaps)
{
    sonde__search search = {.index = index, .runtime = index->runtime, .queries = n, .query = queries, .threads = threads};
    int64_t lists = snapshot->lists, some = sonde__max_i64(1, sonde__min_i64(n, GAP_VALUES / lists));
    sonde__ivf_plan plan = {.search = &search, .ivf = index->state, .learned = sonde__ivf_of(snapshot), .lists = lists};
    sonde__ivf_block b = {.plan = &plan, .count = some};
    sonde__scratch *scratch;
    SONDE_TRY(sonde__scratch_take(index->runtime, &scratch));
    sonde_status status = list_gaps(&b, scratch);
    if (status == SONDE_OK) {
        qsort(b.scores, (size_t)(some * lists), sizeof *b.scores, sonde__compare_f32);
        for (int64_t i = 0; i < count; i++)
            gaps[i] = fmaxf(b.scores[sonde__min_i64(efforts[i] * some, some * lists - 1)], 0);
    }
    sonde__scratch_give(index->runtime, scratch);
    return status;
}
