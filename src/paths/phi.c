/* phi.c: the coefficients that exponential integrators share.
 *
 * The linear part of a diffusion's ODE is solved exactly, and what is left is an integral of the model's
 * value times e^lambda. Where the value is a polynomial over a step, that integral is a sum of phi functions
 * (Hochbruck and Ostermann, "Exponential integrators", Acta Numerica 2010). The recurrence that defines them
 * subtracts nearly equal numbers for small z, so that there the Taylor series, sum of z^j / (j + k)!, takes
 * its place.
 *
 * Cost: a few hundred nanoseconds a call; all are made once, when a plan is made.
 *
 * SPDX-License-Identifier: MIT
 */
#include "paths/phi.h"

#include <math.h>

#include "base/base.h"

enum { PHI_TERMS = 30, PHI_MOST = 4 };

static double phi_factorial(int n)
{
    double product = 1;
    for (int i = 2; i <= n; i++) product *= i;
    return product;
}

/* |z| <= 2: after 30 terms what is left is below 1e-22. */
static double phi_series(int k, double z)
{
    double term = 1 / phi_factorial(k), sum = 0;
    for (int j = 0; j < PHI_TERMS; j++) {
        sum += term;
        term *= z / (j + 1 + k);
    }
    return sum;
}

double sonde__phi(int k, double z)
{
    if (k == 0) return exp(z);
    if (fabs(z) <= 2) return phi_series(k, z);
    double value = expm1(z) / z;
    for (int i = 1; i < k; i++) value = (value - 1 / phi_factorial(i)) / z;
    return value;
}

static void phi_swap_rows(double *a, double *b, int count, int one, int other)
{
    for (int j = 0; j < count; j++) {
        double kept = a[one * count + j];
        a[one * count + j] = a[other * count + j];
        a[other * count + j] = kept;
    }
    double kept = b[one];
    b[one] = b[other];
    b[other] = kept;
}

/* Solves the count x count system a x = b (row-major, both overwritten; partial pivoting); x replaces b. */
static void phi_solve(double *a, double *b, int count)
{
    for (int k = 0; k < count; k++) {
        int pivot = k;
        for (int i = k + 1; i < count; i++)
            if (fabs(a[i * count + k]) > fabs(a[pivot * count + k])) pivot = i;
        phi_swap_rows(a, b, count, k, pivot);
        for (int i = k + 1; i < count; i++) {
            double factor = a[i * count + k] / a[k * count + k];
            for (int j = k; j < count; j++) a[i * count + j] -= factor * a[k * count + j];
            b[i] -= factor * b[k];
        }
    }
    for (int i = count - 1; i >= 0; i--) {
        for (int j = i + 1; j < count; j++) b[i] -= a[i * count + j] * b[j];
        b[i] /= a[i * count + i];
    }
}

void sonde__phi_weights(double z, const double *r, int count, double *b)
{
    double a[PHI_MOST * PHI_MOST];
    SONDE_ASSERT(count >= 1 && count <= PHI_MOST);
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < count; k++) a[i * count + k] = pow(r[k], i);
        b[i] = phi_factorial(i + 1) * sonde__phi(i + 2, z);
    }
    phi_solve(a, b, count);
}
