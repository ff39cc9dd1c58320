/* signs.h: codes of one bit a direction, for the methods that differ only in how they find the directions (lsh, itq,
 * bernoulli), and the directions themselves, which bebr projects on too.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_SIGNS_H
#define SONDE_SRC_SIGNS_H

#include "quantizers/quantizer.h"

/* ---- directions ------------------------------------------------------------------------------------------------ */

/* Directions to project rows on. */
typedef struct sonde__directions {
    int64_t dim, count;
    float *matrix; /* count x dim */
    float *panels; /* the matrix packed for the tile kernel */
} sonde__directions;

/* Takes the matrix over; on failure it stays the caller's. */
sonde_status sonde__directions_make(sonde_runtime *runtime, int64_t dim, int64_t count, float *matrix,
                                    sonde__directions *directions);
void sonde__directions_drop(sonde_runtime *runtime, sonde__directions *directions);
/* y[i * ldy + c] = <x row i, direction c>, whatever rows lie beside it. */
void sonde__directions_project(const sonde__directions *directions, const float *x, int64_t ldx, int64_t n, float *y,
                               int64_t ldy);

/* Random directions: Gaussian rows, or (orthonormal) such rows orthonormalised in blocks of dim. */
sonde_status sonde__directions_random(sonde_runtime *runtime, int64_t dim, int64_t count, bool orthonormal,
                                      uint64_t seed, float *matrix);
/* The `count` <= dim orthonormal directions in which n packed rows vary most around zero. INVALID_ARGUMENT if they do
 * not vary. */
sonde_status sonde__directions_principal(sonde_runtime *runtime, int threads, int64_t n, int64_t dim, const float *x,
                                         int64_t count, float *matrix);

/* itq.c: the same directions, rotated for `rounds` rounds so that the signs of the projections lose less; 0: a random
 * rotation of them. */
typedef struct sonde__itq_task {
    sonde_runtime *runtime;
    int threads;
    const float *x; /* n x dim, packed */
    int64_t n, dim, count, rounds;
    uint64_t seed;
} sonde__itq_task;
sonde_status sonde__directions_itq(const sonde__itq_task *task, float *matrix);

/* What learning looks at: a packed copy of at most `wanted` rows, less `mean` (dim), which is theirs, or 0 if not
 * centred. *x is the caller's to free. */
sonde_status sonde__signs_sample(sonde_runtime *runtime, const sonde__training *training, int64_t dim, int64_t wanted,
                                 uint64_t seed, bool centred, float *mean, float **x, int64_t *n);
/* Brings the values to a mean square of 1, so that products neither vanish nor overflow; returns the root of what it
 * was: 0 for values that are all 0, which stay. */
double sonde__signs_normalise(float *x, int64_t count);

/* ---- codes of signs -------------------------------------------------------------------------------------------- */

/* Bit b of a code (lowest bit of byte 0 first, zeros behind the last) is set where <direction b, x> > threshold[b];
 *     decode = center + scale * sum over b of (+-1) back[b]        scan = <query, decode>
 */
typedef struct sonde__signs {
    int64_t bits;
    sonde__directions directions;
    float *threshold; /* bits */
    float *center;    /* dim */
    float *back;      /* bits x dim; NULL: the directions serve */
    float scale;
} sonde__signs;

/* What goes into a sonde__signs, in memory of the runtime. */
typedef struct sonde__signs_parts {
    float *matrix, *threshold, *center, *back;
    float scale;
} sonde__signs_parts;

sonde_status sonde__signs_parts_new(const sonde_quantizer *quantizer, bool with_back, sonde__signs_parts *parts);
void sonde__signs_parts_drop(sonde_runtime *runtime, sonde__signs_parts *parts);

/* The rest are the hooks of a method whose state is a sonde__signs. */

/* Makes the state for codes of `bits` bits. */
sonde_status sonde__signs_create(sonde_quantizer *quantizer, int64_t bits);
/* The same for a state that begins with `signs` and is all zeros there. */
void sonde__signs_attach(sonde_quantizer *quantizer, sonde__signs *signs, int64_t bits);
/* The code of a row whose products with the directions are y. */
void sonde__signs_pack(const sonde__signs *signs, const float *y, uint8_t *code);
/* Swaps new parts in, which are taken over also on failure. INVALID_ARGUMENT if a part is not finite. */
sonde_status sonde__signs_adopt(sonde_quantizer *quantizer, sonde__signs_parts *parts);
/* Thresholds and scale for parts with a matrix of directions and the mean as center, then adopts them: the scale
 * makes the squared error of the reconstructions of n packed rows least. x: rows less their mean, over `deviation`.
 */
sonde_status sonde__signs_finish(sonde_quantizer *quantizer, const float *x, int64_t n, double deviation,
                                 sonde__signs_parts *parts);

sonde_status sonde__signs_encode(const sonde_quantizer *quantizer, const float *x, int64_t ldx, int64_t n,
                                 uint8_t *codes, int64_t stride);
void sonde__signs_decode(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n, float *x,
                         int64_t ldx);
bool sonde__signs_valid(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n);
int64_t sonde__signs_table_bytes(const sonde_quantizer *quantizer);
void sonde__signs_table(const sonde_quantizer *quantizer, const float *query, void *table);
void sonde__signs_scan(const sonde_quantizer *quantizer, const void *table, const uint8_t *codes, int64_t stride,
                       int64_t n, float *ip);
int64_t sonde__signs_nibbles(const sonde_quantizer *quantizer);
void sonde__signs_nibble_table(const sonde_quantizer *quantizer, const float *query, float *table, float *base);
uint64_t sonde__signs_learned_bytes(const sonde_quantizer *quantizer); /* with the directions as the way back */
sonde_status sonde__signs_save(const sonde_quantizer *quantizer, sonde__writer *writer);
sonde_status sonde__signs_load(sonde_quantizer *quantizer, sonde__reader *reader);
void sonde__signs_drop(sonde_quantizer *quantizer);

#define SONDE__SIGNS_HOOKS                                                                                           \
    .encode = sonde__signs_encode, .load = sonde__signs_load, SONDE__SIGNS_OTHER_HOOKS
/* For a method that encodes and loads in a way of its own. */
#define SONDE__SIGNS_OTHER_HOOKS                                                                                     \
    .decode = sonde__signs_decode, .valid = sonde__signs_valid, .table_bytes = sonde__signs_table_bytes,             \
    .table = sonde__signs_table, .scan = sonde__signs_scan, .nibbles = sonde__signs_nibbles,                         \
    .nibble_table = sonde__signs_nibble_table, .binary = true, .learned_bytes = sonde__signs_learned_bytes,          \
    .save = sonde__signs_save, .drop = sonde__signs_drop

#endif
