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

/* A query in whole numbers for the first pass, which reads 8-bit images of the rows in place of the rows (direct.c):
 * query element j is about scale * codes[j]; shift is 128 times the sum of the codes. */
typedef struct sonde__coarse {
    const int8_t *codes;
    int32_t shift;
    float scale, reach, blur; /* as in sonde__bound_lanes */
} sonde__coarse;

/* Where the first pass finds images: dim bytes a row, and two f32 a row. */
enum { SONDE__IMAGE_COLUMN = 2, SONDE__TERMS_COLUMN = 3 };

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
    sonde__coarse coarse; /* codes NULL: there is no first pass */
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
/* The query in whole numbers for the first pass; prepared is what sonde__direct_prepare made, codes has room for dim. */
void sonde__direct_coarse(sonde__direct *direct, const float *prepared, int8_t *codes);
/* The image of a row of this squared length, and its terms: step and error. */
void sonde__image_make(uint32_t metric, int64_t dim, const float *x, float length2, uint8_t *image, float terms[2]);
/* Whether a stored image is that one; again: room for dim bytes. */
bool sonde__image_fits(uint32_t metric, int64_t dim, const float *x, float length2, const uint8_t *image,
                       const float terms[2], uint8_t *again);
/* The terms of `count` rows as the first pass wants them, into four arrays; number is the column of
 * sonde__direct_column. */
void sonde__image_terms(uint32_t metric, int64_t dim, const float *terms, const float *number, int64_t count,
                        float *const to[4]);
/* Largest squared length of queries and rows: no score can then overflow. */
#define SONDE__LENGTH2_MAX 8.5e37f

#endif
