/* pq.c: product quantization: a row is cut into m parts, and each part is replaced by one of the 2^bits
 * centroids that k-means found for that part: the nearest, or the one that a score-aware loss prefers.
 * (Jegou, Douze, Schmid 2011.)
 *
 * Part j covers columns j * dim / m .. (j + 1) * dim / m. Where m does not divide dim (pad=yes) parts differ
 * by one column; the shorter ones are stored with a zero column at the end.
 *
 *     centroids: m x 2^bits x width floats     code: m values of `bits` bits, packed as codes.h says
 *
 * Scan: a table of the products of each query part with each centroid, then m lookups and additions a code.
 * Parts of 1, 2 and 4 bits are looked up in fours of bits, which is also what fast scan takes; parts of up to
 * 8 bits as bytes. A batch of queries decodes a block of rows and multiplies: that is faster than m lookups a
 * query for tables that leave L1. Cost: training m k-means of `sample` rows; encoding 2^bits dim
 * multiply-adds a row; memory 2 x 4 x 2^bits dim bytes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "quantizers/pq.h"

#include "base/handle.h"
#include "kernels/kernels.h"

#define PQ_ENCODE_ROWS 256
#define PQ_BLOCK_FLOATS 16384 /* reconstructions that are made at a time, on the stack */
_Static_assert(PQ_BLOCK_FLOATS >= 2 * SONDE__PQ_FRAME_DIM, "a block holds two rows");

/* ---- the number of parts --------------------------------------------------------------------------------------- */

static int64_t pq_miss(int64_t columns) { return columns < 8 ? 8 - columns : columns - 8; }

/* The divisor of dim whose parts have nearest to 8 columns; of two as near, the one with more parts. */
static int64_t pq_auto_parts(int64_t dim)
{
    int64_t best = 1;
    for (int64_t columns = 2; columns <= dim; columns++)
        if (dim % columns == 0 && pq_miss(columns) < pq_miss(best)) best = columns;
    return dim / best;
}

/* Names the divisors on both sides; 1 and dim always are. */
static sonde_status pq_no_divisor(int64_t m, int64_t dim)
{
    int64_t below = m, above = m;
    while (dim % below != 0) below--;
    while (dim % above != 0) above++;
    return sonde__fail(SONDE_INVALID_ARGUMENT,
                       "pq: m=%lld does not divide dim=%lld; nearest that do: %lld, %lld "
                       "(or give pad=yes)",
                       (long long)m, (long long)dim, (long long)below, (long long)above);
}

static sonde_status pq_parts(const sonde__params *params, int64_t dim, int64_t *parts)
{
    int64_t m = *parts;
    bool pad = sonde__param_is(params, "pad", "yes");
    if (m == 0) m = sonde__param_int(params, "m");
    if (m == 0) m = pad ? (dim + 7) / 8 : pq_auto_parts(dim);
    if (m > dim)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "pq: m=%lld is more than dim=%lld", (long long)m,
                           (long long)dim);
    if (dim % m != 0 && !pad) return pq_no_divisor(m, dim);
    *parts = m;
    return SONDE_OK;
}

/* ---- making and freeing ---------------------------------------------------------------------------------------- */

static bool pq_loss_is(const sonde__pq *pq, const char *loss)
{
    return sonde__param_is(pq->params, "loss", loss);
}

/* Whether training can put a map in front. */
static bool pq_framed(const sonde__pq *pq)
{
    return pq->rotation || pq_loss_is(pq, "moment") || pq_loss_is(pq, "auto");
}

sonde_status sonde__pq_make(sonde_runtime *runtime, const sonde__params *params, int64_t dim, int64_t m,
                            int64_t bits, sonde__pq **made)
{
    SONDE_TRY(pq_parts(params, dim, &m));
    sonde__pq *pq = sonde__alloc_zero(runtime, 1, sizeof *pq + (uint64_t)m * sizeof pq->book[0]);
    if (!pq) return sonde__last_status();
    pq->runtime = runtime;
    pq->params = params;
    pq->dim = dim;
    pq->m = m;
    pq->bits = (int)(bits ? bits : sonde__param_int(params, "bits"));
    pq->k = (int64_t)1 << pq->bits;
    pq->width = (dim + m - 1) / m;
    pq->even = dim % m == 0;
    pq->learned.eta = 1;
    *made = pq;
    return SONDE_OK;
}

void sonde__pq_learned_drop(sonde_runtime *runtime, sonde__pq_learned *learned)
{
    sonde__free(runtime, learned->centroids);
    sonde__pq_frame_drop(runtime, &learned->frame);
    *learned = (sonde__pq_learned){.eta = 1};
}

void sonde__pq_free(sonde__pq *pq)
{
    if (!pq) return;
    sonde__pq_learned_drop(pq->runtime, &pq->learned);
    sonde__free(pq->runtime, pq->packed);
    sonde__free(pq->runtime, pq->turned);
    sonde__free(pq->runtime, pq);
}

static sonde_status pq_frame_fits(const sonde__pq *pq)
{
    if (pq->dim <= SONDE__PQ_FRAME_DIM || !pq_framed(pq)) return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT,
                       "%s: dim=%lld is more than %d, the most for a map of dim x dim numbers",
                       pq->rotation ? "opq" : "pq: loss", (long long)pq->dim, SONDE__PQ_FRAME_DIM);
}

sonde_status sonde__pq_attach(sonde_quantizer *quantizer, sonde__pq *pq)
{
    quantizer->state = pq;
    quantizer->code_bytes = sonde__codes_bytes(pq->m, pq->bits);
    quantizer->min_rows = pq->k;
    quantizer->sample_rows = sonde__max_i64(pq->k, sonde__param_int(pq->params, "sample"));
    return pq_frame_fits(pq);
}

/* ---- taking over what was learned ------------------------------------------------------------------------------- */

/* Each part's centroids as columns, k <= 16 of them: a query is multiplied with all at once. */
static void pq_turn(const sonde__pq *pq)
{
    for (int64_t j = 0; j < pq->m; j++)
        for (int64_t c = 0; c < pq->k; c++)
            for (int64_t i = 0; i < pq->width; i++)
                pq->turned[(j * pq->width + i) * pq->k + c] = sonde__pq_centroids(pq, pq->learned.centroids,
                                                                                  j)[c * pq->width + i];
}

void sonde__pq_pack(sonde__pq *pq)
{
    int64_t each = sonde__codebook_floats(pq->k, pq->width);
    for (int64_t j = 0; j < pq->m; j++)
        sonde__codebook_prepare(&pq->book[j], sonde__pq_centroids(pq, pq->learned.centroids, j), pq->width,
                                pq->k, sonde__pq_columns(pq, j), false, pq->packed + j * each);
    if (pq->turned) pq_turn(pq);
}

/* The memory of what is derived from the centroids. */
static sonde_status pq_derive(const sonde__pq *pq, sonde__pq_frame *frame, float **packed, float **turned)
{
    SONDE_TRY(SONDE_NEW(pq->runtime, *packed,
                        (uint64_t)pq->m * (uint64_t)sonde__codebook_floats(pq->k, pq->width)));
    if (pq->bits == 4) SONDE_TRY(SONDE_NEW(pq->runtime, *turned, sonde__pq_floats(pq)));
    return frame->map ? sonde__pq_frame_prepare(pq->runtime, frame) : SONDE_OK;
}

sonde_status sonde__pq_adopt(sonde__pq *pq, const sonde__pq_learned *learned)
{
    sonde__pq_learned taken = *learned;
    float *packed = NULL, *turned = NULL;
    sonde_status status = pq_derive(pq, &taken.frame, &packed, &turned);
    if (status != SONDE_OK) {
        sonde__free(pq->runtime, packed);
        sonde__free(pq->runtime, turned);
        return status;
    }
    sonde__pq_learned_drop(pq->runtime, &pq->learned);
    sonde__free(pq->runtime, pq->packed);
    sonde__free(pq->runtime, pq->turned);
    pq->learned = taken;
    pq->packed = packed;
    pq->turned = turned;
    sonde__pq_pack(pq);
    return SONDE_OK;
}

uint64_t sonde__pq_learned_bytes(const sonde_quantizer *quantizer)
{
    const sonde__pq *pq = quantizer->state;
    uint64_t floats = sonde__pq_floats(pq) * (pq->bits == 4 ? 2 : 1) +
                      (uint64_t)(pq->m * sonde__codebook_floats(pq->k, pq->width));
    if (pq_framed(pq)) floats += (uint64_t)(3 * pq->dim * pq->dim);
    return floats * sizeof(float);
}

/* ---- codes ------------------------------------------------------------------------------------------------------ */

/* Part by part, so that a book stays in the cache for all rows of the block. */
void sonde__pq_nearest(const sonde__pq *pq, const float *y, int64_t ldy, int64_t n, uint16_t *values)
{
    int32_t nearest[PQ_ENCODE_ROWS];
    if (sonde__pq_lanes(pq)) {
        sonde__pq_lanes_nearest(pq, y, ldy, n, values);
        return;
    }
    for (int64_t first = 0; first < n; first += PQ_ENCODE_ROWS) {
        int64_t count = sonde__min_i64(PQ_ENCODE_ROWS, n - first);
        for (int64_t j = 0; j < pq->m; j++) {
            sonde__codebook_nearest(&pq->book[j], y + first * ldy + sonde__pq_first(pq, j), ldy, count,
                                    nearest);
            for (int64_t i = 0; i < count; i++) values[(first + i) * pq->m + j] = (uint16_t)nearest[i];
        }
    }
}

/* Memory of one encode call. */
struct pq_encoding {
    uint16_t *values; /* of a block of rows */
    float *y, *score; /* mapped rows; scratch of the score-aware loss */
};

static sonde_status pq_encoding_begin(const sonde__pq *pq, int64_t n, sonde__scratch *scratch,
                                      struct pq_encoding *e)
{
    int64_t rows = sonde__min_i64(n, PQ_ENCODE_ROWS);
    SONDE_TRY(SONDE_SCRATCH(scratch, e->values, rows * pq->m));
    if (pq->learned.frame.map) SONDE_TRY(SONDE_SCRATCH(scratch, e->y, rows * pq->dim));
    if (pq->learned.eta != 1) SONDE_TRY(SONDE_SCRATCH(scratch, e->score, sonde__pq_score_floats(pq)));
    return SONDE_OK;
}

static void pq_encode_block(const sonde__pq *pq, const struct pq_encoding *e, const float *x, int64_t ldx,
                            int64_t n)
{
    const float *y = x;
    int64_t ldy = ldx;
    if (e->y) {
        sonde__pq_frame_rows(&pq->learned.frame.rows, x, ldx, n, e->y, pq->dim);
        y = e->y;
        ldy = pq->dim;
    }
    sonde__pq_nearest(pq, y, ldy, n, e->values);
    for (int64_t i = 0; e->score && i < n; i++)
        sonde__pq_score_row(pq, y + i * ldy, e->values + i * pq->m, e->score);
}

sonde_status sonde__pq_encode(const sonde_quantizer *quantizer, const float *x, int64_t ldx, int64_t n,
                              uint8_t *codes, int64_t stride)
{
    const sonde__pq *pq = quantizer->state;
    struct pq_encoding e = {0};
    sonde__scratch *scratch = NULL;
    SONDE_TRY(sonde__scratch_take(pq->runtime, &scratch));
    sonde_status status = pq_encoding_begin(pq, n, scratch, &e);
    for (int64_t i = 0; status == SONDE_OK && i < n; i += PQ_ENCODE_ROWS) {
        int64_t count = sonde__min_i64(PQ_ENCODE_ROWS, n - i);
        pq_encode_block(pq, &e, x + i * ldx, ldx, count);
        for (int64_t r = 0; r < count; r++)
            sonde__codes_pack_wide(e.values + r * pq->m, pq->m, pq->bits, codes + (i + r) * stride);
    }
    sonde__scratch_give(pq->runtime, scratch);
    return status;
}

/* Constant sizes become a load and a store. */
static inline void pq_copy(float *to, const float *from, int64_t columns)
{
    switch (columns) {
    case 2: memcpy(to, from, 2 * sizeof *to); break;
    case 4: memcpy(to, from, 4 * sizeof *to); break;
    case 8: memcpy(to, from, 8 * sizeof *to); break;
    default: memcpy(to, from, (size_t)columns * sizeof *to);
    }
}

/* The mapped row that a code stands for. */
static void pq_reconstruct(const sonde__pq *pq, const uint8_t *code, float *y)
{
    sonde__codes_reader reader = {code, 0, 0};
    for (int64_t j = 0; j < pq->m; j++)
        pq_copy(y + sonde__pq_first(pq, j),
                sonde__pq_centroids(pq, pq->learned.centroids, j) +
                    sonde__codes_take(&reader, pq->bits) * pq->width,
                sonde__pq_columns(pq, j));
}

void sonde__pq_decode(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n,
                      float *x, int64_t ldx)
{
    const sonde__pq *pq = quantizer->state;
    float y[PQ_BLOCK_FLOATS];
    if (!pq->learned.frame.map) {
        for (int64_t i = 0; i < n; i++) pq_reconstruct(pq, codes + i * stride, x + i * ldx);
        return;
    }
    int64_t rows = PQ_BLOCK_FLOATS / pq->dim;
    for (int64_t i = 0; i < n; i += rows) {
        int64_t count = sonde__min_i64(rows, n - i);
        for (int64_t r = 0; r < count; r++) pq_reconstruct(pq, codes + (i + r) * stride, y + r * pq->dim);
        sonde__pq_frame_rows(&pq->learned.frame.back, y, pq->dim, count, x + i * ldx, ldx);
    }
}

/* The sum of the centroids' own, which orthogonal maps leave as it is. */
void sonde__pq_norms(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n,
                     float *norm2)
{
    const sonde__pq *pq = quantizer->state;
    float x[SONDE__PQ_FRAME_DIM];
    for (int64_t i = 0; i < n; i++) {
        sonde__codes_reader reader = {codes + i * stride, 0, 0};
        float sum = 0;
        for (int64_t j = 0; j < pq->m; j++) sum -= 2 * pq->book[j].bias[sonde__codes_take(&reader, pq->bits)];
        norm2[i] = sum;
        if (!pq->learned.frame.query_map) continue;
        sonde__pq_decode(quantizer, codes + i * stride, stride, 1, x, pq->dim);
        norm2[i] = sonde__kernels_get()->norm2(x, pq->dim);
    }
}

/* All values of `bits` bits name a centroid; only the bits behind the last one can be wrong. */
bool sonde__pq_valid(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n)
{
    const sonde__pq *pq = quantizer->state;
    return sonde__codes_padding_zero(codes, stride, n, pq->m, pq->bits);
}

/* ---- one query -------------------------------------------------------------------------------------------------- */

/* Parts that share a nibble; 0: parts of this width do not fit nibbles. */
static int64_t pq_parts_a_nibble(const sonde__pq *pq) { return 4 % pq->bits == 0 ? 4 / pq->bits : 0; }

int64_t sonde__pq_nibbles(const sonde_quantizer *quantizer)
{
    const sonde__pq *pq = quantizer->state;
    return pq_parts_a_nibble(pq) ? (pq->m * pq->bits + 3) / 4 : 0;
}

bool sonde__pq_panels(const sonde__pq *pq)
{
    if (pq_parts_a_nibble(pq) || pq->dim > SONDE__PQ_FRAME_DIM) return false;
    return pq->bits != 8 || pq->dim * 4 <= pq->m * sonde__kernels_get()->lanes; /* measured */
}

/* Four numbers in a register of any processor; compilers make scalar code of the loops otherwise. */
typedef float pq_four __attribute__((vector_size(16)));

static void pq_products_16(const float *turned, const float *query, int64_t columns, float *products)
{
    pq_four sum[4] = {{0}, {0}, {0}, {0}};
    for (int64_t i = 0; i < columns; i++)
        for (int g = 0; g < 4; g++) {
            pq_four c;
            memcpy(&c, turned + i * 16 + g * 4, sizeof c);
            sum[g] += query[i] * c;
        }
    memcpy(products, sum, sizeof sum);
}

/* Adds to the 16 entries of a nibble what the part at its bits shift .. adds. */
static void pq_nibble_add(const sonde__pq *pq, int64_t part, int shift, const float *query, float *entries)
{
    const float *c = sonde__pq_centroids(pq, pq->learned.centroids, part);
    float product[4] = {0};
    for (int64_t v = 0; v < pq->k; v++)
        for (int64_t i = 0; i < sonde__pq_columns(pq, part); i++)
            product[v] += query[sonde__pq_first(pq, part) + i] * c[v * pq->width + i];
    for (int nibble = 0; nibble < 16; nibble++) entries[nibble] += product[nibble >> shift & (pq->k - 1)];
}

/* y: the mapped query. A part that is not there, behind the last one, adds nothing. */
static void pq_fill_nibbles(const sonde__pq *pq, const float *y, float *table)
{
    if (pq->bits == 4) {
        for (int64_t j = 0; j < pq->m; j++)
            pq_products_16(pq->turned + j * pq->width * 16, y + sonde__pq_first(pq, j),
                           sonde__pq_columns(pq, j), table + j * 16);
        return;
    }
    int64_t per = pq_parts_a_nibble(pq);
    memset(table, 0, (size_t)((pq->m + per - 1) / per * 16) * sizeof *table);
    for (int64_t j = 0; j < pq->m; j++)
        pq_nibble_add(pq, j, (int)(j % per) * pq->bits, y, table + j / per * 16);
}

void sonde__pq_nibble_table(const sonde_quantizer *quantizer, const float *query, float *table, float *base)
{
    const sonde__pq *pq = quantizer->state;
    float y[SONDE__PQ_FRAME_DIM];
    if (pq->learned.frame.map) {
        sonde__pq_frame_rows(&pq->learned.frame.queries, query, pq->dim, 1, y, pq->dim);
        query = y;
    }
    pq_fill_nibbles(pq, query, table);
    *base = 0;
}

/* Entries a part of the table: what the lookup kernels read (3 and 5 to 7 bits leave some unused). */
static int64_t pq_entries(const sonde__pq *pq) { return pq->bits <= 8 ? 256 : pq->k; }

static int64_t pq_table_floats(const sonde__pq *pq)
{
    int64_t per = pq_parts_a_nibble(pq);
    int64_t floats = per ? (pq->m + per - 1) / per * 16 : pq->m * pq_entries(pq);
    return (floats + 15) / 16 * 16;
}

/* The table, and behind it the mapped query. */
int64_t sonde__pq_table_bytes(const sonde_quantizer *quantizer)
{
    const sonde__pq *pq = quantizer->state;
    return (pq_table_floats(pq) + pq->dim) * (int64_t)sizeof(float);
}

void sonde__pq_table(const sonde_quantizer *quantizer, const float *query, void *table)
{
    const sonde__pq *pq = quantizer->state;
    float *entries = table, *y = entries + pq_table_floats(pq);
    if (pq->learned.frame.map)
        sonde__pq_frame_rows(&pq->learned.frame.queries, query, pq->dim, 1, y, pq->dim);
    else memcpy(y, query, (size_t)pq->dim * sizeof *y);
    if (pq_parts_a_nibble(pq)) {
        pq_fill_nibbles(pq, y, entries);
        return;
    }
    for (int64_t j = 0; j < pq->m; j++)
        sonde__codebook_products(&pq->book[j], y + sonde__pq_first(pq, j), entries + j * pq_entries(pq));
}

/* More than 8 bits: one lookup after the other; the processor runs ahead on its own. */
static void pq_scan_wide(const sonde__pq *pq, const float *table, const uint8_t *codes, int64_t stride,
                         int64_t n, float *ip)
{
    for (int64_t i = 0; i < n; i++) {
        sonde__codes_reader reader = {codes + i * stride, 0, 0};
        float sum = 0;
        for (int64_t j = 0; j < pq->m; j++) sum += table[j * pq->k + sonde__codes_take(&reader, pq->bits)];
        ip[i] = sum;
    }
}

/* 3 and 5 to 7 bits are unpacked to bytes in blocks that stay in the cache. */
void sonde__pq_scan(const sonde_quantizer *quantizer, const void *table, const uint8_t *codes, int64_t stride,
                    int64_t n, float *ip)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    const sonde__pq *pq = quantizer->state;
    sonde__codes_block block;
    if (pq_parts_a_nibble(pq)) {
        kernels->lookup_4(table, codes, stride, n, sonde__pq_nibbles(quantizer), ip);
    } else if (pq->bits > 8) {
        pq_scan_wide(pq, table, codes, stride, n, ip);
    } else {
        for (int64_t i = 0; i < n; i += block.count) {
            sonde__codes_open(&block, codes + i * stride, stride, n - i, pq->m, pq->bits);
            kernels->lookup_8(table, block.rows, block.stride, block.count, pq->m, ip + i);
        }
    }
}

/* ---- many queries ----------------------------------------------------------------------------------------------- */

int64_t sonde__pq_panel_bytes(const sonde_quantizer *quantizer)
{
    return quantizer->dim * sonde__kernels_get()->lanes * (int64_t)sizeof(float);
}

void sonde__pq_panel(const sonde_quantizer *quantizer, const void *const *tables, int64_t count, void *panel)
{
    const sonde__pq *pq = quantizer->state;
    const sonde__kernels *kernels = sonde__kernels_get();
    const void *queries[SONDE__LANES_MAX];
    for (int64_t q = 0; q < count; q++) queries[q] = (const float *)tables[q] + pq_table_floats(pq);
    kernels->pack_panel(queries, count, pq->dim, kernels->lanes, panel);
}

void sonde__pq_scan_panel(const sonde_quantizer *quantizer, const void *panel, const uint8_t *codes,
                          int64_t stride, int64_t n, float *tile)
{
    const sonde__pq *pq = quantizer->state;
    const sonde__kernels *kernels = sonde__kernels_get();
    float y[PQ_BLOCK_FLOATS];
    int64_t rows = PQ_BLOCK_FLOATS / pq->dim;
    for (int64_t i = 0; i < n; i += rows) {
        int64_t count = sonde__min_i64(rows, n - i);
        for (int64_t r = 0; r < count; r++) pq_reconstruct(pq, codes + (i + r) * stride, y + r * pq->dim);
        kernels->tile_f32(panel, y, pq->dim * (int64_t)sizeof *y, count, pq->dim, tile + i * kernels->lanes);
    }
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

sonde_status sonde__pq_save(const sonde_quantizer *quantizer, sonde__writer *writer)
{
    const sonde__pq *pq = quantizer->state;
    const sonde__pq_learned *learned = &pq->learned;
    uint64_t square = (uint64_t)(pq->dim * pq->dim);
    SONDE_TRY(
        sonde__write_array(writer, "CODEBOOK", learned->centroids, sonde__pq_floats(pq), sizeof(float)));
    if (learned->frame.map)
        SONDE_TRY(sonde__write_array(writer, "MAP", learned->frame.map, square, sizeof(float)));
    if (learned->frame.query_map)
        SONDE_TRY(sonde__write_array(writer, "QUERYMAP", learned->frame.query_map, square, sizeof(float)));
    return learned->eta == 1 ? SONDE_OK : sonde__write_real(writer, "eta", learned->eta);
}

/* Sections must hold exactly what the spec says, finite; a map only where the spec can have one. */
static sonde_status pq_load_parts(const sonde__pq *pq, sonde__reader *reader, sonde__pq_learned *learned)
{
    uint64_t square = (uint64_t)(pq->dim * pq->dim);
    double eta = 1;
    SONDE_TRY(
        sonde__handle_floats(pq->runtime, reader, "CODEBOOK", sonde__pq_floats(pq), &learned->centroids));
    if (pq->rotation || (pq_framed(pq) && sonde__reader_has(reader, "MAP")))
        SONDE_TRY(sonde__handle_floats(pq->runtime, reader, "MAP", square, &learned->frame.map));
    if (learned->frame.map && sonde__reader_has(reader, "QUERYMAP"))
        SONDE_TRY(sonde__handle_floats(pq->runtime, reader, "QUERYMAP", square, &learned->frame.query_map));
    learned->frame.dim = pq->dim;
    if (sonde__reader_has(reader, "eta")) SONDE_TRY(sonde__read_real(reader, "eta", 1, 1e9, &eta));
    learned->eta = (float)eta;
    return SONDE_OK;
}

/* The books are made anew for this machine's kernels. */
sonde_status sonde__pq_load(sonde_quantizer *quantizer, sonde__reader *reader)
{
    sonde__pq *pq = quantizer->state;
    sonde__pq_learned learned = {.eta = 1};
    sonde_status status = pq_load_parts(pq, reader, &learned);
    if (status == SONDE_OK) status = sonde__pq_adopt(pq, &learned);
    if (status != SONDE_OK) sonde__pq_learned_drop(pq->runtime, &learned);
    return status;
}

void sonde__pq_drop(sonde_quantizer *quantizer) { sonde__pq_free(quantizer->state); }

/* ---- the method ------------------------------------------------------------------------------------------------- */

const sonde__input_key sonde__pq_inputs[] = {
    {"vectors", "n x dim", SONDE__DTYPES_NUMERIC, true, "rows to learn from", "train"},
    {"queries", "m x dim", SONDE__DTYPES_NUMERIC, false, "what will be asked: for loss=moment and loss=auto",
     "train"},
    {0},
};

static const sonde__key pq_keys[] = {
    {"m", SONDE__KEY_INT, "auto", 1, SONDE__MAX_DIM, "auto", NULL,
     "parts of a row; auto: the divisor of dim whose parts have nearest to 8 columns"},
    {"bits", SONDE__KEY_INT, "8", 1, 16, NULL, NULL, "bits of a part: 2^bits centroids each"},
    {"iters", SONDE__KEY_INT, "25", 1, 1000, NULL, NULL, "k-means iterations"},
    {"sample", SONDE__KEY_INT, "65536", 1, 1e9, NULL, NULL, "most rows to train on"},
    {"seed", SONDE__KEY_INT, "1", 0, 9007199254740992.0, NULL, NULL, "of the sample and of k-means"},
    {"pad", SONDE__KEY_WORD, "no", 0, 0, "no|yes", NULL,
     "let m not divide dim: parts then differ by one column"},
    {"balance", SONDE__KEY_WORD, "none", 0, 0, "none|sinkhorn|capacity", NULL,
     "centroids that stand for nearly (sinkhorn) or exactly (capacity) as many training rows each"},
    {"loss", SONDE__KEY_WORD, "mse", 0, 0, "mse|score|moment|auto", NULL,
     "what codes keep small: the distance of a row from its reconstruction; the same with errors along the "
     "row, which "
     "move high scores, counted more; the error of the scores of the queries given; or what half of these "
     "choose"},
    {"threshold", SONDE__KEY_REAL, "0.2", 0, 0.999, NULL, NULL,
     "loss=score: the cosine t from which on scores matter; errors along the row count (dim - 1) t^2 / (1 - "
     "t^2) times"},
    {0},
};

static const sonde__quantizer_method pq_panelled;

/* Goes on with the table of hooks that suits the bits. */
static sonde_status pq_create(sonde_quantizer *quantizer)
{
    sonde__pq *pq;
    SONDE_TRY(sonde__pq_make(quantizer->runtime, quantizer->params, quantizer->dim, 0, 0, &pq));
    if (sonde__pq_panels(pq)) quantizer->method = &pq_panelled;
    return sonde__pq_attach(quantizer, pq);
}

#define PQ_METHOD                                                                                            \
    {                                                                                                        \
        "pq", "product quantization: k-means codebooks on parts of the row",                                 \
            "Jegou, Douze, Schmid: Product quantization for nearest neighbor search (TPAMI 2011)", pq_keys,  \
            sonde__pq_inputs, NULL, NULL                                                                     \
    }

const sonde__quantizer_method sonde__quantizer_pq = {
    .method = PQ_METHOD, .create = pq_create, SONDE__PQ_HOOKS};

static const sonde__quantizer_method pq_panelled = {
    .method = PQ_METHOD, .create = pq_create, SONDE__PQ_HOOKS, SONDE__PQ_PANEL_HOOKS};
