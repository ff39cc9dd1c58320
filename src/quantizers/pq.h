/* pq.h: what the files of product quantization share. Not for other rooms.
 *
 *   pq.c        parts, codes, scans, files: the method pq
 *   pq_frame.c  the linear map in front of the parts (opq, loss=moment)
 *   pq_lanes.c  the nearest of few centroids
 *   pq_train.c  codebooks by k-means, and the choice of a loss by held-out queries
 *   pq_score.c  the score-aware loss: encoding and codebooks
 *   opq.c       the method opq: the same with a learned rotation
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_PQ_H
#define SONDE_SRC_PQ_H

#include "quantizers/codes.h"
#include "quantizers/quantizer.h"

/* ---- pq_frame.c ------------------------------------------------------------------------------------------------- */

/* Rows are cut into parts not as they are but as y = map x; then <q, x> = <query_map q, y>. */
typedef struct sonde__pq_frame {
    int64_t dim;
    float *map;       /* dim x dim; NULL: rows as they are */
    float *query_map; /* its inverse transposed; NULL: the map is orthogonal, and so its own */
    float *panels;    /* memory of the books */
    sonde__codebook rows, queries, back; /* the maps packed; back: query_map transposed, from y to x */
} sonde__pq_frame;

/* Widest rows that can have a map, which needs dim^2 numbers. */
#define SONDE__PQ_FRAME_DIM 8192

/* Packs maps that are there. */
sonde_status sonde__pq_frame_prepare(sonde_runtime *runtime, sonde__pq_frame *frame);
void sonde__pq_frame_drop(sonde_runtime *runtime, sonde__pq_frame *frame);
/* One of the maps applied to n rows; a row's result does not depend on the rows beside it. */
void sonde__pq_frame_rows(const sonde__codebook *map, const float *x, int64_t ldx, int64_t n, float *y,
                          int64_t ldy);
/* The symmetric root of the second moment of `n` queries, and the inverse of it. */
sonde_status sonde__pq_frame_moment(sonde_runtime *runtime, int threads, const float *queries, int64_t n,
                                    int64_t dim, sonde__pq_frame *frame);
/* Puts an orthogonal matrix behind the map: both maps are multiplied by it from the left. Takes `rotation`
 * over. */
sonde_status sonde__pq_frame_rotate(sonde_runtime *runtime, int threads, float *rotation,
                                    sonde__pq_frame *frame);

/* ---- pq.c ------------------------------------------------------------------------------------------------------- */

/* What training finds. */
typedef struct sonde__pq_learned {
    float *centroids; /* m x k x width */
    float eta; /* how much more an error along the row counts than one across it; 1: codes are the nearest */
    sonde__pq_frame frame;
} sonde__pq_learned;

typedef struct sonde__pq sonde__pq;
/* Finds the orthogonal dim x dim map for n packed rows. */
typedef sonde_status (*sonde__pq_rotation_fn)(const sonde__pq *pq, const float *x, int64_t n, int threads,
                                              float *rotation);

struct sonde__pq {
    sonde_runtime *runtime;
    const sonde__params *params;    /* of pq(...) */
    sonde__pq_rotation_fn rotation; /* opq; NULL: none */
    int rotation_iterations;
    int64_t dim, m, k, width; /* columns, parts, centroids a part, columns of the widest part */
    int bits;
    bool even;                 /* m divides dim */
    sonde__pq_learned learned; /* centroids NULL until trained */
    float *packed;             /* memory of the books */
    float *turned;             /* k <= 16: m x width x k, the centroids as columns */
    sonde__codebook book[];    /* m */
};

/* Parts start at evenly rounded places, so none is empty and widths differ by at most one. */
static inline int64_t sonde__pq_first(const sonde__pq *pq, int64_t part)
{
    return pq->even ? part * pq->width : part * pq->dim / pq->m; /* divisions are slow */
}
static inline int64_t sonde__pq_columns(const sonde__pq *pq, int64_t part)
{
    return sonde__pq_first(pq, part + 1) - sonde__pq_first(pq, part);
}
/* The k x width centroids of one part inside all of them. */
static inline float *sonde__pq_centroids(const sonde__pq *pq, float *centroids, int64_t part)
{
    return centroids + part * pq->k * pq->width;
}
static inline uint64_t sonde__pq_floats(const sonde__pq *pq)
{
    return (uint64_t)pq->m * (uint64_t)pq->k * (uint64_t)pq->width;
}

/* An untrained pq for rows of `dim` columns; m and bits 0: as the params say. */
sonde_status sonde__pq_make(sonde_runtime *runtime, const sonde__params *params, int64_t dim, int64_t m,
                            int64_t bits, sonde__pq **made);
void sonde__pq_free(sonde__pq *pq); /* NULL is fine */
/* Takes what was learned over and prepares the books; on failure nothing has changed and it stays the
 * caller's. */
sonde_status sonde__pq_adopt(sonde__pq *pq, const sonde__pq_learned *learned);
/* Prepares the books anew after the centroids were changed in place. */
void sonde__pq_pack(sonde__pq *pq);
void sonde__pq_learned_drop(sonde_runtime *runtime, sonde__pq_learned *learned);
/* The nearest centroid of each part of n mapped rows: n x m values. */
void sonde__pq_nearest(const sonde__pq *pq, const float *y, int64_t ldy, int64_t n, uint16_t *values);
/* Makes the quantizer's hooks work on a pq, which it owns from then on, also on failure. */
sonde_status sonde__pq_attach(sonde_quantizer *quantizer, sonde__pq *pq);

/* ---- pq_lanes.c ------------------------------------------------------------------------------------------------- */

/* Whether parts have few enough centroids and columns for it. */
bool sonde__pq_lanes(const sonde__pq *pq);
/* What sonde__pq_nearest does, for such parts. */
void sonde__pq_lanes_nearest(const sonde__pq *pq, const float *y, int64_t ldy, int64_t n, uint16_t *values);

/* ---- pq_score.c ------------------------------------------------------------------------------------------------- */

/* Floats of scratch that encoding one row takes. */
int64_t sonde__pq_score_floats(const sonde__pq *pq);
/* Betters the values of one mapped row (m, the nearest to begin with) for the loss of learned.eta; returns
 * the product of the row with what its reconstruction lacks. */
float sonde__pq_score_row(const sonde__pq *pq, const float *y, uint16_t *values, float *scratch);
/* Betters trained codebooks for the loss of learned.eta on n mapped rows. */
sonde_status sonde__pq_score_train(sonde__pq *pq, const float *y, int64_t n, int threads);

/* ---- the hooks of all methods that stand on a pq: pq.c, but for the first (pq_train.c) --------------------------- */

extern const sonde__input_key sonde__pq_inputs[];
sonde_status sonde__pq_train(sonde_quantizer *quantizer, const sonde__training *training);
sonde_status sonde__pq_encode(const sonde_quantizer *quantizer, const float *x, int64_t ldx, int64_t n,
                              uint8_t *codes, int64_t stride);
void sonde__pq_decode(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n,
                      float *x, int64_t ldx);
void sonde__pq_norms(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n,
                     float *norm2);
bool sonde__pq_valid(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n);
int64_t sonde__pq_table_bytes(const sonde_quantizer *quantizer);
void sonde__pq_table(const sonde_quantizer *quantizer, const float *query, void *table);
void sonde__pq_scan(const sonde_quantizer *quantizer, const void *table, const uint8_t *codes, int64_t stride,
                    int64_t n, float *ip);
int64_t sonde__pq_panel_bytes(const sonde_quantizer *quantizer);
void sonde__pq_panel(const sonde_quantizer *quantizer, const void *const *tables, int64_t count, void *panel);
void sonde__pq_scan_panel(const sonde_quantizer *quantizer, const void *panel, const uint8_t *codes,
                          int64_t stride, int64_t n, float *tile);
int64_t sonde__pq_nibbles(const sonde_quantizer *quantizer);
void sonde__pq_nibble_table(const sonde_quantizer *quantizer, const float *query, float *table, float *base);
uint64_t sonde__pq_learned_bytes(const sonde_quantizer *quantizer);
sonde_status sonde__pq_save(const sonde_quantizer *quantizer, sonde__writer *writer);
sonde_status sonde__pq_load(sonde_quantizer *quantizer, sonde__reader *reader);
void sonde__pq_drop(sonde_quantizer *quantizer);

#define SONDE__PQ_HOOKS                                                                                      \
    .train = sonde__pq_train, .encode = sonde__pq_encode, .decode = sonde__pq_decode,                        \
    .valid = sonde__pq_valid, .table_bytes = sonde__pq_table_bytes, .table = sonde__pq_table,                \
    .scan = sonde__pq_scan, .nibbles = sonde__pq_nibbles, .nibble_table = sonde__pq_nibble_table,            \
    .norms = sonde__pq_norms, .learned_bytes = sonde__pq_learned_bytes, .save = sonde__pq_save,              \
    .load = sonde__pq_load, .drop = sonde__pq_drop
/* Besides, for codes that fast scan cannot take. */
#define SONDE__PQ_PANEL_HOOKS                                                                                \
    .panel_bytes = sonde__pq_panel_bytes, .panel = sonde__pq_panel, .scan_panel = sonde__pq_scan_panel
/* Whether a quantizer of this pq takes them: where a product with the reconstruction is cheaper than m
 * lookups. */
bool sonde__pq_panels(const sonde__pq *pq);

#endif
