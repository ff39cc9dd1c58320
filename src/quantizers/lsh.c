/* lsh.c: signs of random projections: two rows differ in a bit with probability angle / pi, so the Hamming distance
 * of their codes estimates the angle between them. (Charikar 2002.)
 *
 *     bit b = <a_b, x - mean> > 0        decode = mean + scale * sum of +-a_b, the scale of least squared error
 *
 * center=yes takes the mean of the training rows for the origin: without it a bit of off-centre rows is nearly
 * constant. orth=yes orthonormalises the directions in blocks of dim: still each is uniform, and together they repeat
 * each other less, so the estimate varies less. (Ji, Li, Yan, Zhang, Tian: Super-Bit LSH, 2012.)
 *
 * Where dim is a multiple of 64, the rotation that gives a block is one of signs and Walsh-Hadamard transforms
 * (random_rotation.c) instead of a dense one. A row is then turned rather than multiplied with each direction, which
 * is cheaper from LSH_TURN_BITS bits on. (Such rotations for LSH: Andoni, Indyk, Laarhoven, Razenshteyn, Schmidt:
 * Practical and optimal LSH for angular distance, 2015.) The matrix is kept as well: it serves the scores, and files
 * hold it. Whether it is the rotation of the seed is found out by comparing, so a file cannot make the two differ.
 *
 * Scores of a query are inner products with that reconstruction (asymmetric). Hamming distance compares codes.
 * Cost: encoding dim x bits multiply-adds a row, or about 2 log2(dim) x bits additions of a turn; training one QR of
 * each dense block and a pass over 16384 rows at most.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "kernels/blocks.h"
#include "linalg/linalg.h"
#include "quantizers/signs.h"

enum { LSH_SAMPLE = 16384, LSH_TURN_DIM = 64, LSH_TURN_BITS = 64 };
#define LSH_TURN_ERROR 1e-5 /* of an entry of a unit vector that was turned in floats */

/* The hooks of signs.h find the signs at the beginning. */
struct lsh {
    sonde__signs signs;
    bool turned;     /* the directions are the rows of the rotations below */
    uint8_t turns[]; /* the random signs of each block's rotation */
};

static bool lsh_orthonormal(const sonde_quantizer *quantizer)
{
    return sonde__param_is(quantizer->params, "orth", "yes");
}

static uint64_t lsh_seed(const sonde_quantizer *quantizer)
{
    return (uint64_t)sonde__param_int(quantizer->params, "seed");
}

/* ---- directions by turning -------------------------------------------------------------------------------------- */

/* Whether orthonormal directions come from fast rotations, which then have neither more nor fewer than dim of them. */
static bool lsh_turns(const sonde_quantizer *quantizer)
{
    return lsh_orthonormal(quantizer) && quantizer->dim % LSH_TURN_DIM == 0;
}

static int64_t lsh_blocks(int64_t bits, int64_t dim) { return (bits + dim - 1) / dim; }

static const uint8_t *lsh_turn(const struct lsh *lsh, int64_t dim, int64_t block)
{
    return lsh->turns + block * sonde__fht_sign_bytes(dim);
}

/* Direction b is what its rotation takes to axis b % dim. unit: dim floats. */
static void lsh_direction(const struct lsh *lsh, int64_t dim, int64_t b, float *unit, float *direction)
{
    memset(unit, 0, (size_t)dim * sizeof *unit);
    unit[b % dim] = 1;
    sonde__fht_rotate_back(dim, lsh_turn(lsh, dim, b / dim), unit, direction);
}

static sonde_status lsh_directions(const sonde_quantizer *quantizer, float *matrix)
{
    const struct lsh *lsh = quantizer->state;
    int64_t dim = quantizer->dim, bits = lsh->signs.bits;
    float *unit;
    if (!lsh_turns(quantizer))
        return sonde__directions_random(quantizer->runtime, dim, bits, lsh_orthonormal(quantizer),
                                        lsh_seed(quantizer), matrix);
    SONDE_TRY(SONDE_NEW(quantizer->runtime, unit, dim));
    for (int64_t b = 0; b < bits; b++) lsh_direction(lsh, dim, b, unit, matrix + b * dim);
    sonde__free(quantizer->runtime, unit);
    return SONDE_OK;
}

/* Whether the directions that are there are those of the rotations, all of them. */
static sonde_status lsh_compare(const sonde_quantizer *quantizer, bool *same)
{
    const struct lsh *lsh = quantizer->state;
    int64_t dim = quantizer->dim;
    float *unit;
    *same = lsh_turns(quantizer);
    SONDE_TRY(SONDE_NEW(quantizer->runtime, unit, 2 * dim));
    for (int64_t b = 0; *same && b < lsh->signs.bits; b++) {
        const float *there = lsh->signs.directions.matrix + b * dim;
        lsh_direction(lsh, dim, b, unit, unit + dim);
        for (int64_t j = 0; j < dim; j++) *same &= fabs((double)there[j] - unit[dim + j]) <= LSH_TURN_ERROR;
    }
    sonde__free(quantizer->runtime, unit);
    return SONDE_OK;
}

/* ---- the method ------------------------------------------------------------------------------------------------- */

static sonde_status lsh_create(sonde_quantizer *quantizer)
{
    struct lsh *lsh;
    int64_t bits = sonde__param_int(quantizer->params, "bits"), dim = quantizer->dim;
    int64_t blocks = lsh_turns(quantizer) ? lsh_blocks(bits, dim) : 0, each = sonde__fht_sign_bytes(dim);
    lsh = sonde__alloc_zero(quantizer->runtime, 1, sizeof *lsh + (uint64_t)(blocks * each));
    if (!lsh) return sonde__last_status();
    for (int64_t block = 0; block < blocks; block++)
        sonde__fht_signs(dim, lsh_seed(quantizer) + (uint64_t)block, lsh->turns + block * each);
    quantizer->sample_rows = LSH_SAMPLE;
    sonde__signs_attach(quantizer, &lsh->signs, bits);
    return SONDE_OK;
}

static sonde_status lsh_train(sonde_quantizer *quantizer, const sonde__training *training)
{
    struct lsh *lsh = quantizer->state;
    sonde_runtime *runtime = quantizer->runtime;
    sonde__signs_parts parts;
    float *x = NULL;
    int64_t n = 0;
    SONDE_TRY(sonde__signs_parts_new(quantizer, false, &parts));
    sonde_status status =
        sonde__signs_sample(runtime, training, quantizer->dim, LSH_SAMPLE, lsh_seed(quantizer),
                            sonde__param_is(quantizer->params, "center", "yes"), parts.center, &x, &n);
    double deviation = status == SONDE_OK ? sonde__signs_normalise(x, n * quantizer->dim) : 0;
    if (status == SONDE_OK) status = lsh_directions(quantizer, parts.matrix);
    if (status == SONDE_OK) status = sonde__signs_finish(quantizer, x, n, deviation, &parts);
    else sonde__signs_parts_drop(runtime, &parts);
    if (status == SONDE_OK) lsh->turned = lsh_turns(quantizer);
    sonde__free(runtime, x);
    return status;
}

static sonde_status lsh_load(sonde_quantizer *quantizer, sonde__reader *reader)
{
    struct lsh *lsh = quantizer->state;
    SONDE_TRY(sonde__signs_load(quantizer, reader));
    return lsh_compare(quantizer, &lsh->turned);
}

static sonde_status lsh_encode_turned(const sonde_quantizer *quantizer, const float *x, int64_t ldx, int64_t n,
                                      uint8_t *codes, int64_t stride)
{
    const struct lsh *lsh = quantizer->state;
    int64_t dim = quantizer->dim, blocks = lsh_blocks(lsh->signs.bits, dim);
    sonde__scratch *scratch = NULL;
    float *y;
    SONDE_TRY(sonde__scratch_take(quantizer->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, y, blocks * dim);
    for (int64_t i = 0; status == SONDE_OK && i < n; i++) {
        for (int64_t block = 0; block < blocks; block++)
            sonde__fht_rotate(dim, lsh_turn(lsh, dim, block), x + i * ldx, y + block * dim);
        sonde__signs_pack(&lsh->signs, y, codes + i * stride);
    }
    sonde__scratch_give(quantizer->runtime, scratch);
    return status;
}

static sonde_status lsh_encode(const sonde_quantizer *quantizer, const float *x, int64_t ldx, int64_t n,
                               uint8_t *codes, int64_t stride)
{
    const struct lsh *lsh = quantizer->state;
    if (lsh->turned && lsh->signs.bits >= LSH_TURN_BITS)
        return lsh_encode_turned(quantizer, x, ldx, n, codes, stride);
    return sonde__signs_encode(quantizer, x, ldx, n, codes, stride);
}

static const sonde__key lsh_keys[] = {
    {"bits", SONDE__KEY_INT, "128", 1, SONDE__MAX_DIM, NULL, NULL, "bits of a code: random directions"},
    {"center", SONDE__KEY_WORD, "yes", 0, 0, "yes|no", NULL, "subtract the mean of the training rows"},
    {"orth", SONDE__KEY_WORD, "yes", 0, 0, "yes|no", NULL,
     "orthonormal directions, in blocks of the number of columns"},
    {"seed", SONDE__KEY_INT, "1", 0, 9007199254740992.0, NULL, NULL, "of the directions and of the sample"},
    {0},
};

const sonde__quantizer_method sonde__quantizer_lsh = {
    .method = {"lsh", "signs of random projections, orthonormal ones unless told otherwise",
               "Charikar: Similarity estimation techniques from rounding algorithms (2002)", lsh_keys,
               sonde__vectors_input, NULL, NULL},
    .create = lsh_create,
    .train = lsh_train,
    .encode = lsh_encode,
    .load = lsh_load,
    SONDE__SIGNS_OTHER_HOOKS,
};
