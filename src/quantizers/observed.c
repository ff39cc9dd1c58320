/* observed.c: a uniform sample of the rows of a stream, for methods that learn from rows held in memory.
 *
 * Problem: a data set that does not fit comes piece by piece, and how it is cut must not change what is learned.
 * Idea: row i of the stream draws a random number from (seed, i), and the rows with the least numbers stay: a max-heap of
 * the numbers says which row leaves when a better one comes (reservoir sampling by keys, as Efraimidis and Spirakis 2006
 * with equal weights). Handed out in the order of the stream, so the sample is a function of the rows alone.
 *
 * Memory: (4 dim + 24) bytes a kept row, grown by doubling. Time O(log kept) for a row that stays, O(1) for others.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>

#include "kernels/kernels.h"
#include "quantizers/quantizer.h"

#define OBSERVED_STREAM 0x6f62u
#define OBSERVED_FIRST 1024 /* rows of room at first */

struct observed_key {
    uint64_t key;
    int64_t row, slot; /* of the stream; of x */
};

struct sonde__observed {
    int64_t dim, seen, kept, room;
    struct observed_key *heap; /* the largest key on top */
    float *x;                  /* room x dim, by slot */
};

void sonde__observed_free(sonde_runtime *runtime, sonde__observed *observed)
{
    if (!observed) return;
    sonde__free(runtime, observed->heap);
    sonde__free(runtime, observed->x);
    sonde__free(runtime, observed);
}

static sonde_status observed_grow(sonde_runtime *runtime, sonde__observed *o, int64_t room)
{
    struct observed_key *heap = NULL;
    float *x = NULL;
    sonde_status status = SONDE_NEW(runtime, heap, room);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, x, room * o->dim);
    if (status != SONDE_OK) {
        sonde__free(runtime, heap);
        return status;
    }
    if (o->kept > 0) {
        memcpy(heap, o->heap, (size_t)o->kept * sizeof *heap);
        memcpy(x, o->x, (size_t)(o->kept * o->dim) * sizeof *x);
    }
    sonde__free(runtime, o->heap);
    sonde__free(runtime, o->x);
    o->heap = heap;
    o->x = x;
    o->room = room;
    return SONDE_OK;
}

static void observed_sink(struct observed_key *heap, int64_t count, struct observed_key key)
{
    int64_t hole = 0;
    for (int64_t child = 1; child < count; child = 2 * hole + 1) {
        if (child + 1 < count && heap[child + 1].key > heap[child].key) child++;
        if (heap[child].key <= key.key) break;
        heap[hole] = heap[child];
        hole = child;
    }
    heap[hole] = key;
}

static void observed_rise(struct observed_key *heap, int64_t hole, struct observed_key key)
{
    for (; hole > 0 && heap[(hole - 1) / 2].key < key.key; hole = (hole - 1) / 2) heap[hole] = heap[(hole - 1) / 2];
    heap[hole] = key;
}

/* Lets row `row` of a piece in, or not; room has been made. */
static void observed_offer(sonde__observed *o, const sonde_array *rows, int64_t row, int64_t most)
{
    sonde__rng rng;
    sonde__rng_start(&rng, 1, OBSERVED_STREAM, (uint64_t)o->seen);
    struct observed_key key = {sonde__rng_u64(&rng), o->seen++, o->kept};
    if (o->kept == most) {
        if (key.key >= o->heap[0].key) return;
        key.slot = o->heap[0].slot;
        observed_sink(o->heap, o->kept, key);
    } else {
        observed_rise(o->heap, o->kept++, key);
    }
    sonde__rows_to_f32(rows, row, 1, o->x + key.slot * o->dim, o->dim);
}

sonde_status sonde__observed_add(sonde_runtime *runtime, sonde__observed **observed, const sonde_array *rows, int64_t most)
{
    sonde__observed *o = *observed;
    if (!o) {
        SONDE_TRY(SONDE_NEW_ZERO(runtime, o, 1));
        o->dim = rows->cols;
        *observed = o;
    }
    int64_t wanted = sonde__min_i64(most, o->kept + rows->rows);
    if (wanted > o->room) {
        int64_t room = sonde__max_i64(sonde__max_i64(OBSERVED_FIRST, wanted), 2 * o->room);
        SONDE_TRY(observed_grow(runtime, o, sonde__min_i64(most, room)));
    }
    for (int64_t i = 0; i < rows->rows; i++) observed_offer(o, rows, i, most);
    return SONDE_OK;
}

static int observed_earlier(const void *a, const void *b)
{
    int64_t x = ((const struct observed_key *)a)->row, y = ((const struct observed_key *)b)->row;
    return (x > y) - (x < y);
}

sonde_status sonde__observed_rows(sonde_runtime *runtime, const sonde__observed *o, float **x, int64_t *n)
{
    struct observed_key *order;
    float *rows = NULL;
    SONDE_TRY(SONDE_NEW(runtime, order, o->kept));
    sonde_status status = SONDE_NEW(runtime, rows, o->kept * o->dim);
    if (status == SONDE_OK) {
        memcpy(order, o->heap, (size_t)o->kept * sizeof *order);
        qsort(order, (size_t)o->kept, sizeof *order, observed_earlier);
        for (int64_t i = 0; i < o->kept; i++)
            memcpy(rows + i * o->dim, o->x + order[i].slot * o->dim, (size_t)o->dim * sizeof *rows);
        *x = rows;
        *n = o->kept;
    }
    sonde__free(runtime, order);
    return status;
}
