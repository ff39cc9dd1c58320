/* codes.h: what the methods of this room share: packed codes and prepared codebooks.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_CODES_H
#define SONDE_SRC_CODES_H

#include "base/base.h"

/* ---- codes.c: small numbers in few bits ------------------------------------------------------------------------ */

/* Values of `bits` (1..16) bits lie one after the other, the lowest bit first: value j occupies bits j * bits .. of the
 * code, bit 0 being the lowest of byte 0. So 4-bit values come two to a byte with the low nibble first, and four 6-bit
 * values take three bytes. Bits behind the last value are zero. */
static inline int64_t sonde__codes_bytes(int64_t count, int bits) { return (count * bits + 7) / 8; }
/* Values of at most 8 bits. */
void sonde__codes_pack(const uint8_t *values, int64_t count, int bits, uint8_t *code);
void sonde__codes_unpack(const uint8_t *code, int64_t count, int bits, uint8_t *values);
/* Values of at most 16. */
void sonde__codes_pack_wide(const uint16_t *values, int64_t count, int bits, uint8_t *code);
/* Values of any width one after the other: {code, 0, 0}, then one call a value, reading no byte behind the last. */
typedef struct sonde__codes_reader {
    const uint8_t *at;
    uint32_t pending;
    int held;
} sonde__codes_reader;
static inline uint32_t sonde__codes_take(sonde__codes_reader *reader, int bits)
{
    if (bits == 8) return *reader->at++;
    for (; reader->held < bits; reader->held += 8) reader->pending |= (uint32_t)*reader->at++ << reader->held;
    uint32_t value = reader->pending & ((1u << bits) - 1);
    reader->pending >>= bits;
    reader->held -= bits;
    return value;
}
/* true if the bits behind the last value are zero in all n codes. */
bool sonde__codes_padding_zero(const uint8_t *codes, int64_t stride, int64_t n, int64_t count, int bits);

/* A few rows of codes with one byte a value, so that one set of loops serves all widths. */
#define SONDE__CODES_BLOCK 64
typedef struct sonde__codes_block {
    const uint8_t *rows;
    int64_t stride;
    int64_t count;                   /* rows in this block, at most SONDE__CODES_BLOCK */
    uint8_t buffer[SONDE__MAX_DIM];  /* holds at least one row */
} sonde__codes_block;
/* The first of n packed rows of `count` values; 8-bit values are not copied. */
void sonde__codes_open(sonde__codes_block *block, const uint8_t *codes, int64_t stride, int64_t n,
                       int64_t count, int bits);

/* Fast scan of bits that stand for signs: table[j * 16 + nibble] = sum over the four bits t of nibble j of +w[4 j + t] where
 * the bit is set and -w[4 j + t] where it is not, for d weights (d a multiple of 4 or padded with zero weights). */
void sonde__codes_sign_table(const float *w, int64_t d, float *table);

/* ---- codebook.c: centroids ready for encoding ------------------------------------------------------------------ */

typedef struct sonde__codebook {
    int64_t k, d;       /* centroids and their columns */
    int64_t panels;
    const float *panel; /* panels x d x kernels->lanes */
    const float *bias;  /* panels x kernels->lanes */
} sonde__codebook;

/* Floats of memory that sonde__codebook_prepare needs. */
int64_t sonde__codebook_floats(int64_t k, int64_t d);
/* Packs k centroids (ldc elements from one to the next) into `memory` (64-byte aligned), which must outlive the book. */
void sonde__codebook_prepare(sonde__codebook *book, const float *centroids, int64_t ldc, int64_t k, int64_t d,
                             bool spherical, float *memory);
/* The number of the nearest centroid of each of n rows (spherical: of the largest inner product); ties to the lower. */
void sonde__codebook_nearest(const sonde__codebook *book, const float *x, int64_t ldx, int64_t n,
                             int32_t *nearest);
/* The inner product of one query with each of the k centroids. */
void sonde__codebook_products(const sonde__codebook *book, const float *query, float *products);

#endif
