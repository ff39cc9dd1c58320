/* kmeans_assign.c: centroids in panels, and the nearest centroid of each row by computing all of them.
 *
 * |x - c|^2 = |x|^2 - 2 (<x, c> - |c|^2 / 2), so the nearest centroid has the largest score <x, c> + bias. The score is
 * computed by the nearest kernel, many rows against a few panels at a time: ASSIGN_FLOATS of panels stay in the L2
 * cache while a block of rows goes by. Distances that are given out come from the difference itself, not from the
 * norms, so that they are exact for rows on a centroid. Cost: 2 n k d flop.
 *
 * The first pass. Where there are many centroids of many columns, rows and centroids are also brought into whole
 * numbers, x = x^ + e and c = c^ + f, whose product is three to four times as fast, and by Cauchy-Schwarz
 *     <x, c> <= <x^, c^> + |c| |e| + |f| (|x| + |e|)
 * Panels come one after another, and only rows for which this bound beats the best score so far are gathered for the
 * nearest kernel. It sees the panels in the same order and makes the same scores, so the labels are the same, to the
 * last bit; the margin of 4 (d + 32) u |x| |c| covers its rounding and that of the bound (u = 2^-24). Of 32 panels a row
 * needs about 5 in full. A block for which a panel passes most rows waits before the next attempt, as scan.c does.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "linalg/kmeans.h"

enum { ASSIGN_BLOCK = 256, ASSIGN_FLOATS = 1 << 16 };
enum { COARSE_COLUMNS = 64, COARSE_PANELS = 6 }; /* from so many on there is a first pass */
enum { COARSE_TILE = 64, ROW_MOST = 127, CENTROID_MOST = 64 }; /* rows of a tile; largest whole numbers: tile_u8s8 */

sonde_status sonde__kmeans_panels_create(sonde_runtime *runtime, int64_t k, int64_t d,
                                         sonde__kmeans_panels *panels)
{
    memset(panels, 0, sizeof *panels);
    panels->k = k;
    panels->d = d;
    panels->lanes = sonde__kernels_get()->lanes;
    panels->count = (k + panels->lanes - 1) / panels->lanes;
    sonde_status status = SONDE_NEW(runtime, panels->values, panels->count * panels->lanes * d);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, panels->bias, panels->count * panels->lanes);
    if (status != SONDE_OK) sonde__kmeans_panels_drop(runtime, panels);
    return status;
}

void sonde__kmeans_panels_drop(sonde_runtime *runtime, sonde__kmeans_panels *panels)
{
    sonde__free(runtime, panels->values);
    sonde__free(runtime, panels->bias);
    panels->values = NULL;
    panels->bias = NULL;
}

void sonde__kmeans_panels_pack(sonde__kmeans_panels *panels, const float *centroids, bool inner_product)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    int64_t d = panels->d, lanes = panels->lanes;
    for (int64_t p = 0; p < panels->count; p++) {
        const float *from = centroids + p * lanes * d;
        int64_t used = sonde__min_i64(lanes, panels->k - p * lanes);
        sonde__pack_rows(from, d * (int64_t)sizeof *from, used, d, lanes, panels->values + p * lanes * d);
        float *bias = panels->bias + p * lanes;
        for (int64_t lane = 0; lane < lanes; lane++) {
            if (lane >= used) bias[lane] = -INFINITY;
            else bias[lane] = inner_product ? 0 : -0.5f * kernels->norm2(from + lane * d, d);
        }
    }
}

/* The centroids in whole numbers: panels for tile_u8s8, and what its sums need to become bounds. */
typedef struct coarse_panels {
    int64_t bytes; /* of a panel; 0 = there is no first pass */
    int8_t *codes;
    sonde__bound_lanes *lanes; /* one a panel */
    float *threshold;          /* one a lane: a bound without the centroid's bias must be above it */
} coarse_panels;

/* One call of sonde__assign, for its chunks. */
typedef struct assign_work {
    sonde_runtime *runtime;
    const float *x, *centroids;
    int64_t ldx, d;
    bool spherical;
    const sonde__kmeans_panels *panels;
    coarse_panels coarse;
    int32_t *label;
    float *distance;
} assign_work;

/* ---- the first pass ---------------------------------------------------------------------------------------------- */

static double coarse_margin(int64_t d)
{
    return (double)(d + 32) * 0x1p-22;
}

/* Centroid `lane` of panel p; `codes` has room for d. */
static void coarse_centroid(assign_work *work, int64_t p, int64_t lane, int8_t *codes)
{
    const sonde__kmeans_panels *panels = work->panels;
    sonde__bound_lanes *to = &work->coarse.lanes[p];
    int64_t d = work->d, number = p * panels->lanes + lane;
    float bias = panels->bias[number];
    sonde__quantised what;
    sonde__kernels_get()->quantise(work->centroids + number * d, d, CENTROID_MOST, codes, &what);
    sonde__pack_bytes(codes, d, lane, panels->lanes, work->coarse.codes + p * work->coarse.bytes);
    to->shift[lane] = 128 * what.sum;
    to->scale[lane] = what.step;
    to->reach[lane] = what.length + what.lost;
    to->blur[lane] = what.lost + (float)coarse_margin(d) * what.length;
    work->coarse.threshold[number] = (float)(-bias - coarse_margin(d) * fabsf(bias)) - 0x1p-120f;
}

static sonde_status coarse_create(assign_work *work)
{
    const sonde__kmeans_panels *panels = work->panels;
    coarse_panels *coarse = &work->coarse;
    int64_t bytes = sonde__byte_panel(work->d, panels->lanes);
    int8_t *codes;
    SONDE_TRY(SONDE_NEW_ZERO(work->runtime, coarse->codes, panels->count * bytes));
    SONDE_TRY(SONDE_NEW_ZERO(work->runtime, coarse->lanes, panels->count));
    SONDE_TRY(SONDE_NEW(work->runtime, coarse->threshold, panels->count * panels->lanes));
    SONDE_TRY(SONDE_NEW(work->runtime, codes, work->d));
    coarse->bytes = bytes;
    for (int64_t i = 0; i < panels->count * panels->lanes; i++) coarse->threshold[i] = INFINITY;
    for (int64_t i = 0; i < panels->k; i++) coarse_centroid(work, i / panels->lanes, i % panels->lanes, codes);
    sonde__free(work->runtime, codes);
    return SONDE_OK;
}

static void coarse_drop(assign_work *work)
{
    sonde__free(work->runtime, work->coarse.codes);
    sonde__free(work->runtime, work->coarse.lanes);
    sonde__free(work->runtime, work->coarse.threshold);
}

/* A block of rows under way. */
typedef struct coarse_block {
    const assign_work *work;
    const float *x;
    int64_t count;
    int32_t *label;
    float top[ASSIGN_BLOCK];     /* the best score so far */
    uint8_t *images;
    float *terms[4];             /* of the rows: as in sonde__bound_rows */
    float *gathered;             /* rows for which a panel is computed in full */
    int32_t rows[ASSIGN_BLOCK];  /* which */
} coarse_block;

static sonde_status coarse_begin(coarse_block *b, sonde__scratch *scratch)
{
    int64_t d = b->work->d;
    SONDE_TRY(SONDE_SCRATCH(scratch, b->images, b->count * d));
    SONDE_TRY(SONDE_SCRATCH(scratch, b->gathered, b->count * d));
    for (int i = 0; i < 4; i++) SONDE_TRY(SONDE_SCRATCH(scratch, b->terms[i], b->count));
    for (int64_t i = 0; i < b->count; i++) {
        sonde__quantised what;
        uint8_t *image = b->images + i * d;
        sonde__kernels_get()->quantise(b->x + i * b->work->ldx, d, ROW_MOST, (int8_t *)image, &what);
        for (int64_t j = 0; j < d; j++) image[j] ^= 128;
        b->terms[0][i] = what.step;
        b->terms[1][i] = what.lost + (float)coarse_margin(d) * what.length;
        b->terms[2][i] = what.length;
        b->top[i] = -INFINITY;
    }
    return SONDE_OK;
}

/* The rows that panel p may win, gathered; returns how many. */
static int64_t coarse_gather(coarse_block *b, int64_t p)
{
    const assign_work *work = b->work;
    const sonde__kernels *kernels = sonde__kernels_get();
    int64_t d = work->d, lanes = work->panels->lanes, chosen = 0;
    int32_t sums[COARSE_TILE * SONDE__LANES_MAX];
    uint32_t hits[COARSE_TILE * SONDE__LANES_MAX];
    for (int64_t i = 0; i < b->count; i++) b->terms[3][i] = -b->top[i] + fabsf(b->top[i]) * 0x1p-20f;
    for (int64_t first = 0; first < b->count; first += COARSE_TILE) {
        int64_t count = sonde__min_i64(COARSE_TILE, b->count - first);
        sonde__bound_rows rows = {b->terms[0] + first, b->terms[1] + first, b->terms[2] + first, b->terms[3] + first};
        kernels->tile_u8s8(work->coarse.codes + p * work->coarse.bytes, b->images + first * d, d, count, d, sums);
        int64_t found = kernels->tile_bound(sums, count, lanes, &work->coarse.lanes[p], &rows,
                                            work->coarse.threshold + p * lanes, hits);
        for (int64_t h = 0; h < found; h++) {
            int32_t row = (int32_t)(first + hits[h] / (uint32_t)lanes);
            if (chosen > 0 && b->rows[chosen - 1] == row) continue;
            memcpy(b->gathered + chosen * d, b->x + row * work->ldx, (size_t)d * sizeof *b->gathered);
            b->rows[chosen++] = row;
        }
    }
    return chosen;
}

/* Panel p in full for `count` rows; rows NULL: all of the block. */
static void coarse_full(coarse_block *b, int64_t p, const int32_t *rows, int64_t count)
{
    const assign_work *work = b->work;
    const sonde__kmeans_panels *panels = work->panels;
    int64_t d = work->d, lanes = panels->lanes;
    int32_t best[ASSIGN_BLOCK];
    float score[ASSIGN_BLOCK];
    sonde__kernels_get()->nearest_f32(panels->values + p * lanes * d, panels->bias + p * lanes, 1,
                                      rows ? b->gathered : b->x, (rows ? d : work->ldx) * (int64_t)sizeof(float), count,
                                      d, best, score, NULL);
    for (int64_t i = 0; i < count; i++) {
        int64_t row = rows ? rows[i] : i;
        if (p > 0 && !(score[i] > b->top[row])) continue;
        b->top[row] = score[i];
        b->label[row] = best[i] + (int32_t)(p * lanes);
    }
}

static sonde_status coarse_assign(const assign_work *work, const float *x, int64_t count, int32_t *label)
{
    coarse_block b = {.work = work, .x = x, .count = count, .label = label};
    int64_t wait = 0, pause = 0;
    sonde__scratch *scratch;
    SONDE_TRY(sonde__scratch_take(work->runtime, &scratch));
    sonde_status status = coarse_begin(&b, scratch);
    for (int64_t p = 0; status == SONDE_OK && p < work->panels->count; p++) {
        if (p == 0 || wait-- > 0) {
            coarse_full(&b, p, NULL, count);
            continue;
        }
        int64_t chosen = coarse_gather(&b, p);
        coarse_full(&b, p, b.rows, chosen);
        wait = pause = chosen > count / 2 ? 2 * pause + 1 : 0;
    }
    sonde__scratch_give(work->runtime, scratch);
    return status;
}

/* ---- everything in full ------------------------------------------------------------------------------------------ */

/* A later panel wins only by a larger score, so ties stay with the lower number. */
static void assign_block(const assign_work *work, const float *x, int64_t count, int32_t *label)
{
    const sonde__kmeans_panels *panels = work->panels;
    int64_t d = work->d, stride = work->ldx * (int64_t)sizeof(float), panel = panels->lanes * d;
    int64_t step = sonde__max_i64(1, ASSIGN_FLOATS / panel);
    int32_t best[ASSIGN_BLOCK];
    float top[ASSIGN_BLOCK], score[ASSIGN_BLOCK];
    for (int64_t p = 0; p < panels->count; p += step) {
        sonde__kernels_get()->nearest_f32(panels->values + p * panel, panels->bias + p * panels->lanes,
                                          sonde__min_i64(step, panels->count - p), x, stride, count, d, best,
                                          score, NULL);
        for (int64_t i = 0; i < count; i++) {
            if (p > 0 && !(score[i] > top[i])) continue;
            top[i] = score[i];
            label[i] = best[i] + (int32_t)(p * panels->lanes);
        }
    }
}

/* The distance to the winner alone is cheap: one in k. */
static sonde_status assign_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    assign_work *work = context;
    const sonde__kernels *kernels = sonde__kernels_get();
    const float *x = work->x + begin * work->ldx;
    if (work->coarse.bytes) SONDE_TRY(coarse_assign(work, x, end - begin, work->label + begin));
    else assign_block(work, x, end - begin, work->label + begin);
    if (!work->distance) return SONDE_OK;
    sonde__rows_fn pair = work->spherical ? kernels->ip_rows[SONDE__ROW_F32] : kernels->l2_rows[SONDE__ROW_F32];
    for (int64_t i = begin; i < end; i++)
        pair(work->x + i * work->ldx, work->centroids + work->label[i] * work->d, 0, 1, work->d,
             work->distance + i);
    return SONDE_OK;
}

sonde_status sonde__assign(sonde_runtime *runtime, int threads, const float *x, int64_t ldx, int64_t n,
                           int64_t d, const float *centroids, int64_t k, bool spherical, int32_t *label,
                           float *distance)
{
    sonde__kmeans_panels panels;
    SONDE_TRY(sonde__kmeans_panels_create(runtime, k, d, &panels));
    sonde__kmeans_panels_pack(&panels, centroids, spherical);
    assign_work work = {.runtime = runtime, .x = x, .centroids = centroids, .ldx = ldx, .d = d, .spherical = spherical,
                        .panels = &panels, .label = label, .distance = distance};
    bool coarse = d >= COARSE_COLUMNS && d >= sonde__kernels_get()->bytes_from && panels.count >= COARSE_PANELS &&
                  n >= ASSIGN_BLOCK;
    sonde_status status = coarse ? coarse_create(&work) : SONDE_OK;
    if (status == SONDE_OK)
        status = sonde__parallel_for(runtime, threads, n, ASSIGN_BLOCK, NULL, assign_chunk, &work);
    coarse_drop(&work);
    sonde__kmeans_panels_drop(runtime, &panels);
    return status;
}
