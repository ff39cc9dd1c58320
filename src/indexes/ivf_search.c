/* ivf_search.c: how an inverted file is searched.
 *
 * Queries go in blocks. For each: the nearest centroids decide which lists it visits; the lists are scanned for
 * candidates; the candidates are scored again on stored rows where there are any (exact code or refine tier). by
 * lists    (list, query) pairs are sorted by list, so that a list is read once for all its queries and they share
 *               panels; the lists are dealt to the workers, each of which has its own candidates, merged at the end.
 *               Also for one query over all threads.
 *   by queries  each query scans its lists by itself: for codes whose query tables would not stay in cache otherwise,
 * and for few queries. Candidates are the best by (score, id), so neither the way nor the number of threads changes
 * an answer. With a filter the effort is that of the k / share-th neighbour; few allowed rows are scored directly
 * instead; and whoever has found fewer than k visits four times as many lists, in the end all, so k hits come back
 * whenever k exist.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "indexes/ivf_search.h"

#define BLOCK_QUERIES 4096
#define BLOCK_BYTES                                                                                                  \
    ((int64_t)64 << 20)               /* candidates, tables and coarse scores of one block stay below this, about    \
                                       */
#define MEASURED_K 100                /* largest k that calibration knows */
#define SMALL_WORK ((int64_t)1 << 21) /* row values below which another thread costs more than it brings */
#define LEAST_OWN 64                  /* queries that a thread takes a block of its own for, */
#define OWN_VISITS 4                  /* and how many of them visit a list then */
#define GAP_SPAN 4                    /* a query visits between a quarter of the mean effort and four times as many lists */
#define FIRST_LISTS 2                 /* nearest lists of each query that are scanned before the others */
#define FINER_SHARE 4                 /* candidates for the whole codes of a finer code, for one that is kept after them */

typedef sonde__ivf_plan plan;
typedef sonde__ivf_block block;

/* ---- planning ---------------------------------------------------------------------------------------- */

/* How the rows themselves are scored: plain rows where they are stored, else the best codes there are. */
static sonde__scorer rows_scorer(const sonde_index *index, const sonde__ivf *ivf)
{
    sonde__scorer scorer = {.dim = index->dim, .scale_column = -1, .bias_column = ivf->bias_column};
    if (ivf->refine_column >= 0) {
        scorer.column = ivf->refine_column;
        scorer.row_kind = ivf->refine_kind;
        scorer.code = ivf->refine;
        scorer.bias_column = ivf->row_bias_column;
    } else if (!ivf->code->method->exact) scorer.code = ivf->code;
    scorer.width = index->layout.width[scorer.column];
    return scorer;
}

static sonde__scorer list_scorer(const sonde_index *index, const sonde__ivf *ivf)
{
    return (sonde__scorer){.code = ivf->code->method->exact ? NULL : ivf->code,
                           .dim = index->dim,
                           .width = index->layout.width[0],
                           .scale_column = -1,
                           .bias_column = ivf->bias_column};
}

/* How lists are scanned. best: by the best that is stored of a row, with nothing left to score again but rows. */
static void plan_scan(plan *p, bool best)
{
    const sonde_index *index = p->search->index;
    const sonde__ivf *ivf = p->ivf;
    p->rows_stored = (ivf->refine_column >= 0 && !ivf->refine) || ivf->code->method->exact;
    p->scorer = best ? rows_scorer(index, ivf) : list_scorer(index, ivf);
    bool own = p->scorer.code && p->scorer.code == ivf->code;
    p->fast_scan = own && ivf->nibbles > 0 && !(best && ivf->finer);
    p->whole = own && ivf->nibbles > 0 && best && ivf->finer;
    p->finer = p->fast_scan && ivf->finer;
    p->lorann = own && ivf->lorann;
    p->again = p->rows_stored || (ivf->refine && p->scorer.code != ivf->refine);
    p->fast = (sonde__fast){ivf->code, ivf->nibbles, ivf->scale_column, ivf->bias_column, p->finer || p->again};
}

/* Candidates beyond k cover what rounding may misorder before the direct score. */
static int64_t with_margin(int64_t k) { return k + sonde__max_i64(16, k / 4); }

/* Candidates that come from the lists, and that are left after whole codes. */
static void plan_candidates(plan *p, int64_t refine)
{
    int64_t k = p->search->k, live = sonde__live_rows(p->search->snapshot);
    int64_t deep = k * (p->scorer.code ? refine : 1);
    p->keep_finer = p->again ? with_margin(deep) : k;
    p->keep = p->finer ? with_margin(p->again ? deep * FINER_SHARE : deep) : p->keep_finer;
    p->keep = sonde__min_i64(p->keep, sonde__max_i64(live, 1)) * p->search->snapshot->copies;
}

/* The effort becomes the mean of what queries visit. curve_k: the k that it was chosen for, or 0. */
static void plan_gap(plan *p, int64_t curve_k)
{
    p->gap = curve_k > 0 ? sonde__curve_gap(atomic_load(&p->search->snapshot->curve), curve_k, p->probes) : p->search->gap;
    if (!(p->gap > 0) || p->probes == p->lists) p->gap = 0;
    if (p->gap == 0) return;
    p->least = sonde__max_i64(1, p->probes / GAP_SPAN);
    p->probes = sonde__min_i64(p->lists, p->probes * GAP_SPAN);
}

static void make_plan(sonde__search *search, int64_t allowed, plan *p)
{
    const sonde__snapshot *snapshot = search->snapshot;
    int64_t live = sonde__live_rows(snapshot), refine = search->refine, lists = snapshot->lists;
    *p = (plan){.search = search,
                .ivf = search->index->state,
                .learned = sonde__ivf_of(snapshot),
                .lists = lists,
                .probes = search->effort};
    bool all = search->effort == 0 && search->recall >= 0.9999f;
    int64_t curve_k = 0;
    if (search->effort == 0 && !all) {
        int64_t k = allowed > 0 ? (int64_t)((double)search->k * (double)live / (double)allowed) : search->k;
        curve_k = sonde__max_i64(1, sonde__min_i64(k, live));
        sonde__curve_choose(atomic_load(&snapshot->curve), live, curve_k, search->recall, lists, &p->probes, &refine);
    }
    if (all) p->probes = lists;
    p->probes = p->least = sonde__max_i64(1, sonde__min_i64(p->probes, lists));
    if (!all) plan_gap(p, curve_k);
    plan_scan(p, all || search->top[0].range);
    plan_candidates(p, refine ? refine : 4);
    p->exact = all && p->rows_stored;
}

/* ---- preparing a block ------------------------------------------------------------------------------- */

static sonde_status make_tops(block *b, sonde__scratch *scratch)
{
    const plan *p = b->plan;
    int64_t tops = b->count * b->workers;
    sonde__hit *hits = NULL;
    SONDE_TRY(SONDE_SCRATCH(scratch, b->tops, tops));
    bool range = p->search->top[0].range;
    if (!range) SONDE_TRY(SONDE_SCRATCH(scratch, hits, tops * sonde__top_room(p->keep)));
    for (int64_t i = 0; i < tops; i++) {
        if (!range) {
            sonde__top_init(&b->tops[i], hits + i * sonde__top_room(p->keep), p->keep);
            continue;
        }
        int64_t q = b->first + i % b->count, d = p->search->index->dim;
        float floor = p->search->top[q].threshold;
        float norm2 = sonde__kernels_get()->norm2(p->search->query + q * d, d);
        if (p->search->index->metric == SONDE_METRIC_L2) floor += norm2;
        /* a little lower: the direct score decides at the edge */
        float slack = p->rows_stored ? 1e-4f * (1 + fabsf(floor) + norm2) : 0;
        sonde__top_init_range(&b->tops[i], p->search->runtime, floor - slack);
    }
    return SONDE_OK;
}

/* One query's table for the codes that lists are scanned by. */
static void make_table(const plan *p, const float *query, float *floats, void *table)
{
    const sonde_quantizer *code = p->scorer.code;
    if (p->fast_scan) sonde__fast_table(&p->fast, query, floats, table);
    else if (p->lorann) sonde__lorann_table(p->ivf->lorann, query, table);
    else code->method->table(code, query, table);
}

static int64_t table_floats(const plan *p) { return p->fast_scan ? sonde__fast_floats(&p->fast) : 1; }

static sonde_status make_tables(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    block *b = context;
    const plan *p = b->plan;
    sonde__scratch *scratch;
    float *floats;
    SONDE_TRY(sonde__scratch_take(p->search->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, floats, table_floats(p));
    for (int64_t q = begin; q < end && status == SONDE_OK; q++)
        make_table(p, b->query + q * p->scorer.dim, floats, b->tables + q * b->table_bytes);
    sonde__scratch_give(p->search->runtime, scratch);
    return status;
}

/* One list for some queries. */
static sonde_status scan_list(const plan *p, int64_t list, sonde__lane *lanes, int64_t count, sonde__scratch *scratch)
{
    if (p->fast_scan) return sonde__fast_list(&p->fast, p->search->snapshot, list, lanes, count);
    if (p->whole) return sonde__ivf_scan_whole(p, list, lanes, count, scratch);
    if (p->lorann)
        return sonde__lorann_scan(p->ivf->lorann, &p->scorer, p->search->snapshot, list, lanes, count, scratch);
    return sonde__scan_list(&p->scorer, p->search->snapshot, list, lanes, count, scratch);
}

static sonde__lane lane_of(const block *b, int64_t q, float bias, int worker)
{
    const sonde__search *search = b->plan->search;
    return (sonde__lane){.query = b->query + q * search->index->dim,
                         .table = b->tables ? b->tables + q * b->table_bytes : NULL,
                         .bias = bias,
                         .filter = sonde__search_filter(search, b->first + q),
                         .top = &b->tops[worker * b->count + q]};
}

/* ---- by lists ---------------------------------------------------------------------------------------- */

/* The pairs of the lists that are at places [begin, end) in their queries' order. */
static sonde_status sort_pairs(block *b, int64_t begin, int64_t end, sonde__scratch *scratch)
{
    const plan *p = b->plan;
    int64_t lists = p->lists, pairs = 0;
    for (int64_t q = 0; q < b->count; q++) pairs += sonde__max_i64(0, sonde__min_i64(end, b->probes[q]) - begin);
    SONDE_TRY(SONDE_SCRATCH(scratch, b->start, lists + 2));
    SONDE_TRY(SONDE_SCRATCH(scratch, b->pair, pairs));
    SONDE_TRY(SONDE_SCRATCH(scratch, b->pair_bias, pairs));
    memset(b->start, 0, (size_t)(lists + 2) * sizeof *b->start);
    int64_t *next = b->start +
                    1; /* after the counting pass next[l] is where list l's pairs go; afterwards where they end */
    for (int64_t q = 0; q < b->count; q++)
        for (int64_t i = begin; i < sonde__min_i64(end, b->probes[q]); i++) next[b->list[q * p->probes + i] + 1]++;
    for (int64_t l = 0; l < lists; l++) next[l + 1] += next[l];
    for (int64_t q = 0; q < b->count; q++)
        for (int64_t i = begin; i < sonde__min_i64(end, b->probes[q]); i++) {
            int64_t from = q * p->probes + i, at = next[b->list[from]]++;
            b->pair[at] = (int32_t)q;
            b->pair_bias[at] = b->bias[from];
        }
    return SONDE_OK;
}

static sonde_status scan_lists(void *context, int64_t begin, int64_t end, int worker)
{
    const block *b = context;
    const plan *p = b->plan;
    sonde__scratch *scratch;
    SONDE_TRY(sonde__scratch_take(p->search->runtime, &scratch));
    sonde_status status = SONDE_OK;
    for (int64_t l = begin; l < end && status == SONDE_OK; l++) {
        int64_t first = b->start[l], count = b->start[l + 1] - first;
        if (count == 0 || p->search->snapshot->list[l]->rows == 0) continue;
        sonde__scratch_mark mark = sonde__scratch_here(scratch);
        sonde__lane *lanes;
        status = SONDE_SCRATCH(scratch, lanes, count);
        for (int64_t i = 0; i < count && status == SONDE_OK; i++)
            lanes[i] = lane_of(b, b->pair[first + i], b->pair_bias[first + i], worker);
        if (status == SONDE_OK) status = scan_list(p, l, lanes, count, scratch);
        sonde__scratch_rewind(scratch, mark);
    }
    sonde__scratch_give(p->search->runtime, scratch);
    return status;
}

static sonde_status merge_workers(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    block *b = context;
    for (int64_t q = begin; q < end; q++)
        for (int w = 1; w < b->workers; w++) {
            sonde__top_merge(&b->tops[q], &b->tops[w * b->count + q]);
            if (b->tops[w * b->count + q].status != SONDE_OK) return b->tops[w * b->count + q].status;
        }
    return SONDE_OK;
}

static sonde_status by_lists(block *b, sonde__scratch *scratch)
{
    const plan *p = b->plan;
    sonde_runtime *runtime = p->search->runtime;
    int64_t lists = p->lists, grain = sonde__max_i64(1, lists / (b->workers * 32));
    if (p->scorer.code) {
        SONDE_TRY(SONDE_SCRATCH(scratch, b->tables, b->count * b->table_bytes));
        SONDE_TRY(sonde__parallel_for(runtime, p->search->threads, b->count, 16, NULL, make_tables, b));
    }
    /* What the nearest lists hold raises the thresholds for all others. */
    int64_t first = b->count > 1 ? sonde__min_i64(FIRST_LISTS, p->probes) : p->probes;
    for (int64_t begin = 0, end = first; begin < p->probes; begin = end, end = p->probes) {
        sonde__scratch_mark mark = sonde__scratch_here(scratch);
        SONDE_TRY(sort_pairs(b, begin, end, scratch));
        SONDE_TRY(sonde__parallel_for(runtime, b->workers, lists, grain, p->search->stage, scan_lists, b));
        sonde__scratch_rewind(scratch, mark);
    }
    if (b->workers > 1)
        SONDE_TRY(sonde__parallel_for(runtime, p->search->threads, b->count, 64, NULL, merge_workers, b));
    return SONDE_OK;
}

/* ---- by queries -------------------------------------------------------------------------------------- */

static sonde_status scan_query(const block *b, int64_t q, void *table, float *floats, sonde__scratch *scratch)
{
    const plan *p = b->plan;
    sonde__lane lane = lane_of(b, q, 0, 0);
    if (p->scorer.code) {
        make_table(p, lane.query, floats, table);
        lane.table = table;
    }
    for (int64_t i = 0; i < b->probes[q]; i++) {
        int64_t list = b->list[q * p->probes + i];
        if (p->fast_scan) sonde__fast_ahead(&p->fast, p->search->snapshot, b->list + q * p->probes + i, b->probes[q] - i);
        lane.bias = b->bias[q * p->probes + i];
        if (p->search->snapshot->list[list]->rows > 0)
            SONDE_TRY(scan_list(p, list, &lane, 1, scratch));
    }
    return SONDE_OK;
}

static sonde_status scan_queries(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    const block *b = context;
    sonde__scratch *scratch;
    uint8_t *table;
    float *floats;
    SONDE_TRY(sonde__scratch_take(b->plan->search->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, table, sonde__max_i64(b->table_bytes, 1));
    if (status == SONDE_OK) status = SONDE_SCRATCH(scratch, floats, table_floats(b->plan));
    for (int64_t q = begin; q < end && status == SONDE_OK; q++) {
        sonde__scratch_mark mark = sonde__scratch_here(scratch);
        status = scan_query(b, q, table, floats, scratch);
        sonde__scratch_rewind(scratch, mark);
    }
    sonde__scratch_give(b->plan->search->runtime, scratch);
    return status;
}

/* ---- finishing --------------------------------------------------------------------------------------- */

static sonde_status finish_queries(void *context, int64_t begin, int64_t end, int worker)
{
    const block *b = context;
    sonde__scratch *scratch;
    (void)worker;
    SONDE_TRY(sonde__scratch_take(b->plan->search->runtime, &scratch));
    sonde_status status = sonde__ivf_finish(b, begin, end, scratch);
    sonde__scratch_give(b->plan->search->runtime, scratch);
    return status;
}

static void free_range_tops(const block *b)
{
    if (!b->tops || !b->plan->search->top[0].range) return;
    for (int64_t i = 0; i < b->count * b->workers; i++) sonde__free(b->plan->search->runtime, b->tops[i].hits);
}

/* Says why each query stopped, and how many rows it saw. */
static void note_queries(const block *b, bool all_rows)
{
    const sonde__search *search = b->plan->search;
    int64_t live = sonde__live_rows(search->snapshot);
    for (int64_t q = 0; q < b->count; q++) {
        int64_t at = b->first + q, seen = all_rows ? live : 0;
        if (!all_rows && search->scored)
            for (int64_t i = 0; i < b->probes[q]; i++)
                seen += search->snapshot->list[b->list[q * b->plan->probes + i]]->rows;
        if (search->scored) search->scored[at] = seen;
        int64_t found = search->top[at].count;
        bool fewer = !search->top[at].range && found < search->k && (all_rows || found == live);
        search->reason[at] = fewer                              ? SONDE_STOP_FEWER
                             : all_rows && b->plan->rows_stored ? SONDE_STOP_EXACT
                                                                : SONDE_STOP_EFFORT;
    }
}

/* ---- one block --------------------------------------------------------------------------------------- */

static bool shares_lists(const block *b)
{
    const plan *p = b->plan;
    const sonde_quantizer *code = p->scorer.code;
    int64_t lists = p->lists, live = p->search->snapshot->rows;
    if (b->count == 1) /* one query over all threads, if that pays */
        return p->search->threads > 1 && live / lists * p->probes * p->search->index->dim > SMALL_WORK;
    if (p->fast_scan) return b->count * p->probes >= lists; /* two queries a list are scanned at once */
    return (!code || code->method->scan_panel) && b->count * p->probes >= 4 * lists;
}

static int64_t table_bytes(const plan *p)
{
    if (p->fast_scan) return sonde__fast_table_bytes(&p->fast);
    if (p->lorann) return sonde__lorann_table_bytes(p->ivf->lorann);
    return p->scorer.code ? (p->scorer.code->method->table_bytes(p->scorer.code) + 63) / 64 * 64 : 0;
}

static sonde_status search_block(block *b, sonde__scratch *scratch)
{
    const plan *p = b->plan;
    bool lists = shares_lists(b);
    b->table_bytes = table_bytes(p);
    b->workers = lists ? sonde__parallel_workers(p->search->runtime, p->search->threads, p->lists, 1)
                       : 1;
    SONDE_TRY(sonde__ivf_prepare(b, scratch));
    SONDE_TRY(sonde__ivf_choose(b, scratch));
    SONDE_TRY(make_tops(b, scratch));
    if (lists) SONDE_TRY(by_lists(b, scratch));
    else
        SONDE_TRY(sonde__parallel_for(p->search->runtime, p->search->threads, b->count, 1, p->search->stage,
                                      scan_queries, b));
    SONDE_TRY(sonde__parallel_for(p->search->runtime, p->search->threads, b->count, 16, NULL, finish_queries, b));
    note_queries(b, p->probes == p->lists && p->gap == 0);
    return SONDE_OK;
}

/* Queries [first, first + count) under one plan, in blocks. */
typedef struct run {
    const plan *plan;
    int64_t first, count, block;
} run;

static sonde_status run_blocks(void *context, int64_t begin, int64_t end, int worker)
{
    const run *r = context;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int64_t done = i * r->block;
        block b = {.plan = r->plan, .first = r->first + done, .count = sonde__min_i64(r->block, r->count - done)};
        sonde__scratch *scratch;
        SONDE_TRY(sonde__scratch_take(r->plan->search->runtime, &scratch));
        sonde_status status = search_block(&b, scratch);
        free_range_tops(&b);
        sonde__scratch_give(r->plan->search->runtime, scratch);
        if (status != SONDE_OK) return status;
    }
    return SONDE_OK;
}

/* Where each thread can have queries enough of its own to share lists among, nobody waits for the others; else the threads
 * share each block. */
static sonde_status run_plan(const plan *p, int64_t first, int64_t count)
{
    const sonde__search *search = p->search;
    int64_t bytes = (sonde__top_room(p->keep) * 24 + 56) * search->threads + p->lists * 4 + p->probes * 16 +
                    table_bytes(p);
    int64_t most = sonde__max_i64(1, sonde__min_i64(BLOCK_QUERIES, BLOCK_BYTES / bytes));
    int64_t each = sonde__min_i64(most / search->threads, (count + search->threads - 1) / search->threads);
    int64_t visits = each * (p->gap > 0 ? p->probes / GAP_SPAN : p->probes);
    bool own = search->threads > 1 && each >= LEAST_OWN && visits >= OWN_VISITS * p->lists;
    run r = {p, first, count, own ? each : most};
    int64_t blocks = (count + r.block - 1) / r.block;
    if (!own) return run_blocks(&r, 0, blocks, 0);
    return sonde__parallel_for(search->runtime, search->threads, blocks, 1, search->stage, run_blocks, &r);
}

/* ---- few allowed rows -------------------------------------------------------------------------------- */

static sonde_status scan_few(const plan *p, block *b, const sonde__place *places, int64_t count,
                             sonde__scratch *scratch)
{
    sonde__lane *lanes;
    b->workers = 1;
    SONDE_TRY(sonde__ivf_prepare(b, scratch));
    SONDE_TRY(make_tops(b, scratch));
    SONDE_TRY(SONDE_SCRATCH(scratch, lanes, b->count));
    for (int64_t q = 0; q < b->count; q++) lanes[q] = lane_of(b, q, 0, 0);
    SONDE_TRY(sonde__scan_places(&p->scorer, p->search->snapshot, places, count, lanes, b->count, scratch));
    SONDE_TRY(sonde__ivf_finish(b, 0, b->count, scratch));
    note_queries(b, true);
    return SONDE_OK;
}

typedef struct few {
    const plan *plan;
    const sonde__place *places;
    int64_t place_count, first;
} few;

static sonde_status scan_few_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    const few *f = context;
    block b = {.plan = f->plan, .first = f->first + begin, .count = end - begin};
    sonde__scratch *scratch;
    SONDE_TRY(sonde__scratch_take(f->plan->search->runtime, &scratch));
    sonde_status status = scan_few(f->plan, &b, f->places, f->place_count, scratch);
    free_range_tops(&b);
    sonde__scratch_give(f->plan->search->runtime, scratch);
    return status;
}

/* What the steps cost in ns, about, at 384 columns: many queries share panels and caches, one query waits for memory.
 * Only their ratios matter. */
typedef struct costs {
    double coarse, pair, row, mask, direct;
} costs;
static const costs cost_of_many = {8, 350, 12, 0.3, 8}, cost_of_one = {25, 200, 60, 1.5, 110};

/* Whether scoring the allowed rows directly is cheaper than visiting lists. */
static bool direct_pays(const plan *p, int64_t count, int64_t allowed)
{
    const sonde__search *search = p->search;
    const costs *c = count >= sonde__kernels_get()->lanes ? &cost_of_many : &cost_of_one;
    double rows = (double)search->snapshot->rows, lists = (double)p->lists, probes = (double)p->probes;
    /* Few rows stand for neighbours far beyond those that calibration has measured: their recall would be a guess. */
    if ((double)allowed * 32 <= rows && (double)search->k * rows / (double)allowed > MEASURED_K * 5) return true;
    double visiting = lists * c->coarse + probes * c->pair +
                      probes / lists * ((double)allowed * c->row + rows * c->mask);
    return (double)allowed * c->direct <= visiting;
}

/* Scores the allowed rows directly if that is cheaper. */
static sonde_status try_few(plan *p, int64_t first, int64_t count, int64_t allowed, bool *done)
{
    sonde__search *search = p->search;
    *done = false;
    if (!p->rows_stored || !direct_pays(p, count, allowed)) return SONDE_OK;
    sonde__scratch *scratch;
    few f = {.plan = p, .first = first};
    plan direct = *p;
    plan_scan(&direct, true);
    direct.keep = sonde__max_i64(1, sonde__min_i64(with_margin(search->k), search->snapshot->rows));
    f.plan = &direct;
    SONDE_TRY(sonde__scratch_take(search->runtime, &scratch));
    sonde_status status = sonde__filter_places(sonde__search_filter(search, first), search->index->store,
                                               search->snapshot, 2 * allowed + 1024, scratch,
                                               (sonde__place **)&f.places, &f.place_count);
    if (status == SONDE_OK && f.place_count >= 0) {
        *done = true;
        status = sonde__parallel_for(search->runtime, search->threads, count, 256, search->stage, scan_few_chunk, &f);
    }
    sonde__scratch_give(search->runtime, scratch);
    return status;
}

/* ---- the search -------------------------------------------------------------------------------------- */

/* Whoever has fewer than k hits, though not all lists were visited, looks further. */
static sonde_status look_further(plan *p, int64_t first, int64_t count)
{
    sonde__search *search = p->search;
    int64_t live = sonde__live_rows(search->snapshot), wanted = sonde__min_i64(search->k, live);
    while (p->probes < p->lists && !search->top[0].range) {
        p->probes = p->least = sonde__min_i64(p->lists, p->probes * 4);
        p->gap = 0;
        int64_t lacking = 0;
        for (int64_t q = first; q < first + count; q++) {
            if (search->top[q].count >= wanted) continue;
            lacking++;
            sonde__top_init(&search->top[q], search->top[q].hits, search->top[q].capacity);
            SONDE_TRY(run_plan(p, q, 1));
        }
        if (lacking == 0) break;
    }
    return SONDE_OK;
}

/* Queries that share a filter. */
static sonde_status search_some(sonde__search *search, int64_t first, int64_t count)
{
    const sonde_filter *filter = sonde__search_filter(search, first);
    int64_t allowed = filter ? sonde__filter_estimate(filter, search->snapshot) : 0;
    plan p;
    bool done = false;
    make_plan(search, allowed, &p);
    if (filter) SONDE_TRY(try_few(&p, first, count, allowed, &done));
    if (done) return SONDE_OK;
    SONDE_TRY(run_plan(&p, first, count));
    return look_further(&p, first, count);
}

sonde_status sonde__ivf_search(sonde__search *search)
{
    if (search->filter_count <= 1) return search_some(search, 0, search->queries);
    for (int64_t q = 0; q < search->queries; q++) SONDE_TRY(search_some(search, q, 1));
    return SONDE_OK;
}
