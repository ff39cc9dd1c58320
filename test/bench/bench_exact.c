/* bench_exact.c: how fast exact search is, beside what the machine can do.
 *
 *   bench_exact [ROWS.npy [QUERIES.npy]]     f32 or f16; without files: 117,659 x 384 made-up rows
 *
 * Prints queries per second for batches of 1,000 queries (GFLOP/s: 2 x rows x columns a query) and for one query a call
 * (GB/s: bytes of all rows a query, whether they are read or, for the most part, their images of a quarter the size), on
 * one thread and on two, and as yardsticks the tile product alone with its data in cache, and the plain reading of as
 * many bytes. The best of several rounds.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bench.h"
#include "indexes/index.h"

enum { BATCH = 1000, K = 10, ROUNDS = 5, SINGLES = 60 };

static sonde_array make_up(int64_t rows, int64_t columns, uint64_t seed)
{
    float *x = get_memory((size_t)(rows * columns) * sizeof *x);
    for (int64_t i = 0; i < rows * columns; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        x[i] = (float)(int32_t)(seed >> 32) * 0x1p-31f;
    }
    return sonde_f32(x, rows, columns);
}

/* ---- yardsticks ---------------------------------------------------------------------------------------- */

static double best_of(double best, double start)
{
    double seconds = sonde__os_seconds() - start;
    return seconds < best ? seconds : best;
}

static double tile_rate(int64_t dim)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    int64_t rows = 64, lanes = kernels->lanes, times = 2000;
    float *x = get_memory((size_t)(rows * dim) * 4), *panel = get_memory((size_t)(lanes * dim) * 4);
    float *out = get_memory((size_t)(rows * lanes) * 4);
    for (int64_t i = 0; i < rows * dim; i++) x[i] = 1;
    for (int64_t i = 0; i < lanes * dim; i++) panel[i] = 1;
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        double start = sonde__os_seconds();
        for (int64_t i = 0; i < times; i++) kernels->tile_f32(panel, x, dim * 4, rows, dim, out);
        best = best_of(best, start);
    }
    free(x);
    free(panel);
    free(out);
    return 2.0 * (double)(rows * lanes * dim * times) / best * 1e-9;
}

/* Reading with four running sums of 64 bytes: nothing but loads. */
static double read_rate(const void *memory, int64_t bytes)
{
    typedef uint64_t wide __attribute__((vector_size(64), aligned(1)));
    const wide *from = memory;
    wide sum[4] = {{0}};
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        double start = sonde__os_seconds();
        for (int64_t i = 0; i + 4 <= bytes / 64; i += 4)
            for (int j = 0; j < 4; j++) sum[j] ^= from[i + j];
        best = best_of(best, start);
    }
    volatile uint64_t sink = (sum[0] ^ sum[1] ^ sum[2] ^ sum[3])[0];
    (void)sink;
    return (double)bytes / best * 1e-9;
}

/* ---- the searches -------------------------------------------------------------------------------------- */

static double batch_seconds(const sonde_index *index, const sonde_array *queries, uint32_t threads,
                            sonde_hits *hits)
{
    sonde_search_options options = SONDE_SEARCH_OPTIONS_INIT;
    options.k = K, options.threads = threads;
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        double start = sonde__os_seconds();
        must(sonde_index_search(index, queries, &options, hits));
        best = best_of(best, start);
    }
    return best;
}

static double single_seconds(const sonde_index *index, const sonde_array *queries, uint32_t threads,
                             sonde_hits *hits)
{
    double best = 1e9;
    for (int64_t q = 0; q < SINGLES; q++) {
        sonde_array one = *queries;
        one.data = (char *)queries->data + q % queries->rows * queries->stride;
        one.rows = 1;
        double seconds = batch_seconds(index, &one, threads, hits);
        if (seconds < best) best = seconds;
    }
    return best;
}

static void measure(const char *spec, const sonde_array *rows, const sonde_array *queries, sonde_hits *hits)
{
    sonde_index *index;
    must(sonde_index_create(spec, rows->cols, NULL, &index));
    must(sonde_index_add(index, rows, NULL));
    double row_bytes = (double)sonde_row_bytes(index->dtype, index->dim);
    for (uint32_t threads = 1; threads <= 2; threads++) {
        double batch = (double)queries->rows / batch_seconds(index, queries, threads, hits);
        double single = 1 / single_seconds(index, queries, threads, hits);
        double flop = 2.0 * (double)rows->rows * (double)rows->cols;
        printf("%-36s %u thread%s  batch %7.0f q/s %7.1f GFLOP/s   single %7.1f q/s %6.2f GB/s\n", spec,
               threads, threads > 1 ? "s" : " ", batch, flop * batch * 1e-9, single,
               (double)rows->rows * row_bytes * single * 1e-9);
        fflush(stdout);
    }
    sonde_index_free(index);
}

int main(int argc, char **argv)
{
    static const char *const specs[] = {"flat(metric=ip)", "flat(metric=ip, first=none)", "flat(metric=l2)",
                                        "flat(metric=l2, first=none)", "flat(metric=cosine)",
                                        "flat(metric=ip, dtype=f16)", "flat(metric=ip, dtype=f16, first=i8)"};
    sonde_array rows = argc > 1 ? read_npy(argv[1]) : make_up(117659, 384, 1);
    sonde_array queries = argc > 2 ? read_npy(argv[2]) : make_up(BATCH, rows.cols, 2);
    if (queries.rows > BATCH) queries.rows = BATCH;
    if (queries.rows == 0 || queries.cols != rows.cols)
        give_up("rows and queries do not fit together");
    int64_t *ids = get_memory((size_t)(queries.rows * K) * sizeof *ids);
    float *scores = get_memory((size_t)(queries.rows * K) * sizeof *scores);
    sonde_hits hits = {sizeof hits, 0, ids, scores, NULL, NULL};
    printf("%lld rows x %lld, %lld queries, k = %d, %s\n", (long long)rows.rows,
           (long long)rows.cols,
           (long long)queries.rows, K, sonde__kernels_get()->name);
    printf("yardsticks of one thread: tile product in cache %.1f GFLOP/s, reading %.2f GB/s\n",
           tile_rate(rows.cols),
           read_rate(rows.data, rows.rows * rows.stride));
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++)
        measure(specs[i], &rows, &queries, &hits);
    free(rows.data);
    free(queries.data);
    free(ids);
    free(scores);
    return 0;
}
