/* golden.h: which files were kept for ever, and the numbers that each must give: shared by the generator and the
 * test.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_TEST_GOLDEN_H
#define SONDE_TEST_GOLDEN_H

#include <string.h>

#include "index_sample.h"

#define GOLDEN_ANSWERS "answers.txt"
#define GOLDEN_QUERIES 3
#define GOLDEN_K 4
#define GOLDEN_MOST 512 /* numbers of one file */

typedef struct golden_model {
    const char *name, *spec;
} golden_model;

static const golden_model golden_quantizers[] = {
    {"raw", "raw"},
    {"sq8", "sq(bits=8)"},
    {"sq4", "sq(bits=4, query=f32)"},
    {"sq-f16", "sq(bits=f16)"},
    {"pq4", "pq(m=4, bits=4)"},
    {"pq5-pad", "pq(m=3, bits=5, pad=yes)"},
    {"kmeans", "kmeans(k=11)"},
};
static const golden_model golden_transforms[] = {
    {"rotation", "rotation(seed=3)"},
    {"rotation-fht", "rotation(seed=3, kind=fht)"},
    {"pca", "pca(dim=3)"},
    {"normalise", "normalise"},
};
#define GOLDEN_QUANTIZERS (sizeof golden_quantizers / sizeof golden_quantizers[0])
#define GOLDEN_TRANSFORMS (sizeof golden_transforms / sizeof golden_transforms[0])

/* What a file gives: its spec and some numbers. */
typedef struct golden_answer {
    char spec[2048];
    int count;
    double number[GOLDEN_MOST];
} golden_answer;

static inline void golden_put(golden_answer *answer, double number)
{
    if (answer->count < GOLDEN_MOST) answer->number[answer->count++] = number;
}

static inline void golden_spec(golden_answer *answer, const char *spec)
{
    snprintf(answer->spec, sizeof answer->spec, "%s", spec);
}

/* Hits of a few queries at recall 1 as (id, score), the number of rows, one reconstructed row. */
static inline sonde_status golden_index(const char *path, const sonde_open_options *how, golden_answer *answer)
{
    sonde_index *index;
    sonde_index_stats stats = SONDE_INDEX_STATS_INIT;
    int64_t ids[GOLDEN_QUERIES * GOLDEN_K], some = 11;
    float scores[GOLDEN_QUERIES * GOLDEN_K], storage[GOLDEN_QUERIES * SAMPLE_DIM], row[SAMPLE_DIM] = {0};
    sonde_status status = sonde_index_open(path, how, NULL, &index);
    if (status != SONDE_OK) return status;
    uint32_t bits = sonde_index_metric(index) == SONDE_METRIC_HAMMING ? SONDE_DTYPE_BITS : SONDE_DTYPE_F32;
    sonde_array queries = sample_rows(bits, 20, GOLDEN_QUERIES, storage),
                out = sonde_array_of(bits, row, 1, SAMPLE_DIM);
    sonde_search_options search = SONDE_SEARCH_OPTIONS_INIT;
    sonde_hits hits = SONDE_HITS_INIT;
    search.k = GOLDEN_K;
    search.recall = 1;
    hits.ids = ids;
    hits.scores = scores;
    golden_spec(answer, sonde_index_spec(index));
    if ((status = sonde_index_check(index)) == SONDE_OK &&
        (status = sonde_index_stats_get(index, &stats)) == SONDE_OK &&
        (status = sonde_index_search(index, &queries, &search, &hits)) == SONDE_OK)
        status = sonde_index_get(index, &some, 1, &out);
    for (int i = 0; i < GOLDEN_QUERIES * GOLDEN_K; i++) {
        golden_put(answer, (double)ids[i]);
        golden_put(answer, scores[i]);
    }
    golden_put(answer, (double)stats.count);
    for (int j = 0; j < (bits == SONDE_DTYPE_BITS ? 1 : SAMPLE_DIM); j++)
        golden_put(answer, bits == SONDE_DTYPE_BITS ? ((uint8_t *)row)[0] : row[j]);
    sonde_index_free(index);
    return status;
}

/* Codes of a few rows, what they decode to, and scores on them. */
static inline sonde_status golden_quantizer(const char *path, const sonde_open_options *how, golden_answer *answer)
{
    sonde_quantizer *quantizer;
    float storage[GOLDEN_QUERIES * SAMPLE_DIM], near[GOLDEN_QUERIES * SAMPLE_DIM],
        score[GOLDEN_QUERIES * GOLDEN_QUERIES];
    uint8_t bytes[GOLDEN_QUERIES * SAMPLE_DIM * 4];
    sonde_status status = sonde_quantizer_open(path, how, NULL, &quantizer);
    if (status != SONDE_OK) return status;
    int64_t code_bytes = sonde_quantizer_code_bytes(quantizer);
    sonde_array rows = sample_rows(SONDE_DTYPE_F32, 20, GOLDEN_QUERIES, storage);
    sonde_array codes = sonde_u8(bytes, GOLDEN_QUERIES, code_bytes),
                out = sonde_f32(near, GOLDEN_QUERIES, SAMPLE_DIM);
    sonde_array scores = sonde_f32(score, GOLDEN_QUERIES, GOLDEN_QUERIES);
    golden_spec(answer, sonde_quantizer_spec(quantizer));
    if ((status = sonde_quantizer_encode(quantizer, &rows, &codes)) == SONDE_OK &&
        (status = sonde_quantizer_decode(quantizer, &codes, &out)) == SONDE_OK)
        status = sonde_quantizer_distances(quantizer, SONDE_METRIC_L2, &rows, &codes, &scores);
    for (int64_t i = 0; status == SONDE_OK && i < GOLDEN_QUERIES * code_bytes; i++) golden_put(answer, bytes[i]);
    for (int i = 0; status == SONDE_OK && i < GOLDEN_QUERIES * SAMPLE_DIM; i++) golden_put(answer, near[i]);
    for (int i = 0; status == SONDE_OK && i < GOLDEN_QUERIES * GOLDEN_QUERIES; i++) golden_put(answer, score[i]);
    sonde_quantizer_free(quantizer);
    return status;
}

/* What a few rows become. */
static inline sonde_status golden_transform(const char *path, const sonde_open_options *how, golden_answer *answer)
{
    sonde_transform *transform;
    float storage[GOLDEN_QUERIES * SAMPLE_DIM], mapped[GOLDEN_QUERIES * 64];
    sonde_status status = sonde_transform_open(path, how, NULL, &transform);
    if (status != SONDE_OK) return status;
    int64_t cols = sonde_transform_dim_out(transform);
    sonde_array rows = sample_rows(SONDE_DTYPE_F32, 20, GOLDEN_QUERIES, storage),
                out = sonde_f32(mapped, GOLDEN_QUERIES, cols);
    golden_spec(answer, sonde_transform_spec(transform));
    status = sonde_transform_apply(transform, &rows, &out);
    for (int64_t i = 0; status == SONDE_OK && i < GOLDEN_QUERIES * cols; i++) golden_put(answer, mapped[i]);
    sonde_transform_free(transform);
    return status;
}

typedef sonde_status (*golden_reader)(const char *path, const sonde_open_options *how, golden_answer *answer);

/* The position-th golden file; false past the end. */
static inline bool golden_at(size_t position, const char **noun, const char **name, golden_reader *read)
{
    *noun = "index";
    *read = golden_index;
    if (position < INDEX_SAMPLES) return *name = index_samples[position].name, true;
    position -= INDEX_SAMPLES;
    *noun = "quantizer";
    *read = golden_quantizer;
    if (position < GOLDEN_QUANTIZERS) return *name = golden_quantizers[position].name, true;
    position -= GOLDEN_QUANTIZERS;
    *noun = "transform";
    *read = golden_transform;
    return position < GOLDEN_TRANSFORMS ? *name = golden_transforms[position].name, true : false;
}

static inline void golden_path(const char *folder, const char *noun, const char *name, char path[512])
{
    snprintf(path, 512, "%s/%s-%s.sonde", folder, noun, name);
}

#endif
