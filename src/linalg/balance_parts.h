/* balance_parts.h: what the files of balanced clustering share. Not for other rooms.
 *
 *   balance.c               the doors: checks, one assignment by mode, the iterations
 *   balance_rows.c          the rows that are clustered, and the means of groups
 *   balance_costs.c         distances of a row to all centroids; the cheapest group under prices
 *   balance_soft.c          prices proportional to sizes
 *   balance_sinkhorn.c      prices by entropic transport
 *   balance_capacity.c      hard limits: which order serves them; the two greedy orders
 *   balance_flow.c          hard limits at the least cost: shortest paths between groups
 *   balance_auction.c       hard limits by bids
 *   balance_hierarchical.c  recursive splits
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_BALANCE_PARTS_H
#define SONDE_SRC_BALANCE_PARTS_H

#include "linalg/kmeans.h"

/* One assignment of rows to given centroids. */
typedef struct sonde__balance_task {
    sonde_runtime *runtime;
    int threads;
    const float *x;
    int64_t ldx, n, d;
    const float *centroids;
    int64_t k;
    const sonde__balance *rules;
    const int64_t *low, *high; /* hard modes: the limits of each group, which can be kept; else NULL */
    double lambda;             /* soft: as found so far; 0 = not yet */
} sonde__balance_task;

/* What each mode supplies: labels (n), and prices (k), which come in as a guess. */
typedef sonde_status (*sonde__balance_fn)(sonde__balance_task *task, int32_t *label, double *prices);

sonde_status sonde__balance_soft(sonde__balance_task *task, int32_t *label, double *prices);
sonde_status sonde__balance_sinkhorn(sonde__balance_task *task, int32_t *label, double *prices);
sonde_status sonde__balance_capacity(sonde__balance_task *task, int32_t *label, double *prices);

/* ---- balance_costs.c -------------------------------------------------------------------------------------------- */

/* The squared distances of rows to all centroids: kept where they fit into memory, else computed when asked for. */
typedef struct sonde__balance_costs {
    const sonde__balance_task *task;
    float *kept; /* n x k, or NULL */
} sonde__balance_costs;
sonde_status sonde__balance_costs_create(const sonde__balance_task *task, sonde__balance_costs *costs);
void sonde__balance_costs_drop(const sonde__balance_task *task, sonde__balance_costs *costs);
/* The k distances of one row; buffer (k) holds them if they are not kept. */
const float *sonde__balance_costs_row(const sonde__balance_costs *costs, int64_t row, float *buffer);
/* Distances of rows [begin, begin + count) into out (count x k). */
void sonde__balance_distances(const sonde__balance_task *task, int64_t begin, int64_t count, float *out);

/* Labels of count <= SONDE__BALANCE_BLOCK rows: the panel with the largest product plus bias. */
enum { SONDE__BALANCE_BLOCK = 256 };
void sonde__balance_cheapest(const sonde__kmeans_panels *panels, const float *x, int64_t ldx, int64_t count,
                             int32_t *label);

/* ---- balance_flow.c, balance_auction.c -------------------------------------------------------------------------- */

/* From prices to the labels of least total cost within the limits; prices become those that prove it. */
sonde_status sonde__balance_flow(const sonde__balance_task *task, const sonde__balance_costs *costs, int32_t *label,
                                 double *prices);
/* Most groups that the flow takes: it keeps k x k edges. */
#define SONDE__BALANCE_FLOW_MOST 2048
/* The same up to (n + k) x the last step of the auction. */
sonde_status sonde__balance_auction(const sonde__balance_task *task, const sonde__balance_costs *costs,
                                    int32_t *label, double *prices);

/* ---- balance_rows.c --------------------------------------------------------------------------------------------- */

/* The rows to cluster: the caller's own where they serve as they are, else a copy. */
typedef struct sonde__balance_rows {
    const float *x;
    int64_t ldx, n, d;
    const float *weight; /* NULL = 1 */
    double constant;     /* as in sonde__kmeans_rows */
    float *own, *own_weight;
} sonde__balance_rows;
/* A sample if options->sample says so and `all` is false; of length 1 if options->spherical. */
sonde_status sonde__balance_rows_take(sonde_runtime *runtime, const float *x, int64_t ldx, int64_t n, int64_t d,
                                      const sonde__kmeans_options *options, bool all, sonde__balance_rows *rows);
void sonde__balance_rows_drop(sonde_runtime *runtime, sonde__balance_rows *rows);
/* Centroids become the means of their groups; the ones of empty groups go to the rows farthest from theirs. *mended
 * counts them. */
sonde_status sonde__balance_means(sonde_runtime *runtime, const sonde__kmeans_options *options,
                                  const sonde__balance_rows *rows, const int32_t *label, float *centroids,
                                  int64_t *mended);
/* The objective of sonde__kmeans_report for these labels. */
sonde_status sonde__balance_objective(sonde_runtime *runtime, const sonde__kmeans_options *options,
                                      const sonde__balance_rows *rows, const int32_t *label, const float *centroids,
                                      double *objective);

/* ---- balance_hierarchical.c ------------------------------------------------------------------------------------- */

/* Labels of rows in exactly k groups of 1 to `high` rows (k <= n <= k high). */
sonde_status sonde__balance_tree(sonde_runtime *runtime, const sonde__kmeans_options *options,
                                 const sonde__balance_rows *rows, int64_t high, int32_t *label);

#endif
