/* paths.c: the public functions of the noun: making a sampler and its plan, asking, telling, running, and files.
 *
 * What a step computes is path_run.c's affair; what it must compute is said by the solver's file.
 *
 *   file: dim, rows; of a run: RUN (7 integers), AT (7 doubles), SCALARS, the written buffers B0, B1, ...
 *         (rows x dim f32), HELD (where one of two guided predictions is there), ROWS (scalars of rows)
 *
 * Invariants: a failure leaves the run where it stood; numbers that come from a file are checked against the plan,
 * which is made again from the spec.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdio.h>

#include "base/handle.h"
#include "paths/engine.h"

#define METHOD(name) extern const sonde__path_method sonde__path_##name;
#include "paths/list.h"
#undef METHOD

static const sonde__method *const path_methods[] = {
#define METHOD(name) &sonde__path_##name.method,
#include "paths/list.h"
#undef METHOD
    NULL,
};

static const sonde__key path_common[] = {
    {"schedule", SONDE__KEY_SPEC, "vp", 0, 0, NULL, "schedule", "noise levels of the model, steps and grid"},
    {"prediction", SONDE__KEY_WORD, "auto", 0, 0, "auto|noise|data|score|v|flow|edm", NULL,
     "what the model predicts; auto: flow for rf, data for edm and karras, else noise"},
    {"guidance", SONDE__KEY_REAL, "none", -1e6, 1e6, "none", NULL,
     "weight of the condition; two predictions unless it is 0 or 1"},
    {"threshold", SONDE__KEY_WORD, "none", 0, 0, "none|static|dynamic", NULL, "keeps predicted data in its range"},
    {"clip", SONDE__KEY_REAL, "1", 1e-30, 1e30, NULL, NULL, "threshold=static: largest magnitude"},
    {"quantile", SONDE__KEY_REAL, "0.995", 1e-9, 1, NULL, NULL, "threshold=dynamic: of the magnitudes in a row"},
    {"floor", SONDE__KEY_REAL, "1", 1e-30, 1e30, NULL, NULL, "threshold=dynamic: smallest bound"},
    {"cap", SONDE__KEY_REAL, "none", 1e-30, 1e30, "none", NULL, "threshold=dynamic: largest bound"},
    {"seed", SONDE__KEY_INT, "1", 0, 9007199254740992.0, NULL, NULL, "of the noise"},
    {0},
};

const sonde__noun sonde__path_sampler_noun = {"path_sampler", path_common, path_methods};

const sonde__output_key sonde__path_outputs[] = {
    {"state", "rows x dim", SONDE_DTYPE_F32, "where the run stands"},
    {NULL, NULL, 0, NULL},
};

/* ---- making and freeing ---------------------------------------------------------------------------------------- */

static sonde__handle_parts path_parts(const sonde_path_sampler *sampler)
{
    return (sonde__handle_parts){sampler->runtime, sampler->params, (void *)sampler};
}

void sonde_path_sampler_free(sonde_path_sampler *sampler)
{
    if (!sampler) return;
    sonde__handle_parts parts = path_parts(sampler);
    if (sampler->method->drop) sampler->method->drop(sampler);
    sonde__path_engine_drop(sampler);
    sonde__free(sampler->runtime, sampler->engine);
    sonde__free(sampler->runtime, sampler->model);
    sonde__free(sampler->runtime, sampler->nodes);
    sonde__schedule_free(sampler->schedule);
    sonde__handle_end(&parts);
}

/* Schedule, nodes, model, then the solver. */
static sonde_status path_plan(sonde_path_sampler *sampler)
{
    sonde__path_plan plan;
    SONDE_TRY(
        sonde__schedule_create(sampler->runtime, sonde__param_spec(sampler->params, "schedule"), &sampler->schedule));
    SONDE_TRY(sonde__schedule_plan(sampler->schedule, sampler->method->finite_lambda, &plan));
    sampler->nodes = plan.nodes;
    sampler->node_count = plan.count;
    sampler->zero = plan.zero;
    sampler->steps = plan.count - 1 - (plan.zero && !sampler->method->to_zero);
    SONDE_TRY(sonde__path_model_create(sampler));
    sampler->form = SONDE__FORM_DATA;
    sampler->buffers = sampler->spares = 1;
    sampler->stages = 1;
    SONDE_TRY(sampler->method->create(sampler));
    SONDE_ASSERT(sampler->buffers <= SONDE__PATH_BUFFERS);
    SONDE_ASSERT(sampler->buffers + sampler->spares <= SONDE__PATH_PLACES);
    SONDE_ASSERT(sampler->row_scalars <= SONDE__PATH_ROW_SCALARS);
    return SONDE_NEW_ZERO(sampler->runtime, sampler->engine, 1);
}

static sonde_status path_make(const char *spec, int64_t dim, sonde_runtime *runtime, sonde_path_sampler **sampler)
{
    sonde__handle_parts parts;
    SONDE_TRY(sonde__handle_width("dim", dim, 1, SONDE__MAX_ROWS));
    SONDE_TRY(sonde__handle_begin(&sonde__path_sampler_noun, spec, runtime, sizeof **sampler, &parts));
    sonde_path_sampler *made = parts.memory;
    made->runtime = parts.runtime;
    made->params = parts.params;
    made->method = (const sonde__path_method *)(const void *)sonde__params_method(parts.params);
    made->dim = dim;
    made->seed = (uint64_t)sonde__param_int(parts.params, "seed");
    sonde_status status = path_plan(made);
    if (status == SONDE_OK) *sampler = made;
    else sonde_path_sampler_free(made);
    return status;
}

sonde_status sonde_path_sampler_create(const char *spec, int64_t dim, sonde_runtime *runtime,
                                       sonde_path_sampler **sampler)
{
    if (!sampler) return sonde__fail(SONDE_INVALID_ARGUMENT, "create: the place for the path sampler is NULL");
    return path_make(spec, dim, runtime, sampler);
}

int64_t sonde_path_sampler_dim(const sonde_path_sampler *sampler) { return sampler ? sampler->dim : 0; }

const char *sonde_path_sampler_spec(const sonde_path_sampler *sampler)
{
    return sampler ? sonde__params_text(sampler->params) : "";
}

sonde_status sonde_path_sampler_nodes(const sonde_path_sampler *sampler, sonde_path_node *nodes, int64_t capacity,
                                      int64_t *count)
{
    if (!sampler) return sonde__fail(SONDE_INVALID_ARGUMENT, "nodes: the path sampler is NULL");
    if (!count) return sonde__fail(SONDE_INVALID_ARGUMENT, "nodes: the place for the count is NULL");
    if (capacity < 0 || (capacity > 0 && !nodes))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "nodes: no room for capacity=%lld nodes", (long long)capacity);
    for (int64_t i = 0; i < capacity && i < sampler->node_count; i++) {
        const sonde__path_point *node = &sampler->nodes[i];
        double t = node->sigma > 0 ? sonde__path_seen(sampler->model, node).time : node->model_time;
        nodes[i] = (sonde_path_node){t, node->alpha, node->sigma, node->lambda};
    }
    *count = sampler->node_count;
    return SONDE_OK;
}

/* ---- asking and telling ---------------------------------------------------------------------------------------- */

static const uint32_t path_dtypes = SONDE__DTYPE_BIT(SONDE_DTYPE_F32) | SONDE__DTYPE_BIT(SONDE_DTYPE_F16) |
                                    SONDE__DTYPE_BIT(SONDE_DTYPE_BF16);

/* Whether the verb may touch the run; a model that run calls may only ask. */
static sonde_status path_ready(const sonde_path_sampler *sampler, const char *verb, bool started)
{
    if (!sampler) return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: the path sampler is NULL", verb);
    if (started && sampler->engine->rows == 0)
        return sonde__fail(SONDE_STATE, "%s: no run was started; sonde_path_sampler_start begins one", verb);
    if (sampler->engine->running)
        return sonde__fail(SONDE_STATE, "%s: sonde_path_sampler_run is under way and does this itself", verb);
    return SONDE_OK;
}

static sonde_status path_start(sonde_path_sampler *sampler, const char *verb, uint32_t dtypes, const sonde_array *x)
{
    sonde_array checked;
    char what[24];
    snprintf(what, sizeof what, "%s: x", verb);
    SONDE_TRY(path_ready(sampler, verb, false));
    SONDE_TRY(sonde__array_check(x, what, sampler->dim, dtypes, &checked));
    if (checked.rows < 1) return sonde__fail(SONDE_INVALID_ARGUMENT, "%s has no rows", what);
    SONDE_TRY(sonde__array_check_finite(sampler->runtime, &checked, what));
    return sonde__path_engine_start(sampler, &checked);
}

sonde_status sonde_path_sampler_start(sonde_path_sampler *sampler, const sonde_array *x)
{
    return path_start(sampler, "start", path_dtypes, x);
}

static sonde_status path_ask(sonde_path_sampler *sampler, sonde_ask *filled)
{
    const sonde__path_run *run = &sampler->engine->run;
    const sonde__path_point *at = run->done ? &sampler->nodes[run->step] : &run->at;
    const float *x;
    SONDE_TRY(sonde__path_show(sampler, &x));
    *filled = (sonde_ask)SONDE_ASK_INIT;
    filled->done = (uint32_t)run->done;
    filled->x = sonde_f32(x, sampler->engine->rows, sampler->dim);
    filled->t = at->sigma > 0 ? sonde__path_seen(sampler->model, at).time : at->model_time;
    filled->alpha = at->alpha;
    filled->sigma = at->sigma;
    filled->prediction = sampler->model->prediction;
    filled->condition = (uint32_t)run->condition;
    filled->step = run->step;
    filled->evaluation = run->evaluation;
    return SONDE_OK;
}

sonde_status sonde_path_sampler_ask(sonde_path_sampler *sampler, sonde_ask *ask)
{
    sonde_ask filled;
    if (!sampler) return sonde__fail(SONDE_INVALID_ARGUMENT, "ask: the path sampler is NULL");
    if (!ask) return sonde__fail(SONDE_INVALID_ARGUMENT, "ask: the ask is NULL");
    if (sampler->engine->rows == 0)
        return sonde__fail(SONDE_STATE, "ask: no run was started; sonde_path_sampler_start begins one");
    SONDE_TRY(path_ask(sampler, &filled));
    return sonde__info_write(&filled, sizeof filled, "ask", ask);
}

static sonde_status path_tell(sonde_path_sampler *sampler, const char *what, const sonde_array *prediction)
{
    sonde_array checked;
    SONDE_TRY(sonde__array_check(prediction, what, sampler->dim, path_dtypes, &checked));
    if (checked.rows != sampler->engine->rows)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "%s has %lld rows, the state has %lld", what,
                           (long long)checked.rows, (long long)sampler->engine->rows);
    return sonde__path_tell(sampler, &checked);
}

sonde_status sonde_path_sampler_tell(sonde_path_sampler *sampler, const sonde_array *prediction)
{
    SONDE_TRY(path_ready(sampler, "tell", true));
    if (sampler->engine->run.done)
        return sonde__fail(SONDE_STATE, "tell: the run is done; nothing is wanted until the next start");
    return path_tell(sampler, "tell: prediction", prediction);
}

/* ---- run ------------------------------------------------------------------------------------------------------- */

/* One prediction by the model. */
static sonde_status path_turn(sonde_path_sampler *sampler, float *reply,
                              int (*model)(const sonde_ask *, sonde_array *, void *), void *user)
{
    sonde_ask ask;
    SONDE_TRY(
        sonde__poll(sampler->runtime, "run", (uint64_t)sampler->engine->run.step, (uint64_t)sampler->node_count - 1));
    SONDE_TRY(path_ask(sampler, &ask));
    sonde_array prediction = sonde_f32(reply, sampler->engine->rows, sampler->dim);
    sampler->engine->running = true;
    int answer = model(&ask, &prediction, user);
    sampler->engine->running = false;
    if (answer)
        return sonde__fail(SONDE_CALLBACK, "run: the model gave %d at step %lld", answer, (long long)ask.step);
    return path_tell(sampler, "run: the model's prediction", &prediction);
}

static void path_give(const sonde_path_sampler *sampler, sonde_array *x)
{
    const float *state = sonde__path_buffer(sampler, &sampler->engine->run, SONDE__PATH_X);
    int64_t stride = x->stride ? x->stride : x->cols * (int64_t)sizeof(float);
    for (int64_t row = 0; row < x->rows; row++)
        memcpy((uint8_t *)x->data + row * stride, state + row * sampler->dim, (size_t)sampler->dim * sizeof *state);
}

sonde_status sonde_path_sampler_run(sonde_path_sampler *sampler, sonde_array *x,
                                    int (*model)(const sonde_ask *ask, sonde_array *prediction, void *user),
                                    void *user)
{
    float *reply;
    if (!sampler) return sonde__fail(SONDE_INVALID_ARGUMENT, "run: the path sampler is NULL");
    if (!model) return sonde__fail(SONDE_INVALID_ARGUMENT, "run: the model is NULL");
    SONDE_TRY(path_start(sampler, "run", SONDE__DTYPE_BIT(SONDE_DTYPE_F32), x));
    SONDE_TRY(SONDE_NEW_ZERO(sampler->runtime, reply, sampler->engine->rows * sampler->dim));
    sonde_status status = SONDE_OK;
    while (status == SONDE_OK && !sampler->engine->run.done) status = path_turn(sampler, reply, model, user);
    sonde__free(sampler->runtime, reply);
    if (status == SONDE_OK) path_give(sampler, x);
    return status;
}

sonde_status sonde_path_sampler_output(const sonde_path_sampler *sampler, const char *name, sonde_array *column)
{
    SONDE_TRY(path_ready(sampler, "output", true));
    if (!name || !column) return sonde__fail(SONDE_INVALID_ARGUMENT, "output: the name or the place for it is NULL");
    const sonde__output_key *key = sampler->method->method.outputs;
    while (key->name && strcmp(key->name, name) != 0) key++;
    if (!key->name)
        return sonde__fail(SONDE_NOT_FOUND, "output: %s has no output '%s'", sampler->method->method.name, name);
    if (strcmp(name, "state") != 0) return sampler->method->output(sampler, name, column);
    *column = sonde_f32(sonde__path_buffer(sampler, &sampler->engine->run, SONDE__PATH_X), sampler->engine->rows,
                        sampler->dim);
    return SONDE_OK;
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

enum { PATH_RUN_NUMBERS = 7, PATH_AT_NUMBERS = 7 };

/* The two fixed parts of a run as arrays. */
static void path_run_numbers(const sonde__path_run *run, int64_t *numbers)
{
    const int64_t all[PATH_RUN_NUMBERS] = {run->step,      run->stage, run->evaluation, run->at_buffer,
                                           run->condition, run->done,  run->written};
    memcpy(numbers, all, sizeof all);
}

static void path_at_numbers(const sonde__path_point *at, double *numbers)
{
    const double all[PATH_AT_NUMBERS] = {at->time,   at->model_time, at->alpha,     at->sigma,
                                         at->lambda, at->alpha_rate, at->sigma_rate};
    memcpy(numbers, all, sizeof all);
}

static void path_tag(int buffer, char tag[16]) { snprintf(tag, 16, "B%d", buffer); }

static sonde_status path_put_run(const sonde_path_sampler *sampler, sonde__writer *writer)
{
    const sonde__path_engine *engine = sampler->engine;
    const sonde__path_run *run = &engine->run;
    uint64_t size = (uint64_t)(engine->rows * sampler->dim);
    int64_t numbers[PATH_RUN_NUMBERS];
    double at[PATH_AT_NUMBERS];
    char tag[16];
    path_run_numbers(run, numbers);
    path_at_numbers(&run->at, at);
    SONDE_TRY(sonde__write_array(writer, "RUN", numbers, PATH_RUN_NUMBERS, sizeof *numbers));
    SONDE_TRY(sonde__write_array(writer, "AT", at, PATH_AT_NUMBERS, sizeof *at));
    SONDE_TRY(sonde__write_array(writer, "SCALARS", run->scalars, SONDE__PATH_SCALARS, sizeof *run->scalars));
    for (int i = 0; i < sampler->buffers; i++) {
        if (!(run->written >> i & 1)) continue;
        path_tag(i, tag);
        SONDE_TRY(sonde__write_array(writer, tag, sonde__path_buffer(sampler, run, i), size, sizeof(float)));
    }
    if (run->condition != sampler->model->condition)
        SONDE_TRY(sonde__write_array(writer, "HELD", engine->held, size, sizeof(float)));
    if (sampler->row_scalars == 0) return SONDE_OK;
    return sonde__write_array(writer, "ROWS", engine->row_scalars, (uint64_t)(sampler->row_scalars * engine->rows),
                              sizeof(double));
}

static sonde_status path_put(const void *handle, sonde__writer *writer)
{
    const sonde_path_sampler *sampler = handle;
    SONDE_TRY(sonde__write_int(writer, "dim", sampler->dim));
    SONDE_TRY(sonde__write_int(writer, "rows", sampler->engine->rows));
    return sampler->engine->rows > 0 ? path_put_run(sampler, writer) : SONDE_OK;
}

/* `count` 8-byte elements. */
static sonde_status path_take_numbers(sonde_runtime *runtime, sonde__reader *reader, const char *tag, uint64_t count,
                                      void *numbers)
{
    sonde__blob blob;
    SONDE_TRY(sonde__read_array(reader, tag, count, 8, false, &blob));
    memcpy(numbers, blob.data, (size_t)(count * 8));
    sonde__blob_free(runtime, &blob);
    return SONDE_OK;
}

static sonde_status path_take_reals(sonde_runtime *runtime, sonde__reader *reader, const char *tag, uint64_t count,
                                    double *reals)
{
    SONDE_TRY(path_take_numbers(runtime, reader, tag, count, reals));
    for (uint64_t i = 0; i < count; i++)
        if (!isfinite(reals[i]))
            return sonde__fail(SONDE_CORRUPT, "section \"%s\": number %llu is %g", tag, (unsigned long long)i,
                               reals[i]);
    return SONDE_OK;
}

static bool path_within(int64_t value, int64_t least, int64_t most) { return value >= least && value <= most; }

/* Whether the numbers could be those of a run of this sampler. */
static bool path_run_sound(const sonde_path_sampler *sampler, const int64_t *n)
{
    int64_t step = n[0], stage = n[1], condition = n[4], done = n[5], written = n[6], at_buffer = n[3];
    const sonde__path_model *model = sampler->model;
    int64_t last = sampler->steps - !(sampler->zero && !sampler->method->to_zero);
    bool other = model->guided && condition == 0;
    return path_within(done, 0, 1) && path_within(step, 0, done ? sampler->node_count - 1 : last) &&
           path_within(stage, 0, sampler->stages - 1) && path_within(n[2], 0, INT64_MAX / 2) &&
           path_within(at_buffer, 0, sampler->buffers - 1) && path_within(written, 1, (1 << sampler->buffers) - 1) &&
           (written & 1) && (written >> at_buffer & 1) && (condition == model->condition || other);
}

static sonde_status path_take_at(sonde_runtime *runtime, sonde__reader *reader, sonde__path_point *at)
{
    double n[PATH_AT_NUMBERS];
    SONDE_TRY(path_take_numbers(runtime, reader, "AT", PATH_AT_NUMBERS, n));
    *at = (sonde__path_point){n[0], n[1], n[2], n[3], n[4], n[5], n[6]};
    bool sound = isfinite(n[0]) && isfinite(n[1]) && isfinite(n[2]) && isfinite(n[3]) && !isnan(n[4]) &&
                 isfinite(n[5]) && isfinite(n[6]) && at->alpha >= 0 && at->sigma > 0;
    return sound ? SONDE_OK
                 : sonde__fail(SONDE_CORRUPT, "section \"AT\": alpha=%g, sigma=%g is no place of a schedule",
                               at->alpha, at->sigma);
}

static sonde_status path_take_floats(sonde_path_sampler *sampler, sonde__reader *reader, const char *tag, float *to)
{
    float *values = NULL;
    uint64_t size = (uint64_t)(sampler->engine->rows * sampler->dim);
    SONDE_TRY(sonde__handle_floats(sampler->runtime, reader, tag, size, &values));
    memcpy(to, values, (size_t)size * sizeof *to);
    sonde__free(sampler->runtime, values);
    return SONDE_OK;
}

static sonde_status path_take_buffers(sonde_path_sampler *sampler, sonde__reader *reader)
{
    sonde__path_engine *engine = sampler->engine;
    char tag[16];
    for (int i = 0; i < sampler->buffers; i++) {
        if (!(engine->run.written >> i & 1)) continue;
        path_tag(i, tag);
        SONDE_TRY(path_take_floats(sampler, reader, tag, engine->memory[engine->run.place[i]]));
    }
    if (engine->run.condition != sampler->model->condition)
        SONDE_TRY(path_take_floats(sampler, reader, "HELD", engine->held));
    if (sampler->row_scalars == 0) return SONDE_OK;
    return path_take_reals(sampler->runtime, reader, "ROWS", (uint64_t)(sampler->row_scalars * engine->rows),
                           engine->row_scalars);
}

/* The first buffer's section tells whether the file really holds rows x dim values, before memory is taken for them.
 */
static sonde_status path_take_run(sonde_path_sampler *sampler, sonde__reader *reader, int64_t rows)
{
    sonde_runtime *runtime = sampler->runtime;
    int64_t numbers[PATH_RUN_NUMBERS];
    uint64_t values;
    SONDE_TRY(sonde__read_count(reader, "B0", sizeof(float), &values));
    if (values % (uint64_t)rows || values / (uint64_t)rows != (uint64_t)sampler->dim)
        return sonde__fail(SONDE_CORRUPT, "section \"B0\": %llu values are not %lld rows of %lld",
                           (unsigned long long)values, (long long)rows, (long long)sampler->dim);
    SONDE_TRY(path_take_numbers(runtime, reader, "RUN", PATH_RUN_NUMBERS, numbers));
    if (!path_run_sound(sampler, numbers))
        return sonde__fail(SONDE_CORRUPT,
                           "section \"RUN\": step %lld, stage %lld is no place of a run of this sampler",
                           (long long)numbers[0], (long long)numbers[1]);
    SONDE_TRY(sonde__path_engine_size(sampler, rows));
    sonde__path_run *run = &sampler->engine->run;
    run->step = numbers[0];
    run->stage = numbers[1];
    run->evaluation = numbers[2];
    run->at_buffer = numbers[3];
    run->condition = numbers[4];
    run->done = numbers[5];
    run->written = (uint32_t)numbers[6];
    SONDE_TRY(path_take_at(runtime, reader, &run->at));
    SONDE_TRY(path_take_reals(runtime, reader, "SCALARS", SONDE__PATH_SCALARS, run->scalars));
    return path_take_buffers(sampler, reader);
}

static sonde_status path_take(sonde_runtime *runtime, sonde__reader *reader, void **handle)
{
    sonde_path_sampler *sampler = NULL;
    int64_t dim, rows;
    SONDE_TRY(sonde__read_int(reader, "dim", 1, SONDE__MAX_ROWS, &dim));
    SONDE_TRY(sonde__read_int(reader, "rows", 0, SONDE__MAX_ROWS, &rows));
    sonde_status status = path_make(sonde__reader_spec(reader), dim, runtime, &sampler);
    if (status != SONDE_OK) return sonde__handle_from_file(status, &sonde__path_sampler_noun);
    if (rows > 0) status = path_take_run(sampler, reader, rows);
    if (status == SONDE_OK) *handle = sampler;
    else sonde_path_sampler_free(sampler);
    return status;
}

static const sonde__handle_class path_class = {&sonde__path_sampler_noun, path_put, path_take};

sonde_status sonde_path_sampler_save(const sonde_path_sampler *sampler, const char *path)
{
    if (!sampler) return sonde__fail(SONDE_INVALID_ARGUMENT, "save: the path sampler is NULL");
    sonde__handle_parts parts = path_parts(sampler);
    return sonde__handle_save(&path_class, sampler, &parts, path);
}

sonde_status sonde_path_sampler_open(const char *path, const sonde_open_options *options, sonde_runtime *runtime,
                                     sonde_path_sampler **sampler)
{
    void *handle = NULL;
    if (!sampler) return sonde__fail(SONDE_INVALID_ARGUMENT, "open: the place for the path sampler is NULL");
    SONDE_TRY(sonde__handle_open(&path_class, path, options, runtime, &handle));
    *sampler = handle;
    return SONDE_OK;
}

sonde_status sonde_path_sampler_save_buffer(const sonde_path_sampler *sampler, void *buffer, size_t capacity,
                                            size_t *length)
{
    if (!sampler) return sonde__fail(SONDE_INVALID_ARGUMENT, "save_buffer: the path sampler is NULL");
    sonde__handle_parts parts = path_parts(sampler);
    return sonde__handle_save_buffer(&path_class, sampler, &parts, buffer, capacity, length);
}

sonde_status sonde_path_sampler_open_buffer(const void *buffer, size_t length, const sonde_open_options *options,
                                            sonde_runtime *runtime, sonde_path_sampler **sampler)
{
    void *handle = NULL;
    if (!sampler) return sonde__fail(SONDE_INVALID_ARGUMENT, "open_buffer: the place for the path sampler is NULL");
    SONDE_TRY(sonde__handle_open_buffer(&path_class, buffer, length, options, runtime, &handle));
    *sampler = handle;
    return SONDE_OK;
}
