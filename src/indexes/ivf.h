/* ivf.h: what the two halves of the inverted file share: its learned parts (ivf.c) and its search (ivf_search.c).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_IVF_H
#define SONDE_SRC_IVF_H

#include "indexes/index.h"

/* Columns: 0 the code; then the bias -|x|^2 (l2 only); then the row itself (refine tier only). */
typedef struct sonde__ivf {
    sonde_quantizer *code;
    bool residual;         /* codes are of x - centroid */
    int bias_column;       /* -1: none */
    int refine_column;     /* -1: none */
    int refine_kind;       /* SONDE__ROW_F32 or SONDE__ROW_F16 */
    sonde__blob centroids; /* lists x dim, f32 */
    float *norms;          /* |centroid|^2 of each list */
} sonde__ivf;

static inline const float *sonde__ivf_centroid(const sonde__ivf *ivf, int64_t dim, int64_t list)
{
    return (const float *)ivf->centroids.data + list * dim;
}

sonde_status sonde__ivf_search(sonde__search *search);

#endif
