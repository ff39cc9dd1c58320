/* row_sampler.c: the public functions of the noun, and what its methods share: where a stream stands, and the memory of a draw.
 *
 * A method fits and draws; here inputs are matched with its table, the place moves on, named outputs are found, and all of
 * it is saved.
 *
 * Invariants: the place moves only after a draw that succeeded, by the rows it gave, or to the next pass where the method
 * says that the pass has ended; what a draw gave lives until the next one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "rows/rows.h"

#include "base/handle.h"

#define METHOD(name) extern const sonde__row_method sonde__row_sampler_##name;
#include "rows/list.h"
#undef METHOD

static const sonde__method *const row_sampler_methods[] = {
#define METHOD(name) &sonde__row_sampler_##name.method,
#include "rows/list.h"
#undef METHOD
    NULL,
};

static const sonde__key row_sampler_common[] = {
    {"seed", SONDE__KEY_INT, "1", 0, 9007199254740992.0, NULL, NULL, "of all that is random"},
    {0},
};

const sonde__noun sonde__row_sampler_noun = {"row_sampler", row_sampler_common, row_sampler_methods};

/* ---- making and freeing ---------------------------------------------------------------------------------------- */

sonde_status sonde_row_sampler_create(const char *spec, int64_t dim, sonde_runtime *runtime,
                                      sonde_row_sampler **sampler)
{
    if (!sampler) return sonde__fail(SONDE_INVALID_ARGUMENT, "create: the place for the row sampler is NULL");
    sonde__handle_parts parts;
    SONDE_TRY(sonde__handle_width("dim", dim, 0, SONDE__MAX_DIM));
    SONDE_TRY(sonde__handle_begin(&sonde__row_sampler_noun, spec, runtime, sizeof **sampler, &parts));
    sonde_row_sampler *made = parts.memory;
    made->runtime = parts.runtime;
    made->params = parts.params;
    made->method = (const sonde__row_method *)(const void *)sonde__params_method(parts.params);
    made->dim = dim;
    made->seed = (uint64_t)sonde__param_int(parts.params, "seed");
    sonde_status status = made->method->create(made);
    if (status != SONDE_OK) {
        sonde_row_sampler_free(made);
        return status;
    }
    *sampler = made;
    return SONDE_OK;
}

static sonde__handle_parts row_sampler_parts(const sonde_row_sampler *sampler)
{
    return (sonde__handle_parts){sampler->runtime, sampler->params, (void *)sampler};
}

static void drawn_drop(sonde_runtime *runtime, sonde__drawn *drawn)
{
    sonde__free(runtime, drawn->ids);
    sonde__free(runtime, drawn->groups);
    sonde__free(runtime, drawn->weights);
    for (int i = 0; i < SONDE__ROW_COLUMNS_MOST; i++) sonde__free(runtime, drawn->columns[i].data);
    *drawn = (sonde__drawn){0};
}

void sonde_row_sampler_free(sonde_row_sampler *sampler)
{
    if (!sampler) return;
    sonde__handle_parts parts = row_sampler_parts(sampler);
    if (sampler->method->drop) sampler->method->drop(sampler);
    drawn_drop(sampler->runtime, &sampler->drawn);
    sonde__handle_end(&parts);
}

bool sonde_row_sampler_fitted(const sonde_row_sampler *sampler)
{
    return sampler && sampler->fitted;
}

int64_t sonde_row_sampler_dim(const sonde_row_sampler *sampler)
{
    return sampler ? sampler->dim : 0;
}

const char *sonde_row_sampler_spec(const sonde_row_sampler *sampler)
{
    return sampler ? sonde__params_text(sampler->params) : "";
}

/* ---- what methods share ------------------------------------------------------------------------------------------ */

/* Grows to `room` rows; what was in the arrays is not kept. */
static sonde_status drawn_grow(sonde_runtime *runtime, sonde__drawn *drawn, int64_t room)
{
    int64_t *ids = NULL, *groups = NULL;
    float *weights = NULL;
    sonde_status status = SONDE_NEW(runtime, ids, room);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, groups, room);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, weights, room);
    if (status != SONDE_OK) {
        sonde__free(runtime, ids);
        sonde__free(runtime, groups);
        return status;
    }
    sonde__free(runtime, drawn->ids);
    sonde__free(runtime, drawn->groups);
    sonde__free(runtime, drawn->weights);
    drawn->ids = ids;
    drawn->groups = groups;
    drawn->weights = weights;
    drawn->room = room;
    return SONDE_OK;
}

sonde_status sonde__rows_begin(sonde_row_sampler *sampler, int64_t count, bool groups)
{
    sonde__drawn *drawn = &sampler->drawn;
    drawn->count = 0;
    drawn->last = false;
    if (count > drawn->room || !drawn->ids) SONDE_TRY(drawn_grow(sampler->runtime, drawn, count));
    for (int64_t i = 0; i < count; i++) {
        drawn->ids[i] = drawn->groups[i] = -1;
        drawn->weights[i] = 1;
    }
    for (int i = 0; i < SONDE__ROW_COLUMNS_MOST; i++) drawn->columns[i].rows = 0;
    drawn->has_groups = groups;
    drawn->count = count;
    return SONDE_OK;
}

static int output_row(const sonde_row_sampler *sampler, const char *name)
{
    const sonde__output_key *table = sampler->method->method.outputs;
    for (int row = 0; table && table[row].name; row++)
        if (strcmp(table[row].name, name) == 0) return row;
    return -1;
}

sonde_status sonde__rows_column(sonde_row_sampler *sampler, const char *name, int64_t rows, int64_t cols, void *data)
{
    int row = output_row(sampler, name);
    SONDE_ASSERT(row >= 0 && row < SONDE__ROW_COLUMNS_MOST);
    sonde__row_column *column = &sampler->drawn.columns[row];
    uint32_t dtype = sampler->method->method.outputs[row].dtype;
    uint64_t bytes = (uint64_t)rows * (uint64_t)sonde_row_bytes(dtype, cols);
    column->rows = 0;
    if (bytes > column->bytes || !column->data) {
        void *grown = sonde__alloc(sampler->runtime, bytes, 1);
        if (!grown) return sonde__last_status();
        sonde__free(sampler->runtime, column->data);
        column->data = grown;
        column->bytes = bytes;
    }
    memset(column->data, 0, bytes);
    column->rows = rows;
    column->cols = cols;
    memcpy(data, &column->data, sizeof column->data); /* the caller's pointer has the type of the elements */
    return SONDE_OK;
}

/* Passes behind the first get keys of their own by mixing their number into the seed, as splitmix64 does. */
void sonde__rows_rng(const sonde_row_sampler *sampler, int64_t pass, uint32_t stream, uint64_t place, sonde__rng *rng)
{
    uint64_t seed = sampler->seed;
    if (pass > 0) seed = sonde__mix64(seed + (uint64_t)pass * 0x9e3779b97f4a7c15u);
    sonde__rng_start(rng, seed, stream, place);
}

int sonde__rows_input(const sonde_row_sampler *sampler, const char *verb, const char *name)
{
    const sonde__input_key *table = sampler->method->method.inputs;
    int row = 0;
    while (table[row].name && (strcmp(table[row].verb, verb) != 0 || strcmp(table[row].name, name) != 0)) row++;
    SONDE_ASSERT(table[row].name);
    return row;
}

/* ---- fitting and drawing ------------------------------------------------------------------------------------------- */

static sonde_status fail_verb(const sonde_row_sampler *sampler, const char *verb, const char *why)
{
    return sonde__fail(SONDE_UNSUPPORTED, "%s: %s %s", verb, sampler->method->method.name, why);
}

sonde_status sonde_row_sampler_fit(sonde_row_sampler *sampler, const sonde_input *inputs, size_t count)
{
    const sonde_array *found[SONDE__INPUTS_MOST] = {NULL};
    if (!sampler) return sonde__fail(SONDE_INVALID_ARGUMENT, "fit: the row sampler is NULL");
    SONDE_TRY(sonde__inputs_match(&sampler->method->method, "fit", "fit", inputs, count, found));
    if (!sampler->method->fit) return SONDE_OK;
    SONDE_TRY(sampler->method->fit(sampler, found));
    sampler->fitted = true;
    sampler->pass = sampler->place = 0;
    sampler->drawn.count = 0;
    return SONDE_OK;
}

sonde_status sonde_row_sampler_attach(sonde_row_sampler *sampler, const sonde_index *index)
{
    if (!sampler) return sonde__fail(SONDE_INVALID_ARGUMENT, "attach: the row sampler is NULL");
    if (!sampler->method->searches) return fail_verb(sampler, "attach", "searches no index");
    sampler->attached = index;
    return SONDE_OK;
}

/* Draws, moves on and describes what was drawn. */
static sonde_status draw_next(sonde_row_sampler *sampler, const sonde_array *const *inputs, int64_t count,
                              const char *verb, sonde_rows *rows)
{
    sonde_rows filled;
    SONDE_TRY(sonde__options_read(rows, sizeof filled, verb, &filled));
    if (!rows) return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: rows is NULL", verb);
    if (count < 0 || count > SONDE__ROWS_MOST)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: count=%lld is outside 0..%lld", verb, (long long)count,
                           (long long)SONDE__ROWS_MOST);
    if (!sampler->fitted)
        return sonde__fail(SONDE_STATE, "%s: %s is not fitted; call sonde_row_sampler_fit first", verb,
                           sampler->method->method.name);
    sonde__drawn *drawn = &sampler->drawn;
    drawn->count = 0;
    SONDE_TRY(sampler->method->draw(sampler, inputs, count ? count : sampler->batch));
    filled = (sonde_rows){.last = drawn->last, .count = drawn->count, .pass = sampler->pass, .ids = drawn->ids,
                          .weights = drawn->weights, .groups = drawn->has_groups ? drawn->groups : NULL};
    sampler->place = drawn->last ? 0 : sampler->place + drawn->count;
    sampler->pass += drawn->last;
    return sonde__info_write(&filled, sizeof filled, verb, rows);
}

sonde_status sonde_row_sampler_draw(sonde_row_sampler *sampler, int64_t count, sonde_rows *rows)
{
    if (!sampler) return sonde__fail(SONDE_INVALID_ARGUMENT, "draw: the row sampler is NULL");
    return draw_next(sampler, NULL, count, "draw", rows);
}

sonde_status sonde_row_sampler_draw_for(sonde_row_sampler *sampler, const sonde_input *inputs, size_t input_count,
                                        int64_t count, sonde_rows *rows)
{
    const sonde_array *found[SONDE__INPUTS_MOST] = {NULL};
    if (!sampler) return sonde__fail(SONDE_INVALID_ARGUMENT, "draw_for: the row sampler is NULL");
    if (!sonde__inputs_any(&sampler->method->method, "draw"))
        return fail_verb(sampler, "draw_for", "takes no inputs to draw for");
    SONDE_TRY(sonde__inputs_match(&sampler->method->method, "draw", "draw_for", inputs, input_count, found));
    return draw_next(sampler, found, count, "draw_for", rows);
}

sonde_status sonde_row_sampler_output(const sonde_row_sampler *sampler, const char *name, sonde_array *column)
{
    if (!sampler || !name || !column)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "output: %s is NULL",
                           !sampler ? "the row sampler" : !name ? "the name" : "the column");
    int row = output_row(sampler, name);
    if (row < 0)
        return sonde__fail(SONDE_NOT_FOUND, "output: %s has no output '%.64s' (\"sonde list row_sampler %s\")",
                           sampler->method->method.name, name, sampler->method->method.name);
    const sonde__row_column *found = &sampler->drawn.columns[row];
    if (found->rows == 0)
        return sonde__fail(SONDE_STATE, "output: the last call of %s made no '%s'", sampler->method->method.name, name);
    *column = sonde_array_of(sampler->method->method.outputs[row].dtype, found->data, found->rows, found->cols);
    return SONDE_OK;
}

sonde_status sonde_row_sampler_observe(sonde_row_sampler *sampler, const sonde_input *inputs, size_t count)
{
    const sonde_array *found[SONDE__INPUTS_MOST] = {NULL};
    if (!sampler) return sonde__fail(SONDE_INVALID_ARGUMENT, "observe: the row sampler is NULL");
    if (!sampler->method->observe) return fail_verb(sampler, "observe", "observes nothing");
    SONDE_TRY(sonde__inputs_match(&sampler->method->method, "observe", "observe", inputs, count, found));
    if (!sampler->fitted)
        return sonde__fail(SONDE_STATE, "observe: %s is not fitted; call sonde_row_sampler_fit first",
                           sampler->method->method.name);
    return sampler->method->observe(sampler, found);
}

/* A gradient has the name and shape of an input of the verb "loss", and is f32. */
static sonde_status match_gradients(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                                    const sonde_input *gradients, size_t count, const sonde_array **found)
{
    SONDE_ASSERT(found);
    if (!gradients && count > 0)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "loss: gradients is NULL, but the count is %zu", count);
    const sonde__input_key *table = sampler->method->method.inputs;
    for (size_t i = 0; i < count; i++) {
        const char *name = gradients[i].name ? gradients[i].name : "";
        int row = 0;
        while (table[row].name && (!inputs[row] || strcmp(table[row].name, name) != 0)) row++;
        if (!table[row].name)
            return sonde__fail(SONDE_INVALID_ARGUMENT, "loss: gradient '%.64s' is none of the inputs given", name);
        if (found[row]) return sonde__fail(SONDE_INVALID_ARGUMENT, "loss: gradient '%s' is given twice", name);
        sonde_status status = sonde__array_check(gradients[i].array, name, inputs[row]->cols,
                                                 SONDE__DTYPE_BIT(SONDE_DTYPE_F32), NULL);
        if (status != SONDE_OK) return sonde__fail_within(status, "loss: gradient");
        if (gradients[i].array->rows != inputs[row]->rows)
            return sonde__fail(SONDE_INVALID_ARGUMENT, "loss: gradient '%s' has %lld rows, its input %lld", name,
                               (long long)gradients[i].array->rows, (long long)inputs[row]->rows);
        found[row] = gradients[i].array;
    }
    return SONDE_OK;
}

sonde_status sonde_row_sampler_loss(const sonde_row_sampler *sampler, const sonde_input *inputs, size_t count,
                                    const sonde_input *gradients, size_t gradient_count, double *loss)
{
    const sonde_array *found[SONDE__INPUTS_MOST] = {NULL}, *wanted[SONDE__INPUTS_MOST] = {NULL};
    if (!sampler || !loss)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "loss: %s is NULL", !sampler ? "the row sampler" : "loss");
    if (!sampler->method->loss) return fail_verb(sampler, "loss", "has no loss");
    SONDE_TRY(sonde__inputs_match(&sampler->method->method, "loss", "loss", inputs, count, found));
    SONDE_TRY(match_gradients(sampler, found, gradients, gradient_count, wanted));
    return sampler->method->loss(sampler, found, wanted, loss);
}

sonde_status sonde_row_sampler_merge(sonde_row_sampler *into, const sonde_row_sampler *from)
{
    if (!into || !from) return sonde__fail(SONDE_INVALID_ARGUMENT, "merge: a row sampler is NULL");
    if (into == from) return sonde__fail(SONDE_INVALID_ARGUMENT, "merge: both are the same row sampler");
    if (!into->method->merge) return fail_verb(into, "merge", "has no summary that could be joined");
    const char *mine = sonde__params_text(into->params), *other = sonde__params_text(from->params);
    if (strcmp(mine, other) != 0)
        return sonde__fail(SONDE_INCOMPATIBLE, "merge: the specs differ: %s and %s", mine, other);
    if (!into->fitted || !from->fitted)
        return sonde__fail(SONDE_STATE, "merge: both samplers must be fitted first");
    SONDE_TRY(into->method->merge(into, from));
    into->pass = into->place = 0;
    into->drawn.count = 0;
    return SONDE_OK;
}

sonde_status sonde_row_sampler_seek(sonde_row_sampler *sampler, int64_t pass)
{
    if (!sampler) return sonde__fail(SONDE_INVALID_ARGUMENT, "seek: the row sampler is NULL");
    if (pass < 0) return sonde__fail(SONDE_INVALID_ARGUMENT, "seek: pass=%lld is below 0", (long long)pass);
    sampler->pass = pass;
    sampler->place = 0;
    return SONDE_OK;
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

static sonde_status row_sampler_put(const void *handle, sonde__writer *writer)
{
    const sonde_row_sampler *sampler = handle;
    SONDE_TRY(sonde__write_int(writer, "dim", sampler->dim));
    SONDE_TRY(sonde__write_int(writer, "fitted", sampler->fitted));
    SONDE_TRY(sonde__write_int(writer, "pass", sampler->pass));
    SONDE_TRY(sonde__write_int(writer, "place", sampler->place));
    if (!sampler->fitted || !sampler->method->save) return SONDE_OK;
    return sampler->method->save(sampler, writer);
}

static sonde_status row_sampler_take(sonde_runtime *runtime, sonde__reader *reader, void **handle)
{
    sonde_row_sampler *sampler = NULL;
    int64_t dim, fitted, pass, place;
    SONDE_TRY(sonde__read_int(reader, "dim", 0, SONDE__MAX_DIM, &dim));
    SONDE_TRY(sonde__read_int(reader, "fitted", 0, 1, &fitted));
    SONDE_TRY(sonde__read_int(reader, "pass", 0, INT64_MAX / 2, &pass));
    SONDE_TRY(sonde__read_int(reader, "place", 0, INT64_MAX / 2, &place));
    sonde_status status = sonde_row_sampler_create(sonde__reader_spec(reader), dim, runtime, &sampler);
    if (status != SONDE_OK) return sonde__handle_from_file(status, &sonde__row_sampler_noun);
    sampler->pass = pass;
    sampler->place = place;
    if (fitted && sampler->method->load) status = sampler->method->load(sampler, reader);
    if (status != SONDE_OK) {
        sonde_row_sampler_free(sampler);
        return status;
    }
    sampler->fitted = fitted || sampler->fitted;
    *handle = sampler;
    return SONDE_OK;
}

static const sonde__handle_class row_sampler_class = {&sonde__row_sampler_noun, row_sampler_put, row_sampler_take};

sonde_status sonde_row_sampler_save(const sonde_row_sampler *sampler, const char *path)
{
    if (!sampler) return sonde__fail(SONDE_INVALID_ARGUMENT, "save: the row sampler is NULL");
    sonde__handle_parts parts = row_sampler_parts(sampler);
    return sonde__handle_save(&row_sampler_class, sampler, &parts, path);
}

sonde_status sonde_row_sampler_open(const char *path, const sonde_open_options *options, sonde_runtime *runtime,
                                    sonde_row_sampler **sampler)
{
    void *handle = NULL;
    if (!sampler) return sonde__fail(SONDE_INVALID_ARGUMENT, "open: the place for the row sampler is NULL");
    SONDE_TRY(sonde__handle_open(&row_sampler_class, path, options, runtime, &handle));
    *sampler = handle;
    return SONDE_OK;
}

sonde_status sonde_row_sampler_save_buffer(const sonde_row_sampler *sampler, void *buffer, size_t capacity,
                                           size_t *length)
{
    if (!sampler) return sonde__fail(SONDE_INVALID_ARGUMENT, "save_buffer: the row sampler is NULL");
    sonde__handle_parts parts = row_sampler_parts(sampler);
    return sonde__handle_save_buffer(&row_sampler_class, sampler, &parts, buffer, capacity, length);
}

sonde_status sonde_row_sampler_open_buffer(const void *buffer, size_t length, const sonde_open_options *options,
                                           sonde_runtime *runtime, sonde_row_sampler **sampler)
{
    void *handle = NULL;
    if (!sampler) return sonde__fail(SONDE_INVALID_ARGUMENT, "open_buffer: the place for the row sampler is NULL");
    SONDE_TRY(sonde__handle_open_buffer(&row_sampler_class, buffer, length, options, runtime, &handle));
    *sampler = handle;
    return SONDE_OK;
}
