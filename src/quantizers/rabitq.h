/* rabitq.h: what the two halves of rabitq share: rabitq.c makes and uses codes, rabitq_fit.c turns a
 * direction into small integers.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_RABITQ_H
#define SONDE_SRC_RABITQ_H

#include "base/base.h"

/* Floats of memory that the exact fit works in. */
#define SONDE__RABITQ_ROOM (2 * 1024)

/* u[j] of `bits` bits so that w = u - (2^bits - 1) / 2 points as o does: its top bit is the sign of o[j] (0
 * counts as positive), the others are the magnitude, inverted below 0. room NULL: one scale for all vectors,
 * else the best of many for this one. o is of length 1. */
void sonde__rabitq_fit(const float *o, int64_t d, int bits, float *room, uint8_t *u);

#endif
