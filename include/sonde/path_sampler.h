/* sonde/path_sampler.h: moves a state along the ODE or SDE of a diffusion or flow model, by the model's predictions, such as
 * dpmpp(order=2, schedule=karras(steps=20)) or ddim(schedule=rf(steps=28, shift=3)).
 *
 * A sampler owns a plan: the nodes of its schedule, from noise to data, each with alpha and sigma (x = alpha x0 + sigma
 * noise), lambda = log(alpha / sigma) and the time that the model is called with. A step goes from one node to
 * the next; nothing is ever looked up by value. The model stays outside, in one of two forms over one implementation:
 *
 *   ask and tell   ask says where a prediction is wanted, tell brings it; nothing calls back
 *   run            the library calls the model until the end
 *
 * Both give the same bytes. The state is `rows` x `dim` f32; rows are samples. Noise of SDE methods is keyed by seed, row and
 * step, so that a row does not depend on the others.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_PATH_SAMPLER_H
#define SONDE_PATH_SAMPLER_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A solver with its schedule, its state and its history. */
typedef struct sonde_path_sampler sonde_path_sampler;

/* What a model predicts; all are affine in each other given the state. docs/samplers.md has the formulas. */
typedef enum sonde_prediction {
    SONDE_PREDICTION_NOISE = 1, /* eps: the noise */
    SONDE_PREDICTION_DATA = 2,  /* x0: the data */
    SONDE_PREDICTION_SCORE = 3, /* gradient of the log density of the noisy data, -eps / sigma */
    SONDE_PREDICTION_V = 4,     /* alpha eps - sigma x0 */
    SONDE_PREDICTION_FLOW = 5,  /* velocity dx/dt; for rf: eps - x0 */
    SONDE_PREDICTION_EDM = 6    /* the raw network of EDM, wrapped by its preconditioning */
} sonde_prediction;

/* Where a prediction is wanted. The arrays belong to the sampler, until tell. */
typedef struct sonde_ask {
    uint32_t size;       /* set by SONDE_ASK_INIT */
    uint32_t done;       /* 1: the state is final, nothing is wanted; the other members say where it stands */
    sonde_array x;       /* rows x dim, f32: what the model sees (scaled, if its preconditioning says so) */
    double t;            /* the time that the model is called with */
    double alpha, sigma; /* of that time */
    uint32_t prediction; /* a sonde_prediction: what tell must bring */
    uint32_t condition;  /* guidance: 1 = with the condition, 0 = without; 1 where there is no guidance */
    int64_t step;        /* of the plan, from 0 */
    int64_t evaluation;  /* predictions told so far */
} sonde_ask;

#define SONDE_ASK_INIT {sizeof(sonde_ask), 0, {0, 0, 0, 0, 0, 0}, 0, 0, 0, 0, 0, 0, 0}

/* One node of the plan. */
typedef struct sonde_path_node {
    double t;            /* what the model is called with */
    double alpha, sigma; /* x = alpha x0 + sigma noise */
    double lambda;       /* log(alpha / sigma); -inf or inf at the ends of some schedules */
} sonde_path_node;

/* Makes a sampler for states of `dim` values a row (1..2^40) from a spec ("sonde list path_sampler" names the solvers,
 * "sonde list schedule" the schedules). The plan is made and checked here. INVALID_ARGUMENT, NOT_FOUND, OUT_OF_MEMORY.
 * Class A. Since 1.0. */
SONDE_API sonde_status sonde_path_sampler_create(const char *spec, int64_t dim, sonde_runtime *runtime,
                                                 sonde_path_sampler **sampler);

/* Begins at x (rows x dim; f32, f16 or bf16, which is copied), the state at the first node: noise of standard
 * deviation sigma of that node for variance-exploding schedules, 1 for the others. Drops a run that is under way.
 * INVALID_ARGUMENT for NaN and infinities, rows < 1. Class S. Since 1.0. */
SONDE_API sonde_status sonde_path_sampler_start(sonde_path_sampler *sampler, const sonde_array *x);

/* Says what is wanted next; the same answer until tell. STATE before start. Class S. Since 1.0. */
SONDE_API sonde_status sonde_path_sampler_ask(sonde_path_sampler *sampler, sonde_ask *ask);

/* Brings what ask wanted (rows x dim; f32, f16 or bf16; read during the call only) and moves on. INVALID_ARGUMENT for
 * NaN and infinities, naming step and row: the run stands where it stood. STATE if nothing is wanted. O(rows dim).
 * Class S. Since 1.0. */
SONDE_API sonde_status sonde_path_sampler_tell(sonde_path_sampler *sampler, const sonde_array *prediction);

/* start, then ask the model and tell, until done; the final state goes to x (rows x dim, f32) itself. The model fills
 * prediction (rows x dim, f32) for ask; nonzero ends with CALLBACK. Progress and cancel once a step. On failure x is
 * as it was, and ask and tell can go on from where the run stood. Class S. Since 1.0. */
SONDE_API sonde_status sonde_path_sampler_run(sonde_path_sampler *sampler, sonde_array *x,
                                              int (*model)(const sonde_ask *ask, sonde_array *prediction, void *user),
                                              void *user);

/* What the run has made, by the name that the method's table of outputs has: "state" (rows x dim, f32: where it
 * stands) for all, "log_likelihood" (rows x 1) for those that compute it. A view of the sampler's memory that stays
 * until the next tell, start or free. NOT_FOUND, STATE before it is there. Class S. Since 1.0. */
SONDE_API sonde_status sonde_path_sampler_output(const sonde_path_sampler *sampler, const char *name, sonde_array *column);

/* The plan: fills at most `capacity` nodes, noise first, and gives their number in *count. nodes may be NULL if
 * capacity is 0. Class A. Since 1.0. */
SONDE_API sonde_status sonde_path_sampler_nodes(const sonde_path_sampler *sampler, sonde_path_node *nodes,
                                                int64_t capacity, int64_t *count);

/* Values of a row; 0 for NULL. Class A. Since 1.0. */
SONDE_API int64_t sonde_path_sampler_dim(const sonde_path_sampler *sampler);

/* The full spec with every default filled in. Lives as long as the handle. Class A. Since 1.0. */
SONDE_API const char *sonde_path_sampler_spec(const sonde_path_sampler *sampler);

/* Writes one file, atomically, with the run that is under way: what is opened goes on with the next ask. Class A.
 * Since 1.0. */
SONDE_API sonde_status sonde_path_sampler_save(const sonde_path_sampler *sampler, const char *path);
SONDE_API sonde_status sonde_path_sampler_open(const char *path, const sonde_open_options *options,
                                               sonde_runtime *runtime, sonde_path_sampler **sampler);

/* The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0. */
SONDE_API sonde_status sonde_path_sampler_save_buffer(const sonde_path_sampler *sampler, void *buffer, size_t capacity,
                                                      size_t *length);
SONDE_API sonde_status sonde_path_sampler_open_buffer(const void *buffer, size_t length,
                                                      const sonde_open_options *options, sonde_runtime *runtime,
                                                      sonde_path_sampler **sampler);

/* Class C. Since 1.0. */
SONDE_API void sonde_path_sampler_free(sonde_path_sampler *sampler);

#ifdef __cplusplus
}
#endif

#endif
