/* scan.c: scores the rows of segments for one query or many, and lets the good ones into the tops.
 *
 *   segment --mask--> blocks of rows that fit the L2 cache --> panels of queries  --> tile --> select --> top
 *                       (few allowed rows: copied together)    or single queries --> scores --> above --> top
 *
 * Row blocks are the outer loop and queries the inner one, so the rows come from memory once for all queries of a call;
 * a tile of 64 rows x one panel stays in L1 while it is selected from. A remainder of queries too small for a panel is
 * scored one by one on the same block. Rows that are not f32 are converted once a block. Masks are made only
 * for a filter or removed rows, and blocks without an allowed row are not read at all.
 *
 * A score is ip * scale[row] + bias[row] + lane bias. It is compared with the top's threshold minus the lane's bias,
 * lowered a little for rounding, and what passes is pushed with its full score: so results do not depend on the
 * order of scanning. Where a lane brings a sonde__direct, the scan score is only a bound, and the direct score is
 * pushed.
 *
 * Where the lanes bring codes for a first pass, it goes before: the same loops over the 8-bit images of the rows, whose
 * bound names the rows for direct scores. If it names more of a tile than CROWD tells, the plain scan takes that
 * tile, and the more tiles in a row are crowded the longer the next attempt waits, so that data on which the bound is of
 * no use cost hardly more than without it.
 *
 * Memory: panels (queries x dim x 4 bytes, and blocks of 256 KiB, from the caller's scratch; nothing else.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "indexes/direct.h"

#define BLOCK_BYTES ((int64_t)256 << 10) /* a block of rows in f32, about half of a small L2 */
#define BLOCK_ROWS 1024                  /* most rows of a block */
#define TILE_ROWS 64                     /* rows of one tile: a word of the mask */
#define CROWD 8                          /* a tile is crowded from 1 / CROWD of its scores on */
#define LONGEST_WAIT 63                  /* tiles */

/* Rows to be scored: a stretch of a segment, or chosen rows copied together. */
typedef struct block {
    const uint8_t *rows; /* the scored column */
    int64_t count;
    const float *scale, *bias;   /* NULL: none */
    const int64_t *ids;
    const sonde__place *places;  /* NULL: first_place and the following */
    sonde__place first_place;
    const uint64_t *mask;        /* NULL: all rows are allowed */
    const uint8_t *images;       /* NULL: no first pass */
    const float *terms;          /* of the images, two a row */
} block;

/* Rows waiting to be copied together. */
typedef struct gathering {
    sonde__place *places;
    int64_t count;
    uint8_t *rows;
    float *scale, *bias;
    int64_t *ids;
} gathering;

/* How long a panel, or a single lane, goes without the first pass. */
typedef struct pace {
    int wait, last;
} pace;

/* The first pass over images. */
typedef struct coarse_pass {
    bool on;
    int8_t *panels;
    int64_t panel_bytes;
    sonde__bound_lanes *lanes; /* one a panel */
    pace *paces;               /* of the panels, then of the single lanes */
    float *terms[4];           /* of the block's rows: as in sonde__bound_rows */
} coarse_pass;

typedef struct scan {
    const sonde__kernels *kernels;
    const sonde__scorer *scorer;
    const sonde__snapshot *snapshot;
    const sonde_filter *filter; /* of all lanes */
    sonde__lane *lanes;
    int64_t count;
    int64_t panelled;    /* the first lanes, which are in panels; the others are scored one by one */
    int64_t block_rows;  /* a multiple of TILE_ROWS */
    uint8_t *panels;
    int64_t panel_bytes;
    float *thresholds;   /* one a panelled lane, unused lanes of the last panel included */
    float *plain;        /* a block of rows converted to f32 for the panels, or NULL */
    bool converted;      /* plain holds the rows of this block */
    coarse_pass first;
    uint8_t *tables;     /* code tables of the lanes that brought none */
    int64_t table_bytes;
    gathering gather;
} scan;

static const void *table_of(const scan *s, int64_t lane)
{
    return s->lanes[lane].table ? s->lanes[lane].table : s->tables + lane * s->table_bytes;
}

/* ---- one hit ----------------------------------------------------------------------------------------- */

static const sonde__direct *direct_of(const scan *s, const sonde__lane *lane)
{
    return !s->scorer->code && s->scorer->row_kind != SONDE__ROW_BITS ? lane->table : NULL;
}

/* What a scan score without lane bias must exceed: never above the exact bound. */
static float threshold_of(const scan *s, const sonde__lane *lane)
{
    const sonde__direct *direct = direct_of(s, lane);
    float t = lane->top->threshold;
    if (isinf(t)) return t;
    if (direct) return nextafterf((float)(direct->slope * t + direct->offset), -INFINITY);
    return lane->bias == 0 ? t : t - lane->bias - (fabsf(t) + fabsf(lane->bias)) * 0x1p-22f;
}

/* Row i of the block passed with this score (lane bias not yet in it). */
static void offer(const scan *s, const block *b, int64_t i, sonde__lane *lane, float score)
{
    if (b->mask && !(b->mask[i >> 6] >> (i & 63) & 1)) return;
    const sonde__direct *direct = direct_of(s, lane);
    score = direct ? sonde__direct_score(direct, b->rows + i * s->scorer->width) : score + lane->bias;
    sonde__top_push(lane->top, score, b->ids[i], b->places ? b->places[i] : b->first_place + (sonde__place)i);
}

/* ---- the first pass ---------------------------------------------------------------------------------- */

static void read_terms(const scan *s, const block *b)
{
    const sonde__direct *direct = s->lanes[0].table;
    const float *number = b->bias ? b->bias : b->scale;
    sonde__image_terms(direct->metric, direct->dim, b->terms, number, b->count, s->first.terms);
}

/* Whether it is time for the first pass. */
static bool pace_due(pace *p)
{
    if (p->wait == 0) return true;
    p->wait--;
    return false;
}

/* Tells how it went; false if it is to be done again without. */
static bool pace_tell(pace *p, int64_t found, int64_t of)
{
    bool crowded = found * CROWD > of;
    p->last = crowded ? (int)sonde__min_i64(2 * p->last + 1, LONGEST_WAIT) : 0;
    p->wait = p->last;
    return !crowded;
}

/* As scan_tile; false if nothing was done. */
static bool scan_tile_first(const scan *s, const block *b, int64_t panel, int64_t first, int64_t count)
{
    _Alignas(64) int32_t sums[TILE_ROWS * SONDE__LANES_MAX];
    uint32_t hits[TILE_ROWS * SONDE__LANES_MAX];
    const coarse_pass *pass = &s->first;
    int64_t width = s->kernels->lanes, dim = s->scorer->dim;
    float *const *terms = pass->terms, *thresholds = s->thresholds + panel * width;
    sonde__bound_rows rows = {terms[0] + first, terms[1] + first, terms[2] + first, terms[3] + first};
    if (!pace_due(&pass->paces[panel])) return false;
    s->kernels->tile_u8s8(pass->panels + panel * pass->panel_bytes, b->images + first * dim, dim, count, dim, sums);
    int64_t found = s->kernels->tile_bound(sums, count, width, &pass->lanes[panel], &rows, thresholds, hits);
    if (!pace_tell(&pass->paces[panel], found, count * width)) return false;
    for (int64_t h = 0; h < found; h++) {
        int64_t row = hits[h] / (uint32_t)width, lane = hits[h] % (uint32_t)width;
        offer(s, b, first + row, &s->lanes[panel * width + lane], 0);
        thresholds[lane] = threshold_of(s, &s->lanes[panel * width + lane]);
    }
    return true;
}

/* As scan_single; false if nothing was done. */
static bool scan_single_first(const scan *s, const block *b, int64_t lane)
{
    int32_t sums[BLOCK_ROWS], positions[BLOCK_ROWS];
    float bounds[BLOCK_ROWS];
    const sonde__lane *l = &s->lanes[lane];
    const sonde__coarse *c = &direct_of(s, l)->coarse;
    float *const *terms = s->first.terms;
    int64_t dim = s->scorer->dim;
    pace *p = &s->first.paces[lane - s->panelled + (s->panelled + s->kernels->lanes - 1) / s->kernels->lanes];
    if (!pace_due(p)) return false;
    s->kernels->ip_u8s8(c->codes, b->images, dim, b->count, dim, sums);
    for (int64_t i = 0; i < b->count; i++) {
        float ip = (float)(sums[i] - c->shift) * c->scale;
        bounds[i] = ip * terms[0][i] + (c->reach * terms[1][i] + (c->blur * terms[2][i] + terms[3][i]));
    }
    int64_t found = s->kernels->above(bounds, b->count, threshold_of(s, l), positions);
    if (!pace_tell(p, found, b->count)) return false;
    for (int64_t h = 0; h < found; h++)
        if (bounds[positions[h]] > threshold_of(s, l)) offer(s, b, positions[h], &s->lanes[lane], 0);
    return true;
}

/* ---- panels ------------------------------------------------------------------------------------------ */

static const void *panel_rows(scan *s, const block *b, int64_t first, int64_t *stride)
{
    int64_t dim = s->scorer->dim;
    *stride = s->plain ? dim * (int64_t)sizeof(float) : s->scorer->width;
    if (s->plain && !s->converted) s->kernels->to_f32[s->scorer->row_kind](b->rows, b->count * dim, s->plain);
    s->converted = true;
    const uint8_t *rows = s->plain ? (const uint8_t *)s->plain : b->rows;
    return rows + first * *stride;
}

static void score_tile(scan *s, const block *b, int64_t panel, int64_t first, int64_t count,
                       float *tile)
{
    const sonde_quantizer *code = s->scorer->code;
    const void *queries = s->panels + panel * s->panel_bytes;
    int64_t stride;
    const void *rows = panel_rows(s, b, first, &stride);
    if (code) code->method->scan_panel(code, queries, rows, stride, count, tile);
    else s->kernels->tile_f32(queries, rows, stride, count, s->scorer->dim, tile);
}

/* Rows [first, first + count) of the block, at most TILE_ROWS, for the lanes of one panel. */
static void scan_tile(scan *s, const block *b, int64_t panel, int64_t first, int64_t count)
{
    _Alignas(64) float tile[TILE_ROWS * SONDE__LANES_MAX];
    uint32_t hits[TILE_ROWS * SONDE__LANES_MAX];
    int64_t width = s->kernels->lanes, first_lane = panel * width;
    float *thresholds = s->thresholds + first_lane;
    if (b->images && scan_tile_first(s, b, panel, first, count)) return;
    score_tile(s, b, panel, first, count, tile);
    int64_t found = s->kernels->tile_select(tile, count, width, b->scale ? b->scale + first : NULL,
                                            b->bias ? b->bias + first : NULL, thresholds, hits);
    for (int64_t h = 0; h < found; h++) {
        int64_t row = hits[h] / (uint32_t)width, lane = hits[h] % (uint32_t)width;
        float score = tile[hits[h]];
        if (!(score > thresholds[lane])) continue; /* it has risen since the tile was selected */
        offer(s, b, first + row, &s->lanes[first_lane + lane], score);
        thresholds[lane] = threshold_of(s, &s->lanes[first_lane + lane]);
    }
}

static void scan_panels(scan *s, const block *b)
{
    s->converted = false;
    for (int64_t panel = 0; panel * s->kernels->lanes < s->panelled; panel++)
        for (int64_t first = 0; first < b->count; first += TILE_ROWS)
            if (!b->mask || b->mask[first / TILE_ROWS])
                scan_tile(s, b, panel, first, sonde__min_i64(TILE_ROWS, b->count - first));
}

/* ---- single queries ---------------------------------------------------------------------------------- */

static void score_bits(const scan *s, const block *b, const void *bits, float *scores)
{
    int32_t distances[BLOCK_ROWS];
    s->kernels->hamming(bits, b->rows, s->scorer->width, b->count, s->scorer->width, distances);
    for (int64_t i = 0; i < b->count; i++) scores[i] = -(float)distances[i];
}

static void score_rows(const scan *s, const block *b, int64_t lane, float *scores)
{
    const sonde__scorer *scorer = s->scorer;
    const sonde__lane *l = &s->lanes[lane];
    if (scorer->code) {
        scorer->code->method->scan(scorer->code, table_of(s, lane), b->rows, scorer->width, b->count, scores);
    } else if (scorer->row_kind == SONDE__ROW_BITS) {
        score_bits(s, b, l->table, scores);
    } else {
        s->kernels->ip_rows[scorer->row_kind](l->query, b->rows, scorer->width, b->count, scorer->dim,
                                              scores);
    }
}

static void scan_single(const scan *s, const block *b, int64_t lane)
{
    _Alignas(64) float scores[BLOCK_ROWS];
    int32_t positions[BLOCK_ROWS];
    sonde__lane *l = &s->lanes[lane];
    if (b->images && scan_single_first(s, b, lane)) return;
    score_rows(s, b, lane, scores);
    if (b->scale)
        for (int64_t i = 0; i < b->count; i++) scores[i] *= b->scale[i];
    if (b->bias)
        for (int64_t i = 0; i < b->count; i++) scores[i] += b->bias[i];
    float threshold = threshold_of(s, l);
    int64_t found = s->kernels->above(scores, b->count, threshold, positions);
    for (int64_t h = 0; h < found; h++) {
        float score = scores[positions[h]];
        if (!(score > threshold)) continue;
        offer(s, b, positions[h], l, score);
        threshold = threshold_of(s, l);
    }
}

/* ---- blocks ------------------------------------------------------------------------------------------ */

static void scan_block(scan *s, const block *b)
{
    if (b->images) read_terms(s, b);
    if (s->panelled > 0) scan_panels(s, b);
    for (int64_t lane = s->panelled; lane < s->count; lane++) scan_single(s, b, lane);
}

static const float *number_column(const sonde__segment *segment, int column, int64_t row)
{
    return column < 0 ? NULL : (const float *)(const void *)segment->column[column] + row;
}

/* Copies the waiting rows together and scores them. */
static void scan_gathered(scan *s)
{
    gathering *g = &s->gather;
    const sonde__scorer *scorer = s->scorer;
    for (int64_t i = 0; i < g->count; i++) {
        const sonde__segment *segment = sonde__place_in(s->snapshot, g->places[i]);
        int64_t row = sonde__place_row(g->places[i]);
        memcpy(g->rows + i * scorer->width, segment->column[scorer->column] + row * scorer->width,
               (size_t)scorer->width);
        g->ids[i] = segment->ids[row];
        if (g->scale) g->scale[i] = *number_column(segment, scorer->scale_column, row);
        if (g->bias) g->bias[i] = *number_column(segment, scorer->bias_column, row);
    }
    block b = {.rows = g->rows, .count = g->count, .scale = g->scale, .bias = g->bias, .ids = g->ids,
               .places = g->places};
    if (g->count > 0) scan_block(s, &b);
    g->count = 0;
}

static void gather_place(scan *s, sonde__place place)
{
    s->gather.places[s->gather.count++] = place;
    if (s->gather.count == s->block_rows) scan_gathered(s);
}

static void gather_masked(scan *s, sonde__place first_place, const uint64_t *mask, int64_t count)
{
    for (int64_t i = 0; i < count; i += 64)
        for (uint64_t word = mask[i >> 6]; word; word &= word - 1)
            gather_place(s, first_place + (sonde__place)(i + __builtin_ctzll(word)));
}

/* Rows [first, first + count) of a segment, at most a block. */
static void scan_stretch(scan *s, const sonde__segment *segment, sonde__place first_place, int64_t first,
                         int64_t count)
{
    uint64_t mask[BLOCK_ROWS / 64];
    int64_t allowed = count;
    if (s->filter || segment->removed) allowed = sonde__filter_mask(s->filter, segment, first, count, mask);
    if (allowed == 0) return;
    if (allowed < count / 4) {
        gather_masked(s, first_place + (sonde__place)first, mask, count);
        return;
    }
    block b = {.rows = segment->column[s->scorer->column] + first * s->scorer->width,
               .count = count,
               .scale = number_column(segment, s->scorer->scale_column, first),
               .bias = number_column(segment, s->scorer->bias_column, first),
               .ids = segment->ids + first,
               .first_place = first_place + (sonde__place)first,
               .mask = allowed < count ? mask : NULL};
    if (s->first.on) {
        b.images = segment->column[SONDE__IMAGE_COLUMN] + first * s->scorer->dim;
        b.terms = number_column(segment, SONDE__TERMS_COLUMN, 2 * first);
    }
    scan_block(s, &b);
}

/* ---- getting ready ----------------------------------------------------------------------------------- */

/* What a panel is made from: the tables of codes, the queries of plain rows. */
static const void *panel_source(const scan *s, int64_t lane)
{
    return s->scorer->code ? table_of(s, lane) : (const void *)s->lanes[lane].query;
}

static sonde_status make_panels(scan *s, sonde__scratch *scratch)
{
    const sonde__scorer *scorer = s->scorer;
    const sonde_quantizer *code = scorer->code;
    int64_t width = s->kernels->lanes, panels = (s->panelled + width - 1) / width;
    s->panel_bytes = code ? code->method->panel_bytes(code) : width * scorer->dim * (int64_t)sizeof(float);
    s->panel_bytes = (s->panel_bytes + 63) / 64 * 64;
    SONDE_TRY(SONDE_SCRATCH(scratch, s->panels, panels * s->panel_bytes));
    SONDE_TRY(SONDE_SCRATCH(scratch, s->thresholds, panels * width));
    if (!code && scorer->row_kind != SONDE__ROW_F32)
        SONDE_TRY(SONDE_SCRATCH(scratch, s->plain, s->block_rows * scorer->dim));
    for (int64_t p = 0; p < panels; p++) {
        int64_t count = sonde__min_i64(width, s->panelled - p * width);
        const void *source[SONDE__LANES_MAX];
        for (int64_t i = 0; i < count; i++) source[i] = panel_source(s, p * width + i);
        void *panel = s->panels + p * s->panel_bytes;
        if (code) code->method->panel(code, source, count, panel);
        else s->kernels->pack_panel(source, count, scorer->dim, width, panel);
        for (int64_t i = 0; i < width; i++)
            s->thresholds[p * width + i] = i < count ? threshold_of(s, &s->lanes[p * width + i]) : INFINITY;
    }
    return SONDE_OK;
}

static void make_coarse_panel(const scan *s, int64_t panel)
{
    int64_t width = s->kernels->lanes, first = panel * width, dim = s->scorer->dim;
    int8_t *to = s->first.panels + panel * s->first.panel_bytes;
    sonde__bound_lanes *lanes = &s->first.lanes[panel];
    memset(to, 0, (size_t)s->first.panel_bytes);
    memset(lanes, 0, sizeof *lanes);
    for (int64_t i = 0; i < sonde__min_i64(width, s->panelled - first); i++) {
        const sonde__coarse *c = &direct_of(s, &s->lanes[first + i])->coarse;
        sonde__pack_bytes(c->codes, dim, i, width, to);
        lanes->shift[i] = c->shift;
        lanes->scale[i] = c->scale;
        lanes->reach[i] = c->reach;
        lanes->blur[i] = c->blur;
    }
}

static sonde_status make_first(scan *s, sonde__scratch *scratch)
{
    coarse_pass *pass = &s->first;
    int64_t width = s->kernels->lanes, panels = (s->panelled + width - 1) / width;
    const sonde__direct *direct = direct_of(s, &s->lanes[0]);
    pass->on = direct && direct->coarse.codes && s->scorer->dim >= s->kernels->bytes_from;
    if (!pass->on) return SONDE_OK;
    pass->panel_bytes = sonde__byte_panel(s->scorer->dim, width);
    SONDE_TRY(SONDE_SCRATCH(scratch, pass->panels, panels * pass->panel_bytes));
    SONDE_TRY(SONDE_SCRATCH(scratch, pass->lanes, panels));
    SONDE_TRY(SONDE_SCRATCH(scratch, pass->paces, panels + s->count - s->panelled));
    for (int i = 0; i < 4; i++) SONDE_TRY(SONDE_SCRATCH(scratch, pass->terms[i], s->block_rows));
    memset(pass->paces, 0, (size_t)(panels + s->count - s->panelled) * sizeof *pass->paces);
    for (int64_t panel = 0; panel < panels; panel++) make_coarse_panel(s, panel);
    return SONDE_OK;
}

/* Code tables for the lanes that brought none. */
static sonde_status make_tables(scan *s, sonde__scratch *scratch)
{
    const sonde_quantizer *code = s->scorer->code;
    bool missing = false;
    for (int64_t i = 0; i < s->count; i++) missing |= !s->lanes[i].table;
    if (!code || !missing) return SONDE_OK;
    s->table_bytes = (code->method->table_bytes(code) + 63) / 64 * 64;
    SONDE_TRY(SONDE_SCRATCH(scratch, s->tables, s->count * s->table_bytes));
    for (int64_t i = 0; i < s->count; i++)
        if (!s->lanes[i].table) code->method->table(code, s->lanes[i].query, s->tables + i * s->table_bytes);
    return SONDE_OK;
}

static sonde_status make_gathering(scan *s, sonde__scratch *scratch)
{
    gathering *g = &s->gather;
    SONDE_TRY(SONDE_SCRATCH(scratch, g->places, s->block_rows));
    SONDE_TRY(SONDE_SCRATCH(scratch, g->ids, s->block_rows));
    SONDE_TRY(SONDE_SCRATCH(scratch, g->rows, s->block_rows * s->scorer->width));
    if (s->scorer->scale_column >= 0) SONDE_TRY(SONDE_SCRATCH(scratch, g->scale, s->block_rows));
    if (s->scorer->bias_column >= 0) SONDE_TRY(SONDE_SCRATCH(scratch, g->bias, s->block_rows));
    return SONDE_OK;
}

/* A panel costs the same however many of its lanes are used: below 3/8 of them, single scans are faster. */
static int64_t count_panelled(const scan *s)
{
    if (s->scorer->code ? !s->scorer->code->method->scan_panel : s->scorer->row_kind == SONDE__ROW_BITS)
        return 0;
    int64_t rest = s->count % s->kernels->lanes;
    return rest * 8 < s->kernels->lanes * 3 ? s->count - rest : s->count;
}

static sonde_status prepare(scan *s, bool sparse, sonde__scratch *scratch)
{
    int64_t row_bytes = sonde__max_i64(s->scorer->width,
                                       s->scorer->code ? 1 : s->scorer->dim * (int64_t)sizeof(float));
    if (s->scorer->row_kind == SONDE__ROW_BITS && !s->scorer->code) row_bytes = s->scorer->width;
    int64_t rows = BLOCK_BYTES / row_bytes / TILE_ROWS * TILE_ROWS;
    s->kernels = sonde__kernels_get();
    s->block_rows = sonde__max_i64(TILE_ROWS, sonde__min_i64(rows, BLOCK_ROWS));
    s->panelled = count_panelled(s);
    SONDE_TRY(make_tables(s, scratch));
    if (s->panelled > 0) SONDE_TRY(make_panels(s, scratch));
    SONDE_TRY(make_first(s, scratch));
    return sparse ? make_gathering(s, scratch) : SONDE_OK;
}

/* A top that could not grow has the message of this thread. */
static sonde_status tops_status(const sonde__lane *lanes, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (lanes[i].top->status != SONDE_OK) return lanes[i].top->status;
    return SONDE_OK;
}

/* ---- the doors --------------------------------------------------------------------------------------- */

static sonde_status scan_segments(scan *s, int64_t list_number, int64_t first, int64_t end,
                                  sonde__scratch *scratch)
{
    const sonde__list *list = s->snapshot->list[list_number];
    SONDE_TRY(prepare(s, s->filter || list->removed, scratch));
    for (int64_t i = first; i < end; i++) {
        const sonde__segment *segment = list->segment[i];
        sonde__place place = sonde__place_of(list_number, i, 0);
        for (int64_t row = 0; row < segment->count; row += s->block_rows)
            scan_stretch(s, segment, place, row, sonde__min_i64(s->block_rows, segment->count - row));
    }
    scan_gathered(s);
    return tops_status(s->lanes, s->count);
}

sonde_status sonde__scan_segments(const sonde__scorer *scorer, const sonde__snapshot *snapshot, int64_t list,
                                  int64_t first_segment, int64_t end_segment, sonde__lane *lanes,
                                  int64_t count, sonde__scratch *scratch)
{
    sonde__scratch_mark mark = sonde__scratch_here(scratch);
    for (int64_t begin = 0, end; begin < count; begin = end) {
        for (end = begin + 1; end < count && lanes[end].filter == lanes[begin].filter; end++) {}
        scan s = {.scorer = scorer, .snapshot = snapshot, .filter = lanes[begin].filter,
                  .lanes = lanes + begin};
        s.count = end - begin;
        sonde_status status = scan_segments(&s, list, first_segment, end_segment, scratch);
        sonde__scratch_rewind(scratch, mark);
        if (status != SONDE_OK) return status;
    }
    return SONDE_OK;
}

sonde_status sonde__scan_list(const sonde__scorer *scorer, const sonde__snapshot *snapshot, int64_t list,
                              sonde__lane *lanes, int64_t count, sonde__scratch *scratch)
{
    return sonde__scan_segments(scorer, snapshot, list, 0, snapshot->list[list]->segments, lanes, count,
                                scratch);
}

sonde_status sonde__scan_places(const sonde__scorer *scorer, const sonde__snapshot *snapshot,
                                const sonde__place *places, int64_t place_count, sonde__lane *lanes,
                                int64_t count, sonde__scratch *scratch)
{
    scan s = {.scorer = scorer, .snapshot = snapshot, .lanes = lanes, .count = count};
    sonde__scratch_mark mark = sonde__scratch_here(scratch);
    sonde_status status = count > 0 ? prepare(&s, true, scratch) : SONDE_OK;
    if (status == SONDE_OK && count > 0) {
        for (int64_t i = 0; i < place_count; i++) gather_place(&s, places[i]);
        scan_gathered(&s);
        status = tops_status(lanes, count);
    }
    sonde__scratch_rewind(scratch, mark);
    return status;
}
