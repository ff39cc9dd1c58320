/* bench_tokens.c: microseconds a token for the usual chains, one row of f32 logits, one thread.
 *
 *     bench_tokens [milliseconds for each figure]
 *
 * Rows: normal (deviation 3), peaked (deviation 4 under a Zipf head, as of a language model that is sure), flat
 * (deviation 1) and equal (all logits the same, the worst case of a selection). The best of many runs counts, because
 * the machine may be shared.
 *
 * SPDX-License-Identifier: MIT
 */
#define _POSIX_C_SOURCE 200809L

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "sonde.h"

static const char *const chains[] = {
    "chain(top_k(k=40), top_p(mass=0.95), temperature(value=0.8))",
    "chain(top_p(mass=0.95), temperature(value=0.8))",
    "chain(min_p(ratio=0.05), temperature(value=0.8))",
    "chain(typical(mass=0.9), temperature(value=0.8))",
    "chain(top_n_sigma(n=1), temperature(value=0.8))",
    "chain(eta(cutoff=0.0003))",
    "chain(repetition(penalty=1.1), top_k(k=40))",
    "mirostat(tau=5)",
    "dist()",
    "gumbel()",
    "greedy()",
};

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static uint64_t random_state = 1;

static double uniform(void)
{
    uint64_t z = (random_state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return ((double)((z ^ (z >> 31)) >> 11) + 0.5) * 0x1p-53;
}

static double normal(void) { return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform()); }

enum { NORMAL, PEAKED, FLAT, EQUAL, KINDS };
static const char *const kinds[] = {"normal", "peaked", "flat", "equal"};

static void fill(float *row, int64_t vocabulary, int kind)
{
    static const double deviation[] = {3, 4, 1, 0};
    for (int64_t i = 0; i < vocabulary; i++) row[i] = (float)(deviation[kind] * normal());
    if (kind != PEAKED) return;
    for (int64_t k = 0; k < 50; k++)
        row[(int64_t)(uniform() * (double)vocabulary)] = (float)(24 - 2 * log((double)k + 1));
}

/* Best time of one call, in microseconds. */
static double measure(const char *spec, const sonde_array *row, double budget)
{
    sonde_token_sampler *sampler;
    sonde_runtime *runtime;
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    double best = INFINITY, end = seconds() + budget;
    int32_t token;
    options.threads = 1;
    if (sonde_runtime_create(&options, &runtime) || sonde_token_sampler_create(spec, row->cols, runtime, &sampler)) {
        fprintf(stderr, "%s\n", sonde_error_message());
        exit(1);
    }
    for (int turn = 0; turn < 5 || seconds() < end; turn++) {
        double begin = seconds();
        if (sonde_token_sampler_next(sampler, row, &token)) exit(1);
        double took = seconds() - begin;
        if (turn && took < best) best = took;
    }
    sonde_token_sampler_free(sampler);
    sonde_runtime_free(runtime);
    return best * 1e6;
}

int main(int argc, char **argv)
{
    static const int64_t sizes[] = {32000, 128256, 262144};
    double budget = (argc > 1 ? atof(argv[1]) : 100) * 1e-3;
    printf("%s\nmicroseconds a token\n", sonde_build_info());
    for (int s = 0; s < 3; s++) {
        float *rows = malloc((size_t)(KINDS * sizes[s]) * sizeof *rows);
        if (!rows) return 1;
        printf("\n%-62s", "");
        for (int kind = 0; kind < KINDS; kind++) {
            fill(rows + kind * sizes[s], sizes[s], kind);
            printf("%10s", kinds[kind]);
        }
        printf("   V = %lld\n", (long long)sizes[s]);
        for (size_t c = 0; c < sizeof chains / sizeof *chains; c++) {
            printf("%-62s", chains[c]);
            for (int kind = 0; kind < KINDS; kind++) {
                sonde_array row = sonde_f32(rows + kind * sizes[s], 1, sizes[s]);
                printf("%10.1f", measure(chains[c], &row, budget));
            }
            printf("\n");
        }
        free(rows);
    }
    return 0;
}
