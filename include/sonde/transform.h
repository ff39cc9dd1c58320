/* sonde/transform.h: learned or fixed maps from vectors to vectors, such as rotation(seed=1), pca(dim=128), normalise.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_TRANSFORM_H
#define SONDE_TRANSFORM_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A learned or fixed map from vectors of `dim` columns to vectors of `dim_out` columns. */
typedef struct sonde_transform sonde_transform;

/* Makes a transform for vectors of `dim` columns (1..65536) from a spec ("sonde list transform" names the methods).
 * A method that learns nothing is ready at once. INVALID_ARGUMENT, NOT_FOUND, OUT_OF_MEMORY. Class A. Since 1.0. */
SONDE_API sonde_status sonde_transform_create(const char *spec, int64_t dim, sonde_runtime *runtime,
                                              sonde_transform **transform);

/* Learns from named inputs; every method that learns takes "vectors" (n x dim). Replaces what was learned before; on
 * failure or cancel the old state stays. INVALID_ARGUMENT, CANCELLED, ... Class C. Since 1.0. */
SONDE_API sonde_status sonde_transform_train(sonde_transform *transform, const sonde_input *inputs, size_t count);

/* out[i] = T(in[i]). in: n x dim, any numeric dtype; out: n x sonde_transform_dim_out, f32, yours; it may be the same
 * memory as `in` only if both are f32 of equal shape and stride. STATE if untrained. Time O(n dim dim_out) at most.
 * Class A. Since 1.0. */
SONDE_API sonde_status sonde_transform_apply(const sonde_transform *transform, const sonde_array *in, sonde_array *out);

/* The way back: in: n x dim_out, out: n x dim, f32. Exact for rotations, least squares for projections, UNSUPPORTED
 * where there is none (normalise). Class A. Since 1.0. */
SONDE_API sonde_status sonde_transform_apply_inverse(const sonde_transform *transform, const sonde_array *in,
                                                     sonde_array *out);

/* Columns that go in and come out; 0 for NULL. Class A. Since 1.0. */
SONDE_API int64_t sonde_transform_dim(const sonde_transform *transform);
SONDE_API int64_t sonde_transform_dim_out(const sonde_transform *transform);

/* true once it can be applied. Class A. Since 1.0. */
SONDE_API bool sonde_transform_trained(const sonde_transform *transform);

/* The full spec with every default filled in. Lives as long as the handle. Class A. Since 1.0. */
SONDE_API const char *sonde_transform_spec(const sonde_transform *transform);

/* Writes one file, atomically; opens it again (options NULL = defaults). IO, CORRUPT, INCOMPATIBLE (the file holds
 * another noun), LIMIT. An untrained transform can be saved too. Class A. Since 1.0. */
SONDE_API sonde_status sonde_transform_save(const sonde_transform *transform, const char *path);
SONDE_API sonde_status sonde_transform_open(const char *path, const sonde_open_options *options,
                                            sonde_runtime *runtime, sonde_transform **transform);

/* The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0. */
SONDE_API sonde_status sonde_transform_save_buffer(const sonde_transform *transform, void *buffer, size_t capacity,
                                                   size_t *length);
SONDE_API sonde_status sonde_transform_open_buffer(const void *buffer, size_t length,
                                                   const sonde_open_options *options, sonde_runtime *runtime,
                                                   sonde_transform **transform);

/* Class C. Since 1.0. */
SONDE_API void sonde_transform_free(sonde_transform *transform);

#ifdef __cplusplus
}
#endif

#endif
