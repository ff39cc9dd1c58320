/* balance_capacity.c: groups with hard limits on their sizes.
 *
 * Every order gives each row one group and each group low to high rows. If the nearest centroids keep the limits,
 * they are the answer. Otherwise: regret   Sinkhorn's prices balance all but a few per cent; the rest is moved along
 * the cheapest chains of groups (balance_flow.c), which ends at the least total cost. With more groups than the flow
 * takes, and as its forerunner in tests: rows in the order of their regret, second-best less best cost, largest
 * first, each to its cheapest group that has room. auction  rows bid for places (balance_auction.c). onerec   group
 * by group, in the order of their numbers, the nearest rows that are still free. As published (Deng et al., "OneRec",
 * 2025); the last groups get what nobody wanted, and the cost is half as much again.
 *
 * Cost: regret by rows n k + n log n, onerec n k + k n log n at most.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdlib.h>

#include "linalg/balance_parts.h"

static bool capacity_kept(const sonde__balance_task *task, const int32_t *label, int64_t *size)
{
    bool kept = true;
    memset(size, 0, (size_t)task->k * sizeof *size);
    for (int64_t i = 0; i < task->n; i++) size[label[i]]++;
    for (int64_t j = 0; j < task->k; j++) kept = kept && size[j] >= task->low[j] && size[j] <= task->high[j];
    return kept;
}

/* ---- rows by regret --------------------------------------------------------------------------------------------- */

typedef struct capacity_row {
    float key;
    int64_t row;
} capacity_row;

static int capacity_by_key(const void *a, const void *b)
{
    const capacity_row *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->row < y->row ? -1 : 1;
}

/* The cheapest group with room under prices; -1 if none. *second is the cost of the next. */
static int32_t capacity_cheapest(const float *distance, const double *prices, const int64_t *room, int64_t k,
                                 double *best, double *second)
{
    int32_t chosen = -1;
    *best = *second = INFINITY;
    for (int64_t j = 0; j < k; j++) {
        double cost = (double)distance[j] - prices[j];
        if (room[j] <= 0 || cost >= *second) continue;
        if (cost < *best) {
            *second = *best;
            *best = cost;
            chosen = (int32_t)j;
        } else {
            *second = cost;
        }
    }
    return chosen;
}

/* The places above the lower limits are gone. */
static void capacity_close(const sonde__balance_task *task, int64_t *room)
{
    for (int64_t j = 0; j < task->k; j++) room[j] = sonde__max_i64(0, room[j] - (task->high[j] - task->low[j]));
}

/* Only as many rows can go above the lower limits as the lower limits of all groups leave over. */
static sonde_status capacity_fill(const sonde__balance_task *task, const sonde__balance_costs *costs,
                                  const capacity_row *order, const double *prices, int64_t *room, float *buffer,
                                  int32_t *label)
{
    int64_t spare = task->n;
    double best, second;
    for (int64_t j = 0; j < task->k; j++) spare -= task->low[j];
    if (spare == 0) capacity_close(task, room);
    for (int64_t i = 0; i < task->n; i++) {
        const float *distance = sonde__balance_costs_row(costs, order[i].row, buffer);
        int32_t chosen = capacity_cheapest(distance, prices, room, task->k, &best, &second);
        if (i % 1024 == 0) SONDE_TRY(sonde__poll(task->runtime, NULL, 0, 1));
        label[order[i].row] = chosen;
        room[chosen]--;
        if (spare > 0 && room[chosen] < task->high[chosen] - task->low[chosen] && --spare == 0)
            capacity_close(task, room);
    }
    return SONDE_OK;
}

static sonde_status capacity_by_regret(const sonde__balance_task *task, const sonde__balance_costs *costs,
                                       const double *prices, int32_t *label)
{
    int64_t k = task->k, *room = NULL;
    capacity_row *order = NULL;
    float *buffer = NULL;
    sonde_status status;
    if ((status = SONDE_NEW(task->runtime, room, k)) != SONDE_OK ||
        (status = SONDE_NEW(task->runtime, order, task->n)) != SONDE_OK ||
        (status = SONDE_NEW(task->runtime, buffer, k)) != SONDE_OK)
        goto done;
    memcpy(room, task->high, (size_t)k * sizeof *room);
    for (int64_t i = 0; i < task->n; i++) {
        double best, second;
        capacity_cheapest(sonde__balance_costs_row(costs, i, buffer), prices, room, k, &best, &second);
        order[i] = (capacity_row){(float)(best - second), i};
    }
    qsort(order, (size_t)task->n, sizeof *order, capacity_by_key);
    status = capacity_fill(task, costs, order, prices, room, buffer, label);
done:
    sonde__free(task->runtime, buffer);
    sonde__free(task->runtime, order);
    sonde__free(task->runtime, room);
    return status;
}

/* ---- group by group --------------------------------------------------------------------------------------------- */

/* How many of the rows that are left group j takes, so that those after it can keep their limits. */
static int64_t capacity_share(const sonde__balance_task *task, int64_t j, int64_t left)
{
    int64_t lows = 0, highs = 0, groups = task->k - j;
    for (int64_t t = j + 1; t < task->k; t++) {
        lows += task->low[t];
        highs = sonde__min_i64(task->n, highs + task->high[t]);
    }
    int64_t least = sonde__max_i64(task->low[j], left - highs), most = sonde__min_i64(task->high[j], left - lows);
    return sonde__max_i64(least, sonde__min_i64(most, (left + groups - 1) / groups));
}

static sonde_status capacity_one_by_one(const sonde__balance_task *task, int32_t *label)
{
    capacity_row *rows;
    int64_t left = task->n, stride = task->ldx * (int64_t)sizeof(float);
    sonde_status status = SONDE_NEW(task->runtime, rows, task->n);
    for (int64_t i = 0; status == SONDE_OK && i < task->n; i++) rows[i].row = i;
    for (int64_t j = 0; status == SONDE_OK && j < task->k; j++) {
        int64_t share = capacity_share(task, j, left);
        for (int64_t i = 0; i < left; i++)
            sonde__kernels_get()->l2_rows[SONDE__ROW_F32](
                task->centroids + j * task->d, task->x + rows[i].row * task->ldx, stride, 1, task->d, &rows[i].key);
        qsort(rows, (size_t)left, sizeof *rows, capacity_by_key);
        for (int64_t i = 0; i < share; i++) label[rows[i].row] = (int32_t)j;
        memmove(rows, rows + share, (size_t)(left - share) * sizeof *rows);
        left -= share;
        status = sonde__poll(task->runtime, NULL, 0, 1);
    }
    sonde__free(task->runtime, rows);
    return status;
}

/* ---- the orders ------------------------------------------------------------------------------------------------- */

/* A place above the lower limits for more rows than there are would be too many to bid for. */
static bool capacity_biddable(const sonde__balance_task *task)
{
    int64_t places = 0;
    for (int64_t j = 0; j < task->k; j++) places = sonde__min_i64(3 * task->n, places + task->high[j]);
    return places <= 2 * task->n;
}

/* Prices of an earlier assignment to nearly the same centroids are better than new ones, and cost nothing. */
static sonde_status capacity_priced(sonde__balance_task *task, int32_t *label, double *prices)
{
    sonde__balance_costs costs;
    bool guessed = false;
    for (int64_t j = 0; j < task->k; j++) guessed = guessed || prices[j] != 0;
    if (!guessed) SONDE_TRY(sonde__balance_sinkhorn(task, label, prices));
    SONDE_TRY(sonde__balance_costs_create(task, &costs));
    sonde_status status;
    if (task->rules->order == SONDE__ORDER_AUCTION && capacity_biddable(task))
        status = sonde__balance_auction(task, &costs, label, prices);
    else if (task->k <= SONDE__BALANCE_FLOW_MOST) status = sonde__balance_flow(task, &costs, label, prices);
    else status = capacity_by_regret(task, &costs, prices, label);
    sonde__balance_costs_drop(task, &costs);
    return status;
}

sonde_status sonde__balance_capacity(sonde__balance_task *task, int32_t *label, double *prices)
{
    int64_t *size;
    SONDE_TRY(sonde__assign(task->runtime, task->threads, task->x, task->ldx, task->n, task->d, task->centroids,
                            task->k, false, label, NULL));
    SONDE_TRY(SONDE_NEW(task->runtime, size, task->k));
    bool kept = capacity_kept(task, label, size);
    sonde__free(task->runtime, size);
    if (kept || task->rules->order == SONDE__ORDER_ONEREC) memset(prices, 0, (size_t)task->k * sizeof *prices);
    if (kept) return SONDE_OK;
    if (task->rules->order == SONDE__ORDER_ONEREC) return capacity_one_by_one(task, label);
    return capacity_priced(task, label, prices);
}
