/* kmeans_stream.c: k-means over rows that come in batches and are not kept.
 *
 * Rows are collected in a buffer. The first full buffer is clustered and gives the start. Every further one moves the
 * centroids: each becomes the weighted mean of itself, with the weight of the rows that it stands for, and of its rows
 * in the buffer. Older rows were assigned to older, worse centroids, so their weight fades by STREAM_FADING with each
 * buffer; a centroid stands for about 1 / (1 - STREAM_FADING) buffers. One that stands for less than a row is put on a
 * row far from the others, as in kmeans_start.c.
 * Source: Sculley, "Web-scale k-means clustering", WWW 2010, with whole buffers in place of single rows.
 *
 * Memory: ROWS_A_CENTROID x k rows, whatever the length of the stream. Cost: one plain search for each row.
 *
 * SPDX-License-Identifier: MIT
 */
#include "linalg/kmeans.h"

enum { STREAM_ROWS = 64, STREAM_ITERATIONS = 10 };
static const double STREAM_FADING = 0.75, STREAM_LEAST_WEIGHT = 1;

struct sonde__kmeans_stream {
    sonde_runtime *runtime; /* held */
    sonde__kmeans_options options;
    int64_t d, capacity, filled;
    uint64_t buffers; /* processed; each draws from a seed of its own */
    bool started;
    float *buffer;          /* capacity x d */
    int32_t *label;         /* capacity */
    int64_t *begin, *order; /* rows of the buffer by label */
    float *centroids;       /* k x d */
    double *weight;         /* rows that each centroid stands for */
    double *sum;            /* d */
};

static sonde_status stream_allocate(sonde__kmeans_stream *stream)
{
    sonde_runtime *runtime = stream->runtime;
    int64_t k = stream->options.k;
    SONDE_TRY(SONDE_NEW(runtime, stream->buffer, stream->capacity * stream->d));
    SONDE_TRY(SONDE_NEW(runtime, stream->label, stream->capacity));
    SONDE_TRY(SONDE_NEW(runtime, stream->begin, k + 1));
    SONDE_TRY(SONDE_NEW(runtime, stream->order, stream->capacity));
    SONDE_TRY(SONDE_NEW(runtime, stream->centroids, k * stream->d));
    SONDE_TRY(SONDE_NEW_ZERO(runtime, stream->weight, k));
    return SONDE_NEW(runtime, stream->sum, stream->d);
}

sonde_status sonde__kmeans_stream_create(sonde_runtime *runtime, int64_t d,
                                         const sonde__kmeans_options *options, sonde__kmeans_stream **made)
{
    sonde__kmeans_stream *stream;
    sonde_runtime *held;
    if (options->k < 1 || options->k > INT32_MAX / STREAM_ROWS)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "k-means stream: k=%lld, expected 1 to %d",
                           (long long)options->k, INT32_MAX / STREAM_ROWS);
    SONDE_TRY(sonde__runtime_hold(runtime, &held));
    sonde_status status = SONDE_NEW_ZERO(held, stream, 1);
    if (status != SONDE_OK) {
        sonde__runtime_drop(held);
        return status;
    }
    stream->runtime = held;
    stream->options = *options;
    stream->options.weights = NULL;
    stream->options.sample = 0;
    if (stream->options.iterations <= 0) stream->options.iterations = STREAM_ITERATIONS;
    stream->d = d;
    stream->capacity = options->k * STREAM_ROWS;
    status = stream_allocate(stream);
    if (status != SONDE_OK) sonde__kmeans_stream_free(stream);
    else *made = stream;
    return status;
}

void sonde__kmeans_stream_free(sonde__kmeans_stream *stream)
{
    if (!stream) return;
    sonde_runtime *runtime = stream->runtime;
    sonde__free(runtime, stream->sum);
    sonde__free(runtime, stream->weight);
    sonde__free(runtime, stream->centroids);
    sonde__free(runtime, stream->order);
    sonde__free(runtime, stream->begin);
    sonde__free(runtime, stream->label);
    sonde__free(runtime, stream->buffer);
    sonde__free(runtime, stream);
    sonde__runtime_drop(runtime);
}

/* ---- one buffer ------------------------------------------------------------------------------------------------- */

/* Labels of the buffer, and its rows in the order of their labels. */
static sonde_status stream_assign(sonde__kmeans_stream *stream)
{
    const sonde__kmeans_options *options = &stream->options;
    SONDE_TRY(sonde__assign(stream->runtime, options->threads, stream->buffer, stream->d, stream->filled,
                            stream->d, stream->centroids, options->k, options->spherical, stream->label, NULL));
    sonde__kmeans_sort(stream->label, stream->filled, options->k, stream->begin, stream->order);
    return SONDE_OK;
}

static int64_t stream_size(const sonde__kmeans_stream *stream, int64_t j)
{
    return stream->begin[j + 1] - stream->begin[j];
}

/* The first buffer, which may be short if the stream ends early. */
static sonde_status stream_start(sonde__kmeans_stream *stream)
{
    SONDE_TRY(sonde__kmeans(stream->runtime, stream->buffer, stream->d, stream->filled, stream->d,
                            &stream->options, stream->centroids, NULL));
    SONDE_TRY(stream_assign(stream));
    for (int64_t j = 0; j < stream->options.k; j++) stream->weight[j] = (double)stream_size(stream, j);
    stream->started = true;
    return SONDE_OK;
}

/* A buffer that is only partly full fades the past by as much less. */
static double stream_fading(const sonde__kmeans_stream *stream)
{
    return 1 - (1 - STREAM_FADING) * (double)stream->filled / (double)stream->capacity;
}

/* A centroid without rows keeps its place and loses weight. */
static void stream_move(sonde__kmeans_stream *stream, int64_t j, double fading)
{
    int64_t d = stream->d, size = stream_size(stream, j);
    float *centroid = stream->centroids + j * d;
    double before = stream->weight[j] * fading;
    stream->weight[j] = before + (double)size;
    if (size == 0) return;
    for (int64_t t = 0; t < d; t++) stream->sum[t] = before * (double)centroid[t];
    for (int64_t i = stream->begin[j]; i < stream->begin[j + 1]; i++) {
        const float *row = stream->buffer + stream->order[i] * d;
        for (int64_t t = 0; t < d; t++) stream->sum[t] += (double)row[t];
    }
    for (int64_t t = 0; t < d; t++) centroid[t] = (float)(stream->sum[t] / stream->weight[j]);
    if (stream->options.spherical) sonde__kmeans_unit(centroid, d);
}

/* Puts centroids that stand for hardly anything on rows of the buffer. */
static sonde_status stream_mend(sonde__kmeans_stream *stream)
{
    sonde__kmeans_options options = stream->options;
    sonde__kmeans_rows rows = {.n = stream->filled, .d = stream->d, .x = stream->buffer};
    sonde__kmeans_spread spread;
    bool found = true;
    double total;
    int64_t j = 0;
    while (j < options.k && stream->weight[j] >= STREAM_LEAST_WEIGHT) j++;
    if (j == options.k) return SONDE_OK;
    SONDE_TRY(sonde__kmeans_spread_create(stream->runtime, options.threads, &rows,
                                          options.seed + stream->buffers, &spread));
    sonde_status status =
        sonde__kmeans_spread_measure(&spread, rows.n, stream->label, stream->centroids, &total);
    for (; status == SONDE_OK && found && j < options.k; j++) {
        if (stream->weight[j] >= STREAM_LEAST_WEIGHT) continue;
        float *centroid = stream->centroids + j * rows.d;
        status = sonde__kmeans_spread_next(&spread, centroid, &found);
        if (status != SONDE_OK || !found) break;
        if (options.spherical) sonde__kmeans_unit(centroid, rows.d);
        stream->weight[j] = 1;
    }
    sonde__kmeans_spread_drop(&spread);
    return status;
}

/* A buffer that has moved the centroids is gone, even if mending fails; before that it can be tried again. */
static sonde_status stream_step(sonde__kmeans_stream *stream)
{
    sonde_status status = SONDE_OK;
    if (!stream->started) {
        SONDE_TRY(stream_start(stream));
    } else {
        double fading = stream_fading(stream);
        SONDE_TRY(stream_assign(stream));
        for (int64_t j = 0; j < stream->options.k; j++) stream_move(stream, j, fading);
        status = stream_mend(stream);
    }
    stream->filled = 0;
    stream->buffers++;
    return status;
}

/* ---- the door --------------------------------------------------------------------------------------------------- */

sonde_status sonde__kmeans_stream_observe(sonde__kmeans_stream *stream, const float *x, int64_t ldx, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (stream->filled == stream->capacity) SONDE_TRY(stream_step(stream));
        memcpy(stream->buffer + stream->filled++ * stream->d, x + i * ldx, (size_t)stream->d * sizeof *x);
    }
    return SONDE_OK;
}

sonde_status sonde__kmeans_stream_finish(sonde__kmeans_stream *stream, float *centroids)
{
    if (!stream->started && stream->filled < stream->options.k)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "k-means stream: %lld rows are too few for %lld centroids",
                           (long long)stream->filled, (long long)stream->options.k);
    if (stream->filled > 0) SONDE_TRY(stream_step(stream));
    memcpy(centroids, stream->centroids, (size_t)(stream->options.k * stream->d) * sizeof *centroids);
    return SONDE_OK;
}
