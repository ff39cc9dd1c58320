/* likelihood.c: the log-likelihood of data rows under a model, along the probability-flow ODE from data to
 * noise.
 *
 * start gets data; the run goes through the plan backwards (nodes[0] is data) and ends in noise. In z = x /
 * n, n = alpha + sigma, w = sigma / n (dormand_prince.c) the ODE is dz/dw = u, and so
 *
 *     log p(x_0) = log N(x_T; 0, s^2) + D log (n_T / n_0) + integral over w of n trace(du/dx)
 *
 * with s = sigma_T where alpha = 1, else 1. The trace is the mean of v (u(x + d v) - u(x - d v)) / (2 d) over
 * probes v: random signs that stay the same along a row's path (Hutchinson's estimator: unbiased), or, with
 * exact=yes, the sum over all unit vectors. d is delta sigma. Each stage of a step thus asks for 1 + 2 probes
 * predictions; stages of weight 0 in the step for one. The integral is taken by the step's own weights, and
 * the state's error alone controls the steps.
 *
 * Source: Song et al., "Score-based generative modeling through stochastic differential equations", ICLR
 * 2021; Grathwohl et al., "FFJORD", ICLR 2019. Layout: Dormand-Prince's buffers, then the probe, the state
 * beside the path, the value there; row scalars: below. Cost: about 6 + 10 probes predictions a step.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "kernels/kernels.h"
#include "paths/dormand_prince.h"

enum { LIKE_PROBE = SONDE__DORMAND_BUFFERS, LIKE_BESIDE, LIKE_VALUE, LIKE_BUFFERS };
enum { LIKE_AT = SONDE__DORMAND_SCALARS }; /* which probe */

/* Of each row: the integral so far; the divergence at the step's start; the weighted sum of the later
 * stages'; the result, as its f32, whose eight bytes are otherwise 0 before, and LIKE_READY after it is
 * there. */
enum { LIKE_TOTAL, LIKE_FIRST, LIKE_LATER, LIKE_RESULT, LIKE_ROW_SCALARS };
enum { LIKE_READY = 1 };

/* What arrives: stage = 4 (stage of Dormand-Prince - 1) + phase. */
enum { LIKE_SLOPE, LIKE_PLUS, LIKE_MINUS, LIKE_COLLECT, LIKE_PHASES };
enum { LIKE_JUDGE = LIKE_PHASES * SONDE__DORMAND_STAGES, LIKE_BEGIN, LIKE_STAGES };

static int64_t like_stage(int stage, int phase) { return LIKE_PHASES * (stage - 1) + phase; }

static int64_t like_probes(const sonde_path_sampler *sampler)
{
    bool exact = sonde__param_is(sampler->params, "exact", "yes");
    return exact ? sampler->dim : sonde__param_int(sampler->params, "probes");
}

/* The probe is moved by delta sigma: as far as the model is about linear. */
static double like_distance(const sonde_path_sampler *sampler, const sonde__path_run *run)
{
    return sonde__param_real(sampler->params, "delta") * run->at.sigma;
}

static sonde_status like_create(sonde_path_sampler *sampler)
{
    SONDE_TRY(sonde__dormand_create(sampler));
    if (sampler->zero)
        return sonde__fail(
            SONDE_INVALID_ARGUMENT,
            "likelihood: the plan ends with a jump to sigma = 0, which has no density; use final=t_end");
    sonde__dormand_turn(sampler);
    sampler->buffers = LIKE_BUFFERS;
    sampler->spares = 8;
    sampler->stages = LIKE_STAGES;
    sampler->row_scalars = LIKE_ROW_SCALARS;
    return SONDE_OK;
}

/* ---- the divergence ------------------------------------------------------------------------------------ */

struct like_job {
    sonde_path_sampler *sampler;
    float *probe;
    const float *change;
    double *sums, weight;
    int64_t at;
    bool exact;
};

/* Streams of the engine's noise are step * SONDE__PATH_PURPOSES + purpose; a likelihood draws none. */
static sonde_status like_draw_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct like_job *job = context;
    int64_t dim = job->sampler->dim;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        float *v = job->probe + i * dim;
        sonde__rng rng;
        uint32_t bits = 0;
        sonde__rng_start(&rng, job->sampler->seed, (uint32_t)job->at, (uint64_t)i);
        for (int64_t j = 0; j < dim; j++) {
            if (j % 32 == 0) bits = sonde__rng_u32(&rng);
            v[j] = job->exact ? (float)(j == job->at) : bits >> j % 32 & 1 ? 1.0f : -1.0f;
        }
    }
    return SONDE_OK;
}

static sonde_status like_collect_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct like_job *job = context;
    int64_t dim = job->sampler->dim;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        double sum = 0;
        for (int64_t j = 0; j < dim; j++)
            sum += (double)job->probe[i * dim + j] * (double)job->change[i * dim + j];
        job->sums[i] += job->weight * sum;
    }
    return SONDE_OK;
}

static sonde_status like_each_row(struct like_job *job, sonde__chunk_fn fn)
{
    int64_t grain = sonde__max_i64(1, 16384 / job->sampler->dim);
    return sonde__parallel_for(job->sampler->runtime, 0, sonde__path_rows(job->sampler), grain, NULL, fn,
                               job);
}

/* Makes probe number `at` of the stage, and asks beside the place that the stage is at. `place`: the buffer
 * of its state. */
static sonde_status like_probe(sonde_path_sampler *sampler, sonde__path_run *run, sonde__path_move *move,
                               int stage, int place, int64_t at)
{
    struct like_job job = {
        .sampler = sampler, .at = at, .exact = sonde__param_is(sampler->params, "exact", "yes")};
    run->scalars[LIKE_AT] = (double)at;
    job.probe = sonde__path_fresh(sampler, run, LIKE_PROBE);
    SONDE_TRY(like_each_row(&job, like_draw_rows));
    sonde__path_sum *beside = sonde__path_out(move, LIKE_BESIDE);
    sonde__path_add(beside, place, 1);
    sonde__path_add(beside, LIKE_PROBE, like_distance(sampler, run));
    sonde__path_point here = run->at;
    return sonde__path_evaluate(run, move, LIKE_BESIDE, &here, like_stage(stage, LIKE_PLUS));
}

/* The value at x + d v is kept; asks for that at x - d v. */
static sonde_status like_plus(sonde_path_sampler *sampler, sonde__path_run *run, sonde__path_move *move,
                              int stage)
{
    sonde__path_add(sonde__path_out(move, LIKE_VALUE), SONDE__PATH_VALUE, 1);
    sonde__path_sum *beside = sonde__path_out(move, LIKE_BESIDE);
    sonde__path_add(beside, sonde__dormand_place(stage), 1);
    sonde__path_add(beside, LIKE_PROBE, -like_distance(sampler, run));
    sonde__path_point here = run->at;
    return sonde__path_evaluate(run, move, LIKE_BESIDE, &here, like_stage(stage, LIKE_MINUS));
}

static sonde_status like_minus(sonde__path_run *run, sonde__path_move *move, int stage)
{
    sonde__path_sum *change = sonde__path_out(move, LIKE_VALUE);
    sonde__path_add(change, LIKE_VALUE, 1);
    sonde__path_add(change, SONDE__PATH_VALUE, -1);
    return sonde__path_again(run, move, like_stage(stage, LIKE_COLLECT));
}

/* Adds what the probe says; goes on with the next probe or the next stage. */
static sonde_status like_collect(sonde_path_sampler *sampler, sonde__path_run *run, sonde__path_move *move,
                                 int stage)
{
    int64_t probes = like_probes(sampler),
            at = 1 + (int64_t)fmin(fmax(run->scalars[LIKE_AT], 0), (double)probes);
    struct like_job job = {.sampler = sampler,
                           .probe = (float *)sonde__path_buffer(sampler, run, LIKE_PROBE),
                           .change = sonde__path_buffer(sampler, run, LIKE_VALUE),
                           .sums = sonde__path_row_scalars(sampler, stage == 1 ? LIKE_FIRST : LIKE_LATER)};
    job.weight = (run->at.alpha + run->at.sigma) / (2 * like_distance(sampler, run));
    if (!sonde__param_is(sampler->params, "exact", "yes")) job.weight /= (double)probes;
    if (stage > 1) job.weight *= sonde__dormand_weight(stage);
    SONDE_TRY(like_each_row(&job, like_collect_rows));
    if (at < probes) return like_probe(sampler, run, move, stage, sonde__dormand_place(stage), at);
    return sonde__dormand_try(sampler, run, move, stage + 1, sonde__dormand_slope(stage),
                              like_stage(stage + 1, LIKE_SLOPE));
}

/* ---- steps --------------------------------------------------------------------------------------------- */

/* The state is noise now: adds its density, and puts the result where `output` finds it. */
static void like_finish(sonde_path_sampler *sampler, const sonde__path_run *run)
{
    const sonde__path_point *data = &sampler->nodes[0], *noise = &sampler->nodes[sampler->steps];
    const float *x = sonde__path_buffer(sampler, run, SONDE__DORMAND_TRIAL);
    const double *total = sonde__path_row_scalars(sampler, LIKE_TOTAL);
    double *result = sonde__path_row_scalars(sampler, LIKE_RESULT), dim = (double)sampler->dim;
    double spread = sonde__schedule_exploding(sampler->schedule) ? noise->sigma : 1;
    double constant = dim * (log((noise->alpha + noise->sigma) / (data->alpha + data->sigma)) -
                             log(6.283185307179586 * spread * spread) / 2);
    for (int64_t i = 0; i < sonde__path_rows(sampler); i++) {
        double square = sonde__kernels_get()->norm2(x + i * sampler->dim, sampler->dim);
        float value = (float)(total[i] + constant - square / (2 * spread * spread));
        uint32_t ready = LIKE_READY;
        memcpy(&result[i], &value, sizeof value);
        memcpy((uint8_t *)&result[i] + sizeof value, &ready, sizeof ready);
    }
}

static sonde_status like_judge(sonde_path_sampler *sampler, sonde__path_run *run, sonde__path_move *move)
{
    bool good;
    double taken, *total = sonde__path_row_scalars(sampler, LIKE_TOTAL);
    double *first = sonde__path_row_scalars(sampler, LIKE_FIRST),
           *later = sonde__path_row_scalars(sampler, LIKE_LATER);
    SONDE_TRY(sonde__dormand_judge(sampler, run, &good, &taken));
    for (int64_t i = 0; i < sonde__path_rows(sampler); i++) {
        if (good) total[i] += taken * (sonde__dormand_weight(1) * first[i] + later[i]);
        if (good) first[i] = 0;
        later[i] = 0;
    }
    if (!good) return sonde__path_again(run, move, LIKE_BEGIN);
    sonde__dormand_accept(move);
    if (!sonde__dormand_arrived(sampler, run))
        return like_probe(sampler, run, move, 1, SONDE__DORMAND_TRIAL, 0);
    like_finish(sampler, run);
    return sonde__path_jump(sampler, run, move, sampler->steps);
}

/* The slope of a stage has arrived. */
static sonde_status like_slope(sonde_path_sampler *sampler, sonde__path_run *run, sonde__path_move *move,
                               int stage)
{
    if (stage == SONDE__DORMAND_STAGES) {
        sonde__dormand_compare(run, move);
        return sonde__path_again(run, move, LIKE_JUDGE);
    }
    sonde__path_add(sonde__path_out(move, sonde__dormand_slope(stage)), SONDE__PATH_VALUE, 1);
    if (sonde__dormand_weight(stage) == 0)
        return sonde__dormand_try(sampler, run, move, stage + 1, SONDE__PATH_VALUE,
                                  like_stage(stage + 1, LIKE_SLOPE));
    return like_probe(sampler, run, move, stage, sonde__dormand_place(stage), 0);
}

static sonde_status like_advance(sonde_path_sampler *sampler, sonde__path_run *run, sonde__path_move *move)
{
    int stage = 1 + (int)(run->stage / LIKE_PHASES);
    sonde__dormand_begin(sampler, run);
    if (run->stage == LIKE_JUDGE) return like_judge(sampler, run, move);
    if (run->stage > like_stage(SONDE__DORMAND_STAGES, LIKE_SLOPE)) /* LIKE_BEGIN, or a damaged file */
        return sonde__dormand_try(sampler, run, move, 2, sonde__dormand_slope(1), like_stage(2, LIKE_SLOPE));
    switch (run->stage % LIKE_PHASES) {
    case LIKE_SLOPE: return like_slope(sampler, run, move, stage);
    case LIKE_PLUS: return like_plus(sampler, run, move, stage);
    case LIKE_MINUS: return like_minus(run, move, stage);
    default: return like_collect(sampler, run, move, stage);
    }
}

/* The floats lie eight bytes apart. */
static sonde_status like_output(const sonde_path_sampler *sampler, const char *name, sonde_array *column)
{
    double *result = sonde__path_row_scalars((sonde_path_sampler *)sampler, LIKE_RESULT);
    uint32_t ready;
    (void)name;
    memcpy(&ready, (const uint8_t *)result + sizeof(float), sizeof ready);
    if (ready != LIKE_READY)
        return sonde__fail(SONDE_STATE,
                           "output: log_likelihood is there when the run is done, and it is not");
    *column = (sonde_array){.data = result,
                            .rows = sonde__path_rows(sampler),
                            .cols = 1,
                            .stride = sizeof(double),
                            .dtype = SONDE_DTYPE_F32};
    return SONDE_OK;
}

static const sonde__key like_keys[] = {
    SONDE__DORMAND_KEYS,
    {"exact", SONDE__KEY_WORD, "no", 0, 0, "no|yes", NULL,
     "take the trace by dim unit probes; no: estimate it by random ones"},
    {"probes", SONDE__KEY_INT, "1", 1, 1024, NULL, NULL, "random probes, two predictions a stage for each"},
    {"delta", SONDE__KEY_REAL, "0.02", 1e-4, 1, NULL, NULL, "distance of the differences, in sigma"},
    {0}};

static const sonde__output_key like_outputs[] = {
    {"state", "rows x dim", SONDE_DTYPE_F32, "where the run stands; the noise of the data when it is done"},
    {"log_likelihood", "rows x 1", SONDE_DTYPE_F32,
     "natural logarithm of the density of each row that start was given"},
    {0}};

const sonde__path_method sonde__path_likelihood = {
    .method = {.name = "likelihood",
               .summary = "log-likelihood of data, along the probability-flow ODE to noise",
               .source = "Song et al., ICLR 2021",
               .keys = like_keys,
               .outputs = like_outputs},
    .create = like_create,
    .advance = like_advance,
    .output = like_output,
    .drop = sonde__dormand_drop};
