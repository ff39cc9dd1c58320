/* bench_rows.c: processor seconds of drawing rows, on one thread, within 512 MiB.
 *
 *   bench_rows [rows]       10,000,000 unless given
 *
 * weighted            a draw of 10,000 of 1,000,000 without replacement, fitting apart, for equal, even and
 *                     heavy-tailed weights (numpy: Generator.choice(1_000_000, 10_000, replace=False, p=p));
 *                     a whole pass; with replacement
 * random, stratified  fitting, and a pass over all rows in draws of 65,536
 * batches             rows assigned to buckets a second, and a pass with its plan
 * pack                a tenth of the rows packed into lines of 2,048
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/base.h"

enum { DRAW = 10000, POPULATION = 1000000, REPEATS = 5, STRATA = 1000, PIECE = 65536 };

static double processor_seconds(void) { return (double)clock() / CLOCKS_PER_SEC; }

static void check(sonde_status status)
{
    if (status == SONDE_OK) return;
    fprintf(stderr, "bench_rows: %s\n", sonde_error_message());
    exit(1);
}

static sonde_row_sampler *fitted(sonde_runtime *runtime, const char *spec, const char *input,
                                 sonde_array array, double *seconds)
{
    sonde_row_sampler *sampler = NULL;
    sonde_input inputs[] = {{input, &array}};
    check(sonde_row_sampler_create(spec, 0, runtime, &sampler));
    double start = processor_seconds();
    check(sonde_row_sampler_fit(sampler, inputs, 1));
    *seconds = processor_seconds() - start;
    return sampler;
}

/* The best time of a draw of `count` rows, each in a pass of its own. */
static double time_draw(sonde_row_sampler *sampler, int64_t count)
{
    double best = 1e9;
    for (int64_t pass = 0; pass < REPEATS; pass++) {
        sonde_rows rows = SONDE_ROWS_INIT;
        check(sonde_row_sampler_seek(sampler, pass));
        double start = processor_seconds();
        check(sonde_row_sampler_draw(sampler, count, &rows));
        best = fmin(best, processor_seconds() - start);
    }
    return best;
}

/* Seconds of one pass in draws of `count`. */
static double time_pass(sonde_row_sampler *sampler, int64_t count, int64_t *draws)
{
    sonde_rows rows = SONDE_ROWS_INIT;
    double start = processor_seconds();
    *draws = 0;
    do {
        check(sonde_row_sampler_draw(sampler, count, &rows));
        ++*draws;
    } while (!rows.last);
    return processor_seconds() - start;
}

static double unit(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return ((double)(*state >> 11) + 0.5) * 0x1p-53;
}

static void bench_weighted(sonde_runtime *runtime)
{
    const char *names[] = {"equal", "uniform", "pareto"};
    float *weights = malloc(POPULATION * sizeof *weights);
    double seconds, keep_seconds, fit_seconds;
    if (!weights) exit(1);
    for (int kind = 0; kind < 3; kind++) {
        uint64_t state = 1;
        for (int i = 0; i < POPULATION; i++) {
            double u = unit(&state);
            weights[i] = (float)(kind == 0 ? 1 : kind == 1 ? u : pow(u, -1));
        }
        sonde_array array = sonde_f32(weights, POPULATION, 1);
        sonde_row_sampler *sampler = fitted(runtime, "weighted()", "weights", array, &fit_seconds);
        double draw = time_draw(sampler, DRAW), pass = time_draw(sampler, POPULATION);
        sonde_row_sampler_free(sampler);
        sonde_row_sampler_free(fitted(runtime, "weighted(keep=10000)", "weights", array, &keep_seconds));
        sampler = fitted(runtime, "weighted(replace=yes)", "weights", array, &seconds);
        double replace = time_draw(sampler, POPULATION);
        sonde_row_sampler_free(sampler);
        printf("weighted %-8s fit %.2f ms, %d of %d %.2f ms, whole pass %.0f ms, keep=%d %.1f ms; with replacement: fit "
               "%.1f ms, %.1f ns a row\n",
               names[kind], 1e3 * fit_seconds, DRAW, POPULATION, 1e3 * draw, 1e3 * pass, DRAW, 1e3 * keep_seconds,
               1e3 * seconds, 1e9 * replace / POPULATION);
    }
    free(weights);
}

static void bench_passes(sonde_runtime *runtime, int64_t n)
{
    int32_t *column = malloc((size_t)n * sizeof *column);
    uint64_t state = 3;
    int64_t draws;
    double fit;
    if (!column) exit(1);
    sonde_array array = sonde_i32(column, n, 1);
    for (int64_t i = 0; i < n; i++) column[i] = (int32_t)i;
    sonde_row_sampler *sampler = fitted(runtime, "random()", "ids", array, &fit);
    printf("random      %lld rows: fit %.3f s, a pass %.3f s\n", (long long)n, fit,
           time_pass(sampler, PIECE, &draws));
    sonde_row_sampler_free(sampler);
    for (int64_t i = 0; i < n; i++) column[i] = (int32_t)(STRATA * unit(&state) * unit(&state));
    sampler = fitted(runtime, "stratified()", "groups", array, &fit);
    printf("stratified  %lld rows, %d strata: fit %.3f s, a pass %.3f s\n", (long long)n, STRATA, fit,
           time_pass(sampler, PIECE, &draws));
    sonde_row_sampler_free(sampler);
    for (int64_t i = 0; i < n; i++) {
        double normal = sqrt(-2 * log(unit(&state))) * cos(6.283185307179586 * unit(&state));
        column[i] = (int32_t)fmin(2048, fmax(8, exp(5 + 0.8 * normal)));
    }
    sampler = fitted(runtime, "batches(max_tokens=16384)", "lengths", array, &fit);
    double pass = time_pass(sampler, 0, &draws);
    printf("batches     %lld rows: fit %.3f s, %.1f M rows/s; a pass %.3f s, %lld batches\n", (long long)n,
           fit, (double)n / fit / 1e6, pass, (long long)draws);
    sonde_row_sampler_free(sampler);
    array.rows = n / 10;
    sampler = fitted(runtime, "pack(per=epoch, cap=2048, rule=best_fit)", "lengths", array, &fit);
    printf("pack        %lld rows: best_fit %.3f s, ", (long long)n / 10, fit);
    sonde_row_sampler_free(sampler);
    sampler = fitted(runtime, "pack(per=epoch, cap=2048)", "lengths", array, &fit);
    printf("ffd %.3f s\n", fit);
    sonde_row_sampler_free(sampler);
    free(column);
}

int main(int argc, char **argv)
{
    int64_t n = argc > 1 ? atoll(argv[1]) : 10000000;
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    sonde_runtime *runtime = NULL;
    options.threads = 1;
    options.memory_limit = (uint64_t)512 << 20;
    check(sonde_runtime_create(&options, &runtime));
    bench_weighted(runtime);
    bench_passes(runtime, n);
    sonde_runtime_free(runtime);
    return 0;
}
