/* bench_kmeans.c: seconds and objectives of k-means, to be held against those of other libraries on the same file.
 *
 *   bench_kmeans FILE.npy [k [iterations]]     FILE: two-dimensional, f32 or f16, C order
 *
 * Clusters all rows with 1 and 2 threads (k = 1024, 20 iterations) and in two levels, then trains a product quantizer
 * of d / 8 parts of 8 columns with 256 centroids each (25 iterations, at most 65,536 rows) and measures its error on
 * all rows. The same with faiss: faiss.Kmeans(d, 1024, niter=20, seed=1, max_points_per_centroid=1 << 20) and
 * faiss.ProductQuantizer(d, d / 8, 8).
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#include "linalg/linalg.h"

enum { PART = 8, WORDS = 256, WORD_ITERATIONS = 25, WORD_SAMPLE = 65536 };

typedef struct matrix {
    float *x;
    int64_t n, d;
} matrix;

/* Wall-clock time, and processor time for machines that others use as well. */
typedef struct stopwatch {
    double wall, processor;
} stopwatch;

static stopwatch watch_read(void) { return (stopwatch){sonde__os_seconds(), (double)clock() / CLOCKS_PER_SEC}; }

static stopwatch watch_since(stopwatch start)
{
    stopwatch now = watch_read();
    return (stopwatch){now.wall - start.wall, now.processor - start.processor};
}

static matrix read_matrix(const char *path)
{
    sonde_array read = read_npy(path);
    matrix m = {get_memory((size_t)(read.rows * read.cols) * sizeof *m.x), read.rows, read.cols};
    sonde__rows_to_f32(&read, 0, m.n, m.x, m.d);
    free(read.data);
    return m;
}

static void bench_clusters(sonde_runtime *runtime, const matrix *m, sonde__kmeans_options options)
{
    float *centroids = malloc((size_t)(options.k * m->d) * sizeof *centroids);
    sonde__kmeans_report report;
    stopwatch time = watch_read();
    must(sonde__kmeans(runtime, m->x, m->d, m->n, m->d, &options, centroids, &report));
    time = watch_since(time);
    printf("k-means k=%lld iterations=%d threads=%d hierarchical=%d: %.2f s (processor %.2f), objective %.1f, "
           "products %.3f, mended %lld\n",
           (long long)options.k, report.iterations, options.threads, (int)options.hierarchical, time.wall,
           time.processor, report.objective, report.scanned, (long long)report.mended);
    free(centroids);
}

typedef struct words_work {
    sonde_runtime *runtime;
    const matrix *m;
    float *words; /* part, word, column */
    double *lost; /* squared error of each part over all rows */
} words_work;

static sonde_status train_parts(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    words_work *work = context;
    for (int64_t p = begin; p < end; p++) {
        sonde__kmeans_options options = {
            .k = WORDS, .iterations = WORD_ITERATIONS, .sample = WORD_SAMPLE, .seed = 1};
        SONDE_TRY(sonde__kmeans(work->runtime, work->m->x + p * PART, work->m->d, work->m->n, PART, &options,
                                work->words + p * WORDS * PART, NULL));
    }
    return SONDE_OK;
}

static double relative_error(const words_work *work)
{
    const matrix *m = work->m;
    int32_t *label = malloc((size_t)m->n * sizeof *label);
    float *distance = malloc((size_t)m->n * sizeof *distance);
    double lost = 0, all = 0;
    for (int64_t p = 0; p < m->d / PART; p++) {
        must(sonde__assign(work->runtime, 0, m->x + p * PART, m->d, m->n, PART, work->words + p * WORDS * PART,
                           WORDS, false, label, distance));
        for (int64_t i = 0; i < m->n; i++) lost += (double)distance[i];
    }
    for (int64_t i = 0; i < m->n * m->d; i++) all += (double)m->x[i] * (double)m->x[i];
    free(label);
    free(distance);
    return lost / all;
}

static void bench_words(sonde_runtime *runtime, const matrix *m, int threads)
{
    int64_t parts = m->d / PART;
    words_work work = {.runtime = runtime, .m = m};
    work.words = malloc((size_t)(parts * WORDS * PART) * sizeof *work.words);
    stopwatch time = watch_read();
    must(sonde__parallel_for(runtime, threads, parts, 1, NULL, train_parts, &work));
    time = watch_since(time);
    printf("%lld x %d words of %d columns, threads=%d: %.2f s (processor %.2f), relative error %.6f\n",
           (long long)parts, WORDS, PART, threads, time.wall, time.processor, relative_error(&work));
    free(work.words);
}

int main(int argc, char **argv)
{
    if (argc < 2) give_up("usage: bench_kmeans FILE.npy [k [iterations]]");
    matrix m = read_matrix(argv[1]);
    sonde__kmeans_options options = {
        .k = argc > 2 ? atoll(argv[2]) : 1024, .iterations = argc > 3 ? atoi(argv[3]) : 20, .seed = 1};
    sonde_runtime *runtime;
    must(sonde__runtime_hold(NULL, &runtime));
    printf("%lld x %lld, %s\n", (long long)m.n, (long long)m.d, sonde__kernels_get()->name);
    for (options.threads = 1; options.threads <= 2; options.threads++) bench_clusters(runtime, &m, options);
    options.hierarchical = true;
    options.threads = 2;
    bench_clusters(runtime, &m, options);
    for (int threads = 1; m.d >= PART && threads <= 2; threads++) bench_words(runtime, &m, threads);
    sonde__runtime_drop(runtime);
    free(m.x);
    return 0;
}
