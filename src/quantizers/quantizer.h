/* quantizer.h: the internal door of the quantizers room, and what a method's file must supply.
 *
 * Scores on codes reduce to one thing, the inner product of a query with a reconstruction: l2, ip and cosine follow from
 * it with one stored number a row (docs/metrics.md). So a method supplies a query table and a scan, and nothing else.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_QUANTIZER_H
#define SONDE_SRC_QUANTIZER_H

#include "base/base.h"

typedef struct sonde__quantizer_method {
    sonde__method method; /* name, keys, inputs */
    /* Reads quantizer->params, checks them against dim, sets code_bytes and min_rows; `trained` = true if nothing is to
     * be learned. */
    sonde_status (*create)(sonde_quantizer *quantizer);
    /* n x dim packed rows, finite, n >= min_rows. Builds a new state and swaps it in at the end. NULL: nothing to learn. */
    sonde_status (*train)(sonde_quantizer *quantizer, const float *x, int64_t n, int threads);
    /* These are serial and thread-safe, called on chunks of rows. Scratch comes from the runtime. */
    sonde_status (*encode)(const sonde_quantizer *quantizer, const float *x, int64_t ldx, int64_t n, uint8_t *codes,
                           int64_t stride);
    void (*decode)(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n, float *x, int64_t ldx);
    /* true if the code is one that encode can produce (padding bits zero, numbers in range). NULL: all are. */
    bool (*valid)(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n);
    /* One query: a table of table_bytes (64-byte aligned), then ip[i] = <query, decode(code i)>. */
    int64_t (*table_bytes)(const sonde_quantizer *quantizer);
    void (*table)(const sonde_quantizer *quantizer, const float *query, void *table);
    void (*scan)(const sonde_quantizer *quantizer, const void *table, const uint8_t *codes, int64_t stride, int64_t n,
                 float *ip);
    /* Up to kernels->lanes queries at once, from their tables, or NULL: tile[i * lanes + lane], the values that scan gives:
     * to the bit where integers are summed (sq), else up to the order of summation (raw). */
    int64_t (*panel_bytes)(const sonde_quantizer *quantizer);
    void (*panel)(const sonde_quantizer *quantizer, const void *const *tables, int64_t count, void *panel);
    void (*scan_panel)(const sonde_quantizer *quantizer, const void *panel, const uint8_t *codes, int64_t stride, int64_t n,
                       float *tile);
    /* Memory of the learned parts, known before training. NULL: nothing worth counting. */
    uint64_t (*learned_bytes)(const sonde_quantizer *quantizer);
    sonde_status (*save)(const sonde_quantizer *quantizer, sonde__writer *writer);
    sonde_status (*load)(sonde_quantizer *quantizer, sonde__reader *reader);
    void (*drop)(sonde_quantizer *quantizer); /* frees state; state may be NULL */
    bool exact; /* decode(encode(x)) == x to the bit for f32 input */
    bool refuses; /* encode can refuse finite rows (f16: too large), so the public encode tries before it writes */
} sonde__quantizer_method;

struct sonde_quantizer {
    sonde_runtime *runtime;
    sonde__params *params;
    const sonde__quantizer_method *method; /* create may put a variant of its own here, for what the spec asks */
    int64_t dim, code_bytes;
    int64_t min_rows; /* fewest rows that training accepts */
    bool trained;
    void *state; /* the method's own */
};

extern const sonde__noun sonde__quantizer_noun;

/* Parallel encode and train on packed f32 rows, for owners of a child quantizer. */
sonde_status sonde__quantizer_train_f32(sonde_quantizer *quantizer, const float *x, int64_t n, int threads);
/* The child part of another handle's file. */
sonde_status sonde__quantizer_write(const sonde_quantizer *quantizer, sonde__writer *writer, const char *child);
sonde_status sonde__quantizer_read(sonde_runtime *runtime, sonde__reader *reader, const char *child,
                                   sonde_quantizer **quantizer);

#endif
