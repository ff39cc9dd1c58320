/* schedule.h: what a schedule's file must supply. Solvers see schedules through paths.h only.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_SCHEDULE_H
#define SONDE_SRC_SCHEDULE_H

#include "paths/paths.h"

enum { SONDE__SCHEDULE_NUMBERS = 4 };

typedef struct sonde__schedule_method {
    sonde__method method;
    /* Reads keys; sets numbers, table and the ranges below. */
    sonde_status (*create)(sonde__schedule *schedule);
    /* Fills all but `time`. */
    void (*at)(const sonde__schedule *schedule, double time, sonde__path_point *point);
    double (*time)(const sonde__schedule *schedule, double lambda);
    /* Moves the inner nodes of grids that are even in time. NULL: stays. */
    double (*warp)(const sonde__schedule *schedule, double time);
    const char *grid, *final; /* what "auto" means */
    bool preserving, exploding;
} sonde__schedule_method;

struct sonde__schedule {
    sonde_runtime *runtime;
    const sonde__params *params; /* a part of the sampler's */
    const sonde__schedule_method *method;
    double numbers[SONDE__SCHEDULE_NUMBERS]; /* the method's own */
    double *table;
    int64_t table_count;
    double low, high;  /* times that there are */
    double start, end; /* t_start=auto, t_end=auto */
    double deviation;  /* of the data, for the preconditioning of EDM */
};

/* params stay with the caller and must outlive the schedule. */
sonde_status sonde__schedule_create(sonde_runtime *runtime, const sonde__params *params, sonde__schedule **schedule);
void sonde__schedule_free(sonde__schedule *schedule); /* NULL is fine */

/* The nodes that the schedule's keys ask for, checked. */
typedef struct sonde__path_plan {
    sonde__path_point *nodes;
    int64_t count;
    bool zero; /* the last node has sigma = 0 */
} sonde__path_plan;
sonde_status sonde__schedule_plan(const sonde__schedule *schedule, bool finite_lambda, sonde__path_plan *plan);

/* For schedules with alpha^2 + sigma^2 = 1: all but the times. rate: of log alpha. */
void sonde__schedule_preserve(double log_alpha, double rate, sonde__path_point *point);
/* log alpha of a lambda there. */
double sonde__schedule_log_alpha(double lambda);

#endif
