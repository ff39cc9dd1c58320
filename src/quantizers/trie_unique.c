/* trie_unique.c: makes the sequences of rows different from each other.
 *
 * Problem: rows that are alike get the same codes, and an id must name one row.
 * Idea, suffix: number the rows of one sequence (Rajput et al., TIGER, 2023). Idea, resolve: of such rows the
 * nearest keeps the sequence; each other looks at the `tries` best codes of the last level, then of the last
 * two, and takes the free sequence that adds least to its distance. All of them compete: the cheapest change
 * of all goes first.
 *
 * Cost: n log n comparisons; resolve k dim multiply-adds for each row that must move, and tries + 1 times
 * that for those that the last level cannot place; 40 tries^2 bytes for each of these.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernels/blocks.h"
#include "kernels/kernels.h"
#include "quantizers/rq_levels.h"
#include "quantizers/trie_parts.h"

enum { UNIQUE_TRIES = 8, UNIQUE_TRIES_MOST = 64, UNIQUE_GRAIN = 64 };

/* A sequence that a row could take instead of its own. */
struct unique_change {
    float extra;     /* squared distance, above that of its own sequence */
    int32_t code[2]; /* of the last two levels; code[0] < 0: the last but one stays; code[1] < 0: no change */
    int64_t row;
};

struct unique_run {
    sonde_runtime *runtime;
    const sonde__levels *levels; /* RESOLVE */
    const float *x;              /* RESOLVE: n x dim */
    int64_t n, length, tries;
    int32_t *sequence; /* n x (length + 1): the last column is the suffix */
    int64_t *order, *spare;
    int64_t *moving, movers; /* rows that must find another sequence */
    int64_t *table, slots;   /* the rows that hold the sequences taken, by hash; -1 = free */
    struct unique_change *change;
    int depth; /* levels that may change: 1 or 2 */
};

static int32_t *unique_row(const struct unique_run *run, int64_t row)
{
    return run->sequence + row * (run->length + 1);
}

static bool unique_before(const void *context, int64_t a, int64_t b)
{
    const struct unique_run *run = context;
    return sonde__trie_compare(unique_row(run, a), unique_row(run, b), run->length) < 0;
}

/* Puts equal sequences side by side, rows in their order. */
static void unique_sort(struct unique_run *run)
{
    for (int64_t i = 0; i < run->n; i++) run->order[i] = i;
    sonde__trie_sort(run->order, run->spare, run->n, unique_before, run);
}

/* One past the last place of the group that begins at `first`. */
static int64_t unique_group(const struct unique_run *run, int64_t first)
{
    int64_t last = first + 1;
    while (last < run->n && sonde__trie_compare(unique_row(run, run->order[first]),
                                                unique_row(run, run->order[last]), run->length) == 0)
        last++;
    return last;
}

static void unique_suffixes(struct unique_run *run)
{
    unique_sort(run);
    for (int64_t first = 0, last; first < run->n; first = last) {
        last = unique_group(run, first);
        for (int64_t i = first; last - first > 1 && i < last; i++)
            unique_row(run, run->order[i])[run->length] = (int32_t)(i - first);
    }
}

/* ---- sequences that are taken ---------------------------------------------------------------------------------- */

/* The slot that holds this sequence, or the free one where it belongs. */
static int64_t unique_slot(const struct unique_run *run, const int32_t *sequence)
{
    uint64_t hash = 0x9e3779b97f4a7c15u;
    for (int64_t j = 0; j < run->length; j++) {
        hash = (hash ^ (uint32_t)sequence[j]) * 0xbf58476d1ce4e5b9u;
        hash ^= hash >> 29;
    }
    int64_t slot = (int64_t)(hash & (uint64_t)(run->slots - 1));
    while (run->table[slot] >= 0 &&
           sonde__trie_compare(unique_row(run, run->table[slot]), sequence, run->length) != 0)
        slot = (slot + 1) & (run->slots - 1);
    return slot;
}

/* ---- resolving ------------------------------------------------------------------------------------------------- */

/* What the first `count` codes of a row leave of it. */
static void unique_rest(const struct unique_run *run, int64_t row, int64_t count, float *rest)
{
    const sonde__levels *levels = run->levels;
    const int32_t *sequence = unique_row(run, row);
    memcpy(rest, run->x + row * levels->dim, (size_t)levels->dim * sizeof *rest);
    for (int64_t j = 0; j < count; j++)
        sonde__kernels_get()->axpy(-1, sonde__levels_codewords(levels, j) + sequence[j] * levels->dim,
                                   levels->dim, rest);
}

static float unique_cost(const struct unique_run *run, int64_t row, float *rest)
{
    unique_rest(run, row, run->length, rest);
    return sonde__kernels_get()->norm2(rest, run->levels->dim);
}

/* The nearest row of each group keeps its sequence; the others must move. */
static void unique_choose(struct unique_run *run, float *rest)
{
    unique_sort(run);
    for (int64_t first = 0, last; first < run->n; first = last) {
        int64_t keeper = run->order[first];
        last = unique_group(run, first);
        float least = last - first > 1 ? unique_cost(run, keeper, rest) : 0;
        for (int64_t i = first + 1; i < last; i++) {
            float cost = unique_cost(run, run->order[i], rest);
            if (cost < least) {
                least = cost;
                keeper = run->order[i];
            }
        }
        run->table[unique_slot(run, unique_row(run, keeper))] = keeper;
        for (int64_t i = first; i < last; i++)
            if (run->order[i] != keeper) run->moving[run->movers++] = run->order[i];
    }
}

/* The codewords of a level that are nearest to `rest`, nearest first, ties to the lower; returns how many. */
static int64_t unique_nearest(const struct unique_run *run, int64_t level, const float *rest, float *distance,
                              int32_t *code, float *cost)
{
    const sonde__levels *levels = run->levels;
    int64_t count = 0;
    sonde__kernels_get()->l2_rows[SONDE__ROW_F32](rest, sonde__levels_codewords(levels, level),
                                                  levels->dim * (int64_t)sizeof(float), levels->k,
                                                  levels->dim, distance);
    for (int64_t c = 0; c < levels->k; c++) {
        if (count == run->tries && !(distance[c] < cost[count - 1])) continue;
        int64_t at = count < run->tries ? count++ : count - 1;
        for (; at > 0 && distance[c] < cost[at - 1]; at--) {
            cost[at] = cost[at - 1];
            code[at] = code[at - 1];
        }
        cost[at] = distance[c];
        code[at] = (int32_t)c;
    }
    return count;
}

/* The changes of the last code, after `before` (-1: its own) as the one before. */
static void unique_last(const struct unique_run *run, int64_t row, int32_t before, const float *rest,
                        float own, float *distance, struct unique_change *change)
{
    int32_t code[UNIQUE_TRIES_MOST];
    float cost[UNIQUE_TRIES_MOST];
    int64_t count = unique_nearest(run, run->length - 1, rest, distance, code, cost);
    for (int64_t i = 0; i < run->tries; i++)
        change[i] = i < count ? (struct unique_change){cost[i] - own, {before, code[i]}, row}
                              : (struct unique_change){0, {-1, -1}, row};
}

/* All changes of one row: tries of them, or tries^2 where the last two codes may change. */
static void unique_changes(const struct unique_run *run, int64_t row, float *rest, float *distance,
                           struct unique_change *change)
{
    const sonde__levels *levels = run->levels;
    float own = unique_cost(run, row, rest), cost[UNIQUE_TRIES_MOST];
    int32_t code[UNIQUE_TRIES_MOST];
    int64_t dim = levels->dim, tries = run->tries, before = run->length - run->depth;
    unique_rest(run, row, before, rest);
    if (run->depth == 1) {
        unique_last(run, row, -1, rest, own, distance, change);
        return;
    }
    int64_t count = unique_nearest(run, before, rest, distance, code, cost);
    for (int64_t i = 0; i < tries; i++) {
        const float *codeword = sonde__levels_codewords(levels, before) + code[i < count ? i : 0] * dim;
        sonde__kernels_get()->axpy(-1, codeword, dim, rest);
        unique_last(run, row, code[i < count ? i : 0], rest, own, distance, change + i * tries);
        sonde__kernels_get()->axpy(1, codeword, dim, rest);
    }
}

static int64_t unique_change_count(const struct unique_run *run)
{
    return run->depth == 1 ? run->tries : run->tries * run->tries;
}

static sonde_status unique_changes_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct unique_run *run = context;
    int64_t each = unique_change_count(run);
    sonde__scratch *scratch = NULL;
    float *rest = NULL, *distance = NULL;
    (void)worker;
    SONDE_TRY(sonde__scratch_take(run->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, rest, run->levels->dim);
    if (status == SONDE_OK) status = SONDE_SCRATCH(scratch, distance, run->levels->k);
    for (int64_t i = begin; status == SONDE_OK && i < end; i++)
        unique_changes(run, run->moving[i], rest, distance, run->change + i * each);
    sonde__scratch_give(run->runtime, scratch);
    return status;
}

static bool unique_cheaper(const void *context, int64_t a, int64_t b)
{
    const struct unique_change *change = context;
    return change[a].extra < change[b].extra;
}

/* Takes a change if its sequence is free. */
static bool unique_apply(struct unique_run *run, const struct unique_change *change)
{
    int32_t *own = unique_row(run, change->row), old[2] = {0, own[run->length - 1]};
    if (change->code[1] < 0) return false;
    if (run->length > 1) old[0] = own[run->length - 2];
    if (change->code[0] >= 0) own[run->length - 2] = change->code[0];
    own[run->length - 1] = change->code[1];
    int64_t slot = unique_slot(run, own);
    if (run->table[slot] < 0) {
        run->table[slot] = change->row;
        return true;
    }
    own[run->length - 1] = old[1];
    if (run->length > 1) own[run->length - 2] = old[0];
    return false;
}

/* The cheapest changes first, over all rows that must move; a row that has moved takes no other. */
static void unique_settle(struct unique_run *run, int64_t *order, int64_t *spare, bool *moved)
{
    int64_t each = unique_change_count(run), count = run->movers * each, left = 0;
    for (int64_t i = 0; i < count; i++) order[i] = i;
    sonde__trie_sort(order, spare, count, unique_cheaper, run->change);
    for (int64_t i = 0; i < count; i++)
        if (!moved[order[i] / each]) moved[order[i] / each] = unique_apply(run, &run->change[order[i]]);
    for (int64_t i = 0; i < run->movers; i++)
        if (!moved[i]) run->moving[left++] = run->moving[i];
    run->movers = left;
}

static sonde_status unique_round(struct unique_run *run)
{
    int64_t count = run->movers * unique_change_count(run), *order = NULL, *spare = NULL;
    bool *moved = NULL;
    sonde_status status = SONDE_NEW(run->runtime, run->change, count);
    if (status == SONDE_OK) status = SONDE_NEW(run->runtime, order, count);
    if (status == SONDE_OK) status = SONDE_NEW(run->runtime, spare, count);
    if (status == SONDE_OK) status = SONDE_NEW_ZERO(run->runtime, moved, run->movers);
    if (status == SONDE_OK)
        status = sonde__parallel_for(run->runtime, 0, run->movers, UNIQUE_GRAIN, "unique",
                                     unique_changes_chunk, run);
    if (status == SONDE_OK) unique_settle(run, order, spare, moved);
    sonde__free(run->runtime, run->change);
    sonde__free(run->runtime, order);
    sonde__free(run->runtime, spare);
    sonde__free(run->runtime, moved);
    return status;
}

static sonde_status unique_resolve(struct unique_run *run)
{
    float *rest = NULL;
    run->slots = 4;
    while (run->slots < 2 * run->n) run->slots *= 2;
    sonde_status status = SONDE_NEW(run->runtime, run->table, run->slots);
    if (status == SONDE_OK) status = SONDE_NEW(run->runtime, run->moving, run->n);
    if (status == SONDE_OK) status = SONDE_NEW(run->runtime, rest, run->levels->dim);
    if (status == SONDE_OK) {
        memset(run->table, -1, (size_t)run->slots * sizeof *run->table);
        unique_choose(run, rest);
    }
    for (run->depth = 1; status == SONDE_OK && run->depth <= 2 && run->depth <= run->length; run->depth++)
        status = unique_round(run);
    sonde__free(run->runtime, run->table);
    sonde__free(run->runtime, run->moving);
    sonde__free(run->runtime, rest);
    return status;
}

/* ---- the call -------------------------------------------------------------------------------------------------- */

/* Copies the sequences; codes must be there, and below `codes`. */
static sonde_status unique_take(struct unique_run *run, const sonde_array *sequences, int64_t codes)
{
    for (int64_t i = 0; i < run->n; i++) {
        int32_t *own = unique_row(run, i);
        memcpy(own, sonde__array_row(sequences, i), (size_t)run->length * sizeof *own);
        own[run->length] = -1;
        for (int64_t j = 0; j < run->length; j++)
            if (own[j] < 0 || own[j] >= codes)
                return sonde__fail(SONDE_INVALID_ARGUMENT,
                                   "unique: sequences: row %lld has the code %d, codes are 0..%lld",
                                   (long long)i, (int)own[j], (long long)codes - 1);
    }
    return SONDE_OK;
}

/* What RESOLVE needs besides: a quantizer that made the sequences, and the rows. */
static sonde_status unique_check_resolve(struct unique_run *run, const sonde_unique_options *options,
                                         sonde_array *vectors)
{
    const sonde_quantizer *quantizer = options->quantizer;
    if (!quantizer || !options->vectors)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "unique: resolve needs %s",
                           quantizer ? "vectors" : "a quantizer");
    if (!quantizer->trained) return sonde__fail(SONDE_STATE, "unique: the quantizer is not trained");
    run->levels = sonde__levels_of(quantizer);
    if (!run->levels)
        return sonde__fail(SONDE_UNSUPPORTED, "unique: resolve works with rq and rkmeans, not with %s",
                           quantizer->method->method.name);
    if (run->levels->m != run->length)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "unique: sequences have %lld columns, the quantizer has %lld levels",
                           (long long)run->length, (long long)run->levels->m);
    SONDE_TRY(sonde__array_check(options->vectors, "unique: vectors", quantizer->dim, SONDE__DTYPES_NUMERIC,
                                 vectors));
    if (vectors->rows != run->n)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "unique: vectors has %lld rows, sequences %lld",
                           (long long)vectors->rows, (long long)run->n);
    return sonde__array_check_finite(run->runtime, vectors, "unique: vectors");
}

static sonde_status unique_work(struct unique_run *run, const sonde_array *sequences,
                                const sonde_array *vectors)
{
    sonde__packed_rows rows = {NULL, 0, NULL};
    SONDE_TRY(SONDE_NEW(run->runtime, run->sequence, run->n * (run->length + 1)));
    SONDE_TRY(SONDE_NEW(run->runtime, run->order, run->n));
    SONDE_TRY(SONDE_NEW(run->runtime, run->spare, run->n));
    SONDE_TRY(unique_take(run, sequences, run->levels ? run->levels->k : (int64_t)INT32_MAX + 1));
    if (run->levels) {
        SONDE_TRY(sonde__blocks_pack(run->runtime, 0, vectors, &rows));
        run->x = rows.x;
        sonde_status status = unique_resolve(run);
        sonde__free(run->runtime, rows.owned);
        SONDE_TRY(status);
    }
    unique_suffixes(run);
    return SONDE_OK;
}

static sonde_status unique_all(struct unique_run *run, const sonde_unique_options *options,
                               const sonde_array *sequences, const sonde_array *unique)
{
    sonde_array vectors = {NULL, 0, 0, 0, 0, 0};
    if (options->mode == SONDE_UNIQUE_RESOLVE) SONDE_TRY(unique_check_resolve(run, options, &vectors));
    sonde_status status = unique_work(run, sequences, &vectors);
    for (int64_t i = 0; status == SONDE_OK && i < run->n; i++)
        memcpy((uint8_t *)unique->data + i * unique->stride, unique_row(run, i),
               (size_t)(run->length + 1) * sizeof *run->sequence);
    sonde__free(run->runtime, run->sequence);
    sonde__free(run->runtime, run->order);
    sonde__free(run->runtime, run->spare);
    return status;
}

sonde_status sonde_sequences_unique(const sonde_array *sequences, const sonde_unique_options *options,
                                    sonde_runtime *runtime, sonde_array *unique)
{
    sonde_unique_options o;
    sonde_array in, out;
    SONDE_TRY(sonde__options_read(options, sizeof o, "unique: options", &o));
    if (o.mode > SONDE_UNIQUE_RESOLVE)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "unique: mode %u is none of 1..2", (unsigned)o.mode);
    if (o.tries > UNIQUE_TRIES_MOST)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "unique: tries=%u is above %d", (unsigned)o.tries,
                           UNIQUE_TRIES_MOST);
    SONDE_TRY(sonde__array_check(sequences, "unique: sequences", 0, SONDE__DTYPE_BIT(SONDE_DTYPE_I32), &in));
    SONDE_TRY(
        sonde__array_check(unique, "unique: unique", in.cols + 1, SONDE__DTYPE_BIT(SONDE_DTYPE_I32), &out));
    if (in.rows != out.rows)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "unique: unique has %lld rows, sequences %lld",
                           (long long)out.rows, (long long)in.rows);
    if (in.rows == 0) return SONDE_OK;
    struct unique_run run = {.n = in.rows, .length = in.cols, .tries = o.tries ? o.tries : UNIQUE_TRIES};
    SONDE_TRY(sonde__runtime_hold(runtime, &run.runtime));
    sonde_status status = unique_all(&run, &o, &in, &out);
    sonde__runtime_drop(run.runtime);
    return status;
}
