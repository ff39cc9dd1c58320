/* columns.c: what the inputs of row samplers hold: columns of numbers, matrices, and lists of ids, checked,
 * copied, joined with those of another sampler, written and read.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdlib.h>

#include "kernels/kernels.h"
#include "rows/rows.h"

enum { COLUMN_GRAIN = 65536, COLUMN_PIECE = 2048 };

/* ---- columns and matrices ---------------------------------------------------------------------------------------- */

sonde_status sonde__rows_fit_check(const char *name, int64_t rows, int64_t least)
{
    if (rows >= least && rows <= SONDE__ROWS_MOST) return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT, "fit: %s has %lld rows, expected %lld..%lld", name,
                       (long long)rows, (long long)least, (long long)SONDE__ROWS_MOST);
}

static sonde_status column_shape(const sonde_array *array, const char *what, int64_t rows, int64_t cols)
{
    if (cols > 0 && array->cols != cols)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "%s has %lld columns, expected %lld", what, (long long)array->cols,
                           (long long)cols);
    if (rows >= 0 && array->rows != rows)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "%s has %lld rows, expected %lld", what, (long long)array->rows,
                           (long long)rows);
    return SONDE_OK;
}

static int64_t integer_at(const sonde_array *array, int64_t row, int64_t col)
{
    const uint8_t *at = sonde__array_row(array, row);
    int32_t narrow;
    int64_t wide;
    switch (array->dtype) {
    case SONDE_DTYPE_U8: return at[col];
    case SONDE_DTYPE_I8: return (int8_t)at[col];
    case SONDE_DTYPE_I32: memcpy(&narrow, at + col * 4, sizeof narrow); return narrow;
    default: memcpy(&wide, at + col * 8, sizeof wide); return wide;
    }
}

#define COLUMN_INTEGERS                                                                                        \
    (SONDE__DTYPE_BIT(SONDE_DTYPE_I64) | SONDE__DTYPE_BIT(SONDE_DTYPE_I32) | SONDE__DTYPE_BIT(SONDE_DTYPE_U8) | \
     SONDE__DTYPE_BIT(SONDE_DTYPE_I8))

static sonde_status column_copy(const sonde_array *view, const char *what, int64_t least, int64_t most, int64_t *values)
{
    for (int64_t i = 0; i < view->rows; i++) {
        int64_t value = integer_at(view, i, 0);
        if (value < least || value > most)
            return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: row %lld holds %lld, outside %lld..%lld", what,
                               (long long)i, (long long)value, (long long)least, (long long)most);
        values[i] = value;
    }
    return SONDE_OK;
}

sonde_status sonde__column_i64(sonde_runtime *runtime, const sonde_array *array, const char *what, int64_t expected,
                               int64_t least, int64_t most, int64_t **values)
{
    sonde_array view;
    int64_t *copy;
    SONDE_TRY(sonde__array_check(array, what, 1, COLUMN_INTEGERS, &view));
    SONDE_TRY(column_shape(&view, what, expected, 1));
    SONDE_TRY(SONDE_NEW(runtime, copy, view.rows));
    sonde_status status = column_copy(&view, what, least, most, copy);
    if (status == SONDE_OK) *values = copy;
    else sonde__free(runtime, copy);
    return status;
}

sonde_status sonde__matrix_f32(sonde_runtime *runtime, const sonde_array *array, const char *what, int64_t rows,
                               int64_t cols, float **values)
{
    sonde_array view;
    float *copy;
    SONDE_TRY(sonde__array_check(array, what, 0, SONDE__DTYPES_NUMERIC, &view));
    SONDE_TRY(column_shape(&view, what, rows, cols));
    SONDE_TRY(sonde__array_check_finite(runtime, &view, what));
    SONDE_TRY(SONDE_NEW(runtime, copy, view.rows * view.cols));
    sonde__rows_to_f32(&view, 0, view.rows, copy, view.cols);
    *values = copy;
    return SONDE_OK;
}

/* A column on its way to f32, of whose values those outside least..most (and those that are not finite) are seen. */
struct column_work {
    const sonde_array *view;
    float least, most;
    float *copy;
    atomic_bool outside;
};

/* A packed column is one row to the conversion, which then works on many values at once. */
static sonde_status column_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    struct column_work *work = context;
    (void)worker;
    for (int64_t at = begin; at < end; at += COLUMN_PIECE) {
        int64_t count = sonde__min_i64(COLUMN_PIECE, end - at);
        float *values = work->copy + at;
        sonde__rows_to_f32(work->view, at, count, values, 1);
        int32_t outside = 0;
        for (int64_t i = 0; i < count; i++) outside |= !(values[i] >= work->least) | !(values[i] <= work->most);
        if (outside) atomic_store(&work->outside, true);
    }
    return SONDE_OK;
}

/* Which value is not as it should be. */
static sonde_status column_blame(sonde_runtime *runtime, const struct column_work *work, const char *what)
{
    int64_t i = 0;
    SONDE_TRY(sonde__array_check_finite(runtime, work->view, what));
    while (work->copy[i] >= work->least && work->copy[i] <= work->most) i++;
    return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: row %lld holds %g, outside %g..%g", what, (long long)i,
                       (double)work->copy[i], (double)work->least, (double)work->most);
}

sonde_status sonde__column_f32(sonde_runtime *runtime, const sonde_array *array, const char *what, int64_t expected,
                               float least, float most, float **values)
{
    sonde_array view;
    struct column_work work = {.view = &view, .least = least, .most = most};
    SONDE_TRY(sonde__array_check(array, what, 0, SONDE__DTYPES_NUMERIC, &view));
    SONDE_TRY(column_shape(&view, what, expected, 1));
    SONDE_TRY(SONDE_NEW(runtime, work.copy, view.rows));
    atomic_init(&work.outside, false);
    sonde_status status = sonde__parallel_for(runtime, 0, view.rows, COLUMN_GRAIN, NULL, column_chunk, &work);
    if (status == SONDE_OK && atomic_load(&work.outside)) status = column_blame(runtime, &work, what);
    if (status == SONDE_OK) *values = work.copy;
    else sonde__free(runtime, work.copy);
    return status;
}

void sonde__log_softmax(const float *x, int64_t count, double scale, double *log_p)
{
    float most = count > 0 ? x[0] : 0;
    double sum = 0;
    for (int64_t i = 1; i < count; i++) most = x[i] > most ? x[i] : most;
    for (int64_t i = 0; i < count; i++) sum += exp(scale * ((double)x[i] - most));
    for (int64_t i = 0; i < count; i++) log_p[i] = scale * ((double)x[i] - most) - log(sum);
}

/* ---- gradients ------------------------------------------------------------------------------------------------------- */

static float *gradient_row(const sonde_array *gradient, int64_t row)
{
    int64_t stride = gradient->stride ? gradient->stride : sonde_row_bytes(gradient->dtype, gradient->cols);
    return (float *)(void *)((uint8_t *)gradient->data + row * stride);
}

void sonde__gradient_set(const sonde_array *gradient, int64_t row, double value)
{
    float narrow = (float)value;
    memcpy(gradient_row(gradient, row), &narrow, sizeof narrow);
}

void sonde__gradient_put(const sonde_array *gradient, const float *values)
{
    for (int64_t i = 0; gradient && i < gradient->rows; i++)
        memcpy(gradient_row(gradient, i), values + i * gradient->cols, (size_t)gradient->cols * sizeof *values);
}

/* ---- lists --------------------------------------------------------------------------------------------------------- */

/* Sorts items[begin..end) and drops repeats; returns the new end. */
static int64_t lists_tidy(int64_t *items, int64_t begin, int64_t end)
{
    int64_t kept = begin;
    qsort(items + begin, (size_t)(end - begin), sizeof *items, sonde__compare_i64);
    for (int64_t i = begin; i < end; i++)
        if (i == begin || items[i] != items[kept - 1]) items[kept++] = items[i];
    return kept;
}

/* Where list i lies in the input: row i of a padded matrix, or rows [first, end) of one column. */
static sonde_status lists_bounds(const sonde_array *items, const int64_t *offsets, const char *what, int64_t i,
                                 int64_t *first, int64_t *end)
{
    *first = offsets ? offsets[i] : 0;
    *end = offsets ? offsets[i + 1] : items->cols;
    if (*first > *end || (offsets && *end > items->rows))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: the offsets of list %lld are %lld..%lld, of %lld items", what,
                           (long long)i, (long long)*first, (long long)*end, (long long)items->rows);
    return SONDE_OK;
}

static sonde_status lists_fill(const sonde_array *items, const int64_t *offsets, const char *what, int64_t most,
                               sonde__lists *lists)
{
    int64_t filled = 0, first, end;
    for (int64_t i = 0; i < lists->count; i++) {
        lists->begin[i] = filled;
        SONDE_TRY(lists_bounds(items, offsets, what, i, &first, &end));
        for (int64_t j = first; j < end; j++) {
            int64_t item = offsets ? integer_at(items, j, 0) : integer_at(items, i, j);
            if (!offsets && item == -1) continue;
            if (item < 0 || item > most)
                return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: list %lld holds %lld, outside 0..%lld", what,
                                   (long long)i, (long long)item, (long long)most);
            lists->items[filled++] = item;
        }
        filled = lists_tidy(lists->items, lists->begin[i], filled);
    }
    lists->begin[lists->count] = filled;
    return SONDE_OK;
}

sonde_status sonde__lists_take(sonde_runtime *runtime, const sonde_array *items, const sonde_array *offsets,
                               const char *what, int64_t count, int64_t most, sonde__lists *lists)
{
    sonde_array view;
    int64_t *bounds = NULL;
    sonde__lists made = {.count = count};
    SONDE_TRY(sonde__array_check(items, what, offsets ? 1 : 0, COLUMN_INTEGERS, &view));
    if (offsets)
        SONDE_TRY(sonde__column_i64(runtime, offsets, what, count + 1, 0, view.rows, &bounds));
    else
        SONDE_TRY(column_shape(&view, what, count, 0));
    sonde_status status = SONDE_NEW(runtime, made.begin, count + 1);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, made.items, view.rows * view.cols);
    if (status == SONDE_OK) status = lists_fill(&view, bounds, what, most, &made);
    sonde__free(runtime, bounds);
    if (status == SONDE_OK) *lists = made;
    else sonde__lists_drop(runtime, &made);
    return status;
}

void sonde__lists_drop(sonde_runtime *runtime, sonde__lists *lists)
{
    sonde__free(runtime, lists->begin);
    sonde__free(runtime, lists->items);
    *lists = (sonde__lists){0};
}

bool sonde__lists_have(const sonde__lists *lists, int64_t owner, int64_t item)
{
    int64_t low = lists->begin[owner], high = lists->begin[owner + 1];
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (lists->items[middle] == item) return true;
        if (lists->items[middle] < item) low = middle + 1;
        else high = middle;
    }
    return false;
}

/* ---- shards -------------------------------------------------------------------------------------------- */

sonde_status sonde__merge_count(const char *things, int64_t a, int64_t b)
{
    if (a + b <= SONDE__ROWS_MOST) return SONDE_OK;
    return sonde__fail(SONDE_LIMIT, "merge: %lld %s are more than %lld", (long long)(a + b), things,
                       (long long)SONDE__ROWS_MOST);
}

sonde_status sonde__merge_both(const char *what, bool a, bool b)
{
    if (a == b) return SONDE_OK;
    return sonde__fail(SONDE_INCOMPATIBLE, "merge: one sampler has %s, the other has none", what);
}

sonde_status sonde__column_join(sonde_runtime *runtime, const void *a, int64_t a_count, const void *b,
                                int64_t b_count, uint64_t size, void *joined)
{
    if (!a) return SONDE_OK;
    uint8_t *made = sonde__alloc(runtime, (uint64_t)(a_count + b_count), size);
    if (!made) return sonde__last_status();
    memcpy(made, a, (size_t)a_count * size);
    memcpy(made + (uint64_t)a_count * size, b, (size_t)b_count * size);
    memcpy(joined, &made, sizeof made); /* the caller's pointer has the type of the elements */
    return SONDE_OK;
}

/* ---- files --------------------------------------------------------------------------------------------------------- */

sonde_status sonde__lists_write(const sonde__lists *lists, sonde__writer *writer, const char *begin_tag,
                                const char *items_tag)
{
    SONDE_TRY(sonde__write_array(writer, begin_tag, lists->begin, (uint64_t)lists->count + 1, sizeof(int64_t)));
    return sonde__write_array(writer, items_tag, lists->items, (uint64_t)lists->begin[lists->count], sizeof(int64_t));
}

sonde_status sonde__numbers_read(sonde_runtime *runtime, sonde__reader *reader, const char *tag, int64_t count,
                                 int64_t least, int64_t most, int64_t **values)
{
    sonde__blob blob;
    int64_t *copy = NULL;
    SONDE_TRY(sonde__read_array(reader, tag, (uint64_t)count, sizeof *copy, true, &blob));
    sonde_status status = SONDE_NEW(runtime, copy, count);
    if (status == SONDE_OK) memcpy(copy, blob.data, (size_t)count * sizeof *copy);
    sonde__blob_free(runtime, &blob);
    for (int64_t i = 0; status == SONDE_OK && i < count; i++)
        if (copy[i] < least || copy[i] > most)
            status = sonde__fail(SONDE_CORRUPT, "section \"%s\": number %lld is %lld, outside %lld..%lld", tag,
                                 (long long)i, (long long)copy[i], (long long)least, (long long)most);
    if (status == SONDE_OK) *values = copy;
    else sonde__free(runtime, copy);
    return status;
}

sonde_status sonde__ids_write(sonde__writer *writer, const int64_t *ids, int64_t count)
{
    SONDE_TRY(sonde__write_int(writer, "named", ids != NULL));
    return ids ? sonde__write_array(writer, "IDS", ids, (uint64_t)count, sizeof *ids) : SONDE_OK;
}

sonde_status sonde__ids_read(sonde_runtime *runtime, sonde__reader *reader, int64_t count, int64_t **ids)
{
    int64_t named;
    *ids = NULL;
    SONDE_TRY(sonde__read_int(reader, "named", 0, 1, &named));
    return named ? sonde__numbers_read(runtime, reader, "IDS", count, 0, INT64_MAX, ids) : SONDE_OK;
}

/* Ascending without repeats is what the search for an item relies on. */
static sonde_status lists_check(const sonde__lists *lists, const char *tag)
{
    for (int64_t i = 0; i < lists->count; i++) {
        for (int64_t j = lists->begin[i] + 1; j < lists->begin[i + 1]; j++)
            if (lists->items[j - 1] >= lists->items[j])
                return sonde__fail(SONDE_CORRUPT, "section \"%s\": list %lld is not ascending", tag, (long long)i);
    }
    return SONDE_OK;
}

sonde_status sonde__lists_read(sonde_runtime *runtime, sonde__reader *reader, const char *begin_tag,
                               const char *items_tag, int64_t count, int64_t most, sonde__lists *lists)
{
    sonde__lists read = {.count = count};
    sonde_status status = sonde__numbers_read(runtime, reader, begin_tag, count + 1, 0, SONDE__MAX_ROWS, &read.begin);
    for (int64_t i = 0; status == SONDE_OK && i <= count; i++)
        if (i == 0 ? read.begin[0] != 0 : read.begin[i] < read.begin[i - 1])
            status = sonde__fail(SONDE_CORRUPT, "section \"%s\": number %lld descends", begin_tag, (long long)i);
    if (status == SONDE_OK)
        status = sonde__numbers_read(runtime, reader, items_tag, read.begin[count], 0, most, &read.items);
    if (status == SONDE_OK) status = lists_check(&read, items_tag);
    if (status == SONDE_OK) *lists = read;
    else sonde__lists_drop(runtime, &read);
    return status;
}
