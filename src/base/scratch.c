/* scratch.c: working memory of a call, kept for the next one.
 *
 * An arena is a list of chunks that double in size; taking memory moves a mark, and giving the arena back rewinds it.
 * Chunks stay in the list, so a call that repeats an earlier one finds the same memory and allocates nothing. Idle
 * arenas lie in slots of the runtime: taken by an exchange, given back by a compare-and-swap, no locks. An arena that
 * finds no free slot, and chunks beyond 64 MiB in one arena, are freed when they are given back.
 *
 *   block of the arena: | sonde__scratch | first chunk: header | data ... |     other chunks: | header | data ... |
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/runtime.h"

#define SCRATCH_LINE 64
#define SCRATCH_FIRST ((uint64_t)64 << 10)
#define SCRATCH_KEEP ((uint64_t)64 << 20)

typedef struct scratch_chunk {
    struct scratch_chunk *next;
    uint64_t capacity, used; /* bytes of data, multiples of 64 */
    uint8_t padding[SCRATCH_LINE - sizeof(void *) - 2 * sizeof(uint64_t)];
} scratch_chunk;

struct sonde__scratch {
    sonde_runtime *runtime;
    scratch_chunk *current;
    uint8_t padding[SCRATCH_LINE - 2 * sizeof(void *)];
    scratch_chunk first;
};

/* Frees the chunks behind `last`. */
static void scratch_drop_after(sonde__scratch *scratch, scratch_chunk *last)
{
    scratch_chunk *chunk = last->next;
    last->next = NULL;
    while (chunk) {
        scratch_chunk *next = chunk->next;
        sonde__free(scratch->runtime, chunk);
        chunk = next;
    }
}

static void scratch_free(sonde__scratch *scratch)
{
    scratch_drop_after(scratch, &scratch->first);
    sonde__free(scratch->runtime, scratch);
}

/* The plain load spares the exchange, which would take the cache line from the other threads. */
sonde_status sonde__scratch_take(sonde_runtime *runtime, sonde__scratch **scratch)
{
    for (int i = 0; i < SONDE__SCRATCH_SLOTS; i++) {
        if (!atomic_load_explicit(&runtime->scratch[i], memory_order_relaxed)) continue;
        sonde__scratch *idle = atomic_exchange(&runtime->scratch[i], NULL);
        if (idle) {
            *scratch = idle;
            return SONDE_OK;
        }
    }
    sonde__scratch *made = sonde__alloc(runtime, 1, sizeof *made + SCRATCH_FIRST);
    if (!made) return sonde__last_status();
    made->runtime = runtime;
    made->current = &made->first;
    made->first.next = NULL;
    made->first.capacity = SCRATCH_FIRST;
    made->first.used = 0;
    *scratch = made;
    return SONDE_OK;
}

/* Puts a chunk with room for `bytes` behind the current one. */
static scratch_chunk *scratch_grow(sonde__scratch *scratch, uint64_t bytes)
{
    scratch_chunk *current = scratch->current;
    uint64_t capacity = 2 * current->capacity;
    if (capacity < bytes) capacity = bytes;
    scratch_chunk *chunk = sonde__alloc(scratch->runtime, 1, sizeof *chunk + capacity);
    if (!chunk) return NULL;
    chunk->next = current->next;
    chunk->capacity = capacity;
    chunk->used = 0;
    current->next = chunk;
    return chunk;
}

/* Chunks behind the current one are free: left there by an earlier, longer use. */
void *sonde__scratch_alloc(sonde__scratch *scratch, uint64_t count, uint64_t size)
{
    if (size != 0 && count > (PTRDIFF_MAX - 4 * SCRATCH_LINE) / size) return sonde__fail_address(count, size);
    uint64_t bytes = (count * size + (SCRATCH_LINE - 1)) / SCRATCH_LINE * SCRATCH_LINE;
    scratch_chunk *chunk = scratch->current;
    while (chunk && chunk->capacity - chunk->used < bytes) {
        chunk = chunk->next;
        if (chunk) chunk->used = 0;
    }
    if (!chunk) chunk = scratch_grow(scratch, bytes);
    if (!chunk) return NULL;
    scratch->current = chunk;
    void *memory = (uint8_t *)(chunk + 1) + chunk->used;
    chunk->used += bytes;
    return memory;
}

sonde__scratch_mark sonde__scratch_here(const sonde__scratch *scratch)
{
    return (sonde__scratch_mark){scratch->current, scratch->current->used};
}

void sonde__scratch_rewind(sonde__scratch *scratch, sonde__scratch_mark mark)
{
    scratch->current = mark.chunk;
    scratch->current->used = mark.used;
}

void sonde__scratch_give(sonde_runtime *runtime, sonde__scratch *scratch)
{
    if (!scratch) return;
    uint64_t kept = 0;
    scratch_chunk *last = &scratch->first;
    while (last->next && kept + last->next->capacity <= SCRATCH_KEEP) {
        last = last->next;
        kept += last->capacity;
    }
    scratch_drop_after(scratch, last);
    sonde__scratch_rewind(scratch, (sonde__scratch_mark){&scratch->first, 0});
    for (int i = 0; i < SONDE__SCRATCH_SLOTS; i++) {
        sonde__scratch *none = NULL;
        if (atomic_compare_exchange_strong(&runtime->scratch[i], &none, scratch)) return;
    }
    scratch_free(scratch);
}

bool sonde__scratch_trim(sonde_runtime *runtime)
{
    bool found = false;
    for (int i = 0; i < SONDE__SCRATCH_SLOTS; i++) {
        sonde__scratch *idle = atomic_exchange(&runtime->scratch[i], NULL);
        if (!idle) continue;
        scratch_free(idle);
        found = true;
    }
    return found;
}
