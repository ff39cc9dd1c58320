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
    const float *scale, *bias;     /* of whole blocks; NULL: none */
    float own_scale[FAST_ROWS], own_bias[FAST_ROWS];
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
        float score = scores[v] + bias;
        if (score > top->threshold) sonde__top_push(top, score, s->segment->ids[row], s->place + (sonde__place)row);
    }
}

/* The numbers of a stretch. Behind the last row there may be no memory, so whole blocks of them are copied then. */
static const float *fast_numbers(const stretch *s, int column, float *own)
{
    if (column < 0) return NULL;
    const float *numbers = (const float *)(const void *)s->segment->column[column] + s->first;
    if (s->count % SONDE__BLOCK_ROWS == 0) return numbers;
    memcpy(own, numbers, (size_t)s->count * sizeof *own);
    memset(own + s->count, 0, (size_t)(FAST_ROWS - s->count) * sizeof *own);
    return own;
}

/* A stretch for at most SONDE__NIBBLE_LANES lanes. */
static void fast_group(const stretch *s, sonde__lane *lanes, int64_t count)
{
    const sonde__fast *fast = s->fast;
    int64_t pairs = (fast->nibbles + 1) / 2, blocks = (s->count + SONDE__BLOCK_ROWS - 1) / SONDE__BLOCK_ROWS;
    _Alignas(64) float scores[FAST_ROWS * SONDE__NIBBLE_LANES];
    uint32_t masks[FAST_BLOCKS * SONDE__NIBBLE_LANES];
    sonde__nibble_lane query[SONDE__NIBBLE_LANES];
    for (int64_t i = 0; i < count; i++) {
        const fast_head *head = lanes[i].table;
        query[i] = (sonde__nibble_lane){(const uint8_t *)lanes[i].table + 64, head->step, head->base,
                                        fast_threshold(&lanes[i])};
    }
    sonde__kernels_get()->nibble_scan(s->segment->column[0] + s->first * pairs, blocks, pairs,
                                      s->scale, s->bias, s->allowed, query, count, scores, masks);
    for (int64_t b = 0; b < blocks; b++)
        for (int64_t i = 0; i < count; i++) {
            int64_t at = b * count + i;
            if (masks[at]) fast_offer(s, b, masks[at], scores + at * SONDE__BLOCK_ROWS, &lanes[i]);
        }
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
            s.scale = fast_numbers(&s, fast->scale_column, s.own_scale);
            s.bias = fast_numbers(&s, fast->bias_column, s.own_bias);
            for (int64_t l = 0; l < count; l += SONDE__NIBBLE_LANES)
                fast_group(&s, lanes + l, sonde__min_i64(SONDE__NIBBLE_LANES, count - l));
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
