/* blocks.c: walks the rows of any numeric view in blocks of f32.
 *
 * Problem: every method works on f32 rows, and callers bring five element types with any stride and alignment.
 * Idea: one parallel walk that converts a block at a time into scratch (about 256 KiB, so that it stays in the cache),
 * and passes f32 rows through where they lie.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernels/blocks.h"

#include "kernels/kernels.h"

#define BLOCK_TARGET_BYTES (256 * 1024)

const sonde__input_key sonde__vectors_input[] = {
    {"vectors", "n x dim", SONDE__DTYPES_NUMERIC, true, "the rows to learn from", "train"},
    {0},
};

struct block_walk {
    sonde_runtime *runtime;
    const sonde_array *rows;
    sonde__block_fn fn;
    void *context;
};

/* Rows that can be read in place: f32 at addresses that fit a float. */
static bool block_in_place(const sonde_array *rows)
{
    return rows->dtype == SONDE_DTYPE_F32 && (uintptr_t)rows->data % sizeof(float) == 0 &&
           rows->stride % (int64_t)sizeof(float) == 0;
}

/* One block in place, or through scratch. */
static sonde_status block_run(const struct block_walk *walk, int64_t begin, int64_t count,
                              sonde__scratch *scratch)
{
    const sonde_array *rows = walk->rows;
    if (block_in_place(rows)) {
        const float *x = (const float *)(const void *)sonde__array_row(rows, begin);
        return walk->fn(walk->context, x, rows->stride / (int64_t)sizeof(float), begin, count, scratch);
    }
    float *x;
    SONDE_TRY(SONDE_SCRATCH(scratch, x, count * rows->cols));
    sonde__rows_to_f32(rows, begin, count, x, rows->cols);
    return walk->fn(walk->context, x, rows->cols, begin, count, scratch);
}

/* Scratch is taken anew for each block: it is kept warm by the runtime, and blocks are large. */
static sonde_status block_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct block_walk *walk = context;
    sonde__scratch *scratch = NULL;
    (void)worker;
    SONDE_TRY(sonde__scratch_take(walk->runtime, &scratch));
    sonde_status status = block_run(walk, begin, end - begin, scratch);
    sonde__scratch_give(walk->runtime, scratch);
    return status;
}

sonde_status sonde__blocks_each(sonde_runtime *runtime, int threads, const sonde_array *rows,
                                const char *stage, sonde__block_fn fn, void *context)
{
    struct block_walk walk = {runtime, rows, fn, context};
    int64_t fitting = BLOCK_TARGET_BYTES / (rows->cols * (int64_t)sizeof(float));
    int64_t grain = sonde__max_i64(8, sonde__min_i64(fitting, 1024));
    if (rows->rows == 0) return SONDE_OK;
    return sonde__parallel_for(runtime, threads, rows->rows, grain, stage, block_chunk, &walk);
}

static sonde_status block_copy(void *context, const float *x, int64_t ldx, int64_t begin, int64_t count,
                               sonde__scratch *scratch)
{
    const sonde_array *out = context;
    (void)scratch;
    for (int64_t i = 0; i < count; i++)
        memcpy((uint8_t *)out->data + (begin + i) * out->stride, x + i * ldx, (size_t)out->stride);
    return SONDE_OK;
}

sonde_status sonde__blocks_pack(sonde_runtime *runtime, int threads, const sonde_array *rows,
                                sonde__packed_rows *packed)
{
    int64_t row_bytes = rows->cols * (int64_t)sizeof(float);
    *packed = (sonde__packed_rows){rows->data, rows->rows, NULL};
    if (block_in_place(rows) && rows->stride == row_bytes) return SONDE_OK;
    if (!(packed->owned = sonde__alloc(runtime, (uint64_t)rows->rows, (uint64_t)row_bytes)))
        return sonde__last_status();
    packed->x = packed->owned;
    sonde_array out = sonde_f32(packed->owned, rows->rows, rows->cols);
    sonde_status status = sonde__blocks_each(runtime, threads, rows, NULL, block_copy, &out);
    if (status != SONDE_OK) {
        sonde__free(runtime, packed->owned);
        packed->owned = NULL;
    }
    return status;
}

/* The order of checks: names, shape, count, values. Nothing is allocated before all have passed. */
sonde_status sonde__blocks_training(sonde_runtime *runtime, const sonde__method *method,
                                    const sonde_input *inputs, size_t count, int64_t dim, int64_t min_rows,
                                    const sonde_array **found, sonde__packed_rows *packed)
{
    sonde_array rows;
    SONDE_TRY(sonde__inputs_match(method, "train", "train", inputs, count, found));
    SONDE_TRY(sonde__array_check(found[0], "train: vectors", dim, SONDE__DTYPES_NUMERIC, &rows));
    if (rows.rows < min_rows)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "train: vectors has %lld rows, %s needs at least %lld",
                           (long long)rows.rows, method->name, (long long)min_rows);
    SONDE_TRY(sonde__array_check_finite(runtime, &rows, "train: vectors"));
    return sonde__blocks_pack(runtime, 0, &rows, packed);
}

int64_t sonde__blocks_sample(uint64_t seed, uint32_t stream, int64_t n, int64_t wanted, int64_t *rows)
{
    /* Selection sampling (Knuth, TAOCP 2, algorithm S): in one pass, already ascending. */
    sonde__rng rng;
    int64_t chosen = 0;
    sonde__rng_start(&rng, seed, stream, 0);
    wanted = sonde__min_i64(wanted, n);
    for (int64_t i = 0; chosen < wanted; i++)
        if ((int64_t)sonde__rng_below(&rng, (uint64_t)(n - i)) < wanted - chosen) rows[chosen++] = i;
    return chosen;
}
