/* cut.c: where a sorted list would be cut, without sorting it.
 *
 * Problem: top-k, top-p, typical and the draw itself all want "the shortest prefix in some order with this much
 * mass". What candidates.c leaves to cut is mostly few items, but may be all V. Sorting costs V log V; only the
 * border matters. Idea: a most-significant-digit radix walk. A histogram of count and mass by the leading bits of the
 * key, over the range of keys that occur, tells in which bin the border lies; the walk goes on in that bin alone.
 * Items are never moved, ties end in a bin of equal keys and are settled by place, so the result is that of a stable
 * sort.
 *
 * Cost: O(count) for the first level, then what the bin holds; at most seven levels of 10 bits. Masses add up in
 * double.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tokens/candidates.h"

enum { CUT_BITS = 10, CUT_BITS_SMALL = 6, CUT_SMALL = 256 };

typedef struct cut_bin {
    double mass;
    int64_t count;
} cut_bin;

typedef struct cut_walk {
    sonde__cut_order order;
    const int32_t *items; /* of the bin that the walk is in, ascending; NULL: all */
    int64_t count;        /* of them */
    uint64_t low, high;   /* their keys */
    double before_mass;
    int64_t before;
} cut_walk;

static int64_t cut_item(const cut_walk *walk, int64_t i) { return walk->items ? walk->items[i] : i; }

static double cut_weight(const cut_walk *walk, int64_t item)
{
    return walk->order.weights ? (double)walk->order.weights[item] : 0;
}

static int cut_shift(const cut_walk *walk)
{
    int wanted = walk->count <= CUT_SMALL ? CUT_BITS_SMALL : CUT_BITS;
    int bits = 64 - __builtin_clzll((walk->high - walk->low) | 1);
    return bits > wanted ? bits - wanted : 0;
}

static void cut_fill(const cut_walk *walk, int shift, cut_bin *bins)
{
    memset(bins, 0, (size_t)(((walk->high - walk->low) >> shift) + 1) * sizeof *bins);
    for (int64_t i = 0; i < walk->count; i++) {
        int64_t item = cut_item(walk, i);
        cut_bin *bin = &bins[(walk->order.keys[item] - walk->low) >> shift];
        bin->mass += cut_weight(walk, item);
        bin->count++;
    }
}

/* The bin of the border; what lies before it is added up. If the mass is never reached (sums round), the last bin
 * that adds something. */
static uint64_t cut_border(cut_walk *walk, const cut_bin *bins, uint64_t bin_count)
{
    double mass = walk->before_mass, border_mass = mass;
    int64_t count = walk->before, border_count = count;
    uint64_t border = 0;
    for (uint64_t b = 0; b < bin_count; b++) {
        if (bins[b].count == 0) continue;
        if (bins[b].mass > 0 || count < walk->order.least) {
            border = b;
            border_mass = mass;
            border_count = count;
        }
        mass += bins[b].mass;
        count += bins[b].count;
        if (mass >= walk->order.mass && count >= walk->order.least) break;
    }
    walk->before_mass = border_mass;
    walk->before = border_count;
    return border;
}

/* Goes down into one bin. The items may lie in their room already: none moves up. */
static void cut_descend(cut_walk *walk, int shift, uint64_t bin)
{
    int32_t *items = walk->order.items;
    int64_t found = 0;
    for (int64_t i = 0; i < walk->count; i++) {
        int64_t item = cut_item(walk, i);
        items[found] = (int32_t)item;
        found += (walk->order.keys[item] - walk->low) >> shift == bin;
    }
    walk->items = items;
    walk->count = found;
    walk->low += bin << shift;
    walk->high = walk->low + ((uint64_t)1 << shift) - 1;
}

/* All items left have one key: they enter one by one. */
static sonde__cut cut_ties(const cut_walk *walk)
{
    double mass = walk->before_mass;
    int64_t i = 0;
    for (;; i++) {
        mass += cut_weight(walk, cut_item(walk, i));
        if (i + 1 == walk->count) break;
        if (mass >= walk->order.mass && walk->before + i + 1 >= walk->order.least) break;
    }
    return (sonde__cut){walk->low, i + 1, cut_item(walk, i)};
}

sonde__cut sonde__cut_find(const sonde__cut_order *order)
{
    cut_walk walk = {.order = *order, .count = order->count, .low = order->low, .high = order->high};
    cut_bin bins[1 << CUT_BITS];
    SONDE_ASSERT(order->count >= 1 && order->least >= 1);
    while (walk.high > walk.low) {
        int shift = cut_shift(&walk);
        cut_fill(&walk, shift, bins);
        cut_descend(&walk, shift, cut_border(&walk, bins, ((walk.high - walk.low) >> shift) + 1));
    }
    return cut_ties(&walk);
}
