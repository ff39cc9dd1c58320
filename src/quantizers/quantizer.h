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

/* What a method learns from. */
typedef struct sonde__training {
    const float *x; /* "vectors": n x dim packed rows, finite, n >= min_rows */
    int64_t n;
    /* The other inputs, by row of the method's table of inputs (checked: names, dtypes, finite values; columns and rows
     * are the method's to check); NULL where an owner trains on rows alone, and entries are NULL where not given. */
    const sonde_array *const *input;
    int threads;     /* 0 = the runtime's */
    int32_t *labels; /* the verb cluster: the group of each row, n of them, written on success only; else NULL */
} sonde__training;

typedef struct sonde__quantizer_method {
    sonde__method method; /* name, keys, inputs, outputs */
    /* Reads quantizer->params, checks them against dim, sets code_bytes, min_rows and sample_rows; `trained` = true if
     * nothing is to be learned. */
    sonde_status (*create)(sonde_quantizer *quantizer);
    /* Builds a new state and swaps it in at the end. NULL: nothing to learn. */
    sonde_status (*train)(sonde_quantizer *quantizer, const sonde__training *training);
    /* These are serial and thread-safe, called on chunks of rows. Scratch comes from the runtime. */
    sonde_status (*encode)(const sonde_quantizer *quantizer, const float *x, int64_t ldx, int64_t n, uint8_t *codes,
                           int64_t stride);
    void (*decode)(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n, float *x, int64_t ldx);
    /* true if the code is one that encode can produce (padding bits zero, numbers in range). NULL: all are. */
    bool (*valid)(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n);
    /* One query: a table of table_bytes (64-byte aligned), then ip[i] = the estimate of <query, row i>, which is <query,
     * decode(code i)>. */
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
    /* -- optional: what the codes of some methods can do besides --------------------------------------------------- */
    /* Fast scan. The first (nibbles + 1) / 2 bytes of a code are `nibbles` 4-bit numbers, low nibble first (an odd last
     * half byte is zero), and <query, row> is about  scale(code) * (base + sum over j of table[j * 16 + nibble j]).
     * 0: this spec has none; NULL: the method has none. finer (NULL: no): there is more in the code, and scan is the better
     * estimate. */
    int64_t (*nibbles)(const sonde_quantizer *quantizer);
    bool (*finer)(const sonde_quantizer *quantizer);
    void (*nibble_table)(const sonde_quantizer *quantizer, const float *query, float *table, float *base);
    void (*nibble_scales)(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n,
                          float *scale); /* NULL: 1 */
    /* What all rows get besides, whatever their scale. NULL: 0. */
    float (*nibble_offset)(const sonde_quantizer *quantizer, const float *query);
    /* error[i] so that |scan's ip[i] - <query, row i>| <= error[i] with the probability that the method's page states. */
    void (*errors)(const sonde_quantizer *quantizer, const float *query, const uint8_t *codes, int64_t stride, int64_t n,
                   float *error);
    /* The squared length that belongs to l2 and cosine beside scan's ip. NULL: that of the reconstruction. */
    void (*norms)(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n, float *norm2);
    /* ip[i] = <decode(code), decode(code i)>, faster or more exactly than scan with the decoded code can. */
    void (*pairs)(const sonde_quantizer *quantizer, const uint8_t *code, const uint8_t *codes, int64_t stride, int64_t n,
                  float *ip);
    /* The named results of training, by row of the method's table of outputs; memory of the state. */
    sonde_status (*output)(const sonde_quantizer *quantizer, int position, sonde_array *view);
    bool binary;   /* codes are dim-free bits: hamming distances mean something */
    bool clusters; /* train fills labels */
    /* -------------------------------------------------------------------------------------------------------------- */
    /* Memory of the learned parts, known before training. NULL: nothing worth counting. */
    uint64_t (*learned_bytes)(const sonde_quantizer *quantizer);
    sonde_status (*save)(const sonde_quantizer *quantizer, sonde__writer *writer);
    sonde_status (*load)(sonde_quantizer *quantizer, sonde__reader *reader);
    void (*drop)(sonde_quantizer *quantizer); /* frees state; state may be NULL */
    bool exact; /* decode(encode(x)) == x to the bit for f32 input */
    bool refuses; /* encode can refuse finite rows (f16: too large), so the public encode tries before it writes */
} sonde__quantizer_method;

typedef struct sonde__observed sonde__observed;

struct sonde_quantizer {
    sonde_runtime *runtime;
    sonde__params *params;
    const sonde__quantizer_method *method; /* create may put a variant of its own here, for what the spec asks */
    int64_t dim, code_bytes;
    int64_t min_rows;    /* fewest rows that training accepts */
    int64_t sample_rows; /* most rows that training can use, so that a stream need not keep more; 0 = 65536 */
    bool trained;
    void *state;              /* the method's own */
    sonde__observed *observed; /* rows kept for training; NULL = none */
};

extern const sonde__noun sonde__quantizer_noun;

/* quantizer.c, for distances.c: what every use asks first; as many rows as another argument; codes that the method could
 * have made; rows that one work item takes. */
sonde_status sonde__quantizer_ready(const sonde_quantizer *quantizer, const char *verb);
sonde_status sonde__quantizer_same_rows(const sonde_array *array, const char *what, int64_t rows, const char *other);
sonde_status sonde__quantizer_check_codes(const sonde_quantizer *quantizer, const sonde_array *codes, const char *verb);
int64_t sonde__quantizer_grain(const sonde_quantizer *quantizer);

/* observed.c: a uniform sample of the rows of a stream. */
sonde_status sonde__observed_add(sonde_runtime *runtime, sonde__observed **observed, const sonde_array *rows, int64_t most);
/* The sampled rows in the order of the stream, in new memory. */
sonde_status sonde__observed_rows(sonde_runtime *runtime, const sonde__observed *observed, float **x, int64_t *n);
void sonde__observed_free(sonde_runtime *runtime, sonde__observed *observed); /* NULL is fine */

/* Parallel encode and train on packed f32 rows, for owners of a child quantizer. */
sonde_status sonde__quantizer_train_f32(sonde_quantizer *quantizer, const float *x, int64_t n, int threads);
/* The child part of another handle's file. */
sonde_status sonde__quantizer_write(const sonde_quantizer *quantizer, sonde__writer *writer, const char *child);
sonde_status sonde__quantizer_read(sonde_runtime *runtime, sonde__reader *reader, const char *child,
                                   sonde_quantizer **quantizer);

#endif
