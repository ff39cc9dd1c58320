/* tas_balanced.c: batches of queries about one topic, with pairs whose margins are spread evenly.
 *
 * In-batch negatives teach little when the queries of a batch have nothing to do with each other, and random
 * training pairs are mostly easy ones. So the queries are clustered once, a batch takes its queries from one
 * cluster (or a few), and each query's (positive, negative) pairs are put into bins by the margin of their
 * teacher scores, of which one that holds any is drawn first, then a pair in it.
 *
 * Source: Hofstaetter, Lin, Yang, Lin, Hanbury, "Efficiently Teaching an Effective Dense Retriever with
 * Balanced Topic Aware Sampling", SIGIR 2021.
 *
 * A row of a draw is a query: id = its number, group = its cluster; outputs positives, negatives,
 * teacher_positives and teacher_negatives say which pair came with it. Without pairs in fit only queries are
 * drawn. The stream is endless and made of batches of `batch` rows; batch t is a function of (seed, pass, t),
 * so many are made at once.
 *
 *   cluster c: member[begin[c] .. begin[c + 1])      member p: a query
 *   member p:  runs first[p] .. first[p + 1)         (first NULL: run p alone, where pairs are not binned)
 *   run r:     pair[run[r] .. run[r + 1])            the pairs of one query in one bin
 *
 * Cost: fit is one k-means (or a ready assignment) and O(queries + pairs); a row O(1). Memory: 4 bytes a
 * query, 24 a pair, 4 a run.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "linalg/linalg.h"
#include "rows/rows.h"

enum { TAS_STREAM_BATCH = 0x7a51 };

#define TAS_DROPPED UINT32_MAX
#define TAS_POLL_ROWS 65536  /* rows of a serial loop between two questions whether to go on */
#define TAS_CHUNK_ROWS 16384 /* rows of a parallel chunk */

struct tas_pair {
    int64_t positive, negative;
    float teacher_positive, teacher_negative;
};

struct tas_state {
    int64_t queries; /* that fit was given */
    int64_t clusters, members, runs, pairs;
    bool teacher;
    uint32_t *label;  /* clusters: its number in the assignment */
    uint32_t *begin;  /* clusters + 1 */
    uint32_t *member; /* members */
    uint32_t *first;  /* members + 1, or NULL */
    uint32_t *run;    /* runs + 1; NULL without pairs */
    struct tas_pair *pair;
};

static void tas_forget(sonde_runtime *runtime, struct tas_state *state)
{
    if (!state) return;
    sonde__free(runtime, state->label);
    sonde__free(runtime, state->begin);
    sonde__free(runtime, state->member);
    sonde__free(runtime, state->first);
    sonde__free(runtime, state->run);
    sonde__free(runtime, state->pair);
    sonde__free(runtime, state);
}

static void tas_drop(sonde_row_sampler *sampler)
{
    tas_forget(sampler->runtime, sampler->state);
}

static void tas_adopt(sonde_row_sampler *sampler, struct tas_state *state)
{
    tas_forget(sampler->runtime, sampler->state);
    sampler->state = state;
}

static sonde_status tas_create(sonde_row_sampler *sampler)
{
    int64_t parts = sonde__param_int(sampler->params, "clusters_per_batch");
    sampler->batch = sonde__param_int(sampler->params, "batch");
    if (sampler->batch % parts == 0) return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT,
                       "tas_balanced: clusters_per_batch=%lld does not divide batch=%lld", (long long)parts,
                       (long long)sampler->batch);
}

/* Bins tell pairs apart only where there are several. */
static bool tas_binned(const sonde_row_sampler *sampler)
{
    return sonde__param_is(sampler->params, "pairs", "bins") && sonde__param_int(sampler->params, "bins") > 1;
}

/* ---- fitting: clusters --------------------------------------------------------------------------------- */

/* What fit works with. */
struct tas_fit {
    sonde_row_sampler *sampler;
    sonde_runtime *runtime;
    const sonde_array *const *inputs;
    int64_t queries, labels, pairs; /* as given */
    bool binned;
    int32_t *label;        /* queries: the cluster, -1 = none */
    uint32_t *next;        /* queries: how many pairs; later where the next of them goes, or TAS_DROPPED */
    uint32_t *slot;        /* pairs: the query; later where the pair goes, or TAS_DROPPED */
    struct tas_state *made;
};

static const sonde_array *tas_input(const struct tas_fit *fit, const char *name)
{
    return fit->inputs[sonde__rows_input(fit->sampler, "fit", name)];
}

static sonde_status tas_cluster_queries(struct tas_fit *fit, const sonde_array *queries)
{
    const sonde__params *params = fit->sampler->params;
    sonde__kmeans_options how = {.k = fit->labels,
                                 .iterations = (int)sonde__param_int(params, "iters"),
                                 .seed = fit->sampler->seed,
                                 .spherical = sonde__param_is(params, "metric", "ip"),
                                 .stage = "tas_balanced: clusters"};
    int64_t n = queries->rows, dim = queries->cols;
    float *x = NULL, *centroids = NULL;
    if (n < fit->labels)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "fit: clusters=%lld is more than the %lld queries",
                           (long long)fit->labels, (long long)n);
    SONDE_TRY(sonde__matrix_f32(fit->runtime, queries, "fit: queries", n, fit->sampler->dim, &x));
    sonde_status status = SONDE_NEW(fit->runtime, centroids, fit->labels * dim);
    if (status == SONDE_OK) status = sonde__kmeans(fit->runtime, x, dim, n, dim, &how, centroids, NULL);
    if (status == SONDE_OK)
        status = sonde__assign(fit->runtime, 0, x, dim, n, dim, centroids, fit->labels, how.spherical,
                               fit->label, NULL);
    sonde__free(fit->runtime, centroids);
    sonde__free(fit->runtime, x);
    return status;
}

static sonde_status tas_read_assignment(struct tas_fit *fit, const sonde_array *assignment)
{
    int64_t *label = NULL;
    SONDE_TRY(
        sonde__column_i64(fit->runtime, assignment, "fit: assignment", -1, -1, fit->labels - 1, &label));
    for (int64_t i = 0; i < fit->queries; i++) fit->label[i] = (int32_t)label[i];
    sonde__free(fit->runtime, label);
    return SONDE_OK;
}

/* Every query's cluster, by clustering or as given. */
static sonde_status tas_label(struct tas_fit *fit)
{
    const sonde_array *queries = tas_input(fit, "queries"), *assignment = tas_input(fit, "assignment");
    if (!queries == !assignment)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "fit: tas_balanced takes either queries or assignment");
    fit->queries = queries ? queries->rows : assignment->rows;
    if (fit->queries < 1 || fit->queries > SONDE__ROWS_MOST)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "fit: there are %lld queries, expected 1..%lld",
                           (long long)fit->queries, (long long)SONDE__ROWS_MOST);
    SONDE_TRY(SONDE_NEW(fit->runtime, fit->label, fit->queries));
    return queries ? tas_cluster_queries(fit, queries) : tas_read_assignment(fit, assignment);
}

/* Drops what has too few pairs or no cluster, and puts the rest in order of clusters; empty ones go. */
static sonde_status tas_gather(struct tas_fit *fit)
{
    struct tas_state *made = fit->made;
    uint32_t least = fit->binned ? 2 : 1;
    SONDE_TRY(sonde__poll(fit->runtime, "tas_balanced: members", 0, 1));
    SONDE_TRY(SONDE_NEW(fit->runtime, made->label, fit->labels));
    SONDE_TRY(SONDE_NEW_ZERO(fit->runtime, made->begin, fit->labels + 1));
    for (int64_t q = 0; q < fit->queries; q++) {
        if (fit->next && fit->next[q] < least) fit->label[q] = -1;
        if (fit->label[q] < 0) continue;
        made->begin[fit->label[q] + 1]++;
        made->members++;
    }
    if (made->members == 0)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "fit: no query has a cluster%s",
                           fit->binned && fit->next ? " and at least 2 pairs (pairs=random takes 1)"
                           : fit->next              ? " and a pair"
                                                    : "");
    for (int64_t c = 0; c < fit->labels; c++) made->begin[c + 1] += made->begin[c];
    SONDE_TRY(SONDE_NEW(fit->runtime, made->member, made->members));
    for (int64_t q = 0; q < fit->queries; q++)
        if (fit->label[q] >= 0) made->member[made->begin[fit->label[q]]++] = (uint32_t)q;
    /* Each begin has moved to the end of its cluster; what is not empty closes up. */
    uint32_t end = 0;
    for (int64_t c = 0; c < fit->labels; c++) {
        uint32_t start = end;
        end = made->begin[c];
        if (start == end) continue;
        made->label[made->clusters] = (uint32_t)c;
        made->begin[made->clusters++] = start;
    }
    made->begin[made->clusters] = end;
    return SONDE_OK;
}

/* ---- fitting: pairs ------------------------------------------------------------------------------------ */

/* The query of each pair, and how many pairs each query has. */
static sonde_status tas_count_pairs(struct tas_fit *fit)
{
    const sonde_array *owners = tas_input(fit, "pair_queries");
    const bool teacher = tas_input(fit, "teacher_positives") != NULL;
    int64_t *owner = NULL;
    if (!owners != !tas_input(fit, "pair_positives") || !owners != !tas_input(fit, "pair_negatives"))
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "fit: pair_queries, pair_positives and pair_negatives go together");
    if (teacher != (tas_input(fit, "teacher_negatives") != NULL) || (teacher && !owners))
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "fit: teacher_positives and teacher_negatives go together, and with pairs");
    if (!owners) return SONDE_OK;
    if (fit->binned && !teacher)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "fit: pairs=bins needs teacher_positives and teacher_negatives "
                           "(pairs=random does not)");
    fit->pairs = owners->rows;
    fit->made->teacher = teacher;
    if (fit->pairs > SONDE__ROWS_MOST - 1)
        return sonde__fail(SONDE_LIMIT, "fit: %lld pairs are too many", (long long)fit->pairs);
    SONDE_TRY(SONDE_NEW(fit->runtime, fit->slot, fit->pairs));
    SONDE_TRY(SONDE_NEW_ZERO(fit->runtime, fit->next, fit->queries));
    SONDE_TRY(sonde__column_i64(fit->runtime, owners, "fit: pair_queries", -1, 0, fit->queries - 1, &owner));
    for (int64_t j = 0; j < fit->pairs; j++) {
        fit->slot[j] = (uint32_t)owner[j];
        fit->next[owner[j]]++;
    }
    sonde__free(fit->runtime, owner);
    return SONDE_OK;
}

/* Where each pair goes: those of a member together, in the order given. made->run gets a run for each member.
 */
static sonde_status tas_place_pairs(struct tas_fit *fit)
{
    struct tas_state *made = fit->made;
    SONDE_TRY(SONDE_NEW(fit->runtime, made->run, made->members + 1));
    made->runs = made->members;
    for (int64_t p = 0; p < made->members; p++) {
        uint32_t count = fit->next[made->member[p]];
        fit->next[made->member[p]] = made->run[p] = (uint32_t)made->pairs;
        made->pairs += count;
    }
    made->run[made->members] = (uint32_t)made->pairs;
    for (int64_t j = 0; j < fit->pairs; j++) {
        uint32_t query = fit->slot[j];
        fit->slot[j] = fit->label[query] < 0 ? TAS_DROPPED : fit->next[query]++;
    }
    return SONDE_NEW_ZERO(fit->runtime, made->pair, made->pairs);
}

static sonde_status tas_fill_ids(struct tas_fit *fit, const char *name, size_t offset)
{
    int64_t *id = NULL;
    SONDE_TRY(sonde__column_i64(fit->runtime, tas_input(fit, name), name, fit->pairs, 0, INT64_MAX, &id));
    for (int64_t j = 0; j < fit->pairs; j++)
        if (fit->slot[j] != TAS_DROPPED)
            memcpy((char *)&fit->made->pair[fit->slot[j]] + offset, &id[j], sizeof id[j]);
    sonde__free(fit->runtime, id);
    return SONDE_OK;
}

static sonde_status tas_fill_scores(struct tas_fit *fit, const char *name, size_t offset)
{
    float *score = NULL;
    SONDE_TRY(sonde__matrix_f32(fit->runtime, tas_input(fit, name), name, fit->pairs, 1, &score));
    for (int64_t j = 0; j < fit->pairs; j++)
        if (fit->slot[j] != TAS_DROPPED)
            memcpy((char *)&fit->made->pair[fit->slot[j]] + offset, &score[j], sizeof score[j]);
    sonde__free(fit->runtime, score);
    return SONDE_OK;
}

static sonde_status tas_fill_pairs(struct tas_fit *fit)
{
    SONDE_TRY(tas_fill_ids(fit, "pair_positives", offsetof(struct tas_pair, positive)));
    SONDE_TRY(tas_fill_ids(fit, "pair_negatives", offsetof(struct tas_pair, negative)));
    if (!fit->made->teacher) return SONDE_OK;
    SONDE_TRY(tas_fill_scores(fit, "teacher_positives", offsetof(struct tas_pair, teacher_positive)));
    return tas_fill_scores(fit, "teacher_negatives", offsetof(struct tas_pair, teacher_negative));
}

/* Memory to sort one query's pairs by bin. */
struct tas_sorter {
    int64_t bins;
    int64_t *start;        /* bins + 1 */
    uint32_t *bin;         /* of each pair */
    struct tas_pair *pair; /* a copy of them */
};

static double tas_margin(const struct tas_pair *pair)
{
    return (double)pair->teacher_positive - (double)pair->teacher_negative;
}

/* Cuts the range of the query's margins into equal bins and counts; start[b + 1] = pairs of bin b. */
static void tas_bin(struct tas_sorter *sorter, const struct tas_pair *pair, int64_t count)
{
    double low = tas_margin(pair), high = low;
    for (int64_t j = 1; j < count; j++) {
        low = fmin(low, tas_margin(&pair[j]));
        high = fmax(high, tas_margin(&pair[j]));
    }
    double width = (high - low) / (double)sorter->bins;
    memset(sorter->start, 0, (size_t)(sorter->bins + 1) * sizeof *sorter->start);
    for (int64_t j = 0; j < count; j++) {
        double place = width > 0 ? floor((tas_margin(&pair[j]) - low) / width) : 0;
        sorter->bin[j] = (uint32_t)fmin(place, (double)(sorter->bins - 1));
        sorter->start[sorter->bin[j] + 1]++;
    }
}

/* Puts the pairs in the order of their bins and appends a run for each bin that holds any. */
static void tas_sort_member(struct tas_sorter *sorter, struct tas_state *made, uint32_t begin, uint32_t end)
{
    struct tas_pair *pair = made->pair + begin;
    int64_t count = (int64_t)end - begin;
    tas_bin(sorter, pair, count);
    for (int64_t b = 0; b < sorter->bins; b++) {
        if (sorter->start[b + 1] > 0) made->run[made->runs++] = begin + (uint32_t)sorter->start[b];
        sorter->start[b + 1] += sorter->start[b];
    }
    memcpy(sorter->pair, pair, (size_t)count * sizeof *pair);
    for (int64_t j = 0; j < count; j++) pair[sorter->start[sorter->bin[j]]++] = sorter->pair[j];
}

/* Splits the one run of each member into one for each of its bins. */
static sonde_status tas_split_runs(struct tas_fit *fit, const uint32_t *whole, sonde__scratch *scratch)
{
    struct tas_state *made = fit->made;
    struct tas_sorter sorter = {.bins = sonde__param_int(fit->sampler->params, "bins")};
    int64_t longest = 0;
    for (int64_t p = 0; p < made->members; p++)
        longest = sonde__max_i64(longest, (int64_t)whole[p + 1] - whole[p]);
    SONDE_TRY(SONDE_SCRATCH(scratch, sorter.start, sorter.bins + 1));
    SONDE_TRY(SONDE_SCRATCH(scratch, sorter.bin, longest));
    SONDE_TRY(SONDE_SCRATCH(scratch, sorter.pair, longest));
    for (int64_t p = 0; p < made->members; p++) {
        if (p % TAS_POLL_ROWS == 0)
            SONDE_TRY(sonde__poll(fit->runtime, "tas_balanced: bins", (uint64_t)p, (uint64_t)made->members));
        made->first[p] = (uint32_t)made->runs;
        tas_sort_member(&sorter, made, whole[p], whole[p + 1]);
    }
    made->first[made->members] = (uint32_t)made->runs;
    made->run[made->runs] = (uint32_t)made->pairs;
    return SONDE_OK;
}

static sonde_status tas_bin_pairs(struct tas_fit *fit)
{
    struct tas_state *made = fit->made;
    uint32_t *whole = made->run;
    sonde__scratch *scratch = NULL;
    made->run = NULL;
    made->runs = 0;
    sonde_status status = SONDE_NEW(fit->runtime, made->run, made->pairs + 1);
    if (status == SONDE_OK) status = SONDE_NEW(fit->runtime, made->first, made->members + 1);
    if (status == SONDE_OK) status = sonde__scratch_take(fit->runtime, &scratch);
    if (status == SONDE_OK) status = tas_split_runs(fit, whole, scratch);
    sonde__scratch_give(fit->runtime, scratch);
    sonde__free(fit->runtime, whole);
    return status;
}

static sonde_status tas_check_batch(const struct tas_fit *fit)
{
    if (!sonde__param_is(fit->sampler->params, "dedup", "yes") || fit->made->members >= fit->sampler->batch)
        return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT,
                       "fit: dedup=yes needs at least batch=%lld queries, %lld are left",
                       (long long)fit->sampler->batch, (long long)fit->made->members);
}

static sonde_status tas_make(struct tas_fit *fit)
{
    SONDE_TRY(SONDE_NEW_ZERO(fit->runtime, fit->made, 1));
    SONDE_TRY(tas_label(fit));
    fit->made->queries = fit->queries;
    SONDE_TRY(tas_count_pairs(fit));
    SONDE_TRY(tas_gather(fit));
    SONDE_TRY(tas_check_batch(fit));
    if (!fit->slot) return SONDE_OK;
    SONDE_TRY(tas_place_pairs(fit));
    SONDE_TRY(tas_fill_pairs(fit));
    return fit->binned ? tas_bin_pairs(fit) : SONDE_OK;
}

static sonde_status tas_fit(sonde_row_sampler *sampler, const sonde_array *const *inputs)
{
    struct tas_fit fit = {.sampler = sampler,
                          .runtime = sampler->runtime,
                          .inputs = inputs,
                          .labels = sonde__param_int(sampler->params, "clusters"),
                          .binned = tas_binned(sampler)};
    sonde_status status = tas_make(&fit);
    sonde__free(sampler->runtime, fit.label);
    sonde__free(sampler->runtime, fit.next);
    sonde__free(sampler->runtime, fit.slot);
    if (status != SONDE_OK) {
        tas_forget(sampler->runtime, fit.made);
        return status;
    }
    const sonde_array *queries = tas_input(&fit, "queries");
    if (queries) sampler->dim = queries->cols;
    tas_adopt(sampler, fit.made);
    return SONDE_OK;
}

/* ---- drawing ------------------------------------------------------------------------------------------- */

struct tas_draw {
    const sonde_row_sampler *sampler;
    const struct tas_state *state;
    int64_t count, batch, share; /* share: most rows of a batch from one draw of a cluster */
    int64_t first;               /* number of the first batch */
    bool by_size, dedup;
    int64_t *positives, *negatives; /* NULL where they are not made */
    float *teacher_positives, *teacher_negatives;
};

/* Where a worker composes a batch. */
struct tas_desk {
    int64_t rows;        /* so far */
    int64_t turn;        /* number of the cluster's draw; 0 where repeats are rejected from the whole batch */
    uint32_t *cluster, *place; /* of each row */
    uint32_t *pair;      /* of each row */
    uint32_t *taken;     /* clusters: rows of this batch, where repeats are rejected */
    uint64_t *set, mask; /* open hash table of (turn, place), at most half full */
};

/* False if the row is there already. */
static bool tas_enter(struct tas_desk *desk, uint32_t place)
{
    uint64_t key = (uint64_t)desk->turn << 32 | place;
    uint64_t at = (key * 0x9e3779b97f4a7c15u) >> 32 & desk->mask;
    while (desk->set[at] != UINT64_MAX) {
        if (desk->set[at] == key) return false;
        at = (at + 1) & desk->mask;
    }
    desk->set[at] = key;
    return true;
}

static int64_t tas_choose_cluster(const struct tas_draw *draw, sonde__rng *rng)
{
    const struct tas_state *state = draw->state;
    if (!draw->by_size) return (int64_t)sonde__rng_below(rng, (uint64_t)state->clusters);
    uint32_t place = (uint32_t)sonde__rng_below(rng, (uint64_t)state->members);
    int64_t low = 0, high = state->clusters; /* begin[low] <= place < begin[high] */
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (state->begin[middle] <= place) low = middle;
        else high = middle;
    }
    return low;
}

static void tas_put(struct tas_desk *desk, int64_t cluster, uint32_t place)
{
    desk->cluster[desk->rows] = (uint32_t)cluster;
    desk->place[desk->rows++] = place;
}

/* What is known of a member is far away in memory, and wanted when the batch is complete. */
static void tas_fetch(const struct tas_state *state, uint32_t place)
{
    __builtin_prefetch(&state->member[place]);
    if (state->run) __builtin_prefetch(state->first ? &state->first[place] : &state->run[place]);
}

/* Different members of a cluster at random; all that are left where that is what is asked for. */
static void tas_take(const struct tas_draw *draw, struct tas_desk *desk, int64_t cluster, sonde__rng *rng)
{
    uint32_t begin = draw->state->begin[cluster], size = draw->state->begin[cluster + 1] - begin;
    int64_t left = (int64_t)size - (draw->dedup ? desk->taken[cluster] : 0);
    int64_t take = sonde__min_i64(sonde__min_i64(draw->share, left), draw->batch - desk->rows);
    if (draw->dedup) desk->taken[cluster] += (uint32_t)take;
    else desk->turn++;
    if (take == left) {
        for (uint32_t i = 0; i < size; i++)
            if (!draw->dedup || tas_enter(desk, begin + i)) tas_put(desk, cluster, begin + i);
        return;
    }
    for (int64_t end = desk->rows + take; desk->rows < end;) {
        uint32_t place = begin + (uint32_t)sonde__rng_below(rng, size);
        if (!tas_enter(desk, place)) continue;
        tas_fetch(draw->state, place);
        tas_put(desk, cluster, place);
    }
}

static void tas_compose(const struct tas_draw *draw, struct tas_desk *desk, sonde__rng *rng)
{
    memset(desk->set, 0xff, (size_t)(desk->mask + 1) * sizeof *desk->set);
    desk->rows = desk->turn = 0;
    while (desk->rows < draw->batch) tas_take(draw, desk, tas_choose_cluster(draw, rng), rng);
    if (!draw->dedup) return;
    for (int64_t i = 0; i < draw->batch; i++) desk->taken[desk->cluster[i]] = 0;
}

/* For each row one of its query's runs, then a pair in it. */
static void tas_choose_pairs(const struct tas_draw *draw, struct tas_desk *desk, sonde__rng *rng)
{
    const struct tas_state *state = draw->state;
    if (!state->first) memcpy(desk->pair, desk->place, (size_t)draw->batch * sizeof *desk->pair);
    for (int64_t i = 0; state->first && i < draw->batch; i++) {
        const uint32_t *first = state->first + desk->place[i];
        desk->pair[i] = first[0] + (uint32_t)sonde__rng_below(rng, first[1] - first[0]);
        __builtin_prefetch(&state->run[desk->pair[i]]);
    }
    for (int64_t i = 0; i < draw->batch; i++) {
        const uint32_t *run = state->run + desk->pair[i];
        uint32_t size = run[1] - run[0];
        desk->pair[i] = run[0] + (size > 1 ? (uint32_t)sonde__rng_below(rng, size) : 0);
        __builtin_prefetch(&state->pair[desk->pair[i]]);
    }
}

/* Row i of the batch is row `out` of the draw. */
static void tas_give(const struct tas_draw *draw, const struct tas_desk *desk, int64_t i, int64_t out)
{
    const struct tas_state *state = draw->state;
    draw->sampler->drawn.ids[out] = state->member[desk->place[i]];
    draw->sampler->drawn.groups[out] = state->label[desk->cluster[i]];
    if (!draw->positives) return;
    const struct tas_pair *pair = &state->pair[desk->pair[i]];
    draw->positives[out] = pair->positive;
    draw->negatives[out] = pair->negative;
    if (!draw->teacher_positives) return;
    draw->teacher_positives[out] = pair->teacher_positive;
    draw->teacher_negatives[out] = pair->teacher_negative;
}

static sonde_status tas_set_desk(const struct tas_draw *draw, sonde__scratch *scratch, struct tas_desk *desk)
{
    desk->mask = 3;
    while (desk->mask + 1 < 2 * (uint64_t)draw->batch) desk->mask = 2 * desk->mask + 1;
    SONDE_TRY(SONDE_SCRATCH(scratch, desk->set, desk->mask + 1));
    SONDE_TRY(SONDE_SCRATCH(scratch, desk->cluster, draw->batch));
    SONDE_TRY(SONDE_SCRATCH(scratch, desk->place, draw->batch));
    SONDE_TRY(SONDE_SCRATCH(scratch, desk->pair, draw->batch));
    if (!draw->dedup) return SONDE_OK;
    SONDE_TRY(SONDE_SCRATCH(scratch, desk->taken, draw->state->clusters));
    memset(desk->taken, 0, (size_t)draw->state->clusters * sizeof *desk->taken);
    return SONDE_OK;
}

/* Batches first + begin .. first + end; the first and the last may be wanted in part only. */
static sonde_status tas_draw_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    const struct tas_draw *draw = context;
    const sonde_row_sampler *sampler = draw->sampler;
    struct tas_desk desk = {0};
    sonde__scratch *scratch;
    SONDE_TRY(sonde__scratch_take(sampler->runtime, &scratch));
    sonde_status status = tas_set_desk(draw, scratch, &desk);
    for (int64_t t = draw->first + begin; status == SONDE_OK && t < draw->first + end; t++) {
        sonde__rng rng;
        int64_t offset = t * draw->batch - sampler->place;
        sonde__rows_rng(sampler, sampler->pass, TAS_STREAM_BATCH, (uint64_t)t, &rng);
        tas_compose(draw, &desk, &rng);
        if (draw->positives) tas_choose_pairs(draw, &desk, &rng);
        for (int64_t i = sonde__max_i64(0, -offset); i < sonde__min_i64(draw->batch, draw->count - offset);
             i++)
            tas_give(draw, &desk, i, offset + i);
    }
    sonde__scratch_give(sampler->runtime, scratch);
    return status;
}

static sonde_status tas_columns(sonde_row_sampler *sampler, struct tas_draw *draw)
{
    SONDE_TRY(sonde__rows_begin(sampler, draw->count, true));
    if (!draw->state->run) return SONDE_OK;
    SONDE_TRY(sonde__rows_column(sampler, "positives", draw->count, 1, &draw->positives));
    SONDE_TRY(sonde__rows_column(sampler, "negatives", draw->count, 1, &draw->negatives));
    if (!draw->state->teacher) return SONDE_OK;
    SONDE_TRY(sonde__rows_column(sampler, "teacher_positives", draw->count, 1, &draw->teacher_positives));
    return sonde__rows_column(sampler, "teacher_negatives", draw->count, 1, &draw->teacher_negatives);
}

static sonde_status tas_draw(sonde_row_sampler *sampler, const sonde_array *const *inputs, int64_t count)
{
    (void)inputs;
    struct tas_draw draw = {
        .sampler = sampler, .state = sampler->state, .count = count, .batch = sampler->batch};
    draw.share = draw.batch / sonde__param_int(sampler->params, "clusters_per_batch");
    draw.first = sampler->place / draw.batch;
    draw.by_size = sonde__param_is(sampler->params, "cluster_weight", "size");
    draw.dedup = sonde__param_is(sampler->params, "dedup", "yes");
    SONDE_TRY(tas_columns(sampler, &draw));
    int64_t batches = (sampler->place + count - 1) / draw.batch - draw.first + 1;
    return sonde__parallel_for(sampler->runtime, 0, batches, sonde__max_i64(1, TAS_CHUNK_ROWS / draw.batch),
                               "tas_balanced: batches", tas_draw_chunk, &draw);
}

/* ---- the loss ------------------------------------------------------------------------------------------ */

/* One side of a training batch: the positives or the negatives. */
struct tas_side {
    float *block;         /* B x dim embeddings */
    float *score;         /* B x B: queries by block; becomes the derivative by the scores */
    float *pair_teacher;  /* B */
    float *batch_teacher; /* B x B, or NULL */
};

struct tas_loss {
    const sonde_row_sampler *sampler;
    sonde_runtime *runtime;
    const sonde_array *const *inputs;
    int64_t batch, dim;
    double alpha, value;
    float *queries;
    double *own; /* B: the derivative by s_i+, the diagonal of the positives' scores */
    struct tas_side positives, negatives;
};

static int tas_loss_row(const struct tas_loss *loss, const char *name)
{
    return sonde__rows_input(loss->sampler, "loss", name);
}

static sonde_status tas_loss_read(struct tas_loss *loss, const char *name, int64_t cols, float **values)
{
    const sonde_array *array = loss->inputs[tas_loss_row(loss, name)];
    return array ? sonde__matrix_f32(loss->runtime, array, name, loss->batch, cols, values) : SONDE_OK;
}

static sonde_status tas_loss_take(struct tas_loss *loss)
{
    const sonde_array *queries = loss->inputs[tas_loss_row(loss, "queries")];
    int64_t size = loss->batch = queries->rows;
    loss->dim = queries->cols;
    if (size < 1 || size > 65536)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "loss: queries has %lld rows, expected 1..65536",
                           (long long)size);
    SONDE_TRY(tas_loss_read(loss, "queries", loss->dim, &loss->queries));
    SONDE_TRY(tas_loss_read(loss, "positives", loss->dim, &loss->positives.block));
    SONDE_TRY(tas_loss_read(loss, "negatives", loss->dim, &loss->negatives.block));
    SONDE_TRY(tas_loss_read(loss, "teacher_positives", 1, &loss->positives.pair_teacher));
    SONDE_TRY(tas_loss_read(loss, "teacher_negatives", 1, &loss->negatives.pair_teacher));
    SONDE_TRY(tas_loss_read(loss, "batch_positives", size, &loss->positives.batch_teacher));
    SONDE_TRY(tas_loss_read(loss, "batch_negatives", size, &loss->negatives.batch_teacher));
    if (!loss->positives.batch_teacher != !loss->negatives.batch_teacher)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "loss: batch_positives and batch_negatives go together");
    SONDE_TRY(SONDE_NEW(loss->runtime, loss->positives.score, size * size));
    SONDE_TRY(SONDE_NEW(loss->runtime, loss->negatives.score, size * size));
    return SONDE_NEW(loss->runtime, loss->own, size);
}

static sonde_status tas_loss_scores(const struct tas_loss *loss, const struct tas_side *side)
{
    return sonde__gemm_nt(loss->runtime, 0, loss->batch, loss->batch, loss->dim, loss->queries, loss->dim,
                          side->block, loss->dim, side->score, loss->batch);
}

/* The teacher's in-batch margins for row i of one side: each score off the diagonal becomes the derivative by
 * it. `own` is the student's score of the positive. */
static void tas_loss_in_batch(struct tas_loss *loss, struct tas_side *side, int64_t i, double own)
{
    int64_t size = loss->batch;
    double weight = loss->alpha / 2 / ((double)size * (double)(size - 1));
    double teacher_own = (double)loss->positives.batch_teacher[i * size + i];
    float *score = side->score + i * size;
    const float *teacher = side->batch_teacher + i * size;
    for (int64_t j = 0; j < size; j++) {
        if (j == i) continue;
        double rest = own - (double)score[j] - (teacher_own - (double)teacher[j]);
        loss->value += weight * rest * rest;
        loss->own[i] += 2 * weight * rest;
        score[j] = (float)(-2 * weight * rest);
    }
}

/* Scores become derivatives, row by row. */
static void tas_loss_row_terms(struct tas_loss *loss, int64_t i)
{
    int64_t size = loss->batch;
    struct tas_side *plus = &loss->positives, *minus = &loss->negatives;
    double own = (double)plus->score[i * size + i], other = (double)minus->score[i * size + i];
    double rest = own - other - ((double)plus->pair_teacher[i] - (double)minus->pair_teacher[i]);
    loss->value += rest * rest / (double)size;
    loss->own[i] = 2 * rest / (double)size;
    if (plus->batch_teacher) {
        tas_loss_in_batch(loss, plus, i, own);
        tas_loss_in_batch(loss, minus, i, own);
    } else {
        memset(plus->score + i * size, 0, (size_t)size * sizeof(float));
        memset(minus->score + i * size, 0, (size_t)size * sizeof(float));
    }
    plus->score[i * size + i] = (float)loss->own[i];
    minus->score[i * size + i] = (float)(-2 * rest / (double)size);
}

/* queries: sum over both sides of derivative x block. */
static sonde_status tas_loss_query_gradient(const struct tas_loss *loss, const sonde_array *into)
{
    int64_t size = loss->batch, dim = loss->dim;
    const struct tas_side *plus = &loss->positives, *minus = &loss->negatives;
    float *sum = NULL, *part = NULL;
    sonde_status status = SONDE_NEW(loss->runtime, sum, size * dim);
    if (status == SONDE_OK) status = SONDE_NEW(loss->runtime, part, size * dim);
    if (status == SONDE_OK)
        status = sonde__gemm_nn(loss->runtime, 0, size, dim, size, plus->score, size, plus->block, dim, sum,
                                dim);
    if (status == SONDE_OK)
        status = sonde__gemm_nn(loss->runtime, 0, size, dim, size, minus->score, size, minus->block, dim,
                                part, dim);
    if (status == SONDE_OK) {
        for (int64_t i = 0; i < size * dim; i++) sum[i] += part[i];
        sonde__gradient_put(into, sum);
    }
    sonde__free(loss->runtime, sum);
    sonde__free(loss->runtime, part);
    return status;
}

/* A block: derivative transposed x queries. */
static sonde_status tas_loss_block_gradient(const struct tas_loss *loss, const float *score,
                                            const sonde_array *into)
{
    int64_t size = loss->batch, dim = loss->dim;
    float *turned = NULL, *product = NULL;
    sonde_status status = SONDE_NEW(loss->runtime, turned, size * size);
    if (status == SONDE_OK) status = SONDE_NEW(loss->runtime, product, size * dim);
    if (status == SONDE_OK) {
        for (int64_t i = 0; i < size; i++)
            for (int64_t j = 0; j < size; j++) turned[j * size + i] = score[i * size + j];
        status = sonde__gemm_nn(loss->runtime, 0, size, dim, size, turned, size, loss->queries, dim, product,
                                dim);
    }
    if (status == SONDE_OK) sonde__gradient_put(into, product);
    sonde__free(loss->runtime, turned);
    sonde__free(loss->runtime, product);
    return status;
}

static sonde_status tas_loss_gradients(const struct tas_loss *loss, const sonde_array *const *gradients)
{
    const sonde_array *queries = gradients[tas_loss_row(loss, "queries")];
    const sonde_array *positives = gradients[tas_loss_row(loss, "positives")];
    const sonde_array *negatives = gradients[tas_loss_row(loss, "negatives")];
    if (queries) SONDE_TRY(tas_loss_query_gradient(loss, queries));
    if (positives) SONDE_TRY(tas_loss_block_gradient(loss, loss->positives.score, positives));
    return negatives ? tas_loss_block_gradient(loss, loss->negatives.score, negatives) : SONDE_OK;
}

static sonde_status tas_loss_refuse(const struct tas_loss *loss, const sonde_array *const *gradients)
{
    const sonde__input_key *table = loss->sampler->method->method.inputs;
    for (int row = 0; table[row].name; row++) {
        bool fixed = strncmp(table[row].name, "teacher_", 8) == 0 ||
                     strncmp(table[row].name, "batch_", 6) == 0;
        if (gradients[row] && fixed)
            return sonde__fail(SONDE_INVALID_ARGUMENT,
                               "loss: there is no gradient by '%s', the teacher is fixed", table[row].name);
    }
    return SONDE_OK;
}

static void tas_loss_drop_side(const struct tas_loss *loss, const struct tas_side *side)
{
    sonde__free(loss->runtime, side->block);
    sonde__free(loss->runtime, side->score);
    sonde__free(loss->runtime, side->pair_teacher);
    sonde__free(loss->runtime, side->batch_teacher);
}

/* Dual supervision: the pairs' margins, and those of the in-batch negatives where the teacher scored them. */
static sonde_status tas_loss(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                             const sonde_array *const *gradients, double *value)
{
    struct tas_loss loss = {.sampler = sampler, .runtime = sampler->runtime, .inputs = inputs,
                            .alpha = sonde__param_real(sampler->params, "alpha")};
    sonde_status status = tas_loss_refuse(&loss, gradients);
    if (status == SONDE_OK) status = tas_loss_take(&loss);
    if (status == SONDE_OK) status = tas_loss_scores(&loss, &loss.positives);
    if (status == SONDE_OK) status = tas_loss_scores(&loss, &loss.negatives);
    if (status == SONDE_OK) {
        for (int64_t i = 0; i < loss.batch; i++) tas_loss_row_terms(&loss, i);
        status = tas_loss_gradients(&loss, gradients);
    }
    if (status == SONDE_OK) *value = loss.value;
    tas_loss_drop_side(&loss, &loss.positives);
    tas_loss_drop_side(&loss, &loss.negatives);
    sonde__free(loss.runtime, loss.queries);
    sonde__free(loss.runtime, loss.own);
    return status;
}

/* ---- files --------------------------------------------------------------------------------------------- */

static sonde_status tas_save(const sonde_row_sampler *sampler, sonde__writer *writer)
{
    const struct tas_state *state = sampler->state;
    SONDE_TRY(sonde__write_int(writer, "queries", state->queries));
    SONDE_TRY(sonde__write_int(writer, "clusters", state->clusters));
    SONDE_TRY(sonde__write_int(writer, "members", state->members));
    SONDE_TRY(sonde__write_int(writer, "runs", state->runs));
    SONDE_TRY(sonde__write_int(writer, "pairs", state->pairs));
    SONDE_TRY(sonde__write_int(writer, "teacher", state->teacher));
    SONDE_TRY(sonde__write_array(writer, "LABELS", state->label, (uint64_t)state->clusters, 4));
    SONDE_TRY(sonde__write_array(writer, "BEGIN", state->begin, (uint64_t)state->clusters + 1, 4));
    SONDE_TRY(sonde__write_array(writer, "MEMBERS", state->member, (uint64_t)state->members, 4));
    if (state->first)
        SONDE_TRY(sonde__write_array(writer, "FIRST", state->first, (uint64_t)state->members + 1, 4));
    if (!state->run) return SONDE_OK;
    SONDE_TRY(sonde__write_array(writer, "RUNS", state->run, (uint64_t)state->runs + 1, 4));
    return sonde__write_array(writer, "PAIRS", state->pair, 3 * (uint64_t)state->pairs, 8);
}

static sonde_status tas_read(const sonde_row_sampler *sampler, sonde__reader *reader, const char *tag,
                             int64_t count, int64_t size, void *values)
{
    sonde__blob blob;
    SONDE_TRY(sonde__read_array(reader, tag, (uint64_t)count * (uint64_t)(size / (size % 8 ? 4 : 8)),
                                size % 8 ? 4 : 8, true, &blob));
    void *copy = sonde__alloc(sampler->runtime, (uint64_t)count, (uint64_t)size);
    if (copy) memcpy(copy, blob.data, (size_t)(count * size));
    sonde__blob_free(sampler->runtime, &blob);
    memcpy(values, &copy, sizeof copy);
    return copy ? SONDE_OK : sonde__last_status();
}

static sonde_status tas_check_below(const uint32_t *values, int64_t count, int64_t bound, const char *tag)
{
    for (int64_t i = 0; i < count; i++)
        if ((int64_t)values[i] >= bound)
            return sonde__fail(SONDE_CORRUPT, "section \"%s\": number %lld is %lld, not below %lld", tag,
                               (long long)i, (long long)values[i], (long long)bound);
    return SONDE_OK;
}

/* From 0 to `total` in `parts` steps, none of them empty. */
static sonde_status tas_check_rising(const uint32_t *values, int64_t parts, int64_t total, const char *tag)
{
    bool good = values[0] == 0 && (int64_t)values[parts] == total;
    for (int64_t i = 0; i < parts; i++) good = good && values[i] < values[i + 1];
    return good ? SONDE_OK : sonde__fail(SONDE_CORRUPT, "section \"%s\" does not rise from 0 to %lld", tag,
                                         (long long)total);
}

static sonde_status tas_check_pairs(const struct tas_state *state)
{
    for (int64_t j = 0; j < state->pairs; j++) {
        const struct tas_pair *pair = &state->pair[j];
        bool finite = isfinite(pair->teacher_positive) && isfinite(pair->teacher_negative);
        if (pair->positive < 0 || pair->negative < 0 || !finite)
            return sonde__fail(SONDE_CORRUPT, "section \"PAIRS\": pair %lld is none", (long long)j);
    }
    return SONDE_OK;
}

static sonde_status tas_load_pairs(const sonde_row_sampler *sampler, sonde__reader *reader,
                                   struct tas_state *state)
{
    if (sonde__reader_has(reader, "FIRST")) {
        SONDE_TRY(tas_read(sampler, reader, "FIRST", state->members + 1, 4, &state->first));
        SONDE_TRY(tas_check_rising(state->first, state->members, state->runs, "FIRST"));
    } else if (state->runs != state->members) {
        return sonde__fail(SONDE_CORRUPT, "%lld runs for %lld queries", (long long)state->runs,
                           (long long)state->members);
    }
    SONDE_TRY(tas_read(sampler, reader, "RUNS", state->runs + 1, 4, &state->run));
    SONDE_TRY(tas_check_rising(state->run, state->runs, state->pairs, "RUNS"));
    SONDE_TRY(tas_read(sampler, reader, "PAIRS", state->pairs, sizeof *state->pair, &state->pair));
    return tas_check_pairs(state);
}

static sonde_status tas_load_state(const sonde_row_sampler *sampler, sonde__reader *reader,
                                   struct tas_state *state)
{
    int64_t teacher, labels = sonde__param_int(sampler->params, "clusters");
    SONDE_TRY(sonde__read_int(reader, "queries", 1, SONDE__ROWS_MOST, &state->queries));
    SONDE_TRY(sonde__read_int(reader, "clusters", 1, labels, &state->clusters));
    SONDE_TRY(sonde__read_int(reader, "members", 1, state->queries, &state->members));
    SONDE_TRY(sonde__read_int(reader, "pairs", 0, SONDE__ROWS_MOST - 1, &state->pairs));
    SONDE_TRY(sonde__read_int(reader, "runs", 0, state->pairs, &state->runs));
    SONDE_TRY(sonde__read_int(reader, "teacher", 0, 1, &teacher));
    state->teacher = teacher;
    SONDE_TRY(tas_read(sampler, reader, "LABELS", state->clusters, 4, &state->label));
    SONDE_TRY(tas_check_below(state->label, state->clusters, labels, "LABELS"));
    SONDE_TRY(tas_read(sampler, reader, "BEGIN", state->clusters + 1, 4, &state->begin));
    SONDE_TRY(tas_check_rising(state->begin, state->clusters, state->members, "BEGIN"));
    SONDE_TRY(tas_read(sampler, reader, "MEMBERS", state->members, 4, &state->member));
    SONDE_TRY(tas_check_below(state->member, state->members, state->queries, "MEMBERS"));
    if (sonde__param_is(sampler->params, "dedup", "yes") && state->members < sampler->batch)
        return sonde__fail(SONDE_CORRUPT, "%lld queries cannot fill a batch of %lld",
                           (long long)state->members, (long long)sampler->batch);
    return state->pairs > 0 ? tas_load_pairs(sampler, reader, state) : SONDE_OK;
}

static sonde_status tas_load(sonde_row_sampler *sampler, sonde__reader *reader)
{
    struct tas_state *state;
    SONDE_TRY(SONDE_NEW_ZERO(sampler->runtime, state, 1));
    sonde_status status = tas_load_state(sampler, reader, state);
    if (status == SONDE_OK) tas_adopt(sampler, state);
    else tas_forget(sampler->runtime, state);
    return status;
}

/* ---- the method ---------------------------------------------------------------------------------------- */

static const sonde__key tas_keys[] = {
    {"batch", SONDE__KEY_INT, "32", 1, 16777216, NULL, NULL, "rows of a batch"},
    {"clusters_per_batch", SONDE__KEY_INT, "1", 1, 16777216, NULL, NULL,
     "clusters that a batch is shared between"},
    {"bins", SONDE__KEY_INT, "10", 1, 65536, NULL, NULL, "bins of a query's margins"},
    {"pairs", SONDE__KEY_WORD, "bins", 0, 0, "bins|random", NULL,
     "a bin first and then a pair in it, or any pair"},
    {"clusters", SONDE__KEY_INT, "2000", 1, 16777216, NULL, NULL, "clusters of the queries"},
    {"metric", SONDE__KEY_WORD, "ip", 0, 0, "ip|l2", NULL, "of the clustering; ip has centroids of length 1"},
    {"iters", SONDE__KEY_INT, "10", 1, 1000, NULL, NULL, "iterations of the clustering"},
    {"dedup", SONDE__KEY_WORD, "no", 0, 0, "no|yes", NULL, "whether a query may be only once in a batch"},
    {"cluster_weight", SONDE__KEY_WORD, "uniform", 0, 0, "uniform|size", NULL,
     "how a batch's clusters are drawn"},
    {"alpha", SONDE__KEY_REAL, "0.75", 0, 1e6, NULL, NULL, "loss: weight of the in-batch part"},
    {0},
};

#define TAS_NUMBERS (SONDE__DTYPE_BIT(SONDE_DTYPE_I64) | SONDE__DTYPE_BIT(SONDE_DTYPE_I32))

static const sonde__input_key tas_inputs[] = {
    {"queries", "n x dim", SONDE__DTYPES_NUMERIC, false, "embeddings to cluster; or give assignment", "fit"},
    {"assignment", "n x 1", TAS_NUMBERS, false, "each query's cluster, 0..clusters-1, -1 = none", "fit"},
    {"pair_queries", "m x 1", TAS_NUMBERS, false, "the query (0..n-1) of each training pair", "fit"},
    {"pair_positives", "m x 1", TAS_NUMBERS, false, "id of the pair's positive", "fit"},
    {"pair_negatives", "m x 1", TAS_NUMBERS, false, "id of the pair's negative", "fit"},
    {"teacher_positives", "m x 1", SONDE__DTYPES_NUMERIC, false, "the teacher's score of the positive",
     "fit"},
    {"teacher_negatives", "m x 1", SONDE__DTYPES_NUMERIC, false, "the teacher's score of the negative",
     "fit"},
    {"queries", "b x dim", SONDE__DTYPES_NUMERIC, true, "embeddings of a batch's queries", "loss"},
    {"positives", "b x dim", SONDE__DTYPES_NUMERIC, true, "embeddings of their positives", "loss"},
    {"negatives", "b x dim", SONDE__DTYPES_NUMERIC, true, "embeddings of their negatives", "loss"},
    {"teacher_positives", "b x 1", SONDE__DTYPES_NUMERIC, true, "the pairs' teacher: score of the positive",
     "loss"},
    {"teacher_negatives", "b x 1", SONDE__DTYPES_NUMERIC, true, "the pairs' teacher: score of the negative",
     "loss"},
    {"batch_positives", "b x b", SONDE__DTYPES_NUMERIC, false,
     "the in-batch teacher: each query by each positive", "loss"},
    {"batch_negatives", "b x b", SONDE__DTYPES_NUMERIC, false,
     "the in-batch teacher: each query by each negative", "loss"},
    {0},
};

static const sonde__output_key tas_outputs[] = {
    {"positives", "count x 1", SONDE_DTYPE_I64, "id of the positive that came with the query"},
    {"negatives", "count x 1", SONDE_DTYPE_I64, "id of the negative that came with the query"},
    {"teacher_positives", "count x 1", SONDE_DTYPE_F32, "the teacher's score of the positive"},
    {"teacher_negatives", "count x 1", SONDE_DTYPE_F32, "the teacher's score of the negative"},
    {0},
};

const sonde__row_method sonde__row_sampler_tas_balanced = {
    .method = {"tas_balanced", "queries of one topic a batch, with pairs of evenly spread margins",
               "Hofstaetter et al. 2021", tas_keys, tas_inputs, NULL, tas_outputs},
    .create = tas_create,
    .fit = tas_fit,
    .draw = tas_draw,
    .loss = tas_loss,
    .save = tas_save,
    .load = tas_load,
    .drop = tas_drop,
};
