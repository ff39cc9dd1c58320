/* exponential.h: the steps that DPM-Solver and DPM-Solver++ share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_EXPONENTIAL_H
#define SONDE_SRC_EXPONENTIAL_H

#include "paths/paths.h"

enum { SONDE__EXPONENTIAL_ORDERS = 3 };

/* x at `to` = keep x + first f, where f, the value at `from`, is held constant; and what more a value that
 * changes adds: gain times phi-weighted slopes (phi.h, with z) by the share of the step. lambda of either end
 * may be infinite; gain and z are then not finite, and only the first order can be used. */
typedef struct sonde__exponential {
    double keep, first, gain, z, noise;
} sonde__exponential;

/* form: DATA or NOISE. tau: 0 the ODE; 1 the reverse SDE; between: part of its noise (DATA only). */
sonde__exponential sonde__exponential_step(sonde__path_form form, double tau, const sonde__path_point *from,
                                           const sonde__path_point *to);

/* The keys of the family, read and checked; and the methods' hooks that follow from them. `form` is the
 * sampler's, which create has set; tau as above. */
sonde_status sonde__exponential_create(sonde_path_sampler *sampler, double tau);
sonde_status sonde__exponential_advance(sonde_path_sampler *sampler, sonde__path_run *run,
                                        sonde__path_move *move);
void sonde__exponential_drop(sonde_path_sampler *sampler);

#define SONDE__EXPONENTIAL_KEYS(mode)                                                                     \
    {"order", SONDE__KEY_INT, "2", 1, SONDE__EXPONENTIAL_ORDERS, NULL, NULL, "order of the steps"},       \
    {"mode", SONDE__KEY_WORD, mode, 0, 0, "multi|single", NULL,                                           \
     "multi: a prediction a step, and those before it; single: all predictions inside the step"},         \
    {"variant", SONDE__KEY_WORD, "midpoint", 0, 0, "midpoint|exact", NULL,                                \
     "multistep of order 2: the value at the step's middle, or its line integrated exactly"},             \
    {"lower_order_final", SONDE__KEY_WORD, "yes", 0, 0, "yes|no", NULL,                                   \
     "the last steps are of order 2 and 1, which helps below about 15 steps"},                            \
    {"warmup", SONDE__KEY_WORD, "low", 0, 0, "low|single", NULL,                                          \
     "the first multistep steps: of order 1, 2, or singlestep of full order"},                            \
    {"compat", SONDE__KEY_WORD, "no", 0, 0, "no|yes", NULL,                                               \
     "multistep of order 3 as in published code, where a factor 2 is missing"}

#endif
