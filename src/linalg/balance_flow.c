/* balance_flow.c: hard limits on the sizes of groups at the least total cost.
 *
 * The rows are a flow: each gives one unit to a group, each group gives low to high units to the sink. With prices p
 * every row sits in argmin_j D_ij - p_j, so the flow is optimal for the sizes that it has; what is wrong is only the
 * sizes. They are put right one chain of groups at a time: from a group with too many rows, over groups that take one
 * row from the one before and give one to the one after, to a group with too few. The sink is a node like the groups,
 * through which one group between its limits can give a place to another. Moving a row from a to b costs
 *
 *     edge(a, b) = least over rows i of a of D_ib - D_ia,     reduced by prices: edge(a, b) + p_a - p_b >= 0,
 *
 * so Dijkstra's algorithm on the k groups and the sink finds the cheapest chain, and its distances correct the prices
 * so that all reduced costs stay >= 0: the flow stays optimal, and at the end it is optimal within the limits. This
 * is the successive shortest path method (Tomizawa 1971; Edmonds, Karp 1972) on groups instead of rows. The better
 * the prices at the start, the fewer the chains. Rows that are equally good for every edge of a chain move together,
 * which is what makes many equal rows cheap.
 *
 * Invariants: every row has a group; reduced costs are >= 0 but for rounding.
 * Cost: n k for the edges, then k^2 and the members of the groups concerned for each chain; memory 12 k^2 + 24 n
 * bytes.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdlib.h>

#include "linalg/balance_parts.h"

/* Rows whose moves differ by less than this part of the largest distance are equally good. */
static const double FLOW_TIE = 1e-7;

typedef struct flow_state {
    const sonde__balance_task *task;
    const sonde__balance_costs *costs;
    int64_t k, nodes; /* node k is the sink */
    int32_t *label;
    double *price; /* nodes */
    double tie;
    int64_t *outflow;       /* k: units to the sink */
    int64_t excess;         /* of the sink: units that arrive less n */
    int64_t *size;          /* k: rows */
    int64_t *head;          /* k: first member, -1 = none */
    int64_t *next, *before; /* n: members of a group */
    double *edge;           /* k x k */
    int64_t *edge_row;      /* k x k: a row that costs it */
    double *far;            /* nodes: Dijkstra's distances */
    int32_t *from;          /* nodes: the node before */
    bool *done;             /* nodes */
    int64_t *stale;         /* k: edges of one group that lost their row */
    float *buffer;          /* k */
} flow_state;

/* ---- members ---------------------------------------------------------------------------------------------------- */

static void flow_leave(flow_state *work, int64_t row)
{
    int64_t next = work->next[row], before = work->before[row], group = work->label[row];
    if (before >= 0) work->next[before] = next;
    else work->head[group] = next;
    if (next >= 0) work->before[next] = before;
    work->size[group]--;
}

static void flow_join(flow_state *work, int64_t row, int32_t group)
{
    work->label[row] = group;
    work->before[row] = -1;
    work->next[row] = work->head[group];
    if (work->head[group] >= 0) work->before[work->head[group]] = row;
    work->head[group] = row;
    work->size[group]++;
}

/* What the row costs the edges of its group to b. */
static void flow_offer_one(flow_state *work, int64_t row, const float *distance, int64_t b)
{
    int64_t a = work->label[row];
    double cost = (double)distance[b] - (double)distance[a];
    if (b == a || cost >= work->edge[a * work->k + b]) return;
    work->edge[a * work->k + b] = cost;
    work->edge_row[a * work->k + b] = row;
}

static void flow_offer(flow_state *work, int64_t row)
{
    const float *distance = sonde__balance_costs_row(work->costs, row, work->buffer);
    for (int64_t b = 0; b < work->k; b++) flow_offer_one(work, row, distance, b);
}

/* Edges whose row has left the group are found again among its members. */
static void flow_renew(flow_state *work, int64_t group)
{
    int64_t count = 0;
    for (int64_t b = 0; b < work->k; b++) {
        int64_t row = work->edge_row[group * work->k + b];
        if (row < 0 || work->label[row] == group) continue;
        work->stale[count++] = b;
        work->edge[group * work->k + b] = INFINITY;
        work->edge_row[group * work->k + b] = -1;
    }
    for (int64_t row = work->head[group]; count > 0 && row >= 0; row = work->next[row]) {
        const float *distance = sonde__balance_costs_row(work->costs, row, work->buffer);
        for (int64_t s = 0; s < count; s++) flow_offer_one(work, row, distance, work->stale[s]);
    }
}

/* ---- the beginning ---------------------------------------------------------------------------------------------- */

typedef struct flow_price {
    double price;
    int64_t group;
} flow_price;

static int flow_by_price(const void *a, const void *b)
{
    const flow_price *x = a, *y = b;
    if (x->price != y->price) return x->price < y->price ? -1 : 1;
    return x->group < y->group ? -1 : 1;
}

/* The price of the sink: if groups below it are full and groups above it have no more than they must, all rows go. */
static sonde_status flow_price_sink(flow_state *work)
{
    const sonde__balance_task *task = work->task;
    flow_price *order;
    int64_t left = task->n;
    SONDE_TRY(SONDE_NEW(task->runtime, order, work->k));
    for (int64_t j = 0; j < work->k; j++) {
        order[j] = (flow_price){work->price[j], j};
        left -= task->low[j];
    }
    qsort(order, (size_t)work->k, sizeof *order, flow_by_price);
    work->price[work->k] = order[0].price;
    for (int64_t i = 0; i < work->k && left > 0; i++) {
        left -= task->high[order[i].group] - task->low[order[i].group];
        work->price[work->k] = order[i].price;
    }
    sonde__free(task->runtime, order);
    return SONDE_OK;
}

/* What goes to the sink is what the prices ask for, and where they leave it open, as near as can be to what is there.
 */
static void flow_set_sizes(flow_state *work)
{
    double sink = work->price[work->k];
    work->excess = -work->task->n;
    for (int64_t j = 0; j < work->k; j++) {
        int64_t low = work->task->low[j], high = work->task->high[j];
        work->outflow[j] = work->price[j] < sink   ? high
                           : work->price[j] > sink ? low
                                                   : sonde__max_i64(low, sonde__min_i64(high, work->size[j]));
        work->excess += work->outflow[j];
    }
}

/* Every row to its cheapest group, by the same distances as everything that follows; ties to the lower number. */
static sonde_status flow_set_rows(flow_state *work)
{
    double most = 0;
    for (int64_t row = work->task->n - 1; row >= 0; row--) {
        const float *distance = sonde__balance_costs_row(work->costs, row, work->buffer);
        int32_t best = 0;
        for (int64_t j = 0; j < work->k; j++) {
            most = fmax(most, (double)distance[j]);
            if ((double)distance[j] - work->price[j] < (double)distance[best] - work->price[best]) best = (int32_t)j;
        }
        flow_join(work, row, best);
        flow_offer(work, row);
        if (row % 1024 == 0) SONDE_TRY(sonde__poll(work->task->runtime, NULL, 0, 1));
    }
    work->tie = FLOW_TIE * most;
    return SONDE_OK;
}

/* ---- one chain -------------------------------------------------------------------------------------------------- */

/* Rows that a node has too many. */
static int64_t flow_excess(const flow_state *work, int64_t node)
{
    return node < work->k ? work->size[node] - work->outflow[node] : work->excess;
}

static double flow_cost(const flow_state *work, int64_t a, int64_t b)
{
    if (b == work->k) return work->outflow[a] < work->task->high[a] ? 0 : INFINITY;
    if (a == work->k) return work->outflow[b] > work->task->low[b] ? 0 : INFINITY;
    return work->edge[a * work->k + b];
}

/* Lowers the distances of all nodes by way of node a. */
static void flow_relax(flow_state *work, int64_t a)
{
    double base = work->far[a] + work->price[a];
    const double *edge = a < work->k ? work->edge + a * work->k : NULL;
    for (int64_t b = 0; b < work->nodes; b++) {
        if (work->done[b]) continue;
        double far = base + (edge && b < work->k ? edge[b] : flow_cost(work, a, b)) - work->price[b];
        if (!(far < work->far[b])) continue;
        work->far[b] = fmax(far, work->far[a]); /* rounding only */
        work->from[b] = (int32_t)a;
    }
}

/* The cheapest chain from any group with too many rows; returns the group with too few at its end, or -1. */
static int64_t flow_search(flow_state *work)
{
    for (int64_t v = 0; v < work->nodes; v++) {
        work->far[v] = flow_excess(work, v) > 0 ? 0 : INFINITY;
        work->from[v] = -1;
        work->done[v] = false;
    }
    for (;;) {
        int64_t nearest = -1;
        for (int64_t v = 0; v < work->nodes; v++)
            if (!work->done[v] && work->far[v] < (nearest < 0 ? INFINITY : work->far[nearest])) nearest = v;
        if (nearest < 0 || flow_excess(work, nearest) < 0) return nearest;
        work->done[nearest] = true;
        flow_relax(work, nearest);
    }
}

/* Distances beyond the end of the chain count as far as the end. */
static void flow_reprice(flow_state *work, int64_t end)
{
    for (int64_t v = 0; v < work->nodes; v++) work->price[v] += fmin(work->far[v], work->far[end]);
}

/* Rows of a that can go to b at the cost of the edge, at most `most`. */
static int64_t flow_equals(flow_state *work, int64_t a, int64_t b, int64_t most)
{
    int64_t count = 0;
    for (int64_t row = work->head[a]; row >= 0 && count < most; row = work->next[row]) {
        const float *distance = sonde__balance_costs_row(work->costs, row, work->buffer);
        count += (double)distance[b] - (double)distance[a] <= work->edge[a * work->k + b] + work->tie;
    }
    return count;
}

/* How many rows can go along the whole chain. */
static int64_t flow_width(flow_state *work, int64_t end)
{
    int64_t b = end, width = -flow_excess(work, end);
    for (int64_t a = work->from[b]; a >= 0; b = a, a = work->from[a]) {
        if (work->from[a] < 0) width = sonde__min_i64(width, flow_excess(work, a));
        if (b == work->k) width = sonde__min_i64(width, work->task->high[a] - work->outflow[a]);
        else if (a == work->k) width = sonde__min_i64(width, work->outflow[b] - work->task->low[b]);
    }
    b = end;
    for (int64_t a = work->from[b]; a >= 0 && width > 1; b = a, a = work->from[a])
        if (a < work->k && b < work->k) width = flow_equals(work, a, b, width);
    return width;
}

/* Moves `width` rows from a to b, the edge's own one among them. */
static void flow_move(flow_state *work, int64_t a, int64_t b, int64_t width)
{
    double cost = work->edge[a * work->k + b];
    int64_t row = work->edge_row[a * work->k + b];
    flow_leave(work, row);
    flow_join(work, row, (int32_t)b);
    row = width > 1 ? work->head[a] : -1;
    for (int64_t left = width - 1; left > 0 && row >= 0;) {
        int64_t next = work->next[row];
        const float *distance = sonde__balance_costs_row(work->costs, row, work->buffer);
        if ((double)distance[b] - (double)distance[a] <= cost + work->tie) {
            flow_leave(work, row);
            flow_join(work, row, (int32_t)b);
            left--;
        }
        row = next;
    }
}

/* From the end to the beginning, so that no row that has just come moves on. New members stand first in their group.
 */
static void flow_push(flow_state *work, int64_t end)
{
    int64_t width = flow_width(work, end);
    for (int64_t b = end, a = work->from[b]; a >= 0; b = a, a = work->from[a]) {
        if (b == work->k) {
            work->outflow[a] += width;
            work->excess += width;
        } else if (a == work->k) {
            work->outflow[b] -= width;
            work->excess -= width;
        } else {
            flow_move(work, a, b, width);
            int64_t row = work->head[b];
            for (int64_t i = 0; i < width; i++, row = work->next[row]) flow_offer(work, row);
            flow_renew(work, a);
        }
    }
}

/* ---- the door --------------------------------------------------------------------------------------------------- */

static sonde_status flow_allocate(flow_state *work)
{
    sonde_runtime *runtime = work->task->runtime;
    int64_t k = work->k, n = work->task->n;
    SONDE_TRY(SONDE_NEW(runtime, work->price, work->nodes));
    SONDE_TRY(SONDE_NEW(runtime, work->outflow, k));
    SONDE_TRY(SONDE_NEW_ZERO(runtime, work->size, k));
    SONDE_TRY(SONDE_NEW(runtime, work->head, k));
    SONDE_TRY(SONDE_NEW(runtime, work->next, n));
    SONDE_TRY(SONDE_NEW(runtime, work->before, n));
    SONDE_TRY(SONDE_NEW(runtime, work->edge, k * k));
    SONDE_TRY(SONDE_NEW(runtime, work->edge_row, k * k));
    SONDE_TRY(SONDE_NEW(runtime, work->far, work->nodes));
    SONDE_TRY(SONDE_NEW(runtime, work->from, work->nodes));
    SONDE_TRY(SONDE_NEW(runtime, work->done, work->nodes));
    SONDE_TRY(SONDE_NEW(runtime, work->stale, k));
    return SONDE_NEW(runtime, work->buffer, k);
}

static void flow_free(flow_state *work)
{
    sonde_runtime *runtime = work->task->runtime;
    sonde__free(runtime, work->buffer);
    sonde__free(runtime, work->stale);
    sonde__free(runtime, work->done);
    sonde__free(runtime, work->from);
    sonde__free(runtime, work->far);
    sonde__free(runtime, work->edge_row);
    sonde__free(runtime, work->edge);
    sonde__free(runtime, work->before);
    sonde__free(runtime, work->next);
    sonde__free(runtime, work->head);
    sonde__free(runtime, work->size);
    sonde__free(runtime, work->outflow);
    sonde__free(runtime, work->price);
}

static sonde_status flow_run(flow_state *work)
{
    for (int64_t j = 0; j < work->k; j++) work->head[j] = -1;
    for (int64_t e = 0; e < work->k * work->k; e++) {
        work->edge[e] = INFINITY;
        work->edge_row[e] = -1;
    }
    SONDE_TRY(flow_price_sink(work));
    SONDE_TRY(flow_set_rows(work));
    flow_set_sizes(work);
    for (int64_t end; (end = flow_search(work)) >= 0;) {
        flow_reprice(work, end);
        flow_push(work, end);
        SONDE_TRY(sonde__poll(work->task->runtime, NULL, 0, 1));
    }
    return SONDE_OK;
}

sonde_status sonde__balance_flow(const sonde__balance_task *task, const sonde__balance_costs *costs, int32_t *label,
                                 double *prices)
{
    flow_state work = {.task = task, .costs = costs, .k = task->k, .nodes = task->k + 1, .label = label};
    sonde_status status = flow_allocate(&work);
    if (status == SONDE_OK) {
        memcpy(work.price, prices, (size_t)task->k * sizeof *prices);
        status = flow_run(&work);
    }
    /* Relative to the sink: groups between their limits have the price 0. */
    for (int64_t j = 0; status == SONDE_OK && j < task->k; j++) prices[j] = work.price[j] - work.price[task->k];
    flow_free(&work);
    return status;
}
