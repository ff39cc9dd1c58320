/* normalise.c: scales each row to length 1; a zero row stays zero. There is no way back.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "kernels/blocks.h"
#include "kernels/kernels.h"
#include "transforms/transform.h"

static sonde_status normalise_create(sonde_transform *transform)
{
    transform->dim_out = transform->dim;
    transform->trained = true;
    return SONDE_OK;
}

/* The length in double, for rows whose squares leave the range of a float. */
static double normalise_length(const float *x, int64_t d)
{
    double sum = 0;
    for (int64_t j = 0; j < d; j++) sum += (double)x[j] * x[j];
    return sqrt(sum);
}

static void normalise_apply(const sonde_transform *transform, const float *in, int64_t n, float *out)
{
    int64_t d = transform->dim;
    for (int64_t i = 0; i < n; i++) {
        const float *x = in + i * d;
        float norm2 = sonde__kernels_get()->norm2(x, d);
        double length = norm2 > 1e-30f && norm2 < 1e30f ? sqrt(norm2) : normalise_length(x, d);
        double scale = length > 0 ? 1 / length : 0;
        for (int64_t j = 0; j < d; j++) out[i * d + j] = (float)(x[j] * scale);
    }
}

static const sonde__key normalise_keys[] = {{0}};

const sonde__transform_method sonde__transform_normalise = {
    .method = {"normalise", "scales rows to length 1; zero rows stay zero", "", normalise_keys,
               sonde__vectors_input, NULL, NULL},
    .create = normalise_create,
    .apply = normalise_apply,
};
