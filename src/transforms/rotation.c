/* rotation.c: a random rotation: spreads what a few columns hold over all of them, and changes no length and no angle.
 *
 * dense  a random orthonormal matrix: dim columns out, dim^2 multiply-adds a row
 * fht    four rounds of signs, Walsh-Hadamard and Kac steps: dim padded to a multiple of 64 columns out, about
 *        4 dim log2(dim) additions a row. (After Andoni et al. 2015; Jain, Pillai, Smith 2020.)
 *
 * Files hold the matrix or the signs themselves, so that what was encoded with them never depends on another machine's
 * rounding or random numbers.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/handle.h"
#include "kernels/blocks.h"
#include "linalg/linalg.h"
#include "transforms/linear.h"
#include "transforms/transform.h"

static uint64_t rotation_seed(const sonde_transform *transform)
{
    return (uint64_t)sonde__param_int(transform->params, "seed");
}

/* ---- dense: state is a sonde__linear --------------------------------------------------------------------------- */

/* Takes q over, also on failure. */
static sonde_status rotation_dense_adopt(sonde_transform *transform, float *q)
{
    sonde_status status = sonde__linear_make(transform->runtime, transform->dim, transform->dim, q, NULL,
                                             transform->state);
    if (status != SONDE_OK) sonde__free(transform->runtime, q);
    return status;
}

/* State exists from the start, so that load has a place to put the matrix. */
static sonde_status rotation_dense_make(sonde_transform *transform)
{
    sonde__linear *linear;
    float *q;
    SONDE_TRY(SONDE_NEW_ZERO(transform->runtime, linear, 1));
    transform->state = linear;
    if (transform->opening) return SONDE_OK;
    SONDE_TRY(SONDE_NEW(transform->runtime, q, transform->dim * transform->dim));
    sonde_status status = sonde__random_rotation(transform->runtime, transform->dim, rotation_seed(transform),
                                                 q);
    if (status == SONDE_OK) return rotation_dense_adopt(transform, q);
    sonde__free(transform->runtime, q);
    return status;
}

static void rotation_dense_apply(const sonde_transform *transform, const float *in, int64_t n, float *out)
{
    sonde__linear_apply(transform->state, in, n, out);
}

static void rotation_dense_back(const sonde_transform *transform, const float *in, int64_t n, float *out)
{
    sonde__linear_transposed(transform->state, in, n, out);
}

static sonde_status rotation_dense_save(const sonde_transform *transform, sonde__writer *writer)
{
    const sonde__linear *linear = transform->state;
    return sonde__write_array(writer, "ROTATION", linear->matrix, (uint64_t)(linear->in * linear->out),
                              sizeof(float));
}

static sonde_status rotation_dense_load(sonde_transform *transform, sonde__reader *reader)
{
    float *q = NULL;
    SONDE_TRY(sonde__handle_floats(transform->runtime, reader, "ROTATION",
                                   (uint64_t)(transform->dim * transform->dim), &q));
    return rotation_dense_adopt(transform, q);
}

static void rotation_dense_drop(sonde_transform *transform)
{
    if (transform->state) sonde__linear_drop(transform->runtime, transform->state);
    sonde__free(transform->runtime, transform->state);
}

/* ---- fht: state is the sign bits ------------------------------------------------------------------------------- */

static sonde_status rotation_fht_make(sonde_transform *transform)
{
    uint8_t *signs;
    SONDE_TRY(SONDE_NEW_ZERO(transform->runtime, signs, sonde__fht_sign_bytes(transform->dim)));
    transform->state = signs;
    if (!transform->opening) sonde__fht_signs(transform->dim, rotation_seed(transform), signs);
    return SONDE_OK;
}

static void rotation_fht_apply(const sonde_transform *transform, const float *in, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++)
        sonde__fht_rotate(transform->dim, transform->state, in + i * transform->dim,
                          out + i * transform->dim_out);
}

static void rotation_fht_back(const sonde_transform *transform, const float *in, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++)
        sonde__fht_rotate_back(transform->dim, transform->state, in + i * transform->dim_out,
                               out + i * transform->dim);
}

static sonde_status rotation_fht_save(const sonde_transform *transform, sonde__writer *writer)
{
    return sonde__write_array(writer, "SIGNS", transform->state,
                              (uint64_t)sonde__fht_sign_bytes(transform->dim), 1);
}

/* Any bits are signs, so size and checksum are all there is to check. */
static sonde_status rotation_fht_load(sonde_transform *transform, sonde__reader *reader)
{
    sonde__blob blob;
    SONDE_TRY(
        sonde__read_array(reader, "SIGNS", (uint64_t)sonde__fht_sign_bytes(transform->dim), 1, true, &blob));
    memcpy(transform->state, blob.data, blob.bytes);
    sonde__blob_free(transform->runtime, &blob);
    return SONDE_OK;
}

static void rotation_fht_drop(sonde_transform *transform)
{
    sonde__free(transform->runtime, transform->state);
}

/* ---- the method ------------------------------------------------------------------------------------------------ */

static sonde_status rotation_create(sonde_transform *transform);

static const sonde__key rotation_keys[] = {
    {"seed", SONDE__KEY_INT, "1", 0, 9007199254740992.0, NULL, NULL, "which rotation"},
    {"kind", SONDE__KEY_WORD, "dense", 0, 0, "dense|fht", NULL,
     "any rotation, or a fast one that pads to a multiple of 64 columns"},
    {0},
};

#define ROTATION_METHOD {"rotation", "a random rotation: lengths and angles stay, columns become alike", \
                         "QR of a Gaussian matrix; fast: Andoni et al. 2015, Jain, Pillai, Smith 2020", rotation_keys, \
                         sonde__vectors_input, NULL, NULL}

const sonde__transform_method sonde__transform_rotation = {
    .method = ROTATION_METHOD,
    .create = rotation_create,
    .apply = rotation_dense_apply,
    .apply_inverse = rotation_dense_back,
    .save = rotation_dense_save,
    .load = rotation_dense_load,
    .drop = rotation_dense_drop,
};

static const sonde__transform_method rotation_fht = {
    .method = ROTATION_METHOD,
    .create = rotation_create,
    .apply = rotation_fht_apply,
    .apply_inverse = rotation_fht_back,
    .save = rotation_fht_save,
    .load = rotation_fht_load,
    .drop = rotation_fht_drop,
};

/* The handle goes on with the table of the kind that its spec asks for. */
static sonde_status rotation_create(sonde_transform *transform)
{
    transform->trained = true;
    transform->dim_out = transform->dim;
    if (!sonde__param_is(transform->params, "kind", "fht")) return rotation_dense_make(transform);
    transform->method = &rotation_fht;
    transform->dim_out = sonde__fht_padded(transform->dim);
    return rotation_fht_make(transform);
}
