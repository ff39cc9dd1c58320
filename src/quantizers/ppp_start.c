/* ppp_start.c: partitions that depend on nothing but the rows: nested splits, k-means from them, and how
 * alike two are.
 *
 * Splits (PCA-Part; Su, Dy: A deterministic method for initializing k-means clustering, 2004): the group of
 * largest squared error is cut at its mean, across its first principal axis, which 50 power iterations on its
 * covariance find from a fixed start. So the partition into K + 1 groups refines that into K, and the squared
 * error falls with K. Groups are stretches of one list of rows.
 *
 * Cost: a split n' p^2 for its n' rows; an iteration of k-means n k p.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "linalg/linalg.h"
#include "quantizers/ppp.h"

enum { PPP_POWER_ROUNDS = 50 };

/* ---- splits ----------------------------------------------------------------------------------------------------- */

/* A group: rows order[begin] .. order[begin + count - 1]. */
struct ppp_group {
    int64_t begin, count;
    double sse;
};

struct ppp_splits {
    const sonde__ppp_rows *rows;
    int64_t *order, *side; /* side: room for the rows that leave */
    float *packed;         /* the rows of one group */
    float *mean;
    double *moment, *axis, *next;
    struct ppp_group *group;
};

static sonde_status ppp_splits_new(struct ppp_splits *s, int64_t k_max)
{
    sonde_runtime *runtime = s->rows->runtime;
    int64_t n = s->rows->n, p = s->rows->p;
    SONDE_TRY(SONDE_NEW(runtime, s->order, n));
    SONDE_TRY(SONDE_NEW(runtime, s->side, n));
    SONDE_TRY(SONDE_NEW(runtime, s->packed, n * p));
    SONDE_TRY(SONDE_NEW(runtime, s->mean, p));
    SONDE_TRY(SONDE_NEW(runtime, s->moment, p * p));
    SONDE_TRY(SONDE_NEW(runtime, s->axis, p));
    SONDE_TRY(SONDE_NEW(runtime, s->next, p));
    return SONDE_NEW(runtime, s->group, k_max);
}

static void ppp_splits_drop(struct ppp_splits *s)
{
    sonde_runtime *runtime = s->rows->runtime;
    sonde__free(runtime, s->order);
    sonde__free(runtime, s->side);
    sonde__free(runtime, s->packed);
    sonde__free(runtime, s->mean);
    sonde__free(runtime, s->moment);
    sonde__free(runtime, s->axis);
    sonde__free(runtime, s->next);
    sonde__free(runtime, s->group);
}

static const float *ppp_row(const struct ppp_splits *s, const struct ppp_group *group, int64_t i)
{
    return s->rows->y + s->order[group->begin + i] * s->rows->p;
}

/* The mean of a group in s->mean, and its squared error. */
static void ppp_measure(const struct ppp_splits *s, struct ppp_group *group)
{
    int64_t p = s->rows->p;
    double *sum = s->next;
    memset(sum, 0, (size_t)p * sizeof *sum);
    for (int64_t i = 0; i < group->count; i++)
        for (int64_t j = 0; j < p; j++) sum[j] += (double)ppp_row(s, group, i)[j];
    for (int64_t j = 0; j < p; j++) s->mean[j] = (float)(sum[j] / (double)group->count);
    group->sse = 0;
    for (int64_t i = 0; i < group->count; i++)
        for (int64_t j = 0; j < p; j++) {
            double from_mean = (double)ppp_row(s, group, i)[j] - s->mean[j];
            group->sse += from_mean * from_mean;
        }
}

/* The first principal axis of the moments, from the row of the largest variance on. */
static void ppp_axis(const struct ppp_splits *s)
{
    int64_t p = s->rows->p, widest = 0;
    const double *moment = s->moment;
    for (int64_t j = 1; j < p; j++)
        if (moment[j * p + j] > moment[widest * p + widest]) widest = j;
    memcpy(s->axis, moment + widest * p, (size_t)p * sizeof *s->axis);
    for (int round = 0; round < PPP_POWER_ROUNDS; round++) {
        double length = 0;
        for (int64_t i = 0; i < p; i++) {
            s->next[i] = 0;
            for (int64_t j = 0; j < p; j++) s->next[i] += moment[i * p + j] * s->axis[j];
            length += s->next[i] * s->next[i];
        }
        if (!(length > 0)) return;
        for (int64_t i = 0; i < p; i++) s->axis[i] = s->next[i] / sqrt(length);
    }
}

/* Moves the rows on the far side of the mean behind the others, in order; returns how many stay. */
static int64_t ppp_part(const struct ppp_splits *s, const struct ppp_group *group)
{
    int64_t kept = 0, left = 0, *order = s->order + group->begin;
    for (int64_t i = 0; i < group->count; i++) {
        double along = 0;
        for (int64_t j = 0; j < s->rows->p; j++)
            along += s->axis[j] * ((double)ppp_row(s, group, i)[j] - s->mean[j]);
        if (along > 0) s->side[left++] = order[i];
        else order[kept++] = order[i];
    }
    memcpy(order + kept, s->side, (size_t)left * sizeof *order);
    return kept;
}

/* Splits one group into itself and *half; a group that cannot be split is a point from then on. */
static sonde_status ppp_halve(const struct ppp_splits *s, struct ppp_group *group, struct ppp_group *half, bool *split)
{
    int64_t p = s->rows->p;
    for (int64_t i = 0; i < group->count; i++)
        memcpy(s->packed + i * p, ppp_row(s, group, i), (size_t)p * sizeof *s->packed);
    ppp_measure(s, group);
    SONDE_TRY(sonde__gram(s->rows->runtime, s->rows->threads, group->count, p, s->packed, p, s->mean, s->moment));
    ppp_axis(s);
    int64_t kept = ppp_part(s, group);
    *split = kept > 0 && kept < group->count;
    if (!*split) {
        group->sse = 0;
        return SONDE_OK;
    }
    *half = (struct ppp_group){group->begin + kept, group->count - kept, 0};
    group->count = kept;
    ppp_measure(s, half);
    ppp_measure(s, group);
    return SONDE_OK;
}

static sonde_status ppp_splits_run(struct ppp_splits *s, int64_t k_max, int32_t *parent, int64_t *groups)
{
    int64_t k = 1;
    for (int64_t i = 0; i < s->rows->n; i++) s->order[i] = i;
    s->group[0] = (struct ppp_group){0, s->rows->n, 0};
    ppp_measure(s, &s->group[0]);
    parent[0] = 0;
    while (k < k_max) {
        int64_t worst = 0;
        bool split;
        for (int64_t g = 1; g < k; g++)
            if (s->group[g].sse > s->group[worst].sse) worst = g;
        if (!(s->group[worst].sse > 0)) break;
        SONDE_TRY(sonde__poll(s->rows->runtime, "ppp: splits", (uint64_t)k, (uint64_t)k_max));
        SONDE_TRY(ppp_halve(s, &s->group[worst], &s->group[k], &split));
        if (split) parent[k++] = (int32_t)worst;
    }
    *groups = k;
    return SONDE_OK;
}

sonde_status sonde__ppp_split(const sonde__ppp_rows *rows, int64_t k_max, int32_t *labels, int32_t *parent,
                              int64_t *groups)
{
    struct ppp_splits s = {.rows = rows};
    sonde_status status = ppp_splits_new(&s, k_max);
    if (status == SONDE_OK) status = ppp_splits_run(&s, k_max, parent, groups);
    for (int64_t g = 0; status == SONDE_OK && g < *groups; g++)
        for (int64_t i = 0; i < s.group[g].count; i++) labels[s.order[s.group[g].begin + i]] = (int32_t)g;
    ppp_splits_drop(&s);
    return status;
}

void sonde__ppp_cut(const int32_t *last, const int32_t *parent, int64_t n, int64_t k, int32_t *labels)
{
    for (int64_t i = 0; i < n; i++) {
        int32_t g = last[i];
        while (g >= k) g = parent[g];
        labels[i] = g;
    }
}

/* ---- k-means ---------------------------------------------------------------------------------------------------- */

struct ppp_lloyd {
    const sonde__ppp_rows *rows;
    int64_t k;
    const int32_t *labels;
    float *centroids;
    double *sums; /* of each block: k x p, then k numbers of rows */
    double sse[SONDE__PPP_BLOCKS];
};

static sonde_status ppp_sum_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct ppp_lloyd *l = context;
    int64_t p = l->rows->p, k = l->k;
    double *sum = l->sums + begin / sonde__ppp_grain(l->rows->n) * k * (p + 1), *count = sum + k * p;
    (void)worker;
    memset(sum, 0, (size_t)(k * (p + 1)) * sizeof *sum);
    for (int64_t i = begin; i < end; i++) {
        double *to = sum + l->labels[i] * p;
        for (int64_t j = 0; j < p; j++) to[j] += (double)l->rows->y[i * p + j];
        count[l->labels[i]]++;
    }
    return SONDE_OK;
}

static sonde_status ppp_sse_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    struct ppp_lloyd *l = context;
    int64_t p = l->rows->p;
    double sse = 0;
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        for (int64_t j = 0; j < p; j++) {
            double apart = (double)l->rows->y[i * p + j] - l->centroids[l->labels[i] * p + j];
            sse += apart * apart;
        }
    l->sse[begin / sonde__ppp_grain(l->rows->n)] = sse;
    return SONDE_OK;
}

/* Every centroid to the mean of its rows; one without rows stays. */
static sonde_status ppp_means(struct ppp_lloyd *l)
{
    int64_t n = l->rows->n, p = l->rows->p, k = l->k, grain = sonde__ppp_grain(n), size = k * (p + 1);
    SONDE_TRY(sonde__parallel_for(l->rows->runtime, l->rows->threads, n, grain, NULL, ppp_sum_chunk, l));
    for (int64_t b = 1; b * grain < n; b++)
        for (int64_t j = 0; j < size; j++) l->sums[j] += l->sums[b * size + j];
    for (int64_t c = 0; c < k; c++)
        for (int64_t j = 0; j < p && l->sums[k * p + c] > 0; j++)
            l->centroids[c * p + j] = (float)(l->sums[c * p + j] / l->sums[k * p + c]);
    return SONDE_OK;
}

static sonde_status ppp_sse(struct ppp_lloyd *l, double *sse)
{
    int64_t n = l->rows->n, grain = sonde__ppp_grain(n);
    SONDE_TRY(sonde__parallel_for(l->rows->runtime, l->rows->threads, n, grain, NULL, ppp_sse_chunk, l));
    *sse = 0;
    for (int64_t b = 0; b * grain < n; b++) *sse += l->sse[b];
    return SONDE_OK;
}

static sonde_status ppp_lloyd_rounds(struct ppp_lloyd *l, int rounds, int32_t *labels, int32_t *next, double *start_sse)
{
    const sonde__ppp_rows *rows = l->rows;
    size_t bytes = (size_t)rows->n * sizeof *labels;
    for (int round = 0; round < rounds; round++) {
        SONDE_TRY(ppp_means(l));
        if (round == 0) SONDE_TRY(ppp_sse(l, start_sse));
        SONDE_TRY(sonde__assign(rows->runtime, rows->threads, rows->y, rows->p, rows->n, rows->p, l->centroids, l->k,
                                false, next, NULL));
        bool settled = memcmp(labels, next, bytes) == 0;
        memcpy(labels, next, bytes);
        if (settled) break;
    }
    return SONDE_OK;
}

sonde_status sonde__ppp_lloyd(const sonde__ppp_rows *rows, int64_t k, int rounds, int32_t *labels, float *centroids,
                              double *start_sse, double *sse)
{
    struct ppp_lloyd l = {.rows = rows, .k = k, .labels = labels, .centroids = centroids};
    int32_t *next = NULL;
    sonde_status status = SONDE_NEW(rows->runtime, next, rows->n);
    if (status == SONDE_OK) status = SONDE_NEW(rows->runtime, l.sums, SONDE__PPP_BLOCKS * k * (rows->p + 1));
    if (status == SONDE_OK) status = ppp_lloyd_rounds(&l, rounds, labels, next, start_sse);
    if (status == SONDE_OK) status = ppp_sse(&l, sse);
    sonde__free(rows->runtime, next);
    sonde__free(rows->runtime, l.sums);
    return status;
}

/* ---- agreement -------------------------------------------------------------------------------------------------- */

static double ppp_pairs(double x)
{
    return x * (x - 1) / 2;
}

/* From a table of counts, whose sums by row and column stand beside it. */
static double ppp_rand(const int64_t *both, const int64_t *left, const int64_t *right, int64_t n, int64_t k)
{
    double same = 0, lefts = 0, rights = 0;
    for (int64_t i = 0; i < k * k; i++) same += ppp_pairs((double)both[i]);
    for (int64_t i = 0; i < k; i++) {
        lefts += ppp_pairs((double)left[i]);
        rights += ppp_pairs((double)right[i]);
    }
    double chance = n > 1 ? lefts * rights / ppp_pairs((double)n) : 0, most = (lefts + rights) / 2;
    return most > chance ? (same - chance) / (most - chance) : 0;
}

sonde_status sonde__ppp_agreement(sonde_runtime *runtime, const int32_t *a, const int32_t *b, int64_t n, int64_t k,
                                  double *agreement)
{
    int64_t *both;
    SONDE_TRY(SONDE_NEW_ZERO(runtime, both, k * (k + 2)));
    int64_t *left = both + k * k, *right = left + k;
    for (int64_t i = 0; i < n; i++) {
        both[a[i] * k + b[i]]++;
        left[a[i]]++;
        right[b[i]]++;
    }
    *agreement = ppp_rand(both, left, right, n, k);
    sonde__free(runtime, both);
    return SONDE_OK;
}
