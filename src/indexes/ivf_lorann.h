/* ivf_lorann.h: lists whose scores are products of low rank.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_IVF_LORANN_H
#define SONDE_SRC_IVF_LORANN_H

#include "indexes/index.h"

#define SONDE__LORANN_DIMS 4096
#define SONDE__LORANN_RANK 1024

/* Learned parts; the arrays are NULL before training. "Numbers" are the `rank` values that stand for a row in
 * its list. */
typedef struct sonde__lorann {
    int64_t dim, dims, rank, lists;
    float *centre;  /* dim: what queries are taken less by; 0 but for l2 */
    float *origin;  /* dims: that along the axes, as it is in prepared queries; not stored */
    float *axes;    /* dims x dim: orthonormal rows */
    float *roots;   /* dims: what a row is multiplied by along each axis, and a query divided by */
    uint8_t *bases; /* lists x rank x dims: orthonormal rows, as 128 + value / unit */
    float *units;   /* lists x rank */
    float *spreads; /* lists x rank: of the numbers, so that all of them are of size 1 */
} sonde__lorann;

/* Reads the keys rank and dims; learned parts are NULL. */
sonde_status sonde__lorann_create(const sonde_index *index, sonde__lorann **lorann);
void sonde__lorann_free(sonde_runtime *runtime, sonde__lorann *lorann); /* NULL is fine */
/* Learns the axes from n >= 1 rows x that are like queries; centred: less their mean. Once for a fresh one.
 */
sonde_status sonde__lorann_axes(sonde_runtime *runtime, sonde__lorann *lorann, int64_t lists, const float *x,
                                int64_t n, bool centred);
/* Then the lists, from rows that are differences from their centroids. */
sonde_status sonde__lorann_train(sonde_runtime *runtime, sonde__lorann *lorann, const float *x, int64_t n,
                                 const int32_t *list, uint64_t seed);
uint64_t sonde__lorann_bytes(const sonde__lorann *lorann, int64_t lists);

/* The numbers (n x rank) of rows that are differences from their centroids; serial. */
void sonde__lorann_numbers(const sonde__lorann *lorann, const float *x, int64_t n, const int32_t *list,
                           float *numbers);
/* The same in parallel. */
sonde_status sonde__lorann_numbers_of(sonde_runtime *runtime, const sonde__lorann *lorann, const float *x,
                                      int64_t n, const int32_t *list, float *numbers);
/* What a query, less the centre, sees of a row with these numbers. */
void sonde__lorann_restore(const sonde__lorann *lorann, int64_t list, const float *numbers, float *x);

/* One query, for all lists. */
int64_t sonde__lorann_table_bytes(const sonde__lorann *lorann);
void sonde__lorann_table(const sonde__lorann *lorann, const float *query, void *table);
/* As sonde__scan_list, for lanes with such tables; scorer->code holds the numbers. */
sonde_status sonde__lorann_scan(const sonde__lorann *lorann, const sonde__scorer *scorer,
                                const sonde__snapshot *snapshot, int64_t list, const sonde__lane *lanes,
                                int64_t count, sonde__scratch *scratch);

sonde_status sonde__lorann_save(const sonde__lorann *lorann, sonde__writer *writer);
sonde_status sonde__lorann_load(sonde_runtime *runtime, sonde__lorann *lorann, int64_t lists,
                                sonde__reader *reader);
bool sonde__lorann_same(const sonde__lorann *a, const sonde__lorann *b);

#endif
