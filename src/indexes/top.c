/* top.c: keeps the best hits of a search while rows stream by in any order.
 *
 * Few hits are a binary heap with the worst kept one on top. Many are a reservoir: hits are put down side by side in room
 * for twice as many, and when it is full the better half stays: a kernel finds the score that so many reach, and one pass
 * without branches closes the gaps; where more hits have that very score, they are selected by id. So an entering hit costs
 * a constant on average. Hits are ordered by (score descending, id ascending), a total order, so what is kept never depends
 * on the order of arrival, nor on which of the two ways it is. `threshold` is the number that scans compare against before
 * they call push: below a score that so many hits reach by one float step, because an equal score with a smaller id still
 * enters. Range mode keeps everything from a floor on, as a plain growing array.
 *
 * Cost: one comparison for a score that has no chance; O(log k) in the heap, O(1) in the reservoir for one that enters;
 * sorting O(n log n) in place (heap sort: no memory, no bad case).
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "indexes/index.h"

#define FIRST_GROWTH 64
#define HEAP_MOST 24 /* hits from which on a reservoir is faster */

static inline bool worse(const sonde__hit *a, const sonde__hit *b)
{
    return a->score < b->score || (a->score == b->score && a->id > b->id);
}

/* The largest float below x; minus infinity stays. */
static float step_below(float x)
{
    return nextafterf(x, -INFINITY);
}

/* Scores of a full reservoir stand behind its hits. */
int64_t sonde__top_room(int64_t capacity)
{
    int64_t full = 2 * capacity, hit = (int64_t)sizeof(sonde__hit);
    return capacity > HEAP_MOST ? full + (full * (int64_t)sizeof(float) + hit - 1) / hit : capacity;
}

void sonde__top_init(sonde__top *top, sonde__hit *storage, int64_t capacity)
{
    *top = (sonde__top){.hits = storage, .capacity = capacity};
    if (capacity > HEAP_MOST) top->scores = (float *)(void *)(storage + 2 * capacity);
    top->threshold = capacity > 0 ? -INFINITY : INFINITY;
}

void sonde__top_init_range(sonde__top *top, sonde_runtime *runtime, float floor)
{
    *top = (sonde__top){.range = true, .runtime = runtime, .threshold = step_below(floor)};
}

/* Lets `hit` sink from `hole` to where no child is worse. */
static void sink(sonde__hit *hits, int64_t count, int64_t hole, sonde__hit hit)
{
    for (int64_t child = 2 * hole + 1; child < count; child = 2 * hole + 1) {
        if (child + 1 < count && worse(&hits[child + 1], &hits[child])) child++;
        if (!worse(&hits[child], &hit)) break;
        hits[hole] = hits[child];
        hole = child;
    }
    hits[hole] = hit;
}

static void rise(sonde__hit *hits, int64_t hole, sonde__hit hit)
{
    while (hole > 0) {
        int64_t parent = (hole - 1) / 2;
        if (!worse(&hit, &hits[parent])) break;
        hits[hole] = hits[parent];
        hole = parent;
    }
    hits[hole] = hit;
}

static inline void swap_hits(sonde__hit *a, sonde__hit *b)
{
    sonde__hit kept = *a;
    *a = *b;
    *b = kept;
}

/* Sorts so that the best comes first; hits need not be a heap. */
static void sort_hits(sonde__hit *hits, int64_t count)
{
    for (int64_t i = count / 2 - 1; i >= 0; i--) sink(hits, count, i, hits[i]);
    for (int64_t end = count - 1; end > 0; end--) {
        sonde__hit last = hits[end];
        hits[end] = hits[0];
        sink(hits, end, 0, last);
    }
}

/* The middle one of the first, the middle and the last hit goes to the front. */
static void choose_pivot(sonde__hit *hits, int64_t count)
{
    sonde__hit *a = hits, *b = hits + count / 2, *c = hits + count - 1;
    if (worse(a, b)) swap_hits(a, b);
    if (worse(b, c)) swap_hits(b, c);
    if (worse(a, b)) swap_hits(a, b);
    swap_hits(a, b);
}

/* Puts the `kept` best hits first, the worst of them at the end of these. Quickselect; where the pivots stay bad, what is
 * left is sorted. */
static void select_best(sonde__hit *hits, int64_t count, int64_t kept)
{
    int rounds = 2 * (64 - __builtin_clzll((uint64_t)count | 1));
    while (count > 1) {
        if (rounds-- == 0) {
            sort_hits(hits, count);
            return;
        }
        choose_pivot(hits, count);
        int64_t better = 0; /* hits[1..better] are better than the pivot */
        for (int64_t i = 1; i < count; i++)
            if (worse(&hits[0], &hits[i])) swap_hits(&hits[++better], &hits[i]);
        swap_hits(&hits[0], &hits[better]); /* the pivot is at its place */
        if (better == kept - 1) return;
        if (better >= kept) {
            count = better;
        } else {
            hits += better + 1;
            count -= better + 1;
            kept -= better + 1;
        }
    }
}

/* Keeps the hits that reach the level, in their order; returns how many there are. */
static int64_t keep_reaching(sonde__top *top, float level)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < top->count; i++) {
        sonde__hit hit = top->hits[i];
        top->hits[kept] = hit;
        kept += hit.score >= level;
    }
    return kept;
}

void sonde__top_settle(sonde__top *top)
{
    float level = -INFINITY;
    if (top->range || top->count <= top->capacity) return;
    if (top->scores) {
        for (int64_t i = 0; i < top->count; i++) top->scores[i] = top->hits[i].score;
        level = sonde__kernels_get()->kth_largest(top->scores, top->count, top->capacity);
        top->count = keep_reaching(top, level);
    }
    if (top->count > top->capacity) {
        select_best(top->hits, top->count, top->capacity);
        top->count = top->capacity;
        level = top->hits[top->count - 1].score;
    }
    top->threshold = step_below(level);
}

static void push_range(sonde__top *top, sonde__hit hit)
{
    if (top->count == top->capacity) {
        int64_t capacity = top->capacity ? 2 * top->capacity : FIRST_GROWTH;
        sonde__hit *grown;
        top->status = SONDE_NEW(top->runtime, grown, capacity);
        if (top->status != SONDE_OK) {
            top->threshold = INFINITY; /* the search has failed: nothing enters any more */
            return;
        }
        if (top->count) memcpy(grown, top->hits, (size_t)top->count * sizeof *grown);
        sonde__free(top->runtime, top->hits);
        top->hits = grown;
        top->capacity = capacity;
    }
    top->hits[top->count++] = hit;
}

void sonde__top_enter(sonde__top *top, const sonde__hit *hit)
{
    if (top->range) {
        push_range(top, *hit);
    } else if (top->scores) {
        top->hits[top->count++] = *hit;
        if (top->count == 2 * top->capacity) sonde__top_settle(top);
    } else if (top->count < top->capacity) {
        rise(top->hits, top->count, *hit);
        if (++top->count == top->capacity) top->threshold = step_below(top->hits[0].score);
    } else if (worse(&top->hits[0], hit)) {
        sink(top->hits, top->count, 0, *hit);
        top->threshold = step_below(top->hits[0].score);
    }
}

void sonde__top_merge(sonde__top *top, const sonde__top *other)
{
    for (int64_t i = 0; i < other->count; i++) {
        const sonde__hit *hit = &other->hits[i];
        sonde__top_push(top, hit->score, hit->id, hit->place);
    }
}

void sonde__top_sort(sonde__top *top)
{
    sonde__top_settle(top);
    sort_hits(top->hits, top->count);
}
