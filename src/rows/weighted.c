/* weighted.c: rows drawn in proportion to their weights.
 *
 * replace=yes  Each row for itself, without end: the alias table (Walker 1977; built in O(n) after Vose 1991)
 *              holds for each slot a row, its chance and the row that comes otherwise. The weight of a drawn
 *              row is mean(w) / w, so that averages over draws estimate averages over all rows.
 * replace=no   Row i gets the key -ln(u) / w, u keyed by (seed, pass, id); a pass goes through the rows in
 *              ascending order of their keys, so its first k rows are a weighted sample without replacement
 *              (Efraimidis, Spirakis 2006). Rows of weight 0 never come. The weight of a drawn row is
 *              1 / (1 - exp(-w (t - s))), where t is the key of the first row behind the draw and s that of
 * the last row before it: one over the chance to be drawn, given the other rows' keys (rank conditioning,
 *              Cohen & Kaplan 2007; keys are memoryless, so s may stand anywhere in a pass). Sums of f times
 *              weight over a draw are unbiased for the sum of f over all rows that this pass had left.
 * keep=m       Only the m + 1 smallest keys are kept, which is all that a sample of m rows needs: a summary
 *              of O(m) bytes, and shards that were fitted apart and merged hold the very rows of one fit over
 *              all (the caller's ids must differ). Every pass is then the same sample; another seed gives
 *              another one.
 *
 * Only the part of a pass that is asked for is ordered. A histogram of the weights tells below which key
 * about as many rows lie; since -ln(1 - v) >= v, a row whose first eight bits of v alone are too many is
 * passed over without the others and without a logarithm. The first bits of sixteen neighbouring ids come
 * from one block of the generator. The keys found are sorted by their digits.
 *
 * Cost: a first draw of k of n O(n + k) and 16 k bytes, twice that while they are sorted; the state 4 bytes a
 * row (12 with ids), and 8 more with replacement, where a row costs O(1).
 *
 * SPDX-License-Identifier: MIT
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/handle.h"
#include "kernels/kernels.h"
#include "rows/rows.h"

enum {
    WEIGHTED_STREAM_FIRST = 0x7211,
    WEIGHTED_STREAM_REST = 0x7212,
    WEIGHTED_STREAM_REPLACE = 0x7213,
    WEIGHTED_BINS = 2048, /* exponent and three bits of the fraction of a positive f32 */
    WEIGHTED_TABLES = 4,  /* side by side, because adding to one place again and again waits for itself */
    WEIGHTED_GRAIN = 65536,
    WEIGHTED_PIECE = 512, /* rows that are looked at together; a multiple of 16 */
    WEIGHTED_DIGIT = 11,  /* bits by which keys are sorted in one pass over them */
    WEIGHTED_DIGITS = 4,  /* passes */
};

struct weighted_key {
    double key;
    uint32_t row;
};

struct weighted_rows {
    int64_t count, positive, drawable; /* rows; those of weight > 0; those of a pass */
    bool named;                        /* the ids are the caller's */
    float *weights;
    int64_t *ids;                /* NULL: 0 .. count-1 */
    int64_t bins[WEIGHTED_BINS]; /* rows of weight > 0, by weight */
    double total;                /* with replacement: the sum of weights */
    struct weighted_key *order; /* the first `ordered` rows of pass `pass`; NULL: none */
    int64_t ordered, pass;
    uint32_t *alias, *chance; /* with replacement */
};

static void weighted_forget(sonde_runtime *runtime, struct weighted_rows *rows)
{
    if (!rows) return;
    sonde__free(runtime, rows->weights);
    sonde__free(runtime, rows->ids);
    sonde__free(runtime, rows->order);
    sonde__free(runtime, rows->alias);
    sonde__free(runtime, rows->chance);
    sonde__free(runtime, rows);
}

static void weighted_drop(sonde_row_sampler *sampler) { weighted_forget(sampler->runtime, sampler->state); }

static int64_t weighted_keep(const sonde_row_sampler *sampler)
{
    return sonde__param_int(sampler->params, "keep");
}

static bool weighted_replaces(const sonde_row_sampler *sampler)
{
    return sonde__param_is(sampler->params, "replace", "yes");
}

static sonde_status weighted_create(sonde_row_sampler *sampler)
{
    sampler->batch = sonde__param_int(sampler->params, "batch");
    if (weighted_replaces(sampler) && weighted_keep(sampler))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "weighted: keep=%lld is for replace=no only",
                           (long long)weighted_keep(sampler));
    return SONDE_OK;
}

/* Room for `count` rows, with ids or without. */
static sonde_status weighted_new(sonde_runtime *runtime, int64_t count, bool ids, struct weighted_rows **made)
{
    struct weighted_rows *rows;
    if (count > SONDE__ROWS_MOST)
        return sonde__fail(SONDE_LIMIT, "weighted: %lld rows are more than %lld", (long long)count,
                           (long long)SONDE__ROWS_MOST);
    SONDE_TRY(SONDE_NEW_ZERO(runtime, rows, 1));
    rows->count = count;
    sonde_status status = SONDE_NEW(runtime, rows->weights, count);
    if (status == SONDE_OK && ids) status = SONDE_NEW(runtime, rows->ids, count);
    if (status == SONDE_OK) *made = rows;
    else weighted_forget(runtime, rows);
    return status;
}

/* A weight of -0 is one of 0. */
static int weighted_bin(float weight)
{
    uint32_t bits;
    memcpy(&bits, &weight, sizeof bits);
    return (int)(bits << 1 >> 21);
}

/* The least weight of a bin. */
static double weighted_bin_least(int bin)
{
    uint32_t bits = (uint32_t)bin << 20;
    float weight;
    memcpy(&weight, &bits, sizeof weight);
    return (double)weight;
}

/* Only the lowest bin can hold weights of 0. */
static int64_t weighted_zeros(const struct weighted_rows *rows)
{
    int64_t zeros = 0;
    if (rows->bins[0] == 0) return 0;
    for (int64_t i = 0; i < rows->count; i++) zeros += !(rows->weights[i] > 0);
    return zeros;
}

static void weighted_count(struct weighted_rows *rows)
{
    uint32_t tables[WEIGHTED_TABLES][WEIGHTED_BINS] = {{0}};
    int64_t i = 0;
    for (; i + WEIGHTED_TABLES <= rows->count; i += WEIGHTED_TABLES)
        for (int t = 0; t < WEIGHTED_TABLES; t++) tables[t][weighted_bin(rows->weights[i + t])]++;
    for (; i < rows->count; i++) tables[0][weighted_bin(rows->weights[i])]++;
    for (int bin = 0; bin < WEIGHTED_BINS; bin++) {
        rows->bins[bin] = 0;
        for (int t = 0; t < WEIGHTED_TABLES; t++) rows->bins[bin] += tables[t][bin];
    }
    int64_t zeros = weighted_zeros(rows);
    rows->bins[0] -= zeros;
    rows->positive = rows->count - zeros;
}

/* ---- the order of a pass ------------------------------------------------------------------------------- */

/* All rows of keys up to `bound` are gathered, in any order; `count` goes on beyond `room`. */
struct weighted_scan {
    const struct weighted_rows *rows;
    const sonde__kernels *kernels;
    uint64_t seed; /* of the pass */
    int64_t room;
    double bound;
    struct weighted_key *found;
    atomic_llong count;
};

static uint64_t weighted_seed(const sonde_row_sampler *sampler, int64_t pass)
{
    sonde__rng rng;
    sonde__rows_rng(sampler, pass, WEIGHTED_STREAM_FIRST, 0, &rng);
    return rng.key[0] | (uint64_t)rng.key[1] << 32;
}

static int64_t weighted_id(const struct weighted_rows *rows, int64_t row)
{
    return rows->ids ? rows->ids[row] : row;
}

/* The first eight random bits of each row of a piece whose ids follow each other; 16 divides `begin`. */
static void weighted_bits_plain(const struct weighted_scan *scan, int64_t begin, int64_t count, uint8_t *bits)
{
    uint64_t blocks[WEIGHTED_PIECE / 16];
    uint32_t words[WEIGHTED_PIECE / 4];
    for (int64_t i = 0; i < WEIGHTED_PIECE / 16; i++) blocks[i] = (uint64_t)(begin / 16 + i);
    scan->kernels->random_words(scan->seed, WEIGHTED_STREAM_FIRST, blocks, (count + 15) / 16, words);
    for (int64_t i = 0; i < (count + 3) / 4; i++)
        for (int b = 0; b < 4; b++) bits[4 * i + b] = (uint8_t)(words[i] >> 8 * b);
}

/* The same for any ids; a block is made once for neighbours that are side by side. */
static void weighted_bits_named(const struct weighted_scan *scan, const int64_t *ids, int64_t count,
                                uint8_t *bits)
{
    uint64_t blocks[WEIGHTED_PIECE];
    uint32_t words[4 * WEIGHTED_PIECE], places[WEIGHTED_PIECE];
    int64_t made = 0;
    for (int64_t i = 0; i < count; i++) {
        uint64_t id = (uint64_t)ids[i];
        if (made == 0 || blocks[made - 1] != id >> 4) blocks[made++] = id >> 4;
        places[i] = (uint32_t)(16 * (made - 1)) + (uint32_t)(id & 15);
    }
    scan->kernels->random_words(scan->seed, WEIGHTED_STREAM_FIRST, blocks, made, words);
    for (int64_t i = 0; i < count; i++) bits[i] = (uint8_t)(words[places[i] >> 2] >> 8 * (places[i] & 3));
}

/* The key of a row by its first bits and two more words. */
static double weighted_key(uint8_t first, const uint32_t *words, float weight)
{
    uint64_t bits = (uint64_t)first << 44 | (words[0] | (uint64_t)words[1] << 32) >> 20;
    return -log1p(-((double)bits + 0.5) * 0x1p-52) / (double)weight;
}

/* Makes the keys of `count` rows that their first bits leave in question; returns how many are within the
 * bound. */
static int64_t weighted_keys_of(const struct weighted_scan *scan, int64_t begin, const uint8_t *bits,
                                const int32_t *positions, int64_t count, struct weighted_key *keys)
{
    uint64_t ids[WEIGHTED_PIECE];
    uint32_t words[4 * WEIGHTED_PIECE];
    int64_t found = 0;
    for (int64_t i = 0; i < count; i++) ids[i] = (uint64_t)weighted_id(scan->rows, begin + positions[i]);
    scan->kernels->random_words(scan->seed, WEIGHTED_STREAM_REST, ids, count, words);
    for (int64_t i = 0; i < count; i++) {
        int64_t row = begin + positions[i];
        double key = weighted_key(bits[positions[i]], words + 4 * i, scan->rows->weights[row]);
        keys[found] = (struct weighted_key){key, (uint32_t)row};
        found += key <= scan->bound;
    }
    return found;
}

static void weighted_append(struct weighted_scan *scan, const struct weighted_key *keys, int64_t count)
{
    int64_t at = atomic_fetch_add_explicit(&scan->count, count, memory_order_relaxed);
    int64_t fit = sonde__min_i64(count, scan->room - at);
    if (fit > 0) memcpy(scan->found + at, keys, (size_t)fit * sizeof *keys);
}

/* A product with a weight of 0 is never above the first bits: it is 0, or not a number. */
static sonde_status weighted_scan_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    struct weighted_scan *scan = context;
    const struct weighted_rows *rows = scan->rows;
    uint8_t bits[WEIGHTED_PIECE];
    int32_t positions[WEIGHTED_PIECE];
    struct weighted_key keys[WEIGHTED_PIECE];
    (void)worker;
    for (int64_t at = begin; at < end; at += WEIGHTED_PIECE) {
        int64_t count = sonde__min_i64(WEIGHTED_PIECE, end - at);
        if (rows->ids) weighted_bits_named(scan, rows->ids + at, count, bits);
        else weighted_bits_plain(scan, at, count, bits);
        count = scan->kernels->bytes_below(bits, rows->weights + at, 256 * scan->bound, count, positions);
        if (count > 0) weighted_append(scan, keys, weighted_keys_of(scan, at, bits, positions, count, keys));
    }
    return SONDE_OK;
}

/* How many keys lie below `bound` on average, a little underestimated. */
static double weighted_expected(const struct weighted_rows *rows, double bound)
{
    double sum = 0;
    for (int bin = 0; bin < WEIGHTED_BINS; bin++)
        if (rows->bins[bin]) sum -= (double)rows->bins[bin] * expm1(-weighted_bin_least(bin) * bound);
    return sum;
}

/* A bound with at least `need` keys below it in all likelihood, and few more. */
static double weighted_bound(const struct weighted_rows *rows, int64_t need)
{
    double wanted = (double)need + 5 * sqrt((double)need) + 8, total = 0;
    for (int bin = 0; bin < WEIGHTED_BINS; bin++)
        if (rows->bins[bin]) total += (double)rows->bins[bin] * weighted_bin_least(bin);
    double low = wanted / total, high = low;
    if (wanted > 0.9 * (double)rows->positive || total == 0) return INFINITY;
    for (int i = 0; i < 300 && weighted_expected(rows, high) < wanted; i++) {
        low = high;
        high *= 2;
    }
    for (int i = 0; i < 6; i++) {
        double middle = (low + high) / 2;
        if (weighted_expected(rows, middle) < wanted) low = middle;
        else high = middle;
    }
    return high;
}

/* ---- sorting ------------------------------------------------------------------------------------------- */

static int weighted_compare(const void *a, const void *b)
{
    const struct weighted_key *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* The upper bits of a key, WEIGHTED_DIGITS digits, which are in the order of keys (none is negative). */
static uint64_t weighted_upper(const struct weighted_key *key)
{
    uint64_t bits;
    memcpy(&bits, &key->key, sizeof bits);
    return bits >> (63 - WEIGHTED_DIGIT * WEIGHTED_DIGITS);
}

/* Sorts by one digit and leaves equal ones in their order. */
static void weighted_sort_digit(const struct weighted_key *from, int64_t count, int digit,
                                struct weighted_key *to)
{
    enum { VALUES = 1 << WEIGHTED_DIGIT };
    int64_t places[VALUES] = {0}, place = 0;
    int shift = WEIGHTED_DIGIT * digit;
    for (int64_t i = 0; i < count; i++) places[weighted_upper(&from[i]) >> shift & (VALUES - 1)]++;
    for (int value = 0; value < VALUES; value++) {
        int64_t here = places[value];
        places[value] = place;
        place += here;
    }
    for (int64_t i = 0; i < count; i++)
        to[places[weighted_upper(&from[i]) >> shift & (VALUES - 1)]++] = from[i];
}

/* Sorts by digits, the lowest first, then by comparison the few keys whose upper bits are equal. */
static sonde_status weighted_sort(sonde_runtime *runtime, struct weighted_key *order, int64_t count)
{
    _Static_assert(WEIGHTED_DIGITS % 2 == 0, "the last pass leads back");
    struct weighted_key *spare;
    SONDE_TRY(SONDE_NEW(runtime, spare, count));
    sonde_status status = SONDE_OK;
    for (int digit = 0; status == SONDE_OK && digit < WEIGHTED_DIGITS; digit += 2) {
        weighted_sort_digit(order, count, digit, spare);
        weighted_sort_digit(spare, count, digit + 1, order);
        status = sonde__poll(runtime, "ordering rows", (uint64_t)digit, WEIGHTED_DIGITS);
    }
    sonde__free(runtime, spare);
    for (int64_t begin = 0, end; begin < count; begin = end) {
        for (end = begin + 1; end < count; end++)
            if (weighted_upper(&order[end]) != weighted_upper(&order[begin])) break;
        if (end - begin > 1) qsort(order + begin, (size_t)(end - begin), sizeof *order, weighted_compare);
    }
    return status;
}

/* The first rows of a pass in order: at least `need` of them (need <= positive), all that lie below some key.
 */
static sonde_status weighted_select(const sonde_row_sampler *sampler, const struct weighted_rows *rows,
                                    int64_t pass, int64_t need, struct weighted_key **order, int64_t *ordered)
{
    struct weighted_scan scan = {.rows = rows,
                                 .kernels = sonde__kernels_get(),
                                 .seed = weighted_seed(sampler, pass),
                                 .bound = weighted_bound(rows, need)};
    sonde_status status = SONDE_OK;
    scan.room = sonde__min_i64(need + need / 4 + 256, rows->positive);
    for (;;) {
        if (scan.bound == INFINITY) scan.room = rows->positive;
        atomic_init(&scan.count, 0);
        SONDE_TRY(SONDE_NEW(sampler->runtime, scan.found, scan.room));
        status = sonde__parallel_for(sampler->runtime, 0, rows->count, WEIGHTED_GRAIN, "ordering rows",
                                     weighted_scan_chunk, &scan);
        int64_t count = atomic_load(&scan.count);
        if (status == SONDE_OK && count >= need && count <= scan.room) break;
        sonde__free(sampler->runtime, scan.found);
        if (status != SONDE_OK) return status;
        if (count < need) scan.bound *= 2;
        else scan.room = count;
    }
    status = weighted_sort(sampler->runtime, scan.found, atomic_load(&scan.count));
    if (status != SONDE_OK) {
        sonde__free(sampler->runtime, scan.found);
        return status;
    }
    *ordered = atomic_load(&scan.count);
    *order = scan.found;
    return SONDE_OK;
}

/* Orders the current pass as far as `need`, and further as the pass goes on, so that its parts cost little
 * together. */
static sonde_status weighted_order(sonde_row_sampler *sampler, struct weighted_rows *rows, int64_t pass,
                                   int64_t need)
{
    bool same = rows->order && rows->pass == pass;
    if (same && rows->ordered >= need) return SONDE_OK;
    if (same) need = sonde__min_i64(rows->positive, sonde__max_i64(need, 4 * rows->ordered));
    sonde__free(sampler->runtime, rows->order);
    rows->order = NULL;
    rows->pass = pass;
    return weighted_select(sampler, rows, pass, need, &rows->order, &rows->ordered);
}

/* ---- the summary --------------------------------------------------------------------------------------- */

/* Both sets of rows, one behind the other. */
static sonde_status weighted_concat(sonde_runtime *runtime, const struct weighted_rows *a,
                                    const struct weighted_rows *b, struct weighted_rows **made)
{
    SONDE_TRY(weighted_new(runtime, a->count + b->count, a->ids || b->ids, made));
    struct weighted_rows *rows = *made;
    rows->named = a->named;
    memcpy(rows->weights, a->weights, (size_t)a->count * sizeof *a->weights);
    memcpy(rows->weights + a->count, b->weights, (size_t)b->count * sizeof *b->weights);
    if (a->ids) memcpy(rows->ids, a->ids, (size_t)a->count * sizeof *a->ids);
    if (b->ids) memcpy(rows->ids + a->count, b->ids, (size_t)b->count * sizeof *b->ids);
    return SONDE_OK;
}

/* The rows of the keep + 1 smallest keys, in their order. */
static sonde_status weighted_trim(const sonde_row_sampler *sampler, struct weighted_rows *rows,
                                  struct weighted_rows **made)
{
    struct weighted_key *order;
    int64_t ordered;
    weighted_count(rows);
    int64_t kept = sonde__min_i64(weighted_keep(sampler) + 1, rows->positive);
    SONDE_TRY(weighted_new(sampler->runtime, kept, true, made));
    (*made)->named = rows->named;
    if (kept == 0) return SONDE_OK;
    sonde_status status = weighted_select(sampler, rows, 0, kept, &order, &ordered);
    if (status != SONDE_OK) {
        weighted_forget(sampler->runtime, *made);
        return status;
    }
    for (int64_t i = 0; i < kept; i++) {
        (*made)->weights[i] = rows->weights[order[i].row];
        (*made)->ids[i] = rows->ids[order[i].row];
    }
    sonde__free(sampler->runtime, order);
    return SONDE_OK;
}

/* Takes the rows of `piece` into the summary *kept. */
static sonde_status weighted_absorb(const sonde_row_sampler *sampler, struct weighted_rows **kept,
                                    const struct weighted_rows *piece)
{
    struct weighted_rows *joined, *trimmed;
    SONDE_TRY(weighted_concat(sampler->runtime, *kept, piece, &joined));
    sonde_status status = weighted_trim(sampler, joined, &trimmed);
    weighted_forget(sampler->runtime, joined);
    if (status != SONDE_OK) return status;
    weighted_forget(sampler->runtime, *kept);
    *kept = trimmed;
    return SONDE_OK;
}

/* ---- the alias table ----------------------------------------------------------------------------------- */

static uint32_t weighted_chance(double share) { return share >= 1 ? UINT32_MAX : (uint32_t)(share * 0x1p32); }

/* Pairs each row of less than the mean weight with one of more, which gives what is missing. work: rows below
 * the mean from the front, the others from the back. Rounding can leave rows over: they are full, or empty.
 */
static void weighted_pair(struct weighted_rows *rows, double *share, uint32_t *work)
{
    int64_t n = rows->count, light = 0, heavy = n;
    for (int64_t i = 0; i < n; i++) {
        if (share[i] < 1) work[light++] = (uint32_t)i;
        else work[--heavy] = (uint32_t)i;
    }
    while (light > 0 && heavy < n) {
        uint32_t small = work[--light], large = work[heavy];
        rows->chance[small] = weighted_chance(share[small]);
        rows->alias[small] = large;
        share[large] -= 1 - share[small];
        if (share[large] >= 1) continue;
        heavy++;
        work[light++] = large;
    }
    while (heavy < n) rows->chance[work[heavy++]] = UINT32_MAX;
    while (light > 0) {
        uint32_t row = work[--light];
        rows->chance[row] = rows->weights[row] > 0 ? UINT32_MAX : 0;
    }
}

static sonde_status weighted_alias(sonde_runtime *runtime, struct weighted_rows *rows)
{
    double *share = NULL;
    uint32_t *work = NULL;
    int64_t heaviest = 0;
    sonde_status status = SONDE_NEW(runtime, share, rows->count);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, work, rows->count);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, rows->alias, rows->count);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, rows->chance, rows->count);
    if (status == SONDE_OK) {
        rows->total = 0;
        for (int64_t i = 0; i < rows->count; i++) {
            rows->total += (double)rows->weights[i];
            if (rows->weights[i] > rows->weights[heaviest]) heaviest = i;
        }
        for (int64_t i = 0; i < rows->count; i++) {
            share[i] = (double)rows->weights[i] / rows->total * (double)rows->count;
            rows->alias[i] = (uint32_t)(rows->weights[i] > 0 ? i : heaviest);
        }
        weighted_pair(rows, share, work);
    }
    sonde__free(runtime, share);
    sonde__free(runtime, work);
    return status;
}

/* ---- fitting ------------------------------------------------------------------------------------------- */

/* Makes `rows` the state, or frees it. */
static sonde_status weighted_adopt(sonde_row_sampler *sampler, struct weighted_rows *rows)
{
    int64_t keep = weighted_keep(sampler);
    sonde_status status = SONDE_OK;
    weighted_count(rows);
    rows->drawable = keep ? sonde__min_i64(keep, rows->positive) : rows->positive;
    if (rows->positive == 0)
        status = sonde__fail(SONDE_INVALID_ARGUMENT, "fit: weights: no row has a weight above 0");
    else if (weighted_replaces(sampler)) status = weighted_alias(sampler->runtime, rows);
    if (status != SONDE_OK) {
        weighted_forget(sampler->runtime, rows);
        return status;
    }
    weighted_forget(sampler->runtime, sampler->state);
    sampler->state = rows;
    return SONDE_OK;
}

static sonde_array weighted_part(const sonde_array *array, int64_t begin, int64_t count)
{
    sonde_array part = *array;
    part.data = (uint8_t *)array->data + begin * array->stride;
    part.rows = count;
    return part;
}

/* Rows [begin, begin + count) of the inputs. */
static sonde_status weighted_take(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                                  int64_t begin, int64_t count, struct weighted_rows **made)
{
    struct weighted_rows *rows;
    sonde_status status;
    SONDE_TRY(SONDE_NEW_ZERO(sampler->runtime, rows, 1));
    sonde_array part = weighted_part(inputs[0], begin, count);
    rows->count = count;
    rows->named = inputs[1] != NULL;
    status = sonde__column_f32(sampler->runtime, &part, "weights", count, 0, FLT_MAX, &rows->weights);
    if (status == SONDE_OK && inputs[1]) {
        part = weighted_part(inputs[1], begin, count);
        status = sonde__column_i64(sampler->runtime, &part, "ids", count, 0, INT64_MAX, &rows->ids);
    }
    if (status == SONDE_OK) {
        *made = rows;
        return SONDE_OK;
    }
    weighted_forget(sampler->runtime, rows);
    return begin ? sonde__fail_within(status, "fit: from row %lld on", (long long)begin)
                 : sonde__fail_within(status, "fit");
}

/* Goes through the inputs piece by piece, so that they never stand in memory twice. */
static sonde_status weighted_summarise(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                                       struct weighted_rows **kept)
{
    int64_t n = inputs[0]->rows, step = sonde__max_i64(WEIGHTED_GRAIN, 8 * weighted_keep(sampler));
    sonde_status status = weighted_new(sampler->runtime, 0, true, kept);
    if (status != SONDE_OK) return status;
    (*kept)->named = inputs[1] != NULL;
    for (int64_t begin = 0; status == SONDE_OK && begin < n; begin += step) {
        struct weighted_rows *piece = NULL;
        status = weighted_take(sampler, inputs, begin, sonde__min_i64(step, n - begin), &piece);
        if (status == SONDE_OK && !piece->ids) {
            status = SONDE_NEW(sampler->runtime, piece->ids, piece->count);
            for (int64_t i = 0; status == SONDE_OK && i < piece->count; i++) piece->ids[i] = begin + i;
        }
        if (status == SONDE_OK) status = weighted_absorb(sampler, kept, piece);
        weighted_forget(sampler->runtime, piece);
        if (status == SONDE_OK)
            status = sonde__poll(sampler->runtime, "fitting", (uint64_t)begin, (uint64_t)n);
    }
    if (status != SONDE_OK) weighted_forget(sampler->runtime, *kept);
    return status;
}

static sonde_status weighted_fit(sonde_row_sampler *sampler, const sonde_array *const *inputs)
{
    struct weighted_rows *rows;
    sonde_array views[2];
    const sonde_array *checked[2] = {&views[0], inputs[1] ? &views[1] : NULL};
    int64_t n = inputs[0]->rows;
    SONDE_TRY(sonde__rows_fit_check("weights", n, 1));
    if (inputs[1] && inputs[1]->rows != n)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "fit: ids has %lld rows, weights has %lld",
                           (long long)inputs[1]->rows, (long long)n);
    SONDE_TRY(sonde__array_check(inputs[0], "fit: weights", 1, SONDE__DTYPES_NUMERIC, &views[0]));
    if (inputs[1])
        SONDE_TRY(sonde__array_check(inputs[1], "fit: ids", 1,
                                     SONDE__DTYPE_BIT(SONDE_DTYPE_I64) | SONDE__DTYPE_BIT(SONDE_DTYPE_I32),
                                     &views[1]));
    if (weighted_keep(sampler)) SONDE_TRY(weighted_summarise(sampler, checked, &rows));
    else SONDE_TRY(weighted_take(sampler, checked, 0, n, &rows));
    return weighted_adopt(sampler, rows);
}

/* ---- drawing ------------------------------------------------------------------------------------------- */

static sonde_status weighted_draw_replace(sonde_row_sampler *sampler, const struct weighted_rows *rows,
                                          int64_t count)
{
    double mean = rows->total / (double)rows->count;
    SONDE_TRY(sonde__rows_begin(sampler, count, false));
    for (int64_t i = 0; i < count; i++) {
        sonde__rng rng;
        sonde__rows_rng(sampler, sampler->pass, WEIGHTED_STREAM_REPLACE, (uint64_t)(sampler->place + i),
                        &rng);
        int64_t row = (int64_t)sonde__rng_below(&rng, (uint64_t)rows->count);
        if (sonde__rng_u32(&rng) >= rows->chance[row]) row = rows->alias[row];
        sampler->drawn.ids[i] = weighted_id(rows, row);
        sampler->drawn.weights[i] = (float)(mean / (double)rows->weights[row]);
    }
    return SONDE_OK;
}

static sonde_status weighted_draw_keys(sonde_row_sampler *sampler, struct weighted_rows *rows, int64_t count)
{
    int64_t begin = sonde__min_i64(sampler->place, rows->drawable);
    int64_t end = begin + sonde__min_i64(count, rows->drawable - begin);
    int64_t pass = weighted_keep(sampler) ? 0 : sampler->pass;
    SONDE_TRY(weighted_order(sampler, rows, pass, sonde__min_i64(end + 1, rows->positive)));
    SONDE_TRY(sonde__rows_begin(sampler, end - begin, false));
    double before = begin ? rows->order[begin - 1].key : 0;
    double behind = end < rows->positive ? rows->order[end].key : INFINITY;
    for (int64_t i = begin; i < end; i++) {
        uint32_t row = rows->order[i].row;
        sampler->drawn.ids[i - begin] = weighted_id(rows, row);
        sampler->drawn.weights[i - begin] = (float)(-1 /
                                                    expm1(-(double)rows->weights[row] * (behind - before)));
    }
    sampler->drawn.last = end == rows->drawable;
    return SONDE_OK;
}

static sonde_status weighted_draw(sonde_row_sampler *sampler, const sonde_array *const *inputs, int64_t count)
{
    (void)inputs;
    if (weighted_replaces(sampler)) return weighted_draw_replace(sampler, sampler->state, count);
    return weighted_draw_keys(sampler, sampler->state, count);
}

/* ---- shards and files ---------------------------------------------------------------------------------- */

static sonde_status weighted_merge(sonde_row_sampler *into, const sonde_row_sampler *from)
{
    const struct weighted_rows *a = into->state, *b = from->state;
    struct weighted_rows *joined, *trimmed;
    SONDE_TRY(sonde__merge_both("ids of the caller", a->named, b->named));
    if (weighted_keep(into) && !a->named)
        return sonde__fail(SONDE_INCOMPATIBLE,
                           "merge: weighted with keep needs the input ids, which tell the rows apart");
    SONDE_TRY(weighted_concat(into->runtime, a, b, &joined));
    if (!weighted_keep(into)) return weighted_adopt(into, joined);
    sonde_status status = weighted_trim(into, joined, &trimmed);
    weighted_forget(into->runtime, joined);
    return status == SONDE_OK ? weighted_adopt(into, trimmed) : status;
}

static sonde_status weighted_save(const sonde_row_sampler *sampler, sonde__writer *writer)
{
    const struct weighted_rows *rows = sampler->state;
    uint64_t count = (uint64_t)rows->count;
    SONDE_TRY(sonde__write_int(writer, "rows", rows->count));
    SONDE_TRY(sonde__write_int(writer, "named", rows->named));
    SONDE_TRY(sonde__write_array(writer, "WEIGHTS", rows->weights, count, sizeof *rows->weights));
    return rows->ids ? sonde__write_array(writer, "IDS", rows->ids, count, sizeof *rows->ids) : SONDE_OK;
}

/* Weights from a file: none below 0, one above. */
static sonde_status weighted_check(const float *weights, int64_t count)
{
    float most = 0;
    for (int64_t i = 0; i < count; i++) {
        if (weights[i] < 0)
            return sonde__fail(SONDE_CORRUPT, "section \"WEIGHTS\": row %lld holds %g", (long long)i,
                               (double)weights[i]);
        if (weights[i] > most) most = weights[i];
    }
    return most > 0 ? SONDE_OK
                    : sonde__fail(SONDE_CORRUPT, "section \"WEIGHTS\": no row has a weight above 0");
}

static sonde_status weighted_read(const sonde_row_sampler *sampler, sonde__reader *reader,
                                  struct weighted_rows *rows)
{
    int64_t named, keep = weighted_keep(sampler), most = keep ? keep + 1 : SONDE__ROWS_MOST;
    SONDE_TRY(sonde__read_int(reader, "rows", 1, most, &rows->count));
    SONDE_TRY(sonde__read_int(reader, "named", 0, 1, &named));
    rows->named = named;
    SONDE_TRY(
        sonde__handle_floats(sampler->runtime, reader, "WEIGHTS", (uint64_t)rows->count, &rows->weights));
    SONDE_TRY(weighted_check(rows->weights, rows->count));
    if (named || keep)
        SONDE_TRY(
            sonde__numbers_read(sampler->runtime, reader, "IDS", rows->count, 0, INT64_MAX, &rows->ids));
    if (!weighted_replaces(sampler) && sampler->place > rows->count)
        return sonde__fail(SONDE_CORRUPT, "the place %lld is behind the last of %lld rows",
                           (long long)sampler->place, (long long)rows->count);
    return SONDE_OK;
}

static sonde_status weighted_load(sonde_row_sampler *sampler, sonde__reader *reader)
{
    struct weighted_rows *rows;
    SONDE_TRY(SONDE_NEW_ZERO(sampler->runtime, rows, 1));
    sonde_status status = weighted_read(sampler, reader, rows);
    if (status == SONDE_OK) return weighted_adopt(sampler, rows);
    weighted_forget(sampler->runtime, rows);
    return status;
}

static const sonde__key weighted_keys[] = {
    {"replace", SONDE__KEY_WORD, "no", 0, 0, "no|yes", NULL, "whether a row can come again within a pass"},
    {"keep", SONDE__KEY_INT, "0", 0, 4294967294.0, NULL, NULL,
     "keep a sample of this many rows only; 0: all rows"},
    {"batch", SONDE__KEY_INT, "1", 1, 4294967295.0, NULL, NULL, "rows of a draw that does not say how many"},
    {0},
};

static const sonde__input_key weighted_inputs[] = {
    {"weights", "n x 1", SONDE__DTYPES_NUMERIC, true, "how likely each row is, beside the others; 0 or more",
     "fit"},
    {"ids", "n x 1", SONDE__DTYPE_BIT(SONDE_DTYPE_I64) | SONDE__DTYPE_BIT(SONDE_DTYPE_I32), false,
     "names of the rows, all different; 0, 1, 2, ... if not given", "fit"},
    {0},
};

const sonde__row_method sonde__row_sampler_weighted = {
    .method = {"weighted", "rows in proportion to weights, with or without replacement",
               "alias table: Walker 1977, Vose 1991; keys: Efraimidis & Spirakis 2006; Cohen & Kaplan 2007",
               weighted_keys, weighted_inputs, NULL, NULL},
    .create = weighted_create,
    .fit = weighted_fit,
    .draw = weighted_draw,
    .merge = weighted_merge,
    .save = weighted_save,
    .load = weighted_load,
    .drop = weighted_drop,
};
