/* sonde/quantizer.h: vectors to codes and back, and scores on codes, such as pq(m=48, bits=8), sq(bits=4), kmeans(k=1024).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_QUANTIZER_H
#define SONDE_QUANTIZER_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A learned or fixed map from vectors of `dim` columns to codes of a fixed number of bytes. */
typedef struct sonde_quantizer sonde_quantizer;

/* Makes a quantizer for vectors of `dim` columns (1..65536) from a spec ("sonde list quantizer" names the methods).
 * INVALID_ARGUMENT (the message says what would fit, such as values of m that divide dim), NOT_FOUND, OUT_OF_MEMORY.
 * Class A. Since 1.0. */
SONDE_API sonde_status sonde_quantizer_create(const char *spec, int64_t dim, sonde_runtime *runtime,
                                              sonde_quantizer **quantizer);

/* Learns from named inputs; every method takes "vectors" (n x dim, any numeric dtype, n at least what the method asks
 * for). Replaces what was learned before; on failure or cancel the old state stays. The result depends on data, spec and
 * instruction set, never on threads. Class C. Since 1.0. */
SONDE_API sonde_status sonde_quantizer_train(sonde_quantizer *quantizer, const sonde_input *inputs, size_t count);

/* codes[i] = code of vectors[i]. vectors: n x dim; codes: n x sonde_quantizer_code_bytes, u8, yours. STATE if untrained,
 * INVALID_ARGUMENT for NaN and infinities. Class A. Since 1.0. */
SONDE_API sonde_status sonde_quantizer_encode(const sonde_quantizer *quantizer, const sonde_array *vectors,
                                              sonde_array *codes);

/* vectors[i] = reconstruction of codes[i]; vectors: n x dim, f32, yours. CORRUPT if a code is none of this quantizer's.
 * Class A. Since 1.0. */
SONDE_API sonde_status sonde_quantizer_decode(const sonde_quantizer *quantizer, const sonde_array *codes,
                                              sonde_array *vectors);

/* scores[i][j] = score of query i with the reconstruction of code j, computed on the codes (asymmetric). metric: a
 * sonde_metric but HAMMING. queries: nq x dim; codes: n x code_bytes; scores: nq x n, f32, yours. Time
 * O(nq (dim + n code_bytes)). Class A. Since 1.0. */
SONDE_API sonde_status sonde_quantizer_distances(const sonde_quantizer *quantizer, uint32_t metric,
                                                 const sonde_array *queries, const sonde_array *codes,
                                                 sonde_array *scores);

/* Columns of a vector; bytes of a code; 0 for NULL. Class A. Since 1.0. */
SONDE_API int64_t sonde_quantizer_dim(const sonde_quantizer *quantizer);
SONDE_API int64_t sonde_quantizer_code_bytes(const sonde_quantizer *quantizer);

/* true once it can encode. Class A. Since 1.0. */
SONDE_API bool sonde_quantizer_trained(const sonde_quantizer *quantizer);

/* The full spec with every default filled in. Lives as long as the handle. Class A. Since 1.0. */
SONDE_API const char *sonde_quantizer_spec(const sonde_quantizer *quantizer);

/* Writes one file, atomically; opens it again (options NULL = defaults). Class A. Since 1.0. */
SONDE_API sonde_status sonde_quantizer_save(const sonde_quantizer *quantizer, const char *path);
SONDE_API sonde_status sonde_quantizer_open(const char *path, const sonde_open_options *options,
                                            sonde_runtime *runtime, sonde_quantizer **quantizer);

/* The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0. */
SONDE_API sonde_status sonde_quantizer_save_buffer(const sonde_quantizer *quantizer, void *buffer, size_t capacity,
                                                   size_t *length);
SONDE_API sonde_status sonde_quantizer_open_buffer(const void *buffer, size_t length,
                                                   const sonde_open_options *options, sonde_runtime *runtime,
                                                   sonde_quantizer **quantizer);

/* Class C. Since 1.0. */
SONDE_API void sonde_quantizer_free(sonde_quantizer *quantizer);

#ifdef __cplusplus
}
#endif

#endif
