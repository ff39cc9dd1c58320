/* direct.h: the exact score of one query with one stored row, and how a fast scan finds the rows that need one.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_DIRECT_H
#define SONDE_SRC_DIRECT_H

#include "indexes/index.h"

/* A further row kind of sonde__scorer beside the SONDE__ROW_* of the kernels: packed bits, scored by minus the Hamming
 * distance to the bits at lane->table. */
#define SONDE__ROW_BITS SONDE__ROW_KINDS

/* One query, ready for direct scores with plain rows. A scan whose lane has one (in lane->table; scorer->code is NULL
 * then) only finds the rows worth a direct score: what enters the top are direct scores. */
typedef struct sonde__direct {
    uint32_t metric;
    int row_kind;
    bool whole;           /* the query is of row_kind itself, i8 or u8: integer kernels, no rounding at all */
    int64_t dim;
    const void *query;    /* as the caller gave it: f32, or whole numbers */
    double length;        /* of the query; 0 if it counts as a zero vector */
    double slope, offset; /* a direct score > t needs a scan score > slope t + offset */
} sonde__direct;

void sonde__direct_init(sonde__direct *direct, uint32_t metric, int row_kind, bool whole, const void *query,
                        int64_t dim);
float sonde__direct_score(const sonde__direct *direct, const void *row);
/* The query as the scan needs it; from is the query in f32. */
void sonde__direct_prepare(const sonde__direct *direct, const float *from, float *to);
/* The number that the scan needs stored with a row of this squared length: a scale for cosine, else a bias. */
float sonde__direct_column(uint32_t metric, int64_t dim, float length2);
/* Whether a stored number is that one, up to the rounding that differs between instruction sets. */
bool sonde__direct_column_fits(uint32_t metric, int64_t dim, float length2, float stored);
/* Largest squared length of queries and rows: no score can then overflow. */
#define SONDE__LENGTH2_MAX 8.5e37f

#endif
