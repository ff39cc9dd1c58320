/* ivf_split.c: lists that grow too long as rows drift away from what was learned.
 *
 * Problem: lists are learned once. Rows of another kind that come later all fall into the few lists that happen to be
 * nearest, and every query for them scans these long lists.
 *
 * The drift is the mean distance of stored rows to their centroids over that of the training rows, both of rows as the
 * index sees them, on an even sample. A list that holds more than four times the average is split:
 *
 *     2-means   of its rows, again and again, until no part is longer than twice it; a part of equal rows stays whole
 *     place     all its rows, and of the lists of the nearest centroids the rows that are now nearer to a new one
 *     move      those rows: codes that do not depend on the centroid as they are, others made anew from the refine tier
 *
 * One part takes the number of the list, the others get new numbers; so nothing else moves. All of it is one change
 * (change.c): it shows at once, and readers of an older snapshot keep the centroids that belong to it.
 *
 * Not split are lists of low rank, and residual codes without a refine tier: their rows cannot be had back well enough.
 *
 * Cost: for each moved row what it costs to add it; both versions of moved rows are held until the change is over.
 *
 * Source: Zhang et al., "SPFresh: incremental in-place update for billion-scale vector search" (2023): LIRE.
 *
 * SPDX-License-Identifier: MIT
 */
#include "indexes/ivf.h"

#include <math.h>
#include <stdlib.h>

#include "linalg/linalg.h"

#define SPLIT_TIMES 4       /* a list longer than so many times the average is long */
#define SPLIT_PARTS 2       /* and its parts are split until they are not longer than this */
#define SPLIT_LEAST 64      /* but shorter ones than this are not worth it */
#define SPLIT_SAMPLE 256    /* rows that parts are found with, for each average list in a long one */
#define SPLIT_SAMPLE_LEAST 2048
#define SPLIT_FEWEST 16     /* rows in a sample that can still be split */
#define SPLIT_SHARE 16      /* each part of a split has at least one in so many rows */
#define SPLIT_NEAR 8        /* lists around a new centroid whose rows are placed again */
#define SPLIT_CHUNK 4096
#define SPLIT_STAGE "split lists"

/* ---- drift ------------------------------------------------------------------------------------------- */

/* From a row to its centroid; for inner products between their directions. */
static double split_distance(const sonde_index *index, const sonde__ivf_learned *learned, int64_t list, const float *x)
{
    const float *c = sonde__ivf_centroid(learned, index->dim, list);
    double sum = 0, x2 = 0, along = 0;
    for (int64_t j = 0; j < index->dim; j++) {
        double difference = (double)x[j] - c[j];
        sum += difference * difference;
        x2 += (double)x[j] * x[j];
        along += (double)x[j] * c[j];
    }
    if (!sonde__ivf_spherical(index)) return sqrt(sum);
    return sqrt(fmax(0, 2 - 2 * (x2 > 0 ? along / sqrt(x2) : 0)));
}

/* What the index would give back of a row x of a list, in place; code: room for one, of either kind. */
static sonde_status split_seen(const sonde_index *index, const sonde__ivf *ivf, const sonde__ivf_learned *learned,
                               int32_t list, float *x, uint8_t *code, float *numbers)
{
    const sonde_quantizer *q = ivf->refine ? ivf->refine : ivf->code;
    int64_t d = index->dim;
    if (q->method->exact || (ivf->refine_column >= 0 && !ivf->refine)) return SONDE_OK;
    const float *c = sonde__ivf_centroid(learned, d, list), *from = x;
    float factor = ivf->residual && !ivf->refine ? sonde__ivf_factor(learned, list) : 0;
    sonde__kernels_get()->axpy(-factor, c, d, x);
    if (ivf->lorann && !ivf->refine) {
        sonde__lorann_numbers(ivf->lorann, x, 1, &list, numbers);
        from = numbers;
    }
    SONDE_TRY(q->method->encode(q, from, q->dim, 1, code, q->code_bytes));
    if (ivf->refine) q->method->decode(q, code, q->code_bytes, 1, x, d);
    else sonde__ivf_decode(ivf, list, code, x);
    sonde__kernels_get()->axpy(factor, c, d, x);
    return SONDE_OK;
}

static sonde_status split_spread(const sonde_index *index, const sonde__ivf *ivf, float *x, int64_t n, const int32_t *list,
                                 uint8_t *code, float *numbers, sonde__ivf_learned *learned)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        SONDE_TRY(split_seen(index, ivf, learned, list[i], x + i * index->dim, code, numbers));
        sum += split_distance(index, learned, list[i], x + i * index->dim);
    }
    learned->spread = (float)(sum / (double)n);
    return SONDE_OK;
}

sonde_status sonde__ivf_spread(const sonde_index *index, const sonde__ivf *ivf, float *x, int64_t n,
                               sonde__ivf_learned *learned)
{
    int64_t bytes = sonde__max_i64(ivf->code->code_bytes, ivf->refine ? ivf->refine->code_bytes : 0), d = index->dim;
    sonde__scratch *scratch;
    int32_t *list;
    uint8_t *code;
    float *numbers;
    SONDE_TRY(sonde__scratch_take(index->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, list, n);
    if (status == SONDE_OK) status = SONDE_SCRATCH(scratch, code, bytes);
    if (status == SONDE_OK) status = SONDE_SCRATCH(scratch, numbers, ivf->code->dim);
    if (status == SONDE_OK)
        status = sonde__assign(index->runtime, 0, x, d, n, d, learned->centroids.data, learned->lists,
                               sonde__ivf_spherical(index), list, NULL);
    if (status == SONDE_OK) status = split_spread(index, ivf, x, n, list, code, numbers, learned);
    sonde__scratch_give(index->runtime, scratch);
    return status;
}

static int64_t split_live(const sonde__list *list) { return list->rows - list->removed; }

static bool split_long(double rows, double times, double total, int64_t lists)
{
    return rows >= SPLIT_LEAST && rows > times * total / (double)lists;
}

/* Whether rows can be placed anew: their codes stay as they are, or the rows they were made from are kept. */
static bool split_possible(const sonde__ivf *ivf)
{
    return !ivf->lorann && (!ivf->residual || ivf->refine_column >= 0);
}

/* Mean distance over every step-th row, in storage order. x: room for one. */
static double split_mean(const sonde_index *index, const sonde__snapshot *snapshot, float *x)
{
    int64_t step = sonde__max_i64(1, snapshot->rows / SONDE__IVF_SPREAD_ROWS), wait = step - 1, n = 0;
    double sum = 0;
    for (int64_t l = 0; l < snapshot->lists; l++)
        for (int64_t s = 0; s < snapshot->list[l]->segments; s++) {
            const sonde__segment *segment = snapshot->list[l]->segment[s];
            for (; wait < segment->count; wait += step) {
                if (segment->ids[wait] < 0 || sonde__gone(segment, wait)) continue;
                sonde__ivf_get(index, snapshot, sonde__place_of(l, s, wait), x);
                sum += split_distance(index, sonde__ivf_of(snapshot), l, x);
                n++;
            }
            wait -= segment->count;
        }
    return n > 0 ? sum / (double)n : 0;
}

sonde_status sonde__ivf_drift(const sonde_index *index, const sonde__snapshot *snapshot, sonde__drift *drift)
{
    const sonde__ivf_learned *learned = sonde__ivf_of(snapshot);
    double total = (double)(snapshot->rows - snapshot->removed);
    sonde__scratch *scratch;
    float *x;
    drift->splits = split_possible(index->state);
    for (int64_t l = 0; l < snapshot->lists; l++)
        drift->long_lists += split_long((double)split_live(snapshot->list[l]), SPLIT_TIMES, total, snapshot->lists);
    if (learned->spread <= 0) return SONDE_OK;
    SONDE_TRY(sonde__scratch_take(index->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, x, index->dim);
    if (status == SONDE_OK) drift->drift = split_mean(index, snapshot, x) / (double)learned->spread;
    sonde__scratch_give(index->runtime, scratch);
    return status;
}

/* ---- new centroids ----------------------------------------------------------------------------------- */

/* A list, or a part of one. */
typedef struct split_part {
    double rows;   /* that it holds, about */
    bool changed;  /* its centroid is a new one */
    bool whole;    /* it cannot be split */
    float *x;      /* n of its rows, inside block of some part; NULL: not taken yet */
    int64_t n;
    float *block;
} split_part;

typedef struct split_row {
    int64_t id; /* the caller's */
    sonde__place place;
} split_row;

typedef struct splitting {
    const sonde_index *index;
    const sonde__ivf *ivf;
    const sonde__snapshot *base;
    double total; /* live rows, copies counted */
    int64_t lists, room;
    split_part *part;            /* one a list */
    float *centroids;            /* room x dim */
    sonde__ivf_learned *learned; /* for all of them; the change's */
    int64_t rows;
    split_row *row; /* that are placed again, ascending by id; then those that move */
    int32_t *label; /* their lists, then those of their copies */
} splitting;

/* The longest list that is to be split, or -1. */
static int64_t split_longest(const splitting *s)
{
    int64_t longest = -1;
    for (int64_t l = 0; l < s->lists; l++) {
        const split_part *part = &s->part[l];
        if (!part->whole && split_long(part->rows, part->changed ? SPLIT_PARTS : SPLIT_TIMES, s->total, s->lists) &&
            (longest < 0 || part->rows > s->part[longest].rows))
            longest = l;
    }
    return longest;
}

/* An even sample of a list's rows, all of them where it is not very long. */
static sonde_status split_take(splitting *s, int64_t l)
{
    const sonde__list *list = s->base->list[l];
    split_part *part = &s->part[l];
    int64_t d = s->index->dim, live = split_live(list), seen = 0;
    int64_t lists = 1 + (int64_t)(part->rows * (double)s->base->lists / s->total);
    int64_t most = sonde__min_i64(live, sonde__max_i64(SPLIT_SAMPLE_LEAST, lists * SPLIT_SAMPLE));
    SONDE_TRY(SONDE_NEW(s->index->runtime, part->block, most * d));
    part->x = part->block;
    for (int64_t i = 0; i < list->segments; i++)
        for (int64_t r = 0; r < list->segment[i]->count; r++) {
            if (sonde__gone(list->segment[i], r) || seen++ * most / live < part->n) continue;
            sonde__ivf_get(s->index, s->base, sonde__place_of(l, i, r), part->x + part->n++ * d);
        }
    return SONDE_OK;
}

/* Two centroids for the rows of a part; *smaller is the size of the smaller group around them. balanced: centroids of
 * groups of a quarter or more, for where 2-means only parts with a few rows far away. */
static sonde_status split_two_means(const splitting *s, const split_part *part, bool balanced, float *pair, int32_t *label,
                                    int64_t *smaller)
{
    const sonde_index *index = s->index;
    int64_t d = index->dim, second = 0;
    sonde__kmeans_options options = {.k = 2,
                                     .seed = (uint64_t)sonde__param_int(index->params, "seed"),
                                     .start = SONDE__START_PLUSPLUS,
                                     .spherical = sonde__ivf_spherical(index),
                                     .stage = SPLIT_STAGE};
    sonde__balance balance = {.mode = SONDE__BALANCE_CAPACITY, .low = part->n / 4};
    SONDE_TRY(balanced ? sonde__kmeans_balanced(index->runtime, part->x, d, part->n, d, &options, &balance, NULL, pair, NULL,
                                                NULL, NULL)
                       : sonde__kmeans(index->runtime, part->x, d, part->n, d, &options, pair, NULL));
    SONDE_TRY(sonde__assign(index->runtime, 0, part->x, d, part->n, d, pair, 2, options.spherical, label, NULL));
    for (int64_t i = 0; i < part->n; i++) second += label[i];
    *smaller = sonde__min_i64(second, part->n - second);
    return SONDE_OK;
}

/* Brings the rows of group 0 to the front; returns how many there are. */
static int64_t split_sort(split_part *part, int64_t d, int32_t *label)
{
    int64_t front = 0;
    for (int64_t i = 0; i < part->n; i++) {
        if (label[i] != 0) continue;
        for (int64_t j = 0; j < d && i > front; j++) {
            float moved = part->x[i * d + j];
            part->x[i * d + j] = part->x[front * d + j];
            part->x[front * d + j] = moved;
        }
        front++;
    }
    return front;
}

static sonde_status split_room(splitting *s)
{
    if (s->lists < s->room) return SONDE_OK;
    int64_t room = s->room * 2, d = s->index->dim;
    split_part *part;
    float *centroids;
    SONDE_TRY(SONDE_NEW_ZERO(s->index->runtime, part, room));
    memcpy(part, s->part, (size_t)s->lists * sizeof *part);
    sonde__free(s->index->runtime, s->part);
    s->part = part;
    SONDE_TRY(SONDE_NEW(s->index->runtime, centroids, room * d));
    memcpy(centroids, s->centroids, (size_t)(s->lists * d) * sizeof *centroids);
    sonde__free(s->index->runtime, s->centroids);
    s->centroids = centroids;
    s->room = room;
    return SONDE_OK;
}

/* Part l keeps the rows of group 0; those of group 1 become the last part. */
static sonde_status split_part_in_two(splitting *s, int64_t l, const float *pair, int32_t *label)
{
    int64_t d = s->index->dim;
    SONDE_TRY(split_room(s));
    split_part *first = &s->part[l], *second = &s->part[s->lists];
    int64_t front = split_sort(first, d, label), n = first->n;
    *second = (split_part){.rows = first->rows * (double)(n - front) / (double)n,
                           .changed = true,
                           .x = first->x + front * d,
                           .n = n - front};
    first->rows -= second->rows;
    first->n = front;
    first->changed = true;
    memcpy(s->centroids + l * d, pair, (size_t)d * sizeof *pair);
    memcpy(s->centroids + s->lists++ * d, pair + d, (size_t)d * sizeof *pair);
    return SONDE_OK;
}

static sonde_status split_one(splitting *s, int64_t l, sonde__scratch *scratch)
{
    float *pair;
    int32_t *label;
    int64_t smaller = 0;
    if (!s->part[l].x) SONDE_TRY(split_take(s, l));
    const split_part *part = &s->part[l];
    SONDE_TRY(SONDE_SCRATCH(scratch, pair, 2 * s->index->dim));
    SONDE_TRY(SONDE_SCRATCH(scratch, label, part->n));
    bool parted = false;
    for (int balanced = 0; balanced < 2 && !parted && part->n >= SPLIT_FEWEST; balanced++) {
        SONDE_TRY(split_two_means(s, part, balanced, pair, label, &smaller));
        parted = smaller * SPLIT_SHARE >= part->n;
    }
    if (parted) return split_part_in_two(s, l, pair, label);
    s->part[l].whole = true;
    return SONDE_OK;
}

/* Splits what is long until nothing is, or cannot be. */
static sonde_status split_plan(splitting *s)
{
    sonde__scratch *scratch;
    sonde_status status = SONDE_OK;
    SONDE_TRY(sonde__scratch_take(s->index->runtime, &scratch));
    for (int64_t l; status == SONDE_OK && (l = split_longest(s)) >= 0;) {
        sonde__scratch_mark mark = sonde__scratch_here(scratch);
        uint64_t made = (uint64_t)(s->lists - s->base->lists);
        status = sonde__poll(s->index->runtime, SPLIT_STAGE, made, made + 1);
        if (status == SONDE_OK) status = split_one(s, l, scratch);
        sonde__scratch_rewind(scratch, mark);
    }
    sonde__scratch_give(s->index->runtime, scratch);
    return status;
}

/* ---- which rows -------------------------------------------------------------------------------------- */

/* Marks the unchanged lists whose centroids are nearest to that of list l. */
static void split_mark_near(const splitting *s, int64_t l, float *scores, sonde__hit *hits, bool *placed)
{
    int64_t d = s->index->dim, old = s->base->lists;
    sonde__top top;
    sonde__kernels_get()->ip_rows[SONDE__ROW_F32](s->centroids + l * d, s->centroids, d * 4, old, d, scores);
    sonde__top_init(&top, hits, SPLIT_NEAR);
    for (int64_t i = 0; i < old; i++)
        if (!s->part[i].changed)
            sonde__top_push(&top, scores[i] - (sonde__ivf_spherical(s->index) ? 0 : 0.5f * s->learned->norms[i]), i, 0);
    sonde__top_sort(&top);
    for (int64_t i = 0; i < top.count; i++) placed[hits[i].id] = true;
}

static int split_by_id(const void *a, const void *b)
{
    const split_row *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* The live rows of the marked lists, each once. */
static sonde_status split_gather(splitting *s, const bool *placed)
{
    int64_t live = 0, n = 0;
    for (int64_t l = 0; l < s->base->lists; l++) live += placed[l] ? split_live(s->base->list[l]) : 0;
    SONDE_TRY(SONDE_NEW(s->index->runtime, s->row, live));
    for (int64_t l = 0; l < s->base->lists; l++)
        for (int64_t i = 0; placed[l] && i < s->base->list[l]->segments; i++) {
            const sonde__segment *segment = s->base->list[l]->segment[i];
            for (int64_t r = 0; r < segment->count; r++)
                if (!sonde__gone(segment, r))
                    s->row[n++] = (split_row){sonde__row_id(segment->ids[r]), sonde__place_of(l, i, r)};
        }
    qsort(s->row, (size_t)n, sizeof *s->row, split_by_id);
    for (int64_t i = 0; i < n; i++)
        if (i == 0 || s->row[i].id != s->row[s->rows - 1].id) s->row[s->rows++] = s->row[i];
    return SONDE_OK;
}

static sonde_status split_choose(splitting *s, sonde__scratch *scratch)
{
    float *scores;
    sonde__hit *hits;
    bool *placed;
    SONDE_TRY(SONDE_SCRATCH(scratch, scores, s->base->lists));
    SONDE_TRY(SONDE_SCRATCH(scratch, hits, sonde__top_room(SPLIT_NEAR)));
    SONDE_TRY(SONDE_SCRATCH(scratch, placed, s->base->lists));
    for (int64_t l = 0; l < s->base->lists; l++) placed[l] = s->part[l].changed;
    for (int64_t l = 0; l < s->lists; l++)
        if (s->part[l].changed) split_mark_near(s, l, scores, hits, placed);
    return split_gather(s, placed);
}

/* ---- where they go ----------------------------------------------------------------------------------- */

/* Some rows at work. */
typedef struct split_some {
    const splitting *s;
    int64_t first; /* row of the splitting */
    const int32_t *label;
    float *x;
    uint8_t *column[SONDE__COLUMNS];
} split_some;

static sonde_status split_fetch(void *context, int64_t begin, int64_t end, int worker)
{
    const split_some *w = context;
    const splitting *s = w->s;
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        sonde__ivf_get(s->index, s->base, s->row[w->first + i].place, w->x + i * s->index->dim);
    return SONDE_OK;
}

/* Mean of <row, centroid> over the rows of each changed list, as its factor; seen: rows of each so far. */
static void split_factors(const splitting *s, const split_some *w, int64_t count, int64_t *seen)
{
    int64_t d = s->index->dim;
    for (int64_t i = 0; i < count; i++) {
        int32_t l = w->label[i];
        float ip;
        if (!s->part[l].changed) continue;
        sonde__kernels_get()->ip_rows[SONDE__ROW_F32](w->x + i * d, sonde__ivf_centroid(s->learned, d, l), 0, 1, d, &ip);
        s->learned->factors[l] += (ip - s->learned->factors[l]) / (float)++seen[l];
    }
}

/* The nearest list of each row, and the second one of its copy. */
static sonde_status split_place(splitting *s, float *x, int64_t *seen)
{
    const sonde_index *index = s->index;
    int64_t d = index->dim;
    for (int64_t first = 0; first < s->rows; first += SPLIT_CHUNK) {
        int64_t count = sonde__min_i64(SPLIT_CHUNK, s->rows - first);
        int32_t *label = s->label + first;
        split_some w = {.s = s, .first = first, .label = label, .x = x};
        SONDE_TRY(sonde__poll(index->runtime, SPLIT_STAGE, (uint64_t)first, (uint64_t)s->rows));
        SONDE_TRY(sonde__parallel_for(index->runtime, 0, count, 64, NULL, split_fetch, &w));
        SONDE_TRY(sonde__assign(index->runtime, 0, x, d, count, d, s->learned->centroids.data, s->lists,
                                sonde__ivf_spherical(index), label, NULL));
        if (s->base->copies > 1)
            SONDE_TRY(sonde__ivf_spill(index, s->learned, x, count, label, label + s->rows));
        if (s->learned->factors) split_factors(s, &w, count, seen);
    }
    return SONDE_OK;
}

/* A row stays where it is if its list does, and what is stored of it holds for the list's centroid. With copies all move. */
static bool split_stays(const splitting *s, const split_row *row, int32_t label)
{
    int64_t list = sonde__place_list(row->place);
    if (s->base->copies > 1) return false;
    if (s->part[list].changed) return label == list && !s->ivf->residual;
    return !s->part[label].changed;
}

/* Forgets the rows that stay. */
static void split_keep_moving(splitting *s)
{
    int64_t moving = 0;
    for (int64_t i = 0; i < s->rows; i++) {
        if (split_stays(s, &s->row[i], s->label[i])) continue;
        s->row[moving] = s->row[i];
        s->label[moving++] = s->label[i];
    }
    if (s->base->copies == 1) s->rows = moving;
}

/* ---- moving them ------------------------------------------------------------------------------------- */

/* What a row has of its own stays as it is. */
static void split_keep_own(const split_some *w, int64_t i, int column)
{
    const splitting *s = w->s;
    if (column < 0) return;
    sonde__place place = s->row[w->first + i].place;
    int64_t width = s->index->layout.width[column];
    memcpy(w->column[column] + i * width,
           sonde__place_in(s->base, place)->column[column] + sonde__place_row(place) * width, (size_t)width);
}

static sonde_status split_encode(void *context, int64_t begin, int64_t end, int worker)
{
    const split_some *w = context;
    const splitting *s = w->s;
    uint8_t *column[SONDE__COLUMNS];
    SONDE_TRY(split_fetch(context, begin, end, worker));
    for (int c = 0; c < s->index->layout.columns; c++) column[c] = w->column[c] + begin * s->index->layout.width[c];
    SONDE_TRY(sonde__ivf_encode(s->index, s->learned, w->x + begin * s->index->dim, end - begin, w->label + begin, column));
    for (int64_t i = begin; i < end; i++) {
        split_keep_own(w, i, s->ivf->refine_column);
        split_keep_own(w, i, s->ivf->row_bias_column);
    }
    return SONDE_OK;
}

/* Codes of rows themselves, as they are. */
static sonde_status split_copy(void *context, int64_t begin, int64_t end, int worker)
{
    const split_some *w = context;
    const sonde__layout *layout = &w->s->index->layout;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        sonde__place place = w->s->row[w->first + i].place;
        for (int c = 0; c < layout->columns; c++) {
            uint8_t *to = w->column[c] + i * layout->width[c];
            const uint8_t *from = sonde__segment_row(layout, sonde__place_in(w->s->base, place), c, sonde__place_row(place), to);
            if (from != to) memcpy(to, from, (size_t)layout->width[c]);
        }
    }
    return SONDE_OK;
}

static sonde_status split_append(const splitting *s, sonde__change *change, const split_some *w, int64_t count, bool copy)
{
    const sonde__layout *layout = &s->index->layout;
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *columns[SONDE__COLUMNS];
        int64_t id = s->row[w->first + i].id;
        for (int c = 0; c < layout->columns; c++) columns[c] = w->column[c] + i * layout->width[c];
        SONDE_TRY(sonde__change_append(change, w->label[i], copy ? ~id : id, columns));
    }
    return SONDE_OK;
}

/* Takes the rows out and stores them where they belong. label: the lists, with those of copies `stride` behind. */
static sonde_status split_move(splitting *s, int64_t stride, sonde__change *change, split_some *w, int64_t *ids,
                               int64_t *counts)
{
    int64_t taken;
    for (int64_t i = 0; i < s->rows; i++) ids[i] = s->row[i].id;
    SONDE_TRY(sonde__change_take_out(change, ids, s->rows, &taken));
    memset(counts, 0, (size_t)s->lists * sizeof *counts);
    for (int64_t copy = 0; copy < s->base->copies; copy++)
        for (int64_t i = 0; i < s->rows; i++) counts[s->label[copy * stride + i]]++;
    SONDE_TRY(sonde__change_reserve(change, counts));
    for (int64_t copy = 0; copy < s->base->copies; copy++)
        for (w->first = 0; w->first < s->rows; w->first += SPLIT_CHUNK) {
            int64_t count = sonde__min_i64(SPLIT_CHUNK, s->rows - w->first);
            w->label = s->label + copy * stride + w->first;
            SONDE_TRY(sonde__poll(s->index->runtime, SPLIT_STAGE, (uint64_t)(copy * s->rows + w->first),
                                  (uint64_t)(s->base->copies * s->rows)));
            SONDE_TRY(sonde__parallel_for(s->index->runtime, 0, count, 128, NULL,
                                          s->ivf->residual ? split_encode : split_copy, w));
            SONDE_TRY(split_append(s, change, w, count, copy == 1));
        }
    return SONDE_OK;
}

/* ---- one split --------------------------------------------------------------------------------------- */

/* Learned parts for the new centroids; the factors of changed lists are 0 until rows are placed. */
static sonde_status split_learn(const splitting *s, sonde__ivf_learned **learned)
{
    const sonde__ivf_learned *old = sonde__ivf_of(s->base);
    sonde__blob centroids = {NULL, (uint64_t)(s->lists * s->index->dim) * sizeof(float), true};
    centroids.data = sonde__alloc(s->index->runtime, centroids.bytes, 1);
    if (!centroids.data) return sonde__last_status();
    memcpy(centroids.data, s->centroids, centroids.bytes);
    SONDE_TRY(sonde__ivf_learned_make(s->index, centroids, s->lists, learned));
    (*learned)->spread = old->spread;
    if (!old->factors) return SONDE_OK;
    SONDE_TRY(SONDE_NEW_ZERO(s->index->runtime, (*learned)->factors, s->lists));
    for (int64_t l = 0; l < s->base->lists; l++)
        if (!s->part[l].changed) (*learned)->factors[l] = old->factors[l];
    return SONDE_OK;
}

/* The change goes on with them. */
static sonde_status split_relearn(splitting *s, sonde__change *change)
{
    sonde__ivf_learned *learned = NULL;
    sonde_status status = split_learn(s, &learned);
    if (status == SONDE_OK) status = sonde__change_relearn(change, s->lists, learned);
    if (status == SONDE_OK) s->learned = learned;
    else sonde__ivf_learned_drop(s->index->runtime, learned);
    return status;
}

static sonde_status split_rows(splitting *s, sonde__change *change, sonde__scratch *scratch)
{
    const sonde__layout *layout = &s->index->layout;
    int64_t *counts, *ids = NULL;
    split_some w = {.s = s};
    SONDE_TRY(split_choose(s, scratch));
    SONDE_TRY(SONDE_NEW(s->index->runtime, s->label, s->rows * s->base->copies));
    SONDE_TRY(SONDE_SCRATCH(scratch, w.x, SPLIT_CHUNK * s->index->dim));
    SONDE_TRY(SONDE_SCRATCH(scratch, counts, s->lists));
    memset(counts, 0, (size_t)s->lists * sizeof *counts);
    for (int c = 0; c < layout->columns; c++)
        SONDE_TRY(SONDE_SCRATCH(scratch, w.column[c], SPLIT_CHUNK * layout->width[c]));
    SONDE_TRY(split_place(s, w.x, counts));
    int64_t stride = s->rows;
    split_keep_moving(s);
    SONDE_TRY(SONDE_NEW(s->index->runtime, ids, s->rows));
    sonde_status status = split_move(s, stride, change, &w, ids, counts);
    sonde__free(s->index->runtime, ids);
    return status;
}

static sonde_status split_begin(splitting *s)
{
    const sonde__ivf_learned *old = sonde__ivf_of(s->base);
    s->lists = s->base->lists;
    s->room = s->lists + sonde__max_i64(8, s->lists / 4);
    s->total = (double)(s->base->rows - s->base->removed);
    SONDE_TRY(SONDE_NEW_ZERO(s->index->runtime, s->part, s->room));
    SONDE_TRY(SONDE_NEW(s->index->runtime, s->centroids, s->room * s->index->dim));
    memcpy(s->centroids, old->centroids.data, (size_t)(s->lists * s->index->dim) * sizeof(float));
    for (int64_t l = 0; l < s->lists; l++) s->part[l].rows = (double)split_live(s->base->list[l]);
    return SONDE_OK;
}

static void split_forget_samples(splitting *s)
{
    for (int64_t l = 0; s->part && l < s->lists; l++) {
        sonde__free(s->index->runtime, s->part[l].block);
        s->part[l].block = NULL;
    }
}

static void split_end(splitting *s)
{
    sonde_runtime *runtime = s->index->runtime;
    split_forget_samples(s);
    sonde__free(runtime, s->part);
    sonde__free(runtime, s->centroids);
    sonde__free(runtime, s->row);
    sonde__free(runtime, s->label);
    (void)sonde__scratch_trim(runtime); /* searches need far less of it */
}

static sonde_status split_run(splitting *s, sonde__change *change)
{
    sonde__scratch *scratch;
    split_forget_samples(s);
    SONDE_TRY(split_relearn(s, change));
    SONDE_TRY(sonde__scratch_take(s->index->runtime, &scratch));
    sonde_status status = split_rows(s, change, scratch);
    sonde__scratch_give(s->index->runtime, scratch);
    return status;
}

sonde_status sonde__ivf_split(const sonde_index *index, sonde__change *change, bool *done)
{
    splitting s = {.index = index, .ivf = index->state, .base = sonde__change_base(change)};
    *done = false;
    if (!split_possible(s.ivf)) return SONDE_OK;
    sonde_status status = split_begin(&s);
    if (status == SONDE_OK) status = split_plan(&s);
    if (status == SONDE_OK && s.lists > s.base->lists) {
        status = split_run(&s, change);
        *done = status == SONDE_OK;
    }
    split_end(&s);
    return status;
}
