/* hamming.h: what the halves of the Hamming-ball index share: its learned parts and rows (hamming.c), and its
 * search (hamming_probe.c).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_HAMMING_H
#define SONDE_SRC_HAMMING_H

#include "indexes/index.h"

#define SONDE__BUCKET_BITS_MOST 20 /* 2^20 lists */

/* The columns of a row; the last two only where rows are stored. */
enum { SONDE__HAMMING_CODE, SONDE__HAMMING_ROW, SONDE__HAMMING_NUMBER };

typedef struct sonde__hamming {
    sonde_quantizer *code; /* one with method->binary */
    int key_bits;          /* leading bits of a code that balls are counted in */
    int bucket_bits;       /* leading bits of the key that name a row's list; there are 2^bucket_bits lists */
    int radius;            /* of the ball that every search looks into; -1: as the wanted recall asks for */
    bool soft;             /* buckets come by what the query's own bits are worth, not by their number */
    bool rows;             /* rows are stored, and hits are scored on them */
    int row_kind;          /* SONDE__ROW_F32 or SONDE__ROW_F16 */
    float middle[SONDE__BUCKET_BITS_MOST]; /* what the bits are worth to the middle of all reconstructions */
} sonde__hamming;

/* The list of a code. */
static inline int64_t sonde__hamming_bucket(const sonde__hamming *hamming, const uint8_t *code)
{
    uint32_t number = 0;
    int64_t bytes = sonde__min_i64(hamming->code->code_bytes, 3);
    for (int64_t b = 0; b < bytes; b++) number |= (uint32_t)code[b] << 8 * b;
    return number & ((1u << hamming->bucket_bits) - 1);
}

/* Brings n packed rows to unit length for cosine, the form that codes are made of; zero rows stay. */
void sonde__hamming_prepare(const sonde_index *index, float *x, int64_t n);

/* hamming_probe.c. What each bit that names a list is worth to a vector: half of what setting it adds to the
 * inner product with the reconstruction. */
sonde_status sonde__hamming_worth(const sonde__hamming *hamming, const float *x, sonde__scratch *scratch,
                                  float *worth);
/* Masks of `bits` bits: how many have at most `radius` bits set (at most 2^62); the first
 * `count` of them by the number of bits set; the `count` of least sum of cost[bit], least first. */
int64_t sonde__hamming_ball(int bits, int radius);
void sonde__hamming_by_weight(int bits, int64_t count, uint32_t *mask);
sonde_status sonde__hamming_by_cost(int bits, const float *cost, int64_t count, sonde__scratch *scratch,
                                    uint32_t *mask);

sonde_status sonde__hamming_search(sonde__search *search);

#endif
