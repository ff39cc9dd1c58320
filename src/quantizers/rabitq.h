/* rabitq.h: what the parts of rabitq share: rabitq.c makes and uses codes, rabitq_fit.c turns a direction
 * into small integers, rabitq_align.c makes their error orthogonal to the centre.
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

/* A row and the centre, both rotated, and memory to work in. */
typedef struct sonde__rabitq_aim {
    const float *o, *centre;     /* d values each; o is the direction of row - centre */
    double row2, centre2, along; /* |row - centre|^2, |centre|^2, <o, centre> */
    float *slack;                /* d of them */
    int32_t *columns;            /* likewise */
    int64_t d;
    int bits;
} sonde__rabitq_aim;

/* Changes some u[j], and w[j] = u[j] - (2^bits - 1) / 2 with them, by one, so that <centre, w> is to <o, w>
 * what <centre, o> is to 1. Of several bits the top ones stay. */
void sonde__rabitq_align(const sonde__rabitq_aim *aim, float *w, uint8_t *u);

#endif
