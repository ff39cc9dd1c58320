/* hamming.h: what the parts of the Hamming-ball index share: its learned parts and rows (hamming.c), its
 * search (hamming_probe.c), and the tables of substrings for exact searches of long codes (hamming_chunks.c).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_HAMMING_H
#define SONDE_SRC_HAMMING_H

#include <math.h>

#include "indexes/index.h"

#define SONDE__BUCKET_BITS_MOST 20 /* 2^20 lists */
#define SONDE__CHUNKS_MOST 16

/* The columns of a row; the last two only where rows are stored. */
enum { SONDE__HAMMING_CODE, SONDE__HAMMING_ROW, SONDE__HAMMING_NUMBER };

typedef struct sonde__chunks sonde__chunks; /* tables of substrings, made when searches come */

typedef struct sonde__hamming {
    sonde_quantizer *code; /* one with method->binary */
    int key_bits;          /* leading bits of a code that balls are counted in */
    int bucket_bits;       /* leading bits of the key that name a row's list; there are 2^bucket_bits lists */
    int radius;            /* of the ball that every search looks into; -1: as the wanted recall asks for */
    bool soft;             /* buckets come by what the query's own bits are worth, not by their number */
    bool rows;             /* rows are stored, and hits are scored on them */
    int row_kind;          /* SONDE__ROW_F32 or SONDE__ROW_F16 */
    int chunks;            /* 1: lists are buckets; more: substrings with a table each, and one list */
    int chunk_stride;      /* substring j begins at bit j * chunk_stride */
    int chunk_bits;        /* and has so many bits */
    sonde__chunks *tables;
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

/* The largest distance that still has a chance. */
static inline int32_t sonde__hamming_reach(const sonde__top *top)
{
    if (top->threshold < -(float)SONDE__MAX_DIM) return SONDE__MAX_DIM;
    if (top->threshold > 0) return -1;
    return (int32_t)ceilf(-top->threshold) - 1; /* a score must be above the threshold */
}

/* The first of [begin, count) whose distance is within reach, or `count`. Behind the distances there are
 * SONDE__HAMMING_TOGETHER that are not. */
#define SONDE__HAMMING_TOGETHER 16
static inline int64_t sonde__hamming_within(const int32_t *distance, int64_t begin, int64_t count,
                                            int32_t reach)
{
    for (int64_t i = begin; i < count; i += SONDE__HAMMING_TOGETHER) {
        int32_t any = 0;
        for (int j = 0; j < SONDE__HAMMING_TOGETHER; j++) any |= distance[i + j] <= reach;
        if (!any) continue;
        while (distance[i] > reach) i++;
        return i;
    }
    return count;
}

/* Steps after which a search with chunks has met all rows. */
static inline int64_t sonde__hamming_steps(const sonde__hamming *hamming)
{
    return (int64_t)hamming->chunks * (hamming->chunk_bits + 1);
}

/* The largest effort. */
static inline int64_t sonde__hamming_most(const sonde_index *index, const sonde__snapshot *snapshot)
{
    const sonde__hamming *h = index->state;
    return h->chunks > 1 ? sonde__hamming_steps(h) : snapshot->lists;
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

/* hamming_chunks.c. What a search sees of the tables; `covered` rows of each segment are in them. */
typedef struct sonde__chunk_view {
    const sonde__search *search;
    const struct sonde__chunk_tables *tables; /* NULL: there are none yet */
    bool whole; /* and all rows of the tables are in its segments */
    int64_t *covered;
    const uint8_t **codes; /* of each segment */
    double *cost;          /* that steps are expected to have */
} sonde__chunk_view;
sonde_status sonde__chunks_create(sonde_runtime *runtime, sonde__chunks **chunks);
void sonde__chunks_free(sonde_runtime *runtime, sonde__chunks *chunks); /* after the store */
uint64_t sonde__chunks_bytes(const sonde__chunks *chunks);
uint64_t sonde__chunks_bytes_for(const sonde__hamming *hamming, int64_t rows);
/* Inside a visit, on the caller's thread. Makes tables where they are missing and wanted. */
sonde_status sonde__chunks_open(const sonde__search *search, sonde__scratch *scratch,
                                sonde__chunk_view *view);
/* One query. */
typedef struct sonde__chunk_search {
    const sonde__chunk_view *view;
    const uint8_t *code;
    int64_t steps;             /* at most */
    int64_t wanted;            /* hits: where the steps meet fewer, all rows are looked at */
    const sonde__scorer *rows; /* what scores the rows that are met; NULL: their codes do */
    sonde__lane *lane;
    sonde__scratch *scratch;
    int64_t seen; /* out: codes compared */
    bool all;     /* out: no other row could be a hit */
} sonde__chunk_search;
sonde_status sonde__chunks_visit(sonde__chunk_search *search); /* hits go to the lane's top */

#endif
