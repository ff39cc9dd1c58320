/* balance_hierarchical.c: many groups of limited size by recursive splits.
 *
 * A node has m rows and is to become g groups. It is split into at most TREE_WAYS parts by plain k-means; each part
 * is to become a share of the g groups that is proportional to its rows, at least one. Where a part has more rows
 * than its groups can hold, or fewer than it has groups, the rows of the node are assigned to its parts under just
 * these limits (balance_flow.c), which can always be kept: the shares add up to g, and m is between g and g times the
 * limit. So there are exactly k groups of 1 to `high` rows in the end, however the data are; equal rows are cut by
 * their order. Source: Chen et al., "SPANN", NeurIPS 2021.
 *
 * Cost: n d TREE_WAYS log(k) / log(TREE_WAYS) an iteration instead of n d k; one copy of the rows of a node at a
 * time.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>

#include "linalg/balance_parts.h"

enum { TREE_WAYS = 32 };

typedef struct tree_state {
    sonde_runtime *runtime;
    const sonde__kmeans_options *options;
    const sonde__balance_rows *rows;
    int64_t high;
    int32_t *label;  /* of all rows: the answer */
    int64_t *order;  /* rows, each node a run of them */
    int64_t *sorted; /* room for one node */
} tree_state;

/* The copy of a node's rows and how they are split. */
typedef struct tree_node {
    int64_t begin, count, first, groups; /* rows order[begin ..]; groups first .. first + groups */
    int64_t ways;
    float *x, *weight;
    int32_t *part;
    float *centroids;         /* ways x d */
    int64_t share[TREE_WAYS]; /* groups of each part */
    int64_t low[TREE_WAYS], high[TREE_WAYS];
    int64_t start[TREE_WAYS + 1];
} tree_node;

static sonde_status tree_copy(const tree_state *work, tree_node *node)
{
    int64_t d = work->rows->d;
    SONDE_TRY(SONDE_NEW(work->runtime, node->x, node->count * d));
    if (work->rows->weight) SONDE_TRY(SONDE_NEW(work->runtime, node->weight, node->count));
    SONDE_TRY(SONDE_NEW(work->runtime, node->part, node->count));
    SONDE_TRY(SONDE_NEW(work->runtime, node->centroids, node->ways * d));
    for (int64_t i = 0; i < node->count; i++) {
        int64_t row = work->order[node->begin + i];
        memcpy(node->x + i * d, work->rows->x + row * work->rows->ldx, (size_t)d * sizeof *node->x);
        if (node->weight) node->weight[i] = work->rows->weight[row];
    }
    return SONDE_OK;
}

static void tree_drop(const tree_state *work, tree_node *node)
{
    sonde__free(work->runtime, node->centroids);
    sonde__free(work->runtime, node->part);
    sonde__free(work->runtime, node->weight);
    sonde__free(work->runtime, node->x);
}

/* Groups in proportion to rows: each part gets what brings it nearest to its due, one at a time. */
static void tree_share(tree_node *node)
{
    int64_t size[TREE_WAYS] = {0};
    for (int64_t i = 0; i < node->count; i++) size[node->part[i]]++;
    for (int64_t p = 0; p < node->ways; p++) node->share[p] = 1;
    for (int64_t left = node->groups - node->ways; left > 0; left--) {
        int64_t most = 0;
        for (int64_t p = 1; p < node->ways; p++)
            if (size[p] * node->share[most] > size[most] * node->share[p]) most = p;
        node->share[most]++;
    }
}

/* Rows within the limits of the parts' shares. */
static sonde_status tree_assign(const tree_state *work, tree_node *node)
{
    const sonde__balance rules = {.mode = SONDE__BALANCE_CAPACITY};
    double prices[TREE_WAYS] = {0};
    for (int64_t p = 0; p < node->ways; p++) {
        node->low[p] = node->share[p];
        node->high[p] = sonde__min_i64(node->count, node->share[p] * work->high);
    }
    sonde__balance_task task = {.runtime = work->runtime,
                                .threads = work->options->threads,
                                .x = node->x,
                                .ldx = work->rows->d,
                                .n = node->count,
                                .d = work->rows->d,
                                .centroids = node->centroids,
                                .k = node->ways,
                                .rules = &rules,
                                .low = node->low,
                                .high = node->high};
    return sonde__balance_capacity(&task, node->part, prices);
}

static sonde_status tree_cluster(const tree_state *work, tree_node *node)
{
    int64_t d = work->rows->d;
    sonde__kmeans_options options = *work->options;
    options.k = node->ways;
    options.seed += (uint64_t)node->first;
    options.weights = node->weight;
    options.hierarchical = false;
    options.sample = 0;
    SONDE_TRY(sonde__kmeans_train(work->runtime, node->x, d, node->count, d, &options, NULL, node->centroids, NULL));
    SONDE_TRY(sonde__assign(work->runtime, options.threads, node->x, d, node->count, d, node->centroids, node->ways,
                            false, node->part, NULL));
    tree_share(node);
    return tree_assign(work, node);
}

/* The rows of the node in the order of their parts. */
static void tree_sort(tree_state *work, tree_node *node)
{
    int64_t *order = work->order + node->begin;
    sonde__kmeans_sort(node->part, node->count, node->ways, node->start, work->sorted);
    for (int64_t i = 0; i < node->count; i++) work->sorted[i] = order[work->sorted[i]];
    memcpy(order, work->sorted, (size_t)node->count * sizeof *order);
}

/* Each level divides the groups by TREE_WAYS or less by a little; the last ones are single. */
static sonde_status tree_grow(tree_state *work, int64_t begin, int64_t count, int64_t first, int64_t groups)
{
    if (groups == 1) {
        for (int64_t i = begin; i < begin + count; i++) work->label[work->order[i]] = (int32_t)first;
        return SONDE_OK;
    }
    tree_node node = {.begin = begin, .count = count, .first = first, .groups = groups};
    node.ways = sonde__min_i64(TREE_WAYS, groups);
    SONDE_TRY(sonde__poll(work->runtime, "hierarchical k-means", (uint64_t)first, (uint64_t)work->options->k));
    sonde_status status = tree_copy(work, &node);
    if (status == SONDE_OK) status = tree_cluster(work, &node);
    if (status == SONDE_OK) tree_sort(work, &node);
    tree_drop(work, &node);
    for (int64_t p = 0; status == SONDE_OK && p < node.ways; p++) {
        status = tree_grow(work, begin + node.start[p], node.start[p + 1] - node.start[p], first, node.share[p]);
        first += node.share[p];
    }
    return status;
}

sonde_status sonde__balance_tree(sonde_runtime *runtime, const sonde__kmeans_options *options,
                                 const sonde__balance_rows *rows, int64_t high, int32_t *label)
{
    tree_state work = {.runtime = runtime, .options = options, .rows = rows, .high = high, .label = label};
    sonde_status status = SONDE_NEW(runtime, work.order, rows->n);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, work.sorted, rows->n);
    for (int64_t i = 0; status == SONDE_OK && i < rows->n; i++) work.order[i] = i;
    if (status == SONDE_OK) status = tree_grow(&work, 0, rows->n, 0, options->k);
    sonde__free(runtime, work.sorted);
    sonde__free(runtime, work.order);
    return status;
}
