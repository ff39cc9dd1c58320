/* path_run.c: carries out what solvers answer: linear combinations of buffers, predictions and noise.
 *
 * A prediction is affine in what a solver wants (value = p x + q prediction), so the conversion is folded into the
 * weights of the sums, and a first-order step is one pass that reads the state and the prediction. Results go to
 * spare memory; a run's place (sonde__path_run) is changed in a copy, and the copy replaces the run only when all
 * sums are there and finite. So a NaN, a cancel or a lack of memory leaves the run where it stood.
 *
 *   tell -> (hold the first of two guided predictions) -> (data form, threshold) -> advance -> sums -> commit
 *
 * Passes go over rows x dim values in chunks of fixed size, and within them in blocks that stay in the first-level
 * cache, so that noise and converted predictions never go through memory. Results depend on neither.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdio.h>

#include "kernels/kernels.h"
#include "paths/engine.h"

enum { RUN_GRAIN = 65536, RUN_BLOCK = 1024, RUN_SOURCES = 6, RUN_TERMS = SONDE__PATH_TERMS + 4 };

/* ---- what a pass computes -------------------------------------------------------------------------------------- */

/* Where a term's values come from: memory, an array to be converted, or noise. */
struct run_source {
    const float *flat;        /* rows x dim packed, or NULL */
    const sonde_array *array; /* or NULL: noise of ... */
    uint32_t stream;
};

struct run_term {
    int source, row_scalar;
    double weight;
};

struct run_sum {
    int out; /* buffer; -1 = `to` is not one */
    float *to;
    int count;
    struct run_term terms[RUN_TERMS];
};

/* One pass over the state. */
struct run_pass {
    const sonde_path_sampler *sampler;
    int64_t rows, dim;
    bool by_row; /* weights differ from row to row */
    int source_count, sum_count;
    struct run_source sources[SONDE__PATH_SUMS * SONDE__PATH_TERMS];
    struct run_sum sums[SONDE__PATH_SUMS];
    _Atomic bool spoilt; /* a result was not finite */
};

static int run_source_find(struct run_pass *pass, struct run_source source)
{
    int i = 0;
    while (i < pass->source_count &&
           (pass->sources[i].flat != source.flat || pass->sources[i].array != source.array ||
            pass->sources[i].stream != source.stream))
        i++;
    if (i == pass->source_count) pass->sources[pass->source_count++] = source;
    return i;
}

/* Adds a term, or its weight to the term that the sum has for this source. */
static void run_add(struct run_pass *pass, struct run_sum *sum, struct run_source source, double weight,
                    int row_scalar)
{
    int found = run_source_find(pass, source);
    if (row_scalar >= 0) pass->by_row = true;
    for (int i = 0; i < sum->count; i++) {
        if (sum->terms[i].source != found || sum->terms[i].row_scalar != row_scalar) continue;
        sum->terms[i].weight += weight;
        return;
    }
    SONDE_ASSERT(sum->count < RUN_TERMS);
    sum->terms[sum->count++] = (struct run_term){found, row_scalar, weight};
}

/* Values [first, first + count) of rows x dim, by pieces that lie within a row. */
static void run_gather(const struct run_pass *pass, const struct run_source *source, int64_t first, int64_t count,
                       float *out)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    while (count > 0) {
        int64_t row = first / pass->dim, column = first % pass->dim;
        int64_t piece = sonde__min_i64(count, pass->dim - column);
        if (source->array) {
            const sonde_array *array = source->array;
            int64_t size = array->dtype == SONDE_DTYPE_F32 ? 4 : 2;
            kernels->to_f32[sonde__row_kind(array->dtype)](sonde__array_row(array, row) + column * size, piece, out);
        } else {
            kernels->normals(pass->sampler->seed, source->stream, (uint64_t)row, column, piece, out);
        }
        first += piece;
        out += piece;
        count -= piece;
    }
}

/* One sum over one block; `lists` has the values of each source. */
static bool run_sum_block(const struct run_pass *pass, const struct run_sum *sum, const float *const *lists,
                          int64_t first, int64_t count)
{
    const float *terms[RUN_TERMS];
    float weights[RUN_TERMS], *out = sum->to + first;
    for (int i = 0; i < sum->count; i++) {
        const struct run_term *term = &sum->terms[i];
        double scale = 1;
        if (term->row_scalar >= 0)
            scale = sonde__path_row_scalars(pass->sampler, term->row_scalar)[first / pass->dim];
        terms[i] = lists[term->source];
        weights[i] = (float)(term->weight * scale);
    }
    const sonde__kernels *kernels = sonde__kernels_get();
    int done = sum->count < SONDE__TERMS_MAX ? sum->count : SONDE__TERMS_MAX;
    bool finite = kernels->combine(terms, weights, done, count, out);
    while (done < sum->count) { /* longer sums go on from what is there */
        int more = sum->count - done < SONDE__TERMS_MAX - 1 ? sum->count - done : SONDE__TERMS_MAX - 1;
        terms[done - 1] = out;
        weights[done - 1] = 1;
        finite = kernels->combine(terms + done - 1, weights + done - 1, more + 1, count, out);
        done += more;
    }
    return finite;
}

static sonde_status run_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    struct run_pass *pass = context;
    float gathered[RUN_SOURCES][RUN_BLOCK];
    const float *lists[SONDE__PATH_SUMS * SONDE__PATH_TERMS];
    bool direct = true, finite = true;
    (void)worker;
    for (int i = 0; i < pass->source_count; i++) direct = direct && pass->sources[i].flat;
    int64_t longest = direct && pass->sum_count == 1 ? RUN_GRAIN : RUN_BLOCK;
    for (int64_t first = begin, count; first < end; first += count) {
        count = sonde__min_i64(longest, end - first);
        if (pass->by_row) count = sonde__min_i64(count, pass->dim - first % pass->dim);
        for (int i = 0, used = 0; i < pass->source_count; i++) {
            lists[i] = pass->sources[i].flat + (pass->sources[i].flat ? first : 0);
            if (pass->sources[i].flat) continue;
            run_gather(pass, &pass->sources[i], first, count, gathered[used]);
            lists[i] = gathered[used++];
        }
        for (int i = 0; i < pass->sum_count; i++)
            finite = run_sum_block(pass, &pass->sums[i], lists, first, count) && finite;
    }
    if (!finite) pass->spoilt = true;
    return SONDE_OK;
}

static sonde_status run_pass_go(struct run_pass *pass)
{
    return sonde__parallel_for(pass->sampler->runtime, 0, pass->rows * pass->dim, RUN_GRAIN, NULL, run_chunk, pass);
}

static void run_pass_begin(const sonde_path_sampler *sampler, struct run_pass *pass)
{
    memset(pass, 0, sizeof *pass);
    pass->sampler = sampler;
    pass->rows = sampler->engine->rows;
    pass->dim = sampler->dim;
}

/* ---- what solvers call ----------------------------------------------------------------------------------------- */

sonde__path_sum *sonde__path_out(sonde__path_move *move, int buffer)
{
    SONDE_ASSERT(move->count < SONDE__PATH_SUMS);
    sonde__path_sum *sum = &move->sums[move->count++];
    sum->out = buffer;
    sum->count = 0;
    sum->purpose = 0;
    return sum;
}

void sonde__path_add_scaled(sonde__path_sum *sum, int which, double weight, int row_scalar)
{
    SONDE_ASSERT(sum->count < SONDE__PATH_TERMS);
    if (weight != 0) sum->terms[sum->count++] = (sonde__path_term){which, row_scalar, weight};
}

void sonde__path_add(sonde__path_sum *sum, int which, double weight)
{
    sonde__path_add_scaled(sum, which, weight, -1);
}

sonde_status sonde__path_evaluate(sonde__path_run *run, sonde__path_move *move, int buffer,
                                  const sonde__path_point *point, int64_t stage)
{
    run->at = *point;
    run->at_buffer = buffer;
    run->stage = stage;
    move->then = SONDE__PATH_EVALUATE;
    return SONDE_OK;
}

sonde_status sonde__path_again(sonde__path_run *run, sonde__path_move *move, int64_t stage)
{
    run->stage = stage;
    move->then = SONDE__PATH_AGAIN;
    return SONDE_OK;
}

/* Whether a prediction at the solver's last node is still wanted, for the engine's own step to sigma = 0. */
static bool run_finishes(const sonde_path_sampler *sampler) { return sampler->zero && !sampler->method->to_zero; }

sonde_status sonde__path_jump(const sonde_path_sampler *sampler, sonde__path_run *run, sonde__path_move *move,
                              int64_t steps)
{
    run->step += steps;
    SONDE_ASSERT(run->step <= sampler->steps);
    if (run->step < sampler->steps || run_finishes(sampler))
        return sonde__path_evaluate(run, move, SONDE__PATH_X, &sampler->nodes[run->step], 0);
    move->then = SONDE__PATH_DONE;
    return SONDE_OK;
}

const float *sonde__path_buffer(const sonde_path_sampler *sampler, const sonde__path_run *run, int buffer)
{
    return sampler->engine->memory[run->place[buffer]];
}

/* Memory that neither the run nor its successor uses. */
static int run_spare(const sonde_path_sampler *sampler, const sonde__path_run *next, uint32_t taken)
{
    const sonde__path_engine *engine = sampler->engine;
    for (int i = 0; i < sampler->buffers; i++) taken |= 1u << engine->run.place[i] | 1u << next->place[i];
    int spare = 0;
    while (taken >> spare & 1) spare++;
    SONDE_ASSERT(spare < engine->places);
    return spare;
}

float *sonde__path_fresh(sonde_path_sampler *sampler, sonde__path_run *run, int buffer)
{
    run->place[buffer] = (int8_t)run_spare(sampler, run, 0);
    run->written |= 1u << buffer;
    return sampler->engine->memory[run->place[buffer]];
}

double *sonde__path_row_scalars(const sonde_path_sampler *sampler, int which)
{
    const sonde__path_engine *engine = sampler->engine;
    return (engine->next ? engine->row_scalars_next : engine->row_scalars) + which * engine->rows;
}

int64_t sonde__path_rows(const sonde_path_sampler *sampler) { return sampler->engine->rows; }

/* ---- predictions ----------------------------------------------------------------------------------------------- */

/* A prediction that has arrived: what VALUE stands for. */
struct run_arrival {
    const sonde_array *told; /* NULL: there is none */
    struct run_source x, last, held;
    uint32_t prediction; /* what `last` and `held` are; DATA after a threshold */
    bool guided;
};

/* Packed f32 is read where it lies; all else is converted block by block. */
static struct run_source run_array_source(const sonde_array *array)
{
    bool flat = array->dtype == SONDE_DTYPE_F32 && (array->rows == 1 || array->stride == array->cols * 4) &&
                (uintptr_t)array->data % sizeof(float) == 0;
    return flat ? (struct run_source){array->data, NULL, 0} : (struct run_source){NULL, array, 0};
}

static void run_add_value(const sonde_path_sampler *sampler, const struct run_arrival *arrival, sonde__path_form form,
                          struct run_pass *pass, struct run_sum *sum, double weight, int row_scalar)
{
    const sonde__path_model *model = sampler->model;
    sonde__path_affine value = sonde__path_convert(arrival->prediction, model->deviation, &sampler->engine->run.at,
                                                   form);
    double with = arrival->guided ? model->guidance : 0, last = 1 - with;
    if (value.x != 0) run_add(pass, sum, arrival->x, weight * value.x, row_scalar);
    if (arrival->guided) run_add(pass, sum, arrival->held, weight * value.prediction * with, row_scalar);
    run_add(pass, sum, arrival->last, weight * value.prediction * last, row_scalar);
}

/* INVALID_ARGUMENT, naming the row of the prediction, or of a result that is too large for a float. */
static sonde_status run_fail_spoilt(const sonde_path_sampler *sampler, const struct run_pass *pass,
                                    const sonde_array *told)
{
    const sonde__path_engine *engine = sampler->engine;
    char what[64];
    snprintf(what, sizeof what, "tell: the prediction of step %lld", (long long)engine->run.step);
    if (told) SONDE_TRY(sonde__array_check_finite(sampler->runtime, told, what));
    for (int s = 0; s < pass->sum_count; s++)
        for (int64_t i = 0; i < pass->rows * pass->dim; i++)
            if (!isfinite(pass->sums[s].to[i]))
                return sonde__fail(SONDE_INVALID_ARGUMENT,
                                   "tell: step %lld: the state of row %lld leaves the range of f32",
                                   (long long)engine->run.step, (long long)(i / pass->dim));
    return sonde__fail(SONDE_INVALID_ARGUMENT, "tell: step %lld: the state leaves the range of f32",
                       (long long)engine->run.step);
}

/* One sum into memory that is no buffer: a prediction, as it is or in data form. */
static sonde_status run_keep(const sonde_path_sampler *sampler, struct run_pass *pass, const sonde_array *told)
{
    SONDE_TRY(run_pass_go(pass));
    return pass->spoilt ? run_fail_spoilt(sampler, pass, told) : SONDE_OK;
}

static sonde_status run_hold(const sonde_path_sampler *sampler, const sonde_array *told)
{
    struct run_pass pass;
    run_pass_begin(sampler, &pass);
    pass.sums[pass.sum_count++].to = sampler->engine->held;
    run_add(&pass, &pass.sums[0], run_array_source(told), 1, -1);
    return run_keep(sampler, &pass, told);
}

/* Puts the data prediction, limited, in place of what was told. */
static sonde_status run_bend(const sonde_path_sampler *sampler, struct run_arrival *arrival)
{
    struct run_pass pass;
    float *bent = sampler->engine->bent;
    run_pass_begin(sampler, &pass);
    pass.sums[pass.sum_count++].to = bent;
    run_add_value(sampler, arrival, SONDE__FORM_DATA, &pass, &pass.sums[0], 1, -1);
    SONDE_TRY(run_keep(sampler, &pass, arrival->told));
    SONDE_TRY(sonde__path_threshold(sampler, pass.rows, bent));
    arrival->last = (struct run_source){bent, NULL, 0};
    arrival->prediction = SONDE_PREDICTION_DATA;
    arrival->guided = false;
    return SONDE_OK;
}

static sonde_status run_arrive(const sonde_path_sampler *sampler, const sonde_array *told,
                               struct run_arrival *arrival)
{
    const sonde__path_engine *engine = sampler->engine;
    const sonde__path_run *run = &engine->run;
    arrival->told = told;
    arrival->x = (struct run_source){engine->memory[run->place[run->at_buffer]], NULL, 0};
    arrival->last = run_array_source(told);
    arrival->held = (struct run_source){engine->held, NULL, 0};
    arrival->prediction = sampler->model->prediction;
    arrival->guided = sampler->model->guided;
    return sampler->model->limit ? run_bend(sampler, arrival) : SONDE_OK;
}

/* ---- moves ----------------------------------------------------------------------------------------------------- */

/* The engine's own step to pure data. */
static sonde_status run_finish(const sonde_path_sampler *sampler, sonde__path_run *run, sonde__path_move *move)
{
    sonde__path_add(sonde__path_out(move, SONDE__PATH_X), SONDE__PATH_VALUE, 1);
    run->step = sampler->node_count - 1;
    move->then = SONDE__PATH_DONE;
    return SONDE_OK;
}

/* Turns a solver's sum into one over sources. */
static void run_expand(const sonde_path_sampler *sampler, const sonde__path_run *next,
                       const struct run_arrival *arrival, const sonde__path_sum *wanted, struct run_pass *pass,
                       struct run_sum *sum)
{
    const sonde__path_engine *engine = sampler->engine;
    bool finishing = engine->run.step == sampler->steps;
    for (int i = 0; i < wanted->count; i++) {
        const sonde__path_term *term = &wanted->terms[i];
        struct run_source source = {NULL, NULL, 0};
        if (term->which == SONDE__PATH_VALUE) {
            SONDE_ASSERT(arrival->told);
            run_add_value(sampler, arrival, finishing ? SONDE__FORM_DATA : sampler->form, pass, sum, term->weight,
                          term->row_scalar);
            continue;
        }
        if (term->which == SONDE__PATH_NOISE)
            source.stream = (uint32_t)engine->run.step * SONDE__PATH_PURPOSES + wanted->purpose;
        else source.flat = engine->memory[next->place[term->which]];
        run_add(pass, sum, source, term->weight, term->row_scalar);
    }
    if (sum->count == 0) /* every weight was 0 */
        run_add(pass, sum, (struct run_source){engine->memory[next->place[SONDE__PATH_X]], NULL, 0}, 0, -1);
}

/* Carries out the sums of a move; their results become buffers of `next`. */
static sonde_status run_move(const sonde_path_sampler *sampler, sonde__path_run *next,
                             const struct run_arrival *arrival, const sonde__path_move *move)
{
    struct run_pass pass;
    int place[SONDE__PATH_SUMS];
    uint32_t taken = 0;
    if (move->count == 0) return SONDE_OK;
    run_pass_begin(sampler, &pass);
    for (int i = 0; i < move->count; i++) {
        place[i] = run_spare(sampler, next, taken);
        taken |= 1u << place[i];
        pass.sums[i].to = sampler->engine->memory[place[i]];
        run_expand(sampler, next, arrival, &move->sums[i], &pass, &pass.sums[i]);
        pass.sum_count++;
    }
    SONDE_TRY(run_pass_go(&pass));
    if (pass.spoilt) return run_fail_spoilt(sampler, &pass, arrival->told);
    for (int i = 0; i < move->count; i++) {
        next->place[move->sums[i].out] = (int8_t)place[i];
        next->written |= 1u << move->sums[i].out;
    }
    return SONDE_OK;
}

/* Moves from one prediction to where the next is wanted. `first` says what to do to begin with. */
static sonde_status run_advance(sonde_path_sampler *sampler, sonde__path_run *next, struct run_arrival *arrival,
                                sonde_status (*first)(sonde_path_sampler *, sonde__path_run *, sonde__path_move *))
{
    sonde__path_move move;
    bool finishing = arrival->told && sampler->engine->run.step == sampler->steps;
    do {
        move.count = 0;
        move.then = SONDE__PATH_EVALUATE;
        if (finishing) SONDE_TRY(run_finish(sampler, next, &move));
        else SONDE_TRY(first(sampler, next, &move));
        SONDE_TRY(run_move(sampler, next, arrival, &move));
        first = sampler->method->advance;
        arrival->told = NULL;
    } while (move.then == SONDE__PATH_AGAIN);
    next->done = move.then == SONDE__PATH_DONE;
    next->condition = sampler->model->condition;
    return SONDE_OK;
}

/* Lets `first` act on a copy of the run, which replaces the run if nothing failed. */
static sonde_status run_transact(sonde_path_sampler *sampler, struct run_arrival *arrival,
                                 sonde_status (*first)(sonde_path_sampler *, sonde__path_run *, sonde__path_move *))
{
    sonde__path_engine *engine = sampler->engine;
    sonde__path_run next = engine->run;
    size_t scalars = (size_t)(sampler->row_scalars * engine->rows) * sizeof(double);
    if (scalars) memcpy(engine->row_scalars_next, engine->row_scalars, scalars);
    engine->next = &next;
    sonde_status status = run_advance(sampler, &next, arrival, first);
    engine->next = NULL;
    if (status != SONDE_OK) return status;
    double *old = engine->row_scalars;
    engine->row_scalars = engine->row_scalars_next;
    engine->row_scalars_next = old;
    engine->run = next;
    engine->shown_ready = false;
    return SONDE_OK;
}

sonde_status sonde__path_tell(sonde_path_sampler *sampler, const sonde_array *prediction)
{
    sonde__path_run *run = &sampler->engine->run;
    struct run_arrival arrival = {0};
    if (sampler->model->guided && run->condition == 1) {
        SONDE_TRY(run_hold(sampler, prediction));
        run->condition = 0;
        run->evaluation++;
        return SONDE_OK;
    }
    SONDE_TRY(run_arrive(sampler, prediction, &arrival));
    SONDE_TRY(run_transact(sampler, &arrival, sampler->method->advance));
    run->evaluation++;
    return SONDE_OK;
}

/* ---- beginning ------------------------------------------------------------------------------------------------- */

void sonde__path_engine_drop(sonde_path_sampler *sampler)
{
    sonde__path_engine *engine = sampler->engine;
    if (!engine) return;
    for (int i = 0; i < SONDE__PATH_PLACES; i++) sonde__free(sampler->runtime, engine->memory[i]);
    sonde__free(sampler->runtime, engine->held);
    sonde__free(sampler->runtime, engine->bent);
    sonde__free(sampler->runtime, engine->shown);
    sonde__free(sampler->runtime, engine->row_scalars);
    sonde__free(sampler->runtime, engine->row_scalars_next);
    memset(engine, 0, sizeof *engine);
}

static sonde_status run_memory(const sonde_path_sampler *sampler, sonde__path_engine *made)
{
    sonde_runtime *runtime = sampler->runtime;
    int64_t size = made->rows * sampler->dim;
    for (int i = 0; i < made->places; i++) SONDE_TRY(SONDE_NEW_ZERO(runtime, made->memory[i], size));
    if (sampler->model->guided) SONDE_TRY(SONDE_NEW_ZERO(runtime, made->held, size));
    if (sampler->model->limit) SONDE_TRY(SONDE_NEW_ZERO(runtime, made->bent, size));
    if (sampler->model->prediction == SONDE_PREDICTION_EDM) SONDE_TRY(SONDE_NEW_ZERO(runtime, made->shown, size));
    SONDE_TRY(SONDE_NEW_ZERO(runtime, made->row_scalars, sampler->row_scalars * made->rows));
    return SONDE_NEW_ZERO(runtime, made->row_scalars_next, sampler->row_scalars * made->rows);
}

sonde_status sonde__path_engine_size(sonde_path_sampler *sampler, int64_t rows)
{
    sonde__path_engine made = {.rows = rows, .places = sampler->buffers + sampler->spares};
    sonde__path_engine *engine = sampler->engine;
    if (rows > INT64_MAX / 64 / sampler->dim)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "start: %lld rows of %lld values are too many", (long long)rows,
                           (long long)sampler->dim);
    if (engine->rows != rows) {
        sonde_path_sampler holder = *sampler; /* so that a failure keeps what was there */
        holder.engine = &made;
        sonde_status status = run_memory(sampler, &made);
        if (status != SONDE_OK) {
            sonde__path_engine_drop(&holder);
            return status;
        }
        sonde__path_engine_drop(sampler);
        *engine = made;
    }
    memset(&engine->run, 0, sizeof engine->run);
    for (int i = 0; i < sampler->buffers; i++) engine->run.place[i] = (int8_t)i;
    engine->run.condition = sampler->model->condition;
    engine->shown_ready = false;
    return SONDE_OK;
}

static sonde_status run_begin(sonde_path_sampler *sampler, sonde__path_run *run, sonde__path_move *move)
{
    if (sampler->method->begin && sampler->steps > 0) return sampler->method->begin(sampler, run, move);
    return sonde__path_jump(sampler, run, move, 0);
}

sonde_status sonde__path_engine_start(sonde_path_sampler *sampler, const sonde_array *x)
{
    struct run_pass pass;
    struct run_arrival none = {0};
    SONDE_TRY(sonde__path_engine_size(sampler, x->rows));
    sonde__path_engine *engine = sampler->engine;
    if (sampler->row_scalars)
        memset(engine->row_scalars, 0, (size_t)(sampler->row_scalars * x->rows) * sizeof(double));
    run_pass_begin(sampler, &pass);
    pass.sums[pass.sum_count++].to = engine->memory[SONDE__PATH_X];
    run_add(&pass, &pass.sums[0], run_array_source(x), 1, -1);
    sonde_status status = run_pass_go(&pass);
    engine->run.written = 1;
    if (status == SONDE_OK) status = run_transact(sampler, &none, run_begin);
    if (status != SONDE_OK) sonde__path_engine_drop(sampler);
    return status;
}

sonde_status sonde__path_show(sonde_path_sampler *sampler, const float **x)
{
    sonde__path_engine *engine = sampler->engine;
    const sonde__path_run *run = &engine->run;
    *x = sonde__path_buffer(sampler, run, run->done ? SONDE__PATH_X : (int)run->at_buffer);
    sonde__path_view seen = sonde__path_seen(sampler->model, &run->at);
    if (seen.scale == 1 || run->done) return SONDE_OK;
    if (!engine->shown_ready) {
        struct run_pass pass;
        run_pass_begin(sampler, &pass);
        pass.sums[pass.sum_count++].to = engine->shown;
        run_add(&pass, &pass.sums[0], (struct run_source){*x, NULL, 0}, seen.scale, -1);
        SONDE_TRY(run_pass_go(&pass));
        engine->shown_ready = true;
    }
    *x = engine->shown;
    return SONDE_OK;
}
