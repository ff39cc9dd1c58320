/* engine.h: what paths.c, path_run.c, predict.c and threshold.c share. Solvers use paths.h only.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_PATH_ENGINE_H
#define SONDE_SRC_PATH_ENGINE_H

#include "paths/schedule.h"

/* ---- predict.c, threshold.c: what the model predicts ----------------------------------------------------------- */

typedef enum sonde__path_limit { SONDE__LIMIT_NONE = 0, SONDE__LIMIT_STATIC, SONDE__LIMIT_DYNAMIC } sonde__path_limit;

typedef struct sonde__path_model {
    uint32_t prediction; /* a sonde_prediction */
    bool guided;         /* two predictions an evaluation: condition 1, then 0 */
    uint32_t condition;  /* the first asked */
    double guidance;     /* weight of condition 1; the other has 1 - guidance */
    double deviation;    /* of the data, for SONDE_PREDICTION_EDM */
    sonde__path_limit limit;
    double clip, quantile, floor, cap;
} sonde__path_model;

/* value = x * state + prediction * what the model said */
typedef struct sonde__path_affine {
    double x, prediction;
} sonde__path_affine;

/* Reads the common keys and checks them against the nodes. */
sonde_status sonde__path_model_create(sonde_path_sampler *sampler);
sonde__path_affine sonde__path_convert(uint32_t prediction, double deviation, const sonde__path_point *at,
                                       sonde__path_form form);
/* The model sees scale * x, at a time. */
typedef struct sonde__path_view {
    double scale, time;
} sonde__path_view;
sonde__path_view sonde__path_seen(const sonde__path_model *model, const sonde__path_point *at);
/* Limits data predictions, rows x dim, in place. */
sonde_status sonde__path_threshold(const sonde_path_sampler *sampler, int64_t rows, float *data);

/* ---- path_run.c: the run --------------------------------------------------------------------------------------- */

enum { SONDE__PATH_PLACES = SONDE__PATH_BUFFERS + 8 };

typedef struct sonde__path_engine {
    int64_t rows; /* 0 = nothing was started */
    int places;
    float *memory[SONDE__PATH_PLACES]; /* rows x dim each: the buffers and what they are replaced by */
    float *held;                       /* guidance: the prediction with the condition */
    float *bent;                       /* the data prediction after a threshold */
    float *shown;                      /* the state as the model sees it, where that is scaled */
    bool shown_ready, running;
    double *row_scalars, *row_scalars_next;
    sonde__path_run run;   /* where the run stands */
    sonde__path_run *next; /* inside advance: where it will stand */
} sonde__path_engine;

/* Where the run would begin; fills `run` from nodes[0]. */
sonde_status sonde__path_engine_start(sonde_path_sampler *sampler, const sonde_array *x);
/* Memory for `rows`, zeroed; an equal run's memory is kept. The run is lost. */
sonde_status sonde__path_engine_size(sonde_path_sampler *sampler, int64_t rows);
void sonde__path_engine_drop(sonde_path_sampler *sampler);
sonde_status sonde__path_tell(sonde_path_sampler *sampler, const sonde_array *prediction);
/* Makes `shown` current; gives what the model sees. */
sonde_status sonde__path_show(sonde_path_sampler *sampler, const float **x);

#endif
