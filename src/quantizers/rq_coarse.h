/* rq_coarse.h: products of rows with codewords in whole numbers, and how far off they may be.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_RQ_COARSE_H
#define SONDE_SRC_RQ_COARSE_H

#include "base/base.h"
#include "kernels/kernels.h"

/* The codewords of a level in whole numbers. */
typedef struct sonde__coarse_book {
    int64_t k, d;
    const float *bias;         /* k, of the f32 products */
    int8_t *codes;             /* panels for tile_u8s8 */
    sonde__bound_lanes *lanes; /* of a panel each */
    float length, lost;        /* of a codeword, at most */
} sonde__coarse_book;

/* Whether such books pay for codewords of this shape on this processor. */
bool sonde__coarse_pays(int64_t k, int64_t d);
/* Bytes of memory of a book: a multiple of 64. */
int64_t sonde__coarse_bytes(int64_t k, int64_t d);
/* memory: 64-byte aligned; it and bias must outlive the book. */
void sonde__coarse_prepare(sonde__coarse_book *book, const float *codewords, const float *bias, int64_t k, int64_t d,
                           void *memory);

/* Rows in whole numbers. */
typedef struct sonde__coarse_rows {
    uint8_t *images;       /* rows x d */
    sonde__quantised *what; /* of each row */
} sonde__coarse_rows;
void sonde__coarse_round(const float *x, int64_t ldx, int64_t n, int64_t d, const sonde__coarse_rows *rows);
/* out (n x k) = about product + bias. */
void sonde__coarse_products(const sonde__coarse_book *book, const sonde__coarse_rows *rows, int64_t n, float *out);
/* By how much one product of a row may be too large and another too small, but for one in millions. */
float sonde__coarse_margin(const sonde__coarse_book *book, const sonde__quantised *row);

#endif
