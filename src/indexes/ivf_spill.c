/* ivf_spill.c: the second list of a row, by SOAR.
 *
 * Problem: a query misses a row whose list it does not visit, and it misses it when the difference r of the row from its
 * centroid points away from the query. A second list helps most where that is not so again: the second difference s
 * should be short and at a right angle to r. So the second list is
 *
 *     argmin over j != first of |s_j|^2 + lambda (<s_j, r> / |r|)^2,   s_j = x - c_j
 *
 * (Sun, Simcha, Dopson, Guo, Kumar: SOAR, 2023). The least of this is among the nearest lists, so only those are tried.
 * lambda = 0 is the second nearest.
 *
 * Cost: one more product of all rows with all centroids, and SPILL_TRIED x dim multiply-adds a row.
 *
 * SPDX-License-Identifier: MIT
 */
#include "indexes/ivf.h"
#include "linalg/linalg.h"

#define SPILL_ROWS 64
#define SPILL_TRIED 64

typedef struct spilling {
    const sonde_index *index;
    const sonde__ivf_learned *learned;
    const float *x;
    const int32_t *first;
    int32_t *second;
    double lambda;
} spilling;

/* The term of one list for a row with difference r. */
static double spill_cost(const spilling *s, const float *x, const float *r, double r2, int64_t list)
{
    int64_t d = s->index->dim;
    const float *c = sonde__ivf_centroid(s->learned, d, list);
    double length2 = 0, along = 0;
    for (int64_t j = 0; j < d; j++) {
        double difference = (double)x[j] - c[j];
        length2 += difference * difference;
        along += difference * r[j];
    }
    return length2 + (r2 > 0 ? s->lambda * along * along / r2 : 0);
}

/* scores: <x, c_j> - |c_j|^2 / 2 of all lists, so the largest are the nearest. */
static int32_t spill_row(const spilling *s, int64_t row, const float *scores, float *r, sonde__hit *hits)
{
    int64_t d = s->index->dim, first = s->first[row];
    const float *x = s->x + row * d, *c = sonde__ivf_centroid(s->learned, d, first);
    double r2 = 0, least = 0;
    int32_t best = -1;
    sonde__top top;
    for (int64_t j = 0; j < d; j++) {
        r[j] = x[j] - c[j];
        r2 += (double)r[j] * r[j];
    }
    sonde__top_init(&top, hits, sonde__min_i64(SPILL_TRIED, s->learned->lists - 1));
    for (int64_t l = 0; l < s->learned->lists; l++)
        if (l != first && scores[l] > top.threshold) sonde__top_push(&top, scores[l], l, 0);
    sonde__top_sort(&top);
    for (int64_t i = 0; i < top.count; i++) {
        double cost = spill_cost(s, x, r, r2, hits[i].id);
        if (best < 0 || cost < least) {
            least = cost;
            best = (int32_t)hits[i].id;
        }
    }
    return best < 0 ? (int32_t)(first == 0) : best; /* scores that are not finite cannot be: rows and centroids are */
}

static sonde_status spill_some(const spilling *s, int64_t begin, int64_t count, sonde__scratch *scratch)
{
    int64_t d = s->index->dim, lists = s->learned->lists;
    float *scores, *r;
    sonde__hit *hits;
    SONDE_TRY(SONDE_SCRATCH(scratch, scores, count * lists));
    SONDE_TRY(SONDE_SCRATCH(scratch, r, d));
    SONDE_TRY(SONDE_SCRATCH(scratch, hits, sonde__top_room(SPILL_TRIED)));
    SONDE_TRY(sonde__gemm_nt(s->index->runtime, 1, count, lists, d, s->x + begin * d, d, s->learned->centroids.data, d,
                             scores, lists));
    for (int64_t i = 0; i < count; i++) {
        for (int64_t l = 0; l < lists; l++) scores[i * lists + l] -= 0.5f * s->learned->norms[l];
        s->second[begin + i] = spill_row(s, begin + i, scores + i * lists, r, hits);
    }
    return SONDE_OK;
}

static sonde_status spill_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const spilling *s = context;
    sonde__scratch *scratch;
    (void)worker;
    SONDE_TRY(sonde__scratch_take(s->index->runtime, &scratch));
    sonde_status status = spill_some(s, begin, end - begin, scratch);
    sonde__scratch_give(s->index->runtime, scratch);
    return status;
}

sonde_status sonde__ivf_spill(const sonde_index *index, const sonde__ivf_learned *learned, const float *x, int64_t n,
                              const int32_t *first, int32_t *second)
{
    spilling s = {index, learned, x, first, second, sonde__param_real(index->params, "lambda")};
    return sonde__parallel_for(index->runtime, 0, n, SPILL_ROWS, NULL, spill_chunk, &s);
}
