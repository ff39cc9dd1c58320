/* rabitq_fit.c: the small integers whose direction is nearest to a given one.
 *
 * Problem: given o of length 1, choose t and m_j = min(floor(t |o_j|), 2^(bits-1) - 1) so that the vector of
 * m_j + 1/2, with the signs of o, has the largest cosine with o. Only t is free.
 *
 * Fast: after a random rotation the coordinates are nearly Gaussian, so one t, the best for a Gaussian
 * coordinate, serves all vectors: t = sqrt(d) / (step of the uniform quantizer of Max 1960). O(d).
 *
 * Exact: while t grows, the cosine changes only where some t |o_j| passes an integer m; there the product
 * with o grows by |o_j| and the squared length by (m + 1/2)^2 - (m - 1/2)^2 = 2 m. These events are gathered
 * in narrow bins of t rather than sorted, so that one pass over them and one over the bins sees the cosine at
 * every bin's end: the best of 2048 scales, which no measurement tells from the best of all. The fast t
 * competes too. The window of t is that of the reference implementation. O(d 2^(bits-1)) at worst, some 8
 * events a coordinate for 8 bits.
 *
 * After: Gao et al., Practical and Asymptotically Optimal Quantization of High-Dimensional Vectors (2025),
 * who sort the events in a heap.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "quantizers/rabitq.h"

enum { RABITQ_BINS = SONDE__RABITQ_ROOM / 2 };

/* Divided by sqrt(d), the t with the largest expected cosine for Gaussian coordinates, by bits. */
static const float rabitq_gaussian[9] = {0, 0, 1.0043f, 1.7064f, 2.9833f, 5.3152f, 9.6096f, 17.585f, 32.507f};

/* Where the window of t begins, as a part of its end, by bits. */
static const float rabitq_window[9] = {0, 0, 0.15f, 0.20f, 0.35f, 0.45f, 0.55f, 0.62f, 0.68f};

/* The product with |o| and the squared length of the vector of m + 1/2. */
struct rabitq_sums {
    double product, length2;
};

static struct rabitq_sums rabitq_sums_at(const float *o, int64_t d, float t, float most)
{
    struct rabitq_sums sums = {0, 0};
    for (int64_t j = 0; j < d; j++) {
        float a = fabsf(o[j]), v = a * t, level = (float)(int32_t)(v < most ? v : most) + 0.5f;
        sums.product += (double)(a * level);
        sums.length2 += (double)(level * level);
    }
    return sums;
}

/* Grows with the cosine. */
static double rabitq_merit(struct rabitq_sums sums) { return sums.product * sums.product / sums.length2; }

/* A range of t, cut into bins. */
struct rabitq_range {
    float begin, width, per_width;
    float *product, *length2; /* what the events of a bin add */
};

static void rabitq_gather(const float *o, int64_t d, float most, const struct rabitq_range *range)
{
    float end = range->begin + range->width * RABITQ_BINS;
    memset(range->product, 0, RABITQ_BINS * sizeof *range->product);
    memset(range->length2, 0, RABITQ_BINS * sizeof *range->length2);
    for (int64_t j = 0; j < d; j++) {
        float a = fabsf(o[j]), first = a * range->begin, last = a * end;
        if (first >= most || last < 1) continue;
        float inverse = 1 / a;
        int32_t top = (int32_t)(last < most ? last : most);
        for (int32_t m = (int32_t)first + 1; m <= top; m++) {
            int32_t bin = (int32_t)(((float)m * inverse - range->begin) * range->per_width);
            bin = bin < 0 ? 0 : bin < RABITQ_BINS ? bin : RABITQ_BINS - 1;
            range->product[bin] += a;
            range->length2[bin] += (float)(2 * m);
        }
    }
}

/* The best t at the end of a bin. */
static float rabitq_best_end(const struct rabitq_range *range, struct rabitq_sums sums)
{
    struct rabitq_sums best = sums;
    int32_t ends = 0;
    for (int32_t bin = 0; bin < RABITQ_BINS; bin++) {
        sums.product += (double)range->product[bin];
        sums.length2 += (double)range->length2[bin];
        if (sums.product * sums.product * best.length2 > best.product * best.product * sums.length2) {
            best = sums;
            ends = bin + 1;
        }
    }
    return range->begin + range->width * (float)ends;
}

static float rabitq_exact_scale(const float *o, int64_t d, int bits, float fast, float *room)
{
    float most = (float)((1 << (bits - 1)) - 1), largest = 0;
    for (int64_t j = 0; j < d; j++) largest = fabsf(o[j]) > largest ? fabsf(o[j]) : largest;
    float end = (most + 10) / largest, begin = rabitq_window[bits] * end;
    struct rabitq_range range = {
        .begin = begin, .width = (end - begin) / RABITQ_BINS, .product = room, .length2 = room + RABITQ_BINS};
    range.per_width = 1 / range.width;
    rabitq_gather(o, d, most, &range);
    float t = rabitq_best_end(&range, rabitq_sums_at(o, d, begin, most));
    double merit = rabitq_merit(rabitq_sums_at(o, d, t, most));
    return merit > rabitq_merit(rabitq_sums_at(o, d, fast, most)) ? t : fast;
}

void sonde__rabitq_fit(const float *o, int64_t d, int bits, float *room, uint8_t *u)
{
    int32_t half = 1 << (bits - 1), all = 2 * half - 1;
    float most = (float)(half - 1), t = rabitq_gaussian[bits] * sqrtf((float)d);
    if (room && bits > 1) t = rabitq_exact_scale(o, d, bits, t, room);
    for (int64_t j = 0; j < d; j++) {
        float v = fabsf(o[j]) * t;
        int32_t m = (int32_t)(v < most ? v : most);
        u[j] = (uint8_t)((half + m) ^ (o[j] < 0 ? all : 0));
    }
}
