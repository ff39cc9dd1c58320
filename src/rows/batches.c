/* batches.c: batches of rows of like length, so that little is padded, with sizes that follow the length, so
 * that a batch always needs about the same memory.
 *
 * Buckets are cut so that each holds the same total length (not the same number of rows, which would waste on
 * long ones); a row goes to the first edge at or above its length. With `sub` each bucket is cut again by the
 * length of the output, at quantiles. A bucket's batches have max_tokens / units rows, units being what its
 * longest row costs. A batch comes from a bucket chosen in proportion to the rows left in it, and holds
 * random rows of it; what is left of a bucket at its end makes a smaller batch.
 * Source: Zelasko et al. 2025 (2503.05931), dynamic bucketing in one and two dimensions.
 *
 * shuffle_window=W  reads the rows in their own order, W ahead, and draws from buckets that hold a whole
 *                   batch; if none does, it reads on. 0: all rows are there from the start.
 * rank, ranks       all ranks draw from the same bucket at the same time: `ranks` batches are taken at once
 *                   and shared out, so that rows differ and sizes differ by one at most. Fewer rows than
 *                   ranks are left out of the pass.
 * observe("trial")  finds the sizes by a caller's trials instead, longest bucket first: a trial is (batch, 1
 *                   if it fits), the next one to make is the output "proposal", (0, 0) starts. Doubling, then
 *                   bisection to within 5 %; the next bucket begins at the last result. When all are found,
 *                   the stream begins anew with these sizes. A search under way is not saved.
 *
 * A draw of count 0 gives the next batch, another one at most `count` rows of it. groups = the bucket;
 * weights = 1 (losses of batches that differ in size are to be weighed by rows or tokens). Within a batch the
 * mix of a data set's sources can differ from that of the pass.
 *
 * Cost: O(n log buckets) and a sort of at most 100,000 lengths to fit; a pass O(n + batches * buckets) for
 * its plan; 16 bytes a row, and 8 more for each of lengths_out and ids.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>

#include "rows/rows.h"

enum {
    BATCHES_STREAM = 0x7231,
    BATCHES_SAMPLE = 100000,
    BATCHES_LENGTH_MOST = INT32_MAX,
    BATCHES_BUCKETS_MOST = 4096,
    BATCHES_SUBS_MOST = 64,
    BATCHES_DEFAULT = 32,
    BATCHES_POLL = 4096,
};

/* A bucket, or with `sub` a part of one: the longest lengths it takes, rows of a batch, and where its rows
 * lie. */
struct batches_cell {
    int64_t most_in, most_out, size, found;
    int64_t begin, count;
    int64_t batches; /* of the planned pass */
};

struct batches_batch {
    int64_t begin;
    uint32_t cell;
};

/* Where the search for sizes stands: the bucket (-1: no search), what fits, what does not, what is to be
 * tried. */
struct batches_search {
    int64_t cell, fits, fails, proposal;
};

struct batches_rows {
    int64_t count, kept;
    int64_t *lengths, *lengths_out, *ids; /* the last two may be NULL */
    uint32_t *rows;                       /* by cell, ascending */
    struct batches_cell *cells;
    int64_t cell_count;
    struct batches_search search;
    int64_t planned; /* the pass of the plan below; -1: none */
    uint32_t *order; /* rows of its batches */
    struct batches_batch *batches;
    int64_t batch_count, order_count;
    double tokens[2], padded[2]; /* of the plan: in, out */
};

static void batches_forget(sonde_runtime *runtime, struct batches_rows *rows)
{
    if (!rows) return;
    sonde__free(runtime, rows->lengths);
    sonde__free(runtime, rows->lengths_out);
    sonde__free(runtime, rows->ids);
    sonde__free(runtime, rows->rows);
    sonde__free(runtime, rows->cells);
    sonde__free(runtime, rows->order);
    sonde__free(runtime, rows->batches);
    sonde__free(runtime, rows);
}

static void batches_drop(sonde_row_sampler *sampler) { batches_forget(sampler->runtime, sampler->state); }

static int64_t batches_param(const sonde_row_sampler *sampler, const char *key)
{
    return sonde__param_int(sampler->params, key);
}

static sonde_status batches_create(sonde_row_sampler *sampler)
{
    int64_t rank = batches_param(sampler, "rank"), ranks = batches_param(sampler, "ranks");
    sampler->batch = SONDE__ROWS_MOST; /* a whole batch, however many rows */
    if (rank < ranks) return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT, "batches: rank=%lld is outside 0..%lld (ranks=%lld)",
                       (long long)rank, (long long)ranks - 1, (long long)ranks);
}

/* ---- edges --------------------------------------------------------------------------------------------- */

static int64_t batches_distinct(const int64_t *sorted, int64_t count)
{
    int64_t distinct = 0;
    for (int64_t i = 0; i < count; i++) distinct += i == 0 || sorted[i] != sorted[i - 1];
    return distinct;
}

/* Edges with the same total length between them; equal ones fall together. As many as there are lengths where
 * those are few. */
static int64_t batches_edges_by_total(const int64_t *sorted, int64_t count, int64_t wanted, int64_t *edges)
{
    double total = 0, sum = 0;
    int64_t made = 0;
    bool all = batches_distinct(sorted, count) <= wanted;
    for (int64_t i = 0; i < count; i++) total += (double)sorted[i];
    for (int64_t i = 0; i < count; i++) {
        double before = sum;
        sum += (double)sorted[i];
        bool cut = (int64_t)(sum * (double)wanted / total) > (int64_t)(before * (double)wanted / total);
        if ((cut || all || i + 1 == count) && (made == 0 || edges[made - 1] < sorted[i]))
            edges[made++] = sorted[i];
    }
    return made;
}

/* Edges at quantiles: evenly, and the last cut at 0.95 from three parts on, for the long tail of outputs. */
static int64_t batches_edges_by_count(const int64_t *sorted, int64_t count, int64_t wanted, int64_t *edges)
{
    int64_t made = 0;
    for (int64_t part = 1; part <= wanted; part++) {
        double at = part == wanted       ? 1
                    : wanted == 2        ? 0.5
                    : part == wanted - 1 ? 0.95
                                         : (double)part / (double)(wanted - 1);
        int64_t edge = sorted[(int64_t)(at * (double)(count - 1))];
        if (made == 0 || edges[made - 1] < edge) edges[made++] = edge;
    }
    return made;
}

/* The first of `count` edges at or above `length`. */
static int64_t batches_edge(const int64_t *edges, int64_t count, int64_t length)
{
    int64_t low = 0;
    while (count > 1) {
        int64_t half = count / 2;
        if (edges[low + half - 1] < length) low += half;
        count -= half;
    }
    return low;
}

typedef int64_t (*batches_cut)(const int64_t *sorted, int64_t count, int64_t wanted, int64_t *edges);

/* Cuts the lengths of some rows; the last edge is the longest of them all. */
static int64_t batches_cut_rows(const int64_t *lengths, const uint32_t *rows, int64_t count, int64_t wanted,
                                batches_cut cut, int64_t *sample, int64_t *edges)
{
    int64_t size = sonde__min_i64(count, BATCHES_SAMPLE), most = 0;
    for (int64_t i = 0; i < size; i++) sample[i] = lengths[rows[i * count / size]];
    for (int64_t i = 0; i < count; i++) most = sonde__max_i64(most, lengths[rows[i]]);
    qsort(sample, (size_t)size, sizeof *sample, sonde__compare_i64);
    int64_t made = cut(sample, size, wanted, edges);
    edges[made - 1] = most;
    return made;
}

/* ---- cells --------------------------------------------------------------------------------------------- */

struct batches_layout {
    const sonde_row_sampler *sampler;
    struct batches_rows *rows;
    const int64_t *lengths;
    const int64_t *edges;
    int64_t edge_count;
    const uint32_t *from;
    uint32_t *labels;
};

static sonde_status batches_label_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct batches_layout *layout = context;
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        layout->labels[i] = (uint32_t)batches_edge(layout->edges, layout->edge_count,
                                                   layout->lengths[layout->from[i]]);
    return SONDE_OK;
}

/* Sorts `from` by its labels into `to`; ends[label] is where a label's rows end. */
static void batches_sort(const uint32_t *from, const uint32_t *labels, int64_t count, int64_t label_count,
                         uint32_t *to, int64_t *ends)
{
    int64_t sum = 0;
    memset(ends, 0, (size_t)label_count * sizeof *ends);
    for (int64_t i = 0; i < count; i++) ends[labels[i]]++;
    for (int64_t label = 0; label < label_count; label++) {
        int64_t size = ends[label];
        ends[label] = sum;
        sum += size;
    }
    for (int64_t i = 0; i < count; i++) to[ends[labels[i]]++] = from[i];
}

/* Sorts rows by the cut of one length. */
static sonde_status batches_part(struct batches_layout *layout, int64_t count, uint32_t *to, int64_t *ends)
{
    SONDE_TRY(sonde__parallel_for(layout->sampler->runtime, 0, count, 65536, "assigning rows",
                                  batches_label_chunk, layout));
    batches_sort(layout->from, layout->labels, count, layout->edge_count, to, ends);
    return SONDE_OK;
}

static double batches_units(const sonde_row_sampler *sampler, int64_t most_in, int64_t most_out)
{
    double units = (double)most_in + (double)most_out;
    if (sonde__param_is(sampler->params, "cost", "quadratic"))
        units += (double)most_in * (double)most_in / sonde__param_real(sampler->params, "q");
    return units;
}

/* Rows of a batch; 0 if one row alone costs more than a batch may. */
static int64_t batches_size(const sonde_row_sampler *sampler, int64_t most_in, int64_t most_out)
{
    int64_t tokens = batches_param(sampler, "max_tokens"), most = batches_param(sampler, "max_batch");
    if (tokens == 0) return most ? most : BATCHES_DEFAULT;
    double size = (double)tokens / batches_units(sampler, most_in, most_out);
    return sonde__min_i64((int64_t)size, most ? most : SONDE__ROWS_MOST);
}

static sonde_status batches_add_cell(const sonde_row_sampler *sampler, struct batches_rows *rows,
                                     int64_t most_in, int64_t most_out, int64_t begin, int64_t count)
{
    int64_t size = batches_size(sampler, most_in, most_out);
    if (size < 1 && sonde__param_is(sampler->params, "too_long", "fail"))
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "fit: a row of length %lld costs %.0f, above max_tokens=%lld", (long long)most_in,
                           batches_units(sampler, most_in, most_out),
                           (long long)batches_param(sampler, "max_tokens"));
    if (size < 1)
        sonde__log(sampler->runtime, SONDE_LOG_WARNING,
                   "batches: rows of length %lld exceed max_tokens one by one", (long long)most_in);
    rows->cells[rows->cell_count++] = (struct batches_cell){.most_in = most_in,
                                                            .most_out = most_out,
                                                            .size = sonde__max_i64(1, size),
                                                            .begin = begin,
                                                            .count = count};
    return SONDE_OK;
}

/* Cuts one bucket, rows [begin, end), by the lengths of the output; `spare` has room for the kept rows. */
static sonde_status batches_add_bucket(struct batches_layout layout, int64_t most_in, int64_t begin,
                                       int64_t end, uint32_t *spare, int64_t *sample)
{
    struct batches_rows *rows = layout.rows;
    int64_t edges[BATCHES_SUBS_MOST], ends[BATCHES_SUBS_MOST], count = end - begin;
    if (!rows->lengths_out) return batches_add_cell(layout.sampler, rows, most_in, 0, begin, count);
    layout.lengths = rows->lengths_out;
    layout.from = rows->rows + begin;
    layout.edges = edges;
    layout.edge_count = batches_cut_rows(layout.lengths, layout.from, count,
                                         batches_param(layout.sampler, "sub"), batches_edges_by_count, sample,
                                         edges);
    SONDE_TRY(batches_part(&layout, count, spare, ends));
    memcpy(rows->rows + begin, spare, (size_t)count * sizeof *spare);
    for (int64_t part = 0; part < layout.edge_count; part++) {
        int64_t first = part ? ends[part - 1] : 0;
        SONDE_TRY(
            batches_add_cell(layout.sampler, rows, most_in, edges[part], begin + first, ends[part] - first));
    }
    return SONDE_OK;
}

/* The rows that max_ratio lets pass. */
static void batches_filter(const sonde_row_sampler *sampler, struct batches_rows *rows, uint32_t *kept)
{
    double ratio = sonde__param_real(sampler->params, "max_ratio");
    for (int64_t i = 0; i < rows->count; i++)
        if (ratio == 0 || !rows->lengths_out ||
            (double)rows->lengths_out[i] <= ratio * (double)rows->lengths[i])
            kept[rows->kept++] = (uint32_t)i;
}

static sonde_status batches_lay_out(const sonde_row_sampler *sampler, struct batches_rows *rows,
                                    sonde__scratch *scratch)
{
    int64_t wanted = batches_param(sampler, "buckets"), *sample, *edges, *ends;
    struct batches_layout layout = {.sampler = sampler, .rows = rows, .lengths = rows->lengths};
    uint32_t *kept;
    SONDE_TRY(SONDE_NEW(sampler->runtime, rows->rows, rows->count));
    SONDE_TRY(SONDE_NEW(sampler->runtime, rows->cells, wanted * batches_param(sampler, "sub")));
    SONDE_TRY(SONDE_SCRATCH(scratch, kept, rows->count));
    SONDE_TRY(SONDE_SCRATCH(scratch, layout.labels, rows->count));
    SONDE_TRY(SONDE_SCRATCH(scratch, sample, BATCHES_SAMPLE));
    SONDE_TRY(SONDE_SCRATCH(scratch, edges, wanted));
    SONDE_TRY(SONDE_SCRATCH(scratch, ends, wanted));
    batches_filter(sampler, rows, kept);
    if (rows->kept == 0) return sonde__fail(SONDE_INVALID_ARGUMENT, "fit: max_ratio lets no row pass");
    layout.from = kept;
    layout.edges = edges;
    layout.edge_count = batches_cut_rows(rows->lengths, kept, rows->kept, wanted, batches_edges_by_total,
                                         sample, edges);
    SONDE_TRY(batches_part(&layout, rows->kept, rows->rows, ends));
    for (int64_t bucket = 0; bucket < layout.edge_count; bucket++)
        SONDE_TRY(batches_add_bucket(layout, edges[bucket], bucket ? ends[bucket - 1] : 0, ends[bucket], kept,
                                     sample));
    return SONDE_OK;
}

/* Lays `rows` out and makes it the state, or frees it. */
static sonde_status batches_adopt(sonde_row_sampler *sampler, struct batches_rows *rows)
{
    sonde__scratch *scratch = NULL;
    rows->planned = rows->search.cell = -1;
    sonde_status status = sonde__scratch_take(sampler->runtime, &scratch);
    if (status == SONDE_OK) status = batches_lay_out(sampler, rows, scratch);
    sonde__scratch_give(sampler->runtime, scratch);
    if (status != SONDE_OK) {
        batches_forget(sampler->runtime, rows);
        return status;
    }
    batches_forget(sampler->runtime, sampler->state);
    sampler->state = rows;
    return SONDE_OK;
}

static sonde_status batches_take(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                                 struct batches_rows *rows)
{
    sonde_runtime *runtime = sampler->runtime;
    rows->count = inputs[0]->rows;
    SONDE_TRY(
        sonde__column_i64(runtime, inputs[0], "fit: lengths", -1, 1, BATCHES_LENGTH_MOST, &rows->lengths));
    if (inputs[1])
        SONDE_TRY(sonde__column_i64(runtime, inputs[1], "fit: lengths_out", rows->count, 0,
                                    BATCHES_LENGTH_MOST, &rows->lengths_out));
    if (!inputs[2]) return SONDE_OK;
    return sonde__column_i64(runtime, inputs[2], "fit: ids", rows->count, 0, INT64_MAX, &rows->ids);
}

static sonde_status batches_fit(sonde_row_sampler *sampler, const sonde_array *const *inputs)
{
    struct batches_rows *rows;
    SONDE_TRY(sonde__rows_fit_check("lengths", inputs[0]->rows, 1));
    SONDE_TRY(SONDE_NEW_ZERO(sampler->runtime, rows, 1));
    sonde_status status = batches_take(sampler, inputs, rows);
    if (status == SONDE_OK) return batches_adopt(sampler, rows);
    batches_forget(sampler->runtime, rows);
    return status;
}

/* ---- the plan of a pass -------------------------------------------------------------------------------- */

/* Rows that have been read and not yet drawn lie at [head, tail) of `mixed`, for each cell. */
struct batches_plan {
    const sonde_row_sampler *sampler;
    struct batches_rows *rows;
    int64_t ranks, *head, *tail;
    uint32_t *mixed;
    uint32_t *labels; /* cell of each row in the rows' own order; UINT32_MAX: filtered. NULL: all is read */
    int64_t read, buffered, whole; /* rows read of `labels`; rows there; cells that hold a whole batch */
    sonde__rng rng;
};

static int64_t batches_whole(const struct batches_plan *plan, int64_t cell)
{
    return plan->rows->cells[cell].size * plan->ranks;
}

static bool batches_reading(const struct batches_plan *plan)
{
    return plan->labels && plan->read < plan->rows->count;
}

/* Reads until the window is full and some cell holds a whole batch. */
static void batches_read(struct batches_plan *plan, int64_t window)
{
    while (batches_reading(plan) && (plan->buffered < window || plan->whole == 0)) {
        uint32_t cell = plan->labels[plan->read++];
        if (cell == UINT32_MAX) continue;
        plan->tail[cell]++;
        plan->buffered++;
        plan->whole += plan->tail[cell] - plan->head[cell] == batches_whole(plan, cell);
    }
}

/* The rows of a cell that the next batch can come from. */
static int64_t batches_ready(const struct batches_plan *plan, int64_t cell)
{
    int64_t there = plan->tail[cell] - plan->head[cell];
    return batches_reading(plan) && there < batches_whole(plan, cell) ? 0 : there;
}

/* A cell in proportion to its rows; -1 when none are left. */
static int64_t batches_choose(struct batches_plan *plan)
{
    int64_t sum = 0, cell = 0;
    for (int64_t i = 0; i < plan->rows->cell_count; i++) sum += batches_ready(plan, i);
    if (sum == 0) return -1;
    int64_t at = (int64_t)sonde__rng_below(&plan->rng, (uint64_t)sum);
    while (at >= batches_ready(plan, cell)) at -= batches_ready(plan, cell++);
    return cell;
}

/* Brings `count` random rows of a cell to its head. */
static void batches_mix(struct batches_plan *plan, int64_t cell, int64_t count)
{
    uint32_t *mixed = plan->mixed + plan->head[cell];
    int64_t there = plan->tail[cell] - plan->head[cell];
    for (int64_t i = 0; i < count; i++) {
        int64_t j = i + (int64_t)sonde__rng_below(&plan->rng, (uint64_t)(there - i));
        uint32_t moved = mixed[i];
        mixed[i] = mixed[j];
        mixed[j] = moved;
    }
}

static void batches_count_padding(struct batches_rows *rows, const int64_t *lengths, int64_t begin, int side)
{
    int64_t most = 0, sum = 0;
    for (int64_t i = begin; lengths && i < rows->order_count; i++) {
        int64_t length = lengths[rows->order[i]];
        most = sonde__max_i64(most, length);
        sum += length;
    }
    rows->tokens[side] += (double)sum;
    rows->padded[side] += (double)most * (double)(rows->order_count - begin);
}

/* Takes the next batch of all ranks from a cell, and writes down this rank's part. */
static void batches_emit(struct batches_plan *plan, int64_t cell, int64_t rank)
{
    struct batches_rows *rows = plan->rows;
    int64_t whole = batches_whole(plan, cell), there = plan->tail[cell] - plan->head[cell];
    int64_t taken = sonde__min_i64(whole, there), begin = rows->order_count;
    bool left_out = taken < plan->ranks ||
                    (taken < whole && sonde__param_is(plan->sampler->params, "drop_last", "yes"));
    batches_mix(plan, cell, taken);
    plan->whole -= there >= whole && there - taken < whole;
    plan->buffered -= taken;
    if (!left_out) {
        for (int64_t i = rank; i < taken; i += plan->ranks)
            rows->order[rows->order_count++] = plan->mixed[plan->head[cell] + i];
        rows->batches[rows->batch_count++] = (struct batches_batch){begin, (uint32_t)cell};
        rows->cells[cell].batches++;
        batches_count_padding(rows, rows->lengths, begin, 0);
        batches_count_padding(rows, rows->lengths_out, begin, 1);
    }
    plan->head[cell] += taken;
}

static void batches_label(struct batches_plan *plan)
{
    const struct batches_rows *rows = plan->rows;
    memset(plan->labels, 0xff, (size_t)rows->count * sizeof *plan->labels);
    for (int64_t cell = 0; cell < rows->cell_count; cell++)
        for (int64_t i = 0; i < rows->cells[cell].count; i++)
            plan->labels[rows->rows[rows->cells[cell].begin + i]] = (uint32_t)cell;
}

static sonde_status batches_plan_allocate(struct batches_plan *plan, sonde__scratch *scratch, int64_t window)
{
    struct batches_rows *rows = plan->rows;
    sonde_runtime *runtime = plan->sampler->runtime;
    int64_t most = 0;
    for (int64_t i = 0; i < rows->cell_count; i++)
        most += (rows->cells[i].count + batches_whole(plan, i) - 1) / batches_whole(plan, i);
    sonde__free(runtime, rows->batches);
    rows->batches = NULL;
    SONDE_TRY(SONDE_NEW(runtime, rows->batches, most));
    if (!rows->order) SONDE_TRY(SONDE_NEW(runtime, rows->order, rows->kept));
    SONDE_TRY(SONDE_SCRATCH(scratch, plan->mixed, rows->kept));
    SONDE_TRY(SONDE_SCRATCH(scratch, plan->head, rows->cell_count));
    SONDE_TRY(SONDE_SCRATCH(scratch, plan->tail, rows->cell_count));
    if (window) SONDE_TRY(SONDE_SCRATCH(scratch, plan->labels, rows->count));
    return SONDE_OK;
}

static void batches_plan_begin(struct batches_plan *plan)
{
    struct batches_rows *rows = plan->rows;
    memcpy(plan->mixed, rows->rows, (size_t)rows->kept * sizeof *plan->mixed);
    for (int64_t i = 0; i < rows->cell_count; i++) {
        plan->head[i] = rows->cells[i].begin;
        plan->tail[i] = rows->cells[i].begin + (plan->labels ? 0 : rows->cells[i].count);
        rows->cells[i].batches = 0;
    }
    if (plan->labels) batches_label(plan);
    rows->batch_count = rows->order_count = 0;
    memset(rows->tokens, 0, sizeof rows->tokens);
    memset(rows->padded, 0, sizeof rows->padded);
    sonde__rows_rng(plan->sampler, plan->sampler->pass, BATCHES_STREAM, 0, &plan->rng);
}

static sonde_status batches_plan_run(struct batches_plan *plan, sonde__scratch *scratch)
{
    const sonde_row_sampler *sampler = plan->sampler;
    int64_t window = batches_param(sampler, "shuffle_window"), rank = batches_param(sampler, "rank"), cell;
    SONDE_TRY(batches_plan_allocate(plan, scratch, window));
    batches_plan_begin(plan);
    for (int64_t batch = 0;; batch++) {
        if (batch % BATCHES_POLL == 0)
            SONDE_TRY(sonde__poll(sampler->runtime, "planning batches", (uint64_t)plan->rows->order_count,
                                  (uint64_t)plan->rows->kept));
        batches_read(plan, window);
        cell = batches_choose(plan);
        if (cell < 0) return SONDE_OK;
        batches_emit(plan, cell, rank);
    }
}

static sonde_status batches_plan_pass(const sonde_row_sampler *sampler, struct batches_rows *rows)
{
    sonde__scratch *scratch;
    struct batches_plan plan = {.sampler = sampler, .rows = rows, .ranks = batches_param(sampler, "ranks")};
    if (rows->planned == sampler->pass) return SONDE_OK;
    rows->planned = -1;
    SONDE_TRY(sonde__scratch_take(sampler->runtime, &scratch));
    sonde_status status = batches_plan_run(&plan, scratch);
    sonde__scratch_give(sampler->runtime, scratch);
    if (status == SONDE_OK) rows->planned = sampler->pass;
    return status;
}

/* ---- drawing ------------------------------------------------------------------------------------------- */

/* The batch that holds a place of the plan. */
static int64_t batches_at(const struct batches_rows *rows, int64_t place)
{
    int64_t low = 0, high = rows->batch_count;
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (rows->batches[middle].begin <= place) low = middle;
        else high = middle;
    }
    return low;
}

static float batches_padding(const struct batches_rows *rows, int side)
{
    return rows->padded[side] > 0 ? (float)(1 - rows->tokens[side] / rows->padded[side]) : 0;
}

static sonde_status batches_tell(sonde_row_sampler *sampler, const struct batches_rows *rows)
{
    int64_t *table;
    float *stats;
    SONDE_TRY(sonde__rows_column(sampler, "buckets", rows->cell_count, 5, &table));
    SONDE_TRY(sonde__rows_column(sampler, "stats", 1, 4, &stats));
    for (int64_t i = 0; i < rows->cell_count; i++) {
        const struct batches_cell *cell = &rows->cells[i];
        int64_t row[5] = {cell->most_in, cell->most_out, cell->size, cell->count, cell->batches};
        memcpy(table + 5 * i, row, sizeof row);
    }
    stats[0] = batches_padding(rows, 0);
    stats[1] = batches_padding(rows, 1);
    stats[2] = rows->batch_count ? (float)((double)rows->order_count / (double)rows->batch_count) : 0;
    stats[3] = (float)(rows->count - rows->kept);
    return SONDE_OK;
}

static sonde_status batches_draw(sonde_row_sampler *sampler, const sonde_array *const *inputs, int64_t count)
{
    (void)inputs;
    struct batches_rows *rows = sampler->state;
    SONDE_TRY(batches_plan_pass(sampler, rows));
    int64_t begin = sonde__min_i64(sampler->place, rows->order_count), batch = batches_at(rows, begin);
    int64_t end = batch + 1 < rows->batch_count ? rows->batches[batch + 1].begin : rows->order_count;
    count = sonde__min_i64(count, end - begin);
    SONDE_TRY(sonde__rows_begin(sampler, count, true));
    SONDE_TRY(batches_tell(sampler, rows));
    for (int64_t i = 0; i < count; i++) {
        uint32_t row = rows->order[begin + i];
        sampler->drawn.ids[i] = rows->ids ? rows->ids[row] : row;
        sampler->drawn.groups[i] = rows->batches[batch].cell;
    }
    sampler->drawn.last = begin + count == rows->order_count;
    return SONDE_OK;
}

/* ---- sizes by trial ------------------------------------------------------------------------------------ */

static int64_t batches_cap(const sonde_row_sampler *sampler, const struct batches_rows *rows)
{
    int64_t most = batches_param(sampler, "max_batch");
    return most ? most : rows->count;
}

/* Goes to the bucket below, beginning with the size that was found last. */
static void batches_search_next(const sonde_row_sampler *sampler, struct batches_rows *rows, int64_t first)
{
    rows->search = (struct batches_search){rows->search.cell - 1, 0, batches_cap(sampler, rows) + 1, first};
}

static void batches_search_finish(sonde_row_sampler *sampler, struct batches_rows *rows)
{
    for (int64_t i = 0; i < rows->cell_count; i++) rows->cells[i].size = rows->cells[i].found;
    rows->planned = -1;
    sampler->pass = sampler->place = 0;
}

/* Takes the outcome of the proposed trial in and makes the next proposal. */
static void batches_search_tell(sonde_row_sampler *sampler, struct batches_rows *rows, bool fits)
{
    struct batches_search *search = &rows->search;
    int64_t cap = batches_cap(sampler, rows);
    if (fits) search->fits = search->proposal;
    else search->fails = search->proposal;
    int64_t gap = search->fails - search->fits;
    if (gap <= 1 || 20 * gap < search->fails) {
        int64_t found = sonde__max_i64(1, search->fits);
        rows->cells[search->cell].found = found;
        batches_search_next(sampler, rows, found);
        if (search->cell < 0) batches_search_finish(sampler, rows);
    } else if (search->fails > cap) {
        search->proposal = sonde__min_i64(2 * search->fits, cap);
    } else {
        search->proposal = (search->fits + search->fails) / 2;
    }
}

static sonde_status batches_trial(sonde_row_sampler *sampler, struct batches_rows *rows, const int64_t *trial)
{
    if (trial[0] == 0) {
        rows->search.cell = rows->cell_count;
        batches_search_next(sampler, rows, 1);
        return SONDE_OK;
    }
    if (rows->search.cell < 0 || trial[0] != rows->search.proposal)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "observe: trial: a batch of %lld was not proposed; (0, 0) starts a search",
                           (long long)trial[0]);
    batches_search_tell(sampler, rows, trial[1] != 0);
    return SONDE_OK;
}

static sonde_status batches_observe(sonde_row_sampler *sampler, const sonde_array *const *inputs)
{
    struct batches_rows *rows = sampler->state;
    const sonde_array *given = inputs[3];
    int64_t *proposal, trial[2];
    SONDE_TRY(sonde__array_check(given, "observe: trial", 2, SONDE__DTYPE_BIT(SONDE_DTYPE_I64), NULL));
    if (given->rows != 1)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "observe: trial has %lld rows, expected 1",
                           (long long)given->rows);
    memcpy(trial, given->data, sizeof trial);
    SONDE_TRY(sonde__rows_column(sampler, "proposal", 1, 4, &proposal));
    SONDE_TRY(batches_trial(sampler, rows, trial));
    proposal[0] = rows->search.cell;
    if (rows->search.cell < 0) return SONDE_OK;
    const struct batches_cell *cell = &rows->cells[rows->search.cell];
    int64_t next[4] = {rows->search.cell, rows->search.proposal, cell->most_in, cell->most_out};
    memcpy(proposal, next, sizeof next);
    return SONDE_OK;
}

/* ---- shards and files ---------------------------------------------------------------------------------- */

static sonde_status batches_join(sonde_runtime *runtime, const struct batches_rows *a,
                                 const struct batches_rows *b, struct batches_rows *joined)
{
    joined->count = a->count + b->count;
    SONDE_TRY(sonde__column_join(runtime, a->lengths, a->count, b->lengths, b->count, sizeof *a->lengths,
                                 &joined->lengths));
    SONDE_TRY(sonde__column_join(runtime, a->lengths_out, a->count, b->lengths_out, b->count,
                                 sizeof *a->lengths_out, &joined->lengths_out));
    return sonde__column_join(runtime, a->ids, a->count, b->ids, b->count, sizeof *a->ids, &joined->ids);
}

static sonde_status batches_merge(sonde_row_sampler *into, const sonde_row_sampler *from)
{
    const struct batches_rows *a = into->state, *b = from->state;
    struct batches_rows *rows;
    SONDE_TRY(sonde__merge_both("ids of the caller", a->ids, b->ids));
    SONDE_TRY(sonde__merge_both("lengths_out", a->lengths_out, b->lengths_out));
    SONDE_TRY(sonde__merge_count("rows", a->count, b->count));
    SONDE_TRY(SONDE_NEW_ZERO(into->runtime, rows, 1));
    sonde_status status = batches_join(into->runtime, a, b, rows);
    if (status == SONDE_OK) return batches_adopt(into, rows);
    batches_forget(into->runtime, rows);
    return status;
}

static sonde_status batches_save_sizes(const sonde_row_sampler *sampler, sonde__writer *writer)
{
    const struct batches_rows *rows = sampler->state;
    SONDE_TRY(sonde__write_begin(writer, "SIZES", sizeof(int64_t)));
    for (int64_t i = 0; i < rows->cell_count; i++)
        SONDE_TRY(sonde__write_append(writer, &rows->cells[i].size, sizeof rows->cells[i].size));
    return sonde__write_end(writer);
}

static sonde_status batches_save(const sonde_row_sampler *sampler, sonde__writer *writer)
{
    const struct batches_rows *rows = sampler->state;
    uint64_t count = (uint64_t)rows->count;
    SONDE_TRY(sonde__write_int(writer, "rows", rows->count));
    SONDE_TRY(sonde__write_array(writer, "LENGTHS", rows->lengths, count, sizeof *rows->lengths));
    if (rows->lengths_out)
        SONDE_TRY(sonde__write_array(writer, "OUT", rows->lengths_out, count, sizeof *rows->lengths_out));
    if (rows->ids) SONDE_TRY(sonde__write_array(writer, "IDS", rows->ids, count, sizeof *rows->ids));
    return batches_save_sizes(sampler, writer);
}

static sonde_status batches_read_rows(const sonde_row_sampler *sampler, sonde__reader *reader,
                                      struct batches_rows *rows)
{
    sonde_runtime *runtime = sampler->runtime;
    SONDE_TRY(sonde__read_int(reader, "rows", 1, SONDE__ROWS_MOST, &rows->count));
    SONDE_TRY(
        sonde__numbers_read(runtime, reader, "LENGTHS", rows->count, 1, BATCHES_LENGTH_MOST, &rows->lengths));
    if (sonde__reader_has(reader, "OUT"))
        SONDE_TRY(sonde__numbers_read(runtime, reader, "OUT", rows->count, 0, BATCHES_LENGTH_MOST,
                                      &rows->lengths_out));
    if (!sonde__reader_has(reader, "IDS")) return SONDE_OK;
    return sonde__numbers_read(runtime, reader, "IDS", rows->count, 0, INT64_MAX, &rows->ids);
}

static sonde_status batches_read_sizes(sonde_row_sampler *sampler, sonde__reader *reader)
{
    struct batches_rows *rows = sampler->state;
    int64_t *sizes;
    SONDE_TRY(sonde__numbers_read(sampler->runtime, reader, "SIZES", rows->cell_count, 1, SONDE__ROWS_MOST,
                                  &sizes));
    for (int64_t i = 0; i < rows->cell_count; i++) rows->cells[i].size = sizes[i];
    sonde__free(sampler->runtime, sizes);
    return SONDE_OK;
}

static sonde_status batches_load(sonde_row_sampler *sampler, sonde__reader *reader)
{
    struct batches_rows *rows;
    SONDE_TRY(SONDE_NEW_ZERO(sampler->runtime, rows, 1));
    sonde_status status = batches_read_rows(sampler, reader, rows);
    if (status != SONDE_OK) {
        batches_forget(sampler->runtime, rows);
        return status;
    }
    status = batches_adopt(sampler, rows);
    if (status == SONDE_INVALID_ARGUMENT)
        return sonde__fail(SONDE_CORRUPT, "the lengths do not suit the spec");
    return status == SONDE_OK ? batches_read_sizes(sampler, reader) : status;
}

static const sonde__key batches_keys[] = {
    {"buckets", SONDE__KEY_INT, "30", 1, BATCHES_BUCKETS_MOST, NULL, NULL,
     "how many buckets by length; equal edges fall together"},
    {"sub", SONDE__KEY_INT, "1", 1, BATCHES_SUBS_MOST, NULL, NULL, "parts of a bucket by lengths_out"},
    {"max_tokens", SONDE__KEY_INT, "0", 0, 9007199254740992.0, NULL, NULL,
     "what a batch may cost, padding included; 0: no bound"},
    {"max_batch", SONDE__KEY_INT, "0", 0, 4294967295.0, NULL, NULL,
     "most rows of a batch; 0: no bound, or 32 without max_tokens"},
    {"cost", SONDE__KEY_WORD, "linear", 0, 0, "linear|quadratic", NULL,
     "units of a row: in + out, or in + out + in^2 / q"},
    {"q", SONDE__KEY_REAL, "1024", 1e-6, 1e18, NULL, NULL,
     "length at which the quadratic part of the cost equals the linear one"},
    {"too_long", SONDE__KEY_WORD, "one", 0, 0, "one|fail", NULL,
     "rows above max_tokens: batches of one, or fit fails"},
    {"shuffle_window", SONDE__KEY_INT, "0", 0, 4294967295.0, NULL, NULL,
     "rows read ahead in their own order; 0: all"},
    {"drop_last", SONDE__KEY_WORD, "no", 0, 0, "no|yes", NULL, "leave out batches that are not full"},
    {"max_ratio", SONDE__KEY_REAL, "0", 0, 1e9, NULL, NULL,
     "leave out rows with lengths_out / lengths above this; 0: none"},
    {"rank", SONDE__KEY_INT, "0", 0, 65535, NULL, NULL, "which of `ranks` processes this one is"},
    {"ranks", SONDE__KEY_INT, "1", 1, 65536, NULL, NULL, "processes that share the rows of each pass"},
    {0},
};

#define BATCHES_INTEGERS (SONDE__DTYPE_BIT(SONDE_DTYPE_I64) | SONDE__DTYPE_BIT(SONDE_DTYPE_I32))

static const sonde__input_key batches_inputs[] = {
    {"lengths", "n x 1", BATCHES_INTEGERS, true, "length of each row, 1 or more", "fit"},
    {"lengths_out", "n x 1", BATCHES_INTEGERS, false, "length of the output of each row", "fit"},
    {"ids", "n x 1", BATCHES_INTEGERS, false, "names of the rows; 0, 1, 2, ... if not given", "fit"},
    {"trial", "1 x 2", SONDE__DTYPE_BIT(SONDE_DTYPE_I64), true,
     "the proposed batch and whether it fits (1 or 0); (0, 0) starts a search", "observe"},
    {0},
};

static const sonde__output_key batches_outputs[] = {
    {"buckets", "buckets x 5", SONDE_DTYPE_I64,
     "longest in, longest out, rows of a batch, rows, batches of this pass"},
    {"stats", "1 x 4", SONDE_DTYPE_F32,
     "of this pass: padding in, padding out, mean batch; rows filtered out"},
    {"proposal", "1 x 4", SONDE_DTYPE_I64,
     "bucket (-1: all found), batch to try, its longest in, its longest out"},
    {0},
};

const sonde__row_method sonde__row_sampler_batches = {
    .method = {"batches", "batches of rows of like length, with sizes that follow the length",
               "Zelasko et al. 2025 (2503.05931)", batches_keys, batches_inputs, NULL, batches_outputs},
    .create = batches_create,
    .fit = batches_fit,
    .draw = batches_draw,
    .observe = batches_observe,
    .merge = batches_merge,
    .save = batches_save,
    .load = batches_load,
    .drop = batches_drop,
};
