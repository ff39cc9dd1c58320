/* ppp.h: the parts of the quantizer ppp: splits, k-means from them, and Gaussian mixtures.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_PPP_H
#define SONDE_SRC_PPP_H

#include "quantizers/codes.h"
#include "quantizers/quantizer.h"
#include "quantizers/signs.h"

/* ---- ppp.c ------------------------------------------------------------------------------------------------------ */

/* What the output "flags" says. */
enum { SONDE__PPP_NO_STRUCTURE = 1, SONDE__PPP_FEW_ROWS = 2, SONDE__PPP_FEW_DISTINCT = 4, SONDE__PPP_FLAGS = 7 };

/* The arrays of floats that training leaves, in the order of files. */
enum {
    SONDE__PPP_MEAN,
    SONDE__PPP_AXES,
    SONDE__PPP_NEAR, /* the centroids along the axes */
    SONDE__PPP_CENTROIDS,
    SONDE__PPP_WEIGHTS,
    SONDE__PPP_MEANS,
    SONDE__PPP_VARIANCES,
    SONDE__PPP_SCORES,
    SONDE__PPP_SEPARABILITY,
    SONDE__PPP_DIMENSIONS,
    SONDE__PPP_PARTS
};

/* One K that was tried: a row of the output "scores". */
enum {
    SONDE__PPP_K,
    SONDE__PPP_SSE,
    SONDE__PPP_AGREEMENT,
    SONDE__PPP_CONFIDENCE,
    SONDE__PPP_BIC,
    SONDE__PPP_START_SSE,
    SONDE__PPP_STABILITY,
    SONDE__PPP_SCORE
};

typedef struct sonde__ppp_model {
    int64_t k, p, tried, flags; /* p axes; p = dim and no axes: the columns themselves */
    bool full;
    float *part[SONDE__PPP_PARTS];
    int64_t *sizes;             /* k */
    sonde__directions axes;     /* its matrix is part[SONDE__PPP_AXES] */
    float *packed[2];           /* memory of the books */
    sonde__codebook near, whole;/* centroids along the axes, and in the columns */
} sonde__ppp_model;

typedef struct sonde__ppp {
    int64_t k_min, k_max;
    sonde__ppp_model model; /* k = 0 until trained */
} sonde__ppp;

/* Rows that are projected together. */
enum { SONDE__PPP_ROWS = 32 };

uint64_t sonde__ppp_part_count(const sonde__ppp_model *m, int part, int64_t dim);
void sonde__ppp_model_drop(sonde_runtime *runtime, sonde__ppp_model *m);
/* Takes the model over. */
void sonde__ppp_adopt(sonde_quantizer *quantizer, const sonde__ppp_model *m);
/* What projections and searches for the nearest centroid need beside the parts. */
sonde_status sonde__ppp_prepare_axes(sonde_runtime *runtime, sonde__ppp_model *m, int64_t dim);
sonde_status sonde__ppp_prepare_book(sonde_runtime *runtime, const float *centroids, int64_t k, int64_t d,
                                     float **packed, sonde__codebook *book);
/* y = rows less the mean, along the axes; at most SONDE__PPP_ROWS. room: as many rows of dim. */
void sonde__ppp_project(const sonde__ppp_model *m, int64_t dim, const float *x, int64_t ldx, int64_t n, float *room,
                        float *y);
/* The groups of some rows. */
sonde_status sonde__ppp_nearest(const sonde_quantizer *quantizer, const sonde__ppp_model *m, const float *x,
                                int64_t ldx, int64_t n, int32_t *nearest);

/* ---- ppp_fit.c -------------------------------------------------------------------------------------------------- */

sonde_status sonde__ppp_train(sonde_quantizer *quantizer, const sonde__training *training);

/* The rows that are looked at, packed. */
typedef struct sonde__ppp_rows {
    sonde_runtime *runtime;
    int threads;
    const float *y; /* n x p */
    int64_t n, p;
} sonde__ppp_rows;

/* Sums over rows are taken block by block and then in order, so that they do not depend on threads. */
enum { SONDE__PPP_BLOCKS = 16 };
static inline int64_t sonde__ppp_grain(int64_t n)
{
    return sonde__max_i64(256, (n + SONDE__PPP_BLOCKS - 1) / SONDE__PPP_BLOCKS);
}

/* ---- ppp_start.c ------------------------------------------------------------------------------------------------ */

/* Splits the group of largest squared error in two, until there are k_max groups or all are points. labels:
 * n, of the last partition; parent[g] < g: the group that g was split from (parent[0] = 0). *groups: how many
 * there are. */
sonde_status sonde__ppp_split(const sonde__ppp_rows *rows, int64_t k_max, int32_t *labels, int32_t *parent,
                              int64_t *groups);
/* The partition when there were only k groups. */
void sonde__ppp_cut(const int32_t *last, const int32_t *parent, int64_t n, int64_t k, int32_t *labels);
/* Lloyd's iterations from labels, which are of the nearest centroid (k x p) afterwards. *sse: the squared
 * error of the labels; *start_sse: before the first iteration. */
sonde_status sonde__ppp_lloyd(const sonde__ppp_rows *rows, int64_t k, int rounds, int32_t *labels, float *centroids,
                              double *start_sse, double *sse);
/* Adjusted Rand index of two partitions into at most k groups each; 0 where it is not defined. */
sonde_status sonde__ppp_agreement(sonde_runtime *runtime, const int32_t *a, const int32_t *b, int64_t n, int64_t k,
                                  double *agreement);

/* ---- ppp_mixture.c ---------------------------------------------------------------------------------------------- */

/* k Gaussians. Arrays are indexed by axis first, so that the loops over components have no gaps. */
typedef struct sonde__mixture {
    sonde_runtime *runtime;
    int64_t k, p;
    bool full;       /* covariances; else variances along the axes */
    double floor;    /* the least variance in any direction */
    double *weight;  /* k */
    double *mean;    /* p x k */
    double *spread;  /* p x k: 1 / variance; full: k of p x p: the transposed square root of the inverse covariance */
    double *constant;/* k: the logarithm of weight x density at the mean */
} sonde__mixture;

sonde_status sonde__mixture_new(sonde_runtime *runtime, int64_t k, int64_t p, bool full, double floor,
                                sonde__mixture *mixture);
void sonde__mixture_drop(sonde__mixture *mixture);
/* Sets the constants after weights and spreads were changed. */
void sonde__mixture_settle(sonde__mixture *mixture);

/* What the components say of the rows. */
typedef struct sonde__posterior {
    double log_likelihood, confidence; /* the sum, and the mean of the largest posterior */
    int32_t *labels; /* n: the likeliest component; may be NULL */
    float *doubt;    /* n: second best posterior / best; may be NULL */
} sonde__posterior;

/* One E-step, and (update) the M-step after it. */
sonde_status sonde__mixture_step(sonde__mixture *mixture, const sonde__ppp_rows *rows, bool update,
                                 sonde__posterior *posterior);
/* The M-step from hard labels around their centroids (k x p), then at most `rounds` steps, until the
 * log-likelihood gains less than 1e-6 of itself; the posterior is of the last parameters. */
sonde_status sonde__mixture_fit(sonde__mixture *mixture, const sonde__ppp_rows *rows, const int32_t *labels,
                                const float *centroids, int rounds, sonde__posterior *posterior);

#endif
