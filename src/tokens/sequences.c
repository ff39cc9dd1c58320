/* sequences.c: what a sampler keeps for each sequence, found by the caller's number.
 *
 * A table of pointers by open addressing, at most half full; a sequence is made when it is first named. Its past is a
 * window: the buffer may hold more than is remembered, and what is stale is dropped when the buffer is full, so that
 * a token costs O(1) on average.
 *
 * In files: IDS, PLACES, LENGTHS (one element a sequence, ascending ids), PAST (all pasts, one behind the other) and
 * MEMORY.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdlib.h>

#include "tokens/candidates.h"

enum { SEQUENCES_FIRST = 16, SEQUENCE_PAST_FIRST = 16 };

static int64_t sequence_memory(const sonde_token_sampler *sampler)
{
    return sampler->chain ? sampler->chain->memory_count : 0;
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

/* The slot that holds the id, or the free one where it belongs. */
static int64_t sequences_slot(sonde__sequence *const *slots, int64_t capacity, int64_t id)
{
    uint64_t mask = (uint64_t)capacity - 1;
    uint64_t at = (uint64_t)id * 0x9e3779b97f4a7c15u >> 20 & mask;
    while (slots[at] && slots[at]->id != id) at = (at + 1) & mask;
    return (int64_t)at;
}

static sonde_status sequences_grow(sonde_token_sampler *sampler)
{
    sonde__sequences *table = &sampler->sequences;
    sonde__sequence **slots;
    if (2 * (table->count + 1) <= table->capacity) return SONDE_OK;
    int64_t capacity = table->capacity ? 2 * table->capacity : SEQUENCES_FIRST;
    SONDE_TRY(SONDE_NEW_ZERO(sampler->runtime, slots, capacity));
    for (int64_t i = 0; i < table->capacity; i++)
        if (table->slots[i]) slots[sequences_slot(slots, capacity, table->slots[i]->id)] = table->slots[i];
    sonde__free(sampler->runtime, table->slots);
    table->slots = slots;
    table->capacity = capacity;
    return SONDE_OK;
}

sonde_status sonde__sequence_at(sonde_token_sampler *sampler, int64_t id, sonde__sequence **sequence)
{
    sonde__sequences *table = &sampler->sequences;
    uint64_t bytes = sizeof **sequence + (uint64_t)sequence_memory(sampler) * sizeof(double);
    SONDE_TRY(sequences_grow(sampler));
    sonde__sequence **slot = &table->slots[sequences_slot(table->slots, table->capacity, id)];
    if (!*slot) {
        sonde__sequence *made = sonde__alloc_zero(sampler->runtime, 1, bytes);
        if (!made) return sonde__last_status();
        made->id = id;
        if (sampler->chain) sonde__chain_begin(sampler->chain, made->memory);
        *slot = made;
        table->count++;
    }
    *sequence = *slot;
    return SONDE_OK;
}

static void sequence_free(sonde_token_sampler *sampler, sonde__sequence *sequence)
{
    if (sequence) sonde__free(sampler->runtime, sequence->past);
    sonde__free(sampler->runtime, sequence);
}

/* Empties one slot; those behind it in the same run move up to where a search finds them. */
static void sequences_remove(sonde_token_sampler *sampler, int64_t at)
{
    sonde__sequences *table = &sampler->sequences;
    sequence_free(sampler, table->slots[at]);
    table->slots[at] = NULL;
    table->count--;
    for (int64_t i = (at + 1) & (table->capacity - 1); table->slots[i]; i = (i + 1) & (table->capacity - 1)) {
        sonde__sequence *moved = table->slots[i];
        table->slots[i] = NULL;
        table->slots[sequences_slot(table->slots, table->capacity, moved->id)] = moved;
    }
}

void sonde__sequences_drop(sonde_token_sampler *sampler, int64_t id)
{
    sonde__sequences *table = &sampler->sequences;
    if (id >= 0 && table->capacity) {
        int64_t at = sequences_slot(table->slots, table->capacity, id);
        if (table->slots[at]) sequences_remove(sampler, at);
    }
    if (id >= 0) return;
    for (int64_t i = 0; i < table->capacity; i++) sequence_free(sampler, table->slots[i]);
    sonde__free(sampler->runtime, table->slots);
    *table = (sonde__sequences){.stamp = table->stamp};
}

/* ---- the past ---------------------------------------------------------------------------------------------------- */

sonde_status sonde__sequence_reserve(sonde_token_sampler *sampler, sonde__sequence *sequence, int64_t count)
{
    int64_t wanted = sonde__min_i64(count, sampler->remembered);
    int64_t kept = sonde__min_i64(sequence->length, sampler->remembered);
    int32_t *past;
    if (sequence->length + wanted <= sequence->capacity) return SONDE_OK;
    int64_t stale = sequence->length - kept;
    if (stale >= kept && kept + wanted <= sequence->capacity) {
        memmove(sequence->past, sequence->past + stale, (size_t)kept * sizeof *past);
        sequence->length = kept;
        return SONDE_OK;
    }
    int64_t capacity = sonde__max_i64(SEQUENCE_PAST_FIRST, 2 * (sequence->length + wanted));
    SONDE_TRY(SONDE_NEW(sampler->runtime, past, capacity));
    if (sequence->length) memcpy(past, sequence->past, (size_t)sequence->length * sizeof *past);
    sonde__free(sampler->runtime, sequence->past);
    sequence->past = past;
    sequence->capacity = capacity;
    return SONDE_OK;
}

void sonde__sequence_append(sonde_token_sampler *sampler, sonde__sequence *sequence, const int32_t *tokens,
                            int64_t count)
{
    int64_t kept = sonde__min_i64(count, sampler->remembered);
    if (kept) memcpy(sequence->past + sequence->length, tokens + (count - kept), (size_t)kept * sizeof *tokens);
    sequence->length += kept;
    sequence->place += count;
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static int sequences_by_id(const void *a, const void *b)
{
    int64_t left = (*(sonde__sequence *const *)a)->id, right = (*(sonde__sequence *const *)b)->id;
    return (left > right) - (left < right);
}

/* What is not stale. */
static int64_t sequence_kept(const sonde_token_sampler *sampler, const sonde__sequence *sequence)
{
    return sonde__min_i64(sequence->length, sampler->remembered);
}

/* The numbers of a sequence, by column. */
enum { SEQUENCES_IDS, SEQUENCES_PLACES, SEQUENCES_LENGTHS, SEQUENCES_COLUMNS };
static const char *const sequences_tags[] = {"IDS", "PLACES", "LENGTHS"};

static sonde_status sequences_put_column(const sonde_token_sampler *sampler, sonde__sequence *const *sorted,
                                         sonde__writer *writer, int column)
{
    SONDE_TRY(sonde__write_begin(writer, sequences_tags[column], sizeof(int64_t)));
    for (int64_t i = 0; i < sampler->sequences.count; i++) {
        int64_t numbers[] = {sorted[i]->id, sorted[i]->place, sequence_kept(sampler, sorted[i])};
        SONDE_TRY(sonde__write_append(writer, &numbers[column], sizeof numbers[column]));
    }
    return sonde__write_end(writer);
}

static sonde_status sequences_put(const sonde_token_sampler *sampler, sonde__sequence *const *sorted,
                                  sonde__writer *writer)
{
    int64_t count = sampler->sequences.count, memory = sequence_memory(sampler);
    for (int column = 0; column < SEQUENCES_COLUMNS; column++)
        SONDE_TRY(sequences_put_column(sampler, sorted, writer, column));
    SONDE_TRY(sonde__write_begin(writer, "PAST", sizeof(int32_t)));
    for (int64_t i = 0; i < count; i++) {
        int64_t kept = sequence_kept(sampler, sorted[i]);
        if (kept)
            SONDE_TRY(sonde__write_append(writer, sorted[i]->past + (sorted[i]->length - kept),
                                          (uint64_t)kept * sizeof(int32_t)));
    }
    SONDE_TRY(sonde__write_end(writer));
    SONDE_TRY(sonde__write_begin(writer, "MEMORY", sizeof(double)));
    for (int64_t i = 0; i < count; i++)
        SONDE_TRY(sonde__write_append(writer, sorted[i]->memory, (uint64_t)memory * sizeof(double)));
    return sonde__write_end(writer);
}

sonde_status sonde__sequences_save(const sonde_token_sampler *sampler, sonde__writer *writer)
{
    const sonde__sequences *table = &sampler->sequences;
    sonde__sequence **sorted;
    int64_t found = 0;
    SONDE_TRY(SONDE_NEW(sampler->runtime, sorted, table->count));
    for (int64_t i = 0; i < table->capacity; i++)
        if (table->slots[i]) sorted[found++] = table->slots[i];
    qsort(sorted, (size_t)found, sizeof *sorted, sequences_by_id);
    sonde_status status = sequences_put(sampler, sorted, writer);
    sonde__free(sampler->runtime, sorted);
    return status;
}

/* The sections of a file. */
typedef struct sequences_file {
    sonde__blob ids, places, lengths, past, memory;
    uint64_t count, past_count;
} sequences_file;

static void sequences_close(sonde_runtime *runtime, sequences_file *file)
{
    sonde__blob_free(runtime, &file->ids);
    sonde__blob_free(runtime, &file->places);
    sonde__blob_free(runtime, &file->lengths);
    sonde__blob_free(runtime, &file->past);
    sonde__blob_free(runtime, &file->memory);
}

static sonde_status sequences_read(const sonde_token_sampler *sampler, sonde__reader *reader, sequences_file *file)
{
    uint64_t memory = (uint64_t)sequence_memory(sampler);
    SONDE_TRY(sonde__read_count(reader, "IDS", sizeof(int64_t), &file->count));
    SONDE_TRY(sonde__read_count(reader, "PAST", sizeof(int32_t), &file->past_count));
    SONDE_TRY(sonde__read_array(reader, "IDS", file->count, sizeof(int64_t), true, &file->ids));
    SONDE_TRY(sonde__read_array(reader, "PLACES", file->count, sizeof(int64_t), true, &file->places));
    SONDE_TRY(sonde__read_array(reader, "LENGTHS", file->count, sizeof(int64_t), true, &file->lengths));
    SONDE_TRY(sonde__read_array(reader, "PAST", file->past_count, sizeof(int32_t), true, &file->past));
    return sonde__read_array(reader, "MEMORY", file->count * memory, sizeof(double), true, &file->memory);
}

/* Ids ascend, pasts fill their section, tokens are of the vocabulary, memories are finite. */
static sonde_status sequences_check(const sonde_token_sampler *sampler, const sequences_file *file)
{
    const int64_t *ids = file->ids.data, *places = file->places.data, *lengths = file->lengths.data;
    const int32_t *past = file->past.data;
    const double *memory = file->memory.data;
    uint64_t left = file->past_count;
    for (uint64_t i = 0; i < file->count; i++) {
        if (ids[i] < 0 || (i && ids[i] <= ids[i - 1]) || places[i] < 0 || places[i] > SONDE__MAX_ROWS ||
            lengths[i] < 0 || (uint64_t)lengths[i] > left || lengths[i] > places[i])
            return sonde__fail(SONDE_CORRUPT, "sequence %llu of the file has impossible numbers",
                               (unsigned long long)i);
        left -= (uint64_t)lengths[i];
    }
    if (left) return sonde__fail(SONDE_CORRUPT, "section \"PAST\": more tokens than the sequences have");
    for (uint64_t i = 0; i < file->past_count; i++)
        if (past[i] < 0 || past[i] >= sampler->vocabulary)
            return sonde__fail(SONDE_CORRUPT, "section \"PAST\": token %d is outside the vocabulary", past[i]);
    for (uint64_t i = 0; i < file->count * (uint64_t)sequence_memory(sampler); i++)
        if (!isfinite(memory[i]))
            return sonde__fail(SONDE_CORRUPT, "section \"MEMORY\": number %llu is not finite", (unsigned long long)i);
    return SONDE_OK;
}

static sonde_status sequences_take(sonde_token_sampler *sampler, const sequences_file *file)
{
    const int64_t *ids = file->ids.data, *places = file->places.data, *lengths = file->lengths.data;
    const int32_t *past = file->past.data;
    const double *memory = file->memory.data;
    int64_t each = sequence_memory(sampler);
    for (uint64_t i = 0; i < file->count; i++) {
        sonde__sequence *sequence;
        SONDE_TRY(sonde__sequence_at(sampler, ids[i], &sequence));
        SONDE_TRY(sonde__sequence_reserve(sampler, sequence, lengths[i]));
        sonde__sequence_append(sampler, sequence, past, lengths[i]);
        sequence->place = places[i];
        for (int64_t m = 0; m < each; m++) sequence->memory[m] = *memory++;
        past += lengths[i];
    }
    return SONDE_OK;
}

sonde_status sonde__sequences_load(sonde_token_sampler *sampler, sonde__reader *reader)
{
    sequences_file file = {0};
    sonde_status status = sequences_read(sampler, reader, &file);
    if (status == SONDE_OK) status = sequences_check(sampler, &file);
    if (status == SONDE_OK) status = sequences_take(sampler, &file);
    sequences_close(sampler->runtime, &file);
    return status;
}
