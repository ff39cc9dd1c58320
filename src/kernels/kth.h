/* kth.h: the k-th largest of some numbers, by bisection: how many reach a level is one pass of comparisons, which compilers
 * turn into vectors, and nothing is moved. Between close numbers of a like spread it takes about log2(count) passes; whatever
 * the numbers are, it ends after SPLITS + 32.
 *
 * A set includes this and names kth_largest in its table, so each has its own copy, made with its own flags.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_KTH_H
#define SONDE_SRC_KTH_H

#define SPLITS 16 /* passes that halve the numbers' range; later ones halve the range of floats */

/* Integers in the order of floats, and back: it is its own inverse. */
SONDE__INLINE int32_t ordered(int32_t bits) { return bits ^ (bits >> 31 & INT32_MAX); }

SONDE__INLINE int32_t order_of(float x) { return ordered((int32_t)sonde__load_u32(&x)); }

SONDE__INLINE float float_at(int32_t order) { return sonde__bits_to_f32((uint32_t)ordered(order)); }

static int64_t count_reaching(const float *values, int64_t count, float level)
{
    int32_t found = 0;
    for (int64_t i = 0; i < count; i++) found += values[i] >= level;
    return found;
}

/* A level inside (low, high), which are at least two floats apart. */
SONDE__INLINE int32_t between(int32_t low, int32_t high, int pass)
{
    int32_t half = order_of(0.5f * float_at(low) + 0.5f * float_at(high));
    if (pass < SPLITS && half > low && half < high) return half; /* not where an end is infinite */
    return (int32_t)(((int64_t)low + high) / 2);
}

static float kth_largest(const float *values, int64_t count, int64_t k)
{
    int32_t low = INT32_MAX, high = INT32_MIN;
    for (int64_t i = 0; i < count; i++) { /* as integers: vectors of floats have no minimum that every compiler takes */
        int32_t order = order_of(values[i]);
        low = order < low ? order : low;
        high = order > high ? order : high;
    }
    float most = float_at(high);
    int64_t reach = count;
    if (count_reaching(values, count, most) >= k) return most;
    /* Always: at least k reach low, fewer than k reach high. */
    for (int pass = 0; reach != k && (int64_t)high - low > 1; pass++) {
        int32_t level = between(low, high, pass);
        int64_t found = count_reaching(values, count, float_at(level));
        if (found < k) high = level;
        else {
            low = level;
            reach = found;
        }
    }
    return float_at(low);
}

#undef SPLITS

#endif
