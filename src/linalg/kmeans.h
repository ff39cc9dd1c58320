/* kmeans.h: what the k-means files share. Not for other rooms.
 *
 *   kmeans.c               the iterations: grow, search, move the centroids, mend, settle
 *   kmeans_start.c         the rows to train on, the first centroids, centroids for empty clusters
 *   kmeans_assign.c        centroids in panels; the plain search for the nearest
 *   kmeans_search.c        the search with bounds from one iteration to the next
 *   kmeans_group.c         neighbouring centroids into the same panel
 *   kmeans_hierarchical.c  two levels
 *   kmeans_stream.c        batches
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_KMEANS_H
#define SONDE_SRC_KMEANS_H

#include "linalg/linalg.h"

/* Streams of the counter-based generator, one for each use of a seed. */
enum { SONDE__STREAM_SAMPLE = 0x6b01, SONDE__STREAM_SPREAD = 0x6b02 };

/* ---- kmeans_start.c --------------------------------------------------------------------------------------------- */

/* The rows that are clustered: a packed copy in random order, so that any prefix is a sample. Spherical training works
 * on rows of length 1 whose former length is part of their weight, which leaves the mean direction as it is. */
typedef struct sonde__kmeans_rows {
    int64_t n, d;
    float *x;      /* n x d */
    float *norm2;  /* squared lengths */
    float *weight; /* NULL = 1 */
    double
        constant; /* spherical: sum over rows of w (1 - |x|), the part of the objective that no centroid changes */
} sonde__kmeans_rows;

sonde_status sonde__kmeans_rows_take(sonde_runtime *runtime, const float *x, int64_t ldx, int64_t n, int64_t d,
                                     const sonde__kmeans_options *options, sonde__kmeans_rows *rows);
void sonde__kmeans_rows_drop(sonde_runtime *runtime, sonde__kmeans_rows *rows);

/* Draws rows with probability weight x squared distance to the nearest centroid so far (k-means++), over the first
 * `count` rows. Serves the start and the mending of empty clusters. */
typedef struct sonde__kmeans_spread {
    sonde_runtime *runtime;
    int threads;
    const sonde__kmeans_rows *rows;
    int64_t count;
    float *far;   /* squared distance of each row */
    double *mass; /* sum of weight x far for each block of rows */
    sonde__rng rng;
    const int32_t *label;   /* during measure: the centroid of each row */
    const float *centroids; /* during measure: all; during next: the one that was drawn */
} sonde__kmeans_spread;

sonde_status sonde__kmeans_spread_create(sonde_runtime *runtime, int threads, const sonde__kmeans_rows *rows,
                                         uint64_t seed, sonde__kmeans_spread *spread);
void sonde__kmeans_spread_drop(sonde__kmeans_spread *spread);
/* Distances of the first `count` rows to the centroids that label names; *total is the weighted sum. */
sonde_status sonde__kmeans_spread_measure(sonde__kmeans_spread *spread, int64_t count, const int32_t *label,
                                          const float *centroids, double *total);
/* Copies one drawn row to `centroid`; *found is false if every row lies on a centroid already. */
sonde_status sonde__kmeans_spread_next(sonde__kmeans_spread *spread, float *centroid, bool *found);
/* The first k centroids from the first `count` rows, by options->start. */
sonde_status sonde__kmeans_spread_start(sonde__kmeans_spread *spread, int64_t count,
                                        const sonde__kmeans_options *options, float *centroids);

/* Scales to length 1; leaves a zero vector alone and returns false. */
bool sonde__kmeans_unit(float *x, int64_t d);

/* ---- kmeans_assign.c -------------------------------------------------------------------------------------------- */

/* Centroids as the nearest kernel wants them: panels of `lanes`, and the bias that turns an inner product into a score
 * (L2: -|c|^2 / 2; inner product: 0; lanes without a centroid: -infinity). Largest score = nearest. */
typedef struct sonde__kmeans_panels {
    int64_t k, d, lanes, count;
    float *values; /* count x d x lanes */
    float *bias;   /* count x lanes */
} sonde__kmeans_panels;

sonde_status sonde__kmeans_panels_create(sonde_runtime *runtime, int64_t k, int64_t d,
                                         sonde__kmeans_panels *panels);
void sonde__kmeans_panels_drop(sonde_runtime *runtime, sonde__kmeans_panels *panels);
void sonde__kmeans_panels_pack(sonde__kmeans_panels *panels, const float *centroids, bool inner_product);

/* ---- kmeans_search.c -------------------------------------------------------------------------------------------- */

typedef struct sonde__kmeans_search sonde__kmeans_search;

sonde_status sonde__kmeans_search_create(sonde_runtime *runtime, int threads, const sonde__kmeans_rows *rows,
                                         int64_t k, sonde__kmeans_search **search);
void sonde__kmeans_search_free(sonde__kmeans_search *search); /* NULL is fine */
/* Takes new centroids over. before: where they were in the last pass (NULL: rows were all forgotten); jumped[j] (may be
 * NULL): centroid j did not move but was put somewhere else. */
void sonde__kmeans_search_moved(sonde__kmeans_search *search, const float *before, const float *centroids,
                                const bool *jumped);
/* Finds the nearest centroid of the first `count` rows. */
sonde_status sonde__kmeans_search_pass(sonde__kmeans_search *search, int64_t count, const char *stage);
int32_t *sonde__kmeans_search_label(sonde__kmeans_search *search);
/* The next pass looks at every centroid for this row. */
void sonde__kmeans_search_forget(sonde__kmeans_search *search, int64_t row);
/* The row's distance to its centroid in the last pass that looked at it, or a little more. */
float sonde__kmeans_search_upper(const sonde__kmeans_search *search, int64_t row);
/* Whether bounds are guesses, so that a row may be left with its second nearest centroid for a while. */
bool sonde__kmeans_search_guesses(const sonde__kmeans_search *search);
/* Bounds from now on: 1 = exact, less = guesses. For tests; create chooses by d. */
void sonde__kmeans_search_discount(sonde__kmeans_search *search, float discount);
/* Products computed and products that a plain search would have computed, so far. */
void sonde__kmeans_search_count(const sonde__kmeans_search *search, int64_t *computed, int64_t *plain);

/* ---- kmeans_group.c --------------------------------------------------------------------------------------------- */

/* Puts the centroids in an order in which each run of `lanes` is a neighbourhood. */
sonde_status sonde__kmeans_group(sonde_runtime *runtime, int64_t k, int64_t d, int64_t lanes, float *centroids);

/* ---- kmeans.c, kmeans_hierarchical.c ---------------------------------------------------------------------------- */

/* Iterations that begin at given centroids (start != NULL) or at a start of their own. */
sonde_status sonde__kmeans_train(sonde_runtime *runtime, const float *x, int64_t ldx, int64_t n, int64_t d,
                                 const sonde__kmeans_options *options, const float *start, float *centroids,
                                 sonde__kmeans_report *report);
sonde_status sonde__kmeans_two_levels(sonde_runtime *runtime, const float *x, int64_t ldx, int64_t n, int64_t d,
                                      const sonde__kmeans_options *options, float *centroids,
                                      sonde__kmeans_report *report);

/* Rows in the order of their labels: cluster j holds order[begin[j] .. begin[j + 1]), ascending. begin has k + 1. */
void sonde__kmeans_sort(const int32_t *label, int64_t n, int64_t k, int64_t *begin, int64_t *order);

#endif
