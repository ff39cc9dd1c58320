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
 * for). count 0: learns from what sonde_quantizer_observe has kept, and lets it go. Replaces what was learned before; on
 * failure or cancel the old state stays. The result depends on data, spec and instruction set, never on threads. Class C.
 * Since 1.0. */
SONDE_API sonde_status sonde_quantizer_train(sonde_quantizer *quantizer, const sonde_input *inputs, size_t count);

/* Shows rows to learn from that come piece by piece: keeps a uniform sample of all rows seen so far, as many as training
 * can use (the key `sample` where the method has one), for sonde_quantizer_train with count 0. inputs: "vectors" alone. The
 * sample depends on the order of the rows, not on how they were cut into pieces. Class C. Since 1.0. */
SONDE_API sonde_status sonde_quantizer_observe(sonde_quantizer *quantizer, const sonde_input *inputs, size_t count);

/* Trains, and gives the group of each row of "vectors": labels: n, yours, 0..groups - 1. For methods that cluster
 * (kmeans, ppp); with kmeans(balance=...) the sizes of the groups keep the limits of the spec on exactly these rows, which
 * encoding them afterwards need not. UNSUPPORTED for other methods. Class C. Since 1.0. */
SONDE_API sonde_status sonde_quantizer_cluster(sonde_quantizer *quantizer, const sonde_input *inputs, size_t count,
                                               int32_t *labels);

/* One of the named results of training, such as the centroids of kmeans ("sonde list quantizer NAME" names a method's
 * outputs). A view of the quantizer's memory that stays until the next train, cluster or free. NOT_FOUND, STATE before
 * training. Class A. Since 1.0. */
SONDE_API sonde_status sonde_quantizer_output(const sonde_quantizer *quantizer, const char *name, sonde_array *view);

/* codes[i] = code of vectors[i]. vectors: n x dim; codes: n x sonde_quantizer_code_bytes, u8, yours. STATE if untrained,
 * INVALID_ARGUMENT for NaN and infinities. Class A. Since 1.0. */
SONDE_API sonde_status sonde_quantizer_encode(const sonde_quantizer *quantizer, const sonde_array *vectors,
                                              sonde_array *codes);

/* vectors[i] = reconstruction of codes[i]; vectors: n x dim, f32, yours. CORRUPT if a code is none of this quantizer's.
 * Class A. Since 1.0. */
SONDE_API sonde_status sonde_quantizer_decode(const sonde_quantizer *quantizer, const sonde_array *codes,
                                              sonde_array *vectors);

/* scores[i][j] = score of query i with the reconstruction of code j, computed on the codes (asymmetric). metric: a
 * sonde_metric; HAMMING for codes of bits only (lsh, itq, ...): the query is encoded first. queries: nq x dim; codes: n x
 * code_bytes; scores: nq x n, f32, yours. Time O(nq (dim + n code_bytes)). UNSUPPORTED. Class A. Since 1.0. */
SONDE_API sonde_status sonde_quantizer_distances(const sonde_quantizer *quantizer, uint32_t metric,
                                                 const sonde_array *queries, const sonde_array *codes,
                                                 sonde_array *scores);

/* scores[i][j] = score of the reconstructions of codes i and j (symmetric). from: nq x code_bytes; the rest as above.
 * Class A. Since 1.0. */
SONDE_API sonde_status sonde_quantizer_code_distances(const sonde_quantizer *quantizer, uint32_t metric,
                                                      const sonde_array *from, const sonde_array *codes,
                                                      sonde_array *scores);

/* sonde_quantizer_distances with an error bound for each score: the score of the query with the row that the code was
 * made from lies within scores[i][j] +- errors[i][j] with the probability that the method's page states (rabitq: 99.9 % of
 * pairs, 3.3 standard errors, unless its key eps0 says otherwise). metric: l2 or ip. errors: nq x n, f32, yours. UNSUPPORTED for
 * methods without a bound. Class A. Since 1.0. */
SONDE_API sonde_status sonde_quantizer_bounds(const sonde_quantizer *quantizer, uint32_t metric,
                                              const sonde_array *queries, const sonde_array *codes, sonde_array *scores,
                                              sonde_array *errors);

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
