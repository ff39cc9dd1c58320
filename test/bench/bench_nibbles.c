/* bench_nibbles.c: how fast the scan of 4-bit codes runs here, for each instruction set that this processor
 * has.
 *
 *   bench_nibbles [SET [ROWS]]      one set only; rows of a search, 1,048,576 unless given
 *
 * Prints lookups per nanosecond (rows x numbers x lanes), best and median of the rounds, with the codes in
 * the L2 cache and with more codes than the caches hold; `+ rows` has a scale and a bias for each row, `one
 * in 4` a filter that leaves every fourth block. `search` is the whole way of one query, or of four: rounding
 * its table, scanning a million rows, and keeping the 10 best, in million codes a second. Processor time of
 * one thread.
 *
 * SPDX-License-Identifier: MIT
 */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/kernels.h"

enum { ENTRIES = 16, ROWS = SONDE__NIBBLE_ROWS, LANES = SONDE__NIBBLE_LANES, MOST_PAIRS = 96, BEST = 10 };
enum { CACHE_BYTES = 256 * 1024, ROUNDS = 31, STEP_BLOCKS = 32 };
static const int64_t stream_bytes = (int64_t)192 << 20;
static const int64_t all_pairs[] = {8, 16, 24, 32, 48, 96};

typedef struct work {
    const sonde__kernels *set;
    const uint8_t *blocks;
    const float *scale, *bias, *tables;
    const uint32_t *allowed;
    float *scores;
    uint32_t *masks;
    uint8_t *luts;
    sonde__nibble_lane lanes[LANES];
    int64_t block_count, pairs, lane_count, search_rows;
} work;

static uint64_t random_bits(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 11;
}

static void *must(void *memory)
{
    if (memory) return memory;
    fprintf(stderr, "bench_nibbles: out of memory\n");
    exit(1);
}

static void *room(int64_t count, int64_t size)
{
    int64_t bytes = (count * size + 63) / 64 * 64;
    return memset(must(aligned_alloc(64, (size_t)bytes)), 0, (size_t)bytes);
}

/* ---- time ---------------------------------------------------------------------------------------------- */

typedef struct seconds {
    double best, median;
} seconds;

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double processor_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Rounds of a millisecond at least, so that a busy machine disturbs only some. */
static seconds seconds_of(void (*run)(work *), work *w)
{
    double all[ROUNDS];
    int64_t times = 1;
    for (int round = 0; round < ROUNDS;) {
        double start = processor_seconds();
        for (int64_t i = 0; i < times; i++) run(w);
        double elapsed = processor_seconds() - start;
        if (elapsed < 0.001) times *= elapsed < 0.0001 ? 8 : 2;
        else all[round++] = elapsed / (double)times;
    }
    qsort(all, ROUNDS, sizeof *all, by_size);
    return (seconds){all[0], all[ROUNDS / 2]};
}

/* ---- the scan alone ------------------------------------------------------------------------------------ */

/* In the steps that an index takes: the masks are to stay in the cache. */
static void run_scan(work *w)
{
    for (int64_t b = 0; b < w->block_count; b += STEP_BLOCKS) {
        int64_t count = sonde__min_i64(STEP_BLOCKS, w->block_count - b);
        w->set->nibble_scan(w->blocks + b * w->pairs * ROWS, count, w->pairs,
                            w->scale ? w->scale + b * ROWS : NULL, w->bias ? w->bias + b * ROWS : NULL,
                            w->allowed ? w->allowed + b : NULL, w->lanes, w->lane_count, w->scores, w->masks);
    }
}

static void round_tables(work *w)
{
    for (int64_t lane = 0; lane < w->lane_count; lane++) {
        sonde__nibble_lane *to = &w->lanes[lane];
        uint8_t *lut = w->luts + lane * MOST_PAIRS * 4 * ENTRIES;
        w->set->nibble_round(w->tables + lane * MOST_PAIRS * 2 * ENTRIES, 2 * w->pairs, lut, &to->step,
                             &to->base);
        to->lut = lut;
        to->threshold = INFINITY;
    }
}

static void print_scan(work *w, const char *name, int64_t bytes, double share)
{
    printf("  %-12s %5d", name, (int)w->lane_count);
    for (size_t i = 0; i < sizeof all_pairs / sizeof all_pairs[0]; i++) {
        w->pairs = all_pairs[i];
        w->block_count = bytes / (w->pairs * ROWS);
        round_tables(w);
        seconds took = seconds_of(run_scan, w);
        double lookups = share * 1e-9 * (double)(w->block_count * ROWS * w->pairs * 2 * w->lane_count);
        printf("  %5.0f %5.0f", lookups / took.best, lookups / took.median);
        fflush(stdout);
    }
    printf("\n");
}

/* ---- search -------------------------------------------------------------------------------------------- */

/* The best scores, the least first. */
typedef struct best_rows {
    float scores[BEST];
    int64_t rows[BEST];
} best_rows;

static void keep_row(best_rows *best, float score, int64_t row)
{
    int at = 0;
    for (; at + 1 < BEST && best->scores[at + 1] < score; at++) {
        best->scores[at] = best->scores[at + 1];
        best->rows[at] = best->rows[at + 1];
    }
    best->scores[at] = score;
    best->rows[at] = row;
}

static void keep_passing(work *w, best_rows *best, int64_t first, int64_t blocks)
{
    for (int64_t i = 0; i < blocks * w->lane_count; i++) {
        best_rows *kept = best + i % w->lane_count;
        for (uint32_t mask = w->masks[i]; mask; mask &= mask - 1) {
            int v = __builtin_ctz(mask);
            if (w->scores[i * ROWS + v] > kept->scores[0])
                keep_row(kept, w->scores[i * ROWS + v], (first + i / w->lane_count) * ROWS + v);
        }
    }
    for (int64_t lane = 0; lane < w->lane_count; lane++) w->lanes[lane].threshold = best[lane].scores[0];
}

static volatile int64_t found; /* keeps results alive */

static void run_search(work *w)
{
    best_rows best[LANES];
    round_tables(w);
    for (int lane = 0; lane < LANES; lane++)
        for (int i = 0; i < BEST; i++) best[lane].scores[i] = -INFINITY;
    for (int64_t lane = 0; lane < w->lane_count; lane++) w->lanes[lane].threshold = -INFINITY;
    for (int64_t b = 0; b < w->block_count; b += STEP_BLOCKS) {
        int64_t count = sonde__min_i64(STEP_BLOCKS, w->block_count - b);
        w->set->nibble_scan(w->blocks + b * w->pairs * ROWS, count, w->pairs, NULL,
                            w->bias ? w->bias + b * ROWS : NULL, NULL, w->lanes, w->lane_count, w->scores,
                            w->masks);
        keep_passing(w, best, b, count);
    }
    found = best[0].rows[0];
}

static void print_search(work *w, const char *name)
{
    printf("  %-12s %5d", name, (int)w->lane_count);
    for (size_t i = 0; i < sizeof all_pairs / sizeof all_pairs[0]; i++) {
        w->pairs = all_pairs[i];
        w->block_count = w->search_rows / ROWS;
        seconds took = seconds_of(run_search, w);
        double codes = 1e-6 * (double)(w->search_rows * w->lane_count);
        printf("  %5.0f %5.0f", codes / took.best, codes / took.median);
        fflush(stdout);
    }
    printf("\n");
}

/* ---- all ----------------------------------------------------------------------------------------------- */

static void bench_set(work *w, const float *ones, const uint32_t *quarter)
{
    const int64_t lane_counts[] = {1, 2, 4};
    printf("%s: best and median of %d; pairs", w->set->name, ROUNDS);
    for (size_t i = 0; i < sizeof all_pairs / sizeof all_pairs[0]; i++) printf(" %d", (int)all_pairs[i]);
    printf("\n");
    for (int i = 0; i < 3; i++) {
        w->lane_count = lane_counts[i];
        w->scale = w->bias = NULL;
        w->allowed = NULL;
        print_scan(w, "cache", CACHE_BYTES, 1);
        w->scale = w->bias = ones;
        print_scan(w, "+ rows", CACHE_BYTES, 1);
        w->scale = w->bias = NULL;
        w->allowed = quarter;
        print_scan(w, "one in 4", CACHE_BYTES, 0.25);
        w->allowed = NULL;
        print_scan(w, "memory", stream_bytes, 1);
        print_search(w, "search");
        w->bias = ones;
        print_search(w, "search + bias");
    }
}

int main(int argc, char **argv)
{
    const int64_t most_rows = stream_bytes / all_pairs[0], entries = MOST_PAIRS * 2 * ENTRIES;
    uint64_t state = 1;
    work w = {.scores = room(STEP_BLOCKS * LANES * ROWS, sizeof(float)),
              .luts = room(2 * LANES * entries, 1)};
    uint8_t *blocks = room(stream_bytes, 1);
    float *tables = room(LANES * entries, sizeof *tables), *ones = room(most_rows, sizeof *ones);
    uint32_t *quarter = room(most_rows / ROWS, sizeof *quarter);
    w.masks = room(STEP_BLOCKS * LANES, sizeof *w.masks);
    for (int64_t i = 0; i < stream_bytes; i++) blocks[i] = (uint8_t)random_bits(&state);
    for (int64_t i = 0; i < LANES * entries; i++) tables[i] = (float)(random_bits(&state) % 4096);
    for (int64_t i = 0; i < most_rows; i++) ones[i] = 1;
    for (int64_t b = 0; b < most_rows / ROWS; b += 4) quarter[b] = UINT32_MAX;
    w.blocks = blocks;
    w.tables = tables;
    w.search_rows = sonde__min_i64(argc > 2 ? atoll(argv[2]) : 1 << 20,
                                   stream_bytes / (MOST_PAIRS * ROWS) * ROWS);
    for (const sonde__kernels *const *set = sonde__kernels_all(); *set; set++) {
        if (!sonde__kernels_run(*set) || (argc > 1 && strcmp(argv[1], (*set)->name) != 0)) continue;
        w.set = *set;
        bench_set(&w, ones, quarter);
    }
    return 0;
}
