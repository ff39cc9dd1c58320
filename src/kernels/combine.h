/* combine.h: linear combinations of up to SONDE__TERMS_MAX arrays, over registers of any width.
 *
 * A set defines `vector`, its register of floats, and multiply_add(x, weight, sum), and includes this for the slot
 * `combine`. The loop is made once for each number of terms, so that terms and weights stay in registers. A result
 * does not depend on its place: values at the end go through a padded register, and no product is left for a compiler
 * to fuse here but not there. What is not finite shows as sum - sum, which is 0 or NaN and sticks.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_COMBINE_H
#define SONDE_SRC_COMBINE_H

#include "kernels/slots.h"

enum { COMBINE_WIDTH = sizeof(vector) / sizeof(float) };

/* The first `count` floats; the rest is 0. */
SONDE__INLINE vector combine_load(const float *from, int64_t count)
{
    vector v = {0};
    memcpy(&v, from, (size_t)count * sizeof *from);
    return v;
}

SONDE__INLINE vector combine_sum(const float *const *terms, const float *weights, int term_count, int64_t i,
                                 int64_t count)
{
    vector sum = combine_load(terms[0] + i, count) * weights[0];
    for (int j = 1; j < term_count; j++) sum = multiply_add(combine_load(terms[j] + i, count), weights[j], sum);
    return sum;
}

SONDE__INLINE bool combine_zero(vector check)
{
    bool zero = true;
    for (int lane = 0; lane < COMBINE_WIDTH; lane++) zero = zero && check[lane] == 0;
    return zero;
}

SONDE__INLINE bool combine_some(const float *const *given, const float *given_weights, int term_count, int64_t count,
                                float *out)
{
    const float *terms[SONDE__TERMS_MAX];
    float weights[SONDE__TERMS_MAX];
    vector check = {0}, check_high = {0};
    int64_t i = 0;
    for (int j = 0; j < term_count; j++) {
        terms[j] = given[j];
        weights[j] = given_weights[j];
    }
    for (; i + 2 * COMBINE_WIDTH <= count; i += 2 * COMBINE_WIDTH) {
        vector low = combine_sum(terms, weights, term_count, i, COMBINE_WIDTH);
        vector high = combine_sum(terms, weights, term_count, i + COMBINE_WIDTH, COMBINE_WIDTH);
        check += low - low;
        check_high += high - high;
        memcpy(out + i, &low, sizeof low);
        memcpy(out + i + COMBINE_WIDTH, &high, sizeof high);
    }
    for (int64_t size; i < count; i += size) {
        size = sonde__min_i64(COMBINE_WIDTH, count - i);
        vector sum = combine_sum(terms, weights, term_count, i, size);
        check += sum - sum;
        memcpy(out + i, &sum, (size_t)size * sizeof *out);
    }
    return combine_zero(check + check_high);
}

static bool combine(const float *const *terms, const float *weights, int64_t term_count, int64_t count, float *out)
{
    switch (term_count) {
    case 1: return combine_some(terms, weights, 1, count, out);
    case 2: return combine_some(terms, weights, 2, count, out);
    case 3: return combine_some(terms, weights, 3, count, out);
    case 4: return combine_some(terms, weights, 4, count, out);
    case 5: return combine_some(terms, weights, 5, count, out);
    case 6: return combine_some(terms, weights, 6, count, out);
    case 7: return combine_some(terms, weights, 7, count, out);
    default: return combine_some(terms, weights, SONDE__TERMS_MAX, count, out);
    }
}

#endif
