/* flat.c: exact search: every allowed row is scored. The floor that every other kind is measured against.
 *
 * Column 0 holds the rows in `dtype`, column 1 one f32 a row that the scan needs (direct.c). The scan names the rows
 * whose direct score can matter, and direct scores decide, so the answer is the k best by (score, id) to the last bit,
 * for one query or a thousand, on any number of threads. Bits are scored by their exact Hamming distance alone.
 *
 * With first=i8 column 2 holds an image of each row in 8 bits and column 3 two f32 more. The scan then reads the images,
 * a quarter of the bytes, and turns to the rows themselves for the few whose bound is good enough (direct.c, scan.c).
 * The answer is the same to the last bit; the price is dim + 8 bytes a row.
 *
 * Parallel: many queries are split into groups of panels, each group scanning all rows; few queries share the rows
 * out by segments, with a top for each worker, merged at the end. Where a filter allows few rows, only those are
 * scored.
 *
 * Cost: rows x dim multiply-adds a query; bound by memory for a few queries, by arithmetic for a panel and more.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "indexes/direct.h"

#define IMAGE_DIM 64 /* from here on a first pass pays: below, the bound costs as much as it saves */
#define IMAGE_GAIN 3 /* about how much faster rows go by that have images */
#define SERIAL_WORK ((int64_t)1 << 21) /* multiply-adds that are not worth waking a thread for */
#define POLL_WORK ((int64_t)1 << 31)   /* about 50 ms */
#define GROUP_PANELS 32                /* most panels of a group: they share one pass over the rows */
#define PLACES_GRAIN 1024
#define PLACES_SHARE 16                /* a filter that allows fewer than 1/16 of the rows: row by row */

/* ---- the spec ---------------------------------------------------------------------------------------- */

static const sonde__key keys[] = {
    {"dtype", SONDE__KEY_WORD, "f32", 0, 0, "f32|f16|bf16|i8|u8|bits", NULL, "what a stored element is"},
    {"first", SONDE__KEY_WORD, "auto", 0, 0, "auto|none|i8", NULL,
     "a first pass over 8-bit images of the rows (dim + 8 bytes more a row), whose bound tells which rows matter; the "
     "answers are the same. auto: i8 for f32 from dim=64 on"},
    {0},
};

static const sonde__input_key inputs[] = {
    {"vectors", "n x dim", SONDE__DTYPES_NUMERIC | SONDE__DTYPE_BIT(SONDE_DTYPE_BITS), false,
     "not needed: nothing is learned", "train"},
    {0},
};

/* Whether rows get images for the first pass. */
static sonde_status choose_first(const sonde_index *index, bool *imaged)
{
    bool automatic = sonde__param_is(index->params, "first", "auto");
    bool wanted = sonde__param_is(index->params, "first", "i8");
    bool real = index->dtype == SONDE_DTYPE_F32 || index->dtype == SONDE_DTYPE_F16 ||
                index->dtype == SONDE_DTYPE_BF16;
    if (wanted && !real)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "flat: first=i8 goes with dtype=f32, f16 or bf16; %s is scored in whole numbers anyway",
                           sonde__dtype_name(index->dtype));
    *imaged = wanted || (automatic && index->dtype == SONDE_DTYPE_F32 && index->dim >= IMAGE_DIM);
    return SONDE_OK;
}

static sonde_status create(sonde_index *index)
{
    bool imaged = false;
    index->dtype = sonde__dtype_of(sonde__param_word(index->params, "dtype"));
    bool bits = index->dtype == SONDE_DTYPE_BITS, hamming = index->metric == SONDE_METRIC_HAMMING;
    if (hamming != bits)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "flat: metric=hamming and dtype=bits go together; say "
                                                   "flat(metric=hamming, dtype=bits), or choose another %s",
                           bits ? "dtype" : "metric");
    SONDE_TRY(choose_first(index, &imaged));
    index->layout.columns = bits ? 1 : imaged ? 4 : 2;
    index->layout.width[0] = sonde_row_bytes(index->dtype, index->dim);
    index->layout.width[1] = bits ? 0 : sizeof(float);
    index->layout.width[SONDE__IMAGE_COLUMN] = imaged ? index->dim : 0;
    index->layout.width[SONDE__TERMS_COLUMN] = imaged ? 2 * sizeof(float) : 0;
    index->accepts = bits ? SONDE__DTYPE_BIT(SONDE_DTYPE_BITS) : SONDE__DTYPES_NUMERIC;
    index->lists = 1;
    index->trained = true;
    return SONDE_OK;
}

/* ---- storing rows ------------------------------------------------------------------------------------ */

/* Copies packed bits; those past `bits` in the last byte become 0. */
static void copy_bits(const uint8_t *from, int64_t bits, uint8_t *to)
{
    memcpy(to, from, (size_t)((bits + 7) / 8));
    if (bits % 8) to[bits / 8] &= (uint8_t)((1 << bits % 8) - 1);
}

static sonde_status store_whole(const float *x, int64_t dim, int64_t row, bool is_signed, uint8_t *to)
{
    float low = is_signed ? -128 : 0, high = is_signed ? 127 : 255;
    for (int64_t j = 0; j < dim; j++) {
        if (!(x[j] >= low && x[j] <= high && x[j] == rintf(x[j])))
            return sonde__fail(SONDE_INVALID_ARGUMENT,
                               "add: row %lld, column %lld: %g is no whole number in %g..%g, which dtype=%s "
                               "stores",
                               (long long)row, (long long)j, (double)x[j], (double)low, (double)high,
                               is_signed ? "i8" : "u8");
        to[j] = (uint8_t)(int)x[j];
    }
    return SONDE_OK;
}

/* Stores one row in the index's dtype and leaves in x what it now is. */
static sonde_status store_row(const sonde_index *index, float *x, int64_t row, uint8_t *to)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    int64_t dim = index->dim;
    switch (index->dtype) {
    case SONDE_DTYPE_F32: memcpy(to, x, (size_t)dim * sizeof *x); return SONDE_OK;
    case SONDE_DTYPE_I8: return store_whole(x, dim, row, true, to);
    case SONDE_DTYPE_U8: return store_whole(x, dim, row, false, to);
    case SONDE_DTYPE_F16: kernels->f32_to_f16(x, dim, (uint16_t *)(void *)to); break;
    default: kernels->f32_to_bf16(x, dim, (uint16_t *)(void *)to);
    }
    kernels->to_f32[sonde__row_kind(index->dtype)](to, dim, x);
    int64_t bad = kernels->first_nonfinite(x, dim);
    if (bad < 0) return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT,
                       "add: row %lld, column %lld is too large for dtype=%s; scale the vectors down or "
                       "store them as f32",
                       (long long)row, (long long)bad, sonde__dtype_name(index->dtype));
}

static bool has_images(const sonde_index *index)
{
    return index->layout.columns > SONDE__TERMS_COLUMN;
}

/* The columns after the first are made from the row as it is stored, after rounding. */
static sonde_status fill_numbers(const sonde_index *index, const sonde_array *rows, int64_t begin,
                                 int64_t end, float *x, uint8_t *const *columns)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    float *number = (float *)(void *)columns[1];
    for (int64_t i = begin; i < end; i++) {
        sonde__rows_to_f32(rows, i, 1, x, index->dim);
        SONDE_TRY(store_row(index, x, i, columns[0] + (i - begin) * index->layout.width[0]));
        float length2 = kernels->norm2(x, index->dim);
        if (!(length2 <= SONDE__LENGTH2_MAX))
            return sonde__fail(SONDE_INVALID_ARGUMENT,
                               "add: row %lld is longer than 9.2e18, so scores could overflow; scale the "
                               "vectors down",
                               (long long)i);
        number[i - begin] = sonde__direct_column(index->metric, index->dim, length2);
        if (has_images(index))
            sonde__image_make(index->metric, index->dim, x, length2,
                              columns[SONDE__IMAGE_COLUMN] + (i - begin) * index->dim,
                              (float *)(void *)columns[SONDE__TERMS_COLUMN] + 2 * (i - begin));
    }
    return SONDE_OK;
}

static sonde_status fill(const sonde_index *index, const sonde_array *rows, int64_t begin, int64_t end,
                         const int32_t *lists, uint8_t *const *columns)
{
    (void)lists;
    if (index->dtype == SONDE_DTYPE_BITS) {
        for (int64_t i = begin; i < end; i++)
            copy_bits(sonde__array_row(rows, i), index->dim,
                      columns[0] + (i - begin) * index->layout.width[0]);
        return SONDE_OK;
    }
    sonde__scratch *scratch;
    float *x;
    SONDE_TRY(sonde__scratch_take(index->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, x, index->dim);
    if (status == SONDE_OK) status = fill_numbers(index, rows, begin, end, x, columns);
    sonde__scratch_give(index->runtime, scratch);
    return status;
}

static void get(const sonde_index *index, const sonde__snapshot *snapshot, sonde__place place, void *out)
{
    int64_t width = index->layout.width[0];
    const uint8_t *row = sonde__place_in(snapshot, place)->column[0] + sonde__place_row(place) * width;
    if (index->dtype == SONDE_DTYPE_BITS) memcpy(out, row, (size_t)width);
    else sonde__kernels_get()->to_f32[sonde__row_kind(index->dtype)](row, index->dim, out);
}

static bool image_intact(const sonde_index *index, const sonde__segment *segment, int64_t i, const float *x,
                         float length2, uint8_t *again)
{
    float terms[2];
    memcpy(terms, segment->column[SONDE__TERMS_COLUMN] + i * (int64_t)sizeof terms, sizeof terms);
    return sonde__image_fits(index->metric, index->dim, x, length2,
                             segment->column[SONDE__IMAGE_COLUMN] + i * index->dim, terms, again);
}

/* Wrong numbers in the other columns would hide rows from scans, so they are computed again; x has room for two
 * rows. */
static bool row_intact(const sonde_index *index, const sonde__segment *segment, int64_t i, float *x)
{
    const uint8_t *row = segment->column[0] + i * index->layout.width[0];
    if (index->dtype == SONDE_DTYPE_BITS)
        return index->dim % 8 == 0 || row[index->dim / 8] >> index->dim % 8 == 0;
    const sonde__kernels *kernels = sonde__kernels_get();
    kernels->to_f32[sonde__row_kind(index->dtype)](row, index->dim, x);
    if (kernels->first_nonfinite(x, index->dim) >= 0) return false;
    float length2 = kernels->norm2(x, index->dim), stored;
    memcpy(&stored, segment->column[1] + i * (int64_t)sizeof stored, sizeof stored);
    return length2 <= SONDE__LENGTH2_MAX &&
           sonde__direct_column_fits(index->metric, index->dim, length2, stored) &&
           (!has_images(index) ||
            image_intact(index, segment, i, x, length2, (uint8_t *)(void *)(x + index->dim)));
}

static sonde_status check(const sonde_index *index, const sonde__segment *segment, int64_t list)
{
    float *x;
    SONDE_TRY(SONDE_NEW(index->runtime, x, 2 * index->dim));
    int64_t intact = 0;
    while (intact < segment->count && row_intact(index, segment, intact, x)) intact++;
    sonde__free(index->runtime, x);
    if (intact == segment->count) return SONDE_OK;
    return sonde__fail(SONDE_CORRUPT, "flat: the row of id %lld (list %lld) holds what no row can be",
                       (long long)segment->ids[intact], (long long)list);
}

/* ---- searching --------------------------------------------------------------------------------------- */

/* Rows to be scanned: all segments, or the chosen places. */
typedef struct extent {
    const sonde__place *places; /* NULL: segments */
    int64_t units;              /* segments or places */
    int64_t rows;
} extent;

typedef struct flat_job {
    sonde__search *search;
    sonde__scorer scorer;
    extent all;     /* what every query scans, unless each has a filter of its own */
    int64_t group;  /* by queries: queries of a group */
    /* by rows: */
    sonde__lane *lanes;
    sonde__top *tops; /* workers x queries */
} flat_job;

/* cosine multiplies by column 1, l2 and ip add it, bits have none. */
static sonde__scorer scorer_of(const sonde_index *index)
{
    bool bits = index->dtype == SONDE_DTYPE_BITS, scale = index->metric == SONDE_METRIC_COSINE;
    return (sonde__scorer){.row_kind = bits ? SONDE__ROW_BITS : sonde__row_kind(index->dtype),
                           .dim = index->dim,
                           .width = index->layout.width[0],
                           .scale_column = scale ? 1 : -1,
                           .bias_column = bits || scale ? -1 : 1};
}

/* Decides between scanning everything through masks and scoring the allowed rows alone. */
static sonde_status choose_extent(const sonde__search *search, const sonde_filter *filter,
                                  sonde__scratch *scratch, extent *chosen)
{
    const sonde__snapshot *snapshot = search->snapshot;
    sonde__place *places = NULL;
    int64_t count = -1;
    if (filter)
        SONDE_TRY(sonde__filter_places(filter, search->index->store, snapshot, snapshot->rows / PLACES_SHARE,
                                       scratch, &places, &count));
    *chosen = (extent){.units = snapshot->list[0]->segments, .rows = snapshot->rows - snapshot->removed};
    if (count >= 0) *chosen = (extent){.places = places, .units = count, .rows = count};
    return SONDE_OK;
}

static sonde_status make_bit_lanes(const flat_job *job, int64_t first, int64_t count, sonde__scratch *scratch,
                                   sonde__lane *lanes)
{
    const sonde__search *s = job->search;
    int64_t width = (job->scorer.width + 63) / 64 * 64;
    uint8_t *packed;
    SONDE_TRY(SONDE_SCRATCH(scratch, packed, count * width));
    for (int64_t i = 0; i < count; i++) {
        copy_bits(sonde__array_row(s->raw, first + i), job->scorer.dim, packed + i * width);
        lanes[i].table = packed + i * width;
    }
    return SONDE_OK;
}

static sonde_status make_number_lanes(const flat_job *job, int64_t first, int64_t count, sonde__scratch *scratch,
                                      sonde__lane *lanes)
{
    const sonde__search *s = job->search;
    const sonde_index *index = s->index;
    bool integers = index->dtype == SONDE_DTYPE_I8 || index->dtype == SONDE_DTYPE_U8;
    bool whole = integers && s->raw->dtype == index->dtype;
    int64_t dim = index->dim;
    float *prepared;
    sonde__direct *direct;
    int8_t *codes = NULL;
    SONDE_TRY(SONDE_SCRATCH(scratch, prepared, count * dim));
    SONDE_TRY(SONDE_SCRATCH(scratch, direct, count));
    if (has_images(index)) SONDE_TRY(SONDE_SCRATCH(scratch, codes, count * dim));
    for (int64_t i = 0; i < count; i++) {
        const float *query = s->query + (first + i) * dim;
        sonde__direct_init(&direct[i], index->metric, job->scorer.row_kind, whole,
                           whole ? (const void *)sonde__array_row(s->raw, first + i) : query, dim);
        sonde__direct_prepare(&direct[i], query, prepared + i * dim);
        if (codes) sonde__direct_coarse(&direct[i], prepared + i * dim, codes + i * dim);
        lanes[i].query = prepared + i * dim;
        lanes[i].table = &direct[i];
    }
    return SONDE_OK;
}

/* Queries [first, first + count) ready for scanning into the tops of the search. */
static sonde_status make_lanes(const flat_job *job, int64_t first, int64_t count, sonde__scratch *scratch,
                               sonde__lane **lanes)
{
    const sonde__search *s = job->search;
    bool bits = s->index->dtype == SONDE_DTYPE_BITS;
    SONDE_TRY(SONDE_SCRATCH(scratch, *lanes, count));
    for (int64_t i = 0; i < count; i++)
        (*lanes)[i] = (sonde__lane){.filter = sonde__search_filter(s, first + i), .top = &s->top[first + i]};
    return (bits ? make_bit_lanes : make_number_lanes)(job, first, count, scratch, *lanes);
}

/* Units [begin, end) of an extent. */
static sonde_status scan_units(const flat_job *job, const extent *e, int64_t begin, int64_t end,
                               sonde__lane *lanes, int64_t count, sonde__scratch *scratch)
{
    const sonde__snapshot *snapshot = job->search->snapshot;
    if (!e->places) return sonde__scan_segments(&job->scorer, snapshot, 0, begin, end, lanes, count, scratch);
    return sonde__scan_places(&job->scorer, snapshot, e->places + begin, end - begin, lanes, count, scratch);
}

/* A whole extent, asking now and then whether to stop. */
static sonde_status scan_extent(const flat_job *job, const extent *e, sonde__lane *lanes, int64_t count,
                                sonde__scratch *scratch)
{
    int64_t unit_work = job->scorer.dim * count * sonde__max_i64(e->rows / sonde__max_i64(e->units, 1), 1);
    if (has_images(job->search->index)) unit_work = unit_work / IMAGE_GAIN + 1;
    int64_t step = sonde__max_i64(POLL_WORK / unit_work, 1);
    for (int64_t begin = 0; begin < e->units; begin += step) {
        SONDE_TRY(sonde__poll(job->search->runtime, NULL, 0, 1));
        SONDE_TRY(scan_units(job, e, begin, sonde__min_i64(begin + step, e->units), lanes, count, scratch));
    }
    return SONDE_OK;
}

/* Each query under a filter of its own. */
static sonde_status scan_apart(const flat_job *job, sonde__lane *lanes, int64_t count,
                               sonde__scratch *scratch)
{
    for (int64_t i = 0; i < count; i++) {
        extent own;
        sonde__scratch_mark mark = sonde__scratch_here(scratch);
        SONDE_TRY(choose_extent(job->search, lanes[i].filter, scratch, &own));
        SONDE_TRY(scan_extent(job, &own, &lanes[i], 1, scratch));
        sonde__scratch_rewind(scratch, mark);
    }
    return SONDE_OK;
}

/* By queries: one group against all rows, straight into the tops of the search. Nothing is left to merge. */
static sonde_status search_group(void *context, int64_t begin, int64_t end, int worker)
{
    const flat_job *job = context;
    (void)worker;
    sonde__scratch *scratch;
    sonde__lane *lanes;
    SONDE_TRY(sonde__scratch_take(job->search->runtime, &scratch));
    sonde_status status = make_lanes(job, begin, end - begin, scratch, &lanes);
    if (status == SONDE_OK)
        status = job->search->filter_count > 1 ? scan_apart(job, lanes, end - begin, scratch)
                                               : scan_extent(job, &job->all, lanes, end - begin, scratch);
    sonde__scratch_give(job->search->runtime, scratch);
    return status;
}

static sonde_status search_by_queries(flat_job *job)
{
    const sonde__search *s = job->search;
    int64_t lanes = sonde__kernels_get()->lanes;
    /* As many groups for each thread, of equal size: a short last group would leave the other threads idle. */
    int64_t panels = (s->queries + lanes - 1) / lanes, rounds = s->threads > 1 ? 2 : 1;
    rounds = sonde__max_i64(rounds, (panels + s->threads * GROUP_PANELS - 1) / (s->threads * GROUP_PANELS));
    job->group = lanes * ((panels + s->threads * rounds - 1) / (s->threads * rounds));
    if (s->filter_count > 1) job->group = 1;
    return sonde__parallel_for(s->runtime, s->threads, s->queries, job->group, s->stage, search_group, job);
}

/* By rows: all queries against some units, into the tops of the worker, which stay between its chunks so that their
 * thresholds go on rising. */
static sonde_status search_units(void *context, int64_t begin, int64_t end, int worker)
{
    const flat_job *job = context;
    int64_t queries = job->search->queries;
    sonde__scratch *scratch;
    sonde__lane *lanes;
    SONDE_TRY(sonde__scratch_take(job->search->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, lanes, queries);
    if (status == SONDE_OK) {
        for (int64_t q = 0; q < queries; q++) {
            lanes[q] = job->lanes[q];
            lanes[q].top = &job->tops[worker * queries + q];
        }
        status = scan_units(job, &job->all, begin, end, lanes, queries, scratch);
    }
    sonde__scratch_give(job->search->runtime, scratch);
    return status;
}

/* One empty top for each worker and query, alike the query's own. */
static sonde_status make_worker_tops(flat_job *job, int64_t workers, sonde__scratch *scratch)
{
    const sonde__search *s = job->search;
    SONDE_TRY(SONDE_SCRATCH(scratch, job->tops, workers * s->queries));
    for (int64_t i = 0; i < workers * s->queries; i++) {
        const sonde__top *own = &s->top[i % s->queries];
        job->tops[i] = *own;
        if (own->range) continue;
        sonde__hit *hits;
        SONDE_TRY(SONDE_SCRATCH(scratch, hits, sonde__top_room(own->capacity)));
        sonde__top_init(&job->tops[i], hits, own->capacity);
    }
    return SONDE_OK;
}

/* The tops have a total order, so merging them in any order gives the same answer. */
static sonde_status search_by_rows(flat_job *job, sonde__scratch *scratch)
{
    const sonde__search *s = job->search;
    int64_t grain = job->all.places ? PLACES_GRAIN : 1;
    int64_t workers = sonde__parallel_workers(s->runtime, s->threads, job->all.units, grain);
    SONDE_TRY(make_lanes(job, 0, s->queries, scratch, &job->lanes));
    SONDE_TRY(make_worker_tops(job, workers, scratch));
    sonde_status status = sonde__parallel_for(s->runtime, s->threads, job->all.units, grain, s->stage,
                                              search_units, job);
    for (int64_t i = 0; i < workers * s->queries; i++) {
        if (status == SONDE_OK) sonde__top_merge(&s->top[i % s->queries], &job->tops[i]);
        if (job->tops[i].range) sonde__free(s->runtime, job->tops[i].hits);
    }
    for (int64_t q = 0; status == SONDE_OK && q < s->queries; q++) status = s->top[q].status;
    return status;
}

static sonde_status search_all(flat_job *job, sonde__scratch *scratch)
{
    sonde__search *s = job->search;
    if (s->filter_count <= 1) SONDE_TRY(choose_extent(s, s->filter, scratch, &job->all));
    int64_t work = job->all.rows * job->scorer.dim;
    if (s->filter_count <= 1 && work < SERIAL_WORK / s->queries) s->threads = 1;
    int64_t lanes = sonde__kernels_get()->lanes;
    bool many = s->threads == 1 || s->filter_count > 1 || s->queries >= 2 * s->threads * lanes;
    return many ? search_by_queries(job) : search_by_rows(job, scratch);
}

static void finish(sonde__search *s, const flat_job *job)
{
    for (int64_t q = 0; q < s->queries; q++) {
        sonde__top *top = &s->top[q];
        sonde__top_sort(top);
        s->reason[q] = top->range || top->count == s->k ? SONDE_STOP_EXACT : SONDE_STOP_FEWER;
        if (s->scored) s->scored[q] = job->all.rows;
    }
}

static sonde_status search(sonde__search *s)
{
    flat_job job = {.search = s, .scorer = scorer_of(s->index)};
    sonde__scratch *scratch;
    SONDE_TRY(sonde__scratch_take(s->runtime, &scratch));
    sonde_status status = search_all(&job, scratch);
    if (status == SONDE_OK) finish(s, &job);
    sonde__scratch_give(s->runtime, scratch);
    return status;
}

const sonde__index_method sonde__index_flat = {
    .method = {"flat", "exact search: every row is scored", "", keys, inputs, NULL, NULL},
    .create = create,
    .fill = fill,
    .search = search,
    .get = get,
    .check = check,
};
