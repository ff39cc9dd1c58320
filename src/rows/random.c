/* random.c: rows at random, each with the same chance.
 *
 * replace=no goes through all rows once a pass, in an order that is shuffled for each pass; replace=yes draws each row
 * for itself, without end. The rows are 0 .. rows-1, or the ids that fit was given. Weights are 1.
 *
 * Cost: a pass O(rows) for its order, which takes 4 bytes a row while the pass lasts; with replacement O(1) a row.
 *
 * SPDX-License-Identifier: MIT
 */
#include "rows/rows.h"

enum { RANDOM_STREAM_ORDER = 0x7201, RANDOM_STREAM_DRAW = 0x7202 };

struct random_rows {
    int64_t count;
    int64_t *ids; /* NULL: 0 .. count-1 */
    sonde__order order;
};

static void random_forget(sonde_runtime *runtime, struct random_rows *rows)
{
    if (!rows) return;
    sonde__free(runtime, rows->ids);
    sonde__free(runtime, rows->order.numbers);
    sonde__free(runtime, rows);
}

static void random_drop(sonde_row_sampler *sampler)
{
    random_forget(sampler->runtime, sampler->state);
}

/* Takes the ids over. */
static sonde_status random_adopt(sonde_row_sampler *sampler, int64_t count, int64_t *ids)
{
    struct random_rows *rows;
    sonde_status status = SONDE_NEW_ZERO(sampler->runtime, rows, 1);
    if (status != SONDE_OK) {
        sonde__free(sampler->runtime, ids);
        return status;
    }
    rows->count = count;
    rows->ids = ids;
    random_forget(sampler->runtime, sampler->state);
    sampler->state = rows;
    return SONDE_OK;
}

static sonde_status random_create(sonde_row_sampler *sampler)
{
    int64_t count = sonde__param_int(sampler->params, "rows");
    sampler->batch = sonde__param_int(sampler->params, "batch");
    if (count == 0) return SONDE_OK; /* fit says how many */
    sampler->fitted = true;
    return random_adopt(sampler, count, NULL);
}

static sonde_status random_fit(sonde_row_sampler *sampler, const sonde_array *const *inputs)
{
    int64_t *ids = NULL, count = inputs[0]->rows;
    SONDE_TRY(sonde__rows_fit_check("ids", count, 1));
    SONDE_TRY(sonde__column_i64(sampler->runtime, inputs[0], "fit: ids", -1, 0, INT64_MAX, &ids));
    return random_adopt(sampler, count, ids);
}

/* ---- drawing --------------------------------------------------------------------------------------------------- */

static sonde_status random_draw(sonde_row_sampler *sampler, const sonde_array *const *inputs, int64_t count)
{
    (void)inputs;
    struct random_rows *rows = sampler->state;
    bool replace = sonde__param_is(sampler->params, "replace", "yes");
    sonde__rng rng;
    if (!replace) {
        SONDE_TRY(sonde__rows_order(sampler, RANDOM_STREAM_ORDER, rows->count, &rows->order));
        count = sonde__min_i64(count, sonde__max_i64(0, rows->count - sampler->place));
    }
    SONDE_TRY(sonde__rows_begin(sampler, count, false));
    sonde__rows_rng(sampler, sampler->pass, RANDOM_STREAM_DRAW, (uint64_t)sampler->place, &rng);
    for (int64_t i = 0; i < count; i++) {
        int64_t row = replace ? (int64_t)sonde__rng_below(&rng, (uint64_t)rows->count)
                              : (int64_t)rows->order.numbers[sampler->place + i];
        sampler->drawn.ids[i] = rows->ids ? rows->ids[row] : row;
    }
    sampler->drawn.last = !replace && sampler->place + count == rows->count;
    return SONDE_OK;
}

/* ---- shards and files ------------------------------------------------------------------------------------------ */

static sonde_status random_merge(sonde_row_sampler *into, const sonde_row_sampler *from)
{
    const struct random_rows *a = into->state, *b = from->state;
    int64_t *ids = NULL;
    SONDE_TRY(sonde__merge_count("rows", a->count, b->count));
    SONDE_TRY(sonde__merge_both("ids of the caller", a->ids, b->ids));
    SONDE_TRY(sonde__column_join(into->runtime, a->ids, a->count, b->ids, b->count, sizeof *ids, &ids));
    return random_adopt(into, a->count + b->count, ids);
}

static sonde_status random_save(const sonde_row_sampler *sampler, sonde__writer *writer)
{
    const struct random_rows *rows = sampler->state;
    SONDE_TRY(sonde__write_int(writer, "rows", rows->count));
    return sonde__ids_write(writer, rows->ids, rows->count);
}

static sonde_status random_load(sonde_row_sampler *sampler, sonde__reader *reader)
{
    int64_t count, *ids;
    SONDE_TRY(sonde__read_int(reader, "rows", 1, SONDE__ROWS_MOST, &count));
    if (sampler->place > count)
        return sonde__fail(SONDE_CORRUPT, "the place %lld is behind the last of %lld rows", (long long)sampler->place,
                           (long long)count);
    SONDE_TRY(sonde__ids_read(sampler->runtime, reader, count, &ids));
    return random_adopt(sampler, count, ids);
}

static const sonde__key random_keys[] = {
    {"rows", SONDE__KEY_INT, "0", 0, 4294967295.0, NULL, NULL, "draw from 0..rows-1 without fitting; 0: fit gives ids"},
    {"replace", SONDE__KEY_WORD, "no", 0, 0, "no|yes", NULL, "whether a row can come again within a pass"},
    {"batch", SONDE__KEY_INT, "1", 1, 4294967295.0, NULL, NULL, "rows of a draw that does not say how many"},
    {0},
};

static const sonde__input_key random_inputs[] = {
    {"ids", "n x 1", SONDE__DTYPE_BIT(SONDE_DTYPE_I64) | SONDE__DTYPE_BIT(SONDE_DTYPE_I32), true, "the rows to draw from",
     "fit"},
    {0},
};

const sonde__row_method sonde__row_sampler_random = {
    .method = {"random", "rows at random, each with the same chance", "shuffle: Durstenfeld 1964", random_keys,
               random_inputs, NULL, NULL},
    .create = random_create,
    .fit = random_fit,
    .draw = random_draw,
    .merge = random_merge,
    .save = random_save,
    .load = random_load,
    .drop = random_drop,
};
