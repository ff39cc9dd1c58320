/* ivf.h: what the parts of the inverted file share: what it has learned (ivf.c, ivf_split.c) and its search (ivf_search.h).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_IVF_H
#define SONDE_SRC_IVF_H

#include "indexes/index.h"
#include "indexes/ivf_lorann.h"

/* Column 0 is the code, or its 4-bit numbers (blocked, for the fast scan) with the rest of it in `tail_column`. A column
 * that there is none of is -1. */
typedef struct sonde__ivf {
    sonde_quantizer *code;
    bool unbiased;           /* the fast scan's scale makes up for what the code loses of a row's length */
    bool residual;           /* codes are of x - factor x centroid */
    int64_t nibbles;         /* 4-bit numbers that lists are scanned by; 0: plain scan of whole codes */
    bool finer;              /* the whole code says more of a row than its numbers */
    int tail_column;         /* what a code has beside them */
    int scale_column;        /* f32: factor of the fast scan's sums */
    int bias_column;         /* f32: what a row adds to the score of its code; fast scan: of its numbers */
    int second_bias_column;  /* f32: the same for the second score, by the whole code */
    int row_bias_column;     /* f32: -|x|^2 for scores by the refine tier (l2); may be bias_column */
    int refine_column;
    int refine_kind;         /* SONDE__ROW_F32 or SONDE__ROW_F16, unless: */
    sonde_quantizer *refine; /* the tier holds codes of this one; NULL: rows, or no tier */
    sonde__lorann *lorann;   /* lists of low rank: the code is of `rank` numbers a row; NULL: of dim columns */
} sonde__ivf;

/* What was learned for the lists: all that changes when lists are split. A snapshot leads to its own. */
typedef struct sonde__ivf_learned {
    int64_t lists;
    sonde__blob centroids;   /* lists x dim, f32 */
    float *norms;            /* |centroid|^2 of each list */
    float *factors;          /* centroid times factor = mean of the list's rows; NULL: 1, or no residuals */
    sonde_quantizer *coarse; /* codes of the centroids for choosing lists; NULL: few lists */
    uint8_t *coarse_codes;   /* lists x code_bytes */
    float spread;            /* mean distance of training rows, as stored, to their centroids; 0: not known */
} sonde__ivf_learned;

static inline const sonde__ivf_learned *sonde__ivf_of(const sonde__snapshot *snapshot) { return snapshot->learned; }
static inline float sonde__ivf_factor(const sonde__ivf_learned *learned, int64_t list)
{
    return learned->factors ? learned->factors[list] : 1;
}
static inline const float *sonde__ivf_centroid(const sonde__ivf_learned *learned, int64_t dim, int64_t list)
{
    return (const float *)learned->centroids.data + list * dim;
}
/* ivf.c: all that follows from centroids, which are its own from now on, also on failure. No factors, no spread. */
sonde_status sonde__ivf_learned_make(const sonde_index *index, sonde__blob centroids, int64_t lists,
                                     sonde__ivf_learned **learned);
void sonde__ivf_learned_drop(sonde_runtime *runtime, void *learned); /* NULL is fine */
/* Whether lists are chosen by inner products, with centroids of length 1. */
static inline bool sonde__ivf_spherical(const sonde_index *index) { return index->metric != SONDE_METRIC_L2; }

/* The whole code of a row, put together in `buffer` (code_bytes) where it lies in two columns. */
const uint8_t *sonde__ivf_code(const sonde__ivf *ivf, const sonde__layout *layout, const sonde__segment *segment,
                               int64_t row, uint8_t *buffer);
/* ivf_encode.c: fills the columns for rows as f32 in x, which is changed. list[i]: of row i. */
sonde_status sonde__ivf_encode(const sonde_index *index, const sonde__ivf_learned *learned, float *x, int64_t n,
                               const int32_t *list, uint8_t *const *columns);

/* What a search sees of a row with this code; less the centroid where codes are of differences. */
void sonde__ivf_decode(const sonde__ivf *ivf, int64_t list, const uint8_t *code, float *x);

sonde_status sonde__ivf_search(sonde__search *search);
/* A row as a search sees it best: from the refine tier, else from its code. */
void sonde__ivf_get(const sonde_index *index, const sonde__snapshot *snapshot, sonde__place where, void *out);

/* ivf_split.c: the spread of n training rows for new learned parts; x is changed. */
sonde_status sonde__ivf_spread(const sonde_index *index, const sonde__ivf *ivf, float *x, int64_t n,
                               sonde__ivf_learned *learned);
sonde_status sonde__ivf_drift(const sonde_index *index, const sonde__snapshot *snapshot, sonde__drift *drift);
sonde_status sonde__ivf_split(const sonde_index *index, sonde__change *change, bool *done);
#define SONDE__IVF_SPREAD_ROWS 2048 /* that a spread is measured on */

/* ivf_spill.c: a second list for each row, by SOAR; n rows as the index sees them. */
sonde_status sonde__ivf_spill(const sonde_index *index, const sonde__ivf_learned *learned, const float *x, int64_t n,
                              const int32_t *first, int32_t *second);

#endif
