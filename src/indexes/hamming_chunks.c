/* hamming_chunks.c: multi-index hashing: the exact Hamming neighbours of long codes, without looking at all
 * rows.
 *
 * Problem: a ball of radius r around a code of 64 or 128 bits has far too many codes to look them all up.
 * Idea: cut the code into m substrings, chunks, of s bits. Two codes that differ in few bits differ in very
 * few bits of some chunk, so a table for each chunk, from its value to the rows that have it, is asked for
 * the values that differ from the query's in 0 bits, then in 1, in 2 ... Step t = m w + j asks chunk j for
 * all values w bits away. A row that no step up to t has met differs in w + 1 bits or more in the chunks 0..j
 * and in w or more in the others, so in more than t in all: after step t, every row within distance t is
 * known. A search for the k nearest ends at the first step that covers the k-th distance; a search with an
 * effort of e ends after e steps.
 *
 *     step of a row = min over j of m (bits that differ in chunk j) + j, never more than its distance
 *
 * A row is met by several steps; only the one with its own number takes it. So nothing is kept of the rows
 * that have been met, and whoever scans rows knows which of them the steps have taken, or would have: a
 * search may change over to scanning, where looking things up has become dearer, and finds the same hits.
 *
 *     start  [2^s + 1]  where the rows of each value begin
 *     rows   [n]        segment << 16 | row, all rows of one value side by side
 *
 * The tables are made from a snapshot when the first searches come, and again when an eighth of the rows is
 * not in them. Rows that were added since, or moved, are scanned: a segment is known by the memory of its
 * ids, of which the tables hold a share, so that the same address is the same segment. Rows removed since are
 * passed over. They are not in files, since making them takes about as long as reading them.
 *
 * Source: Norouzi, Punjani, Fleet, "Fast search in Hamming space with multi-index hashing" (CVPR 2012).
 * Cost: memory m (4 n + 4 2^s) bytes; making them m n random writes; a search of radius r about
 * m C(s, <= r / m) (1 + n / 2^s) cache misses.
 *
 * SPDX-License-Identifier: MIT
 */
#include "indexes/hamming.h"
#include "indexes/store.h"

#define CHUNK_BATCH 1024          /* rows whose codes are compared at a time */
#define CHUNK_AHEAD 16            /* values, or candidates, between asking for memory and reading it */
#define CHUNK_STALE 8             /* tables without more than rows / 8 are made anew */
#define CHUNK_PATIENCE 32         /* queries that rather scan than wait for tables */
#define CHUNK_SEGMENTS_MOST 65536 /* of a row's number, 16 bits are the segment */
#define CHUNK_PROBE_COST 4        /* of asking for a value, and of a candidate, in rows scanned */
#define CHUNK_ROW_COST 8
#define CHUNK_TRIAL 4 /* up to a quarter of the cost of scanning is spent to see whether steps will do */

typedef struct chunk_segment {
    const int64_t *ids; /* which segment it is */
    int64_t count;      /* its first rows, those that the tables have */
    sonde__slab *slab;  /* a share */
} chunk_segment;

/* Immutable once shown. */
typedef struct sonde__chunk_tables {
    uint64_t version; /* of the snapshot */
    uint64_t bytes;
    int64_t segments, rows;
    chunk_segment *segment;
    uint32_t *start[SONDE__CHUNKS_MOST], *row[SONDE__CHUNKS_MOST]; /* all in the memory of this struct */
} sonde__chunk_tables;

struct sonde__chunks {
    _Atomic(sonde__chunk_tables *) tables;
    _Atomic uint64_t bytes;
    _Atomic int64_t waiting; /* queries that came while there were no good tables */
    _Atomic bool making;
};

/* ---- chunks of a code -------------------------------------------------------------------------------- */

/* The value of a chunk: at most 20 bits, so within 4 bytes. */
static uint32_t chunk_value(const sonde__hamming *h, const uint8_t *code, int chunk)
{
    int64_t bit = (int64_t)chunk * h->chunk_stride, first = bit / 8, bytes = h->code->code_bytes - first;
    uint32_t value = 0;
    if (bytes >= 4)
        value = (uint32_t)code[first] | (uint32_t)code[first + 1] << 8 | (uint32_t)code[first + 2] << 16 |
                (uint32_t)code[first + 3] << 24;
    else
        for (int64_t b = 0; b < bytes; b++) value |= (uint32_t)code[first + b] << 8 * b;
    return value >> bit % 8 & ((1u << h->chunk_bits) - 1);
}

/* The step that takes a row: see above. */
static int64_t chunk_step(const sonde__hamming *h, const uint32_t *query, const uint8_t *code)
{
    int64_t least = INT64_MAX;
    for (int j = 0; j < h->chunks; j++) {
        int64_t step = (int64_t)h->chunks * __builtin_popcount(query[j] ^ chunk_value(h, code, j)) + j;
        least = sonde__min_i64(least, step);
    }
    return least;
}

/* ---- making tables ----------------------------------------------------------------------------------- */

uint64_t sonde__chunks_bytes_for(const sonde__hamming *h, int64_t rows)
{
    uint64_t table = ((uint64_t)1 << h->chunk_bits) + 2 + (uint64_t)rows;
    return h->chunks > 1 ? sizeof(sonde__chunk_tables) + (uint64_t)h->chunks * table * 4 : 0;
}

/* Memory for tables of a snapshot, with the segments that they are of. */
static sonde__chunk_tables *chunk_tables_new(sonde_runtime *runtime, const sonde__hamming *h,
                                      const sonde__snapshot *snapshot)
{
    const sonde__list *list = snapshot->list[0];
    uint64_t segments = (uint64_t)list->segments * sizeof(chunk_segment);
    uint64_t bytes = sonde__chunks_bytes_for(h, list->rows) + segments;
    sonde__chunk_tables *made = sonde__shown_alloc(runtime, bytes);
    if (!made) return NULL;
    *made = (sonde__chunk_tables){
        .version = snapshot->version, .bytes = bytes, .segments = list->segments, .rows = list->rows};
    made->segment = (chunk_segment *)(void *)(made + 1);
    for (int64_t s = 0; s < list->segments; s++)
        made->segment[s] = (chunk_segment){list->segment[s]->ids, list->segment[s]->count,
                                           list->segment[s]->slab};
    uint32_t *at = (uint32_t *)(void *)(made->segment + list->segments);
    for (int j = 0; j < h->chunks; j++) {
        made->start[j] = at;
        made->row[j] = at + ((size_t)1 << h->chunk_bits) + 2;
        at = made->row[j] + list->rows;
    }
    return made;
}

typedef struct chunk_making {
    const sonde__hamming *hamming;
    const sonde__list *list;
    sonde__chunk_tables *tables;
    sonde_runtime *runtime;
} chunk_making;

/* Counts the rows of each value, two places on; then, where the counts have become starts, enters the rows,
 * which moves the starts one place on: to where they belong. */
static sonde_status chunk_sort_rows(const chunk_making *m, int chunk, bool enter)
{
    const sonde__hamming *h = m->hamming;
    int64_t width = h->code->code_bytes;
    uint32_t *start = m->tables->start[chunk], *to = m->tables->row[chunk];
    for (int64_t s = 0; s < m->list->segments; s++) {
        const uint8_t *code = m->list->segment[s]->column[SONDE__HAMMING_CODE];
        SONDE_TRY(sonde__poll(m->runtime, NULL, 0, 1));
        for (int64_t r = 0; r < m->tables->segment[s].count; r++, code += width) {
            uint32_t value = chunk_value(h, code, chunk);
            if (enter) to[start[value + 1]++] = (uint32_t)(s << 16 | r);
            else start[value + 2]++;
        }
    }
    return SONDE_OK;
}

static sonde_status chunk_sort(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    const chunk_making *m = context;
    int64_t values = (int64_t)1 << m->hamming->chunk_bits;
    for (int64_t chunk = begin; chunk < end; chunk++) {
        uint32_t *start = m->tables->start[chunk];
        memset(start, 0, (size_t)(values + 2) * sizeof *start);
        SONDE_TRY(chunk_sort_rows(m, (int)chunk, false));
        for (int64_t v = 0; v <= values; v++) start[v + 1] += start[v];
        SONDE_TRY(chunk_sort_rows(m, (int)chunk, true));
    }
    return SONDE_OK;
}

/* The shares of its segments' memory, and itself when no reader is left. Writer's mutex held. */
static void chunk_tables_retire(sonde__store *store, sonde__chunk_tables *old)
{
    for (int64_t s = 0; s < old->segments; s++) sonde__slab_drop(store->runtime, old->segment[s].slab);
    sonde__store_retire(store, old, NULL, atomic_load(&store->published));
}

static void chunk_tables_show(sonde__store *store, sonde__chunks *chunks, sonde__chunk_tables *made)
{
    sonde__mutex_lock(&store->writer);
    for (int64_t s = 0; s < made->segments; s++) made->segment[s].slab->shares++;
    sonde__chunk_tables *old = atomic_exchange(&chunks->tables, made);
    atomic_store(&chunks->bytes, made->bytes);
    if (old) chunk_tables_retire(store, old);
    sonde__mutex_unlock(&store->writer);
}

static sonde_status chunk_tables_make(const sonde__search *search)
{
    sonde_runtime *runtime = search->runtime;
    const sonde__hamming *h = search->index->state;
    chunk_making m = {h, search->snapshot->list[0], chunk_tables_new(runtime, h, search->snapshot), runtime};
    if (!m.tables) return sonde__last_status();
    sonde_status status = sonde__parallel_for(runtime, search->threads, h->chunks, 1, NULL, chunk_sort, &m);
    if (status == SONDE_OK) chunk_tables_show(search->index->store, h->tables, m.tables);
    else sonde__shown_free(runtime, m.tables);
    return status;
}

sonde_status sonde__chunks_create(sonde_runtime *runtime, sonde__chunks **chunks)
{
    return SONDE_NEW_ZERO(runtime, *chunks, 1);
}

void sonde__chunks_free(sonde_runtime *runtime, sonde__chunks *chunks)
{
    if (!chunks) return;
    sonde__chunk_tables *tables = atomic_load(&chunks->tables);
    for (int64_t s = 0; tables && s < tables->segments; s++)
        sonde__slab_drop(runtime, tables->segment[s].slab);
    sonde__shown_free(runtime, tables);
    sonde__free(runtime, chunks);
}

uint64_t sonde__chunks_bytes(const sonde__chunks *chunks)
{
    return sizeof *chunks + atomic_load(&((sonde__chunks *)(uintptr_t)chunks)->bytes);
}

/* ---- what a search sees ------------------------------------------------------------------------------ */

/* Fills how many rows of each of the snapshot's segments the tables have; the sum. */
static int64_t chunk_cover(sonde__chunk_view *view, const sonde__chunk_tables *tables)
{
    const sonde__list *list = view->search->snapshot->list[0];
    int64_t sum = 0;
    for (int64_t s = 0; s < list->segments; s++) {
        bool known = tables && s < tables->segments && tables->segment[s].ids == list->segment[s]->ids;
        view->covered[s] = known ? sonde__min_i64(tables->segment[s].count, list->segment[s]->count) : 0;
        view->codes[s] = list->segment[s]->column[SONDE__HAMMING_CODE];
        sum += view->covered[s];
    }
    view->tables = tables;
    view->whole = tables && sum == tables->rows;
    return sum;
}

/* Whether tables should be made now, by this search. */
static bool chunk_wanted(const sonde__search *search, sonde__chunks *chunks, const sonde__chunk_tables *tables,
                         int64_t covered)
{
    const sonde__list *list = search->snapshot->list[0];
    bool good = (list->rows - covered) * CHUNK_STALE <= list->rows;
    bool older = tables && tables->version > search->snapshot->version;
    if (good || older || list->segments > CHUNK_SEGMENTS_MOST || list->rows >= UINT32_MAX) return false;
    if (atomic_fetch_add(&chunks->waiting, search->queries) + search->queries < CHUNK_PATIENCE) return false;
    return !atomic_exchange(&chunks->making, true);
}

/* What the first t steps cost, in rows scanned, if all values were as frequent. */
static void chunk_expect(const sonde__hamming *h, int64_t rows, double *cost)
{
    double held = (double)rows / (double)((int64_t)1 << h->chunk_bits), values = 1;
    int64_t t = 0;
    cost[0] = 0;
    for (int weight = 0; weight <= h->chunk_bits; weight++) {
        for (int j = 0; j < h->chunks; j++, t++)
            cost[t + 1] = cost[t] + values * (CHUNK_PROBE_COST + held * CHUNK_ROW_COST);
        values *= (double)(h->chunk_bits - weight) / (weight + 1);
    }
}

sonde_status sonde__chunks_open(const sonde__search *search, sonde__scratch *scratch, sonde__chunk_view *view)
{
    const sonde__hamming *h = search->index->state;
    int64_t segments = search->snapshot->list[0]->segments;
    *view = (sonde__chunk_view){.search = search};
    SONDE_TRY(SONDE_SCRATCH(scratch, view->covered, segments));
    SONDE_TRY(SONDE_SCRATCH(scratch, view->codes, segments));
    SONDE_TRY(SONDE_SCRATCH(scratch, view->cost, sonde__hamming_steps(h) + 1));
    chunk_expect(h, search->snapshot->rows, view->cost);
    int64_t covered = chunk_cover(view, atomic_load(&h->tables->tables));
    if (!chunk_wanted(search, h->tables, view->tables, covered)) return SONDE_OK;
    sonde_status status = chunk_tables_make(search);
    atomic_store(&h->tables->waiting, 0);
    atomic_store(&h->tables->making, false);
    (void)chunk_cover(view, atomic_load(&h->tables->tables));
    return status;
}

/* ---- one query --------------------------------------------------------------------------------------- */

typedef struct chunk_query {
    const sonde__chunk_view *view;
    const sonde__hamming *hamming;
    const sonde__list *list;
    const uint8_t *code;
    const sonde__scorer *rows; /* what scores them, where codes do not decide */
    sonde__lane *lane;
    sonde__scratch *scratch;
    uint32_t value[SONDE__CHUNKS_MOST]; /* of the query's chunks */
    int64_t first, end;                 /* rows of the steps [first, end) are taken now */
    int64_t seen;                       /* rows whose codes were compared */
    int64_t cost;                       /* of asking tables, in rows scanned */
    uint8_t *codes;                     /* of a batch */
    uint32_t *batch;
    int64_t waiting; /* candidates in the batch */
    sonde__place *places;
    int64_t place_count; /* rows to be scored on themselves */
} chunk_query;

static sonde_status chunk_score_places(chunk_query *q)
{
    int64_t count = q->place_count;
    q->place_count = 0;
    if (count == 0) return SONDE_OK;
    return sonde__scan_places(q->rows, q->view->search->snapshot, q->places, count, q->lane, 1, q->scratch);
}

/* A row that may be a hit: takes it if it is live and allowed, and of the steps that are due. */
static void chunk_take(chunk_query *q, int64_t segment, int64_t row, const uint8_t *code, int32_t distance)
{
    const sonde__segment *in = q->list->segment[segment];
    int64_t step = chunk_step(q->hamming, q->value, code);
    if (step < q->first || step >= q->end) return;
    if (sonde__gone(in, row) || !sonde__filter_allows(q->lane->filter, in->ids[row])) return;
    sonde__place place = sonde__place_of(0, segment, row);
    if (q->rows) q->places[q->place_count++] = place;
    else sonde__top_push(q->lane->top, -(float)distance, in->ids[row], place);
}

/* The largest distance that is still of interest. */
static int32_t chunk_reach(const chunk_query *q)
{
    return q->rows ? SONDE__MAX_DIM : sonde__hamming_reach(q->lane->top);
}

/* ---- rows in a row ----------------------------------------------------------------------------------- */

/* Distances of codes that lie side by side, and room behind them for looking at several together. */
static void chunk_compare(chunk_query *q, const uint8_t *codes, int64_t count, int32_t *distance)
{
    int64_t width = q->hamming->code->code_bytes;
    sonde__kernels_get()->hamming(q->code, codes, width, count, width, distance);
    for (int i = 0; i < SONDE__HAMMING_TOGETHER; i++) distance[count + i] = INT32_MAX;
    q->seen += count;
}

static sonde_status chunk_scan_stretch(chunk_query *q, int64_t segment, int64_t row, int64_t count)
{
    int32_t distance[CHUNK_BATCH + SONDE__HAMMING_TOGETHER];
    int64_t width = q->hamming->code->code_bytes;
    const uint8_t *codes = q->view->codes[segment] + row * width;
    chunk_compare(q, codes, count, distance);
    int32_t reach = chunk_reach(q);
    for (int64_t i = sonde__hamming_within(distance, 0, count, reach); i < count;
         i = sonde__hamming_within(distance, i + 1, count, reach)) {
        chunk_take(q, segment, row + i, codes + i * width, distance[i]);
        reach = chunk_reach(q);
    }
    SONDE_TRY(chunk_score_places(q));
    return q->lane->top->status;
}

/* All rows, or those that the tables have, or those that they lack: the ones of steps [first, end) among
 * them. */
typedef enum chunk_which { CHUNK_COVERED = 1, CHUNK_UNCOVERED = 2, CHUNK_ALL = 3 } chunk_which;

static sonde_status chunk_scan(chunk_query *q, chunk_which which, int64_t first, int64_t end)
{
    q->first = first;
    q->end = end;
    for (int64_t s = 0; s < q->list->segments; s++) {
        int64_t covered = q->view->covered[s];
        int64_t row = which & CHUNK_COVERED ? 0 : covered;
        int64_t stop = which & CHUNK_UNCOVERED ? q->list->segment[s]->count : covered;
        if (row < stop) SONDE_TRY(sonde__poll(q->view->search->runtime, NULL, 0, 1));
        for (; row < stop; row += CHUNK_BATCH)
            SONDE_TRY(chunk_scan_stretch(q, s, row, sonde__min_i64(CHUNK_BATCH, stop - row)));
    }
    return SONDE_OK;
}

/* ---- candidates -------------------------------------------------------------------------------------- */

static const uint8_t *chunk_code_at(const sonde__chunk_view *view, uint32_t candidate, int64_t width)
{
    return view->codes[candidate >> 16] + (int64_t)(candidate & 0xffff) * width;
}

/* Drops what the snapshot does not have where the tables say. */
static void chunk_known(chunk_query *q)
{
    int64_t kept = 0;
    if (q->view->whole) return;
    for (int64_t i = 0; i < q->waiting; i++) {
        uint32_t c = q->batch[i];
        q->batch[kept] = c;
        kept += (int64_t)(c >> 16) < q->list->segments && (int64_t)(c & 0xffff) < q->view->covered[c >> 16];
    }
    q->waiting = kept;
}

/* Codes side by side: the copies of the usual widths are single moves. */
static void chunk_gather(const chunk_query *q)
{
    const sonde__chunk_view *view = q->view;
    const uint32_t *row = q->batch;
    int64_t width = q->hamming->code->code_bytes, n = q->waiting;
    uint8_t *to = q->codes;
    for (int64_t i = 0; i < sonde__min_i64(n, CHUNK_AHEAD); i++)
        __builtin_prefetch(chunk_code_at(view, row[i], width));
    for (int64_t i = 0; i < n; i++, to += width) {
        const uint8_t *from = chunk_code_at(view, row[i], width);
        if (i + CHUNK_AHEAD < n) __builtin_prefetch(chunk_code_at(view, row[i + CHUNK_AHEAD], width));
        if (width == 8) memcpy(to, from, 8);
        else if (width == 16) memcpy(to, from, 16);
        else memcpy(to, from, (size_t)width);
    }
}

static sonde_status chunk_verify(chunk_query *q)
{
    int32_t distance[CHUNK_BATCH + SONDE__HAMMING_TOGETHER];
    chunk_known(q);
    chunk_gather(q);
    chunk_compare(q, q->codes, q->waiting, distance);
    int32_t reach = chunk_reach(q);
    for (int64_t i = sonde__hamming_within(distance, 0, q->waiting, reach); i < q->waiting;
         i = sonde__hamming_within(distance, i + 1, q->waiting, reach)) {
        const uint8_t *code = q->codes + i * q->hamming->code->code_bytes;
        chunk_take(q, q->batch[i] >> 16, q->batch[i] & 0xffff, code, distance[i]);
        reach = chunk_reach(q);
    }
    q->waiting = 0;
    SONDE_TRY(chunk_score_places(q));
    return q->lane->top->status;
}

static sonde_status chunk_candidates(chunk_query *q, const uint32_t *row, int64_t count)
{
    q->cost += count * CHUNK_ROW_COST;
    while (count > 0) {
        int64_t n = sonde__min_i64(count, CHUNK_BATCH - q->waiting);
        memcpy(q->batch + q->waiting, row, (size_t)n * sizeof *row);
        q->waiting += n;
        row += n;
        count -= n;
        if (q->waiting == CHUNK_BATCH) SONDE_TRY(chunk_verify(q));
    }
    return SONDE_OK;
}

/* ---- steps ------------------------------------------------------------------------------------------- */

/* The next number with as many bits set, by Gosper; 0 stays. */
static uint32_t chunk_next_mask(uint32_t m)
{
    if (m == 0) return UINT32_MAX;
    uint32_t low = m & -m, carried = m + low;
    return carried | ((m ^ carried) / low) >> 2;
}

/* Asks for some values. */
static sonde_status chunk_ask(chunk_query *q, int chunk, const uint32_t *value, int64_t count)
{
    const sonde__chunk_tables *tables = q->view->tables;
    const uint32_t *start = tables->start[chunk], *row = tables->row[chunk];
    for (int64_t i = 0; i < count; i++) {
        if (i + CHUNK_AHEAD / 2 < count) __builtin_prefetch(row + start[value[i + CHUNK_AHEAD / 2]]);
        uint32_t from = start[value[i]], to = start[value[i] + 1];
        if (from < to) SONDE_TRY(chunk_candidates(q, row + from, to - from));
    }
    q->cost += count * CHUNK_PROBE_COST;
    return SONDE_OK;
}

/* All values of a step, and what they hold. */
static sonde_status chunk_take_step(chunk_query *q, int64_t step)
{
    enum { TOGETHER = 64 };
    uint32_t value[TOGETHER];
    const sonde__hamming *h = q->hamming;
    int chunk = (int)(step % h->chunks);
    int64_t n = 0;
    q->first = step;
    q->end = step + 1;
    SONDE_TRY(sonde__poll(q->view->search->runtime, NULL, 0, 1));
    for (uint32_t mask = (1u << step / h->chunks) - 1; mask >> h->chunk_bits == 0;
         mask = chunk_next_mask(mask)) {
        value[n] = q->value[chunk] ^ mask;
        __builtin_prefetch(&q->view->tables->start[chunk][value[n]]);
        if (++n < TOGETHER) continue;
        SONDE_TRY(chunk_ask(q, chunk, value, n));
        n = 0;
    }
    SONDE_TRY(chunk_ask(q, chunk, value, n));
    return q->waiting > 0 ? chunk_verify(q) : SONDE_OK;
}

/* The same to the point, also where the top's own threshold lags behind. */
static int64_t chunk_reach_now(const chunk_query *q)
{
    sonde__top *top = q->lane->top;
    sonde__top_settle(top);
    if (q->rows || top->range || top->count < top->capacity) return chunk_reach(q);
    float worst = 0;
    for (int64_t i = 0; i < top->count; i++) worst = fminf(worst, top->hits[i].score);
    return (int64_t)-worst;
}

/* Whether to scan instead: not before a quarter of what that costs is spent; then, if all steps that the hits
 * at hand ask for would cost more than the rest. */
static bool chunk_too_dear(const chunk_query *q, int64_t step, int64_t end, int64_t reach)
{
    if (!q->view->tables) return true;
    const double *cost = q->view->cost;
    double rows = (double)q->list->rows, spent = (double)q->cost;
    if (spent + cost[step + 1] - cost[step] <= rows / CHUNK_TRIAL) return false;
    return spent + cost[sonde__min_i64(end, reach + 1)] - cost[step] > rows;
}

/* Steps up to `end`, or until no row beyond what they cover could be a hit. *step: the first one not taken.
 */
static sonde_status chunk_walk(chunk_query *q, int64_t end, int64_t *step)
{
    int64_t t = 0, reach = chunk_reach_now(q);
    for (; t < end && t <= reach && !chunk_too_dear(q, t, end, reach); t++) {
        SONDE_TRY(chunk_take_step(q, t));
        reach = chunk_reach_now(q);
    }
    *step = t;
    if (t >= end || t > reach) return SONDE_OK;
    *step = end;
    return chunk_scan(q, CHUNK_COVERED, t, end);
}

static sonde_status chunk_room(chunk_query *q)
{
    SONDE_TRY(SONDE_SCRATCH(q->scratch, q->codes, CHUNK_BATCH * q->hamming->code->code_bytes));
    SONDE_TRY(SONDE_SCRATCH(q->scratch, q->batch, CHUNK_BATCH));
    if (q->rows) SONDE_TRY(SONDE_SCRATCH(q->scratch, q->places, CHUNK_BATCH));
    for (int j = 0; j < q->hamming->chunks; j++) q->value[j] = chunk_value(q->hamming, q->code, j);
    return SONDE_OK;
}

sonde_status sonde__chunks_visit(sonde__chunk_search *search)
{
    const sonde__chunk_view *view = search->view;
    const sonde__top *top = search->lane->top;
    chunk_query q = {.view = view,
                     .hamming = view->search->index->state,
                     .list = view->search->snapshot->list[0],
                     .code = search->code,
                     .rows = search->rows,
                     .lane = search->lane,
                     .scratch = search->scratch};
    int64_t most = sonde__hamming_steps(q.hamming), step;
    SONDE_TRY(chunk_room(&q));
    SONDE_TRY(chunk_scan(&q, CHUNK_UNCOVERED, 0, search->steps));
    SONDE_TRY(chunk_walk(&q, search->steps, &step));
    if (!top->range && top->count < search->wanted && step < most) {
        SONDE_TRY(chunk_scan(&q, CHUNK_ALL, step, most));
        step = most;
    }
    search->seen = q.seen;
    search->all = step == most || chunk_reach_now(&q) < step;
    return SONDE_OK;
}
