/* balance.h: clustering under conditions on the sizes of the groups. Part of the room's door: linalg.h includes it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_BALANCE_H
#define SONDE_SRC_BALANCE_H

typedef enum sonde__balance_mode {
    SONDE__BALANCE_NONE = 0,
    SONDE__BALANCE_SOFT,         /* a price proportional to the size of a group; no guarantee */
    SONDE__BALANCE_SINKHORN,     /* entropic transport to given masses */
    SONDE__BALANCE_CAPACITY,     /* hard limits on the sizes */
    SONDE__BALANCE_HIERARCHICAL  /* recursive splits until no group is above `high` */
} sonde__balance_mode;

typedef enum sonde__balance_order {
    SONDE__ORDER_REGRET = 0,     /* Sinkhorn prices, then the cheapest repairs: exact up to 2048 groups */
    SONDE__ORDER_AUCTION,        /* exact up to n times the step of the auction */
    SONDE__ORDER_ONEREC          /* group by group, the nearest free rows: as published, and worse */
} sonde__balance_order;

/* All zero = no condition at all. */
typedef struct sonde__balance {
    uint32_t mode, order;
    /* Sizes. Capacity: 0 and 0 = floor and ceil of n / k; 0 beside the other one = no limit. Hierarchical and soft use high
     * alone, 0 = twice ceil(n / k). */
    int64_t low, high;
    double eps;              /* sinkhorn, on distances scaled to [-1, 1]; 0 = 0.01 */
    int iterations;          /* of sinkhorn; 0 = 100, negative = none */
    double lambda;           /* soft; 0 = the least that keeps sizes within high; negative = none */
    const double *masses;    /* sinkhorn: k, sum 1; NULL = 1 / k */
} sonde__balance;

/* sonde__kmeans under conditions; labels (n, may be NULL) are the groups of the rows themselves, within the limits;
 * prices (k, may be NULL) let sonde__assign_priced treat other rows alike. options->start given: start (k x d) or NULL. */
sonde_status sonde__kmeans_balanced(sonde_runtime *runtime, const float *x, int64_t ldx, int64_t n, int64_t d,
                                    const sonde__kmeans_options *options, const sonde__balance *balance,
                                    const float *start, float *centroids, int32_t *labels, double *prices,
                                    sonde__kmeans_report *report);

/* One assignment of n rows to given centroids under conditions. */
sonde_status sonde__assign_balanced(sonde_runtime *runtime, int threads, const float *x, int64_t ldx, int64_t n,
                                    int64_t d, const float *centroids, int64_t k, const sonde__balance *balance,
                                    int32_t *labels, double *prices);

/* argmin over j of |x - c_j|^2 - prices[j], ties to the lower number. */
sonde_status sonde__assign_priced(sonde_runtime *runtime, int threads, const float *x, int64_t ldx, int64_t n, int64_t d,
                                  const float *centroids, int64_t k, const double *prices, int32_t *label);

#endif
