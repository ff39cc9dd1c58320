/* pack.c: several short rows in one line, instead of one padded row a line.
 *
 * Rows are placed from the longest to the shortest, each in a line that has room for it: the first such line
 * (ffd: first fit decreasing, at most 11/9 of the fewest lines possible + 1; Johnson 1973), the line with the
 * least room (best_fit), or the last line only (greedy). A line holds `cap` tokens; batch_max stands for the
 * longest row.
 *
 *   per=batch   a draw takes rows of a shuffled pass (as random does) and packs them: "Dynamic Pack", Lv et
 *               al. 2024
 *   per=epoch   all rows are packed once; each pass goes through the lines in another random order, and a
 *               draw gives whole lines: `batch` of them, or as many as have at most `count` rows together
 *               (the first one is cut if need be)
 *
 * Rows come line by line. groups = the line, from 0 in each draw; the outputs offset and length say where a
 * row lies in it: for attention within rows only, and positions that begin anew.
 *
 * Cost: a tree over the lines for ffd, O(log rows) a row; for best_fit lists of lines by their room, with a
 * map of those that are not empty, O(cap / 64) a row at worst and cap bounded by 2^22. 8 bytes a row (16 with
 * ids), and 12 for per=epoch.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>

#include "rows/rows.h"

enum {
    PACK_STREAM = 0x7241,
    PACK_LENGTH_MOST = INT32_MAX,
    PACK_BEST_MOST = 1 << 22,
    PACK_POLL = 65536,
};

/* Where each row of some is put, in the order of lines. */
struct pack_lines {
    uint32_t *rows;
    int32_t *offsets;
    int64_t *begin; /* of each line in the above; lines + 1 */
    int64_t count, lines, cap;
};

struct pack_rows {
    int64_t count;
    int64_t *lengths, *ids; /* ids NULL: 0 .. count-1 */
    struct pack_lines all;  /* per=epoch */
    uint32_t *order;        /* of the rows (per=batch) or lines in pass `ordered`; -1: none */
    int64_t *starts;        /* per=epoch: rows before each line in that order; lines + 1 */
    int64_t ordered;
};

static void pack_lines_drop(sonde_runtime *runtime, struct pack_lines *lines)
{
    sonde__free(runtime, lines->rows);
    sonde__free(runtime, lines->offsets);
    sonde__free(runtime, lines->begin);
    *lines = (struct pack_lines){0};
}

static void pack_forget(sonde_runtime *runtime, struct pack_rows *rows)
{
    if (!rows) return;
    sonde__free(runtime, rows->lengths);
    sonde__free(runtime, rows->ids);
    sonde__free(runtime, rows->order);
    sonde__free(runtime, rows->starts);
    pack_lines_drop(runtime, &rows->all);
    sonde__free(runtime, rows);
}

static void pack_drop(sonde_row_sampler *sampler) { pack_forget(sampler->runtime, sampler->state); }

static bool pack_whole(const sonde_row_sampler *sampler)
{
    return sonde__param_is(sampler->params, "per", "epoch");
}

static sonde_status pack_create(sonde_row_sampler *sampler)
{
    int64_t cap = sonde__param_int(sampler->params, "cap");
    /* Whole lines, however many rows they have. */
    sampler->batch = pack_whole(sampler) ? SONDE__ROWS_MOST : sonde__param_int(sampler->params, "batch");
    if (cap <= PACK_BEST_MOST || !sonde__param_is(sampler->params, "rule", "best_fit")) return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT, "pack: rule=best_fit takes a cap of at most %d, not %lld",
                       PACK_BEST_MOST, (long long)cap);
}

/* ---- the three rules ----------------------------------------------------------------------------------- */

/* Says for each row, longest first, which line it goes to, and where in it. */
struct pack_job {
    sonde_runtime *runtime;
    sonde__scratch *scratch;
    int64_t count, cap, lines;
    uint64_t *keys; /* what is missing to the longest possible length << 32 | row: ascending */
    uint32_t *line;
    int32_t *offset;
};

static int64_t pack_length(const struct pack_job *job, int64_t i)
{
    return PACK_LENGTH_MOST - (int64_t)(job->keys[i] >> 32);
}

static sonde_status pack_poll(const struct pack_job *job, int64_t done)
{
    if (done % PACK_POLL) return SONDE_OK;
    return sonde__poll(job->runtime, "packing", (uint64_t)done, (uint64_t)job->count);
}

static sonde_status pack_greedy(struct pack_job *job)
{
    int64_t used = job->cap;
    for (int64_t i = 0; i < job->count; i++) {
        SONDE_TRY(pack_poll(job, i));
        if (used + pack_length(job, i) > job->cap) {
            job->lines++;
            used = 0;
        }
        job->line[i] = (uint32_t)(job->lines - 1);
        job->offset[i] = (int32_t)used;
        used += pack_length(job, i);
    }
    return SONDE_OK;
}

/* A tree whose leaves are the rooms of the lines, opened or not, and whose nodes hold the most room below. */
static sonde_status pack_first_fit(struct pack_job *job)
{
    int64_t leaves = 1;
    int32_t *room;
    while (leaves < job->count) leaves *= 2;
    SONDE_TRY(SONDE_SCRATCH(job->scratch, room, 2 * leaves));
    for (int64_t i = 1; i < 2 * leaves; i++) room[i] = (int32_t)job->cap;
    for (int64_t i = 0; i < job->count; i++) {
        int64_t at = 1, length = pack_length(job, i);
        SONDE_TRY(pack_poll(job, i));
        while (at < leaves) at = 2 * at + (room[2 * at] < length);
        job->line[i] = (uint32_t)(at - leaves);
        job->offset[i] = (int32_t)job->cap - room[at];
        job->lines = sonde__max_i64(job->lines, at - leaves + 1);
        room[at] -= (int32_t)length;
        for (at /= 2; at >= 1; at /= 2)
            room[at] = room[2 * at] > room[2 * at + 1] ? room[2 * at] : room[2 * at + 1];
    }
    return SONDE_OK;
}

/* Lines by their room: a list for each room, and a bit for each list that is not empty. */
struct pack_rooms {
    int64_t words;
    uint64_t *some;
    uint32_t *head, *next; /* line + 1; 0 = end */
};

static void pack_rooms_add(struct pack_rooms *rooms, int64_t room, uint32_t line)
{
    rooms->next[line] = rooms->head[room];
    rooms->head[room] = line + 1;
    rooms->some[room / 64] |= (uint64_t)1 << room % 64;
}

/* The least room of `length` or more; -1: none. */
static int64_t pack_rooms_least(const struct pack_rooms *rooms, int64_t length)
{
    int64_t word = length / 64;
    uint64_t bits = rooms->some[word] & UINT64_MAX << length % 64;
    while (!bits && ++word < rooms->words) bits = rooms->some[word];
    return bits ? 64 * word + __builtin_ctzll(bits) : -1;
}

static uint32_t pack_rooms_take(struct pack_rooms *rooms, int64_t room)
{
    uint32_t line = rooms->head[room] - 1;
    rooms->head[room] = rooms->next[line];
    if (!rooms->head[room]) rooms->some[room / 64] &= ~((uint64_t)1 << room % 64);
    return line;
}

static sonde_status pack_best_fit(struct pack_job *job)
{
    struct pack_rooms rooms = {.words = job->cap / 64 + 1};
    SONDE_TRY(SONDE_SCRATCH(job->scratch, rooms.some, rooms.words));
    SONDE_TRY(SONDE_SCRATCH(job->scratch, rooms.head, job->cap + 1));
    SONDE_TRY(SONDE_SCRATCH(job->scratch, rooms.next, job->count));
    memset(rooms.some, 0, (size_t)rooms.words * sizeof *rooms.some);
    memset(rooms.head, 0, (size_t)(job->cap + 1) * sizeof *rooms.head);
    for (int64_t i = 0; i < job->count; i++) {
        SONDE_TRY(pack_poll(job, i));
        int64_t length = pack_length(job, i), room = pack_rooms_least(&rooms, length);
        job->line[i] = room < 0 ? (uint32_t)job->lines++ : pack_rooms_take(&rooms, room);
        if (room < 0) room = job->cap;
        job->offset[i] = (int32_t)(job->cap - room);
        pack_rooms_add(&rooms, room - length, job->line[i]);
    }
    return SONDE_OK;
}

/* ---- packing ------------------------------------------------------------------------------------------- */

static int pack_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Brings what the job placed in the order of lines. */
static sonde_status pack_collect(const struct pack_job *job, struct pack_lines *packed)
{
    *packed = (struct pack_lines){.count = job->count, .lines = job->lines, .cap = job->cap};
    sonde_status status = SONDE_NEW(job->runtime, packed->rows, job->count);
    if (status == SONDE_OK) status = SONDE_NEW(job->runtime, packed->offsets, job->count);
    if (status == SONDE_OK) status = SONDE_NEW_ZERO(job->runtime, packed->begin, job->lines + 2);
    if (status != SONDE_OK) {
        pack_lines_drop(job->runtime, packed);
        return status;
    }
    int64_t *next = packed->begin + 1; /* ends one place up, where the next line begins */
    for (int64_t i = 0; i < job->count; i++) next[job->line[i] + 1]++;
    for (int64_t line = 1; line <= job->lines; line++) next[line] += next[line - 1];
    for (int64_t i = 0; i < job->count; i++) {
        int64_t at = next[job->line[i]]++;
        packed->rows[at] = (uint32_t)job->keys[i];
        packed->offsets[at] = job->offset[i];
    }
    return SONDE_OK;
}

static sonde_status pack_place(const sonde_row_sampler *sampler, struct pack_job *job)
{
    if (sonde__param_is(sampler->params, "rule", "ffd")) return pack_first_fit(job);
    if (sonde__param_is(sampler->params, "rule", "greedy")) return pack_greedy(job);
    if (job->cap <= PACK_BEST_MOST) return pack_best_fit(job);
    return sonde__fail(SONDE_INVALID_ARGUMENT,
                       "pack: rule=best_fit takes rows of at most %d tokens, not %lld", PACK_BEST_MOST,
                       (long long)job->cap);
}

/* Packs the rows chosen[0..count), or all if chosen is NULL. */
static sonde_status pack_sorted(const sonde_row_sampler *sampler, const struct pack_rows *rows,
                                const uint32_t *chosen, struct pack_job *job, struct pack_lines *packed)
{
    int64_t cap = sonde__param_int(sampler->params, "cap");
    SONDE_TRY(SONDE_SCRATCH(job->scratch, job->keys, job->count));
    SONDE_TRY(SONDE_SCRATCH(job->scratch, job->line, job->count));
    SONDE_TRY(SONDE_SCRATCH(job->scratch, job->offset, job->count));
    for (int64_t i = 0; i < job->count; i++) {
        uint32_t row = chosen ? chosen[i] : (uint32_t)i;
        job->keys[i] = (uint64_t)(PACK_LENGTH_MOST - rows->lengths[row]) << 32 | row;
    }
    qsort(job->keys, (size_t)job->count, sizeof *job->keys, pack_compare);
    job->cap = cap ? cap : job->count ? pack_length(job, 0) : 1;
    SONDE_TRY(pack_place(sampler, job));
    return pack_collect(job, packed);
}

static sonde_status pack_some(const sonde_row_sampler *sampler, const struct pack_rows *rows,
                              const uint32_t *chosen, int64_t count, struct pack_lines *packed)
{
    struct pack_job job = {.runtime = sampler->runtime, .count = count};
    SONDE_TRY(sonde__scratch_take(sampler->runtime, &job.scratch));
    sonde_status status = pack_sorted(sampler, rows, chosen, &job, packed);
    sonde__scratch_give(sampler->runtime, job.scratch);
    return status;
}

/* ---- fitting ------------------------------------------------------------------------------------------- */

static sonde_status pack_check_cap(const sonde_row_sampler *sampler, const struct pack_rows *rows)
{
    int64_t cap = sonde__param_int(sampler->params, "cap");
    for (int64_t i = 0; cap && i < rows->count; i++)
        if (rows->lengths[i] > cap)
            return sonde__fail(SONDE_INVALID_ARGUMENT, "fit: lengths: row %lld holds %lld, above cap=%lld",
                               (long long)i, (long long)rows->lengths[i], (long long)cap);
    return SONDE_OK;
}

/* Makes `rows` the state, or frees it. */
static sonde_status pack_adopt(sonde_row_sampler *sampler, struct pack_rows *rows)
{
    rows->ordered = -1;
    sonde_status status = pack_check_cap(sampler, rows);
    if (status == SONDE_OK && pack_whole(sampler))
        status = pack_some(sampler, rows, NULL, rows->count, &rows->all);
    if (status == SONDE_OK) {
        int64_t units = pack_whole(sampler) ? rows->all.lines : rows->count;
        status = SONDE_NEW(sampler->runtime, rows->order, units);
    }
    if (status == SONDE_OK && pack_whole(sampler))
        status = SONDE_NEW(sampler->runtime, rows->starts, rows->all.lines + 1);
    if (status != SONDE_OK) {
        pack_forget(sampler->runtime, rows);
        return status;
    }
    pack_forget(sampler->runtime, sampler->state);
    sampler->state = rows;
    return SONDE_OK;
}

static sonde_status pack_fit(sonde_row_sampler *sampler, const sonde_array *const *inputs)
{
    struct pack_rows *rows;
    int64_t count = inputs[0]->rows;
    SONDE_TRY(sonde__rows_fit_check("lengths", count, 1));
    SONDE_TRY(SONDE_NEW_ZERO(sampler->runtime, rows, 1));
    rows->count = count;
    sonde_status status = sonde__column_i64(sampler->runtime, inputs[0], "fit: lengths", -1, 1,
                                            PACK_LENGTH_MOST, &rows->lengths);
    if (status == SONDE_OK && inputs[1])
        status = sonde__column_i64(sampler->runtime, inputs[1], "fit: ids", count, 0, INT64_MAX, &rows->ids);
    if (status == SONDE_OK) return pack_adopt(sampler, rows);
    pack_forget(sampler->runtime, rows);
    return status;
}

/* ---- drawing ------------------------------------------------------------------------------------------- */

/* The order of the current pass. */
static void pack_order(const sonde_row_sampler *sampler, struct pack_rows *rows)
{
    int64_t units = pack_whole(sampler) ? rows->all.lines : rows->count, sum = 0;
    if (rows->ordered == sampler->pass) return;
    sonde__rows_permute(sampler, sampler->pass, PACK_STREAM, units, rows->order);
    rows->ordered = sampler->pass;
    if (!rows->starts) return;
    for (int64_t i = 0; i < units; i++) {
        rows->starts[i] = sum;
        sum += rows->all.begin[rows->order[i] + 1] - rows->all.begin[rows->order[i]];
    }
    rows->starts[units] = sum;
}

struct pack_columns {
    int64_t *offset, *length, *lines; /* lines: how many, and their cap */
};

static sonde_status pack_begin(sonde_row_sampler *sampler, int64_t count, struct pack_columns *columns)
{
    SONDE_TRY(sonde__rows_begin(sampler, count, true));
    SONDE_TRY(sonde__rows_column(sampler, "offset", count, 1, &columns->offset));
    SONDE_TRY(sonde__rows_column(sampler, "length", count, 1, &columns->length));
    return sonde__rows_column(sampler, "lines", 1, 2, &columns->lines);
}

/* Writes rows [from, to) of the packed lines out as rows of line `line` of the draw, from place `at` on. */
static void pack_write(sonde_row_sampler *sampler, const struct pack_lines *packed, int64_t from, int64_t to,
                       int64_t line, int64_t at, const struct pack_columns *columns)
{
    const struct pack_rows *rows = sampler->state;
    for (int64_t i = from; i < to; i++, at++) {
        uint32_t row = packed->rows[i];
        sampler->drawn.ids[at] = rows->ids ? rows->ids[row] : row;
        sampler->drawn.groups[at] = line;
        columns->offset[at] = packed->offsets[i];
        columns->length[at] = rows->lengths[row];
    }
    columns->lines[0] = line + 1;
    columns->lines[1] = packed->cap;
}

static sonde_status pack_draw_rows(sonde_row_sampler *sampler, struct pack_rows *rows, int64_t count)
{
    struct pack_lines packed = {0};
    struct pack_columns columns;
    int64_t begin = sonde__min_i64(sampler->place, rows->count);
    count = sonde__min_i64(count, rows->count - begin);
    SONDE_TRY(pack_begin(sampler, count, &columns));
    SONDE_TRY(pack_some(sampler, rows, rows->order + begin, count, &packed));
    for (int64_t line = 0; line < packed.lines; line++)
        pack_write(sampler, &packed, packed.begin[line], packed.begin[line + 1], line, packed.begin[line],
                   &columns);
    sampler->drawn.last = begin + count == rows->count;
    pack_lines_drop(sampler->runtime, &packed);
    return SONDE_OK;
}

/* How many of the lines in this pass's order begin at or before a place. */
static int64_t pack_lines_upto(const struct pack_rows *rows, int64_t place)
{
    int64_t low = 0, high = rows->all.lines;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (rows->starts[middle] <= place) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* Where a draw of lines ends that begins at `place`, in line `line` of the order. */
static int64_t pack_draw_end(const sonde_row_sampler *sampler, const struct pack_rows *rows, int64_t place,
                             int64_t line, int64_t count)
{
    int64_t lines = rows->all.lines;
    if (count == sampler->batch)
        return rows->starts[sonde__min_i64(lines, line + sonde__param_int(sampler->params, "batch"))];
    if (count >= rows->count - place) return rows->count;
    int64_t whole = rows->starts[pack_lines_upto(rows, place + count) - 1];
    return whole > place ? whole : place + count;
}

static sonde_status pack_draw_lines(sonde_row_sampler *sampler, struct pack_rows *rows, int64_t count)
{
    struct pack_columns columns;
    int64_t begin = sonde__min_i64(sampler->place, rows->count), first = pack_lines_upto(rows, begin) - 1;
    int64_t end = begin == rows->count ? begin : pack_draw_end(sampler, rows, begin, first, count);
    SONDE_TRY(pack_begin(sampler, end - begin, &columns));
    for (int64_t at = begin, line = first; at < end; line++) {
        int64_t begins = rows->all.begin[rows->order[line]],
                until = sonde__min_i64(end, rows->starts[line + 1]);
        pack_write(sampler, &rows->all, begins + at - rows->starts[line], begins + until - rows->starts[line],
                   line - first, at - begin, &columns);
        at = until;
    }
    sampler->drawn.last = end == rows->count;
    return SONDE_OK;
}

static sonde_status pack_draw(sonde_row_sampler *sampler, const sonde_array *const *inputs, int64_t count)
{
    (void)inputs;
    pack_order(sampler, sampler->state);
    if (pack_whole(sampler)) return pack_draw_lines(sampler, sampler->state, count);
    return pack_draw_rows(sampler, sampler->state, count);
}

/* ---- shards and files ---------------------------------------------------------------------------------- */

static sonde_status pack_merge(sonde_row_sampler *into, const sonde_row_sampler *from)
{
    const struct pack_rows *a = into->state, *b = from->state;
    struct pack_rows *rows;
    SONDE_TRY(sonde__merge_both("ids of the caller", a->ids, b->ids));
    SONDE_TRY(sonde__merge_count("rows", a->count, b->count));
    SONDE_TRY(SONDE_NEW_ZERO(into->runtime, rows, 1));
    rows->count = a->count + b->count;
    sonde_status status = sonde__column_join(into->runtime, a->lengths, a->count, b->lengths, b->count,
                                             sizeof *rows->lengths, &rows->lengths);
    if (status == SONDE_OK)
        status = sonde__column_join(into->runtime, a->ids, a->count, b->ids, b->count, sizeof *rows->ids,
                                    &rows->ids);
    if (status == SONDE_OK) return pack_adopt(into, rows);
    pack_forget(into->runtime, rows);
    return status;
}

static sonde_status pack_save(const sonde_row_sampler *sampler, sonde__writer *writer)
{
    const struct pack_rows *rows = sampler->state;
    uint64_t count = (uint64_t)rows->count;
    SONDE_TRY(sonde__write_int(writer, "rows", rows->count));
    SONDE_TRY(sonde__write_array(writer, "LENGTHS", rows->lengths, count, sizeof *rows->lengths));
    return rows->ids ? sonde__write_array(writer, "IDS", rows->ids, count, sizeof *rows->ids) : SONDE_OK;
}

static sonde_status pack_read(const sonde_row_sampler *sampler, sonde__reader *reader, struct pack_rows *rows)
{
    SONDE_TRY(sonde__read_int(reader, "rows", 1, SONDE__ROWS_MOST, &rows->count));
    SONDE_TRY(sonde__numbers_read(sampler->runtime, reader, "LENGTHS", rows->count, 1, PACK_LENGTH_MOST,
                                  &rows->lengths));
    if (sampler->place > rows->count)
        return sonde__fail(SONDE_CORRUPT, "the place %lld is behind the last of %lld rows",
                           (long long)sampler->place, (long long)rows->count);
    if (!sonde__reader_has(reader, "IDS")) return SONDE_OK;
    return sonde__numbers_read(sampler->runtime, reader, "IDS", rows->count, 0, INT64_MAX, &rows->ids);
}

static sonde_status pack_load(sonde_row_sampler *sampler, sonde__reader *reader)
{
    struct pack_rows *rows;
    SONDE_TRY(SONDE_NEW_ZERO(sampler->runtime, rows, 1));
    sonde_status status = pack_read(sampler, reader, rows);
    if (status != SONDE_OK) {
        pack_forget(sampler->runtime, rows);
        return status;
    }
    status = pack_adopt(sampler, rows);
    return status == SONDE_INVALID_ARGUMENT ? sonde__fail(SONDE_CORRUPT, "the lengths do not suit the spec")
                                            : status;
}

static const sonde__key pack_keys[] = {
    {"cap", SONDE__KEY_INT, "batch_max", 1, PACK_LENGTH_MOST, "batch_max", NULL,
     "tokens of a line; batch_max: those of the longest row"},
    {"per", SONDE__KEY_WORD, "batch", 0, 0, "batch|epoch", NULL,
     "what is packed: the rows of a draw, or all rows once"},
    {"rule", SONDE__KEY_WORD, "ffd", 0, 0, "ffd|greedy|best_fit", NULL,
     "the line a row goes to: the first with room, the last, the fullest"},
    {"batch", SONDE__KEY_INT, "32", 1, 4294967294.0, NULL, NULL,
     "rows (per=epoch: lines) of a draw that does not say how many"},
    {0},
};

#define PACK_INTEGERS (SONDE__DTYPE_BIT(SONDE_DTYPE_I64) | SONDE__DTYPE_BIT(SONDE_DTYPE_I32))

static const sonde__input_key pack_inputs[] = {
    {"lengths", "n x 1", PACK_INTEGERS, true, "length of each row, 1 or more", "fit"},
    {"ids", "n x 1", PACK_INTEGERS, false, "names of the rows; 0, 1, 2, ... if not given", "fit"},
    {0},
};

static const sonde__output_key pack_outputs[] = {
    {"offset", "count x 1", SONDE_DTYPE_I64, "where each row begins in its line (the group)"},
    {"length", "count x 1", SONDE_DTYPE_I64, "length of each row"},
    {"lines", "1 x 2", SONDE_DTYPE_I64, "how many lines the draw has, and what each can hold"},
    {0},
};

const sonde__row_method sonde__row_sampler_pack = {
    .method = {"pack", "several short rows in one line, with offsets",
               "first fit decreasing: Johnson 1973; Lv et al. 2024", pack_keys, pack_inputs, NULL,
               pack_outputs},
    .create = pack_create,
    .fit = pack_fit,
    .draw = pack_draw,
    .merge = pack_merge,
    .save = pack_save,
    .load = pack_load,
    .drop = pack_drop,
};
