/* kmeans_start.c: which rows k-means trains on, where its centroids start, and where an empty cluster gets its row.
 *
 * Rows are copied once, in random order: a sample is then a prefix, growing it is free, and every later pass reads
 * packed memory. Rows of weight 0 come last and are dropped if enough others are there.
 *
 * Starts: the first k rows of that order, or k-means++ (Arthur, Vassilvitskii, SODA 2007): each centroid is a row drawn
 * with probability weight x squared distance to the nearest centroid so far. The same draw gives an empty cluster its
 * row later on; since a drawn row never lies on a centroid, empty clusters go as long as there are k distinct rows.
 *
 * Cost: the copy; n x d for each drawn centroid, in parallel. Sums are taken over fixed blocks of rows, so nothing
 * depends on the number of threads.
 *
 * SPDX-License-Identifier: MIT
 */
#include <float.h>
#include <math.h>

#include "linalg/kmeans.h"

enum { START_BLOCK = 2048 };

bool sonde__kmeans_unit(float *x, int64_t d)
{
    float length = sqrtf(sonde__kernels_get()->norm2(x, d));
    if (!(length > 0)) return false;
    for (int64_t j = 0; j < d; j++) x[j] /= length;
    return true;
}

/* ---- the rows --------------------------------------------------------------------------------------------------- */

/* What the copying of rows needs to know; order[i] is the caller's row that becomes row i. */
typedef struct rows_copy {
    const float *x;
    int64_t ldx;
    const float *weights;
    bool spherical;
    const int64_t *order;
    sonde__kmeans_rows *rows;
} rows_copy;

/* norm2 is taken of what was stored, so that it fits the kernels' products: 1 but for rounding, or 0, if spherical. */
static sonde_status rows_copy_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    rows_copy *copy = context;
    sonde__kmeans_rows *rows = copy->rows;
    const sonde__kernels *kernels = sonde__kernels_get();
    for (int64_t i = begin; i < end; i++) {
        float *to = rows->x + i * rows->d;
        float weight = copy->weights ? copy->weights[copy->order[i]] : 1;
        memcpy(to, copy->x + copy->order[i] * copy->ldx, (size_t)rows->d * sizeof *to);
        if (copy->spherical) {
            weight *= sqrtf(kernels->norm2(to, rows->d));
            sonde__kmeans_unit(to, rows->d);
        }
        if (rows->weight) rows->weight[i] = weight;
        rows->norm2[i] = kernels->norm2(to, rows->d);
    }
    return SONDE_OK;
}

/* A zero vector has no direction, so that it counts as little as a row of weight 0. */
static bool rows_count_row(const rows_copy *copy, int64_t row)
{
    if (copy->weights && !(copy->weights[row] > 0)) return false;
    return !copy->spherical || sonde__kernels_get()->norm2(copy->x + row * copy->ldx, copy->rows->d) > 0;
}

/* Rows that count in front, shuffled as far as they are needed. Returns how many rows to take. */
static int64_t rows_shuffle(const rows_copy *copy, int64_t n, const sonde__kmeans_options *options,
                            int64_t *order)
{
    int64_t counting = 0, others = n;
    for (int64_t i = 0; i < n; i++) {
        if (rows_count_row(copy, i)) order[counting++] = i;
        else order[--others] = i;
    }
    int64_t take = options->sample > 0 ? sonde__min_i64(options->sample, counting) : counting;
    take = sonde__max_i64(take, options->k);
    sonde__rng rng;
    sonde__rng_start(&rng, options->seed, SONDE__STREAM_SAMPLE, 0);
    for (int64_t i = 0; i < take; i++) {
        int64_t left = (i < counting ? counting : n) - i;
        int64_t j = i + (int64_t)sonde__rng_below(&rng, (uint64_t)left);
        int64_t row = order[i];
        order[i] = order[j];
        order[j] = row;
    }
    return take;
}

/* Before the lengths became weights: sum of w (1 - |x|). */
static double rows_constant(const rows_copy *copy)
{
    double sum = 0;
    for (int64_t i = 0; i < copy->rows->n; i++)
        sum += (copy->weights ? copy->weights[copy->order[i]] : 1.0) - (double)copy->rows->weight[i];
    return sum;
}

sonde_status sonde__kmeans_rows_take(sonde_runtime *runtime, const float *x, int64_t ldx, int64_t n, int64_t d,
                                     const sonde__kmeans_options *options, sonde__kmeans_rows *rows)
{
    rows_copy copy = {
        .x = x, .ldx = ldx, .weights = options->weights, .spherical = options->spherical, .rows = rows};
    memset(rows, 0, sizeof *rows);
    rows->d = d;
    int64_t *order = NULL;
    sonde_status status = SONDE_NEW(runtime, order, n);
    if (status != SONDE_OK) return status;
    rows->n = rows_shuffle(&copy, n, options, order);
    copy.order = order;
    if ((status = SONDE_NEW(runtime, rows->x, rows->n * d)) != SONDE_OK ||
        (status = SONDE_NEW(runtime, rows->norm2, rows->n)) != SONDE_OK)
        goto done;
    if ((options->weights || options->spherical) &&
        (status = SONDE_NEW(runtime, rows->weight, rows->n)) != SONDE_OK)
        goto done;
    status = sonde__parallel_for(runtime, options->threads, rows->n, START_BLOCK, NULL, rows_copy_chunk, &copy);
    if (options->spherical && status == SONDE_OK) rows->constant = rows_constant(&copy);
done:
    sonde__free(runtime, order);
    if (status != SONDE_OK) sonde__kmeans_rows_drop(runtime, rows);
    return status;
}

void sonde__kmeans_rows_drop(sonde_runtime *runtime, sonde__kmeans_rows *rows)
{
    sonde__free(runtime, rows->x);
    sonde__free(runtime, rows->norm2);
    sonde__free(runtime, rows->weight);
    memset(rows, 0, sizeof *rows);
}

/* ---- drawing ---------------------------------------------------------------------------------------------------- */

sonde_status sonde__kmeans_spread_create(sonde_runtime *runtime, int threads, const sonde__kmeans_rows *rows,
                                         uint64_t seed, sonde__kmeans_spread *spread)
{
    memset(spread, 0, sizeof *spread);
    spread->runtime = runtime;
    spread->threads = threads;
    spread->rows = rows;
    sonde__rng_start(&spread->rng, seed, SONDE__STREAM_SPREAD, 0);
    sonde_status status = SONDE_NEW(runtime, spread->far, rows->n);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, spread->mass, rows->n / START_BLOCK + 1);
    if (status != SONDE_OK) sonde__kmeans_spread_drop(spread);
    return status;
}

void sonde__kmeans_spread_drop(sonde__kmeans_spread *spread)
{
    sonde__free(spread->runtime, spread->far);
    sonde__free(spread->runtime, spread->mass);
    spread->far = NULL;
    spread->mass = NULL;
}

/* What a row counts for in the draw: 0 for rows on a centroid. */
static double spread_mass(const sonde__kmeans_spread *spread, int64_t i)
{
    double weight = spread->rows->weight ? spread->rows->weight[i] : 1;
    return weight * (double)spread->far[i];
}

/* From the difference, not from norms: a row that lies on its centroid must get exactly 0. */
static sonde_status spread_measure_block(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    sonde__kmeans_spread *spread = context;
    const sonde__kernels *kernels = sonde__kernels_get();
    int64_t d = spread->rows->d;
    double mass = 0;
    for (int64_t i = begin; i < end; i++) {
        const float *centroid = spread->centroids + spread->label[i] * d;
        kernels->l2_rows[SONDE__ROW_F32](centroid, spread->rows->x + i * d, 0, 1, d, spread->far + i);
        mass += spread_mass(spread, i);
    }
    spread->mass[begin / START_BLOCK] = mass;
    return SONDE_OK;
}

/* In the order of blocks, whoever computed them. */
static double spread_total(const sonde__kmeans_spread *spread)
{
    double total = 0;
    for (int64_t block = 0; block * START_BLOCK < spread->count; block++) total += spread->mass[block];
    return total;
}

sonde_status sonde__kmeans_spread_measure(sonde__kmeans_spread *spread, int64_t count, const int32_t *label,
                                          const float *centroids, double *total)
{
    spread->count = count;
    spread->label = label;
    spread->centroids = centroids;
    SONDE_TRY(sonde__parallel_for(spread->runtime, spread->threads, count, START_BLOCK, NULL,
                                  spread_measure_block, spread));
    *total = spread_total(spread);
    return SONDE_OK;
}

/* The centroid that was drawn last may be nearer than those before. */
static sonde_status spread_nearer_block(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    sonde__kmeans_spread *spread = context;
    int64_t d = spread->rows->d, stride = d * (int64_t)sizeof(float);
    float distance[START_BLOCK];
    sonde__kernels_get()->l2_rows[SONDE__ROW_F32](spread->centroids, spread->rows->x + begin * d, stride,
                                                  end - begin, d, distance);
    double mass = 0;
    for (int64_t i = begin; i < end; i++) {
        if (distance[i - begin] < spread->far[i]) spread->far[i] = distance[i - begin];
        mass += spread_mass(spread, i);
    }
    spread->mass[begin / START_BLOCK] = mass;
    return SONDE_OK;
}

/* The row at which the running sum of masses passes `target`. */
static int64_t spread_row_at(const sonde__kmeans_spread *spread, double target)
{
    int64_t block = 0, last = (spread->count - 1) / START_BLOCK, found = -1;
    while (block < last && (target >= spread->mass[block] || !(spread->mass[block] > 0)))
        target -= spread->mass[block++];
    while (block > 0 && !(spread->mass[block] > 0)) block--; /* rounding ran past the last block that has any */
    int64_t end = sonde__min_i64(spread->count, (block + 1) * START_BLOCK);
    for (int64_t i = block * START_BLOCK; i < end; i++) {
        double mass = spread_mass(spread, i);
        if (!(mass > 0)) continue;
        found = i;
        if (target < mass) break;
        target -= mass;
    }
    return found;
}

sonde_status sonde__kmeans_spread_next(sonde__kmeans_spread *spread, float *centroid, bool *found)
{
    double total = spread_total(spread);
    int64_t row = total > 0 ? spread_row_at(spread, sonde__rng_unit(&spread->rng) * total) : -1;
    *found = row >= 0;
    if (!*found) return SONDE_OK;
    memcpy(centroid, spread->rows->x + row * spread->rows->d, (size_t)spread->rows->d * sizeof *centroid);
    spread->centroids = centroid;
    return sonde__parallel_for(spread->runtime, spread->threads, spread->count, START_BLOCK, NULL,
                               spread_nearer_block, spread);
}

/* ---- starts ----------------------------------------------------------------------------------------------------- */

/* With every distance equal, the first draw goes by weight alone; FLT_MAX is above any distance that follows. */
static void spread_forget(sonde__kmeans_spread *spread, int64_t count)
{
    spread->count = count;
    for (int64_t i = 0; i < count; i++) spread->far[i] = FLT_MAX;
    for (int64_t begin = 0; begin < count; begin += START_BLOCK) {
        double mass = 0;
        for (int64_t i = begin; i < sonde__min_i64(count, begin + START_BLOCK); i++)
            mass += spread_mass(spread, i);
        spread->mass[begin / START_BLOCK] = mass;
    }
}

/* Where fewer than k rows differ, the rest repeat rows; their clusters stay empty. */
sonde_status sonde__kmeans_spread_start(sonde__kmeans_spread *spread, int64_t count,
                                        const sonde__kmeans_options *options, float *centroids)
{
    const sonde__kmeans_rows *rows = spread->rows;
    memcpy(centroids, rows->x, (size_t)(options->k * rows->d) * sizeof *centroids);
    if (options->start != SONDE__START_PLUSPLUS) return SONDE_OK;
    spread_forget(spread, count);
    for (int64_t j = 0; j < options->k; j++) {
        bool found;
        SONDE_TRY(sonde__poll(spread->runtime, options->stage, (uint64_t)j, (uint64_t)options->k));
        SONDE_TRY(sonde__kmeans_spread_next(spread, centroids + j * rows->d, &found));
        if (!found) break;
    }
    return SONDE_OK;
}
