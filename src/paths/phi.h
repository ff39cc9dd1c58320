/* phi.h: the coefficients that exponential integrators share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_PHI_H
#define SONDE_SRC_PHI_H

/* The phi functions of exponential integrators: phi_0(z) = e^z, phi_k(z) = (phi_(k-1)(z) - 1 / (k-1)!) / z.
 * Each is the integral over u in 0..1 of e^((1-u) z) u^(k-1) / (k-1)!. k in 0..8, any finite z; relative
 * error about 1e-15. */
double sonde__phi(int k, double z);

/* Weights b[0..count) with sum over k of b[k] r[k]^i = (i+1)! phi_(i+2)(z), i = 0..count-1: the value's
 * slopes (f(r h) - f(0)) / r, so weighted, integrate every polynomial of degree `count` exactly. r distinct;
 * count in 1..4. */
void sonde__phi_weights(double z, const double *r, int count, double *b);

#endif
