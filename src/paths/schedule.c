/* schedule.c: schedules as a noun, and the plan of a run: n + 1 explicit nodes, four numbers each.
 *
 * A schedule says how much of a state is data and how much is noise: x = alpha x0 + sigma noise. A grid chooses the
 * times of the nodes, from noise to data:
 *
 *   uniform_t       even steps in time              quadratic   even steps in its square root
 *   uniform_lambda  even steps in log(alpha/sigma)  edm         even steps in (sigma/alpha)^(1/rho)
 *   linspace, leading, trailing                     the index grids of discrete schedules
 *
 * `final` says what comes after the last of them: nothing (t_end), one node of pure data that counts as a step
 * (zero), or such a node beyond all steps (denoise). Solvers only ever see the nodes; times are never looked up by
 * value. Sources: Ho et al. 2020; Song et al. 2021 (Score-SDE, DDIM); Karras et al. 2022 (EDM); Lu et al. 2022
 * (DPM-Solver).
 *
 * SPDX-License-Identifier: MIT
 */
#include "paths/schedule.h"

#include <math.h>

#define SCHEDULE(name) extern const sonde__schedule_method sonde__schedule_##name;
#include "paths/schedule_list.h"
#undef SCHEDULE

static const sonde__method *const schedule_methods[] = {
#define SCHEDULE(name) &sonde__schedule_##name.method,
#include "paths/schedule_list.h"
#undef SCHEDULE
    NULL,
};

static const sonde__key schedule_common[] = {
    {"steps", SONDE__KEY_INT, "20", 1, 100000, NULL, NULL, "steps from noise to data"},
    {"grid", SONDE__KEY_WORD, "auto", 0, 0, "auto|uniform_t|quadratic|uniform_lambda|edm|linspace|leading|trailing",
     NULL, "where the nodes lie; the last three for vp_discrete only"},
    {"rho", SONDE__KEY_REAL, "7", 1, 100, NULL, NULL, "grid=edm: larger puts more nodes near the data"},
    {"offset", SONDE__KEY_INT, "0", 0, 100000, NULL, NULL, "grid=leading: added to each index"},
    {"t_start", SONDE__KEY_REAL, "auto", 0, 1e6, "auto", NULL, "time of the first node"},
    {"t_end", SONDE__KEY_REAL, "auto", 0, 1e6, "auto", NULL, "time of the last node"},
    {"final", SONDE__KEY_WORD, "auto", 0, 0, "auto|t_end|zero|denoise", NULL,
     "stop at t_end, let the last step end at sigma = 0, or add such a step"},
    {0},
};

const sonde__noun sonde__schedule_noun = {"schedule", schedule_common, schedule_methods};

/* ---- making ---------------------------------------------------------------------------------------------------- */

sonde_status sonde__schedule_create(sonde_runtime *runtime, const sonde__params *params, sonde__schedule **schedule)
{
    sonde__schedule *made;
    SONDE_TRY(SONDE_NEW_ZERO(runtime, made, 1));
    made->runtime = runtime;
    made->params = params;
    made->method = (const sonde__schedule_method *)(const void *)sonde__params_method(params);
    made->deviation = 0.5;
    sonde_status status = made->method->create(made);
    if (status == SONDE_OK) *schedule = made;
    else sonde__schedule_free(made);
    return status;
}

void sonde__schedule_free(sonde__schedule *schedule)
{
    if (!schedule) return;
    sonde__free(schedule->runtime, schedule->table);
    sonde__free(schedule->runtime, schedule);
}

const char *sonde__schedule_name(const sonde__schedule *schedule) { return schedule->method->method.name; }
bool sonde__schedule_preserving(const sonde__schedule *schedule) { return schedule->method->preserving; }
bool sonde__schedule_exploding(const sonde__schedule *schedule) { return schedule->method->exploding; }

/* ---- places ---------------------------------------------------------------------------------------------------- */

void sonde__schedule_at(const sonde__schedule *schedule, double time, sonde__path_point *point)
{
    point->time = time;
    schedule->method->at(schedule, time, point);
}

double sonde__schedule_time(const sonde__schedule *schedule, double lambda)
{
    return schedule->method->time(schedule, lambda);
}

/* sigma from log alpha directly: 1 - alpha^2 would lose all digits near the data. */
void sonde__schedule_preserve(double log_alpha, double rate, sonde__path_point *point)
{
    point->alpha = exp(log_alpha);
    point->sigma = sqrt(-expm1(2 * log_alpha));
    point->lambda = log_alpha - log(point->sigma);
    point->alpha_rate = rate * point->alpha;
    point->sigma_rate = -point->alpha * point->alpha_rate / point->sigma;
}

/* Two forms of one function, each exact where the other would overflow. */
double sonde__schedule_log_alpha(double lambda)
{
    return lambda >= 0 ? -0.5 * log1p(exp(-2 * lambda)) : lambda - 0.5 * log1p(exp(2 * lambda));
}

/* ---- the plan -------------------------------------------------------------------------------------------------- */

/* What the keys of the plan say, "auto" resolved. */
struct schedule_grid {
    const char *name, *final;
    double start, end, rho;
    int64_t count; /* nodes of the grid proper */
};

static const char *schedule_choice(const sonde__params *params, const char *key, const char *automatic)
{
    return sonde__param_is(params, key, "auto") ? automatic : sonde__param_word(params, key);
}

static bool schedule_by_index(const char *grid)
{
    return strcmp(grid, "linspace") == 0 || strcmp(grid, "leading") == 0 || strcmp(grid, "trailing") == 0;
}

static bool schedule_by_lambda(const char *grid)
{
    return strcmp(grid, "uniform_lambda") == 0 || strcmp(grid, "edm") == 0;
}

static sonde_status schedule_end_time(const sonde__schedule *schedule, const char *key, double automatic,
                                      double *time)
{
    bool given = !sonde__param_is(schedule->params, key, "auto");
    *time = given ? sonde__param_real(schedule->params, key) : automatic;
    if (*time >= schedule->low && *time <= schedule->high) return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: %s=%.9g is outside %.9g..%.9g", sonde__schedule_name(schedule),
                       key, *time, schedule->low, schedule->high);
}

/* Only rf reaches lambda = -inf (at 1) and inf (at 0). */
static sonde_status schedule_range(const sonde__schedule *schedule, bool finite_lambda, struct schedule_grid *grid)
{
    bool by_lambda = schedule_by_lambda(grid->name), last_is_grid = strcmp(grid->final, "t_end") == 0;
    double end = schedule->end == 0 && (by_lambda || !last_is_grid) ? 1e-3 : schedule->end;
    SONDE_TRY(schedule_end_time(schedule, "t_start", schedule->start, &grid->start));
    SONDE_TRY(schedule_end_time(schedule, "t_end", end, &grid->end));
    sonde__path_point first;
    sonde__schedule_at(schedule, grid->start, &first);
    if (first.alpha <= 0 && (by_lambda || finite_lambda)) grid->start = 1 - 1e-6;
    if (grid->start > grid->end || grid->count == 1) return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: t_start=%.9g must be above t_end=%.9g",
                       sonde__schedule_name(schedule), grid->start, grid->end);
}

static sonde_status schedule_read_grid(const sonde__schedule *schedule, bool finite_lambda,
                                       struct schedule_grid *grid)
{
    const sonde__params *params = schedule->params;
    int64_t steps = sonde__param_int(params, "steps");
    grid->name = schedule_choice(params, "grid", schedule->method->grid);
    bool by_index = schedule_by_index(grid->name);
    grid->final = schedule_choice(params, "final", by_index ? "zero" : schedule->method->final);
    grid->rho = sonde__param_real(params, "rho");
    grid->count = strcmp(grid->final, "zero") == 0 ? steps : steps + 1;
    if (!by_index) return schedule_range(schedule, finite_lambda, grid);
    if (schedule->table_count == 0)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: grid=%s counts the steps of vp_discrete; %s has none",
                           sonde__schedule_name(schedule), grid->name, sonde__schedule_name(schedule));
    if (!sonde__param_is(params, "t_start", "auto") || !sonde__param_is(params, "t_end", "auto"))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: grid=%s goes from end to end: t_start and t_end must be auto",
                           sonde__schedule_name(schedule), grid->name);
    if (steps <= schedule->table_count) return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: steps=%lld are more than the %lld of the schedule",
                       sonde__schedule_name(schedule), (long long)steps, (long long)schedule->table_count);
}

/* Node i of an index grid of `steps` nodes over n table entries; the node beyond them, if the plan has it, is index
 * 0. */
static int64_t schedule_index(const sonde__schedule *schedule, const char *grid, int64_t steps, int64_t i)
{
    int64_t n = schedule->table_count;
    double share = (double)(steps - i) / (double)steps;
    if (i == steps) return 0;
    if (strcmp(grid, "linspace") == 0) return (int64_t)nearbyint((double)(n - 1) * share);
    if (strcmp(grid, "trailing") == 0) return (int64_t)nearbyint((double)n * share) - 1;
    return (steps - 1 - i) * (n / steps) + sonde__param_int(schedule->params, "offset");
}

static double schedule_mix(double from, double to, double share) { return from + (to - from) * share; }

/* Time of node i of an even grid; both ends are exact. */
static double schedule_node_time(const sonde__schedule *schedule, const struct schedule_grid *grid, int64_t i)
{
    if (i > 0 && i == grid->count - 1) return grid->end;
    if (i == 0) return grid->start;
    double share = (double)i / (double)(grid->count - 1);
    if (strcmp(grid->name, "uniform_t") == 0) return schedule_mix(grid->start, grid->end, share);
    if (strcmp(grid->name, "quadratic") == 0) {
        double root = schedule_mix(sqrt(grid->start), sqrt(grid->end), share);
        return root * root;
    }
    sonde__path_point first, last;
    sonde__schedule_at(schedule, grid->start, &first);
    sonde__schedule_at(schedule, grid->end, &last);
    if (strcmp(grid->name, "uniform_lambda") == 0)
        return sonde__schedule_time(schedule, schedule_mix(first.lambda, last.lambda, share));
    double root = schedule_mix(exp(-first.lambda / grid->rho), exp(-last.lambda / grid->rho), share);
    return sonde__schedule_time(schedule, -grid->rho * log(root));
}

static sonde_status schedule_check_node(const sonde__schedule *schedule, const sonde__path_plan *plan, int64_t i)
{
    const sonde__path_point *node = &plan->nodes[i];
    bool first = i == 0, last = i == plan->count - 1;
    bool sound = isfinite(node->alpha) && isfinite(node->sigma) && (node->alpha > 0 || (first && node->alpha == 0)) &&
                 (node->sigma > 0 || (last && node->sigma == 0));
    if (!sound)
        return sonde__fail(
            SONDE_INVALID_ARGUMENT,
            "%s: node %lld has alpha=%g and sigma=%g; both must be finite and above 0 between the ends",
            sonde__schedule_name(schedule), (long long)i, node->alpha, node->sigma);
    if (first || (node->lambda - node[-1].lambda >= 1e-9)) return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT,
                       "%s: nodes %lld and %lld are repeated or out of order: log(alpha/sigma) is %.12g, then %.12g",
                       sonde__schedule_name(schedule), (long long)i - 1, (long long)i, node[-1].lambda, node->lambda);
}

static void schedule_fill(const sonde__schedule *schedule, const struct schedule_grid *grid, sonde__path_point *nodes)
{
    int64_t steps = sonde__param_int(schedule->params, "steps");
    for (int64_t i = 0; i < grid->count; i++) {
        double time;
        if (schedule_by_index(grid->name))
            time = (double)(schedule_index(schedule, grid->name, steps, i) + 1) / (double)schedule->table_count;
        else time = schedule_node_time(schedule, grid, i);
        if (schedule->method->warp && !schedule_by_lambda(grid->name)) time = schedule->method->warp(schedule, time);
        sonde__schedule_at(schedule, time, &nodes[i]);
    }
}

sonde_status sonde__schedule_plan(const sonde__schedule *schedule, bool finite_lambda, sonde__path_plan *plan)
{
    struct schedule_grid grid = {0};
    SONDE_TRY(schedule_read_grid(schedule, finite_lambda, &grid));
    bool append = strcmp(grid.final, "t_end") != 0;
    plan->count = grid.count + append;
    SONDE_TRY(SONDE_NEW_ZERO(schedule->runtime, plan->nodes, plan->count));
    schedule_fill(schedule, &grid, plan->nodes);
    if (append) plan->nodes[grid.count] = (sonde__path_point){.alpha = 1, .lambda = HUGE_VAL};
    plan->zero = plan->nodes[plan->count - 1].sigma == 0;
    for (int64_t i = 0; i < plan->count; i++) {
        sonde_status status = schedule_check_node(schedule, plan, i);
        if (status == SONDE_OK) continue;
        sonde__free(schedule->runtime, plan->nodes);
        return status;
    }
    return SONDE_OK;
}
