/* exp.h: what the sets share of the single-precision exponential: e^x = 2^t with t = x log2 e, 2^t = 2^n 2^r with
 * n = round(t), and 2^r = 1 + r (c1 + c2 r + ... + c6 r^5) on |r| <= 1/2. The coefficients minimise the
 * largest relative error (iteratively reweighted least squares on Chebyshev points): 2e-8 with rounded coefficients,
 * a third of the last place.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_EXP_H
#define SONDE_SRC_EXP_H

#define SONDE__EXP_1 0x1.62e430p-1f
#define SONDE__EXP_2 0x1.ebfbdcp-3f
#define SONDE__EXP_3 0x1.c6aee8p-5f
#define SONDE__EXP_4 0x1.3b2d4ep-7f
#define SONDE__EXP_5 0x1.5f3ec2p-10f
#define SONDE__EXP_6 0x1.41fb72p-13f

#define SONDE__EXP_LOG2_E 1.44269504088896340736
#define SONDE__EXP_LN2 0.69314718055994530942

/* e^(scale x) = 2^(factor x). */
static inline float sonde__exp_factor(float scale) { return (float)((double)scale * SONDE__EXP_LOG2_E); }

/* Exponents of 2 at or below it, -87 in units of e, give 0: all powers of 2 stay normal numbers. */
#define SONDE__EXP_LEAST (-125.5f)

#endif
