/* rq_levels.c: vectors as sums of codewords, one of each level: training level by level, encoding by beam,
 * decoding, scanning.
 *
 * Problem: the nearest of k^m sums cannot be looked for one by one, and taking the nearest codeword level by
 * level (beam = 1) misses good sums early.
 * Idea: follow the `beam` best partial sums. With s a partial sum and c a codeword of the next level,
 *
 *     -|x - s - c|^2 / 2 = -|x - s|^2 / 2 + gain
 *     gain = <x, c> - |c|^2 / 2 - sum over codewords e in s of <e, c>
 *
 * so one tile product of a block of rows with all codewords serves every partial sum, and the last term is a
 * sum of rows of tables made once. Where those tables would be too large (LEVELS_CROSS_BYTES), the residuals
 * x - s are multiplied instead. Where bytes are multiplied faster, the products are first made in whole numbers
 * (rq_coarse.c), and in f32 only for continuations that come near the best. (Beams for additive codes: Babenko,
 * Lempitsky 2014; Martinez, Hoos, Little 2014.)
 *
 * Training can widen: rows are turned to the principal directions of what is left of them, and k-means runs
 * along the first of these, then along more and more, up to all, each time from where it was. In many columns
 * k-means from random rows stops at worse places. (Progressive dimensions: Liu, Shao, Lu: Generalized
 * residual vector quantization, ICME 2016.)
 *
 *     codewords: m x k x dim
 *     cross of level l: l x k x k, entry (j, e, c) = -<e of level j, c>; level after level
 *     code: m numbers of `bits` bits, the lowest bit first; zero bits behind the last
 *
 * Cost of encoding a row: m k (dim + beam m / 2) multiply-adds; scanning: m lookups a code.
 *
 * SPDX-License-Identifier: MIT
 */
#include "quantizers/rq_levels.h"

#include <math.h>

enum {
    LEVELS_ROWS = 64,              /* rows that are encoded together at most */
    LEVELS_GAINS = 1 << 20,        /* floats of gains that they may need */
    LEVELS_COLUMNS = 64,           /* of scores whose largest make a threshold: more than the widest beam */
    LEVELS_FEW = 16,               /* the same for beams up to half as wide */
    LEVELS_LOOKED = 8,             /* sums at most: of more, too many codewords come near the best */
    LEVELS_CAUGHT = 32,            /* of a row's length, what whole numbers may lose for a first look */
    LEVELS_SECOND = 4,             /* of a level's codewords, so many may take a second look */
    LEVELS_SURVEY = 1024,          /* scores that are compared with the threshold in one call */
    LEVELS_CROSS_BYTES = 128 << 20, /* of products between codewords */
    LEVELS_WIDENINGS = 10,         /* steps from few columns to all */
    LEVELS_TURNED_MOST = 2048,     /* columns whose principal directions are worth their time */
    LEVELS_TRAINED = 1 << 16, /* rows that a level is trained on, where there are not more of them anyway */
    LEVELS_STREAM = 0x7201    /* which partial sums of a row */
};

/* ---- making ---------------------------------------------------------------------------------------------------- */

static uint64_t sums_codeword_floats(const sonde__levels *shape)
{
    return (uint64_t)shape->m * (uint64_t)shape->k * (uint64_t)shape->dim;
}

/* 0 where there are no tables of products. */
static uint64_t sums_cross_floats(const sonde__levels *shape)
{
    uint64_t floats = (uint64_t)(shape->m * (shape->m - 1) / 2) * (uint64_t)shape->k * (uint64_t)shape->k;
    return shape->beam > 1 && floats <= LEVELS_CROSS_BYTES / sizeof(float) ? floats : 0;
}

/* 0 where the books of the levels serve as well. */
static int64_t sums_joint_floats(const sonde__levels *shape)
{
    bool shared = 2 * shape->k <= sonde__kernels_get()->lanes && sums_cross_floats(shape) > 0;
    return shared ? sonde__codebook_floats(shape->m * shape->k, shape->dim) : 0;
}

/* 0 where encoding takes no first look in whole numbers. */
static int64_t sums_coarse_bytes(const sonde__levels *shape)
{
    bool pays = sums_cross_floats(shape) > 0 && shape->beam <= LEVELS_LOOKED && sonde__coarse_pays(shape->k, shape->dim);
    return pays ? sonde__coarse_bytes(shape->k, shape->dim) : 0;
}

/* The books of the levels, then the joint one. */
static int64_t sums_packed_floats(const sonde__levels *shape)
{
    return shape->m * sonde__codebook_floats(shape->k, shape->dim) + sums_joint_floats(shape);
}

static float *sums_cross(const sonde__levels *levels, int64_t level)
{
    return levels->cross + level * (level - 1) / 2 * levels->k * levels->k;
}

uint64_t sonde__levels_bytes(const sonde__levels *shape)
{
    uint64_t packed = (uint64_t)sums_packed_floats(shape), coarse = (uint64_t)sums_coarse_bytes(shape);
    uint64_t level = sizeof *shape->book + (coarse > 0 ? sizeof *shape->coarse + coarse : 0);
    return (sums_codeword_floats(shape) + packed + sums_cross_floats(shape)) * sizeof(float) +
           (uint64_t)shape->m * level;
}

sonde_status sonde__levels_begin(sonde_runtime *runtime, const sonde__levels *shape, sonde__levels *fresh)
{
    uint64_t cross = sums_cross_floats(shape);
    int64_t coarse = sums_coarse_bytes(shape);
    *fresh = (sonde__levels){
        .m = shape->m, .k = shape->k, .dim = shape->dim, .bits = shape->bits, .beam = shape->beam};
    sonde_status status = SONDE_NEW(runtime, fresh->codewords, sums_codeword_floats(shape));
    if (status == SONDE_OK) status = SONDE_NEW_ZERO(runtime, fresh->book, shape->m);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, fresh->packed, sums_packed_floats(shape));
    if (status == SONDE_OK && cross > 0) status = SONDE_NEW(runtime, fresh->cross, cross);
    if (status == SONDE_OK && coarse > 0) status = SONDE_NEW_ZERO(runtime, fresh->coarse, shape->m);
    if (status == SONDE_OK && coarse > 0) status = SONDE_NEW(runtime, fresh->coarse_memory, shape->m * coarse);
    if (status != SONDE_OK) sonde__levels_end(runtime, fresh);
    return status;
}

void sonde__levels_end(sonde_runtime *runtime, sonde__levels *levels)
{
    sonde__free(runtime, levels->codewords);
    sonde__free(runtime, levels->packed);
    sonde__free(runtime, levels->cross);
    sonde__free(runtime, levels->book);
    sonde__free(runtime, levels->coarse);
    sonde__free(runtime, levels->coarse_memory);
    levels->codewords = levels->packed = levels->cross = NULL;
    levels->book = NULL;
    levels->coarse = NULL;
    levels->coarse_memory = NULL;
}

/* Packs the codewords of all levels once more, with the biases of their own books. */
static void sums_prepare_joint(sonde__levels *levels)
{
    int64_t m = levels->m, k = levels->k, dim = levels->dim;
    float *packed = levels->packed + m * sonde__codebook_floats(k, dim);
    sonde__codebook_prepare(&levels->joint, levels->codewords, dim, m * k, dim, false, packed);
    float *bias = packed + (levels->joint.bias - levels->joint.panel);
    for (int64_t l = 0; l < m; l++) memcpy(bias + l * k, levels->book[l].bias, (size_t)k * sizeof *bias);
}

sonde_status sonde__levels_prepare(sonde_runtime *runtime, int threads, sonde__levels *levels, int64_t level,
                                   const double *prices)
{
    int64_t k = levels->k, dim = levels->dim;
    const float *codewords = sonde__levels_codewords(levels, level);
    float *packed = levels->packed + level * sonde__codebook_floats(k, dim);
    sonde__codebook *book = &levels->book[level];
    sonde__codebook_prepare(book, codewords, dim, k, dim, false, packed);
    float *bias = packed + (book->bias - book->panel);
    for (int64_t c = 0; prices && c < k; c++) bias[c] += (float)(prices[c] / 2);
    if (levels->coarse)
        sonde__coarse_prepare(&levels->coarse[level], codewords, bias, k, dim,
                              levels->coarse_memory + level * sonde__coarse_bytes(k, dim));
    if (level == levels->m - 1 && sums_joint_floats(levels) > 0) sums_prepare_joint(levels);
    if (!levels->cross || level == 0) return SONDE_OK;
    float *cross = sums_cross(levels, level);
    SONDE_TRY(sonde__gemm_nt(runtime, threads, level * k, k, dim, levels->codewords, dim, codewords, dim,
                             cross, k));
    for (int64_t i = 0; i < level * k * k; i++) cross[i] = -cross[i];
    return SONDE_OK;
}

void sonde__levels_rest(const sonde__levels *levels, const float *x, const uint16_t *code, int64_t count,
                        float *rest)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    memcpy(rest, x, (size_t)levels->dim * sizeof *rest);
    for (int64_t j = 0; j < count; j++)
        kernels->axpy(-1, sonde__levels_codewords(levels, j) + code[j] * levels->dim, levels->dim, rest);
}

/* ---- encoding: one level by beam ------------------------------------------------------------------------------- */

/* Partial sums of a block of rows: beam of them a row, the best first. Only the first sums_live(l) count at
 * level l. */
struct sums_beams {
    uint16_t *code; /* n x beam x m */
    float *score;   /* n x beam: minus half the squared distance, up to what all of a row share */
};

/* How many different sums of `level` codewords are followed. */
static int64_t sums_live(const sonde__levels *levels, int64_t level)
{
    int64_t live = 1;
    for (int64_t j = 0; j < level && live < levels->beam; j++) live *= levels->k;
    return sonde__min_i64(live, levels->beam);
}

/* Rows that are taken together, so that gains and residuals stay small. */
static int64_t sums_block(const sonde__levels *levels)
{
    int64_t each = levels->cross ? levels->m * levels->k : levels->beam * (levels->k + levels->dim);
    return sonde__max_i64(1, sonde__min_i64(LEVELS_ROWS, LEVELS_GAINS / each));
}

/* out (n x k) = product with each codeword + its bias. */
static void sums_products(const sonde__codebook *book, const float *rows, int64_t ldr, int64_t n, float *out)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    float tile[LEVELS_ROWS * SONDE__LANES_MAX];
    int64_t lanes = kernels->lanes;
    for (int64_t first = 0; first < n; first += LEVELS_ROWS) {
        int64_t count = sonde__min_i64(LEVELS_ROWS, n - first);
        for (int64_t p = 0; p < book->panels; p++) {
            int64_t used = sonde__min_i64(lanes, book->k - p * lanes);
            const float *bias = book->bias + p * lanes;
            kernels->tile_f32(book->panel + p * book->d * lanes, rows + first * ldr,
                              ldr * (int64_t)sizeof(float), count, book->d, tile);
            for (int64_t i = 0; i < count; i++)
                for (int64_t lane = 0; lane < used; lane++)
                    out[(first + i) * book->k + p * lanes + lane] = tile[i * lanes + lane] + bias[lane];
        }
    }
}

/* The best continuations of a row's partial sums so far, best first; `place` is (sum, codeword) in rows of k. */
struct sums_best {
    int64_t count;
    struct sums_scored {
        float score;
        int32_t place;
    } at[SONDE__LEVELS_BEAM_MOST];
};

/* Equal scores keep the order in which they come: earlier sums first, then lower codewords. */
static void sums_insert(struct sums_best *best, int64_t keep, struct sums_scored scored)
{
    int64_t i = best->count < keep ? best->count++ : keep - 1;
    for (; i > 0 && best->at[i - 1].score < scored.score; i--) best->at[i] = best->at[i - 1];
    best->at[i] = scored;
}

/* The largest of each of `columns` columns of n scores. */
static inline void sums_columns(const float *score, int64_t n, int columns, float *most)
{
    for (int c = 0; c < columns; c++) most[c] = -INFINITY;
    for (; n >= columns; n -= columns, score += columns)
        for (int c = 0; c < columns; c++) most[c] = score[c] > most[c] ? score[c] : most[c];
    for (int64_t c = 0; c < n; c++) most[c] = score[c] > most[c] ? score[c] : most[c];
}

/* The value that `keep` of LEVELS_FEW values reach. */
static float sums_level_of_few(const float *values, int64_t keep)
{
    int32_t reach[LEVELS_FEW] = {0};
    float level = -INFINITY;
    for (int i = 0; i < LEVELS_FEW; i++)
        for (int c = 0; c < LEVELS_FEW; c++) reach[c] += values[i] >= values[c];
    for (int c = 0; c < LEVELS_FEW; c++) level = reach[c] >= keep && values[c] > level ? values[c] : level;
    return level;
}

/* A score that at least `keep` of n scores reach: each column of them has its own largest. */
static float sums_threshold(const float *score, int64_t n, int64_t keep)
{
    float most[LEVELS_COLUMNS];
    if (2 * keep <= LEVELS_FEW) {
        sums_columns(score, n, LEVELS_FEW, most);
        return sums_level_of_few(most, keep);
    }
    int columns = 4 * keep <= LEVELS_COLUMNS ? LEVELS_COLUMNS / 2 : LEVELS_COLUMNS;
    if (columns < LEVELS_COLUMNS) sums_columns(score, n, LEVELS_COLUMNS / 2, most); /* all in registers */
    else sums_columns(score, n, LEVELS_COLUMNS, most);
    return sonde__kernels_get()->kth_largest(most, columns, keep);
}

/* Asks for the tables of the next row's partial sums: they lie in the second or third cache. */
static void sums_prefetch(const sonde__levels *levels, int64_t level, int64_t live, const uint16_t *code)
{
    int64_t k = levels->k;
    for (int64_t b = 0; b < live; b++)
        for (int64_t j = 0; j < level; j++) {
            const float *row = sums_cross(levels, level) + (j * k + code[b * levels->m + j]) * k;
            for (int64_t c = 0; c < k; c += 16) __builtin_prefetch(row + c);
        }
}

/* Replaces a row's partial sums by their best continuations. Where rows are so large that products overflow,
 * there may be none: such a row gets some code rather than none. */
static void sums_replace(const sonde__levels *levels, int64_t level, const struct sums_best *best,
                         int64_t keep, uint16_t *code, float *score, uint16_t *old)
{
    static const struct sums_scored none = {-INFINITY, 0};
    int32_t k = (int32_t)levels->k; /* fits, and divides faster */
    int64_t m = levels->m;
    memcpy(old, code, (size_t)(levels->beam * m) * sizeof *old);
    for (int64_t b = 0; b < keep; b++) {
        const struct sums_scored *scored = b < best->count ? &best->at[b] : &none;
        memcpy(code + b * m, old + scored->place / k * m, (size_t)level * sizeof *code);
        code[b * m + level] = (uint16_t)(scored->place % k);
        score[b] = scored->score;
    }
}

/* What a block of rows needs while it goes through the levels. */
struct sums_work {
    float *products, *score, *rest;
    uint16_t *old;
    bool joint; /* products of all levels are made at once */
    /* With a first look: */
    sonde__coarse_rows images;
    bool *full;  /* rows whose products are made in f32 at once, because too many codewords were near the best */
    float *more;    /* k: what the f32 product of a codeword adds to the first one */
    uint8_t *known; /* k: whether it is there */
};

static sonde_status sums_work_take(sonde__scratch *scratch, const sonde__levels *levels, bool joint,
                                   struct sums_work *work)
{
    int64_t rows = sums_block(levels), sums = levels->cross ? rows : rows * levels->beam;
    work->joint = joint;
    SONDE_TRY(SONDE_SCRATCH(scratch, work->products, sums * levels->k * (joint ? levels->m : 1)));
    SONDE_TRY(SONDE_SCRATCH(scratch, work->score, levels->beam * levels->k));
    SONDE_TRY(SONDE_SCRATCH(scratch, work->old, levels->beam * levels->m));
    work->rest = NULL;
    work->full = NULL;
    return levels->cross ? SONDE_OK : SONDE_SCRATCH(scratch, work->rest, sums * levels->dim);
}

/* What a first look needs. */
static sonde_status sums_look_take(sonde__scratch *scratch, const sonde__levels *levels, struct sums_work *work)
{
    int64_t rows = sums_block(levels);
    SONDE_TRY(SONDE_SCRATCH(scratch, work->images.images, rows * levels->dim));
    SONDE_TRY(SONDE_SCRATCH(scratch, work->images.what, rows));
    SONDE_TRY(SONDE_SCRATCH(scratch, work->more, levels->k));
    SONDE_TRY(SONDE_SCRATCH(scratch, work->known, levels->k));
    return SONDE_SCRATCH(scratch, work->full, rows);
}

/* Begins a block: rows that whole numbers do not catch go without a first look. */
static void sums_look_begin(const sonde__levels *levels, const float *x, int64_t ldx, int64_t n,
                            const struct sums_work *work)
{
    sonde__coarse_round(x, ldx, n, levels->dim, &work->images);
    for (int64_t i = 0; i < n; i++) {
        const sonde__quantised *what = &work->images.what[i];
        work->full[i] = !(LEVELS_CAUGHT * what->lost <= what->length);
    }
}

/* The first products of a block, and those in f32 of the rows that need all of them. */
static void sums_look(const sonde__levels *levels, int64_t level, const float *x, int64_t ldx, int64_t n,
                      const struct sums_work *work)
{
    int64_t k = levels->k, full = 0;
    for (int64_t i = 0; i < n; i++) full += work->full[i];
    if (full < n) sonde__coarse_products(&levels->coarse[level], &work->images, n, work->products);
    for (int64_t i = 0, run; i < n; i += run) {
        for (run = 0; i + run < n && work->full[i + run];) run++;
        sums_products(&levels->book[level], x + i * ldx, ldx, run, work->products + i * k);
        run += run == 0;
    }
}

/* The products of a level (of all, if joint) with the rows, or with what each partial sum leaves of them. */
static void sums_multiply(const sonde__levels *levels, int64_t level, const float *x, int64_t ldx, int64_t n,
                          const struct sums_beams *beams, const struct sums_work *work)
{
    int64_t live = sums_live(levels, level), dim = levels->dim;
    if (levels->cross) {
        const sonde__codebook *book = work->joint ? &levels->joint : &levels->book[level];
        if (work->full) sums_look(levels, level, x, ldx, n, work);
        else if (!work->joint || level == 0) sums_products(book, x, ldx, n, work->products);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t b = 0; b < live; b++)
            sonde__levels_rest(levels, x + i * ldx, beams->code + (i * levels->beam + b) * levels->m, level,
                               work->rest + (i * live + b) * dim);
    sums_products(&levels->book[level], work->rest, dim, n * live, work->products);
}

/* The products of a row with the codewords of a level. */
static const float *sums_row_products(const sonde__levels *levels, int64_t level, int64_t row,
                                      const struct sums_work *work)
{
    int64_t k = levels->k;
    return work->joint ? work->products + (row * levels->m + level) * k : work->products + row * k;
}

/* The scores of all continuations of a row's partial sums (live x k), in work->score: base, product with the
 * row, and products with the codewords of the sum. */
static void sums_scores(const sonde__levels *levels, int64_t level, int64_t row, const struct sums_beams *beams,
                        const struct sums_work *work)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    int64_t m = levels->m, k = levels->k, live = sums_live(levels, level);
    const uint16_t *code = beams->code + row * levels->beam * m;
    const float *base = beams->score + row * levels->beam;
    if (levels->cross) {
        kernels->chain_sums(sums_row_products(levels, level, row, work), sums_cross(levels, level), code, m, live,
                            level, k, base, work->score);
        return;
    }
    for (int64_t b = 0; b < live; b++)
        kernels->chain_sums(work->products + (row * live + b) * k, NULL, code, m, 1, 0, k, base + b,
                            work->score + b * k);
}

/* The second look at a row: where its first products are, and how many codewords had another one in f32. */
struct sums_second {
    const sonde__levels *levels;
    int64_t level;
    const float *x, *products;
    const struct sums_work *work;
    int64_t codewords;
};

/* Multiplies the row in f32 with the codewords of these continuations that have not been looked at. */
static void sums_look_again(struct sums_second *second, int64_t first, const int32_t *positions, int64_t count)
{
    const sonde__levels *levels = second->levels;
    const float *bias = levels->book[second->level].bias;
    int64_t dim = levels->dim, fresh = 0, offsets[LEVELS_SURVEY];
    int32_t codewords[LEVELS_SURVEY];
    float products[LEVELS_SURVEY];
    for (int64_t i = 0; i < count; i++) {
        int32_t c = (int32_t)(first + positions[i]) % (int32_t)levels->k;
        if (second->work->known[c]) continue;
        second->work->known[c] = 1;
        offsets[fresh] = c * dim * (int64_t)sizeof(float);
        codewords[fresh++] = c;
    }
    sonde__kernels_get()->ip_gather[SONDE__ROW_F32](second->x, sonde__levels_codewords(levels, second->level), offsets,
                                                    fresh, dim, products);
    for (int64_t i = 0; i < fresh; i++)
        second->work->more[codewords[i]] = products[i] + bias[codewords[i]] - second->products[codewords[i]];
    second->codewords += fresh;
}

/* The best of the scores of a row's continuations. Few pass the threshold; a second look (may be NULL) makes
 * their scores exact. */
static void sums_select(const float *score, int64_t n, float below, int64_t keep, struct sums_second *second,
                        struct sums_best *best)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    int32_t positions[LEVELS_SURVEY];
    best->count = 0;
    for (int64_t first = 0; first < n; first += LEVELS_SURVEY) {
        int64_t count = sonde__min_i64(LEVELS_SURVEY, n - first);
        int64_t passed = kernels->above(score + first, count, below, positions);
        if (second) sums_look_again(second, first, positions, passed);
        for (int64_t i = 0; i < passed; i++) {
            struct sums_scored scored = {score[first + positions[i]], (int32_t)first + positions[i]};
            if (second) scored.score += second->work->more[scored.place % (int32_t)second->levels->k];
            if (best->count < keep || scored.score > best->at[keep - 1].score) sums_insert(best, keep, scored);
        }
    }
}

/* The best continuations of a row, whose scores are there. */
static void sums_continue(const sonde__levels *levels, int64_t level, const float *x, int64_t row,
                          const struct sums_work *work, struct sums_best *best)
{
    int64_t k = levels->k, n = sums_live(levels, level) * k, keep = sums_live(levels, level + 1);
    float least = sums_threshold(work->score, n, keep);
    if (!work->full || work->full[row]) {
        sums_select(work->score, n, nextafterf(least, -INFINITY), keep, NULL, best);
        return;
    }
    struct sums_second second = {levels, level, x, work->products + row * k, work, 0};
    float margin = sonde__coarse_margin(&levels->coarse[level], &work->images.what[row]);
    memset(work->known, 0, (size_t)k);
    sums_select(work->score, n, nextafterf(least - margin, -INFINITY), keep, &second, best);
    work->full[row] = second.codewords > k / LEVELS_SECOND;
}

/* Takes a block of at most sums_block rows from `level` codewords to one more. */
static void sums_step(const sonde__levels *levels, int64_t level, const float *x, int64_t ldx, int64_t n,
                      const struct sums_beams *beams, const struct sums_work *work)
{
    int64_t live = sums_live(levels, level), keep = sums_live(levels, level + 1);
    sums_multiply(levels, level, x, ldx, n, beams, work);
    for (int64_t i = 0; i < n; i++) {
        uint16_t *code = beams->code + i * levels->beam * levels->m;
        float *score = beams->score + i * levels->beam;
        struct sums_best best;
        if (level == 0) score[0] = 0;
        if (levels->cross && i + 1 < n) sums_prefetch(levels, level, live, code + levels->beam * levels->m);
        sums_scores(levels, level, i, beams, work);
        sums_continue(levels, level, x + i * ldx, i, work, &best);
        sums_replace(levels, level, &best, keep, code, score, work->old);
    }
}

/* ---- encoding: all levels -------------------------------------------------------------------------------------- */

/* beam = 1: the nearest codeword to what is left, level by level. */
static void sums_greedy(const sonde__levels *levels, const float *x, int64_t ldx, int64_t n, float *rest,
                        uint16_t *codes)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    int64_t dim = levels->dim, m = levels->m;
    int32_t nearest[LEVELS_ROWS];
    for (int64_t i = 0; i < n; i++) memcpy(rest + i * dim, x + i * ldx, (size_t)dim * sizeof *rest);
    for (int64_t l = 0; l < m; l++) {
        const float *codewords = sonde__levels_codewords(levels, l);
        sonde__codebook_nearest(&levels->book[l], rest, dim, n, nearest);
        for (int64_t i = 0; i < n; i++) {
            codes[i * m + l] = (uint16_t)nearest[i];
            if (l + 1 < m) kernels->axpy(-1, codewords + nearest[i] * dim, dim, rest + i * dim);
        }
    }
}

static sonde_status sums_encode_greedy(const sonde__levels *levels, const float *x, int64_t ldx, int64_t n,
                                       uint16_t *codes, sonde__scratch *scratch)
{
    float *rest;
    SONDE_TRY(SONDE_SCRATCH(scratch, rest, LEVELS_ROWS * levels->dim));
    for (int64_t i = 0; i < n; i += LEVELS_ROWS)
        sums_greedy(levels, x + i * ldx, ldx, sonde__min_i64(LEVELS_ROWS, n - i), rest,
                    codes + i * levels->m);
    return SONDE_OK;
}

static sonde_status sums_encode_beam(const sonde__levels *levels, const float *x, int64_t ldx, int64_t n,
                                     uint16_t *codes, sonde__scratch *scratch)
{
    int64_t block = sums_block(levels), m = levels->m, beam = levels->beam;
    struct sums_beams beams;
    struct sums_work work;
    SONDE_TRY(SONDE_SCRATCH(scratch, beams.code, block * beam * m));
    SONDE_TRY(SONDE_SCRATCH(scratch, beams.score, block * beam));
    SONDE_TRY(sums_work_take(scratch, levels, levels->joint.panels > 0, &work));
    if (levels->coarse && levels->cross) SONDE_TRY(sums_look_take(scratch, levels, &work));
    memset(beams.code, 0, (size_t)(block * beam * m) * sizeof *beams.code);
    for (int64_t i = 0; i < n; i += block) {
        int64_t count = sonde__min_i64(block, n - i);
        if (work.full) sums_look_begin(levels, x + i * ldx, ldx, count, &work);
        for (int64_t l = 0; l < m; l++) sums_step(levels, l, x + i * ldx, ldx, count, &beams, &work);
        for (int64_t r = 0; r < count; r++)
            memcpy(codes + (i + r) * m, beams.code + r * beam * m, (size_t)m * sizeof *codes);
    }
    return SONDE_OK;
}

sonde_status sonde__levels_encode(sonde_runtime *runtime, const sonde__levels *levels, const float *x,
                                  int64_t ldx, int64_t n, uint16_t *codes)
{
    sonde__scratch *scratch = NULL;
    SONDE_TRY(sonde__scratch_take(runtime, &scratch));
    sonde_status status = levels->beam == 1 ? sums_encode_greedy(levels, x, ldx, n, codes, scratch)
                                            : sums_encode_beam(levels, x, ldx, n, codes, scratch);
    sonde__scratch_give(runtime, scratch);
    return status;
}

struct sums_encoding {
    sonde_runtime *runtime;
    const sonde__levels *levels;
    const float *x;
    uint16_t *codes;
};

static sonde_status sums_encode_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct sums_encoding *e = context;
    const sonde__levels *levels = e->levels;
    (void)worker;
    return sonde__levels_encode(e->runtime, levels, e->x + begin * levels->dim, levels->dim, end - begin,
                                e->codes + begin * levels->m);
}

sonde_status sonde__levels_encode_all(sonde_runtime *runtime, int threads, const sonde__levels *levels,
                                      const float *x, int64_t n, uint16_t *codes)
{
    struct sums_encoding e = {runtime, levels, x, codes};
    return sonde__parallel_for(runtime, threads, n, LEVELS_ROWS, "rq: codes", sums_encode_chunk, &e);
}

/* ---- training -------------------------------------------------------------------------------------------------- */

/* One training while it runs: partial sums of all rows, and what a level is clustered on. */
struct sums_run {
    sonde_runtime *runtime;
    sonde__levels *levels;
    const sonde__levels_training *training;
    struct sums_beams beams;
    int64_t copies;  /* partial sums of a row that a level is trained on, at most */
    float *rest;     /* n x copies x dim */
    float *turned;   /* the same along their principal directions; NULL: codewords do not widen */
    int32_t *labels; /* n; with balance only */
    int64_t level;
};

/* What partial sums of each row leave of it: of all that are followed, or of some where that would be very
 * many rows. A level meets any of them, so it is trained on any. */
static sonde_status sums_rest_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct sums_run *run = context;
    const sonde__levels *levels = run->levels;
    int64_t live = run->labels ? 1 : sums_live(levels, run->level);
    int64_t beam = run->labels ? 1 : levels->beam, copies = sonde__min_i64(live, run->copies);
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        sonde__rng rng;
        sonde__rng_start(&rng, run->training->kmeans.seed + (uint64_t)run->level, LEVELS_STREAM, (uint64_t)i);
        int64_t first = (int64_t)sonde__rng_below(&rng, (uint64_t)live);
        for (int64_t c = 0; c < copies; c++)
            sonde__levels_rest(levels, run->training->x + i * levels->dim,
                               run->beams.code + (i * beam + (first + c) % live) * levels->m, run->level,
                               run->rest + (i * copies + c) * levels->dim);
    }
    return SONDE_OK;
}

static sonde_status sums_step_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct sums_run *run = context;
    const sonde__levels *levels = run->levels;
    sonde__scratch *scratch = NULL;
    struct sums_work work;
    (void)worker;
    SONDE_TRY(sonde__scratch_take(run->runtime, &scratch));
    sonde_status status = sums_work_take(scratch, levels, false, &work);
    for (int64_t i = begin; status == SONDE_OK && i < end; i += sums_block(levels)) {
        struct sums_beams beams = {run->beams.code + i * levels->beam * levels->m,
                                   run->beams.score + i * levels->beam};
        sums_step(levels, run->level, run->training->x + i * levels->dim, levels->dim,
                  sonde__min_i64(sums_block(levels), end - i), &beams, &work);
    }
    sonde__scratch_give(run->runtime, scratch);
    return status;
}

/* The principal directions of rows, the widest first, as the rows of `directions`; the columns as they are
 * where the rows are too large for their products. */
static sonde_status sums_directions(const struct sums_run *run, int threads, int64_t rows, float *directions)
{
    int64_t d = run->levels->dim;
    double *moment = NULL, *vectors = NULL, *values = NULL;
    sonde_status status = SONDE_NEW(run->runtime, moment, d * d);
    bool finite = true;
    if (status == SONDE_OK) status = SONDE_NEW_ZERO(run->runtime, vectors, d * d);
    if (status == SONDE_OK) status = SONDE_NEW(run->runtime, values, d);
    if (status == SONDE_OK) status = sonde__gram(run->runtime, threads, rows, d, run->rest, d, NULL, moment);
    for (int64_t i = 0; status == SONDE_OK && i < d * d; i++) finite = finite && isfinite(moment[i]);
    if (status == SONDE_OK && finite)
        status = sonde__eigen_symmetric(run->runtime, d, moment, values, vectors);
    for (int64_t i = 0; !finite && i < d; i++) vectors[i * d + i] = 1;
    for (int64_t i = 0; status == SONDE_OK && i < d * d; i++) directions[i] = (float)vectors[i];
    sonde__free(run->runtime, moment);
    sonde__free(run->runtime, vectors);
    sonde__free(run->runtime, values);
    return status;
}

/* Columns in use at a step, 1 to LEVELS_WIDENINGS: they grow by the same factor, up to all. */
static int64_t sums_width(int64_t dim, int step)
{
    return step == LEVELS_WIDENINGS ? dim : (int64_t)pow((double)dim, (double)step / LEVELS_WIDENINGS);
}

/* Clusters rows along their first columns, then along more and more, each time from where the centroids are.
 */
static sonde_status sums_widen(const struct sums_run *run, const sonde__kmeans_options *options, int64_t rows,
                               float *start, float *centroids)
{
    const sonde__balance none = {.mode = SONDE__BALANCE_NONE};
    int64_t k = run->levels->k, dim = run->levels->dim, before = 0;
    for (int step = 1; step <= LEVELS_WIDENINGS; step++) {
        int64_t width = sums_width(dim, step);
        if (width == before) continue;
        memset(start, 0, (size_t)(k * width) * sizeof *start);
        for (int64_t c = 0; c < k; c++)
            memcpy(start + c * width, centroids + c * before, (size_t)before * sizeof *start);
        SONDE_TRY(sonde__kmeans_balanced(run->runtime, run->turned, dim, rows, width, options, &none,
                                         before > 0 ? start : NULL, centroids, NULL, NULL, NULL));
        before = width;
    }
    return SONDE_OK;
}

/* The codewords of a level, widening along the principal directions of what is left of the rows. */
static sonde_status sums_cluster_widening(const struct sums_run *run, const sonde__kmeans_options *options,
                                          int64_t rows)
{
    int64_t k = run->levels->k, d = run->levels->dim;
    float *codewords = sonde__levels_codewords(run->levels, run->level);
    float *directions = NULL, *start = NULL, *centroids = NULL;
    sonde_status status = SONDE_NEW(run->runtime, directions, d * d);
    if (status == SONDE_OK) status = SONDE_NEW(run->runtime, start, k * d);
    if (status == SONDE_OK) status = SONDE_NEW(run->runtime, centroids, k * d);
    if (status == SONDE_OK) status = sums_directions(run, options->threads, rows, directions);
    if (status == SONDE_OK)
        status = sonde__gemm_nt(run->runtime, options->threads, rows, d, d, run->rest, d, directions, d,
                                run->turned, d);
    if (status == SONDE_OK) status = sums_widen(run, options, rows, start, centroids);
    if (status == SONDE_OK)
        status = sonde__gemm_nn(run->runtime, options->threads, k, d, d, centroids, d, directions, d,
                                codewords, d);
    sonde__free(run->runtime, directions);
    sonde__free(run->runtime, start);
    sonde__free(run->runtime, centroids);
    return status;
}

/* The codewords of a level, from what is left of the rows. */
static sonde_status sums_cluster(const struct sums_run *run, const sonde__kmeans_options *options)
{
    const sonde__levels *levels = run->levels;
    int64_t rows = run->training->n * sonde__min_i64(run->copies, sums_live(levels, run->level));
    if (run->turned) return sums_cluster_widening(run, options, rows);
    return sonde__kmeans(run->runtime, run->rest, levels->dim, rows, levels->dim, options,
                         sonde__levels_codewords(levels, run->level), NULL);
}

/* The plain way: cluster, then each row follows its best sums one level further. */
static sonde_status sums_train_plain(struct sums_run *run, const sonde__kmeans_options *options)
{
    sonde__levels *levels = run->levels;
    SONDE_TRY(sums_cluster(run, options));
    SONDE_TRY(sonde__levels_prepare(run->runtime, options->threads, levels, run->level, NULL));
    return sonde__parallel_for(run->runtime, options->threads, run->training->n, LEVELS_ROWS, options->stage,
                               sums_step_chunk, run);
}

/* With balance: each row follows the group that the clustering gave it. */
static sonde_status sums_train_balanced(struct sums_run *run, const sonde__kmeans_options *options)
{
    sonde__levels *levels = run->levels;
    const sonde__levels_training *t = run->training;
    double *prices = t->prices + run->level * levels->k;
    SONDE_TRY(sonde__kmeans_balanced(run->runtime, run->rest, levels->dim, t->n, levels->dim, options,
                                     t->balance, NULL, sonde__levels_codewords(levels, run->level),
                                     run->labels, prices, NULL));
    for (int64_t i = 0; i < t->n; i++) run->beams.code[i * levels->m + run->level] = (uint16_t)run->labels[i];
    return sonde__levels_prepare(run->runtime, options->threads, levels, run->level,
                                 t->priced ? prices : NULL);
}

static sonde_status sums_train_all(struct sums_run *run)
{
    const sonde__levels_training *t = run->training;
    sonde__kmeans_options options = t->kmeans;
    for (run->level = 0; run->level < run->levels->m; run->level++, options.seed++) {
        SONDE_TRY(sonde__parallel_for(run->runtime, options.threads, t->n, LEVELS_ROWS, NULL, sums_rest_chunk,
                                      run));
        SONDE_TRY(t->balance ? sums_train_balanced(run, &options) : sums_train_plain(run, &options));
    }
    return SONDE_OK;
}

sonde_status sonde__levels_train(sonde_runtime *runtime, sonde__levels *levels,
                                 const sonde__levels_training *training)
{
    struct sums_run run = {.runtime = runtime, .levels = levels, .training = training};
    int64_t n = training->n, m = levels->m, beam = training->balance ? 1 : levels->beam;
    run.copies = sonde__max_i64(1, sonde__min_i64(beam, LEVELS_TRAINED / n));
    sonde_status status = SONDE_NEW(runtime, run.rest, n * run.copies * levels->dim);
    if (status == SONDE_OK && training->widen && levels->dim <= LEVELS_TURNED_MOST)
        status = SONDE_NEW(runtime, run.turned, n * run.copies * levels->dim);
    if (status == SONDE_OK) status = SONDE_NEW_ZERO(runtime, run.beams.code, n * beam * m);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, run.beams.score, n * beam);
    if (status == SONDE_OK && training->balance) status = SONDE_NEW(runtime, run.labels, n);
    if (status == SONDE_OK) status = sums_train_all(&run);
    for (int64_t i = 0; status == SONDE_OK && i < n; i++)
        memcpy(training->codes + i * m, run.beams.code + i * beam * m, (size_t)m * sizeof *training->codes);
    sonde__free(runtime, run.rest);
    sonde__free(runtime, run.turned);
    sonde__free(runtime, run.beams.code);
    sonde__free(runtime, run.beams.score);
    sonde__free(runtime, run.labels);
    return status;
}

/* ---- codes ----------------------------------------------------------------------------------------------------- */

/* Number j of a code, at most k - 1 even in a file that was opened without reading all of it. */
static int64_t sums_number(const sonde__levels *levels, const uint8_t *code, int64_t j)
{
    int64_t bit = j * levels->bits, byte = bit / 8;
    int shift = (int)(bit % 8);
    uint32_t value = code[byte];
    for (int b = 1; 8 * b < shift + levels->bits; b++) value |= (uint32_t)code[byte + b] << 8 * b;
    value = value >> shift & ((1u << levels->bits) - 1);
    return sonde__min_i64(value, levels->k - 1);
}

static void sums_pack(const sonde__levels *levels, const uint16_t *values, uint8_t *code)
{
    memset(code, 0, (size_t)sonde__codes_bytes(levels->m, levels->bits));
    for (int64_t j = 0; j < levels->m; j++) {
        int64_t bit = j * levels->bits;
        uint32_t value = (uint32_t)values[j] << bit % 8;
        for (uint8_t *byte = code + bit / 8; value > 0; value >>= 8) *byte++ |= (uint8_t)value;
    }
}

sonde_status sonde__levels_hook_encode(const sonde_quantizer *quantizer, const float *x, int64_t ldx,
                                       int64_t n, uint8_t *codes, int64_t stride)
{
    const sonde__levels *levels = quantizer->state;
    sonde__scratch *scratch = NULL;
    uint16_t *values;
    SONDE_TRY(sonde__scratch_take(quantizer->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, values, n * levels->m);
    if (status == SONDE_OK) status = sonde__levels_encode(quantizer->runtime, levels, x, ldx, n, values);
    for (int64_t i = 0; status == SONDE_OK && i < n; i++)
        sums_pack(levels, values + i * levels->m, codes + i * stride);
    sonde__scratch_give(quantizer->runtime, scratch);
    return status;
}

void sonde__levels_hook_decode(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride,
                               int64_t n, float *x, int64_t ldx)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    const sonde__levels *levels = quantizer->state;
    for (int64_t i = 0; i < n; i++) {
        memset(x + i * ldx, 0, (size_t)levels->dim * sizeof *x);
        for (int64_t j = 0; j < levels->m; j++) {
            int64_t number = sums_number(levels, codes + i * stride, j);
            kernels->axpy(1, sonde__levels_codewords(levels, j) + number * levels->dim, levels->dim,
                          x + i * ldx);
        }
    }
}

/* A number may have room for more values than there are codewords, and the last byte for more bits. */
bool sonde__levels_hook_valid(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride,
                              int64_t n)
{
    const sonde__levels *levels = quantizer->state;
    sonde__levels wide = *levels;
    wide.k = (int64_t)1 << levels->bits;
    for (int64_t i = 0; wide.k > levels->k && i < n; i++)
        for (int64_t j = 0; j < levels->m; j++)
            if (sums_number(&wide, codes + i * stride, j) >= levels->k) return false;
    return sonde__codes_padding_zero(codes, stride, n, levels->m, levels->bits);
}

/* ---- scanning -------------------------------------------------------------------------------------------------- */

/* The lookup kernels read tables of 16 or of 256 entries a level; wider numbers are looked up here. */
static int64_t sums_entries(const sonde__levels *levels)
{
    return levels->bits == 4 ? 16 : levels->bits <= 8 ? 256 : levels->k;
}

int64_t sonde__levels_hook_table_bytes(const sonde_quantizer *quantizer)
{
    const sonde__levels *levels = quantizer->state;
    return levels->m * sums_entries(levels) * (int64_t)sizeof(float);
}

void sonde__levels_hook_table(const sonde_quantizer *quantizer, const float *query, void *table)
{
    const sonde__levels *levels = quantizer->state;
    for (int64_t j = 0; j < levels->m; j++)
        sonde__codebook_products(&levels->book[j], query, (float *)table + j * sums_entries(levels));
}

static void sums_scan_wide(const sonde__levels *levels, const float *table, const uint8_t *codes,
                           int64_t stride, int64_t n, float *ip)
{
    for (int64_t i = 0; i < n; i++) {
        float sum = 0;
        for (int64_t j = 0; j < levels->m; j++)
            sum += table[j * levels->k + sums_number(levels, codes + i * stride, j)];
        ip[i] = sum;
    }
}

void sonde__levels_hook_scan(const sonde_quantizer *quantizer, const void *table, const uint8_t *codes,
                             int64_t stride, int64_t n, float *ip)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    const sonde__levels *levels = quantizer->state;
    sonde__codes_block block;
    if (levels->bits > 8) {
        sums_scan_wide(levels, table, codes, stride, n, ip);
        return;
    }
    if (levels->bits == 4) {
        kernels->lookup_4(table, codes, stride, n, levels->m, ip);
        return;
    }
    for (int64_t i = 0; i < n; i += block.count) {
        sonde__codes_open(&block, codes + i * stride, stride, n - i, levels->m, levels->bits);
        kernels->lookup_8(table, block.rows, block.stride, block.count, levels->m, ip + i);
    }
}

uint64_t sonde__levels_hook_learned_bytes(const sonde_quantizer *quantizer)
{
    return sonde__levels_bytes(quantizer->state);
}

const sonde__levels *sonde__levels_of(const sonde_quantizer *quantizer)
{
    bool sums = quantizer->method->encode == sonde__levels_hook_encode;
    return sums && quantizer->trained ? quantizer->state : NULL;
}
