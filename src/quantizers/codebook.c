/* codebook.c: centroids packed for the kernels that find the nearest, and that multiply a query with all of them.
 *
 * Idea: |x - c|^2 is least where <x, c> - |c|^2 / 2 is largest, so encoding is a tile product with one bias a centroid
 * (0 for spherical books). Panels are packed once, after training or loading.
 *
 *     memory: panel 0 (d x lanes) | panel 1 | ... | bias (panels x lanes; -inf in unused lanes)
 *
 * Cost: n k d multiply-adds to encode n rows; about 4 k (d + 1) bytes.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "kernels/kernels.h"
#include "quantizers/codes.h"

#define NEAREST_BLOCK 256

static int64_t codebook_panels(int64_t k, int64_t lanes)
{
    return (k + lanes - 1) / lanes;
}

int64_t sonde__codebook_floats(int64_t k, int64_t d)
{
    int64_t lanes = sonde__kernels_get()->lanes;
    return codebook_panels(k, lanes) * lanes * (d + 1);
}

static float codebook_bias(const float *c, int64_t d, bool spherical)
{
    double sum = 0;
    if (spherical) return 0;
    for (int64_t j = 0; j < d; j++) sum += (double)c[j] * c[j];
    /* A finite bias keeps even a centroid of enormous length apart from the lanes that are not used. */
    return (float)(-0.5 * sum < -1e38 ? -1e38 : -0.5 * sum);
}

void sonde__codebook_prepare(sonde__codebook *book, const float *centroids, int64_t ldc, int64_t k, int64_t d,
                             bool spherical, float *memory)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    int64_t lanes = kernels->lanes, panels = codebook_panels(k, lanes);
    float *bias = memory + panels * d * lanes;
    for (int64_t p = 0; p < panels; p++) {
        const float *first = centroids + p * lanes * ldc;
        int64_t count = sonde__min_i64(lanes, k - p * lanes);
        sonde__pack_rows(first, ldc * (int64_t)sizeof(float), count, d, lanes, memory + p * d * lanes);
        for (int64_t lane = 0; lane < lanes; lane++)
            bias[p * lanes + lane] = lane >= count ? -INFINITY : codebook_bias(first + lane * ldc, d, spherical);
    }
    *book = (sonde__codebook){k, d, panels, memory, bias};
}

void sonde__codebook_nearest(const sonde__codebook *book, const float *x, int64_t ldx, int64_t n,
                             int32_t *nearest)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    float score[NEAREST_BLOCK];
    for (int64_t i = 0; i < n; i += NEAREST_BLOCK) {
        int64_t count = sonde__min_i64(NEAREST_BLOCK, n - i);
        kernels->nearest_f32(book->panel, book->bias, book->panels, x + i * ldx, ldx * (int64_t)sizeof(float),
                             count, book->d, nearest + i, score, NULL);
        /* Products that overflow to NaN win nowhere; such a row gets some centroid rather than none. */
        for (int64_t r = i; r < i + count; r++)
            if (nearest[r] < 0 || nearest[r] >= book->k) nearest[r] = 0;
    }
}

void sonde__codebook_products(const sonde__codebook *book, const float *query, float *products)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    int64_t lanes = kernels->lanes;
    float last[SONDE__LANES_MAX];
    for (int64_t p = 0; p < book->panels; p++) {
        int64_t count = sonde__min_i64(lanes, book->k - p * lanes);
        /* The tile kernel with the roles swapped: the query is the one row, and all lanes are stored. */
        kernels->tile_f32(book->panel + p * book->d * lanes, query, 0, 1, book->d,
                          count == lanes ? products + p * lanes : last);
        if (count < lanes) memcpy(products + p * lanes, last, (size_t)count * sizeof *last);
    }
}
