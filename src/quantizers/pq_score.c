/* pq_score.c: the score-aware (anisotropic) loss of product quantization.
 *
 * Problem: codes are made to rank rows by inner product, and what moves the high scores of a row x is not how
 * long the error r = x - x' is but how much of it points along x. Idea: the loss |r|^2 + (eta - 1) <r, x>^2 /
 * |x|^2 counts an error along the row eta times. It couples the parts through the one number a = <r, x>, so a
 * row is encoded by coordinate descent: part after part takes the centroid that is best for the others'
 * choice, from products <x_j, c> that are computed once. Codebooks: the loss is quadratic in a centroid c of
 * part j while everything else stays, so each is the solution of
 *
 *     (n I + w sum x_j x_j^T) c = sum x_j (1 + w (a + <x_j, c_old>))        over its n rows, w = (eta - 1) /
 * |x|^2
 *
 * and a follows; then rows are encoded anew. No step makes the loss larger, but for a row of length 0, which
 * has w = 0. (Guo, Sun, Lindgren, Geng, Simcha, Chern, Kumar: Accelerating large-scale inference with
 * anisotropic vector quantization, ICML 2020. Theirs solves for all centroids of all parts at once; one part
 * after the other needs no matrix of m k width columns.)
 *
 * Cost: encoding 2^bits (dim + about 6 m passes) operations a row; a round of training that, and n dim width.
 *
 * SPDX-License-Identifier: MIT
 */
#include "linalg/linalg.h"
#include "quantizers/pq.h"

#define SCORE_PASSES 5 /* over the parts of a row; most rows settle after three */
#define SCORE_ROUNDS 8 /* of codes and codebooks */
#define SCORE_LANES 16
#define SCORE_ROWS 128 /* rows encoded by one work item */

/* ---- codes ------------------------------------------------------------------------------------------------------ */

int64_t sonde__pq_score_floats(const sonde__pq *pq)
{
    return (pq->m + 1) * sonde__max_i64(pq->k, SCORE_LANES);
}

/* The loss of each centroid but for what they share: its distance, and the error along the row that it leaves
 * of `open`, which is there without this part. Returns the least. */
static float score_costs(const sonde__pq *pq, int64_t part, const float *product, float open, float w,
                         float *cost)
{
    const float *bias = pq->book[part].bias; /* -|c|^2 / 2 */
    float least[SCORE_LANES], best;
    for (int64_t c = 0; c < pq->k; c++) {
        float left = open - product[c];
        cost[c] = w * left * left - 2 * (product[c] + bias[c]);
    }
    for (int64_t c = pq->k; c < SCORE_LANES; c++) cost[c] = cost[0];
    memcpy(least, cost, sizeof least);
    for (int64_t c = SCORE_LANES; c < pq->k; c += SCORE_LANES) /* k is a power of two */
        for (int l = 0; l < SCORE_LANES; l++) least[l] = cost[c + l] < least[l] ? cost[c + l] : least[l];
    best = least[0];
    for (int l = 1; l < SCORE_LANES; l++) best = least[l] < best ? least[l] : best;
    return best;
}

/* The first centroid of least loss; `now` where that is not a number. */
static uint16_t score_best(const float *cost, int64_t k, float least, uint16_t now)
{
    if (cost[now] <= least) return now;
    for (int64_t c = 0; c < k; c++)
        if (cost[c] == least) return (uint16_t)c;
    return now;
}

static float score_weight(const sonde__pq *pq, const float *y)
{
    float norm2 = sonde__kernels_get()->norm2(y, pq->dim);
    return norm2 > 0 ? (pq->learned.eta - 1) / norm2 : 0;
}

float sonde__pq_score_row(const sonde__pq *pq, const float *y, uint16_t *values, float *scratch)
{
    float *cost = scratch, *products = scratch + sonde__max_i64(pq->k, SCORE_LANES), w = score_weight(pq, y);
    float along = sonde__kernels_get()->norm2(y, pq->dim);
    for (int64_t j = 0; j < pq->m; j++) {
        sonde__codebook_products(&pq->book[j], y + sonde__pq_first(pq, j), products + j * pq->k);
        along -= products[j * pq->k + values[j]];
    }
    for (int64_t settled = 0, j = 0; settled < pq->m && j < SCORE_PASSES * pq->m; j++) {
        int64_t part = j % pq->m;
        const float *product = products + part * pq->k;
        float open = along + product[values[part]];
        float least = score_costs(pq, part, product, open, w, cost);
        uint16_t best = score_best(cost, pq->k, least, values[part]);
        settled = best == values[part] ? settled + 1 : 0;
        values[part] = best;
        along = open - product[best];
    }
    return along;
}

/* ---- codebooks -------------------------------------------------------------------------------------------------- */

/* All rows in training, and the part whose centroids are being moved. */
struct score_training {
    sonde__pq *pq;
    const float *y;
    int64_t n;
    uint16_t *values; /* n x m */
    float *along;     /* n: product of the row with its error */
    int64_t part;
    int64_t *begin, *order; /* rows by their centroid of this part */
};

static sonde_status score_encode_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct score_training *t = context;
    const sonde__pq *pq = t->pq;
    sonde__scratch *scratch = NULL;
    float *memory;
    (void)worker;
    SONDE_TRY(sonde__scratch_take(pq->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, memory, sonde__pq_score_floats(pq));
    if (status == SONDE_OK)
        sonde__pq_nearest(pq, t->y + begin * pq->dim, pq->dim, end - begin, t->values + begin * pq->m);
    for (int64_t i = begin; status == SONDE_OK && i < end; i++)
        t->along[i] = sonde__pq_score_row(pq, t->y + i * pq->dim, t->values + i * pq->m, memory);
    sonde__scratch_give(pq->runtime, scratch);
    return status;
}

static void score_sort(const struct score_training *t)
{
    int64_t k = t->pq->k, m = t->pq->m;
    memset(t->begin, 0, (size_t)(k + 1) * sizeof *t->begin);
    for (int64_t i = 0; i < t->n; i++) t->begin[t->values[i * m + t->part] + 1]++;
    for (int64_t c = 0; c < k; c++) t->begin[c + 1] += t->begin[c];
    for (int64_t i = 0; i < t->n; i++) t->order[t->begin[t->values[i * m + t->part]]++] = i;
    for (int64_t c = k; c > 0; c--) t->begin[c] = t->begin[c - 1];
    t->begin[0] = 0;
}

static double score_dot(const float *x, const float *c, int64_t columns)
{
    double sum = 0;
    for (int64_t i = 0; i < columns; i++) sum += (double)x[i] * c[i];
    return sum;
}

/* The normal equations of one centroid: matrix (lower half) and right side. */
static void score_equations(const struct score_training *t, const float *c, int64_t begin, int64_t end,
                            double *matrix, double *side)
{
    int64_t columns = sonde__pq_columns(t->pq, t->part), first = sonde__pq_first(t->pq, t->part);
    memset(matrix, 0, (size_t)(columns * columns) * sizeof *matrix);
    memset(side, 0, (size_t)columns * sizeof *side);
    for (int64_t r = begin; r < end; r++) {
        const float *row = t->y + t->order[r] * t->pq->dim, *x = row + first;
        double w = score_weight(t->pq, row), open = t->along[t->order[r]] + score_dot(x, c, columns);
        for (int64_t i = 0; i < columns; i++) {
            side[i] += (1 + w * open) * x[i];
            for (int64_t j = 0; j <= i; j++) matrix[i * columns + j] += w * x[i] * x[j];
        }
    }
    for (int64_t i = 0; i < columns; i++) {
        matrix[i * columns + i] += (double)(end - begin);
        for (int64_t j = 0; j < i; j++) matrix[j * columns + i] = matrix[i * columns + j];
    }
}

/* Moves one centroid to its best place and carries the errors of its rows along. A centroid without rows
 * stays. */
static sonde_status score_move(const struct score_training *t, int64_t number, double *matrix, double *side)
{
    const sonde__pq *pq = t->pq;
    int64_t begin = t->begin[number], end = t->begin[number + 1];
    int64_t columns = sonde__pq_columns(pq, t->part), first = sonde__pq_first(pq, t->part);
    float *c = sonde__pq_centroids(pq, pq->learned.centroids, t->part) + number * pq->width;
    if (begin == end) return SONDE_OK;
    score_equations(t, c, begin, end, matrix, side);
    SONDE_TRY(sonde__cholesky(pq->runtime, columns, matrix));
    sonde__cholesky_solve(columns, matrix, 1, side);
    for (int64_t r = begin; r < end; r++)
        t->along[t->order[r]] += (float)score_dot(t->y + t->order[r] * pq->dim + first, c, columns);
    for (int64_t i = 0; i < columns; i++) c[i] = (float)side[i];
    for (int64_t r = begin; r < end; r++)
        t->along[t->order[r]] -= (float)score_dot(t->y + t->order[r] * pq->dim + first, c, columns);
    return SONDE_OK;
}

static sonde_status score_move_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct score_training *t = context;
    int64_t columns = sonde__pq_columns(t->pq, t->part);
    sonde__scratch *scratch = NULL;
    double *matrix;
    (void)worker;
    SONDE_TRY(sonde__scratch_take(t->pq->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, matrix, (columns + 1) * columns);
    for (int64_t c = begin; status == SONDE_OK && c < end; c++)
        status = score_move(t, c, matrix, matrix + columns * columns);
    sonde__scratch_give(t->pq->runtime, scratch);
    return status;
}

static sonde_status score_round(struct score_training *t, int threads)
{
    sonde__pq *pq = t->pq;
    SONDE_TRY(
        sonde__parallel_for(pq->runtime, threads, t->n, SCORE_ROWS, "pq: codes", score_encode_chunk, t));
    for (t->part = 0; t->part < pq->m; t->part++) {
        score_sort(t);
        SONDE_TRY(sonde__parallel_for(pq->runtime, threads, pq->k, 8, NULL, score_move_chunk, t));
    }
    sonde__pq_pack(pq);
    return SONDE_OK;
}

sonde_status sonde__pq_score_train(sonde__pq *pq, const float *y, int64_t n, int threads)
{
    struct score_training t = {.pq = pq, .y = y, .n = n};
    sonde_runtime *runtime = pq->runtime;
    sonde_status status = SONDE_NEW(runtime, t.values, n * pq->m);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, t.along, n);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, t.begin, pq->k + 1);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, t.order, n);
    for (int round = 0; status == SONDE_OK && round < SCORE_ROUNDS; round++)
        status = score_round(&t, threads);
    sonde__free(runtime, t.values);
    sonde__free(runtime, t.along);
    sonde__free(runtime, t.begin);
    sonde__free(runtime, t.order);
    return status;
}
