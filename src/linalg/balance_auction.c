/* balance_auction.c: hard limits on the sizes of groups, by an auction.
 *
 * Places are sold: group j has high_j of them, low_j that must be taken (a must place) and the others that may stay
 * empty (may places). A row without a place bids for a place in the group that is worth most to it, -D_ij less the
 * price, and raises the price by as much as it could pay before its second choice becomes as good, plus a step. If no
 * place is free, the lowest bidder goes. Places that stay empty are taken by fillers, who may have may places only
 * and do not care which; so in the end everyone has a place and every place is taken, and the total cost is at most
 * (rows + fillers) x step above the least one. Steps go down from a quarter of the largest distance to
 * AUCTION_LAST of the mean cost; prices are kept from one round to the next.
 * Source: Bertsekas, "Auction algorithms for network flow problems", 1992 (similar objects: one price a class).
 *
 * Each class of places (must and may of each group) keeps its bids in a heap, the lowest on top, which is its price
 * once it is full. Cost: 2 k a bid, a few ten bids a row; memory 24 bytes a place.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "linalg/balance_parts.h"

static const double AUCTION_LAST = 1e-3, AUCTION_LEAST = 1e-6, AUCTION_DOWN = 5;

typedef struct auction_bid {
    double price;
    int64_t bidder;
} auction_bid;

/* Class 2 j are the must places of group j, class 2 j + 1 its may places. */
typedef struct auction_state {
    const sonde__balance_task *task;
    const sonde__balance_costs *costs;
    int64_t classes, bidders; /* rows come first, then fillers */
    double step;
    double *price;           /* classes: of the cheapest place */
    int64_t *begin;          /* classes + 1: where a class has its bids */
    int64_t *taken;          /* classes */
    auction_bid *bid;        /* a heap for each class */
    int64_t *waiting, waits; /* bidders without a place, the next one last */
    float *buffer;           /* k */
} auction_state;

/* ---- the places of a class -------------------------------------------------------------------------------------- */

static bool auction_before(const auction_bid *a, const auction_bid *b)
{
    return a->price < b->price || (a->price == b->price && a->bidder > b->bidder);
}

static void auction_up(auction_bid *heap, int64_t at, auction_bid bid)
{
    for (; at > 0 && auction_before(&bid, &heap[(at - 1) / 2]); at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
    heap[at] = bid;
}

static void auction_down(auction_bid *heap, int64_t count, auction_bid bid)
{
    int64_t at = 0;
    for (int64_t child = 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && auction_before(&heap[child + 1], &heap[child])) child++;
        if (!auction_before(&heap[child], &bid)) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = bid;
}

/* Takes a place; whoever bid least goes if there is none left. A class that is not full costs what it did. */
static void auction_take(auction_state *work, int64_t class, auction_bid bid)
{
    auction_bid *heap = work->bid + work->begin[class];
    int64_t places = work->begin[class + 1] - work->begin[class];
    if (work->taken[class] < places) {
        auction_up(heap, work->taken[class]++, bid);
    } else {
        work->waiting[work->waits++] = heap[0].bidder;
        auction_down(heap, places, bid);
    }
    if (work->taken[class] == places) work->price[class] = heap[0].price;
}

/* ---- bidding ---------------------------------------------------------------------------------------------------- */

/* What the cheapest class costs all in all, which it is, and what the second choice costs. */
typedef struct auction_choice {
    double best, second;
    int64_t class;
} auction_choice;

static void auction_consider(const auction_state *work, int64_t class, double distance, auction_choice *choice)
{
    double cost = distance + work->price[class];
    int64_t places = work->begin[class + 1] - work->begin[class];
    if (places == 0 || cost >= choice->second) return;
    if (cost >= choice->best) {
        choice->second = cost;
        return;
    }
    /* With a free place beside it at the same price, nothing has to be paid for this one. */
    choice->second = choice->best;
    choice->best = cost;
    choice->class = class;
}

static void auction_row(auction_state *work, int64_t row)
{
    auction_choice choice = {INFINITY, INFINITY, -1};
    bool filler = row >= work->task->n;
    const float *distance = filler ? NULL : sonde__balance_costs_row(work->costs, row, work->buffer);
    for (int64_t class = 0; class < work->classes; class ++)
        if (!filler || class % 2 == 1)
            auction_consider(work, class, filler ? 0 : (double)distance[class / 2], &choice);
    double more = isfinite(choice.second) ? choice.second - choice.best : 0;
    auction_take(work, choice.class, (auction_bid){work->price[choice.class] + more + work->step, row});
}

/* One round: everyone bids anew, at the prices of the round before. */
static sonde_status auction_round(auction_state *work)
{
    memset(work->taken, 0, (size_t)work->classes * sizeof *work->taken);
    work->waits = work->bidders;
    for (int64_t i = 0; i < work->bidders; i++) work->waiting[i] = work->bidders - 1 - i;
    for (int64_t bids = 0; work->waits > 0; bids++) {
        if (bids % 1024 == 0) SONDE_TRY(sonde__poll(work->task->runtime, NULL, 0, 1));
        auction_row(work, work->waiting[--work->waits]);
    }
    return SONDE_OK;
}

/* ---- the door --------------------------------------------------------------------------------------------------- */

static void auction_measure(const auction_state *work, double *most, double *mean)
{
    const sonde__balance_task *task = work->task;
    *most = *mean = 0;
    for (int64_t row = 0; row < task->n; row++) {
        const float *distance = sonde__balance_costs_row(work->costs, row, work->buffer);
        float least = INFINITY, greatest = 0; /* GCC 12 for AArch64 cannot compile this loop in double */
        for (int64_t j = 0; j < task->k; j++) {
            greatest = distance[j] > greatest ? distance[j] : greatest;
            least = distance[j] < least ? distance[j] : least;
        }
        *most = fmax(*most, (double)greatest);
        *mean += (double)least / (double)task->n;
    }
}

/* A step that is nothing beside the largest distance would let rows bid for ever. */
static sonde_status auction_run(auction_state *work, const double *prices, int32_t *label)
{
    double most, mean, last;
    for (int64_t class = 0; class < work->classes; class ++) work->price[class] = -prices[class / 2];
    auction_measure(work, &most, &mean);
    last = most > 0 ? fmax(AUCTION_LAST * mean, AUCTION_LEAST * most) : 1;
    for (work->step = fmax(last, most / 4);; work->step = fmax(last, work->step / AUCTION_DOWN)) {
        SONDE_TRY(auction_round(work));
        if (work->step <= last) break;
    }
    for (int64_t class = 0; class < work->classes; class ++)
        for (int64_t at = work->begin[class]; at < work->begin[class + 1]; at++)
            if (work->bid[at].bidder < work->task->n) label[work->bid[at].bidder] = (int32_t)(class / 2);
    return SONDE_OK;
}

static sonde_status auction_allocate(auction_state *work)
{
    const sonde__balance_task *task = work->task;
    SONDE_TRY(SONDE_NEW(task->runtime, work->price, work->classes));
    SONDE_TRY(SONDE_NEW_ZERO(task->runtime, work->begin, work->classes + 1));
    SONDE_TRY(SONDE_NEW(task->runtime, work->taken, work->classes));
    for (int64_t j = 0; j < task->k; j++) {
        work->begin[2 * j + 1] = work->begin[2 * j] + task->low[j];
        work->begin[2 * j + 2] = work->begin[2 * j] + task->high[j];
    }
    work->bidders = work->begin[work->classes];
    SONDE_TRY(SONDE_NEW(task->runtime, work->bid, work->bidders));
    SONDE_TRY(SONDE_NEW(task->runtime, work->waiting, work->bidders));
    return SONDE_NEW(task->runtime, work->buffer, task->k);
}

/* The price of a group for those who come later is that of its cheapest place. */
static double auction_price(const auction_state *work, int64_t group)
{
    double least = INFINITY;
    if (work->task->low[group] > 0) least = work->price[2 * group];
    if (work->task->high[group] > work->task->low[group]) least = fmin(least, work->price[2 * group + 1]);
    return -least;
}

sonde_status sonde__balance_auction(const sonde__balance_task *task, const sonde__balance_costs *costs,
                                    int32_t *label, double *prices)
{
    auction_state work = {.task = task, .costs = costs, .classes = 2 * task->k};
    sonde_status status = auction_allocate(&work);
    if (status == SONDE_OK) status = auction_run(&work, prices, label);
    for (int64_t j = 0; status == SONDE_OK && j < task->k; j++) prices[j] = auction_price(&work, j);
    sonde__free(task->runtime, work.buffer);
    sonde__free(task->runtime, work.waiting);
    sonde__free(task->runtime, work.bid);
    sonde__free(task->runtime, work.taken);
    sonde__free(task->runtime, work.begin);
    sonde__free(task->runtime, work.price);
    return status;
}
