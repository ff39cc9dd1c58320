/* fast.h: the fast scan of lists of 4-bit codes.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_FAST_H
#define SONDE_SRC_FAST_H

#include "indexes/index.h"

/* Where the parts of a row's score are: column 0 holds the numbers, blocked. */
typedef struct sonde__fast {
    const sonde_quantizer *code;
    int64_t nibbles;
    int scale_column, bias_column; /* f32 a row, or -1 */
    bool by_place;                 /* hits bear their places for ids, which are far from the codes: the caller fills them in */
} sonde__fast;

/* A query's table, 64-byte aligned: sonde__lane.table of the scan. */
int64_t sonde__fast_table_bytes(const sonde__fast *fast);
/* Floats of scratch that making one needs. */
int64_t sonde__fast_floats(const sonde__fast *fast);
void sonde__fast_table(const sonde__fast *fast, const float *query, float *scratch, void *table);

/* As sonde__scan_list: scores all live allowed rows of one list for `count` lanes that have tables. */
sonde_status sonde__fast_list(const sonde__fast *fast, const sonde__snapshot *snapshot, int64_t list, sonde__lane *lanes,
                              int64_t count);
/* Asks for what the scans of lists[1], [2] and [3] will read first, each step what the one before has brought the way to;
 * called before each of `count` lists is scanned, so that no scan waits for a chain of pointers. */
void sonde__fast_ahead(const sonde__fast *fast, const sonde__snapshot *snapshot, const int32_t *lists, int64_t count);

#endif
