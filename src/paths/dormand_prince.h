/* dormand_prince.h: adaptive steps along the probability-flow ODE, for those that follow it at a tolerance.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_DORMAND_PRINCE_H
#define SONDE_SRC_DORMAND_PRINCE_H

#include "paths/paths.h"

enum { SONDE__DORMAND_STAGES = 7 }; /* the last is the first of the next step */

/* Buffers: the state, its slopes, the state of a stage, the error; what comes after is the method's own. */
enum {
    SONDE__DORMAND_SLOPE = 1, /* of stages 1 to 6; stage 7 takes the place of 2, free by then */
    SONDE__DORMAND_TRIAL = 7,
    SONDE__DORMAND_ERROR,
    SONDE__DORMAND_BUFFERS
};
/* Scalars: where the state is, and the step from there. */
enum { SONDE__DORMAND_W, SONDE__DORMAND_STEP, SONDE__DORMAND_SCALARS };

/* Reads rtol and atol; sets form, buffers and spares; makes the plan's state. Of the nodes only the ends
 * stay, and a jump to sigma = 0 after them. A schedule that itself reaches sigma = 0 is left at sigma = 1e-5
 * of alpha + sigma. */
sonde_status sonde__dormand_create(sonde_path_sampler *sampler);
/* From data to noise instead; for plans without a jump. */
void sonde__dormand_turn(sonde_path_sampler *sampler);
void sonde__dormand_drop(sonde_path_sampler *sampler);
#define SONDE__DORMAND_KEYS                                                                               \
    {"rtol", SONDE__KEY_REAL, "1e-5", 1e-6, 0.1, NULL, NULL, "relative tolerance of a step"},             \
    {"atol", SONDE__KEY_REAL, "1e-5", 1e-7, 10, NULL, NULL, "absolute tolerance of a step"}

/* The buffer of a stage's slope, and of its state; stages count from 1. */
int sonde__dormand_slope(int stage);
int sonde__dormand_place(int stage);
/* Weight of a stage's slope in the step. */
double sonde__dormand_weight(int stage);
/* Makes place and step of a run sane, whatever a file says; at a run's start it chooses them. */
void sonde__dormand_begin(const sonde_path_sampler *sampler, sonde__path_run *run);
/* Adds the sum for the state of `stage`, 2..7, and asks for a prediction there, as the run's stage `number`.
 * `newest`: where the slope of the stage before is, a buffer or VALUE. */
sonde_status sonde__dormand_try(const sonde_path_sampler *sampler, sonde__path_run *run,
                                sonde__path_move *move, int stage, int newest, int64_t number);
/* The slope of stage 7 is VALUE: adds sums that keep it and make the error. */
void sonde__dormand_compare(const sonde__path_run *run, sonde__path_move *move);
/* After these sums: whether the step is good. It says the length of the step in *taken, and changes the run's
 * place and step. STATE if the steps become too small. */
sonde_status sonde__dormand_judge(sonde_path_sampler *sampler, sonde__path_run *run, bool *good,
                                  double *taken);
/* Whether the state is at the last node. */
bool sonde__dormand_arrived(const sonde_path_sampler *sampler, const sonde__path_run *run);
/* After a good step: the sums that begin the next. */
void sonde__dormand_accept(sonde__path_move *move);

#endif
