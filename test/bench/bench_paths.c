/* bench_paths.c: what path samplers themselves cost: the time of a tell, without the model, per step.
 *
 *     bench_paths [VALUES [ROWS [SPEC...]]]        65536 values in 1 row, the usual solvers
 *
 * A tell moves the state and says where the next prediction is wanted. The prediction lies in memory, f32, as a model
 * would leave it; one thread. Best of several runs of 20 steps.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "sonde.h"

enum { RUNS = 30 };

static const char *const usual[] = {
    "ddim(prediction=noise)",
    "ddim(schedule=rf)",
    "ddim(eta=1)",
    "rhork(tab=heun2)",
    "rhork(tab=rk4)",
    "edm(schedule=karras)",
    "edm(schedule=karras, churn=10)",
    "ddim(guidance=5)",
    "ddim(threshold=dynamic)",
    "dpm(order=2)",
    "dpmpp(order=2, schedule=karras)",
    "dpmpp(order=3, schedule=karras)",
    "dpmpp(order=2, sde=yes)",
    "deis(order=3)",
    "unipc(order=2)",
    "unipc(order=3)",
};

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void check(sonde_status status)
{
    if (status == SONDE_OK) return;
    fprintf(stderr, "bench_paths: %s\n", sonde_error_message());
    exit(1);
}

/* Seconds of all tells of one run; *steps and *told get how many there were. */
static double measure(sonde_path_sampler *sampler, const sonde_array *x, const sonde_array *prediction,
                      int64_t *steps, int64_t *told)
{
    double spent = 0;
    sonde_ask ask = SONDE_ASK_INIT;
    check(sonde_path_sampler_start(sampler, x));
    check(sonde_path_sampler_ask(sampler, &ask));
    while (!ask.done) {
        double begin = seconds();
        check(sonde_path_sampler_tell(sampler, prediction));
        check(sonde_path_sampler_ask(sampler, &ask));
        spent += seconds() - begin;
    }
    *steps = ask.step;
    *told = ask.evaluation;
    return spent;
}

static void bench(const char *spec, int64_t rows, int64_t dim, sonde_runtime *runtime, const sonde_array *x,
                  const sonde_array *prediction)
{
    sonde_path_sampler *sampler = NULL;
    double best = 1e30;
    int64_t steps = 1, told = 0;
    if (sonde_path_sampler_create(spec, dim, runtime, &sampler) == SONDE_NOT_FOUND) return;
    if (!sampler) check(sonde_path_sampler_create(spec, dim, runtime, &sampler));
    for (int run = 0; run < RUNS; run++) {
        double spent = measure(sampler, x, prediction, &steps, &told);
        if (spent < best) best = spent;
    }
    printf("%-36s %9.2f us a step %9.2f us a tell %8.3f ns a value\n", spec, best / (double)steps * 1e6,
           best / (double)told * 1e6, best / (double)told / (double)(rows * dim) * 1e9);
    sonde_path_sampler_free(sampler);
}

int main(int argc, char **argv)
{
    int64_t values = argc > 1 ? atoll(argv[1]) : 65536, rows = argc > 2 ? atoll(argv[2]) : 1, dim = values / rows;
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    sonde_runtime *runtime = NULL;
    float *data = malloc((size_t)(2 * values) * sizeof *data);
    options.threads = 1;
    if (!data || values < 1 || rows < 1 || dim < 1) return 2;
    for (int64_t i = 0; i < 2 * values; i++) data[i] = (float)(i * 7919 % 1000) / 500 - 1;
    sonde_array x = sonde_f32(data, rows, dim), prediction = sonde_f32(data + values, rows, dim);
    check(sonde_runtime_create(&options, &runtime));
    printf("# %s; %lld values in %lld rows, one thread\n", sonde_build_info(), (long long)values, (long long)rows);
    if (argc > 3)
        for (int i = 3; i < argc; i++) bench(argv[i], rows, dim, runtime, &x, &prediction);
    else
        for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
            bench(usual[i], rows, dim, runtime, &x, &prediction);
    sonde_runtime_free(runtime);
    free(data);
    return 0;
}
