/* index_sample.h: small indexes of every kind for the seeds of the fuzz targets and for the golden files: the same
 * rows on every machine, made of whole numbers so that no rounding can differ.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_TEST_INDEX_SAMPLE_H
#define SONDE_TEST_INDEX_SAMPLE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "sonde.h"

#define SAMPLE_DIM 8
#define SAMPLE_ROWS 48

typedef struct index_sample {
    const char *name, *spec;
    uint32_t dtype; /* of the rows that are added: F32 or BITS */
} index_sample;

static const index_sample index_samples[] = {
    {"flat", "flat", SONDE_DTYPE_F32},
    {"flat-cosine-f16", "flat(metric=cosine, dtype=f16)", SONDE_DTYPE_F32},
    {"flat-ip-i8", "flat(metric=ip, dtype=i8)", SONDE_DTYPE_F32},
    {"flat-bits", "flat(metric=hamming, dtype=bits)", SONDE_DTYPE_BITS},
    {"ivf", "ivf(nlist=3)", SONDE_DTYPE_F32},
    {"ivf-auto", "ivf(metric=ip)", SONDE_DTYPE_F32},
    {"ivf-sq8-f16", "ivf(nlist=3, metric=cosine, code=sq(bits=8), refine=f16)", SONDE_DTYPE_F32},
    {"ivf-sq4-residual", "ivf(nlist=2, code=sq(bits=4), residual=yes)", SONDE_DTYPE_F32},
    {"ivf-pq4-f32", "ivf(nlist=3, code=pq(m=4, bits=4), refine=f32)", SONDE_DTYPE_F32},
    {"ivf-pq5", "ivf(nlist=2, code=pq(m=3, bits=5, pad=yes), residual=no)", SONDE_DTYPE_F32},
    {"ivf-kmeans", "ivf(nlist=2, code=kmeans(k=11))", SONDE_DTYPE_F32},
};
#define INDEX_SAMPLES (sizeof index_samples / sizeof index_samples[0])

/* Column j of row i: whole numbers in -9..9 around one of three centres, no row twice. */
static inline float sample_value(int64_t i, int64_t j)
{
    uint32_t hash = (uint32_t)(i * 2654435761u + j * 40503u + 12345);
    hash ^= hash >> 15;
    hash *= 2246822519u;
    hash ^= hash >> 13;
    return (float)((int)(hash % 7) - 3 + (int)((i + j) % 3) * 4 - 2);
}

/* Any rows from `first` on; storage holds n * SAMPLE_DIM floats (for bits more than enough). */
static inline sonde_array sample_rows(uint32_t dtype, int64_t first, int64_t n, float *storage)
{
    sonde_array rows = sonde_array_of(dtype, storage, n, SAMPLE_DIM);
    for (int64_t i = 0; i < n; i++) {
        uint8_t byte = 0;
        for (int64_t j = 0; j < SAMPLE_DIM; j++) {
            float value = sample_value(first + i, j);
            if (dtype == SONDE_DTYPE_F32) storage[i * SAMPLE_DIM + j] = value;
            byte = (uint8_t)(byte | (value > 0) << j);
        }
        if (dtype == SONDE_DTYPE_BITS) ((uint8_t *)storage)[i] = byte;
    }
    return rows;
}

/* The sample's index with SAMPLE_ROWS rows less two, after an upsert and a removal. */
static inline sonde_status sample_index(const index_sample *sample, sonde_runtime *runtime, sonde_index **index)
{
    float storage[SAMPLE_ROWS * SAMPLE_DIM];
    int64_t gone[] = {7, 30}, again = 5;
    sonde_array rows = sample_rows(sample->dtype, 0, SAMPLE_ROWS, storage);
    sonde_status status = sonde_index_create(sample->spec, SAMPLE_DIM, runtime, index);
    if (status == SONDE_OK) status = sonde_index_add(*index, &rows, NULL);
    rows = sample_rows(sample->dtype, 100, 1, storage);
    if (status == SONDE_OK) status = sonde_index_add(*index, &rows, &again);
    if (status == SONDE_OK) status = sonde_index_remove(*index, gone, 2, NULL);
    return status;
}

static inline int sample_fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, sonde_error_message());
    return 1;
}

#endif
