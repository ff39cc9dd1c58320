/* candidates.c: the candidate set of one row, and the ways to narrow it.
 *
 * Problem: a chain must touch a row of up to a quarter of a million logits as seldom as possible; sorting it, as
 * engines without a top-k do, costs a thousand times what reading it costs.
 *
 * Idea: the first pass checks the row and keeps the largest logit of each block of 256. A filter then finds a limit
 * below which no survivor can lie, gathers what is above it from the blocks that hold any, and works on this list:
 *
 *   top-k               the limit is the k-th largest block
 *   min-p, epsilon, eta the limit is given
 *   top-p, typical      a limit is guessed, and lowered until the gathered mass is enough
 *   draw                a prefix whose share is uniform; its last candidate is the draw
 *
 * A list is cut by radix selection (cut.c). Gaps and masses are summed in double.
 *
 * Cost: one or two passes over the row, one with an exponential where the mass matters, and O(list).
 *
 * SPDX-License-Identifier: MIT
 */
#include "tokens/candidates.h"

#include <float.h>
#include <math.h>

#include "kernels/kernels.h"

/* ---- the set ----------------------------------------------------------------------------------------------------- */

static sonde_status candidates_fail_row(const float *logits, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (!(logits[i] < INFINITY))
            return sonde__fail(SONDE_INVALID_ARGUMENT, "column %lld is %s; -inf forbids a token, %s", (long long)i,
                               isnan(logits[i]) ? "NaN" : "+inf", "all else must be finite");
    return sonde__fail(SONDE_INVALID_ARGUMENT, "all %lld tokens are forbidden; one at least must be allowed",
                       (long long)count);
}

static sonde_status candidates_make_room(sonde__candidates *set, int64_t count)
{
    SONDE_TRY(SONDE_SCRATCH(set->scratch, set->room.logits, count));
    SONDE_TRY(SONDE_SCRATCH(set->scratch, set->room.weights, count));
    SONDE_TRY(SONDE_SCRATCH(set->scratch, set->room.ids, count));
    SONDE_TRY(SONDE_SCRATCH(set->scratch, set->room.items, count));
    return SONDE_SCRATCH(set->scratch, set->room.keys, count);
}

sonde_status sonde__candidates_start(sonde__candidates *set, float *logits, int64_t count)
{
    int64_t blocks = (count + SONDE__LOGIT_BLOCK - 1) / SONDE__LOGIT_BLOCK;
    set->logits = logits;
    set->ids = NULL;
    set->count = count;
    set->scale = 1;
    set->weights = NULL;
    set->summed = false;
    SONDE_TRY(SONDE_SCRATCH(set->scratch, set->block_max, blocks));
    SONDE_TRY(candidates_make_room(set, count));
    set->most = sonde__kernels_get()->logit_max(logits, count, set->block_max);
    return isfinite(set->most) ? SONDE_OK : candidates_fail_row(logits, count);
}

void sonde__candidates_changed(sonde__candidates *set)
{
    set->weights = NULL;
    set->summed = false;
    set->most = sonde__kernels_get()->logit_max(set->logits, set->count, set->ids ? NULL : set->block_max);
}

sonde_status sonde__candidates_own(sonde__candidates *set)
{
    float *copy;
    if (set->writable) return SONDE_OK;
    SONDE_TRY(SONDE_SCRATCH(set->scratch, copy, set->count));
    memcpy(copy, set->logits, (size_t)set->count * sizeof *copy);
    set->logits = copy;
    set->writable = true;
    return SONDE_OK;
}

int64_t sonde__candidates_count(const sonde__candidates *set)
{
    int64_t count = 0;
    if (set->ids) return set->count;
    for (int64_t i = 0; i < set->count; i++) count += set->logits[i] > -INFINITY;
    return count;
}

static void candidates_weigh(sonde__candidates *set)
{
    if (set->weights) return;
    set->weights = set->room.weights;
    sonde__kernels_get()->logit_exp(set->logits, set->count, set->most, (float)set->scale, set->weights);
}

const float *sonde__candidates_weights(sonde__candidates *set)
{
    candidates_weigh(set);
    return set->weights;
}

void sonde__candidates_sums(sonde__candidates *set)
{
    if (set->ids) candidates_weigh(set);
    if (set->summed) return;
    double sums[3];
    sonde__kernels_get()->logit_sums(set->logits, set->count, set->most, (float)set->scale, sums);
    set->sum = sums[0];
    set->moment = sums[1];
    set->square = sums[2];
    set->summed = true;
}

double sonde__candidates_entropy(const sonde__candidates *set) { return log(set->sum) - set->moment / set->sum; }

/* ---- gathering a list -------------------------------------------------------------------------------------------- */

/* The largest float below every logit whose gap reaches the limit. */
static float candidates_below(const sonde__candidates *set, double limit)
{
    double level = (double)set->most + limit / set->scale;
    if (level < -(double)FLT_MAX) return -INFINITY;
    return nextafterf((float)level, -INFINITY);
}

/* The places of a whole row's logits above a level, by runs of blocks that hold any. */
static int64_t candidates_scan(const sonde__candidates *set, float level, int32_t *places)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    int64_t blocks = (set->count + SONDE__LOGIT_BLOCK - 1) / SONDE__LOGIT_BLOCK, found = 0;
    for (int64_t b = 0; b < blocks; b++) {
        int64_t first = b;
        while (b < blocks && set->block_max[b] > level) b++;
        int64_t begin = first * SONDE__LOGIT_BLOCK, end = sonde__min_i64(b * SONDE__LOGIT_BLOCK, set->count);
        if (b == first) continue;
        int64_t more = kernels->above(set->logits + begin, end - begin, level, places + found);
        for (int64_t i = found; i < found + more; i++) places[i] += (int32_t)begin;
        found += more;
    }
    return found;
}

/* Those above a level as a list in the row's room; sums stay those of the row. */
static sonde__candidates candidates_gather(const sonde__candidates *set, float level)
{
    sonde__candidates list = *set;
    list.ids = set->room.ids;
    list.logits = set->room.logits;
    list.count = candidates_scan(set, level, list.ids);
    list.writable = true;
    list.weights = NULL;
    for (int64_t i = 0; i < list.count; i++) list.logits[i] = set->logits[list.ids[i]];
    return list;
}

void sonde__candidates_list(sonde__candidates *set)
{
    if (!set->ids) *set = candidates_gather(set, -INFINITY);
}

sonde_status sonde__candidates_copy(const sonde__candidates *set, sonde__candidates *copy)
{
    sonde__candidates made = *set;
    SONDE_TRY(candidates_make_room(&made, set->count));
    *copy = made;
    sonde__candidates_list(copy);
    if (!set->ids) return SONDE_OK;
    copy->logits = made.room.logits;
    copy->ids = made.room.ids;
    copy->weights = NULL;
    memcpy(copy->logits, set->logits, (size_t)set->count * sizeof *copy->logits);
    memcpy(copy->ids, set->ids, (size_t)set->count * sizeof *copy->ids);
    return SONDE_OK;
}

/* ---- narrowing a list -------------------------------------------------------------------------------------------- */

/* Kept ones move to the front; weights stay right unless the largest logit goes. */
static void candidates_move(sonde__candidates *set, int64_t from, int64_t to)
{
    set->logits[to] = set->logits[from];
    set->ids[to] = set->ids[from];
    if (set->weights) set->weights[to] = set->weights[from];
}

static void candidates_moved(sonde__candidates *set, int64_t kept)
{
    SONDE_ASSERT(kept >= 1);
    set->summed = false;
    if (kept == set->count) return;
    float most = sonde__kernels_get()->logit_max(set->logits, kept, NULL);
    if (most < set->most) set->weights = NULL;
    set->count = kept;
    set->most = most;
}

void sonde__candidates_keep(sonde__candidates *set, const bool *keep)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < set->count; i++)
        if (keep[i]) candidates_move(set, i, kept++);
    candidates_moved(set, kept);
}

/* Keeps what lies before the cut. Every one is moved, and overwritten by the next if it was not to stay: no branch to
 * mispredict. */
static void candidates_keep_cut(sonde__candidates *set, const sonde__cut *cut, bool all_ties)
{
    const uint64_t *keys = set->room.keys;
    int64_t kept = 0, ties = all_ties ? INT64_MAX : cut->ties;
    for (int64_t i = 0; i < set->count; i++) {
        bool in = keys[i] < cut->border;
        if (keys[i] == cut->border) in = ties-- > 0;
        candidates_move(set, i, kept);
        kept += in;
    }
    candidates_moved(set, kept);
}

/* Keeps those with a gap >= limit, if they are enough; tells whether they were. */
static bool candidates_keep_gap(sonde__candidates *set, double limit, int64_t least)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < set->count; i++) kept += sonde__candidate_gap(set, i) >= limit;
    if (kept < least) return false;
    kept = 0;
    for (int64_t i = 0; i < set->count; i++) {
        bool in = sonde__candidate_gap(set, i) >= limit;
        candidates_move(set, i, kept);
        kept += in;
    }
    candidates_moved(set, kept);
    return true;
}

/* ---- prefixes ---------------------------------------------------------------------------------------------------- */

/* A prefix in absolute numbers; the set may have become a part of what they were taken from. */
typedef struct candidates_target {
    bool weighted, typical;
    double mass, centre; /* the mean gap, if weighted */
    double span;         /* a guess of how far below the centre the last one lies */
    int64_t least;
} candidates_target;

/* The guess: as if gaps were normal, the quantile from the bound exp(-z^2 / 2) / 2 of a tail, less a fifth, which is
 * about right from 0.5 to 0.999. */
static candidates_target candidates_target_of(const sonde__candidates *set, bool typical, double share, int64_t least)
{
    double mean = set->moment / set->sum, deviation = sqrt(fmax(set->square / set->sum - mean * mean, 0));
    double tail = fmax((typical ? 1 : 2) * (1 - share), 1e-9);
    double span = 0.5 + 0.8 * deviation * sqrt(fmax(-2 * log(tail), 0));
    return (candidates_target){true, typical, share * set->sum, mean, span, least};
}

/* The distance from the centre, then which side: equal distances let the likely one go first. */
static uint64_t candidates_typical_key(double gap, double centre)
{
    double distance = fabs(gap - centre);
    uint64_t bits;
    memcpy(&bits, &distance, sizeof bits);
    return bits << 1 | (gap < centre);
}

static void candidates_keys(const sonde__candidates *set, const candidates_target *target)
{
    uint64_t *keys = set->room.keys;
    if (target->typical)
        for (int64_t i = 0; i < set->count; i++)
            keys[i] = candidates_typical_key(sonde__candidate_gap(set, i), target->centre);
    else
        for (int64_t i = 0; i < set->count; i++) keys[i] = sonde__cut_key(set->logits[i]);
}

/* The shortest prefix of keys in their room. */
static sonde__cut candidates_cut_keys(const sonde__candidates *set, int64_t count, const float *weights, double mass,
                                      int64_t least)
{
    sonde__cut_order order = {set->room.keys, UINT64_MAX, 0, weights, count, mass, sonde__min_i64(least, count),
                              set->room.items};
    for (int64_t i = 0; i < count; i++) {
        order.low = order.keys[i] < order.low ? order.keys[i] : order.low;
        order.high = order.keys[i] > order.high ? order.keys[i] : order.high;
    }
    return sonde__cut_find(&order);
}

/* Whether the target is reached by what is complete in a list of all gaps >= -reach. Lanes let the additions overlap.
 */
static bool candidates_covered(const sonde__candidates *list, const candidates_target *target, double reach)
{
    double upper = target->typical ? reach + 2 * target->centre : INFINITY, mass[4] = {0};
    int64_t count = 0;
    for (int64_t i = 0; i < list->count; i++) {
        bool complete = sonde__candidate_gap(list, i) <= upper;
        mass[i & 3] += complete && target->weighted ? (double)list->weights[i] : 0;
        count += complete;
    }
    return mass[0] + mass[1] + mass[2] + mass[3] >= target->mass && count >= target->least;
}

/* Makes a list of a whole row that holds the target: reaches farther and farther down until it does. */
static void candidates_reach(sonde__candidates *set, const candidates_target *target)
{
    for (double span = target->span;; span *= 1.3) {
        double reach = span - target->centre;
        bool all = span > 100;
        sonde__candidates list = candidates_gather(set, all ? -INFINITY : candidates_below(set, -reach));
        if (target->weighted) candidates_weigh(&list);
        if (!all && !candidates_covered(&list, target, reach)) continue;
        *set = list;
        return;
    }
}

/* The k-th largest block is a level that at least k logits reach. */
static void candidates_top_row(sonde__candidates *set, int64_t k)
{
    int64_t blocks = (set->count + SONDE__LOGIT_BLOCK - 1) / SONDE__LOGIT_BLOCK;
    candidates_target target = {.span = 3, .least = k};
    if (k > blocks) {
        candidates_reach(set, &target);
        return;
    }
    for (int64_t b = 0; b < blocks; b++) set->room.keys[b] = sonde__cut_key(set->block_max[b]);
    float level = set->block_max[candidates_cut_keys(set, blocks, NULL, 0, k).last];
    *set = candidates_gather(set, nextafterf(level, -INFINITY));
}

/* Where a list is cut; its keys stay in their room. */
static sonde__cut candidates_cut(sonde__candidates *set, const candidates_target *target)
{
    if (target->weighted) candidates_weigh(set);
    candidates_keys(set, target);
    return candidates_cut_keys(set, set->count, target->weighted ? set->weights : NULL, target->mass, target->least);
}

void sonde__candidates_prefix(sonde__candidates *set, const sonde__prefix *prefix)
{
    sonde__candidates_sums(set);
    candidates_target target = candidates_target_of(set, prefix->typical, prefix->share, prefix->least);
    if (!set->ids) candidates_reach(set, &target);
    sonde__cut cut = candidates_cut(set, &target);
    if (prefix->typical && prefix->all_ties) cut.border |= 1; /* both sides of the centre */
    candidates_keep_cut(set, &cut, prefix->all_ties);
}

void sonde__candidates_top(sonde__candidates *set, int64_t count, bool all_ties)
{
    candidates_target target = {.least = count};
    if (count >= set->count) return;
    if (!set->ids) candidates_top_row(set, count);
    set->summed = false;
    if (count >= set->count) return;
    sonde__cut cut = candidates_cut(set, &target);
    candidates_keep_cut(set, &cut, all_ties);
}

void sonde__candidates_above(sonde__candidates *set, double limit, int64_t least)
{
    sonde__candidates list = *set;
    if (!set->ids) list = candidates_gather(set, candidates_below(set, limit));
    if (candidates_keep_gap(&list, limit, least)) *set = list;
    else sonde__candidates_top(set, least, false);
}

int64_t sonde__candidates_pick(sonde__candidates *set, double share)
{
    sonde__candidates_sums(set);
    candidates_target target = candidates_target_of(set, false, share, 1);
    if (!set->ids) candidates_reach(set, &target);
    return candidates_cut(set, &target).last;
}

/* ---- ranking ----------------------------------------------------------------------------------------------------- */

/* One pass of a radix sort by eight bits; stable. */
static void candidates_sort_pass(const uint64_t *from, int64_t count, int shift, uint64_t *to)
{
    int64_t begin[256] = {0}, at = 0;
    for (int64_t i = 0; i < count; i++) begin[from[i] >> shift & 255]++;
    for (int b = 0; b < 256; b++) {
        int64_t size = begin[b];
        begin[b] = at;
        at += size;
    }
    for (int64_t i = 0; i < count; i++) to[begin[from[i] >> shift & 255]++] = from[i];
}

sonde_status sonde__candidates_ranked(const sonde__candidates *set, int32_t **places)
{
    uint64_t *keys, *spare;
    SONDE_TRY(SONDE_SCRATCH(set->scratch, keys, set->count));
    SONDE_TRY(SONDE_SCRATCH(set->scratch, spare, set->count));
    SONDE_TRY(SONDE_SCRATCH(set->scratch, *places, set->count));
    for (int64_t i = 0; i < set->count; i++) keys[i] = sonde__cut_key(set->logits[i]) << 32 | (uint64_t)i;
    for (int shift = 32; shift < 64; shift += 16) {
        candidates_sort_pass(keys, set->count, shift, spare);
        candidates_sort_pass(spare, set->count, shift + 8, keys);
    }
    for (int64_t i = 0; i < set->count; i++) (*places)[i] = (int32_t)(uint32_t)keys[i];
    return SONDE_OK;
}
