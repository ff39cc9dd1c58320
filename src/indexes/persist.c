/* persist.c: an index to a file and back, and the proof of its structure.
 *
 * Sections beside the kind's own: LENGTHS (i64, live rows of each list), IDS (i64, list by list), COL0.. (column
 * bytes in the same order; blocked columns in whole blocks for each list), and CURVE (u32, 8 words a point) if there is
 * one. Removed rows are left out, so the file is always compact and the same content gives the same bytes. Opened files
 * keep each section as one block that the lists' segments point into; mapped, the block is the file itself.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "base/handle.h"
#include "indexes/index.h"
#include "indexes/store.h"

#define CURVE_WORDS 8

/* ---- saving ------------------------------------------------------------------------------------------ */

/* Column -1 stands for the ids. */
static const uint8_t *column_of(const sonde__segment *segment, int column)
{
    return column < 0 ? (const uint8_t *)segment->ids : segment->column[column];
}

static sonde_status append_live(sonde__writer *writer, const sonde__segment *segment, int column, int64_t width)
{
    const uint8_t *data = column_of(segment, column);
    for (int64_t begin = 0; begin < segment->count;) {
        if (sonde__gone(segment, begin)) {
            begin++;
            continue;
        }
        int64_t end = begin + 1;
        while (end < segment->count && !sonde__gone(segment, end)) end++;
        SONDE_TRY(sonde__write_append(writer, data + begin * width, (uint64_t)((end - begin) * width)));
        begin = end;
    }
    return SONDE_OK;
}

/* A blocked column of one list: the live rows of all its segments, blocked anew. block: room for one. */
static sonde_status append_blocked(sonde__writer *writer, const sonde__list *list, int column, int64_t width,
                                   uint8_t *block, uint8_t *row)
{
    int64_t count = 0;
    for (int64_t s = 0; s < list->segments; s++)
        for (int64_t r = 0; r < list->segment[s]->count; r++) {
            if (sonde__gone(list->segment[s], r)) continue;
            if (count == 0) memset(block, 0, (size_t)(SONDE__BLOCK_ROWS * width));
            sonde__column_get(list->segment[s]->column[column], width, r, row);
            sonde__column_put(block, width, count++, row);
            if (count < SONDE__BLOCK_ROWS) continue;
            SONDE_TRY(sonde__write_append(writer, block, (uint64_t)(SONDE__BLOCK_ROWS * width)));
            count = 0;
        }
    return count > 0 ? sonde__write_append(writer, block, (uint64_t)(SONDE__BLOCK_ROWS * width)) : SONDE_OK;
}

static sonde_status append_list(sonde__writer *writer, const sonde_index *index, const sonde__list *list, int column,
                                sonde__scratch *scratch)
{
    int64_t width = column < 0 ? 8 : index->layout.width[column];
    if (column >= 0 && index->layout.blocked[column]) {
        uint8_t *block, *row;
        SONDE_TRY(SONDE_SCRATCH(scratch, block, SONDE__BLOCK_ROWS * width));
        SONDE_TRY(SONDE_SCRATCH(scratch, row, width));
        return append_blocked(writer, list, column, width, block, row);
    }
    for (int64_t s = 0; s < list->segments; s++)
        SONDE_TRY(append_live(writer, list->segment[s], column, width));
    return SONDE_OK;
}

static sonde_status append_lists(sonde__writer *writer, const sonde_index *index, const sonde__snapshot *snapshot,
                                 int column, sonde__scratch *scratch)
{
    for (int64_t l = 0; l < snapshot->lists; l++) {
        sonde__scratch_mark mark = sonde__scratch_here(scratch);
        if (l % 64 == 0)
            SONDE_TRY(sonde__poll(index->runtime, "save", (uint64_t)((column + 1) * snapshot->lists + l),
                                  (uint64_t)((index->layout.columns + 1) * snapshot->lists)));
        SONDE_TRY(append_list(writer, index, snapshot->list[l], column, scratch));
        sonde__scratch_rewind(scratch, mark);
    }
    return SONDE_OK;
}

static sonde_status write_column(sonde__writer *writer, const sonde_index *index, const sonde__snapshot *snapshot,
                                 int column)
{
    char tag[] = "COL0";
    tag[3] = (char)('0' + column);
    sonde__scratch *scratch;
    SONDE_TRY(sonde__write_begin(writer, column < 0 ? "IDS" : tag, column < 0 ? 8 : 1));
    SONDE_TRY(sonde__scratch_take(index->runtime, &scratch));
    sonde_status status = append_lists(writer, index, snapshot, column, scratch);
    sonde__scratch_give(index->runtime, scratch);
    return status == SONDE_OK ? sonde__write_end(writer) : status;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static sonde_status write_curve(sonde__writer *writer, const sonde__snapshot *snapshot)
{
    const sonde__curve *curve = atomic_load(&snapshot->curve);
    if (!curve) return SONDE_OK;
    SONDE_TRY(sonde__write_int(writer, "calibrated_at", curve->calibrated_at));
    SONDE_TRY(sonde__write_int(writer, "calibrated_on", curve->source));
    SONDE_TRY(sonde__write_begin(writer, "CURVE", 4));
    for (int64_t i = 0; i < curve->count; i++) {
        const sonde_operating_point *p = &curve->point[i];
        uint32_t words[CURVE_WORDS] = {p->k,
                                       p->effort,
                                       p->refine,
                                       bits_of(p->recall),
                                       bits_of(p->recall_low),
                                       bits_of(p->recall_p05),
                                       bits_of(p->cost),
                                       bits_of(p->gap)};
        SONDE_TRY(sonde__write_append(writer, words, sizeof words));
    }
    return sonde__write_end(writer);
}

static sonde_status write_rows(sonde__writer *writer, const sonde_index *index, const sonde__snapshot *snapshot)
{
    SONDE_TRY(sonde__write_int(writer, "rows", snapshot->rows - snapshot->removed));
    SONDE_TRY(sonde__write_int(writer, "next_id", snapshot->next_id));
    SONDE_TRY(sonde__write_begin(writer, "LENGTHS", 8));
    for (int64_t l = 0; l < snapshot->lists; l++) {
        int64_t live = snapshot->list[l]->rows - snapshot->list[l]->removed;
        SONDE_TRY(sonde__write_append(writer, &live, sizeof live));
    }
    SONDE_TRY(sonde__write_end(writer));
    for (int c = -1; c < index->layout.columns; c++) SONDE_TRY(write_column(writer, index, snapshot, c));
    return write_curve(writer, snapshot);
}

/* What one search would see: learned parts, rows and curve belong together. */
static sonde_status write_snapshot(sonde__writer *writer, const sonde_index *index, const sonde__snapshot *snapshot)
{
    SONDE_TRY(sonde__write_int(writer, "lists", snapshot->lists));
    if (index->method->save_learned) SONDE_TRY(index->method->save_learned(index, snapshot->learned, writer));
    if (index->method->save) SONDE_TRY(index->method->save(index, writer));
    return write_rows(writer, index, snapshot);
}

static sonde_status index_put(const void *handle, sonde__writer *writer)
{
    const sonde_index *index = handle;
    bool trained = index->trained;
    SONDE_TRY(sonde__write_int(writer, "dim", index->dim));
    SONDE_TRY(sonde__write_int(writer, "trained", trained));
    if (!trained) return SONDE_OK;
    sonde__visit visit = sonde__store_enter(index->store);
    sonde_status status = write_snapshot(writer, index, visit.snapshot);
    sonde__store_leave(index->store, visit);
    return status;
}

/* No take: opening is below, since a mapped index keeps its reader. */
static const sonde__handle_class index_class = {.noun = &sonde__index_noun, .put = index_put};

static sonde__handle_parts index_parts(const sonde_index *index)
{
    return (sonde__handle_parts){.runtime = index->runtime, .params = index->params};
}

sonde_status sonde_index_save(const sonde_index *index, const char *path)
{
    if (!index) return sonde__fail(SONDE_INVALID_ARGUMENT, "save: index is NULL");
    sonde__handle_parts parts = index_parts(index);
    return sonde__handle_save(&index_class, index, &parts, path);
}

sonde_status sonde_index_save_buffer(const sonde_index *index, void *buffer, size_t capacity, size_t *length)
{
    if (!index) return sonde__fail(SONDE_INVALID_ARGUMENT, "save_buffer: index is NULL");
    sonde__handle_parts parts = index_parts(index);
    return sonde__handle_save_buffer(&index_class, index, &parts, buffer, capacity, length);
}

/* ---- opening ----------------------------------------------------------------------------------------- */

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static bool share(float value) { return value >= 0 && value <= 1; }

static sonde_status curve_from(const uint32_t *words, sonde__curve *curve)
{
    for (int64_t i = 0; i < curve->count; i++, words += CURVE_WORDS) {
        sonde_operating_point *p = &curve->point[i];
        *p = (sonde_operating_point){sizeof *p,          words[0],           words[1],           words[2],
                                     float_of(words[3]), float_of(words[4]), float_of(words[5]), float_of(words[6]),
                                     float_of(words[7])};
        bool ordered = i == 0 || p[-1].k < p->k || (p[-1].k == p->k && p[-1].effort <= p->effort);
        if (p->k < 1 || p->effort < 1 || p->effort > SONDE__MAX_LISTS || p->refine > 1000 || !share(p->recall) ||
            !share(p->recall_low) || !share(p->recall_p05) || !share(p->cost) || !(p->gap >= 0) || isinf(p->gap) ||
            !ordered)
            return sonde__fail(SONDE_CORRUPT, "section \"CURVE\": point %lld is out of range", (long long)i);
    }
    return SONDE_OK;
}

static sonde_status read_curve(sonde__reader *reader, sonde_index *index)
{
    if (!sonde__reader_has(reader, "CURVE")) return SONDE_OK;
    uint64_t words;
    int64_t at, source;
    sonde__blob blob;
    SONDE_TRY(sonde__read_int(reader, "calibrated_at", 0, SONDE__MAX_ROWS, &at));
    SONDE_TRY(sonde__read_int(reader, "calibrated_on", 1, 2, &source));
    SONDE_TRY(sonde__read_count(reader, "CURVE", 4, &words));
    if (words % CURVE_WORDS != 0)
        return sonde__fail(SONDE_CORRUPT, "section \"CURVE\": %llu words are no whole points",
                           (unsigned long long)words);
    SONDE_TRY(sonde__read_array(reader, "CURVE", words, 4, true, &blob));
    uint64_t count = words / CURVE_WORDS;
    sonde__curve *curve = sonde__shown_alloc(index->runtime, sizeof *curve + count * sizeof curve->point[0]);
    sonde_status status = SONDE_OK;
    if (curve) {
        *curve = (sonde__curve){.count = (int64_t)count, .calibrated_at = at, .source = (uint32_t)source};
        status = curve_from(blob.data, curve);
        if (status == SONDE_OK) sonde__curve_show(index, curve);
        else sonde__shown_free(index->runtime, curve);
    } else status = sonde__last_status();
    sonde__blob_free(index->runtime, &blob);
    return status;
}

/* Lengths must be non-negative and add up to `rows`. */
static sonde_status check_lengths(const int64_t *lengths, int64_t lists, int64_t rows)
{
    int64_t sum = 0;
    for (int64_t l = 0; l < lists; l++) {
        if (lengths[l] < 0 || lengths[l] > rows - sum)
            return sonde__fail(SONDE_CORRUPT, "section \"LENGTHS\": list %lld has %lld rows, the index %lld",
                               (long long)l, (long long)lengths[l], (long long)rows);
        sum += lengths[l];
    }
    if (sum != rows)
        return sonde__fail(SONDE_CORRUPT, "section \"LENGTHS\": the lists hold %lld rows, the index %lld",
                           (long long)sum, (long long)rows);
    return SONDE_OK;
}

/* Rows of a blocked column: each list begins with a new block. */
static int64_t blocked_rows(const int64_t *lengths, int64_t lists)
{
    int64_t blocks = 0;
    for (int64_t l = 0; l < lists; l++) blocks += (lengths[l] + SONDE__BLOCK_ROWS - 1) / SONDE__BLOCK_ROWS;
    return blocks * SONDE__BLOCK_ROWS;
}

static sonde_status read_columns(sonde__reader *reader, const sonde_index *index, const int64_t *lengths, int64_t rows,
                                 sonde__blob *blobs)
{
    int64_t blocked = blocked_rows(lengths, index->lists);
    SONDE_TRY(sonde__read_array(reader, "IDS", (uint64_t)rows, 8, false, &blobs[0]));
    for (int c = 0; c < index->layout.columns; c++) {
        char tag[] = "COL0";
        tag[3] = (char)('0' + c);
        uint64_t bytes;
        if (__builtin_mul_overflow((uint64_t)(index->layout.blocked[c] ? blocked : rows),
                                   (uint64_t)index->layout.width[c], &bytes))
            return sonde__fail(SONDE_CORRUPT, "section \"%s\": its size overflows", tag);
        SONDE_TRY(sonde__read_array(reader, tag, bytes, 1, false, &blobs[1 + c]));
    }
    return SONDE_OK;
}

/* Blobs that the store has taken over are cleared. */
static sonde_status fill_store(sonde_index *index, const int64_t *lengths, int64_t next_id, sonde__blob *blobs)
{
    sonde__change *change;
    SONDE_TRY(sonde__index_store(index));
    SONDE_TRY(sonde__change_begin(index->store, &change));
    sonde_status status = sonde__change_adopt(change, lengths, next_id, blobs);
    if (status != SONDE_OK) {
        sonde__change_abort(change);
        return status;
    }
    memset(blobs, 0, (1 + SONDE__COLUMNS) * sizeof *blobs);
    return sonde__change_commit(change);
}

static sonde_status read_rows(sonde__reader *reader, sonde_index *index)
{
    int64_t rows, next_id;
    sonde__blob lengths = {0}, blobs[1 + SONDE__COLUMNS] = {0};
    SONDE_TRY(sonde__read_int(reader, "rows", 0, 2 * SONDE__MAX_ROWS, &rows));
    SONDE_TRY(sonde__read_int(reader, "next_id", 0, INT64_MAX, &next_id));
    sonde_status status = sonde__read_array(reader, "LENGTHS", (uint64_t)index->lists, 8, false, &lengths);
    if (status == SONDE_OK) status = check_lengths(lengths.data, index->lists, rows);
    if (status == SONDE_OK) status = read_columns(reader, index, lengths.data, rows, blobs);
    if (status == SONDE_OK) status = fill_store(index, lengths.data, next_id, blobs);
    sonde__blob_free(index->runtime, &lengths);
    if (status != SONDE_OK) /* what the store has not taken over */
        for (int c = 0; c < 1 + SONDE__COLUMNS; c++) sonde__blob_free(index->runtime, &blobs[c]);
    return status;
}

static sonde_status read_index(sonde__reader *reader, sonde_index *index)
{
    int64_t trained, lists;
    SONDE_TRY(sonde__read_int(reader, "trained", 0, 1, &trained));
    if (!trained) return index->trained ? sonde__index_store(index) : SONDE_OK;
    SONDE_TRY(sonde__read_int(reader, "lists", 1, SONDE__MAX_LISTS, &lists));
    if (index->method->load) SONDE_TRY(index->method->load(index, reader));
    if (lists != index->lists)
        return sonde__fail(SONDE_CORRUPT, "the file says %lld lists, its learned parts %lld", (long long)lists,
                           (long long)index->lists);
    SONDE_TRY(read_rows(reader, index));
    SONDE_TRY(read_curve(reader, index));
    atomic_store(&index->trained, true);
    return SONDE_OK;
}

static sonde_status open_reader(sonde__reader *reader, const sonde_open_options *options, sonde_runtime *runtime,
                                sonde_index **index)
{
    int64_t dim;
    sonde_index *made = NULL;
    SONDE_TRY(sonde__read_int(reader, "dim", 1, SONDE__MAX_DIM, &dim));
    sonde_status status = sonde__index_make(sonde__reader_spec(reader), dim, runtime, &made);
    if (status != SONDE_OK) return sonde__handle_from_file(status, &sonde__index_noun);
    status = read_index(reader, made);
    bool full = !options ||
                (options->verify ? options->verify == SONDE_VERIFY_FULL : options->mode != SONDE_OPEN_MMAP);
    if (status == SONDE_OK && full) status = sonde_index_check(made);
    if (status != SONDE_OK) {
        sonde_index_free(made);
        return status;
    }
    *index = made;
    return SONDE_OK;
}

/* path or buffer; `what` names the source in messages. */
static sonde_status open_from(const char *path, const void *buffer, size_t length, const sonde_open_options *options,
                              sonde_runtime *runtime, sonde_index **index)
{
    sonde_runtime *held;
    sonde__reader *reader;
    sonde_index *made = NULL;
    SONDE_TRY(sonde__runtime_hold(runtime, &held));
    sonde_status status = sonde__reader_open(held, path, buffer, length, options, "index", &reader);
    if (status == SONDE_OK) {
        status = open_reader(reader, options, held, &made);
        if (status != SONDE_OK) sonde__fail_within(status, "%s", path);
        if (status == SONDE_OK && sonde__reader_mapped(reader)) {
            made->file = reader;
            if (made->store) made->store->mapped = true;
        } else sonde__reader_close(reader);
    }
    sonde__runtime_drop(held);
    if (status == SONDE_OK) *index = made;
    return status;
}

sonde_status sonde_index_open(const char *path, const sonde_open_options *options, sonde_runtime *runtime,
                              sonde_index **index)
{
    if (!path || !index) return sonde__fail(SONDE_INVALID_ARGUMENT, "open: %s is NULL", path ? "index" : "path");
    return open_from(path, NULL, 0, options, runtime, index);
}

sonde_status sonde_index_open_buffer(const void *buffer, size_t length, const sonde_open_options *options,
                                     sonde_runtime *runtime, sonde_index **index)
{
    if (!buffer || !index)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "open_buffer: %s is NULL", buffer ? "index" : "buffer");
    return open_from("buffer", buffer, length, options, runtime, index);
}

/* ---- the proof --------------------------------------------------------------------------------------- */

static sonde_status check_segment(const sonde_index *index, const sonde__snapshot *snapshot, int64_t l, int64_t s)
{
    const sonde__segment *segment = snapshot->list[l]->segment[s];
    int64_t gone = 0;
    for (int64_t r = 0; r < segment->count; r++) {
        gone += sonde__gone(segment, r);
        int64_t id = snapshot->copies > 1 ? sonde__row_id(segment->ids[r]) : segment->ids[r];
        if (id < 0 || id >= snapshot->next_id)
            return sonde__fail(SONDE_CORRUPT, "list %lld: id %lld is outside 0..%lld", (long long)l, (long long)id,
                               (long long)snapshot->next_id - 1);
    }
    if (segment->count > segment->capacity || gone != segment->removed)
        return sonde__fail(SONDE_CORRUPT, "list %lld, segment %lld: its counts do not agree", (long long)l,
                           (long long)s);
    return index->method->check ? index->method->check(index, segment, l) : SONDE_OK;
}

static sonde_status check_lists(const sonde_index *index, const sonde__snapshot *snapshot)
{
    int64_t rows = 0, removed = 0;
    for (int64_t l = 0; l < snapshot->lists; l++) {
        const sonde__list *list = snapshot->list[l];
        int64_t in_list = 0;
        SONDE_TRY(sonde__poll(index->runtime, "check", (uint64_t)l, (uint64_t)snapshot->lists));
        for (int64_t s = 0; s < list->segments; s++) {
            SONDE_TRY(check_segment(index, snapshot, l, s));
            in_list += list->segment[s]->count;
            removed += list->segment[s]->removed;
        }
        if (in_list != list->rows)
            return sonde__fail(SONDE_CORRUPT, "list %lld holds %lld rows but says %lld", (long long)l,
                               (long long)in_list, (long long)list->rows);
        rows += in_list;
    }
    if (rows != snapshot->rows || removed != snapshot->removed)
        return sonde__fail(SONDE_CORRUPT, "the lists hold %lld rows, the index says %lld", (long long)rows,
                           (long long)snapshot->rows);
    return SONDE_OK;
}

/* Each live row must be the one that a fresh id table finds for its id: no id is twice, and no copy is alone. */
static sonde_status check_unique(const sonde_index *index, const sonde__snapshot *snapshot)
{
    sonde__idmap *map;
    SONDE_TRY(sonde__idmap_build(index->runtime, snapshot, 0, &map));
    int64_t twice = -1;
    for (int64_t l = 0; l < snapshot->lists && twice < 0; l++)
        for (int64_t s = 0; s < snapshot->list[l]->segments && twice < 0; s++) {
            const sonde__segment *segment = snapshot->list[l]->segment[s];
            for (int64_t r = 0; r < segment->count && twice < 0; r++) {
                if (sonde__gone(segment, r)) continue;
                bool alone = snapshot->copies > 1 &&
                             sonde__idmap_find(map, snapshot, ~segment->ids[r]) == SONDE__NOWHERE;
                if (alone || sonde__idmap_find(map, snapshot, segment->ids[r]) != sonde__place_of(l, s, r))
                    twice = sonde__row_id(segment->ids[r]);
            }
        }
    sonde__shown_free(index->runtime, map);
    if (twice < 0) return SONDE_OK;
    return sonde__fail(SONDE_CORRUPT, snapshot->copies > 1 ? "id %lld is not stored exactly once in each of two lists"
                                                           : "id %lld is stored twice", (long long)twice);
}

sonde_status sonde_index_check(const sonde_index *index)
{
    if (!index) return sonde__fail(SONDE_INVALID_ARGUMENT, "check: index is NULL");
    if (!index->trained) return SONDE_OK;
    sonde__visit visit = sonde__store_enter(index->store);
    sonde_status status = check_lists(index, visit.snapshot);
    if (status == SONDE_OK) status = check_unique(index, visit.snapshot);
    sonde__store_leave(index->store, visit);
    return status;
}
