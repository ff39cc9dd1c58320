/* trie.c: the handle over sequences that name documents: adding, asking, masks for a decoder, files.
 *
 * Problem: sequence models generate document ids code by code; only ids that exist may come out, and each
 * must lead to its documents.
 * Idea: a sorted trie that does not change (trie_parts.c), and a second small one
 * for documents added lately; a call looks into both. When the second has 10 % of the documents, both become
 * one. Equal sequences keep their documents in the order of adding: those of the first part are the older
 * ones.
 *
 * A file holds the documents in order as plain rows, so that the state of the parts leaves no trace in it:
 *
 *     SEQUENCE  count x length i32, padded with -1, ascending     ID  count i64
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "base/handle.h"
#include "quantizers/trie_parts.h"

enum { TRIE_MERGE_SHARE = 10, TRIE_MASK_GRAIN = 16 };

static const sonde__key trie_keys[] = {
    {"codes", SONDE__KEY_INT, "2147483647", 1, 2147483647, NULL, NULL,
     "one more than the largest code that add accepts"},
    {"duplicates", SONDE__KEY_WORD, "keep", 0, 0, "keep|refuse", NULL,
     "whether a sequence may have several documents"},
    {0},
};
static const sonde__method trie_method = {"trie",
                                          "sequences that name documents, for decoders that generate ids",
                                          "Fredkin: Trie memory (CACM 1960)",
                                          trie_keys,
                                          NULL,
                                          NULL,
                                          NULL};
static const sonde__method *const trie_methods[] = {&trie_method, NULL};
static const sonde__key trie_common[] = {{0}};
const sonde__noun sonde__trie_noun = {"trie", trie_common, trie_methods};

/* ---- making and freeing ---------------------------------------------------------------------------------------- */

sonde_status sonde_trie_create(const char *spec, int64_t length, sonde_runtime *runtime, sonde_trie **trie)
{
    sonde__handle_parts parts;
    if (!trie) return sonde__fail(SONDE_INVALID_ARGUMENT, "create: the place for the trie is NULL");
    SONDE_TRY(sonde__handle_width("length", length, 1, SONDE__MAX_DIM));
    SONDE_TRY(sonde__handle_begin(&sonde__trie_noun, spec, runtime, sizeof **trie, &parts));
    sonde_trie *made = parts.memory;
    made->runtime = parts.runtime;
    made->params = parts.params;
    made->length = length;
    made->codes = sonde__param_int(parts.params, "codes");
    made->refuses = sonde__param_is(parts.params, "duplicates", "refuse");
    *trie = made;
    return SONDE_OK;
}

static sonde__handle_parts trie_handle(const sonde_trie *trie)
{
    return (sonde__handle_parts){trie->runtime, trie->params, (void *)trie};
}

void sonde_trie_free(sonde_trie *trie)
{
    if (!trie) return;
    sonde__handle_parts parts = trie_handle(trie);
    for (int p = 0; p < SONDE__TRIE_PARTS; p++) sonde__trie_part_drop(trie->runtime, &trie->part[p]);
    sonde__handle_end(&parts);
}

int64_t sonde_trie_count(const sonde_trie *trie)
{
    return trie ? trie->part[0].rows + trie->part[1].rows : 0;
}

int64_t sonde_trie_length(const sonde_trie *trie)
{
    return trie ? trie->length : 0;
}

const char *sonde_trie_spec(const sonde_trie *trie)
{
    return trie ? sonde__params_text(trie->params) : "";
}

/* ---- adding ---------------------------------------------------------------------------------------------------- */

/* A sequence: codes in range, then nothing but padding. */
static sonde_status trie_check_sequence(const sonde_trie *trie, const int32_t *sequence, int64_t cols,
                                        const char *what, int64_t row)
{
    int64_t count = 0;
    while (count < cols && sequence[count] >= 0 && sequence[count] < trie->codes) count++;
    if (count < cols && sequence[count] != -1)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: row %lld has the code %d, codes are 0..%lld", what,
                           (long long)row, (int)sequence[count], (long long)trie->codes - 1);
    for (int64_t j = count; j < cols; j++)
        if (sequence[j] != -1)
            return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: row %lld has -1 before the code %d", what,
                               (long long)row, (int)sequence[j]);
    if (count == 0)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: row %lld has no code", what, (long long)row);
    return SONDE_OK;
}

static bool trie_row_before(const void *context, int64_t a, int64_t b)
{
    const sonde__trie_rows *rows = context;
    return sonde__trie_compare(rows->sequence + a * rows->length, rows->sequence + b * rows->length,
                               rows->length) < 0;
}

/* Rows of a part, in order, from rows in any order. */
static sonde_status trie_sorted(sonde_runtime *runtime, const sonde__trie_rows *given,
                                sonde__trie_rows *sorted)
{
    int64_t *order = NULL, *spare = NULL, length = given->length;
    sonde_status status = SONDE_NEW(runtime, order, given->count);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, spare, given->count);
    if (status == SONDE_OK) status = sonde__trie_rows_create(runtime, given->count, length, sorted);
    if (status == SONDE_OK) {
        for (int64_t i = 0; i < given->count; i++) order[i] = i;
        sonde__trie_sort(order, spare, given->count, trie_row_before, given);
        for (int64_t i = 0; i < given->count; i++) {
            memcpy(sorted->sequence + i * length, given->sequence + order[i] * length,
                   (size_t)length * sizeof *sorted->sequence);
            sorted->id[i] = given->id[order[i]];
        }
    }
    sonde__free(runtime, order);
    sonde__free(runtime, spare);
    return status;
}

/* Checked rows as wide as the trie. */
static sonde_status trie_take_rows(const sonde_trie *trie, const sonde_array *sequences, const int64_t *ids,
                                   sonde__trie_rows *rows)
{
    int64_t next = sonde_trie_count(trie), length = trie->length;
    SONDE_TRY(sonde__trie_rows_create(trie->runtime, sequences->rows, length, rows));
    memset(rows->sequence, -1, (size_t)(rows->count * length) * sizeof *rows->sequence);
    for (int64_t i = 0; i < rows->count; i++) {
        int32_t *own = rows->sequence + i * length;
        memcpy(own, sonde__array_row(sequences, i), (size_t)sequences->cols * sizeof *own);
        rows->id[i] = ids ? ids[i] : next + i;
        sonde_status status = trie_check_sequence(trie, own, length, "add: sequences", i);
        if (status == SONDE_OK && i % 4096 == 0)
            status = sonde__poll(trie->runtime, NULL, (uint64_t)i, (uint64_t)rows->count);
        if (status == SONDE_OK) continue;
        sonde__trie_rows_drop(trie->runtime, rows);
        return status;
    }
    return SONDE_OK;
}

/* Sorted rows must differ from each other and from what is stored. */
static sonde_status trie_check_new(const sonde_trie *trie, const sonde__trie_rows *sorted)
{
    for (int64_t i = 0; trie->refuses && i < sorted->count; i++) {
        const int32_t *own = sorted->sequence + i * sorted->length;
        int64_t stored = 0, codes = 0;
        while (codes < sorted->length && own[codes] >= 0) codes++;
        SONDE_TRY(sonde_trie_lookup(trie, own, codes, NULL, 0, &stored));
        bool twice = i > 0 && sonde__trie_compare(own - sorted->length, own, sorted->length) == 0;
        if (stored > 0 || twice)
            return sonde__fail(SONDE_INVALID_ARGUMENT,
                               "add: the sequence of id %lld has a document already (duplicates=refuse)",
                               (long long)sorted->id[i]);
    }
    return SONDE_OK;
}

/* The lately added part with `sorted` in it; or everything, where that part has grown large. *whole tells
 * which. */
static sonde_status trie_grow(const sonde_trie *trie, const sonde__trie_rows *sorted, bool *whole,
                              sonde__trie_part *grown)
{
    sonde_runtime *runtime = trie->runtime;
    sonde__trie_part fresh = {0, 0, NULL, NULL, -1};
    sonde__trie_rows rows = {0, 0, NULL, NULL};
    int64_t small = trie->part[1].rows + sorted->count;
    SONDE_TRY(sonde__trie_part_build(runtime, sorted, &fresh));
    sonde_status status = sonde__trie_parts_rows(runtime, &trie->part[1], &fresh, trie->length, &rows);
    sonde__trie_part_drop(runtime, &fresh);
    if (status == SONDE_OK) status = sonde__trie_part_build(runtime, &rows, grown);
    sonde__trie_rows_drop(runtime, &rows);
    *whole = small * TRIE_MERGE_SHARE >= sonde_trie_count(trie) + sorted->count;
    if (status != SONDE_OK || !*whole) return status;
    fresh = *grown;
    status = sonde__trie_parts_rows(runtime, &trie->part[0], &fresh, trie->length, &rows);
    sonde__trie_part_drop(runtime, &fresh);
    if (status == SONDE_OK) status = sonde__trie_part_build(runtime, &rows, grown);
    sonde__trie_rows_drop(runtime, &rows);
    return status;
}

static sonde_status trie_add_rows(sonde_trie *trie, const sonde__trie_rows *given)
{
    sonde__trie_rows sorted = {0, 0, NULL, NULL};
    sonde__trie_part grown = {0, 0, NULL, NULL, -1};
    bool whole = false;
    sonde_status status = trie_sorted(trie->runtime, given, &sorted);
    if (status == SONDE_OK) status = trie_check_new(trie, &sorted);
    if (status == SONDE_OK) status = trie_grow(trie, &sorted, &whole, &grown);
    sonde__trie_rows_drop(trie->runtime, &sorted);
    if (status != SONDE_OK) return status;
    for (int p = whole ? 0 : 1; p < SONDE__TRIE_PARTS; p++)
        sonde__trie_part_drop(trie->runtime, &trie->part[p]);
    trie->part[whole ? 0 : 1] = grown;
    return SONDE_OK;
}

sonde_status sonde_trie_add(sonde_trie *trie, const sonde_array *sequences, const int64_t *ids)
{
    sonde_array checked;
    sonde__trie_rows given;
    if (!trie) return sonde__fail(SONDE_INVALID_ARGUMENT, "add: the trie is NULL");
    SONDE_TRY(
        sonde__array_check(sequences, "add: sequences", 0, SONDE__DTYPE_BIT(SONDE_DTYPE_I32), &checked));
    if (checked.cols > trie->length)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "add: sequences have %lld columns, the trie takes up to %lld",
                           (long long)checked.cols, (long long)trie->length);
    if (checked.rows > SONDE__TRIE_ROWS_MOST - sonde_trie_count(trie))
        return sonde__fail(SONDE_LIMIT, "add: a trie holds at most %lld documents",
                           (long long)SONDE__TRIE_ROWS_MOST);
    if (checked.rows == 0) return SONDE_OK;
    SONDE_TRY(trie_take_rows(trie, &checked, ids, &given));
    sonde_status status = trie_add_rows(trie, &given);
    sonde__trie_rows_drop(trie->runtime, &given);
    return status;
}

/* ---- asking ---------------------------------------------------------------------------------------------------- */

static sonde_status trie_asked(const sonde_trie *trie, const int32_t *codes, int64_t length, const char *verb)
{
    if (!trie) return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: the trie is NULL", verb);
    if (length < 0 || (length > 0 && !codes))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: the codes are NULL, or their number %lld is negative",
                           verb, (long long)length);
    return SONDE_OK;
}

static sonde__trie_place trie_find(const sonde_trie *trie, const int32_t *codes, int64_t length)
{
    sonde__trie_place place = sonde__trie_start();
    for (int64_t j = 0; j < length; j++) place = sonde__trie_follow(trie, place, codes[j]);
    return place;
}

sonde_status sonde_trie_children(const sonde_trie *trie, const int32_t *prefix, int64_t prefix_length,
                                 int32_t *codes, int64_t capacity, int64_t *count)
{
    SONDE_TRY(trie_asked(trie, prefix, prefix_length, "children"));
    if (!count || capacity < 0 || (capacity > 0 && !codes))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "children: %s", count ? "codes is NULL" : "count is NULL");
    *count = 0;
    if (prefix_length >= trie->length) return SONDE_OK;
    sonde__trie_walk walk = sonde__trie_walk_start(trie, trie_find(trie, prefix, prefix_length));
    for (int32_t code; sonde__trie_walk_next(&walk, &code, NULL); ++*count)
        if (*count < capacity) codes[*count] = code;
    return SONDE_OK;
}

sonde_status sonde_trie_lookup(const sonde_trie *trie, const int32_t *sequence, int64_t sequence_length,
                               int64_t *ids, int64_t capacity, int64_t *count)
{
    SONDE_TRY(trie_asked(trie, sequence, sequence_length, "lookup"));
    if (!count || capacity < 0 || (capacity > 0 && !ids))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "lookup: %s", count ? "ids is NULL" : "count is NULL");
    *count = 0;
    if (sequence_length > trie->length) return SONDE_OK;
    sonde__trie_place place = trie_find(trie, sequence, sequence_length);
    for (int p = 0; p < SONDE__TRIE_PARTS; p++) {
        int64_t first, last;
        sonde__trie_ends(&trie->part[p], place.node[p], &first, &last);
        for (; first < last; first++, ++*count)
            if (*count < capacity) ids[*count] = trie->part[p].id[first];
    }
    return SONDE_OK;
}

/* ---- masks ----------------------------------------------------------------------------------------------------- */

struct trie_masking {
    const sonde_trie *trie;
    sonde_array prefixes, logits;
    int64_t end;
};

/* Keeps what can follow in a copy of the row, which need not be aligned. */
static void trie_mask_row(const struct trie_masking *m, int64_t row, int32_t *prefix, float *kept)
{
    const sonde_trie *trie = m->trie;
    uint8_t *logits = (uint8_t *)m->logits.data + row * m->logits.stride;
    int64_t cols = m->prefixes.cols, vocabulary = m->logits.cols, length = 0, id;
    memcpy(prefix, sonde__array_row(&m->prefixes, row), (size_t)cols * sizeof *prefix);
    while (length < cols && prefix[length] >= 0) length++;
    for (int64_t c = 0; c < vocabulary; c++) kept[c] = -INFINITY;
    sonde__trie_place place = trie_find(trie, prefix, length);
    if (length < trie->length) {
        sonde__trie_walk walk = sonde__trie_walk_start(trie, place);
        for (int32_t code; sonde__trie_walk_next(&walk, &code, NULL) && code < vocabulary;)
            memcpy(kept + code, logits + code * (int64_t)sizeof *kept, sizeof *kept);
    }
    if (m->end >= 0 && sonde__trie_ending(trie, place, &id) > 0)
        memcpy(kept + m->end, logits + m->end * (int64_t)sizeof *kept, sizeof *kept);
    memcpy(logits, kept, (size_t)vocabulary * sizeof *kept);
}

static sonde_status trie_mask_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct trie_masking *m = context;
    sonde__scratch *scratch = NULL;
    int32_t *prefix = NULL;
    float *kept = NULL;
    (void)worker;
    SONDE_TRY(sonde__scratch_take(m->trie->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, prefix, m->prefixes.cols);
    if (status == SONDE_OK) status = SONDE_SCRATCH(scratch, kept, m->logits.cols);
    for (int64_t i = begin; status == SONDE_OK && i < end; i++) trie_mask_row(m, i, prefix, kept);
    sonde__scratch_give(m->trie->runtime, scratch);
    return status;
}

sonde_status sonde_trie_mask(const sonde_trie *trie, const sonde_array *prefixes, int64_t end,
                             sonde_array *logits)
{
    struct trie_masking m = {.trie = trie, .end = end};
    if (!trie) return sonde__fail(SONDE_INVALID_ARGUMENT, "mask: the trie is NULL");
    SONDE_TRY(
        sonde__array_check(prefixes, "mask: prefixes", 0, SONDE__DTYPE_BIT(SONDE_DTYPE_I32), &m.prefixes));
    SONDE_TRY(sonde__array_check(logits, "mask: logits", 0, SONDE__DTYPE_BIT(SONDE_DTYPE_F32), &m.logits));
    if (m.prefixes.rows != m.logits.rows)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "mask: prefixes have %lld rows, logits %lld",
                           (long long)m.prefixes.rows, (long long)m.logits.rows);
    if (end < -1 || end >= m.logits.cols)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "mask: end=%lld is no column of logits, which have %lld; -1 = none",
                           (long long)end, (long long)m.logits.cols);
    return sonde__parallel_for(trie->runtime, 0, m.prefixes.rows, TRIE_MASK_GRAIN, NULL, trie_mask_chunk, &m);
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

static sonde_status trie_put(const void *handle, sonde__writer *writer)
{
    const sonde_trie *trie = handle;
    sonde__trie_rows rows = {0, 0, NULL, NULL};
    SONDE_TRY(sonde__write_int(writer, "length", trie->length));
    SONDE_TRY(sonde__write_int(writer, "count", sonde_trie_count(trie)));
    SONDE_TRY(sonde__trie_parts_rows(trie->runtime, &trie->part[0], &trie->part[1], trie->length, &rows));
    sonde_status status = sonde__write_array(writer, "SEQUENCE", rows.sequence,
                                             (uint64_t)(rows.count * rows.length), sizeof *rows.sequence);
    if (status == SONDE_OK)
        status = sonde__write_array(writer, "ID", rows.id, (uint64_t)rows.count, sizeof *rows.id);
    sonde__trie_rows_drop(trie->runtime, &rows);
    return status;
}

/* Rows from a file must be what add accepts, and in order. */
static sonde_status trie_check_rows(const sonde_trie *trie, const sonde__trie_rows *rows)
{
    for (int64_t i = 0; i < rows->count; i++) {
        const int32_t *own = rows->sequence + i * rows->length;
        SONDE_TRY(trie_check_sequence(trie, own, rows->length, "section \"SEQUENCE\"", i));
        int order = i > 0 ? sonde__trie_compare(own - rows->length, own, rows->length) : -1;
        if (order > 0 || (order == 0 && trie->refuses))
            return sonde__fail(SONDE_CORRUPT,
                               "section \"SEQUENCE\": row %lld does not come after the one before",
                               (long long)i);
    }
    return SONDE_OK;
}

static sonde_status trie_read(sonde_trie *trie, sonde__reader *reader, int64_t count)
{
    sonde__blob sequence = {NULL, 0, false}, id = {NULL, 0, false};
    sonde_status status = sonde__read_array(reader, "SEQUENCE", (uint64_t)count * (uint64_t)trie->length,
                                            sizeof(int32_t), false, &sequence);
    if (status == SONDE_OK)
        status = sonde__read_array(reader, "ID", (uint64_t)count, sizeof(int64_t), false, &id);
    if (status == SONDE_OK) {
        sonde__trie_rows rows = {count, trie->length, sequence.data, id.data};
        status = trie_check_rows(trie, &rows);
        if (status == SONDE_INVALID_ARGUMENT) status = sonde__fail_within(SONDE_CORRUPT, "the stored trie");
        if (status == SONDE_OK && count > 0)
            status = sonde__trie_part_build(trie->runtime, &rows, &trie->part[0]);
    }
    sonde__blob_free(trie->runtime, &sequence);
    sonde__blob_free(trie->runtime, &id);
    return status;
}

static sonde_status trie_take(sonde_runtime *runtime, sonde__reader *reader, void **handle)
{
    sonde_trie *trie = NULL;
    int64_t length, count;
    SONDE_TRY(sonde__read_int(reader, "length", 1, SONDE__MAX_DIM, &length));
    SONDE_TRY(sonde__read_int(reader, "count", 0, SONDE__TRIE_ROWS_MOST, &count));
    sonde_status status = sonde_trie_create(sonde__reader_spec(reader), length, runtime, &trie);
    if (status != SONDE_OK) return sonde__handle_from_file(status, &sonde__trie_noun);
    status = trie_read(trie, reader, count);
    if (status == SONDE_OK) *handle = trie;
    else sonde_trie_free(trie);
    return status;
}

static const sonde__handle_class trie_class = {&sonde__trie_noun, trie_put, trie_take};

sonde_status sonde_trie_save(const sonde_trie *trie, const char *path)
{
    if (!trie) return sonde__fail(SONDE_INVALID_ARGUMENT, "save: the trie is NULL");
    sonde__handle_parts parts = trie_handle(trie);
    return sonde__handle_save(&trie_class, trie, &parts, path);
}

sonde_status sonde_trie_open(const char *path, const sonde_open_options *options, sonde_runtime *runtime,
                             sonde_trie **trie)
{
    void *handle = NULL;
    if (!trie) return sonde__fail(SONDE_INVALID_ARGUMENT, "open: the place for the trie is NULL");
    SONDE_TRY(sonde__handle_open(&trie_class, path, options, runtime, &handle));
    *trie = handle;
    return SONDE_OK;
}

sonde_status sonde_trie_save_buffer(const sonde_trie *trie, void *buffer, size_t capacity, size_t *length)
{
    if (!trie) return sonde__fail(SONDE_INVALID_ARGUMENT, "save_buffer: the trie is NULL");
    sonde__handle_parts parts = trie_handle(trie);
    return sonde__handle_save_buffer(&trie_class, trie, &parts, buffer, capacity, length);
}

sonde_status sonde_trie_open_buffer(const void *buffer, size_t length, const sonde_open_options *options,
                                    sonde_runtime *runtime, sonde_trie **trie)
{
    void *handle = NULL;
    if (!trie) return sonde__fail(SONDE_INVALID_ARGUMENT, "open_buffer: the place for the trie is NULL");
    SONDE_TRY(sonde__handle_open_buffer(&trie_class, buffer, length, options, runtime, &handle));
    *trie = handle;
    return SONDE_OK;
}
