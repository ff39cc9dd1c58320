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
 * Where a prefix of a list ends is found by surveys: the mass above eight levels, which a small sample places so that
 * an eighth of the items lies between two; the part in which the border lies is copied and surveyed again, until few
 * items are left, or equal ones. Only these are cut exactly (cut.c). A list goes by its logits, or, for typical, by
 * the distance from the mean gap in double, rounded to f32: rounding makes ties but swaps nothing, and ties share a
 * part. Masses of up to 128 items add up in single precision, and these in double.
 *
 * Cost: one or two passes over the row, one with an exponential where the mass matters, and O(list); 40 bytes of
 * scratch for each token of the vocabulary.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tokens/candidates.h"

#include <math.h>

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
    SONDE_TRY(SONDE_SCRATCH(set->scratch, set->room.order, count));
    SONDE_TRY(SONDE_SCRATCH(set->scratch, set->room.part.values, count));
    SONDE_TRY(SONDE_SCRATCH(set->scratch, set->room.part.weights, count));
    SONDE_TRY(SONDE_SCRATCH(set->scratch, set->room.part.places, count));
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
    set->weight = sonde__kernels_get()->logit_exp(set->logits, set->count, set->most, (float)set->scale,
                                                  set->weights);
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

/* The largest float whose gap does not reach the limit, by halving the range of floats. */
static float candidates_below(const sonde__candidates *set, double limit)
{
    uint64_t reaches = sonde__cut_key(set->most), below = sonde__cut_key(-INFINITY);
    if (limit > 0) return set->most;
    while (below - reaches > 1) {
        uint64_t middle = reaches + (below - reaches) / 2;
        double gap = set->scale * ((double)sonde__cut_value(middle) - (double)set->most);
        if (gap >= limit) reaches = middle;
        else below = middle;
    }
    return sonde__cut_value(below);
}

/* The logits of a whole row above a level as a list in the row's room, by runs of blocks that hold any; sums stay
 * those of the row. */
static sonde__candidates candidates_gather(const sonde__candidates *set, float level)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    sonde__candidates list = *set;
    int64_t blocks = (set->count + SONDE__LOGIT_BLOCK - 1) / SONDE__LOGIT_BLOCK;
    list.ids = set->room.ids;
    list.logits = set->room.logits;
    list.count = 0;
    list.writable = true;
    list.weights = NULL;
    for (int64_t b = 0; b < blocks; b++) {
        int64_t first = b;
        while (b < blocks && set->block_max[b] > level) b++;
        int64_t begin = first * SONDE__LOGIT_BLOCK, end = sonde__min_i64(b * SONDE__LOGIT_BLOCK, set->count);
        sonde__logit_list run = {set->logits + begin, NULL, NULL, (int32_t)begin};
        sonde__logit_list next = {list.logits + list.count, NULL, list.ids + list.count, 0};
        if (b > first) list.count += kernels->logit_keep(run.values, end - begin, level, INFINITY, &run, &next);
    }
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
    set->weight = 0;
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

/* How many logits of a list lie above a level. */
static int64_t candidates_count_above(const sonde__candidates *set, float level)
{
    float levels[SONDE__LOGIT_LEVELS];
    double masses[SONDE__LOGIT_LEVELS];
    int64_t counts[SONDE__LOGIT_LEVELS];
    for (int l = 0; l < SONDE__LOGIT_LEVELS; l++) levels[l] = level;
    sonde__kernels_get()->logit_survey(set->logits, NULL, set->count, levels, masses, counts);
    return counts[0];
}

/* Keeps what goes by more than a level of the run [begin, end) of a list; `kept` are those kept so far, in its front.
 */
static int64_t candidates_keep_run(const sonde__candidates *set, const float *order, float level, int64_t begin,
                                   int64_t end, int64_t kept)
{
    bool weighted = set->weights != NULL;
    sonde__logit_list run = {set->logits + begin, weighted ? set->room.weights + begin : NULL, set->ids + begin, 0};
    sonde__logit_list front = {set->logits + kept, weighted ? set->room.weights + kept : NULL, set->ids + kept, 0};
    return sonde__kernels_get()->logit_keep(order + begin, end - begin, level, INFINITY, &run, &front);
}

void sonde__candidates_above(sonde__candidates *set, double limit, int64_t least)
{
    float below = candidates_below(set, limit);
    sonde__candidates list = *set;
    int64_t kept;
    if (set->ids) kept = candidates_count_above(set, below);
    else kept = (list = candidates_gather(set, below)).count;
    if (kept < least) {
        sonde__candidates_top(set, least, false);
        return;
    }
    if (set->ids) candidates_keep_run(&list, list.logits, below, 0, list.count, 0);
    *set = list;
    candidates_moved(set, kept);
}

/* ---- the border of a prefix -------------------------------------------------------------------------------------- */

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

/* The part of a list that the border lies in: what goes by low < order <= high. */
typedef struct candidates_part {
    sonde__logit_list items; /* values: their order; places NULL: the whole list */
    int64_t count;
    float low, high;
    double mass;    /* of what goes before all of it */
    int64_t before; /* how many these are; 0 where mass alone decides */
    sonde__cut cut; /* in the part; keys are in their room */
} candidates_part;

static int64_t candidates_place(const candidates_part *part, int64_t i)
{
    return part->items.places ? part->items.places[i] : i;
}

/* Levels, falling, between which there are about equally many: places of a sample. Equal ones are moved apart, so
 * that a value that occurs often gets an interval of its own. The last one is the bottom. */
enum { CANDIDATES_SAMPLE = 4 * SONDE__LOGIT_LEVELS - 1, CANDIDATES_FEW = 128 };

static void candidates_levels(const candidates_part *part, float *levels)
{
    float sample[CANDIDATES_SAMPLE];
    for (int i = 0; i < CANDIDATES_SAMPLE; i++) {
        float value = part->items.values[i * part->count / CANDIDATES_SAMPLE];
        int at = i;
        for (; at > 0 && sample[at - 1] < value; at--) sample[at] = sample[at - 1];
        sample[at] = value;
    }
    float last = INFINITY;
    for (int l = 0; l < SONDE__LOGIT_LEVELS - 1; l++) {
        float level = sample[4 * l + 3];
        last = levels[l] = fmaxf(level < last ? level : nextafterf(last, -INFINITY), part->low);
    }
    levels[SONDE__LOGIT_LEVELS - 1] = part->low;
}

/* Takes the part between two levels that the border lies in; false if all of it is not enough for the target. */
static bool candidates_narrow(const sonde__candidates *set, const candidates_target *target, candidates_part *part)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    float levels[SONDE__LOGIT_LEVELS];
    double masses[SONDE__LOGIT_LEVELS];
    int64_t counts[SONDE__LOGIT_LEVELS], l = 0;
    bool counted = !target->weighted || target->least > 1 || target->mass <= 0; /* else mass tells enough */
    candidates_levels(part, levels);
    kernels->logit_survey(part->items.values, part->items.weights, part->count, levels, masses,
                          counted ? counts : NULL);
    while (part->mass + masses[l] < target->mass || (counted && part->before + counts[l] < target->least))
        if (++l == SONDE__LOGIT_LEVELS) return false;
    if (l > 0) {
        part->mass += masses[l - 1];
        if (counted) part->before += counts[l - 1];
        part->high = levels[l - 1];
    }
    part->low = levels[l];
    part->count = kernels->logit_keep(part->items.values, part->count, part->low, part->high, &part->items,
                                      &set->room.part);
    part->items.values = set->room.part.values;
    part->items.places = set->room.part.places;
    if (part->items.weights) part->items.weights = set->room.part.weights;
    return true;
}

/* What a list goes by, largest first. Rounding to f32 makes ties, which share a part, but swaps none. */
static float *candidates_order(const sonde__candidates *set, const candidates_target *target)
{
    if (!target->typical) return set->logits;
    sonde__kernels_get()->logit_nearness(set->logits, set->count, (double)set->most, target->centre / set->scale,
                                         set->room.order);
    return set->room.order;
}

/* Few items of a list, or many equal ones, in which the border lies. Of the list all with order > low is complete:
 * false if that is not enough for the target. */
static bool candidates_search(sonde__candidates *set, const candidates_target *target, float low,
                              candidates_part *part)
{
    if (target->weighted) candidates_weigh(set);
    float *weights = target->weighted ? set->room.weights : NULL;
    *part = (candidates_part){.items = {.values = candidates_order(set, target), .weights = weights},
                              .count = set->count,
                              .low = low,
                              .high = INFINITY};
    bool enough = low == -INFINITY || candidates_narrow(set, target, part), smaller = enough;
    while (smaller && part->count > CANDIDATES_FEW) {
        int64_t count = part->count;
        smaller = candidates_narrow(set, target, part) && part->count < count;
    }
    return enough;
}

/* Makes a list of a whole row that holds the target: reaches farther and farther down until it does. */
static void candidates_reach(sonde__candidates *set, const candidates_target *target, candidates_part *part)
{
    for (double span = target->span;; span *= 1.3) {
        bool all = span > 100;
        float level = all ? -INFINITY : candidates_below(set, target->centre - span);
        float low = !all && target->typical ? -(float)(span / set->scale) : level;
        sonde__candidates list = candidates_gather(set, level);
        if (!candidates_search(&list, target, low, part)) continue;
        *set = list;
        return;
    }
}

/* The distance from the centre, then which side: equal distances let the likely one go first. */
static uint64_t candidates_typical_key(const sonde__candidates *set, int64_t i, double centre)
{
    double off = ((double)set->logits[i] - (double)set->most) - centre, distance = fabs(off);
    uint64_t bits;
    memcpy(&bits, &distance, sizeof bits);
    return bits << 1 | (off < 0);
}

/* The shortest prefix of keys in their room. */
static sonde__cut candidates_cut_keys(const sonde__candidates *set, int64_t count, const float *weights, double mass,
                                      int64_t least)
{
    sonde__cut_order order = {set->room.keys, UINT64_MAX, 0, weights, count, mass, least, set->room.items};
    order.least = sonde__max_i64(1, sonde__min_i64(least, count));
    for (int64_t i = 0; i < count; i++) {
        order.low = order.keys[i] < order.low ? order.keys[i] : order.low;
        order.high = order.keys[i] > order.high ? order.keys[i] : order.high;
    }
    return sonde__cut_find(&order);
}

/* Where the prefix ends; makes a list of a whole row. */
static candidates_part candidates_border(sonde__candidates *set, const candidates_target *target)
{
    candidates_part part;
    if (set->ids) candidates_search(set, target, -INFINITY, &part);
    else candidates_reach(set, target, &part);
    for (int64_t i = 0; i < part.count; i++)
        set->room.keys[i] = target->typical
                                ? candidates_typical_key(set, candidates_place(&part, i), target->centre / set->scale)
                                : sonde__cut_key(part.items.values[i]);
    part.cut = candidates_cut_keys(set, part.count, part.items.weights, target->mass - part.mass,
                                   target->least - part.before);
    return part;
}

/* Keeps what goes before the part, and of the part what lies before its cut. */
static void candidates_keep_prefix(sonde__candidates *set, const candidates_part *part, const float *order,
                                   bool all_ties)
{
    const sonde__cut *cut = &part->cut;
    int64_t kept = 0, begin = 0, ties = all_ties ? INT64_MAX : cut->ties;
    for (int64_t i = 0; i < part->count; i++) {
        int64_t place = candidates_place(part, i);
        uint64_t key = set->room.keys[i];
        if (begin < place) kept += candidates_keep_run(set, order, part->high, begin, place, kept);
        candidates_move(set, place, kept);
        kept += key < cut->border || (key == cut->border && ties-- > 0);
        begin = place + 1;
    }
    kept += candidates_keep_run(set, order, part->high, begin, set->count, kept);
    candidates_moved(set, kept);
}

/* ---- prefixes ---------------------------------------------------------------------------------------------------- */

void sonde__candidates_prefix(sonde__candidates *set, const sonde__prefix *prefix)
{
    sonde__candidates_sums(set);
    candidates_target target = candidates_target_of(set, prefix->typical, prefix->share, prefix->least);
    candidates_part part = candidates_border(set, &target);
    if (prefix->typical && prefix->all_ties) part.cut.border |= 1; /* both sides of the centre */
    candidates_keep_prefix(set, &part, prefix->typical ? set->room.order : set->logits, prefix->all_ties);
}

/* The k-th largest block is a level that at least k logits reach. */
static void candidates_top_row(sonde__candidates *set, int64_t k)
{
    int64_t blocks = (set->count + SONDE__LOGIT_BLOCK - 1) / SONDE__LOGIT_BLOCK;
    if (k > blocks) return;
    for (int64_t b = 0; b < blocks; b++) set->room.keys[b] = sonde__cut_key(set->block_max[b]);
    float level = set->block_max[candidates_cut_keys(set, blocks, NULL, 0, k).last];
    *set = candidates_gather(set, nextafterf(level, -INFINITY));
}

void sonde__candidates_top(sonde__candidates *set, int64_t count, bool all_ties)
{
    candidates_target target = {.span = 3, .least = count};
    if (count >= set->count) return;
    if (!set->ids) candidates_top_row(set, count);
    set->summed = false;
    if (count >= set->count) return;
    candidates_part part = candidates_border(set, &target);
    candidates_keep_prefix(set, &part, set->logits, all_ties);
}

int64_t sonde__candidates_pick(sonde__candidates *set, double share)
{
    if (set->ids) candidates_weigh(set);
    if (set->ids && set->weight > 0) set->sum = set->weight;
    else sonde__candidates_sums(set);
    candidates_target target = candidates_target_of(set, false, share, 1);
    candidates_part part = candidates_border(set, &target);
    return candidates_place(&part, part.cut.last);
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
