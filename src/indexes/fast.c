/* fast.c: the fast scan: lists of 4-bit codes against a few queries at a time, with tables that stay in registers.
 *
 * A query's table has 16 entries for each 4-bit number of a code. Rounded to 6 bits, an entry table fits a register half,
 * one byte shuffle looks up 32 rows, and four such sums fit a byte (kernels: nibble_scan). The rows come in blocks of 32
 * (sonde__layout); scores are in f32 with the row's own scale and bias, and compared with the query's threshold in the
 * kernel, so that only blocks with a hit are ever looked at here.
 *
 *     list --stretches of 256 rows--> mask (filter, removed) --> groups of 4 queries --> nibble_scan --> top
 *
 * A stretch stays in L1 for all queries of the call. Thresholds are lowered a little for rounding and what passes enters
 * the top with its full score, so results depend neither on the grouping nor on the order of lists.
 *
 * After: Andre, Kermarrec, Le Scouarnec 2015 and 2019; Guo et al. 2020.
 * Cost: about nibbles / 35 cycles a row and query (AVX-512), and 64 bytes of table a pair of numbers.
 *
 * SPDX-License-Identifier: MIT
 */
#include "indexes/fast.h"

#include <math.h>

#define FAST_BLOCKS 8 /* of a stretch */
#define FAST_ROWS (FAST_BLOCKS * SONDE__BLOCK_ROWS)
#define FAST_FETCH 8192 /* most bytes of a list's codes that are asked for ahead; the scan itself asks for the others */

/* The head of a table; the entries follow 64 bytes behind. */
typedef struct fast_head {
    float step, base;
    float offset; /* what the codes' method adds to every row */
} fast_head;

/* Rows of one segment, at most FAST_ROWS, beginning with a block. */
typedef struct stretch {
    const sonde__fast *fast;
    const sonde__segment *segment;
    sonde__place place; /* of the segment's row 0 */
    int64_t first, count;
    uint32_t allowed[FAST_BLOCKS]; /* rows behind the last are not */
} stretch;

int64_t sonde__fast_table_bytes(const sonde__fast *fast)
{
    return 64 + (fast->nibbles + 1) / 2 * 64;
}

int64_t sonde__fast_floats(const sonde__fast *fast)
{
    return 16 * fast->nibbles;
}

void sonde__fast_table(const sonde__fast *fast, const float *query, float *scratch, void *table)
{
    fast_head *head = table;
    float base, least;
    fast->code->method->nibble_table(fast->code, query, scratch, &base);
    sonde__kernels_get()->nibble_round(scratch, fast->nibbles, (uint8_t *)table + 64, &head->step, &least);
    head->base = base + least;
    head->offset = fast->code->method->nibble_offset ? fast->code->method->nibble_offset(fast->code, query) : 0;
}

/* What is added to every score of a lane. */
static float fast_bias(const sonde__lane *lane)
{
    return lane->bias + ((const fast_head *)lane->table)->offset;
}

/* What a score without that must exceed: never above the exact bound. */
static float fast_threshold(const sonde__lane *lane)
{
    float t = lane->top->threshold, bias = fast_bias(lane);
    if (isinf(t)) return t;
    return bias == 0 ? t : t - bias - (fabsf(t) + fabsf(bias)) * 0x1p-22f;
}

static void fast_offer(const stretch *s, int64_t block, uint32_t mask, const float *scores, sonde__lane *lane)
{
    sonde__top *top = lane->top;
    float bias = fast_bias(lane);
    for (; mask; mask &= mask - 1) {
        int v = __builtin_ctz(mask);
        int64_t row = s->first + block * SONDE__BLOCK_ROWS + v;
        sonde__place place = s->place + (sonde__place)row;
        sonde__top_push(top, scores[v] + bias, s->fast->by_place ? (int64_t)place : s->segment->ids[row], place);
    }
}

/* The numbers of rows that begin with this block. Behind the last row there may be no memory, so those of a block that is
 * not full are copied. */
static const float *fast_numbers(const stretch *s, int column, int64_t block, float *own)
{
    if (column < 0) return NULL;
    int64_t row = block * SONDE__BLOCK_ROWS, left = s->count - row;
    const float *numbers = (const float *)(const void *)s->segment->column[column] + s->first + row;
    if (left >= SONDE__BLOCK_ROWS) return numbers;
    for (int64_t i = 0; i < SONDE__BLOCK_ROWS; i++) own[i] = i < left ? numbers[i] : 0;
    return own;
}

/* Blocks [begin, end) of a stretch, which are all full or one. */
static void fast_blocks(const stretch *s, int64_t begin, int64_t end, const sonde__nibble_lane *query, sonde__lane *lanes,
                        int64_t count)
{
    _Alignas(64) float scores[FAST_ROWS * SONDE__NIBBLE_LANES];
    uint32_t masks[FAST_BLOCKS * SONDE__NIBBLE_LANES];
    float own_scale[SONDE__BLOCK_ROWS], own_bias[SONDE__BLOCK_ROWS];
    const sonde__fast *fast = s->fast;
    int64_t pairs = (fast->nibbles + 1) / 2;
    if (begin == end) return;
    sonde__kernels_get()->nibble_scan(s->segment->column[0] + (s->first + begin * SONDE__BLOCK_ROWS) * pairs, end - begin,
                                      pairs, fast_numbers(s, fast->scale_column, begin, own_scale),
                                      fast_numbers(s, fast->bias_column, begin, own_bias), s->allowed + begin, query,
                                      count, scores, masks);
    for (int64_t b = begin; b < end; b++)
        for (int64_t i = 0; i < count; i++) {
            int64_t at = (b - begin) * count + i;
            if (masks[at]) fast_offer(s, b, masks[at], scores + at * SONDE__BLOCK_ROWS, &lanes[i]);
        }
}

/* A stretch for at most SONDE__NIBBLE_LANES lanes. */
static void fast_group(const stretch *s, sonde__lane *lanes, int64_t count)
{
    int64_t full = s->count / SONDE__BLOCK_ROWS, blocks = (s->count + SONDE__BLOCK_ROWS - 1) / SONDE__BLOCK_ROWS;
    sonde__nibble_lane query[SONDE__NIBBLE_LANES];
    for (int64_t i = 0; i < count; i++) {
        const fast_head *head = lanes[i].table;
        query[i] = (sonde__nibble_lane){(const uint8_t *)lanes[i].table + 64, head->step, head->base,
                                        fast_threshold(&lanes[i])};
    }
    fast_blocks(s, 0, full, query, lanes, count);
    fast_blocks(s, full, blocks, query, lanes, count);
}

/* The rows of each block that may be returned; false if there are none. */
static bool fast_mask(stretch *s, const sonde_filter *filter)
{
    uint64_t words[FAST_ROWS / 64] = {0};
    int64_t left = s->count;
    if (filter || s->segment->removed) left = sonde__filter_mask(filter, s->segment, s->first, s->count, words);
    else
        for (int64_t i = 0; i < s->count; i += 64)
            words[i / 64] = s->count - i >= 64 ? UINT64_MAX : ((uint64_t)1 << (s->count - i)) - 1;
    for (int b = 0; b < FAST_BLOCKS; b++) s->allowed[b] = (uint32_t)(words[b / 2] >> (b % 2 * 32));
    return left > 0;
}

/* The tables of many lanes do not stay in the nearest cache from list to list, nor does the place of their next hit. */
static void fast_lanes_ahead(const sonde__fast *fast, const sonde__lane *lanes, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        const sonde__top *top = lanes[i].top;
        sonde__ask_for(lanes[i].table, sonde__fast_table_bytes(fast));
        if (top->hits) __builtin_prefetch(top->hits + top->count, 1, 2);
    }
}

void sonde__fast_ahead(const sonde__fast *fast, const sonde__snapshot *snapshot, const int32_t *lists, int64_t count)
{
    if (count > 3) sonde__ask_for(snapshot->list[lists[3]], 64);
    if (count > 2 && snapshot->list[lists[2]]->segments > 0)
        sonde__ask_for(snapshot->list[lists[2]]->segment[0], sizeof(sonde__segment));
    if (count < 2 || snapshot->list[lists[1]]->segments == 0) return;
    const sonde__segment *segment = snapshot->list[lists[1]]->segment[0];
    int64_t numbers = sonde__min_i64(FAST_ROWS, segment->count) * 4;
    sonde__ask_for(segment->column[0], sonde__min_i64(FAST_FETCH, segment->count * ((fast->nibbles + 1) / 2)));
    if (fast->scale_column >= 0) sonde__ask_for(segment->column[fast->scale_column], numbers);
    if (fast->bias_column >= 0) sonde__ask_for(segment->column[fast->bias_column], numbers);
}

/* All segments of a list for lanes that share a filter. */
static void fast_lanes(const sonde__fast *fast, const sonde__list *list, int64_t number, sonde__lane *lanes, int64_t count)
{
    for (int64_t i = 0; i < list->segments; i++) {
        stretch s;
        s.fast = fast;
        s.segment = list->segment[i];
        s.place = sonde__place_of(number, i, 0);
        for (s.first = 0; s.first < s.segment->count; s.first += FAST_ROWS) {
            s.count = sonde__min_i64(FAST_ROWS, s.segment->count - s.first);
            if (!fast_mask(&s, lanes->filter)) continue;
            for (int64_t l = 0; l < count; l += SONDE__NIBBLE_LANES) {
                int64_t some = sonde__min_i64(SONDE__NIBBLE_LANES, count - l);
                fast_lanes_ahead(fast, lanes + l + some, sonde__min_i64(SONDE__NIBBLE_LANES, count - l - some));
                fast_group(&s, lanes + l, some);
            }
        }
    }
}

sonde_status sonde__fast_list(const sonde__fast *fast, const sonde__snapshot *snapshot, int64_t list, sonde__lane *lanes,
                              int64_t count)
{
    for (int64_t begin = 0, end; begin < count; begin = end) {
        for (end = begin + 1; end < count && lanes[end].filter == lanes[begin].filter; end++) {}
        fast_lanes(fast, snapshot->list[list], list, lanes + begin, end - begin);
    }
    for (int64_t i = 0; i < count; i++) /* a top that could not grow has the message of this thread */
        if (lanes[i].top->status != SONDE_OK) return lanes[i].top->status;
    return SONDE_OK;
}
