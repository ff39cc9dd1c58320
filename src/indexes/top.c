/* top.c: keeps the best hits of a search while rows stream by in any order.
 *
 * A binary heap with the worst kept hit on top. Hits are ordered by (score descending, id ascending), a total order, so
 * what is kept never depends on the order of arrival. `threshold` is the number that scans compare against before
 * they call push: one float step below the worst kept score, because an equal score with a smaller id still enters.
 * Range mode keeps everything from a floor on, as a plain growing array.
 *
 * Cost: one comparison for a score that has no chance, O(log k) for one that enters; sorting O(n log n) in place
 * (heap sort: no memory, no bad case).
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "indexes/index.h"

#define FIRST_GROWTH 64

static inline bool worse(const sonde__hit *a, const sonde__hit *b)
{
    return a->score < b->score || (a->score == b->score && a->id > b->id);
}

/* The largest float below x; minus infinity stays. */
static float step_below(float x)
{
    return nextafterf(x, -INFINITY);
}

void sonde__top_init(sonde__top *top, sonde__hit *storage, int64_t capacity)
{
    *top = (sonde__top){.hits = storage, .capacity = capacity};
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

void sonde__top_push(sonde__top *top, float score, int64_t id, sonde__place place)
{
    if (!(score > top->threshold)) return; /* NaN too */
    sonde__hit hit = {.score = score, .id = id, .place = place};
    if (top->range) {
        push_range(top, hit);
    } else if (top->count < top->capacity) {
        rise(top->hits, top->count, hit);
        if (++top->count == top->capacity) top->threshold = step_below(top->hits[0].score);
    } else if (worse(&top->hits[0], &hit)) {
        sink(top->hits, top->count, 0, hit);
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
    for (int64_t i = top->count / 2 - 1; i >= 0; i--) sink(top->hits, top->count, i, top->hits[i]);
    for (int64_t end = top->count - 1; end > 0; end--) {
        sonde__hit last = top->hits[end];
        top->hits[end] = top->hits[0];
        sink(top->hits, end, 0, last);
    }
}
