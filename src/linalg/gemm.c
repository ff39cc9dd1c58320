/* gemm.c: matrix products on the tile kernel.
 *
 * One side of the product is packed into panels of `lanes` vectors (the smaller side where there is a choice), the
 * other is read as it lies. The work is cut into blocks of GEMM_ROWS rows against GEMM_FLOATS of panels: both stay in
 * the L2 cache while they are multiplied. Blocks run in parallel; each entry is computed by one call of the kernel in
 * one order, so threads change nothing.
 *
 *   out(row r, vector p) goes to c[r * row_step + p * lane_step]
 *
 * Up to GEMM_FEW vectors are not worth a panel and go through the inner-product kernel.
 *
 * The Gram matrix is wanted in double. Sums over GRAM_DEPTH rows are taken in f32 by the kernel and added up in
 * double; only panels on and below the diagonal are computed.
 *
 * Cost: 2 m n k flop at the speed of the tile kernel, and a copy of the packed side. Where only the generic kernels run
 * and a BLAS is there (-DSONDE_BLAS), it is faster than they are and is called on the caller's thread.
 *
 * SPDX-License-Identifier: MIT
 */
#include "linalg/linalg.h"

enum {
    GEMM_FEW = 3,
    GEMM_FEW_GRAIN = 1024,
    GEMM_ROWS = 64,
    GEMM_FLOATS = 1 << 16,
    GEMM_PACK_GRAIN = 8,
    GRAM_DEPTH = 256,
    GRAM_DEPTHS_MOST = 16,
    GRAM_FLOATS = 1 << 21
};

/* ---- an outside BLAS -------------------------------------------------------------------------------------------- */

#ifdef SONDE_BLAS

enum { BLAS_ROW_MAJOR = 101, BLAS_AS_IT_IS = 111, BLAS_TRANSPOSED = 112 };

void cblas_sgemm(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float *a,
                 int lda, const float *b, int ldb, float beta, float *c, int ldc);

/* Where our kernels are the better ones, or a size does not fit the 32 bits of the interface: false, nothing is done. */
static bool blas_product(bool b_transposed, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda,
                         const float *b, int64_t ldb, float *c, int64_t ldc)
{
    int64_t largest = sonde__max_i64(sonde__max_i64(m, n), sonde__max_i64(lda, sonde__max_i64(ldb, ldc)));
    if (strcmp(sonde__kernels_get()->name, "generic") != 0 || largest > INT32_MAX || k < 1) return false;
    cblas_sgemm(BLAS_ROW_MAJOR, BLAS_AS_IT_IS, b_transposed ? BLAS_TRANSPOSED : BLAS_AS_IT_IS, (int)m, (int)n,
                (int)k, 1, a, (int)lda, b, (int)ldb, 0, c, (int)ldc);
    return true;
}

#else

static bool blas_product(bool b_transposed, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda,
                         const float *b, int64_t ldb, float *c, int64_t ldc)
{
    (void)b_transposed, (void)m, (void)n, (void)k, (void)a, (void)lda, (void)b, (void)ldb, (void)c, (void)ldc;
    return false;
}

#endif

/* ---- products --------------------------------------------------------------------------------------------------- */

typedef struct gemm_work {
    int64_t depth; /* length of the inner products */
    int64_t vectors, panel_count, lanes;
    const float *unpacked; /* the side that is packed: vectors as rows, or (by_columns) as columns */
    int64_t unpacked_ld;
    bool by_columns;
    float *panels;
    const float *rows;
    int64_t row_count, rows_ld;
    int64_t row_blocks, panel_step; /* a block of work: GEMM_ROWS rows, panel_step panels */
    float *c;
    int64_t row_step, lane_step;
} gemm_work;

/* A column of b is a lane, so a row of b is copied as it lies: packing without transposing. */
static void gemm_pack_columns(const gemm_work *work, int64_t first, int64_t used, float *panel)
{
    for (int64_t t = 0; t < work->depth; t++) {
        memcpy(panel + t * work->lanes, work->unpacked + t * work->unpacked_ld + first,
               (size_t)used * sizeof *panel);
        memset(panel + t * work->lanes + used, 0, (size_t)(work->lanes - used) * sizeof *panel);
    }
}

static sonde_status gemm_pack(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    const gemm_work *work = context;
    for (int64_t p = begin; p < end; p++) {
        int64_t first = p * work->lanes, used = sonde__min_i64(work->lanes, work->vectors - first);
        float *panel = work->panels + first * work->depth;
        if (work->by_columns) gemm_pack_columns(work, first, used, panel);
        else
            sonde__pack_rows(work->unpacked + first * work->unpacked_ld,
                             work->unpacked_ld * (int64_t)sizeof(float), used, work->depth, work->lanes, panel);
    }
    return SONDE_OK;
}

/* Lanes lie side by side in c if b was packed, and a row apart if a was. */
static void gemm_store(const gemm_work *work, const float *tile, int64_t row, int64_t count, int64_t first,
                       int64_t used)
{
    for (int64_t r = 0; r < count; r++) {
        const float *from = tile + r * work->lanes;
        float *to = work->c + (row + r) * work->row_step + first * work->lane_step;
        if (work->lane_step == 1) memcpy(to, from, (size_t)used * sizeof *to);
        else
            for (int64_t lane = 0; lane < used; lane++) to[lane * work->lane_step] = from[lane];
    }
}

/* Blocks with the same panels follow each other. */
static sonde_status gemm_blocks(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    const gemm_work *work = context;
    float tile[GEMM_ROWS * SONDE__LANES_MAX];
    for (int64_t block = begin; block < end; block++) {
        int64_t row = block % work->row_blocks * GEMM_ROWS,
                count = sonde__min_i64(GEMM_ROWS, work->row_count - row);
        int64_t p = block / work->row_blocks * work->panel_step;
        int64_t last = sonde__min_i64(p + work->panel_step, work->panel_count);
        for (; p < last; p++) {
            int64_t first = p * work->lanes;
            sonde__kernels_get()->tile_f32(work->panels + first * work->depth, work->rows + row * work->rows_ld,
                                           work->rows_ld * (int64_t)sizeof(float), count, work->depth, tile);
            gemm_store(work, tile, row, count, first, sonde__min_i64(work->lanes, work->vectors - first));
        }
    }
    return SONDE_OK;
}

/* A panel of one or two vectors would be mostly padding: these are multiplied with the rows one by one. */
static sonde_status gemm_few(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    const gemm_work *work = context;
    float out[GEMM_ROWS];
    for (int64_t row = begin; row < end; row += GEMM_ROWS) {
        int64_t count = sonde__min_i64(GEMM_ROWS, end - row);
        for (int64_t v = 0; v < work->vectors; v++) {
            sonde__kernels_get()->ip_rows[SONDE__ROW_F32](
                work->unpacked + v * work->unpacked_ld, work->rows + row * work->rows_ld,
                work->rows_ld * (int64_t)sizeof(float), count, work->depth, out);
            float *to = work->c + row * work->row_step + v * work->lane_step;
            for (int64_t i = 0; i < count; i++) to[i * work->row_step] = out[i];
        }
    }
    return SONDE_OK;
}

/* Fills in what follows from the two sides, packs, multiplies. */
static sonde_status gemm_run(sonde_runtime *runtime, int threads, gemm_work *work)
{
    if (work->vectors == 0 || work->row_count == 0) return SONDE_OK;
    if (work->vectors <= GEMM_FEW && !work->by_columns)
        return sonde__parallel_for(runtime, threads, work->row_count, GEMM_FEW_GRAIN, NULL, gemm_few, work);
    work->lanes = sonde__kernels_get()->lanes;
    work->panel_count = (work->vectors + work->lanes - 1) / work->lanes;
    work->panel_step = sonde__max_i64(1, GEMM_FLOATS / (work->lanes * sonde__max_i64(1, work->depth)));
    work->row_blocks = (work->row_count + GEMM_ROWS - 1) / GEMM_ROWS;
    int64_t steps = (work->panel_count + work->panel_step - 1) / work->panel_step;
    sonde__scratch *scratch;
    SONDE_TRY(sonde__scratch_take(runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, work->panels, work->panel_count * work->lanes * work->depth);
    if (status == SONDE_OK)
        status = sonde__parallel_for(runtime, threads, work->panel_count, GEMM_PACK_GRAIN, NULL, gemm_pack, work);
    if (status == SONDE_OK)
        status = sonde__parallel_for(runtime, threads, steps * work->row_blocks, 1, NULL, gemm_blocks, work);
    sonde__scratch_give(runtime, scratch);
    return status;
}

sonde_status sonde__gemm_nt(sonde_runtime *runtime, int threads, int64_t m, int64_t n, int64_t k,
                            const float *a, int64_t lda, const float *b, int64_t ldb, float *c, int64_t ldc)
{
    if (blas_product(true, m, n, k, a, lda, b, ldb, c, ldc)) return SONDE_OK;
    gemm_work work = {.depth = k, .c = c};
    if (n <= m) {
        work.unpacked = b, work.unpacked_ld = ldb, work.vectors = n, work.lane_step = 1;
        work.rows = a, work.rows_ld = lda, work.row_count = m, work.row_step = ldc;
    } else {
        work.unpacked = a, work.unpacked_ld = lda, work.vectors = m, work.lane_step = ldc;
        work.rows = b, work.rows_ld = ldb, work.row_count = n, work.row_step = 1;
    }
    return gemm_run(runtime, threads, &work);
}

sonde_status sonde__gemm_nn(sonde_runtime *runtime, int threads, int64_t m, int64_t n, int64_t k,
                            const float *a, int64_t lda, const float *b, int64_t ldb, float *c, int64_t ldc)
{
    if (blas_product(false, m, n, k, a, lda, b, ldb, c, ldc)) return SONDE_OK;
    gemm_work work = {.depth = k, .c = c, .by_columns = true};
    work.unpacked = b, work.unpacked_ld = ldb, work.vectors = n, work.lane_step = 1;
    work.rows = a, work.rows_ld = lda, work.row_count = m, work.row_step = ldc;
    return gemm_run(runtime, threads, &work);
}

/* ---- Gram ------------------------------------------------------------------------------------------------------- */

typedef struct gram_work {
    int64_t n, d, ldx, lanes;
    const float *x, *mean;
    int64_t first;  /* row at which this batch begins */
    int64_t depths; /* pieces of GRAM_DEPTH rows in this batch */
    float *turned;  /* piece, column, row: depths x d x GRAM_DEPTH */
    float *panels;  /* one for each worker */
    double *c;
} gram_work;

static int64_t gram_rows(const gram_work *work, int64_t piece)
{
    return sonde__min_i64(GRAM_DEPTH, work->n - work->first - piece * GRAM_DEPTH);
}

/* Centres the rows of a piece and turns them, so that columns become rows for the kernel. */
static sonde_status gram_turn(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    const gram_work *work = context;
    for (int64_t piece = begin; piece < end; piece++) {
        float *to = work->turned + piece * work->d * GRAM_DEPTH;
        int64_t rows = gram_rows(work, piece);
        const float *from = work->x + (work->first + piece * GRAM_DEPTH) * work->ldx;
        for (int64_t j = 0; j < work->d; j++) {
            float mean = work->mean ? work->mean[j] : 0;
            for (int64_t i = 0; i < rows; i++) to[j * GRAM_DEPTH + i] = from[i * work->ldx + j] - mean;
        }
    }
    return SONDE_OK;
}

/* The sums of one piece, from f32 to double. Lanes beyond d are padding. */
static void gram_add(const gram_work *work, const float *tile, int64_t row, int64_t count, int64_t first)
{
    int64_t used = sonde__min_i64(work->lanes, work->d - first);
    for (int64_t r = 0; r < count; r++) {
        double *to = work->c + (row + r) * work->d + first;
        for (int64_t lane = 0; lane < used; lane++) to[lane] += (double)tile[r * work->lanes + lane];
    }
}

/* The columns of one panel, from the panel's own rows downwards, over all pieces of the batch. */
static sonde_status gram_panels(void *context, int64_t begin, int64_t end, int worker)
{
    const gram_work *work = context;
    const sonde__kernels *kernels = sonde__kernels_get();
    const int64_t stride = GRAM_DEPTH * (int64_t)sizeof(float);
    float tile[GEMM_ROWS * SONDE__LANES_MAX], *panel = work->panels + worker * work->lanes * GRAM_DEPTH;
    for (int64_t first = begin * work->lanes; first < sonde__min_i64(work->d, end * work->lanes);
         first += work->lanes) {
        for (int64_t piece = 0; piece < work->depths; piece++) {
            const float *turned = work->turned + piece * work->d * GRAM_DEPTH;
            int64_t rows = gram_rows(work, piece);
            sonde__pack_rows(turned + first * GRAM_DEPTH, stride, sonde__min_i64(work->lanes, work->d - first),
                             rows, work->lanes, panel);
            for (int64_t row = first; row < work->d; row += GEMM_ROWS) {
                int64_t count = sonde__min_i64(GEMM_ROWS, work->d - row);
                kernels->tile_f32(panel, turned + row * GRAM_DEPTH, stride, count, rows, tile);
                gram_add(work, tile, row, count, first);
            }
        }
    }
    return SONDE_OK;
}

/* A batch is turned completely before it is multiplied: every panel needs every column. */
static sonde_status gram_batches(sonde_runtime *runtime, int threads, gram_work *work, int64_t depths_most)
{
    int64_t panels = (work->d + work->lanes - 1) / work->lanes;
    for (; work->first < work->n; work->first += depths_most * GRAM_DEPTH) {
        work->depths = sonde__min_i64(depths_most, (work->n - work->first + GRAM_DEPTH - 1) / GRAM_DEPTH);
        SONDE_TRY(sonde__parallel_for(runtime, threads, work->depths, 1, NULL, gram_turn, work));
        SONDE_TRY(sonde__parallel_for(runtime, threads, panels, 1, NULL, gram_panels, work));
    }
    return SONDE_OK;
}

sonde_status sonde__gram(sonde_runtime *runtime, int threads, int64_t n, int64_t d, const float *x, int64_t ldx,
                         const float *mean, double *c)
{
    gram_work work = {
        .n = n, .d = d, .ldx = ldx, .x = x, .mean = mean, .c = c, .lanes = sonde__kernels_get()->lanes};
    int64_t depths_most = sonde__max_i64(1, sonde__min_i64(GRAM_DEPTHS_MOST, GRAM_FLOATS / (d * GRAM_DEPTH)));
    int workers = sonde__parallel_workers(runtime, threads, (d + work.lanes - 1) / work.lanes, 1);
    memset(c, 0, (size_t)(d * d) * sizeof *c);
    sonde_status status = SONDE_NEW(runtime, work.turned, depths_most * d * GRAM_DEPTH);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, work.panels, workers * work.lanes * GRAM_DEPTH);
    if (status == SONDE_OK) status = gram_batches(runtime, threads, &work, depths_most);
    for (int64_t i = 0; i < d; i++)
        for (int64_t j = i + 1; j < d; j++) c[i * d + j] = c[j * d + i];
    sonde__free(runtime, work.panels);
    sonde__free(runtime, work.turned);
    return status;
}
