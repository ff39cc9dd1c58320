/* lsh.c: signs of random projections: two rows differ in a bit with probability angle / pi, so the Hamming distance
 * of their codes estimates the angle between them. (Charikar 2002.)
 *
 *     bit b = <a_b, x - mean> > 0        decode = mean + scale * sum of +-a_b, the scale of least squared error
 *
 * center=yes takes the mean of the training rows for the origin: without it a bit of off-centre rows is nearly
 * constant. orth=yes orthonormalises the directions in blocks of dim: still each is uniform, and together they repeat
 * each other less, so the estimate varies less. (Ji, Li, Yan, Zhang, Tian: Super-Bit LSH, 2012.)
 *
 * Scores of a query are inner products with that reconstruction (asymmetric). Hamming distance compares codes.
 * Cost: encoding dim x bits multiply-adds a row; training one QR of each block and a pass over 16384 rows at most.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernels/blocks.h"
#include "quantizers/signs.h"

enum { LSH_SAMPLE = 16384 };

static sonde_status lsh_create(sonde_quantizer *quantizer)
{
    quantizer->sample_rows = LSH_SAMPLE;
    return sonde__signs_create(quantizer, sonde__param_int(quantizer->params, "bits"));
}

static sonde_status lsh_train(sonde_quantizer *quantizer, const sonde__training *training)
{
    const sonde__signs *signs = quantizer->state;
    const sonde__params *params = quantizer->params;
    sonde_runtime *runtime = quantizer->runtime;
    uint64_t seed = (uint64_t)sonde__param_int(params, "seed");
    sonde__signs_parts parts;
    float *x = NULL;
    int64_t n = 0;
    SONDE_TRY(sonde__signs_parts_new(quantizer, false, &parts));
    sonde_status status = sonde__signs_sample(runtime, training, quantizer->dim, LSH_SAMPLE, seed,
                                              sonde__param_is(params, "center", "yes"), parts.center, &x, &n);
    double deviation = status == SONDE_OK ? sonde__signs_normalise(x, n * quantizer->dim) : 0;
    if (status == SONDE_OK)
        status = sonde__directions_random(runtime, quantizer->dim, signs->bits,
                                          sonde__param_is(params, "orth", "yes"), seed, parts.matrix);
    if (status == SONDE_OK) status = sonde__signs_finish(quantizer, x, n, deviation, &parts);
    else sonde__signs_parts_drop(runtime, &parts);
    sonde__free(runtime, x);
    return status;
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
    SONDE__SIGNS_HOOKS,
};
