/* hamming_probe.c: which buckets a query looks into, in which order, and what becomes of the rows in them.
 *
 * A bucket is the query's own key with some bits flipped: a mask. Masks come in one of two orders:
 *
 *     weight  fewest flipped bits first, ball after ball (Gosper's next number with as many bits)
 *     logit   least cost of the flipped bits first: what flipping takes from the query's score with the
 *             reconstruction, the same as its distance from the hyperplane of the bit. So the bits that a
 *             near row most likely has otherwise are flipped first. A heap enumerates the sets: each comes
 *             from one other, its last bit moved on or the next one added
 *
 * The effort of a search is its number of buckets; a ball of radius r is the sum of C(bits, i), i <= r, of
 * them. Where they would be more than rows / 8, most are empty, and all rows are scored.
 *
 * Rows of a bucket are scored by the Hamming distance of whole codes. The bits of its mask bound that
 * distance from below, so a bucket farther than the k-th hit is skipped. By weight that ends an exact search:
 * the radius grows until the k-th distance is within it (Norouzi, Punjani, Fleet: Fast search in Hamming
 * space with multi-index hashing, 2012; here with one index). With rows stored, all rows of the visited
 * buckets are scored on themselves; a search that gives refine=r > 1 with its effort lets the codes choose
 * r k of them for that.
 *
 * Filters that allow few rows are answered from those rows alone; and whoever has found fewer than k goes on
 * with four times as many buckets, in the end all, so k hits come back whenever k exist.
 *
 * With chunks the effort is a number of steps (hamming_chunks.c), all distances below it are covered, and
 * there are no buckets.
 *
 * Cost: a bucket three cache misses, asked for ahead; a row one popcount for each 8 bytes; p masks
 * O(p log p).
 *
 * SPDX-License-Identifier: MIT
 */
#include "indexes/hamming.h"

#include <float.h>
#include <math.h>

#include "indexes/direct.h"

#define PROBE_BLOCK 1024  /* rows whose distances are computed at a time */
#define PROBE_QUERIES 8   /* of a work item */
#define PROBE_AHEAD 16    /* buckets between asking for one and reading it, in two steps */
#define PROBE_EMPTY 8     /* more than rows / 8 probes: mostly empty buckets, so all are visited */
#define PROBE_STRETCH 256 /* first buckets by weight */
#define PROBE_POLL 4096   /* buckets */
#define PROBE_FEW 1024    /* rows that a filter allows, at least, for which it is asked first */
#define PROBE_FEW_SHARE 64

/* ---- masks ------------------------------------------------------------------------------------------- */

int64_t sonde__hamming_ball(int bits, int radius)
{
    int64_t sum = 1, choose = 1;
    for (int i = 0; i < radius && i < bits; i++) {
        choose = choose * (bits - i) / (i + 1);
        sum += choose;
        if (sum > (int64_t)1 << 56) return (int64_t)1 << 62;
    }
    return sum;
}

void sonde__hamming_by_weight(int bits, int64_t count, uint32_t *mask)
{
    int64_t n = 0;
    for (int weight = 0; weight <= bits && n < count; weight++) {
        uint32_t m = (1u << weight) - 1;
        while (n < count && m >> bits == 0) {
            mask[n++] = m;
            if (m == 0) break;
            uint32_t low = m & -m, carried = m + low;
            m = carried | ((m ^ carried) / low) >> 2;
        }
    }
}

/* A set of bits, as positions in the order of their costs. */
typedef struct probe_set {
    double sum;
    uint32_t picked;
} probe_set;

static bool probe_before(const probe_set *a, const probe_set *b)
{
    return a->sum < b->sum || (a->sum == b->sum && a->picked < b->picked);
}

static void probe_heap_push(probe_set *heap, int64_t *count, probe_set set)
{
    int64_t hole = (*count)++;
    for (int64_t parent = (hole - 1) / 2; hole > 0 && probe_before(&set, &heap[parent]);
         parent = (hole - 1) / 2) {
        heap[hole] = heap[parent];
        hole = parent;
    }
    heap[hole] = set;
}

static probe_set probe_heap_pop(probe_set *heap, int64_t *count)
{
    probe_set first = heap[0], last = heap[--*count];
    int64_t hole = 0;
    for (int64_t child = 1; child < *count; child = 2 * hole + 1) {
        if (child + 1 < *count && probe_before(&heap[child + 1], &heap[child])) child++;
        if (!probe_before(&heap[child], &last)) break;
        heap[hole] = heap[child];
        hole = child;
    }
    heap[hole] = last;
    return first;
}

/* Bits by ascending cost. */
static void probe_order(int bits, const float *cost, int *order)
{
    for (int i = 0; i < bits; i++) {
        int at = i;
        for (; at > 0 && cost[order[at - 1]] > cost[i]; at--) order[at] = order[at - 1];
        order[at] = i;
    }
}

static uint32_t probe_mask(uint32_t picked, const int *order)
{
    uint32_t mask = 0;
    for (; picked; picked &= picked - 1) mask |= 1u << order[__builtin_ctz(picked)];
    return mask;
}

sonde_status sonde__hamming_by_cost(int bits, const float *cost, int64_t count, sonde__scratch *scratch,
                                    uint32_t *mask)
{
    int order[32];
    int64_t waiting = 0;
    probe_set *heap;
    SONDE_TRY(SONDE_SCRATCH(scratch, heap, count + 2)); /* each set leaves and two come */
    probe_order(bits, cost, order);
    mask[0] = 0;
    if (bits > 0) probe_heap_push(heap, &waiting, (probe_set){(double)cost[order[0]], 1});
    for (int64_t n = 1; n < count; n++) {
        probe_set set = probe_heap_pop(heap, &waiting);
        mask[n] = probe_mask(set.picked, order);
        int last = 31 - __builtin_clz(set.picked);
        if (last + 1 == bits) continue;
        double next = cost[order[last + 1]];
        uint32_t bit = 1u << last;
        probe_heap_push(heap, &waiting, (probe_set){set.sum + next, set.picked | bit << 1});
        probe_heap_push(heap, &waiting,
                        (probe_set){set.sum + (next - cost[order[last]]), (set.picked ^ bit) | bit << 1});
    }
    return SONDE_OK;
}

/* ---- planning ---------------------------------------------------------------------------------------- */

/* What the queries of one search share. */
typedef struct probe_plan {
    sonde__search *search;
    const sonde__hamming *hamming;
    bool by_rows;   /* visited rows are scored on themselves, so there is nothing left to score again */
    int64_t probes; /* buckets, or steps, of a query, at most; and all that there are */
    int64_t most;
    int64_t keep;  /* candidates to be scored again; 0: scores of codes are final */
    int64_t first; /* query that the work items count from */
    bool soft;     /* each query has an order of its own; else by weight, also where all are visited anyway */
    const sonde__place *places; /* the rows that a filter allows, if they are few */
    int64_t place_count;
    sonde__chunk_view chunks; /* where the index has them */
} probe_plan;

static bool probe_all(const probe_plan *p) { return p->probes == p->most; }

/* Buckets for the wanted recall, or for the ball that the spec asks for. */
static int64_t probe_count(const sonde__search *search, const sonde__hamming *h, int64_t allowed)
{
    int64_t live = sonde__live_rows(search->snapshot), most = sonde__hamming_most(search->index, search->snapshot),
            probes, refine = 1;
    if (search->effort > 0) return search->effort;
    if (search->recall >= 0.9999f) return most;
    if (h->radius >= 0) return h->chunks > 1 ? h->radius + 1 : sonde__hamming_ball(h->bucket_bits, h->radius);
    int64_t k = allowed > 0 ? (int64_t)((double)search->k * (double)live / (double)allowed) : search->k;
    sonde__curve_choose(atomic_load(&search->snapshot->curve), live, sonde__max_i64(1, sonde__min_i64(k, live)),
                        search->recall, most, &probes, &refine);
    return (probes + h->chunks - 1) / h->chunks * h->chunks; /* whole rounds of the chunks */
}

static void probe_make_plan(sonde__search *search, int64_t allowed, probe_plan *p)
{
    const sonde_index *index = search->index;
    const sonde__hamming *h = index->state;
    int64_t live = sonde__live_rows(search->snapshot);
    bool sieve = search->refine > 1 && !search->top[0].range; /* codes say which rows are worth a look */
    *p = (probe_plan){.search = search, .hamming = h, .most = sonde__hamming_most(index, search->snapshot)};
    p->probes = sonde__min_i64(p->most, probe_count(search, h, allowed));
    if (h->chunks == 1 && p->probes > live / PROBE_EMPTY) p->probes = p->most;
    p->soft = h->soft && !probe_all(p);
    p->by_rows = h->rows && !sieve;
    if (h->rows && sieve) p->keep = sonde__min_i64(sonde__max_i64(live, 1), search->k * search->refine);
}

/* ---- one query --------------------------------------------------------------------------------------- */

typedef struct probe_query {
    const probe_plan *plan;
    int64_t number; /* of the search */
    uint8_t *code;
    float *cost; /* soft order: of flipping a bit of the key */
    sonde__lane lane;
    sonde__top own; /* candidates, where they are scored again */
    sonde__direct direct;
    sonde__scratch *scratch;
    int64_t scored; /* rows */
} probe_query;

static sonde__scorer probe_row_scorer(const sonde_index *index)
{
    const sonde__hamming *h = index->state;
    bool scale = index->metric == SONDE_METRIC_COSINE;
    return (sonde__scorer){.row_kind = h->row_kind,
                           .column = SONDE__HAMMING_ROW,
                           .dim = index->dim,
                           .width = index->layout.width[SONDE__HAMMING_ROW],
                           .scale_column = scale ? SONDE__HAMMING_NUMBER : -1,
                           .bias_column = scale ? -1 : SONDE__HAMMING_NUMBER};
}

static sonde__scorer probe_code_scorer(const sonde_index *index)
{
    return (sonde__scorer){.row_kind = SONDE__ROW_BITS,
                           .column = SONDE__HAMMING_CODE,
                           .dim = index->layout.width[SONDE__HAMMING_CODE] * 8,
                           .width = index->layout.width[SONDE__HAMMING_CODE],
                           .scale_column = -1,
                           .bias_column = -1};
}

sonde_status sonde__hamming_worth(const sonde__hamming *hamming, const float *x, sonde__scratch *scratch,
                                  float *worth)
{
    const sonde_quantizer *code = hamming->code;
    float *table, base;
    sonde__scratch_mark here = sonde__scratch_here(scratch);
    SONDE_TRY(SONDE_SCRATCH(scratch, table, 16 * code->method->nibbles(code)));
    code->method->nibble_table(code, x, table, &base);
    for (int b = 0; b < hamming->bucket_bits; b++)
        worth[b] = 0.5f * table[b / 4 * 16 + (1 << b % 4)] - 0.5f * table[b / 4 * 16];
    sonde__scratch_rewind(scratch, here);
    return SONDE_OK;
}

/* What flipping each bit costs of the query's score, 0 at least. For hyperplanes with normals of one length
 * that is the distance from them. */
static sonde_status probe_costs(probe_query *q, const float *x)
{
    const sonde__hamming *h = q->plan->hamming;
    SONDE_TRY(SONDE_SCRATCH(q->scratch, q->cost, SONDE__BUCKET_BITS_MOST));
    SONDE_TRY(sonde__hamming_worth(h, x, q->scratch, q->cost));
    for (int b = 0; b < h->bucket_bits; b++) {
        float worth = q->cost[b] - h->middle[b];
        q->cost[b] = fminf(fmaxf(q->code[b / 8] >> b % 8 & 1 ? worth : -worth, 0), FLT_MAX);
    }
    return SONDE_OK;
}

static sonde_status probe_encode(probe_query *q, const float *query)
{
    const probe_plan *p = q->plan;
    const sonde_index *index = p->search->index;
    const sonde_quantizer *code = p->hamming->code;
    float *x;
    SONDE_TRY(SONDE_SCRATCH(q->scratch, x, index->dim));
    SONDE_TRY(SONDE_SCRATCH(q->scratch, q->code, code->code_bytes));
    memcpy(x, query, (size_t)index->dim * sizeof *x);
    sonde__hamming_prepare(index, x, 1);
    SONDE_TRY(code->method->encode(code, x, index->dim, 1, q->code, code->code_bytes));
    return p->soft ? probe_costs(q, x) : SONDE_OK;
}

/* A lane for scans of rows: direct scores decide. */
static sonde_status probe_row_lane(probe_query *q, const float *query)
{
    const sonde_index *index = q->plan->search->index;
    float *prepared;
    SONDE_TRY(SONDE_SCRATCH(q->scratch, prepared, index->dim));
    sonde__direct_init(&q->direct, index->metric, q->plan->hamming->row_kind, false, query, index->dim);
    sonde__direct_prepare(&q->direct, query, prepared);
    q->lane.query = prepared;
    q->lane.table = &q->direct;
    return SONDE_OK;
}

static sonde_status probe_open(const probe_plan *p, int64_t number, sonde__scratch *scratch, probe_query *q)
{
    sonde__search *search = p->search;
    const float *query = search->query + number * search->index->dim;
    *q = (probe_query){.plan = p, .number = number, .scratch = scratch};
    q->lane = (sonde__lane){.filter = sonde__search_filter(search, number), .top = &search->top[number]};
    SONDE_TRY(probe_encode(q, query));
    if (p->by_rows) return probe_row_lane(q, query);
    q->lane.table = q->code;
    if (p->keep == 0) return SONDE_OK;
    sonde__hit *hits;
    SONDE_TRY(SONDE_SCRATCH(scratch, hits, sonde__top_room(p->keep)));
    sonde__top_init(&q->own, hits, p->keep);
    q->lane.top = &q->own;
    return SONDE_OK;
}

/* ---- one bucket -------------------------------------------------------------------------------------- */

/* Codes of up to 32 bits, the usual length of an address: for these a call of the kernel costs more than it
 * does. The bits of four rows are counted side by side, in pairs, nibbles and bytes. */
static void probe_distances_4(const uint8_t *code, const uint8_t *codes, int64_t count, int32_t *distance)
{
    uint32_t query, v;
    memcpy(&query, code, sizeof query);
    for (int64_t i = 0; i < count; i++) {
        memcpy(&v, codes + 4 * i, sizeof v);
        v ^= query;
        v -= v >> 1 & 0x55555555u;
        v = (v & 0x33333333u) + (v >> 2 & 0x33333333u);
        v = (v + (v >> 4)) & 0x0f0f0f0fu;
        v += v >> 8;
        distance[i] = (int32_t)((v + (v >> 16)) & 0x3f);
    }
}

/* At most PROBE_BLOCK rows of a segment, by their codes. */
static void probe_block(probe_query *q, const sonde__segment *segment, sonde__place first_place,
                        int64_t first, int64_t count)
{
    int32_t distance[PROBE_BLOCK + SONDE__HAMMING_TOGETHER];
    uint64_t mask[PROBE_BLOCK / 64];
    int64_t width = q->plan->hamming->code->code_bytes;
    const uint8_t *codes = segment->column[SONDE__HAMMING_CODE] + first * width;
    bool masked = q->lane.filter || segment->removed;
    if (masked && sonde__filter_mask(q->lane.filter, segment, first, count, mask) == 0) return;
    if (width == 4) probe_distances_4(q->code, codes, count, distance);
    else sonde__kernels_get()->hamming(q->code, codes, width, count, width, distance);
    for (int i = 0; i < SONDE__HAMMING_TOGETHER; i++) distance[count + i] = INT32_MAX;
    int32_t reach = sonde__hamming_reach(q->lane.top);
    for (int64_t i = sonde__hamming_within(distance, 0, count, reach); i < count;
         i = sonde__hamming_within(distance, i + 1, count, reach)) {
        if (masked && !(mask[i >> 6] >> (i & 63) & 1)) continue;
        sonde__top_push(q->lane.top, -(float)distance[i], segment->ids[first + i],
                        first_place + (sonde__place)(first + i));
        reach = sonde__hamming_reach(q->lane.top);
    }
}

static sonde_status probe_bucket(probe_query *q, int64_t number)
{
    const sonde__snapshot *snapshot = q->plan->search->snapshot;
    const sonde__list *list = snapshot->list[number];
    q->scored += list->rows;
    if (list->rows == 0) return SONDE_OK;
    if (q->plan->by_rows) {
        sonde__scorer scorer = probe_row_scorer(q->plan->search->index);
        return sonde__scan_list(&scorer, snapshot, number, &q->lane, 1, q->scratch);
    }
    for (int64_t s = 0; s < list->segments; s++)
        for (int64_t row = 0; row < list->segment[s]->count; row += PROBE_BLOCK)
            probe_block(q, list->segment[s], sonde__place_of(number, s, 0), row,
                        sonde__min_i64(PROBE_BLOCK, list->segment[s]->count - row));
    return q->lane.top->status;
}

/* A bucket that will be read soon: its header first, then, when that is here, its first segment's. */
static void probe_ask(const sonde__snapshot *snapshot, int64_t far, int64_t near)
{
    __builtin_prefetch(snapshot->list[far]);
    const sonde__list *list = snapshot->list[near];
    if (list->segments > 0) __builtin_prefetch(list->segment[0]);
}

/* And its first rows, when that is here too. */
static void probe_ask_rows(const sonde__snapshot *snapshot, int64_t number, int column)
{
    const sonde__list *list = snapshot->list[number];
    if (list->segments == 0) return;
    const uint8_t *rows = list->segment[0]->column[column];
    for (int line = 0; line < 4; line++) __builtin_prefetch(rows + 64 * line);
}

/* ---- many buckets ------------------------------------------------------------------------------------ */

/* Buckets [begin, end) of the query's sequence. *over: this one and all that follow are out of reach, as
 * masks by weight never become lighter again. */
static sonde_status probe_walk(probe_query *q, const uint32_t *mask, int64_t begin, int64_t end, bool *over)
{
    const probe_plan *p = q->plan;
    const sonde__snapshot *snapshot = p->search->snapshot;
    int64_t home = sonde__hamming_bucket(p->hamming, q->code);
    int column = p->by_rows ? SONDE__HAMMING_ROW : SONDE__HAMMING_CODE;
    for (int64_t i = begin; i < end && !*over; i++) {
        if (i % PROBE_POLL == PROBE_POLL - 1) SONDE_TRY(sonde__poll(p->search->runtime, NULL, 0, 1));
        int64_t far = sonde__min_i64(i + PROBE_AHEAD, end - 1),
                near = sonde__min_i64(i + PROBE_AHEAD / 2, end - 1);
        probe_ask(snapshot, home ^ mask[far], home ^ mask[near]);
        probe_ask_rows(snapshot, home ^ mask[sonde__min_i64(i + PROBE_AHEAD / 4, end - 1)], column);
        if (p->by_rows || __builtin_popcount(mask[i]) <= sonde__hamming_reach(q->lane.top))
            SONDE_TRY(probe_bucket(q, home ^ mask[i]));
        else *over = !p->soft;
    }
    return SONDE_OK;
}

/* The first `end` buckets, of which `begin` have been visited. */
static sonde_status probe_stretch(probe_query *q, int64_t begin, int64_t end, bool *over)
{
    const probe_plan *p = q->plan;
    int bits = p->hamming->bucket_bits;
    uint32_t *mask;
    sonde__scratch_mark here = sonde__scratch_here(q->scratch);
    SONDE_TRY(SONDE_SCRATCH(q->scratch, mask, end));
    sonde_status status = SONDE_OK;
    if (p->soft) status = sonde__hamming_by_cost(bits, q->cost, end, q->scratch, mask);
    else sonde__hamming_by_weight(bits, end, mask);
    if (status == SONDE_OK) status = probe_walk(q, mask, begin, end, over);
    sonde__scratch_rewind(q->scratch, here);
    return status;
}

static sonde_status probe_chunks(probe_query *q, int64_t wanted, bool *all)
{
    const probe_plan *p = q->plan;
    sonde__scorer scorer = probe_row_scorer(p->search->index);
    sonde__chunk_search search = {.view = &p->chunks,
                                  .code = q->code,
                                  .steps = p->probes,
                                  .wanted = wanted,
                                  .rows = p->by_rows ? &scorer : NULL,
                                  .lane = &q->lane,
                                  .scratch = q->scratch};
    SONDE_TRY(sonde__chunks_visit(&search));
    q->scored = search.seen;
    *all = search.all;
    return SONDE_OK;
}

/* As many buckets as planned, and on until k rows are found. By weight it goes in stretches, since it may be
 * over soon. *all: no row is left that could be a hit. */
static sonde_status probe_visit(probe_query *q, bool *all)
{
    const probe_plan *p = q->plan;
    int64_t lists = p->search->index->lists, begin = 0;
    int64_t wanted = sonde__min_i64(p->search->k, sonde__live_rows(p->search->snapshot));
    int64_t end = p->soft ? p->probes : sonde__min_i64(p->probes, PROBE_STRETCH);
    bool over = false;
    if (p->hamming->chunks > 1) return probe_chunks(q, wanted, all);
    for (;;) {
        SONDE_TRY(probe_stretch(q, begin, end, &over));
        bool lacking = !q->lane.top->range && q->lane.top->count < wanted;
        if (over || end == lists || (end >= p->probes && !lacking)) break;
        begin = end;
        end = sonde__min_i64(end < p->probes ? p->probes : lists, 4 * end);
    }
    *all = over || end == lists;
    return SONDE_OK;
}

/* Candidates to hits, and why the query stopped. */
static void probe_finish(probe_query *q, bool all)
{
    sonde__search *search = q->plan->search;
    const sonde_index *index = search->index;
    sonde__top *out = &search->top[q->number];
    if (q->plan->keep > 0) {
        sonde__top_settle(&q->own);
        sonde__rescore(index->metric, q->plan->hamming->row_kind, SONDE__HAMMING_ROW,
                       index->layout.width[SONDE__HAMMING_ROW], search->snapshot,
                       search->query + q->number * index->dim, index->dim, &q->own);
        sonde__top_merge(out, &q->own);
    }
    sonde__top_sort(out);
    if (search->scored) search->scored[q->number] = q->scored;
    int64_t live = sonde__live_rows(search->snapshot);
    bool fewer = !out->range && out->count < search->k && (all || out->count == live);
    bool final = q->plan->keep == 0;
    search->reason[q->number] = fewer          ? SONDE_STOP_FEWER
                                : all && final ? SONDE_STOP_EXACT
                                               : SONDE_STOP_EFFORT;
}

static sonde_status probe_one(const probe_plan *p, int64_t number, sonde__scratch *scratch)
{
    probe_query q;
    bool all;
    SONDE_TRY(probe_open(p, number, scratch, &q));
    SONDE_TRY(probe_visit(&q, &all));
    probe_finish(&q, all);
    return SONDE_OK;
}

static sonde_status probe_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    const probe_plan *p = context;
    sonde__scratch *scratch;
    SONDE_TRY(sonde__scratch_take(p->search->runtime, &scratch));
    sonde_status status = SONDE_OK;
    for (int64_t i = begin; i < end && status == SONDE_OK; i++) {
        sonde__scratch_mark mark = sonde__scratch_here(scratch);
        status = probe_one(p, p->first + i, scratch);
        sonde__scratch_rewind(scratch, mark);
    }
    sonde__scratch_give(p->search->runtime, scratch);
    return status;
}

/* ---- rows instead of buckets ------------------------------------------------------------------------- */

/* Every row, or the few allowed ones, for some queries at once. Lanes share panels where rows are scored. */
static sonde_status probe_scan(const probe_plan *p, probe_query *queries, int64_t count,
                               sonde__scratch *scratch)
{
    const sonde__search *search = p->search;
    sonde__scorer scorer = (p->by_rows ? probe_row_scorer : probe_code_scorer)(search->index);
    sonde__lane *lanes;
    SONDE_TRY(SONDE_SCRATCH(scratch, lanes, count));
    for (int64_t i = 0; i < count; i++) lanes[i] = queries[i].lane;
    if (p->places)
        SONDE_TRY(
            sonde__scan_places(&scorer, search->snapshot, p->places, p->place_count, lanes, count, scratch));
    for (int64_t l = 0; !p->places && l < search->index->lists; l++) {
        if (l % 64 == 0) SONDE_TRY(sonde__poll(search->runtime, NULL, 0, 1));
        if (search->snapshot->list[l]->rows > 0)
            SONDE_TRY(sonde__scan_list(&scorer, search->snapshot, l, lanes, count, scratch));
    }
    for (int64_t i = 0; i < count; i++) {
        queries[i].scored = p->places ? p->place_count : search->snapshot->rows;
        probe_finish(&queries[i], true);
    }
    return SONDE_OK;
}

static sonde_status probe_scan_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    const probe_plan *p = context;
    sonde__scratch *scratch;
    probe_query *queries;
    SONDE_TRY(sonde__scratch_take(p->search->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, queries, end - begin);
    for (int64_t i = begin; i < end && status == SONDE_OK; i++)
        status = probe_open(p, p->first + i, scratch, &queries[i - begin]);
    if (status == SONDE_OK) status = probe_scan(p, queries, end - begin, scratch);
    sonde__scratch_give(p->search->runtime, scratch);
    return status;
}

/* The allowed rows alone, if they are few: exact. */
static sonde_status probe_few(probe_plan *p, int64_t allowed, sonde__scratch *scratch)
{
    const sonde__search *search = p->search;
    int64_t limit = sonde__max_i64(PROBE_FEW, search->snapshot->rows / PROBE_FEW_SHARE);
    sonde__place *places = NULL;
    int64_t count = -1;
    if (allowed > limit) return SONDE_OK;
    SONDE_TRY(sonde__filter_places(sonde__search_filter(search, p->first), search->index->store,
                                   search->snapshot, limit, scratch, &places, &count));
    if (count < 0) return SONDE_OK;
    p->places = places;
    p->place_count = count;
    p->by_rows = p->hamming->rows;
    p->keep = 0;
    return SONDE_OK;
}

/* ---- the search -------------------------------------------------------------------------------------- */

static sonde_status probe_run(probe_plan *p, int64_t count)
{
    const sonde__search *search = p->search;
    bool scan = p->places || (p->by_rows && probe_all(p));
    int64_t grain = scan ? sonde__kernels_get()->lanes : PROBE_QUERIES;
    return sonde__parallel_for(search->runtime, search->threads, count, grain, search->stage,
                               scan ? probe_scan_chunk : probe_chunk, p);
}

/* Queries that share a filter. */
static sonde_status probe_some(sonde__search *search, int64_t first, int64_t count)
{
    const sonde_filter *filter = sonde__search_filter(search, first);
    int64_t allowed = filter ? sonde__filter_estimate(filter, search->snapshot) : 0;
    probe_plan p;
    sonde__scratch *scratch;
    probe_make_plan(search, allowed, &p);
    p.first = first;
    SONDE_TRY(sonde__scratch_take(search->runtime, &scratch));
    sonde_status status = filter ? probe_few(&p, allowed, scratch) : SONDE_OK;
    if (status == SONDE_OK && p.hamming->chunks > 1) status = sonde__chunks_open(search, scratch, &p.chunks);
    if (status == SONDE_OK) status = probe_run(&p, count);
    sonde__scratch_give(search->runtime, scratch);
    return status;
}

sonde_status sonde__hamming_search(sonde__search *search)
{
    if (search->filter_count <= 1) return probe_some(search, 0, search->queries);
    for (int64_t q = 0; q < search->queries; q++) SONDE_TRY(probe_some(search, q, 1));
    return SONDE_OK;
}
