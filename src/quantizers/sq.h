/* sq.h: what the files of scalar quantization share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_SQ_H
#define SONDE_SRC_SQ_H

#include "quantizers/quantizer.h"

/* What training learns: evenly spaced values low[j] + step[j] * c, or a table of values. NULL until trained. */
typedef struct sonde__sq_learned {
    float *low, *step; /* uniform: dim each */
    float *levels;     /* lloyd: 2^bits ascending values for each column, or (shared) for all of them */
} sonde__sq_learned;

typedef struct sonde__sq {
    int bits;
    bool fine;          /* uniform: the query has two integer parts */
    bool shared;        /* one range for all columns */
    bool lloyd;
    sonde__sq_learned learned;
} sonde__sq;

/* The largest code value. */
static inline float sonde__sq_top(int bits) { return (float)((1 << bits) - 1); }
static inline int64_t sonde__sq_count(const sonde__sq *sq) { return (int64_t)1 << sq->bits; }
/* How many tables of levels there are. */
static inline int64_t sonde__sq_tables(const sonde__sq *sq, int64_t dim) { return sq->shared ? 1 : dim; }
static inline const float *sonde__sq_levels(const sonde__sq *sq, int64_t column)
{
    return sq->learned.levels + (sq->shared ? 0 : column * sonde__sq_count(sq));
}

/* 1 / step, or 0 for a column that does not vary (also where the reciprocal would overflow). */
static inline float sonde__sq_inverse(float step) { return step >= 1.2e-38f ? 1 / step : 0; }
/* Every code must decode to a finite value. */
bool sonde__sq_step_fits(float low, float step, int bits);

void sonde__sq_learned_drop(sonde_runtime *runtime, sonde__sq_learned *learned);
/* Takes the arrays over. */
void sonde__sq_adopt(sonde_quantizer *quantizer, const sonde__sq_learned *learned);

/* sq_train.c: ranges, and the levels within them. */
sonde_status sonde__sq_train(sonde_quantizer *quantizer, const sonde__training *training);
/* Moves `count` ascending levels to where the squared error of n ascending values is least nearby. sums: n +
 * 1 numbers of room. */
void sonde__sq_lloyd(const float *values, int64_t n, float *levels, int64_t count, double *sums);

/* sq_levels.c: the hooks of codes with a table of levels. */
sonde_status sonde__sq_levels_encode(const sonde_quantizer *quantizer, const float *x, int64_t ldx, int64_t n,
                                     uint8_t *codes, int64_t stride);
void sonde__sq_levels_decode(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n,
                             float *x, int64_t ldx);
int64_t sonde__sq_levels_table_bytes(const sonde_quantizer *quantizer);
void sonde__sq_levels_table(const sonde_quantizer *quantizer, const float *query, void *table);
void sonde__sq_levels_scan(const sonde_quantizer *quantizer, const void *table, const uint8_t *codes, int64_t stride,
                           int64_t n, float *ip);
int64_t sonde__sq_levels_panel_bytes(const sonde_quantizer *quantizer);
void sonde__sq_levels_panel(const sonde_quantizer *quantizer, const void *const *tables, int64_t count, void *panel);
void sonde__sq_levels_scan_panel(const sonde_quantizer *quantizer, const void *panel, const uint8_t *codes,
                                 int64_t stride, int64_t n, float *tile);
uint64_t sonde__sq_levels_bytes(const sonde_quantizer *quantizer);
sonde_status sonde__sq_levels_save(const sonde_quantizer *quantizer, sonde__writer *writer);
sonde_status sonde__sq_levels_load(sonde_quantizer *quantizer, sonde__reader *reader);

/* Fast scan of 1, 2 and 4 bits, uniform or not: a nibble holds 4 / bits columns. */
int64_t sonde__sq_nibbles(const sonde_quantizer *quantizer);
void sonde__sq_nibble_table(const sonde_quantizer *quantizer, const float *query, float *table, float *base);

#endif
