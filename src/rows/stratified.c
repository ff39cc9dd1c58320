/* stratified.c: rows by strata, each stratum in step with its share at every moment.
 *
 * Stratum g with the share p_g has had within one of t p_g rows after every t rows. The j-th row of g must
 * come in a window of places, from floor((j-1) / p_g) to ceil(j / p_g); taking at each place the stratum
 * whose open window closes first never misses one (the chairman assignment problem, Tijdeman 1980; windows:
 * Steiner & Yeomans 1993). Shares are whole numbers, quota / period, so that this is exact, and after
 * `period` rows the windows begin anew. Strata whose windows close together come in an order that is shuffled
 * for each period; which row of its stratum comes is a shuffle of the stratum's rows for each time it is gone
 * through.
 *
 *   proportional   quota = rows of the stratum, period = all rows: a pass is every row once
 *   equal          quota = 1: each round has one row of each stratum; endless
 *   weights        quota = share of 2^31 by the input "shares"; endless
 *
 * Strata without rows get nothing. groups = the stratum, weights = (rows of it / all rows) / p_g: the
 * importance in the proportional mix. Where the stream stands is a count for each stratum, which is saved.
 *
 * Cost: O(log strata) a row; 8 bytes a row, 16 with ids, and 60 bytes a stratum. Strata are numbered below
 * 2^24.
 *
 * SPDX-License-Identifier: MIT
 */
#include <float.h>

#include "base/handle.h"
#include "rows/rows.h"

enum {
    STRATIFIED_STREAM_TURN = 0x7221,
    STRATIFIED_STREAM_ROWS = 0x7222,
    STRATIFIED_BITS = 24,
    STRATIFIED_MOST = 1 << STRATIFIED_BITS,
    STRATIFIED_POLL = 65536,
};

#define STRATIFIED_PERIOD ((uint64_t)1 << 31)

/* A binary heap of (time << 24 | turn), the least first. */
struct stratified_heap {
    uint64_t *keys;
    int64_t count;
};

struct stratified_rows {
    int64_t count, strata;
    int64_t *begin;         /* strata + 1 */
    uint32_t *rows, *order; /* by stratum: ascending; and shuffled */
    int64_t *cycle;         /* which shuffle of its rows a stratum has in `order`; -1: none of this pass */
    int64_t *ids;           /* NULL: 0 .. count-1 */
    float *shares;          /* allocation=weights; else NULL */
    uint64_t *quota, period;
    int64_t pass, place; /* where the counts below stand; pass -1: nowhere */
    uint64_t periods;    /* gone through before the current one */
    int64_t *taken;      /* rows of each stratum in this pass */
    int64_t live;
    uint32_t *turns;                     /* the strata with a quota, in the order of this period */
    uint64_t *next;                      /* by turn: when the next window opens */
    struct stratified_heap open, closed; /* windows by their end, and those to come by their begin */
};

static void stratified_forget(sonde_runtime *runtime, struct stratified_rows *rows)
{
    if (!rows) return;
    void *parts[] = {rows->begin, rows->rows,  rows->order, rows->cycle, rows->ids,       rows->shares,
                     rows->quota, rows->taken, rows->turns, rows->next,  rows->open.keys, rows->closed.keys};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) sonde__free(runtime, parts[i]);
    sonde__free(runtime, rows);
}

static void stratified_drop(sonde_row_sampler *sampler)
{
    stratified_forget(sampler->runtime, sampler->state);
}

static bool stratified_allocates(const sonde_row_sampler *sampler, const char *how)
{
    return sonde__param_is(sampler->params, "allocation", how);
}

static sonde_status stratified_create(sonde_row_sampler *sampler)
{
    sampler->batch = sonde__param_int(sampler->params, "batch");
    return SONDE_OK;
}

/* ---- building ------------------------------------------------------------------------------------------ */

static sonde_status stratified_allocate(sonde_runtime *runtime, struct stratified_rows *rows)
{
    int64_t strata = rows->strata;
    SONDE_TRY(SONDE_NEW_ZERO(runtime, rows->begin, strata + 1));
    SONDE_TRY(SONDE_NEW(runtime, rows->rows, rows->count));
    SONDE_TRY(SONDE_NEW(runtime, rows->order, rows->count));
    SONDE_TRY(SONDE_NEW(runtime, rows->cycle, strata));
    SONDE_TRY(SONDE_NEW_ZERO(runtime, rows->quota, strata));
    SONDE_TRY(SONDE_NEW_ZERO(runtime, rows->taken, strata));
    SONDE_TRY(SONDE_NEW(runtime, rows->turns, strata));
    SONDE_TRY(SONDE_NEW(runtime, rows->next, strata));
    SONDE_TRY(SONDE_NEW(runtime, rows->open.keys, strata));
    return SONDE_NEW(runtime, rows->closed.keys, strata);
}

/* The rows of each stratum side by side. `begin` is counted one place up, so that it ends as the begins. */
static void stratified_sort(struct stratified_rows *rows, const uint32_t *labels)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < rows->count; i++) rows->begin[labels[i]]++;
    for (int64_t g = 0; g <= rows->strata; g++) {
        int64_t size = rows->begin[g];
        rows->begin[g] = sum;
        sum += size;
    }
    for (int64_t i = 0; i < rows->count; i++) rows->rows[rows->begin[labels[i]]++] = (uint32_t)i;
    memmove(rows->begin + 1, rows->begin, (size_t)rows->strata * sizeof *rows->begin);
    rows->begin[0] = 0;
}

static int64_t stratified_size(const struct stratified_rows *rows, int64_t stratum)
{
    return rows->begin[stratum + 1] - rows->begin[stratum];
}

/* What a stratum asks for, beside the others. */
static double stratified_demand(const sonde_row_sampler *sampler, const struct stratified_rows *rows,
                                int64_t stratum)
{
    if (stratified_size(rows, stratum) == 0) return 0;
    if (rows->shares) return (double)rows->shares[stratum];
    return stratified_allocates(sampler, "equal") ? 1 : (double)stratified_size(rows, stratum);
}

/* Quotas are the demands as they are where those are whole numbers, else scaled to the period by rounding
 * their running sum, which keeps the sum and errs by less than one. */
static void stratified_share_out(const sonde_row_sampler *sampler, struct stratified_rows *rows)
{
    double total = 0, sum = 0;
    for (int64_t g = 0; g < rows->strata; g++) total += stratified_demand(sampler, rows, g);
    rows->period = rows->shares ? STRATIFIED_PERIOD : (uint64_t)total;
    for (int64_t g = 0; total > 0 && g < rows->strata; g++) {
        uint64_t before = (uint64_t)(sum / total * (double)rows->period + 0.5);
        sum += stratified_demand(sampler, rows, g);
        rows->quota[g] = (uint64_t)(sum / total * (double)rows->period + 0.5) - before;
        if (rows->quota[g]) rows->turns[rows->live++] = (uint32_t)g;
    }
}

/* Takes ids and shares over; labels stay the caller's. strata = rows of shares where there are some. */
static sonde_status stratified_adopt(sonde_row_sampler *sampler, const uint32_t *labels, int64_t count,
                                     int64_t strata, int64_t *ids, float *shares)
{
    struct stratified_rows *rows;
    sonde_status status = SONDE_NEW_ZERO(sampler->runtime, rows, 1);
    if (status != SONDE_OK) {
        sonde__free(sampler->runtime, ids);
        sonde__free(sampler->runtime, shares);
        return status;
    }
    *rows = (struct stratified_rows){
        .count = count, .strata = strata, .ids = ids, .shares = shares, .pass = -1};
    status = stratified_allocate(sampler->runtime, rows);
    if (status == SONDE_OK) {
        stratified_sort(rows, labels);
        stratified_share_out(sampler, rows);
        if (rows->live == 0)
            status = sonde__fail(SONDE_INVALID_ARGUMENT, "fit: shares: no stratum with rows has a share");
    }
    if (status != SONDE_OK) {
        stratified_forget(sampler->runtime, rows);
        return status;
    }
    stratified_forget(sampler->runtime, sampler->state);
    sampler->state = rows;
    return SONDE_OK;
}

/* ---- which stratum comes ------------------------------------------------------------------------------- */

static void stratified_push(struct stratified_heap *heap, uint64_t key)
{
    int64_t at = heap->count++;
    for (; at > 0 && heap->keys[(at - 1) / 2] > key; at = (at - 1) / 2)
        heap->keys[at] = heap->keys[(at - 1) / 2];
    heap->keys[at] = key;
}

/* Puts `key` in place of the least. */
static void stratified_replace(struct stratified_heap *heap, uint64_t key)
{
    int64_t at = 0, child;
    while ((child = 2 * at + 1) < heap->count) {
        child += child + 1 < heap->count && heap->keys[child + 1] < heap->keys[child];
        if (heap->keys[child] >= key) break;
        heap->keys[at] = heap->keys[child];
        at = child;
    }
    heap->keys[at] = key;
}

static uint64_t stratified_pop(struct stratified_heap *heap)
{
    uint64_t least = heap->keys[0], final = heap->keys[--heap->count];
    if (heap->count > 0) stratified_replace(heap, final);
    return least;
}

static uint64_t stratified_key(uint64_t time, uint32_t turn) { return time << STRATIFIED_BITS | turn; }

static uint32_t stratified_turn(uint64_t key) { return (uint32_t)key & (STRATIFIED_MOST - 1); }

/* Rows of a stratum in the current period. */
static uint64_t stratified_local(const struct stratified_rows *rows, uint32_t stratum)
{
    return (uint64_t)rows->taken[stratum] - rows->periods * rows->quota[stratum];
}

/* The window of the next row of a turn ends where the one after it begins, rounded up. */
static uint64_t stratified_end(struct stratified_rows *rows, uint32_t turn)
{
    uint32_t stratum = rows->turns[turn];
    uint64_t ends = (stratified_local(rows, stratum) + 1) * rows->period, quota = rows->quota[stratum];
    rows->next[turn] = ends / quota;
    return rows->next[turn] + (ends % quota > 0);
}

/* Opens the windows of the period that holds the place, as `taken` says, with the strata in an order of its
 * own. */
static void stratified_windows(const sonde_row_sampler *sampler, struct stratified_rows *rows)
{
    uint64_t place = (uint64_t)rows->place % rows->period;
    sonde__rng rng;
    rows->periods = (uint64_t)rows->place / rows->period;
    rows->open.count = rows->closed.count = rows->live = 0;
    for (int64_t g = 0; g < rows->strata; g++)
        if (rows->quota[g]) rows->turns[rows->live++] = (uint32_t)g;
    sonde__rows_rng(sampler, rows->pass, STRATIFIED_STREAM_TURN, rows->periods, &rng);
    sonde__shuffle(&rng, rows->turns, rows->live);
    for (uint32_t turn = 0; turn < (uint32_t)rows->live; turn++) {
        uint64_t quota = rows->quota[rows->turns[turn]], taken = stratified_local(rows, rows->turns[turn]);
        if (taken == quota) continue;
        uint64_t begins = taken * rows->period / quota;
        if (begins > place) stratified_push(&rows->closed, stratified_key(begins, turn));
        else stratified_push(&rows->open, stratified_key(stratified_end(rows, turn), turn));
    }
}

/* Takes the row at the place; returns its stratum. One window is open at every place. */
static uint32_t stratified_step(const sonde_row_sampler *sampler, struct stratified_rows *rows)
{
    uint64_t place = (uint64_t)rows->place - rows->periods * rows->period;
    if (place == rows->period || place == 0) {
        stratified_windows(sampler, rows);
        place = 0;
    }
    while (rows->closed.count > 0 && rows->closed.keys[0] >> STRATIFIED_BITS <= place) {
        uint32_t turn = stratified_turn(stratified_pop(&rows->closed));
        stratified_push(&rows->open, stratified_key(stratified_end(rows, turn), turn));
    }
    uint32_t turn = stratified_turn(rows->open.keys[0]), stratum = rows->turns[turn];
    rows->taken[stratum]++;
    bool more = stratified_local(rows, stratum) < rows->quota[stratum];
    if (more && rows->next[turn] <= place + 1) {
        stratified_replace(&rows->open, stratified_key(stratified_end(rows, turn), turn));
    } else {
        if (more) stratified_push(&rows->closed, stratified_key(rows->next[turn], turn));
        stratified_pop(&rows->open);
    }
    rows->place++;
    return stratum;
}

/* Goes to the beginning of the pass, unless the counts already stand where the sampler does. */
static void stratified_begin(const sonde_row_sampler *sampler, struct stratified_rows *rows)
{
    if (rows->pass == sampler->pass && rows->place == sampler->place) return;
    SONDE_ASSERT(sampler->place == 0);
    if (rows->pass != sampler->pass) memset(rows->cycle, 0xff, (size_t)rows->strata * sizeof *rows->cycle);
    rows->pass = sampler->pass;
    rows->place = 0;
    rows->periods = 0;
    memset(rows->taken, 0, (size_t)rows->strata * sizeof *rows->taken);
}

/* Takes back the first `count` rows of a draw that failed. */
static void stratified_undo(const sonde_row_sampler *sampler, struct stratified_rows *rows, int64_t count)
{
    for (int64_t i = 0; i < count; i++) rows->taken[sampler->drawn.groups[i]]--;
    rows->place -= count;
    stratified_windows(sampler, rows);
}

/* ---- drawing ------------------------------------------------------------------------------------------- */

/* The row that comes as number `number` (from 0) out of its stratum. */
static uint32_t stratified_row(const sonde_row_sampler *sampler, struct stratified_rows *rows,
                               uint32_t stratum, int64_t number)
{
    int64_t size = stratified_size(rows, stratum), begin = rows->begin[stratum];
    int64_t cycle = number < size ? 0 : number / size;
    if (rows->cycle[stratum] != cycle) {
        sonde__rng rng;
        memcpy(rows->order + begin, rows->rows + begin, (size_t)size * sizeof *rows->rows);
        sonde__rows_rng(sampler, rows->pass, STRATIFIED_STREAM_ROWS,
                        (uint64_t)cycle << STRATIFIED_BITS | stratum, &rng);
        sonde__shuffle(&rng, rows->order + begin, size);
        rows->cycle[stratum] = cycle;
    }
    return rows->order[begin + number - cycle * size];
}

static float stratified_weight(const struct stratified_rows *rows, uint32_t stratum)
{
    double in_mix = (double)stratified_size(rows, stratum) / (double)rows->count;
    return (float)(in_mix / ((double)rows->quota[stratum] / (double)rows->period));
}

static void stratified_draw_row(sonde_row_sampler *sampler, struct stratified_rows *rows, int64_t i)
{
    uint32_t stratum = stratified_step(sampler, rows);
    uint32_t row = stratified_row(sampler, rows, stratum, rows->taken[stratum] - 1);
    sampler->drawn.ids[i] = rows->ids ? rows->ids[row] : row;
    sampler->drawn.groups[i] = stratum;
    sampler->drawn.weights[i] = stratified_weight(rows, stratum);
}

static sonde_status stratified_draw(sonde_row_sampler *sampler, const sonde_array *const *inputs,
                                    int64_t count)
{
    (void)inputs;
    struct stratified_rows *rows = sampler->state;
    bool passes = stratified_allocates(sampler, "proportional");
    if (passes) count = sonde__min_i64(count, rows->count - sampler->place);
    SONDE_TRY(sonde__rows_begin(sampler, count, true));
    stratified_begin(sampler, rows);
    for (int64_t i = 0; i < count; i++) {
        sonde_status status = SONDE_OK;
        if (i % STRATIFIED_POLL == 0)
            status = sonde__poll(sampler->runtime, "drawing rows", (uint64_t)i, (uint64_t)count);
        if (status != SONDE_OK) {
            stratified_undo(sampler, rows, i);
            return status;
        }
        stratified_draw_row(sampler, rows, i);
    }
    sampler->drawn.last = passes && sampler->place + count == rows->count;
    return SONDE_OK;
}

/* ---- fitting ------------------------------------------------------------------------------------------- */

/* The strata as 32-bit numbers, and how many there are. */
static sonde_status stratified_labels(sonde_runtime *runtime, const sonde_array *groups, uint32_t **labels,
                                      int64_t *strata)
{
    int64_t *wide;
    SONDE_TRY(sonde__column_i64(runtime, groups, "fit: groups", -1, 0, STRATIFIED_MOST - 1, &wide));
    sonde_status status = SONDE_NEW(runtime, *labels, groups->rows);
    *strata = 0;
    for (int64_t i = 0; status == SONDE_OK && i < groups->rows; i++) {
        (*labels)[i] = (uint32_t)wide[i];
        *strata = sonde__max_i64(*strata, wide[i] + 1);
    }
    sonde__free(runtime, wide);
    return status;
}

static sonde_status stratified_options(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                                       int64_t *strata, int64_t **ids, float **shares)
{
    bool weighs = stratified_allocates(sampler, "weights");
    if (weighs != (inputs[2] != NULL))
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           weighs ? "fit: allocation=weights needs the input shares"
                                  : "fit: the input shares is for allocation=weights only");
    if (inputs[2] && (inputs[2]->rows < *strata || inputs[2]->rows > STRATIFIED_MOST))
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "fit: shares has %lld rows, expected one for each of %lld strata",
                           (long long)inputs[2]->rows, (long long)*strata);
    if (inputs[1])
        SONDE_TRY(
            sonde__column_i64(sampler->runtime, inputs[1], "fit: ids", inputs[0]->rows, 0, INT64_MAX, ids));
    if (!inputs[2]) return SONDE_OK;
    *strata = inputs[2]->rows;
    return sonde__column_f32(sampler->runtime, inputs[2], "fit: shares", *strata, 0, FLT_MAX, shares);
}

static sonde_status stratified_fit(sonde_row_sampler *sampler, const sonde_array *const *inputs)
{
    uint32_t *labels = NULL;
    int64_t strata, *ids = NULL, count = inputs[0]->rows;
    float *shares = NULL;
    SONDE_TRY(sonde__rows_fit_check("groups", count, 1));
    sonde_status status = stratified_labels(sampler->runtime, inputs[0], &labels, &strata);
    if (status == SONDE_OK) status = stratified_options(sampler, inputs, &strata, &ids, &shares);
    if (status == SONDE_OK) status = stratified_adopt(sampler, labels, count, strata, ids, shares);
    else sonde__free(sampler->runtime, ids);
    sonde__free(sampler->runtime, labels);
    return status;
}

/* ---- shards and files ---------------------------------------------------------------------------------- */

/* The strata of the rows, in the order of the rows. */
static void stratified_relabel(const struct stratified_rows *rows, uint32_t *labels)
{
    for (int64_t g = 0; g < rows->strata; g++)
        for (int64_t i = rows->begin[g]; i < rows->begin[g + 1]; i++) labels[rows->rows[i]] = (uint32_t)g;
}

static sonde_status stratified_mergeable(const struct stratified_rows *a, const struct stratified_rows *b)
{
    SONDE_TRY(sonde__merge_count("rows", a->count, b->count));
    SONDE_TRY(sonde__merge_both("ids of the caller", a->ids, b->ids));
    if (a->shares &&
        (a->strata != b->strata || memcmp(a->shares, b->shares, (size_t)a->strata * sizeof *a->shares) != 0))
        return sonde__fail(SONDE_INCOMPATIBLE, "merge: the shares differ");
    return SONDE_OK;
}

static sonde_status stratified_merge(sonde_row_sampler *into, const sonde_row_sampler *from)
{
    const struct stratified_rows *a = into->state, *b = from->state;
    uint32_t *labels = NULL;
    int64_t *ids = NULL, count = a->count + b->count;
    float *shares = NULL;
    SONDE_TRY(stratified_mergeable(a, b));
    sonde_status status = SONDE_NEW(into->runtime, labels, count);
    if (status == SONDE_OK)
        status = sonde__column_join(into->runtime, a->ids, a->count, b->ids, b->count, sizeof *ids, &ids);
    if (status == SONDE_OK && a->shares) status = SONDE_NEW(into->runtime, shares, a->strata);
    if (status == SONDE_OK) {
        stratified_relabel(a, labels);
        stratified_relabel(b, labels + a->count);
        if (shares) memcpy(shares, a->shares, (size_t)a->strata * sizeof *shares);
        status = stratified_adopt(into, labels, count, sonde__max_i64(a->strata, b->strata), ids, shares);
    } else {
        sonde__free(into->runtime, ids);
        sonde__free(into->runtime, shares);
    }
    sonde__free(into->runtime, labels);
    return status;
}

static sonde_status stratified_save(const sonde_row_sampler *sampler, sonde__writer *writer)
{
    const struct stratified_rows *rows = sampler->state;
    uint64_t count = (uint64_t)rows->count, strata = (uint64_t)rows->strata;
    uint32_t *labels;
    SONDE_TRY(sonde__write_int(writer, "rows", rows->count));
    SONDE_TRY(sonde__write_int(writer, "strata", rows->strata));
    SONDE_TRY(sonde__write_int(writer, "named", rows->ids != NULL));
    SONDE_TRY(SONDE_NEW(sampler->runtime, labels, rows->count));
    stratified_relabel(rows, labels);
    sonde_status status = sonde__write_array(writer, "GROUPS", labels, count, sizeof *labels);
    sonde__free(sampler->runtime, labels);
    if (status == SONDE_OK && rows->ids)
        status = sonde__write_array(writer, "IDS", rows->ids, count, sizeof *rows->ids);
    if (status == SONDE_OK && rows->shares)
        status = sonde__write_array(writer, "SHARES", rows->shares, strata, sizeof *rows->shares);
    if (status != SONDE_OK || sampler->place == 0) return status;
    return sonde__write_array(writer, "TAKEN", rows->taken, strata, sizeof *rows->taken);
}

/* Counts from a file must be where the place says, each within one of its share of the current period; else
 * windows would be missed. */
static sonde_status stratified_check_counts(const struct stratified_rows *rows)
{
    int64_t left = rows->place;
    double share = (double)((uint64_t)rows->place % rows->period) / (double)rows->period;
    for (int64_t g = 0; g < rows->strata; g++) {
        int64_t whole = (int64_t)(rows->periods * rows->quota[g]), local = rows->taken[g] - whole;
        double apart = (double)local - share * (double)rows->quota[g];
        if (local < 0 || local > (int64_t)rows->quota[g] || apart < -1.000001 || apart > 1.000001)
            return sonde__fail(SONDE_CORRUPT, "section \"TAKEN\": stratum %lld has %lld rows at place %lld",
                               (long long)g, (long long)rows->taken[g], (long long)rows->place);
        left -= rows->taken[g];
    }
    return left == 0 ? SONDE_OK
                     : sonde__fail(SONDE_CORRUPT, "section \"TAKEN\" does not add up to the place");
}

static sonde_status stratified_load_counts(sonde_row_sampler *sampler, sonde__reader *reader)
{
    struct stratified_rows *rows = sampler->state;
    int64_t *taken, place = sampler->place;
    if (place == 0) return SONDE_OK;
    if (stratified_allocates(sampler, "proportional") && place > rows->count)
        return sonde__fail(SONDE_CORRUPT, "the place %lld is behind the last of %lld rows", (long long)place,
                           (long long)rows->count);
    SONDE_TRY(sonde__numbers_read(sampler->runtime, reader, "TAKEN", rows->strata, 0, place, &taken));
    sonde__free(sampler->runtime, rows->taken);
    rows->taken = taken;
    rows->pass = sampler->pass;
    rows->place = place;
    rows->periods = (uint64_t)place / rows->period;
    memset(rows->cycle, 0xff, (size_t)rows->strata * sizeof *rows->cycle);
    SONDE_TRY(stratified_check_counts(rows));
    stratified_windows(sampler, rows);
    return SONDE_OK;
}

static sonde_status stratified_load_labels(sonde_row_sampler *sampler, sonde__reader *reader, int64_t count,
                                           int64_t strata, sonde__blob *labels)
{
    SONDE_TRY(sonde__read_array(reader, "GROUPS", (uint64_t)count, sizeof(uint32_t), true, labels));
    const uint32_t *group = labels->data;
    for (int64_t i = 0; i < count; i++)
        if (group[i] >= strata) {
            sonde_status status = sonde__fail(SONDE_CORRUPT,
                                              "section \"GROUPS\": row %lld has stratum %u of %lld",
                                              (long long)i, (unsigned)group[i], (long long)strata);
            sonde__blob_free(sampler->runtime, labels);
            return status;
        }
    return SONDE_OK;
}

static sonde_status stratified_load_shares(sonde_row_sampler *sampler, sonde__reader *reader, int64_t strata,
                                           float **shares)
{
    if (!stratified_allocates(sampler, "weights")) return SONDE_OK;
    SONDE_TRY(sonde__handle_floats(sampler->runtime, reader, "SHARES", (uint64_t)strata, shares));
    for (int64_t g = 0; g < strata; g++)
        if ((*shares)[g] < 0)
            return sonde__fail(SONDE_CORRUPT, "section \"SHARES\": stratum %lld holds %g", (long long)g,
                               (double)(*shares)[g]);
    return SONDE_OK;
}

static sonde_status stratified_load(sonde_row_sampler *sampler, sonde__reader *reader)
{
    int64_t count, strata, named, *ids = NULL;
    float *shares = NULL;
    sonde__blob labels = {0};
    SONDE_TRY(sonde__read_int(reader, "rows", 1, SONDE__ROWS_MOST, &count));
    SONDE_TRY(sonde__read_int(reader, "strata", 1, STRATIFIED_MOST, &strata));
    SONDE_TRY(sonde__read_int(reader, "named", 0, 1, &named));
    SONDE_TRY(stratified_load_labels(sampler, reader, count, strata, &labels));
    sonde_status status = SONDE_OK;
    if (named) status = sonde__numbers_read(sampler->runtime, reader, "IDS", count, 0, INT64_MAX, &ids);
    if (status == SONDE_OK) status = stratified_load_shares(sampler, reader, strata, &shares);
    if (status == SONDE_OK) {
        status = stratified_adopt(sampler, labels.data, count, strata, ids, shares);
        if (status == SONDE_INVALID_ARGUMENT)
            status = sonde__fail(SONDE_CORRUPT, "section \"SHARES\": no stratum has a share");
    } else {
        sonde__free(sampler->runtime, ids);
        sonde__free(sampler->runtime, shares);
    }
    sonde__blob_free(sampler->runtime, &labels);
    return status == SONDE_OK ? stratified_load_counts(sampler, reader) : status;
}

static const sonde__key stratified_keys[] = {
    {"allocation", SONDE__KEY_WORD, "proportional", 0, 0, "proportional|equal|weights", NULL,
     "shares: by the rows of a stratum, all alike, or by the input shares"},
    {"batch", SONDE__KEY_INT, "1", 1, 4294967295.0, NULL, NULL, "rows of a draw that does not say how many"},
    {0},
};

#define STRATIFIED_INTEGERS (SONDE__DTYPE_BIT(SONDE_DTYPE_I64) | SONDE__DTYPE_BIT(SONDE_DTYPE_I32))

static const sonde__input_key stratified_inputs[] = {
    {"groups", "n x 1", STRATIFIED_INTEGERS | SONDE__DTYPE_BIT(SONDE_DTYPE_U8), true,
     "the stratum of each row, from 0 on", "fit"},
    {"ids", "n x 1", STRATIFIED_INTEGERS, false, "names of the rows; 0, 1, 2, ... if not given", "fit"},
    {"shares", "strata x 1", SONDE__DTYPES_NUMERIC, false,
     "how often each stratum comes (allocation=weights)", "fit"},
    {0},
};

const sonde__row_method sonde__row_sampler_stratified = {
    .method = {"stratified", "rows by strata, each in step with its share at every moment",
               "Tijdeman 1980; Steiner & Yeomans 1993", stratified_keys, stratified_inputs, NULL, NULL},
    .create = stratified_create,
    .fit = stratified_fit,
    .draw = stratified_draw,
    .merge = stratified_merge,
    .save = stratified_save,
    .load = stratified_load,
    .drop = stratified_drop,
};
