/* blocks.h: the rows of any numeric view, handed out as blocks of f32, and what training takes from them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_BLOCKS_H
#define SONDE_SRC_BLOCKS_H

#include "base/base.h"

/* The input table of methods that learn from "vectors" alone. */
extern const sonde__input_key sonde__vectors_input[];

/* Rows [begin, begin + count) as f32, ldx elements from one to the next. x may be the caller's own memory. Scratch is
 * for the function's use; what it takes goes back after the call. */
typedef sonde_status (*sonde__block_fn)(void *context, const float *x, int64_t ldx, int64_t begin,
                                        int64_t count, sonde__scratch *scratch);

/* Calls fn for all blocks of a checked view, in parallel. Block boundaries depend on the shape only. */
sonde_status sonde__blocks_each(sonde_runtime *runtime, int threads, const sonde_array *rows,
                                const char *stage, sonde__block_fn fn, void *context);

/* A whole view as packed f32. `owned` is NULL where the caller's memory serves as it is. */
typedef struct sonde__packed_rows {
    const float *x;
    int64_t n;
    float *owned;
} sonde__packed_rows;
sonde_status sonde__blocks_pack(sonde_runtime *runtime, int threads, const sonde_array *rows,
                                sonde__packed_rows *packed);

/* What train does first, for methods whose table begins with "vectors": matches inputs; checks shape, count and finiteness
 * of the vectors; packs them. found[i] (room for SONDE__INPUTS_MOST, all NULL) is then the input for row i of the table. */
sonde_status sonde__blocks_training(sonde_runtime *runtime, const sonde__method *method,
                                    const sonde_input *inputs, size_t count, int64_t dim, int64_t min_rows,
                                    const sonde_array **found, sonde__packed_rows *packed);

/* `wanted` distinct numbers below n (all if wanted >= n), ascending, chosen by (seed, stream); returns how many. */
int64_t sonde__blocks_sample(uint64_t seed, uint32_t stream, int64_t n, int64_t wanted, int64_t *rows);

#endif
