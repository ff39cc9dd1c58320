/* dormand_prince.c: adaptive Runge-Kutta steps of orders 5 and 4 along the probability-flow ODE.
 *
 * Whatever the schedule, with n = alpha + sigma, w = sigma / n and z = x / n the ODE is that of rectified
 * flow,
 *
 *     dz/dw = noise - data            w from about 1 (noise) to about 0 (data)
 *
 * without a singular end, so that one step control serves all schedules. Stage j is evaluated at w + c_j h,
 * where the schedule says which time that is; its state is n_j (x / n + h sum of a_jk slope_k), and the
 * seventh stage's is the step's result, whose slope begins the next step. The error is the difference to the
 * embedded solution of order 4, measured against atol + rtol |x|, root mean square over a row, the largest of
 * all rows: each row keeps the tolerance.
 *
 * Source: Dormand and Prince, "A family of embedded Runge-Kutta formulae", J. Comp. Appl. Math. 1980; step
 * control as in Hairer, Norsett and Wanner, "Solving ordinary differential equations I", 1993. Cost: six
 * predictions a step, and six for each step that is refused; a pass over up to eight buffers for each.
 *
 * SPDX-License-Identifier: MIT
 */
#include "paths/dormand_prince.h"

#include <math.h>

/* Row j - 2: weights of the slopes 1.. for the state of stage j; the last row is the step's. */
static const double dormand_stage[SONDE__DORMAND_STAGES - 1][SONDE__DORMAND_STAGES - 1] = {
    {1.0 / 5},
    {3.0 / 40, 9.0 / 40},
    {44.0 / 45, -56.0 / 15, 32.0 / 9},
    {19372.0 / 6561, -25360.0 / 2187, 64448.0 / 6561, -212.0 / 729},
    {9017.0 / 3168, -355.0 / 33, 46732.0 / 5247, 49.0 / 176, -5103.0 / 18656},
    {35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84}};
static const double dormand_at[SONDE__DORMAND_STAGES] = {0, 1.0 / 5, 3.0 / 10, 4.0 / 5, 8.0 / 9, 1, 1};
/* Order 5 less order 4. */
static const double dormand_error[SONDE__DORMAND_STAGES] = {
    71.0 / 57600, 0, -71.0 / 16695, 71.0 / 1920, -17253.0 / 339200, 22.0 / 525, -1.0 / 40};

#define DORMAND_FIRST 0.01    /* the first step, of the whole way */
#define DORMAND_SMALLEST 1e-9 /* the smallest */
#define DORMAND_DATA 1e-5     /* w of data where a schedule ends at 0 */

struct dormand_plan {
    double rtol, atol, first, last; /* w */
};

static double dormand_w(const sonde__path_point *point)
{
    return point->sigma / (point->alpha + point->sigma);
}

static double dormand_scale(const sonde__path_point *point) { return point->alpha + point->sigma; }

/* ---- plans --------------------------------------------------------------------------------------------- */

/* Leaves the first node, the last with sigma > 0, and the jump behind it. A node of a schedule moves by its
 * time, the jump's does not. */
static sonde_status dormand_ends(sonde_path_sampler *sampler)
{
    const sonde__path_point *nodes = sampler->nodes, *end = &nodes[sampler->node_count - 1];
    bool reaches = sampler->zero && end->sigma_rate != 0;
    sonde__path_point *made;
    SONDE_TRY(SONDE_NEW(sampler->runtime, made, 3));
    made[0] = nodes[0];
    made[1] = nodes[sampler->steps];
    made[2] = *end;
    if (reaches)
        sonde__schedule_at_lambda(sampler->schedule, log1p(-DORMAND_DATA) - log(DORMAND_DATA), &made[1]);
    sampler->zero = sampler->zero && !reaches;
    sampler->steps = 1;
    sampler->node_count = 2 + sampler->zero;
    sonde__free(sampler->runtime, sampler->nodes);
    sampler->nodes = made;
    if (made[1].lambda > made[0].lambda) return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: the plan needs two nodes with sigma > 0; add steps",
                       sampler->method->method.name);
}

static void dormand_set_ends(sonde_path_sampler *sampler)
{
    struct dormand_plan *plan = sampler->state;
    plan->first = dormand_w(&sampler->nodes[0]);
    plan->last = dormand_w(&sampler->nodes[1]);
}

void sonde__dormand_turn(sonde_path_sampler *sampler)
{
    sonde__path_point first = sampler->nodes[0];
    sampler->nodes[0] = sampler->nodes[1];
    sampler->nodes[1] = first;
    dormand_set_ends(sampler);
}

sonde_status sonde__dormand_create(sonde_path_sampler *sampler)
{
    struct dormand_plan *plan;
    SONDE_TRY(dormand_ends(sampler));
    SONDE_TRY(SONDE_NEW(sampler->runtime, plan, 1));
    plan->rtol = sonde__param_real(sampler->params, "rtol");
    plan->atol = sonde__param_real(sampler->params, "atol");
    sampler->state = plan;
    dormand_set_ends(sampler);
    sampler->form = SONDE__FORM_CONTRAST;
    sampler->buffers = SONDE__DORMAND_BUFFERS;
    sampler->spares = 6;
    return SONDE_OK;
}

void sonde__dormand_drop(sonde_path_sampler *sampler) { sonde__free(sampler->runtime, sampler->state); }

int sonde__dormand_slope(int stage)
{
    return SONDE__DORMAND_SLOPE + (stage == SONDE__DORMAND_STAGES ? 1 : stage - 1);
}

int sonde__dormand_place(int stage) { return stage == 1 ? SONDE__PATH_X : SONDE__DORMAND_TRIAL; }

double sonde__dormand_weight(int stage)
{
    return stage == SONDE__DORMAND_STAGES ? 0 : dormand_stage[SONDE__DORMAND_STAGES - 2][stage - 1];
}

/* ---- places -------------------------------------------------------------------------------------------- */

/* The ends are nodes themselves, so that nothing is lost where lambda is infinite. */
static sonde__path_point dormand_point(const sonde_path_sampler *sampler, double w)
{
    const struct dormand_plan *plan = sampler->state;
    sonde__path_point point;
    if (w == plan->first) return sampler->nodes[0];
    if (w == plan->last) return sampler->nodes[sampler->steps];
    sonde__schedule_at_lambda(sampler->schedule, log1p(-w) - log(w), &point);
    return point;
}

static double dormand_between(double value, double one, double other)
{
    return fmin(fmax(value, fmin(one, other)), fmax(one, other));
}

void sonde__dormand_begin(const sonde_path_sampler *sampler, sonde__path_run *run)
{
    const struct dormand_plan *plan = sampler->state;
    double whole = plan->last - plan->first, *w = &run->scalars[SONDE__DORMAND_W];
    double *step = &run->scalars[SONDE__DORMAND_STEP];
    if (*step == 0) {
        *w = plan->first;
        *step = DORMAND_FIRST * whole;
    }
    *w = dormand_between(*w, plan->first, plan->last);
    *step = dormand_between(*step, DORMAND_SMALLEST * whole, plan->last - *w);
}

bool sonde__dormand_arrived(const sonde_path_sampler *sampler, const sonde__path_run *run)
{
    const struct dormand_plan *plan = sampler->state;
    return run->scalars[SONDE__DORMAND_W] == plan->last;
}

/* Where the step ends: the last node itself, if that is as good as reached. */
static double dormand_end(const struct dormand_plan *plan, const sonde__path_run *run, double part)
{
    double w = run->scalars[SONDE__DORMAND_W], step = run->scalars[SONDE__DORMAND_STEP],
           left = plan->last - w;
    return part == 1 && fabs(step) >= fabs(left) * (1 - 1e-12) ? plan->last : w + part * step;
}

/* ---- steps --------------------------------------------------------------------------------------------- */

/* Adds h times the weighted slopes of stages 1..count, times scale; the last of them is at `newest`. */
static void dormand_add_slopes(sonde__path_sum *sum, const double *weights, int count, double scale,
                               int newest)
{
    for (int k = 1; k <= count; k++)
        sonde__path_add(sum, k == count ? newest : sonde__dormand_slope(k), scale * weights[k - 1]);
}

sonde_status sonde__dormand_try(const sonde_path_sampler *sampler, sonde__path_run *run,
                                sonde__path_move *move, int stage, int newest, int64_t number)
{
    const struct dormand_plan *plan = sampler->state;
    double w = run->scalars[SONDE__DORMAND_W], step = run->scalars[SONDE__DORMAND_STEP];
    sonde__path_point from = dormand_point(sampler, w);
    sonde__path_point at = dormand_point(sampler, dormand_end(plan, run, dormand_at[stage - 1]));
    double scale = dormand_scale(&at);
    sonde__path_sum *trial = sonde__path_out(move, SONDE__DORMAND_TRIAL);
    sonde__path_add(trial, SONDE__PATH_X, scale / dormand_scale(&from));
    dormand_add_slopes(trial, dormand_stage[stage - 2], stage - 1, scale * step, newest);
    return sonde__path_evaluate(run, move, SONDE__DORMAND_TRIAL, &at, number);
}

void sonde__dormand_compare(const sonde__path_run *run, sonde__path_move *move)
{
    double step = run->scalars[SONDE__DORMAND_STEP];
    sonde__path_sum *error = sonde__path_out(move, SONDE__DORMAND_ERROR);
    dormand_add_slopes(error, dormand_error, SONDE__DORMAND_STAGES, step * dormand_scale(&run->at),
                       SONDE__PATH_VALUE);
    sonde__path_add(sonde__path_out(move, sonde__dormand_slope(SONDE__DORMAND_STAGES)), SONDE__PATH_VALUE, 1);
}

void sonde__dormand_accept(sonde__path_move *move)
{
    sonde__path_add(sonde__path_out(move, SONDE__PATH_X), SONDE__DORMAND_TRIAL, 1);
    sonde__path_add(sonde__path_out(move, sonde__dormand_slope(1)),
                    sonde__dormand_slope(SONDE__DORMAND_STAGES), 1);
}

/* ---- the error ----------------------------------------------------------------------------------------- */

struct dormand_measure {
    const struct dormand_plan *plan;
    const float *before, *after, *error;
    int64_t dim;
    double *worst; /* of each chunk of rows */
    int64_t grain;
};

static double dormand_row_error(const struct dormand_measure *job, int64_t row)
{
    const float *before = job->before + row * job->dim, *after = job->after + row * job->dim;
    const float *error = job->error + row * job->dim;
    double sum = 0;
    for (int64_t j = 0; j < job->dim; j++) {
        double size = fmax(fabs((double)before[j]), fabs((double)after[j]));
        double ratio = (double)error[j] / (job->plan->atol + job->plan->rtol * size);
        sum += ratio * ratio;
    }
    return sqrt(sum / (double)job->dim);
}

static sonde_status dormand_measure_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct dormand_measure *job = context;
    double worst = 0;
    (void)worker;
    for (int64_t i = begin; i < end; i++) worst = fmax(worst, dormand_row_error(job, i));
    job->worst[begin / job->grain] = worst;
    return SONDE_OK;
}

static sonde_status dormand_largest(sonde_path_sampler *sampler, const sonde__path_run *run, double *largest)
{
    int64_t rows = sonde__path_rows(sampler), grain = sonde__max_i64(1, 16384 / sampler->dim);
    int64_t chunks = (rows + grain - 1) / grain;
    struct dormand_measure job = {.plan = sampler->state,
                                  .before = sonde__path_buffer(sampler, run, SONDE__PATH_X),
                                  .after = sonde__path_buffer(sampler, run, SONDE__DORMAND_TRIAL),
                                  .error = sonde__path_buffer(sampler, run, SONDE__DORMAND_ERROR),
                                  .dim = sampler->dim,
                                  .grain = grain};
    SONDE_TRY(SONDE_NEW(sampler->runtime, job.worst, chunks));
    sonde_status status = sonde__parallel_for(sampler->runtime, 0, rows, grain, NULL, dormand_measure_rows,
                                              &job);
    *largest = 0;
    for (int64_t i = 0; status == SONDE_OK && i < chunks; i++) *largest = fmax(*largest, job.worst[i]);
    sonde__free(sampler->runtime, job.worst);
    return status;
}

sonde_status sonde__dormand_judge(sonde_path_sampler *sampler, sonde__path_run *run, bool *good,
                                  double *taken)
{
    const struct dormand_plan *plan = sampler->state;
    double error, *w = &run->scalars[SONDE__DORMAND_W], *step = &run->scalars[SONDE__DORMAND_STEP];
    SONDE_TRY(dormand_largest(sampler, run, &error));
    *good = error <= 1;
    double factor = 0.9 * pow(fmax(error, 1e-10), -0.2);
    /* A step that grows faster may jump over what the estimate has not seen yet (Hairer, Norsett, Wanner 1993, II.4). */
    factor = *good ? dormand_between(factor, 0.2, 3) : dormand_between(factor, 0.1, 0.9);
    *taken = *step;
    if (*good) *w = dormand_end(plan, run, 1);
    *step *= factor;
    if (fabs(*step) < DORMAND_SMALLEST * fabs(plan->last - plan->first) && !*good)
        return sonde__fail(SONDE_STATE,
                           "%s: at sigma = %g of alpha + sigma the steps become too small; "
                           "is the model smooth? a larger rtol or atol may help",
                           sampler->method->method.name, *w);
    double left = plan->last - *w;
    if (fabs(*step) > fabs(left)) *step = left;
    return SONDE_OK;
}
